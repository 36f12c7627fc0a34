"""The interface of a loaded vision-language model, for stages that may not import `bye_core.models`.

Tensors, devices and data types are `Any` here, because this module does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from bye_core.errors import ByeError
from bye_core.records import Grid, Sample, Turn

# The device of a model whose layers are spread over all GPUs of this machine.
ALL_GPUS = "gpus"

# The RGB images of one sample, in the sample's order.
Images = Sequence[Image.Image]
Samples = Sequence[Sample]
ImagesOfSamples = Sequence[Images]
OpenImages = Callable[[Sample], list[Image.Image]]


@dataclass(frozen=True)
class PixelLimits:
    """Least and most pixels to which a processor resizes an image; 0 keeps the setting of the model's folder."""

    min_pixels: int = 0
    max_pixels: int = 0

    def __bool__(self) -> bool:
        return bool(self.min_pixels or self.max_pixels)

    def or_else(self, other: PixelLimits) -> PixelLimits:
        """Return these limits, with each one that is 0 taken from `other`."""
        return PixelLimits(self.min_pixels or other.min_pixels, self.max_pixels or other.max_pixels)


UNLIMITED = PixelLimits()


@dataclass(frozen=True)
class Span:
    """The characters [start, stop) of a prompt that hold one text of a turn with this `role`."""

    role: str
    start: int
    stop: int


@dataclass(frozen=True)
class Prompt:
    """The text of a prompt, the spans of the sample's texts in it, and the indices of the images in prompt order."""

    text: str
    spans: tuple[Span, ...]
    images: tuple[int, ...]


@dataclass(frozen=True)
class EncodedBatch:
    """B samples and `inputs`, the processor's tensors for them on the CPU (a transformers BatchFeature)."""

    samples: Sequence[Sample]
    inputs: Any


Batch = TypeVar("Batch", bound=EncodedBatch)
Result = TypeVar("Result")
Encode = Callable[[Samples, ImagesOfSamples], Batch]
Forward = Callable[[Batch], list[Result]]


class ModelFamily(Protocol):
    """Prompts, token positions and module names of one model family; see bye_core.models.families.base.Family."""

    processor: Any
    config: Any
    image_token: str
    tower_name: str
    needs_model: bool

    @property
    def answer_keeps_rows(self) -> bool: ...

    @property
    def layers(self) -> tuple[int, ...]: ...

    @property
    def token_limit(self) -> int | None: ...

    def chat(self, turns: Sequence[Turn], generation: bool) -> str: ...

    def render(self, turns: Sequence[Turn], generation: bool) -> Prompt: ...

    def question(self, sample: Sample) -> Prompt: ...

    def through_answer(self, sample: Sample) -> Prompt: ...

    def encode(self, texts: Sequence[str], images: Sequence[Images], padding_side: str = "left") -> Any: ...

    def encode_questions(self, samples: Sequence[Sample], images: Sequence[Images]) -> Any: ...

    def append_answers(self, inputs: Any, answers: Sequence[Sequence[int]]) -> Any: ...

    def check_lengths(self, samples: Sequence[Sample], inputs: Any) -> None: ...

    def adds_special_tokens(self, text: str) -> bool: ...

    def token_groups(
        self, inputs: Any, row: int, sample: Sample, images: Images
    ) -> tuple[np.ndarray, tuple[Grid, ...]]: ...

    def character_spans(self, inputs: Any, row: int, text: str, id: str = "") -> np.ndarray: ...

    def has_fused_experts(self, model: Any) -> bool: ...

    def lora_targets(self, model: Any, projector: bool = True, tower: bool = False) -> list[str]: ...


class VisionLanguageModel(Protocol):
    """A model on its device, in eval mode; see bye_core.models.loading.LoadedModel."""

    @property
    def model(self) -> Any: ...

    @property
    def base(self) -> Any: ...

    @property
    def processor(self) -> Any: ...

    @property
    def family(self) -> ModelFamily: ...

    @property
    def device(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def knows_before(self) -> bool: ...

    def before_fine_tuning(self) -> AbstractContextManager[VisionLanguageModel]: ...

    def run_batch(
        self, samples: Samples, images: ImagesOfSamples, encode: Encode[Batch], forward: Forward[Batch, Result]
    ) -> list[Result | ByeError]: ...


def layers_with_rows(config: Any) -> tuple[int, ...]:
    """Return the decoder layers of a text config that compute attention rows; linear and recurrent layers do not."""
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return tuple(n for n, kind in enumerate(kinds) if kind.endswith("attention") and not kind.startswith("linear"))
