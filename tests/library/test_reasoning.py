"""The reasoning tasks: each answer is recomputed from its sequence alone, and each number about a task is counted."""

import importlib

import numpy as np
import pytest

from tests.conftest import ROOT
from tinytorch.datasets import babi_simple, nth_farthest, object_tracking, pair_matching
from tinytorch.random import manual_seed

TASKS = [object_tracking, pair_matching, babi_simple, nth_farthest]
SIZES = [
    (object_tracking, {}),
    (object_tracking, {"seq_len": 4, "n_objects": 3, "grid_size": 2}),
    (object_tracking, {"seq_len": 40, "n_objects": 1, "grid_size": 3}),
    (pair_matching, {}),
    (pair_matching, {"seq_len": 2, "vocab_size": 1}),
    (pair_matching, {"seq_len": 6, "vocab_size": 5}),
    (babi_simple, {}),
    (babi_simple, {"max_facts": 1}),
    (babi_simple, {"max_facts": 12, "n_entities": 2, "n_locations": 3}),
    (nth_farthest, {}),
    (nth_farthest, {"n_vectors": 8, "dim": 16, "nth": None}),
    (nth_farthest, {"n_vectors": 3, "dim": 1, "nth": 3}),
]


def draw(task, n=300, seed=0, **sizes):
    return task(n, **sizes, rng=np.random.default_rng(seed))


def numbers(sample, columns):
    """Of each step the place of the one in these columns, and None where there is none; anything else is an error."""
    found = []
    for row in sample[:, columns]:
        assert np.isin(row, (0, 1)).all() and row.sum() <= 1
        found.append(int(row.argmax()) if row.any() else None)
    return found


def where_it_is(sample, part):
    """Answer and shortcut of a sample of object_tracking, by following every object step by step."""
    size = part["row"].stop - part["row"].start
    names = ("object", "row", "column", "move", "question")
    cells, first = {}, {}
    for step in zip(*(numbers(sample, part[name]) for name in names)):
        thing, row, column, move, question = step
        assert thing is not None
        if question is not None:
            assert step[1:4] == (None, None, None)
            return cells[thing][0] * size + cells[thing][1], first[thing][0] * size + first[thing][1]
        if row is not None:
            assert column is not None and move is None and thing not in cells
            cells[thing] = first[thing] = (row, column)
        else:
            down, right = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}[move]
            row, column = cells[thing]
            cells[thing] = (min(max(row + down, 0), size - 1), min(max(column + right, 0), size - 1))
    raise AssertionError("no question")


def what_stood_beside(sample, part):
    keys, values, questions = (numbers(sample, part[name]) for name in ("key", "value", "question"))
    beside = dict(zip(keys[:-1], values[:-1]))
    assert len(beside) == len(sample) - 1 and None not in beside, "each key stands in one pair"
    assert values[-1] is None and questions == [None] * (len(sample) - 1) + [0]
    return beside[keys[-1]], values[-2]


def where_they_went(sample, part):
    last, location = {}, None
    for who, place, question in zip(*(numbers(sample, part[name]) for name in ("entity", "location", "question"))):
        if question is not None:
            return last[who], location
        assert (who is None) == (place is None)
        if who is not None:
            last[who] = location = place
    raise AssertionError("no question")


def the_nth_farthest(sample, part):
    vectors, labels = sample[:, part["vector"]].astype(np.float64), numbers(sample, part["label"])
    (rank,), (asked,) = (set(numbers(sample, part[name])) for name in ("nth", "asked"))
    assert sorted(labels) == list(range(len(sample)))
    centre = vectors[labels.index(asked)]
    by_distance = sorted(zip(labels, vectors), key=lambda pair: -np.linalg.norm(pair[1] - centre))
    others = sorted((pair for pair in zip(labels, vectors) if pair[0] != asked), key=lambda p: -np.linalg.norm(p[1]))
    return by_distance[rank][0], (*(label for label, _ in others), asked)[rank]


SOLVE = {
    object_tracking: where_it_is,
    pair_matching: what_stood_beside,
    babi_simple: where_they_went,
    nth_farthest: the_nth_farthest,
}


@pytest.mark.parametrize(("task", "sizes"), SIZES)
def test_every_answer_is_a_function_of_its_sequence_and_every_number_is_counted(task, sizes):
    X, y, about = draw(task, **sizes)
    assert (X.dtype, y.dtype, X.shape[0], y.shape) == (np.float32, np.int64, 300, (300,))
    solved = np.array([SOLVE[task](sample, about["encoding"]) for sample in X])
    np.testing.assert_array_equal(solved[:, 0], y)
    assert about["ceiling"] == 1.0
    assert about["shortcut"] == pytest.approx(np.mean(solved[:, 1] == y))
    assert about["baseline"] == pytest.approx(max(np.mean(y == answer) for answer in range(about["classes"])))
    assert set(y) <= set(range(about["classes"]))
    stops = [columns.stop for columns in about["encoding"].values()]
    assert [columns.start for columns in about["encoding"].values()] == [0, *stops[:-1]]
    assert stops[-1] == about["input_size"] == X.shape[2] and about["task"] == task.__name__


@pytest.mark.parametrize(("task", "sizes"), SIZES)
def test_no_sequence_stands_on_both_sides_of_the_split(task, sizes):
    X, _, about = draw(task, **sizes)
    train, test = about["split"]["train"], about["split"]["test"]
    assert sorted([*train, *test]) == list(range(300))
    seen = {X[row].tobytes() for row in train}
    assert not any(X[row].tobytes() in seen for row in test)
    if len({sample.tobytes() for sample in X}) == 300:
        np.testing.assert_array_equal(test, np.arange(240, 300))


@pytest.mark.parametrize(
    ("task", "shape", "classes", "baseline", "shortcut"),
    [
        (object_tracking, (15, 3 + 5 + 5 + 4 + 1), 25, 1 / 25, 0.16),
        (pair_matching, (10, 20 + 20 + 1), 20, 1 / 20, 1 / 9 + 8 / 9 / 20),  # the last pair is asked for, or by chance
        (babi_simple, (6, 5 + 4 + 1), 4, 1 / 4, 0.68),
        (nth_farthest, (4, 2 + 3 * 4), 4, 1 / 4, 0.547),
    ],
)
def test_the_defaults_and_what_trivial_guesses_reach(task, shape, classes, baseline, shortcut):
    assert task(rng=np.random.default_rng(0))[0].shape == (1000, *shape)
    X, y, about = draw(task, 10_000)
    assert X.shape == (10_000, *shape) and about["classes"] == classes
    assert about["baseline"] == pytest.approx(baseline, abs=0.01)
    assert about["shortcut"] == pytest.approx(shortcut, abs=0.012)
    assert np.bincount(y, minlength=classes).min() > 0.8 * 10_000 / classes, "all answers are about equally frequent"


def test_the_original_farthest_task_asks_for_every_rank():
    X, y, about = draw(nth_farthest, 4000, n_vectors=8, dim=16, nth=None)
    assert X.shape == (4000, 8, 16 + 3 * 8)
    ranks, asked = (X[:, 0, about["encoding"][name]].argmax(axis=1) for name in ("nth", "asked"))
    assert np.bincount(ranks, minlength=8).min() > 400
    np.testing.assert_array_equal(y[ranks == 7], asked[ranks == 7], "the last is the vector itself")
    assert np.abs(X[..., :16]).max() <= 1 and abs(X[..., :16].mean()) < 0.01


def test_facts_are_one_to_five_and_the_question_comes_last():
    X, _, about = draw(babi_simple, 2000)
    facts = (X[:, :, about["encoding"]["location"]].sum(axis=2) > 0).sum(axis=1)
    assert np.bincount(facts, minlength=6)[0] == 0 and np.bincount(facts, minlength=6)[1:].min() > 300
    empty = ~X.any(axis=2)
    np.testing.assert_array_equal(empty.sum(axis=1), 5 - facts)
    assert (np.diff(empty.astype(int), axis=1) <= 0).all(), "the empty steps stand in front"


@pytest.mark.parametrize("task", TASKS)
def test_the_generator_decides(task):
    manual_seed(3)
    first, again = task(20), task(20)
    manual_seed(3)
    same = task(20)
    np.testing.assert_array_equal(first[0], same[0])
    assert (first[0] != again[0]).any()
    np.testing.assert_array_equal(draw(task, 20)[1], draw(task, 20)[1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: nth_farthest(0), "nth_farthest: n is 0; it must be a whole number of at least 1"),
        (lambda: nth_farthest(n_vectors=1), "n_vectors is 1; .* at least 2"),
        (lambda: nth_farthest(nth=5), "nth is 5; there are only 4 vectors"),
        (lambda: nth_farthest(nth=0), "nth is 0; .* at least 1"),
        (lambda: nth_farthest(nth=1.5), "nth is 1.5; it must be a whole number"),
        (lambda: nth_farthest(dim=2.5), "dim is 2.5"),
        (lambda: object_tracking(seq_len=3), "object_tracking: seq_len is 3; .* at least 4"),
        (lambda: object_tracking(grid_size=True), "grid_size is True"),
        (lambda: pair_matching(vocab_size=8), "pair_matching: vocab_size is 8; .* at least 9"),
        (lambda: pair_matching(seq_len=1), "seq_len is 1; .* at least 2"),
        (lambda: babi_simple(max_facts=0), "babi_simple: max_facts is 0"),
        (lambda: babi_simple(n_locations=1), "n_locations is 1; .* at least 2"),
    ],
)
def test_what_does_not_fit_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# --- what networks reach ---

SMALL = [
    (
        object_tracking,
        {"seq_len": 7, "n_objects": 2, "grid_size": 2},
        {"LSTM": (0.05, 150), "relational memory": (0.01, 300)},
    ),
    (pair_matching, {"seq_len": 4, "vocab_size": 6}, {"LSTM": (0.05, 300), "relational memory": (0.01, 600)}),
    (
        babi_simple,
        {"max_facts": 3, "n_entities": 3, "n_locations": 3},
        {"LSTM": (0.05, 150), "relational memory": (0.005, 300)},
    ),
]
POINTS = {"n_vectors": 3, "dim": 1}


@pytest.fixture(scope="module")
def reasoning():
    """`benchmarks/reasoning.py`, which measures the tasks in full size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("reasoning")


def reached(reasoning, network, task, sizes, rate, updates):
    """(share of right answers, what is known about the task) of a network of the benchmark after so many updates."""

    def sample(n, rng):
        return task(n, rng=rng, **sizes)

    about = sample(4000, np.random.default_rng(0))[2]
    model = reasoning.NETWORKS[network][0](about, np.random.default_rng(0))
    return reasoning.learn(model, sample, rate, [updates], seed=0)[0][0], about


@pytest.mark.parametrize("network", ["LSTM", "relational memory"])
@pytest.mark.parametrize(("task", "sizes", "budgets"), SMALL, ids=[task.__name__ for task, _, _ in SMALL])
def test_both_networks_come_close_to_the_ceiling_of_small_tasks(reasoning, network, task, sizes, budgets):
    share, about = reached(reasoning, network, task, sizes, *budgets[network])
    assert about["ceiling"] >= share > 0.93 > 0.85 > about["shortcut"]


def test_of_points_on_a_line_the_memory_finds_the_farthest_first(reasoning):
    memory, about = reached(reasoning, "relational memory", nth_farthest, POINTS, 0.005, 600)
    lstm, _ = reached(reasoning, "LSTM", nth_farthest, POINTS, 0.02, 600)
    assert memory > about["shortcut"] + 0.05 > about["shortcut"] > lstm > about["baseline"]


def test_the_benchmark_measures_each_network_at_the_best_of_its_rates(reasoning, monkeypatch, capsys):
    monkeypatch.setattr(reasoning, "TESTS", 50)
    result = reasoning.compare(babi_simple, updates=3, seeds=2)
    reasoning.show(result)
    assert "the location of the last fact 0.674" in capsys.readouterr().out
    for name, budgets in (("LSTM", [3, 9]), ("relational memory", [3])):
        assert [part["updates"] for part in result[name]] == budgets
        for part in result[name]:
            assert part["tried"][part["rate"]] == max(part["tried"].values()) and len(part["found"]) == 2
            assert all(0 <= share <= 1 and used > 0 for share, used in part["found"])
