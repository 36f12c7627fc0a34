"""Reduces attention rows to statistics, layer by layer on the model's device (BYE, arXiv 2505.16916, Eq. 4-5).

The tests compare this batched version with the definitions in NumPy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from bye_core.records import GROUPS, IMAGE

# Added inside the logarithm by the authors' code.
REFERENCE_EPSILON = 1e-8


class BatchStatistics:
    """The `sink` of a LastRowCapture: reduces the rows [B, H, K] of each layer to statistics and stores only these.

    groups  [B, K] the group of each of the K keys; padding has a negative number. Samples may have different numbers of
            image tokens: a shorter sample is filled up with zeros, which change no sum here.
    wanted  the layers whose keys are those of `groups`; the rows of other layers are not used. If cross-attention
            layers read the image, their keys are the image tokens, and the other layers' keys are the prompt.
    """

    def __init__(self, groups: np.ndarray, device: torch.device | str, wanted: Collection[int] | None = None) -> None:
        self.groups = groups
        self.wanted = wanted
        numbers = torch.arange(len(GROUPS), device=device)
        on_device = torch.from_numpy(groups).to(device)
        self.members = (on_device[..., None] == numbers).float()  # [B, K, 3]
        self.image = self.members[..., IMAGE]  # [B, K]
        # Statistics need only the columns from the first to the last image token of the batch.
        columns = np.flatnonzero((groups == IMAGE).any(axis=0))
        self.columns = slice(int(columns[0]), int(columns[-1]) + 1)
        self.layers: dict[int, dict[str, Tensor]] = {}

    def __call__(self, layer: int, rows: Tensor) -> None:
        if self.wanted is not None and layer not in self.wanted:
            return
        mass = rows @ self.members  # [B, H, 3]
        image = rows[..., self.columns] * self.image[:, None, self.columns]  # [B, H, C]
        total = mass[..., IMAGE]
        mean = image.mean(dim=1)  # [B, C]
        share = mean / mean.sum(dim=-1, keepdim=True)
        values = {
            # Normalise first: ln S - (sum a ln a) / S would save a pass, but loses precision if the image's mass S is
            # small.
            "entropy": torch.special.entr(image / total[..., None]).sum(dim=-1),
            "peak": image.amax(dim=-1) / total,
            "mass": mass,
            "layer_entropy": torch.special.entr(share).sum(dim=-1),
            "layer_entropy_reference": -(share * (share + REFERENCE_EPSILON).log()).sum(dim=-1),
            "rows": mean,
        }
        # A sliding window may cut off the image or a part of it. The entropy of the rest would tell how long the
        # question is, so nothing was measured. A visible token has some attention in at least one head.
        cut = (mean.eq(0) & self.image[:, self.columns].bool()).any(dim=-1)  # [B]
        self.layers[layer] = {
            **{name: torch.where(cut.view(-1, *[1] * (v.dim() - 1)), torch.nan, v) for name, v in values.items()},
            "broken": ~torch.isfinite(mass).flatten(1).all(dim=-1),
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
            if name != "broken"
        }  # fmt: skip
        image = self.groups[:, self.columns] == IMAGE
        return [self._sample(stacked, i, image[i]) for i in range(len(self.groups))]

    def broken(self, i: int) -> list[int]:
        """Return the layers in which the attention of sample number `i` is not finite."""
        return [layer for layer in sorted(self.layers) if self.layers[layer]["broken"][i]]

    @staticmethod
    def _sample(stacked: Mapping[str, np.ndarray], i: int, image: np.ndarray) -> Mapping[str, np.ndarray]:
        arrays = {name: values[:, i] for name, values in stacked.items()}
        return {**arrays, "rows": arrays["rows"][:, image].astype(np.float16)}  # [L, V]
