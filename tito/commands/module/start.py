"""Get the blank notebook of a module."""

import click

from tito import notebook, report
from tito.commands._common import format_option, json_option, module_argument, pick, workplace
from tito.errors import UsageError


@click.command(help=__doc__)
@module_argument
@format_option
@json_option
def command(module, form):
    course, workspace = workplace()
    module = pick(workspace, module)
    started = workspace.last("started", module=module.slug)
    path = workspace.folder(module) / f"{module.name}.{started['format'] if started else form}"
    if path.exists() and started:
        raise UsageError(
            f"module {module.label} is already started: {workspace.show(path)}",
            f"tito module open {module.label}; to begin again: tito module reset {module.label}",
        )
    workspace.require_needs(module)
    kept = "it was there and is kept; " if path.exists() else ""
    begin(workspace, module, form)
    tasks = [task for task in module.tasks if not task.optional]
    report.emit(
        {"module": module.slug, "file": str(path), "tasks": [task.id for task in tasks]},
        [
            f"{workspace.show(path)}: {kept}{len(tasks)} tasks, about {module.settings['minutes']} minutes",
            f"next: tito module open {module.label}   (and tito module watch {module.label} beside it)",
        ],
    )


def begin(workspace, module, form):
    """Record it and write the blank file, in this order: cut off in between, `start` again writes it.

    A file of the student's that is already there is kept.
    """
    blank = workspace.blank(module)
    data = notebook.to_json(blank) if form == "ipynb" else notebook.to_percent(blank)
    path = workspace.folder(module) / f"{module.name}.{form}"
    with workspace.locked():
        workspace.keep_base(module, blank)
        workspace.record("started", module=module.slug, format=form, hash=module.hash)
        if not path.exists():
            workspace.write(module, path, data, "start")
    return path
