"""Solution cells: the blank as students get it, and in the public view the solution below it, folded."""

from docutils import nodes

from tito.commands.module._reference import region


def setup(app):
    app.add_config_value("book_solutions", True, "env", types=(bool,))
    app.connect("doctree-read", fold)


def fold(app, doctree):
    """The cells ran with their solutions in; only what is shown changes here, and what the search finds."""
    for cell in list(doctree.findall(is_solution)):
        shown = next(iter(cell.findall(nodes.literal_block)))
        solution = region(shown.astext())
        replace_text(shown, cell["cell_metadata"]["blank"])
        if app.config.book_solutions:
            place = shown.parent.parent
            task = cell["cell_metadata"]["nbgrader"]["grade_id"]
            place.insert(place.index(shown.parent) + 1, folded(shown, task, solution))


def is_solution(node):
    return isinstance(node, nodes.container) and "blank" in node.get("cell_metadata", ())


def replace_text(block, text):
    block.rawsource = text
    block[:] = [nodes.Text(text)]


def folded(shown, task, solution):
    """A solution that opens when it is asked for."""
    block = shown.deepcopy()
    replace_text(block, solution)
    container = nodes.container(classes=["solution"])
    container += nodes.raw("", f"<details><summary>Solution of task {task}</summary>", format="html")
    container += block
    container += nodes.raw("", "</details>", format="html")
    return container
