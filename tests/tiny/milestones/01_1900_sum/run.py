"""A milestone of the tiny course: right when both modules are."""

import numpy as np

from tinytorch.core.square import twice_the_square


def run(seed=0, short=False, report=print):
    report(f"seed {seed}")
    x = np.random.default_rng(seed).integers(0, 9, size=10).astype(float)
    right = np.isclose(twice_the_square(x), 2 * x**2)
    return {"metric": float(right.mean()), "x": x.tolist()}


def draw(results, path):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    axes.plot(results[0]["x"])
    figure.savefig(path)
