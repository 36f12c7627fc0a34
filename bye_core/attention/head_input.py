"""The state that the output head reads: what a forward pass ends with, without keeping any layer's states."""

from __future__ import annotations

from types import TracebackType

import numpy as np
import torch
from torch import Tensor

LARGEST = float(np.finfo(np.float16).max)


class HeadInput:
    """Use in a `with` around one forward pass of a batch with `logits_to_keep=1`."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.head = model.get_output_embeddings()
        self.states: Tensor | None = None

    def __enter__(self) -> HeadInput:
        self._hook = self.head.register_forward_pre_hook(self._keep)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()

    def _keep(self, module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.states = inputs[0]

    def last(self) -> np.ndarray:
        """The state of the last position of each sample [B, D], float16; what is too large for it at its bound."""
        return self.states[:, -1].float().clamp(-LARGEST, LARGEST).cpu().numpy().astype(np.float16)
