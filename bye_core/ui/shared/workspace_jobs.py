"""The jobs of a workspace: start one, find the one to show, read its arguments and logs. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bye_core.runs import jobs
from bye_core.runs.jobs.progress_log import read_end
from bye_core.ui.shared.limits import limits
from bye_core.ui.workspace import Workspace

LOG_BYTES = 1 << 15
RESUMABLE = (jobs.STOPPED, jobs.FAILED, jobs.LOST)


def is_busy(workspace: Workspace) -> bool:
    """Return whether any job of the workspace is running."""
    return jobs.running(workspace.jobs) > 0


def jobs_of_kind(workspace: Workspace, kind: str) -> tuple[jobs.Job, ...]:
    """Return the jobs of one command, newest first."""
    return tuple(job for job in jobs.list_jobs(workspace.jobs) if job.kind == kind)


def job_named(workspace: Workspace, kind: str, id: str) -> jobs.Job | None:
    """Return the job of this command with this id, or None."""
    return next((job for job in jobs_of_kind(workspace, kind) if job.id == id), None)


def job_to_show(workspace: Workspace, kind: str, id: str = "") -> jobs.Job | None:
    """Return the job named `id`, else the newest running one, else the newest one, else None."""
    candidates = jobs_of_kind(workspace, kind)
    named = next((job for job in candidates if job.id == id), None)
    running = (job for job in candidates if job.state == jobs.RUNNING)
    return named or next(running, candidates[0] if candidates else None)


def start_job(workspace: Workspace, name: str, kind: str, arguments: Sequence[str], title: str = "") -> jobs.Job:
    """Start `python -m bye_core KIND ARGUMENTS` as the job `name`. Raises: TooManyJobs, JobExists, CannotStart."""
    return jobs.start(workspace.jobs / name, kind, arguments, title=title or name, at_most=limits().jobs)


def resume_job(job: jobs.Job) -> None:
    """Start a job that ended early again. Raises: JobRunning, TooManyJobs, CannotStart."""
    job.resume(at_most=limits().jobs)


def argument(arguments: Sequence[str], option: str) -> str:
    """Return the value that follows `option`, "" if the option is missing."""
    return next((arguments[at + 1] for at, name in enumerate(arguments[:-1]) if name == option), "")


def log_end(path: Path) -> str:
    """Return the last 32 KiB of a log file, "" if there is none."""
    return read_end(path, LOG_BYTES).decode("utf-8", "replace")
