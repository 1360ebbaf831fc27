"""From the percent file to notebook, blank, percent and exported file."""

import ast
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tito import notebook as nb
from tito.course import Course
from tito.errors import CourseError, TitoError

HEAD = """# %% [markdown]
# # Module 05. Things

# %%
#| default_exp core.things
#| export
import numpy as np
"""


def module(tmp_path, body, head=HEAD):
    """A course of one module with this source."""
    folder = tmp_path / "modules" / "05_things"
    folder.mkdir(parents=True)
    (folder / "things_dev.py").write_text(head + body)
    (folder / "module.toml").write_text('summary = "Things"\nminutes = 1\n')
    (tmp_path / "settings.ini").write_text(
        "[DEFAULT]\nlib_name=tinytorch\nlib_path=tinytorch\nnbs_path=modules\nversion=1\n"
    )
    return Course(tmp_path).modules[0]


def exported(tmp_path, module):
    files = nb.export(nb.compile_module(module), tmp_path / "tinytorch", "origin.py", "Things")
    return {target: path.read_text() for target, path in files.items()}


TASK = """
# %% [markdown]
# ### Task 05-1. Sum

# %% nbgrader={"grade_id": "05-1", "solution": true}
#| export
class Sum:
    def total(self, x):
        # the student keeps this line
        ### BEGIN SOLUTION
        return np.sum(x)
        ### END SOLUTION


# %% nbgrader={"grade_id": "05-1-test", "points": 5}
def test_unit_sum():
    assert Sum().total([1, 2]) == 3


test_unit_sum()

# %% [markdown] nbgrader={"grade_id": "05-q1", "points": 5, "solution": true}
# Why?
#
# ### BEGIN MARK SCHEME
# Because.
# ### END MARK SCHEME
"""


def test_blank_names_the_task_and_keeps_what_is_given(tmp_path):
    blank = nb.strip(nb.compile_module(module(tmp_path, TASK)))
    cells = {nb.grade_id(cell): cell["source"] for cell in blank["cells"]}
    assert 'raise NotImplementedError("05-1 Sum.total")' in cells["05-1"]
    assert "# the student keeps this line" in cells["05-1"]
    assert "np.sum" not in json.dumps(blank) and "SOLUTION" not in json.dumps(blank)
    assert cells["05-q1"] == f"Why?\n\n{nb.ANSWER}"
    assert cells["05-here"] == "import tito\n\ntito.here()"


def test_blank_is_what_nbgrader_accepts(tmp_path):
    import nbformat
    from nbgrader.nbgraderformat import MetadataValidator

    blank = nb.strip(nb.compile_module(module(tmp_path, TASK)))
    notebook = nbformat.reads(nb.to_json(blank).decode(), as_version=4)
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    test = next(cell for cell in blank["cells"] if cell["id"] == "05-1-test")
    assert test["metadata"]["nbgrader"]["points"] == 5 and test["metadata"]["editable"] is False


def test_blank_survives_the_way_through_percent(tmp_path):
    blank = nb.strip(nb.compile_module(module(tmp_path, TASK)))
    again = nb.from_percent(nb.to_percent(blank).decode())
    assert [cell["source"] for cell in again["cells"]] == [cell["source"] for cell in blank["cells"]]
    assert [nb.grade_id(cell) for cell in again["cells"]] == [nb.grade_id(cell) for cell in blank["cells"]]
    assert nb.to_percent(again) == nb.to_percent(blank)


def test_export_has_no_trace_of_the_machine_or_of_solution_markers(tmp_path):
    text = exported(tmp_path, module(tmp_path, TASK))["core.things"]
    assert "SOLUTION" not in text and "#|" not in text and str(tmp_path) not in text and "/tmp" not in text
    assert "# %% 05-1\n" in text and "File to edit: origin.py." in text
    assert text.startswith('"""Things"""')
    ast.parse(text)


def test_two_processes_export_the_same_bytes(tmp_path):
    made = module(tmp_path, TASK)
    program = (
        "import sys; from pathlib import Path; from tito.course import Course; from tito import notebook as nb\n"
        "m = Course(sys.argv[1]).modules[0]; c = nb.compile_module(m)\n"
        "files = nb.export(c, Path(sys.argv[2]) / 'tinytorch', 'origin.py', 'Things')\n"
        "sys.stdout.buffer.write(nb.to_json(nb.strip(c)) + nb.to_percent(nb.strip(c)))\n"
        "[sys.stdout.buffer.write(p.read_bytes()) for p in files.values()]\n"
    )
    outputs = set()
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program, str(made.folder.parents[1]), str(folder)]
        outputs.add(subprocess.run(command, env=environment, capture_output=True, check=True, cwd=folder).stdout)
    assert len(outputs) == 1 and len(outputs.pop()) > 2000


def test_a_module_may_have_several_targets(tmp_path):
    body = TASK + "\n# %%\n#| export core.more\nfrom tinytorch.core.things import Sum\n\n\nclass More(Sum):\n    pass\n"
    files = exported(tmp_path, module(tmp_path, body))
    assert set(files) == {"core.things", "core.more"}
    assert "from .things import Sum" in files["core.more"] and "class More" not in files["core.things"]


def test_methods_added_over_several_cells_end_up_in_the_class(tmp_path):
    body = """
# %%
#| export
class Trainer:
    \"\"\"Trains.\"\"\"

    def __init__(self):
        self.steps = 0


# %%
from tinytorch.testing import add_to


# %% nbgrader={"grade_id": "05-2", "solution": true}
#| export
@add_to(Trainer)
def step(self, by=1):
    ### BEGIN SOLUTION
    self.steps += by
    return self
    ### END SOLUTION


# %%
#| export
@add_to(Trainer)
@property
def twice(self):
    return 2 * self.steps
"""
    text = exported(tmp_path, module(tmp_path, body))["core.things"]
    assert "add_to" not in text
    namespace = {}
    exec(text, namespace)
    assert namespace["Trainer"]().step(3).twice == 6
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "self.steps += by" in line)
    assert nb.cell_at(text, line) == ("05-2", 2)


@pytest.mark.parametrize(
    ("body", "head", "place", "message"),
    [
        ("\n# %%\nprint(1)\n", HEAD.replace("#| default_exp core.things\n", ""), "things_dev.py", "default_exp"),
        ("\n# %%\n#| export\ndef f(:\n    pass\n", HEAD, "things_dev.py:11", "syntax error"),
        (TASK + TASK, HEAD, "things_dev.py:39", "the id 05-1 is already taken at"),
        ("", HEAD.replace("#| export\n", ""), "things_dev.py", "exports nothing"),
        ('\n# %% nbgrader={"points": 5}\nprint(1)\n', HEAD, "things_dev.py:9", "without a grade_id"),
    ],
)
def test_what_is_not_well_formed_is_refused_with_its_place(tmp_path, body, head, place, message):
    with pytest.raises(CourseError) as caught:
        nb.compile_module(module(tmp_path, body, head))
    assert place in caught.value.place, caught.value.place
    assert message in str(caught.value)


def test_an_export_that_would_be_empty_is_refused(tmp_path):
    made = module(tmp_path, "\n# %%\n#| export core.nothing\n# only a comment\n")
    with pytest.raises(TitoError, match="core.nothing"):
        nb.export(nb.compile_module(made), tmp_path / "tinytorch", "origin.py")
    assert not (tmp_path / "tinytorch" / "core" / "nothing.py").exists()


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        nb.write_atomically(path, "not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


TWO_FILES = """
# %%
#| export core.ruler
def length(x):
    return len(x)

# %%
#| export
def double_length(x):
    return np.multiply(2, length(x))
"""


def test_a_second_file_is_exported_and_imported_where_its_names_are_used(tmp_path):
    files = exported(tmp_path, module(tmp_path, TWO_FILES))
    assert list(files) == ["core.things", "core.ruler"]
    assert "from .ruler import length" in files["core.things"]
    assert "import" not in files["core.ruler"]


def test_two_files_that_need_each_other_are_refused(tmp_path):
    circle = TWO_FILES + "\n# %%\n#| export core.ruler\ndef four(x):\n    return 2 * double_length(x)\n"
    with pytest.raises(TitoError, match="use names of each other"):
        exported(tmp_path, module(tmp_path, circle))


@pytest.mark.parametrize("module", Course(ROOT).modules, ids=lambda module: module.slug)
def test_what_grading_runs_is_what_is_exported(module, tmp_path):
    """Without nbdev, but the same statements in every file of the library."""
    complete = nb.compile_module(module)
    texts = nb.texts_to_run(complete, "tinytorch", module.slug)
    exported = nb.export(complete, tmp_path / "tinytorch", module.slug)
    assert texts.keys() == exported.keys()
    for target, path in exported.items():
        assert statements(texts[target], target) == statements(path.read_text(), target)


def statements(text, target):
    """The code of a file, without the list of names that nbdev adds, and with imports by full name."""
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            parent = f"tinytorch.{target}".rsplit(".", node.level)[0]
            node = ast.ImportFrom(f"{parent}.{node.module}" if node.module else parent, node.names, 0)
        text = ast.unparse(node)
        found += [] if text.startswith("__all__ =") else [text]
    return found
