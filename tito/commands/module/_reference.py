"""Showing the course's own solutions: asked for, and recorded."""

import textwrap

from tito import notebook as nb
from tito import report
from tito.errors import UsageError


def reveal(workspace, module, tasks, yes):
    """The complete solution cells of these tasks by id, after asking; that they were seen is recorded."""
    if not module.has_reference:
        raise UsageError(f"this course comes without solutions of module {module.label}", "ask whoever teaches it")
    names = ", ".join(task.id for task in tasks)
    if not yes:
        report.confirm(f"Show the course's solution of {names}? It is recorded that you saw it.", "add --yes")
    cells = {nb.grade_id(cell): cell for cell in nb.compile_module(module)["cells"] if nb.is_solution(cell)}
    for task in tasks:
        workspace.record("solution", module=module.slug, task=task.id)
    return {task.id: cells[task.id]["source"] for task in tasks}


def region(source):
    """The lines between the markers of a solution cell."""
    lines = source.split("\n")
    marks = [n for n, line in enumerate(lines) if line.strip() in (nb.BEGIN, nb.END)]
    inside = lines[marks[0] + 1 : marks[1]] if len(marks) == 2 else lines
    return textwrap.dedent("\n".join(inside)).strip("\n")
