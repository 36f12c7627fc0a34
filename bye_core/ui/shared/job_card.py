"""A job as a page shows it: how far, how fast, how long still, what failed and why. No gradio."""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.records import Fault
from bye_core.runs import jobs
from bye_core.text import UNITS
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
# Where a kind of job is shown; all others are Fine-tune's.
TABS = {"scan": "scan", "clean": "clean", "guard": "guard", "poison": "attack", "evidence": "dossier"}
VERBS = {
    "scan": "scanning",
    "finetune": "fine-tuning",
    "evaluate": "evaluating",
    "clean": "cleaning",
    "guard": "asking about",
    "poison": "poisoning",
    "evidence": "asking again on",
}


def duration(seconds: float) -> str:
    """Whole seconds below a minute, minutes below two hours, else hours and minutes."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 7200:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rate(per_second: float, unit: str) -> str:
    if per_second >= 1:
        return f"{per_second:,.0f} {unit}/s" if per_second >= 10 else f"{per_second:.1f} {unit}/s"
    return f"{1 / per_second:.1f} s/{unit.removesuffix('s')}"


def pace(standing: jobs.Standing, unit: str = "samples") -> str:
    """ "38 samples/s, 10 s left"; "" while nothing is known."""
    parts = [rate(standing.rate, unit)] if standing.rate else []
    if standing.seconds_left is not None:
        parts.append(f"{duration(standing.seconds_left)} left")
    return ", ".join(parts)


def card(place: Workspace, job: jobs.Job) -> str:
    """A job's state, progress, failed samples with their reasons, and its log."""
    state, standing = job.state, job.progress()
    running = state == jobs.RUNNING
    words = STATES[state]
    if running and not standing.total:
        words = "starting" if job.kind == "poison" else "starting: the model is being loaded"
    bar = _bar(standing.done, standing.total, running)
    facts = [f"{standing.done:,} of {standing.total:,} samples"] if standing.total else []
    if running:
        facts += [part for part in pace(standing).split(", ") if part]
    failed = standing.facts.get("failed", 0)
    cells = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    return (
        f"<section class='bye-job' aria-live='off'><h4><bdi>{escape(job.id)}</bdi>"
        f"<span class='bye-state bye-state-{state}'>{escape(words)}</span></h4>{bar}"
        f"<p class='bye-job-facts'>{cells}</p>{_failed(place, job, failed)}{_error(job)}{_log(job, state)}</section>"
    )


def _bar(done: int, total: int, running: bool) -> str:
    if not total:
        return "<progress aria-label='progress'></progress>" if running else ""
    return f"<progress aria-label='progress' max='{total}' value='{done}'></progress>"


def _failed(place: Workspace, job: jobs.Job, count: int) -> str:
    """How many samples could not be read, and why."""
    path = place.runs / job.id
    if not count or not runs.is_run(path):
        return ""
    try:
        faults = runs.Run.open(path).failed()
    except ByeError:
        return ""
    return (
        f"<details><summary>{len(faults):,} left out, and why</summary><p class='bye-note'>The scan goes on "
        f"without them, and an export leaves them out.</p><ul>{_lines(faults)}</ul></details>"
    )


def _lines(faults: tuple[Fault, ...]) -> str:
    lines = [f"<li>{escape(clip(discreet(f'{one.problem} {one.remedy}'), 400))}</li>" for one in faults[:FAULTS_SHOWN]]
    kinds = Counter(one.kind for one in faults[FAULTS_SHOWN:])
    rest = ", ".join(f"{count:,} x {kind}" for kind, count in kinds.most_common())
    return "".join(lines) + (f"<li class='bye-note'>and {escape(rest)}</li>" if rest else "")


def _error(job: jobs.Job) -> str:
    error = job.error()
    if error is None:
        return ""
    problem, remedy = (escape(clip(discreet(part), 1500)) for part in (error.problem, error.remedy))
    return f"<div class='bye-alert' role='alert'><strong>{problem}</strong> {remedy}</div>"


def _log(job: jobs.Job, state: str) -> str:
    """On one's own machine only: logs name paths."""
    if hosted() or state not in (jobs.FAILED, jobs.LOST):
        return ""
    log = "\n".join(clip(line, 500) for line in job.log(LOG_LINES).splitlines())
    return f"<details><summary>Log</summary><pre>{escape(log)}</pre></details>" if log else ""


def headline(root: Path) -> str:
    """One line for every job at work, for the header; the button leads to its tab."""
    lines = [_line(job) for job in jobs.list_jobs(root) if job.state == jobs.RUNNING]
    return f"<div class='bye-jobs'>{''.join(lines)}</div>" if lines else ""


def _line(job: jobs.Job) -> str:
    standing = job.progress()
    share = f"{standing.done / standing.total:.0%}" if standing.total else "starting"
    unit = UNITS.get(standing.stage.partition(" ")[0], "samples")
    parts = ", ".join(part for part in (share, pace(standing, unit)) if part)
    verb = VERBS.get(job.kind, job.kind)
    return (
        f"<p>{_bar(standing.done, standing.total, running=True)} "
        f"<span>{escape(verb)} <bdi>{escape(clip(job.title, 60))}</bdi>: {escape(parts)}</span> "
        f"<button type='button' class='bye-link' data-tab='{TABS.get(job.kind, 'finetune')}'>show</button></p>"
    )


def failure_alert(found: jobs.Failure | None) -> str:
    """Why a job failed, "" where it did not. Only shown on one's own machine: it may name paths."""
    if found is None:
        return ""
    problem, remedy = escape(clip(found.problem, 1500)), escape(clip(found.remedy, 500))
    return f"<div class='bye-alert' role='alert'><strong>{problem}</strong> {remedy}</div>"
