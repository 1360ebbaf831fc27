"""Grade the submissions of a module; what was graded before is not run again."""

from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.grade._common import (
    course_option,
    place,
    review_lines,
    room_and_modules,
    standing_lines,
    taken_lines,
)
from tito.errors import UsageError

LEVELS = ("bwrap", "landlock", "container", "limits")  # as in tito/grading/sandbox.py, which takes long to import


@click.command(help=__doc__)
@click.argument("module")
@course_option
@click.option("--from", "source", type=click.Path(path_type=Path), help="A folder or a zip with submissions.")
@click.option("--again", is_flag=True, help="Also run what has not changed since it was graded.")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), help="A task may take; by default 10, with nbgrader 60.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Submissions side by side; by default at most two.")
@click.option("--siblings/--no-siblings", default=True, help="Whether one mistake costs once, or as nbgrader has it.")
@click.option("--own-lower", is_flag=True, help="On each student's own lower modules, where there are any.")
@click.option("--isolation", type=click.Choice(LEVELS), help="The level to take; by default the best there is.")
@click.option("--unsafe", is_flag=True, help="Grade also where nothing keeps student code from your files.")
@click.option("--executor", type=click.Choice(["isolated", "nbgrader"]), default="isolated", help="Who runs them.")
@click.option("--dask", metavar="ADDRESS", help="Run on the workers of this Dask scheduler: tcp://HOST:8786.")
@json_option
def command(module, folder, source, again, seconds, jobs, **how):
    room, course, modules = room_and_modules(folder, [module])
    if len(modules) != 1:
        raise UsageError("one module at a time is graded", f"tito grade run {modules[0].label}")
    if how["own_lower"] and how["executor"] != "isolated":
        raise UsageError("nbgrader grades on the reference's lower modules only", "leave out --own-lower or --executor")
    module = modules[0]
    released = room.released(module)
    with room.locked():
        taken = collect_from(room, released, source)
        found = grade(room, course, module, again, jobs, taken, seconds=seconds, **how)
    show(room, module, [marks for marks, _ in found], sum(fresh for _, fresh in found), taken, folder)


def collect_from(room, released, source):
    """Take in a folder of submissions, and say of each what was done."""
    from tito.grading.collect import collect

    taken = collect(room, released, [source]) if source else []
    for line in taken_lines(taken):
        report.say(line)
    return taken


def grade(room, course, module, again, jobs, taken, **how):
    """`[(Marks, whether it ran now)]`, by student."""
    from tito.grading.marking import How, jobs_here, mark, roll

    everybody = roll(room, module)
    if not room.students(module):
        refused = sum(one.done == "refused" for one in taken)
        raise UsageError(
            f"no submissions of {module.slug} in {room.root / 'submitted'}" + (f"; {refused} refused" * bool(refused)),
            f"tito grade run {module.label} --from FOLDER_OF_SUBMISSIONS",
        )
    running = mark(room, course, module, again, jobs or jobs_here(), How(**how), report.say)
    return sorted(
        report.progress(running, f"grading {module.slug}", total=len(everybody)), key=lambda pair: pair[0].student
    )


def show(room, module, found, ran, taken, folder):
    from tito.grading.gradebook import scores
    from tito.grading.marking import with_hand

    book = scores(room.root, module.slug)
    found = [with_hand(marks, book.get(marks.student, {})) for marks in found]
    good = sum(marks.graded for marks in found)
    head = f"{module.label} {module.name}: {len(found)} students, {ran} run now, {good} graded"
    lines = [head, *standing_lines(found), *review_lines(found, module, place(folder))]
    facts = {
        "module": module.slug,
        "ran": ran,
        "students": [marks.as_json() for marks in found],
        "collected": [one.as_json() for one in taken],
    }
    report.emit(facts, [*lines, f"next: tito grade export {module.label}{place(folder)}"])
