"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import numpy as np


def refusal(kind, call, *inputs):
    """The text of the exception of that kind that `call(*inputs)` raises, or None where it raises none."""
    try:
        call(*inputs)
    except kind as error:
        return str(error)
    return None


def strictly(f, *inputs):
    """`f(*inputs)`, in which an overflow, a division by zero or a nan made on the way is an error."""
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        return f(*inputs)


def slopes(tt, loss, x, h=1e-5):
    """Slope of `loss`, Tensor to Tensor of shape (), in every element of the vector `x`, by differences in float64."""
    found = []
    for step in h * np.eye(len(x)):
        ends = [loss(tt.Tensor(x + move, dtype=np.float64)).item() for move in (step, -step)]
        found.append((ends[0] - ends[1]) / (2 * h))
    return np.array(found)


def same_digits(student, reference, name):
    """`{name: what is wrong with this float64 value, or None}`: nine digits are asked of it."""
    got, expected = student.get(name), reference[name]
    is_same = getattr(got, "shape", None) == expected.shape and np.allclose(got, expected, rtol=1e-9, atol=0)
    return {name: None if is_same else "the digits of float64 are not kept"}


def probe_04_1(tt, rng):
    """Numbers in a table, a list, equal ones, what went in afterwards, refusals, and slopes in float64."""
    predictions, targets = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    number, (x, y) = rng.uniform(1, 9), rng.normal(size=(2, 3))
    loss = tt.core.losses.mean_squared_error
    p, t = tt.Tensor(predictions), tt.Tensor(targets)
    case = {"predictions": predictions, "targets": targets}
    yield "a list of one target", loss(tt.Tensor([number]), [1]).numpy(), {"predictions": [number], "targets": [1]}
    yield "a table", loss(p, t).numpy(), case
    yield "what went in afterwards", [p.numpy(), t.numpy()], case
    yield "what is right costs nothing", loss(t, t).numpy(), {"predictions": targets, "targets": targets}
    yield (
        "unequal shapes are a ValueError",
        refusal(ValueError, loss, tt.Tensor([[1.0], [2.0]]), [1.0, 2.0]) is not None,
    )
    yield (
        "an empty batch is a ValueError",
        refusal(ValueError, loss, tt.Tensor(np.zeros((0, 3))), np.zeros((0, 3))) is not None,
    )
    yield "slopes in float64", slopes(tt, lambda x: loss(x, y), x), {"predictions": x, "targets": y}


def probe_04_2(tt, rng):
    """A few rows, twice the same class, more classes than rows, certainty, and that the graph is kept."""
    tables = [rng.uniform(0.1, 1, size=shape) for shape in ((2, 3), (4, 3), (3, 5))]
    tables = [np.log(p / p.sum(axis=1, keepdims=True)) for p in tables]
    indices = [rng.permutation(3)[:2], rng.integers(0, 3, size=4), rng.integers(0, 5, size=3)]
    gap = rng.uniform(100, 300)
    loss_of = tt.core.losses.negative_log_likelihood
    for number, (table, right) in enumerate(zip(tables, indices, strict=True)):
        loss, case = (
            loss_of(tt.Tensor(table, requires_grad=True), right),
            {"log_probabilities": table, "indices": right},
        )
        yield f"{table.shape[0]} rows of {table.shape[1]}", loss.numpy(), case
        if number == 0:
            yield (
                "whether it is a Tensor with a receipt",
                isinstance(loss, tt.Tensor) and loss.receipt is not None,
                case,
            )
    same = np.full(2, indices[0][0])
    got = loss_of(tt.Tensor(tables[0]), same).numpy()
    yield "twice the same class", got, {"log_probabilities": tables[0], "indices": same}
    sure = np.array([[0, -gap], [-gap, 0]])
    pair = [loss_of(tt.Tensor(sure), np.array(right)).item() for right in ([0, 1], [1, 0])]
    yield "certain, and right or wrong", np.array(pair), {"log_probabilities": sure}


def probe_04_3(tt, rng):
    """Whole numbers of several types, and each way in which a label may be wrong, with what the error names."""
    classes, rows = int(rng.integers(30, 90)), 20
    labels, row = rng.integers(0, classes, size=rows), int(rng.integers(11, 17))
    between = int(rng.integers(1, classes - 1)) + 0.25 * int(rng.integers(1, 4))
    bad = {
        "far too large": (classes + int(rng.integers(100, 200)), classes),
        "equal to the number of classes": (classes, -1),
        "negative": (-int(rng.integers(1, classes)), classes),
        "between two classes": (between, 0.5),
        "nan": (np.nan, -1.0),
        "infinity": (np.inf, -1.0),
    }
    class_indices = tt.core.losses.class_indices
    for name, targets in (
        ("a list", labels[:3].tolist()),
        ("whole float32 numbers", labels.astype(np.float32)),
        ("float64 numbers", labels.astype(np.float64)),
        ("uint8 numbers", labels.astype(np.uint8)),
        ("first and last class", np.array([0, classes - 1])),
    ):
        got, case = class_indices(targets, classes), {"targets": np.array(targets), "classes": classes}
        yield name, got, case
        yield f"type for {name}", str(got.dtype), case
    for name, (first, second) in bad.items():
        targets = labels.astype(np.result_type(type(first)))
        targets[row], targets[row + 2] = first, second
        case = {"targets": targets, "classes": classes}
        yield f"{name}: what to name", [str(first), str(row), str(classes)]
        yield f"{name}: the message", refusal(ValueError, class_indices, targets, classes), case


def judge_04_3(student, reference, rng):
    said = {}
    for name in [name for name in reference if name.endswith(": the message")]:
        words, text = reference[name.replace("the message", "what to name")], student.get(name) or ""
        missing = [word for word in words if word not in text]
        said[name] = f"the error's message should name {' and '.join(missing)}" if missing else None
    return said


HEIGHTS = np.array([[1000.0], [0.0], [-1000.0]])


def probe_04_4(tt, rng):
    """Small rows, float64, rows of very different height, a gap beyond any exponential, and the logits afterwards."""
    logits, right = rng.uniform(-2, 2, size=(2, 3)).astype(np.float32), rng.permutation(3)[:2]
    exact, classes = rng.normal(size=(5, 4)) * 3, rng.integers(0, 4, size=5)
    high, low_or_high = (rng.uniform(-2, 2, size=(3, 4)) + HEIGHTS).astype(np.float32), rng.integers(0, 4, size=3)
    wide = np.array([[0, rng.uniform(300, 600)]], dtype=np.float32)
    before = logits.copy()
    f = tt.core.losses.index_cross_entropy
    loss, p = f(logits, right)
    case = {"logits": before, "indices": right}
    yield "loss of two rows", loss, case
    yield "p of two rows", p, case
    yield "the logits afterwards", logits, case
    yield "types of loss and p for float32", [str(loss.dtype), str(p.dtype)], case
    loss, p = f(exact, classes)
    yield "loss in float64", loss, {"logits": exact, "indices": classes}
    yield "p in float64", p, {"logits": exact, "indices": classes}
    loss, p = strictly(f, high, low_or_high)
    yield "loss of rows of very different height", loss, {"logits": high, "indices": low_or_high}
    yield "p of rows of very different height", p, {"logits": high, "indices": low_or_high}
    pair = [strictly(f, wide, np.array([k]))[0] for k in (0, 1)]
    yield "losses of a row with a wide gap", np.array(pair), {"logits": wide}


def judge_04_4(student, reference, rng):
    return same_digits(student, reference, "loss in float64")


def probe_04_5(tt, rng):
    """Shares that add up to 1 and others, float64, heights, a wide gap, and what went in afterwards."""
    logits, shares = rng.uniform(-2, 2, size=(2, 3)).astype(np.float32), rng.uniform(0.1, 1, size=(2, 3))
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    exact, weights = rng.normal(size=(5, 4)) * 3, rng.uniform(0.1, 2, size=(5, 4))
    high, of_high = (rng.uniform(-2, 2, size=(3, 4)) + HEIGHTS).astype(np.float32), rng.uniform(0.1, 1, size=(3, 4))
    wide = np.array([[0, 0, -rng.uniform(300, 600)]] * 2, dtype=np.float32)
    before = logits.copy(), shares.copy()
    f = tt.core.losses.soft_cross_entropy
    loss, p = f(logits, shares)
    case = {"logits": before[0], "shares": before[1]}
    yield "loss of two rows", loss, case
    yield "p of two rows", p, case
    yield "logits and shares afterwards", [logits, shares], case
    yield "types of loss and p for float32", [str(loss.dtype), str(p.dtype)], case
    yield "loss for twice the shares", f(before[0], 2 * before[1])[0], {"logits": before[0], "shares": 2 * before[1]}
    yield "loss in float64, for weights", f(exact, weights)[0], {"logits": exact, "shares": weights}
    case = {"logits": high, "shares": of_high.astype(np.float32)}
    loss, p = strictly(f, high, of_high.astype(np.float32))
    yield "loss of rows of very different height", loss, case
    yield "p of rows of very different height", p, case
    loss, p = strictly(f, wide, before[1])
    yield "loss of rows with a wide gap", loss, {"logits": wide, "shares": before[1]}
    yield "p of rows with a wide gap", p, {"logits": wide, "shares": before[1]}


def probe_04_6(tt, rng):
    """Labels and shares, a single answer, refusals, logits far out and close to certain, and slopes in float64."""
    logits, shares = rng.normal(size=(2, 2)), rng.uniform(0.1, 0.9, size=(2, 2))
    shares[0] = rng.permutation([0.0, 1.0])
    number, far, x = -rng.uniform(1, 4), rng.uniform(200, 1000, size=2), rng.uniform(0.5, 2, size=2) * [1, -1]
    near = -rng.uniform(15, 20, size=3)
    loss = tt.core.losses.binary_cross_entropy_with_logits

    def each(x, y):
        return np.array([strictly(loss, tt.Tensor([v]), [w]).item() for v, w in zip(x, y, strict=True)])

    yield "a single answer", loss(tt.Tensor(number), 0).numpy(), {"logits": number, "targets": 0}
    yield "a table", loss(tt.Tensor(logits), tt.Tensor(shares)).numpy(), {"logits": logits, "targets": shares}
    yield (
        "in three dimensions",
        loss(tt.Tensor(logits[None]), tt.Tensor(shares[None])).numpy(),
        {"logits": logits[None]},
    )
    for bad in (1.5, -0.25, np.nan):
        yield (
            f"a label {bad} is a ValueError",
            refusal(ValueError, loss, tt.Tensor(logits), [[1, 0], [1, bad]]) is not None,
        )
    yield "unequal shapes are a ValueError", refusal(ValueError, loss, tt.Tensor(logits), [1, 0]) is not None
    signs = np.array([1, -1, 1, -1])
    x_far = signs * np.repeat(far, 2)
    yield "far out, wrong twice and right twice", each(x_far, [0, 1, 1, 0]), {"logits": x_far}
    yield "close to certain, times 1e7", each(near, [0, 0, 0]) * 1e7, {"logits": near, "targets": [0, 0, 0]}
    yield "slopes in float64", slopes(tt, lambda x: loss(x, [1, 0]), x), {"logits": x, "targets": [1, 0]}
