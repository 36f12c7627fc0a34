"""A centred square of black and white fields, four a side."""

import numpy as np
from PIL import Image

from bye_core.attacks.patch import Patch

FIELDS = 4


class Checkerboard(Patch):
    name = "checkerboard"
    about = "a square of black and white fields at the centre"

    def paint(self, picture, box):
        left, top, right, _ = box
        fields = np.arange(right - left) * FIELDS // (right - left)
        white = (fields[:, None] + fields[None]) % 2 * np.uint8(255)
        picture.paste(Image.fromarray(white.astype(np.uint8)).convert("RGB"), (left, top))
