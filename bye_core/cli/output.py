"""Output of a command: progress while it runs, then its result, its error, or a note that it was stopped.

With `--progress jsonl`, standard output holds JSON lines and nothing else:
    {"time", "stage", "done", "total", "message", "facts"}      one line per step, flushed
    {"result": {...}} | {"error": {"kind", "problem", "remedy"}} | {"stopped": true}      the last line
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

from tqdm import tqdm

from bye_core import records
from bye_core.errors import ByeError, printable
from bye_core.files import to_json_values
from bye_core.process import BATCH_SECONDS, StopRequest
from bye_core.records import Fault, Progress
from bye_core.text import UNITS

DONE, FAILED, POISONED, UNTESTED = 0, 1, 3, 4  # exit codes
# Stages that save each of their slow steps: a request to stop waits for the end of the current step.
SAVING_STAGES = ("scan", "evidence", "inspect")


def verdict_code(verdict: str, fail_on_poison: bool) -> int:
    """Return the exit code of a command that ends with a verdict. Without --fail-on-poison it is DONE."""
    return {records.POISONED: POISONED, records.NOT_TESTED: UNTESTED}.get(verdict, DONE) if fail_on_poison else DONE


class Report:
    """Prints results and errors, but no progress. Use it as a context manager around the whole command."""

    def __init__(self, as_json: bool, stop: StopRequest) -> None:
        self._as_json = as_json
        self.stop = stop

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def follow(self, steps: Iterator[Progress], unit: str = "samples") -> Progress:
        """Run a stage to its end and return its last step. Raises: Stopped after a request to stop."""
        try:
            for step in steps:
                self._step(step, unit)
                self.stop.checkpoint(BATCH_SECONDS if step.stage in SAVING_STAGES else 0.0)
            self.stop.checkpoint()
        finally:
            if isinstance(steps, Generator):
                steps.close()
            self._end_steps()
        return step

    def note(self, step: Progress) -> None:
        """Show the message of a step between two stages."""

    def result(
        self, value: Mapping[str, Any], table: Mapping[str, Any] | None = None, text: Iterable[str] = ()
    ) -> None:
        """Print `value` as JSON if --json is given; else `table` (default: `value`), then the lines of `text`."""
        if self._as_json:
            _write(json.dumps(to_json_values(value), ensure_ascii=False))
            return
        table = value if table is None else table
        width = max(map(len, table), default=0)
        for name, entry in table.items():
            shown = f"{entry:.4f}" if isinstance(entry, float) else printable(entry)
            _write(f"{name.replace('_', ' '):<{width}}  {shown}")
        for line in text:
            _write(line)

    def error(self, error: ByeError) -> None:
        _warn(f"error: {error.problem}\n{error.remedy}")

    def stopped(self, remedy: str) -> None:
        _warn(f"stopped. {remedy}")

    def crashed(self, error: Exception) -> None:
        """Report an unexpected error; the caller then raises it, so that its traceback is printed."""

    def _step(self, step: Progress, unit: str) -> None:
        pass

    def _end_steps(self) -> None:
        pass


class Bars(Report):
    """Shows a progress bar for each stage on standard error, with its rate and remaining time."""

    _bar: tqdm | None = None
    _stage = ""

    def _step(self, step: Progress, unit: str) -> None:
        if self._bar is None or self._stage != step.stage:
            self._end_steps()
            unit = UNITS.get(step.stage.partition(" ")[0], unit)
            self._bar = tqdm(desc=step.stage, unit=f" {unit}", total=step.total, dynamic_ncols=True, file=sys.stderr)
            self._stage = step.stage
        self._bar.total = step.total
        shown = {name: step.facts[name] for name in ("loss", "failed") if step.facts.get(name)}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(step.done - self._bar.n)

    def note(self, step: Progress) -> None:
        self._end_steps()
        _warn(step.message)

    def _end_steps(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


class Lines(Report):
    """Writes JSON lines to standard output. Redirects the prints of libraries to standard error."""

    def __enter__(self) -> Report:
        self._out = sys.stdout
        self._redirected = redirect_stdout(sys.stderr)
        self._redirected.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._redirected.__exit__(None, None, None)

    def _line(self, value: Mapping[str, Any]) -> None:
        # One write per line, so that a concurrent reader sees at most the last line incomplete.
        self._out.write(json.dumps(to_json_values(value)) + "\n")
        self._out.flush()

    def note(self, step: Progress) -> None:
        self._step(step, "")

    def _step(self, step: Progress, unit: str) -> None:
        self._line({"time": time.time(), **{name: getattr(step, name) for name in Progress.__dataclass_fields__}})

    def result(
        self, value: Mapping[str, Any], table: Mapping[str, Any] | None = None, text: Iterable[str] = ()
    ) -> None:
        self._line({"result": value})

    def error(self, error: ByeError) -> None:
        self._line({"error": {"kind": error.kind, "problem": error.problem, "remedy": error.remedy}})
        super().error(error)

    def stopped(self, remedy: str) -> None:
        self._line({"stopped": True})
        super().stopped(remedy)

    def crashed(self, error: Exception) -> None:
        problem = f"{type(error).__name__}: {error}"
        self._line({"error": {"kind": "Crashed", "problem": problem, "remedy": ByeError.remedy}})


REPORTS = {"bar": Bars, "jsonl": Lines, "none": Report}


def fault_line(fault: Fault) -> str:
    return f"record {fault.index + 1:,}  {printable(fault.id)}  {fault.kind}: {fault.problem} {fault.remedy}"


def _write(line: str) -> None:
    sys.stdout.write(f"{for_terminal(line)}\n")


def _warn(text: str) -> None:
    sys.stderr.write(f"{for_terminal(text)}\n")


def for_terminal(text: str) -> str:
    """Escape the control characters of a text, as in JSON: an id may hold codes that command a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else json.dumps(c)[1:-1] for c in text)
