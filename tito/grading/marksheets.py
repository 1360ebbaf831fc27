"""Rows of the sheets in which learning-management systems take marks."""

from tito.errors import UsageError

CANVAS_HEAD = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def canvas(found, people, tasks_only=False):
    """A sheet for Canvas's gradebook: a student a row, an assignment a column; `(rows, students it cannot name)`.

    found: Marks. people: `{student: Person}`, who have a number there if their submission came from there.
    """
    titles = list(dict.fromkeys(marks.assignment for marks in found))
    scores = {(marks.student, marks.assignment): score(marks, tasks_only) for marks in found}
    possible = {marks.assignment: possible_score(marks, tasks_only) for marks in found}
    known, unknown = _sort_out(found, people, "canvas")
    rows = [[*CANVAS_HEAD, *titles], ["    Points Possible", "", "", "", "", *(_shown(possible[t]) for t in titles)]]
    for student in known:
        cells = (_shown(scores.get((student, title))) for title in titles)
        rows.append([people[student].name, people[student].number, "", "", "", *cells])
    return rows, unknown


def moodle(found, people, tasks_only=False):
    """A grading worksheet of one assignment for Moodle; `(rows, students it cannot name)`."""
    titles = {marks.assignment for marks in found}
    if len(titles) > 1:
        raise UsageError("a worksheet of Moodle is for one assignment", "name one module: tito grade export 01")
    known, unknown = _sort_out(found, people, "moodle")
    by_student = {marks.student: marks for marks in found}
    rows = [["Identifier", "Full name", "Grade", "Maximum Grade"]]
    for student in known:
        marks, person = by_student[student], people[student]
        points = (_shown(score(marks, tasks_only)), _shown(possible_score(marks, tasks_only)))
        rows.append([f"Participant {person.number}", person.name, *points])
    return rows, unknown


def score(marks, tasks_only=False):
    """Points of tasks and answers, None while any of them is not known; of the tasks alone with `tasks_only`."""
    return marks.earned if tasks_only else marks.total


def possible_score(marks, tasks_only=False):
    return marks.possible if tasks_only else marks.total_possible


def _sort_out(found, people, system):
    """Students whom the system knows by a number, and the others."""
    students = list(dict.fromkeys(marks.student for marks in found))
    known = [student for student in students if student in people and people[student].system == system]
    return known, [student for student in students if student not in known]


def _shown(points):
    return "" if points is None else f"{points:g}"
