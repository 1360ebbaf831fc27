"""Open JupyterLab on your notebook, with your own tinytorch; or on a class, to mark answers by hand."""

import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import click

from tito import find_workspace, notebook, report
from tito.commands._common import module_argument, pick
from tito.commands.module.start import begin
from tito.course import Course
from tito.errors import UsageError, WorkplaceError
from tito.state import PAIRING, Workspace

HOST = "127.0.0.1"
MATHJAX = Path(__file__).resolve().parent.parent / "template" / "mathjax.html.j2"
PORTS = range(8888, 8988)
PAIR = """\
# JupyterLab keeps {name}.py beside {name}.ipynb, the same work as a text that is easy to read, search and compare.
# Without: formats = ""
formats = "ipynb,py:percent"
notebook_metadata_filter = "-all"
cell_metadata_filter = "nbgrader,tags,tito,-all"
"""
STUDENTS_PAGE = {"disabledExtensions": {"@jupyter/nbgrader:create-assignment": True}}  # it is for instructors


@click.command(help=__doc__)
@module_argument
@click.option(
    "--course",
    "classroom",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="For instructors: nbgrader's formgrader on this course folder.",
)
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option("--port", type=click.IntRange(1, 65535), help="Use this port; else the first free one from 8888 on.")
def command(module, classroom, no_browser, port):
    require_jupyterlab()
    if classroom:
        if module:
            raise UsageError("formgrader shows a whole class", "leave out the module, or leave out --course")
        launch_formgrader(classroom, browser=not no_browser, port=port)
    course = Course.find()
    if module:
        course.module(module)  # an unknown one is refused before anything is made
    workspace = find_or_make(course)
    finished = module is None and workspace.current is None
    path = None if finished else notebook_of(workspace, pick(workspace, module))
    launch(workspace, path, browser=not no_browser, port=port)


def find_or_make(course):
    """The workspace as every command finds it; where there is none, `work/` of the course or of the current folder."""
    if find_workspace() or (course.root / "work" / ".tito").is_dir():
        return Workspace.find(course)
    root = course.root / "work" if Path.cwd().is_relative_to(course.root) else Path.cwd() / "work"
    workspace, existed = Workspace.create(root, course)
    if not existed:
        report.say(f"made {workspace.show(workspace.root)} for your own work")
    return workspace


def notebook_of(workspace, module):
    """The student's file of a module, which is started when it was not."""
    if workspace.last("started", module=module.slug):
        return workspace.file(module)
    workspace.require_needs(module)
    path = begin(workspace, module, "ipynb")
    report.say(f"started module {module.label}: {workspace.show(path)}")
    return path


def launch(workspace, path=None, browser=True, port=None):
    """Become JupyterLab in this workspace, with `path` open; does not return."""
    require_jupyterlab()
    port = free_port(port)
    with workspace.locked():
        write_settings(workspace.private, STUDENTS_PAGE, is_percent=path is not None and Path(path).suffix == ".py")
        if path is not None:
            pair(Path(path))
    become(
        Place(workspace.root, workspace.private, lab_page(workspace, path), {"PYTHONPATH": str(workspace.root)}),
        browser,
        port,
        [
            "In the notebook: run the cells from the top (Shift+Enter) and fill in the blanks.",
            "next: tito module watch   (in a second terminal; Ctrl-C twice ends JupyterLab)",
        ],
    )


def launch_formgrader(folder, browser=True, port=None):
    """Become JupyterLab in a course folder, with nbgrader's formgrader open; does not return."""
    from tito.grading.classroom import Classroom

    room = Classroom.find(folder)
    port = free_port(port)
    write_settings(room.private, {})
    data = room.private / "jupyter" / "data"
    notebook.write_atomically(data / "nbconvert" / "templates" / "base" / MATHJAX.name, MATHJAX.read_bytes())
    become(
        Place(room.root, room.private, "/formgrader/manage_assignments", {"JUPYTER_PATH": str(data)}),
        browser,
        port,
        [
            "In the table: click the number of submissions, or Manual Grading on the left, to mark answers.",
            f"next: tito grade export --course {folder}   (when all are marked; Ctrl-C twice ends JupyterLab)",
        ],
    )


def pair(path):
    """Let JupyterLab keep a percent file beside a notebook: saving one writes the other. A file that is there stays."""
    settings = path.parent / PAIRING
    if path.suffix == ".ipynb" and not settings.exists():
        notebook.write_atomically(settings, PAIR.format(name=path.stem).encode())


@dataclass(frozen=True)
class Place:
    """Where JupyterLab is to be: its root folder, tito's own folder in it, the page to open, where else to look."""

    root: Path
    private: Path
    page: str
    paths: dict  # variable of the environment -> a folder to look in before all others


def become(place, browser, port, lines):
    """Become JupyterLab. The process id stays, so that whoever ends this process ends JupyterLab."""
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    report.say(f"JupyterLab: http://{HOST}:{port}{place.page}?token={token}")
    for line in lines:
        report.say(line)
    line, environment = lab_command(place, browser, port), lab_environment(place, token)
    os.chdir(place.root)
    if os.name == "nt":  # exec would start a second process there and leave the terminal to both
        sys.exit(subprocess.call(line, env=environment))
    os.execve(line[0], line, environment)


def require_jupyterlab():
    if importlib.util.find_spec("jupyterlab") is None:
        raise WorkplaceError(f"JupyterLab is not installed for {sys.executable}", "pip install 'jupyterlab>=4.4,<5'")


def free_port(wanted=None):
    """The wanted port, or the first free one. Raises when it is taken."""
    for port in [wanted] if wanted else PORTS:
        with socket.socket() as probe:
            if os.name == "posix":  # a port that was closed a moment ago is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                reason = error.strerror
                continue
        return port
    ports = f"port {wanted} is" if wanted else f"ports {PORTS[0]} to {PORTS[-1]} are"
    raise WorkplaceError(f"{ports} not to be had: {reason}", "is JupyterLab already running? else name one with --port")


def lab_page(workspace, path):
    """Path of the address under which JupyterLab opens a file of the workspace."""
    if path is None:
        return "/lab"
    return "/lab/tree/" + quote(Path(path).resolve().relative_to(workspace.root.resolve()).as_posix())


def lab_command(place, browser, port):
    """The command line. Nothing is asked of the network, and only this machine may connect."""
    line = [sys.executable, "-P", "-m", "jupyterlab"]  # -P: a file of the student must not hide a module of Jupyter
    line += [f"--ServerApp.root_dir={place.root}", f"--LabApp.default_url={place.page}"]
    line += ["--Application.log_level=ERROR"]
    line += [f"--ServerApp.ip={HOST}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    line += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    line += [] if browser else ["--ServerApp.open_browser=False"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in containers; Jupyter refuses otherwise
        line.append("--allow-root")
    return line


def lab_environment(place, token):
    """Kernels find the student's package first, and the layout of this folder is kept apart from other work."""
    private = place.private / "jupyter"
    return {
        **os.environ,
        **{variable: _first(path, variable) for variable, path in place.paths.items()},
        "JUPYTER_CONFIG_PATH": _first(private, "JUPYTER_CONFIG_PATH"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not one of the same name in the home folder
        "JUPYTER_TOKEN": token,  # not on the command line, where everyone on the machine could read it
    }


def _first(path, variable):
    return os.pathsep.join([str(path), *filter(None, [os.environ.get(variable)])])


def write_settings(private, page, is_percent=False):
    """Defaults under the person's own settings: no question about news; percent files open as notebooks if wanted."""
    settings = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    if is_percent:
        settings["@jupyterlab/docmanager-extension:plugin"] = {"defaultViewers": {"python": "Jupytext Notebook"}}
    folder = private / "jupyter" / "labconfig"
    for name, content in (("default_setting_overrides", settings), ("page_config", page)):
        notebook.write_atomically(folder / f"{name}.json", (json.dumps(content, indent=1) + "\n").encode())
