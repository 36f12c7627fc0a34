"""SIG (Barni et al., 2019): x' = x + d sin(2 pi j f / width) in every row, where j is the column; d = 40, f = 6."""

from dataclasses import dataclass

import numpy as np

from bye_core.attacks.triggers.base import FullImageTrigger
from bye_core.attacks.triggers.settings import number


@dataclass(frozen=True)
class Sig(FullImageTrigger):
    name = "sig"
    description = "a sine wave along every row"

    d: float = number(40.0, "amplitude of the wave, in levels of 255", above=0, most=255)
    f: float = number(6.0, "periods of the wave across the width", above=0, most=1000)

    def change(self, pixels):
        width = pixels.shape[1]
        wave = self.d * np.sin(2 * np.pi * self.f * np.arange(width) / width)
        return pixels + wave[None, :, None].astype(np.float32)


TRIGGERS = (Sig,)
