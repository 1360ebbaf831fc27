"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

SHAPES = "tall = (max(rows, columns), min(rows, columns))\n"
TURNED = "return (q.T if rows < columns else q).reshape(shape).astype(np.float32)"

RIGHT = [
    dict(
        task="03-1",
        how="the transpose left alone, and the bias added to a copy",
        body="y = np.matmul(x, np.transpose(weight))\nreturn y if bias is None else y + bias",
    ),
    dict(
        task="03-1",
        how="by einsum",
        body='y = np.einsum("...i,oi->...o", x, weight)\nif bias is not None:\n    y = bias + y\nreturn y',
    ),
    dict(
        task="03-1",
        how="unit by unit, in float64 inside",
        body=(
            "y = np.empty((*x.shape[:-1], len(weight)), x.dtype)\nfor o, unit in enumerate(weight):\n"
            "    y[..., o] = (x.astype(np.float64) * unit).sum(axis=-1) + (0 if bias is None else bias[o])\nreturn y"
        ),
    ),
    dict(
        task="03-1",
        how="by tensordot",
        body="y = np.tensordot(x, weight, axes=(-1, 1))\nreturn y if bias is None else np.add(y, bias)",
    ),
    dict(
        task="03-2",
        how="a list, built and returned",
        body=(
            "found = []\nif self not in memo:\n    memo.add(self)\n    found.append((prefix, self))\n"
            "    for name, child in self.named_children():\n"
            '        path = ".".join([prefix, name]) if prefix else name\n'
            "        found.extend(child.named_modules(memo, path, remove_duplicate))\nreturn found"
        ),
    ),
    dict(
        task="03-2",
        how="without calling itself, by a list of those that wait",
        body=(
            "waiting = [(prefix, self, memo)]\nwhile waiting:\n    path, module, met = waiting.pop()\n"
            "    met = met if remove_duplicate else set(met)\n    if module in met:\n        continue\n"
            "    met.add(module)\n    yield path, module\n"
            '    below = [(f"{path}.{name}".lstrip("."), part, met) for name, part in module.named_children()]\n'
            "    waiting += reversed(below)"
        ),
    ),
    dict(
        task="03-2",
        how="pair by pair, with arguments by name",
        body=(
            "if self not in memo:\n    memo |= {self}\n    yield prefix, self\n"
            '    dot = "." if prefix else ""\n    for name, child in self.named_children():\n'
            "        options = dict(memo=memo, prefix=prefix + dot + name, remove_duplicate=remove_duplicate)\n"
            "        for path, module in child.named_modules(**options):\n            yield path, module"
        ),
    ),
    dict(
        task="03-3",
        how="by sets of names, and by assigning to .data",
        body=(
            "shapes = [{name: x.shape for name, x in tensors.items()} for tensors in (own, arrays)]\n"
            "bad = sorted({name for name, _ in set(shapes[0].items()) ^ set(shapes[1].items())})\n"
            'if bad:\n    raise ValueError("missing, unexpected or of another shape: " + ", ".join(bad))\n'
            "for name in arrays:\n    own[name].data = arrays[name]"
        ),
    ),
    dict(
        task="03-3",
        how="all names of both in one loop",
        body=(
            "problems = []\nfor name in {**own, **arrays}:\n    if name not in own:\n"
            '        problems.append("unexpected " + name)\n    elif name not in arrays:\n'
            '        problems.append("missing " + name)\n    elif list(own[name].shape) != list(arrays[name].shape):\n'
            '        problems.append("shape of " + name)\nif len(problems) > 0:\n    raise ValueError(str(problems))\n'
            "for name, array in arrays.items():\n    own[name].detach()[:] = array"
        ),
    ),
    dict(
        task="03-3",
        how="the old values are put back when something does not fit",
        body=(
            "before = {name: tensor.data.copy() for name, tensor in own.items()}\nproblems = []\n"
            "for name, array in arrays.items():\n    if name in own and own[name].shape == array.shape:\n"
            "        own[name].data = array\n    else:\n        problems.append(name)\n"
            "problems += [name for name in own if name not in arrays]\nif problems:\n"
            "    for name, tensor in own.items():\n        tensor.data = before[name]\n"
            '    raise ValueError(f"these do not fit: {problems}")'
        ),
    ),
    dict(
        task="03-4",
        how="from numbers between 0 and 1, the bias first",
        body=(
            "def numbers(*shape):\n    return (2 * rng.random(shape) - 1) / np.sqrt(in_features)\n"
            "if bias:\n    self.bias = Parameter(numbers(out_features))\n"
            "self.weight = Parameter(numbers(out_features, in_features))"
        ),
    ),
    dict(
        task="03-4",
        how="one draw in float32 for both",
        body=(
            "numbers = rng.random((out_features, in_features + 1), dtype=np.float32) * 2 - 1\n"
            "numbers /= np.sqrt(np.float32(in_features))\nself.weight = Parameter(numbers[:, 1:])\n"
            "self.bias = Parameter(numbers[:, 0]) if bias else None"
        ),
    ),
    dict(
        task="03-4",
        how="written into Parameters of zeros, row by row",
        body=(
            "self.weight = Parameter(np.zeros((out_features, in_features)))\nbound = math.sqrt(1 / in_features)\n"
            "for row in self.weight.data:\n    row[:] = rng.uniform(low=-bound, high=bound, size=in_features)\n"
            "if bias is True:\n    self.bias = Parameter(np.zeros(out_features))\n"
            "    self.bias.data = rng.uniform(low=-bound, high=bound, size=out_features)"
        ),
    ),
    dict(
        task="03-5",
        how="standard normal numbers in float32, then scaled",
        body="w = rng.standard_normal(shape, dtype=np.float32)\nw *= math.sqrt(2 / fan_in)\nreturn w",
    ),
    dict(
        task="03-5",
        how="from two uniform numbers each",
        body=(
            "u, v = 1 - rng.random(shape), rng.random(shape)\n"
            "w = np.sqrt(-2 * np.log(u)) * np.cos(2 * math.pi * v) / np.sqrt(fan_in / 2)\nreturn w.astype(np.float32)"
        ),
    ),
    dict(
        task="03-5",
        how="number by number",
        body=(
            "w = np.empty(math.prod(shape), dtype=np.float32)\nfor i in range(w.size):\n"
            "    w[i] = rng.normal(scale=(2 / fan_in) ** 0.5)\nreturn w.reshape(shape)"
        ),
    ),
    dict(
        task="03-6",
        how="with signs drawn at random",
        body=SHAPES
        + "q = np.linalg.qr(rng.standard_normal(tall))[0] * rng.choice([-1.0, 1.0], size=tall[1])\n"
        + TURNED,
    ),
    dict(
        task="03-6",
        how="by singular values, all set to 1",
        body=SHAPES + "u, _, v = np.linalg.svd(rng.normal(size=tall), full_matrices=False)\nq = u @ v\n" + TURNED,
    ),
    dict(
        task="03-6",
        how="column by column, each straightened against those before it",
        body=SHAPES
        + (
            "q = np.zeros(tall)\nfor k in range(tall[1]):\n    column = rng.normal(size=tall[0])\n"
            "    for _ in range(2):\n        column -= q[:, :k] @ (q[:, :k].T @ column)\n"
            "    q[:, k] = column / np.linalg.norm(column)\n"
        )
        + TURNED,
    ),
    dict(
        task="03-7",
        how="folded",
        body="from functools import reduce\nreturn reduce(lambda value, layer: layer(value), self.layers, x)",
    ),
    dict(
        task="03-7",
        how="the first layer, and then the chain of the others",
        body="if len(self) == 0:\n    return x\nreturn self[1:].forward(self[0](x))",
    ),
    dict(
        task="03-7",
        how="by position, with a list of all values",
        body="values = [x]\nfor i in range(len(self)):\n    values.append(self[i](values[-1]))\nreturn values[-1]",
    ),
    dict(
        task="03-8",
        how="by a choice of the survivors' scale or 0",
        body=(
            "if self.p == 0 or self.training is False:\n    return x\nif self.p == 1:\n"
            "    return dropout(x, mask=np.zeros(x.shape, x.dtype))\nscale = 1 / (1 - self.p)\n"
            "return dropout(x, mask=np.where(rng.random(x.shape) < self.p, 0, scale).astype(x.dtype))"
        ),
    ),
    dict(
        task="03-8",
        how="by counting heads",
        body=(
            "if self.training and self.p > 0:\n    mask = rng.binomial(1, 1 - self.p, size=x.shape).astype(x.dtype)\n"
            "    if self.p < 1:\n        mask /= 1 - self.p\n    return dropout(x, mask=mask)\nreturn x"
        ),
    ),
    dict(
        task="03-8",
        how="by uniform numbers around 0, row by row",
        body=(
            "if not self.training or not self.p:\n    return x\nmask = np.zeros(x.shape, dtype=x.dtype)\n"
            "if self.p != 1:\n    for row in mask.reshape(-1, x.shape[-1] if x.ndim else 1):\n"
            "        row[rng.uniform(-1, 1, size=row.shape) < 1 - 2 * self.p] = 1 / (1 - self.p)\n"
            "return dropout(x, mask=mask)"
        ),
    ),
]
