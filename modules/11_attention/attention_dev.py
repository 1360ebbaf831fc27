# %% [markdown]
# # Module 11. Attention
#
# Read "the whale that Ahab had hunted for so long sank". What sank? You went back eight words without reading the
# seven between them again. A convolution sees a few neighbours, and a network that reads in order must carry
# everything in a memory of fixed size. Attention does what you did: each place asks a question, compares it with what
# all places offer, and fetches from those that answer. It is a product, a softmax and a product, and it stands at the
# centre of every large language model. In this module you build it, its gradient, and the layer around it, whose
# weights PyTorch can load.
#
# **You need** modules 01 to 07. From school: the inner product, and the sine and cosine of an angle.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `matmul` on stacks, `transpose` | all questions against all keys, in every head at once | 15 transformers |
# | 02 `softmax` | scores become shares | 12 relational memory |
# | 05 rules, central differences | attention as one operation with one rule | 19 caching, 20 acceleration |
#
# **After this module you can**
#
# - say what queries, keys and values are, and compute attention by hand for two places;
# - explain why scores are divided by the root of the dimension, and measure what happens without it;
# - hide places with a mask, before the softmax and not after it, and test that nothing leaks from the future;
# - derive the gradient of attention, and write it as four products;
# - split a layer into heads and join them, with weights that travel to PyTorch and back;
# - give places a position, and measure how time and memory grow with the length.
#
# Your code goes to `tinytorch/core/attention.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.attention import MultiHeadAttention, create_causal_mask
#
# layer = MultiHeadAttention(embed_dim=32, num_heads=4)
# y = layer(x, mask=create_causal_mask(x.shape[1]))  # x and y are (N, T, 32)
# ```

# %%
#| default_exp core.attention
#| export
import functools
import math

import numpy as np

from tinytorch.core.activations import as_floating
from tinytorch.core.autograd import no_grad, softmax_rule
from tinytorch.core.layers import Linear, Module, Parameter, linear, xavier
from tinytorch.core.tensor import Tensor, autograd, broadcast_shape, operation, stack

# %%
from tinytorch.core.activations import ReLU, softmax
from tinytorch.core.autograd import numeric_gradient
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.tensor import concatenate
from tinytorch.datasets import digits_split, load_digits, load_names
from tinytorch.random import manual_seed
from tinytorch.testing import check, check_close, measure

# %% [markdown]
# ## Part 1. Introduction
#
# ### A dictionary that does not insist
#
# A Python dictionary answers only if the key is exactly right. Here is a softer one. It holds 1,437 handwritten digits
# as *keys*, and for each its label as a *value*: ten numbers, a 1 at the label and 0 elsewhere. A digit that it has
# never seen is the *query*. Compare the query with every key by an inner product, turn these scores into shares with a
# softmax, and add up the values by their shares. Nothing is trained. The only setting is how long the vectors are:
# longer ones give larger scores, and a sharper softmax. **Predict** how many of the 360 test digits it gets right when
# the scores are all nearly equal, and when they are not.

# %%
images, labels = load_digits()
train, test = digits_split()


def as_unit_vectors(images):
    """Images (N, 8, 8) as vectors (N, 64) of length 1, after the mean of the training images is taken away."""
    rows = images.reshape(len(images), 64) / 16
    rows = rows - rows[train].mean(axis=0)
    return rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))


digits, one_hot = as_unit_vectors(images), np.eye(10)[labels]


def asked(length):
    """Shares (360, 1437) of the training digits, and answers (360, 10), for vectors of this length."""
    scores = Tensor(length * digits[test]) @ Tensor(length * digits[train]).T / math.sqrt(64)
    shares = softmax(scores)
    return shares.data, (shares @ Tensor(one_hot[train])).data


# %% tags=["measure"]
for length in (0, 1, 4, 16, 32):
    shares, answers = asked(length)
    right = np.mean(answers.argmax(axis=1) == labels[test])
    spread = np.mean(1 / (shares**2).sum(axis=1))
    print(f"length {length:2}: {right:.3f} right; a query listens to about {spread:6.1f} keys")

# %% [markdown]
# With length 0 the answer is the mean of all values, the same for everybody. With long vectors the query listens to
# the few digits that resemble it most, and 99 of 100 answers are right. What this dictionary lacks is the choice of
# what "resembles" means. In a network queries, keys and values are computed from the data by weights, and training
# finds these weights. That is all of attention; the rest is to do it well.
#
# Which digits did it listen to? The first in each row is the query.

# %% tags=["measure"]
import matplotlib.pyplot as plt

shares, _ = asked(16)
fig, axes = plt.subplots(3, 7, figsize=(8, 3.8), layout="constrained")
for row, query in zip(axes, (0, 3, 9)):
    best = shares[query].argsort()[::-1][:6]
    pictures = [images[test[query]], *images[train[best]]]
    titles = ["query", *(f"{share:.0%}" for share in shares[query][best])]
    for ax, picture, title in zip(row, pictures, titles):
        ax.imshow(picture, cmap="gray_r")
        ax.set_title(title, fontsize=8)
        ax.axis("off")
plt.show()

# %% [markdown]
# ## Part 2. Foundations
#
# ### The formula
#
# There are $T$ queries $q_t$ and $S$ keys $k_s$, vectors of $d$ numbers, and a value $v_s$ for each key, of any size.
#
# $$a_{ts} = \frac{q_t \cdot k_s}{\sqrt d}, \qquad
#   p_{ts} = \frac{e^{a_{ts}}}{\sum_{r} e^{a_{tr}}}, \qquad
#   y_t = \sum_s p_{ts}\, v_s .$$
#
# The $a$ are *scores*, and the $p$ *weights*: each row of them sums to 1, so $y_t$ is a weighted mean of the values.
# A *mask* says which key may be looked at from which place: `mask[t, s]` is True where $t$ **may attend** to $s$. The
# sums run over these $s$ only. And if there are none, there is nothing to fetch: $y_t = 0$.
#
# The loops below are the specification. Everything that you build is compared with them.


# %%
def attention_loops(q, k, v, mask=None):
    """The slow specification: q (T, d), k (S, d), v (S, E), mask (T, S) or None to (T, E)."""
    (T, d), S, E = q.shape, len(k), v.shape[1]
    y = np.zeros((T, E))
    for t in range(T):
        powers = {}
        for s in range(S):
            if mask is None or mask[t, s]:
                powers[s] = math.exp(sum(q[t, i] * k[s, i] for i in range(d)) / math.sqrt(d))
        for s, power in powers.items():
            for e in range(E):
                y[t, e] += power / sum(powers.values()) * v[s, e]
    return y


q = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
k = np.array([[2 * math.log(3), 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]])
v = np.array([[4.0], [8.0]])
print("scores of the first query: ln 3 and 0, so its weights are 3/4 and 1/4:", attention_loops(q, k, v).tolist())
print("if it may see the second key only:", attention_loops(q, k, v, mask=np.array([[False, True]] * 2)).tolist())

# %% [markdown]
# ### Why the root of d
#
# Two vectors of $d$ independent numbers with mean 0 and variance 1 have an inner product with mean 0 and variance $d$:
# it is a sum of $d$ products, and each has variance 1. So scores grow like $\sqrt d$ without anybody wanting it. A
# softmax over large scores gives nearly everything to one key, and where a weight is nearly 0 or 1, its slope
# $p(1-p)$ is nearly 0: nothing is learned. The root takes that growth out again. **Predict** the largest of 32 weights
# for $d = 4$ and $d = 1024$, with and without it.

# %%
rng = np.random.default_rng(0)
for d in (4, 64, 1024):
    scores = rng.normal(size=(200, d)) @ rng.normal(size=(d, 32))
    for name, scale in (("without", 1.0), ("with", math.sqrt(d))):
        p = softmax(Tensor(scores / scale)).data
        slope = (p * (1 - p)).mean()
        print(
            f"d {d:4} {name:7} root: spread {scores.std() / scale:5.2f}, largest weight {p.max(1).mean():.2f}", end=""
        )
        print(f", mean slope {slope:.5f}")

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 11-1. Every query against every key
#
# Not loops, but one product. Queries are rows (T, d), keys are rows (S, d), and row $t$ of the scores holds the inner
# products of query $t$ with all keys: (T, S). So the keys must stand as columns. In practice there is a stack of such
# matrices, (N, T, d) for N sequences, later (N, H, T, d) with H heads, and `@` multiplies them pair by pair. Therefore
# exchange the **last two** dimensions, however many stand in front: `.T` would turn all of them around.
#
# Then the scale. It is the root of the number of products in one score. Whose size is that?

# %%
pile = Tensor(np.zeros((5, 2, 3)))
print(".T:", pile.T.shape, "  .transpose(-2, -1):", pile.transpose(-2, -1).shape)


# %% nbgrader={"grade_id": "11-1", "solution": true}
#| export
def attention_scores(q, k):
    """How well each key answers each query: Tensors (..., T, d) and (..., S, d) to (..., T, S).

    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser and Polosukhin 2017, "Attention is all you
        need", equation 1.
    """
    ### BEGIN SOLUTION
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    ### END SOLUTION


# %% nbgrader={"grade_id": "11-1-test", "points": 5}
def test_unit_attention_scores():
    q = Tensor([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 0.0]])
    k = Tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    check_close(attention_scores(q, k), [[0.5, 0, 1.5], [0, 1.5, 1.5]], "two queries, three keys, d = 4")
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 6, 5))
    got = attention_scores(Tensor(q), Tensor(k))
    check_close(got.shape, (2, 3, 4, 6), "stacks (2, 3, 4, 5) and (2, 3, 6, 5)")
    check_close(got[1, 2, 3, 5], q[1, 2, 3] @ k[1, 2, 5] / np.sqrt(5), "one score of the stack", rtol=1e-4)
    check(attention_scores(Tensor(q, requires_grad=True), Tensor(k)).requires_grad, "gradients pass through")


test_unit_attention_scores()

# %% [markdown]
# ### Task 11-2. A softmax with blinkers
#
# Some keys must not be looked at: the future, when the next word is to be guessed; the filling at the end, where short
# sequences are padded to the length of the longest. Setting their *values* to 0 does not help, for they would still
# take their share. Setting their *weights* to 0 after the softmax does not help either: the rest no longer sums to 1,
# and it still depends on the hidden scores through the denominator. A key is really gone when its power is 0 in every
# sum, and $e^{-\infty} = 0$: hidden scores become $-\infty$ **before** the softmax. (A score of 0 is not "nothing"; its
# power is 1.)
#
# Then the softmax as in module 02, over the keys: take the largest allowed score away first, so that no power is too
# large. One case is new. In a row that may attend to nothing every score is $-\infty$, and $-\infty - (-\infty)$
# is nan. Use 0 in place of such a largest score: all powers become 0, the total too, and if you then divide by 1 in
# place of a total of 0, the row is 0, as it should be.

# %%
scores, seen = np.array([[1.0, 2.0, 9.0], [1.0, 5.0, 2.0]]), np.array([[True, True, False], [False, False, False]])
hidden = np.where(seen, scores, -np.inf)
print(hidden, hidden.max(axis=-1, keepdims=True).tolist(), "powers:", np.exp(hidden[1]))
print("0 where it equals -inf:", np.where(np.array([2.0, -np.inf]) == -np.inf, 0, np.array([2.0, -np.inf])))


# %%
#| export
def as_mask(mask):
    """`mask` as an array of truth values, or None where it is None.

    Raises: TypeError for other numbers: a mask of 0 and -inf, which is added to the scores, would do the contrary.
    """
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(
            f"attention: the mask has {mask.dtype} numbers; it must be True where a query may attend, for example "
            "mask > 0, or mask == 0 where it was meant to be added to the scores"
        )
    return mask


# %% nbgrader={"grade_id": "11-2", "solution": true}
#| export
@operation
def masked_softmax(scores, mask=None, /):
    """Softmax of `scores` (..., T, S) over the keys, the last dimension; hidden keys get 0, a row without keys is 0.

    mask: truth values that broadcast to the scores, True may attend; None: all may. Changes none of them.
    """
    scores, mask = as_floating(scores), as_mask(mask)
    if scores.size == 0:  # there is no largest score
        return scores + np.zeros(np.shape(mask), scores.dtype)
    ### BEGIN SOLUTION
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - np.where(top == -np.inf, 0, top))
    total = powers.sum(axis=-1, keepdims=True)
    powers /= np.where(total == 0, 1, total)
    return powers
    ### END SOLUTION


# %%
#| export
def masked_softmax_rule(g, y, scores, mask=None):
    return softmax_rule(g, y, scores), None  # where a key is hidden y is 0, and so is the gradient


autograd.rules["masked_softmax"] = masked_softmax_rule


# %% nbgrader={"grade_id": "11-2-test", "points": 10}
def test_unit_masked_softmax():
    scores = np.log([[3.0, 1.0, 4.0], [2.0, 2.0, 12.0]])
    check_close(masked_softmax(scores), [[3 / 8, 1 / 8, 1 / 2], [1 / 8, 1 / 8, 3 / 4]], "without a mask")
    mask = np.array([[True, True, False], [False, True, True]])
    got = masked_softmax(scores, mask)
    check_close(got, [[3 / 4, 1 / 4, 0], [0, 1 / 7, 6 / 7]], "shares of the keys that may be seen")
    check_close(scores[0, 2], np.log(4), "the scores stay as they were")
    check(masked_softmax(Tensor(scores), mask).dtype == np.float32, "float32 stays float32")


def test_unit_masked_softmax_extremes():
    scores = Tensor([[1000.0, 999.0], [-1000.0, 1000.0], [3.0, 4.0]])
    share = 1 / (1 + math.exp(-1))
    with np.errstate(all="ignore"):
        got = masked_softmax(scores)
        check_close(got[0], [share, 1 - share], "scores of 1000 and 999")
        mask = np.array([[True, True], [True, False], [False, False]])
        got = masked_softmax(scores, Tensor(mask))
    check_close(got[1], [1, 0], "a score of -1000 that is alone has everything")
    check_close(got[2], [0, 0], "a row that may attend to nothing is 0")
    empty = np.zeros((1, 2), dtype=bool)
    check_close(masked_softmax(np.zeros((2, 2, 2)), empty), np.zeros((2, 2, 2)), "a mask broadcasts over a stack")


test_unit_masked_softmax()
test_unit_masked_softmax_extremes()

# %% [markdown]
# ### The composed form, in which one can look at everything (given)
#
# With these two, attention is two lines of Tensor operations, and the engine knows all their gradients. This is the
# form to read and to test against. `attention_weights` is what we draw; the mask and the weights have the same shape.


# %%
#| export
def attention_weights(q, k, mask=None):
    """What each query takes from each key: Tensors (..., T, d) and (..., S, d) to shares (..., T, S)."""
    return masked_softmax(attention_scores(q, k), mask)


def composed_attention(q, k, v, mask=None):
    """Attention in single Tensor operations, the slow form of `scaled_dot_product_attention`."""
    return attention_weights(q, k, mask) @ v


# %%
rng = np.random.default_rng(0)
q, k, v = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((3, 4), (5, 4), (5, 2)))
mask = rng.random((3, 5)) > 0.4
y = composed_attention(q, k, v, mask)
print("largest difference to the loops:", np.abs(y.data - attention_loops(q.data, k.data, v.data, mask)).max())
y.sum().backward()
print("gradients:", q.grad.shape, k.grad.shape, v.grad.shape)

# %% [markdown]
# ### Task 11-3. No looking ahead
#
# A model that guesses the next letter is trained on all places of a text at once: place 0 guesses letter 1, place 1
# guesses letter 2, and so on. If place 0 could see letter 1, it would learn to copy. So place $i$ may attend to places
# $0 \ldots i$, itself included: it knows its own letter, and guesses the next. As a table, T for True:
#
# ```
# T . . .        place 0 sees itself
# T T . .
# T T T .
# T T T T        the last sees all
# ```
#
# Sometimes there are fewer queries than keys: a model that writes letter after letter keeps the old keys, and asks
# only for its newest places. The queries are then the **last** of the places. With 2 queries and 4 keys, they are
# places 2 and 3, the lower half of the table. A comparison of two arrays of place numbers, one as a column and
# one as a row, gives the whole table at once.

# %%
print(np.arange(3)[:, None] * 10 + np.arange(4))
print(np.array([0, 1, 2])[:, None] > np.array([1, 2]))


# %% nbgrader={"grade_id": "11-3", "solution": true}
#| export
def create_causal_mask(queries, keys=None):
    """Tensor of truth values (queries, keys): True where a place may attend, to itself and to all before it.

    keys: how many places there are, `queries` if None. The queries are the last of them.
    Raises: ValueError for fewer keys than queries.
    """
    keys = queries if keys is None else keys
    if keys < queries:
        raise ValueError(f"create_causal_mask: {queries} queries are the last of {keys} places; there are too few keys")
    ### BEGIN SOLUTION
    place = np.arange(queries)[:, None] + (keys - queries)
    return Tensor(np.arange(keys) <= place)
    ### END SOLUTION


# %% nbgrader={"grade_id": "11-3-test", "points": 5}
def test_unit_create_causal_mask():
    check_close(create_causal_mask(1, 3), [[1, 1, 1]], "one query, the last of three places, sees all")
    mask = create_causal_mask(3)
    check(isinstance(mask, Tensor), "the mask is a Tensor")
    check(mask.dtype == bool, "its values are True and False")
    check_close(mask, [[1, 0, 0], [1, 1, 0], [1, 1, 1]], "three places")
    check_close(create_causal_mask(2, 4), [[1, 1, 1, 0], [1, 1, 1, 1]], "the last two of four places")
    check_close(create_causal_mask(1), [[1]], "a single place sees itself")


test_unit_create_causal_mask()

# %% [markdown]
# Does nothing leak? The surest test needs no formula: change the last place, and see what else changes.

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(4, 3))
changed = x.copy()
changed[3] += 100.0
before, after = (composed_attention(*3 * [Tensor(a)], create_causal_mask(4)).data for a in (x, changed))
print("places that change with the last one:", np.flatnonzero(np.abs(after - before).max(axis=1)).tolist())

# %% [markdown]
# ### Task 11-4. Attention as one operation
#
# The composed form leaves five receipts and keeps scores, scaled scores and weights. Below, the same is one operation
# that keeps the weights only. Its rule is yours. Let $Q, K, V$ be the inputs of one matrix of the stack, $P$ the
# weights, and $G$ what arrives for $Y = PV$. Go back step by step:
#
# - **through the product** $Y = PV$: in $V$ arrives $P^\top G$, and in $P$ arrives $G V^\top$ (module 05, `matmul`);
# - **through the softmax**: from what arrived in $P$ to what arrives in the scores $A$. That is `softmax_rule` of
#   module 05, row by row; its third argument, the scores, it does not look at. Hidden keys need no care: their
#   weight is 0, and the rule multiplies by it;
# - **through** $A = QK^\top/\sqrt d$: in $Q$ arrives $\bar A K/\sqrt d$, and in $K$ arrives $\bar A^\top Q/\sqrt d$.
#
# What arrives in $A$ is needed twice, so compute it once. Give each gradient as a function of nothing. Transposed
# means, again, the last two dimensions: these are arrays, and `np.swapaxes(a, -1, -2)` does it.


# %%
#| export
@operation
def attend(q, k, v, mask=None, /):
    """The pair (y, weights): `y` (..., T, E) for q (..., T, d), k (..., S, d), v (..., S, E), mask (..., T, S) or None.

    weights: (..., T, S), for the backward rule. Changes none of the inputs.
    """
    q, k, v = as_floating(q), as_floating(k), as_floating(v)
    scores = (q / math.sqrt(q.shape[-1])) @ np.swapaxes(k, -1, -2)  # scales T * d numbers instead of T * S
    weights = masked_softmax.__wrapped__(scores, mask)
    return weights @ v, weights


# %%
rows = np.log([[0.5, 0.25, 0.25]])
weights = np.exp(rows)
print("softmax_rule, when 8 arrives for the first of three:", softmax_rule(np.array([[8.0, 0, 0]]), weights, rows))


# %% nbgrader={"grade_id": "11-4", "solution": true}
#| export
def attend_rule(g, weights, q, k, v, mask=None):
    """Gradients of `attend` in `q`, `k` and `v`: three functions of nothing; `g` is (..., T, E).

    weights: (..., T, S), as `attend` kept them; they and `g` stay as they are.
    """
    ### BEGIN SOLUTION
    scores = softmax_rule(g @ np.swapaxes(v, -1, -2), weights, None)  # what arrives there
    root = math.sqrt(q.shape[-1])
    return (
        lambda: scores @ k / root,
        lambda: np.swapaxes(scores, -1, -2) @ q / root,
        lambda: np.swapaxes(weights, -1, -2) @ g,
    )
    ### END SOLUTION


# %%
#| export
autograd.rules["attend"] = attend_rule


def scaled_dot_product_attention(q, k, v, mask=None):
    """Each query fetches a weighted mean of the values: (..., T, d), (..., S, d), (..., S, E) to (..., T, E).

    mask: truth values that broadcast to (..., T, S), True may attend, or None. A query that may attend to nothing
        gets 0.
    Raises: ValueError where shapes do not fit, naming them; TypeError for a mask of other numbers.
    Source: Vaswani and others 2017, "Attention is all you need", equation 1.
    """
    shapes = tuple(map(np.shape, (q, k, v, mask)))
    problem = misfit(*shapes)
    if problem:
        names = ", ".join(f"{name} {shape}" for name, shape in zip(("q", "k", "v", "mask"), shapes) if shape)
        raise ValueError(f"scaled_dot_product_attention: {names}: {problem}")
    return attend(q, k, v, mask)


def misfit(q, k, v, mask):
    """Why there is no attention over these shapes, in words, or None where there is; `mask` is () without a mask."""
    if min(map(len, (q, k, v))) < 2:
        return "q, k and v need at least two dimensions, places and features"
    if q[-1] != k[-1]:
        return f"queries have {q[-1]} features and keys {k[-1]}; they must agree"
    if k[-2] != v[-2]:
        return f"there are {k[-2]} keys and {v[-2]} values; each key needs one value"
    places = q[-2], k[-2]
    if any(n not in (1, size) for n, size in zip(reversed(mask), reversed(places))):
        return f"the mask must end with (queries, keys) = {places}; a mask of keys, (N, S), is mask[:, None, :] here"
    try:
        functools.reduce(broadcast_shape, [shape[:-2] for shape in (q, k, v, mask)])
    except ValueError as error:
        return f"in front of places and features, {error}"
    return None


# %% nbgrader={"grade_id": "11-4-test", "points": 10}
def check_rule(promise, q, k, v, mask=None):
    """Compare the rule with central differences of the loops, in each of the float64 arrays."""
    g = np.random.default_rng(7).normal(size=(len(q), v.shape[1]))
    powers = np.exp(q @ k.T / math.sqrt(q.shape[1])) * (True if mask is None else mask)
    weights = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-300)
    for name, part, array in zip("qkv", attend_rule(g, weights, q, k, v, mask), (q, k, v)):
        slopes = numeric_gradient(lambda _: np.sum(g * attention_loops(q, k, v, mask)), array)
        check_close(part(), slopes, f"{promise}: gradient in {name}", rtol=1e-5, atol=1e-7)


def test_unit_attend_rule():
    q, k = np.array([[2.0, 0, 0, 0], [0, 0, 2, 0]]), np.array([[0.0, 0, 0, 0], [0, 4, 0, 0]])
    v, g, weights = np.array([[1.0], [3.0]]), np.array([[8.0], [0.0]]), np.full((2, 2), 0.5)
    for_q, for_k, for_v = attend_rule(g, weights, q, k, v)
    check_close(for_v(), [[4], [4]], "equal weights, 8 arrives for the first of two queries: in the values")
    check_close(for_k(), [[-4, 0, 0, 0], [4, 0, 0, 0]], "in the keys")
    check_close(for_q(), [[0, 8, 0, 0], [0, 0, 0, 0]], "in the queries")


def test_unit_attend_rule_by_differences():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=(4, 2))
    check_rule("3 queries, 4 keys", q, k, v)
    check_rule("with a mask", q, k, v, np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=bool))


def test_unit_attend_rule_on_stacks():
    rng = np.random.default_rng(1)
    q, k, v, g = (rng.normal(size=(2, 3, 4, n)) for n in (5, 5, 6, 6))
    weights = rng.random((2, 3, 4, 4))
    parts, kept = attend_rule(g, weights, q, k, v), weights.copy()
    alone = attend_rule(g[1, 2], weights[1, 2], q[1, 2], k[1, 2], v[1, 2])
    for name, part, single in zip("qkv", parts, alone):
        check_close(part()[1, 2], single(), f"one matrix of a stack: gradient in {name}")
    check_close(weights, kept, "the weights stay as they were")


test_unit_attend_rule()
test_unit_attend_rule_by_differences()
test_unit_attend_rule_on_stacks()

# %% [markdown]
# Operation and rule together, through the engine, and against the composed form:

# %%
found = []
for attention in (composed_attention, scaled_dot_product_attention):
    q, k, v = (Tensor(a, requires_grad=True) for a in np.sin(np.arange(720)).reshape(3, 3, 4, 20))
    attention(q, k, v, create_causal_mask(4)).backward(Tensor(np.cos(np.arange(240)).reshape(3, 4, 20)))
    found.append([x.grad.data for x in (q, k, v)])
print("largest difference of a gradient:", max(np.abs(a - b).max() for a, b in zip(*found)))


# %%
def there_and_back(attention, length):
    """A function of nothing: one pass forward and back over sequences of this length, with four heads of 32."""
    shape, mask = (1, 4, length, 32), create_causal_mask(length)
    q, k, v = (Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True) for seed in range(3))
    g = Tensor(np.ones(shape))
    return lambda: attention(q, k, v, mask).backward(g)


# %% [markdown]
# **Predict**: by how much is the one operation faster, for 4 places, and for 256?

# %% tags=["measure"]
for length in (4, 256):
    seconds = {}
    for attention in 2 * (composed_attention, scaled_dot_product_attention):  # the first round fetches memory
        seconds[attention] = measure(there_and_back(attention, length), f"{length:3} places, {attention.__name__:30}")
    composed, one = seconds.values()
    print(f"            {composed / one:.2f} times faster")

# %% [markdown]
# Not by much. For 4 places the time goes into calls and receipts, and there are fewer of these; for 256 it goes into
# tables of 256 x 256 numbers, on which both forms do nearly the same arithmetic. What the one operation saves is
# memory, and Part 5 measures that.

# %% [markdown]
# ### Task 11-5. Several questions at once
#
# One softmax makes one choice. But a letter may want to know two things, which letter stood before and whether there
# was a vowel, and the mean of two answers is neither. So the E features are split among H *heads*. Each has D = E / H
# features, its own queries and keys, and so its own weights. The products take as many multiplications as before.
#
# Head $h$ gets the features $hD \ldots (h+1)D-1$ of every place. Attention wants places and features last, and
# everything in front counts as a stack: (N, T, E) must become (N, H, T, D). Look at the order in memory: the
# features of one place stand together. So cut the last dimension in two, giving (N, T, H, D), and then *exchange* two
# dimensions. A reshape to (N, H, T, D) alone has the right shape and mixes places with features:

# %%
places = Tensor(np.array([[10, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]])[None])  # (1, 3, 4): place, feature
print(
    "reshape alone, head 0:",
    places.reshape(1, 2, 3, 2)[0, 0].numpy().tolist(),
    " wanted: [[10, 11], [20, 21], [30, 31]]",
)


# %% nbgrader={"grade_id": "11-5", "solution": true}
#| export
def split_heads(x, num_heads):
    """The features of each place dealt out to the heads: a Tensor (N, T, E) to (N, H, T, E / H), H = `num_heads`.

    Raises: ValueError unless there are three dimensions, and `num_heads` divides E.
    """
    if x.ndim != 3 or x.shape[2] % num_heads:
        hint = "; for one sequence try x[None]" if x.ndim == 2 else ""
        raise ValueError(f"split_heads: x {x.shape} must be (N, T, E), and {num_heads} heads must divide E{hint}")
    N, T, E = x.shape
    ### BEGIN SOLUTION
    return x.reshape(N, T, num_heads, E // num_heads).transpose(1, 2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "11-5-test", "points": 5}
def test_unit_split_heads():
    x = Tensor([[[10.0, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]]])
    got = split_heads(x, 2)
    check_close(got.shape, (1, 2, 3, 2), "(1, 3, 4) for two heads: (N, H, T, D)")
    check_close(got[0, 0], [[10, 11], [20, 21], [30, 31]], "head 0 has the first two features of every place")
    check_close(got[0, 1], [[12, 13], [22, 23], [32, 33]], "head 1 has the others")
    check_close(split_heads(x, 4)[0, :, 0, 0], [10, 11, 12, 13], "four heads with one feature each")
    two = split_heads(concatenate([x, x + 100]), 2)
    check_close(two[1, 0, 0], [110, 111], "the second sequence stays by itself")
    check(isinstance(got, Tensor), "the heads are a Tensor")
    x = Tensor(np.zeros((1, 2, 4)), requires_grad=True)
    (split_heads(x, 2) * 3.0).sum().backward()
    check_close(x.grad, np.full((1, 2, 4), 3.0), "gradients come through")


test_unit_split_heads()

# %% [markdown]
# ### Task 11-6. And together again
#
# Each head has answered for each place: (N, H, T, D). The answers of one place must stand side by side again, head
# after head, as (N, T, E). It is `split_heads` read backwards; a reshape reads dimensions that stand beside each
# other as one.


# %% nbgrader={"grade_id": "11-6", "solution": true}
#| export
def join_heads(x):
    """The answers of all heads side by side: a Tensor (N, H, T, D) to (N, T, H * D), head after head."""
    N, H, T, D = x.shape
    ### BEGIN SOLUTION
    return x.transpose(1, 2).reshape(N, T, H * D)
    ### END SOLUTION


# %% nbgrader={"grade_id": "11-6-test", "points": 5}
def test_unit_join_heads():
    heads = Tensor([[[[10.0, 11], [20, 21], [30, 31]], [[12, 13], [22, 23], [32, 33]]]])  # (1, 2, 3, 2)
    got = join_heads(heads)
    check_close(got.shape, (1, 3, 4), "(1, 2, 3, 2): (N, T, E)")
    check_close(got[0], [[10, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]], "each place has its features again")
    x = np.arange(120.0).reshape(2, 3, 5, 4)
    check_close(join_heads(Tensor(x))[1, 3], x[1, :, 3].reshape(12), "place 3 of the second sequence, three heads")
    check(isinstance(got, Tensor), "what is joined is a Tensor")
    heads = Tensor(np.zeros((1, 2, 3, 2)), requires_grad=True)
    (join_heads(heads) * 3.0).sum().backward()
    check_close(heads.grad, np.full((1, 2, 3, 2), 3.0), "gradients come through")


test_unit_join_heads()

# %% [markdown]
# ### Task 11-7. The layer
#
# Where do queries, keys and values come from? Each is a `linear` function of what stands at the place. The layer keeps
# the three weights in one, `in_proj_weight` (3E, E): the first E rows make queries, the next keys, the last values.
# That is how PyTorch stores them, so weights travel both ways. `project(x, part)` is given and multiplies with one of
# the three. After attention, `out_proj`, a `Linear`, mixes what the heads found.
#
# ```
# three inputs  --project-->    three times (N, T, E)  --split_heads-->  three times (N, H, T, D)
#               --attention-->  (N, H, T, D)           --join_heads-->   (N, T, E)  --out_proj-->  (N, T, E)
# ```
#
# Called with one Tensor, the sequence attends to itself: *self-attention*. With two, queries come from the first, keys
# and values from the second: *cross-attention*, for example from a translation to its original.
#
# The mask has no dimension for the heads: (T, S) for all, or (N, T, S) for each sequence. `over_heads` gives it one.


# %%
#| export
def over_heads(mask):
    """A mask (T, S) as it is, and a mask (N, T, S) as (N, 1, T, S), the same for each head; None stays None."""
    mask = as_mask(mask)
    return mask[:, None] if mask is not None and mask.ndim == 3 else mask


# %% nbgrader={"grade_id": "11-7", "solution": true}
#| export
class MultiHeadAttention(Module):
    """Attention with several heads, and weights that make queries, keys and values: (N, T, E) to (N, T, E).

    in_proj_weight: Parameter (3E, E), rows for queries, then keys, then values; in_proj_bias: (3E,), or None with
        `bias=False`. out_proj: Linear. Weights start as in PyTorch, biases at 0.
    mask: truth values (T, S) or (N, T, S), True may attend. The masks of `torch.nn.MultiheadAttention` mean the
        contrary, and it returns a pair; here `weights` gives the second.
    Raises: ValueError for sizes that cannot be.
    Source: Vaswani and others 2017, "Attention is all you need", section 3.2.2.
    """

    def __init__(self, embed_dim, num_heads, *, bias=True, rng=None):
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiHeadAttention: {embed_dim} features and {num_heads} heads; both need to be at least 1, and the "
                "heads must divide the features"
            )
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.in_proj_weight = Parameter(xavier((3 * embed_dim, embed_dim), rng))
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, rng=rng)
        if bias:
            self.out_proj.bias.data = np.zeros(embed_dim)

    def project(self, x, part):
        """`x` (N, T, E) through one third of the packed weight: `part` 0 makes queries, 1 keys, 2 values."""
        rows = slice(part * self.embed_dim, (part + 1) * self.embed_dim)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[rows]
        return linear(x, self.in_proj_weight[rows], bias)

    def weights(self, query, key=None, mask=None):
        """What each place takes from each: an array (N, H, T, S); to look at, without gradients."""
        key = query if key is None else key
        with no_grad():
            q, k = (split_heads(self.project(x, part), self.num_heads) for part, x in enumerate((query, key)))
            return attention_weights(q, k, over_heads(mask)).numpy()

    def extra_repr(self):
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, bias={self.in_proj_bias is not None}"

    def forward(self, query, key=None, value=None, mask=None):
        """query (N, T, E), key and value (N, S, E): (N, T, E). No key: it is the query. No value: it is the key."""
        key = query if key is None else key
        value = key if value is None else value
        mask = over_heads(mask)
        ### BEGIN SOLUTION
        q = split_heads(self.project(query, 0), self.num_heads)
        k = split_heads(self.project(key, 1), self.num_heads)
        v = split_heads(self.project(value, 2), self.num_heads)
        return self.out_proj(join_heads(scaled_dot_product_attention(q, k, v, mask)))
        ### END SOLUTION


# %% nbgrader={"grade_id": "11-7-test", "points": 10}
def layer_by_loops(layer, query, key, value, mask=None):
    """What the layer should give for one sequence: arrays (T, E), (S, E), (S, E) to (T, E), head by head."""
    E, D = layer.embed_dim, layer.embed_dim // layer.num_heads
    W, b = layer.in_proj_weight.data, layer.in_proj_bias.data
    parts = [x @ W[i * E : (i + 1) * E].T + b[i * E : (i + 1) * E] for i, x in enumerate((query, key, value))]
    heads = [attention_loops(*(part[:, h : h + D] for part in parts), mask) for h in range(0, E, D)]
    return np.concatenate(heads, axis=1) @ layer.out_proj.weight.data.T + layer.out_proj.bias.data


def layer_with_biases():
    """A layer of two heads with three features each, none of whose numbers is 0."""
    rng = np.random.default_rng(0)
    layer = MultiHeadAttention(6, 2, rng=rng)
    layer.in_proj_bias.data, layer.out_proj.bias.data = rng.normal(size=18), rng.normal(size=6)
    return layer


def test_unit_multi_head_attention():
    layer, rng = layer_with_biases(), np.random.default_rng(1)
    x, key, value = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 5, 6))
    expected = np.stack([layer_by_loops(layer, *three) for three in zip(x, key, value)])
    got = layer(Tensor(x), Tensor(key), Tensor(value))
    check_close(got, expected, "queries, keys and values from three sources", rtol=1e-3, atol=1e-4)
    got, expected = layer(Tensor(x)), np.stack([layer_by_loops(layer, a, a, a) for a in x])
    check_close(got, expected, "self-attention, two sequences", rtol=1e-3, atol=1e-4)
    mask = rng.random((2, 4, 5)) > 0.4
    mask[1, 2] = False  # this place may attend to nothing
    expected = np.stack([layer_by_loops(layer, *four) for four in zip(x, key, value, mask)])
    got = layer(Tensor(x), Tensor(key), Tensor(value), mask)
    check_close(got, expected, "a mask for each sequence", rtol=1e-3, atol=1e-4)


test_unit_multi_head_attention()

# %%
layer = MultiHeadAttention(32, 4, rng=np.random.default_rng(0))
print(layer)
print([(name, p.shape) for name, p in layer.named_parameters()])
x = Tensor(np.random.default_rng(1).normal(size=(2, 5, 32)))
print("weights of four heads:", layer.weights(x, mask=create_causal_mask(5)).shape)

# %% [markdown]
# ### Task 11-8. Where am I?
#
# Exchange two places of a sequence, and the answers of attention are exchanged, and otherwise the same: it is made of
# sums over keys, and a sum has no order. To it "dog bites man" is "man bites dog":

# %%
order = np.array([3, 0, 4, 1, 2])
print("largest difference after exchanging:", np.abs(layer(x[:, order]).data - layer(x).data[:, order]).max())

# %% [markdown]
# So the place must be written into the features. We add to the features of place $t$ the hands of $E/2$ clocks, which
# turn at different speeds: the first by one radian a place, the last thousands of times more slowly.
#
# $$P_{t,\,2i} = \sin(t\,\omega_i), \qquad P_{t,\,2i+1} = \cos(t\,\omega_i), \qquad \omega_i = 10000^{-2i/E},
#   \qquad i = 0, 1, \ldots, E/2 - 1 .$$
#
# Sines stand in the even columns and cosines in the odd ones. Fast clocks tell neighbours apart, slow clocks tell
# which part of a text it is. And why two hands: going on by $n$ places turns each clock by the same angle $n\omega_i$,
# wherever it stands, and turning is a linear function of sine and cosine. So "three places before me" is something
# that a weight can express.
#
# Every second column of an array is a slice with a step, and it can be assigned to.

# %%
table = np.zeros((2, 6))
table[:, 0::2], table[:, 1::2] = [[1, 2, 3]], [[-1, -2, -3]]
print(table[0], np.arange(0, 6, 2), 100.0 ** np.array([0, -0.5]))
print("sine and cosine of 0 and of a quarter turn:", np.sin([0, np.pi / 2]), np.cos([0, np.pi / 2]).round(3))


# %% nbgrader={"grade_id": "11-8", "solution": true}
#| export
def sinusoidal_positions(length, dim):
    """Features that say at which place one is: a float32 Tensor (length, dim), to be added to features.

    Raises: ValueError for an odd `dim`.
    Source: Vaswani and others 2017, "Attention is all you need", section 3.5.
    """
    if dim % 2:
        raise ValueError(f"sinusoidal_positions: dim is {dim}; each clock has two hands, so it must be even")
    out = np.empty((length, dim))
    ### BEGIN SOLUTION
    speed = 10000.0 ** (-np.arange(0, dim, 2) / dim)
    angle = np.arange(length)[:, None] * speed  # (length, dim / 2)
    out[:, 0::2], out[:, 1::2] = np.sin(angle), np.cos(angle)
    ### END SOLUTION
    return Tensor(out)


# %% nbgrader={"grade_id": "11-8-test", "points": 5}
def test_unit_sinusoidal_positions():
    got = sinusoidal_positions(3, 4)
    check_close(got.shape, (3, 4), "three places, two clocks")
    check_close(got[0], [0, 1, 0, 1], "at place 0 every sine is 0 and every cosine 1")
    wide = sinusoidal_positions(50, 8)
    check_close(wide[49, 3], math.cos(4.9), "eight features: the second clock turns by 0.1")
    check_close(wide[49, 6], math.sin(0.049), "and the last by 0.001")
    check_close(got[1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)], "place 1: by 1 and by 0.01")
    check_close(got[2], [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)], "place 2: twice as far")
    check_close((wide * wide).sum(dim=1), np.full(50, 4.0), "sine and cosine of one angle have length 1")
    check(wide.dtype == np.float32, "the features are float32")


test_unit_sinusoidal_positions()

# %% tags=["measure"]
P = sinusoidal_positions(60, 32).data
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].imshow(P.T, aspect="auto", cmap="RdBu")
axes[0].set(xlabel="place", ylabel="feature", title="the clocks")
for place in (10, 30, 50):
    axes[1].plot(P @ P[place], label=f"place {place}")
axes[1].set(xlabel="other place", title="inner product with the clocks of one place")
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Each curve is largest at its own place, and depends on the distance only: to both sides it looks the same, and the
# curves of other places are the same curve, moved. So these features alone let a query find its neighbours.

# %% [markdown]
# ## Part 4. Integration: the next letter of a name
#
# English first names of up to eleven letters, and a network that guesses each letter from those before it. A name
# begins and ends with a dot, so "ann" has four letters to guess: after "." an "a", after ".a" an "n", after ".an" an
# "n", and then the end. The network turns a letter into 32 features, adds the place, lets the letters of a name attend
# to each other, and guesses with a hidden layer. What attention found is *added* to what was there: a letter does
# not forget itself.
#
# The loss is measured in bits for a letter: 27 signs that were all equally likely would need $\log_2 27 = 4.75$.

# %%
ALPHABET, LONGEST = ".abcdefghijklmnopqrstuvwxyz", 11
names = [name.lower() for name in load_names()[0] if name.isalpha() and len(name) <= LONGEST]
names = [names[i] for i in np.random.default_rng(0).permutation(len(names))]  # the last 1,000 are for testing


def as_codes(names):
    """Numbers of the letters (N, 12), beginning with a dot, filled up with dots, and which letters follow (N, 12)."""
    codes = np.zeros((len(names), LONGEST + 2), dtype=int)
    for row, name in zip(codes, names):
        row[1 : len(name) + 1] = [ALPHABET.index(letter) for letter in name]
    return codes[:, :-1], codes[:, 1:]


letters, following = as_codes(names)
counted = np.arange(LONGEST + 1) <= np.array([len(name) for name in names])[:, None]  # letters, and the first dot after
is_test = np.arange(len(names)) >= len(names) - 1000
print(len(names), "names, such as", names[:4], "; letters to guess in the test:", counted[is_test].sum())


class Reader(Module):
    """Scores (N, T, 27) for the letter that follows each place; `codes` is (N, T), the numbers of the letters.

    attends, places: whether it has attention, and whether the place is added to the features.
    blind: whether what comes later is hidden.
    """

    def __init__(self, attends=True, places=True, blind=True, size=32):
        self.embed, self.out = Linear(27, size), Linear(4 * size, 27)
        self.hidden, self.size = Linear(size, 4 * size), size
        self.attention = MultiHeadAttention(size, 4) if attends else None
        self.places, self.blind = places, blind

    def features(self, codes):
        x = self.embed(Tensor(np.eye(27)[codes])) * math.sqrt(self.size)  # about as large as the clocks
        return x + sinusoidal_positions(codes.shape[1], self.size) if self.places else x

    def forward(self, codes):
        x = self.features(codes)
        if self.attention is not None:
            x = x + self.attention(x, mask=create_causal_mask(codes.shape[1]) if self.blind else None)
        return self.out(ReLU()(self.hidden(x)))


def guess_loss(model, rows):
    """Mean loss over the letters that count, of the names with these numbers."""
    return CrossEntropyLoss()(model(letters[rows])[counted[rows]], following[rows][counted[rows]])


def read_names(epochs=5, **options):
    """A Reader trained on all names but the last 1,000."""
    manual_seed(0)
    model, rows = Reader(**options), np.flatnonzero(~is_test)
    optimizer = Adam(model.parameters(), lr=0.005)
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(rows)
        for batch in np.array_split(order, len(order) // 64):
            optimizer.zero_grad()
            guess_loss(model, batch).backward()
            optimizer.step()
    return model


def bits(model):
    """Bits for a letter of the test names."""
    with no_grad():
        return guess_loss(model, is_test).item() / math.log(2)


# %% [markdown]
# Four readers. The first sees the last letter only, the second also knows how many came before. The third has
# attention and no places, the fourth both. **Predict** the order of their losses; is the third better than the second?

# %% tags=["measure"]
kinds = {
    "letter": {"attends": False, "places": False},
    "letter, place": {"attends": False},
    "attention": {"places": False},
    "attention, place": {},
}
readers = {name: read_names(**options) for name, options in kinds.items()}
for name, model in readers.items():
    print(f"{name:17} {bits(model):.3f} bits for a letter")

# %% [markdown]
# Attention saves more than the place does, for what comes next depends on more than the last letter. (Without places it
# is not quite blind to order: the mask hides the future, so each place sees one letter more than the one before. Which
# of the earlier letters is the last but one, it cannot know.)
#
# Now the mistake that everybody makes once: the mask is forgotten. **Predict** the loss.

# %% tags=["measure"]
cheat = read_names(epochs=2, blind=False)
print(f"without a mask: {bits(cheat):.3f} bits for a letter, in the test!")

# %% [markdown]
# Too good to be true: it copies the letter that it should guess. In use there is no such letter yet, and it would
# fail. A test set does not find this mistake, because the test leaks in the same way. What finds it is the leak test
# of task 11-3, and a loss below what is possible.
#
# What do the four heads look at? Each row of a map is a place, and shows where that place takes from. Below the maps
# are two numbers for each head, over all test names: how much goes to the letter before, and how much goes to vowels,
# beside the share of vowels among what could be seen.


# %%
def attention_maps(model, names):
    """The weights of `model` for these names: an array (N, H, 12, 12)."""
    codes, _ = as_codes(names)
    return model.attention.weights(model.features(codes), mask=create_causal_mask(codes.shape[1]))


def habits(maps, rows):
    """For each head the mean share that goes to the letter before, and to vowels; and the share if all were equal."""
    is_vowel = np.isin(letters[rows], [ALPHABET.index(letter) for letter in "aeiouy"])
    uniform = create_causal_mask(LONGEST + 1).data / np.arange(1, LONGEST + 2)[:, None]
    places = counted[rows]
    places[:, 0] = False  # the first dot has nothing before it
    before = maps[:, :, np.arange(1, LONGEST + 1), np.arange(LONGEST)]  # (N, H, 11)
    vowels = (maps * is_vowel[:, None, None]).sum(axis=-1)  # (N, H, 12)
    by_chance = (uniform * is_vowel[:, None]).sum(axis=-1)
    to_vowels = [vowels[:, head][places].mean() for head in range(maps.shape[1])]
    to_before = [before[:, head][places[:, 1:]].mean() for head in range(maps.shape[1])]
    return to_before, to_vowels, by_chance[places].mean()


# %% tags=["measure"]
reader = readers["attention, place"]
chosen = ["alexandra", "elizabeth"]
fig, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
for row, name, heads in zip(axes, chosen, attention_maps(reader, chosen)):
    seen = len(name) + 1
    for head, (ax, weights) in enumerate(zip(row, heads)):
        ax.imshow(weights[:seen, :seen], cmap="Greys", vmin=0, vmax=1)
        ax.set(xticks=range(seen), yticks=range(seen), title=f"head {head}")
        ax.set_xticklabels("." + name)
        ax.set_yticklabels("." + name)
plt.show()
rows = np.flatnonzero(is_test)
to_before, to_vowels, by_chance = habits(attention_maps(reader, [names[row] for row in rows]), rows)
for head in range(4):
    print(f"head {head}: {to_before[head]:.2f} to the letter before, {to_vowels[head]:.2f} to vowels", end="")
    print(f" (equal weights would give {by_chance:.2f})")

# %% [markdown]
# Heads differ, though nobody told them to: each began with other random numbers. Be careful with stories about single
# maps, though. That a head looks somewhere says what it takes, and not what the rest of the network makes of it.
#
# Let the reader write: it guesses a letter, the letter is drawn by its chance and appended, and so on until the dot.


# %% tags=["measure"]
def write_name(model, rng):
    """A name, letter by letter."""
    name = ""
    while len(name) < LONGEST:
        codes = np.array([[0, *(ALPHABET.index(letter) for letter in name)]])
        with no_grad():
            chances = softmax(model(codes)[0, -1]).data.astype(float)
        letter = ALPHABET[rng.choice(27, p=chances / chances.sum())]
        if letter == ".":
            break
        name += letter
    return name


for kind in ("letter", "attention, place"):
    rng = np.random.default_rng(1)
    print(f"{kind:17}", *(write_name(readers[kind], rng).capitalize() for _ in range(10)))

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### What length costs
#
# The products with the weights of a layer touch each place once. The scores touch each pair of places. **Predict** the
# exponents with which the time of both grows with the length, and up to which length the layer's weights cost more.

# %% tags=["measure"]
lengths, seconds = [128, 256, 512, 1024, 2048], {"weights": [], "attention": []}
rng, weight = np.random.default_rng(0), Tensor(np.ones((256, 64)))
for length in lengths:
    x = Tensor(rng.normal(size=(1, length, 64)))
    calls = {"weights": lambda x: linear(x, weight), "attention": lambda x: scaled_dot_product_attention(x, x, x)}
    for name, call in calls.items():
        seconds[name].append(measure(lambda call=call, x=x: call(x), f"{name:9} {length:4}", repeats=5))
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for name, values in seconds.items():
    exponent = np.polyfit(np.log(lengths[1:]), np.log(values[1:]), 1)[0]
    print(f"{name}: measured exponent {exponent:.2f}")
    ax.loglog(lengths, values, "o-", label=f"{name}, exponent {exponent:.2f}")
ax.set(xlabel="length", ylabel="seconds")
ax.set_xticks(lengths, lengths)
ax.minorticks_off()
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# (64 features to 256 is what one layer's four products take: three to make queries, keys and values, one at the end.)
# In multiplications both are equal at a length of 128, and the softmax comes on top. Twice the length is four times the
# time: the price of long texts is the price of attention.
#
# ### What is kept
#
# Until backward runs, memory holds what the rules need. **Predict** how many tables of T x T numbers the composed form
# keeps and how many the one operation keeps, by counting results in `composed_attention` and in `attend`.

# %% tags=["measure"]
import tracemalloc


def held(attention, length):
    """Bytes that are still held after one call of `attention` on Tensors of this length, with a graph."""
    x = Tensor(np.ones((1, length, 16)), requires_grad=True)
    tracemalloc.start()
    y = attention(x, x, x)
    size = tracemalloc.get_traced_memory()[0] - y.data.nbytes
    tracemalloc.stop()
    return size


for length in (256, 1024):
    for attention in (composed_attention, scaled_dot_product_attention):
        size = held(attention, length)
        print(f"length {length:4}, {attention.__name__:30} {size / 1e6:6.2f} MB", end="")
        print(f" = {size / (4 * length**2):.2f} tables of T x T")

# %% [markdown]
# One table in place of three. It still grows with the square of the length: for a book of 100,000 words, one head would
# need 40 GB. Optional task 11-9 shows that no table is needed at all.
#
# ### Are heads free?
#
# The two products cost the same for one head with 128 features as for 32 heads with four each: the numbers of
# multiplications are equal. **Predict** whether the time is equal.

# %% tags=["measure"]
x = Tensor(np.random.default_rng(0).normal(size=(4, 256, 128)))
for heads in (1, 4, 16, 32):
    parts = split_heads(x, heads)
    took = measure(lambda p=parts: scaled_dot_product_attention(p, p, p), f"{heads:2} heads", repeats=5)
    print(f"          {4 * heads * 256**2 / 1e6:.1f} million weights, {took / (4 * heads * 256**2) * 1e9:.1f} ns each")

# %% [markdown]
# Each head has a softmax table of its own, and the more heads, the more exponentials for the same multiplications. With
# many heads the softmax is what one waits for.

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more. Then the things that only the whole can show: nothing leaks, filling changes nothing, weights
# come back from names and arrays, and a layer learns to fetch.


# %% nbgrader={"grade_id": "11-module"}
def test_module():
    test_unit_attention_scores()
    test_unit_masked_softmax()
    test_unit_masked_softmax_extremes()
    test_unit_create_causal_mask()
    test_unit_attend_rule()
    test_unit_attend_rule_by_differences()
    test_unit_attend_rule_on_stacks()
    test_unit_split_heads()
    test_unit_join_heads()
    test_unit_multi_head_attention()
    test_unit_sinusoidal_positions()

    rng = np.random.default_rng(0)
    layer, x = layer_with_biases(), rng.normal(size=(1, 5, 6))
    later = np.concatenate([x[:, :3], rng.normal(size=(1, 2, 6))], axis=1)
    got = [layer(Tensor(a), mask=create_causal_mask(5))[:, :3] for a in (x, later)]
    check_close(got[0], got[1], "what comes later changes nothing before it")
    present = np.array([[True, True, True, False, False]])[:, None, :]
    got = layer(Tensor(x), mask=present)[:, :3]
    check_close(got, layer(Tensor(x[:, :3])), "filling that is hidden changes nothing", rtol=1e-4, atol=1e-5)
    other = MultiHeadAttention(6, 2)
    other.load_state_dict(layer.state_dict())
    check_close(other(Tensor(x)), layer(Tensor(x)), "weights come back from names and arrays")

    manual_seed(0)
    layer, head = MultiHeadAttention(8, 2), Linear(8, 4)
    marks = rng.integers(4, size=(64, 6))  # which of four kinds each place is; the place that has the flag is asked for
    flagged = rng.integers(6, size=64)
    x = np.concatenate([np.eye(4)[marks], np.eye(6)[flagged][:, :, None], np.ones((64, 6, 3))], axis=2)
    optimizer, losses = Adam([*layer.parameters(), *head.parameters()], lr=0.03), []
    for _ in range(60):
        optimizer.zero_grad()
        loss = CrossEntropyLoss()(head(layer(Tensor(x))[:, 0]), marks[np.arange(64), flagged])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    check(losses[-1] < losses[0] / 4, "a layer learns to fetch from the place with the flag")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "11-q1", "points": 5, "solution": true}
# **Question 1. Counting (5 points).** A layer has E = 512 features and 8 heads, and reads 2 sequences of T = 1,000
# places. (a) How many numbers does it own, with biases? (b) How many weights (shares) are in its tables, and how many
# megabytes is that in float32? (c) How many multiplications take the four products with its own weights, and how many
# the two products of attention, for one sequence? (d) At which length are both equal?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 3 * 512 * 512 + 3 * 512 + 512 * 512 + 512 = 1,050,624.
# 1 point: (b) 2 * 8 * 1000 * 1000 = 16 million, 64 MB.
# 1 point: (c) weights 4 * T * E^2 = 1.05 billion;
# 1 point: attention 2 * T^2 * E = 1.02 billion (the heads do not matter).
# 1 point: (d) 4 T E^2 = 2 T^2 E, T = 2 E = 1,024.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "11-q2", "points": 5, "solution": true}
# **Question 2. Masks (5 points).** (a) Somebody multiplies the weights by the mask after the softmax, and divides each
# row by its new sum. Is that the same as hiding before the softmax? When does it go wrong with numbers of finite
# precision? (b) Somebody sets the features of the filling to 0 and uses no mask. What does a query take from a place
# whose key and value are 0? (c) Your training loss falls far below that of all others. Name a cause that stands in
# this module, and a test that finds it without another data set. (d) Why does our mask say True for "may attend", and
# where must one take care when weights come from PyTorch's layer?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) in exact arithmetic it is the same (1); a hidden score that is much larger than the rest takes all
# powers to 0 or all digits, and 0 is divided by 0 (1).
# 1 point: (b) nothing is added, but its score is 0 and its power 1, so it takes a share from the others. (A bias in
# the projections makes key and value other than 0.)
# 1 point: (c) the causal mask is missing, inverted or off by one; change a later place and see whether an earlier
# output changes.
# 1 point: (d) it agrees with torch.nn.functional.scaled_dot_product_attention; torch.nn.MultiheadAttention means
# the contrary, so a mask must be inverted, though the weights are the same.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "11-q3", "points": 5, "solution": true}
# **Question 3. Order and scale (5 points).** (a) Without positions and without a mask, what does self-attention give
# when the sequence is reversed? (b) Why does the reader of Part 4 know something about places although the third
# version has no positions? (c) Show that going on by n places is a linear function of the two hands of a clock. (d)
# Somebody divides by d instead of its root. What happens to the weights for d = 1024, and can training repair it?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) the same outputs, in reverse order.
# 1 point: (b) the causal mask: place t takes a mean over t + 1 letters, so the first dot's share tells how many.
# 2 points: (c) sin(a + b) = sin a cos b + cos a sin b, and cos(a + b) = cos a cos b - sin a sin b (1), with b = n omega
# fixed: a matrix that does not depend on the place (1).
# 1 point: (d) scores have a spread of 1/32, so all weights are nearly equal; larger weights for queries and keys can
# make up for it, but it takes many steps.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 11-9. Attention without the table
#
# A weighted mean can be taken in passing. Read the keys in blocks, and hold three things for each query: the largest
# score so far $m$, the sum of powers $z = \sum e^{a_s - m}$, and the sum of values $y = \sum e^{a_s - m} v_s$. When
# a block brings a larger score $m'$, everything so far was measured against the wrong $m$: multiply $z$ and $y$ by
# $e^{m - m'}$. At the end, divide $y$ by $z$. Memory is one block, however long the text.
#
# At the beginning $m = -\infty$ and the sums are 0; check that the first block needs no case of its own.

# %%
top = np.full((2, 1), -np.inf)
larger = np.maximum(top, np.array([[3.0, 1.0], [2.0, 5.0]]).max(axis=1, keepdims=True))
print(larger.tolist(), np.exp(top - larger).tolist())


# %% nbgrader={"grade_id": "11-9", "solution": true, "optional": true}
#| export
def attention_in_blocks(q, k, v, block=64):
    """Attention for arrays (T, d), (S, d), (S, E), with a table of no more than (T, block): an array (T, E).

    Source: Rabe and Staats 2021, "Self-attention does not need O(n^2) memory", section 2.
    """
    top, total = np.full((len(q), 1), -np.inf, dtype=q.dtype), np.zeros((len(q), 1), dtype=q.dtype)
    y = np.zeros((len(q), v.shape[1]), dtype=q.dtype)
    for start in range(0, len(k), block):
        keys, values = k[start : start + block], v[start : start + block]
        scores = attention_scores(Tensor(q, dtype=q.dtype), Tensor(keys, dtype=q.dtype)).data
        ### BEGIN SOLUTION
        larger = np.maximum(top, scores.max(axis=1, keepdims=True))
        powers, shrink = np.exp(scores - larger), np.exp(top - larger)
        total = total * shrink + powers.sum(axis=1, keepdims=True)
        y = y * shrink + powers @ values
        top = larger
        ### END SOLUTION
    return y / total


# %% nbgrader={"grade_id": "11-9-test", "optional": true}
def test_unit_attention_in_blocks():
    q, k = np.array([[2.0, 0, 0, 0]]), np.log([[3.0, 1, 1, 1], [1.0, 1, 1, 1], [12.0, 1, 1, 1]])
    v = np.array([[1.0], [2.0], [3.0]])
    check_close(attention_in_blocks(q, k, v, block=3), [[41 / 16]], "one block: weights 3, 1 and 12 of 16")
    check_close(attention_in_blocks(q, k, v, block=1), [[41 / 16]], "the same in three blocks, the largest last")
    check_close(attention_in_blocks(q, k[::-1], v[::-1], block=2), [[41 / 16]], "the largest first")
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 4)), rng.normal(size=(10, 4)) * 5, rng.normal(size=(10, 2))
    check_close(attention_in_blocks(q, k, v, block=4), attention_loops(q, k, v), "three queries, ten keys")
    check_close(attention_in_blocks(q * 500, k, v, block=4).shape, (3, 2), "large scores")
    check(np.isfinite(attention_in_blocks(q * 500, k, v, block=4)).all(), "large scores give no nan")


test_unit_attention_in_blocks()

# %% tags=["measure"]
x = np.random.default_rng(0).normal(size=(4096, 32)).astype(np.float32)
for name, call in {
    "at once": lambda: scaled_dot_product_attention(x, x, x),
    "in blocks": lambda: attention_in_blocks(x, x, x, block=128),
}.items():
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    measure(call, f"{name:9}: peak {peak / 1e6:6.1f} MB", repeats=3)

# %% [markdown]
# ### Task 11-10. Positions that turn
#
# The clocks can be used in another way: do not add them, but *turn* queries and keys by them. Take the features of
# place $t$ in pairs $(a, b)$, each pair a point in the plane, and turn it by the angle $t\,\omega_i$:
#
# $$(a, b) \mapsto (a\cos\theta - b\sin\theta,\; a\sin\theta + b\cos\theta), \qquad \theta = t\,\omega_i .$$
#
# An inner product does not change when both vectors are turned by the same angle. So the score of two places depends
# on their features and on their *distance*, and not on where they are. Pairs are the features $(2i, 2i+1)$; your
# `sinusoidal_positions` has $\sin$ in the even columns and $\cos$ in the odd ones. `stack(..., dim=-1)` puts two
# Tensors side by side in a new last dimension, and a reshape makes neighbours of them.

# %%
even, odd = Tensor([[0.0, 2.0, 4.0]]), Tensor([[1.0, 3.0, 5.0]])
print(stack([even, odd], dim=-1).shape, stack([even, odd], dim=-1).reshape(1, 6))


# %% nbgrader={"grade_id": "11-10", "solution": true, "optional": true}
#| export
def rotate_by_position(x):
    """Each pair of features of a Tensor (..., T, d) turned by the angle of its place; the same shape.

    Source: Su, Lu, Pan, Murtadha, Wen and Liu 2021, "RoFormer: enhanced transformer with rotary position embedding",
        equation 34.
    """
    clocks = sinusoidal_positions(x.shape[-2], x.shape[-1]).data.astype(x.dtype)
    a, b = x[..., 0::2], x[..., 1::2]
    ### BEGIN SOLUTION
    sine, cosine = clocks[:, 0::2], clocks[:, 1::2]
    turned = stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
    return turned.reshape(x.shape)
    ### END SOLUTION


# %% nbgrader={"grade_id": "11-10-test", "optional": true}
def test_unit_rotate_by_position():
    c, s = math.cos(1), math.sin(1)
    x = Tensor([[1.0, 2.0], [1.0, 0.0], [0.0, 1.0]])
    got = rotate_by_position(x)
    check_close(got[0], [1, 2], "place 0 is not turned")
    check_close(got[1], [c, s], "at place 1 the point (1, 0) is turned by one radian, to the left")
    check_close(got[2], [-math.sin(2), math.cos(2)], "at place 2 the point (0, 1) by two")
    x = np.random.default_rng(0).normal(size=(1, 4))
    turned = rotate_by_position(Tensor(np.repeat(x, 9, axis=0)[None])).data[0]
    lengths = (turned * turned).sum(axis=1)
    check_close(lengths, np.full(9, (x * x).sum()), "turning keeps the length", rtol=1e-4)
    check_close(turned[0] @ turned[3], turned[5] @ turned[8], "a score depends on the distance only", rtol=1e-4)
    slow, (a, b) = 0.01, x[0, 2:]
    expected = [a * math.cos(slow) - b * math.sin(slow), a * math.sin(slow) + b * math.cos(slow)]
    check_close(turned[1, 2:], expected, "the second clock is slow", rtol=1e-4)


test_unit_rotate_by_position()

# %% [markdown]
# ## Summary
#
# - Attention is a dictionary that does not insist: a query is compared with every key, and gets a mean of the values,
#   weighted by a softmax of the scores. Divided by the root of d, the scores keep their spread at every size.
# - A mask hides keys before the softmax. True may attend, and who may attend to nothing gets 0. A leak shows when a
#   later place is changed.
# - Its gradient is a softmax rule between four products. As one operation it keeps one table instead of three.
# - Heads are a reshape and an exchange of two dimensions. The packed weights travel to PyTorch and back.
# - Attention knows no order. Clocks that turn at different speeds bring it in.
# - Time and memory grow with the square of the length. Taken in blocks, the table, and with it the memory, need not
#   grow; the time does.
#
# **Next.** Module 12 gives attention a memory of its own that learns to reason about what it has seen, and module 15
# stacks what you built here into a transformer.
