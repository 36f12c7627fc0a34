"""The runs of a workspace as an HTML table: what was scanned, how much of it, and the verdict."""

from __future__ import annotations

from html import escape

from bye_core.runs import jobs
from bye_core.ui.shared.job_card import STATES
from bye_core.ui.shared.messages import clip
from bye_core.ui.shared.run_facts import RunFacts, run_facts, title_of
from bye_core.ui.shared.workspace_jobs import RESUMABLE
from bye_core.ui.workspace import Workspace

SHOWN = 30
TITLES = ("run", "verdict", "samples", "model", "data", "date (UTC)")


def table(workspace: Workspace, opened: str) -> str:
    """Return the HTML table of all runs, newest first, each with a button that opens it; "" if there are no runs."""
    rows = [run_facts(workspace.runs / name) for name in workspace.run_names()]
    rows.sort(key=lambda row: row.created, reverse=True)
    states = {job.id: job.state for job in jobs.list_jobs(workspace.jobs, "scan")}
    lines = "".join(
        _line(row, title_of(workspace.runs / row.name), states.get(row.name, ""), row.name == opened)
        for row in rows[:SHOWN]
    )
    if not lines:
        return ""
    more = f"<p class='bye-note'>and {len(rows) - SHOWN} older</p>" if len(rows) > SHOWN else ""
    head = "".join(f"<th scope='col'{_align(title)}>{title}</th>" for title in TITLES)
    return (
        "<h4>Runs</h4><div class='bye-scroll' tabindex='0' role='region' aria-label='runs'><table class='bye-table'>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>{more}"
    )


def _line(row: RunFacts, title: str, state: str, opened: bool) -> str:
    name = escape(row.name)
    if row.problem:
        return f"<tr><td>{name}</td><td colspan='5'>{escape(clip(row.problem, 120))}</td></tr>"
    samples = f"{row.scored:,}" if row.scored >= row.total else f"{row.scored:,} of {row.total:,}"
    words, kind = row.verdict
    # The verdict on a part of the samples would mislead.
    if state and state != jobs.DONE:
        words, kind = f"scan {STATES[state]}", "open"
    verdict = escape(words)
    if state in (*RESUMABLE, jobs.RUNNING):
        verdict += f" <button type='button' class='bye-small' data-job='{name}'>show</button>"
    reason = escape(row.reason, quote=True)
    cells = (
        f"<td><button type='button' data-run='{name}' title='Open this run'><bdi>{escape(title)}</bdi></button></td>"
        f"<td class='bye-{kind}' title='{reason}'>{verdict}</td><td class='bye-number'>{samples}</td>"
        f"<td><bdi>{escape(clip(row.model, 50))}</bdi></td><td><bdi>{escape(clip(row.data_name, 50))}</bdi></td>"
        f"<td>{escape(row.created[:16].replace('T', ' '))}</td>"
    )
    return f"<tr{' aria-current=true' if opened else ''}>{cells}</tr>"


def _align(title: str) -> str:
    return " class='bye-number'" if title == "samples" else ""
