"""`tito grade run --dask`: two workers on this machine, one of them killed; every submission is graded once."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from tests.grading.test_resume import hand_in_many, in_the_book

pytest.importorskip("distributed", reason="distributed is not installed: pip install 'tinytorch[dask]'")
pytestmark = pytest.mark.slow
COUNT = int(os.environ.get("TITO_MANY", 40))


@pytest.fixture
def cluster(teacher, tmp_path):
    """`(address of the scheduler, the two worker processes)`, on loopback."""
    scheduler = _start(teacher, tmp_path, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    address = _wait_for(scheduler, r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    workers = [_start(teacher, tmp_path, "worker", address, *options) for _ in range(2)]
    for worker in workers:
        _wait_for(worker, r"Registered to:\s+(\S+)")
    yield address, workers
    for process in (*workers, scheduler):
        _end(process)


def _start(teacher, folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        cwd=folder,
        env=teacher.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for(process, pattern):
    """What the first line with the pattern says; afterwards the output is read and forgotten."""
    seen = []
    for line in process.stderr:
        seen.append(line)
        if match := re.search(pattern, line):
            threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
            return match[1]
    raise AssertionError("".join(seen))


def _end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_worker_loses_no_submission(cluster, teacher, papers):
    address, workers = cluster
    expected = hand_in_many(teacher, papers, COUNT)
    running = subprocess.Popen(
        [sys.executable, "-m", "tito.cli", "grade", "run", "01", "--no-siblings", "--dask", address, "--json"],
        cwd=teacher.folder,
        env=teacher.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    results = teacher.folder / ".grading" / "results" / "01_double"
    while running.poll() is None and len(list(results.glob("*.json"))) < COUNT // 4:
        psutil.wait_procs([psutil.Process(running.pid)], timeout=0.05)
    _end(workers[0])
    text, errors = running.communicate(timeout=300 + COUNT)
    assert running.returncode == 0, text + errors
    assert {facts["status"] for facts in json.loads(text)["students"]} == {"graded"}, text[:3000]
    assert in_the_book(teacher) == expected
    assert workers[1].poll() is None


def test_no_cluster_is_said(teacher, papers):
    hand_in_many(teacher, papers, 1)
    said = teacher("grade", "run", "01", "--dask", "tcp://127.0.0.1:9", code=3).flat
    assert "no Dask scheduler with a worker answers at tcp://127.0.0.1:9" in said
