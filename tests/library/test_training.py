"""`tinytorch.core.training` and `core.metrics`, line by line of what they promise, on the real parts."""

import importlib.util
import inspect
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest

from tests.library import resume
from tinytorch.core import metrics, optimizers, training
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MeanSquaredError
from tinytorch.core.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
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
from tinytorch.random import manual_seed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
OPTIMIZERS = {
    "sgd": lambda params: SGD(params, lr=0.1),
    "momentum": lambda params: SGD(params, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop": lambda params: RMSprop(params, lr=1e-3),
    "adam": lambda params: Adam(params, lr=1e-3),
    "adamw": lambda params: AdamW(params, lr=1e-3),
    "adagrad": lambda params: Adagrad(params, lr=1e-2),
}


def batches(size, X=X, Y=Y):
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, len(X), size)]


def make(optimizer="sgd", dropout=0.0, seed=0, **options):
    manual_seed(seed)
    model = Sequential(Linear(6, 8), ReLU(), Dropout(dropout), Linear(8, 3))
    return Trainer(model, OPTIMIZERS[optimizer](model.parameters()), CrossEntropyLoss(), **options)


def weights(trainer):
    return trainer.model.state_dict()


def same(a, b, **tolerance):
    for name, value in weights(a).items():
        np.testing.assert_allclose(value, weights(b)[name], err_msg=name, **tolerance)


# --- schedules ---


def test_schedules_are_their_formulas():
    cosine = CosineSchedule()
    assert (cosine.max_lr, cosine.min_lr, cosine.total_epochs) == (0.1, 0.01, 100)
    for epoch in (0, 17, 50, 99):
        expected = 0.01 + 0.09 * (1 + math.cos(math.pi * epoch / 100)) / 2
        assert cosine.get_lr(epoch) == pytest.approx(expected, rel=1e-12)
    assert cosine.get_lr(100) == cosine.get_lr(1000) == 0.01
    assert [StepDecay(1.0, 3).get_lr(e) for e in (0, 2, 3, 6)] == pytest.approx([1, 1, 0.1, 0.01])
    assert [ExponentialDecay(2.0, 0.5).get_lr(e) for e in (0, 1, 3)] == pytest.approx([2, 1, 0.25])
    assert learning_rate_schedule(0) == 0.001
    assert learning_rate_schedule(25) == pytest.approx(0.001 * 0.95**2)
    assert learning_rate_schedule(5, initial_lr=1.0, decay=0.5, decay_every=2) == pytest.approx(0.25)


def test_warm_up_rises_to_the_schedule_and_then_is_it():
    schedule = StepDecay(1.0, 10)
    warm = LinearWarmup(schedule, 4)
    rates = [warm.get_lr(epoch) for epoch in range(6)]
    assert 0 < rates[0] < rates[1] < rates[2] < rates[3] <= 1.0
    assert np.allclose(np.diff(rates[:4]), rates[1] - rates[0])
    assert rates[4:] == [1.0, 1.0]


def test_the_rate_is_set_before_the_first_step_of_an_epoch():
    class Watched(SGD):
        def step(self):
            seen.append(self.lr)
            super().step()

    seen = []
    trainer = make(scheduler=StepDecay(0.5, 1, gamma=0.1))
    trainer.optimizer = Watched(trainer.model.parameters(), lr=7.0)
    trainer.fit(batches(30), epochs=2, verbose=False)
    assert seen == pytest.approx([0.5, 0.5, 0.05, 0.05])
    assert trainer.history["learning_rates"] == pytest.approx([0.5, 0.05])


# --- clipping ---


def with_gradients(*values):
    params = [Tensor(np.zeros_like(v), requires_grad=True) for v in values]
    for parameter, value in zip(params, values):
        parameter.grad = Tensor(value)
    return params


def test_clipping_is_one_norm_over_everything():
    params = [*with_gradients(np.array([3.0, 4.0]), np.array([12.0])), Tensor([1.0], requires_grad=True)]
    norm = clip_grad_norm(params, 6.5)
    assert type(norm) is float and norm == pytest.approx(13.0)
    np.testing.assert_allclose(params[0].grad.data, [1.5, 2.0], rtol=1e-6)
    assert clip_grad_norm([]) == 0.0
    assert clip_grad_norm(iter(with_gradients(np.array([0.3]))), 1.0) == pytest.approx(0.3)

    class Plain:
        grad = np.array([30.0, 40.0])

    clip_grad_norm([Plain])
    np.testing.assert_allclose(Plain.grad, [0.6, 0.8])


def test_a_norm_that_is_not_finite_is_returned_and_touches_nothing():
    params = with_gradients(np.array([np.inf, 1.0]), np.array([2.0]))
    with pytest.warns(UserWarning, match="inf"):
        assert not math.isfinite(clip_grad_norm(params, 1.0))
    np.testing.assert_array_equal(params[1].grad.data, [2.0])


def test_clip_gradients_is_pure():
    given = {"w": np.array([3.0, 4.0]), "b": np.array([0.0])}
    clipped, norm = clip_gradients(given, max_norm=1.0)
    assert norm == pytest.approx(5.0)
    np.testing.assert_allclose(clipped["w"], [0.6, 0.8])
    np.testing.assert_array_equal(given["w"], [3.0, 4.0])
    same_ones, _ = clip_gradients(given)
    assert not np.shares_memory(same_ones["w"], given["w"])


# --- early stopping ---


def test_early_stopping():
    stop = EarlyStopping(patience=2, min_delta=0.1)
    best = {"w": np.array([1.0])}
    assert [stop(1.0, best), stop(0.95, {"w": np.array([2.0])})] == [False, False]
    best["w"] += 10
    np.testing.assert_array_equal(stop.get_best_params()["w"], [1.0], "the copy follows its original")
    assert stop(float("nan")) is True, "NaN is no improvement"
    fresh = EarlyStopping()
    assert (fresh.patience, fresh.min_delta) == (10, 1e-4)
    assert [fresh(1.0) for _ in range(11)] == [False] * 10 + [True]


# --- the Trainer ---


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("micro", "k"), [(5, 4), (7, 3), (20, 3)])
def test_micro_batches_equal_one_big_batch(optimizer, micro, k):
    one, many = make(optimizer, grad_clip_norm=0.5), make(optimizer, grad_clip_norm=0.5)
    small = batches(micro)
    groups = [small[i : i + k] for i in range(0, len(small), k)]
    big = [tuple(np.concatenate(part) for part in zip(*group)) for group in groups]
    for _ in range(2):
        a, b = one.train_epoch(big), many.train_epoch(iter(small), accumulation_steps=k)
    same(one, many, rtol=0, atol=1e-6)
    assert float(a) == pytest.approx(float(b), abs=1e-5)
    assert one.optimizer.state_dict()["state"].keys() == many.optimizer.state_dict()["state"].keys()


def test_an_epoch_returns_a_float_that_also_maps():
    trainer = make()
    result = trainer.train_epoch(batches(16))
    assert isinstance(result, float) and result["loss"] == float(result) and 0 <= result["accuracy"] <= 1
    loss, accuracy = trainer.evaluate(batches(7))
    whole = CrossEntropyLoss()(trainer.model(Tensor(X)), Y).item()
    assert loss == pytest.approx(whole, abs=1e-6), "batches of 7 and a rest of 4 weigh what they hold"
    assert accuracy == pytest.approx(np.mean(trainer.model(Tensor(X)).numpy().argmax(1) == Y))
    assert trainer.validate_epoch(batches(7))["loss"] == pytest.approx(loss)


def test_evaluate_restores_the_mode_and_leaves_no_gradient():
    trainer = make(dropout=0.5)
    trainer.model.train()
    a, b = trainer.evaluate(batches(10)), trainer.evaluate(batches(10))
    assert a == b and trainer.model.training
    trainer.model.eval()
    trainer.evaluate(batches(10))
    assert not trainer.model.training
    assert all(p.grad is None for p in trainer.model.parameters())
    model = Sequential(Linear(6, 1))
    regression = Trainer(model, SGD(model.parameters(), lr=0.01), MeanSquaredError())
    assert math.isnan(regression.evaluate([(X, X[:, :1])])[1])


def test_an_empty_loader_is_a_clear_error():
    for run in (make().train_epoch, make().evaluate, lambda loader: make().fit(loader, verbose=False)):
        with pytest.raises(ValueError, match=r"(?i)empty|no batch"):
            run([])


def test_history_is_always_complete():
    keys = {
        "epoch",
        "train_loss",
        "val_loss",
        "eval_loss",
        "train_metric",
        "val_metric",
        "learning_rates",
        "grad_norms",
    }
    for val in (None, batches(20)):
        trainer = make()
        assert keys <= set(trainer.history)
        history = trainer.fit(batches(16), val, epochs=3, verbose=False)
        assert keys <= set(history) and {len(values) for values in history.values()} == {3}
        assert history["epoch"] == [0, 1, 2]
        assert trainer.epoch == trainer.current_epoch == 3 and trainer.step == trainer.current_step == 12
        trainer.fit(batches(16), val, epochs=1, verbose=False)
        assert trainer.history["epoch"] == [0, 1, 2, 3]


def test_both_spellings_of_the_loss_and_a_fourth_positional_list():
    model = Sequential(Linear(6, 3))
    loss, optimizer = CrossEntropyLoss(), SGD(model.parameters())
    for trainer in (
        Trainer(model, optimizer, loss),
        Trainer(model, optimizer, loss_fn=loss),
        Trainer(model, optimizer, loss_function=loss),
        Trainer(model, optimizer, loss, [metrics.Accuracy()]),
    ):
        assert trainer.loss_fn is loss and trainer.loss_function is loss
    assert len(trainer.metrics) == 1 and trainer.scheduler is None


class PlainModel:
    training = True

    def __init__(self):
        self.weight = Tensor(np.zeros((6, 3)), requires_grad=True)

    def forward(self, x):
        return x @ self.weight

    def parameters(self):
        return [self.weight]


def test_stand_ins_train_and_are_saved_by_position(tmp_path):
    class Loss:
        def forward(self, predictions, targets):
            return CrossEntropyLoss()(predictions, targets)

    class Step:
        def __init__(self, params):
            self.params, self.lr = params, 0.5

        def zero_grad(self):
            for p in self.params:
                p.grad = None

        def step(self):
            for p in self.params:
                p.data -= 0.5 * p.grad.data

    model = PlainModel()
    trainer = Trainer(model, Step(model.parameters()), Loss(), grad_clip_norm=1.0)
    first = trainer.train_epoch(batches(20))
    assert trainer.train_epoch(batches(20)) < first
    trainer.evaluate(batches(20))
    assert model.training is True
    trainer.save_checkpoint(tmp_path / "plain")
    other = PlainModel()
    Trainer(other, Step(other.parameters()), Loss()).load_checkpoint(tmp_path / "plain")
    np.testing.assert_array_equal(other.weight.data, model.weight.data)


def test_interrupting_leaves_a_usable_model_and_history():
    class Interrupting(list):
        visits = 0

        def __iter__(self):
            self.visits += 1
            if self.visits == 3:
                raise KeyboardInterrupt
            return super().__iter__()

    trainer = make()
    history = trainer.fit(Interrupting(batches(20)), epochs=9, verbose=False)
    assert len(history["train_loss"]) == 2 and {len(values) for values in history.values()} == {2}
    trainer.fit(batches(20), epochs=1, verbose=False)


# --- checkpoints ---


def test_every_optimizer_and_schedule_is_resumed():
    rules = {thing for thing in vars(optimizers).values() if inspect.isclass(thing) and issubclass(thing, Optimizer)}
    made = {type(make([Tensor([1.0], requires_grad=True)])) for make in resume.OPTIMIZERS.values()}
    assert made == rules - {Optimizer}
    schedules = {thing for thing in vars(training).values() if inspect.isclass(thing) and hasattr(thing, "get_lr")}
    assert {type(make()) for make in resume.SCHEDULES.values()} == schedules | {type(None)}


def test_resuming_in_another_process_is_bit_exact(tmp_path):
    for mode in ("straight", "stop", "go"):
        done = subprocess.run([sys.executable, resume.__file__, mode, tmp_path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    with np.load(tmp_path / "straight.npz") as straight, np.load(tmp_path / "go.npz") as resumed:
        assert set(straight.files) == set(resumed.files) and len(straight.files) > 500
        for name in straight.files:
            np.testing.assert_array_equal(straight[name], resumed[name], err_msg=name, strict=True)
        scales = [straight[name] for name in straight.files if name.endswith("scaler.scale")]
        assert scales and all(scale != 2.0**20 for scale in scales), "the scale has moved"


def test_a_checkpoint_of_another_model_changes_nothing(tmp_path):
    trainer = make("adam")
    trainer.fit(batches(20), epochs=1, verbose=False)
    path = tmp_path / "deep" / "er" / "best_model.pkl"
    trainer.save_checkpoint(path)
    assert [p.name for p in path.parent.iterdir()] == ["best_model.pkl"]
    model = Sequential(Linear(6, 9), ReLU(), Dropout(0.0), Linear(9, 3))
    other = Trainer(model, Adam(model.parameters()), CrossEntropyLoss())
    before = weights(other)
    with pytest.raises(ValueError, match="0.weight"):
        other.load_checkpoint(path)
    assert other.epoch == 0 and other.history["epoch"] == []
    assert all(np.array_equal(before[name], value) for name, value in weights(other).items())
    with pytest.raises(FileNotFoundError, match="nowhere"):
        other.load_checkpoint(tmp_path / "nowhere")
    path.write_bytes(path.read_bytes()[:-10])
    fresh = make("adam", seed=5)
    before = weights(fresh)
    with pytest.raises(ValueError, match="best_model.pkl"):
        fresh.load_checkpoint(path)
    assert all(np.array_equal(before[name], value) for name, value in weights(fresh).items())


def test_a_checkpoint_of_another_optimizer_changes_nothing(tmp_path):
    trainer = make("adam")
    trainer.fit(batches(20), epochs=1, verbose=False)
    trainer.save_checkpoint(tmp_path / "c")
    other = make("rmsprop", seed=3)
    before = weights(other)
    with pytest.raises(ValueError):
        other.load_checkpoint(tmp_path / "c")
    assert all(np.array_equal(before[name], value) for name, value in weights(other).items())


def test_the_best_model_is_saved_and_loads(tmp_path):
    path = tmp_path / "best.pkl"
    trainer = make("adam")
    trainer.fit(batches(20), batches(30), epochs=3, verbose=False, save_best=True, checkpoint_path=path)
    best = make("adam", seed=4)
    best.load_checkpoint(path)
    assert best.evaluate(batches(30))[0] == pytest.approx(min(trainer.history["val_loss"]))


# --- metrics ---


def test_metrics_count_right():
    p = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 5.0], [9.0, 1.0, 0.0]])
    y = np.array([0, 1, 1, 2])
    assert metrics.accuracy(p, y) == metrics.Accuracy()(Tensor(p), Tensor(y)) == 0.5
    assert metrics.Accuracy()(p, np.eye(3)[y]) == 0.5
    assert metrics.Accuracy()(np.array([0.4, 0.6]), np.array([0, 1])) == 1.0
    assert metrics.Accuracy(from_logits=True)(np.array([[-0.1], [0.1]]), np.array([0, 1])) == 1.0
    streaming = metrics.Accuracy()
    streaming.update(p[:3], y[:3])
    streaming.update(p[3:], y[3:])
    assert streaming.compute() == 0.5
    streaming.reset()
    streaming.update(p[:1], y[:1])
    assert streaming.compute() == 1.0


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_metrics_agree_with_scikit_learn():
    from sklearn import metrics as oracle

    rng = np.random.default_rng(0)
    scores, y = rng.uniform(size=50), rng.integers(0, 2, 50)
    guess = scores > 0.5
    assert metrics.Precision()(scores, y) == pytest.approx(oracle.precision_score(y, guess))
    assert metrics.Recall()(scores, y) == pytest.approx(oracle.recall_score(y, guess))
    assert metrics.F1()(scores, y) == pytest.approx(oracle.f1_score(y, guess))
    a, b = rng.normal(size=(2, 20))
    assert metrics.MeanAbsoluteError()(a, b) == pytest.approx(oracle.mean_absolute_error(b, a), rel=1e-6)


def test_unwrapping():
    for wrapped in (Tensor([1.0, 2.0]), np.array([1.0, 2.0]), [1.0, 2.0], memoryview(np.array([1.0, 2.0]))):
        np.testing.assert_array_equal(metrics.extract_numpy_data(wrapped), [1.0, 2.0])
    assert metrics.get_tensor_value(Tensor([3.0])) == metrics.get_tensor_value(3) == 3.0
    with pytest.raises(TypeError):
        metrics.extract_numpy_data(object())
    with pytest.raises(TypeError):
        metrics.get_tensor_value("three")


def test_course_code_finds_everything_in_core_training():
    names = ["MeanSquaredError", "CrossEntropyLoss", "BinaryCrossEntropyLoss", "Accuracy"]
    for name in [*names, "extract_numpy_data", "get_tensor_value"]:
        assert getattr(training, name)


def test_nothing_warns_on_an_ordinary_run(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer = make("adam", dropout=0.1, scheduler=CosineSchedule(), grad_clip_norm=1.0)
        trainer.fit(batches(16), batches(16), epochs=2, verbose=False)
        trainer.save_checkpoint(tmp_path / "c.pkl")
        make("adam").load_checkpoint(tmp_path / "c.pkl")
