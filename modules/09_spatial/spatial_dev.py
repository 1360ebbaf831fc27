# %% [markdown]
# # Module 09. Convolution
#
# Move a digit one pixel to the right. For you nothing has happened. For a network of `Linear` layers every input has
# changed, because to it an image is a list of numbers without neighbours. This module builds the layer that knows what
# a neighbour is: one small template that slides over the whole image, with hundreds of weights where a `Linear` has
# tens of thousands. Around it stand two more: pooling, which lets small shifts go unnoticed, and normalisation, which
# keeps deep stacks of all this trainable. The convolution comes first as seven loops that anybody can check, then as
# one matrix product that is hundreds of times faster, and you write what goes back through all of this yourself.
#
# **You need** modules 01 to 07. From school: mean and variance, and the chain rule.
#
# | Comes from | Used here | Leads to |
# |---|---|---|
# | 01 strides and views, `matmul` | a layout in which all windows are one product | 20 acceleration |
# | 03 `Module`, `register_buffer` | layers, and running statistics that are saved and not trained | 04_1998_cnn |
# | 05 rules, central differences | a backward rule for each new operation, checked | 15 transformers: `LayerNorm` |
#
# **After this module you can**
#
# - say how large the result of a convolution is for every kernel, stride, padding and dilation;
# - write a convolution as a matrix product, and its gradients as two more;
# - explain why what was copied when going forward must be added when going back, and recognise col2im in that;
# - send a gradient through pooling and through a normalisation, and derive both;
# - tell batch, layer and group norm apart by what they average over, and say what batch norm does when it is used;
# - measure what a network sees of an image, and where the time of a convolution goes.
#
# Your code goes to `tinytorch/core/spatial.py`. Afterwards this works anywhere:
#
# ```python
# from tinytorch.core.activations import ReLU
# from tinytorch.core.layers import Flatten, Linear, Sequential
# from tinytorch.core.spatial import BatchNorm2d, Conv2d, MaxPool2d
#
# model = Sequential(Conv2d(1, 8, 3, padding=1), BatchNorm2d(8), ReLU(), MaxPool2d(2), Flatten(), Linear(128, 10))
# ```

# %%
#| default_exp core.spatial
#| export
import math
import operator
from typing import NamedTuple

import numpy as np

from tinytorch.core.activations import as_floating
from tinytorch.core.autograd import SHAPES_ONLY, ones
from tinytorch.core.layers import Flatten, Module, Parameter, fans
from tinytorch.core.optimizers import accumulate
from tinytorch.core.tensor import Tensor, autograd, operation
from tinytorch.random import default_generator

# %%
from tinytorch.core.activations import ReLU, Tanh
from tinytorch.core.autograd import no_grad, numeric_gradient
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, Adam
from tinytorch.datasets import digits_split, load_digits
from tinytorch.random import manual_seed
from tinytorch.testing import check, check_close, check_raises, measure

images, labels = load_digits()
train, test = digits_split()
ink = images[:, None] / 16  # (1797, 1, 8, 8): one channel, values between 0 and 1

# %% [markdown]
# ## Part 1. Introduction
#
# Images in a network have four dimensions, (N, C, H, W): how many there are, channels (one for grey, three for
# colour), height, width. Here the digits are laid on a canvas of 12 x 12, so that there is room to move them. A network
# with a hidden layer learns them in the middle of the canvas, and is then tested on digits that were moved.
# **Predict** its accuracy after one pixel, and after two.


# %%
def on_canvas(ink, right=0, size=12):
    """The images (N, 1, 8, 8) in the middle of a canvas of `size` x `size`, moved to the right by some pixels."""
    edge = (size - 8) // 2
    canvas = np.zeros((len(ink), 1, size, size), dtype=np.float32)
    canvas[:, :, edge : edge + 8, edge + right : edge + right + 8] = ink
    return canvas


def fit(model, x, epochs=6, lr=0.003, batch=32, optimizer=Adam):
    """Train on the training digits, in an order of their own for each epoch; returns the loss of every step."""
    loss_fn, steps, losses = CrossEntropyLoss(), optimizer(model.parameters(), lr=lr), []
    model.train()
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(train)
        for rows in np.array_split(order, len(order) // batch):
            steps.zero_grad()
            loss = loss_fn(model(Tensor(x[rows])), labels[rows])
            loss.backward()
            steps.step()
            losses.append(loss.item())
    return losses


def accuracy(model, x, rows=test):
    """Share of the digits `rows` that the model gets right."""
    model.eval()
    with no_grad():
        scores = model(Tensor(x[rows]))
    return float(np.mean(scores.data.argmax(axis=1) == labels[rows]))


# %% tags=["measure"]
import matplotlib.pyplot as plt


def show(pictures, titles=(), columns=8, size=1.3):
    """A row of small pictures (k, H, W) for every `columns` of them."""
    rows = math.ceil(len(pictures) / columns)
    shape = {"figsize": (size * columns, (size + 0.25) * rows), "layout": "constrained"}
    fig, axes = plt.subplots(rows, columns, squeeze=False, **shape)
    for ax in axes.flat:
        ax.axis("off")
    for k, (ax, picture) in enumerate(zip(axes.flat, pictures)):
        ax.axis("on")
        ax.set(xticks=[], yticks=[])  # leaves the edge of the picture
        ax.imshow(picture, cmap="gray_r")
        ax.set_title(titles[k] if k < len(titles) else "", fontsize=8)
    plt.show()


manual_seed(0)
flat = Sequential(Flatten(), Linear(144, 64), ReLU(), Linear(64, 10))
fit(flat, on_canvas(ink))
shares = [accuracy(flat, on_canvas(ink, right)) for right in range(3)]
for right, share in enumerate(shares):
    print(f"moved by {right}: {share:.3f} of the test digits right")
show([on_canvas(ink[:1], right)[0, 0] for right in range(3)], [f"moved by {right}" for right in range(3)], 3)

# %% [markdown]
# Two pixels, and it might as well guess. It never learned what a stroke is, only which of 144 numbers are large for
# which digit. We shall come back to these three numbers in Part 4.

# %% [markdown]
# ## Part 2. Foundations
#
# ### A template that slides
#
# A unit of `Linear` holds its weights against the whole image. Take a template of 3 x 3 instead, the *kernel*, hold it
# against the patch in the upper left corner, write down the product, move on by one pixel, and so on to the lower
# right corner. What you write down is again an image, the *feature map*: it is large wherever the patch resembles the
# kernel. With several input channels the kernel has as many layers; with several kernels there are several feature
# maps. For image $n$, kernel $o$, at row $y$ and column $x$:
#
# $$Y_{noyx} = b_o + \sum_{c}\sum_{i}\sum_{j} K_{ocij}\; X_{n,\,c,\,y+i,\,x+j} .$$
#
# Four indices on the left, three sums on the right: seven loops. They are the specification, and everything you build
# will be compared with them. The code has three settings more: the *stride*, by how many pixels the window moves on;
# the *padding*, how wide a frame of zeros is laid around the image; and the *dilation*, how far apart the pixels under
# the kernel are. In shapes, OC counts the kernels (output channels), KH and KW are the size of a kernel, OH and OW that
# of a map.


# %%
def conv2d_loops(x, weight, bias, stride=1, padding=0, dilation=1):
    """The slow specification: x (N, C, H, W), weight (OC, C, KH, KW), bias (OC,) to (N, OC, OH, OW)."""
    edge = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x = np.pad(x, edge)  # a frame of zeros
    (N, C, H, W), (OC, _, KH, KW) = x.shape, weight.shape
    tops = range(0, H - dilation * (KH - 1), stride)
    lefts = range(0, W - dilation * (KW - 1), stride)
    out = np.zeros((N, OC, len(tops), len(lefts)))
    for n in range(N):
        for o in range(OC):
            for y, top in enumerate(tops):
                for column, left in enumerate(lefts):
                    total = bias[o]
                    for c in range(C):
                        for i in range(KH):
                            for j in range(KW):
                                total += weight[o, c, i, j] * x[n, c, top + i * dilation, left + j * dilation]
                    out[n, o, y, column] = total
    return out


upright = np.array([[[[-1.0, 0.0, 1.0]] * 3]])  # (1, 1, 3, 3): ink on the right, none on the left
level = upright.transpose(0, 1, 3, 2)
maps = conv2d_loops(ink[:1], np.concatenate([upright, level]), np.zeros(2))
print("image", ink[:1].shape, "-> two feature maps", maps.shape)
print(maps[0, 0].round(1))

# %% tags=["measure"]
picture = ink[:6]
edges = conv2d_loops(picture, np.concatenate([upright, level]), np.zeros(2), padding=1)
show(picture[:, 0], [f"a {label}" for label in labels[:6]], 6)
show(np.maximum(edges[:, 0], 0), ["ink on the right"] * 6, 6)
show(np.maximum(edges[:, 1], 0), ["ink below"] * 6, 6)

# %% [markdown]
# Nobody trained these two kernels; they find vertical and horizontal borders because of what is in them. A network
# that is trained finds its own. (Mathematicians turn the kernel by 180 degrees before they slide it and call only that
# a convolution. For numbers that are learned it makes no difference.)
#
# ### What is gained
#
# Three things, and each is a number. *Few weights*: from an 8 x 8 image to 16 maps of the same size, a kernel of 3 x 3
# needs 160 numbers; how many does `Linear` need? *Neighbours only*: a value depends on nine pixels and not on all.
# *Equivariance*: if the image moves, the maps move with it, and the values stay the same. So a stroke that was learned
# on the left is known on the right.

# %%
print("Linear:", 64 * 16 * 64 + 16 * 64, " convolution:", 16 * 9 + 16)
still, moved = (conv2d_loops(on_canvas(ink[:1], right), upright, [0.0]) for right in (0, 2))
print("largest difference, one moved by 2:", np.abs(moved[..., 2:] - still[..., :-2]).max())

# %% [markdown]
# ### Frame, stride, dilation
#
# A kernel of 3 on a row of 6 pixels fits in four places, so the map is smaller than the image, and the corner pixel is
# looked at only once. A frame of zeros mends both. In the next cell each line is one place of the
# window, and `#` are the pixels that it sees; the frame is drawn as `o`.


# %%
def draw_places(size, kernel, stride=1, padding=0, dilation=1):
    row = "o" * padding + "." * size + "o" * padding
    last = len(row) - dilation * (kernel - 1)
    for start in range(0, last, stride):
        seen = range(start, start + dilation * (kernel - 1) + 1, dilation)
        print("   ", "".join("#" if at in seen else pixel for at, pixel in enumerate(row)))


for options in ({}, {"padding": 1}, {"stride": 2}, {"dilation": 2}):
    print(f"6 pixels, kernel 3, {options}")
    draw_places(6, 3, **options)

# %% [markdown]
# ## Part 3. Implementation
#
# ### Task 09-1. How many places are there?
#
# Look at the four drawings, and count. The window covers $d(k-1)+1$ pixels, its *extent*: a kernel of 3 with
# dilation 2 reaches over 5. The first place begins at 0. The last one may begin at most where the window still fits:
# at (length of the row with frames) minus extent. Between these two numbers, every $s$-th is a place. How many are
# they? Count the fence posts, not the gaps between them; and if the stride does not divide the distance, the rest at
# the end is not looked at.
#
# Try your formula on the third drawing before you run the test: 6 pixels, kernel 3, stride 2.

# %%
print("whole steps of 3 in 10:", 10 // 3, " in 9:", 9 // 3, " in 2:", 2 // 3)


# %% nbgrader={"grade_id": "09-1", "solution": true}
#| export
def output_size(size, kernel, stride=1, padding=0, dilation=1):
    """In how many places a window fits, in one direction: all five are whole numbers, `padding` is for each end.

    Where it fits nowhere, the result is 0 or less.
    """
    ### BEGIN SOLUTION
    extent = dilation * (kernel - 1) + 1
    return (size + 2 * padding - extent) // stride + 1
    ### END SOLUTION


# %% nbgrader={"grade_id": "09-1-test", "points": 5}
def test_unit_output_size():
    check_close(output_size(28, 3), 26, "28 pixels, kernel 3")
    check_close(output_size(5, 5), 1, "a kernel as large as the image has one place")
    check_close(output_size(28, 5, padding=2), 28, "28 pixels, kernel 5, padding 2")
    check_close(output_size(7, 3, stride=2), 3, "7 pixels, kernel 3, stride 2")
    check_close(output_size(8, 3, stride=2), 3, "8 pixels, kernel 3, stride 2: the last pixel is left over")
    check_close(output_size(9, 3, dilation=2), 5, "9 pixels, kernel 3, dilation 2")
    check_close(output_size(11, 3, stride=3, padding=2, dilation=3), 3, "all of them together")
    check(output_size(3, 5) <= 0, "a kernel that does not fit has no place")
    check(output_size(4, 5, stride=2) <= 0, "nor has it one with stride 2")


test_unit_output_size()

# %% [markdown]
# ### The window, and how images lie in memory (given)
#
# `Window` holds the five numbers for both directions, down and across, and says two things that are used again and
# again: `out`, how many places there are, and `places()`. Look at the latter. For one place $(i, j)$ *in the kernel* it
# gives the slices of **all** pixels of the image that lie under it, one for each place of the window. The first pixel
# under $(i, j)$ is $(d\,i, d\,j)$, and the next ones follow at the distance of the stride. So nine slices reach
# everything that a 3 x 3 kernel ever touches, however large the image is. Seven loops become two short ones.
#
# `rows_first` decides how an image lies in memory while we work on it: (H, C, W, N), the *batch innermost*. Then a
# slice over columns copies long runs, W times N numbers in one go, where (N, C, H, W) gives runs of one row of one
# image. `batch_first` is the way back, and it is free: a view. So between two convolutions nothing is moved at all.


# %%
#| export
def pair(value):
    """`value` for both directions, down and across: 3 becomes (3, 3), and (3, 5) stays."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


class Window(NamedTuple):
    """A kernel on its way over an image. Every field is a pair: down, across."""

    size: tuple  # of the image, without its frame
    kernel: tuple
    stride: tuple = (1, 1)
    padding: tuple = (0, 0)
    dilation: tuple = (1, 1)

    @property
    def out(self):
        """In how many places the window is held: (OH, OW)."""
        return tuple(map(output_size, *self))

    @property
    def inner(self):
        """Where the image is in its frame: a key for an array (H + 2 * padding, C, W + 2 * padding, N)."""
        (H, W), (p, q) = self.size, self.padding
        return slice(p, p + H), slice(None), slice(q, q + W)

    def places(self):
        """For each place (i, j) in the kernel: i, j, and the key of the pixels (OH, C, OW, N) that lie under it."""
        (OH, OW), (s, t), (d, e) = self.out, self.stride, self.dilation
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                rows = slice(i * d, i * d + s * (OH - 1) + 1, s)
                columns = slice(j * e, j * e + t * (OW - 1) + 1, t)
                yield i, j, (rows, slice(None), columns)


def rows_first(x):
    """Images (N, C, H, W) as an array (H, C, W, N) without gaps; copied only where they lie otherwise."""
    return np.ascontiguousarray(x.transpose(2, 1, 3, 0))


def batch_first(x):
    """An array (H, C, W, N) as images (N, C, H, W); a view."""
    return x.transpose(3, 1, 0, 2)


def whole_numbers(name, what, value, least):
    """`value` as a pair of ints. Raises: ValueError that names it unless both are at least `least`."""
    numbers = pair(value)
    try:
        numbers = tuple(map(operator.index, numbers))
    except TypeError:
        raise ValueError(f"{name}: {what} is {value!r}; it must be a whole number or two of them") from None
    if len(numbers) != 2 or min(numbers) < least:
        raise ValueError(f"{name}: {what} is {value!r}; it must be one or two whole numbers of at least {least}")
    return numbers


def window_over(name, x, kernel, stride, padding, dilation):
    """The Window with this kernel over `x`. Raises: ValueError that begins with `name` where there is none."""
    shape = np.shape(x)
    if len(shape) != 4:
        hint = "; for one image try x[None]" if len(shape) == 3 else ""
        raise ValueError(f"{name}: x has shape {shape}; it must be (N, C, H, W), a batch of images{hint}")
    window = Window(
        shape[2:],
        whole_numbers(name, "the kernel", kernel, 1),
        whole_numbers(name, "stride", stride, 1),
        whole_numbers(name, "padding", padding, 0),
        whole_numbers(name, "dilation", dilation, 1),
    )
    if min(window.out) < 1:
        p, d = window.padding, window.dilation
        raise ValueError(
            f"{name}: a kernel of {window.kernel} with dilation {d} does not fit on images of {window.size} with "
            f"padding {p}; use a smaller kernel, or more padding"
        )
    return window


# %%
tiny = Window(size=(4, 5), kernel=(2, 3))
print(
    "places of the window:", [(i, j) for i in range(2) for j in range(3)], "of the kernel, and for each these pixels:"
)
board = np.arange(20).reshape(4, 1, 5, 1)  # (H, C, W, N)
for i, j, key in tiny.places():
    print((i, j), board[key][:, 0, :, 0].tolist())

# %% [markdown]
# Read it by column: the first number of each line is what the window sees in its first place: 0, 1, 2, 5, 6, 7.
#
# ### Task 09-2. Every patch becomes a column
#
# In each place of the window, the convolution is an inner product of the kernel with a patch. Many inner products with
# the same weights are a matrix product, if the patches stand side by side as columns. This rearrangement is called
# *im2col*. For one row of the feature map, the columns are the places in that row, for every image of the batch, and
# the rows are what one patch holds: every channel, every place in the kernel.
#
# ```
#                 place 0, image 0 | place 0, image 1 | ... | place 1, image 0 | ...
# channel 0 (0,0)       x                  x                       x
# channel 0 (0,1)       x                  x                       x
#    ...
# ```
#
# Number by number, this is what is meant:


# %%
def im2col_loops(x, window):
    """The slow specification of `im2col`, for `x` (H, C, W, N)."""
    (H, C, W, N), (KH, KW), (OH, OW) = x.shape, window.kernel, window.out
    out = np.zeros((OH, C * KH * KW, OW * N), dtype=x.dtype)
    for y in range(OH):
        for row, (c, i, j) in enumerate(np.ndindex(C, KH, KW)):
            for column, (place, n) in enumerate(np.ndindex(OW, N)):
                down = y * window.stride[0] + i * window.dilation[0] - window.padding[0]
                across = place * window.stride[1] + j * window.dilation[1] - window.padding[1]
                if 0 <= down < H and 0 <= across < W:  # else it is the frame
                    out[y, row, column] = x[down, c, across, n]
    return out


# %% [markdown]
# So for all rows of the map there is an array (OH, C * KH * KW, OW * N). The recipe: put the image into a frame of
# zeros (`window.inner` is the key for it; the frame goes around **both** ends of each direction). Make an empty array
# (OH, C, KH, KW, OW, N), in which each index has its own dimension. Fill it, one place in the kernel after the other.
# Then reshape: dimensions that stand beside each other in memory can be read as one, for free.

# %%
around = np.zeros((4, 1, 5, 1))  # a frame of 1 for an image of 2 x 3, in the layout (H, C, W, N)
around[Window((2, 3), (1, 1), padding=(1, 1)).inner] = 7
print(around[:, 0, :, 0])
table = np.empty((2, 3, 2, 2), dtype=np.float32)  # not filled with anything
for i in range(2):
    table[:, :, i, 0], table[:, :, i, 1] = 10 * i, 10 * i + 1
print(table.reshape(2, 12)[0])


# %% nbgrader={"grade_id": "09-2", "solution": true}
#| export
def im2col(x, window):
    """All patches as columns: (H, C, W, N) to (OH, C * KH * KW, OW * N), of the same type; `x` stays as it is.

    Rows are ordered by channel, then by place in the kernel; columns by place in the map, then by image.
    """
    H, C, W, N = x.shape
    (KH, KW), (OH, OW), (p, q) = window.kernel, window.out, window.padding
    ### BEGIN SOLUTION
    around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=x.dtype)
    around[window.inner] = x
    columns = np.empty((OH, C, KH, KW, OW, N), dtype=x.dtype)
    for i, j, key in window.places():
        columns[:, :, i, j] = around[key]
    return columns.reshape(OH, C * KH * KW, OW * N)
    ### END SOLUTION


# %% nbgrader={"grade_id": "09-2-test", "points": 10}
def test_unit_im2col():
    x = np.arange(1.0, 7.0).reshape(2, 1, 3, 1)  # 1 2 3 above 4 5 6
    got = im2col(x, Window((2, 3), (2, 2)))
    check_close(got, [[[1, 2], [2, 3], [4, 5], [5, 6]]], "2 x 3 pixels, kernel 2 x 2: two columns of four")
    wide = im2col(x, Window((2, 3), (1, 3), padding=(1, 1), stride=(2, 2)))
    expected = [[[0, 0], [0, 0], [0, 0]], [[0, 5], [4, 6], [5, 0]]]
    check_close(wide, expected, "with a frame of 1, every second row and column")
    far = im2col(x, Window((2, 3), (2, 2), dilation=(1, 2)))
    check_close(far, [[[1], [3], [4], [6]]], "dilation 2 across: a pixel is left out")
    check_close(x[:, 0, :, 0], [[1, 2, 3], [4, 5, 6]], "the image stays as it was")


def test_unit_im2col_order():
    N, C, W = np.arange(2), 10 * np.arange(2)[:, None, None], 100 * np.arange(3)[:, None]  # a digit for each index
    x = (1000 * np.arange(3)[:, None, None, None] + C + W + N).astype(np.float32)  # (H, C, W, N)
    got = im2col(x, Window((3, 3), (2, 2)))
    check_close(got.shape, (2, 8, 4), "(3, 2, 3, 2) with a kernel of 2 x 2: (OH, C * KH * KW, OW * N)")
    first = [0, 100, 1000, 1100, 10, 110, 1010, 1110]
    check_close(got[0, :, 0], first, "one column: first channel 0, row by row of the kernel, then channel 1")
    check_close(got[0, 0], [0, 1, 100, 101], "one row: both images in the first place, then both in the second")
    check_close(got[1, 0], [1000, 1001, 1100, 1101], "the second row of the map begins one pixel lower")
    check(got.dtype == np.float32, "float32 stays float32")


def test_unit_im2col_against_the_loops():
    x = np.random.default_rng(0).normal(size=(6, 2, 7, 3))
    for options in ({"stride": (2, 1), "padding": (0, 2)}, {"padding": (2, 1), "dilation": (2, 3)}):
        window = Window((6, 7), (3, 2), **options)
        check_close(im2col(x, window), im2col_loops(x, window), f"number by number, {options}")


test_unit_im2col()
test_unit_im2col_order()
test_unit_im2col_against_the_loops()

# %% [markdown]
# ### Task 09-3. And back again, added up
#
# Going back through a convolution, a gradient arrives for each number in the columns. Whose is it? `im2col` *copied*:
# a pixel in the middle of the image stands in nine columns of a 3 x 3 kernel. What was copied when going forward is
# added when going back (module 05: several uses, several gradients, one sum). So `col2im` walks over the same places
# in the kernel with the same keys, and **adds** each block of columns to the pixels that it came from. What fell on the
# frame belongs to nobody, and is cut away at the end.
#
# In the language of matrices `im2col` is a product with a matrix of zeros and ones, and `col2im` is a product with its
# transpose. Hence a test that knows no examples, for any numbers $a$ and $b$:
#
# $$\langle \mathrm{im2col}(a),\, b \rangle = \langle a,\, \mathrm{col2im}(b) \rangle .$$


# %% nbgrader={"grade_id": "09-3", "solution": true}
#| export
def col2im(columns, window):
    """Every number added to the pixel that `im2col` took it from: (OH, C * KH * KW, OW * N) to (H, C, W, N).

    `columns` stays as it is; the result has its type and may be a view.
    """
    (H, W), (KH, KW), (OH, OW), (p, q) = window.size, window.kernel, window.out, window.padding
    C, N = columns.shape[1] // (KH * KW), columns.shape[2] // OW
    ### BEGIN SOLUTION
    columns = columns.reshape(OH, C, KH, KW, OW, N)
    around = np.zeros((H + 2 * p, C, W + 2 * q, N), dtype=columns.dtype)
    for i, j, key in window.places():
        around[key] += columns[:, :, i, j]
    return around[window.inner]
    ### END SOLUTION


# %% nbgrader={"grade_id": "09-3-test", "points": 10}
def test_unit_col2im():
    columns = np.arange(1.0, 9.0).reshape(1, 4, 2)
    got = col2im(columns, Window((2, 3), (2, 2)))
    check_close(got[:, 0, :, 0], [[1, 5, 4], [5, 13, 8]], "1 x 4 x 2 numbers on 2 x 3 pixels")
    check_close(columns[0, 0], [1, 2], "the columns stay as they were")
    counts = col2im(np.ones((2, 4, 2)), Window((3, 3), (2, 2)))
    check_close(counts[:, 0, :, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]], "ones: in how many windows each pixel lies")
    framed = col2im(np.ones((3, 9, 3), dtype=np.float32), Window((3, 3), (3, 3), padding=(1, 1)))
    check_close(framed[:, 0, :, 0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]], "with a frame, which is cut away")
    check(framed.dtype == np.float32, "float32 stays float32")


def test_unit_col2im_is_the_transpose():
    rng = np.random.default_rng(0)
    for window in (
        Window((4, 5), (3, 2)),
        Window((5, 4), (2, 3), stride=(2, 1), padding=(0, 2)),
        Window((6, 7), (3, 2), stride=(1, 3), padding=(1, 1), dilation=(2, 3)),
    ):
        (OH, OW), (KH, KW) = window.out, window.kernel
        a = rng.normal(size=(window.size[0], 2, window.size[1], 3))
        b = rng.normal(size=(OH, 2 * KH * KW, OW * 3))
        check_close(np.sum(a * col2im(b, window)), np.sum(im2col_loops(a, window) * b), f"<a, col2im(b)>, {window}")


test_unit_col2im()
test_unit_col2im_is_the_transpose()

# %% [markdown]
# ### Task 09-4. A convolution is one product
#
# The columns are ready. Lay each kernel out as a row: (OC, C, KH, KW) becomes (OC, C * KH * KW), in the same
# order as the rows of the columns. Then
#
# $$\underbrace{(OC,\; C\,K_H K_W)}_{\text{kernels}} \; @ \; \underbrace{(O_H,\; C\,K_H K_W,\; O_W N)}_{\text{columns}}
#   \;=\; (O_H,\; OC,\; O_W N),$$
#
# one matrix for each row of the map, multiplied by the same kernels: `@` does such stacks by itself. The bias has one
# number for each kernel $o$; along which of the three dimensions does it run?
#
# The result is split into (OH, OC, OW, N) and read as (N, OC, OH, OW) by `batch_first`. The operation hands out
# the pair (result, columns): the door keeps the columns for the backward rule, which would have to make them again.

# %%
stacked = np.ones((2, 3)) @ np.ones((4, 3, 5))
print("(2, 3) @ (4, 3, 5):", stacked.shape)
print("b[:, None] gives each row its own number:", (np.zeros((2, 3)) + np.array([10.0, 20.0])[:, None]).tolist())


# %% nbgrader={"grade_id": "09-4", "solution": true}
#| export
@operation
def convolve(x, weight, bias=None, /, *, window):
    """The pair (y, columns): `y` (N, OC, OH, OW) for `x` (N, C, H, W), `weight` (OC, C, KH, KW), `bias` (OC,) or None.

    columns: what `im2col` made of `x`, for the backward rule. Changes none of the inputs.
    """
    x = as_floating(x).transpose(2, 1, 3, 0)  # (H, C, W, N); im2col copies it anyway
    (OC, C, KH, KW), (OH, OW), N = weight.shape, window.out, x.shape[3]
    ### BEGIN SOLUTION
    columns = im2col(x, window)  # (OH, C * KH * KW, OW * N)
    y = weight.reshape(OC, C * KH * KW) @ columns  # (OH, OC, OW * N)
    if bias is not None:
        y += bias[:, None]
    return batch_first(y.reshape(OH, OC, OW, N)), columns
    ### END SOLUTION


# %%
#| export
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1):
    """Slide the kernels `weight` (OC, C, KH, KW) over the images `x` (N, C, H, W): (N, OC, OH, OW).

    bias: (OC,) or None. stride, padding, dilation: whole numbers, or pairs (down, across).
    Raises: ValueError where shapes do not fit, naming them.
    """
    kernel = np.shape(weight)
    if len(kernel) != 4:
        raise ValueError(f"conv2d: weight has shape {kernel}; it must be (out, in, height, width)")
    window = window_over("conv2d", x, kernel[2:], stride, padding, dilation)
    channels = np.shape(x)[1]
    if channels != kernel[1]:
        raise ValueError(f"conv2d: x {np.shape(x)} has {channels} channels, and weight {kernel} takes {kernel[1]}")
    if bias is not None and np.shape(bias) != kernel[:1]:
        raise ValueError(f"conv2d: bias has shape {np.shape(bias)}; with weight {kernel} it must be {kernel[:1]}")
    return convolve(x, weight, bias, window=window)


# %% nbgrader={"grade_id": "09-4-test", "points": 10}
def test_unit_convolve():
    x = Tensor(np.arange(1.0, 25.0).reshape(2, 1, 3, 4))
    weight, bias = Tensor([[[[1.0, 0.0], [0.0, -1.0]]], [[[0.0, 1.0], [1.0, 0.0]]]]), Tensor([10.0, 100.0])
    first = np.array([[107, 109, 111], [115, 117, 119]])  # of the second kernel, for the first image
    fives = np.full((2, 3), 5)
    expected = [[fives, first], [fives, first + 24]]
    check_close(conv2d(x, weight, bias), expected, "the example by hand")
    check_close(bias, [10, 100], "the bias stays as it was")
    check_close(conv2d(x, weight)[0, 0], fives - 10, "without a bias nothing is added")
    check_close(conv2d(Tensor(np.zeros((0, 1, 3, 3))), weight).shape, (0, 2, 2, 2), "an empty batch stays empty")
    kept = conv2d(Tensor(x.data, requires_grad=True), weight).receipt.saved
    check(kept is not None, "the columns are handed out beside the result, and kept for the backward rule")
    check_close(kept[0, :, 0], [1, 2, 5, 6], "the first column that is kept")


def test_unit_convolve_against_the_loops():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
    for options in ({}, {"padding": 1}, {"stride": 2, "padding": 2}, {"stride": 3, "padding": 1, "dilation": 2}):
        got = conv2d(Tensor(x, dtype=np.float64), Tensor(weight, dtype=np.float64), Tensor(bias), **options)
        check_close(got, conv2d_loops(x, weight, bias, **options), f"the seven loops, {options}")
    text = check_raises(ValueError, lambda: conv2d(Tensor(x), Tensor(weight[:, :2])), "3 channels and a kernel for 2")
    check("3 channels" in text and "takes 2" in text, "the error names both numbers")


test_unit_convolve()
test_unit_convolve_against_the_loops()

# %% [markdown]
# And what was it worth? In the loops each multiplication is a line of Python. **Predict** how long one takes, and the
# factor between the two forms, then measure them: 8 images of 12 x 12, 4 kernels of 3 x 3.

# %% tags=["measure"]
rng = np.random.default_rng(0)
x, weight, bias = rng.random((8, 1, 12, 12)), rng.normal(size=(4, 1, 3, 3)), np.zeros(4)
slow = measure(lambda: conv2d_loops(x, weight, bias), "seven loops", repeats=1)
x32, weight32 = Tensor(x), Tensor(weight)
fast = measure(lambda: conv2d(x32, weight32), "one product")
products = 8 * 4 * 10 * 10 * 9
print(f"{slow / fast:.0f} times faster; a multiplication took {slow / products * 1e9:.0f} ns in the loops")

# %% [markdown]
# ### Task 09-5. Three gradients
#
# With $P$ for the columns, $K$ for the kernels as rows, and one matrix for each row $r$ of the map, a convolution is
#
# $$Y_r = K\,P_r + b .$$
#
# That is a `linear` layer, and you know its rules from module 05. Let $G_r$ be what arrives for $Y_r$.
#
# - **in the kernels**: $G_r P_r^\top$. All rows of the map use the same kernels, so this is summed over $r$.
# - **in the image**: first in the columns, $K^\top G_r$, and from there to the pixels by your `col2im`.
# - **in the bias**: it was added to every place of every image, so it gets the sum over all of these.
#
# Give each as a function of nothing, so that a gradient that nobody asks for (the one in the images of the first
# layer) is not computed. Shapes settle the rest: the results have the shapes of `x`, `weight` and `bias`.

# %%
pile = np.arange(24).reshape(2, 3, 4)
print("np.swapaxes(pile, 1, 2):", np.swapaxes(pile, 1, 2).shape)
print("sum over two dimensions:", pile.sum(axis=(0, 2)), " over the stack:", pile.sum(axis=0).shape)


# %% nbgrader={"grade_id": "09-5", "solution": true}
#| export
def convolve_rule(g, columns, x, weight, bias=None, *, window):
    """Gradients of `convolve` in `x`, `weight` and `bias`: three functions of nothing; `g` is (N, OC, OH, OW)."""
    (OC, C, KH, KW), (OH, OW), N = weight.shape, window.out, len(x)
    G = rows_first(g).reshape(OH, OC, OW * N)
    K = weight.reshape(OC, C * KH * KW)

    ### BEGIN SOLUTION
    return (
        lambda: batch_first(col2im(K.T @ G, window)),
        lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0).reshape(weight.shape),
        lambda: G.sum(axis=(0, 2)),
    )
    ### END SOLUTION


# %%
#| export
autograd.rules["convolve"] = convolve_rule


# %%
def check_slopes(promise, gradients, fn, arrays, g):
    """Check `gradients`, functions of nothing or arrays, of sum(g * fn(*arrays)) in each of the float64 `arrays`."""
    for k, (gradient, array) in enumerate(zip(gradients, arrays)):
        slopes = numeric_gradient(lambda _: np.sum(g * fn(*arrays)), array)
        got = gradient() if callable(gradient) else gradient
        check_close(got, slopes, f"{promise}: gradient in input {k}", rtol=1e-5, atol=1e-6)


def check_differences(promise, fn, *arrays):
    """Check what the engine makes of `fn(*Tensors)` in each of the `arrays`, in float64."""
    tensors = [Tensor(array, requires_grad=True, dtype=np.float64) for array in arrays]
    y = fn(*tensors)
    g = np.random.default_rng(7).normal(size=y.shape)
    y.backward(Tensor(g, dtype=np.float64))
    with no_grad():
        check_slopes(promise, [x.grad for x in tensors], lambda *_: fn(*tensors).data, [x.data for x in tensors], g)


# %% nbgrader={"grade_id": "09-5-test", "points": 10}
def test_unit_convolve_rule():
    x, weight = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    window, g = Window((3, 3), (2, 2)), np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    columns = im2col_loops(rows_first(x), window)
    for_x, for_weight, for_bias = convolve_rule(g, columns, x, weight, np.zeros(1), window=window)
    check_close(for_bias(), [1111], "in the bias: the sum of what arrives")
    check_close(for_weight(), [[[[5421, 6532], [8754, 9865]]]], "in the kernel: each patch, times what arrives there")
    dx = [[[[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]]]
    check_close(for_x(), dx, "in the image: the kernel laid down in each place, times what arrives there")


def test_unit_convolve_rule_by_differences():
    rng = np.random.default_rng(0)
    arrays = x, weight, bias = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(3, 2, 2, 2)), rng.normal(size=3)
    for stride, padding, dilation in ((1, 0, 1), (2, 1, 1), (1, 1, 2)):
        window = Window((3, 4), (2, 2), (stride, stride), (padding, padding), (dilation, dilation))
        g = rng.normal(size=(2, 3, *window.out))
        parts = convolve_rule(g, im2col_loops(rows_first(x), window), x, weight, bias, window=window)
        promise = f"stride {stride}, padding {padding}, dilation {dilation}"
        check_slopes(promise, parts, lambda *a, o=(stride, padding, dilation): conv2d_loops(*a, *o), arrays, g)


test_unit_convolve_rule()
test_unit_convolve_rule_by_differences()

# %% [markdown]
# Operation and rule together, through the engine and with pairs that differ:

# %%
rng = np.random.default_rng(0)
x, weight, bias = rng.normal(size=(2, 2, 4, 5)), rng.normal(size=(3, 2, 2, 3)), rng.normal(size=3)
check_differences("pairs", lambda x, w, b: conv2d(x, w, b, (2, 1), (2, 1), (1, 2)), x, weight, bias)
print("gradients in image, kernels and bias agree with central differences")

# %% [markdown]
# ### The layer (given)
#
# `Conv2d` owns kernels and bias. Their first values are uniform in $\pm 1/\sqrt{C K_H K_W}$, as in `Linear`: one over
# the root of how many products end in one output (`fans` of module 03 counts them).


# %%
#| export
class Conv2d(Module):
    """Kernels that slide over images: (N, in_channels, H, W) to (N, out_channels, OH, OW).

    weight: Parameter (out, in, KH, KW); bias: Parameter (out,), or None with `bias=False`. Both start uniform in
        ±1/sqrt(in * KH * KW), drawn from `rng`, and without it from tinytorch's default generator.
    kernel_size, stride, padding, dilation: whole numbers, or pairs (down, across).
    Raises: ValueError that names a size that cannot be.
    Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", II.A.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, *, bias=True, rng=None):
        self.in_channels, self.out_channels = whole_numbers("Conv2d", "channels", (in_channels, out_channels), 1)
        self.kernel_size = whole_numbers("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = whole_numbers("Conv2d", "stride", stride, 1)
        self.padding = whole_numbers("Conv2d", "padding", padding, 0)
        self.dilation = whole_numbers("Conv2d", "dilation", dilation, 1)
        self.weight, self.bias = None, None
        rng = default_generator if rng is None else rng
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        bound = 1 / math.sqrt(fans(shape)[0])
        self.weight = Parameter(rng.uniform(-bound, bound, size=shape))
        if bias:
            self.bias = Parameter(rng.uniform(-bound, bound, size=out_channels))

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{text}, padding={self.padding}, dilation={self.dilation}, bias={self.bias is not None}"


Conv2D = Conv2d


def flatten(x, start_dim=1):
    """All dimensions of `x` from `start_dim` on in one: (N, C, H, W) to (N, C * H * W).

    It keeps the batch as `nn.Flatten` does; `torch.flatten` begins at 0 unless told otherwise.
    """
    return Flatten(start_dim)(x)


# %%
layer = Conv2d(1, 4, 3, padding=1, rng=np.random.default_rng(0))
print(layer)
print([(name, p.shape) for name, p in layer.named_parameters()], flatten(layer(Tensor(ink[:2]))).shape)

# %% [markdown]
# ### Task 09-6. Pooling: the winner takes it all
#
# Whether a stroke is at column 3 or 4 does not matter to the reader. *Max pooling* keeps the largest value of each
# window and forgets where it was; with windows of 2 x 2 that stand side by side, the maps become a quarter as large,
# and a small shift changes less. *Average pooling* takes the mean. Neither has weights. Both are given
# below, on your `Window`; the frame around a maximum is $-\infty$, which never wins.
#
# Back through the maximum: moving a pixel that is not the largest changes nothing, so all of the gradient goes to the
# largest. But which is it, if two are equally large? After a ReLU whole windows are zero, and flat paper gives flat
# maps, so this is the common case and not a curiosity. Our rule is PyTorch's: **the first** place in the kernel that
# holds the largest value takes everything, and the others get nothing. (Giving it to each of them would hand out more
# than has arrived.)
#
# So walk over the places in the kernel, and keep a book of which windows have not found their winner yet. In each
# place: where is the pixel equal to the largest, and the window still free? These windows pay out and are no longer
# free. Windows may overlap, and then one pixel may win several of them.

# %%
free, equal = np.array([True, True, False]), np.array([True, False, True])
hit = free & equal
print("hit", hit, " still free", free & ~hit, " a gradient where it hit:", np.array([5.0, 6.0, 7.0]) * hit)
print("nobody has won yet:", np.ones((2, 3), dtype=bool).all())


# %%
#| export
def framed(x, window, value):
    """`x` (H, C, W, N) in its frame of `value`; `x` itself where there is no frame."""
    if window.padding == (0, 0):
        return x
    p, q = window.padding
    return np.pad(x, ((p, p), (0, 0), (q, q), (0, 0)), constant_values=value)


def unframed(x, window):
    """What `framed` put into a frame."""
    return x if window.padding == (0, 0) else x[window.inner]


@operation
def pool_max(x, *, window):
    """The largest pixel in each window: (N, C, H, W) to (N, C, OH, OW)."""
    around, largest = framed(rows_first(as_floating(x)), window, -np.inf), None
    for _, _, key in window.places():
        largest = around[key].copy() if largest is None else np.maximum(largest, around[key], out=largest)
    return batch_first(largest)


# %% nbgrader={"grade_id": "09-6", "solution": true}
#| export
def pool_max_rule(g, y, x, *, window):
    """Gradient of `y = pool_max(x)` in `x`: what arrives for a window goes to the first of its largest pixels."""
    around = framed(rows_first(x), window, -np.inf)  # (H, C, W, N), with its frame
    g, y = rows_first(g), rows_first(y)  # (OH, C, OW, N)
    dx = np.zeros(around.shape, dtype=g.dtype)
    free = np.ones(y.shape, dtype=bool)  # windows without a winner
    for _, _, key in window.places():
        ### BEGIN SOLUTION
        hit = free & (around[key] == y)
        dx[key] += g * hit
        free &= ~hit
        ### END SOLUTION
    return batch_first(unframed(dx, window))


# %%
#| export
@operation
def pool_mean(x, *, window):
    """The mean of each window, its frame of zeros counted in: (N, C, H, W) to (N, C, OH, OW)."""
    around, total = framed(rows_first(as_floating(x)), window, 0), 0
    for _, _, key in window.places():
        total = total + around[key]
    return batch_first(total / math.prod(window.kernel))


def pool_mean_rule(g, y, x, *, window):
    share = rows_first(g) / math.prod(window.kernel)
    (H, W), (p, q) = window.size, window.padding
    dx = np.zeros((H + 2 * p, x.shape[1], W + 2 * q, len(x)), dtype=g.dtype)
    for _, _, key in window.places():
        dx[key] += share
    return batch_first(unframed(dx, window))


autograd.rules.update(pool_max=pool_max_rule, pool_mean=pool_mean_rule)
SHAPES_ONLY.add("pool_mean")


def pooling_window(name, x, kernel_size, stride, padding, dilation=1):
    """The Window of a pooling; without a stride, windows stand side by side.

    Raises: ValueError for a frame of more than half a window: then some windows would see nothing else.
    """
    window = window_over(name, x, kernel_size, kernel_size if stride is None else stride, padding, dilation)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel)):
        raise ValueError(
            f"{name}: padding {window.padding} is more than half of the kernel {window.kernel}, so that windows would "
            "see nothing but frame; use less"
        )
    return window


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    """The largest value in each window: (N, C, H, W) to (N, C, OH, OW). Without `stride`, it is `kernel_size`."""
    return pool_max(x, window=pooling_window("max_pool2d", x, kernel_size, stride, padding, dilation))


def avg_pool2d(x, kernel_size, stride=None, padding=0):
    """The mean of each window, the frame counted in: (N, C, H, W) to (N, C, OH, OW)."""
    return pool_mean(x, window=pooling_window("avg_pool2d", x, kernel_size, stride, padding))


class _Pool2d(Module):
    """What both poolings share: the settings, as pairs."""

    def __init__(self, kernel_size, stride=None, padding=0):
        name = type(self).__name__
        self.kernel_size = whole_numbers(name, "kernel_size", kernel_size, 1)
        self.stride = whole_numbers(name, "stride", kernel_size if stride is None else stride, 1)
        self.padding = whole_numbers(name, "padding", padding, 0)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """`max_pool2d` as a layer. kernel_size, stride, padding, dilation: whole numbers, or pairs (down, across)."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1):
        super().__init__(kernel_size, stride, padding)
        self.dilation = whole_numbers("MaxPool2d", "dilation", dilation, 1)

    def forward(self, x):
        return max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)

    def extra_repr(self):
        return f"{super().extra_repr()}, dilation={self.dilation}"


class AvgPool2d(_Pool2d):
    """`avg_pool2d` as a layer. kernel_size, stride, padding: whole numbers, or pairs (down, across)."""

    def forward(self, x):
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)


# %% nbgrader={"grade_id": "09-6-test", "points": 10}
def pooled_gradient(x, g, **options):
    """Largest values of the windows on `x` (H, W), and the gradient in `x` when `g` (OH, OW) arrives."""
    x = Tensor(np.array(x)[None, None], requires_grad=True)
    y = max_pool2d(x, **options)
    y.backward(Tensor(np.array(g)[None, None]))
    return y[0, 0], x.grad[0, 0]


def test_unit_pool_max_rule():
    y, dx = pooled_gradient([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 1.0, 7.0]], [[10.0, 20.0]], kernel_size=2)
    check_close(y, [[5, 7]], "the largest of each window")
    check_close(dx, [[0, 10, 0, 0], [0, 0, 0, 20]], "the largest pixel takes all")
    _, dx = pooled_gradient([[2.0, 3.0, 3.0], [3.0, 3.0, 1.0]], [[10.0, 100.0]], kernel_size=2, stride=1)
    check_close(dx, [[0, 110, 0], [0, 0, 0]], "among equals the first, and one pixel may win two windows")
    _, dx = pooled_gradient([[-1.0, -2.0], [-3.0, -4.0]], [[1.0, 2.0], [3.0, 4.0]], kernel_size=2, padding=1)
    check_close(dx, [[1, 2], [3, 4]], "a frame never wins, also where all pixels are below zero")
    _, dx = pooled_gradient([[0.0, 0.0], [0.0, 0.0]], [[8.0]], kernel_size=2)
    check_close(np.sum(dx.data), 8, "what arrives is handed out once")


def test_unit_pool_max_rule_by_differences():
    x = np.random.default_rng(0).permutation(120).reshape(2, 2, 5, 6) / 10.0
    for options in ({"stride": 2}, {"stride": (1, 2), "padding": 1}, {"stride": 1, "dilation": (1, 2)}):
        check_differences(f"kernel 3 x 2, {options}", lambda x, o=options: max_pool2d(x, (3, 2), **o), x)


test_unit_pool_max_rule()
test_unit_pool_max_rule_by_differences()

# %%
check_differences("the mean of each window", lambda x: avg_pool2d(x, 3, 2, 1), np.arange(25.0).reshape(1, 1, 5, 5))
print(avg_pool2d(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)), 2)[0, 0])

# %% [markdown]
# ### Task 09-7. Back through a mean and a spread
#
# Deep stacks have a trouble of their own: when the weights of one layer move, the values in all layers above change
# their size and their mean, and each has to learn again what it knew. The cure is blunt. Take the values, subtract
# their mean, divide by their spread:
#
# $$z_i = \frac{x_i - \mu}{\sqrt{v + \varepsilon}}, \qquad \mu = \frac1M\sum_i x_i, \qquad
#   v = \frac1M\sum_i (x_i-\mu)^2 .$$
#
# The small $\varepsilon$ keeps a group of equal values from dividing by zero. The variance divides by $M$ here and not
# by $M-1$: it describes these values, and does not estimate anything about others. All normalisations do just this;
# they differ only in *which* values they take together. So we write it once, for the rows of a matrix (R, M), and let
# the three of them arrange their values in rows.
#
# Now back, for one row. With $s = 1/\sqrt{v+\varepsilon}$ and a gradient $g_i$ for each $z_i$, a change of $x_j$ acts
# in three ways: on its own $z_j$, on all through the mean, and on all through the spread.
#
# - Own: $s\,g_j$.
# - Mean: $\partial\mu/\partial x_j = 1/M$, and each $z_i$ falls by $s$ per unit of $\mu$: $-\,s\,\frac1M\sum_i g_i$.
# - Spread: $\partial v/\partial x_j = \frac2M (x_j - \mu)$, and $\partial s/\partial v = -\frac12 s^3$, and
#   $z_i = (x_i - \mu)\,s$. Multiply: $\sum_i g_i (x_i-\mu) \cdot (-\tfrac12 s^3)\cdot\tfrac2M (x_j-\mu)$. Write each
#   $(x-\mu)\,s$ as $z$, and it becomes $-\,s\,z_j\,\frac1M\sum_i g_i z_i$.
#
# $$\bar x_j = s\left(g_j - \frac1M\sum_i g_i - z_j\,\frac1M\sum_i g_i z_i\right)$$
#
# Read it: from the gradient is taken what would only move the mean and what would only stretch the values, because
# the normalisation undoes both. Both sums are means over a row. Keep the dimension, so that they fit beside the row.

# %%
rows = np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 10.0]])
print("mean of each row, as a column:", rows.mean(axis=1, keepdims=True).tolist())


# %%
#| export
def standardise(rows, eps):
    """Each row of `rows` (R, M) with mean 0 and variance 1: (z, s, mean, variance), z (R, M) and three columns (R, 1).

    s: 1 / sqrt(variance + eps), by which a row was multiplied. The variance divides by M.
    """
    mean = rows.mean(axis=1, keepdims=True)
    z = rows - mean
    variance = np.vecdot(z, z)[:, None] / rows.shape[1]
    s = 1 / np.sqrt(variance + float(eps))
    z *= s
    return z, s, mean, variance


# %% nbgrader={"grade_id": "09-7", "solution": true}
#| export
def standardise_rule(g, z, s):
    """Gradient in the rows that `standardise` was given, (R, M); changes none of its inputs.

    g: what arrives for z, (R, M); z, s: what `standardise` gave, (R, M) and (R, 1).
    """
    ### BEGIN SOLUTION
    stretch = (g * z).mean(axis=1, keepdims=True)
    return s * (g - g.mean(axis=1, keepdims=True) - z * stretch)
    ### END SOLUTION


# %% nbgrader={"grade_id": "09-7-test", "points": 10}
def test_unit_standardise_rule():
    rows = np.array([[0.0, 0.0, 0.0, 0.0, 5.0], [1.0, 2.0, 3.0, 6.0, 0.0]])
    g = np.array([[5.0, 0.0, 0.0, 0.0, 5.0], [1.0, 0.0, 0.0, 2.0, 0.0]])
    z, s, _, _ = standardise(rows, 0.0)
    got = standardise_rule(g, z, s)
    check_close(got[0], [1.875, -0.625, -0.625, -0.625, 0], "the row (0, 0, 0, 0, 5), what arrives (5, 0, 0, 0, 5)")
    check_close(got.sum(axis=1), [0, 0], "nothing is left that moves the mean")
    check_close((got * z).sum(axis=1), [0, 0], "nothing is left that stretches the values")
    slopes = numeric_gradient(lambda x: np.sum(g * standardise(x, 0.1)[0]), rows)
    z, s, _, _ = standardise(rows, 0.1)
    check_close(standardise_rule(g, z, s), slopes, "central differences, with eps = 0.1", rtol=1e-5, atol=1e-7)
    check_close(g[1], [1, 0, 0, 2, 0], "what arrives stays as it was")


test_unit_standardise_rule()

# %% [markdown]
# ### Three ways to make rows (given)
#
# After the division, each channel gets a *scale* and a *shift* that are learned ($\gamma$ and $\beta$ in the papers,
# `weight` and `bias` in PyTorch), so that the network can take back what it does not like. What is a row?
#
# | | a row is | so a row has | depends on the batch |
# |---|---|---|---|
# | batch norm | one channel, in all images | N * H * W values | yes |
# | group norm | some channels of one image | C / G * H * W values | no |
# | layer norm | everything of one sample | all values of the last dimensions | no |
#
# All three are below as operations: rows, `standardise`, scale and shift; back: your rule, and two sums. Batch norm
# also writes mean and variance of the batch into an array that it is given, for the next task.


# %%
#| export
def by_channel(v, ndim):
    """`v` (C,) in a shape that gives each channel of an array (N, C, ...) with `ndim` dimensions its own number."""
    return v.reshape(-1, *(1,) * (ndim - 2))


def scaled(z, weight, bias, ndim):
    """`z` (N, C, ...) times `weight` (C,) plus `bias` (C,), channel by channel; either may be None."""
    if weight is None and bias is None:
        return np.array(z)  # the backward rule keeps z, and the result may be written into
    y = z if weight is None else z * by_channel(weight, ndim)
    return y if bias is None else y + by_channel(bias, ndim)


def scaled_rule(g, z, weight):
    """Gradients of `scaled` in `z`, and in `weight` and `bias` as functions of nothing."""
    others = tuple(d for d in range(g.ndim) if d != 1)
    dz = g if weight is None else g * by_channel(weight, g.ndim)
    return dz, (lambda: (g * z).sum(axis=others)), (lambda: g.sum(axis=others))


def channel_rows(x):
    """`x` (N, C, ...) with a row for each channel: (C, ... * N), the batch innermost."""
    return x.transpose(*range(1, x.ndim), 0).reshape(x.shape[1], -1)


def from_channel_rows(rows, shape):
    """What was `channel_rows` of an array of this `shape`; a view."""
    N, C, *rest = shape
    return rows.reshape(C, *rest, N).transpose(-1, *range(len(shape) - 1))


@operation
def normalise_channels(x, weight=None, bias=None, /, *, eps=1e-5, moments=None):
    """Each channel of `x` (N, C, ...) standardised over the whole batch, then scaled and shifted.

    moments: array (2, C) into which mean and variance of each channel are written, or None.
    """
    x = as_floating(x)
    z, s, mean, variance = standardise(channel_rows(x), eps)
    if moments is not None:
        moments[0], moments[1] = mean[:, 0], variance[:, 0]
    return scaled(from_channel_rows(z, x.shape), weight, bias, x.ndim), (z, s)


def normalise_channels_rule(g, saved, x, weight=None, bias=None, *, eps=1e-5, moments=None):
    z, s = saved
    dz, for_weight, for_bias = scaled_rule(g, from_channel_rows(z, x.shape), weight)

    def for_x():
        return from_channel_rows(standardise_rule(channel_rows(dz), z, s), x.shape)

    return for_x, for_weight, for_bias


@operation
def normalise_groups(x, weight=None, bias=None, /, *, num_groups, eps=1e-5):
    """The channels of each sample of `x` (N, C, ...) standardised in groups, then scaled and shifted."""
    x = as_floating(x)
    z, s, _, _ = standardise(x.reshape(len(x) * num_groups, math.prod(x.shape[1:]) // num_groups), eps)
    return scaled(z.reshape(x.shape), weight, bias, x.ndim), (z, s)


def normalise_groups_rule(g, saved, x, weight=None, bias=None, *, num_groups, eps=1e-5):
    z, s = saved
    dz, for_weight, for_bias = scaled_rule(g, z.reshape(x.shape), weight)
    return (lambda: standardise_rule(dz.reshape(z.shape), z, s).reshape(x.shape)), for_weight, for_bias


@operation
def normalise_last(x, weight=None, bias=None, /, *, dims=1, eps=1e-5):
    """The last `dims` dimensions of `x` standardised together, then scaled and shifted value by value."""
    x = as_floating(x)
    split = x.ndim - dims
    z, s, _, _ = standardise(x.reshape(math.prod(x.shape[:split]), math.prod(x.shape[split:])), eps)
    y = z.copy() if weight is None else z * weight.reshape(-1)
    if bias is not None:
        y += bias.reshape(-1)
    return y.reshape(x.shape), (z, s)


def normalise_last_rule(g, saved, x, weight=None, bias=None, *, dims=1, eps=1e-5):
    z, s = saved
    G = g.reshape(z.shape)
    row = ones(len(G), G.dtype)  # `row @ G` is the sum over the samples
    return (
        lambda: standardise_rule(G if weight is None else G * weight.reshape(-1), z, s).reshape(x.shape),
        lambda: (row @ (G * z)).reshape(weight.shape),
        lambda: (row @ G).reshape(bias.shape),
    )


autograd.rules.update(
    normalise_channels=normalise_channels_rule,
    normalise_groups=normalise_groups_rule,
    normalise_last=normalise_last_rule,
)

# %%
rng = np.random.default_rng(0)
x, scale, shift = rng.normal(2, 3, size=(3, 4, 2, 2)), rng.normal(size=4), rng.normal(size=4)
check_differences("group norm", lambda *inputs: normalise_groups(*inputs, num_groups=2), x, scale, shift)
check_differences("layer norm", normalise_last, x, scale[:2], shift[:2])
z = normalise_channels(Tensor(x))
print("batch norm: mean and variance of each channel", z.mean(dim=(0, 2, 3)), z.var(dim=(0, 2, 3), correction=0))

# %% [markdown]
# ### Task 09-8. Batch norm, and the day after training
#
# Batch norm standardises a channel over the batch that it happens to be in. While training that is its strength. But
# in use there may be one image, whose batch is itself: what is then its mean? And should the answer for your image
# depend on whose images are computed beside it? So batch norm keeps a diary while training: the *running* mean and
# variance of each channel, moving averages over the batches. In use (`training=False`) it takes these instead, and
# touches nothing.
#
# With momentum $m$, and $\mu$ and $v$ from the batch,
#
# $$\text{running mean} \leftarrow (1-m)\,\text{running mean} + m\,\mu, \qquad
#   \text{running variance} \leftarrow (1-m)\,\text{running variance} + m\,\tfrac{n}{n-1}\,v .$$
#
# The variance in the diary is about images still to come, so it must be an estimate: with $n = N H W$ values for a
# channel it divides by $n-1$ (module 01, the correction). The one that divided the batch was $v$ itself. And beware
# of the word: here $m = 0.1$ is the share of the *new*.
#
# In use, all that remains is a product and a sum for each channel, and ordinary Tensor arithmetic does them, gradients
# included. Compute $\hat s = 1/\sqrt{\text{running variance}+\varepsilon}$ from the arrays, and return
# $(x - \text{running mean})\,\hat s$, scaled and shifted. Each of these four has one number for a channel: `by_channel`
# gives it the shape that goes with (N, C, H, W).
#
# Three helpers: `by_batch`, given here, standardises by the batch and tells mean and variance $v$ of each channel.
# `accumulate(v, x, mu)` of module 06 makes `mu * v + x` in the memory of `v`. And `t.data = accumulate(t.data, ...)`
# writes in place and lets the Tensor count the write.


# %%
#| export
def by_batch(x, weight, bias, eps):
    """`normalise_channels(x, ...)`, and the mean and variance of each channel: arrays (C,); it divides by n."""
    moments = np.empty((2, x.shape[1]))
    y = normalise_channels(x, weight, bias, eps=eps, moments=moments)
    return y, *moments


# %%
diary = Tensor([1.0, 2.0])
same = diary.data
diary.data = accumulate(diary.data, 0.5 * np.array([10.0, 20.0]), 0.5)
print(diary, "the same memory:", same is diary.data)
print("by_channel of (3,) for four dimensions:", by_channel(np.array([1.0, 2.0, 3.0]), 4).shape)
print("and of a Tensor:", by_channel(Tensor([1.0, 2.0]), 4).shape)


# %% nbgrader={"grade_id": "09-8", "solution": true}
#| export
def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Standardise each channel of `x` (N, C, ...): by the batch while training, by the running values otherwise.

    running_mean, running_var: Tensors (C,), moving averages; brought up to date in place, only while training.
    weight, bias: Tensors (C,) or None, scale and shift of each channel. momentum: the share of the new batch.
    Raises: ValueError where a channel has one value only while training: it would become 0.
    Source: Ioffe and Szegedy 2015, "Batch normalization", algorithms 1 and 2.
    """
    C, ndim = running_mean.size, x.ndim
    if x.ndim < 2 or x.shape[1] != C:
        raise ValueError(
            f"batch_norm: x has shape {x.shape}; it must be (N, {C}, ...), for running_mean has {C} values"
        )
    n = x.size // C
    if training and n < 2:
        raise ValueError(f"batch_norm: x {x.shape} has {n} value for each channel; training needs a larger batch")
    ### BEGIN SOLUTION
    if training:
        y, mean, variance = by_batch(x, weight, bias, eps)
        running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)
        running_var.data = accumulate(running_var.data, momentum * n / (n - 1) * variance, 1 - momentum)
        return y
    s = 1 / np.sqrt(running_var.data + eps)
    y = (x - by_channel(running_mean.data, ndim)) * by_channel(s, ndim)
    if weight is not None:
        y = y * by_channel(weight, ndim)
    if bias is not None:
        y = y + by_channel(bias, ndim)
    return y
    ### END SOLUTION


# %% nbgrader={"grade_id": "09-8-test", "points": 10}
def test_unit_batch_norm():
    x = Tensor([[[[1.0, 3.0]], [[10.0, 30.0]]], [[[5.0, 7.0]], [[50.0, 70.0]]]])  # (2, 2, 1, 2); means 4 and 40
    mean, var = Tensor([1.0, 2.0]), Tensor([1.0, 1.0])
    y = batch_norm(x, mean, var, training=True)
    check_close(y[:, 0, 0], np.array([[-3, -1], [1, 3]]) / np.sqrt(5), "training: by the batch, whose variance is 5")
    check_close(mean, [1.3, 5.8], "a tenth of the running mean is new")
    check_close(var, [0.9 + 2 / 3, 0.9 + 200 / 3], "a tenth of the running variance is new, and divides by n - 1")
    batch_norm(x, mean, var, training=True, momentum=0.5)
    check_close(mean, [2.65, 22.9], "with momentum 0.5, half of it")
    kept = mean.data
    got = batch_norm(x, mean, var)
    check(mean.data is kept, "in use the running values are the same arrays")
    check_close(mean, [2.65, 22.9], "in use the running mean stays as it is")
    s = 1 / np.sqrt(var.data)
    check_close(got[:, 1, 0], (x.data[:, 1, 0] - 22.9) * s[1], "in use: by the running values", rtol=1e-4)


def test_unit_batch_norm_in_use():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(3, 2, 2, 2)), np.array([2.0, -3.0]), np.array([10.0, 20.0])
    mean, var = Tensor([1.0, -1.0], dtype=np.float64), Tensor([3.0, 8.0], dtype=np.float64)
    one = Tensor(x[:1], dtype=np.float64)
    got = batch_norm(one, mean, var, Tensor(weight), Tensor(bias), eps=1.0)
    expected = np.stack([(x[:1, 0] - 1) + 10, -(x[:1, 1] + 1) + 20], axis=1)
    check_close(got, expected, "one image, eps = 1: (x - mean) / sqrt(var + eps) * weight + bias, channel by channel")
    check_close(var, [3, 8], "in use the running variance stays as it is")
    check_differences("in use", lambda x, w, b: batch_norm(x, mean, var, w, b), x, weight, bias)
    check_raises(
        ValueError, lambda: batch_norm(Tensor(x[:1, :, 0, 0]), mean, var, training=True), "one value a channel"
    )


test_unit_batch_norm()
test_unit_batch_norm_in_use()

# %% [markdown]
# ### The layers (given)
#
# The running values are buffers: they are saved with the network, and no optimizer sees them. `num_batches_tracked`
# is what PyTorch saves beside them.


# %%
#| export
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Standardise the last dimensions of `x` together, sample by sample, then scale and shift value by value.

    normalized_shape: the sizes of these dimensions, a number or a tuple; also the shape of `weight` and `bias`.
    Raises: ValueError unless `x` ends with `normalized_shape`.
    Source: Ba, Kiros and Hinton 2016, "Layer normalization", section 3.
    """
    shape = tuple(normalized_shape) if isinstance(normalized_shape, tuple | list) else (normalized_shape,)
    if not shape or np.shape(x)[-len(shape) :] != shape:
        raise ValueError(f"layer_norm: x has shape {np.shape(x)}, which does not end with normalized_shape {shape}")
    return normalise_last(x, weight, bias, dims=len(shape), eps=eps)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Standardise the channels of `x` (N, C, ...) in `num_groups` groups, sample by sample, then scale and shift them.

    Raises: ValueError unless `num_groups` divides the number of channels.
    Source: Wu and He 2018, "Group normalization", section 3.
    """
    shape = np.shape(x)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise ValueError(
            f"group_norm: x has shape {shape}; it must be (N, C, ...), and {num_groups} groups must divide C"
        )
    return normalise_groups(x, weight, bias, num_groups=num_groups, eps=eps)


class _BatchNorm(Module):
    """Batch norm with its diary; a subclass says how many dimensions its input may have."""

    dims = ()

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features)) if affine else None
        self.bias = Parameter(np.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", np.zeros(num_features))
        self.register_buffer("running_var", np.ones(num_features))
        self.register_buffer("num_batches_tracked", np.array(0))

    def forward(self, x):
        if x.ndim not in self.dims or x.shape[1] != self.num_features:
            dims = " or ".join(map(str, self.dims))
            name = type(self).__name__
            raise ValueError(
                f"{name}: x has shape {x.shape}; it needs {dims} dimensions, and {self.num_features} channels"
            )
        if self.training:
            self.num_batches_tracked.data += 1
        running = self.running_mean, self.running_var
        return batch_norm(x, *running, self.weight, self.bias, self.training, self.momentum, self.eps)

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.weight is not None}"


class BatchNorm1d(_BatchNorm):
    """`batch_norm` as a layer, for (N, C) or (N, C, L)."""

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`batch_norm` as a layer, for images (N, C, H, W)."""

    dims = (4,)


class LayerNorm(Module):
    """`layer_norm` as a layer; weight and bias have the shape `normalized_shape`, a number or a tuple."""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        self.normalized_shape, self.eps = normalized_shape, eps
        self.weight = Parameter(np.ones(normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x):
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"


class GroupNorm(Module):
    """`group_norm` as a layer; weight and bias have one number for each of `num_channels`."""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels cannot be shared by {num_groups} groups equally")
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(np.ones(num_channels)) if affine else None
        self.bias = Parameter(np.zeros(num_channels)) if affine else None

    def forward(self, x):
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"GroupNorm: x has shape {x.shape}; it must be (N, C, ...) with {self.num_channels} channels"
            )
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.weight is not None}"


# %%
rng = np.random.default_rng(0)
running, x = [Tensor(np.ones(2), dtype=np.float64) for _ in range(2)], rng.normal(size=(3, 2, 2, 2))
learning = {"training": True}
check_differences(
    "training", lambda *inputs: batch_norm(inputs[0], *running, *inputs[1:], **learning), x, *rng.normal(size=(2, 2))
)
norm = BatchNorm2d(4)
print(norm, list(norm.state_dict()))
print(Sequential(Conv2d(1, 4, 3, padding=1, bias=False), norm, ReLU(), MaxPool2d(2))(Tensor(ink[:2])).shape)

# %% [markdown]
# ## Part 4. Integration: digits that move
#
# The three numbers of Part 1 again, with two more networks. One has two convolutions, each with batch norm, ReLU and
# pooling, and then a `Linear`. The other has no `Linear` that knows places: it takes the mean of each of its last
# maps over all places, and decides by these. All are trained on digits in the middle of the canvas only. **Predict**
# which curve stays flat, and which network has the fewest numbers.


# %%
def block(channels_in, channels_out, **options):
    return [Conv2d(channels_in, channels_out, 3, padding=1, bias=False), BatchNorm2d(channels_out), ReLU()]


def digit_network(seed=0):
    """(N, 1, 12, 12) to ten scores: 12 x 12, pooled to 6 x 6, pooled to 3 x 3."""
    manual_seed(seed)
    return Sequential(*block(1, 8), MaxPool2d(2), *block(8, 16), MaxPool2d(2), Flatten(), Linear(144, 10))


def mean_network(seed=0):
    """The same up to 6 x 6; then one block more, and the mean of each of its 32 maps."""
    manual_seed(seed)
    layers = [*block(1, 8), MaxPool2d(2), *block(8, 16), *block(16, 32)]
    return Sequential(*layers, AvgPool2d(6), Flatten(), Linear(32, 10))


# %% tags=["measure"]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
convolutional, averaging = digit_network(), mean_network()
fit(convolutional, on_canvas(ink))
fit(averaging, on_canvas(ink))
for name, model in {"Linear": flat, "convolution": convolutional, "convolution, mean": averaging}.items():
    shares = [accuracy(model, on_canvas(ink, right)) for right in range(3)]
    size = sum(p.size for p in model.parameters())
    print(f"{name:18} {size:6} numbers; moved by 0, 1, 2:", *(f"{share:.3f}" for share in shares))
    ax.plot(range(3), shares, "o-", label=f"{name}, {size} numbers")
ax.set(xlabel="moved by pixels", xticks=range(3), ylabel="test accuracy", ylim=(0, 1.02))
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# The more a network ends in places, the more a shift costs it. The last one has forgotten places altogether, and loses
# least. Compare its one pixel with its two: a pooling by 2 moves its maps by exactly one when the image moves by two,
# while one pixel changes which values meet in a window.
#
# What the kernels of the first layer became, and what they make of one digit. Compare them with the two border
# finders of Part 2, which a human wrote.

# %% tags=["measure"]
kernels = convolutional[0].weight.data[:, 0]
show(kernels, [f"kernel {k}" for k in range(8)])
convolutional.eval()
with no_grad():
    maps = convolutional[:3](Tensor(on_canvas(ink[:1]))).data[0]
    deeper = convolutional[:7](Tensor(on_canvas(ink[:1]))).data[0]
show(maps, [f"map {k} of layer 1" for k in range(8)])
show(deeper[:8], [f"map {k} of layer 2" for k in range(8)])

# %% [markdown]
# ## Part 5. Systems analysis
#
# ### What one number sees
#
# A number in the second map looks at 3 x 3 numbers of the first, and each of these at 3 x 3 pixels. How large is the
# patch of the image behind it, its *receptive field*? You have a tool that needs no formula: send a gradient of 1 into
# one number in the middle, and see which pixels it reaches. **Predict** the width for three convolutions of 3 x 3, for
# the same with a stride of 2 in each, and for dilations 1, 2, 4.


# %%
def reached(layers, size=33, tries=60):
    """How strongly the number in the middle of the last map depends on each pixel: (size, size); random kernels."""
    total = np.zeros((size, size))
    for seed in range(tries):
        manual_seed(seed)
        x = Tensor(np.zeros((1, 1, size, size)), requires_grad=True)
        y = Sequential(*layers())(x)
        y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
        total += np.abs(x.grad.data[0, 0])
    return total


def width_of(seen):
    """Columns of `seen` in which there is anything."""
    columns = np.flatnonzero(seen.max(axis=0))
    return int(columns[-1] - columns[0] + 1)


def three(strides=(1, 1, 1), dilations=(1, 1, 1)):
    """A function that makes three convolutions of 3 x 3 whose maps stay as large as their strides allow."""
    settings = list(zip(strides, dilations))
    return lambda: [Conv2d(1, 1, 3, stride=s, padding=d, dilation=d) for s, d in settings]


# %% tags=["measure"]
stacks = {
    "three of 3 x 3": three(),
    "stride 2 in each": three((2, 2, 2)),
    "dilation 1, 2, 4": three((1, 1, 1), (1, 2, 4)),
}
seen = {name: reached(layers) for name, layers in stacks.items()}
show(list(seen.values()), [f"{name}: {width_of(s)}" for name, s in seen.items()], 3, size=2.2)

# %% [markdown]
# Without stride and dilation each layer adds two pixels. With a stride the later layers take longer steps, and with
# growing dilations the field grows exponentially while the maps stay large. The last two pictures are the same: a step
# of 2 below is a gap of 2 above. Where windows overlap more, more ways lead through a pixel, and it is darker: without
# stride and dilation that is the middle. Optional task 09-9 makes a formula of this.
#
# ### Where the time of a convolution goes
#
# A layer of 16 to 32 channels on 64 images of 14 x 14. The product makes 144 multiplications for each output; im2col
# and col2im make none, they only move numbers. **Predict** the shares of the five parts.

# %% tags=["measure"]
rng = np.random.default_rng(0)
x, weight = rng.random((64, 16, 14, 14), dtype=np.float32), rng.random((32, 16, 3, 3), dtype=np.float32)
window, lying = Window((14, 14), (3, 3), padding=(1, 1)), rows_first(x)
columns, K = im2col(lying, window), weight.reshape(32, -1)
G = rng.random((14, 32, 14 * 64), dtype=np.float32)
parts = {
    "im2col": lambda: im2col(lying, window),
    "product forward": lambda: K @ columns,
    "product for the kernels": lambda: (G @ np.swapaxes(columns, 1, 2)).sum(axis=0),
    "product for the columns": lambda: K.T @ G,
    "col2im": lambda: col2im(columns, window),
}
seconds = {name: measure(call, f"{name:24}") for name, call in parts.items()}
products = sum(took for name, took in seconds.items() if "product" in name)
speed = 3 * 2 * G.size * 144 / products / 1e9
print(f"in products: {products / sum(seconds.values()):.0%} of the time; {speed:.0f} billion operations a second")
image, copies = x.nbytes, columns.nbytes
print(f"the image {image / 1e6:.1f} MB, its columns {copies / 1e6:.1f} MB: {copies / image:.0f} times as much")

# %% [markdown]
# So most of the time is spent multiplying, at the speed of the machine, and that is the reason for im2col. Its price is
# memory: the columns hold each pixel as often as the kernel has places, and they are kept until backward.
#
# ### Why the batch is innermost
#
# The same im2col in the layout (N, C, H, W), in which a run of neighbours in memory is one row of one image, 14 numbers
# long. Here it is $14 \cdot 64$. Both copy exactly the same numbers. **Predict** the ratio.


# %%
def im2col_batch_first(x, window):
    """As `im2col`, for images (N, C, H, W): an array (N, C * KH * KW, OH * OW)."""
    (N, C), (KH, KW), (OH, OW), (p, q) = x.shape[:2], window.kernel, window.out, window.padding
    around = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    out = np.empty((N, C, KH * KW, OH, OW), dtype=x.dtype)
    for k, (_, _, (down, _, across)) in enumerate(window.places()):
        out[:, :, k] = around[:, :, down, across]
    return out.reshape(N, C * KH * KW, OH * OW)


# %% tags=["measure"]
outside = measure(lambda: im2col_batch_first(x, window), "(N, C, H, W)")
inside = measure(lambda: im2col(lying, window), "(H, C, W, N)")
print(f"{outside / inside:.1f} times as long")

# %% [markdown]
# ### What batch norm changes
#
# The digit network with and without it, each with plain descent at growing rates. The plot shows the mean loss of the
# last twenty steps of two epochs. **Predict** at which end of the scale they differ most.


# %% tags=["measure"]
def plain_network(seed=0):
    """`digit_network` without batch norm; each convolution has its bias again."""
    manual_seed(seed)
    first, second = (Conv2d(c, 2 * c if c > 1 else 8, 3, padding=1) for c in (1, 8))
    return Sequential(first, ReLU(), MaxPool2d(2), second, ReLU(), MaxPool2d(2), Flatten(), Linear(144, 10))


rates, canvas = [0.003, 0.03, 0.3, 1.0, 3.0], on_canvas(ink)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, make in {"without": plain_network, "batch norm": digit_network}.items():
    with np.errstate(all="ignore"):
        settled = [np.mean(fit(make(), canvas, epochs=2, lr=rate, optimizer=SGD)[-20:]) for rate in rates]
    print(f"{name:10}", *(f"rate {rate}: {loss:.3f}  " for rate, loss in zip(rates, settled)))
    ax.loglog(rates, settled, "o-", label=name)
ax.axhline(math.log(10), color="0.7", linestyle="--", label="guessing")
ax.set(xlabel="rate", ylabel="loss after two epochs")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# With batch norm a rate ten times smaller does as well. Its authors promise larger rates too; on this small network
# there is nothing to gain at the upper end, where neither learns much. Why it works is still argued about.
#
# ### The price of the batch
#
# Batch norm takes mean and spread from the batch, so a small batch gives bad ones. In a convolution a channel has
# N * H * W values, and a batch of two images still has hundreds. After a `Linear` it has N. With two values, what are
# the two standardised values, whatever they were before? **Predict** what is left to learn from, and compare with
# group norm, which does not look at other images.


# %% tags=["measure"]
def dense_network(norm, seed=0):
    manual_seed(seed)
    return Sequential(Flatten(), Linear(144, 64), norm, ReLU(), Linear(64, 10))


pairs = BatchNorm1d(3, affine=False)(Tensor([[1.0, 50.0, -3.0], [2.0, -50.0, -3.5]]))
print("batch norm of two samples:", pairs.data.round(3).tolist())
for batch in (2, 32):
    for make in (BatchNorm1d, lambda channels: GroupNorm(4, channels)):
        model = dense_network(make(64))
        losses = fit(model, canvas, epochs=1 if batch == 2 else 3, lr=0.003, batch=batch)
        name, share = type(model[2]).__name__, accuracy(model, canvas)
        print(f"batches of {batch:2}, {name}: training loss {np.mean(losses[-50:]):.3f}, test {share:.3f}")

# %% [markdown]
# Of two numbers only their order is left: one becomes 1 and the other -1. The network trains on that, and in use, with
# the running values, it meets numbers that it has never seen.
#
# ### Beside PyTorch
#
# Names, arguments and the names in a state dict are PyTorch's, and so are the values, to rounding. Deliberate
# differences:
#
# | | PyTorch | here |
# |---|---|---|
# | `flatten(x)` | from dimension 0 on | from dimension 1 on, like `nn.Flatten`: the batch stays |
# | equal largest values | pooling gives the first all, `max()` over all of a Tensor shares | the same |
# | nan in a window of a max pooling | its place gets the gradient | no place does |
# | memory of a result | (N, C, H, W), unless `channels_last` | the batch innermost, a view |
# | `groups`, `padding="same"`, `ceil_mode`, `track_running_stats=False` | there | not there |

# %% [markdown]
# ## Part 6. Module test
#
# Every test once more, and then a network with all of the layers: it learns, its gradients are right, and it comes
# back from names and arrays with its running statistics.


# %% nbgrader={"grade_id": "09-module"}
def test_module():
    test_unit_output_size()
    test_unit_im2col()
    test_unit_im2col_order()
    test_unit_im2col_against_the_loops()
    test_unit_col2im()
    test_unit_col2im_is_the_transpose()
    test_unit_convolve()
    test_unit_convolve_against_the_loops()
    test_unit_convolve_rule()
    test_unit_convolve_rule_by_differences()
    test_unit_pool_max_rule()
    test_unit_pool_max_rule_by_differences()
    test_unit_standardise_rule()
    test_unit_batch_norm()
    test_unit_batch_norm_in_use()

    def network(seed):
        manual_seed(seed)
        first = [Conv2d(1, 4, 3, padding=1), BatchNorm2d(4), ReLU(), MaxPool2d(2)]
        second = [Conv2d(4, 8, 3, dilation=2, padding=2), GroupNorm(2, 8), Tanh(), AvgPool2d(2)]
        return Sequential(*first, *second, Flatten(), LayerNorm(32), Linear(32, 10))

    model, x = network(0), Tensor(ink[train[:64]])
    optimizer, loss_fn, losses = Adam(model.parameters(), lr=0.01), CrossEntropyLoss(), []
    for _ in range(20):
        optimizer.zero_grad()
        loss = loss_fn(model(x), labels[train[:64]])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    check(losses[-1] < losses[0] / 3, "a network with all of the layers learns 64 digits")
    other = network(1)
    other.load_state_dict(model.state_dict())
    check(other[1].num_batches_tracked.data == 20, "the diary travels with the weights")
    one, few = Tensor(ink[test[:1]]), Tensor(ink[test[:5]])
    check_close(
        other.eval()(one), model.eval()(few).data[:1], "in use, an image does not depend on its batch", rtol=1e-4
    )


test_module()

# %% [markdown]
# ## Reflection questions

# %% [markdown] nbgrader={"grade_id": "09-q1", "points": 5, "solution": true}
# **Question 1. Counting (5 points).** A layer takes 64 channels of 56 x 56 to 128 channels with a kernel of 3 x 3,
# stride 2, padding 1. (a) How large are its maps, and how many numbers does it own? (b) How many multiplications does
# one image take? (c) How many times as many numbers as the image do its columns hold, and why is that not 9? (d)
# Name one way to compute the layer with less memory, and what it costs.
#
# ### BEGIN MARK SCHEME
# 1 point: (a) (56 + 2 - 3) // 2 + 1 = 28, so 128 maps of 28 x 28.
# 1 point: 128 * 64 * 9 + 128 = 73,856.
# 1 point: (b) 28 * 28 * 128 * 576 = 57.8 million.
# 1 point: (c) 576 * 784 / (64 * 3136) = 2.25; with stride 2 there are only a quarter as many places, 9 / 4.
# 1 point: (d) for example: make the columns for a few rows or images at a time; make them again in backward instead of
# keeping them (more time); multiply shifted images one place in the kernel after the other (smaller products, slower).
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "09-q2", "points": 5, "solution": true}
# **Question 2. Batch norm (5 points).** (a) In our blocks the convolution before a batch norm has no bias. Why would it
# be useless, and what would its gradient be? (b) Somebody forgets `eval()` and classifies images one by one.
# What happens in the batch norm of a convolution, and what if the batch norm stands after a `Linear`? (c) The same
# person notices that accuracy depends on how the test images are sorted. Explain. (d) Why does batch norm fit badly
# with accumulated gradients of micro-batches (module 07)?
#
# ### BEGIN MARK SCHEME
# 1 point: (a) the mean takes any constant of a channel away again; the gradient is 0.
# 2 points: (b) each image is standardised by its own mean and spread, so the answer changes, and the diary is still
# written (1); after a Linear a channel has one value, which would become 0, and our layer refuses (1).
# 1 point: (c) the batches differ: sorted by class, a batch has another mean than a mixed one.
# 1 point: (d) mean and variance are those of the micro-batch, so k micro-batches do not equal one large batch.
# ### END MARK SCHEME

# %% [markdown] nbgrader={"grade_id": "09-q3", "points": 5, "solution": true}
# **Question 3. What moves (5 points).** (a) Which layers of `digit_network` give the same values at a moved place when
# the image moves by two pixels? By one? Which layer ends it? (b) The averaging network stood the test better, and may
# still lose something. Give two digits that a network which only knows *whether* a stroke occurs, and not where, could
# confuse. (c) Would a digit that is turned by 90 degrees be recognised? What could one do?
#
# ### BEGIN MARK SCHEME
# 2 points: (a) convolution, norm and ReLU for any shift, away from the border (1); pooling by 2 for shifts by 2 after
# the first and by 4 after the second, so by one pixel only in part; the Linear ends it (1).
# 1 point: (b) 6 and 9 or any two with the same strokes in other places; the receptive field limits what it sees.
# 2 points: (c) no, kernels are not equivariant to rotation (1); train on turned images, or turn the kernels too (1).
# ### END MARK SCHEME

# %% [markdown]
# ## Optional
#
# ### Task 09-9. The receptive field on paper
#
# Two numbers go along with a stack: the width of the field, which begins at 1, and the *jump*, how many pixels of the
# image lie between two neighbours of the current map, which begins at 1 as well. A layer with kernel $k$ and dilation
# $d$ adds $d(k-1)$ steps, each of them one jump wide. Its stride then multiplies the jump.
#
# A layer is whatever has a `kernel_size` and a `stride`, both pairs; look at the direction across, the second number.
# A pooling without dilation has 1: `getattr(layer, "dilation", (1, 1))`. All other layers change nothing.


# %% nbgrader={"grade_id": "09-9", "solution": true, "optional": true}
#| export
def receptive_field(layers):
    """How many pixels across lie behind one number of the last map: `layers` is a list, or a Sequential.

    Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks", section 2.
    """
    width, jump = 1, 1
    for layer in layers:
        if hasattr(layer, "kernel_size"):
            ### BEGIN SOLUTION
            dilation = getattr(layer, "dilation", (1, 1))[1]
            width += jump * dilation * (layer.kernel_size[1] - 1)
            jump *= layer.stride[1]
            ### END SOLUTION
    return width


# %% nbgrader={"grade_id": "09-9-test", "optional": true}
def test_unit_receptive_field():
    check_close(receptive_field([]), 1, "without layers a number sees itself")
    check_close(receptive_field([Conv2d(1, 1, 5), ReLU()]), 5, "one convolution sees its kernel")
    check_close(receptive_field([Conv2d(1, 1, 3, dilation=4)]), 9, "and with dilation 4 it sees further")
    check_close(receptive_field([Conv2d(1, 1, (5, 3)), Conv2d(1, 1, (5, 3))]), 5, "across it is the second size")
    check_close(receptive_field(three()()), 7, "three of 3 x 3 see 7")
    check_close(receptive_field(three((2, 2, 2))()), 15, "with stride 2 in each they see 1 + 2 + 4 + 8")
    check_close(receptive_field(three((2, 1, 2), (1, 2, 1))()), 15, "strides 2, 1, 2 and dilations 1, 2, 1")
    check_close(receptive_field([Conv2d(1, 1, 3), MaxPool2d(2), Conv2d(1, 1, 3)]), 8, "a pooling between two of 3 x 3")


test_unit_receptive_field()

# %%
for name, layers in {"strides": three((2, 1, 2), (1, 2, 1)), "dilations": three((1, 1, 1), (1, 2, 4))}.items():
    print(f"{name}: on paper {receptive_field(layers())}, a gradient reaches {width_of(reached(layers, 41))}")

# %% [markdown]
# ### Task 09-10. A batch norm that costs nothing
#
# In use, batch norm is one product and one sum for each channel. So is the end of the convolution in front of it, and
# two of these make one: multiply each kernel by the scale of its channel, and work the shift into the bias. With
# $\hat s = \gamma/\sqrt{\text{running variance}+\varepsilon}$,
#
# $$K' = \hat s\,K, \qquad b' = \beta + \hat s\,(b - \text{running mean}) .$$
#
# Return a new `Conv2d` with the settings of the old one and a bias, whether the old one had one or not. The old layers
# stay as they are.


# %% nbgrader={"grade_id": "09-10", "solution": true, "optional": true}
#| export
def fold_batch_norm(conv, norm):
    """One `Conv2d` that computes what `norm(conv(x))` computes in use; `norm` has a weight and a bias."""
    sizes = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    folded = Conv2d(*sizes)
    before = 0 if conv.bias is None else conv.bias.data
    ### BEGIN SOLUTION
    s = norm.weight.data / np.sqrt(norm.running_var.data + norm.eps)
    folded.weight.data = conv.weight.data * s[:, None, None, None]
    folded.bias.data = norm.bias.data + s * (before - norm.running_mean.data)
    ### END SOLUTION
    return folded


# %% nbgrader={"grade_id": "09-10-test", "optional": true}
def norm_with(weight, bias, mean, var):
    """A BatchNorm2d with these numbers for its channels."""
    norm = BatchNorm2d(len(weight), eps=0.0)
    norm.weight.data, norm.bias.data, norm.running_mean.data, norm.running_var.data = weight, bias, mean, var
    return norm


def test_unit_fold_batch_norm():
    norm = norm_with([2.0, -1.0], [1.0, 0.0], [0.5, -1.0], [4.0, 0.25])  # scales 1 and -2
    conv = Conv2d(2, 2, 1, stride=2, padding=1)
    conv.weight.data, conv.bias.data = [[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]], [10.0, 20.0]
    folded = fold_batch_norm(conv, norm)
    check_close(folded.weight[:, :, 0, 0], [[1, 2], [-6, -8]], "each kernel times the scale of its channel")
    check_close(folded.bias, [10.5, -42], "bias + scale * (bias of the convolution - running mean)")
    check((folded.stride, folded.padding) == (conv.stride, conv.padding), "the settings are those of the old layer")
    check_close(conv.weight[0, :, 0, 0], [1, 2], "the old layer stays as it was")
    norm = BatchNorm2d(1, eps=0.75)
    norm.running_var.data = [3.25]
    check_close(
        fold_batch_norm(Conv2d(1, 1, 1, bias=False), norm).bias, [0], "without a bias and a mean there is no shift"
    )
    conv = Conv2d(1, 1, 1)
    check_close(fold_batch_norm(conv, norm).weight, conv.weight.data / 2, "eps belongs to the variance")


test_unit_fold_batch_norm()

# %%
manual_seed(0)
conv, norm, x = (
    Conv2d(3, 4, 3, padding=1, bias=False),
    BatchNorm2d(4),
    Tensor(np.random.default_rng(0).normal(size=(8, 3, 9, 9))),
)
norm(conv(x))  # one batch of training fills the diary
print(
    "largest difference of two layers and one:",
    np.abs(norm.eval()(conv(x)).data - fold_batch_norm(conv, norm)(x).data).max(),
)

# %% [markdown]
# ## Summary
#
# - A convolution is a small template held against every place. It has few weights, looks at neighbours, and moves with
#   the image. How many places there are is one line, and most mistakes with it are off by one.
# - Nine slices reach all that a 3 x 3 kernel ever touches. So patches become columns, and seven loops become one
#   product, at the speed of the machine and at the price of memory.
# - What im2col copied, col2im adds. With that, the gradients of a convolution are those of a `Linear`.
# - The maximum hands its gradient to the first winner. A normalisation takes from the gradient what would only move
#   the mean or stretch the values.
# - Batch, group and layer norm differ in what they take together. Only batch norm lives two lives, and its diary
#   divides by n - 1.
#
# **Next.** Images have neighbours in two directions; a sentence has a before and an after. Module 10 builds networks
# that read in order, and remember.
