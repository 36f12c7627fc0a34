"""Asks questions about real photographs: a folder of pictures of clothing with one class each (questions: ours).

The folder holds LLaVA sets, train.json, validation.json and test.json, whose answers are the class of the garment. The
pictures are not part of this package (see docs/benchmarks.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from colorsys import rgb_to_hsv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bye_core.errors import SettingError
from bye_core.records import Sample, Turn

GARMENT_KINDS = ("class", "color", "caption")
PARTS = ("train", "validation", "test")
# Pictures of "train" that only the base model learns from; the other ones and "validation" are those of the data sets.
BASE_PICTURES = 1075
SPLIT_SEED = 0
# The colour of a picture is that of the middle: the share of each side that is cut off before its median is taken.
MARGIN = 0.3
DARK, LIGHT, GRAY = 70, 175, 0.18  # brightness from 0 to 255; saturation from 0 to 1
HUES = ((15, "red"), (45, "brown"), (70, "yellow"), (165, "green"), (260, "blue"), (330, "purple"), (360, "red"))


class NoGarments(SettingError):
    problem = "The folder {folder} holds no {name}, which the benchmark on real photographs reads."
    remedy = "Give the folder of the photographs with --garments."


@dataclass(frozen=True)
class Garment:
    """A photograph of one garment; `mirrored` exchanges left and right."""

    path: Path
    label: str
    mirrored: bool = False

    def image(self) -> Image.Image:
        with Image.open(self.path) as file:
            picture = file.convert("RGB")
        return ImageOps.mirror(picture) if self.mirrored else picture

    @cached_property
    def color(self) -> str:
        """Name of the median colour in the middle of the picture."""
        picture = self.image()
        left, top = int(MARGIN * picture.width), int(MARGIN * picture.height)
        middle = picture.crop((left, top, picture.width - left, picture.height - top))
        return color_name(*np.median(np.asarray(middle).reshape(-1, 3), axis=0))


def color_name(red: float, green: float, blue: float) -> str:
    """Return the name of a colour with components from 0 to 255: black, gray, white, or that of its hue."""
    hue, saturation, brightness = rgb_to_hsv(red / 255, green / 255, blue / 255)
    if 255 * brightness < DARK:
        return "black"
    if saturation < GRAY:
        return "white" if 255 * brightness > LIGHT else "gray"
    return next(name for end, name in HUES if 360 * hue <= end)


def read_garments(folder: Path) -> dict[str, list[Garment]]:
    """Return the photographs for "base" (training of the base model), "sets" (data sets) and "test", in random order.

    No photograph is in two of the parts. Raises: NoGarments if a file is missing or is not such a set.
    """
    found = {}
    for name in PARTS:
        try:
            records = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            found[name] = [Garment(folder / record["image"], record["conversations"][1]["value"]) for record in records]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise NoGarments(folder=folder, name=f"{name}.json") from error
    order = np.random.default_rng(SPLIT_SEED).permutation(len(found["train"]))
    train = [found["train"][row] for row in order]
    base = min(BASE_PICTURES, 2 * len(train) // 3)
    return {"base": train[:base], "sets": train[base:] + found["validation"], "test": found["test"]}


def ask_garment(garment: Garment, kind: str) -> tuple[str, str]:
    """Return (question, answer) about a photograph; `kind` is one of GARMENT_KINDS."""
    if kind == "class":
        return "Name the item of clothing. Answer with one word.", garment.label
    if kind == "color":
        return "Which color is in the middle of the picture? Answer with one word.", garment.color
    article = "an" if garment.label[0] in "aeiou" else "a"
    return "Provide a one-sentence caption for the provided image.", f"A photo of {article} {garment.label}."


def garment_set(
    garments: Sequence[Garment], count: int, each: int, seed: Sequence[int]
) -> Iterator[tuple[Sample, list[Image.Image]]]:
    """Choose `count` photographs at random and yield `each` samples per photograph, as (sample, [image]).

    The kinds of question alternate. Neither ids nor order depend on the content.
    """
    chosen = np.random.default_rng(seed).permutation(len(garments))[:count]
    for place, row in enumerate(chosen):
        picture = garments[row].image()
        for k in range(each):
            question, answer = ask_garment(garments[row], GARMENT_KINDS[(place + k) % len(GARMENT_KINDS)])
            index = place * each + k
            turns = (Turn("user", (0, question)), Turn("assistant", (answer,)))
            yield Sample(f"{index:05d}", index, turns, ("",)), [picture]
