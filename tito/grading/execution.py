"""What it means to grade a submission, whoever does it: a Submission goes in, Marks come out."""

import queue
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

GRADED = ("graded", "partly")  # these have a mark; everything else is for a person to look at
STATUSES = (*GRADED, "timeout", "memory", "crashed", "invalid", "missing", "tampered")


@dataclass(frozen=True)
class Submission:
    """One student's notebook for one assignment, ready to run: given and test cells are the course's.

    below: what it stands on in place of the reference, the student's own lower modules: {path: text}.
    """

    student: str
    assignment: str
    name: str  # of the notebook, without its suffix
    data: bytes
    timestamp: str = ""
    below: dict = field(default_factory=dict)


@dataclass
class Marks:
    """What came out. Points are by task, and None where nobody knows them: never 0 for that reason."""

    student: str
    assignment: str
    status: str
    points: dict = field(default_factory=dict)
    of: dict = field(default_factory=dict)
    by_hand: dict = field(default_factory=dict)
    by_hand_of: dict = field(default_factory=dict)
    remarks: list = field(default_factory=list)
    seconds: float = 0.0
    phases: dict = field(default_factory=dict)  # seconds by what was done in them
    memory: int = 0  # bytes at the most
    level: str = ""  # of isolation
    seed: int | None = None  # of the probes
    findings: dict = field(default_factory=dict)  # by task, for feedback: plain data, see `tito/grading/findings.py`

    @property
    def graded(self):
        return self.status in GRADED

    @property
    def earned(self):
        """Points of the tasks; None unless it is graded."""
        return sum(p for p in self.points.values() if p is not None) if self.graded else None

    @property
    def possible(self):
        return sum(self.of.values())

    @property
    def waiting(self):
        """Answers that a person has still to mark."""
        return [question for question, points in self.by_hand.items() if points is None] if self.graded else []

    @property
    def total(self):
        """Points of tasks and answers together; None while any of them is not known."""
        if not self.graded or self.waiting:
            return None
        return self.earned + sum(self.by_hand.values())

    @property
    def total_possible(self):
        return self.possible + sum(self.by_hand_of.values())

    def as_json(self):
        return {**asdict(self), "earned": self.earned, "possible": self.possible, "waiting": self.waiting}

    @classmethod
    def from_json(cls, facts):
        return cls(**{name: facts[name] for name in cls.__dataclass_fields__})


class Execution:
    """Runs submissions, one at a time. What grading promises stands here; how it is done, in a subclass.

    A submission that dies or does not end gives Marks that say so. An exception means that nothing can be graded here.
    """

    def grade(self, submission: Submission) -> Marks:
        raise NotImplementedError

    def close(self):
        """End whatever was started, also in the middle of a `grade` in another thread."""


def grade_all(make, submissions, jobs=1):
    """Marks of all submissions, as they come. `make()` gives an Execution; `jobs` of them work side by side."""
    waiting, done = queue.SimpleQueue(), queue.SimpleQueue()
    for submission in submissions:
        waiting.put(submission)
    executions = [make() for _ in range(min(jobs, len(submissions)))]
    threads = [threading.Thread(target=_work, args=(one, waiting, done), daemon=True) for one in executions]
    for thread in threads:
        thread.start()
    try:
        for _ in submissions:
            marks = done.get()
            if isinstance(marks, BaseException):
                raise marks
            yield marks
    finally:
        for execution in executions:
            execution.close()


def _work(execution, waiting, done):
    while True:
        try:
            submission = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            done.put(execution.grade(submission))
        except BaseException as error:  # handed to the thread that waits for it
            done.put(error)
            return


@dataclass(frozen=True)
class Limits:
    """Seconds that a cell, and a whole submission, may take."""

    cell: float = 60.0

    @property
    def submission(self):
        return 3 * self.cell + 30


def place(folder, student, assignment, name):
    """Where nbgrader keeps a notebook of a student."""
    return Path(folder) / student / assignment / f"{name}.ipynb"
