"""Carry your answers into the course's newer version of a module."""

import click

from tito import notebook as nb
from tito import report
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.rebuild import carry, changes


@click.command(help=__doc__)
@module_argument
@json_option
def command(module):
    _, workspace = workplace()
    module = pick(workspace, module)
    path = workspace.file(module)
    if workspace.is_up_to_date(module):
        report.emit({"module": module.slug, "changed": False}, [f"{workspace.show(path)} is already up to date"])
        return
    with workspace.locked():
        base, blank = workspace.base(module), workspace.blank(module)
        notebook, lost = carry(blank, nb.read(path), base)
        data = nb.to_json(notebook) if path.suffix == ".ipynb" else nb.to_percent(notebook)
        workspace.keep_base(module, blank)
        workspace.snapshot(module, path, "update")
        with workspace.recorded("updated", module=module.slug, hash=module.hash):
            workspace.write(module, path, data, "update")
    found = changes(base, blank)
    report.emit(
        {"module": module.slug, "changed": True, "kept_as_own_cells": lost, **found},
        [
            f"{workspace.show(path)}: your work is carried into the newer {module.label} {module.name}",
            *(report.wrap(line, indent="  ") for line in sentences(found, lost)),
            f"next: tito module check {module.label}   (tito module undo {module.label} takes this back)",
        ],
    )


def sentences(found, lost):
    """What is different now, a line for each kind."""
    if found["new"]:
        yield f"new: {', '.join(found['new'])}"
    for old, new in found["moved"].items():
        yield f"{old} is now {new}"
    if found["gone"]:
        kept = f" (your text stays as a comment: {', '.join(lost)})" if lost else ""
        yield f"gone: {', '.join(found['gone'])}{kept}"
    if found["asked"]:
        yield f"asked differently: {', '.join(found['asked'])}; read the text above your answer again"
    if found["tested"]:
        yield f"tested differently: {', '.join(found['tested'])}"
