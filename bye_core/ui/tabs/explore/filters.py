"""The view of the Explore tab: what the map shows, and which samples pass the filters. No gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared import sample_queue
from bye_core.ui.tabs.explore import places
from bye_core.ui.tabs.explore.projection import SOURCES

ALL = -1  # any layer, or the mean of all heads
COLORS = {
    "flag": "flag",
    "answer": "answer",
    "kind": "kind of question",
    "decision": "decision",
    "truth": "truth file",
}
SHOWS = {
    "all": "all samples",
    "flagged": "flagged",
    "unflagged": "not flagged",
    "suspects": "worth a look",
    "accepted": "accepted",
    "rejected": "rejected",
    "undecided": "undecided",
}
LONGEST_TEXT = 200  # characters


@dataclass(frozen=True)
class View:
    """Everything that the user chose on the tab.

    source, color       what the map is made of, and what its colours mean
    show, text          which samples pass: a key of SHOWS, and a part of the id, question or answer
    low_score, high_score, low, high  limits of the score, and of the entropy in `layer` and `head`; None for no limit
    place               where the attention of `layer` peaks: a key of PLACES, "" for anywhere
    """

    source: str = "entropy"
    color: str = "flag"
    show: str = "all"
    text: str = ""
    low_score: float | None = None
    high_score: float | None = None
    layer: int = ALL
    head: int = ALL
    low: float | None = None
    high: float | None = None
    place: str = ""

    @property
    def needs_places(self) -> bool:
        return self.place != ""

    def record(self) -> dict[str, Any]:
        return asdict(self)


CHOICES = {"source": SOURCES, "color": COLORS, "show": SHOWS, "place": {"": "", **places.PLACES}}


def view_of(record: Mapping[str, Any]) -> View:
    """Return a view from a record: of the page, or of a file of another version. Wrong values become the defaults."""
    good: dict[str, Any] = {}
    for field in fields(View):
        value = record.get(field.name)
        if field.name in CHOICES:
            ok = isinstance(value, str) and value in CHOICES[field.name]
        elif field.name == "text":
            ok, value = isinstance(value, str), value[:LONGEST_TEXT] if isinstance(value, str) else value
        elif field.name in ("layer", "head"):
            ok = isinstance(value, int) and not isinstance(value, bool) and value >= ALL
        else:
            ok = isinstance(value, int | float) and not isinstance(value, bool)
        if ok:
            good[field.name] = value
    return View(**good)


def fitting(view: View, opened: OpenRun) -> View:
    """Return the view without a layer or head that this run does not have."""
    layers, heads = shape(opened)
    if view.layer >= layers:
        view = replace(view, layer=ALL, head=ALL, low=None, high=None)
    return replace(view, head=ALL) if view.head >= heads else view


def shape(opened: OpenRun) -> tuple[int, int]:
    """Return the numbers of layers and of heads; 0 heads if the scan stored no numbers of single heads."""
    table = opened.table
    return table.layer_entropy.shape[1], 0 if table.entropy is None else table.entropy.shape[2]


def entropies(opened: OpenRun, view: View) -> np.ndarray:
    """Return [N] the entropies of the layer and head, or the mean of all layers, in the unit of the detection."""
    table = opened.table.with_unit(opened.evidence.unit)
    if view.layer == ALL:
        return table.layer_entropies().mean(axis=1)
    of_head = None if view.head == ALL else table.head_entropies(view.layer, view.head)
    return table.layer_entropies()[:, view.layer] if of_head is None else of_head


def peak_layer(opened: OpenRun, view: View) -> int:
    """Return the layer whose peaks the place filter uses: the chosen one, else the first sensitive layer."""
    return view.layer if view.layer != ALL else opened.evidence.layers[0]


def passing(opened: OpenRun, view: View) -> np.ndarray:
    """Return [N] bool: which samples pass the filters. The place filter needs `places.read` before."""
    columns, chosen = opened.columns, opened.choices()
    lists = {**sample_queue.shown(columns, chosen), "unflagged": ~columns.flagged}
    wanted = lists[view.show].copy()
    wanted &= _within(columns.scores, view.low_score, view.high_score)
    wanted &= _within(entropies(opened, view), view.low, view.high)
    peaks = places.known(opened) if view.needs_places else None
    if peaks is not None:
        wanted &= places.names(peaks[:, peak_layer(opened, view)]) == view.place
    needle = view.text.strip().casefold()
    if needle:
        wanted &= columns.containing(needle)
    return wanted


def _within(values: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    """Return where values are within the limits. A missing number passes only without limits."""
    if low is None and high is None:
        return np.ones(len(values), bool)
    return (values >= (-np.inf if low is None else low)) & (values <= (np.inf if high is None else high))
