"""Show how far each assignment is: handed in, graded, for you to look at."""

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.grade._common import course_option, place, room_and_modules


@click.command(help=__doc__)
@click.argument("modules", metavar="[NN|NN-NN]...", nargs=-1)
@course_option
@json_option
def command(modules, folder):
    from tito.grading.marking import standing

    room, course, modules = room_and_modules(folder, modules)
    rows = [_row(module, standing(room, course, module)) for module in modules]
    header = ("assignment", "handed in", "graded", "waiting", "to look at", "missing", "by hand")
    first = next((m for m, row in zip(modules, rows, strict=True) if row["waiting"]), None)
    following = f"grade run {first.label}" if first else "grade export"
    lines = report.table([list(row.values()) for row in rows], header)
    report.emit({"assignments": rows}, [*lines, f"next: tito {following}{place(folder)}"])


def _row(module, found):
    waiting = sum(marks.status == "waiting" for marks in found)
    missing = sum(marks.status == "missing" for marks in found)
    graded = sum(marks.graded for marks in found)
    return {
        "assignment": module.slug,
        "handed_in": len(found) - missing,
        "graded": graded,
        "waiting": waiting,
        "review": len(found) - graded - waiting - missing,
        "missing": missing,
        "by_hand": sum(len(marks.waiting) for marks in found),
    }
