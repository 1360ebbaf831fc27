"""How often grading errs, as `tito dev check` measured it: the table of the instructor's guide."""

from book.pages.course import course
from tito.errors import CourseError
from tito.probe_gates import RATES, load_rates

HEAD = (
    "| Task | Right solutions | Runs | Refused | Nearest to refusal | Wrong ones | Runs | Paid | Nearest to pay "
    "| Trivial ones | Paid |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)
COUNTS = ("right", "right_runs", "right_refused", "wrong", "wrong_runs", "wrong_paid", "trivial", "trivial_paid")


def pages(app):
    found = [(module, rates_of(module)) for module in course().modules]
    lines = [
        HEAD.replace("Task", "Module", 1),
        *(row(module.slug, together(rates["tasks"])) for module, rates in found),
    ]
    for module, rates in found:
        lines += ["", f":::{{dropdown}} {module.title}, with {rates['seeds']} seeds", HEAD]
        lines += [*(row(task["task"], task) for task in rates["tasks"]), ":::"]
    yield "rates.md", "\n".join(lines) + "\n"


def rates_of(module):
    rates = load_rates(module)
    if rates is None:
        raise CourseError(module.folder / RATES, "is missing", f"tito dev check {module.label}")
    return rates


def together(tasks):
    """The sums of all tasks, with the worst of their distances."""
    nearest = [task["wrong_nearest"] for task in tasks if task["wrong_nearest"] is not None]
    return {
        **{name: sum(task[name] for task in tasks) for name in COUNTS},
        "right_worst": max(task["right_worst"] for task in tasks),
        "wrong_nearest": min(nearest, default=None),
    }


def row(name, task):
    nearest = "differs in kind" if task["wrong_nearest"] is None else f"{task['wrong_nearest']:,.0f}"
    cells = [name, task["right"], task["right_runs"], task["right_refused"], f"{task['right_worst']:.2g}"]
    cells += [task["wrong"], task["wrong_runs"], task["wrong_paid"], nearest, task["trivial"], task["trivial_paid"]]
    return f"| {' | '.join(map(str, cells))} |"
