"""Memories of slots, as later modules use them. `tito module complete` runs this on the student's package."""

import numpy as np
import pytest

import tinytorch.training_utils as tu
from tinytorch.core.autograd import check_gradients
from tinytorch.core.gradcheck import compute_numerical_gradient
from tinytorch.core.losses import CrossEntropyLoss, cross_entropy
from tinytorch.core.optimizers import Adam
from tinytorch.core.recurrent import LSTM
from tinytorch.core.relational import RelationalMemory, RelationalRNN, first_memory, relational_sequence
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer
from tinytorch.datasets import babi_simple

X, Y, ABOUT = babi_simple(400, max_facts=2, n_entities=2, n_locations=4, rng=np.random.default_rng(0))
SIZES = ABOUT["input_size"], 16, ABOUT["classes"]


def model_of(kind=RelationalRNN, seed=0, **options):
    options = {"num_heads": 2, **options} if kind is RelationalRNN else options
    return kind(*SIZES, rng=np.random.default_rng(seed), **options)


def trainer_of(seed=0):
    model = model_of(seed=seed)
    return Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), grad_clip_norm=1.0)


def batches(count, size=40):
    return [(Tensor(X[at : at + size]), Y[at : at + size]) for at in range(0, count, size)]


def test_a_memory_learns_who_went_where_better_than_the_shortcut():
    trainer = trainer_of()
    trainer.fit(batches(400), epochs=15, verbose=False)
    _, accuracy = trainer.evaluate(batches(400))
    assert accuracy > 0.95 > ABOUT["shortcut"] + 0.05
    assert all(p.dtype == np.float32 for p in trainer.model.parameters())


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    path = tmp_path / "memory.ckpt"
    straight, first, second = trainer_of(), trainer_of(), trainer_of(7)
    straight.fit(batches(120), epochs=2, verbose=False)
    first.fit(batches(120), epochs=1, verbose=False)
    first.save_checkpoint(path)
    second.load_checkpoint(path)
    second.fit(batches(120), epochs=1, verbose=False)
    for name, value in straight.model.state_dict().items():
        np.testing.assert_array_equal(second.model.state_dict()[name], value, err_msg=name)


@pytest.mark.parametrize("kind", [LSTM, RelationalRNN])
def test_train_model_takes_both_as_they_are_with_the_gradients_of_the_numerical_oracle(kind):
    model = kind(SIZES[0], 2, 4, rng=np.random.default_rng(0))
    expected = compute_numerical_gradient(model, Tensor(X[:4]), Y[:4], cross_entropy)
    before = model.get_params()
    tu.train_step(model, X[:4], Y[:4], learning_rate=1.0, clip_norm=None)
    for name, value in model.get_params().items():
        np.testing.assert_allclose(before[name] - value, expected[name], rtol=1e-2, atol=1e-5, err_msg=name)
    history = tu.train_model(model, (X, Y), epochs=2, learning_rate=0.2, verbose=False)
    assert history["train_loss"][-1] < history["train_loss"][0]


@pytest.mark.parametrize(
    "options", [{}, {"gate_style": "memory", "num_blocks": 2}, {"gate_style": None, "key_size": 3}]
)
def test_one_operation_agrees_with_the_steps_and_sequences_of_a_batch_do_not_mix(options):
    model, lengths = model_of(**options), [3, 1, 2, 3]
    four = Tensor(X[:4])
    together = model(four, lengths=lengths).data
    model.composed = True
    np.testing.assert_allclose(together, model(four, lengths=lengths).data, rtol=1e-4, atol=1e-5)
    alone = [model(Tensor(X[b : b + 1, :n])).data for b, n in enumerate(lengths)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5)


def test_slots_that_begin_equal_stay_equal_and_the_first_memory_prevents_it():
    core = RelationalMemory(3, 4, num_heads=2, input_size=5, rng=np.random.default_rng(0))
    x = Tensor(np.random.default_rng(1).normal(size=(2, 5)))
    equal, different = core(x, Tensor(np.zeros((2, 3, 8)))).data, core(x).data
    np.testing.assert_allclose(equal, equal[:, :1].repeat(3, axis=1), atol=1e-6)
    assert np.abs(different[:, 0] - different[:, 1]).min() > 1e-3
    assert len(np.unique(first_memory(20, 6), axis=0)) == 20


@pytest.mark.parametrize("mask", [None, np.array([[1, 1], [1, 0]], dtype=bool)[:, :, None, None]])
@pytest.mark.parametrize("gates", [2, 6, None])
def test_gradients_are_central_differences(gates, mask):
    rng = np.random.default_rng(0)
    shapes = [(2, 2, 3), (2, 2, 3), (5, 3), (5,), (3,), (3,), (3, 3), (3,), (3,), (3,)]
    shapes += [] if gates is None else [(gates, 3), (gates,)] * 2
    options = {"heads": 1, "key_size": 1, "blocks": 1, "biases": None if gates is None else (0.0, 1.0), "mask": mask}
    inputs = [rng.normal(size=shape) for shape in shapes]
    assert check_gradients(lambda *inputs: relational_sequence(*inputs, **options), inputs)
