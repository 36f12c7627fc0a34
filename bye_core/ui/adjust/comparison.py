"""Compares the saved detection with the one that a user is trying out, for Layers and Adjust. Imports no gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bye_core.detect import DEFAULT
from bye_core.detect.mixture import bsi_paper, modes
from bye_core.errors import RunError
from bye_core.figures import head_bsi
from bye_core.records import NATS, UNIT_NAMES, Decision, Detection, LayerReport, ScanTable
from bye_core.ui.adjust import truth_file
from bye_core.ui.adjust.trial import Effect, Trial, effect, trial_of
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.session import Session
from bye_core.ui.workspace import workspace_of


class NotReady(RunError):
    """No settings can be tried yet.

    `state` is "closed" (no run is open), "unscored" (no sample is scored) or "undetected" (no detection is saved).
    """

    problem = "{what}"
    remedy = "{advice}"

    @property
    def state(self) -> str:
        return str(self.facts["state"])


@dataclass(frozen=True)
class Comparison:
    """A run's saved detection, `used`, and the detection of a trial, `tried`.

    `poisoned` holds the poisoned ids of the truth file that a person loaded for this run; None without a file.
    """

    opened: OpenRun
    used: Detection
    trial: Trial
    tried: Detection
    decisions: Mapping[str, Decision]
    poisoned: frozenset[str] | None = None

    @property
    def table(self) -> ScanTable:
        """The table of the run, with entropies in the unit of the detection."""
        return self.opened.table.with_unit(self.tried.entropy_unit)

    @property
    def unit(self) -> str:
        """The name of the unit of the entropies."""
        return UNIT_NAMES[self.tried.entropy_unit]

    @cached_property
    def truth(self) -> np.ndarray | None:
        """[N] bool: whether each sample of the table is poisoned; None without a truth file."""
        return None if self.poisoned is None else self.opened.mask(self.poisoned)

    @cached_property
    def entropies(self) -> np.ndarray:
        """[N, L] attention entropies, by the formula and in the unit that the method used."""
        return self.table.layer_entropies(self.tried.settings.get("entropy") or "paper")

    @cached_property
    def reports(self) -> tuple[LayerReport, ...]:
        """The method's reports on the layers. If the method fits no mixtures, BYE's mixtures are added for display."""
        if any(report.mixture for report in self.tried.layers):
            return self.tried.layers
        return tuple(with_mixture(report, self.entropies[:, report.layer]) for report in self.tried.layers)

    @property
    def best(self) -> LayerReport:
        """The report of the layer with the highest BSI, which is the most separated layer."""
        return max(self.reports, key=lambda report: -np.inf if np.isnan(report.bsi) else report.bsi)

    def effect(self) -> Effect:
        return effect(self.used, self.tried, self.decisions, self.poisoned)

    def heads(self) -> np.ndarray | None:
        """[L, H] separation of the two modes for every head; None if the scan stored no values of single heads."""
        entropy, unit, table = self.table.entropy, self.tried.entropy_unit, self.table
        if entropy is None:
            return None
        if unit == NATS:
            return self.opened.results.get("heads", lambda: head_bsi(entropy))
        scaled = lambda: head_bsi(entropy / table.largest_entropy[:, None, None])  # noqa: E731
        return self.opened.results.get(f"heads, {unit}", scaled)


def with_mixture(report: LayerReport, values: np.ndarray) -> LayerReport:
    """Return `report` with the two-mode mixture and the BSI of `values` ([N] entropies; NaN are left out)."""
    fitted = modes(np.asarray(values[np.isfinite(values)], np.float64))
    if fitted.mixture is None:
        return replace(report, note=report.note or fitted.note)
    return replace(report, mixture=fitted.mixture, bsi=bsi_paper(fitted.mixture))


def compare(session: Session, trial: Trial) -> Comparison:
    """Detect with the settings of `trial` and compare the result with the saved detection.

    A trial of another run is replaced by the settings of the saved detection.
    Raises: NotReady if no run is open, no sample is scored or no detection is saved; NoSuchRun if the run is gone;
    UnreadableTruth if the loaded truth file cannot be read; SettingError if the method refuses a setting.
    """
    opened, used = detected_run(session)
    in_use = trial_of(session.run, used)
    if trial.run != session.run:
        trial = in_use
    if used.ids == opened.table.ids and trial == in_use:
        tried = used
    else:
        tried = opened.detect(trial.method, dict(trial.settings))
    return Comparison(opened, used, trial, tried, opened.decisions(), truth_file.loaded(session))


def detected_run(session: Session) -> tuple[OpenRun, Detection]:
    """Return the open run and its saved detection.

    Raises: NotReady if no run is open, no sample is scored or no detection is saved; NoSuchRun if the run is gone.
    """
    if not session.run:
        raise NotReady(state="closed", what="No run is open.", advice="Open the demo, or scan your own data set.")
    opened = open_run(workspace_of(session.visitor).run_path(session.run))
    count = len(opened.table.ids)
    if not count:
        advice = "Start its scan, or resume it."
        raise NotReady(state="unscored", what="No sample of this run is scored yet.", advice=advice)
    if opened.detection is None:
        what = f"{count:,} samples are scored, but no detection has run yet."
        raise NotReady(state="undetected", what=what, advice="Find the suspicious samples with the default method.")
    return opened, opened.detection


def use(session: Session, trial: Trial) -> Session:
    """Save the trial's detection as the run's detection. Return the session with the next revision."""
    comparison = compare(session, trial)
    comparison.opened.run.save_detection(comparison.tried)
    return replace(session, revision=session.revision + 1)


def detect_first(session: Session) -> Session:
    """Detect with the default method and save the result. Return the session with the next revision."""
    opened = open_run(workspace_of(session.visitor).run_path(session.run))
    opened.run.save_detection(opened.detect(DEFAULT, {}))
    return replace(session, revision=session.revision + 1)
