"""Write the reference library from the modules."""

import sys

import click

from tito import report
from tito.authoring import export_module, stale_targets
from tito.commands._common import json_option
from tito.course import Course


@click.command(help=__doc__)
@click.argument("modules", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; fail when a committed file is not what its module exports.")
@json_option
def command(modules, check):
    course = Course.find()
    chosen = [course.module(word) for word in modules] or course.modules
    if check:
        stale = [str(path) for module in chosen for path in stale_targets(course, module)]
        lines = [f"{report.word('failed')}  {path} is not what its module exports" for path in stale]
        report.emit({"stale": stale}, lines or ["the exported library is current"])
        sys.exit(1 if stale else 0)
    written = [str(path.relative_to(course.root)) for module in chosen for path in export_module(course, module)]
    report.emit({"written": written}, [f"{len(chosen)} modules exported: {', '.join(written)}"])
