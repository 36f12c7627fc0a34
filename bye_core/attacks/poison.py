"""Plants a trigger and the attacker's answer in a share of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from bye_core.attacks.base import Box, Trigger
from bye_core.errors import SettingError
from bye_core.records import Sample, Turn


class BadPoisonRate(SettingError):
    problem = "A poison rate of {rate} makes no sense."
    remedy = "Give a share from 0 to 1; the paper plants 0.1."


def choose(samples: Sequence[Sample], rate: float, seed: int) -> frozenset[str]:
    """Ids of round(rate * N) samples, drawn without replacement. Raises BadPoisonRate."""
    if not 0 <= rate <= 1:
        raise BadPoisonRate(rate=rate)
    order = np.random.default_rng(seed).permutation(len(samples))
    return frozenset(samples[i].id for i in order[: round(rate * len(samples))])


def with_answer(sample: Sample, answer: str) -> Sample:
    """The sample with its first answer replaced; later turns stay."""
    place = next(i for i, turn in enumerate(sample.turns) if turn.role == "assistant")
    return replace(sample, turns=(*sample.turns[:place], Turn("assistant", (answer,)), *sample.turns[place + 1 :]))


def plant(
    sample: Sample, pictures: Sequence[Image.Image], trigger: Trigger, target: str, seed: int
) -> tuple[Sample, list[Image.Image], list[Box]]:
    """The poisoned copy of a sample: trigger in its first picture, `target` as its first answer, and where it lies.

    What is random about the trigger depends on `seed` and the sample's place alone, not on the order of work.
    """
    rng = np.random.default_rng([seed, sample.index])
    first, boxes = trigger.apply(pictures[0], rng)
    return with_answer(sample, target), [first, *pictures[1:]], boxes
