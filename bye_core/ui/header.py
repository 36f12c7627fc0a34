"""The line above all tabs: run, model, data set, samples, verdict, progress of the review."""

from __future__ import annotations

from html import escape
from pathlib import PurePath

from bye_core.records import Detection
from bye_core.ui.open_run import RunView, open_view
from bye_core.ui.session import Session
from bye_core.ui.shared.job_card import headline
from bye_core.ui.workspace import workspace_of

EMPTY = (
    '<div class="bye-header"><span class="bye-verdict">No run is open.</span> Open the demo, or scan a data set.</div>'
)


def header(session: Session) -> str:
    """HTML of the header for what the session looks at."""
    if not session.visitor:
        return EMPTY
    place = workspace_of(session.visitor)
    top = describe(open_view(place.run_path(session.run)), session.run) if session.run else EMPTY
    return top + headline(place.jobs)


def describe(view: RunView, name: str) -> str:
    settings, counts, detection = view.run.settings, view.run.counts(), view.detection()
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
        f"{_review_bar(view, detection)}</div>"
    )


def verdict(detection: Detection | None) -> tuple[str, str]:
    """The verdict in words, and its kind: "poisoned", "clean" or "open"."""
    if detection is None:
        return "not examined yet", "open"
    flagged = int(detection.flagged.sum())
    if detection.verdict == "poisoned":
        return f"poisoning found: {flagged:,} of {len(detection.ids):,} flagged", "poisoned"
    return "no evidence of poisoning", "clean"


def _review_bar(view: RunView, detection: Detection | None) -> str:
    if detection is None or not detection.flagged.any():
        return ""
    flagged, decided = detection.flagged_ids, view.decisions()
    done = sum(id in decided for id in flagged)
    words = f"{done:,} of {len(flagged):,} flagged samples reviewed"
    return f'<label class="bye-progress">{words}<progress max="{len(flagged)}" value="{done}"></progress></label>'


def _name(path: str) -> str:
    parts = PurePath(path).parts
    return "/".join(parts[-2:]) if parts else path
