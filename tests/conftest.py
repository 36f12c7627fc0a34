"""Settings of the whole test run: workers and their threads, signals, and a summary of what was skipped."""

import gc
import os
import signal

from hypothesis import HealthCheck, settings

from bye_core.process import collect_rarely
from tests.skip_summary import pytest_terminal_summary  # noqa: F401 - a hook

# One fixture for the browser of all tests; pytest takes plugins from this file only.
pytest_plugins = ["tests.e2e.browser"]

# Each worker takes its share of the cores, and so do the processes that it starts.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

# A shell's background job ignores Ctrl-C, and all that it starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers use all cores: a job with a lower priority than theirs would wait for minutes.
os.environ["BYE_JOB_NICE"] = "0"

# What tests write need not survive a power cut.
os.fsync = lambda descriptor: None

# The libraries that the tests import create many objects that stay.
collect_rarely()

# How long examples take tells of the machine, not of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# The process that collects results imports the modules of its workers' warnings, in one thread a worker. Two threads
# that import pandas at once break each other, so it is imported before.
if "PYTEST_XDIST_WORKER" not in os.environ:
    import pandas  # noqa: F401

# Folders with long files: they come first, so that no worker is left alone with one at the end.
LONG = ("e2e", "demo", "cli", "workers", "pipeline", "train", "bench_detect")


def pytest_collection_modifyitems(items):
    def rank(item):
        folder = item.path.parent.name
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=rank)


def pytest_collection_finish():
    """Search none of what the imports have created for garbage again: it stays."""
    gc.freeze()


def pytest_xdist_auto_num_workers():
    """Return the workers of `-n auto`: one more than cores, because browser tests also wait; at most 8."""
    return min((os.cpu_count() or 1) + 1, 8)
