"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="04-1",
        how="by a product of the differences with themselves",
        body="d = (targets - predictions).ravel()\nreturn np.dot(d, d) / d.size",
    ),
    dict(
        task="04-1",
        how="element by element",
        body=(
            "total = 0.0\nfor place in np.ndindex(predictions.shape):\n"
            "    total += float(predictions[place] - targets[place]) ** 2\nreturn np.array(total / predictions.size)"
        ),
    ),
    dict(
        task="04-1",
        how="the variance of the differences and the square of their mean, in float64 inside",
        body="d = predictions.astype(np.float64) - targets\nreturn np.var(d) + np.mean(d) ** 2",
    ),
    dict(
        task="04-2",
        how="by a table with a 1 in each row",
        body=(
            "chosen = np.zeros(log_probabilities.shape)\nchosen[np.arange(len(chosen)), indices] = 1\n"
            "return -((log_probabilities * chosen).sum() / len(chosen))"
        ),
    ),
    dict(
        task="04-2",
        how="row by row",
        body=(
            "total = 0.0\nfor row, index in enumerate(indices):\n"
            "    total = total - log_probabilities[row, int(index)]\nreturn total / len(indices)"
        ),
    ),
    dict(
        task="04-2",
        how="by the number of each place in one long row",
        body=(
            "classes = log_probabilities.shape[1]\nplaces = np.arange(0, log_probabilities.size, classes) + indices\n"
            "return log_probabilities.reshape(-1)[places].mean() * -1.0"
        ),
    ),
    dict(
        task="04-3",
        how="label by label",
        body=(
            "for row, value in enumerate(targets):\n"
            "    if not (0 <= value < classes) or value != np.floor(value):\n"
            '        raise ValueError(f"{value} in row {row} is none of {classes} classes")\n'
            "return np.array(targets, dtype=np.int64)"
        ),
    ),
    dict(
        task="04-3",
        how="by whether each is one of the classes",
        body=(
            "bad = np.flatnonzero(~np.isin(targets, np.arange(classes)))\nif len(bad):\n"
            '    raise ValueError(f"row {bad[0]} holds {targets[bad[0]]}, and there are {classes} classes")\n'
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        how="by what is good, and a remainder",
        body=(
            "with np.errstate(invalid='ignore'):\n    whole = targets % 1 == 0\n"
            "good = whole & (targets >= 0) & (targets < classes)\n"
            "if not good.all():\n    row = good.tolist().index(False)\n"
            '    raise ValueError(f"{classes} classes, and row {row} has {targets[row]}")\n'
            "out = np.empty(targets.shape, dtype=np.int64)\nout[:] = targets\nreturn out"
        ),
    ),
    dict(
        task="04-4",
        how="by a table with a 1 in each row",
        body=(
            "x = logits - np.max(logits, axis=1)[:, None]\npowers = np.exp(x)\nsums = powers.sum(axis=1)[:, None]\n"
            "chosen = np.arange(logits.shape[1]) == indices[:, None]\n"
            "return -np.where(chosen, x - np.log(sums), 0).sum() / logits.dtype.type(len(x)), powers / sums"
        ),
    ),
    dict(
        task="04-4",
        how="row by row",
        body=(
            "p, losses = np.empty_like(logits), []\nfor n, (row, index) in enumerate(zip(logits, indices)):\n"
            "    powers = np.exp(row - row.max())\n    p[n] = powers / powers.sum()\n"
            "    losses.append(np.log(powers.sum()) - (row[index] - row.max()))\n"
            "return np.mean(losses, dtype=logits.dtype), p"
        ),
    ),
    dict(
        task="04-4",
        how="by the logarithms of p, in float64 inside",
        body=(
            "x = logits.astype(np.float64)\nlog_p = x - np.logaddexp.reduce(x, axis=1, keepdims=True)\n"
            "loss = -np.take_along_axis(log_p, indices.reshape(-1, 1), axis=1).mean()\n"
            "return loss.astype(logits.dtype), np.exp(log_p).astype(logits.dtype)"
        ),
    ),
    dict(
        task="04-4",
        how="by how much each score lies above that of the right class",
        body=(
            "rows = np.arange(len(logits))\nm = logits.max(axis=1, keepdims=True)\n"
            "powers = np.exp(logits - m)\nsums = np.einsum('nc->n', powers)\n"
            "losses = (m[:, 0] - logits[rows, indices]) + np.log(sums)\nreturn losses.mean(), powers / sums[:, None]"
        ),
    ),
    dict(
        task="04-5",
        how="by einsum",
        body=(
            "x = logits - logits.max(axis=1, keepdims=True)\npowers = np.exp(x)\nsums = powers.sum(axis=1)\n"
            "losses = np.log(sums) * shares.sum(axis=1) - np.einsum('nc,nc->n', shares, x)\n"
            "return losses.mean(), powers / sums[:, None]"
        ),
    ),
    dict(
        task="04-5",
        how="in float64 inside",
        body=(
            "x = logits.astype(np.float64)\nx -= x.max(axis=1, keepdims=True)\n"
            "x -= np.log(np.exp(x).sum(axis=1, keepdims=True))\nloss = -(shares * x).sum() / x.shape[0]\n"
            "return logits.dtype.type(loss), np.exp(x).astype(logits.dtype)"
        ),
    ),
    dict(
        task="04-5",
        how="row by row",
        body=(
            "p, total = np.zeros_like(logits), np.zeros((), logits.dtype)\nfor n in range(len(logits)):\n"
            "    x = logits[n] - logits[n].max()\n    log_p = x - np.log(np.sum(np.exp(x)))\n"
            "    p[n] = np.exp(log_p)\n    total = total - np.dot(shares[n], log_p)\nreturn total / len(logits), p"
        ),
    ),
    dict(
        task="04-6",
        how="both answers, weighted by the label",
        body="losses = y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)\nreturn losses.sum() / losses.size",
    ),
    dict(
        task="04-6",
        how="one case for each sign",
        body="e = np.log1p(np.exp(-np.abs(x)))\nreturn np.where(x < 0, e - x * y, e + x * (1 - y)).mean()",
    ),
    dict(
        task="04-6",
        how="answer by answer, in float64 inside",
        body=(
            "total = 0.0\nfor place in np.ndindex(x.shape):\n    v, label = float(x[place]), float(y[place])\n"
            "    total += max(v, 0.0) - v * label + np.log1p(np.exp(-abs(v)))\nreturn np.float64(total / x.size)"
        ),
    ),
]
