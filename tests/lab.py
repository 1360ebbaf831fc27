"""A JupyterLab for the tests, started by `tito lab`, and what people do in it."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from tito import notebook as nb
from tito.course import Course
from tito.variants import solved


class Lab:
    """A JupyterLab started by `tito lab`, with Jupyter's own folders inside the test's."""

    def __init__(self, tito, folder, *arguments, **environment):
        private = {f"JUPYTER_{name}_DIR": str(folder / "jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
        self.port = unused_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tito.cli", "lab", "--port", str(self.port), *arguments],
            cwd=tito.folder,
            env=tito.environment(**private, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        while not self.lines or not self.lines[-1].startswith("next:"):
            self.lines.append(self.process.stdout.readline())
            assert self.lines[-1], f"tito lab ended: {''.join(self.lines)}"
        self.url = next(line.split()[1] for line in self.lines if line.startswith("JupyterLab:"))
        self.token = self.url.rpartition("token=")[2]
        self.wait()

    def get(self, path, data=None, token=None, method=None):
        headers = {"Authorization": f"token {self.token if token is None else token}"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.geturl(), answer.read().decode()

    def json(self, path, data=None):
        return json.loads(self.get(path, data)[1])

    def put(self, path, content):
        return self.get(path, json.dumps(content).encode(), method="PUT")

    def wait(self):
        """Until it answers."""
        for _ in range(300):
            assert self.process.poll() is None, self.process.stdout.read()
            try:
                return self.get("/api/status")
            except OSError:
                time.sleep(0.1)
        raise AssertionError("JupyterLab does not answer")

    def settings(self, plugin):
        return self.json(f"/lab/api/settings/{plugin}")["schema"]["properties"]

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- what a student does in the browser ---


def open_notebook(page, url):
    page.goto(url)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    idle = re.compile(r"Python 3 \(ipykernel\) \| Idle")  # the notebook's own sign says idle before there is a kernel
    page.locator("#jp-main-statusbar", has_text=idle).wait_for()


def run_all(page):
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()


def wheel_to(page, output):
    """Turn the wheel as a person would: Lab draws only the cells that are in view."""
    page.mouse.move(700, 500)
    page.mouse.wheel(0, -1_000_000)
    for _ in range(200):
        page.wait_for_timeout(100)
        box = output.bounding_box()
        if box and box["height"] and box["y"] > 100 and box["y"] + min(box["height"], 700) < 860:
            return
        page.mouse.wheel(0, 250)
    raise AssertionError(f"never came into view: {output.text_content()}")


def type_into(page, cell, text):
    """Replace what stands in a cell, as by typing or pasting."""
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def run_cell(page, cell):
    """Shift+Enter, and wait until the kernel has answered."""
    before = cell.locator(".jp-InputPrompt").first.text_content()
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "([cell, before]) => /^\\[\\d+\\]:$/.test(cell.textContent) && cell.textContent != before",
        arg=[cell.locator(".jp-InputPrompt").first.element_handle(), before],
    )


def saved(page, path):
    """What a file holds after Control+S, which makes it or writes it anew."""
    before = path.stat().st_mtime_ns if path.exists() else None
    page.keyboard.press("Control+s")
    for _ in range(300):
        if path.exists() and path.stat().st_mtime_ns != before:
            return path.read_text()
        page.wait_for_timeout(100)
    raise AssertionError(f"{path} was not saved")


def solution_of(module, task):
    return next(cell["source"] for cell in nb.compile_module(module)["cells"] if nb.grade_id(cell) == task)


def code_cell(page, text):
    return page.locator(".jp-Notebook .jp-CodeCell", has_text=text).first


# --- what an instructor does ---


ANSWER = "Because two times two is four."


def hand_in_an_answer(teacher, text=ANSWER):
    """Release module 01 to `class/`, and grade one right submission with an answer to be marked; returns the module."""
    module = Course(teacher.course).modules[0]
    teacher("release", module.label, "--to", "class")
    complete = nb.compile_module(module)
    paper = solved(nb.strip(complete), complete)
    answer = next(cell for cell in paper["cells"] if nb.grade_id(cell) == "01-q1")
    answer["source"] = answer["source"].replace(nb.ANSWER, text)
    inbox = teacher.folder / "inbox"
    inbox.mkdir()
    (inbox / "ada.ipynb").write_bytes(nb.to_json(paper))
    teacher("grade", "run", module.label, "--course", "class", "--from", inbox)
    return module


def open_answer(page, lab, module, text=ANSWER):
    """The page of formgrader on which the one submission is marked."""
    page.goto(f"http://127.0.0.1:{lab.port}/formgrader/gradebook/{module.slug}/{module.name}")
    page.locator("td a", has_text="Submission #1").click()
    page.get_by_text(text).wait_for()
    page.wait_for_load_state("networkidle")  # it asks for the marks so far, and then listens to what is typed
