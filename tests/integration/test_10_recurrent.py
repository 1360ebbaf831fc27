"""Networks that read in order, as later modules use them. `tito module complete` runs this on the student's package."""

import numpy as np
import pytest

import tinytorch.training_utils as tu
from tinytorch.core.autograd import check_gradients
from tinytorch.core.gradcheck import compute_numerical_gradient
from tinytorch.core.losses import CrossEntropyLoss, cross_entropy
from tinytorch.core.optimizers import Adam
from tinytorch.core.recurrent import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    RNNCell,
    gru_sequence,
    lstm_sequence,
    rnn_sequence,
)
from tinytorch.core.tensor import Tensor
from tinytorch.core.training import Trainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 8, 2)).astype(np.float32)
Y = (X[:, 0, 0] > X[:, 5, 1]).astype(np.int64)  # who ignores the order cannot know
PAIRS = [(RNNCell, RNN), (LSTMCell, LSTM), (GRUCell, GRU)]


def batches(size=32):
    return [(Tensor(X[at : at + size]), Y[at : at + size]) for at in range(0, len(X), size)]


def trainer_of(seed=0, layer=LSTM):
    model = layer(2, 12, 2, rng=np.random.default_rng(seed))
    return Trainer(model, Adam(model.parameters(), lr=0.02), CrossEntropyLoss(), grad_clip_norm=1.0)


@pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
def test_each_kind_learns_an_order(layer):
    trainer = trainer_of(layer=layer)
    trainer.fit(batches(), epochs=25, verbose=False)
    _, accuracy = trainer.evaluate(batches())
    assert accuracy > 0.9
    assert all(p.dtype == np.float32 for p in trainer.model.parameters())


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    path = tmp_path / "lstm.ckpt"
    straight, first, second = trainer_of(), trainer_of(), trainer_of(7)
    straight.fit(batches(), epochs=2, verbose=False)
    first.fit(batches(), epochs=1, verbose=False)
    first.save_checkpoint(path)
    second.load_checkpoint(path)
    second.fit(batches(), epochs=1, verbose=False)
    for name, value in straight.model.state_dict().items():
        np.testing.assert_array_equal(second.model.state_dict()[name], value, err_msg=name)


def test_train_model_takes_an_lstm_as_it_is_with_the_gradients_of_the_numerical_oracle():
    model = LSTM(2, 3, 2, rng=np.random.default_rng(0))
    expected = compute_numerical_gradient(model, Tensor(X[:4]), Y[:4], cross_entropy)
    before = model.get_params()
    tu.train_step(model, X[:4], Y[:4], learning_rate=1.0, clip_norm=None)
    for name, value in model.get_params().items():
        np.testing.assert_allclose(before[name] - value, expected[name], rtol=1e-3, atol=2e-6, err_msg=name)
    history = tu.train_model(model, (X, Y), epochs=3, learning_rate=0.5, verbose=False)
    assert history["train_loss"][-1] < history["train_loss"][0]


@pytest.mark.parametrize(("cell", "layer"), PAIRS)
def test_cell_and_layer_agree_and_sequences_of_a_batch_do_not_mix(cell, layer):
    slow, fast = cell(2, 4, 3, rng=np.random.default_rng(0)), layer(2, 4, 3, rng=np.random.default_rng(1))
    fast.set_params({name if "head" in name else f"{name}_l0": x for name, x in slow.get_params().items()})
    four, lengths = Tensor(X[:4]), [8, 3, 1, 5]  # as many as hidden numbers
    together = fast(four, lengths=lengths).data
    np.testing.assert_allclose(together, slow(four, lengths=lengths).data, rtol=1e-4, atol=1e-6)
    alone = [fast(Tensor(X[b : b + 1, :n])).data for b, n in enumerate(lengths)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-6)


def weights(gates):
    return [RNG.normal(size=shape) for shape in ((gates * 2, 3), (gates * 2, 2), (gates * 2,), (gates * 2,))]


SEQUENCES, STATE = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 2))
OPERATIONS = {
    "rnn": (rnn_sequence, [SEQUENCES, STATE, *weights(1)]),
    "lstm": (lstm_sequence, [SEQUENCES, STATE, STATE[::-1].copy(), *weights(4)]),
    "gru": (gru_sequence, [SEQUENCES, STATE, *weights(3)]),
}


@pytest.mark.parametrize("mask", [None, np.array([[1, 1], [1, 1], [1, 0], [1, 0]], dtype=bool)[:, :, None]])
@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_central_differences(name, mask):
    function, inputs = OPERATIONS[name]
    assert check_gradients(lambda *inputs: function(*inputs, mask=mask), inputs)
