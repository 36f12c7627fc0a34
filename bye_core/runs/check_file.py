"""Stores the causal checks of a run in an append-only file, one line per batch of samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bye_core.records import CausalCheck
from bye_core.runs.append_log import Log, append_line, read_log
from bye_core.runs.lock import locked


class CheckFile:
    """The causal checks of one run. One process at a time may append; any number of processes may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")
        self._log: Log | None = None

    @contextmanager
    def writing(self) -> Iterator[CheckFile]:
        """Lock the check file for writing while the `with` block runs.

        Raises: RunBusy if another process holds it; RunNotWritable if the folder cannot be written.
        """
        with locked(self._lock):
            self._log = read_log(self.path)
            try:
                yield self
            finally:
                self._log = None

    def append(self, checks: Sequence[CausalCheck]) -> None:
        """Append a batch of checks inside `writing`; the batch is on disk when this returns."""
        if self._log is None:
            raise RuntimeError("append outside of `writing`")
        if checks:
            self._log = append_line(self.path, {"checks": [asdict(check) for check in checks]}, self._log)

    def current(self) -> dict[str, CausalCheck]:
        """Return the newest check of each sample. Skips lines that cannot be read: their samples are checked again."""
        current: dict[str, CausalCheck] = {}
        for line in read_log(self.path).lines:
            try:
                value = json.loads(line or b"")
                # Earlier versions wrote the list alone, without a checksum.
                checks = [CausalCheck(**fields) for fields in (value["checks"] if isinstance(value, dict) else value)]
            except (ValueError, TypeError, KeyError):
                continue
            current |= {check.id: check for check in checks}
        return current
