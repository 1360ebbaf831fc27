"""`tinytorch.core.recurrent` against its own step-by-step form, central differences and, where installed, PyTorch."""

import importlib.util

import numpy as np
import pytest

import tinytorch.training_utils as tu
from tinytorch.core.autograd import no_grad
from tinytorch.core.gradcheck import compute_numerical_gradient
from tinytorch.core.layers import Parameter
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import Adam
from tinytorch.core.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, read_in_parts, turned
from tinytorch.core.tensor import Tensor
from tinytorch.random import manual_seed

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)
PAIRS = [(RNNCell, RNN), (LSTMCell, LSTM), (GRUCell, GRU)]
CELLS, LAYERS = zip(*PAIRS)
LENGTHS = [None, [5, 1, 3, 0]]


def rng_of(seed=0):
    return np.random.default_rng(seed)


def normal(*shape, seed=0):
    return rng_of(seed).normal(size=shape)


def in_float64(model):
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Parameter):
                setattr(module, name, Parameter(value.data, dtype=np.float64))
    return model


def with_random_biases(model, seed=1):
    """So that no bias is zero, and the two of a pair differ."""
    for k, p in enumerate(model.parameters()):
        if p.ndim == 1:
            p.data = rng_of(seed + k).normal(size=p.shape)
    return model


def twins(cell, layer, *sizes):
    """A cell and a layer with the same float64 weights."""
    slow = with_random_biases(in_float64(cell(*sizes, rng=rng_of())))
    fast = in_float64(layer(*sizes, rng=rng_of(1)))
    fast.set_params({name if "head" in name else f"{name}_l0": x for name, x in slow.get_params().items()})
    return slow, fast


def flat(state):
    return list(state) if isinstance(state, tuple) else [state]


def results(model, X, lengths, upstream):
    """States, last state, and the gradients in inputs and parameters of a sum that weighs all of these."""
    X = Tensor(X, requires_grad=True, dtype=np.float64)
    outputs, last = model.scan(X, lengths=lengths)
    loss = (outputs * Tensor(upstream, dtype=np.float64)).sum()
    for k, part in enumerate(flat(last)):
        loss = loss + (part * part).sum() * (k + 1)
    loss.backward()
    gradients = [p.grad.data for p in model.parameters()]
    return [outputs.data, *(part.data for part in flat(last)), X.grad.data, *gradients]


# --- the operation and the steps ---


@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "lengths"])
@pytest.mark.parametrize(("cell", "layer"), PAIRS)
def test_one_operation_is_the_steps_one_by_one(cell, layer, lengths):
    slow, fast = twins(cell, layer, 3, 4)
    X, upstream = normal(4, 5, 3), normal(4, 5, 4, seed=1)
    for got, expected in zip(results(fast, X, lengths, upstream), results(slow, X, lengths, upstream), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("cell", "layer"), PAIRS)
def test_what_a_layer_gives_is_what_its_cell_gives(cell, layer):
    slow, fast = twins(cell, layer, 3, 4, 2)
    X = Tensor(normal(4, 5, 3), dtype=np.float64)
    for options in ({}, {"return_sequences": True}, {"lengths": [2, 5, 1, 3]}):
        np.testing.assert_allclose(fast(X, **options).data, slow(X, **options).data, rtol=1e-12, atol=1e-14)
    assert fast(X).shape == (4, 2) and fast(X, True).shape == (4, 5, 2)
    np.testing.assert_allclose(fast(X, return_sequences=True).data[:, -1], fast(X).data, rtol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_sequence_in_two_halves_is_the_whole_with_its_gradients(layer):
    model, X = in_float64(layer(3, 4, rng=rng_of())), Tensor(normal(2, 6, 3), requires_grad=True, dtype=np.float64)
    outputs, _ = model.scan(X)
    outputs[:, -1].sum().backward()
    expected, X.grad = X.grad.data, None
    _, middle = model.scan(X[:, :2])
    rest, _ = model.scan(X[:, 2:], middle)
    np.testing.assert_allclose(rest.data, outputs.data[:, 2:], rtol=1e-12)
    rest[:, -1].sum().backward()
    np.testing.assert_allclose(X.grad.data, expected, rtol=1e-10)
    assert np.abs(expected[:, 0]).min() > 0


@pytest.mark.parametrize("hidden", [4, 8])
@pytest.mark.parametrize("kind", [*CELLS, *LAYERS])
def test_the_same_rows_in_batches_of_other_sizes(kind, hidden):
    model, X = kind(3, hidden, 2, rng=rng_of()), normal(8, 7, 3).astype(np.float32)
    together = model(Tensor(X), return_sequences=True).data
    for size in (1, 2, 4):
        parts = [model(Tensor(X[at : at + size]), return_sequences=True).data for at in range(0, 8, size)]
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_no_gradient_goes_from_one_sequence_to_another(layer):
    model, X = layer(3, 4, rng=rng_of()), Tensor(normal(4, 5, 3), requires_grad=True)  # as many as hidden numbers
    model(X)[2].sum().backward()
    touched = np.abs(X.grad.data).max(axis=(1, 2)) > 0
    assert touched.tolist() == [False, False, True, False]


# --- lengths ---


@pytest.mark.parametrize("layer", LAYERS)
def test_padding_is_not_read_and_gets_no_gradient(layer):
    model, lengths = layer(3, 4, rng=rng_of()), np.array([5, 1, 3])
    X = normal(3, 5, 3).astype(np.float32)
    other = X.copy()
    for row, length in enumerate(lengths):
        other[row, length:] = 99
    X, other = Tensor(X, requires_grad=True), Tensor(other, requires_grad=True)
    np.testing.assert_array_equal(model(X, lengths=lengths).data, model(other, lengths=lengths).data)
    model(X, lengths=lengths).sum().backward()
    for row, length in enumerate(lengths):
        assert np.abs(X.grad.data[row, :length]).min() > 0 and not X.grad.data[row, length:].any()


@needs_torch
@pytest.mark.parametrize("layer", LAYERS)
def test_lengths_are_those_of_packed_sequences(layer):
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    model = with_random_biases(layer(3, 4, rng=rng_of()))
    theirs = getattr(torch.nn, layer.__name__)(3, 4, batch_first=True)
    theirs.load_state_dict({name: torch.tensor(x) for name, x in model.state_dict().items()})
    X, lengths = normal(4, 6, 3).astype(np.float32), [2, 6, 1, 4]
    _, state = model.scan(Tensor(X), lengths=Tensor(lengths))
    _, expected = theirs(pack_padded_sequence(torch.tensor(X), lengths, batch_first=True, enforce_sorted=False))
    sum((part * part).sum() for part in flat(state)).backward()
    sum((part * part).sum() for part in flat(expected)).backward()
    for got, wanted in zip(flat(state), flat(expected), strict=True):
        np.testing.assert_allclose(got.data, wanted[0].detach().numpy(), rtol=1e-5, atol=1e-6)
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-4, atol=1e-5)


@needs_torch
@pytest.mark.parametrize("layer", LAYERS)
def test_states_given_and_handed_out_are_pytorchs(layer):
    import torch

    model = with_random_biases(layer(3, 4, rng=rng_of()))
    theirs = getattr(torch.nn, layer.__name__)(3, 4, batch_first=True)
    theirs.load_state_dict({name: torch.tensor(x) for name, x in model.state_dict().items()})
    X = normal(2, 50, 3).astype(np.float32)
    start = [normal(2, 4, seed=k).astype(np.float32) for k in range(model.kept)]
    outputs, state = model.scan(Tensor(X), tuple(map(Tensor, start)))
    first = tuple(torch.tensor(part)[None] for part in start)
    expected, last = theirs(torch.tensor(X), first if model.kept > 1 else first[0])
    np.testing.assert_allclose(outputs.data, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    for got, wanted in zip(flat(state), flat(last), strict=True):
        np.testing.assert_allclose(got.data, wanted[0].detach().numpy(), rtol=1e-4, atol=1e-5)


# --- weights ---


@pytest.mark.parametrize("kind", [*CELLS, *LAYERS])
def test_recurrent_weights_begin_orthogonal_and_biases_at_zero_but_for_the_forget_gate(kind):
    model = kind(5, 6, rng=rng_of())
    _, weight_hh, bias_ih, bias_hh = (p.data for p in model.weights())
    for block in weight_hh.reshape(-1, 6, 6):
        np.testing.assert_allclose(block @ block.T, np.eye(6), atol=1e-5)
    expected = np.zeros(len(bias_ih))
    if kind in (LSTMCell, LSTM):
        expected[6:12] = 1
    np.testing.assert_array_equal(bias_ih, expected)
    assert not bias_hh.any() and all(p.dtype == np.float32 for p in model.parameters())


@pytest.mark.parametrize("kind", [*CELLS, *LAYERS])
def test_parameters_by_name_are_copies_and_are_written_into_the_same_tensors(kind):
    model, other = kind(3, 4, 2, rng=rng_of()), kind(3, 4, 2, rng=rng_of(1))
    tensors, params = model.parameters(), model.get_params()
    assert list(params) == [name for name, _ in model.named_parameters()] and "head.weight" in params
    params["head.bias"][:] = 9
    assert not (model.head.bias.data == 9).any()
    model.set_params(other.get_params())
    assert all(a is b for a, b in zip(tensors, model.parameters(), strict=True))
    assert all((model.get_params()[name] == x).all() for name, x in other.get_params().items())
    before = model.get_params()
    with pytest.raises(ValueError, match="nothing was changed"):
        model.set_params({**other.get_params(), "head.bias": np.zeros(3)})
    assert all((model.get_params()[name] == x).all() for name, x in before.items())


def test_without_a_generator_the_default_one_is_used():
    manual_seed(3)
    first = LSTM(2, 3, 2).get_params()
    manual_seed(3)
    again, other = LSTM(2, 3, 2).get_params(), LSTM(2, 3, 2).get_params()
    assert all((first[name] == x).all() for name, x in again.items())
    assert not (again["weight_hh_l0"] == other["weight_hh_l0"]).all()


# --- types, the graph ---


@pytest.mark.parametrize("layer", LAYERS)
def test_types(layer):
    model = layer(3, 4, rng=rng_of())
    assert model(Tensor(np.ones((2, 5, 3), dtype=np.int64))).dtype == np.float32
    assert model(np.ones((2, 5, 3))).dtype == np.float32
    wide = Tensor(np.ones((2, 5, 3)), dtype=np.float64)
    assert model(wide).dtype == np.float64 and model(wide, lengths=[1, 2]).dtype == np.float64
    start = tuple(Tensor(np.ones((2, 4)), dtype=np.float64) for _ in range(model.kept))
    assert model.scan(np.ones((2, 5, 3)), start)[0].dtype == np.float64
    assert in_float64(model)(Tensor(np.ones((2, 5, 3)))).dtype == np.float64
    assert model(np.zeros((0, 5, 3))).shape == (0, 4)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_graph_has_one_receipt_for_the_sequence(layer):
    model, X = layer(3, 4, rng=rng_of()), Tensor(normal(2, 9, 3))
    state = model(X)
    assert state.receipt.operation == "index"
    whole = state.receipt.inputs[0]
    assert whole.receipt.operation == f"{layer.__name__.lower()}_sequence" and whole.shape[1] == 10
    assert all(x.receipt is None for x in whole.receipt.inputs)
    with no_grad():
        assert model(X).receipt is None


@pytest.mark.parametrize("layer", LAYERS)
def test_who_writes_into_the_states_gets_the_right_gradient_or_an_error(layer):
    model, X = layer(3, 4, rng=rng_of()), Tensor(normal(2, 5, 3), requires_grad=True)
    model.scan(X)[0].sum().backward()
    expected, X.grad = X.grad.data, None
    outputs, _ = model.scan(X)
    y = outputs.sum()
    outputs.data *= 0
    try:
        y.backward()
    except RuntimeError as error:
        assert "was changed" in str(error) and X.grad is None
    else:
        np.testing.assert_array_equal(X.grad.data, expected)


def test_inputs_stay_as_they_are():
    X, start = normal(2, 5, 3).astype(np.float32), [normal(2, 4, seed=k).astype(np.float32) for k in (1, 2)]
    before = [X.copy(), *(part.copy() for part in start)]
    model = LSTM(3, 4, rng=rng_of())
    tensors = [Tensor(x, requires_grad=True) for x in (X, *start)]
    weights = model.get_params()
    model.scan(tensors[0], tuple(tensors[1:]), lengths=[5, 2])[0].sum().backward()
    assert all((t.data == x).all() for t, x in zip(tensors, before, strict=True))
    assert all((model.get_params()[name] == x).all() for name, x in weights.items())


def test_gates_far_out_are_finite():
    model = LSTM(1, 2, rng=rng_of())
    model.weight_ih_l0.data *= 1e4
    X = Tensor(normal(3, 6, 1) * 1e3, requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        model(X).sum().backward()
    assert np.isfinite(X.grad.data).all()


# --- errors ---


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: LSTM(0, 3), "LSTM: input_size is 0; it must be a whole number of at least 1"),
        (lambda: GRUCell(2, 2.5), "GRUCell: hidden_size is 2.5"),
        (lambda: RNNCell(2, 3, True), "RNNCell: output_size is True"),
        (lambda: LSTM(3, 4)(np.ones((2, 5, 2))), r"LSTM: x has shape \(2, 5, 2\); the last size must be input_size, 3"),
        (lambda: LSTM(3, 4)(np.ones((5, 3))), r"LSTM: x has shape \(5, 3\); .* try x\[None\]"),
        (lambda: GRU(3, 4)(np.ones((2, 0, 3))), "GRU: .* no steps"),
        (lambda: LSTM(3, 4).scan(np.ones((2, 5, 3)), np.zeros((2, 4))), r"LSTM: the state has shapes \[\(2, 4\)\]"),
        (lambda: RNN(3, 4).scan(np.ones((2, 5, 3)), np.zeros((4, 2))), r"must have \[\(2, 4\)\]"),
        (lambda: LSTM(3, 4)(np.ones((2, 5, 3)), lengths=[5]), "lengths is .* 2 whole numbers between 0 and 5"),
        (lambda: LSTM(3, 4)(np.ones((2, 5, 3)), lengths=[5, 6]), "between 0 and 5"),
        (lambda: LSTM(3, 4)(np.ones((2, 5, 3)), lengths=[-1, 5]), "between 0 and 5"),
        (lambda: LSTM(3, 4)(np.ones((2, 5, 3)), lengths=[2.5, 5.0]), "whole numbers"),
    ],
)
def test_what_does_not_fit_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# --- training, and parts of a long sequence ---


@pytest.mark.parametrize("layer", LAYERS)
def test_train_step_moves_along_the_numerical_gradient(layer):
    X, y = normal(5, 4, 3).astype(np.float32), np.array([0, 1, 2, 1, 0])
    model = with_random_biases(layer(3, 4, 3, rng=rng_of()))
    expected = compute_numerical_gradient(model, Tensor(X), y, cross_entropy)
    before = model.get_params()
    tu.train_step(model, X, y, learning_rate=1.0, clip_norm=None)
    for name, x in model.get_params().items():
        np.testing.assert_allclose(before[name] - x, expected[name], rtol=1e-3, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("layer", LAYERS)
def test_train_model_works_unchanged(layer):
    X = rng_of().normal(size=(600, 6, 2)).astype(np.float32)
    y = (X[:, 0, 0] > X[:, 3, 1]).astype(np.int64)  # an order that counts
    model = layer(2, 16, 2, rng=rng_of())
    train, held_out = (X[:500], y[:500]), (X[500:], y[500:])
    options = {"epochs": 40, "learning_rate": 0.02, "verbose": False, "rng": rng_of(1)}
    history = tu.train_model(model, train, held_out, optimizer=Adam(model.parameters()), **options)
    assert max(history["train_metric"]) > 0.95 > 0.85 > history["train_metric"][0]
    loss, accuracy = tu.evaluate(model, *held_out)
    best = int(np.argmin(history["val_loss"]))
    assert (loss, accuracy) == pytest.approx((history["val_loss"][best], history["val_metric"][best]))


@pytest.mark.parametrize("layer", LAYERS)
def test_parts_give_the_same_states_and_shorter_gradients(layer):
    model, X = layer(2, 3, rng=rng_of()), Tensor(normal(2, 7, 2), requires_grad=True)
    parts = read_in_parts(model, X, 3)
    assert [part.shape for part in parts] == [(2, 3, 3), (2, 3, 3), (2, 1, 3)]
    whole = model.scan(X)[0].data
    np.testing.assert_allclose(np.concatenate([part.data for part in parts], axis=1), whole, rtol=1e-5, atol=1e-7)
    parts[1][:, -1].sum().backward()
    reached = np.abs(X.grad.data).max(axis=(0, 2)) > 0
    assert reached.tolist() == [False] * 3 + [True] * 3 + [False]


def test_turned_twice_is_as_before():
    X = Tensor(normal(3, 5, 2))
    lengths = [5, 0, 3]
    np.testing.assert_array_equal(turned(turned(X, lengths), lengths).data, X.data)
    np.testing.assert_array_equal(turned(X, lengths).data[2, :3], X.data[2, 2::-1])
