"""Checks every sample before a scan: are its images readable, and do its texts hold anything unusual?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bye_core.data.dataset import DataSet
from bye_core.data.faults import ControlToken, LongText, StrayMarker, TinyImage, sample_fault
from bye_core.data.formats.contents import NUMBERED_MARKER
from bye_core.data.images import decode
from bye_core.errors import DataError
from bye_core.records import Fault, Sample

LONG_TEXT = 20_000  # characters, about 5000 tokens: more than the context of most fine-tuning runs (ours)
TINY_SIDE = 2  # pixels; an image with a shorter side shows nothing (ours)

# Patterns of other models' chat templates: data sets made for them may still hold these strings.
_IMAGE_MARKERS = ("</?img>", "<video>", "<image_soft_token>", "<IMG_CONTEXT>", NUMBERED_MARKER.pattern)
_CHAT_MARKERS = (
    r"<\|[^|<>\s]{1,40}\|>",
    "<(?:start|end)_of_turn>",
    "<(?:bos|eos)>",
    "<end_of_utterance>",
    "<fake_token_around_image>",
)


@dataclass(frozen=True)
class Markers:
    """Patterns of the strings that chat templates use as placeholders of images, as role tags or as control tokens."""

    image: re.Pattern[str]
    chat: re.Pattern[str]

    @classmethod
    def of(cls, image: Iterable[str], chat: Iterable[str]) -> Markers:
        """Combine the patterns of the supported model families with those of other models."""
        return cls(re.compile("|".join((*image, *_IMAGE_MARKERS))), re.compile("|".join((*chat, *_CHAT_MARKERS))))


def check_samples(
    dataset: DataSet, markers: Markers, images: bool = True, start: int = 0
) -> Iterator[tuple[Sample, Fault | None]]:
    """Yield every sample from number `start` on, with the fault of its texts and images, None if it has none.

    Opens images if `images` is set.

    A sample with a fatal fault cannot be scanned. Records that did not become samples are not included;
    `dataset.faults` lists their faults.
    """
    for sample in dataset.samples[start:]:
        errors = (*text_errors(sample, markers), *(image_errors(dataset, sample) if images else ()))
        yield sample, sample_fault(sample, *errors) if errors else None


def text_errors(sample: Sample, markers: Markers) -> Iterator[DataError]:
    """Yield an error for each text that could shift image tokens or fake a speaker. None of these errors is fatal."""
    for turn in sample.turns:
        text = turn.text
        if len(text) > LONG_TEXT:
            yield LongText(role=turn.role, length=len(text))
        if match := markers.image.search(text):
            yield StrayMarker(role=turn.role, token=match.group())
        if match := markers.chat.search(text):
            yield ControlToken(role=turn.role, token=match.group())


def image_errors(dataset: DataSet, sample: Sample) -> Iterator[DataError]:
    """Decode all images of the sample and yield their errors."""
    for k, name in enumerate(sample.images):
        try:
            image = decode(dataset.image_bytes(sample, k), name)
        except DataError as error:
            yield error
            continue
        if min(image.size) < TINY_SIDE:
            yield TinyImage(path=name, width=image.width, height=image.height)
