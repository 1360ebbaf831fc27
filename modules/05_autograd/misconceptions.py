"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

STRETCHED = (
    "extra = g.ndim - len(shape)\nstretched = [d for d in range(g.ndim) if d < extra or shape[d - extra] == 1]\n"
)
POWER = (
    "def for_base():\n    return g * np.where(b == 0, 0, b * a ** (b - 1))\n"
    "def for_exponent():\n    return g * np.where((a == 0) & (b >= 0), 0, y * np.log(a))\n"
)
HIT = "hit = (x == spread(y, x, dim, keepdim)).astype(x.dtype)\n"
TRACKED = "for x in inputs:\n    if isinstance(x, Tensor) and x.requires_grad:\n"
SUMMED = "gradients[x] = gradients[x] + dx if x in gradients else dx\n"
COUNTED = "left = uses.pop(x) - 1\nif left:\n    uses[x] = left\n"

WRONG = [
    dict(
        task="05-1",
        mistake="the mean is taken where the sum is wanted",
        body=STRETCHED + "return g.mean(axis=tuple(stretched)).reshape(shape)",
    ),
    dict(
        task="05-1",
        mistake="only new dimensions in front are summed, and stretched ones are not",
        body="return g.sum(axis=tuple(range(g.ndim - len(shape))))",
    ),
    dict(
        task="05-1",
        mistake="only dimensions of size 1 are summed, and new ones in front are not",
        body="return g.sum(axis=tuple(d for d, n in enumerate(shape) if n == 1), keepdims=True)",
    ),
    dict(
        task="05-1",
        mistake="dimensions of size 1 are summed away and not put back",
        body=STRETCHED + "return g.sum(axis=tuple(stretched))",
    ),
    dict(
        task="05-1",
        mistake="the shapes are compared from the front instead of from the end",
        body=(
            "stretched = tuple(d for d in range(g.ndim) if d >= len(shape) or shape[d] == 1)\n"
            "return g.sum(axis=stretched).reshape(shape)"
        ),
    ),
    dict(
        task="05-1",
        mistake="always the first dimension is summed, whatever was stretched",
        body="return g.sum(axis=0).reshape(shape)",
    ),
    dict(
        task="05-1",
        mistake="the array is brought into the shape without summing anything",
        body="return g.reshape(shape)",
    ),
    dict(
        task="05-2",
        mistake="the slope is returned without the g that arrives",
        body=POWER.replace("return g * ", "return ") + "return for_base, for_exponent",
    ),
    dict(
        task="05-2",
        mistake="the factor b in front of the power is missing",
        body=POWER.replace("b * a ** (b - 1)", "a ** (b - 1)") + "return for_base, for_exponent",
    ),
    dict(
        task="05-2",
        mistake="the exponent is not lowered by one",
        body=POWER.replace("a ** (b - 1)", "a ** b") + "return for_base, for_exponent",
    ),
    dict(
        task="05-2",
        mistake="in the exponent the factor y is missing",
        body=POWER.replace("y * np.log(a)", "np.log(a)") + "return for_base, for_exponent",
    ),
    dict(
        task="05-2",
        mistake="in the exponent the logarithm is missing",
        body=POWER.replace("y * np.log(a)", "y") + "return for_base, for_exponent",
    ),
    dict(
        task="05-2",
        mistake="the gradients of base and exponent have changed places",
        body=POWER + "return for_exponent, for_base",
    ),
    dict(
        task="05-2",
        mistake="the formulas stand alone, without a case for zeros",
        body="return (lambda: g * b * a ** (b - 1)), (lambda: g * y * np.log(a))",
    ),
    dict(
        task="05-2",
        mistake="the gradient in the base is 0 wherever the base is 0, instead of wherever the exponent is",
        body=POWER.replace("np.where(b == 0, 0, b", "np.where(a == 0, 0, b") + "return for_base, for_exponent",
    ),
    dict(
        task="05-2",
        mistake="the exponent has no case for a base of 0",
        body=POWER.replace("np.where((a == 0) & (b >= 0), 0, y * np.log(a))", "y * np.log(a)")
        + "return for_base, for_exponent",
    ),
    dict(
        task="05-3",
        mistake="each of those that tie gets all of g, instead of its share",
        body=HIT + "return spread(g, x, dim, keepdim) * hit",
    ),
    dict(
        task="05-3",
        mistake="g is shared among all elements, as for a mean",
        body="return np.broadcast_to(spread(g, x, dim, keepdim), x.shape) * g.size / x.size",
    ),
    dict(
        task="05-3",
        mistake="ties are counted over the whole array instead of group by group",
        body=HIT + "return spread(g, x, dim, keepdim) * hit / hit.sum()",
    ),
    dict(
        task="05-3",
        mistake="keepdims is missing where ties are counted",
        body=HIT + "return spread(g, x, dim, keepdim) * (hit / hit.sum(axis=dims_of(dim, x.ndim)))",
    ),
    dict(
        task="05-3",
        mistake="g is not spread out to line up with x",
        body=HIT + "return g * (hit / hit.sum(axis=dims_of(dim, x.ndim), keepdims=True))",
    ),
    dict(
        task="05-3",
        mistake="the share is returned without the g that arrives",
        body=HIT + "return hit / hit.sum(axis=dims_of(dim, x.ndim), keepdims=True)",
    ),
    dict(
        task="05-3",
        mistake="the largest value itself goes into the gradient",
        body=HIT + "return spread(g, x, dim, keepdim) * x * hit / hit.sum(axis=dims_of(dim, x.ndim), keepdims=True)",
    ),
    dict(
        task="05-4",
        mistake="the factors are not transposed",
        body="return (lambda: unbroadcast(G @ B, A.shape)), (lambda: unbroadcast(A @ G, B.shape))",
    ),
    dict(
        task="05-4",
        mistake="g stands on the wrong side of both products",
        body=(
            "return (\n    lambda: unbroadcast(np.swapaxes(B, -1, -2) @ G, A.shape),\n"
            "    lambda: unbroadcast(G @ np.swapaxes(A, -1, -2), B.shape),\n)"
        ),
    ),
    dict(
        task="05-4",
        mistake="all dimensions are turned around, instead of the last two",
        body="return (lambda: unbroadcast(G @ B.T, A.shape)), (lambda: unbroadcast(A.T @ G, B.shape))",
    ),
    dict(
        task="05-4",
        mistake="what broadcasting did to the stack is not undone",
        body="return (lambda: G @ np.swapaxes(B, -1, -2)), (lambda: np.swapaxes(A, -1, -2) @ G)",
    ),
    dict(
        task="05-4",
        mistake="the gradients of the two factors have changed places",
        body="return (lambda: np.swapaxes(A, -1, -2) @ G), (lambda: G @ np.swapaxes(B, -1, -2))",
    ),
    dict(
        task="05-4",
        mistake="the product is taken element by element",
        body="return (lambda: unbroadcast(G * B, A.shape)), (lambda: unbroadcast(A * G, B.shape))",
    ),
    dict(
        task="05-5",
        mistake="of an element that was picked twice only the last amount is kept",
        body="dx = np.zeros_like(x)\ndx[key] += g\nreturn dx",
    ),
    dict(
        task="05-5",
        mistake="the gradient begins with the values of x instead of with zeros",
        body="dx = x.copy()\nnp.add.at(dx, key, g)\nreturn dx",
    ),
    dict(
        task="05-5",
        mistake="the zeros have the shape of g instead of that of x",
        body="dx = np.zeros_like(g)\ndx[key] = g\nreturn dx",
    ),
    dict(
        task="05-5",
        mistake="the zeros are float64, whatever x is",
        body="dx = np.zeros(x.shape)\nnp.add.at(dx, key, g)\nreturn dx",
    ),
    dict(
        task="05-5",
        mistake="1 is put where g belongs",
        body="dx = np.zeros_like(x)\ndx[key] = 1\nreturn dx",
    ),
    dict(
        task="05-5",
        mistake="x itself is overwritten",
        body="x[...] = 0\nif once:\n    x[key] = g\nelse:\n    np.add.at(x, key, g)\nreturn x",
    ),
    dict(
        task="05-6",
        mistake="the gradient is not divided by the number of rows",
        body="dx = p.copy()\ndx[np.arange(len(p)), indices] -= 1\nreturn dx * g",
    ),
    dict(
        task="05-6",
        mistake="p, which belongs to the receipt, is written into",
        body="p[np.arange(len(p)), indices] -= 1\nreturn p * (g / len(p))",
    ),
    dict(
        task="05-6",
        mistake="the sign is turned around: truth less belief",
        body="dx = -p\ndx[np.arange(len(p)), indices] += 1\nreturn dx * (g / len(p))",
    ),
    dict(
        task="05-6",
        mistake="1 is taken away in whole columns instead of in one element of each row",
        body="dx = p.copy()\ndx[:, indices] -= 1\nreturn dx * (g / len(p))",
    ),
    dict(
        task="05-6",
        mistake="the g that arrives is left out",
        body="dx = p.copy()\ndx[np.arange(len(p)), indices] -= 1\nreturn dx / len(p)",
    ),
    dict(
        task="05-6",
        mistake="the gradient is divided by rows times classes",
        body="dx = p.copy()\ndx[np.arange(len(p)), indices] -= 1\nreturn dx * (g / p.size)",
    ),
    dict(
        task="05-6",
        mistake="the gradient is divided by the number of classes",
        body="dx = p.copy()\ndx[np.arange(len(p)), indices] -= 1\nreturn dx * (g / p.shape[1])",
    ),
    dict(
        task="05-6",
        mistake="1 is taken away after the division by the number of rows",
        body="dx = p * (g / len(p))\ndx[np.arange(len(p)), indices] -= 1\nreturn dx",
    ),
    dict(
        task="05-6",
        mistake="the right class has the slope of its logarithm, and all others 0",
        body=(
            "dx = np.zeros_like(p)\npicked = np.arange(len(p)), indices\n"
            "dx[picked] = -1 / p[picked]\nreturn dx * (g / len(p))"
        ),
    ),
    dict(
        task="05-7",
        mistake="every Tensor is counted once, however often it is used",
        body=TRACKED
        + "        if x not in uses:\n            uses[x] = 1\n"
        + "            if x.receipt is not None:\n                waiting.append(x)",
    ),
    dict(
        task="05-7",
        mistake="the inputs of a Tensor are looked at again for each of its uses",
        body=TRACKED
        + "        uses[x] = uses.get(x, 0) + 1\n"
        + "        if x.receipt is not None:\n            waiting.append(x)",
    ),
    dict(
        task="05-7",
        mistake="leaves are not counted",
        body=TRACKED
        + "        if x.receipt is not None:\n            if x not in uses:\n                waiting.append(x)\n"
        + "            uses[x] = uses.get(x, 0) + 1",
    ),
    dict(
        task="05-7",
        mistake="constants are counted, too",
        body=TRACKED.replace(" and x.requires_grad", "")
        + "        if x not in uses and x.receipt is not None:\n            waiting.append(x)\n"
        + "        uses[x] = uses.get(x, 0) + 1",
    ),
    dict(
        task="05-7",
        mistake="plain numbers among the inputs are asked whether they require a gradient",
        body=TRACKED.replace("isinstance(x, Tensor) and ", "")
        + "        if x not in uses and x.receipt is not None:\n            waiting.append(x)\n"
        + "        uses[x] = uses.get(x, 0) + 1",
    ),
    dict(
        task="05-7",
        mistake="a leaf is sent to those that wait, although it has no receipt",
        body=TRACKED
        + "        if x not in uses:\n            waiting.append(x)\n"
        + "        uses[x] = uses.get(x, 0) + 1",
    ),
    dict(
        task="05-7",
        mistake="an operation that uses a Tensor twice is counted as one use",
        body=TRACKED.replace("in inputs", "in set(inputs)")
        + "        if x not in uses and x.receipt is not None:\n            waiting.append(x)\n"
        + "        uses[x] = uses.get(x, 0) + 1",
    ),
    dict(
        task="05-7",
        mistake="a function calls itself for each step back",
        body=(
            "def visit(node):\n    for x in node.receipt.inputs:\n"
            "        if isinstance(x, Tensor) and x.requires_grad:\n            first = x not in uses\n"
            "            uses[x] = uses.get(x, 0) + 1\n            if first and x.receipt is not None:\n"
            "                visit(x)\nvisit(node)"
        ),
    ),
    dict(
        task="05-7",
        mistake="a constant stops the search, so that later inputs are not counted",
        body=(
            "for x in inputs:\n    if not isinstance(x, Tensor) or not x.requires_grad:\n        return uses\n"
            "    if x not in uses and x.receipt is not None:\n        waiting.append(x)\n"
            "    uses[x] = uses.get(x, 0) + 1"
        ),
    ),
    dict(
        task="05-8",
        mistake="a later report replaces the earlier one, instead of being added",
        body="gradients[x] = dx\n" + COUNTED + "elif x.receipt is not None:\n    ready.append(x)",
    ),
    dict(
        task="05-8",
        mistake="the sum is written into an array that another Tensor may hold",
        body=(
            "if x in gradients:\n    gradients[x] += dx\nelse:\n    gradients[x] = dx\n"
            + COUNTED
            + "elif x.receipt is not None:\n    ready.append(x)"
        ),
    ),
    dict(
        task="05-8",
        mistake="the walk goes on from a Tensor at its first report, and again at every other",
        body=(
            "if x in gradients:\n    gradients[x] = gradients[x] + dx\nelse:\n    gradients[x] = dx\n"
            "    if x.receipt is not None:\n        ready.append(x)"
        ),
    ),
    dict(
        task="05-8",
        mistake="a Tensor becomes ready at each of its reports",
        body=SUMMED + "if x.receipt is not None:\n    ready.append(x)",
    ),
    dict(
        task="05-8",
        mistake="a leaf becomes ready, too, although it has no receipt",
        body=SUMMED + COUNTED + "else:\n    ready.append(x)",
    ),
    dict(
        task="05-8",
        mistake="the count stays in uses, so that everything is kept alive to the end",
        body=SUMMED + "uses[x] -= 1\nif uses[x] == 0 and x.receipt is not None:\n    ready.append(x)",
    ),
    dict(
        task="05-8",
        mistake="the count is looked at and never goes down",
        body=SUMMED + "if uses[x] == 0 and x.receipt is not None:\n    ready.append(x)",
    ),
    dict(
        task="05-8",
        mistake="gradients of leaves are not kept",
        body=(
            "if x.receipt is not None:\n    gradients[x] = gradients[x] + dx if x in gradients else dx\n"
            "    left = uses.pop(x) - 1\n    if left:\n        uses[x] = left\n    else:\n        ready.append(x)"
        ),
    ),
    dict(
        task="05-8",
        mistake="a Tensor becomes ready when one report is still missing",
        body=SUMMED
        + "uses[x] -= 1\nif uses[x] <= 1 and x.receipt is not None and x not in ready:\n    ready.append(x)",
    ),
    dict(
        task="05-8",
        mistake="the gradient of the result is handed on instead of what the rule gave",
        body=SUMMED.replace("dx", "g") + COUNTED + "elif x.receipt is not None:\n    ready.append(x)",
    ),
    dict(
        task="05-9",
        mistake="the direction is scaled to length 1, so that the mean is the gradient over the number of parameters",
        body=(
            "size = sum(array.size for array in arrays.values())\n"
            "for _ in range(directions):\n"
            "    v = {n: rng.choice([-1.0, 1.0], size=array.shape) / np.sqrt(size) for n, array in arrays.items()}\n"
            "    def along(t, v=v):\n        for n, array in arrays.items():\n"
            "            array[...] = start[n] + t * v[n]\n        return loss()\n"
            "    s = slope(along, 0.0, epsilon)\n    for n in estimate:\n        estimate[n] += s * v[n] / directions"
        ),
    ),
    dict(
        task="05-9",
        mistake="the estimates are added and not averaged",
        body=(
            "for _ in range(directions):\n"
            "    v = {n: rng.choice([-1.0, 1.0], size=array.shape) for n, array in arrays.items()}\n"
            "    def along(t, v=v):\n        for n, array in arrays.items():\n"
            "            array[...] = start[n] + t * v[n]\n        return loss()\n"
            "    s = slope(along, 0.0, epsilon)\n    for n in estimate:\n        estimate[n] += s * v[n]"
        ),
    ),
    dict(
        task="05-9",
        mistake="the slope along the direction is not multiplied by the direction",
        body=(
            "for _ in range(directions):\n"
            "    v = {n: rng.choice([-1.0, 1.0], size=array.shape) for n, array in arrays.items()}\n"
            "    def along(t, v=v):\n        for n, array in arrays.items():\n"
            "            array[...] = start[n] + t * v[n]\n        return loss()\n"
            "    s = slope(along, 0.0, epsilon)\n    for n in estimate:\n        estimate[n] += s / directions"
        ),
    ),
    dict(
        task="05-10",
        mistake="the gradient is multiplied by v, instead of its change along v",
        body="return grad(fn)(Tensor(x, dtype=np.float64)).data * v",
    ),
    dict(
        task="05-10",
        mistake="the slope of the function itself along v is taken, not that of its gradient",
        body="return slope(lambda t: fn(Tensor(x + t * v, dtype=np.float64)).item(), 0.0, epsilon)",
    ),
    dict(
        task="05-10",
        mistake="the direction is left out of the step",
        body="return slope(lambda t: grad(fn)(Tensor(x + t, dtype=np.float64)).data, 0.0, epsilon)",
    ),
]
