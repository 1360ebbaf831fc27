# %% [markdown]
# # Module 03. Layers
#
# You have Tensors and bent functions between them. A network is these two and a great many numbers: the weights. Where
# do the numbers live, how large are they at the beginning, and how does anybody find them all again, to train them, to
# save them, or to move them to another program? A *layer* is the answer: a function together with the numbers it
# owns. In this module you build the layer that does most of the work in every network, the rules for its first
# numbers, and the class that keeps order.
#
# **You need** module 01 (`Tensor`, the door `@operation`) and module 02 (activations).
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `matmul`, `operation` | a whole layer as one operation | 05 autograd: its backward rule |
# | 01 `Tensor` | `Parameter`, a Tensor that is to be trained | 06 optimizers: they ask for `parameters()` |
# | 02 `ReLU`, `Tanh` | what stands between two layers | 07 training: `train()`, `eval()`, checkpoints |
#
# **After this module you can**
#
# - compute a layer for a whole batch with one matrix product, and say why its weight is stored as (out, in);
# - predict how large the values in a deep network become, and choose first weights that keep them in range;
# - build a network from parts, and get every number in it by name, exactly once;
# - save and load a network as names and arrays, in PyTorch's layout, without a half-loaded network ever existing;
# - say what dropout does to a value on average, and why a network must know whether it is being trained.
#
# Your classes go to `tinytorch/core/layers.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.activations import ReLU
# from tinytorch.core.layers import Linear, Sequential
#
# model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
# print(model, [name for name, _ in model.named_parameters()])
# ```

# %%
#| default_exp core.layers
#| export
import math

import numpy as np

from tinytorch.core.activations import as_floating
from tinytorch.core.tensor import Tensor, dims_of, operation, to_array
from tinytorch.random import default_generator

# %%
from tinytorch.core.activations import ReLU, Tanh, relu
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import add_to, check, check_close, check_raises, measure

images, labels = load_digits()  # (1797, 8, 8) with values 0 to 16, and the digit that each shows


def check_equal(got, expected, promise):
    """`check_close` for what is not numbers."""
    check(got == expected, f"{promise}: expected {expected}, got {got}")


# %% [markdown]
# ## Part 1. Introduction
#
# Nothing new is needed for a network of two layers. Here is one on the handwritten digits: 64 pixels to 32 values, bent
# by a ReLU, to 10 scores.

# %%
ink = Tensor(images.reshape(-1, 64) / 16)  # (1797, 64), between 0 and 1

rng = np.random.default_rng(0)
W1, b1 = Tensor(rng.normal(size=(32, 64))), Tensor(np.zeros(32))
W2, b2 = Tensor(rng.normal(size=(10, 32))), Tensor(np.zeros(10))

scores = relu(ink @ W1.T + b1) @ W2.T + b2
print("scores", scores.shape, " spread of the scores", scores.data.std())

# %% [markdown]
# It runs, and three things are wrong with it.
#
# 1. The numbers have no home. Four loose names for two layers are forty for twenty, and whoever wants to train, save
#    or count them must know them all by heart.
# 2. The values grow. The ink was below 1, and two layers later it is in the tens. What comes out of twenty?
# 3. Every layer takes three operations: transpose, product, sum. One would do.
#
# The tasks take them in the order 3, 1, 2.

# %% [markdown]
# ## Part 2. Foundations
#
# ### A unit is a template
#
# One unit of a layer multiplies each input with a weight of its own, adds the products and a *bias*:
# $y = w \cdot x + b$. The product is large where the input resembles the weights, so a unit is a template held
# against the input. A layer has many units, and a batch has many inputs. Written out as loops, with $o$ for the unit
# and $n$ for the input:
#
# $$y_{no} = \sum_i x_{ni}\, w_{oi} + b_o$$


# %%
def linear_loops(x, weight, bias):
    """The slow specification: x (N, in), weight (out, in), bias (out,) to (N, out)."""
    y = np.zeros((len(x), len(weight)))
    for n in range(len(x)):
        for o in range(len(weight)):
            y[n, o] = sum(x[n, i] * weight[o, i] for i in range(x.shape[1])) + bias[o]
    return y


pixels = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])  # two inputs of three numbers
units = np.array([[0.0, 2.0, 2.0], [3.0, 0.0, -1.0]])  # two units: a row each
print(linear_loops(pixels, units, np.array([0.5, 0.0])))

# %% [markdown]
# Each row of `weight` is one unit. That is why the weight has shape (out, in), in PyTorch and here: `weight[o]` is a
# template that can be looked at and saved on its own. In the sum, $w_{oi}$ has the index of the sum on the right,
# where a matrix product wants it on the left: $xW$ would need $w_{io}$. So the product is with the *transpose*,
#
# $$y = x\,W^\top + b ,$$
#
# and the transpose is free, being another header on the same memory (module 01).
#
# ### How large is a sum of products?
#
# Let the $n$ inputs of a unit have mean square $q$, and draw its weights independently, with mean 0 and variance
# $\sigma^2$. Each product $x_i w_i$ then has mean 0 and variance $q\,\sigma^2$, and the variances of independent
# values add:
#
# $$\operatorname{Var}(y) = n\,\sigma^2\,q .$$
#
# One layer multiplies the mean square by $n\sigma^2$; ten layers multiply it by $(n\sigma^2)^{10}$. With 256 inputs and
# $\sigma = 1$ that is a factor of 16 in size for each layer. Predict the two columns at the ends before you run this:

# %%
rng = np.random.default_rng(0)
sigmas = {"1": 1.0, "1/n": 1 / 256, "1/sqrt(n)": 1 / math.sqrt(256)}
print("spread after layer", *(f"{depth:>9}" for depth in (1, 2, 5, 10, 40)))
for name, sigma in sigmas.items():
    x = rng.normal(size=(64, 256)).astype(np.float32)
    spreads = []
    for _ in range(40):
        with np.errstate(all="ignore"):
            x = x @ rng.normal(0, sigma, size=(256, 256)).astype(np.float32)
        spreads.append(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    print(f"sigma = {name:10}", *(f"{spreads[depth - 1]:9.2g}" for depth in (1, 2, 5, 10, 40)))

# %% [markdown]
# With $\sigma = 1$ float32 has run out of numbers before layer 40, and with $\sigma = 1/n$ everything has become an
# exact zero. Only $\sigma = 1/\sqrt{n}$ leaves a network that still says something about its input. This is why no
# framework asks you for a scale: it is computed from the size of the layer.

# %% [markdown]
# ### What an object knows about itself
#
# Python keeps the attributes of an ordinary object in a dictionary, in the order in which they were assigned, and
# `vars(thing)` is that dictionary. So a network need not keep a list of its layers by hand: it can look.

# %%
from types import SimpleNamespace

thing = SimpleNamespace()
thing.width, thing.name, thing.scale = 8, "first", 0.5
print(vars(thing))
print([name for name, value in vars(thing).items() if isinstance(value, float)])

# %% [markdown]
# Layers contain layers, so looking must go on inside of what was found. For that Python has functions that hand out one
# value after the other, with `yield`, and that pass on what another such function hands out, with `yield from`. Here is
# one that lists the parts of a bicycle, each with its place. It calls itself for every part, and a loop over it
# sees one long sequence.

# %%
bicycle = {"frame": {}, "front": {"wheel": {"tyre": {}}, "brake": {}}}


def places(parts, depth=0):
    for name, smaller in parts.items():
        yield depth, name
        yield from places(smaller, depth + 1)


for depth, name in places(bicycle):
    print("  " * depth + name)

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 03-1. A layer in one operation
#
# `x @ W.T + b` is three operations of module 01: a view, a product, a sum. One operation is better for two reasons. The
# sum writes a second array as large as the first, although nobody wants to see the first again. And module 05
# keeps a receipt for each operation, so three of them are three things to walk back through.
#
# Inside an operation you compute on arrays, and the array that a product has just made is yours alone:
# `y += bias` writes into it, and copies nothing. Do that only to what you have made yourself. The input and
# the weight belong to others.

# %%
y = np.array([[1.0, 2.0], [3.0, 4.0]]) @ np.eye(2)
before = y
y += np.array([10.0, 20.0])
print("y += ... wrote into the same array:", before is y, y.tolist())

# %% [markdown]
# The input may have more dimensions than two: a sentence is (batch, words, features), and every word goes through the
# same layer. The loops are wrong for that, `@` is not: it takes the last dimension and leaves those in front alone.
# (If you are after speed: one product of a tall matrix is quicker than a stack of small ones, so put all rows
# below each other with `reshape(-1, n)`, and restore the shape at the end. The test does not ask for it.)
#
# Two things are given. The check names both sizes when they differ. And the `/` in the signature makes `bias` an
# input by position only: the door takes whatever has a name for an option, and an option gets no gradient.


# %% nbgrader={"grade_id": "03-1", "solution": true}
#| export
@operation
def linear(x, weight, bias=None, /):
    """x Wᵀ + b for `x` (..., in), `weight` (out, in) and `bias` (out,) or None: (..., out). Changes none of them.

    Raises: ValueError that names both sizes where the last size of `x` is not that of `weight`.
    """
    x = as_floating(x)
    if x.shape[-1:] != weight.shape[1:]:
        last = x.shape[-1] if x.ndim else "no"
        raise ValueError(f"linear: x {x.shape} has {last} features, and weight {weight.shape} takes {weight.shape[1]}")
    ### BEGIN SOLUTION
    rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
    y = rows @ weight.T
    if bias is not None:
        y += bias
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(weight))
    ### END SOLUTION


# %% nbgrader={"grade_id": "03-1-test", "points": 5}
def test_unit_linear():
    x = Tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])  # (4, 3)
    weight, bias = Tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]]), Tensor([10.0, 20.0])
    check_close(linear(x, weight, bias), [[17, 28], [12, 19], [16, 23], [10, 20]], "the example by hand")
    check_close(linear(x, weight), [[7, 8], [2, -1], [6, 3], [0, 0]], "without a bias nothing is added")
    check_close(bias, [10, 20], "the bias stays as it was")
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 5, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    expected = linear_loops(x.reshape(10, 3), weight, bias).reshape(2, 5, 4)
    check_close(linear(Tensor(x), Tensor(weight), Tensor(bias)), expected, "(2, 5, 3) becomes (2, 5, 4)")
    check_close(linear(Tensor(x[0, 0]), Tensor(weight), Tensor(bias)), expected[0, 0], "one input of shape (3,)")
    check_close(linear(Tensor(x[:0]), Tensor(weight)), np.zeros((0, 5, 4)), "an empty batch stays empty")
    text = check_raises(ValueError, lambda: linear(Tensor(x), Tensor(weight[:, :2])), "sizes 3 and 2 do not fit")
    check("3 features" in text and "takes 2" in text, "the error names both sizes")


test_unit_linear()

# %% [markdown]
# The composed form is the judge of the fused one. They agree, and what is left behind for module 05 differs:

# %%
rng = np.random.default_rng(0)
x, weight, bias = Tensor(rng.normal(size=(5, 3))), Tensor(rng.normal(size=(2, 3)), requires_grad=True), Tensor([1, 2])
fused, composed = linear(x, weight, bias), x @ weight.T + bias
print("largest difference", np.abs(fused.data - composed.data).max())


def receipts(y):
    """Names of the operations that lead to `y`, the last one first."""
    if y.receipt is None:
        return []
    return [y.receipt.operation, *(name for x in y.receipt.inputs if isinstance(x, Tensor) for name in receipts(x))]


print("receipts:", receipts(fused), "against", receipts(composed))

# %% [markdown]
# ### Parameters and modules (given)
#
# A number that is to be trained needs a mark. `Parameter` is a Tensor that says by its class "I belong to a layer", and
# that requires a gradient from the start.
#
# `Module` is what all layers and networks have in common. To write one, assign Parameters and other Modules to
# attributes, and write `forward`. There is no list to be kept: whatever is needed is found among the attributes, when
# it is needed. (So `super().__init__()`, which PyTorch insists on, does no harm here and is not needed.) Read three
# places now:
#
# - `named_children` looks through `vars(self)`, and is the only place that looks for Modules.
# - Half of the methods are one line, and all of them stand on `named_modules`, which does not exist yet. That is
#   your next task.
# - `__setattr__` is what Python calls for every `thing.name = value`. Ours refuses one thing: to put a plain Tensor
#   where a Parameter was. It would look right, and the layer would never be trained again.


# %%
#| export
class Parameter(Tensor):
    """A Tensor that belongs to a layer and is to be trained. What it is made from is copied, without its graph."""

    __slots__ = ()

    def __init__(self, data, requires_grad=True, dtype=None):
        values = data.detach() if isinstance(data, Tensor) else data
        super().__init__(values, requires_grad=requires_grad, dtype=dtype)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class Module:
    """A layer or a network: a function with the numbers it owns.

    A subclass assigns Parameters and Modules to attributes and writes `forward`; calling the module calls `forward`.
    """

    training = True
    _buffers = ()  # names of the Tensors that `register_buffer` added

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def __call__(self, *inputs, **options):
        return self.forward(*inputs, **options)

    def extra_repr(self):
        """What `repr` says about this module besides its name and its children."""
        return ""

    def _parts(self):
        """Pairs (name, value) of everything this module holds."""
        return vars(self).items()

    def named_children(self):
        """Pairs (name, Module) of the Modules directly below, in the order in which they were assigned."""
        return [(name, part) for name, part in self._parts() if isinstance(part, Module)]

    def modules(self):
        """This module and all Modules below it, each once."""
        return [module for _, module in self.named_modules()]

    def parameters(self):
        """All Parameters in it, each once."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self):
        """Forget the gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode=True):
        """Tell this module and all below it that they are being trained, or not; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """`train(False)`: from now on it is used, not trained."""
        return self.train(False)

    def __setattr__(self, name, value):
        old = vars(self).get(name)
        kind = Parameter if isinstance(old, Parameter) else Tensor if name in self._buffers else object
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{type(self).__name__}.{name} is a {kind.__name__} and would be replaced by a {type(value).__name__}; "
                f"to change its values, assign to {name}.data"
            )
        super().__setattr__(name, value)


# %%
class Scale(Module):
    """The smallest layer there is: one number."""

    def __init__(self, factor):
        self.factor = Parameter([factor])

    def forward(self, x):
        return x * self.factor


double = Scale(2.0)
print(double(Tensor([1.0, 2.0, 3.0])))
print(vars(double))
try:
    double.factor = Tensor([3.0])
except TypeError as error:
    print(error)

# %% [markdown]
# ### Task 03-2. One walk finds everything
#
# A network is a tree: a Module with Modules below it, which have Modules below them. Every question about the whole
# ("which numbers?", "go into training mode", "what must be saved?") is a walk through that tree. So we walk once, in
# `named_modules`, and answer each question in a line on top of it.
#
# The walk hands out pairs (path, module). The path of a module is the names on the way to it, joined by dots; the
# root's own path is the `prefix`, empty as a rule. Take a network with `features` and `head`, where `features` holds
# `first`:
#
# ```
# ""                the network itself
# "features"
# "features.first"  right after its parent
# "head"
# ```
#
# Two traps. Below the empty path there must be no dot: "head", not ".head". And one module may hang in two places:
# networks that use a layer twice are not rare. It should come once, or its numbers would be trained twice as fast. So
# the walk remembers in a set, `memo`, whom it has met, and hands that set on to every call below. A Module in a set
# stands for itself: two equal layers are two members, one layer in two places is one.

# %%
first, second = Scale(2.0), Scale(2.0)
met = {first}
met.add(second)
met.add(first)
print("members", len(met), "  first in it:", first in met, "  a third one:", Scale(2.0) in met)

# %% [markdown]
# For saving we shall need the other answer too, every path that leads to a module: that is `remove_duplicate=False`.
# Two given lines see to it. They give each call a memo of its own, in which stand only the modules on the way down to
# it, so that siblings do not hear of each other. Your part is to hand the flag on.


# %% nbgrader={"grade_id": "03-2", "solution": true}
#| export
@add_to(Module)
def named_modules(self, memo=None, prefix="", remove_duplicate=True):
    """Pairs (path, Module): this one under `prefix`, then each child followed by all that is below it.

    A child's path is its parent's path, a dot, and its name; below the empty path there is no dot.
    memo: set of the Modules that were met already; they and what is below them are left out.
    remove_duplicate: False hands out a Module again under every path that leads to it.
    """
    if memo is None or not remove_duplicate:
        memo = set(memo or ())
    ### BEGIN SOLUTION
    if self in memo:
        return
    memo.add(self)
    yield prefix, self
    for name, child in self.named_children():
        path = f"{prefix}.{name}" if prefix else name
        yield from child.named_modules(memo, path, remove_duplicate)
    ### END SOLUTION


# %% nbgrader={"grade_id": "03-2-test", "points": 5}
def small_tree():
    root, features, first, head = Module(), Module(), Module(), Module()
    root.width, root.features, root.head = 3, features, head
    features.first = first
    return root, features, first, head


def test_unit_named_modules():
    root, features, first, head = small_tree()
    pairs = list(root.named_modules())
    check_equal([path for path, _ in pairs], ["", "features", "features.first", "head"], "the paths of the example")
    check([module for _, module in pairs] == [root, features, first, head], "each path comes with its module")
    paths = [path for path, _ in features.named_modules(prefix="model")]
    check_equal(paths, ["model", "model.first"], "paths begin with the prefix")


def test_unit_named_modules_shared():
    root, features, first, head = small_tree()
    head.again = first
    paths = [path for path, _ in root.named_modules()]
    check_equal(paths, ["", "features", "features.first", "head"], "a shared module comes once, where it was met first")
    every = [path for path, _ in root.named_modules(remove_duplicate=False)]
    expected = ["", "features", "features.first", "head", "head.again"]
    check_equal(every, expected, "with remove_duplicate=False it comes under every path")
    head.parent = root
    for flag, count in ((True, 4), (False, 5)):
        found = list(root.named_modules(remove_duplicate=flag))
        check_equal(len(found), count, "a module that knows its parent does not send the walk in circles")


test_unit_named_modules()
test_unit_named_modules_shared()

# %% [markdown]
# ### Parameters by name (given)
#
# On top of the walk, Parameters take one loop. A Parameter can be shared without its module being shared: a language
# model may read and write words with the same matrix. So this loop has a memory of its own, again by identity.


# %%
#| export
@add_to(Module)
def named_parameters(self, prefix=""):
    """Pairs (name, Parameter) of this module and all below it; a shared Parameter comes once, under its first name."""
    seen = set()
    for path, module in self.named_modules(prefix=prefix):
        for name, value in vars(module).items():
            if isinstance(value, Parameter) and value not in seen:
                seen.add(value)
                yield f"{path}.{name}" if path else name, value


# %%
class Tower(Module):
    def __init__(self):
        self.low, self.high = Scale(2.0), Scale(3.0)
        self.roof = Parameter([1.0])
        self.high.shared = self.low.factor
        self.forgotten = [Scale(4.0)]  # in a list, where nobody looks

    def forward(self, x):
        return self.high(self.low(x)) + self.roof


tower = Tower()
print([name for name, _ in tower.named_parameters()])
print("training:", [module.training for module in tower.eval().modules()])

# %% [markdown]
# A module's own Parameters come before those of its children, as in PyTorch, whatever the order of assignment. And see
# what is missing: the layer in the plain list. It would compute, and never learn. Such lists need a class of their own;
# it comes with task 03-7.

# %% [markdown]
# ### What is saved (given)
#
# To save a network is to save its numbers under their names: a dictionary of names and arrays, the *state dict*. Not
# the objects. An object written to a file drags its class along, and the file can be read only by the same program,
# in the same version, and only if one trusts whoever wrote it. Names and arrays can be read by anybody, and a
# `Linear` of ours has the names and shapes of PyTorch's, so weights travel both ways.
#
# Some numbers belong to the state and are not trained: the running mean of a normalisation layer, say. These are
# *buffers*, and `register_buffer` makes them. A shared Parameter is saved under every name it has, as PyTorch
# does. And the arrays are copies, as PyTorch's are *not*: there, a state that was put aside changes while
# training goes on, and many a "best model" turned out to be the last one.


# %%
#| export
@add_to(Module)
def register_buffer(self, name, value):
    """Add a Tensor that is saved with the module and not trained; it becomes the attribute `name`."""
    if "." in name or hasattr(self, name):
        raise ValueError(f"register_buffer: {name!r} holds a dot or is taken; choose another name")
    self._buffers = (*self._buffers, name)
    setattr(self, name, value if isinstance(value, Tensor) else Tensor(value))


# %%
#| export
@add_to(Module)
def _state(self):
    """Name -> Tensor of all Parameters and buffers, a module's own first, each under every name it has."""
    state = {}
    for path, module in self.named_modules(remove_duplicate=False):
        parameters = [name for name, value in vars(module).items() if isinstance(value, Parameter)]
        for name in (*parameters, *module._buffers):
            state[f"{path}.{name}" if path else name] = getattr(module, name)
    return state


# %%
#| export
@add_to(Module)
def named_buffers(self):
    """Pairs (name, Tensor) of the buffers of this module and all below it."""
    return [(name, tensor) for name, tensor in self._state().items() if not isinstance(tensor, Parameter)]


# %%
#| export
@add_to(Module)
def state_dict(self):
    """Name -> array (a copy) of all Parameters and buffers."""
    return {name: tensor.data.copy() for name, tensor in self._state().items()}


# %%
tower = Tower()
tower.low.register_buffer("calls", np.array([0, 0]))
state = tower.state_dict()
print(state)
tower.roof.data = [100.0]
print("roof now", tower.roof.data, " in the state that was put aside", state["roof"])

# %% [markdown]
# ### Task 03-3. Load, all or nothing
#
# The way back has three ways to fail: a name of the model is **missing** in the state, a name in the state is
# **unexpected**, or an array has another **shape**. In a network of eighty arrays you want to hear of all of them at
# once, and not of one, run after run. And a failed load must leave the network as it was: half old and half new is a
# network nobody ever had. So *look at everything first, then write*.
#
# Shapes must be equal, not merely fit. Broadcasting, otherwise a friend, would write one number into a whole row
# without a word.
#
# Then the writing. The Parameters must stay the same objects, since an optimizer that knows them would go on training
# the old ones. `p.data[...] = values` writes into the memory of `p`. By a Tensor's own door,
# `p.detach()[...] = values`, the write is counted as well, which module 05 needs (`p[...] = values` is refused while
# `p` requires a gradient).

# %%
p = Parameter([[1.0, 2.0], [3.0, 4.0]])
same = p
p.detach()[...] = np.array([[5.0, 6.0], [7.0, 8.0]])
print(same.data.tolist(), " writes counted:", p.version > 0)
p.detach()[...] = np.array([9.0])  # fits, and is not what anybody meant
print(p.data.tolist(), " shapes", p.shape, "and", np.array([9.0]).shape)

# %% [markdown]
# Two dictionaries are given: `own` holds the Tensors of the model by name, `arrays` what is to be loaded, converted to
# arrays. Collect one line for each problem, for example `"missing low.factor"`. `"; ".join(problems)` makes one text
# of a list of them.


# %% nbgrader={"grade_id": "03-3", "solution": true}
#| export
@add_to(Module)
def load_state_dict(self, state):
    """Write the arrays in `state` (name -> array) into the Parameters and buffers of the same names.

    Raises: ValueError that names everything missing, unexpected, or of another shape; then nothing is changed.
    """
    own = self._state()
    arrays = {name: to_array(value, own[name].dtype if name in own else None) for name, value in state.items()}
    ### BEGIN SOLUTION
    problems = [f"missing {name}" for name in own if name not in arrays]
    problems += [f"unexpected {name}" for name in arrays if name not in own]
    for name in own:
        if name in arrays and arrays[name].shape != own[name].shape:
            problems.append(f"{name} has shape {own[name].shape}, the state {arrays[name].shape}")
    if problems:
        raise ValueError(f"load_state_dict: {'; '.join(problems)}; nothing was changed")
    for name, tensor in own.items():
        tensor.detach()[...] = arrays[name]
    ### END SOLUTION


# %% nbgrader={"grade_id": "03-3-test", "points": 5}
def two_levels():
    model, model.low = Module(), Module()
    model.bias, model.low.weight = Parameter([1.0, 2.0]), Parameter([[3.0, 4.0]])
    model.low.register_buffer("mean", [5.0])
    return model


def test_unit_load_state_dict():
    model = two_levels()
    bias, weight = model.bias, model.low.weight
    model.load_state_dict({"low.weight": [[30, 40]], "low.mean": Tensor([50]), "bias": np.array([10.0, 20.0])})
    check_close(model.low.weight, [[30, 40]], "the values arrive below")
    check_close(model.low.mean, [50], "the values arrive in buffers")
    check_close(model.bias, [10, 20], "the values arrive at the top")
    check(model.bias is bias and model.low.weight is weight, "the Parameters are the same objects as before")
    check(model.bias.dtype == np.float32, "a float64 array does not change the type of a Parameter")


def test_unit_load_state_dict_all_or_nothing():
    model = two_levels()
    wrong = {"bias": [7.0, 7.0], "low.weight": [[8.0, 8.0]], "low.mean": [9.0], "high.weight": [1.0]}
    text = check_raises(ValueError, lambda: model.load_state_dict(wrong), "a name that the model does not have")
    check("high.weight" in text, "the error names what is unexpected")
    wrong = {"low.weight": [8.0], "bias": [7.0, 7.0, 7.0], "extra": [1.0]}
    text = check_raises(ValueError, lambda: model.load_state_dict(wrong), "three kinds of problems at once")
    unnamed = [name for name in ("extra", "low.mean", "low.weight", "bias") if name not in text]
    check_equal(unnamed, [], "the error names all that is wrong, so these are left over")
    check_close([*model.bias.data, *model.low.weight.data[0]], [1, 2, 3, 4], "after an error nothing is changed")


test_unit_load_state_dict()
test_unit_load_state_dict_all_or_nothing()

# %% [markdown]
# ### Task 03-4. The layer that owns its numbers
#
# `linear` is a function; `Linear` is the object that holds a weight and a bias for it. All that is left to decide is
# the first values. Random they must be: two units with equal weights compute the same, get the same corrections, and
# stay twins for ever. Their size was settled in Part 2, up to a constant. PyTorch's choice, which is ours, is the
# uniform distribution between $-1/\sqrt{n}$ and $1/\sqrt{n}$ for $n$ inputs, for weight and bias alike.
#
# The numbers come from a generator `rng`. Where the caller gives none, it is `default_generator`, which
# `manual_seed(n)` starts again from `n`; so a whole network can be repeated with one line.

# %%
rng = np.random.default_rng(0)
drawn = rng.uniform(-0.5, 0.5, size=(1000, 4))
print(f"shape {drawn.shape}, from {drawn.min():.3f} to {drawn.max():.3f}, variance {drawn.var():.4f}")


def seeded(make):
    """What `make()` gives when the default generator starts from 3."""
    manual_seed(3)
    return make()


for _ in range(2):
    print("after manual_seed(3):", seeded(lambda: default_generator.uniform(size=2)))

# %% [markdown]
# Numbers spread evenly over $[-a, a]$ have variance $a^2/3$. Keep that in mind for the next task: it means that
# $n\sigma^2$ is not 1 here.


# %% nbgrader={"grade_id": "03-4", "solution": true}
#| export
class Linear(Module):
    """x Wᵀ + b: (..., in_features) to (..., out_features).

    weight: Parameter (out_features, in_features); bias: Parameter (out_features,), or None with `bias=False`. Both
        start uniform in ±1/sqrt(in_features), drawn from `rng`, and without it from tinytorch's default generator.
    Raises: ValueError for a size below 1.
    """

    def __init__(self, in_features, out_features, bias=True, rng=None):
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: sizes {in_features} and {out_features}; both need to be at least 1")
        self.in_features, self.out_features = in_features, out_features
        self.weight, self.bias = None, None
        rng = default_generator if rng is None else rng
        ### BEGIN SOLUTION
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(rng.uniform(-bound, bound, size=(out_features, in_features)))
        if bias:
            self.bias = Parameter(rng.uniform(-bound, bound, size=out_features))
        ### END SOLUTION

    def forward(self, x):
        return linear(x, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


# %% nbgrader={"grade_id": "03-4-test", "points": 5}
def test_unit_linear_class():
    layer = Linear(3, 2, rng=np.random.default_rng(0))
    check(isinstance(layer.weight, Parameter) and isinstance(layer.bias, Parameter), "weight and bias are Parameters")
    check_close([*layer.weight.shape, *layer.bias.shape], [2, 3, 2], "the shapes are (out, in) and (out,)")
    layer.weight.data, layer.bias.data = [[1, 2, 3], [0, 0, 1]], [10, 20]
    check_close(layer(Tensor([[1.0, 1.0, 1.0]])), [[16, 21]], "an example by hand")
    plain = Linear(3, 2, bias=False, rng=np.random.default_rng(0))
    check(plain.bias is None, "with bias=False there is none")
    check_raises(ValueError, lambda: Linear(0, 2), "no inputs is an error")


def test_unit_linear_class_first_values():
    layer = Linear(25, 4000, rng=np.random.default_rng(0))
    check_close(layer.weight.data.var() * 3, 1 / 25, "the variance is a third of 1/in", rtol=0.02)
    check_close(layer.bias.data.var() * 3, 1 / 25, "the variance of the bias too", rtol=0.1)
    check_close(layer.weight.data.mean(), 0, "the mean is 0", atol=2e-3)
    check_close(np.abs(layer.weight.data).max(), 0.2, "the largest is 1/sqrt(in)", rtol=1e-3)
    again = Linear(25, 4000, rng=np.random.default_rng(0))
    check(np.array_equal(layer.weight.data, again.weight.data), "the same generator gives the same weights")
    once, twice = seeded(lambda: Linear(3, 2)), seeded(lambda: Linear(3, 2))
    check(np.array_equal(once.bias.data, twice.bias.data), "after the same manual_seed the bias is the same")


test_unit_linear_class()
test_unit_linear_class_first_values()

# %% [markdown]
# What becomes of values in ten of your layers, without a bend and with one? Predict the factor a layer without a bend
# from $n\sigma^2 = n \cdot \tfrac{1}{3n}$, before you read it.

# %%
rng = np.random.default_rng(0)
for bend, name in ((lambda x: x, "no bend"), (relu, "ReLU")):
    x, sizes = Tensor(rng.normal(size=(64, 256))), []
    for _ in range(10):
        x = bend(Linear(256, 256, bias=False, rng=rng)(x))
        sizes.append(math.sqrt(np.square(x.data).mean()))
    factor = (sizes[9] / sizes[0]) ** (1 / 9)
    print(f"{name:8} size after 1, 2, 10 layers: {sizes[0]:.3f} {sizes[1]:.3f} {sizes[9]:.1e}; factor {factor:.3f}")
print(f"predicted: sqrt(1/3) = {math.sqrt(1 / 3):.3f}, and with half of the values at zero {math.sqrt(1 / 6):.3f}")

# %% [markdown]
# So the customary default *shrinks*, by a factor of about 0.6 to 0.4 a layer. Over three layers nobody notices. Over
# thirty, next to nothing is left.

# %% [markdown]
# ### Task 03-5. A scale that survives depth
#
# The sum that gives $y$ runs over the inputs of a unit; their number is called *fan in*. When module 05 sends gradients
# back, the sum runs over the units that an input feeds, the *fan out*. For a weight (out, in) these are its two sizes;
# a convolution (module 09) has weights (out, in, height, width), and each pixel of the window is an input of its own.
#
# Forward wants $\sigma^2 = 1/\text{fan in}$, backward wants $1/\text{fan out}$. Glorot and Bengio met in the middle,
# which is given here as an example. Follow the step from variance to bound: with $a^2/3 = \sigma^2$ it is
# $a = \sqrt{3}\,\sigma$.


# %%
#| export
def fans(shape):
    """(fan in, fan out) of a weight (out, in, ...): how many products end in one output, or start from one input.

    Raises: ValueError for fewer than two sizes.
    """
    if len(shape) < 2:
        raise ValueError(f"fans: {shape} has fewer than two sizes; a weight is (out, in) or (out, in, height, width)")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def xavier(shape, rng=None):
    """First values for a weight of `shape` (out, in, ...) before a tanh: a float32 array, uniform.

    The variance is 2 / (fan in + fan out).
    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward networks", equation 16.
    """
    rng = default_generator if rng is None else rng
    bound = math.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-bound, bound, size=shape).astype(np.float32)


# %%
rng = np.random.default_rng(0)
w = xavier((300, 100), rng)
print(w.dtype, f"variance {w.var():.5f}, wanted {2 / 400:.5f};", "fans of (16, 3, 5, 5):", fans((16, 3, 5, 5)))
drawn = rng.normal(10, 0.5, size=(200, 100))  # mean, standard deviation, shape
print(f"normal: mean {drawn.mean():.2f}, standard deviation {drawn.std():.2f}, variance {drawn.var():.2f}")

# %% [markdown]
# Neither thought of ReLU. It sets half of the values to zero, and so halves the mean square $q$ that the next layer
# gets: $\operatorname{Var}(y) = n\sigma^2 q$ falls by half in every layer. What must $\sigma^2$ be so that nothing is
# lost going forward? He and others answered in 2015, and drew from a normal distribution, with mean 0. Note that
# `rng.normal` asks for a standard deviation, not for a variance.


# %% nbgrader={"grade_id": "03-5", "solution": true}
#| export
def kaiming(shape, rng=None):
    """First values for a weight of `shape` (out, in, ...) after a ReLU: a float32 array, normal with mean 0.

    The variance keeps the mean square of what goes forward.
    Source: He, Zhang, Ren and Sun 2015, "Delving deep into rectifiers", equation 10.
    """
    rng = default_generator if rng is None else rng
    fan_in, fan_out = fans(shape)
    ### BEGIN SOLUTION
    return rng.normal(0, math.sqrt(2 / fan_in), size=shape).astype(np.float32)
    ### END SOLUTION


# %% nbgrader={"grade_id": "03-5-test", "points": 5}
def test_unit_kaiming():
    w = kaiming((400, 50), np.random.default_rng(0))
    check_close(w.shape, (400, 50), "the shape that was asked for")
    check(w.dtype == np.float32, "the type is float32")
    check_close(w.mean(), 0, "the mean is 0", atol=5e-3)
    check_close(w.std(), 0.2, "50 inputs: the standard deviation is 0.2", rtol=0.02)
    check_close(np.mean(np.abs(w) < 0.2), 0.683, "two thirds of a normal lie within one standard deviation", atol=0.02)
    window = kaiming((50, 8, 5, 5), np.random.default_rng(0))
    check_close(window.std(), 0.1, "a window of 5 x 5 counts 25 times", rtol=0.02)
    check(np.array_equal(w, kaiming((400, 50), np.random.default_rng(0))), "the same generator gives the same numbers")
    once, twice = seeded(lambda: kaiming((2, 3))), seeded(lambda: kaiming((2, 3)))
    check(np.array_equal(once, twice), "without rng the default generator is used")


test_unit_kaiming()

# %% [markdown]
# Ten layers with ReLU again, now with your weights:

# %%
rng = np.random.default_rng(0)
x, sizes = rng.normal(size=(64, 256)).astype(np.float32), []
for _ in range(10):
    x = np.maximum(x @ kaiming((256, 256), rng).T, 0)
    sizes.append(math.sqrt(np.square(x).mean()))
print("size after 1, 2, 10 layers:", *(f"{sizes[depth - 1]:.3f}" for depth in (1, 2, 10)))

# %% [markdown]
# ### Task 03-6. A matrix that keeps every length
#
# `kaiming` keeps sizes *on average*. When the same matrix is applied again and again, as in the recurrent networks of
# module 10, the average is not enough: some directions grow each time, others shrink. An *orthogonal* matrix keeps
# the length of every vector, because its columns have length 1 and are at right angles to each other, $Q^\top Q = I$.
#
# Where from? Take a matrix of normal numbers and straighten its columns, one after the other: that is what
# `np.linalg.qr` does. It gives $A = QR$ with orthogonal $Q$ and triangular $R$.

# %%
rng = np.random.default_rng(0)
a = rng.normal(size=(3, 2))
q, r = np.linalg.qr(a)
print("shapes", q.shape, r.shape, " q.T @ q:", (q.T @ q).round(6).tolist())
print("diagonal of r:", np.diag(r).round(3), " its signs:", np.sign(np.diag(r)))
corners = [np.linalg.qr(rng.normal(size=(3, 3)))[0][0, 0] for _ in range(1000)]
print("1000 matrices q, share with a positive number in the corner:", np.mean(np.array(corners) > 0))

# %% [markdown]
# The last line shows a flaw. A random orthogonal matrix should prefer no direction, and the corner of this one is
# never positive. The decomposition is unique only up to signs: flip a column of $Q$ and the same row of $R$, and the
# product stays. The library has a habit in choosing them. The cure: give $R$ a positive diagonal. Multiply each
# **column** of $Q$ by the sign of its number on the diagonal of $R$.
#
# `np.linalg.qr` gives orthogonal columns, and there can be no more of them than rows. So for a wide matrix build
# the tall one, and turn it over at the end: then the *rows* are orthogonal.


# %% nbgrader={"grade_id": "03-6", "solution": true}
#| export
def orthogonal(shape, rng=None):
    """First values for a weight of `shape` (out, in, ...), seen as a matrix (out, rest): a float32 array.

    Its columns are orthonormal, or its rows where there are fewer of these. No direction is preferred.
    Source: Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear
        neural networks"; for the signs Mezzadri 2007, "How to generate random matrices from the classical compact
        groups", section 5.
    """
    rng = default_generator if rng is None else rng
    rows, columns = shape[0], math.prod(shape[1:])
    ### BEGIN SOLUTION
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    if rows < columns:
        q = q.T
    return q.reshape(shape).astype(np.float32)
    ### END SOLUTION


# %% nbgrader={"grade_id": "03-6-test", "points": 5}
def test_unit_orthogonal():
    tall = orthogonal((5, 3), np.random.default_rng(0))
    check_close(tall.T @ tall, np.eye(3), "(5, 3) has orthonormal columns", atol=1e-5)
    square = orthogonal((4, 4), np.random.default_rng(0))
    check_close(square @ square.T, np.eye(4), "(4, 4) has orthonormal rows, too", atol=1e-5)
    wide = orthogonal((3, 5), np.random.default_rng(0))
    check_close(wide @ wide.T, np.eye(3), "(3, 5) has orthonormal rows", atol=1e-5)
    check_close(orthogonal((2, 3, 2, 2)).shape, (2, 3, 2, 2), "more than two sizes are kept")
    check(tall.dtype == np.float32, "the type is float32")
    rng = np.random.default_rng(0)
    corners = np.array([orthogonal((3, 3), rng)[0, 0] for _ in range(400)])
    check_close(np.mean(corners > 0), 0.5, "the corner is as often positive as negative", atol=0.1)
    check(np.array_equal(tall, orthogonal((5, 3), np.random.default_rng(0))), "the same generator, the same matrix")


test_unit_orthogonal()

# %% [markdown]
# A matrix applied a hundred times to ten vectors of length 1. Predict the row of each: shortest, longest.

# %%
rng = np.random.default_rng(0)
for name, w in (("xavier", xavier((64, 64), rng)), ("orthogonal", orthogonal((64, 64), rng))):
    vectors = orthogonal((10, 64), rng)  # ten rows of length 1
    for _ in range(100):
        vectors = vectors @ w.T
    lengths = np.linalg.norm(vectors, axis=1)
    print(f"{name:10} shortest {lengths.min():.3g}, longest {lengths.max():.3g}")

# %% [markdown]
# ### Flatten, and lists of layers (given)
#
# Images come as (N, 8, 8), and `Linear` wants (N, 64). `Flatten` has no numbers of its own; it is a Module because
# networks are made of Modules. It multiplies the sizes instead of asking `reshape` for a -1: with an empty batch,
# (0, 8, 8), any size would do for the -1, and it could not be inferred.
#
# `ModuleList` is the list that is looked into. It holds its layers in an ordinary list, and hands them to the walk
# under their positions "0", "1", ... All that needs is another `_parts`. The activations of module 02 are not
# Modules. They own nothing, so the walk may pass them by; but they take their place in the count, which is why
# PyTorch's names for a network of Linear, ReLU, Linear are `0.weight` and `2.weight`. What owns numbers and is no
# Module would be passed by as well, and that is an error.


# %%
#| export
class Flatten(Module):
    """All dimensions from `start_dim` on in one: (N, 8, 8) to (N, 64)."""

    def __init__(self, start_dim=1):
        self.start_dim = start_dim

    def forward(self, x):
        start = dims_of(self.start_dim, x.ndim)[0]
        return x.reshape(*x.shape[:start], math.prod(x.shape[start:]))

    def extra_repr(self):
        return f"start_dim={self.start_dim}"


class ModuleList(Module):
    """A list of layers whose Parameters are found, under the names "0", "1", ... It has no `forward` of its own."""

    def __init__(self, layers=()):
        self.layers = []
        for layer in layers:
            self.append(layer)

    def append(self, layer):
        """Add a layer, a Module or any function of Tensors, at the end; returns the list."""
        here = f"{type(self).__name__}: layer {len(self.layers)}, {layer!r:.60},"
        if isinstance(layer, type) or not callable(layer):
            raise TypeError(f"{here} is not a layer; it must be an object that can be called, such as ReLU()")
        if not isinstance(layer, Module) and (hasattr(layer, "training") or list(getattr(layer, "parameters", list)())):
            raise TypeError(f"{here} is not a Module, so its numbers would not be found; make its class a Module")
        self.layers.append(layer)
        return self

    def _parts(self):
        return [*((str(i), layer) for i, layer in enumerate(self.layers)), *vars(self).items()]

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __getitem__(self, i):
        """The layer at place `i`; for a slice a new list with these layers."""
        return type(self)(self.layers[i]) if isinstance(i, slice) else self.layers[i]


# %% [markdown]
# ### Task 03-7. One after the other
#
# Most networks are a chain: what one layer gives, the next one takes. `Sequential` is a `ModuleList` that can be
# called. It takes layers, or one list of layers, or nothing at all. Before you write `forward`, say what a chain
# without layers does to its input. There is only one answer that keeps `Sequential(*a, *b)` the same as `a` and then
# `b`.


# %% nbgrader={"grade_id": "03-7", "solution": true}
#| export
class Sequential(ModuleList):
    """Layers one after the other: `Sequential(Linear(64, 32), ReLU())`, or the same in one list.

    A layer is a Module or any function of Tensors.
    """

    def __init__(self, *layers):
        super().__init__(layers[0] if len(layers) == 1 and isinstance(layers[0], list | tuple) else layers)

    def forward(self, x):
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer(x)
        return x
        ### END SOLUTION


# %% nbgrader={"grade_id": "03-7-test", "points": 5}
def test_unit_sequential():
    add_one, double, square = (lambda x: x + 1), (lambda x: x * 2), (lambda x: x * x)
    x = Tensor([1.0, 3.0])
    check_close(Sequential(add_one, double, square)(x), [16, 64], "add 1, double, square, in this order")
    check_close(Sequential([add_one, double])(x), [4, 8], "the layers may come in one list")
    check_close(Sequential(Sequential(add_one), double)(x), [4, 8], "a chain may be a layer of a chain")
    check(Sequential()(x) is x, "a chain without layers returns its input")
    check_close(x, [1, 3], "the input stays as it was")


test_unit_sequential()

# %% [markdown]
# What a network looks like when printed is a matter of walking, too: each child's text, moved to the right.


# %%
#| export
@add_to(Module)
def __repr__(self):
    """The name with the settings; children one a line, each with its name, as PyTorch prints them."""
    lines = [self.extra_repr()] if self.extra_repr() else []
    children = [f"({name}): {part!r}" for name, part in self._parts() if callable(part)]
    if not children:
        return f"{type(self).__name__}({''.join(lines)})"
    inside = "\n".join([*lines, *children]).replace("\n", "\n  ")
    return f"{type(self).__name__}(\n  {inside}\n)"


# %%
manual_seed(0)
model = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))
print(model)
print({name: parameter.shape for name, parameter in model.named_parameters()})
print("layers", len(model), " the last:", model[-1], " the first two:", [type(layer).__name__ for layer in model[:2]])

# %% [markdown]
# ### Task 03-8. Dropout
#
# A network with many weights can learn its training images by heart, with units that work only together with certain
# others. *Dropout* makes them work alone: while training, each value is set to zero with probability $p$, at
# random, anew in every call. When the network is used, nothing is dropped.
#
# Then a unit in the next layer is in for a surprise: while training it saw a sum of which the share $p$ was missing,
# and now it sees all of it. Let $m$ be 1 with probability $1-p$, else 0. Then
#
# $$\mathbb{E}[m\,x] = (1-p)\,x, \qquad\text{so}\qquad \mathbb{E}\!\left[\frac{m}{1-p}\,x\right] = x .$$
#
# Dividing what survives by $1-p$ keeps the average right, and it happens while training, so that using the
# network costs nothing and changes nothing. This form is called *inverted* dropout.
#
# Zero and scale together are one array, the `mask`: each number is 0 or $1/(1-p)$. It is an option of the operation,
# so it stays on the receipt. That matters: what module 05 sends back must be dropped at the same places.
#
# Three things to settle before you write. When is nothing to be done? What is $1/(1-p)$ for $p = 1$, and what should
# come out? And which type has the mask? Look:

# %%
rng = np.random.default_rng(0)
uniform = rng.random((2, 3), dtype=np.float32)  # evenly spread over [0, 1)
print(uniform)
print("smaller than 0.25:", (uniform < 0.25).tolist())
answers = uniform < 0.25
print("answers * 2.0:", (answers * 2.0).dtype, "  after astype:", (answers.astype(np.float32) * 2.0).dtype)


# %%
#| export
@operation
def dropout(x, *, mask):
    """`x` with each value multiplied by its number in `mask`, an array of the shape of `x`."""
    return x * mask


# %% nbgrader={"grade_id": "03-8", "solution": true}
#| export
class Dropout(Module):
    """While training: each value becomes 0 with probability `p`, else it is divided by 1 - p. Afterwards: nothing.

    rng: where the random numbers come from; without it they come from tinytorch's default generator.
    Raises: ValueError unless 0 <= p <= 1.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, "Dropout: a simple way to prevent neural
        networks from overfitting", section 10, for the scale while training.
    """

    def __init__(self, p=0.5, rng=None):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is {p}; a probability lies between 0 and 1")
        self.p, self.rng = p, rng

    def forward(self, x):
        """`x` itself when there is nothing to drop, else `dropout(x, mask=...)` with a mask of the type of `x`."""
        rng = default_generator if self.rng is None else self.rng
        ### BEGIN SOLUTION
        if not self.training or self.p == 0:
            return x
        keep = rng.random(x.shape, dtype=np.float32) >= self.p
        scale = 1 / (1 - self.p) if self.p < 1 else 0.0
        return dropout(x, mask=keep.astype(x.dtype) * scale)
        ### END SOLUTION

    def extra_repr(self):
        return f"p={self.p}"


# %% nbgrader={"grade_id": "03-8-test", "points": 5}
def test_unit_dropout():
    layer, x = Dropout(0.2, rng=np.random.default_rng(0)), Tensor(np.ones((200, 50)), requires_grad=True)
    layer.training = False
    check_close(layer(x), np.ones((200, 50)), "nothing is dropped when the network is used")
    layer.training = True
    y = layer(x)
    check_close(np.unique(y.data), [0, 1.25], "with p = 0.2 a one becomes 0 or 1.25")
    check_close(np.mean(y.data == 0), 0.2, "a fifth of the values is dropped", atol=0.02)
    check(len({row.tobytes() for row in y.data}) == 200, "each row is dropped at places of its own")
    check(not np.array_equal(layer(x).data, y.data), "a second call drops other values")
    check_close(y.receipt.options["mask"], y.data, "the receipt of the operation keeps the mask")
    check(y.receipt.options["mask"].dtype == np.float32, "the mask has the type of x")


def test_unit_dropout_borders():
    x = Tensor([[1.0, -2.0], [3.0, 4.0]])
    check_close(Dropout(0.0)(x), x, "with p = 0 nothing is dropped")
    check_close(Dropout(1.0)(x), np.zeros((2, 2)), "with p = 1 everything is dropped")
    check_raises(ValueError, lambda: Dropout(1.5), "p = 1.5 is an error")
    ones = Tensor(np.ones(40))
    check(np.array_equal(*(seeded(lambda: Dropout(0.5)(ones).data) for _ in range(2))), "manual_seed repeats the mask")


test_unit_dropout()
test_unit_dropout_borders()

# %% [markdown]
# The average over many calls, in both modes. `train()` and `eval()` reach the layer through the walk of task 03-2.

# %%
manual_seed(0)
model = Sequential(Flatten(), Dropout(0.5))
image = Tensor(images[:1, 2:4, 2:6])
print("input      ", image.data.ravel())
print("training   ", model(image).data.ravel())
print("mean of 2000", np.mean([model(image).data.ravel() for _ in range(2000)], axis=0).round(1))
print("in use     ", model.eval()(image).data.ravel())

# %% [markdown]
# ## Part 4. Integration: how far does a network get without training?
#
# A network 64-32-10 on the real digits, fresh from the constructor. It has ten outputs, and the largest is its answer.
# Predict how often it is right, and whether it gives each of the ten answers about equally often.

# %%
train, test = digits_split()
pictures = Tensor(images / 16)  # (1797, 8, 8), ink between 0 and 1


def accuracy(model, indices):
    answers = model(pictures[indices]).data.argmax(axis=1)
    return np.mean(answers == labels[indices])


for seed in range(3):
    manual_seed(seed)
    model = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10)).eval()
    answers = np.bincount(model(pictures[test]).data.argmax(axis=1), minlength=10)
    print(f"seed {seed}: right {accuracy(model, test):.3f}; answers 0 to 9 given {answers} times")

# %% [markdown]
# Chance, and a one-sided chance: a random network has its favourites.
#
# Now without the hidden layer, and with weights that mean something. A unit is a template, so give unit $k$ the mean
# image $\mu_k$ of digit $k$. Module 02 worked out which bias makes the largest score belong to the nearest mean:
#
# $$y_k = \mu_k \cdot x - \tfrac{1}{2}\lVert \mu_k \rVert^2 .$$
#
# No training, only ten averages of the training images, loaded by name.


# %%
def nearest_mean(values):
    """Weight and bias of a layer that answers with the nearest mean: values (N, F) of the training images."""
    means = np.stack([values[labels[train] == digit].mean(axis=0) for digit in range(10)])  # (10, F)
    return means, -0.5 * np.square(means).sum(axis=1)


templates = Sequential(Flatten(), Linear(64, 10)).eval()
weight, bias = nearest_mean(pictures.data[train].reshape(-1, 64))
templates.load_state_dict({"1.weight": weight, "1.bias": bias})
print(f"templates on pixels: {accuracy(templates, test):.3f} of {len(test)} test images")

# %% tags=["measure"]
import matplotlib.pyplot as plt

fig, rows = plt.subplots(2, 10, figsize=(10, 2.4), layout="constrained")
manual_seed(0)
for row, layer, name in zip(rows, (Linear(64, 10), templates[1]), ("random", "mean")):
    for unit, ax in enumerate(row):
        ax.imshow(layer.weight.data[unit].reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[], xlabel=f"{name} {unit}")
plt.show()

# %% [markdown]
# Nine of ten digits, by a `Linear` of 650 numbers. The rows of the weight can be looked at, and show what each unit
# waits for.
#
# Back to the network with a hidden layer. Leave its first layer at random, and give only the *last* layer templates:
# the mean of the 32 hidden values for each digit. The first layer mixes 64 pixels into 32 random sums and cuts them
# at zero. **Predict**: better than on pixels, as good, or worse? And what if there are 1024 random sums?


# %%
def random_then_means(width, seed):
    """A network whose first layer is random and whose last layer has the means of the hidden values."""
    manual_seed(seed)
    model = Sequential(Flatten(), Linear(64, width), ReLU(), Linear(width, 10)).eval()
    weight, bias = nearest_mean(model[:3](pictures[train]).data)
    model.load_state_dict({**model.state_dict(), "3.weight": weight, "3.bias": bias})
    return model


for width in (32, 1024):
    print(f"64-{width}-10: {accuracy(random_then_means(width, seed=0), test):.3f}")

# %% tags=["measure"]
widths = 2 ** np.arange(2, 12)
results = np.array([[accuracy(random_then_means(width, seed), test) for seed in range(5)] for width in widths])
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.semilogx(widths, results, ".", color="C0", base=2)
ax.semilogx(widths, results.mean(axis=1), color="C0", base=2, label="random first layer")
ax.axhline(accuracy(templates, test), color="C1", label="templates on pixels")
ax.set(xlabel="random units", ylabel="test accuracy")
ax.legend()
plt.show()
print("mean of five seeds:", dict(zip(widths.tolist(), results.mean(axis=1).round(3).tolist())))

# %% [markdown]
# Few random units lose what the pixels knew. Many keep it all, although nobody chose them: the bend makes a new
# view of the image from each, and the last layer finds its means among them. What training will add, from module 07
# on, is to *choose* the units, so that few do what here takes many.

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### Where the bytes are
#
# A network 784-256-128-10. Which takes more memory: its Parameters, or the values between its layers for a batch of 64?
# And for a batch of 2048? All numbers below are the sizes of arrays that exist.


# %% tags=["measure"]
def arrays_behind(y, model):
    """The distinct arrays that the receipts behind `y` hold on to, apart from the Parameters of `model`."""
    found, waiting = {}, [y]
    while waiting:
        x = waiting.pop()
        if isinstance(x, Tensor):
            found[x.data.__array_interface__["data"]] = x.data  # two headers on one memory count once
            waiting += x.receipt.inputs if x.receipt else ()
    own = [p.data.__array_interface__["data"] for p in model.parameters()]
    return [array for place, array in found.items() if place not in own]


rng = np.random.default_rng(0)
wide = Sequential(Linear(784, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 10))
for name, p in wide.named_parameters():
    print(f"{name:10}{p.shape!s:>12}{p.size:>9,} numbers{p.data.nbytes:>11,} bytes")
print(f"parameters{sum(p.data.nbytes for p in wide.parameters()):>43,} bytes")
for batch in (64, 2048):
    x = Tensor(rng.normal(size=(batch, 784)))
    held = sum(a.nbytes for a in arrays_behind(wide(x), wide))
    print(f"a batch of {batch:4}: {held:>12,} bytes held by receipts, of these {x.data.nbytes:>10,} the input")
fused, composed = wide[0](x), x @ wide[0].weight.T + wide[0].bias
for name, y in (("fused", fused), ("composed", composed)):
    held = sum(a.nbytes for a in arrays_behind(y, wide)) - x.data.nbytes
    print(f"first layer alone, batch 2048, {name:8} {held:>10,} bytes besides the input")

# %% [markdown]
# Parameters do not depend on the batch, and values do. Which of the two fills the memory is decided by the batch
# size, and training has to hold the values of all layers until the gradients have come back. The fused layer halves
# its share.

# %% [markdown]
# ### One product, or a loop over the batch
#
# The same 64 outputs twice: one call with 64 inputs, and 64 calls with one input each. The additions and
# multiplications are the same. Predict the factor.

# %% tags=["measure"]
rng = np.random.default_rng(0)
layer, batch = Linear(256, 256, rng=rng), Tensor(rng.normal(size=(64, 256)))
singles = [Tensor(row) for row in batch.data]
whole = measure(lambda: layer(batch), label="one call with 64 inputs")
loop = measure(lambda: [layer(x) for x in singles], label="64 calls with one input")
print(f"factor {loop / whole:.1f}")

# %% [markdown]
# Two things are saved: 63 times the price of a call, and 63 times the way of the whole weight from memory to the
# processor. One input uses each weight once; a batch uses it 64 times while it is at hand.
#
# ### Time by batch size and by width
#
# Count the multiplications of a layer: $N \cdot \text{in} \cdot \text{out}$. So the time should grow like the batch
# size, and with the square of the width. Predict where that is wrong: at the small end, or at the large one?

# %% tags=["measure"]
batches = 2 ** np.arange(0, 13)
layer, by_batch = Linear(256, 256, rng=rng), []
for size in batches:
    x = Tensor(rng.normal(size=(size, 256)))
    by_batch.append(measure(lambda x=x: layer(x), label=f"batch {size:5}, 256 -> 256", repeats=5))
widths = 2 ** np.arange(3, 12)
by_width = []
for width in widths:
    layer, x = Linear(int(width), int(width), rng=rng), Tensor(rng.normal(size=(64, width)))
    by_width.append(measure(lambda x=x, layer=layer: layer(x), label=f"batch 64, {width} -> {width}", repeats=5))


def exponent(sizes, seconds):
    return np.polyfit(np.log(sizes), np.log(seconds), 1)[0]


fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for ax, sizes, seconds, name, power in ((left, batches, by_batch, "batch", 1), (right, widths, by_width, "width", 2)):
    ax.loglog(sizes, seconds, "o-")
    ax.loglog(sizes, seconds[-1] * (sizes / sizes[-1]) ** power, color="0.7", zorder=0, label=f"exponent {power}")
    ax.set(xlabel=name, ylabel="seconds", ylim=(min(seconds) / 3, 2 * max(seconds)))
    ax.legend()
    small, large = exponent(sizes[:4], seconds[:4]), exponent(sizes[-4:], seconds[-4:])
    print(
        f"{name}: fitted exponent {small:.2f} for the four smallest, {large:.2f} for the four largest; counted {power}"
    )
plt.show()
rate = 2 * 64 * widths[-1] ** 2 / by_width[-1] / 1e9
print(f"at width {widths[-1]}: {rate:.0f} billion additions and multiplications a second")

# %% [markdown]
# At the large end counting predicts the time, as long as nothing else keeps the machine busy. At the small end it does
# not: the call, the checks and the wrapping cost the same for eight numbers as for a thousand, so a small layer is
# priced by the call. Compare a batch of 16 with one of 2. (A single input stands apart: a matrix times a vector is
# another routine.)
#
# ### How large are the values, layer by layer?
#
# Fifty layers of width 128, four ways to draw the first weights, two bends. The plot shows the spread of the values
# (the root of their mean square) after each layer. For ReLU you know enough to predict the slopes of `Linear`'s
# default and of `kaiming`. What of `xavier` and `orthogonal`, which keep the mean square without a bend? And which of
# the four is best for tanh, whose slope is 1 at zero and less elsewhere?

# %% tags=["measure"]
WIDTH, DEPTH = 128, 50
starts = {
    "default": lambda rng: Linear(WIDTH, WIDTH, rng=rng).weight.data,
    "xavier": lambda rng: xavier((WIDTH, WIDTH), rng),
    "kaiming": lambda rng: kaiming((WIDTH, WIDTH), rng),
    "orthogonal": lambda rng: orthogonal((WIDTH, WIDTH), rng),
}


def spreads(start, bend, seed=0):
    rng = np.random.default_rng(seed)
    x, found = Tensor(rng.normal(size=(256, WIDTH))), []
    for _ in range(DEPTH):
        x = bend(linear(x, start(rng)))
        found.append(math.sqrt(np.square(x.data, dtype=np.float64).mean()))
    return np.array(found)


fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained", sharey=True)
for ax, bend in zip(axes, (ReLU(), Tanh())):
    for name, start in starts.items():
        found = spreads(start, bend)
        ax.semilogy(range(1, DEPTH + 1), found, label=name)
        factor = (found[-1] / found[9]) ** (1 / (DEPTH - 10))
        after = " ".join(f"{found[depth - 1]:8.2g}" for depth in (1, 10, 50))
        print(f"{bend!r:7} {name:11} after 1, 10, 50 layers {after}; factor a layer {factor:.3f}")
    ax.set(xlabel="layer", title=repr(bend))
axes[0].set(ylabel="spread of the values")
axes[0].legend()
plt.show()

# %% [markdown]
# With ReLU, each start that ignores the halving loses a factor of $\sqrt{1/2} \approx 0.71$ a layer, and the default,
# whose variance is only a third of $1/n$, $\sqrt{1/6} \approx 0.41$; only `kaiming` stays near 1. With tanh the curves
# bend: it shrinks large values much and small ones hardly, so `xavier` and `orthogonal` lose less and less as they
# go, and `kaiming`, which doubles the mean square before each bend, settles where bend and doubling are in balance.
#
# ### What dropout costs
#
# A layer 256 → 256 and a dropout on its output, for a batch of 512. The layer makes 256 multiplications for each of its
# outputs, dropout makes one. Predict which takes longer.

# %% tags=["measure"]
rng = np.random.default_rng(0)
layer, drop, x = Linear(256, 256, rng=rng), Dropout(0.5, rng=rng), Tensor(rng.normal(size=(512, 256)))
y = layer(x)
parts = {
    "Linear 256 -> 256": lambda: layer(x),
    "Dropout, training": lambda: drop.train()(y),
    "  of it: random numbers, float32": lambda: rng.random(y.shape, dtype=np.float32),
    "  of it: the multiplication": lambda: dropout(y, mask=y.data),
    "random numbers in float64": lambda: rng.random(y.shape),
    "Dropout, in use": lambda: drop.eval()(y),
}
seconds = {name: measure(call, label=f"{name:34}") for name, call in parts.items()}
drawn = seconds["  of it: random numbers, float32"] / y.size
product = seconds["Linear 256 -> 256"] / y.size / 256
print(
    f"a random number {drawn * 1e9:.2f} ns, a product in the layer {product * 1e9:.4f} ns: {drawn / product:.0f} to 1"
)

# %% [markdown]
# So the one multiplication is not what costs. A generator makes its numbers one from the other, in order, and a product
# works on many at a time. In use, dropout is one question and no work.

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more, and then all of it together: a network with every kind of layer goes to another program as names
# and arrays, and computes the same there.


# %% nbgrader={"grade_id": "03-module"}
class Block(Module):
    """Two ways to the output, and a number that is saved but not trained."""

    def __init__(self):
        self.ways = ModuleList([Linear(8, 4), Linear(8, 4, bias=False)])
        self.register_buffer("calls", np.array([0]))

    def forward(self, x):
        self.calls = self.calls + np.array([1])
        return self.ways[0](x) + relu(self.ways[1](x))


def test_module():
    test_unit_linear()
    test_unit_named_modules()
    test_unit_named_modules_shared()
    test_unit_load_state_dict()
    test_unit_load_state_dict_all_or_nothing()
    test_unit_linear_class()
    test_unit_linear_class_first_values()
    test_unit_kaiming()
    test_unit_orthogonal()
    test_unit_sequential()
    test_unit_dropout()
    test_unit_dropout_borders()

    model, other = (Sequential(Flatten(), Linear(64, 8), Dropout(0.5), Block()) for _ in range(2))
    names = ["1.weight", "1.bias", "3.ways.0.weight", "3.ways.0.bias", "3.ways.1.weight"]
    check_equal([name for name, _ in model.named_parameters()], names, "each number is found, by PyTorch's names")
    model[1].weight.data = kaiming((8, 64))
    x = Tensor(images[:5])
    check(not np.array_equal(model(x).data, model(x).data), "in training mode dropout is at work")
    model.eval(), other.eval()
    other.load_state_dict(model.state_dict())
    check(other[3].calls.data == 2, "the buffer travels with the weights")
    check_close(other(x), model(x).data, "after loading, both networks compute the same")
    check(model.train() is model and model[2].training, "train() reaches the dropout and returns the model")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "03-q1", "points": 5, "solution": true}
# **Question 1. First weights (5 points).** A network has 40 hidden layers of 512 units with ReLU. (a) All weights
# start at 0. What do all units of a layer compute, and why does training not help? (b) All weights are drawn with
# standard deviation 0.01. By which factor does the spread of the values change in one layer, and in 40? Is that a
# problem for float32? (c) Which standard deviation would you choose, and which assumption about the values in front
# of each layer is in that choice?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) the same (0); equal units get equal corrections, so they stay equal: the layer counts as one unit (1 for
# "all equal", 1 for "stay equal").
# 1 point: (b) sqrt(512 * 0.0001 / 2) = 0.16 a layer.
# 1 point: 0.16^40 is about 1e-32: still a float32 number, but far below everything else; its square (as in a variance
# or a gradient) is not one.
# 1 point: (c) sqrt(2 / 512) = 0.0625; half of the values are set to zero, because what comes before the ReLU is
# symmetric around 0.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "03-q2", "points": 5, "solution": true}
# **Question 2. Names and arrays (5 points).** A colleague saves networks by pickling the whole object. (a) Name two
# things that go wrong a year later, or on another machine. (b) Another colleague keeps the best network by
# `best = model.state_dict()` in a framework that returns no copies. What does `best` hold at the end of training, and
# why? (c) Our `load_state_dict` looks at everything before it writes anything. Describe a network that would come out
# of one which does not, and why nobody would notice at once.
#
# ### BEGIN MARK SCHEME
# 2 points: (a) one for each of: the class was renamed, moved or changed, so the file cannot be opened or opens wrongly;
# another framework cannot read it; opening a pickle runs code of whoever wrote it; library versions differ.
# 1 point: (b) the last weights, not the best: the arrays in it are those of the model, which training writes into.
# 2 points: (c) one part of the layers with new weights, the others with old ones (1); it has the right shapes and
# computes numbers without an error, only worse ones (1).
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "03-q3", "points": 5, "solution": true}
# **Question 3. On average (5 points).** (a) Show that inverted dropout keeps the mean of a value $x$, and compute the
# variance it adds, as a formula in $x$ and $p$. (b) Somebody forgets `eval()` before measuring the accuracy. What do
# they observe, run after run, and how does it compare with the true accuracy? (c) In Part 5 a dropout took nearly as
# long as the layer before it, or longer. Name one way to make it cheaper, and what that way gives up.
#
# ### BEGIN MARK SCHEME
# 1 point: (a) (1 - p) * x / (1 - p) + p * 0 = x.
# 1 point: variance (1 - p) * x^2 / (1 - p)^2 - x^2 = x^2 * p / (1 - p).
# 2 points: (b) another number in every run (1), on average below the true accuracy, because of the noise (1).
# 1 point: (c) for example: bytes instead of floats as random numbers (p only in steps of 1/256), one mask for several
# examples or calls (the masks are no longer independent), dropping whole units or channels (fewer, coarser random
# numbers), a smaller layer. Any with its price.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 03-9. Let the data choose the scale
#
# `kaiming` rests on assumptions: a ReLU before each layer, values symmetric around zero. Data need no assumptions.
# Send a real batch through a fresh chain, look at the spread of what each `Linear` gives, and divide the layer by it.
# Layer by layer, in order: the spread of the second depends on what you did to the first.
#
# The output is proportional to weight and bias *together*. A bias of None can be left alone.


# %% nbgrader={"grade_id": "03-9", "solution": true, "optional": true}
#| export
def unit_spread(model, x):
    """Rescale each Linear of a Sequential so that its output on the batch `x` has standard deviation 1; in place.

    Returns what the chain gives for `x` afterwards.
    Source: Mishkin and Matas 2016, "All you need is a good init", section 3, with one step for each layer.
    """
    for layer in model:
        ### BEGIN SOLUTION
        if isinstance(layer, Linear):
            spread = layer(x).data.std()
            for parameter in layer.parameters():
                parameter.data = parameter.data / spread
        x = layer(x)
        ### END SOLUTION
    return x


# %% nbgrader={"grade_id": "03-9-test", "optional": true}
def test_unit_unit_spread():
    rng = np.random.default_rng(0)
    model = Sequential(
        Linear(8, 16, rng=rng), ReLU(), Linear(16, 4, bias=False, rng=rng), Tanh(), Linear(4, 3, rng=rng)
    )
    x = Tensor(rng.normal(5, 3, size=(100, 8)))
    weight = model[0].weight
    y = unit_spread(model, x)
    check_close(model[0](x).data.std(), 1, "the first layer has spread 1", rtol=1e-4)
    check_close(model[:3](x).data.std(), 1, "so has the second, after the first was changed", rtol=1e-4)
    check_close(y, model(x).data, "what comes back is the output of the changed chain", rtol=1e-4)
    check(model[0].weight is weight, "the Parameters are the same objects as before")


test_unit_unit_spread()

# %% [markdown]
# ### Task 03-10. A bend that is learned
#
# A maxout unit has no fixed bend: it computes $k$ linear *pieces* and gives the largest. With two pieces it can be a
# ReLU, an absolute value, or whatever training makes of it, at twice the weights. It is a layer made of a layer: the
# names of its Parameters will be `linear.weight` and `linear.bias`. The inner layer gives out_features times k
# values, the pieces of one unit side by side.


# %% nbgrader={"grade_id": "03-10", "solution": true, "optional": true}
#| export
class Maxout(Module):
    """The largest of `pieces` linear functions in each unit: (..., in_features) to (..., out_features).

    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio 2013, "Maxout networks", section 3.
    """

    def __init__(self, in_features, out_features, pieces=2, rng=None):
        self.out_features, self.pieces = out_features, pieces
        self.linear = Linear(in_features, out_features * pieces, rng=rng)

    def forward(self, x):
        ### BEGIN SOLUTION
        y = self.linear(x)
        return y.reshape(*y.shape[:-1], self.out_features, self.pieces).max(dim=-1)
        ### END SOLUTION


# %% nbgrader={"grade_id": "03-10-test", "optional": true}
def test_unit_maxout():
    layer = Maxout(2, 2, pieces=2)
    layer.linear.weight.data = [[1, 0], [-1, 0], [0, 1], [0, 0]]
    layer.linear.bias.data = [0, 0, 0, 0]
    check_close(layer(Tensor([[-3.0, -4.0], [2.0, 5.0]])), [[3, 0], [2, 5]], "an absolute value and a ReLU")
    check_close(Maxout(3, 4, pieces=5)(Tensor(np.zeros((6, 7, 3)))).shape, (6, 7, 4), "(6, 7, 3) becomes (6, 7, 4)")


test_unit_maxout()

# %% [markdown]
# ## Summary
#
# - A layer is a function with the numbers it owns. `Linear` holds one template in each row of its weight, and
#   computes a whole batch as one product with the transpose.
# - The size of a sum grows with its length. First weights of variance $2/\text{fan in}$ carry values through many
#   ReLU layers, orthogonal ones keep every length; the customary default is too small for depth.
# - Whatever a network owns stands among its attributes. One walk finds it, once and by name, and training mode,
#   parameters and saving are a line each on top.
# - A saved network is names and arrays. Loading looks at everything first, and then writes into the Parameters there
#   are.
# - Dropout keeps the average while training, and is gone when the network is used; `train()` and `eval()` say which.
#
# **Next.** A network that knows nothing and a network with templates differ only in their numbers. To improve numbers
# one must first say how bad they are, in one number: module 04 builds losses.
