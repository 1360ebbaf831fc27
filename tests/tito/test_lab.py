"""`tito lab`, and `tito.here()`, the first cell of every notebook, in real kernels."""

import os
import queue
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tito
from tests.lab import Lab

HERE = "import tito\ntito.here()\nimport tinytorch\nprint(tinytorch.__file__)"


# --- tito.here() -----------------------------------------------------------------------------------------------------


def in_kernel(client, code):
    """What a cell prints, and the exception's text if it raises."""
    request = client.execute(code)
    output = ""
    while True:
        try:
            message = client.get_iopub_msg(timeout=30)
        except queue.Empty:
            raise AssertionError(f"the kernel does not answer; so far: {output}") from None
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            output += content["text"]
        elif message["msg_type"] == "error":
            output += f"{content['ename']}: {content['evalue']}"
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            return output


@pytest.fixture
def kernel():
    """Starts kernels of this Python in a folder, with an environment; ends them after the test."""
    from jupyter_client.manager import start_new_kernel

    started = []

    def start(cwd, **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TITO_", "PYTHONPATH"))}
        pair = start_new_kernel(cwd=str(cwd), env={**environment, **more}, kernel_name="python3")
        started.append(pair)
        return lambda code: in_kernel(pair[1], code)

    yield start
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_the_first_cell_takes_the_students_package_even_when_pythonpath_is_the_checkout(student, kernel):
    run = kernel(student.work / "01_double", PYTHONPATH=str(ROOT))
    package = student.work / "tinytorch"
    assert run(HERE) == f"tinytorch is yours: {package}\n{package / '__init__.py'}\n"
    assert run(HERE).startswith("tinytorch is yours")  # the cell may be run again


@pytest.mark.slow
def test_without_the_first_cell_a_kernel_takes_the_reference(student, kernel):
    """Why the cell is there at all."""
    run = kernel(student.work / "01_double", PYTHONPATH=str(ROOT))
    assert run("import tinytorch; print(tinytorch.__file__)").strip() == str(ROOT / "tinytorch" / "__init__.py")
    text = run(HERE)
    assert text.startswith("RuntimeError: this kernel already imported tinytorch from")
    assert str(ROOT) in text and "restart the kernel" in text and "is yours" not in text


@pytest.mark.slow
def test_the_first_cell_stops_outside_a_workspace(student, kernel, tmp_path):
    run = kernel(tmp_path, PYTHONPATH=str(ROOT))
    assert f"RuntimeError: no tito workspace above {tmp_path}" in run(HERE)
    assert "NameError" in run("tinytorch")


@pytest.mark.slow
def test_the_named_overlay_counts_and_the_checkout_is_refused_as_one(student, kernel, tmp_path):
    run = kernel(tmp_path, TITO_OVERLAY=str(student.work))
    assert f"tinytorch is yours: {student.work / 'tinytorch'}" in run(HERE)
    run = kernel(student.work / "01_double", TITO_OVERLAY=str(ROOT))
    assert f"RuntimeError: TITO_OVERLAY is {ROOT}, which is not a tito workspace" in run(HERE)


REFUSED = {
    "the course with a mark": "here = course; (here / '.tito').mkdir(); (here / 'tinytorch' / '__init__.py').touch()",
    "a link to the reference": "shutil.rmtree(work / 'tinytorch'); (work / 'tinytorch').symlink_to(root / 'tinytorch')",
    "a part of the reference": "import tinytorch.testing; del sys.modules['tinytorch']",
    "a module without a file": "sys.modules['tinytorch'] = types.ModuleType('tinytorch')",
    "an import hook": "sys.meta_path.insert(0, Hook)",
    "no package at all": "shutil.move(work / 'tinytorch', work / 'mine')",
}


@pytest.mark.parametrize("case", REFUSED)
def test_whatever_leads_to_the_reference_is_refused(student, case):
    program = f"""
import importlib.util, os, shutil, sys, types
from pathlib import Path
root, work, course = Path({str(ROOT)!r}), Path({str(student.work)!r}), Path({str(student.course)!r})
here = work

class Hook:
    def find_spec(name, path=None, target=None):
        if name == "tinytorch":
            return importlib.util.spec_from_file_location(name, root / "tinytorch" / "__init__.py")

{REFUSED[case]}
os.chdir(here)
import tito
try:
    tito.here()
except RuntimeError as error:
    print("refused:", error)
"""
    environment = {**student.environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused:"), done.stdout
    named = {"the course with a mark": "the course's reference", "no package at all": "tito doctor"}
    assert named.get(case, "not yours") in done.stdout


# --- tito lab --------------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tiny, tmp_path):
    """Starts `tito lab`; ends it after the test."""
    started = []

    def start(*arguments, tito=tiny, **environment):
        started.append(Lab(tito, tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.mark.slow
def test_lab_makes_a_workspace_starts_module_01_and_serves_it(tiny, lab):
    running = lab("--no-browser")
    assert "made work for your own work\n" in running.lines
    assert running.url.startswith(f"http://127.0.0.1:{running.port}/lab/tree/01_double/double.ipynb?token=")
    assert len(running.token) >= 40
    inside = Tito(tiny.work, tiny.course)
    assert inside.json("module", "status")["modules"][0]["state"] == "started"
    assert {"01_double", "tinytorch"} <= {entry["name"] for entry in running.json("/api/contents")["content"]}
    assert running.get("/")[0].endswith("/lab/tree/01_double/double.ipynb")
    for token in ("", "wrong"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            running.get("/api/contents", token=token)
    running.end()
    again = lab("--no-browser")  # from the folder above, the same workspace
    assert not [line for line in again.lines if line.startswith(("made", "started"))]


@pytest.mark.slow
def test_nobody_is_asked_about_news_and_nothing_is_fetched(lab):
    running = lab("--no-browser")
    notification = running.settings("@jupyterlab/apputils-extension:notification")
    assert notification["fetchNews"]["default"] == "false" and notification["checkForUpdates"]["default"] is False
    assert running.json("/lab/api/news")["news"] == []
    assert running.json("/lab/api/update")["notification"] is None
    viewers = running.settings("@jupyterlab/docmanager-extension:plugin")["defaultViewers"]["default"]
    assert "python" not in viewers


@pytest.mark.slow
def test_kernels_of_the_lab_take_the_students_package_even_without_the_first_cell(tiny, lab, tmp_path):
    from jupyter_client.blocking import BlockingKernelClient

    running = lab("--no-browser", PYTHONPATH=str(ROOT))
    kernel = running.json("/api/kernels", data=b'{"path": "01_double/double.ipynb"}')
    file = tmp_path / "jupyter" / "RUNTIME" / f"kernel-{kernel['id']}.json"
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        text = in_kernel(client, "import tinytorch, os\nprint(tinytorch.__file__, os.getcwd())")
        assert text.split() == [str(tiny.work / "tinytorch" / "__init__.py"), str(tiny.work / "01_double")]
    finally:
        client.stop_channels()


@pytest.mark.slow
def test_the_process_is_jupyterlab_itself(lab):
    running = lab("--no-browser")
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(timeout=10)
    with pytest.raises(OSError):
        running.get("/api/status")


@pytest.mark.slow
def test_a_percent_file_opens_as_a_notebook(tiny, lab):
    tiny("init", "work")
    tiny.folder, outside = tiny.work, tiny.folder
    tiny("module", "start", "01", "--format", "py")
    tiny.folder = outside
    running = lab("01", "--no-browser", tito=Tito(outside / "work", tiny.course))
    assert "/lab/tree/01_double/double.py?" in running.url
    viewers = running.settings("@jupyterlab/docmanager-extension:plugin")["defaultViewers"]["default"]
    assert viewers["python"] == "Jupytext Notebook"
    notebook = running.json("/api/contents/01_double/double.py?type=notebook")
    assert notebook["type"] == "notebook" and len(notebook["content"]["cells"]) > 5


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [True, False])
def test_the_browser_is_opened_unless_told_not_to(lab, tmp_path, wanted):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opening && mv {tmp_path}/opening {tmp_path}/opened\n')
    browser.chmod(0o755)
    lab(*([] if wanted else ["--no-browser"]), BROWSER=f"{browser} %s")
    deadline = time.monotonic() + (10 if wanted else 1)
    while not (tmp_path / "opened").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "opened").exists() is wanted
    if wanted:
        page = (tmp_path / "opened").read_text().strip().removeprefix("file://")
        assert "/lab/tree/01_double/double.ipynb" in Path(page).read_text()


def test_a_port_that_is_taken_is_named(tiny):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = tiny("lab", "--no-browser", "--port", port, code=3).flat
    assert f"port {port} is not to be had: Address already in use" in text and "--port" in text


def test_an_unknown_module_and_a_module_out_of_order_are_refused(tiny):
    assert "there is no module 'dubble'" in tiny("lab", "dubble", code=2).flat
    assert not tiny.work.exists()
    assert "needs tinytorch.core.double" in tiny("lab", "02", code=2).flat
    tiny("lab", "--port", "0", code=2)


def test_a_started_file_that_is_gone_is_not_replaced_in_silence(student):
    (student.work / "01_double" / "double.ipynb").unlink()
    assert "double.ipynb is gone" in student("lab", "--no-browser", code=2).flat


def test_a_missing_jupyterlab_is_named_before_anything_is_made(tiny, tmp_path):
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text("import sys\nsys.modules['jupyterlab'] = None\n")
    text = tiny("lab", code=3, PYTHONPATH=f"{hide}:{ROOT}").flat
    assert "JupyterLab is not installed" in text and "pip install 'jupyterlab" in text
    assert not tiny.work.exists()


def test_inside_the_course_the_workspace_is_the_courses_work(tiny):
    inside = Tito(tiny.course / "modules" / "01_double", tiny.course)
    with socket.socket() as taken:  # so that it ends before it becomes JupyterLab
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        inside("lab", "--no-browser", "--port", taken.getsockname()[1], code=3)
    assert (tiny.course / "work" / "01_double" / "double.ipynb").exists()


def test_a_workspace_that_is_broken_is_not_made_anew(student):
    (student.work / ".tito" / "workspace.json").write_text("{")
    assert "workspace.json cannot be read" in student("lab", "--no-browser", code=3).flat
