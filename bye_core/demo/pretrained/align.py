"""Teaches a model of pretrained parts its questions: first the projector, then the decoder with LoRA (recipe: ours).

The image tokens of the frozen tower are computed once. The projector first learns, without the decoder, that each image
token predicts the words of the answers about its image; so the decoder receives tokens that it can read. Then projector
and LoRA are trained on chats. The state is saved every few minutes, so a stopped training resumes at its last step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F

from bye_core.demo.architecture import NO_LABEL
from bye_core.demo.language_training import Batch, LanguageTraining

STATE = "unfinished.pt"
DECODER_LAYERS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


@dataclass(frozen=True)
class AlignRecipe:
    """Steps, batch sizes and highest learning rates of both stages.

    words_*       the projector alone: batches of images
    rank, alpha   of LoRA, which is merged into the decoder at the end
    bar           training ends when every kind of question has this held-out accuracy
    check_steps   steps between two measurements of the held-out accuracy
    save_seconds  seconds between two saved states
    """

    words_steps: int = 400
    words_batch: int = 32
    words_rate: float = 1e-3
    steps: int = 400
    batch: int = 8
    rate: float = 1e-3
    rank: int = 32
    alpha: int = 64
    warmup: float = 0.05
    bar: float = 0.97
    check_steps: int = 50
    checked: int = 100
    save_seconds: float = 120.0


def rate_at(step: int, recipe: AlignRecipe) -> float:
    """Return the learning rate of a step: a linear rise, then a linear fall to zero."""
    rise = max(1, int(recipe.warmup * recipe.steps))
    return recipe.rate * min((step + 1) / rise, (recipe.steps - step) / max(1, recipe.steps - rise))


def teach_words(training: LanguageTraining, recipe: AlignRecipe, seed: int, log: Callable[..., None]) -> None:
    """Train the projector so that each image token predicts the words of all answers about its image.

    The prediction is the product with the embeddings of the words, which are not trained.
    """
    tokenizer, model = training.tokenizer, training.model
    known = training.scenes[: len(training.scenes) - training.held_out]
    answers = [
        [id for kind in training.topics.kinds for id in _words(tokenizer, training.topics.ask(scene, kind)[1])]
        for scene in known
    ]
    used = sorted({id for own in answers for id in own})
    targets = torch.zeros(len(known), len(used))
    for row, own in enumerate(answers):
        for id in own:
            targets[row, used.index(id)] += 1 / len(own)
    embeddings = model.get_input_embeddings().weight.detach().float()
    size, words = embeddings.norm(dim=1).mean(), F.normalize(embeddings[used], dim=1)
    projector = training.kind.projector(model)
    optimizer = torch.optim.AdamW(projector.parameters(), lr=recipe.words_rate)
    rng = np.random.default_rng((seed, 1))
    for step in range(recipe.words_steps):
        rows = rng.integers(len(known), size=recipe.words_batch)
        tokens = training.kind.project(model, training.features[rows].float())
        logits = F.normalize(tokens, dim=-1) @ words.T * 20  # 20: a usual inverse temperature of cosine similarities
        loss = -(targets[rows].unsqueeze(1) * logits.log_softmax(-1)).sum(-1).mean()
        loss = loss + ((tokens.norm(dim=-1) / size - 1) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step + 1 == recipe.words_steps:
            log(stage="words", step=step, loss=round(loss.item(), 4))


def _words(tokenizer: Any, answer: str) -> list[int]:
    ids: list[int] = tokenizer(f" {answer}", add_special_tokens=False).input_ids
    return ids


def align(training: LanguageTraining, recipe: AlignRecipe, seed: int, log: Callable[..., None], state: Path) -> Any:
    """Train projector and decoder; return the model with LoRA merged into the decoder.

    `state` is the file of an unfinished training, from which it resumes.
    """
    model, projector = training.model, training.kind.projector(training.model)
    model.requires_grad_(False)
    stored = torch.load(state, weights_only=True) if state.is_file() else None
    if stored is None:
        projector.requires_grad_(True)
        teach_words(training, recipe, seed, log)
    model.model.language_model.to(torch.bfloat16)
    torch.manual_seed(seed)
    config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=DECODER_LAYERS)
    tuned = get_peft_model(model, config)
    projector.float().requires_grad_(True)
    weights = {name: weight for name, weight in tuned.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=recipe.rate, weight_decay=0.01)
    first = _restore(stored, weights, optimizer) if stored else 0
    saved = time.monotonic()
    for step in range(first, recipe.steps):
        optimizer.param_groups[0]["lr"] = rate_at(step, recipe)
        optimizer.zero_grad()
        loss = batch_loss(training, np.random.default_rng((seed, 2, step)), recipe.batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        last = step + 1 == recipe.steps
        if step % 10 == 0 or last:
            log(stage="align", step=step, loss=round(loss.item(), 4))
        if (step + 1) % recipe.check_steps == 0 or last:
            right = accuracy(training, recipe.checked)
            log(stage="held out", step=step, right={kind: round(share, 3) for kind, share in right.items()})
            if min(right.values()) >= recipe.bar:
                break
        if time.monotonic() - saved > recipe.save_seconds:
            _save(state, step + 1, weights, optimizer)
            saved = time.monotonic()
    return tuned.merge_and_unload().float()


def batch_loss(training: LanguageTraining, rng: np.random.Generator, size: int) -> torch.Tensor:
    """Return the loss of the answers in chats about `size` random images."""
    rows = rng.integers(len(training.scenes) - training.held_out, size=size)
    chats = [training.chat(training.scenes[row], rng) for row in rows]
    with torch.autocast("cpu", torch.bfloat16):
        batch = training.batch(chats, training.features[rows].float(), rng)
        logits, labels = _answers(training, batch)
    return F.cross_entropy(logits.float(), labels)


def _answers(training: LanguageTraining, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (logits [A, words], labels [A]) of the A answer tokens; the other positions need no logits."""
    wanted = batch.labels[:, 1:] != NO_LABEL
    states = training.hidden_states(batch)[:, :-1][wanted]
    return training.model.lm_head(states), batch.labels[:, 1:][wanted]


def accuracy(training: LanguageTraining, images: int) -> dict[str, float]:
    """Return the share of held-out images with every answer token right (teacher forcing), by kind of question."""
    images = min(images, training.held_out)
    held, tokens = training.scenes[-images:], training.features[-images:].float()
    right = {}
    for kind in training.topics.kinds:
        hits = []
        for part in torch.arange(images).split(20):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                chats = [[training.topics.ask(held[row], kind)] for row in part]
                batch = training.batch(chats, tokens[part])
                logits, labels = _answers(training, batch)
            rows = (batch.labels[:, 1:] != NO_LABEL).nonzero()[:, 0]
            wrong = torch.bincount(rows, (logits.argmax(-1) != labels).float(), minlength=len(part))
            hits.append((wrong == 0).float())
        right[kind] = float(torch.cat(hits).mean())
    return right


def _save(path: Path, step: int, weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    values = {name: weight.detach() for name, weight in weights.items()}
    part = path.with_suffix(".part")
    torch.save({"step": step, "weights": values, "optimizer": optimizer.state_dict()}, part)
    part.replace(path)


def _restore(stored: dict[str, Any], weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(stored["weights"][name])
    optimizer.load_state_dict(stored["optimizer"])
    step: int = stored["step"]
    return step
