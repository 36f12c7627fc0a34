"""Captures the attention of the last prompt position during a fast forward pass, without the quadratic matrix.

The module registers an attention function with transformers. It lets `sdpa` compute each layer's output, and computes
one additional row, softmax(q_last K^T), with memory O(K) per head and sample. It also registers a mask function under
the same name. Without it, the model would build no mask, and padded batches would silently give wrong results.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from bye_core.attention.errors import UnreadableAttention
from bye_core.model_protocol import layers_with_rows

NAME = "bye_last_row"
# Queries per step if sdpa cannot be used (softcap): limits the memory of the scores to 256 rows (ours).
BLOCK = 256
# Least weight of a visible key: an exact 0 means "not visible". Far below what any statistic resolves (ours).
LEAST = 1e-30

Sink = Callable[[int, Tensor], None]


class LastRowCapture:
    """Context manager for one forward pass: calls `sink(layer, rows)` for every layer, rows [B, H, K] in fp32.

    `last` is the position whose rows are captured: a negative number counts from the end, a tensor [B] holds one
    position a sample, and None is the final position. Restores the model's own attention implementation afterwards,
    also after an error. If several threads use one model, only one thread captures at a time.
    Raises: UnreadableAttention if the model's attention cannot be replaced.
    """

    def __init__(self, model: PreTrainedModel, sink: Sink, last: Tensor | int | None = None) -> None:
        self.model = model
        self.sink = sink
        self.last = last

    def __enter__(self) -> LastRowCapture:
        config = self.model.config.get_text_config()
        refuse_linear_attention(config)
        with _guard:
            self._lock = _locks.setdefault(self.model, threading.RLock())
        self._lock.acquire()
        self._before: str = config._attn_implementation
        try:
            self.model.set_attn_implementation({"text_config": NAME})
            if config._attn_implementation != NAME:
                raise UnreadableAttention(reason=f"{type(self.model).__name__} does not let its attention be replaced.")
        except BaseException:
            self._restore()
            raise
        self._token: Token[LastRowCapture | None] = _active.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _active.reset(self._token)
        self._restore()

    def _restore(self) -> None:
        try:
            self.model.set_attn_implementation({"text_config": self._before})
        finally:
            self._lock.release()

    def record(self, module: torch.nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, **options: Any) -> None:
        rows = last_rows(query, key, mask, self.last, **options)
        self.sink(int(module.layer_idx), rows)  # type: ignore[arg-type]


# One lock per model: threads share its config, which holds the name of the attention implementation.
_locks: WeakKeyDictionary[PreTrainedModel, Any] = WeakKeyDictionary()
_guard = threading.Lock()
_active: ContextVar[LastRowCapture | None] = ContextVar("bye_last_row_capture", default=None)


def refuse_linear_attention(config: Any) -> None:
    """Check the types of the layers. Raises: UnreadableAttention if no layer has attention rows."""
    if not layers_with_rows(config):
        kinds = ", ".join(sorted(set(config.layer_types)))
        raise UnreadableAttention(reason=f"its layers are of type {kinds}, which have no rows.")


def last_rows(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    last: Tensor | int | None,
    scaling: float,
    causal: bool = True,
    softcap: float | None = None,
) -> Tensor:
    """Return the attention of each sample's last query to all keys: query [B, H, Q, D], key [B, G, K, D] -> [B, H, K].

    The result is fp32. `last` is the position of that query, see LastRowCapture. Each of the G groups of
    H/G heads shares its keys, which are not copied for every head. `mask` [B or 1, H or 1, Q, K] is boolean (True =
    visible) or added to the scores. If `mask` is None, attention is causal, or unmasked if `causal` is false. The
    weight is 0 exactly where a key is not visible.
    """
    batch, heads, _, width = query.shape
    groups, keys = key.shape[1], key.shape[2]
    # In fp32: rounding a score of 20 to bf16 would change it by 0.06, and its weight by 6%.
    wanted = at_last(query, last).reshape(batch, groups, heads // groups, width).float()  # [B, G, H/G, D]
    scores = (wanted @ key.float().transpose(2, 3)).reshape(batch, heads, keys) * scaling  # [B, H, K]
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    hidden: Tensor | None = None  # [B, H or 1, K]
    if mask is not None:
        row = at_last(mask.expand(batch, -1, -1, -1), last)  # [B, H or 1, K]
        hidden = ~row if row.dtype == torch.bool else row < torch.finfo(row.dtype).min / 2
        scores = scores.masked_fill(hidden, float("-inf")) if row.dtype == torch.bool else scores + row
    elif causal and last is not None:
        position = torch.full((batch,), keys + last, device=key.device) if isinstance(last, int) else last
        hidden = (torch.arange(keys, device=key.device) > position[:, None])[:, None]
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    seen = weights.clamp_min(LEAST)
    return seen if hidden is None else torch.where(hidden, weights, seen)


def at_last(values: Tensor, last: Tensor | int | None) -> Tensor:
    """Select position `last` of each sample, see LastRowCapture: [B, H, Q, X] -> [B, H, X].

    Some models compute only the last positions in some layers, so a position that counts from the end is safer.
    """
    if last is None or isinstance(last, int):
        return values[:, :, -1 if last is None else last]
    return values[torch.arange(len(last), device=last.device), :, last]


def capturing_attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Return the output of sdpa, and pass the attention of the last position to the LastRowCapture in use, if any."""
    for name in ("s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise UnreadableAttention(reason=f"its attention uses {name}, which changes the scores.")
    softcap, scaling = kwargs.pop("softcap", None), kwargs.get("scaling")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    capture = _active.get()
    if capture is not None:
        capture.record(module, query, key, attention_mask, scaling=scaling, causal=causal, softcap=softcap)
    if softcap is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return capped_attention(query, key, value, attention_mask, scaling, causal, softcap), None


def capped_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, causal: bool, softcap: float
) -> Tensor:
    """Compute attention with capped scores, which sdpa does not offer, in blocks of queries. Returns [B, Q, H, D]."""
    batch, heads, queries, width = query.shape
    groups, keys = key.shape[1], key.shape[2]
    outputs = []
    for start in range(0, queries, BLOCK):
        block = query[:, :, start : start + BLOCK]
        count = block.shape[2]
        grouped = block.reshape(batch, groups, -1, width)  # [B, G, H/G * q, D]
        scores = (grouped @ key.transpose(2, 3)).reshape(batch, heads, count, keys) * scaling
        scores = softcap * torch.tanh(scores / softcap)
        if mask is not None:
            visible = mask[:, :, start : start + count]
        elif causal:
            positions = torch.arange(start, start + count, device=key.device) + keys - queries
            visible = torch.arange(keys, device=key.device) <= positions[:, None]
        else:
            visible = torch.ones((), dtype=torch.bool, device=key.device)
        # Rows of padding attend to no key. Keep them finite, as sdpa does with a boolean mask.
        lowest = torch.finfo(scores.dtype).min
        scores = torch.where(visible, scores, lowest) if visible.dtype == torch.bool else scores + visible
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
        outputs.append((weights.reshape(batch, groups, -1, keys) @ value).reshape(batch, heads, count, -1))
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous()


AttentionInterface.register(NAME, capturing_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
