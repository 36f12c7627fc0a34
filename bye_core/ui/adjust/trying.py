"""The open run as Layers and Adjust see it: the detection in use beside the one that is tried out. No gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from bye_core.detect import DEFAULT
from bye_core.detect.mixture import bsi_paper, modes
from bye_core.errors import RunError
from bye_core.figures import head_bsi
from bye_core.records import Decision, Detection, LayerReport, ScanTable
from bye_core.ui.adjust import truth_file
from bye_core.ui.adjust.trial import Effect, Trial, effect, trial_of
from bye_core.ui.desk import open_desk
from bye_core.ui.open_run import RunView, open_view
from bye_core.ui.session import Session
from bye_core.ui.workspace import workspace_of


class NotReady(RunError):
    """There is nothing to try out yet: `state` says why, "closed", "unscored" or "undetected"."""

    problem = "{what}"
    remedy = "{advice}"

    @property
    def state(self) -> str:
        return str(self.facts["state"])


@dataclass(frozen=True)
class Trying:
    """`poisoned`: the ids of a truth file that was loaded for this run, None without one."""

    view: RunView
    used: Detection
    trial: Trial
    tried: Detection
    decisions: Mapping[str, Decision]
    poisoned: frozenset[str] | None = None

    @property
    def table(self) -> ScanTable:
        return self.view.table

    @cached_property
    def truth(self) -> np.ndarray | None:
        """[N] bool in the table's order, which is the order of `tried` too."""
        return None if self.poisoned is None else self.view.truth_mask(self.poisoned)

    @cached_property
    def entropies(self) -> np.ndarray:
        """[N, L] nats, as the method took them."""
        kind = self.tried.settings.get("entropy")
        return self.table.layer_entropy_reference if kind == "reference" else self.table.layer_entropy

    @cached_property
    def reports(self) -> tuple[LayerReport, ...]:
        """The method's own layers; those of methods that judge no layer as a whole, with BYE's mixtures to look at."""
        if any(report.mixture for report in self.tried.layers):
            return self.tried.layers
        return tuple(with_mixture(report, self.entropies[:, report.layer]) for report in self.tried.layers)

    @property
    def best(self) -> LayerReport:
        """The most separated layer."""
        return max(self.reports, key=lambda report: -np.inf if np.isnan(report.bsi) else report.bsi)

    def effect(self) -> Effect:
        return effect(self.used, self.tried, self.decisions, self.poisoned)

    def heads(self) -> np.ndarray | None:
        """Separation of every head [L, H], None where single heads are not known."""
        return _heads(self.view.path, self.view.stamp)


def with_mixture(report: LayerReport, values: np.ndarray) -> LayerReport:
    """`report` with the two modes of a layer's entropies [N], nats, those that are known."""
    found = modes(np.asarray(values[np.isfinite(values)], np.float64))
    if found.mixture is None:
        return replace(report, note=report.note or found.note)
    return replace(report, mixture=found.mixture, bsi=bsi_paper(found.mixture))


def look(session: Session, trial: Trial) -> Trying:
    """Raises NotReady, and what opening, detecting and reading a truth file raise.

    A trial of another run is nobody's wish for this one: the settings in use take its place.
    """
    view, used = opened(session)
    if trial.run != session.run:
        trial = trial_of(session.run, used)
    in_use = used.ids == view.table.ids and trial == trial_of(session.run, used)
    tried = used if in_use else view.detect(trial.method, dict(trial.settings))
    return Trying(view, used, trial, tried, view.decisions(), truth_file.loaded(session))


def opened(session: Session) -> tuple[RunView, Detection]:
    """The open run and the detection in use. Raises NotReady."""
    if not session.run:
        raise NotReady(state="closed", what="No run is open.", advice="Open the demo, or scan a data set of your own.")
    desk = open_desk(workspace_of(session.visitor).run_path(session.run))
    if not len(desk.view.table.ids):
        advice = "Start its scan, or go on with it."
        raise NotReady(state="unscored", what="No sample of this run is scored yet.", advice=advice)
    if desk.detection is None:
        count = len(desk.view.table.ids)
        what = f"{count:,} samples are scored, but not examined yet."
        raise NotReady(state="undetected", what=what, advice="Let the usual method look for the suspicious ones.")
    return desk.view, desk.detection


def use(session: Session, trial: Trial) -> Session:
    """Make the trial's detection the run's own."""
    trying = look(session, trial)
    trying.view.run.save_detection(trying.tried)
    return replace(session, revision=session.revision + 1)


def first_detection(session: Session) -> Session:
    """Detect by the default method and keep the result."""
    view = open_view(workspace_of(session.visitor).run_path(session.run))
    view.run.save_detection(view.detect(DEFAULT, {}))
    return replace(session, revision=session.revision + 1)


@lru_cache(maxsize=8)
def _heads(path: Path, stamp: tuple) -> np.ndarray | None:
    entropy = open_view(path).table.entropy
    return None if entropy is None else head_bsi(entropy)
