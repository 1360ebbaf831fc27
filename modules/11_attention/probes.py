"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""

import math

import numpy as np


def raised(call, kind):
    """Whether `call()` raises an exception of this kind."""
    try:
        call()
    except kind:
        return True
    return False


def numbers(x):
    """The array in a Tensor, or an array itself."""
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def result_and_gradients(tt, function, arrays, g):
    """What `function` makes of the arrays, and the gradient in each of them when `g` arrives."""
    tensors = [tt.Tensor(array, requires_grad=True, dtype=np.float64) for array in arrays]
    y = function(*tensors)
    y.backward(tt.Tensor(g, dtype=np.float64))
    return y.numpy(), [None if t.grad is None else t.grad.numpy() for t in tensors]


def probe_11_1(tt, rng):
    """Scores of single matrices and of stacks, and their gradients."""
    cases = []
    for word, stack, T, S, d in (
        ("two queries", (), 2, 2, 2),
        ("other numbers of queries and keys", (), 3, 5, 4),
        ("as many features as places", (), 3, 3, 3),
        ("a stack", (2,), 4, 3, 5),
        ("a stack of stacks", (2, 3), 4, 2, 5),
        ("a stack as large as the matrices", (3, 3), 3, 3, 3),
    ):
        q, k = rng.normal(size=(*stack, T, d)), rng.normal(size=(*stack, S, d))
        cases.append((word, q, k, rng.normal(size=(*stack, T, S))))
    for word, q, k, g in cases:
        scores, gradients = result_and_gradients(tt, tt.core.attention.attention_scores, (q, k), g)
        yield f"scores of {word}", scores, {"q": q, "k": k}
        yield f"gradients in q and k of {word}", gradients, {"q": q, "k": k, "g": g}


def probe_11_2(tt, rng):
    """Shares without a mask, with one, of rows without keys, of large scores, and of stacks; and their gradients."""
    small, wide = rng.normal(size=(2, 3)), rng.normal(size=(4, 5))
    piled, g = rng.normal(size=(2, 3, 4, 5)), rng.uniform(0.5, 1.5, size=(2, 3, 4, 5))
    some = rng.random((4, 5)) < 0.6
    some[:, 0] = some[:, 4] = True  # two keys at least
    some[:, 1] = False
    nothing = some.copy()
    nothing[1] = False
    loud = np.where(some, wide, 1000.0)  # what is hidden is far above the rest
    cases = [
        ("small scores", small, None, g[0, 0, :2, :3]),
        ("a mask", small, np.array([[True, True, False], [False, True, True]]), g[0, 0, :2, :3]),
        ("one key alone", small, np.array([[True, False, False], [False, False, True]]), None),
        ("a row without keys", wide, nothing, g[0, 0]),
        ("no keys at all", small, np.zeros((1, 3), dtype=bool), None),
        ("large scores", 1000.0 + wide, some, g[0, 0]),
        ("large scores below zero", wide - 1000.0, nothing, g[0, 0]),
        ("large hidden scores", loud, some, g[0, 0]),
        ("large scores without a mask", 500.0 * wide, None, None),
        ("a stack without a mask", piled, None, g),
        ("a stack, one mask for all", piled, nothing, g),
        ("a stack, a mask of keys", piled, some[:2, None, None], g),
    ]
    softmax = tt.core.attention.masked_softmax
    for word, scores, mask, g in cases:
        given = {"scores": scores.copy(), "mask": mask}
        yield f"shares of {word}", softmax(tt.Tensor(scores, dtype=np.float64), mask).numpy(), given
        if g is not None:  # where one key has everything, all gradients are 0 but for rounding
            _, gradients = result_and_gradients(tt, lambda x, mask=mask: softmax(x, mask), (scores,), g)
            yield f"the gradient in {word}", gradients[0], {**given, "g": g}
    before = small.copy()
    given = {"scores": before, "mask": cases[1][2]}
    yield "shares of an array, by a mask that is a Tensor", numbers(softmax(small, tt.Tensor(cases[1][2]))), given
    yield "the scores afterwards", small, given
    yield "the type of shares of float32", str(softmax(tt.Tensor(small), cases[1][2]).dtype), given
    fails = raised(lambda: softmax(tt.Tensor(small), np.zeros((2, 3))), TypeError)
    yield "a mask of other numbers is an error", fails, {"mask": np.zeros((2, 3))}


def probe_11_3(tt, rng):
    """Masks of as many queries as places, and of fewer."""
    places, more = int(rng.integers(4, 9)), int(rng.integers(1, 5))
    create = tt.core.attention.create_causal_mask
    for arguments in ((1,), (2,), (1, 3), (places,), (places, places), (places, places + more)):
        mask, given = create(*arguments), dict(zip(("queries", "keys"), arguments, strict=False))
        yield f"the mask of {arguments}", numbers(mask), given
        yield f"whether the mask of {arguments} is a Tensor", isinstance(mask, tt.Tensor), given
        yield f"the type of the mask of {arguments}", str(mask.dtype), given
    given = {"queries": places, "keys": places - 1}
    yield "fewer keys than queries are an error", raised(lambda: create(places, places - 1), ValueError), given


def weights_of(q, k, mask=None):
    """What each query takes from each key; a row that may attend to nothing is 0."""
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    powers = np.exp(scores) * (1 if mask is None else mask)
    total = powers.sum(axis=-1, keepdims=True)
    return powers / np.where(total == 0, 1, total)


def probe_11_4(tt, rng):
    """Gradients of attention, without a mask and with one, of single matrices and of stacks."""
    cases = []
    for word, stack, T, S, d, E in (
        ("two queries, two keys", (), 2, 2, 2, 1),
        ("three queries, four keys", (), 3, 4, 5, 2),
        ("a mask", (), 4, 3, 2, 5),
        ("all sizes alike", (), 3, 3, 3, 3),
        ("a stack", (2, 3), 3, 4, 2, 5),
        ("a stack with a mask", (3,), 2, 4, 5, 3),
    ):
        mask = rng.random((T, S)) < 0.6 if "mask" in word else None
        if mask is not None:
            mask[0], mask[1] = True, False
        q, k, v = (rng.normal(size=(*stack, *shape)) for shape in ((T, d), (S, d), (S, E)))
        cases.append((word, [rng.normal(size=(*stack, T, E)), weights_of(q, k, mask), q, k, v], mask))
    for word, arrays, mask in cases:
        given = dict(zip(("g", "weights", "q", "k", "v"), (array.copy() for array in arrays), strict=True))
        parts = tt.core.attention.attend_rule(*arrays, *([] if mask is None else [mask]))
        for name, part in zip("vkq", reversed(parts), strict=True):
            yield f"the gradient in {name}, {word}", part(), given
        yield f"what was given, {word}", arrays, given


def probe_11_5(tt, rng):
    """Heads of several numbers of features, and the gradient."""
    cases = []
    for N, T, E, H in ((1, 2, 4, 2), (1, 3, 4, 4), (2, 3, 6, 2), (2, 2, 6, 3), (3, 4, 5, 1), (2, 4, 4, 2)):
        cases.append((H, rng.normal(size=(N, T, E)), rng.normal(size=(N, H, T, E // H))))
    split_heads = tt.core.attention.split_heads
    for H, x, g in cases:
        given = {"x": x, "num_heads": H}
        heads, gradients = result_and_gradients(tt, lambda x, H=H: split_heads(x, H), (x,), g)
        yield f"{H} heads of {x.shape}", heads, given
        yield f"the gradient in {x.shape}, {H} heads", gradients[0], {**given, "g": g}
    for word, x, H in (("heads that do not divide the features", cases[0][1], 3), ("one sequence", cases[0][1][0], 2)):
        fails = raised(lambda x=x, H=H: split_heads(tt.Tensor(x), H), ValueError)
        yield f"{word} are an error", fails, {"x": x, "num_heads": H}


def probe_11_6(tt, rng):
    """Heads of several numbers of features joined, and the gradient."""
    cases = []
    for N, H, T, D in ((1, 2, 2, 2), (1, 4, 3, 1), (2, 2, 3, 4), (2, 3, 2, 2), (3, 1, 4, 5), (2, 3, 4, 5)):
        cases.append((rng.normal(size=(N, H, T, D)), rng.normal(size=(N, T, H * D))))
    for x, g in cases:
        joined, gradients = result_and_gradients(tt, tt.core.attention.join_heads, (x,), g)
        yield f"heads {x.shape} joined", joined, {"x": x}
        yield f"the gradient in heads {x.shape}", gradients[0], {"x": x, "g": g}


def probe_11_7(tt, rng):
    """Layers from drawn weights: attending to themselves, to others, with masks, and without biases."""
    layers = [
        (H, rng.normal(size=(12, 4)), rng.normal(size=(4, 4)), rng.normal(size=12), rng.normal(size=4))
        for H in (2, 1, 4)
    ]
    one, x, key, value = (rng.normal(size=shape) for shape in ((1, 2, 4), (3, 4, 4), (3, 5, 4), (3, 5, 4)))
    mask, alone = rng.random((3, 4, 5)) < 0.6, rng.random((4, 4)) < 0.6
    mask[:, :, 0] = alone[:, 0] = True
    mask[1, 2] = False
    attention = tt.core.attention
    made = attention.MultiHeadAttention(4, 2)
    yield "shapes of the parameters", [np.array(p.shape) for p in made.parameters()], {"embed_dim": 4, "num_heads": 2}
    yield "the first biases", [made.in_proj_bias.numpy(), made.out_proj.bias.numpy()], {"embed_dim": 4, "num_heads": 2}
    for H, packed, out, bias, out_bias in layers:
        for has_bias in (True, False):
            layer = attention.MultiHeadAttention(4, H, bias=has_bias)
            layer.in_proj_weight.data, layer.out_proj.weight.data = packed, out
            if has_bias:
                layer.in_proj_bias.data, layer.out_proj.bias.data = bias, out_bias
            shown = {"in_proj_weight": packed, "out_proj.weight": out, "num_heads": H}
            shown |= {"in_proj_bias": bias, "out_proj.bias": out_bias} if has_bias else {}
            for word, inputs, seen in (
                ("two places", (one,), None),
                ("sequences that attend to themselves", (x,), None),
                ("a mask for all", (x,), alone),
                ("sequences that attend to others", (x, key), None),
                ("three sources", (x, key, value), None),
                ("three sources, a mask for each sequence", (x, key, value), mask),
            ):
                y = layer(*(tt.Tensor(array, dtype=np.float64) for array in inputs), mask=seen)
                given = {**dict(zip(("query", "key", "value"), inputs)), "mask": seen}
                label = f"{word}, {H} heads{'' if has_bias else ', no bias'}"
                yield label, y.numpy(), {**given, **(shown if word == "two places" else {"num_heads": H})}
    sizes = {"embed_dim": 4, "num_heads": 3}
    fails = raised(lambda: attention.MultiHeadAttention(4, 3), ValueError)
    yield "heads that do not divide the features are an error", fails, sizes


def probe_11_8(tt, rng):
    """Positions of few and of many features."""
    length, dim = int(rng.integers(8, 20)), 2 * int(rng.integers(4, 9))
    positions = tt.core.attention.sinusoidal_positions
    for sizes in ((2, 2), (3, 4), (length, dim), (length, 6)):
        found, given = positions(*sizes), dict(zip(("length", "dim"), sizes, strict=True))
        yield f"positions of {sizes}", numbers(found), given
        yield f"whether positions of {sizes} are a Tensor", isinstance(found, tt.Tensor), given
        yield f"the type of positions of {sizes}", str(found.dtype), given
    yield "an odd number of features is an error", raised(lambda: positions(3, 5), ValueError), {"dim": 5}
