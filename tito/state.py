"""A workspace: the student's notebooks, their package, and in `.tito/` an append-only log of events and snapshots."""

import contextlib
import errno
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import tito
from tito import notebook, overlay
from tito.errors import TitoError, UsageError, WorkplaceError

FORMAT = 1
FORMATS = ("ipynb", "py")
PAIRING = "jupytext.toml"  # beside a notebook: JupyterLab keeps a percent file of it there


def seconds_setting(name, default):
    """A number of seconds from the environment, for slow machines."""
    try:
        return float(os.environ.get(name, default))
    except ValueError as error:
        raise WorkplaceError(f"{name} is {os.environ[name]!r}, not a number of seconds", f"unset {name}") from error


LOCK_SECONDS = seconds_setting("TITO_LOCK_SECONDS", 10)
KEPT_BY_ITSELF = 40  # snapshots of a module that `check` and `watch` took; those before a write are all kept
STALE_SECONDS = 3600


class Workspace:
    """One student's folder. Everything under `.tito/` is written atomically or appended in one write."""

    def __init__(self, root, course):
        self.root, self.course = Path(root), course
        self.private = self.root / tito.WORKSPACE_MARK
        self._locks = {}

    # --- finding and making ---

    @classmethod
    def find(cls, course):
        """The workspace around the current folder, else `work/` of a checkout. Raises when there is none."""
        root = tito.find_workspace()
        if root is None and (course.root / "work" / tito.WORKSPACE_MARK).is_dir():
            root = course.root / "work"
        if root is None:
            raise WorkplaceError(f"no workspace found from {Path.cwd()} upwards", "make one with: tito init")
        if not (root / tito.WORKSPACE_MARK).is_dir():
            raise WorkplaceError(f"{root} is not a workspace", "unset TITO_OVERLAY, or make one with: tito init")
        workspace = cls(root, course)
        workspace.require_format()
        if (root / "tinytorch").is_symlink():
            raise WorkplaceError(
                f"{root / 'tinytorch'} is a link to {(root / 'tinytorch').resolve()}; your package must be a folder",
                f"remove the link, then: tito init {root}",
            )
        if not (root / "tinytorch").exists():  # in the middle of a commit, or cut off there
            with workspace.locked():
                overlay.recover(root)
        return workspace

    @classmethod
    def create(cls, root, course):
        """Make a workspace in `root`, or bring the one there up to date; nothing of the student's is touched."""
        root = Path(root).resolve()
        if (root / "modules").is_dir() and (root / "settings.ini").exists():
            raise UsageError(f"{root} is the course itself", "choose a folder for your own work: tito init work")
        workspace = cls(root, course)
        existed = workspace.private.is_dir()
        if existed:
            workspace.require_format(damaged_is_fine=True)
        elif (root / "tinytorch").exists():
            raise UsageError(f"{root / 'tinytorch'} exists and is not yours to build in", "choose an empty folder")
        workspace.private.mkdir(parents=True, exist_ok=True)
        with workspace.locked():
            overlay.recover(root)
            overlay.lay(course, root)
            info = {"format": FORMAT, "tito": tito.__version__, "course": course.version, "course_hash": course.hash}
            notebook.write_atomically(workspace.private / "workspace.json", _json(info))
        return workspace, existed

    def require_format(self, damaged_is_fine=False):
        """Raise before anything is touched when a newer tito made this workspace, or its description is damaged."""
        path = self.private / "workspace.json"
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            number = int(info["format"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if damaged_is_fine:
                return
            raise WorkplaceError(
                f"{path} cannot be read: {type(error).__name__}: {error}",
                f"mend it with: tito init {self.root}; your work stays as it is",
            ) from error
        if number > FORMAT:
            raise WorkplaceError(
                f"this workspace was made by tito {info.get('tito')} (format {number}); "
                f"this is tito {tito.__version__} (format {FORMAT})",
                "update tinytorch; nothing was changed",
            )

    def locked(self):
        """Only one tito at a time may write here. May be nested."""
        return self._hold("lock", "writing")

    def building(self):
        """Only one tito at a time may build modules here; meanwhile others may still check, and write their files."""
        return self._hold("building", "building a module")

    @contextlib.contextmanager
    def _hold(self, name, doing):
        import filelock

        lock = self._locks.setdefault(name, filelock.FileLock(self.private / name, timeout=LOCK_SECONDS))
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise WorkplaceError(
                f"another tito has been {doing} in {self.root} for {LOCK_SECONDS:g} s",
                "wait for it to end, then try again; nothing was changed",
            ) from error
        try:
            yield
        finally:
            lock.release()

    # --- events ---

    def record(self, event, **facts):
        """Append one event to the log: the whole line or, when the disk is full, nothing of it."""
        with self.recorded(event, **facts):
            pass

    @contextlib.contextmanager
    def recorded(self, event, **facts):
        """Append one event, and take it back when the block, which does what the event says, fails."""
        line = _json({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}, indent=None)
        path = self.private / "events.jsonl"
        with self.locked(), uninterrupted(), open(path, "ab", buffering=0) as log:
            before = os.fstat(log.fileno()).st_size
            try:
                self._append(log, path, line)
                yield
            except BaseException:
                os.ftruncate(log.fileno(), before)
                raise

    @staticmethod
    def _append(log, path, line):
        try:
            whole = _missing_newline(path) + line
            if log.write(whole) < len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(log.fileno())
        except OSError as error:
            error.filename = str(path)
            raise

    @property
    def events(self):
        path = self.private / "events.jsonl"
        if not path.exists():
            return []
        events = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a machine that lost power in the middle of it
            if isinstance(event, dict) and "event" in event:
                events.append(event)
        return events

    def last(self, event, **facts):
        """The newest event of a kind with these facts, or None."""
        wanted = {"event": event, **facts}
        return next((e for e in reversed(self.events) if wanted.items() <= e.items()), None)

    # --- modules ---

    def state_of(self, module):
        """`completed`, `borrowed`, `started` or `new`."""
        if overlay.is_built(self.root, module):
            return "borrowed" if overlay.is_borrowed(self.root, module) else "completed"
        return "started" if self.last("started", module=module.slug) else "new"

    @property
    def current(self):
        """The module that the student works on: the one started last and not completed, else the first not built."""
        for event in reversed(self.events):
            if event["event"] == "started":
                module = next((m for m in self.course.modules if m.slug == event["module"]), None)
                if module and self.state_of(module) == "started":
                    return module
        return next((m for m in self.course.modules if not overlay.is_built(self.root, m)), None)

    def require_needs(self, module):
        """Raise unless every module it imports from is built."""
        for needed in self.course.needs(module):
            if not overlay.is_built(self.root, needed):
                target, number = f"tinytorch.{needed.targets[0]}", needed.label
                raise UsageError(
                    f"module {module.label} {module.name} needs {target}, which is module {number}, not built yet",
                    f"tito module complete {needed.label}, or tito module borrow {needed.label}",
                )

    def folder(self, module):
        return self.root / module.slug

    def path(self, module):
        """Where the student's file of a module is, or was. Raises when the module was not started."""
        started = self.last("started", module=module.slug)
        if started is None:
            raise UsageError(
                f"module {module.label} {module.name} was not started", f"tito module start {module.label}"
            )
        return self.folder(module) / f"{module.name}.{started['format']}"

    def file(self, module):
        """The student's file of a module. Raises when it was not started or is gone."""
        path = self.path(module)
        if not path.exists():
            raise UsageError(
                f"{self.show(path)} is gone",
                f"tito module undo {module.label} brings back its last snapshot, "
                f"tito module start {module.label} a blank one",
            )
        return path

    def show(self, path):
        """A path as the student would type it."""
        try:
            shown = os.path.relpath(path)
        except OSError:  # the current folder is gone
            return str(path)
        return str(path) if shown.startswith("../..") else shown

    # --- blanks ---

    def blank(self, module):
        """The course's blank notebook of a module, kept by the hash of its source: only the first call compiles."""
        path = self.private / "cache" / f"{module.slug}-{module.hash}-{tito.__version__}.json"
        if path.exists():
            return notebook.from_json(path.read_text(encoding="utf-8"), path)
        blank = notebook.strip(notebook.compile_module(module))
        notebook.write_atomically(path, notebook.to_json(blank))
        return blank

    def version(self, module):
        """The hash of the course's module on which the student's file stands, None before it is started."""
        newest = [e for e in self.events if e["event"] in ("started", "updated") and e.get("module") == module.slug]
        return newest[-1].get("hash") if newest else None

    def is_up_to_date(self, module):
        """Whether the student's file stands on the course's present version of the module."""
        return self.version(module) in (None, module.hash)

    def _base_path(self, module, version):
        return self.private / "base" / f"{module.slug}-{version}.ipynb"

    def keep_base(self, module, blank):
        """Keep the blank of the present version, which later versions are compared with."""
        notebook.write_atomically(self._base_path(module, module.hash), notebook.to_json(blank))

    def base(self, module):
        """The blank from which the student's file came, of whatever version it was."""
        path = self._base_path(module, self.version(module))
        return notebook.from_json(path.read_text(encoding="utf-8"), path) if path.exists() else self.blank(module)

    # --- snapshots ---

    def write(self, module, path, data, reason):
        """Write a student's file, its present state snapshotted first."""
        with self.locked():
            self.snapshot(module, path, reason)
            self._drop_pair(Path(path))
            notebook.write_atomically(path, data)

    def _drop_pair(self, path):
        """Remove JupyterLab's copy of a notebook as text, which would be taken for newer; it comes back at each save.

        Where it is more than a copy it stays, and whoever opens or checks the notebook is told.
        """
        pair = path.with_suffix(".py")
        if path.suffix != ".ipynb" or not (path.parent / PAIRING).exists() or not (path.exists() and pair.exists()):
            return
        try:
            mine, copy = ([cell["source"].strip() for cell in notebook.read(file)["cells"]] for file in (path, pair))
        except TitoError:
            return  # the notebook is damaged, which is why it is written, and the text may be all there is
        if mine == copy:
            pair.unlink()

    def snapshot(self, module, path, reason):
        """Keep a copy of `path` (it may not exist) unless the newest is the same; returns the snapshot or None."""
        path = Path(path)
        with self.locked():
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
            newest = self.snapshots(module, path.name)[-1:]
            if newest and newest[0].read_bytes() == data:
                return newest[0]
            kept = self.private / "snapshots"
            kept.mkdir(exist_ok=True)
            number = 1 + max((int(p.name.split("-")[0]) for p in kept.iterdir()), default=0)
            copy = kept / f"{number:05}-{module.slug}-{reason}" / path.name
            notebook.write_atomically(copy, data)
            notebook.write_atomically(copy.with_name("version"), str(self.version(module)).encode())
            self._thin_out(module, path.name)
        return copy

    def snapshots(self, module, name):
        """The kept copies of a file, oldest first."""
        folders = sorted((self.private / "snapshots").glob(f"[0-9]*-{module.slug}-*"))
        return [folder / name for folder in folders if (folder / name).exists()]

    def _thin_out(self, module, name):
        taken = [p.parent for p in self.snapshots(module, name) if p.parent.name.endswith(("-check", "-watch"))]
        for folder in taken[:-KEPT_BY_ITSELF]:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def stage(self):
        """A copy of the overlay to build in, removed afterwards."""
        area = self.private / "stage"
        area.mkdir(exist_ok=True)
        _remove_stale(area)
        folder = Path(tempfile.mkdtemp(dir=area))
        try:
            with self.locked():  # nobody may swap the package while it is copied
                overlay.stage(self.course, self.root, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def uninterrupted():
    """Ctrl-C takes effect after the block, which is short and must not be left half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):  # an enclosing block's, or the one that raises KeyboardInterrupt
        before(signal.SIGINT, None)


def _remove_stale(area):
    """Remove what a tito that was killed left behind."""
    for folder in area.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _missing_newline(path):
    """A newline, when the last line of a log was cut off in the middle."""
    with open(path, "rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 1))
        return b"" if log.read(1) in (b"", b"\n") else b"\n"


def _json(value, indent=1):
    return (json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=True) + "\n").encode()
