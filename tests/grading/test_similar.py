"""Answers that are nearly the same: found after renaming, and not where a whole class writes alike."""

from tito.grading.similar import form_of, similar_pairs

BLANK = 'def f(values):\n    """Doc."""\n    raise NotImplementedError("01-1 f")'
HEAD = 'def f(values):\n    """Doc."""\n'
LOOP = """\
    total = 0.0
    for x in values:
        if x > 3:
            total += x * 2
        else:
            total -= x
    return total, len(values)
"""
RENAMED = "    # my own work\n" + LOOP.replace("total", "s").replace(" x ", " item ").replace("= x\n", "= item\n")
OTHER = """\
    big = [v for v in values if v > 3]
    small = [v for v in values if not v > 3]
    return 2 * sum(big) - sum(small), len(values)
"""
SPLIT = """\
    import math
    pairs = ((2 * v, 0) if v > 3 else (0, v) for v in values)
    plus, minus = zip(*pairs)
    return math.fsum(plus) - math.fsum(minus), len(plus)
"""


def answers(**bodies):
    return {student: {"01-1": HEAD + a, "01-2": HEAD + b} for student, (a, b) in bodies.items()}


def test_a_form_is_blind_to_names_comments_layout_and_what_is_given():
    assert form_of(HEAD + LOOP, BLANK) == form_of(HEAD + RENAMED, BLANK)
    assert form_of(HEAD + LOOP, BLANK) != form_of(HEAD + OTHER, BLANK)
    assert form_of(BLANK, BLANK) == []
    assert form_of("def f(:\n  '''", BLANK)  # what is no Python still has tokens


def test_a_pair_that_is_alike_in_several_tasks_is_named_and_no_other():
    blanks = {"01-1": BLANK, "01-2": BLANK}
    found = similar_pairs(answers(ada=(LOOP, SPLIT), bob=(RENAMED, SPLIT), eve=(OTHER, LOOP)), blanks)
    assert found == [{"students": ["ada", "bob"], "tasks": ["01-1", "01-2"], "likeness": 100}]
    assert similar_pairs(answers(ada=(LOOP, OTHER), bob=(RENAMED, SPLIT)), blanks) == []  # one short answer is chance


def test_what_many_write_alike_says_nothing():
    same = {name: (LOOP, SPLIT) for name in ("ada", "bob", "carl", "dora", "eve")}
    assert similar_pairs(answers(**same), {"01-1": BLANK, "01-2": BLANK}) == []


def test_short_answers_say_nothing():
    short = ("    return sum(values)", "    return len(values)")
    assert similar_pairs(answers(ada=short, bob=short), {"01-1": BLANK, "01-2": BLANK}) == []
