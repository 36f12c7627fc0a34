"""A public host under many visitors at once, by hand: `python -m tests.soak --help`."""
