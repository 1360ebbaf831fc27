"""What the course builds: one file for each target of a module, generated from `modules/`."""
