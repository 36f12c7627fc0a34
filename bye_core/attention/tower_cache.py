"""Lets two forward passes over the same batch share the output of the vision tower."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

# Parts of the names of parameters that an adapter adds.
ADAPTED = ("lora_", "modules_to_save", "trainable_tokens")


class TowerCache:
    """Context manager in which a vision tower computes each batch once.

    The first pass computes; after `replay`, the calls of the tower return the stored outputs in their order. Does
    nothing if the tower has adapted parameters: then its output depends on the adapter.
    """

    def __init__(self, model: torch.nn.Module, tower: str) -> None:
        module = model.get_submodule(tower) if tower else None
        adapted = module is not None and any(
            part in name for name, _ in module.named_parameters() for part in ADAPTED
        )  # fmt: skip
        self._tower: Any = None if adapted else module
        self._stored: deque[Any] = deque()
        self._replays = False

    def __enter__(self) -> TowerCache:
        if self._tower is not None:
            self._own = vars(self._tower).get("forward")
            self._forward = self._tower.forward
            self._tower.forward = self._compute
        return self

    def __exit__(self, *_: object) -> None:
        if self._tower is not None:
            del self._tower.forward
            if self._own is not None:
                self._tower.forward = self._own
        self._stored.clear()

    def replay(self) -> None:
        self._replays = True

    def _compute(self, *inputs: Any, **options: Any) -> Any:
        if self._replays and self._stored:
            return self._stored.popleft()
        output = self._forward(*inputs, **options)
        if not self._replays:
            self._stored.append(output)
        return output
