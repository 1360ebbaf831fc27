"""Gradients of every operation, layer, activation and loss against central differences in float64 and PyTorch.

What there is to test is read from the library: a new operation, or a new class of layers or losses, without a case in
this file fails by name. A case draws leaves (arrays whose gradients are checked) with shapes from hypothesis, among
them 0-d, empty and non-contiguous ones, one leaf that is used twice, and plain numbers, arrays and lists as the other
input. Kinks are avoided by construction; what holds at them stands in tests of its own.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinytorch.core
from tinytorch.core import activations, attention, losses, recurrent, relational, spatial
from tinytorch.core.activations import Activation
from tinytorch.core.layers import Dropout, Flatten, Linear, Maxout, Module, Parameter, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.tensor import Tensor, autograd, concatenate, stack
from tinytorch.random import manual_seed

MODULES = [
    importlib.import_module(f"tinytorch.core.{found.name}") for found in pkgutil.iter_modules(tinytorch.core.__path__)
]
NO_GRADIENT = {  # operation: why it has no gradient
    name: "its results are true or false"
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
}
NOT_ITS_SLOPE = {  # operation: why its rule is not its slope, and where it is tested instead
    "to_half": "rounding has the slope 0; the rule rounds the gradient: test_training_extras.py",
}
NO_CASE = {  # class: why it has none
    "Module": "has no forward of its own",
    "Activation": "has no forward of its own",
    "Loss": "has no forward of its own",
    "ModuleList": "has no forward of its own",
}

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: pip install torch==2.13.0"
)

# --- leaves ---

LAYOUTS = ("plain", "transposed", "every second, backwards")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)
SEEDS = st.integers(0, 2**16)


class Leaf(NamedTuple):
    """Values of a Tensor whose gradient is checked, and how they lie in memory; in two places it is one Tensor."""

    values: np.ndarray
    layout: str

    def tensor(self, dtype):
        values = self.values.astype(dtype)
        if self.layout == "transposed":
            out = Tensor(values.T.copy(), dtype=dtype).T.detach()
        elif self.layout == "plain" or values.ndim == 0:
            out = Tensor(values, dtype=dtype)
        else:
            around = np.full([2 * n for n in values.shape], np.nan, dtype)  # who reads past the view reads nan
            key = (slice(None, None, -2),) * values.ndim
            around[key] = values
            out = Tensor(around, dtype=dtype)[key].detach()
        out.requires_grad = True
        return out


def anything(rng, shape):
    return rng.uniform(-2, 2, size=shape)


def positive(rng, shape):
    return rng.uniform(0.3, 2, size=shape)


def small(rng, shape):
    return rng.uniform(-0.8, 0.8, size=shape)


def off_zero(rng, shape):
    return rng.uniform(0.2, 2, size=shape) * rng.choice([-1.0, 1.0], size=shape)


def shares(rng, shape):
    return rng.uniform(0.05, 0.95, size=shape)


def distinct(rng, shape):
    """Values of which no two are closer than 0.2."""
    size = int(np.prod(shape))
    return (rng.permutation(size).reshape(shape) - size / 2) * 0.3 + rng.uniform(0, 0.1, size=shape)


@st.composite
def leaves(draw, shapes=SHAPES, values=anything):
    shape = shapes if isinstance(shapes, tuple) else draw(shapes)
    return Leaf(np.asarray(values(np.random.default_rng(draw(SEEDS)), shape)), draw(st.sampled_from(LAYOUTS)))


def raw(draw, leaf):
    """The values of a leaf as what one may also write: an array, a nested list, or one number."""
    if not leaf.values.ndim:
        return leaf.values.item()
    return leaf.values.tolist() if leaf.values.size and draw(st.booleans()) else leaf.values


def shared(draw, first, second):
    """Both as leaves, one of them plain, or one leaf in both places."""
    kind = draw(st.sampled_from(["leaves", "leaves", "raw first", "raw second", "twice"]))
    if kind == "raw first":
        return raw(draw, first), second
    if kind == "raw second":
        return first, raw(draw, second)
    return (first, first) if kind == "twice" else (first, second)


# --- the cases ---


class Case(NamedTuple):
    examples: Any  # a strategy of pairs (inputs, options)
    torch: Any  # the same by PyTorch: function(torch, *inputs, **options)


CASES = {}


def case(torch):
    """Register a composite strategy under its name, which is that of the operation."""

    def register(strategy):
        CASES[strategy.__name__] = Case(st.composite(strategy)(), torch)
        return strategy

    return register


UNARY = {
    "negative": (anything, lambda torch, x: -x),
    "exp": (anything, lambda torch, x: torch.exp(x)),
    "log": (positive, lambda torch, x: torch.log(x)),
    "sqrt": (positive, lambda torch, x: torch.sqrt(x)),
    "absolute": (off_zero, lambda torch, x: torch.abs(x)),
    "identity": (anything, lambda torch, x: x.clone()),
    "relu": (off_zero, lambda torch, x: torch.relu(x)),
    "sigmoid": (anything, lambda torch, x: torch.sigmoid(x)),
    "tanh": (anything, lambda torch, x: torch.tanh(x)),
    "gelu": (anything, lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh")),
    "softplus": (anything, lambda torch, x: torch.nn.functional.softplus(x)),
}
BINARY = {
    "add": (anything, anything, lambda torch, a, b: a + b),
    "subtract": (anything, anything, lambda torch, a, b: a - b),
    "multiply": (anything, anything, lambda torch, a, b: a * b),
    "divide": (off_zero, off_zero, lambda torch, a, b: a / b),
    "power": (positive, positive, lambda torch, a, b: a**b),
}


@st.composite
def one_leaf(draw, values):
    return (draw(leaves(values=values)),), {}


@st.composite
def two_that_broadcast(draw, values_a, values_b):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)).input_shapes
    first, second = draw(leaves(shapes[0], values_a)), draw(leaves(shapes[1], values_b))
    return shared(draw, first, second), {}


CASES.update({name: Case(one_leaf(values), torch) for name, (values, torch) in UNARY.items()})
CASES.update({name: Case(two_that_broadcast(a, b), torch) for name, (a, b, torch) in BINARY.items()})


@case(lambda torch, x, negative_slope=0.01: torch.nn.functional.leaky_relu(x, negative_slope))
def leaky_relu(draw):
    options = draw(st.sampled_from([{}, {"negative_slope": 0.3}, {"negative_slope": 0}, {"negative_slope": -1.5}]))
    return (draw(leaves(values=off_zero)),), options


@case(lambda torch, x, min=None, max=None: torch.clamp(x, min, max))
def clip(draw):
    def off_the_borders(rng, shape):
        return rng.uniform(-0.4, 0.4, size=shape) + rng.choice([-1.0, 0.0, 1.0], size=shape)

    options = draw(st.sampled_from([{"min": -0.5}, {"max": 0.5}, {"min": -0.5, "max": 0.5}]))
    return (draw(leaves(values=off_the_borders)),), options


@case(lambda torch, condition, a, b: torch.where(condition, a, b))
def where(draw):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=2, min_side=0, max_side=3)).input_shapes
    rng = np.random.default_rng(draw(SEEDS))
    chosen = rng.random(shapes[0]) < 0.5
    nested = chosen.tolist() if chosen.size else chosen  # of shape (0, 3) a list keeps the 0 only
    condition = draw(st.sampled_from([chosen, nested, Tensor(chosen)]))
    return (condition, *shared(draw, draw(leaves(shapes[1])), draw(leaves(shapes[2])))), {}


@case(lambda torch, x, key: x.flatten()[torch.as_tensor(np.arange(x.numel()).reshape(x.shape)[key])])
def index(draw):
    x = draw(leaves(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)))
    shape = x.values.shape
    boolean = hnp.arrays(bool, shape[: draw(st.integers(1, len(shape)))])
    key = draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True),
            hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
            boolean,
            st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4),
            st.tuples(st.just(slice(None, None, -1)), *[st.just([n - 1, 0, 0]) for n in shape[1:2]]),
            st.tuples(st.just(...), st.just(None), st.just([0, -1, 0])),
        )
    )
    return (x,), {"key": key}


@case(lambda torch, x, dims: x.permute(dims))
def permute(draw):
    x = draw(leaves())
    order = draw(st.permutations(range(x.values.ndim)))
    return (x,), {"dims": tuple(d - draw(st.sampled_from([0, x.values.ndim])) for d in order)}


@case(lambda torch, x, dim0, dim1: x.transpose(dim0, dim1))
def transpose(draw):
    x = draw(leaves(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    dims = st.integers(-x.values.ndim, x.values.ndim - 1)
    return (x,), {"dim0": draw(dims), "dim1": draw(dims)}


@case(lambda torch, x, shape: x.reshape(shape))
def reshape(draw):
    x = draw(leaves())
    sizes = list(draw(st.permutations([*x.values.shape, 1])))
    if x.values.size and draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return (x,), {"shape": tuple(sizes)}


def reduced(draw, values, least=0):
    """A leaf, and options under which every result stands for at least `least` of its values."""
    x = draw(leaves(values=values))
    ndim, options = x.values.ndim, {"keepdim": True} if draw(st.booleans()) else {}
    some = st.sets(st.integers(0, ndim - 1), min_size=1).map(tuple) if ndim else st.nothing()
    dim = draw(st.one_of(st.none(), st.integers(-ndim, ndim - 1) if ndim else st.nothing(), some))
    reduces = range(ndim) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    shape = [max(n, least) if d in [e % ndim for e in reduces] else n for d, n in enumerate(x.values.shape)]
    values = np.asarray(values(np.random.default_rng(draw(SEEDS)), tuple(shape)))
    return (x._replace(values=values),), options if dim is None else {**options, "dim": dim}


def torch_dims(x, dim):
    return tuple(range(x.ndim)) if dim is None else dim


@case(lambda torch, x, dim=None, keepdim=False: x.sum(torch_dims(x, dim), keepdim))
def reduce_sum(draw):
    return reduced(draw, anything)


@case(lambda torch, x, dim=None, keepdim=False: x.mean(torch_dims(x, dim), keepdim))
def reduce_mean(draw):
    return reduced(draw, anything, least=1)


@case(lambda torch, x, dim=None, keepdim=False: torch.amax(x, torch_dims(x, dim), keepdim))
def reduce_max(draw):
    return reduced(draw, distinct, least=1)


@case(lambda torch, x, dim=None, keepdim=False: torch.amin(x, torch_dims(x, dim), keepdim))
def reduce_min(draw):
    return reduced(draw, distinct, least=1)


@case(
    lambda torch, x, dim=None, keepdim=False, correction=1: torch.var(
        x, torch_dims(x, dim), keepdim=keepdim, correction=correction
    )
)
def reduce_var(draw):
    inputs, options = reduced(draw, anything, least=2)
    if inputs[0].values.ndim == 0:
        return inputs, {**options, "correction": 0}
    return inputs, {**options, **draw(st.sampled_from([{}, {"correction": 0}, {"correction": 1.5}]))}


@case(lambda torch, a, b: torch.matmul(a, b))
def matmul(draw):
    lead = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=2)).input_shapes
    m, k, n = (draw(st.integers(0, 3)) for _ in range(3))
    kind = draw(st.sampled_from(["matrices", "matrices", "vector left", "vector right", "vectors", "square"]))
    if kind == "square":
        x = draw(leaves((*lead[0], m, m)))
        return (x, x), {}
    a = (k,) if kind in ("vector left", "vectors") else (*lead[0], m, k)
    b = (k,) if kind in ("vector right", "vectors") else (*lead[1], k, n)
    first, second = draw(leaves(a)), draw(leaves(b))
    kinds = [(first, second), (first.values, second), (first, raw(draw, second))]
    return draw(st.sampled_from(kinds)), {}


@case(lambda torch, *arrays, dim=0: torch.cat(arrays, dim))
def join(draw):
    shape = list(draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        shape[dim] = draw(st.integers(0, 3))
        parts.append(draw(leaves(tuple(shape))))
    again = draw(st.sampled_from([(), (parts[0],), (parts[0].values,)]))
    return (*parts, *again), {} if dim == 0 else {"dim": dim}


@case(lambda torch, x, weight, bias=None: torch.nn.functional.linear(x, weight, bias))
def linear(draw):
    lead = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    n, m = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x, weight, bias = draw(leaves((*lead, n))), draw(leaves((m, n))), draw(leaves((m,)))
    square = draw(leaves((n, n)))
    kinds = [(x, weight, bias), (x, weight), (x, weight, None), (x.values, weight, bias), (square, square)]
    return draw(st.sampled_from(kinds)), {}


@case(lambda torch, x, mask: x * torch.as_tensor(mask, dtype=x.dtype))
def dropout(draw):
    x = draw(leaves())
    keep = np.random.default_rng(draw(SEEDS)).random(x.values.shape) < 0.5
    return (x,), {"mask": keep.astype(np.float32) * 2}


def along_a_dim(draw):
    x = draw(leaves(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    dims = st.integers(-x.values.ndim, x.values.ndim - 1)
    return (x,), draw(st.one_of(st.just({}), st.fixed_dictionaries({"dim": dims})))


@case(lambda torch, x, dim=-1: torch.softmax(x, dim))
def softmax(draw):
    return along_a_dim(draw)


@case(lambda torch, x, dim=-1: torch.log_softmax(x, dim))
def log_softmax(draw):
    return along_a_dim(draw)


@case(lambda torch, a, b: torch.nn.functional.mse_loss(a, b))
def mean_squared_error(draw):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3))
    first, second = draw(leaves(shape)), draw(leaves(shape))
    return shared(draw, first, second), {}


@case(lambda torch, a, b, delta=1.0: torch.nn.functional.huber_loss(a, b, delta=delta))
def huber(draw):
    rng, shape = np.random.default_rng(draw(SEEDS)), draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
    options = draw(st.sampled_from([{}, {"delta": 0.5}, {"delta": 3.0}]))
    away = rng.uniform(-0.8, 0.8, size=shape) + rng.choice([-2.0, 0.0, 2.0], size=shape)  # from 1
    first = draw(leaves(shape))
    second = Leaf(np.asarray(first.values + away * options.get("delta", 1.0)), "plain")
    return shared(draw, first, second), options


@case(lambda torch, x, y: torch.nn.functional.binary_cross_entropy_with_logits(x, y))
def binary_cross_entropy_with_logits(draw):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3))
    first, second = draw(leaves(shape, off_zero)), draw(leaves(shape, shares))
    labels = np.round(second.values)
    return draw(st.sampled_from([(first, second.values), (first, labels), (first, second), (second, second)])), {}


def torch_cross_entropy(torch, logits, targets):
    is_soft = targets.ndim == logits.ndim and targets.dtype == logits.dtype and targets.shape == logits.shape
    return torch.nn.functional.cross_entropy(logits, targets if is_soft else targets.long().reshape(logits.shape[:-1]))


@case(torch_cross_entropy)
def cross_entropy(draw):
    rng = np.random.default_rng(draw(SEEDS))
    batch, classes = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    logits = draw(leaves((batch, classes)))
    soft = Leaf(rng.dirichlet(np.ones(classes), size=batch), "plain")
    indices = rng.integers(0, classes, size=batch)
    sample = draw(leaves((classes,)))
    kinds = [
        *((logits, t) for t in (indices, indices.astype(float), Tensor(indices), soft.values, soft)),
        *((sample, t) for t in (indices[:1], indices[0], soft.values[0])),
    ]
    return draw(st.sampled_from(kinds)), {}


def image_shape(draw):
    """Sizes (N, C) of a batch that may be empty, and a Window with images on which it fits."""
    kernel, dilation, stride = (tuple(draw(st.integers(1, 2)) for _ in range(2)) for _ in range(3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    extents = (d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding))
    size = tuple(max(2, extent) + draw(st.integers(0, 2)) for extent in extents)
    sizes = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    return sizes, spatial.Window(size, kernel, stride, padding, dilation)


def torch_convolve(torch, x, weight, bias=None, window=None):
    return torch.nn.functional.conv2d(x, weight, bias, window.stride, window.padding, window.dilation)


@case(torch_convolve)
def convolve(draw):
    (batch, channels), window = image_shape(draw)
    out = draw(st.integers(1, 2))
    x, weight = draw(leaves((batch, channels, *window.size))), draw(leaves((out, channels, *window.kernel)))
    bias = draw(leaves((out,)))
    kinds = [(x, weight, bias), (x, weight), (x, weight, None), (x.values, weight, bias), (x, weight.values, bias)]
    return draw(st.sampled_from(kinds)), {"window": window}


def torch_pool_max(torch, x, window=None):
    return torch.nn.functional.max_pool2d(x, window.kernel, window.stride, window.padding, window.dilation)


@case(torch_pool_max)
def pool_max(draw):
    (batch, channels), window = image_shape(draw)
    return (draw(leaves((batch, channels, *window.size), distinct)),), {"window": window}


def torch_pool_mean(torch, x, window=None):
    return torch.nn.functional.avg_pool2d(x, window.kernel, window.stride, window.padding)


@case(torch_pool_mean)
def pool_mean(draw):
    (batch, channels), window = image_shape(draw)
    window = window._replace(dilation=(1, 1))
    return (draw(leaves((batch, channels, *window.size))),), {"window": window}


def normalised(draw, shape, scale_shape):
    """An input with what scales and shifts it, either of which may be missing or no leaf."""
    x, weight, bias = draw(leaves(shape, distinct)), draw(leaves(scale_shape)), draw(leaves(scale_shape))
    kinds = [(x, weight, bias), (x,), (x, None, bias), (x, weight, None), (x.values, weight, bias)]
    return draw(st.sampled_from(kinds))


@case(
    lambda torch, x, weight=None, bias=None, eps=1e-5: torch.nn.functional.batch_norm(
        x, None, None, weight, bias, training=True, eps=eps
    )
)
def normalise_channels(draw):
    channels = draw(st.integers(1, 3))
    shape = draw(st.sampled_from([(3, channels), (2, channels, 2), (2, channels, 1, 3), (1, channels, 2, 2)]))
    return normalised(draw, shape, (channels,)), draw(st.sampled_from([{}, {"eps": 0.1}]))


def torch_normalise_groups(torch, x, weight=None, bias=None, num_groups=1, eps=1e-5):
    if weight is None and bias is not None:  # there PyTorch fails on the way back
        weight = torch.ones_like(bias)
    return torch.nn.functional.group_norm(x, num_groups, weight, bias, eps)


@case(torch_normalise_groups)
def normalise_groups(draw):
    groups, each = draw(st.integers(1, 2)), draw(st.integers(2, 3))
    shape = draw(st.sampled_from([(2, groups * each), (2, groups * each, 2), (1, groups * each, 1, 3)]))
    return normalised(draw, shape, shape[1:2]), {"num_groups": groups, **draw(st.sampled_from([{}, {"eps": 0.1}]))}


def torch_normalise_last(torch, x, weight=None, bias=None, dims=1, eps=1e-5):
    return torch.nn.functional.layer_norm(x, x.shape[x.ndim - dims :], weight, bias, eps)


@case(torch_normalise_last)
def normalise_last(draw):
    lead, last = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)), draw(st.sampled_from([(3,), (2, 2)]))
    options = {} if len(last) == 1 else {"dims": 2}
    return normalised(draw, (*lead, *last), last), {**options, **draw(st.sampled_from([{}, {"eps": 0.1}]))}


def torch_masked_softmax(torch, scores, mask=None):
    powers = torch.exp(scores) if mask is None else torch.exp(scores) * mask
    total = powers.sum(dim=-1, keepdim=True)
    return powers / torch.where(total == 0, 1, total)


def mask_of(draw, shape):
    """A mask that hides about half, now and then whole rows, as an array or a Tensor; or None."""
    rng = np.random.default_rng(draw(SEEDS))
    mask = (rng.random(shape) > 0.4) & (rng.random((*shape[:-1], 1)) > 0.2)
    return draw(st.sampled_from([None, mask, Tensor(mask)]))


@case(torch_masked_softmax)
def masked_softmax(draw):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)).input_shapes
    T, S = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    mask = mask_of(draw, (*shapes[1], T, S)) if S else None
    return (draw(leaves((*shapes[0], T, S))), mask), {}


def torch_attend(torch, q, k, v, mask=None):
    return torch_masked_softmax(torch, q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, mask) @ v


@case(torch_attend)
def attend(draw):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=4, max_dims=2, min_side=0, max_side=2)).input_shapes
    T, S, d, E = (draw(st.integers(low, 3)) for low in (0, 1, 1, 1))
    q, k, v = (draw(leaves((*lead, *last))) for lead, last in zip(shapes, ((T, d), (S, d), (S, E))))
    same = draw(leaves((*shapes[1], S, d)))
    kinds = [(q, k, v), (q, k, v), (q.values, k, v), (q, k.values, v), (q, k, v.values), (q, same, same)]
    return (*draw(st.sampled_from(kinds)), mask_of(draw, (*shapes[3], T, S))), {}


# --- the two oracles ---


def unique_leaves(inputs):
    return list({id(x): x for x in inputs if isinstance(x, Leaf)}.values())


def with_leaves(inputs, found, values):
    """The inputs with `values` in place of the leaves `found`."""
    by_id = {id(leaf): value for leaf, value in zip(found, values)}
    return [by_id[id(x)] if isinstance(x, Leaf) else x for x in inputs]


def central_differences(function, arrays, upstream, step=1e-6):
    """Gradients of `(upstream * function(*arrays)).sum()` in each of the float64 `arrays`, one value at a time."""
    gradients = []
    for k, array in enumerate(arrays):
        gradient = np.empty(array.shape)
        for place in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * step
                ends.append(function(*arrays[:k], moved, *arrays[k + 1 :]))
            gradient[place] = np.sum(upstream * (ends[0] - ends[1])) / (2 * step)
        gradients.append(gradient)
    return gradients


def upstream_of(shape):
    return np.asarray(off_zero(np.random.default_rng(0), shape))


def differentiate(name, inputs, options, dtype):
    """Value of the operation, gradients in its leaves, and what must share no memory; by the engine, in `dtype`."""
    found = unique_leaves(inputs)
    tensors = [leaf.tensor(dtype) for leaf in found]
    y = autograd.operations[name](*with_leaves(inputs, found, tensors), **options)
    upstream = Tensor(upstream_of(y.shape), dtype=dtype)
    value = y.numpy().copy()
    y.backward(upstream)
    for leaf, tensor in zip(found, tensors):
        assert tensor.grad is not None, f"{name}: no gradient in the input {leaf.values!r}"
        assert (tensor.grad.shape, tensor.grad.dtype) == (tensor.shape, np.dtype(dtype))
        np.testing.assert_array_equal(tensor.numpy(), leaf.values.astype(dtype), "the input was changed")
    return value, [t.grad.numpy() for t in tensors], [upstream.numpy(), *(t.numpy() for t in tensors)]


def values_of(name, inputs, options):
    """The operation as a function of the arrays in its leaves, in float64, without receipts."""
    found = unique_leaves(inputs)

    def function(*arrays):
        tensors = [Tensor(array, dtype=np.float64) for array in arrays]
        return autograd.operations[name](*with_leaves(inputs, found, tensors), **options).numpy()

    return function, [leaf.values for leaf in found]


# --- operations ---


def test_every_operation_has_a_rule_and_a_case():
    operations, rules, cases, without = map(set, (autograd.operations, autograd.rules, CASES, NO_GRADIENT))
    problems = {
        "operations without a case in this file": operations - cases - without - NOT_ITS_SLOPE.keys(),
        "cases of operations that do not exist": (cases | without | NOT_ITS_SLOPE.keys()) - operations,
        "operations without a backward rule": operations - rules - without,
        "rules of operations that do not exist": rules - operations,
        "operations said to have no gradient, with a rule or a case": without & (rules | cases),
    }
    assert not any(problems.values()), {text: sorted(names) for text, names in problems.items() if names}


@pytest.mark.parametrize("name", NO_GRADIENT)
def test_comparisons_take_no_part_in_gradients(name):
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = autograd.operations[name](x, 1.5)
    assert y.dtype == bool and not y.requires_grad and y.receipt is None


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40)
@given(data=st.data())
def test_gradients_are_central_differences_and_types_are_kept(name, data):
    inputs, options = data.draw(CASES[name].examples)
    value, gradients, others = differentiate(name, inputs, options, np.float64)
    function, arrays = values_of(name, inputs, options)
    expected = central_differences(function, arrays, upstream_of(value.shape))
    for got, numeric in zip(gradients, expected):
        np.testing.assert_allclose(got, numeric, rtol=1e-6, atol=1e-6)
    for k, gradient in enumerate(gradients):
        shared_with = [x for x in (*others, *gradients[:k]) if np.shares_memory(gradient, x)]
        assert not shared_with and gradient.flags.writeable, "a leaf's gradient must own its memory"
    narrow_value, narrow, _ = differentiate(name, inputs, options, np.float32)
    assert narrow_value.dtype == np.float32
    np.testing.assert_allclose(narrow_value, value, rtol=1e-4, atol=1e-5)
    for got, wide in zip(narrow, gradients):
        np.testing.assert_allclose(got, wide, rtol=1e-3, atol=1e-4)


def by_torch(torch, name, inputs, options, dtype):
    """Value and gradients in the leaves by PyTorch, as arrays."""

    def convert(x):
        array = np.asarray(x)
        return x if x is None else torch.as_tensor(array.astype(dtype) if array.dtype.kind == "f" else array)

    found = unique_leaves(inputs)
    tensors = [torch.tensor(leaf.values.astype(dtype), requires_grad=True) for leaf in found]
    given_ = [x if isinstance(x, torch.Tensor) else convert(x) for x in with_leaves(inputs, found, tensors)]
    y = CASES[name].torch(torch, *given_, **options)
    y.backward(torch.as_tensor(upstream_of(tuple(y.shape)), dtype=y.dtype))
    return y.detach().numpy(), [t.grad.numpy() for t in tensors]


@needs_torch
@pytest.mark.filterwarnings("ignore:var.*degrees of freedom")  # PyTorch on a result without numbers
@pytest.mark.parametrize("name", CASES)
@settings(max_examples=25)
@given(data=st.data())
def test_values_and_gradients_are_those_of_pytorch(name, data):
    import torch

    inputs, options = data.draw(CASES[name].examples)
    for dtype, rtol, atol in ((np.float64, 1e-9, 1e-10), (np.float32, 1e-4, 1e-5)):
        value, gradients, _ = differentiate(name, inputs, options, dtype)
        expected_value, expected = by_torch(torch, name, inputs, options, dtype)
        assert value.shape == expected_value.shape
        np.testing.assert_allclose(value, expected_value, rtol=rtol, atol=atol)
        for got, theirs in zip(gradients, expected):
            np.testing.assert_allclose(got, theirs, rtol=rtol, atol=atol)


def by_steps(torch, step, x, state, mask, *weights):
    """The states of all times (k, T + 1, B, H), by one of PyTorch's cells."""
    states = [state]
    for t in range(x.shape[1]):
        new = step(x[:, t], states[-1], *weights)
        if mask is not None:
            new = [torch.where(torch.as_tensor(mask[t]), b, a) for a, b in zip(states[-1], new)]
        states.append(new)
    return torch.stack([torch.stack(list(part)) for part in zip(*states)])


def read_in_order(draw, gates, kept):
    """Inputs of a whole sequence, and a mask or none."""
    B, T, D, H = (draw(st.integers(low, 3)) for low in (0, 1, 1, 1))
    shapes = [(B, T, D), *[(B, H)] * kept, (gates * H, D), (gates * H, H), (gates * H,), (gates * H,)]
    x, *others = (draw(leaves(shape)) for shape in shapes)
    lengths = np.random.default_rng(draw(SEEDS)).integers(0, T + 1, size=B)
    mask = recurrent.length_mask(lengths, T).T[:, :, None]
    first = x.values if draw(st.booleans()) else x
    return (first, *others), draw(st.sampled_from([{}, {"mask": None}, {"mask": mask}]))


@case(
    lambda torch, x, h, *weights, mask=None: by_steps(
        torch, lambda x, state, *w: [torch.rnn_tanh_cell(x, state[0], *w)], x, [h], mask, *weights
    )
)
def rnn_sequence(draw):
    return read_in_order(draw, 1, 1)


@case(
    lambda torch, x, h, c, *weights, mask=None: by_steps(
        torch, lambda x, state, *w: torch.lstm_cell(x, state, *w), x, [h, c], mask, *weights
    )
)
def lstm_sequence(draw):
    return read_in_order(draw, 4, 2)


@case(
    lambda torch, x, h, *weights, mask=None: by_steps(
        torch, lambda x, state, *w: [torch.gru_cell(x, state[0], *w)], x, [h], mask, *weights
    )
)
def gru_sequence(draw):
    return read_in_order(draw, 3, 1)


def relational_by_steps(torch, x, memory, *weights, heads, key_size, blocks, biases, mask=None):
    """All memories (1, T + 1, B, S, E), with one block that has one head and one layer in its perceptron."""
    F, K, E = torch.nn.functional, key_size, x.shape[2]
    project, project_bias, scale, shift, inner, inner_bias, scale_2, shift_2, *gates = weights
    memories = [memory]
    for t in range(x.shape[1]):
        old = memories[-1]
        parts = F.linear(torch.cat([old, x[:, t : t + 1]], dim=1), project, project_bias)
        q, k, v = parts[:, :-1, :K], parts[..., K : 2 * K], parts[..., 2 * K :]
        seen = F.layer_norm(old + torch.softmax(q @ k.transpose(1, 2) / K**0.5, dim=2) @ v, (E,), scale, shift)
        new = F.layer_norm(seen + F.linear(seen, inner, inner_bias), (E,), scale_2, shift_2)
        if gates:
            a = F.linear(torch.tanh(old), *gates[:2]) + F.linear(x[:, t : t + 1], *gates[2:])
            i, f = (torch.sigmoid(part + bias) for part, bias in zip(a.chunk(2, dim=2), biases))
            new = i * torch.tanh(new) + f * old
        memories.append(new if mask is None else torch.where(torch.as_tensor(mask[t]), new, old))
    return torch.stack(memories)[None]


@case(relational_by_steps)
def relational_sequence(draw):
    B, T, S, K, E = draw(st.integers(0, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2)), 1, 3
    gates = draw(st.sampled_from([2, 2 * E, None]))
    shapes = [(B, T, E), (B, S, E), (2 * K + E, E), (2 * K + E,), (E,), (E,), (E, E), (E,), (E,), (E,)]
    shapes += [] if gates is None else [(gates, E), (gates,)] * 2
    x, *others = (draw(leaves(shape, small)) for shape in shapes)
    options = {"heads": 1, "key_size": K, "blocks": 1, "biases": None if gates is None else (-0.5, 1.0)}
    if draw(st.booleans()):
        lengths = np.random.default_rng(draw(SEEDS)).integers(0, T + 1, size=B)
        options["mask"] = recurrent.length_mask(lengths, T).T[:, :, None, None]
    return (x.values if draw(st.booleans()) else x, *others), options


# --- conventions, where central differences do not help ---


def gradients_of(function, *values, upstream=1.0):
    """Gradients of `(upstream * function(*values)).sum()` in each of the values, as float64 arrays."""
    tensors = [Tensor(value, requires_grad=True, dtype=np.float64) for value in values]
    y = function(*tensors)
    y.backward(Tensor(np.broadcast_to(upstream, y.shape), dtype=np.float64))
    return [t.grad.numpy() for t in tensors]


def operation(name, **options):
    return lambda *inputs: autograd.operations[name](*inputs, **options)


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        (operation("relu"), [-1, 0, -0.0, 2], [0, 0, 0, 1]),
        (operation("leaky_relu", negative_slope=0.2), [-1, 0, 2], [0.2, 0.2, 1]),
        (operation("absolute"), [-3, 0, -0.0, 2], [-1, 0, 0, 1]),
        (lambda x: x.max(), [1, 3, 3, 2], [0, 0.5, 0.5, 0]),
        (lambda x: x.min(), [1, 1, 1, 2], [1 / 3, 1 / 3, 1 / 3, 0]),
        (lambda x: x.max(dim=1), [[2, 2], [0, 1]], [[0.5, 0.5], [0, 1]]),
        (lambda x: x.max(dim=(0, 2), keepdim=True), [[[5, 1], [0, 5]], [[5, 5], [7, 2]]],
         [[[1 / 3, 0], [0, 0]], [[1 / 3, 1 / 3], [1, 0]]]),
        (lambda x: x.min(dim=-1), [[2, 2], [0, 1]], [[0.5, 0.5], [1, 0]]),
        (operation("clip", min=-1, max=1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]),
        (operation("clip", min=-1), [-2, -1, 5], [0, 1, 1]),
        (lambda x: x**2, [-3, 0, 3], [-6, 0, 6]),
        (lambda x: x**3, [-2, 0], [12, 0]),
        (lambda x: x**1, [-2, 0], [1, 1]),
        (lambda x: x**0, [-2, 0], [0, 0]),
        (lambda x: x**[2, 0, 1], [0, 0, 0], [0, 0, 1]),
        (lambda x: x**-1, [2, -4], [-1 / 4, -1 / 16]),
        (lambda x: 0.0**x, [1, 2], [0, 0]),
        (operation("sqrt"), [0, 4], [np.inf, 0.25]),
        (lambda x: x**0.5, [0, 4], [np.inf, 0.25]),
        (lambda x: x.permute(-1, 0), [[1, 2, 3]], [[1, 1, 1]]),
    ],
)  # fmt: skip
def test_conventions_at_kinks_and_borders(function, values, expected):
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(gradients_of(function, values)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("condition", [[True, False, True], np.array([1, 0, 1]), np.array([2.0, 0.0, -1.0])])
def test_where_passes_gradients_to_what_was_chosen_and_nothing_else(condition):
    upstream = np.array([1.0, np.inf, np.nan])
    a, b = gradients_of(lambda a, b: autograd.operations["where"](condition, a, b), [1, 2, 3], [4, 5, 6])
    np.testing.assert_array_equal([a, b], [[1, 0, 1], [0, 1, 0]])
    a, b = gradients_of(
        lambda a, b: autograd.operations["where"](condition, a, b), [1, 2, 3], [4, 5, 6], upstream=upstream
    )
    np.testing.assert_array_equal([a, b], [[1, 0, np.nan], [0, np.inf, 0]], "0 times infinity is no 0")


@pytest.mark.parametrize("condition", [True, False, np.bool_(True), 1, 0])
def test_where_with_one_condition_for_all(condition):
    a, b = gradients_of(lambda a, b: autograd.operations["where"](condition, a, b), [1.0, 2.0], 5.0)
    np.testing.assert_array_equal(a, [float(condition)] * 2)
    assert b == 2 * (1 - int(condition))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_dropout_drops_the_same_places_in_the_gradient(mode):
    layer = getattr(Dropout(0.4, rng=np.random.default_rng(0)), mode)()
    x = Tensor(np.ones((20, 30)), requires_grad=True)
    first, second = layer(x), layer(x)
    first.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), first.numpy())
    assert (first.numpy() == second.numpy()).all() == (mode == "eval")


KEYS = [
    1,
    -1,
    np.int64(1),
    None,
    ...,
    True,
    slice(None, None, -2),
    (slice(2, 0, -1), slice(None, None, -3)),
    (..., 0),
    (None, 1, None),
    (1, ..., None, slice(1, 3)),
    [0, 0, 2],
    [[0, 0], [2, 0]],
    (0, [1, 1, -1]),
    (slice(None, None, -1), [3, 3]),
    ([0, 2, 0], [1, -1, 1]),
    (np.array([[0], [0]]), np.array([1, 1])),
    np.array([True, False, True]),
    np.arange(12).reshape(3, 4) % 2 == 0,
    (np.array([True, False, True]), 1),
    Tensor(np.array([2, 2])),
    (Tensor(np.array([0, 0])), slice(None, None, 2)),
    slice(3, 3),
    [],
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indexing_sends_the_gradient_back_as_often_as_a_value_was_taken(key):
    parts = tuple(k.numpy() if isinstance(k, Tensor) else k for k in (key if isinstance(key, tuple) else (key,)))
    taken = np.arange(12).reshape(3, 4)[parts if isinstance(key, tuple) else parts[0]]
    upstream = np.arange(1.0, taken.size + 1).reshape(taken.shape)
    expected = np.bincount(taken.ravel(), weights=upstream.ravel(), minlength=12).reshape(3, 4)
    x = Tensor(np.zeros((3, 4)), requires_grad=True)
    x[key].backward(Tensor(upstream))
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_joining_splits_the_gradient_and_keeps_the_type_of_each_part():
    a, c = Tensor(np.ones((2, 1)), requires_grad=True), Tensor(np.ones((2, 2)), requires_grad=True, dtype=np.float64)
    y = concatenate([a, np.zeros((2, 3)), c, a], dim=-1)
    y.backward(Tensor(np.arange(14.0).reshape(2, 7), dtype=np.float64))
    np.testing.assert_array_equal(a.grad.numpy(), [[0 + 6], [7 + 13]])
    np.testing.assert_array_equal(c.grad.numpy(), [[4, 5], [11, 12]])
    assert (a.grad.dtype, c.grad.dtype) == (np.float32, np.float64)
    rows = [Tensor([1.0, 2.0], requires_grad=True) for _ in range(3)]
    stack(rows, dim=1).backward(Tensor(np.arange(6).reshape(2, 3).astype(float)))
    np.testing.assert_array_equal([row.grad.numpy() for row in rows], [[0, 3], [1, 4], [2, 5]])


def test_other_types_beside_a_leaf():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * Tensor(np.arange(3)) + x * np.float64(2) + x * np.arange(3.0) + x / np.array([2, 2, 2]) + x * [True] * 3
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [5.5, 7.5, 9.5])
    x.grad = None
    (x * Tensor([1.0, 2.0, 4.0], dtype=np.float64)).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [1, 2, 4])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["reduce_sum", "reduce_mean", "reduce_var"])
def test_nothing_reduced_to_a_number_has_an_empty_gradient(name):
    x = Tensor(np.ones((0, 3)), requires_grad=True)
    autograd.operations[name](x).backward()
    assert x.grad.shape == (0, 3) and x.grad.dtype == np.float32


SCORES = np.array([[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0]])
CHANCES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float32])
def test_cross_entropy_with_indices_is_chances_minus_truth(dtype):
    logits, indices = Tensor(SCORES, requires_grad=True, dtype=np.float64), np.array([2, 0], dtype)
    CrossEntropyLoss()(logits, indices).backward()
    np.testing.assert_allclose(logits.grad.numpy(), (CHANCES - [[0, 0, 1], [1, 0, 0]]) / 2, rtol=1e-12)


def test_cross_entropy_with_shares_that_do_not_sum_to_one():
    logits, targets = (Tensor(x, requires_grad=True, dtype=np.float64) for x in (SCORES, [[0.5, 1, 0.5], [0, 0.2, 0]]))
    CrossEntropyLoss()(logits, targets).backward()
    np.testing.assert_allclose(
        logits.grad.numpy(), (CHANCES * [[2], [0.2]] - [[0.5, 1, 0.5], [0, 0.2, 0]]) / 2, rtol=1e-12
    )
    np.testing.assert_allclose(targets.grad.numpy(), -np.log(CHANCES) / 2, rtol=1e-12)


def test_class_indices_that_require_a_gradient_are_refused():
    logits, indices = Tensor(SCORES, requires_grad=True), Tensor([2.0, 0.0], requires_grad=True)
    with pytest.raises((RuntimeError, TypeError, ValueError), match="cross_entropy"):
        CrossEntropyLoss()(logits, indices).backward()
    assert logits.grad is None and indices.grad is None
    CrossEntropyLoss()(logits, indices.detach()).backward()
    assert logits.grad is not None


def test_a_condition_has_the_gradient_zero_of_a_step():
    condition, a = Tensor([1.0, 0.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    autograd.operations["where"](condition, a, 0.0).sum().backward()
    np.testing.assert_array_equal(condition.grad.numpy(), [0, 0])
    np.testing.assert_array_equal(a.grad.numpy(), [1, 0])


# --- layers, activations, losses ---

CLASSES = {}  # name -> (function of nothing that makes one, inputs: floating arrays are leaves)
TABLE = np.random.default_rng(0).uniform(0.2, 2, size=(4, 3)) * np.array([1.0, -1.0, 1.0])
IMAGES = distinct(np.random.default_rng(0), (2, 2, 4, 5))
SEQUENCES = np.random.default_rng(2).normal(size=(2, 4, 3))


def both_states(pair):
    """The two states of an LSTM as one Tensor."""
    return concatenate(list(pair), dim=1)


CLASSES.update(
    Linear=(lambda: Linear(3, 2), [TABLE]),
    Dropout=(lambda: Dropout(0.4), [TABLE]),
    Flatten=(Flatten, [np.arange(24.0).reshape(2, 3, 4)]),
    Sequential=(lambda: Sequential(Linear(3, 5), activations.GELU(), Dropout(0.2), Linear(5, 2)), [TABLE]),
    Maxout=(lambda: Maxout(3, 2, pieces=3), [TABLE]),
    ReLU=(activations.ReLU, [TABLE]),
    LeakyReLU=(lambda: activations.LeakyReLU(0.2), [TABLE]),
    Sigmoid=(activations.Sigmoid, [TABLE]),
    Tanh=(activations.Tanh, [TABLE]),
    GELU=(activations.GELU, [TABLE]),
    Softmax=(lambda: activations.Softmax(dim=0), [TABLE]),
    Conv2d=(lambda: spatial.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), [IMAGES]),
    MaxPool2d=(lambda: spatial.MaxPool2d(2, 1, padding=1), [IMAGES]),
    AvgPool2d=(lambda: spatial.AvgPool2d((2, 3), padding=(1, 0)), [IMAGES]),
    BatchNorm1d=(lambda: spatial.BatchNorm1d(3), [TABLE]),
    BatchNorm2d=(lambda: spatial.BatchNorm2d(2), [IMAGES]),
    LayerNorm=(lambda: spatial.LayerNorm((4, 5)), [IMAGES]),
    GroupNorm=(lambda: spatial.GroupNorm(1, 2), [IMAGES]),
    RNNCell=(lambda: recurrent.RNNCell(3, 2), [TABLE]),
    LSTMCell=(lambda: Sequential(recurrent.LSTMCell(3, 2), both_states), [TABLE]),
    GRUCell=(lambda: recurrent.GRUCell(3, 2, 2), [SEQUENCES]),
    RNN=(lambda: recurrent.RNN(3, 2), [SEQUENCES]),
    LSTM=(lambda: recurrent.LSTM(3, 2, 3), [SEQUENCES]),
    GRU=(lambda: recurrent.GRU(3, 2, 1), [SEQUENCES]),
    MultiHeadAttention=(lambda: attention.MultiHeadAttention(4, 2), [np.arange(24.0).reshape(2, 3, 4) % 7 / 4]),
    MemoryBlock=(lambda: relational.MemoryBlock(3, 1, 2, 2), [SEQUENCES, TABLE[:2, None]]),
    RelationalMemory=(lambda: relational.RelationalMemory(2, 3, input_size=3, num_heads=2), [TABLE]),
    RelationalRNN=(
        lambda: relational.RelationalRNN(3, 4, 2, mem_slots=3, num_blocks=2, gate_style="memory"),
        [SEQUENCES],
    ),
    MeanSquaredError=(losses.MeanSquaredError, [TABLE, TABLE[::-1]]),
    CrossEntropyLoss=(losses.CrossEntropyLoss, [TABLE, np.array([0, 2, 1, 2])]),
    BinaryCrossEntropyLoss=(losses.BinaryCrossEntropyLoss, [TABLE, shares(np.random.default_rng(1), (4, 3))]),
)


def classes():
    """Name -> class of all layers and activations, and of all losses; what begins with _ is only to be derived from."""
    return {
        name: found
        for module in MODULES
        for name, found in vars(module).items()
        if inspect.isclass(found) and found.__module__ == module.__name__ and name == found.__name__
        if not name.startswith("_")
        if issubclass(found, Module | Activation) or module is losses
    }


def test_every_class_has_a_case():
    names, cases, without = set(classes()), set(CLASSES), set(NO_CASE)
    assert not names - cases - without, f"classes without a case in this file: {sorted(names - cases - without)}"
    assert not (cases | without) - names, f"cases of classes that do not exist: {sorted((cases | without) - names)}"
    for name in without:
        assert "forward" not in vars(classes()[name]) or "NotImplementedError" in inspect.getsource(classes()[name])


def in_float64(layer):
    """The layer, with its Parameters and buffers replaced by such of type float64."""
    for module in layer.modules() if isinstance(layer, Module) else ():
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor) and value.dtype == np.float32:
                kind = Parameter if isinstance(value, Parameter) else Tensor
                setattr(module, name, kind(value.numpy(), dtype=np.float64))
    return layer


def applied(layer, inputs):
    """What the layer makes of the inputs; layers that draw random numbers draw the same ones each time."""
    manual_seed(0)
    return layer(*inputs)


def class_gradients(name, dtype):
    """The layer, its inputs as leaves, and its value; after `backward`."""
    make, arrays = CLASSES[name]
    manual_seed(1)
    layer = in_float64(make()) if dtype == np.float64 else make()
    inputs = [Tensor(x, requires_grad=True, dtype=dtype) if x.dtype.kind == "f" else x for x in arrays]
    y = applied(layer, inputs)
    assert y.dtype == dtype
    y.backward(Tensor(upstream_of(y.shape), dtype=dtype))
    leaves = [x for x in inputs if isinstance(x, Tensor)] + list(getattr(layer, "parameters", list)())
    return layer, inputs, leaves, y.shape


@pytest.mark.parametrize("name", CLASSES)
def test_gradients_of_layers_in_inputs_and_parameters(name):
    layer, inputs, leaves, shape = class_gradients(name, np.float64)

    def function(*arrays):
        for leaf, array in zip(leaves, arrays):
            leaf.data = array
        return applied(layer, inputs).numpy()

    expected = central_differences(function, [leaf.numpy().copy() for leaf in leaves], upstream_of(shape))
    narrow = class_gradients(name, np.float32)[2]
    for leaf, numeric, small in zip(leaves, expected, narrow):
        np.testing.assert_allclose(leaf.grad.numpy(), numeric, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(small.grad.numpy(), numeric, rtol=1e-3, atol=1e-4)
        assert small.grad.dtype == np.float32
