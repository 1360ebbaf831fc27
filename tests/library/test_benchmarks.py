"""The benchmarks compare equal work only: every peer computes the floor's numbers, and who does not is refused."""

import json
import subprocess
import sys

import pytest

from benchmarks.peers import ROOT, disagreements, evidence, load
from benchmarks.workloads import WORKLOADS, Mlp

FOLDER = ROOT / "benchmarks"
WRONG = """
from peer_floor import Mlp as Floor

class Mlp(Floor):
    def __init__(self, work):
        super().__init__(work)
        self.momentum *= 0  # plain descent
"""


def run(*arguments):
    command = [sys.executable, str(FOLDER / "library.py"), "--quick", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


PAIRS = [(name, key) for name in ("tinytorch", "torch") for key in WORKLOADS]
PAIRS += [("trainer", key) for key, work in WORKLOADS.items() if isinstance(work, Mlp)]


@pytest.mark.parametrize("name, key", PAIRS)
def test_a_peer_does_what_the_floor_does(name, key, monkeypatch):
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    work = WORKLOADS[key]
    monkeypatch.syspath_prepend(FOLDER)  # as when the runner starts
    expected = evidence(load(FOLDER / "peer_floor.py"), work)
    arrays = (
        1 if type(work).__name__ == "Convolution" else len(work.parameters)
    )  # of what only goes forward, the result
    assert len(expected[0]) == 3 and [len(norms) for norms in expected[1]] == 3 * [arrays]
    assert disagreements(evidence(load(FOLDER / f"peer_{name}.py"), work), expected) == []


def test_what_counts_as_a_disagreement():
    expected = [2.0, 1.5, 1.0], [[1.0, 2.0]] * 3
    assert disagreements(([2.0001, 1.5, 1.0], [[1.0, 2.001]] * 3), expected) == []
    assert disagreements(([2.0003, 1.5, float("nan")], expected[1]), expected) == [
        "step 1, loss: 2.0003, and the floor has 2",
        "step 3, loss: nan, and the floor has 1",
    ]
    assert len(disagreements((expected[0], [[1.0, 2.01], [1.0], [1.0, 2.0]]), expected)) == 2


def test_a_peer_with_other_numbers_is_refused(tmp_path):
    (tmp_path / "peer_wrong.py").write_text(WRONG)
    (tmp_path / "peer_absent.py").write_text("import a_library_that_nobody_has\n")
    chosen = [part for name in ("wrong", "absent") for part in ("--peer", tmp_path / f"peer_{name}.py")]
    done = run("G", "E", *chosen, "--json", tmp_path / "report.json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "refused: it does not do the floor's work" in done.stdout
    assert "step 3, loss:" in done.stdout and "step 2, loss:" not in done.stdout, "two steps do not show momentum"
    assert "a_library_that_nobody_has is not installed" in done.stdout and "not written" in done.stdout
    digits, chain = json.loads((tmp_path / "report.json").read_text())["results"]
    wrong = digits["peers"]["wrong"]
    assert wrong["refused"] and "seconds" not in wrong, "a refused peer is not timed"
    assert chain["peers"]["wrong"] == {"missing": "this workload"}
    assert digits["peers"]["floor"]["seconds"] > 0 and digits["target"]["must"] == 1.7
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_workload_that_does_not_exist_is_named():
    done = run("Z")
    assert done.returncode == 2 and "there is no workload Z" in done.stderr
