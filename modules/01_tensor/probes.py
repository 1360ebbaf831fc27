"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np


def refusal(kind, call, *inputs):
    """The text of the exception of that kind that `call(*inputs)` raises, or None where it raises none."""
    try:
        call(*inputs)
    except kind as error:
        return str(error)
    return None


def misses(text, words):
    """What is wrong with a message in which all the words should stand, or None."""
    missing = [word for word in words if word not in (text or "")]
    return f"the error's message should name {' and '.join(missing)}" if missing else None


def probe_01_1(tt, rng):
    """Values and types of what can arrive, that it is a copy, and refusals."""
    decimal, whole = rng.normal(size=(2, 2)).tolist(), rng.integers(2, 9, size=3).tolist()
    flags = (rng.random(3) < 0.5).tolist()
    arrays = {
        "a float64 array": rng.normal(size=3),
        "a float16 array": rng.normal(size=3).astype(np.float16),
        "an int32 array": rng.integers(-9, 9, size=3).astype(np.int32),
        "a uint8 array": rng.integers(2, 9, size=(2, 2)).astype(np.uint8),
        "a boolean array": rng.random(4) < 0.5,
    }
    source, changed = [rng.normal(size=2).astype(np.float32) for _ in range(2)]
    to_array = tt.core.tensor.to_array
    for name, data in (("decimal numbers", decimal), ("whole numbers", whole), ("booleans", flags)):
        got = to_array(data)
        yield f"a list of {name}", got, {"data": np.array(data)}
        yield f"type of a list of {name}", str(got.dtype), {"data": np.array(data)}
    for name, data in {"a number": decimal[0][0], **arrays}.items():
        got = to_array(data)
        yield name, got, {"data": data}
        yield f"type of {name}", str(got.dtype), {"data": data}
    for name, data, dtype in (
        ("a list as float64", decimal, np.float64),
        ("an int32 array as float32", arrays["an int32 array"], np.float32),
        ("a boolean array as int64", arrays["a boolean array"], np.int64),
        ("a list of whole numbers as int64", whole, np.int64),
    ):
        got = to_array(data, dtype)
        yield name, got, {"data": np.array(data), "dtype": np.dtype(dtype).name}
        yield f"type of {name}", str(got.dtype), {"data": np.array(data), "dtype": np.dtype(dtype).name}
    got = to_array(source)
    source[...] = changed
    yield "the array after what it was made from has changed", got, {"changed to": changed}
    for name, data in (("text", "three"), ("None in a list", [None]), ("complex numbers", [1j])):
        yield f"{name} is a TypeError", refusal(TypeError, to_array, data) is not None


def probe_01_2(tt, rng):
    """Shapes that fit, drawn at random, sizes of 0, and what the error names."""
    pairs = [((3, 4), (3, 4)), ((2, 1, 4), (5, 1)), ((4,), (3, 4)), ((2, 3), ()), ((0, 3), (1, 3)), ((1, 3), (0, 1))]
    for _ in range(20):
        full = rng.choice([0, 2, 3, 5], p=[0.1, 0.3, 0.3, 0.3], size=rng.integers(1, 5))
        a, b = (np.where(rng.random(full.size) < 0.4, 1, full)[rng.integers(0, full.size) :] for _ in range(2))
        pairs.append((tuple(a.tolist()), tuple(b.tolist())))
    (m, n), back = rng.choice(np.arange(11, 99), size=2, replace=False).tolist(), int(rng.integers(2, 4))
    behind = (7, 5, 6)[: back - 1]
    unfit = (8, m, *behind), (n, *behind)
    broadcast_shape = tt.core.tensor.broadcast_shape
    for number, (a, b) in enumerate(pairs):
        yield f"the shape for {a} and {b}, {number}", broadcast_shape(a, b), {"shape_a": a, "shape_b": b}
    yield "what its message should name", [str(m), str(n), str(-back)]
    case = {"shape_a": unfit[0], "shape_b": unfit[1]}
    yield "its message", refusal(ValueError, broadcast_shape, *unfit), case


def judge_01_2(student, reference, rng):
    return {"its message": misses(student.get("its message"), reference["what its message should name"])}


def probe_01_3(tt, rng):
    """Two matrices, of whole numbers too, stacks, a vector on the right, and what the error names."""
    whole = rng.integers(1, 9, size=(2, 2)), rng.integers(1, 9, size=(2, 2))
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
    wide, tall = rng.normal(size=(2, 1, 2, 3)), rng.normal(size=(4, 3, 2))
    unfit = [np.ones(size) for size in rng.choice(np.arange(11, 99), size=(3, 2), replace=False)]
    unfit[2] = np.ones(unfit[0].shape)
    matmul = tt.core.tensor.matmul
    for name, left, right in (
        ("whole numbers", *whole),
        ("two matrices", a[0], b[0]),
        ("two stacks", a, b),
        ("a stack and one matrix", a, b[0]),
        ("one matrix and a stack", a[0], b),
        ("stacks that broadcast", wide, tall),
        ("a vector on the right", a[0], b[0, :, 1]),
        ("a stack and a vector", a, b[0, :, 1]),
    ):
        yield name, matmul(left, right).numpy(), {"a": left, "b": right}
    for name, left, right in (("two shapes", *unfit[:2]), ("one shape twice", unfit[0], unfit[2])):
        case = {"shape of a": left.shape, "shape of b": right.shape}
        yield f"{name} that do not fit: what to name", [str(left.shape), str(right.shape)]
        yield f"{name} that do not fit: the message", refusal(ValueError, matmul, left, right), case


def judge_01_3(student, reference, rng):
    said = {}
    for name in ("two shapes that do not fit", "one shape twice that do not fit"):
        a, b = reference[f"{name}: what to name"]
        text = student.get(f"{name}: the message")
        is_short = a == b and (text or "").count(a) < 2
        said[f"{name}: the message"] = (
            f"the error's message should name {a} twice" if is_short else misses(text, [a, b])
        )
    return said


def probe_01_4(tt, rng):
    """Shapes with and without a size left out, drawn at random, none at all, and refusals."""
    cases = [(6, (3, 2)), (6, (-1, 2)), (24, (2, -1, 4)), (0, (-1, 3)), (0, (0, 3)), (1, ()), (5, (-1,))]
    for _ in range(10):
        shape = rng.integers(1, 7, size=rng.integers(1, 5)).tolist()
        size, place = int(np.prod(shape)), int(rng.integers(0, len(shape)))
        cases.append((size, tuple(-1 if d == place else n for d, n in enumerate(shape))))
    rows = int(rng.integers(2, 9))
    infer_shape = tt.core.tensor.infer_shape
    for number, (size, shape) in enumerate(cases):
        got, case = infer_shape(size, shape), {"size": size, "shape": shape}
        yield f"{size} values in {shape}, {number}", got, case
        yield f"whole sizes for {size} values, {number}", all(isinstance(n, int | np.integer) for n in got), case
    for size, shape in (
        (rows * 4 + 4, (rows, 4)),
        (rows * 5 + 1, (5, -1)),
        (rows * 6, (-1, -1)),
        (rows * 6, (-1, rows, -1)),
        (0, (0, -1)),
        (rows, (0, -1)),
        (rows, ()),
    ):
        case = {"size": size, "shape": shape}
        yield (
            f"{size} values in {shape}: a ValueError",
            refusal(ValueError, infer_shape, size, shape) is not None,
            case,
        )


def probe_01_5(tt, rng):
    """Two dimensions, stacks, negative and equal ones, and that the result is a view."""
    small, stack = rng.normal(size=(2, 3)), rng.normal(size=(2, 3, 4))
    cases = [(small, 0, 1), (stack, 1, 2), (stack, 0, 2), (stack, -3, -1), (stack, 1, 1), (stack, 0, 1)]
    for _ in range(5):
        ndim = int(rng.integers(2, 6))
        x = rng.normal(size=rng.integers(1, 5, size=ndim))
        cases.append((x, int(rng.integers(0, ndim)), -int(rng.integers(1, ndim + 1))))
    seen, changed = small.astype(np.float32), rng.normal(size=small.shape)
    transpose = tt.core.tensor.transpose
    for number, (x, dim0, dim1) in enumerate(cases):
        name = f"dims {dim0} and {dim1} of {x.ndim}, {number}"
        yield name, transpose(x, dim0=dim0, dim1=dim1).numpy(), {"x": x, "dim0": dim0, "dim1": dim1}
    y = transpose(seen, dim0=0, dim1=1)
    seen[...] = changed
    yield "the result after x has changed", y.numpy(), {"x": seen}


def dims_and_keepdim():
    return [(dim, keepdim) for dim in (1, 0, None, -1, (0, 2), (1, -1)) for keepdim in (False, True)]


def probe_01_6(tt, rng):
    """Rows, columns, all, and several dimensions at once, with keepdim and without."""
    whole, x = rng.integers(1, 9, size=(2, 3)), rng.uniform(1, 2, size=(2, 3, 4))
    reduce_mean = tt.core.tensor.reduce_mean
    for name, options in (("each row", {"dim": 1}), ("each column", {"dim": 0}), ("everything", {})):
        yield f"of {name}", reduce_mean(whole, **options).numpy(), {"x": whole, **options}
    for dim, keepdim in dims_and_keepdim():
        got = reduce_mean(x, dim=dim, keepdim=keepdim).numpy()
        yield f"dim={dim}, keepdim={keepdim}", got, {"x": x, "dim": str(dim), "keepdim": keepdim}


def probe_01_7(tt, rng):
    """Four numbers with each correction, the same far from 0, and every kind of dimension."""
    few = (rng.permutation([1, 2, 3, 4]) + rng.uniform(0, 0.3, size=4)).astype(np.float32)
    far = (few + np.float32(10_000)).astype(np.float32)
    x = rng.permuted(np.arange(24.0), axis=0).reshape(2, 3, 4) / 4 + rng.uniform(0, 0.1, size=(2, 3, 4))
    reduce_var = tt.core.tensor.reduce_var
    for correction in (0, 1, 2):
        got = reduce_var(few, correction=correction).numpy()
        yield f"of four numbers, correction={correction}", got, {"x": few, "correction": correction}
    yield "of four numbers", reduce_var(few).numpy(), {"x": few}
    yield "far from 0", reduce_var(far).numpy(), {"x": far}
    for dim, keepdim in dims_and_keepdim():
        case = {"x": x, "dim": str(dim), "keepdim": keepdim}
        yield f"dim={dim}, keepdim={keepdim}", reduce_var(x, dim=dim, keepdim=keepdim).numpy(), case
    got = reduce_var(x, dim=-1, keepdim=True, correction=0).numpy()
    yield "dim=-1, keepdim, no correction", got, {"x": x, "dim": -1, "keepdim": True, "correction": 0}


def probe_01_8(tt, rng):
    """Pieces of unequal length along each dimension, empty ones, types that differ, and new memory."""
    a, b = rng.integers(1, 9, size=(2, 2)), rng.integers(1, 9, size=(1, 2))
    c, changed = rng.uniform(1, 2, size=(1, 2)), rng.integers(10, 20, size=(2, 2))
    pieces = {}
    for dim in (0, 1, 2, -1, -2):
        shapes = [[2, 3, 4] for _ in range(3)]
        for shape, n in zip(shapes, rng.permutation([1, 3, 4]), strict=True):
            shape[dim] = n
        pieces[dim] = [rng.normal(size=shape) for shape in shapes]
    join = tt.core.tensor.join
    yield "rows below rows", join(a, b).numpy(), {"a": a, "b": b}
    yield "columns beside columns", join(a, b.T, b.T, dim=1).numpy(), {"a": a, "b": b.T, "c": b.T}
    for dim, arrays in pieces.items():
        case = {f"array {i}": array for i, array in enumerate(arrays)}
        yield f"three along dim={dim} of three", join(*arrays, dim=dim).numpy(), {**case, "dim": dim}
    yield "one piece", join(c).numpy(), {"a": c}
    yield "with an empty piece", join(a, np.zeros((0, 2), np.int64)).numpy(), {"a": a}
    mixed, case = join(b, c), {"a": b, "b": c}
    yield "whole and decimal numbers", mixed.numpy(), case
    yield "type of whole and decimal numbers", str(mixed.dtype), case
    yield "type of whole numbers", str(join(a, b).dtype), {"a": a, "b": b}
    for name, dim in (("one piece", 0), ("two pieces", 1)):
        arrays = [a.copy()] if name == "one piece" else [a.copy(), b.T]
        got = join(*arrays, dim=dim)
        arrays[0][...] = changed
        yield f"the result for {name} after the first has changed", got.numpy(), {"a": a, "changed to": changed}
