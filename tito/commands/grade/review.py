"""List what needs a person: what could not be graded, and answers that are marked by hand."""

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
    from tito.grading.overview import review

    room, course, modules = room_and_modules(folder, modules)
    rows, lines = [], []
    for module in modules:
        found = standing(room, course, module)
        answers = {marks.student: marks.waiting for marks in found if marks.waiting}
        looked_at = review(found)
        rows.append({"module": module.slug, "review": looked_at, "by_hand": answers})
        for row in looked_at:
            text = f"{module.label} {row['student']}: {row['status']}: {row['why']}"
            lines.append(report.wrap(f"{text}; {row['advice']}", indent="   "))
        if answers:
            count = sum(map(len, answers.values()))
            text = f"{module.label}: {count} answers of {len(answers)} students to be marked by hand, in formgrader"
            lines.append(report.wrap(text, indent="   "))
    following = f"next: tito grade export{place(folder)}"
    report.emit({"modules": rows}, [*(lines or ["nothing needs a person"]), following])
