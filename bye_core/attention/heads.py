"""Reads the attention rows of every single head for one sample: the maps that a scan does not store."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from bye_core.attention.capture import LastRowCapture
from bye_core.attention.read import QuestionBatch, encode_batch
from bye_core.errors import ByeError
from bye_core.model_protocol import Images, VisionLanguageModel
from bye_core.records import IMAGE, Grid, Sample

HeadRows = tuple[np.ndarray, tuple[Grid, ...]]


def read_heads(loaded: VisionLanguageModel, sample: Sample, images: Images) -> HeadRows | ByeError:
    """Return (rows [L, H, V] float16, grids) of the first answer token, or the error that prevented it.

    The rows are not divided by their sum. Layers without attention rows, and heads whose window cuts off the whole
    image, hold NaN.
    Raises: UnreadableAttention if the model's attention cannot be captured.
    """
    results: list[HeadRows | ByeError] = loaded.run_batch(
        [sample], [images], partial(encode_batch, loaded.family), partial(_read, loaded)
    )
    return results[0]


def _read(loaded: VisionLanguageModel, batch: QuestionBatch) -> list[HeadRows]:
    groups = batch.groups[0]
    image = torch.from_numpy(np.flatnonzero(groups == IMAGE)).to(loaded.device)
    found: dict[int, np.ndarray] = {}

    def keep(layer: int, rows: Tensor) -> None:  # rows [1, H, K]
        if layer in loaded.family.layers:
            found[layer] = rows[0].to(image.device)[:, image].to(torch.float16).cpu().numpy()  # [H, V]

    with torch.inference_mode(), LastRowCapture(loaded.base, keep):
        loaded.model(**batch.inputs.to(loaded.device, loaded.dtype), logits_to_keep=1, use_cache=False)
    shape = next(iter(found.values())).shape
    layers = range(loaded.base.config.get_text_config().num_hidden_layers)
    rows = np.stack([found.get(layer, np.full(shape, np.nan, np.float16)) for layer in layers])
    rows[~(rows > 0).any(axis=2)] = np.nan
    return [(rows, batch.grids[0])]
