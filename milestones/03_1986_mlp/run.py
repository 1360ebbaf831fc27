"""Back-propagation on all ten digits: a network with two hidden layers, trained by your own Trainer."""

import numpy as np

import tinytorch
from tinytorch.core.activations import Softmax, Tanh
from tinytorch.core.layers import Flatten, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import CosineSchedule, Trainer
from tinytorch.datasets import digits_split, load_digits

PIXELS, HIDDEN, CLASSES = 64, 64, 10
EPOCHS, SHORT_EPOCHS = 20, 2  # 10 more change nothing, 10 fewer cost one image or two
BATCH = 32
RATE, LAST_RATE = 0.1, 0.001
MOMENTUM = 0.9  # as in the paper
EXAMPLES = 10  # images in the row of mistakes
UNITS = 16  # of the first layer, whose weights are drawn


def two_hidden_layers():
    """64-64-64-10, with 8,970 parameters."""
    return Sequential(
        Flatten(), Linear(PIXELS, HIDDEN), Tanh(), Linear(HIDDEN, HIDDEN), Tanh(), Linear(HIDDEN, CLASSES)
    )


def no_hidden_layer():
    return Sequential(Flatten(), Linear(PIXELS, CLASSES))


def batches(images, labels, indices, rng=None):
    """The images[indices] and their labels as a list of batches, in random order where there is an `rng`."""
    order = indices if rng is None else rng.permutation(indices)
    parts = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    return [(Tensor(images[part]), Tensor(labels[part])) for part in parts]


def train(build, images, labels, parts, seed, epochs):
    """A network trained on the first of the two `parts`; returns (model, its accuracy on the second, history).

    The second part is looked at after each epoch for the curves; nothing is chosen by what is seen there.
    """
    tinytorch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = build()
    optimizer = SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    trainer = Trainer(model, optimizer, CrossEntropyLoss(), CosineSchedule(RATE, LAST_RATE, epochs))
    indices, test_indices = parts
    test = batches(images, labels, test_indices)
    history = trainer.fit(lambda: batches(images, labels, indices, rng), test, epochs=epochs, verbose=False)
    _, accuracy = trainer.evaluate(test)
    return model, accuracy, history


def examine(model, images, labels, indices):
    """How often each digit was taken for each (10 rows: the right digit; 10 columns: the guess), and the mistakes.

    The mistakes come with the probability that the network gave to its guess, the surest first.
    """
    p = Softmax(dim=1)(model(Tensor(images[indices]))).data  # (N, 10)
    guesses, right = p.argmax(axis=1), labels[indices]
    confusion = np.zeros((CLASSES, CLASSES), dtype=int)
    np.add.at(confusion, (right, guesses), 1)
    wrong = np.flatnonzero(guesses != right)
    wrong = wrong[np.argsort(-p[wrong, guesses[wrong]], kind="stable")]
    mistakes = [
        {"index": int(indices[i]), "guess": int(guesses[i]), "probability": float(p[i, guesses[i]])} for i in wrong
    ]
    return confusion, mistakes


def strongest_units(model):
    """The weights of those first-layer units that weigh most in the layer above: (UNITS, 8, 8)."""
    _, first, _, second, _, _ = model.layers
    order = np.argsort(-np.linalg.norm(second.weight.data, axis=0), kind="stable")
    return first.weight.data[order[:UNITS]].reshape(UNITS, 8, 8)


def run(seed=0, short=False, report=print):
    """Train and test once. The result holds numbers, lists and dictionaries only, so it can be saved as text."""
    images, labels = load_digits()
    images = images / 16
    epochs = SHORT_EPOCHS if short else EPOCHS
    split = digits_split()

    model, metric, history = train(two_hidden_layers, images, labels, split, seed, epochs)
    _, test_indices = split
    report(f"seed {seed}: {len(test_indices)} test images, {metric:.3f} right after {epochs} epochs; the training loss")
    report("  by epoch: " + " ".join(f"{loss:.3f}" for loss in history["train_loss"]))
    _, single, _ = train(no_hidden_layer, images, labels, split, seed, epochs)
    report(f"  the same without hidden layers: {single:.3f} right")

    rows = np.arange(len(labels))
    in_order = rows[:-360], rows[-360:]
    _, other_writers, _ = train(two_hidden_layers, images, labels, in_order, seed, epochs)
    _, single_other, _ = train(no_hidden_layer, images, labels, in_order, seed, epochs)
    report(f"  trained without the last 360 rows of the file, tested on them: {other_writers:.3f} right,")
    report(f"  without hidden layers {single_other:.3f}")

    confusion, mistakes = examine(model, images, labels, test_indices)
    curves = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    return {
        "metric": metric,
        "no_hidden_layer": single,
        "other_writers": other_writers,
        "no_hidden_layer_other_writers": single_other,
        "seed": seed,
        "history": {name: history[name] for name in curves},
        "confusion": confusion.tolist(),
        "mistakes": mistakes,
        "weights": np.round(strongest_units(model), 4).tolist(),
    }


def draw(results, path):
    """Save the picture of this milestone as a PNG file at `path`.

    results: list of what `run` returned, one for each seed. Confusion, weights and mistakes are those of the least
        accurate seed.
    """
    from matplotlib.figure import Figure

    worst = min(results, key=lambda result: result["metric"])
    figure = Figure(figsize=(10, 10), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(4, 4.6, 2))
    loss, accuracy = top.subplots(1, 2)
    draw_curves(loss, results, "loss")
    draw_curves(accuracy, results, "accuracy")
    loss.set(yscale="log")
    accuracy.set(ylim=(0.85, 1.005))
    draw_medians(accuracy, results)
    loss.legend(fontsize="small")
    accuracy.legend(fontsize="small", loc="lower right")

    left, right = middle.subfigures(1, 2)
    draw_confusion(left.subplots(), worst)
    draw_weights(right, worst)
    draw_mistakes(bottom, worst)
    figure.savefig(path, format="png", dpi=100)


def draw_curves(axes, results, name):
    for result in results:
        history, label = result["history"], f"seed {result['seed']}: {result['metric']:.3f} of the test right"
        epochs = range(1, len(history[f"val_{name}"]) + 1)
        (line,) = axes.plot(epochs, history[f"val_{name}"], label=label if name == "loss" else None)
        axes.plot(epochs, history[f"train_{name}"], color=line.get_color(), linestyle="--", linewidth=1)
    axes.set(title=f"{name}: test, and dashed: training", xlabel="epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)


def draw_medians(axes, results):
    """Levels to compare with, each the median of the seeds."""
    levels = {"no_hidden_layer": "no hidden layer", "other_writers": "trained without the last 360, tested on them"}
    for (name, text), style in zip(levels.items(), ("-.", ":"), strict=True):
        median = np.median([result[name] for result in results])
        axes.axhline(median, color="black", linestyle=style, label=f"{text}: {median:.3f}")


def draw_confusion(axes, result):
    """All counts; coloured are the mistakes, which would vanish beside the diagonal."""
    confusion = np.array(result["confusion"])
    mistakes = confusion * (1 - np.eye(CLASSES, dtype=int))
    axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=max(1, mistakes.max()) * 1.5)
    for row, column in zip(*np.nonzero(confusion), strict=True):
        weight = "normal" if row == column else "bold"
        axes.text(column, row, confusion[row, column], ha="center", va="center", fontsize="small", fontweight=weight)
    axes.set(title=f"seed {result['seed']}: {mistakes.sum()} of {confusion.sum()} taken for another digit")
    axes.set(xlabel="taken for", ylabel="digit", xticks=range(CLASSES), yticks=range(CLASSES))


def draw_weights(figure, result):
    weights = np.array(result["weights"])
    limit = np.abs(weights).max()
    figure.suptitle(f"weights of {len(weights)} units of the first layer, for ink", fontsize="medium")
    panels = figure.subplots(4, len(weights) // 4)
    for axes, weight in zip(panels.ravel(), weights, strict=True):
        shown = axes.imshow(weight, cmap="PuOr_r", vmin=-limit, vmax=limit)
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels, shrink=0.8)


def draw_mistakes(figure, result):
    images, labels = load_digits()
    figure.suptitle(f"the mistakes of seed {result['seed']}, the surest first, and how sure", fontsize="medium")
    panels = figure.subplots(1, EXAMPLES)
    for axes in panels:
        axes.set_axis_off()
    for axes, mistake in zip(panels, result["mistakes"], strict=False):
        axes.imshow(images[mistake["index"]], cmap="gray_r", vmin=0, vmax=16)
        title = f"{labels[mistake['index']]} taken for {mistake['guess']}\n{mistake['probability']:.2f}"
        axes.set_title(title, fontsize="small")
