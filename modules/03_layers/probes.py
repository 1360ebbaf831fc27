"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import math

import numpy as np


def refusal(kind, call, *inputs):
    """The text of the exception of that kind that `call(*inputs)` raises, or None where it raises none."""
    try:
        call(*inputs)
    except kind as error:
        return str(error)
    return None


# --- judges of random numbers ---


def kolmogorov(values, cdf):
    """None if the values can be drawn from the distribution `cdf`, else what is wrong; errs once in a billion times."""
    values = np.sort(np.ravel(values).astype(np.float64))
    n, expected = len(values), cdf(values)
    largest = max((np.arange(1, n + 1) / n - expected).max(), (expected - np.arange(n) / n).max())
    return None if math.sqrt(n) * largest < 3.3 else f"its numbers are not distributed as asked for ({largest:.2g})"


def uniform_cdf(bound):
    return lambda values: np.clip((values / bound + 1) / 2, 0, 1)


def normal_cdf(deviation):
    return lambda values: np.array([0.5 * (1 + math.erf(v / deviation / math.sqrt(2))) for v in values])


def is_like(got, expected):
    """Whether `got` is an array of finite numbers of the shape of `expected`."""
    return isinstance(got, np.ndarray) and got.shape == expected.shape and bool(np.isfinite(got).all())


def judge_distribution(student, reference, cdfs):
    """`{name: what is wrong, or None}` of samples, by the cumulative distribution that each should have."""
    said = {}
    for name, cdf in cdfs.items():
        has_shape = is_like(student.get(name), reference[name])
        said[name] = kolmogorov(student[name], cdf) if has_shape else "its shape or one of its numbers is wrong"
    return said


def judge_repeated(student, reference, *names):
    """`{name: what is wrong, or None}` of lists of two arrays that should be the same, and not constant."""
    said = {}
    for name in names:
        got = student.get(name)
        is_pair = isinstance(got, list) and len(got) == 2
        like = is_pair and all(is_like(a, b) for a, b in zip(got, reference[name], strict=True))
        repeats = like and np.array_equal(*got) and len(np.unique(got[0])) > 1
        said[name] = None if repeats else "the same generator does not give the same numbers again"
    return said


# --- probes ---


def probe_03_1(tt, rng):
    """Two, three and one dimension, with a bias and without, an empty batch, and what went in afterwards."""
    x, weight, bias = rng.uniform(1, 2, size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    stack, square, other = rng.uniform(1, 2, size=(2, 5, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
    linear = tt.core.layers.linear
    inputs = [tt.Tensor(array) for array in (x, weight, bias)]
    case = {"x": x, "weight": weight, "bias": bias}
    yield "two inputs", linear(*inputs).numpy(), case
    yield "without a bias", linear(*inputs[:2]).numpy(), {"x": x, "weight": weight}
    yield "what went in afterwards", [tensor.numpy() for tensor in inputs], case
    got = linear(inputs[0], tt.Tensor(square), tt.Tensor(other)).numpy()
    yield "as many outputs as inputs", got, {"x": x, "weight": square, "bias": other}
    yield "one input", linear(tt.Tensor(x[0]), *inputs[1:]).numpy(), {**case, "x": x[0]}
    yield "three dimensions", linear(tt.Tensor(stack), *inputs[1:]).numpy(), {**case, "x": stack}
    yield "four dimensions", linear(tt.Tensor(stack[None]), *inputs[1:]).numpy(), {**case, "x": stack[None]}
    yield "an empty batch", linear(tt.Tensor(stack[:0]), *inputs[1:]).numpy(), {**case, "x": stack[:0]}
    got = refusal(ValueError, linear, inputs[0], tt.Tensor(weight[:, :2])) is not None
    yield "sizes that do not fit are a ValueError", got, {"x": x, "weight": weight[:, :2]}


def build_tree(tt, parents, names):
    """Modules, each but the first below one of those before it."""
    nodes = [tt.core.layers.Module() for _ in range(len(parents) + 1)]
    for node, parent, name in zip(nodes[1:], parents, names, strict=True):
        setattr(nodes[parent], name, node)
    return nodes


def probe_03_2(tt, rng):
    """The example, trees drawn at random, with a prefix, a memo, shared modules and a way in circles."""
    trees = []
    for _ in range(3):
        parents = [int(rng.integers(0, k + 1)) for k in range(7)]
        trees.append((parents, [f"part{k}" for k in rng.permutation(7)]))
    shared, parent = int(rng.integers(1, 3)), int(rng.integers(5, 8))

    def walk(root, nodes, **options):
        """Paths, and the places of the modules among the nodes."""
        places = {id(node): place for place, node in enumerate(nodes)}
        pairs = list(root.named_modules(**options))
        return [path for path, _ in pairs], [places[id(module)] for _, module in pairs]

    root, features, first, head = nodes = build_tree(tt, [0, 1, 0], ["features", "first", "head"])
    root.width = 3
    names = "the root, features, features.first and head"
    for name, start, options in (
        ("the example", root, {}),
        ("below features", features, {"prefix": "model"}),
        ("with a memo", root, {"memo": {features}}),
        ("with a memo that holds the root", root, {"memo": {root}}),
    ):
        paths, modules = walk(start, nodes, **options)
        case = {"prefix": options.get("prefix", ""), "modules": names}
        yield f"{name}: paths", paths, case
        yield f"{name}: modules", modules, case
    head.again = first
    for flag in (True, False):
        paths, modules = walk(root, nodes, remove_duplicate=flag)
        case = {"remove_duplicate": flag, "modules": f"{names}, and head.again, which is features.first"}
        yield f"a shared module, {flag}: paths", paths, case
        yield f"a shared module, {flag}: modules", modules, case
    for number, (parents, names) in enumerate(trees):
        nodes = build_tree(tt, parents, names)
        yield f"a tree drawn at random, {number}", walk(nodes[0], nodes)[0]
        nodes[parent].again, nodes[shared].up = nodes[shared], nodes[0]
        for flag in (True, False):
            paths, modules = walk(nodes[0], nodes, remove_duplicate=flag, prefix="model")
            yield f"shared and in circles, {number}, {flag}: paths", paths
            yield f"shared and in circles, {number}, {flag}: modules", modules


def probe_03_3(tt, rng):
    """A state that fits, in another order and type, and each way in which a state may not fit."""
    values = {"low.weight": rng.normal(size=(1, 2)), "low.mean": rng.normal(size=1), "bias": rng.normal(size=2)}
    other = {name: rng.normal(size=value.shape) for name, value in values.items()}
    core = tt.core.layers

    def make():
        model, model.low = core.Module(), core.Module()
        model.bias, model.low.weight = core.Parameter(other["bias"]), core.Parameter(other["low.weight"])
        model.low.register_buffer("mean", other["low.mean"])
        return model

    def numbers(model):
        return [model.bias.numpy(), model.low.weight.numpy(), model.low.mean.numpy()]

    model = make()
    tensors = [model.bias, model.low.weight, model.low.mean]
    model.load_state_dict(
        {**values, "low.weight": values["low.weight"].tolist(), "low.mean": tt.Tensor(values["low.mean"])}
    )
    yield "bias, low.weight and low.mean", numbers(model), values
    yield "the same objects as before", [tensor.numpy() for tensor in tensors[:2]]
    yield "types", [str(tensor.dtype) for tensor in (model.bias, model.low.weight, model.low.mean)]
    without = {name: value for name, value in values.items() if name != "low.mean"}
    for name, state, words in (
        ("a name that the model does not have", {**values, "high.weight": [1.0]}, ["high.weight"]),
        ("a name that is missing", without, ["low.mean"]),
        ("a shape that can be stretched", {**values, "low.weight": [8.0]}, ["low.weight"]),
        ("a shape that cannot be stretched", {**values, "bias": [8.0, 8.0, 8.0]}, ["bias"]),
        ("all at once", {**without, "low.weight": [8.0], "extra": [1.0]}, ["extra", "low.mean", "low.weight"]),
    ):
        model = make()
        case = {"names": list(state), "shapes": [str(np.shape(value)) for value in state.values()]}
        yield f"{name}: to name", words
        yield f"{name}: the message", refusal(ValueError, model.load_state_dict, state), case
        yield f"{name}: the values afterwards", numbers(model), case


def judge_03_3(student, reference, rng):
    said = {}
    for name in [name for name in reference if name.endswith(": the message")]:
        words, text = reference[name.replace(": the message", ": to name")], student.get(name) or ""
        missing = [word for word in words if word not in text]
        said[name] = f"the error's message should name {' and '.join(missing)}" if missing else None
    return said


FANS = 20, 400  # of the layers whose first numbers are judged


def probe_03_4(tt, rng):
    """A layer by hand, one without a bias, and the first numbers of a large one."""
    weight, bias, x = rng.normal(size=(2, 3)), rng.normal(size=2), rng.uniform(1, 2, size=(1, 3))
    seed = int(rng.integers(1 << 30))
    Linear, Parameter = tt.core.layers.Linear, tt.core.layers.Parameter
    layer = Linear(3, 2, rng=np.random.default_rng(seed))
    yield "weight and bias are Parameters", [isinstance(part, Parameter) for part in (layer.weight, layer.bias)]
    yield "shapes of weight and bias", [*layer.weight.shape, *layer.bias.shape], {"in_features": 3, "out_features": 2}
    layer.weight.data, layer.bias.data = weight, bias
    yield "a layer by hand", layer(tt.Tensor(x)).numpy(), {"x": x, "weight": weight, "bias": bias}
    plain = Linear(3, 2, bias=False, rng=np.random.default_rng(seed))
    yield "whether there is a bias with bias=False", plain.bias is not None
    yield "shape of the weight with bias=False", list(plain.weight.shape), {"in_features": 3, "out_features": 2}
    yield "no inputs are a ValueError", refusal(ValueError, Linear, 0, 2) is not None
    large, again = [Linear(*FANS, rng=np.random.default_rng(seed)) for _ in range(2)]
    yield "first weights", large.weight.numpy(), {"in_features": FANS[0], "out_features": FANS[1]}
    yield "first biases", large.bias.numpy(), {"in_features": FANS[0], "out_features": FANS[1]}
    yield "with the same rng again", [np.append(one.weight.numpy()[0], one.bias.numpy()) for one in (large, again)]
    pair = []
    for _ in range(2):
        tt.manual_seed(seed)
        one = Linear(3, 2)
        pair.append(np.append(one.weight.numpy(), one.bias.numpy()))
    yield "after the same manual_seed again", pair


def judge_03_4(student, reference, rng):
    cdf = uniform_cdf(1 / math.sqrt(FANS[0]))
    said = judge_distribution(student, reference, {"first weights": cdf, "first biases": cdf})
    return said | judge_repeated(student, reference, "with the same rng again", "after the same manual_seed again")


WEIGHT, WINDOW = (200, 50), (40, 6, 5, 5)  # shapes of the weights whose first numbers are judged


def probe_03_5(tt, rng):
    """First numbers of a matrix and of a window, their type, and that they can be repeated."""
    seed = int(rng.integers(1 << 30))
    kaiming = tt.core.layers.kaiming
    w = kaiming(WEIGHT, np.random.default_rng(seed))
    yield "a matrix", w, {"shape": WEIGHT}
    yield "a window", kaiming(WINDOW, np.random.default_rng(seed)), {"shape": WINDOW}
    yield "type of the result", str(w.dtype)
    yield "with the same rng again", [w[0], kaiming(WEIGHT, np.random.default_rng(seed))[0]]
    pair = []
    for _ in range(2):
        tt.manual_seed(seed)
        pair.append(kaiming((2, 3)))
    yield "after the same manual_seed again", pair


def judge_03_5(student, reference, rng):
    cdfs = {"a matrix": normal_cdf(math.sqrt(2 / 50)), "a window": normal_cdf(math.sqrt(2 / (6 * 25)))}
    said = judge_distribution(student, reference, cdfs)
    return said | judge_repeated(student, reference, "with the same rng again", "after the same manual_seed again")


def probe_03_6(tt, rng):
    """Tall, square, wide and larger shapes, their type, and the signs of many."""
    seed, draws = int(rng.integers(1 << 30)), 400
    orthogonal = tt.core.layers.orthogonal
    for shape in ((4, 4), (5, 3), (3, 5), (2, 3, 2, 2)):
        yield f"of shape {shape}", orthogonal(shape, np.random.default_rng(seed)), {"shape": shape}
    yield "type of the result", str(orthogonal((5, 3), np.random.default_rng(seed)).dtype)
    yield "with the same rng again", [orthogonal((5, 3), np.random.default_rng(seed)) for _ in range(2)]
    generator = np.random.default_rng(seed)
    yield "many of shape (3, 3)", np.stack([orthogonal((3, 3), generator) for _ in range(draws)]), {"shape": (3, 3)}


def judge_03_6(student, reference, rng):
    said = judge_repeated(student, reference, "with the same rng again")
    for name in [name for name in reference if "of shape" in name]:
        if not is_like(student.get(name), reference[name]):
            said[name] = "its shape or one of its numbers is wrong"
        elif name.startswith("many"):
            share = (student[name] > 0).mean(axis=0)  # 6 standard deviations of a share of 1/2
            is_even = np.abs(share - 0.5).max() < 6 * 0.5 / math.sqrt(len(student[name]))
            said[name] = None if is_even else "its numbers are not as often positive as negative"
        else:
            w = student[name].reshape(len(student[name]), -1).astype(np.float64)
            w = w if w.shape[0] >= w.shape[1] else w.T
            is_orthonormal = np.abs(w.T @ w - np.eye(w.shape[1])).max() < 1e-5
            said[name] = (
                None if is_orthonormal else "its columns, or its rows where there are fewer, are not orthonormal"
            )
    return said


def probe_03_7(tt, rng):
    """Chains of functions, in a list, in a chain, and an empty one."""
    values, (a, b) = rng.uniform(1, 2, size=2), rng.uniform(1, 2, size=2).tolist()
    layers = tt.core.layers
    x = tt.Tensor(values)
    case, functions = {"x": values, "a": a, "b": b}, [lambda x: x + a, lambda x: x * b, lambda x: x * x]
    yield "x + a, then times b, then squared", layers.Sequential(*functions)(x).numpy(), case
    yield "x + a, then times b, in one list", layers.Sequential(functions[:2])(x).numpy(), case
    nested = layers.Sequential(layers.Sequential(functions[0]), functions[1])
    yield "x + a in a chain of its own, then times b", nested(x).numpy(), case
    yield "whether a chain without layers returns its input", layers.Sequential()(x) is x
    yield "the input afterwards", x.numpy(), {"x": values}


SHAPE_OF_DROPOUT = 60, 50


def probe_03_8(tt, rng):
    """While training and in use, the receipt, p = 0 and p = 1, and that a mask can be repeated."""
    values, p, seed = rng.uniform(1, 2, size=SHAPE_OF_DROPOUT), rng.uniform(0.15, 0.4), int(rng.integers(1 << 30))
    few = rng.normal(size=(2, 2))
    Dropout = tt.core.layers.Dropout
    layer, x = Dropout(p, rng=np.random.default_rng(seed)), tt.Tensor(values, requires_grad=True)
    layer.training = False
    yield "in use", layer(tt.Tensor(few)).numpy(), {"x": few, "p": p}
    layer.training = True
    y = layer(x)
    yield "p", p
    yield "x", x.numpy()
    yield "while training", y.numpy(), {"shape of x": SHAPE_OF_DROPOUT, "p": p}
    yield "in a second call", layer(x).numpy(), {"shape of x": SHAPE_OF_DROPOUT, "p": p}
    yield "name of the operation on the receipt", y.receipt.operation
    yield "the mask on the receipt", y.receipt.options["mask"], {"shape of x": SHAPE_OF_DROPOUT, "p": p}
    yield "type of the mask", str(y.receipt.options["mask"].dtype)
    for border in (0.0, 1.0):
        yield f"p = {border}", Dropout(border)(tt.Tensor(few)).numpy(), {"x": few, "p": border}
    yield "p = 1.5 is a ValueError", refusal(ValueError, Dropout, 1.5) is not None
    ones, pairs = tt.Tensor(np.ones(40)), {"rng": [], "manual_seed": []}
    for _ in range(2):
        pairs["rng"].append(Dropout(0.5, rng=np.random.default_rng(seed))(ones).numpy())
        tt.manual_seed(seed)
        pairs["manual_seed"].append(Dropout(0.5)(ones).numpy())
    yield "with the same rng again", pairs["rng"]
    yield "after the same manual_seed again", pairs["manual_seed"]


def judge_03_8(student, reference, rng):
    p, x = float(reference["p"]), reference["x"]
    said = judge_repeated(student, reference, "with the same rng again", "after the same manual_seed again")
    for name in ("while training", "in a second call"):
        y = student.get(name)
        said[name] = judge_dropped(y / x, p) if is_like(y, x) else "its shape or one of its numbers is wrong"
    y, again, mask = (student.get(name) for name in ("while training", "in a second call", "the mask on the receipt"))
    if said["in a second call"] is None and np.array_equal(y, again):
        said["in a second call"] = "the same values are dropped again"
    is_kept = is_like(mask, x) and is_like(y, x) and np.allclose(mask * x, y, rtol=1e-5, atol=0)
    said["the mask on the receipt"] = None if is_kept else "it is not what x was multiplied by"
    return said


def judge_dropped(mask, p):
    """What is wrong with a mask for the probability `p`, or None."""
    dropped = mask == 0
    if not np.allclose(mask[~dropped], 1 / (1 - p), rtol=1e-5, atol=0):
        return f"a value is neither 0 nor x times {1 / (1 - p):.6g}"
    if abs(dropped.mean() - p) > 6 * math.sqrt(p * (1 - p) / dropped.size):
        return f"{dropped.mean():.3f} of the values are dropped and should be {p:.3f}"
    if len({row.tobytes() for row in dropped}) < len(dropped):
        return "two rows are dropped at the same places"
    return None
