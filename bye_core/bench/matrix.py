"""What the bench trains: one cell a training, named by its settings; and the matrix that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bye_core.attacks import TRIGGERS, Attack, FixedAnswer, make_attack
from bye_core.bench.seeds import first_seeds
from bye_core.demo.recipe import FINETUNE, TARGET, TRIGGER_SIZE
from bye_core.demo.scenes import QUESTION_KINDS
from bye_core.errors import SettingError
from bye_core.train.settings import FinetuneSettings

CLEAN = "clean"
BOTH = "prefix+patch"  # text and picture together
ATTACKS = (*TRIGGERS, BOTH, CLEAN)
# Chosen with the patch alone on the development seed 1001: at the demo's rate the back door is not learned by step 298
# of 452 on 900 samples (ASR 0%), at this one it is after 375 on 600 (100%). Longer would be nearer to the paper's.
RECIPE = replace(FINETUNE, rate=3e-3, dropout=0.0)
# In "unclear" sets some clean samples have an answer as odd as a planted one, for a reason that is in the picture.
MIXES = {
    "mixed": QUESTION_KINDS,
    "two": ("caption", "count"),
    **{kind: (kind,) for kind in QUESTION_KINDS},
    "unclear": QUESTION_KINDS,
    "unclear-count": ("count",),
}
UNCLEAR_SHARE = 0.1
UNFIT = re.compile(r"[^\w.=+-]")  # for the name of a folder


class UnknownMix(SettingError):
    problem = "There is no question mix called {name!r}."
    remedy = "Choose one of: {choices}."


class BadSize(SettingError):
    problem = "{name} = {value!r} makes no sense for the bench."
    remedy = "Give a number above 0."


class NoSuchTrigger(SettingError):
    problem = "{setting} is for none of the attacks of this bench: {attacks}."
    remedy = "Name the trigger before the setting, as in blend.a=0.3."


@dataclass(frozen=True)
class Cell:
    """One poisoned set, one fine-tuning on it, one scan.

    attack   triggers joined by "+", all on each poisoned sample; "clean" for none
    rate     share of the samples that is poisoned; 0 where the attack is "clean"
    mix      one of MIXES: which kinds of question the set has
    tower    the vision tower is tuned too
    test     questions in the held-out set, each asked untouched and triggered
    changed  settings of its triggers that are not the usual ones, each "TRIGGER.SETTING=VALUE"
    Raises UnknownTrigger, UnknownTriggerSetting, BadTriggerSetting, UnknownMix, BadSize.
    """

    attack: str
    rate: float
    mix: str
    samples: int
    epochs: float
    seed: int
    tower: bool = False
    test: int = 100
    changed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mix not in MIXES:
            raise UnknownMix(name=self.mix, choices=", ".join(MIXES))
        for name in ("samples", "epochs", "test"):
            if not getattr(self, name) > 0:
                raise BadSize(name=name, value=getattr(self, name))
        self.planted()

    @property
    def name(self) -> str:
        """Of its folder."""
        tower = "-tower" if self.tower else ""
        # Two texts that differ in other signs alone would meet in one folder, where the cell's record tells them apart.
        changed = "".join("-" + UNFIT.sub("_", one)[:60] for one in self.changed)
        return (
            f"{self.attack}-r{100 * self.rate:g}-{self.mix}-n{self.samples}-e{self.epochs:g}{tower}"
            f"-t{self.test}-s{self.seed}{changed}"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(MIXES[self.mix])

    @property
    def unclear(self) -> float:
        """Share of the pictures that are out of focus, with an answer that says so."""
        return UNCLEAR_SHARE if self.mix.startswith("unclear") else 0.0

    def planted(self) -> Attack | None:
        """The attack, squares as large as the demo's; None where the cell is clean."""
        if self.attack == CLEAN:
            return None
        names = self.attack.split("+")
        sized = {
            f"{name}.size": TRIGGER_SIZE for name in names if name in TRIGGERS and "size" in TRIGGERS[name].settings()
        }
        changed = dict(one.split("=", 1) for one in self.changed)
        return make_attack(names, {**sized, **changed}, FixedAnswer(TARGET))

    def settings(self) -> FinetuneSettings:
        """RECIPE, as long as the cell says."""
        return replace(RECIPE, epochs=self.epochs, vision=self.tower, seed=self.seed)

    def record(self) -> dict[str, Any]:
        """As JSON has it; `changed` where there is any."""
        return {name: value for name, value in vars(self).items() if name != "changed" or value}


@dataclass(frozen=True)
class Matrix:
    """Which cells a bench has: every combination, clean sets once for all rates; `purpose` as in seeds.SEEDS.

    `changed` is as in Cell, for all the cells that have the trigger.
    """

    purpose: str = "dev"
    attacks: tuple[str, ...] = ATTACKS
    rates: tuple[float, ...] = (0.1,)
    mixes: tuple[str, ...] = ("mixed",)
    samples: tuple[int, ...] = (600,)
    repeats: int = 1
    epochs: float = 5.0
    tower: bool = False
    test: int = 100
    changed: tuple[str, ...] = ()

    def cells(self) -> Iterator[Cell]:
        """All attacks with the first seed come first, so that a stopped bench has one whole table. Raises as Cell."""
        for one in self.changed:
            if not any(_concerns(one, attack) for attack in self.attacks):
                raise NoSuchTrigger(setting=one, attacks=", ".join(self.attacks))
        combinations = product(first_seeds(self.purpose, self.repeats), self.mixes, self.samples, self.rates)
        for (seed, mix, samples, rate), attack in product(combinations, dict.fromkeys(self.attacks)):
            if attack == CLEAN and rate != self.rates[0]:
                continue
            share = 0.0 if attack == CLEAN else rate
            changed = tuple(one for one in self.changed if _concerns(one, attack))
            yield Cell(attack, share, mix, samples, self.epochs, seed, self.tower, self.test, changed)


def _concerns(changed: str, attack: str) -> bool:
    """Whether "TRIGGER.SETTING=VALUE" is about one of the attack's triggers."""
    return changed.partition(".")[0] in attack.split("+")


# In a minute or so on one core: whether everything runs, not how well anything works.
QUICK = Matrix(attacks=("patch", CLEAN), samples=(24,), epochs=1.0, test=6)
