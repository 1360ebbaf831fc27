# %% [markdown]
# # Module 02. Activations
#
# A network of matrix products alone is one matrix product, however many layers it has. What makes
# depth worth anything is a small bent function between the layers, applied to each number on its own.
# You write the five bent functions in daily use, and softmax, which turns scores into probabilities.
# Each is one line of mathematics. Most of the work, and all of the surprises, lie between that line
# and a computer that has 32 bits for a number.
#
# **You need** module 01 (`Tensor`, broadcasting, and the door `@operation`) and the derivative from school.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `Tensor`, `operation` | every activation is one operation on Tensors | 03 layers: what stands between two `Linear` |
# | 01 receipts | a value kept for later: the `tanh` inside GELU | 05 autograd: the slopes, one rule for each |
# | 01 reductions with `keepdims` | maximum and sum in softmax | 04 losses: cross-entropy is a log-softmax |
#
# **After this module you can**
#
# - say what a network without activations computes, and show it;
# - write ReLU, leaky ReLU, sigmoid, tanh, GELU, softmax and log-softmax so that no finite input
#   of ordinary size gives a `nan` or an overflow;
# - find the place where a formula that is right on paper loses its digits, and rewrite it;
# - read from a picture of slopes where learning will stop;
# - measure what an activation costs, and explain a factor of ten between two equal formulas.
#
# Your functions go to `tinytorch/core/activations.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.activations import ReLU, softmax
# from tinytorch.core.tensor import Tensor
#
# probabilities = softmax(Tensor([[1.0, 2.0, 3.0]]), dim=-1)
# ```

# %%
#| default_exp core.activations
#| export
import math

import numpy as np

from tinytorch.core.tensor import operation

# %%
import warnings

from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits
from tinytorch.testing import check, check_close, measure

# %% [markdown]
# ## Part 1. Introduction
#
# Two layers of matrix products, no activation, and the one layer that replaces them: the matrices can
# be multiplied with each other before any input arrives. Then the same two layers with the negative
# numbers in the middle set to zero, and the best single layer that least squares can find for that.

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(200, 3))  # 200 inputs of three numbers
W1, W2 = rng.normal(size=(3, 16)), rng.normal(size=(16, 1))

straight = x @ W1 @ W2  # (200, 1)
print(f"two layers against one, largest difference: {np.abs(straight - x @ (W1 @ W2)).max():.1e}")

bent = np.maximum(x @ W1, 0) @ W2
best = np.linalg.lstsq(x, bent, rcond=None)[0]
missed = np.square(bent - x @ best).mean() / np.square(bent).mean()
print(f"with a bend between them, the best single layer misses {missed:.0%} of the mean square")

# %% [markdown]
# So the bend is not decoration: it is the only reason why a second layer adds anything. Which bend?
# Any that is not a straight line would do on paper. In practice three things decide: whether it has
# a slope where the data are, whether it survives large numbers, and what it costs. That is the
# order of this module.

# %% [markdown]
# ## Part 2. Foundations
#
# ### Slope
#
# Training follows slopes: a weight moves when a small change of it changes the output. Where an
# activation is flat, everything before it stops learning. Module 05 will compute slopes exactly. Here
# we look at them, with the difference quotient from school taken on both sides of $x$:
#
# $$f'(x) \approx \frac{f(x + h) - f(x - h)}{2h}$$


# %%
def slope(f, x, h=1e-5):
    """Slope of `f` (Tensor to Tensor, value by value) at every value of the array `x`; in float64."""
    right, left = f(Tensor(x + h, dtype=np.float64)), f(Tensor(x - h, dtype=np.float64))
    return (right.data - left.data) / (2 * h)


points = np.array([-1.0, 0.0, 2.0])
print("slope of x * x at -1, 0, 2:", slope(lambda x: x * x, points).round(6))
