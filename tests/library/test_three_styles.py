"""Object, functions, dictionary: three ways to write a training loop, and the same numbers from each."""

import statistics
from importlib.util import find_spec

import numpy as np
import pytest

from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import SGD, Adam, RMSprop
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.solver import Networks, Solver
from tinytorch.training_utils import create_batches, train_model, train_step

IMAGES, LABELS = load_digits()
INK = IMAGES.reshape(-1, 64) / 16
TRAIN, TEST = digits_split()
RULES = {  # of the Solver: the optimizer for the Trainer, and the options of each
    "sgd": (SGD, {"lr": 0.1}, {"learning_rate": 0.1}),
    "sgd_momentum": (SGD, {"lr": 0.05, "momentum": 0.9}, {"learning_rate": 0.05, "momentum": 0.9}),
    "rmsprop": (RMSprop, {"lr": 1e-3}, {"learning_rate": 1e-3}),
    "adam": (Adam, {"lr": 2e-3}, {"learning_rate": 2e-3}),
}


def network(seed=0, dtype=np.float32):
    """64-64-64-10 as PyTorch begins with it: its very numbers where it is installed, else others of their kind."""
    manual_seed(seed)
    model = create_mlp(64, [64, 64], 10)
    if find_spec("torch") is not None:
        copy_from_pytorch(model, seed)
    for parameter in model.parameters():
        parameter._data = parameter.data.astype(dtype)  # through the door it would stay float32
    return model


def copy_from_pytorch(model, seed):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in model.layers[::2]:
            twin = torch.nn.Linear(layer.weight.shape[1], layer.weight.shape[0])
            layer.weight.data, layer.bias.data = twin.weight.detach().numpy(), twin.bias.detach().numpy()


def as_dictionary(model, dtype=np.float32):
    """The same network for a Solver."""
    twin = Networks(64, [64, 64], 10, dtype=dtype)
    for i, layer in enumerate(model.layers[::2], 1):
        twin.params |= {f"W{i}": layer.weight.data.T.copy(), f"b{i}": layer.bias.data.copy()}
    return twin


def weights(model):
    """All weights in one row, those of a dictionary in the order of the layers."""
    if isinstance(model, Networks):
        return np.concatenate([array.T.ravel() for array in model.params.values()])
    return np.concatenate([parameter.data.ravel() for parameter in model.parameters()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_steps_are_the_same_steps(rule, dtype):
    optimizer, options, config = RULES[rule]
    first, second, third = network(dtype=dtype), network(dtype=dtype), as_dictionary(network(dtype=dtype), dtype)
    trainer = Trainer(first, optimizer(first.parameters(), **options), CrossEntropyLoss())
    data = {"X_train": INK[TRAIN], "y_train": LABELS[TRAIN], "X_val": INK[TEST], "y_val": LABELS[TEST]}
    solver = Solver(third, data, update_rule=rule, optim_config=config, verbose=False)
    rng = np.random.default_rng(0)
    for _ in range(100):
        rows = rng.integers(len(TRAIN), size=32)
        x, y = INK[TRAIN][rows], LABELS[TRAIN][rows]
        losses = [trainer.train_step(Tensor(x, dtype=dtype), y)[0], solver.step(rows)]
        if rule == "sgd":  # the rule that `train_step` has
            losses.append(train_step(second, x, y, learning_rate=0.1, clip_norm=None)[0])
        assert np.ptp(losses) <= 1e-6
    found = [weights(model) for model in ((first, second, third) if rule == "sgd" else (first, third))]
    assert found[0].dtype == dtype and np.ptp(found, axis=0).max() <= 1e-6 * np.abs(found[0]).max()


def by_trainer(seed):
    model = network(seed)
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss())
    rng = np.random.default_rng(seed)
    trainer.fit(lambda: create_batches(INK[TRAIN], LABELS[TRAIN], 32, rng=rng), epochs=50, verbose=False)
    return model(Tensor(INK[TEST])).data


def by_functions(seed):
    model, rng = network(seed), np.random.default_rng(seed)
    options = {"learning_rate": 0.1, "lr_decay": 1.0, "batch_size": 32, "epochs": 50, "verbose": False}
    train_model(model, (INK[TRAIN], LABELS[TRAIN]), patience=None, clip_norm=None, rng=rng, **options)
    return model(Tensor(INK[TEST])).data


def by_dictionary(seed):
    model, train = as_dictionary(network(seed)), (INK[TRAIN], LABELS[TRAIN])
    data = dict(zip(("X_train", "y_train", "X_val", "y_val"), train * 2))  # the test images decide nothing
    options = {"optim_config": {"learning_rate": 0.1}, "batch_size": 32, "num_epochs": 50, "verbose": False}
    Solver(model, data, rng=np.random.default_rng(seed), **options).train()
    return model.loss(INK[TEST])


@pytest.mark.parametrize("style", [by_trainer, by_functions, by_dictionary])
def test_each_style_learns_the_digits(style):
    found = [float(np.mean(style(seed).argmax(axis=1) == LABELS[TEST])) for seed in range(5)]
    assert statistics.median(found) >= 0.96, found
