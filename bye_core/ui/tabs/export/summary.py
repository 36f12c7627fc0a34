"""What an export would take out and leave in, in numbers and as a paged list. Foreign text is escaped. No gradio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from bye_core.pipeline import ExportPlan
from bye_core.records import Detection, Sample
from bye_core.ui.shared.messages import clip, discreet

PAGE = 20
TEXT, ID, NOTE = 160, 60, 200  # characters
FLAGGED, BY_HAND, NOT_SCANNED, UNUSABLE = "flagged and rejected", "rejected by hand", "not scanned", "unusable"


@dataclass(frozen=True)
class Counts:
    """`reasons`: how many go for which reason, in a fixed order; `rejected` of them were rejected by a person."""

    stay: int
    go: int
    reasons: Mapping[str, int]
    undecided: int
    accepted: int

    @property
    def rejected(self) -> int:
        return self.reasons.get(FLAGGED, 0) + self.reasons.get(BY_HAND, 0)


def reason_of(row: Mapping[str, Any]) -> str:
    """The kind of reason for which a row of removed.jsonl goes."""
    return str(row["reason"]).partition(":")[0]


def count(plan: ExportPlan) -> Counts:
    found = Counter(map(reason_of, plan.removed))
    order = [*(FLAGGED, BY_HAND, NOT_SCANNED, UNUSABLE), *found]
    reasons = {reason: found[reason] for reason in dict.fromkeys(order) if found[reason]}
    return Counts(len(plan.keep), len(plan.removed), reasons, len(plan.undecided), len(plan.accepted))


def sentence(counts: Counts) -> str:
    """902 stay, 98 go: 96 flagged and rejected, 2 rejected by hand; 3 flagged but kept; 5 flagged and undecided ..."""
    parts = [f"{counts.stay:,} stay, {counts.go:,} go"]
    if counts.reasons:
        parts[0] += ": " + ", ".join(f"{number:,} {reason}" for reason, number in counts.reasons.items())
    if counts.accepted:
        parts.append(f"{counts.accepted:,} flagged but kept")
    if counts.undecided:
        parts.append(f"{counts.undecided:,} flagged and undecided (they stay)")
    return "; ".join(parts) + "."


def summary(counts: Counts, detection: Detection | None) -> str:
    """The numbers above everything else: stay and go told apart by colour, shape and word."""
    total = max(1, counts.stay + counts.go)
    share = 100 * counts.stay / total
    shown = f"{counts.stay:,} of {total:,} records stay"
    lines = [f"<li><b>{number:,}</b> {escape(reason)}</li>" for reason, number in counts.reasons.items()]
    kept = []
    if counts.accepted:
        kept.append(f"<li><b>{counts.accepted:,}</b> flagged but kept by a decision</li>")
    if counts.undecided:
        words = "flagged and undecided: they stay until somebody decides"
        kept.append(f"<li class='bye-warn'><b>{counts.undecided:,}</b> {words}</li>")
    return (
        "<section class='bye-leaving' aria-label='What the export keeps and removes'>"
        f"<div class='bye-side bye-stays'><p class='bye-big'>{counts.stay:,} <span>stay</span></p>{_list(kept)}</div>"
        f"<div class='bye-side bye-goes'><p class='bye-big'>{counts.go:,} <span>go</span></p>{_list(lines)}</div>"
        f"<div class='bye-split' role='img' aria-label='{shown}'><i style='width:{share:.2f}%'></i></div>"
        f"{_advice(counts, detection)}</section>"
    )


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _advice(counts: Counts, detection: Detection | None) -> str:
    if detection is None:
        words = "Nothing has been judged in this run yet. Run a detection in Layers first; until then all scanned stay."
    elif counts.undecided:
        words = "Decide on the undecided in Review, one by one, or reject them all here; that can be undone."
    elif detection.verdict != "poisoned" and not counts.rejected:
        words = "The detection found no evidence of poisoning, and nothing was rejected: the export is a copy."
    else:
        return ""
    return f"<p class='bye-note'>{words}</p>"


def pages(plan: ExportPlan) -> int:
    return max(1, -(-len(plan.removed) // PAGE))


def removed_table(
    plan: ExportPlan, samples: Mapping[str, Sample], page: int, thumbnails: Mapping[str, str] | None = None
) -> str:
    """One page, from 0, of what goes. `thumbnails` are data URIs by id, for those that have one."""
    rows = plan.removed[page * PAGE : (page + 1) * PAGE]
    if not rows:
        return "<p class='bye-note'>Nothing goes: no sample is rejected and every record can be used.</p>"
    titles = ("Picture", "Sample", "Why it goes", "Score")
    head = f"<tr>{''.join(f'<th scope=col>{title}</th>' for title in titles)}</tr>"
    body = "".join(_row(row, samples, thumbnails or {}) for row in rows)
    return f"<div class='bye-wide' tabindex='0'><table class='bye-removed'><thead>{head}</thead>{body}</table></div>"


def _row(row: Mapping[str, Any], samples: Mapping[str, Sample], thumbnails: Mapping[str, str]) -> str:
    id, unusable = str(row["id"]), reason_of(row) == UNUSABLE
    # The fault of a duplicate carries the id of the sound record that it repeats.
    sample = None if unusable else samples.get(id)
    source = "" if unusable else thumbnails.get(id, "")
    picture = f"<img src='{source}' alt='' loading='lazy'>" if source else "<span class='bye-none'>no picture</span>"
    question = escape(clip(sample.question, TEXT)) if sample else ""
    answer = escape(clip(sample.answer, TEXT)) if sample else ""
    score = row.get("score")
    return (
        f"<tr><td>{picture}</td><td><p class='bye-id'><bdi>{escape(clip(id, ID))}</bdi> record {row['index'] + 1:,}</p>"
        f"<p dir='auto'>{question}</p><p class='bye-answer' dir='auto'>{answer}</p></td>"
        f"<td>{_why(row)}</td><td class='bye-number'>{'' if score is None else f'{score:.3f}'}</td></tr>"
    )


def _why(row: Mapping[str, Any]) -> str:
    lines = [escape(clip(discreet(str(row["reason"])), NOTE))]
    if row.get("reviewer"):
        lines.append(f"<span class='bye-note'>by <bdi>{escape(clip(row['reviewer'], ID))}</bdi></span>")
    if row.get("note"):
        lines.append(f"<q class='bye-note'>{escape(clip(row['note'], NOTE))}</q>")
    return "<br>".join(lines)
