"""Put back the blank of one task, or of a whole module."""

import contextlib
import re

import click

from tito import notebook as nb
from tito import report
from tito.commands._common import complete_task, json_option, workplace
from tito.errors import UsageError
from tito.rebuild import restore

_MARKER = re.compile(r"^(?=[ \t]*#[ \t]*%%(?:[ \t]|$))", re.MULTILINE)


@click.command(help=__doc__)
@click.argument("what", metavar="TASK|NN", shell_complete=complete_task)
@click.option("--given", is_flag=True, help="Of a module only the given and test cells; your answers stay.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(what, given, yes):
    course, workspace = workplace()
    number, dash, rest = what.partition("-")
    module = course.module(number if dash and number.isdigit() else what)
    path = workspace.path(module)
    if dash and number.isdigit():
        ids = cells_of(workspace, module, f"{module.label}-{rest}")
        change(workspace, module, workspace.file(module), ids)
    elif given:
        ids = {nb.grade_id(cell) for cell in workspace.base(module)["cells"] if nb.is_locked(cell)}
        change(workspace, module, workspace.file(module), ids)
    else:
        if not yes:
            report.confirm(f"Begin all of {module.label} {module.name} again? undo brings it back.", "add --yes")
        begin_again(workspace, module, path)
        ids = ()
    what = ", ".join(sorted(ids)) if ids and not given else "all given and test cells" if given else "all of it"
    report.emit(
        {"module": module.slug, "file": str(path), "cells": sorted(ids)},
        [
            report.wrap(f"{workspace.show(path)}: {what} as in the blank", indent="  "),
            f"next: tito module open {module.label}   (tito module undo {module.label} takes this back)",
        ],
    )


def cells_of(workspace, module, identity):
    """The ids to restore for a name: a task's cell and its test, or one cell."""
    known = {nb.grade_id(cell) for cell in workspace.base(module)["cells"]} - {None}
    if identity not in known:
        tasks = ", ".join(task.id for task in module.tasks)
        raise UsageError(f"module {module.label} {module.name} has no cell {identity}", f"its tasks are {tasks}")
    return {identity, f"{identity}-test"} & known


def change(workspace, module, path, ids):
    """Restore these cells in the student's file."""
    with workspace.locked():
        base = workspace.base(module)
        if path.suffix == ".ipynb":
            data = nb.to_json(restore(base, nb.read(path), ids))
        else:
            data = restored_percent(base, nb.read(path), path, ids)
        with workspace.recorded("reset", module=module.slug, cells=sorted(ids)):
            workspace.write(module, path, data, "reset")


def begin_again(workspace, module, path):
    """The blank of the course's present version in place of the student's file, whatever is in that now."""
    blank = workspace.blank(module)
    data = nb.to_json(blank) if path.suffix == ".ipynb" else nb.to_percent(blank)
    workspace.snapshot(module, path, "reset")
    with contextlib.ExitStack() as events:
        events.enter_context(workspace.recorded("reset", module=module.slug, cells="all"))
        if not workspace.is_up_to_date(module):
            events.enter_context(workspace.recorded("updated", module=module.slug, hash=module.hash))
        workspace.keep_base(module, blank)
        workspace.write(module, path, data, "reset")


def restored_percent(base, student, path, ids):
    """A percent file with these cells restored; the text of all others stays as it is, to the byte."""
    head = _with_text(student, path.read_text(encoding="utf-8-sig"))
    written = nb.to_percent(base).decode()
    fresh = nb.from_percent(written)
    if head is None or _with_text(fresh, written) is None:
        return nb.to_percent(restore(base, student, ids))  # the markers are not where the cells begin
    return (head + "".join(cell["text"] for cell in restore(fresh, student, ids)["cells"])).encode()


def _with_text(notebook, text):
    """Give each cell its own piece of the file; returns what stands before the first, None when that cannot be done."""
    head, *pieces = _MARKER.split(text)
    if len(pieces) + 1 == len(notebook["cells"]):
        head, pieces = "", [head, *pieces]
    if len(pieces) != len(notebook["cells"]):
        return None
    for cell, piece in zip(notebook["cells"], pieces, strict=True):
        cell["text"] = piece if piece.endswith("\n") else piece + "\n"
    return head
