"""What causal checks of a run found out: an append-only file, a line a batch, synced before the check goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bye_core.records import CausalCheck
from bye_core.runs.append_log import append_line, whole_lines
from bye_core.runs.lock import locked


class CheckFile:
    """The checks of one run; one process may add, any number may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")
        self._end: int | None = None

    @contextmanager
    def writing(self) -> Iterator[CheckFile]:
        """Be the one that adds. Raises RunBusy, RunNotWritable."""
        with locked(self._lock):
            self._end = whole_lines(self.path)[1]
            try:
                yield self
            finally:
                self._end = None

    def append(self, checks: Sequence[CausalCheck]) -> None:
        if self._end is None:
            raise RuntimeError("append outside of `writing`")
        if checks:
            self._end = append_line(self.path, [asdict(check) for check in checks], self._end)

    def current(self) -> dict[str, CausalCheck]:
        """The newest check of each sample. A line that cannot be read is worth no more than a missing one: its samples
        are checked again."""
        found: dict[str, CausalCheck] = {}
        for line in whole_lines(self.path)[0]:
            try:
                checks = [CausalCheck(**fields) for fields in json.loads(line)]
            except (ValueError, TypeError):
                continue
            found |= {check.id: check for check in checks}
        return found
