"""Tensors on real data, as later modules use them. `tito module complete` runs this on the student's package."""

import numpy as np

from tinytorch.core.tensor import Tensor, concatenate
from tinytorch.datasets import load_digits


def test_digits_are_standardised_pixel_by_pixel():
    images, _ = load_digits()
    x = Tensor(images).reshape(len(images), -1)
    spread = x.var(dim=0, correction=0).sqrt() + 1e-6
    z = (x - x.mean(dim=0)) / spread
    assert z.shape == (1797, 64)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(dim=0).numpy(), 0, atol=1e-4)
    varies = images.reshape(len(images), -1).std(axis=0) > 0
    np.testing.assert_allclose(z.var(dim=0, correction=0).numpy()[varies], 1, atol=1e-2)


def test_distances_by_broadcasting_match_the_loop():
    images, _ = load_digits()
    x = Tensor(images[:20]).reshape(20, 64)
    difference = x.reshape(20, 1, 64) - x.reshape(1, 20, 64)
    distances = (difference * difference).sum(dim=2).numpy()
    expected = [[float(((a - b) ** 2).sum()) for b in x.numpy()] for a in x.numpy()]
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


def test_batched_matmul_agrees_with_each_product():
    rng = np.random.default_rng(0)
    a, b = Tensor(rng.normal(size=(5, 3, 4))), Tensor(rng.normal(size=(4, 2)))
    products = [(a[i] @ b).reshape(1, 3, 2) for i in range(5)]
    np.testing.assert_allclose((a @ b).numpy(), concatenate(products).numpy(), rtol=1e-5)


def test_receipts_are_kept_where_a_gradient_is_wanted():
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    y = (x @ x.transpose(0, 1)).exp()
    assert y.requires_grad and y.receipt.operation == "exp"
    assert y.receipt.inputs[0].receipt.operation == "matmul"
    assert y.detach().receipt is None
    assert (x.detach() * 2).receipt is None
