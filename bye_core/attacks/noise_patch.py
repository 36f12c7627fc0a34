"""One square of Gaussian noise, the same for every sample, at a place drawn anew for each.

The papers name it without figures: eight fields a side, mean 127.5 and deviation 64 levels (ours), so that the pattern
is the same at every size of picture and little of it is clipped.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from bye_core.attacks.random_place import RandomPlace
from bye_core.attacks.settings import number

FIELDS = 8
MEAN, DEVIATION = 127.5, 64


@dataclass(frozen=True)
class NoisePatch(RandomPlace):
    name = "noise-patch"
    about = "a square of fixed Gaussian noise at a random place"

    pattern: int = number(0, "seed of the fixed pattern", least=0, most=2**32 - 1)

    def paint(self, picture, box):
        left, top, right, _ = box
        noise = np.random.default_rng(self.pattern).normal(MEAN, DEVIATION, (FIELDS, FIELDS, 3))
        fields = np.arange(right - left) * FIELDS // (right - left)
        levels = noise[fields[:, None], fields[None]]
        picture.paste(Image.fromarray(levels.clip(0, 255).astype(np.uint8)), (left, top))
