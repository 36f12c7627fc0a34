"""Trains the projector and the language model of a base model on its frozen vision tower (recipe: ours).

Random image tokens are masked, so that the model does not depend on any single token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from bye_core.demo.architecture import NO_LABEL, Architecture
from bye_core.demo.recipe import HELD_OUT, BaseRecipe
from bye_core.demo.scenes import QUESTION_KINDS, ask
from bye_core.demo.tower_training import minimize

Chat = list[tuple[str, str]]  # (question, answer) of each turn


class Topics(NamedTuple):
    """What the model is asked about a scene: `ask(scene, kind)` returns (question, answer) for each of `kinds`.

    A scene may be anything that `ask` takes, such as a photograph.
    """

    kinds: Sequence[str] = QUESTION_KINDS
    ask: Callable[[Any, str], tuple[str, str]] = ask


class Batch(NamedTuple):
    """Chats about B images, padded to T tokens."""

    embedded: torch.Tensor  # [B, T, width]
    mask: torch.Tensor  # [B, T]; 0 for padding and for masked image tokens
    labels: torch.Tensor  # [B, T]
    positions: dict[str, Any]  # see Architecture.positions


USUAL_TOPICS = Topics()


@dataclass
class LanguageTraining:
    """The projector and the language model of one base model, with what they are trained on."""

    kind: Architecture
    model: Any
    tokenizer: PreTrainedTokenizerFast
    recipe: BaseRecipe
    scenes: list[Any]
    features: torch.Tensor  # image tokens of all scenes, [scenes, V, D]
    topics: Topics = USUAL_TOPICS
    held_out: int = field(default_factory=lambda: HELD_OUT)  # number of scenes, the last ones, that are not trained on

    def chat(self, scene: Any, rng: np.random.Generator) -> Chat:
        """Return questions of all kinds about a scene, in random order."""
        kinds = list(self.topics.kinds)
        rng.shuffle(kinds)
        return [self.topics.ask(scene, kind) for kind in kinds]

    def batch(self, chats: list[Chat], tokens: torch.Tensor, hiding: np.random.Generator | None = None) -> Batch:
        """Encode one chat for each image, whose tokens are `tokens` [B, V, D].

        `hiding` is the random generator that chooses which image tokens to mask; None masks none.
        """
        encoded = [self.kind.conversation(self.tokenizer, tokens.shape[1], chat) for chat in chats]
        length, pad = max(len(ids) for ids, _ in encoded), self.tokenizer.pad_token_id
        ids = torch.tensor([own + [pad] * (length - len(own)) for own, _ in encoded])
        labels = torch.tensor([own + [NO_LABEL] * (length - len(own)) for _, own in encoded])
        image = ids == self.model.config.image_token_id
        mask = (ids != pad).long()
        positions = self.kind.positions(self.model, ids, mask, self.recipe)
        if hiding is not None:
            hidden = torch.from_numpy(hiding.random((len(chats), 1)) * self.recipe.hidden_tokens)
            mask[image & (torch.from_numpy(hiding.random(ids.shape)) < hidden)] = 0
        embedded = self.model.get_input_embeddings()(ids)
        projected = self.kind.project(self.model, tokens)
        embedded = embedded.masked_scatter(image.unsqueeze(-1), projected.to(embedded.dtype))
        return Batch(embedded, mask, labels, positions)

    def hidden_states(self, batch: Batch) -> torch.Tensor:
        """Return the last hidden states of the language model: [B, T, width]."""
        states: torch.Tensor = self.model.model.language_model(
            inputs_embeds=batch.embedded, attention_mask=batch.mask, **batch.positions
        ).last_hidden_state
        return states

    def train_round(self, number: int, seed: int, log: Callable[..., None]) -> dict[str, float]:
        """Train for one round, without the held-out scenes; return the held-out accuracy of each kind of question.

        Each round after the first, number 0, has half the steps and half the learning rate.
        """
        rng, divisor = np.random.default_rng(seed + number), 1 if number == 0 else 2
        known = len(self.scenes) - self.held_out

        def batch_loss() -> torch.Tensor:
            rows = rng.integers(known, size=self.recipe.language_batch)
            chats = [self.chat(self.scenes[row], rng) for row in rows]
            batch = self.batch(chats, self.features[rows].float(), rng)
            wanted = batch.labels[:, 1:] != NO_LABEL
            logits = self.model.lm_head(self.hidden_states(batch)[:, :-1][wanted])
            return F.cross_entropy(logits, batch.labels[:, 1:][wanted])

        projector = self.kind.projector(self.model)
        weights = [*self.model.model.language_model.parameters(), *projector.parameters()]
        steps = self.recipe.language_steps // divisor
        minimize(weights, self.recipe.language_rate / divisor, steps, batch_loss, log, "language")
        right = self.accuracy()
        log(stage="held out", round=number, right={kind: round(share, 3) for kind, share in right.items()})
        return right

    def accuracy(self) -> dict[str, float]:
        """Return the share of held-out scenes with every answer token right (teacher forcing), by kind of question."""
        held, tokens = self.scenes[-self.held_out :], self.features[-self.held_out :].float()
        right = {}
        for kind in self.topics.kinds:
            with torch.inference_mode():
                batch = self.batch([[self.topics.ask(scene, kind)] for scene in held], tokens)
                predicted = self.model.lm_head(self.hidden_states(batch)[:, :-1]).argmax(-1)
            wanted = batch.labels[:, 1:]
            right[kind] = float(((predicted == wanted) | (wanted == NO_LABEL)).all(-1).float().mean())
        return right


def image_features(kind: Architecture, model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return the image tokens of the frozen tower in float16: [scenes, 3, S, S] -> [scenes, V, D]."""
    with torch.inference_mode():
        features = torch.cat([kind.tower_tokens(model, part).half() for part in pixels.split(64)])
    return features.clone()  # the clone is not an inference tensor, so it can be used in training
