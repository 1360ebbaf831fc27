"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(task="02-1", how="doubled before the second factor", body="return np.multiply(double(x), x)"),
    dict(task="02-1", how="by a power", body="return 2 * np.asarray(x) ** 2"),
    dict(task="02-1", how="by a sum", body="return np.multiply(x, x) + np.multiply(x, x)"),
]
