"""Every module of the course through nbgrader: its notebook runs there, and gives the marks it must."""

import csv

import pytest

from tests.conftest import ROOT, Tito
from tito import notebook as nb
from tito.course import Course
from tito.variants import solved

pytestmark = pytest.mark.slow
MODULES = Course(ROOT).modules


@pytest.mark.parametrize("module", MODULES, ids=[module.slug for module in MODULES])
def test_solved_earns_every_point_and_untouched_none(module, tmp_path):
    teacher = Tito(tmp_path, ROOT)
    teacher("release", module.label, "--to", "class")
    complete = nb.compile_module(module)
    blank = nb.strip(complete)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, paper in (("ada", solved(blank, complete)), ("ben", blank)):
        (inbox / f"{name}.ipynb").write_bytes(nb.to_json(paper))
    teacher("grade", "run", module.label, "--course", "class", "--from", "inbox")
    teacher("grade", "export", module.label, "--course", "class", "--to", "marks.csv")
    with open(tmp_path / "marks.csv", encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    points = {task.id: task.points for task in module.tasks if task.points}
    assert points and {task: float(rows["ada"][task]) for task in points} == points
    assert {task: float(rows["ben"][task]) for task in points} == dict.fromkeys(points, 0)
    assert {row["status"] for row in rows.values()} == {"graded"}
