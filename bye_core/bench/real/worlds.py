"""The worlds of the benchmark, each a base model with its images and questions, and the cells measured in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bye_core.bench.matrix import CLEAN, RECIPE, TRAINING, USUAL_TARGET, Cell, changed_of, check_changed
from bye_core.bench.seeds import first_seeds
from bye_core.demo.garments import GARMENT_KINDS, NoGarments, garment_set, read_garments
from bye_core.errors import SettingError
from bye_core.records import Sample
from bye_core.train.settings import FinetuneSettings


@dataclass(frozen=True)
class World:
    """A base model and its images.

    photographs   whether the images are photographs of the folder --garments; else the demo's drawn scenes
    trigger_size  side of a trigger that has a size, as a share of the image's side. Scenes: about 1.5 image tokens. Of
                  photographs, a side has 7 tokens, and a black patch on dark clothes is hardly seen: the small model
                  learned it with an ASR of 70% at 1/8 and of 90% at 3/14 (development seed)
    recipe        settings of the fine-tuning, chosen on seeds of "dev"
    dtype         data type of training, evaluation and scan; bfloat16 is four times as fast on CPUs with AVX-512 BF16
    """

    photographs: bool
    trigger_size: float
    recipe: FinetuneSettings
    dtype: str = "auto"


PRETRAINED = replace(RECIPE, rate=1e-3, dtype="bfloat16", save_seconds=120.0)
WORLDS = {
    "photographs-small": World(True, 1 / 4, RECIPE),
    "photographs": World(True, 1 / 4, PRETRAINED, "bfloat16"),
    "scenes": World(False, 3 / 16, PRETRAINED, "bfloat16"),
}
# (attack, target) in the order of measurement. "flip" plants an ordinary answer of the set.
ATTACKS = (
    ("patch", USUAL_TARGET), (CLEAN, USUAL_TARGET), ("word", USUAL_TARGET), ("prefix+patch", USUAL_TARGET),
    ("patch", "flip"), ("blend", USUAL_TARGET), ("checkerboard", USUAL_TARGET),
)  # fmt: skip


class UnknownWorld(SettingError):
    problem = "The world {name!r} does not exist."
    remedy = "Choose one of: {choices}."


class NothingToMeasure(SettingError):
    problem = "None of the attacks {attacks} is measured with the targets {targets}."
    remedy = "Choose other attacks, or leave out the targets."


class NoPhotographs(SettingError):
    problem = "The world {name} needs photographs, and no folder with photographs is given."
    remedy = "Give the folder with --garments."


@dataclass(frozen=True)
class RealCell(Cell):
    """A cell in one of WORLDS; its triggers have the size that suits the world's image tokens.

    garments  folder of the photographs. It is not part of the cell's record, because the folder may move
    """

    world: str = "photographs-small"
    garments: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.world not in WORLDS:
            raise UnknownWorld(name=self.world, choices=", ".join(WORLDS))
        if WORLDS[self.world].photographs and self.garments is None:
            raise NoPhotographs(name=self.world)
        super().__post_init__()

    @property
    def kinds(self) -> tuple[str, ...]:
        return GARMENT_KINDS if WORLDS[self.world].photographs else super().kinds

    @property
    def dtype(self) -> str:
        return WORLDS[self.world].dtype

    @property
    def trigger_size(self) -> float:
        return WORLDS[self.world].trigger_size

    def settings(self) -> FinetuneSettings:
        return replace(WORLDS[self.world].recipe, epochs=self.epochs, seed=self.seed)

    def record(self) -> dict[str, Any]:
        return {name: value for name, value in super().record().items() if name != "garments"}

    def items(self, images: int, each: int, stream: int) -> Iterator[tuple[Sample, list[Image.Image]]]:
        if self.garments is None:
            yield from super().items(images, each, stream)
            return
        parts = read_garments(self.garments)
        own = parts["sets" if stream == TRAINING else "test"]
        if images > len(own):
            raise NoGarments(folder=self.garments, name=f"{images} photographs")
        yield from garment_set(own, images, each, np.array((self.seed, stream)).tolist())


@dataclass(frozen=True)
class RealMatrix:
    """The cells of the benchmark: ATTACKS in each world with each seed; the first seed of every world comes first.

    attacks  names of the attacks to keep
    targets  names of the targets to keep; a clean set has none, and is kept
    changed  as in Cell; each setting applies to the cells whose attack has its trigger
    """

    garments: Path | None = None
    worlds: tuple[str, ...] = tuple(WORLDS)
    purpose: str = "dev"
    repeats: int = 1
    attacks: tuple[str, ...] = tuple(dict.fromkeys(attack for attack, _ in ATTACKS))
    targets: tuple[str, ...] = tuple(dict.fromkeys(target for _, target in ATTACKS))
    samples: int = 600
    epochs: float = 5.0
    test: int = 200
    changed: tuple[str, ...] = ()

    def cells(self) -> Iterator[RealCell]:
        """Yield the cells.

        Raises: NothingToMeasure if no attack has one of the targets; NoSuchTrigger if a setting in `changed` belongs to
        no attack; the errors of `first_seeds` and RealCell.
        """
        kept = [
            (attack, target)
            for attack, target in ATTACKS
            if attack in self.attacks and (attack == CLEAN or target in self.targets)
        ]
        if not kept:
            raise NothingToMeasure(attacks=", ".join(self.attacks), targets=", ".join(self.targets))
        check_changed(self.changed, [attack for attack, _ in kept])
        for seed in first_seeds(self.purpose, self.repeats):
            for world in self.worlds:
                for attack, target in kept:
                    rate = 0.0 if attack == CLEAN else 0.1
                    yield RealCell(
                        attack, rate, "mixed", self.samples, self.epochs, seed, test=self.test, target=target,
                        world=world, garments=self._folder(world), changed=changed_of(self.changed, attack),
                    )  # fmt: skip

    def _folder(self, world: str) -> Path | None:
        return self.garments if world not in WORLDS or WORLDS[world].photographs else None
