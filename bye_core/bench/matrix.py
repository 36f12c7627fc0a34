"""Settings of the benchmark: a cell is one fine-tuning with its scan, and a matrix is a list of cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from PIL import Image

from bye_core.attacks import TRIGGERS, Attack, FixedAnswer, make_attack
from bye_core.attacks.targets import target_of_text
from bye_core.bench.clean_variants import VARIANTS, varied
from bye_core.bench.seeds import first_seeds
from bye_core.demo.free_questions import TOPICS, FreeQuestions
from bye_core.demo.recipe import FAMILIES, FINETUNE, TARGET, TRIGGER_SIZE
from bye_core.demo.scenes import QUESTION_KINDS, ask, ask_naming, question_set
from bye_core.errors import SettingError
from bye_core.records import Sample
from bye_core.train.settings import FinetuneSettings

CLEAN = "clean"
BOTH = "prefix+patch"  # a trigger in the text and one in the image
MISMATCH = "mismatch"
NAMING = "naming"  # every question names the color of one shape in the image, so that it can be made to contradict it
# `mismatch` needs questions of its own, so a matrix has it only if asked for.
ATTACKS = (*(name for name in TRIGGERS if name != MISMATCH), BOTH, CLEAN)
# Learning rate, chosen with the patch on the development seed 1001. At the demo's learning rate, the ASR is still 0%
# after 298 of 452 steps on 900 samples. At this rate it is 100% after 375 steps on 600 samples.
RECIPE = replace(FINETUNE, rate=3e-3, dropout=0.0)
FREE = "free"  # hardly two questions are alike; the base model must understand them (see `bench`)
# In "unclear" sets, some clean samples have an unusual but correct answer. The mixes of VARIANTS change the clean
# training set before it is poisoned.
MIXES = {
    "mixed": QUESTION_KINDS,
    "two": ("caption", "count"),
    **{kind: (kind,) for kind in QUESTION_KINDS},
    "unclear": QUESTION_KINDS,
    "unclear-count": ("count",),
    **dict.fromkeys(VARIANTS, QUESTION_KINDS),
    FREE: TOPICS,
    NAMING: QUESTION_KINDS,
}
UNCLEAR_SHARE = 0.1
USUAL_TARGET, USUAL_FAMILY = FixedAnswer.kind, FAMILIES[0]
# Fields that older records of cells lack, with their defaults.
LATER_FIELDS = {"changed": (), "target": USUAL_TARGET, "count": 0, "family": USUAL_FAMILY}
UNSET = object()
TRAINING, TEST = 0, 1  # random streams of the two sets; they are independent, so no test image is a training image
UNFIT = re.compile(r"[^\w.=+-]")  # in the name of a folder


class UnknownMix(SettingError):
    problem = "The question mix {name!r} does not exist."
    remedy = "Choose one of: {choices}."


class QuestionsNameNothing(SettingError):
    problem = "The attack {attack} needs questions that name something in the image, but the mix is {mix}."
    remedy = f"Set --mixes {NAMING}."


class UnknownFamily(SettingError):
    problem = "The benchmark has no base model of the family {name!r}."
    remedy = "Choose one of: {choices}."


class BadSize(SettingError):
    problem = "The benchmark setting {name} cannot be {value!r}."
    remedy = "Give a number above 0."


class NoSuchTrigger(SettingError):
    problem = "No attack of this benchmark has the setting {setting}. The attacks are: {attacks}."
    remedy = "Give the setting with the name of a trigger of these attacks, as in blend.a=0.3."


@dataclass(frozen=True)
class Cell:
    """One poisoned data set, one fine-tuning on it and one scan.

    attack   triggers joined by "+", all on every poisoned sample; "clean" for no attack
    rate     share of poisoned samples; 0 if the attack is "clean"
    mix      kinds of question in the data set, one of MIXES
    tower    whether the vision tower is tuned too
    test     number of held-out questions, each asked without and with the trigger
    changed  trigger settings that differ from the defaults, each "TRIGGER.SETTING=VALUE"
    target   the attacker's target in its short form, KIND or KIND=VALUE (see `target_of_text`)
    count    number of poisoned samples; 0: the share `rate` of the samples
    family   kind of the base model, one of demo.recipe.FAMILIES
    Raises: UnknownTrigger if there is no such trigger; UnknownTriggerSetting if the trigger has no such setting;
    BadTriggerSetting if the trigger does not accept the value; UnknownMix if `mix` is not one of MIXES;
    QuestionsNameNothing if the attack is a mismatch and the mix is not NAMING; UnknownFamily; BadSize if `samples`,
    `epochs` or `test` is not above 0; another SettingError if the target is not valid.
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
    target: str = USUAL_TARGET
    count: int = 0
    family: str = USUAL_FAMILY

    def __post_init__(self) -> None:
        if self.mix not in MIXES:
            raise UnknownMix(name=self.mix, choices=", ".join(MIXES))
        if MISMATCH in self.attack.split("+") and self.mix != NAMING:
            raise QuestionsNameNothing(attack=self.attack, mix=self.mix)
        if self.family not in FAMILIES:
            raise UnknownFamily(name=self.family, choices=", ".join(FAMILIES))
        for name in ("samples", "epochs", "test"):
            if not getattr(self, name) > 0:
                raise BadSize(name=name, value=getattr(self, name))
        self.planted()

    @property
    def name(self) -> str:
        """Name of the cell's folder."""
        tower = "-tower" if self.tower else ""
        # Two cells whose names differ only in replaced characters get the same folder; cell.json reveals the mismatch.
        usual = ((self.target, USUAL_TARGET), (self.family, USUAL_FAMILY))
        further = [*self.changed, *(value for value, default in usual if value != default)]
        changed = "".join("-" + UNFIT.sub("_", one)[:60] for one in further)
        share = f"c{self.count}" if self.count else f"r{100 * self.rate:g}"
        return (
            f"{self.attack}-{share}-{self.mix}-n{self.samples}-e{self.epochs:g}{tower}"
            f"-t{self.test}-s{self.seed}{changed}"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(MIXES[self.mix])

    @property
    def unclear(self) -> float:
        """Share of images that are out of focus; the answer of their samples is that the image is blurry."""
        return UNCLEAR_SHARE if self.mix.startswith("unclear") else 0.0

    @property
    def questions_an_image(self) -> int:
        """Number of samples about each image of the training set; several if the target needs them."""
        return min(len(self.kinds), 2) if target_of_text(self.target).needs_shared_images else 1

    def items(self, images: int, each: int, stream: int) -> Iterator[tuple[Sample, list[Image.Image]]]:
        """Yield the clean samples, `each` about an image, of the training set or the test set: TRAINING or TEST."""
        special = {FREE: FreeQuestions((self.seed, stream)).ask, NAMING: ask_naming}
        asked_by = special.get(self.mix, ask)
        items = question_set(images, each, (self.seed, stream), self.kinds, self.unclear, asked_by)
        return varied(items, self.mix, (self.seed, stream)) if stream == TRAINING else items

    @property
    def dtype(self) -> str:
        """Data type of evaluations and scans; "auto" chooses by the machine."""
        return "auto"

    @property
    def trigger_size(self) -> float:
        """Side of a trigger that has a size, as a share of the image's side."""
        return TRIGGER_SIZE

    def planted(self) -> Attack | None:
        """Return the attack, with triggers of the demo's size if they have a size; None if the cell is clean."""
        if self.attack == CLEAN:
            return None
        names = self.attack.split("+")
        sized = {
            f"{name}.size": self.trigger_size
            for name in names
            if name in TRIGGERS and "size" in TRIGGERS[name].settings()
        }
        changed = dict(one.split("=", 1) for one in self.changed)
        target = FixedAnswer(TARGET) if self.target == USUAL_TARGET else target_of_text(self.target)
        return make_attack(names, {**sized, **changed}, target)

    def settings(self) -> FinetuneSettings:
        """Return RECIPE with the epochs, seed and tower of the cell."""
        return replace(RECIPE, epochs=self.epochs, vision=self.tower, seed=self.seed)

    def record(self) -> dict[str, Any]:
        """Return the fields of the cell for JSON, without those of LATER_FIELDS that have their defaults."""
        return {name: value for name, value in vars(self).items() if value != LATER_FIELDS.get(name, UNSET)}


@dataclass(frozen=True)
class Matrix:
    """The cells of a benchmark: every combination of attacks, targets, shares, mixes, sizes, families and seeds.

    Rate, count and target do not matter without an attack, so one clean cell serves all of them.

    purpose  which seeds to use, a key of seeds.SEEDS
    repeats  number of seeds
    changed  as in Cell; each setting applies to the cells whose attack has its trigger
    targets  as in Cell
    counts   numbers of poisoned samples, instead of the rates
    families kinds of base models, as in Cell
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
    targets: tuple[str, ...] = (USUAL_TARGET,)
    counts: tuple[int, ...] = ()
    families: tuple[str, ...] = (USUAL_FAMILY,)

    def cells(self) -> Iterator[Cell]:
        """Yield the cells; those with the first seed come first.

        Raises: NoSuchTrigger if a setting in `changed` belongs to no attack; the errors of `first_seeds` and Cell.
        """
        check_changed(self.changed, self.attacks)
        shares = [(0.0, count) for count in self.counts] or [(rate, 0) for rate in self.rates]
        sets = product(first_seeds(self.purpose, self.repeats), self.families, self.mixes, self.samples)
        for (seed, family, mix, samples), (number, (rate, count)) in product(sets, enumerate(shares)):
            cell = partial(
                Cell, mix=mix, samples=samples, epochs=self.epochs, seed=seed, tower=self.tower, test=self.test,
                family=family,
            )  # fmt: skip
            for attack, target in product(dict.fromkeys(self.attacks), self.targets):
                if attack != CLEAN:
                    yield cell(attack, rate, changed=changed_of(self.changed, attack), target=target, count=count)
                elif number == 0 and target == self.targets[0]:
                    yield cell(CLEAN, 0.0)


def check_changed(changed: Iterable[str], attacks: Sequence[str]) -> None:
    """Raise NoSuchTrigger unless every "TRIGGER.SETTING=VALUE" in `changed` belongs to one of the attacks."""
    for one in changed:
        if not any(changed_of([one], attack) for attack in attacks):
            raise NoSuchTrigger(setting=one, attacks=", ".join(attacks))


def changed_of(changed: Iterable[str], attack: str) -> tuple[str, ...]:
    """Return each "TRIGGER.SETTING=VALUE" in `changed` that belongs to a trigger of the attack."""
    return tuple(one for one in changed if one.partition(".")[0] in attack.split("+"))


# For tests: takes about a minute on one core. It checks only that all stages run; its results have no meaning.
QUICK = Matrix(attacks=("patch", CLEAN), samples=(24,), epochs=1.0, test=6)
