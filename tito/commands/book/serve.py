"""Build the book where something changed, and serve it on this machine."""

import functools
import http.server
import sys

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
    with server(site.folder, port) as serving:
        report.say(f"{site.pages} pages: http://{HOST}:{port}/   (Ctrl-C ends it)")
        serving.serve_forever()


def server(folder, port=0):
    """An HTTP server for the files of a folder, on this machine only; port 0 is any that is free."""
    return Server((HOST, port), functools.partial(Handler, directory=str(folder)))


class Server(http.server.ThreadingHTTPServer):
    """One that does not mind a reader who goes on before a page has come in full."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Says nothing about each file that it sends."""

    def log_message(self, format, *arguments):
        pass
