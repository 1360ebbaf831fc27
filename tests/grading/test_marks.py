"""Reference = full marks, untouched = 0, one task wrong = what stands on it; every module, through nbgrader itself."""

import os

import pytest

from tests.conftest import ROOT, TINY
from tests.grading.conftest import Papers
from tito import notebook as nb
from tito.course import Course
from tito.gates import reached_tasks, subject

pytestmark = pytest.mark.slow  # three kernels a module
MODULES = [(root, module.slug) for root in (TINY, ROOT) for module in Course(root).modules]


@pytest.fixture(scope="module", params=MODULES, ids=[slug for _, slug in MODULES])
def it(request):
    """The module as the gates see it, with lower modules built by the reference, and notebooks to hand in."""
    root, slug = request.param
    course = Course(root)
    module = course.module(slug)
    with subject(course, module) as it:
        it.papers = Papers(module)
        yield it


@pytest.fixture(scope="module")
def by_nbgrader(it, tmp_path_factory):
    """Points by task that nbgrader gives: `{student: {task: points}}`."""
    from tito.grading.classroom import Classroom
    from tito.grading.marking import mark
    from tito.grading.release import release

    folder = tmp_path_factory.mktemp("marks") / "room"
    release(it.course, [it.module], folder)
    room = Classroom.find(folder)
    for student, notebook in class_of(it).items():
        path = room.path("submitted", it.module, student)
        path.parent.mkdir(parents=True)
        path.write_bytes(nb.to_json(notebook))
    with room.locked():
        found = {marks.student: marks for marks, _ in mark(room, it.course, it.module, jobs=2)}
    assert {marks.status for marks in found.values()} == {"graded"}, found
    return {student: marks.points for student, marks in found.items()}


def class_of(it):
    return {
        "reference": it.papers.right,
        "untouched": it.papers.blank,
        "one-wrong": it.papers.wrong(one_task(it)),
    }


def one_task(it):
    """The task that is wrong before nbgrader: another in each module; TITO_WRONG_TASK=2 takes the second in all."""
    tasks = graded_tasks(it)
    return tasks[int(os.environ.get("TITO_WRONG_TASK", it.module.number)) % len(tasks)]


def graded_tasks(it):
    return [task.id for task in it.module.tasks if task.points]


def by_check(it, notebook):
    """Points by task that `tito module check` gives."""
    results = it.run(notebook).results
    return {result.task: result.points if result.ok else 0 for result in results if result.points}


def worth(it):
    return {task.id: task.points for task in it.module.tasks if task.points}


def test_the_reference_gets_full_marks(it, by_nbgrader):
    assert by_nbgrader["reference"] == worth(it)
    assert sum(worth(it).values()) > 0


def test_an_untouched_notebook_gets_nothing(it, by_nbgrader):
    assert by_nbgrader["untouched"] == dict.fromkeys(worth(it), 0)


def test_nbgrader_and_check_agree(it, by_nbgrader):
    for student, notebook in class_of(it).items():
        assert by_nbgrader[student] == by_check(it, notebook), student


def test_one_wrong_task_loses_its_points_and_only_those_of_later_tasks_that_use_it(it, by_nbgrader):
    _assert_only_what_stands_on_it(it, one_task(it), by_nbgrader["one-wrong"])


def test_so_does_every_other_one(it):
    for task in graded_tasks(it):
        _assert_only_what_stands_on_it(it, task, by_check(it, it.papers.wrong(task)))


def _assert_only_what_stands_on_it(it, wrong, points):
    order, reach = list(worth(it)), reached_tasks(it)
    assert points[wrong] == 0
    for task, earned in points.items():
        if earned != worth(it)[task] and task != wrong:
            assert earned == 0
            assert wrong in reach[task], f"{task} lost its points, and its solution does not use {wrong}"
            assert order.index(task) > order.index(wrong)
