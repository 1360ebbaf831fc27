"""Rosenblatt's perceptron rule on two kinds of real handwritten digits: tell an 8 from a 1."""

import numpy as np

import tinytorch
from tinytorch.core.activations import Sigmoid
from tinytorch.core.layers import Flatten, Linear, Sequential
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits

PAIR = (1, 8)  # of the 45 pairs the one that takes the most passes to separate: a median of 15, the next one 11
PASSES = 60  # more than twice what the slowest of 200 seeds needed
SHORT_PASSES = 3
EXAMPLES = 8  # images in each row of the picture


def choose(indices, labels):
    """Those of `indices` that show a digit of PAIR, and their targets: -1 for the first digit, +1 for the second."""
    indices = indices[np.isin(labels[indices], PAIR)]
    return indices, np.where(labels[indices] == PAIR[1], 1, -1).astype(np.float32)


def train(images, targets, seed, passes):
    """A perceptron trained until a whole pass is free of mistakes, or for `passes`; returns (model, mistakes by pass).

    images: (N, 8, 8), ink between 0 and 1; targets: (N,), -1 or +1.
    Source: Rosenblatt 1958, in the form that learns from mistakes only, with rate 1.
    """
    tinytorch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layer = Linear(images[0].size, 1)
    model = Sequential(Flatten(), layer)
    history = []
    for _ in range(passes):
        mistakes = 0
        for i in rng.permutation(len(images)):
            score = model(Tensor(images[i : i + 1])).item()
            if (score > 0) != (targets[i] > 0):
                layer.weight.data += targets[i] * images[i].reshape(1, -1)  # (1, 64)
                layer.bias.data += targets[i]
                mistakes += 1
        history.append(mistakes)
        if mistakes == 0:
            break
    return model, history


def examine(model, images, indices, targets):
    """Accuracy on images[indices], and the images it knows least: those it gets wrong, worst first, then the narrow."""
    scores = model(Tensor(images[indices]))  # (N, 1)
    confidences = Sigmoid()(scores).data[:, 0]
    scores = scores.data[:, 0]
    doubtful = np.argsort(scores * targets, kind="stable")[:EXAMPLES]  # a mistake has a negative product
    examples = [
        {"index": int(indices[i]), "score": float(scores[i]), "confidence": float(confidences[i])} for i in doubtful
    ]
    return float(np.mean((scores > 0) == (targets > 0))), examples


def run(seed=0, short=False, report=print):
    """Train and test once. The result holds numbers, lists and dictionaries only, so it can be saved as text."""
    images, labels = load_digits()
    images = images / 16
    passes = SHORT_PASSES if short else PASSES

    (train_indices, train_targets), (test_indices, test_targets) = (choose(part, labels) for part in digits_split())
    model, history = train(images[train_indices], train_targets, seed, passes)
    metric, examples = examine(model, images, test_indices, test_targets)
    report(f"seed {seed}: mistakes in each pass over {len(train_indices)} images: {' '.join(map(str, history))}")
    report(f"  test images: {metric:.3f} of {len(test_indices)} right")

    rows = np.arange(len(labels))
    (old, old_targets), (new, new_targets) = (choose(part, labels) for part in (rows[:-360], rows[-360:]))
    stranger, _ = train(images[old], old_targets, seed, passes)
    other_writers, other_examples = examine(stranger, images, new, new_targets)
    report(f"  trained without the last 360 rows of the file, tested on them: {other_writers:.3f} of {len(new)} right")

    return {
        "metric": metric,
        "other_writers": other_writers,
        "seed": seed,
        "history": history,
        "weight": model.layers[1].weight.data.reshape(images[0].shape).tolist(),
        "examples": examples,
        "other_examples": other_examples,
    }


def draw(results, path):
    """Save the picture of this milestone as a PNG file at `path`.

    results: list of what `run` returned, one for each seed. Weights and images are those of the least accurate seed.
    """
    from matplotlib.figure import Figure

    worst = min(results, key=lambda result: result["metric"])
    figure = Figure(figsize=(10, 8.6), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(5, 3, 3))
    curves, weights = top.subplots(1, 2, width_ratios=(3, 2))
    draw_curves(curves, results)

    weight = np.array(worst["weight"])
    limit = np.abs(weight).max()
    shown = weights.imshow(weight, cmap="PuOr_r", vmin=-limit, vmax=limit)
    weights.set(title=f"weights, seed {worst['seed']}", xticks=[], yticks=[])
    top.colorbar(shown, ax=weights, label=f"ink here says {PAIR[0]} (minus) or {PAIR[1]} (plus)")

    median = np.median([result["other_writers"] for result in results])
    title = f"test images, seed {worst['seed']}: mistakes, then the least certain"
    draw_examples(middle, worst["examples"], f"{title} (sigmoid: the score read as the chance of an {PAIR[1]})")
    title = f"the same for the last 360 rows, trained without them (median of {len(results)}: {median:.3f} right)"
    draw_examples(bottom, worst["other_examples"], title)
    figure.savefig(path, format="png", dpi=120)


def draw_curves(axes, results):
    for result in results:
        history = result["history"]
        label = f"seed {result['seed']}: test {result['metric']:.3f}, last rows {result['other_writers']:.3f}"
        axes.plot(range(1, len(history) + 1), history, marker=".", label=label, clip_on=False)
    axes.set(xlabel="pass over the training images", ylabel="mistakes in the pass", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()


def draw_examples(figure, examples, title):
    images, labels = load_digits()
    figure.suptitle(title, fontsize="medium")
    for axes, example in zip(figure.subplots(1, len(examples)), examples, strict=True):
        label = labels[example["index"]]
        guess = PAIR[int(example["score"] > 0)]
        axes.imshow(images[example["index"]], cmap="gray_r", vmin=0, vmax=16)
        if guess == label:
            axes.set_title(f"{label}, right", fontsize="small")
        else:
            axes.set_title(f"{label} taken for {guess}", fontsize="small", fontweight="bold")
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(f"score {example['score']:+.2f}\nsigmoid {example['confidence']:.2f}", fontsize="small")
