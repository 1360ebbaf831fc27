"""Gates on a module's probes: what grading pays for is exactly what is right.

What they find is published: `rates.json` beside the probes, from which the instructor's guide makes its table.
Right but different solutions stand in `tests/alternatives/NN_name.py`, as `RIGHT = [dict(task=, how=, body=)]`.
"""

import ast
import hashlib
import json
import re
import runpy
from dataclasses import dataclass, field

from tito import notebook as nb
from tito.errors import CourseError
from tito.grading import probing
from tito.variants import with_body

SEEDS, SEEDS_OF_WRONG = 20, 3  # of right solutions, and at least of wrong ones
ALTERNATIVES_PER_TASK = 3
RATES = "rates.json"
RIGHT_WITHIN, WRONG_BEYOND = 0.1, 10.0  # distances in units of the tolerance


@dataclass
class Rates:
    """What is known of one task's probe: how far right solutions come from failing, and wrong ones from passing.

    A run is one solution with one seed. Distances are in units of the tolerance; infinite where no number says how far.
    """

    task: str
    right: int = 0
    right_runs: int = 0
    right_refused: int = 0
    right_worst: float = 0.0
    wrong: int = 0
    wrong_runs: int = 0
    wrong_paid: int = 0
    wrong_nearest: float = float("inf")
    trivial: int = 0
    trivial_runs: int = 0
    trivial_paid: int = 0
    complaints: list = field(default_factory=list)

    def as_json(self):
        facts = {key: value for key, value in vars(self).items() if key != "complaints"}
        return {key: (None if value == float("inf") else value) for key, value in facts.items()}


def has_probes(it):
    """Each graded task has a probe, at least three right but different solutions, and no other task has either."""
    graded = {task.id for task in it.module.tasks if task.points}
    probes = set(it.bench.probes.tasks)
    for task in sorted(graded ^ probes):
        yield task, "has no probe" if task in graded else "has a probe, and is no graded task"
    counts = {task: sum(right["task"] == task for right in load_right(it)) for task in graded}
    for task, count in sorted(counts.items()):
        if count < ALTERNATIVES_PER_TASK:
            yield task, f"has {count} right but different solutions; at least {ALTERNATIVES_PER_TASK}"


def runs_alternatives(it):
    """Every right but different solution passes its task's visible test."""
    for right in load_right(it):
        task, cell = right["task"], it.solutions.get(right["task"])
        if cell is None:
            yield task, f"a right solution of a task that does not exist: {right['how']}"
            continue
        outcome = it.run(it.variant(task, with_body(cell, right["body"])), only=[f"{task}-test"])
        result = next(result for result in outcome.results if result.task == task)
        if not result.ok:
            yield task, f"its test ends with {result.status!r} on a right solution, {right['how']}: {result.happened}"


def runs_probes(it):
    """Probes give the same twice, pass what is right under every seed, and pay nothing for what is wrong or trivial."""
    yield from same_twice(it)
    yield from pays_for_results(it)
    yield from goals_fit(it)
    yield from same_as_tests(it)
    found = {task: rates(it, task) for task in it.bench.probes.tasks if task in it.solutions}
    for one in found.values():
        yield from ((one.task, complaint) for complaint in one.complaints)
    it.found["probes"] = [one.as_json() for one in found.values()]
    if not any(one.complaints for one in found.values()):
        it.found["published"] = publish(it)


def publish(it):
    """Write `rates.json` if the old one was measured on other solutions or with fewer seeds; whether it was written."""
    old = load_rates(it.module) or {"of": "", "seeds": 0}
    facts = {"of": _measured_on(it), "seeds": it.seeds, "tasks": it.found["probes"]}
    if old["of"] == facts["of"] and old["seeds"] >= facts["seeds"]:
        return False
    nb.write_atomically(it.module.folder / RATES, (json.dumps(facts, indent=1) + "\n").encode())
    return True


def load_rates(module):
    """`rates.json` of a module, or None: `{of, seeds, tasks: [Rates as JSON]}`."""
    path = module.folder / RATES
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _measured_on(it):
    """A hash of the probes and of the solutions on which they were tried."""
    paths = (it.bench.probes.path, it.module.folder / "misconceptions.py", right_path(it))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths if path.exists())).hexdigest()[:16]


def pays_for_results(it):
    """A task pays for results that are new with each seed, and not only for what can be written down: truth values."""
    values = it.bench.reference(*range(it.seeds)).values
    for task in it.bench.probes.tasks:
        first, *others = (values.get((task, seed), {}) for seed in range(it.seeds))
        computed = {name: value for name, value in first.items() if not _is_truth(value)}
        if not any(probing.compare(name, o.get(name), value) for o in others for name, value in computed.items()):
            yield task, "its probe yields only truth values, or the same with each seed: they could be written down"


def _is_truth(value):
    """Whether a result is true or false, or a list or an array of these."""
    parts = value if isinstance(value, list) else [value]
    return all(isinstance(part, bool) or getattr(getattr(part, "dtype", None), "kind", "") == "b" for part in parts)


def same_twice(it):
    """The reference in another process gives what it gave before."""
    seeds = range(it.seeds)
    files = probing.exported_files(it.module, it.complete)
    it.bench.trusted.close()
    first = it.bench.reference(*seeds)
    it.bench.trusted.close()
    verdicts, _ = it.bench.try_out(files, it.bench.probes.tasks, seeds)
    for (task, seed), verdict in verdicts.items():
        if not first.values.get((task, seed)):
            yield task, f"its probe yields nothing (seed {seed})"
        elif not verdict.ok:
            yield task, f"the reference fails its own probe (seed {seed}): {verdict.differences[:1]}"


def same_as_tests(it, seed=0):
    """With one task missing, the probes that fail are those of the tasks whose tests fail, so that marks agree."""
    blanks = {nb.grade_id(cell): cell["source"] for cell in it.blank["cells"] if nb.is_solution(cell)}
    graded = it.bench.probes.tasks
    for broken, failing in it.found.get("matrix", {}).items():
        files = probing.exported_files(it.module, it.variant(broken, blanks[broken]))
        verdicts, _ = it.bench.try_out(files, graded, [seed])
        for task in graded:
            if verdicts[task, seed].ok == (task in failing):
                word = "passes" if verdicts[task, seed].ok else "fails"
                yield task, f"without {broken} its probe {word}, and its test does not"


def goals_fit(it, seed=0):
    """The goals of a task share out its points and its results."""
    for task in (task for task in it.module.tasks if task.points):
        try:
            probing.goals_of(it.module, task.id, task.points, it.bench.reference(seed).values.get((task.id, seed), ()))
        except CourseError as error:
            yield error.place, error.message


def rates(it, task):
    """Try every right, wrong and trivial solution of a task on its probe."""
    found, seeds, seeds_of_wrong = Rates(task), range(it.seeds), range(max(SEEDS_OF_WRONG, it.seeds // 10))
    for right in load_right(it):
        if right["task"] == task:
            _try_right(it, found, right, seeds)
    for wrong in it.wrong:
        if wrong["task"] == task:
            _try_wrong(it, found, wrong, seeds_of_wrong)
    for body in trivial_bodies(it.solutions[task]):
        found.trivial += 1
        verdicts = _try(it, task, body, seeds_of_wrong)
        paid = [seed for (_, seed), verdict in verdicts.items() if verdict.ok]
        found.trivial_runs += len(verdicts)
        found.trivial_paid += len(paid)
        found.complaints += [f"its probe pays for a trivial body ({body!r}, seeds {paid})"] * bool(paid)
    return found


def _try_right(it, found, right, seeds):
    found.right += 1
    verdicts = _try(it, found.task, right["body"], seeds)
    refused = [verdict for verdict in verdicts.values() if not verdict.ok]
    found.right_runs += len(verdicts)
    found.right_refused += len(refused)
    if refused:
        reason = refused[0].differences[0] if refused[0].differences else refused[0].error
        found.complaints.append(f"its probe fails a right solution, {right['how']}: {reason}")
        return
    worst = max(verdict.distance for verdict in verdicts.values())
    found.right_worst = max(found.right_worst, round(worst, 5))
    if worst > RIGHT_WITHIN:
        found.complaints.append(f"a right solution, {right['how']}, comes {worst:.2g} of the way to failing")


def _try_wrong(it, found, wrong, seeds):
    found.wrong += 1
    verdicts = _try(it, found.task, wrong["body"], seeds)
    passed = [seed for (_, seed), verdict in verdicts.items() if verdict.ok]
    found.wrong_runs += len(verdicts)
    found.wrong_paid += len(passed)
    if passed:
        found.complaints.append(f"its probe pays for a mistake: {wrong['mistake']} (seeds {passed})")
        return
    nearest = min(verdict.distance for verdict in verdicts.values())
    found.wrong_nearest = min(found.wrong_nearest, round(nearest, 2))
    if nearest < WRONG_BEYOND:
        found.complaints.append(f"its probe fails a mistake by only {nearest:.2g} tolerances: {wrong['mistake']}")


def _try(it, task, body, seeds):
    """`{(task, seed): Verdict}` of the reference with another body in one task."""
    notebook = it.variant(task, with_body(it.solutions[task], body))
    verdicts, _ = it.bench.try_out(probing.exported_files(it.module, notebook), [task], seeds)
    return verdicts


# --- solutions to try ---


def load_right(it):
    """`RIGHT` of the module's alternatives; none where the file is missing."""
    path = right_path(it)
    if not path.exists():
        return []
    right = runpy.run_path(str(path)).get("RIGHT")
    keys = {"task", "how", "body"}
    if not isinstance(right, list) or any(set(item) != keys for item in right):
        raise CourseError(path, f"RIGHT is not a list of {sorted(keys)}")
    return right


def right_path(it):
    return it.course.root / "tests" / "alternatives" / f"{it.module.slug}.py"


def trivial_bodies(cell):
    """Bodies that compute nothing: nothing, None, 0, an argument, an attribute."""
    tree = ast.parse(nb.code_of(cell["source"]))
    function = next(
        (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _holds_region(cell, node)), None
    )
    if function is None:
        return ["pass"]
    arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    attributes = sorted(set(re.findall(r"\bself\.[a-z_]\w*\b(?!\()", cell["source"]))) if "self" in arguments else []
    return ["pass", "return 0", *(f"return {name}" for name in (*arguments, *attributes))]


def _holds_region(cell, node):
    """Whether the solution region stands directly in this function, and in no smaller one."""
    lines = nb.code_of(cell["source"]).split("\n")
    begin = next(i for i, line in enumerate(lines, 1) if line.strip() == nb.BEGIN)
    inner = [
        n
        for n in ast.walk(node)
        if n is not node and isinstance(n, ast.FunctionDef) and n.lineno < begin <= n.end_lineno
    ]
    return node.lineno < begin <= node.end_lineno and not inner
