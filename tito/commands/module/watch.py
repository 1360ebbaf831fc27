"""Test at every save what you changed, until Ctrl-C."""

import ast
import sys
import time

import click

from tito import notebook as nb
from tito import report
from tito.check import check_notebook, remember
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.commands.module._touched import touched
from tito.commands.module.check import next_command
from tito.errors import TitoError, UsageError
from tito.rebuild import answers_of, rebuild
from tito.runner import CAN_FORK, Worker

POLL = 0.04  # seconds between two looks at the file
HALF_WRITTEN = 1.0  # seconds an editor gets to finish a file that cannot be read
SPARES = 2  # one may still be starting when saves follow each other closely
LACKING = 0.3  # the same for one in which answers have vanished


class Superseded(Exception):
    """The file was saved again while its tests ran."""


@click.command(help=__doc__)
@module_argument
@click.option("--spare", is_flag=True, help="Keep a spare process ready instead of forking a warm one.")
@click.option("--once", is_flag=True, help="End after the first answer to a save.")
@json_option
def command(module, spare, once):
    _, workspace = workplace()
    module = pick(workspace, module)
    workspace.require_needs(module)
    watch = Watch(workspace, module, spare)
    report.say(f"watching {workspace.show(watch.path)}; Ctrl-C ends it")
    try:
        ok = watch.run(once)
    except KeyboardInterrupt:
        report.say("\nstopped watching")
        return
    finally:
        watch.worker.close()
    sys.exit(0 if ok else 1)


class Ready:
    """A worker that is there at once: a warm one that forks for each job, or the first of some spare ones."""

    def __init__(self, forks, preload, stop):
        self.forks, self.preload, self.stop = forks, preload, stop
        self.workers = []
        self.refill()

    def run(self, job):
        worker = self.workers[0] if self.forks else self.workers.pop(0)
        run = worker.run(job, stop=self.stop)
        if run is None:
            raise Superseded
        return run

    def refill(self):
        while len(self.workers) < (1 if self.forks else SPARES):
            self.workers.append(Worker(self.forks, self.preload))

    def close(self):
        for worker in self.workers:
            worker.close()


class Watch:
    """The student's file, what of it was tested last, and how that went."""

    def __init__(self, workspace, module, spare):
        self.workspace, self.module = workspace, module
        self.path = workspace.file(module)
        self.blank = workspace.blank(module)
        self.worker = Ready(CAN_FORK and not spare, imports(self.blank), self.changed)
        self.stamp = self.package = self.seen = None
        self.known, self.had = {}, set()

    def run(self, once):
        """Answer to the file as it is and to every save, with `once` to one. Returns whether all was right."""
        answers, ok = 0, False
        while answers < 2 or not once:
            if not self.changed():
                time.sleep(POLL)
                continue
            noticed, self.stamp = time.perf_counter(), stamp_of(self.path)
            try:
                ok = self.answer(noticed)
                answers += 1
            except Superseded:
                pass
            self.worker.refill()
        return ok

    def changed(self):
        return stamp_of(self.path) != self.stamp

    def answer(self, noticed):
        """Test the file as it is now and say what came out; returns whether all is right."""
        try:
            outcome, tested = self.test(self.read())
        except TitoError as error:
            report.error(error.message, error.hint, error.exit_code)
            return False
        took, since = time.perf_counter() - noticed, time.time() - self.stamp[0] / 1e9
        facts = {"seconds": round(took, 4), "since_save": round(since, 4), "tested": tested}
        head = f"\n{time.strftime('%H:%M:%S')}  {self.path.name}: {len(tested)} tested in {took:.2f} s"
        report.emit_line({**facts, **outcome.as_json()}, [head, *report.check_lines(outcome, next_command(outcome))])
        remember(self.workspace, outcome)
        self.workspace.snapshot(self.module, self.path, "watch")
        return outcome.ok

    def read(self):
        """The student's notebook, once the editor has finished writing it."""
        began = time.perf_counter()
        while True:
            student, error, lacking = None, None, set()
            try:
                student = nb.read(self.path)
                lacking = self.had - set(answers_of(student))
            except FileNotFoundError:
                error = UsageError(f"{self.workspace.show(self.path)} is gone", "tito module undo brings it back")
            except TitoError as caught:
                error = caught
            waited = time.perf_counter() - began
            patience = HALF_WRITTEN if error or self.changed() else LACKING if lacking else 0
            if waited >= patience:
                break
            time.sleep(POLL / 4)
            self.stamp = stamp_of(self.path)
        if error:
            raise error
        self.had = set(answers_of(student))
        return student

    def test(self, student):
        """Run what the edit touches, and put it together with what is known of the rest."""
        notebook, package = rebuild(self.blank, student).notebook, stamp_of(self.workspace.root / "tinytorch")
        only = self.select(notebook) if package == self.package else None
        outcome = check_notebook(self.workspace, self.module, student, self.worker, only=only)
        fresh = {result.id: result for result in outcome.results}
        results = [fresh.get(task.test_id) or self.known.get(task.test_id) for task in self.module.tasks]
        outcome.results = [result for result in results if result]
        # what another cell's end kept from running must run next time, and so must all after a use of the reference
        settled = [r for r in outcome.results if "stopped_by" not in r.error and not outcome.foreign]
        self.seen, self.package, self.known = notebook, package, {result.id: result for result in settled}
        return outcome, list(fresh)

    def select(self, notebook):
        """Ids of the tests to run, None for all."""
        tests = touched(self.seen, notebook)
        if tests is None:
            return None
        unknown = {task.test_id for task in self.module.tasks} - set(self.known)
        broken = {f"{cell['id']}-test" for cell in notebook["cells"] if nb.is_solution(cell) and not parses(cell)}
        return tests | unknown | broken


def stamp_of(path):
    """What changes when a file is written; None when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def parses(cell):
    try:
        ast.parse(nb.code_of(cell["source"]))
    except (SyntaxError, ValueError):
        return False
    return True


def imports(blank):
    """Modules that the course's cells import, but for the student's own: what a worker can have ready."""
    found = {}
    for cell in blank["cells"]:
        if cell["cell_type"] == "code" and not nb.is_measure(cell) and not nb.is_here(cell) and parses(cell):
            for node in ast.walk(ast.parse(nb.code_of(cell["source"]))):
                if isinstance(node, ast.Import):
                    found.update((alias.name, True) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found[node.module] = True
    return [name for name in found if name.split(".")[0] not in ("tinytorch", "tito")]
