"""`tito module check` and `complete` on the tiny course."""


def test_untouched_module_is_all_todo(student):
    answer = student.json("module", "check", code=1)
    assert [r["status"] for r in answer["results"]] == ["todo", "todo"]
    assert answer["points"] == 0 and answer["of"] == 10


def test_wrong_answer_says_what_differs_and_where(student):
    student.solve("01-1", "np.multiply(x, x)")
    text = student("module", "check", code=1).text
    assert "each value is doubled: expected 2, got 1 at index 0 (1 of 2 values differ)" in text
    assert "cell 01-1-test, line 2" in text
    assert "tito module hint 01-1" in text


def test_complete_puts_the_module_into_the_package_only_when_all_is_right(student):
    student.solve("01-1")
    target = student.work / "tinytorch" / "core" / "double.py"
    before = target.read_bytes()
    student("module", "complete", code=1)
    assert target.read_bytes() == before
    assert student.json("module", "status")["modules"][0]["state"] == "started"
    student.solve("01-2")
    student("module", "complete")
    assert "def quadruple" in target.read_text()
    assert student.json("module", "status")["modules"][0]["state"] == "completed"


def test_module_out_of_order_names_what_is_missing(student):
    text = student("module", "start", "02", code=2).flat
    assert "needs tinytorch.core.double, which is module 01, not built yet" in text
    assert "tito module borrow 01" in text


def test_second_module_runs_on_the_students_first(student):
    student.solve("01-1")
    student.solve("01-2")
    student("module", "complete", "01")
    student("module", "start", "02")
    student.solve("02-1")
    student("module", "complete", "02")
    wrong = student.work / "tinytorch" / "core" / "double.py"
    wrong.write_text(wrong.read_text().replace("np.add(x, x)", "np.add(x, 1)"))
    text = student("module", "check", "02", code=1).text
    assert "squared, then doubled" in text
