"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

SHIFT = "x = logits - logits.max(axis=1, keepdims=True)\n"
POWERS = SHIFT + "powers = np.exp(x)\nsums = powers.sum(axis=1, keepdims=True)\n"
ROWS = "rows = np.arange(len(logits))\n"

WRONG = [
    dict(
        task="04-1",
        mistake="the squares are added, and not divided by their number",
        body="return np.sum(np.square(predictions - targets))",
    ),
    dict(
        task="04-1",
        mistake="the sum of the squares is divided by the number of rows, not of elements",
        body="return np.sum(np.square(predictions - targets)) / len(predictions)",
    ),
    dict(
        task="04-1",
        mistake="there is half of the mean square, as books write it to make the slope look simple",
        body="return 0.5 * np.mean(np.square(predictions - targets))",
    ),
    dict(
        task="04-1",
        mistake="distances are averaged, not squares",
        body="return np.mean(np.abs(predictions - targets))",
    ),
    dict(
        task="04-1",
        mistake="the root of the mean square is returned",
        body="return np.sqrt(np.mean(np.square(predictions - targets)))",
    ),
    dict(
        task="04-1",
        mistake="the mean is squared, so that errors of opposite signs cancel",
        body="return np.square(np.mean(predictions - targets))",
    ),
    dict(
        task="04-1",
        mistake="squares are subtracted, instead of squaring the difference",
        body="return np.mean(np.square(predictions) - np.square(targets))",
    ),
    dict(
        task="04-1",
        mistake="the mean runs along the last dimension only, so that one number is left for each row",
        body="return np.mean(np.square(predictions - targets), axis=-1)",
    ),
    dict(
        task="04-1",
        mistake="the difference is written into the predictions",
        body="predictions -= targets\nreturn np.mean(np.square(predictions))",
    ),
    dict(
        task="04-2",
        mistake="the minus is missing",
        body="return log_probabilities[np.arange(len(indices)), indices].mean()",
    ),
    dict(
        task="04-2",
        mistake="the logarithms are added, and not averaged",
        body="return -log_probabilities[np.arange(len(indices)), indices].sum()",
    ),
    dict(
        task="04-2",
        mistake="rows and columns are not read in pairs: every row is asked for every index",
        body="return -log_probabilities[:, indices].mean()",
    ),
    dict(
        task="04-2",
        mistake="the sum is divided by the number of all logarithms, not of the picked ones",
        body="return -log_probabilities[np.arange(len(indices)), indices].sum() / log_probabilities.size",
    ),
    dict(
        task="04-2",
        mistake="rows and columns have changed places",
        body="return -log_probabilities[indices, np.arange(len(indices))].mean()",
    ),
    dict(
        task="04-2",
        mistake="the logarithm is taken a second time",
        body="return -log_probabilities[np.arange(len(indices)), indices].log().mean()",
    ),
    dict(
        task="04-2",
        mistake="the mean is missing, so that one number is left for each row",
        body="return -log_probabilities[np.arange(len(indices)), indices]",
    ),
    dict(
        task="04-2",
        mistake="the largest logarithm of each row is taken, not that of the right class",
        body="return -log_probabilities.max(dim=-1).mean()",
    ),
    dict(
        task="04-2",
        mistake="the logarithms are turned back into probabilities before they are picked",
        body="return -log_probabilities.exp()[np.arange(len(indices)), indices].mean()",
    ),
    dict(
        task="04-2",
        mistake="it is computed on the array in the Tensor, and a NumPy number comes back",
        body="return -log_probabilities.data[np.arange(len(indices)), indices].mean()",
    ),
    dict(
        task="04-2",
        mistake="a new Tensor is made of the result, which has lost the way back",
        body="return Tensor(-log_probabilities.data[np.arange(len(indices)), indices].mean())",
    ),
    dict(
        task="04-3",
        mistake="nothing is checked before the conversion",
        body="return targets.astype(np.int64)",
    ),
    dict(
        task="04-3",
        mistake="an index equal to the number of classes is let through",
        body=(
            "wrong = (targets < 0) | (targets > classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="negative indices are let through",
        body=(
            "wrong = (targets >= classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="the values are cut to whole numbers before they are checked",
        body=(
            "indices = targets.astype(np.int64)\nwrong = (indices < 0) | (indices >= classes)\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return indices"
        ),
    ),
    dict(
        task="04-3",
        mistake="nan slips through, because every comparison with it is false",
        body=(
            "wrong = (targets < 0) | (targets >= classes) | (targets > np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "with np.errstate(all='ignore'):\n    return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="whole floats stay floats",
        body=(
            "wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return targets"
        ),
    ),
    dict(
        task="04-3",
        mistake="floats are refused, also if they are whole numbers",
        body=(
            "if targets.dtype.kind == 'f':\n    raise ValueError(f'class indices must be integers: {targets}')\n"
            "wrong = (targets < 0) | (targets >= classes)\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="the error names the last bad value, not the first",
        body=(
            "wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.flatnonzero(wrong)[-1])\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="the error does not say in which row the bad value stands",
        body=(
            "wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n"
            "    raise ValueError(f'class index {targets[wrong][0]}, with {classes} classes')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="the error does not say how many classes there are",
        body=(
            "wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise ValueError(f'class index {targets[row]} in row {row}')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-3",
        mistake="a bad index raises an IndexError, where a ValueError was promised",
        body=(
            "wrong = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))\n"
            "if wrong.any():\n    row = int(np.argmax(wrong))\n"
            "    raise IndexError(f'class index {targets[row]} in row {row}, with {classes} classes')\n"
            "return targets.astype(np.int64)"
        ),
    ),
    dict(
        task="04-4",
        mistake="the scores are not shifted, and overflow",
        body=(
            "powers = np.exp(logits)\nsums = powers.sum(axis=1, keepdims=True)\n"
            + ROWS
            + "return np.mean(np.log(sums[:, 0]) - logits[rows, indices]), powers / sums"
        ),
    ),
    dict(
        task="04-4",
        mistake="all rows are shifted by the largest score of the whole batch",
        body=(
            "x = logits - logits.max()\npowers = np.exp(x)\nsums = powers.sum(axis=1, keepdims=True)\n"
            + ROWS
            + "return np.mean(np.log(sums[:, 0]) - x[rows, indices]), powers / sums"
        ),
    ),
    dict(
        task="04-4",
        mistake="each column is shifted by its largest score, not each row",
        body=(
            "x = logits - logits.max(axis=0)\npowers = np.exp(x)\nsums = powers.sum(axis=1, keepdims=True)\n"
            + ROWS
            + "return np.mean(np.log(sums[:, 0]) - x[rows, indices]), powers / sums"
        ),
    ),
    dict(
        task="04-4",
        mistake="the logarithm is taken of the finished probabilities, which may be 0",
        body=POWERS + ROWS + "p = powers / sums\nreturn -np.mean(np.log(p[rows, indices])), p",
    ),
    dict(
        task="04-4",
        mistake="the score of the right class is picked after the powers were written over it",
        body=(
            SHIFT + ROWS + "np.exp(x, out=x)\nsums = x.sum(axis=1, keepdims=True)\n"
            "return np.mean(np.log(sums[:, 0]) - x[rows, indices]), x / sums"
        ),
    ),
    dict(
        task="04-4",
        mistake="the score of the right class is taken without the shift, and the sum with it",
        body=POWERS + ROWS + "return np.mean(np.log(sums[:, 0]) - logits[rows, indices]), powers / sums",
    ),
    dict(
        task="04-4",
        mistake="the losses of the rows are added, and not averaged",
        body=POWERS + ROWS + "return np.sum(np.log(sums[:, 0]) - x[rows, indices]), powers / sums",
    ),
    dict(
        task="04-4",
        mistake="the sign is turned, so that the loss is negative",
        body=POWERS + ROWS + "return np.mean(x[rows, indices] - np.log(sums[:, 0])), powers / sums",
    ),
    dict(
        task="04-4",
        mistake="the powers are returned without dividing them by their sums",
        body=POWERS + ROWS + "return np.mean(np.log(sums[:, 0]) - x[rows, indices]), powers",
    ),
    dict(
        task="04-4",
        mistake="the powers are divided by the sum over the whole batch",
        body=POWERS + ROWS + "return np.mean(np.log(sums[:, 0]) - x[rows, indices]), powers / powers.sum()",
    ),
    dict(
        task="04-4",
        mistake="the logarithm of the sum is missing",
        body=POWERS + ROWS + "return np.mean(sums[:, 0] - x[rows, indices]), powers / sums",
    ),
    dict(
        task="04-4",
        mistake="the shift is written into the logits, which belong to the caller",
        body=(
            "logits -= logits.max(axis=1, keepdims=True)\npowers = np.exp(logits)\n"
            "sums = powers.sum(axis=1, keepdims=True)\n"
            + ROWS
            + "return np.mean(np.log(sums[:, 0]) - logits[rows, indices]), powers / sums"
        ),
    ),
    dict(
        task="04-5",
        mistake="the mean runs over all elements, not over the rows",
        body=POWERS + "return -np.mean(shares * (x - np.log(sums))), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="the losses of the rows are added, and not averaged",
        body=POWERS + "return -np.sum(shares * (x - np.log(sums))), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="the minus is missing",
        body=POWERS + "return np.sum(shares * (x - np.log(sums))) / len(x), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="probabilities and shares have changed places: the logarithm is taken of the shares",
        body=POWERS + "p = powers / sums\nwith np.errstate(all='ignore'):\n"
        "    return -np.sum(p * np.log(shares)) / len(x), p",
    ),
    dict(
        task="04-5",
        mistake="only the largest share of each row counts",
        body=POWERS + ROWS + "log_p = x - np.log(sums)\n"
        "return -np.mean(log_p[rows, shares.argmax(axis=1)]), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="the probabilities are averaged first, and the logarithm is taken of the average",
        body=POWERS + "p = powers / sums\nreturn -np.mean(np.log(np.sum(shares * p, axis=1))), p",
    ),
    dict(
        task="04-5",
        mistake="the logarithm of the sum is missing",
        body=POWERS + "return -np.sum(shares * x) / len(x), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="the rows of the shares are divided by their sums first",
        body=POWERS + "s = shares / shares.sum(axis=1, keepdims=True)\n"
        "return -np.sum(s * (x - np.log(sums))) / len(x), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="the powers are returned without dividing them by their sums",
        body=POWERS + "return -np.sum(shares * (x - np.log(sums))) / len(x), powers",
    ),
    dict(
        task="04-5",
        mistake="the products are written into the shares, which belong to the caller",
        body=POWERS + "shares *= x - np.log(sums)\nreturn -shares.sum() / len(x), powers / sums",
    ),
    dict(
        task="04-5",
        mistake="the scores are not shifted, and overflow",
        body=(
            "powers = np.exp(logits)\nsums = powers.sum(axis=1, keepdims=True)\n"
            "return -np.sum(shares * (logits - np.log(sums))) / len(logits), powers / sums"
        ),
    ),
    dict(
        task="04-5",
        mistake="all rows are shifted by the largest score of the whole batch",
        body=(
            "x = logits - logits.max()\npowers = np.exp(x)\nsums = powers.sum(axis=1, keepdims=True)\n"
            "return -np.sum(shares * (x - np.log(sums))) / len(logits), powers / sums"
        ),
    ),
    dict(
        task="04-5",
        mistake="the logarithm is taken of the finished probabilities, which may be 0",
        body=POWERS + "p = powers / sums\nreturn -np.sum(shares * np.log(p)) / len(x), p",
    ),
    dict(
        task="04-6",
        mistake="the formula is typed as it stands, with the logarithm of a sigmoid that may be 0 or 1",
        body="s = 1 / (1 + np.exp(-x))\nreturn np.mean(-y * np.log(s) - (1 - y) * np.log(1 - s))",
    ),
    dict(
        task="04-6",
        mistake="the sigmoid is clipped away from 0 and 1, which makes all great mistakes equally great",
        body=(
            "s = np.clip(1 / (1 + np.exp(-x)), 1e-7, 1 - 1e-7)\n"
            "return np.mean(-y * np.log(s) - (1 - y) * np.log(1 - s))"
        ),
    ),
    dict(
        task="04-6",
        mistake="the logits are taken for probabilities",
        body="with np.errstate(all='ignore'):\n    return np.mean(-y * np.log(x) - (1 - y) * np.log(1 - x))",
    ),
    dict(
        task="04-6",
        mistake="the part for the answer no is forgotten",
        body="return np.mean(y * (np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))))",
    ),
    dict(
        task="04-6",
        mistake="the product of logit and label is added, not taken away",
        body="return np.mean(np.maximum(x, 0) + x * y + np.log1p(np.exp(-np.abs(x))))",
    ),
    dict(
        task="04-6",
        mistake="the maximum with zero is missing: it is the logit itself",
        body="return np.mean(x - x * y + np.log1p(np.exp(-np.abs(x))))",
    ),
    dict(
        task="04-6",
        mistake="the absolute value in the exponent is missing",
        body="return np.mean(np.maximum(x, 0) - x * y + np.log1p(np.exp(-x)))",
    ),
    dict(
        task="04-6",
        mistake="the form that is safe for negative logits is used for all",
        body="return np.mean(np.log1p(np.exp(x)) - x * y)",
    ),
    dict(
        task="04-6",
        mistake="the form that is safe for positive logits is used for all",
        body="return np.mean(x - x * y + np.log1p(np.exp(-x)))",
    ),
    dict(
        task="04-6",
        mistake="the logarithm of 1 + exp is formed without log1p, and loses what is small beside 1",
        body="return np.mean(np.maximum(x, 0) - x * y + np.log(1 + np.exp(-np.abs(x))))",
    ),
    dict(
        task="04-6",
        mistake="the losses are added, and not averaged",
        body="return np.sum(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))))",
    ),
    dict(
        task="04-6",
        mistake="the losses of a row are averaged, and one number is left for each row",
        body="return np.mean(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))), axis=-1)",
    ),
    dict(
        task="04-9",
        mistake="the straight line starts without half of delta, so that there is a jump at delta",
        body="r = np.abs(predictions - targets)\nreturn np.mean(np.where(r <= delta, 0.5 * r * r, delta * r))",
    ),
    dict(
        task="04-9",
        mistake="the square is not halved",
        body=(
            "r = np.abs(predictions - targets)\nreturn np.mean(np.where(r <= delta, r * r, delta * (r - 0.5 * delta)))"
        ),
    ),
    dict(
        task="04-9",
        mistake="the sign of the difference is kept, so that large negative ones count as small",
        body=(
            "r = predictions - targets\nreturn np.mean(np.where(r <= delta, 0.5 * r * r, delta * (r - 0.5 * delta)))"
        ),
    ),
    dict(
        task="04-10",
        mistake="the amount is shared out over the other classes only",
        body=(
            "one_hot = np.eye(classes, dtype=np.float32)[class_indices(targets, classes)]\n"
            "return (1 - amount) * one_hot + np.float32(amount / (classes - 1)) * (1 - one_hot)"
        ),
    ),
    dict(
        task="04-10",
        mistake="nothing is taken from the right class, so that a row adds up to more than 1",
        body=(
            "one_hot = np.eye(classes, dtype=np.float32)[class_indices(targets, classes)]\n"
            "return one_hot + np.float32(amount / classes)"
        ),
    ),
    dict(
        task="04-10",
        mistake="each class gets the whole amount",
        body=(
            "one_hot = np.eye(classes, dtype=np.float32)[class_indices(targets, classes)]\n"
            "return (1 - amount) * one_hot + np.float32(amount)"
        ),
    ),
]
