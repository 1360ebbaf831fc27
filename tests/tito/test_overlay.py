"""The student's package can never be passed with the reference: every way to its code makes the check fail by name."""

import os
import shutil

import pytest

from tito.check import assemble
from tito.course import Course

IPYNB = "01_double/double.ipynb"


@pytest.fixture
def tempted(student):
    """A student beside a course with a whole reference library, who has solved 01-2 only."""
    course = Course(student.course)
    assemble(course, student.course, course.modules)
    student.solve("01-2")
    student.reference = student.course / "tinytorch" / "core" / "double.py"
    return student


def answer(student, lines, own=None):
    """Give 01-1 a body that takes the reference's code."""
    text = "\n".join(f"    {line}" for line in lines.strip("\n").split("\n"))
    student.edit(IPYNB, "01-1", f"#| export\ndef double(x):\n{text}\n")


def require_caught(student, *names, tito=None, **environment):
    """Check and complete fail and name the file, whatever the tests gave; the package stays as it was."""
    tito, target = tito or student, student.work / "tinytorch" / "core" / "double.py"
    before = target.read_bytes()
    outcome = tito.json("module", "check", "01", code=1, **environment)
    assert [r["status"] for r in outcome["results"]] == ["ok", "ok"], "the attack itself did not work"
    text = "".join(tito("module", "complete", "01", code=1, **environment).text.split())
    assert "yourcodeusesthereference" in text
    for name in map(str, names):
        assert any(name in path for path in outcome["foreign"]), outcome["foreign"]
        assert "".join(name.split()) in text
    assert target.read_bytes() == before


ATTACKS = {
    "sys.path": """
import sys
sys.path.insert(0, COURSE)
for name in [name for name in sys.modules if name.startswith("tinytorch")]:
    del sys.modules[name]
import tinytorch.core.double as taken
return taken.double(x)
""",
    "package path": """
import tinytorch.core, sys, importlib
tinytorch.core.__path__.insert(0, COURSE + "/tinytorch/core")
del sys.modules["tinytorch.core.double"]
return importlib.import_module("tinytorch.core.double").double(x)
""",
    "spec": """
import importlib.util
spec = importlib.util.spec_from_file_location("harmless", REFERENCE)
taken = importlib.util.module_from_spec(spec)
spec.loader.exec_module(taken)
return taken.double(x)
""",
    "exec": """
space = {"__name__": "tinytorch.core.double"}
exec(open(REFERENCE).read(), space)
return space["double"](x)
""",
    "runpy": """
import runpy
return runpy.run_path(REFERENCE)["double"](x)
""",
    "path object": """
import io, pathlib
space = {}
exec(io.FileIO(pathlib.Path(REFERENCE)).read(), space)
return space["double"](x)
""",
    "chdir": """
import os
here, space = os.getcwd(), {}
os.chdir(COURSE + "/tinytorch/core")
exec(open("double.py").read(), space)
os.chdir(here)
return space["double"](x)
""",
    "folder handle": """
import os
space, folder = {}, os.open(COURSE + "/tinytorch", os.O_RDONLY)
exec(open(os.open("core/double.py", os.O_RDONLY, dir_fd=folder)).read(), space)
return space["double"](x)
""",
    "copy made in the cell": """
import shutil, tempfile
space, path = {}, tempfile.mktemp()
shutil.copy(REFERENCE, path)
exec(open(path).read(), space)
return space["double"](x)
""",
    "link made in the cell": """
import os, tempfile
space, path = {}, tempfile.mktemp()
os.link(REFERENCE, path)
exec(open(path).read(), space)
return space["double"](x)
""",
    "another process": """
import subprocess, sys
space = {}
text = subprocess.run([sys.executable, "-c", f"print(open({REFERENCE!r}).read())"], capture_output=True).stdout
exec(text, space)
return space["double"](x)
""",
    "a fork": """
import os
space, (out, into) = {}, os.pipe()
if os.fork() == 0:
    os.write(into, open(REFERENCE, "rb").read())
    os._exit(0)
os.wait()
os.close(into)
exec(open(out).read(), space)
return space["double"](x)
""",
    "taken back": """
import sys
exec(open(REFERENCE).read(), space := {})
frame = sys._getframe()
while frame:
    guard = frame.f_locals.get("guard")
    if guard is not None:
        guard.seen.clear()
    frame = frame.f_back
return space["double"](x)
""",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_of_the_reference_is_named(tempted, attack):
    lines = ATTACKS[attack].replace("COURSE", repr(str(tempted.course)))
    answer(tempted, lines.replace("REFERENCE", repr(str(tempted.reference))))
    folder = attack in ("another process", "folder handle")
    require_caught(tempted, tempted.course / "tinytorch" if folder else tempted.reference)


def test_the_authors_source_is_the_reference_too(tempted):
    source = tempted.course / "modules" / "01_double" / "double_dev.py"
    answer(
        tempted,
        f"space = {{}}\nexec(open({str(source)!r}).read().split('# %% nbgrader')[1].split('}}', 1)[1], "
        "space | globals(), space)\nreturn space['double'](x)",
    )
    require_caught(tempted, source)


def test_code_taken_while_the_package_is_imported(tempted):
    tempted.edit(
        IPYNB, "01-1", f"#| export\nimport runpy\n\ndouble = runpy.run_path({str(tempted.reference)!r})['double']"
    )
    require_caught(tempted, tempted.reference)


@pytest.mark.parametrize("how", ["symlink", "hardlink", "copy", "copy under another name", "compiled"])
def test_a_link_or_copy_elsewhere_is_known_again(tempted, tmp_path, how):
    elsewhere = tmp_path / "mine" / ("notes.txt" if how.endswith("name") else "double.py")
    elsewhere.parent.mkdir()
    if how == "symlink":
        elsewhere.symlink_to(tempted.reference)
    elif how == "hardlink":
        os.link(tempted.reference, elsewhere)
    elif how == "compiled":
        import py_compile

        py_compile.compile(str(tempted.reference), cfile=str(elsewhere.with_suffix(".pyc")))
    else:
        shutil.copy(tempted.reference, elsewhere)
    if how == "compiled":
        lines = f"import sys\nsys.path.insert(0, {str(elsewhere.parent)!r})\nfrom double import double"
        tempted.edit(IPYNB, "01-1", f"#| export\n{lines}")
    else:
        answer(tempted, f"exec(open({str(elsewhere)!r}).read(), space := {{}})\nreturn space['double'](x)")
    require_caught(tempted, *([] if how in ("symlink", "compiled") else [elsewhere]), tempted.reference)


def test_a_folder_that_is_a_link_to_the_course(tempted, tmp_path):
    (tmp_path / "mine").symlink_to(tempted.course)
    answer(tempted, ATTACKS["sys.path"].replace("COURSE", repr(str(tmp_path / "mine"))))
    require_caught(tempted, tempted.reference)


def test_the_environment_does_not_lead_to_the_reference(tempted, tmp_path):
    environment = {"PYTHONPATH": str(tempted.course), "PYTHONSTARTUP": str(tempted.reference)}
    outcome = tempted.json("module", "check", "01", code=1, **environment)
    assert [r["status"] for r in outcome["results"]] == ["todo", "todo"] and outcome["foreign"] == []
    tempted("module", "complete", "01", code=1, **environment)
    answer(tempted, "import os\n" + ATTACKS["sys.path"].replace("COURSE", "os.environ['TITO_COURSE']"))
    require_caught(tempted, tempted.reference, **environment)


def test_another_current_folder_does_not_lead_to_the_reference(tempted):
    there = type(tempted)(tempted)
    there.folder = tempted.course
    overlay = {"TITO_OVERLAY": str(tempted.work)}
    outcome = there.json("module", "check", "01", code=1, **overlay)
    assert [r["status"] for r in outcome["results"]] == ["todo", "todo"] and outcome["foreign"] == []
    answer(tempted, "import os\n" + ATTACKS["sys.path"].replace("COURSE", "os.getcwd()"))
    require_caught(tempted, tempted.reference, tito=there, **overlay)


def test_the_installed_library_is_the_reference_too(tempted):
    import tinytorch

    installed = os.path.dirname(os.path.realpath(tinytorch.__file__))
    answer(tempted, f"open({installed!r} + '/testing.py').read()\nreturn np.add(x, x)")
    require_caught(tempted, installed)


# --- the package itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [shutil.copy, os.symlink])
def test_a_lower_module_put_there_by_hand_is_named(tempted, how):
    target = tempted.work / "tinytorch" / "core" / "double.py"
    target.unlink()
    how(tempted.reference, target)
    assert tempted.json("module", "status")["modules"][0]["state"] == "borrowed"
    tempted("module", "start", "02")
    tempted.solve("02-1")
    text = tempted("module", "complete", "02", code=1).flat
    assert str(target) in text and "neither tito module complete nor borrow put there" in text
    tempted("module", "borrow", "01")
    tempted("module", "complete", "02")


def test_a_lower_module_written_by_hand_is_named(tempted):
    target = tempted.work / "tinytorch" / "core" / "double.py"
    target.write_text("import numpy as np\n\ndef double(x):\n    return np.add(x, x)\n")
    tempted("module", "start", "02")
    tempted.solve("02-1")
    assert f"{target}, which neither" in tempted("module", "check", "02", code=1).flat


def test_a_package_that_is_a_link_is_refused(tempted):
    shutil.rmtree(tempted.work / "tinytorch")
    (tempted.work / "tinytorch").symlink_to(tempted.course / "tinytorch")
    text = tempted("module", "check", code=3).flat
    assert "is a link to" in text and str(tempted.course / "tinytorch") in text
    (tempted.work / "tinytorch").unlink()
    tempted("init", tempted.work)
    tempted("module", "check", code=1)


def test_hand_written_files_are_put_back_before_a_check(tempted):
    path = tempted.work / "tinytorch" / "testing.py"
    path.write_text(path.read_text() + "\n\ndef check_close(*anything, **more):\n    pass\n")
    tempted.solve("01-1", "x")
    assert [r["status"] for r in tempted.json("module", "check", code=1)["results"]] == ["failed", "failed"]


def test_borrowed_modules_and_ones_own_are_fine(tempted):
    tempted.solve("01-1")
    tempted("module", "complete", "01")
    tempted("module", "start", "02")
    tempted.solve("02-1")
    assert tempted.json("module", "complete", "02")["foreign"] == []
    tempted("module", "borrow", "01", "--yes")
    assert tempted.json("module", "complete", "02")["foreign"] == []


def test_files_of_ones_own_and_of_python_are_fine(tempted, tmp_path):
    (tmp_path / "table.txt").write_text("2")
    answer(
        tempted,
        f"import json, decimal, linecache\nreturn np.multiply(x, int(open({str(tmp_path / 'table.txt')!r}).read()))",
    )
    assert tempted.json("module", "complete", "01")["foreign"] == []
