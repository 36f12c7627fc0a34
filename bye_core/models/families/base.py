"""The base class of model families: prompt, groups of tokens, grid of each image, names of modules.

Loads no torch, so that data checks can read the markers that each family declares.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bye_core.model_protocol import Images, Prompt, layers_with_rows
from bye_core.models.chat import Chat
from bye_core.models.errors import (
    ElongatedPicture,
    ImageCount,
    NoImageTokens,
    NoQuestion,
    PromptMismatch,
    PromptTooLong,
)
from bye_core.models.families.answers import append_columns, scales_with_length
from bye_core.models.families.corrections import CORRECTIONS
from bye_core.models.families.geometry import padded_size, resized_size
from bye_core.models.families.lora import has_fused_experts, linear_modules
from bye_core.models.families.spans import expand, role_characters
from bye_core.records import IMAGE, QUESTION, SYSTEM, Grid, Sample, Turn

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import BatchFeature

# The group of a padding position, in addition to records.SYSTEM, IMAGE and QUESTION.
PADDING = -1
# Processors resize before they crop, so a 1 x 20000 image would take gigabytes. At 336 pixels, 64 megapixels allow an
# aspect ratio of 570 (ours).
MAX_RESIZED_PIXELS = 64_000_000


class Family(ABC):
    """Describes one model family by class attributes. A subclass defines `grids` and overrides only what differs.

    If the family splits images into tiles, `grids` returns one grid per tile or one for the mosaic of all tiles, and
    one with `overview` for a thumbnail of the whole image. Image tokens outside all grids, such as row ends, still
    count in the V axis. If the processor adds separator tokens, `layout_tokens` lists them. If only
    some layers attend to image tokens (cross attention), the subclass overrides `layers`.
    """

    name: str
    # Values of `model_type` in config.json.
    model_types: ClassVar[tuple[str, ...]]
    # Values of `model_type` of the vision tower, if only models with such a tower belong to the family.
    tower_types: ClassVar[tuple[str, ...]] = ()
    # Regular expressions of the strings in place of images, of role tags and of control tokens in this family's chat
    # templates. Data checks warn about texts that match one.
    image_markers: ClassVar[tuple[str, ...]] = ()
    chat_markers: ClassVar[tuple[str, ...]] = ()
    # Full names of modules. They are facts of the family, or of one model if its family is the generic one.
    language_model_name: str
    projector_name: str
    more_projector_names: tuple[str, ...] = ()
    tower_name: str
    head_name: str
    # Texts other than the image token that the processor adds to the prompt for an image.
    layout_tokens: ClassVar[tuple[str, ...]] = ()
    # Chat template of the family if its checkpoints have none; it replaces a checkpoint's own.
    template: ClassVar[str | None] = None
    # See Chat.
    empty_thought: ClassVar[str] = ""
    # Whether the processor bounds the size of an image whatever its shape, so that no shape fills the memory.
    bounds_size: bool = False
    # How many times the processor counts the pixels of an image between a least and a largest area; 0: it does not, or
    # has options for such areas.
    frames: ClassVar[int] = 0
    # Whether the processor takes one list of all images instead of one list per sample.
    flat_images: bool = False
    # Whether the attention of the last position of a question is the same if an answer follows; see answer_keeps_rows.
    causal: ClassVar[bool] = True
    # Whether the family uses the weights that `attach` hands over, so that no other process can encode for it.
    needs_model: bool = False
    # The value of `token_type_ids` at the tokens of an answer.
    answer_type: ClassVar[int] = 0

    def __init__(self, processor: Any, config: Any) -> None:
        self.processor = processor
        self.config = config
        self.prepare()
        if self.template is not None:
            processor.chat_template = self.template
        self.image_token: str = processor.image_token
        self.image_token_id: int = config.image_token_id
        layout_ids = processor.tokenizer.convert_tokens_to_ids(list(self.layout_tokens))
        self.expansion_ids = np.array([self.image_token_id, *layout_ids])
        self.conversation = Chat(processor, [self.image_token, *self.layout_tokens], self.empty_thought)

    def prepare(self) -> None:  # noqa: B027 - optional: most families have nothing to fill in
        """Copy settings that the processor of an old checkpoint lacks from the model's config."""

    @abstractmethod
    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        """Return the grids in which the image tokens of one sample are arranged.

        `tokens` is the number of image tokens of the sample. `sizes` holds the (width, height) of each image in prompt
        order; Grid.image is an index into `sizes`.
        """

    def attach(self, model: torch.nn.Module) -> None:
        """Receive the loaded model without the wrapper of peft, and correct it if its type needs that.

        A family may keep the model to measure something.
        """
        if correct := CORRECTIONS.get(self.config.model_type):
            correct(model)

    @property
    def processor_options(self) -> Mapping[str, Any]:
        """More options of each call of the processor."""
        return {}

    def replacement(self, size: tuple[int, int]) -> str | None:
        """Return the text that the processor writes in place of the marker of an image of `size` (width, height).

        None, the default, means: only image tokens and layout tokens. A family whose processor adds ordinary text, such
        as line breaks, overrides this method.
        """
        return None

    @property
    def layers(self) -> tuple[int, ...]:
        """The decoder layers with attention rows that have image tokens among their keys.

        All of them have the same keys, whose groups `token_groups` returns: the tokens of the prompt, or the image
        tokens if cross-attention layers read the image. Such a family overrides both. A layer whose window ends after
        the image counts too: its statistics are NaN for samples whose image it does not see.
        """
        return layers_with_rows(self.config.get_text_config())

    @property
    def token_limit(self) -> int | None:
        """The most tokens that the model accepts; None if its config names no limit."""
        return getattr(self.config.get_text_config(), "max_position_embeddings", None)

    @property
    def answer_keeps_rows(self) -> bool:
        """Whether the attention of the last position of a question is the same if an answer follows.

        It is not if the scale of the positions depends on the length of the whole sequence.
        """
        return self.causal and not scales_with_length(self.config.get_text_config())

    def chat(self, turns: Sequence[Turn], generation: bool) -> str:
        """Render `turns` with the chat template; `generation` adds the role tag that starts an answer."""
        return self.render(turns, generation).text

    def render(self, turns: Sequence[Turn], generation: bool) -> Prompt:
        """Return the prompt of `turns`: the text of `chat`, with the spans of the texts and the order of the images."""
        return self.conversation.render(turns, generation)

    def question(self, sample: Sample) -> Prompt:
        """Return the prompt up to the first answer, ending with the role tag that starts the answer.

        Raises: NoQuestion if no user turn comes before the first answer.
        """
        roles = [turn.role for turn in sample.turns]
        turns = sample.turns[: roles.index("assistant")] if "assistant" in roles else sample.turns
        if not any(turn.role == "user" for turn in turns):
            raise NoQuestion(id=sample.id)
        return self.render(turns, generation=True)

    def through_answer(self, sample: Sample) -> Prompt:
        """Return the prompt of the turns up to and including the first answer; of all turns if there is no answer."""
        roles = [turn.role for turn in sample.turns]
        end = roles.index("assistant") + 1 if "assistant" in roles else len(roles)
        return self.render(sample.turns[:end], generation=False)

    def prompt(self, sample: Sample) -> str:
        return self.question(sample).text

    def encode(self, texts: Sequence[str], images: Sequence[Images], padding_side: str = "left") -> BatchFeature:
        """Return the processor's tensors for the prompts, on the CPU; `images[i]` are RGB images in prompt order.

        Raises: ImageCount if the number of image markers in a prompt differs from the number of its images;
        ElongatedPicture if a resized image would not fit into memory.
        """
        for text, own in zip(texts, images, strict=True):
            if text.count(self.image_token) != len(own):
                raise ImageCount(markers=text.count(self.image_token), images=len(own))
            for image in own:
                self.check_shape(image)
        return self.with_replacements(self.process(texts, images, padding_side), images)

    def process(self, texts: Sequence[str], images: Sequence[Images], padding_side: str) -> BatchFeature:
        """Call the processor on checked prompts and images."""
        return self.call_processor(texts, images, padding_side, "pt")

    def call_processor(
        self, texts: Sequence[str], images: Sequence[Images], padding_side: str, tensors: str | None
    ) -> BatchFeature:
        """Return what the processor makes of prompts and images; `tensors`: their type, None for lists."""
        flat = [image for own in images for image in own]
        inputs: BatchFeature = self.processor(
            images=(flat if self.flat_images else [list(own) for own in images]) if flat else None,
            text=list(texts),
            padding=True,
            padding_side=padding_side,
            add_special_tokens=self.adds_special_tokens(texts[0]),
            return_tensors=tensors,
            **self.processor_options,
        )
        return inputs

    def with_replacements(self, inputs: BatchFeature, images: Sequence[Images]) -> BatchFeature:
        """Attach to `inputs` the text in place of each image marker, if it holds more than known tokens."""
        replacements = [[self.replacement(image.size) for image in own] for own in images]
        if any(text is not None for own in replacements for text in own):
            inputs.replacements = replacements
        return inputs

    def encode_questions(self, samples: Sequence[Sample], images: Sequence[Images]) -> BatchFeature:
        """Encode the samples' questions, padded on the left; `images[i]` are the images of `samples[i]`."""
        prompts = [self.question(sample) for sample in samples]
        shown = [[own[n] for n in prompt.images] for prompt, own in zip(prompts, images, strict=True)]
        return self.encode([prompt.text for prompt in prompts], shown, padding_side="left")

    def append_answers(self, inputs: BatchFeature, answers: Sequence[Sequence[int]]) -> BatchFeature:
        """Return the tensors of questions, padded on the left, with the tokens of `answers` in further columns.

        Raises: ValueError if the processor returned a tensor over all positions that this method does not know.
        """
        return append_columns(inputs, answers, self.processor.tokenizer.pad_token_id or 0, self.answer_type)

    def check_lengths(self, samples: Sequence[Sample], inputs: BatchFeature) -> None:
        """Check the number of tokens of each sample. Raises: PromptTooLong if one exceeds what the model accepts."""
        limit = self.token_limit
        for sample, tokens in zip(samples, inputs["attention_mask"].sum(dim=1).tolist(), strict=True):
            if limit and tokens > limit:
                raise PromptTooLong(id=sample.id, tokens=tokens, limit=limit)

    def adds_special_tokens(self, text: str) -> bool:
        """Return whether the tokenizer must add the start token: false if the template already put it into `text`."""
        start = self.processor.tokenizer.bos_token
        return not (start and text.startswith(start))

    def check_shape(self, image: Image.Image) -> None:
        """Check the shape of an image. Raises: ElongatedPicture if the resized image would not fit into memory."""
        if self.bounds_size:
            return
        image_processor = self.processor.image_processor
        width, height = resized_size(image_processor, *padded_size(image_processor, *image.size))
        if width * height > MAX_RESIZED_PIXELS:
            raise ElongatedPicture(width=image.width, height=image.height, new_width=width, new_height=height)

    def token_groups(
        self, inputs: BatchFeature, row: int, sample: Sample, images: Images
    ) -> tuple[np.ndarray, tuple[Grid, ...]]:
        """Return (groups, grids) of row number `row` of `inputs`, which encodes the question of `sample`.

        groups [K]  PADDING, or the index in records.GROUPS, of each key of `layers`; as in TCAP (arXiv 2601.21692),
                    role tags and special tokens count as system
        grids       the grids of the image tokens; Grid.image is an index into `images`, all images of the sample
        Raises: NoImageTokens if the row has no image token; PromptMismatch if the row does not match the question.
        """
        prompt = self.question(sample)
        ids = inputs["input_ids"][row].numpy()
        groups = np.full(ids.shape, SYSTEM, dtype=np.int8)
        groups[self.role_positions(inputs, row, prompt, "user", sample.id)] = QUESTION
        groups[ids == self.image_token_id] = IMAGE
        groups[inputs["attention_mask"][row].numpy() == 0] = PADDING
        tokens = int((groups == IMAGE).sum())
        if not tokens:
            raise NoImageTokens(id=sample.id)
        sizes = [images[index].size for index in prompt.images]
        grids = self.grids(inputs, sample, sizes, tokens)
        renumbered = (replace(grid, image=prompt.images[grid.image]) for grid in grids)
        return groups, tuple(renumbered)

    def role_positions(self, inputs: BatchFeature, row: int, prompt: Prompt, role: str, id: str = "") -> np.ndarray:
        """Return the positions, in row number `row` of `inputs`, of the tokens of all texts with this `role`."""
        before = np.concatenate([[0], np.cumsum(role_characters(prompt, role))])
        starts, ends = self.character_spans(inputs, row, prompt.text, id).T
        return np.flatnonzero(before[ends] > before[starts])

    def character_spans(self, inputs: BatchFeature, row: int, text: str, id: str = "") -> np.ndarray:
        """Return the characters [start, end) of `text` that each position of row number `row` covers: [K, 2].

        Padding, image tokens and tokens that the tokenizer adds get (0, 0). Raises: PromptMismatch if the tokens of the
        row are not those of `text`.
        """
        ids, real = inputs["input_ids"][row].numpy(), np.flatnonzero(inputs["attention_mask"][row].numpy())
        replacements = getattr(inputs, "replacements", None)
        expanded = None if replacements is None else expand(text, self.image_token, replacements[row])
        if replacements is not None and expanded is None:
            raise PromptMismatch(id=id)
        encoded = self.processor.tokenizer(
            expanded.text if expanded else text,
            add_special_tokens=self.adds_special_tokens(text),
            return_offsets_mapping=True,
        )
        spans = np.zeros((len(ids), 2), dtype=np.int64)
        known, offsets = np.array(encoded["input_ids"]), np.array(encoded["offset_mapping"]).reshape(-1, 2)
        if expanded is None:
            # The processor has replaced each image marker by its tokens; the remaining tokens of both sides must agree.
            kept = ~np.isin(known, self.expansion_ids)
            real, known, offsets = real[~np.isin(ids[real], self.expansion_ids)], known[kept], offsets[kept]
        if not np.array_equal(ids[real], known):
            raise PromptMismatch(id=id)
        spans[real] = expanded.original_spans(offsets) if expanded else offsets
        return spans

    def has_fused_experts(self, model: torch.nn.Module) -> bool:
        """Return whether the model has one parameter for all experts of a layer; LoRA leaves such experts unchanged."""
        return has_fused_experts(model)

    def lora_targets(self, model: torch.nn.Module, projector: bool = True, tower: bool = False) -> list[str]:
        """Return the full names of the linear modules to adapt with LoRA.

        These are the linear modules of the decoder layers, of the projector if `projector` is true, and of the vision
        tower if `tower` is true; never the output head. A projector inside the tower counts as projector only.
        In a model with fused experts (one parameter for all experts of a layer), all feed-forward layers stay frozen:
        attention and projector are adapted. Raises: NoSuchModule if the model lacks one of these parts.
        """
        projectors = (self.projector_name, *self.more_projector_names)
        parts = [f"{self.language_model_name}.layers", *projectors * projector, *(self.tower_name,) * tower]
        return linear_modules(model, parts, () if projector else projectors)
