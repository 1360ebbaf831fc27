"""The marks of honest submissions are those of `nbgrader autograde`: right, untouched, each task missing, each wrong.

By default one mistake costs once, which nbgrader cannot do: then such a submission loses the points of its one task,
and of no other. For modules that are not named here, `tito dev check` shows the same of what is missing
(`same_as_tests`).
"""

import pytest

from tests.conftest import ROOT, TINY
from tests.grading.conftest import Papers
from tito import notebook as nb
from tito.course import Course
from tito.grading.classroom import Classroom
from tito.grading.feedback import sources_of
from tito.grading.marking import How, mark
from tito.grading.release import release

pytestmark = pytest.mark.slow  # a kernel for each submission
WAYS = {"isolated": How(siblings=False), "siblings": How(), "nbgrader": How("nbgrader")}
MODULES = [(TINY, "01_double"), (ROOT, "01_tensor"), (ROOT, "05_autograd"), (ROOT, "07_training")]


@pytest.fixture(scope="module", params=MODULES, ids=[slug for _, slug in MODULES])
def graded(request, tmp_path_factory):
    """`(points a task is worth, {way of grading: {student: points by task}})`."""
    root, slug = request.param
    course = Course(root)
    module = course.module(slug)
    room = Classroom(tmp_path_factory.mktemp("marks") / "room")
    release(course, [module], room.root)
    for student, notebook in class_of(Papers(module), module).items():
        nb.write_atomically(room.path("submitted", module, student), nb.to_json(notebook))
    found = {}
    for way in WAYS:
        with room.locked():
            marks = [m for m, _ in mark(room, course, module, True, 2, WAYS[way])]
        assert {m.status for m in marks} == {"graded"}, [(m.student, m.status, m.remarks) for m in marks]
        found[way] = {m.student: m.points for m in marks}
    return {task.id: task.points for task in module.tasks if task.points}, found


def class_of(papers, module):
    tasks, blanks = [task.id for task in module.tasks if task.points], sources_of(papers.blank)
    without = {f"without-{task}": papers.with_source(task, blanks[task]) for task in tasks}
    wrong = {f"wrong-{task}": papers.wrong(task) for task in tasks}
    return {"right": papers.right, "untouched": papers.blank, **without, **wrong}


def test_marks_are_those_of_nbgrader(graded):
    _, found = graded
    assert found["isolated"] == found["nbgrader"]


def test_one_mistake_costs_once(graded):
    worth, found = graded
    for task in worth:
        for kind in ("without", "wrong"):
            assert found["siblings"][f"{kind}-{task}"] == {**worth, task: 0}


def test_what_is_right_has_full_marks_and_what_is_untouched_none(graded):
    worth, found = graded
    for points in found.values():
        assert points["right"] == worth and sum(worth.values()) > 0
        assert points["untouched"] == dict.fromkeys(worth, 0)
        assert all(points[f"wrong-{task}"][task] == 0 for task in worth)
