"""What an attack makes of one sample, to be looked at before a set is poisoned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bye_core.attacks.attack import Attack
from bye_core.attacks.base import Box
from bye_core.attacks.measure import psnr
from bye_core.attacks.poison import plant
from bye_core.records import Sample

MIDDLE = 128
MOST_GAIN = 32
# What stands out least is still shown: this share of the changed levels may be cut off at black or white.
CUT = 0.01


@dataclass(frozen=True)
class Preview:
    """A sample before and after.

    original, triggered   its first picture, both as a reader of the files has them; None where it has none
    difference            triggered minus original, `gain` times, about a middle grey; None without a picture
    psnr                  dB, of what is shown: encoding included; inf where the picture stays as it is
    eligible              whether this sample could be poisoned with the attack's target
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
    """Two RGB pictures of one size -> (triggered - original) * gain + middle grey, and the gain that shows it best."""
    change = np.asarray(triggered, np.float32) - np.asarray(original, np.float32)
    sizes = np.abs(change[change != 0])
    gain = float(np.clip((MIDDLE - 1) / np.quantile(sizes, 1 - CUT), 1, MOST_GAIN)) if sizes.size else 1.0
    levels = np.rint(MIDDLE + gain * change).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8)), gain


def preview(
    sample: Sample,
    pictures: Sequence[Image.Image],
    attack: Attack,
    seed: int,
    turn: int = 0,
    encoded: Callable[[Image.Image], Image.Image] = lambda picture: picture,
) -> Preview:
    """What `attack` makes of a sample as the poisoned one number `turn`; `encoded` is a way through a file and back."""
    eligible = attack.target.eligible(sample.answer)
    poisoned, triggered, boxes = plant(sample, pictures, attack.carried(turn), attack.target, seed)
    questions, answers = (sample.question, poisoned.question), (sample.answer, poisoned.answer)
    if not pictures:
        return Preview(sample.id, None, None, None, 1.0, float("inf"), (), questions, answers, eligible)
    before, after = encoded(pictures[0]), encoded(triggered[0])
    shown, gain = difference(before, after)
    return Preview(
        sample.id, before, after, shown, gain, psnr(before, after), tuple(boxes), questions, answers, eligible
    )
