"""`make demo` on the tiny course: it succeeds, and it fails when a mark is not what it must be."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, TINY, Tito

pytestmark = pytest.mark.slow


def demo(course, *arguments):
    environment = Tito(ROOT, course).environment()
    command = [sys.executable, str(ROOT / "tests" / "demo.py"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_it_shows_commands_and_marks_in_80_columns(tmp_path):
    done = demo(TINY, "--into", tmp_path / "kept")
    assert done.returncode == 0, done.stdout + done.stderr
    for shown in ("ada$ tito module complete 02", "prof$ tito grade run 01", "ok: modules 2, milestones 1, marks 12"):
        assert shown in done.stdout
    own = [line for line in done.stdout.splitlines() if str(tmp_path) not in line]
    assert max(map(len, own)) <= 80
    assert (tmp_path / "kept" / "instructor" / "class" / "marks.csv").is_file()
    again = demo(TINY, "--into", tmp_path / "kept")
    assert again.returncode == 2 and "is not empty" in again.stderr


def test_a_mistake_that_is_given_points_is_found(tmp_path):
    shutil.copytree(TINY, tmp_path / "course")
    probes = tmp_path / "course" / "modules" / "01_double" / "probes.py"
    biting = probes.read_text()
    probes.write_text(
        biting.replace("quadruple(number)", "quadruple(0.0)").replace("quadruple(array)", "quadruple(0.0)")
    )
    assert probes.read_text().count("quadruple(0.0)") == 2
    done = demo(tmp_path / "course")
    assert done.returncode == 1
    assert "demo: FAIL: dora got points for 01-2 in spite of: it is doubled once" in done.stderr
