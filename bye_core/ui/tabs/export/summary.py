"""Shows what an export keeps and removes as HTML: the counts, and a paged table of the removed records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from bye_core.pipeline import ExportPlan
from bye_core.records import NOT_TESTED, POISONED, Detection, Sample
from bye_core.ui.shared.messages import clip, discreet
from bye_core.ui.shared.obstacles import obstacle_html

PAGE = 20  # rows
TEXT, ID, NOTE = 160, 60, 200  # characters
FLAGGED, BY_HAND, NOT_SCANNED, UNUSABLE = "flagged and rejected", "rejected by hand", "not scanned", "unusable"


@dataclass(frozen=True)
class Counts:
    """Numbers of records. `reasons` counts the removed records by reason, in a fixed order.

    undecided  flagged records without a decision
    accepted   flagged records that are kept because a reviewer accepted them
    unscanned  kept records without an image, which cannot be scanned
    """

    kept: int
    removed: int
    reasons: Mapping[str, int]
    undecided: int
    accepted: int
    unscanned: int = 0

    @property
    def rejected(self) -> int:
        """The number of records that a person rejected."""
        return self.reasons.get(FLAGGED, 0) + self.reasons.get(BY_HAND, 0)


def reason_of(row: Mapping[str, Any]) -> str:
    """Return the kind of reason that a row of removed.jsonl gives for the removal."""
    return str(row["reason"]).partition(":")[0]


def count(plan: ExportPlan) -> Counts:
    numbers = Counter(map(reason_of, plan.removed))
    order = dict.fromkeys([FLAGGED, BY_HAND, NOT_SCANNED, UNUSABLE, *numbers])
    reasons = {reason: numbers[reason] for reason in order if numbers[reason]}
    kept, unscanned = len(plan.keep) + len(plan.unscanned), len(plan.unscanned)
    return Counts(kept, len(plan.removed), reasons, len(plan.undecided), len(plan.accepted), unscanned)


def summary(counts: Counts, detection: Detection | None, run: str = "") -> str:
    """Return the HTML of the numbers of kept and removed records, which differ in colour, shape and word.

    `run` is the name of the run that holds the detection.
    """
    total = max(1, counts.kept + counts.removed)
    share = 100 * counts.kept / total
    label = f"{counts.kept:,} of {total:,} records kept"
    removed = [f"<li><b>{number:,}</b> {escape(reason)}</li>" for reason, number in counts.reasons.items()]
    kept = []
    if counts.accepted:
        kept.append(f"<li><b>{counts.accepted:,}</b> flagged but accepted in Review</li>")
    if counts.unscanned:
        kept.append(f"<li><b>{counts.unscanned:,}</b> without an image: kept unscanned</li>")
    if counts.undecided:
        kept.append(f"<li class='bye-warn'><b>{counts.undecided:,}</b> flagged and undecided: kept until rejected</li>")
    return (
        "<section class='bye-leaving' aria-label='What the export keeps and removes'>"
        f"{_side('stays', counts.kept, 'kept', kept)}{_side('goes', counts.removed, 'removed', removed)}"
        f"<div class='bye-split' role='img' aria-label='{label}'><i style='width:{share:.2f}%'></i></div>"
        f"{_advice(counts, detection, run)}</section>"
    )


def _side(kind: str, number: int, word: str, lines: Sequence[str]) -> str:
    items = f"<ul>{''.join(lines)}</ul>" if lines else ""
    return f"<div class='bye-side bye-{kind}'><p class='bye-big'>{number:,} <span>{word}</span></p>{items}</div>"


def _advice(counts: Counts, detection: Detection | None, run: str) -> str:
    if detection is None:
        words = (
            "This run has no detection yet. Run a detection in Layers first. Until then, all scanned samples are kept."
        )
    elif counts.undecided:
        words = "Decide on the undecided samples in Review, or reject them all here. You can undo that."
    elif detection.verdict == NOT_TESTED and not counts.rejected:
        same = "" if counts.removed else " The export is a copy."
        return f"<p class='bye-note'>The data set was not tested.{same}</p>{obstacle_html(detection, run)}"
    elif detection.verdict != POISONED and not counts.rejected:
        words = "The detection found no evidence of poisoning, and no sample was rejected, so the export is a copy."
    else:
        return ""
    return f"<p class='bye-note'>{words}</p>"


def pages(plan: ExportPlan) -> int:
    """Return the number of pages of the table, at least 1."""
    return max(1, -(-len(plan.removed) // PAGE))


def removed_table(
    plan: ExportPlan, samples: Mapping[str, Sample], page: int, thumbnails: Mapping[str, str] | None = None
) -> str:
    """Return the HTML table of one page of removed records. Pages count from 0; `thumbnails` holds data URIs by id."""
    rows = plan.removed[page * PAGE : (page + 1) * PAGE]
    if not rows:
        return "<p class='bye-note'>No record is removed: no sample is rejected, and every record can be used.</p>"
    titles = ("Image", "Sample", "Reason", "Score")
    head = f"<tr>{''.join(f'<th scope=col>{title}</th>' for title in titles)}</tr>"
    body = "".join(_row(row, samples, thumbnails or {}) for row in rows)
    return f"<div class='bye-wide' tabindex='0'><table class='bye-removed'><thead>{head}</thead>{body}</table></div>"


def _row(row: Mapping[str, Any], samples: Mapping[str, Sample], thumbnails: Mapping[str, str]) -> str:
    id, unusable = str(row["id"]), reason_of(row) == UNUSABLE
    # The fault of a duplicate has the same id as the valid record, whose thumbnail must not be shown.
    sample = None if unusable else samples.get(id)
    source = "" if unusable else thumbnails.get(id, "")
    image = f"<img src='{source}' alt='' loading='lazy'>" if source else "<span class='bye-none'>no image</span>"
    question = escape(clip(sample.question, TEXT)) if sample else ""
    answer = escape(clip(sample.answer, TEXT)) if sample else ""
    score = row.get("score")
    return (
        f"<tr><td>{image}</td><td><p class='bye-id'><bdi>{escape(clip(id, ID))}</bdi> record {row['index'] + 1:,}</p>"
        f"<p dir='auto'>{question}</p><p class='bye-answer' dir='auto'>{answer}</p></td>"
        f"<td>{_reason(row)}</td><td class='bye-number'>{'' if score is None else f'{score:.3f}'}</td></tr>"
    )


def _reason(row: Mapping[str, Any]) -> str:
    lines = [escape(clip(discreet(str(row["reason"])), NOTE))]
    if row.get("reviewer"):
        lines.append(f"<span class='bye-note'>by <bdi>{escape(clip(row['reviewer'], ID))}</bdi></span>")
    if row.get("note"):
        lines.append(f"<q class='bye-note'>{escape(clip(row['note'], NOTE))}</q>")
    return "<br>".join(lines)
