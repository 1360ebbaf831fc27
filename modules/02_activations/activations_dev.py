# %% [markdown]
# # Module 02. Activations
#
# A network of matrix products alone is one matrix product, however many layers it has. What makes depth worth anything
# is a small bent function between the layers, applied to each number on its own. You write the five bent functions in
# daily use, and softmax, which turns scores into probabilities. Each is one line of mathematics. Most of the work, and
# all of the surprises, lie between that line and a computer that has 32 bits for a number.
#
# **Before this:** module 01, with `Tensor`, broadcasting, and the door `@operation`; from school, the derivative.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `Tensor`, `operation` | each activation is one operation | 03 layers: what stands between two `Linear` |
# | 01 receipts | a value kept for later: the `tanh` inside GELU | 05 autograd: the slopes, one rule for each |
# | 01 reductions with `keepdims` | maximum and sum in softmax | 04 losses: cross-entropy is a log-softmax |
#
# **Afterwards you can**
#
# - say what a network without activations computes, and show it;
# - write ReLU, leaky ReLU, sigmoid, tanh, GELU, softmax and log-softmax so that inputs of 1000 are nothing special;
# - find the place where a formula that is right on paper loses its digits, and rewrite it;
# - read from a picture of slopes where learning will stop;
# - measure what an activation costs, and explain a factor of ten between two equal formulas.
#
# **Where the code goes.** What you write here is exported to `tinytorch/core/activations.py` of your own package:
#
# ```python
# from tinytorch.core.activations import ReLU, softmax
# from tinytorch.core.tensor import Tensor
#
# print(softmax(Tensor([[1.0, 2.0, 3.0]])), ReLU()(Tensor([-1.0, 1.0])))
# ```

# %%
#| default_exp core.activations
#| export
import functools
import inspect
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
# Two layers of matrix products, no activation, and the one layer that replaces them: the matrices can be multiplied
# with each other before any input arrives. Then the same two layers with the negative numbers in the middle set to
# zero, and the best single layer that least squares can find for that.

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
# So the bend is not decoration: it is the only reason why a second layer adds anything. Which bend? On paper almost
# any will do. In practice three things decide: whether it has a slope where the data are, whether it survives large
# numbers, and what it costs.

# %% [markdown]
# ## Part 2. Foundations
#
# ### Slope
#
# Training follows slopes: a weight moves when a small change of it changes the output. Where an activation is flat,
# everything before it stops learning. Module 05 will compute slopes exactly. Here we look at them, with the difference
# quotient from school taken on both sides of $x$:
#
# $$f'(x) \approx \frac{f(x + h) - f(x - h)}{2h}$$


# %%
def slope(f, x, h=1e-5):
    """Slope of `f` (Tensor to Tensor, value by value) at every value of the array `x`; in float64."""
    right, left = f(Tensor(x + h, dtype=np.float64)), f(Tensor(x - h, dtype=np.float64))
    return (right.data - left.data) / (2 * h)


points = np.array([-1.0, 0.0, 2.0])
print("slope of x * x at -1, 0, 2:", slope(lambda x: x * x, points).round(6))

# %% [markdown]
# ### Where exp ends
#
# Most of the functions below are made of $e^x$, and $e^x$ leaves the range of a float quickly. The helper prints a
# result together with what NumPy has to say about it.


# %%
def show(label, f, x):
    """Print `f(x)` and the warnings that NumPy gave on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = f(x)
    said = "; ".join(dict.fromkeys(str(w.message) for w in caught)) or "no warning"
    print(f"{label}: {result}   ({said})")


for dtype in (np.float32, np.float64):
    largest = np.finfo(dtype).max
    print(f"{dtype.__name__}: largest number {largest:.2e}, its logarithm {np.log(largest):.2f}")
show("exp(+-88) in float32  ", np.exp, np.array([-88, 88], dtype=np.float32))
show("exp(+-1000) in float32", np.exp, np.array([-1000, 1000], dtype=np.float32))

# %% [markdown]
# Upwards it ends at 88.7 in float32, with `inf` and a warning. Downwards nothing bad happens: a number too small to be
# held becomes 0, which is as near to the truth as float32 comes. That gives the rule for the whole module: **arrange
# the formula so that no exponent is positive.**
#
# The tests hold you to it with this helper, which turns NumPy's warnings into errors.


# %%
def strictly(f, *inputs, **options):
    """`f(*inputs, **options)`, in which an overflow, a division by zero or a `nan` made on the way is an error."""
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        return f(*inputs, **options)


# %% [markdown]
# ### Through the door
#
# Every function below is a function on arrays under `@operation`, which makes it one on Tensors. Three things are
# given. `as_floating` turns integers into floating numbers, for between two integers there is no slope.
# `named_options` lets `softmax(x, 1)` mean `softmax(x, dim=1)`, as in PyTorch: the door alone would take the 1 for a
# second input. `Activation` is what the classes at the end have in common.


# %%
#| export
def as_floating(x):
    """`x` as an array of floating numbers: float32 and float64 stay what they are, anything else becomes float32."""
    x = np.asarray(x)
    return x if x.dtype.char in "fd" else x.astype(np.float32)


def named_options(function):
    """Let an operation of one Tensor take its options also without a name: `softmax(x, 1)`.

    The door takes for an option what has a name, and anything else for an input.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(x, *values, **options):
        if values:
            options = signature.bind(x, *values, **options).arguments
            x = options.pop("x")
        return function(x, **options)

    return call


class Activation:
    """A function of one Tensor in the form of a layer without parameters. Subclasses write `forward`."""

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def __call__(self, x):
        return self.forward(x)

    def parameters(self):
        return []

    def __repr__(self):
        settings = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


# %% [markdown]
# An operation may return a pair `(result, saved)`. The caller gets the result; the other value is kept on the receipt,
# if a receipt is wanted. You will use that once, so here it is with a function of no use:


# %%
@operation
def double_square(x):
    """2 x^2, keeping the square."""
    square = x * x
    return 2 * square, square


y = double_square(Tensor([1.0, 3.0], requires_grad=True))
print("result", y.data, " kept:", y.receipt.saved, " by", y.receipt.operation)

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 02-1. One kink
#
# The simplest bend there is: two straight halves that meet at 0.
#
# $$\mathrm{relu}(x) = \max(x, 0)$$
#
# Its slope is 0 on the left and 1 on the right. At 0 itself there is none; frameworks agree on 0.
#
# NumPy has two functions with "max" in the name, and they answer different questions:

# %%
a = np.array([[1.0, 8.0], [5.0, 2.0]])
print("np.max(a, axis=0), the largest in each column:", np.max(a, axis=0))
print("np.maximum(a, 4), the larger of two, place by place:\n", np.maximum(a, 4))
print("np.minimum(a, 4), the smaller of two:\n", np.minimum(a, 4))
show("nan and -inf times zero ", lambda v: v * 0, np.array([np.nan, -np.inf]))
show("nan compared with 0     ", lambda v: v > 0, np.array([np.nan, -np.inf]))

# %% [markdown]
# The last two lines are the trap. `x * (x > 0)` gives the right values for everyday numbers, and `nan` for `-inf`.
# Choosing by `x > 0` turns a `nan`, the sign that something broke earlier, into an innocent 0. A broken number should
# stay visible: the test asks for that.


# %% nbgrader={"grade_id": "02-1", "solution": true}
#| export
@operation
def relu(x):
    """The larger of `x` and 0, value by value; nan stays nan. Does not change `x`."""
    x = as_floating(x)
    ### BEGIN SOLUTION
    return np.maximum(x, 0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-1-test", "points": 5}
def test_unit_relu():
    x = Tensor([[-2.0, 0.0, 3.0], [0.5, -0.25, 7.0]])
    check_close(relu(x), [[0.0, 0.0, 3.0], [0.5, 0.0, 7.0]], "negative values become 0, the others stay")
    check_close(x, [[-2.0, 0.0, 3.0], [0.5, -0.25, 7.0]], "the input keeps its values")
    with np.errstate(all="ignore"):
        check_close(relu(Tensor([-np.inf, np.inf])), [0.0, np.inf], "minus infinity becomes 0")
    check_close(relu(Tensor([np.nan, 1.0])), [np.nan, 1.0], "nan stays nan")
    check_close(relu(Tensor(-3.0)), 0.0, "a single number has shape ()")


test_unit_relu()

# %% [markdown]
# What can kinks do? Each `relu(x - k)` is flat up to $k$ and rises after it, so adding a multiple of it changes the
# slope of the sum at $k$ and nowhere else. Take any curve, choose the places, and give each kink the change of slope
# that the curve needs there: the sum is the polygon through those points. **Predict** by what factor the worst error
# falls when there are four times as many kinks.

# %% tags=["measure"]
import matplotlib.pyplot as plt


def polygon(curve, kinks):
    """The polygon through `curve` at equally spaced points in [0, 2 pi], as a function made of kinks."""
    places = np.linspace(0, 2 * np.pi, kinks + 1)
    heights = curve(places)
    slopes = np.diff(heights) / np.diff(places)
    bends = np.diff(slopes, prepend=0.0)  # the first bend starts the first side
    return lambda x: heights[0] + sum(b * relu(Tensor(x - k)).data for b, k in zip(bends, places))


x = np.linspace(0, 2 * np.pi, 1001)
counts = [8, 16, 32, 64, 128]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.plot(x, np.sin(x), color="0.7", linewidth=4, label="sine")
for kinks in (4, 8):
    left.plot(x, polygon(np.sin, kinks)(x), label=f"{kinks} kinks")
left.set(xlabel="x", title="a curve out of ReLUs")
left.legend()
errors = [np.abs(polygon(np.sin, kinks)(x) - np.sin(x)).max() for kinks in counts]
right.loglog(counts, errors, "o-")
right.set(xlabel="kinks", ylabel="worst error", title="and how fast it becomes right")
print(f"fitted exponent {np.polyfit(np.log(counts), np.log(errors), 1)[0]:.2f}")
plt.show()

# %% [markdown]
# An exponent of -2 means: four times the kinks, a sixteenth of the error. That a curve *can* be built is no promise
# that training finds it, but nothing in the shape stands in the way.

# %% [markdown]
# ### Task 02-2. A kink that is not flat
#
# Where ReLU is flat, nothing is learned. Leaky ReLU keeps a small slope $a$ there:
#
# $$\mathrm{leaky}(x) = \begin{cases} x & x > 0 \\ a\,x & \text{otherwise} \end{cases}$$
#
# Read literally that is a choice between two arrays, which NumPy calls `np.where`. It computes *both* arrays and then
# picks, place by place. The picking costs more than the arithmetic when signs change at random, so it is worth asking
# whether the formula can do without: every $x$ is the sum of its positive part and its negative part, and only one of
# these is to be scaled.
#
# A popular one-liner takes the larger of $x$ and $a\,x$. For which $a$ is that wrong?

# %%
x = np.array([-2.0, -0.5, 0.0, 3.0])
print("np.where(x > 0, 1, -1)  ", np.where(x > 0, 1, -1))
print("positive part           ", np.maximum(x, 0))
print("negative part           ", np.minimum(x, 0))


# %% nbgrader={"grade_id": "02-2", "solution": true}
#| export
@named_options
@operation
def leaky_relu(x, negative_slope=0.01):
    """`x` where it is positive, `negative_slope * x` elsewhere; `negative_slope` may be any number.

    Source: Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural network acoustic models", section 2.
    """
    x = as_floating(x)
    ### BEGIN SOLUTION
    return np.maximum(x, 0) + negative_slope * np.minimum(x, 0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-2-test", "points": 5}
def test_unit_leaky_relu():
    x = Tensor([[-2.0, 0.0], [3.0, -0.5]])
    check_close(leaky_relu(x, negative_slope=0.1), [[-0.2, 0.0], [3.0, -0.05]], "negative values are scaled")
    check_close(x, [[-2.0, 0.0], [3.0, -0.5]], "the input keeps its values")
    check_close(leaky_relu(Tensor([-2.0, 5.0])), [-0.02, 5.0], "the slope is 0.01 unless said otherwise")
    check_close(leaky_relu(x, negative_slope=2.0), [[-4.0, 0.0], [3.0, -1.0]], "a slope above 1 is possible")
    check_close(leaky_relu(Tensor([np.nan, 1.0])), [np.nan, 1.0], "nan stays nan")


test_unit_leaky_relu()

# %% [markdown]
# ### Task 02-3. A smooth step
#
# The sigmoid turns any number into one between 0 and 1, to be read as a probability:
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}$$
#
# Typed as it stands, it computes $e^{1000}$ on the way to $\sigma(-1000) = 0$. Multiply numerator and denominator by
# $e^x$ and you get $e^x / (1 + e^x)$: safe there, and broken on the other side. Here are both, and the obvious repair:
# each form where it is safe.

# %%
ends = np.array([-1000, 0, 1000], dtype=np.float32)
show("1 / (1 + exp(-x))", lambda x: 1 / (1 + np.exp(-x)), ends)
show("exp(x) / (1 + exp(x))", lambda x: np.exp(x) / (1 + np.exp(x)), ends)
show("np.where of the two", lambda x: np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))), ends)
show("np.abs(x)", np.abs, ends)

# %% [markdown]
# The values of the third are right and the warnings remain, because `np.where` picks from two finished arrays: the
# overflow has already happened. So choose the *exponent* and not the result. Write down the two forms once more, the
# first for $x \ge 0$, the second for $x < 0$, and compare: with $|x|$ the two denominators are the same. What is the
# exponent of the numerator in either case?


# %% nbgrader={"grade_id": "02-3", "solution": true}
#| export
@operation
def sigmoid(x):
    """1 / (1 + exp(-x)), value by value, with no exponent above 0."""
    x = as_floating(x)
    ### BEGIN SOLUTION
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-3-test", "points": 5}
def test_unit_sigmoid():
    x = Tensor([[0.0, 1.0], [-1.0, 3.0]])
    check_close(sigmoid(x), [[0.5, 0.7310586], [0.26894143, 0.95257413]], "values known from a table")
    grid = np.linspace(-6, 6, 25)
    check_close(sigmoid(Tensor(grid)).data + sigmoid(Tensor(-grid)).data, np.ones(25), "s(x) and s(-x) add up to 1")
    with np.errstate(all="ignore"):
        check_close(sigmoid(Tensor([-1000.0, 1000.0])), [0.0, 1.0], "far out it is 0 and 1")
    exact = sigmoid(Tensor([2.0], dtype=np.float64))
    check_close(exact, [0.8807970779778823], "float64 keeps its digits", rtol=1e-14, atol=0)


def test_unit_sigmoid_range():
    check_close(strictly(sigmoid, Tensor([1000.0])), [1.0], "no overflow at 1000")
    check_close(strictly(sigmoid, Tensor([-1000.0], dtype=np.float64)), [0.0], "no overflow at -1000 in float64")
    check_close(strictly(sigmoid, Tensor([-1000.0])), [0.0], "no overflow at -1000 in float32")


test_unit_sigmoid()
test_unit_sigmoid_range()

# %% [markdown]
# The curve, and beside it the slope. **Predict** how large the slope is at 0, where it is largest. What is left of it
# after ten sigmoids in a row?

# %% tags=["measure"]
x = np.linspace(-8, 8, 321)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, f in {"sigmoid": sigmoid, "relu": relu, "leaky, 0.2": lambda x: leaky_relu(x, 0.2)}.items():
    left.plot(x, f(Tensor(x)).data, label=name)
    right.plot(x, slope(f, x), label=name)
left.set(ylim=(-1, 3), xlabel="x", title="value")
right.set(xlabel="x", title="slope")
left.legend()
steepest = slope(sigmoid, x).max()
print(f"largest slope of the sigmoid {steepest:.4f}, to the power of ten {steepest**10:.1e}")
plt.show()

# %% [markdown]
# A quarter at best, so ten sigmoids pass on less than a millionth. A kink passes on everything or nothing, however
# many of them follow each other.

# %% [markdown]
# ### Task 02-4. The same step around zero
#
# The hyperbolic tangent is the sigmoid stretched to reach from -1 to 1, with $\tanh 0 = 0$:
#
# $$\tanh x = \frac{e^x - e^{-x}}{e^x + e^{-x}} = \frac{e^{2x} - 1}{e^{2x} + 1} = 2\,\sigma(2x) - 1$$
#
# All three are right on paper. The first two overflow, as you know by now. The third does not, and has another
# illness. Near 0 the answer is nearly $x$; look how many digits of it are right.

# %%
x = np.array([1e-1, 1e-3, 1e-5, 1e-7], dtype=np.float32)


def relative_error(values, function):
    truth = function(x.astype(np.float64))  # NumPy has both functions, and here more digits to answer with
    return np.abs(values.astype(np.float64) / truth - 1)


with np.printoptions(precision=0):
    print("x                                 ", x)
    print("relative error of 2 sigmoid(2x) - 1", relative_error(2 / (1 + np.exp(-2 * x)) - 1, np.tanh))
    print("relative error of np.exp(x) - 1    ", relative_error(np.exp(x) - 1, np.expm1))
    print("relative error of np.expm1(x)      ", relative_error(np.expm1(x), np.expm1))

# %% [markdown]
# At $10^{-7}$ not even the first digit can be trusted. Around 1 a float32 number has seven digits, and $1.0000001 - 1$
# leaves the last of them alone. This is *cancellation*: not the subtraction is at fault, but the rounding before it,
# which the subtraction lays bare. The cure is not to add the 1 in the first place. `np.expm1(x)` computes $e^x - 1$
# without ever forming $e^x$. With $m = e^{2x} - 1$,
#
# $$\tanh x = \frac{m}{m + 2}.$$
#
# What remains is the overflow for large $x$. There tanh is 1 to the last bit, from some $x$ on:

# %%
grid = np.arange(0, 25, 0.01)
for dtype in (np.float32, np.float64):
    print(f"{dtype.__name__}: np.tanh is exactly 1 from {grid[np.tanh(grid.astype(dtype)) == 1][0]:.2f} on")
print("np.clip to [-2, 2]:", np.clip(np.array([-7.0, -1.5, 0.0, 3.0]), -2, 2))


# %% [markdown]
# So nothing is lost when $x$ is moved to the border of an interval that is wide enough. `np.tanh` does all this in one
# compiled pass, and from the next task on we use that. Build it once, to know what is in it.


# %% nbgrader={"grade_id": "02-4", "solution": true}
#| export
@operation
def tanh(x):
    """Hyperbolic tangent, value by value: right to the last digits near 0, and exactly -1 or 1 far out."""
    x = as_floating(x)
    ### BEGIN SOLUTION
    m = np.expm1(2 * np.clip(x, -20, 20))
    return m / (m + 2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-4-test", "points": 5}
def test_unit_tanh():
    x = Tensor([[0.0, 0.5], [-0.5, 2.0]])
    check_close(tanh(x), [[0.0, 0.46211716], [-0.46211716, 0.9640276]], "values known from a table")
    with np.errstate(all="ignore"):
        check_close(tanh(Tensor([-1000.0, 1000.0])), [-1.0, 1.0], "far out it is -1 and 1")
    check_close(strictly(tanh, Tensor([-1000.0, 1000.0])), [-1.0, 1.0], "no overflow at -1000 and 1000")
    near = tanh(Tensor([1e-5, -1e-5])).data * 1e5
    check_close(near, [1.0, -1.0], "near 0 it is x, to six digits")
    far = tanh(Tensor([12.0], dtype=np.float64)).data
    check_close((1 - far) * 1e11, [7.55027], "float64 keeps its digits far out")


test_unit_tanh()

# %% [markdown]
# ### Task 02-5. A kink made round
#
# GELU multiplies $x$ by the share of a standard normal distribution that lies below $x$: large values pass, very
# negative ones do not, and in between there is no kink. Computing that share exactly takes the error function, which
# NumPy does not have. We use the tanh form that the authors give beside it; GPT-2 was trained with it:
#
# $$t = \tanh\!\left(\sqrt{2/\pi}\,\left(x + 0.044715\,x^3\right)\right), \qquad
#   \mathrm{gelu}(x) = \tfrac{1}{2}\,x\,(1 + t)$$
#
# Two things to take care of. The slope of this formula needs $t$ again, and `tanh` is the costly part: return the pair
# `(result, t)`, so that the receipt keeps it. And watch the constant:

# %%
x = np.ones(3, dtype=np.float32)
print("float32 array times math.sqrt(2):", (x * math.sqrt(2)).dtype, "  times math.pi:", (x * math.pi).dtype)
print("float32 array times np.sqrt(2):  ", (x * np.sqrt(2)).dtype)

# %% [markdown]
# A Python number takes the type of the array it meets. What `np.sqrt(2)` returns is a NumPy number, a float64 that
# insists on its type: it widens the array and everything computed from it, and Part 5 measures what that costs. You
# would not notice from the result, for the door brings it back to float32.


# %% nbgrader={"grade_id": "02-5", "solution": true}
#| export
@operation
def gelu(x):
    """x times the share of a standard normal below x, in the tanh form; as a pair `(result, t)` with the tanh `t`.

    `t` has the type of `x`.
    Source: Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2.
    """
    x = as_floating(x)
    ### BEGIN SOLUTION
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1 + t), t
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-5-test", "points": 5}
def test_unit_gelu():
    x = Tensor([[0.0, 1.0], [-1.0, 2.0]], requires_grad=True)
    y = gelu(x)
    check_close(y, [[0.0, 0.841192], [-0.158808, 1.9545977]], "values known from a table")
    check_close(y.receipt.saved, [[0.0, 0.682384], [-0.682384, 0.9545977]], "the receipt keeps the tanh")
    check(y.receipt.saved.dtype == np.float32, "no constant widens float32")
    check_close(strictly(gelu, Tensor([-1000.0, 1000.0])), [0.0, 1000.0], "no overflow at -1000 and 1000")
    exact = gelu(Tensor([1.5], dtype=np.float64))
    check_close(exact, [1.3995715769802328], "float64 keeps its digits", rtol=1e-14, atol=0)


test_unit_gelu()

# %% [markdown]
# **Predict** from the formula: where is the slope of GELU 0? Does it ever pass 1? And how far is the tanh form from
# the exact one, in digits?

# %% tags=["measure"]
x = np.linspace(-4, 4, 321)
below = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])  # share of a normal below each value
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for name, f in {"relu": relu, "gelu": gelu}.items():
    left.plot(x, f(Tensor(x)).data, label=name)
    middle.plot(x, slope(f, x), label=name)
left.set(xlabel="x", title="value")
middle.set(xlabel="x", title="slope")
left.legend()
error = gelu(Tensor(x, dtype=np.float64)).data - x * below
right.plot(x, error * 1e3)
right.set(xlabel="x", title="tanh form - exact, x 1000")
print(f"largest difference from the exact form {np.abs(error).max():.1e}")
plt.show()

# %% [markdown]
# GELU dips below 0, so there is one place where its slope is 0 on the way; it passes 1 on the other side, and is flat
# only where $x$ is well below 0. The error of the tanh form is far above what float32 can resolve: whoever mixes the
# two forms in one model will see it.

# %% [markdown]
# ### Task 02-6. Scores to probabilities
#
# A classifier gives one score for each class. Softmax makes shares of them: $e^x$ makes every score positive and keeps
# the order, and the division makes the shares add up to 1.
#
# $$\mathrm{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}}$$
#
# It is the first function here in which the numbers meet: the sum runs along one dimension, `dim`, and each row (or
# column) is treated on its own. Here it is as loops would do it, beside large scores.


# %%
def slow_softmax(row):
    exponentials = [math.exp(score) for score in row]
    total = sum(exponentials)
    return [e / total for e in exponentials]


print("scores 1, 2, 4:         ", np.round(slow_softmax([1, 2, 4]), 4))
print("scores 101, 102, 104:   ", np.round(slow_softmax([101, 102, 104]), 4))
show("scores 1001, 1002, 1004 ", lambda x: np.exp(x) / np.sum(np.exp(x)), np.array([1001.0, 1002.0, 1004.0]))

# %% [markdown]
# The first two lines agree, which is no accident: a number $c$ taken from every score cancels,
#
# $$\frac{e^{x_i - c}}{\sum_j e^{x_j - c}} = \frac{e^{-c}\,e^{x_i}}{e^{-c}\sum_j e^{x_j}} = \mathrm{softmax}(x)_i .$$
#
# Softmax is *shift invariant*: only differences of scores count. So you may choose $c$, and the rule of Part 2 says
# how: no exponent above 0, and one exponent equal to 0, so that the sum is at least 1. Each row needs a $c$ of its
# own. `axis=` says along which dimension NumPy reduces, and what `keepdims=` is for can be seen from the shapes:

# %%
a = np.array([[1.0, 8.0, 3.0], [5.0, 2.0, 4.0]])
print("shape of a", a.shape)
for axis in (0, 1, -1):
    kept, dropped = np.max(a, axis=axis, keepdims=True), np.sum(a, axis=axis)
    print(f"axis {axis:2}: np.max with keepdims=True {kept.shape}, np.sum without {dropped.shape}")


# %% nbgrader={"grade_id": "02-6", "solution": true}
#| export
@named_options
@operation
def softmax(x, dim=-1):
    """exp(x) as shares of its sum along `dim`, the same for scores of any size.

    x: any shape; the result has the same shape, and its sums along `dim` are 1.
    """
    x = as_floating(x)
    if x.size == 0:  # there is no largest score, and nothing to share out
        return x
    ### BEGIN SOLUTION
    powers = np.exp(x - np.max(x, axis=dim, keepdims=True))
    return powers / np.sum(powers, axis=dim, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-6-test", "points": 5}
def test_unit_softmax():
    x = Tensor([[0.0, np.log(3.0), np.log(4.0)], [0.0, 0.0, np.log(2.0)]])
    check_close(softmax(x), [[0.125, 0.375, 0.5], [0.25, 0.25, 0.5]], "each row is shared out on its own")
    columns = [[0.5, 0.75, 2 / 3], [0.5, 0.25, 1 / 3]]
    check_close(softmax(x, dim=0), columns, "dim=0 shares out each column")
    cube = Tensor(np.random.default_rng(0).normal(size=(2, 3, 4)))
    check_close(softmax(cube, dim=1).data.sum(axis=1), np.ones((2, 4)), "along dim=1 of three it adds up to 1")


def test_unit_softmax_range():
    with np.errstate(all="ignore"):
        high = softmax(Tensor([[1000.0, 1001.0], [-1000.0, -1000.0]]))
    check_close(high, [[0.26894143, 0.7310586], [0.5, 0.5]], "rows of very different height do not disturb each other")
    check_close(strictly(softmax, Tensor([-1000.0, 0.0, 1000.0])), [0.0, 0.0, 1.0], "no overflow from -1000 to 1000")
    check_close(softmax(Tensor(7.0)), 1.0, "a single score gets everything")


test_unit_softmax()
test_unit_softmax_range()

# %% [markdown]
# Dividing all scores by a *temperature* $T$ before the softmax changes how decided it is. **Predict** the two ends:
# what comes out for $T \to 0$, and for $T \to \infty$? Part 4 finds out which $T$ is honest.

# %%
scores = Tensor([2.0, 1.0, 0.5, -1.0])
for temperature in (0.05, 0.5, 1.0, 2.0, 100.0):
    print(f"T = {temperature:6}: {softmax(scores / temperature).data.round(3)}")

# %% [markdown]
# ### Task 02-7. Logarithms of probabilities
#
# The loss of module 04 needs $\log p_i$, not $p_i$. Taking the logarithm of a softmax looks harmless:

# %%
x = np.array([0.0, 50.0, 200.0], dtype=np.float32)
show("log of softmax", lambda x: np.log(np.exp(x - 200) / np.sum(np.exp(x - 200))), x)

# %% [markdown]
# The first probability is $e^{-200}$, which float32 holds as 0, and the logarithm of 0 is $-\infty$. Yet the right
# answer is close to -200, an ordinary number. What happened is a detour: the exponential left the range of float32
# downwards, which the division does not mind, and the logarithm minds very much. The logarithm of the quotient, worked
# out on paper first, has no detour. With $m = \max_j x_j$,
#
# $$\log \mathrm{softmax}(x)_i = (x_i - m) - \log \sum_j e^{x_j - m}.$$
#
# The second term is known as *log-sum-exp*. One of its exponents is 0: where does its sum lie, if there are $C$
# scores, and what does that say about the logarithm?


# %% nbgrader={"grade_id": "02-7", "solution": true}
#| export
@named_options
@operation
def log_softmax(x, dim=-1):
    """The logarithm of `softmax(x, dim)`, finite for every finite score."""
    x = as_floating(x)
    if x.size == 0:
        return x
    ### BEGIN SOLUTION
    shifted = x - np.max(x, axis=dim, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-7-test", "points": 5}
def test_unit_log_softmax():
    x = Tensor([[0.0, np.log(3.0)], [0.0, 0.0]])
    check_close(log_softmax(x), np.log([[0.25, 0.75], [0.5, 0.5]]), "the logarithm of each row's shares")
    columns = np.log([[0.5, 0.75], [0.5, 0.25]])
    check_close(log_softmax(x, dim=0), columns, "dim=0 takes each column")
    with np.errstate(all="ignore"):
        low = log_softmax(Tensor([-500.0, 0.0, 1000.0]))
        high = log_softmax(Tensor([[1000.0, 1001.0], [-1000.0, -1000.0]]))
    check_close(low, [-1500.0, -1000.0, 0.0], "a tiny probability has a finite logarithm")
    check_close(np.exp(high.data).sum(axis=1), [1.0, 1.0], "for large scores the probabilities add up to 1", rtol=1e-4)
    check_close(strictly(log_softmax, Tensor([-1000.0, 1000.0])), [-2000.0, 0.0], "no warning from -1000 to 1000")
    check_close(log_softmax(Tensor(7.0)), 0.0, "a single score is certain")


test_unit_log_softmax()

# %% [markdown]
# ### The same as objects
#
# A network is built from layers, and a layer is something with `forward` and `parameters()`. So each function also
# gets a class. They hold settings and nothing else, so that one object may be used in many places.


# %%
#| export
class ReLU(Activation):
    def forward(self, x):
        return relu(x)


class LeakyReLU(Activation):
    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return leaky_relu(x, negative_slope=self.negative_slope)


class Sigmoid(Activation):
    def forward(self, x):
        return sigmoid(x)


class Tanh(Activation):
    def forward(self, x):
        return tanh(x)


class GELU(Activation):
    def forward(self, x):
        return gelu(x)


class Softmax(Activation):
    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        return softmax(x, dim=self.dim)


# %%
for activation in (ReLU(), LeakyReLU(0.2), Sigmoid(), Tanh(), GELU(), Softmax(dim=0)):
    print(f"{activation!r:30}{activation(Tensor([-2.0, 0.0, 2.0])).data.round(4)}")

# %% [markdown]
# ## Part 4. Integration: how sure may a classifier be?
#
# Module 01 gave each handwritten digit to the nearest mean image $\mu_k$. Now we want more than an answer: how
# probable is each of the ten? Scores to start from are minus half the squared distances. Written out,
#
# $$-\tfrac{1}{2}\lVert x - \mu_k\rVert^2
#   = x\cdot\mu_k - \tfrac{1}{2}\lVert\mu_k\rVert^2 - \tfrac{1}{2}\lVert x\rVert^2 .$$
#
# The last term is the same for all ten digits, so softmax does not see it. What remains is one matrix product and one
# addition: what module 03 will call a linear layer. The pixels are counts from 0 to 16, as they come from the file.
# **Predict** how sure the classifier will be of its answers, on average.

# %%
images, labels = load_digits()
train, test = digits_split()
x = images.reshape(len(images), 64)
templates = np.stack([x[train][labels[train] == digit].mean(axis=0) for digit in range(10)])  # (10, 64)
weight, bias = Tensor(templates), Tensor(-0.5 * np.square(templates).sum(axis=1))

scores = Tensor(x[test]) @ weight.T + bias  # (360, 10)
right = scores.data.argmax(axis=1) == labels[test]
print(f"accuracy {right.mean():.3f}; scores from {scores.data.min():.0f} to {scores.data.max():.0f}")
print(f"rows with a score too large for a plain exp: {(scores.data.max(axis=1) > 88.7).sum()} of {len(test)}")
ordered = np.sort(scores.data, axis=1)
print(f"typical distance of the best score from the second: {np.median(ordered[:, -1] - ordered[:, -2]):.0f}")

probabilities = softmax(scores).data
sure = probabilities.max(axis=1)
print(f"the classifier is {sure.mean():.3f} sure on average, and right {right.mean():.3f} of the time")
chosen = np.arange(len(test)), labels[test]
with np.errstate(divide="ignore"):
    lost = np.isinf(np.log(probabilities[chosen])).sum()
print(f"right answers to which softmax gives exactly 0: {lost}")
print(f"the lowest logarithm of a right answer, by log_softmax: {log_softmax(scores).data[chosen].min():.0f}")

# %% [markdown]
# Without your shift, no row of this real table could be computed at all. And with it the result is a lie: the
# classifier claims to be almost certain, and is wrong far more often than that. The order of the scores is good; their
# *scale* is an accident of counting pixels from 0 to 16.
#
# A temperature $T$ repairs a scale. How to choose it? Give each image the logarithm of the probability that its right
# answer got, and take the mean over all images: claims that are too bold are punished where they are wrong, claims
# that are too timid where they are right. **Predict** roughly which $T$ is best; the typical distance between the two
# best scores stands above.

# %%
training_scores = Tensor(x[train]) @ weight.T + bias  # (1437, 10)
truth = np.arange(len(train)), labels[train]
temperatures = 2.0 ** np.arange(0, 11)
means = [float(log_softmax(training_scores / t).data[truth].mean()) for t in temperatures]
for t, mean in zip(temperatures, means):
    print(f"T = {t:6.0f}: mean log-probability of the right answer {mean:8.3f}")
best = float(temperatures[np.argmax(means)])
print(f"ten equal shares would give {np.log(0.1):.3f}; best is T = {best:.0f}")
sure = softmax(scores / best).data.max(axis=1)
print(f"on the test images it is then {sure.mean():.3f} sure and {right.mean():.3f} right")

# %% [markdown]
# The picture asks the test images, which had no part in the choice. Left: what three temperatures say about the image
# on which the classifier is least decided. Right: sort the images by how sure the classifier is, cut them into six
# groups, and compare the mean claim of each group with how often it was right. Honest claims lie on the diagonal.

# %% tags=["measure"]
doubtful = sure.argmin()
fig, (picture, bars, honest) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", width_ratios=(2, 4, 4))
picture.imshow(images[test][doubtful], cmap="gray_r")
picture.set(title=f"labelled {labels[test][doubtful]}", xticks=[], yticks=[])
for offset, t in zip((-0.27, 0, 0.27), (1.0, best, 1024.0)):
    shares = softmax(scores / t).data
    bars.bar(np.arange(10) + offset, shares[doubtful], width=0.27, label=f"T = {t:.0f}")
    order = np.argsort(shares.max(axis=1), kind="stable")
    groups = np.array_split(order, 6)
    claims = [shares[group].max(axis=1).mean() for group in groups]
    honest.plot(claims, [right[group].mean() for group in groups], "o-", label=f"T = {t:.0f}")
bars.set(xlabel="digit", ylabel="probability", xticks=range(10))
bars.legend()
honest.plot([0, 1], [0, 1], color="0.7", zorder=0)
honest.set(xlabel="mean claim of the group", ylabel="share that was right")
plt.show()

# %% [markdown]
# At $T = 1$ every group claims certainty, also the one that is wrong most often. At $T = 1024$ nobody claims anything.
# In between the claims follow the truth, on images that were not asked for the choice of $T$: one number repaired ten
# outputs. No answer changed by it, for dividing all scores by $T$ keeps their order.

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### Where a plain softmax breaks
#
# The same eight scores, shifted by every whole number from -1000 to 1000. On paper the result is the same each time.
# The scores are multiples of 1/64, so that adding the shift rounds nothing, in float32 neither: whatever error we see
# is softmax's own. **Predict**, for float32 and float64, the shift at which the plain form breaks on the right. Then
# the left: does anything break there, and how does it announce itself?

# %% tags=["measure"]
rng = np.random.default_rng(0)
row = rng.integers(0, 257, size=8) / 64  # from 0 to 4
shifts = np.arange(-1000, 1001)
wide = np.exp(row.astype(np.longdouble))  # more digits than float64, on most machines
exact = wide / wide.sum()


def plain_softmax(x):
    with np.errstate(all="ignore"):
        powers = np.exp(x)
        return powers / powers.sum(axis=1, keepdims=True)


fig, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
for dtype, color in ((np.float32, "C1"), (np.float64, "C0")):
    shifted = (row + shifts[:, None]).astype(dtype)  # (2001, 8)
    forms = {"plain": plain_softmax(shifted), "yours": softmax(Tensor(shifted, dtype=dtype)).data}
    for form, result in forms.items():
        error = np.abs(result / exact - 1).max(axis=1)  # nan where the result is nan
        name, line = f"{form} {dtype.__name__}", "-" if form == "plain" else ":"
        ax.semilogy(shifts, np.maximum(error, 1e-17), color=color, linestyle=line, label=name)
        good, silent, loud = shifts[error < 1e-5], (error >= 1e-5).sum(), np.isnan(error).sum()
        print(f"{name}: five digits right from {good.min():5} to {good.max():4}; ", end="")
        print(f"wrong without a nan {silent:3} times, nan {loud:4} times")
ax.set(xlabel="shift of all scores", ylabel="largest relative error", title="lines end where the result is nan")
ax.legend()
plt.show()

# %% [markdown]
# On the right the end is sudden: it comes when the largest score reaches the logarithm of the largest number. On the
# left the plain form first *loses digits without a word*: numbers close to the smallest one are held with fewer bits.
# Only further out the sum becomes 0 and the result `nan`. The silent stretch is the dangerous one.

# %% [markdown]
# ### What an activation costs
#
# A million float32 numbers in, a million out. The yardstick is a copy, which reads and writes each number once:
# nothing with a result of its own should be quicker. **Predict** the order of these, and the factor between the first
# and the last: copy, relu, sigmoid, tanh, gelu, softmax. The lower part of the table times other ways to write the
# same things.

# %% tags=["measure"]
rng = np.random.default_rng(0)
values = rng.normal(size=(1000, 1000)).astype(np.float32)
x = Tensor(values)
narrow = x.reshape(-1, 10)
in_order = np.sort(values, axis=None)
c64 = np.sqrt(2 / np.pi)
candidates = {
    "copy": values.copy,
    "relu": lambda: relu(x),
    "leaky_relu": lambda: leaky_relu(x),
    "sigmoid": lambda: sigmoid(x),
    "tanh": lambda: tanh(x),
    "gelu": lambda: gelu(x),
    "softmax, rows of 1000": lambda: softmax(x),
    "log_softmax, rows of 1000": lambda: log_softmax(x),
    "softmax, rows of 10": lambda: softmax(narrow),
    "leaky_relu by np.where": lambda: np.where(values > 0, values, values * 0.01),
    "the same, values sorted": lambda: np.where(in_order > 0, in_order, in_order * 0.01),
    "np.tanh": lambda: np.tanh(values),
    "sigmoid by np.tanh": lambda: 0.5 + 0.5 * np.tanh(0.5 * values),
    "gelu's inside, float64 constant": lambda: np.tanh(c64 * (values + 0.044715 * values * values * values)),
    "values * values * values": lambda: values * values * values,
    "values ** 3": lambda: values**3,
}
seconds = {name: measure(f, label=f"{name:32}") for name, f in candidates.items()}
nanoseconds = {name: s / values.size * 1e9 for name, s in seconds.items()}
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
names = list(nanoseconds)[::-1]
drawn = ax.barh(names, [nanoseconds[name] for name in names], color=["C1"] * 7 + ["C0"] * 9)
ax.bar_label(drawn, [f" {seconds[name] / seconds['copy']:.1f} copies" for name in names])
ax.set(xscale="log", xlabel="nanoseconds a value", xlim=(None, 8 * max(nanoseconds.values())))
plt.show()

# %% [markdown]
# Three habits come out of this table, whatever the machine. Multiply, do not write `** 3`: the general power function
# does not know that 3 is small. Choose by arithmetic, not by `np.where`, when signs are random: the processor guesses
# which side comes next and guesses wrong, as the same values in order show. Keep float64 out of float32 formulas. Rows
# of ten cost more than rows of a thousand, because each row's maximum and sum are set up anew.

# %% [markdown]
# ### Where learning stops
#
# Call a value *saturated* when the slope there is below 0.001: of what should flow back to earlier layers, less than a
# thousandth passes. Draw inputs from a normal distribution, widen it, and count. **Predict**: which curve never rises?
# Which starts at one half? Which of sigmoid and tanh saturates first?

# %% tags=["measure"]
rng = np.random.default_rng(0)
normal = rng.normal(size=20_000)
scales = 2.0 ** np.arange(-3, 7.5, 0.5)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for name, f in {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "gelu": gelu, "leaky_relu": leaky_relu}.items():
    shares = [np.mean(np.abs(slope(f, scale * normal)) < 1e-3) for scale in scales]
    ax.semilogx(scales, shares, ".-", base=2, label=name)
    print(f"{name:10} saturated at scale 1: {shares[6]:.3f}, at scale 8: {shares[12]:.3f}, at 64: {shares[18]:.3f}")
ax.set(xlabel="standard deviation of the inputs", ylabel="share of saturated values")
ax.legend()
plt.show()

# %% [markdown]
# The two S-shaped functions are harmless for inputs of size 1 and lost for large ones: they ask for inputs kept small,
# which is what module 03's initial weights and module 09's normalisation are for. ReLU does not care about scale at
# all: half of the values are given up and half pass in full, always. GELU ends up there too.

# %% [markdown]
# ### Dead units
#
# Half of the *values* at slope 0 is no harm, as long as each unit passes for some images. A unit that is 0 for every
# image gets no slope from any of them, and its weights stay as they are. Here are 256 units with random weights on the
# real digits. All biases are lowered together, as one step with too large a rate would do. **Predict** the share of
# dead units when three quarters of all values are 0: three quarters as well?

# %% tags=["measure"]
rng = np.random.default_rng(0)
ink = Tensor(images[train].reshape(-1, 64) / 16)  # (1437, 64)
directions = Tensor(rng.normal(size=(64, 256)) * math.sqrt(2 / 64))
biases = np.arange(0, -3.1, -0.125)
zeros, dead = [], []
for bias_of_all in biases:
    silent = relu(ink @ directions + bias_of_all).data == 0  # (1437, 256)
    zeros.append(silent.mean())
    dead.append(silent.all(axis=0).mean())
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(biases, zeros, ".-", label="values that are 0")
ax.plot(biases, dead, ".-", label="units that are 0 for every image")
ax.set(xlabel="bias of all units", ylabel="share")
ax.invert_xaxis()
ax.legend()
plt.show()
nearest = int(np.argmin(np.abs(np.array(zeros) - 0.75)))
print(f"bias {biases[nearest]}: {zeros[nearest]:.2f} of the values are 0, {dead[nearest]:.2f} of the units are dead")
print(f"bias 0: {zeros[0]:.2f} of the values are 0, {dead[0]:.2f} of the units are dead")

# %% [markdown]
# Far fewer units are dead than values are 0, because a unit dies only when the image that suits it best is lost too.
# But a little further the second curve has caught up with the first, and there nothing is left that could raise a bias
# again. With a leaky ReLU the share of flat units is 0 for every bias, by construction. That is the whole argument for
# it.

# %% [markdown]
# ### Beside PyTorch
#
# `torch.relu`, `torch.sigmoid`, `torch.tanh`, `torch.softmax` and the functions of the same names in
# `torch.nn.functional` give the same numbers. The deliberate differences:
#
# | | PyTorch | here |
# |---|---|---|
# | `gelu(x)` | the exact form, unless `approximate="tanh"` | the tanh form |
# | `softmax(x)`, `log_softmax(x)` | `dim` has to be given | the last dimension |
# | `relu` of integers | integers | float32, as for the others |

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more, and then the smallest problem that no single layer can solve: exclusive or, by two kinks and a
# sigmoid, with weights found by hand. The first kink gives $a + b$, the second what of it is above 1.


# %% nbgrader={"grade_id": "02-module"}
def test_module():
    test_unit_relu()
    test_unit_leaky_relu()
    test_unit_sigmoid()
    test_unit_sigmoid_range()
    test_unit_tanh()
    test_unit_gelu()
    test_unit_softmax()
    test_unit_softmax_range()
    test_unit_log_softmax()

    points = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    hidden = ReLU()(points @ Tensor([[1.0, 1.0], [1.0, 1.0]]) + Tensor([0.0, -1.0]))  # (4, 2)
    answers = Sigmoid()(hidden @ Tensor([[20.0], [-40.0]]) - 10)  # (4, 1)
    check_close(answers, [[0.0], [1.0], [1.0], [0.0]], "two kinks and a sigmoid compute exclusive or", atol=1e-4)
    scores = Tensor(np.random.default_rng(0).normal(size=(4, 5)))
    logarithms = np.log(Softmax(dim=0)(scores).data)
    check_close(log_softmax(scores, 0), logarithms, "log_softmax is the logarithm of softmax where both can say it")


test_module()

# %% [markdown]
# ## Reflection questions
#
# Answer in a few sentences each; a person reads them.

# %% [markdown] nbgrader={"grade_id": "02-q1", "points": 5, "solution": true}
# **Question 1. Depth and slope (5 points).** The slope of a chain of functions is the product of their slopes. A
# network has twenty hidden layers, all weights of a size that keeps values near 1 in magnitude. Compare what is left
# of the slope at the first layer with sigmoid, with tanh, and with ReLU between the layers. Which of the plots of this
# module do you base that on? Name one further condition under which your answer for ReLU turns bad.
#
# ### BEGIN MARK SCHEME
# 1 point: sigmoid's slope is at most 1/4, so at most 4^-20, about 1e-12: nothing is left.
# 1 point: tanh's slope is 1 at 0 and less elsewhere; near magnitude 1 it is about 0.42, so 0.42^20, about 3e-8; better
# only if the values stay near 0.
# 1 point: ReLU's slope is exactly 1 on every path whose units are active, so nothing is lost along those paths.
# 1 point: refers to the slope plots of task 02-3 or 02-5, or the saturation plot of Part 5.
# 1 point: a condition: dead units (bias too low, a step too large), for paths through an inactive unit give 0; or
# weights whose products grow or shrink, since a slope of 1 also lets explosion through.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "02-q2", "points": 5, "solution": true}
# **Question 2. One sum or many (5 points).** A photograph may show a cat, a dog, both, or neither. Somebody puts a
# softmax over the two scores. (a) What can this model not say? (b) Which function of this module fits, and why? (c)
# Softmax over $C$ scores does not change when all scores are shifted. How many of the $C$ scores are really needed,
# and which function of this module do you get for $C = 2$ when one of them is fixed at 0? Show it.
#
# ### BEGIN MARK SCHEME
# 1 point: (a) the shares add up to 1, so "both" and "neither" cannot be told apart, nor can both be probable.
# 2 points: (b) a sigmoid for each score: independent answers, each between 0 and 1, with no common sum.
# 1 point: (c) C - 1, since one can be made 0 by a shift.
# 1 point: e^x / (e^x + e^0) = 1 / (1 + e^-x), the sigmoid.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "02-q3", "points": 5, "solution": true}
# **Question 3. What the receipt has to remember (5 points).** Module 05 needs, for each operation, enough to compute
# its slope later. (a) For relu and sigmoid the *result* is enough. Give both slopes in terms of the result. (b) Why is
# the result of `gelu` not enough? (c) Our `gelu` keeps `t`. How many bytes does that cost for a million float32
# values? What would have to be done if it were not kept, how long would that take by your table from Part 5, and when
# is that the better bargain?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) relu: 1 where the result is above 0, else 0; sigmoid: s (1 - s).
# 1 point: (b) it falls and then rises, so two inputs have the same result with different slopes.
# 1 point: (c) 4 MB, as much as the input or the result themselves.
# 1 point: (c) the tanh would be computed a second time; compares with a measured time (np.tanh or gelu) and says when
# that is a good bargain (memory short, or tanh cheap on this machine).
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 02-8. ReLU without a kink, exactly
#
# Softplus is the function whose slope is the sigmoid: ReLU with its corner rounded.
#
# $$\mathrm{softplus}(x) = \log(1 + e^x)$$
#
# You will meet it in module 04, for $-\log\sigma(x) = \mathrm{softplus}(-x)$. Typed as it stands it overflows on the
# right. On the left it says 0 too early, because $1 + e^{-20}$ is 1 in float32; `np.log1p(y)` computes $\log(1 + y)$
# without forming $1 + y$. For large $x$ the result is nearly $x$. How much more than $\max(x, 0)$ is it, on either
# side?

# %%
tiny = np.array([1e-9], dtype=np.float32)
print("log(1 + y):", np.log(1 + tiny), "  np.log1p(y):", np.log1p(tiny))


# %% nbgrader={"grade_id": "02-8", "solution": true, "optional": true}
#| export
@operation
def softplus(x):
    """log(1 + exp(x)), value by value, with all its digits on both sides."""
    x = as_floating(x)
    ### BEGIN SOLUTION
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    ### END SOLUTION


# %% nbgrader={"grade_id": "02-8-test", "optional": true}
def test_unit_softplus():
    x = Tensor([[0.0, 1.0], [-1.0, 3.0]])
    check_close(softplus(x), [[0.6931472, 1.3132617], [0.3132617, 3.0485874]], "values known from a table")
    with np.errstate(all="ignore"):
        check_close(softplus(Tensor([-1000.0, 1000.0])), [0.0, 1000.0], "far out it is 0 and x")
    check_close(softplus(Tensor([-20.0])).data * 1e9, [2.0611536], "on the left it keeps its digits")
    check_close(strictly(softplus, Tensor([-1000.0, 1000.0])), [0.0, 1000.0], "no overflow at -1000 and 1000")
    grid = np.linspace(-5, 5, 11)
    check_close(slope(softplus, grid), 1 / (1 + np.exp(-grid)), "its slope is the sigmoid", rtol=1e-6)


test_unit_softplus()

# %% [markdown]
# ## Summary
#
# - Without a bend between them, layers collapse into one. A kink is bend enough for any curve.
# - A formula is not yet a computation. Keep exponents at or below 0, choose exponents instead of results, do not form
#   $1 + \text{tiny}$ and take the 1 away again, and work out logarithms of quotients on paper.
# - Softmax sees differences of scores only; the temperature sets how sure it is, and data can say which is honest.
# - Slopes decide who learns: S-shapes stop for large inputs, ReLUs where they are never active.
# - Equal formulas differ by large factors in time. Measure before you believe.
#
# **Next.** In module 03 the matrix product, the bias and these functions become layers that own their weights.
