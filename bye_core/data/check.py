"""Checks every sample before a scan: are its images readable, and do its texts hold anything unusual?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bye_core.data.dataset import DataSet
from bye_core.data.faults import ControlToken, LongText, StrayMarker, TinyImage, sample_fault
from bye_core.errors import DataError
from bye_core.records import Fault, Sample

LONG_TEXT = 20_000  # characters, about 5000 tokens: more than the context of most fine-tuning runs (ours)
TINY_SIDE = 2  # pixels; an image with a shorter side shows nothing (ours)

# Image markers and control tokens in the chat templates of the supported model families.
_MARKERS = re.compile(r"<image>|</?img>|<video>|<image_soft_token>|<IMG_CONTEXT>")
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
    r"|<end_of_utterance>|<fake_token_around_image>|\b(?:USER|ASSISTANT):"
)


def check_samples(dataset: DataSet) -> Iterator[tuple[Sample, tuple[Fault, ...]]]:
    """Yield every sample with the faults of its texts and images. A sample with a fatal fault cannot be scanned.

    Faults of records that did not become samples are in `dataset.faults`.
    """
    for sample in dataset.samples:
        yield sample, (*text_faults(sample), *image_faults(dataset, sample))


def text_faults(sample: Sample) -> Iterator[Fault]:
    """Yield the texts that could shift image tokens or fake a speaker. None of these faults is fatal."""
    for turn in sample.turns:
        text = turn.text
        if len(text) > LONG_TEXT:
            yield sample_fault(sample, LongText(role=turn.role, length=len(text)))
        if match := _MARKERS.search(text):
            yield sample_fault(sample, StrayMarker(role=turn.role, token=match.group()))
        if match := _CONTROL.search(text):
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
