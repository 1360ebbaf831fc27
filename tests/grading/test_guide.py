"""The instructor's guide: every command in it is run, in order, on the real course."""

import re
import shlex

import pytest

from tests.conftest import ROOT, Tito
from tests.grading.conftest import Papers
from tito import notebook as nb
from tito.course import Course

pytestmark = pytest.mark.slow
GUIDE = ROOT / "book" / "instructors.md"
OPENS_A_BROWSER = "tito lab"  # tests/browser does that


def commands():
    """The lines of the guide's blocks that are typed in a terminal, without comments."""
    blocks = re.findall(r"^```text\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = (line.split("#")[0].strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line]


def test_every_command_of_the_guide_does_what_it_says(tmp_path):
    papers, inbox = Papers(Course(ROOT).module("01")), tmp_path / "inbox"
    inbox.mkdir()
    for name, notebook in {
        "ada": papers.right,
        "bob": papers.wrong("01-1"),
        "doejane_7_8_tensor": papers.blank,
    }.items():
        (inbox / f"{name}.ipynb").write_bytes(nb.to_json(notebook))
    typed, folder = commands(), tmp_path
    assert len(typed) >= 12
    for line in typed:
        words = shlex.split(line)
        if words[0] == "cd":
            folder = folder / words[1]
        elif not line.startswith(OPENS_A_BROWSER):
            assert words[0] == "tito", line
            Tito(folder, ROOT)(*words[1:])
    course = tmp_path / "course"
    assert (tmp_path / "kit" / "README.md").is_file()
    for name in ("marks.csv", "nbgrader.csv", "canvas.csv", "moodle.csv", "reports/01_tensor.html"):
        assert (course / name).is_file(), name
    assert "ada" in (course / "marks.csv").read_text() and "doejane" in (course / "canvas.csv").read_text()
    assert "differs" in (course / "feedback/bob/01_tensor/tensor.html").read_text()
