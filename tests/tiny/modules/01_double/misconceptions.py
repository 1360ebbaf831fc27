"""Wrong solutions of the tiny course."""

WRONG = [
    dict(task="01-1", mistake="the value is squared", body="return np.multiply(x, x)"),
    dict(task="01-1", mistake="one is added", body="return np.add(x, 1)"),
    dict(task="01-1", mistake="nothing is returned", body="np.add(x, x)"),
    dict(task="01-2", mistake="it is doubled once", body="return double(x)"),
    dict(task="01-2", mistake="it is doubled three times", body="return double(double(double(x)))"),
    dict(task="01-2", mistake="the sign is lost", body="return np.negative(double(double(x)))"),
]
