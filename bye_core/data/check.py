"""Checks every sample before a scan: are its images readable, and do its texts hold anything unusual?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bye_core.data.dataset import DataSet
from bye_core.data.faults import ControlToken, LongText, StrayMarker, TinyImage, sample_fault
from bye_core.errors import DataError
from bye_core.records import Fault, Sample

LONG_TEXT = 20_000  # characters, about 5000 tokens: more than the context of most fine-tuning runs (ours)
TINY_SIDE = 2  # pixels; an image with a shorter side shows nothing (ours)

# Patterns of other models' chat templates: data sets made for them may still hold these strings.
_IMAGE_MARKERS = ("</?img>", "<video>", "<image_soft_token>", "<IMG_CONTEXT>")
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


def check_samples(dataset: DataSet, markers: Markers) -> Iterator[tuple[Sample, tuple[Fault, ...]]]:
    """Yield (sample, faults of its texts and images) for every sample. A sample with a fatal fault cannot be scanned.

    Records that did not become samples are not included; `dataset.faults` lists their faults.
    """
    for sample in dataset.samples:
        yield sample, (*text_faults(sample, markers), *image_faults(dataset, sample))


def text_faults(sample: Sample, markers: Markers) -> Iterator[Fault]:
    """Yield a fault for each text that could shift image tokens or fake a speaker. None of these faults is fatal."""
    for turn in sample.turns:
        text = turn.text
        if len(text) > LONG_TEXT:
            yield sample_fault(sample, LongText(role=turn.role, length=len(text)))
        if match := markers.image.search(text):
            yield sample_fault(sample, StrayMarker(role=turn.role, token=match.group()))
        if match := markers.chat.search(text):
            yield sample_fault(sample, ControlToken(role=turn.role, token=match.group()))


def image_faults(dataset: DataSet, sample: Sample) -> Iterator[Fault]:
    """Decode all images of the sample and yield their faults."""
    try:
        images = dataset.images(sample)
    except DataError as error:
        yield sample_fault(sample, error)
        return
    for name, image in zip(sample.images, images, strict=True):
        if min(image.size) < TINY_SIDE:
            yield sample_fault(sample, TinyImage(path=name, width=image.width, height=image.height))
