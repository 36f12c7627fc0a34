"""The line above the tabs: verdict, run, model, data set, samples and progress of the review."""

from __future__ import annotations

from html import escape
from pathlib import PurePath

from bye_core.records import Detection
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.session import Session
from bye_core.ui.shared.job_card import headline
from bye_core.ui.workspace import workspace_of

EMPTY = (
    '<div class="bye-header"><span class="bye-verdict">No run is open.</span> Open the demo, or scan a data set.</div>'
)


def header(session: Session) -> str:
    """Return the header's HTML for a session."""
    if not session.visitor:
        return EMPTY
    place = workspace_of(session.visitor)
    top = describe(open_run(place.run_path(session.run)), session.run) if session.run else EMPTY
    return top + headline(place.jobs)


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
        f"{_review_bar(opened)}</div>"
    )


def verdict(detection: Detection | None) -> tuple[str, str]:
    """Return the verdict in words and its kind: "poisoned", "clean" or "open"."""
    if detection is None:
        return "No detection yet", "open"
    flagged = int(detection.flagged.sum())
    if detection.verdict == "poisoned":
        return f"Poisoning found: {flagged:,} of {len(detection.ids):,} flagged", "poisoned"
    return "No evidence of poisoning", "clean"


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
