"""Feedback for a student and an overview of a class, from marks as grading leaves them."""

import html
import re

import pytest

from tests.conftest import TINY
from tito import notebook as nb
from tito.course import Course
from tito.grading.classroom import Released
from tito.grading.execution import Marks
from tito.grading.feedback import page
from tito.grading.overview import overview
from tito.grading.pages import render

WRONG = {
    "ok": False,
    "right": ["an array"],
    "wrong": ["a number"],
    "case": {
        "name": "a number", "what": "it differs", "inputs": {"x": 3.0}, "index": [1, 0],
        "got": 9.0, "expected": "<script>alert(1)</script>",
    },
    "test": {
        "happened": "each value is doubled", "where": "cell 01-1, line 4", "line": "return x * x",
        "mistake": "the value is squared", "cause": "this is what comes out when the value is squared",
    },
}  # fmt: skip


def marks(student="ada", status="graded", first=5.0, second=0.0, **more):
    facts = {"findings": {"01-2": WRONG} if second == 0 else {}, "seconds": 0.2, **more}
    return Marks(student, "01_double", status, {"01-1": first, "01-2": second}, {"01-1": 5, "01-2": 5}, **facts)


@pytest.fixture(scope="module")
def released_module():
    module = Course(TINY).modules[0]
    return Released(module, nb.to_json(nb.strip(nb.compile_module(module))))


def test_the_page_shows_the_smallest_case_the_line_and_the_mistake_by_name(released_module):
    text = page(released_module, marks(), {"01-2": "def quadruple(x): ..."}, {})
    plain = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())
    for part in (
        "5 of 10 points", "01-2", "differs", "given: x 3.0", "at index 1, 0", "your code gave 9.0",
        "the value is squared", "cell 01-1, line 4", "return x * x", "What is right already: an array",
        "def quadruple(x): ...", "tito module hint 01-2",
    ):  # fmt: skip
        assert part in plain, part
    assert "expected <script>alert(1)</script>" in plain  # as text
    assert "<script" not in text


def test_the_page_stands_alone_and_says_everything_in_words(released_module):
    text = page(released_module, marks(), {}, {})
    assert not re.search(r"(?:src|href)=\"(?!#)|@import|url\(", text)
    assert '<html lang="en">' in text and 'name="viewport"' in text
    assert text.count("<h1>") == 1 and len(re.findall(r'<th scope="(?:col|row)"', text)) >= 7


def test_what_has_no_mark_is_no_zero(released_module):
    text = page(released_module, marks(status="timeout", second=None), {}, {})
    assert "not graded yet (timeout)" in text and "- of 5" in text and "0 of 5" not in text


def test_answers_in_words_come_with_points_and_comment(released_module):
    found = marks(by_hand={"01-q1": 2.5}, by_hand_of={"01-q1": 5})
    text = page(released_module, found, {"01-q1": "because"}, {"01-q1": "say why"})
    assert "2.5 of 5 points" in text and "Comment: say why" in text and "because" in text
    assert "1 answers wait to be read" in page(
        released_module, marks(by_hand={"01-q1": None}, by_hand_of={"01-q1": 5}), {}, {}
    )


def test_a_class_is_counted_by_task_and_failure_and_nobody_unclear_is_left_out():
    found = [
        marks("ada", second=5.0),
        marks("bob"),
        marks("carl"),
        marks("dora", "timeout", second=None, remarks=["cell 01-2 was stopped"]),
        marks("eve", "missing", None, None),
    ]
    facts = overview(found, {"01-2": "Four times"}, [])
    assert facts["statuses"] == {"graded": 3, "timeout": 1, "missing": 1}
    assert (facts["median"], facts["lowest"], facts["highest"]) == (5, 5, 10)
    second = facts["tasks"][1]
    assert (second["right"], second["wrong"], second["unknown"], second["share"]) == (1, 2, 1, 33)
    assert facts["failures"][0] == {"task": "01-2", "what": "the value is squared", "count": 2}
    assert [(row["student"], row["status"]) for row in facts["review"]] == [("dora", "timeout")]
    text = render("class", title="Doubling", facts=facts)
    assert "dora" in text and "the value is squared" in text and "33 %" in text
