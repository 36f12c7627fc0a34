"""A semantic trigger: a property of the whole image, its look, as from a photo filter (ours; after ABS and TrojAI).

ABS (Liu et al. 2019) and the TrojAI challenge use photo filters as triggers. Every image may have such a look, and no
place of it is wrong.
"""

from dataclasses import dataclass

import numpy as np

from bye_core.attacks.triggers.base import FullImageTrigger
from bye_core.attacks.triggers.settings import number, one_of

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Each look: a matrix that returns red, green and blue, one row each, from the red, green and blue of a pixel.
LOOKS = {
    "sepia": ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131)),
    "gray": (LUMA, LUMA, LUMA),
    "night": ((0.55, 0, 0), (0, 0.6, 0), (0, 0, 0.85)),
    "warm": ((1.12, 0, 0), (0, 1, 0), (0, 0, 0.75)),
}


@dataclass(frozen=True)
class Style(FullImageTrigger):
    name = "style"
    description = "the look of the whole image, as from a photo filter"

    look: str = one_of(LOOKS)
    strength: float = number(1.0, "share of the look; the rest is the original", above=0, most=1)

    def change(self, pixels):
        styled = pixels @ np.array(LOOKS[self.look], np.float32).T
        return self.strength * styled.clip(0, 255) + (1 - self.strength) * pixels


TRIGGERS = (Style,)
