"""The ladder of isolation: ways to start the process that runs student code, the best first.

A level is used only if its self-test passes: hostile code runs inside (`tito/grading/attempts.py`), and everything it
tries must fail. The level that was used stands with every result, and the last one is used only when that is asked for.
"""

import contextlib
import functools
import json
import os
import secrets
import shutil
import site
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tito import guards
from tito.errors import WorkplaceError
from tito.grading import probing
from tito.grading.warm import ENVIRONMENT, INSIDE, Died, Warm

DISK = 64 << 20  # bytes that a submission may write in all
NOBODY = "65534"
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/nix/store")
PYTHON = ("bin", "lib", "lib64", "share", "pyvenv.cfg")  # of an environment; its folder may hold a person's work too
SCRIPTS = (INSIDE, INSIDE.with_name("guards.py"), INSIDE.with_name("worker.py"))
ATTEMPTS = Path(__file__).with_name("attempts.py")


# --- what can be seen inside ---


@dataclass(frozen=True)
class View:
    """What a process inside may read: the package, and what Python needs, less what is hidden below it."""

    package: Path
    visible: tuple
    hidden: tuple
    paths: tuple = ()  # where Python finds its packages, if not by itself

    @classmethod
    def of(cls, package, *roots):
        """The view for a package of lower modules. roots: folders of which nothing may be seen, wherever they are."""
        import numpy

        folders = {*map(str, roots), *(os.path.join(folder, name) for folder in _package_folders() for name in _OURS)}
        secret = sorted({os.path.realpath(folder) for folder in folders if os.path.exists(folder)})
        visible = [path for path in SYSTEM if os.path.exists(path)]
        for prefix in dict.fromkeys(os.path.realpath(folder) for folder in (sys.base_prefix, sys.prefix)):
            for path in (os.path.join(prefix, name) for name in PYTHON):
                if os.path.exists(path) and (not _is_below_any(path, visible) or _is_below_any(path, secret)):
                    visible.append(path)
        packages = str(Path(numpy.__file__).resolve().parents[1])
        paths = () if _is_below_any(packages, visible) else (packages,)
        visible += paths
        hidden = tuple(folder for folder in secret if _is_below_any(folder, visible))
        return cls(Path(package), tuple(visible), hidden, paths)

    def readable(self):
        """`(paths to read, folders to list)` that leave out what is hidden."""
        read, look = [], []
        for path in map(os.path.realpath, self.visible):
            _leave_out(path, [secret for secret in self.hidden if _is_below(secret, path)], read, look)
        return read, look


def reference_of(course, module):
    """Files from which a module's solutions could be read."""
    targets = [course.reference / f"{target.replace('.', '/')}.py" for target in module.targets]
    paths = (module.source, module.folder / "probes.py", module.folder / "misconceptions.py", *targets)
    return [path for path in paths if path.exists()]


_OURS = ("tinytorch", "tito")


def _package_folders():
    return {*sys.path, *site.getsitepackages(), site.getusersitepackages(), str(INSIDE.parents[1])} - {""}


def _is_below_any(path, folders):
    return any(_is_below(path, os.path.realpath(folder)) for folder in folders)


def _is_below(path, folder):
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _leave_out(path, hidden, read, look):
    if _is_below_any(path, hidden):
        return
    if not any(_is_below(folder, path) for folder in hidden):
        read.append(path)
        return
    look.append(path)
    for child in os.listdir(path):
        real = os.path.realpath(os.path.join(path, child))
        if _is_below(real, path):  # links to elsewhere lead to what is visible by itself, or to nothing
            _leave_out(real, hidden, read, look)


# --- the levels ---


class Sandbox(Warm):
    """A process for student code. A level says how it is started, and why it cannot be on this machine."""

    level = ""
    hint = ""
    on_our_disk = False  # whether what student code writes lies in our folder for temporary files

    def __init__(self, view, preload=()):
        super().__init__(view.package, preload)
        self.view = view

    @classmethod
    def problem(cls):
        """Why this level cannot be had here, as far as that can be seen without trying; else None."""
        return None

    def options(self):
        own = {"disk": DISK} if self.on_our_disk else {}
        return {**super().options(), "strict": True, "path": self.view.paths, **own}

    def run(self, job):
        """Also raises WorkplaceError where the disk has too little room: nobody's code is to be blamed for that."""
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if self.on_our_disk and free < DISK:
            raise WorkplaceError(
                f"{tempfile.gettempdir()} has {free >> 20} MB left, and a submission may write {DISK >> 20} MB",
                "free some space there, or name another folder in TMPDIR, then run this again; what is done is kept",
            )
        return super().run(job)


class Bubblewrap(Sandbox):
    """A file system of its own in which only what is needed exists, and namespaces of its own for all else."""

    level = "bwrap"
    hint = "install bubblewrap 0.8 or newer: apt install bubblewrap, or dnf install bubblewrap"

    @classmethod
    def problem(cls):
        program = shutil.which("bwrap")
        if program is None:
            return "bwrap is not installed"
        known = subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout
        return None if "--disable-userns" in known and "--size" in known else "this bwrap is too old"

    def options(self):
        return {**super().options(), "package": "/package", "work": "/work"}

    def command(self):
        return [
            shutil.which("bwrap"),
            *("--unshare-all", "--unshare-user", "--disable-userns", "--new-session", "--die-with-parent"),
            *("--uid", NOBODY, "--gid", NOBODY, "--hostname", "inside"),
            *self._files(),
            # /proc read-only too: to whom root outside started it, files of the kernel there belong
            *("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
            *("--size", str(DISK), "--tmpfs", "/work", "--chdir", "/work", "--remount-ro", "/"),
            *("--clearenv", *_pairs("--setenv", {**ENVIRONMENT, "PATH": "/usr/bin", "HOME": "/work"})),
            *(sys.executable, "-I", f"/inside/{INSIDE.name}"),
        ]

    def _files(self):
        shown = [(path, ["--symlink", os.readlink(path), path] if os.path.islink(path) else _bind(path, path))
                 for path in self.view.visible]  # fmt: skip
        hidden = [(path, _cover(path)) for path in self.view.hidden]
        for _, words in sorted([*shown, *hidden], key=lambda pair: pair[0].count("/")):  # what is deeper comes on top
            yield from words
        yield from _bind(self.package, "/package")
        for script in SCRIPTS:
            yield from _bind(script, f"/inside/{script.name}")
        for path in filter(os.path.isdir, self.view.hidden):  # last, for places below it may have to be made
            yield from ("--remount-ro", path)


def _bind(path, place):
    return ["--ro-bind", str(path), str(place)]


def _cover(path):
    return ["--tmpfs", path] if os.path.isdir(path) else _bind(os.devnull, path)


def _pairs(option, values):
    return [word for name, value in values.items() for word in (option, name, value)]


class Landlock(Sandbox):
    """Landlock lets only named files be opened. Where users may have namespaces, network and processes are hidden."""

    level = "landlock"
    on_our_disk = True
    hint = "needs Linux 5.13 or newer with Landlock switched on (it stands in /sys/kernel/security/lsm)"

    @classmethod
    def problem(cls):
        if not guards.landlock_version():
            return "this kernel has no Landlock"
        return None if guards.calls_can_be_confined() else "system calls cannot be filtered on this machine"

    def command(self):
        return [*namespaces(), *super().command()]

    def options(self):
        read, look = self.view.readable()
        read += [str(path) for path in (self.package, *SCRIPTS)] + ["/dev/urandom", "/dev/zero"]
        files = {"read": read, "look": look, "write": [self.work, os.devnull]}
        return {**super().options(), "files": files}


@functools.cache
def namespaces():
    """The command that gives a process its own network and processes, or nothing where this is not allowed."""
    program = shutil.which("unshare")
    if program is None:
        return []
    words = ["--user", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    command = [program, "--map-user", NOBODY, "--map-group", NOBODY, *words]
    tried = subprocess.run([*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return command if tried.returncode == 0 else []


class Container(Sandbox):
    """A container of Docker or Podman with an empty image, in which the same folders are mounted as for bwrap."""

    level = "container"
    hint = "install podman, or start Docker's engine"
    image = "tinytorch-empty"

    @classmethod
    def problem(cls):
        engine = cls.engine()
        if engine is None:
            return "neither docker nor podman is installed"
        try:
            done = subprocess.run([engine, "info"], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{Path(engine).name} does not answer: {error}"
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"{Path(engine).name} has no engine that answers: {last}" if done.returncode else None

    @staticmethod
    def engine():
        return shutil.which("podman") or shutil.which("docker")

    def options(self):
        return {**super().options(), "package": "/package", "work": "/work"}

    def start(self):
        self.name = f"tito-{uuid.uuid4().hex[:12]}"
        have = subprocess.run([self.engine(), "image", "inspect", self.image], capture_output=True, check=False)
        if have.returncode:
            nothing = bytes(10240)  # an empty archive of tar
            subprocess.run([self.engine(), "import", "-", self.image], input=nothing, capture_output=True, check=True)
        super().start()

    def command(self):
        return [
            *(self.engine(), "run", "--rm", "--interactive", f"--name={self.name}", "--network=none", "--ipc=private"),
            *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=256"),
            *(f"--user={NOBODY}:{NOBODY}", f"--tmpfs=/work:rw,size={DISK},mode=1777", "--workdir=/work"),
            *(f"--volume={path}:{place}:ro" for path, place in self._mounts()),
            *(f"--tmpfs={path}:ro,size=4k" for path in self.view.hidden if os.path.isdir(path)),
            *(f"--volume={os.devnull}:{path}:ro" for path in self.view.hidden if not os.path.isdir(path)),
            *(f"--env={name}={value}" for name, value in {**ENVIRONMENT, "HOME": "/work"}.items()),
            *(self.image, sys.executable, "-I", f"/inside/{INSIDE.name}"),
        ]

    def _mounts(self):
        yield from ((os.path.realpath(path), path) for path in self.view.visible)
        yield self.package, "/package"
        yield from ((script, f"/inside/{script.name}") for script in SCRIPTS)

    def close(self):
        if self.process is not None:
            subprocess.run([self.engine(), "rm", "--force", self.name], capture_output=True, check=False)
        super().close()


class Limits(Sandbox):
    """Limits of memory, time and disk alone: student code reads and writes what the user can."""

    level = "limits"
    on_our_disk = True

    def options(self):
        return {**super().options(), "strict": guards.calls_can_be_confined()}


LEVELS = (Bubblewrap, Landlock, Container, Limits)


# --- the self-test ---


@dataclass
class Proof:
    """What is known of a level on this machine. It holds if there is no problem and nothing got out."""

    level: type
    problem: str = ""
    escapes: list = field(default_factory=list)
    tried: int = 0

    @property
    def holds(self):
        return not self.problem and not self.escapes

    @property
    def reason(self):
        return self.problem or f"its self-test failed: {', '.join(self.escapes)}"


def prove(level, view, reference=()):
    """Try to get out of a level. reference: files that must not be readable inside."""
    problem = level.problem()
    if problem:
        return Proof(level, problem)
    try:
        with _bait() as bait, level(view) as sandbox:
            answer = sandbox.run(_attempts(bait, reference))
            values = probing.Frames.read(answer["frames"]).values.get(("00-1", 0), {})
            return Proof(level, escapes=_escapes(answer, bait), tried=len(values) - 1)
    except (WorkplaceError, Died, subprocess.SubprocessError) as error:
        return Proof(level, f"it does not work here: {error}")


def choose(view, reference=(), unsafe=False, only=None):
    """`(level, [Proof of each that was tried])`: the best that holds. Raises WorkplaceError where there is none.

    unsafe: allow the last level, which lets student code read what the user can. only: the name of the one to take.
    """
    proofs = []
    for level in (level for level in LEVELS if only in (None, level.level)):
        proofs.append(prove(level, view, reference))
        if proofs[-1].holds or (level is Limits and unsafe and not proofs[-1].problem):
            return level, proofs
    found = "; ".join(f"{proof.level.level}: {proof.reason}" for proof in proofs)
    raise WorkplaceError(
        f"submissions cannot be isolated on this machine ({found})",
        f"{Bubblewrap.hint}; or, if you would run each of them yourself: --unsafe",
    )


def words(level, proofs):
    """What is said of the level before submissions run, with the reason for each better one that does not hold."""
    better = "; ".join(f"{proof.level.level} is not used: {proof.reason}" for proof in proofs[:-1])
    what = f"isolation: {level.level}" if level is not Limits else "NO ISOLATION: student code can read what you can"
    return what + (f" ({better})" if better else "")


@dataclass
class _Bait:
    """Canaries of one self-test, and what was done to them."""

    canary: str
    file: Path
    written: Path
    port: int
    connections: list


@contextlib.contextmanager
def _bait():
    """A file, a variable, a process that carry a canary, and a listener that counts connections."""
    canary = f"canary-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="tito-bait-") as folder, _listener() as (port, connections):
        file, written = Path(folder) / "secret", Path(folder) / "written"
        file.write_text(canary)
        os.environ["TITO_CANARY"] = canary
        other = subprocess.Popen(["sh", "-c", f": {canary}; read line"], stdin=subprocess.PIPE)
        try:
            yield _Bait(canary, file, written, port, connections)
        finally:
            other.stdin.close()
            other.wait()
            del os.environ["TITO_CANARY"]


@contextlib.contextmanager
def _listener():
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connections.append(server.accept()[1])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], connections
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(1)


def _attempts(bait, reference):
    facts = {
        "canary": bait.canary,
        "file": str(bait.file),
        "written": str(bait.written),
        "port": bait.port,
        "reference": [str(path) for path in reference],
    }
    files = {"tinytorch/core/attempted.py": "", "facts.json": json.dumps(facts)}
    return probing.task_job(files, ["tinytorch.core.attempted"], ["00-1"], [0], ATTEMPTS.read_text(encoding="utf-8"))


def _escapes(answer, bait):
    """What must not have been possible, by name."""
    frames = probing.Frames.read(answer["frames"])
    values = frames.values.get(("00-1", 0), {})
    if not frames.whole or values.get("threads") is not True:
        reason = frames.import_error or frames.broken or frames.ended.get(("00-1", 0)) or answer["ended"]
        return [f"it did not come to its end: {reason}"]
    found = [name.replace("_", " ") for name, got in values.items() if name != "threads" and got is not None]
    found += ["a canary came out"] if bait.canary in answer["frames"] else []
    found += ["a file was written outside"] if bait.written.exists() else []
    found += ["a socket was reached"] if bait.connections else []
    return found
