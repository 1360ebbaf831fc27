"""What the tests inside the modules are written with, and `add_to`, which grows a class over several tasks."""

import math
import time

import numpy as np


class CheckFailed(AssertionError):
    """A promise that does not hold. `promise` says which; `got` and `expected` hold the values where there are any."""

    def __init__(self, promise, what="", got=None, expected=None):
        super().__init__(f"{promise}: {what}" if what else promise)
        self.promise, self.what, self.got, self.expected = promise, what, got, expected


def check(condition, promise):
    """Raise CheckFailed with `promise` unless `condition` is true."""
    if not condition:
        raise CheckFailed(promise, "this does not hold")


def check_close(got, expected, promise, rtol=1e-5, atol=1e-6):
    """Raise CheckFailed unless `got` has the shape of `expected` and its values within `atol + rtol * abs(expected)`.

    got, expected: number, array, nested list, or anything with `.data` (a Tensor). NaN equals NaN.
    """
    got, expected = _plain(got, promise), _plain(expected, promise)
    if got.shape != expected.shape:
        raise CheckFailed(promise, f"expected shape {expected.shape}, got shape {got.shape}", got, expected)
    wrong = ~np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f" at index {index[0] if len(index) == 1 else index}" if index else ""
        others = f" ({int(wrong.sum())} of {wrong.size} values differ)" if wrong.size > 1 else ""
        what = f"expected {expected[index]:.8g}, got {got[index]:.8g}{place}{others}"
        raise CheckFailed(promise, what, got, expected)


def check_raises(error, fn, promise):
    """Raise CheckFailed unless `fn()` raises `error`; returns the exception's text for a closer look."""
    try:
        result = fn()
    except error as caught:
        return str(caught)
    raise CheckFailed(promise, f"expected {error.__name__}, but the call returned {type(result).__name__}")


def _plain(value, promise):
    array = np.asarray(getattr(value, "data", value) if not isinstance(value, np.ndarray) else value)
    if array.dtype.kind not in "biuf":
        raise CheckFailed(promise, f"expected numbers, got {type(value).__name__}")
    return array


def measure(fn, label="", repeats=7):
    """Median seconds of one call of `fn()` over `repeats` runs; calls shorter than 1 ms are timed in batches."""
    start = time.perf_counter()
    fn()
    once = time.perf_counter() - start
    batch = max(1, min(1000, math.ceil(1e-3 / max(once, 1e-9))))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(batch):
            fn()
        seconds.append((time.perf_counter() - start) / batch)
    median = sorted(seconds)[repeats // 2]
    scale, unit = next(
        (s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "us"), (1e9, "ns")) if median * s >= 1 or u == "ns"
    )
    print(f"{label + ': ' if label else ''}{median * scale:.3g} {unit}")
    return median


def add_to(cls):
    """Decorator that makes a function a method of `cls`, so that a class can grow over several cells.

    The exported file has one ordinary class: the tool moves such functions into it.
    """

    def attach(function):
        setattr(cls, function.__name__, function)
        return function

    return attach
