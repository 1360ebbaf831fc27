"""What is timed. A peer has a class of the same name for each of these, made from the workload:

    run = peer.Mlp(workload)
    run.step()       one training step on the next batch; returns its loss, a number
    run.steps(n)     n of these; optional, for peers that do more in a loop than repeat the step
    run.gradients()  the gradients of that step, arrays in the order of the workload's parameters; where a workload
                     only goes forward, a list with its result

To add a workload: a dataclass here, an entry in WORKLOADS, and a class in each peer that can do it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Target:
    """What the library must reach and should reach: as a ratio to the floor, or in microseconds."""

    must: float
    stretch: float
    unit: str = "x"


@dataclass(frozen=True)
class Mlp:
    """A step of training a multi-layer perceptron: ReLU, cross-entropy, SGD with momentum."""

    title: str
    sizes: tuple
    batch: int
    target: Target
    steps: int  # in a round
    lr: float = 0.1
    momentum: float = 0.9
    digits: bool = False  # the digits that come with tinytorch; else random numbers of the same kind
    parts: int = 1  # what the time of a step is divided by

    @cached_property
    def parameters(self):
        """A weight (out, in) and a bias (out,) for each layer, uniform within 1 / sqrt(in)."""
        rng = np.random.default_rng(0)
        arrays = []
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:]):
            for shape in ((fan_out, fan_in), (fan_out,)):
                arrays.append((rng.uniform(-1, 1, shape) / np.sqrt(fan_in)).astype(np.float32))
        return arrays

    @cached_property
    def batches(self):
        """Pairs of inputs (batch, features) and class indices (batch,)."""
        if self.digits:
            from tinytorch.datasets import digits_split, load_digits

            images, labels = load_digits()
            train, _ = digits_split()
            x, y = images.reshape(-1, 64)[train] / 16, labels[train]
        else:
            rng = np.random.default_rng(1)
            x = rng.random((8 * self.batch, self.sizes[0]), dtype=np.float32)
            y = rng.integers(0, self.sizes[-1], len(x))
        whole = len(x) // self.batch * self.batch
        return [(x[i : i + self.batch], y[i : i + self.batch]) for i in range(0, whole, self.batch)]


@dataclass(frozen=True)
class Chain:
    """`length` times y = y * w + b from y = x, all of shape (size,), then the gradients of the sum of y."""

    title: str
    size: int
    length: int
    target: Target
    steps: int

    @property
    def parts(self):
        return 2 * self.length  # operations

    @cached_property
    def parameters(self):
        """x, w, b: w below 1, but so near that no gradient underflows."""
        return [np.full(self.size, value, dtype=np.float32) for value in (0.5, 0.999, 0.01)]


@dataclass(frozen=True)
class Cnn:
    """A step of training: convolution, ReLU and max pooling for each entry of `channels`, then linear; Adam.

    Convolutions are 3 x 3 with a frame of 1, so they keep the size; poolings are 2 x 2 and halve it.
    """

    title: str
    size: int  # of the square images, which have one channel
    channels: tuple
    classes: int
    batch: int
    target: Target
    steps: int
    lr: float = 1e-3
    betas: tuple = (0.9, 0.999)
    eps: float = 1e-8
    parts: int = 1

    @property
    def features(self):
        """How many numbers the last layer takes."""
        return self.channels[-1] * (self.size // 2 ** len(self.channels)) ** 2

    @cached_property
    def parameters(self):
        """Kernels (out, in, 3, 3) and biases (out,), then the weight and bias of the last layer; uniform."""
        rng = np.random.default_rng(0)
        shapes = [(b, a, 3, 3) for a, b in zip((1, *self.channels), self.channels)]
        arrays = []
        for shape in (*shapes, (self.classes, self.features)):
            bound = 1 / np.sqrt(np.prod(shape[1:]))
            arrays += [rng.uniform(-bound, bound, size).astype(np.float32) for size in (shape, shape[:1])]
        return arrays

    @cached_property
    def batches(self):
        """Pairs of images (batch, 1, size, size) and class indices (batch,)."""
        rng = np.random.default_rng(1)
        shape = (self.batch, 1, self.size, self.size)
        return [(rng.random(shape, dtype=np.float32), rng.integers(0, self.classes, self.batch)) for _ in range(8)]


@dataclass(frozen=True)
class Convolution:
    """One convolution forward, 3 x 3 with a frame of 1, without gradients; the "loss" is one number of its result."""

    title: str
    shape: tuple  # of x: (N, C, H, W)
    out: int  # channels
    target: Target
    steps: int
    parts: int = 1

    @cached_property
    def parameters(self):
        rng = np.random.default_rng(0)
        bound = 1 / np.sqrt(9 * self.shape[1])
        shapes = (self.out, self.shape[1], 3, 3), (self.out,)
        return [rng.uniform(-bound, bound, size).astype(np.float32) for size in shapes]

    @cached_property
    def x(self):
        """The images."""
        return np.random.default_rng(1).random(self.shape, dtype=np.float32)


@dataclass(frozen=True)
class Lstm:
    """A step of training: an LSTM reads sequences, its last state is classified; clipped gradients, plain SGD."""

    title: str
    inputs: int  # numbers at each step of a sequence
    hidden: int
    length: int  # of the sequences
    classes: int
    batch: int
    target: Target
    steps: int
    lr: float = 0.5
    clip: float = 0.1  # so low that it clips
    parts: int = 1

    @cached_property
    def parameters(self):
        """Weights (4 * hidden, inputs) and (4 * hidden, hidden), two biases, weight and bias of the last layer."""
        rng, rows = np.random.default_rng(0), 4 * self.hidden
        shapes = [(rows, self.inputs), (rows, self.hidden), (rows,), (rows,), (self.classes, self.hidden)]
        bound = 1 / np.sqrt(self.hidden)
        return [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in (*shapes, (self.classes,))]

    @cached_property
    def batches(self):
        """Pairs of sequences (batch, length, inputs) and class indices (batch,)."""
        rng = np.random.default_rng(1)
        shape = (self.batch, self.length, self.inputs)
        return [
            (rng.normal(size=shape).astype(np.float32), rng.integers(0, self.classes, self.batch)) for _ in range(8)
        ]


WORKLOADS = {
    "A": Mlp("MLP 784-256-128-10, batch 64, step", (784, 256, 128, 10), 64, Target(1.25, 1.10), steps=40),
    "B": Cnn("CNN 28x28, 16 and 32 maps, batch 64, step", 28, (16, 32), 10, 64, Target(1.4, 1.15), steps=8),
    "C": Lstm("LSTM 32 to 128, T=50, batch 32, step", 32, 128, 50, 10, 32, Target(1.4, 1.15), steps=8),
    "E": Chain("chain on shape (8,), operation", 8, 500, Target(4.0, 2.7, "us"), steps=10),
    "F": Convolution("conv 3x3 forward, 8x3x32x32 to 16", (8, 3, 32, 32), 16, Target(1.5, 0.65), steps=200),
    "G": Mlp("digits 64-64-64-10, batch 32, step", (64, 64, 64, 10), 32, Target(1.7, 1.4), steps=440, digits=True),
}
