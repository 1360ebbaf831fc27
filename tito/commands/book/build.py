"""Build the book: run every module and milestone, and make pages of them."""

import time
from pathlib import Path

import click

from tito import report
from tito.commands._common import json_option
from tito.course import Course

view_option = click.option(
    "--view",
    type=click.Choice(("solution", "student")),
    default="solution",
    show_default=True,
    help="With solutions folded, or without.",
)


@click.command(help=__doc__)
@view_option
@click.option("--short", is_flag=True, help="Run no measurements and train milestones little: to test the book itself.")
@click.option("--to", "folder", type=click.Path(path_type=Path), help="Put the pages here; else in book/_build.")
@json_option
def command(view, short, folder):
    from tito.book import build

    course = Course.find()
    started = time.perf_counter()
    report.say("building; what has not changed since the last time is not run again")
    site = build(course, view == "student", short, folder)
    facts = {"folder": str(site.folder), "view": view, "short": short, "pages": site.pages, "bytes": site.size}
    facts["seconds"] = round(time.perf_counter() - started, 1)
    text = f"{site.folder}: {site.pages} pages, {site.size / 1e6:.0f} MB, {facts['seconds']:.0f} s"
    report.emit(facts, [text, f"next: tito book serve{'' if view == 'solution' else f' --view {view}'}"])
