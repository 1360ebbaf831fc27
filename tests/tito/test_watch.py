"""`tito module watch`: what it tests at a save, how fast it answers, and how it ends."""

import contextlib
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tito import notebook as nb
from tito.commands.module._touched import touched
from tito.course import Course

IPYNB, PERCENT = "01_double/double.ipynb", "01_double/double.py"
LOOP = "#| export\ndef double(x):\n    while True:\n        pass"
MODES = pytest.mark.parametrize("mode", [(), ("--spare",)], ids=["fork", "spare"])


class Watching:
    """A running `tito module watch --json` and its answers."""

    def __init__(self, student, *options, limit=2):
        command = [sys.executable, "-m", "tito.cli", "module", "watch", "01", "--json", *options]
        environment = student.environment(TITO_TEST_SECONDS=str(limit))
        self.process = subprocess.Popen(
            command, cwd=student.work, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def answer(self, seconds=30):
        return self._lines.get(timeout=seconds)

    def none_for(self, seconds):
        with pytest.raises(queue.Empty):
            self._lines.get(timeout=seconds)

    def end(self, how=signal.SIGINT):
        """Send a signal to the process group, as a terminal does; returns the exit code."""
        os.killpg(self.process.pid, how)
        return self.process.wait(timeout=20)


@pytest.fixture
def watch(student):
    """Starts watching; whatever is left is ended after the test, and no process may be left over."""
    running = []

    def start(*options, **more):
        running.append(Watching(student, *options, **more))
        return running[-1]

    yield start
    for watching in running:
        if watching.process.poll() is None:
            watching.end()
        watching.process.stdout.close()
    for _ in range(40):
        if not workers_of(student):
            return
        time.sleep(0.1)
    raise AssertionError(f"left over: {workers_of(student)}")


def workers_of(student):
    """Processes of tito's worker that run in the student's workspace."""
    if not os.path.isdir("/proc"):
        return []
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_text()
            if "worker.py" in command and os.path.realpath(f"/proc/{pid}/cwd") == str(student.work):
                found.append(pid)
    return found


def statuses(answer):
    return [result["status"] for result in answer["results"]]


@MODES
def test_each_save_is_answered_until_all_is_right(student, watch, mode):
    watching = watch(*mode)
    assert statuses(watching.answer()) == ["todo", "todo"]
    student.solve("01-1", "np.multiply(x, x)")
    answer = watching.answer()
    assert statuses(answer) == ["failed", "todo"] and answer["tested"] == ["01-1-test"]
    student.solve("01-2")
    answer = watching.answer()
    assert statuses(answer) == ["failed", "failed"] and answer["tested"] == ["01-2-test"]
    student.solve("01-1")
    answer = watching.answer()
    assert statuses(answer) == ["ok", "ok"] and answer["ok"] and answer["tested"] == ["01-1-test", "01-2-test"]
    assert watching.end() == 0
    assert student.json("module", "undo", "--list")[-1]["kept_by"] == "watch"


def test_text_for_a_person_says_what_comes_next(student):
    command = [sys.executable, "-m", "tito.cli", "module", "watch", "--once"]
    student.solve("01-1")
    process = subprocess.Popen(command, cwd=student.work, env=student.environment(), stdout=subprocess.PIPE, text=True)
    text = [process.stdout.readline() for _ in range(8)]
    student.solve("01-2")
    rest = process.stdout.read()
    process.stdout.close()
    assert "next: write 01-2" in "".join(text)
    assert "double.ipynb: 1 tested in" in rest and rest.endswith("next: tito module complete 01\n")
    assert process.wait() == 0


def test_once_ends_with_1_when_it_is_not_right(student, watch):
    watching = watch("--once")
    watching.answer()
    student.solve("01-1", "x")
    watching.answer()
    assert watching.process.wait(timeout=20) == 1


@MODES
def test_latency_is_measured(student, watch, mode, record_property, capsys):
    watching, seconds = watch(*mode), []
    watching.answer()
    for number in range(12):
        time.sleep(0.2)
        student.edit(IPYNB, "01-1", f"#| export\ndef double(x):\n    return np.add(x, x) + 0 * {number}")
        answer = watching.answer()
        assert answer["results"][0]["status"] == "ok"
        seconds.append(answer["since_save"])
    with capsys.disabled():
        print(f"\nsave to answer {mode}: median {statistics.median(seconds):.3f} s, max {max(seconds):.3f} s")
    record_property("median_seconds", statistics.median(seconds))


def test_a_save_without_a_change_tests_everything(student, watch):
    watching = watch()
    watching.answer()
    os.utime(student.work / IPYNB)
    assert watching.answer()["tested"] == ["01-1-test", "01-2-test"]


def test_a_file_half_written_is_waited_for(student, watch):
    watching, path = watch(), student.work / IPYNB
    watching.answer()
    student.solve("01-1")
    assert watching.answer()["results"][0]["status"] == "ok"
    text = path.read_text()
    for part in (text[:100], text[: len(text) // 2], ""):
        path.write_text(part)
        time.sleep(0.15)
    path.write_text(text.replace("np.add(x, x)", "np.add(x, 1)"))
    assert watching.answer()["results"][0]["status"] == "failed"
    watching.none_for(0.3)


def test_a_broken_or_missing_file_is_reported_once_and_watching_goes_on(student, watch):
    watching, path = watch(), student.work / IPYNB
    watching.answer()
    text = path.read_text()
    path.write_text(text[:200])
    answer = watching.answer()
    assert "is not a notebook: line" in answer["error"] and answer["exit"] == 1
    path.unlink()
    assert "is gone" in watching.answer()["error"]
    watching.none_for(0.3)
    path.write_text(text)
    assert statuses(watching.answer()) == ["todo", "todo"]


@MODES
def test_a_save_during_a_run_starts_anew(student, watch, mode):
    watching = watch(*mode)
    watching.answer()
    student.edit(IPYNB, "01-1", LOOP)
    time.sleep(0.5)
    student.solve("01-2")
    student.edit(IPYNB, "01-1", "#| export\ndef double(x):\n    return np.add(x, x)")
    began = time.monotonic()
    assert statuses(watching.answer()) == ["ok", "ok"]
    assert time.monotonic() - began < 1.5, "the endless loop was waited for"


@MODES
def test_an_endless_loop_is_stopped_and_the_next_save_is_answered(student, watch, mode):
    watching = watch(*mode)
    watching.answer()
    student.edit(IPYNB, "01-1", LOOP)
    answer = watching.answer()
    assert statuses(answer) == ["timeout", "todo"]
    assert answer["results"][0]["where"] == "cell 01-1, in double"
    student.edit(IPYNB, "01-1", "#| export\ndef double(x):\n    return np.add(x, x)")
    assert statuses(watching.answer()) == ["ok", "todo"]


@MODES
def test_what_a_crash_kept_from_running_runs_after_it_is_mended(student, watch, mode):
    half_a_line = "    for handle in range(4, 9):\n        try: os.write(handle, b'{')\n        except OSError: pass"
    student.edit(IPYNB, "01-1", f"#| export\ndef double(x):\n    import os\n{half_a_line}\n    os._exit(3)")
    watching = watch(*mode)
    answer = watching.answer()
    assert statuses(answer) == ["crashed", "crashed"] and "exit code 3" in answer["results"][0]["happened"]
    student.edit(IPYNB, "01-1", "#| export\ndef double(x):\n    return np.add(x, x)")
    answer = watching.answer()
    assert statuses(answer) == ["ok", "todo"] and answer["tested"] == ["01-1-test", "01-2-test"]


def test_a_syntax_error_stays_until_it_is_mended(student, watch):
    watching = watch()
    watching.answer()
    student.edit(IPYNB, "01-1", "#| export\ndef double(x):\n    return (")
    answer = watching.answer()
    assert statuses(answer) == ["error", "todo"] and "syntax error" in answer["results"][0]["happened"]
    student.edit(IPYNB, "01-2", "#| export\ndef quadruple(x):\n    return 4 * np.asarray(x)")
    answer = watching.answer()
    assert statuses(answer) == ["error", "ok"] and answer["remarks"] == []


def test_a_percent_file_is_watched_too(student, watch):
    (student.work / IPYNB).unlink()
    (student.work / ".tito" / "events.jsonl").unlink()
    student("module", "start", "01", "--format", "py")
    watching, path = watch(), student.work / PERCENT
    watching.answer()
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    time.sleep(0.05)
    path.write_text(text.replace('raise NotImplementedError("01-1 double")', "return np.add(x, x)"))
    answer = watching.answer()
    assert statuses(answer) == ["ok", "todo"] and answer["tested"] == ["01-1-test"]


@MODES
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_in_the_middle_of_a_loop_leaves_no_process(student, watch, mode, how):
    watching = watch(*mode, limit=60)
    watching.answer()
    swallow = "    while True:\n        try:\n            while True: pass\n        except BaseException: pass"
    student.edit(IPYNB, "01-1", f"#| export\ndef double(x):\n{swallow}")
    time.sleep(0.6)
    assert workers_of(student) or not os.path.isdir("/proc")
    code = watching.end(how)  # then the fixture looks for processes that are left
    assert code == (0 if how == signal.SIGINT else -how)


def test_watching_needs_a_started_module_in_order(student):
    assert "was not started" in student("module", "watch", "01", code=2, TITO_OVERLAY=str(fresh(student))).flat
    assert "needs tinytorch.core.double" in student("module", "watch", "02", code=2).flat


def fresh(student):
    student("init", "other")
    return student.work / "other"


# --- which tests an edit touches -------------------------------------------------------------------------------------

CHAIN = """# %%
#| default_exp core.chain
#| export
{given}

# %% nbgrader={{"grade_id": "01-1", "solution": true}}
#| export
def first(x):
    return {first}

# %% nbgrader={{"grade_id": "01-1-test", "points": 1}}
first(1)

# %% nbgrader={{"grade_id": "01-2", "solution": true}}
#| export
def second(x):
    return {second}

# %% nbgrader={{"grade_id": "01-2-test", "points": 1}}
second(1)

# %% nbgrader={{"grade_id": "01-3", "solution": true}}
#| export
{third}

# %% nbgrader={{"grade_id": "01-3-test", "points": 1}}
{test}
"""
GIVEN, OVER = "import numpy as np", "class Tensor:\n    def __add__(self, other):\n        return first(other)"
PLAIN = dict(given=GIVEN, first="x", second="x", third="def third(x):\n    return x", test="third(1)")


def chain(tmp_path, **texts):
    folder = tmp_path / "modules/01_chain"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chain_dev.py").write_text(CHAIN.format(**{**PLAIN, **texts}))
    (tmp_path / "settings.ini").write_text("[DEFAULT]\nnbs_path = modules\nlib_path = lib\nversion = 1\n")
    return nb.compile_module(Course(tmp_path).modules[0])


@pytest.mark.parametrize(
    "more, expected",
    [
        ({}, {"01-1-test"}),
        ({"second": "first(x)"}, {"01-1-test", "01-2-test"}),
        (
            {"second": "first(x)", "third": "def third(x):\n    return second(x)"},
            {"01-1-test", "01-2-test", "01-3-test"},
        ),
        ({"test": "third(first(1))"}, {"01-1-test", "01-3-test"}),
        ({"given": OVER, "test": "Tensor() + 1"}, {"01-1-test", "01-3-test"}),
        (
            {
                "third": "@add_to(Tensor)\ndef third(self):\n    return first(2)",
                "given": OVER,
                "test": "Tensor().third()",
            },
            {"01-1-test", "01-3-test"},
        ),
    ],
    ids=["alone", "used by a solution", "used by way of another", "used by a test", "behind a class", "a method"],
)
def test_touched_are_the_changed_task_and_all_that_reaches_it(tmp_path, more, expected):
    assert touched(chain(tmp_path, **more), chain(tmp_path, first="x + 1", **more)) == expected


def test_touched_is_everything_when_that_cannot_be_told(tmp_path):
    before = chain(tmp_path)
    assert touched(before, before) is None
    assert touched(before, chain(tmp_path, third="TABLE['x'] = 1")) is None
    assert touched(before, chain(tmp_path, third="@register\ndef third(x):\n    return x")) is None
    own = {**before, "cells": [*before["cells"], {**before["cells"][0], "id": "own-1"}]}
    assert touched(before, own) is None
    assert touched(before, chain(tmp_path, third="def third(x):\n    return 3")) == {"01-3-test"}
