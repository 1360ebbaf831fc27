"""Work on a module: start, check, complete, get help."""
