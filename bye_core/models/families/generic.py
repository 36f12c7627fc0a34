"""Any other decoder-style model type that transformers knows: its facts come from its config, modules and processor.

The grid of its image tokens is measured: see `measured_layout.py`. Without a grid, scans and detection work, and the
app shows the attention as a strip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bye_core.model_protocol import Images, layers_with_rows
from bye_core.models.errors import PromptMismatch, UnknownGeometry, UnreadableArchitecture
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import Box, seen_box
from bye_core.models.families.layouts import Expansion, image_boxes, layouts
from bye_core.models.families.measured_layout import best_layout, changes, image_features
from bye_core.models.families.parts import find_parts, skeleton
from bye_core.records import Grid, Sample, Turn

if TYPE_CHECKING:
    import torch
    from transformers import BatchFeature

# Model types whose config does not show why the tool cannot read them.
UNREADABLE = {
    "diffusion_gemma": "it writes its answer by diffusion, not token after token.",
    "evolla": "it reads proteins, not images.",
    "instructblipvideo": "it reads videos, not images.",
    "mistral4": "it reads no images.",
    "pi0": "it answers with movements of a robot, not with text.",
}
# Types that run the tiles of all images as one row: `pixel_values` [1, all tiles, 3, height, width].
JOINED_TILES = ("perception_lm",)
REPLACED = "text_replacement_offsets"
PROBE_SIZE = (64, 48)
# Entries of a processor's output that count the rows and columns of patches of each image.
PATCH_COUNTS = ("image_grid_thw", "image_grid_hws", "spatial_shapes")
# Images whose width / height differ by less than a factor of 2 ** (1 / PROPORTIONS) share a measured layout (ours).
PROPORTIONS = 4
# After this number of images for which no layout was found, no more are measured (ours).
MOST_UNKNOWN = 16


def check_architecture(config: Any) -> None:
    """Check that a config describes a decoder that sees image tokens. Raises: UnreadableArchitecture if it does not."""
    text = config.get_text_config()
    reason = UNREADABLE.get(config.model_type)
    if config.is_encoder_decoder:
        reason = "it is an encoder-decoder: no image token is among the tokens that its answer attends to."
    elif reason is None and not hasattr(config, "image_token_id"):
        reason = "its images are not tokens among the text that its answer attends to."
    elif reason is None and not layers_with_rows(text):
        kinds = ", ".join(sorted(set(text.layer_types)))
        reason = f"its layers are of type {kinds}, which have no attention rows."
    if reason:
        raise UnreadableArchitecture(model_type=config.model_type, reason=reason)


class GenericFamily(Family):
    """A family whose facts belong to one model: names from the structure of its modules, layout from its processor."""

    model_types = ()
    needs_model = True
    causal = False  # not known: it may see its questions in both directions

    def __init__(self, processor: Any, config: Any) -> None:
        self.parts = find_parts(skeleton(config))
        self.name = config.model_type
        self.language_model_name = self.parts.language_model
        self.projector_name, *more = self.parts.projectors or ("",)
        self.more_projector_names = tuple(more)
        self.tower_name = next(iter(self.parts.towers), "")
        self.head_name = self.parts.head
        self.model: Any = None
        self.rules: dict[tuple, list[tuple]] = {}
        self.unknown: set[tuple] = set()
        self.counted: dict[str, int] = {}
        super().__init__(processor, config)
        # Some templates write another marker than the token that the processor repeats.
        self.image_token = getattr(processor, "image_placeholder_token", None) or self.image_token
        self.flat_images = self._takes_flat_images()
        if not self.processor_options:
            self.expansion_ids = np.append(self.expansion_ids, self._layout_ids())

    def prepare(self) -> None:
        tokenizer = self.processor.tokenizer
        if getattr(self.processor, "image_token", None) is None:
            self.processor.image_token = tokenizer.convert_ids_to_tokens(self.config.image_token_id)
        if self.config.image_token_id is None:
            self.config.image_token_id = tokenizer.convert_tokens_to_ids(self.processor.image_token)

    def attach(self, model: torch.nn.Module) -> None:
        self.model = model
        if model is not None:
            super().attach(model)

    def process(self, texts: Sequence[str], images: Sequence[Images], padding_side: str) -> BatchFeature:
        """Call the processor, which cannot stack images with different numbers of tiles; JOINED_TILES need no stack."""
        if self.name not in JOINED_TILES or not any(images):
            return super().process(texts, images, padding_side)
        from torch import as_tensor, cat
        from transformers import BatchFeature

        made = dict(self.call_processor(texts, images, padding_side, tensors=None))
        tiles = cat([as_tensor(own) for own in made.pop("pixel_values")]).unsqueeze(0)
        replaced = made.pop(REPLACED)
        return BatchFeature({**BatchFeature(made, tensor_type="pt"), "pixel_values": tiles, REPLACED: replaced})

    def with_replacements(self, inputs: BatchFeature, images: Sequence[Images]) -> BatchFeature:
        """Keep what the processor wrote in place of each image marker, as the processor reports it."""
        reported = inputs.pop(REPLACED, None)
        if reported:
            inputs.replacements = [[own["replacement"] for own in row if own["type"] == "image"] for row in reported]
        return inputs

    @property
    def processor_options(self) -> dict[str, Any]:
        from transformers import ProcessorMixin

        reports = type(self.processor).replace_image_token is not ProcessorMixin.replace_image_token
        return {"return_text_replacement_offsets": True} if reports else {}

    def _takes_flat_images(self) -> bool:
        """Return whether the processor takes one list of all images; false: it takes one list for each sample."""
        texts = [self.image_token] * 2
        images = [[Image.new("RGB", PROBE_SIZE)] for _ in texts]
        for flat in (True, False):
            self.flat_images = flat
            try:
                self.encode(texts, images)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError):
                continue
            return flat
        return True

    def _layout_ids(self) -> np.ndarray:
        """Return the tokens that the processor adds around the image tokens, if it does not report them."""
        inputs = self.encode([self.image_token], [[Image.new("RGB", PROBE_SIZE)]])
        known = self.processor.tokenizer(self.image_token)["input_ids"]
        return np.setdiff1d(inputs["input_ids"][0].numpy(), [*known, self.image_token_id])

    def check_shape(self, image: Image.Image) -> None:
        """Accept shapes whose resizing rule is not known."""
        try:
            super().check_shape(image)
        except (UnknownGeometry, AttributeError, TypeError):
            return

    def character_spans(self, inputs: BatchFeature, row: int, text: str, id: str = "") -> np.ndarray:
        """Return the spans as the base class does; those of the closest alignment if the processor changes the text."""
        try:
            return super().character_spans(inputs, row, text, id)
        except PromptMismatch:
            if self.processor_options:
                raise
        encoded = self.processor.tokenizer(
            text, add_special_tokens=self.adds_special_tokens(text), return_offsets_mapping=True
        )
        ids, real = inputs["input_ids"][row].numpy(), np.flatnonzero(inputs["attention_mask"][row].numpy())
        spans = np.zeros((len(ids), 2), dtype=np.int64)
        offsets = encoded["offset_mapping"]
        alike = SequenceMatcher(None, encoded["input_ids"], ids[real].tolist(), autojunk=False)
        for kind, start, stop, first, last in alike.get_opcodes():
            if kind == "equal":
                spans[real[first:last]] = offsets[start:stop]
            elif kind == "replace":
                spans[real[first:last]] = offsets[start][0], offsets[stop - 1][1]
        spans[np.isin(ids, self.expansion_ids)] = 0
        return spans

    def token_groups(
        self, inputs: BatchFeature, row: int, sample: Sample, images: Images
    ) -> tuple[np.ndarray, tuple[Grid, ...]]:
        return super().token_groups(self._one_row(inputs, row), 0, sample, images)

    def _one_row(self, inputs: BatchFeature, row: int) -> BatchFeature:
        """Return the tokens of one sample, with the patch counts and the pixel size of its own images."""
        from transformers import BatchFeature

        own = BatchFeature({key: inputs[key][row : row + 1] for key in ("input_ids", "attention_mask")})
        replaced = getattr(inputs, "replacements", None)
        pixels = inputs.get("pixel_values")
        # Pixel values are pictures of height x width, or a list of patches.
        own.seen = tuple(reversed(pixels.shape[-2:])) if getattr(pixels, "ndim", 0) >= 4 else None
        own.patches = None
        if replaced is not None:
            own.replacements = [replaced[row]]
            start, images = sum(map(len, replaced[:row])), sum(map(len, replaced))
            counts = next((inputs[key] for key in PATCH_COUNTS if key in inputs), None)
            if counts is not None and len(counts) == images:
                own.patches = [tuple(map(int, count[-2:])) for count in counts[start : start + len(replaced[row])]]
        return own

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        found, start = [], 0
        for number, runs in enumerate(self._runs(inputs, len(sizes))):
            patches = inputs.patches[number] if inputs.patches else None
            expansion = Expansion(sizes[number], runs, patches, self._boxes(sizes[number], inputs.seen))
            for grid in self._layout(expansion, images=len(sizes)):
                found.append(replace(grid, image=number, start=start + grid.start))
            start += sum(runs)
        return found

    def _runs(self, inputs: BatchFeature, images: int) -> list[tuple[int, ...]]:
        """Return, for each image, the numbers of image tokens between layout tokens; empty if they are not known."""
        positions = np.flatnonzero(inputs["input_ids"][0].numpy() == self.image_token_id)
        replacements = getattr(inputs, "replacements", None)
        if replacements is not None:
            counts = [self._image_tokens(text) for text in replacements[0]]
        else:
            counts = [len(positions) // images] * images
        if sum(counts) != len(positions) or not all(counts):
            return []
        parts = np.split(positions, np.cumsum(counts)[:-1])
        return [tuple(map(len, np.split(part, np.flatnonzero(np.diff(part) > 1) + 1))) for part in parts]

    def _image_tokens(self, text: str) -> int:
        """Return the number of image tokens in a text; the marker of an image may be another token."""
        if text not in self.counted:
            ids = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
            self.counted[text] = ids.count(self.image_token_id)
        return self.counted[text]

    def _boxes(self, size: tuple[int, int], seen: tuple[int, int] | None) -> dict[str, Box]:
        try:
            box = seen_box(self.processor.image_processor, size, seen) if seen else None
        except (UnknownGeometry, AttributeError, TypeError):
            box = None
        return image_boxes(size, box)

    def _layout(self, expansion: Expansion, images: int) -> list[Grid]:
        """Return the grids of an image with a measured layout; none if no layout agrees with the measurement."""
        options = layouts(expansion)
        width, height = expansion.size
        key = (round(PROPORTIONS * math.log2(width / height)), expansion.patches is not None)
        known = next((rule for rule in self.rules.get(key, ()) if rule in options), None)
        if known is not None:
            return options[known]
        layout = (*key, expansion.runs, expansion.patches)
        if self.model is None or layout in self.unknown or len(self.unknown) >= MOST_UNKNOWN:
            return []
        change = changes(partial(self._features, images=images), expansion)
        rule = None if change is None else best_layout(options, change, expansion.size)
        if rule is None:
            self.unknown.add(layout)
            return []
        self.rules.setdefault(key, []).append(rule)
        return options[rule]

    def _features(self, image: Image.Image, images: int) -> torch.Tensor | None:
        """Return the features of the tokens of `image`, the first of `images` alike images of one prompt: [V, D]."""
        prompt = self.render((Turn("user", (*range(images), "?")),), generation=True)
        inputs = self.encode([prompt.text], [[image] * images])
        weights = next(self.model.get_submodule(self.language_model_name).parameters())
        features = image_features(
            self.model, self.language_model_name, inputs.to(weights.device, weights.dtype), self.image_token_id
        )
        return None if features is None else features[: len(features) // images]
