"""Trains the projector and the language model of the demo's base model on the frozen vision tower (recipe: ours).

Random image tokens are masked, so that the model does not depend on any single token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from bye_core.demo.llava import SYSTEM_PROMPT
from bye_core.demo.recipe import HELD_OUT, BaseRecipe
from bye_core.demo.scenes import QUESTION_KINDS, Scene, ask
from bye_core.demo.tower_training import minimize, tower_tokens


class Topics(NamedTuple):
    """What the model is asked about a scene: `ask(scene, kind)` returns (question, answer) for each of `kinds`."""

    kinds: Sequence[str] = QUESTION_KINDS
    ask: Callable[[Scene, str], tuple[str, str]] = ask


USUAL_TOPICS = Topics()


def conversation(tokenizer: PreTrainedTokenizerFast, image_tokens: int, chat: list[tuple[str, str]]):
    """Encode all questions and answers about one image as one chat. Returns (ids, labels), two lists of equal length.

    `ids` holds the token ids. `labels` repeats the ids of answer tokens and holds -100 for all other tokens.
    """
    ids = tokenizer(f"{SYSTEM_PROMPT} USER: ").input_ids
    ids += [tokenizer.convert_tokens_to_ids("<image>")] * image_tokens
    labels = [-100] * len(ids)
    for turn, (question, answer) in enumerate(chat):
        lead = f"\n{question} ASSISTANT:" if turn == 0 else f" USER: {question} ASSISTANT:"
        prompt = tokenizer(lead, add_special_tokens=False).input_ids
        reply = [*tokenizer(f" {answer}", add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        ids += prompt + reply
        labels += [-100] * len(prompt) + reply
    return ids, labels


def language_batch(
    model, tokenizer, scenes: list[Scene], tokens: torch.Tensor, recipe: BaseRecipe, rng, topics: Topics
):
    """Return (embeddings, mask, labels) of a chat about each scene, with a random share of its image tokens masked.

    `tokens` [B, V, width] are the scenes' image tokens; see `embedded_batch` for the shapes.
    """
    chats = []
    for scene in scenes:
        kinds = list(topics.kinds)
        rng.shuffle(kinds)
        chats.append([topics.ask(scene, kind) for kind in kinds])
    return embedded_batch(model, tokenizer, chats, tokens, recipe, rng)


def embedded_batch(model, tokenizer, chats, tokens: torch.Tensor, recipe: BaseRecipe, hiding=None):
    """Return (embeddings [B, T, width], mask [B, T], labels [B, T]) of B chats about images.

    A chat is a list of (question, answer). `tokens` [B, V, width] are the image tokens of the images. `hiding` is the
    random generator that chooses which image tokens to mask; None masks none.
    """
    encoded = [conversation(tokenizer, recipe.tokens_a_side**2, chat) for chat in chats]
    length = max(len(ids) for ids, _ in encoded)
    ids = torch.tensor([i + [tokenizer.pad_token_id] * (length - len(i)) for i, _ in encoded])
    labels = torch.tensor([label + [-100] * (length - len(label)) for _, label in encoded])
    image = ids == model.config.image_token_id
    mask = (ids != tokenizer.pad_token_id).long()
    if hiding is not None:
        hidden = torch.from_numpy(hiding.random((len(chats), 1)) * recipe.hidden_tokens)
        mask[image & (torch.from_numpy(hiding.random(ids.shape)) < hidden)] = 0
    embedded = model.get_input_embeddings()(ids)
    projected = model.model.multi_modal_projector(tokens)
    return embedded.masked_scatter(image.unsqueeze(-1), projected.to(embedded.dtype)), mask, labels


def train_language(
    model, tokenizer, scenes: list[Scene], pixels: torch.Tensor, recipe: BaseRecipe, log, seed, topics=USUAL_TOPICS
) -> None:
    """Train projector and language model. The image tokens of the frozen vision tower are computed only once.

    Training runs in rounds until every kind of question reaches the held-out accuracy `recipe.language_bar`, for at
    most `recipe.language_rounds` rounds, since some kinds take longer to learn.
    """
    with torch.inference_mode():
        features = torch.cat([tower_tokens(model, part).half() for part in pixels.split(64)])
    features = features.clone()  # the clone is not an inference tensor, so it can be used in training
    for number in range(recipe.language_rounds):
        divisor = 1 if number == 0 else 2
        language_round(model, tokenizer, scenes, features, recipe, log, seed + number, divisor, topics)
        right = accuracy(model, tokenizer, scenes, features, recipe, topics)
        log(stage="held out", round=number, right={kind: round(share, 3) for kind, share in right.items()})
        if min(right.values()) >= recipe.language_bar:
            return


def language_round(
    model, tokenizer, scenes, features: torch.Tensor, recipe: BaseRecipe, log, seed, divisor: int, topics: Topics
) -> None:
    """Train for one round, without the last HELD_OUT scenes. `divisor` divides the steps and the learning rate."""
    rng = np.random.default_rng(seed)
    known = len(scenes) - HELD_OUT

    def batch_loss() -> torch.Tensor:
        rows = rng.integers(known, size=recipe.language_batch)
        tokens = features[rows].float()
        seen = [scenes[row] for row in rows]
        embedded, mask, labels = language_batch(model, tokenizer, seen, tokens, recipe, rng, topics)
        hidden = model.model.language_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        wanted = labels[:, 1:] != -100
        return F.cross_entropy(model.lm_head(hidden[:, :-1][wanted]), labels[:, 1:][wanted])

    weights = [*model.model.language_model.parameters(), *model.model.multi_modal_projector.parameters()]
    minimize(weights, recipe.language_rate / divisor, recipe.language_steps // divisor, batch_loss, log, "language")


def accuracy(model, tokenizer, scenes, features: torch.Tensor, recipe: BaseRecipe, topics: Topics) -> dict[str, float]:
    """Return, by kind of question, the share of held-out scenes with every answer token correct (teacher forcing)."""
    held, tokens = scenes[-HELD_OUT:], features[-HELD_OUT:].float()
    right = {}
    for kind in topics.kinds:
        with torch.inference_mode():
            chats = [[topics.ask(scene, kind)] for scene in held]
            embedded, mask, labels = embedded_batch(model, tokenizer, chats, tokens, recipe)
            hidden = model.model.language_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
            predicted = model.lm_head(hidden[:, :-1]).argmax(-1)
        wanted = labels[:, 1:]
        right[kind] = float(((predicted == wanted) | (wanted == -100)).all(-1).float().mean())
    return right
