"""`tinytorch.core.layers` against formulas and, where it is installed, against PyTorch's first weights."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tinytorch.random import manual_seed


def network():
    return Sequential(Flatten(), Linear(12, 5), ReLU(), Sequential([Linear(5, 4), Tanh()]), Dropout(0.3), Linear(4, 2))


@given(lead=st.lists(st.integers(0, 3), max_size=2), n=st.integers(1, 4), m=st.integers(1, 4), bias=st.booleans())
def test_the_fused_layer_agrees_with_the_composed_one(lead, n, m, bias):
    rng = np.random.default_rng(0)
    x, w = Tensor(rng.normal(size=(*lead, n))), Tensor(rng.normal(size=(m, n)))
    b = Tensor(rng.normal(size=m)) if bias else None
    composed = x @ w.T + (b if bias else 0.0)
    got = linear(x, w, b)
    assert got.shape == (*lead, m) and got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), composed.numpy(), rtol=1e-5, atol=1e-6)


def test_a_layer_is_one_receipt():
    layer = Linear(3, 2)
    y = layer(Tensor(np.ones((4, 3))))
    assert y.receipt.operation == "linear"
    assert y.receipt.inputs[1] is layer.weight and y.receipt.inputs[2] is layer.bias


def test_names_as_in_pytorch_and_shared_parameters_once():
    model = network()
    names = [name for name, _ in model.named_parameters()]
    assert names == ["1.weight", "1.bias", "3.0.weight", "3.0.bias", "5.weight", "5.bias"]
    shared = Linear(2, 2)
    twice = Sequential(shared, ReLU(), shared)
    assert len(list(twice.parameters())) == 2
    assert set(twice.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_state_travels_and_a_bad_one_changes_nothing():
    model, other = network(), network()
    other.load_state_dict(model.state_dict())
    x = Tensor(np.random.default_rng(0).normal(size=(3, 3, 4)))
    np.testing.assert_array_equal(model.eval()(x).numpy(), other.eval()(x).numpy())
    bad = {**model.state_dict(), "1.bias": np.zeros(7), "extra": np.zeros(1)}
    del bad["5.weight"]
    before = other.state_dict()
    with pytest.raises(ValueError, match="nothing was changed") as caught:
        other.load_state_dict(bad)
    assert all(word in str(caught.value) for word in ("1.bias", "(7,)", "extra", "5.weight"))
    assert all(np.array_equal(before[name], value) for name, value in other.state_dict().items())


def test_modes_reach_every_layer():
    model = network()
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert all(module.training for module in model.train().modules())


def test_dropout_scales_what_it_keeps_and_rests_in_eval():
    x = Tensor(np.ones((200, 100)))
    layer = Dropout(0.25, rng=np.random.default_rng(0))
    kept = layer(x).numpy()
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.75], rtol=1e-6)
    assert abs((kept > 0).mean() - 0.75) < 6 * (0.25 * 0.75 / kept.size) ** 0.5
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    np.testing.assert_array_equal(Dropout(0.0)(x).numpy(), x.numpy())
    assert not Dropout(1.0)(x).numpy().any()
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match=str(p)):
            Dropout(p)


def test_one_seed_repeats_everything_random():
    def draw():
        manual_seed(7)
        model = network()
        return model.train()(Tensor(np.ones((2, 12)))).numpy()

    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(draw(), draw())
    np.testing.assert_array_equal(np.random.get_state()[1], state, "the global generator of NumPy was touched")


@pytest.mark.parametrize(("make", "variance"), [(xavier, 2 / 500), (kaiming, 2 / 300)])
def test_first_weights_have_the_variance_of_their_source(make, variance):
    w = make((200, 300), rng=np.random.default_rng(0))
    assert w.dtype == np.float32
    np.testing.assert_allclose(w.var(), variance, rtol=0.03)


@given(rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_orthogonal_rows_or_columns(rows, columns):
    q = orthogonal((rows, columns), rng=np.random.default_rng(0))
    product = q @ q.T if rows <= columns else q.T @ q
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)


def test_modules_by_hand_and_lists():
    class Net(Module):
        def __init__(self):
            self.blocks = ModuleList([Linear(2, 2), Linear(2, 2)])
            self.scale = Parameter([2.0])
            self.register_buffer("calls", np.zeros(1, np.int64))

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return x * self.scale

    net = Net()
    assert set(net.state_dict()) == {
        "scale", "calls", "blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias"
    }  # fmt: skip
    assert len(list(net.parameters())) == 5
    assert Sequential([]).layers == [] and list(Sequential().parameters()) == []
    with pytest.raises(ValueError, match="4 features.*takes 2"):
        net(Tensor(np.ones((1, 4))))


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)


@needs_torch
def test_first_weights_have_the_range_of_pytorch():
    from torch import nn

    ours, theirs = (
        Linear(25, 4000, rng=np.random.default_rng(0)).weight.numpy(),
        nn.Linear(25, 4000).weight.detach().numpy(),
    )
    np.testing.assert_allclose([ours.max(), ours.std()], [theirs.max(), theirs.std()], rtol=0.02)
