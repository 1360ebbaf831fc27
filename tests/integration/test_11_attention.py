"""Sequences that attend to themselves, as later modules use them. `tito module complete` runs this on the student's."""

import math

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.attention import (
    MultiHeadAttention,
    attention_weights,
    composed_attention,
    create_causal_mask,
    scaled_dot_product_attention,
    sinusoidal_positions,
)
from tinytorch.core.autograd import check_gradients, no_grad
from tinytorch.core.layers import Flatten, Linear, Module, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed

IMAGES, LABELS = load_digits()
INK = IMAGES / 16  # (1797, 8, 8): a digit as a sequence of eight rows
TRAIN, TEST = digits_split()


class RowReader(Module):
    """Scores (N, 10) for digits (N, 8, 8): the rows attend to each other."""

    def __init__(self):
        self.embed, self.attention = Linear(8, 32), MultiHeadAttention(32, 4)
        self.classify = Sequential(Flatten(), Linear(256, 10))

    def forward(self, x):
        x = self.embed(x) + sinusoidal_positions(8, 32)
        return self.classify(ReLU()(x + self.attention(x)))


def reader(seed=0):
    manual_seed(seed)
    return RowReader()


def trainer_of(model):
    return Trainer(model, Adam(model.parameters(), lr=0.005), CrossEntropyLoss())


def batches(rows, size=32, seed=0):
    order = np.random.default_rng(seed).permutation(rows)
    return [(Tensor(INK[part]), LABELS[part]) for part in np.array_split(order, max(1, len(order) // size))]


def test_rows_that_attend_to_each_other_read_digits():
    trainer = trainer_of(reader())
    trainer.fit(batches(TRAIN), epochs=6, verbose=False)
    _, accuracy = trainer.evaluate(batches(TEST, 90))
    assert accuracy > 0.95
    assert all(p.dtype == np.float32 for p in trainer.model.parameters())


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    parts, path = batches(TRAIN[:320]), tmp_path / "attention.ckpt"
    straight = trainer_of(reader())
    straight.fit(parts, epochs=2, verbose=False)
    first = trainer_of(reader())
    first.fit(parts, epochs=1, verbose=False)
    first.save_checkpoint(path)
    second = trainer_of(reader(7))
    second.load_checkpoint(path)
    second.fit(parts, epochs=1, verbose=False)
    expected = straight.model.state_dict()
    assert {"attention.in_proj_weight", "attention.out_proj.bias"} <= set(expected)
    for name, value in second.model.state_dict().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_layer_learns_to_fetch_by_content():
    """Pairs (name, value) in random order and a name: the value beside it. Without attention a guess has 1 of 4."""
    manual_seed(0)
    rng = np.random.default_rng(0)
    layer, head = MultiHeadAttention(16, 2), Linear(16, 4)
    optimizer = Adam([*layer.parameters(), *head.parameters()], lr=0.02)

    def examples(n):
        names, values = rng.permuted(np.tile(np.arange(4), (n, 1)), axis=1), rng.integers(4, size=(n, 4))
        asked = rng.integers(4, size=n)
        pairs = np.concatenate([np.eye(4)[names], np.eye(4)[values], np.zeros((n, 4, 8))], axis=2)
        question = np.concatenate([np.zeros((n, 8)), np.eye(4)[asked], np.zeros((n, 4))], axis=1)
        answers = values[np.arange(n), np.argmax(names == asked[:, None], axis=1)]
        return Tensor(question[:, None]), Tensor(pairs), answers

    for _ in range(150):
        question, pairs, answers = examples(64)
        optimizer.zero_grad()
        CrossEntropyLoss()(head(layer(question, pairs)[:, 0]), answers).backward()
        optimizer.step()
    question, pairs, answers = examples(500)
    with no_grad():
        right = head(layer(question, pairs)[:, 0]).numpy().argmax(axis=1) == answers
    assert right.mean() > 0.95


def test_nothing_leaks_and_new_places_can_be_asked_alone():
    manual_seed(0)
    layer, x = MultiHeadAttention(8, 2), np.random.default_rng(0).normal(size=(2, 6, 8))
    whole = layer(Tensor(x), mask=create_causal_mask(6)).numpy()
    first = layer(Tensor(x[:, :4]), mask=create_causal_mask(4)).numpy()
    last = layer(Tensor(x[:, 4:]), Tensor(x), mask=create_causal_mask(2, 6)).numpy()
    np.testing.assert_allclose(np.concatenate([first, last], axis=1), whole, rtol=1e-5, atol=1e-6)


def test_what_is_hidden_counts_for_nothing():
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=shape) for shape in ((3, 4), (5, 4), (5, 2)))
    mask = np.array([[True, True, True, False, False], [False] * 5, [True, True, True, False, False]])
    got = scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), mask).numpy()
    expected = scaled_dot_product_attention(Tensor(q), Tensor(k[:3]), Tensor(v[:3])).numpy()
    np.testing.assert_allclose(got[[0, 2]], expected[[0, 2]], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got[1], 0)
    weights = attention_weights(Tensor(q), Tensor(k), mask).numpy()
    np.testing.assert_allclose(weights.sum(axis=1), [1, 0, 1], rtol=1e-6)


def test_scores_keep_their_spread_at_every_size():
    rng = np.random.default_rng(0)
    for d in (4, 1024):
        q, k = Tensor(rng.normal(size=(100, d))), Tensor(rng.normal(size=(64, d)))
        shares = attention_weights(q, k).numpy()
        entropy = -(shares * np.log(shares + 1e-12)).sum(axis=1).mean()
        assert entropy > 0.8 * math.log(64)


@pytest.mark.parametrize("attention", [composed_attention, scaled_dot_product_attention])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_central_differences(attention, masked):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 2)))
    mask = rng.random((2, 3, 5)) > 0.5 if masked else None
    assert check_gradients(lambda q, k, v: attention(q, k, v, mask), [q, k, v])
