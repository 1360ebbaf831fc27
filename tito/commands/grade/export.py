"""Write the marks of a class to a file; what is not graded is left empty."""

import csv
import io
import os
from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.grade._common import course_option, place, room_and_modules
from tito.errors import UsageError

FORMATS = ("csv", "nbgrader")


@click.command(help=__doc__)
@click.argument("modules", metavar="[NN|NN-NN]...", nargs=-1)
@course_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--to", "target", metavar="FILE", help="By default marks.csv in the course folder; - prints it.")
@json_option
def command(modules, folder, form, target):
    from tito.grading.marking import standing

    room, course, modules = room_and_modules(folder, modules)
    if not modules:
        raise UsageError(f"nothing is released in {room.root}", f"tito release 01 --to {folder}")
    found = [marks for module in modules for marks in standing(room, course, module)]
    rows = table(found) if form == "csv" else as_nbgrader(room, modules, found)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    if target == "-":
        report.emit(found_json(found), text.getvalue().splitlines())
        return
    path = Path(target) if target else room.root / "marks.csv"
    write(path, text.getvalue())
    empty = sum(not marks.graded for marks in found)
    lines = [f"{_shown(path)}: marks of {len(found)} submissions"]
    lines += [f"not graded and left empty: {empty}; see: tito grade status{place(folder)}"] if empty else []
    report.emit({"file": str(path), **found_json(found)}, lines)


def _shown(path):
    """A path as the user would type it."""
    near = os.path.relpath(path)
    return str(path) if near.startswith("../..") else near


def write(path, text):
    from tito.notebook import write_atomically

    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "make it first, or name another file")
    write_atomically(path, text.encode())


def found_json(found):
    return {"marks": [marks.as_json() for marks in found]}


def table(found):
    """A row for each student and assignment, a column for each task and each answer marked by hand."""
    tasks = list(dict.fromkeys(name for marks in found for name in (*marks.points, *marks.by_hand)))
    header = ["student", "assignment", *tasks, "tasks", "tasks_max", "total", "max", "status"]
    rows = []
    for marks in found:
        points = {**marks.points, **marks.by_hand}
        sums = (marks.earned, marks.possible, marks.total, marks.total_possible)
        cells = [*(points.get(task) for task in tasks), *sums]
        shown = ["" if value is None else f"{value:g}" for value in cells]
        rows.append([marks.student, marks.assignment, *shown, marks.status])
    return [header, *rows]


def as_nbgrader(room, modules, found):
    """nbgrader's own columns; only that scores which nobody knows are empty there too."""
    from tito.grading import gradebook

    unknown = {(marks.student, marks.assignment) for marks in found if not marks.graded}
    return gradebook.export(room.root, [module.slug for module in modules], unknown)
