"""How fast tinytorch is beside a hand-written floor in NumPy, and beside PyTorch where it is installed.

    python benchmarks/library.py [A E G] [--rounds 40] [--quick] [--json FILE] [--peer FILE]

One thread, float32, processor time, medians over rounds in which every peer is visited in turn. A peer that does not
compute what the floor computes is refused, and the exit code is 1. Memory is the growth of the peak resident memory of
a fresh process from after the imports to the end of a round (Linux). Imports are timed in fresh processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from peers import ROOT, THREADS, Peer, disagreements
from tqdm import tqdm
from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent
FLOOR, OURS = "floor", "tinytorch"
IMPORT_MUST = 0.2  # seconds
IMPORTS = {
    "numpy": "import numpy",
    "tinytorch": "import tinytorch",
    "what training needs": "from tinytorch.core import autograd, layers, losses, optimizers",
}


def main():
    options = arguments()
    for name in THREADS:
        os.environ[name] = "1"  # the peers inherit it, and read it when they load their BLAS
    rounds, share = (3, 10) if options.quick else (options.rounds, 1)
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(path)) for path in peer_files(options.peer)]
        machine = peers[0].ask("facts")
        print_machine(machine, rounds)
        results = [measure(key, peers, rounds, share) for key in options.workloads or WORKLOADS]
    imports = {label: import_seconds(code, 3 if options.quick else 9) for label, code in IMPORTS.items()}
    print_imports(imports)
    if options.json:
        report = {"machine": machine, "rounds": rounds, "results": results, "import_seconds": imports}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any("refused" in peer for result in results for peer in result["peers"].values()) else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; without: all")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="three rounds of a tenth of the steps: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    parser.add_argument("--peer", type=Path, action="append", metavar="FILE", help="only the floor and these peers")
    options = parser.parse_args()
    unknown = [key for key in options.workloads if key not in WORKLOADS]
    if unknown or options.rounds < 2:
        parser.error(f"there is no workload {', '.join(unknown)}" if unknown else "--rounds must be 2 or more")
    return options


def peer_files(chosen):
    """The floor first, then tinytorch, then the others."""
    found = chosen or sorted(HERE.glob("peer_*.py"), key=lambda path: (path.stem != f"peer_{OURS}", path.stem))
    floor = HERE / f"peer_{FLOOR}.py"
    return [floor, *(path.resolve() for path in found if path.resolve() != floor)]


def measure(key, peers, rounds, share):
    """Time and memory of each peer that does the work, as a dictionary; printed as well."""
    work = WORKLOADS[key]
    able = [peer for peer in peers if not peer.missing and peer.ask("offers", work)]
    result = {"workload": key, "title": work.title, "target": asdict(work.target), "peers": {}}
    for peer in peers:
        result["peers"][peer.name] = {"missing": peer.missing or "this workload"} if peer not in able else {}
    expected = able[0].ask("evidence", work)
    for peer in list(able):
        shown = peer.ask("evidence", work)
        problems = disagreements(shown, expected)
        result["peers"][peer.name] |= {"losses": shown[0], "norms": shown[1]}
        if problems:
            result["peers"][peer.name]["refused"] = problems
            able.remove(peer)
    steps = max(1, work.steps // share)
    times = timed(able, work, steps, rounds, key)
    floor = statistics.median(times[FLOOR])
    for peer in able:
        result["peers"][peer.name] |= summary(times[peer.name], floor, work) | {"bytes": memory(peer, work, steps)}
    ours = result["peers"].get(OURS, {})
    if "ratio" in ours:
        ours["verdict"] = verdict(ours, work.target)
    print_result(result)
    return result


def timed(peers, work, steps, rounds, label):
    """Name -> seconds of a step in each round. Each round begins with another peer."""
    times = {peer.name: [] for peer in peers}
    for turn in tqdm(range(rounds), desc=label, leave=False, disable=None):
        first = turn % len(peers)
        for peer in peers[first:] + peers[:first]:
            times[peer.name].append(peer.ask("seconds", work, steps))
    return times


def summary(times, floor, work):
    """Median seconds, half of the values lying within `spread` (relative), and the ratio to the floor."""
    low, median, high = statistics.quantiles(times, n=4)
    return {"seconds": median / work.parts, "spread": (high - low) / median, "ratio": median / floor}


def memory(peer, work, steps):
    with Peer(peer.path) as fresh:
        return fresh.ask("memory", work, steps)


def verdict(ours, target):
    value = ours["ratio"] if target.unit == "x" else ours["seconds"] * 1e6
    if value > target.must:
        return "over"
    return "ok, stretch" if value <= target.stretch else "ok"


def import_seconds(code, repeats):
    """Median seconds of an import in fresh processes, after one that is not counted."""
    script = f"import time; began = time.perf_counter(); {code}; print(time.perf_counter() - began)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", script]
    took = [
        float(subprocess.run(run, env=environment, check=True, capture_output=True, text=True).stdout)
        for _ in range(repeats + 1)
    ]
    return statistics.median(took[1:])


def print_machine(machine, rounds):
    kept = "keeps freed memory" if machine["freed_memory_kept"] else "returns freed memory"
    print(f"{machine['processor']}\nPython {machine['python']}, NumPy {machine['numpy']}, {machine['blas']}")
    print(f"one thread, processor time, medians of {rounds} rounds; every peer {kept}")
    print(f"a + a of 8 float32 numbers takes {machine['tiny_add_us']:.2f} us\n")
    print(f"{'':24}{'time':>12}{'to floor':>10}{'spread':>8}{'memory':>11}  verdict", flush=True)


def print_result(result):
    target = result["target"]
    limits = f"must {target['must']:g}{target['unit']}, stretch {target['stretch']:g}{target['unit']}"
    print(f"{result['workload']}  {result['title']:<44}{limits}")
    for name, peer in result["peers"].items():
        print(f"   {name:<21}{line(peer)}", flush=True)


def line(peer):
    if "missing" in peer:
        return f"   {peer['missing']} is not installed" if peer["missing"] != "this workload" else "   not written"
    if "refused" in peer:
        lines = [part for problem in peer["refused"] for part in textwrap.wrap(problem, 70)]
        return "\n      ".join(["   refused: it does not do the floor's work", *lines])
    grown = "-" if peer["bytes"] is None else f"{peer['bytes'] / 1e6:.1f} MB"
    figures = f"{duration(peer['seconds']):>12}{peer['ratio']:>9.2f}x{peer['spread']:>8.1%}{grown:>11}"
    return f"{figures}  {peer.get('verdict', '')}".rstrip()


def duration(seconds):
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} us"


def print_imports(imports):
    print(f"\nimport, seconds (must {IMPORT_MUST:g})")
    for label, seconds in imports.items():
        judged = "" if label == "numpy" else "ok" if seconds <= IMPORT_MUST else "over"
        print(f"   {label:<21}{seconds:>12.3f}{'':31}{judged}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
