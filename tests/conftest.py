"""What the tests of tito share: a small course, workspaces in it, and the command called as a user would."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
TINY = Path(__file__).resolve().parent / "tiny"

# A shell that starts pytest in the background has it ignore Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
collect_ignore = ["tiny"]  # a course on which tito's commands are tested, with tests of its own

# the same examples in every run, and no limit of time on a machine that is busy with other tests
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")


def pytest_terminal_summary(terminalreporter):
    """Print how many of the library's promises, each with a test in a test_conformance file, are kept."""
    counts = {
        outcome: sum("test_conformance_" in report.nodeid for report in terminalreporter.stats.get(outcome, ()))
        for outcome in ("passed", "failed", "error", "xfailed", "skipped")
    }
    if any(counts.values()):
        others = "".join(f", {count} {outcome}" for outcome, count in counts.items() if count and outcome != "passed")
        terminalreporter.write_line(f"conformance: {counts['passed']} promises kept{others}")


def tree(folder):
    """Every file below a folder with its bytes, to see what a command changed."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextlib.contextmanager
def mounted(folder, *options):
    """A small disk of its own at `folder`."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(filler):
    """Write a file until its disk is full."""
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


class Tito:
    """Calls `tito` in a process of its own, in a folder, with an environment that knows nothing of the caller's."""

    def __init__(self, folder, course):
        self.folder, self.course = Path(folder), Path(course)

    def __call__(self, *arguments, code=0, **environment):
        """Run `tito *arguments`; fails the test unless it ends with `code` (None: any)."""
        done = subprocess.run(
            [sys.executable, "-m", "tito.cli", *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment(**environment),
        )
        text = done.stdout + done.stderr
        assert code is None or done.returncode == code, (
            f"tito {' '.join(map(str, arguments))}: {done.returncode}\n{text}"
        )
        assert "Traceback" not in text, text
        done.text, done.flat = text, " ".join(text.split())  # flat: without the line breaks for 80 columns
        return done

    def json(self, *arguments, code=0, **environment):
        return json.loads(self(*arguments, "--json", code=code, **environment).stdout)

    def environment(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TITO_", "JUPYTER"))}
        return {
            **kept,
            "TITO_COURSE": str(self.course),
            "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
            **more,
        }

    @property
    def work(self):
        return self.folder / "work"

    def cells(self, path):
        return json.loads((self.work / path).read_text())["cells"]

    def edit(self, path, grade_id, source):
        """Give one cell of a student's notebook another source: a string, or a function of the old one."""
        notebook = json.loads((self.work / path).read_text())
        for cell in notebook["cells"]:
            if cell["id"] == grade_id:
                old = "".join(cell["source"])
                cell["source"] = source(old) if callable(source) else source
                break
        else:
            raise AssertionError(f"{path} has no cell {grade_id}")
        (self.work / path).write_text(json.dumps(notebook))


@pytest.fixture
def tiny(tmp_path):
    """A copy of the tiny course that the test may change, without a workspace."""
    shutil.copytree(TINY, tmp_path / "course")
    return Tito(tmp_path, tmp_path / "course")


@pytest.fixture(scope="session")
def begun(tmp_path_factory):
    """A workspace of the tiny course in which module 01 is started: made once, to be copied."""
    outside = Tito(tmp_path_factory.mktemp("begun"), TINY)
    outside("init", "work")
    _InWork(outside)("module", "start", "01")
    return outside.work


@pytest.fixture
def student(tiny, begun):
    """The tiny course with a workspace `work/` in which module 01 is started."""
    shutil.copytree(begun, tiny.work)
    return _InWork(tiny)


class _InWork(Tito):
    """The same, standing inside the workspace."""

    def __init__(self, outside):
        super().__init__(outside.work, outside.course)

    @property
    def work(self):
        return self.folder

    def solve(self, task, body=None):
        """Fill in a task of the tiny course, rightly unless a `body` (one line after `return`) is given."""
        right = {"01-1": "np.add(x, x)", "01-2": "double(double(x))", "02-1": "double(np.multiply(x, x))"}
        path = {"01": "01_double/double.ipynb", "02": "02_square/square.ipynb"}[task[:2]]
        line = f"return {body or right[task]}"
        self.edit(path, task, lambda source: _replace_stub(source, line))


def _replace_stub(source, line):
    lines = source.split("\n")
    stub = next(i for i, text in enumerate(lines) if "NotImplementedError" in text or text.strip().startswith("return"))
    lines[stub] = "    " + line
    return "\n".join(lines)
