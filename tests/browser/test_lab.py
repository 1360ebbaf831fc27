"""What a student sees: `tito lab` in a real browser, module 01 run from top to bottom.

Screenshots go into the folder named by TITO_SCREENSHOTS, else into the test's own.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY, Tito
from tests.lab import Lab

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
COURSES = {
    "tiny": (TINY, "01_double/double.ipynb", "01-1 double"),
    "checkout": (ROOT, "01_tensor/tensor.ipynb", "01-1 "),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium fonts-dejavu"),
]


@pytest.fixture
def page(tmp_path):
    """An empty page of a headless browser that notes every address it is asked for."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", *QUIET]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.asked, page.faults = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("websocket", lambda socket: page.asked.append(socket.url))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        yield page
        shoot(page, tmp_path, "lab-at-the-end")  # what there was to see when the test failed
        browser.close()


@pytest.fixture
def lab(tmp_path):
    started = []

    def start(tito, *arguments):
        started.append(Lab(tito, tmp_path, "--no-browser", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


def outside(page, port):
    """Addresses that are not this JupyterLab's."""
    own = re.compile(rf"(https?|wss?)://127\.0\.0\.1:{port}/|data:|blob:|about:")
    return [url for url in page.asked if not own.match(url)]


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


def shoot(page, tmp_path, name):
    folder = Path(os.environ.get("TITO_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


@pytest.mark.parametrize("course", COURSES)
def test_module_01_opens_runs_and_says_what_is_to_be_written(tmp_path, page, lab, course):
    root, path, stub = COURSES[course]
    running = lab(Tito(tmp_path, root))
    assert path in running.url
    open_notebook(page, running.url)
    assert page.locator(".jp-Notebook").count() == 1
    run_all(page)
    yours = f"tinytorch is yours: {tmp_path}/work/tinytorch"
    page.wait_for_selector(f'.jp-OutputArea-output:has-text("{yours}")', state="attached")
    page.wait_for_timeout(1500)  # a question about news would come late
    for name, text in (("first-cell", yours), ("stub", f"NotImplementedError: {stub}")):
        output = page.locator(".jp-OutputArea-output", has_text=text).first
        output.wait_for(state="attached")
        wheel_to(page, output)
        shoot(page, tmp_path, f"lab-{course}-{name}")
    assert page.locator(".jp-Dialog").count() == 0, page.locator(".jp-Dialog").first.text_content()
    assert page.locator(".Toastify__toast").count() == 0, page.locator(".Toastify__toast").first.text_content()
    assert page.asked and not outside(page, running.port)
    assert not page.faults
