"""Measures the memory that a process and its readers need for each bomb.

By hand: python -m tests.fuzz.memory [NAME ...]
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.data.bombs import BOMBS

READ = """
import sys
from bye_core.data import load_dataset
from bye_core.errors import ByeError
try:
    data = load_dataset(sys.argv[1])
    print("read", data.size, "records")
except ByeError as error:
    print(type(error).__name__, error)
"""


def peak_of(process: subprocess.Popen[str]) -> int:
    """Return the most memory of a process and its children, in bytes, without pages of files."""
    peak = 0
    while process.poll() is None:
        total = 0
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory = one.memory_info()
                    total += memory.rss - memory.shared
        peak = max(peak, total)
        time.sleep(0.01)
    return peak


def main(names: list[str]) -> None:
    for make in BOMBS:
        if names and make.__name__ not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder), 1.0)
            files = [path] if path.is_file() else list(path.rglob("*"))
            size = sum(file.stat().st_size for file in files)
            start = time.monotonic()
            process = subprocess.Popen([sys.executable, "-c", READ, str(path)], stdout=subprocess.PIPE, text=True)
            peak = peak_of(process)  # what it prints fits into the pipe
            assert process.stdout is not None
            said, seconds = process.stdout.read(300), time.monotonic() - start
            print(f"{make.__name__}: {size / 1e3:,.0f} kB, {peak / 2**20:,.0f} MB, {seconds:.1f} s, {said}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
