"""Everything tito asks of nbgrader: the gradebook, running a notebook, its configuration.

The configuration file that `tito release` writes calls `configure` here, so that nbgrader's own commands and its
formgrader do as tito does. Importing this takes a second: import it inside functions.
"""

import contextlib
import csv
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import tito
from tito import notebook as nb  # first, for it spares the imports below two seconds
from tito.course import Course
from tito.errors import TitoError, WorkplaceError
from tito.grading.classroom import PRIVATE, Classroom
from tito.grading.execution import Execution, place
from tito.grading.findings import summary

# isort: split
import nbformat
import sqlalchemy
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbgrader import preprocessors
from nbgrader.api import BaseCell, Grade, Gradebook, InvalidEntry, Student, SubmittedAssignment, SubmittedNotebook
from nbgrader.api import app_log as nbgraders_log
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from nbgrader.utils import parse_utc
from traitlets.config import Config, PyFileConfigLoader

CONFIG = '''"""nbgrader's configuration of this folder, written by `tito release`. Add your own settings at the end."""

import os

from tito.grading.gradebook import configure

c = get_config()  # noqa: F821  given by nbgrader
configure(c, os.path.dirname(os.path.abspath(__file__)))
'''
COURSE_ID = "tinytorch"
BUSY_SECONDS = 5
FULL = ("disk is full", "disk I/O error")  # the second where files may not grow
ROOM = 1 << 20  # bytes free below which a disk is taken to be full
GRACE = 30  # seconds after which a worker that should have answered is ended


def configure(c, root):
    """Settings with which nbgrader's commands, its formgrader and `tito grade run` all work in a course folder."""
    _put_environment_on_path()
    os.environ.setdefault("TITO_OVERLAY", str(Path(root) / PRIVATE / "reference"))
    c.CourseDirectory.root = str(root)
    c.CourseDirectory.course_id = COURSE_ID
    c.Exchange.root = str(Path(root) / PRIVATE / "exchange")
    c.Execute.timeout = 60
    c.Execute.skip_cells_with_tag = "measure"
    c.Execute.shutdown_kernel = "immediate"
    c.IgnorePattern.enabled = True
    c.IgnorePattern.pattern = "(?s)."  # a warning on stderr must not cost the points of its cell
    c.GenerateAssignment.preprocessors = [Blank, preprocessors.SaveCells]
    c.Autograde.autograde_preprocessors = [
        Run if one is preprocessors.Execute else one for one in Autograde.autograde_preprocessors.default_args[0]
    ]
    c.Autograde.pre_convert_hook = before_autograde


def _put_environment_on_path():
    """nbgrader starts `alembic` by its bare name."""
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])


# --- the gradebook ---------------------------------------------------------------------------------------------------


def settings(root):
    """What `nbgrader_config.py` in a course folder sets, as nbgrader reads it."""
    return PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()


def url(root):
    """Of the database: gradebook.db in the course folder, or the `c.CourseDirectory.db_url` of its configuration."""
    chosen = settings(root).CourseDirectory.get("db_url")
    if chosen is not None:
        return chosen
    parts = sqlalchemy.engine.URL.create("sqlite", database=str(Path(root) / "gradebook.db"))
    return parts.update_query_dict({"timeout": str(BUSY_SECONDS)}).render_as_string()


def name_of(root):
    """The gradebook as messages call it, without a password."""
    database = sqlalchemy.engine.make_url(url(root))
    if database.database == str(Path(root) / "gradebook.db"):
        return f"gradebook.db in {root}"
    return f"the gradebook {database.render_as_string(hide_password=True)}"


@contextlib.contextmanager
def opened(root):
    """The gradebook. Raises WorkplaceError when it is locked or damaged."""
    _put_environment_on_path()
    nbgraders_log.setLevel(logging.CRITICAL)  # what it logs with a traceback, it also raises
    try:
        with _open(root) as book:
            yield book
    except (sqlalchemy.exc.DatabaseError, InvalidEntry) as error:
        trouble = error.__context__ if isinstance(error, InvalidEntry) else error  # nbgrader makes its own of some
        if not isinstance(trouble, sqlalchemy.exc.DatabaseError):
            raise
        raise unusable(root, trouble) from error


def _open(root):
    try:
        return Gradebook(url(root), COURSE_ID)
    except (sqlalchemy.exc.ArgumentError, ModuleNotFoundError) as error:
        raise WorkplaceError(
            f"the gradebook of {root} cannot be opened: {error}",
            "look at c.CourseDirectory.db_url in its nbgrader_config.py; the driver of the database must be installed, "
            "such as psycopg for PostgreSQL",
        ) from error


def unusable(root, error):
    what = str(getattr(error, "orig", error))
    if any(sign in what for sign in FULL):
        return WorkplaceError(
            f"{name_of(root)} cannot be written: {what}",
            "free some space on that disk (or let files grow: ulimit -f), then run this again; what is done is kept",
        )
    if "locked" in what:
        return WorkplaceError(
            f"{name_of(root)} has been locked by another program for {BUSY_SECONDS} s",
            "close what is writing to it (formgrader, nbgrader), then run this again; what is done is kept",
        )
    return WorkplaceError(f"{name_of(root)} cannot be used: {what}", "nothing was changed; is there a copy?")


def require_writable(root):
    """Raise now, and not after the first submission, when the gradebook cannot be written."""
    with opened(root) as book:
        if book.db.get_bind().dialect.name == "sqlite":
            book.db.execute(sqlalchemy.text("BEGIN IMMEDIATE"))
            book.db.rollback()


def register(root, released):
    """Enter an assignment and its cells, or bring them up to date. Raises TitoError when nbgrader cannot take it."""
    module = released.module
    resources = {"nbgrader": {"notebook": module.name, "assignment": module.slug, "db_url": url(root)}}
    with opened(root) as book:
        book.update_or_create_assignment(module.slug)
        try:
            preprocessors.SaveCells().preprocess(nbformat.from_dict(released.blank), resources)
        except RuntimeError as error:
            if "submissions" not in str(error):
                raise
            raise TitoError(
                f"module {module.label} has other cells than when it was released, and submissions are graded already",
                f"release it into another folder, or give up its marks: nbgrader db assignment remove {module.slug}",
            ) from error


def assignments(root):
    """Names of the assignments, each with the number of its submissions."""
    with opened(root) as book:
        return {one.name: one.num_submissions for one in book.assignments}


def students(root):
    with opened(root) as book:
        return [row[0] for row in book.db.execute(sqlalchemy.select(Student.id).order_by(Student.id))]


def add_students(root, names):
    with opened(root) as book:
        known = {row[0] for row in book.db.execute(sqlalchemy.select(Student.id))}
        for name in names:
            if name not in known:
                book.add_student(name)


def scores(root, assignment):
    """`{student: {cell: (automatic score, what a person made of it)}}`, None for what there is not."""
    query = (
        sqlalchemy.select(
            SubmittedAssignment.student_id, BaseCell.name, Grade.auto_score, Grade.manual_score, Grade.extra_credit
        )
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .join(BaseCell, BaseCell.id == Grade.cell_id)
    )
    with opened(root) as book:
        wanted = {one.name: one.id for one in book.assignments}.get(assignment)
        found = {}
        for student, cell, auto, manual, extra in book.db.execute(
            query.where(SubmittedAssignment.assignment_id == wanted)
        ):
            base = manual if manual is not None else auto if extra else None
            found.setdefault(student, {})[cell] = (auto, base + (extra or 0.0) if base is not None else None)
        return found


def comments(root, assignment):
    """`{student: {question: what the marker wrote}}`."""
    found = {}
    with opened(root) as book:
        for submission in book.assignment_submissions(assignment):
            for notebook in submission.notebooks:
                said = {one.name: one.manual_comment for one in notebook.comments if one.manual_comment}
                if said:
                    found.setdefault(submission.student.id, {}).update(said)
    return found


def void(root, assignment, student, cells=None):
    """Take back automatic scores (of all cells by default), so that no 0 or old mark stands for what nobody knows."""
    with opened(root) as book:
        for submission in book.student_submissions(student):
            if submission.assignment.name != assignment:
                continue
            for grade in (grade for notebook in submission.notebooks for grade in notebook.grades):
                if cells is None or grade.name in cells:
                    grade.auto_score, grade.needs_manual_grade = None, True
        book.db.commit()


class Writer:
    """The one who enters marks: a submission at a time, all its scores in one transaction, the same again if repeated.

    Leaves what `nbgrader autograde` leaves: a submission in the gradebook, scores of its cells, and a notebook in
    `autograded/`, which the formgrader shows. Late penalties are left to nbgrader's own command.
    """

    def __init__(self, root, released):
        self.root, self.released = Path(root), released

    def enter(self, submission, marks):
        """marks: of tasks, and of questions that were left as they were."""
        notebook = nb.from_json(submission.data.decode(), submission.name)
        try:
            timestamp = parse_utc(submission.timestamp) if submission.timestamp.strip() else None
        except (ValueError, OverflowError):
            marks.remarks.append("its timestamp cannot be read")
            timestamp = None
        with opened(self.root) as book:
            facts = {} if timestamp is None else {"timestamp": timestamp}
            with book.db.no_autoflush:  # or SQLAlchemy warns of what nbgrader does inside
                entered = book.update_or_create_submission(submission.assignment, submission.student, **facts)
            path = place(self.root / "autograded", submission.student, submission.assignment, submission.name)
            nb.write_atomically(path, nb.to_json(self._as_autograded(book, notebook, marks)))
            for grade in (grade for part in entered.notebooks for grade in part.grades):
                grade.auto_score = self._score(marks, grade.name)
                grade.needs_manual_grade = grade.auto_score is None or grade.manual_score is not None
            for comment in (comment for part in entered.notebooks for comment in part.comments):
                comment.auto_comment = "No response." if self._is_blank(comment.name, notebook) else None
            book.db.commit()

    def _as_autograded(self, book, notebook, marks):
        """The notebook with what was found out below its tests, and the checksums by which nbgrader sees changes."""
        source = book.find_notebook(self.released.module.name, self.released.module.slug)
        checksums = {cell.name: cell.checksum for cell in source.source_cells}
        for cell in notebook["cells"]:
            identity = nb.grade_id(cell)
            if identity in checksums:
                cell["metadata"]["nbgrader"]["checksum"] = checksums[identity]
            task = str(identity).removesuffix("-test")
            if nb.is_test(cell) and task in marks.points:
                text = summary(marks.points[task], marks.of[task], marks.findings.get(task, {}))
                cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
        return notebook

    def _score(self, marks, name):
        return marks.points.get(name.removesuffix("-test"), marks.by_hand.get(name))

    def _is_blank(self, name, notebook):
        texts = [
            next((cell["source"].strip() for cell in book["cells"] if nb.grade_id(cell) == name), "")
            for book in (self.released.blank, notebook)
        ]
        return texts[0] == texts[1]


def export(root, assignments, unknown):
    """Rows of nbgrader's own export, with empty scores for the pairs `(student, assignment)` in `unknown`."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "grades.csv"
        with opened(root) as book:
            CsvExportPlugin(to=str(plain), assignment=list(assignments)).export(book)
        with plain.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file))
    at = {name: header.index(name) for name in header}
    for row in rows:
        if (row[at["student_id"]], row[at["assignment"]]) in unknown:
            row[at["raw_score"]] = row[at["score"]] = ""
    return [header, *rows]


# --- what nbgrader's commands call -----------------------------------------------------------------------------------


class Blank(preprocessors.base.NbGraderPreprocessor):
    """Makes of a source notebook what students get, so that `nbgrader generate_assignment` gives tito's release."""

    def preprocess(self, notebook, resources):
        return nbformat.from_dict(nb.strip(json.loads(json.dumps(notebook)))), resources


class Run(preprocessors.Execute):
    """nbgrader's Execute: remembers what went wrong, skips what gives no points, and refuses a broken environment."""

    def __init__(self, *arguments, on_kernel=lambda pid: None, **settings):
        super().__init__(*arguments, **settings)
        self.on_kernel, self.began, self.at = on_kernel, False, None
        self.status, self.trouble, self.timed_out = "ok", "", []

    def start_new_kernel_client(self, **settings):
        self.on_kernel(self.km.provisioner.pid)
        client = super().start_new_kernel_client(**settings)
        self.began = True
        return client

    def preprocess(self, notebook, resources, **settings):
        try:
            done = super().preprocess(notebook, resources, **settings)
        except CellTimeoutError:
            self.status, self.trouble = "timeout", f"cell {self.at} ran too long and could not be interrupted"
            raise
        except DeadKernelError:
            self.status, self.trouble = "crashed", f"the process ended in cell {self.at} or just before it"
            raise
        except Exception as error:
            if not self.began:
                self.status, self.trouble = "unusable", f"no Jupyter kernel could be started: {error}"
            raise
        self.timed_out = [nb.grade_id(c) or c["id"] for c in notebook.cells if "CellTimeoutError" in _errors(c)]
        self._require_sound_start(notebook)
        return done

    def preprocess_cell(self, cell, resources, index):
        identity = str(nb.grade_id(cell) or cell.get("id"))
        if identity.endswith("-module"):
            return cell, resources
        self.at = identity if cell.cell_type == "code" else self.at
        return super().preprocess_cell(cell, resources, index)

    def _require_sound_start(self, notebook):
        """When the course's own first cells fail, every mark would be a wrong 0."""
        for cell in notebook.cells:
            if nb.is_solution(cell):
                return
            if nb.is_locked(cell) and _errors(cell):
                self.status = "unusable"
                self.trouble = f"the course's own cell {nb.grade_id(cell)} fails: {', '.join(_errors(cell).values())}"
                raise NbGraderException(self.trouble)


def _errors(cell):
    """Names and texts of the exceptions among a cell's outputs."""
    return {out.ename: f"{out.ename}: {out.evalue}" for out in cell.get("outputs", ()) if out.output_type == "error"}


def before_autograde(assignment, student, notebooks):
    """Give `nbgrader autograde` a package in which only the lower modules are built."""
    os.environ["TITO_OVERLAY"] = ""  # should the rest fail, the first cell fails, and nothing is graded
    room, course = Classroom(Path.cwd()), Course.find()
    folder = room.overlay(course, course.module(assignment), room.private / "overlay" / assignment)
    os.environ["TITO_OVERLAY"] = str(folder)


# --- running submissions in a process of their own -------------------------------------------------------------------


class Nbgrader(Execution):
    """nbgrader's autograder in a process that stays, with a kernel of its own for each submission.

    folder: for what is only needed while this runs. There is no isolation: student code can read what the user can.
    """

    def __init__(self, room, released, overlay, folder, limits):
        self.room, self.released, self.limits = room, released, limits
        self.folder = Path(tempfile.mkdtemp(prefix="worker-", dir=folder))
        self.overlay, self.process, self.kernel = overlay, None, None
        self._start()

    def _start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TITO_", "JUPYTER"))}
        environment.update(
            TITO_OVERLAY=str(self.overlay),
            PYTHONPATH=str(Path(tito.__file__).resolve().parent.parent),
            PYTHONUTF8="1",
            PYTHONDONTWRITEBYTECODE="1",
            OPENBLAS_NUM_THREADS="1",
            OMP_NUM_THREADS="1",
            IPYTHONDIR=str(self.folder / "ipython"),  # not the user's, whose start-up files would run
            JUPYTER_RUNTIME_DIR=str(self.folder / "jupyter"),
        )
        with open(self.room.private / "nbgrader.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from tito.grading.gradebook import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
                text=True,
                encoding="utf-8",
            )
        self.answers = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self.process, self.answers), daemon=True).start()

    def grade(self, submission):
        started = time.perf_counter()
        path = place(self.folder / "submitted", submission.student, submission.assignment, submission.name)
        nb.write_atomically(path, submission.data)
        if submission.timestamp:
            path.with_name("timestamp.txt").write_text(submission.timestamp, encoding="utf-8")
        answer = self._ask(
            root=str(self.room.root),
            student=submission.student,
            assignment=submission.assignment,
            submitted=str(self.folder / "submitted"),
            seconds=max(1, round(self.limits.cell)),
        )
        shutil.rmtree(path.parent)
        marks = self._marks(submission, answer)
        marks.seconds = round(time.perf_counter() - started, 2)
        return marks

    def _ask(self, **job):
        """The worker's answer; a worker or a kernel that does not come to an end is ended."""
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkplaceError("nbgrader could not be started", f"see {self.room.private}/nbgrader.log") from None
        deadline, late = time.monotonic() + self.limits.submission, False
        while True:
            try:
                answer = self.answers.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                if late:
                    self._restart()
                    return {"status": "timeout", "trouble": "it did not end and was ended"}
                late, deadline = True, time.monotonic() + GRACE
                _kill_group(self.kernel)
                continue
            if answer is None:
                self._restart()
                return {"status": "timeout" if late else "crashed", "trouble": "the process that graded it was ended"}
            if "kernel" in answer:
                self.kernel = answer["kernel"]
                continue
            if late:
                answer.update(status="timeout", trouble=f"it ran longer than {self.limits.submission:g} s in all")
            return answer

    def _marks(self, submission, answer):
        status, student = answer["status"], submission.student
        if status == "unusable":
            raise WorkplaceError(answer["trouble"], f"see {self.room.private / 'nbgrader.log'}, and: tito doctor")
        if status == "full":
            raise unusable(self.room.root, "the disk is full")
        if status == "locked":
            raise unusable(self.room.root, "database is locked")
        if status != "ok":
            void(self.room.root, submission.assignment, student)
            return self.released.marks(student, status, answer["trouble"])
        lost = answer["timed_out"]
        tests = [f"{identity.removesuffix('-test')}-test" for identity in lost]
        if lost:
            void(self.room.root, submission.assignment, student, tests)
        known = {name: auto for name, (auto, _) in answer["scores"].items() if name not in tests}
        points = {task: known.get(f"{task}-test") for task in self.released.points}
        remarks = [f"cell {identity} was stopped after {self.limits.cell:g} s" for identity in lost]
        return self.released.marks(student, "timeout" if lost else "graded", *remarks, points=points, by_hand=known)

    def _restart(self):
        self.close()
        self.folder.mkdir(exist_ok=True)
        self._start()

    def close(self):
        _kill_group(self.process.pid)
        _kill_group(self.kernel)
        self.process.wait()


def _read(process, answers):
    with contextlib.suppress(ValueError):  # closed under us
        for line in process.stdout:
            answers.put(json.loads(line))
    answers.put(None)


def _kill_group(pid):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if pid:
            os.killpg(pid, signal.SIGKILL)


def serve():
    """The worker: a job a line on standard input, an answer a line on standard output."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    kernel = {}
    threading.Thread(target=_end_with_parent, args=(os.getppid(), kernel), daemon=True).start()

    def emit(answer):
        if "kernel" in answer:
            kernel.update(answer)
        channel.write(json.dumps(answer) + "\n")

    for line in sys.stdin:
        emit(autograde(json.loads(line), emit))


def _end_with_parent(parent, kernel):
    """When tito was killed, nobody is left to judge what this would still write into the gradebook."""
    while os.getppid() == parent:
        time.sleep(0.2)
    _kill_group(kernel.get("kernel"))
    os._exit(1)


def autograde(job, emit):
    """Let nbgrader grade one staged submission; what came out as a dictionary."""
    root, student, assignment = Path(job["root"]), job["student"], job["assignment"]
    config = Config()
    configure(config, root)
    config.merge(settings(root))
    config.merge(Config(Execute={"timeout": job["seconds"]}))
    course = {"root": str(root), "db_url": url(root), "submitted_directory": job["submitted"]}
    config.merge(Config(CourseDirectory=course, Autograde={"pre_convert_hook": None}))
    run = Run(config=config, on_kernel=lambda pid: emit({"kernel": pid}))
    folder = CourseDirectory(config=config, student_id=student, assignment_id=assignment)
    converter = Autograde(coursedir=folder, config=config, force=True)
    steps = converter.autograde_preprocessors
    converter.autograde_preprocessors = [run if step is Run else step for step in steps]
    try:
        converter.start()
    except (NbGraderException, sqlalchemy.exc.OperationalError, OSError) as error:
        if shutil.disk_usage(root).free < ROOM:
            return {"status": "full"}
        if isinstance(error.__context__ or error, sqlalchemy.exc.OperationalError):
            return {"status": "locked"}
        status = "crashed" if run.status == "ok" else run.status
        return {"status": status, "trouble": run.trouble or f"nbgrader failed: {error}"}
    found = scores(root, assignment).get(student, {})
    return {"status": "ok", "timed_out": run.timed_out, "scores": found}
