"""Starts and resumes the jobs of a workspace, finds the job to show, and reads logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bye_core.runs import jobs
from bye_core.runs.jobs.progress_log import read_end
from bye_core.ui.shared.limits import limits
from bye_core.ui.workspace import Workspace

RESUMABLE = (jobs.FAILED, jobs.STOPPED, jobs.LOST)
LOG_BYTES = 1 << 15


def is_busy(workspace: Workspace) -> bool:
    """Return whether any job of the workspace is running."""
    return jobs.running(workspace.jobs) > 0


def start_job(workspace: Workspace, name: str, kind: str, arguments: Sequence[str], title: str = "") -> jobs.Job:
    """Start `python -m bye_core KIND ARGUMENTS` as the job `name`.

    Raises: TooManyJobs if the most jobs allowed are running; JobExists if a job has that name; CannotStart if the
    process cannot be started; BadArgument if an argument contains NUL.
    """
    return jobs.start(workspace.jobs / name, kind, arguments, title=title or name, at_most=limits().jobs)


def resume_job(job: jobs.Job) -> None:
    """Run the command of an ended job again.

    Raises: JobRunning if the job has not ended; TooManyJobs if the most jobs allowed are running; CannotStart if the
    process cannot be started.
    """
    job.resume(at_most=limits().jobs)


def log_end(path: Path) -> str:
    """Return the last 32 KiB of a log file, "" if there is none."""
    return read_end(path, LOG_BYTES).decode("utf-8", "replace")
