"""Starts, stops and resumes jobs. A job is one command in its own process group, and a folder with its state.

job.json        the command, the process of its supervisor, and the number of the current attempt
progress.jsonl  the command's output (see progress_log.py); further attempts append to it
log.txt, log.1.txt, exit.json   see supervisor.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bye_core.runs.jobs import outcome, process, progress_log, supervisor
from bye_core.runs.jobs.errors import BadArgument, CannotStart, JobExists, JobRunning, NotAJob, TooManyJobs
from bye_core.runs.jobs.launch import launch
from bye_core.runs.jobs.record import JOB, Record, option_values, read_exit, read_record
from bye_core.runs.lock import locked

# job.json is deleted last: after an interrupted removal, the job can be removed again.
FILES = (supervisor.PROGRESS, supervisor.LOG, supervisor.OLDER_LOG, supervisor.EXIT, JOB)
ROOT_LOCK = "jobs.lock"

LOCK_SECONDS = 10.0
STOP_SECONDS = 20.0
LOG_TAIL_BYTES = 1 << 18


def start(
    folder: Path,
    kind: str,
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    title: str = "",
    at_most: int | None = None,
    seconds: float | None = None,
) -> Job:
    """Run `python -m bye_core KIND ARGUMENTS` in the background; store its records in `folder`, which is new or empty.

    `env` is added to this process's environment and is written to no file. After `seconds` the job is asked to save its
    work and end, and then killed; its state is then FAILED.

    Raises: TooManyJobs if `at_most` jobs of the parent folder are running; JobExists if the folder holds a job;
    CannotStart if the folder or the process cannot be created; BadArgument if an argument contains a NUL character;
    BadPriority if BYE_JOB_NICE is not a number from 0 to 19.
    """
    arguments = tuple(map(str, arguments))
    for argument in arguments:
        if "\0" in argument:
            raise BadArgument(argument=argument)
    created = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(path=folder, reason=error.strerror) from error
    with locked(folder.parent / ROOT_LOCK, LOCK_SECONDS):
        if (folder / JOB).exists():
            raise JobExists(path=folder)
        _check_number(folder.parent, at_most)
        launch(folder, Record(kind, arguments, title or kind, created, os.getcwd()), env or {}, seconds)
    return Job.open(folder)


def list_jobs(root: Path, kind: str = "") -> tuple[Job, ...]:
    """Return the jobs in the subfolders of `root`, newest first: those of `kind`, by default of every kind."""
    found = []
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            found.append(Job.open(folder))
        except NotAJob:
            continue
    wanted = [job for job in found if kind in ("", job.kind)]
    return tuple(sorted(wanted, key=lambda job: (job.created, job.id), reverse=True))


def current(root: Path, kind: str, id: str = "") -> Job | None:
    """Return the job of `kind` to show: the job `id`, or the newest running job, or the newest job, or None."""
    found = list_jobs(root, kind)
    named = next((job for job in found if job.id == id), None)
    return named or next((job for job in found if job.state == outcome.RUNNING), found[0] if found else None)


def running(root: Path) -> int:
    """Return the number of running jobs in `root`."""
    return sum(job.state == outcome.RUNNING for job in list_jobs(root))


def _check_number(root: Path, most: int | None) -> None:
    if most is not None and (count := running(root)) >= most:
        raise TooManyJobs(count=count, most=most)


class Job:
    """A job. Create it with `start`, `Job.open` or `list_jobs`. Reads its state from the folder at every call."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self.id = folder.name
        self.kind = record.kind
        self.arguments = record.arguments
        self.command = record.command
        self.title = record.title
        self.created = record.created
        self._lines = folder / supervisor.PROGRESS

    @classmethod
    def open(cls, folder: Path) -> Job:
        """Open the job in `folder`. Raises: NotAJob if the folder holds no job."""
        return cls(folder, read_record(folder))

    def option(self, flag: str) -> str:
        """Return the command's value for `flag`, such as "--out"; "" if the command has no such argument."""
        return next(iter(option_values(self.arguments, flag)), "")

    @property
    def pid(self) -> int:
        """The process id of the supervisor, which leads the job's process group."""
        return read_record(self.folder).pid

    @property
    def state(self) -> str:
        """RUNNING, DONE, FAILED, STOPPED, or LOST (the process ended without writing exit.json)."""
        return self._read_state()[0]

    def progress(self) -> progress_log.JobProgress:
        """Return the newest step and its rate; before the first step, a stage "starting" with a total of 0."""
        steps = progress_log.recent_steps(self._lines, read_record(self.folder).begins)
        return progress_log.estimate_progress(steps, time.time()) or progress_log.JobProgress("starting", 0, 0)

    def history(self, since: int = 0) -> progress_log.History:
        """Return the steps of the current attempt after byte offset `since`: 0, or the `end` of the last history."""
        begins = read_record(self.folder).begins
        steps, end = progress_log.steps_from(self._lines, max(since, begins))
        return progress_log.History(steps, end, restarted=since < begins)

    def result(self) -> dict[str, Any] | None:
        """Return the command's result (as `--json` prints it), None if the job is not done."""
        return progress_log.final_line(self._lines, read_record(self.folder).begins).get("result")

    def error(self) -> outcome.Failure | None:
        """Return why the job failed or was lost, None in every other state."""
        return outcome.failure_of(*self._read_state(), self.log(20))

    def log(self, tail: int = 200) -> str:
        """Return the last `tail` lines of the command's standard error, with only the last state of a progress bar."""
        data = b""
        for name in (supervisor.LOG, supervisor.OLDER_LOG):
            data = progress_log.read_end(self.folder / name, LOG_TAIL_BYTES - len(data)) + data
        text = data.decode("utf-8", "replace").strip().split("\n")
        return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text[-tail:])

    def stop(self, grace: float = STOP_SECONDS) -> str:
        """Ask the job to save its work and end, kill it if it still runs after `grace` seconds, and return its state.

        Never signals an unrelated process that has got the same process id.
        """
        record = read_record(self.folder)
        who = record.pid, record.born
        if process.terminate(*who):
            if not process.wait_for_exit(*who, grace):
                process.kill_tree(*who)
            if not read_exit(self.folder, record.attempt):
                # On a full disk, exit.json cannot be written; the job is reported as lost, although it has ended.
                with suppress(OSError):
                    killed = {"attempt": record.attempt, "exit": outcome.KILLED, "asked": True}
                    supervisor.write_exit(self.folder, killed)
        return self.state

    def resume(
        self, env: Mapping[str, str] | None = None, at_most: int | None = None, seconds: float | None = None
    ) -> None:
        """Start the same command again in the same folder. `env` and `seconds` are those of `start`.

        Raises: JobRunning if the job still runs; TooManyJobs if `at_most` jobs are running; CannotStart if the process
        cannot be created.
        """
        with locked(self.folder.parent / ROOT_LOCK, LOCK_SECONDS):
            self._check_ended()
            _check_number(self.folder.parent, at_most)
            launch(self.folder, read_record(self.folder), env or {}, seconds)

    def remove(self) -> None:
        """Delete the job's own files, but not its command's results. Raises: JobRunning if the job still runs."""
        with locked(self.folder.parent / ROOT_LOCK, LOCK_SECONDS):
            self._check_ended()
            for name in FILES:
                (self.folder / name).unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _check_ended(self) -> None:
        if self.state == outcome.RUNNING:
            raise JobRunning(title=self.title)

    def _read_state(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return (state, last line of the output, content of exit.json)."""
        record = read_record(self.folder)
        end = read_exit(self.folder, record.attempt)
        if not end and process.is_alive(record.pid, record.born):
            return outcome.RUNNING, {}, {}
        # The job may have ended between the two reads.
        end = end or read_exit(self.folder, record.attempt)
        line = progress_log.final_line(self._lines, record.begins)
        return outcome.final_state(line, end), line, end
