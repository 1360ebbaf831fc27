"""Starts workers, hands them jobs, and ends what does not end by itself."""

import contextlib
import json
import os
import queue
import re
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
TICK = 0.05
STOPPED, LATE = object(), object()
_EXIT = re.compile(r'\{"exit": -?\d+\}\s*$')
GRACE = 2.0 if hasattr(signal, "setitimer") else 0.2


@dataclass
class Run:
    """What a worker reported: one event for each cell, and the files of the reference that were used."""

    events: list = field(default_factory=list)
    foreign: list = field(default_factory=list)

    def event(self, identity):
        return next((event for event in self.events if event["done"] == identity), None)


class Worker:
    """A process with NumPy loaded that runs jobs: one and then ends, or with `fork` each in a child of its own.

    preload: modules that the cells will import, to have them ready too; they are looked for in `path` first.
    """

    def __init__(self, fork=False, preload=(), path=None):
        self.fork, self.preload, self.path = fork and CAN_FORK, tuple(preload), path
        self._process = self._lines = self._child = None
        self._closed = True
        self.start()

    def start(self):
        """Start the process now, so that it loads NumPy while the caller prepares the job."""
        options = [*(["--fork"] if self.fork else []), f"--preload={','.join(self.preload)}"]
        options += [f"--path={self.path}"] if self.path else []
        command = [sys.executable, "-P", str(WORKER), *options]
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "agg",
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
        self._closed, self._child = False, None
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

    def run(self, job, say=None, stop=None):
        """Run one job to its end; `say` gets the progress lines of a job that calls a function.

        stop: asked now and then; when it says yes the job is ended. Returns None then.
        """
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            return self._collect(say, stop)
        except BrokenPipeError as error:
            words = self._last_words()
            self.close()
            raise WorkplaceError(f"the worker ended before it began{words}", "see: tito doctor") from error
        except BaseException:
            self.close()
            raise
        finally:
            if not self.fork:
                self.close()

    def _collect(self, say, stop):
        run, current, late, deadline = Run(), None, [], time.monotonic() + 60
        while True:
            line = self._next_line(deadline, stop)
            if line is STOPPED:
                self._end_job()
                return None
            if line is LATE:
                self._end_job()
                error = {"type": "CellTimeout", "message": "it went on when it was told to stop", "frames": late}
                run.events.append({"done": current, "status": "timeout", "error": error})
                return run
            event = {"exit": None} if line is None else _event(line)
            if "start" in event:
                current, late = event["start"], []
                deadline = time.monotonic() + event["seconds"] + GRACE if event["seconds"] else float("inf")
            elif "late" in event:
                late = event["late"]
            elif "done" in event:
                run.events.append(event)
                deadline = time.monotonic() + 30
            elif "pid" in event:
                self._child = event["pid"]
            elif "say" in event and say:
                say(event["say"])
            elif "used" in event and event["used"] not in run.foreign:
                run.foreign.append(event["used"])
            elif "end" in event:
                self._end_job()  # grandchildren that the cells left behind
                return run
            elif "exit" in event:
                self._child = None
                run.events.append({"done": current, "status": "crashed", "error": self._how_it_ended(event["exit"])})
                if event["exit"] is None and self.fork:
                    self.close()
                    self.start()
                return run

    def _next_line(self, deadline, stop):
        """The next event, or LATE after the deadline, or STOPPED when `stop()` says so."""
        while True:
            wait = min(deadline - time.monotonic(), TICK if stop else 0.5)
            try:
                return self._lines.get(timeout=max(0.01, wait))
            except queue.Empty:
                if stop and stop():
                    return STOPPED
                if time.monotonic() >= deadline:
                    return LATE
                if self._process.poll() is not None and self._lines.empty():
                    return None  # it is gone, though something it started may still hold the pipe

    def _end_job(self):
        """End what the job started; a warm process stays, and is heard out until its child is gone."""
        if not self.fork:
            return  # close() follows
        if self._child is None:
            self.close()
            self.start()
            return
        _kill_group(self._child)
        self._child = None
        while (line := self._lines.get(timeout=30)) is not None and "exit" not in _event(line):
            pass

    def _how_it_ended(self, code):
        """The error of a cell that ended its process: exit code or signal, and the last line on standard error."""
        if code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=1)
        how = "" if code is None else f" (exit code {code})"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f" ({signal.Signals(-code).name})"
        message = f"the process ended in this cell{how}{self._last_words()}"
        return {"type": "SystemExit", "message": message, "frames": []}

    def _last_words(self):
        time.sleep(0.05)
        text = "".join(self._errors).strip()
        return f": {text.splitlines()[-1]}" if text else ""

    def close(self):
        """End the process and all that it started."""
        if self._closed:
            return
        self._closed = True
        _kill_group(self._child)
        _kill_group(self._process.pid)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _event(line):
    """What a line says; of one that a process was kept from finishing, only what the next one put behind it."""
    try:
        return json.loads(line)
    except ValueError:
        tail = _EXIT.search(line)
        return json.loads(tail[0]) if tail else {}


def _kill_group(leader):
    if leader and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
