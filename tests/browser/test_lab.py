"""`tito lab` in a real browser: what a student sees and does, and an instructor's formgrader.

Screenshots go into the folder named by TITO_SCREENSHOTS, else into the test's own.
"""

import csv

from tests.chromium import outside, shoot
from tests.conftest import ROOT, TINY, Tito
from tests.lab import (
    code_cell,
    hand_in_an_answer,
    open_answer,
    open_notebook,
    run_all,
    run_cell,
    saved,
    solution_of,
    type_into,
    wheel_to,
)
from tito.course import Course


def test_a_student_runs_module_01_reads_what_is_missing_and_solves_a_task(tmp_path, page, lab):
    tito = Tito(tmp_path, ROOT)
    running = lab(tito)
    assert "01_tensor/tensor.ipynb" in running.url
    open_notebook(page, running.url)
    assert page.locator(".jp-Notebook").count() == 1
    run_all(page)
    yours = f"tinytorch is yours: {tmp_path}/work/tinytorch"
    page.wait_for_selector(f'.jp-OutputArea-output:has-text("{yours}")', state="attached")
    page.wait_for_timeout(1500)  # a question about news would come late
    for name, text in (("first-cell", yours), ("stub", "NotImplementedError: 01-1 to_array")):
        output = page.locator(".jp-OutputArea-output", has_text=text).first
        output.wait_for(state="attached")
        wheel_to(page, output)
        shoot(page, tmp_path, f"lab-{name}")
    assert page.locator(".jp-Dialog").count() == 0, page.locator(".jp-Dialog").first.text_content()
    assert page.locator(".Toastify__toast").count() == 0, page.locator(".Toastify__toast").first.text_content()

    solution = solution_of(Course(ROOT).modules[0], "01-1")
    task, test = code_cell(page, "def to_array("), code_cell(page, "def test_unit_to_array")
    type_into(page, task, solution)
    run_cell(page, task)
    run_cell(page, test)
    assert test.locator(".jp-OutputArea-output").count() == 0, test.text_content()
    shoot(page, tmp_path, "lab-solved")
    text = saved(page, tito.work / "01_tensor" / "tensor.py")  # the same work, as a text
    assert solution in text and '"grade_id": "01-1-test"' in text
    results = Tito(tito.work, ROOT).json("module", "check", code=1)["results"]
    statuses = {result["id"]: result["status"] for result in results}
    assert statuses["01-1-test"] == "ok" and statuses["01-2-test"] == "todo"
    assert page.asked and not outside(page, running.port)
    assert not page.faults


def test_validate_names_what_fails_and_then_nothing(tmp_path, page, lab):
    tito = Tito(tmp_path, TINY)
    running = lab(tito)
    open_notebook(page, running.url)
    assert "NotImplementedError: 01-1 double" in validate(page)
    module = Course(TINY).modules[0]
    for task in module.tasks:
        type_into(page, code_cell(page, f'NotImplementedError("{task.id} '), solution_of(module, task.id))
    question = page.locator(".jp-MarkdownCell", has_text="Write your answer here").first
    question.dblclick()
    type_into(page, question, "Two times two is four.")
    saved(page, tito.work / "01_double" / "double.ipynb")
    assert "Success! Your notebook passes all the tests." in validate(page)
    assert Tito(tito.work, TINY).json("module", "check")["ok"]


def validate(page):
    """What nbgrader's Validate button answers."""
    page.locator(".jp-ToolbarButtonComponent", has_text="Validate").click()
    dialog = page.locator(".jp-Dialog", has_text="Validation Results")
    dialog.wait_for()
    text = dialog.inner_text()
    dialog.locator("button", has_text="Ok").click()
    dialog.wait_for(state="detached")
    return text


def test_an_instructor_marks_an_answer_in_formgrader_and_exports_it(tmp_path, page, lab):
    teacher = Tito(tmp_path, TINY)
    module = hand_in_an_answer(teacher)
    assert marks(teacher)["01-q1"] == ""

    running = lab(teacher, "--course", "class")
    page.goto(running.url)
    page.locator("td", has_text=module.slug).wait_for()
    shoot(page, tmp_path, "formgrader")
    open_answer(page, running, module)
    page.wait_for_function("() => window.MathJax?.isReady")  # from the same server
    shoot(page, tmp_path, "formgrader-answer")
    points = page.locator("input.score").last
    points.fill("4")
    with page.expect_response(lambda answer: answer.request.method == "PUT") as answer:
        points.press("Tab")
    assert "/api/grade/" in answer.value.url and answer.value.json()["manual_score"] == 4
    assert not outside(page, running.port) and not page.faults
    assert marks(teacher)["01-q1"] == "4"


def marks(teacher):
    """The one row of the exported marks."""
    teacher("grade", "export", "01", "--course", "class", "--to", "marks.csv")
    with open(teacher.folder / "marks.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    return row
