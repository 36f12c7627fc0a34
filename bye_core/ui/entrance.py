"""Which run somebody who comes in finds open. No gradio."""

from __future__ import annotations

from bye_core.ui import shipped
from bye_core.ui.visitors import Workplace


def run_to_open(place: Workplace, *wanted: str | None) -> str:
    """The first of `wanted` that is a run here, else the shipped demo, else the newest; "" where there is none."""
    names = place.run_names()
    name = next((name for name in wanted if name in names), "")
    if not name and shipped.has_demo():
        name = shipped.open_demo(place)
    return name or next(iter(names), "")
