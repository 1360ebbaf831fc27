"""Show the milestones you have reached, with metric and date."""

import click

from tito import report
from tito.commands._common import json_option, workplace
from tito.commands.module.status import next_step


@click.command(help=__doc__)
@json_option
def command():
    from tito.milestone import reached

    course, workspace = workplace()
    found = [(milestone, reached(workspace, milestone)) for milestone in course.milestones]
    rows = [_facts(workspace, milestone, event) for milestone, event in found if event]
    lines = [line for row in rows for line in _lines(row)] or ["no milestone reached yet"]
    report.emit({"reached": rows, "of": len(course.milestones)}, [*lines, next_step(workspace)])


def _facts(workspace, milestone, event):
    picture = workspace.root / "milestones" / f"{milestone.slug}.png"
    return {
        "number": milestone.label,
        "title": milestone.title,
        "metric_name": milestone.settings["metric"],
        "metric": event["metric"],
        "metrics": event["metrics"],
        "seconds": event["seconds"],
        "date": event["time"][:10],
        "borrowed": event["borrowed"],
        "picture": workspace.show(picture) if picture.exists() else None,
    }


def _lines(row):
    lines = [
        report.wrap(f"{row['number']}  {row['title']}", indent="    "),
        f"    {row['metric_name']} {row['metric']:.3f} on {row['date']}",
    ]
    if row["borrowed"]:
        lines.append(report.wrap(f"borrowed: {', '.join(row['borrowed'])}", "    ", "    "))
    return lines + ([f"    {row['picture']}"] if row["picture"] else [])
