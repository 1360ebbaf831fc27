"""Runs on the student's package."""

from tinytorch.core.double import double, quadruple


def test_doubling_twice():
    assert quadruple(3) == double(6)
