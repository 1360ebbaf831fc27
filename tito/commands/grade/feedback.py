"""Write a page for each student: what passed, what differed, where, and what to try."""

import click

from tito import report
from tito.commands._common import json_option
from tito.commands.grade._common import course_option, place, room_and_modules
from tito.errors import UsageError


@click.command(help=__doc__)
@click.argument("module")
@course_option
@json_option
def command(module, folder):
    room, course, modules = room_and_modules(folder, [module])
    written, waiting = {}, 0
    for one in modules:
        pages, left = write_pages(room, course, one)
        written.update(pages)
        waiting += left
    if not written:
        raise UsageError("nothing is graded that feedback could be given on", f"tito grade run {module}{place(folder)}")
    lines = [f"{len(written)} pages in {room.root / 'feedback'}"]
    lines += [f"handed in and not graded yet: {waiting}"] if waiting else []
    report.emit({"written": written, "waiting": waiting}, [*lines, f"next: tito grade report {module}{place(folder)}"])


def write_pages(room, course, module):
    """`({student: path}, how many wait to be graded)`; who handed in nothing gets no page."""
    from tito import notebook as nb
    from tito.grading import gradebook
    from tito.grading.feedback import page, sources_of
    from tito.grading.marking import handed_in, standing

    released = room.released(module)
    comments, written, waiting = gradebook.comments(room.root, module.slug), {}, 0
    for marks in standing(room, course, module):
        if marks.status in ("missing", "waiting"):
            waiting += marks.status == "waiting"
            continue
        path = room.root / "feedback" / marks.student / module.slug / f"{module.name}.html"
        text = page(
            released, marks, sources_of(handed_in(room, released, marks.student)), comments.get(marks.student, {})
        )
        nb.write_atomically(path, text.encode())
        written[marks.student] = str(path)
    return written, waiting
