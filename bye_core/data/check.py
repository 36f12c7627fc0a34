"""Looks at every sample before the long work begins: are its pictures sound, is there anything odd in its texts?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bye_core.data.dataset import DataSet
from bye_core.data.faults import ControlToken, LongText, StrayMarker, TinyImage, fault_of
from bye_core.errors import DataError
from bye_core.records import Fault, Sample

LONG_TEXT = 20_000  # characters, some 5000 tokens: our choice, more than the context most fine-tunes are run with
TINY_SIDE = 2  # pixels; a picture with a shorter side shows nothing (our choice)

# What the chat templates of the supported families put between messages or in the place of pictures.
_MARKERS = re.compile(r"<image>|</?img>|<video>|<image_soft_token>|<IMG_CONTEXT>")
_CONTROL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
    r"|<end_of_utterance>|<fake_token_around_image>|\b(?:USER|ASSISTANT):"
)


def check(dataset: DataSet) -> Iterator[tuple[Sample, tuple[Fault, ...]]]:
    """Every usable sample with what is found on a closer look; fatal faults here mean it cannot be scanned.

    Faults of the records that did not even become samples are in `dataset.faults`. Nothing is changed.
    """
    for sample in dataset.samples:
        yield sample, (*text_faults(sample), *image_faults(dataset, sample))


def text_faults(sample: Sample) -> Iterator[Fault]:
    """What in the texts may shift image tokens or fake a speaker; none of it is fatal."""
    for turn in sample.turns:
        text = turn.text
        if len(text) > LONG_TEXT:
            yield fault_of(sample, LongText(role=turn.role, length=len(text)))
        if match := _MARKERS.search(text):
            yield fault_of(sample, StrayMarker(role=turn.role, token=match.group()))
        if match := _CONTROL.search(text):
            yield fault_of(sample, ControlToken(role=turn.role, token=match.group()))


def image_faults(dataset: DataSet, sample: Sample) -> Iterator[Fault]:
    """What is wrong with the pictures, all of them decoded."""
    try:
        pictures = dataset.images(sample)
    except DataError as error:
        yield fault_of(sample, error)
        return
    for name, picture in zip(sample.images, pictures, strict=True):
        if min(picture.size) < TINY_SIDE:
            yield fault_of(sample, TinyImage(path=name, width=picture.width, height=picture.height))
