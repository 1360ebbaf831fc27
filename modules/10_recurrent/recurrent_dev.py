# %% [markdown]
# # Module 10. Recurrent networks
#
# Read this sentence aloud, word by word, and stop in the middle. You know what came before, although you see one word
# only. A network of `Linear` layers does not: it wants all of its input at once, of one fixed length. This module
# builds networks that read in order and carry what they know from step to step, in a *state*. You write the three
# cells that everybody uses, the plain one, LSTM and GRU, first one step at a time with the engine of module 05 behind
# you. Then you walk back through a whole sequence yourself, in one operation, and measure why the plain cell forgets.
#
# **You need** modules 01 to 07. From school: the chain rule, and powers of a number.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 02 `tanh`, `sigmoid` | gates: numbers between 0 and 1 that open and close | 12 relational memory |
# | 03 `orthogonal`, `Linear` | recurrent weights that neither shrink nor stretch | 11 attention: no state at all |
# | 05 rules and the walk | back-propagation through time, by hand | 13 to 15: text |
#
# **After this module you can**
#
# - write a plain, an LSTM and a GRU cell, and say what each gate is for;
# - send a gradient back through fifty steps, by hand, and check it;
# - say from the recurrent weights alone whether gradients will vanish or explode, and measure at which rate;
# - treat sequences of different lengths in one batch, and get the right last state of each;
# - make the same computation several times faster without changing a digit that matters.
#
# Your code goes to `tinytorch/core/recurrent.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.recurrent import LSTM
#
# model = LSTM(input_size=27, hidden_size=32, output_size=2)  # 27 numbers a step, 2 classes
# scores = model(X)  # X (B, T, 27): scores (B, 2), from the state after the last step
# ```

# %%
#| default_exp core.recurrent
#| export
import functools
import operator

import numpy as np

from tinytorch.core.activations import as_floating, sigmoid, tanh
from tinytorch.core.autograd import ones
from tinytorch.core.layers import Linear, Module, Parameter, linear, orthogonal, xavier
from tinytorch.core.tensor import Tensor, autograd, operation, stack, where
from tinytorch.random import default_generator

# %%
import math

from tinytorch.core.autograd import no_grad, numeric_gradient
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import Adam
from tinytorch.core.training import clip_grad_norm
from tinytorch.datasets import load_names
from tinytorch.random import manual_seed
from tinytorch.testing import check, check_close, check_raises, measure

# %% [markdown]
# ## Part 1. Introduction
#
# Here are 8,003 English first names, each on a list of female or of male names. Which list is a name on, to judge by
# its letters? The simplest network forgets their order: it counts how often each letter occurs. **Predict** how many
# names it gets right. The larger list alone would give 57 of 100.


# %%
def encode(names):
    """Names as (X, lengths): X (N, T, 27) with a one for the letter at each step, 0 after the end of a name."""
    lengths = np.array([len(name) for name in names])
    X = np.zeros((len(names), lengths.max(), 27), dtype=np.float32)
    for row, name in enumerate(names):
        for step, letter in enumerate(name.lower()):
            X[row, step, ord(letter) - 97 if "a" <= letter <= "z" else 26] = 1
    return X, lengths


pairs = [pair for pair in zip(*load_names()) if pair[1] != "fm"]
words, answers = [name for name, _ in pairs], np.array([int(which == "m") for _, which in pairs])
letters, lengths = encode(words)
order = np.random.default_rng(0).permutation(len(words))
test, train = order[:1600], order[1600:]
print(len(words), "names; the longest has", lengths.max(), "letters; on the male list:", answers.mean().round(3))


def fit(model, inputs, epochs, lr=0.01, batch=64):
    """Train `model(*inputs(rows))` to give the answers, in an order of its own for each epoch."""
    loss_fn, steps = CrossEntropyLoss(), Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        rows = np.random.default_rng(epoch).permutation(train)
        for part in np.array_split(rows, len(rows) // batch):
            steps.zero_grad()
            loss_fn(model(*inputs(part)), answers[part]).backward()
            clip_grad_norm(model.parameters(), 1.0)
            steps.step()
    return model


def share_right(model, inputs, rows=test):
    with no_grad():
        scores = model(*inputs(rows))
    return float(np.mean(scores.data.argmax(axis=1) == answers[rows]))


# %% tags=["measure"]
def counted(rows):
    return [Tensor(letters[rows].sum(axis=1))]


manual_seed(0)
counter = fit(Linear(27, 2), counted, epochs=4)
print(f"counting letters: {share_right(counter, counted):.3f} of the test names right")

# %% [markdown]
# Ina and Ian have the same letters. Whoever only counts cannot tell them apart. We come back to this number in Part 4.
#
# ## Part 2. Foundations
#
# ### A state
#
# A recurrent network keeps a vector $h$, its *state*, of $H$ numbers. At each step it takes the next input $x_t$ and
# its own last state, and makes the next state. The same function at every step, with the same weights:
#
# ```
#        x_1        x_2        x_3
#         |          |          |
#  h_0 -> f -> h_1 -> f -> h_2 -> f -> h_3 -> readout
# ```
#
# Drawn like this it is an ordinary deep network, as deep as the sequence is long, whose layers share their weights.
# So everything you know applies. It works for any length; and gradients, which must pass through every $f$, meet the
# trouble of all deep networks. Take one number for a state and $h_t = w\,h_{t-1}$. How much does $h_{50}$ change with
# $h_0$? **Predict** it for $w = 0.9$ and for $w = 1.1$.

# %%
for w in (0.9, 1.0, 1.1):
    print(f"w = {w}: dh_50 / dh_0 = {w**50:.4f}")

# %% [markdown]
# The one is gone, the other is a hundred times too large. A gate is the way out: a state that stays as it is unless
# there is reason to change it. Three cells follow, and then the walk back through all of them.
#
# ### Shapes
#
# A batch of sequences is (B, T, D): B sequences, T steps, D numbers at each step. A state is (B, H): each sequence has
# its own, and no sequence sees another's. Weights follow PyTorch, whose layers keep a pair of weights and two biases:
#
# | name | shape | what |
# |---|---|---|
# | `weight_ih` | (G * H, D) | from input to hidden |
# | `weight_hh` | (G * H, H) | from hidden to hidden |
# | `bias_ih`, `bias_hh` | (G * H,) | one for each of the two; their sum would do, but PyTorch keeps both |
#
# G is how many vectors of H numbers a cell computes at each step: 1 in the plain cell, 4 in LSTM, 3 in GRU. They stand
# one after the other, in *blocks* of H.

# %%
row = np.arange(8.0)[None]  # (1, 8): four blocks of 2
print("the third of four blocks:", row[:, 4:6].tolist())
print("the same of a Tensor:", Tensor(row)[:, 4:6])

# %% [markdown]
# ### Tools of the tests (given)
#
# Numbers to try with; sums computed one by one, which take no short cut; and the comparison with central differences
# that you know from module 05.


# %%
def numbers(*shape, seed=0):
    """Random numbers of this shape, float64."""
    return np.random.default_rng(seed).normal(size=shape)


def weights_of(gates, inputs, hidden, seed=0):
    """Random weights and biases of a cell, float64."""
    shapes = (gates * hidden, inputs), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,)
    return [numbers(*shape, seed=seed + k) for k, shape in enumerate(shapes)]


def sums_by_hand(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """What comes from the inputs and what from the state, before any tanh, number by number: two arrays (B, G * H)."""
    from_x, from_h = np.zeros((len(x), len(bias_ih))), np.zeros((len(x), len(bias_ih)))
    for b, k in np.ndindex(from_x.shape):
        from_x[b, k] = bias_ih[k] + sum(x[b, d] * weight_ih[k, d] for d in range(x.shape[1]))
        from_h[b, k] = bias_hh[k] + sum(h[b, d] * weight_hh[k, d] for d in range(h.shape[1]))
    return from_x, from_h


def as_tensors(*arrays):
    return [Tensor(array, requires_grad=True, dtype=np.float64) for array in arrays]


def check_differences(promise, fn, *arrays):
    """Check what the engine makes of `fn(*Tensors)` in each of the float64 `arrays`."""
    tensors = as_tensors(*arrays)
    y = fn(*tensors)
    g = numbers(*y.shape, seed=7)
    y.backward(Tensor(g, dtype=np.float64))
    for k, x in enumerate(tensors):
        with no_grad():
            slopes = numeric_gradient(lambda _: np.sum(g * fn(*tensors).data), x.data)
        got = np.zeros(x.shape) if x.grad is None else x.grad
        check_close(got, slopes, f"{promise}: gradient in input {k}", rtol=1e-5, atol=1e-6)


def opened(share):
    """The number whose sigmoid is `share`."""
    return math.log(share / (1 - share))


# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 10-1. The plain cell
#
# $$h_t = \tanh(W_{ih}\,x_t + b_{ih} + W_{hh}\,h_{t-1} + b_{hh})$$
#
# Two linear maps, one sum, one tanh. The formula is for columns; a batch lies in rows, and `linear(x, weight, bias)`
# of module 03 computes $x W^\top + b$ for rows. Beware of one thing: when a batch has as many sequences as the state
# has numbers, products in the wrong order have the right shape, and mix the sequences with each other. The test has
# such a batch.

# %%
print("linear:", linear(Tensor([[1.0, 2.0]]), Tensor([[10.0, 1.0], [0.0, 1.0]]), Tensor([0.5, 0.0])))


# %% nbgrader={"grade_id": "10-1", "solution": true}
#| export
def rnn_cell(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """The next state of a plain cell: x (B, D), h (B, H) to (B, H); Tensors, on the graph.

    Source: Elman 1990, "Finding structure in time".
    """
    ### BEGIN SOLUTION
    return tanh(linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-1-test", "points": 5}
def test_unit_rnn_cell():
    one = [[0.1, 0.2]], [[0.4]], [0.3], [-0.2]
    got = rnn_cell(Tensor([[1.0, 2.0]]), Tensor([[0.5]]), *map(Tensor, one))
    check_close(got, [[math.tanh(0.8)]], "x (1, 2), h 0.5, weights (0.1, 0.2) and 0.4, biases 0.3 and -0.2")
    x, h, weights = numbers(2, 3), numbers(2, 2, seed=9), weights_of(1, 3, 2)
    got = rnn_cell(*as_tensors(x, h, *weights))
    check_close(got, np.tanh(sum(sums_by_hand(x, h, *weights))), "two sequences, a state of two: number by number")
    check_differences("the plain cell", lambda x, h: rnn_cell(x, h, *as_tensors(*weights)), x, h)


test_unit_rnn_cell()

# %% [markdown]
# ### Task 10-2. LSTM: a state that is written only on purpose
#
# The *long short-term memory* keeps two states. The *cell* $c$ is the memory; the *hidden state* $h$ is what the cell
# shows of it. Four vectors are computed from input and last $h$, as in Task 10-1. Three are squeezed to between 0 and
# 1 by a sigmoid, and act as gates; one is the news, squeezed by a tanh:
#
# $$i = \sigma(a_1),\quad f = \sigma(a_2),\quad g = \tanh(a_3),\quad o = \sigma(a_4), \qquad
#   (a_1, a_2, a_3, a_4) = W_{ih}\,x + b_{ih} + W_{hh}\,h + b_{hh}$$
#
# $$c' = f\,c + i\,g, \qquad h' = o\,\tanh(c')$$
#
# *Forget* gate $f$: how much of the memory stays. *Input* gate $i$: how much of the news $g$ goes in. *Output* gate
# $o$: how much is shown. Along the memory there is one product with $f$ and no matrix at all: if $f$ is 1, the
# gradient of $c'$ in $c$ is 1. The order of the blocks, i, f, g, o, is PyTorch's, and weights are exchanged in it. Use
# `a[:, :H]` and its like for the blocks, and `sigmoid` and `tanh` of module 02.


# %% nbgrader={"grade_id": "10-2", "solution": true}
#| export
def lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh):
    """The next pair (h, c) of an LSTM: x (B, D), h and c (B, H), weights (4 * H, ...), blocks i, f, g, o.

    Source: Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate: Gers, Schmidhuber and Cummins
        2000, "Learning to forget: continual prediction with LSTM".
    """
    H = h.shape[1]
    ### BEGIN SOLUTION
    a = linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh)
    i = sigmoid(a[:, :H])
    f = sigmoid(a[:, H : 2 * H])
    g = tanh(a[:, 2 * H : 3 * H])
    o = sigmoid(a[:, 3 * H :])
    c = f * c + i * g
    return o * tanh(c), c
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-2-test", "points": 10}
def test_unit_lstm_cell():
    blocks = np.array([opened(0.75), opened(0.25), math.atanh(0.5), opened(0.9)])  # i, f, g, o
    still = np.zeros((4, 1)), np.zeros((4, 1)), blocks - 0.5, np.full(4, 0.5)
    h, c = lstm_cell(*as_tensors([[3.0]], [[7.0]], [[2.0]], *still))
    check_close(c, [[0.875]], "i 0.75, f 0.25, g 0.5, o 0.9 and c = 2: the new c")
    check_close(h, [[0.9 * math.tanh(0.875)]], "i 0.75, f 0.25, g 0.5, o 0.9 and c = 2: the new h")


def test_unit_lstm_cell_number_by_number():
    x, h, c, weights = numbers(2, 3), numbers(2, 2, seed=8), numbers(2, 2, seed=9), weights_of(4, 3, 2)
    a = sum(sums_by_hand(x, h, *weights))
    write, keep, news, show = a[:, :2], a[:, 2:4], a[:, 4:6], a[:, 6:]
    memory = c / (1 + np.exp(-keep)) + np.tanh(news) / (1 + np.exp(-write))
    new_h, new_c = lstm_cell(*as_tensors(x, h, c, *weights))
    check_close(new_c, memory, "two sequences, a state of two: the new c")
    check_close(new_h, np.tanh(memory) / (1 + np.exp(-show)), "two sequences, a state of two: the new h")
    for name, part in (("h", 0), ("c", 1)):

        def one_result(x, h, c, part=part):
            return lstm_cell(x, h, c, *as_tensors(*weights))[part]

        check_differences(f"the new {name}", one_result, x, h, c)


test_unit_lstm_cell()
test_unit_lstm_cell_number_by_number()

# %% [markdown]
# ### Task 10-3. GRU: the same idea with one state
#
# The *gated recurrent unit* has no second state and two gates. The *reset* gate $r$ says how much of the old state
# counts in the news $n$; the *update* gate $z$ says how much of the old state **stays**:
#
# $$r = \sigma(u_1 + v_1),\quad z = \sigma(u_2 + v_2),\quad n = \tanh(u_3 + r\,v_3), \qquad h' = (1 - z)\,n + z\,h$$
#
# where $u = W_{ih}\,x + b_{ih}$ and $v = W_{hh}\,h + b_{hh}$, in blocks r, z, n. Look where $r$ stands: it multiplies
# $v_3$, *after* the product with the matrix, bias included. The paper has it before, on $h$; PyTorch and cuDNN have it
# here, because then all three products with $h$ are one. For $H > 1$ the two are different cells, and weights of the
# one do not work in the other.


# %% nbgrader={"grade_id": "10-3", "solution": true}
#| export
def gru_cell(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """The next state of a GRU: x (B, D), h (B, H) to (B, H), weights (3 * H, ...), blocks r, z, n.

    The reset gate is applied after the matrix product, as in PyTorch.
    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", appendix A.1.1.
    """
    H = h.shape[1]
    ### BEGIN SOLUTION
    u, v = linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)
    r = sigmoid(u[:, :H] + v[:, :H])
    z = sigmoid(u[:, H : 2 * H] + v[:, H : 2 * H])
    n = tanh(u[:, 2 * H :] + r * v[:, 2 * H :])
    return (1 - z) * n + z * h
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-3-test", "points": 10}
def test_unit_gru_cell():
    bias_ih = np.array([opened(0.25), opened(0.5), opened(0.75), opened(0.9), 0.3, -0.1])  # r, r, z, z, n, n
    weight_hh = np.zeros((6, 2))
    weight_hh[4:] = [[0.5, 1.0], [0.0, -0.5]]
    bias_hh = np.array([0.2, 0.0, 0.1, 0.0, 0.4, 0.6])
    bias_ih = bias_ih - np.array([0.2, 0.0, 0.1, 0.0, 0.0, 0.0])
    got = gru_cell(*as_tensors([[3.0]], [[2.0, 1.0]], np.zeros((6, 1)), weight_hh, bias_ih, bias_hh))
    news = [math.tanh(0.3 + 0.25 * 2.4), math.tanh(-0.1 + 0.5 * 0.1)]
    expected = [[0.25 * news[0] + 0.75 * 2, 0.1 * news[1] + 0.9 * 1]]
    check_close(got, expected, "r (0.25, 0.5), z (0.75, 0.9), h (2, 1): by hand")


def test_unit_gru_cell_number_by_number():
    x, h, weights = numbers(2, 3), numbers(2, 2, seed=8), weights_of(3, 3, 2)
    from_x, from_h = sums_by_hand(x, h, *weights)
    gates = 1 / (1 + np.exp(-(from_x + from_h)[:, :4]))
    news, stays = np.tanh(from_x[:, 4:] + gates[:, :2] * from_h[:, 4:]), gates[:, 2:]
    got = gru_cell(*as_tensors(x, h, *weights))
    check_close(got, news - stays * (news - h), "two sequences, a state of two: number by number")
    check_differences("the GRU cell", lambda x, h: gru_cell(x, h, *as_tensors(*weights)), x, h)


test_unit_gru_cell()
test_unit_gru_cell_number_by_number()

# %% [markdown]
# ### Task 10-4. First weights
#
# A state goes through $W_{hh}$ again and again. So the first values of this matrix matter more than any others. An
# orthogonal matrix turns and reflects, and leaves every length as it is: raised to the fiftieth power it still does.
# Module 03 has `orthogonal(shape, rng)`. Each gate has a matrix of its own, H x H, and each block must be orthogonal
# for itself; a tall matrix (4 * H, H) with orthonormal columns has blocks that shrink. In the same way
# `xavier((H, D), rng)` gives the weights of one block for the inputs. Blocks are drawn one after the other, the inputs'
# first.
#
# Biases begin at zero, with one exception. A forget gate at $\sigma(0) = 0.5$ halves the memory at every step, and
# after 50 steps nothing is left. With a bias of 1 it keeps $\sigma(1) = 0.73$; LSTMs learn more easily like this.
# There are two biases and they are added, so the 1 goes into `bias_ih` only.

# %%
print("below each other:", np.concatenate([np.ones((1, 2)), np.zeros((2, 2))]).tolist())
print(f"after 50 steps: 0.5**50 = {0.5**50:.1e}, 0.73**50 = {0.73**50:.1e}")
flat = orthogonal((8, 2), np.random.default_rng(0))
print(
    "what the blocks of a tall one do to a vector of length 1:",
    np.linalg.norm(flat[:2, 0]),
    np.linalg.norm(flat[2:4, 0]),
)


# %% nbgrader={"grade_id": "10-4", "solution": true}
#| export
def first_weights(input_size, hidden_size, gates, forget=None, rng=None):
    """First values of a cell: float32 arrays weight_ih, weight_hh, bias_ih, bias_hh with `gates` blocks of rows.

    forget: which block is a forget gate, counted from 0, or None.
    Source: Saxe, McClelland and Ganguli 2014 for orthogonal matrices; Jozefowicz, Zaremba and Sutskever 2015, "An
        empirical exploration of recurrent network architectures", for the forget gate.
    """
    rng, H, D = default_generator if rng is None else rng, hidden_size, input_size
    ### BEGIN SOLUTION
    weight_ih = np.concatenate([xavier((H, D), rng) for _ in range(gates)])
    weight_hh = np.concatenate([orthogonal((H, H), rng) for _ in range(gates)])
    bias_ih, bias_hh = np.zeros(gates * H, dtype=np.float32), np.zeros(gates * H, dtype=np.float32)
    if forget is not None:
        bias_ih[forget * H : (forget + 1) * H] = 1
    return weight_ih, weight_hh, bias_ih, bias_hh
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-4-test", "points": 5}
def test_unit_first_weights():
    weight_ih, weight_hh, bias_ih, bias_hh = first_weights(3, 4, 4, forget=1, rng=np.random.default_rng(0))
    check_close(weight_ih.shape, (16, 3), "4 blocks, 3 inputs, 4 hidden: the shape of weight_ih")
    check_close(weight_hh.shape, (16, 4), "4 blocks, 3 inputs, 4 hidden: the shape of weight_hh")
    check_close([len(bias_ih), len(bias_hh)], [16, 16], "4 blocks, 4 hidden: how long the biases are")
    check_close(
        bias_ih + bias_hh, [0, 0, 0, 0, 1, 1, 1, 1] + 8 * [0], "the biases together: 1 for the forget gate only"
    )
    check_close(bias_hh, np.zeros(16), "bias_hh begins at 0")
    for k, block in enumerate(weight_hh.reshape(4, 4, 4)):
        check_close(block @ block.T, np.eye(4), f"block {k} of the recurrent weights is orthogonal", atol=1e-5)
    check(abs(weight_hh[:4] - weight_hh[4:8]).max() > 0.1, "each block has values of its own")
    wide = first_weights(100, 50, 4, rng=np.random.default_rng(0))
    check_close(wide[0].reshape(4, -1).std(axis=1) * 75**0.5, np.ones(4), "each block of the inputs: xavier", rtol=0.05)
    check_close(wide[2], np.zeros(200), "without a forget gate all biases are 0")
    check(all(array.dtype == np.float32 for array in wide), "everything is float32")
    check_close(first_weights(3, 2, 4, forget=0)[2], [1, 1, 0, 0, 0, 0, 0, 0], "block 0, too, may be the forget gate")


test_unit_first_weights()

# %% [markdown]
# ### Task 10-5. Through the sequence, step by step
#
# Now a sequence. The state begins at what is given, and is handed from step to step. What comes out are the states
# after each step, side by side, (B, T, H), and the last state.
#
# Sequences of one batch may have different lengths; the short ones are padded at the end with zeros. A cell does not
# know that, reads zeros and changes its state. So it gets a *mask* (B, T): true where there is something to read.
# Where it is false, the state stays as it was, and the last state of a short sequence is the one after its own last
# step, wherever that was. `where(condition, a, b)` of module 01 chooses, and sends each gradient to what was chosen.
# The mask of one step is (B,), and the states are (B, H): it needs a last dimension of one.
#
# A state is a tuple of Tensors here, one for the plain cell and GRU, two for LSTM, and `step(x, state)` gives a tuple
# of the same length. The first of them is what comes out. Nothing is detached: the gradient must find its way back
# through every step.


# %%
#| export
def length_mask(lengths, steps):
    """(B, T), true where there is something to read: the first `lengths[b]` of `steps` steps."""
    return np.arange(steps) < np.asarray(lengths)[:, None]


# %%
print(length_mask([3, 1], 4))
old, new = (Tensor([[1.0, 1.0]]), Tensor([[2.0, 2.0]])), (Tensor([[5.0, 5.0]]), Tensor([[6.0, 6.0]]))
print("pairs of old and new:", [(a[0, 0].item(), b[0, 0].item()) for a, b in zip(old, new)])
condition = np.array([True, False])[:, None]
print("chosen row by row:", where(condition, Tensor(np.ones((2, 3))), Tensor(np.zeros((2, 3)))))
print("stacked along dim 1:", stack([Tensor(np.ones((2, 3)))] * 4, dim=1).shape)


# %% nbgrader={"grade_id": "10-5", "solution": true}
#| export
def unroll(step, X, state, mask):
    """Read X (B, T, D) step by step: the states after each step (B, T, H), and the last state, a tuple.

    step: function (x, state) -> state, where `state` is a tuple of Tensors (B, H), the first of them what comes out.
    mask: bool array (B, T); where it is false the state stays as it was.
    """
    outputs = []
    ### BEGIN SOLUTION
    for t in range(X.shape[1]):
        new = step(X[:, t], state)
        state = tuple(where(mask[:, t, None], b, a) for a, b in zip(state, new))
        outputs.append(state[0])
    return stack(outputs, dim=1), state
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-5-test", "points": 10}
def halved_sum(x, state):
    """A cell that a child can compute: h' = h / 2 + x, and a second state that counts the steps."""
    h, count = state
    return h / 2 + x, count + 1


def test_unit_unroll():
    X = np.array([[8.0, 4.0, 2.0], [1.0, 3.0, 5.0], [2.0, 0.0, 6.0]])[:, :, None]  # (3, 3, 1)
    start, everywhere = as_tensors([[16.0], [0.0], [4.0]], np.zeros((3, 1))), np.ones((3, 3), dtype=bool)
    outputs, (h, count) = unroll(halved_sum, *as_tensors(X), tuple(start), everywhere)
    check_close(outputs.shape, (3, 3, 1), "the shape of what comes out of (3, 3, 1)")
    check_close(
        outputs[:, :, 0], [[16, 12, 8], [1, 3.5, 6.75], [4, 2, 7]], "h / 2 + x from 16, 0 and 4: after each step"
    )
    check_close(h[:, 0], [8, 6.75, 7], "the last state")
    check_close(count[:, 0], [3, 3, 3], "the second state, which counts steps")
    again, _ = unroll(halved_sum, *as_tensors(X), tuple(start), everywhere)
    check_close(again[:, 0, 0], [16, 1, 4], "a second call begins at the state that it is given")
    _, last = unroll(halved_sum, *as_tensors(X), tuple(start), everywhere)
    check(isinstance(last, tuple), "the last state is a tuple")


def test_unit_unroll_lengths():
    X, start = numbers(2, 4, 1), as_tensors(numbers(2, 1, seed=1), np.zeros((2, 1)))
    mask = length_mask([4, 2], 4)
    outputs, (h, count) = unroll(halved_sum, *as_tensors(X), tuple(start), mask)
    after_two = start[0].data[1, 0] / 4 + X[1, 0, 0] / 2 + X[1, 1, 0]
    check_close(outputs[1, 2:, 0], [after_two, after_two], "a sequence of length 2 keeps its state in steps 3 and 4")
    check_close(h[1, 0], after_two, "a sequence of length 2: the last state is the one after step 2")
    check_close(count[:, 0], [4, 2], "lengths 4 and 2: steps that were counted")

    def last_state(X, h):
        return unroll(halved_sum, X, (h, start[1]), mask)[1][0]

    check_differences("the last state, lengths 4 and 2", last_state, X, start[0].data.copy())


test_unit_unroll()
test_unit_unroll_lengths()

# %% [markdown]
# ### Task 10-6. Back through time
#
# The engine can walk back through `unroll` by itself, and it does so rightly: one receipt for each small operation of
# each step, hundreds for a sequence of fifty. Now do its work by hand, for the plain cell, on arrays. Then the whole
# sequence can be one operation with one receipt.
#
# Let $a_t$ be what stands inside the tanh at step $t$, and $s_t = \tanh(a_t)$ the state after it. Upstream, a gradient
# $\gamma_t$ arrives for *every* state: the loss may look at each of them. And state $s_t$ acts in a second way: through
# $a_{t+1}$ on all that follows. So walk from the last step to the first and carry what comes back:
#
# $$\bar s_T = \gamma_T, \quad \bar a_t = \bar s_t\,(1 - s_t^2), \quad \bar s_{t-1} = \gamma_{t-1} + \bar a_t\,W_{hh}$$
#
# At a step where a sequence has already ended, the state was copied and nothing was computed: its whole gradient goes
# to the state before, and $\bar a_t$ is zero. With $m_t$ from the mask (1 where something was read):
#
# $$\bar a_t = m_t\,\bar s_t\,(1 - s_t^2), \qquad \bar s_{t-1} = \gamma_{t-1} + \bar a_t\,W_{hh} + (1 - m_t)\,\bar s_t$$
#
# Time is the first dimension in here, so that one step is one piece of memory. There are T steps and T + 1 states:
# `states[0]` is the first, before any step, and `states[t + 1]` the one after step `t`; `g` counts as `states` does.
# The formulas count steps from 1 and arrays from 0: $s_t$ is `states[t]`, $\gamma_t$ is `g[t]`, but $\bar a_t$ and
# $m_t$ are `da[t - 1]` and `mask[t - 1]`. The mask is boolean; `~m` turns it around, and times a number true is 1.

# %%
m = np.array([[True], [False]])
print("m * 5:", (m * 5.0).tolist(), " ~m * 5:", (~m * 5.0).tolist(), " steps backwards:", list(reversed(range(3))))


# %% nbgrader={"grade_id": "10-6", "solution": true}
#| export
def rnn_back(g, states, weight_hh, mask):
    """Gradients (da, dh): in what stands inside each tanh, (T, B, H), and in the first state, (B, H).

    g: what arrives for each state, (T + 1, B, H); states: (T + 1, B, H); mask: bool (T, B, 1). Changes none of them.
    Source: Werbos 1990, "Backpropagation through time: what it does and how to do it".
    """
    T, dh = len(g) - 1, g[-1]
    da = np.empty((T, *g.shape[1:]), dtype=g.dtype)
    ### BEGIN SOLUTION
    for t in reversed(range(T)):
        da[t] = mask[t] * dh * (1 - states[t + 1] ** 2)
        dh = g[t] + da[t] @ weight_hh + ~mask[t] * dh
    return da, dh
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-6-test", "points": 10}
def plain_states(a, start, weight_hh, mask):
    """States (T + 1, B, H) of a plain cell, a (T, B, H) being what the inputs add inside each tanh."""
    states = [start]
    for t in range(len(a)):
        states.append(np.where(mask[t], np.tanh(a[t] + states[-1] @ weight_hh.T), states[-1]))
    return np.stack(states)


def check_back(promise, a, start, weight_hh, mask):
    """Compare `rnn_back` with central differences of the states, in `a` and in the first state."""
    g = numbers(len(a) + 1, *start.shape, seed=5)
    da, dh = rnn_back(g, plain_states(a, start, weight_hh, mask), weight_hh, mask)
    for name, got, array in (("inside the tanh", da, a), ("in the first state", dh, start)):
        slopes = numeric_gradient(lambda _: np.sum(g * plain_states(a, start, weight_hh, mask)), array)
        check_close(got, slopes, f"{promise}: the gradient {name}", rtol=1e-5, atol=1e-7)


def test_unit_rnn_back():
    states, g = np.array([[[0.0]], [[0.5]], [[-0.5]]]), np.array([[[1.0]], [[10.0]], [[100.0]]])
    da, dh = rnn_back(g, states, np.array([[2.0]]), np.ones((2, 1, 1), dtype=bool))
    check_close(da[1], [[75]], "two steps, weight 2: inside the last tanh 100 * (1 - 0.25)")
    check_close(da[0], [[120]], "inside the first tanh (10 + 2 * 75) * 0.75")
    check_close(dh, [[241]], "in the first state 1 + 2 * 120")
    check_close(g[:, 0, 0], [1, 10, 100], "what arrives stays as it was")


def test_unit_rnn_back_by_differences():
    a, start, weight_hh = numbers(3, 2, 2), numbers(2, 2, seed=1), numbers(2, 2, seed=2)
    check_back("two sequences of 3 steps", a, start, weight_hh, np.ones((3, 2, 1), dtype=bool))
    check_back("lengths 3 and 1", a, start, weight_hh, length_mask([3, 1], 3).T[:, :, None])


test_unit_rnn_back()
test_unit_rnn_back_by_differences()

# %% [markdown]
# ### The whole sequence as one operation (given)
#
# What remains around your loop is three matrix products, and they need no loop. Forward, the inputs' share
# $W_{ih} x_t$ does not depend on any state: all T steps at once, as one product of a matrix with T * B rows. Backward,
# each weight was used at every step, so its gradient is a sum over steps and sequences, and a sum of products of rows
# *is* a matrix product: $\bar W_{hh} = \sum_t \bar a_t^\top s_{t-1}$, once, after the loop. Few large products
# instead of many small ones: that is most of what there is to gain.
#
# An operation hands out one array; here it is (k, T + 1, B, H), all states of all times with the first, for a cell
# with k states. Read it once. The same pieces carry the other two cells.


# %%
#| export
def time_first(x):
    """(B, T, D) as rows (T * B, D), the first step of all sequences first."""
    return np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(-1, x.shape[2])


def as_rows(matrix):
    """`matrix` lying in memory row by row, so that no product in the loop has to arrange it again."""
    return np.ascontiguousarray(matrix)


def widest(x, *states):
    """`x` in the widest floating type among these."""
    x = as_floating(x)
    return x.astype(np.result_type(x, *map(as_floating, states)), copy=False)


def projected(x, weight, bias):
    """What the inputs x (B, T, D) contribute at every step, in one product: (T, B, G * H)."""
    out = time_first(x) @ as_rows(weight.T)
    out += bias
    return out.reshape(x.shape[1], len(x), len(weight))


def blocks(a, count):
    """The last dimension of `a` in equal parts: views."""
    H = a.shape[-1] // count
    return [a[..., k * H : (k + 1) * H] for k in range(count)]


def states_from(steps, *start):
    """Room for the states (k, T + 1, B, H) from the first ones on, which are filled in."""
    states = np.empty((len(start), steps + 1, *start[0].shape), dtype=start[0].dtype)
    states[:, 0] = start
    return states


def weight_gradients(da_x, da_h, before, x, weight_ih):
    """Gradients in x, weight_ih, weight_hh, bias_ih, bias_hh: functions of nothing, and arrays for the biases.

    da_x, da_h: gradients in what inputs and states contributed, (T, B, G * H), the same array where they are equal.
    before: the states before each step, (T, B, H).
    """
    T, B, width = da_x.shape
    rows_x, rows_h = da_x.reshape(T * B, width), da_h.reshape(T * B, width)
    row = ones(T * B, da_x.dtype)
    for_bias = row @ rows_x
    return (
        lambda: (rows_x @ weight_ih).reshape(T, B, x.shape[2]).transpose(1, 0, 2),
        lambda: rows_x.T @ time_first(x),
        lambda: rows_h.T @ before.reshape(T * B, before.shape[2]),
        for_bias,
        for_bias if da_h is da_x else row @ rows_h,
    )


@operation
def rnn_sequence(x, h, weight_ih, weight_hh, bias_ih, bias_hh, /, *, mask=None):
    """All states (1, T + 1, B, H) of a plain cell that reads x (B, T, D) from the state h (B, H).

    mask: bool (T, B, 1); where it is false the state stays as it was. None: it is true everywhere.
    """
    a, across = projected(widest(x, h), weight_ih, bias_ih + bias_hh), as_rows(weight_hh.T)
    states = states_from(len(a), as_floating(h).astype(a.dtype, copy=False))
    for t in range(len(a)):
        a[t] += states[0, t] @ across
        states[0, t + 1] = np.tanh(a[t])
        if mask is not None:
            np.copyto(states[0, t + 1], states[0, t], where=~mask[t])
    return states


def rnn_sequence_rule(g, states, x, h, weight_ih, weight_hh, bias_ih, bias_hh, *, mask=None):
    T, B = states.shape[1] - 1, states.shape[2]
    everywhere = np.ones((T, B, 1), dtype=bool) if mask is None else mask
    da, dh = rnn_back(g[0], states[0], weight_hh, everywhere)
    for_x, *rest = weight_gradients(da, da, states[0, :-1], x, weight_ih)
    return for_x, dh, *rest


autograd.rules["rnn_sequence"] = rnn_sequence_rule

# %%
x, h, weights = numbers(2, 3, 3), numbers(2, 2, seed=9), weights_of(1, 3, 2)
check_differences("a whole sequence", rnn_sequence, x, h, *weights)
print("the gradients of rnn_sequence in all of its six inputs agree with central differences")

# %% [markdown]
# ### Task 10-7. One step of LSTM, and all gates with one tanh
#
# In a loop of fifty steps each call of NumPy counts. Three sigmoids and a tanh are four calls or more; but a sigmoid
# *is* a tanh, stretched and moved:
#
# $$\sigma(a) = \frac{1 + \tanh(a / 2)}{2}$$
#
# (Put in the definitions, or look at the next cell.) So with a vector `half` that is 0.5 in the blocks of i, f, o and
# 1 in that of g, all four blocks are one formula: multiply by `half`, take the tanh, multiply by `half` again, and
# add 1 - `half`. In the block of g that multiplies by 1 and adds 0. Work in place: at the end, the memory of `a`
# holds the gates, which the way back needs. Then the two lines of Task 10-2, on arrays. $\tanh(c')$ is needed on the
# way back, too, so it is handed out.

# %%
a = np.array([-3.0, 0.0, 2.0])
print(1 / (1 + np.exp(-a)), 0.5 * np.tanh(0.5 * a) + 0.5)
same = a
np.tanh(a / 2, out=a)
a *= 2
print("in place, the same memory:", same)


# %%
#| export
@functools.lru_cache(maxsize=16)
def half_for(hidden_size, dtype):
    """0.5 in the blocks of the gates i, f, o and 1 in the block g: (4 * H,), which nobody may write into."""
    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], dtype=dtype), hidden_size)
    half.flags.writeable = False
    return half


# %% nbgrader={"grade_id": "10-7", "solution": true}
#| export
def lstm_step(a, c):
    """One step of an LSTM on arrays: `(h, c', tanh(c'))` from a (B, 4 * H), blocks i, f, g, o before tanh and sigmoid.

    c: the memory before, (B, H); it stays as it is. Afterwards `a` holds the gates, in the same memory.
    """
    half = half_for(c.shape[1], a.dtype)
    ### BEGIN SOLUTION
    a *= half
    np.tanh(a, out=a)
    a *= half
    a += 1 - half
    i, f, g, o = blocks(a, 4)
    c = f * c + i * g
    squashed = np.tanh(c)
    return o * squashed, c, squashed
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-7-test", "points": 10}
def test_unit_lstm_step():
    shares = np.array([[0.75, 0.8, 0.25, 0.3, 0.5, -0.4, 0.9, 0.6], [0.1, 0.2, 0.95, 0.7, -0.3, 0.2, 0.4, 0.35]])
    a, c = np.log(np.abs(shares) / (1 - np.abs(shares))), numbers(2, 2)
    a[:, 4:6] = np.arctanh(shares[:, 4:6])
    before, memory = c.copy(), shares[:, 2:4] * c + shares[:, :2] * shares[:, 4:6]
    h, new_c, squashed = lstm_step(a, c)
    check_close(new_c, memory, "two sequences, a state of two, known gates: the new c")
    check_close(h, shares[:, 6:] * np.tanh(memory), "the new h")
    check_close(squashed, np.tanh(memory), "tanh(c'), for the way back")
    check_close(a, shares, "afterwards `a` holds the gates")
    check_close(c, before, "the memory before stays as it was")
    single = lstm_step(a.astype(np.float32), c.astype(np.float32))
    check(all(part.dtype == np.float32 for part in single), "float32 stays float32")


test_unit_lstm_step()

# %% [markdown]
# ### Task 10-8. One step back
#
# A gradient $\bar h$ arrives for the hidden state and $\bar c'$ for the memory. Go through the two lines backwards.
#
# First $h' = o\,\tanh(c')$: the gate gets $\bar h\,\tanh(c')$, and the memory gets something *more*, on top of what
# arrived for it: $\bar c' \mathrel{+}= \bar h\,o\,(1 - \tanh^2 c')$. Then $c' = f\,c + i\,g$: with this whole
# $\bar c'$,
#
# $$\bar\imath = \bar c'\,g, \qquad \bar f = \bar c'\,c, \qquad \bar g = \bar c'\,i, \qquad \bar c = \bar c'\,f .$$
#
# Last through the sigmoids and the tanh, whose slopes are written with their results: $i\,(1 - i)$ for a sigmoid, and
# $1 - g^2$ for the tanh. All four together are one formula again. The slope of a block is $(1 - y)\,(y + k)$, with
# $k = 0$ for a sigmoid and $k = 1$ for the tanh; and $k = 2\,\text{half} - 1$.
#
# Write the gradients of the four gates into the blocks of an array `da`, and multiply it by the slopes. A block is a
# view, so write into it: `di[...] = ...`, or `np.multiply(..., out=di)`, which makes no array on the way.

# %%
table = np.zeros((1, 4))
left, right = blocks(table, 2)
np.multiply(np.array([[2.0, 3.0]]), 10, out=left)
right[...] = 7
print(table, np.empty_like(table).shape)


# %% nbgrader={"grade_id": "10-8", "solution": true}
#| export
def lstm_step_back(dh, dc, gates, c, squashed, da=None):
    """Gradients `(da, dc)` of one step: in what stood before tanh and sigmoid, (B, 4 * H), and in the memory before.

    dh, dc: what arrives for h and for c', (B, H); gates (B, 4 * H): what `lstm_step` left; c: the memory before it;
    squashed: tanh(c'). da: where the first result is written, if given. Changes none of the others.
    """
    half = half_for(c.shape[1], gates.dtype)
    da = np.empty_like(gates) if da is None else da
    (i, f, g, o), (di, df, dg, do) = blocks(gates, 4), blocks(da, 4)
    ### BEGIN SOLUTION
    np.multiply(dh, squashed, out=do)
    dc = dc + dh * o * (1 - squashed * squashed)
    np.multiply(dc, g, out=di)
    np.multiply(dc, c, out=df)
    np.multiply(dc, i, out=dg)
    da *= (1 - gates) * (gates + (2 * half - 1))
    return da, dc * f
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-8-test", "points": 10}
def gates_of(a):
    """The four blocks i, f, g, o of `a`, each through its own function: the slow specification."""
    return [np.tanh(part) if k == 2 else 1 / (1 + np.exp(-part)) for k, part in enumerate(np.split(a, 4, axis=1))]


def test_unit_lstm_step_back():
    gates, c, squashed = np.array([[0.75, 0.25, 0.5, 0.9]]), np.array([[2.0]]), np.array([[0.6]])
    one, ten = np.array([[1.0]]), np.array([[10.0]])
    da, dc = lstm_step_back(one, ten, gates, c, squashed)
    total = 10 + 0.9 * 0.64  # what arrived for the memory, and what h adds
    expected = [total * 0.5 * 0.1875, total * 2 * 0.1875, total * 0.75 * 0.75, 0.6 * 0.09]
    check_close(dc, [[total * 0.25]], "i 0.75, f 0.25, g 0.5, o 0.9, c = 2, tanh 0.6, arriving 1 and 10: in the memory")
    check_close(da, [expected], "the same: in what stood before tanh and sigmoid")
    check_close([one[0, 0], ten[0, 0], gates[0, 0], c[0, 0]], [1, 10, 0.75, 2], "everything given stays as it was")
    room = np.zeros((1, 4))
    lstm_step_back(one, ten, gates, c, squashed, room)
    check_close(room, [expected], "with room given for it, the first result is written there")


def test_unit_lstm_step_back_by_differences():
    a, c, dh, dc = numbers(2, 8), numbers(2, 2, seed=1), numbers(2, 2, seed=2), numbers(2, 2, seed=3)

    def weighed(_):
        write, keep, news, show = gates_of(a)
        memory = write * news + keep * c
        return np.sum(dh * np.tanh(memory) * show) + np.sum(dc * memory)

    gates = gates_of(a)
    after = np.tanh(gates[1] * c + gates[2] * gates[0])
    da, before = lstm_step_back(dh, dc, np.concatenate(gates, axis=1), c, after)
    check_close(da, numeric_gradient(weighed, a), "central differences: before the gates", rtol=1e-5, atol=1e-7)
    check_close(before, numeric_gradient(weighed, c), "central differences: in the memory", rtol=1e-5, atol=1e-7)


test_unit_lstm_step_back()
test_unit_lstm_step_back_by_differences()

# %% [markdown]
# ### LSTM and GRU over a sequence (given)
#
# Your two functions in a loop. The rule adds what the mask demands (beyond the end of a sequence the gradients pass
# by) and the product with $W_{hh}$. GRU is the same once more; go through `gru_back` with Task 10-3 beside it: the
# reset gate makes the only difference between what inputs and states get, so here the two sides have gradients of
# their own.


# %%
#| export
@operation
def lstm_sequence(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, /, *, mask=None):
    """All states (2, T + 1, B, H) of an LSTM, h and c, that reads x (B, T, D) from h and c (B, H).

    mask: bool (T, B, 1); where it is false the states stay as they were. None: it is true everywhere.
    """
    gates, across = projected(widest(x, h, c), weight_ih, bias_ih + bias_hh), as_rows(weight_hh.T)
    states = states_from(len(gates), *(as_floating(s).astype(gates.dtype, copy=False) for s in (h, c)))
    squashed = np.empty_like(states[0, 1:])
    for t in range(len(gates)):
        gates[t] += states[0, t] @ across
        states[0, t + 1], states[1, t + 1], squashed[t] = lstm_step(gates[t], states[1, t])
        if mask is not None:
            np.copyto(states[:, t + 1], states[:, t], where=~mask[t])
    return states.copy(), (gates, squashed, states)  # somebody may write into the result


def lstm_sequence_rule(g, saved, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, *, mask=None):
    gates, squashed, states = saved
    da, (dh, dc) = np.empty_like(gates), g[:, -1]
    for t in reversed(range(len(gates))):
        read = (dh, dc) if mask is None else (mask[t] * dh, mask[t] * dc)
        _, dc_before = lstm_step_back(*read, gates[t], states[1, t], squashed[t], da[t])
        dh_before = da[t] @ weight_hh
        if mask is not None:
            dh_before += ~mask[t] * dh
            dc_before += ~mask[t] * dc
        dh_before += g[0, t]
        dc_before += g[1, t]
        dh, dc = dh_before, dc_before
    for_x, *rest = weight_gradients(da, da, states[0, :-1], x, weight_ih)
    return for_x, dh, dc, *rest


def gru_step(from_x, from_h, h):
    """One step of a GRU on arrays: the next state, and the gates (B, 3 * H)."""
    gates = from_x + from_h
    r, z, n = blocks(gates, 3)
    both = gates[:, : 2 * h.shape[1]]
    both *= 0.5
    np.tanh(both, out=both)
    both *= 0.5
    both += 0.5
    n[...] = np.tanh(blocks(from_x, 3)[2] + r * blocks(from_h, 3)[2])
    return n + z * (h - n), gates


def gru_back(dh, gates, from_h, h):
    """Gradients of one step: in what inputs and states contributed, (B, 3 * H) each, and in the state before."""
    r, z, n = blocks(gates, 3)
    da_x = np.empty_like(gates)
    dr, dz, dn = blocks(da_x, 3)
    dn[...] = dh * (1 - z) * (1 - n * n)
    dz[...] = dh * (h - n) * z * (1 - z)
    dr[...] = dn * from_h * r * (1 - r)
    da_h = da_x.copy()
    blocks(da_h, 3)[2][...] *= r
    return da_x, da_h, dh * z


@operation
def gru_sequence(x, h, weight_ih, weight_hh, bias_ih, bias_hh, /, *, mask=None):
    """All states (1, T + 1, B, H) of a GRU that reads x (B, T, D) from the state h (B, H).

    mask: bool (T, B, 1); where it is false the state stays as it was. None: it is true everywhere.
    """
    from_x, across = projected(widest(x, h), weight_ih, bias_ih), as_rows(weight_hh.T)
    states = states_from(len(from_x), as_floating(h).astype(from_x.dtype, copy=False))
    news_from_h = np.empty_like(states[0, 1:])
    for t in range(len(from_x)):
        from_h = states[0, t] @ across + bias_hh
        news_from_h[t] = blocks(from_h, 3)[2]
        states[0, t + 1], from_x[t] = gru_step(from_x[t], from_h, states[0, t])
        if mask is not None:
            np.copyto(states[0, t + 1], states[0, t], where=~mask[t])
    return states.copy(), (from_x, news_from_h, states)  # what came from x was replaced by the gates


def gru_sequence_rule(g, saved, x, h, weight_ih, weight_hh, bias_ih, bias_hh, *, mask=None):
    gates, news_from_h, states = saved
    da_x, da_h, dh = np.empty_like(gates), np.empty_like(gates), g[0, -1]
    for t in reversed(range(len(gates))):
        read = dh if mask is None else mask[t] * dh
        da_x[t], da_h[t], before = gru_back(read, gates[t], news_from_h[t], states[0, t])
        before += da_h[t] @ weight_hh
        if mask is not None:
            before += ~mask[t] * dh
        dh = before + g[0, t]
    for_x, *rest = weight_gradients(da_x, da_h, states[0, :-1], x, weight_ih)
    return for_x, dh, *rest


autograd.rules.update(lstm_sequence=lstm_sequence_rule, gru_sequence=gru_sequence_rule)

# %%
x, h, c = numbers(2, 3, 3), numbers(2, 2, seed=8), numbers(2, 2, seed=9)
check_differences("LSTM", lstm_sequence, x, h, c, *weights_of(4, 3, 2))
check_differences("GRU", gru_sequence, x, h, *weights_of(3, 3, 2))
print("the gradients of both agree with central differences in all of their inputs")

# %% [markdown]
# ### The layers (given)
#
# Three cells, which make one step, and three layers, which read a sequence in one operation. Both kinds have the same
# weights under the names that PyTorch gives them, so that state dicts travel; in a layer each name ends in `_l0`, the
# first of possibly many layers. With `output_size` there is a `head`, a `Linear` that turns states into scores. A
# cell that is given a whole sequence reads it by your `unroll`, step by step: the slow form, with which the fast one
# is compared.


# %%
#| export
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def whole_size(name, what, value):
    """`value` as an int. Raises: ValueError that names it unless it is a whole number of at least 1."""
    try:
        size = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        size = None
    if size is None or size < 1:
        raise ValueError(f"{name}: {what} is {value!r}; it must be a whole number of at least 1")
    return size


class _Recurrent(Module):
    """What cells and layers share: weights, head, checks, and how sequences are read."""

    gates, forget, kept, suffix = 1, None, 1, ""  # blocks, which of them forgets, how many states

    def __init__(self, input_size, hidden_size, output_size=None, rng=None):
        name = type(self).__name__
        self.input_size = whole_size(name, "input_size", input_size)
        self.hidden_size = whole_size(name, "hidden_size", hidden_size)
        self.output_size = None if output_size is None else whole_size(name, "output_size", output_size)
        arrays = first_weights(self.input_size, self.hidden_size, self.gates, self.forget, rng)
        for weight, array in zip(WEIGHTS, arrays):
            setattr(self, weight + self.suffix, Parameter(array))
        self.head = None if output_size is None else Linear(self.hidden_size, self.output_size, rng=rng)

    def weights(self):
        """The four Parameters: weight_ih, weight_hh, bias_ih, bias_hh."""
        return [getattr(self, name + self.suffix) for name in WEIGHTS]

    def get_params(self):
        """Name -> array (a copy) of all Parameters."""
        return self.state_dict()

    def set_params(self, params):
        """Write the arrays by name into the same Parameters. Raises: ValueError if names or shapes differ."""
        self.load_state_dict(params)

    def extra_repr(self):
        return f"input_size={self.input_size}, hidden_size={self.hidden_size}, output_size={self.output_size}"

    def inputs(self, x):
        """`x` as a Tensor of one step (B, D) or of sequences (B, T, D). Raises: ValueError for any other shape."""
        x, name = x if isinstance(x, Tensor) else Tensor(x), type(self).__name__
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ValueError(f"{name}: x has shape {x.shape}; the last size must be input_size, {self.input_size}, "
                             "in (B, D) or (B, T, D)")  # fmt: skip
        if x.ndim == 3 and x.shape[1] == 0:
            raise ValueError(f"{name}: x has shape {x.shape}; a sequence of no steps has no state after it")
        return x

    def started(self, x, state):
        """The state to begin with as a tuple: zeros for each sequence of x unless `state` is given."""
        shape = len(x), self.hidden_size
        if state is None:
            dtype = np.result_type(as_floating(x.data[:0]), self.weights()[1].data)
            return tuple(Tensor(np.zeros(shape), dtype=dtype) for _ in range(self.kept))
        parts = tuple(state) if isinstance(state, tuple | list) else (state,)
        parts = tuple(part if isinstance(part, Tensor) else Tensor(part) for part in parts)
        if [part.shape for part in parts] != [shape] * self.kept:
            raise ValueError(f"{type(self).__name__}: the state has shapes {[part.shape for part in parts]}; it must "
                             f"have {[shape] * self.kept}")  # fmt: skip
        return parts

    def reading(self, x, lengths):
        """The mask (B, T) for these lengths, or None. Raises: ValueError that names what does not fit."""
        if lengths is None:
            return None
        counts, (B, T) = np.asarray(lengths.data if isinstance(lengths, Tensor) else lengths), x.shape[:2]
        fit = counts.dtype.kind in "iuf" and counts.shape == (B,) and np.isin(counts, np.arange(T + 1)).all()
        if not fit:
            raise ValueError(f"{type(self).__name__}: lengths is {lengths!r:.60}; it must have {B} whole numbers "
                             f"between 0 and {T}, one for each sequence")  # fmt: skip
        return length_mask(counts, T)

    def scan(self, X, state=None, lengths=None):
        """Read X (B, T, D): the states h after each step (B, T, H), and the last state, h or the pair (h, c).

        state: where to begin, of the form of the second result; zeros without it.
        lengths: B whole numbers, how many steps of each sequence count; beyond, its state stays as it is.
        """
        X = self.inputs(X)
        if X.ndim != 3:
            raise ValueError(
                f"{type(self).__name__}: x has shape {X.shape}; sequences are (B, T, D); for one try x[None]"
            )
        outputs, last = self._scan(X, self.started(X, state), self.reading(X, lengths))
        return outputs, last if self.kept > 1 else last[0]

    def _read(self, X, return_sequences, state, lengths):
        outputs, last = self.scan(X, state, lengths)
        h = outputs if return_sequences else last[0] if self.kept > 1 else last
        return h if self.head is None else self.head(h)


class _Cell(_Recurrent):
    def forward(self, x, state=None, return_sequences=False, lengths=None):
        """For one step x (B, D) the next state, as in PyTorch; for sequences (B, T, D) what the layer gives.

        A head reads the states of sequences only; for those of single steps call `cell.head(h)`.
        """
        x = self.inputs(x)
        if x.ndim == 3:
            return self._read(x, return_sequences, state, lengths)
        new = self.step(x, self.started(x, state))
        return new if self.kept > 1 else new[0]

    def _scan(self, X, state, mask):
        return unroll(self.step, X, state, np.ones(X.shape[:2], dtype=bool) if mask is None else mask)


class RNNCell(_Cell):
    """One step of the plain cell: x (B, D) and h (B, H), zeros without it, to the next h.

    weight_ih (H, D), weight_hh (H, H), bias_ih and bias_hh (H,); head: a Linear if `output_size` is given.
    """

    def step(self, x, state):
        return (rnn_cell(x, *state, *self.weights()),)


class LSTMCell(_Cell):
    """One step of LSTM: x (B, D) and the pair (h, c) of (B, H), zeros without it, to the next pair.

    weight_ih (4 * H, D), weight_hh (4 * H, H), bias_ih and bias_hh (4 * H,), blocks i, f, g, o; head: a Linear if
    `output_size` is given.
    """

    gates, forget, kept = 4, 1, 2

    def step(self, x, state):
        return lstm_cell(x, *state, *self.weights())


class GRUCell(_Cell):
    """One step of GRU: x (B, D) and h (B, H), zeros without it, to the next h.

    weight_ih (3 * H, D), weight_hh (3 * H, H), bias_ih and bias_hh (3 * H,), blocks r, z, n; head: a Linear if
    `output_size` is given.
    """

    gates = 3

    def step(self, x, state):
        return (gru_cell(x, *state, *self.weights()),)


class _Layer(_Recurrent):
    """A whole sequence as one operation."""

    suffix = "_l0"

    def forward(self, X, return_sequences=False, state=None, lengths=None):
        """X (B, T, D) to (B, H), from the last state; with `return_sequences` (B, T, H), from each.

        With `output_size` the head makes (B, output_size) or (B, T, output_size) of it. state, lengths: see `scan`.
        """
        return self._read(X, return_sequences, state, lengths)

    def _scan(self, X, state, mask):
        by_time = None if mask is None else mask.T[:, :, None]
        states = type(self).sequence(X, *state, *self.weights(), mask=by_time)
        return states[0, 1:].permute(1, 0, 2), tuple(states[k, -1] for k in range(self.kept))


class RNN(_Layer):
    """The plain cell over sequences: (B, T, D) to (B, H) or, with `output_size`, to (B, output_size).

    weight_ih_l0 (H, D), weight_hh_l0 (H, H), bias_ih_l0 and bias_hh_l0 (H,); head.weight and head.bias.
    """

    sequence = staticmethod(rnn_sequence)


class LSTM(_Layer):
    """LSTM over sequences: (B, T, D) to (B, H) or, with `output_size`, to (B, output_size).

    weight_ih_l0 (4 * H, D), weight_hh_l0 (4 * H, H), bias_ih_l0 and bias_hh_l0 (4 * H,), blocks i, f, g, o;
    head.weight and head.bias. The forget gate begins with 1 in bias_ih_l0, and all other biases with 0.
    """

    gates, forget, kept = 4, 1, 2
    sequence = staticmethod(lstm_sequence)


class GRU(_Layer):
    """GRU over sequences: (B, T, D) to (B, H) or, with `output_size`, to (B, output_size).

    weight_ih_l0 (3 * H, D), weight_hh_l0 (3 * H, H), bias_ih_l0 and bias_hh_l0 (3 * H,), blocks r, z, n; head.weight
    and head.bias.
    """

    gates = 3
    sequence = staticmethod(gru_sequence)


# %%
manual_seed(0)
slow, fast = LSTMCell(5, 7), LSTM(5, 7)
fast.set_params({f"{name}_l0": array for name, array in slow.get_params().items()})
X = Tensor(numbers(4, 6, 5))
print(fast)
difference = np.abs(slow(X, return_sequences=True).data - fast(X, return_sequences=True).data).max()
print("largest difference, step by step and in one operation:", difference)

# %% [markdown]
# ## Part 4. Integration
#
# ### Names, read letter by letter
#
# An LSTM with 32 numbers for a state reads the names of Part 1, each up to its own length. **Predict** its share of
# the test names: does order matter? And a third model, the same LSTM without `lengths`: after the last letter it
# reads zeros up to the longest name. Does that hurt?


# %%
def read_names(rows):
    """The inputs of `NameReader`."""
    return Tensor(letters[rows]), lengths[rows]


class NameReader(Module):
    """Scores for two classes from the state after the last letter, or after the padding with `use_lengths=False`."""

    def __init__(self, layer, use_lengths=True):
        self.layer, self.use_lengths = layer, use_lengths

    def forward(self, X, lengths):
        return self.layer(X, lengths=lengths if self.use_lengths else None)


# %% tags=["measure"]
readers = {}
for title, use_lengths in (("each to its own end", True), ("padding read as well", False)):
    manual_seed(0)
    readers[title] = fit(NameReader(LSTM(27, 32, 2), use_lengths), read_names, epochs=3)
    print(f"LSTM, {title}: {share_right(readers[title], read_names):.3f} of the test names right")

# %% tags=["measure"]
import matplotlib.pyplot as plt

reader = readers["each to its own end"]
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name in ("Ina", "Ian", "Christian", "Christina"):
    X, length = encode([name])
    with no_grad():
        scores = reader.layer(Tensor(X), return_sequences=True, lengths=length).data[0]
    chances = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    print("  ".join(f"{letter} {chance:.2f}" for letter, chance in zip(name, chances)), "  on the male list?")
    (line,) = ax.plot(chances, label=name)
    box = {"boxstyle": "circle", "facecolor": "white", "edgecolor": line.get_color()}
    for place, (letter, chance) in enumerate(zip(name, chances)):
        ax.text(place, chance, letter, ha="center", va="center", bbox=box)
ax.set(xlabel="letters read before", ylabel="chance of the male list", ylim=(-0.15, 1.15))
fig.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# The state after each letter goes through the same head here, so you can watch the network change its mind. Note that
# it was only ever asked after the last letter.

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### How gradients vanish and explode
#
# Take the recurrent weights of a plain cell as $s$ times an orthogonal matrix. The loss looks at the last state only;
# how large is the gradient in the input at each step before it? Each step back multiplies by $s$ and by $1 - h^2$,
# and with states near zero the latter is near 1. So **predict** the factor per step for $s = 0.8$, $1$ and $1.2$,
# before you compare it with the slope of the lines. And for an LSTM whose forget gates begin with a bias of 0, 1 or 4?


# %%
def lengths_back(model, steps=60, size=1e-4):
    """Norms of the gradient in the input of each step, for a loss that looks at the last state; small inputs."""
    X = Tensor(size * numbers(4, steps, model.input_size), requires_grad=True, dtype=np.float64)
    y = model(X)
    y.backward(Tensor(numbers(*y.shape, seed=1), dtype=np.float64))
    return np.linalg.norm(X.grad.data, axis=(0, 2))


def stretched(factor, seed=0):
    """A plain cell over sequences, 32 numbers wide, whose recurrent weights are `factor` times an orthogonal matrix."""
    layer = RNN(8, 32, rng=np.random.default_rng(seed))
    layer.weight_hh_l0.data *= factor
    return layer


def forgetful(bias, seed=0):
    """An LSTM whose forget gates begin with this bias."""
    layer = LSTM(8, 32, rng=np.random.default_rng(seed))
    layer.bias_ih_l0.data[32:64] = bias
    return layer


# %% tags=["measure"]
models = {f"plain, weights times {s}": stretched(s) for s in (0.8, 1.0, 1.2)}
models |= {f"LSTM, forget bias {b}": forgetful(b) for b in (0, 1, 4)}
models["GRU"] = GRU(8, 32, rng=np.random.default_rng(0))
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for title, model in models.items():
    norms = lengths_back(model)
    back = np.arange(len(norms))[::-1]
    factor = math.exp(np.polyfit(back[:-10], np.log(norms[:-10]), 1)[0])
    ax.semilogy(back, norms, label=f"{title}: {factor:.2f} a step")
    print(f"{title}: the gradient is multiplied by {factor:.3f} at each step back")
ax.set(xlabel="steps before the last", ylabel="norm of the gradient in the input")
ax.legend(fontsize=8)
plt.show()
print("sigmoid of 0, 1, 4:", *(round(1 / (1 + math.exp(-b)), 3) for b in (0, 1, 4)))

# %% [markdown]
# The LSTM's factor is larger than its forget gate. For there are two ways back. Along the memory: the factor
# $\sigma(b)$. And around: from the memory to $h$, through an output gate of 0.5; from $h$ through the orthogonal matrix
# to the news; through an input gate of 0.5 into the memory. That adds up to 0.25 more. Add it to the three numbers in
# the last line, and compare. What is the sum for a GRU, whose two gates begin at 0.5?
#
# ### What is not learned
#
# Vanishing gradients are no theory. The task: the first number of a sequence is 1 or -1, what follows is noise, and
# at the end the network must say which it was. You know the factor with which each network begins: **predict** from
# it who learns the task over 40 steps: the plain cell with orthogonal weights, with 0.8 times these, GRU, LSTM, and
# LSTM with a forget bias of 0.


# %%
def remember(model, steps, updates=120, seed=0):
    """Train on fresh sequences whose class is the sign of the first number; the share right in the last 20 batches."""
    rng, loss_fn, shares = np.random.default_rng(seed), CrossEntropyLoss(), []
    optimizer = Adam(model.parameters(), lr=0.01)
    for _ in range(updates):
        X, y = rng.normal(0, 0.5, size=(32, steps, 1)), rng.integers(0, 2, size=32)
        X[:, 0, 0] = 2 * y - 1
        optimizer.zero_grad()
        scores = model(Tensor(X))
        loss_fn(scores, y).backward()
        clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        shares.append(np.mean(scores.data.argmax(axis=1) == y))
    return float(np.mean(shares[-20:]))


# %%
def shrinking(*sizes):
    """A plain network whose recurrent weights begin 0.8 times as large."""
    layer = RNN(*sizes)
    layer.weight_hh_l0.data *= 0.8
    return layer


def half_forgetting(*sizes):
    """An LSTM whose forget gates begin at 0.5."""
    layer = LSTM(*sizes)
    layer.bias_ih_l0.data *= 0
    return layer


# %% tags=["measure"]
makers = {"plain": RNN, "plain, times 0.8": shrinking, "GRU": GRU, "LSTM": LSTM, "LSTM, bias 0": half_forgetting}
for title, make in makers.items():
    shares = {}
    for steps in (10, 40):
        manual_seed(0)
        shares[steps] = remember(make(1, 16, 2), steps)
    print(
        f"{title:17}", *(f"  {steps} steps: {share:.2f} right" for steps, share in shares.items()), "  (guessing 0.50)"
    )

# %% [markdown]
# Over ten steps everybody learns it; over 40 those who begin with a factor near 1. For the others next to nothing of
# the first number reaches the loss, and what does not arrive cannot change weights. 120 updates are few, and one seed
# is no proof: try others, and longer runs, before you believe a ranking. Milestone 05 gives a plain network and an LSTM
# a harder task over 100 steps, with more training and several seeds.
#
# ### What one operation is worth
#
# The same LSTM, step by step on the graph and as one operation, forward and back. **Predict** the factor, and
# the exponent with which time grows with the number of steps.


# %%
def once(model, X):
    """One pass forward and back."""
    model.zero_grad()
    model(X).sum().backward()


def receipts_behind(y):
    """How many receipts a backward from `y` walks along."""
    seen, waiting = set(), [y]
    while waiting:
        node = waiting.pop()
        if node not in seen and node.receipt is not None:
            seen.add(node)
            waiting += [x for x in node.receipt.inputs if isinstance(x, Tensor)]
    return len(seen)


# %% tags=["measure"]
pair = {"step by step": LSTMCell(16, 32), "one operation": LSTM(16, 32)}
counts, seconds = [10, 20, 40, 80], {}
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for title, model in pair.items():
    inputs = [Tensor(numbers(16, steps, 16)) for steps in counts]
    seconds[title] = [measure(lambda m=model, X=X: once(m, X), f"{title}, {X.shape[1]} steps", 3) for X in inputs]
    exponent = np.polyfit(np.log(counts), np.log(seconds[title]), 1)[0]
    print(f"{title}: exponent {exponent:.2f}; receipts at 80 steps: {receipts_behind(model(inputs[-1]))}")
    ax.loglog(counts, np.array(seconds[title]) * 1e3, marker="o", label=f"{title}: exponent {exponent:.2f}")
print(f"at 80 steps one operation is {seconds['step by step'][-1] / seconds['one operation'][-1]:.1f} times faster")
ax.set(xlabel="steps in the sequence", ylabel="milliseconds, there and back", xticks=counts, xticklabels=counts)
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# Where does the rest of the time go? The steps must be made one after the other: step 40 needs the state after step
# 39. A convolution makes all its places at once. That is why longer sequences cost time here that no wider machine can
# save, and it is what module 11 is about.
#
# ### The price of going back
#
# To walk back, the states and gates of all steps must be kept. **Predict** how memory grows with the number of steps.

# %%
import tracemalloc


def kept_bytes(model, X):
    """Bytes that are still held after a forward pass, because the receipts need them."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    y = model(X)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held, y


# %% tags=["measure"]
for title, model in pair.items():
    held = [kept_bytes(model, Tensor(numbers(16, steps, 16)))[0] for steps in counts]
    print(f"{title}:", "  ".join(f"{steps} steps {size / 1e6:.2f} MB" for steps, size in zip(counts, held)))

# %% [markdown]
# Linear in the number of steps in both. For very long sequences one goes back only a fixed number of steps: Task 10-9.
#
# ## Part 6. Module test
#
# Every test once more. Then all six classes agree, a batch stays apart from the state, and an LSTM trains.


# %% nbgrader={"grade_id": "10-module"}
def test_module():
    test_unit_rnn_cell()
    test_unit_lstm_cell()
    test_unit_lstm_cell_number_by_number()
    test_unit_gru_cell()
    test_unit_gru_cell_number_by_number()
    test_unit_first_weights()
    test_unit_unroll()
    test_unit_unroll_lengths()
    test_unit_rnn_back()
    test_unit_rnn_back_by_differences()
    test_unit_lstm_step()
    test_unit_lstm_step_back()
    test_unit_lstm_step_back_by_differences()

    X, counts = Tensor(numbers(4, 6, 3), requires_grad=True), [6, 1, 3, 5]
    for cell, layer in ((RNNCell, RNN), (LSTMCell, LSTM), (GRUCell, GRU)):
        slow, fast = cell(3, 4, 2), layer(3, 4, 2)  # as many sequences as hidden numbers
        own = slow.get_params()
        fast.set_params({name if "head" in name else f"{name}_l0": own[name] for name in own})
        name, results = layer.__name__, []
        for model in (slow, fast):
            X.grad = None
            y = model(X, return_sequences=True, lengths=counts)
            (y * y).sum().backward()
            results.append((y.data, X.grad.data))
        check_close(
            results[1][0], results[0][0], f"{name}: one operation computes what the steps do", rtol=1e-4, atol=1e-5
        )
        check_close(results[1][1], results[0][1], f"{name}: and so do its gradients", rtol=1e-3, atol=1e-4)
        alone = np.concatenate([fast(X[b : b + 1, : counts[b]]).data for b in range(4)])
        check_close(fast(X, lengths=counts), alone, f"{name}: a sequence does not see the others", rtol=1e-4, atol=1e-5)
    text = check_raises(ValueError, lambda: LSTM(3, 4)(numbers(2, 6, 5)), "inputs of another size")
    check("(2, 6, 5)" in text and "3" in text, "the error names both")
    share = remember(LSTM(1, 8, 2, rng=np.random.default_rng(0)), steps=5, updates=60)
    check(share > 0.9, "an LSTM learns to remember for five steps")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "10-q1", "points": 5, "solution": true}
# **Question 1. Counting (5 points).** An LSTM takes 100 numbers a step and has a state of 256; sequences have 50
# steps, a batch has 32 of them. (a) How many numbers does it own, as PyTorch counts? (b) How many multiplications
# does the product with `weight_hh` take for one sequence, and which share of the whole forward pass is that? (c)
# Which arrays must be kept for the way back, and how many numbers are they per step and sequence? (d) Which of these
# numbers grow with the length of the sequence, and which do not?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 4 * 256 * (100 + 256 + 2) = 366,592.
# 1 point: (b) 50 * 4 * 256 * 256 = 13.1 million; 256 / 356 = 72 percent.
# 2 points: (c) the four gates, c and tanh(c), h, and the inputs (1); 4 * 256 + 3 * 256 + 100, about 1,900 (1).
# 1 point: (d) work and what is kept grow in proportion; the weights do not.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "10-q2", "points": 5, "solution": true}
# **Question 2. Factors (5 points).** (a) Recurrent weights are 1.1 times an orthogonal matrix. About how large is a
# gradient after 100 steps back, and which part of the tanh speaks against it? (b) Why does clipping help against one
# of the two troubles, and not against the other? (c) Why does the LSTM's memory path not need an orthogonal matrix?
# (d) Somebody sets the forget bias to 10 for good. What is gained, and what lost?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 1.1**100 = 13,780 times; states far from 0 make 1 - h^2 small.
# 2 points: (b) clipping makes a long gradient shorter and keeps its direction (1); of a vanished one the part
# from far back is lost beside the part from near, and no factor brings it back (1).
# 1 point: (c) c' = f c + i g: there is no matrix on it, only a product with f.
# 1 point: (d) memory stays for thousands of steps; it can hardly be cleared, and its gates hardly learn (slope near
# 0).
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "10-q3", "points": 5, "solution": true}
# **Question 3. One batch, many lengths (5 points).** (a) A colleague takes `outputs[:, -1]` of padded sequences
# without a mask. What does the network see, and why may training still succeed? (b) Where do the gradients of the
# steps beyond the end go in our form? (c) Name a way to waste less work on padding. (d) At the end of an epoch the
# last state is kept and the next epoch begins with it. For which data is that right, and what is wrong with it for
# names?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) the state after reading zeros, so its own end is that many steps away (1); the network can learn to
# keep what it knows through zeros, for they look like no letter (1).
# 1 point: (b) to the state before, unchanged, until the last real step; nothing to the weights.
# 1 point: (c) batches of similar length, or shrinking the batch as sequences end (packing).
# 1 point: (d) for one long text cut in pieces; names have nothing to do with each other, and results would depend on
# order.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 10-9. Only so far back
#
# For a text of a million letters nobody keeps a million states. One reads it in pieces of, say, 50 steps. The state
# goes on from piece to piece, but gradients stop at the border: *truncated* back-propagation through time. The state
# is taken off the graph between two pieces, by `detach`.
#
# `model.scan(part, state)` of the layers reads a part and gives the states and the last state: a Tensor, or the pair
# (h, c). For the first part the state is None. Give a list of the states of each part, (B, at most `size`, H).

# %%
h = Tensor([1.0], requires_grad=True) * 2
print("on the graph:", h.requires_grad, " detached:", h.detach().requires_grad, " a pair?", isinstance((h, h), tuple))
print("parts of 2 of five:", [list(range(5))[at : at + 2] for at in range(0, 5, 2)])


# %% nbgrader={"grade_id": "10-9", "solution": true, "optional": true}
#| export
def read_in_parts(model, X, size):
    """The states of each part of X (B, T, D), `size` steps long, the last perhaps shorter: a list of (B, steps, H).

    The state goes on from part to part, and no gradient goes from one part into an earlier one.
    Source: Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
        trajectories".
    """
    state, outputs = None, []
    ### BEGIN SOLUTION
    for start in range(0, X.shape[1], size):
        states, state = model.scan(X[:, start : start + size], state)
        outputs.append(states)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
    return outputs
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-9-test", "optional": true}
class Halving:
    """What `read_in_parts` needs of a layer: h' = h / 2 + x, and a pair of states if asked."""

    def __init__(self, pair=False):
        self.pair = pair

    def scan(self, X, state=None):
        h, kept = state if self.pair and state is not None else (state, None)
        h, outputs = Tensor(np.zeros((len(X), 1))) if h is None else h, []
        for x in X.permute(1, 0, 2):
            h = h / 2 + x
            outputs.append(h)
        return stack(outputs, dim=1), (h, h if kept is None else kept + h) if self.pair else h


def test_unit_read_in_parts():
    X = Tensor(np.array([[[8.0], [4.0], [2.0], [1.0], [3.0]]]), requires_grad=True)
    for pair in (False, True):
        X.grad = None
        outputs = read_in_parts(Halving(pair), X, 2)
        check(isinstance(outputs, list) and len(outputs) == 3, "five steps in parts of two: a list of three")
        check_close(np.concatenate([part.data[0, :, 0] for part in outputs]), [8, 8, 6, 4, 5], "the state goes on")
        outputs[1].sum().backward()
        check_close(X.grad[0, :, 0], [0, 0, 1.5, 1, 0], "the gradient stays in its part")


test_unit_read_in_parts()

# %% tags=["measure"]
manual_seed(0)
model, X = RNN(2, 8), Tensor(numbers(3, 100, 2), requires_grad=True)
for size in (10, 100):
    X.grad = None
    read_in_parts(model, X, size)[-1][:, -1].sum().backward()
    print(f"parts of {size:3}: a gradient in the last {np.count_nonzero(np.abs(X.grad.data).max(axis=(0, 2)))} steps")

# %% [markdown]
# ### Task 10-10. In both directions
#
# The end of a name decides about its beginning, too. A *bidirectional* network reads a sequence twice, forwards and
# backwards, with two layers. With padding there is a trap: turned around as a whole, a short sequence begins with its
# padding. Turn each around within its own length, and leave the padding where it is.
#
# So for each sequence of length $n$, step $t$ of the result is step $n - 1 - t$ where $t < n$, else step $t$. Make
# the array of these step numbers, (B, T), and index with it.

# %%
board, rows = np.arange(6).reshape(2, 3), np.arange(2)[:, None]
print("index with two arrays:", board[rows, np.array([[2, 1, 0], [0, 1, 2]])].tolist())
print("where:", np.where(np.arange(3) < 2, 10, np.arange(3)))


# %% nbgrader={"grade_id": "10-10", "solution": true, "optional": true}
#| export
def turned(X, lengths):
    """X (B, T, D), a Tensor, with the first `lengths[b]` steps of each sequence in the opposite order."""
    t, n = np.arange(X.shape[1]), np.asarray(lengths)[:, None]
    ### BEGIN SOLUTION
    steps = np.where(t < n, n - 1 - t, t)
    return X[np.arange(len(n))[:, None], steps]
    ### END SOLUTION


# %% nbgrader={"grade_id": "10-10-test", "optional": true}
def test_unit_turned():
    X = Tensor(np.arange(1.0, 9.0).reshape(2, 4, 1), requires_grad=True)
    got = turned(X, [3, 4])
    check_close(got[:, :, 0], [[3, 2, 1, 4], [8, 7, 6, 5]], "lengths 3 and 4: each within its own length")
    check_close(turned(X, [0, 1])[:, :, 0], X[:, :, 0], "lengths 0 and 1 change nothing")
    (got * Tensor(np.arange(8.0).reshape(2, 4, 1))).sum().backward()
    check_close(X.grad[:, :, 0], [[2, 1, 0, 3], [7, 6, 5, 4]], "gradients go back to where the numbers came from")


test_unit_turned()

# %% [markdown]
# ## Summary
#
# - A recurrent network is one function, used at every step, with a state that it hands on. Unrolled it is a deep
#   network with shared weights, and back-propagation through time is the walk that you know.
# - Each step back multiplies a gradient by a matrix and a slope. Below 1 it vanishes, above 1 it explodes, at the rate
#   that the weights say from the start.
# - LSTM and GRU keep a memory that changes only where a gate opens. The order of gates, the place of the reset, and
#   the bias of the forget gate are details that decide.
# - A mask lets each sequence end where it ends. Gradients of steps that were not made pass by.
# - All that does not depend on the state is one product over all steps; what remains in the loop is small, and must be
#   made one step after the other.
#
# **Next.** A state is a bottleneck: everything that was read must fit into H numbers. Module 11 looks back at all of
# it instead, whenever it wants.
