"""List the modules: what they ask, and how far you are."""

import textwrap

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.module.status import next_step
from tito.course import Course
from tito.errors import WorkplaceError
from tito.state import Workspace

HEADER = ("no", "module", "about", "tasks", "points", "min", "state")


@click.command("list", help=__doc__)
@json_option
def command():
    course = Course.find()
    try:
        workspace = Workspace.find(course)
        last = next_step(workspace)
    except WorkplaceError as error:
        workspace, last = None, f"{error.message}; {error.hint}"
    rows = [describe(module, workspace) for module in course.modules]
    report.emit([dict(zip(HEADER, row, strict=True)) for row in rows], [*table(rows), last])


def describe(module, workspace):
    """What the list says of a module, by column."""
    tasks = [task for task in module.tasks if not task.optional]
    points = sum(task.points for task in tasks)
    state = workspace.state_of(module) if workspace else "-"
    return [
        module.label,
        module.name,
        module.settings.get("summary", ""),
        len(tasks),
        f"{points:g}",
        module.settings["minutes"],
        state,
    ]


def table(rows):
    """The list for a terminal: the summaries are cut so that a line fits."""
    spare = report.WIDTH - max(len(line) for line in report.table([[*r[:2], "about", *r[3:]] for r in rows], HEADER))
    return report.table(
        [[*r[:2], textwrap.shorten(r[2], spare + len("about"), placeholder="..."), *r[3:]] for r in rows], HEADER
    )
