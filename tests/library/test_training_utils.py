"""`tinytorch.training_utils` on every kind of model it takes, against the Trainer, PyTorch and central differences."""

import functools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinytorch
from tinytorch import training_demo
from tinytorch import training_utils as tu
from tinytorch.core.activations import Tanh, tanh
from tinytorch.core.autograd import no_grad
from tinytorch.core.gradcheck import compute_numerical_gradient
from tinytorch.core.layers import Dropout, Linear, Module, Parameter, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MeanSquaredError, cross_entropy
from tinytorch.core.networks import create_mlp
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import default_generator, manual_seed
from tito.course import Course
from tito.overlay import lay

ROOT = Path(tinytorch.__file__).resolve().parent.parent
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
TARGETS = (X[:, :1] - 2 * X[:, 1:2]).astype(np.float32)


def mlp(seed=0, dtype=np.float32, sizes=(4, 8, 3), dropout=None):
    manual_seed(seed)
    parts = [Linear(sizes[0], sizes[1]), Tanh(), Linear(sizes[1], sizes[2])]
    return in_precision(Sequential(*parts[:2], *([Dropout(dropout)] if dropout else []), parts[2]), dtype)


def in_precision(model, dtype):
    for parameter in model.parameters():
        parameter._data = parameter.data.astype(dtype)  # assigning .data keeps the type
    return model


def digits():
    images, labels = load_digits()
    train, test = digits_split()
    inputs = images.reshape(-1, 64) / 16
    return (inputs[train], labels[train]), (inputs[test], labels[test])


def bits(arrays):
    return {name: (x.dtype.str, x.shape, np.asarray(x).tobytes()) for name, x in arrays.items()}


def apart(model, other):
    """The largest difference of two models' parameters, as a share of the largest value."""
    pairs = list(zip(model.parameters(), other.parameters(), strict=True))
    return max(np.abs(p.data - q.data).max() for p, q in pairs) / max(np.abs(p.data).max() for p, _ in pairs)


class Handmade:
    """Tensors in a dictionary, and nothing a Module has. The weights have one shape, and so have the biases."""

    def __init__(self, dtype=np.float32, as_tensors=False, requires_grad=True):
        rng, self.as_tensors = np.random.default_rng(1), as_tensors
        shapes = {"W_in": (4, 4), "b_in": (4,), "W_mid": (4, 4), "b_mid": (4,), "W_out": (4, 3)}
        arrays = {name: rng.normal(size=shape) if name[0] == "W" else np.zeros(shape) for name, shape in shapes.items()}
        self.parts = {name: Tensor(x, requires_grad=requires_grad, dtype=dtype) for name, x in arrays.items()}

    def forward(self, X, return_sequences=False):
        p = self.parts
        h = tanh(X @ p["W_in"] + p["b_in"])
        return tanh(h @ p["W_mid"] + p["b_mid"]) @ p["W_out"]

    def get_params(self):
        copies = {name: p.data.copy() for name, p in reversed(self.parts.items())}
        return {name: Tensor(x, dtype=x.dtype) for name, x in copies.items()} if self.as_tensors else copies

    def set_params(self, params):
        for name, value in params.items():
            assert isinstance(value, Tensor) == self.as_tensors, "it gets what it gives"
            self.parts[name].data = value.data if self.as_tensors else value


class Arrays:
    """NumPy only. `keep` writes into arrays of one type; without it the arrays are put in place as they are."""

    def __init__(self, keep=None):
        rng, self.keep, self.calls = np.random.default_rng(2), keep, 0
        self.W, self.b = rng.normal(size=(4, 3)).astype(keep or np.float64), np.zeros(3, keep or np.float64)

    def forward(self, X, return_sequences=False):
        self.calls += 1
        assert isinstance(X, np.ndarray)
        return np.tanh(X) @ self.W + self.b

    def get_params(self):
        return {"W": self.W.copy(), "b": self.b.copy()}

    def set_params(self, params):
        for name, value in params.items():
            if self.keep:
                getattr(self, name)[...] = value
            else:
                setattr(self, name, value)

    def exact(self, X, y):
        """The gradients, through the graph."""
        W, b = Tensor(self.W, requires_grad=True, dtype="f8"), Tensor(self.b, requires_grad=True, dtype="f8")
        cross_entropy(Tensor(np.tanh(X.astype("f8")), dtype="f8") @ W + b, y).backward()
        return {"W": W.grad.data, "b": b.grad.data}


class Recurrent(Module):
    """A Module with the protocol of the recurrent layers, whose names there are not those of its Parameters."""

    def __init__(self):
        self.cell, self.head = Linear(4 + 5, 5), Linear(5, 3)

    def forward(self, X, return_sequences=False):
        h, outputs = Tensor(np.zeros((len(X), 5))), []
        for t in range(X.shape[1]):
            h = self.cell(tinytorch.concatenate([X[:, t], h], dim=1)).exp().sqrt().log()
            outputs.append(self.head(h))
        return tinytorch.stack(outputs, dim=1) if return_sequences else outputs[-1]

    def get_params(self):
        return {f"rnn_{name.replace('.', '_')}": p.data.copy() for name, p in self.named_parameters()}

    def set_params(self, params):
        for name, p in self.named_parameters():
            p.data = params[f"rnn_{name.replace('.', '_')}"]


# --- what it reaches, and that it is the same training as the others ---


@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_a_hundred_steps_are_those_of_the_trainer(dtype, limit, clip_norm):
    (inputs, labels), _ = digits()
    manual_seed(0)
    model, other = create_mlp(64, [64, 64], 10), create_mlp(64, [64, 64], 10)
    other.load_state_dict(model.state_dict())
    trainer = Trainer(
        in_precision(other, dtype), SGD(other.parameters(), lr=0.1), CrossEntropyLoss(), grad_clip_norm=clip_norm
    )
    in_precision(model, dtype)
    rng, clipped = np.random.default_rng(0), 0
    for _ in range(100):
        rows = rng.choice(len(labels), 32, replace=False)
        loss, metric, norm = tu.train_step(model, inputs[rows], labels[rows], 0.1, clip_norm)
        expected, predictions = trainer.train_step(Tensor(inputs[rows], dtype=dtype), Tensor(labels[rows]))
        clipped += norm > (clip_norm or math.inf)
        assert abs(loss - expected) <= limit and metric == tu.accuracy(predictions, labels[rows])
        assert apart(model, other) <= limit
    assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)} and (clipped > 10) == (clip_norm is not None)


def test_steps_are_those_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model, theirs = mlp(dtype=np.float64), torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    ).double()  # fmt: skip
    theirs.load_state_dict({name: torch.tensor(x) for name, x in model.state_dict().items()})
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5)
    for _ in range(50):
        optimizer.zero_grad()
        expected = torch.nn.functional.cross_entropy(theirs(torch.tensor(X).double()), torch.tensor(Y))
        expected.backward()
        total = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.2)
        optimizer.step()
        loss, _, norm = tu.train_step(model, X, Y, learning_rate=0.5, clip_norm=0.2)
        assert (loss, norm) == pytest.approx((expected.item(), total.item()), rel=1e-5)  # PyTorch adds 1e-6 to the norm
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), atol=2e-5)


# --- models ---


@pytest.mark.parametrize("as_tensors", [False, True])
def test_a_handmade_model_gets_each_gradient_under_its_name(as_tensors):
    model, twin = Handmade(as_tensors=as_tensors), Handmade()
    loss = cross_entropy(twin.forward(Tensor(X)), Y)
    loss.backward()
    got, _, _ = tu.train_step(model, X, Y, learning_rate=0.25, clip_norm=None)
    assert got == loss.item()
    for name, p in twin.parts.items():
        np.testing.assert_array_equal(model.parts[name].data, p.data - 0.25 * p.grad.data, err_msg=name)
        assert np.abs(p.grad.data).max() > 1e-4 and model.parts[name].grad is None


@pytest.mark.filterwarnings("ignore:clip_grad_norm")
def test_finding_the_tensors_changes_no_bit():
    class Steep(Handmade):
        """With a gradient that is not finite, so that no step is made after the Tensors were found."""

        def forward(self, X, return_sequences=False):
            return (super().forward(X) * 0).sqrt()

    model = Steep()
    model.parts["b_in"].data = np.array([-0.0, 1e-40, 1.0, 1e30], np.float32)
    model.parts["b_mid"].data = np.ones(4)  # the first mark that would be tried
    before = bits(model.get_params())
    with pytest.warns(RuntimeWarning, match="no step"), np.errstate(all="ignore"):
        tu.train_step(model, X, Y)
    assert bits(model.get_params()) == before


def test_names_of_the_protocol_need_not_be_those_of_the_parameters():
    sequences, model, twin = np.stack([X, X[::-1], X * 0.5], axis=1), None, None
    manual_seed(0)
    model = Recurrent()
    manual_seed(0)
    twin = Recurrent()
    trainer = Trainer(twin, SGD(twin.parameters(), lr=0.1), CrossEntropyLoss())
    for _ in range(3):
        tu.train_step(model, sequences, Y, learning_rate=0.1, clip_norm=None)
        trainer.train_step(Tensor(sequences), Tensor(Y))
    assert apart(model, twin) == 0
    history = tu.train_model(model, (sequences, Y), epochs=3, learning_rate=0.5, verbose=False)
    assert history["train_loss"][-1] < history["train_loss"][0]


class Tied(Module):
    """One Parameter under two names, with a buffer that the forward moves."""

    def __init__(self):
        self.first = Linear(4, 4)
        self.second = Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("seen", np.zeros(1))

    def forward(self, x):
        if self.training:
            self.seen.data = self.seen.data + len(x)
        return self.second(tanh(self.first(x)))


class TiedByProtocol(Tied):
    def get_params(self):
        return self.state_dict()

    def set_params(self, params):
        self.load_state_dict(params)


@pytest.mark.parametrize("kind", [Tied, TiedByProtocol])
def test_shared_parameters_make_one_step_and_buffers_keep_what_the_forward_wrote(kind):
    manual_seed(0)
    model, twin = kind(), Tied()
    twin.load_state_dict(model.state_dict())
    trainer = Trainer(twin, SGD(twin.parameters(), lr=0.1), CrossEntropyLoss())
    for _ in range(3):
        tu.train_step(model, X, Y, learning_rate=0.1, clip_norm=None)
        trainer.train_step(Tensor(X), Tensor(Y))
    assert apart(model, twin) == 0 and model.seen.item() == 150
    assert model.first.weight is model.second.weight


def test_best_parameters_come_back_with_the_buffers_of_their_epoch():
    model = Tied()
    data, other = (X, Y), (X, (Y + 1) % 3)
    history = tu.train_model(model, data, other, epochs=6, learning_rate=1.0, verbose=False)
    best = int(np.argmin(history["val_loss"]))
    assert model.seen.item() == 50 * (best + 1) and best < 5


@pytest.mark.parametrize("inputs", [X, Tensor(X, requires_grad=True)], ids=["array", "on a graph"])
def test_a_parameter_that_the_loss_does_not_reach_stays_as_it_is(inputs):
    class Spare(Handmade):
        def __init__(self):
            super().__init__()
            self.parts["W_spare"] = Tensor(np.ones((4, 4)), requires_grad=True)

    model = Spare()
    tu.train_step(model, inputs, Y, learning_rate=1.0)
    np.testing.assert_array_equal(model.parts["W_spare"].data, np.ones((4, 4)))


def test_tensors_without_a_name_are_not_taken_for_others():
    class Shifted(Handmade):
        """Adds Tensors that nobody may train, whose numbers are those that names are marked with."""

        def __init__(self, requires_grad):
            super().__init__()
            self.shifts = [Tensor(np.full(4, float(n)), requires_grad=requires_grad) for n in range(1, 7)]

        def forward(self, X, return_sequences=False):
            return super().forward(X + sum(self.shifts[1:], self.shifts[0]) / 100)

    model, twin = Shifted(requires_grad=True), Shifted(requires_grad=False)
    assert tu.train_step(model, X, Y, learning_rate=1.0) == tu.train_step(twin, X, Y, learning_rate=1.0)
    assert bits(model.get_params()) == bits(twin.get_params())


def test_what_is_not_floating_or_has_no_number_is_passed_through():
    class Counting(Handmade):
        extra = {"count": np.array(3), "none": np.zeros((0, 4), np.float32)}

        def get_params(self):
            return super().get_params() | {name: x.copy() for name, x in self.extra.items()}

        def set_params(self, params):
            assert bits({name: params[name] for name in self.extra}) == bits(self.extra)
            super().set_params({name: x for name, x in params.items() if name not in self.extra})

    model, twin = Counting(), Handmade()
    for net in (model, twin):
        run(net, epochs=2)
    assert bits(twin.get_params()).items() < bits(model.get_params()).items()


class Alternating(Handmade):
    """Leaves out its middle layer in every second call, first of all in the first."""

    calls = 1

    def forward(self, X, return_sequences=False):
        self.calls += 1
        p = self.parts
        return super().forward(X) if self.calls % 2 else tanh(X @ p["W_in"] + p["b_in"]) @ p["W_out"]


@pytest.mark.parametrize("optimizer", [None, SGD])
def test_what_the_loss_reaches_may_change_from_step_to_step(optimizer):
    model, twin, rng = Alternating(), Alternating(), np.random.default_rng(0)
    own = optimizer and optimizer(model.parts.values())
    run(model, val=None, epochs=3, patience=None, batch_size=10, clip_norm=None, optimizer=own)
    for _ in range(3):
        for x, y in tu.create_batches(X, Y, 10, rng=rng):
            for p in twin.parts.values():
                p.grad = None
            cross_entropy(twin.forward(Tensor(x)), y).backward()
            for p in twin.parts.values():
                if p.grad is not None:
                    p.data = p.data - 0.2 * p.grad.data
    assert bits(model.get_params()) == bits(twin.get_params())


def test_set_params_that_makes_new_tensors_is_named():
    class Forgetful(Handmade):
        def set_params(self, params):
            self.parts = {name: Tensor(x, requires_grad=True) for name, x in params.items()}

    model = Forgetful()
    before = bits(model.get_params())
    with pytest.raises(ValueError, match=r"Forgetful.set_params does not write into .*W_in.*tensor.data = "):
        tu.train_step(model, X, Y)
    assert bits(model.get_params()) == before


def test_tensors_that_a_module_does_not_name():
    class Hidden(Module):
        def __init__(self):
            self.weight = Tensor(np.ones((4, 3)), requires_grad=True)

        def forward(self, x):
            return x @ self.weight

    with pytest.raises(ValueError, match="Hidden names none of the Tensors .* must be Parameters"):
        tu.train_step(Hidden(), X, Y)


def test_a_model_without_names_can_be_evaluated_and_not_trained():
    class Constant:
        def forward(self, X, return_sequences=False):
            return np.eye(3)[np.zeros(len(X), dtype=int)]

    assert tu.evaluate(Constant(), X, Y)[1] == np.mean(Y == 0)
    for train in (lambda: tu.train_step(Constant(), X, Y), lambda: tu.train_model(Constant(), (X, Y))):
        with pytest.raises(TypeError, match="Constant does not name its parameters.*get_params.*named_parameters"):
            train()


def test_params_must_have_names():
    class Nameless(Handmade):
        def get_params(self):
            return list(super().get_params().values())

    with pytest.raises(TypeError, match=r"Nameless.get_params\(\) gave a list; .* name -> array"):
        tu.train_step(Nameless(), X, Y)


def test_gradients_elsewhere_stay_and_a_step_is_made_under_no_grad():
    model = mlp()
    for parameter in model.parameters():
        parameter.grad = Tensor(np.full(parameter.shape, 7.0))
    inputs, before = Tensor(X, requires_grad=True), model.state_dict()
    with no_grad():
        tu.train_step(model, inputs, Y, learning_rate=0.1)
    assert inputs.grad is None and all((p.grad.data == 7).all() for p in model.parameters())
    assert all((before[name] != x).any() for name, x in model.state_dict().items())


def test_frozen_parameters_stay():
    model = mlp()
    model.layers[0].weight.requires_grad = False
    before = model.state_dict()
    tu.train_step(model, X, Y, learning_rate=0.1)
    changed = {name for name, x in model.state_dict().items() if (x != before[name]).any()}
    assert changed == {"0.bias", "2.weight", "2.bias"}


# --- numerical gradients ---


@pytest.mark.parametrize(("keep", "limit"), [(None, 1e-9), (np.float64, 1e-9), (np.float32, 2e-4)])
def test_a_model_of_arrays_steps_along_central_differences(keep, limit):
    model = Arrays(keep)
    before, expected = model.get_params(), model.exact(X, Y)
    loss, metric, norm = tu.train_step(model, X, Y, learning_rate=1.0, clip_norm=None)
    assert model.calls > 2 * 15
    assert norm == pytest.approx(math.sqrt(sum((g**2).sum() for g in expected.values())), rel=10 * limit)
    assert 0 < metric <= 1 and loss == pytest.approx(tu.cross_entropy_loss(np.tanh(X) @ before["W"] + before["b"], Y))
    for name, g in expected.items():
        np.testing.assert_allclose(before[name] - model.get_params()[name], g, atol=limit, err_msg=name)
        assert model.get_params()[name].dtype == before[name].dtype


def test_numerical_steps_change_no_bit_at_rate_0_and_none_after_an_error():
    model = Arrays(np.float32)
    before = bits(model.get_params())
    tu.train_step(model, X, Y, learning_rate=0.0)
    assert bits(model.get_params()) == before

    def fail(inputs, return_sequences=False, forward=model.forward):
        if model.calls == 60:
            raise KeyboardInterrupt
        return forward(inputs)

    model.forward = fail
    with pytest.raises(KeyboardInterrupt):
        tu.train_step(model, X, Y, learning_rate=1.0)
    assert bits(model.get_params()) == before


class OffGraph(Module):
    """Leaves the graph, and with `rounding` also float64."""

    def __init__(self, rounding=False):
        manual_seed(0)
        self.linear, self.rounding = Linear(4, 3), rounding

    def forward(self, x):
        y = tanh(self.linear(x)).data
        return Tensor(y) if self.rounding else Tensor(y, dtype=y.dtype)


@pytest.mark.parametrize(("rounding", "limit"), [(False, 1e-7), (True, 2e-4)])
def test_a_module_off_the_graph_steps_along_central_differences(rounding, limit):
    model, exact = OffGraph(rounding), Sequential(OffGraph().linear, Tanh())
    got = tu.train_step(model, X, Y, learning_rate=1.0)
    assert got == pytest.approx(tu.train_step(exact, X, Y, learning_rate=1.0), abs=limit)
    assert model.linear.weight.dtype == np.float32
    np.testing.assert_allclose(model.linear.weight.data, exact.layers[0].weight.data, atol=limit)
    np.testing.assert_allclose(model.linear.bias.data, exact.layers[0].bias.data, atol=limit)
    reference = compute_numerical_gradient(OffGraph(), X, Y, CrossEntropyLoss())["linear.bias"]
    np.testing.assert_allclose(OffGraph().linear.bias.data - reference, model.linear.bias.data, atol=limit)


def test_off_the_graph_buffers_move_once_and_frozen_parameters_stay():
    class Counting(OffGraph):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", np.zeros(1))

        def forward(self, x):
            self.seen.data = self.seen.data + len(x)
            return super().forward(x)

    model, twin = Counting(), OffGraph()
    model.linear.bias.requires_grad = False
    tu.train_step(model, X, Y, learning_rate=1.0, clip_norm=None)
    tu.train_step(twin, X, Y, learning_rate=1.0, clip_norm=None)
    assert model.seen.item() == 50
    np.testing.assert_array_equal(model.linear.bias.data, OffGraph().linear.bias.data)
    np.testing.assert_array_equal(model.linear.weight.data, twin.linear.weight.data)


def test_tensors_that_require_no_gradient_are_trained_by_differences_through_the_protocol():
    model, twin = Handmade(np.float64, requires_grad=False), Handmade(np.float64)
    assert tu.train_step(model, X, Y, learning_rate=0.5) == pytest.approx(tu.train_step(twin, X, Y, learning_rate=0.5))
    for name, x in twin.get_params().items():
        np.testing.assert_allclose(model.get_params()[name], x, atol=1e-9, err_msg=name)


def test_what_cannot_be_differentiated_is_said():
    model = mlp()
    for parameter in model.parameters():
        parameter.requires_grad = False
    with pytest.raises(ValueError, match="no parameter of Sequential requires a gradient"):
        tu.train_step(model, X, Y)
    noisy = Sequential(OffGraph(), Dropout(0.5))
    with pytest.raises(ValueError, match="Dropout"):
        tu.train_step(noisy, X, Y)


@pytest.mark.parametrize("model", [Arrays, lambda: Handmade(np.float64), mlp], ids=["arrays", "handmade", "module"])
def test_every_kind_of_model_learns(model):
    model = model()
    history = tu.train_model(model, (X, Y), (X, Y), epochs=15, batch_size=16, learning_rate=0.5, verbose=False)
    assert history["val_loss"][-1] < 0.6 * history["train_loss"][0]
    assert tu.evaluate(model, X, Y, batch_size=16)[0] == min(history["val_loss"])


# --- one step ---


def test_the_step_is_clipped_and_the_norm_is_that_before():
    model = mlp(dtype=np.float64)
    before = np.concatenate([p.data.ravel() for p in model.parameters()])
    _, _, norm = tu.train_step(model, 10 * X, Y, learning_rate=0.5, clip_norm=0.01)
    after = np.concatenate([p.data.ravel() for p in model.parameters()])
    assert norm > 0.1 and np.linalg.norm(after - before) == pytest.approx(0.5 * 0.01)
    with pytest.raises(ValueError, match="max_norm is 0"):
        tu.train_step(model, X, Y, clip_norm=0)


def test_regression_is_the_squared_error_and_minus_it():
    model, twin = mlp(sizes=(4, 8, 1)), mlp(sizes=(4, 8, 1))
    trainer = Trainer(twin, SGD(twin.parameters(), lr=0.1), MeanSquaredError())
    loss, metric, _ = tu.train_step(model, X, TARGETS.astype(np.float64), 0.1, task="regression")
    assert loss == trainer.train_step(Tensor(X), Tensor(TARGETS))[0] == -metric and apart(model, twin) == 0
    history = tu.train_model(
        model, (X, TARGETS), (X, TARGETS), epochs=30, learning_rate=0.1, task="regression", verbose=False
    )
    assert history["val_loss"][-1] < 0.2 and history["val_metric"] == [-loss for loss in history["val_loss"]]
    with pytest.raises(ValueError, match=r"\(50, 1\).*\(50,\)"):
        tu.train_step(model, X, TARGETS[:, 0], task="regression")


@pytest.mark.parametrize(
    "targets",
    [Y, Y.astype(float), Tensor(Y), Y.tolist(), np.eye(3)[Y]],
    ids=["array", "floats", "Tensor", "list", "one-hot"],
)
def test_targets_and_inputs_of_any_kind(targets):
    expected = tu.train_step(mlp(), Tensor(X), Y)
    for inputs in (X, X.astype(np.float64), Tensor(X), X.tolist()):
        assert tu.train_step(mlp(), inputs, targets) == pytest.approx(expected, rel=1e-5)


def test_whole_numbers_reach_the_model_as_they_are():
    class Lookup(Module):
        def __init__(self):
            self.table = Parameter(np.zeros((5, 3)))

        def forward(self, x):
            assert x.dtype == np.int64
            return self.table[x]

    model, words = Lookup(), np.arange(50) % 5
    tu.train_model(model, (words, words % 3), epochs=40, learning_rate=1.0, verbose=False)
    assert tu.evaluate(model, words, words % 3)[1] == 1.0


@pytest.mark.filterwarnings("ignore:clip_grad_norm")
@pytest.mark.parametrize("broken", ["loss", "norm"])
def test_what_is_not_finite_makes_no_step(broken):
    class Root(Sequential):
        def forward(self, x):
            y = super().forward(x)
            return (y * 0).sqrt() if broken == "norm" else y * np.nan

    model = Root(Linear(4, 3))
    before = bits(model.state_dict())
    with pytest.warns(RuntimeWarning, match=r"the loss is .*; no step is made"), np.errstate(all="ignore"):
        loss, _, norm = tu.train_step(model, X, Y)
    assert math.isfinite(loss) == (broken == "norm") and not math.isfinite(norm)
    assert bits(model.state_dict()) == before


def test_a_loss_that_overflows_makes_no_step_although_its_gradient_does_not():
    model = mlp(sizes=(4, 8, 1))
    before = bits(model.state_dict())
    with pytest.warns(RuntimeWarning, match="the loss is inf; no step is made"), np.errstate(over="ignore"):
        loss, metric, norm = tu.train_step(model, X, np.full((50, 1), 1e25), task="regression")
    assert (loss, metric) == (math.inf, -math.inf) and math.isnan(norm) and bits(model.state_dict()) == before


def test_one_bad_batch_poisons_neither_the_parameters_nor_the_best():
    inputs = X.copy()
    inputs[0] = np.nan
    model = mlp()
    with pytest.warns(RuntimeWarning, match="the loss is nan"):
        history = tu.train_model(model, (inputs, Y), (X, Y), epochs=3, learning_rate=0.5, batch_size=10, verbose=False)
    assert all(map(math.isnan, history["train_loss"]))
    assert tu.evaluate(model, X, Y, batch_size=10)[0] == min(history["val_loss"])
    assert all(map(math.isfinite, history["grad_norms"])), "the mean is that of the batches that have one"


# --- modes ---


def test_modes_are_switched_and_restored():
    seen = []

    class Watch(Module):
        def forward(self, x):
            seen.append(self.training)
            return x

    model = Sequential(Watch(), Linear(4, 4), Watch(), Linear(4, 3))
    model.layers[2].eval()  # frozen alone
    tu.train_step(model, X, Y)
    tu.evaluate(model, X, Y, batch_size=50)
    assert seen == [True, False, False, False]
    assert [layer.training for layer in model.layers] == [True, True, False, True]
    model.eval()
    tu.train_step(model, X, Y)
    assert seen[4:] == [True, True] and not any(layer.training for layer in model.layers)


@pytest.mark.parametrize("attribute", [True, False])
def test_modes_of_a_handmade_model(attribute):
    class Own(Handmade):
        modes = []

        def train(self):
            self.modes.append("train")
            if attribute:
                self.training = True

        def eval(self):
            self.modes.append("eval")
            if attribute:
                self.training = False

    model = Own()
    tu.train_step(model, X, Y)
    tu.evaluate(model, X, Y)
    assert model.modes == ["eval", "train"]
    with pytest.raises(ValueError):
        tu.evaluate(model, X, Y + 3)
    assert model.modes == ["eval", "train"] * 2, "also after an error"


def test_an_evaluation_keeps_no_graph():
    class Looking(Sequential):
        def forward(self, x):
            y = super().forward(x)
            assert not y.requires_grad
            return y

    assert math.isfinite(tu.evaluate(Looking(Linear(4, 3)), X, Y)[0])


def test_dropout_is_off_where_a_model_is_evaluated():
    model = mlp(dropout=0.5)
    assert tu.evaluate(model, X, Y) == tu.evaluate(model, X, Y)
    with no_grad():
        assert model(Tensor(X)).data.tolist() != model(Tensor(X)).data.tolist(), "it is being trained again"


# --- evaluate and create_batches ---


@pytest.mark.parametrize("batch_size", [1, 7, 49, 50, 1000])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_evaluation_does_not_depend_on_the_batches(task, batch_size):
    model = in_precision(mlp(sizes=(4, 8, 3 if task == "classification" else 1)), np.float64)
    targets = Y if task == "classification" else TARGETS
    with no_grad():
        output = model(Tensor(X, dtype=np.float64))
    loss = (tu.cross_entropy_loss if task == "classification" else tu.mse_loss)(output, targets).item()
    metric = tu.accuracy(output, Y) if task == "classification" else -loss
    assert tu.evaluate(model, X, targets, task, batch_size) == pytest.approx((loss, metric), rel=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, Tensor, np.ndarray.tolist], ids=["array", "Tensor", "list"])
def test_batches_hold_every_sample_once_with_its_target(kind):
    inputs, targets = np.arange(22.0).reshape(11, 2), np.arange(11)
    batches = tu.create_batches(kind(inputs), kind(targets), 4, rng=np.random.default_rng(0))
    assert len(batches) == 3 and [len(y) for _, y in batches] == [4, 4, 3]
    for x, y in batches:
        np.testing.assert_array_equal(np.asarray(x), inputs[np.asarray(y)])
        assert isinstance(x, Tensor) == (kind is Tensor)
    order = [i for _, y in batches for i in np.asarray(y).tolist()]
    assert sorted(order) == list(range(11)) != order
    assert order == [i for _, y in batches for i in np.asarray(y).tolist()], "it can be read again"
    np.testing.assert_array_equal(np.asarray(batches[-1][1]), np.asarray(batches[1:][1][1]))
    with pytest.raises(IndexError):
        batches[3]


def test_batches_in_order_are_views():
    batches = tu.create_batches(X, Y, 20, shuffle=False)
    assert all(np.shares_memory(x, X) for x, _ in batches)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), Y)


def test_the_order_comes_from_the_generator():
    def order(rng=None):
        return [y.tolist() for _, y in tu.create_batches(np.arange(40), np.arange(40), 8, rng=rng)]

    assert order(np.random.default_rng(3)) == order(np.random.default_rng(3)) != order(np.random.default_rng(4))
    np.random.seed(0)
    manual_seed(5)
    first, state = order(), np.random.get_state()[1].tolist()
    manual_seed(5)
    assert order() == first != order()
    np.random.seed(0)
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize(
    ("inputs", "targets", "size", "message"),
    [
        (X, Y[:-1], 8, r"\(50, 4\).*\(49,\).*50 and 49 samples"),
        (X[:0], Y[:0], 8, "0 and 0 samples"),
        (X, Y, 0, "batch_size is 0"),
    ],
)
def test_batches_that_cannot_be_made_fail_at_once(inputs, targets, size, message):
    with pytest.raises(ValueError, match=message):
        tu.create_batches(inputs, targets, size)
    with pytest.raises(ValueError, match=message):
        tu.evaluate(mlp(), inputs, targets, batch_size=size)
    with pytest.raises(ValueError, match=message):
        tu.train_model(mlp(), (inputs, targets), batch_size=size)


# --- train_model ---


def run(model=None, val=(X, Y), **options):
    model = mlp() if model is None else model
    options = {"epochs": 4, "learning_rate": 0.2, "verbose": False, "rng": np.random.default_rng(0), **options}
    return model, tu.train_model(model, (X, Y), val, **options)


def test_the_history_is_that_of_a_plain_loop_over_uneven_batches():
    model, twin, rng = mlp(), mlp(), np.random.default_rng(0)
    _, history = run(model, batch_size=16, lr_decay=0.5, lr_decay_every=2, clip_norm=0.5, patience=None)
    for epoch in range(4):
        rate = tu.learning_rate_schedule(epoch, 0.2, 0.5, 2)
        parts = tu.create_batches(X, Y, 16, rng=rng)
        steps = [(*tu.train_step(twin, x, y, rate, 0.5), len(y)) for x, y in parts]
        assert [count for *_, count in steps] == [16, 16, 16, 2]
        losses, metrics, norms, counts = zip(*steps)
        val_loss, val_metric = tu.evaluate(twin, X, Y, batch_size=16)
        row = {name: values[epoch] for name, values in history.items()}
        assert row == pytest.approx({
            "train_loss": np.average(losses, weights=counts), "train_metric": np.average(metrics, weights=counts),
            "val_loss": val_loss, "val_metric": val_metric, "learning_rates": rate, "grad_norms": np.mean(norms),
        })  # fmt: skip
    assert apart(model, twin) == 0


def test_best_parameters_are_restored_also_when_nothing_stops_the_training():
    wrong = (X, (Y + 1) % 3)
    model, history = run(val=wrong, epochs=8, patience=100, learning_rate=1.0)
    assert len(history["val_loss"]) == 8 and np.argmin(history["val_loss"]) < 7
    assert tu.evaluate(model, *wrong)[0] == min(history["val_loss"])


def test_patience_counts_epochs_without_an_improvement():
    wrong = (X, (Y + 1) % 3)
    model, history = run(val=wrong, epochs=50, patience=3, learning_rate=1.0)
    assert len(history["val_loss"]) == np.argmin(history["val_loss"]) + 1 + 3 < 50
    assert tu.evaluate(model, *wrong)[0] == min(history["val_loss"])
    _, history = run(epochs=50, patience=4, learning_rate=1e-7)
    assert len(history["val_loss"]) == 5 and history["val_loss"][-1] < history["val_loss"][0], "better by too little"
    assert len(run(epochs=12, patience=None, learning_rate=0.0)[1]["val_loss"]) == 12


def test_an_improvement_that_is_too_small_to_wait_for_is_still_the_best():
    model, history = run(epochs=50, patience=4, learning_rate=1e-5)
    assert 0 < history["val_loss"][0] - history["val_loss"][-1] < 1e-4
    assert tu.evaluate(model, X, Y)[0] == history["val_loss"][-1] == min(history["val_loss"])


def test_without_validation_data_the_training_loss_decides():
    states = []

    class Jumping(Handmade):
        """Gets worse from its third epoch on."""

        def forward(self, X, return_sequences=False):
            states.append(self.get_params())
            y = super().forward(X)
            return y if len(states) <= 3 else y * -3.0

    model, history = run(Jumping(), val=None, epochs=50, patience=2, batch_size=50, learning_rate=0.01)
    assert len(history["train_loss"]) == 3 + 2 and np.argmin(history["train_loss"]) == 2
    assert bits(model.get_params()) == bits(states[3]), "the parameters after the third epoch"
    assert all(math.isnan(x) for x in history["val_loss"] + history["val_metric"]) and len(history["val_loss"]) == 5


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_an_optimizer_makes_the_steps_of_the_trainer_at_the_scheduled_rate(clip_norm):
    model, twin = mlp(), mlp()
    optimizer = Adam(model.parameters(), lr=123.0)
    run(model, optimizer=optimizer, clip_norm=clip_norm, lr_decay=0.5, lr_decay_every=3, learning_rate=0.02)
    trainer = Trainer(twin, Adam(twin.parameters(), lr=0.02), CrossEntropyLoss(), grad_clip_norm=clip_norm)
    rng = np.random.default_rng(0)
    for epoch in range(4):
        trainer.optimizer.lr = tu.learning_rate_schedule(epoch, 0.02, 0.5, 3)
        trainer.train_epoch(tu.create_batches(X, Y, 32, rng=rng))
    assert apart(model, twin) == 0 and optimizer.lr == 0.01


def test_an_optimizer_over_a_handmade_model_and_over_numerical_gradients():
    model = Handmade()
    _, history = run(model, optimizer=Adam(model.parts.values()), learning_rate=0.05, epochs=10)
    assert history["val_loss"][-1] < 0.5 * history["train_loss"][0]
    model, twin = OffGraph(), Sequential(OffGraph().linear, Tanh())
    for net in (model, twin):
        run(net, optimizer=Adam(net.parameters()), learning_rate=0.05, epochs=2)
    np.testing.assert_allclose(model.linear.weight.data, twin.layers[0].weight.data, atol=1e-5)


def test_an_optimizer_of_another_model_is_named():
    with pytest.raises(ValueError, match="Adam, trains none of the Tensors of Sequential: 0.weight"):
        run(optimizer=Adam(mlp().parameters()))
    with pytest.raises(ValueError, match="SGD, trains none of the Tensors of Arrays: W, b"):
        run(Arrays(), optimizer=SGD([Tensor([1.0], requires_grad=True)]))
    with pytest.raises(TypeError, match="optimizer is 'adam', and that has no step"):
        run(optimizer="adam")


def test_the_same_generator_gives_the_same_training():
    def trained(seed, **options):
        model, history = run(rng=np.random.default_rng(seed), **options)
        return bits(model.state_dict()), history

    assert trained(1) == trained(1) != trained(2)
    assert trained(1, shuffle=False) == trained(2, shuffle=False)
    model = mlp()  # seeds the default generator
    state = default_generator.bit_generator.state
    run(model, rng=np.random.default_rng(1))
    assert default_generator.bit_generator.state == state
    results = [run(mlp(), rng=None)[1] for _ in range(2)]
    assert results[0] == results[1] and default_generator.bit_generator.state != state


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"task": "ranking"}, ValueError, "task 'ranking' is unknown; known are 'classification', 'regression'"),
        ({"patience": 0}, ValueError, "patience 0"),
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan"),
        ({"lr_decay": -0.5}, ValueError, "lr_decay is -0.5"),
        ({"optimizer": Adam}, TypeError, "optimizer is the class Adam"),
        ({"rng": 3}, TypeError, r"rng is 3, a int; try rng=np.random.default_rng"),
        ({"batch_size": 1.5}, ValueError, "batch_size is 1.5"),
        ({"lr_decay_every": 0}, ValueError, "decay_every is 0"),
        ({"val": (X, Y, Y)}, ValueError, r"val_data is a tuple of 3; it must be a pair \(X, y\)"),
        ({"val": X}, ValueError, r"val_data is a ndarray; it must be a pair \(X, y\)"),
        ({"val": (X, Y[:3])}, ValueError, "50 and 3 samples"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_is_said_before_the_first_step(change, error, message):
    model = mlp()
    before = bits(model.state_dict())
    with pytest.raises(error, match=message):
        run(model, **change)
    assert bits(model.state_dict()) == before


def test_no_epoch_gives_an_empty_history_and_changes_nothing():
    model = mlp()
    before = bits(model.state_dict())
    _, history = run(model, epochs=0)
    assert history == {name: [] for name in tu.HISTORY} and bits(model.state_dict()) == before


# --- progress and interrupts ---


def test_a_line_an_epoch_where_nobody_looks(capsys):
    run(verbose=True, epochs=30, patience=2, learning_rate=0.0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["epoch", f"{n}/30"] for n in (1, 2, 3)]
    assert all(name in lines[0] for name in ("train_loss", "train_metric", "val_loss", "learning_rates", "grad_norms"))
    assert lines[-1] == "stopped: val_loss was no better for 2 epochs"
    run(verbose=False)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    tqdm = pytest.importorskip("tqdm.auto", reason="tqdm is not installed")
    monkeypatch.setattr(tqdm, "tqdm", functools.partial(tqdm.tqdm, mininterval=0))  # it draws every batch
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(verbose=True, epochs=2, batch_size=16)
    shown = capsys.readouterr()
    assert "epoch 1/2" in shown.err and "4/4" in shown.err and "metric=" in shown.err and "rate=0.2" in shown.err
    assert shown.out.splitlines()[1].startswith("epoch 2/2  train_loss")


class Interrupted(Sequential):
    """Ctrl-C at call number `at`."""

    def forward(self, x):
        self.count = getattr(self, "count", 0) + 1
        if self.count == self.at:
            raise KeyboardInterrupt
        return super().forward(x)


@pytest.mark.parametrize("at", [1, 3, 4, 5, 6, 8, 12])
@pytest.mark.parametrize("optimizer", [None, Adam])
def test_ctrl_c_leaves_whole_rows_and_the_best_parameters(at, optimizer, capsys):
    def trained(**options):
        manual_seed(0)
        model = Interrupted(Linear(4, 8), Tanh(), Linear(8, 3))
        model.at = options.pop("at", None)
        own = None if optimizer is None else optimizer(model.parameters())
        return run(model, optimizer=own, batch_size=25, clip_norm=None, patience=None, **options)

    per_epoch = 4  # two batches of training, two of validation
    model, history = trained(at=at)
    rows = (at - 1) // per_epoch
    _, whole = trained()
    assert history == {name: values[:rows] for name, values in whole.items()}
    assert f"history has {rows} complete epochs" in capsys.readouterr().err
    assert model.training
    if rows:
        assert tu.evaluate(model, X, Y, batch_size=25)[0] == min(history["val_loss"])
    assert all(np.isfinite(p.data).all() for p in model.parameters())
    assert tu.train_step(model, X, Y)[0] < 2.0, "training can go on"


def test_a_row_that_is_half_written_when_ctrl_c_comes_is_forgotten(capsys):
    unfinished = tu.Run(tu.NamedModel(mlp()), 5, 3, False, "train_loss")
    unfinished.finish_epoch(dict.fromkeys(tu.HISTORY, 1.0))
    unfinished.history["train_loss"].append(0.5)
    unfinished.interrupted()
    assert unfinished.history == {name: [1.0] for name in tu.HISTORY}
    assert "1 complete epochs" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child alone")
def test_a_real_ctrl_c():
    program = """if True:
        import numpy as np
        from tinytorch import training_utils as tu
        from tinytorch.core.networks import create_mlp
        X = np.random.default_rng(0).normal(size=(64, 4))
        model = create_mlp(4, [8], 2)
        history = tu.train_model(model, (X, (X[:, 0] > 0) * 1), epochs=10**6, patience=None)
        assert len({len(values) for values in history.values()}) == 1
        print("loss", tu.evaluate(model, X, (X[:, 0] > 0) * 1)[0])
    """
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(3):
        assert child.stdout.readline().startswith("epoch ")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "interrupted; the model is usable" in err and out.splitlines()[-1].startswith("loss 0.")


# --- the facade and the demonstration ---


def test_it_imports_before_a_module_is_built_and_each_name_when_its_module_is(tmp_path):
    course = Course(ROOT)
    lay(course, tmp_path)
    for target, module in course.owners.items():
        if module.number <= 4:
            path = Path("tinytorch", *target.split(".")).with_suffix(".py")
            (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    program = """if True:
        import sys, tinytorch
        import tinytorch.training_utils as tu
        assert "numpy" not in sys.modules
        print(tu.__file__, tu.softmax([0.0, 0.0]).data, [len(y) for _, y in tu.Batches([1, 2, 3], [1, 2, 3], 2)])
        try:
            tu.clip_gradients
        except tinytorch.NotBuiltError as error:
            print(error)
        try:
            tu.train_step(tinytorch.nn.Linear(1, 2), [[1.0]], [0])
        except tinytorch.NotBuiltError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == f"{tmp_path / 'tinytorch' / 'training_utils.py'} [0.5 0.5] [2, 1]"
    assert "tinytorch.core.training is module 07, not built yet" in second and "not built yet" in third


def demonstrate(folder, *arguments):
    command = [sys.executable, "-m", "tinytorch.training_demo", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_demonstration_shows_everything_in_80_columns(tmp_path):
    done = demonstrate(tmp_path, "--epochs", "3")
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and not list(tmp_path.iterdir())
    names = ("create_batches", "train_step", "evaluate", "clip_gradients", "learning_rate_schedule", "train_model")
    assert all(name in done.stdout for name in names)
    *_, objects, functions, dictionaries = (line.split() for line in lines)
    assert [row[0] for row in (objects, functions, dictionaries)] == ["Trainer", "train_model", "Solver"]
    assert objects[1:4] == functions[1:4], "the same losses and the same accuracy"
    for _, first, last, right, seconds in (objects, functions, dictionaries):
        assert float(last) < float(first) < 2.31 and 0.2 < float(right) <= 1 and float(seconds) < 20


def test_the_demonstration_says_at_once_where_no_picture_can_be(capsys):
    with pytest.raises(SystemExit):
        training_demo.main(["--plot", f"{__file__}/curves.png"])
    out, err = capsys.readouterr()
    assert out == "" and "a file is in the way" in err


def test_the_demonstration_saves_a_picture_when_asked(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = demonstrate(tmp_path, "--epochs", "1", "--plot", "curves.png")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert demonstrate(tmp_path, "--epochs", "0").returncode == 2
