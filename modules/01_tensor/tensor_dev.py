# %% [markdown]
# # Module 01. Tensors
#
# Everything a network does, it does to many numbers at once: it adds a bias to every row of a batch, it multiplies a
# thousand inputs by a matrix, it averages ten thousand pixels. A *tensor* is the object those numbers live in. It knows
# its shape, the type of its numbers and where they lie in memory, and it makes one short line of Python do the work of
# nested loops. In this module you build one. Every later module stands on it.
#
# **Before this:** Python with functions, tuples, lists and classes. No earlier module, and no calculus yet.
#
# ```
# 01 tensor -> 02 activations -> 03 layers -> 04 losses -> 05 autograd -> 06 optimizers -> 07 training
# ```
#
# **Afterwards you can**
#
# - say from shape, strides and type where a value lies in memory, and which operations copy it;
# - predict the shape of any broadcast, sum, product or reshape before you run it;
# - keep float32 through a computation, and say what it costs and what it saves;
# - write operations that fail with a message one can act on.
#
# **Where the code goes.** What you write here is exported to `tinytorch/core/tensor.py` of your own package, and from
# then on you use it like any library:
#
# ```python
# from tinytorch.core.tensor import Tensor
#
# x = Tensor([[1.0, 2.0], [3.0, 4.0]])
# print(x @ x.T, x.mean(dim=0))
# ```

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
from numpy import ndarray

# %%
from tinytorch.datasets import digits_split, load_digits
from tinytorch.testing import check, check_close, check_raises, measure

# %% [markdown]
# ## Part 1. Introduction
#
# Here is a handwritten digit as the computer has it: eight rows of eight numbers, 0 for paper, 16 for ink.

# %%
images, labels = load_digits()
print("the digit", labels[0])
print(images[0].astype(np.int64))
print("all of them:", images.shape, images.dtype)

# %% [markdown]
# Python has lists, and a list of lists of numbers looks just the same when printed. So why not use lists? Because each
# number in a list is an object somewhere in memory, found through a pointer and added by the interpreter, one after the
# other. An array keeps its numbers side by side and adds them in one go. **Predict** before you run the next cell: by
# which factor is the array faster for a million additions?


# %% tags=["measure"]
def add_lists(a, b):
    return [x + y for x, y in zip(a, b)]


a, b = np.ones(1_000_000, dtype=np.float32), np.ones(1_000_000, dtype=np.float32)
list_a, list_b = a.tolist(), b.tolist()
slow = measure(lambda: add_lists(list_a, list_b), label="lists")
fast = measure(lambda: a + b, label="arrays")
print(f"factor {slow / fast:.0f}")

# %% [markdown]
# NumPy's arrays are our raw material. What they lack is what this course adds: float32 unless we say otherwise,
# PyTorch's names, errors that help, and, from module 05 on, gradients.

# %% [markdown]
# ## Part 2. Foundations
#
# ### Memory is a line
#
# Memory has no rows and columns; it is one long line of bytes. An array is such a line with a small header in front,
# and the header says how to find the value at $(i, j)$: the `shape`, the type (`dtype`), and the `strides`, which are
# the bytes to walk for one step along each dimension. With strides $s_0, s_1$ the value lies at
#
# $$\text{offset}(i, j) = i\,s_0 + j\,s_1 .$$
#
# Do it by hand for $(1, 2)$ below, then compare. A float32 takes 4 bytes.

# %%
x = np.arange(6, dtype=np.float32).reshape(2, 3)
print(x)
print("shape", x.shape, " dimensions", x.ndim, " values", x.size, " strides", x.strides)
line = np.frombuffer(x.tobytes(), dtype=np.float32)
print("in memory", line)
offset = 1 * x.strides[0] + 2 * x.strides[1]
print("offset", offset, "bytes, so value number", offset // 4, "which is", line[offset // 4])

# %% [markdown]
# The last dimension lies side by side, the first one is furthest apart. This is called *row-major* order, and nearly
# every array you meet is born this way.
#
# ### One line, many headers
#
# A second header on the same bytes costs nothing, however many bytes there are. It is called a *view*. Slices and
# transposes are views: they differ in where they begin, in shape and in strides. A list of indices, or a condition,
# picks values that no strides can describe, so NumPy copies them.

# %%
for name, other in (("x[:, 1:]", x[:, 1:]), ("x.T", x.T), ("x[[1, 0]]", x[[1, 0]]), ("x[x > 2]", x[x > 2])):
    print(f"{name:10} shape {other.shape!s:7} strides {other.strides!s:8} view: {np.shares_memory(x, other)}")

# %% [markdown]
# A view saves memory and time. The price is that a write through one header is seen through all of them:

# %%
original = np.zeros(4)
part = original[1:3]  # a view
part += 7
print(original)

# %% [markdown]
# ### Dimensions that disappear, and one that stays
#
# A sum over a dimension makes that dimension disappear. NumPy calls dimensions *axes*, and `axis=` takes one of them or
# a tuple. With `keepdims=` set to `True` they stay, with size 1, so that the result still lines up with what it was
# computed from.

# %%
x = np.arange(24.0).reshape(2, 3, 4)
print("axis=1                ", x.shape, "->", x.sum(axis=1).shape)
print("axis=(0, 2)           ", x.shape, "->", x.sum(axis=(0, 2)).shape)
print("axis=1, keepdims=True ", x.shape, "->", x.sum(axis=1, keepdims=True).shape)
print("how many values went into each of them:", math.prod((2, 4)), "for axis=(0, 2)")

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 01-1. What type do the numbers get?
#
# NumPy makes float64 of every decimal number. Networks do not need sixteen digits, and float32 halves the memory and
# nearly halves the time (Part 5 measures both). One float64 that slips in makes everything it touches float64 again, so
# the type is decided once, at the entrance: by `to_array`. Look at what can arrive there. `dtype.kind` sorts the types:
# `b` booleans, `i` and `u` integers, `f` floating, and anything else is not for us.

# %%
for data in ([1.5, 2], [1, 2], np.array([1, 2]), np.float64(3), [True, False], "three", [None], [1j]):
    array = np.array(data)
    print(f"{data!r:18} dtype {array.dtype!s:10} kind {array.dtype.kind}   hasattr dtype: {hasattr(data, 'dtype')}")
print(np.array([1, 2]).astype(np.float32, copy=False))

# %% [markdown]
# `.astype` converts, and with `copy=` set to `False` it copies only where it has to.
#
# Whoever types `[1, 2]` means two numbers, and will want to divide them or ask for their gradient: float32. Whoever
# hands over an *array* of integers has chosen them, as labels or indices: they stay. Booleans always stay, for they
# are answers and not quantities. And what is said with `dtype` goes before everything else.


# %% nbgrader={"grade_id": "01-1", "solution": true}
#| export
def to_array(data, dtype=None):
    """`data` as a new array. With `dtype` its values get that type; without, the type follows from `data`:

    floating arrays of any width, numbers, and lists of numbers: float32
    integer arrays, boolean arrays, and lists of booleans: the type they have
    Raises: ValueError for rows of different lengths, TypeError for what is not numbers.
    """
    try:
        array = np.array(data)  # always a copy
    except ValueError as error:
        raise ValueError(f"Tensor: the nested lists are ragged; make all rows equally long ({error})") from error
    has_type = hasattr(data, "dtype")
    ### BEGIN SOLUTION
    kind = array.dtype.kind
    if kind not in "biuf":
        raise TypeError(f"Tensor: {data!r:.40} is not numbers (NumPy makes it {array.dtype}); convert it first")
    if dtype is None:
        keep = kind == "b" or (kind in "iu" and has_type)
        dtype = array.dtype if keep else np.float32
    return array.astype(dtype, copy=False)
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-1-test", "points": 5}
def test_unit_to_array():
    check_close(to_array([[1, 2.5], [3, 4]]), [[1, 2.5], [3, 4]], "the values stay what they are")
    check(to_array([1.5, 2]).dtype == np.float32, "a list of decimal numbers becomes float32")
    check(to_array(np.ones(2)).dtype == np.float32, "a float64 array becomes float32")
    check(to_array([1, 2]).dtype == np.float32, "a list of whole numbers becomes float32")
    check(to_array(np.array([1, 2], dtype=np.int32)).dtype == np.int32, "an integer array keeps its type")
    check(to_array([True, False]).dtype == np.bool_, "a list of booleans keeps its type")
    check(to_array(np.ones(2), np.float64).dtype == np.float64, "dtype goes before everything else")
    check(to_array(np.array([1, 2]), np.float32).dtype == np.float32, "dtype goes before everything else, integers too")
    source = np.zeros(2, dtype=np.float32)
    check(not np.shares_memory(source, to_array(source)), "the array is a copy")
    for data in ("three", [None], [1j]):
        check_raises(TypeError, lambda data=data: to_array(data), f"{data!r} is a TypeError")


test_unit_to_array()

# %% [markdown]
# ### Task 01-2. Which shapes fit together?
#
# `images - mean` subtracts one mean image from every image, although the shapes differ. The rule is called
# *broadcasting*: write the shapes below each other, **right-aligned**; a missing size counts as 1; two sizes fit if
# they are equal or if one of them is 1, and the 1 is stretched to the other.
#
# ```
# a       (1797, 8, 8)      (2, 1, 4)      (2, 3)
# b       (      8, 8)      (   5, 1)      (   4)
# a + b   (1797, 8, 8)      (2, 5, 4)      error: 3 and 4
# ```
#
# Nothing is copied to stretch it. The header gets stride 0 there: one step along that dimension walks no bytes.

# %%
row = np.array([10, 20, 30], dtype=np.float32)
print("strides", row.strides, "stretched to (4, 3):", np.broadcast_to(row, (4, 3)).strides)
try:
    np.zeros((2, 3)) + np.zeros(4)
except ValueError as error:
    print("NumPy says:", error)

# %% [markdown]
# With shapes of four dimensions each, that message leaves you to compare eight numbers. Our operations will ask your
# `broadcast_shape` what exactly does not fit. Write it in plain Python, on tuples. Two tools: `(1,) * 2 + (3, 4)` is
# `(1, 1, 3, 4)`, and `zip` walks two tuples of equal length together.
#
# Before you begin, do one by hand: what becomes of the sizes 1 and 0? An array of size 0 is the empty batch at the
# end of many a data set.


# %% nbgrader={"grade_id": "01-2", "solution": true}
#| export
def broadcast_shape(shape_a, shape_b):
    """The shape of `a + b` for arrays `a` and `b` of these shapes, two tuples.

    Raises: ValueError where two sizes do not fit; it names both sizes and the dimension, counted from the end.
    """
    ### BEGIN SOLUTION
    ndim = max(len(shape_a), len(shape_b))
    a = (1,) * (ndim - len(shape_a)) + shape_a
    b = (1,) * (ndim - len(shape_b)) + shape_b
    for dim in range(ndim):
        if a[dim] != b[dim] and 1 not in (a[dim], b[dim]):
            raise ValueError(
                f"shapes {shape_a} and {shape_b} do not fit: sizes {a[dim]} and {b[dim]} in dimension {dim - ndim}"
            )
    return tuple(n if m == 1 else m for m, n in zip(a, b))
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-2-test", "points": 5}
def test_unit_broadcast_shape():
    check_close(broadcast_shape((3, 4), (3, 4)), (3, 4), "equal shapes stay")
    check_close(broadcast_shape((2, 1, 4), (5, 1)), (2, 5, 4), "a size of 1 is stretched, in a and in b")
    check_close(broadcast_shape((4,), (3, 4)), (3, 4), "missing dimensions are added on the left")
    check_close(broadcast_shape((2, 3), ()), (2, 3), "a plain number fits everything")
    check_close(broadcast_shape((0, 3), (1, 3)), (0, 3), "a size of 1 beside 0 becomes 0")
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = ([int(n) for n in rng.choice([1, 2], size=rng.integers(0, 5))] for _ in range(2))
        expected = (np.zeros(a) + np.zeros(b)).shape
        check_close(broadcast_shape(tuple(a), tuple(b)), expected, f"{a} and {b} fit as in NumPy")
    text = check_raises(ValueError, lambda: broadcast_shape((8, 6, 5), (7, 5)), "sizes 6 and 7 do not fit")
    check("6" in text and "7" in text, "the error names both sizes")
    check("-2" in text, "the error names the dimension, counted from the end")


test_unit_broadcast_shape()

# %% [markdown]
# ### The class (given)
#
# A Tensor is a small object around one array. The class below is long, but there is little to read in it: nearly every
# method is one line and calls an *operation*, a function of the same meaning that comes afterwards. `x + y` is
# `add(x, y)`, `x.mean(dim=0)` is `reduce_mean(x, dim=0)`. So the class says how a Tensor is **written**, and the
# operations say what is **computed**; they are your tasks.
#
# Read three places now. In `__init__` everything passes through your `to_array`. The setter of `data` and `__setitem__`
# are the two ways to write into a Tensor, and both count the write, for all views of that memory at once.
#
# Two attributes wait for module 05: `grad` will hold a gradient, and `receipt` says how the Tensor was computed.


# %%
#| export
class Receipt(NamedTuple):
    """How a Tensor came about: which operation, from what. Module 05 walks back along these."""

    operation: str
    inputs: tuple
    options: dict
    saved: Any
    clock: int


# `operations` has every operation by its name, as it stands on receipts. Module 05 fills `rules`, a backward rule for
# each of them, and `backward`, the engine. `enabled` says whether receipts are kept; `clock` counts writes into
# Tensors, so that the engine can refuse values that changed after a receipt was kept.
autograd = SimpleNamespace(operations={}, rules={}, backward=None, enabled=True, clock=0)
_NEVER = (0,)  # the count of writes of a Tensor into which nobody has written


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
        self.grad, self.receipt, self.requires_grad, self._written = None, None, bool(requires_grad), _NEVER
        if isinstance(data, Tensor):
            copy = identity(data)
            self._data = copy._data if dtype is None else copy._data.astype(dtype)
            self.requires_grad, self.receipt = self.requires_grad or copy.requires_grad, copy.receipt
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
            self._data, self._written = to_array(value, self._data.dtype), _NEVER
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

    def _count(self):
        """The list with the number of the last write, which all views share; made when it is first needed."""
        if self._written is _NEVER:
            self._written = [0]
        return self._written

    def _count_write(self):
        autograd.clock += 1
        self._count()[0] = autograd.clock

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
        out._data, out._written = self._data, self._count()
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
        return index(self, key=_arrays_in(key, copy=self.requires_grad))  # the receipt keeps the key

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


def _arrays_in(key, copy=False):
    """`key` with arrays where it holds Tensors; with `copy` they are its own, also where it held arrays."""
    if isinstance(key, tuple):
        return tuple(_arrays_in(part, copy) for part in key)
    array = key._data if isinstance(key, Tensor) else key
    return array.copy() if copy and isinstance(array, np.ndarray) else array


# %% [markdown]
# ### One door for every operation (given)
#
# An operation must unwrap its Tensors, compute on arrays, and wrap the result. Written into thirty operations, these
# lines would be wrong in one of them, so they stand in one place: `operation`, a decorator. You write a function on
# arrays, put `@operation` above it, and it takes Tensors, arrays and plain numbers. Inputs are given by position,
# options such as `dim` by name.
#
# The door also keeps the discipline of types: a float64 result becomes float32, unless one of the Tensors was float64.
# And when an input requires a gradient, it keeps a receipt; module 05 uses them.


# %%
#| export
def operation(forward):
    """Turn `forward`, a function on arrays, into an operation on Tensors; its keyword arguments are options.

    `forward` may return `(result, saved)`: what it saves is kept for its backward rule.
    """
    name, new, new_receipt = forward.__name__, Tensor.__new__, tuple.__new__

    @functools.wraps(forward)
    def call(*inputs, **options):
        if options and any(isinstance(value, Tensor) for value in options.values()):
            raise TypeError(f"{name}: a Tensor given by name would lose its gradient; give it by position")
        arrays, tracked = [], False
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x._data)
                if x.requires_grad:
                    tracked = True
            else:
                arrays.append(x)
        try:
            result, saved = forward(*arrays, **options), None
        except ValueError as error:
            _explain(error, name, arrays)
            raise
        if type(result) is not ndarray:
            if type(result) is tuple:
                result, saved = result
            result = np.asarray(result)
        if result.dtype is not _FLOAT32:
            if result.dtype == _FLOAT64 and not any(
                isinstance(x, Tensor) and x._data.dtype == _FLOAT64 for x in inputs
            ):
                result = result.astype(np.float32)
            tracked = tracked and result.dtype.kind == "f"
        out = new(Tensor)
        out._data, out.grad = result, None
        out._written = _NEVER if result.base is None else _writes_of(result, inputs)
        if tracked and autograd.enabled:
            out.requires_grad = True  # tuple.__new__ does what Receipt(...) does, in half the time
            out.receipt = new_receipt(Receipt, (name, inputs, options, saved, autograd.clock))
        else:
            out.requires_grad, out.receipt = False, None
        return out

    autograd.operations[name] = call
    return call


_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)


def _writes_of(view, inputs):
    """The count of writes that `view` shares with the Tensor into whose memory it looks."""
    owners = [x for x in inputs if isinstance(x, Tensor) and np.may_share_memory(view, x._data)]
    return owners[0]._count() if owners else _NEVER


def _explain(error, name, arrays):
    """Raise a ValueError that says more than NumPy's where sizes do not fit, or a dimension does not exist."""
    if isinstance(error, np.exceptions.AxisError):
        raise ValueError(f"{name}: {str(error).replace('axis', 'dim')}") from error
    text, shapes = str(error), [np.shape(a) for a in arrays]
    named = all(str(shape).replace(" ", "") in text for shape in shapes)  # else a step inside of the operation failed
    if "operands could not be broadcast" in text and named:
        try:
            functools.reduce(broadcast_shape, [shape[:-2] if name == "matmul" else shape for shape in shapes])
        except ValueError as reason:
            raise ValueError(f"{name}: {reason}") from error


# %% [markdown]
# With the door, most operations are one line. NumPy's elementwise functions are ready to walk through it.


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
def identity(x):
    """A copy of `x`; what `Tensor(x)` is to the graph of `x`."""
    return x.copy()


@operation
def index(x, *, key):
    """`x[key]`. Whole numbers and slices give a view, lists and boolean arrays a copy."""
    return x[key]


@operation
def permute(x, *, dims):
    """`x` with its dimensions in the order `dims`; a view."""
    try:
        return np.transpose(x, dims)
    except ValueError as error:
        raise ValueError(f"permute: {dims} must name each of the {x.ndim} dimensions once") from error


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
# Try them. Predict the type that each line prints: NumPy would answer float64 three times.

# %%
count = Tensor(np.array([1, 2, 4]))
for text, result in (
    ("count + 1", count + 1),
    ("count * 2.0", count * 2.0),
    ("count / count", count / count),
    ("count > 1", count > 1),
    ("np.ones(3) + count", np.ones(3) + count),
):
    print(f"{text:20} {result.dtype!s:8} {result}")

# %%
w = Tensor([1.0, 2.0], requires_grad=True)
print((w * 3.0).exp())
print((w * 3.0).receipt)
try:
    Tensor(np.zeros((16, 3, 8, 8))) + Tensor(np.zeros((3, 1, 9)))
except ValueError as error:
    print(error)

# %% [markdown]
# ### Task 01-3. The product of matrices
#
# One value of the product of $a$, shape $(M, K)$, and $b$, shape $(K, N)$, is a row of $a$ against a column of $b$:
#
# $$c_{mn} = \sum_{k} a_{mk}\, b_{kn}$$
#
# So the *inner sizes*, the last of $a$ and the last but one of $b$, must agree. Here is the definition as three loops.
# It is slow and obviously right, which makes it the judge of your fast one.


# %%
def matmul_loops(a, b):
    c = np.zeros((a.shape[0], b.shape[1]))
    for m in range(a.shape[0]):
        for n in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[m, n] += a[m, k] * b[k, n]
    return c


a, b = np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]])
print(matmul_loops(a, b))
try:
    np.matmul(np.zeros((2, 3)), np.zeros((4, 5)))
except ValueError as error:
    print("NumPy says:", error)

# %% [markdown]
# `np.matmul` computes the same, and takes two more cases. Arrays with more than two dimensions are
# stacks of matrices: the dimensions before the last two broadcast. And a vector of shape $(K,)$ may stand on the right.
# It has no last but one size; its inner size is the only one it has.
#
# What is left to you is the check. Compare the inner sizes before you multiply, and say what went wrong in words that
# help the person who has just mixed up a weight and its transpose.


# %% nbgrader={"grade_id": "01-3", "solution": true}
#| export
@operation
def matmul(a, b):
    """Matrix product of `a` (..., M, K) and `b` (..., K, N): (..., M, N). With `b` of shape (K,): (..., M).

    Raises: ValueError that names both shapes where the inner sizes differ.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("matmul: a single number has no inner size; did you mean a * b?")
    ### BEGIN SOLUTION
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        hint = "; did you mean b.T?" if a.shape[-1] == b.shape[-1] else ""
        raise ValueError(f"matmul: {a.shape} @ {b.shape}: inner sizes {a.shape[-1]} and {inner} differ{hint}")
    return np.matmul(a, b)
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-3-test", "points": 5}
def test_unit_matmul():
    a, b = np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]])
    check_close(matmul(a, b), [[19, 22], [43, 50]], "two matrices as by hand")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
    check_close(matmul(a[0], b[0]), matmul_loops(a[0], b[0]), "the product agrees with the three loops")
    each = [matmul_loops(a[i], b[i]) for i in range(2)]
    check_close(matmul(a, b), each, "in two stacks each matrix meets its partner")
    check_close(matmul(a, b[0]), [matmul_loops(a[i], b[0]) for i in range(2)], "one matrix serves a whole stack")
    check_close(matmul(a[0], b[0, :, 1]), matmul_loops(a[0], b[0])[:, 1], "a vector may stand on the right")
    text = check_raises(ValueError, lambda: matmul(a[0], a[0]), "(3, 4) @ (3, 4) is refused")
    check(text.count("(3, 4)") == 2, "the error names both shapes")


test_unit_matmul()

# %% [markdown]
# **Predict** how much faster than the loops it is, for matrices of 60 x 60.

# %% tags=["measure"]
a = b = np.ones((60, 60), dtype=np.float32)
slow = measure(lambda: matmul_loops(a, b), label="three loops", repeats=3)
fast = measure(lambda: matmul(a, b), label="yours")
print(f"factor {slow / fast:.0f}")

# %% [markdown]
# ### Task 01-4. The size that can be left out
#
# To reshape is to write a new header: the values stay where they are and keep their order. It is not a transpose, even
# where the shapes agree. Confusing the two is perhaps the most common silent mistake of all:

# %%
x = np.arange(6).reshape(2, 3)
print("reshape(3, 2):", x.reshape(3, 2).tolist(), "  T:", x.T.tolist())
print("reshape((2, 3)) of one line:", np.arange(6).reshape((2, 3)).tolist())

# %% [markdown]
# The number of values cannot change, so one size can be left out: a batch of images becomes rows of pixels with
# `reshape(N, -1)`. What does -1 stand for in a shape for $n$ values? When is there no answer, and when more than one?
# Think of `(4, -1)` for six values, of `(-1, -1)`, and of `(0, -1)` for none.
#
# `math.prod` multiplies the sizes of a tuple, `shape.count(-1)` counts how many are left out, and `n // d` divides
# whole numbers without making a float.


# %% nbgrader={"grade_id": "01-4", "solution": true}
#| export
def infer_shape(size, shape):
    """The tuple `shape` for `size` values, with its -1, if it has one, replaced by the size that is missing.

    Raises: ValueError where `size` values do not fill `shape`, or where what is missing is not determined.
    """
    ### BEGIN SOLUTION
    known = math.prod(n for n in shape if n != -1)
    if shape.count(-1) == 1 and known != 0:
        shape = tuple(size // known if n == -1 else n for n in shape)
    if -1 in shape or math.prod(shape) != size:
        raise ValueError(f"reshape: {size} values do not fill the shape {shape}")
    return shape
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-4-test", "points": 5}
def test_unit_infer_shape():
    check_close(infer_shape(6, (3, 2)), (3, 2), "a complete shape stays")
    check_close(infer_shape(6, (-1, 2)), (3, 2), "six values in rows of 2 are 3 rows")
    check_close(infer_shape(24, (2, -1, 4)), (2, 3, 4), "the missing size may stand anywhere")
    whole = [isinstance(n, int | np.integer) for n in infer_shape(6, (2, -1))]
    check(all(whole), "sizes are whole numbers, not floats")
    check_close(infer_shape(0, (-1, 3)), (0, 3), "no values in rows of 3 are 0 rows")
    check_raises(ValueError, lambda: infer_shape(6, (4, 2)), "six values do not fill (4, 2)")
    check_raises(ValueError, lambda: infer_shape(6, (4, -1)), "six values do not fill rows of 4")
    check_raises(ValueError, lambda: infer_shape(6, (-1, -1)), "two sizes cannot be inferred")
    check_raises(ValueError, lambda: infer_shape(0, (0, -1)), "beside a 0 the missing size could be anything")


test_unit_infer_shape()


# %%
#| export
@operation
def reshape(x, *, shape):
    """The values of `x` in the same order under another `shape`; a view wherever strides can describe it."""
    return x.reshape(infer_shape(x.size, shape))


# %% [markdown]
# ### Task 01-5. Two dimensions change places
#
# To transpose is to read the same line of memory in another order. Copying with two loops does it, and moves every
# value:


# %%
def transpose_loops(x):
    out = np.empty((x.shape[1], x.shape[0]), dtype=x.dtype)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j, i] = x[i, j]
    return out


x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
turned = np.transpose(x, (2, 0, 1))
print(transpose_loops(x[0]).tolist())
print("shape", x.shape, "strides", x.strides)
print("in the order (2, 0, 1): shape", turned.shape, "strides", turned.strides, "view:", np.shares_memory(x, turned))

# %% [markdown]
# `np.transpose` moves nothing: it puts shape and strides into the order you ask for. `(2, 0, 1)` says that the new
# first dimension is the old number 2, and so on. The order `(0, 1, 2)` leaves everything as it is. Which order
# exchanges dimensions 0 and 2 only? And `dim0` and `dim1` in general?
#
# `dims_of` is given. It turns what people write for `dim` into plain dimensions counted from 0.


# %%
#| export
def dims_of(dim, ndim):
    """`dim` as a tuple of dimensions counted from 0. None means all of them; a negative one counts from the end.

    Raises: ValueError for a dimension that does not exist.
    """
    dims = range(ndim) if dim is None else dim if isinstance(dim, list | tuple) else (dim,)
    for d in dims:
        if not -ndim <= d < ndim:
            raise ValueError(f"dim {d} does not exist: there are {ndim} dimensions, counted from 0, or back from -1")
    return tuple(d % ndim for d in dims)


# %%
print(dims_of(None, 3), dims_of(1, 3), dims_of(-1, 3), dims_of((0, -1), 3))


# %% nbgrader={"grade_id": "01-5", "solution": true}
#| export
@operation
def transpose(x, *, dim0, dim1):
    """`x` with the dimensions `dim0` and `dim1` exchanged; a view, nothing is copied."""
    dim0, dim1 = dims_of((dim0, dim1), x.ndim)
    ### BEGIN SOLUTION
    axes = list(range(x.ndim))
    axes[dim0], axes[dim1] = dim1, dim0
    return np.transpose(x, axes)
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-5-test", "points": 5}
def test_unit_transpose():
    x = np.array([[1, 2, 3], [4, 5, 6]])
    check_close(transpose(x, dim0=0, dim1=1), [[1, 4], [2, 5], [3, 6]], "rows become columns")
    x = np.arange(24).reshape(2, 3, 4)
    check_close(transpose(x, dim0=1, dim1=2), [transpose_loops(y) for y in x], "in a stack each one is turned")
    y = transpose(x, dim0=0, dim1=2)
    check_close(y.shape, (4, 3, 2), "the two sizes change places and the third stays")
    check(all(y.data[k, j, i] == x[i, j, k] for i in range(2) for j in range(3) for k in range(4)), "so do the values")
    check_close(transpose(x, dim0=-3, dim1=-1), y, "a negative dimension counts from the end")
    check_close(transpose(x, dim0=1, dim1=1), x, "a dimension exchanged with itself changes nothing")
    check(np.shares_memory(x, y.data), "nothing is copied")


test_unit_transpose()

# %% [markdown]
# ### Task 01-6. The mean
#
# A mean is a sum divided by how many values went into **each** of its results, and that is where it goes wrong: of the
# 24 values in a $(2, 3, 4)$ array, how many go into one result for `dim=1`? For `dim=(0, 2)`? For `dim=None`?

# %%
x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
print("sum over dimension 1:", x.sum(axis=1), "  with keepdims=True:", x.sum(axis=1, keepdims=True).tolist())
try:
    print(x - x.sum(axis=1))
except ValueError as error:
    print("without keepdims the result does not line up:", error)

# %% [markdown]
# PyTorch says `dim` and `keepdim` where NumPy says `axis` and `keepdims`, and we say it like PyTorch. Inside an
# operation you call NumPy, so you translate.


# %% nbgrader={"grade_id": "01-6", "solution": true}
#| export
@operation
def reduce_mean(x, *, dim=None, keepdim=False):
    """Mean over `dim`, a number or a tuple of numbers; over everything when it is None."""
    dims = dims_of(dim, x.ndim)
    ### BEGIN SOLUTION
    count = math.prod(x.shape[d] for d in dims)
    return x.sum(axis=dims, keepdims=keepdim) / count
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-6-test", "points": 5}
def test_unit_reduce_mean():
    x = np.array([[1, 2, 3], [4, 5, 6]])
    check_close(reduce_mean(x, dim=1), [2, 5], "the mean of each row")
    check_close(reduce_mean(x, dim=0), [2.5, 3.5, 4.5], "the mean of each column")
    check_close(reduce_mean(x), 3.5, "without dim the mean of all values")
    check_close(reduce_mean(x, dim=1, keepdim=True), [[2], [5]], "keepdim keeps the dimension with size 1")
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    expected = [np.concatenate([x[0, j], x[1, j]]).sum() / 8 for j in range(3)]
    check_close(reduce_mean(x, dim=(0, 2)), expected, "over two dimensions at once")
    check_close(reduce_mean(x, dim=-1), reduce_mean(x, dim=2), "a negative dimension counts from the end")


test_unit_reduce_mean()

# %% [markdown]
# ### Task 01-7. The variance
#
# How far do values lie from their mean? The variance is the mean squared distance,
#
# $$\operatorname{var}(x) = \frac{1}{n - c} \sum_{i=1}^{n} (x_i - \bar{x})^2 ,$$
#
# where $c$ is the `correction`. With $c = 1$, the default here and in PyTorch, a sample gives on average the variance
# of what it was drawn from; with $c = 0$ it is the variance of exactly these values. By hand: 1, 2, 3, 4 have mean
# 2.5, and their squared distances from it sum to 5.
#
# A textbook also offers $\overline{x^2} - \bar{x}^2$, which needs only one pass over the data. Look at what float32
# makes of it when the values are large and close together. Their variance is 1.25 whatever the offset.

# %%
for offset in (0, 100, 1_000, 10_000):
    x = np.array([1, 2, 3, 4], dtype=np.float32) + offset
    one_pass = np.square(x).sum() / 4 - np.square(x.sum() / 4)
    print(f"offset {offset:6}: {one_pass}")

# %% [markdown]
# Two large numbers that agree in all digits float32 has, subtracted: what remains is rounding. So take the mean first,
# then the distances. They must line up with `x`, whatever `dim` is; you have just seen how.


# %% nbgrader={"grade_id": "01-7", "solution": true}
#| export
@operation
def reduce_var(x, *, dim=None, keepdim=False, correction=1):
    """Variance over `dim`: the squared distances from the mean, summed, divided by their number less `correction`."""
    dims = dims_of(dim, x.ndim)
    ### BEGIN SOLUTION
    count = math.prod(x.shape[d] for d in dims)
    mean = x.sum(axis=dims, keepdims=True) / count
    squares = np.square(x - mean)
    return squares.sum(axis=dims, keepdims=keepdim) / (count - correction)
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-7-test", "points": 5}
def test_unit_reduce_var():
    x = np.array([1, 2, 3, 4], dtype=np.float32)
    check_close(reduce_var(x, correction=0), 5 / 4, "the mean squared distance")
    check_close(reduce_var(x), 5 / 3, "divided by one less, unless correction says otherwise")
    check_close(reduce_var(x + 10_000), 5 / 3, "an offset changes nothing")
    x = np.array([[0, 0, 6], [1, 2, 3]], dtype=np.float32)
    check_close(reduce_var(x, dim=1), [12, 1], "each row has its own mean")
    check_close(reduce_var(x, dim=0), [0.5, 2, 4.5], "each column has its own mean")
    check_close(reduce_var(x, dim=1, keepdim=True), [[12], [1]], "keepdim keeps the dimension with size 1")
    check_close(reduce_var(x, dim=(0, 1)), reduce_var(x), "over both dimensions is over everything")


test_unit_reduce_var()

# %% [markdown]
# ### Task 01-8. One after the other
#
# Batches are put together from samples, and sentences from words. The slow way grows an array piece by piece: every
# step copies all that is there already, so $n$ pieces cost about $n^2/2$ copies. The right way asks once for the memory
# of the result and copies each piece to its place.
#
# A place along a dimension that is known only at run time needs one idiom. `x[:, 1:3]` is short for a tuple of slices:

# %%
x = np.zeros((2, 5), dtype=np.int64)
x[(slice(None), slice(1, 3))] = [[1, 2], [3, 4]]
print(x)
print("so many full slices in front:", (slice(None),) * 2)
empty = np.empty((2, 0), dtype=np.float32)  # memory as it was found: every value must be written before it is read
print("a type for all:", np.result_type(x, empty), np.result_type(np.float32, np.bool_), np.result_type(x, x))


# %% nbgrader={"grade_id": "01-8", "solution": true}
#| export
@operation
def join(*arrays, dim=0):
    """The arrays one after the other along `dim`. Their other sizes are equal; their types may differ.

    The memory of the result is allocated once, and every value is copied once.
    """
    dim = dims_of(dim, arrays[0].ndim)[0]
    ### BEGIN SOLUTION
    shape = list(arrays[0].shape)
    shape[dim] = sum(array.shape[dim] for array in arrays)
    out = np.empty(shape, dtype=np.result_type(*arrays))
    start = 0
    for array in arrays:
        stop = start + array.shape[dim]
        out[(slice(None),) * dim + (slice(start, stop),)] = array
        start = stop
    return out
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-8-test", "points": 5}
def test_unit_join():
    a, b = np.array([[1, 2], [3, 4]]), np.array([[5, 6]])
    check_close(join(a, b), [[1, 2], [3, 4], [5, 6]], "rows below rows")
    check_close(join(a, b.T, b.T, dim=1), [[1, 2, 5, 5], [3, 4, 6, 6]], "columns beside columns, as many as there are")
    check_close(join(a[None], a[None] + 4, dim=-1), [[[1, 2, 5, 6], [3, 4, 7, 8]]], "also along the last of three")
    check_close(join(a, np.zeros((0, 2), dtype=np.int64)), a, "an empty piece adds nothing")
    check_close(join(b, b + 0.5), [[5, 6], [5.5, 6.5]], "the result's type holds the values of all pieces")
    check(join(a, b).dtype == np.int64, "integers stay integers")
    check(not np.shares_memory(a, join(a).data), "the result is new memory")


test_unit_join()

# %% [markdown]
# Your `join` takes its pieces one by one. People hand over a list, and make mistakes in it; so there is a front for it,
# and `stack`, which gives every piece a new dimension of size 1 and then joins along that one.


# %%
#| export
def concatenate(tensors, dim=0):
    """The Tensors in a list one after the other along `dim`.

    Raises: ValueError for an empty list, or where another size than the one along `dim` differs.
    """
    tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
    if not tensors:
        raise ValueError("concatenate: the list is empty; it needs at least one Tensor")
    d = dims_of(dim, tensors[0].ndim)[0]
    shapes = [x.shape for x in tensors]
    if len({(len(shape), shape[:d], shape[d + 1 :]) for shape in shapes}) > 1:
        raise ValueError(f"concatenate: the shapes {shapes} may differ in dim {dim} only; try reshape")
    return join(*tensors, dim=d)


def stack(tensors, dim=0):
    """The Tensors in a list, all of one shape, side by side along a new dimension `dim`.

    Raises: ValueError for an empty list, or where shapes differ.
    """
    tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
    shapes = [x.shape for x in tensors]
    if len(set(shapes)) != 1:
        raise ValueError(f"stack: needs at least one Tensor, all of one shape, got {shapes}; concatenate joins others")
    d = dims_of(dim, tensors[0].ndim + 1)[0]
    return concatenate([x[(slice(None),) * d + (None,)] for x in tensors], dim=d)


# %%
a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
print("concatenate", concatenate([a, b]))
print("stack      ", stack([a, b]).numpy().tolist(), "  dim=1", stack([a, b], dim=1).numpy().tolist())

# %% [markdown]
# ## Part 4. Integration: recognising digits without training
#
# Enough is built for a first classifier. Average all training images of a digit: that is what a typical 3 looks like.
# A new image gets the digit whose average is nearest. **Predict** the share of right answers; guessing gives 0.1.
#
# Follow the shapes. All distances come from one subtraction that broadcasts: 360 images against 10 means.

# %%
train, test = digits_split()
ink = Tensor(images).reshape(-1, 64) / 16  # (1797, 64), between 0 and 1
means = stack([ink[train][labels[train] == digit].mean(dim=0) for digit in range(10)])  # (10, 64)
print("images", ink.shape, ink.dtype, " means", means.shape, means.dtype)


def nearest(x, centres):
    """Number of the nearest row of `centres` (K, D) for each row of `x` (N, D), by squared distance."""
    difference = x.reshape(-1, 1, x.shape[1]) - centres  # (N, 1, D) - (K, D) -> (N, K, D)
    return (difference**2).sum(dim=2).numpy().argmin(axis=1)  # (N, K) -> (N,)


guesses = nearest(ink[test], means)
print(f"right: {np.mean(guesses == labels[test]):.3f} of {len(test)} images the means have not seen")

# %% tags=["measure"]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 10, figsize=(10, 2.8))
wrong = test[guesses != labels[test]][:10]
for digit, ax in enumerate(axes[0]):
    ax.imshow(means[digit].reshape(8, 8).numpy(), cmap="gray_r")
    ax.set_title(f"mean {digit}", fontsize=8)
for i, ax in zip(wrong, axes[1]):
    ax.imshow(images[i], cmap="gray_r")
    ax.set_title(f"{labels[i]}, taken\nfor {nearest(ink[[i]], means)[0]}", fontsize=8)
for ax in axes.flat:
    ax.axis("off")
plt.show()

# %% [markdown]
# Some pixels vary much and others hardly ever: the corners are nearly always empty. *Standardising* gives every pixel
# mean 0 and variance 1, again by broadcasting a row of 64 against all images. Mean and variance come from the training
# images alone, because in real use the test images are not there yet. **Predict:** does every pixel having the same say
# help here?

# %%
mean, spread = ink[train].mean(dim=0), ink[train].var(dim=0).sqrt()  # (64,) each
z = (ink - mean) / (spread + 1e-6)
inked = (ink[train] > 0).sum(dim=0).numpy()
print(f"{(inked == 0).sum()} of 64 pixels are never inked; without the 1e-6 they would give 0 / 0")
print(f"{((inked > 0) & (inked < 20)).sum()} pixels are inked in fewer than 20 of {len(train)} images")
means_z = stack([z[train][labels[train] == digit].mean(dim=0) for digit in range(10)])
guesses_z = nearest(z[test], means_z)
print(f"right: {np.mean(guesses_z == labels[test]):.3f} with standardised pixels")

# %% [markdown]
# It does not have to: a corner that is hardly ever inked now counts as much as the middle, and what it says is mostly
# noise. Whether standardising helps is a question for measurement, and the layers of module 03 will learn for
# themselves how much say each pixel gets.
#
# ## Part 5. Systems analysis
#
# ### The direction in which you walk
#
# Adding up a big square array row by row, or column by column, makes the same number of additions. In row-major order a
# row lies side by side. A column jumps a whole row of bytes for each value, and of every 64 bytes that memory delivers
# (a *cache line*, on most processors) it uses 4. **Predict** the ratio for an array that fits into the cache, and
# for one that does not.

# %% tags=["measure"]
sizes = [64, 128, 256, 512, 1024, 2048, 4096]
nanoseconds = {"row by row": [], "column by column": []}
for n in sizes:
    square = np.ones((n, n), dtype=np.float32)
    for name, view in (("row by row", square), ("column by column", square.T)):

        def walk(view=view):
            for line in view:
                line.sum()

        walk()
        seconds = measure(walk, label=f"{n:5} x {n:<5} {name:17}", repeats=3)
        nanoseconds[name].append(seconds / n**2 * 1e9)
fig, ax = plt.subplots(figsize=(6, 3))
for name, values in nanoseconds.items():
    ax.loglog(sizes, values, marker="o", label=name)
ax.set(xlabel="size of the square array", ylabel="ns a value")
ax.legend()
plt.show()

# %% [markdown]
# At first both fall, because each line costs one call from Python and longer lines share it among more values. Where
# the curves part, the array no longer fits into the fast caches, and columns wait for memory. The same holds for any
# operation on a transposed view: the view was free, and the walk through it pays. Below, what making a transpose costs
# against what copying it into row-major order costs. **Predict** both exponents of time in the number of values.

# %% tags=["measure"]
sizes = [256, 512, 1024, 2048]
view_seconds, copy_seconds = [], []
for n in sizes:
    square = Tensor(np.ones((n, n)))
    view_seconds.append(measure(lambda x=square: x.transpose(0, 1), label=f"{n:5} x {n:<5} view", repeats=5))
    copy_seconds.append(measure(lambda x=square: x.T.numpy().copy(), label=f"{n:5} x {n:<5} copy", repeats=5))
values = [n * n for n in sizes]
for name, seconds in (("view", view_seconds), ("copy", copy_seconds)):
    exponent = np.polyfit(np.log(values), np.log(seconds), 1)[0]
    print(f"{name}: measured exponent {exponent:.2f}")

# %% [markdown]
# A view only writes a header, so its exponent should be 0; a copy touches each value, so at least 1, and more where
# larger arrays fall out of the cache.
#
# ### What broadcasting saves
#
# Subtracting a mean row from a batch could also be done by first copying the row as often as there are images.
# **Predict** the bytes of both right operands, and the ratio of the times.

# %% tags=["measure"]
batch, row = np.ones((20_000, 784), dtype=np.float32), np.ones(784, dtype=np.float32)
stretched = np.broadcast_to(row, batch.shape)
print(f"stretched view: strides {stretched.strides}, {row.nbytes} bytes; copied {stretched.nbytes:,} bytes")
broadcast = measure(lambda: batch - row, label="broadcast")
copied = measure(lambda: batch - np.tile(row, (len(batch), 1)), label="copy first")
print(f"ratio {copied / broadcast:.1f}")

# %% [markdown]
# The additions are the same; the difference is the copy, which has to be allocated, written and read again. With a
# batch that fits into the cache it is small, so try other sizes.
#
# Broadcasting is not free of memory either: the *result* has the full shape. The distances of Part 4 made a
# difference of shape $(N, K, D)$ on the way to a result of shape $(N, K)$. Expanding the square avoids it,
#
# $$\lVert x - c \rVert^2 = \lVert x \rVert^2 - 2\, x \cdot c + \lVert c \rVert^2 ,$$
#
# for the middle term is a matrix product. **Predict** the peak memory of both for 1,437 images against 200 of them.

# %% tags=["measure"]
import tracemalloc


def distances_direct(x, c):
    difference = x.reshape(-1, 1, 64) - c  # (N, K, 64)
    return (difference**2).sum(dim=2)


def distances_product(x, c):
    return (x**2).sum(dim=1, keepdim=True) - 2 * (x @ c.T) + (c**2).sum(dim=1)  # (N, 1) - (N, K) + (K,)


x, c = z[train], z[train[:200]]
for distances in (distances_direct, distances_product):
    tracemalloc.start()
    distances(x, c)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    measure(lambda f=distances: f(x, c), label=f"{distances.__name__}: peak {peak / 1e6:.1f} MB", repeats=3)
itself = [f(x[:200], c).numpy().diagonal() for f in (distances_direct, distances_product)]
print(f"largest distance of an image to itself: {itself[0].max():.1e} and {np.abs(itself[1]).max():.1e}")

# %% [markdown]
# Faster and smaller by a large factor, and a little less exact, for the reason you met with the variance: it subtracts
# large numbers that are nearly equal.
#
# ### What float32 costs and saves
#
# Half the bytes, so half the traffic with memory, and twice as many values in each vector instruction of the processor.
# **Predict** the ratio of times for a sum, an exponential and a matrix product.

# %% tags=["measure"]
rng = np.random.default_rng(0)
double = rng.uniform(size=(1000, 1000))
single = double.astype(np.float32)
print(f"float64 {double.nbytes / 1e6:.0f} MB, float32 {single.nbytes / 1e6:.0f} MB")
for name, work in (("x + x", lambda x: x + x), ("np.exp(x)", np.exp), ("x @ x", lambda x: x @ x)):
    seconds = [measure(lambda x=x, f=work: f(x), label=f"{name:10} {x.dtype}", repeats=5) for x in (double, single)]
    print(f"{'':10} ratio {seconds[0] / seconds[1]:.1f}")

# %% [markdown]
# And what does it cost? A float32 carries 24 binary digits, a relative error of about $6 \cdot 10^{-8}$ at each
# rounding. One rounding is harmless. A running sum rounds at every step, and the larger it has grown, the more of each
# new value it loses. `np.sum` adds in pairs, and pairs of pairs, so no value passes through more than a few roundings.
# **Predict** the relative error of both after ten million values.

# %% tags=["measure"]
values = rng.uniform(size=10_000_000)
single = values.astype(np.float32)
exact = np.cumsum(single, dtype=np.float64)
running = np.cumsum(single)  # float32, one after the other
counts = np.unique(np.logspace(2, 7, 30).astype(np.int64))
errors = {
    "running sum in float32": [abs(running[n - 1] - exact[n - 1]) / exact[n - 1] for n in counts],
    "np.sum in float32": [abs(float(single[:n].sum()) - exact[n - 1]) / exact[n - 1] for n in counts],
}
fig, ax = plt.subplots(figsize=(6, 3))
for name, error in errors.items():
    ax.loglog(counts, np.maximum(error, 1e-9), marker=".", label=f"{name}, at the end {error[-1]:.1e}")
ax.set(xlabel="number of values", ylabel="relative error")
ax.legend()
plt.show()
one = np.float32(2**24)
print(f"float32: {one:.0f} + 1 = {one + np.float32(1):.0f}")

# %% [markdown]
# The last line shows the wall: from $2^{24}$ on, float32 cannot count by ones. A loop that adds up losses over an epoch
# is such a running sum, and module 07 will keep it in float64 for that reason.
#
# ### What the door costs
#
# Each operation passes through Python before NumPy sees it. **Predict** from which size on this no longer matters.

# %% tags=["measure"]
sizes = [8, 64, 512, 4096, 32_768, 262_144]
plain, wrapped = [], []
for n in sizes:
    a, b = Tensor(np.ones(n), requires_grad=True), Tensor(np.ones(n))
    plain.append(measure(lambda a=a.data, b=b.data: a + b, label=f"{n:7} values, NumPy "))
    wrapped.append(measure(lambda a=a, b=b: a + b, label=f"{n:7} values, Tensor"))
fig, ax = plt.subplots(figsize=(6, 3))
ax.loglog(sizes, plain, marker="o", label="NumPy")
ax.loglog(sizes, wrapped, marker="o", label="Tensor, with a receipt")
ax.set(xlabel="values", ylabel="seconds for a + b")
ax.legend()
plt.show()
print(f"the door costs about {(wrapped[0] - plain[0]) * 1e6:.1f} us an operation")

# %% [markdown]
# The door's time is the same at every size. For small Tensors it is most of the time, which is why later modules do
# much work in one operation rather than little work in many.
#
# ### Beside PyTorch
#
# Your Tensor has PyTorch's names and, where nothing is said here, its meaning. The deliberate differences:
#
# | | PyTorch | here |
# |---|---|---|
# | a float64 array | stays float64 | becomes float32 unless `dtype=np.float64` |
# | a list of whole numbers | int64 | float32; give `dtype=np.int64` |
# | `x.max(dim=0)` | values and indices | values |
# | `x += 1` | writes in place | makes a new Tensor |
# | options of functions | by position too | by name: `reduce_sum(x, dim=0)` |
# | a write through `x.data` | counted | assigning is counted; NumPy writing into the array cannot be |
#
# ## Part 6. Module test
#
# All unit tests again, and then one computation that uses everything at once.


# %% nbgrader={"grade_id": "01-module"}
def test_module():
    test_unit_to_array()
    test_unit_broadcast_shape()
    test_unit_matmul()
    test_unit_infer_shape()
    test_unit_transpose()
    test_unit_reduce_mean()
    test_unit_reduce_var()
    test_unit_join()
    x = concatenate([Tensor(images[:100]), Tensor(images[100:300])]).reshape(-1, 64)
    z = (x - x.mean(dim=0)) / (x.var(dim=0) + 1.0).sqrt()
    covariance = z.transpose(0, 1) @ z / (len(z) - 1)
    check_close(covariance, np.cov(z.numpy(), rowvar=False), "the covariance of pixels agrees with NumPy's", atol=1e-4)
    check(covariance.dtype == np.float32, "float32 all the way")


test_module()

# %% [markdown]
# ## Reflection questions
#
# Answer in a few sentences each; a person reads them.

# %% [markdown] nbgrader={"grade_id": "01-q1", "points": 5, "solution": true}
# **Question 1. Headers.** A float32 Tensor `x` has shape $(6, 4)$ in row-major order. Give shape and strides of `x.T`
# and of `x[::2]`. For each of `x.reshape(24)`, `x.T.reshape(24)` and `x[::2].reshape(12)`: does it have to copy? Why?
#
# ### BEGIN MARK SCHEME
# 1 point: `x.T` is (4, 6) with strides (4, 16). 1 point: `x[::2]` is (3, 4) with strides (32, 4).
# 1 point: `x.reshape(24)` is a view, one stride of 4 describes it.
# 1 point: `x.T.reshape(24)` copies; 1 point: `x[::2].reshape(12)` copies. In both the step from value to value is not
# always the same (16 and then back by 76 bytes; 4 and then 20), so no single stride describes it. Half a point each
# without the reason.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "01-q2", "points": 5, "solution": true}
# **Question 2. A broadcast too far.** Someone computes all squared distances between 20,000 images of 784 pixels as in
# Part 4, `((x.reshape(-1, 1, 784) - x) ** 2).sum(dim=2)`. How many bytes does the difference take in float32? How many
# does the result? Name two ways to compute the result in far less memory, and what each costs.
#
# ### BEGIN MARK SCHEME
# 1 point: 20,000 * 20,000 * 784 * 4 bytes, about 1.25 TB (twice that while the square is made). 1 point: the
# result 20,000 * 20,000 * 4 bytes = 1.6 GB.
# 3 points for two ways with their cost, such as: expanding the square into a matrix product (loses digits where
# distances are small); a loop over blocks of rows (some Python time, code to write); a loop over pixels that adds up
# (many passes over the result). 1 point each way, 1 point for the costs.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "01-q3", "points": 5, "solution": true}
# **Question 3. Sixteen million and one.** A counter in float32 is increased by 1.0 for each sample seen. What happens
# at $2^{24}$, and why? Would a sum of losses near 0.5 stop at the same number of samples? Give two remedies.
#
# ### BEGIN MARK SCHEME
# 2 points: at 16,777,216 the gap to the next float32 becomes 2, adding 1 rounds back to the same number, and the
# counter stands still without any error.
# 1 point: losses of 0.5 stop counting when the *sum* passes 2**23 (gap 1, half of it rounds to even), which is after
# about the same 2**24 samples; digits are lost well before that. Accept any sound argument from the gap.
# 2 points for two of: an integer counter, a float64 accumulator, adding in pairs or blocks, a compensated sum.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 01-9. Strides from a shape
#
# NumPy has told you the strides so far. Compute them: in row-major order the last dimension has the size of one value,
# and one step along any other dimension must pass everything that lies behind it. For shape $(2, 3, 4)$ of float32, how
# many values does one step along the first dimension pass?


# %% nbgrader={"grade_id": "01-9", "solution": true, "optional": true}
#| export
def strides_of(shape, itemsize):
    """Strides in bytes of a row-major array of this `shape`, a tuple, whose values take `itemsize` bytes each."""
    ### BEGIN SOLUTION
    strides = []
    step = itemsize
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
    ### END SOLUTION


# %% nbgrader={"grade_id": "01-9-test", "optional": true}
def test_unit_strides_of():
    check_close(strides_of((2, 3), 4), (12, 4), "a step down passes a row of three values")
    check_close(strides_of((5, 2, 3, 4), 8), (192, 96, 32, 8), "four dimensions of float64")
    for shape in ((7,), (4, 1, 6), (2, 3, 4, 5)):
        check_close(strides_of(shape, 4), np.empty(shape, dtype=np.float32).strides, f"{shape} as in NumPy")
    check_close(strides_of((), 4), (), "no dimensions, no strides")


test_unit_strides_of()

# %% [markdown]
# ## Summary
#
# - A Tensor is a header over one line of memory: shape, type, strides. Slices, transposes and most reshapes write a new
#   header; lists of indices, conditions and `concatenate` copy.
# - Broadcasting right-aligns shapes and stretches sizes of 1 by a stride of 0. The operand is not copied, but the
#   result has the full shape.
# - float32 is decided at the entrance and kept by the door. It halves bytes, and it punishes differences of large
#   numbers and long running sums.
# - Every operation goes through one door, which leaves receipts. Nobody reads them yet.
#
# **Next.** All you can compute so far by adding and multiplying is linear, and a stack of linear functions is one
# linear function. Module 02 builds what breaks the line: activations.
