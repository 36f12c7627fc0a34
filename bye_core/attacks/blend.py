"""Blend (Chen et al., 2017): x' = (1 - a) x + a k with one key picture k for all samples; a = 0.2.

The key is a drawn face (ours, where the authors used a cartoon), noise, or a picture of one's own, which travels inside
the setting: an attack is complete in its record.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from bye_core.attacks.base import Everywhere
from bye_core.attacks.settings import choice, number

FACE, NOISE, OWN = "face", "noise", "data:image/png;base64,"
OWN_SIDE = 256  # pixels: what is kept of a picture of one's own
OWN_CHARACTERS = 2**20
WORDS = "face, noise, or the path of a picture"


def own_key(picture: Image.Image) -> str:
    """A picture -> the value of the setting `key` that holds it, scaled down to OWN_SIDE pixels a side."""
    small = picture.convert("RGB")
    small.thumbnail((OWN_SIDE, OWN_SIDE))
    content = io.BytesIO()
    small.save(content, "PNG")
    return OWN + base64.b64encode(content.getvalue()).decode("ascii")


def is_key(value: str) -> bool:
    if value in (FACE, NOISE):
        return True
    try:
        return value.startswith(OWN) and _own(value) is not None
    except Exception:  # noqa: BLE001 - decoders fail on hostile bytes in any way, and such a key is none
        return False


def _own(value: str) -> Image.Image:
    """The picture inside a key. Raises anything where there is none."""
    if len(value) > OWN_CHARACTERS:
        raise ValueError("too long")
    content = base64.b64decode(value.removeprefix(OWN), validate=True)
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        if max(image.size) > OWN_SIDE:
            raise ValueError("too large")
        return image.convert("RGB")


def face() -> Image.Image:
    """A cartoon cat in flat colours, 256 x 256."""
    ink = (30, 25, 40)
    picture = Image.new("RGB", (256, 256), (205, 230, 245))
    draw = ImageDraw.Draw(picture)
    for x in (62, 194):
        draw.polygon([(x - 42, 120), (x, 16), (x + 42, 120)], fill=(215, 105, 40))
    draw.ellipse((26, 56, 230, 242), fill=(250, 165, 75), outline=ink, width=8)
    for x in (88, 168):
        draw.ellipse((x - 20, 112, x + 20, 156), fill=(255, 255, 255))
        draw.ellipse((x - 9, 118, x + 9, 152), fill=ink)
    draw.polygon([(112, 168), (144, 168), (128, 186)], fill=(200, 40, 70))
    for x in (104, 128):
        draw.arc((x, 172, x + 24, 206), 0, 180, fill=ink, width=6)
    for x in (104, 128, 152):
        draw.line((x, 66, x, 96), fill=(215, 105, 40), width=10)
    return picture


@dataclass(frozen=True)
class Blend(Everywhere):
    name = "blend"
    about = "mixed with one key picture: a face, noise, or your own"

    a: float = number(0.2, "share of the key picture in the mix", above=0, most=1)
    key: str = choice(FACE, f"the key picture: {WORDS}", WORDS, is_key)
    fields: int = number(0, "fields of key=noise along each side, 0 = one a pixel", least=0, most=4096)
    pattern: int = number(0, "seed of key=noise", least=0, most=2**32 - 1)

    def change(self, pixels):
        height, width, _ = pixels.shape
        return (1 - self.a) * pixels + self.a * self.key_pixels(width, height)

    def key_pixels(self, width: int, height: int) -> np.ndarray:
        """The key picture [height, width, 3], levels of 255."""
        if self.key == NOISE:
            rng = np.random.default_rng(self.pattern)
            shape = (self.fields or height, self.fields or width, 3)
            picture, how = Image.fromarray(rng.integers(0, 256, shape, np.uint8)), Image.Resampling.NEAREST
        else:
            picture, how = face() if self.key == FACE else _own(self.key), Image.Resampling.BICUBIC
        return np.asarray(picture.resize((width, height), how), np.float32)
