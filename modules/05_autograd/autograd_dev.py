# %% [markdown]
# # Module 05. Autograd
#
# A network has thousands of numbers, and a loss says in one number how bad they are. In which direction should each of
# them move? The answer is one slope for every number, and this module computes all of them in a single walk, for about
# twice the price of the loss itself. Nothing in deep learning would be affordable without it. It needs no more
# mathematics than the chain rule from school. What makes it work is bookkeeping, and you have kept the books since
# module 01.
#
# **You need** modules 01 to 04. From school: the derivative as a slope, and the chain rule.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `operation`, `Receipt`, broadcasting | the graph that the walk goes back on | 06 optimizers: they read `.grad` |
# | 02 activations, 03 `linear` | a backward rule for each operation | 09 to 12: new operations bring theirs |
# | 04 `cross_entropy`, which keeps $p$ | where the walk begins | 07 training |
#
# **After this module you can**
#
# - tell how a value was computed from its receipts, and work out its slopes by hand and by a walk;
# - write the backward rule of an operation, with broadcasting, ties and repeated indices in it;
# - prove a rule right or wrong by differences, with a step for which the proof means something;
# - say why the walk waits until all uses of a value have reported, what it lets go on its way, and when it must refuse;
# - predict what a backward pass costs in time and memory, and why it beats every other way to the slopes.
#
# Your code goes to `tinytorch/core/autograd.py` and `tinytorch/core/gradcheck.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.autograd import check_gradients, grad
# from tinytorch.core.tensor import Tensor
#
# x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
# (x * x).sum().backward()
# print(x.grad, grad(lambda x: (x**3).sum())(x))
# print(check_gradients(lambda x: (x.exp() / x).mean(), [x]))
# ```

# %%
#| default_exp core.autograd
#| export
import functools
import math
from contextlib import ContextDecorator

import numpy as np
from numpy import ndarray

from tinytorch.core.activations import sigmoid
from tinytorch.core.tensor import Receipt, Tensor, autograd, dims_of

# %%
#| export core.gradcheck
from contextlib import contextmanager

import numpy as np

from tinytorch.core.tensor import Tensor
from tinytorch.random import chosen_generator

# %%
import time
import tracemalloc
import weakref

from tinytorch.core.activations import ReLU, Tanh, relu, softmax, tanh
from tinytorch.core.layers import Linear, Sequential, linear
from tinytorch.core.losses import CrossEntropyLoss, cross_entropy, mean_squared_error
from tinytorch.core.tensor import (
    concatenate,
    divide,
    index,
    matmul,
    multiply,
    operation,
    power,
    reduce_max,
    reduce_min,
    where,
)
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import CheckFailed, check, check_close, check_raises, measure

images, labels = load_digits()
train, test = digits_split()
ink = images.reshape(-1, 64) / 16  # (1797, 64), between 0 and 1

# %% [markdown]
# ## Part 1. Introduction
#
# Every operation you built since module 01 goes through one door, and whenever one of its inputs requires a gradient,
# the door attaches a *receipt* to the result: the name of the operation, its inputs, its options. Nobody has read
# these receipts yet. Here is a layer, a bend and a loss on two digits. Follow the receipts back from the loss, always
# to the first input, and see what you find:

# %%
rng = np.random.default_rng(0)
weight = Tensor(rng.normal(0, 0.1, size=(10, 64)), requires_grad=True)
loss = cross_entropy(relu(linear(Tensor(ink[:2]), weight)), labels[:2])

y = loss
while y.receipt is not None:
    operation_name, inputs, options, _, _ = y.receipt
    kinds = [f"Tensor {x.shape}" if isinstance(x, Tensor) else type(x).__name__ for x in inputs]
    print(f"{y.shape!s:9} is {operation_name} of {', '.join(kinds)}")
    y = inputs[0]
print(f"{y.shape!s:9} has no receipt: here the way ends")

# %% [markdown]
# So the loss knows how it came about. Suppose someone tells each operation how much the loss changes when its *result*
# changes a little, and the operation can say what that means for its *inputs*. Then the question can be handed from
# the loss back to the weights, receipt by receipt. That is the whole idea. This module adds two things:
#
# 1. for each operation a **rule**, which hands the question on from result to inputs;
# 2. a **walk**, which goes through the receipts in the right order and asks each rule once.
#
# And since rules are easily wrong, and a wrong one still trains, only worse, it begins with the means to catch it.

# %% [markdown]
# ## Part 2. Foundations
#
# ### A slope, measured
#
# The derivative of $f$ at $t$ is its slope there. Without any theory it can be measured: step a little to both sides,
# and divide the change of $f$ by the distance walked,
#
# $$f'(t) \approx \frac{f(t+\varepsilon) - f(t-\varepsilon)}{2\varepsilon} .$$
#
# This is the *central difference*. It is slow, it works for everything, and it is the judge in every test of this
# module. `numeric_gradient` takes an array and measures a slope for each element, one after the other.


# %%
#| export
def slope(f, t, epsilon):
    """The slope of `f` at `t` by a central difference: how much `f` changes from one side to the other, per step."""
    return (f(t + epsilon) - f(t - epsilon)) / (2 * epsilon)


def numeric_gradient(f, x, epsilon=1e-6):
    """The slope of the number `f(x)` in every element of `x`, a float64 array; afterwards `x` is as it was.

    Calls `f` twice for each element.
    """
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        before = x[place]

        def moved(value, place=place):
            x[place] = value
            return float(f(x))

        try:
            gradient[place] = slope(moved, before, epsilon)
        finally:
            x[place] = before
    return gradient


# %%
x = np.array([1.0, 2.0, 3.0])
print("f(x) = x0 * x1 + x2 ** 2 at (1, 2, 3):", numeric_gradient(lambda x: x[0] * x[1] + x[2] ** 2, x).round(6))

# %% [markdown]
# Check the three numbers with school calculus: $x_1$, $x_0$ and $2x_2$. The array of all slopes is called the
# *gradient*; it has the shape of $x$.
#
# How small should the step be? **Predict** before you run the next cell: is smaller always better? It measures the
# slope of $e^t$ at 1, where the right answer is known, for steps from 1 down to $10^{-12}$.

# %% tags=["measure"]
import matplotlib.pyplot as plt

steps = 10.0 ** np.arange(0, -12.1, -0.25)
fig, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for dtype, color in ((np.float32, "C0"), (np.float64, "C1")):
    central, one_sided = [], []
    for step in steps.astype(dtype):
        difference = np.exp(dtype(1) + step) - np.exp(dtype(1))
        one_sided.append(abs(float(difference / step) / math.e - 1))
        central.append(abs(float(slope(np.exp, dtype(1), step)) / math.e - 1))
    name = np.dtype(dtype).name
    ax.loglog(steps, central, ".-", color=color, label=f"{name}, both sides")
    ax.loglog(steps, one_sided, ":", color=color, label=f"{name}, one side")
    best = int(np.argmin(central))
    print(
        f"{name}: best step {steps[best]:.0e}, relative error {central[best]:.0e}; with one side {min(one_sided):.0e}"
    )
ax.set(xlabel="step", ylabel="relative error of the slope", ylim=(1e-12, 3))
ax.invert_xaxis()
fig.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# Each curve is a V. On its left arm the step is too large and the curve of $f$ shows: the error falls with
# $\varepsilon^2$, and with one side only with $\varepsilon$. On its right arm the step is so small that both values of
# $f$ agree in almost all of their digits, and what is left after subtracting is rounding: the error grows with
# $1/\varepsilon$. In float32 the best step leaves about five digits, and its neighbours four. In float64 ten or eleven
# are right, with steps between $10^{-5}$ and $10^{-6}$. **So gradients are checked in float64**, whatever the network
# is trained in.
#
# ### The chain rule, on paper
#
# Now the same without measuring. Take $y = (ab + a)^2$ at $a = 2$, $b = 3$, and give the steps names:
#
# $$u = a\,b = 6, \qquad v = u + a = 8, \qquad y = v \cdot v = 64 .$$
#
# Go backwards, and write beside each name how much $y$ changes per change of that name. Call it $\bar v$ for
# $\partial y / \partial v$, and so on.
#
# - $\bar y = 1$: $y$ changes with itself, one to one.
# - $y = v \cdot v$ uses $v$ twice, each with the other $v$ as its slope: $\bar v = 8 + 8 = 16$.
# - $v = u + a$ has slope 1 in both: $\bar u = 16$, and $\bar a$ gets **16** from here.
# - $u = a\,b$: its slope in $a$ is $b = 3$, in $b$ it is $a = 2$. So $\bar b = 16 \cdot 2 = 32$, and $\bar a$ gets
#   **another** $16 \cdot 3 = 48$. Together $\bar a = 16 + 48 = 64$.
#
# Two rules are behind every line. *Along* a path slopes multiply: the chain rule. Where a name is *used more than
# once*, what comes back along its paths is added, because a change of $a$ changes $y$ by each of them.

# %%
a, b = 2.0, 3.0
both = numeric_gradient(lambda x: (x[0] * x[1] + x[0]) ** 2, np.array([a, b]))
print("on paper 64 and 32, measured", both.round(5))

# %% [markdown]
# ### The graph (given)
#
# What you just walked through is a *graph*: values, and arrows from what went in to what came out. Your own receipts
# describe it completely, so it can be printed and drawn. Inputs stand below what they were used for, and what is used
# more than once has a number. A Tensor without a receipt that requires a gradient is a *leaf*: there the walk will
# leave its results.


# %%
#| export
FREED = object()  # stands in place of the saved values on the receipt of a Tensor whose graph was let go


def in_order(y):
    """All Tensors behind `y` that have a receipt, `y` too, each after those it was computed from."""
    order, waiting, seen = [], [(y, False)] if y.receipt else [], set()
    while waiting:
        node, is_done = waiting.pop()
        if is_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += [(x, False) for x in node.receipt.inputs if isinstance(x, Tensor) and x.receipt is not None]
    return order


def count_readers(y):
    """Tensor -> how many inputs of receipts behind `y` it is, in the order in which they are met; `y` itself has 0."""
    readers, waiting = {y: 0}, [y]
    while waiting:
        x = waiting.pop()
        for part in reversed(x.receipt.inputs if x.receipt else ()):
            if isinstance(part, Tensor):
                if part not in readers:
                    waiting.append(part)
                readers[part] = readers.get(part, 0) + 1
    return readers


def label_of(x, names):
    """What a graph says about one of its parts: name or operation, and shape; a number is itself."""
    if not isinstance(x, Tensor):
        return f"array {x.shape}" if isinstance(x, ndarray) and x.ndim else str(x)
    kind = x.receipt.operation if x.receipt else "leaf" if x.requires_grad else "constant"
    if x.receipt is not None and x.receipt.saved is FREED:
        kind += " (freed)"
    return f"{names[x]} = {kind} {x.shape}" if x in names else f"{kind} {x.shape}"


def graph_of(y, names=None):
    """Text of how `y` was computed: a line for each Tensor, indented below what it was used for.

    names: dictionary of names and Tensors. What is used more than once has a number, and its inputs stand only once.
    """
    names = {tensor: name for name, tensor in (names or {}).items()}
    uses = count_readers(y)
    numbers = {x: f" #{k}" for k, x in enumerate((x for x, n in uses.items() if n > 1), 1)}
    lines, shown, waiting = [], set(), [(y, 0)]
    while waiting:
        x, depth = waiting.pop()
        again = isinstance(x, Tensor) and x in shown and x.receipt is not None
        mark = numbers.get(x, "") if isinstance(x, Tensor) else ""
        lines.append(f"{'  ' * depth}{label_of(x, names)}{mark}{', see above' if again else ''}")
        if isinstance(x, Tensor):
            shown.add(x)
            if x.receipt is not None and not again:
                waiting += [(part, depth + 1) for part in reversed(x.receipt.inputs)]
    return "\n".join(lines)


# %%
#| export
def layers_of(y):
    """Lists of the Tensors behind `y`, and `y`: each after all it was computed from.

    What has no receipt stands one layer before what it is used for first.
    """
    depth = {}
    for node in in_order(y):
        depth[node] = 1 + max((depth.get(x, 0) for x in node.receipt.inputs if isinstance(x, Tensor)), default=0)
    layers = [[] for _ in range(1 + max(depth.values(), default=0))]
    for node in depth:
        layers[depth[node]].append(node)
    seen = set()
    for node in depth:
        for x in node.receipt.inputs:
            if isinstance(x, Tensor) and x.receipt is None and x not in seen:
                seen.add(x)
                first = min(depth[user] for user in depth if any(part is x for part in user.receipt.inputs))
                layers[first - 1].append(x)
    return layers if depth else [[y]]


def draw_arrow(ax, start, end, gaps, again=False):
    """An arrow between two places; curved around what may stand between them, or when there is a straight one.

    gaps: points to leave free at both ends, for what stands there.
    """
    is_far = end[0] - start[0] > 1
    bend = (-0.3 if start[1] >= end[1] else 0.3) if is_far or again else 0.0
    style = {"arrowstyle": "->", "color": "0.4", "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": gaps[0], "shrinkB": gaps[1]})


def draw_graph(y, names=None, ax=None):
    """Draw what `graph_of` prints, from left to right; for graphs of up to about thirty Tensors. Returns the axes.

    names: dictionary of names and Tensors.
    """
    import matplotlib.pyplot as plt

    names = {tensor: name for name, tensor in (names or {}).items()}
    layers, place = layers_of(y), {}
    for column, layer in enumerate(layers):
        for row, x in enumerate(layer):
            place[x] = (column, (len(layer) - 1) / 2 - row)
    if ax is None:
        height = max(len(layer) for layer in layers)
        _, ax = plt.subplots(figsize=(1.7 * len(layers) + 0.6, 0.8 * height + 0.8), layout="constrained")
    texts = {x: label_of(x, names).replace(" (", "\n(").replace(" = ", " =\n") for x in place}
    gaps = {x: 7 + 2.4 * max(len(line) for line in text.split("\n")) for x, text in texts.items()}
    for x, (column, row) in place.items():
        color = "#dcebfa" if x.receipt else "#e2f2d9" if x.requires_grad else "#eeeeee"
        box = {"boxstyle": "round", "fc": color, "ec": "0.5"}
        ax.text(column, row, texts[x], ha="center", va="center", fontsize=8, bbox=box, zorder=3)
        parts = [part for part in (x.receipt.inputs if x.receipt else ()) if isinstance(part, Tensor)]
        for k, part in enumerate(parts):
            again = any(part is other for other in parts[:k])
            draw_arrow(ax, place[part], place[x], (gaps[part], gaps[x]), again)
    rows = [row for _, row in place.values()]
    ax.set(xlim=(-0.6, len(layers) - 0.4), ylim=(min(rows) - 0.7, max(rows) + 0.7))
    ax.axis("off")
    return ax


# %%
a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
u = a * b
v = u + a
y = v * v
print(graph_of(y, {"a": a, "b": b, "u": u, "v": v}))
print("\nand the loss of Part 1:")
print(graph_of(loss, {"weight": weight}))

# %% tags=["measure"]
draw_graph(y, {"a": a, "b": b, "u": u, "v": v, "y": y})
plt.show()

# %% [markdown]
# ### What a rule is
#
# The same in code. The rule of an operation is a function `rule(g, y, *inputs, **options)` on arrays:
#
# - `g` is $\bar y$, how much the loss changes per change of each element of the result, an array of its shape;
# - `y` is the result of the operation, or what the operation has saved for its rule, if it saved something;
# - `inputs` and `options` are those on the receipt.
#
# It returns the same for each input: a tuple with one entry per input, or just the one array if there is one input.
# An entry may also be a function of nothing, which computes the array when it is called: then it is computed only
# for inputs that require a gradient, and a rule for `x * 2.0` does not work for the 2. And an entry may be None: there
# is no gradient, as in a condition.
#
# Rules must not write into anything they are given. Multiplication, for example, and division, with
# $\partial (a/b) / \partial b = -a / b^2 = -y / b$:


# %%
def multiply_rule(g, y, a, b):
    return (lambda: g * b), (lambda: g * a)


# %%
#| export
def divide_rule(g, y, a, b):
    return (lambda: g / b), (lambda: -g * y / b)


# %% [markdown]
# The test of a rule is always the same. Run the operation in float64, make up some $g$, and compare what the rule gives
# with slopes of $\sum g\,y$, which is the number that changes by $g$ per change of $y$:


# %%
def check_rule(rule, operation, *inputs, **options):
    """Compare what `rule` gives for each floating array among `inputs` with central differences of `operation`."""
    floating = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in inputs]
    given = [Tensor(x, True, np.float64) if needed else x for x, needed in zip(inputs, floating)]
    arrays = [x.data if isinstance(x, Tensor) else x for x in given]
    y = operation(*given, **options)
    g = np.random.default_rng(1).normal(size=y.shape)
    with np.errstate(all="ignore"):
        parts = rule(g, y.data if y.receipt.saved is None else y.receipt.saved, *arrays, **options)
    for i, part in enumerate(parts if isinstance(parts, tuple) else (parts,)):
        if floating[i]:
            with np.errstate(all="ignore"):
                got = part() if callable(part) else part
            expected = numeric_gradient(lambda _: np.sum(operation(*given, **options).data * g), arrays[i])
            promise = f"{operation.__name__}: the gradient in input {i} agrees with central differences"
            check_close(got, expected, promise, rtol=1e-4)


rng = np.random.default_rng(0)
check_rule(multiply_rule, multiply, rng.normal(size=(2, 3)), rng.normal(size=(2, 3)))
check_rule(divide_rule, divide, rng.normal(size=4), np.array([1.0, -2.0, 0.5, 3.0]))
check_raises(CheckFailed, lambda: check_rule(lambda g, y, a, b: (g * a, g * b), multiply, *rng.normal(size=(2, 4))), "")

# %% [markdown]
# The last line gave it a wrong rule, with the two inputs confused, and saw to it that it is caught.
#
# ## Part 3. Implementation
#
# ### Task 05-1. What was stretched is summed
#
# Add a bias of shape (3,) to a batch of shape (2, 3). Broadcasting used each bias number twice, once in each row. So
# it has two paths to the result, and what comes back along them is added: the gradient in the bias is the sum of $g$
# over the rows. This holds for every operation that broadcasts, so no rule has to care. A rule returns an array of the
# shape of $g$, and `unbroadcast` sums it to the shape of the input.
#
# Shapes are compared from the end. Two things can have happened to an input on the way to the shape of `g`: dimensions
# were put in front, or a dimension of size 1 was stretched. In `g` of shape (4, 2, 3), an input of shape (2, 1) has got
# a new dimension 0, and its dimension of size 1 has become dimension 2 of size 3. So the sum runs over (0, 2), and the
# result of shape (2,) is brought into the shape (2, 1). Which dimensions are these in general? `axis=` takes a tuple of
# them.

# %%
g = np.arange(24.0).reshape(4, 2, 3)
print("over (0, 2):", g.sum(axis=(0, 2)), " as (2, 1):", g.sum(axis=(0, 2)).reshape(2, 1).tolist())
print("over all:", g.sum(axis=tuple(range(3))), " over none:", g.sum(axis=()).shape)


# %% nbgrader={"grade_id": "05-1", "solution": true}
#| export
def unbroadcast(g, shape):
    """`g` summed over every dimension that broadcasting has put in front or stretched: an array of shape `shape`.

    g: array; `shape`, a tuple, broadcasts to its shape.
    """
    if g.shape == shape:
        return g
    ### BEGIN SOLUTION
    extra = g.ndim - len(shape)
    stretched = [d for d in range(g.ndim) if d < extra or shape[d - extra] == 1]
    return g.sum(axis=tuple(stretched)).reshape(shape)
    ### END SOLUTION


# %% nbgrader={"grade_id": "05-1-test", "points": 5}
def test_unit_unbroadcast():
    g = np.array([[1.0, 2.0, 4.0], [10.0, 20.0, 40.0]])
    check_close(unbroadcast(g, (3,)), [11, 22, 44], "(2, 3) back to (3,): each number was used in two rows")
    check_close(unbroadcast(g, (2, 1)), [[7], [70]], "(2, 3) back to (2, 1): each number was used in three columns")
    check_close(unbroadcast(g, ()), 77, "(2, 3) back to (): one number was used everywhere")
    check_close(unbroadcast(g, (1, 3)), [[11, 22, 44]], "(2, 3) back to (1, 3): the dimension of size 1 stays")
    check_close(
        unbroadcast(np.ones((4, 2, 3)), (2, 1)), [[12], [12]], "in front and stretched: (4, 2, 3) back to (2, 1)"
    )
    check_close(unbroadcast(np.ones((0, 3)), (3,)), [0, 0, 0], "(0, 3) back to (3,): used nowhere, so 0")
    check(unbroadcast(g.astype(np.float32), (3,)).dtype == np.float32, "float32 stays float32")
    check_close(g[1], [10, 20, 40], "g stays as it is")
    rng = np.random.default_rng(0)
    for shape in ((3, 1, 2), (4, 2), (1, 4, 1), (1,)):
        x, other = Tensor(rng.normal(size=shape), dtype=np.float64), rng.normal(size=(3, 4, 2))
        expected = numeric_gradient(lambda _, x=x, other=other: np.sum((x + other).data * other), x.data)
        check_close(
            unbroadcast(other, shape), expected, f"(3, 4, 2) back to {shape} agrees with differences", rtol=1e-4
        )


test_unit_unbroadcast()

# %% [markdown]
# ### Task 05-2. The rule of a power
#
# Your first rule has two inputs with different slopes. From school, for $y = a^b$:
#
# $$\frac{\partial y}{\partial a} = b\,a^{\,b-1}, \qquad \frac{\partial y}{\partial b} = a^b \ln a = y \ln a .$$
#
# Each is multiplied with the $g$ that arrives, element by element. The edges are the interesting part, for in an array
# there is always somebody standing on one.
#
# - $a = 0$, $b = 0$: $y = a^0$ is 1 whatever $a$ is, so its slope in $a$ is 0. The formula says $0 \cdot 0^{-1}$, and
#   NumPy makes that nan. So wherever $b = 0$, the gradient in $a$ is 0.
# - $a = 0$ with $b \ge 0$: the formula says $y \cdot (-\infty)$. As a function of $b$, $0^b$ stays at 0 to the right of
#   $b = 0$, so the gradient in $b$ is 0 there. Otherwise one zero in $a$ makes a whole sum nan.
#
# `np.where(condition, 0, values)` computes all values, and then takes 0 where the condition holds: the bad ones are
# computed, and dropped. Two conditions join with `&`, each in brackets. One line is given: it makes a list an array,
# and leaves a plain number alone, so that `x ** 2` keeps the type of `x`.

# %%
base, exponent = np.array([0.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.0])
with np.errstate(all="ignore"):  # NumPy warns of the division by zero; here we know
    print("b * a ** (b - 1):", exponent * base ** (exponent - 1))
    print("log a:", np.log(base))
print("both zero:", (base == 0) & (exponent == 0), "->", np.where((base == 0) & (exponent == 0), 0, [1.0, 2.0, 3.0]))


# %% nbgrader={"grade_id": "05-2", "solution": true}
#| export
def power_rule(g, y, a, b):
    """Gradients of `y = a ** b` in `a` and in `b`: a tuple of two functions of nothing, or of two arrays."""
    b = b if isinstance(b, int | float) else np.asarray(b)

    ### BEGIN SOLUTION
    def for_base():
        return g * np.where(b == 0, 0, b * a ** (b - 1))

    def for_exponent():
        return g * np.where((a == 0) & (b >= 0), 0, y * np.log(a))

    return for_base, for_exponent
    ### END SOLUTION


# %% nbgrader={"grade_id": "05-2-test", "points": 5}
def power_gradients(g, a, b):
    with np.errstate(all="ignore"):
        parts = power_rule(np.array(g), np.power(a, b), np.array(a), np.array(b))
        return [part() if callable(part) else part for part in parts]


def test_unit_power_rule():
    in_a, in_b = power_gradients([1.0, 10.0], [3.0, 2.0], [2.0, 3.0])
    check_close(in_a, [6, 120], "in a: 3 ** 2 has slope 6, 2 ** 3 has slope 12, times g")
    check_close(in_b, [9 * np.log(3), 80 * np.log(2)], "in b: y times log a, times g")
    rng = np.random.default_rng(0)
    check_rule(power_rule, power, rng.uniform(0.5, 2, size=(2, 3)), rng.normal(size=(2, 3)))
    check_rule(power_rule, power, np.array([-1.5, 2.0]), 3)


def test_unit_power_rule_at_zero():
    in_a, in_b = power_gradients([1.0] * 4, [0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.0, 0.0])
    check_close(
        in_a, [0, 1, 0, 0], "in a: 0 wherever b is 0; a ** 1 has slope 1 also at 0, and a ** 2 has slope 0 there"
    )
    check_close(in_b, [0, 0, 0, np.log(2)], "in b: 0 wherever a is 0, and 2 ** 0 has slope log 2")


test_unit_power_rule()
test_unit_power_rule_at_zero()

# %% [markdown]
# ### Sums and means (given)
#
# A reduction loses dimensions, so its `g` is smaller than `x`, and must be spread out again. Every element of `x` has
# slope 1 in a sum, $1/n$ in a mean. `spread` puts the lost dimensions back with size 1, whatever `dim` and `keepdim`
# were, so that `g` lines up with `x`; `np.broadcast_to` (module 01) then stretches it without copying.
#
# For the variance with $n - c$ in the denominator, the slope is $2(x - \bar x)/(n - c)$: moving $x_i$ moves the mean
# too, but the distances from the mean add up to zero, so that part cancels.


# %%
#| export
def spread(g, x, dim, keepdim):
    """`g`, of the shape that a reduction of `x` over `dim` gave, with size 1 where dimensions were lost."""
    if keepdim:
        return g
    dims = dims_of(dim, x.ndim)
    return g.reshape([1 if d in dims else n for d, n in enumerate(x.shape)])


def sum_rule(g, y, x, dim=None, keepdim=False):
    return np.broadcast_to(spread(g, x, dim, keepdim), x.shape)


def group_size(x, dim):
    """How many values of `x` go into each result of a reduction over `dim`."""
    dims = dims_of(dim, x.ndim)
    return math.prod(n for d, n in enumerate(x.shape) if d in dims)


def mean_rule(g, y, x, dim=None, keepdim=False):
    return np.broadcast_to(spread(g, x, dim, keepdim) / group_size(x, dim), x.shape)


def var_rule(g, y, x, dim=None, keepdim=False, correction=1):
    centred = x - x.mean(axis=dims_of(dim, x.ndim), keepdims=True)
    return spread(g, x, dim, keepdim) * centred * 2 / (group_size(x, dim) - correction)


# %%
x = np.array([[1.0, 7.0, 7.0], [4.0, 2.0, 0.0]])
for keepdim in (False, True):
    largest = x.max(axis=1, keepdims=keepdim)
    print(f"keepdim={keepdim}: {largest.shape} is spread to {spread(largest, x, 1, keepdim).shape}")
print("dims_of(1, x.ndim) is", dims_of(1, x.ndim), " dims_of(None, x.ndim) is", dims_of(None, x.ndim))
print("spread over everything:", spread(np.array(5.0), x, None, False))
print(
    "type of sums of booleans:", np.array([True, True]).sum().dtype, " after astype:", x.astype(np.float32).sum().dtype
)

# %% [markdown]
# ### Task 05-3. Who was the largest?
#
# The largest value of a row changes only if the largest element changes, one to one. So all of `g` goes to that
# element, and nothing to the others. After a ReLU, many elements of a row may be largest *together*, all of them 0 for
# example. Then they share equally: with two, each gets half. (Giving each of them all of `g` would hand back more than
# arrived, and picking the first would make the result depend on the order.)
#
# `y` holds the largest values, so the elements that equal their row's `y` are the ones. The same rule serves the
# smallest. Reductions may run over one dimension, several, or all (`dim=None`), with `keepdim` or without: `spread`
# makes `y` and `g` line up with `x`, and `dims_of(dim, x.ndim)` gives the dimensions as a tuple for `axis=`.


# %% nbgrader={"grade_id": "05-3", "solution": true}
#| export
def extreme_rule(g, y, x, dim=None, keepdim=False):
    """Gradient of `y`, the largest or smallest value of `x` over `dim`; where several are, they share equally."""
    ### BEGIN SOLUTION
    hit = (x == spread(y, x, dim, keepdim)).astype(x.dtype)
    share = hit / hit.sum(axis=dims_of(dim, x.ndim), keepdims=True)
    return spread(g, x, dim, keepdim) * share
    ### END SOLUTION


# %% nbgrader={"grade_id": "05-3-test", "points": 5}
def test_unit_extreme_rule():
    x, g = np.array([[1.0, 7.0, 7.0], [4.0, 2.0, 0.0]]), np.array([10.0, 3.0])
    got = extreme_rule(g, x.max(axis=1), x, dim=1)
    check_close(got, [[0, 5, 5], [3, 0, 0]], "all goes to the largest of each row; two of them share")
    got = extreme_rule(g[:, None], x.max(axis=1, keepdims=True), x, dim=1, keepdim=True)
    check_close(got, [[0, 5, 5], [3, 0, 0]], "the same with keepdim")
    got = extreme_rule(np.array(6.0), np.array(7.0), x)
    check_close(got, [[0, 3, 3], [0, 0, 0]], "over everything: two of six share")
    got = extreme_rule(np.array([1.0, 2.0, 3.0]), x.min(axis=0), x, dim=0)
    check_close(got, [[1, 0, 0], [0, 2, 3]], "the smallest of each column")
    rng = np.random.default_rng(0)
    for dim in (None, -1, (0, 2)):
        check_rule(extreme_rule, reduce_max, rng.normal(size=(2, 3, 4)), dim=dim)
        check_rule(extreme_rule, reduce_min, rng.normal(size=(2, 3, 4)), dim=dim, keepdim=True)


test_unit_extreme_rule()

# %% [markdown]
# ### Task 05-4. The product of matrices
#
# Written out, $y_{mn} = \sum_k a_{mk}\, b_{kn}$. The element $a_{mk}$ occurs in row $m$ of $y$, in each column $n$ with
# slope $b_{kn}$. So what comes back to it is
#
# $$\bar a_{mk} = \sum_n g_{mn}\, b_{kn}, \qquad\text{and likewise}\qquad \bar b_{kn} = \sum_m a_{mk}\, g_{mn} .$$
#
# Both are matrix products again, each with one factor transposed, so that the index of the sum stands in the middle.
# You need not learn the order by heart, because the shapes settle it: $g$ is (M, N), $a$ is (M, K), $b$ is (K, N), and
# only one product of $g$ with a transposed $b$ has the shape (M, K).
#
# `@` also multiplies stacks of matrices, which broadcast, and vectors. `as_matrices` turns vectors into matrices of
# one row or column, so you may think of (..., M, K) and (..., K, N) only. Transposed are the *last two* dimensions,
# and what broadcasting did to the stack is undone by your `unbroadcast`.


# %%
#| export
def as_matrices(g, a, b):
    """`g`, `a`, `b` of the product `a @ b` as stacks of matrices: (..., M, N), (..., M, K), (..., K, N).

    A vector becomes a matrix of one row (`a`) or one column (`b`). Where `b` is one matrix for a whole stack of `a`,
    the rows of the stack stand below each other, so that one product does it all.
    """
    A, B, G = np.asarray(a), np.asarray(b), g
    if B.ndim == 1:
        B, G = B[:, None], G[..., None]
    if A.ndim == 1:
        A, G = A[None], G[..., None, :]
    if B.ndim == 2 and A.ndim > 2:
        A, G = A.reshape(math.prod(A.shape[:-1]), A.shape[-1]), G.reshape(math.prod(G.shape[:-1]), G.shape[-1])
    return G, A, B


def reshaped(g, shape):
    """`g` under another shape; `g` itself, and not a view of it, where that is its shape."""
    return g if g.shape == shape else g.reshape(shape)


# %%
stack = np.arange(24.0).reshape(2, 3, 4)
print(
    "stack", stack.shape, " np.swapaxes(stack, -1, -2)", np.swapaxes(stack, -1, -2).shape, " .T would be", stack.T.shape
)
for a_shape, b_shape in (((2, 3), (3, 4)), ((3,), (3, 4)), ((5, 2, 3), (3,)), ((5, 2, 3), (4, 1, 3, 6))):
    a, b = np.ones(a_shape), np.ones(b_shape)
    shapes = [matrices.shape for matrices in as_matrices(a @ b, a, b)]
    print(f"{a_shape} @ {b_shape}: G, A, B are {shapes}")


# %% nbgrader={"grade_id": "05-4", "solution": true}
#| export
def matmul_rule(g, y, a, b):
    """Gradients of the matrix product in `a` and in `b`, as two functions of nothing."""
    G, A, B = as_matrices(g, a, b)  # (..., M, N), (..., M, K), (..., K, N)

    def products():
        """Two functions of nothing: the first gives an array of the shape of A, the second one of the shape of B."""
        ### BEGIN SOLUTION
        return (
            lambda: unbroadcast(G @ np.swapaxes(B, -1, -2), A.shape),
            lambda: unbroadcast(np.swapaxes(A, -1, -2) @ G, B.shape),
        )
        ### END SOLUTION

    for_a, for_b = products()
    return (lambda: reshaped(for_a(), np.shape(a))), (lambda: reshaped(for_b(), np.shape(b)))


# %% nbgrader={"grade_id": "05-4-test", "points": 5}
def test_unit_matmul_rule():
    g, a, b = np.array([[1.0, 10.0]]), np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]])
    for_a, for_b = matmul_rule(g, a @ b, a, b)
    check_close(for_a(), [[41, 52, 63]], "in a: row m of g against row k of b")
    check_close(for_b(), [[1, 10], [2, 20], [3, 30]], "in b: column k of a against column n of g")
    rng = np.random.default_rng(0)
    check_rule(matmul_rule, matmul, rng.normal(size=(3, 3)), rng.normal(size=(3, 3)))
    for a_shape, b_shape in (((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,))):
        check_rule(matmul_rule, matmul, rng.normal(size=a_shape), rng.normal(size=b_shape))


def test_unit_matmul_rule_stacks():
    rng = np.random.default_rng(0)
    for a_shape, b_shape in (
        ((2, 3, 3), (2, 3, 3)),
        ((2, 4, 3), (3, 2)),
        ((4, 3), (2, 3, 2)),
        ((2, 1, 4, 3), (3, 3, 2)),
    ):
        check_rule(matmul_rule, matmul, rng.normal(size=a_shape), rng.normal(size=b_shape))


test_unit_matmul_rule()
test_unit_matmul_rule_stacks()

# %% [markdown]
# ### Shapes and parts (given)
#
# An operation that only moves values hands `g` back by the opposite move: reshape to the old shape, exchange the same
# two dimensions again, cut where something was joined. `permute` is undone by the permutation that sorts its order.
# `where` sends `g` to whichever side was chosen, and `clip` lets it through where nothing was clipped.


# %%
#| export
def permute_rule(g, y, x, dims):
    return np.transpose(g, np.argsort(dims_of(dims, x.ndim)))


def join_rule(g, y, *arrays, dim=0):
    stops = np.cumsum([array.shape[dim] for array in arrays])
    return tuple(np.split(g, stops[:-1], axis=dim))


def where_rule(g, y, condition, a, b):
    return None, (lambda: np.where(condition, g, 0)), (lambda: np.where(condition, 0, g))


def clip_rule(g, y, x, min=None, max=None):
    low, high = -np.inf if min is None else min, np.inf if max is None else max
    return np.where((x >= low) & (x <= high), g, 0)


# %% [markdown]
# ### Task 05-5. The same element, twice
#
# Now parts: `x[key]`. Each element of the result was copied from one element of `x`, so its `g` goes back to that
# place, in an array of zeros of the shape of `x`. There is one trap, and every embedding of words (module 14) would
# fall into it: with a list as the key, an element may be picked **twice**, and then both must be added. Watch what
# NumPy does with `+=` here, and what `np.add.at` does:

# %%
places, amounts = np.array([0, 0, 2]), np.array([1.0, 10.0, 100.0])
x = np.zeros_like(amounts)
x[places] += amounts
print("x[places] += amounts      ", x, "the first amount is lost: x[places] was read once, and written twice")
x = np.zeros_like(amounts)
np.add.at(x, places, amounts)
print("np.add.at(x, places, ...) ", x)
big, rows = np.zeros((1000, 100)), np.arange(1000)
measure(lambda: np.add.at(big, rows, 1.0), label="np.add.at")
measure(lambda: np.add.at(big, slice(None), 1.0), label="np.add.at, a slice")
assigned = measure(lambda: big.__setitem__(slice(None), 1.0), label="assigned")

# %% [markdown]
# Adding with care costs something. Whole numbers and slices never pick an element twice, so there assigning does. The
# given line finds out: `once` is true for such a key.


# %% nbgrader={"grade_id": "05-5", "solution": true}
#| export
def index_rule(g, y, x, key):
    """Gradient of `x[key]`: for each element of `x` the sum of `g` over its copies, which is 0 if there are none."""
    parts = key if isinstance(key, tuple) else (key,)
    once = all(isinstance(part, int | np.integer | slice | type(None) | type(Ellipsis)) for part in parts)
    ### BEGIN SOLUTION
    dx = np.zeros_like(x)
    if once:
        dx[key] = g
    else:
        np.add.at(dx, key, g)
    return dx
    ### END SOLUTION


# %% nbgrader={"grade_id": "05-5-test", "points": 5}
def test_unit_index_rule():
    x, g = np.array([5.0, 6.0, 7.0]), np.array([1.0, 10.0, 100.0])
    check_close(index_rule(g[:2], x[:2], x, key=slice(0, 2)), [1, 10, 0], "a slice: back to its place, 0 elsewhere")
    check_close(index_rule(np.array(3.0), x[1], x, key=1), [0, 3, 0], "a whole number")
    check_close(index_rule(g, x[::-1], x, key=slice(None, None, -1)), [100, 10, 1], "a slice that runs backwards")
    check_close(index_rule(g, x[[0, 0, 2]], x, key=[0, 0, 2]), [11, 0, 100], "element 0 was picked twice: 1 + 10")
    pairs = (np.array([0, 1, 0]), np.array([1, 1, 1]))
    table = np.zeros((2, 2))
    check_close(index_rule(g, table[pairs], table, key=pairs), [[0, 101], [0, 10]], "pairs of indices, one pair twice")
    check_close(index_rule(g[:2], x[x > 5], x, key=x > 5), [0, 1, 10], "a condition as the key")
    check(index_rule(g, x, x.astype(np.float32), key=[0, 0, 2]).dtype == np.float32, "the type is that of x")
    check_close([*x, *g], [5, 6, 7, 1, 10, 100], "x and g stay as they are")
    rng = np.random.default_rng(0)
    for key in ((0, slice(None, None, -2)), (Ellipsis, None, 1), ([1, 1, 0], slice(1, 3)), [[0, 1], [1, 1]]):
        check_rule(index_rule, index, rng.normal(size=(2, 4, 3)), key=key)


test_unit_index_rule()

# %% [markdown]
# ### Activations and layers (given)
#
# The slopes of the bent functions you know from module 02, where you measured them. Most need nothing but their own
# result: $s(1-s)$ for the sigmoid, $1-t^2$ for tanh. Softmax is the first where every output depends on every input:
# $\partial y_i / \partial x_j = y_i(\delta_{ij} - y_j)$, where $\delta_{ij}$ is 1 for $i = j$, else 0. Sum over $i$
# with $g_i$, and the table of all pairs never has to exist: $\bar x_j = y_j\,(g_j - \sum_i g_i y_i)$.
#
# `linear` computes $y = xW^\top + b$ in one go. By the same argument as in task 05-4, $\bar x = gW$ and
# $\bar W = g^\top x$. The bias was added to every row, so it gets the sum of all rows, here as a product with a row of
# ones, which is the fastest sum there is.


# %%
#| export
logistic = sigmoid.__wrapped__  # on arrays, behind the door


def gelu_rule(g, t, x):
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return g * 0.5 * (1 + t + x * (1 - t * t) * inner)


def softmax_rule(g, y, x, dim=-1):
    gy = g * y
    return gy - y * gy.sum(axis=dim, keepdims=True)


def log_softmax_rule(g, y, x, dim=-1):
    return g - np.exp(y) * g.sum(axis=dim, keepdims=True)


@functools.lru_cache(maxsize=64)
def ones(n, dtype):
    """`n` ones, which nobody may write into: `ones @ g` adds the rows of `g` faster than `g.sum(axis=0)`."""
    vector = np.ones(n, dtype)
    vector.flags.writeable = False
    return vector


def linear_rule(g, y, x, weight, bias=None):
    rows, flat_x = g, x
    if x.ndim != 2:
        count = math.prod(x.shape[:-1])
        rows, flat_x = g.reshape(count, g.shape[-1]), x.reshape(count, x.shape[-1])
    return (
        lambda: reshaped(rows @ weight, x.shape),
        lambda: rows.T @ flat_x,
        lambda: ones(len(rows), rows.dtype) @ rows,
    )


# %%
rng = np.random.default_rng(0)
check_rule(softmax_rule, softmax, rng.normal(size=(2, 3)))
check_rule(linear_rule, linear, rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.normal(size=2))
print("softmax and linear agree with central differences")

# %% [markdown]
# ### Task 05-6. Where training begins: p - t
#
# Every backward pass of a classifier starts in cross-entropy. For one row with logits $z$ and the right class $k$ the
# loss is $-\log p_k = \log \sum_j e^{z_j} - z_k$. Its slope in $z_i$: the first term gives
# $e^{z_i} / \sum_j e^{z_j} = p_i$, and the second takes 1 away at the right class,
#
# $$\frac{\partial}{\partial z_i}(-\log p_k) = p_i - \delta_{ik} .$$
#
# All of softmax, logarithm and sum collapses into a subtraction. What the network believes, minus what is true: a row
# that is right and sure is left in peace, one that is sure and wrong is pushed hardest. The loss is a mean over $B$
# rows, so each row gets its share $1/B$, and `g`, an array of shape (), is a factor in front of it all.
#
# Module 04 saved $p$ so that nothing must be computed again. It belongs to the receipt and may be needed once more, so
# it must stay as it is. How to reach one element in each row, the pairs (row, class), you know from module 04.


# %% nbgrader={"grade_id": "05-6", "solution": true}
#| export
def index_cross_entropy_rule(g, p, indices):
    """Gradient of the mean cross-entropy in the logits, (B, C).

    g: what arrives, of shape (); p: the softmax of the logits (B, C), stays as it is; indices: int64 (B,), the truth.
    """
    ### BEGIN SOLUTION
    share = g / len(p)
    dx = share * p
    dx[np.arange(len(p)), indices] -= share
    return dx
    ### END SOLUTION


# %% nbgrader={"grade_id": "05-6-test", "points": 5}
def cross_entropy_by_hand(g, p, logits, indices):
    return index_cross_entropy_rule(g, p, indices), None


def test_unit_index_cross_entropy_rule():
    p, indices = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]), np.array([0, 1])
    got = index_cross_entropy_rule(np.array(1.0), p, indices)
    check_close(got, [[-0.25, 0.125, 0.125], [0.05, -0.4, 0.35]], "p less 1 at the right class, over two rows")
    check_close(p, [[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], "p stays as it is")
    check_close(index_cross_entropy_rule(np.array(10.0), p, indices), 10 * got, "g is a factor in front of it all")
    check_close(got.sum(axis=1), [0, 0], "each row adds up to 0: adding to all logits changes nothing")
    narrow = index_cross_entropy_rule(np.array(1, np.float32), p.astype(np.float32), indices)
    check(narrow.dtype == np.float32, "float32 stays float32")
    rng = np.random.default_rng(0)
    check_rule(cross_entropy_by_hand, cross_entropy, rng.normal(size=(4, 3)), np.array([2, 0, 0, 1]))


test_unit_index_cross_entropy_rule()

# %% [markdown]
# ### The other losses, and the table (given)
#
# With soft targets $t$ the same derivation gives $p \sum_i t_i - t$. The squared error has slope $2(p - t)/n$, and
# binary cross-entropy again *belief minus truth*. Then the table: one entry for each operation of modules 01 to 04, by
# the name that stands on its receipts. A rule of one line stands in it, a longer one has a name. Read the table as a
# summary of all derivatives that deep learning is made of: it is short.


# %%
#| export
def cross_entropy_rule(g, p, logits, targets):
    t = np.asarray(targets)
    soft = t.ndim == 2 or (logits.ndim == 1 and t.size > 1)

    def for_logits():
        if soft:
            shares = t.reshape(p.shape).astype(p.dtype, copy=False)
            dx = (p * shares.sum(axis=1, keepdims=True) - shares) * (g / len(p))
        else:
            dx = index_cross_entropy_rule(g, p, t.reshape(len(p)).astype(np.int64, copy=False))
        return reshaped(dx, logits.shape)

    def for_targets():
        if not soft:
            raise RuntimeError("backward: cross_entropy has no gradient in class indices; give targets that need none")
        log_p = logits - logits.max(axis=-1, keepdims=True)
        log_p = log_p - np.log(np.exp(log_p).sum(axis=-1, keepdims=True))
        return reshaped(log_p * (-g / len(p)), t.shape)

    return for_logits, for_targets


def mean_squared_error_rule(g, y, predictions, targets):
    def for_predictions():
        return np.subtract(predictions, targets, dtype=g.dtype) * (2 * g / np.size(predictions))

    return for_predictions, (lambda: -for_predictions())


def huber_rule(g, y, predictions, targets, delta=1.0):
    def for_predictions():
        r = np.subtract(predictions, targets, dtype=g.dtype)
        return np.clip(r, -delta, delta) * (g / np.size(predictions))

    return for_predictions, (lambda: -for_predictions())


def binary_cross_entropy_rule(g, y, logits, targets):
    scale = g / np.size(logits)
    return (lambda: np.subtract(logistic(logits), targets, dtype=g.dtype) * scale), (
        lambda: np.multiply(logits, -scale)
    )


# %%
#| export
rules = autograd.rules

rules.update(  # arithmetic
    add=lambda g, y, a, b: (g, g),
    subtract=lambda g, y, a, b: (g, lambda: -g),
    multiply=lambda g, y, a, b: (lambda: g * b, lambda: g * a),
    divide=divide_rule,
    power=power_rule,
    negative=lambda g, y, x: -g,
)
rules.update(  # functions
    absolute=lambda g, y, x: g * np.sign(x),
    exp=lambda g, y, x: g * y,
    log=lambda g, y, x: g / x,
    sqrt=lambda g, y, x: g / (2 * y),
    clip=clip_rule,
    where=where_rule,
)
rules.update(  # reductions
    reduce_sum=sum_rule,
    reduce_mean=mean_rule,
    reduce_max=extreme_rule,
    reduce_min=extreme_rule,
    reduce_var=var_rule,
)
rules.update(  # shapes and parts
    identity=lambda g, y, x: g,
    index=index_rule,
    join=join_rule,
    permute=permute_rule,
    reshape=lambda g, y, x, shape: g.reshape(x.shape),
    transpose=lambda g, y, x, dim0, dim1: np.swapaxes(g, dim0, dim1),
)
rules.update(  # activations
    relu=lambda g, y, x: g * np.sign(y),
    leaky_relu=lambda g, y, x, negative_slope=0.01: np.where(x > 0, g, g * negative_slope),
    sigmoid=lambda g, y, x: g * y * (1 - y),
    tanh=lambda g, y, x: g * (1 - y * y),
    gelu=gelu_rule,
    softplus=lambda g, y, x: g * logistic(x),
    softmax=softmax_rule,
    log_softmax=log_softmax_rule,
)
rules.update(  # products and layers
    matmul=matmul_rule,
    linear=linear_rule,
    dropout=lambda g, y, x, mask: g * mask,
)
rules.update(  # losses
    mean_squared_error=mean_squared_error_rule,
    cross_entropy=cross_entropy_rule,
    binary_cross_entropy_with_logits=binary_cross_entropy_rule,
    huber=huber_rule,
)

# What a rule looks at besides shapes. An operation in neither set is taken to look at its inputs and at its result.
SHAPES_ONLY = {
    *("add", "subtract", "negative", "reduce_sum", "reduce_mean", "dropout"),
    *("identity", "index", "join", "permute", "reshape", "transpose"),
}
INPUTS_ONLY = {
    *("multiply", "absolute", "log", "clip", "where", "reduce_var", "leaky_relu", "softplus", "matmul", "linear"),
    *("mean_squared_error", "binary_cross_entropy_with_logits", "huber"),
}


# %%
comparisons = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
print(len(rules), "rules; operations without one:", sorted(set(autograd.operations) - set(rules) - comparisons))

# %% [markdown]
# Comparisons give booleans, which have no slope, and no receipt.
#
# ### Task 05-7. Count the uses
#
# Now the walk. Look at the example again: $a$ is used by two operations. Its gradient is complete only when **both**
# have reported. If the walk went on from a value at the first report, it would hand on a part, and would have to go
# the whole way again for the rest, and the way behind that again and again: in a network of $n$ blocks, each with a
# path around it, there are $2^n$ ways from the loss to the input. So before it starts, the walk finds out how many
# reports each Tensor has to wait for.
#
# `count_uses` goes from `root` back along the receipts. It looks at the inputs of every Tensor that has a receipt, at
# each such Tensor **once**, and counts how often each input occurs. `v * v` uses `v` twice. Only Tensors that require
# a gradient count: `isinstance(x, Tensor)`, because inputs may be plain numbers, and `x.requires_grad`.
#
# Given are a dictionary `uses` (a Tensor as a key stands for itself, as in module 03), a list `waiting` of the Tensors
# whose inputs are still to be looked at, and the loop. In it, `inputs` are those of `node`. Who goes to `waiting`, and
# when, so that nobody goes twice? Do not let the function call itself: Python stops after a thousand calls inside each
# other, and a graph may be a hundred thousand operations deep.
#
# The two given lines with `clock` ask for refusals, which come below.


# %%
#| export
class FreedReceipts(dict):
    """Operation -> the receipt, without inputs and values, of its results whose graph was let go."""

    def __missing__(self, operation):
        self[operation] = Receipt(operation, (), {}, FREED, -1)
        return self[operation]


freed_receipts = FreedReceipts()


def check_receipt(node):
    """Raise RuntimeError where the walk could not go back over the receipt of `node`, or would go wrong."""
    operation, inputs, _, saved, clock = node.receipt
    if saved is FREED:
        raise RuntimeError(
            f"backward: the graph behind the result of {operation}, shape {node.shape}, was let go by an earlier "
            "backward; give that one retain_graph=True, or compute the result again"
        )
    if operation not in autograd.rules:
        raise RuntimeError(
            f"backward: the operation {operation} has no backward rule; add one: autograd.rules[{operation!r}] = rule"
        )
    if operation in SHAPES_ONLY:
        return
    changed = [f"input {i}" for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.version > clock]
    shapes = [x.shape for x in inputs if isinstance(x, Tensor) and x.version > clock]
    if saved is None and operation not in INPUTS_ONLY and node.version > clock:
        changed, shapes = [*changed, "the result"], [*shapes, node.shape]
    if changed:
        raise RuntimeError(
            f"backward: {changed[0]} of {operation}, shape {shapes[0]}, was changed after the operation had used it, "
            "and its rule needs the old values; compute the result again, or do not write into what was used"
        )


# %% nbgrader={"grade_id": "05-7", "solution": true}
#| export
def count_uses(root):
    """Tensor -> how often it is an input on the ways that lead to `root`; only Tensors that require a gradient.

    root: a Tensor with a receipt.
    Raises: RuntimeError where the walk must refuse, see `check_receipt`.
    """
    uses, waiting = {}, [root]
    rules, now = autograd.rules, autograd.clock
    while waiting:
        node = waiting.pop()
        operation, inputs, _, _, clock = node.receipt
        if clock != now or operation not in rules:  # nothing was written since: there is nothing to look at
            check_receipt(node)
        ### BEGIN SOLUTION
        for x in inputs:
            if isinstance(x, Tensor) and x.requires_grad:
                if x in uses:
                    uses[x] += 1
                else:
                    uses[x] = 1
                    if x.receipt is not None:
                        waiting.append(x)
        ### END SOLUTION
    return uses


# %% nbgrader={"grade_id": "05-7-test", "points": 5}
class FewLooks(tuple):
    """Inputs that may be looked at sixty times in all; then it says so, instead of letting you wait for ever."""

    looks = 0

    def __iter__(self):
        FewLooks.looks += 1
        check(FewLooks.looks <= 60, "the inputs of each Tensor are looked at once, not once for every way to it")
        return super().__iter__()


def counts(uses, tensors):
    return [uses.get(x, 0) for x in tensors]


def test_unit_count_uses():
    a, b, c = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True), Tensor(1.0)
    u = a * b
    v = u + a
    y = v * v
    check_close(counts(count_uses(y), (a, b, u, v, y)), [2, 1, 1, 2, 0], "(ab + a)^2: a 2, b 1, u 1, v 2, the root 0")
    uses = count_uses((v * c * 2.0).sum())
    check_close(counts(uses, (a, b, u, v, c)), [2, 1, 1, 1, 0], "beside a constant, which is not counted")
    check_close(counts(count_uses(b * b), (a, b)), [0, 2], "b * b uses b twice")


def test_unit_count_uses_large():
    x = y = Tensor(1.0, requires_grad=True)
    for _ in range(5000):
        y = y + 1.0
    check_close(len(count_uses(y)), 5000, "a chain of 5000 operations")
    a = b = x
    for _ in range(8):
        a, b = a + b, a * 2.0
        a.receipt, b.receipt = (r._replace(inputs=FewLooks(r.inputs)) for r in (a.receipt, b.receipt))
    FewLooks.looks = 0
    uses = count_uses(a * b)
    check_close([len(uses), uses[x], sum(uses.values())], [17, 3, 26], "a ladder: 17 Tensors, the first used 3 times")


test_unit_count_uses()
test_unit_count_uses_large()

# %% [markdown]
# ### Task 05-8. The walk
#
# Everything is in place. The walk begins with `root`, whose gradient is given, and repeats: take a Tensor that is
# `ready`, that is, whose gradient is complete; ask the rule on its receipt; hand what the rule gives to the inputs. The
# frame is given and calls the rule. Into your hands it gives one input `x` at a time, with `dx`, what came back to it
# from this use, an array of the right shape and type. Your part is the heart of the matter, three questions:
#
# 1. `gradients` holds what has come back to each Tensor so far. What happens with `dx` if `x` is not in it yet, and if
#    it is? The arrays may be the same as someone else's: an addition hands the very same `g` to both of its inputs. So
#    make a new array, `a + b`; with `+=` you would write into theirs.
# 2. One report fewer is outstanding for `x`. `uses` must not keep Tensors any longer than needed, as a dictionary keeps
#    whatever is in it alive, with its array. So when the last one has come, `x` leaves `uses`. (`uses.pop(x)` takes a
#    Tensor out, and gives its count.)
# 3. When is `x` ready? Only then is it appended, and only if it has a receipt. A leaf has none: there the way ends,
#    and its gradient stays in `gradients`, which is the result.
#
# A list with `pop` and `append` gives the newest first. Any order will do: what makes it right is the count. This is
# known as Kahn's algorithm (1962) for putting things in order.


# %%
#| export
def fitted(dx, x, operation):
    """`dx`, what the rule of `operation` gave for its input `x`, as an array of the shape and type of `x`."""
    if dx is None:
        return np.zeros_like(x.data)
    dx = np.asarray(dx)
    if dx.shape != x.shape:
        stretched = zip(reversed(x.shape), reversed(dx.shape))
        if dx.ndim < x.ndim or any(n not in (1, m) for n, m in stretched):
            raise RuntimeError(
                f"backward: the rule of {operation} gave a gradient of shape {dx.shape} for an input of shape {x.shape}"
            )
        dx = unbroadcast(dx, x.shape)
    return dx.astype(x.dtype, copy=False)


def owned(dx, g, saved, arrays):
    """`dx` if its memory is its own, and it is none of the arrays that the rule was given; else a copy."""
    if dx.base is not None or dx is g or dx is saved:
        return dx.copy()
    for array in arrays:
        if dx is array:
            return dx.copy()
    return dx


# %% nbgrader={"grade_id": "05-8", "solution": true}
#| export
def walk(root, gradient, retain_graph=False):
    """Leaf -> its gradient, an array that nobody else writes into, for every leaf behind `root` that requires one.

    gradient: array of the shape and type of `root`; it stays as it is.
    retain_graph: False lets receipts go as soon as they have served, and with them the arrays that only they held.
    """
    if root.receipt is None:
        return {root: gradient.copy()}
    uses = count_uses(root)
    rules, gradients, ready = autograd.rules, {root: gradient}, [root]
    while ready:
        node = ready.pop()
        operation, inputs, options, saved, _ = node.receipt
        g, y = gradients.pop(node), node._data if saved is None else saved
        if len(inputs) == 2 and not options:  # the commonest case; a direct call saves a twentieth of the time
            a, b = inputs
            arrays = a, b = a._data if isinstance(a, Tensor) else a, b._data if isinstance(b, Tensor) else b
            parts = rules[operation](g, y, a, b)
        else:
            arrays = []
            for x in inputs:
                arrays.append(x._data if isinstance(x, Tensor) else x)
            parts = rules[operation](g, y, *arrays, **options)
        if type(parts) is not tuple:
            parts = (parts,)
        i = -1
        for x in inputs:
            i += 1  # quicker than enumerate or zip, and this is the innermost loop of all training
            data = arrays[i]
            if data is not x and x.requires_grad:
                dx = parts[i]
                if type(dx) is not ndarray and callable(dx):
                    dx = dx()
                if type(dx) is not ndarray or dx.shape != data.shape or dx.dtype is not data.dtype:
                    dx = fitted(dx, x, operation)
                if x.receipt is None and x not in gradients:
                    dx = owned(dx, g, saved, arrays)
                ### BEGIN SOLUTION
                gradients[x] = gradients[x] + dx if x in gradients else dx
                left = uses.pop(x) - 1
                if left:
                    uses[x] = left
                elif x.receipt is not None:
                    ready.append(x)
                ### END SOLUTION
        if not retain_graph:
            node.receipt = freed_receipts[operation]
        parts = dx = None  # they hold arrays that are not needed any more
    return {leaf: np.asarray(dx) for leaf, dx in gradients.items()}  # the sum of two arrays of shape () is none


# %% nbgrader={"grade_id": "05-8-test", "points": 10}
def test_unit_walk():
    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    v = a * b + a
    found = walk(v * v, np.array(1, np.float32))
    check_close([int(x in found) for x in (a, b, v)], [1, 1, 0], "the result holds the leaves, and nothing else")
    check_close([found[a], found[b]], [64, 32], "(ab + a)^2 at 2 and 3: 64 and 32, as on paper")
    c = Tensor([1.0, -2.0])
    x = Tensor([1.0, 4.0], requires_grad=True)
    found = walk(x * c * x, np.array([1, 10], np.float32))
    check_close(found[x], [2, -160], "x * c * x has slope 2 c x, times the gradient given; c has none")


def test_unit_walk_shared():
    x = Tensor([1.0, 2.0], requires_grad=True)
    u, v = x * 3.0, x * 5.0
    for order in (lambda p, q: p + q, lambda p, q: q + p):
        found = walk(order(u * v, (u + v) * 1.0), np.ones(2, np.float32), retain_graph=True)
        check_close(found[x], [38, 68], "uv + (u + v) for u = 3x, v = 5x has slope 30x + 8, whoever comes first")
    check_close(walk(u * v, np.ones(2, np.float32))[x], [30, 60], "a retained graph can be walked again")


def with_rule(name, rule, call):
    """What `call()` returns while `rule` stands in the table under `name`."""
    before = dict(autograd.rules)
    autograd.rules[name] = rule
    try:
        return call()
    finally:
        autograd.rules.clear()
        autograd.rules.update(before)


def test_unit_walk_large():
    x = y = Tensor(1.0, requires_grad=True)
    for _ in range(5000):
        y = y + 1.0
    one, asked = np.array(1, np.float32), []
    check_close(walk(y, one)[x], 1, "a chain of 5000 operations")
    a = b = x
    for _ in range(60):
        a, b = a + b, a * 0.5

    def add_rule(g, y, a, b):
        asked.append(y)
        check(len(asked) <= 60, "in a ladder of 60 additions each rule is asked once")
        return g, g

    found = with_rule("add", add_rule, lambda: walk(a, one))
    check_close(found[x], a.data, "the ladder multiplies x by a number, so that number is its slope", rtol=1e-4)


def test_unit_walk_lets_go():
    x, seen = Tensor(np.ones(3), requires_grad=True), []
    middle, early = x * 2.0, x.exp()
    alive = weakref.ref(middle)
    y = (early * 1.0 + 0.0) + (middle * middle)
    del middle

    def exp_rule(g, y, x):
        seen.append(alive() is None)
        return g * y

    with_rule("exp", exp_rule, lambda: walk(y, np.ones(3, np.float32)))
    check(seen == [True], "a Tensor in the middle is let go as soon as its rule was asked")


test_unit_walk()
test_unit_walk_shared()
test_unit_walk_large()
test_unit_walk_lets_go()

# %% [markdown]
# ### backward, and its refusals (given)
#
# `backward` starts the walk with a gradient of 1 for a single number, and puts what comes out into `.grad` of the
# leaves: added to what is there, as PyTorch does, so that several batches can add up. It writes only when the whole
# walk has succeeded.
#
# A wrong gradient is worse than none, because nobody notices. So where it cannot be right, `backward` refuses, before
# it changes anything. Read `check_receipt` again: after a walk the receipts are gone, so a **second** walk would find
# nothing; an operation **without a rule** would silently cut the graph; and a value that was **written into** after it
# was used would give its rule numbers that were never there. For the last one the door has noted the time of every
# receipt by a clock that ticks with each write, and each Tensor knows when it was last written into.


# %%
#| export
def holding(array):
    """A Tensor on this very array, not on a copy."""
    out = Tensor.__new__(Tensor)
    out._data, out._written, out.grad, out.receipt, out.requires_grad = array, [0], None, None, False
    return out


def first_gradient(root, gradient=None):
    """The array with which a walk from `root` begins. Raises: RuntimeError where there is no such walk."""
    if not root.requires_grad:
        raise RuntimeError(
            f"backward: this Tensor of shape {root.shape} does not require a gradient; nothing it was computed from "
            "does, or it was computed under no_grad or detached; set requires_grad=True on what you want gradients of"
        )
    if gradient is None:
        if root.size != 1:
            raise RuntimeError(
                f"backward: a Tensor of shape {root.shape} has {root.size} numbers, and a gradient belongs to one; "
                "reduce it first, for example with .sum(), or give backward a gradient of that shape"
            )
        return np.array(1, root.dtype).reshape(root.shape)
    g = np.asarray(gradient.data if isinstance(gradient, Tensor) else gradient)
    if g.shape != root.shape:
        raise RuntimeError(
            f"backward: the gradient has shape {g.shape}, and the Tensor {root.shape}; they must be equal"
        )
    return g.astype(root.dtype, copy=False)


def backward(root, gradient=None, retain_graph=False):
    """What `Tensor.backward` calls: add to the `.grad` of every leaf behind `root`; nothing changes if it fails.

    Raises: RuntimeError where a gradient is not defined, or can no longer be computed; the message says why.
    """
    gradients = walk(root, first_gradient(root, gradient), retain_graph)
    is_shared = len(set(map(id, gradients.values()))) < len(gradients)  # a rule may give one array for two inputs
    for leaf, dx in gradients.items():
        if leaf.grad is not None:
            leaf.grad.data += dx
        else:
            leaf.grad = holding(dx.copy() if is_shared else dx)


autograd.backward = backward

# %%
a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
v = a * b + a
(v * v).backward()
print("on paper 64 and 32, by the walk", a.grad.item(), b.grad.item())

# %% [markdown]
# And the refusals, each with a sentence that says what happened and what to do:

# %%
x = Tensor([1.0, 2.0], requires_grad=True)
y = (x * x).sum()
y.backward()
print("gradient", x.grad)


def refusal(call):
    try:
        call()
    except RuntimeError as error:
        print("-", error)


refusal(y.backward)
refusal((x * x).backward)
refusal(lambda: (x * x).backward(np.ones(3)))
refusal((x.detach() * 2.0).sum().backward)
y = (x * x).sum()
x.data = [3.0, 4.0]
refusal(y.backward)


@operation
def halved(x):
    return x / 2


refusal(halved(x).sum().backward)
del autograd.operations["halved"]
print("still", x.grad)

# %% [markdown]
# ### Without gradients, and gradients as a function (given)
#
# Where no gradients are wanted, receipts are a waste: they keep every value in between alive. `no_grad` switches them
# off, for a block or for a function, and switches back even when an error passes through.
#
# `grad` is the other way to ask: a function in, the function of its slopes out, and nobody's `.grad` is touched.


# %%
#| export
class grad_mode(ContextDecorator):
    """While it is open, operations keep receipts (True) or keep none (False); afterwards as before."""

    def __init__(self, enabled):
        self.enabled, self.before = enabled, []

    def __enter__(self):
        self.before.append(autograd.enabled)  # a list, because one object may be entered again while it is open
        autograd.enabled = self.enabled

    def __exit__(self, *error):
        autograd.enabled = self.before.pop()


class no_grad(grad_mode):
    """While it is open, operations keep no receipts: `with no_grad():`, or `@no_grad()` above a function."""

    def __init__(self):
        super().__init__(False)


Variable = Tensor  # PyTorch's old name for a Tensor that takes part in gradients


def gradient_argument(args, argnum):
    """Copies of `args` with the one at `argnum` as a Tensor that requires a gradient; the list and that Tensor."""
    if not -len(args) <= argnum < len(args):
        raise TypeError(f"grad: argument {argnum} does not exist: {len(args)} were given by position")
    args = list(args)
    x = args[argnum]
    args[argnum] = Tensor(x.detach() if isinstance(x, Tensor) else x, requires_grad=True)
    return args, args[argnum]


def grad(fn, argnum=0):
    """The function that gives the gradient of the number `fn(...)` in its argument `argnum`, a Tensor.

    It leaves the `.grad` of everybody alone, also of Tensors that `fn` uses besides its arguments.
    Raises: RuntimeError where the result of `fn` is not one number or does not require a gradient.
    """

    @functools.wraps(fn)
    def gradient(*args, **options):
        args, x = gradient_argument(args, argnum)
        with grad_mode(True), np.errstate(all="ignore"):
            y = fn(*args, **options)
            if not isinstance(y, Tensor):
                raise TypeError(f"grad: the function returned a {type(y).__name__} and not a Tensor")
            found = walk(y, first_gradient(y), retain_graph=True)
        return holding(found[x] if x in found else np.zeros_like(x.data))

    return gradient


# %%
x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
with no_grad():
    print("receipt inside of no_grad:", (x * x).receipt)
cube_slope = grad(lambda x: (x**3).sum())
print("slopes of x ** 3:", cube_slope(x).data, " x.grad:", x.grad)

# %% [markdown]
# ### Checking, and finding the culprit (given)
#
# `check_gradients` compares the gradients of any function of Tensors with central differences, in float64. When they
# differ in a long computation, the question is *where*. The receipts answer it: the checker takes them in the order of
# computation, runs each operation again on its own inputs, and checks its rule **alone**. The first that fails is the
# culprit, and whatever comes after it is not to blame.
#
# If every rule is right alone, then a value has left the graph on the way, by `.data` for example. The message says so.


# %%
#| export
class GradientError(AssertionError):
    """A gradient that differs from the slope.

    `input` and `index` say where, `analytic` and `numeric` hold both values, `ratio` their quotient; `operation` is the
    first operation on the way whose rule is wrong on its own, or None.
    """

    def __init__(self, name, worst, operation=None, advice=""):
        self.input, self.index, self.analytic, self.numeric = worst
        self.operation = operation
        with np.errstate(all="ignore"):
            self.ratio = float(np.divide(self.analytic, self.numeric))
        place = f"index {self.index[0] if len(self.index) == 1 else self.index}" if self.index else "its one number"
        super().__init__(
            f"{name}, input {self.input}, {place}: the gradient is {self.analytic:.6g}, the slope "
            f"{self.numeric:.6g}, ratio {self.ratio:.4g}{advice}"
        )


def float64_copy(x):
    """`x` as a float64 Tensor that requires a gradient, if it is a Tensor or an array of floating numbers."""
    if isinstance(x, Tensor):
        x = x.data
    floating = isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
    return Tensor(x, requires_grad=True, dtype=np.float64) if floating else x


def checkable_result(fn, inputs):
    """`fn(*inputs)`. Raises: ValueError unless it is a float64 Tensor, and the same in a second call."""
    y, again = fn(*inputs), fn(*inputs)
    if not isinstance(y, Tensor) or y.dtype != np.float64:
        kind = f"{y.dtype} Tensor" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"check_gradients: the result is a {kind}; differences need a float64 Tensor all the way")
    if not np.array_equal(y.data, again.data, equal_nan=True):
        raise ValueError("check_gradients: a second call with the same inputs gives another result; is it random?")
    return y


def worst_difference(fn, inputs, epsilon, rtol, atol):
    """`y = fn(*inputs)`, and where a gradient differs most from the slope: (input, index, analytic, numeric) or None.

    A result of more than one number is contracted with a fixed random direction.
    """
    y = checkable_result(fn, inputs)
    direction = np.ones(y.shape) if y.size == 1 else np.random.default_rng(0).normal(size=y.shape)
    gradients = walk(y, direction, retain_graph=True) if y.requires_grad else {}
    worst, largest = None, 0.0
    for i, x in enumerate(inputs):
        if not getattr(x, "requires_grad", False):
            continue
        with no_grad():
            numeric = numeric_gradient(lambda _: np.sum(fn(*inputs).data * direction), x.data, epsilon)
        analytic = gradients.get(x, np.zeros_like(numeric))
        excess = np.abs(analytic - numeric) - rtol * np.abs(numeric) - atol
        excess = np.where(np.isnan(excess), np.inf, excess)
        if excess.max(initial=0.0) > largest:
            largest, index = excess.max(), tuple(int(n) for n in np.unravel_index(excess.argmax(), x.shape))
            worst = i, index, float(analytic[index]), float(numeric[index])
    return y, worst


def first_wrong_rule(y, epsilon, rtol, atol):
    """The first operation on the way to `y` whose rule alone is wrong, with `worst_difference` there; or None."""
    for node in in_order(y):
        operation, inputs, options, _, _ = node.receipt
        call = functools.partial(autograd.operations[operation], **options)
        tracked = [isinstance(x, Tensor) and x.requires_grad for x in inputs]
        copies = [float64_copy(x) if needed else x for x, needed in zip(inputs, tracked, strict=True)]
        _, worst = worst_difference(call, copies, epsilon, rtol, atol)
        if worst:
            return operation, worst
    return None


def check_gradients(fn, inputs, epsilon=1e-6, rtol=1e-4, atol=1e-6):
    """True if the gradients of `fn(*inputs)` agree with central differences in every element of every input.

    inputs: list of Tensors, arrays or numbers; copies of the floating ones, in float64, take part.
    Raises: GradientError that says where, and whose rule is wrong on its own. ValueError where the result is not a
        Tensor, or is another one in a second call.
    """
    inputs = [float64_copy(x) for x in (inputs if isinstance(inputs, list | tuple) else [inputs])]
    name = getattr(fn, "__name__", type(fn).__name__)
    with grad_mode(True), np.errstate(all="ignore"):
        y, worst = worst_difference(fn, inputs, epsilon, rtol, atol)
        if worst is None:
            return True
        culprit = first_wrong_rule(y, epsilon, rtol, atol)
    if culprit is None:
        advice = "; each rule on the way is right alone: did a value leave the graph by .data, .numpy() or detach()?"
        raise GradientError(name, worst, None, advice)
    operation, alone = culprit
    raise GradientError(name, worst, operation, f"; first wrong rule: {GradientError(operation, alone)}")


# %%
print("right:", check_gradients(lambda x, w: (tanh(x @ w) ** 2).mean(dim=0), [ink[:3, 18:22], np.eye(4)]))
try:
    check_gradients(lambda x: (x.exp() * x.detach()).sum(), [np.array([1.0, 2.0])])
except GradientError as error:
    print(error)

# %% [markdown]
# ### Networks, number by number (given)
#
# For a whole network the slow way deserves a name of its own: two evaluations of the loss for every single parameter.
# It is the oracle for networks with parts that no receipt describes. Parameters are float32, which is too coarse for
# differences. So while it measures, float64 copies stand in their place, and afterwards the very same arrays are back,
# also if something fails.


# %%
#| export core.gradcheck
@contextmanager
def in_float64(model):
    """While it is open, float64 copies stand in place of the parameters' arrays; gives these by name.

    Afterwards each parameter has the very array of before, and each buffer the values of before.
    Raises: TypeError for a model that does not name its parameters.
    """
    if isinstance(model, type) or not hasattr(model, "named_parameters"):
        raise TypeError(f"{model!r:.60} has no named_parameters; a numerical gradient needs a Module, or one like it")
    parameters = dict(model.named_parameters())
    arrays = {name: parameter.data for name, parameter in parameters.items()}
    buffers = dict(model.named_buffers()) if hasattr(model, "named_buffers") else {}
    values = {name: buffer.data.copy() for name, buffer in buffers.items()}
    try:
        for parameter in parameters.values():
            parameter._data = parameter.data.astype(np.float64)  # not through the door: that would keep float32
        yield {name: parameter.data for name, parameter in parameters.items()}
    finally:
        for name, parameter in parameters.items():
            parameter._data = arrays[name]
        for name, buffer in dict(model.named_buffers() if buffers else ()).items():
            if not np.array_equal(buffer.data, values[name], equal_nan=True):
                buffer.data = values[name]


def require_step(epsilon):
    """Raise ValueError unless `epsilon` can be the step of a difference."""
    if not 0 < epsilon < np.inf:
        raise ValueError(f"epsilon is {epsilon}; the step of a difference is a number above 0, such as 1e-5")


def loss_of(model, X, y, loss_fn):
    """Function of nothing that gives the loss of `model` on `X` and `y` as a Python number, without receipts.

    Raises: ValueError if two calls differ.
    """
    X = float64_copy(X)
    X = X.detach() if isinstance(X, Tensor) else X
    predict = model if callable(model) else model.forward

    @no_grad()
    def loss():
        return float(loss_fn(predict(X), y))

    first, second = loss(), loss()
    if first != second and not np.isnan(first):
        raise ValueError(f"the loss is {first!r} and then {second!r}: is there a Dropout? try model.eval()")
    return loss


def compute_numerical_gradient(model, X, y, loss_fn, epsilon=1e-5):
    """Parameter name -> central differences of `loss_fn(model(X), y)`, a float64 array of the parameter's shape.

    Computes in float64, whatever the parameters' type, and calls the model twice for each number in it.
    Raises: ValueError for a step that is not above 0.
    """
    require_step(epsilon)
    with in_float64(model) as arrays:
        loss = loss_of(model, X, y, loss_fn)
        return {name: numeric_gradient(lambda _: loss(), array, epsilon) for name, array in arrays.items()}


# %%
manual_seed(0)
model = Sequential(Linear(64, 3), Tanh(), Linear(3, 10))
X, Y = Tensor(ink[:20]), labels[:20]
measured = compute_numerical_gradient(model, X, Y, CrossEntropyLoss())
CrossEntropyLoss()(model(X), Y).backward()
for name, p in model.named_parameters():
    print(
        f"{name:9} {p.shape!s:8} largest difference {np.abs(p.grad.data - measured[name]).max():.1e}, dtype {p.dtype}"
    )

# %% [markdown]
# ## Part 4. Integration: a network learns
#
# Everything from five modules comes together in five lines: loss, slopes, and a small step of every number against its
# slope. No optimizer, no trainer. **Predict** the first loss (module 04 told you) and how many of the 360 test digits
# are right after 200 steps on all training images at once.


# %%
def share_right(model, indices):
    with no_grad():
        return np.mean(model(Tensor(ink[indices])).data.argmax(axis=1) == labels[indices])


# %%
manual_seed(0)
model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
X, Y = Tensor(ink[train]), labels[train]
losses = []
for _ in range(200):
    model.zero_grad()
    loss = cross_entropy(model(X), Y)
    loss.backward()
    for p in model.parameters():
        p.data -= 0.5 * p.grad.data
    losses.append(loss.item())
print(f"loss {losses[0]:.3f} (log 10 is {math.log(10):.3f}) -> {losses[-1]:.3f}; right {share_right(model, test):.3f}")

# %% tags=["measure"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.semilogy(losses)
left.set(xlabel="step", ylabel="training loss")
templates = np.pad(model[0].weight.data.reshape(4, 8, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)))  # a margin around each
picture = templates.swapaxes(1, 2).reshape(40, 80)
right.imshow(picture, cmap="RdBu", vmin=-np.abs(picture).max(), vmax=np.abs(picture).max())
right.set(xticks=[], yticks=[], title="what the 32 hidden units look for")
plt.show()

# %% [markdown]
# The templates of module 03 had nine of ten right, with weights put there by hand. These weights nobody put there.
#
# ### A wrong rule still learns
#
# Here is why checks come first. Somebody writes the rule of tanh as $g\,(1 - y)$ and forgets the square. **Predict**:
# does the network still train?


# %%
def wrong_rule(g, y, x):
    return g * (1 - y)


def train_tanh(X, Y, steps=60):
    manual_seed(0)
    model, losses = Sequential(Linear(64, 32), Tanh(), Linear(32, 10)), []
    for _ in range(steps):
        model.zero_grad()
        loss = cross_entropy(model(X), Y)
        loss.backward()
        for p in model.parameters():
            p.data -= 0.5 * p.grad.data
        losses.append(loss.item())
    return losses


# %%
curves = {"right": train_tanh(X, Y), "wrong": with_rule("tanh", wrong_rule, lambda: train_tanh(X, Y))}
for name, losses in curves.items():
    print(f"{name} rule: loss {losses[0]:.3f} -> {losses[-1]:.3f}")

# %% [markdown]
# It trains. A loss that falls proves nothing. The check does, and on a composed function it goes back through the
# receipts and names the one that is wrong:


# %%
def network_loss(w1, w2):
    return cross_entropy(linear(tanh(linear(Tensor(ink[:5]), w1)), w2), labels[:5])


def report(weights):
    try:
        print("as it should be:", check_gradients(network_loss, weights))
    except GradientError as error:
        print(error)
        print("culprit:", error.operation)


# %%
weights = [Linear(64, 4).weight.data, Linear(4, 10).weight.data]
report(weights)
with_rule("tanh", wrong_rule, lambda: report(weights))

# %% tags=["measure"]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, losses in curves.items():
    ax.semilogy(losses, label=f"{name} rule of tanh")
ax.set(xlabel="step", ylabel="training loss")
ax.legend()
plt.show()

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### What does backward cost?
#
# Count the products in one layer: forward one, $xW^\top$; backward two, $gW$ and $g^\top x$, each with as many
# multiplications. So backward should take twice as long as forward. Where is that wrong? Think of the first layer, and
# of small layers.

# %% tags=["measure"]
rng = np.random.default_rng(0)
for width in (16, 64, 200, 400):
    manual_seed(0)
    model = Sequential(*[layer for _ in range(4) for layer in (Linear(width, width), ReLU())])
    x = Tensor(rng.normal(size=(64, width)), requires_grad=True)

    def forward(model=model, x=x):
        return model(x).sum()

    def both(forward=forward, model=model):
        model.zero_grad()
        forward().backward()

    ahead = measure(forward, label=f"width {width:3}, forward", repeats=5)
    everything = measure(both, label=f"width {width:3}, forward and backward", repeats=5)
    print(f"   backward takes {everything / ahead - 1:.2f} times as long as forward")

# %% [markdown]
# In small layers the walk's bookkeeping is the price, and the ratio is above 2. In large ones it is somewhat below:
# the same number of multiplications does not always take the same time, depending on how the arrays lie in memory. And
# if `x` required no gradient, as data do not, the first layer would save one of its two products.
#
# ### Time by number of operations
#
# Each Tensor is walked over once, each input handed its part once. So time should grow like the number of operations,
# with exponent 1, however deep the graph is. A ladder has two ways at every step, so $2^n$ ways through $n$ steps: a
# walk that follows every way would never come back from 1,000 steps.


# %% tags=["measure"]
def chain(n):
    y = Tensor(np.ones(8), requires_grad=True)
    for _ in range(n):
        y = y * 1.0
    return y.sum()


def ladder(n):
    x = Tensor(np.ones(8), requires_grad=True)
    a = b = x
    for _ in range(n // 2):
        a, b = a - b, a * 0.5  # a minus, so that the values stay small
    return a.sum()


def seconds_of_walk(y, repeats=3):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        y.backward(retain_graph=True)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for graph in (chain, ladder):
    sizes = [100, 300, 1_000, 3_000, 10_000, 30_000]
    seconds = [seconds_of_walk(graph(n)) for n in sizes]
    exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    ax.loglog(sizes, seconds, "o-", label=f"{graph.__name__}, exponent {exponent:.2f}")
    print(f"{graph.__name__}: fitted exponent {exponent:.2f}; {seconds[-1] / sizes[-1] * 1e6:.2f} us an operation")
ax.set(xlabel="operations", ylabel="seconds")
ax.legend()
plt.show()
start = time.perf_counter()
chain(100_000).backward()
print(f"a chain of 100,000, built and walked: {time.perf_counter() - start:.2f} s")

# %% [markdown]
# Straight lines with exponent 1, up to what else the machine is doing, and a few microseconds for each operation.
#
# ### Memory
#
# Receipts keep every value between input and loss alive, because their rules will look at them. Thirty layers of two
# operations each, on a large batch; `tracemalloc` sees each buffer that NumPy takes. How many arrays of one layer's
# size are alive at the peak, and how many are left afterwards, while somebody still holds the loss to print it?
# Predict both for the four ways below.


# %% tags=["measure"]
def deep(x, layers=30):
    for _ in range(layers):
        x = tanh(x * 0.9)
    return x.sum()


def walked(x, retain_graph=False):
    y = deep(x)
    y.backward(retain_graph=retain_graph)
    return y


x = Tensor(np.ones((256, 1024)), requires_grad=True)
ways = {
    "forward under no_grad": no_grad()(deep),
    "forward": deep,
    "forward and backward": walked,
    "the same, retain_graph=True": lambda x: walked(x, retain_graph=True),
}
print("arrays of one layer            at the peak   left with the loss")
for name, run in ways.items():
    x.grad = Tensor(np.zeros(x.shape))  # there before, so that it is not counted
    tracemalloc.start()
    y = run(x)
    now, most = (size / x.data.nbytes for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    print(f"{name:28}{most:14.1f}{now:21.1f}")

# %% [markdown]
# Sixty operations, sixty arrays: forward, with receipts, is the peak. Walking back adds next to nothing to it, because
# each step lets go what it has used before the next one makes more, and at its end nothing is left. With
# `retain_graph=True` all of it stays for as long as the loss does, into the next batch. Without receipts a handful
# of arrays does for any depth, which is why networks are *used* on machines on which they could never be trained.
#
# ### Back-propagation against differences
#
# A network with $P$ parameters. Differences need $2P$ forward passes, each of which costs time that grows with $P$:
# $P^2$ in all. The walk costs a fixed number of forward passes: $P$. Predict the exponents at the large end, and from
# how many parameters on the walk is quicker.

# %% tags=["measure"]
parameters, by_walk, by_differences = [], [], []
X, Y = Tensor(ink[:64]), labels[:64]
for width in (1, 16, 128, 1024, 4096):
    manual_seed(0)
    model = Sequential(Linear(64, width), Tanh(), Linear(width, 10))
    count = sum(p.size for p in model.parameters())

    def one_walk(model=model):
        model.zero_grad()
        cross_entropy(model(X), Y).backward()

    parameters.append(count)
    by_walk.append(measure(one_walk, label=f"{count:6} parameters, walk", repeats=5))
    with in_float64(model):
        one_loss = measure(loss_of(model, X, Y, cross_entropy), label=f"{count:6} parameters, one loss", repeats=5)
    by_differences.append(2 * count * one_loss)
    if width == 1:
        start = time.perf_counter()
        compute_numerical_gradient(model, X, Y, cross_entropy)
        print(f"   all differences {time.perf_counter() - start:.3f} s, 2 P losses {by_differences[0]:.3f} s")
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, seconds in (("walk", by_walk), ("differences, 2 P losses", by_differences)):
    exponent = np.polyfit(np.log(parameters[-3:]), np.log(seconds[-3:]), 1)[0]
    ax.loglog(parameters, seconds, "o-", label=f"{name}: exponent {exponent:.2f}")
    print(f"{name}: fitted exponent {exponent:.2f} over the three largest")
print(f"at {parameters[-1]:,} parameters the walk is {by_differences[-1] / by_walk[-1]:,.0f} times quicker")
ax.set(xlabel="parameters", ylabel="seconds for all slopes")
ax.legend()
plt.show()

# %% [markdown]
# Both exponents are still on their way to 1 and 2, because at the small end the price of a call counts more than the
# numbers in it. There is no crossing: two losses for *one* parameter already cost about as much as the walk for all.
#
# ### Why backwards?
#
# The chain rule does not say at which end to start. One could as well start at an input, and carry along how much
# every value changes per change of *that* input. That is *forward mode*. It gives the slopes of all outputs in **one
# input** for about the price of a forward pass; walking back gives the slopes of **one output** in all inputs.
# Differences cost like forward mode: a pass (or two) for each input.
#
# So it is a matter of counting. Take a function with 48 inputs and $m$ outputs, and get the whole table of $48\,m$
# slopes in both ways: by $m$ walks back, or by 96 passes forward, two for each input. For which $m$ do you expect them
# to cost the same?

# %% tags=["measure"]
rng = np.random.default_rng(0)
x = Tensor(rng.normal(size=(1, 48)), requires_grad=True, dtype=np.float64)


def table_by_walks(w):
    y = tanh(x @ w)
    return np.stack([walk(y, row[None], retain_graph=True)[x][0] for row in np.eye(w.shape[1])])


@no_grad()
def table_by_passes(w):
    columns = []
    for k, before in enumerate(x.data[0].tolist()):

        def outputs(value, k=k):
            x.data[0, k] = value
            return tanh(x @ w).data[0]

        columns.append(slope(outputs, before, 1e-6))
        x.data[0, k] = before
    return np.stack(columns, axis=1)


for outputs in (1, 16, 64, 256, 1024):
    w = Tensor(rng.normal(size=(48, outputs)), dtype=np.float64)
    check_close(table_by_walks(w), table_by_passes(w), "both tables agree", rtol=1e-4, atol=1e-5)
    back = measure(lambda w=w: table_by_walks(w), label=f"{outputs:4} outputs, walks back    ", repeats=3)
    ahead = measure(lambda w=w: table_by_passes(w), label=f"{outputs:4} outputs, passes forward", repeats=3)
    print(f"   walking back takes {back / ahead:.2f} times as long")

# %% [markdown]
# Training has millions of inputs, the weights, and **one** output, the loss. That is the most lopsided case there is,
# and it is why everything in deep learning walks backwards.
#
# ### Beside PyTorch
#
# Where nothing is said here, the numbers are PyTorch's. The deliberate differences:
#
# | | PyTorch | here |
# |---|---|---|
# | a tie in a maximum | `max(dim)` gives all to one, `amax` shares | shared equally |
# | `.grad` of Tensors in the middle | on request: `retain_grad()` | never; start a walk there |
# | second derivatives | `create_graph=True` | none, rules compute on arrays; differences: task 05-10 |
# | a value overwritten after use | refused if saved, not by `.data` | refused if a rule may look, by `.data` too |
# | a new operation | a class with `forward`, `backward` | `@operation`, a function in `autograd.rules` |
# | `gradcheck` | shows two matrices of slopes | input, element, ratio, and the operation to blame |
# | no gradient exists for an input | its `.grad` stays None | its `.grad` is 0 |
# | a rule that divides by zero | silent | the warning that NumPy gives |
#
# ## Part 6. Module test
#
# All tests once more, then one network through everything: every kind of rule in one loss, checked number by number,
# and a network that has to learn.


# %% nbgrader={"grade_id": "05-module"}
def everything(x, w, v):
    h = linear(x, w)
    h = concatenate([relu(h), sigmoid(h) ** 2, tanh(h) / (1.0 + h * h)], dim=1)  # (4, 9)
    h = where(h.data > 0.1, h.clip(min=-1, max=2), (h.abs() + 1.0).log()) - h.mean(dim=0, keepdim=True)
    h = softmax(h @ v) * h.var(dim=1, keepdim=True) + h.max(dim=1).reshape(4, 1)
    return cross_entropy(h[[0, 0, 3, 1]], np.array([1, 0, 2, 2])) + mean_squared_error(h.T, np.ones((3, 4)))


def test_module():
    test_unit_unbroadcast()
    test_unit_power_rule()
    test_unit_power_rule_at_zero()
    test_unit_extreme_rule()
    test_unit_matmul_rule()
    test_unit_matmul_rule_stacks()
    test_unit_index_rule()
    test_unit_index_cross_entropy_rule()
    test_unit_count_uses()
    test_unit_count_uses_large()
    test_unit_walk()
    test_unit_walk_shared()
    test_unit_walk_large()
    test_unit_walk_lets_go()

    rng = np.random.default_rng(0)
    check(check_gradients(everything, [rng.normal(size=s) for s in ((4, 5), (3, 5), (9, 3))]), "every kind of rule")
    manual_seed(0)
    model = Sequential(Linear(64, 16), Tanh(), Linear(16, 10))
    x, y, losses = Tensor(ink[:100]), labels[:100], []
    for _ in range(30):
        model.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        for p in model.parameters():
            p.data -= 0.5 * p.grad.data
        losses.append(loss.item())
    check(losses[-1] < 0.5 * losses[0], "thirty steps along the gradient halve the loss")
    check(all(p.grad.dtype == np.float32 for p in model.parameters()), "float32 all the way back")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "05-q1", "points": 5, "solution": true}
# **Question 1. On paper (5 points).** Let $y = \frac{a}{a + b}$ with $a = 1$, $b = 3$. (a) Draw the graph, with a name
# for each value, and compute $\bar a$ and $\bar b$ by walking back, one line a step. (b) `count_uses` gives which
# number for `a`? Describe the gradient that would come out if the walk went on from each value at its first report,
# and never came back. (c) Somebody writes `gradients[x] += dx`. Give a graph of at most three operations in which that
# spoils the gradient of another Tensor, and say how.
#
# ### BEGIN MARK SCHEME
# 2 points: (a) s = a + b = 4, y = a / s; in a directly 1/s = 1/4; in s: -a/s^2 = -1/16; so a gets 1/4 - 1/16 = 3/16
# and b gets -1/16.
# 1 point: (b) 2; the second report is lost: a has only one of 1/4 and -1/16.
# 2 points: (c) any graph where an addition hands one array to two inputs (1), one of which gets a second report before
# the other was used (1): for example u + v with u also used elsewhere.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "05-q2", "points": 5, "solution": true}
# **Question 2. Differences (5 points).** (a) The central difference of $f$ has an error of about $\varepsilon^2 |f'''|
# / 6$ from bending and about $u |f| / \varepsilon$ from rounding, with $u \approx 10^{-16}$ in float64. For $f = f'''
# = 1$, which $\varepsilon$ makes the sum smallest, up to a factor, and how many digits are right then? Compare with
# your V. (b) A check of a network with ReLU reports one wrong element in ten thousand, and the rule is right. What
# happened? (c) A rule returns None for an input that matters. Which gradient does the walk use, and how does
# `check_gradients` notice?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) derivative of the sum zero: epsilon^3 about 3u, so epsilon near 1e-5 (1); error about epsilon^2, 1e-10
# or 1e-11: ten or eleven digits (1).
# 2 points: (b) the step crossed the bend at 0 (1), so the difference is the slope of a line over the corner and
# neither of the two slopes (1).
# 1 point: (c) zeros; the slope by differences is not zero.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "05-q3", "points": 5, "solution": true}
# **Question 3. Memory and order (5 points).** (a) In a chain of $n$ equal layers, how much memory do the values need
# while training, and how much while the network is used? Name the lines of Part 5 that show it. (b) One could keep
# only every $\sqrt{n}$-th value, and compute those in between again when the walk arrives there. How much memory does
# that need, and what does it cost in time? (c) The network now has a thousand outputs and one input. Which end would
# you start from, and what does a thousand walks cost compared with one forward pass that carries slopes along?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) proportional to n against a constant; with receipts, and no_grad.
# 2 points: (b) about 2 sqrt(n) values: the kept ones and one stretch (1); one more forward pass, so about a third more
# time in all (1).
# 2 points: (c) from the input (1); a thousand walks cost about a thousand to two thousand forward passes, carrying
# slopes along about one or two (1).
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 05-9. All slopes from two evaluations
#
# Differences cost $2P$ losses because each parameter moves alone. Move them **all at once** instead, along a random
# direction $v$ whose numbers are +1 or -1: two losses give the slope along $v$, which is $v \cdot g$, one number for
# all of $g$. The estimate is that number times $v$. Why should this have anything to do with $g$? In element $i$ it is
#
# $$(v \cdot g)\, v_i = g_i v_i^2 + \sum_{j \ne i} g_j v_j v_i ,$$
#
# and $v_i^2 = 1$, while $v_j v_i$ is +1 as often as -1: on average, $g_i$ remains. The estimate is *unbiased*: right
# on average, and noisy. (Had $v$ been scaled to length 1, each $v_i^2$ would be $1/P$ on average, and so the result.)
# Averaging over several directions makes the noise smaller.
#
# Given are `arrays`, the float64 arrays of the parameters by name, into which you write, `start` with copies of
# their values, and `loss()`. `slope` wants a function of one number: the loss after a step of that length along $v$.

# %%
rng = np.random.default_rng(0)
signs = rng.choice([-1.0, 1.0], size=(2, 5))
print(signs.tolist())
x = np.zeros(3)
x[...] = np.array([1.0, 2.0, 3.0]) + 0.5 * np.ones(3)  # writes into x
print(x, " the slope of t ** 2 at 3:", round(slope(lambda t: t**2, 3.0, 1e-5), 6))


# %% nbgrader={"grade_id": "05-9", "solution": true, "optional": true}
#| export core.gradcheck
def compute_numerical_gradient_fast(model, X, y, loss_fn, epsilon=1e-5, directions=1, rng=None):
    """Parameter name -> unbiased estimate of the gradient, float64, from 2 * `directions` evaluations of the loss.

    rng: where the random directions come from; without it they come from tinytorch's default generator.
    Raises: ValueError for fewer than one direction, or a step that is not above 0.
    Source: Spall 1992, "Multivariate stochastic approximation using a simultaneous perturbation gradient
        approximation", section 2.
    """
    if directions < 1:
        raise ValueError(f"compute_numerical_gradient_fast: {directions} directions; it needs at least 1")
    require_step(epsilon)
    rng = chosen_generator("compute_numerical_gradient_fast", rng)
    with in_float64(model) as arrays:
        loss = loss_of(model, X, y, loss_fn)
        start = {name: array.copy() for name, array in arrays.items()}
        estimate = {name: np.zeros(array.shape) for name, array in arrays.items()}
        ### BEGIN SOLUTION
        for _ in range(directions):
            v = {name: rng.choice([-1.0, 1.0], size=array.shape) for name, array in arrays.items()}

            def along(t, v=v):
                for name, array in arrays.items():
                    array[...] = start[name] + t * v[name]
                return loss()

            s = slope(along, 0.0, epsilon)
            for name in estimate:
                estimate[name] += s * v[name] / directions
        ### END SOLUTION
        return estimate


# %% nbgrader={"grade_id": "05-9-test", "optional": true}
class Plane(Linear):
    """A model whose loss is linear in its parameters: the sum of its outputs."""


def test_unit_compute_numerical_gradient_fast():
    model, X = Plane(3, 2, rng=np.random.default_rng(0)), Tensor([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
    before = {name: p.data for name, p in model.named_parameters()}

    def estimate(directions, seed=0):
        rng = np.random.default_rng(seed)
        return compute_numerical_gradient_fast(model, X, None, lambda p, _: p.sum(), directions=directions, rng=rng)

    exact = compute_numerical_gradient(model, X, None, lambda p, _: p.sum())
    one = estimate(1)
    along = sum(np.sum(one[name] * exact[name]) for name in exact)
    count = sum(array.size for array in exact.values())
    check_close(
        along, sum(np.sum(one[name] ** 2) for name in exact) / count, "one direction: (v . g) v, with v . v = P"
    )
    check_close(np.abs(one["weight"]), np.full((2, 3), np.abs(one["bias"][0])), "every number is + or - the same slope")
    many = estimate(4000)
    for name in exact:
        check_close(many[name], exact[name], f"{name}: the mean over 4000 directions is the gradient", atol=0.5, rtol=0)
    check(all(p.data is before[name] for name, p in model.named_parameters()), "the parameters have their arrays back")
    check(np.array_equal(estimate(2)["bias"], estimate(2)["bias"]), "the same generator gives the same estimate")


test_unit_compute_numerical_gradient_fast()

# %% [markdown]
# How noisy is it? In theory the mean square of the error is $(P - 1)\,|g|^2$ for one direction, so the relative error
# is about $\sqrt{P/k}$ after $k$ directions. Measured on a small network:

# %% tags=["measure"]
manual_seed(0)
model = Sequential(Linear(64, 2), Tanh(), Linear(2, 10))
X, Y = Tensor(ink[:20]), labels[:20]
exact = np.concatenate([g.ravel() for g in compute_numerical_gradient(model, X, Y, cross_entropy).values()])
counts_of_directions, errors = [1, 4, 16, 64, 256], []
rng = np.random.default_rng(0)
for k in counts_of_directions:
    estimates = [
        np.concatenate([g.ravel() for g in found.values()])
        for found in (
            compute_numerical_gradient_fast(model, X, Y, cross_entropy, directions=k, rng=rng) for _ in range(6)
        )
    ]
    errors.append(math.sqrt(np.mean([np.sum(np.square(e - exact)) for e in estimates]) / np.sum(np.square(exact))))
    print(f"{k:4} directions: relative error {errors[-1]:6.2f}, predicted {math.sqrt((exact.size - 1) / k):6.2f}")
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.loglog(counts_of_directions, errors, "o-", label="measured")
ax.loglog(counts_of_directions, np.sqrt((exact.size - 1) / np.array(counts_of_directions)), "--", label="predicted")
ax.set(xlabel="directions", ylabel="relative error")
ax.legend()
plt.show()

# %% [markdown]
# As many directions as parameters, and the error is still as large as the gradient. There is no free lunch: one number
# per pass is all that a forward pass can say.
#
# All methods side by side. *Bias* is how far the mean of many answers lies from the truth, *spread* how far one answer
# lies from that mean, both divided by the gradient's length. The truth is the walk in float64. The mean of $n$ answers
# still wobbles by its spread divided by $\sqrt{n}$, and a bias below that has not been shown. **Predict** which of the
# two is zero for central differences, and which for random directions.


# %% tags=["measure"]
def flat(gradients):
    return np.concatenate([np.ravel(g) for g in gradients.values()])


def walked():
    """The gradient by name, in float64, from one forward pass and one walk."""
    with in_float64(model):
        model.zero_grad()
        cross_entropy(model(Tensor(X.data, dtype=np.float64)), Y).backward()
        return {name: p.grad.data for name, p in model.named_parameters()}


def compare(name, answer, answers, losses):
    """Print bias, spread and cost of a method, of which `answer()` gives a gradient."""
    began = time.perf_counter()
    found = np.array([flat(answer()) for _ in range(answers)])
    seconds = (time.perf_counter() - began) / answers
    mean, length = found.mean(axis=0), np.linalg.norm(exact)
    bias = np.linalg.norm(mean - exact) / length
    spread = np.sqrt(np.mean(np.sum((found - mean) ** 2, axis=1))) / length
    wobble = spread / math.sqrt(answers)
    print(f"{name:20} bias {bias:7.1e} (wobble {wobble:7.1e})  spread {spread:7.1e}  {seconds * 1e3:6.1f} ms: {losses}")


exact, P = flat(walked()), exact.size
compare("walk", walked, 20, "one loss and a walk")
differences = functools.partial(compute_numerical_gradient, model, X, Y, cross_entropy)
compare("central differences", differences, 2, f"{2 * P} losses")
for k in (1, 16):
    directions = functools.partial(compute_numerical_gradient_fast, model, X, Y, cross_entropy, directions=k, rng=rng)
    compare(f"{k} random directions", directions, 800 // k, f"{2 * k} losses")

# %% [markdown]
# Differences have a small bias, of the order of $\epsilon^2$ and of rounding, and no spread; directions have no bias
# that could be seen, and a spread many times the gradient. The walk has neither, and costs about as much as two or
# three losses, whatever $P$ is. That is why training walks, and why the other two remain what they are good at: a judge
# for the walk, and a way out where there are no receipts to walk along.
#
# ### Task 05-10. How much does the slope bend?
#
# The gradient says where down is; how far one may step depends on how fast the gradient itself changes. Its change
# along a direction $v$ is the *Hessian-vector product* $Hv$, the slope of $t \mapsto \nabla f(x + t v)$ at 0. You have
# everything for it: `grad` gives gradients, and `slope` gives slopes, also of functions whose values are arrays.
#
# Gradients come as Tensors; let the function that you give to `slope` return arrays. `x` stays as it is.


# %% nbgrader={"grade_id": "05-10", "solution": true, "optional": true}
#| export
def hessian_vector_product(fn, x, v, epsilon=1e-4):
    """How much the gradient of the number `fn(x)` changes per step along `v`: an array of the shape of `x`, float64.

    fn: function of one Tensor; x: array; v: array of the same shape. Costs two walks, whatever the size of `x`.
    """
    x, v = np.asarray(x, dtype=np.float64), np.asarray(v, dtype=np.float64)
    ### BEGIN SOLUTION
    gradient = grad(fn)
    return slope(lambda t: gradient(Tensor(x + t * v, dtype=np.float64)).data, 0.0, epsilon)
    ### END SOLUTION


# %% nbgrader={"grade_id": "05-10-test", "optional": true}
def test_unit_hessian_vector_product():
    bowl = np.array([[2.0, 1.0], [1.0, 5.0]])
    got = hessian_vector_product(lambda x: (linear(x, bowl) * x).sum() / 2.0, [3.0, -1.0], [1.0, 10.0])
    check_close(got, [12, 51], "for x A x / 2 it is A v, whatever x is", rtol=1e-4)
    x = np.array([1.0, 2.0, 3.0])
    got = hessian_vector_product(lambda x: (x * x * x).sum(), x, [1.0, 0.0, 2.0])
    check_close(got, [6, 0, 36], "for the sum of x ** 3 it is 6 x v", rtol=1e-4)
    check_close(x, [1, 2, 3], "x stays as it is")


test_unit_hessian_vector_product()

# %% [markdown]
# What for? Multiply a random direction by $H$ again and again, and it turns into the direction in which the loss bends
# most, with a factor $\lambda$. Along it the gradient is $\lambda$ times the distance from the bottom, so a step with
# rate $\eta$ multiplies this distance by $1 - \eta\lambda$. **Predict** what happens for rates just below and just
# above $2/\lambda$. The loss is the squared error of a layer without a bend, so $H$ is the same everywhere.


# %%
def square_loss(w):
    return mean_squared_error(linear(Tensor(ink[train]), w.reshape(10, 64)), np.eye(10)[labels[train]])


# %% tags=["measure"]
v = np.random.default_rng(0).normal(size=640)
for _ in range(30):
    v = hessian_vector_product(square_loss, np.zeros(640), v / np.linalg.norm(v))
limit = 2 / np.linalg.norm(v)
print(f"largest bend {np.linalg.norm(v):.3f}, so rates up to {limit:.2f} are safe")
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for factor in (0.5, 0.98, 1.02):
    w, losses = Tensor(np.zeros(640), dtype=np.float64), []
    for _ in range(150):
        losses.append(square_loss(w).item())
        w = Tensor(w.data - factor * limit * grad(square_loss)(w).data, dtype=np.float64)
    ax.semilogy(losses, label=f"{factor} times the limit")
    print(f"rate {factor * limit:5.2f}: loss {losses[0]:.4f} -> {losses[50]:.4f} -> {losses[-1]:.4f}")
ax.set(xlabel="step", ylabel="loss")
ax.legend()
plt.show()

# %% [markdown]
# Two percent decide. Nobody has to try rates out blindly who can ask for $\lambda$, and it costs two walks a step.
#
# ## Summary
#
# - Every operation keeps a receipt; the receipts are the graph. Along a path slopes multiply, over several paths they
#   add.
# - A rule turns "how much does the loss change with my result" into the same for each input. What broadcasting
#   stretched is summed, what was picked twice is added, who was largest takes all, and cross-entropy starts with $p -
#   t$.
# - The walk counts uses first, and goes on from a value only when all have reported: linear in the number of
#   operations, however many ways there are. It lets go what it has used, and refuses where a gradient could not be
#   right.
# - Central differences in float64 are the judge of every rule, and the receipts lead from a wrong gradient to the one
#   operation to blame. A falling loss proves nothing.
# - All slopes of one number cost about three forward passes in all, whether there are ten parameters or ten million.
#
# **Next.** `p.data -= 0.5 * p.grad.data` went well on an easy problem. In a long valley it crawls or jumps from wall to
# wall, and on a saddle it stops. Module 06 builds optimizers.
