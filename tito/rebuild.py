"""A student's answers in the course's notebook: given and test cells from the course, solution cells from the student."""

import copy
import difflib
from dataclasses import dataclass, field

from tito.errors import TitoError
from tito.notebook import (
    export_target,
    grade_id,
    is_answer,
    is_locked,
    is_solution,
)


@dataclass
class Rebuilt:
    """`notebook` is ready to run. `remarks` says in sentences what differed from a plain filled-in notebook.

    own: the student's cells that are not exported (their definitions are not seen by the tests).
    """

    notebook: dict
    remarks: list = field(default_factory=list)
    own: list = field(default_factory=list)


def rebuild(blank, student):
    """Put the student's solution cells and exported cells of their own into the blank notebook."""
    answers, own = _sort_out(blank, student)
    notebook = copy.deepcopy(blank)
    remarks = _edited(blank, student)
    for cell in notebook["cells"]:
        if not (is_solution(cell) or is_answer(cell)):
            continue
        found = answers.get(grade_id(cell))
        if found is None:
            remarks.append(
                f"cell {grade_id(cell)} is missing; it counts as not done (tito module reset {grade_id(cell)})"
            )
        else:
            cell["source"] = found
    _insert(notebook, [item for item in own if export_target(item[1]) is not None])
    unexported = [cell for _, cell in own if cell["cell_type"] == "code" and export_target(cell) is None]
    return Rebuilt(notebook, remarks, unexported)


def carry(blank, student, base):
    """The blank of a newer course version with everything the student wrote: answers and own cells of every kind.

    base: the blank from which the student started. Returns the notebook and the ids of answers with no place any more,
    which are kept as cells of the student's own.
    """
    answers, own = _sort_out(blank, student, base)
    notebook = copy.deepcopy(blank)
    places = {grade_id(cell) for cell in blank["cells"] if is_solution(cell) or is_answer(cell)}
    untouched = {grade_id(cell): cell["source"] for cell in base["cells"]}
    for cell in notebook["cells"]:
        identity = grade_id(cell)
        if identity in places and identity in answers and answers[identity] != untouched.get(identity):
            cell["source"] = answers[identity]
    lost = [identity for identity in answers if identity not in places and answers[identity] != untouched.get(identity)]
    orphans = [(None, {"cell_type": "code", "metadata": {}, "source": _commented(i, answers[i])}) for i in lost]
    _insert(notebook, [*own, *orphans])
    return notebook, lost


def answers_of(notebook):
    """Sources of the solution and answer cells by grade_id, as the student's file has them."""
    found = {}
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            found.setdefault(grade_id(cell), cell["source"])
    return found


def _sort_out(blank, student, base=None):
    """`(answers by grade_id, [(anchor, own cell)])`; the anchor is the nearest answer's or test's id above."""
    given = {cell["source"].strip() for cell in blank["cells"]}
    given |= {cell["source"].strip() for cell in base["cells"]} if base else set()
    ids = {cell.get("id") for cell in (blank["cells"] + base["cells"] if base else blank["cells"])}
    answers, own, anchor = {}, [], None
    for cell in student["cells"]:
        identity = grade_id(cell)
        if identity is None:
            played_with = cell.get("id") in ids and export_target(cell) is None and base is None
            if cell["source"].strip() and cell["source"].strip() not in given and not played_with:
                own.append((anchor, cell))
            continue
        anchor = identity
        if cell["metadata"]["nbgrader"].get("solution"):
            if identity in answers and answers[identity] != cell["source"]:
                raise TitoError(
                    f"there are two cells {identity}, and they differ",
                    "keep the one that counts and delete the other",
                )
            answers[identity] = cell["source"]
    return answers, own


def _insert(notebook, own):
    """Put own cells behind their anchors, in their order."""
    behind = {}
    for anchor, cell in own:
        behind.setdefault(anchor, []).append(cell)
    known = {grade_id(cell) for cell in notebook["cells"] if grade_id(cell)}
    first = next((i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"), -1)
    cells, count = [], 0
    for position, cell in enumerate(notebook["cells"]):
        cells.append(cell)
        extra = behind.pop(grade_id(cell), []) if grade_id(cell) else []
        if position == first:
            extra = [*(c for anchor in list(behind) if anchor not in known for c in behind.pop(anchor)), *extra]
        for item in extra:
            count += 1
            cells.append(_own_cell(item, count))
    notebook["cells"] = cells


def _own_cell(cell, count):
    fresh = {"cell_type": cell["cell_type"], "source": cell["source"], "id": f"own-{count}", "metadata": {}}
    if cell["metadata"].get("tags"):
        fresh["metadata"]["tags"] = cell["metadata"]["tags"]
    if fresh["cell_type"] == "code":
        fresh.update(outputs=[], execution_count=None)
    return fresh


def _commented(identity, source):
    lines = "\n".join(f"# {line}".rstrip() for line in source.split("\n"))
    return f"# Your answer to {identity}, which this version of the module no longer asks for:\n{lines}"


def _edited(blank, student):
    """Remarks on given and test cells whose text in the student's file is not the course's."""
    theirs = {}
    for cell in student["cells"]:
        if grade_id(cell):
            theirs.setdefault(grade_id(cell), cell["source"])
    remarks = []
    for cell in blank["cells"]:
        identity = grade_id(cell)
        if is_locked(cell) and identity in theirs and theirs[identity].strip() != cell["source"].strip():
            remarks.append(
                f"your edit to the given cell {identity} is not used: given and test cells come from the course"
            )
    return remarks


def difference(before, after, names):
    """Unified diff of two sets of answers, by grade_id."""
    lines = []
    for identity in dict.fromkeys([*before, *after]):
        a, b = before.get(identity, ""), after.get(identity, "")
        if a != b:
            titles = [f"{name} {identity}" for name in names]
            lines += difflib.unified_diff(a.splitlines(), b.splitlines(), *titles, lineterm="")
    return lines
