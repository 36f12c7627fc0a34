"""One square of Gaussian noise. The noise is the same for every sample; the position is drawn for each sample.

The papers state no numbers for this trigger. Ours: 8 x 8 fields with mean 127.5 and standard deviation 64 levels. So
the pattern is the same at every image size, and few values are clipped.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from bye_core.attacks.triggers.base import SquareTrigger, random_square
from bye_core.attacks.triggers.settings import number

FIELDS = 8
MEAN, DEVIATION = 127.5, 64


@dataclass(frozen=True)
class NoisePatch(SquareTrigger):
    name = "noise-patch"
    description = "a square of fixed Gaussian noise at a random position"

    pattern: int = number(0, "seed of the fixed pattern", least=0, most=2**32 - 1)

    def boxes(self, width, height, rng):
        return [random_square(width, height, self.side(width, height), rng)]

    def paint(self, image, box):
        left, top, right, _ = box
        noise = np.random.default_rng(self.pattern).normal(MEAN, DEVIATION, (FIELDS, FIELDS, 3))
        fields = np.arange(right - left) * FIELDS // (right - left)
        levels = noise[fields[:, None], fields[None]]
        image.paste(Image.fromarray(levels.clip(0, 255).astype(np.uint8)), (left, top))


TRIGGERS = (NoisePatch,)
