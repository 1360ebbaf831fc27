"""Module files as pages: read as notebooks, without mark schemes, with figures; and the overview of all modules."""

import os
import tomllib

import nbformat
from docutils import nodes
from sphinx.util import logging

from book.pages.course import BOOK, course, fingerprint, library_below, link_to, page_of
from tito import notebook as nb
from tito.errors import CourseError

log = logging.getLogger(__name__)
LINK, FIGURES = BOOK / "modules", BOOK / "figures.toml"


def setup(app):
    app.connect("config-inited", use_module_files, priority=100)  # before myst-nb looks for the formats it is to read
    app.connect("source-read", note_library)
    app.connect("doctree-read", look_at_plots)


def use_module_files(app, config):
    """Let Sphinx see the module files where they are, through a link in its source folder."""
    if not LINK.is_dir():
        LINK.symlink_to(os.path.relpath(course().modules[0].folder.parent, BOOK), target_is_directory=True)
    config.nb_custom_formats = {"_dev.py": ["book.pages.modules.read", {"short": config.book_short}]}


def note_library(app, docname, content):
    """A page is read again when the library has changed on which its cells stand, or a figure."""
    module = next((module for module in course().modules if page_of(module) == docname), None)
    for path in [FIGURES, *library_below(module.number)] if module else ():
        app.env.note_dependency(str(path))


def read(text, short):
    """The notebook that Sphinx runs and shows: complete, but questions as students get them.

    Solution cells carry the student's blank in their metadata. short: cells that measure are not run.
    """
    module = course().owners[nb.default_target(nb.from_percent(text))]
    complete = nb.compile_module(module)
    blanks = {nb.grade_id(cell): cell["source"] for cell in nb.strip(complete)["cells"]}
    code = [cell for cell in complete["cells"] if cell["cell_type"] == "code"]
    # myst-nb keeps results by the code and its metadata; they also depend on the modules below
    code[0]["metadata"]["stands_on"] = fingerprint(library_below(module.number))
    for cell in complete["cells"]:
        if nb.is_answer(cell):
            cell["source"] = blanks[nb.grade_id(cell)]
        elif nb.is_solution(cell):
            cell["metadata"]["blank"] = blanks[nb.grade_id(cell)]
        elif short and nb.is_measure(cell):
            cell["metadata"]["tags"] = [*cell["metadata"]["tags"], "skip-execution"]
    insert_figures(module, complete)
    complete["metadata"]["source_map"] = nb.lines_of_cells(module, complete)
    return nbformat.from_dict(complete)


def look_at_plots(app, doctree):
    """Say what a plot is to those who do not see it; warn of a cell that ran, should have drawn one, and did not."""
    for cell in doctree.findall(is_code_cell):
        plots = list(cell.findall(nodes.image))
        for plot in plots:
            plot["alt"] = "The plot that the code above draws"
        skipped = "skip-execution" in cell["cell_metadata"].get("tags", [])
        if "plt.show(" in cell.astext() and not skipped and not plots:
            log.warning("a cell with plt.show() has no plot", location=cell, type="book", subtype="plot")


def is_code_cell(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def figures():
    """The entries of `figures.toml`."""
    return tomllib.loads(FIGURES.read_text(encoding="utf-8"))["figure"]


def insert_figures(module, notebook):
    """Put each figure of this module behind the heading that it belongs to."""
    for figure in figures():
        if figure["module"] == module.slug:
            cell = next((c for c in notebook["cells"] if figure["after"] in c["source"].split("\n")), None)
            if cell is None:
                raise CourseError(FIGURES, f"{module.source} has no line {figure['after']!r}")
            cell["source"] = cell["source"].replace(figure["after"], f"{figure['after']}\n\n{markdown(figure)}\n", 1)


def markdown(figure):
    """A figure in MyST's Markdown, with its number left to the reader's counting and its text for who cannot see it."""
    alt, caption = (" ".join(figure[key].split()) for key in ("alt", "caption"))
    return f":::{{figure}} /images/{figure['file']}\n:alt: {alt}\n:width: 100%\n\n{caption}\n:::"


# --- the overview ----------------------------------------------------------------------------------------------------


def pages(app):
    yield "modules.md", "\n".join([*table(), "", *graph()]) + "\n"


def table():
    yield "| Module | What you build | Tasks | Minutes |"
    yield "|---|---|--:|--:|"
    for module in course().modules:
        title = module.title.partition(". ")[2]
        cells = [link_to(module, f"{module.label} {title}"), module.settings["summary"]]
        cells += [sum(not task.optional for task in module.tasks), module.settings["minutes"]]
        yield f"| {' | '.join(map(str, cells))} |"


def graph():
    """What needs what, read from the imports: an arrow where a module is not already reached through another one."""
    yield "```{mermaid}"
    yield ":alt: " + "; ".join(sentence(module) for module in course().modules if direct(module))
    yield ""
    yield "flowchart LR"
    for module in course().modules:
        yield f'  m{module.label}["{module.label} {module.name}"]'
    for module in course().modules:
        yield from (f"  m{needed.label} --> m{module.label}" for needed in direct(module))
    yield "```"


def sentence(module):
    return f"{module.name} stands on {' and '.join(needed.name for needed in direct(module))}"


def direct(module):
    """The modules it needs, without those that they need themselves."""
    needs = course().needs(module)
    return [m for m in needs if not any(m in below(other) for other in needs)]


def below(module):
    """All modules that it needs, however indirectly."""
    needs = course().needs(module)
    return set(needs).union(*(below(needed) for needed in needs))
