"""`tito doctor` in healthy and broken places."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tito.guards import landlock_version


def finding(answer, name, status):
    """The only finding of this name and status."""
    found = [f for f in answer["findings"] if (f["name"], f["status"]) == (name, status)]
    assert len(found) == 1, answer["findings"]
    return found[0]


def broken(student, name, **environment):
    """What is wrong, when exactly this is."""
    answer = student.json("doctor", code=3, **environment)
    assert answer["ok"] is False
    assert {f["name"] for f in answer["findings"] if f["status"] == "FAIL"} == {name}, answer["findings"]
    return [f for f in answer["findings"] if f["status"] == "FAIL"][0]


def distribution(folder, name, version, *lines):
    """Metadata of a package as pip leaves it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    (info / "METADATA").write_text("\n".join([*head, *lines]) + "\n")
    return str(folder)


def test_a_healthy_place_is_ok(student):
    answer = student.json("doctor")
    assert answer["ok"] is True and not [f for f in answer["findings"] if f["status"] == "FAIL"]
    names = {f["name"] for f in answer["findings"]}
    assert names >= {"machine", "Python", "tito", "fork", "disk", "process", "packages", "alembic", "JupyterLab"}
    assert names >= {"tinytorch", "course", "workspace", "package", "modules", "locks", "rights"}
    assert "numpy 2." in finding(answer, "packages", "ok")["text"]
    assert str(student.work / "tinytorch") in finding(answer, "tinytorch", "ok")["text"]
    assert "1 started, 1 new" in finding(answer, "modules", "ok")["text"]
    text = student("doctor").text
    assert text.splitlines()[-1] == "next: tito" and "FAIL" not in text
    assert not [line for line in text.splitlines() if len(line) > 80 and "/" not in line]


def test_it_proves_how_submissions_can_be_isolated_here_and_says_what_would_be_better(student, tmp_path):
    """Without bubblewrap and without unshare, which are hidden by a PATH that has neither."""
    if shutil.which("bwrap"):
        text = finding(student.json("doctor"), "isolation", "ok")["text"]
        assert re.match(r"bwrap, for grading; all \d\d attempts to get out of it failed", text)
    for name in ("sh", "git", "chmod", "rm"):
        (tmp_path / name).symlink_to(shutil.which(name))
    answer = student.json("doctor", PATH=f"{Path(sys.executable).parent}:{tmp_path}")
    notes = [f for f in answer["findings"] if f["name"] == "isolation" and f["status"] == "note"]
    assert any("bwrap is not installed" in note["text"] and "apt install bubblewrap" in note["try"] for note in notes)
    level = "landlock, for grading" if landlock_version() else "grading here needs --unsafe"
    assert any(level in f["text"] for f in answer["findings"] if f["name"] == "isolation")


def test_nothing_is_changed_by_looking(student):
    def state():
        return {p: p.stat().st_mtime_ns for p in student.work.rglob("*") if p.is_file() and p.name != "lock"}

    before = state()
    student("doctor")
    assert state() == before


def test_the_home_folder_is_not_in_the_report(student, tmp_path):
    for text in (student("doctor", HOME=str(tmp_path)).text, json.dumps(student.json("doctor", HOME=str(tmp_path)))):
        assert str(tmp_path) not in text and "~/work" in text
    assert str(student.work) in student("doctor", HOME=str(tmp_path)[:-1]).flat  # a folder that only begins like it


def test_a_package_of_another_version_is_named(student, tmp_path):
    fake = distribution(tmp_path / "fake", "numpy", "1.26.4")
    wrong = broken(student, "packages", PYTHONPATH=fake)
    assert "numpy is 1.26.4" in wrong["text"] and ">=2" in wrong["text"]
    assert wrong["try"].startswith("pip install 'numpy") and "<3" in wrong["try"]


def test_a_missing_package_and_an_old_python_are_named(student, tmp_path):
    lines = ["Requires-Python: >=4", "Requires-Dist: nosuchthing>=1", "Requires-Dist: other; extra == 'dev'"]
    fake = distribution(tmp_path / "fake", "tinytorch", "9", *lines)
    answer = student.json("doctor", code=3, PYTHONPATH=fake)
    assert "nosuchthing is missing; >=1 is needed" in finding(answer, "packages", "FAIL")["text"]
    assert ">=4 is needed" in finding(answer, "Python", "FAIL")["text"]


def test_programs_that_are_not_on_path_are_named(student):
    answer = student.json("doctor", PATH="/usr/bin:/bin")
    for name in ("alembic", "tito"):
        assert "not on PATH" in finding(answer, name, "note")["text"]


def test_another_program_of_the_name_is_named(student, tmp_path):
    other = tmp_path / "bin" / "alembic"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    answer = student.json("doctor", PATH=f"{other.parent}:{student.environment()['PATH']}")
    assert str(other) in finding(answer, "alembic", "note")["text"]


def test_a_kernel_of_another_python_is_named(student, tmp_path):
    kernel = tmp_path / "share" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["/usr/bin/false", "-m"], "display_name": "Other", "language": "python"}))
    answer = student.json("doctor", JUPYTER_PATH=str(tmp_path / "share"))
    assert "/usr/bin/false, not this Python" in finding(answer, "JupyterLab", "note")["text"]


def test_a_missing_jupyterlab_is_named(student, tmp_path):
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text("import sys\nsys.modules['jupyterlab'] = None\n")
    wrong = broken(student, "JupyterLab", PYTHONPATH=f"{tmp_path / 'hide'}:{ROOT}")
    assert "pip install 'jupyterlab" in wrong["try"]


def test_which_tinytorch_a_plain_python_takes(student, tmp_path):
    inside, student.folder = student.folder, tmp_path
    answer = student.json("doctor", TITO_OVERLAY=str(inside), PYTHONPATH=str(ROOT))
    assert f"takes {ROOT / 'tinytorch'}, not yours" in finding(answer, "tinytorch", "note")["text"]
    empty = tmp_path / "broken" / "tinytorch"
    empty.mkdir(parents=True)
    (empty / "__init__.py").write_text("raise ImportError('oh dear')\n")
    answer = student.json("doctor", TITO_OVERLAY=str(inside), PYTHONPATH=str(empty.parent))
    assert "finds none (ImportError: oh dear)" in finding(answer, "tinytorch", "note")["text"]


def test_no_course_is_named(student):
    wrong = broken(student, "course", TITO_COURSE="/nowhere")
    assert "TITO_COURSE is /nowhere" in wrong["text"]


def test_a_course_that_is_not_well_formed_is_named(student):
    (student.course / "modules" / "02_square" / "square_dev.py").write_text("# %%\n1\n")
    assert "square_dev.py" in broken(student, "course")["text"]


def test_no_workspace_is_no_failure(tiny):
    text = tiny("doctor").flat
    assert "note workspace" in text and "try: tito init" in text


def test_a_folder_that_is_no_workspace_is_named(student, tmp_path):
    assert "is not a workspace" in broken(student, "workspace", TITO_OVERLAY=str(tmp_path))["text"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "workspace.json cannot be read"), ('{"format": 99, "tito": "9"}', "was made by tito 9")],
)
def test_a_workspace_of_another_version_is_named(student, content, message):
    (student.work / ".tito" / "workspace.json").write_text(content)
    assert message in broken(student, "workspace")["text"]


def test_a_changed_course_is_noted(student):
    source = student.course / "modules" / "01_double" / "double_dev.py"
    source.write_text(source.read_text() + "\n# %%\nprint(1)\n")
    note = finding(student.json("doctor"), "workspace", "note")
    assert "the course has changed since" in note["text"] and note["try"] == "tito module update 01"


def test_given_files_that_were_changed_are_named_and_can_be_put_back(student):
    package = student.work / "tinytorch"
    (package / "testing.py").write_text("def check(*_): pass\n")
    (package / "core" / "square.py").unlink()
    wrong = broken(student, "package")
    assert "tinytorch/core/square.py, tinytorch/testing.py" in wrong["text"]
    assert wrong["try"] == f"put them back with: tito init {student.work}"
    student("init", student.work)
    assert student.json("doctor")["ok"]


def test_what_a_student_built_is_no_change(student):
    student.solve("01-1")
    student.solve("01-2")
    student("module", "complete", "01")
    assert "1 completed" in finding(student.json("doctor"), "modules", "ok")["text"]
    (student.work / "tinytorch" / "core" / "double.py").unlink()
    student("init", student.work)
    wrong = broken(student, "modules")
    assert "01 double was completed, but is no longer" in wrong["text"]
    assert wrong["try"] == "tito module complete 01"


def test_a_notebook_that_is_gone_is_named(student):
    (student.work / "01_double" / "double.ipynb").unlink()
    assert "double.ipynb is gone" in broken(student, "modules")["text"]


def test_another_tito_at_work_is_noted(student):
    program = (
        "import filelock, sys\n"
        f"with filelock.FileLock({str(student.work / '.tito' / 'lock')!r}):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    other.stdout.readline()
    try:
        assert "another tito holds" in finding(student.json("doctor"), "locks", "note")["text"]
    finally:
        other.communicate()
    assert finding(student.json("doctor"), "locks", "ok")


def test_what_cannot_be_written_is_named(student):
    (student.work / "01_double" / "old.ipynb").symlink_to("/nowhere/old.ipynb")
    assert "01_double/old.ipynb cannot be written" in broken(student, "rights")["text"]


def test_a_full_disk_is_a_failure_and_little_room_a_note(tmp_path, monkeypatch):
    from tito import doctor

    assert doctor._disk(tmp_path, "here").status == "ok"
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(doctor, "LITTLE_DISK", 2 * free)
    assert doctor._disk(tmp_path, "here").status == "note"
    monkeypatch.setattr(doctor, "LEAST_DISK", 2 * free)
    assert doctor._disk(tmp_path, "here").status == "FAIL"
    assert doctor._disk(tmp_path / "gone", "here").status == "FAIL"
