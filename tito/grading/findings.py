"""What grading found out about a task, as plain data for feedback: the smallest failing case, and what a test says.

Texts and values come from student code. They are data: shortened, without control characters, never trusted in shape.
"""

import math
import re

import numpy as np

from tito.check import read_fingerprints, results_of
from tito.explain import Result, explain, status_of_error
from tito.grading.probing import Damaged, decode

SHOWN = 64  # values of an array
TEXT = 2000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def of_verdict(verdict, cases):
    """What came out of a task's probe. cases: what its results were made from, by name."""
    found = {"ok": verdict.ok, "right": verdict.right, "wrong": [d.name for d in verdict.differences]}
    told = [(_size(case), i, case) for i, case in enumerate(map(_case(cases), verdict.differences))]
    if told:
        _, first, case = min(told, key=lambda one: one[:2])
        difference = verdict.differences[first]
        found["case"] = {
            "name": difference.name,
            "what": difference.what,
            "inputs": case,
            "index": list(difference.index),
            "got": shown(difference.got),
            "expected": shown(difference.expected),
        }
    return clean(found)


def _case(cases):
    def read(difference):
        """`{name: value}`, or None where nothing is known of it."""
        try:
            return {str(name): decode(value) for name, value in dict(cases.get(difference.name) or {}).items()} or None
        except (Damaged, TypeError, ValueError):
            return None

    return read


def _size(case):
    """How much there is to look at; what is not known is larger than anything."""
    return math.inf if case is None else sum(np.size(value) for value in case.values())


def of_tests(module, cells, events, files, own_cells, why):
    """`{task: what its visible test says}` for the tests that failed.

    events: what the process inside reported. why: how it ended, in words, if it did not come to the end of the cells.
    """
    done = [_relative(event, files) for event in events if "done" in event]
    begun = ["import", *(str(event["start"]) for event in events if "start" in event)]
    if begun[-1] not in {event["done"] for event in done}:
        error = {"type": "SystemExit", "message": why or "the process ended", "frames": []}
        done.append({"done": begun[-1], "status": "crashed", "error": error})
    results, _ = results_of(module, cells, done)
    return {result.task: explained(result, module, files, own_cells) for result in results if not result.ok}


def of_error(task, error, module, files, own_cells):
    """What an exception in a task's probe says, or in importing what stands below it."""
    error = _relative({"error": error}, files)["error"]
    return explained(Result(task, status_of_error(error), task=task, error=error), module, files, own_cells)


def explained(result, module, files, own_cells):
    explain(result, read_fingerprints(module), own_cells, list(files.items()))
    kept = ("status", "happened", "where", "line", "cause", "hint", "mistake", "output")
    return clean({key: value for key, value in result.as_json().items() if key in kept})


def _relative(event, files):
    """The event with the names of exported files as they are in `files`, wherever the package lay inside."""
    error = event.get("error")
    if not error:
        return event
    frames = [{**frame, "file": _known(str(frame["file"]), files)} for frame in error.get("frames", ())]
    return {**event, "error": {**error, "frames": frames}}


def _known(path, files):
    return next((name for name in files if path.endswith(f"/{name}")), path)


def summary(points, of, found):
    """A few lines of text on a task, for whoever marks."""
    lines = [f"{'no mark' if points is None else f'{points:g}'} of {of:g}"]
    for part in ("error", "test"):
        said = found.get(part, {})
        lines += [f"{part}: {said['happened']}"] if said.get("happened") else []
        lines += [f"  in {said['where']}: {said['line']}"] if said.get("where") and said.get("line") else []
        lines += [f"  {said['cause']}"] if said.get("cause") else []
    case = found.get("case")
    if case:
        lines.append(f"{case['name']}: {case['what']}; got {case['got']}, expected {case['expected']}")
    return "\n".join(lines) + "\n"


# --- plain data ---


def shown(value):
    """A value as a report can show it: numbers, texts, and short lists of them."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.size > SHOWN:
            return {"shape": list(array.shape), "first": [shown(v) for v in array.ravel()[:8].tolist()]}
        return shown(array.tolist())
    if isinstance(value, list | tuple):
        return [shown(part) for part in value[:SHOWN]]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def clean(value):
    """The same without control characters and with texts shortened, so that no report can be made to lie."""
    if isinstance(value, dict):
        return {clean(str(key)): clean(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [clean(part) for part in value[:1000]]
    if isinstance(value, str):
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)[:TEXT]
    return shown(value)
