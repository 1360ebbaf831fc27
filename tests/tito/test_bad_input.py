"""What tito says and does when things go wrong: a clear sentence, an exit code, and nothing lost."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from tests.conftest import fill, mounted, tree
from tests.tito.test_watch import workers_of

IPYNB, PERCENT = "01_double/double.ipynb", "01_double/double.py"
QUICK = {"TITO_TEST_SECONDS": "1"}
LIMIT = "ran longer than 1 s"


def start(student, *arguments, **options):
    """A running tito in a process group of its own."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    command = [sys.executable, "-m", "tito.cli", *arguments]
    environment = options.pop("env", student.environment())
    return subprocess.Popen(command, cwd=student.work, env=environment, start_new_session=True, **options)


def body(student, lines, task="01-1"):
    head = {"01-1": "def double(x):", "01-2": "def quadruple(x):"}[task]
    student.edit(IPYNB, task, "\n".join(["#| export", head, *(f"    {line}" for line in lines.split("\n"))]))


def own_cell(student, source):
    path = student.work / IPYNB
    notebook = json.loads(path.read_text())
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
    notebook["cells"].insert(4, cell)
    path.write_text(json.dumps(notebook))


def solve_all(student):
    student.solve("01-1")
    student.solve("01-2")


def check(student, **environment):
    """What `check` says of the two tasks, and the whole text."""
    answer = student.json("module", "check", "01", code=1, **environment)
    return answer["results"], student("module", "check", "01", code=1, **environment).flat if not environment else ""


def require_intact(student):
    """The log is well formed, nothing temporary is left, no process runs on, and tito works."""
    log = student.work / ".tito" / "events.jsonl"
    for line in log.read_text().splitlines() if log.exists() else ():
        assert json.loads(line)["event"]
    stage = student.work / ".tito" / "stage"
    assert not stage.exists() or not list(stage.iterdir())
    assert not [path for path in student.work.rglob(".*.*") if path.name.startswith((".double", ".events"))]
    for _ in range(40):
        if not workers_of(student):
            break
        time.sleep(0.05)
    assert not workers_of(student)
    student("module", "status")


# --- the student's file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, says",
    [
        ('{"cells": [\n{,}', "is not a notebook: line 2 is not JSON"),
        ("", "is not a notebook: line 1 is not JSON"),
        ("[]", "JSON but not a notebook"),
        ("{}", "(no 'cells')"),
        ('{"cells": [{"cell_type": "code"}]}', "(no 'source')"),
        ('{"cells": [{"cell_type": "code", "source": "", "metadata": []}]}', "JSON but not a notebook"),
        ('{"cells": [{"cell_type": "code", "source": "", "metadata": {"nbgrader": "x"}}]}', "JSON but not a notebook"),
    ],
)
def test_a_file_that_is_no_notebook_is_named_and_left_alone(student, text, says):
    student("module", "check", code=1)
    (student.work / IPYNB).write_text(text)
    for command in (["check"], ["complete"], ["diff"], ["hint"], ["reset", "01-1"]):
        answer = student("module", *command, code=1).flat
        assert "double.ipynb" in answer and says in answer and "tito module undo" in answer
    assert (student.work / IPYNB).read_text() == text
    student("module", "undo")
    student("module", "diff")


def test_bytes_that_are_not_text(student):
    (student.work / IPYNB).write_bytes(b"\xff\xfe\x00")
    assert "is not text in UTF-8" in student("module", "check", code=1).flat


def test_a_file_that_is_gone(student):
    (student.work / IPYNB).unlink()
    assert "double.ipynb is gone" in student("module", "check", code=2).flat


def test_a_deleted_solution_cell_counts_as_not_done(student):
    solve_all(student)
    notebook = json.loads((student.work / IPYNB).read_text())
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "01-2"]
    (student.work / IPYNB).write_text(json.dumps(notebook))
    results, text = check(student)
    assert [r["status"] for r in results] == ["ok", "todo"]
    assert "cell 01-2 is missing" in text and "tito module reset 01-2" in text


def test_a_doubled_cell_is_fine_when_it_is_the_same(student):
    solve_all(student)
    notebook = json.loads((student.work / IPYNB).read_text())
    copies = [{**cell, "id": cell["id"] + "-copy"} for cell in notebook["cells"] if cell["id"] == "01-1"]
    notebook["cells"] += copies
    (student.work / IPYNB).write_text(json.dumps(notebook))
    student("module", "check")
    copies[0]["source"] += "\n# changed"
    (student.work / IPYNB).write_text(json.dumps(notebook))
    before = (student.work / IPYNB).read_bytes()
    text = student("module", "complete", code=1).flat
    assert "there are two cells 01-1, and they differ" in text and "delete the other" in text
    assert (student.work / IPYNB).read_bytes() == before


def test_edited_test_and_given_cells_do_not_count(student):
    student.edit(IPYNB, "01-1-test", "pass")
    student.edit(IPYNB, "01-c001", "import numpy as np\nraise SystemExit")
    results, text = check(student)
    assert [r["status"] for r in results] == ["todo", "todo"]
    assert "your edit to the given cell 01-1-test is not used" in text


# --- what cells do ---------------------------------------------------------------------------------------------------


HALF_A_LINE = """import os
for handle in range(3, 12):
    try:
        os.write(handle, b'{"done": ')
    except OSError:
        pass
os._exit(1)"""


@pytest.mark.parametrize(
    "lines, status, says",
    [
        ("while True:\n    x = x", "timeout", LIMIT),
        ("try:\n    while True:\n        x = x\nexcept Exception:\n    return x", "timeout", LIMIT),
        ("import sys\nsys.exit()", "error", "exit was called"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
        ("import os\nos._exit(0)", "crashed", "the process ended in this cell (exit code 0)"),
        ("import ctypes\nctypes.string_at(0)", "crashed", "SIGSEGV"),
        (HALF_A_LINE, "crashed", "exit code 1"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "crashed", "SIGKILL"),
        ("kept = []\nwhile True:\n    kept.append(np.zeros(10**8))", "error", "MemoryError"),
        ("return np.ones(10**12)", "error", "MemoryError"),
        ("return double(x)", "error", "RecursionError"),
        ("class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nraise Odd", "error", "Odd"),
    ],
    ids=["loop", "caught", "exit", "interrupt", "_exit", "segfault", "half", "kill", "hog", "huge", "recursion", "odd"],
)
def test_whatever_a_cell_does_is_reported_with_its_place(student, lines, status, says):
    body(student, lines)
    results, _ = check(student, **QUICK)
    assert results[0]["status"] == status and says in results[0]["happened"]
    if status != "crashed":
        assert results[0]["where"] == "cell 01-1, in double" and results[0]["line"]
    require_intact(student)


def test_a_loop_that_catches_everything_is_ended_and_its_place_is_named(student):
    body(
        student,
        "while True:\n    try:\n        while True:\n            x = x\n    except BaseException:\n        pass",
    )
    results, _ = check(student, **QUICK)
    assert results[0]["status"] == "timeout" and "went on when it was told to stop" in results[0]["happened"]
    assert results[0]["where"] == "cell 01-1, in double" and results[0]["line"] in ("x = x", "while True:")
    require_intact(student)


def test_what_a_cell_leaves_running_is_ended_with_it(student, tmp_path):
    body(
        student,
        f"import subprocess\nsubprocess.Popen(['sleep', '77'])\nopen('{tmp_path}/ran', 'w')\nreturn np.add(x, x)",
    )
    began = time.monotonic()
    student("module", "check", code=1)
    assert (tmp_path / "ran").exists() and time.monotonic() - began < 30
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x0077" in read(p)]


def read(path):
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def test_an_endless_loop_in_a_cell_of_ones_own(student):
    solve_all(student)
    own_cell(student, "#| export\nn = 0\nwhile True:\n    n += 1")
    results, _ = check(student, **QUICK)
    assert [r["status"] for r in results] == ["timeout", "timeout"]
    assert results[0]["where"] == "your own exported cell number 1" and results[0]["line"] in ("while True:", "n += 1")


def test_a_syntax_error_in_one_task_leaves_the_others_tested(student):
    student.solve("01-1")
    body(student, "return (1", "01-2")
    results, text = check(student)
    assert [r["status"] for r in results] == ["ok", "error"]
    assert "syntax error in cell 01-2, line 3: '(' was never closed" in text and "return (1" in text


def test_a_syntax_error_in_a_cell_of_ones_own(student):
    solve_all(student)
    own_cell(student, "#| export\nhelp_me = (")
    text = student("module", "check").flat
    assert "syntax error in your own exported cell number 1, line 2" in text and "left out" in text


def test_a_helper_that_is_not_exported_is_named(student):
    own_cell(student, "def helper(x):\n    return x")
    body(student, "return helper(x)")
    _, text = check(student)
    assert "helper is defined in a cell of yours that is not exported" in text
    assert "begin that cell with: #| export" in text


def test_a_helper_in_an_edited_cell_of_the_course_is_named_too(student):
    student.edit(IPYNB, "01-c007" if has_cell(student, "01-c007") else "01-c002", "def helper(x):\n    return x")
    body(student, "return helper(x)")
    assert "helper" in check(student)[1]


def has_cell(student, identity):
    return any(cell["id"] == identity for cell in student.cells(IPYNB))


def test_a_missing_export_line_is_put_back(student):
    solve_all(student)
    student.edit(IPYNB, "01-1", "def double(x):\n    return np.add(x, x)")
    text = student("module", "complete").flat
    assert "cell 01-1 begins with #| export in the course; that line was put back" in text
    assert "def double" in (student.work / "tinytorch/core/double.py").read_text()


def test_a_cell_cannot_be_exported_over_another_module(student):
    solve_all(student)
    other = student.work / "tinytorch/core/square.py"
    before = other.read_bytes()
    own_cell(student, "#| export core.square\nmine = 1")
    assert "exported to core.square, which is not a file of this module" in student("module", "complete", code=1).flat
    student.edit(IPYNB, "mine", "#| default_exp core.square\n#| export\nmine = 1")
    assert "exported to core.square" in student("module", "complete", code=1).flat
    student.edit(IPYNB, "mine", "pass")
    student.edit(IPYNB, "01-1", lambda old: old.replace("#| export", "#| export core.square"))
    student("module", "complete")
    assert other.read_bytes() == before


def test_magics_are_left_out_and_a_percent_sign_stays(student):
    student.edit(IPYNB, "01-1", "#| export\n%matplotlib inline\ndef double(x):\n    !ls\n    return np.add(x, x)")
    student.edit(
        IPYNB, "01-2", "#| export\ndef quadruple(x):\n    return double(double(x)) + (\n        4\n        % 2\n    )"
    )
    student("module", "complete")
    assert "        % 2\n" in (student.work / "tinytorch/core/double.py").read_text()


# --- names and order -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word, says",
    [("doubel", "did you mean double?"), ("01_doubl", "did you mean 01_double?"), ("77", "tito module list")],
)
def test_an_unknown_module(student, word, says):
    for command in ("start", "check", "complete", "open", "watch", "update", "undo", "diff", "hint", "borrow"):
        text = student("module", command, word, code=2).flat
        assert f"there is no module '{word}'" in text and says in text


def test_a_setting_that_is_no_number(student):
    text = student("module", "check", code=3, TITO_TEST_SECONDS="long").flat
    assert "TITO_TEST_SECONDS is 'long', not a number of seconds" in text


def test_an_unknown_command(student):
    assert "did you mean `tito module check`?" in student("module", "chek", code=2).flat


def test_a_module_out_of_order(student):
    for command in ("start", "check", "complete", "watch"):
        assert "needs tinytorch.core.double, which is module 01" in student("module", command, "02", code=2).flat


# --- the workspace ---------------------------------------------------------------------------------------------------


def test_no_workspace(tiny):
    for command in (["module", "check"], ["module", "hint"], ["module", "reset", "01"], ["module", "undo"]):
        assert "tito init" in tiny(*command, code=3).flat


def test_a_workspace_of_a_newer_version_is_left_alone(student):
    path = student.work / ".tito" / "workspace.json"
    path.write_text(json.dumps({"format": 99, "tito": "9.9"}))
    before = tree(student.work)
    for command in (["module", "check"], ["module", "complete"], ["module", "reset", "01", "--yes"], ["init", "."]):
        text = student(*command, code=3).flat
        assert "made by tito 9.9 (format 99)" in text and "nothing was changed" in text
    assert tree(student.work) == before


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "new"}', "{}", ""])
def test_a_damaged_workspace_file_is_mended_by_init(student, text):
    student.solve("01-1")
    path = student.work / ".tito" / "workspace.json"
    path.write_text(text)
    answer = student("module", "check", code=3).flat
    assert "workspace.json cannot be read" in answer and f"tito init {student.work}" in answer
    student("init", student.work)
    assert [r["status"] for r in check(student)[0]] == ["ok", "todo"]


def test_a_line_cut_off_in_the_log_is_passed_over(student):
    log = student.work / ".tito" / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"event": "hint", "task"')
    student("module", "hint")
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "hint"
    assert [row["state"] for row in student.json("module", "list")] == ["started", "new"]


def test_a_package_folder_lost_in_the_middle_of_a_swap_comes_back(student):
    (student.work / "tinytorch").rename(student.work / ".tito" / "previous")
    student("module", "check", code=1)
    assert (student.work / "tinytorch/core/double.py").exists()


def test_start_writes_the_file_that_an_earlier_start_did_not(student):
    (student.work / IPYNB).unlink()
    student("module", "start", "01")
    assert (student.work / IPYNB).exists()
    student("module", "start", "01", code=2)


def test_start_keeps_a_file_that_is_there(student):
    student.solve("01-1")
    kept = (student.work / IPYNB).read_bytes()
    (student.work / ".tito" / "events.jsonl").unlink()
    assert "it was there and is kept" in student("module", "start", "01").flat
    assert (student.work / IPYNB).read_bytes() == kept


# --- two formats -----------------------------------------------------------------------------------------------------


def percent_of(student):
    """Write the student's notebook as a percent file beside it, and return its path."""
    from tito import notebook as nb

    path = student.work / PERCENT
    path.write_bytes(nb.to_percent(nb.read(student.work / IPYNB)))
    return path


def test_both_formats_are_fine_when_one_is_untouched(student):
    percent_of(student)
    solve_all(student)
    assert student.json("module", "check")["remarks"] == []


def test_the_file_that_does_not_count_is_named_when_only_that_was_worked_on(student):
    blank = (student.work / IPYNB).read_text()
    solve_all(student)
    percent_of(student)
    (student.work / IPYNB).write_text(blank)
    text = check(student)[1]
    assert "double.py was worked on, but double.ipynb, with which you started, is the one that counts" in text


def test_both_formats_worked_on_are_refused_with_the_difference(student):
    student.solve("01-1")
    path = percent_of(student)
    student.solve("01-2")
    student("module", "check")
    path.write_text(path.read_text().replace("np.add(x, x)", "np.add(x, 1)"))
    both = path.read_bytes(), (student.work / IPYNB).read_bytes()
    for command in ("check", "complete"):
        text = student("module", command, code=1).text
        assert "double.ipynb and double.py were both worked on and differ in 01-1" in " ".join(text.split())
        assert "-    return np.add(x, x)\n+    return np.add(x, 1)\n" in text
    assert both == (path.read_bytes(), (student.work / IPYNB).read_bytes())


def test_a_percent_file_from_start_to_complete(tiny):
    tiny("init", "work")
    tiny.folder = tiny.folder / "work"
    tiny("module", "start", "01", "--format", "py")
    path = tiny.folder / PERCENT
    assert '# %% nbgrader={"grade_id": "01-1", "solution": true}' in path.read_text()
    assert [r["status"] for r in tiny.json("module", "check", code=1)["results"]] == ["todo", "todo"]
    write = path.read_text()
    for task, line in {"01-1 double": "np.add(x, x)", "01-2 quadruple": "doubled_twice(x)"}.items():
        write = write.replace(f'raise NotImplementedError("{task}")', f"return {line}")
    own = "# %%\n#| export\ndef doubled_twice(x):\n    return double(double(x))\n\n# %% [markdown]\n# ## Part 6."
    path.write_text(write.replace("# %% [markdown]\n# ## Part 6.", own))
    tiny("module", "check", "01")
    tiny("module", "complete", "01")
    assert "def doubled_twice" in (tiny.folder / "tinytorch/core/double.py").read_text()
    tiny("module", "start", "02", "--format", "py")
    path = tiny.folder / "02_square/square.py"
    path.write_text(
        path.read_text().replace('raise NotImplementedError("02-1 twice_the_square")', "return double(x * x)")
    )
    assert "list" in tiny("module", "check", "02", code=1).flat
    path.write_text(path.read_text().replace("double(x * x)", "double(np.multiply(x, x))"))
    tiny("module", "complete", "02")


# --- disks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_small_disk(student):
    """The workspace on a disk of 2 MB."""
    copy = student.work.with_name("copy")
    student.work.rename(copy)
    with mounted(student.work, "size=4m"):
        shutil.copytree(copy, student.work, dirs_exist_ok=True)
        yield student


WRITING = [
    ("module", "check", "01"),
    ("module", "complete", "01"),
    ("module", "hint", "01-1"),
    ("module", "reset", "01-1"),
    ("module", "reset", "01", "--yes"),
    ("module", "undo", "01"),
    ("module", "borrow", "01"),
    ("module", "solution", "01-1", "--yes"),
]


def test_a_full_disk_costs_nothing(on_small_disk):
    student = on_small_disk
    student("module", "check", code=1)
    solve_all(student)
    student("module", "undo", "01", "--to", "1")
    solve_all(student)
    log, filler = student.work / ".tito" / "events.jsonl", student.work / "filler"
    with open(log, "a") as file:  # to the end of its last block, where a line would still find room
        file.write('{"event": "pad"}' + " " * (4096 - (log.stat().st_size + 17) % 4096) + "\n")
    fill(filler)
    before = tree(student.work)
    for command in WRITING:
        text = student(*command, code=3).flat
        assert "No space left on device" in text and "free some space" in text, command
    after = tree(student.work)
    changed = {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {"lock", "building"}
    student("module", "status")
    filler.unlink()
    student("module", "complete", "01")
    require_intact(student)


def require_unchanged_when_read_only(student, says, remedy):
    """Every command that writes says why it cannot; those that only read work; nothing is changed."""
    before = tree(student.work)
    for command in WRITING:
        if command[1] != "undo":  # nothing to bring back
            text = student(*command, code=3).flat
            assert says in text and remedy in text, command
    for command in ("status", "list", "diff", "open --print"):
        student("module", *command.split())
    assert tree(student.work) == before


def test_a_disk_that_can_only_be_read(on_small_disk):
    student = on_small_disk
    solve_all(student)
    subprocess.run(["mount", "-o", "remount,ro", student.work], check=True)
    require_unchanged_when_read_only(student, "Read-only file system", "make that disk writable")
    subprocess.run(["mount", "-o", "remount,rw", student.work], check=True)
    student("module", "complete", "01")


def test_a_folder_that_may_only_be_read(student):
    solve_all(student)
    everything = [student.work, *student.work.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if os.access(student.work, os.W_OK):
            pytest.skip("this user may write everywhere")
        require_unchanged_when_read_only(student, "Permission denied", "whether you may write in it")
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)
    student("module", "complete", "01")


def test_a_write_that_ends_in_the_middle_leaves_no_part_of_a_line(student):
    student("module", "check", code=1)
    log = student.work / ".tito" / "events.jsonl"
    before = log.read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, len(before) + 20))

    process = start(student, "module", "hint", preexec_fn=limit)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 3 and "events.jsonl" in text and "Traceback" not in text
    assert log.read_bytes() == before
    assert "hint 1 of 2" in student("module", "hint").flat


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.01)


@pytest.mark.parametrize("command", [("check",), ("complete",), ("watch",), ("watch", "--spare")], ids="-".join)
def test_ctrl_c_in_the_middle_of_the_tests(student, command, tmp_path):
    solve_all(student)
    running = tmp_path / "running"
    swallow = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    body(student, f"open('{running}', 'w').close()\n{swallow}")
    before, package = (student.work / IPYNB).read_bytes(), tree(student.work / "tinytorch")
    process = start(student, "module", *command)
    wait_for(running.exists)
    os.killpg(process.pid, signal.SIGINT)
    text = process.communicate(timeout=30)[0]
    assert process.returncode == (0 if command[0] == "watch" else 130) and "Traceback" not in text
    assert (student.work / IPYNB).read_bytes() == before and tree(student.work / "tinytorch") == package
    require_intact(student)
    student.edit(IPYNB, "01-1", "#| export\ndef double(x):\n    return np.add(x, x)")
    student("module", "complete")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("start", "02"), ("complete", "01"), ("reset", "01", "--yes"), ("undo", "01"), ("borrow", "01-02", "--yes")],
    ids=lambda command: command[0],
)
def test_ctrl_c_at_any_moment_leaves_all_or_nothing(student, command):
    student("module", "borrow", "01")
    solve_all(student)
    student("module", "check", "01")
    student("module", "reset", "01", "--yes")
    student("module", "undo", "01")
    kept = student.work.with_name("kept")
    shutil.copytree(student.work, kept)
    began = time.monotonic()
    start(student, "module", *command).communicate(timeout=60)
    whole, codes = time.monotonic() - began, []
    for delay in [whole * (0.3 + 0.05 * step) for step in range(15)]:
        shutil.rmtree(student.work)
        shutil.copytree(kept, student.work)
        process = start(student, "module", *command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=delay)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
        codes.append(process.returncode)
        require_intact(student)
        require_all_or_nothing(student)
    assert set(codes) <= {0, 130, -signal.SIGINT, 1}, codes
    assert 130 in codes, f"it was never caught in the middle: {codes}"


def require_all_or_nothing(student):
    """What the log says and what the folder holds agree, and the next step works."""
    notebook = json.loads((student.work / IPYNB).read_text())
    answers = ["".join(c["source"]) for c in notebook["cells"] if c["id"] in ("01-1", "01-2")]
    assert len({"NotImplementedError" in answer for answer in answers}) == 1
    log = [json.loads(line) for line in (student.work / ".tito/events.jsonl").read_text().splitlines()]
    states = {row["module"]: row["state"] for row in student.json("module", "list")}
    built = [e["event"] for e in log if e.get("module") == "01_double" and e["event"] in ("completed", "borrowed")]
    assert states["double"] == built[-1]
    if any(event["event"] == "started" and event["module"] == "02_square" for event in log):
        started = student.work / "02_square/square.ipynb"
        if not started.exists():
            student("module", "start", "02")
        json.loads(started.read_text())


# --- two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lock, command",
    [
        ("lock", ("hint", "01-1")),
        ("lock", ("reset", "01-1")),
        ("building", ("complete", "01")),
        ("building", ("borrow", "02")),
    ],
)
def test_a_lock_that_is_held_gives_a_clear_message(student, lock, command):
    solve_all(student)
    before = tree(student.work)
    with filelock.FileLock(student.work / ".tito" / lock):
        text = student("module", *command, code=3, TITO_LOCK_SECONDS="0.3").flat
    assert "another tito has been" in text and "for 0.3 s" in text and "nothing was changed" in text
    assert {p: t for p, t in tree(student.work).items() if t != before.get(p)}.keys() <= {
        student.work / ".tito" / "lock",
        student.work / ".tito" / "building",
    }


@pytest.mark.slow
def test_many_at_once_leave_a_workspace_in_order(student):
    solve_all(student)
    commands = [
        "check 01",
        "complete 01",
        "hint 01-1",
        "hint 01-2",
        "reset 01-q1",
        "check 01",
        "complete 01",
        "hint 01-1",
    ]
    patient = student.environment(TITO_LOCK_SECONDS="100")  # two dozen wait for one another, on a machine that is busy
    running = [start(student, "module", *command.split(), env=patient) for command in commands * 3]
    texts = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), "\n".join(texts)
    assert not any("Traceback" in text for text in texts)
    require_intact(student)
    log = [json.loads(line) for line in (student.work / ".tito/events.jsonl").read_text().splitlines()]
    hints = [(event["task"], event["number"]) for event in log if event["event"] == "hint"]
    assert sorted(hints) == [("01-1", 1), ("01-1", 2), ("01-2", 1), ("01-2", 2)]
    assert sum(event["event"] == "completed" for event in log) == 6
    numbers = [row["number"] for row in student.json("module", "undo", "01", "--list")]
    assert len(numbers) == len(set(numbers))
    assert "def quadruple" in (student.work / "tinytorch/core/double.py").read_text()
    student("module", "start", "02")


SWAP = """
import sys
from tito import overlay
from tito.course import Course
from tito.state import Workspace

workspace = Workspace.find(Course.find())
for _ in range(int(sys.argv[1])):
    with workspace.building(), workspace.stage() as stage, workspace.locked():
        overlay.commit(stage, workspace.root)
"""
COPY = SWAP.replace("workspace.building(), ", "").replace(
    ", workspace.locked():\n        overlay.commit", ":\n        print"
)


@pytest.mark.slow
def test_a_package_is_never_copied_while_it_is_swapped(student):
    running = [
        subprocess.Popen([sys.executable, "-c", text, "150"], cwd=student.work, env=student.environment(), stdout=-3)
        for text in (SWAP, COPY, COPY)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    student("module", "check", code=1)
