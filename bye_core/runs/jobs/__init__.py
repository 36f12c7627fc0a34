"""Runs long commands as background jobs, each in its own process group. A job outlives the server that started it.

job = jobs.start(jobs.new_job_path("scan"), "scan", ["--model", model, "--data", data, "--run", run])
job.state, job.progress(), job.log()
job.stop()
jobs.list_jobs(jobs.jobs_folder())
"""

from bye_core.runs.home import jobs_folder, new_job_path
from bye_core.runs.jobs.errors import BadArgument, CannotStart, JobExists, JobRunning, NotAJob, TooManyJobs
from bye_core.runs.jobs.job import Job, current, list_jobs, running, start
from bye_core.runs.jobs.outcome import DONE, FAILED, LOST, RUNNING, STOPPED, Failure
from bye_core.runs.jobs.progress_log import History, JobProgress, Step
from bye_core.runs.jobs.record import command_line, option_values

__all__ = [
    "DONE",
    "FAILED",
    "LOST",
    "RUNNING",
    "STOPPED",
    "BadArgument",
    "CannotStart",
    "Failure",
    "History",
    "Job",
    "JobExists",
    "JobProgress",
    "JobRunning",
    "NotAJob",
    "Step",
    "TooManyJobs",
    "command_line",
    "current",
    "jobs_folder",
    "list_jobs",
    "new_job_path",
    "option_values",
    "running",
    "start",
]
