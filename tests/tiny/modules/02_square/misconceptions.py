"""Wrong solutions of the tiny course."""

WRONG = [
    dict(task="02-1", mistake="it is doubled before it is squared", body="return np.multiply(double(x), double(x))"),
    dict(task="02-1", mistake="it is not doubled", body="return np.multiply(x, x)"),
    dict(task="02-1", mistake="it is only doubled", body="return double(x)"),
]
