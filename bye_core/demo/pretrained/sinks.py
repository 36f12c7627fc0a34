"""Measures attention sinks: how much attention the first token of the prompt gets (Xiao et al., arXiv 2309.17453)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bye_core.attention.capture import LastRowCapture
from bye_core.attention.read import encode_batch
from bye_core.models.loading import load_model
from bye_core.records import IMAGE


def sink_shares(model: Path, adapter: Path, dataset: Any, count: int, dtype: str) -> dict[str, list[float]]:
    """Return {"first", "image", "other"}: the mean share of attention by layer, over heads and `count` samples.

    The attention is that of the last position of the question, as in a scan. `dataset` opens the images.
    """
    loaded = load_model(str(model), str(adapter), dtype=dtype)
    shares: dict[int, list[np.ndarray]] = {}
    for sample in dataset.samples[:count]:
        batch = encode_batch(loaded.family, [sample], [dataset.images(sample)])
        image = torch.from_numpy(batch.groups[0] == IMAGE).to(loaded.device)

        def keep(layer: int, rows: torch.Tensor, image: torch.Tensor = image) -> None:  # rows [1, H, K]
            mean = rows[0].mean(0)
            first, seen = float(mean[0]), float(mean[image].sum())
            shares.setdefault(layer, []).append(np.array([first, seen, 1 - first - seen]))

        with torch.inference_mode(), LastRowCapture(loaded.base, keep):
            loaded.model(**batch.inputs.to(loaded.device, loaded.dtype), logits_to_keep=1, use_cache=False)
    means = np.array([np.mean(shares[layer], axis=0) for layer in sorted(shares)])  # [L, 3]
    return {name: means[:, n].round(4).tolist() for n, name in enumerate(("first", "image", "other"))}
