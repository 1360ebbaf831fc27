"""`tito grade collect`: files as Canvas, Moodle, nbgrader and people name them; notebooks of other editors."""

import copy
import io
import json
import zipfile

import pytest

from tests.conftest import tree
from tito import notebook as nb


def packed(files):
    """Bytes of a zip of `{name: notebook or bytes}`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, what in files.items():
            archive.writestr(name, nb.to_json(what) if isinstance(what, dict) else what)
    return stream.getvalue()


def collect(teacher, *names, code=0):
    answer = teacher.json("grade", "collect", *(teacher.inbox / name for name in names), code=code)
    return {one["what"]: (one["done"], one["student"], one["why"]) for one in answer.get("collected", ())}


def handed_in(teacher, module="01_double"):
    return sorted(path.parent.name for path in (teacher.folder / "submitted").glob(f"*/{module}"))


def test_a_zip_of_canvas_is_read_by_its_names(teacher, papers):
    teacher.receive(
        "submissions.zip",
        packed(
            {
                "doejane_4711_90210_double.ipynb": papers.right,
                "roejohn_LATE_4712_90211_double-1.ipynb": papers.wrong("01-2"),
                "roejohn_LATE_4712_90212_notes.ipynb": {
                    "cells": [],
                    "metadata": {},
                    "nbformat": 4,
                    "nbformat_minor": 5,
                },
                "poemax_4713_90213_essay.docx": b"not a notebook",
                "__MACOSX/._doejane_4711_90210_double.ipynb": b"junk",
            }
        ),
    )
    found = collect(teacher, "submissions.zip")
    assert found["doejane_4711_90210_double.ipynb"] == ("taken", "doejane_4711", "")
    assert found["roejohn_LATE_4712_90211_double-1.ipynb"] == ("taken", "roejohn_4712", "handed in late")
    assert found["roejohn_LATE_4712_90212_notes.ipynb"][0] == "ignored"
    assert found["poemax_4713_90213_essay.docx"][0] == "ignored"
    assert handed_in(teacher) == ["doejane_4711", "roejohn_4712"]
    people = json.loads((teacher.folder / ".grading/people.json").read_text())
    assert people["doejane_4711"]["number"] == "4711" and people["roejohn_4712"]["late"] is True


@pytest.mark.parametrize("form", ["folders", "flat"])
def test_a_zip_of_moodle_is_read_in_both_its_forms(teacher, papers, form):
    between = "/" if form == "folders" else ""
    names = [f"{who}_assignsubmission_file_{between}double.ipynb" for who in ("Jane Doe_101", "Zoé O Brien_102")]
    teacher.receive("moodle.zip", packed(dict.fromkeys(names, papers.right)))
    assert {student for _, student, _ in collect(teacher, "moodle.zip").values()} == {"Jane Doe_101", "Zoé O Brien_102"}
    assert handed_in(teacher) == ["Jane Doe_101", "Zoé O Brien_102"]


def test_files_go_to_the_module_whose_cells_they_hold(teacher, papers, square_papers):
    teacher.receive("ada.ipynb", papers.right)
    teacher.receive("box/bob/02_square/square.ipynb", square_papers.right)
    teacher.receive("other.ipynb", {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    found = collect(teacher, "ada.ipynb", "box", "other.ipynb")
    assert (found["ada.ipynb"][0], found["bob"][0], found["other.ipynb"][0]) == ("taken", "taken", "ignored")
    assert handed_in(teacher) == ["ada"] and handed_in(teacher, "02_square") == ["bob"]


def test_notebooks_of_other_editors_are_taken(teacher, papers):
    colab, code = copy.deepcopy(papers.right), copy.deepcopy(papers.right)
    colab.update(nbformat_minor=0)
    colab["metadata"]["colab"] = {"provenance": []}
    for number, cell in enumerate(colab["cells"]):
        del cell["id"]
        cell["metadata"]["id"] = f"x{number}"
        cell["source"] = cell["source"].splitlines(keepends=True)
    for number, cell in enumerate(code["cells"]):
        cell["id"] = f"#VSC-{number:08}"
        cell["metadata"]["vscode"] = {"languageId": "python"}
    teacher.receive("colab.ipynb", colab)
    teacher.receive("code.ipynb", code)
    teacher.receive("percent.py", nb.to_percent(papers.right))
    students = teacher.grade()["students"]
    assert {name: facts["earned"] for name, facts in students.items()} == {"colab": 10, "code": 10, "percent": 10}


@pytest.mark.parametrize("name", ["../out.ipynb", "/etc/out.ipynb", "a/../../out.ipynb", "C:\\out.ipynb"])
def test_a_zip_that_reaches_outside_is_refused_whole(teacher, papers, name, tmp_path):
    teacher.receive("submissions.zip", packed({"doejane_1_2_double.ipynb": papers.right, name: papers.right}))
    before = set(tree(tmp_path))
    assert "leads outside" in teacher("grade", "collect", teacher.inbox / "submissions.zip", code=2).flat
    assert {path for path in set(tree(tmp_path)) - before if ".grading" not in str(path)} == set()


def test_what_does_not_exist_or_is_no_zip_is_said(teacher):
    assert "does not exist" in teacher("grade", "collect", "nowhere.zip", code=2).flat
    teacher.receive("broken.zip", b"PK\x03\x04 and no more")
    assert collect(teacher, "broken.zip")["broken.zip"][0] == "refused"
