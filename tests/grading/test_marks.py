"""The marks of honest submissions are those of `nbgrader autograde`: right, untouched, and without each task in turn.

With one task wrong, a task that stands on it may be wrong in a way that its visible test does not notice and its probe
does; it gets its points back, because one mistake costs once. For the modules that are not named here, `tito dev check`
shows the same with their visible tests (`same_as_tests`).
"""

import pytest

from tests.conftest import ROOT, TINY
from tests.grading.conftest import Papers
from tito import notebook as nb
from tito.course import Course
from tito.gates import reached_tasks, subject
from tito.grading.classroom import Classroom
from tito.grading.feedback import sources_of
from tito.grading.marking import How, mark
from tito.grading.release import release

pytestmark = pytest.mark.slow  # a kernel for each submission
MODULES = [(TINY, "01_double"), (ROOT, "01_tensor"), (ROOT, "05_autograd"), (ROOT, "07_training")]


@pytest.fixture(scope="module", params=MODULES, ids=[slug for _, slug in MODULES])
def graded(request, tmp_path_factory):
    """`(points a task is worth, what each task reaches, {executor: {student: points by task}})`."""
    root, slug = request.param
    course = Course(root)
    module = course.module(slug)
    room = Classroom(tmp_path_factory.mktemp("marks") / "room")
    release(course, [module], room.root)
    for student, notebook in class_of(Papers(module), module).items():
        nb.write_atomically(room.path("submitted", module, student), nb.to_json(notebook))
    found = {}
    for executor in ("isolated", "nbgrader"):
        with room.locked():
            marks = [m for m, _ in mark(room, course, module, True, 2, How(executor, siblings=False))]
        assert {m.status for m in marks} == {"graded"}, [(m.student, m.status, m.remarks) for m in marks]
        found[executor] = {m.student: m.points for m in marks}
    worth = {task.id: task.points for task in module.tasks if task.points}
    with subject(course, module) as it:
        return worth, reached_tasks(it), found


def class_of(papers, module):
    tasks, blanks = [task.id for task in module.tasks if task.points], sources_of(papers.blank)
    without = {f"without-{task}": papers.with_source(task, blanks[task]) for task in tasks}
    wrong = {f"wrong-{task}": papers.wrong(task) for task in tasks}
    return {"right": papers.right, "untouched": papers.blank, **without, **wrong}


def test_marks_are_those_of_nbgrader(graded):
    _, _, found = graded
    exact = {
        executor: {s: p for s, p in points.items() if not s.startswith("wrong-")} for executor, points in found.items()
    }
    assert exact["isolated"] == exact["nbgrader"]


def test_a_wrong_task_costs_more_only_where_a_task_stands_on_it(graded):
    worth, reach, found = graded
    for wrong in worth:
        ours, theirs = (found[executor][f"wrong-{wrong}"] for executor in ("isolated", "nbgrader"))
        stricter = [task for task in worth if ours[task] < theirs[task]]
        assert all(wrong in reach[task] for task in stricter), (wrong, stricter)
        assert not [task for task in worth if ours[task] > theirs[task]]


def test_what_is_right_has_full_marks_and_what_is_untouched_none(graded):
    worth, _, found = graded
    for points in found.values():
        assert points["right"] == worth and sum(worth.values()) > 0
        assert points["untouched"] == dict.fromkeys(worth, 0)
        assert all(points[f"wrong-{task}"][task] == 0 for task in worth)
