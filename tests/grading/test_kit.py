"""`tito release --kit`: a course that works and in which no solution can be found."""

import ast
import io
import re
import subprocess
import sys
import textwrap
import tokenize

import pytest

from tests.conftest import ROOT, TINY, Tito
from tito import notebook as nb
from tito.course import Course
from tito.variants import solved

LEAK = 8  # tokens of a statement that make it a part of a solution
_TOKEN = re.compile(r"\w+|[^\w\s]")


@pytest.fixture(scope="module", params=[TINY, ROOT], ids=["tiny", "real"])
def kit(request, tmp_path_factory):
    """`(course, kit)` with every module."""
    folder = tmp_path_factory.mktemp("kit") / "kit"
    course = Course(request.param)
    Tito(folder.parent, request.param)("release", f"01-{course.modules[-1].label}", "--kit", "--to", folder)
    return course, Course(folder)


def test_the_notebook_of_the_kit_is_the_courses_byte_for_byte(kit):
    course, copy = kit
    assert [m.slug for m in copy.modules] == [m.slug for m in course.modules]
    for original, mine in zip(course.modules, copy.modules, strict=True):
        expected = nb.to_json(nb.strip(nb.compile_module(original)))
        assert nb.to_json(nb.strip(nb.compile_module(mine))) == expected
        assert (mine.title, mine.tasks, mine.targets, mine.imports) == (
            original.title, original.tasks, original.targets, original.imports,
        )  # fmt: skip
    assert copy.owners.keys() == course.owners.keys()


def test_nothing_of_the_workshop_is_in_it(kit):
    _, copy = kit
    names = [path.relative_to(copy.root).as_posix() for path in copy.root.rglob("*") if path.is_file()]
    for name in names:
        assert not name.endswith("_dev.py")
        assert name.rsplit("/", 1)[-1] not in ("misconceptions.py", "probes.py")
        assert "__pycache__" not in name and "/borrow/" not in name
    for target in copy.owners:
        assert f"tinytorch/{target.replace('.', '/')}.py" not in names
    assert {"settings.ini", "README.md", "tinytorch/__init__.py", "tinytorch/testing.py"} <= set(names)
    text = "".join((copy.root / n).read_text() for n in names if n.startswith("modules/"))
    assert "BEGIN SOLUTION" not in text and "MARK SCHEME" not in text


def test_no_statement_of_a_solution_can_be_read_anywhere_in_it(kit):
    course, copy = kit
    texts = {}
    for path in copy.root.rglob("*"):
        if path.is_file() and path.suffix not in (".npz", ".gz", ".svg", ".png"):
            texts[path.relative_to(copy.root).as_posix()] = f" {' '.join(_TOKEN.findall(path.read_text()))} "
    searched, found = 0, []
    for module in course.modules:
        for cell in nb.compile_module(module)["cells"]:
            for statement in statements(cell) if nb.is_solution(cell) else ():
                tokens = _TOKEN.findall(statement)
                if len(tokens) >= LEAK:
                    searched += 1
                    found += [(n, statement) for n, text in texts.items() if f" {' '.join(tokens)} " in text]
    assert searched >= len(course.modules)
    assert found == [], "\n".join(map(str, found))


def statements(cell):
    """Source of every statement in a solution region without its comments, of compound ones the head."""
    lines = cell["source"].split("\n")
    first, last = (next(n for n, line in enumerate(lines) if line.strip() == mark) for mark in (nb.BEGIN, nb.END))
    region = textwrap.dedent("\n".join(lines[first + 1 : last]))
    for node in ast.walk(ast.parse(region)):
        if isinstance(node, ast.stmt):
            end = node.body[0].lineno - 1 if getattr(node, "body", None) else node.end_lineno
            yield without_comments("\n".join(region.split("\n")[node.lineno - 1 : end]))


def without_comments(source):
    try:
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type != tokenize.COMMENT]
    except (tokenize.TokenError, IndentationError):
        return source
    return " ".join(token.string for token in tokens)


def test_the_scan_would_find_a_leak(kit):
    course, _ = kit
    cell = next(c for c in nb.compile_module(course.modules[0])["cells"] if nb.is_solution(c))
    assert any(len(_TOKEN.findall(statement)) >= LEAK for statement in statements(cell))


def test_a_student_can_work_with_it(kit, tmp_path):
    course, copy = kit
    outside = Tito(tmp_path, copy.root)
    outside("init", "work")
    student = Tito(tmp_path / "work", copy.root)
    student("module", "start", "01")
    first = course.modules[0]
    path = student.folder / first.slug / f"{first.name}.ipynb"
    assert student.json("module", "check", "01", code=1)["points"] == 0
    assert "comes without" in student("module", "borrow", "01", code=2).flat
    assert "comes without solutions" in student("module", "solution", first.tasks[0].id, "--yes", code=2).flat
    student("module", "hint", first.tasks[0].id)
    path.write_bytes(nb.to_json(solved(nb.read(path), nb.compile_module(first))))
    done = student.json("module", "complete", "01")
    assert done["ok"] and done["points"] == done["of"] > 0


def test_known_mistakes_are_named_in_it_too(kit, tmp_path):
    """The fingerprints travel, the wrong code does not."""
    from tests.grading.conftest import Papers

    course, copy = kit
    if not (course.modules[0].folder / "fingerprints.json").exists():
        pytest.skip("this course has no recorded fingerprints")
    papers = Papers(course.modules[0])
    wrong = papers.wrongs[0]
    Tito(tmp_path, copy.root)("init", "work")
    student = Tito(tmp_path / "work", copy.root)
    student("module", "start", "01")
    path = student.folder / papers.module.slug / f"{papers.module.name}.ipynb"
    path.write_bytes(nb.to_json(papers.with_body(wrong["task"], wrong["body"])))
    results = {r["task"]: r for r in student.json("module", "check", "01", code=1)["results"] if "task" in r}
    assert results[wrong["task"]]["mistake"] == wrong["mistake"]


def test_modules_may_be_made_borrowable(tiny):
    tiny("release", "01-02", "--kit", "--to", "kit", "--borrowable", "01")
    student = Tito(tiny.folder, tiny.folder / "kit")
    student("init", "work")
    student.folder = tiny.folder / "work"
    student("module", "borrow", "01")
    assert "np.add(x, x)" in (student.folder / "tinytorch" / "core" / "double.py").read_text()
    student("module", "start", "02")
    assert "comes without" in student("module", "borrow", "02", code=2).flat
    tiny("release", "01-02", "--kit", "--to", "kit")
    assert not list((tiny.folder / "kit").rglob("borrow"))


def test_a_kit_grows_and_is_the_same_when_made_again(tiny):
    tiny("release", "01", "--kit", "--to", "kit")
    kit = tiny.folder / "kit"
    assert [m.slug for m in Course(kit).modules] == ["01_double"] and not Course(kit).milestones
    tiny("release", "02", "--kit", "--to", "kit")
    assert [m.slug for m in Course(kit).modules] == ["01_double", "02_square"] and Course(kit).milestones
    before = {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    tiny("release", "01-02", "--kit", "--to", "kit")
    assert {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()} == before


def test_what_a_kit_cannot_be(tiny):
    text = tiny("release", "02", "--kit", "--to", "kit", code=2).flat
    assert "module 02 needs 01, which the kit does not hold" in text and "tito release 01-02 --kit" in text
    assert not (tiny.folder / "kit").exists()
    text = tiny("release", "01", "--kit", "--to", "kit", "--borrowable", "02", code=2).flat
    assert "02 can be borrowed only where released" in text
    assert "is a course with its reference" in tiny("release", "01", "--kit", "--to", tiny.course, code=2).flat
    (tiny.folder / "full").mkdir()
    (tiny.folder / "full" / "mine.txt").write_text("")
    assert "holds other things (mine.txt)" in tiny("release", "01", "--kit", "--to", "full", code=2).flat


def test_nothing_is_released_or_graded_from_a_kit(tiny, released, tmp_path):
    tiny("release", "01-02", "--kit", "--to", "kit")
    pupil = Tito(tmp_path, tiny.folder / "kit")
    assert "comes without the reference of module 01" in pupil("release", "01", "--to", "room", code=3).flat
    assert "comes without the reference" in pupil("release", "01", "--kit", "--to", "other", code=3).flat


@pytest.mark.slow
def test_the_real_kit_brings_its_own_tool(tmp_path):
    """In a checkout the kit can be installed by itself, without the reference that the full package holds."""
    Tito(tmp_path, ROOT)("release", "01", "--kit", "--to", "kit")
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path / "out")]
    subprocess.run([*wheel, str(tmp_path / "kit")], check=True, timeout=300)
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*install, *map(str, (tmp_path / "out").glob("*.whl"))], check=True, timeout=300)
    names = [path.relative_to(site).as_posix() for path in site.rglob("*.py")]
    assert "tito/_course/modules/01_tensor/tensor.py" in names
    assert "tinytorch/core/tensor.py" not in names and not [n for n in names if n.endswith("_dev.py")]
    alone = {"PYTHONPATH": str(site), "TITO_COURSE": ""}
    student = Tito(tmp_path, "")
    student("init", "work", **alone)
    student.folder = tmp_path / "work"
    student("module", "start", "01", **alone)
    assert student.json("module", "check", code=1, **alone)["points"] == 0
    assert [m["state"] for m in student.json("module", "status", **alone)["modules"]] == ["started"]
