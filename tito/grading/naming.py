"""Whose a file is, by the names under which learning-management systems hand submissions out."""

import json
import re
from dataclasses import asdict, dataclass

from tito.notebook import write_atomically

# doejane_LATE_4711_90210_training-1.ipynb: name, number of the person, number of the file
CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<number>\d+)_\d+_(?P<file>.+)")
# Jane Doe_4711_assignsubmission_file_training.ipynb, or a folder of that name without the file's
MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_file_?(?P<file>.*)")


@dataclass(frozen=True)
class Person:
    """A student as a system knows them. `student` is the id in the gradebook; `late` as the system says it."""

    student: str
    system: str = ""
    number: str = ""
    name: str = ""
    late: bool = False


def read_name(name):
    """`(Person, name of the file)` from the name of a file or folder; the whole name where no system wrote it."""
    for system, pattern in (("moodle", MOODLE), ("canvas", CANVAS)):
        match = pattern.fullmatch(name)
        if match:
            facts = match.groupdict()
            person = Person(f"{facts['name']}_{facts['number']}", system, facts["number"], facts["name"])
            return (Person(**{**asdict(person), "late": bool(facts.get("late"))})), facts["file"]
    return Person(name), name


# --- what is remembered of them, for exports ---


def known_people(room):
    """`{student: Person}` of those whose submissions came from a system."""
    path = room.private / "people.json"
    if not path.exists():
        return {}
    return {student: Person(**facts) for student, facts in json.loads(path.read_text(encoding="utf-8")).items()}


def remember(room, people):
    """Add those whom a system knows to what is known of them."""
    new = {person.student: person for person in people if person.system}
    if not new:
        return
    known = {**known_people(room), **new}
    text = json.dumps({s: asdict(p) for s, p in sorted(known.items())}, indent=1, ensure_ascii=False)
    write_atomically(room.private / "people.json", (text + "\n").encode())
