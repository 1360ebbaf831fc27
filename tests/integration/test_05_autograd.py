"""Gradients of whole networks, as later modules use them. `tito module complete` runs this on the student's package."""

import math

import numpy as np
import pytest

from tinytorch.core.activations import ReLU, Tanh, log_softmax, relu, sigmoid, softmax, tanh
from tinytorch.core.autograd import GradientError, Variable, check_gradients, grad, graph_of, no_grad
from tinytorch.core.gradcheck import compute_numerical_gradient
from tinytorch.core.layers import Dropout, Flatten, Linear, Sequential, linear
from tinytorch.core.losses import CrossEntropyLoss, cross_entropy, mean_squared_error
from tinytorch.core.tensor import Tensor, autograd, concatenate, operation, stack, where
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed

IMAGES, LABELS = load_digits()
PIXELS = (IMAGES.reshape(-1, 64) / 16).astype(np.float32)


@pytest.fixture
def table():
    """The table of rules, put back afterwards."""
    before = dict(autograd.rules), dict(autograd.operations)
    yield autograd.rules
    for now, kept in zip((autograd.rules, autograd.operations), before, strict=True):
        now.clear()
        now.update(kept)


def network(seed=0):
    manual_seed(seed)
    return Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))


def test_plain_gradient_descent_learns_digits():
    train, test = digits_split()
    model, x = network(), Tensor(PIXELS[train])
    losses = []
    for _ in range(60):
        model.zero_grad()
        loss = cross_entropy(model(x), LABELS[train])
        loss.backward()
        for p in model.parameters():
            assert p.grad.dtype == np.float32
            p.data -= 0.5 * p.grad.data
        losses.append(loss.item())
    with no_grad():
        scores = model(Tensor(PIXELS[test]))
    assert scores.receipt is None
    assert losses[0] == pytest.approx(math.log(10), rel=0.1)
    assert losses[-1] < 0.5
    assert np.mean(scores.numpy().argmax(axis=1) == LABELS[test]) > 0.9


def everything(x, w, v):
    h = linear(x, w)
    h = concatenate([relu(h), sigmoid(h) ** 2, tanh(h) / (1.0 + h * h), 1.5**h], dim=1)  # (4, 12)
    h = where(h.data > 0.1, h.clip(min=-1, max=2), (h.abs() + 1.0).log()) - h.mean(dim=0, keepdim=True)
    h = softmax(h @ v) * h.var(dim=1, keepdim=True) + h.max(dim=1).reshape(4, 1) - h.min()
    h = stack([h, log_softmax(h), (h * h + 1.0).sqrt()]).permute(1, 0, 2)[:, [0, 0, 2, 1]].sum(dim=1)
    return cross_entropy(h[[0, 0, 3, 1]], np.array([1, 0, 2, 2])) + mean_squared_error(h.T, np.ones((3, 4)))


def test_every_kind_of_rule_in_one_function():
    rng = np.random.default_rng(0)
    assert check_gradients(everything, [rng.normal(size=s) for s in ((4, 5), (3, 5), (12, 3))])


def test_the_walk_agrees_with_differences_on_a_network():
    model = Sequential(Linear(64, 4), Tanh(), Linear(4, 10))
    before = {name: p.data for name, p in model.named_parameters()}
    x, y = Tensor(PIXELS[:8]), LABELS[:8]
    slow = compute_numerical_gradient(model, x, y, CrossEntropyLoss())
    CrossEntropyLoss()(model(x), y).backward()
    for name, p in model.named_parameters():
        assert p.data is before[name]
        np.testing.assert_allclose(p.grad.data, slow[name], atol=1e-6)


def test_gradients_add_up_and_are_nobody_elses_memory():
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    start = np.array([1.0, 10.0], np.float32)
    (a + b).backward(start)
    a.grad.data *= 100
    np.testing.assert_array_equal(b.grad.data, [1, 10])
    np.testing.assert_array_equal(start, [1, 10])
    (b * 2.0).sum().backward()
    np.testing.assert_array_equal(b.grad.data, [3, 12])
    assert Variable is Tensor


def test_refusals_change_nothing(table):
    @operation
    def unknown(x):
        return x + 1

    w, x = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    walked, written = (w * w).sum(), (w * x).sum()
    walked.backward()
    w.grad = None
    x.data = [5.0, 6.0]
    for call, part in (
        (walked.backward, "retain_graph=True"),
        (written.backward, "input 1 of multiply, shape (2,)"),
        ((w * 2.0).backward, "shape (2,)"),
        (lambda: (w * 2.0).backward(np.ones(3)), "(3,)"),
        (Tensor([1.0]).backward, "does not require a gradient"),
        ((unknown(x) * w).sum().backward, "unknown"),
    ):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert part in str(caught.value)
    assert w.grad is None
    assert x.grad is None


def test_a_wrong_rule_is_named(table):
    table["sigmoid"] = lambda g, y, x: g * y
    with pytest.raises(GradientError) as caught:
        check_gradients(lambda x: (sigmoid(x.exp()) * x).sum(), [np.array([0.1, 0.2])])
    assert caught.value.operation == "sigmoid"
    assert caught.value.ratio != pytest.approx(1)
    table["exp"] = lambda g, y, x: None
    with pytest.raises(GradientError) as caught:
        check_gradients(lambda x: (x.exp() * x).sum(), [np.array([0.1, 0.2])])
    assert caught.value.operation == "exp"


def test_deep_graphs_and_many_ways():
    x = y = Tensor([1.0], requires_grad=True)
    for _ in range(20_000):
        y = y + 1.0
    y.sum().backward()
    assert x.grad.item() == 1
    dropped = x
    for _ in range(20_000):
        dropped = dropped * 1.0
    del dropped
    x.grad, a, b = None, x, x
    for _ in range(1000):
        a, b = a - b, a * 0.5
    a.sum().backward()
    assert np.isfinite(x.grad.item())


def test_grad_mode_and_functions_of_slopes():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert autograd.enabled
    np.testing.assert_array_equal(grad(lambda a: (a * a * x).sum())(Tensor([3.0, 4.0])).data, [6, 16])
    assert x.grad is None
    text = graph_of((x * x).sum(), {"x": x})
    assert text.split("\n") == ["reduce_sum ()", "  multiply (2,)", "    x = leaf (2,) #1", "    x = leaf (2,) #1"]


def test_dropout_sends_back_through_the_same_mask():
    manual_seed(0)
    x = Tensor(np.ones((4, 5)), requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)
