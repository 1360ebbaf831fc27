"""`tinytorch.core.spatial` against loops, compositions and, where it is installed, PyTorch."""

import importlib.util
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytorch.core import spatial
from tinytorch.core.autograd import check_gradients, no_grad
from tinytorch.core.layers import Sequential
from tinytorch.core.spatial import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2D,
    Conv2d,
    GroupNorm,
    LayerNorm,
    MaxPool2d,
    avg_pool2d,
    batch_norm,
    conv2d,
    flatten,
    group_norm,
    layer_norm,
    max_pool2d,
    output_size,
)
from tinytorch.core.tensor import Tensor
from tinytorch.random import manual_seed

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def conv2d_loops(x, weight, bias, stride, padding, dilation):
    """The definition; stride, padding, dilation are pairs."""
    (N, _, H, W), (out, _, KH, KW) = x.shape, weight.shape
    (s, t), (p, q), (d, e) = stride, padding, dilation
    padded = np.zeros((*x.shape[:2], H + 2 * p, W + 2 * q))
    padded[:, :, p : p + H, q : q + W] = x
    tops = range(0, padded.shape[2] - d * (KH - 1), s)
    lefts = range(0, padded.shape[3] - e * (KW - 1), t)
    y = np.empty((N, out, len(tops), len(lefts)))
    for n, o, (i, top), (j, left) in itertools.product(range(N), range(out), enumerate(tops), enumerate(lefts)):
        patch = padded[n, :, top : top + d * (KH - 1) + 1 : d, left : left + e * (KW - 1) + 1 : e]
        y[n, o, i, j] = np.sum(patch * weight[o]) + bias[o]
    return y


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
FRAMES = st.tuples(st.integers(0, 3), st.integers(0, 3))


@st.composite
def convolutions(draw):
    """x, weight, bias as float64 arrays, and options that fit."""
    kernel, stride, dilation, padding = draw(PAIRS), draw(PAIRS), draw(PAIRS), draw(FRAMES)
    size = [max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 4)) for k, d, p in zip(kernel, dilation, padding)]
    batch, channels, out = (draw(st.integers(1, 3)) for _ in range(3))
    shapes = (batch, channels, *size), (out, channels, *kernel), (out,)
    arrays = [images(*shape, seed=draw(st.integers(0, 99))) for shape in shapes]
    return arrays, {"stride": stride, "padding": padding, "dilation": dilation}


@settings(max_examples=60)
@given(convolutions())
def test_convolution_is_its_definition(example):
    (x, weight, bias), options = example
    got = conv2d(*(Tensor(a, dtype=np.float64) for a in (x, weight, bias)), **options)
    np.testing.assert_allclose(got.numpy(), conv2d_loops(x, weight, bias, **options), rtol=1e-10, atol=1e-10)
    sizes = zip(x.shape[2:], weight.shape[2:], *options.values())
    assert got.shape[2:] == tuple(output_size(*five) for five in sizes)


@needs_torch
@settings(max_examples=60)
@given(convolutions())
def test_convolution_and_its_gradients_are_those_of_pytorch(example):
    import torch

    arrays, options = example
    for dtype, close in ((np.float64, {"rtol": 1e-9, "atol": 1e-9}), (np.float32, {"rtol": 1e-3, "atol": 1e-3})):
        ours = [Tensor(a, requires_grad=True, dtype=dtype) for a in arrays]
        theirs = [torch.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
        y, expected = conv2d(*ours, **options), torch.nn.functional.conv2d(*theirs, **options)
        np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), **close)
        upstream = images(*y.shape, seed=7).astype(dtype)
        y.backward(Tensor(upstream, dtype=dtype))
        expected.backward(torch.tensor(upstream))
        for a, b in zip(ours, theirs):
            assert a.grad.dtype == dtype
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **close)


@needs_torch
@settings(max_examples=60)
@given(
    kernel=st.tuples(st.integers(2, 3), st.integers(2, 3)),
    stride=st.none() | PAIRS,
    dilation=st.sampled_from([(1, 1), (1, 2), (2, 1)]),
    framed=st.booleans(),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
)
def test_pooling_is_that_of_pytorch_also_where_pixels_are_equal(kernel, stride, dilation, framed, size):
    import torch

    padding = (1, 1) if framed else (0, 0)
    x = np.random.default_rng(0).integers(-2, 2, size=(2, 3, *size)).astype(np.float32)  # many are equal
    functional = torch.nn.functional
    for ours, theirs in (
        (lambda x: max_pool2d(x, kernel, stride, padding, dilation),
         lambda x: functional.max_pool2d(x, kernel, stride, padding, dilation)),
        (lambda x: avg_pool2d(x, kernel, stride, padding), lambda x: functional.avg_pool2d(x, kernel, stride, padding)),
    ):  # fmt: skip
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, expected = ours(a), theirs(b)
        np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)
        upstream = images(*y.shape).astype(np.float32)
        y.backward(Tensor(upstream))
        expected.backward(torch.tensor(upstream))
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_a_maximum_hands_out_what_arrives_once():
    x = Tensor(np.zeros((1, 1, 4, 4)), requires_grad=True)
    max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy()[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0]] * 2)
    x = Tensor(np.full((1, 1, 2, 2), -np.inf), requires_grad=True)
    assert max_pool2d(x, 2, padding=1).numpy().max() == -np.inf


LAYOUTS = [(0, 1, 2, 3), (2, 1, 3, 0), (1, 2, 3, 0), (3, 2, 1, 0)]
LAYERS = {
    "conv": lambda: Conv2d(3, 2, 3, padding=1),
    "1 x 1": lambda: Conv2d(3, 2, 1),
    "max": lambda: MaxPool2d(3, 2, 1),
    "mean": lambda: AvgPool2d(2),
    "batch": lambda: BatchNorm2d(3),
    "group": lambda: GroupNorm(3, 3),
    "layer": lambda: LayerNorm((3, 4, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_results_do_not_depend_on_how_images_lie_in_memory(name):
    values, results = images(2, 3, 4, 5).astype(np.float32), []
    for order in LAYOUTS:
        manual_seed(0)
        layer = LAYERS[name]()
        base = Tensor(np.ascontiguousarray(values.transpose(order)), requires_grad=True)
        y = layer(base.permute(*np.argsort(order)))
        upstream = images(*y.shape, seed=1).astype(np.float32)
        y.backward(Tensor(upstream))
        inverse = np.argsort(order)
        results.append([y.numpy(), base.grad.numpy().transpose(inverse), *(p.grad.numpy() for p in layer.parameters())])
    for other in results[1:]:
        for got, expected in zip(other, results[0], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_one_receipt_and_leaves_its_input_alone(name):
    layer, values = LAYERS[name](), images(2, 3, 4, 5)
    x = Tensor(values, requires_grad=True)
    y = layer(x)
    assert y.receipt.inputs[0] is x and y.dtype == np.float32
    np.testing.assert_array_equal(x.numpy(), values.astype(np.float32))
    with no_grad():
        assert layer(x).receipt is None
    whole_numbers = Tensor(np.arange(120).reshape(2, 3, 4, 5))
    assert layer(whole_numbers).dtype == np.float32


@pytest.mark.parametrize("name", LAYERS)
def test_a_result_that_is_written_into_gives_the_right_gradient_or_none(name):
    layer, x = LAYERS[name](), Tensor(images(2, 3, 4, 5), requires_grad=True)
    layer(x).sum().backward()
    expected, x.grad = x.grad.numpy(), None
    y = layer(x)
    total = y.sum()
    y.data *= 0
    try:
        total.backward()
    except RuntimeError as error:
        assert "was changed" in str(error)
    else:
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_gradient_in_the_images_of_the_first_layer_is_not_computed(monkeypatch):
    calls = []
    original = spatial.col2im
    monkeypatch.setattr(spatial, "col2im", lambda *inputs: calls.append(1) or original(*inputs))
    model = Sequential(Conv2d(1, 2, 3), Conv2d(2, 2, 3))
    model(Tensor(images(2, 1, 6, 6))).sum().backward()
    assert len(calls) == 1


# --- normalisations ---


def composed(x, dims, eps):
    return (x - x.mean(dim=dims, keepdim=True)) / (x.var(dim=dims, keepdim=True, correction=0) + eps).sqrt()


def gradient_of(function, x, upstream):
    x = Tensor(x, requires_grad=True, dtype=np.float64)
    y = function(x)
    y.backward(Tensor(upstream, dtype=np.float64))
    return y.numpy(), x.grad.numpy()


@pytest.mark.parametrize(
    ("fused", "slow"),
    [
        (lambda x: layer_norm(x, (4, 5), eps=0.1), lambda x: composed(x, (2, 3), 0.1)),
        (lambda x: group_norm(x, 2, eps=0.1),
         lambda x: composed(x.reshape(3, 2, 3, 4, 5), (2, 3, 4), 0.1).reshape(3, 6, 4, 5)),
        (lambda x: spatial.normalise_channels(x, eps=0.1), lambda x: composed(x, (0, 2, 3), 0.1)),
    ],
)  # fmt: skip
def test_the_fused_norm_is_the_composed_one(fused, slow):
    x, upstream = images(3, 6, 4, 5), images(3, 6, 4, 5, seed=1)
    for got, expected in zip(gradient_of(fused, x, upstream), gradient_of(slow, x, upstream)):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


def test_the_diary_of_batch_norm():
    layer, x = BatchNorm2d(2, momentum=0.5), Tensor(images(4, 2, 3, 3) * 3 + 5)
    mean, var = x.numpy().mean(axis=(0, 2, 3)), x.numpy().var(axis=(0, 2, 3), ddof=1)
    layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean / 2, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), (1 + var) / 2, rtol=1e-5)
    kept = layer.eval().state_dict()
    first = layer(Tensor(x.numpy()[:1])).numpy()
    np.testing.assert_allclose(layer(x).numpy()[:1], first, rtol=1e-5, atol=1e-6)
    assert all(np.array_equal(kept[name], value) for name, value in layer.state_dict().items())
    assert kept["num_batches_tracked"] == 1 and kept["num_batches_tracked"].dtype == np.int64
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_batch_norm_in_use_takes_part_in_gradients():
    running = [Tensor(values, dtype=np.float64) for values in ([1.0, -1.0], [2.0, 0.5])]
    inputs = images(2, 2, 3), images(2, seed=1), images(2, seed=2)
    assert check_gradients(lambda x, w, b: batch_norm(x, *running, w, b), list(inputs))


def test_large_offsets_do_not_spoil_the_variance():
    x = (images(4, 1, 16, 16) + 1e4).astype(np.float32)
    y = spatial.normalise_channels(Tensor(x)).numpy()
    assert abs(y.mean()) < 2e-3 and abs(y.std() - 1) < 2e-3


# --- first values, names, errors ---


def test_first_values_lie_within_one_over_the_root_of_the_fan_in():
    layer = Conv2d(8, 64, (3, 5), rng=np.random.default_rng(0))
    bound = 1 / np.sqrt(8 * 15)
    for parameter in layer.parameters():
        assert 0.9 * bound < np.abs(parameter.numpy()).max() <= bound and parameter.dtype == np.float32
    manual_seed(3)
    first = Conv2d(1, 2, 3).weight.numpy()
    manual_seed(3)
    np.testing.assert_array_equal(first, Conv2D(1, 2, 3).weight.numpy())


def test_flatten_keeps_the_batch():
    x = Tensor(images(2, 3, 4, 5))
    assert flatten(x).shape == (2, 60) and flatten(x, 2).shape == (2, 3, 20) and flatten(x, 0).shape == (120,)


def test_what_a_layer_says_about_itself():
    assert repr(Conv2d(1, 4, 3, padding=1, bias=False)) == (
        "Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), bias=False)"
    )
    assert repr(MaxPool2d(2)) == "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1))"
    assert repr(BatchNorm1d(3)) == "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True)"


X = Tensor(np.zeros((2, 3, 4, 5)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: conv2d(X[0], np.zeros((1, 3, 3, 3))), r"conv2d: x has shape \(3, 4, 5\).*x\[None\]"),
        (lambda: conv2d(X, np.zeros((3, 3))), r"weight has shape \(3, 3\)"),
        (lambda: conv2d(X, np.zeros((2, 4, 3, 3))), r"has 3 channels, and weight \(2, 4, 3, 3\) takes 4"),
        (lambda: conv2d(X, np.zeros((2, 3, 3, 3)), np.zeros(3)), r"bias has shape \(3,\)"),
        (lambda: conv2d(X, np.zeros((2, 3, 5, 3))), r"kernel of \(5, 3\).* does not fit on images of \(4, 5\)"),
        (lambda: conv2d(X, np.zeros((2, 3, 3, 3)), stride=0), "stride is 0"),
        (lambda: conv2d(X, np.zeros((2, 3, 3, 3)), padding="same"), "padding is 'same'"),
        (lambda: conv2d(X, np.zeros((2, 3, 3, 3)), dilation=(1, 2, 3)), "dilation is"),
        (lambda: max_pool2d(X, 2, padding=2), "more than half"),
        (lambda: MaxPool2d(0), "kernel_size is 0"),
        (lambda: Conv2d(0, 2, 3), "channels is"),
        (lambda: BatchNorm2d(2)(X), r"BatchNorm2d: x has shape \(2, 3, 4, 5\).*2 channels"),
        (lambda: BatchNorm2d(3)(X[:, :, 0, 0]), "needs 4 dimensions"),
        (lambda: BatchNorm1d(3)(X[:1, :, 0, 0]), "training needs a larger batch"),
        (lambda: LayerNorm(4)(X), "does not end with"),
        (lambda: GroupNorm(2, 3), "3 channels cannot be shared by 2"),
        (lambda: group_norm(X, 2), "2 groups must divide"),
        (lambda: GroupNorm(2, 4)(X), "GroupNorm: .*4 channels"),
    ],
)
def test_what_does_not_fit_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
