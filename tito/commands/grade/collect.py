"""Take in submissions, in whatever form a learning-management system gave them; grade nothing yet."""

from collections import Counter
from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.grade._common import course_option, place, room_and_modules, taken_lines
from tito.errors import UsageError


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--module", "words", multiple=True, metavar="NN", help="Only of this module; by default of all released.")
@course_option
@json_option
def command(sources, words, folder):
    from tito.grading.collect import collect_all

    room, course, modules = room_and_modules(folder, words)
    if not modules:
        raise UsageError(f"nothing is released in {room.root}", f"tito release 01 --to {folder}")
    with room.locked():
        taken = collect_all(room, [room.released(module) for module in modules], sources)
    counts = Counter(one.done for one in taken)
    said = ", ".join(f"{counts[word]} {word}" for word in ("taken", "replaced", "unchanged", "refused", "ignored"))
    label = modules[0].label if len(modules) == 1 else "NN"
    lines = [*taken_lines(taken), said, f"next: tito grade run {label}{place(folder)}"]
    report.emit({"collected": [one.as_json() for one in taken]}, lines)
