"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np


def strictly(f, *inputs, **options):
    """`f(*inputs, **options)`, in which an overflow, a division by zero or a nan made on the way is an error."""
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        return f(*inputs, **options).numpy()


def same_digits(student, reference, name):
    """`{name: what is wrong with these float64 values, or None}`: twelve digits are asked of them."""
    got, expected = student.get(name), reference[name]
    is_same = getattr(got, "shape", None) == expected.shape and np.allclose(got, expected, rtol=1e-12, atol=0)
    return {name: None if is_same else "the digits of float64 are not kept"}


def of_both_signs(rng):
    """A table (2, 3) in which at least one number is positive, and one negative."""
    values = rng.normal(size=(2, 3))
    values.flat[rng.permutation(6)[:2]] = rng.uniform([-2, 1], [-1, 2])
    return values


def probe_02_1(tt, rng):
    """Values of both signs, infinities and nan, a single number, and the input afterwards."""
    values, number = of_both_signs(rng), -rng.uniform(1, 9)
    relu = tt.core.activations.relu
    x = tt.Tensor(values)
    yield "a table", relu(x).numpy(), {"x": values}
    yield "the input afterwards", x.numpy(), {"x": values}
    yield "a negative number", relu(tt.Tensor(number)).numpy(), {"x": number}
    yield "zero", relu(tt.Tensor(0.0)).numpy(), {"x": 0.0}
    with np.errstate(all="ignore"):
        yield "infinities", relu(tt.Tensor([-np.inf, np.inf])).numpy(), {"x": np.array([-np.inf, np.inf])}
        yield "nan beside a number", relu(tt.Tensor([np.nan, number])).numpy(), {"x": np.array([np.nan, number])}


def probe_02_2(tt, rng):
    """Slopes below and above 1, a negative one, and the one that stands in the signature."""
    values, number = of_both_signs(rng), rng.uniform(1, 9)
    slopes = {"below 1": rng.uniform(0.05, 0.5), "above 1": rng.uniform(1.5, 3), "negative": rng.uniform(-2, -0.5)}
    leaky_relu = tt.core.activations.leaky_relu
    x = tt.Tensor(values)
    for name, slope in slopes.items():
        got = leaky_relu(x, negative_slope=slope).numpy()
        yield f"a slope {name}", got, {"x": values, "negative_slope": slope}
    yield "the slope of the signature", leaky_relu(x).numpy(), {"x": values}
    yield "the input afterwards", x.numpy(), {"x": values}
    yield "nan beside a number", leaky_relu(tt.Tensor([np.nan, number])).numpy(), {"x": np.array([np.nan, number])}


def probe_02_3(tt, rng):
    """Values of both signs, the digits of float64, and numbers far out, at which nothing may overflow."""
    values, wide, far = rng.uniform(-3, 3, size=(2, 2)), rng.uniform(-20, 20, size=20), rng.uniform(800, 2000)
    values[0] = np.abs(values[0])
    sigmoid = tt.core.activations.sigmoid
    yield "a table", sigmoid(tt.Tensor(values)).numpy(), {"x": values}
    yield "numbers from -20 to 20", sigmoid(tt.Tensor(wide)).numpy(), {"x": wide}
    yield "float64", sigmoid(tt.Tensor(values, dtype=np.float64)).numpy(), {"x": values}
    for dtype in (np.float32, np.float64):
        x = np.array([-far, 0, far])
        yield f"far out in {np.dtype(dtype).name}", strictly(sigmoid, tt.Tensor(x, dtype=dtype)), {"x": x}


def judge_02_3(student, reference, rng):
    return same_digits(student, reference, "float64")


def probe_02_4(tt, rng):
    """Values of both signs, numbers next to 0, and numbers far out, up to where nothing may overflow."""
    values, near, border = rng.uniform(-3, 3, size=(2, 2)), rng.uniform(1e-7, 1e-6, size=4), rng.uniform(10.8, 11.5)
    values[0], far = np.abs(values[0]), rng.uniform(800, 2000)
    tanh = tt.core.activations.tanh
    yield "a table", tanh(tt.Tensor(values)).numpy(), {"x": values}
    near[::2] *= -1
    yield "next to 0, times 1e6", tanh(tt.Tensor(near)).numpy() * 1e6, {"x": near}
    for dtype in (np.float32, np.float64):
        x = np.array([-far, 0, far])
        yield f"far out in {np.dtype(dtype).name}", strictly(tanh, tt.Tensor(x, dtype=dtype)), {"x": x}
    missing = 1 - tanh(tt.Tensor([border], dtype=np.float64)).numpy()
    yield "in float64, 1 less tanh, times 1e9", missing * 1e9, {"x": np.array([border])}


def probe_02_5(tt, rng):
    """Values, the tanh that the receipt keeps, its type, the digits of float64, and numbers far out."""
    values, wide, far = rng.uniform(-2, 3, size=(2, 2)), rng.uniform(-6, 6, size=20), rng.uniform(800, 1200)
    values[0] = np.abs(values[0])
    gelu = tt.core.activations.gelu
    y = gelu(tt.Tensor(values, requires_grad=True))
    yield "a table", y.numpy(), {"x": values}
    yield "what the receipt keeps", y.receipt.saved, {"x": values}
    yield "type of what the receipt keeps", str(y.receipt.saved.dtype), {"x": values}
    yield "numbers from -6 to 6", gelu(tt.Tensor(wide)).numpy(), {"x": wide}
    yield "float64", gelu(tt.Tensor(values, dtype=np.float64)).numpy(), {"x": values}
    yield "far out", strictly(gelu, tt.Tensor([-far, 0.0, far])), {"x": np.array([-far, 0, far])}


def judge_02_5(student, reference, rng):
    return same_digits(student, reference, "float64")


def along_dimensions(f, tt, tables, number):
    """What softmax and its logarithm have in common: tables of several dimensions, heights, and a single score."""
    small, cube, heights = tables
    yield "each row", f(tt.Tensor(small)).numpy(), {"x": small}
    yield "each column", f(tt.Tensor(small), dim=0).numpy(), {"x": small, "dim": 0}
    for dim in (0, 1, 2, -2):
        yield f"dim={dim} of three", f(tt.Tensor(cube), dim=dim).numpy(), {"x": cube, "dim": dim}
    far_below = np.array([0, 0, 0, -60])  # where float32 holds scores near 100, it knows no digit behind 1e-5
    narrow = small + heights / 10 + far_below
    for name, x, dtype in (("float32", narrow, np.float32), ("float64", small + heights, np.float64)):
        yield f"rows of very different height in {name}", strictly(f, tt.Tensor(x, dtype=dtype)), {"x": x}
    far = np.array([-1000.0, number, 1000.0])
    yield "scores from -1000 to 1000", strictly(f, tt.Tensor(far)), {"x": far}
    yield "a single score", f(tt.Tensor(number)).numpy(), {"x": number}


def draw_tables(rng):
    heights = rng.permutation([[-1100.0], [0.0], [1100.0]])
    return rng.uniform(-4, 4, size=(3, 4)), rng.uniform(-4, 4, size=(2, 3, 4)), heights


def probe_02_6(tt, rng):
    """Tables along each dimension, rows of very different height, and scores that would overflow."""
    tables, number = draw_tables(rng), rng.uniform(1, 9)
    yield from along_dimensions(tt.core.activations.softmax, tt, tables, number)


def probe_02_7(tt, rng):
    """The same as for softmax, and scores whose probability is 0 to the last digit."""
    tables, number = draw_tables(rng), rng.uniform(1, 9)
    low = rng.uniform([-600, -1, 900], [-400, 1, 1100])
    log_softmax = tt.core.activations.log_softmax
    yield from along_dimensions(log_softmax, tt, tables, number)
    yield "a tiny probability", strictly(log_softmax, tt.Tensor(low)), {"x": low}
