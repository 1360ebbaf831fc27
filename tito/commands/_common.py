"""Arguments that commands share, and how they find the course and the workspace."""

import click

from tito.course import Course
from tito.errors import TitoError, UsageError
from tito.state import FORMATS, Workspace

json_option = click.option("--json", "as_json", is_flag=True, expose_value=False, help="Answer in JSON.")
format_option = click.option("--format", "form", type=click.Choice(FORMATS), default="ipynb", show_default=True)


def complete_module(context, parameter, incomplete):
    try:
        modules = Course.find().modules
    except TitoError:
        return []  # without a course there is nothing to complete, and a shell's TAB is no place for messages
    return [m.label for m in modules if m.label.startswith(incomplete) or m.name.startswith(incomplete)]


def complete_task(context, parameter, incomplete):
    """Modules, and the tasks of one whose number stands there already."""
    try:
        modules = [m for m in Course.find().modules if incomplete[:2] == m.label]
        return complete_module(context, parameter, incomplete) + [
            task.id for module in modules for task in module.tasks if task.id.startswith(incomplete)
        ]
    except TitoError:
        return []


def module_argument(function):
    """A module by number, name, or nothing: then the current one."""
    return click.argument("module", required=False, shell_complete=complete_module)(function)


def workplace():
    """`(course, workspace)` for where the user stands."""
    course = Course.find()
    return course, Workspace.find(course)


def pick(workspace, word):
    """The named module, or the current one."""
    if word:
        return workspace.course.module(word)
    if workspace.current is None:
        raise UsageError("every module is built; name the one you mean", "tito module list")
    return workspace.current


def pick_task(workspace, word):
    """`(module, task or None)` from `07`, `training`, `07-3`, or nothing."""
    if word and "-" in word and word.split("-")[0].isdigit():
        module = workspace.course.module(word.split("-")[0])
        return module, module.task(f"{module.label}-{word.split('-', 1)[1]}")
    return pick(workspace, word), None
