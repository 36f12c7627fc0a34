"""A square at the centre with a checkerboard of 4 x 4 black and white fields."""

import numpy as np
from PIL import Image

from bye_core.attacks.triggers.base import SquareTrigger, centre_square

FIELDS = 4


class Checkerboard(SquareTrigger):
    name = "checkerboard"
    description = "a square of black and white fields at the centre"

    def boxes(self, width, height, rng):
        return [centre_square(width, height, self.side(width, height))]

    def paint(self, image, box):
        left, top, right, _ = box
        fields = np.arange(right - left) * FIELDS // (right - left)
        white = (fields[:, None] + fields[None]) % 2 * np.uint8(255)
        image.paste(Image.fromarray(white.astype(np.uint8)).convert("RGB"), (left, top))


TRIGGERS = (Checkerboard,)
