"""The milestones on the reference: what each of them promises, and that its own measurements can be believed."""

import ast
import importlib.util
import itertools
import json

import numpy as np
import pytest

from tests.conftest import ROOT
from tinytorch.core.activations import Tanh
from tinytorch.core.layers import Linear, Sequential
from tinytorch.datasets import digits_split, load_digits
from tito.course import Course
from tito.milestone import needed, require_settings

COURSE = Course(ROOT)
SLUGS = [milestone.slug for milestone in COURSE.milestones]


def load(slug):
    """A fresh copy of the module `run.py` of a milestone, so that a test may change it."""
    spec = importlib.util.spec_from_file_location(slug, ROOT / "milestones" / slug / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quiet(line):
    """For what a run reports where nobody looks."""


@pytest.fixture(scope="module", autouse=True)
def only_what_comes_with_the_course(tmp_path_factory):
    """No larger data, whatever this machine has: they would take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYTORCH_DATA", str(tmp_path_factory.mktemp("no-data")))
        yield


@pytest.fixture(scope="module")
def runs():
    """`run` of a milestone with seed 0, each made once and in full."""
    made = {}

    def run(slug):
        if slug not in made:
            made[slug] = load(slug).run(0, False, quiet)
        return made[slug]

    return run


# --- all of them ---


@pytest.mark.parametrize("milestone", COURSE.milestones, ids=SLUGS)
def test_settings_are_complete_and_the_history_has_three_sentences(milestone):
    require_settings(milestone)
    settings = milestone.settings
    assert int(milestone.slug.split("_")[1]) == settings["year"]
    assert str(settings["year"]) in settings["source"] and len(settings["seeds"]) % 2 == 1
    assert len([part for part in settings["history"].split(". ") if part]) == 3 and settings["history"].endswith(".")


@pytest.mark.parametrize("milestone", COURSE.milestones, ids=SLUGS)
def test_it_imports_only_what_its_modules_build(milestone):
    tree = ast.parse((milestone.folder / "run.py").read_text())
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    built = {f"tinytorch.{target}" for module in needed(COURSE, milestone) for target in module.targets}
    assert {name for name in used if name.startswith("tinytorch.core.")} <= built


@pytest.mark.parametrize("slug", SLUGS)
def test_short_mode_gives_plain_data_and_a_picture(slug, tmp_path):
    milestone, lines, path = load(slug), [], tmp_path / "picture.png"
    results = [milestone.run(seed, True, lines.append) for seed in (0, 1)]
    assert all(0 <= result["metric"] <= 1 for result in results)
    assert {"seed 0", "seed 1"} <= {line.split(":")[0] for line in lines}
    milestone.draw(json.loads(json.dumps(results, allow_nan=False)), str(path))
    assert path.read_bytes().startswith(b"\x89PNG") and 20_000 < path.stat().st_size < 400_000


@pytest.mark.parametrize("slug", SLUGS)
def test_the_same_seed_gives_the_same_result_and_another_seed_another(slug):
    run = load(slug).run
    assert run(3, True, quiet) == run(3, True, quiet) != run(4, True, quiet)


def long_sequences_need_gates(result):
    assert result["plain"]["right"] < result["guessing"] + 0.05 < 0.9 < result["lstm"]["right"]
    assert max(result["plain"]["curve"]["right"]) < 0.25, "not on the way either"
    assert result["plain"]["last_losses"] == pytest.approx(1 / 24, abs=0.004), "it has learned to answer 1/2"
    for network, slope in (("lstm", 0.5), ("plain", 0)):
        assert np.median(result[network]["slopes"]) == pytest.approx(slope, abs=0.1)


def slots_learn_to_compare_first(result):
    ours, lstm, uniform = (result[network] for network in ("relational", "lstm", "uniform_lstm"))
    assert result["shortcut"] == pytest.approx(0.547, abs=0.03)
    assert lstm["right"] > result["shortcut"], "begun orthogonal it learns to compare as well, later"
    assert max(uniform["curve"]["right"]) <= 0.4
    quarter = ours["curve"]["updates"].index(2000)
    assert ours["curve"]["right"][quarter] > result["shortcut"] > 0.4 > lstm["curve"]["right"][quarter]
    assert ours["near"]["right"][0] < 0.7 and ours["near"]["right"][-1] > 0.95, "mistakes are close decisions"


# here, for another worker would have to train once more
WHAT_ELSE = {"05_1997_lstm": long_sequences_need_gates, "06_2018_relational": slots_learn_to_compare_first}


@pytest.mark.parametrize("milestone", COURSE.milestones, ids=SLUGS)
def test_the_reference_reaches_it(milestone, runs):
    result = runs(milestone.slug)
    assert result["metric"] >= milestone.settings["at_least"]
    if milestone.slug in WHAT_ELSE:
        WHAT_ELSE[milestone.slug](result)


# --- 02: XOR ---

XOR = "02_1969_xor"


def test_one_layer_is_no_better_than_the_best_line_and_two_layers_are(runs):
    result = runs(XOR)
    assert result["one_layer"] <= result["best_line"] + 1e-9 < 0.8 < result["metric"]
    assert abs(result["one_layer_losses"][-1] - np.log(2)) < 0.01, "the best one layer can do is to know nothing"
    assert 0 < result["stuck"] < len(result["losses"])


def test_a_layer_that_does_what_no_line_can_ends_the_run():
    milestone = load(XOR)
    milestone.one_layer = lambda: Sequential(Linear(2, 4), Tanh(), Linear(4, 1))
    with pytest.raises(ValueError, match="no line on more than 0.7"):
        milestone.run(0, False, quiet)


def test_two_layers_without_a_bend_between_them_are_one():
    milestone = load(XOR)
    milestone.two_layers = lambda: Sequential(Linear(2, 2), Linear(2, 1))
    result = milestone.run(0, True, quiet)
    assert result["metric"] < milestone.NO_LINE


def best_threshold(x, y):
    """The best line by another way: every direction between the points' own critical ones, every threshold."""
    pairs = itertools.combinations(range(len(x)), 2)
    critical = np.sort([np.arctan2(*(x[j] - x[i])[::-1]) + np.pi / 2 for i, j in pairs] + [-np.pi, np.pi])
    best = 0
    for angle in (critical[1:] + critical[:-1]) / 2:
        own = y[np.argsort(x @ [np.cos(angle), np.sin(angle)]), 0] > 0.5
        above = [np.sum(own[k:]) + np.sum(~own[:k]) for k in range(len(x) + 1)]
        best = max(best, *above, *(len(x) - count for count in above))
    return best / len(x)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_line_is_the_best(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(13, 2)), rng.integers(0, 2, size=(13, 1))
    assert load(XOR).best_line(x, y)[0] == pytest.approx(best_threshold(x, y))


def test_the_best_line_on_the_four_corners_and_on_points_that_a_line_can_separate():
    milestone = load(XOR)
    corners, labels = milestone.CORNERS, milestone.LABELS[:, None]
    assert milestone.best_line(corners, labels)[0] == 0.75
    assert milestone.best_line(corners, corners[:, :1])[0] == 1.0


def test_clouds_hold_their_labels_and_training_and_test_differ(runs):
    milestone = load(XOR)
    rng = np.random.default_rng(0)
    (x, y), (test_x, _) = milestone.clouds(rng), milestone.clouds(rng)
    assert x.dtype == y.dtype == np.float32 and x.shape == (200, 2) and y.shape == (200, 1)
    near = x.round().astype(int)
    np.testing.assert_array_equal(near[:, 0] ^ near[:, 1], y[:, 0])
    assert not np.isin(test_x, x).any()
    assert runs(XOR)["points"] == test_x.tolist(), "the test points are those that training did not see"


# --- 03: back-propagation on digits ---

MLP = "03_1986_mlp"


def test_the_network_has_the_parameters_that_later_milestones_compare_with():
    assert sum(parameter.size for parameter in load(MLP).two_hidden_layers().parameters()) == 8970


def test_hidden_layers_help_and_other_writers_are_harder(runs):
    result = runs(MLP)
    assert result["metric"] > result["no_hidden_layer"] > 0.95
    for known, strange in (("metric", "other_writers"), ("no_hidden_layer", "no_hidden_layer_other_writers")):
        assert 0.03 < result[known] - result[strange] < 0.09


def test_curves_confusion_and_mistakes_agree_with_the_accuracy(runs):
    result = runs(MLP)
    history, confusion, mistakes = result["history"], np.array(result["confusion"]), result["mistakes"]
    _, test = digits_split()
    _, labels = load_digits()
    assert confusion.sum(axis=1).tolist() == np.bincount(labels[test]).tolist()
    assert np.trace(confusion) / len(test) == pytest.approx(result["metric"]) == history["val_accuracy"][-1]
    assert len(mistakes) == len(test) - np.trace(confusion)
    assert all(mistake["index"] in test and labels[mistake["index"]] != mistake["guess"] for mistake in mistakes)
    sure = [mistake["probability"] for mistake in mistakes]
    assert sure == sorted(sure, reverse=True) and min(sure) > 0.1 and max(sure) <= 1
    assert history["train_loss"][-1] < 0.02 < 0.5 < history["train_loss"][0]
    assert np.shape(result["weights"]) == (16, 8, 8)


def test_batches_hold_each_image_once_with_its_label():
    images, labels = load_digits()
    train, _ = digits_split()
    parts = load(MLP).batches(images, labels, train, np.random.default_rng(0))
    seen = np.concatenate([x.data.reshape(-1, 64) for x, _ in parts])
    right = np.concatenate([y.data for _, y in parts])
    assert [len(y.data) for _, y in parts] == [32] * 44 + [29]
    order = np.random.default_rng(0).permutation(train)
    np.testing.assert_array_equal(seen, images[order].reshape(-1, 64))
    np.testing.assert_array_equal(right, labels[order])


# --- 04: convolutions ---

CNN = "04_1998_cnn"


def test_convolutions_read_more_with_fewer_parameters(runs):
    result = runs(CNN)
    ours, other = result["convolutional"], result["hidden_layers"]
    assert (ours["parameters"], other["parameters"]) == (6090, 8970) and result["data"] == "digits"
    assert ours["accuracy"] == result["metric"] > other["accuracy"] > 0.96
    assert other["accuracy"] == pytest.approx(runs(MLP)["metric"], abs=0.01), "it is the network of milestone 03"
    assert other["moved"] < ours["moved"] < 0.8, "both lose much when the digits move by one pixel"


def test_mistakes_are_mistakes_and_the_surest_come_first(runs):
    result = runs(CNN)
    mistakes, errors = result["mistakes"], (1 - result["metric"]) * 360
    assert len(mistakes) == min(10, round(errors))
    assert all(mistake["digit"] != mistake["guess"] for mistake in mistakes)
    sure = [mistake["probability"] for mistake in mistakes]
    assert sure == sorted(sure, reverse=True)
    assert np.shape(result["kernels"]) == (16, 3, 3) and np.shape(result["maps"]) == (16, 8, 8)
    assert np.min(result["maps"]) == 0, "after ReLU"


def test_images_of_another_size_are_read_where_they_are(tmp_path):
    milestone = load(CNN)
    images, labels = load_digits()
    large = images.repeat(3, axis=1).repeat(3, axis=2).astype(np.uint8)
    large = np.pad(large * 15, ((0, 0), (2, 2), (2, 2)))  # (N, 28, 28), up to 240: in MNIST's form
    parts = {"train": (large[:1437], labels[:1437]), "test": (large[1437:], labels[1437:])}
    milestone.load_mnist = lambda split, download: parts[split]  # the real files have digests, and take minutes
    results = [milestone.run(0, True, quiet)]
    result = results[0]
    assert result["data"] == "mnist" and result["metric"] > 0.7
    assert result["convolutional"]["parameters"] == 20_490 < result["hidden_layers"]["parameters"] == 55_050
    milestone.draw(results, str(tmp_path / "picture.png"))
    assert (tmp_path / "picture.png").stat().st_size > 20_000


def test_a_moved_image_loses_one_column():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    moved = load(CNN).moved(x)
    np.testing.assert_array_equal(moved[..., 1:], x[..., :-1])
    assert not moved[..., 0].any()


# --- 05: LSTM ---

LONG = "05_1997_lstm"


def test_the_answer_is_a_function_of_the_numbers_that_are_read():
    milestone = load(LONG)
    X, lengths, answers = milestone.sequences(np.random.default_rng(0), 2000)
    read = np.arange(X.shape[1]) < lengths[:, None]
    assert X.shape == (2000, 110, 2) and X.dtype == answers.dtype == np.float32
    assert set(lengths) == set(range(100, 111)) and not X[~read].any()
    numbers, marks = X[:, :, 0], X[:, :, 1]
    np.testing.assert_allclose((numbers * marks).sum(axis=1) / 2, answers[:, 0], rtol=1e-6)
    steps = np.array([np.flatnonzero(row) for row in marks])  # two in each, or this is no table
    assert steps.shape == (2000, 2) and steps[:, 0].max() == 9 and steps[:, 1].max() == 49
    assert np.mean(np.abs(answers - 0.5) <= milestone.TOLERANCE) == pytest.approx(milestone.guessing_right(), abs=0.03)


def test_what_the_picture_of_the_long_sequences_shows_belongs_together():
    result = load(LONG).run(0, True, quiet)
    inputs, answer = np.array(result["example"]["inputs"]), result["example"]["answer"]
    assert (inputs[:, 0] @ inputs[:, 1]) / 2 == pytest.approx(answer, abs=1e-4)
    for network in ("lstm", "plain"):
        part = result[network]
        assert part["right"] == part["curve"]["right"][-1] and np.shape(part["memory"]) == (100, 16)
        assert len(part["answers"]) == 100 and len(part["slopes"]) == len(part["steps"]) == 200
        assert {len(values) for values in part["curve"].values()} == {21}


def test_slopes_and_memory_are_those_of_the_network():
    """A network that adds, made by hand: its answer moves by 1/2 with each marked number, and its memory keeps them."""
    milestone = load(LONG)
    model = milestone.LSTM(2, 1, 1)
    for parameter in model.parameters():
        parameter.data = np.zeros_like(parameter.data)
    model.weight_ih_l0.data[[0, 2]] = [[0, 40], [0.01, 0]]  # the mark opens the input gate, the number is the news
    model.bias_ih_l0.data[:2] = -20, 20
    model.head.weight.data[:] = 100  # the output gate is half open
    X, lengths, answers = milestone.sequences(np.random.default_rng(0), 20)
    slopes, steps = milestone.slopes(model, X, lengths)
    np.testing.assert_allclose(slopes, 0.5, atol=1e-3)
    assert all(X[row, step, 1] == 1 for row, pair in enumerate(steps) for step in pair)
    shown, memory = milestone.watch(model, X[:, :100])
    np.testing.assert_allclose(shown[:, -1:], answers, atol=1e-3)
    np.testing.assert_allclose(memory[:, -1], answers * 0.02, atol=1e-5)


# --- 06: relational memory ---

SLOTS = "06_2018_relational"


def compared(X, part):
    """The distance of each vector from m, by label, (N, 4): read from the sequences one by one."""
    found = np.zeros((len(X), 4))
    for row, sequence in enumerate(X):
        by_label = {int(step[part["label"]].argmax()): step[part["vector"]] for step in sequence}
        m = by_label[int(sequence[0, part["asked"]].argmax())]
        found[row] = [np.hypot(*(by_label[label] - m)) for label in range(4)]
    return found


def test_distances_are_those_between_the_vectors():
    milestone = load(SLOTS)
    test = milestone.Samples(*milestone.nth_farthest(200, rng=np.random.default_rng(0)))
    expected = compared(test.X, test.about["encoding"])
    np.testing.assert_array_equal(expected.argmax(axis=1), test.y)
    np.testing.assert_allclose(milestone.distances(test), -np.sort(-expected, axis=1), rtol=1e-6)
    right = np.arange(200) % 2 == 0
    near = milestone.near_and_far(right, test)
    assert near["ahead"] == sorted(near["ahead"]) and np.mean(near["right"]) == pytest.approx(0.5)


def test_the_map_of_a_network_that_knows_is_a_circle():
    milestone = load(SLOTS)
    _, _, about = milestone.nth_farthest(1)
    part = about["encoding"]
    shown = np.array(milestone.plane(lambda x: milestone.Tensor(1000 * compared(x.data, part)), part))
    places = np.linspace(-1, 1, milestone.GRID)
    across, up = np.meshgrid(places, places)
    x, y = milestone.FIXED[milestone.ASKED]
    beyond = np.hypot(across - x, up - y) - milestone.reach()
    assert (shown[beyond > 0.02] > 0.99).all() and (shown[beyond < -0.02] < 0.01).all()


def test_both_kinds_of_lstm_differ_only_in_how_their_weights_begin():
    milestone = load(SLOTS)
    orthogonal, uniform = milestone.lstm(), milestone.uniform_lstm()
    assert [p.shape for p in orthogonal.parameters()] == [p.shape for p in uniform.parameters()]
    assert all(p.dtype == np.float32 for p in uniform.parameters())
    for block in orthogonal.weight_hh_l0.data.reshape(4, 32, 32):
        np.testing.assert_allclose(block @ block.T, np.eye(32), atol=1e-5)
    bound = 32**-0.5
    for weight in uniform.weights():
        assert 0.9 * bound < np.abs(weight.data).max() <= bound
