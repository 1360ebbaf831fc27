"""Loaders on real data, as later modules use them. `tito module complete` runs this on the student's package."""

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.dataloader import (
    Compose,
    DataLoader,
    Normalize,
    RandomHorizontalFlip,
    Subset,
    TensorDataset,
    random_split,
)
from tinytorch.core.layers import Dropout, Flatten, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.metrics import Accuracy
from tinytorch.core.optimizers import Adam
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import CosineSchedule, Trainer
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import default_generator, manual_seed

IMAGES, LABELS = load_digits()
TRAIN, TEST = digits_split()
BYTES = IMAGES.astype(np.uint8).reshape(-1, 1, 8, 8)
TO_INK = Normalize(0, 16)
FLIPPED = Compose([RandomHorizontalFlip(0.3), TO_INK])


def digits(rows, **options):
    return DataLoader(Subset(TensorDataset(BYTES, LABELS), rows), 32, transform=TO_INK, **options)


def run(seed=0, callbacks=(), **options):
    manual_seed(seed)
    model = Sequential(Flatten(), Linear(64, 32), ReLU(), Dropout(0.2), Linear(32, 10))
    optimizer = Adam(model.parameters(), lr=0.01)
    schedule = CosineSchedule(0.02, 0.001, 4)
    return Trainer(model, optimizer, CrossEntropyLoss(), schedule, 1.0, callbacks=callbacks, **options)


def weights(trainer):
    return np.concatenate([p.data.ravel() for p in trainer.model.parameters()])


class SaveAfter:
    """Saves when so many batches of the run are done."""

    def __init__(self, step, file):
        self.step, self.file = step, file

    def on_batch_end(self, trainer):
        if trainer.step == self.step:
            trainer.save_checkpoint(self.file)


def test_the_digits_are_learned_from_bytes():
    trainer, held_out = run(), digits(TEST)
    history = trainer.fit(digits(TRAIN, shuffle=True, prefetch=1), held_out, epochs=6, verbose=False)
    assert history["val_accuracy"][-1] > 0.94
    assert len(digits(TRAIN)) == 45
    x, y = next(iter(held_out))
    assert isinstance(x, Tensor) and (x.shape, x.dtype) == ((32, 1, 8, 8), np.float32)
    assert (y.shape, y.dtype.kind) == ((32,), "i")
    assert BYTES.max() == 16, "what is stored stays as it was"


@pytest.mark.parametrize("own", [True, False], ids=["own generator", "default generator"])
@pytest.mark.parametrize("step", [1, 9, 15, 19, 20, 21])
def test_a_run_cut_off_after_any_batch_goes_on_bit_for_bit(tmp_path, step, own):
    def loader(seed, prefetch=0):
        rng = np.random.default_rng(seed) if own else None
        data = TensorDataset(BYTES[TRAIN[:313]], LABELS[TRAIN[:313]])
        return DataLoader(data, 32, shuffle=True, rng=rng, transform=FLIPPED, prefetch=prefetch)

    def metrics():
        return [Accuracy(), lambda y_pred, y_true: float(np.mean(y_pred.data))]

    straight = run(callbacks=[SaveAfter(step, tmp_path / "cut")], metrics=metrics())
    straight.fit(loader(0), epochs=3, verbose=False)
    resumed = run(seed=9, metrics=metrics())
    resumed.load_checkpoint(tmp_path / "cut")
    assert resumed.step == step
    resumed.fit(loader(5, prefetch=2), epochs=3 - resumed.epoch, verbose=False)
    assert (resumed.step, resumed.epoch) == (30, 3)
    np.testing.assert_array_equal(weights(resumed), weights(straight))
    assert set(resumed.history) == set(straight.history)
    for name, values in straight.history.items():
        np.testing.assert_array_equal(resumed.history[name], values, err_msg=name)


def test_what_was_loaded_and_not_used_yet_is_saved_again(tmp_path):
    straight = run(callbacks=[SaveAfter(7, tmp_path / "first")])
    straight.fit(digits(TRAIN[:320], shuffle=True), epochs=2, verbose=False)
    between = run(seed=3)
    between.load_checkpoint(tmp_path / "first")
    between.save_checkpoint(tmp_path / "second")
    resumed = run(seed=4)
    resumed.load_checkpoint(tmp_path / "second")
    resumed.fit(digits(TRAIN[:320], shuffle=True), epochs=2, verbose=False)
    np.testing.assert_array_equal(weights(resumed), weights(straight))
    assert resumed.history["train_loss"] == straight.history["train_loss"]


def test_a_loader_that_cuts_other_batches_is_refused(tmp_path):
    trainer = run(callbacks=[SaveAfter(3, tmp_path / "cut")])
    trainer.train_epoch(digits(TRAIN[:320], shuffle=True))
    other = run()
    other.load_checkpoint(tmp_path / "cut")
    with pytest.raises(ValueError, match="samples is 300 here and 320 in the state"):
        other.train_epoch(digits(TRAIN[:300], shuffle=True))
    other.train_epoch(digits(TRAIN[:320], shuffle=True))
    assert other.history["train_loss"] == trainer.history["train_loss"], "the right one goes on all the same"


def test_a_checkpoint_while_gradients_are_accumulated_says_what_it_lacks(tmp_path):
    trainer = run(callbacks=[SaveAfter(3, tmp_path / "cut")])
    with pytest.warns(UserWarning, match="are being accumulated"):
        trainer.train_epoch(digits(TRAIN[:320], shuffle=True), accumulation_steps=2)


def test_reading_a_test_set_changes_nothing_in_training():
    losses = []
    for looks in (False, True):
        trainer, loader = run(), digits(TRAIN[:200], shuffle=True)
        for _ in range(3):
            trainer.train_epoch(loader)
            if looks:
                trainer.evaluate(digits(TEST))
        losses.append(trainer.history["train_loss"])
    assert losses[0] == losses[1]


def test_a_split_and_its_order_follow_from_manual_seed():
    seen = []
    for _ in range(2):
        manual_seed(7)
        train, val = random_split(TensorDataset(BYTES, LABELS), [0.8, 0.2])
        assert (len(train), len(val)) == (1438, 359)
        assert not set(train.indices.tolist()) & set(val.indices.tolist())
        seen.append([y.data for _x, y in DataLoader(train, 100, shuffle=True)])
        after = default_generator.random()
    assert all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))
    assert 0 < after < 1
