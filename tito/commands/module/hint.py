"""Show the next hint of a task."""

import click

from tito import notebook as nb
from tito import report
from tito.commands._common import complete_task, json_option, pick_task, workplace
from tito.errors import TitoError
from tito.rebuild import answers_of


@click.command(help=__doc__)
@click.argument("task", metavar="[TASK|NN]", required=False, shell_complete=complete_task)
@click.option("--all", "everything", is_flag=True, help="All hints of the task at once.")
@json_option
def command(task, everything):
    _, workspace = workplace()
    module, task = pick_task(workspace, task)
    task = task or next_task(workspace, module)
    hints = module.settings.get("hints", {}).get(task.id, [])
    if not hints:
        raise TitoError(f"the course has no hint for {task.id}", f"tito module check {module.label} says what is wrong")
    first, last = turn_page(workspace, module, task, len(hints), everything)
    shown = hints[first:last]
    lines = [f"{task.id}  {task.title}"]
    for number, hint in enumerate(shown, first + 1):
        lines.append(report.wrap(f"hint {number} of {len(hints)}: {hint}", start="  ", indent="  "))
    report.emit(
        {"task": task.id, "hints": shown, "first": first + 1, "of": len(hints), "more": last < len(hints)},
        [*lines, *after(module, task, shown, last < len(hints))],
    )


def next_task(workspace, module):
    """The first task that is still blank or was not right when last checked."""
    tasks = [task for task in module.tasks if not task.optional]
    base, mine = answers_of(workspace.base(module)), answers_of(nb.read(workspace.file(module)))
    checked = workspace.last("checked", module=module.slug)
    right = checked["right"] if checked else []
    for task in tasks:
        if task.id not in right or mine.get(task.id, "").strip() == base.get(task.id, "").strip():
            return task
    raise TitoError(f"every task of {module.label} was right when last checked", "name the task you mean")


def turn_page(workspace, module, task, count, everything):
    """Record which hints are now read; returns the range to show."""
    with workspace.locked():
        read = [e for e in workspace.events if e["event"] == "hint" and e.get("task") == task.id]
        done = max((e["number"] for e in read if e.get("module") == module.slug), default=0)
        last = count if everything else min(done + 1, count)
        for number in range(done + 1, last + 1):
            workspace.record("hint", module=module.slug, task=task.id, number=number)
    return (0 if everything else done), last


def after(module, task, shown, more):
    """What to do when that was not enough."""
    if more:
        return [f"more: tito module hint {task.id}"]
    last = "that was the last hint" if shown else "all its hints are read (again: --all)"
    solution = f", or tito module solution {task.id}" if module.has_reference else ""
    return [f"{last}; next: tito module diff {task.id}{solution}"]
