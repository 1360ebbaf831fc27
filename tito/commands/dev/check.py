"""Prove that modules are right: reference, stubs, tests, hints, misconceptions."""

import sys
import time

import click

from tito import report
from tito.commands._common import json_option
from tito.course import Course


@click.command(help=__doc__)
@click.argument("modules", nargs=-1)
@json_option
def command(modules):
    from tito.runner import Worker

    course = Course.find()
    chosen = [course.module(word) for word in modules] or course.modules
    answers = []
    with Worker(fork=True) as worker:
        for module in chosen:
            answers.append(examine(course, module, worker))
            for line in module_lines(answers[-1]):
                report.say(line)
    good = all(not answer["findings"] for answer in answers)
    counts = {key: sum(answer.get(key, 0) for answer in answers) for key in ("caught", "named", "tried")}
    total = f"misconceptions: {counts['caught']} caught / {counts['named']} named / {counts['tried']} tried"
    report.emit({"ok": good, **counts, "modules": answers}, [f"{total}; {sum(a['took'] for a in answers):.1f} s"])
    sys.exit(0 if good else 1)


def examine(course, module, worker):
    """All gates on one module, as data."""
    from tito.gates import inspect, subject

    started = time.perf_counter()
    with subject(course, module, worker) as it:
        findings = [{"place": str(place), "wrong": wrong} for place, wrong in inspect(it)]
        took = round(time.perf_counter() - started, 2)
        return {"module": module.slug, "findings": findings, **it.found, "took": took}


def module_lines(answer):
    lines = []
    for finding in answer["findings"]:
        lines.append(report.wrap(f"{report.word('failed')}  {finding['place']}: {finding['wrong']}", indent="      "))
    if answer.get("recorded"):
        lines.append(f"note  modules/{answer['module']}/fingerprints.json was written anew; commit it")
    word = report.word("failed" if answer["findings"] else "ok")
    times = f"tests {answer.get('seconds', '-')} s, measurements {answer.get('measure_seconds', '-')} s"
    lines.append(f"{word}  {answer['module']}: {len(answer['findings'])} findings; {times}; took {answer['took']} s")
    return lines
