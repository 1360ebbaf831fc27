"""Milestones: trains the model of a `run.py` with the student's package, and keeps what was measured."""

import contextlib
import json
import math
import os
import re
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import tito
from tito import notebook as nb
from tito import overlay
from tito.check import reference_hashes
from tito.errors import CourseError, TitoError, UsageError
from tito.explain import Result, explain
from tito.runner import Worker

KEYS = ("title", "year", "needs", "data", "metric", "at_least", "seeds", "seconds", "history", "source")
PATIENCE = 10  # times the budget: a student's slow code is welcome, an endless loop is not
DRAW_SECONDS = 60


@dataclass
class Attempt:
    """One go at a milestone. `results` has what `run` returned, one for each seed.

    trial: in short mode or with one seed only, so it says nothing about the milestone and is not recorded.
    """

    milestone: object
    seeds: list
    short: bool = False
    trial: bool = False
    borrowed: list = field(default_factory=list)
    results: list = field(default_factory=list)
    seconds: float = 0.0
    picture: Path | None = None
    remarks: list = field(default_factory=list)

    @property
    def settings(self):
        """Those of `milestone.toml`; what stands there under [with.NAME] counts when the runs used the data NAME."""
        settings, used = self.milestone.settings, self.results[0].get("data") if self.results else None
        return {**settings, **settings.get("with", {}).get(used, {})}

    @property
    def budget(self):
        """Seconds for all seeds; before the first has said which data it used, the most that any data are given."""
        others = () if self.results else self.settings.get("with", {}).values()
        return max([self.settings["seconds"], *(other["seconds"] for other in others)])

    @property
    def metrics(self):
        return [result["metric"] for result in self.results]

    @property
    def metric(self):
        """The median over the seeds; NaN when any is NaN."""
        return math.nan if any(map(math.isnan, self.metrics)) else statistics.median(self.metrics)

    @property
    def reached(self):
        return self.metric >= self.settings["at_least"]

    @property
    def recorded(self):
        return self.reached and not self.trial

    def as_json(self):
        settings = self.settings
        return {
            "milestone": self.milestone.slug,
            "title": self.milestone.title,
            "data": settings["data"],
            "metric_name": settings["metric"],
            "metric": finite(self.metric),
            "at_least": settings["at_least"],
            "reached": self.reached,
            "recorded": self.recorded,
            "short": self.short,
            "seeds": self.seeds,
            "metrics": finite(self.metrics),
            "seconds": round(self.seconds, 2),
            "budget": settings["seconds"],
            "borrowed": self.borrowed,
            "remarks": self.remarks,
        }


def finite(value):
    """The same data with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- what a milestone stands on --------------------------------------------------------------------------------------


def require_settings(milestone):
    """Raise unless `milestone.toml` has all it must have."""
    missing = [key for key in KEYS if key not in milestone.settings]
    if missing:
        raise CourseError(milestone.folder / "milestone.toml", f"has no {', '.join(missing)}")


def needed(course, milestone):
    """The modules that it needs, with those they import from, lowest first."""
    by_number = {module.number: module for module in course.modules}
    unknown = [number for number in milestone.needs if number not in by_number]
    if unknown:
        raise CourseError(milestone.folder / "milestone.toml", f"needs module {unknown[0]:02}, which does not exist")
    found, open_ = set(), [by_number[number] for number in milestone.needs]
    while open_:
        module = open_.pop()
        if module not in found:
            found.add(module)
            open_ += course.needs(module)
    return sorted(found, key=lambda module: module.number)


def require_needs(workspace, milestone):
    """Raise unless every needed module is built; names those that are not, and the next command."""
    missing = [m for m in needed(workspace.course, milestone) if not overlay.is_built(workspace.root, m)]
    if not missing:
        return
    names = ", ".join(f"{module.label} {module.name}" for module in missing)
    label = missing[0].label
    verb = "complete" if workspace.state_of(missing[0]) == "started" else "start"
    raise UsageError(
        f"milestone {milestone.label} needs {'a module' if len(missing) == 1 else 'modules'} not built yet: {names}",
        f"tito module {verb} {label}, or tito module borrow {label}",
    )


def borrowed(workspace, milestone):
    """Slugs of the needed modules that `tito module complete` did not put there."""
    return [module.slug for module in needed(workspace.course, milestone) if not _completed(workspace, module)]


def _completed(workspace, module):
    by_student = workspace.last("completed", module=module.slug) is not None
    return by_student and workspace.state_of(module) == "completed"


def refuse_copies(workspace, milestone):
    """Raise when a needed module is a copy of the reference that `borrow` did not make."""
    for module in needed(workspace.course, milestone):
        if workspace.state_of(module) == "borrowed" and not workspace.last("borrowed", module=module.slug):
            path = overlay.target_path(workspace.root, module.targets[0])
            raise TitoError(
                f"{workspace.show(path)} is a copy of the reference, put there by hand",
                f"tito module complete {module.label}, or say that you borrow it: tito module borrow {module.label}",
            )


def reached(workspace, milestone):
    """The event of the last time it was reached, or None."""
    return workspace.last("milestone", milestone=milestone.slug) if workspace else None


# --- running ---------------------------------------------------------------------------------------------------------


def attempt(workspace, milestone, seed=None, short=False, say=None):
    """Run every seed (or one) on a copy of the student's package; keep picture and results, record when reached.

    Raises: UsageError when modules are missing, TitoError when the student's code fails, takes too long or uses the
    reference; then nothing is kept.
    """
    require_settings(milestone)
    seeds = milestone.settings["seeds"] if seed is None else [seed]
    outcome = Attempt(milestone, list(seeds), short=short, trial=short or seed is not None)
    with contextlib.ExitStack() as stack:
        with workspace.locked():  # only while copying: training may take long, and other commands may go on
            require_needs(workspace, milestone)
            refuse_copies(workspace, milestone)
            outcome.borrowed = borrowed(workspace, milestone)
            stage = stack.enter_context(workspace.stage())
        for number in outcome.seeds:
            _train(workspace.course, outcome, stage, number, say)
        picture = _draw(workspace.course, outcome, stage)
        with workspace.locked():
            _keep(workspace, outcome, picture)
    return outcome


def _train(course, outcome, stage, seed, say):
    """Run one seed within what is left of the time; adds its result."""
    milestone = outcome.milestone
    limit = PATIENCE * outcome.budget
    started = time.perf_counter()
    arguments = {"seed": seed, "short": outcome.short}
    event = _call(course, milestone, stage, "run", arguments, limit - outcome.seconds, say)
    outcome.seconds += time.perf_counter() - started
    if event["status"] == "timeout" or outcome.seconds > limit:
        budget = outcome.budget
        raise TitoError(
            f"milestone {milestone.label} was stopped at seed {seed} after {outcome.seconds:.1f} s; "
            f"its budget is {budget:g} s, and {PATIENCE} times that is the end",
            "look for a loop that does not end, or for one over elements that NumPy can do at once; "
            f"try less work with: tito milestone run {milestone.label} --short --seed {seed}",
        )
    if event["status"] != "ok":
        text, label = _what_happened(event, milestone, stage, f"seed {seed}")
        again = f"tito milestone run {milestone.label} --seed {seed}"
        raise TitoError(text, f"tito module check {label}, then {again}" if label else again)
    outcome.results.append(_measured(event["value"], milestone))


def _measured(value, milestone):
    """The result of a run. Raises unless it is a dictionary with a number as metric."""
    metric = value.get("metric") if isinstance(value, dict) else None
    if not isinstance(metric, int | float) or isinstance(metric, bool):
        raise CourseError(milestone.folder / "run.py", "run() must return a dictionary with a number as its `metric`")
    return {**value, "metric": float(metric)}


def _draw(course, outcome, stage):
    """The picture's bytes, or None with a remark when drawing failed: the measurement stands all the same."""
    path = Path(stage) / "picture.png"
    arguments = {"results": outcome.results, "path": str(path)}
    event = _call(course, outcome.milestone, stage, "draw", arguments, DRAW_SECONDS)
    if event["status"] == "ok" and path.exists():
        return path.read_bytes()
    failed = event["status"] != "ok"
    text = _what_happened(event, outcome.milestone, stage, "draw()")[0] if failed else "draw() wrote no file"
    outcome.remarks.append(f"there is no picture: {' '.join(text.split())}")
    return None


def _call(course, milestone, stage, function, arguments, seconds, say=None):
    """Call a function of `run.py` in a process of its own; returns the event that says how it went."""
    os.utime(stage)  # another tito removes stages that look forgotten
    job = {
        "path": str(stage),
        "cwd": str(stage),
        "environment": {"MPLBACKEND": "agg"},
        "forbidden": course.reference_roots,
        "copies": reference_hashes(course),
        "call": [str(milestone.folder / "run.py"), function, arguments],
        "seconds": max(seconds, 0.01),
    }
    with Worker() as worker:
        run = worker.run(job, say)
    if run.foreign:
        raise TitoError(
            "your code uses the reference: these files were opened or imported, and only your own tinytorch counts\n"
            + "\n".join(f"  {path}" for path in run.foreign),
            "find where your package reaches outside itself, and build that module again: tito module complete NN",
        )
    return run.event("call") or {**run.events[-1], "done": "call"}


def _what_happened(event, milestone, stage, who):
    """What stopped a run and where, in the student's package or in `run.py`; and the label of the student's module."""
    files = sorted((Path(stage) / "tinytorch" / "core").rglob("*.py"))
    texts = [(str(path), path.read_text(encoding="utf-8")) for path in files]
    result = explain(Result("run", event["status"], error=event["error"]), exported=texts)
    lines = [f"{who} of milestone {milestone.label} stopped: {result.happened}"]
    place = f"{result.where}: {result.line}" if result.line else _place_in_run(event, milestone)
    lines += [f"  {place}"] if place else []
    lines += [f"  likely: {result.cause}"] if result.cause else []
    lines += [f"  | {line}" for line in event.get("output", "").strip().splitlines()[-5:]]
    module = re.match(r"cell (\d\d)-", result.where)
    return "\n".join(lines), module and module[1]


def _place_in_run(event, milestone):
    frames = [f for f in event["error"]["frames"] if f["file"] == str(milestone.folder / "run.py")]
    return f"run.py, line {frames[-1]['line']}: {frames[-1]['text']}" if frames else ""


# --- keeping ---------------------------------------------------------------------------------------------------------


def _keep(workspace, outcome, picture):
    """Write picture and results, each at once; the event comes last, so that it stands for complete files."""
    name = outcome.milestone.slug if outcome.recorded else f"{outcome.milestone.slug}-trial"
    folder = workspace.root / "milestones"
    facts = {
        **outcome.as_json(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "tito": tito.__version__,
        "course": workspace.course.version,
        "results": finite(outcome.results),
    }
    nb.write_atomically(folder / f"{name}.json", (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
    if picture is not None:
        nb.write_atomically(folder / f"{name}.png", picture)
        outcome.picture = folder / f"{name}.png"
    if outcome.recorded:
        workspace.record(
            "milestone",
            milestone=outcome.milestone.slug,
            metric=outcome.metric,
            metrics=outcome.metrics,
            seeds=outcome.seeds,
            seconds=round(outcome.seconds, 2),
            borrowed=outcome.borrowed,
        )
