"""`tinytorch.core.attention` against loops, the composed form and, where it is installed, PyTorch."""

import importlib.util
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.core.attention import (
    MultiHeadAttention,
    attention_in_blocks,
    attention_weights,
    composed_attention,
    create_causal_mask,
    join_heads,
    masked_softmax,
    rotate_by_position,
    scaled_dot_product_attention,
    sinusoidal_positions,
    split_heads,
)
from tinytorch.core.autograd import check_gradients, no_grad
from tinytorch.core.tensor import Tensor
from tinytorch.random import manual_seed

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def attention_loops(q, k, v, mask):
    """The definition, for one matrix each; `mask` holds truth values (T, S)."""
    y = np.zeros((len(q), v.shape[1]))
    for t, query in enumerate(q):
        seen = np.flatnonzero(mask[t])
        if len(seen):
            powers = np.exp([query @ k[s] / math.sqrt(len(query)) for s in seen])
            y[t] = powers @ v[seen] / powers.sum()
    return y


@st.composite
def attentions(draw):
    """q, k, v as float64 arrays with a stack in front, and a mask (..., T, S) or None."""
    stack = draw(st.sampled_from([(), (2,), (2, 3)]))
    T, S, d, E = (draw(st.integers(1, 4)) for _ in range(4))
    seed = draw(st.integers(0, 999))
    arrays = [normal(*stack, *shape, seed=seed + i) for i, shape in enumerate(((T, d), (S, d), (S, E)))]
    hidden = np.random.default_rng(seed).random((*stack, T, S)) < draw(st.sampled_from([0.0, 0.4, 0.9]))
    return arrays, draw(st.sampled_from([None, ~hidden]))


@settings(max_examples=60)
@given(attentions())
def test_attention_is_its_definition(example):
    (q, k, v), mask = example
    got = scaled_dot_product_attention(*(Tensor(a, dtype=np.float64) for a in (q, k, v)), mask).numpy()
    seen = np.ones((*q.shape[:-1], k.shape[-2]), dtype=bool) if mask is None else mask
    for place in np.ndindex(q.shape[:-2]):
        expected = attention_loops(q[place], k[place], v[place], seen[place])
        np.testing.assert_allclose(got[place], expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=60)
@given(attentions())
def test_the_one_operation_is_the_composed_form(example):
    arrays, mask = example
    results = []
    for attention in (scaled_dot_product_attention, composed_attention):
        inputs = [Tensor(a, requires_grad=True, dtype=np.float64) for a in arrays]
        y = attention(*inputs, mask)
        y.backward(Tensor(normal(*y.shape, seed=7), dtype=np.float64))
        results.append([y.numpy(), *(x.grad.numpy() for x in inputs)])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


@needs_torch
@settings(max_examples=60)
@given(attentions())
def test_attention_and_its_gradients_are_those_of_pytorch(example):
    import torch

    arrays, mask = example
    for dtype, close in ((np.float64, {"rtol": 1e-9, "atol": 1e-10}), (np.float32, {"rtol": 1e-4, "atol": 1e-5})):
        ours = [Tensor(a, requires_grad=True, dtype=dtype) for a in arrays]
        theirs = [torch.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
        y = scaled_dot_product_attention(*ours, mask)
        expected = torch.nn.functional.scaled_dot_product_attention(
            *theirs, None if mask is None else torch.tensor(mask)
        )
        np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), **close)
        upstream = normal(*y.shape, seed=7).astype(dtype)
        y.backward(Tensor(upstream, dtype=dtype))
        expected.backward(torch.tensor(upstream))
        for a, b in zip(ours, theirs):
            assert a.grad.dtype == dtype
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **close)


def test_who_may_attend_to_nothing_gets_nothing_forward_and_back():
    q, k, v = (Tensor(normal(3, 4, seed=i), requires_grad=True) for i in range(3))
    mask = np.array([[True, True, False], [False, False, False], [False, True, False]])
    with np.errstate(all="raise"):
        y = scaled_dot_product_attention(q, k, v, mask)
        y.sum().backward()
    np.testing.assert_array_equal(y.numpy()[1], 0)
    np.testing.assert_array_equal(q.grad.numpy()[1], 0)
    np.testing.assert_array_equal(v.grad.numpy()[2], 0)
    assert all(np.isfinite(x.grad.numpy()).all() for x in (q, k, v))


@pytest.mark.parametrize("attention", [scaled_dot_product_attention, composed_attention])
def test_hidden_values_do_not_matter_however_large(attention):
    q, k, v = normal(2, 4), normal(3, 4, seed=1), normal(3, 5, seed=2)
    mask = np.array([[True, True, False]] * 2)
    expected = attention(Tensor(q), Tensor(k[:2]), Tensor(v[:2])).numpy()
    k[2] = 1e6 * np.abs(q).max(axis=0)
    v[2] = 1e6
    got = attention(Tensor(q), Tensor(k), Tensor(v), mask).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_large_scores_stay_finite_and_nan_is_not_hidden():
    q = Tensor(np.array([[1e4, 0.0]]))
    y = scaled_dot_product_attention(q, Tensor([[1e4, 0.0], [-1e4, 0.0]]), Tensor([[1.0], [2.0]]))
    np.testing.assert_array_equal(y.numpy(), [[1]])
    assert np.isnan(masked_softmax(np.array([[np.nan, 1.0]])).numpy()).all()


def test_nothing_to_attend_to_and_nobody_who_asks():
    q, k, v = Tensor(np.ones((2, 4)), requires_grad=True), Tensor(np.ones((0, 4))), Tensor(np.ones((0, 3)))
    y = scaled_dot_product_attention(q, k, v)
    np.testing.assert_array_equal(y.numpy(), np.zeros((2, 3)))
    y.sum().backward()
    np.testing.assert_array_equal(q.grad.numpy(), np.zeros((2, 4)))
    assert scaled_dot_product_attention(k, q, q, create_causal_mask(0, 2)).shape == (0, 4)


def test_it_is_one_receipt_that_leaves_its_inputs_alone():
    arrays = [normal(3, 4, seed=i).astype(np.float32) for i in range(3)]
    inputs = [Tensor(a, requires_grad=True) for a in arrays]
    y = scaled_dot_product_attention(*inputs, mask=create_causal_mask(3))
    assert y.receipt.operation == "attend" and y.receipt.inputs[:3] == tuple(inputs) and y.dtype == np.float32
    y.sum().backward()
    for x, a in zip(inputs, arrays):
        np.testing.assert_array_equal(x.numpy(), a)
    with no_grad():
        assert scaled_dot_product_attention(*inputs).receipt is None
    whole_numbers = Tensor(np.arange(12).reshape(3, 4))
    assert scaled_dot_product_attention(whole_numbers, whole_numbers, whole_numbers).dtype == np.float32


@pytest.mark.parametrize("which", range(3))
def test_an_input_that_was_written_into_is_refused(which):
    inputs = [Tensor(normal(3, 4, seed=i), requires_grad=True) for i in range(3)]
    y = scaled_dot_product_attention(*inputs).sum()
    inputs[which].data *= 2
    with pytest.raises(RuntimeError, match=f"input {which} of attend.* was changed"):
        y.backward()


# --- masks ---


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (4, 4), (2, 5), (5, 5), (0, 3), (0, 0)])
def test_the_causal_mask_is_its_definition(queries, keys):
    mask = create_causal_mask(queries, keys)
    assert isinstance(mask, Tensor) and mask.dtype == bool and mask.shape == (queries, keys)
    for i, j in np.ndindex(queries, keys):
        assert mask.numpy()[i, j] == (j <= keys - queries + i)
    if queries == keys:
        np.testing.assert_array_equal(mask.numpy(), create_causal_mask(queries).numpy())


@pytest.mark.parametrize("place", range(5))
def test_nothing_leaks_from_the_future(place):
    manual_seed(0)
    layer, x = MultiHeadAttention(8, 2), normal(2, 5, 8)
    changed = x.copy()
    changed[:, place] += 10
    before, after = (layer(Tensor(a), mask=create_causal_mask(5)).numpy() for a in (x, changed))
    differs = np.abs(after - before).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(differs, np.arange(5) >= place)


def test_new_places_asked_alone_answer_as_they_do_among_all():
    manual_seed(0)
    layer, x = MultiHeadAttention(8, 2), Tensor(normal(2, 6, 8))
    whole = layer(x, mask=create_causal_mask(6)).numpy()
    alone = layer(x[:, 4:], x, mask=create_causal_mask(2, 6)).numpy()
    np.testing.assert_allclose(alone, whole[:, 4:], rtol=1e-5, atol=1e-6)


def test_filling_that_is_hidden_changes_nothing():
    manual_seed(0)
    layer, lengths = MultiHeadAttention(6, 3), np.array([3, 5])
    x = normal(2, 5, 6)
    present = np.arange(5) < lengths[:, None]
    together = layer(Tensor(x), mask=present[:, None, :] & create_causal_mask(5).numpy()).numpy()
    for row, length in enumerate(lengths):
        alone = layer(Tensor(x[row : row + 1, :length]), mask=create_causal_mask(length)).numpy()[0]
        np.testing.assert_allclose(together[row, :length], alone, rtol=1e-5, atol=1e-6)


def test_a_mask_for_each_sequence_is_not_taken_for_one_for_each_head():
    manual_seed(0)
    layer, x = MultiHeadAttention(6, 2), normal(2, 4, 6)  # as many heads as sequences
    masks = np.random.default_rng(3).random((2, 4, 4)) > 0.4
    together = layer(Tensor(x), mask=masks).numpy()
    for row in range(2):
        alone = layer(Tensor(x[row : row + 1]), mask=masks[row]).numpy()[0]
        np.testing.assert_allclose(together[row], alone, rtol=1e-5, atol=1e-6)


# --- heads and the layer ---


@given(st.integers(1, 3), st.integers(0, 4), st.integers(1, 3), st.integers(1, 3))
def test_heads_are_split_and_joined_without_loss(N, T, H, D):
    x = Tensor(normal(N, T, H * D))
    heads = split_heads(x, H)
    assert heads.shape == (N, H, T, D)
    for h in range(H):
        np.testing.assert_array_equal(heads.numpy()[:, h], x.numpy()[:, :, h * D : (h + 1) * D])
    np.testing.assert_array_equal(join_heads(heads).numpy(), x.numpy())


@needs_torch
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("masked", [None, "causal", "each"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_attention_forward_and_back_is_that_of_pytorch_whose_masks_are_inverted(heads, masked, dtype):
    import torch

    manual_seed(1)
    ours = MultiHeadAttention(8, heads)
    for name in ("in_proj_weight", "in_proj_bias"):
        setattr(ours, name, type(ours.in_proj_weight)(normal(*getattr(ours, name).shape), dtype=dtype))
    for name in ("weight", "bias"):
        setattr(
            ours.out_proj, name, type(ours.in_proj_weight)(normal(*getattr(ours.out_proj, name).shape), dtype=dtype)
        )
    theirs = torch.nn.MultiheadAttention(8, heads, batch_first=True, dtype=getattr(torch, np.dtype(dtype).name))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    arrays = [normal(2, length, 8, seed=i).astype(dtype) for i, length in enumerate((4, 5, 5))]
    mask = {None: None, "causal": create_causal_mask(4, 5).numpy(), "each": normal(2, 4, 5, seed=9) > -0.5}[masked]
    hidden = mask
    if mask is not None:
        hidden = torch.tensor(~(mask if mask.ndim == 2 else np.repeat(mask, heads, axis=0)))
    a = [Tensor(x, requires_grad=True, dtype=dtype) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    y = ours(*a, mask=mask)
    expected, weights = theirs(*b, attn_mask=hidden, average_attn_weights=False)
    close = {"rtol": 1e-9, "atol": 1e-9} if dtype == np.float64 else {"rtol": 1e-3, "atol": 1e-4}
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), **close)
    np.testing.assert_allclose(ours.weights(*a[:2], mask=mask), weights.detach().numpy(), **close)
    upstream = normal(*y.shape, seed=7).astype(dtype)
    y.backward(Tensor(upstream, dtype=dtype))
    expected.backward(torch.tensor(upstream))
    for x, theirs_x in zip(a, b):
        np.testing.assert_allclose(x.grad.numpy(), theirs_x.grad.numpy(), **close)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(
            dict(ours.named_parameters())[name].grad.numpy(), parameter.grad.numpy(), **close, err_msg=name
        )


def test_gradients_of_the_layer_in_three_inputs_with_a_mask():
    manual_seed(0)
    layer, mask = MultiHeadAttention(4, 2), normal(2, 3, 5, seed=3) > 0
    layer.in_proj_bias.data = normal(12)
    arrays = [normal(2, length, 4, seed=i) for i, length in enumerate((3, 5, 5))]
    assert check_gradients(lambda q, k, v: layer(q, k, v, mask), arrays)
    assert check_gradients(lambda x: layer(x, mask=create_causal_mask(3)), arrays[0])


def test_names_first_values_and_what_the_layer_says():
    layer = MultiHeadAttention(12, 3, rng=np.random.default_rng(0))
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [
        *(("in_proj_weight", (36, 12)), ("in_proj_bias", (36,))),
        *(("out_proj.weight", (12, 12)), ("out_proj.bias", (12,))),
    ]
    bound = math.sqrt(6 / (12 + 36))
    assert 0.9 * bound < np.abs(layer.in_proj_weight.numpy()).max() <= bound
    assert not layer.in_proj_bias.numpy().any() and not layer.out_proj.bias.numpy().any()
    assert repr(layer).startswith("MultiHeadAttention(\n  embed_dim=12, num_heads=3, bias=True")
    assert [name for name, _ in MultiHeadAttention(4, 2, bias=False).named_parameters()] == [
        *("in_proj_weight", "out_proj.weight"),
    ]
    manual_seed(5)
    first = MultiHeadAttention(4, 2).state_dict()
    manual_seed(5)
    for name, value in MultiHeadAttention(4, 2).state_dict().items():
        np.testing.assert_array_equal(value, first[name])


def test_the_weights_of_the_layer_are_shares():
    manual_seed(0)
    layer, x = MultiHeadAttention(8, 4), Tensor(normal(2, 5, 8), requires_grad=True)
    weights = layer.weights(x, mask=create_causal_mask(5))
    assert isinstance(weights, np.ndarray) and weights.shape == (2, 4, 5, 5)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert (weights[..., ~create_causal_mask(5).numpy()] == 0).all()
    q = Tensor(normal(3, 4))
    np.testing.assert_array_equal(attention_weights(q, q).numpy() > 0, True)


# --- positions, blocks ---


def test_positions_are_their_definition():
    got = sinusoidal_positions(7, 6)
    assert got.dtype == np.float32 and got.shape == (7, 6)
    for t, i in np.ndindex(7, 3):
        angle = t / 10000 ** (2 * i / 6)
        np.testing.assert_allclose(got.numpy()[t, 2 * i : 2 * i + 2], [math.sin(angle), math.cos(angle)], atol=1e-6)
    assert sinusoidal_positions(0, 4).shape == (0, 4)


def test_going_on_is_a_linear_function_of_the_clocks():
    P = sinusoidal_positions(40, 8).numpy().astype(float)
    matrix, *_ = np.linalg.lstsq(P[:20], P[3:23], rcond=None)
    np.testing.assert_allclose(P[20:37] @ matrix, P[23:], atol=1e-3)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 8), st.integers(0, 99))
def test_blocks_give_what_the_table_gives(T, S, block, seed):
    q, k, v = normal(T, 3, seed=seed) * 9, normal(S, 3, seed=seed + 1), normal(S, 2, seed=seed + 2)
    expected = attention_loops(q, k, v, np.ones((T, S), dtype=bool))
    np.testing.assert_allclose(attention_in_blocks(q, k, v, block), expected, rtol=1e-9, atol=1e-12)


def test_turning_keeps_scores_at_equal_distances_and_passes_gradients():
    x = np.repeat(normal(1, 6), 8, axis=0)
    turned = rotate_by_position(Tensor(x, dtype=np.float64)).numpy()
    scores = turned @ turned.T
    for distance in range(8):
        assert np.ptp(np.diagonal(scores, distance)) < 1e-5
    assert check_gradients(rotate_by_position, [normal(2, 3, 4)])


# --- errors ---

Q, K, V = (Tensor(np.zeros(shape)) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6)))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: scaled_dot_product_attention(Q, V, V), ValueError, "queries have 4 features and keys 6"),
        (lambda: scaled_dot_product_attention(Q, K, Q), ValueError, "5 keys and 3 values"),
        (lambda: scaled_dot_product_attention(Q[0, 0], K, V), ValueError, "at least two dimensions"),
        (lambda: scaled_dot_product_attention(Q, K, Tensor(np.zeros((3, 5, 6)))), ValueError, "sizes 2 and 3"),
        (lambda: scaled_dot_product_attention(Q, K, V, np.ones((2, 5), dtype=bool)), ValueError, r"mask\[:, None, :\]"),
        (lambda: scaled_dot_product_attention(Q, K, V, np.ones((4, 3, 5), dtype=bool)), ValueError, "sizes 2 and 4"),
        (lambda: scaled_dot_product_attention(Q, K, V, np.zeros((3, 5))), TypeError, "mask has float64 numbers"),
        (lambda: masked_softmax(Q, Tensor(np.ones((3, 4)))), TypeError, "mask has float32 numbers"),
        (lambda: create_causal_mask(3, 2), ValueError, "3 queries are the last of 2 places"),
        (lambda: split_heads(Q, 3), ValueError, "3 heads must divide E"),
        (lambda: split_heads(Q[0], 2), ValueError, r"x\[None\]"),
        (lambda: MultiHeadAttention(6, 4), ValueError, "6 features and 4 heads"),
        (lambda: MultiHeadAttention(0, 1), ValueError, "at least 1"),
        (lambda: MultiHeadAttention(4, 2)(V), ValueError, "6 features.* takes 4"),
        (lambda: MultiHeadAttention(4, 2)(Q[0]), ValueError, r"x\[None\]"),
        (lambda: MultiHeadAttention(4, 2)(Q, mask=np.zeros((3, 3))), TypeError, "True where a query may attend"),
        (lambda: sinusoidal_positions(3, 5), ValueError, "dim is 5"),
    ],
)
def test_what_does_not_fit_is_named(call, error, said):
    with pytest.raises(error, match=said):
        call()
