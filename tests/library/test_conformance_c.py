"""Training: one test for each promise about `core.training` and its module, in the order in which they are promised."""

import importlib.util
import io
import json
import logging
import math
import os
import pickle
import re
import sys
import time
import tracemalloc
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from tests.library.conformance import X, Y, batches, classifier, everything, require_same, require_signature
from tinytorch import checkpoint
from tinytorch.core import training
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import BinaryCrossEntropyLoss, CrossEntropyLoss, MeanSquaredError
from tinytorch.core.metrics import Accuracy, ConfusionMatrix, MeanAbsoluteError
from tinytorch.core.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import (
    CosineSchedule,
    EarlyStopping,
    ExponentialDecay,
    LinearWarmup,
    StepDecay,
    Trainer,
    clip_grad_norm,
    clip_gradients,
    learning_rate_schedule,
)
from tinytorch.random import default_generator, manual_seed
from tito.course import Course

MODULE = Course.find().module("07")


# --- the tasks of the module ---


def cells():
    """(first line, source) of each cell of the module."""
    parts = re.split(r"^(# %%.*)$", MODULE.text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2]))


def cell(grade_id):
    return next(source for marker, source in cells() if f'"grade_id": "{grade_id}"' in marker)


CORE = {
    "07-1": "class CosineSchedule",
    "07-2": "def clip_grad_norm",
    "07-3": "def train_step",
    "07-4": "def run_epoch",
    "07-5": "def accumulate",
    "07-6": "class EarlyStopping",
    "07-7": "def state_dict",
    "07-8": "def fit",
}


@pytest.mark.parametrize("task", CORE)
def test_core_task(task):
    assert CORE[task] in cell(task) and not MODULE.task(task).optional
    assert MODULE.task(task).points > 0


def test_no_other_task_has_points():
    assert {task.id for task in MODULE.tasks if task.points} == set(CORE)
    assert all(task.optional for task in MODULE.tasks if task.id not in CORE)


OPTIONAL = {
    "metrics beyond accuracy": ("ConfusionMatrix", "Precision", "Recall", "F1"),
    "warm-up": ("LinearWarmup",),
    "chaining": ("SequentialSchedule",),
    "mixed precision": ("LossScaler", "MixedPrecisionTrainer"),
    "callbacks": ("BestCheckpoint", "StopEarly", "CSVLogger", "JSONLinesLogger"),
}


@pytest.mark.parametrize("topic", OPTIONAL)
def test_optional_topic_is_built_and_costs_no_points(topic):
    exported = [source for _, source in cells() if "#| export" in source]
    for name in OPTIONAL[topic]:
        assert any(re.search(rf"^class {name}\b", source, re.M) for source in exported)
        assert not any(re.search(rf"^class {name}\b", cell(task), re.M) for task in CORE)


def test_there_is_an_optional_task_for_each_topic_but_chaining():
    sources = "".join(cell(task.id) for task in MODULE.tasks if task.optional)
    for part in ("class ConfusionMatrix", "def class_ratio", "class LinearWarmup", "def on_epoch_end", "LossScaler"):
        assert part in sources


def test_optional_task_of_the_fast_numerical_gradient():
    optional = [(module, task) for module in Course.find().modules for task in module.tasks if task.optional]
    sources = [re.search(rf'"{task.id}".*?(?=^# %%)', module.text, re.M | re.S)[0] for module, task in optional]
    assert any("def compute_numerical_gradient_fast" in source for source in sources)


@pytest.mark.parametrize("name", ["plot_training_curves", "Progress", "logger", "EpochResult"])
def test_given(name):
    assert hasattr(training, name)
    assert not any(re.search(rf"^(class|def) {name}\b|^{name} =", cell(task.id), re.M) for task in MODULE.tasks)


# --- schedules ---

SCHEDULES = {
    "CosineSchedule": CosineSchedule(0.5, 0.1, 4),
    "StepDecay": StepDecay(0.5, 2),
    "ExponentialDecay": ExponentialDecay(0.5, 0.9),
    "LinearWarmup": LinearWarmup(StepDecay(0.5, 2), 2),
}


def test_signature_of_cosine_schedule():
    require_signature(CosineSchedule, "(max_lr=0.1, min_lr=0.01, total_epochs=100)")


def test_signature_of_step_decay():
    require_signature(StepDecay, "(initial_lr, step_size, gamma=0.1)")


def test_signature_of_exponential_decay():
    require_signature(ExponentialDecay, "(initial_lr, gamma)")


def test_signature_of_linear_warmup():
    require_signature(LinearWarmup, "(schedule, warmup_epochs)")


def test_signature_of_learning_rate_schedule():
    require_signature(learning_rate_schedule, "(epoch, initial_lr=0.001, decay=0.95, decay_every=10)")


@pytest.mark.parametrize("epoch", [0, 1, 33, 50, 99])
def test_cosine_schedule_is_its_formula(epoch):
    expected = 0.01 + (0.1 - 0.01) * (1 + math.cos(math.pi * epoch / 100)) / 2
    assert CosineSchedule().get_lr(epoch) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("epoch", [100, 101, 150, 200, 10**9])
def test_cosine_schedule_clamps_to_min_lr(epoch):
    assert CosineSchedule().get_lr(epoch) == 0.01


def test_step_decay():
    rates = [StepDecay(2.0, 3).get_lr(epoch) for epoch in range(7)]
    assert rates == pytest.approx([2, 2, 2, 0.2, 0.2, 0.2, 0.02], rel=1e-14)


def test_exponential_decay():
    assert [ExponentialDecay(2.0, 0.5).get_lr(epoch) for epoch in range(4)] == [2, 1, 0.5, 0.25]


def test_linear_warmup_rises_linearly_to_its_schedule():
    rates = [LinearWarmup(StepDecay(1.0, 6), 4).get_lr(epoch) for epoch in range(7)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.1], rel=1e-14)


@pytest.mark.parametrize("epoch", [0, 9, 10, 25, 100])
def test_learning_rate_schedule_is_its_formula(epoch):
    assert learning_rate_schedule(epoch) == pytest.approx(0.001 * 0.95 ** (epoch // 10), rel=1e-14)
    assert learning_rate_schedule(epoch, 2.0, 0.5, 7) == pytest.approx(2.0 * 0.5 ** (epoch // 7), rel=1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_has_one_protocol(name):
    require_signature(SCHEDULES[name].get_lr, "(epoch)")
    trainer = classifier(scheduler=SCHEDULES[name])
    trainer.fit(batches(24), epochs=3, verbose=False)
    assert trainer.history["learning_rates"] == [SCHEDULES[name].get_lr(epoch) for epoch in range(3)]
    assert isinstance(SCHEDULES[name].get_lr(1), float)


# --- clipping ---


def with_gradients(*values):
    params = [Tensor(np.zeros(np.shape(v)), requires_grad=True) for v in values]
    for parameter, value in zip(params, values):
        parameter.grad = Tensor(value)
    return params


def test_signature_of_clip_grad_norm():
    require_signature(clip_grad_norm, "(parameters, max_norm=1.0)")


def test_clip_grad_norm_gives_the_norm_over_everything_before_clipping():
    params = with_gradients([[3.0], [4.0]], [12.0])
    norm = clip_grad_norm(params, 6.5)
    assert type(norm) is float and norm == pytest.approx(13)
    np.testing.assert_allclose(params[0].grad.data, [[1.5], [2.0]], rtol=1e-6)
    np.testing.assert_allclose(params[1].grad.data, [6.0], rtol=1e-6)


def test_clip_grad_norm_leaves_short_gradients_alone():
    params = with_gradients([0.3, 0.4])
    assert clip_grad_norm(params, 1.0) == pytest.approx(0.5)
    np.testing.assert_array_equal(params[0].grad.data, np.float32([0.3, 0.4]))


def test_clip_grad_norm_sums_in_float64():
    params = with_gradients([3e25, 4e25])
    assert clip_grad_norm(params, 1.0) == pytest.approx(5e25)
    np.testing.assert_allclose(params[0].grad.data, [0.6, 0.8], rtol=1e-6)
    g = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    assert clip_grad_norm(with_gradients(g), math.inf) == pytest.approx(math.fsum(np.float64(g) ** 2) ** 0.5, rel=1e-13)


def test_clip_grad_norm_is_in_place():
    params = with_gradients([3.0, 4.0])
    array = params[0].grad.data
    clip_grad_norm(params, 1.0)
    assert params[0].grad.data is array
    np.testing.assert_allclose(array, [0.6, 0.8], rtol=1e-6)


def test_clip_grad_norm_of_nothing_is_0():
    assert clip_grad_norm([]) == 0.0
    assert clip_grad_norm([Tensor([1.0], requires_grad=True)]) == 0.0


def test_clip_grad_norm_leaves_missing_gradients_out():
    params = [Tensor([1.0], requires_grad=True), *with_gradients([30.0, 40.0])]
    assert clip_grad_norm(iter(params)) == pytest.approx(50)
    assert params[0].grad is None


@pytest.mark.parametrize("wrap", [lambda g: g, lambda g: SimpleNamespace(data=g)], ids=["array", "data"])
def test_clip_grad_norm_takes_stand_ins(wrap):
    g = np.array([30.0, 40.0])
    assert clip_grad_norm([SimpleNamespace(grad=wrap(g))]) == pytest.approx(50)
    np.testing.assert_allclose(g, [0.6, 0.8])


@pytest.mark.parametrize(
    ("give", "word"),
    [
        (lambda model: model, "parameters()"),
        (lambda model: dict(model.named_parameters()), "'weight' is a str"),
        (lambda model: model.weight, "give a list"),
        (lambda model: [p.grad.data for p in model.parameters()], "is a ndarray"),
    ],
    ids=["model", "dictionary", "one parameter", "arrays"],
)
def test_clip_grad_norm_does_not_take_what_has_no_gradients_for_length_0(give, word):
    model = Linear(2, 1)
    model(Tensor([[30.0, 40.0]])).sum().backward()
    with pytest.raises(TypeError, match=re.escape(word)):
        clip_grad_norm(give(model))
    assert clip_grad_norm(model.parameters, math.inf) == clip_grad_norm(model.parameters(), math.inf) > 50


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_clip_grad_norm_that_is_not_finite_warns_and_changes_nothing(bad):
    params = with_gradients([bad, 1.0], [200.0])
    with pytest.warns(UserWarning, match=str(abs(bad))):
        norm = clip_grad_norm(params, 1.0)
    assert not math.isfinite(norm)
    np.testing.assert_array_equal(params[0].grad.data, np.float32([bad, 1.0]))
    np.testing.assert_array_equal(params[1].grad.data, [200.0])


def test_signature_of_clip_gradients():
    require_signature(clip_gradients, "(grads, max_norm=5.0)")


def test_clip_gradients_is_pure():
    grads = {"w": np.array([30.0, 40.0]), "b": np.array([0.0])}
    clipped, norm = clip_gradients(grads)
    assert norm == pytest.approx(50) and list(clipped) == ["w", "b"]
    np.testing.assert_allclose(clipped["w"], [3.0, 4.0])
    np.testing.assert_array_equal(grads["w"], [30.0, 40.0])
    assert not np.shares_memory(clipped["b"], grads["b"])


def test_clip_gradients_and_clip_grad_norm_have_one_norm():
    rng = np.random.default_rng(0)
    grads = {str(i): rng.normal(size=100).astype(np.float32) for i in range(3)}
    params = with_gradients(*grads.values())
    clipped, norm = clip_gradients(grads, 0.7)
    assert norm == clip_grad_norm(params, 0.7)
    for got, parameter in zip(clipped.values(), params):
        np.testing.assert_array_equal(got, parameter.grad.data)


# --- early stopping ---


def test_signature_of_early_stopping():
    require_signature(EarlyStopping, "(patience=10, min_delta=1e-4)")
    require_signature(EarlyStopping().__call__, "(val_loss, params=None)")
    require_signature(EarlyStopping().get_best_params, "()")


def test_early_stopping_improves_below_best_minus_min_delta():
    stop = EarlyStopping(patience=1, min_delta=0.25)
    assert [stop(loss) for loss in (1.0, 0.5, 0.125)] == [False] * 3
    assert stop(-0.125) is True, "0.125 - 0.25 is not below itself"


def test_early_stopping_waits_for_patience_epochs_in_a_row():
    stop = EarlyStopping(patience=3, min_delta=0)
    assert [stop(x) for x in (1.0, 2.0, 2.0, 0.5, 2.0, 2.0, 2.0)] == [False] * 6 + [True]


def test_early_stopping_waits_10_epochs():
    stop = EarlyStopping()
    assert [stop(1.0 - 0.9e-4 * (i > 0)) for i in range(11)] == [False] * 10 + [True]


def test_early_stopping_keeps_a_copy_of_the_best():
    stop, params = EarlyStopping(), {"w": np.array([1.0])}
    assert stop.get_best_params() is None
    stop(1.0, params)
    params["w"] += 1
    stop(2.0, params)
    np.testing.assert_array_equal(stop.get_best_params()["w"], [1.0])
    stop.get_best_params()["w"][:] = 7
    np.testing.assert_array_equal(stop.get_best_params()["w"], [1.0])


def test_early_stopping_counts_nan_as_no_improvement():
    stop = EarlyStopping(patience=2)
    assert [stop(math.nan), stop(1.0), stop(math.nan), stop(math.nan)] == [False, False, False, True]


# --- the Trainer ---


def parts(features=6, classes=3):
    model = Sequential(Linear(features, classes))
    return model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss()


def test_signature_of_trainer():
    text = "(model, optimizer, loss_fn=None, scheduler=None, grad_clip_norm=None, *, metrics=None, loss_function=None, "
    require_signature(Trainer, text + "callbacks=(), nonfinite='warn')")


@pytest.mark.parametrize("spelling", ["loss_fn", "loss_function"])
def test_trainer_takes_both_spellings_of_the_loss(spelling):
    model, optimizer, loss = parts()
    trainer = Trainer(model, optimizer, **{spelling: loss})
    assert trainer.loss_fn is loss and trainer.loss_function is loss
    trainer.train_epoch(batches(12))


@pytest.mark.parametrize("kind", [list, tuple])
def test_trainer_takes_metrics_as_fourth_positional_argument(kind):
    trainer = Trainer(*parts(), kind([Accuracy()]))
    assert trainer.scheduler is None and [type(metric) for metric in trainer.metrics] == [Accuracy]
    assert Trainer(*parts(), StepDecay(0.1, 1)).metrics == []


def test_trainer_has_its_parts_as_attributes():
    model, optimizer, loss = parts()
    schedule, metric = StepDecay(0.1, 1), Accuracy()
    trainer = Trainer(model, optimizer, loss, schedule, 2.0, metrics=[metric])
    assert (trainer.model, trainer.optimizer, trainer.loss_fn, trainer.scheduler) == (model, optimizer, loss, schedule)
    assert trainer.grad_clip_norm == 2.0 and list(trainer.metrics) == [metric]


@pytest.mark.parametrize(("one", "other"), [("epoch", "current_epoch"), ("step", "current_step")])
def test_trainer_has_counters_under_both_names(one, other):
    trainer = Trainer(*parts())
    setattr(trainer, one, 5)
    assert getattr(trainer, other) == 5
    setattr(trainer, other, 7)
    assert getattr(trainer, one) == 7


def test_trainer_replaces_the_loss_under_both_names():
    trainer = Trainer(*parts())
    trainer.loss_function = replaced = CrossEntropyLoss()
    assert trainer.loss_fn is replaced


# --- train_epoch ---


def test_signature_of_train_epoch():
    require_signature(Trainer(*parts()).train_epoch, "(dataloader, accumulation_steps=1)")


class Logged:
    """The parts of a training step, each of which says when it is used and then does its work."""

    def __init__(self):
        self.log = []
        self.model, self.optimizer, self.loss = parts()

    def forward(self, x):
        assert all(p.grad is None for p in self.model.parameters())
        self.log.append("forward")
        return self.model(x)

    def parameters(self):
        return self.model.parameters()

    def zero_grad(self):
        self.log.append("zero grad")
        self.optimizer.zero_grad()

    def step(self):
        self.log.append("step")
        self.optimizer.step()

    def loss_of(self, predictions, targets):
        self.log.append("loss")
        loss = self.loss(predictions, targets)
        return SimpleNamespace(data=loss.data, backward=lambda: (self.log.append("backward"), loss.backward()))


def test_train_epoch_does_each_thing_in_its_order(monkeypatch):
    one = Logged()
    monkeypatch.setattr(training, "clip_grad_norm", lambda *given: (one.log.append("clip"), clip_grad_norm(*given))[1])
    Trainer(one, one, one.loss_of, grad_clip_norm=1.0).train_epoch(batches(24))
    assert one.log == ["zero grad", "forward", "loss", "backward", "clip", "step"] * 2


def test_train_epoch_takes_real_steps():
    model, optimizer, loss = parts()
    w, b = (p.data.astype(np.float64) for p in model.parameters())
    for x, y in batches(24):
        scores = x @ w.T + b
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        g = (shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[y]) / len(x)
        w, b = w - 0.1 * g.T @ x, b - 0.1 * g.sum(axis=0)
    Trainer(model, optimizer, loss).train_epoch(batches(24))
    for got, expected in zip(model.parameters(), (w, b)):
        np.testing.assert_allclose(got.data, expected, atol=1e-6)


def test_train_epoch_clips():
    limited, free = (classifier(optimizer=SGD, lr=1.0, grad_clip_norm=limit) for limit in (1e-3, None))
    for trainer in (limited, free):
        before = trainer.model.state_dict()
        trainer.train_epoch(batches(48))
        moved = sum(np.square(v - before[k]).sum() for k, v in trainer.model.state_dict().items()) ** 0.5
        assert (moved < 1.1e-3) == (trainer is limited)


@pytest.mark.parametrize(("sizes", "k"), [((12,), 2), ((12,), 4), ((5, 11, 2, 17, 13), 3), ((7,), 100)])
def test_train_epoch_of_micro_batches_equals_one_big_batch(sizes, k):
    many, one = classifier(lr=1e-3), classifier(lr=1e-3)
    small = batches(*sizes)
    big = [tuple(map(np.concatenate, zip(*small[i : i + k]))) for i in range(0, len(small), k)]
    results = many.train_epoch((batch for batch in small), accumulation_steps=k), one.train_epoch(big)
    assert many.updates == one.updates == len(big)
    assert results[0] == pytest.approx(results[1], abs=1e-6)
    for name, value in one.model.state_dict().items():
        np.testing.assert_allclose(many.model.state_dict()[name], value, rtol=0, atol=1e-6, err_msg=name)


def test_train_epoch_sets_the_rate_before_the_first_step():
    class Watched(SGD):
        def step(self):
            rates.append(self.lr)
            super().step()

    rates, (model, _, loss) = [], parts()
    trainer = Trainer(model, Watched(model.parameters(), lr=7.0), loss, StepDecay(0.5, 1, 0.5))
    trainer.train_epoch(batches(24))
    trainer.train_epoch(batches(24))
    assert rates == [0.5, 0.5, 0.25, 0.25]


def test_train_epoch_returns_a_float_that_also_maps():
    result = classifier().train_epoch(batches(10))
    assert isinstance(result, float) and result == result["loss"]
    assert 0 <= result["accuracy"] <= 1 and dict(result)["loss"] == float(result)
    assert float(f"{result:.4f}") == pytest.approx(result["loss"], abs=1e-4)


def test_train_epoch_weighs_batches_by_their_samples():
    trainer = classifier(optimizer=SGD, lr=0.0)
    loss, guesses = CrossEntropyLoss()(trainer.model(Tensor(X)), Y).item(), trainer.model(Tensor(X)).numpy().argmax(1)
    result = trainer.train_epoch(batches(1, 40, 7))
    assert result == pytest.approx(loss, abs=1e-6) and result["accuracy"] == pytest.approx(np.mean(guesses == Y))


@pytest.mark.parametrize("empty", [[], (), iter([])], ids=["list", "tuple", "iterator"])
@pytest.mark.parametrize("use", ["train_epoch", "evaluate", "validate_epoch", "fit"])
def test_an_empty_loader_is_a_clear_error(empty, use):
    trainer = classifier()
    with pytest.raises(ValueError, match="empty"):
        getattr(trainer, use)(empty, **({"epochs": 1} if use == "fit" else {}))
    assert trainer.epoch == 0 and trainer.history["epoch"] == []


# --- evaluate and validate_epoch ---


def test_signature_of_evaluate_and_validate_epoch():
    require_signature(Trainer(*parts()).evaluate, "(dataloader)")
    require_signature(Trainer(*parts()).validate_epoch, "(dataloader)")


def test_evaluate_is_a_pair_and_validate_epoch_a_mapping():
    trainer = classifier()
    loss, accuracy = trainer.evaluate(batches(11))
    result = trainer.validate_epoch(batches(11))
    assert (result["loss"], result["accuracy"]) == (loss, accuracy)
    assert set(result) >= {"loss", "accuracy"}


def test_evaluate_weighs_batches_by_their_samples():
    trainer = classifier()
    guesses = trainer.model(Tensor(X))
    loss, accuracy = trainer.evaluate(batches(1, 40, 7))
    assert loss == pytest.approx(CrossEntropyLoss()(guesses, Y).item(), abs=1e-6)
    assert accuracy == pytest.approx(np.mean(guesses.numpy().argmax(axis=1) == Y), rel=1e-12)


@pytest.mark.parametrize("before", [True, False])
def test_evaluate_is_in_use_and_restores_the_mode(before):
    trainer = classifier(dropout=0.5)
    trainer.model.train(before)
    trainer.model[0].training = not before  # one layer was switched alone
    modes = [module.training for module in trainer.model.modules()]
    assert trainer.evaluate(batches(48)) == trainer.evaluate(batches(48)), "dropout was on"
    assert [module.training for module in trainer.model.modules()] == modes
    with pytest.raises(ValueError):
        trainer.evaluate([(X, Y[:3])])
    assert [module.training for module in trainer.model.modules()] == modes, "after an error"


def test_evaluate_keeps_no_graph_and_no_gradient():
    seen = []
    trainer = classifier(metrics=[lambda guesses, targets: seen.append(guesses) or 0.0])
    trainer.evaluate(batches(48))
    assert not seen[0].requires_grad and seen[0].receipt is None
    assert all(p.grad is None and p.requires_grad for p in trainer.model.parameters())


def test_evaluate_changes_nothing():
    trainer = classifier(dropout=0.5)
    trainer.train_epoch(batches(12))
    trainer.evaluate(batches(12))
    before = everything(trainer)
    trainer.evaluate(batches(12))
    require_same(everything(trainer), before)


def test_evaluate_has_an_accuracy_for_classes():
    model = Sequential(Linear(6, 1))
    binary = Trainer(model, SGD(model.parameters()), BinaryCrossEntropyLoss())
    y = (X[:, :1] > 0).astype(np.float32)
    guesses = model(Tensor(X)).numpy() > 0
    assert binary.evaluate([(X, y)])[1] == pytest.approx(np.mean(guesses == (y == 1)))
    trainer = classifier()
    one_hot = np.eye(3, dtype=np.float32)[Y]
    assert trainer.evaluate([(X, one_hot)])[1] == trainer.evaluate([(X, Y)])[1]


@pytest.mark.parametrize("targets", [X[:, :2], np.arange(48).reshape(48, 1)], ids=["floats", "whole numbers"])
def test_evaluate_has_no_accuracy_for_numbers(targets):
    model = Sequential(Linear(6, targets.shape[1]))
    trainer = Trainer(model, SGD(model.parameters()), MeanSquaredError())
    loss, accuracy = trainer.evaluate([(X, targets)])
    assert math.isfinite(loss) and math.isnan(accuracy)


# --- what Trainer accepts ---


class Values:
    """A parameter, a gradient or a result with nothing but its array."""

    def __init__(self, data):
        self.data, self.grad = data, None


class HandMade:
    """A linear model without Module, Tensor and graph: `forward`, `parameters`, and a plain `training`."""

    def __init__(self, seed=0):
        self.training, self.w = True, Values(np.random.default_rng(seed).normal(size=(6, 1)))

    def forward(self, x):
        self.modes = getattr(self, "modes", []) + [self.training]
        return Values(x.data @ self.w.data)

    def parameters(self):
        return [self.w]

    def squared_error(self, predictions, targets):
        difference, w, x = predictions.data - targets.data, self.w, self.x

        def backward():
            w.grad = Values(2 * x.T @ difference / len(x))

        loss = Values(np.square(difference).mean())
        loss.backward = backward
        return loss


class HandStep:
    def __init__(self, params):
        self.params, self.lr = params, 0.1

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p in self.params:
            p.data -= self.lr * p.grad.data


def hand_made(seed=0, **options):
    model = HandMade(seed)
    model.x = X.astype(np.float64)
    return Trainer(model, HandStep(model.parameters()), model.squared_error, **options)


HAND_DATA = [(Values(X.astype(np.float64)), Values(X[:, :1] * 2.0))]


@pytest.mark.parametrize("limit", [None, 0.5])
def test_trainer_accepts_stand_ins_with_data_and_grad_data(limit, tmp_path):
    trainer = hand_made(grad_clip_norm=limit)
    history = trainer.fit(HAND_DATA, HAND_DATA, epochs=30, verbose=False)
    assert history["val_loss"][-1] < 0.5 * history["train_loss"][0]
    assert trainer.model.modes[:4] == [True, False, True, False] and trainer.model.training is True
    trainer.save_checkpoint(tmp_path / "c")
    other = hand_made(seed=1)
    kept = other.model.w.data
    other.load_checkpoint(tmp_path / "c")
    assert other.model.w.data is kept
    np.testing.assert_array_equal(kept, trainer.model.w.data)


def test_trainer_accepts_a_model_with_forward_alone():
    model, optimizer, loss = parts()
    Trainer(SimpleNamespace(forward=model.forward), optimizer, loss).fit(batches(12), epochs=1, verbose=False)


def test_trainer_calls_a_model_that_can_be_called():
    class Called(Sequential):
        def __call__(self, x):
            calls.append(len(x.data))
            return super().__call__(x)

    calls, model = [], Called(Linear(6, 3))
    Trainer(model, SGD(model.parameters()), CrossEntropyLoss()).train_epoch(batches(24))
    assert calls == [24, 24]


@pytest.mark.parametrize("use", ["clip", "save", "accumulate"])
def test_trainer_says_where_parameters_are_missing(use, tmp_path):
    model, optimizer, loss = parts()
    trainer = Trainer(
        SimpleNamespace(forward=model.forward), optimizer, loss, grad_clip_norm=1 if use == "clip" else None
    )
    with pytest.raises(TypeError, match="parameters"):
        if use == "save":
            trainer.save_checkpoint(tmp_path / "c")
        trainer.train_epoch(batches(12), accumulation_steps=2 if use == "accumulate" else 1)


def test_trainer_switches_a_model_with_train_and_eval():
    class Switched(Sequential):
        def train(self, mode=True):
            modes.append(mode)
            return super().train(mode)

    modes, model = [], Switched(Linear(6, 3))
    model.training = False
    Trainer(model, SGD(model.parameters()), CrossEntropyLoss()).fit(batches(12), batches(12), epochs=1, verbose=False)
    assert modes == [True, False]


class OwnSwitch:
    """A model with `train()` and `eval()`, and without an attribute `training`."""

    def __init__(self):
        self.inside, self.mode, self.seen = Sequential(Linear(6, 3)), "train", []

    def forward(self, x):
        self.seen.append(self.mode)
        return self.inside(x)

    def parameters(self):
        return self.inside.parameters()

    def train(self):
        self.mode = "train"

    def eval(self):
        self.mode = "eval"


def test_trainer_switches_a_model_that_has_nothing_but_train_and_eval(tmp_path):
    model = OwnSwitch()
    trainer = Trainer(model, SGD(model.parameters()), CrossEntropyLoss())
    trainer.fit(batches(48), batches(48), epochs=2, verbose=False)
    with pytest.raises(ValueError):
        trainer.evaluate([(X, Y + 3)])
    assert model.seen == ["train", "eval", "train", "eval", "eval"] and model.mode == "train" and trainer.training_mode
    trainer.training_mode = False
    trainer.save_checkpoint(tmp_path / "c")
    trainer.evaluate(batches(48))
    assert model.mode == "eval" and not trainer.training_mode
    trainer.train_epoch(batches(48))
    assert model.seen[-1] == "train"
    trainer.load_checkpoint(tmp_path / "c")
    assert model.mode == "eval" and not hasattr(model, "training")


@pytest.mark.parametrize("form", ["forward", "call", "function"])
def test_trainer_accepts_any_form_of_loss(form):
    loss = CrossEntropyLoss()
    forms = {
        "forward": SimpleNamespace(forward=loss.forward),
        "call": type("Called", (), {"__call__": lambda self, p, t: loss(p, t)})(),
        "function": lambda p, t: loss(p, t),
    }
    assert classifier(loss=forms[form]).train_epoch(batches(12)) == classifier().train_epoch(batches(12))


def test_trainer_accepts_an_optimizer_with_step_and_zero_grad():
    model, optimizer, loss = parts()
    small = SimpleNamespace(step=optimizer.step, zero_grad=optimizer.zero_grad)
    trainer = Trainer(model, small, loss)
    assert trainer.train_epoch(batches(12)) > trainer.train_epoch(batches(12))
    assert math.isnan(trainer.history["learning_rates"][0])


@pytest.mark.parametrize("form", ["list", "tuple", "generator", "iterator", "zip", "lists", "tensors", "object"])
def test_trainer_accepts_any_iterable_of_pairs(form):
    class Loader:
        def __iter__(self):
            return iter(batches(12))

    forms = {
        "list": batches(12),
        "tuple": tuple(batches(12)),
        "generator": (pair for pair in batches(12)),
        "iterator": iter(batches(12)),
        "zip": zip(*zip(*batches(12))),
        "lists": [[x.tolist(), y.tolist()] for x, y in batches(12)],
        "tensors": [(Tensor(x), Tensor(y)) for x, y in batches(12)],
        "object": Loader(),
    }
    result = classifier().train_epoch(forms[form])
    expected = classifier().train_epoch(batches(12))
    assert (result["loss"], result["accuracy"]) == (expected["loss"], expected["accuracy"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": object()}, "forward"),
        ({"optimizer": object()}, "step"),
        ({"optimizer": SimpleNamespace(step=lambda: None)}, "zero_grad"),
        ({"loss_fn": object()}, "loss_fn"),
        ({"scheduler": object()}, "get_lr"),
        ({"callbacks": [object()]}, "on_epoch_end"),
        ({"model": Linear}, r"model is the class Linear; give an object of it: Linear\("),
        ({"optimizer": SGD}, "optimizer is the class SGD"),
        ({"loss_fn": CrossEntropyLoss}, "loss_fn is the class CrossEntropyLoss"),
        ({"scheduler": CosineSchedule}, "scheduler is the class CosineSchedule"),
        ({"metrics": [Accuracy]}, "metric is the class Accuracy"),
        ({"metrics": Accuracy()}, "metrics is .*Accuracy.*give a list"),
        ({"metrics": ["accuracy"]}, "metric is 'accuracy'"),
        ({"callbacks": training.PlotAtEnd()}, "callbacks is .*PlotAtEnd.*give a list"),
    ],
)
def test_trainer_names_the_part_that_cannot_be_used(change, word):
    model, optimizer, loss = parts()
    with pytest.raises(TypeError, match=word):
        Trainer(**{"model": model, "optimizer": optimizer, "loss_fn": loss} | change)


@pytest.mark.parametrize("limit", [0, -1.0, math.nan, "1"])
def test_trainer_names_a_limit_that_cannot_be_used(limit):
    with pytest.raises(ValueError, match=f"grad_clip_norm is {limit!r}"):
        Trainer(*parts(), grad_clip_norm=limit)


def test_trainer_names_an_optimizer_of_another_model():
    model, _, loss = parts()
    trainer = Trainer(model, SGD(Linear(6, 3).parameters()), loss)
    with pytest.raises(ValueError, match="SGD, has none of the parameters of this Sequential"):
        trainer.train_epoch(batches(24))
    trainer.optimizer = SGD([model[0].weight, *Linear(6, 3).parameters()])  # some are enough
    trainer.train_epoch(batches(24))


def test_a_schedule_must_have_get_lr_and_give_a_rate():
    for make in (lambda: LinearWarmup(0.1, 3), lambda: training.SequentialSchedule([StepDecay, StepDecay], [3])):
        with pytest.raises(TypeError, match=r"no get_lr|is the class StepDecay"):
            make()
    with pytest.raises(ValueError, match="decay_every is 0"):
        learning_rate_schedule(3, decay_every=0)
    trainer = classifier(scheduler=SimpleNamespace(get_lr=lambda epoch: None))
    with pytest.raises(TypeError, match=r"get_lr\(0\) gave None"):
        trainer.train_epoch(batches(24))


@pytest.mark.parametrize(
    ("loader", "error", "words"),
    [
        (X, ValueError, r"ndarray of \(6,\); for arrays X and y, try \[\(X, y\)\]"),
        (X[:, :2], ValueError, r"ndarray of \(2,\)"),
        ((X, Y), ValueError, r"ndarray of \(48, 6\)"),
        ([X], ValueError, r"ndarray of \(48, 6\)"),
        ([(X, Y, Y)], ValueError, "a tuple of 3 parts"),
        ([{"x": X, "y": Y}], ValueError, "a dict of 2 parts"),
        ([1, 2], ValueError, "a int"),
        (None, TypeError, "None is not a loader"),
        (7, TypeError, "7 is not a loader"),
    ],
    ids=["X", "X of two columns", "(X, y)", "[X]", "triples", "dictionaries", "numbers", "None", "a number"],
)
@pytest.mark.parametrize("use", ["train_epoch", "evaluate"])
def test_what_gives_no_pairs_is_named(use, loader, error, words):
    trainer = classifier()
    with pytest.raises(error, match=words):
        getattr(trainer, use)(loader)
    assert trainer.step == 0 and trainer.history["epoch"] == []


@pytest.mark.parametrize("steps", [0, -1, 1.5, "2", None])
def test_accumulation_steps_are_a_whole_number(steps):
    with pytest.raises(ValueError, match=f"accumulation_steps is {steps!r}"):
        classifier().train_epoch(batches(24), steps)


# --- fit ---


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"epochs": 2.5}, ValueError, "epochs is 2.5"),
        ({"early_stopping": 5}, TypeError, "early_stopping is 5"),
        ({"early_stopping": EarlyStopping}, TypeError, "early_stopping is the class EarlyStopping"),
        ({"save_best": True, "checkpoint_path": None}, TypeError, "NoneType"),
        ({"save_best": True, "checkpoint_path": "/"}, ValueError, "/ is a folder"),
        ({"save_best": True, "checkpoint_path": f"{__file__}/best"}, OSError, "a file is in the way"),
    ],
    ids=str,
)
def test_fit_names_what_cannot_be_before_the_first_step(options, error, words):
    trainer = classifier()
    with pytest.raises(error, match=words):
        trainer.fit(batches(24), verbose=False, **options)
    assert trainer.step == 0


def test_signature_of_fit():
    text = "(train, val=None, epochs=10, verbose=True, save_best=False, checkpoint_path='best_model.pkl', "
    require_signature(Trainer(*parts()).fit, text + "early_stopping=None)")


def test_fit_returns_the_history():
    trainer = classifier()
    history = trainer.fit(batches(24), epochs=2, verbose=False)
    assert history is trainer.history and len(history["train_loss"]) == 2


def test_fit_trains_10_epochs():
    assert len(classifier().fit(batches(48), verbose=False)["epoch"]) == 10


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.skipif(importlib.util.find_spec("tqdm") is None, reason="tqdm is not installed")
def test_fit_shows_a_bar_with_loss_metrics_and_rate(monkeypatch, capsys):
    class Slow(list):
        def __iter__(self):
            for batch in super().__iter__():
                time.sleep(0.06)  # a bar is drawn ten times a second
                yield batch

    monkeypatch.setattr(sys, "stderr", Terminal())
    classifier(metrics=[MeanAbsoluteError()], loss=lambda p, t: MeanSquaredError()(p, t)).fit(
        Slow([(x, np.eye(3)[y]) for x, y in batches(12)]), epochs=1
    )
    drawn = sys.stderr.getvalue()
    for word in ("loss=", "accuracy=", "mean_absolute_error=", "rate=0.01", "epoch 1/1"):
        assert word in drawn
    assert "train_loss" in capsys.readouterr().out


def test_fit_prints_a_plain_line_an_epoch_where_nobody_looks(capsys):
    classifier().fit(batches(24), batches(24), epochs=2)
    out, err = capsys.readouterr()
    assert [line.split()[:3] for line in out.splitlines()] == [["epoch", f"{k}/2", "train_loss"] for k in (1, 2)]
    assert "val_loss" in out and "\r" not in out + err


def test_fit_prints_nothing_when_it_is_not_verbose(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    classifier().fit(batches(24), batches(24), epochs=2, verbose=False)
    assert capsys.readouterr().out == "" and sys.stderr.getvalue() == ""


def test_fit_logs_an_epoch(caplog):
    with caplog.at_level(logging.INFO, logger="tinytorch.training"):
        classifier().fit(batches(24), epochs=2, verbose=False)
    assert [record.name for record in caplog.records] == ["tinytorch.training"] * 2
    assert "train_loss" in caplog.text


def test_fit_saves_the_best_under_its_default_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer, val = classifier(lr=0.1), batches(24, y=np.roll(Y, 1))  # the better the model, the worse on wrong labels
    history = trainer.fit(batches(12), val, epochs=8, verbose=False, save_best=True)
    assert os.listdir() == ["best_model.pkl"] and np.argmin(history["val_loss"]) < 7
    best = classifier(seed=1)
    best.load_checkpoint("best_model.pkl")
    assert best.evaluate(val)[0] == min(history["val_loss"])
    assert best.epoch == np.argmin(history["val_loss"]) + 1


def test_fit_saves_nothing_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier().fit(batches(24), batches(24), epochs=1, verbose=False)
    assert os.listdir() == []


def test_fit_stops_early():
    trainer, stop = classifier(optimizer=SGD, lr=0.0), EarlyStopping(patience=2)
    history = trainer.fit(batches(24), batches(24), epochs=50, verbose=False, early_stopping=stop)
    assert len(history["epoch"]) == 3
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(stop.get_best_params()[name], value)


def test_fit_leaves_a_usable_model_and_history_after_ctrl_c(capsys):
    def interrupted():
        yield from batches(12)[: 4 if trainer.epoch < 2 else 2]
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    trainer = classifier()
    try:
        trainer.fit(interrupted, batches(24), epochs=9, verbose=False)
    except KeyboardInterrupt:  # which would end the whole run of tests
        raise AssertionError("fit did not return") from None
    history = trainer.history
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(history, 2)
    assert "interrupted" in capsys.readouterr().err
    trainer.fit(batches(12), batches(24), epochs=1, verbose=False)
    assert history["epoch"] == [0, 1, 2] and math.isfinite(history["val_loss"][-1])


# --- history ---

ALWAYS = ("epoch", "train_loss", "val_loss", "eval_loss", "train_metric", "val_metric", "learning_rates", "grad_norms")


@pytest.mark.parametrize("name", ALWAYS)
@pytest.mark.parametrize("val", [None, batches(24)], ids=["without val", "with val"])
def test_history_has_a_list(name, val):
    trainer = classifier()
    assert trainer.history[name] == []
    trainer.fit(batches(24), val, epochs=2, verbose=False)
    assert isinstance(trainer.history[name], list) and len(trainer.history[name]) == 2


def test_history_counts_epochs_from_0_and_goes_on():
    trainer = classifier()
    trainer.fit(batches(24), epochs=2, verbose=False)
    trainer.train_epoch(batches(24))
    assert trainer.history["epoch"] == [0, 1, 2]


@pytest.mark.parametrize("part", ["train", "val"])
def test_history_has_each_metric_by_name(part):
    def half(guesses, targets):
        return 0.5

    trainer = classifier(metrics=[half, Accuracy()])
    history = trainer.fit(batches(24), batches(24), epochs=1, verbose=False)
    assert history[f"{part}_half"] == history[f"{part}_metric"] == [0.5]
    assert 0 <= history[f"{part}_accuracy"][0] <= 1


def test_history_has_the_rates_and_norms():
    trainer = classifier(scheduler=StepDecay(0.5, 1), grad_clip_norm=math.inf)
    norms = []
    trainer.callbacks.append(
        SimpleNamespace(on_batch_end=lambda t: norms.append(clip_grad_norm(t.parameters(), math.inf)))
    )
    history = trainer.fit(batches(24), epochs=2, verbose=False)
    assert history["learning_rates"] == pytest.approx([0.5, 0.05])
    assert history["grad_norms"] == pytest.approx(np.mean(np.reshape(norms, (2, 2)), axis=1), rel=1e-6)


# --- counters ---


def test_counters_count_epochs_batches_and_updates():
    trainer = classifier()
    assert (trainer.epoch, trainer.step, trainer.updates) == (0, 0, 0)
    trainer.fit(batches(12), epochs=2, verbose=False)
    assert (trainer.epoch, trainer.step, trainer.updates) == (2, 8, 8)
    trainer.train_epoch(batches(10), accumulation_steps=2)
    assert (trainer.current_epoch, trainer.current_step, trainer.updates) == (3, 13, 11)


def test_training_mode_is_that_of_the_model():
    trainer = classifier()
    assert trainer.training_mode is True
    trainer.model.eval()
    assert trainer.training_mode is False
    trainer.training_mode = True
    assert all(module.training for module in trainer.model.modules())


# --- checkpoints ---


def test_signature_of_the_checkpoint_methods():
    require_signature(Trainer(*parts()).save_checkpoint, "(path)")
    require_signature(Trainer(*parts()).load_checkpoint, "(path)")


@pytest.mark.parametrize("name", ["best_model.pkl", "c", "c.ckpt", "c.npz", "c.safetensors", "a b.é", ".hidden"])
def test_a_checkpoint_is_one_regular_file_exactly_at_its_path(tmp_path, name):
    trainer = classifier()
    trainer.save_checkpoint(tmp_path / "new" / "folders" / name)
    trainer.save_checkpoint(str(tmp_path / "new" / "folders" / name))
    assert os.listdir(tmp_path / "new" / "folders") == [name] and (tmp_path / "new" / "folders" / name).is_file()
    classifier(seed=1).load_checkpoint(tmp_path / "new" / "folders" / name)


def test_a_checkpoint_is_never_pickle(tmp_path, monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    trainer = classifier()
    trainer.train_epoch(batches(24))
    trainer.save_checkpoint(tmp_path / "best_model.pkl")
    classifier(seed=1).load_checkpoint(tmp_path / "best_model.pkl")


def test_a_checkpoint_is_a_safetensors_file_with_the_weights(tmp_path):
    from safetensors.numpy import load_file

    trainer = classifier()
    trainer.save_checkpoint(tmp_path / "c")
    arrays = load_file(tmp_path / "c")
    assert any(np.array_equal(trainer.model[0].weight.data, array) for array in arrays.values())


@pytest.mark.parametrize("optimizer", [SGD, RMSprop, Adam, AdamW, Adagrad])
def test_a_checkpoint_holds_all_that_a_run_consists_of(optimizer, tmp_path):
    def fresh(seed):
        return classifier(
            seed, optimizer, dropout=0.3, scheduler=LinearWarmup(StepDecay(0.02, 2), 2), grad_clip_norm=1.0
        )

    trainer = fresh(0)
    trainer.fit(batches(10), batches(24), epochs=2, verbose=False, early_stopping=EarlyStopping())
    trainer.model.eval()
    trainer.save_checkpoint(tmp_path / "c")
    saved = everything(trainer)
    other = fresh(1)
    other.fit(batches(24), epochs=1, verbose=False, early_stopping=EarlyStopping())
    other.load_checkpoint(tmp_path / "c")
    require_same(everything(other), saved)


def test_a_checkpoint_holds_the_generators_of_layers_and_loaders(tmp_path):
    class Shuffled:
        def __init__(self, seed):
            self.rng = np.random.default_rng(seed)

        def __iter__(self):
            return ((X[rows], Y[rows]) for rows in np.array_split(self.rng.permutation(len(X)), 3))

        def state_dict(self):
            return {"rng": self.rng.bit_generator.state}

        def load_state_dict(self, state):
            self.rng.bit_generator.state = state["rng"]

    def fresh(seed):
        trainer, loader = classifier(seed), Shuffled(seed)
        trainer.model[2].p, trainer.model[2].rng = 0.4, np.random.default_rng(seed)
        return trainer, loader

    straight, loader = fresh(0)
    straight.fit(loader, epochs=2, verbose=False)
    straight.save_checkpoint(tmp_path / "c")
    straight.fit(loader, epochs=2, verbose=False)
    expected = everything(straight)
    resumed, loader = fresh(5)
    resumed.load_checkpoint(tmp_path / "c")
    resumed.fit(loader, epochs=2, verbose=False)
    require_same(everything(resumed), expected)


def test_resuming_is_bit_exact(tmp_path):
    def fresh(seed):
        return classifier(seed, dropout=0.3, scheduler=CosineSchedule(0.02, 0.001, 4), grad_clip_norm=1.0)

    def fit(trainer, epochs):
        def shuffled():
            return ((X[rows], Y[rows]) for rows in np.array_split(default_generator.permutation(len(X)), 5))

        trainer.fit(shuffled, batches(24), epochs=epochs, verbose=False, accumulation_steps=2)

    straight = fresh(0)
    fit(straight, 4)
    expected = everything(straight)
    cut = fresh(0)
    fit(cut, 2)
    cut.save_checkpoint(tmp_path / "c")
    resumed = fresh(9)
    resumed.load_checkpoint(tmp_path / "c")
    fit(resumed, 2)
    require_same(everything(resumed), expected)


def test_a_checkpoint_does_not_touch_the_generator_of_numpy(tmp_path):
    np.random.seed(3)
    before = np.random.get_state()[1:3]
    trainer = classifier(dropout=0.5)
    trainer.fit(batches(12), epochs=1, verbose=False)
    trainer.save_checkpoint(tmp_path / "c")
    trainer.load_checkpoint(tmp_path / "c")
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert np.random.get_state()[2] == before[1]


def test_a_checkpoint_saves_stand_ins_by_position(tmp_path):
    hand_made().save_checkpoint(tmp_path / "c")
    tensors, _ = checkpoint.load(tmp_path / "c")
    assert any(name.endswith(".0") and np.array_equal(w, hand_made().model.w.data) for name, w in tensors.items())


def test_a_checkpoint_replaces_the_old_one_at_once_or_not_at_all(tmp_path, monkeypatch):
    trainer = classifier()
    trainer.save_checkpoint(tmp_path / "c")
    before = (tmp_path / "c").read_bytes()
    trainer.train_epoch(batches(24))

    def broken(*given):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError):
        trainer.save_checkpoint(tmp_path / "c")
    assert os.listdir(tmp_path) == ["c"] and (tmp_path / "c").read_bytes() == before


def test_a_checkpoint_that_is_cut_short_changes_nothing(tmp_path):
    trainer = classifier()
    trainer.save_checkpoint(tmp_path / "cut")
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-1])
    trainer.train_epoch(batches(24))
    before = everything(trainer)
    with pytest.raises(ValueError, match="cut"):
        trainer.load_checkpoint(tmp_path / "cut")
    require_same(everything(trainer), before)


def test_a_checkpoint_of_another_model_changes_nothing(tmp_path):
    classifier(hidden=9).save_checkpoint(tmp_path / "other")
    trainer = classifier()
    trainer.train_epoch(batches(24))
    before = everything(trainer)
    with pytest.raises(ValueError, match=r"other.*0\.weight.*\(8, 6\).*\(9, 6\)"):
        trainer.load_checkpoint(tmp_path / "other")
    require_same(everything(trainer), before)


def test_a_checkpoint_of_another_machine_warns(tmp_path, monkeypatch):
    trainer = classifier()
    trainer.save_checkpoint(tmp_path / "c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.load_checkpoint(tmp_path / "c")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "77")
    with pytest.warns(UserWarning, match="threads.*77"):
        trainer.load_checkpoint(tmp_path / "c")


@pytest.mark.parametrize("part", ["numpy", "blas", "processor", "threads"])
def test_a_checkpoint_stores_what_the_last_bits_depend_on(tmp_path, part):
    classifier().save_checkpoint(tmp_path / "c")
    assert checkpoint.load(tmp_path / "c")[1]["environment"][part]


# --- extras ---


def test_fit_trains_on_a_generator():
    trainer = classifier()
    trainer.fit((pair for pair in batches(12)), epochs=1, verbose=False)
    assert trainer.step == 4
    trainer.fit(lambda: (pair for pair in batches(12)), epochs=2, verbose=False)
    assert trainer.step == 12


def test_fit_names_a_generator_that_would_be_empty_in_the_second_epoch():
    trainer = classifier()
    with pytest.raises(ValueError, match="generator"):
        trainer.fit((pair for pair in batches(12)), epochs=2, verbose=False)
    assert trainer.step == 0


def test_fit_accumulates_gradients():
    trainer = classifier()
    trainer.fit(batches(12), epochs=2, verbose=False, accumulation_steps=4)
    assert (trainer.step, trainer.updates) == (8, 2)


def test_schedules_can_be_chained():
    rates = [
        training.SequentialSchedule([StepDecay(1.0, 2), ExponentialDecay(8.0, 0.5)], [3]).get_lr(e) for e in range(6)
    ]
    assert rates == pytest.approx([1, 1, 0.1, 8, 4, 2])


def tiny_loss(predictions, targets):
    """So small that in float16 its gradients are 0."""
    return CrossEntropyLoss()(predictions, targets) * 1e-7


@pytest.mark.parametrize(("scale", "moves"), [(1.0, False), (2.0**16, True)])
def test_loss_scaling_keeps_small_gradients(scale, moves):
    model, optimizer, _ = parts()
    scaler = training.LossScaler(init_scale=scale)
    before = model.state_dict()
    training.MixedPrecisionTrainer(model, SGD(model.parameters(), lr=1e6), tiny_loss, scaler=scaler).train_epoch(
        batches(24)
    )
    assert any(not np.array_equal(before[name], value) for name, value in model.state_dict().items()) is moves
    assert {value.dtype for value in model.state_dict().values()} == {np.dtype(np.float32)}


def test_loss_scaling_leaves_out_steps_that_overflow():
    trainer = training.MixedPrecisionTrainer(*parts(), scaler=training.LossScaler(init_scale=2.0**24))
    before = trainer.model.state_dict()
    trainer.train_epoch(batches(48))
    assert (trainer.skipped, trainer.updates, trainer.scaler.scale) == (1, 0, 2.0**23)
    assert all(np.array_equal(before[name], value) for name, value in trainer.model.state_dict().items())
    history = trainer.fit(batches(12), epochs=10, verbose=False)
    assert trainer.updates > 0 and history["train_loss"][-1] < history["train_loss"][0]


EVENTS = ("on_fit_start", "on_epoch_start", "on_batch_end", "on_epoch_end", "on_fit_end")


def test_callbacks_hear_of_everything():
    heard = []
    listener = SimpleNamespace(**{name: lambda t, name=name: heard.append((name, t.step)) for name in EVENTS})
    classifier(callbacks=[listener]).fit(batches(24), epochs=2, verbose=False)
    expected = [("on_fit_start", 0)]
    for first in (0, 2):
        expected += [("on_epoch_start", first), ("on_batch_end", first + 1), ("on_batch_end", first + 2)]
        expected.append(("on_epoch_end", first + 2))
    assert heard == [*expected, ("on_fit_end", 4)]


def test_a_callback_may_evaluate_in_the_middle_of_an_epoch(tmp_path):
    def run(*callbacks):
        trainer = classifier(metrics=[Accuracy(), ConfusionMatrix(num_classes=3)], callbacks=callbacks, dropout=0.3)
        trainer.fit(batches(10), epochs=2, verbose=False)
        return trainer

    found = []
    trainer = run(SimpleNamespace(on_batch_end=lambda t: found.append(t.evaluate(batches(48)))))
    require_same(everything(trainer), everything(run()))
    assert len(set(found)) == 10, "each batch has moved the weights"
    assert trainer.metrics[0].compute() == trainer.history["train_accuracy"][-1]


def test_a_callback_finds_mode_and_rate_of_the_epoch_that_starts():
    heard = []
    listener = SimpleNamespace(on_epoch_start=lambda t: heard.append((t.training_mode, t.optimizer.lr)))
    trainer = classifier(scheduler=StepDecay(0.5, 1), callbacks=[listener])
    trainer.model.eval()
    trainer.fit(batches(24), epochs=2, verbose=False)
    assert heard == [(True, 0.5), (True, pytest.approx(0.05))]


def test_a_callback_can_stop():
    stop = SimpleNamespace(on_epoch_end=lambda trainer: setattr(trainer, "stop_training", True))
    assert len(classifier(callbacks=[stop]).fit(batches(24), epochs=9, verbose=False)["epoch"]) == 1


def test_accumulation_needs_the_memory_of_a_small_batch():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2048, 64)).astype(np.float32), rng.integers(0, 10, 2048)
    manual_seed(0)
    model = Sequential(Linear(64, 256), ReLU(), Linear(256, 10))
    trainer = Trainer(model, SGD(model.parameters()), CrossEntropyLoss())
    peaks = {}
    for size in (2048, 64):
        tracemalloc.start()
        trainer.train_epoch(batches(size, x=x, y=y), accumulation_steps=2048 // size)
        peaks[size] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[64] < peaks[2048] / 4


# --- what the notebook measures and asks ---

MEASURED = {
    "where the step time goes": ("forward", "loss", "backward", "optimizer"),
    "throughput by batch size": ("polyfit", "batch"),
    "memory": ("nbytes", "tracemalloc|buffers|bytes_behind"),
    "checkpoint size and time": ("save_checkpoint", "load_checkpoint", "size"),
    "imbalanced data": ("eight_detector|imbalance", "accuracy"),
}


@pytest.mark.parametrize("topic", MEASURED)
def test_a_measured_analysis(topic):
    sources = [source for marker, source in cells() if "measure" in marker]
    assert any(all(re.search(word, source) for word in MEASURED[topic]) for source in sources)


QUESTIONS = {"memory against batch size": "07-q1", "loss choice and stability": "07-q2", "bottleneck": "07-q3"}


@pytest.mark.parametrize("topic", QUESTIONS)
def test_a_reflection_question_has_5_points_and_is_marked_by_hand(topic):
    marker, source = next((m, s) for m, s in cells() if f'"{QUESTIONS[topic]}"' in m)
    metadata = json.loads(re.search(r"nbgrader=(\{.*?\})", marker)[1])
    assert metadata["points"] == 5 and metadata["solution"] is True and "[markdown]" in marker
    assert "BEGIN MARK SCHEME" in source and "END MARK SCHEME" in source
    assert topic.split()[0] in source.lower()


def test_there_are_three_reflection_questions():
    asked = [cell["grade_id"] for cell in MODULE.graded if re.fullmatch(r"07-q\d+", cell["grade_id"])]
    assert asked == list(QUESTIONS.values())


def test_the_module_builds_metrics_and_training():
    assert set(MODULE.targets) == {"core.training", "core.metrics"}
    assert MODULE.targets[0] == "core.training"


def test_dropout_is_on_while_training():
    manual_seed(0)
    model = Sequential(Dropout(0.5), Linear(6, 3))
    seen = []
    trainer = Trainer(model, SGD(model.parameters(), lr=0.0), lambda p, t: seen.append(p) or CrossEntropyLoss()(p, t))
    trainer.fit([(X, Y)], [(X, Y)], epochs=2, verbose=False)
    assert not np.array_equal(seen[0].data, seen[2].data), "two epochs of training draw two masks"
    np.testing.assert_array_equal(seen[1].data, seen[3].data)
