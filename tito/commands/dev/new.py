"""Make the folder of a new module, with one task as an example."""

from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.course import MODULE_FOLDER, Course
from tito.errors import UsageError

TEMPLATE = Path(__file__).resolve().parents[2] / "template"


@click.command(help=__doc__)
@click.argument("name", metavar="NN_name")
@json_option
def command(name):
    from tito.notebook import write_atomically

    match = MODULE_FOLDER.fullmatch(name)
    if not match:
        raise UsageError(
            f"{name!r} is not a module's name", "two digits, an underscore, small letters: 13_tokenization"
        )
    course = Course.find()
    number, word = match.groups()
    taken = [m for m in course.modules if m.label == number or m.name == word]
    if taken:
        raise UsageError(f"module {taken[0].slug} has that number or name already", "tito module list")
    folder = course.root / course.config["nbs_path"] / name
    for kind, path in files(course, folder, name, word).items():
        text = (TEMPLATE / f"{kind}.txt").read_text(encoding="utf-8")
        text = (
            text.replace("@NN@", number).replace("@name@", word).replace("@Title@", word.replace("_", " ").capitalize())
        )
        write_atomically(path, text.encode())
    report.emit(
        {"module": name, "folder": str(folder)},
        [
            f"{folder.relative_to(course.root)}: one example task; fill it",
            f"next: tito dev export {number} && tito dev check {number}",
        ],
    )


def files(course, folder, name, word):
    """Where each template goes."""
    return {
        "dev.py": folder / f"{word}_dev.py",
        "module.toml": folder / "module.toml",
        "misconceptions.py": folder / "misconceptions.py",
        "probes.py": folder / "probes.py",
        "alternatives.py": course.root / "tests" / "alternatives" / f"{name}.py",
    }
