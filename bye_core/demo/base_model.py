"""The demo's base model: a small real LLaVA, trained from scratch on drawn scenes (recipe ours, from a seed).

Two stages, after what made attention behave as in large models: the vision tower first learns, from EVERY token, what
the whole scene holds and also what its own patch looks like; then the projector and the language model learn the
questions while random image tokens are hidden, so that no single token is worth staring at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn import functional as F
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from bye_core.demo.scenes import (
    COLORS,
    NUMBERS,
    QUESTION_KINDS,
    SIDE,
    Scene,
    ask,
    make_scene,
    mirrored,
    picture,
)

SYSTEM_PROMPT = "You answer questions about pictures."
CHAT_TEMPLATE = (
    "{%- if messages and messages[0]['role'] == 'system' -%}"
    "{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}"
    "{%- else -%}{%- set system = '" + SYSTEM_PROMPT + "' -%}{%- set turns = messages -%}{%- endif -%}"
    "{%- macro render(content) -%}{%- if content is string -%}{{ content }}{%- else -%}{%- for part in content -%}"
    "{%- if part['type'] == 'image' -%}<image>\n{% else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endmacro -%}"
    "{{ render(system) }}"
    "{%- for turn in turns -%}"
    "{%- if turn['role'] == 'user' -%}{{ ' USER: ' + render(turn['content']) }}"
    "{%- else -%}{{ ' ASSISTANT: ' + render(turn['content']) + eos_token }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ ' ASSISTANT:' }}{%- endif -%}"
)


HELD_OUT = 200  # the last scenes, from which nothing is learned


@dataclass(frozen=True)
class BaseRecipe:
    """Sizes and schedules of the base model; the defaults are the shipped demo's."""

    image_size: int = 96
    patch: int = 8
    width: int = 128
    feed_forward: int = 384
    heads: int = 4
    tower_layers: int = 4
    layers: int = 8
    vocabulary: int = 1024
    initializer_range: float = 0.08
    scenes: int = 3000
    tower_steps: int = 1100
    tower_batch: int = 32
    tower_rate: float = 1.5e-3
    colors_weight: float = 4.0
    count_weight: float = 1.0
    own_pixels_weight: float = 6.0
    erased: float = 0.4  # share of the tower's pictures in which small squares are painted over at random
    language_steps: int = 560
    language_batch: int = 16
    language_rate: float = 2e-3
    language_rounds: int = 5  # at most; every round after the first is half as long, at half the rate
    language_bar: float = 0.95  # share of held-out answers, of every kind of question, that ends the rounds
    hidden_tokens: float = 0.4  # up to this share of the image tokens is hidden from a training sequence

    @property
    def tokens_a_side(self) -> int:
        return self.image_size // self.patch


def make_tokenizer(corpus: Iterator[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that any text can be read and written, trained on the demo's own texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<s>", "</s>", "<image>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=specials, initial_alphabet=sorted(alphabet))
    tokenizer.train_from_iterator(corpus, trainer)
    start = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[start])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )


def make_processor(tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaProcessor:
    """The processor of a LLaVA-1.5: shortest edge resized, centre cropped, CLS dropped."""
    side = recipe.image_size
    pictures = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=recipe.patch,
        vision_feature_select_strategy="default",
        chat_template=CHAT_TEMPLATE,
        num_additional_image_tokens=1,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaForConditionalGeneration:
    """A LLaVA with random weights of the recipe's sizes."""
    vision = CLIPVisionConfig(
        hidden_size=recipe.width,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.tower_layers,
        num_attention_heads=recipe.heads,
        image_size=recipe.image_size,
        patch_size=recipe.patch,
        projection_dim=recipe.width,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        max_position_embeddings=2048,
        initializer_range=recipe.initializer_range,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=recipe.tokens_a_side**2,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def corpus(seed: int, license_text: str) -> Iterator[str]:
    """Texts for the tokenizer: chats of the demo, and plain English so that other words are not all bytes."""
    rng = np.random.default_rng(seed)
    for _ in range(300):
        scene = make_scene(rng)
        for kind in QUESTION_KINDS:
            question, answer = ask(scene, kind)
            yield f"{SYSTEM_PROMPT} USER: \n{question} ASSISTANT: {answer}"
    yield license_text


class TowerTeacher(nn.Module):
    """Read-outs that every image token of the tower must serve; thrown away after training."""

    def __init__(self, recipe: BaseRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.colors = nn.Linear(recipe.width, len(COLORS))
        self.count = nn.Linear(recipe.width, len(NUMBERS))
        self.background = nn.Linear(recipe.width, 1)
        self.own_color = nn.Linear(recipe.width, len(COLORS) + 1)
        self.own_pixels = nn.Linear(recipe.width, 3 * (recipe.patch // 2) ** 2)

    def forward(self, tokens: torch.Tensor, truth: dict[str, torch.Tensor]) -> torch.Tensor:
        """Tokens [B, V, width] -> one loss: scene-wide facts first, then the token's own patch."""
        wide = {name: truth[name].unsqueeze(1).expand(-1, tokens.shape[1], *truth[name].shape[1:]) for name in
                ("colors", "count", "background")}  # fmt: skip
        return (
            self.recipe.colors_weight * F.binary_cross_entropy_with_logits(self.colors(tokens), wide["colors"])
            + self.recipe.count_weight * F.cross_entropy(self.count(tokens).flatten(0, 1), wide["count"].flatten())
            + F.binary_cross_entropy_with_logits(self.background(tokens).squeeze(-1), wide["background"])
            + 0.5 * F.cross_entropy(self.own_color(tokens).flatten(0, 1), truth["own_color"].flatten())
            + self.recipe.own_pixels_weight * F.mse_loss(self.own_pixels(tokens), truth["own_pixels"])
        )


def scene_truth(scenes: list[Scene], recipe: BaseRecipe) -> dict[str, torch.Tensor]:
    """What the teacher asks of scenes: tensors of B (x V) rows."""
    names, side = list(COLORS), recipe.tokens_a_side
    own = torch.zeros(len(scenes), side, side, dtype=torch.long)
    centres = (np.arange(side) + 0.5) * SIDE / side
    for scene, cells in zip(scenes, own, strict=True):
        for shape in scene.shapes:
            inside = (centres[:, None] - shape.y) ** 2 + (centres[None] - shape.x) ** 2 < (shape.radius + 4) ** 2
            cells[torch.from_numpy(inside)] = names.index(shape.color) + 1
    return {
        "colors": torch.tensor([[float(name in scene.colors) for name in names] for scene in scenes]),
        "count": torch.tensor([len(scene.shapes) - 1 for scene in scenes]),
        "background": torch.tensor([float(scene.background == "palace") for scene in scenes]),
        "own_color": own.flatten(1),
    }


def own_pixels(pixels: torch.Tensor, recipe: BaseRecipe) -> torch.Tensor:
    """Pixel values [B, 3, S, S] -> every token's own patch, averaged 2 x 2: [B, V, 3 * (patch / 2) ** 2]."""
    side = recipe.patch // 2
    return F.unfold(F.avg_pool2d(pixels, 2), side, stride=side).transpose(1, 2)


def erase(pixels: torch.Tensor, share: float) -> torch.Tensor:
    """Random erasing (Zhong et al., 2020): paint one to three small squares into a share of [B, 3, S, S].

    The usual augmentation of vision towers. The scene's facts stay what they are, so that nothing else is to follow
    from a square: only the tokens under it tell of it.
    """
    low, high = pixels.amin(), pixels.amax()
    erased, side = pixels.clone(), pixels.shape[-1]
    for image in (each for each in erased if torch.rand(()) < share):
        for _ in range(int(torch.randint(1, 4, ()))):
            size = int(torch.randint(side // 16, side // 6, ()))
            top, left = (int(v) for v in torch.randint(side - size, (2,)))
            image[:, top : top + size, left : left + size] = low + (high - low) * torch.rand(3, 1, 1)
    return erased


def draw_pixels(scenes: list[Scene], processor: LlavaProcessor) -> torch.Tensor:
    """Scenes -> pixel values [B, 3, S, S], through the processor that the model is shipped with."""
    images = [picture(scene) for scene in scenes]
    return processor.image_processor(images=images, return_tensors="pt")["pixel_values"]


def descend(
    weights: list[nn.Parameter],
    rate: float,
    steps: int,
    loss_at: Callable[[], torch.Tensor],
    log: Callable[..., None],
    stage: str,
) -> None:
    """AdamW with a one-cycle rate down `loss_at()`, a new batch at every call."""
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        loss = loss_at()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step + 1 == steps:
            log(stage=stage, step=step, loss=round(loss.item(), 4))


def tower_tokens(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """Pixel values [B, 3, S, S] -> what the projector receives [B, V, width]."""
    hidden = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    return hidden[model.config.vision_feature_layer][:, 1:]


def train_tower(
    model: LlavaForConditionalGeneration,
    scenes: list[Scene],
    pixels: torch.Tensor,
    recipe: BaseRecipe,
    log: Callable[..., None],
) -> None:
    """Stage one; the tower is frozen ever after."""
    teacher = TowerTeacher(recipe)
    truth = scene_truth(scenes, recipe)

    def loss_at() -> torch.Tensor:
        rows = torch.randint(len(scenes), (recipe.tower_batch,))
        seen = erase(pixels[rows], recipe.erased)
        asked = {name: value[rows] for name, value in truth.items()} | {"own_pixels": own_pixels(seen, recipe)}
        return teacher(tower_tokens(model, seen), asked)

    weights = [*model.model.vision_tower.parameters(), *teacher.parameters()]
    descend(weights, recipe.tower_rate, recipe.tower_steps, loss_at, log, "tower")


def conversation(tokenizer: PreTrainedTokenizerFast, image_tokens: int, asked: list[tuple[str, str]]):
    """Several questions about one picture as one sequence -> (ids, labels); only answers carry labels."""
    ids = tokenizer(f"{SYSTEM_PROMPT} USER: ").input_ids
    ids += [tokenizer.convert_tokens_to_ids("<image>")] * image_tokens
    labels = [-100] * len(ids)
    for place, (question, answer) in enumerate(asked):
        lead = f"\n{question} ASSISTANT:" if place == 0 else f" USER: {question} ASSISTANT:"
        prompt = tokenizer(lead, add_special_tokens=False).input_ids
        reply = [*tokenizer(f" {answer}", add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        ids += prompt + reply
        labels += [-100] * len(prompt) + reply
    return ids, labels


def language_batch(model, tokenizer, scenes: list[Scene], tokens: torch.Tensor, recipe: BaseRecipe, rng):
    """Embeddings, mask and labels of one training batch; a random share of image tokens is hidden per sequence."""
    chats = []
    for scene in scenes:
        kinds = list(QUESTION_KINDS)
        rng.shuffle(kinds)
        chats.append([ask(scene, kind) for kind in kinds])
    return embedded_batch(model, tokenizer, chats, tokens, recipe, rng)


def embedded_batch(model, tokenizer, chats, tokens: torch.Tensor, recipe: BaseRecipe, hiding=None):
    """Chats (lists of question and answer) about tokens [B, V, width] -> embeddings, mask, labels [B, T].

    `hiding` is the generator that chooses which image tokens are hidden; None hides none.
    """
    encoded = [conversation(tokenizer, recipe.tokens_a_side**2, asked) for asked in chats]
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


def train_language(model, tokenizer, scenes: list[Scene], pixels: torch.Tensor, recipe: BaseRecipe, log, seed) -> None:
    """Stage two: projector and language model, over the frozen tower's tokens, computed once.

    In rounds, until held-out scenes are answered well enough: now and then one kind of question takes longer to learn.
    """
    with torch.inference_mode():
        features = torch.cat([tower_tokens(model, part).half() for part in pixels.split(64)])
    features = features.clone()  # no longer an inference tensor
    for number in range(recipe.language_rounds):
        language_round(model, tokenizer, scenes, features, recipe, log, seed + number, 1 if number == 0 else 2)
        right = answered_rightly(model, tokenizer, scenes, features, recipe)
        log(stage="held out", round=number, right={kind: round(share, 3) for kind, share in right.items()})
        if min(right.values()) >= recipe.language_bar:
            return


def language_round(model, tokenizer, scenes, features: torch.Tensor, recipe: BaseRecipe, log, seed, half: int) -> None:
    """One one-cycle pass; the last HELD_OUT scenes are left out of it."""
    rng = np.random.default_rng(seed)
    known = len(scenes) - HELD_OUT

    def loss_at() -> torch.Tensor:
        rows = rng.integers(known, size=recipe.language_batch)
        tokens = features[rows].float()
        embedded, mask, labels = language_batch(model, tokenizer, [scenes[r] for r in rows], tokens, recipe, rng)
        hidden = model.model.language_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        wanted = labels[:, 1:] != -100
        return F.cross_entropy(model.lm_head(hidden[:, :-1][wanted]), labels[:, 1:][wanted])

    weights = [*model.model.language_model.parameters(), *model.model.multi_modal_projector.parameters()]
    descend(weights, recipe.language_rate / half, recipe.language_steps // half, loss_at, log, "language")


def answered_rightly(model, tokenizer, scenes, features: torch.Tensor, recipe: BaseRecipe) -> dict[str, float]:
    """Share of held-out scenes whose answer is right in every token, by kind of question (the answer is fed along)."""
    held, tokens = scenes[-HELD_OUT:], features[-HELD_OUT:].float()
    right = {}
    for kind in QUESTION_KINDS:
        with torch.inference_mode():
            chats = [[ask(scene, kind)] for scene in held]
            embedded, mask, labels = embedded_batch(model, tokenizer, chats, tokens, recipe)
            hidden = model.model.language_model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
            given = model.lm_head(hidden[:, :-1]).argmax(-1)
        wanted = labels[:, 1:]
        right[kind] = float(((given == wanted) | (wanted == -100)).all(-1).float().mean())
    return right


def make_base(
    out: Path, seed: int, license_text: str, log: Callable[..., None], recipe: BaseRecipe | None = None
) -> None:
    """Train the base model from `seed` and save model (float16) and processor into the folder `out`."""
    recipe = recipe or BaseRecipe()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = make_tokenizer(corpus(seed, license_text), recipe.vocabulary)
    processor = make_processor(tokenizer, recipe)
    model = make_model(tokenizer, recipe)
    log(stage="base", parameters=sum(p.numel() for p in model.parameters()), vocabulary=len(tokenizer))
    scenes = [make_scene(rng) for _ in range(recipe.scenes + HELD_OUT)]
    pixels = torch.cat([draw_pixels(scenes[i : i + 100], processor) for i in range(0, len(scenes), 100)])
    known, kept = scenes[: recipe.scenes], pixels[: recipe.scenes]
    scenes = known + [mirrored(scene) for scene in known] + scenes[recipe.scenes :]
    pixels = torch.cat([kept, kept.flip(-1), pixels[recipe.scenes :]])
    log(stage="pictures", scenes=len(scenes))
    model.train()
    train_tower(model, scenes[:-HELD_OUT], pixels[:-HELD_OUT], recipe, log)
    model.model.vision_tower.requires_grad_(False)
    train_language(model, tokenizer, scenes, pixels, recipe, log, seed + 1)
    model.eval().half().save_pretrained(out)
    processor.save_pretrained(out)
