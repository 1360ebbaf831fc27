"""A class on the tiny course: notebooks to hand in, and a course folder in which both modules are released."""

import copy
import shutil

import pytest

from tests.conftest import TINY, Tito
from tito import notebook as nb
from tito.course import Course
from tito.variants import load_wrong, solved, with_body


class Papers:
    """Notebooks that students of one module might hand in."""

    def __init__(self, module):
        self.module = module
        self.complete = nb.compile_module(module)
        self.blank = nb.strip(self.complete)
        self.right = solved(self.blank, self.complete)
        self.wrongs = load_wrong(module)
        self.sources = {nb.grade_id(cell): cell["source"] for cell in self.right["cells"] if nb.is_solution(cell)}

    def cell(self, identity):
        return next(cell for cell in self.complete["cells"] if nb.grade_id(cell) == identity)

    def with_source(self, identity, source, notebook=None):
        """All right but for one cell, found by its grade_id."""
        changed = copy.deepcopy(notebook or self.right)
        next(cell for cell in changed["cells"] if nb.grade_id(cell) == identity)["source"] = source
        return changed

    def with_body(self, task, body):
        """All right but for the body of one task."""
        return self.with_source(task, with_body(self.cell(task), body))

    def wrong(self, task, number=0):
        """All right but for one task, done as the course's own list of mistakes has it."""
        bodies = [wrong["body"] for wrong in self.wrongs if wrong["task"] == task]
        return self.with_body(task, bodies[number])

    def without(self, *identities):
        changed = copy.deepcopy(self.right)
        changed["cells"] = [cell for cell in changed["cells"] if nb.grade_id(cell) not in identities]
        return changed


@pytest.fixture(scope="session")
def papers():
    return Papers(Course(TINY).modules[0])


@pytest.fixture(scope="session")
def square_papers():
    return Papers(Course(TINY).modules[1])


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """A course folder with both modules of the tiny course; not to be changed."""
    folder = tmp_path_factory.mktemp("released") / "room"
    Tito(folder.parent, TINY)("release", "01-02", "--to", folder)
    return folder


class Teacher(Tito):
    """Stands in a course folder, with a folder `inbox` beside it."""

    def __init__(self, folder, course=TINY):
        super().__init__(folder, course)
        self.inbox = self.folder.parent / "inbox"
        self.inbox.mkdir()

    def receive(self, name, what):
        """Put something into the inbox: a notebook, bytes, or text."""
        data = nb.to_json(what) if isinstance(what, dict) else what
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def grade(self, *options, number="01", code=0):
        """`tito grade run 01 --from inbox`; the answer, its students by name."""
        if any(self.inbox.iterdir()):
            options = ["--from", self.inbox, *options]
        answer = self.json("grade", "run", number, *options, code=code)
        if code == 0:
            answer["students"] = {facts["student"]: facts for facts in answer["students"]}
            answer["collected"] = {facts["what"]: facts for facts in answer["collected"]}
        return answer


@pytest.fixture
def teacher(released, tmp_path):
    shutil.copytree(released, tmp_path / "room")
    return Teacher(tmp_path / "room")
