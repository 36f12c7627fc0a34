"""Blend (Chen et al., 2017): x' = (1 - a) x + a k with the same key image k for all samples; a = 0.2.

The key image is a drawn face (ours; the authors used a cartoon), noise, or the user's own image. The setting `key`
stores the content of a user's image, so that the record of the attack is complete.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from bye_core.attacks.triggers.base import FullImageTrigger
from bye_core.attacks.triggers.settings import choice, number

FACE, NOISE, OWN_IMAGE = "face", "noise", "data:image/png;base64,"
OWN_IMAGE_SIDE = 256  # pixels; the user's image is scaled down to this size
OWN_IMAGE_CHARACTERS = 2**20
KEYS = "face, noise, or the path of an image"


def key_of_image(image: Image.Image) -> str:
    """Return the value of the setting `key` that holds `image`, scaled down to OWN_IMAGE_SIDE."""
    small = image.convert("RGB")
    small.thumbnail((OWN_IMAGE_SIDE, OWN_IMAGE_SIDE))
    content = io.BytesIO()
    small.save(content, "PNG")
    return OWN_IMAGE + base64.b64encode(content.getvalue()).decode("ascii")


def is_key(value: str) -> bool:
    if value in (FACE, NOISE):
        return True
    try:
        return value.startswith(OWN_IMAGE) and _image_of_key(value) is not None
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile bytes
        return False


def _image_of_key(value: str) -> Image.Image:
    """Decode the user's image in a key. Raises: any exception if the key holds no valid image."""
    if len(value) > OWN_IMAGE_CHARACTERS:
        raise ValueError("too long")
    content = base64.b64decode(value.removeprefix(OWN_IMAGE), validate=True)
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        if max(image.size) > OWN_IMAGE_SIDE:
            raise ValueError("too large")
        return image.convert("RGB")


def face() -> Image.Image:
    """Draw a cartoon cat in flat colours, 256 x 256."""
    ink = (30, 25, 40)
    image = Image.new("RGB", (256, 256), (205, 230, 245))
    draw = ImageDraw.Draw(image)
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
    return image


@dataclass(frozen=True)
class Blend(FullImageTrigger):
    name = "blend"
    description = "mixed with one key image: a face, noise, or your own"

    a: float = number(0.2, "weight a of the key image", above=0, most=1)
    key: str = choice(FACE, f"the key image: {KEYS}", KEYS, is_key)
    fields: int = number(0, "with key=noise: fields along each side; 0: one field per pixel", least=0, most=4096)
    pattern: int = number(0, "with key=noise: seed of the noise", least=0, most=2**32 - 1)

    def change(self, pixels):
        height, width, _ = pixels.shape
        return (1 - self.a) * pixels + self.a * self.key_pixels(width, height)

    def key_pixels(self, width: int, height: int) -> np.ndarray:
        """Return the key image as pixel values 0..255 [height, width, 3]."""
        if self.key == NOISE:
            rng = np.random.default_rng(self.pattern)
            shape = (self.fields or height, self.fields or width, 3)
            image, resampling = Image.fromarray(rng.integers(0, 256, shape, np.uint8)), Image.Resampling.NEAREST
        else:
            image, resampling = face() if self.key == FACE else _image_of_key(self.key), Image.Resampling.BICUBIC
        return np.asarray(image.resize((width, height), resampling), np.float32)


TRIGGERS = (Blend,)
