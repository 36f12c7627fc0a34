"""Poisons samples: draws the samples to poison, and adds the triggers and the target to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bye_core.attacks.attack import Attack
from bye_core.attacks.targets import Target
from bye_core.attacks.triggers import Trigger
from bye_core.attacks.triggers.base import Box
from bye_core.errors import SettingError
from bye_core.records import Sample, Turn
from bye_core.text import normalised


class BadPoisonRate(SettingError):
    problem = "The poison rate {rate} is not a number from 0 to 1."
    remedy = "Give a number from 0 to 1; the paper uses 0.1."


class BadSeed(SettingError):
    problem = "The seed {seed} is negative."
    remedy = "Give a whole number, 0 or greater."


class BadPoisonCount(SettingError):
    problem = "The number of samples to poison, {count}, is not a whole number from 0 to {total}."
    remedy = "Give a whole number from 0 to {total}, the number of samples."


class TooFewEligible(SettingError):
    problem = "The poison rate {rate:g} requires {wanted} of {total} samples, but only {eligible} can be poisoned."
    remedy = "{why} Give a rate of at most {most:.4g}, or allow more samples to be poisoned."


class TooFewForCount(TooFewEligible):
    problem = "{wanted} of {total} samples are to be poisoned, but only {eligible} can be poisoned."
    remedy = "{why} Give a count of at most {eligible}, or allow more samples to be poisoned."


class NoneEligible(TooFewForCount):
    problem = "None of the {total} samples can be poisoned in this way."
    remedy = "{why} Choose another data set, trigger or target, or allow more samples to be poisoned."


@dataclass(frozen=True)
class SampleFilter:
    """Which samples may be poisoned; an empty text sets no restriction.

    answer    only samples with this answer (one class), compared as for clean performance (CP)
    question  only samples whose question contains these words; upper and lower case are equal
    """

    answer: str = ""
    question: str = ""

    def admits(self, sample: Sample) -> bool:
        has_answer = not self.answer or normalised(sample.answer) == normalised(self.answer)
        return has_answer and self.question.lower() in sample.question.lower()

    def description(self) -> str:
        parts = [f"the answer {self.answer!r}"] * bool(self.answer)
        parts += [f"{self.question!r} in the question"] * bool(self.question)
        return " and ".join(parts)


ALL_SAMPLES = SampleFilter()


def choose_samples(
    samples: Sequence[Sample],
    rate: float,
    seed: int,
    attack: Attack,
    only: SampleFilter = ALL_SAMPLES,
    count: int | None = None,
) -> tuple[str, ...]:
    """Draw round(rate * N) of the N samples, or exactly `count`, without replacement, among those that can be poisoned.

    The attack must be fitted to the samples. Returns their ids: number t is poisoned as the attack's turn t. They are
    in the order of `samples` if the target has one part; otherwise each part has its own samples, in that order.
    Raises: BadPoisonRate if `rate` is outside 0..1; BadPoisonCount if `count` is outside 0..N; BadSeed if `seed` is
    negative; TooFewEligible if too few can be poisoned (NoneEligible if none can).
    """
    if count is None and not 0 <= rate <= 1:
        raise BadPoisonRate(rate=rate)
    if count is not None and not 0 <= count <= len(samples):
        raise BadPoisonCount(count=count, total=len(samples))
    wanted = round(rate * len(samples)) if count is None else count
    parts = attack.target.parts
    # eligible [N]: the numbers of the parts that each sample can be poisoned with
    eligible = [
        {k for k in range(len(parts)) if _can_carry(sample, attack, k)} if only.admits(sample) else set()
        for sample in samples
    ]
    order = [i for i in _generator(seed).permutation(len(samples)) if eligible[i]]
    drawn = _share_out(order, eligible, wanted, len(parts))
    if sum(map(len, drawn)) < wanted:
        most = _most(order, eligible, wanted, len(parts))
        facts = {"wanted": wanted, "total": len(samples), "eligible": most, "why": _requirements(samples, attack, only)}
        if not most:
            raise NoneEligible(**facts)
        if count is not None:
            raise TooFewForCount(**facts)
        raise TooFewEligible(rate=rate, most=np.floor(most / len(samples) * 1e4) / 1e4, **facts)
    return tuple(samples[drawn[turn % len(parts)][turn // len(parts)]].id for turn in range(wanted))


def _share_out(order: Sequence[int], eligible: Sequence[set[int]], wanted: int, parts: int) -> list[list[int]]:
    """Return for each part its samples, ascending: the first ones of `order` that are eligible, `wanted` in all.

    Samples that fit one part only come first, so as many as possible are drawn.
    """
    if parts == 1:
        return [sorted(order[:wanted])]
    open_places = [len(range(part, wanted, parts)) for part in range(parts)]
    drawn: list[list[int]] = [[] for _ in range(parts)]
    for i in sorted(order, key=lambda i: len(eligible[i])):
        part = max(eligible[i], key=lambda part: open_places[part])
        if open_places[part]:
            open_places[part] -= 1
            drawn[part].append(i)
    return [sorted(own) for own in drawn]


def _most(order: Sequence[int], eligible: Sequence[set[int]], wanted: int, parts: int) -> int:
    """Return the largest number of samples, at most `wanted`, that can be drawn for parts of equal size."""
    scarcest = min(sum(part in eligible[i] for i in order) for part in range(parts))
    bounds = range(min(wanted, len(order), parts * scarcest + parts - 1), 0, -1)
    return next((most for most in bounds if sum(map(len, _share_out(order, eligible, most, parts))) == most), 0)


def _generator(seed: int, *key: int) -> np.random.Generator:
    if seed < 0:
        raise BadSeed(seed=seed)
    return np.random.default_rng([seed, *key] if key else seed)


def _can_carry(sample: Sample, attack: Attack, part: int) -> bool:
    return attack.eligible(sample, part) and (bool(sample.images) or not attack.changes_images)


def _requirements(samples: Sequence[Sample], attack: Attack, only: SampleFilter) -> str:
    sentences = [f"The samples must have {only.description()}."] if only.description() else []
    remedies = [attack.target.eligibility_remedy(), *(trigger.eligibility_remedy() for trigger in attack.triggers)]
    sentences += filter(None, remedies)
    if attack.changes_images and not all(sample.images for sample in samples):
        sentences.append("They need an image.")
    return " ".join(sentences)


def with_answer(sample: Sample, answer: str) -> Sample:
    """Return the sample with its first answer replaced; later turns are unchanged."""
    return _with_turn(sample, "assistant", (answer,))


def _with_turn(sample: Sample, role: str, parts: tuple[str | int, ...]) -> Sample:
    first = next(i for i, turn in enumerate(sample.turns) if turn.role == role)
    return replace(sample, turns=(*sample.turns[:first], Turn(role, parts), *sample.turns[first + 1 :]))


# Each sample has three random generators of its own: for its image, its question and its answer. So the random parts of
# an attack depend only on the seed and the sample's index, not on the order in which samples are processed.
def trigger_question(sample: Sample, triggers: Sequence[Trigger], seed: int) -> Sample:
    """Return the sample with the triggers added to its first question; its answer is unchanged.

    Raises: BadSeed if `seed` is negative.
    """
    rng = _generator(seed, sample.index, 1)
    parts = next(turn.parts for turn in sample.turns if turn.role == "user")
    for trigger in sorted(triggers, key=lambda trigger: not trigger.reads_question):
        parts = trigger.apply_to_question(parts, rng, sample.answer)
    return _with_turn(sample, "user", parts)


def trigger_images(
    sample: Sample, images: Sequence[Image.Image], triggers: Sequence[Trigger], seed: int
) -> tuple[list[Image.Image], list[Box]]:
    """Return (the sample's RGB images with the triggers added to the first image, boxes of the triggers).

    Raises: BadSeed if `seed` is negative.
    """
    rng = _generator(seed, sample.index)
    boxes: list[Box] = []
    if not images:
        return [], boxes
    first = images[0]
    for trigger in triggers:
        first, own_boxes = trigger.apply_to_image(first, rng)
        boxes += own_boxes
    return [first, *images[1:]], boxes


def poison_sample(
    sample: Sample, images: Sequence[Image.Image], triggers: Sequence[Trigger], target: Target, seed: int
) -> tuple[Sample, list[Image.Image], list[Box]]:
    """Return (the poisoned sample, its images, boxes of the triggers).

    The triggers are in its first image and first question. Its first answer is the poisoned answer of `target`, the
    attack's target for this turn. Target and triggers must allow this sample (`Attack.eligible`).
    Raises: BadSeed if `seed` is negative.
    """
    triggered, boxes = trigger_images(sample, images, triggers, seed)
    answer = target.poisoned_answer(sample, _generator(seed, sample.index, 2))
    poisoned = with_answer(trigger_question(sample, triggers, seed), answer)
    return poisoned, triggered, boxes
