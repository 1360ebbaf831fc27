"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""


def probe_01_1(tt, rng):
    """One number, and an array of random shape."""
    number, array = rng.normal(), rng.normal(size=rng.integers(1, 5, size=2))
    yield "a number", tt.core.double.double(number), {"x": number}
    yield "an array", tt.core.double.double(array), {"x": array}


def probe_01_2(tt, rng):
    """One number, and an array of random shape."""
    number, array = rng.normal(), rng.normal(size=rng.integers(1, 5, size=2))
    yield "a number", tt.core.double.quadruple(number), {"x": number}
    yield "an array", tt.core.double.quadruple(array), {"x": array}
