"""BYE's rule (arXiv 2505.16916, Eq. 5-8, Algorithm 1): flags the cluster with low entropy in bimodal layers.

The rule is unchanged and has its known weaknesses: it flags the cluster with LOW entropy even if this is the majority,
and a bimodal layer counts as sensitive whatever the cause. Departure: if no layer separates the samples, the authors'
code crashes and the paper gives no rule; here the verdict is "no_evidence".
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from bye_core.detect.detector import Detector
from bye_core.detect.entropy_unit import entropy_unit_setting
from bye_core.detect.mixture import THREADS, Fit, Modes, bsi_paper, bsi_reference, crossing, fit, kl_low_high, modes
from bye_core.detect.settings import VARIANTS, check_settings, is_whole, require, setting
from bye_core.records import (
    NO_EVIDENCE,
    NORMALISED,
    POISONED,
    UNITS_OF_VALUES,
    Detection,
    LayerReport,
    Mixture,
    ScanTable,
)
from bye_core.text import count

CLUSTERS = ("gmm", "kmeans", "threshold")
# Settings that have an option of their own on the command line.
OPTIONS = ("bsi", "tau", "cluster", "threshold", "layers", "select")

# The number of image tokens for which the paper chose the threshold.
TOKENS_OF_THRESHOLD = 576

# An attacker poisons at most half of the data. The detection warns the analyst if it flags a larger share.
MAJORITY = 0.5


@dataclass(frozen=True)
class ByeSettings:
    """Settings of BYE's rule, with their sources.

    bsi        "paper": Eq. 7, a layer is sensitive if BSI >= tau; "reference": the authors' code, distance > tau (s1 +
               s2)
    tau        2.0 in the paper and the code; the paper tries 0 to 3
    cluster    "gmm" in the paper and the code; the paper compares it with "kmeans" and "threshold"
    threshold  4.5 nats in the paper's comparison, chosen there for LLaVA's 576 tokens; divided by ln 576 if entropies
               are normalised
    select     False: average all layers (the paper's ablation "without layer selection")
    layers     layers chosen by hand instead of by BSI (ours, for the analyst)
    entropy    "paper": -sum p ln p; "reference": the authors' p ln(p + 1e-8); None: the same variant as `bsi`
    cutoff     flag all values below this number and skip the clustering (ours, for the analyst)
    entropy_unit  nats as in the paper, or divided by ln V (ours); see bye_core.detect.entropy_unit
    """

    bsi: str = setting("paper", "how to judge a layer: the paper's rule or the authors' code", choices=VARIANTS)
    tau: float = setting(2.0, "smallest separation (BSI) of a sensitive layer (paper: 2.0)", low=0)
    cluster: str = setting("gmm", "how to split the samples in the last step (paper: gmm)", choices=CLUSTERS)
    threshold: float = setting(
        4.5, "entropy in nats below which the last step `threshold` flags (ablation in the paper: 4.5)", unit="nats"
    )
    select: bool = setting(True, "average the sensitive layers only")
    layers: tuple[int, ...] | None = setting(None, "use these layers instead of choosing them by BSI", check=False)
    entropy: str | None = setting(
        None, "formula of the entropy (default: the same as bsi)", choices=VARIANTS, optional=True
    )
    cutoff: float | None = setting(
        None, "flag the samples whose mean entropy is below this value", unit="nats", optional=True
    )
    entropy_unit: str = entropy_unit_setting()

    def __post_init__(self) -> None:
        check_settings(self)
        if self.layers is not None:
            whole = isinstance(self.layers, (list, tuple)) and all(
                is_whole(layer) and layer >= 0 for layer in self.layers
            )
            require(whole and len(self.layers) > 0, "layers", self.layers, "layer numbers from 0 up, at least one")
            require(
                self.select,
                "select",
                self.select,
                "true, because `layers` chooses the layers by hand; or leave `layers` out",
            )
            object.__setattr__(self, "layers", tuple(sorted({int(layer) for layer in self.layers})))


@dataclass(frozen=True)
class Split:
    """The result of the last step, which splits N values; `how` says in words what is flagged."""

    flagged: np.ndarray
    scores: np.ndarray
    cutoff: float | None
    mixture: Mixture | None
    how: str


DEFAULTS = ByeSettings()


def bye(table: ScanTable, settings: ByeSettings = DEFAULTS) -> Detection:
    """Flag the samples whose mean entropy over the sensitive layers is in the low cluster.

    With cluster "gmm", the flags are those of GaussianMixture.predict, and the scores are the posterior of the low
    component. If the spreads are unequal, the posterior does not always fall as the value rises. With another cluster,
    or with a cutoff, the scores are 1 / (1 + exp(value - cut)): 0.5 at the cut, higher below it. A layer is reported as
    sensitive if it is part of the mean, also if it was chosen by hand or without selection; its note says which of
    these applies.
    """
    source = settings.entropy or settings.bsi
    raw = np.asarray(table.layer_entropies(source), np.float64)
    entropies, missing = fill_missing(raw)
    _check_layers(settings.layers, raw.shape[1])
    fits = [modes(column, settings.bsi == "reference") if known else None for column, known in _columns(entropies)]
    reports = tuple(_report(layer, found, missing[:, layer], settings) for layer, found in enumerate(fits))
    record = {**asdict(settings), "entropy": source, "layers": None if settings.layers is None else [*settings.layers]}
    used = [report.layer for report in reports if report.sensitive]
    if not used:
        return _no_evidence(table, record, reports, (_nothing_separates(reports, settings),))
    values = entropies[:, used].mean(axis=1)
    split = _split(values, settings, table.entropy_unit)
    if split is None:
        reason = "The samples do not differ in the layers used, so there is nothing to split."
        return _no_evidence(table, record, reports, (*_layer_reasons(reports, settings), reason))
    reasons = (
        _layer_reasons(reports, settings)
        + _split_reasons(split, values, table.entropy_unit)
        + _missing_reasons(missing)
    )
    return Detection(
        method="bye",
        settings=record,
        verdict=POISONED if split.flagged.any() else NO_EVIDENCE,
        ids=tuple(table.ids),
        scores=split.scores,
        flagged=split.flagged,
        values=values,
        layers=reports,
        reasons=reasons,
        final=split.mixture,
        cutoff=split.cutoff,
    )


def fill_missing(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replace values of [N, L] that are not finite by the mean of their layer, as the authors' code does.

    Returns (filled entropies [N, L], which values were missing [N, L] bool). A layer without any finite value stays
    NaN.
    """
    missing = ~np.isfinite(raw)
    filled = raw.copy() if missing.any() else raw
    for layer in np.flatnonzero(missing.any(axis=0)):
        known = raw[~missing[:, layer], layer]
        # Sort the values first, so that the sum does not depend on the order of the samples.
        filled[missing[:, layer], layer] = np.sort(known).mean() if len(known) else np.nan
    return filled, missing


def _columns(entropies: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    return [(column, bool(np.isfinite(column).all())) for column in entropies.T]


def _report(layer: int, fitted: Modes | None, missing: np.ndarray, settings: ByeSettings) -> LayerReport:
    if fitted is None:
        return LayerReport(layer, None, math.nan, math.nan, False, "no sample's image is fully visible here")
    notes = [fitted.note] if fitted.note else []
    if missing.any():
        notes.append(f"{missing.sum()} missing values were replaced by the layer's mean")
    bsi = kl = math.nan
    if fitted.mixture:
        bsi = (bsi_paper if settings.bsi == "paper" else bsi_reference)(fitted.mixture)
        kl = kl_low_high(fitted.mixture)
    passes = bsi >= settings.tau if settings.bsi == "paper" else bsi > settings.tau
    if settings.layers is not None:
        passes = layer in settings.layers
        notes += ["chosen by hand"] if passes else []
    elif not settings.select:
        passes = True
        notes.append("used without selection")
    # A table without samples has layers but no values.
    return LayerReport(layer, fitted.mixture, bsi, kl, bool(passes and len(missing)), "; ".join(notes))


def _split(values: np.ndarray, settings: ByeSettings, unit: str) -> Split | None:
    """Split the values into flagged and other samples; return None if they cannot be split."""
    from sklearn.cluster import KMeans

    in_order = settings.bsi == "reference"
    if settings.cutoff is None and settings.cluster == "gmm":
        return _by_mixture(fit(values, in_order))
    mixture = modes(values, in_order).mixture
    if settings.cutoff is not None:
        return _cut(values, settings.cutoff, mixture, unit, "set by hand")
    if settings.cluster == "threshold":
        threshold = settings.threshold / (math.log(TOKENS_OF_THRESHOLD) if unit == NORMALISED else 1)
        return _cut(values, threshold, None, unit, "the fixed threshold")
    if mixture is None:
        return None
    column = np.sort(values).reshape(-1, 1)
    with threadpool_limits(THREADS):
        model = KMeans(n_clusters=2, random_state=0, n_init=10).fit(column)
    return _cut(values, float(model.cluster_centers_.mean()), None, unit, "half-way between the two k-means centres")


def _by_mixture(fitted: Fit) -> Split | None:
    if fitted.mixture is None:
        return None
    how = "the low-entropy component" + (f" ({fitted.note})" if fitted.note else "")
    return Split(fitted.low, fitted.posterior, crossing(fitted.mixture), fitted.mixture, how)


def _cut(values: np.ndarray, cut: float, mixture: Mixture | None, unit: str, how: str) -> Split:
    return Split(
        values < cut, scipy.special.expit(cut - values), cut, mixture, f"below {cut:.3f} {UNITS_OF_VALUES[unit]}, {how}"
    )


def _no_evidence(
    table: ScanTable, record: dict[str, Any], reports: tuple[LayerReport, ...], reasons: tuple[str, ...]
) -> Detection:
    size = len(table.ids)
    return Detection(
        method="bye",
        settings=record,
        verdict=NO_EVIDENCE,
        ids=tuple(table.ids),
        scores=np.zeros(size),
        flagged=np.zeros(size, bool),
        values=np.full(size, np.nan),
        layers=reports,
        reasons=reasons,
    )


def _nothing_separates(reports: tuple[LayerReport, ...], settings: ByeSettings) -> str:
    if settings.layers is not None or not settings.select:
        return "None of the layers in use holds a number."
    known = [report for report in reports if report.mixture]
    if not known:
        return "No layer could be tested: there are fewer than two different samples."
    best = max(known, key=lambda report: report.bsi)
    needed = f"{settings.tau:g} is needed" if settings.bsi == "paper" else f"more than {settings.tau:g} is needed"
    return (
        f"No layer splits the samples into two groups: the highest separation (BSI) is {best.bsi:.2f}, "
        f"in layer {best.layer}; {needed}."
    )


def _layer_reasons(reports: tuple[LayerReport, ...], settings: ByeSettings) -> tuple[str, ...]:
    used = [report for report in reports if report.sensitive]
    if settings.layers is not None:
        return (f"Layers chosen by hand: {', '.join(str(report.layer) for report in used)}.",)
    if not settings.select:
        return (f"All {len(used)} layers that hold numbers were averaged, without selection.",)
    listed = ", ".join(f"{report.layer} (BSI {report.bsi:.2f})" for report in used)
    return (f"Layers that split the samples into two groups: {listed}; tau is {settings.tau:g}.",)


def _split_reasons(split: Split, values: np.ndarray, unit: str) -> tuple[str, ...]:
    flagged, total = int(split.flagged.sum()), len(values)
    if not flagged:
        return (f"No sample lies in {split.how}." if split.cutoff is None else f"No sample lies {split.how}.",)
    low, name = values[split.flagged].mean(), UNITS_OF_VALUES[unit]
    rest = f", that of the other samples {values[~split.flagged].mean():.2f} {name}" if flagged < total else ""
    reasons = [
        f"{flagged:,} of {total:,} samples are flagged: {split.how}. Their mean entropy is {low:.2f} {name}{rest}."
    ]
    if flagged > MAJORITY * total:
        reasons.append(
            "The flagged samples are the majority. The rule flags the low cluster anyway; inspect the samples before "
            "you reject them."
        )
    return tuple(reasons)


def _missing_reasons(missing: np.ndarray) -> tuple[str, ...]:
    blind = int(missing.all(axis=1).sum())
    return (
        (f"No layer holds a number for {count(blind, 'sample')}; the means of the layers were used instead.",)
        if blind
        else ()
    )


def _check_layers(layers: tuple[int, ...] | None, depth: int) -> None:
    if layers is not None:
        require(layers[-1] < depth, "layers", list(layers), f"numbers from 0 to {depth - 1}")


DETECTOR = Detector(
    "bye",
    "BYE: the paper's rule",
    bye,
    ByeSettings,
    "mean entropy of the sensitive layers",
    "nats",
    misses="It sees only triggers that lower the mean attention entropy of a whole layer.",
)
