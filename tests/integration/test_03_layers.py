"""Networks on real data, as later modules use them. `tito module complete` runs this on the student's package."""

import copy

import numpy as np
import pytest

from tinytorch.core.activations import ReLU, Tanh
from tinytorch.core.layers import (
    Dropout,
    Flatten,
    Linear,
    Module,
    ModuleList,
    Parameter,
    Sequential,
    kaiming,
    linear,
    orthogonal,
    xavier,
)
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed


def network(seed=0):
    manual_seed(seed)
    return Sequential(Flatten(), Linear(64, 32), ReLU(), Dropout(0.5), Linear(32, 10))


def test_templates_classify_digits_without_training():
    images, labels = load_digits()
    train, test = digits_split()
    means = np.stack([images[train][labels[train] == digit].mean(axis=0).ravel() for digit in range(10)])
    model = Sequential(Flatten(), Linear(64, 10))
    model.load_state_dict({"1.weight": means, "1.bias": -0.5 * np.square(means).sum(axis=1)})
    scores = model(Tensor(images[test]))
    assert scores.shape == (360, 10)
    assert scores.dtype == np.float32
    assert np.mean(scores.numpy().argmax(axis=1) == labels[test]) > 0.9


def test_a_network_repeats_from_a_seed_and_moves_by_its_state():
    images, _ = load_digits()
    x = Tensor(images[:50] / 16)
    first, again, other = network(1), network(1), network(2)
    np.testing.assert_array_equal(first.eval()(x).numpy(), again.eval()(x).numpy())
    kept = first.state_dict()
    parameters = list(other.parameters())
    other.load_state_dict(kept)
    np.testing.assert_array_equal(other.eval()(x).numpy(), first(x).numpy())
    assert all(a is b for a, b in zip(parameters, other.parameters(), strict=True))
    other[1].weight.data = np.zeros((32, 64))
    assert np.any(kept["1.weight"] != 0)
    assert np.any(first[1].weight.data != 0)


def test_names_are_those_of_the_positions():
    model = network()
    assert [name for name, _ in model.named_parameters()] == ["1.weight", "1.bias", "4.weight", "4.bias"]
    assert list(model.state_dict()) == ["1.weight", "1.bias", "4.weight", "4.bias"]
    assert repr(model).splitlines()[2] == "  (1): Linear(in_features=64, out_features=32, bias=True)"
    assert model.layers[1] is model[1]
    assert len(Sequential()) == 0
    assert list(Sequential([Linear(2, 3)]).named_modules())[1][0] == "0"


def test_a_state_that_does_not_fit_changes_nothing():
    model = network()
    before = model.state_dict()
    state = {**network(5).state_dict(), "4.weight": np.zeros((10, 1)), "5.bias": np.zeros(3)}
    del state["1.bias"]
    with pytest.raises(ValueError) as caught:
        model.load_state_dict(state)
    assert all(name in str(caught.value) for name in ("1.bias", "4.weight", "5.bias"))
    for name, values in model.state_dict().items():
        np.testing.assert_array_equal(values, before[name])


class Tied(Module):
    """Writes with the matrix it reads with, and counts its calls."""

    def __init__(self):
        self.blocks = ModuleList([Linear(6, 6), Tanh(), Linear(6, 6)])
        self.write = Linear(6, 6)
        self.write.weight = self.blocks[0].weight
        self.register_buffer("calls", np.array(0))
        self.scale = Parameter([2.0])

    def forward(self, x):
        self.calls = self.calls + np.array(1)
        for block in self.blocks:
            x = block(x)
        return self.write(x) * self.scale


def test_shared_parameters_come_once_and_are_saved_under_each_name():
    model = Tied()
    names = [name for name, _ in model.named_parameters()]
    assert names == ["scale", "blocks.0.weight", "blocks.0.bias", "blocks.2.weight", "blocks.2.bias", "write.bias"]
    assert set(model.state_dict()) == {*names, "calls", "write.weight"}
    model(Tensor(np.ones((2, 6))))
    other = Tied()
    other.load_state_dict(model.state_dict())
    assert other.calls.item() == 1
    assert other.write.weight is other.blocks[0].weight
    twin = copy.deepcopy(model)
    assert twin.write.weight is twin.blocks[0].weight
    assert twin.write.weight is not model.write.weight


def test_train_and_eval_reach_every_level():
    model = Sequential(Sequential(Dropout(0.9), ReLU()), Tied())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    x = Tensor(np.ones((4, 6)))
    assert model[0](x).numpy().min() == 1
    assert model.train()[0](x).numpy().min() == 0


def test_receipts_lead_from_the_output_to_every_parameter():
    model = network()
    images, _ = load_digits()
    found, waiting = set(), [model(Tensor(images[:3]))]
    operations = []
    while waiting:
        x = waiting.pop()
        if isinstance(x, Parameter):
            found.add(x)
        elif isinstance(x, Tensor) and x.receipt:
            operations.append(x.receipt.operation)
            waiting += x.receipt.inputs
    assert found == set(model.parameters())
    assert operations == ["linear", "dropout", "relu", "linear"]
    for parameter in model.parameters():
        parameter.grad = Tensor(np.ones(parameter.shape))
    model.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_first_weights_keep_values_in_range_through_thirty_layers():
    rng = np.random.default_rng(0)
    spreads = {}
    for start, bend in ((kaiming, ReLU()), (xavier, Tanh()), (orthogonal, lambda x: x)):
        x = Tensor(rng.normal(size=(64, 128)))
        for _ in range(30):
            x = bend(linear(x, start((128, 128), rng)))
        spreads[start.__name__] = float(np.sqrt(np.square(x.numpy()).mean()))
    assert 0.3 < spreads["kaiming"] < 3
    assert 0.05 < spreads["xavier"] < 1
    assert abs(spreads["orthogonal"] - 1) < 0.05
