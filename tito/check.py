"""Check a module: rebuild the student's notebook, export it into a stage, run the course's tests on it."""

import copy
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from tito import notebook as nb
from tito import overlay
from tito.authoring import export_module
from tito.errors import TitoError
from tito.explain import Result, cell_name, explain
from tito.rebuild import answers_of, difference, rebuild
from tito.state import seconds_setting

TEST_SECONDS = seconds_setting("TITO_TEST_SECONDS", 10)
MEASURE_SECONDS = 6 * TEST_SECONDS
MEMORY = 4 << 30  # bytes a check may use at most, or half of what there is


@dataclass
class Check:
    """What came out. `results` has one entry for each test, in the module's order."""

    module: object
    results: list = field(default_factory=list)
    remarks: list = field(default_factory=list)
    given: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    integration: dict | None = None
    seconds: dict = field(default_factory=dict)

    @property
    def required(self):
        return [r for r in self.results if not r.optional]

    @property
    def ok(self):
        return bool(self.required) and all(r.ok for r in self.required) and not self.foreign and not self._broken

    @property
    def _broken(self):
        return bool(self.integration and (self.integration["failures"] or self.integration["code"]))

    @property
    def trouble(self):
        """The first result that is not ok, what the student should look at now."""
        wrong = [r for r in self.results if not r.ok and r.status != "todo"]
        todo = [r for r in self.required if r.status == "todo"]
        return (wrong or todo or [None])[0]

    @property
    def points(self):
        return sum(r.points for r in self.results if r.ok), sum(r.points for r in self.results)

    def as_json(self):
        earned, total = self.points
        return {
            "module": self.module.slug,
            "ok": self.ok,
            "points": earned,
            "of": total,
            "results": [r.as_json() for r in self.results],
            "remarks": self.remarks,
            "foreign": self.foreign,
            "integration": self.integration,
        }


def check(course, module, blank, student, stage, worker, full=False, measure=False, only=None, integration=()):
    """Run a module's tests on a student's notebook.

    blank, student: notebooks. stage: folder with a copy of the student's package; the module is exported into it.
    full: also `test_module()`. measure: also the cells with plots. only: test cells to run, None for all.
    integration: pytest files to run afterwards, when everything before went well.
    """
    rebuilt = rebuild(blank, student)
    outcome = Check(module, remarks=list(rebuilt.remarks))
    notebook, broken = without_syntax_errors(rebuilt.notebook, blank)
    origin = f"{module.slug}/{module.name}"
    exported = nb.export(notebook, Path(stage) / "tinytorch", origin, module.settings.get("summary", ""))
    job = make_job(course, module, notebook, stage, full=full, measure=measure, only=only)
    job["pytest"] = [str(path) for path in integration]
    run = worker.run(job)
    texts = [(str(path), path.read_text(encoding="utf-8")) for path in exported.values()]
    fingerprints = read_fingerprints(module)
    _collect(outcome, run, module, job)
    for result in [*broken, *outcome.results]:
        if not result.ok:
            explain(result, fingerprints, rebuilt.own, texts)
    _replace(outcome, broken)
    if not any(r.ok is False for r in outcome.results):
        for result in outcome.given:
            outcome.remarks.append(
                f"the given cell {result.id} failed: {explain(result, (), rebuilt.own, texts).happened}"
            )
    outcome.foreign, outcome.seconds = run.foreign, _seconds(run, job)
    return outcome


def without_syntax_errors(notebook, blank):
    """Put the blank in place of cells that do not parse, so that the others can still be tested."""
    notebook, broken = copy.deepcopy(notebook), []
    blanks = {cell["id"]: cell["source"] for cell in blank["cells"]}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        error = nb.syntax_error(cell["source"])
        if error is not None:
            line = getattr(error, "lineno", None) or 1
            text = (cell["source"].split("\n")[line - 1 : line] or [""])[0].strip()
            message = f"syntax error in {cell_name(cell['id'])}, line {line}: {getattr(error, 'msg', error)}"
            task = nb.grade_id(cell)
            broken.append(
                Result(cell["id"], "error", task=task, line=text, error={"type": message, "message": "", "frames": []})
            )
            cell["source"] = blanks.get(cell["id"], "")
            if not cell["source"]:
                cell["source"] = "# this cell did not parse"
    return notebook, broken


def make_job(course, module, notebook, stage, full=False, measure=False, only=None):
    """What the worker is to run: given cells and tests, not what is exported, nor what the student added."""
    return {
        "path": str(stage),
        "modules": [f"tinytorch.{target}" for target in module.targets],
        "import_seconds": 2 * TEST_SECONDS,
        "memory": min(MEMORY, _memory_here() // 2),
        "cells": cells_to_run(module, notebook, full, measure, only),
        "forbidden": course.reference_roots,
        "copies": reference_hashes(course),
    }


def cells_to_run(module, notebook, full=False, measure=False, only=None):
    """The cells of a job, as `{id, source, seconds, plots}`."""
    cells = []
    for cell in notebook["cells"]:
        identity = nb.grade_id(cell) or cell["id"]
        exported = nb.export_target(cell) is not None
        if cell["cell_type"] != "code" or exported or nb.is_here(cell) or cell["id"].startswith("own-"):
            continue
        is_module_test = identity == f"{module.label}-module"
        if (is_module_test and not full) or (not nb.is_locked(cell) and not measure):
            continue  # tests stand on locked cells only; the others are there to be looked at and played with
        if only is not None and nb.is_test(cell) and identity not in only:
            continue
        seconds = MEASURE_SECONDS if nb.is_measure(cell) else TEST_SECONDS
        cells.append({"id": identity, "source": cell["source"], "seconds": seconds, "plots": nb.is_measure(cell)})
    return cells if only is None else needed_for(only, cells)


def needed_for(tests, cells):
    """Those of the cells that are among the tests, or bind a name that something further down uses."""
    kept, used = [], set()
    for cell in reversed(cells):
        binds, uses = nb.top_level_names(nb.code_of(cell["source"]))
        if cell["id"] in tests or binds & used:
            kept.append(cell)
            used |= uses
    return kept[::-1]


def _memory_here():
    """Bytes of this machine's memory, as far as that is known."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return 2 * MEMORY
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def reference_hashes(course):
    """SHA-256 -> path of every file of the reference that holds a solution."""
    targets = [f"{target.replace('.', '/')}.py" for target in course.owners]
    paths = [Path(root) / target for root in {course.reference, course.library} for target in targets]
    paths += [module.source for module in course.modules if module.has_reference]
    return {hashlib.sha256(path.read_bytes()).hexdigest(): str(path) for path in paths if path.exists()}


def _collect(outcome, run, module, job):
    """Results of the tests from the worker's events."""
    outcome.results, outcome.given = results_of(module, job["cells"], run.events)
    event = run.event("integration")
    if event:
        failed = {"failures": [{"test": "integration", "message": str(event.get("error"))}], "tests": 0, "code": 1}
        outcome.integration = event.get("value") or failed


def results_of(module, cells, events):
    """`(results of the tests, results of given cells that failed)` from what a worker reported of these cells."""
    results, given = [], []
    tasks = {task.test_id: task for task in module.tasks}
    by_id = {event["done"]: event for event in events}
    stopped = next(
        (e for e in events if e["status"] == "crashed" or e["done"] == "import" and e["status"] != "ok"), None
    )
    if not stopped and cells and cells[-1]["id"] not in by_id:
        stopped = events[-1]
    for cell in cells:
        identity, event = cell["id"], by_id.get(cell["id"])
        task = tasks.get(identity)
        is_test = task is not None or identity == f"{module.label}-module"
        if event is None:
            if is_test and stopped:
                results.append(_result(identity, task, _after(stopped), module))
            continue
        if is_test:
            results.append(_result(identity, task, event, module))
        elif event["status"] in ("failed", "error", "timeout", "crashed"):
            given.append(_result(identity, None, event, module))
    return results, given


def _seconds(run, job):
    """Processor time of the tests with all that leads to them, and of the measurements: others at work do not count."""
    measured = {cell["id"] for cell in job["cells"] if cell["plots"]}
    sums = {"tests": 0.0, "measure": 0.0}
    for event in run.events:
        sums["measure" if event["done"] in measured else "tests"] += event.get("work", 0.0)
    return sums


def _after(stopped):
    """The event of a test that did not run because something before it ended the process."""
    error = {**stopped["error"], "stopped_by": stopped["done"]}
    if stopped["done"] == "import":
        return {"status": stopped["status"], "error": error}
    error["message"] = f"not run, because cell {stopped['done']} ended the process: {error['message']}"
    return {"status": "crashed", "error": error}


def _result(identity, task, event, module):
    title = task.title if task else ("all of it together" if identity.endswith("-module") else "")
    return Result(
        id=identity,
        status=event["status"],
        title=title,
        task=task.id if task else None,
        optional=bool(task and task.optional),
        points=task.points if task else 0.0,
        output=event.get("output", ""),
        seconds=event.get("time", 0.0),
        error=event.get("error") or {},
    )


def _replace(outcome, broken):
    """Let a syntax error in a task's cell stand for that task's result; one elsewhere is a remark."""
    for result in broken:
        mine = next((r for r in outcome.results if r.task == result.task and r.task), None)
        if mine:
            mine.status, mine.error = "error", result.error
            mine.happened, mine.where, mine.line, mine.cause, mine.hint = result.happened, "", result.line, "", ""
        else:
            outcome.remarks.append(f"{result.happened}; the cell was left out")


def read_fingerprints(module):
    path = module.folder / "fingerprints.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def check_student(workspace, module, worker, full=False, measure=False, only=None, keep=None):
    """Check the student's file of a module in a fresh stage.

    `keep(stage, outcome)` may use the stage while it is there. The file as it was checked is kept as a snapshot.
    """
    workspace.require_needs(module)
    path = workspace.file(module)
    student = nb.read(path)
    workspace.snapshot(module, path, "check")
    return check_notebook(workspace, module, student, worker, full, measure, only, keep)


def check_notebook(workspace, module, student, worker, full=False, measure=False, only=None, keep=None):
    """Check what was read from the student's file."""
    remarks = refuse_two_versions(workspace, module, workspace.path(module), student)
    if not workspace.is_up_to_date(module):
        remarks.append(f"the course has a newer version of this module: tito module update {module.label}")
    blank = workspace.blank(module)
    paths = integration_tests(workspace.course, module) if full else ()
    with workspace.stage() as stage:
        outcome = check(workspace.course, module, blank, student, stage, worker, full, measure, only, integration=paths)
        outcome.remarks += remarks
        outcome.foreign += put_there_by_hand(workspace, module)
        if only is None:
            remember(workspace, outcome)
        if keep:
            keep(stage, outcome)
    return outcome


def remember(workspace, outcome):
    """Record which tasks are right, when that has changed."""
    if all(r.task is None or "stopped_by" not in r.error for r in outcome.results):
        facts = {"module": outcome.module.slug, "right": [r.task for r in outcome.results if r.task and r.ok]}
        last = workspace.last("checked", module=outcome.module.slug)
        if last is None or last["right"] != facts["right"]:
            workspace.record("checked", **facts)


def put_there_by_hand(workspace, module):
    """Files in the student's package that look built, but that neither `complete` nor `borrow` put there."""
    lower = [m for m in workspace.course.modules if m.number < module.number and overlay.is_built(workspace.root, m)]
    copied = [m for m in lower if not workspace.last(workspace.state_of(m), module=m.slug)]
    paths = [overlay.target_path(workspace.root, target) for m in copied for target in m.targets]
    return [f"{path}, which neither tito module complete nor borrow put there" for path in paths]


def integration_tests(course, module):
    """Test files for all modules up to this one."""
    files = sorted((course.root / "tests" / "integration").glob("test_[0-9][0-9]_*.py"))
    return [path for path in files if int(path.name[5:7]) <= module.number]


def refuse_two_versions(workspace, module, path, student):
    """When the student's `.ipynb` and `.py` both exist and both were worked on, refuse and show the difference.

    Returns a remark when only the one that does not count was worked on.
    """
    other = path.with_suffix(".py" if path.suffix == ".ipynb" else ".ipynb")
    if not other.exists():
        return []
    base, mine, theirs = (_stripped(answers_of(n)) for n in (workspace.base(module), student, nb.read(other)))
    clash = [i for i in base if theirs.get(i, base[i]) not in (base[i], mine.get(i))]
    if not clash:
        return []
    if all(mine.get(i, base[i]) == base[i] for i in base):
        return [f"{other.name} was worked on, but {path.name}, with which you started, is the one that counts"]
    lines = difference(mine, {**mine, **{i: theirs[i] for i in clash}}, (path.name, other.name))
    raise TitoError(
        f"{path.name} and {other.name} were both worked on and differ in {', '.join(clash)}\n" + "\n".join(lines),
        f"{path.name} is the one that counts: take over what you want from {other.name}, then move it away",
    )


def _stripped(answers):
    return {identity: source.strip() for identity, source in answers.items()}


def assemble(course, folder, modules):
    """Lay an overlay in `folder` in which `modules` are built from the reference; used for borrowing and by authors."""
    overlay.lay(course, folder)
    for module in modules:
        export_module(course, module, Path(folder) / "tinytorch")
    return Path(folder)
