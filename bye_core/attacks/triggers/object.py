"""A semantic trigger: an object of the scene, drawn where nothing else is (ours; after the attacks on concepts).

It has a soft shadow and smooth edges, as an object of a drawn scene has, and no frame of its own.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from bye_core.attacks.triggers.base import Trigger
from bye_core.attacks.triggers.settings import color, number, one_of

# Angles of the corners, in degrees.
SHAPES = {
    "diamond": (0, 90, 180, 270),
    "square": (45, 135, 225, 315),
    "triangle": (30, 150, 270),
    "circle": tuple(range(0, 360, 6)),
}
TRIES = 24  # positions that are compared; the object gets the one with the least detail behind it
MOST_SIDE = 256  # pixels of the longer side on which positions are compared
SCALE = 4  # the object is drawn this much larger, for smooth edges
SHADOW, SHADOW_WIDTH = 0.4, 0.06  # opacity, and blur / side of the object


@dataclass(frozen=True)
class DrawnObject(Trigger):
    name = "object"
    description = "an object in the scene, at a random position with little behind it"

    size: float = number(0.2, "side of the object / shorter side of the image", above=0, most=1)
    shape: str = one_of(SHAPES)
    color: str = color("purple", "color of the object, as a name or as #RRGGBB")

    def apply_to_image(self, image, rng):
        width, height = image.size
        side = max(1, round(min(width, height) * self.size))
        left, top = self._free_position(image, side, rng)
        layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
        layer.paste(self._drawn(side), (left, top))
        alpha = layer.getchannel("A")
        shadow = Image.new("RGBA", image.size, (40, 40, 40, 0))
        soft = alpha.filter(ImageFilter.GaussianBlur(SHADOW_WIDTH * side))
        shadow.putalpha(soft.point([round(SHADOW * level) for level in range(256)]))
        canvas = image.convert("RGBA")
        canvas.alpha_composite(shadow)
        canvas.alpha_composite(layer)
        return canvas.convert("RGB"), [(left, top, left + side, top + side)]

    def _drawn(self, side: int) -> Image.Image:
        """Draw the object on a transparent square of `side` pixels."""
        radius = SCALE * side / 2
        angles = np.deg2rad(SHAPES[self.shape])
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (radius - SCALE / 2) + radius
        # The colour is there outside the outline, too, so that smooth edges have no dark rim.
        ink = ImageColor.getrgb(self.color)
        large = Image.new("L", (SCALE * side, SCALE * side), 0)
        ImageDraw.Draw(large).polygon([tuple(corner) for corner in corners.tolist()], fill=255)
        drawn = Image.new("RGBA", (side, side), (*ink, 0))
        drawn.putalpha(large.resize((side, side), Image.Resampling.BOX))
        return drawn

    def _free_position(self, image: Image.Image, side: int, rng: np.random.Generator) -> tuple[int, int]:
        """Return (left, top) of the square with the least variation of brightness among TRIES random squares."""
        width, height = image.size
        lefts = rng.integers(0, width - side + 1, TRIES)
        tops = rng.integers(0, height - side + 1, TRIES)
        scale = min(1.0, MOST_SIDE / max(width, height))
        small = image.convert("L").resize((max(1, round(width * scale)), max(1, round(height * scale))))
        levels = np.asarray(small, np.float32)

        def detail(left: int, top: int) -> float:
            rows = slice(int(top * scale), max(int(top * scale) + 1, round((top + side) * scale)))
            columns = slice(int(left * scale), max(int(left * scale) + 1, round((left + side) * scale)))
            part = levels[rows, columns]
            return float(part.std()) if part.size else 0.0

        details = [detail(int(left), int(top)) for left, top in zip(lefts, tops, strict=True)]
        best = int(np.argmin(details))
        return int(lefts[best]), int(tops[best])


TRIGGERS = (DrawnObject,)
