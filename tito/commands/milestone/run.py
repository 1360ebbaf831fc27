"""Train a real model with your tinytorch, and record what it reaches."""

import sys

import click

from tito import report
from tito.commands._common import json_option, workplace
from tito.commands.milestone._common import milestone_argument
from tito.commands.module.status import next_step


@click.command(help=__doc__)
@milestone_argument
@click.option("--short", is_flag=True, help="Train less, only to see that it runs; nothing is recorded.")
@click.option("--seed", type=click.IntRange(min=0), help="Run this one seed only; nothing is recorded.")
@json_option
def command(milestone, short, seed):
    from tito.milestone import attempt

    course, workspace = workplace()
    milestone = course.milestone(milestone)
    outcome = attempt(workspace, milestone, seed=seed, short=short, say=_say)
    picture = workspace.show(outcome.picture) if outcome.picture else None
    lines = [*score_lines(outcome), *(story_lines(milestone) if outcome.recorded else [])]
    lines += [f"picture: {picture}"] if picture else []
    report.emit({**outcome.as_json(), "picture": picture}, [*lines, _next(workspace, outcome)])
    sys.exit(0 if outcome.reached or outcome.trial else 1)


def _say(text):
    """A line of progress from the run, folded under itself."""
    for line in text.splitlines():
        start = line[: len(line) - len(line.lstrip())]
        report.say(report.wrap(line.strip(), start=start, indent=f"{start}  "))


def score_lines(outcome):
    """What was measured, against what was asked for."""
    milestone, settings = outcome.milestone, outcome.settings
    name, least = settings["metric"], settings["at_least"]
    measured = f"{name} {outcome.metric:.3f}, needed {least:g}"
    if outcome.metric < least:
        measured += f", {least - outcome.metric:.3g} short"
    if len(outcome.seeds) > 1:
        measured += f" (median of {len(outcome.seeds)} seeds: {' '.join(f'{m:.3f}' for m in outcome.metrics)})"
    word = report.word("note" if outcome.trial else "ok" if outcome.reached else "failed")
    lines = [f"{word}  {milestone.label} {milestone.title}", measured]
    lines.append(f"{outcome.seconds:.1f} s of a budget of {settings['seconds']:g} s")
    if settings["data"] != milestone.settings["data"]:
        lines.append(f"with {settings['data']}")
    if outcome.trial:
        lines.append("a trial: nothing is recorded")
    if outcome.borrowed:
        lines.append(f"borrowed, not built by you: {', '.join(outcome.borrowed)}")
    lines += outcome.remarks
    return [report.wrap(lines[0], indent="      "), *(report.wrap(t, "      ", "      ") for t in lines[1:])]


def story_lines(milestone):
    """Three sentences of history with their source, and a question when the milestone asks one."""
    settings = milestone.settings
    lines = ["", report.wrap(" ".join(settings["history"].split())), report.wrap(f"Source: {settings['source']}")]
    if settings.get("question"):
        lines += ["", report.wrap(f"Question: {' '.join(settings['question'].split())}")]
    return [*lines, ""]


def _next(workspace, outcome):
    label = outcome.milestone.label
    if outcome.recorded:
        return next_step(workspace)
    if outcome.trial:
        return f"next: tito milestone run {label}"
    return f"next: look at the picture; one seed alone: tito milestone run {label} --seed {outcome.seeds[0]}"
