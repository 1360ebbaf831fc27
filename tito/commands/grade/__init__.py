"""Grade submissions of a class."""
