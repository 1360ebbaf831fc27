"""A student's notebook as it is handed in: their cells, in the form that nbgrader's autograding accepts."""

import copy
import hashlib
import io
import json
import re
import zipfile

from tito import notebook as nb
from tito.errors import TitoError

FORMAT = 1
MANIFEST = "manifest.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold; the real one stands in the manifest
_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def pack(base, student):
    """The student's notebook with ids and metadata as in `base`, from which they started, and without outputs.

    Cells that are missing are put back as they were given out. Returns the notebook and remarks on what was mended.
    Raises: TitoError when two cells stand for one answer and differ.
    """
    known = {nb.grade_id(cell): cell for cell in base["cells"] if nb.grade_id(cell)}
    cells, seen, remarks = [], {}, []
    for cell in student["cells"]:
        identity = nb.grade_id(cell)
        if identity in seen:
            _refuse_difference(identity, seen[identity], cell["source"], nb.is_locked(known[identity]))
            remarks.append(f"cell {identity} stands there twice; the first counts")
        elif identity in known:
            seen[identity] = cell["source"]
            cells.append(_given(known[identity], cell["source"]))
        else:
            cells.append({"cell_type": cell["cell_type"], "metadata": {}, "source": cell["source"], "own": cell})
    _name_own(cells, base)
    remarks += _put_back(cells, base, seen)
    notebook = {"cells": cells, "metadata": copy.deepcopy(base["metadata"]), "nbformat": 4, "nbformat_minor": 5}
    return notebook, remarks


def _given(cell, source):
    """A cell of the course with the student's text, without outputs."""
    fresh = {key: copy.deepcopy(cell[key]) for key in ("cell_type", "id", "metadata")}
    fresh["source"] = source
    if fresh["cell_type"] == "code":
        fresh.update(outputs=[], execution_count=None)
    return fresh


def _refuse_difference(identity, first, second, is_locked):
    if not is_locked and first.strip() != second.strip():
        raise TitoError(
            f"there are two cells {identity}, and they differ", "keep the one that counts and delete the other"
        )


def _name_own(cells, base):
    """Give cells without a grade_id the course's id when it is the course's text, else their own or a new one."""
    taken = {cell["id"] for cell in cells if "id" in cell}
    plain = [cell for cell in base["cells"] if nb.grade_id(cell) is None]
    by_text = {cell["source"].strip(): cell["id"] for cell in reversed(plain)}
    reserved = {cell["id"] for cell in base["cells"]}
    for cell in cells:
        if "own" not in cell:
            continue
        own, identity = cell.pop("own"), by_text.get(cell["source"].strip())
        if identity is None or identity in taken:
            identity = own.get("id")
        if not _CELL_ID.fullmatch(str(identity or "")) or identity in taken:
            identity = next(name for n in range(1, 10**6) if (name := f"own-{n}") not in taken | reserved)
        taken.add(identity)
        cell["id"] = identity
        if own["metadata"].get("tags"):
            cell["metadata"]["tags"] = own["metadata"]["tags"]
        if own.get("attachments"):
            cell["attachments"] = own["attachments"]
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)


def _put_back(cells, base, seen):
    """Insert graded, given and test cells that are missing behind the one before them; returns remarks."""
    remarks, before = [], None
    for cell in base["cells"]:
        identity = nb.grade_id(cell)
        if identity is None:
            continue
        if identity not in seen:
            place = next((i + 1 for i, c in enumerate(cells) if c["id"] == before), 0)
            cells.insert(place, _given(cell, cell["source"]))
            remarks.append(f"cell {identity} is missing; it is handed in as it was given out")
        before = cell["id"]
    return remarks


def unanswered(base, notebook):
    """Ids of the questions whose answer is still as it was given out, with their points."""
    given = {nb.grade_id(cell): cell["source"].strip() for cell in base["cells"] if nb.is_answer(cell)}
    cells = [cell for cell in notebook["cells"] if nb.is_answer(cell)]
    return {
        nb.grade_id(cell): cell["metadata"]["nbgrader"].get("points", 0)
        for cell in cells
        if cell["source"].strip() == given[nb.grade_id(cell)]
    }


def archive(module, notebook, facts):
    """Bytes of the zip, and its manifest: the same notebook and facts always give the same bytes.

    It holds `name.ipynb` and `manifest.json`, which says whose it is.
    """
    data = nb.to_json(notebook)
    manifest = {
        "format": FORMAT,
        "module": module.slug,
        "notebook": f"{module.name}.ipynb",
        "sha256": hashlib.sha256(data).hexdigest(),
        **facts,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in ((manifest["notebook"], data), (MANIFEST, _json(manifest))):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            file.writestr(entry, content)
    return buffer.getvalue(), manifest


def _json(value):
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
