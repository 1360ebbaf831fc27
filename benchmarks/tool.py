"""How long tito takes where a student waits: start-up, import, check, complete, and from save to answer in `watch`.

Prints medians of several runs, and the slowest; compare with the targets in the last column. On a noisy machine the
median is what counts.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 9


def seconds(command, cwd, environment):
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    took = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return took


def report(name, values, target):
    median, worst = statistics.median(values), max(values)
    print(f"{name:<44} {median:7.3f} s  {worst:7.3f} s  {target:g} s", flush=True)


def solved_workspace(folder, environment):
    """A workspace in which module 01 is started and solved with the reference's cells."""
    from tito import notebook as nb
    from tito.course import Course
    from tito.variants import solved

    tito = [sys.executable, "-m", "tito.cli"]
    seconds([*tito, "init", "work"], folder, environment)
    work = folder / "work"
    seconds([*tito, "module", "start", "01"], work, environment)
    module = Course.find().modules[0]
    complete = nb.compile_module(module)
    path = work / module.slug / f"{module.name}.ipynb"
    path.write_bytes(nb.to_json(solved(nb.read(path), complete)))
    return work, path


def save_to_answer(work, path, environment, options):
    """Seconds from writing the file to the line with the answer, over several saves."""
    command = [sys.executable, "-m", "tito.cli", "module", "watch", "01", "--json", *options]
    original, took = path.read_text(), []
    with subprocess.Popen(command, cwd=work, env=environment, stdout=subprocess.PIPE, text=True) as watcher:
        watcher.stdout.readline()  # the answer to the state it found
        for turn in range(REPEATS):
            notebook = json.loads(original)
            cells = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("solution")]
            cells[turn % 3]["source"] += f"\n# edit {turn}\n"
            time.sleep(0.5)
            start = time.perf_counter()
            path.write_text(json.dumps(notebook))
            watcher.stdout.readline()
            took.append(time.perf_counter() - start)
        watcher.terminate()
    path.write_text(original)
    return took


def main():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TITO_")}
    tito = [sys.executable, "-m", "tito.cli"]
    print(f"{'median of ' + str(REPEATS):<44} {'median':>9}  {'slowest':>9}  target")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment["TITO_COURSE"] = str(Path(__file__).resolve().parent.parent)
        report("tito --help", [seconds([*tito, "--help"], folder, environment) for _ in range(REPEATS)], 0.15)
        for what in ("numpy", "tinytorch, tinytorch.core.layers"):
            command = [sys.executable, "-c", f"import {what}"]
            report(f"import {what}", [seconds(command, folder, environment) for _ in range(REPEATS)], 0.2)
        work, path = solved_workspace(folder, environment)
        report(
            "tito module check 01",
            [seconds([*tito, "module", "check", "01"], work, environment) for _ in range(REPEATS)],
            1,
        )
        complete = [seconds([*tito, "module", "complete", "01"], work, environment) for _ in range(REPEATS)]
        report("tito module complete 01", complete, 5)
        for label, options in (("watch, forked", []), ("watch, spare process", ["--spare"])):
            report(f"{label}: save to answer", save_to_answer(work, path, environment, options), 0.3)


if __name__ == "__main__":
    main()
