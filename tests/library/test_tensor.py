"""`tinytorch.core.tensor` against NumPy in float64 and, where it is installed, against PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core import tensor as core
from tinytorch.core.tensor import Tensor, concatenate, stack

FINITE = st.floats(-100, 100, width=32)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def arrays(shape=SHAPES):
    return hnp.arrays(np.float32, shape, elements=FINITE)


BROADCASTABLE = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)
BINARY = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "<": lambda a, b: a < b}


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data(), shapes=BROADCASTABLE)
def test_binary_operations_broadcast_like_numpy(name, data, shapes):
    a, b = (data.draw(arrays(shape)) for shape in shapes.input_shapes)
    got = BINARY[name](Tensor(a), Tensor(b))
    np.testing.assert_array_equal(got.numpy(), BINARY[name](a, b))
    assert got.shape == shapes.result_shape
    assert got.dtype == (np.bool_ if name == "<" else np.float32)


@given(data=st.data(), x=arrays())
def test_reductions_over_any_dims(data, x):
    dims = data.draw(
        st.one_of(st.none(), st.sets(st.sampled_from(range(x.ndim)), min_size=1).map(tuple) if x.ndim else st.none())
    )
    keepdim = data.draw(st.booleans())
    wide = x.astype(np.float64)
    np.testing.assert_allclose(
        Tensor(x).sum(dims, keepdim).numpy(), wide.sum(dims, keepdims=keepdim), rtol=1e-4, atol=1e-3
    )
    if x.size:
        for name in ("max", "min", "mean"):
            got, expected = getattr(Tensor(x), name)(dims, keepdim), getattr(wide, name)(axis=dims, keepdims=keepdim)
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-3)
            assert got.dtype == np.float32
        got = Tensor(x).var(dims, keepdim, correction=0).numpy()
        np.testing.assert_allclose(got, wide.var(axis=dims, keepdims=keepdim), rtol=1e-3, atol=1e-2)


@given(data=st.data(), x=arrays())
def test_reshape_infers_one_size(data, x):
    if x.ndim == 0 or x.size == 0:
        return
    sizes = list(x.shape)
    at = data.draw(st.integers(0, x.ndim - 1))
    sizes[at] = -1
    np.testing.assert_array_equal(Tensor(x).reshape(*sizes).numpy(), x)
    assert Tensor(x).reshape(-1).shape == (x.size,)
    with pytest.raises(ValueError, match="reshape"):
        Tensor(x).reshape(x.size + 1)


@given(data=st.data(), x=arrays(hnp.array_shapes(min_dims=2, max_dims=4, max_side=3)))
def test_transpose_and_permute_are_views(data, x):
    i, j = (data.draw(st.integers(-x.ndim, x.ndim - 1)) for _ in range(2))
    t = Tensor(x)
    np.testing.assert_array_equal(t.transpose(i, j).numpy(), x.swapaxes(i, j))
    assert np.shares_memory(t.transpose(i, j).numpy(), t.numpy())
    order = data.draw(st.permutations(range(x.ndim)))
    np.testing.assert_array_equal(t.permute(*order).numpy(), x.transpose(order))


@given(
    batch=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3),
    m=st.integers(1, 4),
    k=st.integers(1, 4),
    n=st.integers(1, 4),
)
def test_matmul_over_batches(batch, m, k, n):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(*batch.input_shapes[0], m, k))
    b = rng.normal(size=(*batch.input_shapes[1], k, n))
    np.testing.assert_allclose((Tensor(a) @ Tensor(b)).numpy(), a @ b, rtol=1e-4, atol=1e-5)


@given(data=st.data(), x=arrays(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)), count=st.integers(1, 4))
def test_concatenate_and_stack(data, x, count):
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    parts = [x + i for i in range(count)]
    np.testing.assert_array_equal(concatenate([Tensor(p) for p in parts], dim).numpy(), np.concatenate(parts, dim))
    np.testing.assert_array_equal(stack([Tensor(p) for p in parts], dim).numpy(), np.stack(parts, dim))


@pytest.mark.parametrize(
    "key", [0, -1, slice(None, None, -2), (slice(1), 2), None, ..., [2, 0], (0, [1, 1]), np.array([True, False, True])]
)
def test_indexing_like_numpy(key):
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(Tensor(x)[key].numpy(), x[key])


# --- types ---


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, np.float32),
        ([1, 2], np.float32),
        (2.5, np.float32),
        (np.ones(2), np.float32),
        (np.ones(2, np.float16), np.float32),
        (np.arange(3), np.int64),
        (np.array([True]), np.bool_),
        ([True, False], np.bool_),
    ],
)
def test_numbers_lists_and_floats_become_float32_and_integer_arrays_stay(data, dtype):
    assert Tensor(data).dtype == dtype


def test_float64_only_when_asked_and_then_kept():
    wide = Tensor(np.ones(2), dtype=np.float64)
    assert (wide * 2).dtype == (wide + Tensor([1.0])).dtype == wide.exp().mean().dtype == np.float64
    narrow = Tensor([1.0, 2.0])
    for result in (narrow * 2.5, narrow * np.float64(2), narrow + np.ones(2), 1 / narrow, narrow**0.5, narrow.var()):
        assert result.dtype == np.float32
    integers = Tensor(np.arange(1, 4))
    for result in (integers / integers, integers * 2.0, integers.mean(), integers.exp(), integers * narrow[0]):
        assert result.dtype == np.float32
    assert (integers * 2).dtype == np.int64


def test_what_is_not_numbers_is_refused():
    with pytest.raises(TypeError, match="is not numbers"):
        Tensor(["a"])
    with pytest.raises(ValueError, match="ragged"):
        Tensor([[1.0], [1.0, 2.0]])
    with pytest.raises(TypeError, match="float32"):
        Tensor(np.arange(3), requires_grad=True)


def test_a_tensor_copies_its_data():
    x = np.ones(3, np.float32)
    t = Tensor(x)
    x[0] = 9
    assert t.numpy()[0] == 1


# --- errors that help ---


def test_shape_errors_name_the_operation_the_sizes_and_a_way_out():
    with pytest.raises(ValueError, match=r"matmul: \(2, 3\) @ \(4, 3\): inner sizes 3 and 4 differ; did you mean b.T"):
        Tensor(np.ones((2, 3))) @ Tensor(np.ones((4, 3)))
    with pytest.raises(ValueError, match="add: .*sizes 3 and 4 in dimension -1"):
        Tensor(np.ones((2, 3))) + Tensor(np.ones((2, 4)))
    step = core.operation(lambda a, b: np.ones((2, 6)) + b)  # not of its inputs: these would fit
    with pytest.raises(ValueError, match=r"^operands .* with shapes \(2,6\) \(4,\)"):
        step(np.ones((3, 1)), np.ones(4))
    with pytest.raises(ValueError, match="concatenate"):
        concatenate([Tensor(np.ones((2, 3))), Tensor(np.ones((2, 4)))])
    with pytest.raises(ValueError, match="neither true nor false"):
        bool(Tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="dim 2 does not exist"):
        Tensor(np.ones((2, 3))).mean(dim=2)


# --- the one door ---


def test_receipts_only_where_a_gradient_is_wanted():
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0])
    z = x * y
    assert z.requires_grad and z.receipt.operation == "multiply"
    assert z.receipt.inputs[0] is x and z.receipt.inputs[1] is y
    assert (y * y).receipt is None and not (y * y).requires_grad
    assert (x > y).receipt is None and not (x > y).requires_grad
    assert z.detach().receipt is None
    assert Tensor(z).receipt.operation == "identity"


def test_no_gradient_is_dropped_silently():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="give it by position"):
        core.clip(x, min=Tensor([0.0], requires_grad=True))
    with pytest.raises(TypeError, match="stack"):
        Tensor([x[0], x[1]])


def test_receipts_can_be_switched_off():
    x = Tensor([1.0], requires_grad=True)
    core.autograd.enabled = False
    try:
        assert (x * x).receipt is None
    finally:
        core.autograd.enabled = True


def test_writes_are_counted_and_refused_where_they_cannot_be_differentiated():
    x = Tensor([1.0, 2.0])
    before = x.version
    x[0] = 5.0
    assert x.version > before and x.numpy()[0] == 5
    before = x.version
    x.data = x.data * 2
    assert x.version > before and x.dtype == np.float32
    leaf = Tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="in place"):
        leaf[0] = 1.0
    leaf.data -= 0.5
    assert leaf.numpy()[0] == 0.5


def test_a_write_through_a_view_is_seen_by_the_tensor_it_looks_into():
    x = Tensor(np.zeros((2, 3)))
    row = x[0]
    before = x.version
    row[1] = 7.0
    assert x.numpy()[0, 1] == 7 and x.version > before


def test_backward_without_an_engine_says_which_module_builds_it(monkeypatch):
    x = Tensor([1.0], requires_grad=True)
    y = x * 2.0
    with monkeypatch.context() as student:  # whose package has no module 05 yet
        student.setattr(core.autograd, "backward", None)
        student.setattr(core.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(RuntimeError, match=r"module 05 builds it \(tinytorch.core.autograd\)"):
            y.backward()
        assert x.grad is None
    y.backward()
    assert x.grad.item() == 2


def test_a_gradient_goes_where_the_index_pointed_when_it_was_used():
    x, i = Tensor([1.0, 2.0, 3.0], requires_grad=True), Tensor(np.array([0, 0]))
    y = x[i].sum()
    i[0] = 2
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 0, 0])
