"""Shows jobs as HTML: state, progress, speed, remaining time, failed samples and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.records import Fault
from bye_core.runs import jobs
from bye_core.ui.shared.messages import clip, discreet
from bye_core.ui.workspace import Workspace, hosted

LOG_LINES = 60
FAULTS_SHOWN = 20
STATES = {
    jobs.RUNNING: "running",
    jobs.DONE: "done",
    jobs.FAILED: "failed",
    jobs.STOPPED: "stopped",
    jobs.LOST: "interrupted",
}


def duration(seconds: float) -> str:
    """Return a duration as text: in seconds below 1 min, in minutes below 2 h, else in hours and minutes."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 7200:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate(per_second: float, unit: str) -> str:
    """Return a speed as text: "38 samples/s", or "10.0 s/sample" if it is below one sample per second."""
    if per_second >= 1:
        return f"{per_second:,.0f} {unit}/s" if per_second >= 10 else f"{per_second:.1f} {unit}/s"
    return f"{1 / per_second:.1f} s/{unit.removesuffix('s')}"


def pace(standing: jobs.JobProgress, unit: str = "samples") -> list[str]:
    """Return speed and remaining time as texts: ["38 samples/s", "10 s left"]. Unknown values are left out."""
    facts = [rate(standing.rate, unit)] if standing.rate else []
    if standing.seconds_left is not None:
        facts.append(f"{duration(standing.seconds_left)} left")
    return facts


def card(workspace: Workspace, job: jobs.Job, starting: str = "loading the model") -> str:
    """Return the HTML of a job: its state, progress, failed samples with their reasons, error and log.

    `starting` describes a running job that has not counted its samples yet.
    """
    state, standing = job.state, job.progress()
    running = state == jobs.RUNNING
    words = STATES[state]
    if running and not standing.total:
        words = starting
    facts = [f"{standing.done:,} of {standing.total:,} samples"] if standing.total else []
    facts += pace(standing) if running else []
    failed = _failed_samples(workspace, job) if standing.facts.get("failed", 0) else ""
    body = f"{progress_bar(standing, running)}{facts_line(facts)}{failed}{failure(job, state)}"
    return section(job.id, state, words, body)


def section(title: str, state: str, words: str, body: str) -> str:
    """Return the HTML frame of a job: title, state and `body`. `words` describe `state`, which is one of STATES."""
    return (
        f"<section class='bye-job' aria-live='off'><h4><bdi>{escape(clip(title, 80))}</bdi>"
        f"<span class='bye-state bye-state-{state}'>{escape(words)}</span></h4>{body}</section>"
    )


def facts_line(facts: Iterable[str]) -> str:
    """Return the HTML of short facts about a job, shown side by side."""
    cells = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    return f"<p class='bye-job-facts'>{cells}</p>"


def progress_bar(standing: jobs.JobProgress, running: bool) -> str:
    """Return the HTML bar of a job; "" if its total is unknown and it does not run."""
    if not standing.total:
        return "<progress aria-label='progress'></progress>" if running else ""
    return f"<progress aria-label='progress' max='{standing.total}' value='{standing.done}'></progress>"


def _failed_samples(workspace: Workspace, job: jobs.Job) -> str:
    """Return the HTML with the number of samples that could not be read, and the reasons."""
    path = workspace.runs / job.id
    if not runs.is_run(path):
        return ""
    try:
        faults = runs.Run.open(path).failed()
    except ByeError:
        return ""
    return (
        f"<details><summary>{len(faults):,} left out, with reasons</summary><p class='bye-note'>The scan skips these "
        f"samples, and an export leaves them out.</p><ul>{_fault_lines(faults)}</ul></details>"
    )


def _fault_lines(faults: tuple[Fault, ...]) -> str:
    shown, others = faults[:FAULTS_SHOWN], faults[FAULTS_SHOWN:]
    lines = [f"<li>{escape(clip(discreet(f'{fault.problem} {fault.remedy}'), 400))}</li>" for fault in shown]
    counts = Counter(fault.kind for fault in others)
    rest = ", ".join(f"{count:,} x {kind}" for kind, count in counts.most_common())
    return "".join(lines) + (f"<li class='bye-note'>and {escape(rest)}</li>" if rest else "")


def failure(job: jobs.Job, state: str) -> str:
    """Return the HTML alert with the reason why a job failed, and its log; "" if it did not fail."""
    return failure_alert(job.error()) + _log(job, state)


def _log(job: jobs.Job, state: str) -> str:
    """Return the HTML of a failed job's log; "" on a public host, because logs contain paths of the server."""
    if hosted() or state not in (jobs.FAILED, jobs.LOST):
        return ""
    log = "\n".join(clip(line, 500) for line in job.log(LOG_LINES).splitlines())
    return f"<details><summary>Log</summary><pre>{escape(log)}</pre></details>" if log else ""


def failure_alert(failure: jobs.Failure | None) -> str:
    """Return the HTML alert with the reason why a job failed; "" if it did not fail."""
    if failure is None:
        return ""
    problem, remedy = (escape(clip(discreet(part), 1500)) for part in (failure.problem, failure.remedy))
    return f"<div class='bye-alert' role='alert'><strong>{problem}</strong> {remedy}</div>"
