"""Chooses the unit of entropies: H in nats as in the paper, or H / ln V, comparable between images of different size.

V is the number of image tokens of a sample. With a model that keeps the size of its images, the entropy in nats grows
with the image: evenly spread attention has H = ln V.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bye_core.detect.settings import setting
from bye_core.records import NATS, NORMALISED, Detection, ScanTable

AUTO = "auto"
UNITS = (AUTO, NATS, NORMALISED)


def entropy_unit_setting() -> Any:
    """Declare the setting `entropy_unit` of a detector."""
    help = "auto: divide entropies by ln V if the number V of image tokens differs between samples; nats: never"
    return setting(AUTO, help, choices=UNITS)


def in_unit(table: ScanTable, unit: str) -> ScanTable:
    """Return `table` with the entropy unit that the setting `unit` selects; nats if the numbers of tokens are unknown.

    The default is ours. In the demo's run with its attention maps resized to 16 to 144 cells, BYE finds all poisoned
    samples with normalised entropies (F1 1.0) and none in nats, where the size of the image hides the trigger.
    """
    known = table.token_range
    if known is None:
        return table.with_unit(NATS)
    return table.with_unit((NORMALISED if known[0] < known[1] else NATS) if unit == AUTO else unit)


def with_unit(detection: Detection, table: ScanTable) -> Detection:
    """Return `detection` with the unit of `table`, and with a reason that names it if the numbers of tokens differ."""
    low, high = table.token_range or (0, 0)
    if low == high:
        return replace(detection, entropy_unit=table.entropy_unit)
    how = {NORMALISED: "were divided by ln V", NATS: "are in nats and depend on V"}[table.entropy_unit]
    reason = f"The samples have V = {low:,} to {high:,} image tokens; entropies {how}."
    return replace(detection, entropy_unit=table.entropy_unit, reasons=(*detection.reasons, reason))
