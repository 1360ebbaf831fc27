"""The pictures of README.md and of the guides, made from the real thing: `make pictures`.

A student opens module 01 in the lab; a milestone is run; an instructor marks an answer in formgrader.
"""

import shutil
import tempfile
from pathlib import Path

from book.pages import milestones
from tests.chromium import browser, new_page
from tests.conftest import ROOT, Tito
from tests.lab import Lab, hand_in_an_answer, open_answer, open_notebook, run_all, wheel_to
from tito.course import Course

IMAGES = ROOT / "book" / "images"
MILESTONE = 3
ANSWER = (
    "x.T has shape (4, 6) and strides (4, 16). x[::2] has shape (3, 4) and strides (32, 4). The second reshape copies."
)


def picture_of_the_lab(page, folder):
    """A blank of module 01, its test, and what the test says."""
    lab = Lab(Tito(folder, ROOT), folder, "--no-browser")
    try:
        open_notebook(page, lab.url)
        run_all(page)
        failure = page.locator(".jp-OutputArea-output", has_text="NotImplementedError: 01-1 to_array").first
        failure.wait_for(state="attached")
        wheel_to(page, failure)
        page.screenshot(path=IMAGES / "lab.png")
    finally:
        lab.end()


def picture_of_formgrader(page, folder):
    """An answer and the field for its points."""
    teacher = Tito(folder, ROOT)
    module = hand_in_an_answer(teacher, ANSWER)
    lab = Lab(teacher, folder, "--no-browser", "--course", "class")
    try:
        page.goto(lab.url)
        open_answer(page, lab, module, ANSWER)
        page.wait_for_timeout(3000)  # formulas are drawn, and the page is where formgrader puts it
        page.get_by_text(ANSWER).evaluate("answer => answer.scrollIntoView({block: 'center'})")
        page.screenshot(path=IMAGES / "formgrader.png")
    finally:
        lab.end()


def picture_of_a_milestone(folder):
    """What the run of 1986 draws."""
    milestone = next(one for one in Course(ROOT).milestones if one.number == MILESTONE)
    milestones.run(milestone, False, folder)
    shutil.copyfile(folder / "kept" / "picture.png", IMAGES / f"milestone_{milestone.label}.png")


def main():
    for make in (picture_of_the_lab, picture_of_formgrader):
        with browser() as running, tempfile.TemporaryDirectory() as folder:
            make(new_page(running, height=760), Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        picture_of_a_milestone(Path(folder))


if __name__ == "__main__":
    main()
