"""Test what you have written so far; nothing is changed."""

import sys

import click

from tito import report
from tito.check import check_student
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.runner import Worker


@click.command(help=__doc__)
@module_argument
@click.option("--all", "everything", is_flag=True, help="Also run the plots and measurements.")
@json_option
def command(module, everything):
    with Worker() as worker:
        _, workspace = workplace()
        module = pick(workspace, module)
        outcome = check_student(workspace, module, worker, measure=everything)
    report.emit(outcome.as_json(), report.check_lines(outcome, next_command(outcome)))
    sys.exit(0 if outcome.ok else 1)


def next_command(outcome):
    """The line that ends a report: what to do now."""
    trouble, label = outcome.trouble, outcome.module.label
    if outcome.ok:
        return f"next: tito module complete {label}"
    if trouble is None or trouble.task is None:
        return f"next: mend that, then tito module check {label}"
    if trouble.status == "todo":
        return f"next: write {trouble.task}; stuck? tito module hint {trouble.task}"
    return f"stuck? tito module hint {trouble.task}"
