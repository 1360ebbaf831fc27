"""Runs one module's cells in a process of its own. Started as a script; knows nothing of tito.

Reads a job as one line of JSON from standard input and writes events as lines of JSON to standard output:
`{"start": id}` and `{"done": id, "status": ..., ...}` for each cell, `{"used": path}` for each
use of a forbidden file, `{"end": true}` at the end.
With `--fork` it stays warm and forks a child for each job it reads. `--preload=a,b` names what to import beforehand,
`--path=FOLDER` where to look for that first.

A job: path (folder that holds the student's `tinytorch`), modules (to import), cells ([{id, source, seconds}]),
import_seconds, memory (bytes), forbidden (folders whose code must not be used), copies (SHA-256 -> file of theirs,
by which copies elsewhere are known), pytest (files to run), call ([file, function, arguments]),
seconds (that the call may take), cwd, environment (variables to set).
"""

import ast
import contextlib
import hashlib
import importlib
import io
import json
import linecache
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
import types

OUTPUT_LIMIT = 20_000
MESSAGE_LIMIT = 2_000
VALUES_LIMIT = 2_000
COPY_LIMIT = 2_000_000  # bytes; no source file is longer
STUB = re.compile(r"\d\d-\d+ ")


class CellTimeout(BaseException):
    """A cell ran longer than it may. Not an Exception, so that a student's `except Exception` does not catch it."""


class Guard:
    """Notes every use of a file below the forbidden folders, or of a copy of one elsewhere.

    An audit hook cannot be removed by what runs after it, and a note goes out at once, so that it cannot be taken back.
    """

    def __init__(self, emit, forbidden, copies=(), own=""):
        self.emit = emit
        self.forbidden = tuple(os.path.join(os.path.realpath(folder), "") for folder in forbidden)
        self.copies = dict(copies)
        installed = (sys.prefix, sys.base_prefix, own)
        self.unsuspected = tuple(os.path.join(os.path.realpath(folder), "") for folder in installed if folder)
        self.seen, self.elsewhere = [], {}
        if forbidden:
            sys.addaudithook(self._audit)

    def _audit(self, event, arguments):
        if event in ("open", "os.link", "os.symlink", "os.rename"):
            self._note(arguments[0])
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            command = repr(arguments[:2])
            for folder in self.forbidden:
                if folder[:-1] in command:
                    self._tell(folder)

    def _note(self, path):
        if not isinstance(path, str | bytes | os.PathLike):
            return
        real = os.path.realpath(os.fsdecode(path))
        if os.path.join(real, "").startswith(self.forbidden):
            self._tell(real)
        elif not real.startswith(self.unsuspected):
            self.elsewhere[real] = True

    def _tell(self, path):
        if path not in self.seen:
            self.seen.append(path)
            self.emit({"used": path})

    def inspect(self, namespace):
        """Look through what is loaded, for code that came by another way than opening a file, and for copies."""
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                self._note(path)
        for value in list(namespace.values()):
            members = [value, *(vars(value).values() if isinstance(value, type) else ())]
            for member in members:
                code = getattr(member, "__code__", None)
                if isinstance(code, types.CodeType):  # of a class such as FunctionType it is a descriptor
                    self._note(code.co_filename)
        for path in self._copies_used():
            self._tell(path)

    def _copies_used(self):
        for path in list(self.elsewhere):
            with contextlib.suppress(OSError):
                if os.path.isfile(path) and os.path.getsize(path) <= COPY_LIMIT:
                    with open(path, "rb") as file:
                        original = self.copies.get(hashlib.sha256(file.read()).hexdigest())
                    if original:
                        yield f"{path}, a copy of {original}"


@contextlib.contextmanager
def time_limit(seconds, emit):
    """Raise CellTimeout where the code stands after `seconds`; where signals do not exist, the parent ends us.

    The place is reported first: code that catches everything goes on, and then the parent ends us.
    """
    if not seconds or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number, frame):
        emit({"late": frames_of(traceback.extract_stack(frame))})
        raise CellTimeout(f"ran longer than {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class Limited(io.StringIO):
    """Keeps the first OUTPUT_LIMIT characters of what a cell prints."""

    def write(self, text):
        room = OUTPUT_LIMIT - self.tell()
        super().write(text[: max(room, 0)])
        return len(text)


def plain(value):
    """A value of a failed check as JSON can carry it."""
    import numpy as np

    if value is None:
        return None
    array = np.asarray(value)
    values = array.ravel()[:VALUES_LIMIT].astype(float).tolist()
    return {"shape": list(array.shape), "values": [v if v == v and abs(v) != float("inf") else repr(v) for v in values]}


def describe(error):
    """What an exception says, with the frames in cells and in the student's package."""
    frames = frames_of(traceback.extract_tb(error.__traceback__))
    facts = {"type": type(error).__name__, "message": text_of(error), "frames": frames}
    if isinstance(error, NameError):
        facts["name"] = error.name
    if type(error).__name__ == "CheckFailed":
        facts["promise"], facts["what"] = error.promise, error.what
        facts["got"], facts["expected"] = plain(error.got), plain(error.expected)
    return facts


def frames_of(summary):
    kept = [frame for frame in summary if frame.filename != __file__]
    return [{"file": f.filename, "line": f.lineno, "function": f.name, "text": f.line} for f in kept[-100:]]


def text_of(error):
    try:
        return str(error)[:MESSAGE_LIMIT]
    except Exception as second:
        return f"(its text cannot be had: {type(second).__name__})"


def status_of(error):
    if isinstance(error, CellTimeout):
        return "timeout"
    if isinstance(error, NotImplementedError) and STUB.match(text_of(error)):
        return "todo"
    if type(error).__name__ == "CheckFailed":
        return "failed"
    return "error"


def run_guarded(identity, action, seconds, emit):
    """Run `action()` under a time limit, with its output kept; report how it went. Returns whether it went well."""
    emit({"start": identity, "seconds": seconds})
    output, started, worked = Limited(), time.perf_counter(), time.process_time()
    event = {"done": identity, "status": "ok"}
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), time_limit(seconds, emit):
            event["value"] = action()
    except BaseException as error:
        event["status"], event["error"] = status_of(error), describe(error)
    event["output"], event["time"] = output.getvalue(), time.perf_counter() - started
    event["work"] = time.process_time() - worked
    emit(event)
    return event["status"] == "ok"


def run_cells(job, emit):
    namespace = {"__name__": "__main__"}

    def load():
        for name in job["modules"]:
            module = importlib.import_module(name)
            namespace.update({k: v for k, v in vars(module).items() if not k.startswith("__")})

    if not run_guarded("import", load, job.get("import_seconds", 20), emit):
        return namespace
    for cell in job["cells"]:
        source = without_magics(cell["source"])
        name = f"<{cell['id']}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        run_guarded(
            cell["id"],
            lambda source=source, name=name: exec(compile(source, name, "exec"), namespace),
            cell.get("seconds", 10),
            emit,
        )
    return namespace


def without_magics(source):
    """Lines that begin with % or ! made comments, unless all of it is Python and they are the rest of an expression."""
    try:
        ast.parse(source)
        return source
    except (SyntaxError, ValueError):
        return re.sub(r"(?m)^(\s*)([%!])", r"\1# \2", source)


def run_pytest(paths, emit):
    """Run test files with pytest; one event for each test that fails and one for the whole."""
    import pytest

    failures, count = [], 0

    class Listener:
        def pytest_runtest_logreport(self, report):
            nonlocal count
            count += report.when == "call"
            if report.failed:
                message = (
                    report.longrepr.reprcrash.message if hasattr(report.longrepr, "reprcrash") else str(report.longrepr)
                )
                failures.append({"test": report.nodeid.split("/")[-1], "message": message})

        def pytest_collectreport(self, report):
            if report.failed:
                failures.append({"test": report.nodeid.split("/")[-1], "message": str(report.longrepr)})

    def run():
        arguments = ["-q", "--no-header", "--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", os.getcwd()]
        code = int(pytest.main([*arguments, "-c", os.devnull, *paths], plugins=[Listener()]))
        return {"failures": failures, "tests": count, "code": code}

    run_guarded("integration", run, 120, emit)


def run_call(file, function, arguments, seconds, emit):
    """Call `function(**arguments)` of a file such as a milestone's `run.py`; what it returns travels as plain data.

    A function with a parameter `report` gets one that sends a line of progress at once.
    """
    import importlib.util
    import inspect

    spec = importlib.util.spec_from_file_location("tito_called", file)

    def act():
        module = importlib.util.module_from_spec(spec)
        sys.modules["tito_called"] = module
        spec.loader.exec_module(module)
        called = getattr(module, function)
        if "report" in inspect.signature(called).parameters:
            arguments["report"] = lambda text: emit({"say": str(text)})
        return json.loads(json.dumps(called(**arguments), default=as_data))

    run_guarded("call", act, seconds, emit)


def as_data(value):
    """An array or a NumPy number as JSON can carry it."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"the result holds a {type(value).__name__}, which is not plain data")


def limit_memory(size):
    """Make a cell that fills the memory fail with MemoryError, before the machine does."""
    if size and sys.platform == "linux":  # elsewhere the limit is not obeyed
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def end_with_parent():
    """End this process group when tito is gone: nobody would stop an endless loop any more."""
    if not hasattr(select, "poll"):
        return
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLHUP)

    def wait():
        poll.poll()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def do(job, emit):
    os.environ.update(job.get("environment", {}))
    guard = Guard(emit, job.get("forbidden", ()), job.get("copies", ()), job["path"])
    limit_memory(job.get("memory"))
    if job.get("cwd"):
        os.chdir(job["cwd"])
    sys.path[:] = [job["path"], *(entry for entry in sys.path if entry not in ("", job["path"]))]
    namespace = {}
    if job.get("modules"):
        namespace = run_cells(job, emit)
    if job.get("pytest"):
        run_pytest(job["pytest"], emit)
    if job.get("call"):
        run_call(*job["call"], job.get("seconds", 0), emit)
    guard.inspect(namespace)
    emit({"end": True})


def main():
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what C code or a child of the student prints must not mix with events

    def emit(event):
        channel.write(json.dumps(event, default=str) + "\n")
        channel.flush()

    sys.dont_write_bytecode = True
    import numpy  # noqa: F401  the slow part of every check, done while the job is still being written

    sys.path[:0] = arguments("--path=")
    preload(arguments("--preload="))
    emit({"ready": True})
    if "--fork" not in sys.argv:
        line = sys.stdin.readline()
        if line:
            end_with_parent()
            emit({"pid": os.getpid()})
            do(json.loads(line), emit)
        return
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            end_with_parent()
            emit({"pid": os.getpid()})
            do(json.loads(line), emit)
            channel.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        emit({"exit": os.waitstatus_to_exitcode(status)})


def arguments(name):
    return [argument.removeprefix(name) for argument in sys.argv if argument.startswith(name)]


def preload(lists):
    """Import what the cells will import, so that it is there when a job comes."""
    for name in ",".join(lists).split(","):
        with contextlib.suppress(Exception):  # then the cell that imports it says so
            if name:
                importlib.import_module(name)


if __name__ == "__main__":
    main()
