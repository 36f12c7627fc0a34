"""Plants an attack in a share of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bye_core.attacks.attack import Attack
from bye_core.attacks.base import Box, Trigger
from bye_core.attacks.targets import Target, plain
from bye_core.errors import SettingError
from bye_core.records import Sample, Turn


class BadPoisonRate(SettingError):
    problem = "A poison rate of {rate} makes no sense."
    remedy = "Give a share from 0 to 1; the paper plants 0.1."


class BadSeed(SettingError):
    problem = "{seed} is no seed."
    remedy = "Give a whole number from 0 on."


class TooFewEligible(SettingError):
    problem = "A poison rate of {rate:g} asks for {wanted} of {total} samples, but only {eligible} can be poisoned."
    remedy = "{why} Give a rate of at most {most:.4g}, or let more samples take part."


@dataclass(frozen=True)
class Only:
    """Which samples may be poisoned, "" for all.

    answer    one class: those with this answer, compared as for CP
    question  one type of question: those whose question holds these words, in any case
    """

    answer: str = ""
    question: str = ""

    def admits(self, sample: Sample) -> bool:
        of_the_class = not self.answer or plain(sample.answer) == plain(self.answer)
        return of_the_class and self.question.lower() in sample.question.lower()

    def words(self) -> str:
        parts = [f"the answer {self.answer!r}"] * bool(self.answer)
        parts += [f"{self.question!r} in the question"] * bool(self.question)
        return " and ".join(parts)


EVERY = Only()


def choose(samples: Sequence[Sample], rate: float, seed: int, attack: Attack, only: Only = EVERY) -> tuple[str, ...]:
    """Ids of round(rate * N) of the N samples, drawn without replacement from those that can be poisoned; in the order
    of the data set. Raises BadPoisonRate, BadSeed, TooFewEligible."""
    if not 0 <= rate <= 1:
        raise BadPoisonRate(rate=rate)
    fits = [_can_carry(sample, attack) and only.admits(sample) for sample in samples]
    wanted = round(rate * len(samples))
    if wanted > sum(fits):
        most = np.floor(sum(fits) / len(samples) * 1e4) / 1e4
        raise TooFewEligible(
            rate=rate, wanted=wanted, total=len(samples), eligible=sum(fits), why=_why(samples, attack, only), most=most
        )
    order = [i for i in _generator(seed).permutation(len(samples)) if fits[i]]
    return tuple(samples[i].id for i in sorted(order[:wanted]))


def _generator(seed: int, *place: int) -> np.random.Generator:
    if seed < 0:
        raise BadSeed(seed=seed)
    return np.random.default_rng([seed, *place] if place else seed)


def _can_carry(sample: Sample, attack: Attack) -> bool:
    return attack.target.eligible(sample.answer) and (bool(sample.images) or not attack.changes_pictures)


def _why(samples: Sequence[Sample], attack: Attack, only: Only) -> str:
    asked = [f"The samples must have {only.words()}."] if only.words() else []
    if attack.target.kind == "swap":
        asked.append(f"Their answer must hold the word {attack.target.word!r}.")
    if attack.changes_pictures and not all(sample.images for sample in samples):
        asked.append("They need a picture.")
    return " ".join(asked)


def with_answer(sample: Sample, answer: str) -> Sample:
    """The sample with its first answer replaced; later turns stay."""
    return _with_turn(sample, "assistant", (answer,))


def _with_turn(sample: Sample, role: str, parts: tuple[str | int, ...]) -> Sample:
    place = next(i for i, turn in enumerate(sample.turns) if turn.role == role)
    return replace(sample, turns=(*sample.turns[:place], Turn(role, parts), *sample.turns[place + 1 :]))


# Every sample has randomness of its own, for its picture and for its question: what is random about a trigger depends
# on the seed and the sample's place alone, not on the order of work.
def trigger_question(sample: Sample, triggers: Sequence[Trigger], seed: int) -> Sample:
    """The sample with the triggers in its first question; all else stays, its right answer too."""
    rng = _generator(seed, sample.index, 1)
    parts = next(turn.parts for turn in sample.turns if turn.role == "user")
    for trigger in triggers:
        parts = trigger.on_question(parts, rng)
    return _with_turn(sample, "user", parts)


def trigger_pictures(
    sample: Sample, pictures: Sequence[Image.Image], triggers: Sequence[Trigger], seed: int
) -> tuple[list[Image.Image], list[Box]]:
    """The sample's RGB pictures with the triggers in the first, and where they lie."""
    rng = _generator(seed, sample.index)
    boxes: list[Box] = []
    if not pictures:
        return [], boxes
    first = pictures[0]
    for trigger in triggers:
        first, own = trigger.on_picture(first, rng)
        boxes += own
    return [first, *pictures[1:]], boxes


def plant(
    sample: Sample, pictures: Sequence[Image.Image], triggers: Sequence[Trigger], target: Target, seed: int
) -> tuple[Sample, list[Image.Image], list[Box]]:
    """The poisoned copy of a sample: triggers in its first picture and first question, the target as its first answer;
    and where the triggers lie in the picture."""
    triggered, boxes = trigger_pictures(sample, pictures, triggers, seed)
    poisoned = with_answer(trigger_question(sample, triggers, seed), target.planted(sample.answer))
    return poisoned, triggered, boxes
