"""Which vector is farthest from the one labelled m? A memory of slots learns to compare them, an LSTM late or never."""

import time
from typing import NamedTuple

import numpy as np

import tinytorch
from tinytorch.core.activations import ReLU, softmax
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.recurrent import LSTM
from tinytorch.core.relational import RelationalRNN
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import clip_grad_norm
from tinytorch.datasets import nth_farthest

INPUTS, LABELS = 14, 4  # of the reduced task: two numbers, and three times one of four
HIDDEN, READOUT = 32, (64, 64)
RATE, BATCH = 0.002, 64
UPDATES, SHORT_UPDATES = 8000, 40
TESTS, SHORT_TESTS = 2000, 300
POINTS = 20  # of each curve
BINS = 8  # of the test sequences, by how close the decision is
GUESSING = 1 / (LABELS - 1)  # any label but m

GRID = 31  # places in each direction at which the moving vector of the picture is tried
FIXED = {1: (0.5, 0.35), 0: (-0.1, -0.2), 2: (-0.75, 0.1)}  # label -> vector, in the order in which they are read
ASKED, MOVING = 0, 3  # the labels of m and of the moving vector, which is read first


class Samples(NamedTuple):
    """Sequences X (N, 4, 14) and the labels y (N,), and what `nth_farthest` tells about them."""

    X: np.ndarray
    y: np.ndarray
    about: dict


def relational():
    """Four slots of 32 numbers, two heads, and a readout of two hidden layers."""
    return RelationalRNN(INPUTS, HIDDEN, LABELS, mem_slots=4, num_heads=2, readout=READOUT)


def lstm():
    """The same readout behind an LSTM, whose recurrent weights begin orthogonal, as in module 10."""
    model = LSTM(INPUTS, HIDDEN, LABELS)
    first, second = READOUT
    model.head = Sequential(Linear(HIDDEN, first), ReLU(), Linear(first, second), ReLU(), Linear(second, LABELS))
    return model


def uniform_lstm():
    """The same again; all weights and biases of its cell begin uniform, as an LSTM of PyTorch does."""
    model, bound = lstm(), HIDDEN**-0.5
    for weight in model.weights():
        weight.data = tinytorch.default_generator.uniform(-bound, bound, weight.shape)
    return model


NETWORKS = {"relational": relational, "lstm": lstm, "uniform_lstm": uniform_lstm}


def examine(model, test):
    """(share of the test sequences that are right, which of them)"""
    with no_grad():
        right = model(Tensor(test.X)).data.argmax(axis=1) == test.y
    return float(right.mean()), right


def train(name, seed, updates, test, report):
    """Train one of NETWORKS on fresh sequences, the same for each network of a seed; returns numbers about it.

    The test sequences are looked at for the curves; nothing is chosen by what is seen there.
    """
    tinytorch.manual_seed(seed)
    rng, loss_fn, model = np.random.default_rng(seed), CrossEntropyLoss(), NETWORKS[name]()
    optimizer, recent, started = Adam(model.parameters(), lr=RATE), [], time.process_time()
    curve = {"updates": [], "right": [], "loss": []}
    for update in range(1, updates + 1):
        X, y, _ = nth_farthest(BATCH, rng=rng)
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(X)), y)
        loss.backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        if update % (updates // POINTS) == 0:
            right, _ = examine(model, test)
            for what, value in (("updates", update), ("right", right), ("loss", float(np.mean(recent)))):
                curve[what].append(value)
            recent.clear()
        if update % (updates // 4) == 0:
            used = time.process_time() - started
            report(f"  {LOOKS[name][1]}, update {update}: {right:.3f} right, after {used:.1f} s of processor time")
    return {
        "right": curve["right"][-1],
        "parameters": sum(p.size for p in model.parameters()),
        "curve": curve,
        "near": near_and_far(examine(model, test)[1], test),
        "plane": plane(model, test.about["encoding"]),
    }


# --- what they do ---


def distances(test):
    """From m to each of the four vectors, (N, 4), the largest first."""
    part = test.about["encoding"]
    vectors, is_asked = test.X[..., part["vector"]], test.X[..., part["label"]] * test.X[..., part["asked"]]
    m = (vectors * is_asked.sum(axis=2, keepdims=True)).sum(axis=1, keepdims=True)  # (N, 1, 2)
    return -np.sort(-np.linalg.norm(vectors - m, axis=2), axis=1)


def near_and_far(right, test):
    """How often it is right where the farthest vector is ahead of the next by little, and where by much."""
    first, second = distances(test)[:, :2].T
    parts = np.array_split(np.argsort(first - second, kind="stable"), BINS)
    return {
        "ahead": [float((first - second)[part].mean()) for part in parts],
        "right": [float(right[part].mean()) for part in parts],
    }


def plane(model, part):
    """The chance (GRID, GRID) that it gives to the moving vector at each place, while the three others stay."""
    places = np.linspace(-1, 1, GRID)
    across, up = np.meshgrid(places, places)
    vectors = [np.stack([across.ravel(), up.ravel()], axis=1), *FIXED.values()]
    X, labels = np.zeros((GRID * GRID, LABELS, INPUTS), dtype=np.float32), np.eye(LABELS)
    for step, (vector, label) in enumerate(zip(vectors, (MOVING, *FIXED), strict=True)):
        X[:, step, part["vector"]], X[:, step, part["label"]] = vector, labels[label]
    X[..., part["nth"]], X[..., part["asked"]] = labels[0], labels[ASKED]
    with no_grad():
        chances = softmax(model(Tensor(X))).data[:, MOVING]
    return np.round(chances.reshape(GRID, GRID), 3).tolist()


def reach():
    """The distance from m to the farther of the two others that stay: beyond it the moving vector is the farthest."""
    m = np.array(FIXED[ASKED])
    return max(np.linalg.norm(np.array(vector) - m) for vector in FIXED.values())


def run(seed=0, short=False, report=print):
    """Train and test the three networks once. The result holds numbers, lists and dictionaries only."""
    updates, tests = (SHORT_UPDATES, SHORT_TESTS) if short else (UPDATES, TESTS)
    test = Samples(*nth_farthest(tests, rng=np.random.default_rng([seed, 1])))
    report(f"seed {seed}: {updates} updates, each with {BATCH} new sequences; guessing is right in {GUESSING:.3f},")
    report(f"  {test.about['shortcut_rule']} in {test.about['shortcut']:.3f}")
    numbers = {name: train(name, seed, updates, test, report) for name in NETWORKS}
    return {"metric": numbers["relational"]["right"], "shortcut": test.about["shortcut"], "seed": seed, **numbers}


# --- the picture ---

LOOKS = {
    "relational": ("C0", "relational memory"),
    "lstm": ("C1", "LSTM, begun orthogonal"),
    "uniform_lstm": ("C2", "LSTM, begun uniform"),
}


def draw(results, path):
    """Save the picture of this milestone as a PNG file at `path`.

    results: list of what `run` returned, one for each seed. The maps are those of the least accurate seed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 11.5), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(4.6, 3.2, 3.7))
    right, loss = top.subplots(1, 2)
    draw_curves(right, results, "right", "test sequences right")
    draw_levels(right, results)
    draw_curves(loss, results, "loss", "training loss")
    loss.axhline(np.log(LABELS - 1), color="black", linestyle=":", label="equal chances for three: log 3")
    top.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    loss.legend(handles=loss.lines[-1:], fontsize="small", loc="lower left")
    draw_near_and_far(middle.subplots(), results)
    draw_planes(bottom, min(results, key=lambda result: result["metric"]))
    figure.savefig(path, format="png", dpi=90)


def draw_curves(axes, results, name, title):
    """For each network a thin line a seed, also of those that are stuck; the median, and the range of all seeds."""
    for network, (color, text) in LOOKS.items():
        curves = np.array([result[network]["curve"][name] for result in results])  # (seeds, points)
        updates = results[0][network]["curve"]["updates"]
        axes.fill_between(updates, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2, linewidth=0)
        for curve in curves:
            axes.plot(updates, curve, color=color, linewidth=0.7)
        median, size = np.median(curves, axis=0), results[0][network]["parameters"]
        axes.plot(updates, median, color=color, linewidth=2.5, label=f"{text} ({size:,} numbers): {median[-1]:.3f}")
    axes.set(title=f"{title}: {len(results)} seeds and their median", xlabel="updates")
    axes.grid(alpha=0.3)


def draw_levels(axes, results):
    """What needs no comparing, and what is the best possible."""
    shortcut = np.median([result["shortcut"] for result in results])
    axes.axhline(GUESSING, color="black", linestyle=":", label=f"guessing, but never m: {GUESSING:.3f}")
    axes.axhline(shortcut, color="black", linestyle="--", label=f"the longest other vector: {shortcut:.3f}")
    axes.axhline(1, color="black", linestyle="-.", linewidth=1)
    axes.set(ylim=(0.25, 1.03))


def draw_near_and_far(axes, results):
    for network, (color, text) in LOOKS.items():
        for result in results:
            near = result[network]["near"]
            axes.plot(near["ahead"], near["right"], color=color, marker=".", linewidth=0.8, label=text)
            text = None
    axes.axhline(GUESSING, color="black", linestyle=":")
    axes.set(title="test sequences right, by how far the farthest is ahead; a line for each seed", ylim=(0.2, 1.03))
    axes.set(xlabel="distance of the farthest vector less that of the next; an eighth of all at each point")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center right")


def draw_planes(figure, result):
    """Where each network takes the moving vector for the farthest; in truth, outside of the circle."""
    from matplotlib.patches import Circle

    figure.suptitle(
        f"seed {result['seed']}: the chance that vector {MOVING} is the farthest from vector {ASKED}, by where {MOVING}"
        " lies;\nit is outside of the circle, which goes through the farther of the two others",
        fontsize="medium",
    )
    panels, places = figure.subplots(1, len(LOOKS), sharey=True), np.linspace(-1, 1, GRID)
    for axes, (network, (_, text)) in zip(panels, LOOKS.items(), strict=True):
        shown = axes.contourf(places, places, result[network]["plane"], levels=np.linspace(0, 1, 11), cmap="PuOr")
        axes.add_patch(Circle(FIXED[ASKED], reach(), fill=False, linestyle="--", linewidth=2))
        for label, (x, y) in FIXED.items():
            axes.text(x, y, label, ha="center", va="center", bbox={"boxstyle": "circle", "facecolor": "white"})
        axes.set_title(f"{text}: {result[network]['right']:.3f} right", fontsize="small")
        axes.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1))
    figure.colorbar(shown, ax=panels, ticks=[0, 0.5, 1])
