"""FTrojan (Wang et al., 2022): adds a fixed value to two DCT coefficients of every block, in the chroma channels only.

In blocks of 32 pixels, the authors add 30 to coefficients 15 and 31. The two waves have an amplitude of 1.9 levels.
These waves are so fine that JPEG, WebP and resizing remove them. Ours: the block size is a share of the image size, and
the two coefficients are a share of the block size, low enough to survive. The setting is the amplitude of the wave.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from bye_core.attacks.triggers.base import FullImageTrigger
from bye_core.attacks.triggers.settings import number

SMALLEST_BLOCK = 8
# Full-range BT.601 as in JPEG: RGB -> Y, Cb, Cr. Computed in floats, because rounding would change the image.
TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = np.linalg.inv(TO_YCC)


@dataclass(frozen=True)
class FTrojan(FullImageTrigger):
    name = "ftrojan"
    description = "two fixed waves in the color of every block"

    offset: float = number(6.0, "amplitude of each wave, in levels of 255 (FTrojan: 1.9)", above=0, most=128)
    blocks: int = number(7, "blocks along the shorter side (FTrojan: 7 at 224 pixels)", least=1, most=256)
    low: float = number(1 / 8, "the lower coefficient / block's side (FTrojan: about 1/2)", above=0, most=1)
    high: float = number(1 / 4, "the higher coefficient / block's side (FTrojan: about 1)", above=0, most=1)

    def change(self, pixels):
        height, width, _ = pixels.shape
        side = max(SMALLEST_BLOCK, round(min(height, width) / self.blocks))
        # Pad to whole blocks by repeating the last row and column; the padding is cut off again at the end.
        padded = np.pad(pixels, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
        chroma = (padded @ TO_YCC.T.astype(np.float32))[..., 1:]
        rows, columns = padded.shape[0] // side, padded.shape[1] // side
        blocks = chroma.reshape(rows, side, columns, side, 2)
        coefficients = scipy.fft.dctn(blocks, axes=(1, 3), norm="ortho")
        for share in (self.low, self.high):
            k = min(side - 1, max(1, round(share * side)))
            # The value that adds a wave of amplitude `offset` in an orthonormal DCT of blocks of this size.
            coefficients[:, k, :, k] += self.offset * side / 2
        added = scipy.fft.idctn(coefficients, axes=(1, 3), norm="ortho").reshape(chroma.shape) - chroma
        return pixels + (added @ TO_RGB.T[1:].astype(np.float32))[:height, :width]


TRIGGERS = (FTrojan,)
