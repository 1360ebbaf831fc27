"""A class at a glance: how each task went, the commonest failures, whom to look at, and what time it took."""

import statistics
from collections import Counter

FAILURES = 12
ADVICE = {
    "timeout": "look for a loop that does not end; to give more time: --seconds, with --again",
    "memory": "look for an array that grows without end",
    "crashed": "see in their code what ends the process; ask them to hand in again",
    "invalid": "ask for the notebook again: this file cannot be read as one of this module",
    "tampered": "read the submission: it wrote results that no probe wrote",
    "partly": "a cell to fill in was missing: ask for it, or mark by hand in formgrader",
    "missing": "nothing was handed in",
    "waiting": "handed in, not graded yet",
}


def overview(found, titles, similar):
    """Facts on a class. found: Marks of every student. titles: `{task: title}`. similar: see `similar_pairs`."""
    earned = sorted(marks.earned for marks in found if marks.graded)
    return {
        "students": len(found),
        "statuses": dict(Counter(marks.status for marks in found)),
        "median": statistics.median(earned) if earned else None,
        "lowest": earned[0] if earned else None,
        "highest": earned[-1] if earned else None,
        "possible": found[0].possible if found else 0,
        "tasks": [task_row(task, titles.get(task, ""), found) for task in (found[0].of if found else ())],
        "failures": failures(found),
        "review": review(found),
        "similar": similar,
        "seconds": seconds(found),
    }


def task_row(task, title, found):
    """How many have full points for a task, how many less, and how many no mark although they handed in."""
    handed_in = [marks for marks in found if marks.status not in ("missing", "waiting")]
    points = [marks.points.get(task) for marks in handed_in]
    right = sum(p is not None and p == found[0].of[task] for p in points)
    unknown = sum(p is None for p in points)
    known = len(points) - unknown
    share = round(100 * right / known) if known else None
    return {"task": task, "title": title, "right": right, "wrong": known - right, "unknown": unknown, "share": share}


def failures(found):
    """The commonest ways to fail, with the number of students: a mistake by its name, else what a test said."""
    counts = Counter((task, what) for marks in found for task, what in _failures_of(marks))
    return [{"task": task, "what": what, "count": count} for (task, what), count in counts.most_common(FAILURES)]


def _failures_of(marks):
    for task, facts in marks.findings.items():
        if marks.points.get(task) == marks.of.get(task):
            continue
        parts = [facts.get(part) or {} for part in ("error", "test")]
        mistake = next((part["mistake"] for part in parts if part.get("mistake")), None)
        happened = next((part["happened"] for part in parts if part.get("happened")), None)
        if mistake or happened:
            yield task, mistake or str(happened).splitlines()[0][:160]


def review(found):
    """Who needs a person, with what that person can do."""
    return [
        {
            "student": marks.student,
            "status": marks.status,
            "why": "; ".join(marks.remarks),
            "advice": ADVICE.get(marks.status, ""),
        }
        for marks in found
        if marks.status not in ("graded", "missing", "waiting")
    ]


def seconds(found):
    """Time that the submissions took, the slowest by name."""
    times = {marks.student: marks.seconds for marks in found if marks.seconds}
    if not times:
        return {"total": 0, "median": 0, "slowest": "", "most": 0}
    slowest = max(times, key=times.get)
    return {
        "total": round(sum(times.values()), 1),
        "median": round(statistics.median(times.values()), 2),
        "slowest": slowest,
        "most": round(times[slowest], 2),
    }
