"""`tito grade run`, `export` and `status` on a class of all kinds."""

import contextlib
import csv
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile

import filelock
import psutil
import pytest

from tests.conftest import TINY
from tests.grading.conftest import Teacher
from tito import notebook as nb

pytestmark = pytest.mark.slow  # many processes
BY_NBGRADER = ("--executor", "nbgrader")

LOOP = "while True:\n    pass"


@pytest.fixture(scope="module")
def graded(released, papers, tmp_path_factory):
    """A class graded once: `(teacher, answer)`."""
    folder = tmp_path_factory.mktemp("class")
    shutil.copytree(released, folder / "room")
    teacher = Teacher(folder / "room")
    tagged = json.loads(json.dumps(papers.blank))
    for cell in tagged["cells"]:
        cell["metadata"]["tags"] = ["measure", "skip-execution"]
    doubled = papers.without()
    doubled["cells"] += [dict(papers.right["cells"][-1])]
    clash = papers.without()
    clash["cells"].append({**papers.cell("01-1"), "source": "#| export\ndef double(x):\n    return 1"})
    stripped = papers.without()
    stripped["cells"] = [{**cell, "metadata": {}} for cell in stripped["cells"]]
    loud = "import warnings\nwarnings.warn('careful')\nreturn np.add(x, x)"
    for name, what in {
        "correct.ipynb": papers.right,
        "untouched.ipynb": papers.blank,
        "wrong-1.ipynb": papers.wrong("01-1"),
        "wrong-2.ipynb": papers.wrong("01-2"),
        "wrong-3.ipynb": papers.wrong("01-2", 1),
        "dies.ipynb": papers.with_body("01-2", "import os\nos._exit(3)"),
        "not-json.ipynb": '{"cells": [',
        "not-text.ipynb": b"\xff\xfe\x00\x01",
        "other-json.ipynb": '{"hello": 1}',
        "no-test-cell.ipynb": papers.without("01-1-test", "01-here"),
        "edited-test.ipynb": papers.with_source("01-1-test", "pass", papers.blank),
        "twice.ipynb": doubled,
        "clash.ipynb": clash,
        "no-answer.ipynb": papers.without("01-1"),
        "no-metadata.ipynb": stripped,
        "endless.ipynb": papers.with_body("01-2", LOOP),
        "sys-exit.ipynb": papers.with_body("01-2", "import sys\nsys.exit(0)"),
        "syntax.ipynb": papers.with_source("01-2", "#| export\ndef quadruple(x:\n"),
        "tagged.ipynb": tagged,
        "loud.ipynb": papers.with_body("01-1", loud),
        "percent.py": nb.to_percent(papers.wrong("01-2")),
    }.items():
        teacher.receive(name, what)
    return teacher, teacher.grade("--seconds", "2")


def points(graded, student):
    facts = graded[1]["students"][student]
    return facts["status"], facts["points"]["01-1"], facts["points"]["01-2"], facts["earned"]


def remarks(graded, student):
    return " ".join(graded[1]["students"][student]["remarks"])


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ("correct", ("graded", 5, 5, 10)),
        ("untouched", ("graded", 0, 0, 0)),
        ("wrong-1", ("graded", 0, 5, 5)),  # the second task is built on the first, and right
        ("wrong-2", ("graded", 5, 0, 5)),
        ("wrong-3", ("graded", 5, 0, 5)),
        ("percent", ("graded", 5, 0, 5)),
        ("dies", ("crashed", 5, None, None)),
        ("not-json", ("invalid", None, None, None)),
        ("not-text", ("invalid", None, None, None)),
        ("other-json", ("invalid", None, None, None)),
        ("no-metadata", ("invalid", None, None, None)),
        ("clash", ("invalid", None, None, None)),
        ("no-test-cell", ("graded", 5, 5, 10)),
        ("edited-test", ("graded", 0, 0, 0)),
        ("tagged", ("graded", 0, 0, 0)),
        ("twice", ("graded", 5, 5, 10)),
        ("no-answer", ("partly", None, 5, 5)),
        ("endless", ("timeout", 5, None, None)),
        ("sys-exit", ("graded", 5, 0, 5)),
        ("syntax", ("graded", 5, 0, 5)),
        ("loud", ("graded", 5, 5, 10)),
    ],
)
def test_each_submission_gets_what_it_is_worth_and_never_a_silent_zero(graded, student, expected):
    assert points(graded, student) == expected


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("dies", "01-2: the process ended itself (exit code 3)"),
        ("wrong-1", "01-2 is right once 01-1 is right"),
        ("not-json", "line 1 is not JSON"),
        ("not-text", "not text in UTF-8 (byte 0)"),
        ("other-json", "not a notebook"),
        ("no-metadata", "none of the 2 cells to fill in is there"),
        ("clash", "there are two cells 01-1, and they differ"),
        ("no-test-cell", "deleted given cells were put back: 01-here, 01-1-test"),
        ("edited-test", "edits to given cells do not count: 01-1-test"),
        ("twice", "more than once: 01-q1"),
        ("no-answer", "cell 01-1 is missing; its points are not known"),
        ("endless", "01-2: it was stopped after 2 s"),
        ("syntax", "syntax error in cell 01-2, line 2"),
    ],
)
def test_what_was_mended_or_went_wrong_is_said(graded, student, said):
    assert said in remarks(graded, student)


def test_the_gradebook_holds_no_zero_for_what_nobody_knows(graded):
    book = sqlite3.connect(graded[0].folder / "gradebook.db")
    query = """SELECT s.student_id, c.name, g.auto_score, g.needs_manual_grade FROM grade g
        JOIN base_cell c ON c.id = g.cell_id JOIN submitted_notebook n ON n.id = g.notebook_id
        JOIN submitted_assignment s ON s.id = n.assignment_id"""
    found = {(student, cell): (auto, manual) for student, cell, auto, manual in book.execute(query)}
    assert found["correct", "01-1-test"] == (5, 0)
    assert found["untouched", "01-1-test"] == (0, 0)
    for unknown in (("dies", "01-2-test"), ("endless", "01-2-test"), ("no-answer", "01-1-test")):
        assert found[unknown] == (None, 1)


def test_the_table_fits_and_lists_what_needs_a_person(graded):
    text = graded[0]("grade", "run", "01", "--seconds", "2").text
    assert max(map(len, text.splitlines())) <= 80
    assert "not graded, look at submitted/STUDENT/01_double" in text
    assert "untouched     0  0       0  graded" in text
    assert "endless       5  -       -  timeout" in text
    assert text.splitlines()[-1] == "next: tito grade export 01"


def test_nothing_that_is_known_runs_again(graded):
    again = graded[0].grade("--seconds", "2")
    assert again["ran"] == 0
    assert again["students"] == graded[1]["students"]
    assert {one["done"] for one in again["collected"].values()} == {"unchanged"}


def test_export_leaves_empty_what_is_not_graded(graded):
    teacher, _ = graded
    teacher("grade", "export", "01")
    rows = {row["student"]: row for row in csv.DictReader((teacher.folder / "marks.csv").open())}
    assert rows["correct"] == {
        "student": "correct", "assignment": "01_double", "01-1": "5", "01-2": "5", "01-q1": "0",
        "tasks": "10", "tasks_max": "10", "total": "10", "max": "15", "status": "graded",
    }  # fmt: skip
    assert (rows["untouched"]["tasks"], rows["untouched"]["status"]) == ("0", "graded")
    for student in ("dies", "not-json", "endless", "clash"):
        assert (rows[student]["tasks"], rows[student]["total"], rows[student]["01-2"]) == ("", "", "")
        assert rows[student]["status"] not in ("graded", "partly")


def test_export_in_nbgraders_own_form_leaves_it_empty_too(graded):
    teacher, _ = graded
    teacher("grade", "export", "01", "--format", "nbgrader", "--to", "own.csv")
    rows = {row["student_id"]: row for row in csv.DictReader((teacher.folder / "own.csv").open())}
    assert rows["correct"]["score"] == "10.0" and rows["correct"]["max_score"] == "15.0"
    assert rows["untouched"]["score"] == "0.0"
    assert rows["dies"]["score"] == rows["not-json"]["raw_score"] == ""


def test_status_counts(graded):
    rows = {row["assignment"]: row for row in graded[0].json("grade", "status")["assignments"]}
    assert rows["01_double"] == {
        "assignment": "01_double", "handed_in": 21, "graded": 14, "waiting": 0, "review": 7, "missing": 0, "by_hand": 0,
    }  # fmt: skip
    assert rows["02_square"]["missing"] == 21 and rows["02_square"]["handed_in"] == 0


# --- again, and again ---


def test_only_what_changed_runs_and_the_old_one_is_kept(teacher, papers):
    teacher.receive("ada.ipynb", papers.blank)
    teacher.receive("bob.ipynb", papers.right)
    assert teacher.grade()["ran"] == 2
    teacher.receive("ada.ipynb", papers.right)
    answer = teacher.grade()
    assert (answer["ran"], answer["students"]["ada"]["earned"]) == (1, 10)
    assert answer["collected"]["ada.ipynb"]["done"] == "replaced"
    (earlier,) = teacher.folder.glob(".grading/earlier/ada/01_double/*.ipynb")
    assert earlier.read_bytes() == nb.to_json(papers.blank)
    assert teacher.grade("--again")["ran"] == 2


def test_an_old_mark_does_not_stand_for_a_new_submission_that_cannot_run(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    assert teacher.grade()["students"]["ada"]["earned"] == 10
    teacher.receive("ada.ipynb", "not a notebook")
    assert teacher.grade()["students"]["ada"]["earned"] is None
    teacher("grade", "export", "01", "--format", "nbgrader", "--to", "own.csv")
    assert list(csv.DictReader((teacher.folder / "own.csv").open()))[0]["score"] == ""
    with sqlite3.connect(teacher.folder / "gradebook.db") as book:
        assert book.execute("SELECT max(auto_score) FROM grade").fetchone() == (None,)


def test_a_gradebook_that_lost_its_marks_is_filled_again(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    teacher.grade()
    with sqlite3.connect(teacher.folder / "gradebook.db") as book:
        book.execute("UPDATE grade SET auto_score = 1")
    answer = teacher.grade()
    assert (answer["ran"], answer["students"]["ada"]["earned"]) == (1, 10)


def test_a_timeout_is_tried_again_with_more_time(teacher, papers):
    slow = "import time\ntime.sleep(3)\nreturn double(double(x))"
    teacher.receive("ada.ipynb", papers.with_body("01-2", slow))
    assert teacher.grade("--seconds", "1")["students"]["ada"]["status"] == "timeout"
    assert teacher.grade("--seconds", "1")["ran"] == 0
    answer = teacher.grade("--seconds", "20")
    assert (answer["ran"], answer["students"]["ada"]["earned"]) == (1, 10)


def test_marks_given_by_hand_count_first(teacher, papers):
    answered = papers.with_source("01-q1", "Because 2 * 2 = 4.")
    teacher.receive("ada.ipynb", answered)
    first = teacher.grade()["students"]["ada"]
    assert (first["earned"], first["waiting"], first["by_hand"]) == (10, ["01-q1"], {"01-q1": None})
    assert "answers to be marked by hand, in nbgrader's formgrader: 1" in teacher("grade", "run", "01").flat
    with sqlite3.connect(teacher.folder / "gradebook.db") as book:
        book.execute("UPDATE grade SET manual_score = 4 WHERE auto_score IS NULL")
    teacher("grade", "export", "01")
    (row,) = csv.DictReader((teacher.folder / "marks.csv").open())
    assert (row["01-q1"], row["tasks"], row["total"], row["max"]) == ("4", "10", "14", "15")


def test_a_module_is_graded_on_top_of_the_references_lower_ones(teacher, papers):
    from tests.grading.conftest import Papers
    from tito.course import Course

    second = Papers(Course(TINY).modules[1])
    teacher.receive("ada.ipynb", second.right)
    teacher.receive("bob.ipynb", second.wrong("02-1"))
    found = teacher.grade(number="02")["students"]
    assert (found["ada"]["earned"], found["bob"]["earned"]) == (5, 0)


def test_the_graded_module_itself_cannot_be_imported(teacher, papers):
    cheat = "from tinytorch.core.double import quadruple as theirs\nreturn theirs(x)"
    teacher.receive("ada.ipynb", papers.with_body("01-2", cheat))
    assert teacher.grade()["students"]["ada"]["points"] == {"01-1": 5, "01-2": 0}


def test_who_handed_in_nothing_is_missing_and_has_no_mark(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    (teacher.folder / "submitted" / "bob" / "01_double").mkdir(parents=True)
    (teacher.folder / "submitted" / "bob" / "01_double" / "Untitled.ipynb").write_bytes(nb.to_json(papers.right))
    subprocess.run([sys.executable, "-m", "nbgrader", "db", "student", "add", "carl"], cwd=teacher.folder, check=True)
    found = teacher.grade()["students"]
    assert found["ada"]["earned"] == 10
    assert (found["bob"]["status"], found["bob"]["earned"]) == ("missing", None)
    assert "there is no double.ipynb in bob/01_double, only: Untitled.ipynb" in found["bob"]["remarks"]
    assert found["carl"]["remarks"] == ["nothing was handed in"]


# --- taking in what students sent ---


def test_each_thing_in_the_inbox_is_named_with_what_was_done(teacher, papers, tmp_path):
    teacher.receive("ada.ipynb", papers.right)
    teacher.receive("bob/double.ipynb", papers.right)
    teacher.receive("carl/01_double/double.py", nb.to_percent(papers.right))
    teacher.receive("dora/my double (1).ipynb", papers.right)
    teacher.receive("eve/notes.ipynb", {**papers.right, "cells": []})
    teacher.receive("double.ipynb", papers.right)
    teacher.receive("readme.txt", "hello")
    teacher.receive("fred.ipynb", papers.right)
    teacher.receive("fred.py", nb.to_percent(papers.right))
    teacher.receive("-rf.ipynb", papers.right)
    teacher.receive("g*.ipynb", papers.right)
    secret = tmp_path / "secret.ipynb"
    secret.write_bytes(nb.to_json(papers.right))
    (teacher.inbox / "hal.ipynb").symlink_to(secret)
    teacher.receive("ian.py", b"\xff\xfe# %%")
    found = teacher.grade()
    done = {what: one["done"] for what, one in found["collected"].items()}
    assert done == {
        "ada.ipynb": "taken", "bob": "taken", "carl": "taken", "dora": "taken", "eve": "refused",
        "double.ipynb": "refused", "readme.txt": "ignored", "fred.ipynb": "refused", "fred.py": "refused",
        "-rf.ipynb": "refused", "g*.ipynb": "refused", "hal.ipynb": "refused", "ian.py": "refused",
    }  # fmt: skip
    why = {what: one["why"] for what, one in found["collected"].items()}
    assert why["dora"] == "taken from my double (1).ipynb"
    assert why["double.ipynb"] == "it does not say whose it is; call it STUDENT.ipynb"
    assert why["fred.py"] == "fred stands here more than once: fred.ipynb, fred.py"
    assert "link" in why["hal.ipynb"]
    assert {name for name, facts in found["students"].items() if facts["earned"] == 10} == {
        "ada", "bob", "carl", "dora",
    }  # fmt: skip
    assert sorted(p.name for p in (teacher.folder / "submitted").iterdir()) == ["ada", "bob", "carl", "dora"]


def test_zips_of_tito_submit_are_taken_and_others_refused(teacher, papers, tmp_path):
    student = Teacher(_made(tmp_path / "ada"), TINY)
    student("init", "work")
    student.folder = student.folder / "work"
    student("module", "start", "01")
    (student.folder / "01_double" / "double.ipynb").write_bytes(nb.to_json(papers.right))
    packed = student.json("submit", "01", "--name", "ada")
    shutil.copy(student.folder / packed["file"], teacher.inbox / "from-the-lms.zip")
    right, box = nb.to_json(papers.right), teacher.inbox
    with zipfile.ZipFile(box / "slip.zip", "w") as archive:
        archive.writestr("manifest.json", '{"student": "eve"}')
        archive.writestr("double.ipynb", right)
        archive.writestr("../../outside.txt", "here")
    with zipfile.ZipFile(box / "name.zip", "w") as archive:
        archive.writestr("manifest.json", '{"student": "../../eve"}')
        archive.writestr("double.ipynb", right)
    with zipfile.ZipFile(box / "bare.zip", "w") as archive:
        archive.writestr("double.ipynb", right)
    with zipfile.ZipFile(box / "other.zip", "w") as archive:
        archive.writestr("manifest.json", '{"student": "eve", "module": "02_square"}')
        archive.writestr("square.ipynb", right)
    with zipfile.ZipFile(box / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", '{"student": "eve"}')
        archive.writestr("double.ipynb", b"0" * (101 << 20))
    with zipfile.ZipFile(box / "changed.zip", "w") as archive:
        archive.writestr("manifest.json", '{"student": "eve", "sha256": "00"}')
        archive.writestr("double.ipynb", right)
    (box / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    found = teacher.grade()
    done = {what: (one["done"], one["why"]) for what, one in found["collected"].items()}
    assert done.pop("from-the-lms.zip") == ("taken", "")
    assert done.pop("other.zip") == ("ignored", "it is a submission of 02_square")
    assert {status for status, _ in done.values()} == {"refused"}
    assert done["slip.zip"][1] == "it holds a path that leads outside: ../../outside.txt"
    assert "cannot be a student's id" in done["name.zip"][1]
    assert "too many files or bytes" in done["bomb.zip"][1]
    assert "changed afterwards" in done["changed.zip"][1]
    assert found["students"].keys() == {"ada"} and found["students"]["ada"]["earned"] == 10
    assert not list(tmp_path.rglob("outside.txt"))


def _made(folder):
    (folder / "here").mkdir(parents=True)
    return folder / "here"


# --- what stands in the way ---


def test_empty_inbox_and_no_submissions(teacher):
    assert "is empty" in teacher("grade", "run", "01", "--from", teacher.inbox, code=2).flat
    assert "nowhere does not exist" in teacher("grade", "run", "01", "--from", "nowhere", code=2).flat
    text = teacher("grade", "run", "01", code=2).flat
    assert "no submissions of 01_double" in text and "--from FOLDER_OF_SUBMISSIONS" in text


def test_wrong_places_and_unknown_modules(teacher, tmp_path):
    assert "did you mean" in teacher("grade", "run", "doubel", code=2).flat
    assert "there is no module '9'" in teacher("grade", "run", "9", code=2).flat
    text = teacher("grade", "run", "01", "--course", tmp_path, code=2).flat
    assert "is not a course folder" in text and "tito release 01 --to FOLDER" in text
    shutil.rmtree(teacher.folder / "release" / "02_square")
    assert "module 02 is not released in" in teacher("grade", "run", "02", code=2).flat
    assert "there is no folder" in teacher("grade", "export", "01", "--to", "no/where.csv", code=2).flat


def test_a_locked_gradebook_is_named_and_nothing_is_lost(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    other = sqlite3.connect(teacher.folder / "gradebook.db")
    other.execute("BEGIN EXCLUSIVE")
    text = teacher("grade", "run", "01", "--from", teacher.inbox, code=3).flat
    assert "has been locked by another program" in text and "formgrader" in text
    other.rollback()
    other.close()
    assert teacher.grade()["students"]["ada"]["earned"] == 10


def test_a_damaged_gradebook_is_named(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    (teacher.folder / "gradebook.db").write_bytes(b"this is no database at all, sorry" * 100)
    assert "gradebook.db" in teacher("grade", "run", "01", "--from", teacher.inbox, code=3).flat


@pytest.fixture
def two_modules(teacher, papers, square_papers):
    """Four who have module 02 right, on a module 01 that is right, wrong, no notebook, and not there."""
    for student in ("ada", "bob", "carl", "dora"):
        teacher.receive(f"class/{student}/02_square/square.ipynb", square_papers.right)
    teacher.receive("class/ada/01_double/double.ipynb", papers.right)
    teacher.receive("class/bob/01_double/double.ipynb", papers.wrong("01-1"))
    teacher("grade", "collect", teacher.inbox / "class")
    broken = teacher.folder / "submitted" / "carl" / "01_double" / "double.ipynb"
    broken.parent.mkdir()
    broken.write_text('{"cells": [')
    return teacher


def test_submissions_stand_on_the_reference_or_on_what_the_student_has(two_modules):
    """`--own-lower`: an early mistake costs what stands on it."""

    def grade(*options):
        answer = two_modules.json("grade", "run", "02", *options)
        found = {facts["student"]: facts for facts in answer["students"]}
        return answer["ran"], {student: facts["earned"] for student, facts in found.items()}, found["carl"]["remarks"]

    everybody = dict.fromkeys(("ada", "bob", "carl", "dora"), 5)
    ran, earned, remarks = grade("--own-lower")
    assert (ran, earned) == (4, {**everybody, "bob": 0})
    assert remarks[-1].startswith("module 01 is the reference's: double.ipynb is not")
    assert grade("--own-lower")[:2] == (0, {**everybody, "bob": 0})
    status = two_modules.json("grade", "status")["assignments"]
    assert next(one for one in status if one["assignment"] == "02_square")["graded"] == 4
    assert grade()[:2] == (2, everybody)  # carl and dora stood on the reference before
    text = two_modules("grade", "run", "02", "--own-lower", "--executor", "nbgrader", code=2).flat
    assert "reference's lower modules only" in text


def keep_marks_in(teacher, url):
    """Name another database in nbgrader's configuration of the course folder, as its instructor would."""
    with open(teacher.folder / "nbgrader_config.py", "a") as file:
        file.write(f"\nc.CourseDirectory.db_url = {url!r}\n")
    (teacher.folder / "gradebook.db").unlink()


@pytest.mark.parametrize("options", [(), BY_NBGRADER], ids=["isolated", "nbgrader"])
def test_marks_are_kept_in_the_database_that_nbgraders_configuration_names(teacher, papers, options):
    elsewhere = teacher.folder.parent / "marks of all.db"
    keep_marks_in(teacher, f"sqlite:///{elsewhere}")
    teacher("release", "01-02", "--to", ".")
    teacher.receive("ada.ipynb", papers.right)
    assert teacher.json("grade", "run", "01", "--from", teacher.inbox, *options)["students"][0]["earned"] == 10
    with contextlib.closing(sqlite3.connect(elsewhere)) as book:
        assert book.execute("SELECT SUM(auto_score) FROM grade").fetchall() == [(10,)]
    teacher("grade", "export", "01")
    assert "ada" in (teacher.folder / "marks.csv").read_text()
    assert not (teacher.folder / "gradebook.db").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "Could not parse SQLAlchemy URL"),
        ("nosuch://tito:secret@localhost/marks", "nosuch"),
        ("sqlite:////no/such/folder/marks.db", "sqlite:////no/such/folder/marks.db cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(teacher, papers, url, said):
    keep_marks_in(teacher, url)
    teacher.receive("ada.ipynb", papers.right)
    text = teacher("grade", "run", "01", "--from", teacher.inbox, code=3).flat
    assert said in text and "secret" not in text and "Traceback" not in text


def test_when_the_course_itself_fails_nobody_gets_a_zero(teacher, papers, tmp_path):
    shutil.copytree(TINY, tmp_path / "broken")
    source = tmp_path / "broken" / "modules" / "01_double" / "double_dev.py"
    source.write_text(source.read_text().replace("return np.add(x, x)", "return np.no_such_function(x)"))
    teacher.course = tmp_path / "broken"
    teacher.receive("ada.ipynb", papers.right)
    text = teacher("grade", "run", "01", "--from", teacher.inbox, code=3).flat
    assert "the reference does not come to its end" in text and "no_such_function" in text
    assert teacher.json("grade", "status", "01")["assignments"][0]["waiting"] == 1


def test_a_loop_that_cannot_be_interrupted_ends_too(teacher, papers):
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    teacher.receive("ada.ipynb", papers.with_body("01-1", stubborn))
    facts = teacher.grade("--seconds", "1")["students"]["ada"]
    assert (facts["status"], facts["points"]) == ("timeout", {"01-1": None, "01-2": 5})


# --- with nbgrader as the one who runs them ---


def test_nbgrader_may_run_them_instead(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    teacher.receive("bob.ipynb", papers.wrong("01-1"))
    answer = teacher.grade(*BY_NBGRADER)["students"]
    assert [answer[name]["points"] for name in ("ada", "bob")] == [{"01-1": 5, "01-2": 5}, {"01-1": 0, "01-2": 0}]
    assert teacher.grade("--no-siblings")["students"]["bob"]["points"] == {"01-1": 0, "01-2": 0}
    text = teacher("grade", "run", "01", "--again", *BY_NBGRADER).flat
    assert "submissions run without isolation" in text


def test_when_the_courses_own_cells_fail_nobody_gets_a_zero(teacher, papers, tmp_path):
    shutil.copytree(TINY, tmp_path / "broken")
    package = tmp_path / "broken" / "tinytorch"
    (package / "__init__.py").write_text("")
    (package / "testing.py").write_text("raise ImportError('this machine lacks something')\n")
    teacher.course = tmp_path / "broken"
    teacher.receive("ada.ipynb", papers.right)
    text = teacher("grade", "run", "01", "--from", teacher.inbox, *BY_NBGRADER, code=3).flat
    assert "the course's own cell" in text and "this machine lacks something" in text
    assert teacher.json("grade", "status", "01")["assignments"][0]["waiting"] == 1


def test_with_nbgrader_too_each_is_only_its_own_loss(teacher, papers):
    murder = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nreturn double(double(x))"
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    teacher.receive("ada.ipynb", papers.right)
    teacher.receive("bob.ipynb", papers.with_body("01-2", murder))
    teacher.receive("carl.ipynb", papers.with_body("01-1", stubborn))
    teacher.receive("dora.ipynb", papers.with_body("01-2", LOOP))
    teacher.receive("eve.ipynb", papers.right)
    found = teacher.grade("--jobs", "1", "--seconds", "1", *BY_NBGRADER)["students"]
    assert {name: (facts["status"], facts["points"]["01-1"]) for name, facts in found.items()} == {
        "ada": ("graded", 5), "bob": ("crashed", None), "carl": ("timeout", None), "dora": ("timeout", 5),
        "eve": ("graded", 5),
    }  # fmt: skip
    assert "cell 01-2-test was stopped after 1 s" in found["dora"]["remarks"]


def test_nbgraders_own_commands_work_on_what_grading_leaves(teacher, papers):
    """Feedback is made from the graded notebook and the gradebook; the formgrader lists what waits for a person."""
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory

    teacher.receive("ada.ipynb", papers.with_source("01-q1", "Because 2 * 2 = 4.", papers.wrong("01-2")))
    teacher.grade()
    command = [sys.executable, "-m", "nbgrader", "generate_feedback", "01_double"]
    done = subprocess.run(command, cwd=teacher.folder, env=teacher.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (teacher.folder / "feedback" / "ada" / "01_double" / "double.html").read_text()
    assert "Score: 5.0 / 15.0" in page and "0 of 5" in page and "this is what comes out when" in page
    coursedir = CourseDirectory(root=str(teacher.folder), db_url=f"sqlite:///{teacher.folder}/gradebook.db")
    (found,) = NbGraderAPI(coursedir).get_submissions("01_double")
    assert (found["student"], found["autograded"], found["score"]) == ("ada", True, 5.0)
    assert (found["needs_manual_grade"], found["max_score"], found["submitted"]) == (True, 15.0, True)


# --- ended in the middle ---


def started(teacher, *arguments):
    """`tito grade run 01` as a process of its own, to be ended in the middle."""
    command = [sys.executable, "-m", "tito.cli", "grade", "run", "01", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=teacher.folder, env=teacher.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.parametrize("executor", [(), BY_NBGRADER], ids=["isolated", "nbgrader"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_ended_in_the_middle_it_keeps_what_is_done(teacher, papers, number, code, executor):
    teacher.receive("ada.ipynb", papers.right)
    teacher.receive("bob.ipynb", papers.with_body("01-1", LOOP))
    running = started(teacher, "--from", teacher.inbox, "--jobs", "1", "--seconds", "60", *executor)
    wait_until((teacher.folder / ".grading" / "results" / "01_double" / "ada.json").exists)
    wait_until(lambda: any(busy(process) for process in below(running.pid)))
    processes = below(running.pid)
    running.send_signal(number)
    output, _ = running.communicate(timeout=30)
    assert running.returncode == code and b"Traceback" not in output
    wait_until(lambda: not any(process.is_running() for process in processes), seconds=10)
    assert (teacher.folder / ".grading" / "run").exists() == (number == signal.SIGKILL)
    answer = teacher.grade("--seconds", "1", *executor)
    assert (answer["ran"], answer["students"]["ada"]["earned"]) == (1, 10)
    assert answer["students"]["bob"]["status"] == "timeout"


def below(pid):
    """The processes that a process started, and those that they started."""
    return psutil.Process(pid).children(recursive=True)


def busy(process):
    """Whether it has been computing for a while: an endless loop."""
    with contextlib.suppress(psutil.Error):
        return sum(process.cpu_times()[:2]) > 2
    return False


def test_two_at_once(teacher, papers):
    teacher.receive("ada.ipynb", papers.right)
    with filelock.FileLock(teacher.folder / ".grading" / "lock"):
        text = teacher("grade", "run", "01", "--from", teacher.inbox, code=3).flat
    assert "another tito has been releasing or grading" in text
    assert not list((teacher.folder / "submitted").iterdir())


def test_nothing_is_left_running_or_lying_about(graded):
    teacher, _ = graded
    assert sorted(path.name for path in (teacher.folder / ".grading").iterdir()) == [
        "exchange", "lock", "reference", "results",
    ]  # fmt: skip
    assert not [process for process in psutil.process_iter() if is_for(teacher, process)]


def is_for(teacher, process):
    with contextlib.suppress(psutil.Error):
        return str(teacher.folder) in " ".join([*process.cmdline(), *process.environ().values()])
    return False
