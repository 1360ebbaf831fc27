"""`tinytorch.core.activations` against formulas in float64 and, where it is installed, against PyTorch."""

import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core import activations as core
from tinytorch.core.tensor import Tensor

WIDE = st.floats(-1000, 1000, width=32)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
EXACT = {
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "sigmoid": lambda x: 0.5 * (1 + np.tanh(x / 2)),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
}


@pytest.mark.parametrize("name", EXACT)
@given(x=hnp.arrays(np.float32, SHAPES, elements=WIDE))
def test_value_by_value(name, x):
    with np.errstate(all="raise", under="ignore"):
        got = getattr(core, name)(Tensor(x))
    assert got.shape == x.shape and got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), EXACT[name](x.astype(np.float64)), rtol=2e-5, atol=1e-6)


@given(data=st.data(), x=hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=WIDE))
def test_softmax_and_its_logarithm(data, x):
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    wide = x.astype(np.float64)
    shifted = wide - wide.max(axis=dim, keepdims=True)
    logarithm = shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
    with np.errstate(all="raise", under="ignore"):
        p, log_p = core.softmax(Tensor(x), dim=dim), core.log_softmax(Tensor(x), dim=dim)
    np.testing.assert_allclose(p.numpy(), np.exp(logarithm), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(log_p.numpy(), logarithm, rtol=1e-5, atol=1e-4)
    assert p.dtype == log_p.dtype == np.float32


@pytest.mark.parametrize("name", [*EXACT, "softmax", "log_softmax"])
def test_types_and_receipts(name):
    function = getattr(core, name)
    assert function(Tensor(np.arange(3))).dtype == np.float32
    assert function(Tensor([1.0, 2.0], dtype=np.float64)).dtype == np.float64
    y = function(Tensor([1.0, 2.0], requires_grad=True))
    assert y.requires_grad and y.receipt.operation == name
    assert np.isnan(function(Tensor([np.nan, 1.0])).numpy()[0])


@pytest.mark.parametrize(
    ("layer", "function", "text"),
    [
        (core.ReLU(), core.relu, "ReLU()"),
        (core.LeakyReLU(0.2), lambda x: core.leaky_relu(x, 0.2), "LeakyReLU(negative_slope=0.2)"),
        (core.Sigmoid(), core.sigmoid, "Sigmoid()"),
        (core.Tanh(), core.tanh, "Tanh()"),
        (core.GELU(), core.gelu, "GELU()"),
        (core.Softmax(dim=0), lambda x: core.softmax(x, 0), "Softmax(dim=0)"),
    ],
)
def test_classes_are_layers_without_parameters(layer, function, text):
    x = Tensor(np.random.default_rng(0).normal(size=(3, 4)))
    np.testing.assert_array_equal(layer(x).numpy(), function(x).numpy())
    np.testing.assert_array_equal(layer.forward(x).numpy(), function(x).numpy())
    assert list(layer.parameters()) == [] and repr(layer) == text


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)


@needs_torch
@given(x=hnp.arrays(np.float32, (2, 5), elements=WIDE))
def test_same_as_pytorch(x):
    import torch
    from torch.nn import functional

    t, p = Tensor(x), torch.tensor(x)
    pairs = [
        (core.relu(t), functional.relu(p)),
        (core.leaky_relu(t, 0.1), functional.leaky_relu(p, 0.1)),
        (core.sigmoid(t), torch.sigmoid(p)),
        (core.tanh(t), torch.tanh(p)),
        (core.gelu(t), functional.gelu(p, approximate="tanh")),
        (core.softmax(t, 0), functional.softmax(p, 0)),
        (core.log_softmax(t), functional.log_softmax(p, -1)),
    ]
    for got, expected in pairs:
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
