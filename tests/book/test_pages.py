"""What the book adds to Sphinx, part by part; the built book is read in tests/browser."""

import re

import pytest

pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install -e '.[book]'")
pytest.importorskip("myst_nb", reason="myst-nb is not installed: pip install -e '.[book]'")

from book.pages import commands, links, modules, rates, reference, terms
from book.pages.course import BOOK, course, library_below
from tests.conftest import ROOT
from tito import notebook as nb
from tito.errors import CourseError

MODULES = pytest.mark.parametrize("module", course().modules, ids=lambda module: module.slug)


# --- modules as pages ---


@MODULES
def test_a_page_has_every_cell_of_its_module_and_no_mark_scheme(module):
    complete = nb.compile_module(module)
    page = modules.read(module.text, short=False)
    assert len(page.cells) == len(complete["cells"])
    for cell, own in zip(page.cells, complete["cells"], strict=True):
        assert "MARK SCHEME" not in cell.source
        if cell.cell_type == "code":
            assert cell.source == own["source"]  # so that it runs as its author wrote it
        if nb.is_answer(own):
            assert cell.source.rstrip().endswith(nb.ANSWER)
        if nb.is_solution(own):
            assert "NotImplementedError" in cell.metadata["blank"] and nb.BEGIN not in cell.metadata["blank"]


def test_the_short_form_skips_what_measures_and_nothing_else():
    module = course().modules[0]
    whole, short = (modules.read(module.text, short=short) for short in (False, True))
    for cell, other in zip(whole.cells, short.cells, strict=True):
        skipped = "skip-execution" in other.metadata.get("tags", [])
        assert skipped == nb.is_measure(cell) and other.source == cell.source


def test_results_are_kept_for_a_library_and_not_for_another(monkeypatch):
    module = course().modules[1]
    below = library_below(module.number)
    names = {path.relative_to(course().reference).as_posix() for path in below}
    assert "core/tensor.py" in names and "testing.py" in names and not names & {"core/activations.py", "core/layers.py"}
    first = modules.read(module.text, short=False)
    monkeypatch.setattr(modules, "library_below", lambda number: below[:-1])
    assert modules.read(module.text, short=False).cells != first.cells


def test_each_cell_knows_its_line():
    module = course().modules[0]
    lines, page = module.text.splitlines(), modules.read(module.text, short=False)
    assert all(lines[line - 1].startswith("# %%") for line in page.metadata["source_map"])


# --- figures ---


@MODULES
def test_a_module_draws_what_it_measures(module):
    cells = [cell["source"] for cell in nb.compile_module(module)["cells"] if cell["cell_type"] == "code"]
    assert sum("plt.show()" in source for source in cells) >= 2, "at least two plots"


def test_every_figure_has_a_file_words_and_a_place():
    shown = {figure["file"] for figure in modules.figures()}
    drawn = {path.name for path in (BOOK / "images").glob("*.svg")}
    assert shown == drawn and len(shown) >= 5
    for figure in modules.figures():
        module = course().module(figure["module"])
        page = modules.read(module.text, short=False)
        (cell,) = [cell for cell in page.cells if f"/images/{figure['file']}" in cell.source]
        assert cell.source.index(figure["after"]) < cell.source.index(":alt: ")
        assert len(figure["alt"].split()) > 20 and len(figure["caption"].split()) > 10


def test_a_figure_without_its_heading_ends_the_build(monkeypatch):
    figure = {"module": course().modules[0].slug, "after": "## No such part", "file": "x.svg", "alt": "", "caption": ""}
    monkeypatch.setattr(modules, "figures", lambda: [figure])
    with pytest.raises(CourseError, match="has no line '## No such part'"):
        modules.read(course().modules[0].text, short=False)


def test_what_needs_what_is_drawn_without_detours():
    arrows = {line.strip() for line in modules.graph() if "-->" in line}
    assert "m01 --> m02" in arrows and "m01 --> m07" not in arrows  # 07 reaches 01 through others
    assert len(arrows) >= len(course().modules) - 1


# --- error rates ---


def test_the_table_of_error_rates_has_every_graded_task_and_adds_up():
    ((name, text),) = rates.pages(None)
    assert f"generated/{name}" in (BOOK / "instructors.md").read_text(encoding="utf-8")
    for module in course().modules:
        graded = [task.id for task in module.tasks if task.points]
        facts = rates.rates_of(module)["tasks"]
        assert sorted(task["task"] for task in facts) == sorted(graded)
        rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
        (whole,) = [row for row in rows if row[0] == f"| {module.slug}"]
        parts = [next(row for row in rows if row[0] == f"| {task}") for task in graded]
        for column in (1, 2, 3, 5, 6, 7):
            assert int(whole[column]) == sum(int(part[column]) for part in parts)


# --- commands ---


def test_every_command_is_in_one_guide():
    text = "".join(text for _, text in commands.pages(None))
    for name in (
        "tito init",
        "tito module check",
        "tito milestone run",
        "tito grade run",
        "tito dev check",
        "tito lab",
    ):
        assert text.count(f"### `{name}`") == 1
    assert "Train less, only to see that it runs" in text
    for guide in commands.GUIDES:
        assert f"generated/commands/{guide}.md" in (BOOK / f"{guide}.md").read_text(encoding="utf-8")


def test_a_command_in_no_guide_ends_the_build(monkeypatch):
    monkeypatch.setattr(commands, "GUIDES", {"students": ("init",)})
    with pytest.raises(ValueError, match="no guide describes tito book, completion"):
        list(commands.pages(None))


# --- the reference ---


def test_docstrings_become_text_lists_and_code():
    text = "\n".join(
        reference.paragraphs(
            "Slide over x (N, C, H, W).\n\nweight, bias: of shapes (OC, C, KH, KW) and\n    (OC,); see a_b * c_d.\n"
            "Raises: ValueError where `shapes` differ.\n\n    y = f(x)"
        )
    )
    assert "Slide over x `(N, C, H, W)`." in text
    assert r"- `weight`, `bias`: of shapes `(OC, C, KH, KW)` and `(OC,)`; see a\_b \* c\_d." in text
    assert "- **Raises**: ValueError where `shapes` differ." in text
    assert "```python\ny = f(x)\n```" in text


def test_breaks_that_were_meant_stay():
    lines = ["short: it ends here, for a reason; " * 1, "another line"]
    assert "\\\n" in reference.broken(lines) and "\\\n" not in reference.broken(["word " * 24, "next"])


def test_the_reference_has_each_public_name_of_the_library():
    pages = dict(reference.pages(None))
    assert "### " not in pages["reference/tinytorch.core.training.md"]
    text = pages["reference/tinytorch.core.training.md"]
    for name in ("{py:class} tinytorch.core.training.Trainer(model, optimizer, loss_fn=None", "{py:method} fit("):
        assert name in text
    assert "tinytorch._memory" not in " ".join(pages) and " at 0x" not in "".join(pages.values())


# --- links ---


def test_links_that_lead_nowhere_are_found_and_others_are_listed(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="below/">a</a> <a href="below/#here">b</a> <a href="below/#gone">c</a> <a href="gone.html">d</a>'
        '<img src="gone.png"> <a href="#top">e</a> <p id="top"></p> <a href="https://example.org/x">f</a>'
    )
    (tmp_path / "below" / "index.html").write_text('<p id="here"></p> <a href="../index.html?q=1#top">up</a>')
    broken, external = links.examine(tmp_path)
    assert broken == [("index.html", link) for link in ("below/#gone", "gone.html", "gone.png")]
    assert external == {"https://example.org/x": {"index.html"}}


# --- terms ---


def test_a_term_spelled_otherwise_is_found_in_prose_and_not_in_code():
    text = "By backprop, with `numpy`.\n\n```\nnumpy\n```\n\nThe cross entropy of [numpy](numpy.md)\nand a mini\nbatch."
    assert terms.misspelled(text) == [
        (1, "backprop", "back-propagation"),
        (7, "cross entropy", "cross-entropy"),
        (7, "numpy", "NumPy"),
        (8, "mini\nbatch", "mini-batch"),
    ]
    module = "# %% [markdown]\n# By backprop.\n\n# %%\nbackprop = 1  # numpy\n"
    assert terms.misspelled(terms.prose_of_module(module)) == [(2, "backprop", "back-propagation")]


PROSE = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        "modules/*/module.toml",
        "milestones/*/milestone.toml",
        "tinytorch/datasets/*.md",
        "book/*.md",
    )
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("name", PROSE)
def test_terms_are_spelled_alike_also_outside_the_book(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert terms.misspelled(re.sub(r'^"[\d-]+" = \[|pip install .*', "", text, flags=re.MULTILINE)) == []


@MODULES
def test_terms_are_spelled_alike_in_the_modules(module):
    assert terms.misspelled(terms.prose_of_module(module.text)) == []
