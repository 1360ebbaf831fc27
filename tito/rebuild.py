"""A student's answers in the course's notebook: given and test cells the course's, solution cells the student's."""

import copy
import difflib
import re
from dataclasses import dataclass, field

from tito.errors import TitoError
from tito.notebook import (
    default_target,
    export_target,
    grade_id,
    is_answer,
    is_locked,
    is_solution,
)

_EXPORT = re.compile(r"^#\|\s*export\b.*\n?", re.MULTILINE)
_STUB = re.compile(r'NotImplementedError\("\d\d-\d+ ([\w.]+)"\)')


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
        if is_solution(cell) or is_answer(cell):
            remarks += _fill_in(cell, answers.get(grade_id(cell)))
    exported = [item for item in own if export_target(item[1]) is not None]
    _refuse_other_targets(blank, [cell for _, cell in exported])
    _insert(notebook, exported)
    unexported = [cell for _, cell in own if cell["cell_type"] == "code" and export_target(cell) is None]
    return Rebuilt(notebook, remarks, unexported)


def _fill_in(cell, answer):
    """Put an answer into its cell of the course; the cell's own `#| export` line stays. Returns remarks."""
    identity = grade_id(cell)
    if answer is None:
        return [f"cell {identity} is missing; it counts as not done (tito module reset {identity})"]
    line = _EXPORT.search(cell["source"]) if is_solution(cell) else None
    if line is None or _EXPORT.search(answer) and export_target({**cell, "source": answer}) == export_target(cell):
        cell["source"] = answer
        return []
    cell["source"] = line[0] + _EXPORT.sub("", answer)
    return [f"cell {identity} begins with {line[0].strip()} in the course; that line was put back"]


def _refuse_other_targets(blank, cells):
    """A cell of the student's own must not overwrite what another module builds."""
    mine = {export_target(cell) for cell in blank["cells"]} | {"", default_target(blank)}
    for cell in cells:
        other = default_target({"cells": [cell]}) or export_target(cell)
        if other not in mine:
            raise TitoError(
                f"a cell of yours is exported to {other}, which is not a file of this module",
                "begin that cell with: #| export",
            )


def carry(blank, student, base):
    """The blank of a newer course version with everything the student wrote: answers and own cells of every kind.

    base: the blank from which the student started. Returns the notebook and the ids of answers with no place any more,
    which are kept as cells of the student's own.
    """
    answers, own = _sort_out(blank, student, base)
    notebook = copy.deepcopy(blank)
    moved = moved_ids(base, blank)
    untouched = {grade_id(cell): cell["source"] for cell in base["cells"]}
    written = {i: text for i, text in answers.items() if text.strip() != untouched.get(i, "").strip()}
    places = {grade_id(cell): cell for cell in notebook["cells"] if is_solution(cell) or is_answer(cell)}
    for identity, text in written.items():
        new = moved.get(identity)
        if new in places:
            places[new]["source"] = text.replace(f'NotImplementedError("{identity} ', f'NotImplementedError("{new} ')
    lost = [identity for identity in written if moved.get(identity) not in places]
    orphans = [((), {"cell_type": "code", "metadata": {}, "source": _commented(i, written[i])}) for i in lost]
    anchored = [(tuple(moved.get(identity, identity) for identity in above), cell) for above, cell in own]
    _insert(notebook, [*anchored, *orphans])
    return notebook, lost


def moved_ids(base, blank):
    """Which id an answer has in another version: that of the same function, else the same id.

    A task put in between renumbers those after it; what the student wrote belongs to the function, not to the number.
    """
    old, new = _symbols(base), _symbols(blank)
    by_symbol = {symbol: identity for identity, symbol in new.items() if symbol}
    moved = {identity: by_symbol[symbol] for identity, symbol in old.items() if symbol in by_symbol}
    taken = set(moved.values())
    return moved | {i: i for i in old if i not in moved and i in new and i not in taken}


def _symbols(notebook):
    """Id of each answer -> the function in which its blank stands, None for a question."""
    found = {}
    for cell in notebook["cells"]:
        if is_solution(cell) or is_answer(cell):
            stub = _STUB.search(cell["source"])
            found[grade_id(cell)] = stub[1] if stub else None
    return found


def changes(base, blank):
    """What a newer version asks differently: ids of answers that are new, gone, moved, or asked or tested otherwise."""
    moved, before, after = moved_ids(base, blank), _by_id(base), _by_id(blank)
    return {
        "new": [identity for identity in _symbols(blank) if identity not in moved.values()],
        "gone": [identity for identity in _symbols(base) if identity not in moved],
        "moved": {old: new for old, new in moved.items() if old != new},
        "asked": [new for old, new in moved.items() if before[old].replace(old, new) != after[new]],
        "tested": [new for old, new in moved.items() if before.get(f"{old}-test") != after.get(f"{new}-test")],
    }


def _by_id(notebook):
    return {grade_id(cell): cell["source"] for cell in notebook["cells"] if grade_id(cell)}


def restore(blank, student, ids):
    """The student's notebook with these cells as in the blank: edited ones, deleted ones, doubled ones; no other."""
    notebook = copy.deepcopy(student)
    fresh = {_key(cell): cell for cell in blank["cells"]}
    cells, seen = [], set()
    for cell in notebook["cells"]:
        identity = grade_id(cell)
        if identity not in ids:
            cells.append(cell)
        elif identity not in seen:
            cells.append(copy.deepcopy(fresh[identity]))
            seen.add(identity)
    notebook["cells"] = cells
    for identity in [i for i in fresh if i in ids and i not in seen]:
        cells.insert(_place_of(identity, fresh, cells), copy.deepcopy(fresh[identity]))
    return notebook


def _place_of(identity, fresh, cells):
    """The position behind the nearest cell that stands above this one in the blank and is still there."""
    above = list(fresh)[: list(fresh).index(identity)]
    present = {_key(cell): position for position, cell in enumerate(cells)}
    return next((present[i] + 1 for i in reversed(above) if i in present), 0)


def _key(cell):
    return grade_id(cell) or cell["source"].strip()


def answers_of(notebook):
    """Sources of the solution and answer cells by grade_id, as the student's file has them."""
    found = {}
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            found.setdefault(grade_id(cell), cell["source"])
    return found


def own_cells(blank, student):
    """The cells that are the student's own, of every kind, each with the id above it."""
    return [(above[0] if above else None, cell) for above, cell in _sort_out(blank, student)[1]]


def _sort_out(blank, student, base=None):
    """`(answers by grade_id, [(ids above, nearest first; own cell)])`."""
    given = {cell["source"].strip() for cell in blank["cells"]}
    given |= {cell["source"].strip() for cell in base["cells"]} if base else set()
    answers, own, above = {}, [], ()
    for cell in student["cells"]:
        identity = grade_id(cell)
        if identity is None:
            if cell["source"].strip() and cell["source"].strip() not in given:
                own.append((above, cell))
            continue
        above = (identity, *above)
        if cell["metadata"]["nbgrader"].get("solution"):
            if identity in answers and answers[identity].strip() != cell["source"].strip():
                raise TitoError(
                    f"there are two cells {identity}, and they differ",
                    f"keep the one that counts and delete the other; or begin it again: tito module reset {identity}",
                )
            answers[identity] = cell["source"]
    return answers, own


def _insert(notebook, own):
    """Put own cells behind the nearest cell above them that is there, in their order."""
    known = {grade_id(cell) for cell in notebook["cells"] if grade_id(cell)}
    behind = {}
    for above, cell in own:
        behind.setdefault(next((i for i in above if i in known), None), []).append(cell)
    first = next((i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"), -1)
    cells, count = [], 0
    for position, cell in enumerate(notebook["cells"]):
        cells.append(cell)
        extra = behind.pop(None, []) if position == first else []
        if grade_id(cell):
            extra = [*extra, *behind.pop(grade_id(cell), [])]
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
