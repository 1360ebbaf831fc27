"""Show how a class did: each task, the commonest failures, whom to look at, answers that are alike."""

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.grade._common import course_option, number, place, room_and_modules
from tito.errors import UsageError


@click.command(help=__doc__)
@click.argument("module")
@course_option
@json_option
def command(module, folder):
    from tito import notebook as nb
    from tito.grading.pages import render

    room, course, modules = room_and_modules(folder, [module])
    if len(modules) != 1:
        raise UsageError("one module at a time", f"tito grade report {modules[0].label}{place(folder)}")
    facts = facts_of(room, course, modules[0])
    path = room.root / "reports" / f"{modules[0].slug}.html"
    nb.write_atomically(path, render("class", title=modules[0].title, facts=facts).encode())
    report.emit({"file": str(path), **facts}, [*lines_of(modules[0], facts), f"the same as a page: {path}"])


def facts_of(room, course, module):
    from tito.grading.feedback import sources_of
    from tito.grading.marking import handed_in, standing
    from tito.grading.overview import overview
    from tito.grading.similar import similar_pairs

    released, found = room.released(module), standing(room, course, module)
    there = [marks.student for marks in found if marks.status not in ("missing", "invalid")]
    answers = {student: sources_of(handed_in(room, released, student)) for student in there}
    blanks = {task: source for task, source in sources_of(released.blank).items() if task in released.points}
    titles = {task.id: task.title for task in module.tasks}
    return overview(found, titles, similar_pairs(answers, blanks))


def lines_of(module, facts):
    """The report for a terminal."""
    statuses = ", ".join(f"{count} {status}" for status, count in facts["statuses"].items())
    lines = [f"{module.label} {module.name}: {facts['students']} students: {statuses}"]
    if facts["median"] is not None:
        median, low, high = (number(facts[key]) for key in ("median", "lowest", "highest"))
        lines.append(f"points for tasks: median {median}, {low} to {high} of {number(facts['possible'])}")
    rows = [
        [row["task"], row["title"][:40], row["right"], row["wrong"], row["unknown"], _percent(row["share"])]
        for row in facts["tasks"]
    ]
    lines += report.table(rows, ("task", "", "right", "wrong", "no mark", "share"))
    for row in facts["failures"][:5]:
        lines.append(report.wrap(f"{row['count']:3} x {row['task']}: {row['what']}", indent="        "))
    for row in facts["review"]:
        lines.append(
            report.wrap(f"look at {row['student']} ({row['status']}): {row['why']}; {row['advice']}", indent="  ")
        )
    for row in facts["similar"]:
        pair = " and ".join(row["students"])
        lines.append(report.wrap(f"alike: {pair} in {', '.join(row['tasks'])} ({row['likeness']} %)", indent="  "))
    return lines


def _percent(share):
    return "-" if share is None else f"{share} %"
