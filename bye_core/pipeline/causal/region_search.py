"""Searches an image for a trigger that attention does not show, by pasting its parts into another image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bye_core.data import DataSet
from bye_core.evidence import (
    COVERED,
    COVERED_CONTROL,
    FRUITLESS,
    LEVELS,
    SEARCHED,
    SEARCHED_CONTROL,
    WINDOWS,
    control_spots,
    hit_shares,
    paste,
    regions_at,
)
from bye_core.pipeline.causal.insertion import RecipientPool
from bye_core.pipeline.causal.scanned_model import Images, SampleCheck, ScannedModel
from bye_core.records import Sample


@dataclass(frozen=True)
class _Window:
    """Part WINDOWS[`window`] of a sample's image, to paste into the recipient's first image."""

    check: SampleCheck
    recipient: str
    images: Images
    window: int

    def pasted(self) -> Images:
        first, *others = self.images
        return [paste(first, self.check.source, [WINDOWS[self.window]]), *others]


class RegionSearch:
    """Searches samples whose answer is still the target with all attended cells covered.

    Gives up if the first `FRUITLESS` samples searched have no region that makes the model answer the target.
    """

    def __init__(self, model: ScannedModel, dataset: DataSet, recipients: RecipientPool) -> None:
        self._model, self._dataset, self._recipients = model, dataset, recipients
        self._searched = self._found = 0

    def run(self, checks: Sequence[SampleCheck]) -> None:
        """Cover the regions that make the model answer the target on another image: first the surest regions only.

        If the answer changes, the model is also asked with an equal area covered elsewhere (control occlusion).
        """
        maps = self._influence([check for check in checks if check.intervention.image < len(check.images)])
        left = [check for check in checks if check.id in maps]
        self._searched += len(left)
        for level in LEVELS:
            covered = [check for check in left if _cover_regions(check, maps[check.id], level)]
            silent = self._model.ask(covered, COVERED, SEARCHED)
            answered = [check for check in covered if check.id not in silent]
            flipped = [check for check in answered if not check.at_target(check.answers[SEARCHED])]
            self._model.ask(flipped, COVERED_CONTROL, SEARCHED_CONTROL)
            left = [check for check in left if check not in flipped]
            self._found += len(flipped)

    def _influence(self, checks: Sequence[SampleCheck]) -> dict[str, np.ndarray]:
        """Return, by sample id, an array [PARTS, PARTS]: for each part of the image, how often it causes the target.

        A value is the share of the windows over that part that, pasted into the recipient, make the model answer the
        target. Leaves out samples without a usable recipient. Returns {} after the search has given up.
        """
        if self._searched >= FRUITLESS and not self._found:
            return {}
        self._recipients.ask_unchanged(checks)
        windows: list[_Window] = []
        hits: dict[str, np.ndarray] = {}
        for check in checks:
            if recipient := self._recipients.first(check):
                windows += [_Window(check, *recipient, window) for window in range(len(WINDOWS))]
                hits[check.id] = np.zeros(len(WINDOWS))
        samples = [replace(self._dataset.by_id[one.recipient], id=str(n)) for n, one in enumerate(windows)]

        def pasted(sample: Sample) -> Images:
            return windows[int(sample.id)].pasted()

        answers, _ = self._model.answers(samples, pasted)  # a window without an answer counts as no hit
        for name, answer in answers.items():
            window = windows[int(name)]
            hits[window.check.id][window.window] = window.check.at_target(answer)
        return {id: hit_shares(own) for id, own in hits.items()}


def _cover_regions(check: SampleCheck, influence: np.ndarray, level: float) -> bool:
    """Cover the regions at `level`; return False if there are none, or if no control of equal area fits elsewhere."""
    spots = regions_at(influence, level)
    elsewhere = control_spots(spots, check.id) if spots else None
    if not elsewhere:
        return False
    check.intervention = check.intervention.with_spots(spots, elsewhere)
    return True
