"""Runs on real data, as later modules train. `tito module complete` runs this on the student's package."""

import math

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Module, Parameter, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MeanSquaredError
from tinytorch.core.metrics import Accuracy, MeanAbsoluteError
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import (
    CosineSchedule,
    EarlyStopping,
    StepDecay,
    Trainer,
    clip_grad_norm,
    clip_gradients,
    learning_rate_schedule,
)
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import default_generator, manual_seed

IMAGES, LABELS = load_digits()
TRAIN, TEST = digits_split()
INK = IMAGES.reshape(-1, 64) / 16


class Shuffled:
    """Digits in batches, in an order that the default generator draws anew each time."""

    def __init__(self, rows=TRAIN[:400], size=32):
        self.rows, self.size = rows, size

    def __iter__(self):
        order = default_generator.permutation(self.rows)
        return (
            (INK[order[i : i + self.size]], LABELS[order[i : i + self.size]]) for i in range(0, len(order), self.size)
        )


def held_out():
    return [(INK[TEST[:200]], LABELS[TEST[:200]]), (INK[TEST[200:]], LABELS[TEST[200:]])]


def run(seed=0, optimizer=Adam, dropout=0.2, **options):
    manual_seed(seed)
    model = Sequential(Linear(64, 32), ReLU(), Dropout(dropout), Linear(32, 10))
    return Trainer(model, optimizer(model.parameters(), lr=0.01), CrossEntropyLoss(), **options)


def same_weights(a, b):
    return all(np.array_equal(x.data, y.data) for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True))


def test_digits_are_learned_and_the_history_tells_how():
    trainer = run(scheduler=CosineSchedule(0.02, 0.001, 6), grad_clip_norm=1.0)
    history = trainer.fit(Shuffled(TRAIN), held_out(), epochs=6, verbose=False)
    assert {len(values) for values in history.values()} == {6}
    assert history["epoch"] == list(range(6))
    assert history["learning_rates"] == pytest.approx([CosineSchedule(0.02, 0.001, 6).get_lr(e) for e in range(6)])
    assert history["val_loss"] == history["eval_loss"]
    assert history["val_metric"] == history["val_accuracy"]
    assert trainer.evaluate(held_out())[1] > 0.9
    assert (trainer.epoch, trainer.step, trainer.updates) == (6, 6 * 45, 6 * 45)
    assert all(norm > 0 for norm in history["grad_norms"])


def test_resuming_is_bit_exact_and_a_checkpoint_is_one_file(tmp_path):
    def fresh(seed):
        return run(seed, scheduler=StepDecay(0.01, 2, 0.5), grad_clip_norm=1.0)

    def fit(trainer, epochs, stop):
        trainer.fit(Shuffled(), held_out(), epochs=epochs, verbose=False, early_stopping=stop)

    straight, stops = fresh(0), [EarlyStopping(50, 0.0) for _ in range(3)]
    fit(straight, 4, stops[0])
    cut = fresh(0)
    fit(cut, 2, stops[1])
    path = tmp_path / "new" / "folder" / "run.pkl"
    cut.save_checkpoint(path)
    assert [file.name for file in path.parent.iterdir()] == ["run.pkl"]
    resumed = fresh(42)
    resumed.load_checkpoint(path)
    fit(resumed, 2, stops[2])
    assert same_weights(straight, resumed)
    assert straight.history == resumed.history
    assert stops[0].best_loss == stops[2].best_loss
    assert stops[0].counter == stops[2].counter
    for name, values in stops[0].get_best_params().items():
        np.testing.assert_array_equal(values, stops[2].get_best_params()[name])


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path):
    path = tmp_path / "run"
    trainer = run()
    trainer.train_epoch(Shuffled())
    trainer.save_checkpoint(path)
    other = Trainer(Sequential(Linear(64, 10)), trainer.optimizer, CrossEntropyLoss())
    before = default_generator.bit_generator.state, other.model.state_dict()
    with pytest.raises(ValueError, match=r"0\.weight"):
        other.load_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-1])
    fresh = run(optimizer=SGD)
    weights = fresh.model.state_dict()
    with pytest.raises(ValueError, match="run"):
        fresh.load_checkpoint(path)
    assert fresh.epoch == 0
    assert all(np.array_equal(weights[name], values) for name, values in fresh.model.state_dict().items())
    assert all(np.array_equal(before[1][name], values) for name, values in other.model.state_dict().items())


@pytest.mark.parametrize("steps", [1, 3, 50])
def test_small_pieces_are_the_large_batch(steps):
    x, y = INK[TRAIN[:100]], LABELS[TRAIN[:100]]
    pieces = [(x[i : i + 7], y[i : i + 7]) for i in range(0, 100, 7)]
    groups = [pieces[i : i + steps] for i in range(0, len(pieces), steps)]
    large = [tuple(np.concatenate(part) for part in zip(*group)) for group in groups]
    one = run(optimizer=SGD, dropout=0.0, grad_clip_norm=0.3)
    many = run(optimizer=SGD, dropout=0.0, grad_clip_norm=0.3)
    a, b = one.train_epoch(large), many.train_epoch((piece for piece in pieces), accumulation_steps=steps)
    assert one.updates == many.updates == len(groups)
    assert a["loss"] == pytest.approx(b["loss"], abs=1e-5)
    for p, q in zip(one.model.parameters(), many.model.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=0, atol=1e-6)


def test_evaluating_leaves_no_trace():
    trainer = run(dropout=0.5)
    trainer.model[0].eval()
    modes = [module.training for module in trainer.model.modules()]
    state = default_generator.bit_generator.state
    first, second = trainer.evaluate(held_out()), trainer.evaluate(held_out())
    assert first == second
    whole = trainer.model.eval()(Tensor(INK[TEST]))
    assert first[0] == pytest.approx(CrossEntropyLoss()(whole, LABELS[TEST]).item(), abs=1e-6)
    assert first[1] == pytest.approx(np.mean(whole.numpy().argmax(axis=1) == LABELS[TEST]))
    assert default_generator.bit_generator.state == state
    assert all(parameter.grad is None for parameter in trainer.model.parameters())
    trainer.restore_modes(list(zip(trainer.model.modules(), modes, strict=True)))
    with pytest.raises(ValueError):
        trainer.evaluate([(INK[:2], LABELS[:3])])
    assert [module.training for module in trainer.model.modules()] == modes


def test_a_gradient_that_is_not_finite_makes_no_step():
    trainer = run(optimizer=SGD, dropout=0.0, grad_clip_norm=1.0)
    before = trainer.model.state_dict()
    broken = np.full((4, 64), np.inf, np.float32)
    with pytest.warns(RuntimeWarning, match="epoch 0, batch 0: the loss is nan"), np.errstate(all="ignore"):
        trainer.train_epoch([(broken, LABELS[:4])])
    assert (trainer.updates, trainer.skipped) == (0, 1)
    assert all(np.array_equal(before[name], values) for name, values in trainer.model.state_dict().items())


class Events:
    def __init__(self):
        self.seen = []

    def on_fit_start(self, trainer):
        self.seen.append("start")

    def on_batch_end(self, trainer):
        self.seen.append(trainer.step)

    def on_epoch_end(self, trainer):
        self.seen.append(len(trainer.history["val_loss"]))
        trainer.stop_training = trainer.epoch == 2

    def on_fit_end(self, trainer):
        self.seen.append("end")


def test_callbacks_hear_of_everything_and_can_stop():
    events = Events()
    trainer = run(callbacks=[events])
    batch = (INK[:8], LABELS[:8])
    trainer.fit([batch, batch], epochs=5, verbose=False)
    assert events.seen == ["start", 1, 2, 1, 3, 4, 2, "end"]
    with pytest.raises(TypeError, match="on_epoch_end"):
        run(callbacks=[object()])


def test_what_cannot_work_is_said_at_once():
    trainer = run()
    for use in (trainer.train_epoch, trainer.evaluate):
        with pytest.raises(ValueError, match="only once"):
            use(iter([]))
    with pytest.raises(ValueError, match="generator"):
        trainer.fit((batch for batch in held_out()), epochs=2, verbose=False)
    assert trainer.epoch == 0
    trainer.fit(lambda: (batch for batch in held_out()), epochs=2, verbose=False)
    assert trainer.epoch == 2
    with pytest.raises(ValueError, match="loss_function"):
        Trainer(trainer.model, trainer.optimizer, CrossEntropyLoss(), loss_function=MeanSquaredError())
    with pytest.raises(TypeError, match="loss_fn"):
        Trainer(trainer.model, trainer.optimizer)
    with pytest.raises(TypeError, match="get_lr"):
        Trainer(trainer.model, trainer.optimizer, CrossEntropyLoss(), object())
    with pytest.raises(ValueError, match="max_norm"):
        clip_grad_norm([], max_norm=0)


class Interrupting(Shuffled):
    """Ctrl-C in the middle of the third epoch."""

    visits = 0

    def __iter__(self):
        self.visits += 1
        for i, batch in enumerate(super().__iter__()):
            if (self.visits, i) == (3, 2):
                raise KeyboardInterrupt
            yield batch


def test_ctrl_c_leaves_a_model_and_a_history(capsys):
    trainer = run()
    history = trainer.fit(Interrupting(), held_out(), epochs=9, verbose=False)
    assert {len(values) for values in history.values()} == {2}
    assert "interrupted" in capsys.readouterr().err
    assert trainer.epoch == 2
    trainer.fit(Shuffled(), epochs=1, verbose=False)
    assert trainer.history["epoch"] == [0, 1, 2]


def test_regression_with_metrics_as_fourth_argument():
    manual_seed(0)
    x = default_generator.normal(size=(50, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [-1.0]], dtype=np.float32)
    model = Sequential(Linear(3, 1))
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1), MeanSquaredError(), [MeanAbsoluteError()])
    history = trainer.fit([(x[:32], y[:32]), (x[32:], y[32:])], [(x, y)], epochs=60, verbose=False)
    assert history["val_metric"] == history["val_mean_absolute_error"]
    assert history["val_metric"][-1] < 0.01
    assert math.isnan(history["train_accuracy"][0])
    assert trainer.train_epoch([(x, y)]) == pytest.approx(history["train_loss"][-1])


class Plain:
    """A model without Module: `forward`, `parameters`, a `training` attribute, and a generator of its own."""

    training = True

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.weight = Parameter(self.rng.normal(size=(2, 1)))

    def forward(self, x):
        noise = self.rng.normal(size=(2, 1)) if self.training else np.zeros((2, 1))
        return x @ (self.weight + Tensor(0.01 * noise))

    def parameters(self):
        return [self.weight]


class Momentum:
    """An optimizer without `state_dict`, whose velocities stand under the ids of the parameters."""

    def __init__(self, params):
        self.params, self.learning_rate, self.velocity = params, 0.1, {}

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for p in self.params:
            v = self.velocity[id(p)] = 0.9 * self.velocity.get(id(p), 0.0) - self.learning_rate * p.grad.data
            p.data = p.data + v


def test_stand_ins_are_resumed_exactly_too(tmp_path):
    def fresh(seed):
        model = Plain(seed)
        return Trainer(model, Momentum(model.parameters()), MeanSquaredError(), StepDecay(0.1, 1, 0.9))

    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    batches = [(x, x[:, :1])]
    straight, cut, resumed = fresh(0), fresh(0), fresh(5)
    straight.fit(batches, epochs=4, verbose=False)
    cut.fit(batches, epochs=2, verbose=False)
    cut.save_checkpoint(tmp_path / "c")
    resumed.load_checkpoint(tmp_path / "c")
    resumed.fit(batches, epochs=2, verbose=False)
    assert same_weights(straight, resumed)
    assert resumed.optimizer.learning_rate == pytest.approx(0.1 * 0.9**3)


class Counting(Module):
    """Has a buffer, which an epoch changes and a checkpoint keeps."""

    def __init__(self):
        self.inner = Linear(64, 10)
        self.register_buffer("calls", np.array(0))

    def forward(self, x):
        self.calls.data = self.calls.data + 1
        return self.inner(x)


class Positioned(list):
    """A loader that knows where it is."""

    position = 0

    def __iter__(self):
        while self.position < len(self):
            self.position += 1
            yield self[self.position - 1]
        self.position = 0

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


class SaveAt:
    """Saves in the middle of an epoch."""

    def __init__(self, step, file):
        self.step, self.file = step, file

    def on_batch_end(self, trainer):
        if trainer.step == self.step:
            trainer.save_checkpoint(self.file)


def test_buffers_and_the_position_of_a_loader_are_kept(tmp_path):
    def fresh(seed, callbacks=()):
        manual_seed(seed)
        model = Counting()
        return Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), callbacks=callbacks)

    digits = [(INK[i : i + 20], LABELS[i : i + 20]) for i in range(0, 120, 20)]
    straight = fresh(0, [SaveAt(4, tmp_path / "c")])
    straight.train_epoch(Positioned(digits))
    resumed = fresh(9)
    resumed.load_checkpoint(tmp_path / "c")
    assert resumed.model.calls.item() == 4
    resumed.train_epoch(Positioned(digits))
    assert resumed.step == straight.step == 6
    assert resumed.model.calls.item() == 6
    assert same_weights(straight, resumed)


def test_metrics_are_exact_over_uneven_batches():
    rng = np.random.default_rng(0)
    scores, classes = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    exact = Accuracy()
    for rows in (slice(0, 17), slice(17, 49), slice(49, 50)):
        exact.update(scores[rows], classes[rows])
    assert exact.compute() == Accuracy()(scores, np.eye(4)[classes]) == np.mean(scores.argmax(1) == classes)


def test_the_small_functions():
    grads = {"w": np.array([[3.0], [0.0]]), "b": Tensor([4.0])}
    clipped, norm = clip_gradients(grads, max_norm=1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["b"], [0.8], rtol=1e-6)
    assert grads["b"].data == 4.0
    assert learning_rate_schedule(20, 1.0, 0.5, 10) == 0.25
