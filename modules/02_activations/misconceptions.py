"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(
        task="02-1",
        mistake="negative values change their sign instead of becoming 0",
        body="return np.abs(x)",
    ),
    dict(
        task="02-1",
        mistake="np.max is used, which looks for the largest along a dimension, instead of np.maximum",
        body="return np.max(x, 0)",
    ),
    dict(
        task="02-1",
        mistake="the smaller of x and 0 is taken instead of the larger",
        body="return np.minimum(x, 0)",
    ),
    dict(
        task="02-1",
        mistake="the zeros are written into the input",
        body="x[x < 0] = 0\nreturn x",
    ),
    dict(
        task="02-1",
        mistake="x is multiplied by 0 or 1, and minus infinity times 0 is nan",
        body="return x * (x > 0)",
    ),
    dict(
        task="02-1",
        mistake="values are chosen by x > 0, which is false for nan",
        body="return np.where(x > 0, x, 0)",
    ),
    dict(
        task="02-2",
        mistake="negative values are replaced by the slope instead of multiplied by it",
        body="return np.where(x > 0, x, negative_slope)",
    ),
    dict(
        task="02-2",
        mistake="the slope 0.01 is typed in and negative_slope is not used",
        body="return np.where(x > 0, x, 0.01 * x)",
    ),
    dict(
        task="02-2",
        mistake="the negative part loses its sign",
        body="return np.maximum(x, 0) + negative_slope * np.maximum(-x, 0)",
    ),
    dict(
        task="02-2",
        mistake="the larger of x and negative_slope * x is taken, which is the wrong one for slopes above 1",
        body="return np.maximum(x, negative_slope * x)",
    ),
    dict(
        task="02-2",
        mistake="the scaled values are written into the input",
        body="x[x < 0] *= negative_slope\nreturn x",
    ),
    dict(
        task="02-3",
        mistake="the minus in the exponent is missing",
        body="return 1 / (1 + np.exp(x))",
    ),
    dict(
        task="02-3",
        mistake="minus the absolute value stands for every x, so that negative x give the values of positive ones",
        body="return 1 / (1 + np.exp(-np.abs(x)))",
    ),
    dict(
        task="02-3",
        mistake="exp(x) / (1 + exp(x)) is used for large positive x, where both are infinite",
        body="return np.exp(x) / (1 + np.exp(x))",
    ),
    dict(
        task="02-3",
        mistake="np.where computes both forms everywhere, so that the one for negative x overflows at positive x",
        body="return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))",
    ),
    dict(
        task="02-3",
        mistake="1 / (1 + exp(-x)) is computed as it stands, also for very negative x",
        body="return 1 / (1 + np.exp(-x))",
    ),
    dict(
        task="02-3",
        mistake="x is clipped at 500, which is enough for float64 and too much for float32",
        body="return 1 / (1 + np.exp(-np.clip(x, -500, 500)))",
    ),
    dict(
        task="02-3",
        mistake="the result is rounded to float32 in every case",
        body=(
            "result = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))\n"
            "return result.astype(np.float32).astype(np.float64)"
        ),
    ),
    dict(
        task="02-4",
        mistake="the 2 in the exponent is missing, which gives the tanh of half of x",
        body="m = np.expm1(np.clip(x, -40, 40))\nreturn m / (m + 2)",
    ),
    dict(
        task="02-4",
        mistake="m is divided by m + 1 instead of m + 2",
        body="m = np.expm1(2 * np.clip(x, -20, 20))\nreturn m / (m + 1)",
    ),
    dict(
        task="02-4",
        mistake="the quotient of exponentials is computed as it stands, and both are infinite far out",
        body="return (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))",
    ),
    dict(
        task="02-4",
        mistake="x is not kept in an interval, so that m is infinite for large x",
        body="m = np.expm1(2 * x)\nreturn m / (m + 2)",
    ),
    dict(
        task="02-4",
        mistake="the form 1 - 2 / (exp(2x) + 1) is used, whose exponential overflows although the value is right",
        body="return 1 - 2 / (np.exp(2 * x) + 1)",
    ),
    dict(
        task="02-4",
        mistake="it is computed as 2 * sigmoid(2x) - 1, and the subtraction of 1 cancels the digits near 0",
        body="return 2 * (np.exp(np.minimum(2 * x, 0)) / (1 + np.exp(-np.abs(2 * x)))) - 1",
    ),
    dict(
        task="02-4",
        mistake="the interval is too small for float64",
        body="m = np.expm1(2 * np.clip(x, -10, 10))\nreturn m / (m + 2)",
    ),
    dict(
        task="02-5",
        mistake="the factor one half is missing",
        body="t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))\nreturn x * (1 + t), t",
    ),
    dict(
        task="02-5",
        mistake="the square root around 2 / pi is missing",
        body="t = np.tanh(2 / math.pi * (x + 0.044715 * x * x * x))\nreturn 0.5 * x * (1 + t), t",
    ),
    dict(
        task="02-5",
        mistake="the square root multiplies x only, and not the cube",
        body="t = np.tanh(math.sqrt(2 / math.pi) * x + 0.044715 * x * x * x)\nreturn 0.5 * x * (1 + t), t",
    ),
    dict(
        task="02-5",
        mistake="x is squared instead of cubed",
        body="t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x))\nreturn 0.5 * x * (1 + t), t",
    ),
    dict(
        task="02-5",
        mistake="the approximation by a sigmoid is used, x * sigmoid(1.702 x)",
        body="t = np.tanh(0.851 * x)\nreturn 0.5 * x * (1 + t), t",
    ),
    dict(
        task="02-5",
        mistake="only the result is returned, so that nothing is kept",
        body="t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))\nreturn 0.5 * x * (1 + t)",
    ),
    dict(
        task="02-5",
        mistake="what is kept is the number inside the tanh, not the tanh",
        body=(
            "inside = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)\n"
            "return 0.5 * x * (1 + np.tanh(inside)), inside"
        ),
    ),
    dict(
        task="02-5",
        mistake="the constant comes from np.sqrt and makes everything float64",
        body="t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x))\nreturn 0.5 * x * (1 + t), t",
    ),
    dict(
        task="02-5",
        mistake="the constant is typed in with few digits",
        body="t = np.tanh(0.7978846 * (x + 0.044715 * x * x * x))\nreturn 0.5 * x * (1 + t), t",
    ),
    dict(
        task="02-6",
        mistake="the sum runs over everything instead of along dim",
        body="powers = np.exp(x - np.max(x, axis=dim, keepdims=True))\nreturn powers / np.sum(powers)",
    ),
    dict(
        task="02-6",
        mistake="the scores are divided by their sum, without the exponential",
        body="return x / np.sum(x, axis=dim, keepdims=True)",
    ),
    dict(
        task="02-6",
        mistake="keepdims is missing, so that the maximum of each row is not lined up with its row",
        body="powers = np.exp(x - np.max(x, axis=dim))\nreturn powers / np.sum(powers, axis=dim)",
    ),
    dict(
        task="02-6",
        mistake="dim is not used, and the last dimension is always taken",
        body=(
            "powers = np.exp(x - np.max(x, axis=-1, keepdims=True))\n"
            "return powers / np.sum(powers, axis=-1, keepdims=True)"
        ),
    ),
    dict(
        task="02-6",
        mistake="nothing is subtracted before the exponential",
        body="powers = np.exp(x)\nreturn powers / np.sum(powers, axis=dim, keepdims=True)",
    ),
    dict(
        task="02-6",
        mistake="one maximum is used for all rows, and the exponentials of a low row are all 0",
        body="powers = np.exp(x - np.max(x))\nreturn powers / np.sum(powers, axis=dim, keepdims=True)",
    ),
    dict(
        task="02-6",
        mistake="the mean is subtracted instead of the maximum",
        body=(
            "powers = np.exp(x - np.mean(x, axis=dim, keepdims=True))\n"
            "return powers / np.sum(powers, axis=dim, keepdims=True)"
        ),
    ),
    dict(
        task="02-7",
        mistake="the probabilities are returned, not their logarithms",
        body=(
            "powers = np.exp(x - np.max(x, axis=dim, keepdims=True))\n"
            "return powers / np.sum(powers, axis=dim, keepdims=True)"
        ),
    ),
    dict(
        task="02-7",
        mistake="the maximum is taken away inside the sum and not outside",
        body=(
            "shifted = x - np.max(x, axis=dim, keepdims=True)\n"
            "return x - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))"
        ),
    ),
    dict(
        task="02-7",
        mistake="the sum of exponentials is subtracted without its logarithm",
        body=(
            "shifted = x - np.max(x, axis=dim, keepdims=True)\n"
            "return shifted - np.sum(np.exp(shifted), axis=dim, keepdims=True)"
        ),
    ),
    dict(
        task="02-7",
        mistake="dim is not used, and the last dimension is always taken",
        body=(
            "shifted = x - np.max(x, axis=-1, keepdims=True)\n"
            "return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))"
        ),
    ),
    dict(
        task="02-7",
        mistake="it is the logarithm of a finished softmax, in which tiny probabilities are already 0",
        body=(
            "powers = np.exp(x - np.max(x, axis=dim, keepdims=True))\n"
            "return np.log(powers / np.sum(powers, axis=dim, keepdims=True))"
        ),
    ),
    dict(
        task="02-7",
        mistake="the sum of exponentials is taken without subtracting the maximum first",
        body="return x - np.log(np.sum(np.exp(x), axis=dim, keepdims=True))",
    ),
    dict(
        task="02-7",
        mistake="one maximum is used for all rows, and the sum of a low row is 0",
        body="shifted = x - np.max(x)\nreturn shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))",
    ),
    dict(
        task="02-8",
        mistake="log(1 + exp(x)) is computed as it stands, and is infinite for large x",
        body="return np.log(1 + np.exp(x))",
    ),
    dict(
        task="02-8",
        mistake="the part max(x, 0) is missing",
        body="return np.log1p(np.exp(-np.abs(x)))",
    ),
    dict(
        task="02-8",
        mistake="1 + exp(-abs(x)) is formed, in which a small exponential is lost",
        body="return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))",
    ),
]
