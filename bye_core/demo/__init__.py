"""The shipped demo: makes its models and data from a seed, and runs the whole method on them."""
