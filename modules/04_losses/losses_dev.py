# %% [markdown]
# # Module 04. Losses
#
# A network with random weights and a network with good ones are the same code with other numbers. To improve the
# numbers, one must first say how bad they are, and say it in *one* number, because only one number can be made smaller.
# That number is the loss. It is the only thing that training ever looks at: what the loss does not see is not learned,
# and where the loss breaks, training breaks. You build the three losses behind nearly every network there is, so that
# they are right for wild inputs, refuse wrong ones by name, and cost next to nothing.
#
# **You need** modules 01 (`Tensor`, the door `@operation`), 02 (`softmax`, `log_softmax`) and 03 (`Linear`); from
# school, the logarithm.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `operation`, receipts that keep a value | each loss is one operation | 05 autograd: backward begins here |
# | 02 `log_softmax`, `sigmoid`, shifting | logarithms of probabilities | 07 training: the number that falls |
# | 03 `Linear`, `Sequential` | networks to be judged | 13 to 15, language models: cross-entropy over a vocabulary |
#
# **After this module you can**
#
# - say what a loss must do that accuracy does not, and show it on real data;
# - derive the squared error and the cross-entropy from one question each, and choose between them;
# - write cross-entropy as one operation that stays finite for logits of 1000 and makes its own gradient cheap;
# - turn wrong labels, wrong shapes and empty batches into errors that name the culprit, before they cost you a night;
# - tell from the first printed loss whether a classifier starts as it should.
#
# Your code goes to `tinytorch/core/losses.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.losses import CrossEntropyLoss
# from tinytorch.core.tensor import Tensor
#
# print(CrossEntropyLoss()(Tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), [0, 2]))
# ```

# %%
#| default_exp core.losses
#| export
import numpy as np

from tinytorch.core.activations import as_floating
from tinytorch.core.tensor import Tensor, broadcast_shape, operation

# %%
from tinytorch.core.activations import ReLU, log_softmax, sigmoid, softmax
from tinytorch.core.layers import Linear, Sequential
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import check, check_close, check_raises, measure

images, labels = load_digits()
train, test = digits_split()
ink = images.reshape(-1, 64) / 16  # (1797, 64), between 0 and 1

# %% [markdown]
# ## Part 1. Introduction
#
# Why not simply count the mistakes? Take the classifier of module 03, whose unit $k$ holds the mean image of digit
# $k$: 640 weights and 10 biases, nine of ten digits right. To improve it, turn one knob a little and see whether it
# gets better. **Predict**: for how many of the 650 numbers does adding 0.01 change the number of right answers among
# the 1437 training images?


# %%
def nearest_mean(x, digits):
    """Weight (10, F) and bias (10,) of a layer that answers with the nearest mean of x (N, F)."""
    means = np.stack([x[digits == digit].mean(axis=0) for digit in range(10)])
    return means, -0.5 * np.square(means).sum(axis=1)


def count_right(weight, bias):
    return int(((ink[train] @ weight.T + bias).argmax(axis=1) == labels[train]).sum())


weight, bias = nearest_mean(ink[train], labels[train])
before = count_right(weight, bias)
changes = []
for numbers in (weight, bias):
    for place in np.ndindex(numbers.shape):
        numbers[place] += np.float32(0.01)
        changes.append(count_right(weight, bias) - before)
        numbers[place] -= np.float32(0.01)
changes = np.array(changes)
print(f"right before: {before} of {len(train)}")
print(f"of {len(changes)} knobs, {(changes == 0).sum()} change nothing; the others change it by {np.unique(changes)}")

# %% [markdown]
# Most knobs are dead: an answer changes only when two scores cross. And where something changes, it is by whole images.
# Such a staircase says "no difference" almost everywhere and never in which direction to go on. Part 4 turns the same
# knobs again, with a loss.

# %% [markdown]
# ## Part 2. Foundations
#
# ### What a loss must do
#
# 1. **Be lowest when the answer is right**, for each example, and tell bad from worse.
# 2. **Have a slope everywhere.** Module 05 will compute slopes for all weights at once; a staircase has none to give.
# 3. **Be honest.** Where the data are uncertain, the lowest loss must belong to saying *how* uncertain.
#
# Two losses follow from one question each.
#
# ### One number for many: what is the best guess?
#
# You must guess one number for a whole heap of numbers, and pay for the distance. What you should guess depends on
# how you pay. Here the heap is the ink of one pixel on all images; the guess goes through a fine grid. **Predict**
# what the best guess is called in each case.

# %%
heap = ink[:, 54]  # row 6, column 6: empty on many images, black on some
guesses = np.linspace(0, 1, 1601)
squared = [np.square(guess - heap).sum() for guess in guesses]
absolute = [np.abs(guess - heap).sum() for guess in guesses]
print(f"best guess if squares are paid:   {guesses[np.argmin(squared)]:.3f}   mean   {heap.mean():.3f}")
print(f"best guess if distances are paid: {guesses[np.argmin(absolute)]:.3f}   median {np.median(heap):.3f}")

# %% [markdown]
# So a network trained on squares learns to say the *mean* of what may come. That is a choice: means are pulled far by
# a few wild examples, medians are not. Optional task 04-9 stands between the two.
#
# ### How probable is what happened?
#
# A classifier gives each class a probability. How good is it on images that it did not choose? Ask how probable it
# called what then happened, all of it: the product of the probabilities $p_n$ that it gave to the right answers. A good
# classifier makes that product large. In a computer it is a poor number, and its logarithm is a good one, for the
# logarithm of a product is a sum:
#
# $$\log \prod_n p_n = \sum_n \log p_n .$$

# %%
sure = np.full(1437, 0.9, dtype=np.float32)  # every right answer got 0.9
print("product in float32:", np.prod(sure), "  sum of logarithms:", np.sum(np.log(sure)))
for p in (1.0, 0.9, 0.5, 0.1, 0.01, 1e-6):
    print(f"right answer got {p:8}: -log p = {np.log(1 / p):6.3f}")

# %% [markdown]
# The minus makes it a loss: 0 for certainty that was right, and more and more for certainty that was wrong. The mean of
# $-\log p_n$ over all examples is the *negative log-likelihood*, also called cross-entropy. With a mean instead of a
# sum, the loss of a hundred images can be compared with the loss of a thousand.
#
# Is it honest? Let an answer be right 70 times in 100, whatever one knows. Claim the probability $q$, and look for the
# claim with the lowest mean loss. **Predict** it for three ways to pay: $-\log$ of what the outcome got, the square of
# what it lacked to 1, and simply what it lacked.

# %%
claims = np.linspace(0.001, 0.999, 999)
payments = {"-log q": lambda q: -np.log(q), "(1 - q)^2": lambda q: np.square(1 - q), "1 - q": lambda q: 1 - q}
for name, pay in payments.items():
    mean = 0.7 * pay(claims) + 0.3 * pay(1 - claims)
    print(f"{name:10} best claim {claims[np.argmin(mean)]:.3f}")

# %% [markdown]
# The third one looks reasonable and rewards lying. The logarithm does not. Squares do not either; what is wrong with
# squares of probabilities will be seen in Part 5, and it has to do with the second demand.
#
# ### Slopes, for now by differences
#
# Until module 05 you have the difference quotient, as in module 02. This one gives the slope in every element of an
# array, one element after the other: two losses for each.


# %%
def slopes(loss, x, h=1e-5):
    """Slope of `loss` (Tensor to Tensor of shape ()) in every element of the array `x`; in float64."""
    x = np.array(x, dtype=np.float64)
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        kept = x[place]
        ends = []
        for step in (h, -h):
            x[place] = kept + step
            ends.append(loss(Tensor(x, dtype=np.float64)).item())
        x[place] = kept
        found[place] = (ends[0] - ends[1]) / (2 * h)
    return found


print("slopes of the sum of x * x:", slopes(lambda x: (x * x).sum(), [-1.0, 0.0, 2.0]).round(6))

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 04-1. The mean of squares
#
# For predictions $\hat y$ and targets $y$ with $N$ elements, whatever their shape:
#
# $$\mathrm{MSE}(\hat y, y) = \frac{1}{N}\sum_{i} (\hat y_i - y_i)^2$$
#
# As an operation it computes on arrays. `np.square(x)` squares value by value and `np.mean(x)` is the mean of
# everything. The trap is in front of the formula. A network with one output gives a column, shape (N, 1). The targets
# come as a row of numbers, shape (N,). Both hold the same N numbers. **Predict** the mean square of their difference:

# %%
column, row = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 3.0])
difference = column - row
print("shape of the difference", difference.shape, " mean square", np.mean(np.square(difference)))
print(difference)

# %% [markdown]
# Not 0: broadcasting compared each prediction with *every* target. There is no error, and the loss even falls during
# training, since predicting the mean everywhere is the best that can be done about such a table. So `same_shape`
# (given) insists on equal shapes, and says what would have happened. It also refuses an empty batch. The mean of
# nothing is 0/0; the `nan` would travel into every weight.


# %%
#| export
def same_shape(name, predictions, targets):
    """Both as floating arrays of one shape, for the loss called `name`.

    Raises: ValueError that names both shapes where they differ, or where there is nothing to take a mean of.
    """
    predictions, targets = as_floating(predictions), as_floating(targets)
    if predictions.shape != targets.shape:
        try:
            table = broadcast_shape(predictions.shape, targets.shape)
            otherwise = f"broadcasting would have compared them in a table of shape {table}"
        except ValueError:
            otherwise = "nor can they be broadcast"
        raise ValueError(
            f"{name}: predictions {predictions.shape} and targets {targets.shape} have different shapes; {otherwise}; "
            "try reshape on one of them"
        )
    if predictions.size == 0:
        raise ValueError(f"{name}: predictions {predictions.shape} hold no number, and a mean of nothing is nothing")
    return predictions, targets


# %% nbgrader={"grade_id": "04-1", "solution": true}
#| export
@operation
def mean_squared_error(predictions, targets, /):
    """The mean of the squared differences over all elements, of shape (). Changes neither input.

    Raises: ValueError where the shapes differ, or where there are no elements.
    """
    predictions, targets = same_shape("mean_squared_error", predictions, targets)
    ### BEGIN SOLUTION
    return np.mean(np.square(predictions - targets))
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-1-test", "points": 5}
def test_unit_mean_squared_error():
    predictions, targets = Tensor([[1.0, 5.0], [0.0, 2.0], [4.0, -3.0]]), Tensor([[1.0, 2.0], [2.0, 2.5], [4.0, -1.0]])
    check_close(mean_squared_error(predictions, targets), 17.25 / 6, "the mean over all six elements, of shape ()")
    check_close(predictions, [[1.0, 5.0], [0.0, 2.0], [4.0, -3.0]], "the predictions stay as they were")
    check_close(mean_squared_error(Tensor([2.0]), [5]), 9.0, "targets may be a list")
    check_close(mean_squared_error(targets, targets), 0.0, "what is right costs nothing")
    text = check_raises(ValueError, lambda: mean_squared_error(Tensor([[1.0], [2.0]]), [1.0, 2.0]), "unequal shapes")
    check("(2, 1)" in text and "(2,)" in text, "the error names both shapes")
    check_raises(ValueError, lambda: mean_squared_error(Tensor(np.zeros((0, 3))), np.zeros((0, 3))), "an empty batch")
    x, y = np.array([1.0, 5.0, 2.0]), np.array([2.0, 1.0, 2.0])
    expected = [-2 / 3, 8 / 3, 0.0]
    check_close(slopes(lambda x: mean_squared_error(x, y), x), expected, "the slope is 2 / N times the difference")


test_unit_mean_squared_error()

# %% [markdown]
# ### Task 04-2. The logarithm of the right answer
#
# Now classes. The network gives *logits*, one score for each class: (B, C) for a batch of B. `log_softmax` makes
# logarithms of probabilities of them, without a detour (module 02). Of each row only one number counts, that of the
# right class $t_n$:
#
# $$\mathrm{NLL} = -\frac{1}{B}\sum_{n} \log p_{n, t_n}$$
#
# To pick one number from each row, index with two arrays of equal length: rows and columns are read in pairs. That
# works for Tensors too, since indexing is an operation of module 01, and so is `.mean()`.

# %%
table = np.array([[10, 11, 12], [20, 21, 22], [30, 31, 32], [40, 41, 42]])
columns = np.array([2, 0, 0, 1])
print("np.arange(4)             ", np.arange(4))
print("in pairs                 ", table[np.arange(4), columns])
print("not in pairs, the columns", table[:, columns].shape)


# %% nbgrader={"grade_id": "04-2", "solution": true}
#| export
def negative_log_likelihood(log_probabilities, indices):
    """Mean of minus the logarithms that stand at `indices`, one in each row; a Tensor of shape ().

    log_probabilities: Tensor (B, C); indices: integer array (B,), taken as they are.
    """
    ### BEGIN SOLUTION
    rows = np.arange(len(indices))
    return -log_probabilities[rows, indices].mean()
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-2-test", "points": 5}
def test_unit_negative_log_likelihood():
    p = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [0.1, 0.1, 0.8]])
    log_p = Tensor(np.log(p), requires_grad=True)
    right = np.array([0, 1, 1])
    expected = -(np.log(0.7) + np.log(0.25) + np.log(0.1)) / 3
    loss = negative_log_likelihood(log_p, right)
    check(isinstance(loss, Tensor), "the loss is a Tensor")
    check_close(loss, expected, "the mean over the rows, with a minus, of shape ()")
    check(loss.receipt is not None, "the receipts lead back to the logarithms")
    check_close(negative_log_likelihood(log_p[:2], np.array([2, 2])), -np.log(0.05) / 2, "for two rows the mean of two")
    sure = Tensor([[0.0, -200.0], [-200.0, 0.0]])
    check_close(negative_log_likelihood(sure, np.array([0, 1])), 0.0, "certain and right costs nothing")
    check_close(negative_log_likelihood(sure, np.array([1, 0])), 200.0, "certain and wrong costs much")


test_unit_negative_log_likelihood()

# %% [markdown]
# A classifier that knows nothing gives each of the ten digits the same score. Its loss is $-\log \frac{1}{10}$, which
# is $\log 10$. Remember that number: it should be near what a new network of ten classes prints first.

# %%
nothing = negative_log_likelihood(log_softmax(Tensor(np.zeros((360, 10)))), labels[test])
print(f"ten equal scores: loss {nothing.item():.4f}, log 10 = {np.log(10):.4f}")

# %% [markdown]
# ### Task 04-3. Labels that can be trusted
#
# What happens when a label is wrong? Files that count classes from 1, a -1 for "unknown", labels that were averaged by
# accident, a `nan` from a spreadsheet. NumPy's opinions:

# %%
log_p = log_softmax(Tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]]))
for wrong_label in (-1, 3, 0.6):
    try:
        print(f"label {wrong_label:4}: loss {negative_log_likelihood(log_p, np.array([0, wrong_label])).item():.3f}")
    except IndexError as error:
        print(f"label {wrong_label:4}: {error}")

# %% [markdown]
# A -1 is silently the *last* class, and the network will learn it. The other messages do not say which example of a
# million is meant. So labels are checked before they are used, all of them at once, and an error names the first bad
# one with its row.
#
# Whole numbers stored as floats are fine, and common: a list becomes float32 in a Tensor. A float is whole if it equals
# its `np.floor`. Comparisons give arrays of true and false; `|` is "or", place by place, and brackets are needed around
# each side. `np.count_nonzero` counts the true ones, and `np.argmax` finds the first, because True counts as 1:

# %%
values = np.array([3.0, 0.5, np.nan, -2.0])
print("np.floor(values)          ", np.floor(values))
print("values == np.floor(values)", values == np.floor(values))
small = (values < 0) | (values == 0.5)
print("below 0, or one half      ", small, np.count_nonzero(small), "of them, the first at", np.argmax(small))
print("values < 0, values >= 0   ", values < 0, values >= 0)
print(".astype(np.int64)         ", values[:1].astype(np.int64), " without a copy if it is int64 already: copy=False")

# %% [markdown]
# See what `nan` answers: nothing is true of it, except that it is *unequal*, to anything, itself too. So it matters
# which way round you ask. And ask before you convert: `astype` cuts 2.7 to 2 without a word.
#
# The first two lines are given. They refuse what is not numbers at all, and booleans: a "true" among class indices is
# a mask that has lost its way.


# %% nbgrader={"grade_id": "04-3", "solution": true}
#| export
def class_indices(targets, classes):
    """`targets` (B,), whole numbers of any integer or floating type from 0 to `classes - 1`, as int64 (B,).

    Raises: ValueError that names the first value that is none of these, its row, and the number of classes.
    """
    targets = np.asarray(targets)
    if targets.dtype.kind not in "iuf":
        raise ValueError(f"class indices are whole numbers, and {targets.dtype} is not: {targets!r:.60}")
    ### BEGIN SOLUTION
    wrong = (targets < 0) | (targets >= classes)
    if targets.dtype.kind == "f":
        wrong |= targets != np.floor(targets)
    if np.count_nonzero(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(f"class index {targets[row]} in row {row}: {classes} classes have 0 to {classes - 1}")
    return targets.astype(np.int64, copy=False)
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-3-test", "points": 5}
def test_unit_class_indices():
    indices = class_indices(np.array([2.0, 0.0, 6.0], dtype=np.float32), 7)
    check(indices.dtype == np.int64, "the result is int64, also for whole floats")
    check_close(indices, [2, 0, 6], "the values are kept")
    check_close(class_indices([1, 0, 1], 2), [1, 0, 1], "a list will do")
    check_close(class_indices(np.array([250], dtype=np.uint8), 300), [250], "small integer types will do")


def test_unit_class_indices_refuses():
    def refuses(bad, name, promise):
        targets = np.array([0, 11, 5, *bad])
        text = check_raises(ValueError, lambda: class_indices(targets, 12), f"{promise} is refused")
        check(name in text, f"{promise}: the error names the first bad value")
        check("3" in text, f"{promise}: the error names its row")
        check("12" in text, f"{promise}: the error names the number of classes")

    refuses([40, 12], "40", "an index far too large")
    refuses([12, 0], "12", "an index equal to the number of classes")
    refuses([-1, 1], "-1", "a negative index")
    refuses([2.75, 0.5], "2.75", "a value between two classes")
    refuses([np.nan, 1.0], "nan", "nan")
    refuses([np.inf, 1.0], "inf", "infinity")


test_unit_class_indices()
test_unit_class_indices_refuses()

# %% [markdown]
# ### Task 04-4. Cross-entropy in one operation
#
# `negative_log_likelihood(log_softmax(logits), indices)` is right. Everything is there, and yet nobody trains with it,
# for two reasons. It leaves four receipts to walk back along, each with arrays of its own. And the walk back is
# longer than the answer. Ask for the slopes of the loss in the logits, by differences:

# %%
rng = np.random.default_rng(0)
logits, right = rng.normal(size=(2, 4)), np.array([3, 1])
print("slopes times B:\n", (2 * slopes(lambda x: negative_log_likelihood(log_softmax(x), right), logits)).round(4))
print("softmax:\n", softmax(Tensor(logits)).data.round(4))

# %% [markdown]
# The slopes are the probabilities $p$, less 1 at the right class, divided by $B$. All of the logarithms are gone. Who
# keeps $p$ when computing the loss has the gradient for one subtraction later. And $p$ costs next to nothing then, for
# the powers have to be computed anyway:
#
# $$\ell_n = \log \sum_j e^{x_{nj} - m_n} - (x_{n t_n} - m_n), \qquad
#   p_{ni} = \frac{e^{x_{ni} - m_n}}{\sum_j e^{x_{nj} - m_n}}, \qquad m_n = \max_j x_{nj}$$
#
# In words: shift each row, pick the shifted score of the right class, take powers, sum each row; the loss of the row
# is the logarithm of its sum less what you picked, and $p$ is the powers over their sum.
#
# Only one array of shape (B, C) is needed, if each step writes where the one before stood. `x /= s` does that,
# and functions do it when told where to write:

# %%
a = np.array([[0.0, 1.0], [2.0, 3.0]])
same = a
np.sqrt(a, out=a)
a /= 2
print("still the same array:", a is same, a.tolist())

# %% [markdown]
# That is an option and not a duty: the test wants the right numbers and untouched logits. Shift into a new array first,
# the logits are not yours. The function returns the pair `(loss, p)` and knows nothing of Tensors; the operation around
# it follows after the next task.
#
# The tests from here on use a helper of module 02 again, which turns NumPy's warnings into errors:


# %%
def strictly(f, *inputs):
    """`f(*inputs)`, in which an overflow, a division by zero or a `nan` made on the way is an error."""
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        return f(*inputs)


# %% nbgrader={"grade_id": "04-4", "solution": true}
#| export
def index_cross_entropy(logits, indices):
    """Mean cross-entropy of class indices; the pair (loss, p) with p (B, C), the softmax of the logits.

    logits: floating array (B, C), which stays as it is; indices: int64 array (B,), checked.
    """
    ### BEGIN SOLUTION
    p = logits - logits.max(axis=1, keepdims=True)  # (B, C)
    picked = p[np.arange(len(p)), indices]  # (B,), taken before p becomes powers
    np.exp(p, out=p)
    sums = p.sum(axis=1, keepdims=True)  # (B, 1)
    p /= sums
    return (np.log(sums[:, 0]) - picked).sum() / len(p), p
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-4-test", "points": 5}
def test_unit_index_cross_entropy():
    logits = np.log(np.array([[1.0, 3.0, 4.0], [1.0, 1.0, 2.0]], dtype=np.float32))
    kept = logits.copy()
    loss, p = index_cross_entropy(logits, np.array([1, 0]))
    check_close(p, [[0.125, 0.375, 0.5], [0.25, 0.25, 0.5]], "p is the softmax of each row")
    check_close(loss, -(np.log(0.375) + np.log(0.25)) / 2, "the mean of -log p of the right classes")
    check_close(logits, kept, "the logits stay as they were")
    check(loss.dtype == np.float32 and p.dtype == np.float32, "float32 logits give float32")
    rng = np.random.default_rng(0)
    logits, right = rng.normal(size=(5, 4)) * 3, rng.integers(0, 4, size=5)
    exact = [np.log(np.exp(row).sum()) - row[t] for row, t in zip(logits, right)]
    check_close(index_cross_entropy(logits, right)[0], np.mean(exact), "random logits", rtol=1e-9, atol=0)


def test_unit_index_cross_entropy_range():
    high = np.array([[1000.0, 1001.0], [-1000.0, -1000.0]], dtype=np.float32)
    wide = np.array([[0.0, 500.0]], dtype=np.float32)
    with np.errstate(all="ignore"):
        loss, p = index_cross_entropy(high, np.array([1, 0]))
        lost = index_cross_entropy(wide, np.array([0]))[0]
    check_close(loss, (0.31326166 + 0.6931472) / 2, "rows of very different height")
    check_close(p, [[0.26894143, 0.7310586], [0.5, 0.5]], "and p of the same rows")
    check_close(lost, 500, "a right class of probability 0 costs its gap")
    check_close(strictly(index_cross_entropy, wide, np.array([1]))[0], 0, "no overflow and no logarithm of zero")


test_unit_index_cross_entropy()
test_unit_index_cross_entropy_range()

# %% [markdown]
# ### Task 04-5. When the answer is not one class
#
# Three people look at an image; two say 4, one says 9. The honest target is not a class but *shares*:
# 2/3 for the 4, 1/3 for the 9. Shares also come from another network, which is to be imitated, and from *label
# smoothing*, which takes a little from the right class for all the others. The loss is the mean of
# $-\log p$ weighted by the shares $y$:
#
# $$\ell_n = -\sum_i y_{ni} \log p_{ni}$$
#
# A class index is the special case of a row with a single 1, so the two functions must agree there. Beyond it, the
# loss does not fall to 0. The best possible $p$ is $y$ itself, as in Part 2, and the loss is then the *entropy* of $y$,
# what remains uncertain:

# %%
y = np.array([2 / 3, 1 / 3])
for p in ([0.5, 0.5], [2 / 3, 1 / 3], [0.9, 0.1], [0.999, 0.001]):
    print(f"p = {p[0]:.3f}, {p[1]:.3f}: loss {-np.sum(y * np.log(p)):.4f}")

# %% [markdown]
# Now every logarithm is needed, not one a row; again from the shifted scores and the logarithm of their sum, never from
# $p$. Once more return `(loss, p)`. The shares are taken as they are, also if a row adds up to something else than 1,
# as PyTorch does: this allows for weights.
#
# `np.vecdot(a, b)` sums the products of each row without making an array of them. Or write the sum of the products; it
# is as right, and takes one more array.

# %%
a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0, 0.0], [1.0, 1.0]])
print("np.vecdot(a, b)", np.vecdot(a, b), "  (a * b).sum(axis=1)", (a * b).sum(axis=1))


# %% nbgrader={"grade_id": "04-5", "solution": true}
#| export
def soft_cross_entropy(logits, shares):
    """Mean over the rows of -sum(shares * log p), and p: the pair (loss, p) with p (B, C), the softmax of the logits.

    logits, shares: floating arrays (B, C), which stay as they are.
    """
    ### BEGIN SOLUTION
    log_p = logits - logits.max(axis=1, keepdims=True)  # (B, C)
    p = np.exp(log_p)
    sums = p.sum(axis=1, keepdims=True)  # (B, 1)
    log_p -= np.log(sums)
    p /= sums
    return -np.vecdot(shares, log_p).sum() / len(p), p
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-5-test", "points": 5}
def test_unit_soft_cross_entropy():
    logits = np.log(np.array([[1.0, 3.0, 4.0], [1.0, 1.0, 2.0]], dtype=np.float32))
    shares = np.array([[0.2, 0.8, 0.0], [0.5, 0.25, 0.25]], dtype=np.float32)
    before = logits.copy(), shares.copy()
    loss, p = soft_cross_entropy(logits, shares)
    by_hand = -(0.2 * np.log(0.125) + 0.8 * np.log(0.375) + 0.75 * np.log(0.25) + 0.25 * np.log(0.5)) / 2
    check_close(p, [[0.125, 0.375, 0.5], [0.25, 0.25, 0.5]], "p is the softmax of each row")
    check_close(loss, by_hand, "the mean over the rows of -sum(shares * log p)")
    check_close(np.stack([logits, shares]), np.stack(before), "logits and shares stay as they were")
    check(loss.dtype == np.float32 and p.dtype == np.float32, "float32 in, float32 out")
    doubled = soft_cross_entropy(logits, 2 * shares)[0]
    check_close(doubled, 2 * by_hand, "shares are taken as they are: twice the shares, twice the loss")


def test_unit_soft_cross_entropy_range():
    shares = np.array([[0.25, 0.5, 0.25], [0.25, 0.25, 0.5]], dtype=np.float32)
    high = np.array([[1000.0, 1001.0, 1001.0], [-1000.0, -1000.0, -1020.0]], dtype=np.float32)
    wide = np.array([[0.0, 0.0, -500.0], [0.0, 0.0, -500.0]], dtype=np.float32)
    with np.errstate(all="ignore"):
        loss = soft_cross_entropy(high, shares)[0]
        check_close(loss, (1.1119948 + 10.6931472) / 2, "rows of very different height")
        loss, p = soft_cross_entropy(wide, shares)
    check_close(loss, (0.6931472 + 125 + 0.6931472 + 250) / 2, "a share of a class of probability 0 costs its gap")
    check_close(p, [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]], "and p of the same rows")
    check_close(strictly(soft_cross_entropy, wide, shares)[0], loss, "no overflow and no logarithm of zero")


test_unit_soft_cross_entropy()
test_unit_soft_cross_entropy_range()

# %% [markdown]
# ### The operation around them (given)
#
# `cross_entropy` looks at the shapes, checks the indices with your function, and calls the one or the other of your
# two. `p` goes on the receipt. What does not fit is refused with both shapes in the message, and one sample without a
# batch dimension is welcome.


# %%
#| export
def as_batch(logits, targets):
    """Logits (B, C) with targets (B,) or (B, C), as arrays; one sample becomes a batch of one.

    logits: (B, C), or (C,) for one sample, whose targets are one index () or (1,), or probabilities (C,).
    Raises: ValueError that names both shapes where they do not fit, or where the batch is empty.
    """
    x, t = as_floating(logits), np.asarray(targets)
    if x.ndim == 1:
        x = x[None]
        if t.ndim < 2:
            t = t.reshape(1) if t.size == 1 else t[None]
    if x.ndim != 2 or t.shape not in (x.shape, x.shape[:1]):
        raise ValueError(
            f"cross_entropy: logits {np.shape(logits)} and targets {np.shape(targets)} do not fit; logits (B, C) take "
            "class indices (B,) or probabilities (B, C); try reshape on one of them"
        )
    if x.size == 0:
        raise ValueError(f"cross_entropy: logits {np.shape(logits)} hold no number, and a mean of nothing is nothing")
    return x, t


@operation
def cross_entropy(logits, targets, /):
    """Mean of -log(softmax(logits)) at the right classes, of shape (); stable for logits of any size.

    logits: (B, C), or (C,) for one sample.
    targets: class indices (B,), or probabilities (B, C), taken as they are. For one sample: (), (1,) or (C,).
    Saves the softmax probabilities p (B, C) for its backward rule.
    Raises: ValueError for shapes that do not fit, an empty batch, or an index that is not a class.
    """
    x, t = as_batch(logits, targets)
    if t.ndim == 1:
        return index_cross_entropy(x, class_indices(t, x.shape[1]))
    return soft_cross_entropy(x, as_floating(t))


# %%
x = Tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
fused = cross_entropy(x, [0, 2])
composed = negative_log_likelihood(log_softmax(x), np.array([0, 2]))
print("fused", fused.item(), " composed", composed.item(), " one-hot", cross_entropy(x, [[1, 0, 0], [0, 0, 1]]).item())
print(
    "one sample", cross_entropy(x[0], 0).item(), cross_entropy(x[0], [0]).item(), cross_entropy(x[0], [1, 0, 0]).item()
)
print("kept for module 05:\n", fused.receipt.saved.round(4))
for bad in ([0, 3], [0, 1, 2], [0.5, 1], [[0], [2]]):
    try:
        cross_entropy(x, bad)
    except ValueError as error:
        print(error)

# %% [markdown]
# ### Task 04-6. Yes or no
#
# A photograph may show a cat, a dog, both or neither. Then each output is a question of its own, with a sigmoid
# instead of a common softmax: $s = \sigma(x)$ is the probability of yes. With the label $y$, 1 for yes and 0 for no,
# the loss of one question is minus the logarithm of what the true answer got,
#
# $$\ell = -y \log \sigma(x) - (1 - y) \log (1 - \sigma(x)) .$$
#
# You know by now what becomes of that if it is typed as it stands:

# %%
x = np.array([0.0, 20.0, 100.0, -100.0], dtype=np.float32)
with np.errstate(all="ignore"):
    s = 1 / (1 + np.exp(-x))
    print("y = 0:", -np.log(1 - s), " should be nearly 0.69, 20, 100, 0")
    print("y = 1:", -np.log(s), " should be nearly 0.69, 0, 0, 100")
tiny = np.array([1e-9], dtype=np.float32)
print("np.log(1 + tiny)", np.log(1 + tiny), "  np.log1p(tiny)", np.log1p(tiny))

# %% [markdown]
# At 20 the float $\sigma(x)$ is already exactly 1, and the loss of a mistake infinite. On paper first. Because
# $1 - \sigma(x) = \sigma(-x)$ and $-\log \sigma(-x) = \log(1 + e^x)$,
#
# $$\ell = y \log(1 + e^{-x}) + (1 - y) \log (1 + e^{x}) .$$
#
# One of the two exponents is positive. Take it out: $\log(1 + e^{x}) = x + \log(1 + e^{-x})$. Used for the second term
# if $x \ge 0$, and the other way round for the first if $x < 0$, both cases come to
#
# $$\ell = \max(x, 0) - x y + \log(1 + e^{-|x|}) .$$
#
# Do the two cases on paper; it takes five minutes, and is the whole task. `np.log1p(u)` is $\log(1+u)$ without forming
# $1 + u$. The mean runs over all elements, whatever the shape. Labels between 0 and 1 are shares, as in the
# last task. `check_labels` (given) refuses anything else: with a label of 2 the loss could be lowered for ever.


# %%
#| export
def check_labels(labels):
    """Raise a ValueError that names a label outside of 0 to 1, if there is one (nan is one)."""
    if not (labels.min() >= 0 and labels.max() <= 1):
        label = labels[~((labels >= 0) & (labels <= 1))].flat[0]
        raise ValueError(f"binary_cross_entropy_with_logits: the label {label} is not a probability from 0 to 1")


# %% nbgrader={"grade_id": "04-6", "solution": true}
#| export
@operation
def binary_cross_entropy_with_logits(logits, targets, /):
    """Mean of -y log s - (1 - y) log(1 - s) with s = sigmoid(logits), over all elements, of shape ().

    logits: any shape; targets: labels or probabilities y from 0 to 1, of the same shape.
    Raises: ValueError where the shapes differ, where there are no elements, or for a label outside of 0 to 1.
    """
    x, y = same_shape("binary_cross_entropy_with_logits", logits, targets)
    check_labels(y)
    ### BEGIN SOLUTION
    return np.mean(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))))
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-6-test", "points": 5}
def test_unit_binary_cross_entropy():
    logits = Tensor(np.log([[3.0, 1.0], [0.25, 4.0]]))  # the sigmoid is 0.75, 0.5, 0.2, 0.8
    labels = Tensor([[1.0, 0.0], [1.0, 0.25]])
    by_hand = -(np.log(0.75) + np.log(0.5) + np.log(0.2) + 0.25 * np.log(0.8) + 0.75 * np.log(0.2)) / 4
    loss = binary_cross_entropy_with_logits
    check_close(loss(logits, labels), by_hand, "the mean over all four, of shape ()")
    check_close(loss(Tensor(-3.0), 0), 0.04858735, "a single answer that is right")
    check_close(loss(logits, labels).receipt is None, True, "nothing requires a gradient, so there is no receipt")
    for bad in (1.5, -0.25, np.nan):
        text = check_raises(ValueError, lambda bad=bad: loss(logits, [[1, 0], [1, bad]]), f"a label {bad}")
        check(str(bad) in text, "the error names the label")
    check_raises(ValueError, lambda: loss(logits, [1, 0]), "unequal shapes")


def test_unit_binary_cross_entropy_range():
    def each(x, y):
        return [binary_cross_entropy_with_logits(Tensor([v]), [w]).item() for v, w in zip(x, y)]

    with np.errstate(all="ignore"):
        wrong, right = each([100, -100, 1000], [0, 1, 0]), each([100, -100, 1000], [1, 0, 1])
    check_close(wrong, [100, 100, 1000], "certain and wrong costs the size of the logit")
    check_close(right, [0, 0, 0], "certain and right costs nothing")
    strictly(each, [1000, -1000], [0, 0])
    check_close(np.array(each([-20], [0])) * 1e9, [2.0611536], "close to 0 it keeps its digits")
    slope = slopes(lambda x: binary_cross_entropy_with_logits(x, [1, 0]), [1.0, -2.0])
    check_close(slope, [(0.7310586 - 1) / 2, 0.1192029 / 2], "the slope is the sigmoid less the label, over N")


test_unit_binary_cross_entropy()
test_unit_binary_cross_entropy_range()

# %% [markdown]
# ### The same as objects, and as plain functions (given)
#
# A `Trainer` gets its loss as an object, so each loss has a class; they hold no state. PyTorch's names are there as
# well. The two functions at the end are for those who work with plain arrays: arrays in, a Python number out.


# %%
#| export
class Loss:
    """A loss in the form of an object without state: call it, or its `forward`, with predictions and targets."""

    def forward(self, predictions, targets):
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def __call__(self, predictions, targets):
        return self.forward(predictions, targets)

    def __repr__(self):
        return f"{type(self).__name__}()"


class MeanSquaredError(Loss):
    """`mean_squared_error` as an object."""

    def forward(self, predictions, targets):
        return mean_squared_error(predictions, targets)


class CrossEntropyLoss(Loss):
    """`cross_entropy` as an object: logits, not probabilities, and class indices or probabilities."""

    def forward(self, predictions, targets):
        return cross_entropy(predictions, targets)


class BinaryCrossEntropyLoss(Loss):
    """`binary_cross_entropy_with_logits` as an object: logits, not probabilities, and labels from 0 to 1."""

    def forward(self, predictions, targets):
        return binary_cross_entropy_with_logits(predictions, targets)


MSELoss = MeanSquaredError
BCEWithLogitsLoss = BinaryCrossEntropyLoss


def _tensor_or_float(loss, predictions, targets):
    """`loss` of Tensors as a Tensor; of arrays and lists as a Python number, computed in float64."""
    if isinstance(predictions, Tensor) or isinstance(targets, Tensor):
        return loss(predictions, targets)
    return loss(Tensor(predictions, dtype=np.float64), targets).item()


def cross_entropy_loss(predictions, targets):
    """`cross_entropy`: a Tensor if there is a Tensor among the inputs, for arrays and lists a Python number."""
    return _tensor_or_float(cross_entropy, predictions, targets)


def mse_loss(predictions, targets):
    """`mean_squared_error`: a Tensor if there is a Tensor among the inputs, for arrays and lists a Python number."""
    return _tensor_or_float(mean_squared_error, predictions, targets)


# %%
for loss in (MeanSquaredError(), CrossEntropyLoss(), BinaryCrossEntropyLoss()):
    print(f"{loss!r:26}", loss(Tensor([[2.0, -1.0]]), Tensor([[1.0, 0.0]])))
for predictions in ([2.0, -1.0], Tensor([2.0, -1.0])):
    print("mse_loss:", mse_loss(predictions, [1.0, 0.0]))

# %% [markdown]
# ## Part 4. Integration: the digits, judged
#
# ### What does a network lose that knows nothing?
#
# Ten classes, 360 test images, three networks fresh from the constructor, and one whose last layer has weights ten
# times too large. **Predict** the four losses: at, above or below $\log 10 = 2.303$?

# %%
pictures = Tensor(ink)
new_networks = {}
for name in ("seed 0", "seed 1", "seed 2", "seed 2, last weights x 10"):
    manual_seed(int(name[5]))
    model = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
    if "x 10" in name:
        model[2].weight.data *= 10
    scores = model(pictures[test])
    right = (scores.data.argmax(axis=1) == labels[test]).mean()
    print(f"{name:26} loss {cross_entropy(scores, labels[test]).item():.3f}, right {right:.3f}")

# %% [markdown]
# Who knows nothing and says so pays $\log 10$. Random networks are about there, on one side or the other, as their mild
# opinions happen to fall. Who knows nothing and is sure of it pays more. So the first loss that a training run prints
# is a test of its start: if it is far above $\log C$ for $C$ classes, the last layer is too large; if it is far below,
# look for the label among the inputs.
#
# ### Accuracy and loss are two things
#
# The nearest mean image gives nine of ten digits right. Its logits are scores from Part 1, for ink from 0 to 1. For ink
# counted from 0 to 16, as the file has it, all squared distances are 256 times as large. The answers are the same.
# **Predict** the two losses, compared with $\log 10$.

# %% tags=["measure"]
import matplotlib.pyplot as plt

weight, bias = nearest_mean(ink[train], labels[train])
scores = Tensor(ink[test] @ weight.T + bias)  # (360, 10)
right = (scores.data.argmax(axis=1) == labels[test]).mean()
for name, factor in (("ink 0 to 1", 1), ("counts 0 to 16", 256)):
    print(f"{name:15} right {right:.3f}, loss {cross_entropy(scores * factor, labels[test]).item():.3f}")
factors = 2.0 ** np.arange(-6, 9, 0.25)
losses = [cross_entropy(scores * factor, labels[test]).item() for factor in factors]
print(f"lowest loss {min(losses):.3f} at factor {factors[np.argmin(losses)]:.2f}")
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.loglog(factors, losses, base=2, label="loss")
ax.axhline(np.log(10), color="0.7", zorder=0, label="log 10")
ax.axhline(1 - right, color="C1", label="share of wrong answers")
ax.set(xlabel="all logits times this", ylabel="on the test images", yscale="log")
ax.legend()
plt.show()

# %% [markdown]
# On the right the classifier is as accurate as ever and its loss is above that of knowing nothing, because where it is
# wrong it is certain. On the left it is too timid to be of use. The loss judges what is claimed, the accuracy only who
# came first. Watch both in training, and do not be surprised when they disagree.
#
# ### The same knobs, with a loss
#
# Part 1 turned 650 knobs and found most of them dead. The same again with cross-entropy. Then one of them over a
# wide range, where both can be seen.

# %% tags=["measure"]
logits = ink[train] @ weight.T + bias  # (1437, 10)


def loss_after(k, feature, step):
    """Loss on the training images when `weight[k, feature]` is larger by `step`; feature 64 is the bias."""
    moved = logits.copy()
    moved[:, k] += step * (ink[train][:, feature] if feature < 64 else 1)
    return cross_entropy(Tensor(moved, dtype=np.float64), labels[train]).item(), moved


start = loss_after(0, 0, 0.0)[0]
effects = np.array([[loss_after(k, feature, 0.01)[0] - start for feature in range(65)] for k in range(10)])
without_ink = (ink[train].max(axis=0) == 0).sum() * 10
print(f"knobs that change the loss: {(effects != 0).sum()} of {effects.size}; {without_ink} belong to empty pixels")
k, feature = np.unravel_index(np.abs(effects).argmax(), effects.shape)
steps = np.linspace(-6, 1, 281)
curve = [loss_after(k, feature, step) for step in steps]
fig, (left, right_ax) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.plot(steps, [(moved.argmax(axis=1) != labels[train]).sum() for _, moved in curve], color="C1")
left.set(ylabel="wrong answers of 1437")
right_ax.plot(steps, [loss for loss, _ in curve])
right_ax.set(ylabel="loss")
for ax in (left, right_ax):
    ax.set(xlabel=f"added to knob {feature} of unit {k}")
plt.show()

# %% [markdown]
# Every knob that has ink to work on changes the loss, up or down. The right curve has a slope wherever you stand, and a
# bottom; it is even bowl-shaped, for cross-entropy over a linear layer has no second valley.
#
# ### Downhill with nothing but the loss
#
# Then improve all 650 numbers: start from zeros, take the slope in each number by a difference, and step against it.
# Each slope takes one more loss, so one step takes 651 of them, here on 300 training images. **Predict** the loss
# before the first step, and whether 30 steps get further than the nine of ten of the mean images.

# %% tags=["measure"]
few = train[:300]
x300, t300 = ink[few], labels[few]


def small_loss(numbers):
    """Loss of a linear layer on 300 images; numbers (10, 65), the last column is the bias."""
    return cross_entropy(Tensor(x300 @ numbers[:, :64].T + numbers[:, 64], dtype=np.float64), t300).item()


def accuracy_on_test(numbers):
    return ((ink[test] @ numbers[:, :64].T + numbers[:, 64]).argmax(axis=1) == labels[test]).mean()


numbers, history = np.zeros((10, 65)), []
losses_computed = 0
for _ in range(30):
    here = small_loss(numbers)
    history.append((here, accuracy_on_test(numbers)))
    downhill = np.zeros_like(numbers)
    for place in np.ndindex(numbers.shape):
        numbers[place] += 1e-5
        downhill[place] = (here - small_loss(numbers)) / 1e-5
        numbers[place] -= 1e-5
    losses_computed += 1 + numbers.size
    numbers += 1.0 * downhill
history.append((small_loss(numbers), accuracy_on_test(numbers)))
print(f"losses computed: {losses_computed}; loss {history[0][0]:.3f} to {history[-1][0]:.3f}")
print(f"test accuracy {history[0][1]:.3f} to {history[-1][1]:.3f}; mean images have {right:.3f}")

# %% [markdown]
# The picture: the way down, and the land it went through. The land has 650 dimensions, of which the right-hand
# plot shows two: along the horizontal axis from zeros to the mean images, along the vertical one from zeros to where
# the descent ended.

# %% tags=["measure"]
templates = np.concatenate([weight, bias[:, None]], axis=1)  # (10, 65)
across, along = np.linspace(-4, 8, 41), np.linspace(-2, 8, 41)
land = [[small_loss(a * templates + d * numbers) for a in across] for d in along]
fig, (way, surface) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
way.plot(np.array(history), label=["loss on 300 images", "test accuracy"])
way.axhline(np.log(10), color="0.7", zorder=0, label="log 10")
way.set(xlabel="step")
way.legend()
levels = surface.contourf(across, along, land, levels=2.0 ** np.arange(-5, 4, 0.5), norm="log", extend="both")
surface.plot([0, 1, 0], [0, 0, 1], "wo")
for place, name in (((-2, -0.9), "zeros"), ((1.2, -0.9), "mean images"), ((0.2, 1.2), "descent")):
    surface.annotate(name, place, color="w")
surface.set(xlabel="mean images", ylabel="where the descent went")
fig.colorbar(levels, ax=surface, label="loss", ticks=[0.0625, 0.25, 1, 4], format="%g")
plt.show()
lowest = np.unravel_index(np.argmin(land), (41, 41))
print(f"lowest on this sheet: {land[lowest[0]][lowest[1]]:.3f} at ({across[lowest[1]]:.1f}, {along[lowest[0]]:.1f})")

# %% [markdown]
# It learns. It is also hopeless: a network of a million weights would need a million and one losses for each step.
# Module 05 gets all slopes for about the price of two losses, by walking back along the receipts. Nothing else in this
# picture will change.

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### Where the form that was typed as it stands breaks
#
# Ten logits in float32: nine are 0, and the right one is $d$. On the left of the plot the right class is far behind
# ($d < 0$, the loss is near $|d|$), on the right it is far ahead (the loss is near $9e^{-d}$). Three forms against
# float64 arithmetic: the logarithm of a softmax without a shift, the logarithm of a good softmax, and yours.
# **Predict** for each form, yours too, where its digits end, on both sides.

# %% tags=["measure"]
gaps = np.arange(-150.0, 150.5, 0.5)
exact = np.where(gaps > 0, np.log1p(9 * np.exp(-np.abs(gaps))), np.log(9 + np.exp(-np.abs(gaps))) + np.abs(gaps))


def typed(x):
    powers = np.exp(x)
    return -np.log(powers[0] / powers.sum())


forms = {
    "log of an unshifted softmax": typed,
    "log of your softmax": lambda x: -np.log(softmax(Tensor(x)).data[0]),
    "your cross_entropy": lambda x: cross_entropy(Tensor(x), 0).item(),
}
fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
for (name, form), width in zip(forms.items(), (5, 3, 1.5)):
    found = []
    for gap in gaps:
        x = np.zeros(10, dtype=np.float32)
        x[0] = gap
        with np.errstate(all="ignore"):
            found.append(float(form(x)))
    found = np.array(found)
    with np.errstate(invalid="ignore"):
        relative, absolute = np.abs(found - exact) / exact, np.abs(found - exact)
    ax.semilogy(gaps, np.maximum(relative, 1e-9), linewidth=width, label=name)
    finite, exact_zero = gaps[np.isfinite(found)], gaps[found == 0]
    print(f"{name:28} finite from {finite.min():6.1f} to {finite.max():5.1f}; ", end="")
    print(f"five digits from {gaps[relative < 1e-5].min():6.1f} to {gaps[relative < 1e-5].max():4.1f}; ", end="")
    ahead = (gaps > 0) & np.isfinite(found)
    print(f"0 from {exact_zero.min():.1f}; largest absolute error for d > 0: {absolute[ahead].max():.1e}")
ax.set(xlabel="logit of the right class, the others are 0", ylabel="relative error")
ax.legend()
plt.show()

# %% [markdown]
# On the left your form has no end. The others lose digits first, without a word, and then say infinity, and an
# infinite loss ends a training run.
#
# On the right no form is exact, yours neither. The sum is $1 + 9e^{-d}$, the digits of the small part are cut off, and
# in the end float32 can only hold it as 1, and the loss is 0. The *absolute* error stays far below what anybody would
# notice, so this costs nothing: an example that is that right has nothing left to teach. (Yes-or-no questions do keep
# these digits, thanks to `log1p`.) The unshifted form has an end there too, where $e^d$ leaves float32.

# %% [markdown]
# ### Fused against composed: time
#
# Both compute the same loss. The composed one leaves four receipts. **Predict** the factor between them for (64, 10),
# and for the largest size, and the exponent with which time grows with the number of rows, at both ends.

# %% tags=["measure"]
rng = np.random.default_rng(0)
rows, times = 4 ** np.arange(1, 9), {"fused": [], "composed": []}
for n in rows:
    x, t = Tensor(rng.normal(size=(n, 10)), requires_grad=True), rng.integers(0, 10, size=n)
    calls = {
        "fused": lambda x=x, t=t: cross_entropy(x, t),
        "composed": lambda x=x, t=t: negative_log_likelihood(log_softmax(x), class_indices(t, 10)),
    }
    for name, call in calls.items():
        times[name].append(measure(call, label=f"({n:6}, 10) {name:8}", repeats=5))
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, seconds in times.items():
    ax.loglog(rows, seconds, "o-", label=name)
    small, large = (np.polyfit(np.log(rows[part]), np.log(seconds[part]), 1)[0] for part in (slice(3), slice(-3, None)))
    print(f"{name:8} fitted exponent {small:.2f} for the three smallest, {large:.2f} for the three largest")
ratios = np.array(times["composed"]) / np.array(times["fused"])
print("composed over fused:", dict(zip(rows.tolist(), ratios.round(2).tolist())))
ax.set(xlabel="rows", ylabel="seconds")
ax.legend()
plt.show()

# %% [markdown]
# For few rows you pay for calls, not for numbers: the exponent is near 0, and the fused form wins by having fewer
# receipts and wrappings. For many rows both pay for the exponentials, with an exponent near 1, and the factor goes
# to 1. But the fused form has $p$ to show for it, for which the composed form has yet to work in module 05.
#
# ### Fused against composed: memory
#
# A language model has as many classes as words. Logits of shape (1024, 5000), float32. `tracemalloc` counts what
# NumPy allocates: the peak during the call, and what is still held afterwards, by the receipts. **Predict** both, in
# units of the logits.

# %% tags=["measure"]
import tracemalloc

x = Tensor(rng.normal(size=(1024, 5000)), requires_grad=True)
t = rng.integers(0, 5000, size=1024)
forms = {
    "fused": lambda: cross_entropy(x, t),
    "composed": lambda: negative_log_likelihood(log_softmax(x), t),
    "soft targets": lambda: cross_entropy(x, shares),
}
shares = softmax(x.detach()).data
for name, form in forms.items():
    tracemalloc.start()
    loss = form()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    unit = x.data.nbytes
    print(f"{name:13} logits {unit / 1e6:.1f} MB; peak {peak / unit:.2f} of it, held {held / unit:.2f} of it")
    del loss

# %% [markdown]
# With indices one array is enough: $p$, which was shifted scores and powers before, and which module 05 takes over.
# Soft targets need all logarithms beside $p$. The composed form keeps an array too, the logarithms, and had one more on
# the way. For a vocabulary of 50,000 words that decides whether a batch fits.
#
# ### Why not squares of probabilities?
#
# In Part 2 squares were honest too. So take one yes-or-no question whose right answer is yes, and let the logit go from
# certainly wrong to certainly right. **Predict** the slope of both losses at the far left, where the mistake is
# greatest.

# %% tags=["measure"]
grid = np.linspace(-12, 12, 241)
losses = {
    "squared error of the sigmoid": lambda x: mean_squared_error(sigmoid(x), np.ones(241)) * 241,
    "binary cross-entropy": lambda x: binary_cross_entropy_with_logits(x, np.ones(241)) * 241,
}
fig, (left, middle) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, loss in losses.items():
    values = [loss(Tensor(np.full(241, v), dtype=np.float64)).item() / 241 for v in grid]
    slope = slopes(loss, grid)
    left.plot(grid, values, label=name)
    middle.plot(grid, slope, label=name)
    at = {v: slope[np.argmin(np.abs(grid - v))] for v in (-10, -5, 0, 5)}
    print(f"{name:29}", ", ".join(f"slope at {v}: {s:.2g}" for v, s in at.items()))
left.set(xlabel="logit, the answer is yes", ylabel="loss")
middle.set(xlabel="logit, the answer is yes", ylabel="slope")
left.legend()
plt.show()

# %% [markdown]
# The worse the mistake, the flatter the square: the sigmoid saturates, and a network that is certain and wrong learns
# nothing from it. The logarithm undoes the exponential inside the sigmoid, and the slope stays at -1 as long as the
# answer is wrong. That is the second demand of Part 2, and the reason why classifiers are trained with cross-entropy.
# Where outputs are plain numbers, without a sigmoid, squares have no such problem.

# %% [markdown]
# ### Beside PyTorch
#
# `torch.nn.functional.cross_entropy`, `mse_loss` and `binary_cross_entropy_with_logits` give the same numbers. The
# deliberate differences:
#
# | | PyTorch | here |
# |---|---|---|
# | an empty batch | `nan` | `ValueError` |
# | squared error of shapes that broadcast | a warning, and the table's mean | `ValueError` that names the table |
# | an index out of range | an error without the row; -100 is skipped | `ValueError` with index, row, classes |
# | class indices as floats | an error | fine if they are whole numbers |
# | labels outside of 0 to 1 | computed | `ValueError` that names one |
# | one logit (1,) with one target (1,) | a probability | an index |
# | logits with more dimensions | (B, C, ...) | (B, C): reshape first |
# | `reduction`, `weight`, `label_smoothing` | options | the mean; shares can be weighted or smoothed (04-10) |

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more, and then real images: a linear layer that is moved a little against the slope, by hand, has a
# lower loss than before, by as much as the slope promised.


# %% nbgrader={"grade_id": "04-module"}
def test_module():
    test_unit_mean_squared_error()
    test_unit_negative_log_likelihood()
    test_unit_class_indices()
    test_unit_class_indices_refuses()
    test_unit_index_cross_entropy()
    test_unit_index_cross_entropy_range()
    test_unit_soft_cross_entropy()
    test_unit_soft_cross_entropy_range()
    test_unit_binary_cross_entropy()
    test_unit_binary_cross_entropy_range()

    model, loss = Linear(64, 10, rng=np.random.default_rng(0)), CrossEntropyLoss()
    x, t = Tensor(ink[:200]), labels[:200]
    before = loss(model(x), t)
    one_hot = np.eye(10, dtype=np.float32)[t]
    check_close(loss(model(x), one_hot), before, "indices and one-hot rows cost the same")
    composed = negative_log_likelihood(log_softmax(model(x)), t)
    check_close(before, composed, "one operation and its composed form agree")
    check(before.receipt.operation == "cross_entropy", "the loss is one operation")
    gradient = (before.receipt.saved - one_hot).T @ x.data / 200  # (10, 64)
    model.weight.data = model.weight.data - 0.01 * gradient
    promised = 0.01 * np.square(gradient).sum()
    check_close(before.item() - loss(model(x), t).item(), promised, "a small step gains what the slope says", rtol=0.1)
    check_close(cross_entropy_loss(model(x).data, t), loss(model(x), t), "arrays give the same as Tensors")
    check(type(mse_loss([1.0], [2.0])) is float, "lists give a Python number")


test_module()

# %% [markdown]
# ## Reflection questions
#
# Answer in a few sentences each; a person reads them.

# %% [markdown] nbgrader={"grade_id": "04-q1", "points": 5, "solution": true}
# **Question 1. Which loss (5 points).** Three tasks: (a) the price of a house; (b) which of 200 species is in a
# photograph; (c) which of 200 species, any number of them, can be heard in a recording. Choose the loss and the shape
# of the targets for each, and say for (c) what goes wrong with the loss of (b). (d) Some prices in (a) are typing
# errors, ten times too high. What do they do to the network, and what would you change?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) squared error, targets of the shape of the predictions, (B, 1) or (B,).
# 1 point: (b) cross-entropy over 200 logits with class indices (B,), or shares (B, 200).
# 1 point: (c) binary cross-entropy with logits, targets (B, 200) of 0 and 1.
# 1 point: (c) a softmax shares out one whole: two species cannot both be probable, nor none.
# 1 point: (d) squares weigh an error of ten times the price a hundred times as heavily, predictions are pulled upwards
# (the mean, not the median); absolute error or Huber, or logarithms of prices, or cleaning the data.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "04-q2", "points": 5, "solution": true}
# **Question 2. Reading a loss (5 points).** A classifier for 1000 classes. (a) Which loss should a fresh network
# print? (b) Yours prints 45. Name a cause and the experiment that would show it. (c) Later the loss on new images rises
# from day to day while their accuracy stays the same. How can that be? Which plot of this module shows it? (d) One day
# the loss is `nan`. Name two causes that this module has made impossible, and one that it has not.
#
# ### BEGIN MARK SCHEME
# 1 point: (a) log 1000, about 6.9.
# 1 point: (b) logits far too large (last layer, missing scaling of the inputs); print their spread, or divide them, or
# the last weights, by a number, and look again.
# 1 point: (c) the order of the scores stays, their size grows: more certainty where it is wrong. The plot of Part 4
# over the factor on all logits.
# 2 points: (d) made impossible, two for 1 point: overflow of exp, log of 0, an empty batch, a nan label. Not made
# impossible, 1 point: nan or inf already in the logits (weights that grew too far, nan among the inputs).
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "04-q3", "points": 5, "solution": true}
# **Question 3. What fusing buys (5 points).** (a) From your measurements: how many times the memory of the logits does
# the composed form need at its peak, and how many the fused one? Where do the arrays come from? (b) A vocabulary of
# 50,000 words, a batch of 8 texts with 1024 words, float32. How large are the logits? Does the fused loss fit beside
# them on a machine with 4 GB? (c) Why does keeping $p$ suffice for the gradient in the logits? Give the formula. (d)
# Name a price of fusing.
#
# ### BEGIN MARK SCHEME
# 1 point: (a) the measured two numbers, with the arrays named (shifted scores, powers, result; one reused array).
# 1 point: (b) 8 * 1024 * 50,000 * 4 bytes = 1.64 GB.
# 1 point: (b) about the same again, 3.3 GB: it fits, barely; the composed form does not.
# 1 point: (c) (p - one-hot) / B, in which no logarithm and no logit occurs.
# 1 point: (d) for example: more code to test, a backward rule of its own, intermediate values cannot be looked at, one
# function for each combination.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 04-9. Squares near, distances far
#
# Huber's loss is a square for small differences $r$ and a straight line for large ones, joined without a kink at
# $|r| = \delta$. Squares are smooth at 0, lines do not let one wild value shout down all others:
#
# $$\mathrm{huber}(r) = \begin{cases} \tfrac12 r^2 & |r| \le \delta \\ \delta\,(|r| - \tfrac12\delta) & \text{otherwise}
# \end{cases}$$
#
# It can be done without choosing: with $c = \min(|r|, \delta)$, what is $c\,(|r| - \tfrac12 c)$ in both cases?
# `delta` is an option of the operation, so it has to come with its name.


# %% nbgrader={"grade_id": "04-9", "solution": true, "optional": true}
#| export
@operation
def huber(predictions, targets, /, *, delta=1.0):
    """Mean of r^2 / 2 where |r| <= delta and of delta * (|r| - delta / 2) elsewhere, for r = predictions - targets.

    Raises: ValueError where the shapes differ, or where there are no elements.
    Source: Huber 1964, "Robust estimation of a location parameter", section 4.
    """
    predictions, targets = same_shape("huber", predictions, targets)
    ### BEGIN SOLUTION
    r = np.abs(predictions - targets)
    c = np.minimum(r, delta)
    return np.mean(c * (r - 0.5 * c))
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-9-test", "optional": true}
def test_unit_huber():
    check_close(huber(Tensor([0.5, -0.25]), [0.0, 0.0]), (0.125 + 0.03125) / 2, "small differences are squared")
    check_close(huber(Tensor([3.0, -5.0]), [0.0, 0.0]), (2.5 + 4.5) / 2, "large ones count by their size")
    check_close(huber(Tensor([3.0]), [0.0], delta=2.0), 4.0, "delta moves the border")
    found = slopes(lambda x: huber(x, np.zeros(4)) * 4, [-7.0, -0.5, 0.25, 30.0])
    check_close(found, [-1, -0.5, 0.25, 1], "its slope is the difference, cut off at delta", atol=1e-5)


test_unit_huber()

# %% [markdown]
# ### Task 04-10. A little doubt
#
# Cross-entropy of a single right class can be lowered for ever by making the logits larger. *Label smoothing* puts an
# end to it: take the amount $a$ from the right class and share it out over all $C$ classes, also the right one. Then
# the best $p$ has no zeros, and logits stay of moderate size. Turn checked class indices into such shares; `np.eye(3)`
# has the one-hot rows of three classes, and can be indexed with an array.

# %%
print(np.eye(3, dtype=np.float32)[np.array([2, 0])])


# %% nbgrader={"grade_id": "04-10", "solution": true, "optional": true}
#| export
def smooth_labels(targets, classes, amount=0.1):
    """Shares (B, classes), float32, for class indices (B,): 1 - amount for the class, and amount / classes for each.

    Raises: ValueError for an index that is not a class.
    Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, "Rethinking the inception architecture", section 7.
    """
    ### BEGIN SOLUTION
    one_hot = np.eye(classes, dtype=np.float32)
    return (1 - amount) * one_hot[class_indices(targets, classes)] + np.float32(amount / classes)
    ### END SOLUTION


# %% nbgrader={"grade_id": "04-10-test", "optional": true}
def test_unit_smooth_labels():
    shares = smooth_labels([1.0, 3.0], 4, amount=0.2)
    check_close(shares, [[0.05, 0.85, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]], "0.2 is shared out over four classes")
    check(shares.dtype == np.float32, "the shares are float32")
    check_close(smooth_labels([0, 2], 3, amount=0), [[1, 0, 0], [0, 0, 1]], "amount 0 gives one-hot rows")
    check_raises(ValueError, lambda: smooth_labels([4], 4), "an index that is not a class")


test_unit_smooth_labels()

# %% [markdown]
# ## Summary
#
# - A loss is one number with a slope everywhere; accuracy is a staircase, and judges something else.
# - Squares ask for the mean, cross-entropy for the probability of what happened. Both are honest; where a sigmoid or a
#   softmax stands in front, only the logarithm keeps its slope when the network is certain and wrong.
# - Logits go in, not probabilities: shift, pick, sum. Then 1000 is an ordinary number, and $p$, which makes the
#   gradient a subtraction, comes nearly for free.
# - Labels, shapes and empty batches are checked first, and errors name the culprit. What is not checked is learned.
# - A fresh classifier of $C$ classes should lose $\log C$.
#
# **Next.** Slopes by differences cost a loss for each weight. Module 05 walks back along the receipts, from the loss to
# every weight, and gets them all at once.
