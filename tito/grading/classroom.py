"""An instructor's course folder, laid out as nbgrader wants it, and what tito keeps beside it in `.grading/`."""

import contextlib
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import tito
from tito import notebook as nb
from tito.check import assemble
from tito.errors import TitoError, UsageError, WorkplaceError
from tito.grading.execution import Marks

PRIVATE = ".grading"
LOCK_SECONDS = 10
STUDENT = re.compile(r"\w[\w .@-]{0,99}")  # a folder's name and nbgrader's id; nothing a path or a glob would read


@dataclass(frozen=True)
class Released:
    """An assignment as students got it: what is graded is this, whatever the course holds by now."""

    module: object
    data: bytes

    @cached_property
    def blank(self):
        return nb.from_json(self.data.decode(), f"release/{self.module.slug}/{self.module.name}.ipynb")

    @cached_property
    def solutions(self):
        """Ids of the cells that hold the tasks, with the optional ones."""
        return [nb.grade_id(cell) for cell in self.blank["cells"] if nb.is_solution(cell)]

    @cached_property
    def points(self):
        """Points by task."""
        tests = (cell for cell in self.blank["cells"] if nb.is_test(cell))
        marks = {nb.grade_id(cell).removesuffix("-test"): cell["metadata"]["nbgrader"] for cell in tests}
        return {task: float(facts["points"]) for task, facts in marks.items() if facts["grade"]}

    @cached_property
    def by_hand(self):
        """Points by question that a person marks."""
        answers = (cell["metadata"]["nbgrader"] for cell in self.blank["cells"] if nb.is_answer(cell))
        return {facts["grade_id"]: float(facts["points"]) for facts in answers if facts["grade"]}

    def marks(self, student, status, *remarks, points=None, by_hand=None):
        """Marks in which every task of the assignment stands, those not named as not known."""
        points, by_hand = points or {}, by_hand or {}
        return Marks(
            student,
            self.module.slug,
            status,
            points={task: points.get(task) for task in self.points},
            of=self.points,
            by_hand={question: by_hand.get(question) for question in self.by_hand},
            by_hand_of=self.by_hand,
            remarks=list(remarks),
        )


class Kept(NamedTuple):
    """What came out of a run: of what (`key`), how (`grader`), with how many seconds for a task (`limit`)."""

    key: str
    grader: str
    limit: float
    marks: Marks


class Classroom:
    """The folder with `source/ release/ submitted/ autograded/`, and gradebook.db unless a database is named."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        self.private = self.root / PRIVATE

    @classmethod
    def find(cls, folder):
        room = cls(folder)
        if not room.exists:
            raise UsageError(
                f"{room.root} is not a course folder: it has no nbgrader_config.py and gradebook.db",
                "make one with: tito release 01 --to FOLDER; then stand in it, or name it with --course",
            )
        return room

    @property
    def exists(self):
        config = self.root / "nbgrader_config.py"
        has_book = (self.root / "gradebook.db").is_file()
        return config.is_file() and (has_book or "db_url" in config.read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def locked(self):
        """Only one tito at a time may release or grade here."""
        import filelock

        self.private.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.private / "lock", timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            message = f"another tito has been releasing or grading in {self.root} for {LOCK_SECONDS} s"
            raise WorkplaceError(message, "wait for it to end, then try again") from error
        try:
            yield
        finally:
            lock.release()

    # --- assignments ---

    def path(self, step, module, student=""):
        """A module's notebook in `source`, `release`, or a student's in `submitted` or `autograded`."""
        return self.root / step / student / module.slug / f"{module.name}.ipynb"

    def released(self, module):
        path = self.path("release", module)
        if not path.is_file():
            raise UsageError(
                f"module {module.label} is not released in {self.root}",
                f"tito release {module.label} --to {self.root}",
            )
        return Released(module, path.read_bytes())

    def modules(self, course):
        """The modules that are released here."""
        return [module for module in course.modules if self.path("release", module).is_file()]

    def overlay(self, course, module, folder):
        """A package for the module in `folder`: lower modules by the reference, this one and later ones not built."""
        lower = [m for m in course.modules if m.number < module.number]
        blind = next((m for m in lower if not m.has_reference), None)
        if blind:
            message = f"module {module.label} is graded on top of the reference of {blind.label}, which is not here"
            raise WorkplaceError(message, "grade with the full course, not with a student kit: set TITO_COURSE")
        shutil.rmtree(folder, ignore_errors=True)
        assemble(course, folder, lower)
        (folder / tito.WORKSPACE_MARK).mkdir(exist_ok=True)
        return folder

    # --- submissions and results ---

    def students(self, module):
        """Those who handed in a folder for this module."""
        folders = (self.root / "submitted").glob(f"*/{module.slug}")
        return sorted(path.parent.name for path in folders if path.is_dir())

    def key(self, course, released, data):
        """What is graded: the submission, the assignment, the modules below it, and by which tito."""
        below = "".join(m.hash for m in course.modules if m.number < released.module.number)
        parts = (data, nb.to_json(released.blank), below.encode(), tito.__version__.encode())
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]

    def result_path(self, module, student):
        return self.private / "results" / module.slug / f"{student}.json"

    def keep(self, module, marks, key, limit, grader):
        facts = {"key": key, "grader": grader, "limit": limit, "marks": marks.as_json()}
        text = json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True)
        nb.write_atomically(self.result_path(module, marks.student), (text + "\n").encode())

    def result(self, module, student):
        """The last run as a Kept, or None. A damaged file counts as none: it is graded again."""
        try:
            facts = json.loads(self.result_path(module, student).read_text(encoding="utf-8"))
            return Kept(facts["key"], facts["grader"], facts["limit"], Marks.from_json(facts["marks"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def require_student(name):
    """Raise unless `name` can be a student's id."""
    if not STUDENT.fullmatch(name) or name.rstrip(" .") != name:
        raise TitoError(f"{name!r} cannot be a student's id", "letters, digits, and . @ - _ or a space inside")
    return name
