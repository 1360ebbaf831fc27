"""What belongs to training beside the loop: chained schedules, callbacks, plots, and numbers of half the width."""

import csv
import io
import json
import math
import sys
import warnings

import numpy as np
import pytest

from tinytorch.core import training
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.metrics import ConfusionMatrix
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import (
    BestCheckpoint,
    CosineSchedule,
    CSVLogger,
    EarlyStopping,
    JSONLinesLogger,
    LinearWarmup,
    LossScaler,
    MixedPrecisionTrainer,
    PlotAtEnd,
    SequentialSchedule,
    StepDecay,
    StopEarly,
    Trainer,
    half_precision,
    plot_training_curves,
    text_plot,
    to_half,
)
from tinytorch.random import default_generator, manual_seed

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 6)).astype(np.float32)
Y = (X[:, :3].sum(axis=1) > 0).astype(np.int64) + (X[:, 3] > 0.5)


class Shuffled:
    """Three quarters of the data in batches of 8, in a new order each time."""

    def __iter__(self):
        order = default_generator.permutation(45)
        return ((X[order[i : i + 8]], Y[order[i : i + 8]]) for i in range(0, 45, 8))


HELD_OUT = [(X[45:], Y[45:])]


def model_of(seed=0):
    manual_seed(seed)
    return Sequential(Linear(6, 16), ReLU(), Dropout(0.1), Linear(16, 3))


def trainer_of(kind=Trainer, seed=0, **options):
    model = model_of(seed)
    return kind(model, Adam(model.parameters(), lr=0.02), CrossEntropyLoss(), **options)


def as_bytes(history):
    """A history that can be compared although there is nan in it."""
    return {name: np.array(values).tobytes() for name, values in history.items()}


# --- schedules ---


def test_schedules_one_after_the_other_count_their_own_epochs():
    chained = SequentialSchedule([LinearWarmup(StepDecay(1.0, 100), 2), CosineSchedule(1.0, 0.0, 4)], [3])
    rates = [chained.get_lr(epoch) for epoch in range(8)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0])
    assert LinearWarmup(chained, 10).get_lr(0) == pytest.approx(0.05)


@pytest.mark.parametrize("milestones", [[], [1, 2], [2, 2, 1]])
def test_milestones_must_fit(milestones):
    with pytest.raises(ValueError, match="one milestone less than schedules"):
        SequentialSchedule([StepDecay(1.0, 1)] * (3 if len(milestones) == 3 else 2), milestones)


# --- callbacks ---


def test_the_best_checkpoint_is_that_of_the_best_epoch(tmp_path):
    path, trainer = tmp_path / "best", trainer_of()
    trainer.callbacks = [BestCheckpoint(path, monitor="val_accuracy", mode="max")]
    history = trainer.fit(Shuffled(), HELD_OUT, epochs=6, verbose=False)
    again = trainer_of(seed=5)
    again.load_checkpoint(path)
    best = int(np.argmax(history["val_accuracy"]))
    assert again.epoch == best + 1
    assert again.evaluate(HELD_OUT)[1] == max(history["val_accuracy"])


def test_a_resumed_run_saves_only_what_beats_the_epochs_before(tmp_path):
    first = trainer_of()
    first.fit(Shuffled(), HELD_OUT, epochs=5, verbose=False)
    callback = BestCheckpoint(tmp_path / "best")
    callback.on_fit_start(first)
    assert callback.best == min(first.history["val_loss"])


def test_stopping_early_as_a_callback_equals_the_argument_of_fit(tmp_path):
    def run(callbacks, **options):
        trainer = trainer_of(callbacks=callbacks)
        trainer.optimizer.lr = 0.3
        return trainer, trainer.fit(Shuffled(), HELD_OUT, epochs=40, verbose=False, **options)

    watch = EarlyStopping(patience=3)
    by_argument, history = run([], early_stopping=watch)
    callback = StopEarly(EarlyStopping(patience=3))
    by_callback, other = run([callback])
    assert len(history["epoch"]) < 40
    assert as_bytes(history) == as_bytes(other)
    best = watch.get_best_params()
    assert all(np.array_equal(values, best[name]) for name, values in by_callback.model.state_dict().items())
    kept, _ = run([StopEarly(EarlyStopping(patience=3), restore_best=False)])
    last = by_argument.model.state_dict()
    assert all(np.array_equal(values, last[name]) for name, values in kept.model.state_dict().items())


def test_the_state_of_stopping_early_travels_in_checkpoints(tmp_path):
    def watched(seed=0):
        callback = StopEarly(EarlyStopping(patience=50))
        return trainer_of(seed=seed, callbacks=[callback]), callback.early_stopping

    straight, expected = watched()
    straight.fit(Shuffled(), HELD_OUT, epochs=4, verbose=False)
    cut, _ = watched()
    cut.callbacks[0].restore_best = False  # the checkpoint is that of the second epoch, whichever was the best
    cut.fit(Shuffled(), HELD_OUT, epochs=2, verbose=False)
    cut.save_checkpoint(tmp_path / "cut")
    resumed, found = watched(seed=3)
    resumed.load_checkpoint(tmp_path / "cut")
    resumed.fit(Shuffled(), HELD_OUT, epochs=2, verbose=False)
    assert (found.best_loss, found.counter) == (expected.best_loss, expected.counter)
    assert as_bytes(resumed.history) == as_bytes(straight.history)


class Plateau:
    """Halves the rate after two epochs in a row that were no better: what it does depends on what it has seen."""

    def __init__(self):
        self.best, self.waited = math.inf, 0

    def on_epoch_end(self, trainer):
        loss = trainer.history["val_loss"][-1]
        self.best, self.waited = (loss, 0) if loss < self.best else (self.best, self.waited + 1)
        if self.waited == 2:
            trainer.optimizer.lr, self.waited = trainer.optimizer.lr / 2, 0

    def state_dict(self):
        return vars(self).copy()

    def load_state_dict(self, state):
        vars(self).update(state)


def test_callbacks_with_a_state_go_on_where_they_stood(tmp_path):
    def run(seed):
        stops = [StopEarly(EarlyStopping(40), name, restore_best=False) for name in ("val_loss", "train_loss")]
        trainer = trainer_of(seed=seed, callbacks=[Plateau(), *stops, CSVLogger(tmp_path / f"log {seed}")])
        trainer.optimizer.lr = 0.5
        return trainer, EarlyStopping(30)

    def found(trainer, stop):
        stops = [stop, *(callback.early_stopping for callback in trainer.callbacks[1:3])]
        return [(s.best_loss, s.counter) for s in stops], vars(trainer.callbacks[0]), trainer.optimizer.lr

    straight, stop = run(0)
    straight.fit(Shuffled(), HELD_OUT, epochs=14, verbose=False, early_stopping=stop)
    expected = found(straight, stop)
    assert expected[2] < 0.5 and len({counter for _, counter in expected[0]}) > 1, "there is something to forget"
    cut, stop = run(0)
    cut.fit(Shuffled(), HELD_OUT, epochs=7, verbose=False, early_stopping=stop)
    cut.save_checkpoint(tmp_path / "cut")
    again, stop = run(3)
    again.load_checkpoint(tmp_path / "cut")
    again.save_checkpoint(tmp_path / "copy")  # what nobody has asked for yet is kept
    resumed, stop = run(4)
    callbacks, resumed.callbacks = resumed.callbacks, []
    resumed.load_checkpoint(tmp_path / "copy")
    resumed.callbacks = callbacks  # also where they come after the file
    resumed.fit(Shuffled(), HELD_OUT, epochs=7, verbose=False, early_stopping=stop)
    assert found(resumed, stop) == expected
    assert as_bytes(resumed.history) == as_bytes(straight.history)


def test_stopping_early_needs_something_that_stops():
    with pytest.raises(TypeError, match="early_stopping is 5"):
        StopEarly(5)


@pytest.mark.parametrize("callback", [BestCheckpoint("never", monitor="val_los"), StopEarly(monitor="val_los")])
def test_a_name_that_no_history_has_is_an_error_before_the_first_epoch(callback):
    trainer = trainer_of(callbacks=[callback])
    with pytest.raises(ValueError, match="no 'val_los'; it has epoch, train_loss"):
        trainer.fit(Shuffled(), epochs=1, verbose=False)
    assert trainer.epoch == 0


def test_modes_are_min_and_max():
    with pytest.raises(ValueError, match="mode is 'lowest'"):
        BestCheckpoint("never", mode="lowest")


def read_csv(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("cls, read", [(CSVLogger, read_csv), (JSONLinesLogger, read_lines)])
def test_logs_hold_the_history_and_go_on_after_a_resume(tmp_path, cls, read):
    path = tmp_path / "logs" / "run"
    options = {"metrics": [ConfusionMatrix(num_classes=3)], "callbacks": [cls(path)]}
    trainer = trainer_of(**options)
    trainer.fit(Shuffled(), HELD_OUT, epochs=2, verbose=False)
    trainer.save_checkpoint(tmp_path / "two")
    trainer.fit(Shuffled(), epochs=2, verbose=False)
    assert [int(row["epoch"]) for row in read(path)] == [0, 1, 2, 3]
    resumed = trainer_of(seed=4, **options)
    resumed.load_checkpoint(tmp_path / "two")
    resumed.fit(Shuffled(), epochs=1, verbose=False)
    rows = read(path)
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2], "what came after the checkpoint belongs to another run"
    assert [float(row["train_loss"]) for row in rows] == resumed.history["train_loss"]
    assert rows[2]["val_loss"] in ("", None), "a missing number is empty, and not the word nan"
    matrix = rows[0]["train_confusion_matrix"]
    assert (json.loads(matrix) if isinstance(matrix, str) else matrix) == resumed.history["train_confusion_matrix"][0]
    assert [file.name for file in path.parent.iterdir()] == ["run"], "no temporary file is left"


@pytest.mark.parametrize("cls", [CSVLogger, JSONLinesLogger])
def test_a_log_does_not_overwrite_what_is_no_log(tmp_path, cls):
    path = tmp_path / "thesis.txt"
    path.write_text("Chapter one")
    with pytest.raises(FileExistsError, match=r"thesis.txt is there.*'Chapter one'"):
        trainer_of(callbacks=[cls(path)]).fit(Shuffled(), epochs=1, verbose=False)
    assert path.read_text() == "Chapter one"


# --- plots ---


@pytest.fixture
def history():
    return trainer_of(grad_clip_norm=1.0).fit(Shuffled(), HELD_OUT, epochs=5, verbose=False)


def test_training_curves_show_the_history(history, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    axes = plot_training_curves(history, tmp_path / "plots" / "curves.png")
    drawn = {line.get_label(): list(line.get_ydata()) for ax in axes.flat for line in ax.lines}
    names = ("train_loss", "val_loss", "train_metric", "val_metric", "learning_rates", "grad_norms")
    assert drawn == {name: history[name] for name in names}
    assert (tmp_path / "plots" / "curves.png").read_bytes().startswith(b"\x89PNG")
    pyplot.close(axes[0, 0].figure)


def test_a_panel_without_numbers_says_so_and_a_wide_loss_is_drawn_on_a_logarithmic_scale():
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    axes = plot_training_curves({"train_loss": [100.0, math.nan, 1.0], "val_loss": [50.0, 2.0, math.inf]})
    assert [[text.get_text() for text in ax.texts] for ax in axes.flat] == [[], *3 * [["nothing to draw"]]]
    narrow = plot_training_curves({"train_loss": [3.0, 2.0], "val_loss": [math.nan, math.nan]})
    assert (axes[0, 0].get_yscale(), narrow[0, 0].get_yscale()) == ("log", "linear")
    for drawn in (axes, narrow):
        pyplot.close(drawn[0, 0].figure)


def test_the_plot_at_the_end_is_a_file(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    before = pyplot.get_fignums()
    trainer_of(callbacks=[PlotAtEnd(tmp_path / "end.png")]).fit(Shuffled(), epochs=2, verbose=False)
    assert (tmp_path / "end.png").stat().st_size > 1000
    assert pyplot.get_fignums() == before, "the figure is closed"


def test_without_matplotlib_the_curves_are_text(history, tmp_path, monkeypatch, capsys):
    real = training.find_spec
    monkeypatch.setattr(training, "find_spec", lambda name: None if name == "matplotlib" else real(name))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.warns(UserWarning, match=r"end.png was not written: that needs matplotlib"):
        assert plot_training_curves(history, tmp_path / "end.png") is None
    text = capsys.readouterr().out
    assert "loss: * train_loss  o val_loss" in text and "gradient norm: * grad_norms" in text
    assert f"{max(history['train_loss'] + history['val_loss']):.4g}" in text
    assert max(map(len, text.splitlines())) <= 80
    assert not (tmp_path / "end.png").exists()


def test_a_text_plot_puts_points_where_they_belong():
    lines = text_plot("t", {"a": [0.0, math.nan, 2.0], "b": [2.0, 1.0, math.inf]}, width=5, height=3).splitlines()
    assert lines == ["t: * a  o b", "         2 |o   *", "           |  o  ", "         0 |*    "]
    assert text_plot("t", {"a": [math.nan]}) == "t: nothing to draw"
    assert text_plot("t", {"a": [3.0]}, width=3, height=2).splitlines()[1] == "         3 |*  "


# --- half precision ---


def test_numbers_and_gradients_are_rounded_to_half():
    x = Tensor([1.0, 1e-9, 70000.0, 1 + 1e-4], requires_grad=True)
    y = to_half(x)
    assert y.data.tolist() == [1, 0, math.inf, 1] and y.dtype == np.float32
    y.backward(Tensor([1.0, 1e-9, 3.0, 1 + 1e-4]))
    assert x.grad.data.tolist() == [1, 0, 3, 1]
    x.grad = None
    to_half(x, scale=2.0**20).backward(Tensor([0.01, 1e-9, 3.0, -1.0]))
    expected = np.array([0.01 * 2**20, 1e-9 * 2**20, math.inf, -math.inf]).astype(np.float16)
    assert x.grad.data.tolist() == expected.astype(np.float32).tolist()


def test_a_model_in_half_is_the_model_to_eleven_digits_and_stays_what_it_was():
    model = model_of().eval()
    before = dict(model.named_parameters())
    whole, half = model(Tensor(X)).data, half_precision(model, Tensor(X))
    assert np.array_equal(half.data, half.data.astype(np.float16))
    np.testing.assert_allclose(half.data, whole, rtol=4e-3, atol=4e-3)
    assert not np.array_equal(half.data, whole)
    half.sum().backward()
    assert all(p is before[name] and p.grad is not None for name, p in model.named_parameters())
    with pytest.raises(ValueError):
        half_precision(model, Tensor(X[:, :2]))
    assert all(p is before[name] for name, p in model.named_parameters()), "also after an error"


def test_the_scaled_gradient_is_the_gradient():
    found = []
    for scale in (1.0, 2.0**10):
        model = model_of().eval()
        trainer = MixedPrecisionTrainer(
            model, SGD(model.parameters(), lr=0.0), CrossEntropyLoss(), scaler=LossScaler(init_scale=scale)
        )
        model.train()
        model[2].p = 0.0
        loss, _ = trainer.train_step(Tensor(X), Tensor(Y))
        found.append((loss, np.concatenate([p.grad.data.ravel() for p in model.parameters()])))
    assert found[0][0] == found[1][0], "the loss that is reported is not scaled"
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=2e-2, atol=2e-5)


def test_an_overflow_is_left_out_and_halves_the_scale():
    trainer = trainer_of(MixedPrecisionTrainer, scaler=LossScaler(init_scale=2.0**60, growth_interval=3))
    before = trainer.model.state_dict()
    trainer.train_step(Tensor(X), Tensor(Y))
    assert all(np.array_equal(values, before[name]) for name, values in trainer.model.state_dict().items())
    assert (trainer.skipped, trainer.updates, trainer.scaler.scale) == (1, 0, 2.0**59)
    trainer.fit(Shuffled(), epochs=12, verbose=False)
    assert trainer.updates + trainer.skipped == trainer.step + 1
    assert trainer.updates > 0 and trainer.scaler.scale < 2.0**40
    assert trainer.history["train_loss"][-1] < trainer.history["train_loss"][0]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_search_for_the_scale_is_silent(steps):
    trainer = trainer_of(MixedPrecisionTrainer, scaler=LossScaler(init_scale=2.0**40))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit(Shuffled(), epochs=2, verbose=False, accumulation_steps=steps)
        assert trainer.skipped > 0
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.ones(1) / np.zeros(1)  # and what others compute is not silenced


def test_a_scaler_is_an_object_with_a_scale():
    with pytest.raises(TypeError, match="scaler is 1024, and that has no scale"):
        trainer_of(MixedPrecisionTrainer, scaler=1024)


def test_clipping_and_accumulation_see_the_gradient_without_the_scale():
    trainer = trainer_of(MixedPrecisionTrainer, grad_clip_norm=1e-3, scaler=LossScaler(init_scale=2.0**8))
    trainer.train_epoch(Shuffled(), accumulation_steps=2)
    norms = [np.linalg.norm(p.grad.data) for p in trainer.model.parameters()]
    assert math.sqrt(sum(n * n for n in norms)) == pytest.approx(1e-3, rel=1e-5)
    assert 1e-2 < trainer.history["grad_norms"][0] < 10
    assert trainer.updates == 3


def test_a_broken_loss_is_not_an_overflow():
    trainer = trainer_of(MixedPrecisionTrainer, nonfinite="skip")
    with pytest.warns(RuntimeWarning, match="epoch 0, batch 1: the loss is nan"):
        trainer.train_epoch([(X[:8], Y[:8]), (X[:8] * np.nan, Y[:8]), (X[8:16], Y[8:16])])
    assert (trainer.skipped, trainer.updates) == (1, 2)
    assert all(np.isfinite(p.data).all() for p in trainer.model.parameters())


def test_resuming_mixed_precision_is_exact_and_needs_its_own_checkpoints(tmp_path):
    scaler = {"init_scale": 2.0**40, "growth_interval": 5}
    straight = trainer_of(MixedPrecisionTrainer, scaler=LossScaler(**scaler))
    straight.fit(Shuffled(), epochs=8, verbose=False)
    cut = trainer_of(MixedPrecisionTrainer, scaler=LossScaler(**scaler))
    cut.fit(Shuffled(), epochs=4, verbose=False)
    cut.save_checkpoint(tmp_path / "cut")
    resumed = trainer_of(MixedPrecisionTrainer, seed=9)
    resumed.load_checkpoint(tmp_path / "cut")
    resumed.fit(Shuffled(), epochs=4, verbose=False)
    assert all(np.array_equal(a, b) for a, b in zip(straight.model.state_dict().values(),
                                                    resumed.model.state_dict().values()))  # fmt: skip
    assert vars(resumed.scaler) == vars(straight.scaler)
    plain = trainer_of()
    plain.save_checkpoint(tmp_path / "plain")
    with pytest.raises(ValueError, match="lacks scaler"):
        resumed.load_checkpoint(tmp_path / "plain")
    assert resumed.epoch == 8


@pytest.mark.parametrize(
    "options", [{"init_scale": 0}, {"growth_factor": 1}, {"backoff_factor": 1}, {"growth_interval": 0}]
)
def test_a_scaler_that_cannot_work_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LossScaler(**options)
