"""Taking in what students sent: notebooks, percent files, folders, zips. All of it is data; nothing of it runs here."""

import hashlib
import json
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tito import notebook as nb
from tito.errors import TitoError, UsageError
from tito.grading.classroom import require_student
from tito.grading.marking import FILE_BYTES, parse, read_bytes
from tito.rebuild import answers_of

ZIP_BYTES, ZIP_MEMBERS = 100 << 20, 1000  # of all its members together, unpacked


@dataclass
class Taken:
    """What was done with one thing found: `taken`, `unchanged`, `replaced`, `refused` or `ignored`."""

    what: str
    done: str
    student: str = ""
    why: str = ""
    data: bytes = field(default=b"", repr=False)

    def as_json(self):
        return {"what": self.what, "done": self.done, "student": self.student, "why": self.why}


def collect(room, released, folder):
    """Copy the submissions in `folder` into `submitted/`; one Taken for everything found there."""
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "name the folder that holds the submissions")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    if not entries:
        raise UsageError(f"{folder} is empty", "it should hold STUDENT.ipynb, STUDENT/, or zips of tito submit")
    found = [_look(released, path) for path in entries]
    _refuse_doubles(found)
    for one in found:
        if one.done == "taken":
            _store(room, released.module, one)
    return found


def _look(released, path):
    """What a file or folder is, and the notebook in it as bytes."""
    try:
        student, data, why = _read(released, path)
        return Taken(path.name, "taken", require_student(student), why, data)
    except NotASubmission as error:
        return Taken(path.name, "ignored", why=error.message)
    except TitoError as error:
        return Taken(path.name, "refused", why=error.message)
    except OSError as error:
        return Taken(path.name, "refused", why=f"it cannot be read: {error.strerror}")


class NotASubmission(TitoError):
    """Something else that lies in the folder."""


def _read(released, path):
    """`(student, notebook's bytes, remark)`."""
    module = released.module
    if path.suffix == ".zip":
        return _from_zip(released, path)
    if path.is_dir():
        inside = _in_folder(released, path)
        return path.name, _as_notebook(released, inside.name, read_bytes(inside)), _other_name(module, inside)
    if path.suffix not in (".ipynb", ".py"):
        raise NotASubmission("neither notebook, nor percent file, folder or zip")
    if path.stem in (module.name, module.slug):
        raise TitoError(f"it does not say whose it is; call it STUDENT{path.suffix}")
    return path.stem, _as_notebook(released, path.name, read_bytes(path)), ""


def _in_folder(released, folder):
    """The student's file: by its right name, else the only notebook there that has this module's cells."""
    module = released.module
    for place in (folder, folder / module.slug):
        for suffix in (".ipynb", ".py"):
            if (place / f"{module.name}{suffix}").exists():
                return place / f"{module.name}{suffix}"
    others = [path for path in sorted(folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]
    fitting = [path for path in others if _fits(released, path)]
    if len(fitting) != 1:
        names = ", ".join(path.name for path in others[:3]) or "no notebook"
        raise TitoError(f"it holds no {module.name}.ipynb, but {names}")
    return fitting[0]


def _fits(released, path):
    try:
        return not answers_of(parse(read_bytes(path), path.name)).keys().isdisjoint(released.solutions)
    except (TitoError, OSError):
        return False


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


def _require_harmless(archive):
    """Nothing is unpacked, but a zip that tries such things is not from `tito submit`."""
    members = archive.infolist()
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise TitoError(f"it holds a path that leads outside: {member.filename}")
    if len(members) > ZIP_MEMBERS or sum(member.file_size for member in members) > ZIP_BYTES:
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


def _refuse_doubles(found):
    """Two files of one student: nobody can know which counts. On some disks Ada and ada are one folder."""
    by_student = {}
    for one in found:
        if one.done == "taken":
            by_student.setdefault(one.student.casefold(), []).append(one)
    for several in by_student.values():
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
