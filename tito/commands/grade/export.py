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

FORMATS = ("csv", "nbgrader", "canvas", "moodle")


@click.command(help=__doc__)
@click.argument("modules", metavar="[NN|NN-NN]...", nargs=-1)
@course_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--tasks-only", is_flag=True, help="For Canvas and Moodle: leave out what is marked by hand.")
@click.option("--to", "target", metavar="FILE", help="By default marks.csv in the course folder; - prints it.")
@json_option
def command(modules, folder, form, tasks_only, target):
    from tito.grading.marking import standing

    room, course, modules = room_and_modules(folder, modules)
    if not modules:
        raise UsageError(f"nothing is released in {room.root}", f"tito release 01 --to {folder}")
    found = [marks for module in modules for marks in standing(room, course, module)]
    rows, unknown = rows_of(room, modules, found, form, tasks_only)
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
    lines += unsaid(found, form, unknown, tasks_only)
    report.emit({"file": str(path), "unknown": unknown, **found_json(found)}, lines)


def rows_of(room, modules, found, form, tasks_only):
    """`(rows, students who cannot stand in them)`."""
    from tito.grading import marksheets
    from tito.grading.naming import known_people

    if form == "csv":
        return table(found), []
    if form == "nbgrader":
        return as_nbgrader(room, modules, found), []
    return getattr(marksheets, form)(found, known_people(room), tasks_only)


def unsaid(found, form, unknown, tasks_only):
    """What a sheet for a learning-management system leaves out."""
    if form not in ("canvas", "moodle"):
        return []
    lines = []
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        lines.append(report.wrap(f"not in it, for their files did not come from {form}: {names}", indent="  "))
    waiting = sum(bool(marks.waiting) for marks in found)
    if waiting and not tasks_only:
        lines.append(f"left empty until answers are marked by hand: {waiting}; without them: --tasks-only")
    return lines


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
