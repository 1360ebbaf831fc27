# %% [markdown]
# # Module 07. Training
#
# You have a network, a loss, gradients and a rule that turns gradients into steps. What is missing looks like five
# lines around them. Yet these lines are where most training goes wrong, and nearly always in silence: a wrong order
# still runs, a wrong average is still a number, and a run that cannot be repeated looks like any other. In this module
# you build the loop that does it right: that knows what an epoch's loss *is*, cools the learning rate, survives a bad
# batch, stops when it should, and can be switched off at night and go on in the morning as if nothing had happened.
#
# **You need** modules 03 (`Module`, `state_dict`, `train()` and `eval()`), 04 (losses), 05 (`backward`) and 06
# (optimizers).
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 03 `train()`, `eval()`, `state_dict` | the mode of an epoch, checkpoints | 08 data loaders: what an epoch reads |
# | 04 losses | the number that falls | 09 to 15: every network is trained by this loop |
# | 05 `backward`, gradients that add up | one step, accumulation | 15 transformers: small pieces of large batches |
# | 06 `step`, `zero_grad`, moments | what a step does, and must be saved | 16 profiling: where its time goes |
#
# **After this module you can**
#
# - put the parts of a training step in the right order, and say what each wrong order does;
# - report an epoch's loss and accuracy exactly, with dropout off, over batches of any sizes;
# - choose a schedule and a clipping limit from measurements, and know what both cost;
# - train with batches that do not fit into memory, and prove that it is the same training;
# - stop at the right epoch, keep the best weights, and resume a run bit for bit;
# - say where the time and the memory of training go, with numbers of your own.
#
# Your code goes to `tinytorch/core/training.py` and `tinytorch/core/metrics.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.training import CosineSchedule, CrossEntropyLoss, EarlyStopping, Trainer
#
# trainer = Trainer(model, optimizer, CrossEntropyLoss(), CosineSchedule(0.1, 0.001, 20), grad_clip_norm=1.0)
# history = trainer.fit(train_batches, val_batches, epochs=20, early_stopping=EarlyStopping(patience=5))
# trainer.save_checkpoint("run.ckpt")
# ```

# %%
#| default_exp core.training
#| export
import contextlib
import copy
import csv
import functools
import inspect
import io
import itertools
import json
import logging
import math
import os
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from numbers import Integral, Real
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tinytorch._progress import somebody_looks
from tinytorch.checkpoint import load as load_file
from tinytorch.checkpoint import make_folder_of, require_place
from tinytorch.checkpoint import save as save_file
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import Sequential
from tinytorch.core.losses import (  # noqa: F401  a course needs one place to import from
    BCEWithLogitsLoss,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    MeanSquaredError,
    MSELoss,
)
from tinytorch.core.optimizers import as_list
from tinytorch.core.tensor import Tensor, autograd, operation
from tinytorch.random import default_generator

# %%
#| export core.metrics
import math
import re

import numpy as np

# %%
import tempfile
import time

from tinytorch.core.activations import ReLU, relu
from tinytorch.core.layers import Dropout, Linear, linear
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, Adam, sgd
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import add_to, check, check_close, check_raises, measure

images, labels = load_digits()
train, test = digits_split()
ink = images.reshape(-1, 64) / 16  # (1797, 64), between 0 and 1


def check_equal(got, expected, promise):
    """`check_close` for what is not numbers."""
    check(got == expected, f"{promise}: expected {expected}, got {got}")


# %% [markdown]
# ## Part 1. Introduction
#
# Here is training without any help. `Batches` hands out a data set in small pieces, in a new order each time it is read
# (module 08 builds a real loader). The loop is the one of module 06, for five epochs on the digits; an *epoch* is one
# pass over all training images. Two of its lines can be left out: the one that forgets the old gradients, and the one
# that switches dropout off before the accuracy is measured. **Predict** which of the two costs more.


# %%
class Batches:
    """Arrays in batches of (inputs, targets): in order, or in a new order of `rng` each time it is read."""

    def __init__(self, inputs, targets, batch_size=32, rng=None):
        self.inputs, self.targets, self.batch_size, self.rng = inputs, targets, batch_size, rng

    def __len__(self):
        return math.ceil(len(self.inputs) / self.batch_size)

    def __iter__(self):
        size = len(self.inputs)
        order = np.arange(size) if self.rng is None else self.rng.permutation(size)
        for start in range(0, size, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield Tensor(self.inputs[rows]), self.targets[rows]


def digit_network(seed=0, dropout=0.0):
    manual_seed(seed)
    return Sequential(Linear(64, 32), ReLU(), Dropout(dropout), Linear(32, 10))


# %%
def bare_loop(without="", seed=0, epochs=5):
    """Train on the digits with plain lines; returns the accuracy on the test images."""
    model, loss = digit_network(seed, dropout=0.2), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _epoch in range(epochs):
        for x, y in Batches(ink[train], labels[train], 32, default_generator):
            if without != "zero_grad":
                optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    if without != "eval":
        model.eval()
    return np.mean(model(Tensor(ink[test])).data.argmax(axis=1) == labels[test])


# %%
for without in ("nothing", "eval", "zero_grad"):
    found = [bare_loop(without, seed) for seed in range(3)]
    print(f"without {without:9}: test accuracy", "  ".join(f"{share:.3f}" for share in found))

# %% [markdown]
# Neither mistake raises an error, neither prints a warning, and each gives a number that one could believe if one did
# not know the first row. That is the difficulty of this module: what is wrong looks like a worse network. So every
# part of the loop gets a definition that can be tested by hand.

# %% [markdown]
# ## Part 2. Foundations
#
# ### A mean of means is not the mean
#
# Losses and accuracies come one batch at a time, each a mean over its samples. The last batch of an epoch is usually
# smaller. Five samples in batches of four and one: **predict** both lines.

# %%
losses = np.array([1.0, 1.0, 1.0, 1.0, 6.0])
pieces = [losses[:4], losses[4:]]
print("mean of all five samples:", losses.mean())
print("mean of the two batch means:", np.mean([piece.mean() for piece in pieces]))
print("each batch mean counted as often as it has samples:", sum(piece.mean() * len(piece) for piece in pieces) / 5)

# %% [markdown]
# With batches of $n_i$ samples and means $\ell_i$, the mean over all samples is
#
# $$\ell = \frac{\sum_i n_i\,\ell_i}{\sum_i n_i} .$$
#
# ### Gradients add up
#
# `backward()` *adds* to what stands in `.grad`. That is what makes shared weights work, and it is why `zero_grad` must
# come before each step. It is also a tool: by the formula above, the gradient of a mean over many samples is the sum
# of the pieces' gradients, each times its count, divided once by the number of all.

# %%
w = Tensor([2.0], requires_grad=True)
(w * 3.0).sum().backward()
(w * 5.0).sum().backward()
print("after two backward passes, 3 + 5:", w.grad.data)
w.grad.data /= 4  # writes into the array that is there
print("divided in place:", w.grad.data)

# %% [markdown]
# ### One length for many arrays
#
# The gradient of a network is one long vector that happens to live in many arrays. Its length is the root of the sum of
# *all* squares. `ravel` makes a flat vector of an array of any shape, and for flat vectors `a @ a` is the sum of the
# squares. What does float32 say to the square of $10^{20}$?

# %%
part = np.array([[3e20, 0.0], [0.0, 4e20]], dtype=np.float32)
flat = part.ravel()
with np.errstate(over="ignore"):
    print("float32:", flat @ flat)
wide = part.astype(np.float64).ravel()
print("float64:", wide @ wide, " length", math.sqrt(wide @ wide), " finite:", math.isfinite(math.sqrt(wide @ wide)))

# %% [markdown]
# ### What is computed when, and what is done in any case
#
# A function with `yield` hands out one value after the other (module 03), and computes each when somebody asks for it,
# not before. And what stands in `finally` is done on every way out of its `try`, also when an error flies past. Read
# the order of the lines that this prints:


# %%
def lazily():
    for n in (1, 2):
        print("  computing", n)
        yield n


handed_out = lazily()
print("nothing is computed yet")
try:
    for n in handed_out:
        print("  got", n)
        print("  and", 1 / (2 - n))
except ZeroDivisionError:
    print("the error arrives outside")
finally:
    print("and this is done in any case")

# %% [markdown]
# ### Two names, one array
#
# Whoever keeps the best weights by giving them a second name keeps the last weights: training goes on writing into the
# same arrays. `copy.deepcopy` copies a container with everything in it.

# %%
weights = {"w": np.array([1.0])}
second_name, real_copy = dict(weights), copy.deepcopy(weights)
weights["w"] += 10
print("second name:", second_name["w"], "  copy:", real_copy["w"])

# %% [markdown]
# ### Out of the wrapping (given)
#
# Numbers arrive as Tensors, arrays, lists, in wrappers around these. Two helpers unwrap them, and refuse what is no
# number; one that printed a warning and went on with 0.0 would end up in a table of results.


# %%
#| export core.metrics
def extract_numpy_data(x):
    """The numbers in `x` as an array: an array, Tensor, nested `.data`, memoryview, number, or nested list of these.

    Raises: TypeError for what is not numbers.
    """
    inner = x if isinstance(x, np.ndarray) else getattr(x, "data", x)
    if type(inner) is np.ndarray and inner.dtype.kind in "biuf":  # nearly always
        return inner
    inner = x
    for _ in range(8):  # a Variable around a Tensor around an array, and no endless chain
        if isinstance(inner, np.ndarray | np.generic | memoryview) or not hasattr(inner, "data"):
            break
        inner = inner.data
    if isinstance(inner, list | tuple):
        inner = [extract_numpy_data(part) for part in inner]
    try:
        array = np.asarray(inner)
    except ValueError as error:
        raise TypeError(f"extract_numpy_data: {x!r:.60} is no array of numbers ({error})") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"extract_numpy_data: {x!r:.60} of type {type(x).__name__} is not numbers")
    return array


def get_tensor_value(x):
    """The one number in `x` as a float. Raises: TypeError where there is not exactly one."""
    array = extract_numpy_data(x)
    if array.size != 1:
        raise TypeError(f"get_tensor_value: expected one number, and {type(x).__name__} has shape {array.shape}")
    return float(array.item())


# %% [markdown]
# What can go wrong after an hour should be refused in the first second. Two helpers do that wherever a part or a number
# is handed in: `require` wants an object that has certain methods, and `whole` a whole number that is large enough.


# %%
#| export
def require(part, role, *methods):
    """Raise TypeError that begins with `role` unless `part` is an object that has all `methods`."""
    if isinstance(part, type):
        raise TypeError(f"{role} is the class {part.__name__}; give an object of it: {part.__name__}(...)")
    missing = [name for name in methods if not hasattr(part, name)]
    if missing:
        raise TypeError(f"{role} is {part!r:.60}, and that has no {' and no '.join(missing)}")


def whole(name, value, least):
    """`value` as an int. Raises: ValueError that begins with `name` unless it is a whole number, at least `least`."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r:.60}; it must be a whole number, at least {least}")
    return int(value)


# %%
for refused in (lambda: require(SGD, "optimizer", "step"), lambda: whole("epochs", 2.5, 1)):
    try:
        refused()
    except (TypeError, ValueError) as error:
        print(error)

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 07-1. A learning rate that cools down
#
# How large should a step be? Take the simplest case in which that can be computed: descent on $f(w) = w^2/2$ with noise
# of variance 1 on the gradient, as batches make it. Each step gives $w \leftarrow (1-\eta)\,w - \eta\,\xi$. The start
# is forgotten like $(1-\eta)^t$, so a large $\eta$ is quick. But the noise comes in with every step, and the variance
# where it settles solves $v = (1-\eta)^2 v + \eta^2$:
#
# $$v = \frac{\eta}{2-\eta}, \qquad\text{so the loss settles at}\qquad \frac{\eta}{2\,(2-\eta)} .$$
#
# A thousand such descents at once, from $w = 10$. **Predict** the last column for both rates from the formula, before
# you run it. Does the small rate get there in 200 steps?


# %%
def noisy_descent(rate_at, steps=200, runs=1000, seed=0):
    """Mean loss w**2 / 2 after each step of many descents from w = 10; the gradient w has noise of variance 1."""
    rng = np.random.default_rng(seed)
    w, losses = np.full(runs, 10.0), []
    for step in range(steps):
        w = w - rate_at(step) * (w + rng.normal(size=runs))
        losses.append(float(np.mean(w * w) / 2))
    return losses


for rate in (0.5, 0.02):
    losses = noisy_descent(lambda step, rate=rate: rate)
    print(f"rate {rate:4}: loss after 10 steps {losses[9]:8.4f}, at the end {np.mean(losses[-20:]):.4f}")

# %% [markdown]
# The large rate is there after ten steps, and stays as far above zero as the formula says. The small one could settle
# far below it, and is still on the way. We want the first at the beginning and the second at the end, without a jump
# between them. Half a cosine does that: flat at the start, flat at the end, steepest in the middle.
#
# $$\eta_t = \eta_{\min} + (\eta_{\max} - \eta_{\min})\,\frac{1 + \cos(\pi t / T)}{2}$$
#
# By hand, before you type it: what is $\eta_0$, what $\eta_{T/2}$? And what would the cosine do for $t > T$ if you let
# it? There, the rate should stay at $\eta_{\min}$.

# %%
print("cosine of 0, a quarter turn, half a turn, a whole turn:")
print([round(math.cos(turn * math.pi), 6) for turn in (0, 0.5, 1, 2)])


# %% nbgrader={"grade_id": "07-1", "solution": true}
#| export
class CosineSchedule:
    """Learning rate that falls from `max_lr` to `min_lr` along half a cosine.

    Raises: ValueError if `total_epochs` is less than 1.
    Source: Loshchilov and Hutter 2017, "SGDR: Stochastic gradient descent with warm restarts", equation 5, without
        the restarts.
    """

    def __init__(self, max_lr=0.1, min_lr=0.01, total_epochs=100):
        if total_epochs < 1:
            raise ValueError(f"CosineSchedule: total_epochs is {total_epochs}; it needs at least 1")
        self.max_lr, self.min_lr, self.total_epochs = max_lr, min_lr, total_epochs

    def get_lr(self, epoch):
        """Rate for `epoch`, counted from 0. From `total_epochs` on it stays at `min_lr`."""
        ### BEGIN SOLUTION
        progress = min(epoch / self.total_epochs, 1.0)
        return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * progress)) / 2
        ### END SOLUTION


# %% nbgrader={"grade_id": "07-1-test", "points": 5}
def test_unit_cosine_schedule():
    schedule = CosineSchedule(max_lr=0.1, min_lr=0.01, total_epochs=100)
    check_close(schedule.get_lr(0), 0.1, "epoch 0 gives max_lr")
    check_close(schedule.get_lr(50), 0.055, "half way gives the midpoint")
    check_close(schedule.get_lr(25), 0.055 + 0.045 * math.sqrt(0.5), "after a quarter the curve is above the line")
    check_close(schedule.get_lr(100), 0.01, "epoch total_epochs gives min_lr")
    check_close(schedule.get_lr(150), 0.01, "past the end it stays at min_lr")
    rates = [CosineSchedule(0.2, 0.0, 7).get_lr(epoch) for epoch in range(10)]
    check(all(a >= b for a, b in zip(rates, rates[1:])), "the rate never rises on the way")
    check_raises(ValueError, lambda: CosineSchedule(total_epochs=0), "a schedule over no epochs is an error")


test_unit_cosine_schedule()

# %% [markdown]
# The same descents with your schedule, from 0.5 down to zero. **Predict**: after 10 steps, which of the two constants
# will it resemble? And at the end: between them, or below both?

# %% tags=["measure"]
import matplotlib.pyplot as plt

schedule = CosineSchedule(max_lr=0.5, min_lr=0.0, total_epochs=200)
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, rate_at in (("0.5", lambda t: 0.5), ("0.02", lambda t: 0.02), ("cosine", schedule.get_lr)):
    losses = noisy_descent(rate_at)
    ax.semilogy(losses, label=f"{name}: after 10 steps {losses[9]:.3g}, at the end {losses[-1]:.2g}")
ax.axhline(0.5 / 2 / 1.5, color="0.7", zorder=0)
ax.set(xlabel="step", ylabel="mean loss")
ax.legend()
plt.show()

# %% [markdown]
# Below both: late in the curve the noise of the early steps has been forgotten, and little new noise comes in.
#
# ### Other schedules (given)
#
# A schedule is any object with `get_lr(epoch)`, and `epoch` counts from 0. Two older shapes: a staircase, and a curve
# that loses the same share every epoch. `SequentialSchedule` puts any of them one behind the other. The function at the
# end is the staircase again, for loops without objects.


# %%
#| export
class StepDecay:
    """`initial_lr`, multiplied by `gamma` after every `step_size` epochs."""

    def __init__(self, initial_lr, step_size, gamma=0.1):
        if step_size < 1:
            raise ValueError(f"StepDecay: step_size is {step_size}; it needs at least 1")
        self.initial_lr, self.step_size, self.gamma = initial_lr, step_size, gamma

    def get_lr(self, epoch):
        return self.initial_lr * self.gamma ** (epoch // self.step_size)


class ExponentialDecay:
    """`initial_lr`, multiplied by `gamma` after every epoch."""

    def __init__(self, initial_lr, gamma):
        self.initial_lr, self.gamma = initial_lr, gamma

    def get_lr(self, epoch):
        return self.initial_lr * self.gamma**epoch


class SequentialSchedule:
    """`schedules` one after the other; each counts its epochs from 0.

    milestones: the epochs in which the second, the third, ... begins, rising.
    Raises: ValueError for another number of milestones, or milestones that do not rise.
    """

    def __init__(self, schedules, milestones):
        for schedule in schedules:
            require(schedule, "SequentialSchedule: a schedule", "get_lr")
        if len(milestones) != len(schedules) - 1 or list(milestones) != sorted(set(milestones)):
            raise ValueError(
                f"SequentialSchedule: {len(schedules)} schedules and milestones {milestones}; there must be one "
                "milestone less than schedules, and they must rise"
            )
        self.schedules, self.milestones = list(schedules), list(milestones)

    def get_lr(self, epoch):
        place = sum(epoch >= start for start in self.milestones)
        return self.schedules[place].get_lr(epoch - [0, *self.milestones][place])


def learning_rate_schedule(epoch, initial_lr=0.001, decay=0.95, decay_every=10):
    """`StepDecay` as a function: the rate in `epoch`, multiplied by `decay` every `decay_every` epochs."""
    if decay_every < 1:
        raise ValueError(f"learning_rate_schedule: decay_every is {decay_every}; it needs at least 1")
    return StepDecay(initial_lr, decay_every, decay).get_lr(epoch)


# %% tags=["measure"]
shapes = {
    "cosine": CosineSchedule(0.1, 0.001, 30),
    "steps of 10": StepDecay(0.1, 10),
    "exponential": ExponentialDecay(0.1, 0.85),
    "cosine twice": SequentialSchedule([CosineSchedule(0.1, 0.001, 15), CosineSchedule(0.1, 0.001, 15)], [15]),
}
fig, ax = plt.subplots(figsize=(6, 2.5), layout="constrained")
for name, shape in shapes.items():
    ax.semilogy([shape.get_lr(epoch) for epoch in range(30)], label=name)
ax.set(xlabel="epoch", ylabel="rate")
ax.legend()
plt.show()

# %% [markdown]
# ### Task 07-2. A limit on how far one bad batch can throw you
#
# Steep places in a loss are narrow: a cliff, a batch of wrong labels, a long sentence. There a single gradient may be a
# thousand times longer than its neighbours, and the step it makes undoes an hour of training. Its direction is still
# good advice; only its length is not. So the gradient is shortened when it passes a limit $c$, **all parameters by the
# same factor**:
#
# $$g \leftarrow g \cdot \min\!\left(1, \frac{c}{\lVert g\rVert}\right), \qquad
#   \lVert g\rVert = \sqrt{\textstyle\sum_p \sum_i g_{p,i}^2}$$
#
# The length runs over *all* parameters together. Clipping each on its own would bend the direction: try it on paper
# with the gradients $(3, 4)$ and $(0, 1)$ and the limit 1.
#
# Two traps. The squares of large float32 numbers overflow (Part 2), so sum them in float64. And when a gradient holds
# `inf` or `nan`, no factor helps: multiplying would spread the damage to every parameter. Then warn, leave all
# gradients as they are, and return the length as it is, so that the caller can leave the step out.
#
# Write into the arrays that are there, as in `g *= 2`: the parameters know these arrays, and not the ones you make.

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("this is how a function warns; stacklevel=2 names the caller's line", stacklevel=2)
print([str(warning.message) for warning in caught])


# %%
#| export
def gradient_arrays(parameters):
    """The gradients of `parameters` as arrays, the very ones that are there; missing gradients are left out.

    parameters: objects with `.grad`, which is None, an array, or something with `.data`.
    Raises: TypeError for arrays and names, which would look as if they had no gradient yet.
    """
    parameters = list(parameters)
    for p in parameters:
        if isinstance(p, np.ndarray | str):
            raise TypeError(f"{p!r:.60} is a {type(p).__name__} and no parameter, so it has no .grad")
    gradients = (getattr(p, "grad", None) for p in parameters)
    return [g if isinstance(g, np.ndarray) else g.data for g in gradients if g is not None]


# %% nbgrader={"grade_id": "07-2", "solution": true}
#| export
def clip_grad_norm(parameters, max_norm=1.0):
    """Scale all gradients in place so that their global L2 norm is at most `max_norm`.

    parameters: iterable of objects with `.grad` (None, an array, or something with `.data`); None is left out.
    Returns the norm before clipping, a float; 0.0 when there is no gradient.
    Warns and changes nothing when the norm is not finite.
    Raises: ValueError if `max_norm` is not above 0; TypeError for what are no parameters, such as a whole model.
    Source: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: max_norm is {max_norm}; it must be above 0")
    gradients = gradient_arrays(as_list("clip_grad_norm", parameters))
    ### BEGIN SOLUTION
    flat = [g.astype(np.float64).ravel() for g in gradients]
    norm = math.sqrt(sum(float(g @ g) for g in flat))
    if not math.isfinite(norm):
        warnings.warn(f"clip_grad_norm: the norm is {norm}; the gradients stay as they are", stacklevel=2)
    elif norm > max_norm:
        for g in gradients:
            g *= max_norm / norm
    return norm
    ### END SOLUTION


# %% nbgrader={"grade_id": "07-2-test", "points": 5}
def with_gradients(*values):
    """Tensors of zeros that have these gradients; for None there is none."""
    tensors = [Tensor(np.zeros(1 if v is None else np.shape(v)), requires_grad=True) for v in values]
    for tensor, v in zip(tensors, values):
        tensor.grad = None if v is None else Tensor(v)
    return tensors


def test_unit_clip_grad_norm():
    a, b, unused = with_gradients([[3.0], [4.0]], [0.0, 12.0], None)
    check_close(clip_grad_norm(iter([a, b, unused]), max_norm=1.0), 13.0, "one length over all parameters")
    check_close(a.grad.data, np.array([[3], [4]]) / 13, "the first gradient is shortened by the common factor")
    check_close(b.grad.data, np.array([0, 12]) / 13, "the second gradient is shortened by the common factor")
    check(a.grad.dtype == np.float32, "a float32 gradient stays float32")
    (small,) = with_gradients([0.3, 0.4])
    check_close(clip_grad_norm([small], max_norm=1.0), 0.5, "the length is returned also when nothing is clipped")
    check_close(small.grad.data, [0.3, 0.4], "a gradient within the limit stays as it is")
    check_close(clip_grad_norm([]), 0.0, "no parameters have length 0")
    (zeros,) = with_gradients([0.0, 0.0])
    check(isinstance(clip_grad_norm([zeros]), float), "the length is a float")
    check_close(zeros.grad.data, [0.0, 0.0], "a gradient of zeros stays")
    plain = SimpleNamespace(grad=np.array([30.0, 40.0]))
    check_close(clip_grad_norm([plain], max_norm=5.0), 50.0, "a gradient may be an array")
    check_close(plain.grad, [3, 4], "an array is shortened in place")


def test_unit_clip_grad_norm_extremes():
    big = with_gradients([3e20], [4e20])
    check_close(clip_grad_norm(big, max_norm=1.0) / 1e20, 5.0, "the squares are summed without overflow")
    check_close([p.grad.data[0] for p in big], [0.6, 0.8], "a huge gradient keeps its direction")
    broken, sound = with_gradients([np.inf, 1.0], [2.0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        norm = clip_grad_norm([broken, sound], max_norm=1.0)
    check(not math.isfinite(norm), "a length that is not finite is returned")
    check_close(sound.grad.data, [2.0], "a broken gradient leaves the others as they are")
    check(any(issubclass(warning.category, UserWarning) for warning in caught), "it warns")


test_unit_clip_grad_norm()
test_unit_clip_grad_norm_extremes()

# %% [markdown]
# One dictionary of gradients by name is the other form in which gradients come (from numerical differentiation, or from
# hand-written models). It uses your function, on copies: what it is given stays as it was.


# %%
#| export
def clip_gradients(grads, max_norm=5.0):
    """`clip_grad_norm` for a dictionary of gradients by name: (clipped copies by name, norm before)."""
    copies = {name: np.array(extract_numpy_data(g)) for name, g in grads.items()}
    copies = {name: g if g.dtype.kind == "f" else g.astype(np.float32) for name, g in copies.items()}
    norm = clip_grad_norm([SimpleNamespace(grad=g) for g in copies.values()], max_norm)
    return copies, norm


# %%
given = {"w": np.array([3.0, 4.0]), "b": np.array([0.0])}
clipped, norm = clip_gradients(given, max_norm=1.0)
print(clipped, "length before:", norm, " given:", given["w"])

# %% [markdown]
# What does it save? A linear model on a few points, of which one batch in fifty has a label that is a thousand times
# too large. **Predict** the three rows: no such batch; such batches and no limit; such batches and the limit 1.


# %%
def with_accidents(limit, accidents, steps=200, seed=0):
    """Mean squared error of a linear fit at the end, where one label in fifty batches may be wildly wrong."""
    rng, w = np.random.default_rng(seed), Tensor(np.zeros((3, 1)), requires_grad=True)
    truth, optimizer = np.array([[1.0], [-2.0], [0.5]]), SGD([w], lr=0.05)
    for step in range(steps):
        x = rng.normal(size=(16, 3))
        y = x @ truth
        if accidents and step % 50 == 45:
            y[0] = 1000.0
        optimizer.zero_grad()
        MeanSquaredError()(Tensor(x) @ w, Tensor(y)).backward()
        clip_grad_norm([w], limit)
        optimizer.step()
    return float(np.mean((w.data - truth) ** 2))


# %%
for limit, accidents in ((math.inf, False), (math.inf, True), (1.0, True)):
    print(f"limit {limit:4}, accidents {accidents!s:5}: error of the weights {with_accidents(limit, accidents):.2g}")

# %% [markdown]
# ### Numbers to report (given)
#
# A loss is made to be minimised; a *metric* is made to be read. It has the same trouble with batches: it must be exact
# over batches of different sizes. So it keeps *counts*, which add up, and divides at the end. To write one is to say
# what is counted, and what is made of the counts.


# %%
#| export core.metrics
def predicted_classes(y_pred, from_logits=False):
    """The class that each prediction stands for, int64 (N,).

    y_pred: scores (..., C) for C > 1 classes, of which the largest counts; else one number for each sample, (N,) or
        (N, 1), which is class 1 above 0.5, or above 0 with `from_logits`. Integers (N,) are classes already.
    """
    p = extract_numpy_data(y_pred)
    if p.ndim > 1 and p.shape[-1] > 1:
        return p.argmax(axis=-1).ravel()
    if p.dtype.kind == "f":
        p = p > (0.0 if from_logits else 0.5)
    return p.ravel().astype(np.int64)


def true_classes(y_true, shape):
    """Class indices, int64 (N,), from indices (integers, or whole numbers of any type) or one-hot rows.

    shape: that of the predictions; targets of the same shape (..., C) with C > 1 are one-hot.
    Raises: ValueError that names a target that is no class.
    """
    t = extract_numpy_data(y_true)
    if t.ndim > 1 and t.shape == shape and t.shape[-1] > 1:
        return t.argmax(axis=-1).ravel()
    t = t.ravel()
    strange = t < 0
    if t.dtype.kind == "f":
        strange |= t != np.floor(t)
    if np.count_nonzero(strange):  # quicker than any(), and this is done for every batch
        raise ValueError(f"class {t[strange][0]}: classes are whole numbers from 0 on, or one-hot rows")
    return t.astype(np.int64, copy=False)


def known_classes(p):
    """How many classes the array `p` of predictions tells apart: C for scores (..., C), 2 for one score a sample, and
    for integers, which are classes, any number."""
    if p.ndim > 1 and p.shape[-1] > 1:
        return p.shape[-1]
    return 2 if p.dtype.kind == "f" else math.inf


def class_pairs(y_pred, y_true, from_logits=False):
    """(predicted, true), two int64 arrays (N,).

    Raises: ValueError where their lengths differ, there is nothing, or a target is a class that no prediction can be.
    """
    p = extract_numpy_data(y_pred)
    predicted, true = predicted_classes(p, from_logits), true_classes(y_true, p.shape)
    if len(predicted) != len(true) or not len(true):
        raise ValueError(
            f"{len(predicted)} predictions of shape {p.shape} and {len(true)} targets do not fit, or are none"
        )
    if np.count_nonzero(true >= known_classes(p)):
        raise ValueError(
            f"class {true.max()} among the targets: predictions of shape {p.shape} tell only {known_classes(p)} "
            "classes apart, counted from 0; scores are (N, C), and classes themselves are integers (N,)"
        )
    return predicted, true


def accuracy(predictions, targets):
    """Share of the predictions whose class is right; `predicted_classes` says what is taken for a class."""
    return Accuracy()(predictions, targets)


class Metric:
    """A number for how good predictions are: `metric(y_pred, y_true)` for one batch.

    For an epoch: `reset()`, then `update` with each batch, then `compute()`. What is kept between batches are counts,
    so that the result is exact over batches of different sizes. A subclass writes `counts` and `value`.
    """

    def __init__(self):
        self.reset()

    @property
    def name(self):
        """What a history calls it: `mean_absolute_error` for MeanAbsoluteError."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def reset(self):
        self.total = None

    def update(self, y_pred, y_true):
        counts = self.counts(y_pred, y_true)
        self.total = counts if self.total is None else self.added(self.total, counts)

    def added(self, total, counts):
        """What was counted before and what was counted now, as one."""
        return total + counts

    def compute(self):
        """The value over everything since `reset`. Raises: ValueError if there was nothing."""
        if self.total is None:
            raise ValueError(f"{type(self).__name__}.compute: no batch yet; call update first")
        return self.value(self.total)

    def __call__(self, y_pred, y_true):
        return self.value(self.counts(y_pred, y_true))

    def counts(self, y_pred, y_true):
        """What adds up over batches, an array."""
        raise NotImplementedError(f"{type(self).__name__}.counts")

    def value(self, counts):
        """The metric, from the sum of all counts."""
        raise NotImplementedError(f"{type(self).__name__}.value")


class Accuracy(Metric):
    """Share of right classes. `from_logits` puts the border between two classes at 0 instead of 0.5."""

    def __init__(self, from_logits=False):
        super().__init__()
        self.from_logits = from_logits

    def counts(self, y_pred, y_true):
        predicted, true = class_pairs(y_pred, y_true, self.from_logits)
        return np.array([np.count_nonzero(predicted == true), len(true)])

    def value(self, counts):
        return float(counts[0] / counts[1])


class MeanAbsoluteError(Metric):
    """Mean of |prediction - target| over all elements, computed in float64."""

    def counts(self, y_pred, y_true):
        p, t = extract_numpy_data(y_pred).astype(np.float64), extract_numpy_data(y_true)
        if p.shape != t.shape or not p.size:
            raise ValueError(f"MeanAbsoluteError: predictions {p.shape} and targets {t.shape} differ or are empty")
        return np.array([np.abs(p - t).sum(), p.size])

    def value(self, counts):
        return float(counts[0] / counts[1])


def class_count(y_pred, predicted, true):
    """How many classes there are: as many as the predictions tell apart, else what the classes that occur need."""
    known = known_classes(extract_numpy_data(y_pred))
    return known if known < math.inf else int(max(predicted.max(), true.max(), 1)) + 1


# %%
scores, digits = np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), np.array([0, 1, 1])
print("all three:", Accuracy()(scores, digits), "  two classes from one number:", accuracy([0.2, 0.9], [0, 1]))
exact = Accuracy()
exact.update(scores[:2], digits[:2])
exact.update(scores[2:], digits[2:])
print("in batches of two and one:", exact.compute(), "  mean of the batch values:", np.mean([1.0, 0.0]))

# %% [markdown]
# ### What a step and an epoch need (given)
#
# Small parts first. `EpochResult` is what an epoch returns: a number, the mean loss, that can also be asked by name.
# `batches_of` reads a loader, makes Tensors, and says so if there was nothing to read. `in_groups` deals out a sequence
# in groups without reading ahead. `sample_count` says how many samples a batch has.


# %%
#| export
class EpochResult(float, Mapping):
    """The mean loss of an epoch as a float that also maps: `r["loss"]`, `r["accuracy"]`, and any other metric."""

    def __new__(cls, loss, **others):
        result = super().__new__(cls, loss)
        result.values_by_name = {"loss": float(loss), **others}
        return result

    def __getitem__(self, name):
        return self.values_by_name[name]

    def __iter__(self):
        return iter(self.values_by_name)

    def __len__(self):
        return len(self.values_by_name)

    def __repr__(self):
        numbers = (f"{name}={value:.6g}" for name, value in self.items() if isinstance(value, float))
        return f"EpochResult({', '.join(numbers)})"


def call(part, *inputs):
    """`part(*inputs)`, or `part.forward(*inputs)` where it cannot be called."""
    return part(*inputs) if callable(part) else part.forward(*inputs)


def as_tensor(x):
    """Arrays, lists and numbers as a Tensor; whatever already has `.data` as it is."""
    return Tensor(x) if isinstance(x, np.ndarray | np.generic | list | tuple | int | float) else x


def sample_count(targets):
    """How many samples a batch has: the first size of its targets, 1 for a single number."""
    shape = targets.shape if hasattr(targets, "shape") else extract_numpy_data(targets).shape
    return shape[0] if shape else 1


class EmptyLoader(ValueError):
    """There was no batch to read."""


def kind_of(x):
    """What `x` is, and how large, in words for an error."""
    size = f" of {x.shape}" if hasattr(x, "shape") else f" of {len(x)} parts" if hasattr(x, "__len__") else ""
    return f"a {type(x).__name__}{size}"


def batches_of(loader):
    """The pairs (inputs, targets) of `loader`, an iterable or a function that makes one, as Tensors.

    Raises: EmptyLoader, a ValueError, if there is no batch; TypeError for what is no loader; ValueError where a batch
        is not a pair.
    """
    batch = None
    loader = loader() if callable(loader) and not hasattr(loader, "__iter__") else loader
    if not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__"):
        raise TypeError(f"{loader!r:.60} is not a loader; it must give batches, such as [(inputs, targets)]")
    for batch in loader:
        if isinstance(batch, np.ndarray | Tensor | Mapping | str) or not hasattr(batch, "__len__") or len(batch) != 2:
            raise ValueError(f"a batch is a pair (inputs, targets), and the loader gave {kind_of(batch)}; for arrays X "
                             "and y, try [(X, y)]")  # fmt: skip
        yield as_tensor(batch[0]), as_tensor(batch[1])
    if batch is None:
        raise EmptyLoader(
            f"the loader is empty, it gave no batch: {loader!r:.80}; an iterator or generator can be read only once, "
            "so give a list, a loader, or a function that makes a new one"
        )


def in_groups(items, size):
    """Iterators over `size` neighbours each, the last one perhaps shorter. Reads one item at a time."""
    iterator = iter(items)
    for first in iterator:
        yield itertools.chain([first], itertools.islice(iterator, size - 1))


# %%
result = EpochResult(0.25, accuracy=0.9)
print(result < 0.3, result["accuracy"], dict(result))
print("groups of two:", [list(group) for group in in_groups("abcde", 2)])
try:
    list(batches_of([]))
except ValueError as error:
    print(error)

# %% [markdown]
# `Scores` collects the accuracy and any other metric over an epoch. For the accuracy it must know whether the targets
# *are* classes: for a regression there is none, and the honest number is NaN.


# %%
#| export
def has_classes(predictions, targets, loss_fn):
    """Whether the targets are classes, so that there is an accuracy: for scores (..., C) whole numbers from 0 to C - 1
    or one-hot rows, and for one number a sample integers 0 and 1, floating ones only under a binary cross-entropy."""
    p, t = extract_numpy_data(predictions), extract_numpy_data(targets)
    if p.ndim > 1 and p.shape[-1] > 1:
        if t.shape == p.shape:
            return bool(((t == 0) | (t == 1)).all() and (t.sum(axis=-1) == 1).all())
        return t.size == p.size // p.shape[-1] and are_classes(t, known_classes(p))
    is_labelled = t.dtype.kind != "f" or isinstance(loss_fn, BinaryCrossEntropyLoss)
    return is_labelled and t.size == p.size and are_classes(t, known_classes(p))


def are_classes(t, count):
    """Whether all numbers in the array `t` are whole, from 0 to `count` - 1."""
    whole_ones = (t >= 0) & (t < count)
    if t.dtype.kind == "f":
        whole_ones &= t == np.floor(t)
    return np.count_nonzero(whole_ones) == t.size


class Scores:
    """Accuracy and other metrics over an epoch, exact over batches of different sizes.

    metrics: name -> object with `update` and `compute`, or a function (y_pred, y_true) -> number, whose values are
        weighted by the number of samples. An accuracy is added; it is NaN where the targets are not classes.
    """

    def __init__(self, metrics, loss_fn):
        self.metrics, self.loss_fn, self.samples = metrics, loss_fn, 0
        self.sums = {name: 0.0 for name, metric in metrics.items() if not hasattr(metric, "update")}
        self.accuracy = Accuracy(from_logits=isinstance(loss_fn, BinaryCrossEntropyLoss))
        self.counts_classes = "accuracy" not in metrics
        for name in metrics.keys() - self.sums:
            metrics[name].reset()

    def update(self, predictions, targets):
        count = sample_count(targets)
        self.samples += count
        if self.counts_classes:
            p, t = extract_numpy_data(predictions), extract_numpy_data(targets)
            self.counts_classes = has_classes(p, t, self.loss_fn)
            if self.counts_classes:
                self.accuracy.update(p, t)
        for name, metric in self.metrics.items():
            if name in self.sums:
                self.sums[name] += get_tensor_value(metric(predictions, targets)) * count
            else:
                metric.update(predictions, targets)

    def compute(self):
        """Name -> value over all batches: a float, or nested lists where a metric gives an array."""
        values = {"accuracy": self.accuracy.compute() if self.counts_classes else math.nan}
        for name, metric in self.metrics.items():
            value = self.sums[name] / self.samples if name in self.sums else metric.compute()
            values[name] = value.tolist() if isinstance(value, np.ndarray) else float(value)
        return values

    def _counters(self):
        """Name -> object that adds up."""
        return {"": self.accuracy, **{name: part for name, part in self.metrics.items() if name not in self.sums}}

    def state_dict(self):
        """What was added up so far, as copies."""
        counters = {name: part_state(part) for name, part in self._counters().items()}
        return {
            "samples": self.samples,
            "sums": dict(self.sums),
            "counts_classes": self.counts_classes,
            "counters": counters,
        }

    def load_state_dict(self, state):
        self.samples, self.counts_classes = state["samples"], state["counts_classes"]
        self.sums.update(state["sums"])
        for name, part in self._counters().items():
            write_part(part, state["counters"].get(name), ())


def named(metrics):
    """Name -> metric: its `name`, else what its function or class is called; a second one of a name gets a number."""
    result = {}
    for metric in metrics:
        require(metric, "Trainer: a metric", "__call__")
        name = getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__.lower())
        taken = sum(other == name or other.startswith(f"{name}_") for other in result)
        result[f"{name}_{taken + 1}" if name in result else name] = metric
    if result.keys() & {"loss", "metric"}:
        raise ValueError(f"Trainer: a metric is called {' or '.join(result)}; loss and metric are taken in the history")
    return result


# %%
#| export
def rate_of(optimizer):
    """The optimizer's learning rate under either name; NaN where it has none."""
    return float(getattr(optimizer, "lr", getattr(optimizer, "learning_rate", math.nan)))


def set_rate(optimizer, rate):
    """Set the learning rate under the name that the optimizer has. Raises: TypeError where it has none."""
    name = next((name for name in ("lr", "learning_rate") if hasattr(optimizer, name)), None)
    if name is None:
        raise TypeError(f"{type(optimizer).__name__} has neither lr nor learning_rate, so a scheduler cannot set it")
    setattr(optimizer, name, rate)


def require_common(model, optimizer):
    """Raise ValueError where the optimizer has parameters, and none of them is the model's: it would train nothing."""
    moved = {id(p) for group in getattr(optimizer, "param_groups", ()) for p in group["params"]}
    if moved and hasattr(model, "parameters") and moved.isdisjoint(map(id, model.parameters())):
        raise ValueError(f"the optimizer, {type(optimizer).__name__}, has none of the parameters of this "
                         f"{type(model).__name__}; make it anew from model.parameters()")  # fmt: skip


def scheduled_rate(scheduler, epoch):
    """What `scheduler` says for `epoch`; None without one. Raises: TypeError where it says nothing."""
    rate = None if scheduler is None else scheduler.get_lr(epoch)
    if rate is None and scheduler is not None:
        raise TypeError(f"{type(scheduler).__name__}.get_lr({epoch}) gave None; it must return a rate")
    return rate


def epoch_line(history):
    """The last epoch of `history` in one line, without what is missing."""
    names = ("train_loss", "train_metric", "val_loss", "val_metric", "learning_rates", "grad_norms")
    last = {name: history[name][-1] for name in names}
    return "  ".join(f"{name} {x:.4g}" for name, x in last.items() if isinstance(x, float) and not math.isnan(x))


def several(parts, role):
    """`parts` as a list, [] for None. Raises: TypeError for a single one."""
    if parts is None:
        return []
    if isinstance(parts, str) or not hasattr(parts, "__iter__"):
        raise TypeError(f"Trainer: {role} is {parts!r:.60}; give a list: [...]")
    return list(parts)


def one_of(names, *values):
    """The one of several values for one thing that was given, or None. Raises: ValueError for two different ones."""
    given = [value for value in values if value is not None]
    if any(value is not given[0] for value in given):
        raise ValueError(f"Trainer: {names} are one thing, and two different values were given")
    return given[0] if given else None


def alias(name):
    """A second name for the attribute `name`."""

    def write(self, value):
        setattr(self, name, value)

    return property(lambda self: getattr(self, name), write, doc=f"The same as `{name}`.")


# %% [markdown]
# ### The frame of the Trainer (given)
#
# The `Trainer` holds the parts, counts, and keeps the history. Its methods come one by one with the tasks. Read the
# docstring for what it accepts: anything that has the few methods it calls. You will need from it:
#
# | `self.` | |
# |---|---|
# | `predict(inputs)`, `loss(predictions, targets)` | one batch through the model and the loss, Tensors |
# | `clip()` | clips if there is a limit; False says: this gradient is broken, do not step |
# | `parameters()` | a list |
# | `training_mode` | read it, or assign to switch the model with all its layers |
# | `modes()`, `restore_modes(modes)` | the mode of each layer alone, and the way back |

# %%
#| export
logger = logging.getLogger("tinytorch.training")
EVENTS = ("on_fit_start", "on_epoch_start", "on_batch_end", "on_epoch_end", "on_fit_end")


class Trainer:
    """Trains a model: one place for the order of things, the counting, and everything a run consists of.

    model: anything with `forward`; `parameters()` is needed to clip, accumulate and save.
    optimizer: anything with `step` and `zero_grad`. loss_fn, or loss_function: called, else its `forward`, with
        (predictions, targets); more numbers than one are averaged, and with `reduction == "sum"` divided by the count.
    scheduler: object with `get_lr(epoch)`, asked before the first step of every epoch. As fourth positional argument a
        list or tuple is taken for `metrics`.
    grad_clip_norm: limit for `clip_grad_norm`; `math.inf` measures the norm and never clips. A step whose norm is not
        finite is left out and counted in `skipped`. Without a limit no norm is measured.
    callbacks: objects with any of the methods on_fit_start, on_epoch_start, on_batch_end, on_epoch_end, on_fit_end,
        called with the Trainer. One that sets `trainer.stop_training = True` ends `fit` after the epoch; of those with
        `state_dict` and `load_state_dict` checkpoints hold the state.
    nonfinite: what to do where a loss is nan or inf. "warn": say in which epoch and batch, once an epoch, and go on as
        if nothing had happened. "skip": leave out the step, and this loss from the epoch's means. "raise": a
        FloatingPointError before the step. "skip" and "raise" measure the norm, and catch gradients as well.

    Counters: `epoch` completed epochs, `step` batches, `updates` steps of the optimizer, `skipped` those left out.
    scores: the `Scores` of the epoch that runs, up to the batch before.
    history: name -> list with one entry an epoch, NaN where there is none: epoch, train_loss, val_loss, eval_loss (the
        first evaluation after the epoch, by whomever), train_metric and val_metric (the first of `metrics`, without
        these the accuracy), train_NAME and val_NAME of each metric, learning_rates, and grad_norms, the mean norm.
    """

    current_epoch, current_step, loss_function = alias("epoch"), alias("step"), alias("loss_fn")

    def __init__(
        self,
        model,
        optimizer,
        loss_fn=None,
        scheduler=None,
        grad_clip_norm=None,
        *,
        metrics=None,
        loss_function=None,
        callbacks=(),
        nonfinite="warn",
    ):
        if isinstance(scheduler, list | tuple):
            scheduler, metrics = None, one_of("the fourth argument, a list, and metrics", scheduler, metrics)
        self.model, self.optimizer, self.scheduler, self.grad_clip_norm = model, optimizer, scheduler, grad_clip_norm
        self.loss_fn = one_of("loss_fn and loss_function", loss_fn, loss_function)
        self.metrics, self.callbacks = several(metrics, "metrics"), several(callbacks, "callbacks")
        self.early_stopping = None
        self.nonfinite = nonfinite
        self._check_parts()
        self.epoch, self.step, self.updates, self.skipped, self.stop_training = 0, 0, 0, 0, False
        self.history = {name: [] for name in self._history_names()}
        self.scores, self._norms, self._progress, self._loader, self._pending = None, [], None, None, {}
        self._broken, self._warned, self._batch, self._running, self._mode = None, None, 0, False, True
        self._sums, self._outcome, self._group = None, None, 1  # of the epoch that runs: see `_epoch_state`

    def _check_parts(self):
        require(self.model, "Trainer: model", "forward")
        require(self.optimizer, "Trainer: optimizer", "step", "zero_grad")
        require(self.loss_fn, "Trainer: loss_fn", *(() if callable(self.loss_fn) else ("forward",)))
        limit = self.grad_clip_norm
        if limit is not None and not (isinstance(limit, Real) and limit > 0):
            raise ValueError(f"Trainer: grad_clip_norm is {limit!r:.60}; it must be a number above 0, or None")
        if self.scheduler is not None:
            require(self.scheduler, "Trainer: scheduler", "get_lr")
            set_rate(self.optimizer, rate_of(self.optimizer))  # an error here, and not after hours
        if self.nonfinite not in ("warn", "skip", "raise"):
            raise ValueError(f"Trainer: nonfinite is {self.nonfinite!r}; it is 'warn', 'skip' or 'raise'")
        for callback in self.callbacks:
            require(callback, "Trainer: a callback")
            if not any(hasattr(callback, event) for event in EVENTS):
                raise TypeError(f"Trainer: callback {callback!r:.60} has none of the methods {', '.join(EVENTS)}")

    def _history_names(self):
        names = dict.fromkeys(["accuracy", *named(self.metrics)])
        losses = ["train_loss", "val_loss", "eval_loss", "train_metric", "val_metric"]
        return ["epoch", *losses, *(f"{part}_{name}" for name in names for part in ("train", "val")),
                "learning_rates", "grad_norms"]  # fmt: skip

    # one batch

    def predict(self, inputs):
        """What the model gives for `inputs`."""
        return call(self.model, inputs)

    def mean_loss(self, predictions, targets):
        """The loss of a batch, one number: a mean over its samples, whatever the reduction of the loss is."""
        loss = call(self.loss_fn, predictions, targets)
        if math.prod(getattr(loss, "shape", ())) > 1:
            return loss.mean()
        return loss / sample_count(targets) if getattr(self.loss_fn, "reduction", None) == "sum" else loss

    def loss(self, predictions, targets):
        """`mean_loss` of a batch that is being trained on; remembers where it is not finite, for `clip`."""
        loss = self.mean_loss(predictions, targets)
        value, self._batch = get_tensor_value(loss), self._sums["batches"] if self._sums else 0
        if not math.isfinite(value) and self._broken is None:
            self._broken = f"{self._place()}: the loss is {value}"
        return loss

    def parameters(self):
        """The model's parameters, a list."""
        require(self.model, "Trainer: model (which must be clipped, accumulated or saved)", "parameters")
        return list(self.model.parameters())

    def clip(self):
        """Clip the gradients, if there is a limit; returns whether the step may be taken: False for inf and nan."""
        broken, self._broken = self._broken, None
        if broken is not None and self.nonfinite != "warn":
            return self._left_out(broken)
        if self.grad_clip_norm is not None or self.nonfinite != "warn":
            if not self._norm_is_finite(broken):
                return self._left_out(broken or f"{self._place()}: the loss is finite, but not the gradient's norm")
        if broken is not None:
            self._warn_once(f"{broken}; the step is taken all the same: try nonfinite='skip'")
        return True

    def _norm_is_finite(self, broken):
        """Clip the gradients and keep their norm; where the loss was `broken`, nobody needs a second warning."""
        limit = math.inf if self.grad_clip_norm is None else self.grad_clip_norm
        with warnings.catch_warnings() if broken else contextlib.nullcontext():
            if broken:
                warnings.simplefilter("ignore")
            self._norms.append(clip_grad_norm(self.parameters(), limit))
        return math.isfinite(self._norms[-1])

    def _place(self):
        return f"epoch {self.epoch}, batch {self._batch}"

    def _left_out(self, broken):
        """False: no step is taken. Says why, or raises it."""
        if self.nonfinite == "raise":
            raise FloatingPointError(f"{broken}; the parameters are as they were before the batch")
        self.skipped += 1
        self._warn_once(f"{broken}; the step is left out")
        return False

    def _warn_once(self, text):
        """Warn if there was no such warning in this epoch."""
        if self._warned != self.epoch:
            self._warned = self.epoch
            warnings.warn(text, RuntimeWarning, stacklevel=4)

    # training or in use

    @property
    def training_mode(self):
        """Whether the model is being trained. Assigning switches the model, all of it."""
        return bool(getattr(self.model, "training", self._mode))

    @training_mode.setter
    def training_mode(self, mode):
        if mode and self.training_mode:
            return  # a layer that was frozen alone, by its own eval(), stays frozen
        before = self.modes()
        try:
            self._switch(bool(mode))
        except BaseException:  # Ctrl-C; a model of which only a half is in training would stay so
            self.restore_modes(before)
            raise

    def _switch(self, mode):
        """Switch the model by its `train()` or `eval()`, else by its attribute; remember it where there is none."""
        switch = getattr(self.model, "train" if mode else "eval", None)
        if callable(switch):
            switch()
        else:
            self.model.training = mode
        self._mode = mode

    def modes(self):
        """Pairs (module, whether it is being trained) of the model and all below it."""
        modules = self.model.modules() if hasattr(self.model, "modules") else [self.model]
        return [(module, getattr(module, "training", self._mode)) for module in modules]

    def restore_modes(self, modes):
        """Set each module back to what `modes()` said; layers that were frozen alone stay so."""
        for module, mode in reversed(modes):  # the model itself last: cut off before, it is not in training yet
            if hasattr(module, "training"):
                module.training = mode
            elif module is self.model:
                self._switch(mode)

    def _tell(self, event):
        for callback in self.callbacks:
            if hasattr(callback, event):
                getattr(callback, event)(self)


# %% [markdown]
# The tests of the next tasks work on the smallest Trainer there is:


# %%
def one_unit(**options):
    """A Trainer of y = w . x with w = (1, 2), squared error, plain steps of 0.1; an old gradient lies on w."""
    model = Sequential(Linear(2, 1, bias=False))
    model[0].weight.data, model[0].weight.grad = [[1.0, 2.0]], Tensor([[100.0, 100.0]])
    return Trainer(model, SGD(model.parameters(), lr=0.1), MeanSquaredError(), **options)


def weights_of(trainer):
    """All weights in one row."""
    return np.concatenate([p.data.ravel() for p in trainer.model.parameters()])


def altered():
    """`one_unit` with a `predict` that gives twice and a `loss` that gives three times what it should.

    A Trainer that computes in half precision has a `predict` of its own, too; whoever goes past it computes otherwise.
    """
    trainer = one_unit()
    predict, loss = trainer.predict, trainer.loss
    trainer.predict, trainer.loss = lambda x: predict(x) * 2, lambda p, t: loss(p, t) * 3
    return trainer


# %% [markdown]
# ### Task 07-3. One step
#
# ```
# forget old gradients → forward → loss → backward → clip → step
# ```
#
# Each arrow is a "must be before". Clipping after the step limits nothing. A step before `backward` has no gradients,
# or the old ones. Forgetting between `backward` and the step throws away what was just computed.
#
# Predictions and loss come from `self.predict` and `self.loss`: these know what a Trainer accepts, and `loss` remembers
# where a loss was broken, for `clip`.
#
# Three promises more. The loss that is returned is the one *before* the update, as a float: `get_tensor_value` makes
# one of a Tensor, and a float does not keep the graph alive. The gradients stay on the parameters, for whoever wants to
# look at them afterwards. And when `self.clip()` says False, no step is taken, and `self.updates`, which counts
# the steps, stays as it is.


# %% nbgrader={"grade_id": "07-3", "solution": true}
#| export
@add_to(Trainer)
def train_step(self, inputs, targets):
    """One update of the model from one batch, both Tensors; returns (loss, predictions), the loss as a float.

    The gradients are those of this batch alone. They are clipped before the step is taken. Where `self.clip()` says so
    no step is taken. `self.updates` counts the steps.
    """
    ### BEGIN SOLUTION
    self.optimizer.zero_grad()
    predictions = self.predict(inputs)
    loss = self.loss(predictions, targets)
    loss.backward()
    if self.clip():
        self.optimizer.step()
        self.updates += 1
    return get_tensor_value(loss), predictions
    ### END SOLUTION


# %% nbgrader={"grade_id": "07-3-test", "points": 5}
def test_unit_train_step():
    trainer, x, t = one_unit(), Tensor([[1.0, 1.0]]), Tensor([[0.0]])
    loss, predictions = trainer.train_step(x, t)
    check(isinstance(loss, float), "the loss is a float")
    check_close(loss, 9.0, "the loss before the update, (1 + 2 - 0) squared")
    check_close(predictions, [[3.0]], "the predictions before the update")
    check_close(gradient_arrays(trainer.parameters()), [[[6.0, 6.0]]], "the gradient of this batch, 2 * 3 * x, stays")
    check_close(weights_of(trainer), [0.4, 1.4], "the weights after a step of 0.1 * 6")
    check_close(trainer.train_step(x, t)[0], 3.24, "the loss in the second step, (0.4 + 1.4) squared")
    check_close(trainer.updates, 2, "the number of updates")
    check_close(altered().train_step(x, t)[0], 108.0, "predictions come from self.predict, and the loss from self.loss")


def test_unit_train_step_clipped():
    trainer, t = one_unit(grad_clip_norm=1.0), Tensor([[0.0]])
    trainer.train_step(Tensor([[1.0, 1.0]]), t)
    half = math.sqrt(0.5)
    check_close(gradient_arrays(trainer.parameters()), [[[half, half]]], "the gradient is clipped to length 1")
    check_close(weights_of(trainer), [1 - 0.1 * half, 2 - 0.1 * half], "the step is that of the clipped gradient")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train_step(Tensor([[math.inf, 1.0]]), t)
    check_close(weights_of(trainer), [1 - 0.1 * half, 2 - 0.1 * half], "with a broken gradient no step is taken")
    check_close([trainer.updates, trainer.skipped], [1, 1], "updates and skipped")
    trainer = one_unit(grad_clip_norm=100.0)
    trainer.train_step(Tensor([[1.0, 1.0]]), t)
    check_close(weights_of(trainer), [0.4, 1.4], "a gradient within the limit is stepped with as it is")


test_unit_train_step()
test_unit_train_step_clipped()

# %% [markdown]
# ### Task 07-4. An epoch
#
# Training and evaluating are the same loop around different steps: take the batches one by one, and report the means
# over *all samples*. So it is written once. What comes in is `outcomes`, an iterator of (loss, predictions, targets):
# the loss is a float, already computed over the batch, and by the time you hold it the step is done. The iterator is
# lazy, so each outcome is computed in whatever mode the model is in *when you ask for it*.
#
# 1. Before the first outcome, switch the model to the mode that was asked for (`self.training_mode`), and give the
#    optimizer the `rate` of this epoch, if there is one (`set_rate`, above). Set after the epoch, as in many a loop,
#    the first one would run at whatever rate the optimizer was born with, and each other at that of the one before.
# 2. Sum loss times number of samples, and the number of samples. `scores.update`, given predictions and targets, does
#    the same for the metrics.
# 3. Bring back the modes of before, whatever happens on the way: an evaluation that fails must not leave a network
#    that trains without dropout from then on. `before` remembers layer for layer, since a layer may be frozen alone.
# 4. Return an `EpochResult` with the mean loss and what `scores.compute()` gives, as named values
#    (`f(1, **{"a": 2})` is `f(1, a=2)`).


# %% nbgrader={"grade_id": "07-4", "solution": true}
#| export
@add_to(Trainer)
def run_epoch(self, outcomes, training, rate=None):
    """The means over all samples of an epoch, an EpochResult with the loss and all scores.

    outcomes: iterator of (loss, predictions, targets), one for each batch, computed when it is asked for.
    training: the mode in which the model is while they are computed. Afterwards the modes of before are restored, also
        after an error.
    rate: the optimizer's learning rate from the first outcome on; None leaves it as it is.
    """
    before, scores = self.modes(), Scores(named(self.metrics), self.loss_fn)
    self.scores = scores
    ### BEGIN SOLUTION
    total, samples = 0.0, 0
    try:
        self.training_mode = training
        if rate is not None:
            set_rate(self.optimizer, rate)
        for loss, predictions, targets in outcomes:
            count = sample_count(targets)
            total += loss * count
            samples += count
            scores.update(predictions, targets)
    finally:
        self.restore_modes(before)
    return EpochResult(total / samples, **scores.compute())
    ### END SOLUTION


# %% nbgrader={"grade_id": "07-4-test", "points": 5}
def two_classes():
    """A Trainer whose dropout is frozen alone, while the rest is being trained."""
    model = Sequential(Linear(2, 2), Dropout(0.5))
    model[1].eval()
    return Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss())


def modes_of(trainer):
    return [module.training for module in trainer.model.modules()]


def two_batches(trainer, seen, broken=False):
    """Outcomes of three samples and of one; `seen` gets the modes and the rate with which each was computed."""
    for loss, scores, classes in ((1.0, [[2.0, 0.0]] * 3, [0, 0, 1]), (5.0, [[0.0, 2.0]], [1])):
        seen.append((modes_of(trainer), trainer.optimizer.lr))
        if broken and len(seen) == 2:
            raise ZeroDivisionError
        yield loss, Tensor(scores), np.array(classes)


def test_unit_run_epoch():
    trainer, seen = two_classes(), []
    result = trainer.run_epoch(two_batches(trainer, seen), training=False)
    modes, rates = zip(*seen)
    check_equal(modes, ([False] * 3,) * 2, "while the outcomes are computed the model is in the mode asked for")
    check_close(rates, [0.1, 0.1], "without a rate the optimizer keeps its own")
    check_equal(modes_of(trainer), [True, True, False], "afterwards each layer has its mode of before")
    check_close(float(result), 2.0, "the mean loss over four samples, (3 * 1 + 1 * 5) / 4")
    check_close(result["accuracy"], 0.75, "the accuracy over four samples")


def test_unit_run_epoch_trains():
    trainer, seen = two_classes(), []
    trainer.run_epoch(two_batches(trainer, seen), training=True, rate=0.3)
    modes, rates = zip(*seen)
    check_close(trainer.optimizer.lr, 0.3, "after the epoch the optimizer has the rate of the epoch")
    check_close(rates, [0.3, 0.3], "it has it from the first outcome on")
    check_equal(modes, ([True, True, False],) * 2, "in training a layer that was frozen alone stays frozen")
    trainer.model.eval()
    trainer.run_epoch(two_batches(trainer, seen), training=True)
    check_equal([modes for modes, rate in seen[2:]], [[True] * 3] * 2, "training happens in training mode")
    check_equal(modes_of(trainer), [False, False, False], "and a model that was in use is in use again")


def test_unit_run_epoch_broken():
    trainer = two_classes()
    outcomes = two_batches(trainer, [], broken=True)
    check_raises(ZeroDivisionError, lambda: trainer.run_epoch(outcomes, False), "an error arrives at the caller")
    check_equal(modes_of(trainer), [True, True, False], "also after an error each layer has its mode of before")


test_unit_run_epoch()
test_unit_run_epoch_trains()
test_unit_run_epoch_broken()

# %% [markdown]
# ### Evaluating and training an epoch (given)
#
# Now both are short. `validate_epoch` computes its outcomes without a graph. `evaluate` is the same as a pair.


# %%
#| export
@add_to(Trainer)
def validate_epoch(self, dataloader):
    """The means over all samples of `dataloader` with the model in use: an EpochResult. No graph is kept."""

    def outcome(inputs, targets):
        guesses = self.predict(inputs)
        return get_tensor_value(self.mean_loss(guesses, targets)), guesses, targets

    with no_grad(), self._apart():
        result = self.run_epoch(itertools.starmap(outcome, batches_of(dataloader)), training=False)
    losses = self.history["eval_loss"]
    if losses and math.isnan(losses[-1]) and not self._running:
        losses[-1] = result["loss"]
    return result


# %%
#| export
@add_to(Trainer)
@contextlib.contextmanager
def _apart(self):
    """While it is open, metrics count apart from the epoch that runs, if one does: a callback may evaluate in it."""
    scores, metrics = self.scores, self.metrics
    if self._running:
        self.metrics = copy.deepcopy(metrics)
    try:
        yield
    finally:
        if self._running:
            self.scores, self.metrics = scores, metrics


# %%
#| export
@add_to(Trainer)
def evaluate(self, dataloader):
    """(loss, accuracy) of `validate_epoch`; the accuracy is NaN where the targets are not classes."""
    result = self.validate_epoch(dataloader)
    return result["loss"], result["accuracy"]


# %% [markdown]
# In `train_epoch`, look for the line that asks the schedule for a rate: for the epoch that is about to begin, so that
# epoch 0 runs at `get_lr(0)`. Below it are the parts it is made of: counting, what a checkpoint in the middle of
# an epoch needs, and a row in the history.


# %%
#| export
@add_to(Trainer)
def train_epoch(self, dataloader, accumulation_steps=1):
    """Train on every batch once; returns an EpochResult, the means over all samples, and adds a row to the history.

    accumulation_steps: number of batches to one update; the last update of an epoch may have fewer.
    Raises: ValueError for a loader without a batch; then no epoch is counted.
    """
    whole("train_epoch: accumulation_steps", accumulation_steps, 1)
    require_common(self.model, self.optimizer)
    self._open(dataloader)
    rate = scheduled_rate(self.scheduler, self.epoch)
    if self._progress is not None:
        self._progress.start(self.epoch, dataloader)
    self.training_mode, self._norms, self._group = True, [], accumulation_steps
    self._broken = self._warned = None
    batches = batches_of(dataloader)
    if accumulation_steps > 1:
        outcomes = self.accumulate(batches, accumulation_steps)
    else:
        outcomes = ((*self.train_step(inputs, targets), targets) for inputs, targets in batches)
    self._running = True
    try:
        if "epoch_so_far" in self._pending:
            result = self._rest_of_epoch(outcomes, rate)
        else:
            result = self.run_epoch(self._counted(outcomes), training=True, rate=rate)
    finally:
        self._running = False
    self._record(result)
    self.epoch, self._sums = self.epoch + 1, None
    return result


# %%
#| export
@add_to(Trainer)
def _open(self, loader):
    """Remember the loader, and give it the position that a checkpoint has for it."""
    self._loader, self._sums, position = loader, None, self._pending.get("loader")
    if position is not None:
        if hasattr(loader, "load_state_dict"):
            loader.load_state_dict(thaw(position["state"], None, ()))
        else:
            self._pending.pop("epoch_so_far", None)  # that epoch begins anew
            warnings.warn(f"the checkpoint holds the position of a {position['class']}, and this loader has no "
                          "load_state_dict; the order of batches is another", stacklevel=3)  # fmt: skip
        del self._pending["loader"]  # only now: one that refuses the position may be followed by the right one


# %%
#| export
@add_to(Trainer)
def _counted(self, outcomes):
    """The same outcomes, without those that were left out; counts batches, and tells whoever waits for epoch or batch.

    Adds up what a checkpoint in mid-epoch needs. Raises: ValueError if there was a batch and all were left out.
    """
    self._sums, self._outcome = {"loss": 0.0, "samples": 0, "batches": 0}, None
    self._add_first_part()
    self._tell("on_epoch_start")  # mode and rate are those of the epoch by now
    for outcome in outcomes:
        self.step += 1
        self._sums["batches"] += 1
        is_taken = self.nonfinite != "skip" or math.isfinite(outcome[0])
        if is_taken:
            count = sample_count(outcome[2])
            self._sums["loss"] += outcome[0] * count
            self._sums["samples"] += count
            self._outcome = outcome
        if self.callbacks:
            self._tell("on_batch_end")
        if is_taken:
            yield outcome
            self._outcome = None
            if self._progress is not None:
                self._progress.batch(self, outcome[0])
    if self._sums["batches"] and not self._sums["samples"]:
        raise ValueError(f"train_epoch: in epoch {self.epoch} no batch has a finite loss, so all were left out")


# %%
#| export
@add_to(Trainer)
def _epoch_state(self):
    """What the epoch that runs has added up, the batch in hand included; None between epochs and at their beginning."""
    if self._sums is None or not self._sums["samples"]:
        return None
    scores = copy.deepcopy(self.scores)
    if self._outcome is not None:
        scores.update(*self._outcome[1:])
    return {**self._sums, "norms": list(self._norms), "scores": scores.state_dict()}


# %%
#| export
@add_to(Trainer)
def _add_first_part(self):
    """Begin with what `_epoch_state` was when a checkpoint cut the epoch, if one did."""
    cut = self._pending.pop("epoch_so_far", None)
    if cut is not None:
        self._sums = {name: cut[name] for name in self._sums}
        self._norms[:0] = cut["norms"]
        self.scores.load_state_dict(cut["scores"])


# %%
#| export
@add_to(Trainer)
def _rest_of_epoch(self, outcomes, rate):
    """Train on what a checkpoint left of an epoch, perhaps nothing; returns the means over all of that epoch."""
    try:
        self.run_epoch(self._counted(outcomes), training=True, rate=rate)
    except EmptyLoader:
        pass  # the checkpoint was made after the last batch
    return EpochResult(self._sums["loss"] / self._sums["samples"], **self.scores.compute())


# %%
#| export
@add_to(Trainer)
def _record(self, result):
    """Add a row for the epoch that was just trained."""
    finite = [norm for norm in self._norms if math.isfinite(norm)]
    row = {"epoch": self.epoch, "train_loss": result["loss"], "learning_rates": rate_of(self.optimizer)}
    row["grad_norms"] = float(np.mean(finite)) if finite else math.nan
    row |= self._metric_row("train", result)
    for name, values in self.history.items():
        values.append(row.get(name, math.nan))


# %%
#| export
@add_to(Trainer)
def _metric_row(self, part, result):
    """The metrics in `result` under the names of the history, `part` being train or val."""
    first = next(iter(named(self.metrics)), "accuracy")
    others = {f"{part}_{name}": value for name, value in result.items() if name != "loss"}
    return {f"{part}_metric": result[first], **others}


# %%
#| export
@add_to(Trainer)
def record_validation(self, result):
    """Put what `validate_epoch` gave into the last row of the history."""
    for name, value in {"val_loss": result["loss"], **self._metric_row("val", result)}.items():
        self.history[name][-1] = value


# %%
model = digit_network(seed=0, dropout=0.2)
batches = Batches(ink[train], labels[train], 32, np.random.default_rng(0))
trainer = Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss(), StepDecay(0.2, 2, gamma=0.5))
for _ in range(4):
    result = trainer.train_epoch(batches)
    print(f"rate {trainer.optimizer.lr:.2f}:", result, " test:", trainer.evaluate(Batches(ink[test], labels[test])))

# %% [markdown]
# The loss on the test images is lower than that on the training images. Nothing is wrong: what is different about how
# the two are measured? Find two reasons before you read on. (Dropout makes the network worse while it is trained. And
# the training loss is a mean over the epoch, during most of which the network was worse than at its end.)
#
# ### Task 07-5. Large batches in small pieces
#
# A large batch needs much memory: all values between the layers are kept for the way back (Part 5 measures it). But
# gradients add up. Send the batch through in pieces, *micro-batches*, let the gradients accumulate, and step
# once: the step is that of the large batch, and the memory that of one piece.
#
# The sum must be weighted, or it is another step. With $n_i$ samples in piece $i$ and $\nabla \ell_i$ the gradient of
# its *mean* loss,
#
# $$g = \frac{\sum_i n_i \nabla \ell_i}{\sum_i n_i} .$$
#
# So multiply each loss by its count before `backward`, and divide the gradients once, at the step, when the number of
# samples is known. Dividing every loss by the number of pieces instead is what most code does. It is wrong twice:
# when pieces differ in size, and in the group that is left over at the end, which has fewer of them.
#
# The groups are given: `in_groups` also deals out the last, smaller one. `accumulate` is a function with `yield`, as
# `run_epoch` wants it: hand out each batch's own loss, unscaled. `gradient_arrays` of task 07-2 gives you the
# arrays to divide. Clip what will be stepped with, and nothing else.


# %% nbgrader={"grade_id": "07-5", "solution": true}
#| export
@add_to(Trainer)
def accumulate(self, batches, accumulation_steps):
    """Train with one update for every `accumulation_steps` batches; yields (loss, predictions, targets) of each batch.

    Each update is that of one large batch: gradients of the mean over all its samples, whatever the sizes of the
    batches are and however many are left for the last update. It is clipped, left out and counted as in `train_step`.
    """
    for group in in_groups(batches, accumulation_steps):
        ### BEGIN SOLUTION
        self.optimizer.zero_grad()
        samples = 0
        for inputs, targets in group:
            predictions = self.predict(inputs)
            loss = self.loss(predictions, targets)
            count = sample_count(targets)
            (loss * count).backward()
            samples += count
            yield get_tensor_value(loss), predictions, targets
        for g in gradient_arrays(self.parameters()):
            g /= samples
        if self.clip():
            self.optimizer.step()
            self.updates += 1
        ### END SOLUTION


# %% nbgrader={"grade_id": "07-5-test", "points": 5}
def sized_batches(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [(Tensor(rng.normal(size=(n, 2))), Tensor(rng.normal(size=(n, 1)))) for n in sizes]


def in_one_batch(batches, limit=math.inf):
    """The weights after one step with all batches as a single one, by hand."""
    x, t = (np.concatenate([part.data for part in parts]) for parts in zip(*batches))
    w = np.array([1.0, 2.0])
    g = 2 * (x @ w - t[:, 0]) @ x / len(x)
    return w - 0.1 * g * min(1, limit / math.sqrt(g @ g))


def after_accumulating(batches, steps, **options):
    """The weights after `accumulate`, and what it handed out."""
    trainer = one_unit(**options)
    losses = [loss for loss, predictions, targets in trainer.accumulate(iter(batches), steps)]
    return weights_of(trainer), losses, trainer.updates


def own_loss(batch):
    trainer = one_unit()
    return trainer.loss_fn(trainer.model(batch[0]), batch[1]).item()


def test_unit_accumulate():
    batches = sized_batches(2, 2)
    weights, losses, updates = after_accumulating(batches, 2)
    check_close(losses, [own_loss(batch) for batch in batches], "each batch comes with its own mean loss")
    check_close(weights, in_one_batch(batches), "two batches of two are one of four")
    check_close(updates, 1, "there is one update")
    batches = sized_batches(3)
    check_close(
        after_accumulating(batches, 4)[0], in_one_batch(batches), "a group with one batch of four is that batch"
    )
    batches = sized_batches(3, 1)
    check_close(after_accumulating(batches, 2)[0], in_one_batch(batches), "batches of three and one are one of four")
    check_close(after_accumulating(sized_batches(2, 2, 2), 2)[2], 2, "a group that is left over gets its update")


def test_unit_accumulate_by_its_parts():
    losses = [loss for loss, predictions, targets in altered().accumulate([(Tensor([[1.0, 1.0]]), Tensor([[0.0]]))], 2)]
    check_close(losses, [108.0], "predictions come from self.predict, and losses from self.loss")


def test_unit_accumulate_clipped():
    batches = sized_batches(2, 2, seed=1)
    weights, _, _ = after_accumulating(batches, 2, grad_clip_norm=0.5)
    check_close(weights, in_one_batch(batches, limit=0.5), "what is clipped is the gradient of the whole")
    broken = [(Tensor([[math.inf, 1.0]]), Tensor([[0.0]]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights, _, updates = after_accumulating(broken, 1, grad_clip_norm=0.5)
    check_close(weights, [1.0, 2.0], "with a broken gradient no step is taken")
    check_close(updates, 0, "a step that is left out is no update")


test_unit_accumulate()
test_unit_accumulate_by_its_parts()
test_unit_accumulate_clipped()

# %% [markdown]
# `train_epoch(batches, accumulation_steps=k)` uses it. The digits with batches of 64 and with 4 times 16, from the same
# weights and in the same order. **Predict** how large the largest difference of a weight is after an epoch: zero?

# %%
ends = []
for size, steps in ((64, 1), (16, 4)):
    model = digit_network(seed=0)
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss())
    trainer.train_epoch(Batches(ink[train], labels[train], size), accumulation_steps=steps)
    ends.append(weights_of(trainer))
    print(f"batches of {size}: {trainer.step} batches, {trainer.updates} updates")
print(
    f"largest difference of a weight {np.abs(ends[0] - ends[1]).max():.1e}, largest weight {np.abs(ends[0]).max():.2f}"
)

# %% [markdown]
# Not zero, because sums in another order round differently, and no larger than rounding. The epoch's last update had
# fewer batches in it; with the usual division it would have been a smaller step.
#
# ### Task 07-6. Knowing when to stop
#
# The loss on the training images falls as long as you let it. The loss on images that are not trained on, the
# *validation* loss, falls, stands, and rises again, when the network begins to learn its training images by heart.
# The best epoch is known only afterwards. So wait a few epochs, the *patience*, and keep a copy of the best.
#
# Three definitions to be exact about. **Better** means lower by more than `min_delta`: `val_loss` below the best loss
# minus `min_delta`, where the best is the one that last counted as better. **Stop** says True when `patience` epochs in
# a row were no better, and goes on saying so until one is. And NaN is never better: compare so that it fails by
# itself. What does Python say?

# %%
print("nan < 1:", math.nan < 1, "  nan >= 1:", math.nan >= 1, "  not (nan >= 1):", not (math.nan >= 1))


# %% nbgrader={"grade_id": "07-6", "solution": true}
#| export
class EarlyStopping:
    """`stop = early_stopping(val_loss, params)` once an epoch: True when `patience` epochs in a row were no better.

    An epoch is better when `val_loss < best_loss - min_delta`; NaN never is. Of the best a copy of `params` is kept.
    Raises: ValueError if `patience` is less than 1 or `min_delta` negative.
    """

    def __init__(self, patience=10, min_delta=1e-4):
        if patience < 1 or not min_delta >= 0:
            raise ValueError(f"EarlyStopping: patience {patience} needs at least 1, min_delta {min_delta} at least 0")
        self.patience, self.min_delta = patience, min_delta
        self.best_loss, self.counter, self.best_params = math.inf, 0, None

    def __call__(self, val_loss, params=None):
        ### BEGIN SOLUTION
        if val_loss < self.best_loss - self.min_delta:
            self.best_loss, self.counter = val_loss, 0
            self.best_params = copy.deepcopy(params)
        else:
            self.counter += 1
        return self.counter >= self.patience
        ### END SOLUTION

    def get_best_params(self):
        """A copy of the `params` of the best epoch, None before the first."""
        return copy.deepcopy(self.best_params)

    def state_dict(self):
        """What changes while training, for a checkpoint."""
        return {"best_loss": float(self.best_loss), "counter": self.counter, "best_params": self.get_best_params()}

    def load_state_dict(self, state):
        self.best_loss, self.counter = state["best_loss"], state["counter"]
        self.best_params = copy.deepcopy(state["best_params"])


# %% nbgrader={"grade_id": "07-6-test", "points": 5}
def test_unit_early_stopping():
    stop = EarlyStopping(patience=2, min_delta=0.0)
    answers = [stop(loss) for loss in (4.0, 3.0, 3.5, 2.0, 2.5, 2.4, 2.6)]
    check_close(answers, [0, 0, 0, 0, 0, 1, 1], "patience 2: stop when two in a row are no better, and while it lasts")
    stop = EarlyStopping(patience=1, min_delta=0.1)
    answers = [stop(loss) for loss in (1.0, 1.05, 0.95, 0.85)]
    check_close(answers, [0, 1, 1, 0], "min_delta 0.1: 0.95 is not better than 1.0, and 0.85 is")
    stop = EarlyStopping(patience=2, min_delta=0.0)
    answers = [stop(loss) for loss in (math.nan, 1.0, math.nan, math.nan, 0.5)]
    check_close(answers, [0, 0, 0, 1, 0], "nan is no improvement, and the best stays what it was")


def test_unit_early_stopping_keeps_the_best():
    stop, params = EarlyStopping(patience=3), {"w": np.array([1.0])}
    stop(2.0, params)
    params["w"] += 10.0
    check_close(stop.get_best_params()["w"], [1.0], "what is kept is a copy, which training does not write into")
    stop(3.0, params)
    check_close(stop.get_best_params()["w"], [1.0], "a worse epoch does not replace it")
    stop(1.0, params)
    check_close(stop.get_best_params()["w"], [11.0], "a better one does")


test_unit_early_stopping()
test_unit_early_stopping_keeps_the_best()

# %% [markdown]
# ### Task 07-7. Stop today, go on tomorrow
#
# A run of ten hours meets a power cut, or you want your laptop back. So everything is written to a file, a
# *checkpoint*, and read again by another process. The promise is strict: $n$ epochs, a checkpoint, and $n$ epochs in a
# new process give **bit for bit** the weights of $2n$ epochs in one go. Strict promises are easy to test, and this one
# finds whatever was forgotten.
#
# What does the next epoch depend on? The weights, of course. **Think of four things more** before you read on, and ask
# of each what happens if it is missing: does one notice?
#
# Arrays and numbers must be taken out of objects. Some objects hand them out themselves (`state_dict`); of others the
# attributes are kept; a parameter among these is kept as a position. `freeze` and `thaw` do that, given, and `pack`
# moves the arrays into a dictionary for the file. No object is ever written, so no class is needed to read, and reading
# runs no code. Skim these cells for their docstrings.

# %%
#| export
PLAIN = (type(None), bool, int, float, str)


def freeze(value, ids, above=()):
    """A copy of `value` made of plain containers, numbers and arrays, for `thaw` and for files.

    ids: id of a parameter -> its position; parameters are kept as positions, also as keys of dictionaries.
    Functions and classes stay what they are; what else cannot be kept, as an open file, is left out with a warning.
    """
    if id(value) in ids:
        return {"$parameter": ids[id(value)]}
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return value.copy()
    if isinstance(value, Tensor):
        return {"$tensor": value.data.copy()}
    if isinstance(value, np.random.Generator):
        return {"$generator": freeze(value.bit_generator.state, ids)}
    inside = functools.partial(freeze, ids=ids, above=(*above, id(value)))
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: inside(part) for key, part in value.items()}
        return {"$items": [[{"$id": ids[key]} if key in ids else inside(key), inside(x)] for key, x in value.items()]}
    if isinstance(value, list | tuple):
        return [*map(inside, value)] if isinstance(value, list) else {"$tuple": [*map(inside, value)]}
    if isinstance(value, type) or inspect.isroutine(value):
        return {"$left": type(value).__name__}
    if hasattr(value, "__dict__") and id(value) not in above:
        return {"$object": type(value).__name__, "attributes": inside(vars(value))}
    warnings.warn(f"a checkpoint cannot hold {value!r:.60}; it is left out", stacklevel=2)
    return {"$left": type(value).__name__}


def thaw(frozen, live, parameters):
    """The inverse of `freeze`. Objects, generators and Tensors are written into those of `live`, what stands there now.

    Raises: ValueError where `live` is of another kind.
    """
    if isinstance(frozen, np.ndarray):
        return frozen.copy()
    if isinstance(frozen, list):
        now = live if isinstance(live, list | tuple) and len(live) == len(frozen) else [None] * len(frozen)
        return [thaw(part, old, parameters) for part, old in zip(frozen, now)]
    if not isinstance(frozen, dict):
        return frozen
    mark = next((key for key in frozen if key.startswith("$")), None)
    if mark is not None:
        return _THAW[mark](frozen, live, parameters)
    now = live if isinstance(live, dict) else {}
    return {key: thaw(part, now.get(key), parameters) for key, part in frozen.items()}


def _thaw_items(frozen, live, parameters):
    now = live if isinstance(live, dict) else {}
    keys = [
        id(parameters[key["$id"]]) if isinstance(key, dict) and "$id" in key else thaw(key, None, parameters)
        for key, _ in frozen["$items"]
    ]
    return {key: thaw(part, now.get(key), parameters) for key, (_, part) in zip(keys, frozen["$items"])}


def _thaw_object(frozen, live, parameters):
    if type(live).__name__ != frozen["$object"]:
        raise ValueError(f"the checkpoint has a {frozen['$object']} where a {type(live).__name__} is now")
    for name in getattr(live, "__dict__", {}).keys() - frozen["attributes"].keys():
        delattr(live, name)
    for name, part in frozen["attributes"].items():
        setattr(live, name, thaw(part, getattr(live, name, None), parameters))
    return live


def _thaw_tensor(frozen, live, parameters):
    array = frozen["$tensor"]
    if not isinstance(live, Tensor) or live.shape != array.shape or live.dtype != array.dtype:
        return Tensor(array, dtype=array.dtype)
    live.detach()[...] = array
    return live


def _thaw_generator(frozen, live, parameters):
    if not isinstance(live, np.random.Generator):
        raise ValueError("the checkpoint has the state of a random generator, and there is none to take it")
    live.bit_generator.state = thaw(frozen["$generator"], None, parameters)
    return live


_THAW = {
    "$parameter": lambda frozen, live, parameters: parameters[frozen["$parameter"]],
    "$tuple": lambda frozen, live, parameters: tuple(thaw(frozen["$tuple"], live, parameters)),
    "$left": lambda frozen, live, parameters: live,
    "$items": _thaw_items,
    "$object": _thaw_object,
    "$tensor": _thaw_tensor,
    "$generator": _thaw_generator,
}


# %%
#| export
def pack(value, path, tensors):
    """`value` with every array moved into the dictionary `tensors`, under the path that leads to it."""
    if isinstance(value, np.ndarray | np.generic):
        while path in tensors:
            path += "_"
        tensors[path] = np.asarray(value)
        return {"$array" if isinstance(value, np.ndarray) else "$number": path}
    if isinstance(value, dict) and value.keys() == {"$items"}:
        return {"$items": [[key, pack(part, f"{path}.{key}", tensors)] for key, part in value["$items"]]}
    if isinstance(value, dict):
        return {key: pack(part, f"{path}.{key}".removeprefix("."), tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [pack(part, f"{path}.{i}", tensors) for i, part in enumerate(value)]
    return value


def unpack(value, tensors):
    """The inverse of `pack`."""
    if isinstance(value, dict):
        if value.keys() == {"$array"}:
            return tensors[value["$array"]]
        if value.keys() == {"$number"}:
            return tensors[value["$number"]][()]
        return {key: unpack(part, tensors) for key, part in value.items()}
    return [unpack(part, tensors) for part in value] if isinstance(value, list) else value


# %%
frozen, arrays = freeze({"step": 3, "moments": [np.zeros(2)], "betas": (0.9, 0.999)}, ids={}), {}
print("frozen:", frozen)
print("for the file:", pack(frozen, "", arrays), "and the arrays", arrays)

# %% [markdown]
# On top of these, four functions for you: `model_state(model)` and `part_state(part, parameters)`, copies of what a
# model and an optimizer or a schedule hold; `generator_states(model)`, the random generators that dropout and shuffling
# draw from; and below, `write_model` and `write_part` for the way back.


# %%
#| export
def model_state(model):
    """Name -> copy of the array: the model's `state_dict`, and for a model without one its parameters by position."""
    if hasattr(model, "state_dict") and hasattr(model, "load_state_dict"):
        return {name: np.array(extract_numpy_data(values)) for name, values in model.state_dict().items()}
    return {str(i): np.array(extract_numpy_data(p)) for i, p in enumerate(model.parameters())}


def part_state(part, parameters=()):
    """The state of an optimizer, a schedule or the like: its `state_dict`, and where it has none its attributes."""
    if part is None:
        return None
    ids = {id(p): i for i, p in enumerate(parameters)}
    if hasattr(part, "state_dict") and hasattr(part, "load_state_dict"):
        return {"class": type(part).__name__, "state": freeze(part.state_dict(), ids)}
    return {"class": type(part).__name__, "attributes": freeze(getattr(part, "__dict__", {}), ids)}


def generators_of(model):
    """The random generators that training draws from: the default one, and those that layers own."""
    modules = model.modules() if hasattr(model, "modules") else [model]
    own = [part for module in modules for part in getattr(module, "__dict__", {}).values()]
    return [default_generator, *(part for part in own if isinstance(part, np.random.Generator))]


def generator_states(model):
    """The states of `generators_of(model)`, plain values."""
    return [freeze(generator.bit_generator.state, {}) for generator in generators_of(model)]


# %%
#| export
def write_model(model, state, parameters):
    """Write what `model_state` gave into the same parameters."""
    if hasattr(model, "state_dict") and hasattr(model, "load_state_dict"):
        model.load_state_dict(state)
        return
    for i, parameter in enumerate(parameters):
        target = parameter.detach() if isinstance(parameter, Tensor) else parameter.data
        target[...] = state[str(i)]


def write_part(part, saved, parameters):
    """Write what `part_state` gave; nothing where one of the two is None."""
    if part is None or saved is None:
        return
    if "state" in saved:
        part.load_state_dict(thaw(saved["state"], None, parameters))
    else:
        _thaw_object({"$object": saved["class"], "attributes": saved["attributes"]}, part, parameters)


# %%
drawing = [default_generator.random() for _ in range(2)]
kept = generator_states(digit_network())
ahead = default_generator.random()
default_generator.bit_generator.state = kept[0]
print("drawn ahead, and again after going back:", ahead, default_generator.random())

# %% [markdown]
# Your task is the list itself. `state_dict` returns a dictionary with the keys of the docstring. All of it must be
# copies: a state that was put aside and changes while training goes on is no state. The history is a dictionary of
# lists, so a copy of the dictionary alone is not enough. The counters are plain numbers.


# %% nbgrader={"grade_id": "07-7", "solution": true}
#| export
@add_to(Trainer)
def state_dict(self):
    """Everything that the next epochs depend on or that is reported of the past ones, as copies.

    Keys: model, optimizer, scheduler, generators, history, epoch, step, updates, skipped, training_mode.
    """
    parameters = self.parameters()
    ### BEGIN SOLUTION
    state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}
    state["model"] = model_state(self.model)
    state["optimizer"] = part_state(self.optimizer, parameters)
    state["scheduler"] = part_state(self.scheduler)
    state["generators"] = generator_states(self.model)
    state["history"] = copy.deepcopy(self.history)
    return state
    ### END SOLUTION


# %% [markdown]
# The way back is given. It looks at everything before it writes anything, as `load_state_dict` of module 03 does, and
# if something goes wrong while writing after all, it writes back what was there.


# %%
#| export
@add_to(Trainer)
def load_state_dict(self, state):
    """Go back to what `state_dict` gave. Raises: ValueError for the state of another run; then nothing is changed."""
    self._check_state(state)
    before, pending, sums, modes = self._whole_state(), self._pending, self._sums, self.modes()
    try:
        self._write_state(state)
    except BaseException:
        self._write_state(before)
        self._pending, self._sums = pending, sums
        self.restore_modes(modes)
        raise


# %%
#| export
@add_to(Trainer)
def _whole_state(self):
    """`state_dict`, and the state of what was lent to the Trainer: early stopping, callbacks that have a `state_dict`,
    and a loader that has a position, with what the epoch has added up until there. What was loaded and nobody has asked
    for yet is kept."""
    lent = {"early_stopping": part_state(self.early_stopping), "loader": None, "epoch_so_far": None}
    if hasattr(self._loader, "load_state_dict"):
        lent["loader"], lent["epoch_so_far"] = part_state(self._loader), self._epoch_state()
    lent = {name: self._pending.get(name) or state for name, state in lent.items()}
    callbacks = [*map(part_state, self._callbacks_with_state()), *self._pending.get("callbacks", ())]
    return {**self.state_dict(), **lent, "callbacks": callbacks}


# %%
#| export
@add_to(Trainer)
def _callbacks_with_state(self):
    return [part for part in self.callbacks if hasattr(part, "state_dict") and hasattr(part, "load_state_dict")]


# %%
#| export
@add_to(Trainer)
def _hand_out(self):
    """Give early stopping and callbacks the states that were loaded for them, callbacks of a class in their order."""
    if self.early_stopping is not None:
        write_part(self.early_stopping, self._pending.pop("early_stopping", None), ())
    waiting = self._pending.pop("callbacks", [])
    for callback in self._callbacks_with_state():
        place = next((i for i, saved in enumerate(waiting) if saved["class"] == type(callback).__name__), None)
        if place is not None:
            write_part(callback, waiting.pop(place), ())
    if waiting:
        self._pending["callbacks"] = waiting


# %%
#| export
@add_to(Trainer)
def _check_state(self, state):
    names = ("model", "optimizer", "scheduler", "generators", "history", "epoch", "step", "updates", "training_mode")
    missing = [name for name in (*names, "skipped") if name not in state]
    if missing:
        raise ValueError(f"the state lacks {', '.join(missing)}")
    problems, own = [], model_state(self.model)
    for name in own | state["model"]:
        here, there = (np.shape(arrays[name]) if name in arrays else "missing" for arrays in (own, state["model"]))
        if here != there:
            problems.append(f"{name} is {here} in this model and {there} in the state")
    for role in ("optimizer", "scheduler"):
        part, saved = getattr(self, role), state[role]
        if part is not None and saved is not None and type(part).__name__ != saved["class"]:
            problems.append(f"the {role} is {type(part).__name__} here and {saved['class']} in the state")
    if len(state["generators"]) != len(generators_of(self.model)):
        problems.append("the model has another number of random generators")
    if problems:
        raise ValueError("; ".join(problems))


# %%
#| export
@add_to(Trainer)
def _write_state(self, state):
    parameters = self.parameters()
    write_model(self.model, state["model"], parameters)
    write_part(self.optimizer, state["optimizer"], parameters)
    write_part(self.scheduler, state["scheduler"], parameters)
    for generator, values in zip(generators_of(self.model), state["generators"]):
        generator.bit_generator.state = thaw(values, None, ())
    self.history = self._whole_history(state["history"])
    for name in ("epoch", "step", "updates", "skipped", "training_mode"):
        setattr(self, name, state[name])
    lent = ("early_stopping", "loader", "epoch_so_far")
    self._pending, self._sums = {name: state[name] for name in lent if state.get(name) is not None}, None
    self._pending["callbacks"] = list(state.get("callbacks", ()))
    self._hand_out()


# %%
#| export
@add_to(Trainer)
def _whole_history(self, saved):
    """A copy of the saved history, with NaN under names that only this Trainer has."""
    rows = len(saved["epoch"])
    return {name: list(saved.get(name, [math.nan] * rows)) for name in dict.fromkeys([*saved, *self.history])}


# %% nbgrader={"grade_id": "07-7-test", "points": 5}
def noisy_run(seed, rate=0.1):
    """A Trainer with dropout, a buffer, moments and a schedule: whatever a state may forget."""
    manual_seed(seed)
    model = Sequential(Linear(2, 4), Dropout(0.5), Linear(4, 1))
    model.register_buffer("seen", np.zeros(1))
    return Trainer(model, Adam(model.parameters(), lr=rate), MeanSquaredError(), StepDecay(rate, 1, 0.5))


def work(trainer, epochs):
    """Train by hand on random numbers, and count."""
    for _epoch in range(epochs):
        set_rate(trainer.optimizer, trainer.scheduler.get_lr(trainer.epoch))
        trainer.optimizer.zero_grad()
        loss = trainer.model(Tensor(default_generator.normal(size=(8, 2)))).abs().mean()
        loss.backward()
        trainer.optimizer.step()
        trainer.model.seen.data = trainer.model.seen.data + 8
        trainer.history["epoch"].append(trainer.epoch)
        trainer.epoch, trainer.step, trainer.updates = trainer.epoch + 1, trainer.step + 3, trainer.updates + 2


def test_unit_state_dict():
    trainer = noisy_run(seed=0)
    work(trainer, 2)
    trainer.model.eval()
    state = trainer.state_dict()
    trainer.model.train()
    work(trainer, 3)
    check_close([state[name] for name in ("epoch", "step", "updates", "skipped")], [2, 6, 4, 0], "the counters")
    check_equal(state["training_mode"], False, "whether the model was being trained")
    check_equal(state["history"]["epoch"], [0, 1], "the history is that of the moment, also when training goes on")
    other = noisy_run(seed=9, rate=7.0)
    other.load_state_dict(state)
    other.model.train()
    check_close(other.scheduler.get_lr(0), 0.1, "the schedule is that of the state")
    check_close(other.model.seen, [16], "the buffer is that of the moment")
    work(other, 3)
    check_close(
        weights_of(other), weights_of(trainer), "going on from the state gives the same weights", rtol=0, atol=0
    )
    check_close(other.model.seen, trainer.model.seen, "and the same buffer")


def test_unit_state_dict_of_another_model():
    trainer = noisy_run(seed=0)
    work(trainer, 1)
    state = trainer.state_dict()
    state["model"]["0.weight"] = np.zeros((5, 2))
    before = weights_of(trainer)
    text = check_raises(ValueError, lambda: trainer.load_state_dict(state), "the state of another model is an error")
    check("0.weight" in text, "the error names what does not fit")
    check_close(weights_of(trainer), before, "after the error nothing is changed")


test_unit_state_dict()
test_unit_state_dict_of_another_model()

# %% [markdown]
# Now the file (given). It holds more than the next epochs need: on which processor and with which version of NumPy it
# was made. The last bit of a sum depends on the order in which it is added, and that is decided there. So "bit for
# bit" holds on a like machine, and elsewhere there is a warning.


# %%
#| export
def environment():
    """What the last bits of a result depend on, apart from the program."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    threads = (os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"))
    return {
        "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "processor": processor,
        "threads": next((number for number in threads if number), str(os.cpu_count())),
    }


# %%
#| export
def warn_of_another_machine(path, there):
    """Warn the caller's caller where `there`, the `environment()` of a checkpoint, is not that of this machine."""
    here = environment()
    other = [f"{name} {there.get(name)} then, {here[name]} now" for name in here if there.get(name) != here[name]]
    if other:
        warnings.warn(f"{path}: {'; '.join(other)}; the run goes on, but not bit for bit", stacklevel=3)


# %%
#| export
@add_to(Trainer)
def save_checkpoint(self, path):
    """Write the whole run into one file at `path`; folders are made as needed. After a crash there is the old file or
    the new one, never a part.

    In the middle of an epoch, in `on_batch_end`, too, if the loader has `state_dict`. Gradients that are being
    accumulated are not in the file; then there is a warning, for the run will not go on bit for bit.
    """
    if self._sums is not None and self._group > 1:
        warnings.warn(f"{path} is saved while gradients are being accumulated, and these are not in it; save after an "
                      "epoch to go on bit for bit", stacklevel=2)  # fmt: skip
    tensors = {}
    state = pack(self._whole_state(), "", tensors)
    save_file(path, tensors, {"trainer": 1, "environment": environment(), "state": state})


# %%
#| export
@add_to(Trainer)
def load_checkpoint(self, path):
    """Go on from a file of `save_checkpoint`, bit for bit on the same machine; warns where that cannot be promised.

    Raises: FileNotFoundError; ValueError for a damaged file, or one of another model; then nothing is changed.
    """
    tensors, info = load_file(path)
    if not isinstance(info, dict) or not {"trainer", "environment", "state"} <= info.keys():
        raise ValueError(f"{path} is a checkpoint, but not of a Trainer; it holds {list(tensors)[:5]}")
    try:
        self.load_state_dict(unpack(info["state"], tensors))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{path} does not fit this Trainer: {error}; nothing was changed") from error
    warn_of_another_machine(path, info["environment"])


# %%
folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "runs", "first.ckpt")
trainer = noisy_run(seed=0)
work(trainer, 2)
trainer.save_checkpoint(path)
arrays, info = load_file(path)
print(os.path.getsize(path), "bytes:", list(arrays)[:6], "...")
print("written on", info["environment"])
stranger = Trainer(Sequential(Linear(2, 5)), trainer.optimizer, MeanSquaredError())
try:
    stranger.load_checkpoint(path)
except ValueError as error:
    print(str(error).replace(folder.name, "..."))

# %% [markdown]
# ### Task 07-8. All of it
#
# `fit` is the loop over epochs, and by now each of its lines is a call. What is left are questions of order:
#
# 1. Train an epoch. Validate, if there is anything to validate on, and `self.record_validation(...)` the result.
# 2. `early_stopping`, if there is one, is called with the loss that is watched (the name in `watched`, given; its
#    newest value is the last in that list of `self.history`) and with `model_state(self.model)`. It is asked **before**
#    the checkpoint is saved: the file holds its state too, and would otherwise be an epoch behind.
# 3. With `save_best`, save a checkpoint to `checkpoint_path` if `self.is_best(watched)`.
# 4. `self.finish_epoch(stop)` tells callbacks and prints; it returns whether to end here.
#
# `epochs` are *more* epochs: `fit` called again goes on counting. The frame around your loop catches Ctrl-C, so that an
# impatient student keeps the model and the history.
#
# First what it shows while it runs, and the given parts of the frame.


# %%
#| export
class Progress:
    """What `fit` shows: a bar over the batches, where tqdm is installed and somebody looks, and a line an epoch."""

    def __init__(self, last):
        self.last, self.bar, self.live = last, None, somebody_looks()

    def start(self, epoch, loader):
        if self.live:
            from tqdm.auto import tqdm

            total = len(loader) if hasattr(loader, "__len__") else None
            self.bar = tqdm(total=total, desc=f"epoch {epoch + 1}/{self.last}", unit="batch", leave=False)

    def batch(self, trainer, loss):
        if self.bar is not None:
            values = {"loss": loss, **trainer.scores.compute(), "rate": rate_of(trainer.optimizer)}
            shown = {name: f"{x:.4g}" for name, x in values.items() if isinstance(x, float) and not math.isnan(x)}
            self.bar.set_postfix(shown, refresh=False)
            self.bar.update()

    def close(self):
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def line(self, epoch, text):
        self.close()
        print(f"epoch {epoch}/{self.last}  {text}")


# %%
#| export
@add_to(Trainer)
def _begin_fit(self, train, val, epochs, verbose, save_best, checkpoint_path, early_stopping):
    whole("fit: epochs", epochs, 0)
    if early_stopping is not None:
        require(early_stopping, "fit: early_stopping", "__call__")
    if save_best:
        require_place(checkpoint_path)
    for name, loader in (("train", train), ("val", val)):
        if epochs > 1 and isinstance(loader, Iterator):
            raise ValueError(
                f"fit: {name} is an iterator ({type(loader).__name__}), which can be read only once, and there are "
                f"{epochs} epochs; give a list, a loader, or a function that makes a new one: lambda: ..."
            )
    self.early_stopping, self.stop_training = early_stopping, False
    self._hand_out()
    self._tell("on_fit_start")
    self._progress = Progress(self.epoch + epochs) if verbose else None
    self._before_fit = autograd.enabled, self.modes()


# %%
#| export
@add_to(Trainer)
def _end_fit(self):
    if self._progress is not None:
        self._progress.close()
        self._progress = None
    self._tell("on_fit_end")


# %%
#| export
@add_to(Trainer)
def is_best(self, name):
    """Whether the last entry of `history[name]` is lower than all before it."""
    *earlier, last = self.history[name]
    return last < min((value for value in earlier if not math.isnan(value)), default=math.inf)


# %%
#| export
@add_to(Trainer)
def finish_epoch(self, stop=False):
    """Tell everybody that an epoch is over; returns whether training ends here, by `stop` or by a callback."""
    text = epoch_line(self.history)
    logger.info("epoch %d  %s", self.epoch, text)
    if self._progress is not None:
        self._progress.line(self.epoch, text)
    self._tell("on_epoch_end")
    return bool(stop or self.stop_training)


# %%
#| export
@add_to(Trainer)
def interrupted(self):
    """After Ctrl-C: put right what it may have cut off half way, and say what there is."""
    autograd.enabled, modes = self._before_fit
    self.restore_modes(modes)
    rows = min(len(values) for values in self.history.values())
    for values in self.history.values():
        del values[rows:]
    if rows:
        self.epoch = self.history["epoch"][-1] + 1
    print(f"interrupted; the model is usable, and the history has {rows} complete epochs", file=sys.stderr)


# %% nbgrader={"grade_id": "07-8", "solution": true}
#| export
@add_to(Trainer)
def fit(
    self,
    train,
    val=None,
    epochs=10,
    verbose=True,
    save_best=False,
    checkpoint_path="best_model.pkl",
    early_stopping=None,
    *,
    accumulation_steps=1,
):
    """Train for `epochs` more epochs, each followed by a validation on `val`; returns the history.

    train, val: iterables of (inputs, targets), or functions that make one.
    save_best: save a checkpoint after each epoch with the lowest validation loss so far (training loss without `val`).
    early_stopping: an EarlyStopping, asked after each epoch with the same loss and the model's state.
    Ctrl-C ends it as well; the history then has the complete epochs.
    Raises: ValueError for an iterator, which can be read only once, where it must be read again.
    """
    watched = "train_loss" if val is None else "val_loss"
    self._begin_fit(train, val, epochs, verbose, save_best, checkpoint_path, early_stopping)
    try:
        ### BEGIN SOLUTION
        for _ in range(epochs):
            self.train_epoch(train, accumulation_steps)
            if val is not None:
                self.record_validation(self.validate_epoch(val))
            score = self.history[watched][-1]
            stop = early_stopping is not None and early_stopping(score, model_state(self.model))
            if save_best and self.is_best(watched):
                self.save_checkpoint(checkpoint_path)
            if self.finish_epoch(stop):
                break
        ### END SOLUTION
    except KeyboardInterrupt:
        self.interrupted()
    finally:
        self._end_fit()
    return self.history


# %% nbgrader={"grade_id": "07-8-test", "points": 5}
def line_batches(slope):
    """Twelve points on a line through -1, in two batches."""
    x = np.linspace(-1, 1, 12).reshape(12, 1)
    return [(Tensor(x[rows]), Tensor(slope * x[rows] - 1)) for rows in (slice(8), slice(8, 12))]


def line_fitter(**options):
    model = Sequential(Linear(1, 1))
    model[0].weight.data, model[0].bias.data = [[0.0]], [0.0]
    return Trainer(model, SGD(model.parameters(), lr=0.1), MeanSquaredError(), **options)


def line_by_hand(batches):
    """What `line_fitter` knows after an epoch with one update a batch, [slope, level], and the mean loss on the way."""
    slope, level, squares = 0.0, 0.0, []
    for x, t in batches:
        error = slope * x.data + level - t.data
        squares.append(error**2)
        slope, level = slope - 0.2 * np.mean(error * x.data), level - 0.2 * np.mean(error)
    return [slope, level], np.mean(np.concatenate(squares))


def test_unit_fit():
    trainer, same, other = line_fitter(), line_batches(3.0), line_batches(2.0)
    history = trainer.fit(same, other, epochs=3, verbose=False)
    check_close(history["epoch"], [0, 1, 2], "three epochs, counted from 0")
    check_close(history["val_loss"][-1], trainer.evaluate(other)[0], "the validation is that of the epoch's weights")
    check(history["train_loss"][-1] < history["train_loss"][0], "the training loss falls")
    check_close(trainer.fit(same, epochs=2, verbose=False)["epoch"], [0, 1, 2, 3, 4], "called again it goes on")
    check_close(history["val_loss"][3:], [math.nan] * 2, "without validation its loss is nan")
    check_close(trainer.updates, 10, "an update for each batch")
    trainer.fit(same, epochs=1, verbose=False, accumulation_steps=2)
    check_close(trainer.updates, 11, "and with two batches to an update one an epoch")


def test_unit_fit_by_hand():
    batches = line_batches(3.0)
    line, loss = line_by_hand(batches)
    trainer = line_fitter()
    check_close(trainer.fit(batches, epochs=1, verbose=False)["train_loss"], [loss], "the loss of one epoch, by hand")
    check_close(weights_of(trainer), line, "slope and level after one epoch, by hand")
    whole = [tuple(Tensor(np.concatenate([part.data for part in parts])) for parts in zip(*batches))]
    trainer = line_fitter()
    trainer.fit(batches, epochs=2, verbose=False, accumulation_steps=2)
    check_close(weights_of(trainer), line_by_hand(2 * whole)[0], "and after two epochs with both batches to one update")


def test_unit_fit_stops():
    trainer, stop = line_fitter(), EarlyStopping(patience=2)
    history = trainer.fit(line_batches(3.0), line_batches(-3.0), epochs=6, verbose=False, early_stopping=stop)
    check_close(stop.best_loss, min(history["val_loss"]), "early stopping watches the validation loss")
    check_close(history["epoch"], [0, 1, 2], "it rises from the start, so patience 2 ends after three epochs")
    check(stop.get_best_params()["0.weight"] < trainer.model[0].weight.data, "the weights of the best epoch are kept")
    trainer = line_fitter(callbacks=[SimpleNamespace(on_epoch_end=lambda t: setattr(t, "stop_training", t.epoch == 2))])
    check_close(trainer.fit(line_batches(3.0), epochs=5, verbose=False)["epoch"], [0, 1], "a callback can end it")


def test_unit_fit_saves_the_best():
    with tempfile.TemporaryDirectory() as folder:
        path, options = os.path.join(folder, "best"), dict(epochs=3, verbose=False, save_best=True)
        trainer, stop = line_fitter(), EarlyStopping()
        trainer.fit(line_batches(3.0), early_stopping=stop, checkpoint_path=path, **options)
        check(os.path.exists(path), "the best is saved; without validation that of the training loss")
        trainer, resumed = line_fitter(), EarlyStopping()
        trainer.load_checkpoint(path)
        trainer.fit([], epochs=0, verbose=False, early_stopping=resumed)
        check_close(resumed.best_loss, stop.best_loss, "the file has early stopping as it was after that epoch")
        line_fitter().fit(line_batches(3.0), line_batches(-3.0), checkpoint_path=path, **options)
        trainer.load_checkpoint(path)
        check_close(trainer.epoch, 1, "where the validation loss rises, the file stays that of the first epoch")


test_unit_fit()
test_unit_fit_stops()
test_unit_fit_saves_the_best()
test_unit_fit_by_hand()

# %% [markdown]
# ## Part 4. Integration: digits, from the first epoch to the resumed one
#
# Everything at once on real data: a network with dropout, Adam, your schedule, clipping, and early stopping. Of the
# 1437 training images 287 are set aside for validation: whoever stops by the test images has used them for training.
# A `math.inf` as limit would only measure the gradient's length; 1.0 clips it.

# %%
learn, check_on = train[:1150], train[1150:]


def digit_run(seed=0, total=30, rate=0.01, limit=1.0):
    model = digit_network(seed, dropout=0.3)
    schedule = CosineSchedule(rate, rate / 100, total)
    return Trainer(model, Adam(model.parameters(), lr=rate), CrossEntropyLoss(), schedule, limit)


def learning_batches():
    return Batches(ink[learn], labels[learn], 32, default_generator)


held_out = Batches(ink[check_on], labels[check_on], 256)

# %%
trainer, stop = digit_run(), EarlyStopping(patience=8)
history = trainer.fit(learning_batches(), held_out, epochs=30, verbose=False, early_stopping=stop)
trainer.model.load_state_dict(stop.get_best_params())
loss, share = trainer.evaluate(Batches(ink[test], labels[test], 256))
print(f"{trainer.epoch} epochs, the best was {int(np.argmin(history['val_loss']))}; test accuracy {share:.3f}")

# %% [markdown]
# The four curves that one looks at first (given): loss, metric, learning rate, length of the gradient. Where there is
# no matplotlib, they are drawn with letters.


# %%
#| export
PANELS = {
    "loss": ("train_loss", "val_loss"),
    "metric": ("train_metric", "val_metric"),
    "learning rate": ("learning_rates",),
    "gradient norm": ("grad_norms",),
}


def text_plot(title, curves, width=60, height=7):
    """`curves` (name -> numbers) as lines of text, of at most width + 13 columns; what is not finite is a gap."""
    points = {name: [(i, y) for i, y in enumerate(ys) if math.isfinite(y)] for name, ys in curves.items()}
    points = {name: pairs for name, pairs in points.items() if pairs}
    values = [y for pairs in points.values() for _, y in pairs]
    if not values:
        return f"{title}: nothing to draw"
    low, high, last = min(values), max(values), max(max(map(len, curves.values())) - 1, 1)
    grid = [[" "] * width for _ in range(height)]
    for mark, pairs in zip("*o+x", points.values()):
        for i, y in pairs:
            row = round((high - y) / ((high - low) or 1) * (height - 1))
            grid[row][round(i / last * (width - 1))] = mark
    labels = [f"{high:10.4g}", *[" " * 10] * (height - 2), f"{low:10.4g}"]
    legend = "  ".join(f"{mark} {name}" for mark, name in zip("*o+x", points))
    return "\n".join([f"{title}: {legend}", *(f"{label} |{''.join(row)}" for label, row in zip(labels, grid))])


# %%
#| export
def plot_training_curves(history, save_path=None):
    """Draw a history, 2 x 2: loss, metric, learning rate, gradient norm by epoch. Returns the four axes.

    save_path: also write the picture there; folders are made as needed. Without matplotlib the curves are printed as
        text, nothing is written, and None is returned.
    """
    if not isinstance(history, Mapping):
        raise TypeError(f"plot_training_curves: history is {history!r:.60}; it is a dictionary, such as fit returns")
    panels = {title: {name: history.get(name, []) for name in names} for title, names in PANELS.items()}
    if find_spec("matplotlib") is None:
        print("\n\n".join(text_plot(title, curves) for title, curves in panels.items()))
        if save_path is not None:
            warnings.warn(f"{save_path} was not written: that needs matplotlib (pip install matplotlib)", stacklevel=2)
        return None
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 5), layout="constrained", sharex=True)
    for ax, (title, curves) in zip(axes.flat, panels.items()):
        drawn = {name: values for name, values in curves.items() if any(map(math.isfinite, values))}
        for name, values in drawn.items():
            ax.plot(values, label=name, marker="." if len(values) < 30 else None)
        ax.set(title=title)
        ax.xaxis.get_major_locator().set_params(integer=True)
        numbers = [y for values in drawn.values() for y in values if math.isfinite(y)]
        if title == "loss" and drawn and max(numbers) > 10 * min(numbers) > 0:
            ax.set(yscale="log")
        if len(drawn) > 1:
            ax.legend()
        if not drawn:
            ax.text(0.5, 0.5, "nothing to draw", transform=ax.transAxes, ha="center")
    for ax in axes[1]:
        ax.set(xlabel="epoch")
    if save_path is not None:
        make_folder_of(save_path)
        figure.savefig(save_path)
    return axes


# %% tags=["measure"]
plot_training_curves(history)
plt.show()

# %%
print(text_plot("validation", {"val_loss": history["val_loss"], "train_loss": history["train_loss"]}))

# %% [markdown]
# The validation curve lies on the other side of the training curve than one expects, for the two reasons of task 07-4.
# Does it turn upwards at the end? With the rate near zero, little changes any more, in either direction; that is why
# early stopping and a schedule that ends at zero do half of each other's work.
#
# Now the strict promise. The same run twice: straight through, and with a power cut in the middle. A new Trainer, with
# other weights, another rate and a generator that has been used for other things, reads the file.

# %%
manual_seed(3)
straight = digit_run(seed=3, total=12)
straight.fit(learning_batches(), held_out, epochs=12, verbose=False)

path = os.path.join(folder.name, "digits.ckpt")
first_half = digit_run(seed=3, total=12)
first_half.fit(learning_batches(), held_out, epochs=6, verbose=False)
first_half.save_checkpoint(path)

second_half = digit_run(seed=77, total=12, rate=0.5)
second_half.load_checkpoint(path)
second_half.fit(learning_batches(), held_out, epochs=6, verbose=False)
print("same bits:", np.array_equal(weights_of(straight), weights_of(second_half)))
print("same history:", straight.history == second_half.history, " epochs", second_half.epoch)

# %% [markdown]
# And what if something is left out? The next cell forgets one part of the state at a time, and goes on from the file as
# if nothing had happened. **Predict** for each whether the training loss would show it.

# %%
arrays, info = load_file(path)
state = unpack(info["state"], arrays)
own = digit_run(seed=77, total=12).state_dict()
for forgotten in ("nothing", "optimizer", "generators", "epoch"):
    run = digit_run(seed=77, total=12)
    run.load_state_dict({**state, **({} if forgotten == "nothing" else {forgotten: own[forgotten]})})
    run.fit(learning_batches(), held_out, epochs=6, verbose=False)
    apart = np.abs(weights_of(run) - weights_of(straight)).max()
    print(
        f"without {forgotten:10}: largest difference of a weight {apart:7.1g}, loss {run.history['train_loss'][-1]:.4f}"
    )

# %% [markdown]
# Each of these losses is one that the run could have had. Only bits can tell, and that is why the promise is about
# bits.
#
# ### One bad batch
#
# A sensor fails, a file is damaged, and one batch holds NaN. By default the Trainer says where, and goes on as plain
# lines would. With `nonfinite="skip"` it leaves out the step. **Predict** how many of the weights are numbers after the
# epoch, in both cases.


# %%
def damaged_batches():
    for i, (inputs, targets) in enumerate(Batches(ink[learn], labels[learn], 128)):
        yield (Tensor(inputs.data * np.nan) if i == 3 else inputs), targets


for choice in ("warn", "skip"):
    model = digit_network(seed=0)
    run = Trainer(model, SGD(model.parameters(), lr=0.1), CrossEntropyLoss(), nonfinite=choice)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run.train_epoch(damaged_batches)
    print(*(warning.message for warning in caught), sep="\n")
    print(f"  {np.isfinite(weights_of(run)).mean():.0%} of the weights are numbers; {result}; {run.skipped} left out")

# %% [markdown]
# ### Three ways to write a training loop
#
# The Trainer is one style. You will meet two others, and they are the same thing. In the *functional* style there is no
# optimizer: gradients are a dictionary, a function gives new weights for old ones, and these are written back. In the
# style of *parameter dictionaries* there is no model either: a dictionary of arrays, a function for the loss and its
# gradients, and an update rule with a small memory of its own for each array.
#
# All three below begin with the same weights and see the same batches. What they have in common is what you built:
# `backward`, and one formula for a step. **Predict** how far apart their losses are after 100 steps.


# %%
def functional_step(model, x, y, rate):
    """The loss of a batch, before a step without an optimizer."""
    model.zero_grad()
    loss = cross_entropy(model(x), y)
    loss.backward()
    grads, _norm = clip_gradients({name: p.grad.data for name, p in model.named_parameters()}, max_norm=100.0)
    weights = model.state_dict()
    model.load_state_dict({name: sgd(w, grads[name], {"learning_rate": rate})[0] for name, w in weights.items()})
    return loss.item()


def dictionary_loss(params, x, y):
    """The loss of a network whose weights are the arrays W1, b1, W2, b2, ... in `params`; and its gradients by name."""
    leaves = {name: Tensor(array, requires_grad=True) for name, array in params.items()}
    depth = len(params) // 2
    for i in range(1, depth + 1):
        x = linear(x, leaves[f"W{i}"], leaves[f"b{i}"])
        if i < depth:
            x = relu(x)
    loss = cross_entropy(x, y)
    loss.backward()
    return loss.item(), {name: leaf.grad.data for name, leaf in leaves.items()}


def dictionary_step(params, configs, x, y):
    """The loss of a batch, before the rule `sgd` gives new arrays; each has a config of its own."""
    loss, grads = dictionary_loss(params, x, y)
    for name in params:
        params[name], configs[name] = sgd(params[name], grads[name], configs[name])
    return loss


# %%
model_a, model_b = digit_network(seed=0), digit_network(seed=0)
trainer = Trainer(model_a, SGD(model_a.parameters(), lr=0.1), CrossEntropyLoss())
names = ("W1", "b1", "W2", "b2")
params = dict(zip(names, (p.data.copy() for p in digit_network(seed=0).parameters())))
configs = {name: {"learning_rate": 0.1} for name in params}
rows = []
for inputs, targets in itertools.islice(itertools.cycle(Batches(ink[train], labels[train], 32)), 100):
    a = trainer.train_step(inputs, targets)[0]
    rows.append((a, functional_step(model_b, inputs, targets, 0.1), dictionary_step(params, configs, inputs, targets)))
rows = np.array(rows)
print("losses of the last step:", rows[-1], "  first:", rows[0, 0])
print("largest difference between two styles in any step:", np.ptp(rows, axis=1).max())

# %% [markdown]
# The styles differ in who holds the weights and who writes them; nothing in the arithmetic knows which style it is in.
# Comfortable forms of the other two come with the library, made of your functions: `tinytorch.training_utils` has
# `train_model` for anything with `forward`, `get_params` and `set_params`, and `tinytorch.solver` has `Networks` and
# `Solver` for dictionaries. Once this module is complete, `python -m tinytorch.training_demo` shows all three.
#
# The dictionary makes one experiment easy, since first weights are yours to choose: normal numbers times a *weight
# scale*. 0.001 is a value that many courses start from. With two layers it works, if slowly. **Predict** what three
# layers do; which factor has the gradient of the first layer's weights?


# %%
def scaled_start(scale, sizes=(64, 64, 64, 10), seed=0):
    """First weights: normal, times `scale`; zero biases."""
    rng, params = np.random.default_rng(seed), {}
    for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:]), 1):
        params[f"W{i}"] = (scale * rng.normal(size=(fan_out, fan_in))).astype(np.float32)
        params[f"b{i}"] = np.zeros(fan_out, dtype=np.float32)
    return params


# %%
for scale, sizes in ((0.001, (64, 64, 10)), (0.001, (64, 64, 64, 10)), (0.1, (64, 64, 64, 10))):
    params = scaled_start(scale, sizes)
    configs = {name: {"learning_rate": 0.1} for name in params}
    _, grads = dictionary_loss(params, Tensor(ink[train[:256]]), labels[train[:256]])
    lengths = "  ".join(f"{name} {np.linalg.norm(grads[name]):.0e}" for name in grads if name[0] == "W")
    for _ in range(20):
        for inputs, targets in Batches(ink[train], labels[train], 32):
            loss = dictionary_step(params, configs, inputs, targets)
    print(
        f"scale {scale:5}, {len(sizes) - 1} layers: loss after 20 epochs {loss:.3f}; gradients at the start {lengths}"
    )
print(f"a network that says the same for every image has the loss log 10 = {math.log(10):.3f}")

# %% [markdown]
# What reaches the first layer has passed the weights of all layers above it, so it is shorter by a factor of about
# $0.001\sqrt{64}$ for each; and what reaches the last layer from below is as small. Only the last bias learns, and that
# is how often each digit occurs. Module 03's `kaiming` has the scale at which nothing grows or fades: $\sqrt{2/64}
# \approx 0.18$ here.
#
# ## Part 5. Systems analysis
#
# ### Where the time of a step goes
#
# A step is four parts: forward, loss, backward, update. The network is 784-256-128-10, the batch 64, the optimizer
# Adam. Count multiplications first: backward makes two products where forward makes one (one for the weights, one for
# the values), except in the first layer, whose input needs no gradient. **Predict** the shares.


# %% tags=["measure"]
def wide_network(seed=0):
    manual_seed(seed)
    return Sequential(Linear(784, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 10))


def timed_parts(model, optimizer, x, y, steps=150):
    """Median seconds of the parts of a step."""
    loss_fn, found = CrossEntropyLoss(), []
    for _ in range(steps):
        marks = [time.perf_counter()]
        optimizer.zero_grad()
        scores = model(x)
        marks.append(time.perf_counter())
        cost = loss_fn(scores, y)
        marks.append(time.perf_counter())
        cost.backward()
        marks.append(time.perf_counter())
        clip_grad_norm(model.parameters(), 1e9)
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        found.append(np.diff(marks))
    return np.median(found, axis=0)


rng = np.random.default_rng(0)
x, y = Tensor(rng.normal(size=(64, 784))), rng.integers(0, 10, 64)
names, by_optimizer = ("forward", "loss", "backward", "clip", "update"), {}
for kind in (SGD, Adam):
    model = wide_network()
    by_optimizer[kind.__name__] = seconds = timed_parts(model, kind(model.parameters(), lr=1e-4), x, y)
    shares = "  ".join(f"{name} {share:.0%}" for name, share in zip(names, seconds / seconds.sum()))
    print(f"{kind.__name__:5} {seconds.sum() * 1e3:.2f} ms: {shares}")
print(
    f"backward / forward {seconds[2] / seconds[0]:.1f}; counted: {2 - 784 * 256 / (784 * 256 + 256 * 128 + 1280):.1f}"
)

# %% tags=["measure"]
fig, ax = plt.subplots(figsize=(7, 1.8), layout="constrained")
for row, seconds in enumerate(by_optimizer.values()):
    left = np.concatenate([[0], np.cumsum(seconds)[:-1]])
    for place, (name, start, width) in enumerate(zip(names, left, seconds)):
        ax.barh(row, width * 1e3, left=start * 1e3, color=f"C{place}", label=name if row == 0 else None)
ax.set(yticks=range(len(by_optimizer)), yticklabels=by_optimizer, xlabel="milliseconds")
fig.legend(ncols=5, loc="outside upper center")
plt.show()

# %% [markdown]
# Backward costs less than twice the forward pass here, because the first layer, the largest, needs only one of the two
# products. And the update of an optimizer does not look at the batch at all: it passes over every weight a few times, a
# fixed price a step. Which brings us to the batch size. What does the Trainer itself cost, beside the step?

# %% tags=["measure"]
model = digit_network()
small = [(Tensor(ink[train[:32]]), labels[train[:32]])] * 100
plain_optimizer, loss_fn = SGD(model.parameters(), lr=1e-6), CrossEntropyLoss()


def plain_epoch():
    for inputs, targets in small:
        plain_optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        plain_optimizer.step()


run = Trainer(model, plain_optimizer, loss_fn)
bare = measure(plain_epoch, label="100 batches of 32, plain lines")
kept = measure(lambda: run.train_epoch(small), label="100 batches of 32, train_epoch")
print(f"the Trainer adds {(kept - bare) / 100 * 1e6:.0f} microseconds a batch: counting, the accuracy, the history")

# %% [markdown]
# ### Throughput by batch size
#
# Images a second, for batches of 1 to 1024, with Adam. If a step cost a fixed price and nothing else, throughput would
# grow with exponent 1; if it cost only per image, with exponent 0. **Predict** at which batch size the one turns into
# the other.

# %% tags=["measure"]
sizes, speed = 2 ** np.arange(0, 11), []
for size in sizes:
    model = wide_network()
    batch = [(Tensor(rng.normal(size=(size, 784))), rng.integers(0, 10, size))]
    run = Trainer(model, Adam(model.parameters(), lr=1e-5), CrossEntropyLoss())
    speed.append(
        size / measure(lambda run=run, batch=batch: run.train_epoch(batch), label=f"batch {size:5}", repeats=5)
    )
small_end = np.polyfit(np.log(sizes[:4]), np.log(speed[:4]), 1)[0]
large_end = np.polyfit(np.log(sizes[-4:]), np.log(speed[-4:]), 1)[0]
print(f"fitted exponent: {small_end:.2f} for batches up to 8, {large_end:.2f} from 128 on")
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.loglog(sizes, speed, "o-")
ax.set(xlabel="batch size", ylabel="images a second")
plt.show()

# %% [markdown]
# Throughput is not learning. A batch of 1024 sees each image as fast as can be, and makes one step where batches of 32
# make thirty-two. Question 1 asks what that costs in memory.
#
# ### Memory: training against use
#
# What is held while a batch is on its way? In use, the weights, and the values of two layers at a time. In training
# the weights, a gradient for each, Adam's two moments for each, and the values of *all* layers until backward has
# passed. Below are the sizes of arrays that exist. **Predict** the batch size at which values outweigh all the rest.


# %% tags=["measure"]
def bytes_behind(y, parameters):
    """Bytes of the distinct arrays that the receipts behind `y` hold, apart from the parameters."""
    found, waiting, own = {}, [y], {id(p.data) for p in parameters}
    while waiting:
        node = waiting.pop()
        if isinstance(node, Tensor):
            found[id(node.data)] = node.data
            if node.receipt:
                waiting += [*node.receipt.inputs, *(a for a in [node.receipt.saved] if isinstance(a, np.ndarray))]
        elif isinstance(node, np.ndarray):
            found[id(node)] = node
    return sum(array.nbytes for place, array in found.items() if place not in own)


def moments_of(optimizer):
    tensors = {}
    pack(part_state(optimizer), "", tensors)
    return sum(array.nbytes for array in tensors.values())


model = wide_network()
optimizer, sizes, held = Adam(model.parameters(), lr=1e-5), (16, 64, 256, 1024, 4096), []
for size in sizes:
    inputs, targets = Tensor(rng.normal(size=(size, 784))), rng.integers(0, 10, size)
    cost = CrossEntropyLoss()(model(inputs), targets)
    held.append(bytes_behind(cost, model.parameters()))
    with no_grad():
        largest = inputs.data.nbytes + model[0](inputs).data.nbytes  # the two largest neighbours
    cost.backward()
    optimizer.step()
    print(f"batch {size:4}: training holds {held[-1]:>12,} bytes of values, in use {largest:>12,} at once")
own = sum(p.data.nbytes for p in model.parameters())
gradients = sum(g.nbytes for g in gradient_arrays(model.parameters()))
print(f"weights {own:,}, gradients {gradients:,}, moments {moments_of(optimizer):,} bytes, whatever the batch")
slope = np.polyfit(np.log(sizes), np.log(held), 1)[0]
even = (own + gradients + moments_of(optimizer)) / (held[-1] / sizes[-1])
print(f"values grow with exponent {slope:.2f} of the batch size; they outweigh the rest from batch {even:.0f} on")

# %% [markdown]
# With four numbers for each weight, Adam's training state is four times the model, and this is fixed. The values are
# what accumulation (task 07-5) makes smaller: micro-batches of 64 hold the values of 64 images, whatever the batch of
# the update.
#
# ### What a checkpoint costs
#
# Three arrays for each weight with Adam (weight and two moments), one with plain descent. **Predict** the size of
# the file for the network above, and whether writing it takes longer or shorter than a step.

# %% tags=["measure"]
path = os.path.join(folder.name, "cost.ckpt")
for kind in (SGD, Adam):
    model = wide_network()
    run = Trainer(model, kind(model.parameters(), lr=1e-4), CrossEntropyLoss())
    run.train_epoch([(x, y)])
    wrote = measure(lambda run=run: run.save_checkpoint(path), label=f"{kind.__name__:5} save", repeats=5)
    read = measure(lambda run=run: run.load_checkpoint(path), label=f"{kind.__name__:5} load", repeats=5)
    size, numbers = os.path.getsize(path), sum(p.size for p in model.parameters())
    print(f"      {size:,} bytes, {size / (4 * numbers):.2f} numbers a weight; {size / wrote / 1e6:.0f} MB/s written")

# %% [markdown]
# A save waits until the disk says that the bytes are there, so it costs some steps. Once an epoch that is nothing; once
# a step it would be most of the time.
#
# ### Accuracy, and who is in the data
#
# A detector for one digit: is this an 8, yes or no? About every tenth image is one. Three detectors: one that always
# says no, one that was trained for one epoch, one for twenty. **Predict** the accuracy of the first. Then look at the
# share of 8s that each of them finds.

# %% tags=["measure"]
is_eight = (labels == 8).astype(np.float32).reshape(-1, 1)


def eight_detector(epochs, seed=0):
    manual_seed(seed)
    model = Sequential(Linear(64, 16), ReLU(), Linear(16, 1))
    run = Trainer(model, Adam(model.parameters(), lr=0.003), BinaryCrossEntropyLoss())
    run.fit(Batches(ink[train], is_eight[train], 32, default_generator), epochs=epochs, verbose=False)
    return model(Tensor(ink[test])).data[:, 0]


truth = is_eight[test, 0] == 1
answers = {"always no": np.full(len(test), -1.0), "1 epoch": eight_detector(1), "20 epochs": eight_detector(20)}
for name, logits in answers.items():
    right = Accuracy(from_logits=True)(logits, is_eight[test])
    found, rejected = np.mean(logits[truth] > 0), np.mean(logits[~truth] <= 0)
    print(f"{name:10} accuracy {right:.3f}; finds {found:.3f} of the 8s, mean of both {(found + rejected) / 2:.3f}")

# %% [markdown]
# Nine of ten by saying nothing. Where classes are uneven, accuracy measures mostly the larger one; count each class on
# its own, as the optional tasks do.
#
# ### Beside PyTorch
#
# PyTorch has the parts and leaves the loop to you; the libraries on top of it have loops like this one. Deliberate
# differences:
#
# | | PyTorch | here |
# |---|---|---|
# | clipping factor | `max_norm / (norm + 1e-6)` | `max_norm / norm`, and the sum of squares in float64 |
# | a norm that is not finite | all gradients become nan, or an error | a warning, and no step |
# | schedule | changes the optimizer when `step()` is called after an epoch | `get_lr(epoch)`, asked before it |
# | accumulation | you divide the loss by the number of pieces | by samples, exact for uneven pieces |
# | the mode after an evaluation | call `train()` again yourself | each layer's mode of before comes back |
# | checkpoint | `torch.save` of what you list, a pickle | everything in one safetensors file; reading runs no code |
#
# ## Part 6. Module test
#
# Every test once more, and then a small run with everything on: it is trained, cut off, resumed from its file, and is
# the run that was never cut.


# %% nbgrader={"grade_id": "07-module"}
def full_run(seed):
    manual_seed(seed)
    model = Sequential(Linear(64, 16), ReLU(), Dropout(0.2), Linear(16, 10))
    optimizer = Adam(model.parameters(), lr=0.01)
    return Trainer(model, optimizer, CrossEntropyLoss(), CosineSchedule(0.02, 0.001, 4), grad_clip_norm=1.0)


def few_digits():
    return Batches(ink[train[:200]], labels[train[:200]], 32, default_generator)


def test_module():
    test_unit_cosine_schedule()
    test_unit_clip_grad_norm()
    test_unit_clip_grad_norm_extremes()
    test_unit_train_step()
    test_unit_train_step_clipped()
    test_unit_run_epoch()
    test_unit_run_epoch_trains()
    test_unit_run_epoch_broken()
    test_unit_accumulate()
    test_unit_accumulate_by_its_parts()
    test_unit_accumulate_clipped()
    test_unit_early_stopping()
    test_unit_early_stopping_keeps_the_best()
    test_unit_state_dict()
    test_unit_state_dict_of_another_model()
    test_unit_fit()
    test_unit_fit_stops()
    test_unit_fit_saves_the_best()

    held_out, straight = [(ink[test], labels[test])], full_run(seed=0)
    history = straight.fit(few_digits(), held_out, epochs=4, verbose=False, accumulation_steps=2)
    check_equal({len(values) for values in history.values()}, {4}, "the lengths of all lists in the history")
    check(history["val_accuracy"][-1] > 0.5, "four epochs on 200 digits are right more often than not")
    check_close(history["learning_rates"][0], 0.02, "the first epoch runs at the schedule's first rate")
    with tempfile.TemporaryDirectory() as folder:
        path, cut = os.path.join(folder, "cut"), full_run(seed=0)
        cut.fit(few_digits(), held_out, epochs=2, verbose=False, accumulation_steps=2)
        cut.save_checkpoint(path)
        resumed = full_run(seed=5)
        resumed.load_checkpoint(path)
        resumed.fit(few_digits(), held_out, epochs=2, verbose=False, accumulation_steps=2)
    check_close(weights_of(resumed), weights_of(straight), "resumed, it is bit for bit the same run", rtol=0, atol=0)
    check(resumed.history == straight.history, "with the same history")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "07-q1", "points": 5, "solution": true}
# **Question 1. Memory against batch size (5 points).** A network has $P$ weights and keeps $V$ numbers of values for
# each image until backward has passed; everything is float32, the optimizer is Adam. (a) Write the bytes that training
# holds for a batch of $B$ images, and those that only using the network needs, at most. (b) The batch of 256 that you
# want does not fit; 64 does. Say how you train with 256 all the same, which term of your formula that changes, and one
# thing that it does not make cheaper. (c) You have memory to spare. Name one reason against a batch of 4096.
#
# ### BEGIN MARK SCHEME
# 2 points: (a) 4 * (4P + B V): weights, gradients, two moments, values (1 for the four P, 1 for B V). In use 4 * (P +
# the largest two layers of B V); "4 P and a part of B V" is enough for the second, no deduction where it is coarse.
# 1 point: (b) four micro-batches of 64, gradients added with weights, one step.
# 1 point: B V becomes that of 64; the time, or the gradients and moments, do not shrink.
# 1 point: (c) fewer updates an epoch, so more epochs for the same loss; or throughput no longer grows (Part 5); or less
# noise, and the rate has to be tuned again. One reason with a because.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "07-q2", "points": 5, "solution": true}
# **Question 2. The choice of a loss, and its stability (5 points).** (a) A classifier of ten classes is trained with
# the squared error between softmax probabilities and one-hot rows. It starts with the wrong class at probability 0.999.
# Compare the gradient in the logits with that of cross-entropy, and say what follows for training. (b) Somebody writes
# `-log(softmax(x))` as two operations in float32. Which logits give `inf` or `nan`, and how does our loss avoid it? (c)
# In the middle of a run the loss becomes `nan`. Name two things in your Trainer that limit the damage or show the
# cause, and what each cannot do.
#
# ### BEGIN MARK SCHEME
# 2 points: (a) cross-entropy: p - y, about 1 in size (1); squared error: multiplied by the slope of the softmax, of the
# order 0.001 here, so a confidently wrong network hardly learns (1).
# 1 point: (b) a logit about 104 or more below the largest (exp gives 0, log gives -inf); also exp of more than 88 if
# nothing is subtracted. Ours shifts by the largest and takes log-sum-exp in one operation.
# 2 points: (c) two of, each with its limit: clipping skips a step whose norm is not finite (only if clipping is on; the
# next batch may do it again); grad_norms in the history show growth before (only one mean an epoch); the best
# parameters or the checkpoint bring back an earlier state (the cause is still there); early stopping counts nan as no
# improvement (ends the run only after the patience).
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "07-q3", "points": 5, "solution": true}
# **Question 3. Bottleneck and overlap (5 points).** An epoch of 1000 steps takes: reading a batch 12 ms, forward 5 ms,
# loss 1 ms, backward 9 ms, update 3 ms, one after the other. (a) How long is an epoch, and what share of it is reading?
# (b) Reading is moved to a second processor, which prepares the next batch while the step runs. How long is an epoch
# now? Somebody then makes the forward pass twice as fast: how long is it then, and why? (c) Which part of the step can
# not be prepared ahead in this way, and why? (d) You double the batch size; reading and the passes then take twice as
# long. Which of the numbers above does not double?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 30 s, 40 percent.
# 1 point: (b) max(12, 18) = 18 s.
# 1 point: 15.5 s with forward at 2.5 ms: still above 12, so the whole gain arrives; had the step become shorter than
# 12, reading would be the bottleneck (either half of the reason with the number).
# 1 point: (c) the next forward pass: it needs the weights that the update of this step makes.
# 1 point: (d) the update: it depends on the number of weights and not on the batch.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 07-9. A warm-up around any schedule
#
# At the first step the weights are random and the moments of Adam are empty; a full step in a random direction can take
# many steps to undo. A *warm-up* of $n$ epochs multiplies the rate of a schedule by $1/n$, then $2/n$, and so on, and
# from epoch $n-1$ on by 1. It has `get_lr` itself, so it can stand wherever a schedule can, also around another
# warm-up.


# %% nbgrader={"grade_id": "07-9", "solution": true, "optional": true}
#| export
class LinearWarmup:
    """`schedule`, whose rates are multiplied by 1/n, 2/n, ..., n/n in the first n = `warmup_epochs` epochs."""

    def __init__(self, schedule, warmup_epochs):
        require(schedule, "LinearWarmup: schedule", "get_lr")
        if warmup_epochs < 1:
            raise ValueError(f"LinearWarmup: warmup_epochs is {warmup_epochs}; it needs at least 1")
        self.schedule, self.warmup_epochs = schedule, warmup_epochs

    def get_lr(self, epoch):
        ### BEGIN SOLUTION
        return self.schedule.get_lr(epoch) * min((epoch + 1) / self.warmup_epochs, 1.0)
        ### END SOLUTION


# %% nbgrader={"grade_id": "07-9-test", "optional": true}
def test_unit_linear_warmup():
    warm = LinearWarmup(StepDecay(1.0, 6, gamma=0.5), warmup_epochs=4)
    rates = [warm.get_lr(epoch) for epoch in range(8)]
    check_close(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.5], "a straight line up, then the schedule itself")
    check_close(LinearWarmup(warm, 2).get_lr(0), 0.125, "a warm-up around a warm-up")


test_unit_linear_warmup()

# %% [markdown]
# ### Task 07-10. Which mistakes
#
# One number does not say which digits are confused. A *confusion matrix* does: row $i$, column $j$ counts the samples
# of class $i$ that were taken for $j$. The diagonal is what is right. Beware of `table[true, predicted] += 1`, which
# counts a pair that occurs twice only once:

# %%
table = np.zeros(3, dtype=np.int64)
places = np.array([0, 2, 2, 2])
table[places] += 1
print("plain indexing:", table)
np.add.at(table, places, 1)
print("np.add.at adds for each, on top:", table)


# %% nbgrader={"grade_id": "07-10", "solution": true, "optional": true}
#| export core.metrics
class ConfusionMatrix(Metric):
    """How often each class was taken for each: integers (C, C), a row for each true class, a column for each guess.

    num_classes: C; without it as many as there are scores, or as the classes that occur need, at least 2.
    """

    def __init__(self, from_logits=False, num_classes=None):
        super().__init__()
        self.from_logits, self.num_classes = from_logits, num_classes

    def counts(self, y_pred, y_true):
        predicted, true = class_pairs(y_pred, y_true, self.from_logits)
        size = self.num_classes or class_count(y_pred, predicted, true)
        largest = max(predicted.max(), true.max())
        if largest >= size:
            raise ValueError(f"{type(self).__name__}: there is a class {largest}, and num_classes is {size}")
        ### BEGIN SOLUTION
        table = np.zeros((size, size), dtype=np.int64)
        np.add.at(table, (true, predicted), 1)
        return table
        ### END SOLUTION

    def added(self, total, counts):
        """The sum of two tables, of which one may know more classes."""
        size = max(len(total), len(counts))
        return sum(np.pad(table, (0, size - len(table))) for table in (total, counts))

    def value(self, counts):
        return counts


# %% nbgrader={"grade_id": "07-10-test", "optional": true}
def test_unit_confusion_matrix():
    scores = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 5.0, 1.0], [9.0, 1.0, 0.0], [0.0, 7.0, 1.0]])
    table = ConfusionMatrix()(scores, [0, 1, 1, 2, 2])
    check_close(table, [[1, 0, 0], [0, 2, 0], [1, 1, 0]], "true classes are rows, and equal pairs are all counted")


test_unit_confusion_matrix()

# %% [markdown]
# ### Task 07-11. Found, and found rightly
#
# For one class $k$, with $M$ the confusion matrix: of the samples that were *taken for* $k$, which share is of it? That
# is the precision. Of the samples that *are* of $k$, which share was found? That is the recall. The detector that
# always says no has recall 0. F1 is their harmonic mean, which is a ratio of counts, too:
#
# $$P = \frac{M_{kk}}{\sum_i M_{ik}}, \qquad R = \frac{M_{kk}}{\sum_j M_{kj}}, \qquad
#   F_1 = \frac{2PR}{P+R} = \frac{M_{kk}}{\tfrac{1}{2}\left(\sum_i M_{ik} + \sum_j M_{kj}\right)} .$$
#
# Where nothing is below the line, the ratio is 0. The classes are given; write the ratio.


# %%
#| export core.metrics
class ClassRatio(ConfusionMatrix):
    """A ratio of counts for each class: with two classes that of class 1, with more the mean over all that occur."""

    def value(self, counts):
        ratios = [class_ratio(type(self).__name__, counts, k) for k in range(len(counts))]
        if len(counts) == 2:
            return float(ratios[1])
        occurs = counts.sum(axis=0) + counts.sum(axis=1) > 0
        return float(np.mean(np.array(ratios)[occurs]))


class Precision(ClassRatio):
    """Of the samples that were taken for the class, the share that is of it; 0 if there are none."""


class Recall(ClassRatio):
    """Of the samples of the class, the share that was taken for it; 0 if there are none."""


class F1(ClassRatio):
    """The harmonic mean of precision and recall of a class; 0 if both are 0."""


# %% nbgrader={"grade_id": "07-11", "solution": true, "optional": true}
#| export core.metrics
def class_ratio(name, counts, k):
    """The Precision, Recall or F1 (that is `name`) of class `k`, from a confusion matrix; 0 where it would be 0 / 0."""
    ### BEGIN SOLUTION
    hits, guesses, members = counts[k, k], counts[:, k].sum(), counts[k].sum()
    below = {"Precision": guesses, "Recall": members, "F1": (guesses + members) / 2}[name]
    return hits / below if below else 0.0
    ### END SOLUTION


# %% nbgrader={"grade_id": "07-11-test", "optional": true}
def test_unit_class_ratio():
    table = np.array([[1, 1], [2, 2]])  # three were taken for class 1, two of them rightly; four are of class 1
    check_close(class_ratio("Precision", table, 1), 2 / 3, "two of three guesses are right")
    check_close(class_ratio("Recall", table, 1), 2 / 4, "two of four members are found")
    check_close(class_ratio("F1", table, 1), 4 / 7, "the harmonic mean of both")
    check_close(class_ratio("Precision", np.array([[3, 0], [2, 0]]), 1), 0.0, "no guesses: 0, and not nan")


test_unit_class_ratio()

# %% tags=["measure"]
for name, logits in answers.items():
    found = [metric(from_logits=True)(logits, is_eight[test]) for metric in (Accuracy, Precision, Recall, F1)]
    print(f"{name:10} accuracy {found[0]:.3f}, precision {found[1]:.3f}, recall {found[2]:.3f}, F1 {found[3]:.3f}")

# %% [markdown]
# ### Task 07-12. Keep the best
#
# What is to happen between epochs is different in every project, so it is not built into the loop. The Trainer calls
# its *callbacks* at five moments (its docstring names them), and hands them itself. This one saves a checkpoint
# whenever the number it watches is better than ever. `mode` says which way is better: "min" for a loss, "max" for an
# accuracy.
# `self.sign` is 1 for "min" and -1 for "max", so that a smaller `sign * value` is better in both cases; `self.best`
# holds the best of these products. A value that is NaN is no better than anything, and saves nothing.


# %%
#| export
class BestCheckpoint:
    """Callback: `trainer.save_checkpoint(path)` whenever `history[monitor]` is better than in all epochs before.

    Raises: ValueError for a mode other than "min" and "max", and at the start of `fit` for a name no history has.
    """

    def __init__(self, path, monitor="val_loss", mode="min"):
        if mode not in ("min", "max"):
            raise ValueError(f"BestCheckpoint: mode is {mode!r}; it is 'min' or 'max'")
        self.path, self.monitor, self.sign, self.best = path, monitor, 1 if mode == "min" else -1, math.inf

    def on_fit_start(self, trainer):
        """Look up the best of the epochs so far, so that a resumed run does not save what is worse."""
        values = watched_values(trainer, self.monitor, "BestCheckpoint")
        self.best = min((self.sign * value for value in values if not math.isnan(value)), default=math.inf)


def watched_values(trainer, name, who):
    """`trainer.history[name]`. Raises: ValueError that lists the names where there is none."""
    if name not in trainer.history:
        raise ValueError(f"{who}: the history has no {name!r}; it has {', '.join(trainer.history)}")
    return trainer.history[name]


# %% nbgrader={"grade_id": "07-12", "solution": true, "optional": true}
#| export
@add_to(BestCheckpoint)
def on_epoch_end(self, trainer):
    """Save if the newest value is better than `self.best`, and remember it."""
    newest = trainer.history[self.monitor][-1]
    ### BEGIN SOLUTION
    if self.sign * newest < self.best:
        self.best = self.sign * newest
        trainer.save_checkpoint(self.path)
    ### END SOLUTION


# %% nbgrader={"grade_id": "07-12-test", "optional": true}
def saves(values, mode):
    """For each of these values in the history, 1 if BestCheckpoint saves after it, else 0."""
    paths, found, callback = [], [], BestCheckpoint("there", monitor="val_loss", mode=mode)
    trainer = SimpleNamespace(history={"val_loss": []}, save_checkpoint=paths.append)
    callback.on_fit_start(trainer)
    for value in values:
        trainer.history["val_loss"].append(value)
        callback.on_epoch_end(trainer)
        found.append(paths.count("there") - sum(found))
    return found


def test_unit_best_checkpoint():
    found = saves([3, 2, 2.5, 2.2, math.nan, 2, 1], "min")
    check_close(found, [1, 1, 0, 0, 0, 0, 1], "min: saved where it is lower than in all epochs before")
    found = saves([3, 2, 2.5, 4, math.nan, 4, 5], "max")
    check_close(found, [1, 0, 0, 1, 0, 0, 1], "max: saved where it is higher than in all epochs before")


test_unit_best_checkpoint()

# %% [markdown]
# ### More callbacks (given)
#
# `StopEarly` is task 07-6 as a callback, and puts the best weights back at the end. Two write what happened into a
# file, a row an epoch: `CSVLogger` for spreadsheets, `JSONLinesLogger` for programs. A run that is resumed goes on in
# its file. `PlotAtEnd` draws the curves.


# %%
#| export
class StopEarly:
    """Callback: ends `fit` when `early_stopping`, asked with `history[monitor]`, says so.

    restore_best: afterwards write the best epoch's weights and buffers into the model. Checkpoints hold its state, as
    that of every callback with `state_dict` and `load_state_dict`.
    """

    def __init__(self, early_stopping=None, monitor="val_loss", restore_best=True):
        self.early_stopping = EarlyStopping() if early_stopping is None else early_stopping
        require(self.early_stopping, "StopEarly: early_stopping", "get_best_params")
        self.monitor, self.restore_best = monitor, restore_best

    def state_dict(self):
        return self.early_stopping.state_dict()

    def load_state_dict(self, state):
        self.early_stopping.load_state_dict(state)

    def on_fit_start(self, trainer):
        watched_values(trainer, self.monitor, "StopEarly")

    def on_epoch_end(self, trainer):
        if self.early_stopping(trainer.history[self.monitor][-1], model_state(trainer.model)):
            trainer.stop_training = True

    def on_fit_end(self, trainer):
        best = self.early_stopping.get_best_params()
        if self.restore_best and best is not None:
            write_model(trainer.model, best, trainer.parameters())


# %%
#| export
class EpochLog:
    """Callback: a file with a row for each epoch of the history, whole at any time. A subclass says in which form.

    Raises: FileExistsError at the start of `fit` where the file is there and is not such a log; it stays as it is.
    """

    def __init__(self, path):
        self.path = Path(path)

    def text(self, history):
        """The whole file."""
        raise NotImplementedError(f"{type(self).__name__}.text")

    def on_fit_start(self, trainer):
        first = ""
        if self.path.exists():
            with open(self.path, encoding="utf-8", errors="replace") as file:
                first = file.readline()
        if first and not first.startswith(self.beginning):
            raise FileExistsError(
                f"{self.path} is there, and no {type(self).__name__} wrote it: it begins with {first[:30]!r}; "
                "give another path"
            )
        self.write(trainer)

    def on_epoch_end(self, trainer):
        self.write(trainer)

    def write(self, trainer):
        make_folder_of(self.path)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(self.text(trainer.history), encoding="utf-8")
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)


class CSVLogger(EpochLog):
    """A table with a column for each name of the history; what is missing is empty, an array is JSON."""

    beginning = "epoch,"

    def text(self, history):
        file = io.StringIO()
        table = csv.writer(file, lineterminator="\n")
        table.writerow(history)
        for row in zip(*history.values()):
            table.writerow("" if x != x else json.dumps(x) if isinstance(x, list) else x for x in row)
        return file.getvalue()


class JSONLinesLogger(EpochLog):
    """A line of JSON for each epoch, names and values; what is missing or not finite is null."""

    beginning = '{"epoch":'

    def text(self, history):
        def plain(x):
            return [*map(plain, x)] if isinstance(x, list) else x if math.isfinite(x) else None

        return "".join(f"{json.dumps(dict(zip(history, map(plain, row))))}\n" for row in zip(*history.values()))


class PlotAtEnd:
    """Callback: `plot_training_curves` when `fit` is over, into a file if there is a path."""

    def __init__(self, path=None):
        self.path = path

    def on_fit_end(self, trainer):
        axes = plot_training_curves(trainer.history, self.path)
        if axes is not None and self.path is not None:
            import matplotlib.pyplot as plt

            plt.close(axes[0, 0].figure)


# %%
log = os.path.join(folder.name, "run.csv")
run = digit_run(seed=1, total=4)
run.callbacks = [StopEarly(EarlyStopping(patience=2)), BestCheckpoint(log + ".best"), CSVLogger(log)]
run.fit(learning_batches(), held_out, epochs=2, verbose=False)
print(Path(log).read_text())
print(sorted(os.listdir(folder.name)))

# %% [markdown]
# ### Task 07-13. Half the bits
#
# Graphics cards multiply float16 numbers several times as fast as float32, and these take half the memory. The price:
# float16 has eleven binary digits, and what is closer to zero than about $3 \cdot 10^{-8}$ becomes zero. Here nothing
# gets faster; we *simulate* what becomes of the numbers. `to_half` rounds to float16 on the way forward, and does the
# same to the gradient on the way back. Rounding is a staircase with slope 0; its rule takes the slope of the straight
# line through it, as everybody does.
#
# **Predict**: in a network that is nearly trained, which share of the gradient's numbers is lost?


# %%
#| export
def as_half(x):
    """`x` rounded to float16, in the type of `x`; what is too large becomes inf. Integers stay as they are."""
    if x.dtype.kind != "f":
        return x
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(x.dtype)


@operation
def to_half(x, *, scale=1.0):
    """`x` rounded to float16; the gradient is multiplied by `scale` on its way back, and then rounded as well."""
    return as_half(x)


autograd.rules["to_half"] = lambda g, y, x, scale=1.0: as_half(g * scale)


# %%
#| export
@contextlib.contextmanager
def in_half(model):
    """While it is open, every Parameter of `model` stands rounded to float16 in its place; gradients go to itself."""
    places = [
        (vars(module), name, part)
        for module in model.modules()
        for name, part in vars(module).items()
        if isinstance(part, Tensor) and part.requires_grad
    ]
    try:
        for place, name, part in places:
            place[name] = to_half(part)
        yield
    finally:
        for place, name, part in places:
            place[name] = part


def half_precision(model, inputs, scale=1.0):
    """What `model`, a Module, gives for `inputs` with weights, inputs and the outputs of its layers in float16.

    scale: the gradient is multiplied by it where it enters.
    """
    layers = list(model) if isinstance(model, Sequential) else [model]
    with in_half(model):
        x = to_half(inputs)
        for layer in layers[:-1]:
            x = to_half(layer(x))
        return to_half(layers[-1](x), scale=scale)


# %%
def share_lost(model, scale, batch=1024):
    """The share of the gradient's numbers other than 0 that float16 makes 0, and whether it makes any inf."""
    found = []
    for predict in (model, lambda x: half_precision(model, x, scale)):
        model.zero_grad()
        cross_entropy(predict(Tensor(ink[train[:batch]])), labels[train[:batch]]).backward()
        found.append(np.concatenate([g.ravel() for g in gradient_arrays(model.parameters())]))
    full, half = found
    return np.mean(half[full != 0] == 0), not np.isfinite(half).all()


# %%
nearly = digit_network(seed=0)
run = Trainer(nearly, Adam(nearly.parameters(), lr=0.01), CrossEntropyLoss())
run.fit(Batches(ink[train], labels[train], 32, default_generator), epochs=40, verbose=False)
for power in (0, 5, 10, 15, 20, 30):
    with np.errstate(invalid="ignore"):
        lost, overflow = share_lost(nearly, 2.0**power)
    print(f"scale 2**{power:2}: lost {lost:6.1%}" + ("   and some became inf" if overflow else ""))

# %% [markdown]
# A factor in front of the gradient moves it away from zero, and is divided out before the step. Too large a factor
# makes infinities. The right one changes while the loss falls, so it is found while training: after a step with inf or
# nan, which must be left out anyway, the scale is halved; after `growth_interval` good steps in a row it is doubled.
# Multiplying by powers of two costs no accuracy.


# %%
#| export
class LossScaler:
    """A scale for gradients in float16 that follows them: halved after an overflow, doubled after a while without one.

    good_steps: how many steps have been good since the scale last changed.
    Source: Micikevicius and others 2018, "Mixed precision training", section 3.2.
    """

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if not (init_scale > 0 and growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
            raise ValueError(
                f"LossScaler: init_scale {init_scale} must be above 0, growth_factor {growth_factor} above 1, "
                f"backoff_factor {backoff_factor} between 0 and 1, and growth_interval {growth_interval} at least 1"
            )
        self.scale, self.growth_factor, self.backoff_factor = float(init_scale), growth_factor, backoff_factor
        self.growth_interval, self.good_steps = growth_interval, 0


# %% nbgrader={"grade_id": "07-13", "solution": true, "optional": true}
#| export
@add_to(LossScaler)
def update(self, finite):
    """Adapt `scale` and `good_steps` after a step; `finite` says whether all gradients were."""
    ### BEGIN SOLUTION
    if not finite:
        self.scale *= self.backoff_factor
        self.good_steps = 0
        return
    self.good_steps += 1
    if self.good_steps == self.growth_interval:
        self.scale *= self.growth_factor
        self.good_steps = 0
    ### END SOLUTION


# %% nbgrader={"grade_id": "07-13-test", "optional": true}
def scales(steps, **options):
    """The scale after each of these steps; o is a good one, x an overflow."""
    scaler, found = LossScaler(init_scale=8.0, **options), []
    for step in steps:
        scaler.update(step == "o")
        found.append(scaler.scale)
    return found


def test_unit_loss_scaler():
    check_close(scales("xx"), [4, 2], "every overflow halves the scale")
    check_close(
        scales("oooooo", growth_interval=3), [8, 8, 16, 16, 16, 32], "every third good step in a row doubles it"
    )
    check_close(scales("ooxoo", growth_interval=3), [8, 8, 4, 4, 4], "after an overflow the count begins again")
    check_close(scales("oox", growth_interval=2, growth_factor=4, backoff_factor=0.25), [8, 32, 8], "the factors given")


test_unit_loss_scaler()

# %% [markdown]
# The Trainer for it (given) overrides two methods of your Trainer and nothing else: what `predict` does, and what is
# done before clipping. The weights themselves stay float32: a step is often smaller than half a digit of float16, and
# would be lost.


# %%
#| export
class MixedPrecisionTrainer(Trainer):
    """A Trainer that computes as if in float16, with weights and optimizer in float32, and scales gradients.

    scaler: a LossScaler. A step in which gradients overflow is left out and counted in `skipped`. It simulates the
        rounding and is not faster. Weights, inputs and the outputs of the layers of a Sequential are rounded; another
        Module is rounded at its ends and in its weights. The loss is computed in float32.
    Source: Micikevicius and others 2018, "Mixed precision training".
    """

    def __init__(self, *parts, scaler=None, **options):
        super().__init__(*parts, **options)
        require(self.model, "Trainer: model (of which every part is rounded)", "modules")
        self.scaler = LossScaler() if scaler is None else scaler
        require(self.scaler, "Trainer: scaler", "scale", "update")

    def predict(self, inputs):
        return half_precision(self.model, inputs, self.scaler.scale)

    def train_step(self, inputs, targets):
        with np.errstate(invalid="ignore"):  # an overflow is part of the search for the scale
            return super().train_step(inputs, targets)

    def accumulate(self, batches, accumulation_steps):
        outcomes = super().accumulate(batches, accumulation_steps)
        while True:
            with np.errstate(invalid="ignore"):  # and not around yield, where it would reach whoever asks
                outcome = next(outcomes, None)
            if outcome is None:
                return
            yield outcome

    def clip(self):
        gradients = gradient_arrays(self.parameters())
        for g in gradients:
            g /= self.scaler.scale
        finite = all(np.isfinite(g).all() for g in gradients)
        was_too_large = not finite and self._broken is None
        self.scaler.update(finite)
        self.skipped += was_too_large
        return not was_too_large and super().clip()

    def state_dict(self):
        return {**super().state_dict(), "scaler": dict(vars(self.scaler))}

    def _check_state(self, state):
        if "scaler" not in state:
            raise ValueError("the state lacks scaler: it is that of a Trainer without mixed precision")
        super()._check_state(state)

    def _write_state(self, state):
        super()._write_state(state)
        vars(self.scaler).update(state["scaler"])


# %% tags=["measure"]
for scaler in (None, LossScaler(init_scale=2.0**40, growth_interval=200), LossScaler(init_scale=2.0**-20)):
    model = digit_network(seed=0)
    parts = (model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss())
    run = MixedPrecisionTrainer(*parts, scaler=scaler) if scaler else Trainer(*parts)
    start = scaler.scale if scaler else 1
    run.fit(Batches(ink[train], labels[train], 32, np.random.default_rng(0)), epochs=10, verbose=False)
    found = run.evaluate(Batches(ink[test], labels[test], 256))
    text = f"float16, scale 2**{math.log2(start):.0f} to 2**{math.log2(scaler.scale):.0f}" if scaler else "float32"
    print(f"{text:29} {run.skipped:3} steps left out; training loss {run.history['train_loss'][-1]:.4f}, "
          f"test accuracy {found[1]:.3f}")  # fmt: skip

# %% [markdown]
# A scale that begins far too high costs a few steps, and then all is as in float32. One that is too low costs the
# training: most of the gradient never arrives.
#
# ## Summary
#
# - A step has one order: forget, forward, loss, backward, clip, step. Every other order runs, too, and trains worse.
# - What an epoch reports is a mean over *samples*, measured in a mode that is set before and given back after.
# - Gradients add up. Weighted by the number of samples and divided once, small pieces are the large batch.
# - A large rate is quick and a small one settles: a schedule has both. A limit on the gradient's length keeps its
#   direction, and a gradient that is not finite makes no step.
# - Better, patience and best are definitions to be exact about, and the best is a copy.
# - A run is more than its weights: moments, schedule, generators, counters, history. Whether anything was forgotten is
#   decided by bits, for the loss does not show it.
#
# **Next.** `Batches` holds all images in memory and knows no transformations, and a run that is cut off in the middle
# of an epoch does not know where it was. Module 08 builds the loader.
