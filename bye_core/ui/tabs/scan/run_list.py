"""The runs of a workspace as a table: what was scanned, how far it came, what was found. No gradio."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePath

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui.header import verdict
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.job_card import STATES
from bye_core.ui.shared.messages import clip
from bye_core.ui.workspace import Workspace

SHOWN = 30
_rows = Cache(200)
RESUMABLE = (jobs.STOPPED, jobs.FAILED, jobs.LOST)


@dataclass(frozen=True)
class Row:
    """One run in words; `problem` where it cannot be read."""

    name: str
    model: str = ""
    data: str = ""
    scored: int = 0
    total: int = 0
    created: str = ""
    verdict: tuple[str, str] = ("", "open")
    problem: str = ""


def row(path: Path) -> Row:
    """Read once for every state on disk."""
    return _rows.get((path, *runs.stamps(path)), lambda: _read(path))


def _read(path: Path) -> Row:
    try:
        run = runs.Run.open(path)
        settings, counts = run.settings, run.counts()
        model = _name(settings.model) + (f" + {_name(settings.adapter)}" if settings.adapter else "")
        found = verdict(run.detection())
        return Row(path.name, model, _name(settings.data), counts.scored, counts.total, settings.created, found)
    except ByeError as error:
        return Row(path.name, problem=error.problem)


def table(place: Workspace, opened: str) -> str:
    """All runs, newest first, each with a button that opens it; "" where there is none."""
    rows = sorted((row(place.runs / name) for name in place.run_names()), key=lambda one: one.created, reverse=True)
    states = {job.id: job.state for job in jobs.list_jobs(place.jobs) if job.kind == "scan"}
    lines = "".join(_line(one, states.get(one.name, ""), one.name == opened) for one in rows[:SHOWN])
    if not lines:
        return ""
    more = f"<p class='bye-note'>and {len(rows) - SHOWN} older</p>" if len(rows) > SHOWN else ""
    titles = ("run", "verdict", "samples", "model", "data", "date (UTC)")
    head = "".join(f"<th scope='col'{_right(title)}>{title}</th>" for title in titles)
    return (
        "<h4>Runs</h4><div class='bye-scroll' tabindex='0' role='region' aria-label='runs'><table class='bye-table'>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>{more}"
    )


def _line(found: Row, state: str, opened: bool) -> str:
    name = escape(found.name)
    if found.problem:
        return f"<tr><td>{name}</td><td colspan='5'>{escape(clip(found.problem, 120))}</td></tr>"
    samples = f"{found.scored:,}" if found.scored >= found.total else f"{found.scored:,} of {found.total:,}"
    words, kind = found.verdict
    # What was not scanned to its end and is not at work says so; a verdict on a part would mislead.
    if state and state != jobs.DONE:
        words, kind = f"scan {STATES[state]}", "open"
    verdict = escape(words)
    if state in (*RESUMABLE, jobs.RUNNING):
        verdict += f" <button type='button' class='bye-small' data-job='{name}'>show</button>"
    cells = (
        f"<td><button type='button' data-run='{name}' title='open this run'><bdi>{name}</bdi></button></td>"
        f"<td class='bye-{kind}'>{verdict}</td><td class='bye-number'>{samples}</td>"
        f"<td><bdi>{escape(clip(found.model, 50))}</bdi></td><td><bdi>{escape(clip(found.data, 50))}</bdi></td>"
        f"<td>{escape(found.created[:16].replace('T', ' '))}</td>"
    )
    return f"<tr{' aria-current=true' if opened else ''}>{cells}</tr>"


def _right(title: str) -> str:
    return " class='bye-number'" if title == "samples" else ""


def _name(path: str) -> str:
    parts = PurePath(path).parts
    return "/".join(parts[-2:]) if parts else path
