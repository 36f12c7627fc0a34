"""What a trigger is: a change of the picture, of the question, or of both; and it tells where."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from PIL import Image, ImageDraw

from bye_core.attacks.settings import Rule, number
from bye_core.errors import SettingError

Box = tuple[int, int, int, int]


class BadTriggerSetting(SettingError):
    problem = "The setting {setting} of the trigger {trigger} cannot be {value!r}."
    remedy = "Give {words}."


@dataclass(frozen=True)
class Trigger(ABC):
    """One trigger with its settings. A kind overrides `on_picture`, `on_question` or both.

    What belongs to the attack (a fixed pattern) is drawn from the trigger's own settings; what differs by sample (a
    place) from the `rng` handed in, of which every sample has its own. Raises BadTriggerSetting.
    """

    name: ClassVar[str]
    about: ClassVar[str]

    def __post_init__(self) -> None:
        for setting, rule in self.rules().items():
            value = getattr(self, setting)
            try:
                object.__setattr__(self, setting, rule.read(value))
            except (ValueError, TypeError, OverflowError) as error:
                shown = value if len(str(value)) < 80 else f"{str(value)[:80]}..."
                raise BadTriggerSetting(setting=setting, trigger=self.name, value=shown, words=rule.words) from error

    @classmethod
    def rules(cls) -> Mapping[str, Rule]:
        """The settings by name."""
        return {field.name: field.metadata["rule"] for field in fields(cls)}

    def record(self) -> dict[str, Any]:
        """As JSON has it; `bye_core.attacks.make_trigger(**record)` gives the trigger back."""
        return {"name": self.name, **{setting: getattr(self, setting) for setting in self.rules()}}

    def on_picture(self, picture: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        """An RGB picture -> its triggered copy, of the same size, and the places: (left, top, right, bottom) in pixels.

        No box where the trigger is spread over the whole picture, or leaves it alone.
        """
        return picture, []

    def on_question(self, question: tuple[str | int, ...], rng: np.random.Generator) -> tuple[str | int, ...]:
        """The parts of a question, texts and picture numbers (`records.Turn`) -> the triggered ones."""
        return question

    @classmethod
    def changes_pictures(cls) -> bool:
        return cls.on_picture is not Trigger.on_picture


@dataclass(frozen=True)
class Squares(Trigger):
    """Squares painted over the pixels before any preprocessing (BYE, section 4); each kind says where they lie."""

    size: float = number(1 / 16, "side of a square / shorter side of the picture (BYE: 1/16)", above=0, most=1)

    def side(self, width: int, height: int) -> int:
        """Side of one square in pixels, at least 1."""
        return max(1, round(min(width, height) * self.size))

    @abstractmethod
    def boxes(self, width: int, height: int, rng: np.random.Generator) -> list[Box]:
        """Where the squares lie in a picture of this size."""

    def paint(self, picture: Image.Image, box: Box) -> None:
        """Replace the pixels of one square: black, as in the paper."""
        left, top, right, bottom = box
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), fill=(0, 0, 0))

    def on_picture(self, picture: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        triggered = picture.copy()
        boxes = self.boxes(*picture.size, rng)
        for box in boxes:
            self.paint(triggered, box)
        return triggered, boxes


class Everywhere(Trigger):
    """A trigger spread over the whole picture: worked out in floats, rounded and clipped once, at the end."""

    @abstractmethod
    def change(self, pixels: np.ndarray) -> np.ndarray:
        """Levels [height, width, 3], float32, 0..255 -> the triggered ones, not rounded and not clipped."""

    def on_picture(self, picture: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, list[Box]]:
        changed = self.change(np.asarray(picture, np.float32))
        return Image.fromarray(np.rint(changed).clip(0, 255).astype(np.uint8)), []


def square(x: float, y: float, side: int, width: int, height: int) -> Box:
    """The square of `side` pixels centred at (x, y), moved inside the picture where it would stick out."""
    left = min(max(round(x - side / 2), 0), max(width - side, 0))
    top = min(max(round(y - side / 2), 0), max(height - side, 0))
    return left, top, left + side, top + side
