"""Nothing is lost: workers and the whole run are killed, and in the end every mark stands once.

`TITO_MANY=1000 pytest -n 0 tests/grading/test_resume.py tests/grading/test_cluster.py` does it with a class of a
thousand.
"""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tito import notebook as nb
from tito.grading import gradebook

pytestmark = pytest.mark.slow
MANY = int(os.environ.get("TITO_MANY", 60))
EARNED = {"right": 10, "first": 0, "second": 5, "blank": 0}


def hand_in_many(teacher, papers, count):
    """Submissions of four kinds, no two of the same bytes: `{student: points by nbgrader's counting}`."""
    kinds = [papers.right, papers.wrong("01-1"), papers.wrong("01-2"), papers.blank]
    expected = {}
    for number in range(count):
        name, points = list(EARNED.items())[number % 4]
        student = f"{name}-{number:04}"
        notebook = json.loads(json.dumps(kinds[number % 4]))
        notebook["metadata"]["number"] = number
        path = teacher.folder / "submitted" / student / "01_double" / "double.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(nb.to_json(notebook))
        expected[student] = points
    return expected


def start(teacher, **options):
    command = [sys.executable, "-m", "tito.cli", "grade", "run", "01", "--no-siblings", "--jobs", "2", "--json"]
    return subprocess.Popen(
        command,
        cwd=teacher.folder,
        env=teacher.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )


def results(teacher):
    return sorted((teacher.folder / ".grading" / "results" / "01_double").glob("*.json"))


def wait_for(condition, seconds=120 + MANY):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def warm_processes(process):
    return [p for p in psutil.Process(process.pid).children(recursive=True) if "inside.py" in " ".join(_line(p))]


def _line(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def in_the_book(teacher):
    """Points by student as they stand in nbgrader's gradebook."""
    found = gradebook.scores(teacher.folder, "01_double")
    return {student: sum(auto or 0 for auto, _ in cells.values()) for student, cells in found.items()}


def test_killed_workers_and_a_killed_run_cost_only_what_was_in_flight(teacher, papers):
    expected = hand_in_many(teacher, papers, MANY)
    running = start(teacher)
    wait_for(lambda: len(results(teacher)) >= MANY // 6)
    warm_processes(running)[-1].kill()
    wait_for(lambda: len(results(teacher)) >= MANY // 2)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = {path: path.read_bytes() for path in results(teacher)}
    assert MANY // 2 <= len(kept) < MANY
    answer = teacher.json("grade", "run", "01", "--no-siblings", "--jobs", "2")
    lost = [facts for facts in answer["students"] if facts["status"] == "crashed"]
    assert len(lost) <= 1  # the one that the killed worker had, which a person sees and can run again
    assert MANY - len(kept) <= answer["ran"] <= MANY - len(kept) + len(lost) + 2
    marks = {facts["student"]: facts["earned"] for facts in answer["students"]}
    lost = {facts["student"] for facts in lost}
    assert {s: m for s, m in marks.items() if s not in lost} == {s: m for s, m in expected.items() if s not in lost}
    assert {s: m for s, m in in_the_book(teacher).items() if s not in lost} == {
        s: m for s, m in expected.items() if s not in lost
    }
    assert all(path.read_bytes() == data for path, data in kept.items())  # no mark that stood has changed
    again = teacher.json("grade", "run", "01", "--no-siblings")
    assert again["ran"] == len(lost)
