"""Writes a report as one HTML page, without scripts or external files. Escapes all texts from data and models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from bye_core import figures
from bye_core.detect import value_label
from bye_core.figures.theme import ACCENT, NEUTRAL, SUSPICIOUS
from bye_core.records import NO_EVIDENCE, POISONED, UNIT_NAMES
from bye_core.reports.case import Case, decided, flagged_rows
from bye_core.reports.evidence_section import why_section
from bye_core.reports.exhibits import exhibit_card
from bye_core.reports.style import STYLE
from bye_core.reports.svg import svg
from bye_core.text import MEASURES, clip, count, measured, verdict_words

NAMED = 50  # ids of a finding
LISTED = 2000  # flagged samples on the page; report.json has all
DRAWN_LAYERS = 3
COLORS = {"base": NEUTRAL, "suspect": SUSPICIOUS, "random": "#c9a227", "cleaned": ACCENT}
# With this policy, browsers load no files and run no scripts, even if a text were not escaped.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(case: Case) -> str:
    sections = (_head, _findings, _outcome, why_section, _detection, _exhibits, _flagged, _trainings, _settings)
    parts = [section(case) for section in sections]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(case.title)}</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main>"
        "</body></html>\n"
    )


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return an HTML table; escapes all texts. The first cell of each row is the row's heading."""
    titles = "".join(f"<th scope='col'>{escape(title)}</th>" for title in head)
    body = "".join(
        f"<tr><th scope='row' dir='auto'>{escape(first)}</th>"
        f"{''.join(f'<td dir=auto>{escape(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<div class='scroll'><table>{words}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


# --- sections --------------------------------------------------------------------------------------------------


def _head(case: Case) -> str:
    counts, choices = case.counts, decided(case)
    flagged = len(case.detection.flagged_ids)
    verdict = verdict_words(case.detection.verdict, flagged, len(case.detection.ids))
    colour = {POISONED: "bad", NO_EVIDENCE: "good"}.get(case.detection.verdict, "open")
    facts = [("samples", counts["total"]), ("scanned", counts["scored"]), ("not readable", counts["failed"])]
    facts += [("flagged", flagged), *((name.replace("_", " "), number) for name, number in choices.items())]
    cells = "".join(f"<div><dt>{name}</dt><dd>{number:,}</dd></div>" for name, number in facts)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in case.detection.explanation)
    return (
        f"<header><p class='note'>BYE report, {escape(case.created)}</p><h1>{escape(clip(case.title, 120))}</h1>"
        f"<p class='verdict {colour}'>{verdict}</p><dl>{cells}</dl><ul>{reasons}</ul></header>"
    )


def _findings(case: Case) -> str:
    """Return the groups of flagged samples with their reasons, and the samples that are worth a look."""
    findings, suspects = case.detection.findings, case.detection.suspects
    parts = []
    for finding in findings:
        title = f"{clip(finding.name, 120)}: {count(len(finding.ids), 'sample')}"
        reasons = "".join(f"<li dir=auto>{escape(reason)}</li>" for reason in finding.reasons)
        parts.append(_folded(title, f"<ul>{reasons}</ul>{_ids('Samples', finding.ids)}"))
    if suspects:
        verb = "is" if len(suspects) == 1 else "are"
        words = f"{count(len(suspects), 'sample')} {verb} worth a look. The evidence does not suffice to flag them."
        parts.append(f"<p>{words}</p>{_ids('Ids', suspects)}")
    return _section("Findings", *parts) if parts else ""


def _ids(name: str, ids: Sequence[str]) -> str:
    """Return a paragraph with the first ids, the most suspicious first."""
    more = f" and {len(ids) - NAMED:,} more; report.json has all" if len(ids) > NAMED else ""
    names = ", ".join(f"<bdi>{escape(clip(id, 60))}</bdi>" for id in ids[:NAMED])
    return f"<p class='note'>{name}: {names}{more}.</p>"


def _outcome(case: Case) -> str:
    if not case.models:
        return ""
    keys = [key for key in MEASURES if any(own.get(key) is not None for own in case.models.values())]
    head = ["model", *(MEASURES[key][0] for key in keys), "questions"]
    rows = [
        [case.labels.get(name, name), *(measured(own, key) for key in keys), f"{own.get('samples', 0):,}"]
        for name, own in case.models.items()
    ]
    confidence = next((own["confidence"] for own in case.models.values() if "confidence" in own), 0.95)
    legend = (
        "CP: share of correct answers without the trigger. ASR: share of triggered copies that get the attacker's "
        "answer. CIDEr: similarity of captions to the reference captions, 0 to 10. In brackets: "
        f"{confidence:.0%} confidence intervals."
    )
    bars = figures.outcome_bars(
        {case.labels.get(name, name): own for name, own in case.models.items()},
        {case.labels.get(name, name): COLORS.get(name, NEUTRAL) for name in case.models},
    )
    return _section(
        "Before and after", _table(head, rows), f"<p class='note'>{escape(legend)}</p>",
        svg(bars, "CP and ASR of all models"), _by_question(case, keys),
    )  # fmt: skip


def _by_question(case: Case, keys: Sequence[str]) -> str:
    rows = [
        [clip(kind, 120), case.labels.get(name, name), *(measured(group, key) for key in keys), f"{group['samples']:,}"]
        for name, own in case.models.items()
        for kind, group in own.get("by_question", {}).items()
    ]
    rows.sort(key=lambda row: row[0])
    head = ["question", "model", *(MEASURES[key][0] for key in keys), "questions"]
    return _folded("By kind of question", _table(head, rows)) if rows else ""


def _detection(case: Case) -> str:
    detection = case.detection
    unit, entropies = UNIT_NAMES[detection.entropy_unit], case.entropies
    tau = detection.settings.get("tau") if detection.settings.get("select", True) else None
    drawn = [
        svg(
            figures.bsi_figure(detection.layers, tau, detection.settings.get("bsi", "paper"), unit), "BSI of each layer"
        )
    ]
    drawn.append(
        svg(
            figures.final_histogram(detection, value_label=value_label(detection.method, detection.entropy_unit)),
            "clustered values",
        )
    )
    side, flagged = figures.suspicious_side(detection), set(detection.flagged_ids)
    mask = np.array([id in flagged for id in case.table.ids], dtype=bool)
    ranked = sorted((r for r in detection.layers if r.sensitive), key=lambda r: -r.bsi if r.bsi == r.bsi else math.inf)
    for report in ranked[:DRAWN_LAYERS]:
        column = entropies[:, report.layer]
        drawn.append(
            svg(figures.layer_histogram(column, report, side, mask, unit=unit), f"entropy of layer {report.layer}")
        )
    cells = "".join(f"<figure>{one}</figure>" for one in drawn)
    return _section("Detection", f"<div class='figures'>{cells}</div>", _folded("All layers", _layers(case)))


def _layers(case: Case) -> str:
    rows = []
    for report in case.detection.layers:
        modes = ["", ""]
        if report.mixture:
            modes = [
                f"{mean:.3f} ± {std:.3f} ({weight:.1%})"
                for mean, std, weight in zip(*vars(report.mixture).values(), strict=True)
            ]
        numbers = ["" if math.isnan(value) else f"{value:.2f}" for value in (report.bsi, report.kl)]
        rows.append([str(report.layer), *modes, *numbers, "sensitive" if report.sensitive else "", report.note])
    unit = UNIT_NAMES[case.detection.entropy_unit]
    return _table(["layer", f"low mode [{unit}]", f"high mode [{unit}]", "BSI", "KL [nats]", "", "note"], rows)


def _exhibits(case: Case) -> str:
    if not case.exhibits:
        return ""
    cards = "".join(exhibit_card(case, one) for one in case.exhibits)
    words = (
        f"The {len(case.exhibits)} most suspicious samples, without and with the attention of the first answer token."
    )
    return _section("Flagged samples", f"<p class='note'>{words}</p><ol class='cards'>{cards}</ol>")


def _flagged(case: Case) -> str:
    rows = flagged_rows(case)
    if not rows:
        return ""
    shown = [
        [row["id"], clip(row["question"], 80), clip(row["answer"], 80), f"{row['score']:.3f}", f"{row['value']:.3f}",
         row["decision"], clip(" ".join(filter(None, (row["reviewer"], row["note"]))), 80)]
        for row in rows[:LISTED]
    ]  # fmt: skip
    head = ["id", "question", "answer", "score", "value", "decision", "by"]
    more = f"<p class='note'>and {len(rows) - LISTED:,} more in report.json</p>" if len(rows) > LISTED else ""
    return _folded(f"All {len(rows):,} flagged samples", _table(head, shown) + more)


def _trainings(case: Case) -> str:
    curves = [
        f"<figure><figcaption>{escape(case.labels.get(name, name))}</figcaption>"
        f"{svg(figures.loss_figure(facts), 'loss of ' + name)}</figure>"
        for name, facts in case.losses.items()
        if facts
    ]
    return _section("Fine-tuning", f"<div class='figures'>{''.join(curves)}</div>") if curves else ""


def _settings(case: Case) -> str:
    """Return a list of settings, hashes and versions as HTML: what is needed to reproduce the run."""
    tables = []
    for title, record in (("Cleaning", case.cleaning), ("Scan", case.run), ("Detection", case.detection.settings)):
        if record:
            rows = [[name.replace("_", " "), clip(value, 300)] for name, value in _flat(record)]
            tables.append(_folded(title, _table(["setting", "value"], rows)))
    tables.append(_folded("Versions of this report", _table(["package", "version"], case.versions.items())))
    return _section("Settings and versions", *tables)


def _flat(record: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name} ")
        elif value is not None:
            yield f"{before}{name}", str(value)
