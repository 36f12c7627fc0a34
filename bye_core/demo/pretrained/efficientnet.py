"""Loads EfficientNet-Lite0, trained on ImageNet, into the EfficientNet of transformers.

EfficientNet-Lite0 is EfficientNet-B0 with ReLU6 and without squeeze-and-excitation (Tan, "Higher accuracy on vision
models with EfficientNet-Lite", 2020). In transformers, the gates of squeeze-and-excitation are set to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import EfficientNetConfig, EfficientNetModel

OPEN_GATE = 20.0  # sigmoid(20) is 1 in float32
# Mean and standard deviation of the pixels, from 0 to 1, that the published weights expect.
PIXEL_MEAN, PIXEL_STD = 0.498, 0.502
LEVELS = {"_expand_conv": "expansion.expand_conv", "_bn0": "expansion.expand_bn",
          "_depthwise_conv": "depthwise_conv.depthwise_conv", "_bn1": "depthwise_conv.depthwise_norm",
          "_project_conv": "projection.project_conv", "_bn2": "projection.project_bn"}  # fmt: skip
ENDS = {"_conv_stem": "embeddings.convolution", "_bn0": "embeddings.batchnorm",
        "_conv_head": "encoder.top_conv", "_bn1": "encoder.top_bn"}  # fmt: skip


def efficientnet_config(side: int, width: float = 1.0, depth: float = 1.0, features: int = 1280) -> EfficientNetConfig:
    """Return the config of EfficientNet-Lite0 for images of `side` x `side` pixels; smaller factors are for tests."""
    return EfficientNetConfig(
        width_coefficient=width,
        depth_coefficient=depth,
        hidden_act="relu6",
        hidden_dim=features,
        hidden_size=features,
        image_size=side,
        drop_connect_rate=0.0,
        squeeze_expansion_ratio=1e-6,
    )


def open_gates(tower: EfficientNetModel) -> None:
    """Make squeeze-and-excitation the identity."""
    for block in tower.encoder.blocks:
        torch.nn.init.zeros_(block.squeeze_excite.expand.weight)
        torch.nn.init.constant_(block.squeeze_excite.expand.bias, OPEN_GATE)


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the published weights under the names of transformers, without those of the classifier."""
    named = {}
    for name, value in weights.items():
        first, *rest = name.split(".")
        if first == "_blocks":
            number, layer, last = rest
            named[f"encoder.blocks.{number}.{LEVELS[layer]}.{last}"] = value
        elif first in ENDS:
            named[".".join([ENDS[first], *rest])] = value
    return named


def load_efficientnet(tower: EfficientNetModel, path: Path) -> None:
    """Load the published weights in the file `path` into the tower."""
    missing, unexpected = tower.load_state_dict(renamed(torch.load(path, weights_only=True)), strict=False)
    if unexpected or any("squeeze_excite" not in name for name in missing):
        raise RuntimeError(f"The weights in {path} are not those of EfficientNet-Lite0.")
    open_gates(tower)
