"""Put the course's own version of modules into your tinytorch."""

import contextlib

import click

from tito import overlay, report
from tito.check import assemble
from tito.commands._common import complete_module, json_option, workplace
from tito.errors import UsageError
from tito.notebook import write_atomically


@click.command(help=__doc__)
@click.argument("modules", metavar="NN|NN-NN...", nargs=-1, required=True, shell_complete=complete_module)
@click.option("--yes", is_flag=True, help="Also replace modules that you completed.")
@json_option
def command(modules, yes):
    course, workspace = workplace()
    modules = course.span(modules)
    for module in modules:
        require_reference(module)
    with workspace.building():
        require_lower(workspace, modules)
        own = [module for module in modules if workspace.state_of(module) == "completed"]
        if own and not yes:
            names = ", ".join(f"{module.label} {module.name}" for module in own)
            report.confirm(f"Replace your own {names}? Your notebook stays.", "add --yes")
        with workspace.stage() as stage:
            build(course, stage, modules)
            with contextlib.ExitStack() as events:
                for module in modules:
                    events.enter_context(workspace.recorded("borrowed", module=module.slug, hash=module.hash))
                overlay.commit(stage, workspace.root)
    report.emit({"borrowed": [module.slug for module in modules]}, lines(workspace, modules))


def require_reference(module):
    if not (module.has_reference or all(path.exists() for path in shipped(module).values())):
        raise UsageError(
            f"this course comes without a version of module {module.label} to borrow",
            f"build it yourself: tito module start {module.label}",
        )


def shipped(module):
    """Target -> file that a kit carries for it."""
    return {target: module.folder / "borrow" / f"{target.replace('.', '/')}.py" for target in module.targets}


def require_lower(workspace, modules):
    """Raise unless all that these modules import is built or borrowed with them."""
    for module in modules:
        for needed in workspace.course.needs(module):
            if needed not in modules and not overlay.is_built(workspace.root, needed):
                raise UsageError(
                    f"module {module.label} {module.name} needs module {needed.label} {needed.name}, not built yet",
                    f"tito module borrow {needed.label}-{modules[-1].label}",
                )


def build(course, stage, modules):
    """Put the modules into the staged package."""
    assemble(course, stage, [module for module in modules if module.has_reference])
    for module in modules:
        if not module.has_reference:
            for target, path in shipped(module).items():
                write_atomically(overlay.target_path(stage, target), path.read_bytes())


def lines(workspace, modules):
    names = ", ".join(f"{module.label} {module.name}" for module in modules)
    current = workspace.current
    verb = "check" if current and workspace.state_of(current) == "started" else "start"
    following = f"next: tito module {verb} {current.label}" if current else "next: tito milestone list"
    return [report.wrap(f"in your tinytorch now, the course's version (recorded): {names}", indent="  "), following]
