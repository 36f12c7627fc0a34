"""Reads and writes job.json, the record of a job: its command and the process that runs it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from bye_core.files import write_atomic
from bye_core.runs.jobs.errors import NotAJob
from bye_core.runs.jobs.supervisor import EXIT

JOB = "job.json"


@dataclass(frozen=True)
class Record:
    """What job.json holds.

    kind       the subcommand, such as "scan"
    created    UTC, ISO 8601
    attempt    1 for the first start, one more with every resume
    pid, born  the supervisor's process (see process.birth)
    begins     byte of progress.jsonl at which the lines of this attempt begin
    """

    kind: str
    arguments: tuple[str, ...]
    title: str
    created: str
    cwd: str
    attempt: int = 0
    pid: int = 0
    born: str = ""
    begins: int = 0

    @property
    def command(self) -> str:
        return command_line(self.kind, self.arguments)


def command_line(kind: str, arguments: Sequence[str]) -> str:
    """Return the command as a person would type it."""
    return shlex.join(["python", "-m", "bye_core", kind, *map(str, arguments)])


def option_values(arguments: Sequence[str], flag: str) -> tuple[str, ...]:
    """Return what follows `flag` in a job's arguments, up to the next flag; () where the flag is missing."""
    if flag not in arguments:
        return ()
    after = arguments[arguments.index(flag) + 1 :]
    return tuple(takewhile(lambda argument: not argument.startswith("--"), after))


def write_record(folder: Path, record: Record) -> None:
    write_atomic(folder / JOB, json.dumps({**asdict(record), "command": record.command}, indent=1).encode("ascii"))


def read_record(folder: Path) -> Record:
    """Raises NotAJob."""
    try:
        value = json.loads((folder / JOB).read_bytes())
        del value["command"]
        return Record(**{**value, "arguments": tuple(value["arguments"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAJob(path=folder) from error


def read_exit(folder: Path, attempt: int) -> dict[str, Any]:
    """Return the supervisor's record of how this attempt ended, {} if there is none."""
    try:
        value = json.loads((folder / EXIT).read_bytes())
        return value if value["attempt"] == attempt else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
