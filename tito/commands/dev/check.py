"""Prove that modules are right: reference, stubs, tests, hints, misconceptions."""

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

import click

from tito import report
from tito.commands._common import json_option
from tito.course import Course

STARTED = time.perf_counter()


@click.command(help=__doc__)
@click.argument("modules", nargs=-1)
@click.option("--jobs", type=click.IntRange(1, 64), help="Modules side by side; by default as many as there are cores.")
@click.option("--seeds", type=click.IntRange(2, 1000), default=20, show_default=True, help="To try each probe with.")
@json_option
def command(modules, jobs, seeds):
    course = Course.find()
    chosen = [course.module(word) for word in modules] or course.modules
    answers = []
    for answer in examine_all(course, chosen, min(jobs or os.cpu_count() or 1, len(chosen)), seeds):
        answers.append(answer)
        for line in module_lines(answer):
            report.say(line)
    answers.sort(key=lambda answer: answer["module"])
    good = all(not answer["findings"] for answer in answers)
    counts = {key: sum(answer.get(key, 0) for answer in answers) for key in ("caught", "named", "tried")}
    total = f"misconceptions: {counts['caught']} caught / {counts['named']} named / {counts['tried']} tried"
    report.emit({"ok": good, **counts, "modules": answers}, [f"{total}; {time.perf_counter() - STARTED:.1f} s"])
    sys.exit(0 if good else 1)


def examine_all(course, modules, jobs, seeds):
    """Answers as they come, each module in one of `jobs` processes."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two modules that each take all cores would only wait
    if jobs == 1:
        yield from (examine(course.root, module.slug, seeds) for module in modules)
        return
    longest_first = sorted(modules, key=lambda module: -module.source.stat().st_size)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(examine, course.root, module.slug, seeds) for module in longest_first]
        try:
            yield from (done.result() for done in as_completed(running))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def examine(root, slug, seeds):
    """All gates on one module, as data."""
    from tito.gates import inspect, subject

    started = time.perf_counter()
    course = Course(root)
    with subject(course, course.module(slug), seeds) as it:
        findings = [{"place": str(place), "wrong": wrong} for place, wrong in inspect(it)]
        took = round(time.perf_counter() - started, 2)
        return {"module": slug, "findings": findings, **it.found, "took": took}


def module_lines(answer):
    lines = []
    for finding in answer["findings"]:
        lines.append(report.wrap(f"{report.word('failed')}  {finding['place']}: {finding['wrong']}", indent="      "))
    for written, name in (("recorded", "fingerprints.json"), ("published", "rates.json")):
        if answer.get(written):
            lines.append(f"note  modules/{answer['module']}/{name} was written anew; commit it")
    word = report.word("failed" if answer["findings"] else "ok")
    times = f"tests {answer.get('seconds', '-')} s, measurements {answer.get('measure_seconds', '-')} s"
    lines.append(f"{word}  {answer['module']}: {len(answer['findings'])} findings; {times}; took {answer['took']} s")
    return lines
