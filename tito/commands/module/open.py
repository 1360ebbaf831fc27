"""Open the file of a module, in your editor or in JupyterLab."""

import os
import shlex
import subprocess

import click

from tito import report
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.errors import WorkplaceError


@click.command("open", help=__doc__)
@module_argument
@click.option("--print", "only_print", is_flag=True, help="Only print where the file is.")
@json_option
def command(module, only_print):
    _, workspace = workplace()
    path = workspace.file(pick(workspace, module))
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if only_print:
        report.emit({"file": str(path)}, [path])
    elif path.suffix == ".py" and editor:
        edit(editor, path)
    else:
        from tito.commands.lab import launch

        launch(workspace, path)


def edit(editor, path):
    """Run the editor, which may be a command with options, and wait for it."""
    try:
        code = subprocess.run([*shlex.split(editor), str(path)]).returncode
    except (OSError, ValueError) as error:
        raise WorkplaceError(f"cannot start the editor {editor!r}: {error}", "set EDITOR to a program") from error
    if code:
        raise WorkplaceError(f"the editor {editor!r} ended with exit code {code}", f"open {path} yourself")
