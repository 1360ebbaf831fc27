"""Training in functions: one test for each promise about `tinytorch.training_utils`, in the order of the promises."""

import importlib
import importlib.util
import inspect
import math

import numpy as np
import pytest

from tinytorch import training_utils as tu
from tinytorch.core.layers import Linear
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import Adam
from tinytorch.core.tensor import Tensor
from tinytorch.random import manual_seed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(21, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
TARGETS = X @ np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]], np.float32)
WRONG = (X, 1 - Y)


class Model:
    """What is promised to be enough, and nothing more: Tensors, or with `array` plain arrays."""

    def __init__(self, array=False):
        rng, self.array = np.random.default_rng(1), array
        make = np.asarray if array else (lambda x: Tensor(x, requires_grad=True, dtype=np.float64))
        self.own = {"W": make(rng.normal(size=(3, 2))), "b": make(np.zeros(2))}

    def forward(self, X, return_sequences=False):
        assert return_sequences is False
        return X @ self.own["W"] + self.own["b"]

    def get_params(self):
        return {name: np.array(x if self.array else x.data) for name, x in self.own.items()}

    def set_params(self, params):
        for name, x in params.items():
            if self.array:
                self.own[name][...] = x
            else:
                self.own[name].data = x

    def gradients(self, loss=cross_entropy, targets=Y):
        """(loss, name -> gradient), by a walk of its own."""
        W, b = (Tensor(x, requires_grad=True, dtype=np.float64) for x in self.get_params().values())
        value = loss(Tensor(X, dtype=np.float64) @ W + b, targets)
        value.backward()
        return value.item(), {"W": W.grad.data, "b": b.grad.data}


def norm_of(gradients):
    return math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))


def fit(model=None, val=(X, Y), **options):
    model = Model() if model is None else model
    options = {"learning_rate": 0.5, "epochs": 5, "batch_size": 8, "verbose": False, **options}
    return model, tu.train_model(model, (X, Y), val, **options)


# --- the names ---

MADE_OF = {
    "core.losses": "MeanSquaredError CrossEntropyLoss BinaryCrossEntropyLoss MSELoss BCEWithLogitsLoss "
    "cross_entropy_loss mse_loss cross_entropy mean_squared_error",
    "core.activations": "softmax log_softmax",
    "core.metrics": "accuracy Accuracy extract_numpy_data get_tensor_value",
    "core.gradcheck": "compute_numerical_gradient compute_numerical_gradient_fast",
    "core.optimizers": "sgd sgd_momentum rmsprop adam",
    "core.training": "clip_gradients clip_grad_norm learning_rate_schedule EarlyStopping plot_training_curves",
}


@pytest.mark.parametrize(("owner", "name"), [(m, n) for m, names in MADE_OF.items() for n in names.split()])
def test_what_it_is_made_of_can_be_imported_from_it(owner, name):
    assert getattr(tu, name) is getattr(importlib.import_module(f"tinytorch.{owner}"), name)
    assert name in tu.__all__ and name in dir(tu)


SIGNATURES = {
    "train_step": "(model, X, y, learning_rate=0.001, clip_norm=5.0, task='classification')",
    "evaluate": "(model, X, y, task='classification', batch_size=32)",
    "create_batches": "(X, y, batch_size=32, shuffle=True, rng=None)",
    "train_model": "(model, train_data, val_data=None, epochs=100, batch_size=32, learning_rate=0.001, lr_decay=0.95, "
    "lr_decay_every=10, clip_norm=5.0, patience=10, task='classification', verbose=True, optimizer=None, shuffle=True, "
    "rng=None)",
    "plot_training_curves": "(history, save_path=None)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    assert str(inspect.signature(getattr(tu, name))) == SIGNATURES[name] and name in tu.__all__


# --- train_step ---


@pytest.mark.parametrize("array", [False, True], ids=["exact on the graph", "numerical otherwise"])
@pytest.mark.parametrize("clip_norm", [5.0, 0.01, None], ids=["default", "clipped", "no limit"])
def test_train_step_is_a_clipped_step_of_descent(array, clip_norm):
    model = Model(array)
    loss, gradients = model.gradients()
    before, norm = model.get_params(), norm_of(gradients)
    scale = 0.3 * min(1.0, (clip_norm or math.inf) / norm)
    assert tu.train_step(model, X, Y, 0.3, clip_norm)[::2] == pytest.approx((loss, norm), rel=1e-6)
    for name, g in gradients.items():
        np.testing.assert_allclose(model.get_params()[name], before[name] - scale * g, atol=1e-9)


def test_train_step_writes_into_the_same_tensors():
    model = Model()
    tensors = dict(model.own)
    tu.train_step(model, X, Y)
    assert all(model.own[name] is tensor for name, tensor in tensors.items())


def test_the_loss_is_that_before_the_update():
    model = Model()
    before = tu.evaluate(model, X, Y)[0]
    first = tu.train_step(model, X, Y, learning_rate=1.0)[0]
    assert first == pytest.approx(before) and tu.evaluate(model, X, Y)[0] < before


def test_the_default_rate_and_limit_of_a_step():
    model, twin = Model(), Model()
    _, gradients = twin.gradients(cross_entropy)
    tu.train_step(model, X, Y)
    np.testing.assert_allclose(model.own["W"].data, twin.own["W"].data - 0.001 * gradients["W"], atol=1e-12)
    *_, norm = tu.train_step(model, 1e4 * X, Y, learning_rate=1.0)
    moved = {name: x - twin.get_params()[name] for name, x in model.get_params().items()}
    assert norm > 100 and norm_of(moved) == pytest.approx(5.0, rel=1e-3)


def test_the_metric_is_the_accuracy():
    model = Model()
    right = np.mean(model.forward(Tensor(X)).data.argmax(axis=1) == Y)
    assert 0 < right < 1 and tu.train_step(model, X, Y)[1] == right == tu.evaluate(Model(), X, Y)[1]


def test_the_metric_of_a_regression_is_minus_the_loss():
    model = Model()
    loss, gradients = model.gradients(tu.mean_squared_error, TARGETS)
    assert tu.train_step(model, X, TARGETS, task="regression") == pytest.approx((loss, -loss, norm_of(gradients)))
    loss, metric = tu.evaluate(model, X, TARGETS, task="regression")
    assert metric == -loss


UNKNOWN = "'ranking' is unknown; known are 'classification', 'regression'"


@pytest.mark.parametrize(
    "call",
    [
        lambda: tu.train_step(Model(), X, Y, task="ranking"),
        lambda: tu.evaluate(Model(), X, Y, task="ranking"),
        lambda: tu.train_model(Model(), (X, Y), task="ranking"),
    ],
    ids=["train_step", "evaluate", "train_model"],
)
def test_an_unknown_task_is_named_with_the_known(call):
    with pytest.raises(ValueError, match=UNKNOWN):
        call()


# --- evaluate, create_batches ---


@pytest.mark.parametrize("batch_size", [1, 2, 8, 20, 32])
def test_evaluate_weights_by_samples(batch_size):
    expected = Model().gradients()[0], np.mean(Model().forward(X).data.argmax(axis=1) == Y)
    assert tu.evaluate(Model(), X, Y, batch_size=batch_size) == pytest.approx(expected, rel=1e-12)


def test_evaluate_changes_nothing():
    model = Model()
    before = model.get_params()
    tu.evaluate(model, X, Y)
    assert all((x == before[name]).all() for name, x in model.get_params().items()) and model.own["W"].grad is None


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_last_short_batch_is_kept(shuffle):
    parts = list(tu.create_batches(X, Y, 8, shuffle))
    assert [(len(x), len(y)) for x, y in parts] == [(8, 8), (8, 8), (5, 5)]
    together = np.concatenate([x for x, _ in parts])
    assert (together == X).all() == (not shuffle) and (np.sort(together, axis=0) == np.sort(X, axis=0)).all()


def test_batches_have_32_samples_and_are_shuffled_by_default():
    (first, _), (second, _) = tu.create_batches(np.arange(40), np.arange(40), rng=np.random.default_rng(0))
    assert (len(first), len(second)) == (32, 8) and first.tolist() != sorted(first)


def draws(function):
    """Whether `function` gives the same again after the default generator was seeded again, and then another."""
    manual_seed(3)
    first, second = function(), function()
    manual_seed(3)
    return first == function() and first != second


def test_without_rng_batches_come_from_the_default_generator():
    before = np.random.get_state()[1].tolist()
    assert draws(lambda: [y.tolist() for _, y in tu.create_batches(X, np.arange(21), 4)])
    assert np.random.get_state()[1].tolist() == before


def test_with_rng_batches_come_from_it():
    orders = [tu.create_batches(X, np.arange(21), 21, rng=np.random.default_rng(seed))[0][1] for seed in (1, 1, 2)]
    assert (orders[0] == orders[1]).all() and (orders[0] != orders[2]).any()


# --- train_model ---


def test_the_history_has_its_keys_and_an_entry_an_epoch():
    _, history = fit()
    assert list(history) == ["train_loss", "train_metric", "val_loss", "val_metric", "learning_rates", "grad_norms"]
    assert all(len(values) == 5 and all(map(math.isfinite, values)) for values in history.values())
    assert all(type(x) is float for values in history.values() for x in values)


def test_the_rate_follows_the_schedule():
    _, history = fit(epochs=25, learning_rate=0.2, patience=25)
    assert history["learning_rates"] == [tu.learning_rate_schedule(e, 0.2, 0.95, 10) for e in range(25)]
    _, history = fit(lr_decay=0.5, lr_decay_every=2)
    assert history["learning_rates"] == [0.5, 0.5, 0.25, 0.25, 0.125]


@pytest.mark.parametrize(("patience", "epochs"), [(100, 30), (3, 4)], ids=["to the end", "stopped early"])
def test_the_best_parameters_are_restored(patience, epochs):
    model, history = fit(val=WRONG, epochs=30, patience=patience)
    assert len(history["val_loss"]) == epochs and np.argmin(history["val_loss"]) == 0
    assert tu.evaluate(model, *WRONG, batch_size=8)[0] == history["val_loss"][0] < history["val_loss"][-1]


def test_the_default_patience_is_ten_epochs():
    assert len(fit(val=WRONG, epochs=100)[1]["val_loss"]) == 11


def test_without_val_data_the_training_loss_decides():
    _, history = fit(val=None, epochs=50, learning_rate=0.0, patience=4)
    assert len(history["train_loss"]) == 5 and np.isnan([*history["val_loss"], *history["val_metric"]]).all()


def test_an_optimizer_takes_the_steps_and_the_rate_of_the_schedule():
    model, plain = Model(), Model()
    optimizer = Adam(model.own.values(), lr=9.0)
    _, history = fit(model, optimizer=optimizer, learning_rate=0.05, lr_decay_every=2)
    fit(plain, learning_rate=0.05, lr_decay_every=2)
    assert optimizer.lr == history["learning_rates"][-1] == 0.05 * 0.95**2
    assert optimizer.state[model.own["W"]]["step"] == 15 and (model.own["W"].data != plain.own["W"].data).any()


def test_without_rng_the_order_comes_from_the_default_generator():
    assert draws(lambda: fit()[1])
    state = tu.default_generator.bit_generator.state
    assert fit(shuffle=False)[1] == fit(shuffle=False)[1] and fit(rng=np.random.default_rng(0))
    assert tu.default_generator.bit_generator.state == state


def test_a_module_needs_no_more():
    model = Linear(3, 2)
    _, history = fit(model)
    assert tu.evaluate(model, X, Y, batch_size=8)[0] == min(history["val_loss"]) < history["train_loss"][0]


@pytest.mark.parametrize("verbose", [True, False])
def test_verbose_shows_a_line_an_epoch(verbose, capsys):
    fit(verbose=verbose)
    assert capsys.readouterr().out.count("val_loss") == (5 if verbose else 0)


# --- the plot and the demonstration ---


def test_curves_are_drawn_2_by_2(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("agg")
    axes = tu.plot_training_curves(fit()[1], tmp_path / "curves.png")
    assert axes.shape == (2, 2) and (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [ax.get_title() for ax in axes.flat] == ["loss", "metric", "learning rate", "gradient norm"]


def test_curves_are_text_without_matplotlib(monkeypatch, capsys):
    found = importlib.util.find_spec
    names = tu.plot_training_curves.__globals__
    monkeypatch.setitem(names, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    tu.plot_training_curves(fit()[1])
    out = capsys.readouterr().out
    assert all(title in out for title in ("loss: ", "metric: ", "learning rate: ", "gradient norm: "))


def test_the_demonstration_shows_each_of_these(capsys):
    importlib.import_module("tinytorch.training_demo").main(["--epochs", "1"])
    out = capsys.readouterr().out
    assert all(name in out for name in ("train_step", "evaluate", "create_batches", "train_model", "Trainer", "Solver"))
