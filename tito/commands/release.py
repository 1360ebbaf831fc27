"""Release modules: nbgrader assignments, or with --kit the course for students."""

from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.course import Course
from tito.errors import UsageError


@click.command(help=__doc__)
@click.argument("modules", metavar="NN|NN-NN...", nargs=-1, required=True)
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to make or to extend.")
@click.option("--kit", is_flag=True, help="Make the course for students, without any solution.")
@click.option("--borrowable", metavar="NN|NN-NN", multiple=True, help="Modules that the kit's students may borrow.")
@json_option
def command(modules, folder, kit, borrowable):
    course = Course.find()
    chosen = course.span(modules)
    if kit:
        make(course, chosen, folder, course.span(borrowable))
    elif borrowable:
        raise UsageError("--borrowable is for kits", "add --kit, or leave it out")
    else:
        assign(course, chosen, folder)


def assign(course, chosen, folder):
    from tito.grading.release import release

    done = release(course, chosen, folder)
    lines = [f"{one.done:9}  {one.module.slug}{_again(one)}" for one in done]
    labels = " ".join(one.module.label for one in done[:1])
    lines.append(f"next: tito grade run {labels} --course {folder} --from FOLDER_OF_SUBMISSIONS")
    report.emit({"course": str(Path(folder).resolve()), "modules": [one.as_json() for one in done]}, lines)


def _again(one):
    if one.done != "updated" or not one.graded:
        return ""
    return f"   ({one.graded} graded submissions will be graded again by: tito grade run {one.module.label})"


def make(course, chosen, folder, borrowable):
    from tito.grading.kit import make_kit

    written = make_kit(course, chosen, folder, borrowable)
    names = ", ".join(module.slug for module in chosen)
    lines = [report.wrap(f"{folder}: {names}; {len(written)} files, no solution among them", indent="  ")]
    if borrowable:
        lines.append(report.wrap(f"may be borrowed: {', '.join(m.slug for m in borrowable)}", indent="  "))
    facts = {
        "kit": str(Path(folder).resolve()),
        "modules": [module.slug for module in chosen],
        "borrowable": [module.slug for module in borrowable],
        "files": [path.relative_to(Path(folder).resolve()).as_posix() for path in written],
    }
    report.emit(facts, [*lines, f"next: give {folder} to your students, or try it: cd {folder} && tito init work"])
