"""Runs student code for grading: a warm process that runs each job in a fork of its own. Knows nothing of tito.

Started as a script, inside a sandbox where there is one. Its first message says what it is to be: package (folder that
holds `tinytorch` with the lower modules), preload (modules to import beforehand), work (folder, the one in which a job
may write, emptied after each), and what it asks for: `strict` (end unless every guard of the fork holds), `files`
(`{read, look, write}`, lists of paths: Landlock lets nothing else be opened), `disk` (bytes in `work` at the most),
`path` (folders of installed packages that Python does not find by itself).
Reads jobs from standard input and writes answers to standard output; both are messages: eight hexadecimal digits for a
length, then that many bytes of JSON.

A job: files ({path below the package's folder: text}, of the module that is graded), modules (to import),
probes (text of a module's probes.py), tasks, seeds (each task runs once with each), cells ([{id, source, seconds}],
which run after the probes), seconds (that one task may take), wall (that all may take),
limits ({name of a resource: number}).
An answer: ended (exit, signal, timeout, stalled, flood, disk or abandoned), code (of the exit or the signal), frames
(text, a line of JSON each), seconds, memory (bytes at the most), stale (what could not be removed, else nothing: then
this process must not be used again). Frames come from the fork, where student code can write them too.

The warm process itself reads no job. For each it forks a supervisor, which reads the job, forks the child that runs it,
ends what the child left, answers, and is gone. So nothing of one job is in the memory from which the next one starts.
"""

import base64
import contextlib
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
import guards
import worker

sys.path.pop(0)
FRAMES_LIMIT = 8 << 20  # bytes of all frames of a job
VALUE_LIMIT = 1 << 20  # bytes of one array
LIST_LIMIT, TEXT_LIMIT, NAMES_LIMIT = 256, 2000, 200
LEFT_LIMIT = 1000  # files that are removed one by one after a job
OPEN_FILES = 256
TICK = 0.1  # seconds between looks at the disk


# --- messages ---


def read_message(descriptor):
    """The next message, or None at the end."""
    head = _read_exactly(descriptor, 8)
    return json.loads(_read_exactly(descriptor, int(head, 16))) if len(head) == 8 else None


def _read_exactly(descriptor, count):
    data = bytearray()
    while len(data) < count and (part := os.read(descriptor, min(count - len(data), 1 << 20))):
        data += part
    return bytes(data)


def write_message(descriptor, message):
    data = json.dumps(message).encode()
    write_all(descriptor, b"%08x" % len(data) + data)


def write_all(descriptor, data):
    """Write all of it, also where a signal cuts a write short."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


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
        return {"plain": str.__getitem__(value, slice(TEXT_LIMIT))}
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


def run_probe(function, task, seed, seconds, room, emit):
    """Run one probe; a frame for each value it yields, and one at its end. room: bytes that all values may have."""
    import tinytorch

    key = {"task": task, "seed": seed}

    def run():
        draws = Draws([seed, *map(int, task.split("-"))])
        left = room
        for name, value, *case in itertools.islice(function(Package(tinytorch, draws), draws), NAMES_LIMIT):
            frame = {**key, "name": str(name), "value": encode(value), "case": case_of(case)}
            left -= len(json.dumps(frame["value"]))
            if left < 0:
                raise Unplain(f"its results have more than {room} bytes")
            emit(frame)

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
        runs = list(itertools.product(job["tasks"], job["seeds"]))
        for task, seed in runs:
            function = namespace["probe_" + task.replace("-", "_")]
            run_probe(function, task, seed, job["seconds"], FRAMES_LIMIT // 2 // len(runs), emit)
    if job["cells"]:
        cells = {"modules": job["modules"], "cells": job["cells"], "import_seconds": job["seconds"]}
        worker.run_cells(cells, lambda event: emit({"test": event}))
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
    """The warm process: get ready, then a supervisor for each job until there are no more."""
    channels = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(quiet, number)
    options = read_message(channels[0])
    problem = get_ready(options)
    write_message(channels[1], {"ready": problem is None, "problem": problem})
    while problem is None and another_job(channels[0]):
        supervisor = os.fork()
        if supervisor == 0:
            supervise(options, *channels)
        if os.waitpid(supervisor, 0)[1]:
            return  # it did not answer, and what it left is not known
        end_children()


def get_ready(options):
    """Guard this process and import what every fork will need; the reason why that cannot be done, or None."""
    sys.dont_write_bytecode = True
    sys.path[:] = [options["package"], *sys.path, *options.get("path", ())]
    try:
        limit({"RLIMIT_NOFILE": OPEN_FILES})
        if options.get("files"):
            guards.confine_files(**options["files"])
        if guards.LINUX:
            guards.prctl(guards.PR_SET_DUMPABLE, 0)  # so forks, who have the same user, may not look into this process
            guards.prctl(guards.PR_SET_CHILD_SUBREAPER, 1)  # what they leave behind becomes its child, to be ended
        for name in ["numpy", "tinytorch.core", *options["preload"]]:
            __import__(name)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def another_job(descriptor):
    """Wait for a job without reading it; False at the end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll()[0][1] & select.POLLIN)


def supervise(options, stdin, stdout):
    """Never returns."""
    code = 1
    try:
        if guards.LINUX:
            guards.prctl(guards.PR_SET_CHILD_SUBREAPER, 1)
        job = read_message(stdin)
        write_message(stdout, run_in_fork(job, options, (stdin, stdout)))
        code = 0
    finally:
        os._exit(code)


def run_in_fork(job, options, channels):
    """Run a job in a child and return its answer; afterwards nothing of the child is left, neither process nor file."""
    started = time.monotonic()
    job["folder"] = tempfile.mkdtemp(prefix="job-", dir=options["work"])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        for descriptor in (reading, *channels):
            os.close(descriptor)
        be_the_child(job, options, writing)
    os.close(writing)
    watch = Watch(job, started, options["work"], options.get("disk"))
    child = Child(child)
    data, ended = collect(reading, child, watch, channels[0])
    os.close(reading)
    code, memory = end_all(child)
    if ended == "exit" and code < 0:
        ended, code = "signal", -code
    return {
        "ended": ended,
        "code": code,
        "frames": data.decode("utf-8", errors="replace"),
        "memory": memory,
        "stale": empty(options["work"]),
        "seconds": round(time.monotonic() - started, 4),
    }


def be_the_child(job, options, writing):
    """Never returns."""
    code = 1

    def emit(frame):
        write_all(writing, (json.dumps(frame, default=str) + "\n").encode())

    try:
        os.setpgid(0, 0)
        os.chdir(job["folder"])
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = job["folder"]
        close_others(writing)
        limit(job.get("limits", {}))
        guard(options.get("strict"))
        run_job(job, emit)
        code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            emit({"broken": worker.describe(error)})
    finally:
        os._exit(code)


def close_others(kept):
    """Leave the child nothing to write to but its pipe."""
    os.dup2(0, 2)
    os.closerange(3, kept)
    os.closerange(kept + 1, OPEN_FILES)


def guard(strict):
    """Take from this process what student code must not do. Raises Unguarded, if it is to be strict."""
    try:
        if guards.LINUX:
            guards.prctl(guards.PR_SET_PDEATHSIG, signal.SIGKILL)
        guards.drop_privileges()
        guards.confine_calls()
    except guards.Unguarded:
        if strict:
            raise


def limit(limits):
    import resource

    for name, number in limits.items():
        if name == "RLIMIT_AS" and not guards.LINUX:
            continue  # elsewhere address space says nothing, and the limit is refused
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        number = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(kind, (number, number))


class Watch:
    """When a child must end: after all its time, when it says nothing for too long, when it fills the disk."""

    def __init__(self, job, started, folder, disk):
        self.deadline, self.quiet, self.folder, self.disk = started + job["wall"], job["quiet"], folder, disk
        self.heard = started

    def wait(self):
        """Seconds until it must be looked at again."""
        left = min(self.deadline, self.heard + self.quiet) - time.monotonic()
        return max(0, min(left, TICK) if self.disk else left)

    def verdict(self):
        """Why the child must end now, or None."""
        now = time.monotonic()
        if now >= self.deadline:
            return "timeout"
        if now >= self.heard + self.quiet:
            return "stalled"
        return "disk" if self.disk and used(self.folder, self.disk) > self.disk else None


class Child:
    """A child process, and what is known of its end."""

    def __init__(self, pid):
        self.pid, self.result = pid, None
        self.handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None  # Linux's; elsewhere it is asked for

    def has_ended(self, ready):
        """Whether it has. Where there is a handle it is not waited for yet, so that its number stays its own."""
        if self.handle is not None:
            return self.handle in ready
        self._wait(os.WNOHANG)
        return self.result is not None

    def end(self):
        """End it and its group; its exit code (a signal negative), and the memory that it had in bytes."""
        for kill in (os.killpg, *((os.kill,) if self.result is None else ())):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS forbids where there is nobody left
                kill(self.pid, signal.SIGKILL)
        if self.result is None:
            self._wait(0)
        if self.handle is not None:
            os.close(self.handle)
        status, usage = self.result
        return os.waitstatus_to_exitcode(status), usage.ru_maxrss * (1024 if guards.LINUX else 1)

    def _wait(self, options):
        pid, status, usage = os.wait4(self.pid, options)
        self.result = (status, usage) if pid else None


def collect(reading, child, watch, stdin):
    """Bytes that the child wrote until it ended, and how it ended; a grandchild may still hold the pipe."""
    data = bytearray()
    watched = [reading, stdin] + ([child.handle] if child.handle is not None else [])
    while (ended := watch.verdict()) is None:
        ready, _, _ = select.select(watched, [], [], watch.wait() if child.handle is not None else TICK)
        if reading in ready:
            part = os.read(reading, 1 << 16)
            data += part
            watch.heard = time.monotonic()
            if not part:
                watched.remove(reading)
            if len(data) > FRAMES_LIMIT:
                return bytes(data[:FRAMES_LIMIT]), "flood"
        elif child.has_ended(ready):
            return bytes(data), "exit"
        elif stdin in ready:  # nothing is sent while a job runs, so this is its end: nobody waits for the answer
            return bytes(data), "abandoned"
    return bytes(data), ended


def end_all(child):
    """End the child and all that it left behind; its exit code and memory."""
    found = child.end()
    end_children()
    return found


def end_children():
    while orphans := children():
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children():
    """Process ids of this process's children, adopted ones too."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []


# --- what a job leaves on the disk ---


def below(folder):
    """Every entry below a folder, however deep."""
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def used(folder, enough):
    """Bytes of the files below a folder, counted no further than to more than `enough`."""
    total = 0
    for entry in below(folder):
        with contextlib.suppress(OSError):  # it is gone, or lies too deep to be named
            total += 512 * entry.stat(follow_symlinks=False).st_blocks
        if total > enough:
            break
    return total


def empty(folder):
    """Remove what is in a folder; why that was not done, or None."""
    if sum(1 for _ in itertools.islice(below(folder), LEFT_LIMIT + 1)) > LEFT_LIMIT:
        return f"more than {LEFT_LIMIT} files"
    for entry in os.scandir(folder):
        with contextlib.suppress(OSError, RecursionError):
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
    return "what cannot be removed" if os.listdir(folder) else None


if __name__ == "__main__":
    serve()
