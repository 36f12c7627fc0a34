"""The lines above the tabs: verdict, run, model, data set, samples, progress of the review, and the running jobs."""

from __future__ import annotations

from html import escape
from pathlib import Path, PurePath

from bye_core.runs import jobs
from bye_core.text import UNITS, clip
from bye_core.ui.open_run import OpenRun, open_run, verdict
from bye_core.ui.session import Session
from bye_core.ui.shared.job_card import pace, progress_bar
from bye_core.ui.shared.obstacles import obstacle_html, stated_html
from bye_core.ui.tabs import TABS
from bye_core.ui.workspace import workspace_of

EMPTY = (
    '<div class="bye-header"><span class="bye-verdict">No run is open.</span> Open the demo, or scan a data set.</div>'
)


def header(session: Session) -> str:
    """Return the HTML of the open run of a session."""
    if not (session.visitor and session.run):
        return EMPTY
    path = workspace_of(session.visitor).run_path(session.run)
    return describe(open_run(path), session.run)


def describe(opened: OpenRun, name: str) -> str:
    settings, counts, detection = opened.settings, opened.run.counts(), opened.detection
    model = _name(settings.model) + (f" + {_name(settings.adapter)}" if settings.adapter else "")
    scanned = (
        f"{counts.scored:,} of {counts.total:,} samples"
        if counts.scored < counts.total
        else f"{counts.total:,} samples"
    )
    facts = [("run", name), ("model", model), ("data", _name(settings.data)), ("scanned", scanned)]
    cells = "".join(f"<span class='bye-fact'><b>{escape(label)}</b> {escape(value)}</span>" for label, value in facts)
    words, kind = verdict(detection)
    return (
        f'<div class="bye-header"><span class="bye-verdict bye-{kind}">{escape(words)}</span>{cells}'
        f"{stated_html(opened.run)}{_review_bar(opened)}{obstacle_html(detection, name)}</div>"
    )


def _review_bar(opened: OpenRun) -> str:
    detection = opened.detection
    if detection is None or not detection.flagged.any():
        return ""
    flagged, decided = detection.flagged_ids, opened.decisions()
    done = sum(id in decided for id in flagged)
    words = f"{done:,} of {len(flagged):,} flagged samples reviewed"
    return f'<label class="bye-progress">{words}<progress max="{len(flagged)}" value="{done}"></progress></label>'


def _name(path: str) -> str:
    parts = PurePath(path).parts
    return "/".join(parts[-2:]) if parts else path


def running_jobs(root: Path) -> str:
    """Return the HTML of the running jobs in the folder `root`; "" if none runs."""
    lines = [_line(job) for job in jobs.list_jobs(root) if job.state == jobs.RUNNING]
    return f"<div class='bye-jobs'>{''.join(lines)}</div>" if lines else ""


def _line(job: jobs.Job) -> str:
    standing = job.progress()
    share = f"{standing.done / standing.total:.0%}" if standing.total else "starting"
    unit = UNITS.get(standing.stage.partition(" ")[0], "samples")
    parts = ", ".join([share, *pace(standing, unit)])
    tab, verb = next(((tab.name, tab.jobs[job.kind]) for tab in TABS if job.kind in tab.jobs), ("", job.kind))
    button = f" <button type='button' class='bye-link' data-tab='{tab}'>show</button>" if tab else ""
    return (
        f"<p>{progress_bar(standing, running=True)} "
        f"<span>{escape(verb)} <bdi>{escape(clip(job.title, 60))}</bdi>: {escape(parts)}</span>{button}</p>"
    )
