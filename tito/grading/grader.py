"""Grades submissions in isolation: probes run on what a student wrote, each submission in forks of a warm process.

A task has full points if all results of its probe are right, else none, or those of the goals into which its author has
split it. What becomes of a task that has no mark:

- timeout, memory, crashed: it used up its time or its memory, or ended the process. It has no mark, and the submission
  has the status of the worst of its tasks. The other tasks have theirs: each runs again in a fork of its own.
- tampered: what came back was not written by the probes. No task has a mark, and a person has to look.
"""

import contextlib
import copy
import signal
import threading
import time
from dataclasses import dataclass
from functools import cached_property

from tito import notebook as nb
from tito.check import cells_to_run
from tito.errors import CourseError
from tito.gates import reached_tasks
from tito.grading import findings, probing
from tito.grading.bench import Bench
from tito.grading.execution import Execution
from tito.grading.sandbox import View, reference_of
from tito.grading.warm import Died
from tito.variants import solved_cell

PARSING = (
    threading.Lock()
)  # Python 3.11 fails when two threads parse at once (AST constructor recursion depth mismatch)
WORST_FIRST = ("tampered", "crashed", "memory", "timeout")
_ENDED = {"timeout": "timeout", "stalled": "timeout", "flood": "tampered"}
_SIGNALS = {signal.SIGXCPU: "timeout", signal.SIGKILL: "memory"}
_ERRORS = {"CellTimeout": "timeout", "MemoryError": "memory"}


class Setting:
    """What all submissions of one run share.

    package: folder with `tinytorch` in which the lower modules are built. seed: of the probes, the same for a class.
    memory: bytes for a process inside. hidden: folders that must not be seen there, besides those of the course.
    """

    def __init__(self, course, released, package, seed, memory=probing.MEMORY, hidden=()):
        self.course, self.released, self.module, self.seed = course, released, released.module, seed
        self.memory, self.hidden = memory, hidden
        self.reference, self.reach, self.goals = None, None, {}
        self.complete = nb.compile_module(self.module)
        self.bench = Bench(course, self.module, package, self.complete)
        self.probes, self.tasks = self.bench.probes, list(released.points)
        self.blanks = _solutions(released.blank)
        self.answers = {task: solved_cell({"source": text}) for task, text in _solutions(self.complete).items()}
        for place, known in ((self.probes.path, self.probes.tasks), (self.module.source, self.answers)):
            missing = sorted(set(self.tasks) - set(known))
            if missing:
                raise CourseError(place, f"has nothing for {', '.join(missing)}, which is released for points")

    def run_reference(self):
        """Compute what is right, and what builds on what: once, outside of any sandbox, before student code runs."""
        self.reach = reached_tasks(self)
        with contextlib.closing(self.bench.trusted):
            self.reference = self.bench.reference(self.seed)

        for task, worth in self.released.points.items():
            names = self.reference.values[task, self.seed]
            self.goals[task] = probing.goals_of(self.module, task, worth, names)

    @property
    def secrets(self):
        """Files that nobody may read inside."""
        return reference_of(self.course, self.module)

    @cached_property
    def view(self):
        return View.of(self.bench.trusted.package, self.course.root, *self.course.reference_roots, *self.hidden)

    def sandbox(self, level, own_lower=False):
        """A warm process of this level, with what tests import and, unless they are students', the lower modules."""
        below = ["numpy"] if own_lower else self.bench.preload
        return level(self.view, [*below, *self._imported_by_tests()])

    def _imported_by_tests(self):
        """What takes long to import: plots, where a given cell draws."""
        cells = cells_to_run(self.module, self.released.blank)
        return ["matplotlib.pyplot"] if any("matplotlib" in cell["source"] for cell in cells) else []


def _solutions(notebook):
    return {nb.grade_id(cell): cell["source"] for cell in notebook["cells"] if nb.is_solution(cell)}


@dataclass
class Outcome:
    """How one task went. `trouble` says why there can be no mark: then `points` is None."""

    worth: float
    points: float | None = None
    trouble: str = ""
    why: str = ""
    verdict: probing.Verdict | None = None
    cases: dict | None = None
    once: tuple = ()  # it has these points once these tasks are right

    @property
    def full(self):
        return self.points == self.worth

    def better(self, points, once):
        """The second chance gave more."""
        self.points, self.once = points, once


class Isolated(Execution):
    """Grades one submission after the other in a sandbox of its own.

    level: a class of `tito/grading/sandbox.py`, proved before. siblings: give a failed task a second chance, with the
    module's other tasks by the reference, so that one mistake costs once; without it marks are those of nbgrader.
    own_lower: submissions bring lower modules of their own, which each fork then has to import.
    """

    def __init__(self, setting, level, seconds=probing.TASK_SECONDS, siblings=True, own_lower=False):
        self.setting, self.level, self.seconds, self.siblings = setting, level, seconds, siblings
        self.sandbox, self.closed = setting.sandbox(level, own_lower), False

    def close(self):
        self.closed = True
        self.sandbox.close()

    def grade(self, submission):
        return Grading(self, submission).marks()

    def run(self, job):
        """The answer to a job. Raises: Died, also when this was closed by another thread."""
        if self.closed:
            raise Died("grading was ended")
        return self.sandbox.run(job)


class Grading:
    """One submission on its way."""

    def __init__(self, execution, submission):
        self.execution, self.setting, self.seconds = execution, execution.setting, execution.seconds
        self.student, self.below = submission.student, submission.below
        self.notebook = nb.from_json(submission.data.decode(), submission.name)
        self.sources = _solutions(self.notebook)
        self.phases, self.memory, self.evidence = {}, 0, []

    def marks(self):
        started = time.perf_counter()
        with self._phase("export"):
            files = self._files(self.notebook)
        with self._phase("probes"):
            outcomes = self._all_tasks(files)
        if self.execution.siblings and not self.evidence:
            with self._phase("siblings"):
                self._second_chances(outcomes)
        with self._phase("tests"):
            found = self._findings(outcomes, files)
        if self.evidence:
            outcomes = {task: Outcome(0, None, "tampered", self.evidence[0]) for task in outcomes}
        marks = self._marks(outcomes)
        marks.findings, marks.phases, marks.memory = found, self.phases, self.memory
        marks.level, marks.seed = self.execution.level.level, self.setting.seed
        marks.seconds = round(time.perf_counter() - started, 3)
        return marks

    @contextlib.contextmanager
    def _phase(self, name):
        started = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = round(time.perf_counter() - started, 4)

    # --- running ---

    def _files(self, notebook):
        with PARSING:
            return {**self.below, **probing.exported_files(self.setting.module, notebook)}

    def _run(self, files, tasks, cells=()):
        """`(Frames, how it ended, words on that)` of one fork."""
        options = {"seconds": self.seconds, "memory": self.setting.memory}
        job = self.setting.bench.job(files, tasks, [self.setting.seed], cells=cells, **options)
        try:
            answer = self.execution.run(job)
        except Died as error:
            return probing.Frames(), "crashed", f"the process that ran it was lost: {error}"
        self.memory = max(self.memory, answer["memory"])
        frames = probing.Frames.read(answer["frames"])
        ended, why = _how_it_ended(answer)
        self.evidence += forged(frames, tasks, self.setting, ended)
        return frames, ended, why

    def _all_tasks(self, files):
        """`{task: Outcome}`: all in one fork, and if that does not come to its end, what is left each in its own."""
        tasks = self.setting.tasks
        frames, ended, why = self._run(files, tasks)
        outcomes = self._outcomes(frames, tasks, ended, why)
        left = [task for task in tasks if (task, self.setting.seed) not in frames.ended]
        if ended == "timeout":
            left = left[1:]  # the first of them ran when the time was up
        if frames.imported and len(tasks) > 1:
            outcomes.update({task: self._one_task(files, task) for task in left})
        return outcomes

    def _one_task(self, files, task):
        frames, ended, why = self._run(files, [task])
        return self._outcomes(frames, [task], ended, why)[task]

    def _outcomes(self, frames, tasks, ended, why):
        return {task: self._outcome(frames, task, ended, why) for task in tasks}

    def _outcome(self, frames, task, ended, why):
        key = task, self.setting.seed
        verdict = probing.verdict(self.setting.probes, *key, frames, self.setting.reference)
        cases = frames.cases.get(key, {})
        if key in frames.ended:
            trouble = _ERRORS.get(_type_of(verdict.error), "")
        elif frames.import_error:
            verdict.error = frames.import_error
            trouble = _ERRORS.get(_type_of(verdict.error), "")
        elif frames.broken:
            trouble, why = _ERRORS.get(_type_of(frames.broken), "crashed"), "what ran it was broken by it"
        else:
            trouble = ended or "crashed"
        if verdict.ok and key in frames.ended:
            trouble = ""
        words = {
            "timeout": f"it was stopped after {self.seconds:g} s",
            "memory": "it used up its memory",
            "crashed": "the process ended itself",
        }
        worth = self.setting.released.points[task]
        points = None if trouble else verdict.points(worth, self.setting.goals[task])
        return Outcome(worth, points, trouble, why or words.get(trouble, ""), verdict, cases)

    # --- one mistake costs once ---

    def _second_chances(self, outcomes):
        failed = [task for task, outcome in outcomes.items() if not outcome.full]
        for task in filter(self._was_touched, failed):
            again = self._one_task(self._files(self._with_reference_beside(task)), task)
            if (again.points or 0) > (outcomes[task].points or 0):
                outcomes[task].better(again.points, self._what_mattered(task, failed))

    def _was_touched(self, task):
        return self.sources.get(task, "").strip() != self.setting.blanks[task].strip()

    def _with_reference_beside(self, task):
        notebook = copy.deepcopy(self.notebook)
        for cell in notebook["cells"]:
            if nb.is_solution(cell) and nb.grade_id(cell) in self.setting.answers.keys() - {task}:
                cell["source"] = self.setting.answers[nb.grade_id(cell)]
        return notebook

    def _what_mattered(self, task, failed):
        """The tasks that have to be right: those its solution reaches and that failed, as far as this can be told."""
        others = [other for other in failed if other != task]
        reached = [other for other in others if other in self.setting.reach[task]]
        return tuple(reached or others or sorted(set(self.sources) - {task}))

    # --- what came of it ---

    def _findings(self, outcomes, files):
        """`{task: facts}` for feedback. What student code sent may have any shape; it must not stop the batch."""
        own = [c for c in self.notebook["cells"] if c["id"].startswith("own-") and nb.export_target(c) is None]
        wrong = [t for t, o in outcomes.items() if self._was_touched(t) and not o.trouble and not o.verdict.ok]
        found = {}
        try:
            for task, outcome in outcomes.items():
                found[task] = findings.of_verdict(outcome.verdict, outcome.cases)
                if outcome.verdict.error:
                    with PARSING:
                        said = findings.of_error(task, outcome.verdict.error, self.setting.module, files, own)
                    found[task]["error"] = said
            if wrong and not self.evidence:
                for task, said in self._tests(wrong, files, own).items():
                    found[task]["test"] = said
        except Exception as error:
            self.evidence.append(f"what came back cannot be read: {type(error).__name__}")
        return found

    def _tests(self, tasks, files, own):
        """What the visible tests of these tasks say, from a fork in which no probe ran."""
        only = [f"{task}-test" for task in tasks]
        with PARSING:
            cells = cells_to_run(self.setting.module, self.notebook, only=only)
        for cell in cells:
            cell["seconds"] = min(cell["seconds"], self.seconds)
        frames, _, why = self._run(files, [], cells)
        with PARSING:
            told = findings.of_tests(self.setting.module, cells, frames.tests, files, own, why)
        return {task: said for task, said in told.items() if task in tasks}

    def _marks(self, outcomes):
        setting = self.setting
        troubles = {outcome.trouble for outcome in outcomes.values() if outcome.trouble and not outcome.once}
        status = next((one for one in WORST_FIRST if one in troubles), "graded")
        points = {task: outcome.points for task, outcome in outcomes.items()}
        texts = {nb.grade_id(cell): cell["source"] for cell in self.notebook["cells"] if nb.is_answer(cell)}
        blanks = {nb.grade_id(cell): cell["source"] for cell in setting.released.blank["cells"] if nb.is_answer(cell)}
        unanswered = {q: 0.0 for q in setting.released.by_hand if texts.get(q, "").strip() == blanks[q].strip()}
        remarks = dict.fromkeys(remark for task in outcomes for remark in _remarks(task, outcomes[task]))
        return setting.released.marks(self.student, status, *remarks, points=points, by_hand=unanswered)


def _remarks(task, outcome):
    if outcome.once:
        what = "is right" if outcome.full else f"has {outcome.points:g} of {outcome.worth:g} points"
        yield f"{task} {what} once {' and '.join(outcome.once)} {'is' if len(outcome.once) == 1 else 'are'} right"
    elif outcome.trouble == "tampered":
        yield f"results were forged: {outcome.why}"
    elif outcome.trouble:
        yield f"{task}: {outcome.why}"


def _type_of(error):
    return error.get("type") if isinstance(error, dict) else None


def _how_it_ended(answer):
    """`(trouble or nothing, words)` of a fork as a whole."""
    ended, code = answer["ended"], answer["code"]
    if ended == "signal":
        name = signal.Signals(code).name if code in set(signal.Signals) else code
        return _SIGNALS.get(code, "crashed"), f"the process was ended by {name}"
    if ended == "exit":
        return ("crashed", f"the process ended itself (exit code {code})") if code else ("", "")
    words = {
        "timeout": "it ran too long in all and was ended",
        "stalled": "it did not end when it was told to, and was ended",
        "flood": "it sent more results than it could have",
        "disk": "it filled the disk and was ended",
    }
    return _ENDED.get(ended, "crashed"), words.get(ended, ended)


def forged(frames, tasks, setting, ended):
    """Signs that student code wrote to where only probes write; honest code gives none."""
    asked = {(task, setting.seed) for task in tasks}
    foreign = sorted({task for task, seed in {*frames.values, *frames.ended} - asked})
    signs = [f"results of {', '.join(foreign)[:100]}, which did not run"] if foreign else []
    signs += [f"what is no result: {frames.damaged[0]}"] if frames.damaged else []
    return signs + (["more results than there can be"] if ended == "tampered" else [])
