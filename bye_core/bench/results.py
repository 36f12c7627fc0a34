"""Collects the results of every finished cell of a benchmark in one JSON file and one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.bench import seeds, tables
from bye_core.bench.cell import DONE, RECORD, read_json, write_json
from bye_core.bench.detections import detections
from bye_core.bench.matrix import ATTACKS
from bye_core.files import write_atomic
from bye_core.records import Progress

RESULTS, TABLE = "results.json", "table.md"
HEADINGS = {
    "Attacks": tables.attack_table,
    "Detectors: F1 (precision / recall), AUC": tables.detector_table,
    "Detectors over all cells": tables.summary_table,
}


def collect_results(root: Path) -> Iterator[Progress]:
    """Run every detector on every finished cell in the folder `root` and write results.json and table.md.

    The facts of the last step are the results. Raises: ForeignSeed, before anything is written, if the seed of a cell
    is not for the purpose that `root` is named after; UnknownPurpose if there is no such purpose.
    """
    cells = sorted(path.parent for path in root.glob(f"cells/*/{DONE}"))
    records = {place: read_json(place / RECORD) for place in cells}
    seeds.require(root.name, (record["cell"]["seed"] for record in records.values()))
    rows = []
    for number, place in enumerate(sorted(cells, key=lambda place: _order(records[place]["cell"])), start=1):
        rows.append({**records[place], **read_json(place / DONE), "name": place.name, "detectors": detections(place)})
        yield Progress("detect", number, len(cells))
    facts = {
        "purpose": root.name,
        "versions": runs.versions(),
        "summary": tables.summary(rows),
        "rows": rows,
    }
    write_json(root / RESULTS, facts)
    write_atomic(root / TABLE, page(rows).encode("utf-8"))
    yield Progress("results", 1, 1, facts=facts)


def _order(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the sort key of a cell in tables: first mix and number of samples, then the attack, then the rest."""
    known = ATTACKS.index(cell["attack"]) if cell["attack"] in ATTACKS else len(ATTACKS)
    return (
        cell["mix"],
        cell["samples"],
        known,
        cell["attack"],
        cell["rate"],
        cell["tower"],
        cell["seed"],
        cell["epochs"],
        cell.get("changed", []),
        cell.get("target", ""),
        cell.get("count", 0),
        cell.get("family", ""),
    )


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return all tables as Markdown, with the reasons why detectors were skipped."""
    parts = [f"## {title}\n\n{tables.markdown(build(rows))}\n" for title, build in HEADINGS.items()]
    if reasons := list(skipped(rows)):
        parts.append("## Skipped\n\n" + "".join(f"- {line}\n" for line in reasons))
    return "\n".join(parts)


def lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the tables, and the reasons why detectors were skipped, as text for a terminal."""
    for title, build in HEADINGS.items():
        yield f"\n{title}\n{tables.aligned(build(rows))}"
    yield from (f"skipped: {line}" for line in skipped(rows))


def skipped(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line for each reason why a detector was skipped, with the number of cells that it concerns."""
    reasons: dict[tuple[str, str], int] = {}
    for row in rows:
        for method, found in row["detectors"].items():
            if "skipped" in found:
                reasons[method, found["skipped"]] = reasons.get((method, found["skipped"]), 0) + 1
    for (method, reason), count in reasons.items():
        yield f"{method}, {count} of {len(rows)} cells: {reason}"
