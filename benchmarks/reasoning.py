"""What an LSTM and a relational memory reach on the reasoning tasks of `tinytorch.datasets`, each at its own best rate.

    python benchmarks/reasoning.py [TASK ...] [--updates 2000] [--seeds 3] [--json FILE]

The same data for both: fresh sequences in every update, in the same order, and 2,000 others for the test. The same
readout, about the same number of weights, Adam, and gradients clipped to 1. Two budgets: as many updates for both, and
three times as many for the LSTM, which then has about as many seconds of processor time. For each budget a network gets
the rate with which it is best at its end, tried with a seed that is used for nothing else.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from peers import THREADS

if __name__ == "__main__":
    os.environ |= dict.fromkeys(THREADS, "1")  # before NumPy loads its BLAS

import numpy as np
from tqdm import tqdm

from tinytorch.core.autograd import no_grad
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.recurrent import LSTM
from tinytorch.core.relational import RelationalRNN, perceptron
from tinytorch.core.training import clip_grad_norm
from tinytorch.datasets import babi_simple, nth_farthest, object_tracking, pair_matching

TASKS = {task.__name__: task for task in (object_tracking, pair_matching, babi_simple, nth_farthest)}
BATCH, TESTS, READOUT = 32, 2000, (64,)
TUNING_SEED = 100
LONGER = 3  # times as many updates for the LSTM, in its second budget


def relational(about, rng):
    return RelationalRNN(about["input_size"], 32, about["classes"], num_heads=2, readout=READOUT, rng=rng)


def lstm(about, rng):
    model = LSTM(about["input_size"], 48, about["classes"], rng=rng)
    model.head = perceptron([48, *READOUT, about["classes"]], rng)
    return model


NETWORKS = {
    "LSTM": (lstm, (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)),
    "relational memory": (relational, (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008)),
}


def learn(model, task, rate, looks, seed, progress=lambda: None):
    """Train on fresh batches; at each update of `looks` (share of right answers, seconds of processor time so far)."""
    X_test, y_test, _ = task(TESTS, rng=np.random.default_rng(12345))
    rng, optimizer, used, found = np.random.default_rng(seed), Adam(model.parameters(), lr=rate), 0.0, []
    for update in range(1, max(looks) + 1):
        start = time.process_time()
        X, y, _ = task(BATCH, rng=rng)
        optimizer.zero_grad()
        CrossEntropyLoss()(model(X), y).backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        used += time.process_time() - start
        progress()
        if update in looks:
            with no_grad():
                found.append((float(np.mean(model(X_test).data.argmax(axis=1) == y_test)), used))
    return found


def compare(task, updates, seeds):
    """What guesses reach on a task, and for each network and budget the rates tried and what the best one reaches."""
    about = task(10_000, rng=np.random.default_rng(0))[2]
    result = {key: about[key] for key in ("task", "baseline", "shortcut_rule", "shortcut", "ceiling")}
    for name, (make, rates) in NETWORKS.items():
        budgets = [updates, LONGER * updates] if name == "LSTM" else [updates]
        total = len(rates) * budgets[-1] + seeds * sum(budgets)
        with tqdm(total=total, desc=f"{about['task']}, {name}", mininterval=1, leave=False) as bar:

            def run(seed, rate, looks, make=make, bar=bar):
                return learn(make(about, np.random.default_rng(seed)), task, rate, looks, seed, bar.update)

            trials = {rate: [share for share, _ in run(TUNING_SEED, rate, budgets)] for rate in rates}
            result[name] = []
            for place, budget in enumerate(budgets):
                tried = {rate: shares[place] for rate, shares in trials.items()}
                best = max(tried, key=tried.get)
                found = [run(seed, best, [budget])[0] for seed in range(seeds)]
                result[name].append({"updates": budget, "tried": tried, "rate": best, "found": found})
    return result


def show(result):
    guesses = f"always the same {result['baseline']:.3f}; {result['shortcut_rule']} {result['shortcut']:.3f}"
    print(f"\n{result['task']}: {guesses}; best possible {result['ceiling']:g}")
    for name in NETWORKS:
        for part in result[name]:
            shares, seconds = zip(*sorted(part["found"]))
            tried = ", ".join(f"{rate:g}: {share:.3f}" for rate, share in part["tried"].items())
            print(f"  {name}, {part['updates']} updates, {statistics.median(seconds):.1f} s; rates tried: {tried}")
            at_border = part["rate"] in (min(part["tried"]), max(part["tried"]))
            row = " ".join(f"{share:.3f}" for share in shares)
            print(f"    rate {part['rate']:g}{', at the border: try more' * at_border}: {row}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; without: all")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    options = parser.parse_args()
    unknown = [name for name in options.tasks if name not in TASKS]
    if unknown:
        parser.error(f"no task is named {unknown[0]}; there are {', '.join(TASKS)}")
    results = []
    for name in options.tasks or TASKS:
        results.append(compare(TASKS[name], options.updates, options.seeds))
        show(results[-1])
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
