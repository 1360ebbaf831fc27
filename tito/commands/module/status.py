"""Where you are: modules, tasks, hints used, milestones."""

import click

from tito import report
from tito.commands._common import json_option, workplace
from tito.course import Course
from tito.errors import WorkplaceError
from tito.state import Workspace


@click.command(help=__doc__)
@json_option
def command():
    course, workspace = workplace()
    rows = [(m.label, m.name, workspace.state_of(m)) for m in course.modules]
    reached = [m for m in course.milestones if workspace.last("milestone", milestone=m.slug)]
    data = {
        "workspace": str(workspace.root),
        "modules": [dict(zip(("number", "name", "state"), row, strict=True)) for row in rows],
        "milestones": [m.slug for m in reached],
    }
    lines = [f"workspace {workspace.root}", *report.table(rows)]
    lines += [f"milestone reached: {m.title}" for m in reached]
    report.emit(data, [*lines, next_step(workspace)])


def where_am_i():
    """What bare `tito` says."""
    course = Course.find()
    try:
        workspace = Workspace.find(course)
    except WorkplaceError:
        report.say(
            f"tinytorch course {course.version}: {len(course.modules)} modules, {len(course.milestones)} milestones"
        )
        report.say("no workspace here yet")
        report.say("next: tito init")
        return
    states = [workspace.state_of(m) for m in course.modules]
    done = sum(state in ("completed", "borrowed") for state in states)
    report.say(f"{workspace.root}: {done} of {len(course.modules)} modules built")
    if workspace.current:
        report.say(f"now: {workspace.current.title}")
    report.say(next_step(workspace))


def next_step(workspace):
    """The one command that makes most sense now."""
    built = {m.number for m in workspace.course.modules if workspace.state_of(m) in ("completed", "borrowed")}
    for milestone in workspace.course.milestones:
        if set(milestone.needs) <= built and not workspace.last("milestone", milestone=milestone.slug):
            return f"next: tito milestone run {milestone.label}   ({milestone.title})"
    module = workspace.current
    if module is None:
        return "next: tito milestone status   (all modules and milestones are done)"
    verb = "check" if workspace.state_of(module) == "started" else "start"
    return f"next: tito module {verb} {module.label}"
