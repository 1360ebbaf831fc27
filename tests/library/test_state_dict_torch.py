"""Weights travel to PyTorch and back: the same names and layouts, the same outputs, gradients and running values.

Every layer of the library has a twin here, or a reason why it needs none; a new layer without either fails by name.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinytorch.core
from tinytorch.core.activations import GELU, ReLU, Tanh
from tinytorch.core.attention import MultiHeadAttention
from tinytorch.core.layers import Dropout, Flatten, Linear, Maxout, Module, ModuleList, Sequential
from tinytorch.core.networks import create_mlp
from tinytorch.core.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tinytorch.core.relational import MemoryBlock, RelationalMemory, RelationalRNN
from tinytorch.core.spatial import AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, GroupNorm, LayerNorm, MaxPool2d
from tinytorch.core.tensor import Tensor, concatenate

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
nn = torch.nn


class SelfAttention(nn.MultiheadAttention):
    """PyTorch's layer, called as ours is: one sequence attends to itself, and the result comes alone."""

    def __init__(self, embed_dim, num_heads, bias=True):
        super().__init__(embed_dim, num_heads, bias=bias, batch_first=True)

    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]


class Twin(NamedTuple):
    ours: Any  # functions of nothing that make a layer
    theirs: Any
    shape: tuple  # of an input


class BothStates(nn.Module):
    """Behind an LSTMCell: its two states as one."""

    def forward(self, pair):
        return torch.cat(pair, dim=1)


def read_by(kind):
    """One of PyTorch's layers in the form of ours: the last state, or its scores if there is a head."""

    class Reader(kind):
        def __init__(self, inputs, hidden, classes=None):
            super().__init__(inputs, hidden, batch_first=True)
            if classes is not None:
                self.head = nn.Linear(hidden, classes)

        def forward(self, x):
            last = super().forward(x)[0][:, -1]
            return self.head(last) if hasattr(self, "head") else last

    return Reader


TWINS = {
    "Linear": Twin(lambda: Linear(5, 3), lambda: nn.Linear(5, 3), (4, 5)),
    "Linear without bias": Twin(lambda: Linear(5, 3, bias=False), lambda: nn.Linear(5, 3, bias=False), (2, 4, 5)),
    "Sequential": Twin(
        lambda: Sequential(Flatten(), Linear(12, 5), ReLU(), Sequential([Linear(5, 4), Tanh()]), Linear(4, 2)),
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 4), nn.Tanh()), nn.Linear(4, 2)
        ),
        (6, 3, 4),
    ),
    "Sequential by create_mlp": Twin(
        lambda: create_mlp(5, [4], 2, activation=Tanh),
        lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)),
        (3, 5),
    ),
    "Sequential with a shared layer": Twin(
        lambda: (lambda layer: Sequential(layer, GELU(), layer))(Linear(4, 4)),
        lambda: (lambda layer: nn.Sequential(layer, nn.GELU(approximate="tanh"), layer))(nn.Linear(4, 4)),
        (3, 4),
    ),
    "Conv2d": Twin(lambda: Conv2d(3, 4, 3), lambda: nn.Conv2d(3, 4, 3), (2, 3, 7, 5)),
    "Conv2d with pairs, without bias": Twin(
        lambda: Conv2d(2, 3, (3, 2), (2, 1), (1, 2), (1, 3), bias=False),
        lambda: nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 2), (1, 3), bias=False),
        (3, 2, 6, 7),
    ),
    "BatchNorm1d": Twin(lambda: BatchNorm1d(4), lambda: nn.BatchNorm1d(4), (5, 4)),
    "BatchNorm1d of rows, with another momentum": Twin(
        lambda: BatchNorm1d(3, eps=1e-2, momentum=0.4), lambda: nn.BatchNorm1d(3, eps=1e-2, momentum=0.4), (2, 3, 6)
    ),
    "BatchNorm2d": Twin(lambda: BatchNorm2d(3), lambda: nn.BatchNorm2d(3), (4, 3, 3, 5)),
    "BatchNorm2d without scale and shift": Twin(
        lambda: BatchNorm2d(2, affine=False), lambda: nn.BatchNorm2d(2, affine=False), (3, 2, 4, 4)
    ),
    "LayerNorm": Twin(lambda: LayerNorm(5), lambda: nn.LayerNorm(5), (2, 3, 5)),
    "LayerNorm over two dimensions, without bias": Twin(
        lambda: LayerNorm((3, 4), bias=False), lambda: nn.LayerNorm((3, 4), bias=False), (5, 3, 4)
    ),
    "GroupNorm": Twin(lambda: GroupNorm(2, 6), lambda: nn.GroupNorm(2, 6), (3, 6, 4, 2)),
    "RNNCell": Twin(lambda: RNNCell(3, 4), lambda: nn.RNNCell(3, 4), (4, 3)),
    "LSTMCell": Twin(
        lambda: Sequential(LSTMCell(3, 4), lambda pair: concatenate(list(pair), dim=1)),
        lambda: nn.Sequential(nn.LSTMCell(3, 4), BothStates()),
        (4, 3),
    ),
    "GRUCell": Twin(lambda: GRUCell(3, 4), lambda: nn.GRUCell(3, 4), (4, 3)),
    "RNN": Twin(lambda: RNN(3, 4), lambda: read_by(nn.RNN)(3, 4), (5, 6, 3)),
    "LSTM": Twin(lambda: LSTM(3, 4), lambda: read_by(nn.LSTM)(3, 4), (4, 6, 3)),
    "LSTM with a head": Twin(lambda: LSTM(3, 4, 2), lambda: read_by(nn.LSTM)(3, 4, 2), (5, 6, 3)),
    "GRU with a head": Twin(lambda: GRU(3, 4, 2), lambda: read_by(nn.GRU)(3, 4, 2), (4, 6, 3)),
    "MultiHeadAttention": Twin(lambda: MultiHeadAttention(6, 2), lambda: SelfAttention(6, 2), (3, 5, 6)),
    "MultiHeadAttention with one head, without bias": Twin(
        lambda: MultiHeadAttention(4, 1, bias=False), lambda: SelfAttention(4, 1, bias=False), (2, 3, 4)
    ),
    "Sequential for images": Twin(
        lambda: Sequential(
            *(Conv2d(1, 4, 3, padding=1, bias=False), BatchNorm2d(4), ReLU(), MaxPool2d(2)),
            *(Conv2d(4, 6, 3, stride=2, padding=2), GroupNorm(3, 6), Tanh(), AvgPool2d(3, 2, 1)),
            *(Flatten(), LayerNorm(24), Linear(24, 3)),
        ),
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(4, 6, 3, stride=2, padding=2), nn.GroupNorm(3, 6), nn.Tanh(), nn.AvgPool2d(3, 2, 1)),
            *(nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 3)),
        ),
        (5, 1, 9, 8),
    ),
}
NO_NUMBERS = {"Flatten": Flatten, "Dropout": Dropout, "ModuleList": ModuleList, "Module": Module}
NO_NUMBERS |= {"MaxPool2d": lambda: MaxPool2d(2), "AvgPool2d": lambda: AvgPool2d(2)}
ONLY_OURS = {  # there is no such layer in PyTorch; test_relational.py compares memories with their formula there
    "Maxout": lambda: Maxout(2, 2),
    "MemoryBlock": lambda: MemoryBlock(4, 2, 1, 2),
    "RelationalMemory": lambda: RelationalMemory(2, 3),
    "RelationalRNN": lambda: RelationalRNN(2, 3),
}


def layers():
    """Names of all layers in the library; what begins with _ is only to be derived from."""
    modules = [
        importlib.import_module(f"tinytorch.core.{m.name}") for m in pkgutil.iter_modules(tinytorch.core.__path__)
    ]
    return {
        name
        for module in modules
        for name, found in vars(module).items()
        if inspect.isclass(found) and issubclass(found, Module) and found.__module__ == module.__name__
        if name == found.__name__ and not name.startswith("_")
    }


def test_every_layer_has_a_twin_or_a_reason():
    known = {name.split()[0] for name in TWINS} | set(NO_NUMBERS) | set(ONLY_OURS)
    assert not layers() - known, f"layers without a twin in this file: {sorted(layers() - known)}"
    assert not known - layers(), f"layers that do not exist: {sorted(known - layers())}"
    for name, make in NO_NUMBERS.items():
        assert not make().state_dict(), f"{name} has numbers of its own"
    for name, make in ONLY_OURS.items():
        assert make().state_dict() and not hasattr(nn, name), f"PyTorch has {name}"


def to_torch(state):
    return {name: torch.tensor(value) for name, value in state.items()}


def to_numpy(state):
    return {name: value.numpy() for name, value in state.items()}


def assert_the_same(ours, theirs, shape):
    """One pass forward and back through both: outputs, gradients, and what the passes left in the buffers."""
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x, x_theirs = Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    y, y_theirs = ours(x), theirs(x_theirs)
    close = {"rtol": 1e-5, "atol": 1e-5}
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), y_theirs.detach().numpy(), **close)
    upstream = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    y.backward(Tensor(upstream))
    y_theirs.backward(torch.tensor(upstream))
    np.testing.assert_allclose(x.grad.numpy(), x_theirs.grad.numpy(), **close)
    expected = dict(theirs.named_parameters())
    assert [name for name, _ in ours.named_parameters()] == list(expected)
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), expected[name].grad.numpy(), **close, err_msg=name)
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(value, theirs.state_dict()[name].numpy(), **close, err_msg=name)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", TWINS)
def test_ours_loads_into_pytorch(name, mode):
    make, make_theirs, shape = TWINS[name]
    ours, theirs = make(), make_theirs()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(to_torch(ours.state_dict()))
    assert_the_same(getattr(ours, mode)(), getattr(theirs, mode)(), shape)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", TWINS)
def test_what_pytorch_saved_loads_into_ours(name, mode):
    make, make_theirs, shape = TWINS[name]
    ours, theirs = make(), make_theirs()
    ours.load_state_dict(to_numpy(theirs.state_dict()))
    assert all(
        (value.dtype, value.shape) == (theirs.state_dict()[key].numpy().dtype, tuple(theirs.state_dict()[key].shape))
        for key, value in ours.state_dict().items()
    )
    assert_the_same(getattr(ours, mode)(), getattr(theirs, mode)(), shape)


def test_weights_written_on_one_side_do_not_change_the_other():
    ours, theirs = Linear(3, 2), nn.Linear(3, 2)
    ours.load_state_dict(to_numpy(theirs.state_dict()))
    before = theirs.weight.detach().clone()
    ours.weight.data -= 1.0
    assert torch.equal(theirs.weight, before)
