"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(task="01-1", how="by a product", body="return 2 * np.asarray(x)"),
    dict(task="01-1", how="by a shift of the sign", body="return np.asarray(x) - np.negative(x)"),
    dict(task="01-1", how="in float64, element by element", body="return np.vectorize(lambda v: float(v) + v)(x)"),
    dict(task="01-2", how="by a product", body="return 4 * np.asarray(x)"),
    dict(task="01-2", how="by a sum of two doubles", body="return double(x) + double(x)"),
    dict(task="01-2", how="by a product with a power", body="return np.multiply(x, 2.0**2)"),
]
