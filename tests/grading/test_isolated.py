"""What `Isolated` makes of a submission: marks, second chances, goals, and what feedback is told."""

import copy
import json
import shutil

import pytest

from tests.conftest import TINY
from tests.grading.conftest import Papers
from tito import notebook as nb
from tito.check import assemble
from tito.course import Course
from tito.errors import CourseError
from tito.grading import probing, sandbox
from tito.grading.classroom import Released
from tito.grading.execution import Marks, Submission, grade_all
from tito.grading.grader import Isolated, Setting

LEVEL = next((level for level in sandbox.LEVELS if level.problem() is None), None)
LOOP = "while True:\n    pass"


def setting_of(course, package, number=0, seed=7):
    module = course.modules[number]
    released = Released(module, nb.to_json(nb.strip(nb.compile_module(module))))
    assemble(course, package, course.modules[:number])
    setting = Setting(course, released, package, seed)
    setting.run_reference()
    return setting


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    return setting_of(Course(TINY), tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def isolated(setting):
    execution = Isolated(setting, LEVEL, seconds=1)
    yield execution
    execution.close()


def submission(notebook, student="ada"):
    return Submission(student, "01_double", "double", nb.to_json(notebook))


def grade(execution, notebook):
    return execution.grade(submission(notebook))


# --- marks ---


def test_right_blank_and_wrong(isolated, papers):
    assert grade(isolated, papers.right).points == {"01-1": 5, "01-2": 5}
    blank = grade(isolated, papers.blank)
    assert (blank.status, blank.points, blank.remarks) == ("graded", {"01-1": 0, "01-2": 0}, [])
    assert grade(isolated, papers.wrong("01-2")).points == {"01-1": 5, "01-2": 0}


def test_one_mistake_costs_once(isolated, papers):
    marks = grade(isolated, papers.wrong("01-1"))
    assert (marks.status, marks.points) == ("graded", {"01-1": 0, "01-2": 5})
    assert marks.remarks == ["01-2 is right once 01-1 is right"]
    wrong = next(cell["source"] for cell in papers.wrong("01-1")["cells"] if nb.grade_id(cell) == "01-1")
    both = grade(isolated, papers.with_source("01-1", wrong, papers.wrong("01-2")))
    assert (both.points, both.remarks) == ({"01-1": 0, "01-2": 0}, [])


def test_a_loop_or_a_crash_below_costs_only_what_it_is_in(isolated, papers):
    for body, status in ((LOOP, "timeout"), ("import os\nos._exit(1)", "crashed")):
        marks = grade(isolated, papers.with_body("01-1", body))
        assert (marks.status, marks.points) == (status, {"01-1": None, "01-2": 5})
        assert marks.remarks[1] == "01-2 is right once 01-1 is right"


def test_without_second_chances_marks_are_those_of_the_notebook_as_it_is(setting, papers):
    execution = Isolated(setting, LEVEL, seconds=1, siblings=False)
    try:
        assert grade(execution, papers.wrong("01-1")).points == {"01-1": 0, "01-2": 0}
        assert grade(execution, papers.right).points == {"01-1": 5, "01-2": 5}
    finally:
        execution.close()


def test_the_blank_that_waits_for_a_person_and_the_one_that_was_left(isolated, papers):
    assert grade(isolated, papers.right).by_hand == {"01-q1": 0.0}
    answered = papers.with_source("01-q1", "Because 2 * 2 = 4.")
    marks = grade(isolated, answered)
    assert (marks.by_hand, marks.waiting, marks.total) == ({"01-q1": None}, ["01-q1"], None)


def test_a_mark_says_how_it_came_about_and_survives_being_kept(isolated, papers):
    marks = grade(isolated, papers.wrong("01-1"))
    assert marks.level == LEVEL.level and marks.seed == 7
    assert (
        set(marks.phases) == {"export", "probes", "siblings", "tests"}
        and 0 < sum(marks.phases.values()) <= 1.01 * marks.seconds + 0.01
    )
    assert 10 << 20 < marks.memory < 1 << 30
    assert Marks.from_json(json.loads(json.dumps(marks.as_json()))) == marks


def test_the_same_seed_gives_the_same_and_another_other_numbers(setting, isolated, papers, tmp_path):
    case = grade(isolated, papers.wrong("01-1")).findings["01-1"]["case"]
    assert grade(isolated, papers.wrong("01-1")).findings["01-1"]["case"] == case
    other = Isolated(setting_of(Course(TINY), tmp_path, seed=8), LEVEL, seconds=1)
    try:
        assert grade(other, papers.wrong("01-1")).findings["01-1"]["case"]["inputs"] != case["inputs"]
    finally:
        other.close()


# --- what feedback is told ---


def test_the_smallest_failing_case_and_the_mistake_by_its_name(isolated, papers):
    found = grade(isolated, papers.wrong("01-1")).findings
    case = found["01-1"]["case"]
    assert case["name"] == "a number" and list(case["inputs"]) == ["x"]
    x = case["inputs"]["x"]
    assert case["got"] == pytest.approx(x * x) and case["expected"] == pytest.approx(2 * x)
    assert found["01-1"]["test"]["mistake"] == "the value is squared"
    assert found["01-1"]["ok"] is False and found["01-1"]["wrong"] == ["a number", "an array"]
    assert "case" not in grade(isolated, papers.right).findings["01-2"]


def test_the_first_bad_index_of_an_array(isolated, papers):
    body = "y = np.array(np.add(x, x), dtype=float)\nif y.ndim:\n    y[-1, -1] += 1\nreturn y"
    case = grade(isolated, papers.with_body("01-1", body)).findings["01-1"]["case"]
    shape = [len(case["inputs"]["x"]), len(case["inputs"]["x"][0])]
    assert case["name"] == "an array" and case["index"] == [shape[0] - 1, shape[1] - 1]
    assert case["got"] == pytest.approx(case["expected"] + 1)


def test_an_exception_with_the_students_own_line(isolated, papers):
    found = grade(isolated, papers.with_body("01-2", "y = double(x)\nreturn y.no_such_thing"))
    error = found.findings["01-2"]["error"]
    assert error["where"] == "cell 01-2, in quadruple" and error["line"] == "return y.no_such_thing"
    assert error["happened"].startswith("AttributeError") and found.findings["01-2"]["test"]["line"]
    assert grade(isolated, papers.blank).findings["01-1"]["error"]["happened"] == "not written yet: 01-1 double"


def test_where_a_loop_was_when_its_time_was_up(isolated, papers):
    error = grade(isolated, papers.with_body("01-2", LOOP)).findings["01-2"]["error"]
    assert (error["status"], error["where"]) == ("timeout", "cell 01-2, in quadruple")
    assert error["line"] in LOOP


def test_a_module_that_cannot_be_imported_says_where(isolated, papers):
    source = papers.sources["01-2"] + "\n\nno_such_name\n"
    marks = grade(isolated, papers.with_source("01-2", source))
    assert marks.points == {"01-1": 5, "01-2": 0}
    assert marks.findings["01-2"]["error"]["happened"].startswith("NameError")
    assert marks.remarks == ["01-1 is right once 01-2 is right"]


# --- goals ---


@pytest.fixture
def split(tmp_path):
    """A function that grades notebooks of the tiny course, whose task 01-1 is split as `goals` says."""
    started = []

    def grader(goals):
        shutil.copytree(TINY, tmp_path / "course")
        with open(tmp_path / "course" / "modules" / "01_double" / "module.toml", "a") as file:
            file.write(goals)
        started.append(Isolated(setting_of(Course(tmp_path / "course"), tmp_path / "package"), LEVEL, seconds=1))
        return started[0]

    yield grader
    for execution in started:
        execution.close()


CORE, REST = (
    'name = "numbers"\npoints = 3\nresults = ["a number"]\n',
    'name = "arrays"\npoints = 2\nresults = ["an array"]\n',
)
GOALS = f'\n[[goals."01-1"]]\ncore = true\n{CORE}\n[[goals."01-1"]]\n{REST}'


def test_a_goal_pays_when_all_its_results_match_and_the_core_does(split, papers):
    execution = split(GOALS)
    only_numbers = "return np.add(x, x) if np.ndim(x) == 0 else x"
    only_arrays = "return np.add(x, x) if np.ndim(x) else x"
    assert grade(execution, papers.with_body("01-1", only_numbers)).points == {"01-1": 3, "01-2": 5}
    assert grade(execution, papers.with_body("01-1", only_arrays)).points == {"01-1": 0, "01-2": 5}
    assert grade(execution, papers.right).points == {"01-1": 5, "01-2": 5}


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        (GOALS.replace("core = true\n", ""), "one of them, and no more, is the core"),
        (GOALS.replace("points = 2", "points = 3"), "do not add up to 5"),
        (GOALS.replace('"an array"', '"an arrow"'), "each to be listed once"),
        (GOALS.replace('name = "arrays"\n', ""), "each needs a name, points and results"),
    ],
)
def test_goals_that_do_not_fit_are_refused(split, goals, message):
    with pytest.raises(CourseError, match=message):
        split(goals)


# --- what may come back ---


def frames(*lines):
    return probing.Frames.read(
        "".join(f"{line}\n" if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    )


def test_what_a_process_was_kept_from_finishing_is_no_forgery():
    assert probing.Frames.read('{"imported": true}\n{"task": "01-1", "se').damaged == []


@pytest.mark.parametrize(
    "line",
    ["no json", "[" * 10**5, '"text"', "5", '{"task": "01-1", "seed": 1e999}', '{"task": "01-1"}', '{"test": 5}',
     '{"task": "01-1", "seed": 0, "name": "x", "value": 5}', '{"broken": 7}',
     '{"task": "01-1", "seed": 0, "name": "x", "value": {"dtype": "O", "shape": [1], "data": ""}}',
     '{"task": "01-1", "seed": 0, "name": "x", "value": {"dtype": "f8", "shape": [-1], "data": ""}}',
     '{"task": "01-1", "seed": 0, "name": "x", "value": {"dtype": "f8", "shape": [9999999], "data": "AAAA"}}',
     '{"task": "01-1", "seed": 0, "name": "x", "value": {"list": 3}}'],
)  # fmt: skip
def test_lines_that_are_no_frame_are_noted_and_raise_nothing(line):
    assert len(frames(line).damaged) == 1


def test_the_first_value_counts_and_none_after_the_end():
    value = {"dtype": "<f8", "shape": [], "data": "AAAAAAAA8D8="}
    key = {"task": "01-1", "seed": 0}
    found = frames(
        {**key, "name": "x", "value": value},
        {**key, "name": "x", "value": {"plain": None}},
        {**key, "end": True, "error": None},
        {**key, "name": "y", "value": value},
    )
    assert found.values["01-1", 0]["x"] == 1 and "y" not in found.values["01-1", 0]
    assert found.damaged == ["Damaged: a result of 01-1 that comes after its end"]


# --- many ---


def test_two_at_a_time_and_ended_in_the_middle(setting, papers):
    made = []

    def make():
        made.append(Isolated(setting, LEVEL, seconds=30))
        return made[-1]

    many = [submission(papers.right, f"s{i}") for i in range(4)] + [submission(papers.with_body("01-1", LOOP), "z")]
    running = grade_all(make, many, jobs=2)
    assert {next(running).student for _ in range(4)} == {"s0", "s1", "s2", "s3"}
    running.close()
    assert len(made) == 2 and all(execution.sandbox.process is None for execution in made)


def test_a_module_on_top_of_another(tmp_path):
    setting = setting_of(Course(TINY), tmp_path, number=1)
    second = Papers(Course(TINY).modules[1])
    execution = Isolated(setting, LEVEL, seconds=1)
    try:
        wrong = copy.deepcopy(second.wrong("02-1"))
        assert grade(execution, second.right).points == {"02-1": 5}
        assert grade(execution, wrong).points == {"02-1": 0}
    finally:
        execution.close()
