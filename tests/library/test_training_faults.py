"""What goes wrong while training: damaged and foreign files, full disks, Ctrl-C, and numbers that are not finite.

Each of these is refused or survived: the message names it, the state of training is as it was, bit for bit, and the run
goes on as if nothing had happened.
"""

import contextlib
import copy
import importlib.util
import json
import math
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.library.conformance import X, Y, batches, classifier, everything, require_same
from tests.library.test_checkpoint import Bomb, small_disk
from tinytorch import checkpoint
from tinytorch.core import training
from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from tinytorch.core.tensor import autograd
from tinytorch.core.training import CosineSchedule, EarlyStopping, StepDecay, Trainer
from tinytorch.random import default_generator, manual_seed

CORE = Path(training.__file__).parent
ROOT = Path(__file__).resolve().parents[2]


class Shuffled:
    """Batches in an order that the default generator draws anew for each epoch; it knows how often it was read."""

    def __init__(self):
        self.reads = 0

    def __iter__(self):
        self.reads += 1
        return ((X[rows], Y[rows]) for rows in np.array_split(default_generator.permutation(len(X)), 4))

    def state_dict(self):
        return {"reads": self.reads}

    def load_state_dict(self, state):
        self.reads = state["reads"]


def fresh(seed=0, optimizer=Adam, **options):
    options = {"dropout": 0.3, "scheduler": StepDecay(0.02, 2, 0.5), "grad_clip_norm": 1.0} | options
    return classifier(seed, optimizer, **options)


def trained(seed=0, epochs=2, **options):
    """A Trainer in the middle of a run: two epochs behind it, early stopping that has counted, moments, a rate."""
    trainer = fresh(seed, **options)
    trainer.fit(Shuffled(), batches(24), epochs=epochs, verbose=False, early_stopping=EarlyStopping(3))
    return trainer


def go_on(trainer):
    """One more epoch; all that training has moved then."""
    stop = trainer.early_stopping or EarlyStopping(3)
    trainer.fit(Shuffled(), batches(24), epochs=1, verbose=False, early_stopping=stop)
    return everything(trainer)


@pytest.fixture(scope="module")
def one_epoch_later():
    """Where `trained()` is after another epoch, when nothing has happened to it."""
    return go_on(trained())


@pytest.fixture(scope="module")
def good_file(tmp_path_factory):
    """The bytes of a checkpoint that fits, and in which everything is different from `trained()`."""
    path = tmp_path_factory.mktemp("good") / "run"
    trained(seed=5, epochs=3).save_checkpoint(path)
    return path.read_bytes()


@contextlib.contextmanager
def unharmed(trainer, expected):
    """Fail unless what happens inside changes nothing, and the run goes on as it would have."""
    before = everything(trainer)
    yield
    require_same(everything(trainer), before)
    require_same(go_on(trainer), expected, "an epoch later")


def require_refused(trainer, path, *words, error=ValueError):
    """Loading `path` raises an `error` that names the file and holds the words, and changes nothing."""
    before = everything(trainer)
    with pytest.raises(error) as caught:
        trainer.load_checkpoint(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert re.search(word, str(caught.value)), f"{word} is not in: {caught.value}"
    require_same(everything(trainer), before, str(caught.value))


def test_the_good_file_would_change_everything(good_file, tmp_path):
    trainer, path = trained(), tmp_path / "run"
    path.write_bytes(good_file)
    before = everything(trainer)
    trainer.load_checkpoint(path)
    after = everything(trainer)
    changed = {name for name in before if before[name] != after[name]}
    assert changed >= {"model", "optimizer", "early stopping", "history", "generator", "epoch", "step", "updates"}


# --- damaged files ---


def test_a_checkpoint_cut_at_every_percent_of_its_length(good_file, tmp_path, one_epoch_later):
    trainer, path = trained(), tmp_path / "run"
    with unharmed(trainer, one_epoch_later):
        for percent in range(100):
            path.write_bytes(good_file[: len(good_file) * percent // 100])
            require_refused(trainer, path, "is empty" if percent == 0 else "cut short")


def test_a_checkpoint_with_a_flipped_bit(good_file, tmp_path, one_epoch_later):
    trainer, path, rng = trained(), tmp_path / "run", random.Random(0)
    places = [*range(8 * 40), *(rng.randrange(8 * len(good_file)) for _ in range(300))]
    with unharmed(trainer, one_epoch_later):
        for place in places:
            damaged = bytearray(good_file)
            damaged[place // 8] ^= 1 << place % 8
            path.write_bytes(damaged)
            require_refused(trainer, path)


DAMAGES = {
    "a byte more": lambda data: data + b"\0",
    "twice": lambda data: data + data,
    "a sector of zeros": lambda data: data[:4096] + bytes(512) + data[4608:],
    "a sector is missing": lambda data: data[:4096] + data[4608:],
    "two sectors are swapped": lambda data: data[:4096] + data[4608:5120] + data[4096:4608] + data[5120:],
    "zeros of the same length": lambda data: bytes(len(data)),
    "the first half": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "line ends were converted": lambda data: data.replace(b"\n", b"\r\n") + b"\r\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_was_damaged(damage, good_file, tmp_path, one_epoch_later):
    trainer, path = trained(), tmp_path / "run"
    path.write_bytes(DAMAGES[damage](good_file))
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, path)


# --- files of others ---


def another_model(*layers, optimizer=Adam):
    manual_seed(8)
    model = Sequential(*(layer() for layer in layers))
    trainer = Trainer(model, optimizer(model.parameters(), lr=0.01), CrossEntropyLoss(), StepDecay(0.02, 2))
    trainer.train_epoch(batches(12))
    return trainer


def first():
    return Linear(6, 8)


def last():
    return Linear(8, 3)


FOREIGN = {
    "wider": (lambda: trained(8, hidden=9), [r"0\.weight", r"\(8, 6\)", r"\(9, 6\)"]),
    "deeper": (lambda: another_model(first, ReLU, Dropout, last, ReLU, lambda: Linear(3, 3)), [r"5\.weight"]),
    "other names": (lambda: another_model(first, last), [r"1\.weight", r"3\.weight"]),
    "without a bias": (lambda: another_model(first, ReLU, Dropout, lambda: Linear(8, 3, bias=False)), [r"3\.bias"]),
    "another optimizer": (lambda: trained(8, optimizer=RMSprop), ["Adam", "RMSprop"]),
    "another schedule": (lambda: trained(8, scheduler=CosineSchedule()), ["StepDecay", "CosineSchedule"]),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_checkpoint_of_another_run(what, tmp_path, one_epoch_later):
    make, words = FOREIGN[what]
    make().save_checkpoint(tmp_path / "other")
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, tmp_path / "other", *words)


def test_a_checkpoint_of_an_optimizer_with_other_groups(tmp_path):
    def grouped(seed, sizes):
        manual_seed(seed)
        model = Sequential(first(), ReLU(), last())
        params = iter(model.parameters())
        groups = [{"params": [next(params) for _ in range(size)]} for size in sizes]
        trainer = Trainer(model, Adam(groups, lr=0.01), CrossEntropyLoss())
        trainer.train_epoch(batches(12))
        return trainer

    grouped(1, (1, 3)).save_checkpoint(tmp_path / "other")
    expected = everything_after_an_epoch(grouped(0, (2, 2)))
    trainer = grouped(0, (2, 2))
    require_refused(trainer, tmp_path / "other", "groups")
    assert everything_after_an_epoch(trainer) == expected


def everything_after_an_epoch(trainer):
    trainer.train_epoch(batches(12))
    return everything(trainer)


def test_a_checkpoint_of_a_model_with_other_generators(tmp_path, one_epoch_later):
    other = trained(8)
    other.model[2].rng = np.random.default_rng(0)
    other.save_checkpoint(tmp_path / "other")
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, tmp_path / "other", "generator")


@pytest.mark.parametrize("info", [None, [], "text", 3, {}, {"state": {}}, {"epoch": 4}])
def test_a_plain_checkpoint(info, tmp_path, one_epoch_later):
    checkpoint.save(tmp_path / "plain", trained(8).model.state_dict(), info)
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, tmp_path / "plain", "not of a Trainer", r"0\.weight")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_disguised_as_a_checkpoint(protocol, tmp_path, one_epoch_later):
    path, marker = tmp_path / "best_model.pkl", tmp_path / "marker"
    path.write_bytes(pickle.dumps(Bomb(marker), protocol))
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, path, "is a pickle")
        assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the bomb would not have gone off"


def test_a_pickle_behind_the_beginning_of_a_checkpoint(good_file, tmp_path, one_epoch_later):
    path, marker = tmp_path / "best_model.pkl", tmp_path / "marker"
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        for bomb in (pickle.dumps(Bomb(marker), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)):
            for beginning in (good_file, good_file[:8], good_file[:4000]):
                path.write_bytes(beginning + bomb)
                require_refused(trainer, path)
    assert not marker.exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch")
def test_a_file_of_pytorch(tmp_path, one_epoch_later):
    import torch

    torch.save(torch.nn.Linear(6, 8).state_dict(), tmp_path / "model.pt")
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, tmp_path / "model.pt", "zip archive")


def test_a_folder_and_a_missing_file(tmp_path, one_epoch_later):
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, tmp_path, "folder")
        require_refused(trainer, tmp_path / "nowhere", error=FileNotFoundError)


# --- files that are whole, and that no Trainer has written ---

KEYS = (
    *("model", "optimizer", "scheduler", "generators", "history"),
    *("epoch", "step", "updates", "skipped", "training_mode"),
)


def forged(path, good_file, change):
    """At `path` the good checkpoint with a right SHA-256, after `change` was called with its state."""
    path.write_bytes(good_file)
    tensors, info = checkpoint.load(path)
    change(info["state"], tensors)
    checkpoint.save(path, tensors, info)


@pytest.mark.parametrize("key", KEYS)
def test_a_state_that_lacks_a_part(key, good_file, tmp_path, one_epoch_later):
    trainer, path = trained(), tmp_path / "forged"
    forged(path, good_file, lambda state, tensors: state.pop(key))
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, path, key)


FORGERIES = {
    "no model": lambda state, tensors: state.update(model={}),
    "a model of text": lambda state, tensors: state.update(model={name: "text" for name in state["model"]}),
    "no array": lambda state, tensors: tensors.pop("model.0.weight"),
    "another shape": lambda state, tensors: tensors.update({"model.0.weight": np.zeros((6, 8), np.float32)}),
    "moments of another shape": lambda state, tensors: tensors.update(
        {name: np.zeros(2, np.float32) for name in tensors if "exp_avg" in name}
    ),
    "no moments": lambda state, tensors: (
        state["optimizer"]["state"]["state"]["$items"][0][1].clear()
        or state["optimizer"]["state"]["state"]["$items"][0][1].update(step=3)
    ),
    "a rate of text": lambda state, tensors: state["optimizer"]["state"]["param_groups"][0].update(lr="fast"),
    "a negative rate": lambda state, tensors: state["optimizer"]["state"]["param_groups"][0].update(lr=-1.0),
    "no optimizer's state": lambda state, tensors: state["optimizer"].pop("state"),
    "optimizer is a list": lambda state, tensors: state.update(optimizer=[1, 2]),
    "generators are numbers": lambda state, tensors: state.update(generators=[3]),
    "another kind of generator": lambda state, tensors: state["generators"][0].update(bit_generator="MT19937"),
    "an unknown mark": lambda state, tensors: state["scheduler"]["attributes"].update(gamma={"$run": 1}),
    "a parameter that is not there": lambda state, tensors: state["optimizer"].update(state={"$parameter": 99}),
    "history is a number": lambda state, tensors: state.update(history=3),
    "history without epochs": lambda state, tensors: state["history"].pop("epoch"),
    "early stopping of another class": lambda state, tensors: state["early_stopping"].update(state={}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_state_that_no_trainer_has_written(forgery, good_file, tmp_path, one_epoch_later):
    trainer, path = trained(), tmp_path / "forged"
    forged(path, good_file, FORGERIES[forgery])
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, path)


@pytest.mark.parametrize("missing", ["environment", "state"])
def test_a_file_without_environment_or_state(missing, good_file, tmp_path, one_epoch_later):
    trainer, path = trained(), tmp_path / "forged"
    path.write_bytes(good_file)
    tensors, info = checkpoint.load(path)
    del info[missing]
    checkpoint.save(path, tensors, info)
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, path)


def test_a_state_dict_of_another_run_changes_nothing(one_epoch_later):
    state, trainer = trained(8, hidden=9).state_dict(), trained()
    with unharmed(trainer, one_epoch_later), pytest.raises(ValueError, match=r"0\.weight"):
        trainer.load_state_dict(state)


class Patience:
    """Another early stopping, whose state is its attributes."""

    left = 5

    def __call__(self, val_loss, params=None):
        self.left = self.left - 1
        return self.left == 0


@pytest.fixture
def refused_late(tmp_path):
    """A checkpoint that is refused when all but its early stopping has been written already."""
    trainer = fresh(8)
    trainer.fit(Shuffled(), batches(24), epochs=1, verbose=False, early_stopping=Patience())
    trainer.model.eval()
    trainer.save_checkpoint(tmp_path / "late")
    return tmp_path / "late"


def test_a_checkpoint_of_another_early_stopping(refused_late, one_epoch_later):
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        require_refused(trainer, refused_late, "Patience", "EarlyStopping")


def test_a_refused_checkpoint_leaves_the_next_loader_alone(refused_late):
    trainer, loader = trained(), Shuffled()
    require_refused(trainer, refused_late)
    loader.reads = 10
    trainer.train_epoch(loader)
    assert loader.reads == 11


def test_a_refused_checkpoint_leaves_frozen_layers_frozen(refused_late):
    trainer = trained()
    trainer.model[2].eval()
    require_refused(trainer, refused_late)


# --- disks ---


def test_a_full_disk(tmp_path, one_epoch_later):
    with small_disk(tmp_path / "disk") as disk:
        trainer, path = trained(), disk / "best"
        trainer.save_checkpoint(path)
        old = path.read_bytes()
        with contextlib.suppress(OSError), open(disk / "ballast", "wb") as ballast:
            ballast.write(bytes(2_000_000))
        with unharmed(trainer, one_epoch_later), pytest.raises(OSError, match="No space left on device.*best"):
            trainer.save_checkpoint(path)
        assert path.read_bytes() == old and sorted(os.listdir(disk)) == ["ballast", "best"]
        with pytest.raises(OSError, match="best"):
            trainer.fit(Shuffled(), epochs=2, verbose=False, save_best=True, checkpoint_path=path)
        assert path.read_bytes() == old
        assert {len(values) for values in trainer.history.values()} == {trainer.epoch}
        os.remove(disk / "ballast")
        trainer.save_checkpoint(path)
        require_resumable(trainer, path, fresh)


@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="limits of file sizes are those of POSIX")
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_disk_that_takes_no_more_bytes(share, tmp_path, one_epoch_later):
    import resource

    trainer, path = trained(), tmp_path / "best"
    trainer.save_checkpoint(path)
    old, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    with unharmed(trainer, one_epoch_later):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(old)), limits[1]))
        try:
            with pytest.raises(OSError, match="best"):
                trainer.save_checkpoint(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == old and os.listdir(tmp_path) == ["best"]


def test_a_place_where_no_file_can_be(tmp_path, one_epoch_later):
    (tmp_path / "file").touch()
    trainer = trained()
    with unharmed(trainer, one_epoch_later):
        with pytest.raises(ValueError, match="folder"):
            trainer.save_checkpoint(tmp_path)
        with pytest.raises(OSError, match="file"):
            trainer.save_checkpoint(tmp_path / "file" / "below")


# --- Ctrl-C ---


class AtCall:
    """A function that works as `function` does, and raises KeyboardInterrupt instead at its `count`-th call."""

    def __init__(self, function, count):
        self.function, self.left = function, count

    def __call__(self, *given, **named):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.function(*given, **named)


class StopsReading(list):
    """A loader that is interrupted at batch `at`, counted over all epochs; once."""

    at = math.inf

    def __iter__(self):
        for batch in super().__iter__():
            self.at -= 1
            if self.at == -1:
                raise KeyboardInterrupt
            yield batch


def nothing(*given):
    """What is replaced in a part that has no such method."""


def interrupted_fit(trainer, place, count, path):
    """`fit` of three epochs, with Ctrl-C at the `count`-th time that the run comes to `place`; returns the history."""
    train, val, stop = StopsReading(batches(12)), StopsReading(batches(24)), EarlyStopping(9)
    owner, name = {
        "forward": (trainer.model, "forward"),
        "loss": (trainer, "loss_fn"),
        "backward": (autograd, "backward"),
        "optimizer": (trainer.optimizer, "step"),
        "zero_grad": (trainer.optimizer, "zero_grad"),
        "schedule": (trainer.scheduler, "get_lr"),
        "metric": (trainer.metrics[0], "update"),
        "saving": (os, "fsync"),
        "replacing": (os, "replace"),
    }.get(place, (None, None))
    if place in ("train", "val"):
        vars(train if place == "train" else val)["at"] = count - 1
    if place.startswith("on_"):
        trainer.callbacks.append(SimpleNamespace(**{place: AtCall(nothing, count)}))
    if place == "early stopping":
        stop = AtCall(stop, count)
        stop.state_dict, stop.load_state_dict = stop.function.state_dict, stop.function.load_state_dict
    with pytest.MonkeyPatch.context() as patch:
        if owner is not None:
            patch.setattr(owner, name, AtCall(getattr(owner, name) or nothing, count))
        try:
            return trainer.fit(
                train, val, epochs=3, verbose=False, save_best=True, checkpoint_path=path, early_stopping=stop
            )
        except KeyboardInterrupt:  # which would end the whole run of tests
            raise AssertionError("fit did not return") from None


class Half:
    """A metric that can be interrupted."""

    name = "half"

    def __call__(self, predictions, targets):
        return 0.5

    def update(self, predictions, targets):
        pass

    def reset(self):
        pass

    def compute(self):
        return 0.5


def watched(seed=0):
    return fresh(seed, metrics=[Half()])


PLACES = {
    "train": (1, 2, 4, 5, 12),
    "val": (1, 2, 3),
    "forward": (1, 3, 5, 6, 18),
    "loss": (1, 4, 5, 13),
    "backward": (1, 2, 12),
    "optimizer": (1, 2, 12),
    "zero_grad": (1, 5),
    "schedule": (1, 2, 3),
    "metric": (1, 5, 6, 7),
    "early stopping": (1, 2, 3),
    "saving": (1, 2),
    "replacing": (1, 2),
    "on_epoch_start": (1, 2, 3),
    "on_batch_end": (1, 4, 5, 12),
    "on_epoch_end": (1, 2, 3),
}


def require_complete(trainer):
    """Every list of the history has one entry for each epoch that is counted."""
    assert {name: len(values) for name, values in trainer.history.items()} == dict.fromkeys(
        trainer.history, trainer.epoch
    )
    assert trainer.history["epoch"] == list(range(trainer.epoch))
    assert all(map(math.isfinite, trainer.history["train_loss"]))


def require_resumable(trainer, path, make):
    """A checkpoint that is saved now loads, and both runs go on alike."""
    trainer.save_checkpoint(path)
    resumed = make(seed=9)
    resumed.load_checkpoint(path)
    expected = everything(trainer)
    del expected["early stopping"]  # the resumed run has it from its next fit on
    require_same(everything(resumed), expected, "after loading")
    expected = go_on(trainer)
    require_complete(trainer)
    assert math.isfinite(trainer.history["val_loss"][-1])
    resumed.load_checkpoint(path)
    require_same(go_on(resumed), expected, "an epoch later")


@pytest.mark.parametrize(("place", "count"), [(place, count) for place, counts in PLACES.items() for count in counts])
def test_ctrl_c_at(place, count, tmp_path, capsys):
    trainer = watched()
    history = interrupted_fit(trainer, place, count, tmp_path / "best")
    assert history is trainer.history
    require_complete(trainer)
    assert f"{trainer.epoch} complete epochs" in capsys.readouterr().err
    assert all(np.isfinite(value).all() for value in trainer.model.state_dict().values())
    assert {module.training for module in trainer.model.modules()} == {True}
    trainer.callbacks.clear()
    require_resumable(trainer, tmp_path / "c", watched)
    assert set(os.listdir(tmp_path)) <= {"best", "c"}


@pytest.mark.parametrize("event", ["on_fit_start", "on_fit_end"])
def test_ctrl_c_outside_of_the_epochs(event, tmp_path):
    trainer = watched()
    trainer.callbacks.append(SimpleNamespace(**{event: AtCall(nothing, 1)}))
    with contextlib.suppress(KeyboardInterrupt):
        trainer.fit(Shuffled(), batches(24), epochs=2, verbose=False)
    require_complete(trainer)
    trainer.callbacks.clear()
    require_resumable(trainer, tmp_path / "c", watched)


class AtLine:
    """A trace that raises KeyboardInterrupt at the `at`-th line for which `counts(file name, function)` holds."""

    def __init__(self, at, counts):
        self.left, self.counts, self.where = at, counts, None

    def __call__(self, frame, event, _):
        code = frame.f_code
        if Path(code.co_filename).parent != CORE or not self.counts(Path(code.co_filename).stem, code.co_name):
            return None
        self.left -= event == "line"
        if self.left == 0 and event == "line":
            sys.settrace(None)
            self.where = f"{Path(code.co_filename).name}:{frame.f_lineno}, {code.co_name}"
            raise KeyboardInterrupt
        return self


def interrupted_at_line(at, counts, run):
    """Call `run` with Ctrl-C at a line; returns (where that was or None, how many lines were left to count)."""
    trace, before = AtLine(at, counts), sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except KeyboardInterrupt:
        pass  # before the first epoch or after the last: there is nothing for `fit` to put in order
    finally:
        sys.settrace(before)
    return trace.where, trace.left


def lines_of(counts, make, run):
    """How many lines `run(make(0))` has for which `counts` holds, once what is computed only once is known."""
    for _ in range(2):
        trainer = make(0)
        _, left = interrupted_at_line(10**9, counts, lambda: run(trainer))  # noqa: B023  called at once
    return 10**9 - left


def require_survived(make, counts, tmp_path, step, fit):
    """Interrupt `fit` of a new run at every `step`-th line; each time it must be resumable and go on."""
    total = lines_of(counts, make, fit)
    assert total > 10 * step
    for at in range(1, total + 1, step):
        trainer = make(0)
        where, _ = interrupted_at_line(at, counts, lambda: fit(trainer))  # noqa: B023  called at once
        assert where, f"line {at} of {total} was not reached"
        try:
            require_complete(trainer)
            assert {module.training for module in trainer.model.modules()} == {True}, "layers are in different modes"
            require_resumable(trainer, tmp_path / "c", make)
        except (AssertionError, ValueError, RuntimeError) as error:
            raise AssertionError(f"interrupted at {where}: {error}") from error


def short_fit(trainer, epochs=2):
    trainer.fit(batches(24), batches(48), epochs=epochs, verbose=False, early_stopping=EarlyStopping(3))


SWITCHES = {"train", "eval", "__setattr__", "restore_modes", "training_mode", "run_epoch"}


def elsewhere(file, function):
    """Whether no test of its own interrupts the function at each of its lines."""
    return file not in ("optimizers",) and function not in SWITCHES | {"__enter__", "__exit__", "validate_epoch"}


def test_ctrl_c_at_many_lines_of_fit(tmp_path):
    require_survived(fresh, elsewhere, tmp_path, 83, short_fit)


STEPS = [
    (SGD, {"momentum": 0.9}),
    (RMSprop, {"centered": True, "momentum": 0.5}),
    (Adam, {}),
    (AdamW, {}),
    (Adagrad, {}),
]


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [pytest.param(cls, options, id=cls.__name__) for cls, options in STEPS],
)
def test_ctrl_c_inside_of_the_first_steps(optimizer, options, tmp_path):
    def make(seed):
        manual_seed(seed)
        model = Sequential(Linear(6, 3))
        return Trainer(model, optimizer(model.parameters(), lr=0.01, **options), CrossEntropyLoss())

    def rule(file, function):
        return file == "optimizers" and (function.endswith("_rule") or function in ("accumulate", "buffer", "step"))

    require_survived(make, rule, tmp_path, 1, lambda trainer: trainer.fit(batches(24), epochs=1, verbose=False))


def test_ctrl_c_while_modes_are_switched(tmp_path):
    require_survived(fresh, lambda file, function: function in SWITCHES, tmp_path, 1, lambda t: short_fit(t, 1))


def test_ctrl_c_at_the_end_of_no_grad(tmp_path, monkeypatch):
    monkeypatch.setattr(autograd, "enabled", True)  # put back for the tests after this one
    names = {"__enter__", "__exit__", "validate_epoch"}
    require_survived(fresh, lambda file, function: function in names, tmp_path, 1, lambda t: short_fit(t, 1))


def test_ctrl_c_at_many_lines_of_loading(good_file, tmp_path):
    path = tmp_path / "run"
    path.write_bytes(good_file)
    lines = lines_of(elsewhere, trained, lambda trainer: trainer.load_checkpoint(path))
    trainer = trained()
    old = everything(trainer)
    trainer.load_checkpoint(path)
    new = everything(trainer)
    for at in range(1, lines, 29):
        trainer = trained()
        where, _ = interrupted_at_line(at, elsewhere, lambda: trainer.load_checkpoint(path))  # noqa: B023  at once
        assert where
        got = everything(trainer)
        require_same(got, new if got["epoch"] == new["epoch"] else old, f"interrupted at {where}:")


CHILD = """if True:
    import json, signal, sys
    from types import SimpleNamespace
    from tests.library.test_training_faults import fresh, Shuffled, batches
    from tinytorch.core.training import EarlyStopping

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have switched it off for its children
    ready = lambda trainer: trainer.epoch == before + 1 and print("ready", flush=True)
    trainer = fresh()
    trainer.callbacks.append(SimpleNamespace(on_epoch_start=ready))
    for k in range(int(sys.argv[2])):
        before = trainer.epoch
        history = trainer.fit(Shuffled(), batches(24), epochs=10**6, verbose=False, early_stopping=EarlyStopping(10**9))
        trainer.save_checkpoint(f"{sys.argv[1]}/{k}")
        print(json.dumps({"epoch": trainer.epoch, "lengths": [len(values) for values in history.values()]}), flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process there")
def test_ctrl_c_from_the_keyboard(tmp_path):
    rounds, rng = 6, random.Random(0)
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(rounds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        watchdog = threading.Timer(120, child.kill)
        watchdog.start()
        for _ in range(rounds):
            assert child.stdout.readline() == "ready\n", child.communicate()[1]
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(rng.uniform(0, 0.05))
            child.send_signal(signal.SIGINT)
            said = json.loads(child.stdout.readline())
            assert set(said["lengths"]) == {said["epoch"]}
        errors = child.communicate()[1]
        watchdog.cancel()
    assert child.returncode == 0 and errors.count("interrupted; the model is usable") == rounds
    for k in range(rounds):
        trainer = fresh(seed=3)
        trainer.load_checkpoint(tmp_path / str(k))
        assert len(trainer.history["epoch"]) == trainer.epoch > k
        require_resumable(trainer, tmp_path / "c", fresh)


# --- losses and gradients that are not finite ---

BAD = np.full((6, 6), np.nan, np.float32), np.zeros(6, np.int64)
TEXT = r"(?=.*\bepoch {}\b)(?=.*\bbatch {}\b)"


def with_bad(*places, size=12):
    """Good batches with bad ones inserted, so that these stand at `places`."""
    data = batches(size)
    for place in places:
        data.insert(place, BAD)
    return data


class BadLoss:
    """A cross-entropy that for batches of 6 samples is infinite with finite gradients, or the other way round."""

    def __init__(self, kind):
        self.kind, self.loss = kind, CrossEntropyLoss()

    def __call__(self, predictions, targets):
        loss = self.loss(predictions, targets)
        if len(targets.data) != 6:
            return loss
        return loss + math.inf if self.kind == "loss" else loss + (predictions * 0).sum().sqrt()


SOUND = np.ones((6, 6), np.float32), np.zeros(6, np.int64)


def with_small(*places):
    """Good batches of 12, and sound ones of 6, for which BadLoss is bad, at `places`."""
    data = batches(12)
    for place in places:
        data.insert(place, SOUND)
    return data


KINDS = {  # how a batch is bad: the loss function, and where to put the batch
    "nan in the batch": (CrossEntropyLoss, with_bad),
    "loss": (lambda: BadLoss("loss"), with_small),
    "gradient": (lambda: BadLoss("gradient"), with_small),
}
OPTIONS = {"adam": {}, "clipped": {"grad_clip_norm": 0.1}, "momentum": {"optimizer": SGD}}


def run_with(nonfinite, kind="nan in the batch", **options):
    options = {"scheduler": StepDecay(0.02, 2, 0.5)} | options
    return classifier(loss=KINDS[kind][0](), nonfinite=nonfinite, **options)


@contextlib.contextmanager
def caught_warnings():
    """The RuntimeWarnings that name an epoch; NumPy's own about the arithmetic are no matter here."""
    found = []
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        yield found
    found += [w for w in caught if issubclass(w.category, RuntimeWarning) and "epoch" in str(w.message)]


def learned(trainer):
    """What a step moves, and the history."""
    state = everything(trainer)
    return {name: state[name] for name in ("model", "optimizer", "history", "updates", "epoch")}


def test_the_kinds_of_bad_batches_are_what_they_are_called():
    for kind, finite in {"loss": (False, True), "gradient": (True, False)}.items():
        trainer = run_with("warn", kind)
        loss = trainer.loss_fn(trainer.model(training.as_tensor(SOUND[0])), training.as_tensor(SOUND[1]))
        with np.errstate(all="ignore"):
            loss.backward()
        gradients = all(np.isfinite(p.grad.data).all() for p in trainer.model.parameters())
        assert (math.isfinite(loss.item()), gradients) == finite


def test_nonfinite_is_warn_unless_something_else_is_said():
    assert classifier().nonfinite == "warn"
    with pytest.raises(TypeError):
        Trainer(classifier().model, classifier().optimizer, CrossEntropyLoss(), None, None, "skip")


@pytest.mark.parametrize("value", ["ignore", None, True, "Skip", ""])
def test_nonfinite_of_another_value_lists_the_three(value):
    with pytest.raises(ValueError) as caught:
        classifier(nonfinite=value)
    assert all(word in str(caught.value) for word in ("'warn'", "'skip'", "'raise'", repr(value)))


# warn


def test_warn_names_epoch_and_batch():
    trainer = run_with("warn")
    with caught_warnings() as found:
        trainer.train_epoch(with_bad())
        trainer.train_epoch(with_bad(2))
    assert len(found) == 1 and re.match(TEXT.format(1, 2), str(found[0].message), re.DOTALL)


def test_warn_is_said_once_an_epoch():
    trainer = run_with("warn", "loss")
    with caught_warnings() as found:
        trainer.fit(with_small(1, 3), epochs=3, verbose=False)
    assert len(found) == 3
    for epoch, warning in enumerate(found):
        assert re.match(TEXT.format(epoch, 1), str(warning.message), re.DOTALL)


@pytest.mark.parametrize("limit", [None, math.inf, 0.1])
def test_warn_takes_the_step(limit):
    bad, good = run_with("warn", "loss", grad_clip_norm=limit), run_with("warn", grad_clip_norm=limit)
    with caught_warnings():
        bad.train_epoch(with_small(1))
    good.train_epoch(with_small(1))
    for part in ("model", "optimizer", "updates", "skipped"):
        assert everything(bad)[part] == everything(good)[part]
    assert bad.updates == 5 and bad.history["train_loss"] == [math.inf]


def test_warn_takes_the_step_as_pytorch_does():
    trainer = run_with("warn")
    with caught_warnings():
        trainer.train_epoch(with_bad(3))
    assert all(np.isnan(value).all() for value in trainer.model.state_dict().values())
    assert (trainer.updates, trainer.skipped) == (5, 0) and math.isnan(trainer.history["train_loss"][0])


def test_warn_works_with_accumulation():
    trainer = run_with("warn", "loss")
    with caught_warnings() as found:
        trainer.train_epoch(with_small(3), accumulation_steps=2)
    assert [bool(re.match(TEXT.format(0, 3), str(w.message), re.DOTALL)) for w in found] == [True]
    assert (trainer.updates, trainer.skipped) == (3, 0)


def test_nothing_is_said_while_all_is_finite():
    for nonfinite in ("warn", "skip", "raise"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trainer = run_with(nonfinite)
            trainer.fit(with_small(1), batches(24), epochs=2, verbose=False)
        assert (trainer.updates, trainer.skipped) == (10, 0)


def test_an_evaluation_is_no_reason_to_leave_out_a_step():
    for nonfinite in ("warn", "skip", "raise"):
        trainer, other = run_with(nonfinite), run_with(nonfinite)
        with caught_warnings() as found:
            assert math.isnan(trainer.evaluate([BAD])[0])
            trainer.train_epoch(batches(12))
        other.train_epoch(batches(12))
        assert found == [] and everything(trainer)["model"] == everything(other)["model"]


# skip


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_skip_leaves_parameters_and_moments_as_they_are(kind, options):
    trainer, good = (run_with("skip", kind, **OPTIONS[options]) for _ in range(2))
    with caught_warnings():
        trainer.fit(KINDS[kind][1](0, 3), epochs=2, verbose=False)
    good.fit(batches(12), epochs=2, verbose=False)
    for part in ("model", "optimizer", "updates"):
        assert learned(trainer)[part] == learned(good)[part], part


@pytest.mark.parametrize("kind", KINDS)
def test_skip_counts(kind):
    trainer = run_with("skip", kind)
    with caught_warnings():
        trainer.fit(KINDS[kind][1](0, 3), epochs=2, verbose=False)
    assert (trainer.skipped, trainer.updates, trainer.epoch) == (4, 8, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_skip_warns_by_name(kind):
    trainer = run_with("skip", kind)
    with caught_warnings() as found:
        trainer.train_epoch(batches(12))
        trainer.train_epoch(KINDS[kind][1](2))
    assert len(found) == 1 and re.match(TEXT.format(1, 2), str(found[0].message), re.DOTALL)


@pytest.mark.parametrize("kind", ["nan in the batch", "loss"])
def test_skip_leaves_the_batch_out_of_the_means(kind):
    def half(guesses, targets):
        return len(guesses.data) / 100

    trainer, good = (run_with("skip", kind, metrics=[half], grad_clip_norm=5.0) for _ in range(2))
    with caught_warnings():
        trainer.train_epoch(KINDS[kind][1](0, 3))
    good.train_epoch(batches(12))
    assert learned(trainer)["history"] == learned(good)["history"]


def test_a_finite_loss_counts_in_the_means_also_where_its_gradient_is_skipped():
    trainer = run_with("skip", "gradient")
    with caught_warnings():
        result = trainer.train_epoch(KINDS["gradient"][1](1))
    assert math.isfinite(result["loss"]) and trainer.skipped == 1


@pytest.mark.parametrize("kind", ["nan in the batch", "loss"])
def test_skip_of_every_batch_is_an_error(kind):
    trainer = run_with("skip", kind)
    before = everything(trainer)["model"]
    bad = [KINDS[kind][1](0)[0]] * 3
    with caught_warnings(), pytest.raises(ValueError, match="epoch 0"):
        trainer.train_epoch(bad)
    assert everything(trainer)["model"] == before
    assert trainer.epoch == 0 and trainer.history["epoch"] == [] and trainer.skipped == 3
    trainer.train_epoch(batches(12))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_skip_leaves_out_the_whole_update(kind, place):
    trainer, good = (run_with("skip", kind) for _ in range(2))
    data = KINDS[kind][1](place)
    with caught_warnings() as found:
        trainer.train_epoch(data, accumulation_steps=2)
    group = place // 2 * 2
    good.train_epoch(data[:group] + data[group + 2 :], accumulation_steps=2)
    for part in ("model", "optimizer", "updates"):
        assert learned(trainer)[part] == learned(good)[part], part
    assert (trainer.updates, trainer.skipped, len(found)) == (2, 1, 1)


def test_skip_is_kept_by_a_checkpoint(tmp_path):
    trainer = run_with("skip")
    with caught_warnings():
        trainer.train_epoch(with_bad(1))
    trainer.save_checkpoint(tmp_path / "c")
    other = run_with("skip")
    other.load_checkpoint(tmp_path / "c")
    assert other.skipped == 1


# raise


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_raise_names_epoch_and_batch_and_leaves_the_parameters(kind, options):
    trainer, good = (run_with("raise", kind, **OPTIONS[options]) for _ in range(2))
    data = KINDS[kind][1](3)
    for run in (trainer, good):
        run.train_epoch(batches(12))
    with caught_warnings(), pytest.raises(FloatingPointError) as caught:
        trainer.fit(data, epochs=2, verbose=False)
    assert re.match(TEXT.format(1, 3), str(caught.value), re.DOTALL)
    good.train_epoch(data[:3])
    for part in ("model", "optimizer", "updates"):
        assert learned(trainer)[part] == learned(good)[part], part
    require_complete(trainer)


@pytest.mark.parametrize("kind", KINDS)
def test_raise_leaves_out_the_whole_update(kind):
    trainer, good = (run_with("raise", kind) for _ in range(2))
    data = KINDS[kind][1](2)
    with caught_warnings(), pytest.raises(FloatingPointError) as caught:
        trainer.train_epoch(data, accumulation_steps=2)
    assert re.search(r"\bepoch 0\b", str(caught.value)) and re.search(r"\bbatch [23]\b", str(caught.value))
    good.train_epoch(data[:2], accumulation_steps=2)
    for part in ("model", "optimizer", "updates"):
        assert learned(trainer)[part] == learned(good)[part], part


def test_training_goes_on_after_raise():
    trainer = run_with("raise")
    with caught_warnings(), pytest.raises(FloatingPointError):
        trainer.train_epoch(with_bad(1))
    state = copy.deepcopy(learned(trainer)["model"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit(batches(12), epochs=1, verbose=False)
    assert learned(trainer)["model"] != state and math.isfinite(trainer.history["train_loss"][0])
