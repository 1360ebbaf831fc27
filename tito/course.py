"""What the course consists of, discovered from its folders. Reads text only, so that listing it is instant."""

import ast
import configparser
import difflib
import hashlib
import json
import os
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tito.errors import CourseError, UsageError, WorkplaceError

MODULE_FOLDER = re.compile(r"(\d\d)_([a-z][a-z0-9_]*)")
_MARKER = re.compile(r"^# %%.*$", re.MULTILINE)
_NBGRADER = re.compile(r"\bnbgrader=(\{.*?\})")
_EXPORT_TO = re.compile(r"^#\|[ \t]*export[ \t]+([\w.]+)", re.MULTILINE)
_DEFAULT_EXP = re.compile(r"^#\|[ \t]*default_exp[ \t]+([\w.]+)", re.MULTILINE)
_HEADING = re.compile(r"^# # (.+)$", re.MULTILINE)
_TASK_HEADING = re.compile(r"^# #+ (?:Optional task|Task) (\d\d-\d+)\. (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Task:
    """One blank to fill, with one graded test. `id` is `NN-k`, the test's cell is `NN-k-test`."""

    id: str
    title: str
    points: float
    optional: bool

    @property
    def test_id(self):
        return f"{self.id}-test"


@dataclass(frozen=True)
class Module:
    """One folder `modules/NN_name`. `source` is `name_dev.py`, or in a student kit the blank `name.py`."""

    number: int
    name: str
    folder: Path

    @property
    def label(self):
        return f"{self.number:02}"

    @property
    def slug(self):
        return f"{self.label}_{self.name}"

    @property
    def has_reference(self):
        return (self.folder / f"{self.name}_dev.py").exists()

    @property
    def source(self):
        return self.folder / (f"{self.name}_dev.py" if self.has_reference else f"{self.name}.py")

    @cached_property
    def text(self):
        try:
            return self.source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CourseError(self.source, f"cannot be read: {error}") from error

    @cached_property
    def settings(self):
        """`module.toml`: what code cannot say."""
        path = self.folder / "module.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise CourseError(path, "is missing", "it holds summary, minutes and [hints]") from error
        except tomllib.TOMLDecodeError as error:
            raise CourseError(path, f"is not valid TOML: {error}") from error

    @cached_property
    def title(self):
        heading = _HEADING.search(self.text)
        if not heading:
            raise CourseError(self.source, "has no title", "begin with a markdown cell whose first line is `# # Title`")
        return heading[1].strip()

    @cached_property
    def targets(self):
        """Names of the files it exports below the package, the default one first: `core.metrics`, ..."""
        default = _DEFAULT_EXP.search(self.text)
        if not default:
            raise CourseError(self.source, "has no `#| default_exp`", "name the exported file in the first code cell")
        return tuple(dict.fromkeys([default[1], *_EXPORT_TO.findall(self.text)]))

    @cached_property
    def graded(self):
        """The nbgrader metadata of its cells, in order, as written in the source."""
        found = []
        for marker in _MARKER.finditer(self.text):
            metadata = _NBGRADER.search(marker[0])
            if metadata:
                try:
                    found.append(json.loads(metadata[1]))
                except json.JSONDecodeError as error:
                    line = self.text.count("\n", 0, marker.start()) + 1
                    raise CourseError(f"{self.source}:{line}", f"nbgrader metadata is not JSON: {error}") from error
        return tuple(found)

    @cached_property
    def tasks(self):
        titles = dict(_TASK_HEADING.findall(self.text))
        points = {cell["grade_id"]: cell.get("points", 0) for cell in self.graded if "grade_id" in cell}
        return tuple(
            Task(
                id=cell["grade_id"],
                title=titles.get(cell["grade_id"], cell["grade_id"]),
                points=points.get(f"{cell['grade_id']}-test", 0),
                optional=bool(cell.get("optional")),
            )
            for cell in self.graded
            if cell.get("solution") and "points" not in cell
        )

    @cached_property
    def imports(self):
        """Targets of other modules that its exported cells import: `{"core.tensor"}`."""
        found = set()
        for cell in _MARKER.split(self.text):
            if re.search(r"^#\|\s*export", cell, re.MULTILINE):
                found |= imported_targets(cell)
        return found - set(self.targets)

    @cached_property
    def hash(self):
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def task(self, task_id):
        for task in self.tasks:
            if task.id == task_id:
                return task
        known = ", ".join(task.id for task in self.tasks)
        raise UsageError(f"module {self.label} has no task {task_id}", f"its tasks are {known}")


def imported_targets(source):
    """Names below `tinytorch` that Python source imports, `tinytorch.core.tensor` as `core.tensor`."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()  # the pipeline reports it, with its place
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {".".join(name.split(".")[1:3]) for name in names if name.startswith("tinytorch.core.")}


@dataclass(frozen=True)
class Milestone:
    """One folder `milestones/NN_year_name` with `run.py` and `milestone.toml`."""

    number: int
    slug: str
    folder: Path

    @property
    def label(self):
        return f"{self.number:02}"

    @cached_property
    def settings(self):
        path = self.folder / "milestone.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise CourseError(path, f"cannot be read: {error}") from error

    @property
    def title(self):
        return f"{self.settings['title']} ({self.settings['year']})"

    @property
    def needs(self):
        return tuple(self.settings["needs"])


class Course:
    """A folder with `settings.ini`, `modules/` and `milestones/`."""

    def __init__(self, root):
        self.root = Path(root).resolve()

    @classmethod
    def find(cls, start=None):
        """`$TITO_COURSE`, else the nearest parent that is a course, else the one tito came with."""
        named = os.environ.get("TITO_COURSE")
        if named:
            if not _is_course(Path(named)):
                raise WorkplaceError(
                    f"TITO_COURSE is {named}, which holds no course",
                    "it needs settings.ini and modules/NN_name; or unset TITO_COURSE",
                )
            return cls(named)
        here = Path(start or Path.cwd()).resolve()
        package = Path(__file__).resolve().parent
        for folder in [here, *here.parents, package.parent, package / "_course"]:
            if _is_course(folder):
                return cls(folder)
        raise WorkplaceError(f"no course found from {here} upwards", "reinstall tinytorch, or set TITO_COURSE")

    @cached_property
    def config(self):
        parser = configparser.ConfigParser()
        parser.read(self.root / "settings.ini", encoding="utf-8")
        return parser["DEFAULT"]

    @property
    def version(self):
        return self.config["version"]

    @property
    def reference(self):
        """The package into which the modules are exported."""
        return self.root / self.config["lib_path"]

    @cached_property
    def library(self):
        """The package whose hand-written files students get: the course's own, else the installed one."""
        own = self.reference
        return (
            own if (own / "testing.py").exists() else Path(__file__).resolve().parent.parent / self.config["lib_name"]
        )

    @cached_property
    def modules(self):
        found = []
        for folder in sorted((self.root / self.config["nbs_path"]).iterdir()):
            match = MODULE_FOLDER.fullmatch(folder.name)
            if match and folder.is_dir():
                found.append(Module(int(match[1]), match[2], folder))
        return tuple(found)

    @cached_property
    def milestones(self):
        folders = sorted((self.root / "milestones").glob("[0-9][0-9]_*"))
        return tuple(Milestone(int(f.name[:2]), f.name, f) for f in folders if (f / "milestone.toml").exists())

    @cached_property
    def owners(self):
        """Which module builds which target."""
        return {target: module for module in self.modules for target in module.targets}

    @cached_property
    def hash(self):
        return hashlib.sha256("".join(module.hash for module in self.modules).encode()).hexdigest()[:16]

    @property
    def reference_roots(self):
        """Folders whose code a student's check must never use."""
        package = Path(__file__).resolve().parent
        roots = {self.library, self.reference, self.root / self.config["nbs_path"]}
        roots |= {package.parent / self.config["lib_name"], package / "_course" / "modules"}
        return sorted(str(root.resolve()) for root in roots)

    def module(self, word):
        """The module that `word` names: `7`, `07`, `training`, `07_training`."""
        return _pick(word, self.modules, "module", "tito module list")

    def span(self, words):
        """The modules that words name, lowest first; `01-03` names three."""
        chosen = {}
        for word in words:
            ends = re.fullmatch(r"(\d+)-(\d+)", word)
            first, last = ends.groups() if ends else (word, word)
            first, last = self.module(first).number, self.module(last).number
            if first > last:
                raise UsageError(f"{word} runs backwards", f"{last:02}-{first:02}")
            chosen.update({module.number: module for module in self.modules if first <= module.number <= last})
        return [chosen[number] for number in sorted(chosen)]

    def milestone(self, word):
        return _pick(word, self.milestones, "milestone", "tito milestone list")

    def needs(self, module):
        """The modules it imports from, lowest first."""
        unknown = module.imports - set(self.owners)
        if unknown:
            raise CourseError(module.source, f"imports {', '.join(sorted(unknown))}, which no module exports")
        return sorted({self.owners[target] for target in module.imports}, key=lambda m: m.number)

    def lead_to(self, module):
        return [milestone for milestone in self.milestones if module.number in milestone.needs]


def _is_course(folder):
    modules = folder / "modules"
    return (folder / "settings.ini").is_file() and modules.is_dir() and any(modules.glob("[0-9][0-9]_*"))


def _pick(word, items, kind, listing):
    names = {}
    for item in items:
        short = item.name if isinstance(item, Module) else item.slug.split("_", 2)[-1]
        names.update({str(item.number): item, item.label: item, short: item, item.folder.name: item})
    key = str(word).strip().rstrip("/").lower()
    if key in names:
        return names[key]
    close = difflib.get_close_matches(key, [name for name in names if not name.isdigit()], n=1, cutoff=0.5)
    guess = f"did you mean {close[0]}?" if close else f"see `{listing}`"
    raise UsageError(f"there is no {kind} {word!r}", guess)
