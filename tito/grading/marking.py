"""From a folder of submissions to marks: look at each before it runs, run what is new, keep what came out."""

import contextlib
import functools
import hashlib
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from random import SystemRandom

from tito import notebook as nb
from tito.check import without_syntax_errors
from tito.errors import TitoError
from tito.grading import gradebook
from tito.grading.classroom import require_student
from tito.grading.execution import Limits, Submission, grade_all
from tito.grading.probing import MEMORY, TASK_SECONDS, Probes, exported_files
from tito.rebuild import answers_of, rebuild

FILE_BYTES = 20 << 20  # a notebook with all its plots has a few


@dataclass
class Seen:
    """A submission as it was found. `marks` are given when there is nothing to run."""

    student: str
    key: str = ""
    submission: Submission | None = None
    remarks: tuple = ()
    lost: tuple = ()
    marks: object = None


@dataclass(frozen=True)
class How:
    """How a class is graded.

    isolation: the level to take, by default the best. unsafe: also without any. memory: bytes for a process inside.
    dask: address of a scheduler on whose workers the submissions run; by default they run here. own_lower: submissions
    stand on the lower modules that the same student handed in, and on the reference only where there is none.
    """

    executor: str = "isolated"
    seconds: float | None = None  # that a task may take, or with nbgrader a cell
    siblings: bool = True
    isolation: str | None = None
    unsafe: bool = False
    memory: int = MEMORY
    dask: str | None = None
    own_lower: bool = False

    @property
    def limits(self):
        return Limits(self.seconds or (TASK_SECONDS if self.executor == "isolated" else Limits.cell))

    def grader(self, module, one):
        """A word for what else a result depends on."""
        if self.executor != "isolated":
            return self.executor
        below = one.submission.below if one.submission else {}
        facts = f"{self.siblings} {Probes(module).text} {json.dumps(below, sort_keys=True)}"
        return f"isolated {hashlib.sha256(facts.encode()).hexdigest()[:16]}"


def mark(room, course, module, again=False, jobs=2, how=None, say=print):
    """`(Marks, whether they are new)` for every student, as they come. The folder must be locked."""
    how, released = how or How(), room.released(module)
    gradebook.require_writable(room.root)
    gradebook.add_students(room.root, [name for name in room.students(module) if _is_student(name)])
    seen = [examine(room, course, released, name, how.own_lower) for name in roll(room, module)]
    known = gradebook.scores(room.root, module.slug)
    to_run = {}
    for one in seen:
        kept = None if again else _kept(room, released, one, known, how)
        if one.marks:
            _forget(room, module, one.student, known)
            yield _settle(room, released, one, one.marks, how), False
        elif kept:
            yield kept, False
        else:
            to_run[one.student] = one
    if to_run:
        way = _by_nbgrader if how.executor == "nbgrader" else _on_cluster if how.dask else _isolated
        with _folder(room) as folder, way(room, course, released, folder, how, jobs, say) as (run, enter):
            for marks in run([one.submission for one in to_run.values()]):
                one = to_run[marks.student]
                enter(one.submission, marks)
                yield _settle(room, released, one, marks, how), True


@contextlib.contextmanager
def _folder(room):
    """A folder for what is only needed while submissions run."""
    folder = room.private / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _isolated(room, course, released, folder, how, jobs, say):
    """`(what makes Marks of submissions, what enters Marks into the gradebook)`."""
    from tito.grading import sandbox
    from tito.grading.grader import Isolated, Setting

    package = room.overlay(course, released.module, folder / "overlay")
    setting = Setting(course, released, package, new_seed(), how.memory, hidden=[room.root])
    setting.run_reference()
    level, proofs = sandbox.choose(setting.view, setting.secrets, how.unsafe, how.isolation)
    say(sandbox.words(level, proofs))

    def make():
        return Isolated(setting, level, how.limits.cell, how.siblings, how.own_lower)

    yield functools.partial(grade_all, make, jobs=jobs), gradebook.Writer(room.root, released).enter


@contextlib.contextmanager
def _on_cluster(room, course, released, folder, how, jobs, say):
    from tito.grading import cluster

    facts = (course.hash, released.module.slug, released.data, new_seed(), how.limits.cell)
    order = cluster.Order(*facts, how.siblings, how.isolation, how.unsafe, how.memory, how.own_lower)
    say(f"submissions run on the cluster of {how.dask}")
    yield functools.partial(cluster.grade_all, how.dask, order), gradebook.Writer(room.root, released).enter


@contextlib.contextmanager
def _by_nbgrader(room, course, released, folder, how, jobs, say):
    say("submissions run without isolation: nbgrader has none")
    overlay = room.overlay(course, released.module, folder / "overlay")

    def make():
        return gradebook.Nbgrader(room, released, overlay, folder, how.limits)

    yield functools.partial(grade_all, make, jobs=jobs), lambda submission, marks: None  # nbgrader has entered them


def new_seed():
    """Of the probes of one run: not known before it."""
    return SystemRandom().getrandbits(31)


def roll(room, module):
    """Everybody in the gradebook or with a submission."""
    return sorted({*gradebook.students(room.root), *room.students(module)})


def _is_student(name):
    try:
        return bool(require_student(name))
    except TitoError:
        return False


def _kept(room, released, one, known, how):
    """Marks of an earlier run of the same, if they still stand in the gradebook."""
    kept = room.result(released.module, one.student)
    if kept is None or (kept.key, kept.grader) != (one.key, how.grader(released.module, one)):
        return None
    if kept.marks.status == "timeout" and how.limits.cell > kept.limit:
        return None
    book = known.get(one.student, {})
    same = all(book.get(f"{task}-test", (None,))[0] == points for task, points in kept.marks.points.items())
    return kept.marks if same else None


def _settle(room, released, one, marks, how):
    """Add what was seen before the run, and keep the marks: in the gradebook first, then in the store."""
    marks.remarks = [*one.remarks, *marks.remarks]
    if one.lost and marks.status == "graded":
        marks.status = "partly"
        marks.points.update(dict.fromkeys(set(one.lost) & set(marks.points)))
        tests = [f"{task}-test" for task in one.lost if task in marks.points]
        gradebook.void(room.root, marks.assignment, marks.student, tests)
    if one.key:
        room.keep(released.module, marks, one.key, how.limits.cell, how.grader(released.module, one))
    return marks


def _forget(room, module, student, known):
    """What an earlier submission earned must not stand for one that cannot run."""
    if any(auto is not None for auto, _ in known.get(student, {}).values()):
        gradebook.void(room.root, module.slug, student)


# --- looking at a submission before it runs ---


def examine(room, course, released, student, own_lower=False):
    """What a student handed in: ready to run, or the Marks that say why it cannot be. own_lower: see How."""
    path = room.path("submitted", released.module, student)
    try:
        require_student(student)
        data = read_bytes(path)
    except FileNotFoundError:
        return Seen(student, marks=released.marks(student, "missing", _what_is_there(path)))
    except TitoError as error:
        return Seen(student, marks=released.marks(student, "invalid", error.message))
    below, remarks = _own_lower(room, course, released.module, student) if own_lower else ({}, [])
    key = room.key(course, released, data)
    try:
        one = _prepare(released, student, key, data, path)
    except TitoError as error:
        return Seen(student, key, marks=released.marks(student, "invalid", error.message))
    return replace(one, submission=replace(one.submission, below=below), remarks=(*one.remarks, *remarks))


def _own_lower(room, course, module, student):
    """`({path: text}, remarks)` of the lower modules that the student handed in; nothing of them runs here."""
    files, remarks = {}, []
    for lower in course.modules:
        path = room.path("submitted", lower, student)
        if lower.number >= module.number or not path.exists():
            continue
        try:
            one = _prepare(room.released(lower), student, "", read_bytes(path), path)
        except TitoError as error:
            remarks.append(f"module {lower.label} is the reference's: {error.message}")
        else:
            files |= exported_files(lower, nb.from_json(one.submission.data.decode(), path.name))
    return files, remarks


def read_bytes(path):
    """The bytes of a file that somebody else wrote: no link, no device, not too large."""
    if path.resolve() != path.absolute():
        raise TitoError(f"{path.name} is reached through a link to another place")
    if path.exists() and not path.is_file():
        raise TitoError(f"{path.name} is not a file")
    if path.stat().st_size > FILE_BYTES:
        raise TitoError(f"{path.name} has {path.stat().st_size >> 20} MB; at most {FILE_BYTES >> 20} are read")
    return path.read_bytes()


def _what_is_there(path):
    if not path.parent.is_dir():
        return "nothing was handed in"
    others = sorted(p.name for p in path.parent.iterdir() if not p.name.startswith("."))
    shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    return f"there is no {path.name} in {path.parent.parent.name}/{path.parent.name}, only: {shown or 'nothing'}"


def _prepare(released, student, key, data, path):
    """Put the answers into the notebook as it was released. Raises TitoError when there is nothing to put in."""
    theirs = parse(data, path.name)
    tasks = required(released)
    missing = [task for task in tasks if task not in answers_of(theirs)]
    if len(missing) == len(tasks):
        raise TitoError(
            f"none of the {len(tasks)} cells to fill in is there: another notebook, or its metadata was lost"
        )
    rebuilt = rebuild(released.blank, theirs)
    notebook, broken = without_syntax_errors(rebuilt.notebook, released.blank)
    remarks = [f"cell {task} is missing; its points are not known" for task in missing]
    remarks += differences(released.blank, theirs) + [result.error["type"] for result in broken]
    timestamp = path.with_name("timestamp.txt")
    stamp = timestamp.read_text(encoding="utf-8", errors="replace")[:100] if timestamp.is_file() else ""
    submission = Submission(student, released.module.slug, released.module.name, nb.to_json(_untagged(notebook)), stamp)
    return Seen(student, key, submission, tuple(remarks), tuple(missing))


def required(released):
    """Tasks with points, of which an answer must be there."""
    return [task for task in released.solutions if task in released.points]


def parse(data, name):
    """The notebook in the bytes of a file. Raises TitoError that says what is wrong, without advice for students."""
    try:
        notebook = nb.from_json(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise TitoError(f"{name} is not text in UTF-8 (byte {error.start})") from error
    except TitoError as error:
        raise TitoError(error.message) from error
    except RecursionError as error:
        raise TitoError(f"{name} is not a notebook: it is nested without end") from error
    return notebook


def _untagged(notebook):
    """Tags decide what is skipped, so those on cells of the student's own are left out."""
    for cell in notebook["cells"]:
        if cell["id"].startswith("own-"):
            cell["metadata"].pop("tags", None)
    return notebook


def differences(blank, theirs):
    """What was mended, for whoever grades: given cells edited or deleted, cells that stand there twice."""
    count = Counter(nb.grade_id(cell) for cell in theirs["cells"] if nb.grade_id(cell))
    texts = {nb.grade_id(cell): cell["source"].strip() for cell in theirs["cells"]}
    given = {nb.grade_id(cell): cell["source"].strip() for cell in blank["cells"] if nb.is_locked(cell)}
    edited = [i for i, text in given.items() if i in texts and texts[i] != text]
    deleted = [i for i in given if i not in texts]
    ours = {nb.grade_id(cell) for cell in blank["cells"]}
    doubled = [i for i, times in count.items() if times > 1 and i in ours]
    found = {
        "edits to given cells do not count": edited,
        "deleted given cells were put back": deleted,
        "these cells stand there more than once": doubled,
    }
    return [f"{what}: {', '.join(ids)}" for what, ids in found.items() if ids]


# --- what is known by now ---


def handed_in(room, released, student):
    """The notebook that a student handed in, as it is now; one without cells where it cannot be read."""
    try:
        path = room.path("submitted", released.module, student)
        return parse(read_bytes(path), path.name)
    except (TitoError, OSError):  # `standing` says what is wrong with it
        return {"cells": []}


def standing(room, course, module):
    """Marks of every student as they stand: the last run's, with what was marked by hand. Nothing is run."""
    released, known = room.released(module), gradebook.scores(room.root, module.slug)
    found = []
    for student in roll(room, module):
        one = examine(room, course, released, student)
        kept = room.result(module, student)
        if one.marks:
            marks = one.marks
        elif kept and kept.key == one.key:
            marks = kept.marks
        else:
            marks = released.marks(student, "waiting", "handed in, not graded yet")
        found.append(with_hand(marks, known.get(student, {})))
    return found


def with_hand(marks, book):
    """Let marks given by hand in nbgrader's formgrader count before the automatic ones."""
    for task in marks.points:
        hand = book.get(f"{task}-test", (None, None))[1]
        marks.points[task] = hand if hand is not None else marks.points[task]
    for question in marks.by_hand:
        auto, hand = book.get(question, (None, None))
        marks.by_hand[question] = hand if hand is not None else auto if marks.graded else None
    if not marks.graded and marks.points and None not in marks.points.values():
        marks.status = "graded"
    return marks


def jobs_here():
    return max(1, min(2, os.cpu_count() or 1))
