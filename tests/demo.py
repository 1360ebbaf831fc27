"""The whole job, as a student and an instructor do it: `python tests/demo.py [--into DIR] [--every-module]`.

A student fills in the blank notebooks, completes every module and reaches the milestones, in short those that take
minutes. An instructor releases the modules, a class of six hands in (right, untouched, three with one wrong task, one
that does not run), and is graded: in the first module, the middle one and the last, or in every module.
Ends with an error when a mark is not what it must be. The answers come from the reference, the mistakes from each
module's `misconceptions.py`.
"""

import argparse
import contextlib
import csv
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tito import notebook as nb
from tito import report
from tito.course import Course
from tito.variants import load_wrong, solved, with_body

STARTED = time.perf_counter()
PATIENCE = 30  # seconds that a milestone may take
DOES_NOT_RUN = "import os\nos._exit(1)"  # the process is gone, and nobody can say what the rest is worth


class Failed(Exception):
    """Something did not come out as it must."""


def heading(text):
    print(f"\n== {text} ({time.perf_counter() - STARTED:.0f} s) ".ljust(80, "="), flush=True)


def say(text):
    print(report.wrap(f"# {text}", indent="#   "), flush=True)


class Person:
    """Somebody who stands in a folder and types commands."""

    def __init__(self, name, folder, course):
        self.name, self.folder = name, Path(folder)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TITO_")}
        programs = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
        no_data = {"TINYTORCH_DATA": str(self.folder / "no-data")}  # with MNIST, milestone 04 takes minutes
        self.environment = {**kept, **no_data, "TITO_COURSE": str(course.root), "PATH": programs}
        self.folder.mkdir(parents=True, exist_ok=True)

    def tito(self, *arguments, code=0):
        """Show the command, run it, show what it says. Raises Failed unless it ends with `code`."""
        print(f"\n{self.name}$ tito {shlex.join(map(str, arguments))}", flush=True)
        command = [sys.executable, "-m", "tito.cli", *map(str, arguments)]
        ended = subprocess.run(command, cwd=self.folder, env=self.environment).returncode
        if ended != code:
            raise Failed(f"tito {arguments[0]} ended with {ended}, not with {code}")


# --- a student ---


def study(course, folder):
    """Every module from blank to complete, and each milestone as soon as it has what it needs. Returns the student."""
    heading("A student starts, errs, and is told why")
    student = Person("ada", folder, course)
    student.tito("init", "work")
    student.folder = student.folder / "work"
    for module in course.modules:
        if module is not course.modules[0]:
            heading(f"The student builds module {module.label} {module.name} on top of it")
        student.tito("module", "start", module.label)
        path = student.folder / module.slug / f"{module.name}.ipynb"
        complete = nb.compile_module(module)
        if module is course.modules[0]:
            err(student, module, path, complete)
        write(path, solved(nb.read(path), complete))
        say(f"the blanks of {path.name} are filled in")
        student.tito("module", "complete", module.label)
        for milestone in course.milestones:
            if max(milestone.needs) == module.number:
                heading(f"The student trains a real model with that: milestone {milestone.label}")
                if takes_long(milestone):
                    say("in short, and so nothing is recorded; in full this one takes minutes")
                student.tito("milestone", "run", milestone.label, *(["--short"] if takes_long(milestone) else []))
    student.tito("module", "status")
    return student


def takes_long(milestone):
    """Whether it would hold up everybody who watches; then it is only seen to run."""
    return milestone.settings["seconds"] > PATIENCE


def err(student, module, path, complete):
    """Write one wrong answer, and look at what the check says."""
    wrong = load_wrong(module)[0]
    write(path, with_mistake(nb.read(path), complete, wrong))
    say(f"task {wrong['task']} is written, with a mistake: {wrong['mistake']}")
    student.tito("module", "check", module.label, code=1)


def write(path, notebook):
    path.write_bytes(nb.to_json(notebook))


def with_mistake(notebook, complete, wrong):
    """The notebook with one task done as `wrong` says."""
    cells = {nb.grade_id(cell): cell for cell in complete["cells"]}
    for cell in notebook["cells"]:
        if nb.grade_id(cell) == wrong["task"]:
            cell["source"] = with_body(cells[wrong["task"]], wrong["body"])
    return notebook


# --- a class ---


def class_of_six(module, inbox, student):
    """Put six submissions into a folder; returns the one mistake that three of them have, by student."""
    complete = nb.compile_module(module)
    blank = nb.strip(complete)
    tasks = {task.id for task in module.tasks if task.points}
    wrongs = [wrong for wrong in load_wrong(module) if wrong["task"] in tasks]
    chosen = [wrongs[0], wrongs[len(wrongs) // 2], wrongs[-1]]
    mistakes = dict(zip(("carl", "dora", "emil"), chosen, strict=True))
    papers = {"ada": solved(blank, complete), "ben": blank}
    for name, wrong in mistakes.items():
        papers[name] = with_mistake(solved(blank, complete), complete, wrong)
    last = {"task": wrongs[-1]["task"], "body": DOES_NOT_RUN}
    papers["fay"] = with_mistake(solved(blank, complete), complete, last)
    inbox.mkdir(parents=True)
    student.tito("submit", module.label, "--name", "ada")
    (inbox / "ada.zip").write_bytes((student.folder / "submissions" / f"{module.slug}.zip").read_bytes())
    for name in ("ben", "carl", "dora", "emil", "fay"):
        write(inbox / f"{name}.ipynb", papers[name])
    say("ben hands in the untouched notebook; fay's ends the process it runs in")
    for name, wrong in mistakes.items():
        say(f"{name} has task {wrong['task']} wrong: {wrong['mistake']}")
    return mistakes


def teach(course, folder, student, modules):
    """Release the course; grade, report and export `modules`; every mark is compared with what it must be."""
    heading("An instructor releases the modules, and the course for students")
    label = course.modules[-1].label
    span = f"01-{label}" if len(course.modules) > 1 else "01"
    teacher = Person("prof", folder, course)
    teacher.tito("release", span, "--to", "class")
    teacher.tito("release", span, "--to", "kit", "--kit")
    teacher.folder = teacher.folder / "class"
    graded = {}
    for module in modules:
        heading(f"Six hand in module {module.label} {module.name}")
        inbox = folder / "inbox" / module.slug
        graded[module] = class_of_six(module, inbox, student)
        teacher.tito("grade", "run", module.label, "--from", os.path.relpath(inbox, teacher.folder))
    heading("The marks")
    teacher.tito("grade", "status")
    teacher.tito("grade", "export", span)
    with open(teacher.folder / "marks.csv", encoding="utf-8", newline="") as file:
        rows = {(row["student"], row["assignment"]): row for row in csv.DictReader(file)}
    shown = ("student", "assignment", "tasks", "tasks_max", "status")
    say("of marks.csv, the sums; it also has a column for each task and each answer")
    print(*report.table([[row[name] for name in shown] for row in rows.values()], shown), sep="\n", flush=True)
    for module, mistakes in graded.items():
        compare(module, rows, mistakes)


def compare(module, rows, mistakes):
    """Raise Failed unless each task has its points if and only if it was done right, whatever is beside it."""
    points = {task.id: task.points for task in module.tasks if task.points}
    expect(rows, "ada", module, points)
    expect(rows, "ben", module, dict.fromkeys(points, 0))
    for student, wrong in mistakes.items():
        if float(rows[student, module.slug][wrong["task"]]):
            raise Failed(f"{student} got points for {wrong['task']} in spite of: {wrong['mistake']}")
        expect(rows, student, module, points | {wrong["task"]: 0})
    fay = rows["fay", module.slug]
    if fay["status"] != "crashed" or fay["tasks"] or fay["total"]:
        raise Failed(f"what does not run must have no mark, and has: {fay}")


def expect(rows, student, module, points):
    row = rows[student, module.slug]
    shown = {task: float(row[task]) for task in points}
    if shown != points or float(row["tasks"]) != sum(points.values()) or row["status"] != "graded":
        raise Failed(f"{student} in {module.slug} must have {points}, and has {shown} ({row['status']})")


def some(modules):
    """The first, the middle one and the last."""
    return list(dict.fromkeys([modules[0], modules[len(modules) // 2], modules[-1]]))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--into", type=Path, metavar="DIR", help="keep everything in this new folder")
    options.add_argument(
        "--every-module", action="store_true", help="the class hands in all, ten to twenty seconds each"
    )
    chosen = options.parse_args()
    into = chosen.into
    if into and into.exists() and any(into.iterdir()):
        options.error(f"{into} is not empty")
    with contextlib.ExitStack() as stack:
        folder = into or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tito-demo-")))
        course = Course.find(Path(__file__).parent)
        try:
            student = study(course, folder.resolve() / "student")
            graded = course.modules if chosen.every_module else some(course.modules)
            teach(course, folder.resolve() / "instructor", student, graded)
        except Failed as failure:
            sys.exit(f"\ndemo: FAIL: {failure}")
        heading("Done")
        counted = f"modules {len(course.modules)}, milestones {len(course.milestones)}, marks {6 * len(graded)}"
        print(f"ok: {counted}; all as they must be, in {time.perf_counter() - STARTED:.0f} s")
        print(f"kept in {into}" if into else "to keep and look at everything: python tests/demo.py --into demo")


if __name__ == "__main__":
    main()
