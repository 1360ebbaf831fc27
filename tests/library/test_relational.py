"""`tinytorch.core.relational`: one operation against its single steps, PyTorch, central differences, and training."""

import importlib.util

import numpy as np
import pytest

import tinytorch.training_utils as tu
from tinytorch.core.autograd import no_grad
from tinytorch.core.gradcheck import compute_numerical_gradient
from tinytorch.core.layers import Parameter
from tinytorch.core.losses import CrossEntropyLoss, cross_entropy
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.recurrent import LSTM
from tinytorch.core.relational import RelationalMemory, RelationalRNN, first_memory, level, perceptron
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import babi_simple
from tinytorch.random import manual_seed

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)
OPTIONS = {
    "plain": {},
    "a gate for each slot": {"gate_style": "memory", "num_heads": 2},
    "no gates": {"gate_style": None, "num_blocks": 2},
    "two blocks, small keys": {"num_blocks": 2, "num_heads": 2, "key_size": 1, "attention_mlp_layers": 3},
    "biases": {"input_bias": -1.0, "forget_bias": 2.0, "attention_mlp_layers": 1, "mem_slots": 1},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def model_of(*sizes, dtype=np.float32, **options):
    """A RelationalRNN none of whose numbers is 0 or 1; wide ones in float64."""
    model = RelationalRNN(*sizes, rng=np.random.default_rng(0), **options)
    for k, p in enumerate(model.parameters()):
        if p.ndim == 1:
            p.data = np.random.default_rng(k).uniform(0.3, 1.2, size=p.shape)
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, Parameter):
                setattr(module, name, Parameter(value.data, dtype=dtype))
    return model


def results(model, X, lengths=None):
    """Memories, last memory, and the gradients in inputs, first memory and parameters of a sum that weighs all."""
    model.zero_grad()
    X = Tensor(X, requires_grad=True, dtype=np.float64)
    first = Tensor(model.memory.started(X).data, requires_grad=True, dtype=np.float64)
    memories, last = model.scan(X, first, lengths)
    ((memories * Tensor(normal(*memories.shape, seed=7), dtype=np.float64)).sum() + (last * last).sum()).backward()
    return [memories.data, last.data, X.grad.data, first.grad.data, *(p.grad.data for p in model.parameters())]


def the_parameters_of(model):
    """All but the head, which does not take part in `scan`."""
    model.head = None
    return model


# --- the operation and the steps ---


@pytest.mark.parametrize("lengths", [None, [5, 0, 3, 2]], ids=["whole", "lengths"])
@every_option
def test_one_operation_is_the_steps_one_by_one(options, lengths):
    model = model_of(3, 4, dtype=np.float64, **options)
    X, found = normal(4, 5, 3), []
    for model.composed in (False, True):
        found.append(results(model, X, lengths))
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-11)
    assert all(np.abs(part).max() > 0 for part in found[0])


@every_option
def test_a_memory_stepped_by_hand_is_what_the_network_reads(options):
    model = model_of(3, 4, dtype=np.float64, **options)
    X, memory = Tensor(normal(2, 4, 3), dtype=np.float64), None
    outputs = model(X, return_sequences=True)
    for t in range(4):
        memory = model.memory(X[:, t], memory)
        np.testing.assert_allclose(memory.data.reshape(2, -1), outputs.data[:, t], rtol=1e-10)


def by_torch(torch, model, X):
    """The same memories written with PyTorch's functions, and the weights as PyTorch's leaves by name."""
    F, core, E = torch.nn.functional, model.memory, model.hidden_size
    w = {name: torch.tensor(x, requires_grad=True) for name, x in model.get_params().items()}

    def line(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, (E,), w[f"{name}.weight"], w[f"{name}.bias"])

    memory = torch.tensor(np.stack([first_memory(core.mem_slots, E)] * len(X)), dtype=X.dtype)
    outputs = []
    for t in range(X.shape[1]):
        row = norm(line(X[:, t], "memory.embed.0"), "memory.embed.1")[:, None]
        new = memory
        for n in range(core.num_blocks):
            block, K = f"memory.blocks.{n}", core.key_size
            parts = line(torch.cat([new, row], dim=1), f"{block}.project").unflatten(2, (core.num_heads, -1))
            q, k, v = parts.transpose(1, 2).split([K, K, E // core.num_heads], dim=3)
            found = F.scaled_dot_product_attention(q[:, :, :-1], k, v).transpose(1, 2).flatten(2)
            new = norm(new + found, f"{block}.norm_attention")
            y = new
            for layer in range(core.attention_mlp_layers):
                y = line(F.relu(y) if layer else y, f"{block}.mlp.{2 * layer}")
            new = norm(new + y, f"{block}.norm_mlp")
        if core.gate_style is not None:
            a = line(torch.tanh(memory), "memory.gates_from_memory") + line(row, "memory.gates_from_input")
            i, f = a.chunk(2, dim=2)
            new = torch.sigmoid(i + core.input_bias) * torch.tanh(new) + torch.sigmoid(f + core.forget_bias) * memory
        memory = new
        outputs.append(memory.flatten(1))
    return torch.stack(outputs, dim=1), w


@needs_torch
@every_option
def test_memories_and_gradients_are_those_of_pytorch(options):
    import torch

    model, X = the_parameters_of(model_of(3, 4, dtype=np.float64, **options)), normal(3, 4, 3)
    ours = Tensor(X, requires_grad=True, dtype=np.float64)
    theirs = torch.tensor(X, requires_grad=True)
    outputs, (expected, weights) = model(ours, return_sequences=True), by_torch(torch, model, theirs)
    np.testing.assert_allclose(outputs.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    upstream = normal(*outputs.shape, seed=5)
    outputs.backward(Tensor(upstream, dtype=np.float64))
    expected.backward(torch.tensor(upstream))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-8, atol=1e-10)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad.data, weights[name].grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)


def test_a_sequence_in_two_halves_is_the_whole_with_its_gradients():
    model, X = model_of(3, 4, dtype=np.float64), Tensor(normal(2, 6, 3), requires_grad=True, dtype=np.float64)
    memories, _ = model.scan(X)
    memories[:, -1].sum().backward()
    expected, X.grad = X.grad.data, None
    _, middle = model.scan(X[:, :2])
    rest, _ = model.scan(X[:, 2:], middle)
    np.testing.assert_allclose(rest.data, memories.data[:, 2:], rtol=1e-12)
    rest[:, -1].sum().backward()
    np.testing.assert_allclose(X.grad.data, expected, rtol=1e-10, atol=1e-14)
    assert np.abs(expected[:, 0]).min() > 0


@pytest.mark.parametrize("hidden", [4, 8])
def test_the_same_rows_in_batches_of_other_sizes(hidden):
    model, X = model_of(3, hidden, 2, num_heads=2, mem_slots=8), normal(8, 7, 3).astype(np.float32)
    together = model(Tensor(X), return_sequences=True).data
    for size in (1, 2, 4):
        parts = [model(Tensor(X[at : at + size]), return_sequences=True).data for at in range(0, 8, size)]
        np.testing.assert_allclose(np.concatenate(parts), together, rtol=0, atol=1e-6)


def test_no_gradient_goes_from_one_sequence_to_another():
    model, X = model_of(3, 4, mem_slots=4), Tensor(normal(4, 5, 3), requires_grad=True)
    model(X)[2].sum().backward()
    assert (np.abs(X.grad.data).max(axis=(1, 2)) > 0).tolist() == [False, False, True, False]


def test_padding_is_not_read_and_gets_no_gradient():
    model, lengths = model_of(3, 4, 2), np.array([5, 1, 3])
    X = normal(3, 5, 3).astype(np.float32)
    other = np.where((np.arange(5) < lengths[:, None])[:, :, None], X, 99)
    X = Tensor(X, requires_grad=True)
    np.testing.assert_array_equal(model(X, lengths=lengths).data, model(Tensor(other), lengths=lengths).data)
    sequences = model(X, return_sequences=True, lengths=lengths)
    np.testing.assert_array_equal(sequences.data[:, -1], model(X, lengths=lengths).data)
    model(X, lengths=lengths).sum().backward()
    for row, length in enumerate(lengths):
        assert np.abs(X.grad.data[row, :length]).min() > 0 and not X.grad.data[row, length:].any()


# --- slots ---


@pytest.mark.parametrize(("slots", "size"), [(1, 1), (4, 32), (7, 7), (50, 3), (9, 1)])
def test_no_two_slots_begin_alike(slots, size):
    memory = first_memory(slots, size)
    assert memory.shape == (slots, size) and len(np.unique(memory, axis=0)) == slots
    np.testing.assert_array_equal(memory[:size], np.eye(min(slots, size), size))


def test_equal_slots_stay_equal_through_training_and_others_do_not():
    X, y, about = babi_simple(64, rng=np.random.default_rng(0))
    model = model_of(about["input_size"], 8, about["classes"], num_heads=2, dtype=np.float64)
    X = Tensor(X, dtype=np.float64)
    optimizer = Adam(model.parameters(), lr=0.01)
    zeros, spread = np.zeros((64, 4, 8)), lambda memory: np.abs(memory.data - memory.data[:, :1]).max()
    for _ in range(10):
        optimizer.zero_grad()
        CrossEntropyLoss()(model(X, state=Tensor(zeros, dtype=np.float64)), y).backward()
        optimizer.step()
    assert spread(model.scan(X, Tensor(zeros, dtype=np.float64))[1]) < 1e-12
    assert spread(model.scan(X)[1]) > 0.1


def test_slots_in_another_order_give_the_same_memories_in_that_order():
    core, order = model_of(3, 4, num_heads=2, dtype=np.float64).memory, [2, 0, 3, 1]
    x, memory = Tensor(normal(2, 3), dtype=np.float64), normal(2, 4, 4, seed=1)
    expected = core(x, Tensor(memory, dtype=np.float64)).data[:, order]
    np.testing.assert_allclose(core(x, Tensor(memory[:, order], dtype=np.float64)).data, expected, rtol=1e-10)


def test_weights_do_not_depend_on_the_number_of_slots():
    few, many = (RelationalMemory(slots, 4, 2, input_size=3, rng=np.random.default_rng(0)) for slots in (2, 20))
    assert {name: p.shape for name, p in few.named_parameters()} == {n: p.shape for n, p in many.named_parameters()}
    many.load_state_dict(few.state_dict())
    assert many(Tensor(normal(2, 3))).shape == (2, 20, 8)


def test_no_gates_let_the_candidate_replace_the_memory_and_wide_open_gates_keep_it():
    x, memory = Tensor(normal(2, 4)), Tensor(normal(2, 3, 4, seed=1))
    kept = RelationalMemory(3, 4, forget_bias=50.0, input_bias=-50.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(kept(x, memory).data, memory.data, rtol=1e-6)
    free = RelationalMemory(3, 4, gate_style=None, rng=np.random.default_rng(0))
    assert free.gates_from_input is None and free.gates_from_memory is None
    rows = free(x, memory).data.reshape(-1, 4)
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-6)  # as the last layer norm left them
    np.testing.assert_allclose(rows.var(axis=1), 1, atol=1e-3)


# --- weights ---


def test_outputs_begin_as_large_as_inputs():
    rows = Tensor(normal(2000, 64))
    for layer in (level(64, 16, np.random.default_rng(0)), level(64, 256, np.random.default_rng(0))):
        assert layer(rows).data.var() == pytest.approx(1, abs=0.1) and not layer.bias.data.any()
    assert len(perceptron([4, 4, 4, 4]).parameters()) == 6, "no layer stands twice"


def test_parameters_by_name_are_copies_and_are_written_into_the_same_tensors():
    model, other = model_of(3, 4, 2), RelationalRNN(3, 4, 2, rng=np.random.default_rng(1))
    tensors, params = model.parameters(), model.get_params()
    assert list(params) == [name for name, _ in model.named_parameters()] and "head.0.weight" in params
    params["head.0.bias"][:] = 9
    assert not (model.head[0].bias.data == 9).any()
    model.set_params(other.get_params())
    assert all(a is b for a, b in zip(tensors, model.parameters(), strict=True))
    assert all((model.get_params()[name] == x).all() for name, x in other.get_params().items())
    with pytest.raises(ValueError, match="nothing was changed"):
        model.set_params({**other.get_params(), "head.0.bias": np.zeros(3)})


def test_every_weight_is_handed_to_the_operation_once():
    model = the_parameters_of(model_of(3, 4, num_blocks=2, attention_mlp_layers=3))
    blocks, gates = model.memory.weights()
    used = [*gates, *(p for block in blocks for p in block), *model.memory.embed.parameters()]
    assert len(used) == len(set(used)) and set(used) == set(model.parameters())


def test_without_a_generator_the_default_one_is_used():
    manual_seed(3)
    first = RelationalRNN(2, 4, 2).get_params()
    manual_seed(3)
    again, other = RelationalRNN(2, 4, 2).get_params(), RelationalRNN(2, 4, 2).get_params()
    assert all((first[name] == x).all() for name, x in again.items())
    assert not (again["memory.blocks.0.project.weight"] == other["memory.blocks.0.project.weight"]).all()


# --- types, the graph ---


def test_types():
    model = model_of(3, 4)
    assert model(Tensor(np.ones((2, 5, 3), dtype=np.int64))).dtype == np.float32
    assert model(np.ones((2, 5, 3))).dtype == np.float32 and model.memory(np.ones((2, 3))).dtype == np.float32
    wide = Tensor(np.ones((2, 5, 3)), dtype=np.float64)
    assert model(wide).dtype == np.float64 and model(wide, lengths=[1, 2]).dtype == np.float64
    start = Tensor(normal(2, 4, 4), dtype=np.float64)
    assert model.scan(np.ones((2, 5, 3)), start)[0].dtype == np.float64
    assert model_of(3, 4, dtype=np.float64)(Tensor(np.ones((2, 5, 3)))).dtype == np.float64
    assert model(np.zeros((0, 5, 3))).shape == (0, 16)


def test_the_graph_has_one_receipt_for_the_sequence():
    model, X = model_of(3, 4), Tensor(normal(2, 9, 3))
    _, last = model.scan(X)
    whole = last.receipt.inputs[0]
    assert whole.receipt.operation == "relational_sequence" and whole.shape == (1, 10, 2, 4, 4)
    with no_grad():
        assert model(X).receipt is None


def test_who_writes_into_the_memories_gets_the_right_gradient_or_an_error():
    model, X = model_of(3, 4), Tensor(normal(2, 5, 3), requires_grad=True)
    model.scan(X)[1].sum().backward()
    expected, X.grad = X.grad.data, None
    _, last = model.scan(X)
    y = last.sum()
    last.data *= 0
    try:
        y.backward()
    except RuntimeError as error:
        assert "was changed" in str(error) and X.grad is None
    else:
        np.testing.assert_array_equal(X.grad.data, expected)


def test_inputs_and_weights_stay_as_they_are():
    model, X, first = model_of(3, 4), normal(2, 5, 3).astype(np.float32), normal(2, 4, 4).astype(np.float32)
    tensors = [Tensor(x, requires_grad=True) for x in (X, first)]
    weights = model.get_params()
    model.scan(*tensors, lengths=[5, 2])[0].sum().backward()
    assert all((t.data == x).all() for t, x in zip(tensors, (X, first), strict=True))
    assert all((model.get_params()[name] == x).all() for name, x in weights.items())


def test_numbers_far_out_are_finite():
    model = model_of(1, 4)
    model.memory.gates_from_input.weight.data *= 1e4
    X = Tensor(normal(3, 6, 1) * 1e3, requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        model(X).sum().backward()
    assert np.isfinite(X.grad.data).all()


# --- errors ---


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: RelationalMemory(0, 4), "RelationalMemory: mem_slots is 0; it must be a whole number of at least 1"),
        (lambda: RelationalMemory(2, 2.5), "head_size is 2.5"),
        (lambda: RelationalMemory(2, 4, num_heads=0), "num_heads is 0"),
        (lambda: RelationalMemory(2, 4, num_blocks=0), "num_blocks is 0"),
        (lambda: RelationalMemory(2, 4, attention_mlp_layers=0), "attention_mlp_layers is 0"),
        (lambda: RelationalMemory(2, 4, key_size=True), "key_size is True"),
        (lambda: RelationalMemory(2, 4, input_size=-1), "input_size is -1"),
        (lambda: RelationalMemory(2, 4, gate_style="slot"), r"gate_style is 'slot'; .* \('unit', 'memory', None\)"),
        (lambda: RelationalMemory(2, 4)(np.ones((3, 5))), r"x has shape \(3, 5\); it must be \(B, 4\)"),
        (lambda: RelationalMemory(2, 4)(np.ones((3, 4)), np.ones((3, 4, 2))), r"\(3, 4, 2\); it must have \(3, 2, 4\)"),
        (lambda: RelationalRNN(0, 3), "RelationalRNN: input_size is 0"),
        (lambda: RelationalRNN(3, 5, num_heads=2), "RelationalRNN: 2 heads must divide hidden_size, 5"),
        (lambda: RelationalRNN(3, 4, 2, readout=(0,)), "RelationalRNN: a size in readout is 0"),
        (lambda: RelationalRNN(3, 4)(np.ones((2, 5, 2))), r"RelationalRNN: x has shape \(2, 5, 2\)"),
        (lambda: RelationalRNN(3, 4)(np.ones((5, 3))), r"x has shape \(5, 3\); .* try x\[None\]"),
        (lambda: RelationalRNN(3, 4)(np.ones((2, 0, 3))), "no steps"),
        (lambda: RelationalRNN(3, 4)(np.ones((2, 5, 3)), lengths=[5, 6]), "between 0 and 5"),
        (lambda: RelationalRNN(3, 4).scan(np.ones((2, 5, 3)), np.ones((2, 16))), r"memory has shape \(2, 16\)"),
    ],
)
def test_what_does_not_fit_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_an_option_that_does_not_exist_is_named():
    with pytest.raises(TypeError, match="gate"):
        RelationalRNN(3, 4, gate="unit")


# --- the same training for both ---

MODELS = [lambda *sizes, **rng: LSTM(*sizes, **rng), lambda *sizes, **rng: RelationalRNN(*sizes, num_heads=2, **rng)]
both = pytest.mark.parametrize("make", MODELS, ids=["LSTM", "RelationalRNN"])


@both
def test_train_step_moves_along_the_numerical_gradient(make):
    X, y = normal(5, 4, 3).astype(np.float32), np.array([0, 1, 2, 1, 0])
    model = make(3, 4, 3, rng=np.random.default_rng(0))
    expected = compute_numerical_gradient(model, Tensor(X), y, cross_entropy)
    before = model.get_params()
    tu.train_step(model, X, y, learning_rate=1.0, clip_norm=None)
    for name, x in model.get_params().items():
        np.testing.assert_allclose(before[name] - x, expected[name], rtol=1e-3, atol=3e-6, err_msg=name)


@both
def test_train_model_works_unchanged_on_both(make):
    X, y, about = babi_simple(500, max_facts=2, n_entities=2, n_locations=2, rng=np.random.default_rng(0))
    model = make(about["input_size"], 16, 2, rng=np.random.default_rng(0))
    train, held_out = (X[:400], y[:400]), (X[400:], y[400:])
    options = {"epochs": 12, "learning_rate": 0.02, "verbose": False, "rng": np.random.default_rng(1)}
    history = tu.train_model(model, train, held_out, optimizer=Adam(model.parameters()), **options)
    loss, accuracy = tu.evaluate(model, *held_out)
    best = int(np.argmin(history["val_loss"]))
    assert (loss, accuracy) == pytest.approx((history["val_loss"][best], history["val_metric"][best]))
    assert accuracy > 0.97 > 0.92 > about["shortcut"]


def test_a_regression_on_every_step_is_trained():
    X = normal(200, 6, 2).astype(np.float32)
    y = np.cumsum(X[:, :, :1], axis=1) / 3
    model = RelationalRNN(2, 8, 1, rng=np.random.default_rng(0))
    optimizer, losses = SGD(model.parameters(), lr=0.05), []
    for _ in range(30):
        optimizer.zero_grad()
        error = model(Tensor(X), return_sequences=True) - Tensor(y)
        loss = (error * error).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
