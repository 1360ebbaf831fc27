"""Build the book where something changed, and serve it on this machine."""

import functools
import http.server

import click

from tito import report
from tito.commands.book.build import view_option
from tito.commands.lab import HOST, free_port
from tito.course import Course


@click.command(help=__doc__)
@view_option
@click.option("--port", type=click.IntRange(1, 65535), help="Use this port; else the first free one from 8888 on.")
def command(view, port):
    from tito.book import build

    course = Course.find()
    port = free_port(port)
    report.say("building; what has not changed since the last time is not run again")
    site = build(course, view == "student")
    handler = functools.partial(Quiet, directory=str(site.folder))
    with http.server.ThreadingHTTPServer((HOST, port), handler) as server:
        report.say(f"{site.pages} pages: http://{HOST}:{port}/   (Ctrl-C ends it)")
        server.serve_forever()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing about each file that it sends."""

    def log_message(self, format, *arguments):
        pass
