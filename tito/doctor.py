"""What this machine and this workspace are like: one finding for each thing that can be in the way."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tito
from tito import overlay
from tito.course import Course
from tito.errors import TitoError
from tito.state import Workspace

DISTRIBUTION = "tinytorch"
LEAST_DISK, LITTLE_DISK = 100 << 20, 1 << 30
PATIENCE = 60


@dataclass
class Finding:
    """`status` is ok, note (it works, but look), or FAIL; `hint` says what to do about it."""

    status: str
    name: str
    text: str
    hint: str = ""

    def as_json(self):
        hint = {"try": shown(self.hint)} if self.hint else {}
        return {"status": self.status, "name": self.name, "text": shown(self.text), **hint}


def shown(text):
    """The text with the home folder as `~`, so that a report can be pasted anywhere."""
    home = str(Path.home())
    return re.sub(re.escape(home) + r"(?![\w.-])", "~", text) if len(home) > 1 else text


def diagnose():
    """Every finding, in the order in which things stand on each other."""
    yield from machine()
    yield from packages()
    yield from programs()
    course = None
    for name, find in (("course", courses), ("isolation", isolation), ("workspace", workspaces)):
        try:
            course = yield from find(course)
        except TitoError as error:
            yield Finding("FAIL", name, error.message, error.hint)
        if course is None:
            return


# --- the machine -----------------------------------------------------------------------------------------------------


def machine():
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    yield Finding("ok", "machine", f"{system}, {os.cpu_count()} processors")
    yield _python()
    yield Finding("ok", "tito", f"{tito.__version__} in {Path(tito.__file__).parent}")
    if hasattr(os, "fork"):
        yield Finding("ok", "fork", "available")
    else:
        yield Finding("note", "fork", "not on this system; watch keeps a spare process ready instead")
    yield _disk(Path.cwd(), "here")
    yield _worker()


def _python():
    text = f"{platform.python_version()}, {sys.executable}"
    needed = _requirement("Requires-Python")
    if needed and importlib.util.find_spec("packaging"):
        from packaging.specifiers import SpecifierSet

        if not SpecifierSet(needed).contains(platform.python_version(), prereleases=True):
            return Finding("FAIL", "Python", f"{text}; {needed} is needed", "make an environment with a newer Python")
    return Finding("ok", "Python", text)


def _requirement(field):
    try:
        return importlib.metadata.metadata(DISTRIBUTION)[field]
    except importlib.metadata.PackageNotFoundError:
        return None


def _disk(folder, name):
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("FAIL", "disk", f"{folder} cannot be read: {error.strerror}")
    text = f"{free / (1 << 30):.1f} GB free {name}"
    if free < LEAST_DISK:
        return Finding("FAIL", "disk", text, "make room: nothing is lost, but nothing more can be saved")
    return Finding("note" if free < LITTLE_DISK else "ok", "disk", text)


def _worker():
    """Whether a child process can be started that computes."""
    from tito.runner import Worker

    with tempfile.TemporaryDirectory() as folder:
        try:
            with Worker() as worker:
                worker.run({"path": folder})
        except TitoError as error:
            return Finding("FAIL", "process", error.message, "does this work? python -c 'import numpy'")
    return Finding("ok", "process", "one that runs tests starts, and has NumPy")


# --- what is installed -----------------------------------------------------------------------------------------------


def packages():
    """One line for all that fit, one for each that does not."""
    try:
        wanted = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("note", "packages", f"{DISTRIBUTION} is not installed, only its files are used", "pip install .")
        return
    if importlib.util.find_spec("packaging") is None:
        yield Finding("FAIL", "packages", "packaging is missing", "pip install packaging")
        return
    from packaging.requirements import Requirement

    requirements = map(Requirement, wanted)
    fitting = []
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        if version and requirement.specifier.contains(version, prereleases=True):
            fitting.append(f"{requirement.name} {version}")
            continue
        has = f"is {version}" if version else "is missing"
        text = f"{requirement.name} {has}; {requirement.specifier} is needed"
        yield Finding("FAIL", "packages", text, f"pip install '{requirement.name}{requirement.specifier}'")
    yield Finding("ok", "packages", ", ".join(fitting))


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def programs():
    """Programs that others call by their bare name, and the kernel in which notebooks run."""
    beside = Path(sys.executable).parent
    for name, use in (("tito", "what a terminal calls"), ("alembic", "nbgrader calls it")):
        found = shutil.which(name)
        if found and Path(found).parent.resolve() == beside.resolve():
            yield Finding("ok", name, f"on PATH ({use})")
        elif found:
            yield Finding("note", name, f"on PATH is another one ({use}): {found}", "activate this environment")
        elif shutil.which(name, path=str(beside)):
            yield Finding("note", name, f"not on PATH ({use})", f"activate the environment of {sys.executable}")
        else:
            yield Finding("FAIL", name, f"not installed ({use})", f"pip install {_owner_of(name)}")
    yield _kernel()
    yield _plain_import()


def _owner_of(program):
    return {"alembic": "nbgrader"}.get(program, DISTRIBUTION)


def _kernel():
    if importlib.util.find_spec("jupyterlab") is None:
        return Finding("FAIL", "JupyterLab", "not installed", "pip install 'jupyterlab>=4.4,<5', or use another editor")
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    version = _version("jupyterlab")
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("FAIL", "JupyterLab", f"{version}, but it has no Python kernel", "pip install ipykernel")
    found = shutil.which(program) or program
    if program not in ("python", "python3") and Path(found).parent.resolve() != Path(sys.executable).parent.resolve():
        text = f"{version}, but its kernel python3 runs {found}, not this Python"
        return Finding("note", "JupyterLab", text, "start it with: tito lab, which takes the right one")
    return Finding("ok", "JupyterLab", f"{version}, its kernel runs this Python")


def _plain_import():
    """Which package `python -c "import tinytorch"` takes, here."""
    python = shutil.which("python") or shutil.which("python3") or sys.executable
    command = [python, "-B", "-c", "import tinytorch; print(tinytorch.__file__)"]  # -B: writes no cache
    name = "tinytorch"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("FAIL", name, f"{python} does not run: {error}", "activate the environment of the course")
    lines = done.stdout.split("\n")
    if done.returncode or not lines[0] or lines[0] == "None":
        last = (done.stderr.strip().splitlines() or ["it found a folder without a file"])[-1]
        return Finding("note", name, f"a plain {python} finds none ({last})", "activate the environment of the course")
    package = Path(lines[0]).parent
    if (package.parent / tito.WORKSPACE_MARK).is_dir():
        return Finding("ok", name, f"a plain python here takes yours: {package}")
    text = f"a plain python here takes {package}, not yours"
    return Finding("note", name, text, "in notebooks tito.here() takes yours; in a script set PYTHONPATH")


# --- course and workspace --------------------------------------------------------------------------------------------


def courses(_):
    """Yields the finding on the course, and returns it."""
    course = Course.find()
    own = Path(tito.__file__).resolve().parent / "_course"
    if os.environ.get("TITO_COURSE"):
        how = "named by TITO_COURSE"
    else:
        how = "the one installed with tito" if course.root == own else "the folder around or beside tito"
    for module in course.modules:
        course.needs(module)
    kind = "" if all(module.has_reference for module in course.modules) else ", a student kit"
    yield Finding("ok", "course", f"{course.version} ({course.hash}{kind}) in {course.root}, {how}")
    return course


def isolation(course):
    """Yields how submissions can be graded here, proved by code that tries to get out; returns the course."""
    from tito.grading import sandbox

    with tempfile.TemporaryDirectory() as folder:
        overlay.lay(course, folder)
        view = sandbox.View.of(folder, course.root, *course.reference_roots)
        secrets = sandbox.reference_of(course, course.modules[0])
        proofs = [sandbox.prove(level, view, secrets) for level in sandbox.LEVELS[:-1]]
    best = next((proof for proof in proofs if proof.holds), None)
    if best is None:
        text = f"grading here needs --unsafe ({'; '.join(f'{p.level.level}: {p.reason}' for p in proofs)})"
        yield Finding("note", "isolation", text, f"to grade submissions: {sandbox.Bubblewrap.hint}")
        return course
    text = f"{best.level.level}, for grading; all {best.tried} attempts to get out of it failed"
    yield Finding("ok", "isolation", text)
    for proof in proofs[: proofs.index(best)]:
        text = f"{proof.level.level}, which is better, cannot be used: {proof.reason}"
        yield Finding("note", "isolation", text, proof.level.hint)
    return course


def workspaces(course):
    """Yields what there is to say on the workspace, and returns it or None."""
    if tito.find_workspace() is None and not (course.root / "work" / tito.WORKSPACE_MARK).is_dir():
        yield Finding("note", "workspace", f"none from {Path.cwd()} upwards", "tito init")
        return None
    workspace = Workspace.find(course)
    yield from _versions(workspace)
    yield from _package(workspace)
    yield from _modules(workspace)
    yield _locks(workspace)
    if workspace.root.stat().st_dev != Path.cwd().stat().st_dev:
        yield _disk(workspace.root, "for the workspace")
    yield _permissions(workspace)
    return workspace


def _versions(workspace):
    info = json.loads((workspace.private / "workspace.json").read_text(encoding="utf-8"))
    text = f"{workspace.root}, made by tito {info.get('tito')} for course {info.get('course')}"
    if info.get("course_hash") == workspace.course.hash:
        yield Finding("ok", "workspace", text)
        return
    old = [module for module in workspace.course.modules if not workspace.is_up_to_date(module)]
    hint = f"tito module update {old[0].label}" if old else f"tito init {workspace.root}"
    yield Finding("note", "workspace", f"{text} ({info.get('course_hash')}); the course has changed since", hint)


def _package(workspace):
    """Whether everything in the student's package that no module builds is the course's."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = overlay.lay(workspace.course, folder)
        built = {overlay.target_path(folder, target) for target in workspace.course.owners}
        changed = []
        for path in sorted(fresh.rglob("*")):
            mine = workspace.root / "tinytorch" / path.relative_to(fresh)
            if path.is_file() and not (mine.is_file() if path in built else _same(path, mine)):
                changed.append(mine.relative_to(workspace.root).as_posix())
    if changed:
        text = f"changed or missing: {', '.join(changed)}; the course's are used wherever work is tested"
        yield Finding("FAIL", "package", text, f"put them back with: tito init {workspace.root}")
    else:
        yield Finding("ok", "package", "the given files of tinytorch are the course's")


def _same(path, other):
    return other.is_file() and path.read_bytes() == other.read_bytes()


def _modules(workspace):
    """States of the modules; one that was completed must still be there."""
    course = workspace.course
    states = {module: workspace.state_of(module) for module in course.modules}
    counts = {state: list(states.values()).count(state) for state in ("completed", "borrowed", "started", "new")}
    yield Finding("ok", "modules", ", ".join(f"{count} {state}" for state, count in counts.items() if count))
    for module, state in states.items():
        if state in ("started", "new") and workspace.last("completed", module=module.slug):
            text = f"{module.label} {module.name} was completed, but is no longer in your package"
            yield Finding("FAIL", "modules", text, f"tito module complete {module.label}")
        if workspace.last("started", module=module.slug) and not workspace.path(module).exists():
            text = f"{workspace.path(module)} is gone"
            yield Finding("FAIL", "modules", text, f"tito module undo {module.label} brings back the last snapshot")


def _locks(workspace):
    import filelock

    for name in ("lock", "building"):
        if (workspace.private / name).exists():
            try:
                with filelock.FileLock(workspace.private / name, timeout=0):
                    pass
            except filelock.Timeout:
                hint = "wait for it to end; if there is none, end the process that was left behind"
                return Finding("note", "locks", f"another tito holds {workspace.private / name}", hint)
            except OSError as error:
                return Finding("FAIL", "locks", f"{workspace.private / name}: {error.strerror}", _OWNER)
    return Finding("ok", "locks", "free")


_OWNER = "was it made by another user, or by sudo? make it yours again, or ask who administers this machine"


def _permissions(workspace):
    """Whether everything here can be read and written; a file is written to see it, for rights alone say too little."""
    locked = []
    for folder, folders, files in os.walk(workspace.root):
        folders[:] = [name for name in folders if name not in ("__pycache__", "stage")]
        locked += [
            Path(folder, name) for name in (*files, *folders) if not os.access(Path(folder, name), os.R_OK | os.W_OK)
        ]
    if locked:
        others = f" and {len(locked) - 1} more" if len(locked) > 1 else ""
        return Finding("FAIL", "rights", f"{locked[0]}{others} cannot be written", _OWNER)
    for folder in (workspace.root, workspace.private):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"tito")
        except OSError as error:
            return Finding("FAIL", "rights", f"{folder} cannot be written: {error.strerror}", _OWNER)
    return Finding("ok", "rights", "everything in the workspace can be written")
