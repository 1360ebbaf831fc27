"""The disk of the course folder is full: it is said, nothing is half-written or lost, and it goes on later.

Real disks are filled, a tmpfs each, which needs root; an ordinary user meets a limit on the size of files instead.
"""

import json
import resource
import shutil
import sqlite3
import subprocess

import pytest

from tests.conftest import fill, mounted, tree
from tests.grading.conftest import Teacher
from tests.grading.test_resume import hand_in_many, in_the_book, results, start, wait_for

pytestmark = pytest.mark.slow
COUNT = 12
FULL = ("No space left on device", "disk is full")


@pytest.fixture
def on_small_disk(released, tmp_path):
    """A course folder on a disk of its own."""
    with mounted(tmp_path / "room", "size=8m"):
        shutil.copytree(released, tmp_path / "room", dirs_exist_ok=True)
        yield Teacher(tmp_path / "room")


def says_that_it_is_full(text):
    return any(sign in text for sign in FULL) and "free some space" in text and "Traceback" not in text


def require_sound(teacher, expected):
    """The gradebook is whole; every result can be read and stands in it; no mark is another than it should be."""
    book = sqlite3.connect(teacher.folder / "gradebook.db")
    assert book.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    query = """SELECT s.student_id, SUM(g.auto_score), COUNT(g.auto_score) FROM grade g
        JOIN submitted_notebook n ON n.id = g.notebook_id
        JOIN submitted_assignment s ON s.id = n.assignment_id GROUP BY s.student_id"""
    entered = {student: points for student, points, known in book.execute(query) if known}
    book.close()
    assert {student: expected[student] for student in entered} == entered
    kept = {path.stem: json.loads(path.read_text())["marks"]["earned"] for path in results(teacher)}
    assert {student: entered[student] for student in kept} == kept
    for path in teacher.folder.glob("autograded/*/*/*.ipynb"):
        json.loads(path.read_text())
    assert not [path for part in (".grading/results", "autograded") for path in (teacher.folder / part).rglob(".*")]
    return kept


def finish(teacher, expected, kept, *options):
    """Grade what is left, now that there is room."""
    before = {path: path.read_bytes() for path in results(teacher)}
    answer = teacher.json("grade", "run", "01", "--no-siblings", *options)
    assert answer["ran"] == len(expected) - len(kept)
    assert {facts["student"]: facts["earned"] for facts in answer["students"]} == expected == in_the_book(teacher)
    assert all(path.read_bytes() == data for path, data in before.items())  # no mark that stood has changed
    require_sound(teacher, expected)


@pytest.mark.parametrize("executor", ["isolated", "nbgrader"])
def test_grading_on_a_full_disk(on_small_disk, papers, executor):
    teacher, options = on_small_disk, ("--executor", executor)
    expected = hand_in_many(teacher, papers, 2)
    fill(teacher.folder / "filler")
    assert says_that_it_is_full(teacher("grade", "run", "01", "--no-siblings", *options, code=3).flat)
    (teacher.folder / "filler").unlink()
    kept = require_sound(teacher, expected)
    assert not kept
    finish(teacher, expected, kept, *options)


def test_a_disk_that_becomes_full_in_the_middle(on_small_disk, papers):
    teacher = on_small_disk
    expected = hand_in_many(teacher, papers, 4 * COUNT)
    running = start(teacher)
    wait_for(lambda: len(results(teacher)) >= COUNT)
    fill(teacher.folder / "filler")
    said = " ".join(running.communicate(timeout=60)[0].decode().split())
    assert running.returncode == 3 and says_that_it_is_full(said), said
    (teacher.folder / "filler").unlink()
    kept = require_sound(teacher, expected)
    assert COUNT <= len(kept) < len(expected)
    finish(teacher, expected, kept)


@pytest.mark.parametrize(("part", "size"), [(".grading/results", "32k"), ("autograded", "64k")])
def test_only_results_or_only_notebooks_find_no_room(teacher, papers, part, size):
    expected = hand_in_many(teacher, papers, COUNT)
    (teacher.folder / part).mkdir(parents=True)
    with mounted(teacher.folder / part, f"size={size}"):
        assert says_that_it_is_full(teacher("grade", "run", "01", "--no-siblings", code=3).flat)
        kept = require_sound(teacher, expected)
        assert 0 < len(kept) < COUNT
        subprocess.run(["mount", "-o", "remount,size=8m", teacher.folder / part], check=True)
        finish(teacher, expected, kept)


def test_what_is_made_of_marks_is_whole_or_as_it_was(on_small_disk, papers):
    teacher = on_small_disk
    hand_in_many(teacher, papers, 1)
    teacher("grade", "run", "01")
    commands = [("grade", "feedback", "01"), ("grade", "report", "01"), ("grade", "export", "--to", "marks.csv")]
    for command in commands:
        teacher(*command)
    teacher.receive("right-0000.ipynb", papers.blank)
    commands += [("grade", "collect", teacher.inbox), ("release", "02", "--to", ".")]
    before = tree(teacher.folder)
    fill(teacher.folder / "filler")
    for command in commands:
        assert says_that_it_is_full(teacher(*command, code=3).flat), command
    (teacher.folder / "filler").unlink()
    after = tree(teacher.folder)
    assert {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {"lock"}
    teacher(*commands[0])


def test_no_room_for_temporary_files_is_nobodys_mistake(teacher, papers, tmp_path):
    """bwrap brings a disk of its own; the levels that use ours must not take it for a crash of student code."""
    hand_in_many(teacher, papers, 1)
    with mounted(tmp_path / "small", "size=4m"):
        line = ("grade", "run", "01", "--no-siblings", "--isolation", "limits", "--unsafe")
        said = teacher(*line, code=3, TMPDIR=str(tmp_path / "small")).flat
    assert "MB left" in said, said
    assert not results(teacher)


def test_files_that_may_not_grow(teacher, papers):
    """What SQLite says where a limit and not the disk stops it, also for an ordinary user."""
    expected = hand_in_many(teacher, papers, COUNT)
    teacher("grade", "status")
    limit = (teacher.folder / "gradebook.db").stat().st_size

    def no_larger():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    running = start(teacher, preexec_fn=no_larger)
    said = " ".join(running.communicate(timeout=60)[0].decode().split())
    assert running.returncode == 3 and "Traceback" not in said, said
    assert "ulimit -f" in said
    kept = require_sound(teacher, expected)
    finish(teacher, expected, kept)
