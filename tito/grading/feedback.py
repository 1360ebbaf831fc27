"""What a student gets back: one page with what passed, what differed, where in their code, and what to try."""

import json

from tito import notebook as nb
from tito.grading.execution import GRADED
from tito.grading.pages import render

SHOWN = 600  # characters of a value
ENDED = {
    "timeout": "ran too long",
    "memory": "used up its memory",
    "crashed": "ended its process",
    "tampered": "is looked at by a person",
}


def page(released, marks, sources, comments):
    """The feedback page of one student as HTML.

    sources: `{task or question: what the student wrote}`. comments: `{question: what the marker wrote}`.
    """
    titles = {task.id: task.title for task in released.module.tasks}
    hints = released.module.settings.get("hints", {})
    tasks = [
        task_facts(task, marks, titles.get(task, ""), hints.get(task, ()), sources.get(task, "")) for task in marks.of
    ]
    questions = [question_facts(q, marks, sources.get(q, ""), comments.get(q, "")) for q in marks.by_hand_of]
    return render(
        "feedback", title=released.module.title, marks=marks, headline=headline(marks), tasks=tasks, questions=questions
    )


def headline(marks):
    if marks.status not in GRADED:
        return f"not graded yet ({marks.status}); your instructor looks at it"
    text = f"{number(marks.earned)} of {number(marks.possible)} points for the tasks"
    if not marks.by_hand_of:
        return text
    by_hand = [points for points in marks.by_hand.values() if points is not None]
    waiting = f", {len(marks.waiting)} answers wait to be read" if marks.waiting else ""
    return f"{text}, {number(sum(by_hand))} of {number(sum(marks.by_hand_of.values()))} for the answers{waiting}"


def task_facts(task, marks, title, hints, source):
    """What the page says of a task."""
    found, points = marks.findings.get(task, {}), marks.points.get(task)
    right = points is not None and points == marks.of[task]
    said = [] if right else [found[part] for part in ("error", "test") if found.get(part)]
    return {
        "id": task,
        "title": title,
        "word": "ok" if right else ENDED.get(marks.status, "no mark") if points is None else "differs",
        "points": number(points),
        "of": number(marks.of[task]),
        "once": ", ".join(found.get("once", ())),
        "mistake": next((part["mistake"] for part in said if part.get("mistake")), ""),
        "said": [{"happened": "", "cause": "", "where": "", "line": "", **part} for part in _different(said)],
        "case": None if right else case_facts(found.get("case")),
        "right": found.get("right", []),
        "hints": list(hints),
        "source": source,
    }


def _different(said):
    """What is said, once where two parts say the same."""
    return [part for i, part in enumerate(said) if part.get("happened") not in {p.get("happened") for p in said[:i]}]


def case_facts(case):
    """The smallest failing case with its values as text."""
    if not case:
        return None
    inputs = [(name, text_of(value)) for name, value in (case.get("inputs") or {}).items()]
    index = ", ".join(map(str, case.get("index", ())))
    texts = {part: text_of(case.get(part)) for part in ("got", "expected")}
    return {"name": case["name"], "what": case["what"], "inputs": inputs, "index": index, **texts}


def text_of(value):
    """A value as the page shows it."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict) and {"shape", "first"} <= value.keys():
        text = f"shape {tuple(value['shape'])}, begins with {json.dumps(_rounded(value['first']))}"
    else:
        text = json.dumps(_rounded(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def _rounded(value):
    """Numbers with as many digits as float32 has."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    return [_rounded(part) for part in value] if isinstance(value, list) else value


def question_facts(question, marks, source, comment):
    points = marks.by_hand.get(question)
    word = "waits to be read" if points is None else "marked"
    return {
        "id": question,
        "word": word,
        "points": number(points),
        "of": number(marks.by_hand_of[question]),
        "comment": comment,
        "source": source,
    }


def number(points):
    return "-" if points is None else f"{points:g}"


def sources_of(notebook):
    """`{task or question: source}` of a student's notebook."""
    cells = (cell for cell in notebook["cells"] if nb.is_solution(cell) or nb.is_answer(cell))
    return {nb.grade_id(cell): cell["source"] for cell in cells}
