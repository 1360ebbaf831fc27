"""`tito release`: an nbgrader course folder with exactly the notebook that students get."""

import shutil
import sqlite3
import subprocess
import sys

import pytest

from tests.conftest import TINY, Tito
from tito import notebook as nb


def run_nbgrader(folder, *arguments):
    """An nbgrader command as an instructor would type it; its output."""
    environment = Tito(folder, TINY).environment()
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_release_is_the_students_notebook_byte_for_byte(released, student):
    mine = (student.work / "01_double" / "double.ipynb").read_bytes()
    assert (released / "release" / "01_double" / "double.ipynb").read_bytes() == mine


def test_the_source_has_solutions_and_mark_schemes_and_gives_the_release(released):
    source = nb.read(released / "source" / "01_double" / "double.ipynb")
    text = nb.to_json(source).decode()
    assert "BEGIN SOLUTION" in text and "5 points for 2 * 2 = 4." in text
    assert nb.to_json(nb.strip(source)) == (released / "release" / "01_double" / "double.ipynb").read_bytes()


def test_every_graded_cell_is_registered_with_points_and_checksum(released):
    with sqlite3.connect(released / "gradebook.db") as book:
        points = dict(book.execute("SELECT b.name, g.max_score FROM grade_cells g JOIN base_cell b ON b.id = g.id"))
        sums = dict(book.execute("SELECT name, checksum FROM source_cell"))
    assert points == {"01-1-test": 5, "01-2-test": 5, "01-q1": 5, "02-1-test": 5}
    for name, slug in (("double", "01_double"), ("square", "02_square")):
        for cell in nb.read(released / "release" / slug / f"{name}.ipynb")["cells"]:
            if nb.grade_id(cell):
                assert sums[nb.grade_id(cell)] == cell["metadata"]["nbgrader"]["checksum"]


def test_releasing_again_changes_nothing(teacher):
    before = {path: path.read_bytes() for path in teacher.folder.rglob("*") if path.is_file()}
    answer = teacher.json("release", "01-02", "--to", ".")
    assert [one["done"] for one in answer["modules"]] == ["unchanged", "unchanged"]
    assert {path: path.read_bytes() for path in teacher.folder.rglob("*") if path.is_file()} == before


def test_one_module_then_another_into_the_same_folder(tiny):
    assert "released   01_double" in tiny("release", "double", "--to", "room").text
    config = tiny.folder / "room" / "nbgrader_config.py"
    config.write_text(config.read_text() + "\nc.Execute.timeout = 7\n")
    answer = tiny.json("release", "01", "2", "--to", "room")
    assert [one["done"] for one in answer["modules"]] == ["unchanged", "released"]
    assert "timeout = 7" in config.read_text()


@pytest.mark.slow
def test_a_changed_module_is_updated_and_its_submissions_graded_again(tiny, papers):
    tiny("release", "01", "--to", "room")
    inbox = tiny.folder / "inbox"
    inbox.mkdir()
    (inbox / "ada.ipynb").write_bytes(nb.to_json(papers.right))
    tiny("grade", "run", "01", "--course", "room", "--from", inbox)
    source = tiny.course / "modules" / "01_double" / "double_dev.py"
    source.write_text(source.read_text().replace("check_close(double(-3.0), -6.0", "check_close(double(-3.0), -7.0"))
    text = tiny("release", "01", "--to", "room").flat
    assert "updated 01_double (1 graded submissions will be graded again by: tito grade run 01)" in text
    answer = tiny.json("grade", "run", "01", "--course", "room")
    facts = answer["students"][0]
    assert (answer["ran"], facts["points"]) == (
        1,
        {"01-1": 5, "01-2": 5},
    )  # marks are the probes', whatever a test says


@pytest.mark.slow
def test_other_cells_are_refused_once_submissions_are_graded(tiny, papers):
    tiny("release", "01", "--to", "room")
    inbox = tiny.folder / "inbox"
    inbox.mkdir()
    (inbox / "ada.ipynb").write_bytes(nb.to_json(papers.right))
    tiny("grade", "run", "01", "--course", "room", "--from", inbox)
    released = tiny.folder / "room" / "release" / "01_double" / "double.ipynb"
    before = released.read_bytes()
    source = tiny.course / "modules" / "01_double" / "double_dev.py"
    source.write_text(source.read_text().replace("01-q1", "01-q2"))
    text = tiny("release", "01", "--to", "room", code=1).flat
    assert "other cells than when it was released" in text and "nbgrader db assignment remove 01_double" in text
    assert released.read_bytes() == before
    answer = tiny.json("grade", "run", "01", "--course", "room")
    assert (answer["ran"], answer["students"][0]["earned"]) == (0, 10)


def test_a_module_that_changed_its_cells_before_anything_was_handed_in_is_updated(tiny):
    tiny("release", "01", "--to", "room")
    source = tiny.course / "modules" / "01_double" / "double_dev.py"
    source.write_text(source.read_text().replace("01-q1", "01-q2"))
    assert "updated    01_double" in tiny("release", "01", "--to", "room").text
    with sqlite3.connect(tiny.folder / "room" / "gradebook.db") as book:
        assert ("01-q1",) not in book.execute("SELECT name FROM base_cell").fetchall()


def test_ranges_and_what_is_wrong_with_them(tiny):
    assert "runs backwards" in tiny("release", "02-01", "--to", "room", code=2).flat
    assert "there is no module" in tiny("release", "01-09", "--to", "room", code=2).flat
    assert "there is no module" in tiny("release", "nothing", "--to", "room", code=2).flat
    assert "--borrowable is for kits" in tiny("release", "01", "--to", "room", "--borrowable", "01", code=2).flat
    assert not (tiny.folder / "room").exists()


def test_places_that_are_not_for_assignments(tiny):
    (tiny.folder / "full").mkdir()
    (tiny.folder / "full" / "thesis.tex").write_text("mine")
    text = tiny("release", "01", "--to", "full", code=2).flat
    assert "holds other things (thesis.tex)" in text
    assert sorted(p.name for p in (tiny.folder / "full").iterdir()) == ["thesis.tex"]
    assert "is a course itself" in tiny("release", "01", "--to", tiny.course, code=2).flat
    assert "is not a folder" in tiny("release", "01", "--to", "full/thesis.tex", code=2).flat


def test_a_module_that_does_not_compile_leaves_nothing_behind(tiny):
    source = tiny.course / "modules" / "02_square" / "square_dev.py"
    source.write_text(source.read_text().replace("def twice_the_square(x):", "def twice_the_square(x:"))
    assert "square_dev.py" in tiny("release", "01-02", "--to", "room", code=3).flat
    assert not (tiny.folder / "room").exists()


@pytest.mark.slow
def test_nbgraders_own_commands_work_in_the_folder(teacher, papers):
    folder = teacher.folder
    assert "01_double (due: None)" in run_nbgrader(folder, "db", "assignment", "list")
    run_nbgrader(folder, "list")
    for path in ("source/01_double/double.ipynb", "source/02_square/square.ipynb"):
        assert "Your notebook passes all the tests" in run_nbgrader(folder, "validate", path)
    assert "VALIDATION FAILED ON 3 CELL(S)" in run_nbgrader(folder, "validate", "release/01_double/double.ipynb")
    before = nb.read(folder / "release" / "01_double" / "double.ipynb")
    run_nbgrader(folder, "generate_assignment", "01_double", "--force")
    assert nb.to_json(nb.read(folder / "release" / "01_double" / "double.ipynb")) == nb.to_json(before)


@pytest.mark.slow
def test_nbgraders_own_autograder_gives_the_same_marks(teacher, papers):
    for student, notebook in {
        "ada": papers.right,
        "bob": papers.blank,
        "carl": papers.wrong("01-2"),
        "dora": papers.with_body("01-2", "from tinytorch.core.double import quadruple as q\nreturn q(x)"),
    }.items():
        path = teacher.folder / "submitted" / student / "01_double" / "double.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(nb.to_json(notebook))
    run_nbgrader(teacher.folder, "autograde", "01_double")
    query = "SELECT s.student_id, sum(auto_score) FROM grade g JOIN submitted_notebook n ON n.id = g.notebook_id \
        JOIN submitted_assignment s ON s.id = n.assignment_id GROUP BY 1"
    with sqlite3.connect(teacher.folder / "gradebook.db") as book:
        by_hand = dict(book.execute(query))
    answer = teacher.grade("--again")
    assert by_hand == {name: facts["earned"] for name, facts in answer["students"].items()}
    assert by_hand == {"ada": 10, "bob": 0, "carl": 5, "dora": 5}


@pytest.mark.slow
def test_the_folder_can_be_moved(teacher, papers, tmp_path):
    shutil.move(teacher.folder, tmp_path / "elsewhere")
    teacher.folder = tmp_path / "elsewhere"
    teacher.receive("ada.ipynb", papers.right)
    assert teacher.grade()["students"]["ada"]["earned"] == 10
    assert (teacher.folder / "autograded" / "ada" / "01_double" / "double.ipynb").exists()
