"""What conformance and fault tests share: promised signatures, a small run, and all that training moves, as bytes."""

import inspect

import numpy as np

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.training import Trainer
from tinytorch.random import default_generator, manual_seed


def promised(text):
    """The Signature that `text`, such as "(a, b=1, *, c=None)", writes down."""
    names = {}
    exec(f"def promise{text}: pass", {"ReLU": ReLU}, names)
    return inspect.signature(names["promise"])


def require_signature(function, text):
    """Fail unless `function` takes what `text` promises: same names, order and defaults; more only if optional."""
    got = inspect.signature(function).parameters
    expected = promised(text).parameters
    for name, parameter in expected.items():
        assert name in got, f"{name} is missing in {inspect.signature(function)}"
        assert got[name].default == parameter.default, f"{name}: {got[name]} is not {parameter}"
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert got[name].kind is parameter.kind, f"{name} can be given by position"
    ordered = [p.name for p in expected.values() if p.kind is not p.KEYWORD_ONLY]
    assert list(got)[: len(ordered)] == ordered, f"the order in {inspect.signature(function)} is another"
    required = {p.name for p in got.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    assert required <= set(expected), f"{required - set(expected)} are required, and not promised"


X = np.random.default_rng(0).normal(size=(48, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)


def batches(*sizes, x=X, y=Y):
    """Neighbouring batches of these sizes, arrays; one size alone is repeated to the end."""
    sizes = sizes * -(-len(x) // sizes[0]) if len(sizes) == 1 else sizes
    edges = np.minimum(np.cumsum([0, *sizes]), len(x))
    return [(x[a:b], y[a:b]) for a, b in zip(edges, edges[1:]) if b > a]


def classifier(seed=0, optimizer=Adam, dropout=0.0, hidden=8, loss=None, lr=0.01, **options):
    """A Trainer of a small network for `batches`."""
    manual_seed(seed)
    model = Sequential(Linear(6, hidden), ReLU(), Dropout(dropout), Linear(hidden, 3))
    return Trainer(model, optimizer(model.parameters(), lr=lr), loss or CrossEntropyLoss(), **options)


COUNTERS = ("epoch", "step", "updates", "skipped", "training_mode")


def plain(value):
    """`value` with bytes in place of arrays and text in place of numbers, so that equal means the same bits."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "__dict__"):
        return type(value).__name__, plain(vars(value))
    return repr(value)


def everything(trainer):
    """All that training moves, by name, in a form in which equal means bit for bit; read without the Trainer's help."""
    state = {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": trainer.scheduler,
        "early stopping": trainer.early_stopping.state_dict() if trainer.early_stopping is not None else None,
        "history": trainer.history,
        "modes": [module.training for module in trainer.model.modules()],
        "generator": default_generator.bit_generator.state,
        "own generators": [
            part.bit_generator.state
            for module in trainer.model.modules()
            for part in vars(module).values()
            if isinstance(part, np.random.Generator)
        ],
    }
    return plain(state | {name: getattr(trainer, name) for name in COUNTERS})


def require_same(got, expected, what=""):
    """Fail, with the names of what differs, unless two results of `everything` are the same."""
    different = [name for name in expected if got[name] != expected[name]]
    assert not different, f"{what} {', '.join(different)} changed"
