"""What every module of the course must hold, each a gate: a function that yields `(place, what is wrong)`.

A gate whose name begins with `runs_` runs the module's tests; the others only read.
"""

import ast
import copy
import functools
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tito import notebook as nb
from tito.authoring import stale_targets
from tito.check import assemble, check, read_fingerprints
from tito.course import imported_targets
from tito.errors import CourseError, WorkplaceError
from tito.explain import fingerprint, names_of, same_fingerprint
from tito.probe_gates import SEEDS, has_probes, runs_alternatives, runs_probes
from tito.runner import Worker
from tito.variants import load_wrong, solved, with_body

TEST_BUDGET, MEASURE_BUDGET = 2.0, 20.0  # seconds a module, reference
TASKS, MINUTES = (4, 8), 240
SOLUTION_LINES, REGION_LINES, MEDIAN_LINES = 120, 25, 8
WRONG_PER_TASK, HINTS_PER_TASK = 3, 2
LEAK_TOKENS = 8
BESIDE_MODULES = {
    "testing",
    "random",
    "datasets",
    "checkpoint",
    "_progress",
}  # of tinytorch, what modules may import besides lower modules
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass
class Subject:
    """A module under inspection, in a stage in which all lower modules are built.

    seeds: number of those that each probe is run with.
    """

    course: object
    module: object
    stage: Path
    worker: object
    seeds: int = SEEDS
    found: dict = field(default_factory=dict)

    @cached_property
    def complete(self):
        return nb.compile_module(self.module)

    @cached_property
    def blank(self):
        return nb.strip(self.complete)

    @cached_property
    def solved(self):
        return solved(self.blank, self.complete)

    @cached_property
    def wrong(self):
        return load_wrong(self.module)

    @cached_property
    def solutions(self):
        """Task id -> its complete cell."""
        return {nb.grade_id(cell): cell for cell in self.complete["cells"] if nb.is_solution(cell)}

    @cached_property
    def bench(self):
        """Where probes run; without isolation, for all of it is the authors' own code."""
        from tito.grading.bench import Bench

        return Bench(self.course, self.module, self.stage, self.complete)

    def close(self):
        if "bench" in vars(self):
            self.bench.close()

    def run(self, notebook, **options):
        return check(self.course, self.module, self.blank, notebook, self.stage, self.worker, **options)

    def variant(self, task, source):
        """The solved notebook with one solution cell replaced."""
        notebook = copy.deepcopy(self.solved)
        next(cell for cell in notebook["cells"] if nb.grade_id(cell) == task)["source"] = source
        return notebook


@contextmanager
def subject(course, module, seeds=SEEDS):
    """A Subject in a temporary stage, with a worker that has the lower modules loaded for its hundreds of runs."""
    with tempfile.TemporaryDirectory(prefix="tito-gates-") as folder:
        lower = [m for m in course.modules if m.number < module.number]
        stage = assemble(course, folder, lower)
        targets = [f"tinytorch.{target}" for m in lower for target in m.targets]
        beside = [f"tinytorch.{name}" for name in sorted(BESIDE_MODULES)]
        with Worker(fork=True, preload=[*targets, *beside], path=stage) as worker:
            it = Subject(course, module, stage, worker, seeds)
            try:
                yield it
            finally:
                it.close()


def inspect(it):
    """Run every gate on a Subject; returns `(place, what is wrong)` pairs."""
    findings = []
    for gate in GATES:
        try:
            findings += list(gate(it))
        except CourseError as error:
            findings.append((error.place, error.message))
    return findings


# --- gates that read ---


def is_whole(it):
    """Ids, metadata, regions, headings and sizes."""
    module, ids = it.module, {nb.grade_id(c) for c in it.complete["cells"]}
    for task in module.tasks:
        if not task.id.startswith(f"{module.label}-"):
            yield task.id, f"is not an id of module {module.label}"
        if task.test_id not in ids:
            yield task.id, f"has no test cell {task.test_id}"
        if task.title == task.id:
            yield task.id, "has no heading `### Task NN-k. Title`"
        if bool(task.points) == task.optional:
            yield task.id, "a task has points, an optional task has none"
        if it.solutions[task.id]["source"].count(nb.BEGIN) != 1:
            yield task.id, "needs exactly one solution region"
        if nb.export_target(it.solutions[task.id]) is None:
            yield task.id, "its solution cell is not exported"
    if f"{module.label}-module" not in ids:
        yield module.slug, f"has no cell {module.label}-module that calls test_module()"
    questions = [cell for cell in it.complete["cells"] if nb.is_answer(cell)]
    for cell in questions:
        if "### BEGIN MARK SCHEME" not in cell["source"]:
            yield nb.grade_id(cell), "a reflection question without a mark scheme"
    if not questions:
        yield module.slug, "has no reflection question"


def has_the_anatomy(it):
    """Parts, number of tasks, minutes, and the length of solutions."""
    headings = re.findall(r"^#+ .+$", _prose(it.complete), re.MULTILINE)
    for part in range(1, 7):
        if not any(re.match(rf"## Part {part}\. ", heading) for heading in headings):
            yield it.module.slug, f"has no heading `## Part {part}. ...`"
    required = [task for task in it.module.tasks if not task.optional]
    if not TASKS[0] <= len(required) <= TASKS[1]:
        yield it.module.slug, f"has {len(required)} tasks; {TASKS[0]} to {TASKS[1]} are a module"
    if it.module.settings["minutes"] > MINUTES:
        yield it.module.slug, f"expects {it.module.settings['minutes']} minutes; at most {MINUTES}"
    lengths = {task.id: _code_lines(_region(it.solutions[task.id])) for task in required}
    for task, lines in lengths.items():
        if lines > REGION_LINES:
            yield task, f"its solution has {lines} lines; at most {REGION_LINES}"
    if lengths and statistics.median(lengths.values()) > MEDIAN_LINES:
        yield (
            it.module.slug,
            f"the median solution has {statistics.median(lengths.values())} lines; at most {MEDIAN_LINES}",
        )
    if sum(lengths.values()) > SOLUTION_LINES:
        yield it.module.slug, f"its solutions have {sum(lengths.values())} lines; at most {SOLUTION_LINES}"


def tests_are_called(it):
    """A graded cell that only defines its test gives an untouched notebook full marks."""
    for cell in it.complete["cells"]:
        if not nb.is_test(cell):
            continue
        tree = ast.parse(nb.code_of(cell["source"]))
        tests = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_unit_")]
        called = [n.value.func.id for n in tree.body if _is_plain_call(n)]
        if not tests:
            yield nb.grade_id(cell), "defines no function test_unit_..."
        for name in tests:
            if name not in called:
                yield nb.grade_id(cell), f"does not call {name}()"
        if not _is_plain_call(tree.body[-1]):
            yield nb.grade_id(cell), "does not end with the call of its test"


def imports_only_lower_modules(it):
    """Lower-numbered modules and a few hand-written files; never the module's own target, a later one or a facade."""
    for cell in it.complete["cells"]:
        if cell["cell_type"] != "code":
            continue
        for target in imported_targets(cell["source"]):
            owner = it.course.owners.get(target)
            if owner is None or owner.number >= it.module.number:
                yield cell["id"], f"imports tinytorch.{target}, which no lower module exports"
        for node in ast.walk(ast.parse(nb.code_of(cell["source"]))):
            for name in _imported_names(node):
                parts = name.split(".")
                if parts[0] == "tinytorch" and (len(parts) < 2 or parts[1] not in BESIDE_MODULES | {"core"}):
                    yield cell["id"], f"imports {name}: modules import tinytorch.core.NAME, not a facade"


def names_are_defined(it):
    """No undefined name in what is exported."""
    if importlib.util.find_spec("ruff") is None:
        raise WorkplaceError("ruff is not installed", "pip install -e '.[dev]' in the checkout")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F822", "--output-format", "json"]
    with tempfile.TemporaryDirectory() as folder:
        for path in nb.export(it.complete, Path(folder) / "tinytorch", it.module.slug).values():
            done = subprocess.run([*ruff, str(path)], capture_output=True, text=True, check=False)
            for finding in json.loads(done.stdout):
                cell, line = nb.cell_at(path.read_text(encoding="utf-8"), finding["location"]["row"])
                yield f"{cell}, line {line}", finding["message"]


def names_are_defined_once(it):
    """No function or method is exported twice to one file: the later one would win, and nobody would notice."""
    seen = {}
    for cell in it.complete["cells"]:
        target = nb.export_target(cell)
        if target is None:
            continue
        for name, node in _definitions(ast.parse(nb.code_of(cell["source"]))):
            decorators = getattr(node, "decorator_list", [])
            if not isinstance(node, ast.FunctionDef) or any(getattr(d, "attr", "") == "setter" for d in decorators):
                continue
            if (target, name) in seen:
                yield cell["id"], f"defines {name} again, after {seen[target, name]}"
            seen[target, name] = cell["id"]


def hints_are_there(it):
    """At least two hints a task, the last in words."""
    hints = it.module.settings.get("hints", {})
    for task in it.module.tasks:
        mine = hints.get(task.id, [])
        if len(mine) < HINTS_PER_TASK:
            yield task.id, f"has {len(mine)} hints; at least {HINTS_PER_TASK}"
        elif re.search(r"`|\bnp\.|\breturn\b.*[=()]|\w\(|==|\[[^\]]*\]", mine[-1]):
            yield task.id, "its last hint is code; say it in words"
    for unknown in hints.keys() - {task.id for task in it.module.tasks}:
        yield unknown, "hints for a task that does not exist"


def idioms_were_shown(it):
    """Every NumPy name, array method and keyword in a solution stands earlier in something the student can see."""
    import numpy as np

    methods = {name for name in dir(np.ndarray) if not name.startswith("_")}
    lower = [m for m in it.course.modules if m.number < it.module.number]
    seen = "\n".join(_visible(nb.compile_module(m)["cells"]) for m in lower)
    for cell in it.complete["cells"]:
        if nb.is_solution(cell):
            shown = seen + "\n" + _outside_region(cell)
            for idiom in sorted(_idioms(_region(cell), methods)):
                if not re.search(_where_shown(idiom), shown):
                    yield nb.grade_id(cell), f"its solution uses {idiom.rstrip('=')}, which was not shown before"
        seen += "\n" + _visible([cell])


def nothing_leaks(it):
    """No solution statement of eight tokens or more, of any module, stands in the student's notebook or kit."""
    texts = ["".join(cell["source"] + "\n" for cell in it.blank["cells"])]
    texts += [path.read_text(encoding="utf-8") for path in _kit_files(it.module)]
    visible = [" ".join(_TOKEN.findall(text)) for text in texts]
    for task, statement, tokens in (part for module in it.course.modules for part in _telling_statements(module)):
        if any(f" {tokens} " in f" {text} " for text in visible):
            yield task, f"a statement of its solution can be read in the notebook or kit: {statement}"


@functools.cache  # each module is compared with all of them
def _telling_statements(module):
    """(task, statement, its tokens) of the solutions' statements that are long enough to be recognised."""
    solutions = [cell for cell in nb.compile_module(module)["cells"] if nb.is_solution(cell)]
    found = ((nb.grade_id(cell), text.strip()) for cell in solutions for text in _statements(_region(cell)))
    split = ((task, text, _TOKEN.findall(text)) for task, text in found)
    return [(task, text, " ".join(tokens)) for task, text, tokens in split if len(tokens) >= LEAK_TOKENS]


def export_is_committed(it):
    """The library holds what the module exports."""
    for path in stale_targets(it.course, it.module):
        yield str(path), "is not what the module exports: tito dev export"


# --- gates that run the tests ---


def runs_reference(it):
    """The reference passes everything, also when only locked cells and tests are run, within the budgets of time."""
    complete, tests = it.run(it.solved, full=True, measure=True), it.run(it.solved, full=True)
    for result in [r for r in complete.results if not r.ok] + complete.given:
        yield result.id, f"fails with the reference: {result.happened}"
    if all(r.ok for r in complete.results):
        for result in [r for r in tests.results if not r.ok] + tests.given:
            yield result.id, f"stands on a cell that students may change, which is not locked: {result.happened}"
    for path in complete.foreign:
        yield path, "was used while the reference ran in its own stage"
    it.found["seconds"] = round(tests.seconds["tests"], 2)
    it.found["measure_seconds"] = round(complete.seconds["measure"], 2)
    if tests.seconds["tests"] > TEST_BUDGET:
        yield it.module.slug, f"its tests take {tests.seconds['tests']:.1f} s; at most {TEST_BUDGET:g}"
    if complete.seconds["measure"] > MEASURE_BUDGET:
        yield it.module.slug, f"its measurements take {complete.seconds['measure']:.1f} s; at most {MEASURE_BUDGET:g}"


def runs_stub(it):
    """The untouched notebook can be imported, fails every graded test, and earns nothing."""
    outcome = it.run(it.blank, full=True)
    if not outcome.results:
        yield it.module.slug, "the untouched notebook runs no test"
    for result in outcome.results:
        if result.status != "todo":
            yield result.id, f"ends with {result.status!r} on the untouched notebook: {result.happened}"
    if outcome.points[0]:
        yield it.module.slug, f"the untouched notebook earns {outcome.points[0]} points"


def runs_matrix(it):
    """Breaking one task fails its test, and only those of later tasks whose solution reaches it."""
    order = [task.id for task in it.module.tasks]
    blanks = {nb.grade_id(cell): cell["source"] for cell in it.blank["cells"] if nb.is_solution(cell)}
    reach = reached_tasks(it)
    it.found["matrix"] = {}
    for broken in order:
        outcome = it.run(it.variant(broken, blanks[broken]))
        failing = [r.task for r in outcome.results if not r.ok]
        it.found["matrix"][broken] = failing
        if broken not in failing:
            yield broken, "its test passes without it"
        for task in failing:
            if task != broken and (order.index(task) < order.index(broken) or broken not in reach[task]):
                yield task, f"its test fails when {broken} is missing, which its solution does not use"


def runs_misconceptions(it):
    """Every wrong solution fails its test, is named by its fingerprint, and by no other."""
    tried = it.wrong
    counts = {task.id: sum(w["task"] == task.id for w in tried) for task in it.module.tasks if not task.optional}
    for task, count in counts.items():
        if count < WRONG_PER_TASK:
            yield task, f"has {count} misconceptions; at least {WRONG_PER_TASK}"
    prints, results = [], []
    for wrong in tried:
        cell = it.solutions.get(wrong["task"])
        if cell is None:
            yield wrong["task"], f"a misconception of a task that does not exist: {wrong['mistake']}"
            continue
        outcome = it.run(it.variant(wrong["task"], with_body(cell, wrong["body"])), only=[f"{wrong['task']}-test"])
        result = next(r for r in outcome.results if r.task == wrong["task"])
        if result.ok:
            yield wrong["task"], f"its test does not catch: {wrong['mistake']}"
        elif result.status == "todo":
            yield wrong["task"], f"the misconception waits for another task: {wrong['mistake']}"
        else:
            prints.append(
                {"task": wrong["task"], "mistake": wrong["mistake"], "fingerprint": fingerprint(result.error)}
            )
            results.append((wrong, result))
    named = 0
    for wrong, result in results:
        names = names_of(result, prints)
        named += names == [wrong["mistake"]]
        if names != [wrong["mistake"]]:
            others = "; ".join(name for name in names if name != wrong["mistake"])
            yield wrong["task"], f"two mistakes cannot be told apart: {wrong['mistake']}; {others} ({result.happened})"
    it.found.update(tried=len(tried), caught=len(results), named=named)
    if named == len(tried):
        it.found["recorded"] = record(it.module, prints)


def record(module, prints):
    """Write `fingerprints.json`, which travels in the kit instead of the wrong code; returns whether it changed."""
    old = read_fingerprints(module)
    same = len(old) == len(prints) and all(
        (a["task"], a["mistake"]) == (b["task"], b["mistake"]) and same_fingerprint(a["fingerprint"], b["fingerprint"])
        for a, b in zip(old, prints, strict=True)
    )
    if not same:
        text = json.dumps(prints, indent=1, ensure_ascii=False, sort_keys=True)
        nb.write_atomically(module.folder / "fingerprints.json", (text + "\n").encode())
    return not same


GATES = (
    is_whole,
    has_the_anatomy,
    tests_are_called,
    imports_only_lower_modules,
    names_are_defined,
    names_are_defined_once,
    hints_are_there,
    idioms_were_shown,
    export_is_committed,
    runs_reference,
    runs_stub,
    runs_matrix,
    runs_misconceptions,
    has_probes,
    runs_alternatives,
    runs_probes,
    nothing_leaks,
)


# --- what a solution reaches ---

_OPERATORS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.Pow: "pow", ast.MatMult: "matmul",
    ast.USub: "neg", ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge",
}  # fmt: skip


def reached_tasks(it):
    """Task id -> ids of tasks that its solution, or constructors that its test calls, reach through exported code."""
    code, owner = {}, {}
    for cell in it.complete["cells"]:
        if nb.export_target(cell) is None:
            continue
        for name, node in _definitions(ast.parse(nb.code_of(cell["source"]))):
            code.setdefault(name, set()).update(_references(node))
            if nb.is_solution(cell):
                owner[name] = nb.grade_id(cell)
    reach = {}
    for task in it.module.tasks:
        mine = {name for name, identity in owner.items() if identity == task.id}
        test = next(c for c in it.complete["cells"] if nb.grade_id(c) == task.test_id)
        made = {n.func.id for n in ast.walk(ast.parse(nb.code_of(test["source"]))) if _calls_a_name(n)}
        made |= {n.func.id for c in it.complete["cells"] for n in _helper_calls(c, made)}
        constructors = {f"{name}.__init__" for name in made}
        reach[task.id] = {owner[name] for name in _closure(mine | constructors, code) if name in owner} - {task.id}
    return reach


def _helper_calls(cell, names):
    """Names called inside a test helper that is itself called: `parameter(...)` that makes a Tensor."""
    if cell["cell_type"] != "code" or nb.export_target(cell) is not None:
        return []
    tree = ast.parse(nb.code_of(cell["source"]))
    helpers = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    return [n for helper in helpers for n in ast.walk(helper) if _calls_a_name(n)]


def _calls_a_name(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _definitions(tree):
    """`(name, node)` of functions, and of methods as `Class.method`; under `@add_to(Class)` too."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            homes = [
                d.args[0].id
                for d in node.decorator_list
                if isinstance(d, ast.Call) and getattr(d.func, "id", "") == "add_to"
            ]
            yield (f"{homes[0]}.{node.name}" if homes else node.name), node
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    yield f"{node.name}.{item.name}", item
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node


def _references(node):
    """Names, attribute names and operators that code uses: `reshape`, `.mean`, `.__add__`."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(f".{part.attr}")
        elif isinstance(part, ast.BinOp | ast.UnaryOp) and type(part.op) in _OPERATORS:
            found |= {f".__{_OPERATORS[type(part.op)]}__", f".__r{_OPERATORS[type(part.op)]}__"}
        elif isinstance(part, ast.Compare):
            found |= {f".__{_OPERATORS[type(op)]}__" for op in part.ops if type(op) in _OPERATORS}
        elif isinstance(part, ast.Subscript):
            found.add(".__getitem__")
    return found


def _closure(names, code):
    """Everything reachable from `names`: a name reaches its function, a class its constructor, `.m` every method m."""
    done, waiting = set(), set(names)
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        waiting |= code.get(name, set())
        waiting |= {key for key in code if key == f"{name}.__init__" or key == f"{name}.__call__"}
        if name.startswith("."):
            waiting |= {key for key in code if key.endswith(name)}
    return done


# --- reading code and prose ---


def _region(cell):
    lines = cell["source"].split("\n")
    marks = [i for i, line in enumerate(lines) if line.strip() in (nb.BEGIN, nb.END)]
    return "\n".join(lines[marks[0] + 1 : marks[-1]]) if len(marks) >= 2 else ""


def _outside_region(cell):
    return cell["source"].replace(_region(cell), "") if _region(cell) else cell["source"]


def _code_lines(source):
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.split("\n"))


def _visible(cells):
    return "\n".join(_outside_region(cell) if nb.is_solution(cell) else cell["source"] for cell in cells)


def _prose(notebook):
    return "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def _idioms(source, methods):
    """`np.maximum`, `.astype`, `keepdims=` as they stand in a piece of code."""
    import textwrap

    found = set()
    for node in ast.walk(ast.parse(textwrap.dedent(source))):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if re.fullmatch(r"(np|math)(\.\w+)+", text):
                found.add(text)
            elif node.attr in methods:
                found.add(f".{node.attr}")
        elif isinstance(node, ast.Call):
            root = ast.unparse(node.func)
            if root.startswith("np.") or (isinstance(node.func, ast.Attribute) and node.func.attr in methods):
                found |= {f"{keyword.arg}=" for keyword in node.keywords if keyword.arg}
    return found


def _where_shown(idiom):
    """Pattern of an idiom in visible text: `np.exp` as a word, `.astype` behind anything, `axis=` before any value."""
    text = re.escape(idiom.rstrip("="))
    return (
        rf"(?<!\w){text}\s*=" if idiom.endswith("=") else rf"{text}\b" if idiom[0] == "." else rf"(?<!\w){text}(?!\w)"
    )


def _statements(source):
    """Simple statements, and the heads of compound ones."""
    import textwrap

    source = textwrap.dedent(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            text = ast.get_source_segment(source, node)
            body = getattr(node, "body", None)
            if body and isinstance(body, list):
                text = "\n".join(source.split("\n")[node.lineno - 1 : body[0].lineno - 1])
            if text:
                yield text


def _kit_files(module):
    return [path for path in (module.folder / "module.toml", module.folder / "fingerprints.json") if path.exists()]


def _is_plain_call(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)


def _imported_names(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []
