"""Waiting for what another process does."""

import time

PATIENCE = 300  # seconds, for a busy machine


def until(condition, seconds=PATIENCE):
    """Return the first true value of `condition()`; fail if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value
