# %% [markdown]
# # Module 08. Data loaders
#
# The network is ready, the optimizer is ready, and the images lie in a file. Between them stands a question that seems
# too small for a module: which samples come next? The answer decides more than it looks. In a bad order a network
# learns less. In an order that nobody can repeat, no result can be checked. And a run that was cut off in the middle of
# an epoch must go on with the very next sample, or some are seen twice and others never. In this module you build the
# part that reads: any data, in batches, in an order that follows from one number, changed a little if you like, and
# prepared ahead while the network works.
#
# **You need** modules 01 (`Tensor`) and 07 (`Trainer`), and for the experiments 03 to 06: layers, losses, gradients and
# optimizers.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 `Tensor` | what a batch is made of | 09 to 15: all data come through a loader |
# | 07 `Trainer`, `Batches` | reads whatever can be iterated, saves its position | 09 spatial: images, mirrored |
# | 07 one random generator, saved | where the seed of an epoch comes from | 13 tokenization: samples cut from a text |
#
# **After this module you can**
#
# - say what an unlucky order does to training, with numbers of your own;
# - turn samples into batches, one by one or all at once, and say what the difference costs;
# - split data without overlap, shuffle them anew each epoch, and repeat every order from one seed;
# - change images at random without ever changing what is stored;
# - stop in the middle of an epoch and go on with exactly the next batch;
# - predict when preparing batches ahead makes training faster, and when it cannot.
#
# Your code goes to `tinytorch/core/dataloader.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.dataloader import DataLoader, TensorDataset, random_split
#
# train, val = random_split(TensorDataset(images, labels), [0.9, 0.1])
# loader = DataLoader(train, batch_size=32, shuffle=True)
# for x, y in loader:
#     ...
# ```

# %%
#| default_exp core.dataloader
#| export
import functools
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tinytorch.core.tensor import Tensor
from tinytorch.random import default_generator

# %%
import os
import tempfile
import threading
import time
import tracemalloc
import zlib

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Dropout, Flatten, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.core.training import Trainer
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import add_to, check, check_close, check_raises, measure

images, labels = load_digits()
train, test = digits_split()
stored = images.astype(np.uint8).reshape(-1, 1, 8, 8)  # bytes 0 to 16, one channel: (1797, 1, 8, 8)


def check_equal(got, expected, promise):
    """`check_close` for what is not numbers."""
    check(got == expected, f"{promise}: expected {expected}, got {got}")


def global_state():
    """Where NumPy's global generator is: two numbers that a draw or a seed changes."""
    _, numbers, place, *_ = np.random.get_state()
    return int(numbers[0]), place


# %% [markdown]
# ## Part 1. Introduction
#
# Data often lie in a file sorted by something: by class, by day, by who wrote them. Here are the training digits sorted
# by class, and a network that reads them in batches of 32, five times over, in one of four orders:
#
# - `as stored`: all zeros first, then all ones, and so on;
# - `shuffled once`: in one random order, the same in each epoch;
# - `drawn`: each batch draws its 32 samples at random from all of them, so one may come twice, and another not at all;
# - `shuffled each epoch`: every sample once an epoch, in a new order.
#
# **Predict** the accuracy on the test images for each. Chance is 0.1.

# %%
by_class = train[np.argsort(labels[train], kind="stable")]
scaled = stored.reshape(-1, 64).astype(np.float32) / 16


def accuracy_after(order_of, epochs=5, seed=0):
    """Train on the rows that `order_of(rng)` gives for each epoch; returns the accuracy on the test images."""
    manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, loss = Sequential(Linear(64, 32), ReLU(), Linear(32, 10)), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _epoch in range(epochs):
        rows = order_of(rng)
        for first in range(0, len(rows), 32):
            now = rows[first : first + 32]
            optimizer.zero_grad()
            loss(model(Tensor(scaled[now])), labels[now]).backward()
            optimizer.step()
    return np.mean(model(Tensor(scaled[test])).data.argmax(axis=1) == labels[test])


# %%
once = np.random.default_rng(9).permutation(by_class)
orders = {
    "as stored": lambda rng: by_class,
    "shuffled once": lambda rng: once,
    "drawn": lambda rng: rng.choice(by_class, len(by_class)),
    "shuffled each epoch": lambda rng: rng.permutation(by_class),
}
for name, order_of in orders.items():
    print(f"{name:20}", "  ".join(f"{accuracy_after(order_of, seed=seed):.3f}" for seed in range(3)))

# %% [markdown]
# Sorted, the network believes at each moment that there is only one digit, and forgets the others. The other three are
# near each other here, and you should know what they are all the same: one order for all epochs shows the network the
# same 45 batches over and over, and drawing leaves samples out. How many? A sample is missed by one draw with
# probability $1 - 1/n$, and by $n$ draws with $(1 - 1/n)^n$, which is near $1/e$:

# %%
drawn = np.random.default_rng(0).integers(1437, size=1437)
print(f"never drawn in one epoch: {1 - len(set(drawn.tolist())) / 1437:.3f}, and 1/e = {1 / math.e:.3f}")

# %% [markdown]
# More than a third of the data, in each epoch. So the rule is: *every sample once an epoch, in a new order*. And since
# results must be repeatable, the order has to follow from a number that can be written down.

# %% [markdown]
# ## Part 2. Foundations
#
# ### Rows of an array: a view, or a copy
#
# `array[2:5]` is a view: another header on the same memory. `array[[4, 1, 1]]`, with a list or an array of row numbers,
# *gathers*: a new array with copies of these rows, in this order. A mask of booleans gathers where it is true. Which of
# the three changes `table`?

# %%
table = np.arange(10).reshape(5, 2)
view, gathered, masked = table[2:4], table[[4, 1, 1]], table[table[:, 0] > 5]
view[0, 0] = gathered[0, 0] = masked[0, 0] = -1
print(table.tolist(), " gathered:", gathered.tolist())

# %% [markdown]
# Assigning *through* a mask writes into the array itself: `table[mask] = ...`. And `...` stands for all dimensions that
# are not named, so that `x[..., 0]` is the first column of whatever shape there is, and `x[..., ::-1]` reads the last
# dimension backwards.

# %%
x = np.arange(12).reshape(2, 2, 3)
print("last dimension backwards:", x[..., ::-1].tolist())
copied = x.copy()
copied[np.array([True, False]), ..., 0] = 99
print("written through a mask:  ", copied.tolist(), " and x is as before:", x[0, 0, 0] == 0)

# %% [markdown]
# ### Samples into columns
#
# A list of pairs becomes two columns by `zip(*pairs)`: the star hands `zip` each pair as an argument of its own.
# `np.stack` piles arrays of one shape up along a *new* first dimension; `np.concatenate` glues them along one they
# have.

# %%
pairs = [(np.array([1.0, 2.0]), 0), (np.array([3.0, 4.0]), 1)]
inputs, targets = zip(*pairs)
print(inputs, targets)
print("stacked:", np.stack(inputs).shape, " concatenated:", np.concatenate(inputs).shape)

# %% [markdown]
# ### Cutting an array into parts
#
# `np.split` cuts at the places you name: where the second part begins, where the third begins, and so on. For parts of
# given sizes these are sums of sizes, `np.cumsum`, without the last one, which is the end.

# %%
sizes = [3, 2, 1]
print("sums:", np.cumsum(sizes), " parts:", np.split(np.arange(6) * 10, [3, 5]))

# %% [markdown]
# ### One number, and everything that follows from it
#
# A generator made from a seed always draws the same. The seed may also be a list: generators of `[5, 0]`, `[5, 1]`,
# `[5, 2]` are as good as independent of each other, and each can be made at any time, *without the ones before*. Keep
# this in mind: it is how batch number 1000 gets its own random numbers, whether or not batch 999 was ever made.

# %%
print(np.random.default_rng(5).permutation(6), np.random.default_rng(5).permutation(6))
for k in (2, 0, 2):
    print(f"generator [5, {k}] draws", np.random.default_rng([5, k]).random(2).round(3))

# %% [markdown]
# NumPy has a global generator as well, behind `np.random.seed` and `np.random.shuffle`. Whoever uses it changes what
# everybody else draws from it, in any library. We never touch it; `rng=None` means tinytorch's own default generator,
# which `manual_seed` starts and a checkpoint saves.
#
# ### Data that are larger than the memory
#
# `np.load(path, mmap_mode="r")` reads only a header. What you get looks like an array; the system fetches the pages of
# the file when somebody touches them, and may forget them again. Gathering rows reads just these rows. `"r"` means that
# nobody can write into the file by mistake.

# %%
folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "digits.npy")
np.save(path, stored)
on_disk = np.load(path, mmap_mode="r")
print(type(on_disk).__name__, on_disk.shape, on_disk.dtype, " a gathered batch:", on_disk[[5, 0, 9]].shape)
try:
    on_disk[0] = 0
except ValueError as error:
    print(error)

# %% [markdown]
# ### Somebody else does it meanwhile
#
# A `ThreadPoolExecutor` has helpers, *threads*, that call functions while you do something else. `submit(f, x)` returns
# at once, with a *future*: a promise of the result. `future.result()` waits until it is there; if `f` raised an error,
# the error is raised here. A `deque` is a list with two ends: `append` on the right, `popleft` on the left.


# %%
def slowly(n):
    time.sleep(0.05)
    return n * n


start = time.perf_counter()
with ThreadPoolExecutor(max_workers=1) as pool:
    promised = deque()
    promised.append(pool.submit(slowly, 3))
    promised.append(pool.submit(slowly, 4))
    print(f"after {time.perf_counter() - start:.3f} s nobody has waited yet")
    print("first result:", promised.popleft().result(), f" after {time.perf_counter() - start:.3f} s")

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 08-1. Samples by number
#
# A *dataset* is anything that has a length and gives a sample for a number. A list of pairs is one. Most data are
# arrays side by side, images in one and labels in the other, and sample $i$ is row $i$ of each. `TensorDataset` puts
# such arrays together. It should take whatever an array takes between the brackets: a number gives one sample, a slice
# or an array of numbers gives several at once.
#
# `Dataset` is what datasets have in common. A subclass writes `__getitem__` and `__len__`. `batch` is what a loader
# asks for: several samples as arrays. Its general form collects samples one by one, with `collate`, which is the next
# task. `TensorDataset` can do better, with one gathering for each array.


# %%
#| export
class Dataset:
    """Samples by number: a subclass writes `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__}.__getitem__")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__}.__len__")

    def __iter__(self):
        return (self[index] for index in range(len(self)))  # else Python would count on until an IndexError

    def batch(self, rows):
        """The samples with these numbers, `rows` an integer array (B,): arrays (B, ...). One by one; override it where
        it can be done at once."""
        return collate([self[int(row)] for row in rows])


def rows_in(arrays):
    """How many rows all `arrays` have. Raises: ValueError that lists the numbers where they differ."""
    counts = [len(array) for array in arrays]
    if not counts or len(set(counts)) > 1:
        raise ValueError(f"TensorDataset: needs arrays with equally many rows, one a sample; these have {counts}")
    return counts[0]


# %% nbgrader={"grade_id": "08-1", "solution": true}
#| export
class TensorDataset(Dataset):
    """Arrays or Tensors side by side: sample i is row i of each, a tuple. They are not copied, so a file can stay a
    file.

    Raises: ValueError if they have different numbers of rows.
    """

    def __init__(self, *tensors):
        self.tensors = [np.array(part) if isinstance(part, list | tuple) else part for part in tensors]
        self.rows = rows_in(self.tensors)

    def __getitem__(self, index):
        """What stands at `index`, a number, slice or array of numbers, in each of the arrays: a tuple."""
        ### BEGIN SOLUTION
        return tuple(part[index] for part in self.tensors)
        ### END SOLUTION

    def __len__(self):
        return self.rows

    def batch(self, rows):
        return self[rows]


# %% nbgrader={"grade_id": "08-1-test", "points": 5}
def test_unit_tensor_dataset():
    dataset = TensorDataset(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([7, 8, 9]))
    sample = dataset[1]
    check_equal(type(sample), tuple, "a sample is")
    check_equal(len(sample), 2, "the number of its parts")
    check_close(sample[0], [3, 4], "the input of sample 1")
    check_close(sample[1], 8, "the target of sample 1")
    several = dataset[np.array([2, 0, 2])]
    check_close(several[0], [[5, 6], [1, 2], [5, 6]], "the inputs of samples 2, 0, 2")
    check_close(several[1], [9, 7, 9], "the targets of samples 2, 0, 2")
    check_close(dataset[-1][1], 9, "-1 is the last sample, as in a list")
    three = TensorDataset([1, 2], [3, 4], [5, 6])
    check_close(three[0], [1, 3, 5], "three arrays side by side")
    check_close(dataset[1:][1], [8, 9], "a slice from 1: the targets of samples 1 and 2")
    check_close(TensorDataset(Tensor([[1.0], [2.0]]), [3, 4])[1][0], [2.0], "a row of a Tensor")


test_unit_tensor_dataset()

# %% [markdown]
# ### Task 08-2. Samples into a batch
#
# Not every dataset is arrays. Images come from files, sentences from lines, and then samples arrive one at a time. A
# network wants a batch: all inputs in one array, all targets in another. So `collate` turns a list of samples inside
# out:
#
# ```
# [(x0, y0), (x1, y1), (x2, y2)]   ->   (array of x0 x1 x2,  array of y0 y1 y2)
# ```
#
# A sample may also be a single array, or a tuple with tuples in it. If a sample is a tuple or a list, collate each of
# its parts on its own; the parts of one kind are again a list of samples, so the function can call itself. Otherwise
# stack. `as_array` turns numbers and Tensors into arrays.


# %%
#| export
def as_array(x):
    """Numbers, Tensors and whatever NumPy understands as an array."""
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def parts_in(sample):
    """How many parts a sample has: the length of a tuple or list, and 0 for anything else."""
    return len(sample) if isinstance(sample, tuple | list) else 0


# %% nbgrader={"grade_id": "08-2", "solution": true}
#| export
def collate(samples):
    """A list of samples as one batch: with a new first dimension, (B, ...).

    samples: arrays, Tensors or numbers, which become one array; or tuples or lists of these, perhaps nested, which
        become a tuple with a batch for each part.
    Raises: ValueError where samples differ in the number of parts or in shape.
    """
    counts = {parts_in(sample) for sample in samples}
    if len(counts) > 1:
        raise ValueError(f"collate: samples with {sorted(counts)} parts cannot be one batch")
    ### BEGIN SOLUTION
    if isinstance(samples[0], tuple | list):
        return tuple(collate(part) for part in zip(*samples))
    return np.stack([as_array(sample) for sample in samples])
    ### END SOLUTION


# %% nbgrader={"grade_id": "08-2-test", "points": 5}
def test_unit_collate():
    x, y = collate([(np.array([1.0, 2.0]), 5), (np.array([3.0, 4.0]), 6), (np.array([7.0, 8.0]), 9)])
    check_close(x, [[1, 2], [3, 4], [7, 8]], "the inputs of three samples, one below the other")
    check_close(y, [5, 6, 9], "the targets of three samples")
    check_equal(np.asarray(y).dtype.kind, "i", "classes stay integers")
    alone = collate([np.ones(2), np.zeros(2), np.ones(2)])
    check_close(alone, [[1, 1], [0, 0], [1, 1]], "samples that are single arrays give one array")
    (left, right), z = collate([((1, 2), Tensor([3.0])), ((4, 5), Tensor([6.0]))])
    check_close([left, right], [[1, 4], [2, 5]], "both parts of a part")
    check_close(z, [[3], [6]], "Tensors become an array")
    from_lists = collate([[np.ones(2), 5], [np.zeros(2), 6]])
    check_equal(len(from_lists), 2, "lists of two parts give a batch for each: how many")
    kinds = [type(part).__name__ for part in (from_lists, *from_lists)]
    check_equal(kinds, ["tuple", "ndarray", "ndarray"], "they give a tuple of arrays")
    check_raises(ValueError, lambda: collate([(1, 2), (3,)]), "samples with other numbers of parts do not fit")


test_unit_collate()

# %% [markdown]
# Try it on a dataset of your own kind. This one computes its samples, and holds nothing:


# %%
class Squares(Dataset):
    """Sample i is the pair (i, i * i)."""

    def __len__(self):
        return 100

    def __getitem__(self, index):
        return np.array([index], dtype=np.float32), index * index


print(Squares()[7], Squares().batch(np.array([2, 9])))

# %% [markdown]
# ### Task 08-3. Apart, and no sample twice
#
# What a network is judged on must not be what it was trained on. So data are split, and the split has three rules: at
# random, because neighbours in a file resemble each other (the digits stand in the order of their writers); without
# overlap; and nothing is lost. One permutation of all row numbers, cut into parts, keeps all three.
#
# `Subset` is given: some rows of a dataset, looked up in it, not copied. `part_sizes` is given, too: lengths may be
# counts, or fractions of the whole, and what rounding leaves over goes to the first parts, one each, as in PyTorch.


# %%
#| export
class Subset(Dataset):
    """The samples of `dataset` with the numbers in `indices`, in this order. Nothing is copied."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, np.asarray(indices)

    def __getitem__(self, index):
        if isinstance(index, int | np.integer):
            return self.dataset[int(self.indices[index])]
        return read(self.dataset, self.indices[index])

    def __len__(self):
        return len(self.indices)

    def batch(self, rows):
        return read(self.dataset, self.indices[rows])


def read(dataset, rows):
    """Several samples as arrays: at once where the dataset has `batch`, else one by one."""
    if hasattr(dataset, "batch"):
        return dataset.batch(rows)
    return collate([dataset[int(row)] for row in rows])


def part_sizes(total, lengths):
    """Sizes of parts from counts that sum to `total`, or from fractions that sum to 1.

    Raises: ValueError where they do not.
    """
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths are {list(lengths)}; none can be negative")
    if math.isclose(sum(lengths), 1):
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
        return sizes
    if sum(lengths) != total or any(length != int(length) for length in lengths):
        raise ValueError(f"random_split: lengths {list(lengths)} sum to {sum(lengths)}, and there are {total} samples; "
                         "give counts that sum to it, or fractions that sum to 1")  # fmt: skip
    return [int(length) for length in lengths]


# %%
print(part_sizes(10, [0.5, 0.25, 0.25]), part_sizes(1797, [1437, 360]))
try:
    part_sizes(10, [6, 3])
except ValueError as error:
    print(error)


# %% nbgrader={"grade_id": "08-3", "solution": true}
#| export
def random_split(dataset, lengths, rng=None):
    """Subsets of `dataset` with these lengths, at random, without overlap, and together all of it: a list.

    lengths: counts, or fractions that sum to 1.
    rng: draws one permutation; without it tinytorch's default generator does.
    """
    rng = default_generator if rng is None else rng
    sizes = part_sizes(len(dataset), lengths)
    ### BEGIN SOLUTION
    order = rng.permutation(len(dataset))
    return [Subset(dataset, rows) for rows in np.split(order, np.cumsum(sizes)[:-1])]
    ### END SOLUTION


# %% nbgrader={"grade_id": "08-3-test", "points": 5}
def test_unit_random_split():
    before = global_state()
    parts = random_split(range(100, 120), [12, 5, 3], rng=np.random.default_rng(0))
    check(global_state() == before, "NumPy's global generator stays where it is")
    check_close([len(part.indices) for part in parts], [12, 5, 3], "the sizes of the parts")
    check_equal(type(parts), list, "the parts are a")
    rows = np.concatenate([part.indices for part in parts])
    check_close(np.sort(rows), np.arange(20), "every row is in exactly one part")
    first = np.random.default_rng(0).permutation(20)
    check_close(rows, first, "the rows of all parts, one behind the other, are one permutation that rng draws")
    check(parts[1].dataset is parts[0].dataset, "the parts look into the dataset itself")
    halves = random_split(range(5), [0.5, 0.5], rng=np.random.default_rng(1))
    check_close([len(part.indices) for part in halves], [3, 2], "fractions of five samples")
    manual_seed(3)
    rows = np.concatenate([part.indices for part in random_split(range(8), [6, 2])])
    check_close(rows, np.random.default_rng(3).permutation(8), "without rng the default generator draws")


test_unit_random_split()

# %% [markdown]
# ### Task 08-4. Changed at random, and nothing stored is changed
#
# A cat that looks to the left is still a cat when it looks to the right. Mirroring images at random shows a network
# twice as many cats for free. Such changes are called *transforms*. Ours work on a whole batch, an array
# (N, ..., H, W), because one NumPy call for 64 images is much cheaper than 64 calls, and they get the generator they
# may draw from: `transform(x, rng)`.
#
# `RandomHorizontalFlip` mirrors each image with probability $p$. Three things can go wrong, and all three still give
# images that look right one at a time:
#
# - One coin is tossed for the whole batch. Every image needs one of its own.
# - `x[mask] = ...` writes into `x`. If `x` is the stored array, the data are changed for good, and mirrored images are
#   mirrored again in the next epoch. Work on a copy.
# - Up and down are mirrored instead of left and right. The last dimension is the width.


# %% nbgrader={"grade_id": "08-4", "solution": true}
#| export
class RandomHorizontalFlip:
    """Mirrors each image of a batch (N, ..., W) left to right with probability `p`."""

    def __init__(self, p=0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p is {p}; a probability is between 0 and 1")
        self.p = p

    def __call__(self, x, rng=None):
        """A new array of the shape and type of `x`, which stays as it is; `rng` tosses one coin for each image."""
        rng = default_generator if rng is None else rng
        ### BEGIN SOLUTION
        mirrored = rng.random(len(x)) < self.p
        y = x.copy()
        y[mirrored] = x[mirrored][..., ::-1]
        return y
        ### END SOLUTION


# %% nbgrader={"grade_id": "08-4-test", "points": 5}
def test_unit_random_horizontal_flip():
    x = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)  # two images of two channels
    always, never = (RandomHorizontalFlip(p)(x, np.random.default_rng(0)) for p in (1.0, 0.0))
    check_close(x.ravel(), np.arange(24), "the array that was given stays as it was")
    check_close([len(always), len(never)], [2, 2], "two images come out, with p = 1 and with p = 0")
    rows = [always[1, 0], never[1, 0]]
    expected = [[[14, 13, 12], [17, 16, 15]], [[12, 13, 14], [15, 16, 17]]]
    check_close(rows, expected, "one channel: with p = 1 each row is read backwards, with p = 0 none")
    check_close(always, x[:, :, :, ::-1], "with p = 1 every image and channel is mirrored")
    check_equal(always.dtype.name, "uint8", "the type of the numbers")
    check(not np.shares_memory(x, never), "with p = 0, too, a new array comes out")


def test_unit_random_horizontal_flip_coins():
    x = np.tile([0.0, 1.0], (400, 1))  # 400 images of one row
    y = RandomHorizontalFlip(0.25)(x, np.random.default_rng(0))
    check(np.all(y.sum(axis=1) == 1), "an image is mirrored as a whole")
    check_close(np.mean(y[:, 0]), 0.25, "with p = 0.25 about a quarter of 400 images is mirrored", rtol=0, atol=0.1)
    again = RandomHorizontalFlip(0.25)(x, np.random.default_rng(0))
    check(np.array_equal(y, again), "the same generator mirrors the same images")


test_unit_random_horizontal_flip()
test_unit_random_horizontal_flip_coins()

# %% [markdown]
# ### Numbers to the right size, and several transforms in a row (given)
#
# Stored as bytes, images take a quarter of the memory of float32. They become numbers near 0 and 1 a batch at a time,
# with $(x - \text{mean}) / \text{std}$ for each channel. `Compose` puts transforms one behind the other.


# %%
#| export
class Normalize:
    """(x - mean) / std in float32. mean, std: numbers, or one number for each channel of x (N, C, H, W)."""

    random = False  # a loader need not draw a seed for it

    def __init__(self, mean, std):
        self.mean, self.std = (self._for_channels(name, value) for name, value in (("mean", mean), ("std", std)))
        if np.any(self.std == 0):
            raise ValueError(f"Normalize: std is {std}; it divides, so no channel can have 0")

    @staticmethod
    def _for_channels(name, value):
        array = np.asarray(value, dtype=np.float32)
        if array.ndim > 1:
            raise ValueError(f"Normalize: {name} has shape {array.shape}; give a number, or one for each channel")
        return array if array.ndim == 0 else array.reshape(-1, 1, 1)

    def __call__(self, x, rng=None):
        return (np.asarray(x, dtype=np.float32) - self.mean) / self.std


def is_random(transform):
    """Whether a transform may draw random numbers: not if it is None or says so itself, in an attribute `random`."""
    return transform is not None and getattr(transform, "random", True)


class Compose:
    """Several transforms, one behind the other; all draw from the same generator."""

    def __init__(self, transforms):
        self.transforms = list(transforms)

    @property
    def random(self):
        return any(is_random(transform) for transform in self.transforms)

    def __call__(self, x, rng=None):
        for transform in self.transforms:
            x = transform(x, rng)
        return x


# %%
to_ink = Normalize(0, 16)
changed = Compose([RandomHorizontalFlip(), to_ink])(stored[:4], np.random.default_rng(0))
print(changed.dtype, changed.shape, changed.min(), changed.max(), " stored:", stored.dtype, stored.max())

# %% [markdown]
# ### The frame of the loader (given)
#
# A `DataLoader` puts the parts together. Its methods come with the next tasks; read now what its frame says about
# randomness. There is one number an epoch, the `seed`, drawn when the epoch begins. Everything follows from it: the
# order, and for batch $k$ a generator of its own, made from `[seed, k]`, from which its transform draws. So batch $k$
# is the same whether the batches before it were made or not, in this process or another, and by which thread. And
# where nothing is random nothing is drawn, so that reading the test set does not change the training after it.


# %%
#| export
class DataLoader:
    """Batches of a dataset, each a tuple of Tensors (B, ...), or one Tensor where samples are no tuples. Can be
    iterated again for every epoch.

    dataset: anything with `len` and `[number]`; with a method `batch(rows)` samples are read several at once.
    batch_size: samples in a batch; the last batch of an epoch may have fewer, unless `drop_last` leaves it out.
    shuffle: a new order each epoch.
    rng: draws one seed an epoch, from which all else follows; without it tinytorch's default generator does.
    transform: called with the inputs of a batch, an array (B, ...), and a generator that belongs to this batch; with
        None in place of the generator where neither order nor transform is random.
    prefetch: how many batches a thread prepares ahead; the batches are the same. 0 uses no thread.

    position: batches handed out in the epoch that runs. `state_dict` and `load_state_dict` keep and restore it; of two
    iterations at the same time the state is that of neither.
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, drop_last=False, rng=None, *, transform=None, prefetch=0):
        for name, value, least in (("batch_size", batch_size, 1), ("prefetch", prefetch, 0)):
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"DataLoader: {name} is {value!r}; it must be an integer of at least {least}")
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(f"DataLoader: {dataset!r:.60} is no dataset; it needs len(...) and [number]")
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(f"DataLoader: rng is {rng!r:.60}; give a generator: np.random.default_rng(0)")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, int(batch_size), shuffle, drop_last
        self.rng, self.transform, self.prefetch = rng, transform, int(prefetch)
        self.position, self.seed, self.resumed = 0, None, False

    def draw_seed(self):
        """The seed of a new epoch; None where nothing is random, and then nothing is drawn."""
        if not self.shuffle and not is_random(self.transform):
            return None
        rng = default_generator if self.rng is None else self.rng
        return int(rng.integers(2**63))


# %% [markdown]
# ### Task 08-5. How many batches
#
# Progress bars and schedules ask a loader how long an epoch is, and a wrong answer by one is hard to notice. With $n$
# samples in batches of $b$: how many full batches are there? When is there one more, and how large is it? Fill in the
# table in your head for $b = 4$ and $n = 8, 9, 0, 3$, with and without `drop_last`, before you write the line. Integer
# division is `//`; `math.ceil` rounds up.


# %% nbgrader={"grade_id": "08-5", "solution": true}
#| export
@add_to(DataLoader)
def __len__(self):
    """How many batches an epoch has."""
    samples = len(self.dataset)
    ### BEGIN SOLUTION
    if self.drop_last:
        return samples // self.batch_size
    return math.ceil(samples / self.batch_size)
    ### END SOLUTION


# %% nbgrader={"grade_id": "08-5-test", "points": 5}
def test_unit_len():
    def counts(drop_last):
        return [len(DataLoader(range(n), 4, drop_last=drop_last)) for n in (9, 8, 3, 0, 1, 7)]

    expected = [[3, 2, 1, 0, 1, 2], [2, 2, 0, 0, 0, 1]]
    promise = "batches of 4 in 9, 8, 3, 0, 1 and 7 samples, first row with a last short batch, second row without it"
    check_close([counts(drop_last=False), counts(drop_last=True)], expected, promise)
    check_close([len(DataLoader(range(5))), len(DataLoader(range(5), 5))], [5, 1], "batches of 1 and of 5 in 5 samples")


test_unit_len()

# %% [markdown]
# ### Task 08-6. Which rows
#
# Now the order. `rows(seed)` gives the row numbers of every batch of an epoch: a list of arrays. Without `shuffle` they
# are 0, 1, 2, ... With it they are the permutation that `np.random.default_rng(seed)` draws. Cut the order into
# neighbouring pieces of `batch_size`. The last piece may be shorter; with `drop_last` it is left out. Slices forgive:
# `order[8:12]` of ten rows gives two, and no error.

# %%
order = np.array([7, 7, 1, 0, 2])
print([order[first : first + 2].tolist() for first in (0, 2, 4)], " places:", list(range(0, 5, 2)))


# %% nbgrader={"grade_id": "08-6", "solution": true}
#| export
@add_to(DataLoader)
def rows(self, seed):
    """Row numbers of each batch of the epoch that follows from `seed`: a list of integer arrays (B,).

    The order is that of `np.random.default_rng(seed).permutation`, and without `shuffle` that of the dataset.
    """
    samples = len(self.dataset)
    ### BEGIN SOLUTION
    order = np.random.default_rng(seed).permutation(samples) if self.shuffle else np.arange(samples)
    end = samples - samples % self.batch_size if self.drop_last else samples
    return [order[first : first + self.batch_size] for first in range(0, end, self.batch_size)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "08-6-test", "points": 5}
def test_unit_rows():
    plain = DataLoader(range(10), 4).rows(None)
    check_close([len(rows) for rows in plain], [4, 4, 2], "sizes of the batches of 4 in 10 samples")
    check_close(np.concatenate(plain), np.arange(10), "without shuffle the rows come in order")
    full = DataLoader(range(10), 4, drop_last=True).rows(None)
    check_close([len(rows) for rows in full], [4, 4], "with drop_last the short batch is left out")
    even = DataLoader(range(8), 4, drop_last=True).rows(None)
    check_close([len(rows) for rows in even], [4, 4], "with drop_last full batches stay")
    manual_seed(5)
    before = global_state()
    mixed = DataLoader(range(10), 4, shuffle=True).rows(3)
    check(global_state() == before, "NumPy's global generator stays where it is")
    expected = np.random.default_rng(3).permutation(10)
    check_close(np.concatenate(mixed), expected, "with shuffle the rows are the permutation that default_rng(3) draws")
    other = np.concatenate(DataLoader(range(10), 4, shuffle=True).rows(4))
    check_close(other, np.random.default_rng(4).permutation(10), "another seed gives another order")
    check_close(len(DataLoader([], 4).rows(None)), 0, "no samples give no batches")


test_unit_rows()

# %% [markdown]
# ### Task 08-7. Ahead of time
#
# While the network works on one batch, the next can be made. `prefetched` calls `make(n)` for the numbers it is given,
# in a thread, and hands the results out in their order. At any time, while the caller works on one result, the next
# `ahead` are made or being made, and no more than these: a thread that ran on without a limit would fill the memory.
#
# Keep the futures in the deque `waiting`. For each number submit its call. As soon as more than `ahead` are waiting,
# hand out the oldest result. When the numbers have run out, some are still waiting.
#
# What stands around your lines ends the thread whatever happens, also when the caller stops in the middle. How far
# ahead it is, the tests see by what has been taken from here:


# %%
def counted(numbers, taken):
    """The same numbers; the list `taken` gets each of them when somebody takes it."""
    for n in numbers:
        taken.append(n)
        yield n


# %% nbgrader={"grade_id": "08-7", "solution": true}
#| export
def prefetched(make, numbers, ahead):
    """make(n) for each n of `numbers`, in order; a thread computes up to `ahead` of them before they are asked for.

    An error in `make` is raised where its result would have come.
    """
    pool, waiting = ThreadPoolExecutor(max_workers=1), deque()
    try:
        ### BEGIN SOLUTION
        for n in numbers:
            waiting.append(pool.submit(make, n))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        ### END SOLUTION
    finally:
        pool.shutdown(cancel_futures=True)


# %% nbgrader={"grade_id": "08-7-test", "points": 5}
def test_unit_prefetched():
    squares = [result for result in prefetched(lambda n: n * n, range(6), 2)]
    check_close(squares, [0, 1, 4, 9, 16, 25], "all results in order")
    threads = set(prefetched(lambda n: threading.get_ident(), range(3), 1))
    check(threading.get_ident() not in threads, "the calls happen in another thread")
    taken = []
    results = prefetched(lambda n: n * n, counted(range(9), taken), 2)
    check_close(next(results), 0, "the first result")
    check_close(len(taken), 3, "calls begun while the caller has the first of nine results, two ahead")
    next(results)
    check_close(len(taken), 4, "calls begun while the caller has the second result")
    results.close()
    check_equal(list(prefetched(str, [], 3)), [], "no numbers give no results")


def test_unit_prefetched_error():
    results = prefetched(lambda n: 6 // (2 - n), range(4), 1)
    check_close([next(results), next(results)], [3, 6], "results before an error arrive")
    check_raises(ZeroDivisionError, lambda: next(results), "the error arrives in place of its result")


test_unit_prefetched()
test_unit_prefetched_error()

# %% [markdown]
# ### One batch, and a state (given)
#
# `load` makes one batch: it reads, transforms, and wraps into Tensors. `fetched(rows, start)` makes those from number
# `start` on, one when it is asked for, or ahead in a thread; the seed it uses is `self.seed`, at the time of the call.
#
# `state_dict` is small, because everything follows from the seed: where we are, the seed of this epoch, and the
# loader's own generator, from which the seeds of later epochs come. A loader without a generator of its own draws from
# the default one, and whoever saves the run saves that; a `Trainer` does. The rest of the state is there to refuse a
# loader that would cut the same data into other batches.


# %%
#| export
@add_to(DataLoader)
def load(self, rows, seed, k):
    """Batch number `k` of those in `rows`: read, transformed, as Tensors."""
    arrays = read(self.dataset, rows[k])
    parts = arrays if isinstance(arrays, tuple | list) else (arrays,)
    if self.transform is not None:
        rng = None if seed is None else np.random.default_rng([seed, k])
        parts = (self.transform(as_array(parts[0]), rng), *parts[1:])
    tensors = tuple(part if isinstance(part, Tensor) else Tensor(part) for part in parts)
    return tensors if isinstance(arrays, tuple | list) else tensors[0]


# %%
#| export
@add_to(DataLoader)
def fetched(self, rows, start):
    """The batches with these row numbers, and `self.seed`, from number `start` on: when asked for, or ahead."""
    make, numbers = functools.partial(self.load, rows, self.seed), range(start, len(rows))
    return prefetched(make, numbers, self.prefetch) if self.prefetch else map(make, numbers)


# %%
#| export
@add_to(DataLoader)
def _shape(self):
    """What decides how the data are cut into batches."""
    names = ("batch_size", "shuffle", "drop_last")
    return {"samples": len(self.dataset), **{name: getattr(self, name) for name in names}}


# %%
#| export
@add_to(DataLoader)
def state_dict(self):
    """Where in the data the loader is: plain values. Between epochs the position is 0 and there is no seed."""
    own = None if self.rng is None else self.rng.bit_generator.state
    return {"position": self.position, "seed": self.seed, "rng": own, **self._shape()}


# %%
#| export
@add_to(DataLoader)
def load_state_dict(self, state):
    """Go on where `state` was taken: the next iteration gives the rest of that epoch.

    Raises: ValueError for the state of other data, or of other batches; then nothing is changed.
    """
    other = [f"{name} is {here} here and {state.get(name)} in the state" for name, here in self._shape().items()
             if state.get(name) != here]  # fmt: skip
    if (state["rng"] is None) != (self.rng is None):
        other.append("one of the two has a generator of its own, and the other has none")
    if other:
        raise ValueError(f"DataLoader: {'; '.join(other)}")
    if self.rng is not None:
        self.rng.bit_generator.state = state["rng"]
    self.position, self.seed = state["position"], state["seed"]
    self.resumed = self.position > 0


# %%
loader = DataLoader(Squares(), 3, shuffle=True, rng=np.random.default_rng(0))
print([loader.load(loader.rows(11), 11, k)[0].data.ravel().tolist() for k in (0, 1)])
print(loader.state_dict())

# %% [markdown]
# ### Task 08-8. An epoch, from wherever it is
#
# What `for x, y in loader` calls is `__iter__`, a function with `yield` (module 07). It has two beginnings.
#
# - A new epoch: `self.position` is 0, and `self.seed` is what `self.draw_seed()` gives.
# - After `load_state_dict` the flag `resumed` is set, and position and seed are those of the state: draw nothing, and
#   go on from there. That holds once. The next iteration is a new epoch.
#
# Then hand out what `self.fetched(...)` gives for the rows of this seed, and count in `self.position`. When? While the
# caller works on a batch, your function stands at its `yield`. If the caller saves the state now, the batch in its
# hands counts as done: it will have been trained on. So count **before** you hand out. Counted after the `yield`, the
# state would be one batch late, and the resumed run would train on that batch twice.
#
# After the last batch the epoch is over: position 0, no seed.


# %% nbgrader={"grade_id": "08-8", "solution": true}
#| export
@add_to(DataLoader)
def __iter__(self):
    """The batches of one epoch, from its beginning, or after `load_state_dict` the rest of that epoch."""
    ### BEGIN SOLUTION
    if not self.resumed:
        self.position, self.seed = 0, self.draw_seed()
    self.resumed = False
    for batch in self.fetched(self.rows(self.seed), self.position):
        self.position += 1
        yield batch
    self.position, self.seed = 0, None
    ### END SOLUTION


# %% nbgrader={"grade_id": "08-8-test", "points": 5}
def ten_samples(seed=0, **options):
    """A shuffling loader over ten pairs (i, 10 i), in batches of three."""
    pairs = [(float(i), 10 * i) for i in range(10)]
    return DataLoader(pairs, 3, shuffle=True, rng=np.random.default_rng(seed), **options)


def all_of(loader):
    """The batches of an epoch. (`list(loader)` would ask for the length as well, and that is another task.)"""
    return [batch for batch in loader]


def numbers_of(batches):
    """The inputs of all batches, one behind the other."""
    return np.concatenate([x.data for x, _ in batches])


def test_unit_iter():
    loader = ten_samples()
    first, second = all_of(loader), all_of(loader)
    check_close([len(x.data) for x, _ in first], [3, 3, 3, 1], "sizes of the batches")
    check_close(np.sort(numbers_of(first)), np.arange(10), "an epoch has every sample once")
    check_close(np.sort(numbers_of(second)), np.arange(10), "and so has the second epoch")
    check(not np.array_equal(numbers_of(first), numbers_of(second)), "the second epoch has another order")
    rng = np.random.default_rng(0)
    seeds = [int(rng.integers(2**63)) for _ in range(2)]
    orders = [np.random.default_rng(seed).permutation(10) for seed in seeds]
    check_close([numbers_of(first), numbers_of(second)], orders, "each epoch draws one seed, which gives its order")
    check(all(isinstance(part, Tensor) for batch in first for part in batch), "a batch is Tensors")
    manual_seed(0)
    test_data = DataLoader([(1.0, 1)], 1)
    check_close(len(all_of(test_data)), 1, "without shuffle there is nothing to draw")
    check_close(default_generator.random(), np.random.default_rng(0).random(), "and nothing was drawn")


def test_unit_iter_resumed():
    straight = ten_samples()
    cut = iter(straight)
    done = [next(cut), next(cut)]
    state = straight.state_dict()
    check_close(state["position"], 2, "the position while the caller has the second batch")
    rest, after = list(cut), all_of(straight)
    check_close(len(done) + len(rest), 4, "the batches of an epoch")
    resumed = ten_samples(seed=7)
    resumed.load_state_dict(state)
    check_close(numbers_of(resumed), numbers_of(rest), "resumed, the rest of the epoch is the same")
    between = resumed.state_dict()
    check_equal((between["position"], between["seed"]), (0, None), "after the last batch the position and the seed")
    check_equal(resumed.resumed, False, "going on holds for one epoch: after it the flag")
    check_close(numbers_of(resumed), numbers_of(after), "and the next epoch is a whole one, the same as well")


def test_unit_iter_lazy():
    readers = []

    class Watched(list):
        def __getitem__(self, index):
            readers.append(threading.get_ident())
            return super().__getitem__(index)

    data = Watched([(float(i), i) for i in range(10)])
    loader = DataLoader(data, 2)
    batches = iter(loader)
    next(batches)
    check_close(len(readers), 2, "samples read for the first batch of two")
    batches.close()
    check_close(numbers_of(loader), np.arange(10), "a loop that was left early does not shorten the next epoch")
    readers.clear()
    check_close(numbers_of(DataLoader(data, 2, prefetch=1)), np.arange(10), "with one batch ahead, the same samples")
    check(threading.get_ident() not in readers, "with a batch ahead it is the thread that reads")


def test_unit_iter_resumed_and_left():
    straight, again = ten_samples(), ten_samples(seed=7)
    batches = iter(straight)
    next(batches), next(batches)
    again.load_state_dict(straight.state_dict())
    going_on = iter(again)
    check_close(next(going_on)[0], next(batches)[0], "going on after two batches, the first is the third")
    check_close(again.state_dict()["position"], 3, "the position while the caller has it")
    going_on.close()
    check_close(len(all_of(again)), 4, "left early, it is followed by a whole epoch of so many batches")


test_unit_iter()
test_unit_iter_resumed()
test_unit_iter_lazy()
test_unit_iter_resumed_and_left()

# %% [markdown]
# ## Part 4. Integration
#
# ### Cut off in the middle of an epoch
#
# Everything together, on data that stay in their file: bytes in a memory map, split, shuffled, made into float32 a
# batch at a time, and trained on by the `Trainer` of module 07. A callback saves a checkpoint in the middle of the
# second epoch, after batch 60 of a training that has 41 batches an epoch. Then another Trainer, with other weights and
# another loader, goes on from the file. If one batch came twice, or one random number was drawn too many, the weights
# would differ.


# %%
def disk_run(seed, callbacks=(), prefetch=0):
    """A Trainer and its loader on the digits in the file."""
    manual_seed(seed)
    model = Sequential(Flatten(), Linear(64, 32), ReLU(), Dropout(0.2), Linear(32, 10))
    digits = TensorDataset(np.load(path, mmap_mode="r"), labels)
    mine, _ = random_split(Subset(digits, train), [0.9, 0.1], np.random.default_rng(0))
    loader = DataLoader(mine, 32, shuffle=True, transform=to_ink, prefetch=prefetch)
    return Trainer(model, Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), callbacks=callbacks), loader


class SaveOnce:
    """Saves a checkpoint after batch number `step` of the whole run."""

    def __init__(self, step, file):
        self.step, self.file = step, file

    def on_batch_end(self, trainer):
        if trainer.step == self.step:
            trainer.save_checkpoint(self.file)


def flat_weights(trainer):
    return np.concatenate([p.data.ravel() for p in trainer.model.parameters()])


# %%
checkpoint = os.path.join(folder.name, "cut.ckpt")
straight, loader = disk_run(seed=0, callbacks=[SaveOnce(60, checkpoint)])
print("batches an epoch:", len(loader))
straight.fit(loader, epochs=3, verbose=False)

resumed, other_loader = disk_run(seed=5, prefetch=2)
resumed.load_checkpoint(checkpoint)
print("resumed at epoch", resumed.epoch, "after", resumed.step, "batches")
resumed.fit(other_loader, epochs=2, verbose=False)
print("the same weights, bit for bit:", np.array_equal(flat_weights(straight), flat_weights(resumed)))
test_ink = [(to_ink(stored[test]), labels[test])]
print(f"test accuracy {straight.evaluate(test_ink)[1]:.3f} and {resumed.evaluate(test_ink)[1]:.3f}")

# %% [markdown]
# The second run even had a thread that prepared two batches ahead, and its position was that of the batches handed
# out, not of those already made.
#
# ### Larger data
#
# The same lines read any file that can be mapped. `load_mnist` finds the 60,000 digits of MNIST where a machine has
# them, in a folder that you name or in a cache (`python -m tinytorch.datasets` says where it looks, and brings them).
# The cell says which data it used.

# %% tags=["measure"]
from tinytorch.datasets import DatasetError, load_mnist

try:
    big_images, big_labels = load_mnist(download=False)
    print("MNIST from", big_images.filename)
except DatasetError:
    repeat = 20
    big_path = os.path.join(folder.name, "big.npy")
    np.save(big_path, np.repeat(stored[train].reshape(-1, 8, 8), repeat, axis=0).repeat(3, axis=1).repeat(3, axis=2))
    big_images, big_labels = np.load(big_path, mmap_mode="r"), np.repeat(labels[train], repeat)
    print("no MNIST on this machine: the course's own digits, enlarged to 24 x 24 and repeated 20 times")
print(big_images.shape, big_images.dtype, f"{big_images.nbytes / 1e6:.1f} MB on disk")

manual_seed(0)
size = math.prod(big_images.shape[1:])
model = Sequential(Flatten(), Linear(size, 64), ReLU(), Linear(64, 10))
trainer = Trainer(model, Adam(model.parameters(), lr=0.002), CrossEntropyLoss())
whitest = big_images[:500].max()
loader = DataLoader(TensorDataset(big_images, big_labels), 128, shuffle=True, transform=Normalize(0, whitest))
start = time.perf_counter()
result = trainer.train_epoch(loader)
print(f"one epoch of {len(big_images):,} images in {time.perf_counter() - start:.1f} s:", result)

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### One by one, or at once
#
# `TensorDataset` gathers a batch with one call for each array. A list of pairs goes through `collate`, sample by
# sample. **Predict** how many times slower that is for batches of 1 and of 256.

# %% tags=["measure"]
flat = scaled[train]
at_once, one_by_one = TensorDataset(flat, labels[train]), list(zip(flat, labels[train]))
rng = np.random.default_rng(0)
sizes, seconds = [1, 4, 16, 64, 256], {"at once": [], "one by one": []}
for size in sizes:
    rows = rng.permutation(len(flat))[:size]
    for name, dataset in (("at once", at_once), ("one by one", one_by_one)):
        seconds[name].append(measure(lambda d=dataset, r=rows: read(d, r), label=f"batch of {size:3}, {name:10}"))
for name, times in seconds.items():
    slope = np.polyfit(sizes, times, 1)[0]
    print(f"{name:10}: {slope * 1e9:6.0f} ns for each further sample, batch of 256 {times[-1] * 1e6:.0f} us")
print(f"ratio at batch 1: {seconds['one by one'][0] / seconds['at once'][0]:.1f},",
      f"at batch 256: {seconds['one by one'][-1] / seconds['at once'][-1]:.1f}")  # fmt: skip

# %% tags=["measure"]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, times in seconds.items():
    ax.loglog(sizes, np.array(times) * 1e6, marker="o", label=name)
ax.set(xlabel="samples in the batch", ylabel="microseconds to read it", xticks=sizes, xticklabels=sizes)
ax.minorticks_off()
ax.legend()
plt.show()

# %% [markdown]
# Each *further* sample costs a few Python calls one by one, and only a copy of its bytes at once, so the ratio grows
# with the batch. That is why `DataLoader` asks a dataset for `batch` first, and why transforms here work on batches.
#
# ### What is in memory
#
# A data set of bytes can be held in three ways: all of it as float32, as bytes, or as a map of the file. **Predict**
# what NumPy allocates for each, to load it and then to walk through one epoch.

# %% tags=["measure"]
file = os.path.join(folder.name, "many.npy")
np.save(file, np.zeros((20_000, 28, 28), dtype=np.uint8))
ways = {
    "float32": (lambda: np.load(file).astype(np.float32) / 255, None),
    "bytes": (lambda: np.load(file), Normalize(0, 255)),
    "a map": (lambda: np.load(file, mmap_mode="r"), Normalize(0, 255)),
}
for name, (open_it, transform) in ways.items():
    tracemalloc.start()
    start = time.perf_counter()
    data = open_it()
    opened = time.perf_counter() - start
    held = tracemalloc.get_traced_memory()[0]
    start = time.perf_counter()
    for _x in DataLoader(TensorDataset(data), 256, shuffle=True, rng=np.random.default_rng(0), transform=transform):
        pass
    walked, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(
        f"{name:8} opened in {opened * 1e3:7.2f} ms, holds {held / 1e6:6.1f} MB, peak {peak / 1e6:6.1f} MB, "
        f"one epoch {walked:.2f} s"
    )
del data, _x

# %% [markdown]
# The map opens at once and holds next to nothing; its pages live in the system's cache, which gives them back when
# somebody else needs memory. Converting each batch costs time in every epoch, where `float32` paid once, with four
# times the memory for as long as the run lasts. (The file was written a moment ago, so its pages are still in the
# cache. On a disk that is read for the first time the shuffled order costs more, and a cell cannot empty the system's
# cache to show it.)
#
# ### When does preparing ahead help?
#
# With reading time $r$ and training time $t$ for a batch, one after the other takes $r + t$, and side by side at best
# $\max(r, t)$. But a thread of Python is not a second Python: one lock lets only one thread run Python code at a time.
# The lock is free while a thread waits for a disk or a network, and inside of many long calls of NumPy and zlib. Four
# readers that all need about as long as a training step:
#
# - `waits`: sleeps, as if the data came over a network;
# - `unpacks`: decompresses bytes, one long call outside of the lock;
# - `loops`: adds numbers in a Python loop, which holds the lock;
# - `gathers`: our usual batch of digits, which takes next to no time.
#
# **Predict** for each which of $r + t$ and $\max(r, t)$ is nearer.

# %% tags=["measure"]
wide = Sequential(Linear(64, 1024), ReLU(), Linear(1024, 10))
wide_loss, wide_optimizer = CrossEntropyLoss(), SGD(wide.parameters(), lr=0.01)
step_x, step_y = Tensor(scaled[train[:512]]), labels[train[:512]]


def training_step():
    wide_optimizer.zero_grad()
    wide_loss(wide(step_x), step_y).backward()
    wide_optimizer.step()


def no_training():
    pass


def seconds_a_step(make, ahead=0, train=training_step, count=6):
    """Seconds for reading a batch and training on it, the mean of `count` steps."""
    start = time.perf_counter()
    for _batch in prefetched(make, range(count), ahead) if ahead else map(make, range(count)):
        train()
    return (time.perf_counter() - start) / count


def fastest(runs, rounds=3):
    """The fastest of several rounds for each function in `runs`, visited in turn, so that all see the same machine."""
    return np.min([[run() for run in runs] for _ in range(rounds)], axis=0)


packed = zlib.compress(np.random.default_rng(0).integers(0, 12, 200_000).astype(np.uint8).tobytes(), 1)
step_seconds, unpack_seconds, adding_seconds = fastest([
    lambda: seconds_a_step(lambda n: None),
    lambda: seconds_a_step(lambda n: zlib.decompress(packed), train=no_training),
    lambda: seconds_a_step(lambda n: sum(range(2_000)), train=no_training),
])  # fmt: skip


def unpacking(n):
    for _ in range(round(step_seconds / unpack_seconds)):
        zlib.decompress(packed)


def looping(n):
    for _ in range(round(step_seconds / adding_seconds)):
        sum(range(2_000))


readers = {
    "waits": lambda n: time.sleep(step_seconds),
    "unpacks": unpacking,
    "loops": looping,
    "gathers": lambda n: at_once[np.arange(n, n + 256)],
}
print(f"{'':8} {'r':>6} {'t':>6} {'r + t':>6} {'max':>6}   measured with 0, 1, 4 ahead, in ms")
bounds, measured = [], []
for name, make in readers.items():
    runs = [
        lambda make=make: seconds_a_step(make, train=no_training),
        lambda: seconds_a_step(lambda n: None),
        *(lambda make=make, ahead=ahead: seconds_a_step(make, ahead) for ahead in (0, 1, 4)),
    ]
    r, t, *found = fastest(runs) * 1e3
    bounds.append((r + t, max(r, t)))
    measured.append(found)
    print(f"{name:8} {r:6.2f} {t:6.2f} {r + t:6.2f} {max(r, t):6.2f}  ", "  ".join(f"{ms:6.2f}" for ms in found))
busy = f", and {os.getloadavg()[0]:.1f} programs wanted one in the last minute" if hasattr(os, "getloadavg") else ""
print(f"processors: {os.cpu_count()}{busy}")

# %% tags=["measure"]
places = np.arange(len(readers))
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for ahead, place, times in zip((0, 1, 4), (-0.25, 0, 0.25), np.transpose(measured)):
    ax.bar(places + place, times, width=0.22, label=f"{ahead} ahead")
for style, name, levels in zip(("-", ":"), ("r + t", "max(r, t)"), np.transpose(bounds)):
    ax.hlines(levels, places - 0.4, places + 0.4, color="black", linestyle=style, label=name)
ax.set(ylabel="milliseconds a step", xticks=places, xticklabels=readers)
fig.legend(loc="outside right upper", fontsize=8)
plt.show()

# %% [markdown]
# Most of the waiting is hidden, on any machine. Unpacking is hidden only if a second processor is free to do it: with
# as many programs at work as there are processors, nothing is gained, however many threads there are. The loop gains
# nothing anywhere, or loses: the two threads take turns at the lock. And where reading costs next to nothing there is
# nothing to hide, and the thread itself costs a little. So measure $r$ first: if it is a small share of the step, leave
# `prefetch` at 0. One batch ahead is enough for even times; more ahead only evens out reading times that vary.
#
# ### Beside PyTorch
#
# | | PyTorch | here |
# |---|---|---|
# | ahead of time | `num_workers` processes, each with its own Python | one thread, `prefetch` batches |
# | transforms | belong to the dataset, one sample at a time | belong to the loader, a batch at a time |
# | random numbers of transforms | depend on the number of workers | depend on seed and number of the batch only |
# | the state | not in `DataLoader` (in `StatefulDataLoader` of torchdata) | `state_dict`, `load_state_dict` |
# | reading a test set | draws a number from the default generator | draws nothing |
# | a batch | a list | a tuple |
# | `len` of a dataset, `random_split`, `Subset`, `drop_last` | the same | the same |
#
# Which batches there are, their sizes, and what `random_split` does with fractions are tested against PyTorch. The
# order that a seed gives is NumPy's, and PyTorch's is another.

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more. Then one run with everything on, over three epochs: whatever the number of batches ahead, the
# batches are the same, and a loader that stops after any batch goes on with the next.


# %% nbgrader={"grade_id": "08-module"}
def flipping_loader(seed=0, prefetch=0):
    data = TensorDataset(stored[:50], labels[:50])
    transform = Compose([RandomHorizontalFlip(), Normalize(0, 16)])
    rng = np.random.default_rng(seed)
    return DataLoader(data, 8, shuffle=True, drop_last=True, rng=rng, transform=transform, prefetch=prefetch)


def epochs_of(loader, count):
    return np.concatenate([x.data for _ in range(count) for x, _ in loader])


def test_module():
    test_unit_tensor_dataset()
    test_unit_collate()
    test_unit_random_split()
    test_unit_random_horizontal_flip()
    test_unit_random_horizontal_flip_coins()
    test_unit_len()
    test_unit_rows()
    test_unit_prefetched()
    test_unit_prefetched_error()
    test_unit_iter()
    test_unit_iter_resumed()
    test_unit_iter_lazy()
    test_unit_iter_resumed_and_left()

    before = stored.copy()
    whole = epochs_of(flipping_loader(), 3)
    check_equal(whole.shape, (3 * 6 * 8, 1, 8, 8), "three epochs of six batches")
    for ahead in (1, 4):
        same = epochs_of(flipping_loader(prefetch=ahead), 3)
        check_close(same, whole, f"the same with {ahead} ahead", rtol=0, atol=0)
    for stop in range(1, 7):
        loader = flipping_loader(prefetch=2)
        batches = iter(loader)
        done = [next(batches)[0].data for _ in range(stop)]
        other = flipping_loader(seed=9)
        other.load_state_dict(loader.state_dict())
        rest = np.concatenate([*done, *(x.data for x, _ in other), epochs_of(other, 2)])
        check_close(rest, whole, f"stopped after batch {stop} and gone on elsewhere", rtol=0, atol=0)
        batches.close()
    check(np.array_equal(stored, before), "what is stored is as it was")
    check_equal(len(flipping_loader()), 6, "the length is the number of batches")
    check_raises(ValueError, lambda: flipping_loader().load_state_dict(ten_samples().state_dict()), "other data")


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "08-q1", "points": 5, "solution": true}
# **Question 1. Orders (5 points).** A data set has 50,000 samples in batches of 128. (a) How many batches has an epoch,
# and how large is the last one? What does `drop_last` cost, in samples an epoch, and does it always cost the same
# samples? (b) A colleague draws each batch with `rng.integers`. After how many such "epochs" has about 1 percent of the
# samples still never been seen? (c) Another shuffles once, before training, and saves the shuffled file. Name one thing
# that this gains and one that it loses. (d) A third shuffles only inside windows of 1,000 neighbours. For which data
# is that good enough, and for which is it not?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 391 batches, the last one has 80 samples.
# 1 point: 80 samples an epoch, other ones in each epoch as long as there is a new order each epoch.
# 1 point: (b) exp(-e) = 0.01 gives e = ln 100, about 4.6, so 5.
# 1 point: (c) gains: reading in file order, which is fast from disk, or a known order; loses: the same batches in each
# epoch, so the noise of the gradients does not vary (one of each).
# 1 point: (d) good enough where neighbours are already mixed; not where the file is sorted by class or by source, for a
# window then has one class only.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "08-q2", "points": 5, "solution": true}
# **Question 2. Going on (5 points).** A run is saved in the middle of an epoch. (a) Name the three things in the
# loader's state that are needed to go on exactly, and what each is for. (b) The position is counted after `yield`
# instead of before it. What does the resumed run do differently, and would you see it in the loss? (c) Somebody lets
# all transforms draw from one generator, one batch after the other, and prepares two batches ahead. Why is the state
# of this generator, at the moment of saving, the wrong one? How does the generator of `[seed, k]` avoid that?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) position: which batch is next; seed: the order of this epoch and the random numbers of its batches; the
# generator: the seeds of the epochs to come (1 for two of them, 2 for all three with their purpose).
# 1 point: (b) it trains on the batch that was in hand a second time; one batch too many in thousands is not seen in the
# loss, only in the bits of the weights.
# 1 point: (c) it has already drawn for the two batches that were prepared and not handed out; going on from it, these
# would be made with other numbers.
# 1 point: numbers of batch k depend on seed and k only, so it does not matter what was made before, or twice.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "08-q3", "points": 5, "solution": true}
# **Question 3. Side by side (5 points).** Reading a batch takes 8 ms: 6 ms waiting for the disk and 2 ms in Python
# code. A training step takes 5 ms, of which 4 ms are inside of NumPy, outside of the lock. (a) How long is a step
# without `prefetch`, and how long at best with one batch ahead? (b) Which bound is it, reading or training? What would
# four reading threads change, and which part of the 8 ms can they not share out, no matter how many there are? (c) The
# data now fit into memory, and reading takes 0.1 ms. What do you expect of `prefetch=2`, and which of the measurements
# above says so? (d) Preparing 64 batches ahead instead of 2: what does it cost, and when is it worth that?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) 13 ms; at best 8 ms.
# 1 point: (b) reading; with several threads the waiting overlaps, and training becomes the bound.
# 1 point: the Python code, 2 ms a batch: only one thread holds the lock at a time (with the 1 ms of the step, 3 ms).
# 1 point: (c) nothing, or slightly slower, as with "gathers": there is nothing to hide, and the thread costs something.
# 1 point: (d) memory for 64 batches; worth it if reading times vary much, so that a stock bridges the slow ones, not if
# reading is slower on average.
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 08-9. Shifted a little
#
# A 7 that stands one pixel further to the right is still a 7. `RandomCrop(padding)` adds a margin of `padding` zeros
# around each image and cuts a window of the old size out of it, at a place of its own for each image. `np.pad` adds
# margins: one pair (before, after) for each dimension.

# %%
print(np.pad(np.ones((1, 2, 2), dtype=int), [(0, 0), (1, 1), (1, 1)]).tolist())
print("places from 0 to 2, for five images, down and across:\n", np.random.default_rng(0).integers(3, size=(5, 2)).T)


# %% nbgrader={"grade_id": "08-9", "solution": true, "optional": true}
#| export
class RandomCrop:
    """Shifts each image of a batch (N, ..., H, W) by up to `padding` pixels in each direction; zeros come in."""

    def __init__(self, padding=1):
        self.padding = padding

    def __call__(self, x, rng=None):
        """A new array of the shape and type of `x`; every image has its own place, all places are equally likely."""
        rng = default_generator if rng is None else rng
        height, width = x.shape[-2:]
        ### BEGIN SOLUTION
        margins = [(0, 0)] * (x.ndim - 2) + [(self.padding, self.padding)] * 2
        padded = np.pad(x, margins)
        places = rng.integers(2 * self.padding + 1, size=(len(x), 2))
        return np.stack([image[..., i : i + height, j : j + width] for image, (i, j) in zip(padded, places)])
        ### END SOLUTION


# %% nbgrader={"grade_id": "08-9-test", "optional": true}
def test_unit_random_crop():
    x = np.zeros((500, 1, 3, 4), dtype=np.uint8)
    x[:, 0, 1, 1] = 7
    y = RandomCrop(1)(x, np.random.default_rng(0))
    check_equal((y.shape, y.dtype.name), ((500, 1, 3, 4), "uint8"), "shape and type stay")
    check_close(y.sum(axis=(1, 2, 3)), np.full(500, 7), "shifted by one pixel, the mark is still in each image")
    counts = (y[:, 0] > 0).sum(axis=0)  # how often the mark is at each place
    check(counts[:, 3].sum() == 0 and counts[:, :3].min() > 20, "all nine shifts by up to one pixel occur")
    check_close(x[:, 0, 1, 1], np.full(500, 7), "the array that was given stays as it was")
    check_close(RandomCrop(0)(x, np.random.default_rng(0)), x, "no padding, no shift")


test_unit_random_crop()

# %% [markdown]
# Which transforms help depends on what the network will meet. Digits, with few training images, so that it matters;
# tested on images as they are stored, and on images that somebody has put down carelessly, up to a pixel off.
# **Predict** which row is best in which column.

# %% tags=["measure"]
few = train[:300]
careless = [(to_ink(RandomCrop(1)(stored[test], np.random.default_rng(1))), labels[test])]
changes = {"nothing": [], "flipped": [RandomHorizontalFlip()], "shifted": [RandomCrop(1)]}
print("trained with; test accuracy: as stored, a pixel off")
for name, transforms in changes.items():
    found = []
    for seed in range(3):
        manual_seed(seed)
        model = Sequential(Flatten(), Linear(64, 64), ReLU(), Linear(64, 10))
        trainer = Trainer(model, Adam(model.parameters(), lr=0.005), CrossEntropyLoss())
        data = TensorDataset(stored[few], labels[few])
        loader = DataLoader(data, 32, shuffle=True, transform=Compose([*transforms, to_ink]))
        trainer.fit(loader, epochs=40, verbose=False)
        found.append([trainer.evaluate(images)[1] for images in (test_ink, careless)])
    print(f"{name:8}", "  ".join(f"{share:.3f}" for share in np.mean(found, axis=0)))

# %% [markdown]
# A mirrored digit is no digit that anybody writes, and learning it takes room from those that are: worse in both
# columns. Shifting costs accuracy on these images, which were cut out so that every digit fills its frame, and gains
# far more on images that were not. A transform is a statement about the data to come: "this will happen, and makes no
# difference". It must be true.
#
# ### Task 08-10. Shuffling a stream
#
# Some data have no length and no numbers: lines that arrive from a network, or a file too long to be counted. They can
# be shuffled nearly, with a buffer of `size` items. Fill it. Then, for each new item, draw a place in the buffer, hand
# out what stands there, and put the new one in its place. At the end, what is left in the buffer is handed out in
# random order.


# %% nbgrader={"grade_id": "08-10", "solution": true, "optional": true}
#| export
def shuffled_stream(items, size, rng=None):
    """The same items in a nearly random order: none is handed out before `size` of them were read.

    items: any iterable, also one without end. At most `size` items are held at a time.
    """
    rng = default_generator if rng is None else rng
    held = []
    for item in items:
        ### BEGIN SOLUTION
        if len(held) < size:
            held.append(item)
            continue
        place = int(rng.integers(size))
        yield held[place]
        held[place] = item
        ### END SOLUTION
    yield from (held[i] for i in rng.permutation(len(held)))


# %% nbgrader={"grade_id": "08-10-test", "optional": true}
def test_unit_shuffled_stream():
    order = list(shuffled_stream(range(200), 20, np.random.default_rng(0)))
    check_close(np.sort(order), np.arange(200), "every item comes once")
    early = [n - place for place, n in enumerate(order)]
    check(max(early) <= 20, "no item comes more than 20 places early")
    check(np.mean(np.diff(order) == 1) < 0.2, "neighbours are torn apart")
    check(max(-e for e in early) > 25, "some items stay in the buffer for long")
    few_items = sorted(shuffled_stream("abc", 10, np.random.default_rng(0)))
    check_equal(few_items, ["a", "b", "c"], "fewer items than places")
    taken = []
    next(shuffled_stream(counted(range(100), taken), 5, np.random.default_rng(0)))
    check_close(len(taken), 6, "items read before the first comes out of a buffer of 5")


test_unit_shuffled_stream()

# %% tags=["measure"]
for size in (1, 32, 256, 1024):
    share = np.mean([
        len(set(labels[np.array(list(shuffled_stream(by_class, size, np.random.default_rng(seed))))[700:732]]))
        for seed in range(20)
    ])  # fmt: skip
    print(f"buffer {size:4}: {share:4.1f} different digits in a batch of 32 from sorted data")

# %% [markdown]
# A buffer must be as long as the stretches in the data that are alike, here the 144 images of a digit, several times
# over. From a file that is sorted and long, no buffer that fits into memory is enough: shuffle the file once.
#
# ## Summary
#
# - Every sample once an epoch, in a new order. Sorted data teach a network to forget; drawing with replacement leaves
#   out a third.
# - A dataset has a length and gives a sample for a number. Reading many at once is what makes it fast.
# - One seed an epoch gives the order, and with the number of a batch its own random numbers. So a batch does not depend
#   on what was made before it, and the state of a loader is three numbers.
# - What is handed out counts as done: count before handing out.
# - A transform makes a new array, and states what makes no difference.
# - Preparing ahead hides waiting, and work outside of Python's lock, up to the length of a training step. It hides
#   nothing else.
#
# **Next.** Until now an image was a row of 64 numbers, and the network did not know which of them are neighbours.
# Module 09 builds layers that do.
