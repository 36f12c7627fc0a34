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
    """The content of job.json.

    kind       the subcommand, such as "scan"
    created    UTC, ISO 8601
    attempt    1 for the first start, increased by 1 at every resume
    pid, born  process id and start of the supervisor (see process.birth)
    begins     byte offset in progress.jsonl at which the lines of this attempt begin
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
    """Return the command line as a person would type it."""
    return shlex.join(["python", "-m", "bye_core", kind, *map(str, arguments)])


def option_values(arguments: Sequence[str], flag: str) -> tuple[str, ...]:
    """Return the values after `flag` in a job's arguments, up to the next flag; () if the flag is missing."""
    if flag not in arguments:
        return ()
    after = arguments[arguments.index(flag) + 1 :]
    return tuple(takewhile(lambda argument: not argument.startswith("--"), after))


def write_record(folder: Path, record: Record) -> None:
    write_atomic(folder / JOB, json.dumps({**asdict(record), "command": record.command}, indent=1).encode("ascii"))


def read_record(folder: Path) -> Record:
    """Return the record in job.json. Raises: NotAJob if the file is missing or cannot be read."""
    try:
        value = json.loads((folder / JOB).read_bytes())
        del value["command"]
        return Record(**{**value, "arguments": tuple(value["arguments"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAJob(path=folder) from error


def read_exit(folder: Path, attempt: int) -> dict[str, Any]:
    """Return the content of exit.json for this attempt, {} if there is none."""
    try:
        value = json.loads((folder / EXIT).read_bytes())
        return value if value["attempt"] == attempt else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
