"""Runs the methods on the open run and compares their flags with those of the saved detection. No gradio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache

from bye_core.detect import DETECTORS, score
from bye_core.errors import ByeError
from bye_core.records import Detection
from bye_core.ui.adjust.comparison import Comparison
from bye_core.ui.adjust.trial import Trial, trial_of
from bye_core.ui.shared.obstacles import lacking

KEPT = 32  # detections in memory, over all runs
# Numbers in the table of heads [N, L, H] up to which all methods run at once: they take about a second (ours).
SMALL = 200_000

USED, TRIED, DEFAULTS = "used", "tried", "defaults"
_results: LRUCache[tuple, Detection | str] = LRUCache(KEPT)
_lock = Lock()


@dataclass(frozen=True)
class Entry:
    """One method with its settings, and its result on the open run.

    kind       USED: the saved detection; TRIED: the settings that Adjust tries; DEFAULTS: the method's own defaults
    lacks      what the scan lacks for the method, as a sentence with the remedy; "" if the method can run
    detection  None until the method has run
    failure    why the method stopped, "" if it did not
    """

    kind: str
    trial: Trial
    lacks: str = ""
    detection: Detection | None = None
    failure: str = ""

    @property
    def key(self) -> str:
        """The name of the entry in requests of the page."""
        return f"{self.kind}/{self.trial.method}"

    @property
    def title(self) -> str:
        detector = DETECTORS.get(self.trial.method)
        return detector.title if detector else self.trial.method

    @property
    def is_pending(self) -> bool:
        return not self.lacks and not self.failure and self.detection is None


@dataclass(frozen=True)
class Overlap:
    """The flagged samples of an entry, compared with those of the saved detection."""

    both: tuple[str, ...]
    only_here: tuple[str, ...]
    only_used: tuple[str, ...]


def overlap(used: Detection, other: Detection) -> Overlap:
    """Compare the flags of two detections. The ids keep the order of the detection that flags them."""
    ours, theirs = used.flagged_ids, other.flagged_ids
    in_ours, in_theirs = frozenset(ours), frozenset(theirs)
    return Overlap(
        tuple(id for id in theirs if id in in_ours),
        tuple(id for id in theirs if id not in in_ours),
        tuple(id for id in ours if id not in in_theirs),
    )


def scores(entry: Entry, poisoned: frozenset[str] | None) -> Mapping[str, Any] | None:
    """Return precision, recall and F1 of an entry; None without a truth file or before the method has run."""
    return score(entry.detection, poisoned) if poisoned is not None and entry.detection is not None else None


def entries(compared: Comparison) -> list[Entry]:
    """Return the saved detection, the trial if it differs, and every other method with its defaults."""
    used = trial_of(compared.trial.run, compared.used)
    found = [Entry(USED, used, detection=compared.used)]
    if compared.trial != used:
        found.append(Entry(TRIED, compared.trial, detection=compared.tried))
    taken = {entry.trial for entry in found}
    defaults = [Trial(used.run, name) for name in DETECTORS]
    return found + [_entry(compared, trial) for trial in defaults if trial not in taken]


def _entry(compared: Comparison, trial: Trial) -> Entry:
    if lacks := lacking(compared.table, trial.method):
        return Entry(DEFAULTS, trial, lacks)
    with _lock:
        known = _results.get(_key(compared, trial))
    if isinstance(known, str):
        return Entry(DEFAULTS, trial, failure=known)
    return Entry(DEFAULTS, trial, detection=known)


def run_pending(compared: Comparison) -> Iterator[Entry]:
    """Run the methods that have not run on this scan. Yields each entry before its method runs."""
    for entry in entries(compared):
        if entry.is_pending:
            yield entry
            result: Detection | str
            try:
                result = compared.opened.detect(entry.trial.method, dict(entry.trial.settings))
            except ByeError as error:
                result = f"{error.problem} {error.remedy}"
            with _lock:
                _results[_key(compared, entry.trial)] = result


def is_small(compared: Comparison) -> bool:
    """Return whether all methods run on this scan within about a second."""
    entropy = compared.table.entropy
    return (entropy if entropy is not None else compared.table.layer_entropy).size <= SMALL


def _key(compared: Comparison, trial: Trial) -> tuple:
    return compared.opened.path, compared.opened.scan, trial.method, trial.settings
