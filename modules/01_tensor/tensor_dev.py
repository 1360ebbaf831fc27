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
    versions: tuple


# What module 05 fills: a backward rule for each operation, and the engine. `enabled` says whether receipts are kept.
autograd = SimpleNamespace(rules={}, enabled=True, backward=None)


class Tensor:
    """An n-dimensional array of numbers that remembers, when asked to, how it was computed.

    data: number, nested list, array or Tensor; it is copied, and its type is chosen as in `to_array`. A Tensor made
        from a Tensor keeps its type and its graph.
    Raises: TypeError if `requires_grad` and the numbers are not floating.
    """

    __slots__ = ("__weakref__", "_counter", "_data", "grad", "receipt", "requires_grad")
    __array_ufunc__ = None  # so that `array + tensor` is decided by the Tensor
    __hash__ = object.__hash__  # `==` compares values; as a key in a dictionary a Tensor is itself

    def __init__(self, data, requires_grad=False, dtype=None):
        self.receipt, self.grad, self._counter = None, None, [0]
        if isinstance(data, Tensor):
            source = identity(data)
            self._data = source._data if dtype is None else to_array(source._data, dtype)
            self.requires_grad, self.receipt = source.requires_grad, source.receipt
        else:
            if isinstance(data, (list, tuple)) and any(isinstance(x, Tensor) and x.requires_grad for x in data):
                raise TypeError("Tensor: a list of Tensors would lose their gradients; use stack(list)")
            self._data, self.requires_grad = to_array(data, dtype), False
        self.requires_grad = self.requires_grad or bool(requires_grad)
        if self.requires_grad and self._data.dtype.kind != "f":
            raise TypeError(f"Tensor: {self._data.dtype} has no gradient; use dtype=np.float32")
