"""A headless browser for the tests and for the pictures in the README."""

import contextlib
import os
import re
import shutil
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
MISSING = "no chromium on PATH: apt-get install chromium fonts-dejavu"
PATIENCE = 120_000  # milliseconds: the machine may be busy with other tests


@contextlib.contextmanager
def browser():
    """A headless chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *QUIET])
        yield running
        running.close()


def new_page(browser, width=1280, height=900, **settings):
    """An empty page that notes every address it is asked for in `asked`, and every error of its scripts in `faults`."""
    page = browser.new_page(viewport={"width": width, "height": height}, **settings)
    page.set_default_timeout(PATIENCE)
    page.asked, page.faults = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("websocket", lambda socket: page.asked.append(socket.url))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    return page


def outside(page, port):
    """Addresses that the page asked for and that are not on this server."""
    own = re.compile(rf"(https?|wss?)://127\.0\.0\.1:{port}/|data:|blob:|about:")
    return [url for url in page.asked if not own.match(url)]


def shoot(page, folder, name):
    """Save what is to be seen, in the folder named by TITO_SCREENSHOTS, else in `folder`."""
    folder = Path(os.environ.get("TITO_SCREENSHOTS") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")
