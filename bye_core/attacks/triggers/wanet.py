"""WaNet (Nguyen and Tran, 2021): one smooth elastic warp, the same for all samples.

As in the authors' code, a random flow of `grid` x `grid` vectors is uniform in -1..1 and divided by its mean absolute
value. The flow is upsampled bicubically, and the image is sampled bilinearly at the shifted positions. The authors
shift the pixels of 32 x 32 images by a quarter of a pixel on average (0.008 of the side). Our default shift is larger,
so that it survives the resizing by a model's processor. It is a share of the shorter side, so that the warp is the same
at every image size.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from PIL import Image

from bye_core.attacks.triggers.base import FullImageTrigger
from bye_core.attacks.triggers.settings import number


@dataclass(frozen=True)
class WaNet(FullImageTrigger):
    name = "wanet"
    description = "a fixed smooth warp"

    strength: float = number(0.02, "mean shift along each axis / shorter side (WaNet: 0.008)", above=0, most=0.5)
    grid: int = number(4, "vectors of the random flow along each side (WaNet: 4)", least=2, most=64)
    pattern: int = number(0, "seed of the random flow", least=0, most=2**32 - 1)

    def flow(self, width: int, height: int) -> np.ndarray:
        """Return the shifts [2, height, width] in pixels: index 0 downwards, index 1 to the right."""
        coarse = np.random.default_rng(self.pattern).uniform(-1, 1, (2, self.grid, self.grid)).astype(np.float32)
        coarse /= np.abs(coarse).mean()
        smooth = [Image.fromarray(part).resize((width, height), Image.Resampling.BICUBIC) for part in coarse]
        return np.stack([np.asarray(part) for part in smooth]) * self.strength * min(width, height)

    def change(self, pixels):
        height, width, _ = pixels.shape
        positions = np.indices((height, width), np.float32) + self.flow(width, height)
        channels = [scipy.ndimage.map_coordinates(pixels[..., c], positions, order=1, mode="nearest") for c in range(3)]
        return np.stack(channels, axis=-1)


TRIGGERS = (WaNet,)
