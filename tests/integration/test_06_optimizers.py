"""Optimizers on real data, as later modules use them. `tito module complete` runs this on the student's package."""

from types import SimpleNamespace

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, adam, rmsprop, sgd, sgd_momentum
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed

MAKES = {
    "sgd": lambda params: SGD(params, lr=0.3, weight_decay=1e-4),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.9),
    "nesterov": lambda params: SGD(params, learning_rate=0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda params: Adagrad(params, lr=0.1),
    "rmsprop": lambda params: RMSprop(params, lr=0.003, momentum=0.5, centered=True),
    "adam": lambda params: Adam(params, lr=0.01),
    "adamw": lambda params: AdamW(params, lr=0.01),
}


def network(seed=0):
    manual_seed(seed)
    return Sequential(Linear(64, 32), ReLU(), Linear(32, 10))


def digits():
    images, labels = load_digits()
    return (images.reshape(-1, 64) / 16, labels, *digits_split())


def train(model, optimizer, steps, start=0):
    """Losses of `steps` steps, each on 60 digits that follow from its number."""
    ink, labels, rows, _ = digits()
    loss_fn, losses = CrossEntropyLoss(), []
    for step in range(start, start + steps):
        batch = np.random.default_rng(step).choice(rows, 60, replace=False)
        optimizer.zero_grad()
        loss = loss_fn(model(Tensor(ink[batch])), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", MAKES)
def test_every_optimizer_learns_the_digits(name):
    model = network()
    losses = train(model, MAKES[name](model.parameters), 120)
    ink, labels, _, test = digits()
    assert np.mean(losses[-10:]) < 0.45
    assert np.mean(model(Tensor(ink[test])).numpy().argmax(axis=1) == labels[test]) > 0.88
    assert all(p.dtype == np.float32 for p in model.parameters())


@pytest.mark.parametrize("name", MAKES)
def test_a_training_that_was_stopped_goes_on_bit_for_bit(name):
    straight = network()
    train(straight, MAKES[name](straight.parameters()), 12)
    first = network()
    optimizer = MAKES[name](first.parameters())
    train(first, optimizer, 5)
    second = network(seed=7)
    second.load_state_dict(first.state_dict())
    resumed = MAKES[name](second.parameters())
    resumed.load_state_dict(optimizer.state_dict())
    train(second, resumed, 7, start=5)
    for p, q in zip(straight.parameters(), second.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_groups_train_a_new_head_on_layers_that_stay():
    model = network()
    before = model.state_dict()
    body, head = model[0].parameters(), model[2].parameters()
    optimizer = Adam([{"params": body, "lr": 0.0}, {"params": head}], lr=0.01)
    losses = train(model, optimizer, 40)
    assert losses[-1] < losses[0]
    np.testing.assert_array_equal(model[0].weight.numpy(), before["0.weight"])
    assert np.abs(model[2].bias.numpy() - before["2.bias"]).min() > 0
    optimizer.lr = 0.0
    kept = model.state_dict()
    train(model, optimizer, 3)
    np.testing.assert_array_equal(model[2].weight.numpy(), kept["2.weight"])


def test_a_layer_that_was_not_used_stays_with_all_that_is_remembered_about_it():
    model = network()
    optimizer = AdamW(model.parameters(), weight_decay=0.5)
    train(model, optimizer, 2)
    weight = model[0].weight
    before, held = weight.numpy().copy(), optimizer.state[weight]["exp_avg"].copy()
    optimizer.zero_grad()
    model[2].bias.grad = Tensor(np.ones(10))
    optimizer.step()
    np.testing.assert_array_equal(weight.numpy(), before)
    np.testing.assert_array_equal(optimizer.state[weight]["exp_avg"], held)


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        (sgd, lambda params: SGD(params, lr=1e-2)),
        (sgd_momentum, lambda params: SGD(params, lr=1e-2, momentum=0.9)),
        (rmsprop, lambda params: RMSprop(params, lr=1e-2)),
        (adam, lambda params: Adam(params, lr=1e-3)),
    ],
)
def test_functions_and_classes_walk_the_same_way_at_a_constant_rate(rule, make):
    rng = np.random.default_rng(0)
    p = SimpleNamespace(data=rng.normal(size=(4, 3)), grad=None)
    w, config, optimizer = p.data.copy(), None, make([p])
    for _ in range(25):
        p.grad = rng.normal(size=(4, 3))
        optimizer.step()
        w, config = rule(w, p.grad, config)
    np.testing.assert_allclose(w, p.data, rtol=1e-10)


def test_what_does_not_fit_is_refused_by_name():
    model = network()
    with pytest.raises(ValueError, match="twice"):
        SGD([model[0].weight, model[0].weight])
    with pytest.raises(ValueError, match="-0.1"):
        SGD(model.parameters(), lr=-0.1)
    with pytest.raises(TypeError, match="model.parameters"):
        SGD(model)
    optimizer = Adam(model.parameters())
    train(model, optimizer, 1)
    with pytest.raises(ValueError, match="nothing was changed"):
        Adam(Sequential(Linear(64, 32), ReLU(), Linear(32, 9)).parameters()).load_state_dict(optimizer.state_dict())
