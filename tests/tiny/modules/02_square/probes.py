"""What grading compares: each probe runs on the student's package and on the reference with the same numbers."""


def probe_02_1(tt, rng):
    """One number, and an array of random shape."""
    number, array = rng.normal(), rng.normal(size=rng.integers(1, 5, size=2))
    yield "a number", tt.core.square.twice_the_square(number), {"x": number}
    yield "an array", tt.core.square.twice_the_square(array), {"x": array}
