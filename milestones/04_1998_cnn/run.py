"""Convolutions on all ten digits, beside the network with hidden layers of 1986: more right, with fewer weights."""

from functools import cache
from typing import NamedTuple

import numpy as np

import tinytorch
from tinytorch.core.activations import ReLU, Softmax, Tanh
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Flatten, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.spatial import Conv2d, MaxPool2d
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import CosineSchedule, Trainer
from tinytorch.datasets import DatasetError, digits_split, load_digits, load_mnist

MAPS, HIDDEN, CLASSES = (16, 32), 64, 10
EXAMPLES = 10  # images in the row of mistakes
SHOWN = 16  # kernels, and maps


class Data(NamedTuple):
    """Images (N, 1, H, W) with ink from 0 to `full`, labels (N,), and the indices of both parts."""

    name: str
    images: np.ndarray
    full: int
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray

    def ink(self, rows):
        """The images of these rows, between 0 and 1, float32."""
        return self.images[rows] / np.float32(self.full)


@cache
def data():
    """MNIST where this machine has it, else the digits that come with the course.

    Both networks fit square images of any size that 4 divides.
    """
    try:
        (images, labels), (more, others) = (load_mnist(split, download=False) for split in ("train", "test"))
    except DatasetError:
        images, labels = load_digits()
        return Data("digits", images[:, None], 16, labels, *digits_split())
    count = len(images) + len(more)
    parts = np.arange(len(images)), np.arange(len(images), count)
    return Data("mnist", np.concatenate([images, more])[:, None], 255, np.concatenate([labels, others]), *parts)


def convolutional(size):
    """Two convolutions, each with ReLU and pooling; 6,090 parameters for images of 8 x 8."""
    first, second = MAPS
    return Sequential(
        *(Conv2d(1, first, 3, padding=1), ReLU(), MaxPool2d(2)),
        *(Conv2d(first, second, 3, padding=1), ReLU(), MaxPool2d(2)),
        *(Flatten(), Linear(second * (size // 4) ** 2, CLASSES)),
    )


def hidden_layers(size):
    """The network of milestone 03; 8,970 parameters for images of 8 x 8."""
    first = [Flatten(), Linear(size * size, HIDDEN), Tanh()]
    return Sequential(*first, Linear(HIDDEN, HIDDEN), Tanh(), Linear(HIDDEN, CLASSES))


NETWORKS = {"convolutional": (convolutional, Adam, {}), "hidden_layers": (hidden_layers, SGD, {"momentum": 0.9})}
SETTINGS = {  # by data: epochs, those of the short mode, batch, first and last rate of each network
    "digits": {"epochs": (20, 2), "batch": 32, "convolutional": (0.005, 0.0001), "hidden_layers": (0.1, 0.001)},
    "mnist": {"epochs": (3, 1), "batch": 64, "convolutional": (0.004, 0.0001), "hidden_layers": (0.05, 0.001)},
}


def batches(rows, size, rng=None, change=lambda images: images):
    """The images of these rows and their labels in batches, in random order where there is an `rng`."""
    order = rows if rng is None else rng.permutation(rows)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield Tensor(change(data().ink(part))), Tensor(data().labels[part])


def moved(images):
    """The images one pixel further to the right; what leaves on that side is lost."""
    out = np.zeros_like(images)
    out[..., 1:] = images[..., :-1]
    return out


def train(name, seed, epochs):
    """Train one of NETWORKS; returns (model, numbers about it).

    The test images are looked at after each epoch for the curves; nothing is chosen by what is seen there.
    """
    settings, (make, optimizer, options) = SETTINGS[data().name], NETWORKS[name]
    rate, last_rate = settings[name]
    tinytorch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = make(data().images.shape[-1])
    steps = optimizer(model.parameters(), lr=rate, **options)
    trainer = Trainer(model, steps, CrossEntropyLoss(), CosineSchedule(rate, last_rate, epochs))

    def train_batches():
        return batches(data().train, settings["batch"], rng)

    def test_batches(**change):
        return batches(data().test, 256, **change)

    history = trainer.fit(train_batches, test_batches, epochs=epochs, verbose=False)
    return model, {
        "accuracy": history["val_accuracy"][-1],
        "moved": trainer.evaluate(test_batches(change=moved))[1],
        "parameters": sum(p.size for p in model.parameters()),
        "history": {curve: history[curve] for curve in ("train_loss", "val_loss", "val_accuracy")},
    }


def mistakes_of(model):
    """The test images that were taken for another digit, with the probability of the guess; the surest first."""
    rows, softmax = data().test, Softmax(dim=1)
    with no_grad():
        p = np.concatenate([softmax(model(x)).data for x, _ in batches(rows, 256)])  # (N, 10)
    guesses, right = p.argmax(axis=1), data().labels[rows]
    wrong = np.flatnonzero(guesses != right)
    wrong = wrong[np.argsort(-p[wrong, guesses[wrong]], kind="stable")]
    return [
        {
            "image": np.round(data().ink(rows[i])[0], 4).tolist(),
            "digit": int(right[i]),
            "guess": int(guesses[i]),
            "probability": float(p[i, guesses[i]]),
        }
        for i in wrong[:EXAMPLES]
    ]


def first_layer(model):
    """The first kernels, the first test image, and what ReLU leaves of its feature maps, as nested lists."""
    image = data().ink(data().test[:1])
    with no_grad():
        maps = model[:2](Tensor(image)).data[0]
    kernels = model[0].weight.data[:, 0]
    return {name: np.round(a, 4).tolist() for name, a in (("kernels", kernels), ("image", image[0, 0]), ("maps", maps))}


def run(seed=0, short=False, report=print):
    """Train and test both networks once. The result holds numbers, lists and dictionaries only."""
    epochs = SETTINGS[data().name]["epochs"][short]
    report(f"seed {seed}: {len(data().train):,} images of {data().name} to learn from")
    model, ours = train("convolutional", seed, epochs)
    _, other = train("hidden_layers", seed, epochs)
    report(f"  convolutional {ours['accuracy']:.3f} right with {ours['parameters']:,} parameters,")
    report(f"  hidden layers {other['accuracy']:.3f} with {other['parameters']:,}, after {epochs} epochs")
    report(f"  the same digits one pixel to the right: {ours['moved']:.3f} and {other['moved']:.3f}")
    return {
        "metric": ours["accuracy"],
        "data": data().name,
        "seed": seed,
        "convolutional": ours,
        "hidden_layers": other,
        "mistakes": mistakes_of(model),
        **first_layer(model),
    }


def draw(results, path):
    """Save the picture of this milestone as a PNG file at `path`.

    results: list of what `run` returned, one for each seed. Kernels, maps and mistakes are those of the least accurate
        seed.
    """
    from matplotlib.figure import Figure

    worst = min(results, key=lambda result: result["metric"])
    figure = Figure(figsize=(10, 10), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(4, 4.2, 1.8))
    loss, accuracy = top.subplots(1, 2)
    draw_curves(loss, results, "val_loss", "test loss")
    draw_curves(accuracy, results, "val_accuracy", "test accuracy")
    loss.set(yscale="log")
    accuracy.set(ylim=(0.85, 1.005))
    accuracy.legend(fontsize="small", loc="lower right")
    left, right = middle.subfigures(1, 2)
    draw_grid(left, worst["kernels"][:SHOWN], "kernels of the first layer, for ink", "PuOr_r")
    draw_grid(right, worst["maps"][:SHOWN], "what they find in one digit, after ReLU", "gray_r")
    draw_mistakes(bottom, worst)
    figure.savefig(path, format="png", dpi=100)


def draw_curves(axes, results, curve, title):
    """One line for each seed and network; the medians stand in the legend."""
    for name, color, text in (("convolutional", "C0", "convolutional"), ("hidden_layers", "C1", "hidden layers")):
        runs = [result[name] for result in results]
        median, label = np.median([run["accuracy"] for run in runs]), None
        for k, one in enumerate(runs):
            if k == 0:
                label = f"{text}, {one['parameters']:,} parameters: {median:.3f}"
            values = one["history"][curve]
            axes.plot(range(1, len(values) + 1), values, color=color, alpha=0.8, label=label if k == 0 else None)
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)


def draw_grid(figure, pictures, title, cmap):
    """Sixteen small pictures on one scale of colours; for kernels white is zero."""
    pictures = np.array(pictures)
    high = np.abs(pictures).max()
    figure.suptitle(title, fontsize="medium")
    panels = figure.subplots(4, len(pictures) // 4)
    for axes, picture in zip(panels.ravel(), pictures, strict=True):
        shown = axes.imshow(picture, cmap=cmap, vmin=-high if cmap != "gray_r" else 0, vmax=high)
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels, shrink=0.8)


def draw_mistakes(figure, result):
    figure.suptitle(f"mistakes of seed {result['seed']}, the surest first, and how sure", fontsize="medium")
    panels = figure.subplots(1, EXAMPLES)
    for axes in panels:
        axes.set_axis_off()
    for axes, mistake in zip(panels, result["mistakes"], strict=False):
        axes.imshow(mistake["image"], cmap="gray_r", vmin=0, vmax=1)
        title = f"{mistake['digit']} taken for {mistake['guess']}\n{mistake['probability']:.2f}"
        axes.set_title(title, fontsize="small")
