"""A page of a headless browser, and JupyterLabs that end with their test."""

import pytest

from tests.chromium import CHROMIUM, MISSING, browser, new_page, shoot
from tests.lab import Lab


def pytest_collection_modifyitems(items):
    """These tests need a browser; where there is none they say so."""
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason=MISSING))


@pytest.fixture
def chromium_running():
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with browser() as running:
        yield running


@pytest.fixture
def page(chromium_running, tmp_path):
    page = new_page(chromium_running)
    yield page
    shoot(page, tmp_path, "lab-at-the-end")  # what there was to see when the test failed


@pytest.fixture
def lab(tmp_path):
    """Starts `tito lab`; ends it after the test."""
    started = []

    def start(tito, *arguments):
        started.append(Lab(tito, tmp_path, "--no-browser", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()
