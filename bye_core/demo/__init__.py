"""The shipped demo: generates its parts from a seed and runs the whole method on them."""
