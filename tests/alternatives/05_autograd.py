"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="05-1",
        how="one dimension after the other",
        body=(
            "while g.ndim > len(shape):\n    g = g.sum(axis=0)\n"
            "for dim, n in enumerate(shape):\n    if n == 1:\n        g = g.sum(axis=dim, keepdims=True)\nreturn g"
        ),
    ),
    dict(
        task="05-1",
        how="by einsum over the dimensions that are kept",
        body=(
            "extra = g.ndim - len(shape)\nkept = [d for d in range(extra, g.ndim) if shape[d - extra] == g.shape[d]]\n"
            "return np.einsum(g, list(range(g.ndim)), kept).reshape(shape)"
        ),
    ),
    dict(
        task="05-1",
        how="element by element",
        body=(
            "out = np.zeros(shape, g.dtype)\nfor place in np.ndindex(g.shape):\n"
            "    place_in_out = place[g.ndim - len(shape) :]\n"
            "    out[tuple(0 if n == 1 else i for i, n in zip(place_in_out, shape))] += g[place]\nreturn out"
        ),
    ),
    dict(
        task="05-1",
        how="in float64 inside",
        body=(
            "padded = (1,) * (g.ndim - len(shape)) + tuple(shape)\n"
            "axes = tuple(d for d, (m, n) in enumerate(zip(padded, g.shape)) if m != n or d < g.ndim - len(shape))\n"
            "return np.sum(g, axis=axes, dtype=np.float64).astype(g.dtype).reshape(shape)"
        ),
    ),
    dict(
        task="05-2",
        how="both arrays at once, and no functions",
        body=(
            'with np.errstate(all="ignore"):\n    in_a, in_b = b * np.power(a, b - 1.0), y * np.log(a)\n'
            "in_a, in_b = np.where(b == 0, 0.0, in_a), np.where((a == 0) & (b >= 0), 0.0, in_b)\n"
            "return in_a * g, in_b * g"
        ),
    ),
    dict(
        task="05-2",
        how="with harmless numbers in the places that are left out",
        body=(
            "def for_base():\n    return g * b * a ** np.where(b == 0, 1, b - 1)\n"
            "def for_exponent():\n    flat = (a == 0) & (b >= 0)\n    return g * y * np.log(np.where(flat, 1, a))\n"
            "return for_base, for_exponent"
        ),
    ),
    dict(
        task="05-2",
        how="number by number",
        body=(
            "def slope_in_a(g, a, b):\n    return 0.0 if b == 0 else g * b * a ** (b - 1)\n"
            "def slope_in_b(g, a, b):\n    return 0.0 if a == 0 and b >= 0 else g * a**b * math.log(a)\n"
            "return (\n    lambda: np.vectorize(slope_in_a, otypes=[float])(g, a, b),\n"
            "    lambda: np.vectorize(slope_in_b, otypes=[float])(g, a, b),\n)"
        ),
    ),
    dict(
        task="05-3",
        how="places where it is not stay 0",
        body=(
            "dims = dims_of(dim, x.ndim)\nhit = x == spread(y, x, dim, keepdim)\n"
            "share = spread(g, x, dim, keepdim) / np.sum(hit, axis=dims, keepdims=True)\nreturn np.where(hit, share, 0)"
        ),
    ),
    dict(
        task="05-3",
        how="element by element",
        body=(
            "dims = dims_of(dim, x.ndim)\ndx = np.zeros_like(x)\n"
            "top = np.broadcast_to(spread(y, x, dim, keepdim), x.shape)\n"
            "arriving = np.broadcast_to(spread(g, x, dim, keepdim), x.shape)\n"
            "for place in np.ndindex(x.shape):\n    if x[place] == top[place]:\n"
            "        group = tuple(slice(None) if d in dims else place[d] for d in range(x.ndim))\n"
            "        dx[place] = arriving[place] / np.count_nonzero(x[group] == top[group])\nreturn dx"
        ),
    ),
    dict(
        task="05-3",
        how="in float64 inside, with g multiplied before it is shared",
        body=(
            "hit = 1.0 * (spread(y, x, dim, keepdim) == x)\n"
            "counts = hit.sum(axis=dims_of(dim, x.ndim), keepdims=True)\n"
            "return (hit * spread(g, x, dim, keepdim) / counts).astype(x.dtype)"
        ),
    ),
    dict(
        task="05-4",
        how="by einsum",
        body=(
            'return (\n    lambda: unbroadcast(np.einsum("...mn,...kn->...mk", G, B), A.shape),\n'
            '    lambda: unbroadcast(np.einsum("...mk,...mn->...kn", A, G), B.shape),\n)'
        ),
    ),
    dict(
        task="05-4",
        how="computed at once, each product the other way round and then transposed",
        body=(
            "def turned(x):\n    return np.swapaxes(x, -2, -1)\n"
            "in_a = unbroadcast(turned(B @ turned(G)), A.shape)\n"
            "in_b = unbroadcast(turned(turned(G) @ A), B.shape)\nreturn [lambda: in_a, lambda: in_b]"
        ),
    ),
    dict(
        task="05-4",
        how="all products of elements, then sums",
        body=(
            "return (\n    lambda: unbroadcast((G[..., :, None, :] * B[..., None, :, :]).sum(axis=-1), A.shape),\n"
            "    lambda: unbroadcast((A[..., :, :, None] * G[..., :, None, :]).sum(axis=-3), B.shape),\n)"
        ),
    ),
    dict(
        task="05-5",
        how="added with care, whatever the key is",
        body="dx = np.zeros(x.shape, dtype=x.dtype)\nnp.add.at(dx, key, g)\nreturn dx",
    ),
    dict(
        task="05-5",
        how="amounts counted by the number of their place",
        body=(
            "places = np.arange(x.size).reshape(x.shape)[key]\n"
            "sums = np.bincount(np.ravel(places), weights=np.ravel(g), minlength=x.size)\n"
            "return sums.reshape(x.shape).astype(x.dtype)"
        ),
    ),
    dict(
        task="05-5",
        how="amount by amount",
        body=(
            "dx = np.zeros_like(x)\nplaces = np.arange(x.size).reshape(x.shape)[key]\n"
            "for place, amount in zip(np.ravel(places), np.ravel(g)):\n    dx.flat[place] += amount\nreturn dx"
        ),
    ),
    dict(
        task="05-6",
        how="less a table with a 1 in each row",
        body="return (p - np.eye(p.shape[1], dtype=p.dtype)[indices]) * (g / len(p))",
    ),
    dict(
        task="05-6",
        how="element by element",
        body=(
            "dx = np.empty_like(p)\nfor i in range(p.shape[0]):\n    for j in range(p.shape[1]):\n"
            "        dx[i, j] = g * (p[i, j] - (j == indices[i])) / p.shape[0]\nreturn dx"
        ),
    ),
    dict(
        task="05-6",
        how="in float64 inside, by a comparison of columns with indices",
        body=(
            "right = np.arange(p.shape[1]) == np.reshape(indices, (-1, 1))\n"
            "return (float(g) / len(p) * (p.astype(np.float64) - right)).astype(p.dtype)"
        ),
    ),
    dict(
        task="05-7",
        how="with a count that begins at 0",
        body=(
            "for x in inputs:\n    if not (isinstance(x, Tensor) and x.requires_grad):\n        continue\n"
            "    uses[x] = uses.get(x, 0) + 1\n    if uses[x] == 1 and x.receipt:\n        waiting.append(x)"
        ),
    ),
    dict(
        task="05-7",
        how="those that wait are found first, and the uses counted in a second loop",
        body=(
            "tracked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]\n"
            "waiting += [x for x in dict.fromkeys(tracked) if x not in uses and x.receipt is not None]\n"
            "for x in tracked:\n    uses[x] = uses.setdefault(x, 0) + 1"
        ),
    ),
    dict(
        task="05-7",
        how="the inputs are looked at twice",
        body=(
            "for x in inputs:\n    if isinstance(x, Tensor) and x.requires_grad and x not in uses:\n"
            "        uses[x] = 0\n        if x.receipt is not None:\n            waiting.append(x)\n"
            "for x in inputs:\n    if isinstance(x, Tensor) and x.requires_grad:\n        uses[x] += 1"
        ),
    ),
    dict(
        task="05-7",
        how="the oldest that waits comes first",
        body=(
            "for x in inputs:\n    if isinstance(x, Tensor) and x.requires_grad:\n        try:\n"
            "            uses[x] += 1\n        except KeyError:\n            uses[x] = 1\n"
            "            if x.receipt is not None:\n                waiting.insert(0, x)"
        ),
    ),
    dict(
        task="05-8",
        how="added to 0 at the first report",
        body=(
            "gradients[x] = dx + gradients.get(x, 0)\nuses[x] -= 1\nif uses[x] == 0:\n    del uses[x]\n"
            "    if x.receipt is not None:\n        ready.append(x)"
        ),
    ),
    dict(
        task="05-8",
        how="a copy at the first report, and added in place to that",
        body=(
            "if x in gradients:\n    np.add(gradients[x], dx, out=gradients[x])\nelse:\n    gradients[x] = dx.copy()\n"
            "if uses[x] > 1:\n    uses[x] -= 1\nelse:\n    uses.pop(x)\n"
            "    if x.receipt:\n        ready.append(x)"
        ),
    ),
    dict(
        task="05-8",
        how="the oldest that is ready comes first",
        body=(
            "gradients[x] = np.add(gradients[x], dx) if x in gradients else dx\nleft = uses.pop(x)\n"
            "if left > 1:\n    uses[x] = left - 1\nelif x.receipt is not None:\n    ready.insert(0, x)"
        ),
    ),
    dict(
        task="05-8",
        how="in float64 inside",
        body=(
            "if x in gradients:\n    total = gradients[x].astype(np.float64) + dx\n"
            "    gradients[x] = np.asarray(total).astype(dx.dtype)\nelse:\n    gradients[x] = dx\n"
            "uses[x] -= 1\nif not uses[x]:\n    uses.pop(x)\n    if x.receipt is not None:\n        ready.append(x)"
        ),
    ),
]
