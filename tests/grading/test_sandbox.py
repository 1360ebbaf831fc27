"""Levels of isolation: each proves itself, none is used that does not, and nothing of what is graded can be read."""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY
from tito import guards
from tito.check import assemble
from tito.course import Course
from tito.errors import WorkplaceError
from tito.grading import probing, sandbox, warm
from tito.grading.sandbox import Bubblewrap, Container, Landlock, Limits, View
from tito.grading.warm import Warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation is Linux's")
ISOLATED = [level for level in (Bubblewrap, Landlock) if level.problem() is None]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package of the tiny course with module 01 built."""
    return assemble(Course(TINY), tmp_path_factory.mktemp("package"), Course(TINY).modules[:1])


@pytest.fixture(scope="module")
def view(package):
    course = Course(TINY)
    return View.of(package, course.root, *course.reference_roots)


@pytest.fixture(scope="module")
def reference():
    module = Course(TINY).modules[1]
    return [module.source, module.folder / "probes.py", Course(TINY).reference / "core" / "square.py"]


@pytest.fixture
def run(view):
    """What a level gives back for the code of a probe: `{name: value}`."""
    started = []

    def run(level, code, view=view, **options):
        started.append(level(view))
        job = probing.task_job({}, [], ["00-1"], [0], f"def probe_00_1(tt, rng):\n{code}", **options)
        answer = started[-1].run(job)
        return probing.Frames.read(answer["frames"]).values.get(("00-1", 0), answer)

    yield run
    for one in started:
        one.close()


# --- the ladder ---


@pytest.mark.parametrize("level", [Bubblewrap, Landlock], ids=lambda level: level.level)
def test_nothing_gets_out_of_a_level_with_isolation(level, view, reference):
    if level.problem():
        pytest.skip(f"{level.level} cannot be had here: {level.problem()}")
    proof = sandbox.prove(level, view, reference)
    assert proof.holds, proof.reason


def test_landlock_holds_where_users_may_not_have_namespaces(view, reference, monkeypatch):
    if Landlock.problem():
        pytest.skip(f"landlock cannot be had here: {Landlock.problem()}")
    monkeypatch.setattr(sandbox, "namespaces", lambda: [])
    proof = sandbox.prove(Landlock, view, reference)
    assert proof.holds, proof.reason


def test_limits_alone_do_not_hold_and_the_self_test_says_what_gets_out(view, reference):
    proof = sandbox.prove(Limits, view, reference)
    assert {"read a file outside", "read the reference", "write outside", "a canary came out"} <= set(proof.escapes)
    assert not {"start a process", "open a socket", "signal the parent"} & set(proof.escapes)


def test_a_level_whose_self_test_fails_is_not_used(view, reference, monkeypatch):
    """Bubblewrap that shows one file too many, and Landlock that lets one be read: each is found out."""
    for level in ISOLATED:
        open_view = dataclasses.replace(view, visible=(*view.visible, str(reference[0].parent)), hidden=())
        proof = sandbox.prove(level, open_view, reference)
        assert proof.escapes == ["read the reference"], level


def test_it_steps_down_only_with_a_word_and_never_to_nothing(view, monkeypatch):
    monkeypatch.setattr(Bubblewrap, "problem", classmethod(lambda cls: "bwrap is not installed"))
    if Landlock in ISOLATED:
        level, proofs = sandbox.choose(view)
        assert level is Landlock
        assert sandbox.words(level, proofs) == "isolation: landlock (bwrap is not used: bwrap is not installed)"
    monkeypatch.setattr(Landlock, "problem", classmethod(lambda cls: "this kernel has no Landlock"))
    monkeypatch.setattr(Container, "problem", classmethod(lambda cls: "neither docker nor podman is installed"))
    with pytest.raises(WorkplaceError) as refused:
        sandbox.choose(view)
    assert "this kernel has no Landlock" in refused.value.message and "read a file outside" in refused.value.message
    assert "apt install bubblewrap" in refused.value.hint and "--unsafe" in refused.value.hint
    level, proofs = sandbox.choose(view, unsafe=True)
    assert level is Limits and sandbox.words(level, proofs).startswith("NO ISOLATION")


def test_the_level_that_was_asked_for_or_none(view, monkeypatch):
    with pytest.raises(WorkplaceError, match="limits: its self-test failed"):
        sandbox.choose(view, only="limits")
    assert sandbox.choose(view, only="limits", unsafe=True)[0] is Limits
    monkeypatch.setattr(Bubblewrap, "problem", classmethod(lambda cls: "bwrap is not installed"))
    with pytest.raises(WorkplaceError, match="bwrap is not installed"):
        sandbox.choose(view, only="bwrap")


def test_where_system_calls_cannot_be_filtered_a_level_that_promises_it_does_not_hold(view, monkeypatch):
    """The child refuses to run student code without its guards."""
    if Bubblewrap not in ISOLATED:
        pytest.skip(f"bwrap cannot be had here: {Bubblewrap.problem()}")
    broken = ROOT / "tito" / "guards.py"
    text = broken.read_text().replace(
        "def confine_calls():", "def confine_calls():\n    raise Unguarded(38, 'no filter')"
    )
    with_broken(monkeypatch, broken.name, text, view)
    proof = sandbox.prove(Bubblewrap, view)
    assert "no filter" in proof.reason


def with_broken(monkeypatch, name, text, view):
    """Let the process inside use another text of one of its scripts."""
    folder = Path(tempfile.mkdtemp(dir=Path(view.package).parent))
    for script in sandbox.SCRIPTS:
        (folder / script.name).write_text(text if script.name == name else script.read_text())
    monkeypatch.setattr(sandbox, "SCRIPTS", tuple(folder / script.name for script in sandbox.SCRIPTS))
    monkeypatch.setattr(warm, "INSIDE", folder / "inside.py")


# --- what can be seen ---


def test_an_installed_reference_is_hidden(view, tmp_path):
    """As after `pip install .`: the package, and the course beside the tool, stand among the environment's packages."""
    site = tmp_path / "env" / "lib" / "site-packages"
    for name in ("tinytorch/core", "tito/_course/modules/02_square", "other"):
        (site / name).mkdir(parents=True)
        (site / name / "answer.py").write_text("answer = 42\n")
    (site / "tito" / "env").mkdir()
    (site / "tito" / "env" / "answer.py").write_text("what is needed may lie below what is hidden")
    hidden = tuple(str(site / name) for name in ("tinytorch", "tito", "tito/_course", "tito/_course/modules"))
    shown = (str(tmp_path / "env"), str(site / "tito" / "env"))
    wide = View(view.package, (*view.visible, *shown), (*view.hidden, *hidden))
    read, look = wide.readable()
    assert str(site / "other") in read and str(site) in look
    assert [path for path in read if path.startswith(hidden)] == [shown[1]]
    for level in ISOLATED:
        secrets = [site / "tinytorch/core/answer.py", site / "tito/_course/modules/02_square/answer.py"]
        proof = sandbox.prove(level, wide, secrets)
        assert proof.holds, proof.reason
        for name in ("other", "tito/env"):
            assert sandbox.prove(level, wide, [*secrets, site / name / "answer.py"]).escapes == ["read the reference"]


def test_the_view_hides_the_packages_of_this_environment_and_shows_numpy(view):
    import numpy

    assert any(numpy.__file__.startswith(f"{path}/") for path in view.visible)
    shown = [path for path in view.visible if str(ROOT).startswith(path)]
    assert not shown, "the checkout can be seen"


def test_nothing_of_the_course_can_be_found_anywhere_inside(run):
    """Whatever its path is there: a walk over all that can be listed, for files of these names that can be read."""
    code = """
    import os
    names = {"square.py", "square_dev.py", "02_square.py", "probes.py", "misconceptions.py", "square.ipynb", "tito"}
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/usr")]
        for path in (os.path.join(folder, name) for name in names.intersection(files)):
            with open(path, "rb") as file:
                if b"square" in file.read():
                    yield path, True
    yield "the end", True
"""
    for level in ISOLATED:
        found = run(level, code, seconds=60)
        assert found.pop("the end") is True, level
        assert list(found) == ["/package/tinytorch/core/square.py"] if level is Bubblewrap else not found, level


# --- what still works ---


@pytest.mark.parametrize("level", ISOLATED, ids=lambda level: level.level)
def test_what_honest_code_needs_works(run, level):
    code = """
    import os, tempfile, threading, queue, numpy as np, tinytorch.core.double
    with tempfile.TemporaryDirectory() as folder:
        np.savez(os.path.join(folder, "x.npz"), x=np.arange(3))
        yield "files", np.load(os.path.join(folder, "x.npz"))["x"]
    found = queue.Queue()
    workers = [threading.Thread(target=lambda: found.put(np.ones((99, 99)) @ np.ones(99))) for _ in range(4)]
    [worker.start() for worker in workers]
    yield "threads", sum(float(found.get().sum()) for _ in workers)
    yield "solve", np.linalg.solve(np.eye(3), np.arange(3.0))
    yield "lower module", tt.core.double.double(2.0)
"""
    found = run(level, code)
    assert found["files"].tolist() == [0, 1, 2] and found["threads"] == 4 * 99 * 99
    assert found["solve"].tolist() == [0, 1, 2] and found["lower module"] == 4


def test_a_warm_process_that_is_killed_is_started_again(package):
    with Warm(package) as process:
        job = probing.task_job({}, [], ["00-1"], [0], "def probe_00_1(tt, rng):\n    yield 'one', 1")
        assert probing.Frames.read(process.run(job)["frames"]).whole
        process.process.kill()
        process.process.wait()
        assert probing.Frames.read(process.run(job)["frames"]).whole


def test_it_works_without_what_only_linux_has(package, view, monkeypatch):
    """As on macOS: no descriptors of processes, no guards. A child that leaves a process behind ends all the same."""
    without = "import os\ndel os.pidfd_open\n" + (ROOT / "tito" / "guards.py").read_text()
    with_broken(monkeypatch, "guards.py", without.replace('sys.platform == "linux"', "False"), view)
    code = "def probe_00_1(tt, rng):\n    import os, time\n    yield 'one', 1\n    os.fork() or time.sleep(60)"
    with Warm(package) as process:
        started = time.monotonic()
        answer = process.run(probing.task_job({}, [], ["00-1"], [0], code, seconds=5))
    frames = probing.Frames.read(answer["frames"])
    assert frames.whole and frames.values["00-1", 0]["one"] == 1 and answer["ended"] == "exit"
    assert time.monotonic() - started < 4


def test_a_process_that_cannot_start_says_why(package):
    with pytest.raises(WorkplaceError, match="No module named 'no_such_module'"):
        Warm(package, ["no_such_module"]).start()


# --- containers ---


def test_the_command_of_a_container_shows_what_bwrap_shows_and_no_network(view, monkeypatch):
    monkeypatch.setattr(Container, "engine", staticmethod(lambda: "/usr/bin/podman"))
    container = Container(dataclasses.replace(view, hidden=(*view.hidden, str(ROOT / "tito"))))
    container.name = "tito-1"
    command = container.command()
    assert command[:3] == ["/usr/bin/podman", "run", "--rm"] and "--network=none" in command
    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=65534:65534"} <= set(command)
    assert f"--volume={view.package}:/package:ro" in command
    assert all(word.endswith(":ro") for word in command if word.startswith("--volume="))
    assert f"--tmpfs={ROOT / 'tito'}:ro,size=4k" in command
    assert command[-4:] == ["tinytorch-empty", sys.executable, "-I", "/inside/inside.py"]
    mounted = {word.split(":")[1] for word in command if word.startswith("--volume=")}
    assert set(view.visible) <= mounted


def test_a_missing_engine_and_one_that_does_not_answer_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    assert Container.problem() == "neither docker nor podman is installed"
    engine = tmp_path / "podman"
    engine.write_text("#!/bin/sh\necho first >&2\necho 'Cannot connect' >&2\nexit 1\n")
    engine.chmod(0o755)
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: str(engine))
    assert Container.problem() == "podman has no engine that answers: Cannot connect"


# --- guards ---


def test_every_number_of_a_system_call_is_that_of_this_machines_headers():
    """The table was written by hand; the C compiler knows better."""
    column = 0 if os.uname().machine == "x86_64" else 1
    names = {**guards._TAKEN, **guards._CONDITIONAL}
    source = "#include <sys/syscall.h>\n" + "\n".join(
        f"#ifdef SYS_{name}\ntaken {name} SYS_{name}\n#endif" for name in names
    )
    try:
        done = subprocess.run(["cc", "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler with its headers here: {error}")
    known = {words[1]: words[2] for line in done.stdout.splitlines() if (words := line.split())[:1] == ["taken"]}
    assert len(known) > 100
    assert {name: int(number) for name, number in known.items()} == {name: names[name][column] for name in known}
