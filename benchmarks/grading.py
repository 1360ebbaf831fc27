"""How fast a class is graded, beside nbgrader on the same notebooks in one run.

    python benchmarks/grading.py [--module 07] [--count 100] [--jobs 2] [--json FILE]

Both grade the same submissions, no two of the same bytes, in a course folder of their own: a quarter right, a quarter
untouched, the rest with one wrong task. They take turns, a quarter of the class each time. Marks must be equal.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from tito import notebook as nb
from tito.course import Course
from tito.grading import gradebook
from tito.grading.classroom import Classroom
from tito.grading.marking import How, mark
from tito.grading.release import release
from tito.variants import load_wrong, solved, with_body

TURNS = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--module", default="07")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    course = Course.find()
    module = course.module(options.module)
    with tempfile.TemporaryDirectory(prefix="tito-benchmark-") as folder:
        rooms = {name: make_room(course, module, Path(folder) / name) for name in ("tito", "nbgrader")}
        seconds, phases, memory = dict.fromkeys(rooms, 0.0), {}, 0
        notebooks = class_of(module, options.count)
        turns = [notebooks[start :: min(TURNS, len(notebooks))] for start in range(min(TURNS, len(notebooks)))]
        for turn in tqdm(turns, disable=not sys.stderr.isatty()):
            for room in rooms.values():
                hand_in(room, module, turn)
            started = time.perf_counter()
            for marks in by_tito(rooms["tito"], course, module, options.jobs):
                memory = max(memory, marks.memory)
                for phase, value in marks.phases.items():
                    phases.setdefault(phase, []).append(value)
            seconds["tito"] += time.perf_counter() - started
            started = time.perf_counter()
            by_nbgrader(rooms["nbgrader"], module)
            seconds["nbgrader"] += time.perf_counter() - started
        marks = {name: gradebook.scores(room.root, module.slug) for name, room in rooms.items()}
    facts = report(options, module, seconds, phases, memory, differing(marks))
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 1 if facts["differing"] else 0


def make_room(course, module, folder):
    release(course, [module], folder)
    return Classroom.find(folder)


def class_of(module, count):
    """`[(student, notebook's bytes)]`."""
    complete = nb.compile_module(module)
    blank = nb.strip(complete)
    right, cells = solved(blank, complete), {nb.grade_id(cell): cell for cell in complete["cells"]}
    graded = {task.id for task in module.tasks if task.points}
    wrongs = [wrong for wrong in load_wrong(module) if wrong["task"] in graded]
    found = []
    for number in range(count):
        notebook = json.loads(json.dumps(blank if number % 4 == 1 else right))
        if number % 4 > 1:
            wrong = wrongs[number * 7 % len(wrongs)]
            cell = next(cell for cell in notebook["cells"] if nb.grade_id(cell) == wrong["task"])
            cell["source"] = with_body(cells[wrong["task"]], wrong["body"])
        notebook["metadata"]["number"] = number
        found.append((f"student-{number:04}", nb.to_json(notebook)))
    return found


def hand_in(room, module, turn):
    for student, data in turn:
        nb.write_atomically(room.path("submitted", module, student), data)


def by_tito(room, course, module, jobs):
    with room.locked():
        yield from (marks for marks, new in mark(room, course, module, False, jobs, How(siblings=False)) if new)


def by_nbgrader(room, module):
    """`nbgrader autograde`, which skips those it has graded before."""
    command = [sys.executable, "-m", "nbgrader", "autograde", module.slug]
    subprocess.run(command, cwd=room.root, check=True, capture_output=True)


def differing(marks):
    """Students whose automatic points differ between the two gradebooks."""
    tito, nbgrader = (
        {student: {cell: auto for cell, (auto, _) in cells.items()} for student, cells in marks[name].items()}
        for name in ("tito", "nbgrader")
    )
    return sorted(student for student in tito.keys() | nbgrader.keys() if tito.get(student) != nbgrader.get(student))


def report(options, module, seconds, phases, memory, different):
    rate = {name: options.count / value for name, value in seconds.items()}
    print(f"{options.count} submissions of {module.slug}, {options.jobs} side by side, {os.cpu_count()} cores")
    print(f"{'':10}{'seconds':>9}{'a submission':>14}{'an hour':>9}{'':3}ratio")
    for name, value in seconds.items():
        ratio = rate[name] / rate["nbgrader"]
        print(f"{name:10}{value:9.1f}{value / options.count:14.3f}{3600 * rate[name]:9.0f}   {ratio:.1f}x")
    means = {phase: sum(values) / len(values) for phase, values in phases.items()}
    print("of a submission, in seconds: " + ", ".join(f"{phase} {value:.3f}" for phase, value in means.items()))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at the most: a submission {memory / 2**20:.0f} MB, the coordinator {own:.0f} MB")
    print(f"marks that differ: {', '.join(different) or 'none'}")
    return {"seconds": seconds, "phases": means, "memory": memory, "differing": different, "count": options.count}


if __name__ == "__main__":
    sys.exit(main())
