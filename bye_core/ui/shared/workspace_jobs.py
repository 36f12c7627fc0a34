"""Starts and resumes the jobs of a workspace, finds the job to show, and reads logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bye_core import runs
from bye_core.runs import jobs
from bye_core.runs.jobs.progress_log import read_end
from bye_core.runs.lock import locked
from bye_core.ui.shared.limits import MachineBusy, limits
from bye_core.ui.shared.space import check_space, jobs_folders
from bye_core.ui.workspace import Workspace, hosted

RESUMABLE = (jobs.FAILED, jobs.STOPPED, jobs.LOST)
LOG_BYTES = 1 << 15
# A visitor's job must not use the access token of the host's account.
NO_ACCOUNT = {"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}


def is_busy(workspace: Workspace) -> bool:
    """Return whether any job of the workspace is running."""
    return jobs.running(workspace.jobs) > 0


def start_job(workspace: Workspace, name: str, kind: str, arguments: Sequence[str], title: str = "") -> jobs.Job:
    """Start `python -m bye_core KIND ARGUMENTS` as the job `name`.

    Raises: MachineBusy if all visitors together run the most jobs allowed; VisitorFull if the visitor's files take the
    most space allowed; TooManyJobs if the visitor runs the most jobs allowed; JobExists if a job has that name;
    CannotStart if the process cannot be started; BadArgument if an argument contains NUL.
    """
    check_space(workspace)
    most = limits()
    with _free_machine(most.all_jobs):
        return jobs.start(
            workspace.jobs / name, kind, arguments, _environment(), title or name, most.jobs, most.job_seconds
        )


def resume_job(job: jobs.Job) -> None:
    """Run the command of an ended job again.

    Raises: MachineBusy if all visitors together run the most jobs allowed; JobRunning if the job has not ended;
    TooManyJobs if the visitor runs the most jobs allowed; CannotStart if the process cannot be started.
    """
    most = limits()
    with _free_machine(most.all_jobs):
        job.resume(_environment(), most.jobs, most.job_seconds)


def _environment() -> dict[str, str] | None:
    return NO_ACCOUNT if hosted() else None


@contextmanager
def _free_machine(most: int | None) -> Iterator[None]:
    """Hold a lock file while the `with` block starts a job, if all visitors together may run `most` jobs.

    Raises: MachineBusy if that many run.
    """
    if most is None:
        yield
        return
    runs.home().mkdir(parents=True, exist_ok=True)
    with locked(runs.home() / "machine.lock", wait=10.0):
        if sum(map(jobs.running, jobs_folders())) >= most:
            raise MachineBusy(most=most)
        yield


def log_end(path: Path) -> str:
    """Return the last 32 KiB of a log file, "" if there is none."""
    return read_end(path, LOG_BYTES).decode("utf-8", "replace")
