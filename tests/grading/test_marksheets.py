"""Sheets of marks for Canvas and Moodle: from what was graded, for those whom the system knows."""

import csv

import pytest

from tito.errors import UsageError
from tito.grading import marksheets
from tito.grading.execution import Marks
from tito.grading.naming import Person

PEOPLE = {
    "doejane_4711": Person("doejane_4711", "canvas", "4711", "doejane"),
    "Zoé O Brien_102": Person("Zoé O Brien_102", "moodle", "102", "Zoé O Brien"),
}


def marks(student, assignment="01_double", status="graded", task=5, answer=None):
    return Marks(student, assignment, status, {"01-1": task}, {"01-1": 10}, {"01-q1": answer}, {"01-q1": 5})


def test_canvas_gets_a_column_for_each_assignment_and_a_row_for_each_it_knows():
    found = [
        marks("doejane_4711", answer=2.5),
        marks("doejane_4711", "02_square"),
        marks("ada", answer=5),
    ]
    rows, unknown = marksheets.canvas(found, PEOPLE)
    assert rows == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_double", "02_square"],
        ["    Points Possible", "", "", "", "", "15", "15"],
        ["doejane", "4711", "", "", "", "7.5", ""],  # the answer in 02_square has no mark yet
    ]
    assert unknown == ["ada"]
    rows, _ = marksheets.canvas(found, PEOPLE, tasks_only=True)
    assert [row[5:] for row in rows[1:]] == [["10", "10"], ["5", "5"]]


def test_moodle_gets_its_own_numbers_and_one_assignment():
    rows, unknown = marksheets.moodle([marks("Zoé O Brien_102", answer=5), marks("doejane_4711")], PEOPLE)
    assert rows == [
        ["Identifier", "Full name", "Grade", "Maximum Grade"],
        ["Participant 102", "Zoé O Brien", "10", "15"],
    ]
    assert unknown == ["doejane_4711"]
    with pytest.raises(UsageError, match="one assignment"):
        marksheets.moodle([marks("ada"), marks("ada", "02_square")], PEOPLE)


def test_what_was_not_graded_is_empty_and_never_0():
    for status in ("timeout", "crashed", "invalid", "missing"):
        rows, _ = marksheets.moodle([marks("Zoé O Brien_102", status=status, task=None)], PEOPLE, tasks_only=True)
        assert rows[1][2] == ""


@pytest.mark.slow
def test_export_writes_the_sheet_and_names_whom_it_cannot_place(teacher, papers):
    teacher.receive("doejane_4711_90210_double.ipynb", papers.right)
    teacher.receive("ada.ipynb", papers.right)
    teacher.grade()
    said = teacher("grade", "export", "01", "--format", "canvas", "--to", "canvas.csv", "--tasks-only").flat
    assert "did not come from canvas: ada" in said
    with (teacher.folder / "canvas.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[2:] == [["doejane", "4711", "", "", "", "10"]]
