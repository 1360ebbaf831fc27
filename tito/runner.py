"""Starts workers, hands them jobs, and ends what does not end by itself."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tito.errors import WorkplaceError

WORKER = Path(__file__).with_name("worker.py")
CAN_FORK = hasattr(os, "fork")
GRACE = 2.0 if hasattr(signal, "setitimer") else 0.2


@dataclass
class Run:
    """What a worker reported: one event for each cell, and the files of the reference that were used."""

    events: list = field(default_factory=list)
    foreign: list = field(default_factory=list)

    def event(self, identity):
        return next((event for event in self.events if event["done"] == identity), None)


class Worker:
    """A process with NumPy loaded that runs jobs: one and then ends, or with `fork` each in a child of its own."""

    def __init__(self, fork=False):
        self.fork = fork and CAN_FORK
        self._process = None
        self._lines = None
        self.start()

    def start(self):
        """Start the process now, so that it loads NumPy while the caller prepares the job."""
        command = [sys.executable, "-P", str(WORKER), *(["--fork"] if self.fork else [])]
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment.pop("PYTHONPATH", None)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise WorkplaceError(f"cannot start {sys.executable}: {error}", "see: tito doctor") from error
        self._lines = queue.Queue()
        self._errors = []
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        threading.Thread(target=self._read_errors, args=(self._process, self._errors), daemon=True).start()

    @staticmethod
    def _read(process, lines):
        with contextlib.suppress(ValueError):  # the pipe was closed under us by close()
            for line in process.stdout:
                lines.put(line)
        lines.put(None)

    @staticmethod
    def _read_errors(process, errors):
        with contextlib.suppress(ValueError):
            for line in process.stderr:
                errors.append(line)
                del errors[:-50]

    def run(self, job, say=None):
        """Run one job to its end; `say` gets the progress lines of a job that calls a function."""
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            return self._collect(say)
        except (BrokenPipeError, KeyboardInterrupt) as error:
            self.close()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise WorkplaceError(
                f"the worker ended before it began: {self._last_words()}", "see: tito doctor"
            ) from error
        finally:
            if not self.fork:
                self.close()

    def _collect(self, say):
        run, current, deadline, child = Run(), None, time.monotonic() + 60, None
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self._end(child)
                run.events.append(
                    {"done": current, "status": "timeout", "error": _no_frames("CellTimeout", "did not end")}
                )
                if self.fork:
                    self._drain()
                return run
            event = json.loads(line) if line is not None else {"exit": None}
            if "start" in event:
                current = event["start"]
                deadline = time.monotonic() + event["seconds"] + GRACE if event["seconds"] else float("inf")
                deadline = min(deadline, time.monotonic() + threading.TIMEOUT_MAX / 2)
            elif "done" in event:
                run.events.append(event)
                deadline = time.monotonic() + 30
            elif "pid" in event:
                child = event["pid"]
            elif "say" in event and say:
                say(event["say"])
            elif "end" in event:
                run.foreign = event["foreign"]
                self._end(child)  # grandchildren that the cells left behind
                if self.fork:
                    self._drain()
                return run
            elif "exit" in event:
                words = self._last_words()
                message = f"the process ended in this cell{f': {words}' if words else ''}"
                run.events.append({"done": current, "status": "crashed", "error": _no_frames("SystemExit", message)})
                if event["exit"] is None and self.fork:
                    self.start()
                return run

    def _drain(self):
        """Wait until the warm process says that its child is gone."""
        while (line := self._lines.get(timeout=30)) is not None and "exit" not in json.loads(line):
            pass

    def _end(self, child):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if child and hasattr(os, "killpg"):
                os.killpg(child, signal.SIGKILL)
            elif not self.fork:
                self._process.kill()

    def _last_words(self):
        time.sleep(0.05)
        return "".join(self._errors).strip().splitlines()[-1] if self._errors else ""

    def close(self):
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _no_frames(kind, message):
    return {"type": kind, "message": message, "frames": []}
