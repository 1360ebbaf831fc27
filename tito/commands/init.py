"""Make a workspace for your own tinytorch."""

from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.course import Course
from tito.state import Workspace


@click.command(help=__doc__)
@click.argument("directory", default="work", type=click.Path(path_type=Path))
@json_option
def command(directory):
    course = Course.find()
    workspace, existed = Workspace.create(directory, course)
    first = "refreshed" if existed else "made"
    report.emit(
        {"workspace": str(workspace.root), "course": course.version, "existed": existed},
        [
            f"{first} {workspace.root} for a course of {len(course.modules)} modules",
            f"next: cd {directory} && tito module start 01",
        ],
    )
