"""`tito milestone list`, `run` and `status` on the tiny course."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import _InWork

RIGHT = "    return double(np.multiply(x, x))"
FLIP = "    return double(np.multiply(x, x)) + (np.arange(np.size(x)) % 2)"  # right in every second place


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return tmp_path_factory.mktemp("built") / "work"


@pytest.fixture
def built(tiny, template):
    """A workspace in which both modules are completed; made with tito once, then copied."""
    if not template.exists():
        tiny("init", "work")
        inside = _InWork(tiny)
        inside("module", "start", "01")
        inside.solve("01-1")
        inside.solve("01-2")
        inside("module", "complete", "01")
        inside("module", "start", "02")
        inside.solve("02-1")
        inside("module", "complete", "02")
        shutil.copytree(tiny.work, template)
    else:
        shutil.copytree(template, tiny.work)
    return _InWork(tiny)


def run_py(tito, text):
    """Give the milestone another `run.py`."""
    (tito.course / "milestones" / "01_1900_sum" / "run.py").write_text(text)


def settings(tito, **changes):
    """Change lines of `milestone.toml`; None takes a line out."""
    path = tito.course / "milestones" / "01_1900_sum" / "milestone.toml"
    lines = [line for line in path.read_text().splitlines() if line.split(" = ")[0] not in changes]
    lines += [f"{key} = {json.dumps(value)}" for key, value in changes.items() if value is not None]
    path.write_text("\n".join(lines) + "\n")


def package(tito, old, new, module="square"):
    """Change the student's built package."""
    path = tito.work / "tinytorch" / "core" / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def events(tito):
    lines = (tito.work / ".tito" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "milestone"]


def kept(tito, name="01_1900_sum"):
    return json.loads((tito.work / "milestones" / f"{name}.json").read_text())


def nothing_kept(tito):
    stage = tito.work / ".tito" / "stage"
    return not events(tito) and not (tito.work / "milestones").exists() and not list(stage.iterdir())


def test_larger_data_have_a_bar_and_a_budget_of_their_own(built):
    path = built.course / "milestones" / "01_1900_sum" / "milestone.toml"
    run = (path.parent / "run.py").read_text()
    run_py(built, run.replace('{"metric": float(right.mean()),', '{"metric": float(right.mean()), "data": "big",'))
    with open(path, "a") as file:
        file.write('[with.big]\ndata = "big numbers"\nat_least = 2.0\nseconds = 77\n')
    answer = built("milestone", "run", "1", code=1)
    assert "needed 2, 1 short" in answer.flat and "of a budget of 77 s" in answer.flat
    assert "with big numbers" in answer.flat
    run_py(built, run)
    answer = built("milestone", "run", "1")
    assert "of a budget of 77 s" not in answer.flat and "big" not in answer.flat


def test_a_milestone_waits_for_its_modules(student):
    answer = student("milestone", "run", "1", code=2)
    assert "needs modules not built yet: 01 double, 02 square" in answer.flat
    assert "tito module complete 01, or tito module borrow 01" in answer.flat
    assert not (student.work / "milestones").exists()


def test_a_needed_module_needs_its_own(student):
    settings(student, needs=[2])
    assert "01 double, 02 square" in student("milestone", "run", "1", code=2).flat


def test_reaching_it_is_recorded_with_picture_story_and_next_command(built):
    settings(built, question="Why is that so?")
    text = built("milestone", "run", "sum").text
    for wanted in ("seed 0", "seed 2", "ok    01 A sum of squares (1900)", "share of right sums 1.000, needed 0.99"):
        assert wanted in text
    assert "They still are.\nSource: Common knowledge\n\nQuestion: Why is that so?\n" in text
    assert "picture: milestones/01_1900_sum.png" in text and text.splitlines()[-1].startswith("next:")
    assert max(map(len, text.splitlines())) <= 80
    (event,) = events(built)
    assert event["metric"] == 1.0 and event["metrics"] == [1.0] * 3 and event["seeds"] == [0, 1, 2]
    assert event["borrowed"] == [] and 0 < event["seconds"] < 5
    assert (built.work / "milestones" / "01_1900_sum.png").read_bytes().startswith(b"\x89PNG")
    assert len(kept(built)["results"]) == 3 and len(kept(built)["results"][0]["x"]) == 10
    assert built.json("milestone", "status")["reached"][0]["metric"] == 1.0
    status = built("milestone", "status").text
    assert status.endswith("next: tito milestone status   (all modules and milestones are done)\n")


def test_below_what_is_needed_says_by_how_much_and_records_nothing(built):
    package(built, RIGHT, FLIP)
    answer = built.json("milestone", "run", "1", code=1)
    assert answer["reached"] is False and answer["recorded"] is False and answer["metric"] == 0.5
    assert "needed 0.99, 0.49 short" in built("milestone", "run", "1", code=1).flat
    assert events(built) == [] and not (built.work / "milestones" / "01_1900_sum.png").exists()
    assert built.json("milestone", "status")["reached"] == []


def test_the_median_over_the_seeds_counts(built):
    run_py(built, "def run(seed, short, report):\n    return {'metric': [0, 0.995, 1][seed]}\n")
    assert built.json("milestone", "run", "1")["metric"] == 0.995
    assert events(built)[0]["metrics"] == [0, 0.995, 1]
    run_py(built, "def run(seed, short, report):\n    return {'metric': [0, 0.5, 1][seed]}\n")
    assert built.json("milestone", "run", "1", code=1)["metric"] == 0.5


def test_a_metric_that_is_not_a_number_is_not_reached(built):
    run_py(built, "def run(seed, short, report):\n    return {'metric': float('nan') if seed else 1.0}\n")
    built("milestone", "run", "1", code=1)
    text = (built.work / "milestones" / "01_1900_sum-trial.json").read_text()
    assert events(built) == [] and "NaN" not in text and json.loads(text)["metrics"] == [1.0, None, None]


def test_short_and_single_seed_are_trials(built):
    built("milestone", "run", "1")
    picture = (built.work / "milestones" / "01_1900_sum.png").read_bytes()
    for arguments, seeds in ((["--short"], [0, 1, 2]), (["--seed", "7"], [7])):
        text = built("milestone", "run", "1", *arguments).text
        assert "a trial: nothing is recorded" in text and "next: tito milestone run 01" in text
        assert "Common knowledge" not in text
        assert kept(built, "01_1900_sum-trial")["seeds"] == seeds
    assert len(events(built)) == 1 and (built.work / "milestones" / "01_1900_sum.png").read_bytes() == picture
    package(built, RIGHT, FLIP)
    assert built.json("milestone", "run", "1", "--short", code=0)["reached"] is False
    built("milestone", "run", "1", "--seed", "-1", code=2)


def test_short_is_handed_to_the_run(built):
    run_py(built, "def run(seed, short, report):\n    return {'metric': 1.0 if short is True else 0.0}\n")
    assert built.json("milestone", "run", "1", "--short")["metric"] == 1.0
    assert built.json("milestone", "run", "1", code=1)["metric"] == 0.0


def test_borrowed_modules_are_named(built):
    built("module", "borrow", "01", "--yes")
    assert "borrowed, not built by you: 01_double" in built("milestone", "run", "1").text
    assert events(built)[0]["borrowed"] == ["01_double"]
    assert built.json("milestone", "status")["reached"][0]["borrowed"] == ["01_double"]


def test_a_reference_copied_by_hand_is_named(built):
    name = "tinytorch/core/double.py"
    shutil.copy(built.course / name, built.work / name)
    text = built("milestone", "run", "1", code=1).flat
    assert f"{name} is a copy of the reference, put there by hand" in text and "tito module borrow 01" in text
    assert nothing_kept(built)


def test_an_error_in_the_students_package_names_cell_and_line(built):
    package(built, RIGHT, "    return doubled(np.multiply(x, x))")
    text = built("milestone", "run", "1", code=1).text
    assert "seed 0 of milestone 01 stopped: NameError: name 'doubled' is not defined" in text
    assert "cell 02-1, in twice_the_square: return doubled(np.multiply(x, x))" in text
    assert "try: tito module check 02" in text
    assert nothing_kept(built)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("    report('so far')\n    return {'metric': 1 / 0}", 1, "run.py, line 3: return {'metric': 1 / 0}"),
        ("    raise SystemExit(0)", 1, "ended the program"),
        ("    import os\n    os._exit(0)", 1, "the process ended"),
        ("    return 1.0", 3, "must return a dictionary with a number as its `metric`"),
        ("    return {'metric': True}", 3, "must return a dictionary with a number as its `metric`"),
        ("    return {'metric': 1.0, 'model': object()}", 1, "the result holds a object, which is not plain data"),
    ],
)
def test_a_run_that_fails_says_where_and_keeps_nothing(built, body, code, message):
    run_py(built, f"def run(seed, short, report):\n{body}\n")
    assert message in built("milestone", "run", "1", code=code).flat
    assert nothing_kept(built)


def test_arrays_and_numpy_numbers_travel(built):
    body = "    return {'metric': np.float32(1), 'weights': np.eye(2), 'n': np.int64(3)}"
    run_py(built, f"import numpy as np\n\n\ndef run(seed, short, report):\n{body}\n")
    built("milestone", "run", "1")
    assert kept(built)["results"][0] == {"metric": 1.0, "weights": [[1.0, 0.0], [0.0, 1.0]], "n": 3}


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_run_that_never_ends_is_stopped_at_ten_times_the_budget(built, stubborn):
    settings(built, seconds=0.05)
    loop = (
        "    while True:\n        try:\n            sum(range(100))\n        except BaseException:\n            pass\n"
    )
    run_py(built, "def run(seed, short, report):\n" + (loop if stubborn else "    while True:\n        pass\n"))
    started = time.perf_counter()
    text = built("milestone", "run", "1", code=1).flat
    assert "was stopped at seed 0 after" in text and "its budget is 0.05 s, and 10 times that is the end" in text
    assert time.perf_counter() - started < 10 and nothing_kept(built)


def test_the_time_limit_holds_for_all_seeds_together(built):
    settings(built, seconds=0.1)
    run_py(built, "import time\n\n\ndef run(seed, short, report):\n    time.sleep(0.6)\n    return {'metric': 1.0}\n")
    assert "was stopped at seed 1" in built("milestone", "run", "1", code=1).flat


def test_a_package_that_takes_from_the_reference_is_found_out(built):
    reference = built.course / "tinytorch" / "core" / "square.py"
    (built.work / "tinytorch" / "core" / "square.py").write_text(
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('square', {str(reference)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "module.__package__ = 'tinytorch.core'\n"
        "spec.loader.exec_module(module)\n"
        "twice_the_square = module.twice_the_square\n"
    )
    text = built("milestone", "run", "1", code=1).text
    assert "your code uses the reference" in text and f"  {reference}\n" in text and nothing_kept(built)


def test_a_run_that_reads_the_courses_sources_is_found_out(built):
    source = built.course / "modules" / "02_square" / "square_dev.py"
    run_py(built, f"def run(seed, short, report):\n    open({str(source)!r})\n    return {{'metric': 1.0}}\n")
    assert f"  {source}\n" in built("milestone", "run", "1", code=1).text and nothing_kept(built)


def test_hand_written_files_are_the_courses(built):
    (built.work / "tinytorch" / "__init__.py").write_text("raise RuntimeError('changed')\n")
    built("milestone", "run", "1")
    assert len(events(built)) == 1


def test_a_picture_that_cannot_be_drawn_does_not_undo_the_measurement(built):
    run_py(
        built, "def run(seed, short, report):\n    return {'metric': 1.0}\n\n\ndef draw(results, path):\n    1 / 0\n"
    )
    text = built("milestone", "run", "1").flat
    assert (
        "there is no picture: draw() of milestone 01 stopped: ZeroDivisionError" in text
        and "picture:" not in text[-60:]
    )
    assert len(events(built)) == 1 and kept(built)["remarks"]


def test_ctrl_c_ends_run_and_child_and_keeps_nothing(built):
    run_py(built, "import os, time\n\n\ndef run(seed, short, report):\n    report(os.getpid())\n    time.sleep(60)\n")
    command = [sys.executable, "-m", "tito.cli", "milestone", "run", "1"]
    process = subprocess.Popen(
        command, cwd=built.work, env=built.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted; what was not finished was not changed" in errors
    assert nothing_kept(built)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_another_command_may_write_while_a_milestone_trains(built):
    run_py(built, "import time\n\n\ndef run(seed, short, report):\n    report('on')\n    time.sleep(60)\n")
    command = [sys.executable, "-m", "tito.cli", "milestone", "run", "1"]
    process = subprocess.Popen(command, cwd=built.work, env=built.environment(), stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    built("module", "complete", "01")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_results_that_cannot_be_written_are_not_recorded(built):
    (built.work / "milestones").write_text("a file where the folder should be")
    assert "milestones" in built("milestone", "run", "1", code=3).flat
    assert events(built) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": None, "seconds": None}, "has no seconds, source"),
        ({"needs": [1, 9]}, "needs module 09, which does not exist"),
    ],
)
def test_a_milestone_that_is_not_well_formed_is_named(built, changes, message):
    settings(built, **changes)
    text = built("milestone", "run", "1", code=3).flat
    assert "milestone.toml" in text and message in text


def test_an_unknown_milestone_is_a_usage_error(student):
    assert "did you mean sum?" in student("milestone", "run", "sums", code=2).flat
    student("milestone", "run", code=2)


def test_list_says_what_each_needs_and_what_was_reached(tiny, template, built):
    (row,) = built.json("milestone", "list")["milestones"]
    assert row["needs"] == [1, 2] and row["at_least"] == 0.99 and row["year"] == 1900
    assert row["reached"] is None and row["missing"] == []
    assert (
        "open" in built("milestone", "list").text and "next: tito milestone run 01" in built("milestone", "list").text
    )
    built("milestone", "run", "1")
    assert "reached with 1.000" in built("milestone", "list").text
    assert built.json("milestone", "list")["milestones"][0]["reached"] == 1.0


def test_list_needs_no_workspace(tiny):
    text = tiny("milestone", "list").text
    assert "A sum of squares (1900)" in text and "data: the numbers 0 to 9" in text and "next: tito init" in text
    tiny("milestone", "status", code=3)


def test_list_and_status_before_anything_is_built(student):
    assert "waits for modules 01, 02" in student("milestone", "list").text
    assert "no milestone reached yet" in student("milestone", "status").text


def test_a_course_without_milestones_says_so(student):
    shutil.rmtree(student.course / "milestones")
    assert "this course has no milestones" in student("milestone", "list").text
    assert student.json("milestone", "status") == {"reached": [], "of": 0}
