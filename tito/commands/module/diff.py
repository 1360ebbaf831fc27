"""Show what you changed, by task."""

import click

from tito import notebook as nb
from tito import report
from tito.commands._common import complete_task, json_option, pick_task, workplace
from tito.commands.module._reference import reveal
from tito.errors import UsageError
from tito.rebuild import answers_of, difference, own_cells
from tito.variants import solved_cell


@click.command(help=__doc__)
@click.argument("module", metavar="[TASK|NN]", required=False, shell_complete=complete_task)
@click.option("--other", is_flag=True, help="Against your file of the other format, .py or .ipynb.")
@click.option("--solution", is_flag=True, help="Against the course's solution; that you saw it is recorded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(module, other, solution, yes):
    _, workspace = workplace()
    module, task = pick_task(workspace, module)
    path = workspace.file(module)
    mine = nb.read(path)
    if solution:
        tasks = [task] if task else list(module.tasks)
        seen = reveal(workspace, module, tasks, yes)
        before = {identity: solved_cell({"source": source}) for identity, source in seen.items()}
        names, after = ("course", "yours"), {i: text for i, text in answers_of(mine).items() if i in before}
    elif other:
        before, after = contents(workspace, module, nb.read(other_file(path))), contents(workspace, module, mine)
        names = (other_file(path).name, path.name)
    else:
        base = workspace.base(module)
        names, before, after = ("blank", "yours"), contents(workspace, module, base), contents(workspace, module, mine)
    if task:
        before, after = ({i: text for i, text in side.items() if i == task.id} for side in (before, after))
    lines = difference(*map(stripped, (before, after)), names)
    show(module, task, path, names[0], lines)


def contents(workspace, module, notebook):
    """Everything in a notebook by a name for it: identified cells, and the student's own."""
    found = {}
    for cell in notebook["cells"]:
        if nb.grade_id(cell) and not nb.is_here(cell):
            found.setdefault(nb.grade_id(cell), cell["source"])
    for number, (above, cell) in enumerate(own_cells(workspace.base(module), notebook), 1):
        found[f"own cell {number}, below {above}" if above else f"own cell {number}"] = cell["source"]
    return found


def stripped(texts):
    return {identity: text.strip() for identity, text in texts.items()}


def other_file(path):
    other = path.with_suffix(".py" if path.suffix == ".ipynb" else ".ipynb")
    if not other.exists():
        raise UsageError(f"there is no {other.name} beside {path.name}", "tito module diff without --other")
    return other


def show(module, task, path, against, lines):
    what = task.id if task else f"{module.label} {module.name}"
    if not lines:
        report.emit({"module": module.slug, "diff": []}, [f"{what}: no difference between {against} and {path.name}"])
    else:
        report.emit({"module": module.slug, "diff": lines}, [*lines, f"next: tito module check {module.label}"])
