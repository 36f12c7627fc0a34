"""Shows what an attack does to one sample, before a data set is poisoned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bye_core.attacks.attack import Attack
from bye_core.attacks.measure import psnr
from bye_core.attacks.poison import poison_sample
from bye_core.attacks.triggers.base import Box
from bye_core.records import Sample

MIDDLE = 128
MOST_GAIN = 32
CLIPPED = 0.01  # share of the changed values that the gain may clip to black or white (ours)


@dataclass(frozen=True)
class Preview:
    """A sample before and after poisoning.

    original    its first image before poisoning, encoded and decoded; None if it has no image
    triggered   its first image after poisoning, encoded and decoded; None if it has no image
    difference  (triggered - original) * gain + middle grey; None if it has no image
    psnr        peak signal-to-noise ratio of both images in dB; inf if the image is unchanged
    boxes       where the triggers are in the image
    questions   (before, after)
    answers     (before, after)
    eligible    whether the target and the triggers allow poisoning this sample
    """

    id: str
    original: Image.Image | None
    triggered: Image.Image | None
    difference: Image.Image | None
    gain: float
    psnr: float
    boxes: tuple[Box, ...]
    questions: tuple[str, str]
    answers: tuple[str, str]
    eligible: bool


def difference(original: Image.Image, triggered: Image.Image) -> tuple[Image.Image, float]:
    """Return (difference image, gain) for two RGB images of the same size.

    The difference image is (triggered - original) * gain + middle grey; the gain is chosen so that small changes are
    visible.
    """
    change = np.asarray(triggered, np.float32) - np.asarray(original, np.float32)
    sizes = np.abs(change[change != 0])
    gain = float(np.clip((MIDDLE - 1) / np.quantile(sizes, 1 - CLIPPED), 1, MOST_GAIN)) if sizes.size else 1.0
    levels = np.rint(MIDDLE + gain * change).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8)), gain


def preview(
    sample: Sample,
    images: Sequence[Image.Image],
    attack: Attack,
    seed: int,
    turn: int = 0,
    encode: Callable[[Image.Image], Image.Image] = lambda image: image,
) -> Preview:
    """Return how `sample` would look as the poisoned sample number `turn` of `attack`.

    `encode` encodes an image as a file and decodes it again. Raises: BadSeed if `seed` is negative.
    """
    target = attack.target_of(turn)
    eligible = target.eligible(sample) and attack.fits(sample, turn)
    poisoned, triggered, boxes = poison_sample(sample, images, attack.triggers_of(turn), target, seed)
    questions, answers = (sample.question, poisoned.question), (sample.answer, poisoned.answer)
    if not images:
        return Preview(sample.id, None, None, None, 1.0, float("inf"), (), questions, answers, eligible)
    before, after = encode(images[0]), encode(triggered[0])
    shown, gain = difference(before, after)
    return Preview(
        sample.id, before, after, shown, gain, psnr(before, after), tuple(boxes), questions, answers, eligible
    )
