"""The runs of a workspace as an HTML table: what was scanned, how much of it, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePath

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui.open_run import verdict
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.job_card import STATES
from bye_core.ui.shared.messages import clip
from bye_core.ui.shared.obstacles import first_obstacle
from bye_core.ui.shared.workspace_jobs import RESUMABLE
from bye_core.ui.workspace import Workspace

SHOWN = 30
TITLES = ("run", "verdict", "samples", "model", "data", "date (UTC)")
_rows = Cache(200)


@dataclass(frozen=True)
class Row:
    """The texts that describe one run.

    reason   why its data set was not tested, "" if it was
    problem  why the run cannot be read, "" if it can
    """

    name: str
    model: str = ""
    data: str = ""
    scored: int = 0
    total: int = 0
    created: str = ""
    verdict: tuple[str, str] = ("", "open")
    reason: str = ""
    problem: str = ""


def row(path: Path) -> Row:
    """Return the row of a run. The run is read again only after its files have changed."""
    return _rows.get((path, *runs.stamps(path)), lambda: _read(path))


def _read(path: Path) -> Row:
    try:
        run = runs.Run.open(path)
        settings, counts = run.settings, run.counts()
        model = _short(settings.model) + (f" + {_short(settings.adapter)}" if settings.adapter else "")
        detection = run.detection()
        obstacle, data = first_obstacle(detection), _short(settings.data)
        reason = obstacle.reason if obstacle else ""
        words, created = verdict(detection), settings.created
        return Row(path.name, model, data, counts.scored, counts.total, created, words, reason)
    except ByeError as error:
        return Row(path.name, problem=error.problem)


def table(workspace: Workspace, opened: str) -> str:
    """Return the HTML table of all runs, newest first, each with a button that opens it; "" if there are no runs."""
    rows = [row(workspace.runs / name) for name in workspace.run_names()]
    rows.sort(key=lambda row: row.created, reverse=True)
    states = {job.id: job.state for job in jobs.list_jobs(workspace.jobs, "scan")}
    lines = "".join(_line(row, states.get(row.name, ""), row.name == opened) for row in rows[:SHOWN])
    if not lines:
        return ""
    more = f"<p class='bye-note'>and {len(rows) - SHOWN} older</p>" if len(rows) > SHOWN else ""
    head = "".join(f"<th scope='col'{_align(title)}>{title}</th>" for title in TITLES)
    return (
        "<h4>Runs</h4><div class='bye-scroll' tabindex='0' role='region' aria-label='runs'><table class='bye-table'>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>{more}"
    )


def _line(row: Row, state: str, opened: bool) -> str:
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
        f"<td><button type='button' data-run='{name}' title='open this run'><bdi>{name}</bdi></button></td>"
        f"<td class='bye-{kind}' title='{reason}'>{verdict}</td><td class='bye-number'>{samples}</td>"
        f"<td><bdi>{escape(clip(row.model, 50))}</bdi></td><td><bdi>{escape(clip(row.data, 50))}</bdi></td>"
        f"<td>{escape(row.created[:16].replace('T', ' '))}</td>"
    )
    return f"<tr{' aria-current=true' if opened else ''}>{cells}</tr>"


def _align(title: str) -> str:
    return " class='bye-number'" if title == "samples" else ""


def _short(path: str) -> str:
    parts = PurePath(path).parts
    return "/".join(parts[-2:]) if parts else path
