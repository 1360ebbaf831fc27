"""Releasing assignments and grading a class. Only `gradebook.py` knows nbgrader."""
