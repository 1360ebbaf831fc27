"""Notebooks made from a module's own answers: solved, with one task wrong, with one task missing."""

import copy
import runpy
import textwrap

from tito import notebook as nb
from tito.errors import CourseError


def solved_cell(cell):
    """The source of a complete solution cell as a student would have it: without the region's markers."""
    return "\n".join(line for line in cell["source"].split("\n") if line.strip() not in (nb.BEGIN, nb.END))


def solved(blank, complete):
    """The student's notebook with every task solved by the reference."""
    answers = {nb.grade_id(cell): solved_cell(cell) for cell in complete["cells"] if nb.is_solution(cell)}
    notebook = copy.deepcopy(blank)
    for cell in notebook["cells"]:
        if nb.is_solution(cell):
            cell["source"] = answers[nb.grade_id(cell)]
    return notebook


def with_body(cell, body):
    """The source of a complete solution cell with another body in its region."""
    before, inside, after = [], False, []
    for line in cell["source"].split("\n"):
        if line.strip() == nb.BEGIN:
            inside, indent = True, line[: len(line) - len(line.lstrip())]
        elif line.strip() == nb.END:
            inside = None
        elif inside is None:
            after.append(line)
        elif not inside:
            before.append(line)
    return "\n".join([*before, textwrap.indent(body.strip("\n"), indent), *after])


def load_wrong(module):
    """`WRONG` of a module's misconceptions.py."""
    path = module.folder / "misconceptions.py"
    if not path.exists():
        raise CourseError(path, "is missing", "it lists at least three wrong solutions a task")
    wrong = runpy.run_path(str(path)).get("WRONG")
    keys = {"task", "mistake", "body"}
    if not isinstance(wrong, list) or any(set(item) != keys for item in wrong):
        raise CourseError(path, f"WRONG is not a list of {sorted(keys)}")
    return wrong
