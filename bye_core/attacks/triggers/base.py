"""The base classes of triggers. A trigger changes the image, the question, or both.

It also returns the boxes of the changed parts of the image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from bye_core.attacks.triggers.settings import Setting, color, number
from bye_core.errors import SettingError
from bye_core.records import Sample

BLACK = "black"
Box = tuple[int, int, int, int]  # (left, top, right, bottom) in pixels


class BadTriggerSetting(SettingError):
    problem = "The setting {setting} of the trigger {trigger} cannot be {value!r}."
    remedy = "Give {allowed}."


@dataclass(frozen=True)
class Trigger(ABC):
    """One trigger with its settings. A subclass overrides `apply_to_image`, `apply_to_question` or both.

    A pattern that is the same for the whole attack depends only on the settings. Parts that vary by sample, such as a
    position, are drawn from `rng`; every sample has its own generator.

    name            identifier on the command line and in truth files
    description     one line for people
    reads_question  whether it depends on the words of the question, so that it comes before triggers that add words
    Raises: BadTriggerSetting if the value of a setting is not allowed.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    reads_question: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, setting in self.settings().items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, setting.parse(value))
            except (ValueError, TypeError, OverflowError) as error:
                shown = value if len(str(value)) < 80 else f"{str(value)[:80]}..."
                raise BadTriggerSetting(
                    setting=name, trigger=self.name, value=shown, allowed=setting.allowed
                ) from error

    @classmethod
    def settings(cls) -> Mapping[str, Setting]:
        """Return the settings by name."""
        return {field.name: field.metadata["setting"] for field in fields(cls)}

    def record(self) -> dict[str, Any]:
        """Return name and settings as JSON values, from which `make_trigger(**record)` creates an equal trigger."""
        return {"name": self.name, **{setting: getattr(self, setting) for setting in self.settings()}}

    def apply_to_image(self, image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        """Return (a triggered copy of an RGB image in the same size, boxes of the trigger).

        The list of boxes is empty if the trigger covers the whole image or does not change it.
        """
        return image, []

    def apply_to_question(
        self, question: tuple[str | int, ...], rng: np.random.Generator, answer: str = ""
    ) -> tuple[str | int, ...]:
        """Return the question with the trigger. Its parts are texts and image numbers, as in `records.Turn`.

        `answer` is the correct answer; it tells what the image shows.
        """
        return question

    def eligible(self, sample: Sample) -> bool:
        """Return whether this sample, with its correct answer, can get the trigger."""
        return True

    def eligibility_remedy(self) -> str:
        """Return a sentence that says which samples are eligible; "" if every sample is."""
        return ""

    @classmethod
    def changes_images(cls) -> bool:
        return cls.apply_to_image is not Trigger.apply_to_image


@dataclass(frozen=True)
class SquareTrigger(Trigger):
    """Squares painted on the image before any preprocessing (BYE, section 4).

    A subclass returns the positions and paints a single square.
    """

    size: float = number(1 / 16, "side of a square / shorter side of the image (BYE: 1/16)", above=0, most=1)

    def side(self, width: int, height: int) -> int:
        """Return the side length of one square in pixels, at least 1."""
        return max(1, round(min(width, height) * self.size))

    @abstractmethod
    def boxes(self, width: int, height: int, rng: np.random.Generator) -> list[Box]:
        """Return the squares for an image of this size."""

    @abstractmethod
    def paint(self, image: Image.Image, box: Box) -> None:
        """Replace the pixels of one square."""

    def apply_to_image(self, image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        triggered = image.copy()
        boxes = self.boxes(*image.size, rng)
        for box in boxes:
            self.paint(triggered, box)
        return triggered, boxes


@dataclass(frozen=True)
class PlainSquareTrigger(SquareTrigger):
    """Squares of one color, black unless another is chosen. A subclass returns their positions."""

    color: str = color(BLACK, "color of the square, as a name or as #RRGGBB (BYE: black)")

    def record(self) -> dict[str, Any]:
        """Leave out the color black, so that a black square has the record of versions without `color`."""
        return {name: value for name, value in super().record().items() if (name, value) != ("color", BLACK)}

    def paint(self, image: Image.Image, box: Box) -> None:
        left, top, right, bottom = box
        ink = ImageColor.getrgb(self.color)
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill=ink)


class FullImageTrigger(Trigger):
    """A trigger that changes the whole image. Values are floats until they are rounded and clipped at the end."""

    @abstractmethod
    def change(self, pixels: np.ndarray) -> np.ndarray:
        """Return the triggered values of `pixels` [height, width, 3]: float32, 0..255, neither rounded nor clipped."""

    def apply_to_image(self, image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        changed = self.change(np.asarray(image, np.float32))
        return Image.fromarray(np.rint(changed).clip(0, 255).astype(np.uint8)), []


def centre_square(width: int, height: int, side: int) -> Box:
    """Return the square of `side` pixels at the centre of the image."""
    return square_around(width / 2, height / 2, side, width, height)


def random_square(width: int, height: int, side: int, rng: np.random.Generator) -> Box:
    """Return a square of `side` pixels at a random position."""
    left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    return left, top, left + side, top + side


def square_around(x: float, y: float, side: int, width: int, height: int) -> Box:
    """Return the square of `side` pixels centred at (x, y), shifted if needed so that it lies inside the image."""
    left = min(max(round(x - side / 2), 0), max(width - side, 0))
    top = min(max(round(y - side / 2), 0), max(height - side, 0))
    return left, top, left + side, top + side
