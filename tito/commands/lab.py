"""Open JupyterLab on your notebook, with your own tinytorch."""

import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import click

from tito import find_workspace, notebook, report
from tito.commands._common import module_argument, pick
from tito.commands.module.start import begin
from tito.course import Course
from tito.errors import WorkplaceError
from tito.state import Workspace

HOST = "127.0.0.1"
PORTS = range(8888, 8988)


@click.command(help=__doc__)
@module_argument
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option("--port", type=click.IntRange(1, 65535), help="Use this port; else the first free one from 8888 on.")
def command(module, no_browser, port):
    course = Course.find()
    require_jupyterlab()
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
    """Become JupyterLab in this workspace, with `path` open; does not return.

    The process id stays, so that whoever ends this process ends JupyterLab.
    """
    require_jupyterlab()
    port = free_port(port)
    with workspace.locked():
        write_settings(workspace, path)
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    page = lab_page(workspace, path)
    report.say(f"JupyterLab: http://{HOST}:{port}{page}?token={token}")
    report.say("In the notebook: run the cells from the top (Shift+Enter) and fill in the blanks.")
    report.say("next: tito module watch   (in a second terminal; Ctrl-C twice ends JupyterLab)")
    line, environment = lab_command(workspace, page, browser, port), lab_environment(workspace, token)
    os.chdir(workspace.root)
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


def lab_command(workspace, page, browser, port):
    """The command line. Nothing is asked of the network, and only this machine may connect."""
    line = [sys.executable, "-P", "-m", "jupyterlab"]  # -P: a file of the student must not hide a module of Jupyter
    line += [f"--ServerApp.root_dir={workspace.root}", f"--LabApp.default_url={page}", "--Application.log_level=ERROR"]
    line += [f"--ServerApp.ip={HOST}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    line += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    line += [] if browser else ["--ServerApp.open_browser=False"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in containers; Jupyter refuses otherwise
        line.append("--allow-root")
    return line


def lab_environment(workspace, token):
    """Kernels find the student's package first, and the layout of this workspace is kept apart from other work."""
    private = workspace.private / "jupyter"
    return {
        **os.environ,
        "PYTHONPATH": _first(workspace.root, "PYTHONPATH"),
        "JUPYTER_CONFIG_PATH": _first(private, "JUPYTER_CONFIG_PATH"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not one of the same name in the home folder
        "JUPYTER_TOKEN": token,  # not on the command line, where everyone on the machine could read it
    }


def _first(path, variable):
    return os.pathsep.join([str(path), *filter(None, [os.environ.get(variable)])])


def write_settings(workspace, path):
    """Defaults under the student's own settings: no question about news; percent files open as notebooks."""
    settings = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    if path is not None and Path(path).suffix == ".py":
        settings["@jupyterlab/docmanager-extension:plugin"] = {"defaultViewers": {"python": "Jupytext Notebook"}}
    folder = workspace.private / "jupyter" / "labconfig"
    notebook.write_atomically(
        folder / "default_setting_overrides.json", (json.dumps(settings, indent=1) + "\n").encode()
    )
    page = {"disabledExtensions": {"@jupyter/nbgrader:create-assignment": True}}  # for instructors, not for students
    notebook.write_atomically(folder / "page_config.json", (json.dumps(page, indent=1) + "\n").encode())
