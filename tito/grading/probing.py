"""Marks from probes: what a student's code computed, compared in this process with what the reference computed.

A module's `probes.py` has a generator `probe_NN_k(tt, rng)` for each graded task. It draws its inputs from `rng`, uses
the package `tt`, and yields `(name, value)` or `(name, value, inputs)`. Beside it may stand a judge,
`judge_NN_k(student, reference, rng)`, of what two right solutions need not compute alike, for example random masks: it
gives `{name: None, or what is wrong}`.
Everything that comes from student code arrives as data and is taken for nothing else.
"""

import base64
import json
import runpy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tito import notebook as nb
from tito.errors import CourseError

RTOL, RTOL_OF_LARGEST = 1e-4, 1e-5
TASK_SECONDS = 10
MEMORY = 3 << 30  # bytes of address space; NumPy alone takes some hundred MB of it
LIMITS = {"RLIMIT_FSIZE": 10 << 20, "RLIMIT_NOFILE": 256, "RLIMIT_CORE": 0}


# --- a module's probes ---


@dataclass(frozen=True)
class Probes:
    """A module's `probes.py`: its text, which runs beside student code, and its judges, which run here."""

    module: object

    @property
    def path(self):
        return self.module.folder / "probes.py"

    @cached_property
    def text(self):
        if not self.path.exists():
            raise CourseError(self.path, "is missing", "it holds a probe for each graded task")
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _names(self):
        compile(self.text, str(self.path), "exec")
        return runpy.run_path(str(self.path))

    @property
    def tasks(self):
        """Ids of the tasks that have a probe."""
        return [name[len("probe_") :].replace("_", "-") for name in self._names if name.startswith("probe_")]

    def judge(self, task):
        return self._names.get("judge_" + task.replace("-", "_"))


def job(module, files, tasks, seeds, probes="", cells=(), **options):
    """What `tito/inside.py` is asked to do with a module's files."""
    return task_job(files, [f"tinytorch.{target}" for target in module.targets], tasks, seeds, probes, cells, **options)


def task_job(files, modules, tasks, seeds, probes="", cells=(), seconds=TASK_SECONDS, memory=MEMORY):
    """The same for any files. seconds: that importing them, and then each task, may take."""
    longest = max([seconds, *(cell["seconds"] for cell in cells)])
    wall = seconds * (len(tasks) * len(seeds) + 1) + sum(cell["seconds"] for cell in cells)
    return {
        "files": files,
        "modules": modules,
        "probes": probes,
        "tasks": list(tasks),
        "seeds": list(seeds),
        "cells": list(cells),
        "seconds": seconds,
        "wall": wall,
        "quiet": 1.2 * longest + 0.5,
        "limits": {**LIMITS, "RLIMIT_AS": memory, "RLIMIT_CPU": int(wall) + 1},
    }


def exported_files(module, notebook):
    """What a module's notebook exports, as `{path below the package's folder: text}`; nothing of it runs."""
    texts = nb.texts_to_run(notebook, "tinytorch", f"{module.slug}/{module.name}")
    return {f"tinytorch/{target.replace('.', '/')}.py": text for target, text in texts.items()}


# --- what comes back ---


class Damaged(ValueError):
    """Bytes from student code that are no frame or no value."""


def decode(value):
    """An array, a text, a truth value or None, or a list of these, from what `encode` in `tito/inside.py` made."""
    if not isinstance(value, dict):
        raise Damaged("a value is no object")
    if "list" in value:
        if not isinstance(value["list"], list):
            raise Damaged("a list is none")
        return [_decode_one(part) for part in value["list"]]
    return _decode_one(value)


def _decode_one(value):
    if not isinstance(value, dict):
        raise Damaged("a value is no object")
    if "plain" in value:
        if not isinstance(value["plain"], bool | str | type(None)):
            raise Damaged("a plain value is none")
        return value["plain"]
    try:
        dtype, shape = np.dtype(str(value["dtype"])), tuple(int(n) for n in value["shape"])
        data = base64.b64decode(value["data"], validate=True)
        if dtype.kind not in "biuf" or any(n < 0 for n in shape):
            raise Damaged(f"an array of {dtype}, shape {shape}")
        return np.frombuffer(data, dtype).reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Damaged(f"an array that cannot be read: {error}") from error


@dataclass
class Frames:
    """What a run sent: values and errors by task and seed, and events of the visible tests."""

    imported: bool = False
    import_error: dict | None = None
    values: dict = field(default_factory=dict)
    cases: dict = field(default_factory=dict)
    ended: dict = field(default_factory=dict)
    tests: list = field(default_factory=list)
    whole: bool = False
    broken: dict | None = None  # the exception that ended the run between two probes
    damaged: list = field(default_factory=list)

    @classmethod
    def read(cls, text):
        """Frames from text that student code may have written too; what cannot be read is kept in `damaged`."""
        found = cls()
        for line in text.split("\n")[:-1]:  # behind the last line end stands what a process was kept from finishing
            try:
                found._take(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
                found.damaged.append(f"{type(error).__name__}: {error}"[:200])
        return found

    def with_those_of(self, other):
        """The frames of two runs of the same files with other seeds."""
        both = {name: {**getattr(self, name), **getattr(other, name)} for name in ("values", "cases", "ended")}
        return Frames(
            self.imported and other.imported,
            self.import_error or other.import_error,
            **both,
            tests=self.tests + other.tests,
            whole=self.whole and other.whole,
            broken=self.broken or other.broken,
            damaged=self.damaged + other.damaged,
        )

    def _take(self, frame):
        if "task" in frame:
            self._take_value((str(frame["task"]), int(frame["seed"])), frame)
        elif "test" in frame:
            self.tests.append(dict(frame["test"]))
        elif "imported" in frame:
            self.imported, self.import_error = frame["imported"] is True, frame.get("error")
        elif "broken" in frame:
            self.broken = dict(frame["broken"])
        self.whole |= frame.get("whole") is True

    def _take_value(self, key, frame):
        if key in self.ended:
            raise Damaged(f"a result of {key[0]} that comes after its end")
        if frame.get("end"):
            self.ended[key] = frame.get("error")
            return
        name = str(frame["name"])
        self.values.setdefault(key, {}).setdefault(name, decode(frame["value"]))
        self.cases.setdefault(key, {}).setdefault(name, frame.get("case"))


# --- judging ---


@dataclass
class Difference:
    """One result that is not right: what differs, and at the first bad index what came and what should have come."""

    name: str
    what: str
    index: tuple = ()
    got: object = None
    expected: object = None


@dataclass
class Verdict:
    """How one task went. `right` has the names of the results that are right."""

    task: str
    right: list = field(default_factory=list)
    differences: list = field(default_factory=list)
    error: dict | None = None
    distance: float = 0.0  # of the worst result, in units of the tolerance; infinite where no number says how far

    @property
    def ok(self):
        return bool(self.right) and not self.differences

    def points(self, worth, goals=()):
        """All or nothing; or, where an author has split the task, what its goals pay if the core of it is reached."""
        reached = [goal for goal in goals if set(goal["results"]) <= set(self.right)]
        if any(goal.get("core") for goal in reached):
            return float(sum(goal["points"] for goal in reached))
        return worth if self.ok and not goals else 0.0


def goals_of(module, task, worth, names):
    """The goals of a task from `module.toml`. names: of the results that its probe gives. Raises: CourseError.

    `[[goals."07-2"]]` with `name`, `points`, `results`, and for one of them `core = true`, without which nothing pays.
    """
    goals = module.settings.get("goals", {}).get(task, [])
    place = f"{module.folder / 'module.toml'}, goals of {task}"
    if any(not {"name", "points", "results"} <= set(goal) for goal in goals):
        raise CourseError(place, "each needs a name, points and results")
    listed = sorted(name for goal in goals for name in goal["results"])
    if goals and listed != sorted(names):
        raise CourseError(place, f"list the results {listed}; the probe gives, each to be listed once, {sorted(names)}")
    if goals and sum(goal["points"] for goal in goals) != worth:
        raise CourseError(place, f"their points do not add up to {worth:g}")
    if goals and sum(bool(goal.get("core")) for goal in goals) != 1:
        raise CourseError(place, "one of them, and no more, is the core")
    return goals


def verdict(probes, task, seed, student, reference):
    """Compare the values that a task's probe yielded on the student's package with those on the reference.

    student, reference: Frames. What was yielded before an exception counts; what is missing is wrong.
    """
    found = Verdict(task, error=student.ended.get((task, seed)))
    theirs, ours = student.values.get((task, seed), {}), reference.values.get((task, seed), {})
    said = _ask_judge(probes.judge(task), theirs, ours, judging_rng(task, seed))
    for name, expected in ours.items():
        difference, distance = _judged(name, theirs, expected, said)
        found.distance = max(found.distance, distance)
        if difference is None:
            found.right.append(name)
        else:
            found.differences.append(difference)
    return found


def _judged(name, theirs, expected, said):
    """`(Difference or None, distance)` of one result."""
    if name not in theirs:
        return Difference(name, "there is no result"), float("inf")
    if name in said:
        return (None, 0.0) if said[name] is None else (Difference(name, str(said[name])), float("inf"))
    return compare(name, theirs[name], expected), largest_distance(theirs[name], expected)


def judging_rng(task, seed):
    """Random numbers for a judge; others than those of the probe."""
    return np.random.default_rng([seed, *map(int, task.split("-")), 1])


def _ask_judge(judge, theirs, ours, rng):
    """What the author's judge says of the results that are there: `{name: None or a message}`."""
    if judge is None:
        return {}
    try:
        return dict(judge(theirs, ours, rng))
    except Exception as error:  # on what students send anything may be raised; with the reference, the gates find it
        return dict.fromkeys(ours, f"it cannot be judged: {type(error).__name__}: {error}"[:300])


def compare(name, got, expected):
    """The Difference between two values, or None. Numbers may differ by the tolerance; types and texts may not."""
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return Difference(name, f"it should be a list of {len(expected)}", (), _brief(got), _brief(expected))
        pairs = (compare(name, a, b) for a, b in zip(got, expected))
        first = next(((i, d) for i, d in enumerate(pairs) if d), None)
        return first and Difference(name, first[1].what, (first[0], *first[1].index), first[1].got, first[1].expected)
    if not isinstance(expected, np.ndarray):
        same = type(got) is type(expected) and got == expected
        return None if same else Difference(name, "it differs", (), _brief(got), _brief(expected))
    if not isinstance(got, np.ndarray):
        return Difference(name, "it should be a number or an array", (), _brief(got), _brief(expected))
    if got.shape != expected.shape:
        return Difference(name, f"its shape is {got.shape} and should be {expected.shape}")
    excess = distance(got, expected)
    if excess.max(initial=0.0) <= 1:
        return None
    index = np.unravel_index(int(np.argmax(excess > 1)), expected.shape)
    return Difference(name, "it differs", tuple(int(i) for i in index), _brief(got[index]), _brief(expected[index]))


def distance(got, expected):
    """Elementwise distance of two arrays of one shape, in units of the tolerance."""
    a, b = got.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(b)
    largest = np.abs(b[finite]).max(initial=0.0)
    with np.errstate(all="ignore"):
        tolerance = RTOL_OF_LARGEST * largest + RTOL * np.abs(b) + np.finfo(np.float64).tiny
        excess = np.abs(a - b) / tolerance
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(finite & np.isfinite(a), excess, np.inf))


def largest_distance(got, expected):
    """The distance of two values of any kind in units of the tolerance; infinite where no number says how far."""
    if isinstance(expected, list) and isinstance(got, list) and len(got) == len(expected):
        return max((largest_distance(a, b) for a, b in zip(got, expected)), default=0.0)
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray) and got.shape == expected.shape:
        return float(distance(got, expected).max(initial=0.0))
    return 0.0 if compare("", got, expected) is None else float("inf")


def _brief(value):
    """A value as a report can show it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.item() if np.size(value) == 1 else f"an array of shape {np.shape(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return value
