"""A workspace: the student's notebooks, their package, and in `.tito/` an append-only log of events and snapshots."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import tito
from tito import notebook, overlay
from tito.errors import UsageError, WorkplaceError

FORMAT = 1
FORMATS = ("ipynb", "py")
LOCK_SECONDS = 10


class Workspace:
    """One student's folder. Everything under `.tito/` is written atomically or appended in one write."""

    def __init__(self, root, course):
        self.root, self.course = Path(root), course
        self.private = self.root / tito.WORKSPACE_MARK

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
        overlay.recover(root)
        return workspace

    @classmethod
    def create(cls, root, course):
        """Make a workspace in `root`, or bring the one that is there up to date; nothing of the student's is touched."""
        root = Path(root).resolve()
        if (root / "modules").is_dir() and (root / "settings.ini").exists():
            raise UsageError(f"{root} is the course itself", "choose a folder for your own work: tito init work")
        workspace = cls(root, course)
        existed = workspace.private.is_dir()
        if existed and (workspace.private / "workspace.json").exists():
            workspace.require_format()
        elif (root / "tinytorch").exists():
            raise UsageError(f"{root / 'tinytorch'} exists and is not yours to build in", "choose an empty folder")
        workspace.private.mkdir(parents=True, exist_ok=True)
        with workspace.locked():
            overlay.lay(course, root)
            info = {"format": FORMAT, "tito": tito.__version__, "course": course.version, "course_hash": course.hash}
            notebook.write_atomically(workspace.private / "workspace.json", _json(info))
        return workspace, existed

    def require_format(self):
        """Raise before anything is touched when a newer tito made this workspace, or its description is damaged."""
        path = self.private / "workspace.json"
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            number = info["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkplaceError(f"{path} cannot be read: {error}", f"mend it with: tito init {self.root}") from error
        if number > FORMAT:
            raise WorkplaceError(
                f"this workspace was made by tito {info.get('tito')} (format {number}); "
                f"this is tito {tito.__version__} (format {FORMAT})",
                "update tinytorch; nothing was changed",
            )

    @contextlib.contextmanager
    def locked(self):
        """Only one tito at a time may write here."""
        import filelock

        lock = filelock.FileLock(self.private / "lock", timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise WorkplaceError(
                f"another tito has been writing in {self.root} for {LOCK_SECONDS} s",
                "wait for it to end, then try again",
            ) from error
        try:
            yield
        finally:
            lock.release()

    # --- events ---

    def record(self, event, **facts):
        """Append one event to the log, in one write."""
        line = _json({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}, indent=None)
        handle = os.open(self.private / "events.jsonl", os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)

    @property
    def events(self):
        path = self.private / "events.jsonl"
        if not path.exists():
            return []
        events = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                events.append(json.loads(line))
            except json.JSONDecodeError:
                continue  # the last line of a machine that lost power in the middle of it
        return events

    def last(self, event, **facts):
        """The newest event of a kind with these facts, or None."""
        wanted = {"event": event, **facts}
        return next((e for e in reversed(self.events) if wanted.items() <= e.items()), None)

    # --- modules ---

    def state_of(self, module):
        """`completed`, `borrowed`, `started` or `new`."""
        if overlay.is_built(self.root, module):
            newest = [e["event"] for e in self.events if e.get("module") == module.slug]
            built = [event for event in newest if event in ("completed", "borrowed")]
            return built[-1] if built else "completed"
        return "started" if self.last("started", module=module.slug) else "new"

    @property
    def current(self):
        """The module that the student works on: the one started last that is not completed, else the first not built."""
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
                target = needed.targets[0]
                raise UsageError(
                    f"module {module.label} {module.name} needs tinytorch.{target}, which is module {needed.label}, not built yet",
                    f"tito module complete {needed.label}, or tito module borrow {needed.label}",
                )

    def folder(self, module):
        return self.root / module.slug

    def file(self, module):
        """The student's file of a module. Raises when it was not started or is gone."""
        started = self.last("started", module=module.slug)
        if started is None:
            raise UsageError(
                f"module {module.label} {module.name} was not started", f"tito module start {module.label}"
            )
        path = self.folder(module) / f"{module.name}.{started['format']}"
        if not path.exists():
            raise UsageError(
                f"{self.show(path)} is gone",
                f"tito module undo {module.label} brings back its last snapshot; tito module start {module.label} a blank one",
            )
        return path

    def show(self, path):
        """A path as the student would type it."""
        shown = os.path.relpath(path)
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

    def base_path(self, module):
        """The blank from which the student started, of whatever version it was."""
        return self.private / "base" / f"{module.slug}.ipynb"

    def base(self, module):
        path = self.base_path(module)
        return notebook.from_json(path.read_text(encoding="utf-8"), path) if path.exists() else self.blank(module)

    # --- snapshots ---

    def write(self, module, path, data, reason):
        """Write a student's file, its present state snapshotted first."""
        self.snapshot(module, path, reason)
        notebook.write_atomically(path, data)

    def snapshot(self, module, path, reason):
        """Keep a copy of `path` (it may not exist); returns the snapshot's folder or None."""
        if not Path(path).exists():
            return None
        kept = self.private / "snapshots"
        kept.mkdir(exist_ok=True)
        newest = self.snapshots(module)[-1:]
        if newest and (newest[0] / Path(path).name).exists():
            if (newest[0] / Path(path).name).read_bytes() == Path(path).read_bytes():
                return newest[0]
        number = 1 + max((int(p.name.split("-")[0]) for p in kept.iterdir()), default=0)
        folder = kept / f"{number:05}-{module.slug}-{reason}"
        folder.mkdir()
        notebook.write_atomically(folder / Path(path).name, Path(path).read_bytes())
        return folder

    def snapshots(self, module):
        return sorted((self.private / "snapshots").glob(f"*-{module.slug}-*"))

    @contextlib.contextmanager
    def stage(self):
        """A copy of the overlay to build in, removed afterwards."""
        area = self.private / "stage"
        area.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=area))
        try:
            yield overlay.stage(self.course, self.root, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _json(value, indent=1):
    return (json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=True) + "\n").encode()
