"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="11-1",
        how="with queries that are scaled before the product",
        body=(
            "order = [*range(k.ndim - 2), k.ndim - 1, k.ndim - 2]\nreturn (q * q.shape[-1] ** -0.5) @ k.permute(*order)"
        ),
    ),
    dict(
        task="11-1",
        how="keys against queries, and turned around afterwards",
        body="return (k @ q.transpose(-1, -2)).transpose(-1, -2) / np.sqrt(k.shape[-1])",
    ),
    dict(
        task="11-1",
        how="as a sum over the features of all pairs",
        body=(
            "*stack, T, d = q.shape\n"
            "S = k.shape[-2]\n"
            "pairs = q.reshape(*stack, T, 1, d) * k.reshape(*stack, 1, S, d)\n"
            "return pairs.sum(dim=-1) * (1 / math.sqrt(d))"
        ),
    ),
    dict(
        task="11-2",
        how="with powers of what may be seen only",
        body=(
            "seen = np.broadcast_to(True if mask is None else mask, scores.shape)\n"
            "top = np.max(scores, axis=-1, keepdims=True, where=seen, initial=-np.inf)\n"
            "powers = np.zeros_like(scores)\n"
            "np.exp(scores - np.where(np.isfinite(top), top, 0), where=seen, out=powers)\n"
            "total = np.sum(powers, axis=-1, keepdims=True)\n"
            "return np.divide(powers, total, where=total > 0, out=np.zeros_like(powers))"
        ),
    ),
    dict(
        task="11-2",
        how="by the logarithm of the sum of the powers",
        body=(
            "hidden = scores if mask is None else np.where(mask, scores, -np.inf)\n"
            "top = np.maximum(hidden.max(axis=-1, keepdims=True), np.finfo(scores.dtype).min)\n"
            "with np.errstate(invalid='ignore'):\n"
            "    below = hidden - top\n"
            "    shares = np.exp(below - np.logaddexp.reduce(below, axis=-1, keepdims=True))\n"
            "return np.nan_to_num(shares, nan=0.0)"
        ),
    ),
    dict(
        task="11-2",
        how="row by row, in float64",
        body=(
            "shape = scores.shape if mask is None else np.broadcast_shapes(scores.shape, mask.shape)\n"
            "rows = np.broadcast_to(scores, shape).astype(np.float64).reshape(-1, shape[-1])\n"
            "seen = np.broadcast_to(True if mask is None else mask, shape).reshape(rows.shape)\n"
            "shares = np.zeros_like(rows)\n"
            "for share, row, may in zip(shares, rows, seen):\n"
            "    if may.any():\n"
            "        powers = np.exp(row[may] - row[may].max())\n"
            "        share[may] = powers / powers.sum()\n"
            "return shares.reshape(shape).astype(scores.dtype)"
        ),
    ),
    dict(
        task="11-3",
        how="as the lower part of a matrix of ones",
        body="return Tensor(np.tril(np.ones((queries, keys), dtype=bool), k=keys - queries))",
    ),
    dict(
        task="11-3",
        how="place by place, as the last rows of the mask of all places",
        body=(
            "table = np.zeros((keys, keys), dtype=bool)\n"
            "for i in range(keys):\n"
            "    table[i, : i + 1] = True\n"
            "return Tensor(table[keys - queries :])"
        ),
    ),
    dict(
        task="11-3",
        how="by what is not in the future",
        body=(
            "first = keys - queries\nreturn Tensor([[not s > first + t for s in range(keys)] for t in range(queries)])"
        ),
    ),
    dict(
        task="11-4",
        how="by einsum, and the sum of each row through the result",
        body=(
            "y = weights @ v\n"
            "arrived = np.einsum('...te,...se->...ts', g, v)\n"
            "scores = weights * (arrived - np.einsum('...te,...te->...t', g, y)[..., None])\n"
            "scores /= math.sqrt(q.shape[-1])\n"
            "return (\n"
            "    lambda: np.einsum('...ts,...sd->...td', scores, k),\n"
            "    lambda: np.einsum('...ts,...td->...sd', scores, q),\n"
            "    lambda: np.einsum('...ts,...te->...se', weights, g),\n"
            ")"
        ),
    ),
    dict(
        task="11-4",
        how="matrix by matrix and row by row, by the derivatives of the softmax",
        body=(
            "root, stack = np.sqrt(q.shape[-1]), weights.shape[:-2]\n"
            "dq, dk, dv = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)\n"
            "for n in np.ndindex(*stack):\n"
            "    for t, p in enumerate(weights[n]):\n"
            "        scores = (np.diag(p) - np.outer(p, p)) @ (v[n] @ g[n][t])\n"
            "        dq[n][t] = scores @ k[n] / root\n"
            "        dk[n][...] += np.outer(scores, q[n][t]) / root\n"
            "        dv[n][...] += np.outer(p, g[n][t])\n"
            "return lambda: dq, lambda: dk, lambda: dv"
        ),
    ),
    dict(
        task="11-4",
        how="with matrices transposed by moveaxis, and queries and keys scaled first",
        body=(
            "def turned(a):\n"
            "    return np.moveaxis(a, -1, -2)\n"
            "\n"
            "gp = (g @ turned(v)) * weights\n"
            "scores = gp - weights * np.sum(gp, axis=-1, keepdims=True)\n"
            "shrink = 1 / math.sqrt(q.shape[-1])\n"
            "\n"
            "def for_q():\n"
            "    return np.matmul(scores, k * shrink)\n"
            "\n"
            "def for_k():\n"
            "    return turned(turned(q * shrink) @ scores)\n"
            "\n"
            "return for_q, for_k, lambda: turned(turned(g) @ weights)"
        ),
    ),
    dict(
        task="11-5",
        how="by stacking slices of the features",
        body=("D = E // num_heads\nreturn stack([x[:, :, h * D : (h + 1) * D] for h in range(num_heads)], dim=1)"),
    ),
    dict(
        task="11-5",
        how="by permute",
        body="return x.reshape(N, T, num_heads, -1).permute(0, 2, 1, 3)",
    ),
    dict(
        task="11-5",
        how="through features first: (N, E, T), cut there, and exchanged at the end",
        body="return x.transpose(1, 2).reshape(N, num_heads, E // num_heads, T).transpose(2, 3)",
    ),
    dict(
        task="11-6",
        how="by gluing the heads along the features",
        body=("from tinytorch.core.tensor import concatenate\nreturn concatenate([x[:, h] for h in range(H)], dim=2)"),
    ),
    dict(
        task="11-6",
        how="by permute",
        body="return x.permute(0, 2, 1, 3).reshape(N, T, -1)",
    ),
    dict(
        task="11-6",
        how="through features first: (N, H, D, T), joined there, and exchanged at the end",
        body="return x.transpose(2, 3).reshape(N, H * D, T).transpose(1, 2)",
    ),
    dict(
        task="11-7",
        how="head by head",
        body=(
            "from tinytorch.core.tensor import concatenate\n"
            "q, k, v = (self.project(x, part) for part, x in enumerate((query, key, value)))\n"
            "D = self.embed_dim // self.num_heads\n"
            "if mask is not None and mask.ndim == 4:\n"
            "    mask = mask[:, 0]\n"
            "heads = []\n"
            "for first in range(0, self.embed_dim, D):\n"
            "    part = slice(first, first + D)\n"
            "    heads.append(scaled_dot_product_attention(q[..., part], k[..., part], v[..., part], mask))\n"
            "return self.out_proj(concatenate(heads, dim=2))"
        ),
    ),
    dict(
        task="11-7",
        how="in the composed form",
        body=(
            "sources = enumerate([query, key, value])\n"
            "q, k, v = [split_heads(self.project(x, part), self.num_heads) for part, x in sources]\n"
            "found = composed_attention(q, k, v, mask)\n"
            "return self.out_proj(join_heads(found))"
        ),
    ),
    dict(
        task="11-7",
        how="with all three thirds of the packed weight at once, of which one is taken for each input",
        body=(
            "def third(x, part):\n"
            "    wide = linear(x, self.in_proj_weight, self.in_proj_bias)\n"
            "    columns = slice(part * self.embed_dim, (part + 1) * self.embed_dim)\n"
            "    return split_heads(wide[:, :, columns], self.num_heads)\n"
            "\n"
            "y = scaled_dot_product_attention(third(query, 0), third(key, 1), third(value, 2), mask)\n"
            "y = join_heads(y)\n"
            "return linear(y, self.out_proj.weight, self.out_proj.bias)"
        ),
    ),
    dict(
        task="11-8",
        how="number by number",
        body=(
            "for t in range(length):\n"
            "    for i in range(dim // 2):\n"
            "        angle = t / 10000 ** (2 * i / dim)\n"
            "        out[t, 2 * i], out[t, 2 * i + 1] = math.sin(angle), math.cos(angle)"
        ),
    ),
    dict(
        task="11-8",
        how="by exponentials of logarithms, both hands stacked",
        body=(
            "speed = np.exp(-math.log(10000) * np.arange(dim // 2) * 2 / dim)\n"
            "angle = np.outer(np.arange(length), speed)\n"
            "out = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, dim)"
        ),
    ),
    dict(
        task="11-8",
        how="in float32, the cosine as a sine a quarter turn ahead",
        body=(
            "column = np.arange(dim)\n"
            "speed = np.float32(10000) ** ((column // 2 * -2 / dim).astype(np.float32))\n"
            "ahead = (column % 2).astype(np.float32) * np.float32(np.pi / 2)\n"
            "out[:] = np.sin(np.arange(length, dtype=np.float32)[:, None] * speed + ahead)"
        ),
    ),
    dict(
        task="11-8",
        how="by a complex exponential",
        body=(
            "hands = np.exp(1j * np.arange(length)[:, None] * 1e4 ** (-np.arange(dim // 2) / (dim / 2)))\n"
            "out[..., ::2] = hands.imag\n"
            "out[..., 1::2] = hands.real"
        ),
    ),
]
