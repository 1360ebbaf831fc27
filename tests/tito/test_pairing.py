"""The percent file that JupyterLab keeps beside a notebook: one work in two forms, of which the notebook counts."""

import json
import os
import urllib.error

import pytest

from tests.conftest import Tito
from tests.lab import Lab
from tito import notebook as nb

NOTEBOOK, TEXT, SETTINGS = "01_double/double.ipynb", "01_double/double.py", "01_double/jupytext.toml"
RIGHT = "#| export\ndef double(x):\n    return np.add(x, x)"


@pytest.fixture
def paired(student, tmp_path):
    """A student's JupyterLab, in which the notebook was saved once; `read` and `save` do what the browser does."""
    lab = Lab(student, tmp_path, "--no-browser")
    lab.read = lambda: lab.json(f"/api/contents/{NOTEBOOK}?type=notebook")["content"]
    lab.save = lambda content: lab.put(f"/api/contents/{NOTEBOOK}", {"type": "notebook", "content": content})
    assert not (student.work / TEXT).exists()
    lab.save(lab.read())
    yield lab
    lab.end()


def solved_in(content):
    for cell in content["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "01-1":
            cell["source"] = RIGHT
    return content


@pytest.mark.slow
def test_saving_in_the_lab_writes_both_and_a_change_of_the_text_arrives_there(student, paired):
    text = (student.work / TEXT).read_text()
    assert text.startswith("# %% [markdown]\n# # Module 01. Doubling") and '"grade_id": "01-1"' in text
    paired.save(solved_in(paired.read()))
    text = (student.work / TEXT).read_text()
    assert RIGHT in text
    before = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in paired.read()["cells"] if nb.grade_id(cell)}
    (student.work / TEXT).write_text(text.replace("np.add(x, x)", "2 * np.array(x)"))  # in an editor
    after = paired.read()
    for cell in after["cells"]:
        if nb.grade_id(cell):
            assert cell["metadata"] == before[nb.grade_id(cell)]["metadata"] | cell["metadata"], "nothing is lost"
    assert any("return 2 * np.array(x)" in cell["source"] for cell in after["cells"])
    paired.save(after)
    inside = Tito(student.work, student.course)
    results = inside.json("module", "check", code=1)["results"]
    assert [result["status"] for result in results if result["id"] == "01-1-test"] == ["ok"]


@pytest.mark.slow
def test_two_that_differ_are_refused_and_a_reset_leaves_one(student, paired):
    paired.save(solved_in(paired.read()))
    inside = Tito(student.work, student.course)
    text = (student.work / TEXT).read_text()
    (student.work / TEXT).write_text(text.replace("np.add(x, x)", "x * 3"))
    said = inside("module", "check", code=1).flat
    assert "double.ipynb and double.py were both worked on and differ in 01-1" in said
    inside("module", "reset", "01-1", "--yes")
    assert (student.work / TEXT).exists(), "it is more than a copy"
    os.utime(student.work / TEXT, (1e9, 1e9))
    with pytest.raises(urllib.error.HTTPError, match="400"):  # the Lab does not choose either
        paired.read()
    (student.work / TEXT).unlink()
    paired.save(solved_in(paired.read()))
    inside("module", "reset", "01-1", "--yes")
    assert not (student.work / TEXT).exists(), "a copy of what is no more"
    assert "NotImplementedError" in json.dumps(paired.read())  # and the Lab opens what tito wrote
    inside("module", "undo")
    assert RIGHT in [cell["source"] for cell in paired.read()["cells"]]


@pytest.mark.slow
def test_whoever_wants_no_pair_has_none(student, tmp_path):
    (student.work / SETTINGS).write_text('formats = ""\n')
    lab = Lab(student, tmp_path, "--no-browser")
    try:
        content = lab.json(f"/api/contents/{NOTEBOOK}?type=notebook")["content"]
        lab.put(f"/api/contents/{NOTEBOOK}", {"type": "notebook", "content": content})
        assert (student.work / SETTINGS).read_text() == 'formats = ""\n' and not (student.work / TEXT).exists()
    finally:
        lab.end()


def test_a_percent_file_has_no_pair(tiny):
    from tito.commands.lab import pair

    tiny("init", "work")
    inside = Tito(tiny.work, tiny.course)
    inside("module", "start", "01", "--format", "py")
    pair(tiny.work / TEXT)
    assert not (tiny.work / SETTINGS).exists()


def test_a_damaged_notebook_can_be_brought_back_beside_its_text(student):
    inside = Tito(student.work, student.course)
    inside("module", "check", code=1)
    (student.work / SETTINGS).write_text('formats = "ipynb,py:percent"\n')
    (student.work / TEXT).write_text("# %%\nx = 1\n")
    (student.work / NOTEBOOK).write_text("{")
    inside("module", "undo")
    assert json.loads((student.work / NOTEBOOK).read_text())["cells"]
    assert (student.work / TEXT).read_text() == "# %%\nx = 1\n"
