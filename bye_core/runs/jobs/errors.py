"""The errors of background jobs, each with its remedy."""

from __future__ import annotations

from bye_core.errors import RunError, SettingError


class NotAJob(RunError):
    problem = "{path} is not a job folder."
    remedy = "Choose one of the listed jobs, or start a new one."


class JobExists(RunError):
    problem = "{path} already holds a job."
    remedy = "Resume that job, or start the new one in another folder."


class JobRunning(RunError):
    problem = "The job {title} is still running."
    remedy = "Stop it first, or wait until it ends."


class TooManyJobs(RunError):
    problem = "{count} jobs are running already; at most {most} may run at a time."
    remedy = "Wait until a job ends, or stop a job."


class CannotStart(RunError):
    problem = "The job could not be started in {path}: {reason}."
    remedy = "Free disk space and memory or choose another folder, then start again."


class BadArgument(SettingError):
    problem = "The argument {argument!r} contains a NUL character, which a command cannot receive."
    remedy = "Remove the NUL characters from the argument."


class BadPriority(SettingError):
    problem = "{setting}={value} is not a whole number from 0 to 19."
    remedy = "Set it to how much the priority of jobs is lowered, such as 5, or remove it."
