"""Releasing modules: the assignment of nbgrader from the same bytes that students get."""

from dataclasses import dataclass

from tito import notebook as nb
from tito.check import assemble
from tito.errors import UsageError, WorkplaceError
from tito.grading.classroom import PRIVATE, Classroom, Released


@dataclass
class Release:
    """What became of one module: `released`, `updated` or `unchanged`. graded: submissions graded before."""

    module: object
    done: str
    graded: int = 0

    def as_json(self):
        return {"module": self.module.slug, "done": self.done, "graded": self.graded}


def release(course, modules, folder):
    """Make `folder` a course folder of nbgrader, or extend it; returns a Release for each module."""
    from tito.grading import gradebook

    room = Classroom(folder)
    _require_place(course, room)
    notebooks = {module.slug: _notebooks(module) for module in modules}
    room.root.mkdir(parents=True, exist_ok=True)
    with room.locked():
        _settle_in(room, gradebook.CONFIG)
        assemble(course, room.private / "reference", [m for m in course.modules if m.has_reference])
        (room.private / "reference" / ".tito").mkdir(exist_ok=True)
        (room.private / "exchange").mkdir(exist_ok=True)
        known = gradebook.assignments(room.root)
        return [_release(room, module, *notebooks[module.slug], known, gradebook.register) for module in modules]


def _require_place(course, room):
    if (room.root / "settings.ini").exists():
        raise UsageError(f"{room.root} is a course itself", "choose a folder of its own for the assignments")
    others = contents(room.root)
    if others and not (room.root / "nbgrader_config.py").exists():
        raise UsageError(
            f"{room.root} holds other things ({', '.join(others[:3])}) and no nbgrader_config.py",
            "choose an empty folder, or one that an earlier release made",
        )


def contents(folder):
    """Names in a folder that may not exist yet, without what tito keeps for itself."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "choose another name")
    return sorted(path.name for path in folder.iterdir() if path.name != PRIVATE) if folder.exists() else []


def require_reference(module):
    if not module.has_reference:
        raise WorkplaceError(
            f"this course comes without the reference of module {module.label}; it cannot be released from here",
            "release from the full course, not from a student kit",
        )


def _notebooks(module):
    """`(complete, blank)` as bytes; made for all modules before anything is written."""
    require_reference(module)
    complete = nb.compile_module(module)
    return nb.to_json(nb.with_here(complete)), nb.to_json(nb.strip(complete))


def _settle_in(room, config):
    if not (room.root / "nbgrader_config.py").exists():
        nb.write_atomically(room.root / "nbgrader_config.py", config.encode())
    (room.root / "submitted").mkdir(exist_ok=True)


def _release(room, module, source, blank, known, register):
    path = room.path("release", module)
    existed = path.is_file() and module.slug in known
    if existed and path.read_bytes() == blank and room.path("source", module).is_file():
        if room.path("source", module).read_bytes() == source:
            return Release(module, "unchanged", known[module.slug])
    register(room.root, Released(module, blank))  # first, for nbgrader may refuse
    nb.write_atomically(room.path("source", module), source)
    nb.write_atomically(path, blank)
    return Release(module, "updated" if existed else "released", known.get(module.slug, 0))
