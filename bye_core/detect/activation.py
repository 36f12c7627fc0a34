"""Activation clustering (Chen et al. 2018) on the state from which the first answer token is read.

Departures: all samples together, since answers in words have no classes; principal instead of independent components,
which give the same answer on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from bye_core.detect.hidden_states import known_states, missing_reasons
from bye_core.detect.mixture import THREADS
from bye_core.detect.result import nothing, result
from bye_core.detect.setting_checks import is_index, is_number, is_share, require
from bye_core.records import Detection, ScanTable

# Samples on which the silhouette is measured: it grows with the square (ours).
SILHOUETTE_SAMPLES = 2000


@dataclass(frozen=True)
class ActivationSettings:
    """components  of the states that are clustered: 10 (Chen et al., section 5)
    share       the smaller cluster is suspicious up to this share: 0.35, as in the authors' toolbox (ART)
    silhouette  and where the two clusters are at least this clear: Chen et al. take 0.10 to 0.15 as the bound
    seed        of k-means' starts
    """

    components: int = 10
    share: float = 0.35
    silhouette: float = 0.10
    seed: int = 0

    def __post_init__(self) -> None:
        whole = is_index(self.components) and self.components > 0
        require(whole, "components", self.components, "a whole number from 1 up")
        require(is_share(self.share), "share", self.share, "a number from 0 to 1")
        require(is_number(self.silhouette), "silhouette", self.silhouette, "a number from -1 to 1")
        require(is_index(self.seed), "seed", self.seed, "a whole number from 0 up")


def activation(table: ScanTable, settings: ActivationSettings) -> Detection:
    """Flag the smaller of two clusters of the states [N, D] if it is small and clear.

    values [N]: how far along the way from the larger to the smaller cluster's centre a sample lies, 0 to 1 between
    the centres; scores [N] the same, kept within 0..1, and flagged from 0.5 on.
    """
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
    share = float((model.labels_ == small).mean())
    large_centre = model.cluster_centers_[1 - small]
    way = model.cluster_centers_[small] - large_centre
    values, flagged = np.full(len(known), np.nan), np.zeros(len(known), bool)
    values[known] = (points - large_centre) @ way / (way @ way)
    scores = np.nan_to_num(values, nan=0.0).clip(0, 1)
    found = f"The smaller of two clusters holds {share:.1%} of the samples, with a silhouette of {clear:.2f}"
    if share > settings.share or clear < settings.silhouette:
        needed = f"{settings.share:.0%} at most and {settings.silhouette:.2f} at least are needed."
        return nothing("activation", settings, table, [f"{found}; {needed}", *missing_reasons(known)], scores, values)
    flagged[known] = model.labels_ == small
    return result(
        "activation", settings, table, flagged, scores, [f"{found}.", *missing_reasons(known)], values, cutoff=0.5
    )
