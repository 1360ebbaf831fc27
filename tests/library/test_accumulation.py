"""k micro-batches are one large batch: for every optimizer, model and loss, however the batches are cut."""

import inspect
import math

import numpy as np
import pytest

from tests.library.conformance import batches
from tinytorch.core import optimizers
from tinytorch.core.activations import GELU, ReLU, Tanh
from tinytorch.core.layers import Flatten, Linear, Module, ModuleList, Parameter, Sequential
from tinytorch.core.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, MeanSquaredError
from tinytorch.core.optimizers import SGD, Adagrad, Adam, AdamW, Lion, Optimizer, RMSprop
from tinytorch.core.tensor import Tensor, concatenate, stack, where
from tinytorch.core.training import StepDecay, Trainer
from tinytorch.random import default_generator, manual_seed

X = (
    np.random.default_rng(7).normal(size=(61, 6)).astype(np.float32)
)  # a prime number, so that the last group is always a rest
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
CUTS = {
    "even": ((5,), 4),
    "pairs": ((10,), 2),
    "singles": ((1,), 8),
    "uneven": ((1, 17, 3, 9, 2, 8, 21), 3),
    "growing": ((1, 2, 3, 5, 8, 13, 29), 2),
    "one group": ((7,), 100),
    "one batch": ((61,), 3),
}
VARIANTS = {
    "sgd": (SGD, {"lr": 0.1}),
    "decay": (SGD, {"lr": 0.1, "weight_decay": 0.01}),
    "momentum": (SGD, {"lr": 0.05, "momentum": 0.9}),
    "nesterov": (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "rmsprop": (RMSprop, {"lr": 1e-3}),
    "rmsprop momentum": (RMSprop, {"lr": 1e-3, "momentum": 0.5, "weight_decay": 0.01}),
    "rmsprop centered": (RMSprop, {"lr": 1e-4, "centered": True}),
    "rmsprop centered momentum": (RMSprop, {"lr": 1e-4, "centered": True, "momentum": 0.5}),
    "adam": (Adam, {"lr": 1e-3}),
    "adam decay": (Adam, {"lr": 1e-3, "weight_decay": 0.01, "betas": (0.8, 0.99)}),
    "adamw": (AdamW, {"lr": 1e-3, "weight_decay": 0.1}),
    "adagrad": (Adagrad, {"lr": 1e-3}),
    "adagrad decay": (Adagrad, {"lr": 0.01, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.01}),
    "lion": (Lion, {"lr": 1e-3, "weight_decay": 0.01}),
}
LIMITS = {"no limit": None, "measured": math.inf, "clipped": 0.05}


def test_every_optimizer_has_a_variant():
    classes = {thing for _, thing in inspect.getmembers(optimizers, inspect.isclass) if issubclass(thing, Optimizer)}
    assert {cls for cls, _ in VARIANTS.values()} == classes - {Optimizer}


def in_float64(model):
    """The same model with float64 parameters."""
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Parameter):
                setattr(module, name, Parameter(value.data.astype(np.float64), dtype=np.float64))
    return model


def grouped(small, k):
    """The large batches of which `small` are the pieces."""
    return [tuple(map(np.concatenate, zip(*small[i : i + k]))) for i in range(0, len(small), k)]


def tensors(pairs):
    """Float64 arrays as float64 Tensors, which a Trainer would make float32."""
    return [tuple(Tensor(a, dtype=a.dtype) if a.dtype == np.float64 else a for a in pair) for pair in pairs]


def largest_difference(a, b):
    """Over all parameters of two dictionaries of arrays: (difference, name of where it is)."""
    assert a.keys() == b.keys()
    return max(((np.abs(value - b[name]).max(), name) for name, value in a.items()), default=(0.0, ""))


def moments(trainer):
    """All moments by name, in units of the largest value: RMSprop's buffer holds steps that no rate has shortened."""
    held = trainer.optimizer.state_dict()["state"]
    arrays = {f"{name} of {place}": value for place, part in held.items() for name, value in part.items()}
    return {name: value / max(1, np.abs(value).max()) for name, value in arrays.items()}


def require_equal(make, small, k, tolerance, form=list, epochs=2):
    """Train in pieces and at once; fail unless parameters, moments, counters and history agree."""
    pieces, large = make(), make()
    before = pieces.model.state_dict()
    for _ in range(epochs):
        pieces.train_epoch(form(tensors(small)), accumulation_steps=k)
        large.train_epoch(tensors(grouped(small, k)))
    assert pieces.updates == large.updates == epochs * -(-len(small) // k)
    assert (pieces.step, large.step) == (epochs * len(small), large.updates)
    difference, name = largest_difference(pieces.model.state_dict(), large.model.state_dict())
    assert difference <= tolerance, f"{name} differs by {difference}"
    difference, name = largest_difference(moments(pieces), moments(large))
    assert difference <= 10 * tolerance, f"{name} differs by {difference}"
    assert any(not np.array_equal(before[name], value) for name, value in pieces.model.state_dict().items())
    for name, values in large.history.items():
        np.testing.assert_allclose(pieces.history[name], values, rtol=max(tolerance, 1e-12), atol=1e-5, err_msg=name)


def generator(items):
    return (item for item in items)


def mlp(variant="sgd", limit=None, loss=None, scheduler=None, **options):
    cls, settings = VARIANTS[variant]
    manual_seed(3)
    model = Sequential(Linear(6, 16), ReLU(), Linear(16, 8), ReLU(), Linear(8, 3))
    optimizer = cls(model.parameters(), **settings)
    return Trainer(model, optimizer, loss or CrossEntropyLoss(), scheduler, limit, **options)


# --- an MLP in float32 ---


@pytest.mark.parametrize("form", [list, generator])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_mlp_in_float32(variant, cut, form):
    sizes, k = CUTS[cut]
    require_equal(lambda: mlp(variant), batches(*sizes, x=X, y=Y), k, 1e-6, form)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_mlp_whose_gradients_are_clipped(variant, limit):
    sizes, k = CUTS["uneven"]
    require_equal(lambda: mlp(variant, LIMITS[limit]), batches(*sizes, x=X, y=Y), k, 1e-6, generator)


def test_the_limit_of_the_tests_is_reached():
    trainer = mlp(limit=LIMITS["clipped"])
    trainer.train_epoch(batches(10, x=X, y=Y), accumulation_steps=2)
    assert trainer.history["grad_norms"][0] > 2 * LIMITS["clipped"]


def test_an_mlp_under_a_schedule():
    sizes, k = CUTS["even"]
    require_equal(lambda: mlp("adam", 1.0, scheduler=StepDecay(1e-3, 1, 0.5)), batches(*sizes, x=X, y=Y), k, 1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_mlp_whose_loss_is_a_mean_a_sum_or_one_number_a_sample(reduction):
    class Squares:
        def __init__(self):
            self.reduction = reduction

        def __call__(self, predictions, targets):
            losses = ((predictions - targets) ** 2).mean(1)
            return losses.sum() if reduction == "sum" else losses.mean() if reduction == "mean" else losses

    small = batches(1, 17, 3, 9, 2, 8, 21, x=X, y=np.eye(3, dtype=np.float32)[Y])
    require_equal(lambda: mlp(loss=Squares()), small, 3, 1e-6)


# --- other models, in float64 ---

WIDE = X.astype(np.float64)
TARGETS = np.stack([np.sin(WIDE[:, 0]), WIDE[:, 1] * WIDE[:, 2]], axis=1)


class Residual(Module):
    """Skip connections, a ModuleList, and one layer that is used twice."""

    def __init__(self):
        self.inside, self.out, self.bend = ModuleList(Linear(6, 6) for _ in range(2)), Linear(6, 2), Tanh()

    def forward(self, x):
        for layer in (*self.inside, self.inside[0]):
            x = x + self.bend(layer(x))
        return self.out(x)


class Attention(Module):
    """Six numbers as three steps of two, each of which looks at all."""

    def __init__(self):
        self.query, self.value, self.out = Linear(2, 4), Linear(2, 4), Linear(12, 2)
        self.key = Linear(2, 4, bias=False)  # what is added to all keys alike cancels: its gradient is rounding alone

    def forward(self, x):
        x = x.reshape(-1, 3, 2)
        scores = (self.query(x) @ self.key(x).transpose(1, 2)).exp()
        shares = scores / scores.sum(dim=2, keepdim=True)
        return self.out((shares @ self.value(x)).reshape(-1, 12))


class Shared(Module):
    """Two weights whose gradients are the same numbers, and one that nothing depends on."""

    def __init__(self):
        draw = default_generator.normal
        self.a, self.b = Parameter(draw(size=(6, 2))), Parameter(draw(size=(6, 2)))
        self.scale, self.unused = Parameter(1.5), Parameter(np.ones(3))

    def forward(self, x):
        return (x @ (self.a + self.b)) * self.scale


class Pieces(Module):
    """Concatenating, stacking, choosing and indexing."""

    def __init__(self):
        self.left, self.right = Linear(3, 4), Linear(3, 4)

    def forward(self, x):
        a, b = self.left(x[:, :3]), self.right(x[:, 3:])
        both = stack([where(a.data > b.data, a, b), a * b], dim=1).mean(dim=1)
        return concatenate([both[:, :1], both[:, 2:3]], dim=1)


class Branching(Module):
    """Samples go through one of two layers, so that in a small batch one of them may have no gradient."""

    def __init__(self):
        self.first, self.second = Linear(6, 2), Linear(6, 2)

    def forward(self, x):
        parts = [
            layer(x[rows])
            for rows, layer in ((x.data[:, 0] > 0, self.first), (x.data[:, 0] <= 0, self.second))
            if rows.any()
        ]
        order = np.argsort(np.concatenate([np.flatnonzero(x.data[:, 0] > 0), np.flatnonzero(x.data[:, 0] <= 0)]))
        return concatenate(parts, dim=0)[order]


MODELS = {
    "deep": lambda: Sequential(Flatten(), Linear(6, 9), GELU(), Linear(9, 7), Tanh(), Linear(7, 2)),
    "linear": lambda: Linear(6, 2),
    "residual": Residual,
    "attention": Attention,
    "shared": Shared,
    "pieces": Pieces,
    "branching": Branching,
}


def wide(name, variant, limit=None, loss=None):
    manual_seed(5)
    model = in_float64(MODELS[name]())
    cls, settings = VARIANTS[variant]
    return Trainer(model, cls(model.parameters(), **settings), loss or MeanSquaredError(), grad_clip_norm=limit)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_in_float64(name, variant):
    small = batches(1, 17, 3, 9, 2, 8, 21, x=WIDE, y=TARGETS)
    require_equal(lambda: wide(name, variant, limit=0.5), small, 3, 1e-9, generator)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("limit", LIMITS)
def test_every_cut_in_float64(cut, limit):
    sizes, k = CUTS[cut]
    require_equal(lambda: wide("deep", "adam", LIMITS[limit]), batches(*sizes, x=WIDE, y=TARGETS), k, 1e-9)


@pytest.mark.parametrize("loss", [CrossEntropyLoss, BinaryCrossEntropyLoss])
def test_classes_in_float64(loss):
    y = np.eye(2)[(X[:, 0] > 0).astype(int)]
    require_equal(lambda: wide("deep", "nesterov", loss=loss()), batches(9, x=WIDE, y=y), 4, 1e-9)


def test_the_models_are_in_float64():
    trainer = wide("attention", "adam")
    trainer.train_epoch(tensors(batches(20, x=WIDE, y=TARGETS)), accumulation_steps=2)
    assert {value.dtype for value in trainer.model.state_dict().values()} == {np.dtype(np.float64)}
    assert {p.grad.dtype for p in trainer.model.parameters()} == {np.dtype(np.float64)}


def test_a_layer_can_be_without_gradient_in_a_micro_batch():
    trainer = wide("branching", "sgd")
    small = batches(1, x=WIDE, y=TARGETS)[:8]
    assert {bool(x[0, 0] > 0) for x, _ in small} == {True, False}
    trainer.train_epoch(tensors(small), accumulation_steps=8)
    assert all(p.grad is not None for p in trainer.model.parameters())
