"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="10-1",
        how="by matrix products, the weights transposed",
        body=(
            "from_x = x @ weight_ih.transpose(0, 1)\n"
            "from_h = h @ weight_hh.transpose(0, 1)\n"
            "return tanh(from_x + from_h + (bias_ih + bias_hh))"
        ),
    ),
    dict(
        task="10-1",
        how="in columns, as the formula is written",
        body=(
            "columns = weight_ih @ x.transpose(0, 1) + weight_hh @ h.transpose(0, 1)\n"
            "biases = (bias_ih + bias_hh).reshape(len(bias_ih), 1)\n"
            "return tanh(columns + biases).transpose(0, 1)"
        ),
    ),
    dict(
        task="10-1",
        how="as one product of inputs and state side by side",
        body=(
            "from tinytorch.core.tensor import concatenate\n"
            "both = concatenate([x, h], dim=1)\n"
            "weight = concatenate([weight_ih, weight_hh], dim=1)\n"
            "return tanh(linear(both, weight, bias_ih) + bias_hh)"
        ),
    ),
    dict(
        task="10-1",
        how="by exponentials",
        body=("a = 2 * (linear(x, weight_ih, bias_ih) + linear(h, weight_hh, bias_hh))\nreturn 2 * sigmoid(a) - 1"),
    ),
    dict(
        task="10-2",
        how="gate by gate, each with rows of the weights of its own",
        body=(
            "def gate(k):\n"
            "    rows = slice(k * H, (k + 1) * H)\n"
            "    return linear(x, weight_ih[rows], bias_ih[rows]) + linear(h, weight_hh[rows], bias_hh[rows])\n"
            "\n"
            "memory = sigmoid(gate(1)) * c + sigmoid(gate(0)) * tanh(gate(2))\n"
            "return sigmoid(gate(3)) * tanh(memory), memory"
        ),
    ),
    dict(
        task="10-2",
        how="with the blocks as a dimension, and sigmoids made of tanh",
        body=(
            "a = (x @ weight_ih.transpose(0, 1) + h @ weight_hh.transpose(0, 1) + bias_ih + bias_hh)\n"
            "a = a.reshape(h.shape[0], 4, H)\n"
            "i, f, o = ((tanh(a[:, k] / 2) + 1) / 2 for k in (0, 1, 3))\n"
            "new = i * tanh(a[:, 2]) + f * c\n"
            "return tanh(new) * o, new"
        ),
    ),
    dict(
        task="10-2",
        how="with one sigmoid over all blocks, of which the third is not used",
        body=(
            "a = linear(h, weight_hh, bias_hh) + linear(x, weight_ih, bias_ih)\n"
            "gates = sigmoid(a)\n"
            "i, f, o = gates[..., :H], gates[..., H : 2 * H], gates[..., -H:]\n"
            "c = c * f\n"
            "c = c + i * tanh(a[..., 2 * H : -H])\n"
            "h = o * tanh(c)\n"
            "return h, c"
        ),
    ),
    dict(
        task="10-3",
        how="as news and a step towards the old state",
        body=(
            "u = x @ weight_ih.transpose(0, 1) + bias_ih\n"
            "v = h @ weight_hh.transpose(0, 1) + bias_hh\n"
            "gates = sigmoid(u[:, : 2 * H] + v[:, : 2 * H])\n"
            "n = tanh(gates[:, :H] * v[:, 2 * H :] + u[:, 2 * H :])\n"
            "return n + gates[:, H:] * (h - n)"
        ),
    ),
    dict(
        task="10-3",
        how="gate by gate, each with rows of the weights of its own",
        body=(
            "def shares(k):\n"
            "    rows = slice(k * H, (k + 1) * H)\n"
            "    return linear(x, weight_ih[rows], bias_ih[rows]), linear(h, weight_hh[rows], bias_hh[rows])\n"
            "\n"
            "reset, update, (from_x, from_h) = sigmoid(sum(shares(0))), sigmoid(sum(shares(1))), shares(2)\n"
            "news = tanh(from_x + reset * from_h)\n"
            "return news - update * news + update * h"
        ),
    ),
    dict(
        task="10-3",
        how="with the share of the news as a gate of its own, the sigmoid of the opposite",
        body=(
            "u = linear(x, weight_ih, bias_ih).reshape(x.shape[0], 3, H)\n"
            "v = linear(h, weight_hh, bias_hh).reshape(h.shape[0], 3, H)\n"
            "news = tanh(u[:, 2] + v[:, 2] * ((1 + tanh((u[:, 0] + v[:, 0]) / 2)) / 2))\n"
            "a = u[:, 1] + v[:, 1]\n"
            "return sigmoid(-a) * news + sigmoid(a) * h"
        ),
    ),
    dict(
        task="10-4",
        how="block by block into arrays of zeros",
        body=(
            "weight_ih = np.zeros((gates * H, D), dtype=np.float32)\n"
            "weight_hh = np.zeros((gates * H, H), dtype=np.float32)\n"
            "for k in range(gates):\n"
            "    weight_ih[k * H : (k + 1) * H] = xavier((H, D), rng)\n"
            "for k in range(gates):\n"
            "    weight_hh[k * H : (k + 1) * H] = orthogonal((H, H), rng)\n"
            "bias_ih = np.repeat(np.float32([k == forget for k in range(gates)]), H)\n"
            "return weight_ih, weight_hh, bias_ih, np.zeros_like(bias_ih)"
        ),
    ),
    dict(
        task="10-4",
        how="with the blocks stacked, the recurrent ones drawn first, and one vector of booleans",
        body=(
            "weight_hh = np.vstack([orthogonal((H, H), rng) for _ in range(gates)])\n"
            "weight_ih = np.stack([xavier((H, D), rng) for _ in range(gates)]).reshape(gates * H, D)\n"
            "block = np.arange(gates * H) // H\n"
            "bias_ih = (block == (-1 if forget is None else forget)).astype(np.float32)\n"
            "return weight_ih, weight_hh, bias_ih, np.zeros(gates * H, np.float32)"
        ),
    ),
    dict(
        task="10-4",
        how="with draws of its own in place of those of module 03",
        body=(
            "bound = (6 / (H + D)) ** 0.5\n"
            "weight_ih = bound * (2 * rng.random((gates * H, D), dtype=np.float32) - 1)\n"
            "weight_hh = np.zeros((0, H))\n"
            "for _ in range(gates):\n"
            "    u, _, v = np.linalg.svd(rng.standard_normal((H, H)))\n"
            "    weight_hh = np.append(weight_hh, u @ v, axis=0)\n"
            "biases = np.zeros((2, gates, H), dtype=np.float32)\n"
            "if forget is not None:\n"
            "    biases[0, forget] += 1\n"
            "return np.float32(weight_ih), np.float32(weight_hh), biases[0].ravel(), biases[1].ravel()"
        ),
    ),
    dict(
        task="10-5",
        how="by a product with the mask and with its opposite",
        body=(
            "for t in range(mask.shape[1]):\n"
            "    reads = Tensor(mask[:, t : t + 1].astype(X.dtype), dtype=X.dtype)\n"
            "    new = step(X[:, t, :], state)\n"
            "    state = tuple([b * reads + a * (1 - reads) for a, b in zip(state, new)])\n"
            "    outputs += [state[0]]\n"
            "return stack(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-5",
        how="stacked with time first and turned around, over a list of states",
        body=(
            "states = [tuple(state)]\n"
            "for t, reads in enumerate(mask.T):\n"
            "    before, after = states[-1], step(X[:, t], states[-1])\n"
            "    states.append(tuple(where(reads[:, None], after[k], before[k]) for k in range(len(before))))\n"
            "outputs = [parts[0] for parts in states[1:]]\n"
            "return stack(outputs, dim=0).transpose(0, 1), states[-1]"
        ),
    ),
    dict(
        task="10-5",
        how="choosing the old state where nothing is read, only at steps where some sequence has ended",
        body=(
            "t = 0\n"
            "while t < X.shape[1]:\n"
            "    new = step(X[:, t], state)\n"
            "    ended = np.logical_not(mask[:, t]).reshape(-1, 1)\n"
            "    if ended.any():\n"
            "        new = tuple(where(ended, old, fresh) for old, fresh in zip(state, new))\n"
            "    state, t = tuple(new), t + 1\n"
            "    outputs.append(new[0].reshape(new[0].shape[0], 1, new[0].shape[1]))\n"
            "from tinytorch.core.tensor import concatenate\n"
            "return concatenate(outputs, dim=1), state"
        ),
    ),
    dict(
        task="10-6",
        how="choosing by np.where, with all slopes at once before the loop",
        body=(
            "slopes = 1 - states[1:] * states[1:]\n"
            "for t in range(T - 1, -1, -1):\n"
            "    da[t] = np.where(mask[t], dh * slopes[t], 0.0)\n"
            "    dh = np.where(mask[t], da[t] @ weight_hh, dh) + g[t]\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-6",
        how="sequence by sequence and number by number",
        body=(
            "H = weight_hh.shape[0]\n"
            "carried = g.copy()\n"
            "for b in range(g.shape[1]):\n"
            "    for t in reversed(range(T)):\n"
            "        reads = bool(mask[t, b, 0])\n"
            "        for k in range(H):\n"
            "            da[t, b, k] = carried[t + 1, b, k] * (1 - states[t + 1, b, k] ** 2) if reads else 0.0\n"
            "        for k in range(H):\n"
            "            back = sum(da[t, b, j] * weight_hh[j, k] for j in range(H))\n"
            "            carried[t, b, k] += back if reads else carried[t + 1, b, k]\n"
            "return da, carried[0]"
        ),
    ),
    dict(
        task="10-6",
        how="writing through the mask, by einsum",
        body=(
            "dh = dh.copy()\n"
            "da[...] = 0\n"
            "for t in reversed(range(T)):\n"
            "    rows = mask[t, :, 0]\n"
            "    da[t, rows] = dh[rows] * (1 - states[t + 1][rows] ** 2)\n"
            "    dh[rows] = np.einsum('bj,jk->bk', da[t, rows], weight_hh)\n"
            "    dh += g[t]\n"
            "return da, dh"
        ),
    ),
    dict(
        task="10-7",
        how="block by block, sigmoids by exponentials",
        body=(
            "i, f, g, o = blocks(a, 4)\n"
            "for block in (i, f, o):\n"
            "    block[...] = 1 / (1 + np.exp(-block))\n"
            "np.tanh(g, out=g)\n"
            "new = i * g\n"
            "new += f * c\n"
            "shown = np.tanh(new)\n"
            "return shown * o, new, shown"
        ),
    ),
    dict(
        task="10-7",
        how="with the formula in one line, put back into the memory of a",
        body=(
            "a[...] = np.tanh(a * half) * half + (1 - half)\n"
            "H = c.shape[1]\n"
            "new = a[:, H : 2 * H] * c + a[:, :H] * a[:, 2 * H : 3 * H]\n"
            "return a[:, 3 * H :] * np.tanh(new), new, np.tanh(new)"
        ),
    ),
    dict(
        task="10-7",
        how="in float64, rounded at the end",
        body=(
            "H = c.shape[1]\n"
            "wide = a.astype(np.float64).reshape(len(a), 4, H)\n"
            "gates = 0.5 * (1 + np.tanh(wide / 2))\n"
            "gates[:, 2] = np.tanh(wide[:, 2])\n"
            "np.copyto(a, gates.reshape(a.shape), casting='same_kind')\n"
            "new = gates[:, 1] * c + gates[:, 0] * gates[:, 2]\n"
            "shown = np.tanh(new)\n"
            "return tuple(result.astype(a.dtype) for result in (gates[:, 3] * shown, new, shown))"
        ),
    ),
    dict(
        task="10-8",
        how="block by block, each with the slope of its own",
        body=(
            "do[...] = dh * squashed * o * (1 - o)\n"
            "total = dc + dh * o * (1 - squashed**2)\n"
            "di[...] = total * g * i * (1 - i)\n"
            "df[...] = total * c * f * (1 - f)\n"
            "dg[...] = total * i * (1 - g**2)\n"
            "return da, total * f"
        ),
    ),
    dict(
        task="10-8",
        how="with all blocks as a dimension, written at once",
        body=(
            "B, H = c.shape\n"
            "total = dh * o - dh * o * squashed * squashed + dc\n"
            "parts = np.stack([total * g, total * c, total * i, dh * squashed], axis=1).reshape(B, 4 * H)\n"
            "slopes = gates - gates * gates\n"
            "slopes[:, 2 * H : 3 * H] = 1 - g * g\n"
            "np.multiply(parts, slopes, out=da)\n"
            "return da, np.multiply(total, f)"
        ),
    ),
    dict(
        task="10-8",
        how="number by number",
        body=(
            "before = np.zeros_like(c)\n"
            "for b, k in np.ndindex(*c.shape):\n"
            "    total = dc[b, k] + dh[b, k] * o[b, k] * (1 - squashed[b, k]) * (1 + squashed[b, k])\n"
            "    di[b, k] = total * g[b, k] * i[b, k] * (1 - i[b, k])\n"
            "    df[b, k] = total * c[b, k] * f[b, k] * (1 - f[b, k])\n"
            "    dg[b, k] = total * i[b, k] * (1 - g[b, k]) * (1 + g[b, k])\n"
            "    do[b, k] = dh[b, k] * squashed[b, k] * o[b, k] * (1 - o[b, k])\n"
            "    before[b, k] = total * f[b, k]\n"
            "return da, before"
        ),
    ),
]
