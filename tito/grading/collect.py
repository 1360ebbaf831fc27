"""Taking in what students sent: notebooks, percent files, folders, zips. All of it is data; nothing of it runs here."""

import hashlib
import json
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tito import notebook as nb
from tito.errors import TitoError, UsageError
from tito.grading.classroom import require_student
from tito.grading.marking import FILE_BYTES, parse, read_bytes
from tito.grading.naming import Person, read_name, remember
from tito.rebuild import answers_of

ZIP_BYTES, ZIP_MEMBERS = 100 << 20, 1000  # of all members of a student's zip together, unpacked
CLASS_BYTES, CLASS_MEMBERS = 4 << 30, 20_000  # of one that a learning-management system made of a whole class
SKIPPED = (".", "__MACOSX")


@dataclass
class Taken:
    """What was done with one thing found: `taken`, `unchanged`, `replaced`, `refused` or `ignored`."""

    what: str
    done: str
    student: str = ""
    why: str = ""
    data: bytes = field(default=b"", repr=False)
    person: Person | None = None

    def as_json(self):
        return {"what": self.what, "done": self.done, "student": self.student, "why": self.why}


def collect(room, released, sources):
    """Copy the submissions of one module into `submitted/`; one Taken for everything found.

    sources: folders, zips as a learning-management system makes them, zips of `tito submit`, notebooks.
    """
    with tempfile.TemporaryDirectory(prefix="tito-collect-") as folder:
        found = _find(released, sources, Path(folder).resolve(), choosy=False)
        _keep(room, released, found)
    return found


def collect_all(room, releases, sources):
    """The same for several modules: each file goes to the module whose cells are in it."""
    with tempfile.TemporaryDirectory(prefix="tito-collect-") as folder:
        rounds = []
        for released in releases:
            rounds.append(_find(released, sources, Path(folder).resolve() / released.module.slug, choosy=True))
            _keep(room, released, rounds[-1])
    order = ("taken", "replaced", "unchanged", "refused", "ignored")
    return [min(same, key=lambda one: order.index(one.done)) for same in zip(*rounds, strict=True)]


def _find(released, sources, folder, choosy):
    """What stands in all sources; zips of a class are unpacked into `folder`."""
    found = []
    for source in map(Path, sources):
        if not source.exists():
            raise UsageError(f"{source} does not exist", "name folders, zips or notebooks with submissions")
        found += [_look(released, path, choosy) for path in _entries(source.resolve(), folder / str(len(found)))]
    _refuse_doubles(released, found)
    return found


def _keep(room, released, found):
    taken = [one for one in found if one.done == "taken"]
    for one in taken:
        _store(room, released.module, one)
    remember(room, [one.person for one in taken if one.person])


def _entries(source, folder):
    """The files and folders that a source holds, each of them one submission or none."""
    if source.is_file() and not _is_class(source):
        return [source]
    if source.is_file():
        source = _unpack(source, folder)
    entries = sorted(path for path in source.iterdir() if not path.name.startswith(SKIPPED))
    if not entries:
        raise UsageError(f"{source} is empty", "it should hold STUDENT.ipynb, STUDENT/, or zips of tito submit")
    return [inner for path in entries for inner in (_entries(path, folder / path.name) if _is_class(path) else [path])]


def _is_class(path):
    """Whether a file is a zip of many submissions: a zip without the manifest that `tito submit` puts in."""
    if path.suffix != ".zip" or not path.is_file() or path.is_symlink():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            return "manifest.json" not in names and any(read_name(name.split("/")[0])[0].system for name in names)
    except (zipfile.BadZipFile, NotImplementedError):
        return False


def _unpack(path, folder):
    """The harmless members of a zip of a class as files in `folder`. Raises UsageError where one is not harmless."""
    try:
        with zipfile.ZipFile(path) as archive:
            _require_harmless(archive, CLASS_MEMBERS, CLASS_BYTES)
            for member in archive.infolist():
                parts = PurePosixPath(member.filename.replace("\\", "/")).parts
                if not member.is_dir() and not any(part.startswith(SKIPPED) for part in parts):
                    target = folder.joinpath(*parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(_extract(archive, member.filename))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UsageError(f"{path} is not a zip that can be read: {error}", "download it again") from error
    except TitoError as error:
        raise UsageError(f"{path}: {error.message}", "is it what the learning-management system gave you?") from error
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _look(released, path, choosy=False):
    """What a file or folder is, and the notebook in it as bytes. choosy: without a cell of the module it is ignored."""
    try:
        person, data, why = _read(released, path)
        if choosy and not _fits(released, data, path.name):
            raise NotASubmission("it holds none of the cells to fill in of a module that is released here")
        why = "; ".join(part for part in (why, "handed in late" * person.late) if part)
        return Taken(path.name, "taken", require_student(person.student), why, data, person)
    except NotASubmission as error:
        return Taken(path.name, "ignored", why=error.message)
    except TitoError as error:
        return Taken(path.name, "refused", why=error.message)
    except OSError as error:
        return Taken(path.name, "refused", why=f"it cannot be read: {error.strerror}")


class NotASubmission(TitoError):
    """Something else that lies in the folder."""


def _read(released, path):
    """`(Person, notebook's bytes, remark)`."""
    module = released.module
    person, name = read_name(path.name)
    if path.suffix == ".zip":
        student, data, why = _from_zip(released, path)
        return (person if person.system else Person(student)), data, why
    if path.is_dir():
        inside = _in_folder(released, path)
        return person, _as_notebook(released, inside.name, read_bytes(inside)), _other_name(module, inside)
    if path.suffix not in (".ipynb", ".py"):
        raise NotASubmission("neither notebook, nor percent file, folder or zip")
    if not person.system:
        if path.stem in (module.name, module.slug):
            raise TitoError(f"it does not say whose it is; call it STUDENT{path.suffix}")
        person = Person(path.stem)
    return person, _as_notebook(released, name, read_bytes(path)), ""


def _in_folder(released, folder):
    """The student's file: by its right name, else the only notebook there that has this module's cells."""
    module = released.module
    for place in (folder, folder / module.slug):
        for suffix in (".ipynb", ".py"):
            if (place / f"{module.name}{suffix}").exists():
                return place / f"{module.name}{suffix}"
    others = [path for path in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    fitting = [path for path in others if _file_fits(released, path)]
    if len(fitting) != 1:
        names = ", ".join(path.name for path in others[:3]) or "no notebook"
        raise TitoError(f"it holds no {module.name}.ipynb, but {names}")
    return fitting[0]


def _file_fits(released, path):
    try:
        return _fits(released, read_bytes(path), path.name)
    except (TitoError, OSError):
        return False


def _holds_answers(released, one):
    try:
        return _fits(released, one.data, one.what)
    except TitoError:
        return False


def _fits(released, data, name):
    """Whether a notebook holds a cell to fill in of the module."""
    return not answers_of(parse(data, name)).keys().isdisjoint(released.solutions)


def _other_name(module, path):
    return "" if path.stem == module.name else f"taken from {path.name}"


def _as_notebook(released, name, data):
    """Bytes of a notebook: as they are, or a percent file turned into one."""
    if not name.endswith(".py"):
        return data
    try:
        notebook = nb.from_percent(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise TitoError(f"{name} is not text in UTF-8 (byte {error.start})") from error
    except Exception as error:  # jupytext and its YAML header raise whatever they like at what strangers write
        raise TitoError(f"{name} is not a percent file: {type(error).__name__}") from error
    metadata = {nb.grade_id(cell): cell["metadata"] for cell in released.blank["cells"] if nb.grade_id(cell)}
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] = metadata.get(nb.grade_id(cell), cell["metadata"])
        cell["id"] = f"cell-{number}"
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return nb.to_json(notebook)


# --- zips of `tito submit` ---


def _from_zip(released, path):
    if path.stat().st_size > ZIP_BYTES:
        raise TitoError(f"it has {path.stat().st_size >> 20} MB; at most {ZIP_BYTES >> 20} are read")
    if path.is_symlink():
        raise TitoError("it is a link to another file")
    try:
        with zipfile.ZipFile(path) as archive:
            _require_harmless(archive)
            manifest = _manifest(archive)
            member = _member(released, archive, manifest)
            raw = _extract(archive, member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise TitoError(f"it is not a zip that can be read: {error}") from error
    if manifest.get("sha256", hashlib.sha256(raw).hexdigest()) != hashlib.sha256(raw).hexdigest():
        raise TitoError(f"its {member} is not the one that tito submit packed: damaged, or changed afterwards")
    return str(manifest["student"]), _as_notebook(released, PurePosixPath(member).name, raw), ""


def _require_harmless(archive, most_members=ZIP_MEMBERS, most_bytes=ZIP_BYTES):
    """A zip that tries such things is from nobody who means well."""
    members = archive.infolist()
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise TitoError(f"it holds a path that leads outside: {member.filename}")
    if len(members) > most_members or sum(member.file_size for member in members) > most_bytes:
        raise TitoError("it holds more than a submission could: too many files or bytes")


def _manifest(archive):
    if "manifest.json" not in archive.namelist():
        raise TitoError("it is not from tito submit: it holds no manifest.json")
    try:
        manifest = json.loads(_extract(archive, "manifest.json"))
    except ValueError as error:
        raise TitoError("its manifest.json is not JSON") from error
    if not isinstance(manifest, dict) or not manifest.get("student"):
        raise TitoError("its manifest.json does not name the student")
    return manifest


def _member(released, archive, manifest):
    """Name of the member that is the student's file of this module."""
    module = released.module
    theirs = str(manifest.get("module", module.slug))
    if theirs not in (module.slug, module.name, module.label, str(module.number)):
        raise NotASubmission(f"it is a submission of {theirs}")
    wanted = (f"{module.name}.ipynb", f"{module.name}.py")
    for name in wanted:
        for member in archive.namelist():
            if PurePosixPath(member).name == name:
                return member
    raise TitoError(f"it holds no {wanted[0]}")


def _extract(archive, name):
    """Bytes of one member, which may be longer than its header says."""
    with archive.open(name) as file:
        data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise TitoError(f"its {name} is larger than {FILE_BYTES >> 20} MB")
    return data


# --- putting them where nbgrader expects them ---


def _refuse_doubles(released, found):
    """Two files of one student: nobody can know which counts. On some disks Ada and ada are one folder.

    Of several files that came from one system, those without a cell of the module are something else.
    """
    by_student = {}
    for one in found:
        if one.done == "taken":
            by_student.setdefault(one.student.casefold(), []).append(one)
    for several in by_student.values():
        fitting = [one for one in several if not one.person.system or _holds_answers(released, one)]
        if len(several) > 1 and fitting:
            for one in several:
                if one not in fitting:
                    one.done, one.why = "ignored", "it holds no cell of this module"
            several = fitting
        if len(several) > 1:
            names = ", ".join(one.what for one in several)
            for one in several:
                one.done, one.why = "refused", f"{one.student} stands here more than once: {names}"


def _store(room, module, one):
    """Write a submission into `submitted/`; an earlier one that differs is kept aside."""
    path = room.path("submitted", module, one.student)
    if path.is_file():
        before = path.read_bytes()
        if before == one.data:
            one.done = "unchanged"
            return
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
        earlier = room.private / "earlier" / one.student / module.slug / f"{module.name}-{stamp}.ipynb"
        nb.write_atomically(earlier, before)
        one.done = "replaced"
    nb.write_atomically(path, one.data)
