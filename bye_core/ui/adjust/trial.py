"""The settings that Adjust tries, and the changes that they would cause. No gradio.

The detection of a trial is compared with the run's own, with the decisions of reviewers, and with a truth file if a
person loaded one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bye_core.detect import DETECTORS, PAPER, score
from bye_core.records import Decision, Detection

# Ours. A sample is borderline if its distance to the cut-off is at most this share of the distance from the cut-off to
# the mean of its side. For a Gaussian side with the cut-off at three standard deviations, that is about 1% of the
# samples.
CLOSE = 0.2
# Ours. Without a cut-off, a sample is borderline if its score is between these values.
UNSURE = (0.1, 0.9)


@dataclass(frozen=True)
class Trial:
    """The run, the method and the settings to try.

    `settings` holds only the settings that differ from the method's defaults, sorted by name.
    """

    run: str = ""
    method: str = PAPER
    settings: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Any:
        """Return a setting or its default; None if the method has no such setting."""
        return dict(self.settings).get(name, defaults(self.method).get(name))

    def having(self, **changes: Any) -> Trial:
        """Return a copy of the trial with the given settings. Settings that the method does not have are dropped."""
        return settled(self.run, self.method, {**dict(self.settings), **changes})


def defaults(method: str) -> dict[str, Any]:
    return {field.name: field.default for field in fields(DETECTORS[method].settings)} if method in DETECTORS else {}


def settled(run: str, method: str, settings: Mapping[str, Any]) -> Trial:
    """Return a trial with the settings that differ from the defaults."""
    usual = defaults(method)
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    # BYE records the entropy formula even if it follows from the BSI formula.
    if plain.get("entropy") is not None and plain["entropy"] == plain.get("bsi", usual.get("bsi")):
        plain["entropy"] = None
    return Trial(run, method, tuple(sorted((n, v) for n, v in plain.items() if n in usual and v != usual[n])))


def trial_of(run: str, detection: Detection | None) -> Trial:
    """Return a trial with the settings of `detection`.

    Without a detection, or if this version has no such method, return BYE with the settings of its paper.
    """
    if detection is None or detection.method not in DETECTORS:
        return Trial(run)
    return settled(run, detection.method, detection.settings)


@dataclass(frozen=True)
class Flips:
    """Ids that become flagged (`added`) or unflagged (`removed`), in the order of the new detection.

    `fresh` counts the samples that only the new detection covers.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    fresh: int = 0


def flips(before: Detection | None, after: Detection) -> Flips:
    """Return the flags that change from `before` to `after`. Without `before`, all samples count as fresh."""
    if before is None:
        return Flips(fresh=len(after.ids))
    if before.ids == after.ids:
        was = before.flagged
        known = np.ones(len(after.ids), bool)
    else:
        flags = dict(zip(before.ids, before.flagged.tolist(), strict=True))
        known = np.array([id in flags for id in after.ids], bool)
        was = np.array([flags.get(id, False) for id in after.ids], bool)
    added, removed = known & after.flagged & ~was, known & was & ~after.flagged
    return Flips(_ids(after, added), _ids(after, removed), int((~known).sum()))


def borderline(detection: Detection) -> tuple[str, ...]:
    """Return the ids of the samples close to the cut-off, closest first; without one, those with scores near 0.5."""
    known, flagged = np.isfinite(detection.values), np.asarray(detection.flagged, bool)
    sides = [side for side in (known & flagged, known & ~flagged) if side.any()]
    if detection.cutoff is not None and sides:
        distance, way = np.abs(detection.values - detection.cutoff), np.zeros(len(known))
        for side in sides:
            way[side] = abs(detection.values[side].mean() - detection.cutoff)
        close = known & (distance < CLOSE * way)
    else:
        distance = np.abs(detection.scores - 0.5)
        close = known & (detection.scores > UNSURE[0]) & (detection.scores < UNSURE[1])
    rows = np.flatnonzero(close)
    return tuple(detection.ids[row] for row in rows[np.argsort(distance[rows], kind="stable")])


@dataclass(frozen=True)
class Conflicts:
    """Ids of the samples on which reviewer and detection disagree: accepted but flagged, rejected but not flagged."""

    accepted_flagged: tuple[str, ...] = ()
    rejected_unflagged: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return self.accepted_flagged + self.rejected_unflagged


def conflicts(detection: Detection, decisions: Mapping[str, Decision]) -> Conflicts:
    choice = {id: decision.choice for id, decision in decisions.items()}
    pairs = [
        (id, choice[id], flag) for id, flag in zip(detection.ids, detection.flagged.tolist(), strict=True)
        if id in choice
    ]  # fmt: skip
    return Conflicts(
        tuple(id for id, chosen, flag in pairs if chosen == "accept" and flag),
        tuple(id for id, chosen, flag in pairs if chosen == "reject" and not flag),
    )


@dataclass(frozen=True)
class Effect:
    """What a trial would change. `scores` is the result of `detect.score`, None without a truth file.

    `saved` says whether the trial's detection is the saved one; `decided` counts the reviewed samples; `verdict` is
    that of the trial's detection.
    """

    total: int
    flagged: int
    saved: bool
    flips: Flips
    borderline: tuple[str, ...]
    conflicts: Conflicts
    decided: int
    verdict: str = ""
    scores: Mapping[str, Any] | None = None


def effect(
    used: Detection | None,
    tried: Detection,
    decisions: Mapping[str, Decision],
    truth: frozenset[str] | None = None,
) -> Effect:
    """Compare `tried` with `used`, the saved detection. Only the scores depend on `truth`, the poisoned ids."""
    return Effect(
        total=len(tried.ids),
        flagged=int(tried.flagged.sum()),
        saved=is_same(used, tried),
        flips=flips(used, tried),
        borderline=borderline(tried),
        conflicts=conflicts(tried, decisions),
        decided=len(decisions),
        verdict=tried.verdict,
        scores=None if truth is None else score(tried, truth),
    )


def is_same(used: Detection | None, tried: Detection) -> bool:
    """Return whether saving `tried` would change nothing."""
    if used is None or used.ids != tried.ids or used.verdict != tried.verdict:
        return False
    return settled("", used.method, used.settings) == settled("", tried.method, tried.settings)


def _ids(detection: Detection, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(detection.ids[row] for row in np.flatnonzero(chosen))
