"""Test a module with everything before it, and put it into your tinytorch."""

import sys

import click

from tito import overlay, report
from tito.check import check_student
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.commands.module.check import next_command
from tito.runner import Worker


@click.command(help=__doc__)
@module_argument
@click.option("--all", "everything", is_flag=True, help="Also run the plots and measurements.")
@json_option
def command(module, everything):
    with Worker() as worker:
        _, workspace = workplace()
        module = pick(workspace, module)
        outcome = complete(workspace, module, worker, measure=everything)
    lines = report.check_lines(outcome, None if outcome.ok else next_command(outcome))
    if outcome.ok:
        lines = [*lines, *after(workspace, module)]
    report.emit(outcome.as_json(), lines)
    sys.exit(0 if outcome.ok else 1)


def complete(workspace, module, worker, measure=False):
    """Check, run `test_module()` and the integration tests, then swap the package in: all of it or nothing."""

    def keep(stage, outcome):
        if outcome.ok:
            facts = {"module": module.slug, "hash": module.hash, "points": outcome.points[0]}
            with workspace.recorded("completed", **facts):
                overlay.commit(stage, workspace.root)

    with workspace.building():
        return check_student(workspace, module, worker, full=True, measure=measure, keep=keep)


def after(workspace, module):
    """What is now possible."""
    course = workspace.course
    built = {m.number for m in course.modules if overlay.is_built(workspace.root, m)}
    target = f"tinytorch.{module.targets[0]}"
    lines = [f"{target} is now yours: {workspace.show(overlay.target_path(workspace.root, module.targets[0]))}"]
    for milestone in course.lead_to(module):
        if set(milestone.needs) <= built and not workspace.last("milestone", milestone=milestone.slug):
            return [*lines, f"next: tito milestone run {milestone.label}   ({milestone.title})"]
    following = next((m for m in course.modules if m.number not in built), None)
    return [*lines, f"next: tito module start {following.label}" if following else "that was the last module so far"]
