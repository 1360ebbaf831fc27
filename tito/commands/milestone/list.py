"""List the milestones: needs, data, what is asked, what was reached."""

import click

from tito import report
from tito.commands._common import json_option
from tito.course import Course


@click.command(help=__doc__)
@json_option
def command():
    from tito.milestone import require_settings

    course = Course.find()
    workspace = _workspace(course)
    for milestone in course.milestones:
        require_settings(milestone)
    rows = [_facts(milestone, workspace) for milestone in course.milestones]
    lines = [line for row in rows for line in _lines(row)] or ["this course has no milestones"]
    report.emit({"milestones": rows}, [*lines, _last_line(rows, workspace)])


def _workspace(course):
    """The workspace, or None where there is none yet: what the milestones are can be read without one."""
    from tito import find_workspace
    from tito.state import Workspace

    here = find_workspace() or (course.root / "work" / ".tito").is_dir()
    return Workspace.find(course) if here else None


def _facts(milestone, workspace):
    from tito.milestone import needed, reached
    from tito.overlay import is_built

    settings, event = milestone.settings, reached(workspace, milestone)
    needs = needed(workspace.course, milestone) if workspace else ()
    missing = [module.label for module in needs if not is_built(workspace.root, module)]
    return {
        "number": milestone.label,
        "title": settings["title"],
        "year": settings["year"],
        "needs": list(milestone.needs),
        "missing": missing if workspace else None,
        "data": settings["data"],
        "metric": settings["metric"],
        "at_least": settings["at_least"],
        "reached": event["metric"] if event else None,
    }


def _lines(row):
    if row["reached"] is not None:
        state = f"reached with {row['reached']:.3f}"
    elif row["missing"]:
        state = f"waits for {'module' if len(row['missing']) == 1 else 'modules'} {', '.join(row['missing'])}"
    else:
        state = "open"
    needs = ", ".join(f"{number:02}" for number in row["needs"])
    return [
        report.wrap(f"{row['number']}  {row['title']} ({row['year']}): {state}", indent="    "),
        report.wrap(f"{row['metric']} of at least {row['at_least']:g}; needs {needs}", "    ", "    "),
        report.wrap(f"data: {row['data']}", "    ", "    "),
    ]


def _last_line(rows, workspace):
    if workspace is None:
        return "next: tito init"
    ready = [row for row in rows if row["reached"] is None and not row["missing"]]
    if ready:
        return f"next: tito milestone run {ready[0]['number']}"
    waiting = [row for row in rows if row["missing"]]
    if waiting:
        return f"next: tito module start {waiting[0]['missing'][0]}"
    return "next: tito milestone status" if rows else "next: tito module status"
