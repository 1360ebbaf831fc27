"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np


def raised(call, kind):
    """Whether `call()` raises an exception of this kind."""
    try:
        call()
    except kind:
        return True
    return False


def tensor(tt, array, requires_grad=False):
    """A copy of the array as a float64 Tensor, None as None."""
    return None if array is None else tt.Tensor(array, requires_grad=requires_grad, dtype=np.float64)


class Case:
    """A window with random settings, and how many images, channels and kernels there are: N, C, OC."""

    def __init__(self, rng, word, size, kernel, counts=None, **options):
        self.word, self.size, self.kernel, self.options = word, size, kernel, options
        self.N, self.C, self.OC = counts or (int(n) for n in rng.permutation([1, 2, 3]))
        pairs = [options.get(name, usual) for name, usual in (("stride", (1, 1)), ("padding", (0, 0)),
                                                              ("dilation", (1, 1)))]  # fmt: skip
        self.out = tuple(
            len(range(0, n + 2 * p - d * (k - 1), s)) for n, k, s, p, d in zip(size, kernel, *pairs, strict=True)
        )
        self.shown = {"size": np.array(size), "kernel": np.array(kernel)}
        self.shown |= {name: np.array(value) for name, value in options.items()}
        self.images, self.weight = (self.N, self.C, *size), (self.OC, self.C, *kernel)
        self.columns = (self.out[0], self.C * kernel[0] * kernel[1], self.out[1] * self.N)

    def window(self, tt):
        return tt.core.spatial.Window(self.size, self.kernel, **self.options)


def draw_cases(rng):
    """Windows of all settings, the smallest first."""

    def draw(low, high):
        return tuple(int(n) for n in rng.integers(low, high, size=2))

    return [
        Case(rng, "a small window", (2, 3), (2, 2), counts=(1, 1, 1)),
        Case(rng, "a wide window", draw(4, 6), (2, 3), counts=tuple(int(n) for n in rng.permutation([2, 3, 4]))),
        Case(rng, "a stride", draw(5, 7), (3, 2), stride=draw(2, 4)),
        Case(rng, "a frame", draw(3, 5), (2, 3), padding=(1, 2)),
        Case(rng, "dilation", draw(5, 7), (3, 2), dilation=(2, 3)),
        Case(rng, "all of these", draw(5, 8), (2, 3), stride=(2, 3), padding=draw(1, 3), dilation=draw(2, 4)),
    ]


def probe_09_1(tt, rng):
    """Places of a window by all settings, one at a time and together, and where it does not fit."""
    size, kernel, dilation = int(rng.integers(20, 40)), int(rng.integers(2, 6)), int(rng.integers(2, 4))
    stride, padding = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    output_size = tt.core.spatial.output_size
    for options in (
        {},
        {"stride": stride},
        {"padding": padding},
        {"dilation": dilation},
        {"stride": stride, "padding": padding, "dilation": dilation},
    ):
        word = ", ".join(options) or "nothing else"
        found = np.array([output_size(n, kernel, **options) for n in range(size, size + 6)])
        yield f"places by {word}", found, {"sizes": np.arange(size, size + 6), "kernel": kernel, **options}
    for n in (kernel, kernel + 1):
        yield (
            f"places in {n - kernel} pixels more than the kernel",
            output_size(n, kernel),
            {"size": n, "kernel": kernel},
        )
    by_place = output_size(size, kernel, stride, padding, dilation)
    yield "settings by their place", by_place, {"size": size, "kernel": kernel, "stride": stride, "padding": padding}
    given = {"size": kernel, "kernel": kernel + 2}
    yield "whether a place is left where the kernel does not fit", bool(output_size(kernel, kernel + 2) > 0), given


def probe_09_2(tt, rng):
    """Columns of images under windows of all settings, and of float32."""
    cases = draw_cases(rng)
    images = [rng.normal(size=(case.size[0], case.C, case.size[1], case.N)) for case in cases]
    im2col = tt.core.spatial.im2col
    for case, x in zip(cases, images, strict=True):
        before = x.copy()
        yield f"columns with {case.word}", im2col(x, case.window(tt)), {"x": before, **case.shown}
        yield f"the images afterwards, with {case.word}", x, {"x": before, **case.shown}
    for case, x in zip(cases, images, strict=True):
        columns = im2col(x.astype(np.float32), case.window(tt))
        yield f"the type of columns of float32, with {case.word}", str(columns.dtype), case.shown


def probe_09_3(tt, rng):
    """Columns brought back to the pixels under windows of all settings, and of float32."""
    cases = draw_cases(rng)
    draws = [rng.uniform(0.5, 1.5, size=case.columns) for case in cases]
    col2im = tt.core.spatial.col2im
    for case, columns in zip(cases, draws, strict=True):
        before = columns.copy()
        yield f"pixels with {case.word}", col2im(columns, case.window(tt)), {"columns": before, **case.shown}
        yield f"the columns afterwards, with {case.word}", columns, {"columns": before, **case.shown}
    for case, columns in zip(cases, draws, strict=True):
        pixels = col2im(columns.astype(np.float32), case.window(tt))
        yield f"the type of pixels of float32, with {case.word}", str(pixels.dtype), case.shown


def draw_convolutions(rng):
    """Cases, each with images (N, C, H, W), kernels and a bias."""
    cases = draw_cases(rng)
    shapes = [(case.images, case.weight, (case.OC,)) for case in cases]
    return [(case, [rng.normal(size=shape) for shape in three]) for case, three in zip(cases, shapes, strict=True)]


def probe_09_4(tt, rng):
    """Convolutions with all settings, with a bias and without, and the columns that are kept."""
    cases = draw_convolutions(rng)
    conv2d, rules = tt.core.spatial.conv2d, tt.core.tensor.autograd.rules
    for case, arrays in cases:
        given = dict(zip(("x", "weight", "bias"), arrays), **case.shown)
        tensors = [tensor(tt, array) for array in arrays]
        yield f"a convolution with {case.word}", conv2d(*tensors, **case.options).numpy(), given
        yield f"what was given, with {case.word}", [x.numpy() for x in tensors], given
        without = conv2d(*tensors[:2], **case.options)
        yield f"a convolution without a bias, with {case.word}", without.numpy(), given
    x, weight, bias = cases[1][1]
    given = {"x": x, "weight": weight, "bias": bias}
    narrow = conv2d(*(tt.Tensor(array) for array in (x, weight, bias)))
    yield "a convolution of float32", narrow.numpy(), given
    yield "the type of a convolution of float32", str(narrow.dtype), given
    yield "a convolution of no images", conv2d(tt.Tensor(x[:0]), tt.Tensor(weight)).numpy(), given
    wide = np.concatenate([weight, weight], axis=1)
    fails = raised(lambda: conv2d(tt.Tensor(x), tt.Tensor(wide)), ValueError)
    yield "another number of channels is an error", fails, {"x": x, "weight": wide}

    seen, rule = [], rules["convolve"]

    def note(g, columns, *inputs, **options):
        seen.append(columns)
        return inputs  # of the right shapes; nobody looks at them

    try:
        rules["convolve"] = note
        for case, (x, weight, _) in cases:
            conv2d(tensor(tt, x, True), tensor(tt, weight), **case.options).sum().backward()
    finally:
        rules["convolve"] = rule
    yield "the columns that the backward rule is given", seen, {"x": cases[0][1][0], **cases[0][0].shown}


def columns_of(x, window):
    """All patches of images (N, C, H, W) as columns (OH, C * KH * KW, OW * N), by views that slide."""
    (p, q), (KH, KW), (s, t), (d, e) = window.padding, window.kernel, window.stride, window.dilation
    around = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    extent = d * (KH - 1) + 1, e * (KW - 1) + 1
    patches = np.lib.stride_tricks.sliding_window_view(around, extent, axis=(2, 3))[:, :, ::s, ::t, ::d, ::e]
    N, C, OH, OW, _, _ = patches.shape
    return patches.transpose(2, 1, 4, 5, 3, 0).reshape(OH, C * KH * KW, OW * N)


def probe_09_5(tt, rng):
    """Gradients of convolutions with all settings in the image, the kernels and the bias."""
    cases = draw_convolutions(rng)
    arriving = [rng.normal(size=(case.N, case.OC, *case.out)) for case, _ in cases]
    convolve_rule = tt.core.spatial.convolve_rule
    for (case, (x, weight, bias)), g in zip(cases, arriving, strict=True):
        window = case.window(tt)
        columns = columns_of(x, window)
        given = {"g": g, "x": x, "weight": weight, **case.shown}
        for_x, for_weight, for_bias = convolve_rule(g, columns, x, weight, bias, window=window)
        yield f"the gradient in the bias, with {case.word}", for_bias(), given
        yield f"the gradient in the kernels, with {case.word}", for_weight(), given
        yield f"the gradient in the images, with {case.word}", for_x(), given
        for_x, for_weight, *_ = convolve_rule(g, columns, x, weight, window=window)
        yield f"gradients without a bias, with {case.word}", [for_x(), for_weight()], given


def probe_09_6(tt, rng):
    """Gradients through the largest pixel: windows side by side, overlapping, in a frame, dilated, and with ties."""
    small, g_small = rng.normal(size=(1, 1, 2, 4)), rng.uniform(0.5, 1.5, size=(1, 1, 1, 2))
    x, g = rng.normal(size=(2, 3, 6, 5)), rng.uniform(0.5, 1.5, size=(2, 3, 8, 8))
    equal = rng.integers(0, 2, size=(2, 2, 4, 4)) * rng.uniform(1.0, 2.0)
    cases = [
        ("side by side", small, g_small, 2, {}),
        ("below zero", small - 10.0, g_small, 2, {}),
        ("that overlap", x, g, (2, 3), {"stride": 1}),
        ("in a frame, below zero", x - 10.0, g, (3, 2), {"stride": 2, "padding": 1}),
        ("that are dilated", x, g, 2, {"stride": (1, 2), "dilation": (2, 3)}),
        ("that leave pixels out", x, g, 2, {"stride": 3}),
        ("with equal pixels", equal, g[:, :2], 2, {}),
        ("with equal pixels, that overlap", equal, g[:, :2], 3, {"stride": 1, "padding": 1}),
        ("of zeros", np.zeros((1, 1, 4, 4)), g[:1, :1], 2, {}),
    ]
    for word, x, g, kernel, options in cases:
        images = tensor(tt, x, True)
        y = tt.core.spatial.max_pool2d(images, kernel, **options)
        g = g[:, :, : y.shape[2], : y.shape[3]]
        y.backward(tensor(tt, g))
        given = {"x": x, "g": g, "kernel_size": kernel, **options}
        given = {name: np.array(value) for name, value in given.items()}
        yield f"the gradient through windows {word}", images.grad.numpy(), given


def probe_09_7(tt, rng):
    """Gradients through rows that were standardised: one row, several, long ones, and with a large eps."""
    cases = [
        ("one row", rng.normal(size=(1, 3)), rng.normal(size=(1, 3)), 1e-5),
        ("several rows", rng.normal(2.0, 3.0, size=(3, 5)), rng.normal(size=(3, 5)), 1e-5),
        ("many rows of two", rng.normal(size=(6, 2)), rng.normal(1.0, size=(6, 2)), 0.1),
        ("long rows", rng.normal(size=(2, 40)), rng.normal(1.0, size=(2, 40)), 1e-5),
        ("a large eps", rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.uniform(0.5, 1.0)),
        ("as many rows as columns", rng.normal(size=(4, 4)), rng.normal(size=(4, 4)), 0.1),
    ]
    spatial = tt.core.spatial
    for word, rows, g, eps in cases:
        z, s, _, _ = spatial.standardise(rows, eps)
        before = [array.copy() for array in (g, z, s)]
        given = dict(zip(("g", "z", "s"), before))
        yield f"the gradient of {word}", spatial.standardise_rule(g, z, s), given
        yield f"what was given for {word}", [g, z, s], given


def probe_09_8(tt, rng):
    """Batch norm while training, twice and with another momentum, and in use with its gradients."""
    shapes = {"values": (4, 2), "maps": (3, 2, 2, 3), "one image": (1, 3, 2, 2)}
    draws = {
        word: (
            rng.normal(1.0, 2.0, size=shape),
            rng.normal(size=shape[1]),
            rng.uniform(0.5, 2.0, size=shape[1]),
            rng.uniform(0.5, 2.0, size=shape[1]),
            rng.normal(size=shape[1]),
            rng.uniform(0.5, 1.5, size=shape),
        )
        for word, shape in shapes.items()
    }
    momentum, eps = rng.uniform(0.2, 0.6), rng.uniform(0.01, 0.1)
    batch_norm = tt.core.spatial.batch_norm
    names = ("x", "running_mean", "running_var", "weight", "bias", "g")
    for word, arrays in draws.items():
        given = dict(zip(names[:5], arrays[:5]))
        x, mean, var, weight, bias = (tensor(tt, array) for array in arrays[:5])
        yield f"{word}, training", batch_norm(x, mean, var, training=True).numpy(), given
        yield f"running mean and variance after {word}", [mean.numpy().copy(), var.numpy().copy()], given
        options = {"momentum": momentum, "eps": eps}
        y = batch_norm(x, mean, var, weight, bias, True, momentum, eps)
        yield f"{word}, training again, with scale and shift", y.numpy(), {**given, **options}
        again = [mean.numpy().copy(), var.numpy().copy()]
        yield f"running mean and variance after {word} again", again, {**given, **options}
        x, mean, var = (tensor(tt, array) for array in arrays[:3])
        yield f"{word}, in use", batch_norm(x, mean, var).numpy(), given
        yield f"{word}, in use, only a scale", batch_norm(x, mean, var, weight).numpy(), given
        yield f"{word}, in use, only a shift", batch_norm(x, mean, var, bias=bias).numpy(), given
        x, weight, bias = (tensor(tt, arrays[i], True) for i in (0, 3, 4))
        y = batch_norm(x, mean, var, weight, bias, eps=eps)
        yield f"{word}, in use, with scale and shift", y.numpy(), {**given, "eps": eps}
        y.backward(tensor(tt, arrays[5]))
        gradients = [t.grad.numpy() for t in (x, weight, bias)]
        yield f"gradients of {word}, in use", gradients, {**given, "eps": eps, "g": arrays[5]}
        yield f"running mean and variance after use on {word}", [mean.numpy(), var.numpy()], given
        on_graph = batch_norm(x, mean, var, weight, bias, training=True).requires_grad
        yield f"whether {word}, training, have a gradient", on_graph, given
    x, mean, var = (tensor(tt, array) for array in draws["one image"][:3])
    one = tensor(tt, draws["one image"][0][:, :, 0, 0])
    fails = raised(lambda: batch_norm(one, mean, var, training=True), ValueError)
    yield "one value for each channel while training is an error", fails, {"x": one.numpy()}
    yield "one value for each channel in use", batch_norm(one, mean, var).numpy(), {"x": one.numpy()}
    fails = raised(lambda: batch_norm(tensor(tt, draws["maps"][0]), mean, var), ValueError)
    yield "another number of channels is an error", fails, {"x": draws["maps"][0]}
