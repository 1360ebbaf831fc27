"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="09-1",
        how="by counting the places",
        body="return len(range(0, size + 2 * padding - dilation * (kernel - 1), stride))",
    ),
    dict(
        task="09-1",
        how="by a quotient of floating numbers that is rounded down, as PyTorch writes it",
        body="return math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)",
    ),
    dict(
        task="09-1",
        how="step by step, as long as the window fits",
        body=(
            "places, last = 0, dilation * (kernel - 1)\n"
            "while last < size + 2 * padding:\n"
            "    places, last = places + 1, last + stride\n"
            "return places"
        ),
    ),
    dict(
        task="09-2",
        how="by views that slide",
        body=(
            "(s, t), (d, e) = window.stride, window.dilation\n"
            "around = np.pad(x, ((p, p), (0, 0), (q, q), (0, 0)))\n"
            "extent = (d * (KH - 1) + 1, e * (KW - 1) + 1)\n"
            "views = np.lib.stride_tricks.sliding_window_view(around, extent, axis=(0, 2))\n"
            "views = views[::s, :, ::t, :, ::d, ::e]  # (OH, C, OW, N, KH, KW)\n"
            "return views.transpose(0, 1, 4, 5, 2, 3).reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        how="by gathering rows and columns of the image by their numbers",
        body=(
            "(s, t), (d, e) = window.stride, window.dilation\n"
            "around = np.pad(x, [(p, p), (0, 0), (q, q), (0, 0)], mode='constant')\n"
            "rows = s * np.arange(OH)[:, None] + d * np.arange(KH)\n"
            "columns = t * np.arange(OW)[:, None] + e * np.arange(KW)\n"
            "patches = around[rows[:, :, None, None], :, columns]  # (OH, KH, OW, KW, C, N)\n"
            "return patches.transpose(0, 4, 1, 3, 2, 5).reshape(OH, -1, OW * N) if x.size else (\n"
            "    np.zeros((OH, C * KH * KW, OW * N), dtype=x.dtype))"
        ),
    ),
    dict(
        task="09-2",
        how="by stacking what lies under each place of the kernel",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), x.dtype)\n"
            "around[p : p + H, :, q : q + W] = x\n"
            "return np.stack([around[key] for _, _, key in window.places()], axis=2).reshape(OH, C * KH * KW, OW * N)"
        ),
    ),
    dict(
        task="09-2",
        how="number by number",
        body=(
            "(s, t), (d, e) = window.stride, window.dilation\n"
            "columns = np.zeros((OH, C * KH * KW, OW * N), dtype=x.dtype)\n"
            "for row, (c, i, j) in enumerate(np.ndindex(C, KH, KW)):\n"
            "    for y in range(OH):\n"
            "        for place in range(OW):\n"
            "            down, across = y * s + i * d - p, place * t + j * e - q\n"
            "            if 0 <= down < H and 0 <= across < W:\n"
            "                columns[y, row, place * N : (place + 1) * N] = x[down, c, across]\n"
            "return columns"
        ),
    ),
    dict(
        task="09-3",
        how="by np.add.at on rows and columns of the image by their numbers",
        body=(
            "(s, t), (d, e) = window.stride, window.dilation\n"
            "blocks = columns.reshape(OH, C, KH, KW, OW, N).transpose(0, 2, 4, 3, 1, 5)  # (OH, KH, OW, KW, C, N)\n"
            "down = s * np.arange(OH)[:, None] + d * np.arange(KH)\n"
            "across = t * np.arange(OW)[:, None] + e * np.arange(KW)\n"
            "around = np.zeros((H + 2 * p, W + 2 * q, C, N), dtype=columns.dtype)\n"
            "np.add.at(around, (down[:, :, None, None], across), blocks)\n"
            "return around[p : p + H, q : q + W].transpose(0, 2, 1, 3)"
        ),
    ),
    dict(
        task="09-3",
        how="window by window, in float64",
        body=(
            "(s, t), (d, e) = window.stride, window.dilation\n"
            "blocks = columns.astype(np.float64).reshape(OH, C, KH, KW, OW, N)\n"
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N))\n"
            "for y in range(OH):\n"
            "    for place in range(OW):\n"
            "        patch = blocks[y, :, :, :, place].transpose(1, 0, 2, 3)  # (KH, C, KW, N)\n"
            "        top, left = y * s, place * t\n"
            "        around[top : top + d * KH : d, :, left : left + e * KW : e] += patch\n"
            "return around[p : H + p, :, q : W + q].astype(columns.dtype)"
        ),
    ),
    dict(
        task="09-3",
        how="over the places of the kernel backwards, with a copy at the end",
        body=(
            "around = np.zeros((H + 2 * p, C, W + 2 * q, N), columns.dtype)\n"
            "blocks = columns.reshape(OH, C, KH * KW, OW, N)\n"
            "for i, j, key in reversed(list(window.places())):\n"
            "    around[key] = around[key] + blocks[:, :, i * KW + j]\n"
            "return np.ascontiguousarray(around[window.inner])"
        ),
    ),
    dict(
        task="09-4",
        how="by einsum",
        body=(
            "columns = im2col(x, window)\n"
            "y = np.einsum('or,yrc->yoc', weight.reshape(OC, -1), columns)\n"
            "y = y if bias is None else y + bias.reshape(1, OC, 1)\n"
            "return batch_first(y.reshape(OH, OC, OW, N)), columns"
        ),
    ),
    dict(
        task="09-4",
        how="by tensordot, with the bias as a kernel more",
        body=(
            "columns = im2col(x, window)\n"
            "kernels, patches = weight.reshape(OC, C * KH * KW), columns\n"
            "if bias is not None:\n"
            "    kernels = np.concatenate([kernels, bias[:, None]], axis=1)\n"
            "    patches = np.concatenate([columns, np.ones((OH, 1, OW * N), columns.dtype)], axis=1)\n"
            "y = np.tensordot(kernels, patches, axes=(1, 1))  # (OC, OH, OW * N)\n"
            "return y.reshape(OC, OH, OW, N).transpose(3, 0, 1, 2), columns"
        ),
    ),
    dict(
        task="09-4",
        how="row of the map by row, in float64",
        body=(
            "columns = im2col(x, window)\n"
            "kernels = weight.astype(np.float64).reshape(OC, C * KH * KW)\n"
            "y = np.zeros((N, OC, OH, OW))\n"
            "for row in range(OH):\n"
            "    y[:, :, row] = (kernels @ columns[row]).reshape(OC, OW, N).transpose(2, 0, 1)\n"
            "if bias is not None:\n"
            "    y = y + bias[None, :, None, None]\n"
            "return y.astype(np.result_type(x, weight)), columns"
        ),
    ),
    dict(
        task="09-5",
        how="by einsum",
        body=(
            "def for_x():\n"
            "    return batch_first(col2im(np.einsum('or,yoc->yrc', K, G), window))\n"
            "\n"
            "def for_weight():\n"
            "    return np.einsum('yoc,yrc->or', G, columns).reshape(OC, C, KH, KW)\n"
            "\n"
            "return for_x, for_weight, lambda: np.einsum('yoc->o', G)"
        ),
    ),
    dict(
        task="09-5",
        how="row of the map by row",
        body=(
            "def for_weight():\n"
            "    total = np.zeros_like(K)\n"
            "    for row in range(OH):\n"
            "        total += G[row] @ columns[row].T\n"
            "    return total.reshape(weight.shape)\n"
            "\n"
            "def for_x():\n"
            "    return batch_first(col2im(np.stack([K.T @ G[row] for row in range(OH)]), window))\n"
            "\n"
            "return for_x, for_weight, lambda: sum(G[row].sum(axis=1) for row in range(OH))"
        ),
    ),
    dict(
        task="09-5",
        how="as one product for the kernels, with all rows of the map beside each other",
        body=(
            "wide = G.transpose(1, 0, 2).reshape(OC, OH * OW * N)\n"
            "patches = columns.transpose(1, 0, 2).reshape(C * KH * KW, OH * OW * N)\n"
            "return (\n"
            "    lambda: batch_first(col2im(np.matmul(np.transpose(K), G), window)),\n"
            "    lambda: np.dot(wide, patches.T).reshape(weight.shape),\n"
            "    lambda: g.sum(axis=(0, 2, 3)),\n"
            ")"
        ),
    ),
    dict(
        task="09-6",
        how="by choosing, and a book that is replaced",
        body=(
            "hit = np.logical_and(free, around[key] >= y)\n"
            "dx[key] = dx[key] + np.where(hit, g, 0)\n"
            "free = free & (around[key] < y)"
        ),
    ),
    dict(
        task="09-6",
        how="writing through a mask",
        body=("pixels = dx[key]\nwins = (around[key] == y) & free\npixels[wins] += g[wins]\nfree[wins] = False"),
    ),
    dict(
        task="09-6",
        how="winner by winner",
        body=(
            "pixels, values = dx[key], around[key]\n"
            "for place in np.argwhere(free):\n"
            "    place = tuple(place)\n"
            "    if values[place] == y[place]:\n"
            "        pixels[place] += g[place]\n"
            "        free[place] = False"
        ),
    ),
    dict(
        task="09-7",
        how="row by row, by the matrix of the derivatives",
        body=(
            "R, M = z.shape\n"
            "dx = np.zeros_like(g)\n"
            "for r in range(R):\n"
            "    jacobian = s[r, 0] * (np.eye(M) - 1 / M - np.outer(z[r], z[r]) / M)\n"
            "    dx[r] = jacobian @ g[r]\n"
            "return dx"
        ),
    ),
    dict(
        task="09-7",
        how="with sums, divided once by the length of a row",
        body=(
            "M = g.shape[1]\n"
            "shift, stretch = np.sum(g, axis=-1), np.vecdot(g, z)\n"
            "return (M * g - shift[:, None] - stretch[:, None] * z) * s / M"
        ),
    ),
    dict(
        task="09-7",
        how="step by step through the derivatives of the mean and the spread, in terms of x - mean",
        body=(
            "M = z.shape[1]\n"
            "centred = z / s\n"
            "for_variance = np.einsum('rm,rm->r', g, centred)[:, None] * -0.5 * s**3\n"
            "for_mean = (-s * g).sum(axis=1, keepdims=True)\n"
            "return s * g + for_variance * 2 * centred / M + for_mean / M"
        ),
    ),
    dict(
        task="09-8",
        how="with new arrays in the running values, and one scale and one shift in use",
        body=(
            "if training:\n"
            "    y, mean, variance = by_batch(x, weight, bias, eps)\n"
            "    running_mean.data = (1 - momentum) * running_mean.data + momentum * mean\n"
            "    running_var.data = (1 - momentum) * running_var.data + momentum * variance * (n / (n - 1))\n"
            "    return y\n"
            "s = 1 / np.sqrt(running_var.data + eps)\n"
            "scale = s if weight is None else weight * s\n"
            "y = x * by_channel(scale, ndim) - by_channel(scale * running_mean.data, ndim)\n"
            "return y if bias is None else y + by_channel(bias, ndim)"
        ),
    ),
    dict(
        task="09-8",
        how="by a step towards the batch, and by division in use",
        body=(
            "if not training:\n"
            "    centred = x - by_channel(running_mean.data, ndim)\n"
            "    y = centred / by_channel((running_var.data + eps) ** 0.5, ndim)\n"
            "    y = y if weight is None else by_channel(weight, ndim) * y\n"
            "    return y if bias is None else by_channel(bias, ndim) + y\n"
            "result, mean, variance = by_batch(x, weight, bias, eps)\n"
            "for running, new in ((running_mean, mean), (running_var, variance * n / (n - 1))):\n"
            "    running.detach()[...] = running.data + momentum * (new - running.data)\n"
            "return result"
        ),
    ),
    dict(
        task="09-8",
        how="with mean and variance of the batch computed once more",
        body=(
            "others = tuple(d for d in range(ndim) if d != 1)\n"
            "if training:\n"
            "    y, _, _ = by_batch(x, weight, bias, eps)\n"
            "    mean, variance = x.data.mean(axis=others), np.var(x.data, axis=others, ddof=1)\n"
            "    running_mean.data = accumulate(running_mean.data, momentum * mean, 1 - momentum)\n"
            "    running_var.data = accumulate(running_var.data, momentum * variance, 1 - momentum)\n"
            "    return y\n"
            "shape = (1, C, *[1] * (ndim - 2))\n"
            "y = (x - running_mean.data.reshape(shape)) * (1 / np.sqrt(running_var.data + eps)).reshape(shape)\n"
            "y = y * (1.0 if weight is None else weight.reshape(*shape))\n"
            "return y + (0.0 if bias is None else bias.reshape(*shape))"
        ),
    ),
]
