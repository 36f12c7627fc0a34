"""The definitions of the statistics of an attention row, in NumPy (BYE, arXiv 2505.16916, Eq. 4-5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bye_core.attention.statistics import REFERENCE_EPSILON
from bye_core.records import GROUPS, IMAGE


def shares(attention: np.ndarray) -> np.ndarray:
    """Return attention on V image tokens [..., V] divided by its sum; NaN where no image token is visible."""
    total = attention.sum(axis=-1, keepdims=True)
    return np.divide(attention, total, out=np.full(attention.shape, np.nan), where=total > 0)


def entropy(attention: np.ndarray) -> np.ndarray:
    """Return the Shannon entropy [...] of image attention [..., V], nats, in [0, ln V] (BYE, Eq. 5)."""
    p = shares(attention)
    return -(p * np.log(np.where(p == 0, 1, p))).sum(axis=-1)


def reference_entropy(attention: np.ndarray) -> np.ndarray:
    """Return the entropy as in the authors' code, -sum p ln(p + 1e-8): up to V * 1e-8 smaller."""
    p = shares(attention)
    return -(p * np.log(p + REFERENCE_EPSILON)).sum(axis=-1)


def group_masses(attention: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sum attention [..., K] over the positions of each of records.GROUPS -> [..., 3]."""
    return np.stack([attention[..., groups == group].sum(axis=-1) for group in range(len(GROUPS))], axis=-1)


def row_statistics(attention: np.ndarray, groups: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return the arrays of records.AttentionRows for one sample's attention [L, H, K] on positions of `groups` [K].

    The mean over the heads comes first, the division by the sum after it (Eq. 4, then 5). A layer that does not see
    every image token has no numbers.
    """
    image = attention[..., groups == IMAGE].astype(np.float64)  # [L, H, V]
    mean = image.mean(axis=1)  # [L, V]
    image[~(mean > 0).all(axis=-1)] = np.nan
    mean = image.mean(axis=1)
    return {
        "entropy": entropy(image),
        "peak": shares(image).max(axis=-1),
        "mass": np.where(np.isnan(mean).any(axis=-1)[:, None, None], np.nan, group_masses(attention, groups)),
        "layer_entropy": entropy(mean),
        "layer_entropy_reference": reference_entropy(mean),
        "rows": mean.astype(np.float16),
    }
