"""Networks for images, as later modules use them. `tito module complete` runs this on the student's package."""

import numpy as np
import pytest

from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import check_gradients, no_grad
from tinytorch.core.layers import Flatten, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.spatial import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    GroupNorm,
    LayerNorm,
    MaxPool2d,
    batch_norm,
    conv2d,
    group_norm,
    layer_norm,
    max_pool2d,
)
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed

IMAGES, LABELS = load_digits()
INK = IMAGES[:, None] / 16
TRAIN, TEST = digits_split()


def network(seed=0):
    manual_seed(seed)
    return Sequential(
        *(Conv2d(1, 8, 3, padding=1, bias=False), BatchNorm2d(8), ReLU(), MaxPool2d(2)),
        *(Conv2d(8, 16, 3, padding=1), GroupNorm(4, 16), ReLU(), AvgPool2d(2)),
        *(Flatten(), LayerNorm(64), Linear(64, 10)),
    )


def batches(rows, size=32, seed=0):
    order = np.random.default_rng(seed).permutation(rows)
    return [(Tensor(INK[part]), LABELS[part]) for part in np.array_split(order, len(order) // size)]


def trainer_of(model):
    return Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss())


def test_a_convolutional_network_reads_digits():
    trainer = trainer_of(network())
    trainer.fit(batches(TRAIN), epochs=6, verbose=False)
    _, accuracy = trainer.evaluate(batches(TEST, 90))
    assert accuracy > 0.96
    assert all(p.dtype == np.float32 for p in trainer.model.parameters())


def test_a_stopped_training_goes_on_bit_for_bit_with_its_running_values(tmp_path):
    parts, path = batches(TRAIN[:320]), tmp_path / "cnn.ckpt"
    straight = trainer_of(network())
    straight.fit(parts, epochs=2, verbose=False)
    first = trainer_of(network())
    first.fit(parts, epochs=1, verbose=False)
    first.save_checkpoint(path)
    second = trainer_of(network(7))
    second.load_checkpoint(path)
    second.fit(parts, epochs=1, verbose=False)
    expected = straight.model.state_dict()
    assert "1.running_mean" in expected and expected["1.num_batches_tracked"] == 20
    for name, value in second.model.state_dict().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_evaluation_leaves_the_running_values_alone_and_needs_no_batch():
    trainer = trainer_of(network())
    trainer.fit(batches(TRAIN[:320]), epochs=1, verbose=False)
    before = trainer.model.state_dict()
    trainer.evaluate(batches(TEST, 90))
    assert all(np.array_equal(before[name], value) for name, value in trainer.model.state_dict().items())
    trainer.model.eval()
    with no_grad():
        together = trainer.model(Tensor(INK[TEST[:8]])).numpy()
        alone = np.concatenate([trainer.model(Tensor(INK[[row]])).numpy() for row in TEST[:8]])
    np.testing.assert_allclose(alone, together, rtol=1e-3, atol=1e-4)


def test_kernels_that_a_human_wrote_find_borders():
    picture = np.zeros((1, 1, 6, 6), dtype=np.float32)
    picture[..., 3:] = 1
    upright = np.array([[[[-1.0, 0.0, 1.0]] * 3]])
    got = conv2d(Tensor(picture), Tensor(upright)).numpy()[0, 0]
    np.testing.assert_array_equal(got, [[0, 3, 3, 0]] * 4)
    moved = conv2d(Tensor(np.roll(picture, 1, axis=3)), Tensor(upright)).numpy()[0, 0]
    np.testing.assert_array_equal(moved[:, 2:], got[:, 1:-1])


RNG = np.random.default_rng(0)
SCALE, SHIFT = RNG.normal(size=4), RNG.normal(size=4)
RUNNING = [Tensor(np.zeros(4), dtype=np.float64), Tensor(np.ones(4), dtype=np.float64)]
WEIGHT = RNG.normal(size=(2, 4, 3, 2))
GRADIENTS = {
    "convolution": (lambda x, w, b: conv2d(x, w, b, (2, 1), (1, 2), (1, 2)), [WEIGHT, SHIFT[:2]]),
    "pooling": (lambda x: max_pool2d(x, 3, 2, 1), []),
    "batch norm": (lambda x, w, b: batch_norm(x, *RUNNING, w, b, training=True), [SCALE, SHIFT]),
    "group norm": (lambda x, w, b: group_norm(x, 2, w, b), [SCALE, SHIFT]),
    "layer norm": (lambda x, w, b: layer_norm(x, 5, w, b), [np.append(SCALE, 2.0), np.append(SHIFT, 1.0)]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_central_differences(name):
    function, others = GRADIENTS[name]
    x = np.random.default_rng(1).permutation(2 * 4 * 5 * 5).reshape(2, 4, 5, 5) / 20.0
    assert check_gradients(function, [x, *others])
