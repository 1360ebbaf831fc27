"""`tinytorch.core.tensor` against PyTorch: values, shapes and types."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytorch.core.tensor import Tensor, stack, where

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")

SAME = {
    "sum": lambda x: x.sum(),
    "sum dim": lambda x: x.sum(1),
    "sum keepdim": lambda x: x.sum(0, True),
    "mean": lambda x: x.mean(-1),
    "var": lambda x: x.var(0),
    "var correction": lambda x: x.var(1, correction=0),
    "reshape": lambda x: x.reshape(-1, 2),
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.reshape(1, 3, 4).permute(2, 0, 1),
    "matmul": lambda x: x @ x.T,
    "exp log sqrt": lambda x: (x.abs() + 1).log().exp().sqrt(),
    "clip": lambda x: x.clip(-0.5, 0.5),
    "power": lambda x: (x.abs() + 1) ** 1.5,
    "index": lambda x: x[1:, 2],
    "reflected": lambda x: 2 - 1 / (x.abs() + 1),
}


@pytest.mark.parametrize("name", SAME)
@settings(max_examples=20)
@given(x=hnp.arrays(np.float32, (3, 4), elements=st.floats(-3, 3, width=32)))
def test_same_as_pytorch(name, x):
    got, expected = SAME[name](Tensor(x)), SAME[name](torch.tensor(x))
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=2e-5, atol=1e-5)
    assert str(got.dtype) == str(expected.dtype).removeprefix("torch.")


def test_where_and_stack_as_in_pytorch():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    t, p = Tensor(x), torch.tensor(x)
    np.testing.assert_array_equal(where(t > 0, t, 0.0).numpy(), torch.where(p > 0, p, 0.0).numpy())
    np.testing.assert_array_equal(stack([t, t], 1).numpy(), torch.stack([p, p], 1).numpy())
