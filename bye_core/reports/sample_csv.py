"""Writes samples of a run with all their numbers as CSV, for spreadsheets and notebooks."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from bye_core.data.export import csv_cell
from bye_core.records import IMAGE, Decision, Detection, ScanTable

# Columns of one number a sample: their names, and fields of ScanTable.
NUMBERS = {
    "image_tokens": "image_tokens",
    "token_probability": "probability",
    "answer_loss": "nll",
    "answer_loss_before": "nll_before",
    "answer_tokens": "answer_tokens",
}
BLOCK = 256  # samples written at once: the numbers of all heads take a megabyte or more


def write_samples(
    file: TextIO,
    table: ScanTable,
    rows: Sequence[int],
    detection: Detection | None,
    decisions: Mapping[str, Decision],
    heads: bool = True,
) -> None:
    """Write the samples in `rows` of the table, one line each. `heads` adds the numbers of every single head.

    Entropies are in nats; a number that the scan does not have is an empty cell. Texts that a spreadsheet would run as
    a formula get an apostrophe.
    """
    names, columns = zip(*_columns(table, heads), strict=True)
    writer = csv.writer(file)
    writer.writerow([*_TEXTS, *names])
    place = {id: at for at, id in enumerate(detection.ids)} if detection else {}
    suspects = frozenset(detection.suspects) if detection else frozenset()
    for start in range(0, len(rows), BLOCK):
        block = list(rows[start : start + BLOCK])
        numbers = np.stack([np.asarray(column[block], np.float64) for column in columns], axis=1).tolist()
        for row, values in zip(block, numbers, strict=True):
            id = table.ids[row]
            about = _about(table, row, detection, place.get(id), decisions.get(id), id in suspects)
            writer.writerow([*map(csv_cell, about), *("" if value != value else f"{value:.6g}" for value in values)])


_TEXTS = (
    "id", "question", "answer", "method", "flagged", "worth_a_look", "score", "value", "decision", "reviewer", "note",
)  # fmt: skip


def _about(
    table: ScanTable, row: int, detection: Detection | None, at: int | None, decision: Decision | None, suspect: bool
) -> Iterator[Any]:
    """Yield the values of the columns in _TEXTS."""
    yield table.ids[row]
    yield table.questions[row] if table.questions else ""
    yield table.answers[row] if table.answers else ""
    if detection is None or at is None:
        yield from ("", "", "", "", "")
    else:
        yield from (detection.method, bool(detection.flagged[at]), suspect)
        yield from (_json(detection.scores[at]), _json(detection.values[at]))
    yield from (decision.choice, decision.reviewer, decision.note) if decision else ("", "", "")


def _columns(table: ScanTable, heads: bool) -> Iterable[tuple[str, np.ndarray]]:
    """Yield the name and the [N] numbers of each column."""
    for name, field in NUMBERS.items():
        if (column := getattr(table, field)) is not None:
            yield name, column
    layers = range(table.layer_entropy.shape[1])
    yield from ((f"entropy_layer_{layer}", table.layer_entropy[:, layer]) for layer in layers)
    for name, array in (("entropy", table.entropy), ("largest_share", table.peak), ("image_attention", table.mass)):
        if heads and array is not None:
            yield from (
                (f"{name}_layer_{layer}_head_{head}", array[:, layer, head, IMAGE] if array.ndim == 4 else
                 array[:, layer, head])
                for layer in layers for head in range(array.shape[2])
            )  # fmt: skip


def _json(value: float) -> Any:
    return float(f"{value:.6g}") if np.isfinite(value) else ""
