"""Computes the logits of the first answer token and the losses of the answers' tokens, and no other logits.

The logits of all positions would take more memory than the rest of a forward pass: a vocabulary has up to 260,000
tokens.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from bye_core.attention.errors import UnreadableAttention

# Positions whose logits are in memory at a time: 260 MB in fp32 with the largest vocabularies (ours).
ROWS = 256
# Factor of a state that shows whether the model changes its logits after the head, such as by a cap (ours).
PROBE = 100.0
LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


class Losses(NamedTuple):
    """Losses -ln p of B answers [B] float64, in nats; NaN without tokens: mean and largest loss of an answer's tokens,
    number of tokens, probability of the most likely first token. `each` holds the losses of the tokens by answer."""

    nll: np.ndarray
    worst: np.ndarray
    tokens: np.ndarray
    certain: np.ndarray
    each: list[np.ndarray]


class AnswerHead:
    """Context manager for one forward pass with `logits_to_keep` = A + 1.

    learned  [B, A] the tokens of the last A columns whose loss counts

    Inside, the model returns logits [1, N, vocabulary], whose first B rows are those of the position before column 0.
    Of a model that is spread over several devices, the head may be on another device than the inputs and the logits.
    A hook on the head selects the states; `output_hidden_states` would store the states of all layers.
    """

    def __init__(self, model: torch.nn.Module, learned: np.ndarray) -> None:
        self.head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        self.learned = torch.from_numpy(learned)
        self.first: Tensor | None = None

    def __enter__(self) -> AnswerHead:
        self._hook = self.head.register_forward_pre_hook(self._select)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()

    def _select(self, module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        states, *others = inputs  # [B, A + 1, D]
        self.first = states[:, 0]
        self.answers = states[:, :-1][self.learned.to(states.device)]  # [S, D]
        if _is_plain.get(self.head):
            return self.first[None], *others
        return torch.cat([self.first, self.answers, PROBE * self.first[:1]])[None], *others

    def states(self) -> np.ndarray:
        """Return the head's input before the first answer token: [B, D] float16, clipped to float16's range."""
        if self.first is None:
            raise UnreadableAttention(reason="its output head was not called.")
        states = self.first.float().clamp(-LARGEST_FLOAT16, LARGEST_FLOAT16)
        return states.cpu().numpy().astype(np.float16)

    def first_logits(self, logits: Tensor) -> Tensor:
        """Return the logits [B, vocabulary] of the first answer token, from those that the model returned.

        The first pass of a process also finds out whether the head alone gives the logits. If it does, this pass takes
        them from the head as all later ones do: rounding depends on the number of rows, and a scan that resumes must
        store the same bytes.
        """
        if self.first is None:
            raise UnreadableAttention(reason="its output head was not called.")
        count = len(self.first)
        if logits.shape[1] == count:
            return logits[0]
        if self.head not in _is_plain:
            probe = self.head((PROBE * self.first[:1])[None])[0]
            _is_plain[self.head] = bool(
                (probe.to(logits.device) - logits[0, -1:]).abs().amax() <= 0.01 * probe.abs().amax()
            )
        return self.head(self.first[None])[0] if _is_plain[self.head] else logits[0, :count]

    def losses(self, logits: Tensor, tokens: Tensor) -> Losses:
        """Return the losses of the answers. Call it after the pass, with the adapter of the pass still in place.

        `logits` are those that the model returned; `tokens` [B, A] those of the last A columns.
        """
        count = len(self.first_logits(logits))
        wanted = tokens[self.learned.to(tokens.device)]  # [S]
        computed = None if _is_plain[self.head] else logits[0, count:-1]
        values: list[tuple[Tensor, Tensor]] = []
        for start in range(0, len(wanted), ROWS):
            part = slice(start, start + ROWS)
            own = (self.head(self.answers[part][None])[0] if computed is None else computed[part]).float()
            total = own.logsumexp(dim=-1)
            loss = total - own.gather(1, wanted[part, None].to(own.device))[:, 0]
            values.append((loss.cpu(), (own.amax(dim=-1) - total).exp().cpu()))
        return _by_answer(self.learned.numpy(), values)


# Whether the logits of a model are the output of its head; some models scale or cap them.
_is_plain: WeakKeyDictionary[torch.nn.Module, bool] = WeakKeyDictionary()


def _by_answer(learned: np.ndarray, values: list[tuple[Tensor, Tensor]]) -> Losses:
    """Combine the losses and largest probabilities of the S tokens of all answers, in the order of `learned` [B, A]."""
    tokens = learned.sum(axis=1)
    mean, worst, certain = (np.full(len(learned), np.nan) for _ in range(3))
    each = [np.empty(0)] * len(learned)
    if values:
        losses, best = (torch.cat(parts).double().numpy() for parts in zip(*values, strict=True))
        starts = np.cumsum(tokens) - tokens
        each = np.split(losses, starts[1:])
        some = np.flatnonzero(tokens)
        mean[some] = np.add.reduceat(losses, starts[some]) / tokens[some]
        worst[some] = np.maximum.reduceat(losses, starts[some])
        certain[some] = best[starts[some]]
    return Losses(mean, worst, tokens.astype(float), certain, each)
