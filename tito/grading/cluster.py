"""Grading on a Dask cluster: the same executions, in the workers of a scheduler that somebody started.

Each worker has tito and the same course, and runs student code in a sandbox, in processes of their own, never in the
worker itself. A result that is lost with its worker is asked for again.
"""

import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from tito.check import assemble
from tito.course import Course
from tito.errors import WorkplaceError
from tito.grading.classroom import Released
from tito.grading.execution import Marks

CONNECT_SECONDS = 20
TRIES = 5  # of one submission whose worker is lost


@dataclass(frozen=True)
class Order:
    """What every submission of a run has in common, as data that travels."""

    course_hash: str
    module: str
    blank: bytes
    seed: int
    seconds: float
    siblings: bool
    isolation: str | None
    unsafe: bool
    memory: int
    own_lower: bool


def grade_all(address, order, submissions):
    """Marks of all submissions, as they come, from the cluster whose scheduler is at `address`."""
    client = connect(address)
    try:
        yield from _as_they_come(client, order, submissions)
    finally:
        client.close()


def connect(address):
    try:
        from distributed import Client
    except ImportError as error:
        raise WorkplaceError("Dask is not installed", "pip install 'tinytorch[dask]'") from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        return client
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkplaceError(
            f"no Dask scheduler with a worker answers at {address}: {error}",
            "start them: dask scheduler, and on each machine: dask worker tcp://HOST:8786",
        ) from error


def _as_they_come(client, order, submissions):
    """Hand out every submission; those in state `lost` or whose worker was killed are handed out again."""
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    shared = client.scatter(order, broadcast=True, hash=True)
    tries = dict.fromkeys((submission.student for submission in submissions), 0)

    def hand_out(submission):
        tries[submission.student] += 1
        if tries[submission.student] > TRIES:
            raise WorkplaceError(
                f"the workers that ran the submission of {submission.student} were lost {TRIES} times",
                "see their logs; what is graded is kept: run this again",
            )
        future = client.submit(grade_here, shared, submission, pure=False, retries=0)
        running[future.key] = submission
        return future

    running = {}
    waiting = as_completed([hand_out(submission) for submission in submissions], loop=client.loop)
    for future in waiting:
        submission = running.pop(future.key)
        error = future.exception() if future.status == "error" else None
        if future.status == "finished":
            facts = future.result()
            future.release()
            yield Marks.from_json(facts)
        elif future.status in ("lost", "cancelled") or isinstance(error, KilledWorker):
            waiting.add(hand_out(submission))
        else:
            raise error


# --- in the worker ---

_execution, _lock = {}, threading.Lock()


def grade_here(order, submission):
    """Marks of one submission as plain data; runs in a Dask worker, one submission at a time in each of its threads."""
    return _own_execution(order).grade(submission).as_json()


def _own_execution(order):
    """This thread's execution, made anew when the order is another one."""
    key = os.getpid(), threading.get_ident()
    with _lock:
        before = _execution.get(key)
        if before and before[0] == order:
            return before[1]
        if before:
            before[1].close()
            shutil.rmtree(before[2], ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="tito-grading-"))
        _execution[key] = order, make_execution(order, folder), folder
        return _execution[key][1]


def make_execution(order, folder):
    from tito.grading import sandbox
    from tito.grading.grader import Isolated, Setting

    course = Course.find()
    if course.hash != order.course_hash:
        raise WorkplaceError(
            f"the worker on {os.uname().nodename} has another course ({course.root})",
            "install the same version of tinytorch on every machine, or set TITO_COURSE",
        )
    module = course.module(order.module)
    assemble(course, folder, [m for m in course.modules if m.number < module.number])
    setting = Setting(course, Released(module, order.blank), folder, order.seed, order.memory)
    setting.run_reference()
    level, _ = sandbox.choose(setting.view, setting.secrets, order.unsafe, order.isolation)
    return Isolated(setting, level, order.seconds, order.siblings, order.own_lower)
