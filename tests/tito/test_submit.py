"""`tito submit` on the tiny course, and what nbgrader makes of it."""

import hashlib
import json
import subprocess
import sys
import zipfile

import pytest

from tito import notebook as nb
from tito.course import Course

PATH = "01_double/double.ipynb"


def packed(student, name="01_double"):
    """`(notebook, manifest)` of the zip."""
    with zipfile.ZipFile(student.work / "submissions" / f"{name}.zip") as file:
        assert file.testzip() is None
        assert file.namelist() == ["double.ipynb", "manifest.json"]
        data = file.read("double.ipynb")
        manifest = json.loads(file.read("manifest.json"))
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    return json.loads(data), manifest


def cells(notebook):
    return {cell["id"]: cell["source"] for cell in notebook["cells"]}


def change(student, function):
    """Let `function` change the list of cells of the student's notebook."""
    notebook = json.loads((student.work / PATH).read_text())
    function(notebook["cells"])
    (student.work / PATH).write_text(json.dumps(notebook))


def position(cells, identity):
    return next(i for i, cell in enumerate(cells) if cell["id"] == identity)


def require_nbgrader_accepts(notebook):
    import nbformat
    from nbgrader.nbgraderformat import MetadataValidator

    parsed = nbformat.reads(json.dumps(notebook), as_version=4)
    nbformat.validate(parsed)
    MetadataValidator().validate_nb(parsed)
    ids = [nb.grade_id(cell) for cell in notebook["cells"] if nb.grade_id(cell)]
    assert len(ids) == len(set(ids)) and len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_finished_work_is_packed_with_a_manifest(student):
    student.solve("01-1")
    student.solve("01-2")
    student.edit(PATH, "01-q1", "Why?\n\nBecause 2 * 2 = 4.")
    text = student("submit", "01", "--name", "ada").text
    assert text.splitlines()[0] == "ok    01 double: all tests pass, 10 points"
    assert "packed submissions/01_double.zip for student ada" in text and "not answered" not in text
    assert text.splitlines()[-1].startswith("next: hand in")
    notebook, manifest = packed(student)
    assert "np.add(x, x)" in cells(notebook)["01-1"] and "2 * 2" in cells(notebook)["01-q1"]
    course = Course(student.course)
    assert manifest["student"] == "ada" and manifest["module"] == "01_double" and manifest["format"] == 1
    assert manifest["course"] == "0.0.1" and manifest["course_hash"] == course.hash
    assert manifest["module_hash"] == course.modules[0].hash and manifest["tasks"] == {"01-1": "ok", "01-2": "ok"}
    assert manifest["tito"] and manifest["time"][:2] == "20"
    require_nbgrader_accepts(notebook)


def test_unfinished_work_may_be_handed_in_and_is_called_so(student):
    student.solve("01-1", "np.multiply(x, x)")
    before = (student.work / PATH).read_bytes()
    text = student("submit").flat
    assert "01 double is unfinished: 01-1, 01-2 would lose 10 of 10 points" in text
    assert "not answered: 01-q1, 5 points" in text and "packed submissions/01_double.zip" in text
    assert packed(student)[1]["tasks"] == {"01-1": "failed", "01-2": "todo"}
    assert (student.work / PATH).read_bytes() == before
    require_nbgrader_accepts(packed(student)[0])


def test_the_account_is_the_student_unless_one_is_named(student):
    assert student.json("submit", LOGNAME="grace")["student"] == "grace"
    assert student.json("submit", "--name", "ada.l@uni-x", LOGNAME="grace")["student"] == "ada.l@uni-x"
    (student.work / "submissions" / "01_double.zip").unlink()
    for name in ("../ada", "a/b", "", ".ada", "a" * 101):
        assert "cannot be a student's id" in student("submit", "--name", name, code=2).flat
    assert not (student.work / "submissions" / "01_double.zip").exists()


def test_the_same_work_gives_the_same_bytes_but_for_the_time(student):
    first = packed(student) if student("submit") else None
    change(student, lambda cells: [cell.update(outputs=[], execution_count=7) for cell in cells if "outputs" in cell])
    student("submit")
    second = packed(student)
    assert {**first[1], "time": 0} == {**second[1], "time": 0} and first[0] == second[0]


def test_outputs_and_private_metadata_stay_at_home(student):
    output = {"output_type": "stream", "name": "stdout", "text": "/home/me/secret"}

    def run(cells):
        cell = cells[position(cells, "01-1-test")]
        cell.update(outputs=[output], execution_count=3)
        cell["metadata"]["execution"] = {"iopub.execute_input": "2000-01-01T00:00:00"}

    change(student, run)
    student("submit")
    text = json.dumps(packed(student)[0])
    assert "secret" not in text and "iopub" not in text and '"execution_count": 3' not in text


def test_own_cells_go_along_with_pictures_and_ids_of_their_own(student):
    own = {"cell_type": "code", "metadata": {"tags": ["mine"]}, "source": "print('mine')", "outputs": []}
    picture = {"a.png": {"image/png": "iVBORw0KGgo="}}
    note = {"cell_type": "markdown", "metadata": {}, "source": "![](attachment:a.png)", "attachments": picture}

    def add(cells):
        cells += [{**own, "id": "01-1"}, own, {**own, "id": "a b"}, {**own, "id": "mine"}, {**note, "id": "note"}]

    change(student, add)
    student("submit")
    notebook, _ = packed(student)
    ids = [cell["id"] for cell in notebook["cells"]][-5:]
    assert ids == ["own-1", "own-2", "own-3", "mine", "note"]
    assert notebook["cells"][-5]["metadata"] == {"tags": ["mine"]} and notebook["cells"][-1]["attachments"] == picture
    require_nbgrader_accepts(notebook)


def test_a_percent_file_becomes_the_same_notebook(student):
    student.solve("01-1")
    student("submit", "--name", "ada")
    as_notebook, _ = packed(student)
    text = nb.to_percent(json.loads((student.work / PATH).read_text()))
    (student.work / PATH).unlink()
    (student.work / "01_double" / "double.py").write_bytes(text)
    events = student.work / ".tito" / "events.jsonl"
    events.write_text(events.read_text().replace('"format": "ipynb"', '"format": "py"'))
    student("submit", "--name", "ada")
    assert packed(student)[0] == as_notebook


def test_missing_and_doubled_cells_are_mended_and_said(student):
    def damage(cells):
        del cells[position(cells, "01-2-test")]
        del cells[position(cells, "01-here")]
        cells.insert(3, dict(cells[position(cells, "01-1")]))
        cells[position(cells, "01-q1")]["cell_type"] = "raw"
        cells[position(cells, "01-module")]["metadata"] = {"nbgrader": {"grade_id": "01-module"}}

    student.solve("01-1")
    blank = student.cells(PATH)
    change(student, damage)
    text = student("submit").flat
    assert "cell 01-2-test is missing; it is handed in as it was given out" in text
    assert "cell 01-1 stands there twice; the first counts" in text
    notebook, _ = packed(student)
    order = [nb.grade_id(cell) for cell in notebook["cells"] if nb.grade_id(cell)]
    assert sorted(order) == sorted(nb.grade_id(cell) for cell in blank if nb.grade_id(cell))
    assert order.index("01-2-test") == order.index("01-2") + 1 and order[0] == "01-here"
    assert notebook["cells"][position(notebook["cells"], "01-q1")]["cell_type"] == "markdown"
    require_nbgrader_accepts(notebook)


def test_two_different_answers_to_one_task_are_refused(student):
    def double(cells):
        copy = dict(cells[position(cells, "01-1")])
        cells.append({**copy, "source": "#| export\ndef double(x):\n    return x"})

    change(student, double)
    assert "there are two cells 01-1, and they differ" in student("submit", code=1).flat
    assert not (student.work / "submissions").exists()


def test_cells_of_another_module_are_taken_as_the_students_own(student):
    stray = {"grade_id": "07-1", "solution": True, "grade": False, "locked": False, "schema_version": 3, "task": False}
    cell = {"cell_type": "code", "id": "07-1", "metadata": {"nbgrader": stray}, "source": "x = 1", "outputs": []}
    change(student, lambda cells: cells.append(cell))
    student("submit")
    notebook, _ = packed(student)
    assert notebook["cells"][-1]["metadata"] == {} and notebook["cells"][-1]["source"] == "x = 1"
    require_nbgrader_accepts(notebook)


def test_nothing_to_hand_in_before_start(student):
    assert "was not started" in student("submit", "02", code=2).flat
    (student.work / PATH).unlink()
    assert "is gone" in student("submit", "01", code=2).flat
    assert not (student.work / "submissions").exists()


def test_a_notebook_that_cannot_be_read_is_not_handed_in(student):
    (student.work / PATH).write_text("{ not json")
    assert "is not a notebook" in student("submit", code=1).flat
    assert not (student.work / "submissions").exists()


def test_work_that_cannot_be_tested_may_be_handed_in(student):
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "source": "#| export core.square\nx = 1", "outputs": []}
    change(student, lambda cells: cells.append(cell))
    text = student("submit").flat
    assert "it could not be tested: a cell of yours is exported to core.square" in text and "packed" in text
    assert packed(student)[1]["tasks"] is None and cells(packed(student)[0])["mine"] == cell["source"]


def test_a_folder_that_cannot_be_written_is_named(student):
    (student.work / "submissions").write_text("a file where the folder should be")
    assert "submissions" in student("submit", code=3).flat
    log = (student.work / ".tito" / "events.jsonl").read_text()
    assert "submitted" not in log


def test_a_newer_course_is_named_and_the_old_version_handed_in(student):
    source = student.course / "modules" / "01_double" / "double_dev.py"
    old = Course(student.course).modules[0].hash
    source.write_text(source.read_text().replace("Two functions on arrays.", "Two functions on arrays, anew."))
    assert "tito module update 01" in student("submit").flat
    notebook, manifest = packed(student)
    assert manifest["module_hash"] == old and "anew" not in json.dumps(notebook)


NBGRADER = """
c = get_config()
c.GenerateAssignment.preprocessors = ["nbgrader.preprocessors.SaveCells"]
c.Exporter.preprocessors = []
"""


@pytest.mark.slow
def test_nbgraders_own_autograding_takes_it(student, tmp_path):
    """Right, wrong and a deleted test, as `nbgrader autograde` marks them."""
    room = tmp_path / "room"
    (room / "source" / "01_double").mkdir(parents=True)
    (room / "nbgrader_config.py").write_text(NBGRADER)
    blank = (student.work / PATH).read_text()
    (room / "source" / "01_double" / "double.ipynb").write_text(blank)
    _nbgrader(student, room, "generate_assignment", "01_double")
    works = {
        "right": lambda: (student.solve("01-1"), student.solve("01-2")),
        "wrong": lambda: (student.solve("01-1"), student.solve("01-2", "double(x)")),
        "cut": lambda: change(student, lambda cells: cells.pop(position(cells, "01-1-test"))),
    }
    for name, work in works.items():
        (student.work / PATH).write_text(blank)
        student.solve("01-1")
        work()
        student("submit", "--name", name)
        folder = room / "submitted" / name / "01_double"
        with zipfile.ZipFile(student.work / "submissions" / "01_double.zip") as file:
            file.extractall(folder)
    text = _nbgrader(student, room, "autograde", "01_double")
    assert "has changed" not in text and "not exist in the database" not in text
    _nbgrader(student, room, "export")
    lines = [line.split(",") for line in (room / "grades.csv").read_text().splitlines()]
    column = {name: i for i, name in enumerate(lines[0])}
    scores = {line[column["student_id"]]: float(line[column["score"]]) for line in lines[1:]}
    assert scores == {"right": 10, "wrong": 5, "cut": 5}


def _nbgrader(student, room, *arguments):
    command = [sys.executable, "-m", "nbgrader", *arguments]
    environment = student.environment(TITO_OVERLAY=str(student.work))
    done = subprocess.run(command, cwd=room, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_grading_of_this_course_takes_it(student, tmp_path):
    from tito.grading.classroom import Released
    from tito.grading.collect import Taken, _look

    student.solve("01-1")
    student("submit", "--name", "ada")
    released = Released(Course(student.course).modules[0], (student.work / PATH).read_bytes())
    taken = _look(released, student.work / "submissions" / "01_double.zip")
    assert isinstance(taken, Taken) and (taken.done, taken.student) == ("taken", "ada"), taken
    assert json.loads(taken.data) == packed(student)[0]
