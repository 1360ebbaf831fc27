"""Bring back the file of a module as it was before."""

import contextlib
import time

import click

from tito import report
from tito.commands._common import json_option, module_argument, pick, workplace
from tito.errors import UsageError


@click.command(help=__doc__)
@module_argument
@click.option("--list", "only_list", is_flag=True, help="Only list the snapshots.")
@click.option("--to", "number", type=int, help="The snapshot with this number, instead of the newest that differs.")
@json_option
def command(module, only_list, number):
    _, workspace = workplace()
    module = pick(workspace, module)
    path = workspace.path(module)
    if only_list:
        rows = [describe(copy, path) for copy in workspace.snapshots(module, path.name)]
        lines = report.table([list(row.values()) for row in rows], ("no", "from", "kept by", "bytes", ""))
        report.emit(rows, lines or [f"there is no snapshot of {workspace.show(path)} yet"])
        return
    was_there = path.exists()
    with workspace.locked():
        copy = find(workspace, module, path, number)
        bring_back(workspace, module, path, copy)
    facts = describe(copy, path)
    again = f"next: tito module undo {module.label} takes this back"
    last = again if was_there else f"next: tito module check {module.label}"
    report.emit({"file": str(path), **facts}, [f"{workspace.show(path)} is again as it was on {facts['from']}", last])


def bring_back(workspace, module, path, copy):
    """Write the snapshot's content; the module's version, if that was another, comes back with it."""
    data, version = copy.read_bytes(), copy.with_name("version").read_text()
    workspace.snapshot(module, path, "undo")
    with contextlib.ExitStack() as events:
        events.enter_context(workspace.recorded("undone", module=module.slug, snapshot=copy.parent.name))
        if version != workspace.version(module):
            events.enter_context(workspace.recorded("updated", module=module.slug, hash=version))
        workspace.write(module, path, data, "undo")


def find(workspace, module, path, number):
    """The snapshot that is meant."""
    copies = workspace.snapshots(module, path.name)
    if number is not None:
        named = [copy for copy in copies if number_of(copy) == number]
        if not named:
            raise UsageError(f"there is no snapshot {number} of {workspace.show(path)}", _listing(module))
        return named[0]
    present = path.read_bytes() if path.exists() else None
    other = [copy for copy in copies if copy.read_bytes() != present]
    if not other:
        gone = f"a blank one: tito module start {module.label}" if present is None else _listing(module)
        raise UsageError(f"there is no earlier state of {workspace.show(path)}", gone)
    return other[-1]


def _listing(module):
    return f"tito module undo {module.label} --list"


def number_of(copy):
    return int(copy.parent.name.split("-")[0])


def describe(copy, path):
    """What the list says of a snapshot."""
    same = path.exists() and path.read_bytes() == copy.read_bytes()
    return {
        "number": number_of(copy),
        "from": time.strftime("%a %d %b %Y, %H:%M:%S", time.localtime(copy.stat().st_mtime)),
        "kept_by": copy.parent.name.rsplit("-", 1)[1],
        "bytes": copy.stat().st_size,
        "now": "as now" if same else "",
    }
