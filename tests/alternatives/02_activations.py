"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

CUBE = "inside = math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x**2)\n"

RIGHT = [
    dict(task="02-1", how="chosen by what is to become 0", body="return np.where(x < 0, 0, x)"),
    dict(task="02-1", how="clipped from below", body="return np.clip(x, 0, None)"),
    dict(
        task="02-1",
        how="value by value in a copy",
        body=(
            "y = x.copy()\nfor place in np.ndindex(x.shape):\n    if x[place] <= 0:\n        y[place] = 0.0\nreturn y"
        ),
    ),
    dict(task="02-1", how="in float64 inside", body="return np.maximum(x.astype(np.float64), 0.0)"),
    dict(task="02-2", how="chosen by the sign", body="return np.where(x > 0, x, negative_slope * x)"),
    dict(
        task="02-2",
        how="multiplied by an array of slopes, in float64 inside",
        body="return x * np.where(x > 0, 1.0, negative_slope)",
    ),
    dict(
        task="02-2",
        how="written into a copy",
        body="y = np.array(x)\nbelow = y < 0\ny[below] = y[below] * negative_slope\nreturn y",
    ),
    dict(
        task="02-2",
        how="x less what is taken from its negative part",
        body="return x - (1 - negative_slope) * np.minimum(x, 0)",
    ),
    dict(
        task="02-3",
        how="each form only where it is safe",
        body=(
            "y, right = np.empty_like(x), x >= 0\ny[right] = 1 / (1 + np.exp(-x[right]))\n"
            "powers = np.exp(x[~right])\ny[~right] = powers / (1 + powers)\nreturn y"
        ),
    ),
    dict(task="02-3", how="by the tanh of half of x", body="return (1 + np.tanh(x / 2)) / 2"),
    dict(
        task="02-3",
        how="one exponential, and the share of the other side where x is negative",
        body="e = np.exp(-np.abs(x))\nreturn np.where(x < 0, e, 1) / (1 + e)",
    ),
    dict(task="02-3", how="by the logarithm of its denominator", body="return np.exp(-np.logaddexp(0, -x))"),
    dict(task="02-4", how="by NumPy's tanh", body="return np.tanh(x)"),
    dict(
        task="02-4",
        how="with the absolute value in the exponent, and the sign put back",
        body="m = np.expm1(-2 * np.abs(x))\nreturn -np.sign(x) * m / (2 + m)",
    ),
    dict(
        task="02-4",
        how="with a wider interval, in float64 inside",
        body="m = np.expm1(np.clip(2 * x.astype(np.float64), -80, 80))\nreturn (m / (m + 2)).astype(x.dtype)",
    ),
    dict(
        task="02-4",
        how="by hyperbolic sine and cosine",
        body="x = np.clip(x, -30, 30)\nreturn np.sinh(x) / np.cosh(x)",
    ),
    dict(task="02-5", how="x taken out of the cube", body=CUBE + "t = np.tanh(inside)\nreturn 0.5 * (x + x * t), t"),
    dict(
        task="02-5",
        how="by a sigmoid of twice the number inside",
        body=(
            CUBE + "s = np.exp(np.minimum(2 * inside, 0)) / (1 + np.exp(-2 * np.abs(inside)))\nreturn x * s, 2 * s - 1"
        ),
    ),
    dict(
        task="02-5",
        how="in float64 inside",
        body=(
            "wide = x.astype(np.float64)\nt = np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * np.power(wide, 3)))\n"
            "return (wide * (t + 1) / 2).astype(x.dtype), t.astype(x.dtype)"
        ),
    ),
    dict(
        task="02-6",
        how="as loops would do it",
        body=(
            "rows = np.moveaxis(x, dim, -1) if x.ndim else x.reshape(1)\ny = np.empty_like(rows)\n"
            "for place in np.ndindex(rows.shape[:-1]):\n    powers = np.exp(rows[place] - max(rows[place]))\n"
            "    y[place] = powers / sum(powers)\nreturn np.moveaxis(y, -1, dim) if x.ndim else y[0]"
        ),
    ),
    dict(
        task="02-6",
        how="by the logarithm of the sum, in float64 inside",
        body=(
            "shifted = x.astype(np.float64) - x.max(axis=dim, keepdims=True)\n"
            "return np.exp(shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))).astype(x.dtype)"
        ),
    ),
    dict(
        task="02-6",
        how="with the sum of the other scores over each score",
        body=(
            "if x.ndim == 0:\n    return np.ones_like(x)\nlast = np.moveaxis(x, dim, -1)\n"
            "with np.errstate(over='ignore'):\n"
            "    sums = np.exp(last[..., None, :] - last[..., :, None]).sum(axis=-1)\n"
            "return np.moveaxis(1 / sums, -1, dim)"
        ),
    ),
    dict(
        task="02-7",
        how="the maximum and the logarithm together",
        body=(
            "m = np.max(x, axis=dim, keepdims=True)\n"
            "return x - (m + np.log(np.sum(np.exp(x - m), axis=dim, keepdims=True)))"
        ),
    ),
    dict(
        task="02-7",
        how="by adding powers in the logarithm",
        body=(
            "total = np.logaddexp.reduce(np.atleast_1d(x), axis=dim, keepdims=True)\nreturn x - total.reshape(())"
            " if x.ndim == 0 else x - total"
        ),
    ),
    dict(
        task="02-7",
        how="as loops would do it, in float64 inside",
        body=(
            "rows = np.moveaxis(np.atleast_1d(x), dim, -1).astype(np.float64)\n"
            "for place in np.ndindex(rows.shape[:-1]):\n    rows[place] -= max(rows[place])\n"
            "    rows[place] -= math.log(sum(math.exp(score) for score in rows[place]))\n"
            "return np.moveaxis(rows, -1, dim).reshape(x.shape).astype(x.dtype)"
        ),
    ),
]
