"""What the grading commands share."""

from pathlib import Path

import click

from tito.course import Course

course_option = click.option(
    "--course",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("."),
    help="nbgrader's course folder; by default the current one.",
)


def room_and_modules(folder, words):
    """`(classroom, course, modules)`; all that are released when none is named."""
    from tito.grading.classroom import Classroom

    course = Course.find()
    modules = course.span(words)
    room = Classroom.find(folder)
    return room, course, modules or room.modules(course)


def place(folder):
    """What a command needs beside it to mean the same folder."""
    return "" if str(folder) == "." else f" --course {folder}"


def taken_lines(taken):
    """What was done with each thing that was found."""
    from tito import report

    reasons = ((one, f": {one.why}" if one.why else "") for one in taken)
    return [report.wrap(f"{one.done:9}  {one.what}{reason}", indent="           ") for one, reason in reasons]


def number(points):
    """Points for a person: `5`, `2.5`, and `-` where nobody knows them."""
    return "-" if points is None else f"{points:g}"


def standing_lines(found):
    """Marks of one assignment as a table: a student a line, the tasks by their number."""
    from tito import report

    tasks = list(found[0].points) if found else []
    header = ["student", *(task.split("-", 1)[1] for task in tasks), "points", "status"]
    rows = [
        [_short(m.student), *(number(m.points[t]) for t in tasks), number(m.earned), m.status]
        for m in sorted(found, key=lambda m: m.student)
    ]
    if found:
        rows.append(["of", *(number(found[0].of[t]) for t in tasks), number(found[0].possible), ""])
    return report.table(rows, header)


def _short(text, width=24):
    return text if len(text) <= width else f"{text[: width - 3]}..."


def review_lines(found, module, place):
    """What a person has to look at, and what was mended without one."""
    from tito import report

    lines = []
    bad = [m for m in found if not m.graded and m.status != "waiting"]
    for marks in bad:
        lines.append(report.wrap(f"  {marks.student}: {'; '.join(marks.remarks)}", indent="    "))
    if bad:
        where = f"not graded, look at submitted/STUDENT/{module.slug}; after a change, or to grade them again:"
        lines = [report.wrap(where), f"  tito grade run {module.label}{place} --again", *lines]
    for marks in (m for m in found if m.graded and m.remarks):
        lines.append(report.wrap(f"note  {marks.student}: {'; '.join(marks.remarks)}", indent="      "))
    answers = sum(len(m.waiting) for m in found)
    if answers:
        lines.append(report.wrap(f"answers to be marked by hand, in nbgrader's formgrader: {answers}", indent="  "))
    return lines
