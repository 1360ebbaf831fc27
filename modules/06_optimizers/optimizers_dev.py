# %% [markdown]
# # Module 06. Optimizers
#
# The gradient says in which direction a loss grows fastest. So walk the other way: that is one line, and you could
# train a network with it today. You would soon meet four troubles. In a narrow valley the line zigzags; in the noise
# of small batches it staggers; numbers that are rarely needed hardly learn; and on a flat place it stops. Each rule in
# this module is an answer to one of these, and none is longer than seven lines. You derive each from a trouble that you
# have seen in a plot before, and at the end you know what the letters in "AdamW" cost and buy.
#
# **You need** modules 01 to 05. From school: the derivative as a slope, and the mean.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `Tensor`, which counts writes | a step changes weights in place | 07 training: `Trainer` calls `step` |
# | 03 `parameters()`, `load_state_dict` | what is trained; look first, then write | 07 checkpoints |
# | 05 `backward` | fills `.grad`, which every rule reads | 15 transformers are trained with `AdamW` |
#
# **After this module you can**
#
# - say for a valley which rate diverges, and why the smallest curvature then decides how long you wait;
# - write momentum, Nesterov's look ahead, RMSprop, Adam and AdamW on one primitive of two lines;
# - explain why an average that starts at zero is too small, by which factor, and what goes wrong without correction;
# - tell the two forms of momentum apart, and weight decay from an L2 penalty, and know when each pair is the same;
# - predict memory and time of a step from the number of parameters, and stop and resume a training bit for bit.
#
# Your code goes to `tinytorch/core/optimizers.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.optimizers import Adam
#
# optimizer = Adam(model.parameters(), lr=1e-3)
# optimizer.zero_grad()
# loss_fn(model(x), y).backward()
# optimizer.step()
# ```

# %%
#| default_exp core.optimizers
#| export
import math
import numbers
from collections.abc import MutableMapping

import numpy as np

from tinytorch.core.activations import as_floating

# %%
import tracemalloc

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.tensor import Tensor
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import add_to, check, check_close, measure

images, labels = load_digits()
train, test = digits_split()
ink = images.reshape(-1, 64) / 16  # (1797, 64), between 0 and 1

# %% [markdown]
# ## Part 1. Introduction
#
# Here is a network on the handwritten digits, trained by hand: no optimizer, one line for each parameter. `.data` is
# the array in a Tensor, and `p.data -= ...` writes into it.


# %%
def network(seed=0):
    """A network 64-64-10 on the digits; the same seed gives the same first weights."""
    manual_seed(seed)
    return Sequential(Linear(64, 64), ReLU(), Linear(64, 10))


def batches(epoch, size=60):
    """The training digits in an order of their own for each epoch: pairs of Tensor (size, 64) and labels (size,)."""
    order = np.random.default_rng(epoch).permutation(train)
    return [
        (Tensor(ink[rows]), labels[rows]) for rows in np.split(order[: len(order) // size * size], len(order) // size)
    ]


loss_fn = CrossEntropyLoss()
model, losses = network(), []
for epoch in range(2):
    for x, y in batches(epoch):
        for p in model.parameters():
            p.grad = None
        loss = loss_fn(model(x), y)
        loss.backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad.data
        losses.append(loss.item())
print(f"loss of the first batch {losses[0]:.3f}, of the last {losses[-1]:.3f}, after {len(losses)} steps")

# %% [markdown]
# It learns. But why 0.1, and not 0.01 or 10? Is there a better direction than the gradient? Must all numbers
# move by the same rate? And four things in that loop should not be written again for each network: to know the
# parameters, to forget old gradients, to skip what has none, to change the numbers. That is the outer shape of an
# optimizer; the questions before are its inner one.

# %% [markdown]
# ## Part 2. Foundations
#
# ### How long may a step be?
#
# Take a parabola, $f(w) = \tfrac{c}{2} w^2$. Its slope at $w$ is $c\,w$; the number $c$ is its *curvature*. A step of
# descent with the *learning rate* $\eta$ gives
#
# $$w \leftarrow w - \eta\, c\, w = (1 - \eta c)\, w .$$
#
# So every step multiplies $w$ by the same factor $1 - \eta c$. Take $c = 1$. For which rates does $w$ go to zero, for
# which does it change sign at each step, and from which rate on does it run away? Decide before you run the cell.

# %%
for lr in (0.1, 0.9, 1.0, 1.5, 1.9, 2.1):
    w, path = 1.0, []
    for _ in range(5):
        w -= lr * 1.0 * w
        path.append(w)
    print(f"rate {lr}: factor {1 - lr:5.2f}", *(f"{w:8.3f}" for w in path))

# %% [markdown]
# The limit is $\eta < 2/c$: the more curved, the shorter the step. Now two numbers at once, in a valley that is flat
# along and steep across:
#
# $$f(w) = \tfrac12 \left(w_0^2 + 50\, w_1^2\right), \qquad \text{slopes } (w_0,\; 50\, w_1) .$$
#
# The steep direction sets the limit: $\eta < 2/50 = 0.04$. With it, the flat direction shrinks by $1 - 0.04$ a step.
# How many steps until $w_0$ has fallen from 4 to 0.04? The factor must be $0.01 = (1-\eta)^n$.

# %%
VALLEY = np.array([1.0, 50.0])  # curvature along and across


def height(w):
    return 0.5 * np.sum(VALLEY * w * w, axis=-1)


def descend(rule, start=(-4.0, 0.8), steps=60, slope=lambda w: VALLEY * w, **options):
    """The way that `rule(w, g, state, **options)` takes from `start`: an array (steps + 1, 2)."""
    w, state = np.array(start), {}
    path = [w.copy()]
    for _ in range(steps):
        rule(w, slope(w), state, **options)
        path.append(w.copy())
    return np.array(path)


def straight(w, g, state, lr):
    """Plain descent. A rule changes the array `w` that it is given."""
    w -= lr * g


for lr in (0.004, 0.02, 0.038, 0.041):
    path = descend(straight, lr=lr, steps=200)
    needed = math.log(0.01) / math.log(1 - lr)
    print(f"rate {lr}: height after 200 steps {height(path[-1]):9.2g}; w0 falls to 1/100 in {needed:.0f} steps")

# %% tags=["measure"]
import matplotlib.pyplot as plt

ALONG, ACROSS = np.meshgrid(np.linspace(-4.5, 1.5, 121), np.linspace(-1, 1, 101))
LEVELS = [0.05, 0.5, 2, 5, 10, 16, 24]


def draw_paths(ax, paths):
    """Level lines of the valley, and on them the ways in the dictionary `paths`."""
    ax.contour(ALONG, ACROSS, height(np.stack([ALONG, ACROSS], axis=-1)), levels=LEVELS, colors="0.8")
    for name, path in paths.items():
        ax.plot(*path.T, ".-", markersize=4, linewidth=1, label=name)
    ax.plot(0, 0, "k+")
    ax.legend(fontsize=8, loc="upper right")


fig, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
for ax, lr in zip(axes, (0.004, 0.038)):
    draw_paths(ax, {f"plain descent, rate {lr}": descend(straight, lr=lr)})
axes[0].set(ylim=(-1, 1))
plt.show()

# %% [markdown]
# Both pictures show 60 steps. With the small rate the steep direction is settled at once, and the flat one crawls. With
# the large one it zigzags from wall to wall, and still takes a hundred steps. No rate is good for both directions. What
# counts is the quotient of largest and smallest curvature, here 50, and networks have valleys where it is in the
# thousands.
#
# ### In place
#
# `w = w - step` makes a new array and lets the name `w` point to it. `w -= step` writes into the array that is there.
# For a rule that is handed the array of a parameter, this is not a matter of taste:


# %%
def new_name(w):
    w = w - 1


def in_place(w):
    w -= 1


weights = np.array([5.0, 6.0])
new_name(weights)
print("after w = w - 1:", weights)
in_place(weights)
print("after w -= 1:   ", weights)

# %% [markdown]
# The same holds for `w *= 2` and `w += x`. And beware of the other side: after `v = g`, both names stand for one array,
# so that `v *= 0.9` changes `g` too.

# %%
g = np.array([1.0, 2.0])
v = g
v *= 0.9
print("g, which nobody wanted to change:", g)

# %% [markdown]
# ## Part 3. Implementation
#
# ### What an optimizer is given (given)
#
# `Optimizer` is what all of them share: a list of parameters in *groups*, each with its own options, and a dictionary
# `state` in which a rule keeps what it must remember about a parameter. A subclass names its `rule`, a function
#
# ```
# rule(w, g, state, **options)     changes the arrays w and state, and leaves g as it is
# ```
#
# on plain arrays, so that you can try each rule in a cell, without a network. Two things in the code below are worth a
# look, the rest are checks:
#
# - `plain`: an option such as `np.float64(0.1)` would turn a product with a float32 array into float64, at twice the
#   price. A Python number does not.
# - `ByIdentity`: in a dictionary two *equal* keys are one. Two parameters that happen to be equal are still two.


# %%
#| export
class _DefaultRate(float):
    """A learning rate that nobody has asked for, so that it gives way to `learning_rate=`."""


_HUNDREDTH, _THOUSANDTH = _DefaultRate(1e-2), _DefaultRate(1e-3)


def plain(value):
    """`value` as a Python number: a NumPy number would turn float32 arrays into float64 ones."""
    if isinstance(value, _DefaultRate):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value


def check_options(owner, options):
    """`options` with plain Python numbers.

    Raises: TypeError for what is not a number, ValueError for what is out of range; both name option and value.
    """
    for name, value in options.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(number, numbers.Real):
                raise TypeError(f"{owner}: {name} is {value!r:.60}, a {type(number).__name__}; it must be a number")
            limit = 1 if name in ("alpha", "betas") else math.inf
            if not 0 <= number < limit:
                below = f" and below {limit}" if limit == 1 else ""
                raise ValueError(f"{owner}: {name} is {value}; it must be at least 0{below}")
    if options.get("nesterov") and not options.get("momentum"):
        raise ValueError(f"{owner}: nesterov=True looks ahead along the momentum, which is 0; set momentum, say to 0.9")
    return {
        name: tuple(map(plain, value)) if isinstance(value, list | tuple) else plain(value)
        for name, value in options.items()
    }


def as_list(owner, params):
    """`params` as a list: a collection, a generator, or a function of nothing that gives one of these."""
    if hasattr(params, "parameters"):
        raise TypeError(f"{owner}: got a {type(params).__name__}; give it its parameters, model.parameters()")
    if hasattr(params, "grad") or isinstance(params, set | frozenset | str):
        raise TypeError(f"{owner}: params is a {type(params).__name__}; give a list, so that there is an order: [w, b]")
    return list(params() if callable(params) else params)


def check_parameter(p, name):
    """Raise a TypeError or a ValueError, which begins with `name`, unless `p` can be trained."""
    if not hasattr(p, "grad") or not isinstance(getattr(p, "data", None), np.ndarray):
        raise TypeError(f"{name} is {p!r:.60}, a {type(p).__name__}; a parameter is a Tensor that requires a gradient")
    if p.data.dtype.kind != "f":
        raise TypeError(f"{name} holds {p.data.dtype} numbers, and these have no gradient; try dtype=np.float32")
    if not getattr(p, "requires_grad", True):
        raise ValueError(f"{name}, of shape {p.data.shape}, requires no gradient; set requires_grad, or leave it out")
    if getattr(p, "receipt", None) is not None:
        raise ValueError(
            f"{name}, of shape {p.data.shape}, is the result of {p.receipt.operation}, so it would be computed anew "
            "in each step; train what it is computed from"
        )


class ByIdentity(MutableMapping):
    """A dictionary in which each key stands for itself, whatever it is equal to; keys need no hash."""

    def __init__(self, pairs=()):
        self._pairs = {id(key): (key, value) for key, value in pairs}

    def __getitem__(self, key):
        return self._pairs[id(key)][1]

    def __setitem__(self, key, value):
        self._pairs[id(key)] = (key, value)

    def __delitem__(self, key):
        del self._pairs[id(key)]

    def __iter__(self):
        return (key for key, _ in self._pairs.values())

    def __len__(self):
        return len(self._pairs)

    def __getstate__(self):  # a deep copy has other keys, and these have other identities
        return list(self._pairs.values())

    def __setstate__(self, pairs):
        self.__init__(pairs)


class Optimizer:
    """Improves parameters by their gradients. A subclass says how, in `rule`.

    params: list, generator or `model.parameters` itself; or a list of dictionaries, the parameter groups, each with
        its own "params" and any options that differ. A parameter is a Tensor that requires a gradient, or anything
        else with a floating array `.data` and a `.grad` (None, an array, or something with `.data`).
    lr, learning_rate: two names of one option.
    Raises: TypeError or ValueError that names a parameter or an option that cannot be used.
    """

    rule = None  # a function (w, g, state, **options) that changes the arrays w and state, and not g
    required, optional = (), ()  # names in the state of a parameter that `rule` has seen

    def __init__(self, params, lr=_HUNDREDTH, *, learning_rate=None, **options):
        self.defaults = self._complete({"lr": lr, "learning_rate": learning_rate}, {"lr": lr, **options})
        self.param_groups, self.state = [], ByIdentity()
        params = as_list(self._name, params)
        groups = params if any(isinstance(part, dict) for part in params) else [{"params": params}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self):
        return type(self).__name__

    def _complete(self, options, defaults):
        """`defaults` with what `options` say instead, checked; `learning_rate` becomes `lr`."""
        options = dict(options)
        rate = options.pop("learning_rate", None)
        if rate is not None:
            if not isinstance(options.get("lr", _DefaultRate()), _DefaultRate):
                raise ValueError(f"{self._name}: both lr={options['lr']} and learning_rate={rate}; give one of them")
            options["lr"] = rate
        return check_options(self._name, defaults | options)

    def add_param_group(self, group):
        """Train more parameters: a dictionary with "params" and the options that differ from the constructor's."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{self._name}: a parameter group is a dictionary with 'params', and this is {group!r:.60}")
        given = {name: value for name, value in group.items() if name != "params"}
        unknown = sorted(given.keys() - self.defaults.keys() - {"learning_rate"})
        if unknown:
            raise ValueError(f"{self._name}: unknown options {unknown} in a group; known are {sorted(self.defaults)}")
        options = self._complete(given, self.defaults)
        params = group["params"]
        params = as_list(self._name, [params] if hasattr(params, "grad") else params)
        place = f"{self._name}: group {len(self.param_groups)}, parameter"
        seen = {id(p) for p in self.state}
        for i, p in enumerate(params):
            check_parameter(p, f"{place} {i}")
            if id(p) in seen:
                raise ValueError(
                    f"{place} {i}, of shape {p.data.shape}, is there twice; it would make two steps in one"
                )
            seen.add(id(p))
        self.param_groups.append({"params": params, **options})
        for p in params:
            self.state[p] = {}

    def zero_grad(self):
        """Forget the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @property
    def lr(self):
        """The learning rate: reading gives that of the first group, assigning sets all."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value):
        rate = check_options(self._name, {"lr": value})
        for group in self.param_groups:
            group |= rate

    learning_rate = lr

    def options_of(self, group):
        """The options that `rule` takes, for the parameters in `group`."""
        return {name: plain(group[name]) for name in self.defaults}

    def __repr__(self):
        lines = []
        for group in self.param_groups:
            options = ", ".join(f"{name}={value}" for name, value in group.items() if name != "params")
            lines.append(f"{len(group['params'])} parameters, {options}")
        if len(lines) == 1:
            return f"{self._name}({lines[0]})"
        return "\n  ".join([f"{self._name}(", *(f"({i}): {line}" for i, line in enumerate(lines))]) + "\n)"


# %%
#| export
def gradient_of(p):
    """The gradient of `p` as an array of the type of its values.

    Raises: ValueError where its shape is another than that of the values.
    """
    w, g = p.data, p.grad
    if not isinstance(g, np.ndarray):
        g = g.data
    if g.shape != w.shape:
        raise ValueError(f"step: a parameter of shape {w.shape} has a gradient of shape {g.shape}; they must be equal")
    return g if g.dtype == w.dtype else g.astype(w.dtype)


# %% [markdown]
# ### Task 06-1. A step for everybody
#
# The loop of Part 1, made for any network and any rule. Three things can be got wrong, and each has cost somebody
# a week:
#
# - A parameter can be without a gradient: its layer was not used in this batch, or is being kept as it is. Its `.grad`
#   is None, and it must stay as it is, with everything that is remembered about it.
# - The options belong to the group. A new last layer on an old network is often trained with ten times its rate.
# - The engine of module 05 refuses a graph whose values have changed since, and it learns of a change from the Tensor.
#   NumPy writes past it. Assigning the array to `.data` once more reports the write:

# %%
p = Tensor([1.0, 2.0], requires_grad=True)
w = p.data
w -= 0.5
print(p, "writes counted:", p.version > 0)
p.data = w
print(p, "writes counted:", p.version > 0, " still the same array:", p.data is w)


# %%
def parameter(values, gradient=None):
    """A Tensor that can be trained, for tests: its gradient is put there by hand."""
    p = Tensor(values, requires_grad=True)
    p.grad = None if gradient is None else Tensor(gradient)
    return p


# %% [markdown]
# Go through the groups, and in each through its `"params"`. For each parameter with a gradient call `self.rule` with
# the array of its values, the array of its gradient (`gradient_of(p)`), its own entry of `self.state`, and the options,
# with two stars (`self.options_of(group)`). Then report the write.


# %% nbgrader={"grade_id": "06-1", "solution": true}
#| export
@add_to(Optimizer)
def step(self):
    """Change every parameter that has a gradient by `self.rule`, in place, with the options of its group."""
    ### BEGIN SOLUTION
    for group in self.param_groups:
        options = self.options_of(group)
        for p in group["params"]:
            if p.grad is not None:
                w = p.data
                self.rule(w, gradient_of(p), self.state[p], **options)
                p.data = w
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-1-test", "points": 5}
class Descent(Optimizer):
    """Plain descent, which also counts its steps for each parameter."""

    @staticmethod
    def rule(w, g, state, *, lr):
        check(isinstance(w, np.ndarray), "the rule gets the array of the values")
        check(isinstance(g, np.ndarray), "the rule gets the array of the gradient")
        state["step"] = state.get("step", 0) + 1
        w -= lr * g


def test_unit_step():
    a, b, c, unused = parameter([1.0], [10.0]), parameter([2.0], [-20.0]), parameter([3.0], [1.0]), parameter([7.0])
    optimizer = Descent([{"params": [a, unused, b]}, {"params": [c], "lr": 2.0}], lr=0.1)
    memory = a.data
    optimizer.step()
    weights = [p.data[0] for p in (a, b, c, unused)]
    check_close(weights, [0, 4, 1, 7], "what has a gradient moves by the rate of its group, what has none stays")
    check_close(a.grad, [10], "the gradient stays")
    check(a.data is memory, "the weights are in the same memory as before")
    check(a.version > 0, "the Tensor has counted the write")
    b.grad = None
    optimizer.step()
    counts = [optimizer.state[p].get("step", 0) for p in (a, b, c, unused)]
    check_close(counts, [2, 1, 2, 0], "every parameter has a state of its own, which is kept")


test_unit_step()

# %% [markdown]
# Now the loop of Part 1 needs five lines, and it will need the same five for every rule to come.


# %%
def fit(model, optimizer, epochs=1):
    """Train on the digits; the losses of all steps."""
    losses = []
    for epoch in range(epochs):
        for x, y in batches(epoch):
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


model = network()
again = fit(model, Descent(model.parameters(), lr=0.1), epochs=2)
print("largest difference to the losses of Part 1:", max(abs(a - b) for a, b in zip(losses, again)))

# %% [markdown]
# ### Task 06-2. Weights that fade
#
# Some pixels are white on every training image: places at the edge. What does training do to their weights? Look at the
# gradient of a weight in the first layer: it is a sum over the batch of the pixel times something. Predict, then run.

# %%
never = np.flatnonzero(ink[train].max(axis=0) == 0)
start, model = network(), network()
fit(model, Descent(model.parameters(), lr=0.1), epochs=3)
print("pixels without ink:", never, " with ink in the test images:", int((ink[test][:, never] > 0).any(axis=0).sum()))
for name, pixels in (("never inked", never), ("the others", np.setdiff1d(np.arange(64), never))):
    first, last = (m[0].weight.data[:, pixels] for m in (start, model))
    print(f"{name:12} mean size of weights: at first {np.abs(first).mean():.4f}, later {np.abs(last).mean():.4f}")

# %% [markdown]
# They keep the random numbers they started with, and the first drop of ink in such a place will be multiplied by noise.
# A weight that does nothing for the loss had better be small. So we make size itself a part of the loss,
#
# $$L(w) + \tfrac{\lambda}{2} \sum_i w_i^2, \qquad \text{with the gradient } g + \lambda w ,$$
#
# a *penalty*, and $\lambda$ is called `weight_decay`: a weight with $g = 0$ is multiplied by $1 - \eta\lambda$ in each
# step and fades. A weight that the loss needs settles where both slopes are in balance.
#
# The trap is the one from "In place": `g` belongs to the parameter, and whoever looks at `p.grad` after the step, to
# measure or to clip it, wants the gradient of the loss. And without a penalty nothing need be computed at all.


# %% nbgrader={"grade_id": "06-2", "solution": true}
#| export
def penalised(g, w, weight_decay):
    """The gradient `g` of a loss becomes that of the loss + weight_decay / 2 * sum(w**2); changes neither `g` nor `w`.

    Without a penalty it is `g` itself.
    """
    ### BEGIN SOLUTION
    if weight_decay == 0:
        return g
    return g + weight_decay * w
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-2-test", "points": 5}
def test_unit_penalised():
    g, w = np.array([1.0, -2.0, 0.0], dtype=np.float32), np.array([10.0, 20.0, -5.0], dtype=np.float32)
    got = penalised(g, w, 0.1)
    check_close(got, [2, 0, -0.5], "g + weight_decay * w")
    check(got.dtype == np.float32, "float32 stays float32")
    check_close(g, [1, -2, 0], "the gradient stays as it was")
    check_close(w, [10, 20, -5], "the weights stay as they were")
    check(penalised(g, w, 0.0) is g, "without a penalty it is g itself, not a copy")


def test_unit_penalised_is_a_slope():
    w, step, decay = np.array([0.5, -3.0]), 1e-6, 0.3

    def penalty(w):
        return decay / 2 * np.sum(w * w)

    slopes = [(penalty(w + step * unit) - penalty(w - step * unit)) / (2 * step) for unit in np.eye(2)]
    check_close(penalised(np.zeros(2), w, decay), slopes, "the slope of the penalty, measured by differences")


test_unit_penalised()
test_unit_penalised_is_a_slope()


# %%
class Fading(Optimizer):
    @staticmethod
    def rule(w, g, state, *, lr, weight_decay):
        w -= lr * penalised(g, w, weight_decay)


for decay in (0, 0.01, 0.1):
    model = network()
    fit(model, Fading(model.parameters(), lr=0.1, weight_decay=decay), epochs=3)
    sizes = [np.abs(model[0].weight.data[:, pixels]).mean() for pixels in (never, np.setdiff1d(np.arange(64), never))]
    print(f"weight_decay {decay:4}: never inked {sizes[0]:.4f}, the others {sizes[1]:.4f}")
print(f"predicted factor for what is never inked, with 0.1: {(1 - 0.1 * 0.1) ** (3 * len(batches(0))):.3f}")

# %% [markdown]
# ### Task 06-3. One sum that forgets
#
# A small batch is an opinion poll: its gradient is the true one plus noise. Averaging over many batches removes noise,
# but who wants to keep a thousand gradients? Keep one array $v$, and let every new one displace a part of the old:
#
# $$v \leftarrow \mu\, v + x .$$
#
# Written out for three steps, $v = x_3 + \mu x_2 + \mu^2 x_1$. An $x$ counts for less and less, and all weights
# together are $1 + \mu + \mu^2 + \dots = \tfrac{1}{1-\mu}$. With $x = g$ this is *momentum*; with $x = (1-\mu)\,g$ the
# weights add up to 1, and it is a *moving average*. Every rule from here on is made of these two uses of one function.
# Two lines, in the memory of `v`, and `x` belongs to somebody else.


# %% nbgrader={"grade_id": "06-3", "solution": true}
#| export
def accumulate(v, x, mu):
    """`v` becomes mu * v + x, in its own memory, and is returned; `x` stays as it is.

    v: floating array; x: array of its shape; mu: number.
    """
    ### BEGIN SOLUTION
    v *= mu
    v += x
    return v
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-3-test", "points": 5}
def test_unit_accumulate():
    v, x = np.array([1.0, 2.0], dtype=np.float32), np.array([10.0, -20.0], dtype=np.float32)
    out = accumulate(v, x, 0.25)
    check_close(out, [10.25, -19.5], "mu * v + x")
    check(out is v, "what comes back is v itself, with its memory")
    check_close(x, [10, -20], "x stays as it was")
    check_close(accumulate(v, x, 0.25), [12.5625, -24.875], "a second time: mu * (mu * v + x) + x")
    check(v.dtype == np.float32, "float32 stays float32")


def test_unit_accumulate_averages():
    m = np.zeros(1)
    for _ in range(60):
        accumulate(m, (1 - 0.8) * np.array([3.0]), 0.8)
    check_close(m, [3], "with (1 - mu) * x it is a moving average: what is always 3 has average 3")


test_unit_accumulate()
test_unit_accumulate_averages()

# %% [markdown]
# A true slope of 1 in noise of size 2, and what your function makes of it. Larger $\mu$ removes more noise. What does
# it cost? The slope turns to -1 in the middle; predict which curve notices last.

# %% tags=["measure"]
rng = np.random.default_rng(0)
truth = np.repeat([1.0, -1.0], 200)
noisy = truth + rng.normal(0, 2, size=400)

fig, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(noisy, color="0.85", label="gradients")
ax.plot(truth, "k--", linewidth=1, label="truth")
for mu in (0.5, 0.9, 0.98):
    m, means = np.zeros(()), []
    for x in noisy:
        means.append(float(accumulate(m, (1 - mu) * x, mu)))
    ax.plot(means, label=f"moving average, mu = {mu}")
    late = next(i for i in range(200, 400) if means[i] < 0) - 200
    print(
        f"mu {mu}: noise left {np.std(means[100:200]):.2f} of {np.std(noisy[100:200]):.2f}; below 0 after {late} steps"
    )
ax.set(xlabel="step", ylim=(-4, 4))
ax.legend(fontsize=8, ncols=2)
plt.show()

# %% [markdown]
# ### What a rule remembers (given)
#
# The state of a parameter is an empty dictionary until a rule puts something into it. `buffer` hands out an array from
# it by name, made of zeros at the first time. Zeros are the right start for a sum: the first $\mu v + g$ is then $g$.


# %%
#| export
def buffer(state, name, w):
    """The array `name` in the dictionary `state`; asked for the first time, it is made of zeros and shaped like `w`."""
    if name not in state:
        state[name] = np.zeros_like(w)
    return state[name]


# %%
state = {}
print(buffer(state, "momentum_buffer", np.array([1.0, 2.0])), state)
accumulate(buffer(state, "momentum_buffer", np.array([1.0, 2.0])), np.array([3.0, 4.0]), 0.9)
print(state)

# %% [markdown]
# ### Task 06-4. Momentum, and a look ahead
#
# Back to the valley. Across it, the slope changes its sign at every step: in a sum, these cancel. Along it, all slopes
# agree: in a sum, they add up to $\tfrac{1}{1-\mu}$ times one of them. So do not step along the gradient, step along
# the sum:
#
# $$v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta\, v .$$
#
# It is a ball that rolls downhill, and like a ball it rolls past the bottom and comes back. Nesterov's cure: the ball
# is going to move by $\mu v$ anyway, so let it feel the slope where it will be. Written with what is known at $w$, the
# step goes along
#
# $$g + \mu v \quad\text{instead of}\quad v, \qquad\text{with the new } v .$$
#
# Without momentum, nothing is remembered: the state stays empty, and the step goes along $g$. Two traps: a buffer that
# *is* the gradient, instead of a copy; and momentum as an average, with a factor $1-\mu$ that PyTorch, and we, leave
# out.


# %% nbgrader={"grade_id": "06-4", "solution": true}
#| export
def sgd_rule(w, g, state, *, lr, momentum=0, nesterov=False, weight_decay=0):
    """A step of gradient descent: changes `w` and `state` in place, and not `g`.

    momentum: above 0, the step goes along the `momentum_buffer` v of `state`, in which gradients accumulate.
    nesterov: the step goes along the gradient plus momentum * v.
    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Sutskever, Martens, Dahl
        and Hinton 2013, "On the importance of initialization and momentum in deep learning", section 2.
    """
    g = penalised(g, w, weight_decay)
    ### BEGIN SOLUTION
    if momentum:
        v = accumulate(buffer(state, "momentum_buffer", w), g, momentum)
        g = g + momentum * v if nesterov else v
    w -= lr * g
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-4-test", "points": 5}
def test_unit_sgd_rule():
    w, g, state = np.array([1.0, 2.0]), np.array([0.5, -1.0]), {}
    sgd_rule(w, g, state, lr=0.1)
    check_close(w, [0.95, 2.1], "without momentum: w - lr * g")
    check(state == {}, "without momentum nothing is remembered")
    sgd_rule(w, g, state, lr=0.1, momentum=0.9)
    check_close(w, [0.9, 2.2], "the first step with momentum goes along g")
    sgd_rule(w, g, state, lr=0.1, momentum=0.9)
    check_close(w, [0.805, 2.39], "the second one along 1.9 g")
    check_close(state["momentum_buffer"], [0.95, -1.9], "the momentum_buffer holds mu * v + g")
    check_close(g, [0.5, -1.0], "the gradient stays as it was")
    sgd_rule(w, np.zeros(2), state, lr=0.2, momentum=0.5, weight_decay=1.0)
    check_close(w, [0.549, 2.102], "a penalty enters before the momentum")
    w = np.array([1.0, 2.0])
    sgd_rule(w, g, {}, lr=0.1, weight_decay=1.0)
    check_close(w, [0.85, 1.9], "a penalty without momentum: w - lr * (g + w)")
    check_close(g, [0.5, -1.0], "with a penalty, too, the gradient stays as it was")


def test_unit_sgd_rule_nesterov():
    w, state, way = np.array([1.0]), {}, []
    for g in (1.0, -3.0):
        sgd_rule(w, np.array([g]), state, lr=0.1, momentum=0.5, nesterov=True)
        way.append(w[0])
    check_close(way, [0.85, 1.275], "each step goes along g + mu * v, with the new v")
    check_close(state["momentum_buffer"], [-2.5], "the momentum_buffer is the same as without the look ahead")


test_unit_sgd_rule()
test_unit_sgd_rule_nesterov()


# %%
#| export
class SGD(Optimizer):
    """Gradient descent, with momentum if asked for: see `sgd_rule`."""

    rule = staticmethod(sgd_rule)
    optional = ("momentum_buffer",)

    def __init__(self, params, lr=_HUNDREDTH, momentum=0, nesterov=False, weight_decay=0, *, learning_rate=None):
        options = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, lr, learning_rate=learning_rate, **options)


# %% [markdown]
# The valley again, 60 steps each. Plain descent has its best rate, the other two have a smaller one. How high are they
# at the end?

# %% tags=["measure"]
ways = {
    "plain, 0.038": descend(sgd_rule, lr=0.038),
    "momentum 0.8, 0.015": descend(sgd_rule, lr=0.015, momentum=0.8),
    "Nesterov 0.8, 0.015": descend(sgd_rule, lr=0.015, momentum=0.8, nesterov=True),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.3), layout="constrained", width_ratios=(3, 2))
draw_paths(left, ways)
for name, path in ways.items():
    right.semilogy(height(path), label=name)
    print(f"{name:20} height after 20, 40, 60 steps", *(f"{height(path[i]):9.2g}" for i in (20, 40, 60)))
right.set(xlabel="step", ylabel="height")
plt.show()

# %% [markdown]
# ### A saddle
#
# Where the slope is zero, plain descent stops, also where it is no bottom. Here is such a place: a valley in $x$, and
# along $y$ a slope that flattens out to exactly zero at $y = 0$, before it goes on down to a bottom at $y = -1$:
#
# $$f(x, y) = \tfrac12 x^2 + \tfrac13 y^3 + \tfrac14 y^4, \qquad \text{slopes } (x,\; y^2 + y^3) .$$
#
# Plain descent comes from $y > 0$ and multiplies $y$ by $1 - \eta\,(y + y^2)$ in each step. As long as this factor is
# positive, $y$ can never become negative, not in a million steps. What does a ball do that comes down the slope?


# %%
def saddle_slope(w):
    x, y = w
    return np.array([x, y**2 + y**3])


plain_way = descend(sgd_rule, (1.0, 1.0), 400, saddle_slope, lr=0.1)
ball = descend(sgd_rule, (1.0, 1.0), 400, saddle_slope, lr=0.1, momentum=0.9)
for steps in (10, 50, 100, 400):
    print(f"y after {steps:3} steps: plain {plain_way[steps, 1]:7.4f}, momentum {ball[steps, 1]:7.4f}")

# %% tags=["measure"]
u, v = np.meshgrid(np.linspace(-1.1, 1.1, 111), np.linspace(-1.6, 1.1, 136))
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.contour(u, v, u**2 / 2 + v**3 / 3 + v**4 / 4, levels=np.linspace(-0.08, 0.6, 18), colors="0.85")
for name, way in (("plain", plain_way), ("momentum 0.9", ball)):
    left.plot(*way.T, ".-", markersize=3, linewidth=1, label=name)
    right.plot(way[:, 1], label=name)
left.plot([0], [0], "kx")
left.set(xlabel="x", ylabel="y", title="the cross marks the saddle")
right.set(xlabel="step", ylabel="y")
right.legend()
plt.show()

# %% [markdown]
# The more common kind of saddle falls away to both sides of a ridge, $f = \tfrac12(x^2 - y^2)$. There plain descent
# does leave: a step multiplies $y$ by $1 + \eta$, so it is a matter of how near to the ridge it starts. Count the steps
# until $|y| > 1$:

# %%
RIDGE = np.array([1.0, -1.0])
for name, options in (("plain", {}), ("momentum 0.9", {"momentum": 0.9})):
    needed = [
        int(np.argmax(np.abs(descend(sgd_rule, (1.0, near), 600, lambda w: RIDGE * w, lr=0.1, **options)[:, 1]) > 1))
        for near in (1e-2, 1e-6, 1e-12)
    ]
    print(f"{name:13} from 1e-2, 1e-6, 1e-12 beside the ridge: {needed} steps")

# %% [markdown]
# ### A scale for every number (given)
#
# So far all numbers share one rate. A thousand reviews, two inputs: one is there in each, the other is a word that
# stands in one of fifty. Both matter equally, the true weights are 1 and 1. Here is the trouble with one rate:


# %%
def reviews(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    inputs = np.stack([rng.choice([-1.0, 1.0], size=n), rng.random(n) < 1 / 50], axis=1)  # (n, 2)
    return inputs, inputs.sum(axis=1)


def learn(rule, steps=600, **options):
    """Weights after one step for each review, for the squared error of a weighted sum."""
    inputs, targets = reviews()
    w, state = np.zeros(2), {}
    for x, target in zip(inputs[:steps], targets):
        rule(w, (x @ w - target) * x, state, **options)
    return w


print("share of reviews with each input:", np.mean(reviews()[0] != 0, axis=0))
for lr in (0.02, 0.1):
    print(f"plain descent, rate {lr}: weights", learn(sgd_rule, lr=lr).round(3))

# %% [markdown]
# The gradient of the rare one is zero 49 times out of 50. It has learned little, for no fault of its own. Adagrad
# (2011) divides each number's step by the root of the sum of its own squared gradients. Who got little so far
# makes large steps:


# %%
#| export
def scaled(x, squares, eps):
    """x / (sqrt(squares) + eps) as a new array; all that is between is computed in its memory."""
    size = np.sqrt(squares, out=np.empty_like(squares))
    size += eps
    return np.divide(x, size, out=size)


def adagrad_rule(w, g, state, *, lr, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10):
    """A step along g / sqrt(`sum` of all squared gradients): changes `w` and `state` in place, and not `g`.

    Source: Duchi, Hazan and Singer 2011, "Adaptive subgradient methods", section 1.
    """
    if "sum" not in state:
        state["sum"] = np.full_like(w, initial_accumulator_value)
    state["step"] = state.get("step", 0) + 1
    g = penalised(g, w, weight_decay)
    move = scaled(g, accumulate(state["sum"], g * g, 1), eps)
    move *= lr / (1 + (state["step"] - 1) * lr_decay)
    w -= move


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squares so far: see `adagrad_rule`."""

    rule = staticmethod(adagrad_rule)
    required = ("step", "sum")

    def __init__(
        self,
        params,
        lr=_HUNDREDTH,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        *,
        learning_rate=None,
    ):
        options = {"lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        options["initial_accumulator_value"] = initial_accumulator_value
        super().__init__(params, lr, learning_rate=learning_rate, **options)


# %%
print("Adagrad, rate 0.5: weights", learn(adagrad_rule, lr=0.5).round(3))
w, state, sizes = np.zeros(1), {}, []
for _ in range(10_000):
    before = w[0]
    adagrad_rule(w, np.ones(1), state, lr=0.1)
    sizes.append(before - w[0])
print("size of a step on a slope that is always 1:", *(f"step {t}: {sizes[t - 1]:.4f} " for t in (1, 100, 10_000)))

# %% [markdown]
# ### Task 06-5. Forget the old squares
#
# The last line shows the price. A sum only grows, so steps only shrink, like $1/\sqrt t$, also when the slope is as
# good as on the first day. In a long training, early gradients, which were large, brake for ever. RMSprop replaces the
# sum by a moving average, which you have:
#
# $$s \leftarrow \alpha\, s + (1-\alpha)\, g^2, \qquad w \leftarrow w - \eta\, \frac{g}{\sqrt{s} + \varepsilon} .$$
#
# The small $\varepsilon$ keeps the quotient finite where $s$ is zero; it stands outside of the root. `scaled(x,
# squares, eps)` above computes such a quotient. Two options:
#
# - `centered`: also keep the moving average $m$ of $g$ itself ("grad_avg"), and use $s - m^2$, the variance of the
#   gradient, in the place of $s$. It cannot be negative, but its rounded value can, and the root of that is nan. Cut it
#   off at 0.
# - `momentum` $\mu$: the quotients accumulate in "momentum_buffer", and the step is $\eta$ times that.


# %% nbgrader={"grade_id": "06-5", "solution": true}
#| export
def rmsprop_rule(w, g, state, *, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    """A step along g / (sqrt(moving average of g**2) + eps): changes `w` and `state` in place, and not `g`.

    state: "step", "square_avg"; "grad_avg" if centered; "momentum_buffer" if there is momentum.
    Source: Tieleman and Hinton 2012, "Neural networks for machine learning", lecture 6e; centered: Graves 2013,
        "Generating sequences with recurrent neural networks", equations 38 to 45.
    """
    state["step"] = state.get("step", 0) + 1
    g = penalised(g, w, weight_decay)
    ### BEGIN SOLUTION
    squares = accumulate(buffer(state, "square_avg", w), (1 - alpha) * g * g, alpha)
    if centered:
        mean = accumulate(buffer(state, "grad_avg", w), (1 - alpha) * g, alpha)
        squares = np.maximum(squares - mean * mean, 0)
    move = scaled(g, squares, eps)
    if momentum:
        move = accumulate(buffer(state, "momentum_buffer", w), move, momentum)
    w -= lr * move
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-5-test", "points": 5}
def test_unit_rmsprop_rule():
    w, g, state = np.array([1.0, 1.0]), np.array([3.0, -0.01]), {}
    rmsprop_rule(w, g, state, lr=0.1, alpha=0.75, eps=0.5)
    check_close(state["square_avg"], [2.25, 0.000025], "square_avg is the moving average of the squares, from 0")
    check_close(w, [0.85, 1.0019801980], "w - lr * g / (sqrt(square_avg) + eps)")
    rmsprop_rule(w, np.array([1.0, 0.0]), state, lr=0.1, alpha=0.75, eps=0.5)
    check_close(state["square_avg"], [1.9375, 0.00001875], "the second average: alpha of the old, 1 - alpha of the new")
    check_close(w, [0.7971442, 1.0019802], "the second step")
    check_close(g, [3, -0.01], "the gradient stays as it was")
    check(set(state) == {"step", "square_avg"}, "without options nothing else is remembered")


def test_unit_rmsprop_rule_options():
    w, state = np.array([0.0]), {}
    for g in (2.0, 4.0):
        rmsprop_rule(w, np.array([g]), state, lr=1.0, alpha=0.5, eps=0.0, centered=True)
    check_close(state["grad_avg"], [2.5], "grad_avg is the moving average of g")
    check_close(w, [-2 / 1 - 4 / np.sqrt(9 - 2.5**2)], "centered divides by the root of square_avg - grad_avg ** 2")
    level = {"square_avg": np.array([1.0]), "grad_avg": np.array([1.0001])}
    rmsprop_rule(w, np.array([1.0]), level, lr=1.0, alpha=0.9, eps=0.5, centered=True)
    check(np.isfinite(w).all(), "a variance that rounding made negative counts as 0")
    w, state = np.array([0.0]), {}
    for lr in (1.0, 0.1):
        rmsprop_rule(w, np.array([1.0]), state, lr=lr, alpha=0.0, eps=0.0, momentum=0.5)
    check_close(w, [-1.15], "with momentum the quotients accumulate, and the rate comes after")


test_unit_rmsprop_rule()
test_unit_rmsprop_rule_options()


# %%
#| export
class RMSprop(Optimizer):
    """Steps divided by the root of the mean of recent squares: see `rmsprop_rule`."""

    rule = staticmethod(rmsprop_rule)
    required, optional = ("step", "square_avg"), ("grad_avg", "momentum_buffer")

    def __init__(
        self,
        params,
        lr=_HUNDREDTH,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        *,
        learning_rate=None,
    ):
        options = {"alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum, "centered": centered}
        super().__init__(params, lr, learning_rate=learning_rate, **options)


# %%
print("RMSprop, rate 0.01: weights", learn(rmsprop_rule, lr=0.01).round(3))
w, state, sizes = np.zeros(1), {}, []
for _ in range(10_000):
    before = w[0]
    rmsprop_rule(w, np.ones(1), state, lr=0.1)
    sizes.append(before - w[0])
print(
    "size of a step on a slope that is always 1:", *(f"step {t}: {sizes[t - 1]:.4f} " for t in (1, 2, 10, 100, 10_000))
)

# %% [markdown]
# ### Task 06-6. The first steps of an average
#
# On a slope of 1 the steps should be as long as the rate, 0.1, and later they are. But the first one was *ten times*
# too long. The average of squares starts from 0 and has not seen enough ones yet: after one step it is 0.01 instead of
# 1, and we divide by its root. How far is a moving average behind? On a gradient that is always 1:

# %%
for beta in (0.9, 0.999):
    m, means = np.zeros(1), []
    for _ in range(1000):
        means.append(accumulate(m, (1 - beta) * np.ones(1), beta)[0])
    shown = {t: round(float(means[t - 1]), 4) for t in (1, 2, 3, 10, 100, 1000)}
    print(f"beta {beta}: average after t steps {shown}")
    print(f"{'':12} 1 - beta ** t          ", {t: round(1 - beta**t, 4) for t in shown})

# %% [markdown]
# The two rows agree: after $t$ steps the weights in the average add up to $1 - \beta^t$ instead of 1. Dividing by that
# makes it a true weighted mean from the first step on. Adam (2015) is a moving average $m$ of gradients against the
# noise, a moving average $v$ of squares for the scale, and this *correction* for both:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2, \qquad
#   w \leftarrow w - \eta\, \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \varepsilon} .$$
#
# $t$ counts the steps from 1. What is kept in the state are $m$ and $v$ themselves, "exp_avg" and "exp_avg_sq", without
# correction. Check on paper: how long is the first step, whatever the gradient?
#
# (For speed: a division of the whole array $v$ by $c = 1-\beta_2^t$ can be saved, for
# $\sqrt{v/c} + \varepsilon = (\sqrt v + \varepsilon\sqrt c) / \sqrt c$. The test does not ask for it.)


# %% nbgrader={"grade_id": "06-6", "solution": true}
#| export
def adam_rule(w, g, state, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
    """A step along m / (sqrt(v) + eps), both corrected for their start: changes `w` and `state` in place, and not `g`.

    state: "step" counts from 1; "exp_avg" is m, "exp_avg_sq" is v.
    Source: Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.
    """
    beta1, beta2 = betas
    t = state["step"] = state.get("step", 0) + 1
    g = penalised(g, w, weight_decay)
    ### BEGIN SOLUTION
    m = accumulate(buffer(state, "exp_avg", w), (1 - beta1) * g, beta1)
    v = accumulate(buffer(state, "exp_avg_sq", w), (1 - beta2) * g * g, beta2)
    correction = math.sqrt(1 - beta2**t)
    move = scaled(m, v, eps * correction)
    move *= lr * correction / (1 - beta1**t)
    w -= move
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-6-test", "points": 5}
def test_unit_adam_rule():
    w, g, state = np.array([1.0, 1.0, 1.0]), np.array([4.0, -0.5, 0.0]), {}
    adam_rule(w, g, state, lr=0.1, betas=(0.5, 0.91), eps=0.0001)
    averages = np.stack([state["exp_avg"], state["exp_avg_sq"]])
    check_close(averages, [[2, -0.25, 0], [1.44, 0.0225, 0]], "m and v are moving averages of g and g ** 2, from 0")
    check_close(w, [0.9000025, 1.09998, 1.0], "the first step is lr long in every number, eps aside", atol=1e-7)
    adam_rule(w, np.array([1.0, 0.5, 0.0]), state, lr=0.1, betas=(0.5, 0.91), eps=1e-12)
    averages = np.stack([state["exp_avg"], state["exp_avg_sq"]])
    check_close(averages, [[1.5, 0.125, 0], [1.4004, 0.042975, 0]], "the second m and v, kept without corrections")
    check_close(w[:2], [0.8299308, 1.0666467], "the second step: both corrections have t = 2")
    check_close(g, [4, -0.5, 0], "the gradient stays as it was")


def test_unit_adam_rule_eps():
    w, state = np.array([0.0]), {}
    adam_rule(w, np.array([1.0]), state, lr=1.0, betas=(0.0, 0.75), eps=1.0)
    check_close(w, [-0.5], "eps is added to the corrected root")
    check(np.isfinite(w).all() and state["step"] == 1, "the first step is step 1")


test_unit_adam_rule()
test_unit_adam_rule_eps()


# %%
#| export
class Adam(Optimizer):
    """Steps along a moving average of gradients, divided by the root of one of their squares: see `adam_rule`."""

    rule = staticmethod(adam_rule)
    required = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=_THOUSANDTH, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, *, learning_rate=None):
        super().__init__(params, lr, learning_rate=learning_rate, betas=betas, eps=eps, weight_decay=weight_decay)


# %% [markdown]
# All rules in the valley, at rates chosen by hand. Note the directions of the *first* steps: which rules look at the
# steepness, and which only at the sign? The last column is the same valley, turned by 45 degrees. Which rules will
# notice?

# %% tags=["measure"]
RULES = {
    "plain": (sgd_rule, {"lr": 0.038}),
    "momentum 0.8": (sgd_rule, {"lr": 0.015, "momentum": 0.8}),
    "Nesterov 0.8": (sgd_rule, {"lr": 0.015, "momentum": 0.8, "nesterov": True}),
    "Adagrad": (adagrad_rule, {"lr": 1.0}),
    "RMSprop": (rmsprop_rule, {"lr": 0.1, "alpha": 0.9}),
    "Adam": (adam_rule, {"lr": 0.3}),
}
fig, axes = plt.subplots(2, 3, figsize=(11, 5), layout="constrained", sharex=True, sharey=True)
TURN = np.array([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2)
for ax, (name, (rule, options)) in zip(axes.flat, RULES.items()):
    way = descend(rule, **options)
    draw_paths(ax, {name: way})
    turned = descend(rule, TURN @ way[0], slope=lambda w: TURN @ (VALLEY * (TURN.T @ w)), **options) @ TURN
    print(f"{name:13} first step {(way[1] - way[0]).round(3)}, height after 20, 60 steps", end=" ")
    print(*(f"{height(way[i]):8.2g}" for i in (20, 60)), f"  turned {height(turned[60]):8.2g}")
plt.show()

# %% [markdown]
# The directions of our valley happen to be those of the two numbers, and that is what a scale for every number can
# use. In the turned valley both numbers are equally steep: Adagrad and RMSprop lose nearly all of their advantage, Adam
# lives on its average of gradients, and the rules that do not scale do not notice.
#
# ### Task 06-7. A decay that is not divided
#
# With Adam, the penalty of task 06-2 does something that nobody ordered. Give three weights gradients of pure noise,
# of size 0.01, 1 and 100. None is of any use, so all should fade alike. Predict which fade under Adam with
# `weight_decay=0.1`.

# %%
rng = np.random.default_rng(0)
noise = np.array([0.01, 1.0, 100.0])
w, state = np.ones((200, 3)), {}  # 200 weights of each kind, all at 1
for _ in range(500):
    adam_rule(w, noise * rng.normal(size=w.shape), state, lr=0.001, weight_decay=0.1)
print("mean after 500 steps, for noise of 0.01, 1, 100:", w.mean(axis=0).round(3))
print("without a gradient, plain descent would leave", round((1 - 0.001 * 0.1) ** 500, 3))

# %% [markdown]
# The penalty is part of $g$, and all of $g$ is divided by $\sqrt v$. So a weight with large gradients hardly fades, one
# with small gradients fades at full speed, whatever $\lambda$ is. AdamW (2019) takes the decay out of the gradient:
# first every weight shrinks by the share $\eta\lambda$, and then comes a step of Adam that has not heard of $\lambda$.


# %% nbgrader={"grade_id": "06-7", "solution": true}
#| export
def adamw_rule(w, g, state, *, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    """A step of Adam after `w` has shrunk by the share lr * weight_decay: changes `w` and `state` in place, not `g`.

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
    """
    ### BEGIN SOLUTION
    w *= 1 - lr * weight_decay
    adam_rule(w, g, state, lr=lr, betas=betas, eps=eps)
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-7-test", "points": 5}
def test_unit_adamw_rule():
    w, state = np.array([4.0, -2.0]), {}
    adamw_rule(w, np.array([3.0, 0.001]), state, lr=0.5, betas=(0.5, 0.75), eps=1e-12, weight_decay=0.2)
    check_close(w, [3.1, -2.3], "the decay comes first, and then a step of Adam")
    check_close(state["exp_avg"], [1.5, 0.0005], "Adam gets all options but the decay")
    w, state = np.array([4.0, -2.0]), {}
    adamw_rule(w, np.zeros(2), state, lr=0.5, weight_decay=0.2)
    check_close(w, [3.6, -1.8], "a weight without a gradient shrinks by the share lr * weight_decay")
    check_close(state["exp_avg"], [0, 0], "the averages do not hear of it")
    w, state = np.array([4.0, -2.0]), {}
    for g in ([3.0, -0.5], [1.0, 0.25], [-2.0, 0.1]):
        adamw_rule(w, np.array(g), state, lr=0.5, betas=(0.5, 0.75), eps=0.25, weight_decay=0.2)
    check_close(w, [2.3163715, -1.2406913], "after three steps, each as Adam takes it")


test_unit_adamw_rule()


# %%
#| export
class AdamW(Adam):
    """Adam with a weight decay that does not pass through the averages: see `adamw_rule`."""

    rule = staticmethod(adamw_rule)

    def __init__(self, params, lr=_THOUSANDTH, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, *, learning_rate=None):
        super().__init__(params, lr, betas, eps, weight_decay, learning_rate=learning_rate)


# %%
rng = np.random.default_rng(0)
w, state = np.ones((200, 3)), {}
for _ in range(500):
    adamw_rule(w, noise * rng.normal(size=w.shape), state, lr=0.001, weight_decay=0.1)
print("AdamW, mean after 500 steps, for noise of 0.01, 1, 100:", w.mean(axis=0).round(3))

# %% [markdown]
# ### Stop and go on (given)
#
# Whoever stops a training and goes on with a fresh optimizer has lost the averages and the count of steps, and the loss
# makes a jump. So an optimizer has a state to save, like a network. Its parameters have no names here, so they go by
# their place. And loading follows the rule of 03-3: look at everything first, name all that does not fit, then write.


# %%
#| export
@add_to(Optimizer)
def state_dict(self):
    """All that a step depends on besides weights and gradients, as copies, in PyTorch's form.

    {"state": {place of the parameter: {name: array or count}}, "param_groups": [{options, "params": [places]}]}
    """
    places = {id(p): i for i, p in enumerate(self.state)}
    state = {places[id(p)]: self._whole(p, held) for p, held in self.state.items() if held}
    groups = [{**group, "params": [places[id(p)] for p in group["params"]]} for group in self.param_groups]
    return {"state": state, "param_groups": groups}


# %%
#| export
@add_to(Optimizer)
def _whole(self, p, held):
    """A copy of `held`, what is kept for `p`, with zeros for what Ctrl-C in the first step has kept from being made."""
    zeros = {name: 0 if name == "step" else np.zeros_like(p.data) for name in self.required if name not in held}
    return {name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in (held | zeros).items()}


# %%
#| export
@add_to(Optimizer)
def _problems_in_groups(self, groups):
    """What does not fit in the parameter groups of a saved state, one line each."""
    own = [len(group["params"]) for group in self.param_groups]
    saved = [len(group["params"]) for group in groups]
    problems = [] if own == saved else [f"the numbers of parameters in the groups are {own}, in the state {saved}"]
    for i, group in enumerate(groups):
        problems += [f"group {i} lacks {name}" for name in self.defaults if name not in group]
        strange = group.keys() - self.defaults.keys() - {"params"}
        problems += [f"group {i} has the option {name}={group[name]}" for name in sorted(strange) if group[name]]
    return problems


# %%
#| export
@add_to(Optimizer)
def _problems_in_state(self, place, p, held):
    """What does not fit in the saved state `held` of the parameter `p`, one line each."""
    known = {*self.required, *self.optional}
    problems = [f"parameter {place} lacks {name}" for name in self.required if name not in held]
    problems += [f"parameter {place} has {name}" for name in held if name not in known]
    for name in known & held.keys():
        shape = () if name == "step" else p.data.shape
        if np.shape(held[name]) != shape:
            problems.append(f"{name} of parameter {place} has shape {np.shape(held[name])}, needed is {shape}")
    return problems


# %%
#| export
@add_to(Optimizer)
def load_state_dict(self, state):
    """Go on where the optimizer whose `state_dict` this is has stopped. What is in `state` is copied.

    Options of PyTorch's that do not exist here are left out where they are off (None, False or 0).
    Raises: ValueError that names all that does not fit: numbers of parameters, options, names or shapes; then nothing
        is changed.
    """
    groups, parameters = state["param_groups"], list(self.state)
    places = [place for group in groups for place in group["params"]]
    held = {int(place): {k: x for k, x in part.items() if x is not None} for place, part in state["state"].items()}
    problems = self._problems_in_groups(groups)
    problems += [f"there is no parameter {place}" for place in held if place not in places]
    for place, p in zip(places, parameters):
        if held.get(place):
            problems += self._problems_in_state(place, p, held[place])
    if problems:
        raise ValueError(f"{self._name}.load_state_dict: {'; '.join(problems)}; nothing was changed")
    options = [check_options(self._name, {name: group[name] for name in self.defaults}) for group in groups]
    loaded = [
        {k: int(x) if k == "step" else np.array(x, p.data.dtype) for k, x in held.get(place, {}).items()}
        for place, p in zip(places, parameters)
    ]
    for group, new in zip(self.param_groups, options):
        group.update(new)
    for p, part in zip(parameters, loaded):
        self.state[p] = part


# %%
model = network()
optimizer = Adam(model.parameters(), lr=0.003)
fit(model, optimizer)
saved = model.state_dict(), optimizer.state_dict()
straight_on = fit(model, optimizer)

for name in ("with its state", "without it"):
    model = network(seed=5)
    model.load_state_dict(saved[0])
    optimizer = Adam(model.parameters(), lr=0.003)
    if name == "with its state":
        optimizer.load_state_dict(saved[1])
    resumed = fit(model, optimizer)
    print(
        f"gone on {name:15} largest difference in the loss {max(abs(a - b) for a, b in zip(straight_on, resumed)):.4f}"
    )
try:
    Adam(network().parameters()[:2]).load_state_dict(saved[1])
except ValueError as error:
    print(error)

# %% [markdown]
# ### Rules as functions (given)
#
# Some people like no objects at all: weights and a dictionary go in, new weights and a new dictionary come out, and
# nothing that went in has changed. The solver of a later chapter is written that way. These functions have keys of
# their own, and the formulas are the ones you wrote.


# %%
#| export
def completed(rule, config, **defaults):
    """A new dictionary: `config` with the `defaults` for what is not in it.

    Raises: ValueError that names a key which `rule` does not know.
    """
    unknown = sorted((config or {}).keys() - defaults.keys())
    if unknown:
        raise ValueError(f"{rule}: unknown keys {unknown} in config; known are {sorted(defaults)}")
    return {name: plain(value) for name, value in (defaults | (config or {})).items()}


def copied(w, values=None):
    """`values` as a new array of the type and shape of `w`; without values it holds zeros."""
    return np.zeros_like(w) if values is None else np.array(np.broadcast_to(values, w.shape), dtype=w.dtype)


def sgd(w, dw, config=None):
    """A step of plain descent as a function: `(next_w, next_config)`. Changes none of what it gets.

    config: learning_rate 1e-2.
    """
    config = completed("sgd", config, learning_rate=1e-2)
    w = np.array(as_floating(w))
    sgd_rule(w, copied(w, dw), {}, lr=config["learning_rate"])
    return w, config


# %%
w = np.array([1.0, 2.0])
next_w, config = sgd(w, np.array([10.0, 10.0]), {"learning_rate": 0.1})
print(next_w, config, " the old weights:", w)

# %% [markdown]
# ### Task 06-8. The other momentum
#
# There is a second way to write momentum, and half of the books use it. There $v$ is not a sum of gradients, it is a
# *velocity*, a sum of steps:
#
# $$v \leftarrow \mu v - \eta\, g, \qquad w \leftarrow w + v .$$
#
# At a constant rate it is the same as yours: this $v$ is $-\eta$ times the other. When the rate changes, it is not. In
# the form of 06-4 a new rate holds for the whole sum at once; here old steps go on at the rate at which they were made.
# Take gradients of 1, $\mu = 0.9$, and rates 0.1, then 0.01. Where is $w$ after two steps, in either form?
#
# Both are one call of `accumulate`, only with another $x$. `velocity` is your own copy here; put the new one into
# `config`. `w` belongs to the caller.


# %% nbgrader={"grade_id": "06-8", "solution": true}
#| export
def sgd_momentum(w, dw, config=None):
    """A step with momentum as a function: `(next_w, next_config)`. Changes none of what it gets.

    config: learning_rate 1e-2, momentum 0.9, velocity (zeros at the start).
    """
    config = completed("sgd_momentum", config, learning_rate=1e-2, momentum=0.9, velocity=None)
    w = as_floating(w)
    dw, velocity = copied(w, dw), copied(w, config["velocity"])
    lr, mu = config["learning_rate"], config["momentum"]
    ### BEGIN SOLUTION
    config["velocity"] = accumulate(velocity, -lr * dw, mu)
    return w + velocity, config
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-8-test", "points": 5}
def test_unit_sgd_momentum():
    w, dw = np.array([1.0, 2.0]), np.array([10.0, -20.0])
    given = {"learning_rate": 0.1, "momentum": 0.5, "velocity": np.array([4.0, 8.0])}
    next_w, config = sgd_momentum(w, dw, given)
    check_close(config["velocity"], [1, 6], "mu * v - lr * dw")
    check_close(next_w, [2, 8], "w + the new v")
    check_close(w, [1, 2], "the weights that were given stay as they were")
    check_close(given["velocity"], [4, 8], "so does the velocity that was given")
    check_close(dw, [10, -20], "so does the gradient")


def test_unit_sgd_momentum_schedule():
    w, config = np.zeros(1), {}
    for lr in (0.1, 0.01):
        w, config = sgd_momentum(w, np.ones(1), {**config, "learning_rate": lr})
    check_close(w, [-0.2], "a step that was made at a large rate goes on at a large rate")


test_unit_sgd_momentum()
test_unit_sgd_momentum_schedule()


# %%
#| export
def rmsprop(w, dw, config=None):
    """A step of RMSprop as a function: `(next_w, next_config)`. Changes none of what it gets.

    config: learning_rate 1e-2, decay_rate 0.99, epsilon 1e-8, cache (zeros at the start).
    """
    config = completed("rmsprop", config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, cache=None)
    w = np.array(as_floating(w))
    state = {"square_avg": copied(w, config["cache"])}
    options = {"lr": config["learning_rate"], "alpha": config["decay_rate"], "eps": config["epsilon"]}
    rmsprop_rule(w, copied(w, dw), state, **options)
    return w, config | {"cache": state["square_avg"]}


def adam(w, dw, config=None):
    """A step of Adam as a function: `(next_w, next_config)`. Changes none of what it gets.

    config: learning_rate 1e-3, beta1 0.9, beta2 0.999, epsilon 1e-8, m and v (zeros at the start), t (0 at the start;
        it counts up before it is used).
    """
    config = completed("adam", config, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, m=None, v=None, t=0)
    w = np.array(as_floating(w))
    state = {"step": config["t"], "exp_avg": copied(w, config["m"]), "exp_avg_sq": copied(w, config["v"])}
    betas = config["beta1"], config["beta2"]
    adam_rule(w, copied(w, dw), state, lr=config["learning_rate"], betas=betas, eps=config["epsilon"])
    return w, config | {"m": state["exp_avg"], "v": state["exp_avg_sq"], "t": state["step"]}


# %%
def both_forms(rates):
    """Where the two forms of momentum are after gradients of 1 at these rates."""
    w, config, p = np.zeros(1), {}, parameter([0.0])
    optimizer = SGD([p], momentum=0.9)
    for lr in rates:
        p.grad, optimizer.lr = Tensor([1.0]), lr
        optimizer.step()
        w, config = sgd_momentum(w, np.ones(1), {**config, "learning_rate": lr})
    return p.data[0], w[0]


for rates in ([0.1, 0.1], [0.1, 0.01]):
    print("rates {}: sum of gradients {:.4f}, sum of steps {:.4f}".format(rates, *both_forms(rates)))

# %% [markdown]
# ## Part 4. Integration: digits, by every rule
#
# The network of Part 1, the five lines of `fit`, five epochs, and only the optimizer differs. Guess the order at the
# end. The rates are rounded from the sweep in the next cell, so each rule is shown near its best.


# %%
OPTIMIZERS = {
    "plain": (SGD, 0.5, {}),
    "momentum": (SGD, 0.1, {"momentum": 0.9}),
    "Nesterov": (SGD, 0.1, {"momentum": 0.9, "nesterov": True}),
    "Adagrad": (Adagrad, 0.1, {}),
    "RMSprop": (RMSprop, 0.01, {}),
    "Adam": (Adam, 0.01, {}),
    "AdamW": (AdamW, 0.01, {}),
}


def accuracy(model):
    return np.mean(model(Tensor(ink[test])).data.argmax(axis=1) == labels[test])


def digits_run(name, epochs=5, lr=None, **more):
    cls, usual, options = OPTIMIZERS[name]
    model = network()
    optimizer = cls(model.parameters(), lr=usual if lr is None else lr, **options, **more)
    return model, fit(model, optimizer, epochs)


curves = {}
for name in OPTIMIZERS:
    model, curves[name] = digits_run(name)
    last = np.mean(curves[name][-len(batches(0)) :])
    print(f"{name:9} mean loss in the fifth epoch {last:.4f}, accuracy on the test digits {accuracy(model):.3f}")

# %% tags=["measure"]
fig, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
for name, losses in curves.items():
    ax.semilogy(np.convolve(losses, np.ones(6) / 6, mode="valid"), label=name, linewidth=1)
ax.set(xlabel="step", ylabel="loss, mean of 6 steps")
ax.legend(ncols=2)
plt.show()

# %% [markdown]
# On an easy task, at a good rate, every rule is a good rule. The difference is in how much the rate matters. So sweep
# it: rates from $10^{-4}$ to 10, five epochs each. Guessing costs $\ln 10 \approx 2.30$; a rate that ends above that
# has made the network worse than ignorant. For the parabola the limit was sharp. Will it be here?

# %% tags=["measure"]
rates = 10.0 ** np.arange(-4, 1.25, 0.25)
fig, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
for name in ("plain", "momentum", "Adagrad", "RMSprop", "Adam"):
    with np.errstate(all="ignore"):
        ends = np.array([np.mean(digits_run(name, lr=lr)[1][-10:]) for lr in rates])
    ends[np.isnan(ends)] = np.inf
    best = rates[np.argmin(ends)]
    good = rates[ends <= 2 * ends.min()]
    worse = [f"{rate:.2g}" for rate, end in zip(rates, ends) if rate > best and end > math.log(10)]
    ax.loglog(rates, ends, "o-", label=name, linewidth=1, markersize=4)
    print(f"{name:9} best {best:.2g}; within twice the best loss from {good.min():.2g} to {good.max():.2g}; ", end="")
    print(f"worse than guessing from {worse[0] if worse else 'none of these'}")
ax.axhline(math.log(10), color="0.7", linestyle="--", label="guessing")
ax.set(xlabel="learning rate", ylabel="loss after five epochs", ylim=(0.05, 30))
ax.legend(ncols=2)
plt.show()

# %% [markdown]
# Each curve falls with the rate, is flat for a while, and then rises steeply; there is a limit, though not as sharp as
# for one parabola, because a network has many curvatures, and they change on the way. Compare plain descent with
# momentum: its sum makes steps up to $1/(1-0.9) = 10$ times as long, and its good rates lie several times lower. Rules
# that divide by the size of the gradient make steps of about the rate, in units of the weights themselves. So their
# good rates depend little on the network and its loss, and that, more than the last percent, is why they are popular.

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### What does it remember?
#
# A model with $n$ float32 weights takes $4n$ bytes, its gradients another $4n$. How many bytes does each rule add? The
# cell sums the arrays that are there after a step.

# %% tags=["measure"]
KINDS = {
    "SGD": lambda params: SGD(params),
    "SGD momentum": lambda params: SGD(params, momentum=0.9),
    "Adagrad": lambda params: Adagrad(params),
    "RMSprop": lambda params: RMSprop(params),
    "RMSprop, all options": lambda params: RMSprop(params, centered=True, momentum=0.9),
    "Adam": lambda params: Adam(params),
    "AdamW": lambda params: AdamW(params),
}


def with_gradients(shapes):
    rng = np.random.default_rng(0)
    return [parameter(rng.normal(size=shape), rng.normal(size=shape)) for shape in shapes]


shapes = [p.shape for p in network().parameters()]
for name, make in KINDS.items():
    params = with_gradients(shapes)
    optimizer = make(params)
    optimizer.step()
    held = sum(x.nbytes for state in optimizer.state.values() for x in state.values() if isinstance(x, np.ndarray))
    print(f"{name:21} {held / sum(p.size for p in params):4.0f} bytes a parameter, {held:6} in all")

# %% [markdown]
# ### Time of a step, by number of values
#
# The rules read and write each array from end to end. Predict the exponent with which the time grows, at the small end
# and at the large end, and by how much Adam is slower than plain descent. Count the passes: `w -= lr * g` is two.

# %% tags=["measure"]
sizes = 4 ** np.arange(3, 12)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
times = {}
for name in ("SGD", "SGD momentum", "RMSprop", "AdamW"):
    times[name] = []
    for size in sizes:
        optimizer = KINDS[name](with_gradients([(int(size),)]))
        times[name].append(measure(optimizer.step, f"{name}, {size} values", repeats=5))
    small, large = (
        np.polyfit(np.log(sizes[part]), np.log(np.array(times[name])[part]), 1)[0]
        for part in (slice(3), slice(-3, None))
    )
    print(f"{name}: exponent {small:.2f} for the three smallest, {large:.2f} for the three largest")
    ax.loglog(sizes, times[name], "o-", label=name)
ax.set(xlabel="values", ylabel="seconds a step")
ax.legend()
plt.show()
print(f"AdamW / SGD at {sizes[-1]} values: {times['AdamW'][-1] / times['SGD'][-1]:.1f}")

# %% [markdown]
# At the small end the exponent is near 0: a step costs its calls, and 64 values cost as much as 256. At the large end
# it is 1, or more, where the arrays have outgrown the processor's fast memory, so that each pass waits for the slow
# one. Then the number of passes decides, and Adam has about seven times as many as plain descent.
#
# ### Many small against few large
#
# A million values in one array, or in 100, or in 10,000 arrays. The arithmetic is the same. What is not?

# %% tags=["measure"]
for count in (1, 100, 10_000):
    optimizer = Adam(with_gradients([(1_000_000 // count,)] * count))
    seconds = measure(optimizer.step, f"{count:6} arrays of {1_000_000 // count:7}", repeats=3)
    print(f"{'':10} {seconds / count * 1e6:.1f} us for each array")

# %% [markdown]
# Every array costs a fixed price for the calls, whatever its size, and with 100 values that price is nearly all there
# is. So frameworks join small parameters into one (that is what PyTorch's `foreach` and `fused` are about). On a
# processor with little fast memory, the middle row can be the quickest: arrays of 10,000 values stay there from pass
# to pass.
#
# ### In place, or new arrays
#
# The same rule written without care, and yours. Predict the quotient of the times, and how many arrays of the size of
# the weights are alive at the worst moment, beyond weights, gradient and state.


# %% tags=["measure"]
def careless_adam(w, g, state, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """Adam as in the book, every line a new array; returns the new weights."""
    state["t"] += 1
    state["m"] = beta1 * state["m"] + (1 - beta1) * g
    state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
    m, v = state["m"] / (1 - beta1 ** state["t"]), state["v"] / (1 - beta2 ** state["t"])
    return w - lr * m / (np.sqrt(v) + eps)


def peak(fn):
    """The most memory that a call of `fn` had taken, besides what was taken before."""
    tracemalloc.start()
    try:
        fn()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


rng = np.random.default_rng(0)
w, g = rng.normal(size=(2, 500_000)).astype(np.float32)
states = {"t": 0, "m": np.zeros_like(w), "v": np.zeros_like(w)}, {}
ways = {"new arrays": lambda: careless_adam(w, g, states[0]), "in place": lambda: adam_rule(w, g, states[1], lr=0.001)}
for name, way in ways.items():
    measure(way, f"{name:10}", repeats=5)
    print(f"{'':10} at most {peak(way) / w.nbytes:.1f} arrays more")

# %% [markdown]
# ### What the correction is good for
#
# Adam with and without the two divisions by $1 - \beta^t$. Without them, the first step is
# $(1-\beta_1)/\sqrt{1-\beta_2} = 0.1/0.0316 \approx 3.2$ times the rate. Is it the longest? And what does it do to the
# digits, at the small rate of Part 4, and at a large one that is still good for Adam?


# %% tags=["measure"]
class Uncorrected(Adam):
    """Adam without the correction of its averages."""

    @staticmethod
    def rule(w, g, state, *, lr, betas, eps, weight_decay):
        m = accumulate(buffer(state, "exp_avg", w), (1 - betas[0]) * g, betas[0])
        v = accumulate(buffer(state, "exp_avg_sq", w), (1 - betas[1]) * g * g, betas[1])
        w -= lr * scaled(m, v, eps)


fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for cls in (Adam, Uncorrected):
    w, state, moves = np.zeros(1), {}, []
    for _ in range(100):
        before = w[0]
        cls.rule(w, np.ones(1), state, lr=1.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0)
        moves.append(before - w[0])
    print(
        f"{cls.__name__:12} on a slope of 1: step 1 {moves[0]:.2f}, largest {max(moves):.2f}, step 100 {moves[-1]:.2f}"
    )
    left.plot(moves, label=cls.__name__)
    for lr, style in ((0.01, "-"), (0.06, "--")):
        model = network()
        losses = fit(model, cls(model.parameters(), lr=lr), epochs=3)
        print(f"{'':12} digits, rate {lr}: largest loss {max(losses):5.2f}, at the end {np.mean(losses[-10:]):.3f}")
        right.semilogy(losses, style, linewidth=1, label=f"{cls.__name__}, {lr}")
left.set(xlabel="step", ylabel="length of the step / rate")
right.set(xlabel="step", ylabel="loss")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# Without correction the steps even *grow* at first, to more than six times the rate that was asked for: $m$ catches up
# within ten steps, and $v$ needs thousands. At a small rate that does no harm: larger steps were welcome. At a rate
# that is good with correction it throws the network off just when its weights are random, and it does not recover.
#
# ### A penalty against a decay, under Adam
#
# The digits again, with the same number $\lambda$ in the two ways. Look at the weights of the pixels that never had
# ink, as in 06-2, and at the others.

# %% tags=["measure"]
others = np.setdiff1d(np.arange(64), never)
for cls in (Adam, AdamW):
    for decay in (0, 0.1, 1.0):
        model = network()
        fit(model, cls(model.parameters(), lr=0.003, weight_decay=decay), epochs=3)
        weight = np.abs(model[0].weight.data)
        print(
            f"{cls.__name__:5} weight_decay {decay:3}: never inked {weight[:, never].mean():.4f}, "
            f"others {weight[:, others].mean():.4f}, accuracy {accuracy(model):.3f}"
        )

# %% [markdown]
# A penalty under Adam wipes out what has no gradient at all within these three epochs, whatever its factor, because
# $\lambda w / \sqrt{(\lambda w)^2}$ is 1 for every $\lambda$. So the same number means something else in each place.
# Under AdamW every weight fades by the same share, and $\lambda$ is what it says.
#
# ### Beside PyTorch
#
# Tests compare each rule with PyTorch's over a hundred steps, in float32 and float64. Where the two differ on purpose:
#
# | | PyTorch | here | why |
# |---|---|---|---|
# | `SGD` | rate 0.001, `dampening` | rate 0.01, no `dampening` | it is rarely used |
# | order of `SGD`'s options | `nesterov` at the end | `nesterov` after `momentum` | they belong together |
# | name of the rate | `lr` | `lr` or `learning_rate`, also as attributes | both are common in books |
# | empty list | error | allowed | a model without parameters is still a model |
# | a parameter that requires no gradient | is skipped | `ValueError` | it is nearly always forgotten, and not meant |
# | unknown option in a group | is kept, and ignored | `ValueError` | `weight_decy` should not go unnoticed |
# | "step" in the state | a float Tensor | an int | it counts |
# | centered RMSprop, variance below 0 by rounding | nan | counts as 0 | a nan never leaves again |
# | `load_state_dict` | checks numbers of parameters | checks names and shapes too | half a state is none |
# | `step(closure)`, `maximize`, `amsgrad`, `foreach`, `fused` | there | not there | |

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more, and then all of it together: real gradients from module 05 lead every optimizer to the bottom of
# a bowl, a network learns, and a training that was stopped goes on bit for bit.


# %% nbgrader={"grade_id": "06-module"}
def stopped_and_gone_on(make):
    """Weights after a training without a stop, and after one that was stopped half way."""
    results = []
    for stop in (False, True):
        model = network()
        optimizer = make(model.parameters())
        for part in batches(0)[:4], batches(1)[:4]:
            for x, y in part:
                optimizer.zero_grad()
                loss_fn(model(x), y).backward()
                optimizer.step()
            if stop:
                arrays, saved, model = model.state_dict(), optimizer.state_dict(), network(seed=9)
                model.load_state_dict(arrays)
                optimizer = make(model.parameters)
                optimizer.load_state_dict(saved)
        results.append(np.concatenate([p.data.ravel() for p in model.parameters()]))
    return results


def test_module():
    test_unit_step()
    test_unit_penalised()
    test_unit_penalised_is_a_slope()
    test_unit_accumulate()
    test_unit_accumulate_averages()
    test_unit_sgd_rule()
    test_unit_sgd_rule_nesterov()
    test_unit_rmsprop_rule()
    test_unit_rmsprop_rule_options()
    test_unit_adam_rule()
    test_unit_adam_rule_eps()
    test_unit_adamw_rule()
    test_unit_sgd_momentum()
    test_unit_sgd_momentum_schedule()

    makes = {
        "SGD": lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True),
        "Adagrad": lambda params: Adagrad(params, lr=1.0),
        "RMSprop": lambda params: RMSprop(params, lr=0.02, momentum=0.5, centered=True),
        "Adam": lambda params: Adam(params, lr=0.1),
        "AdamW": lambda params: AdamW(params, lr=0.1, weight_decay=1e-4),
    }
    for name, make in makes.items():
        w, goal = parameter([3.0, -2.0]), Tensor([1.0, 1.0])
        optimizer = make([w])
        for _ in range(300):
            optimizer.zero_grad()
            ((w - goal) * (w - goal)).sum().backward()
            optimizer.step()
        check_close(w, [1, 1], f"{name} finds the bottom of a bowl", atol=0.02)
        straight_on, resumed = stopped_and_gone_on(make)
        check(np.array_equal(straight_on, resumed), f"{name} goes on bit for bit after a stop")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "06-q1", "points": 5, "solution": true}
# **Question 1. The valley (5 points).** A loss is $\tfrac12 (w_0^2 + 400 w_1^2)$. (a) From which rate on does plain
# descent diverge, and in which direction? (b) At three quarters of that rate, by which factor does $w_0$ shrink in a
# step, and about how many steps does it take to fall to 1/100? (c) Somebody uses momentum 0.9 instead. On a slope that
# does not change, by which factor do steps become longer in the end? (d) Why does the same sum not make the zigzag
# across the valley ten times as wide?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 2/400 = 0.005, in the steep direction w1.
# 1 point: (b) factor 1 - 0.00375 = 0.99625.
# 1 point: ln(100) / 0.00375, about 1200 steps (1000 to 1400).
# 1 point: (c) 1 / (1 - 0.9) = 10.
# 1 point: (d) the slopes across change their sign from step to step, so that they cancel in the sum.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "06-q2", "points": 5, "solution": true}
# **Question 2. Memory (5 points).** A model has $7\cdot10^9$ parameters in float32, and is trained with Adam. (a) How
# many bytes do weights, gradients and the state of the optimizer take, each and together? (b) What would SGD with
# momentum save, and which of the troubles in this module would come back? (c) Somebody keeps the state in 16-bit
# numbers with 11 binary digits. A weight of $v$ gets $(1-\beta_2)\,g^2$ added with $\beta_2 = 0.999$. What goes wrong
# when $v$ is near $g^2$?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) 28 GB weights, 28 GB gradients, 56 GB state, 112 GB together (1 for the state being twice the weights).
# 1 point: (b) it saves 28 GB.
# 1 point: one rate for all numbers: those with rare or small gradients learn slowly; the rate must be found anew.
# 1 point: (c) each step changes v by at most about a thousandth of itself, and 11 digits resolve about 1/2000, so that
# what is added is rounded away or to one unit: the average stands still.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "06-q3", "points": 5, "solution": true}
# **Question 3. What is scaled, and what is not (5 points).** A colleague multiplies the loss by 1000. (a) What becomes
# of a step of plain descent, and of a step of Adam, with $\varepsilon = 0$? (b) Adam is used with a penalty
# (`weight_decay` in `Adam`). Does the multiplication change which weights fade? And with AdamW? (c) A training with
# Adam was stopped; weights were saved, the optimizer was not. The new one starts at the same rate. Describe the first
# step, and why it can be harmful although the rate is the same.
#
# ### BEGIN MARK SCHEME
# 2 points: (a) plain descent: 1000 times as long (1); Adam: the same, g / sqrt(g^2) does not change (1). 1 point: (b)
# yes under Adam: the penalty is now a thousandth of the gradient; no under AdamW. 2 points: (c) m and v start from
# zero, so the first step has length lr in every number, in the direction of the sign of one noisy gradient (1); before,
# the steps of noisy numbers were much shorter than lr, because their averages had cancelled (1).
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 06-9. The mean of the way
#
# Near the bottom, noise keeps weights moving around the place where they ought to be. The *mean* of the last places is
# a better one than any of them, and costs one array for each parameter. `MovingAverage` keeps a copy of each, and after
# each step of training, `update` moves the copy a little towards the weights: a moving average with `decay`, in the
# memory of the copy. `averages` starts with copies of the weights, so there is nothing to correct.


# %% nbgrader={"grade_id": "06-9", "solution": true, "optional": true}
#| export
class MovingAverage:
    """Moving averages of parameters: `averages`, a list of arrays in the order of `params`.

    Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", for the mean.
    """

    def __init__(self, params, decay=0.99):
        self.params, self.decay = as_list("MovingAverage", params), decay
        self.averages = [np.array(p.data) for p in self.params]

    def update(self):
        """Take in the parameters as they are now; they stay as they are."""
        ### BEGIN SOLUTION
        for average, p in zip(self.averages, self.params):
            accumulate(average, (1 - self.decay) * p.data, self.decay)
        ### END SOLUTION


# %% nbgrader={"grade_id": "06-9-test", "optional": true}
def test_unit_moving_average():
    w = parameter([1.0, 2.0])
    mean = MovingAverage([w], decay=0.75)
    memory = mean.averages[0]
    w.data = [5.0, -2.0]
    mean.update()
    check_close(mean.averages[0], [2, 1], "decay of the old average, 1 - decay of the weights")
    check_close(w, [5, -2], "the weights stay as they are")
    mean.update()
    check_close(mean.averages[0], [2.75, 0.25], "a second time")
    check(mean.averages[0] is memory, "the average stays in its memory")


test_unit_moving_average()


# %% tags=["measure"]
def noisy_bowl(rate, decay=0.98, steps=600, seed=0):
    """Distances from the bottom, of the weights and of their moving average, with noise on every gradient."""
    rng = np.random.default_rng(seed)
    w = parameter(np.full(20, 3.0))
    mean, optimizer, found = MovingAverage([w], decay), SGD([w], lr=rate), []
    for _ in range(steps):
        w.grad = Tensor(w.data + rng.normal(size=20))
        optimizer.step()
        mean.update()
        found.append((np.linalg.norm(w.data), np.linalg.norm(mean.averages[0])))
    return np.array(found)


for rate in (0.02, 0.2):
    ends = noisy_bowl(rate)[-200:].mean(axis=0)
    print(f"rate {rate}: distance from the bottom, weights {ends[0]:.3f}, their moving average {ends[1]:.3f}")

# %% [markdown]
# ### Task 06-10. Only the sign
#
# Adam's step is nearly a sign: about as long as the rate, in every number. Lion (2023), found by a program that
# searched through programs, takes the sign in earnest and needs one array instead of two:
#
# $$c = \beta_1 m + (1-\beta_1)\, g, \qquad w \leftarrow w\,(1 - \eta\lambda) - \eta\, \operatorname{sign}(c), \qquad
#   m \leftarrow \beta_2 m + (1-\beta_2)\, g .$$
#
# The step looks at the old $m$ mixed with much of the new gradient; what is remembered mixes in little of it. So $m$
# must not change before $c$ has been computed.


# %% nbgrader={"grade_id": "06-10", "solution": true, "optional": true}
#| export
def lion_rule(w, g, state, *, lr, betas=(0.9, 0.99), weight_decay=0):
    """A step of `lr` along the sign of an average of gradients: changes `w` and `state` in place, and not `g`.

    state: "exp_avg" is m.
    Source: Chen and others 2023, "Symbolic discovery of optimization algorithms", algorithm 2.
    """
    m = buffer(state, "exp_avg", w)
    ### BEGIN SOLUTION
    beta1, beta2 = betas
    sign = np.sign(beta1 * m + (1 - beta1) * g)
    w *= 1 - lr * weight_decay
    w -= lr * sign
    accumulate(m, (1 - beta2) * g, beta2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "06-10-test", "optional": true}
def test_unit_lion_rule():
    w, state = np.array([1.0, 1.0]), {}
    lion_rule(w, np.array([5.0, -0.1]), state, lr=0.1, betas=(0.5, 0.75))
    check_close(w, [0.9, 1.1], "every number moves by lr")
    check_close(state["exp_avg"], [1.25, -0.025], "m mixes in 1 - beta2 of the gradient")
    lion_rule(w, np.array([-1.0, 0.0]), state, lr=0.1, betas=(0.5, 0.75), weight_decay=1.0)
    check_close(w, [0.71, 1.09], "the sign is that of beta1 * old m + (1 - beta1) * g, after the decay")
    check_close(state["exp_avg"], [0.6875, -0.01875], "the second m")


test_unit_lion_rule()


# %%
#| export
class Lion(Optimizer):
    """Steps along the sign of an average of gradients: see `lion_rule`."""

    rule = staticmethod(lion_rule)
    required = ("exp_avg",)

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0):
        super().__init__(params, lr, betas=betas, weight_decay=weight_decay)


# %% tags=["measure"]
OPTIMIZERS["Lion"] = (Lion, 0.003, {})
model, lion_losses = digits_run("Lion")
print(
    f"Lion: mean loss in the fifth epoch {np.mean(lion_losses[-len(batches(0)) :]):.4f}, accuracy {accuracy(model):.3f}"
)

# %% [markdown]
# ## Summary
#
# - The steepest curvature limits the rate, the flattest one decides how long you wait. Below the limit every number
#   shrinks by its own factor, above it the loss explodes.
# - One primitive, $v \leftarrow \mu v + x$, is momentum with $x = g$, a moving average with $x = (1-\mu) g$, and a
#   velocity with $x = -\eta g$. The first and the last part as soon as the rate changes.
# - Dividing by the root of an average of squares gives every number its own rate. An average that starts at zero is too
#   small by the factor $1-\beta^t$, and Adam divides it out.
# - A penalty is a part of the gradient, and is scaled with it; a decay is not. That is all of the difference between
#   Adam with `weight_decay` and AdamW.
# - Rules write in place, keep one or two arrays for each parameter, and save them: what is not saved is lost at the
#   stop.
#
# **Next.** Five lines train a network. A training that you would trust with a week of computing needs more: schedules,
# clipping, stopping in time, checkpoints. Module 07 builds the loop around the five lines.
