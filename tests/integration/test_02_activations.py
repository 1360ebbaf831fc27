"""Activations against float64 formulas, and on digits. `tito module complete` runs this on the student's package."""

import math

import numpy as np
import pytest

from tinytorch.core import activations as a
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits


def exact_softmax(x, dim=-1):
    powers = np.exp(x - x.max(axis=dim, keepdims=True))
    return powers / powers.sum(axis=dim, keepdims=True)


EXACT = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "sigmoid": lambda x: 0.5 + 0.5 * np.tanh(x / 2),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "softmax": exact_softmax,
    "log_softmax": lambda x: x - np.logaddexp.reduce(x, axis=-1, keepdims=True),
}
CLASSES = {
    "relu": a.ReLU(),
    "leaky_relu": a.LeakyReLU(),
    "sigmoid": a.Sigmoid(),
    "tanh": a.Tanh(),
    "gelu": a.GELU(),
    "softmax": a.Softmax(),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype, rtol, atol", [(np.float32, 2e-6, 1e-6), (np.float64, 1e-12, 1e-14)])
def test_values_agree_with_the_formula_in_float64(name, dtype, rtol, atol):
    x = (np.random.default_rng(0).normal(size=(50, 7)) * 5).astype(dtype)
    result = getattr(a, name)(Tensor(x, dtype=dtype))
    assert result.dtype == dtype
    np.testing.assert_allclose(result.numpy(), EXACT[name](x.astype(np.float64)), rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", EXACT)
def test_thousand_is_an_ordinary_number(name):
    for dtype in (np.float32, np.float64):
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            result = getattr(a, name)(Tensor([-1000.0, -100.0, 0.0, 100.0, 1000.0], dtype=dtype))
        assert np.isfinite(result.numpy()).all()


@pytest.mark.parametrize("name", EXACT)
def test_any_shape_and_any_number(name):
    function = getattr(a, name)
    for shape in ((), (0,), (0, 3), (3, 0), (1,), (2, 3, 4)):
        result = function(Tensor(np.ones(shape)))
        assert result.shape == shape and result.dtype == np.float32
    whole = np.array([-2, 0, 3])
    from_whole = function(Tensor(whole))
    assert from_whole.dtype == np.float32
    np.testing.assert_allclose(from_whole.numpy(), function(Tensor(whole.astype(np.float32))).numpy())
    with np.errstate(invalid="ignore"):
        assert np.isnan(function(Tensor([np.nan, 1.0])).numpy()[0])


@pytest.mark.parametrize("name", EXACT)
def test_receipts_carry_the_name_and_the_options(name):
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    result = getattr(a, name)(x)
    assert result.requires_grad and result.receipt.operation == name and len(result.receipt.inputs) == 1
    np.testing.assert_array_equal(x.numpy(), np.arange(6.0).reshape(2, 3))
    assert getattr(a, name)(x.detach()).receipt is None


def test_settings_are_options_with_or_without_their_name():
    x = Tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
    for by_place, by_name in (
        (a.softmax(x, 0), a.softmax(x, dim=0)),
        (a.log_softmax(x, 0), a.log_softmax(x, dim=0)),
        (a.leaky_relu(x, 0.3), a.leaky_relu(x, negative_slope=0.3)),
    ):
        assert len(by_place.receipt.inputs) == 1
        assert by_place.receipt.options == by_name.receipt.options != {}
        np.testing.assert_array_equal(by_place.numpy(), by_name.numpy())


def test_softmax_along_every_dimension():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    for dim in (0, 1, 2, -1, -2, -3):
        expected = exact_softmax(x, dim)
        np.testing.assert_allclose(a.softmax(Tensor(x), dim=dim).numpy(), expected, rtol=1e-5)
        np.testing.assert_allclose(a.log_softmax(Tensor(x), dim=dim).numpy(), np.log(expected), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(a.Softmax(dim)(Tensor(x)).numpy(), expected, rtol=1e-5)


def test_classes_are_the_functions_and_have_nothing_to_train():
    x = Tensor(np.random.default_rng(0).normal(size=(4, 5)))
    for name, layer in CLASSES.items():
        expected = getattr(a, name)(x).numpy()
        np.testing.assert_array_equal(layer(x).numpy(), expected)
        np.testing.assert_array_equal(layer.forward(x).numpy(), expected)
        assert list(layer.parameters()) == []
        assert type(layer).__name__ in repr(layer)


def test_digits_by_nearest_template():
    images, labels = load_digits()
    train, test = digits_split()
    x = images.reshape(-1, 64)
    means = np.stack([x[train][labels[train] == digit].mean(axis=0) for digit in range(10)])
    scores = Tensor(x[test]) @ Tensor(means).T - 0.5 * np.square(means).sum(axis=1)
    probabilities = a.softmax(scores / 64)
    np.testing.assert_allclose(probabilities.sum(dim=-1).numpy(), 1, rtol=1e-5)
    assert (probabilities.numpy().argmax(axis=1) == labels[test]).mean() > 0.9
    chosen = a.log_softmax(scores / 64).numpy()[np.arange(len(test)), labels[test]]
    assert -0.4 < chosen.mean() < -0.2
