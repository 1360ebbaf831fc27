"""`tito module open | hint | reset | undo | diff | solution | borrow | update | list` on the tiny course."""

import json
import os
import pty
import shutil
import subprocess
import sys
import time

import pytest

from tito import notebook as nb
from tito.course import Course
from tito.state import Workspace

IPYNB, PERCENT = "01_double/double.ipynb", "01_double/double.py"
STUB = 'raise NotImplementedError("01-1 double")'
NOTE = {"cell_type": "markdown", "id": "note", "metadata": {}, "source": "My own note."}
HELPER = {
    "cell_type": "code",
    "id": "helper",
    "metadata": {},
    "source": "#| export\ndef helper(x):\n    return np.add(x, x)",
    "outputs": [],
    "execution_count": None,
}
SCRATCH = {**HELPER, "id": "scratch", "source": "print('only mine')"}


@pytest.fixture
def percent(student):
    """The same, with module 01 as a percent file."""
    shutil.rmtree(student.work / "01_double")
    (student.work / ".tito" / "events.jsonl").unlink()
    student("module", "start", "01", "--format", "py")
    return student


def sources(student, path=IPYNB):
    return {cell["id"]: "".join(cell["source"]) for cell in student.cells(path)}


def change_cells(student, function, path=IPYNB):
    """Give the notebook the list of cells that `function` makes of its own."""
    notebook = json.loads((student.work / path).read_text())
    notebook["cells"] = function(notebook["cells"])
    (student.work / path).write_text(json.dumps(notebook))


def add_below(student, above, *cells):
    def put(old):
        place = [cell["id"] for cell in old].index(above) + 1
        return [*old[:place], *cells, *old[place:]]

    change_cells(student, put)


def replace(path, old, new):
    text = path.read_text()
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new))


def events(student, kind):
    lines = (student.work / ".tito" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def without_reference(student):
    """Make the course a student kit: blank modules, no solutions, no library of the course's own."""
    for module in Course(student.course).modules:
        blank = nb.to_percent(nb.strip(nb.compile_module(module)))
        module.source.rename(module.source.with_name(f"{module.name}.py")).write_bytes(blank)
    shutil.rmtree(student.course / "tinytorch")


# --- list and open ---------------------------------------------------------------------------------------------------


def test_list_names_every_module_with_its_state_in_80_columns(student):
    replace(student.course / "modules/02_square/module.toml", "Squares", "Squares and many other words " * 3)
    lines = student("module", "list").stdout.splitlines()
    assert lines[1].split() == ["01", "double", "Two", "functions", "on", "arrays", "2", "10", "5", "started"]
    assert "..." in lines[2] and lines[2].endswith("new")
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "next: tito module check 01"


def test_list_needs_no_workspace(tiny):
    answer = tiny("module", "list")
    assert "01  double" in answer.text and "tito init" in answer.flat
    assert [row["no"] for row in tiny.json("module", "list")] == ["01", "02"]


def test_open_prints_the_path(student):
    assert student("module", "open", "--print").stdout == f"{student.work / IPYNB}\n"
    assert student.json("module", "open", "01", "--print") == {"file": str(student.work / IPYNB)}


def test_open_of_a_module_not_started_says_how_to_start_it(student):
    assert "tito module start 02" in student("module", "open", "02", code=2).flat


def test_open_uses_the_editor_for_percent_files(percent, tmp_path):
    note = f'{sys.executable} -c \'import sys; open("{tmp_path}/got", "w").write(sys.argv[1])\''
    percent("module", "open", EDITOR=note)
    assert (tmp_path / "got").read_text() == str(percent.work / PERCENT)
    percent("module", "open", VISUAL="true", EDITOR="false")
    assert "exit code 1" in percent("module", "open", EDITOR="false", VISUAL="", code=3).flat
    assert "cannot start the editor 'no-such-editor'" in percent("module", "open", EDITOR="no-such-editor", code=3).flat


def test_open_without_jupyterlab_says_so(student, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['jupyterlab'] = None\n")
    text = student("module", "open", EDITOR="true", PYTHONPATH=str(tmp_path), code=3).flat
    assert "JupyterLab is not installed" in text and "pip install" in text


@pytest.mark.slow
def test_open_starts_jupyterlab_on_the_notebook(student):
    command = [sys.executable, "-m", "tito.cli", "module", "open"]
    lab = subprocess.Popen(
        command, cwd=student.work, env=student.environment(BROWSER="true"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert IPYNB in lab.stdout.readline()
    finally:
        lab.kill()
        lab.wait()
        lab.stdout.close()


# --- hint ------------------------------------------------------------------------------------------------------------


def test_hints_come_one_by_one_and_are_recorded(student):
    assert "hint 1 of 2: What is x plus x?" in student("module", "hint").flat
    answer = student.json("module", "hint", "01-1")
    assert answer["hints"] == ["Add the array to itself."] and not answer["more"]
    text = student("module", "hint", "01-1").flat
    assert "all its hints are read" in text and "tito module solution 01-1" in text
    assert [(e["task"], e["number"]) for e in events(student, "hint")] == [("01-1", 1), ("01-1", 2)]


def test_all_hints_at_once_count_as_read(student):
    text = student("module", "hint", "01-2", "--all").flat
    assert "hint 1 of 2" in text and "hint 2 of 2" in text and "tito module diff 01-2" in text
    assert len(events(student, "hint")) == 2
    student("module", "hint", "01-2", "--all")
    assert len(events(student, "hint")) == 2


def test_hint_is_for_the_first_task_that_is_not_right(student):
    student.solve("01-1")
    student("module", "check", code=1)
    assert student.json("module", "hint")["task"] == "01-2"
    student.solve("01-1", "np.multiply(x, x)")
    student.solve("01-2")
    student("module", "check", code=1)
    assert student.json("module", "hint", "01")["task"] == "01-1"
    student.solve("01-1")
    student("module", "check")
    assert "every task of 01 was right" in student("module", "hint", code=1).flat


def test_hint_for_an_unknown_task_or_without_hints(student):
    assert "its tasks are 01-1, 01-2" in student("module", "hint", "01-7", code=2).flat
    replace(student.course / "modules/01_double/module.toml", '"01-2" =', '"01-3" =')
    assert "no hint for 01-2" in student("module", "hint", "01-2", code=1).flat


# --- reset and undo --------------------------------------------------------------------------------------------------


def test_reset_of_one_task_touches_no_other_cell(student):
    student.solve("01-1")
    student.solve("01-2")
    add_below(student, "01-1-test", NOTE, HELPER)
    student.edit(IPYNB, "01-1-test", "pass")
    student.edit(IPYNB, "01-2-test", "pass")
    before = student.cells(IPYNB)
    student("module", "reset", "01-1")
    after = student.cells(IPYNB)
    assert STUB in sources(student)["01-1"] and "check_close(double" in sources(student)["01-1-test"]
    touched = {"01-1", "01-1-test"}
    assert [c for c in after if c["id"] not in touched] == [c for c in before if c["id"] not in touched]
    assert [c["id"] for c in after] == [c["id"] for c in before]
    student("module", "undo")
    assert student.cells(IPYNB) == before


@pytest.mark.parametrize(
    "gone", [("01-2",), ("01-2", "01-2-test"), ("01-1", "01-1-test", "01-2", "01-c003", "01-c004")]
)
def test_reset_brings_a_deleted_cell_back_to_its_place(student, gone):
    order = list(sources(student))
    change_cells(student, lambda cells: [cell for cell in cells if cell["id"] not in gone])
    student("module", "reset", "01-2")
    left = [identity for identity in order if identity not in set(gone) - {"01-2", "01-2-test"}]
    assert list(sources(student)) == left
    assert "01-2 quadruple" in sources(student)["01-2"]


def test_reset_leaves_one_of_two_cells_that_differ(student):
    add_below(
        student,
        "01-1",
        next({**c, "source": "#| export\ndouble = 1"} for c in student.cells(IPYNB) if c["id"] == "01-1"),
    )
    assert "two cells 01-1" in student("module", "check", code=1).flat
    student("module", "reset", "01-1")
    student("module", "check", code=1)
    assert [c["id"] for c in student.cells(IPYNB)].count("01-1") == 1


def test_reset_of_given_cells_leaves_answers(student):
    student.solve("01-1")
    student.edit(IPYNB, "01-c001", "import nothing")
    change_cells(student, lambda cells: [cell for cell in cells if cell["id"] != "01-2-test"])
    student("module", "reset", "01", "--given")
    assert "import numpy" in sources(student)["01-c001"] and "01-2-test" in sources(student)
    assert "np.add(x, x)" in sources(student)["01-1"]
    student.edit(IPYNB, "01-c001", "import nothing")
    student("module", "reset", "01-c001")
    assert "import numpy" in sources(student)["01-c001"]


def test_reset_of_a_module_asks_unless_yes(student):
    blank = sources(student)
    student.solve("01-1")
    add_below(student, "01-1", NOTE)
    assert "--yes" in student("module", "reset", "01", code=2).flat
    assert "np.add(x, x)" in sources(student)["01-1"]
    student("module", "reset", "01", "--yes")
    assert sources(student) == blank
    student("module", "undo", "01")
    assert "np.add(x, x)" in sources(student)["01-1"] and "note" in sources(student)


def answer_on_a_terminal(student, answer, *arguments):
    """Run tito on a pseudo-terminal, answering its question; returns the exit code and what it wrote."""
    lead, follow = pty.openpty()
    command = [sys.executable, "-m", "tito.cli", *arguments]
    process = subprocess.Popen(
        command, cwd=student.work, env=student.environment(), stdin=follow, stdout=follow, stderr=follow
    )
    os.close(follow)
    os.write(lead, answer)
    text = b""
    try:
        while piece := os.read(lead, 4096):
            text += piece
    except OSError:  # the other end is closed
        pass
    os.close(lead)
    return process.wait(timeout=60), text.decode()


def test_reset_takes_the_answer_on_a_terminal(student):
    student.solve("01-1")
    code, text = answer_on_a_terminal(student, b"n\n", "module", "reset", "01")
    assert code == 2 and "nothing was changed" in text and "np.add(x, x)" in sources(student)["01-1"]
    code, text = answer_on_a_terminal(student, b"y\n", "module", "reset", "01")
    assert code == 0 and "Begin all of 01 double again?" in text and STUB in sources(student)["01-1"]


def test_reset_of_what_is_not_there(student):
    assert "its tasks are 01-1, 01-2" in student("module", "reset", "01-9", code=2).flat
    assert "was not started" in student("module", "reset", "02", code=2).flat
    assert "Usage" in student("module", "reset", code=2).text or "Missing" in student("module", "reset", code=2).text


def test_reset_in_a_percent_file_changes_only_the_lines_of_the_task(percent):
    path = percent.work / PERCENT
    blank = path.read_text()
    replace(path, STUB, "return np.add(x, x)")
    replace(path, 'raise NotImplementedError("01-2 quadruple")', "return 4 * x")
    path.write_text(
        path.read_text().replace(
            "# ## Part 6.", "# Kept   as it is.\n\n# %% My title\nmine = 1\n\n# %% [markdown]\n# ## Part 6."
        )
    )
    edited = path.read_text()
    percent("module", "reset", "01-1")
    assert path.read_text() == edited.replace("return np.add(x, x)", STUB)
    percent("module", "undo")
    assert path.read_text() == edited
    percent("module", "reset", "01", "--yes")
    assert path.read_text() == blank


def test_reset_in_a_percent_file_brings_a_deleted_cell_back(percent):
    path = percent.work / PERCENT
    blank = path.read_text()
    start = blank.index('# %% nbgrader={"grade_id": "01-2", ')
    path.write_text(blank[:start] + blank[blank.index('# %% nbgrader={"grade_id": "01-2-test"') :])
    percent("module", "reset", "01-2")
    assert path.read_text() == blank


def test_undo_can_be_undone_and_lists_what_it_has(student):
    student.solve("01-1")
    first = sources(student)
    student("module", "reset", "01-1")
    second = sources(student)
    text = student("module", "undo").flat
    assert time.strftime("%d %b %Y") in text
    assert sources(student) == first
    student("module", "undo")
    assert sources(student) == second
    rows = student.json("module", "undo", "--list")
    assert [row["kept_by"] for row in rows] == ["reset", "undo", "undo"]
    student("module", "undo", "--to", "1")
    assert sources(student) == first
    assert "no snapshot 99" in student("module", "undo", "--to", "99", code=2).flat


def test_undo_brings_back_what_was_last_checked(student):
    student.solve("01-1")
    student("module", "check", code=1)
    kept = (student.work / IPYNB).read_bytes()
    (student.work / IPYNB).unlink()
    student("module", "undo", "01")
    assert (student.work / IPYNB).read_bytes() == kept
    (student.work / IPYNB).write_text("{not a notebook")
    student("module", "undo")
    assert (student.work / IPYNB).read_bytes() == kept
    student("module", "undo")
    assert (student.work / IPYNB).read_text() == "{not a notebook"


def test_undo_without_a_snapshot_says_so(student):
    assert "no earlier state" in student("module", "undo", code=2).flat
    (student.work / IPYNB).unlink()
    assert "tito module start 01" in student("module", "undo", code=2).flat
    student("module", "start", "01")
    assert STUB in sources(student)["01-1"]


def test_snapshots_taken_by_checking_are_thinned_out_and_others_are_not(student):
    student("module", "reset", "01-1")
    workspace = Workspace(student.work, Course(student.course))
    module = workspace.course.module("01")
    for number in range(43):
        student.edit(IPYNB, "01-1", f"#| export\ndef double(x):\n    return {number}")
        workspace.snapshot(module, workspace.path(module), "check")
    kept = [row["kept_by"] for row in student.json("module", "undo", "--list")]
    assert kept.count("check") == 40 and kept[0] == "reset"


# --- diff and solution -----------------------------------------------------------------------------------------------


def test_diff_shows_what_was_changed_by_task(student):
    assert "no difference" in student("module", "diff").text
    student.solve("01-1")
    add_below(student, "01-2", HELPER)
    text = student("module", "diff").text
    assert "--- blank 01-1\n+++ yours 01-1\n" in text
    assert f"-    {STUB}\n+    return np.add(x, x)\n" in text
    assert "+++ yours own cell 1, below 01-2\n" in text and "+def helper(x):" in text
    assert "own cell" not in student("module", "diff", "01-1").text
    assert "no difference" in student("module", "diff", "01-2").text


def test_diff_against_the_other_format(student):
    assert "no double.py beside double.ipynb" in student("module", "diff", "--other", code=2).flat
    (student.work / PERCENT).write_text(
        '# %% nbgrader={"grade_id": "01-1", "solution": true}\n#| export\ndef double(x):\n    return 2 * x\n'
    )
    text = student("module", "diff", "01-1", "--other").text
    assert "--- double.py 01-1" in text and "-    return 2 * x" in text


def test_solution_is_shown_when_asked_for_and_recorded(student):
    assert "--yes" in student("module", "solution", "01-1", code=2).flat
    assert events(student, "solution") == []
    text = student("module", "solution", "01-1", "--yes").text
    assert "    return np.add(x, x)\n" in text and "def double" not in text and "BEGIN SOLUTION" not in text
    student.solve("01-1", "2 * x")
    text = student("module", "diff", "01-1", "--solution", "--yes").text
    assert "-    return np.add(x, x)\n+    return 2 * x\n" in text
    assert [e["task"] for e in events(student, "solution")] == ["01-1", "01-1"]
    assert "one task at a time" in student("module", "solution", "01", "--yes", code=2).flat


def test_a_kit_has_no_solutions_and_nothing_to_borrow(student):
    without_reference(student)
    assert "comes without solutions" in student("module", "solution", "01-1", "--yes", code=2).flat
    assert "comes without solutions" in student("module", "diff", "--solution", "--yes", code=2).flat
    assert "build it yourself: tito module start 01" in student("module", "borrow", "01", code=2).flat
    student("module", "hint", "01-1")
    assert "tito module solution" not in student("module", "hint", "01-1").flat
    student.solve("01-1")
    student.solve("01-2")
    student("module", "complete")


def test_a_kit_lends_what_it_was_built_with(student):
    text = (student.course / "tinytorch/core/double.py").read_text()
    without_reference(student)
    (student.course / "modules/01_double/borrow/core").mkdir(parents=True)
    (student.course / "modules/01_double/borrow/core/double.py").write_text(text)
    student("module", "borrow", "01")
    assert student.json("module", "status")["modules"][0]["state"] == "borrowed"
    student("module", "start", "02")
    student.solve("02-1")
    student("module", "complete", "02")


# --- borrow ----------------------------------------------------------------------------------------------------------


def test_borrow_a_range_and_work_on_it(student):
    assert "tito module borrow 01-02" in student("module", "borrow", "02", code=2).flat
    student("module", "borrow", "01-02")
    assert [m["state"] for m in student.json("module", "status")["modules"]] == ["borrowed", "borrowed"]
    assert [e["module"] for e in events(student, "borrowed")] == ["01_double", "02_square"]
    student("module", "start", "02")
    student.solve("02-1")
    student("module", "complete", "02")
    assert [m["state"] for m in student.json("module", "status")["modules"]] == ["borrowed", "completed"]


def test_borrow_keeps_modules_that_the_student_built(student):
    student.solve("01-1", "np.add(x, x) + 0")
    student.solve("01-2")
    student("module", "complete", "01")
    mine = (student.work / "tinytorch/core/double.py").read_bytes()
    student("module", "borrow", "square")
    assert (student.work / "tinytorch/core/double.py").read_bytes() == mine
    assert "Replace your own 01 double?" in student("module", "borrow", "01", code=2).flat
    assert (student.work / "tinytorch/core/double.py").read_bytes() == mine
    student("module", "borrow", "01", "--yes")
    assert (student.work / "tinytorch/core/double.py").read_bytes() != mine
    student("module", "complete", "01")
    assert (student.work / "tinytorch/core/double.py").read_bytes() == mine


def test_borrow_of_what_is_not_there(student):
    assert "did you mean square?" in student("module", "borrow", "sqare", code=2).flat
    assert "runs backwards" in student("module", "borrow", "02-01", code=2).flat
    assert "there is no module '09'" in student("module", "borrow", "01-09", code=2).flat


# --- update ----------------------------------------------------------------------------------------------------------


def newer_course(student):
    """Version 2 of module 01: a task in between, the last one renumbered, a given cell and a test changed."""
    source = student.course / "modules/01_double/double_dev.py"
    replace(source, '# ### Task 01-2. Four times\n\n\n# %% nbgrader={"grade_id": "01-2", "solution": true}', TRIPLE)
    replace(source, '"01-2-test", "points": 5}\ndef test_unit_quad', '"01-3-test", "points": 5}\ndef test_unit_quad')
    replace(source, "import numpy as np\n", "import math  # new\n\nimport numpy as np\n")
    replace(source, '"a negative number too"', '"a negative number too, of course"')


TRIPLE = '''# ### Task 01-2. Three times


# %% nbgrader={"grade_id": "01-2", "solution": true}
#| export
def triple(x):
    """Three times `x`, elementwise."""
    ### BEGIN SOLUTION
    return np.add(double(x), x)
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-2-test", "points": 5}
def test_unit_triple():
    check_close(triple([1.0, 2.0]), [3.0, 6.0], "each value is taken three times")


test_unit_triple()

# %% [markdown]
# ### Task 01-3. Four times


# %% nbgrader={"grade_id": "01-3", "solution": true}'''


def test_update_carries_everything_into_a_newer_version(student):
    assert "already up to date" in student("module", "update").text
    student.solve("01-1")
    student.solve("01-2")
    student.edit(IPYNB, "01-q1", lambda old: old.replace("*Write your answer here.*", "Because 2 * 2 = 4."))
    add_below(student, "01-1-test", NOTE, HELPER, SCRATCH)
    newer_course(student)
    assert "tito module update 01" in student("module", "check", code=1).flat
    before = (student.work / IPYNB).read_bytes()
    answer = student.json("module", "update")
    assert answer["new"] == ["01-2"] and answer["gone"] == [] and answer["moved"] == {"01-2": "01-3"}
    assert answer["tested"] == ["01-1"]
    texts = sources(student)
    assert "np.add(x, x)" in texts["01-1"] and "double(double(x))" in texts["01-3"]
    assert "01-2 triple" in texts["01-2"] and "import math" in texts["01-c001"]
    assert "Because 2 * 2 = 4." in texts["01-q1"]
    place = list(texts).index("01-1-test")
    assert list(texts.values())[place + 1 : place + 4] == [c["source"] for c in (NOTE, HELPER, SCRATCH)]
    results = student.json("module", "check", code=1)["results"]
    assert [r["status"] for r in results] == ["ok", "todo", "ok"]
    assert "already up to date" in student("module", "update").text
    assert "newer version" not in student("module", "check", code=1).flat
    student("module", "undo", "01")
    assert (student.work / IPYNB).read_bytes() == before
    assert "tito module update 01" in student("module", "check", code=1).flat
    student("module", "update")
    assert sources(student) == texts


def test_update_of_a_percent_file(percent):
    path = percent.work / PERCENT
    replace(path, STUB, "return np.add(x, x)")
    replace(path, 'raise NotImplementedError("01-2 quadruple")', "return double(double(x))")
    replace(
        path,
        "\n# %% [markdown]\n# ## Part 6",
        "\n# %% [markdown]\n# My note.\n\n# %%\n#| export\ndef mine(x):\n    return x\n\n# %% [markdown]\n# ## Part 6",
    )
    newer_course(percent)
    text = percent("module", "update").flat
    assert "new: 01-2" in text and "01-2 is now 01-3" in text and "tested differently: 01-1" in text
    now = path.read_text()
    assert "return np.add(x, x)" in now and "return double(double(x))" in now and "# My note." in now
    assert "def mine(x)" in now and "import math" in now
    assert [r["status"] for r in percent.json("module", "check", code=1)["results"]] == ["ok", "todo", "ok"]


def test_update_carries_an_answer_whose_function_has_another_name_now(student):
    student.solve("01-1")
    student.edit(IPYNB, "01-1", lambda old: old + "\n# kept")
    source = student.course / "modules/01_double/double_dev.py"
    source.write_text(source.read_text().replace("double(", "twice("))
    answer = student.json("module", "update")
    assert answer["moved"] == {} and answer["gone"] == answer["new"] == [] and answer["asked"] == ["01-1"]
    assert sources(student)["01-1"].endswith("# kept") and "01-2 quadruple" in sources(student)["01-2"]
    student("module", "undo")
    assert "asked differently: 01-1" in student("module", "update").flat


def test_update_keeps_the_answer_to_a_task_that_is_gone(student):
    student.solve("01-1")
    student.solve("01-2")
    source = student.course / "modules/01_double/double_dev.py"
    text = source.read_text()
    start, end = text.index("# %% [markdown]\n# ### Task 01-2"), text.index('# %% tags=["measure"]')
    source.write_text(
        (text[:start] + text[end:]).replace("    test_unit_quadruple()\n", "").replace("quadruple", "double")
    )
    answer = student.json("module", "update")
    assert answer["gone"] == ["01-2"] and answer["kept_as_own_cells"] == ["01-2"]
    kept = [text for text in sources(student).values() if "no longer asks for" in text]
    assert len(kept) == 1 and "#     return double(double(x))" in kept[0]
    assert [r["status"] for r in student.json("module", "check")["results"]] == ["ok"]


def test_modules_and_tasks_are_offered_to_the_shell(student):
    def offered(line):
        asked = {"_TITO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        tito = [sys.executable, "-c", "from tito.cli import run; run()"]
        done = subprocess.run(tito, env=student.environment(**asked), capture_output=True, text=True, cwd=student.work)
        return [row.split(",", 1)[1] for row in done.stdout.split()]

    for command in ("hint", "reset", "solution", "diff"):
        assert offered(f"tito module {command} ") == ["01", "02"]
        assert offered(f"tito module {command} 01-") == ["01-1", "01-2"]
    assert offered("tito module borrow 01 ") == ["01", "02"]
