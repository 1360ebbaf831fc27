"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import weakref

import numpy as np


def gradients_of(parts):
    """The arrays that a rule gave, one after the other, also where it gave functions of nothing."""
    for part in parts:
        with np.errstate(all="ignore"):
            yield part() if callable(part) else part


def probe_05_1(tt, rng):
    """An array of two dimensions back to each shape there is, larger ones, an empty one, and a float32 one."""
    g = rng.uniform(1, 2, size=(2, 3))
    larger = [rng.uniform(1, 2, size=rng.integers(2, 5, size=3)) for _ in range(4)]
    shapes = [tuple(np.where(rng.random(3) < 0.5, 1, array.shape)[rng.integers(0, 3) :].tolist()) for array in larger]
    whole, stretched = rng.uniform(1, 2, size=(4, 2, 3)), rng.uniform(1, 2, size=(3, 4, 2))
    unbroadcast = tt.core.autograd.unbroadcast
    for shape in ((3,), (2, 1), (), (1, 3), (1,), (1, 1)):
        yield f"(2, 3) back to {shape}", unbroadcast(g, shape), {"g": g, "shape": shape}
    yield "in front and stretched", unbroadcast(whole, (2, 1)), {"g": whole, "shape": (2, 1)}
    yield "stretched in the middle", unbroadcast(stretched, (3, 1, 2)), {"g": stretched, "shape": (3, 1, 2)}
    for number, (array, shape) in enumerate(zip(larger, shapes, strict=True)):
        yield f"shapes drawn at random, {number}", unbroadcast(array, shape), {"g": array, "shape": shape}
    yield "an empty array", unbroadcast(np.ones((0, 3)), (3,)), {"g": np.ones((0, 3)), "shape": (3,)}
    yield "type of the result for float32", str(unbroadcast(g.astype(np.float32), (3,)).dtype)
    yield "g afterwards", g


def probe_05_2(tt, rng):
    """Powers of positive bases, whole powers of both signs, and the edges at zero."""
    few, many = [[rng.uniform(0.5, 2, size=shape) for _ in range(3)] for shape in (2, (2, 3))]
    many[2] -= 1.2
    signs, g, number = rng.uniform(1, 2, size=2) * [-1, 1], rng.uniform(1, 2, size=2), int(rng.integers(3, 6))
    at_zero = rng.uniform(1, 2, size=4), np.array([0, 0, 0, rng.uniform(1.5, 3)]), np.array([0.0, 1.0, 2.0, 0.0])

    def gradients(g, a, b):
        with np.errstate(all="ignore"):
            y = np.power(a, b)
        return gradients_of(tt.core.autograd.power_rule(g, y, a, b))

    for name, (g_, a, b) in (("a few", few), ("of both signs", many), ("at zero", at_zero)):
        in_base, in_exponent = gradients(g_, a, b)
        yield f"exponents {name}: in the base", in_base, {"g": g_, "a": a, "b": b}
        yield f"exponents {name}: in the exponent", in_exponent, {"g": g_, "a": a, "b": b}
    yield (
        "a plain number as exponent: in the base",
        next(gradients(g, signs, number)),
        {"g": g, "a": signs, "b": number},
    )


def probe_05_3(tt, rng):
    """The largest and the smallest, over each kind of `dim`, with and without ties."""
    tied = rng.uniform(0, 1, size=(2, 3))
    for row, count in enumerate(rng.permutation([1, 2])):
        tied[row, rng.permutation(3)[:count]] = rng.uniform(2, 3)
    x, in_rows, in_all = rng.normal(size=(2, 3, 4)), rng.uniform(1, 2, size=2), rng.uniform(1, 2, size=())
    x[tuple(rng.integers(0, x.shape, size=(2, 3)).T)] = 9.0  # of two places, rarely the same
    weights = rng.uniform(1, 2, size=x.shape)
    rule = tt.core.autograd.extreme_rule
    case = {"g": in_rows, "y": tied.max(axis=1), "x": tied, "dim": 1}
    yield "the largest of each row", rule(in_rows, tied.max(axis=1), tied, dim=1), case
    kept = rule(in_rows[:, None], tied.max(axis=1, keepdims=True), tied, dim=1, keepdim=True)
    yield "the same with keepdim", kept, {**case, "keepdim": True}
    yield "the largest of all", rule(in_all, tied.max(), tied), {"g": in_all, "y": tied.max(), "x": tied}
    for name, reduce in (("largest", np.max), ("smallest", np.min)):
        for dim in (None, 0, -1, (0, 2)):
            for keepdim in (False, True):
                y = np.asarray(reduce(x, axis=dim, keepdims=keepdim))
                g = reduce(weights, axis=dim, keepdims=keepdim) + np.zeros_like(y)
                case = {"g": g, "y": y, "x": x, "dim": str(dim), "keepdim": keepdim}
                yield f"{name}, dim={dim}, keepdim={keepdim}", rule(g, y, x, dim=dim, keepdim=keepdim), case


def probe_05_4(tt, rng):
    """Two matrices, vectors on either side, and stacks that broadcast."""
    shapes = [((1, 3), (3, 2)), ((3, 3), (3, 3)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,))]
    shapes += [((2, 3, 3), (2, 3, 3)), ((2, 4, 3), (3, 2)), ((4, 3), (2, 3, 2)), ((2, 1, 4, 3), (3, 3, 2))]
    cases = []
    for a_shape, b_shape in shapes:
        a, b = rng.normal(size=a_shape), rng.normal(size=b_shape)
        cases.append((rng.uniform(0.5, 1.5, size=np.shape(a @ b)), a, b))
    for g, a, b in cases:
        for_a, for_b = tt.core.autograd.matmul_rule(g, a @ b, a, b)
        yield f"{a.shape} @ {b.shape}: in a", for_a(), {"g": g, "a": a, "b": b}
        yield f"{a.shape} @ {b.shape}: in b", for_b(), {"g": g, "a": a, "b": b}


def probe_05_5(tt, rng):
    """Every kind of key, with and without elements that are picked twice."""
    x, first = rng.uniform(1, 2, size=3), int(rng.integers(0, 3))
    keys = {
        "a slice": slice(0, 2),
        "a whole number": first,
        "a list, one element twice": [first, first, (first + 1) % 3],
        "a slice that runs backwards": slice(None, None, -1),
        "a condition": x > np.sort(x)[1] - 0.001,
    }
    table = rng.uniform(1, 2, size=(2, 4, 3))
    keys_of_table = {
        "pairs of indices": (rng.integers(0, 2, size=9), rng.integers(0, 4, size=9)),
        "a table of indices": rng.integers(0, 2, size=(3, 2)),
        "a number and a slice backwards": (0, slice(None, None, -2)),
        "an ellipsis and a new dimension": (Ellipsis, None, int(rng.integers(0, 3))),
        "a list and a slice": ([1, 1, 0], slice(1, 3)),
        "a table of conditions": rng.random((2, 4)) < 0.7,
    }
    cases = [(name, x, key) for name, key in keys.items()] + [(name, table, key) for name, key in keys_of_table.items()]
    cases = [(name, rng.uniform(1, 2, size=np.shape(array[key])), array, key) for name, array, key in cases]
    rule = tt.core.autograd.index_rule
    for name, g, array, key in cases:
        yield name, rule(g, array[key], array, key=key), {"g": g, "x": array, "key": str(key)}
    narrow = x.astype(np.float32)
    yield "type of the result for float32", str(rule(x, narrow, narrow, key=[0, 0, 2]).dtype)
    yield "x and g afterwards", [x, table, *(g for _, g, _, _ in cases)]


def probe_05_6(tt, rng):
    """Two rows, more rows than classes, fewer rows than classes, a factor in front, and float32."""
    cases = []
    for rows, classes in ((2, 3), (7, 4), (3, 5)):
        p = rng.uniform(0.1, 1, size=(rows, classes))
        cases.append((rng.uniform(2, 3, size=()), p / p.sum(axis=1, keepdims=True), rng.integers(0, classes, rows)))
    rule = tt.core.autograd.index_cross_entropy_rule
    for g, p, indices in cases:
        before = p.copy()
        got = rule(g, p, indices)
        yield f"{p.shape[0]} rows of {p.shape[1]} classes", got, {"g": g, "p": before, "indices": indices}
        yield f"p of {p.shape[0]} rows afterwards", p
    g, p, indices = cases[0]
    yield "type of the result for float32", str(rule(g.astype(np.float32), p.astype(np.float32), indices).dtype)


class Watched(tuple):
    """Inputs of a receipt that can be looked at so often in all and no more: the ways through a graph are too many."""

    left = 0

    def __iter__(self):
        Watched.left -= 1
        if Watched.left < 0:
            raise RuntimeError("the inputs are looked at once for every way to them")
        return super().__iter__()


def random_graph(tt, first, second, choices):
    """Tensors: two leaves, a constant, and then for each choice the mean or the product of two of those before."""
    leaves = [tt.Tensor(value, requires_grad=True) for value in (first, second)]
    constant, nodes = tt.Tensor(first), []
    for a, b, is_mean in choices:
        tracked = [*leaves, *nodes]
        x, y = tracked[a % len(tracked)], [constant, *tracked][b % (len(tracked) + 1)]
        nodes.append((x + y) * 0.5 if is_mean else x * y)
    return leaves, constant, nodes


def chain(x, length):
    for _ in range(length):
        x = x + 1.0
    return x


def ladder(x, length):
    """Tensors; to the last but one there are so many ways from `x` as 1.6 to the power of `length`."""
    nodes = [x, x]
    for _ in range(length):
        a, b = nodes[-2:]
        nodes += [a + b, a * 0.5]
    return nodes[2:]


def probe_05_7(tt, rng):
    """The example on paper, beside constants and numbers, graphs drawn at random, a chain, and a ladder."""
    a_value, b_value = rng.uniform(1, 2, size=2)
    graphs = [(rng.integers(0, 100, size=(8, 2)), rng.random(8) < 0.5) for _ in range(5)]
    count_uses = tt.core.autograd.count_uses

    def counts(root, tensors):
        uses = count_uses(root)
        return [uses.get(x, 0) for x in tensors]

    a, b, c = tt.Tensor(a_value, requires_grad=True), tt.Tensor(b_value, requires_grad=True), tt.Tensor(1.0)
    u = a * b
    v = u + a
    y = v * v
    case = {"a": a_value, "b": b_value}
    yield "uses of b in b * b, and of a, which is not in it", counts(b * b, (b, a)), case
    yield "uses of a, b, ab, ab + a and the root in (ab + a)^2", counts(y, (a, b, u, v, y)), case
    yield (
        "uses of a, b, ab, ab + a and c, a constant, in sum((ab + a) c 2)",
        counts((v * c * 2.0).sum(), (a, b, u, v, c)),
        case,
    )
    yield "how many are counted in c / (ab + a)", len(count_uses(c / v)), case
    for number, (pairs, means) in enumerate(graphs):
        leaves, constant, nodes = random_graph(tt, a_value, b_value, zip(*pairs.T.tolist(), means.tolist()))
        yield f"a graph drawn at random, {number}", counts(nodes[-1], (*leaves, constant, *nodes)), case
    yield "how many are counted in a chain of 3000 operations", len(count_uses(chain(a, 3000)))
    nodes = ladder(a, 20)
    for node in nodes:
        node.receipt = node.receipt._replace(inputs=Watched(node.receipt.inputs))
    Watched.left = 500
    yield "uses in a ladder of 20 steps", counts(nodes[-2], [a, *nodes])


def probe_05_8(tt, rng):
    """The example on paper, a given gradient, shared Tensors in both orders, random graphs, deep ones, and memory."""
    a_value, b_value = rng.uniform(1, 2, size=2)
    values, c_values, g = [rng.uniform(1, 2, size=2).astype(np.float32) for _ in range(3)]
    graphs = [(rng.uniform(0.9, 1.1, size=2), rng.integers(0, 100, size=(8, 2)), rng.random(8) < 0.5) for _ in range(5)]
    walk, rules = tt.core.autograd.walk, tt.core.tensor.autograd.rules
    one, ones = np.array(1, np.float32), np.ones(2, np.float32)

    def with_rule(name, rule, call):
        before = rules[name]
        rules[name] = rule
        try:
            return call()
        finally:
            rules[name] = before

    a, b = tt.Tensor(a_value, requires_grad=True), tt.Tensor(b_value, requires_grad=True)
    v = a * b + a
    found, case = walk(v * v, one), {"a": a_value, "b": b_value}
    yield "whether a, b and ab + a are in the result for (ab + a)^2", [x in found for x in (a, b, v)], case
    yield "gradients of (ab + a)^2 in a and b", [found[a], found[b]], case
    x, c = tt.Tensor(values, requires_grad=True), tt.Tensor(c_values)
    found, case = walk(x * c * x, g), {"x": values, "c": c_values, "gradient": g}
    yield "gradient of x c x, given the one in the result", found[x], case
    yield "how many leaves x c x has", len(found), case
    yield "the given gradient afterwards", g
    u, v = x * 3.0, x * 5.0
    for name, y in (("uv + (u + v)", u * v + (u + v) * 1.0), ("(u + v) + uv", (u + v) * 1.0 + u * v)):
        yield f"gradient of {name} for u = 3x, v = 5x", walk(y, ones, retain_graph=True)[x], {"x": values}
    y = u * v + u * u
    twice = [walk(y, ones, retain_graph=True)[x] for _ in range(2)]
    yield "gradients by two walks over a graph that is kept", twice, {"x": values}
    for number, (leaf_values, pairs, means) in enumerate(graphs):
        leaves, _, nodes = random_graph(tt, *leaf_values, zip(*pairs.T.tolist(), means.tolist()))
        found = walk(nodes[-1] + leaves[0] * leaves[1], one)
        yield f"gradients in a graph drawn at random, {number}", [found[leaf] for leaf in leaves]
    yield "gradient through a chain of 3000 operations", walk(chain(a, 3000), one)[a]
    asked = []

    def add_rule(g, y, a, b):
        asked.append(y)
        if len(asked) > 500:
            raise RuntimeError("the rule is asked once for every way to it")
        return g, g

    top = ladder(a, 40)[-2]
    yield "gradient through a ladder of 40 steps", with_rule("add", add_rule, lambda: walk(top, one))[a]
    yield "how often the rule of its additions was asked", len(asked)
    yield (
        "whether a Tensor in the middle is let go before the walk is over",
        lets_go(x, ones, walk, with_rule),
        {"x": values},
    )


def lets_go(x, g, walk, with_rule):
    """Whether the middle of three ways is let go, when the rule at the end of a longer way is asked."""
    middle, early, seen = x * 2.0, x.exp(), []
    alive = weakref.ref(middle)
    y = (early * 1.0 + 0.0) + (middle * middle)
    del middle

    def exp_rule(g, y, x):
        seen.append(alive() is None)
        return g * y

    with_rule("exp", exp_rule, lambda: walk(y, g))
    return seen
