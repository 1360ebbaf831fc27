"""Build the course as a book, and look at it."""
