"""Pack your notebook of a module to hand it in."""

import getpass
import re
import time

import click

import tito
from tito import notebook as nb
from tito import report
from tito.check import check_notebook, refuse_two_versions
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.errors import TitoError, UsageError
from tito.runner import Worker


@click.command(help=__doc__)
@module_argument
@click.option("--name", metavar="STUDENT", help="Your student id; else the name of your account.")
@json_option
def command(module, name):
    name = student_name(name)
    with Worker() as worker:
        course, workspace = workplace()
        module = pick(workspace, module)
        answer = submit(workspace, module, name, worker)
    report.emit(answer, submit_lines(module, answer))


def student_name(name):
    """The id under which the work is handed in. Raises UsageError when it cannot be one."""
    from tito.grading.classroom import require_student

    try:
        return require_student(getpass.getuser() if name is None else name)
    except (KeyError, OSError) as error:
        raise UsageError(f"this account has no name: {error}", "tito submit --name STUDENT") from error
    except TitoError as error:
        raise UsageError(error.message, f"tito submit --name STUDENT ({error.hint})") from error


def submit(workspace, module, name, worker):
    """Pack, check, write: unfinished work is packed too, and what it lacks is said."""
    from tito.submission import archive, pack, unanswered

    path = workspace.file(module)
    student, base = nb.read(path), workspace.base(module)
    remarks = refuse_two_versions(workspace, module, path, student)
    notebook, mended = pack(base, student)
    answer = {**_checked(workspace, module, student, worker), "unanswered": unanswered(base, notebook)}
    facts = {
        "student": name,
        "course": workspace.course.version,
        "course_hash": workspace.course.hash,
        "module_hash": workspace.version(module),
        "tito": tito.__version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "tasks": answer["tasks"],
    }
    data, manifest = archive(module, notebook, facts)
    target = workspace.root / "submissions" / f"{module.slug}.zip"
    with workspace.locked():
        workspace.snapshot(module, path, "submit")
        nb.write_atomically(target, data)
        workspace.record("submitted", module=module.slug, student=name, sha256=manifest["sha256"])
    answer["remarks"] = [*dict.fromkeys([*mended, *remarks, *answer["remarks"]])]
    return {"file": workspace.show(target), **manifest, **answer}


def _checked(workspace, module, student, worker):
    """What the tests say now. Work that cannot even be tested may be handed in; then the reason is a remark."""
    try:
        workspace.require_needs(module)
        outcome = check_notebook(workspace, module, student, worker)
    except TitoError as error:
        first = error.message.split("\n")[0]
        return {"tasks": None, "points": None, "of": None, "lost": {}, "remarks": [f"it could not be tested: {first}"]}
    earned, total = outcome.points
    remarks = [f"the reference was used, which does not count: {path}" for path in outcome.foreign]
    remarks += [text for text in outcome.remarks if not re.match(r"cell \S+ is missing", text)]  # pack says it better
    return {
        "tasks": {result.task: result.status for result in outcome.results if result.task},
        "points": earned,
        "of": total,
        "lost": {r.task: r.points for r in outcome.results if r.task and r.points and not r.ok},
        "remarks": remarks,
    }


def submit_lines(module, answer):
    """What is handed in, what it lacks, and where the file is."""
    label, lost = module.label, sum(answer["lost"].values())
    lines = []
    if answer["tasks"] and not answer["lost"]:
        lines.append(f"{report.word('ok')}  {label} {module.name}: all tests pass, {answer['points']:g} points")
    elif answer["tasks"]:
        text = f"unfinished: {', '.join(answer['lost'])} would lose {lost:g} of {answer['of']:g} points"
        lines.append(report.wrap(f"note  {label} {module.name} is {text}", indent="      "))
    if answer["unanswered"]:
        text = f"not answered: {', '.join(answer['unanswered'])}, {sum(answer['unanswered'].values()):g} points"
        lines.append(report.wrap(f"note  {text}", indent="      "))
    lines += [report.wrap(f"note  {remark}", indent="      ") for remark in answer["remarks"]]
    lines.append(report.wrap(f"packed {answer['file']} for student {answer['student']}"))
    again = f"finish, check with tito module check {label}, and run this again; or " if answer["lost"] else ""
    return [*lines, report.wrap(f"next: {again}hand in that file the way your course says")]
