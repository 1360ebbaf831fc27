"""A process that stays warm and runs jobs in forks of itself: the outside of `tito/inside.py`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tito.errors import WorkplaceError

INSIDE = Path(__file__).resolve().parents[1] / "inside.py"
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
GRACE = 10  # seconds beyond a job's own limit after which the process itself is taken to be stuck
START_SECONDS = 60
ANSWER_LIMIT = 64 << 20  # bytes; the process inside sends far less


class Died(Exception):
    """The warm process ended or hangs, with the job that it was given."""


class Warm:
    """Runs jobs one at a time, each in a fork of a process that is started when it is first needed.

    Here it is Python itself, without any isolation; see `tito/grading/sandbox.py` for the others.
    package: folder that holds `tinytorch`. preload: modules that are imported before the first fork.
    """

    def __init__(self, package, preload=()):
        self.package, self.preload = Path(package), tuple(preload)
        self.process = self.work = None

    def command(self):
        return [sys.executable, "-I", str(INSIDE)]

    def options(self):
        """What the process inside is told first, see `tito/inside.py`."""
        return {"package": str(self.package), "preload": self.preload, "work": self.work}

    def environment(self):
        return {"PATH": os.environ.get("PATH", os.defpath), **ENVIRONMENT}

    def start(self):
        if not hasattr(os, "fork"):
            raise WorkplaceError("probes run in forks of a process, which this system cannot make", "use Linux or WSL")
        self.work = tempfile.mkdtemp(prefix="tito-work-")
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
            start_new_session=True,
        )
        self.complaint = _Tail(self.process.stderr)
        try:
            answer = self._ask(self.options(), START_SECONDS)
        except Died as error:
            answer = {"problem": str(error)}
        if not answer.get("ready"):
            self.close()
            raise WorkplaceError(f"a process for student code cannot start: {answer.get('problem')}")

    def run(self, job):
        """The answer to a job, see `tito/inside.py`. Raises: Died."""
        if self.process is None or self.process.poll() is not None:
            self.close()
            self.start()
        try:
            answer = self._ask(job, job["wall"] + GRACE)
        except Died:
            self.close()
            raise
        if answer["stale"]:
            self.close()
        return answer

    def _ask(self, message, seconds):
        """Send a message and wait for the answer."""
        data = json.dumps(message).encode()
        timer = threading.Timer(seconds, self._kill)
        timer.start()
        try:
            self.process.stdin.write(b"%08x" % len(data) + data)
            self.process.stdin.flush()
            head = self.process.stdout.read(8)
            size = int(head, 16) if len(head) == 8 else -1
            data = self.process.stdout.read(size) if 0 <= size <= ANSWER_LIMIT else b""
            if size < 0 or len(data) != size:
                raise Died(f"it ended or was ended: {self.complaint.text()}")
            return json.loads(data)
        except BrokenPipeError as error:
            raise Died(f"it ended: {self.complaint.text()}") from error
        except ValueError as error:
            raise Died(f"it answered what is no message: {error}") from error
        finally:
            timer.cancel()

    def _kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self):
        if self.process is not None:
            self._kill()
            self.process.wait()
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.stdout.close()
            self.process = None
        if self.work is not None:
            remove(self.work)
            self.work = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def remove(folder):
    """Remove a folder in which student code could write: also what is nested without end or forbids to be listed."""
    for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        subprocess.run([*command, "--", str(folder)], stderr=subprocess.DEVNULL, check=False)


class _Tail:
    """The last of what a process writes to standard error."""

    KEPT = 2000

    def __init__(self, stream):
        self.kept, self.stream = b"", stream
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with self.stream:
            while part := self.stream.read1(1 << 16):
                self.kept = (self.kept + part)[-self.KEPT :]

    def text(self):
        self.thread.join(1)
        return self.kept.decode("utf-8", errors="replace").strip() or "without a word"
