"""What a trigger is: it may paint on the picture and it tells where (BYE, section 4 and appendix)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Trigger(ABC):
    """A patch trigger of black squares; each kind says where its squares lie.

    `size` is the side of a square as a fraction of the picture's shorter side (paper: 1/16).
    """

    size: float = 1 / 16

    def side(self, width: int, height: int) -> int:
        """Side of one square in pixels, at least 1."""
        return max(1, round(min(width, height) * self.size))

    @abstractmethod
    def boxes(self, width: int, height: int, rng: np.random.Generator) -> list[Box]:
        """Where the squares lie in a picture of this size: (left, top, right, bottom) in pixels."""

    def paint(self, picture: Image.Image, box: Box) -> None:
        """Replace the pixels of one square, before any preprocessing, as the paper does."""
        left, top, right, bottom = box
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), fill=(0, 0, 0))

    def apply(self, picture: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        """An RGB picture -> its triggered copy, and the boxes that were painted."""
        triggered = picture.copy()
        boxes = self.boxes(*picture.size, rng)
        for box in boxes:
            self.paint(triggered, box)
        return triggered, boxes


def square(x: float, y: float, side: int, width: int, height: int) -> Box:
    """The square of `side` pixels centred at (x, y), moved inside the picture where it would stick out."""
    left = min(max(round(x - side / 2), 0), max(width - side, 0))
    top = min(max(round(y - side / 2), 0), max(height - side, 0))
    return left, top, left + side, top + side
