"""Nothing a submission does gains a point, reads a canary, reaches a socket, changes another mark, or stops the batch.

Runs at each level of isolation that this machine has, as the user who runs the tests, and, where that is root, also as
an ordinary user in a process of its own.
"""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT, TINY
from tests.grading import hostile
from tests.grading.conftest import Papers
from tito import notebook as nb
from tito.course import Course
from tito.grading import sandbox
from tito.grading.classroom import Classroom
from tito.grading.marking import How, mark

pytestmark = pytest.mark.slow
MEMORY = 640 << 20
NOBODY = 65534
INNER = "TITO_TEST_AS_USER"  # set in the process that runs these tests as an ordinary user
CANARY = "canary-6f1d"
LEVELS = [level for level in sandbox.LEVELS if level is not sandbox.Limits]


class Batch(NamedTuple):
    """A class graded at one level. `found`: Marks by student. `temporary`: where the grader made its own folders."""

    room: Classroom
    found: dict
    connections: list
    level: str
    temporary: Path


def graded(level, released, folder, hostiles, jobs):
    """Grade hostile submissions between two honest ones, in the order of their names."""
    problem = level.problem()
    if problem:
        pytest.skip(f"level {level.level} cannot be had here: {problem}")
    shutil.copytree(released, folder / "room")
    room, course = Classroom(folder / "room"), Course(TINY)
    module, papers = course.modules[0], Papers(course.modules[0])
    (folder / "secret").write_text(CANARY)
    (folder / "temporary").mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("CANARY", CANARY)
    patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
    with listener() as (port, connections):
        facts = {
            "FILE": str(folder / "secret"),
            "CANARY": CANARY[:6],
            "PORT": port,
            "GRADEBOOK": str(room.root / "gradebook.db"),
            "OTHER": str(room.path("submitted", module, "a-honest")),
            "RESULT": str(room.result_path(module, "a-honest")),
            "REFERENCE": [str(path) for path in (module.source, course.reference / "core" / "double.py")],
            "PLACES": ["/tmp", "/dev/shm", "/work", "/var/tmp", "/package", ".", "..", "/dev", "/"],
        }
        honest = papers.with_source("01-1", "#| export\ndef double(x):\n    HONESTWORK = 1\n    return np.add(x, x)\n")
        quick, slow = [one for one in hostiles if not one.may_run_long], [one for one in hostiles if one.may_run_long]
        found, said = {}, []
        # what has to end by itself gets time for a machine that is busy with other things, the rest is cut off
        for first, these, last, seconds in (("a-honest", quick, "h-honest", 20), ("i-honest", slow, "z-honest", 1)):
            hand_in(room, module, first, honest)
            for one in these:
                answer = papers.with_body("01-1", "return 2 * np.asarray(x)")
                hand_in(room, module, one.student, papers.with_source("01-2", hostile.source(one, facts), answer))
            hand_in(room, module, last, papers.right)
            how = How(seconds=seconds, memory=MEMORY, isolation=level.level)
            with room.locked():
                running = mark(room, course, module, jobs=jobs, how=how, say=said.append)
                found.update({marks.student: marks for marks, _ in running})
    patch.undo()
    assert said == 2 * [f"isolation: {level.level}"]
    return Batch(room, found, connections, level.level, folder / "temporary")


def report_times(level, found):
    """Seconds by phase, for whoever runs this with -s."""
    honest, slow = found["z-honest"], sorted(found.values(), key=lambda marks: -marks.seconds)[:5]
    print(f"\n{level}: {len(found)} submissions, {sum(m.seconds for m in found.values()):.1f} s in all")
    print(f"an honest one {honest.seconds} s, {honest.phases}, {honest.memory >> 20} MB")
    print("the slowest:", {marks.student: (marks.seconds, marks.phases) for marks in slow})


def hand_in(room, module, student, notebook):
    path = room.path("submitted", module, student)
    path.parent.mkdir(parents=True)
    path.write_bytes(nb.to_json(notebook))


@contextlib.contextmanager
def listener():
    """A port on loopback of every kind, and who connected to it."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(server.getsockname())

        def take(get):
            with contextlib.suppress(OSError):
                while True:
                    connections.append(get())

        for get in (server.accept, lambda: datagrams.recvfrom(10)):
            threading.Thread(target=take, args=(get,), daemon=True).start()
        yield server.getsockname()[1], connections


@pytest.mark.parametrize("level", LEVELS, ids=[level.level for level in LEVELS])
def test_nothing_is_gained_read_reached_changed_or_stopped(level, released, tmp_path):
    batch = graded(level, released, tmp_path, hostile.ALL, jobs=2)
    report_times(level.level, batch.found)
    complain_about(hostile.ALL, batch)
    assert len({one.name for one in hostile.ALL}) == len(hostile.ALL) >= 40


@pytest.mark.parametrize("level", LEVELS, ids=[level.level for level in LEVELS])
def test_nothing_of_one_is_left_for_the_next(level, released, tmp_path):
    complain_about(hostile.IN_ORDER, graded(level, released, tmp_path, hostile.IN_ORDER, jobs=1))


def complain_about(hostiles, batch):
    wrong = [complaint for one in hostiles for complaint in about(one, batch)]
    wrong += [*about_honest_work(batch), *about_canaries(batch), *about_the_gradebook(batch)]
    assert not wrong, "\n".join(map(str, wrong))


def about(one, batch):
    """It gained nothing, ended in the right status, and nothing that it may have got hold of came out."""
    marks = batch.found[one.student]
    came = marks.status, marks.points["01-1"], marks.points["01-2"]
    text = json.dumps(marks.as_json(), ensure_ascii=False)
    if came not in one.expected:
        yield one.name, came, "and not", one.expected, text
    if marks.level != batch.level:
        yield one.name, "was graded at level", marks.level
    if "ESCAPED" in text:
        yield one.name, "got through", text
    if "np.add(x, x)" in text or "HONESTWORK" in text:
        yield one.name, "shows what it must not see", text
    if any(ord(letter) < 32 or letter == "\u202e" for letter in text):
        yield one.name, "can make a report lie", text


def about_honest_work(batch):
    for student in ("a-honest", "h-honest", "i-honest", "z-honest"):
        marks = batch.found[student]
        if (marks.status, marks.points) != ("graded", {"01-1": 5, "01-2": 5}):
            yield student, marks


def about_canaries(batch):
    if batch.connections:
        yield "a socket was reached", batch.connections
    for path in batch.room.root.rglob("*"):
        if path.is_file() and CANARY.encode() in path.read_bytes():
            yield "a canary came out", path


def about_the_gradebook(batch):
    """It holds what was given, and nothing else; no file is left over."""
    query = """SELECT s.student_id, c.name, g.auto_score FROM grade g JOIN base_cell c ON c.id = g.cell_id
        JOIN submitted_notebook n ON n.id = g.notebook_id JOIN submitted_assignment s ON s.id = n.assignment_id"""
    with contextlib.closing(sqlite3.connect(batch.room.root / "gradebook.db")) as book:
        scores = {(student, cell): auto for student, cell, auto in book.execute(query)}
        if book.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            yield ("the gradebook is damaged",)
    for student, marks in batch.found.items():
        for task, points in marks.points.items():
            if scores.get((student, f"{task}-test")) != points:
                yield student, task, "has", scores.get((student, f"{task}-test")), "and not", points
    left = [*(batch.room.private.glob("run")), *batch.temporary.glob("tito-*")]
    if left:
        yield "this was left", left


# --- as an ordinary user ---


@pytest.mark.skipif(INNER in os.environ, reason="this is the process that runs as an ordinary user")
def test_the_same_as_an_ordinary_user():
    if os.getuid() != 0:
        pytest.skip("the tests run as an ordinary user already; that they hold as root was not tried")
    missing = [name for name in ("setpriv", "unshare", "mount") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"to become an ordinary user, {', '.join(missing)} of util-linux is needed")
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own, which only root may enter
        os.chmod(folder, 0o777)
        command = ["unshare", "--mount", "sh", "-c", as_nobody(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0


def as_nobody(folder):
    """Shell that runs these tests as nobody. An interpreter in root's home is shown to them, and nothing else of it."""
    tests = f"{sys.executable} -m pytest -q -s -n 0 -p no:cacheprovider --basetemp={folder}/tmp {__file__}"
    lines = [f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps=-all -- env {INNER}=1 HOME={folder} "
             f"TMPDIR={folder} PYTHONDONTWRITEBYTECODE=1 {tests}"]  # fmt: skip
    base = Path(sys.base_prefix).resolve()
    private = next((parent for parent in reversed(base.parents) if not parent.stat().st_mode & 0o001), None)
    if private:
        lines[:0] = [
            f"mkdir {folder}/python",
            f"mount --bind {base} {folder}/python",
            f"mount -t tmpfs -o mode=755 none {private}",
            f"mkdir -p {base}",
            f"mount --move {folder}/python {base}",
        ]
    return " && ".join(lines)
