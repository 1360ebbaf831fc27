"""Runs student code for grading: a warm process that runs each job in a fork of its own. Knows nothing of tito.

Started as a script, inside a sandbox where there is one. `--package=FOLDER` holds `tinytorch` with the lower modules,
`--preload=a,b` names what to import beforehand. Reads jobs from standard input and writes answers to standard output;
both are messages: eight hexadecimal digits for a length, then that many bytes of JSON.

A job: files ({path below the package's folder: text}, of the module that is graded), modules (to import),
probes (text of a module's probes.py), tasks, seeds (each task runs once with each), cells ([{id, source, seconds}],
which run after the probes), seconds (that one task may take), wall (that all may take),
limits ({name of a resource: number}).
An answer: ended (exit, signal, timeout or flood), code (of the exit or the signal), frames (text, a line of JSON each),
seconds, memory (bytes at the most). Frames come from the fork, where student code can write them too.
"""

import base64
import contextlib
import ctypes
import itertools
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # Python is started without it
import worker

sys.path.pop(0)
FRAMES_LIMIT = 8 << 20  # bytes of all frames of a job
VALUE_LIMIT = 1 << 20  # bytes of one array
LIST_LIMIT, TEXT_LIMIT, NAMES_LIMIT = 256, 2000, 200
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36


# --- messages ---


def read_message(stream):
    """The next message, or None at the end."""
    head = stream.read(8)
    return json.loads(stream.read(int(head, 16))) if len(head) == 8 else None


def write_message(stream, message):
    data = json.dumps(message).encode()
    stream.write(b"%08x" % len(data) + data)
    stream.flush()


# --- what a probe yields, as plain data ---


class Unplain(TypeError):
    """A value that is no number, text or array, or too large."""


def encode(value):
    """A number, text, None, an array, or a list of these, as JSON can carry it. Raises: Unplain."""
    if isinstance(value, list | tuple):
        if len(value) > LIST_LIMIT:
            raise Unplain(f"a list of {len(value)} values; at most {LIST_LIMIT}")
        return {"list": [_encode_one(part) for part in value]}
    return _encode_one(value)


def _encode_one(value):
    import numpy as np

    if value is None or isinstance(value, bool):
        return {"plain": value}
    if isinstance(value, str):
        return {"plain": value[:TEXT_LIMIT]}
    if not isinstance(value, int | float | np.ndarray | np.generic):
        raise Unplain(f"a {type(value).__name__} is no number, text or array")
    array = np.array(value, order="C", copy=True, subok=False)
    if array.dtype.kind not in "biuf" or array.nbytes > VALUE_LIMIT:
        raise Unplain(f"an array of {array.dtype}, shape {array.shape}, is not plain or too large")
    array = array.astype(array.dtype.newbyteorder("<"))
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


# --- probes ---


class Draws:
    """Random numbers for a probe, until student code can have run; from then on there are none."""

    def __init__(self, seed):
        import numpy as np

        self._rng = np.random.default_rng(seed)

    def close(self):
        self._rng = None

    def __getattr__(self, name):
        if self._rng is None:
            raise RuntimeError(f"the probe draws ({name}) after it has used the package; draw everything first")
        return getattr(self._rng, name)


class Package:
    """The package under test, which closes the draws of its probe when it is first used."""

    def __init__(self, package, draws):
        self._package, self._draws = package, draws

    def __getattr__(self, name):
        self._draws.close()
        return getattr(self._package, name)


def run_probe(function, task, seed, seconds, emit):
    """Run one probe; a frame for each value it yields, and one at its end."""
    import tinytorch

    key = {"task": task, "seed": seed}

    def run():
        draws = Draws([seed, *map(int, task.split("-"))])
        for name, value, *case in itertools.islice(function(Package(tinytorch, draws), draws), NAMES_LIMIT):
            emit({**key, "name": str(name), "value": encode(value), "case": case_of(case)})

    error = None
    try:
        with worker.time_limit(seconds, lambda event: None):
            run()
    except BaseException as raised:
        error = worker.describe(raised)
    emit({**key, "end": True, "error": error})


def case_of(case):
    """What the values of a result were made from: `{name: value}`, or None where the probe does not say."""
    return {str(name): encode(value) for name, value in case[0].items()} if case else None


def run_job(job, emit):
    """What a fork does: import the module that is graded, run its probes, then the visible tests."""
    folder = job["folder"]
    for name, text in job["files"].items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    import tinytorch.core

    tinytorch.core.__path__.insert(0, os.path.join(folder, "tinytorch", "core"))
    sys.path.insert(0, folder)  # for pickles and tracebacks of the student's own; tinytorch itself is loaded already
    error = load(job["modules"], job["seconds"])
    emit({"imported": error is None, "error": error})
    if error is None:
        namespace = {"__name__": "probes"}
        exec(compile(job["probes"], "probes.py", "exec"), namespace)
        for task, seed in itertools.product(job["tasks"], job["seeds"]):
            run_probe(namespace["probe_" + task.replace("-", "_")], task, seed, job["seconds"], emit)
    if job["cells"]:
        worker.run_cells({"modules": job["modules"], "cells": job["cells"]}, lambda event: emit({"test": event}))
    emit({"whole": True})


def load(modules, seconds):
    """Import the student's modules; what went wrong, or None."""
    try:
        with worker.time_limit(seconds, lambda event: None):
            for name in modules:
                __import__(name)
    except BaseException as error:
        return worker.describe(error)
    return None


# --- the fork ---


def serve():
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(quiet, number)
    guard_parent()
    sys.dont_write_bytecode = True
    package, preloaded = arguments()
    sys.path.insert(0, package)
    problem = preload(preloaded)
    write_message(stdout, {"ready": problem is None, "problem": problem})
    while (job := read_message(stdin)) is not None:
        write_message(stdout, run_in_fork(job, (stdin, stdout)))


def arguments():
    given = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
    return given["package"], [name for name in given.get("preload", "").split(",") if name]


def preload(names):
    """Import what every fork will need; the reason why that cannot be done, or None."""
    try:
        for name in ["numpy", "tinytorch.core", *names]:
            __import__(name)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def guard_parent():
    """Forks may not look into this process, and what they leave behind becomes its child, to be ended."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_in_fork(job, channels):
    """Run a job in a child and return its answer; afterwards nothing of the child is left, neither process nor file."""
    started = time.monotonic()
    job["folder"] = tempfile.mkdtemp(prefix="job-")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        for channel in channels:
            channel.close()
        be_the_child(job, writing)
    os.close(writing)
    data, ended = collect(reading, child, started + job["wall"])
    os.close(reading)
    code, memory = end_all(child)
    shutil.rmtree(job["folder"], ignore_errors=True)
    if ended == "exit" and code < 0:
        ended, code = "signal", -code
    frames = data.decode("utf-8", errors="replace")
    took = time.monotonic() - started
    return {"ended": ended, "code": code, "frames": frames, "seconds": round(took, 4), "memory": memory}


def be_the_child(job, writing):
    """Never returns."""
    code, pipe = 1, Pipe(writing)
    try:
        os.setpgid(0, 0)
        os.chdir(job["folder"])
        limit(job.get("limits", {}))

        def emit(frame):
            pipe.write((json.dumps(frame, default=str) + "\n").encode())

        run_job(job, emit)
        code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            pipe.write((json.dumps({"broken": worker.describe(error)}, default=str) + "\n").encode())
    finally:
        os._exit(code)


class Pipe:
    """Writes whole lines to a descriptor, also where a signal cuts a write short."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]


def limit(limits):
    import resource

    for name, number in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        number = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(kind, (number, number))


def collect(reading, child, deadline):
    """Bytes that the child wrote until it ended, and how it ended; a grandchild may still hold the pipe."""
    data, ended, handle = bytearray(), "exit", os.pidfd_open(child)
    watched = [reading, handle]
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                ended = "timeout"
                break
            ready, _, _ = select.select(watched, [], [], left)
            if reading in ready:
                part = os.read(reading, 1 << 16)
                data += part
                if not part:
                    watched.remove(reading)
                if len(data) > FRAMES_LIMIT:
                    ended = "flood"
                    break
            elif handle in ready:
                break
    finally:
        os.close(handle)
    return bytes(data[:FRAMES_LIMIT]), ended


def end_all(child):
    """End the child, its group and all that it left behind; its exit code (a signal negative) and memory in bytes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    while orphans := children():
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


def children():
    """Process ids of this process's children, adopted ones too."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []


if __name__ == "__main__":
    serve()
