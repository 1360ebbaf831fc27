"""Show the course's solution of one task; that you saw it is recorded."""

import click

from tito import report
from tito.commands._common import complete_task, json_option, pick_task, workplace
from tito.commands.module._reference import region, reveal
from tito.errors import UsageError


@click.command(help=__doc__)
@click.argument("task", shell_complete=complete_task)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(task, yes):
    _, workspace = workplace()
    module, task = pick_task(workspace, task)
    if task is None:
        raise UsageError("a solution is shown for one task at a time", f"name it: {module.tasks[0].id}")
    text = region(reveal(workspace, module, [task], yes)[task.id])
    lines = [f"{task.id}  {task.title}, as the course does it (recorded):", ""]
    lines += [f"    {line}".rstrip() for line in text.split("\n")]
    report.emit({"task": task.id, "solution": text}, [*lines, "", f"next: tito module check {module.label}"])
