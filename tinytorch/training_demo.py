"""The functions of `tinytorch.training_utils` on handwritten digits, and three styles of training side by side.

To see it: `python -m tinytorch.training_demo`, with `--epochs N` and `--plot FILE` if you like.
"""

import argparse
import time

import numpy as np

import tinytorch
from tinytorch.checkpoint import require_place
from tinytorch.core.layers import Linear
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.training import Trainer, text_plot
from tinytorch.datasets import digits_split, load_digits
from tinytorch.solver import Networks, Solver
from tinytorch.training_utils import (
    CrossEntropyLoss,
    clip_gradients,
    create_batches,
    evaluate,
    learning_rate_schedule,
    plot_training_curves,
    train_model,
    train_step,
)

EPOCHS, BATCH, RATE = 20, 32, 0.1
REGRESSION_EPOCHS = 10
ADAM_RATE, PATIENCE = 0.005, 3
HIDDEN, CLASSES = [64, 64], 10
HELD_OUT = 237  # of the 1,437 digits for training, to decide with; the test digits decide nothing


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tinytorch.training_demo", description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of each training (default {EPOCHS})")
    parser.add_argument("--plot", metavar="FILE", help="save the curves of train_model as a picture")
    options = parser.parse_args(argv)
    if options.epochs < 1:
        parser.error(f"--epochs {options.epochs}: at least 1 is needed")
    if options.plot:
        try:
            require_place(options.plot)
        except (OSError, ValueError) as error:  # now, and not when everything is trained
            parser.error(f"--plot: {error}")
    data = digits()
    show_batches(data)
    show_one_step(data)
    show_numerical_gradients(data)
    show_regression(data)
    show_train_model(data, options.epochs, options.plot)
    show_three_styles(data, options.epochs)


def digits():
    """Part -> (X, y), with X (N, 64) between 0 and 1: "train", "val" and "test"."""
    images, labels = load_digits()
    X = images.reshape(-1, 64) / 16
    train, test = digits_split()
    parts = {"train": train[:-HELD_OUT], "val": train[-HELD_OUT:], "test": test}
    return {name: (X[rows], labels[rows]) for name, rows in parts.items()}


def network():
    """64-64-64-10, always with the same first weights."""
    tinytorch.manual_seed(0)
    return create_mlp(64, HIDDEN, CLASSES)


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


def show_batches(data):
    title("create_batches: every sample once, the last batch short")
    print("digits: " + ", ".join(f"{name} {len(y)}" for name, (_, y) in data.items()))
    batches = create_batches(*data["train"], BATCH, rng=np.random.default_rng(0))
    (first, labels), (last, _) = batches[0], batches[-1]
    print(f"{len(batches)} batches of {first.shape}, the last of {last.shape}; the first: {labels[:6]} ...")


def show_one_step(data):
    title("train_step and evaluate: one step, and what it changes")
    model, (X, y) = network(), create_batches(*data["train"], BATCH, shuffle=False)[0]
    loss, right, norm = train_step(model, X, y, learning_rate=RATE, clip_norm=None)
    print(f"one batch before the step: loss {loss:.4f}, accuracy {right:.3f}, gradient norm {norm:.3f}")
    loss, right = evaluate(model, X, y)
    print(f"the same batch after it:   loss {loss:.4f}, accuracy {right:.3f}")
    loss, right = evaluate(model, *data["test"])
    print(f"the {len(data['test'][1])} test digits:       loss {loss:.4f}, accuracy {right:.3f}")
    gradients, norm = clip_gradients({"w": np.array([3.0, 4.0]), "b": np.array([12.0])}, max_norm=6.5)
    text = ", ".join(f"{name} {g}" for name, g in gradients.items())
    print(f"clip_gradients: w [3 4], b [12], norm {norm:g}, limit 6.5: {text}")
    rates = [learning_rate_schedule(epoch, initial_lr=RATE) for epoch in (0, 9, 10, 20)]
    print("learning_rate_schedule in epochs 0, 9, 10, 20: " + ", ".join(f"{rate:.5g}" for rate in rates))


class ArrayModel:
    """One affine layer on plain arrays: it knows nothing of Tensors, and has no backward."""

    def __init__(self, weight, bias):
        self.params = {"weight": weight, "bias": bias}

    def forward(self, X, return_sequences=False):
        return X @ self.params["weight"].T + self.params["bias"]

    def get_params(self):
        return {name: array.copy() for name, array in self.params.items()}

    def set_params(self, params):
        for name, array in params.items():
            self.params[name][...] = array


def show_numerical_gradients(data):
    title("train_step without a graph: the same step by central differences")
    tinytorch.manual_seed(0)
    X, y = data["train"][0][:BATCH], data["train"][1][:BATCH]
    exact = Linear(64, CLASSES)
    start = {name: p.data.astype(np.float64) for name, p in exact.named_parameters()}
    arrays = ArrayModel(**start)
    for name, model in (("a Linear, by its graph", exact), ("plain arrays, by differences", arrays)):
        began = time.perf_counter()
        loss, _, norm = train_step(model, X, y, learning_rate=RATE)
        milliseconds = 1000 * (time.perf_counter() - began)
        print(f"{name:29} loss {loss:.6f}, norm {norm:.6f}, {milliseconds:7.1f} ms")
    pairs = [(p.data, arrays.params[name]) for name, p in exact.named_parameters()]
    print(f"largest difference of a parameter after it: {max(np.abs(a - b).max() for a, b in pairs):.1e}")


def show_regression(data):
    title("task='regression': the ink of the lower half from the upper half")
    halves = {name: (X[:, :32], X[:, 32:].mean(axis=1, keepdims=True)) for name, (X, _) in data.items()}
    tinytorch.manual_seed(0)
    model, (X, y) = create_mlp(32, [16], 1), halves["test"]
    before, _ = evaluate(model, X, y, task="regression")
    rng = np.random.default_rng(0)
    for _ in range(REGRESSION_EPOCHS):
        for inputs, targets in create_batches(*halves["train"], BATCH, rng=rng):
            train_step(model, inputs, targets, learning_rate=RATE, task="regression")
    after, _ = evaluate(model, X, y, task="regression")
    mean = float(np.mean(np.square(y - halves["train"][1].mean())))
    print(f"squared error on the test: {before:.5f} at first, {after:.5f} after {REGRESSION_EPOCHS} epochs;")
    print(f"with the mean of the training digits as the answer to all: {mean:.5f}")


def show_train_model(data, epochs, plot):
    title(f"train_model: Adam, a patience of {PATIENCE} epochs, the best parameters put back")
    model = network()
    history = train_model(
        model,
        data["train"],
        data["val"],
        epochs=epochs,
        learning_rate=ADAM_RATE,
        patience=PATIENCE,
        optimizer=Adam(model.parameters()),
        verbose=False,
        rng=np.random.default_rng(0),
    )
    losses = history["val_loss"]
    print(text_plot("loss by epoch", {name: history[name] for name in ("train_loss", "val_loss")}))
    print(f"{len(losses)} of {epochs} epochs; the best is epoch {int(np.argmin(losses))}, with {min(losses):.4f}")
    for part in ("val", "test"):
        loss, right = evaluate(model, *data[part])
        print(f"evaluate on the {part} digits: loss {loss:.4f}, accuracy {right:.3f}")
    if plot:
        plot_training_curves(history, plot)


# --- three styles ---


def with_trainer(data, epochs):
    """Objects: a model, an optimizer and a loss, which a Trainer holds together."""
    model, rng = network(), np.random.default_rng(0)
    trainer = Trainer(model, SGD(model.parameters(), lr=RATE), CrossEntropyLoss())
    history = trainer.fit(lambda: create_batches(*data["train"], BATCH, rng=rng), epochs=epochs, verbose=False)
    _, right = trainer.evaluate(create_batches(*data["test"], BATCH, shuffle=False))
    return history["train_loss"], right


def with_train_model(data, epochs):
    """Functions: arrays by name go in, arrays by name come out."""
    model, rng = network(), np.random.default_rng(0)
    options = {"learning_rate": RATE, "lr_decay": 1.0, "clip_norm": None, "patience": None, "verbose": False}
    history = train_model(model, data["train"], epochs=epochs, batch_size=BATCH, rng=rng, **options)
    _, right = evaluate(model, *data["test"])
    return history["train_loss"], right


def with_solver(data, epochs):
    """Dictionaries: the model gives gradients by name, and a Solver owns rule and data."""
    model, layers = Networks(64, HIDDEN, CLASSES), network().layers[::2]
    for i, layer in enumerate(layers, 1):
        model.params[f"W{i}"][...], model.params[f"b{i}"][...] = layer.weight.data.T, layer.bias.data
    parts = {f"{axis}_{part}": data[part]["Xy".index(axis)] for axis in "Xy" for part in ("train", "val")}
    config = {"learning_rate": RATE}
    options = {"optim_config": config, "batch_size": BATCH, "num_epochs": epochs, "verbose": False}
    solver = Solver(model, parts, rng=np.random.default_rng(0), **options)
    solver.train()
    losses = np.array_split(solver.loss_history, epochs)
    return [float(part.mean()) for part in losses], solver.check_accuracy(*data["test"])


STYLES = {"Trainer": with_trainer, "train_model": with_train_model, "Solver": with_solver}


def show_three_styles(data, epochs):
    title("three styles: same network, same first weights, plain descent")
    rows = {}
    for name, train in STYLES.items():
        began = time.perf_counter()
        losses, right = train(data, epochs)
        rows[name] = losses, right, time.perf_counter() - began
    objects, functions = rows["Trainer"][0], rows["train_model"][0]
    apart = max(abs(a - b) for a, b in zip(objects, functions, strict=True))
    print(f"Trainer and train_model saw the same batches: largest difference {apart:.1e}.")
    print("Solver draws with replacement, and keeps what was best on the val digits.\n")
    print(f"{'style':12} {'loss, epoch 1':>15} {f'loss, epoch {epochs}':>15} {'test accuracy':>15} {'seconds':>9}")
    for name, (losses, right, seconds) in rows.items():
        print(f"{name:12} {losses[0]:15.4f} {losses[-1]:15.4f} {right:15.3f} {seconds:9.1f}")


if __name__ == "__main__":
    main()
