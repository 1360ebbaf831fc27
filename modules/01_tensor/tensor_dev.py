# %% [markdown]
# # Module 01. Tensors

# %%
#| default_exp core.tensor
#| export
import functools
import importlib
import importlib.util
import math
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

# %% [markdown]
# ### Task 01-1. The type of the numbers


# %% nbgrader={"grade_id": "01-1", "solution": true}
#| export
def to_array(data, dtype=None):
    """`data` as a new array. With `dtype` its values get that type; without, the types are these:

    floating arrays of any width, numbers, and lists of numbers: float32
    integer arrays, boolean arrays, and lists of booleans: the type they have
    Raises: ValueError for rows of different lengths, TypeError for what is not numbers.
    """
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"Tensor: the rows have different lengths ({error}); make them equally long") from error
    says_type = hasattr(data, "dtype")  # arrays do, lists and plain numbers do not
    ### BEGIN SOLUTION
    kind = array.dtype.kind
    if kind not in "biuf":
        raise TypeError(f"Tensor: {array.dtype} is not a type of numbers; turn the data into numbers first")
    if dtype is None:
        keep = kind == "b" or (kind in "iu" and says_type)
        dtype = array.dtype if keep else np.float32
    return array.astype(dtype, copy=False)
    ### END SOLUTION


# %% [markdown]
# ### Task 01-2. Which shapes fit together


# %% nbgrader={"grade_id": "01-2", "solution": true}
#| export
def broadcast_shape(shape_a, shape_b):
    """The shape of `a + b` for arrays of these two shapes, both tuples.

    Raises: ValueError that names both sizes where two sizes differ and neither is 1.
    """
    ### BEGIN SOLUTION
    ndim = max(len(shape_a), len(shape_b))
    a = (1,) * (ndim - len(shape_a)) + shape_a
    b = (1,) * (ndim - len(shape_b)) + shape_b
    for dim in range(ndim):
        if a[dim] != b[dim] and 1 not in (a[dim], b[dim]):
            raise ValueError(f"{shape_a} and {shape_b}: sizes {a[dim]} and {b[dim]} differ in dim {dim - ndim}")
    return tuple(n if m == 1 else m for m, n in zip(a, b))
    ### END SOLUTION


# %% [markdown]
# ### The class


# %%
#| export
class Receipt(NamedTuple):
    """How a Tensor came about: which operation, from what. Module 05 walks back along these."""

    operation: str
    inputs: tuple
    options: dict
    saved: Any
    clock: int


# What module 05 fills: a backward rule for each operation, and the engine. `enabled` says whether receipts are kept;
# `clock` counts writes into Tensors, so that the engine can refuse values that changed after a receipt was kept.
autograd = SimpleNamespace(rules={}, enabled=True, backward=None, clock=0)


class Tensor:
    """An n-dimensional array of numbers that can remember how it was computed.

    data: number, nested list, array or Tensor; it is copied. `to_array` says which type its numbers get; a Tensor made
        from a Tensor keeps type and graph.
    Raises: TypeError if `requires_grad` and the numbers are not floating.
    """

    __slots__ = ("__weakref__", "_data", "_written", "grad", "receipt", "requires_grad")
    __array_ufunc__ = None  # so that `array + tensor` is left to the Tensor
    __hash__ = object.__hash__  # `==` compares values; as a dictionary key a Tensor stands for itself

    def __init__(self, data, requires_grad=False, dtype=None):
        self.grad, self.receipt, self.requires_grad, self._written = None, None, bool(requires_grad), [0]
        if isinstance(data, Tensor):
            source = identity(data, dtype=dtype)
            self._data, self.receipt = source._data, source.receipt
            self.requires_grad = self.requires_grad or source.requires_grad
        elif isinstance(data, list | tuple) and any(isinstance(x, Tensor) and x.requires_grad for x in data):
            raise TypeError("Tensor: a list of Tensors would lose their gradients; try stack(list)")
        else:
            self._data = to_array(data, dtype)
        if self.requires_grad and self._data.dtype.kind != "f":
            raise TypeError(f"Tensor: {self._data.dtype} numbers have no gradient; try dtype=np.float32")

    # what it is

    data = property(attrgetter("_data"), doc="The array itself. Assigning copies, and keeps the type.")

    @data.setter
    def data(self, value):
        if value is not self._data:  # `x.data -= step` writes into the same array
            self._data, self._written = to_array(value, self._data.dtype), [0]
        self._count_write()

    @property
    def shape(self):
        return self._data.shape

    @property
    def dtype(self):
        return self._data.dtype

    @property
    def size(self):
        return self._data.size

    @property
    def ndim(self):
        return self._data.ndim

    @property
    def version(self):
        """Number of the last write into this Tensor's memory, also through a view; 0 if there was none.

        A write by NumPy into `x.data[...]` cannot be seen.
        """
        return self._written[0]

    def _count_write(self):
        autograd.clock += 1
        self._written[0] = autograd.clock

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("a Tensor of shape () has no length")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        text = np.array2string(self._data, separator=", ", prefix="Tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        return f"Tensor({text}{dtype}{', requires_grad=True' if self.requires_grad else ''})"

    # to plain numbers and arrays

    def item(self):
        """The one number in it, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: a Tensor of shape {self.shape} has {self.size} numbers, not one; try .numpy()")
        return self._data.item()

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"a Tensor of shape {self.shape} is neither true nor false; try .numpy().all() or .any()")
        return bool(self._data.item())

    def __float__(self):
        return float(self.item())

    def __array__(self, dtype=None, copy=None):
        return np.array(self._data, dtype=dtype, copy=copy)

    def numpy(self):
        """The array itself, not a copy."""
        return self._data

    def detach(self):
        """A Tensor on the same memory that takes no part in gradients."""
        out = Tensor.__new__(Tensor)
        out._data, out._written = self._data, self._written
        out.grad, out.receipt, out.requires_grad = None, None, False
        return out

    # arithmetic and comparison, elementwise with broadcasting

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return subtract(self, other)

    def __rsub__(self, other):
        return subtract(other, self)

    def __mul__(self, other):
        return multiply(self, other)

    def __rmul__(self, other):
        return multiply(other, self)

    def __truediv__(self, other):
        return divide(self, other)

    def __rtruediv__(self, other):
        return divide(other, self)

    def __pow__(self, other):
        return power(self, other)

    def __rpow__(self, other):
        return power(other, self)

    def __neg__(self):
        return negative(self)

    def __eq__(self, other):
        return equal(self, other)

    def __ne__(self, other):
        return not_equal(self, other)

    def __lt__(self, other):
        return less(self, other)

    def __le__(self, other):
        return less_equal(self, other)

    def __gt__(self, other):
        return greater(self, other)

    def __ge__(self, other):
        return greater_equal(self, other)

    def exp(self):
        return exp(self)

    def log(self):
        return log(self)

    def sqrt(self):
        return sqrt(self)

    def abs(self):
        return absolute(self)

    __abs__ = abs

    def clip(self, min=None, max=None):
        return clip(self, min=min, max=max)

    # products and reductions

    def __matmul__(self, other):
        return matmul(self, other)

    def __rmatmul__(self, other):
        return matmul(other, self)

    def sum(self, dim=None, keepdim=False):
        return reduce_sum(self, dim=dim, keepdim=keepdim)

    def mean(self, dim=None, keepdim=False):
        return reduce_mean(self, dim=dim, keepdim=keepdim)

    def max(self, dim=None, keepdim=False):
        return reduce_max(self, dim=dim, keepdim=keepdim)

    def min(self, dim=None, keepdim=False):
        return reduce_min(self, dim=dim, keepdim=keepdim)

    def var(self, dim=None, keepdim=False, correction=1):
        return reduce_var(self, dim=dim, keepdim=keepdim, correction=correction)

    # shapes

    def reshape(self, *shape):
        """`x.reshape(2, 3)` or `x.reshape((2, 3))`; one size may be -1 and is inferred."""
        return reshape(self, shape=_unpacked(shape))

    def transpose(self, dim0, dim1):
        return transpose(self, dim0=dim0, dim1=dim1)

    def permute(self, *dims):
        """`x.permute(2, 0, 1)`: the new order of all dimensions."""
        return permute(self, dims=_unpacked(dims))

    @property
    def T(self):
        return permute(self, dims=tuple(range(self.ndim))[::-1])

    # reading and writing parts

    def __getitem__(self, key):
        return index(self, key=_arrays_in(key))

    def __setitem__(self, key, value):
        if autograd.enabled and (self.requires_grad or (isinstance(value, Tensor) and value.requires_grad)):
            raise RuntimeError(
                "x[...] = value writes in place, and that cannot be differentiated; where(condition, a, b) or "
                "concatenate makes a new Tensor, and x.detach() or x.data takes no part in gradients"
            )
        self._data[_arrays_in(key)] = _arrays_in(value)
        self._count_write()

    # gradients

    def backward(self, gradient=None, retain_graph=False):
        """Fill `.grad` of every Tensor this one was computed from and that requires a gradient.

        gradient: what to start with, of this Tensor's shape; needed unless it has one element.
        """
        name = "tinytorch.core.autograd"
        if autograd.backward is None and importlib.util.find_spec(name):
            importlib.import_module(name)  # fills the slot
        if autograd.backward is None:
            raise RuntimeError(f"backward: the engine is not built yet; module 05 builds it ({name})")
        autograd.backward(self, gradient, retain_graph)


def _unpacked(sizes):
    """`(2, 3)` from both `(2, 3)` and `((2, 3),)`."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else sizes


def _arrays_in(key):
    """`key` with arrays where it holds Tensors."""
    if isinstance(key, tuple):
        return tuple(_arrays_in(part) for part in key)
    return key._data if isinstance(key, Tensor) else key


# %% [markdown]
# ### One door


# %%
#| export
def operation(forward):
    """Turn `forward`, a function on arrays, into an operation on Tensors; its keyword arguments are options.

    `forward` may return `(result, saved)`: what it saves is kept for its backward rule.
    """
    name = forward.__name__

    @functools.wraps(forward)
    def call(*inputs, **options):
        arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
        try:
            result, saved = forward(*arrays, **options), None
        except ValueError as error:
            _explain(error, name, arrays)
            raise
        if type(result) is tuple:
            result, saved = result
        if type(result) is not np.ndarray:
            result = np.asarray(result)
        if result.dtype == FLOAT64 and not any(isinstance(x, Tensor) and x._data.dtype == FLOAT64 for x in inputs):
            result = result.astype(np.float32)
        out = Tensor.__new__(Tensor)
        out._data, out.grad, out.receipt, out.requires_grad = result, None, None, False
        out._written = [0] if result.base is None else _writes_of(result, inputs)
        if autograd.enabled and result.dtype.kind == "f":
            for x in inputs:
                if isinstance(x, Tensor) and x.requires_grad:
                    out.requires_grad, out.receipt = True, Receipt(name, inputs, options, saved, autograd.clock)
                    break
        return out

    return call


FLOAT64 = np.dtype(np.float64)


def _writes_of(view, inputs):
    """The count of writes that `view` shares with the Tensor into whose memory it looks."""
    owners = [x for x in inputs if isinstance(x, Tensor) and np.may_share_memory(view, x._data)]
    return owners[0]._written if owners else [0]


def _explain(error, name, arrays):
    """Raise a ValueError that says which sizes do not fit, where NumPy only says that some do not."""
    if "operands could not be broadcast" in str(error):
        shapes = [np.shape(a)[:-2] if name == "matmul" else np.shape(a) for a in arrays]
        try:
            functools.reduce(broadcast_shape, shapes)
        except ValueError as reason:
            raise ValueError(f"{name}: {reason}") from None


# %%
#| export
add, subtract, multiply, divide = map(operation, (np.add, np.subtract, np.multiply, np.divide))
negative, absolute, exp, log, sqrt = map(operation, (np.negative, np.absolute, np.exp, np.log, np.sqrt))
equal, not_equal, less, less_equal = map(operation, (np.equal, np.not_equal, np.less, np.less_equal))
greater, greater_equal = map(operation, (np.greater, np.greater_equal))


@operation
def power(a, b):
    """`a ** b`, elementwise."""
    return a**b  # has a short cut for squares and roots that np.power has not


@operation
def clip(x, *, min=None, max=None):
    """`x` with every value below `min` raised to it, and every value above `max` lowered to it."""
    return np.clip(x, min, max)


@operation
def where(condition, a, b):
    """Elementwise `a` where `condition` holds, else `b`; the three broadcast."""
    return np.where(condition, a, b)


@operation
def identity(x, *, dtype=None):
    """A copy of `x`, of type `dtype` if given."""
    return to_array(x, dtype or x.dtype)


@operation
def index(x, *, key):
    """`x[key]`. Whole numbers and slices give a view, lists and boolean arrays a copy."""
    return x[key]


@operation
def permute(x, *, dims):
    """`x` with its dimensions in the order `dims`; a view."""
    return np.transpose(x, dims)


@operation
def reduce_sum(x, *, dim=None, keepdim=False):
    """Sum over `dim`, a number or a tuple of them; over everything when `dim` is None."""
    return x.sum(axis=dim, keepdims=keepdim)


@operation
def reduce_max(x, *, dim=None, keepdim=False):
    """Largest value over `dim`."""
    return x.max(axis=dim, keepdims=keepdim)


@operation
def reduce_min(x, *, dim=None, keepdim=False):
    """Smallest value over `dim`."""
    return x.min(axis=dim, keepdims=keepdim)


# %% [markdown]
# ### Task 01-3. The product of matrices


# %% nbgrader={"grade_id": "01-3", "solution": true}
#| export
@operation
def matmul(a, b):
    """Matrix product of `a` (..., M, K) and `b` (..., K, N): (..., M, N). The dimensions before the last two broadcast.

    Raises: ValueError that names both inner sizes where they differ.
    """
    ### BEGIN SOLUTION
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        hint = "; did you mean b.T?" if a.shape[-1] == b.shape[-1] else ""
        raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner sizes {a.shape[-1]} and {inner} differ{hint}")
    return np.matmul(a, b)
    ### END SOLUTION


# %% [markdown]
# ### Task 01-4. A new shape for the same memory


# %% nbgrader={"grade_id": "01-4", "solution": true}
#| export
@operation
def reshape(x, *, shape):
    """The values of `x` in the same order under a new `shape`, a tuple in which one size may be -1.

    Raises: ValueError where the number of values does not fit.
    """
    ### BEGIN SOLUTION
    known = math.prod(size for size in shape if size != -1)
    if -1 in shape and known != 0:
        shape = tuple(x.size // known if size == -1 else size for size in shape)
    if math.prod(shape) != x.size:
        raise ValueError(f"reshape: {x.shape} has {x.size} values, which do not fit into {shape}")
    return x.reshape(shape)
    ### END SOLUTION


# %% [markdown]
# ### Task 01-5. Two dimensions change places


# %%
#| export
def dims_of(dim, ndim):
    """`dim` as a tuple of dimensions counted from 0: None means all, a number one, negative ones count from the end.

    Raises: ValueError for a dimension that does not exist.
    """
    dims = range(ndim) if dim is None else dim if isinstance(dim, list | tuple) else (dim,)
    for d in dims:
        if not -ndim <= d < ndim:
            raise ValueError(f"dim {d} does not exist, there are {ndim}: -{ndim} to {ndim - 1}")
    return tuple(d % ndim for d in dims)


# %% nbgrader={"grade_id": "01-5", "solution": true}
#| export
@operation
def transpose(x, *, dim0, dim1):
    """`x` with dimensions `dim0` and `dim1` exchanged; a view, nothing is copied."""
    dim0, dim1 = dims_of((dim0, dim1), x.ndim)
    ### BEGIN SOLUTION
    axes = list(range(x.ndim))
    axes[dim0], axes[dim1] = dim1, dim0
    return np.transpose(x, axes)
    ### END SOLUTION


# %% [markdown]
# ### Task 01-6. Mean


# %% nbgrader={"grade_id": "01-6", "solution": true}
#| export
@operation
def reduce_mean(x, *, dim=None, keepdim=False):
    """Mean over `dim`, a number or a tuple of them; over everything when `dim` is None."""
    dims = dims_of(dim, x.ndim)
    ### BEGIN SOLUTION
    count = math.prod(x.shape[d] for d in dims)
    return x.sum(axis=dims, keepdims=keepdim) / count
    ### END SOLUTION


# %% [markdown]
# ### Task 01-7. Variance


# %% nbgrader={"grade_id": "01-7", "solution": true}
#| export
@operation
def reduce_var(x, *, dim=None, keepdim=False, correction=1):
    """Variance over `dim`: squared distances from the mean, summed and divided by the number of values - `correction`."""
    dims = dims_of(dim, x.ndim)
    ### BEGIN SOLUTION
    count = math.prod(x.shape[d] for d in dims)
    mean = x.sum(axis=dims, keepdims=True) / count
    return np.square(x - mean).sum(axis=dims, keepdims=keepdim) / (count - correction)
    ### END SOLUTION


# %% [markdown]
# ### Task 01-8. One after the other


# %% nbgrader={"grade_id": "01-8", "solution": true}
#| export
@operation
def join(*arrays, dim=0):
    """The arrays one after the other along `dim`; their other sizes are equal. Allocates once and copies each once."""
    dim = dims_of(dim, arrays[0].ndim)[0]
    ### BEGIN SOLUTION
    shape = list(arrays[0].shape)
    shape[dim] = sum(a.shape[dim] for a in arrays)
    out = np.empty(shape, dtype=np.result_type(*arrays))
    start = 0
    for a in arrays:
        stop = start + a.shape[dim]
        out[(slice(None),) * dim + (slice(start, stop),)] = a
        start = stop
    return out
    ### END SOLUTION


# %%
#| export
def concatenate(tensors, dim=0):
    """The Tensors in a list one after the other along `dim`.

    Raises: ValueError for an empty list, or where another size than that of `dim` differs.
    """
    tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
    if not tensors:
        raise ValueError("concatenate: the list is empty; it needs at least one Tensor")
    d = dims_of(dim, tensors[0].ndim)[0]
    shapes = [x.shape for x in tensors]
    if len({(len(shape), shape[:d], shape[d + 1 :]) for shape in shapes}) > 1:
        raise ValueError(f"concatenate: shapes {shapes} differ in more than dim {dim}")
    return join(*tensors, dim=d)


def stack(tensors, dim=0):
    """The Tensors in a list, all of one shape, side by side along a new dimension `dim`."""
    tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
    if len({x.shape for x in tensors}) != 1:
        raise ValueError(f"stack: needs Tensors of one shape, got {[x.shape for x in tensors]}")
    d = dims_of(dim, tensors[0].ndim + 1)[0]
    return concatenate([x[(slice(None),) * d + (None,)] for x in tensors], dim=d)
