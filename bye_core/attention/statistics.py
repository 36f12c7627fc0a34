"""Reduces attention rows to statistics, layer by layer on the model's device (BYE, arXiv 2505.16916, Eq. 4-5).

The tests compare this batched version with the definitions in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from bye_core.records import GROUPS, IMAGE

# Added inside the logarithm by the authors' code.
REFERENCE_EPSILON = 1e-8


class BatchStatistics:
    """The `sink` of a LastRowCapture: reduces the rows [B, H, K] of each layer to statistics and stores only these.

    `groups` [B, K] holds the group of each of the K positions; padding has a negative number. Samples may have
    different numbers of image tokens: a shorter sample is filled up with zeros, which change no sum here.
    """

    def __init__(self, groups: np.ndarray, device: torch.device | str) -> None:
        self.groups = groups
        numbers = torch.arange(len(GROUPS), device=device)
        on_device = torch.from_numpy(groups).to(device)
        self.members = (on_device[..., None] == numbers).float()  # [B, K, 3]
        self.image = self.members[..., IMAGE]  # [B, K]
        # Statistics need only the columns from the first to the last image token of the batch.
        columns = np.flatnonzero((groups == IMAGE).any(axis=0))
        self.columns = slice(int(columns[0]), int(columns[-1]) + 1)
        self.layers: dict[int, dict[str, Tensor]] = {}

    def __call__(self, layer: int, rows: Tensor) -> None:
        mass = rows @ self.members  # [B, H, 3]
        image = rows[..., self.columns] * self.image[:, None, self.columns]  # [B, H, C]
        total = mass[..., IMAGE]
        mean = image.mean(dim=1)  # [B, C]
        share = mean / mean.sum(dim=-1, keepdim=True)
        self.layers[layer] = {
            # Normalise first: ln S - (sum a ln a) / S would save a pass, but loses precision if the image's mass S is
            # small.
            "entropy": torch.special.entr(image / total[..., None]).sum(dim=-1),
            "peak": image.amax(dim=-1) / total,
            "mass": mass,
            "layer_entropy": torch.special.entr(share).sum(dim=-1),
            "layer_entropy_reference": -(share * (share + REFERENCE_EPSILON).log()).sum(dim=-1),
            "rows": mean,
        }

    def finish(self, layers: int) -> list[Mapping[str, np.ndarray]]:
        """Return, for each sample, the arrays of its records.AttentionRows by name.

        `layers` is the number of decoder layers; the values of layers without rows are NaN.
        """
        blank = next(iter(self.layers.values()))
        stacked = {
            name: torch.stack([
                self.layers[layer][name] if layer in self.layers else torch.full_like(values, torch.nan)
                for layer in range(layers)
            ]).cpu().numpy()
            for name, values in blank.items()
        }  # fmt: skip
        image = self.groups[:, self.columns] == IMAGE
        return [self._sample(stacked, i, image[i]) for i in range(len(self.groups))]

    @staticmethod
    def _sample(stacked: Mapping[str, np.ndarray], i: int, image: np.ndarray) -> Mapping[str, np.ndarray]:
        arrays = {name: values[:, i] for name, values in stacked.items()}
        rows = arrays["rows"][:, image]  # [L, V]
        hidden = rows.sum(axis=-1, keepdims=True) == 0
        return {**arrays, "rows": np.where(hidden, np.nan, rows).astype(np.float16)}
