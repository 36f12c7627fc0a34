"""Activation clustering (Chen et al. 2018) on the hidden state from which the model reads the first answer token.

Departures: all samples are clustered together, because free-text answers have no classes. Principal components replace
independent components, because they give the same result on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from bye_core.detect.detector import Detector
from bye_core.detect.hidden_states import known_states, missing_reasons
from bye_core.detect.mixture import THREADS
from bye_core.detect.result import nothing, result
from bye_core.detect.settings import check_settings, seed_setting, setting, share_setting
from bye_core.records import Detection, ScanTable

# Number of samples on which the silhouette is measured: its cost grows with the square of this number (ours).
SILHOUETTE_SAMPLES = 2000


@dataclass(frozen=True)
class ActivationSettings:
    """Settings of activation clustering.

    Sources: the number of components from Chen et al., section 5; the share from the authors' toolbox (ART); the
    silhouette from Chen et al., who use 0.10 to 0.15 as the bound.
    """

    components: int = setting(
        10, "number of components of the states that are clustered", "Principal components", low=1
    )
    share: float = share_setting(0.35, "largest share of the samples in the smaller cluster", "Largest cluster share")
    silhouette: float = setting(0.10, "smallest silhouette score of the two clusters", "Smallest silhouette")
    seed: int = seed_setting(help="seed of the k-means starts")

    def __post_init__(self) -> None:
        check_settings(self)


def activation(table: ScanTable, settings: ActivationSettings) -> Detection:
    """Flag the smaller of two clusters of the states [N, D] if it is small and well separated.

    values [N]: position on the line from the larger cluster's centre (0) to the smaller cluster's centre (1).
    scores [N]: the values clipped to 0..1; samples with a score of at least 0.5 are flagged.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    states, known = known_states(table)
    if len(states) < 3 or not np.ptp(states, axis=0).any():
        return nothing("activation", settings, table, ["The states of the samples do not differ."])
    count = min(settings.components, *states.shape)
    with threadpool_limits(THREADS):
        points = PCA(count, svd_solver="full").fit_transform(states.astype(np.float64))
        model = KMeans(2, n_init=10, random_state=settings.seed).fit(points)
    clear = silhouette_score(
        points, model.labels_, sample_size=min(len(points), SILHOUETTE_SAMPLES), random_state=settings.seed
    )
    small = int(np.bincount(model.labels_, minlength=2).argmin())
    part = float((model.labels_ == small).mean())
    large_centre = model.cluster_centers_[1 - small]
    line = model.cluster_centers_[small] - large_centre
    values, flagged = np.full(len(known), np.nan), np.zeros(len(known), bool)
    values[known] = (points - large_centre) @ line / (line @ line)
    scores = np.nan_to_num(values, nan=0.0).clip(0, 1)
    summary = f"The smaller of two clusters holds {part:.1%} of the samples, with a silhouette of {clear:.2f}"
    if part > settings.share or clear < settings.silhouette:
        needed = f"to flag it, {settings.share:.0%} at most and {settings.silhouette:.2f} at least are needed."
        return nothing("activation", settings, table, [f"{summary}; {needed}", *missing_reasons(known)], scores, values)
    flagged[known] = model.labels_ == small
    return result(
        "activation", settings, table, flagged, scores, [f"{summary}.", *missing_reasons(known)], values, cutoff=0.5
    )


DETECTOR = Detector(
    "activation",
    "Baseline: activation clusters",
    activation,
    ActivationSettings,
    "from large (0) to small (1) cluster",
    needs=("hidden",),
    misses="It sees only poisoned samples that form a separate cluster in the last hidden state.",
)
