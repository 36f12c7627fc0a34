"""What a model family must tell: the layout of a prompt, which tokens are the picture, where each lies in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature

from bye_core.models.chat import Chat, Prompt
from bye_core.models.errors import ElongatedPicture, ImageCount, NoImageTokens, NoQuestion, NoSuchModule, PromptMismatch
from bye_core.models.families.geometry import padded_size, resized_size
from bye_core.records import IMAGE, QUESTION, SYSTEM, Grid, Sample, Turn

# The group of a padding position, beside records.SYSTEM, IMAGE and QUESTION.
PADDING = -1
# A 1 x 20000 picture is resized to gigabytes before it is cropped; 64 Mpx is a ratio of 570 at 336 pixels (ours).
MAX_RESIZED_PIXELS = 64_000_000


class Family(ABC):
    """One family's facts as class attributes; a subclass gives `grids` and overrides a step only where it differs.

    Families with tiles or separators fit in by returning several grids (one a tile; tokens in no grid, such as row
    ends, stay in the V axis), by naming `layout_tokens` that the processor adds around image tokens, and by
    `layers` that name the decoder layers with image keys (cross attention).
    """

    name: ClassVar[str] = ""
    language_model_name: ClassVar[str] = "model.language_model"
    projector_name: ClassVar[str] = "model.multi_modal_projector"
    tower_name: ClassVar[str] = "model.vision_tower"
    # Texts besides the image token that the processor puts into the prompt for a picture.
    layout_tokens: ClassVar[tuple[str, ...]] = ()
    # Whether the processor wants one list of all pictures instead of one list a sample.
    flat_images: ClassVar[bool] = False

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor = processor
        self.config = config
        self.prepare()
        self.image_marker: str = processor.image_token
        self.image_token_id: int = config.image_token_id
        layout_ids = processor.tokenizer.convert_tokens_to_ids(list(self.layout_tokens))
        self.expansion_ids = np.array([self.image_token_id, *layout_ids])
        self.conversation = Chat(processor, [self.image_marker, *self.layout_tokens])

    def prepare(self) -> None:  # noqa: B027 - optional: most families have nothing to fill in
        """Fills in what an old checkpoint's processor leaves to the model's config."""

    @abstractmethod
    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        """The grids of a sample's `tokens` image tokens; `sizes` (width, height) in prompt order, numbered likewise."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The decoder layers whose attention has image tokens among its keys."""
        return tuple(range(self.config.get_text_config().num_hidden_layers))

    def chat(self, turns: Sequence[Turn], generation: bool) -> str:
        """The text of `turns` by the processor's chat template; `generation` adds the tag that asks for an answer."""
        return self.render(turns, generation).text

    def render(self, turns: Sequence[Turn], generation: bool) -> Prompt:
        """As `chat`, with the place of every text and the order of the pictures."""
        return self.conversation.render(turns, generation)

    def question(self, sample: Sample) -> Prompt:
        """The turns before the first answer, and the tag that asks for it: what the model reads before it answers."""
        roles = [turn.role for turn in sample.turns]
        turns = sample.turns[: roles.index("assistant")] if "assistant" in roles else sample.turns
        if not any(turn.role == "user" for turn in turns):
            raise NoQuestion(id=sample.id)
        return self.render(turns, generation=True)

    def through_answer(self, sample: Sample) -> Prompt:
        """The turns up to and with the first answer, its turn closed; all turns where there is no answer."""
        roles = [turn.role for turn in sample.turns]
        end = roles.index("assistant") + 1 if "assistant" in roles else len(roles)
        return self.render(sample.turns[:end], generation=False)

    def prompt(self, sample: Sample) -> str:
        return self.question(sample).text

    def encode(
        self, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], padding_side: str = "left"
    ) -> BatchFeature:
        """All that the processor makes of the prompts, on the CPU; `images[i]` are RGB pictures in prompt order."""
        for text, pictures in zip(texts, images, strict=True):
            if text.count(self.image_marker) != len(pictures):
                raise ImageCount(markers=text.count(self.image_marker), pictures=len(pictures))
            for picture in pictures:
                self.check_shape(picture)
        flat = [picture for pictures in images for picture in pictures]
        return self.processor(
            images=(flat if self.flat_images else [list(p) for p in images]) if flat else None,
            text=list(texts),
            padding=True,
            padding_side=padding_side,
            add_special_tokens=self.adds_specials(texts[0]),
            return_tensors="pt",
        )

    def adds_specials(self, text: str) -> bool:
        """Whether the tokenizer must still add what a template with its own start token has put there already."""
        start = self.processor.tokenizer.bos_token
        return not (start and text.startswith(start))

    def check_shape(self, picture: Image.Image) -> None:
        image_processor = self.processor.image_processor
        width, height = resized_size(image_processor, *padded_size(image_processor, *picture.size))
        if width * height > MAX_RESIZED_PIXELS:
            raise ElongatedPicture(width=picture.width, height=picture.height, new_width=width, new_height=height)

    def token_groups(
        self, inputs: BatchFeature, i: int, sample: Sample, pictures: Sequence[Image.Image]
    ) -> tuple[np.ndarray, tuple[Grid, ...]]:
        """Row `i` of `inputs` -> the group of every position [K] and the grids of the image tokens.

        Groups as METHOD's TCAP section has them: role tags and special tokens count as system. `pictures` are the
        sample's own, in the sample's order; the grids' `image` counts in that order too.
        """
        prompt = self.question(sample)
        ids = inputs["input_ids"][i].numpy()
        groups = np.full(ids.shape, SYSTEM, dtype=np.int8)
        groups[self.role_positions(inputs, i, prompt, "user", sample.id)] = QUESTION
        groups[ids == self.image_token_id] = IMAGE
        groups[inputs["attention_mask"][i].numpy() == 0] = PADDING
        tokens = int((groups == IMAGE).sum())
        if not tokens:
            raise NoImageTokens(id=sample.id)
        sizes = [pictures[index].size for index in prompt.images]
        grids = self.grids(inputs, sample, sizes, tokens)
        renumbered = (Grid(prompt.images[g.image], g.rows, g.columns, g.start, g.box) for g in grids)
        return groups, tuple(renumbered)

    def role_positions(self, inputs: BatchFeature, i: int, prompt: Prompt, role: str, id: str = "") -> np.ndarray:
        """Which positions of row `i` hold words of the texts of `role` in `prompt`."""
        mine = np.zeros(len(prompt.text), dtype=np.int64)
        for span in prompt.spans:
            if span.role == role:
                text = prompt.text[span.start : span.stop]
                start = span.start + len(text) - len(text.lstrip())
                mine[start : start + len(text.strip())] = 1
        before = np.concatenate([[0], np.cumsum(mine)])
        starts, ends = self.character_spans(inputs, i, prompt.text, id).T
        return np.flatnonzero(before[ends] > before[starts])

    def character_spans(self, inputs: BatchFeature, i: int, text: str, id: str = "") -> np.ndarray:
        """The characters [start, end) of `text` that each position of row `i` covers [K, 2].

        (0, 0) where a position covers none: padding, image tokens, tokens that the tokenizer adds.
        """
        encoded = self.processor.tokenizer(
            text, add_special_tokens=self.adds_specials(text), return_offsets_mapping=True
        )
        short, offsets = np.array(encoded["input_ids"]), np.array(encoded["offset_mapping"]).reshape(-1, 2)
        ids = inputs["input_ids"][i].numpy()
        real = np.flatnonzero(inputs["attention_mask"][i].numpy())
        # The processor has replaced every image marker by its tokens: what is left on both sides must agree.
        kept, short_kept = real[~np.isin(ids[real], self.expansion_ids)], ~np.isin(short, self.expansion_ids)
        if not np.array_equal(ids[kept], short[short_kept]):
            raise PromptMismatch(id=id)
        spans = np.zeros((len(ids), 2), dtype=np.int64)
        spans[kept] = offsets[short_kept]
        return spans

    def language_model(self, model: torch.nn.Module) -> str:
        return self._part(model, self.language_model_name)

    def projector(self, model: torch.nn.Module) -> str:
        return self._part(model, self.projector_name)

    def tower(self, model: torch.nn.Module) -> str:
        return self._part(model, self.tower_name)

    def lora_targets(self, model: torch.nn.Module, projector: bool = True, tower: bool = False) -> list[str]:
        """Full names of the linear modules to adapt: decoder layers, projector and vision tower; never the head."""
        parts = [f"{self.language_model(model)}.layers."]
        if projector:
            parts.append(f"{self.projector(model)}.")
        if tower:
            parts.append(f"{self.tower(model)}.")
        return [
            name
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and name.startswith(tuple(parts))
        ]

    def _part(self, model: torch.nn.Module, name: str) -> str:
        if name not in dict(model.named_modules()):
            raise NoSuchModule(name=name)
        return name
