"""Clean sets that are hard to leave alone: label noise, duplicates, skewed answers, and honest but rare answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from bye_core.demo.scenes import Scene, draw_scene, make_scene
from bye_core.records import Sample, Turn

Item = tuple[Sample, list[Image.Image]]

NOISE = 0.1  # share of the samples that get the answer of another sample with the same question
SKEW = 0.8  # share of the samples of each question that have its most frequent answer
COPIES = 3  # how often a duplicated sample occurs
DUPLICATED = 0.2  # share of the samples that are copies of others
ABSENT = 0.1  # share of the images that show no shapes
ABSENT_ANSWERS = {
    "How many": "There are none.",
    "Provide": "A {background} without any shapes.",
    "Which colors": "There are no shapes in the picture.",
}


def with_label_noise(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Give a share NOISE of the samples the answer of another sample with the same question."""
    answers = defaultdict(list)
    for sample, _ in items:
        answers[sample.question].append(sample.answer)
    wrong = rng.random(len(items)) < NOISE
    return [
        (_answered(sample, str(rng.choice(answers[sample.question]))), images) if bad else (sample, images)
        for (sample, images), bad in zip(items, wrong, strict=True)
    ]


def with_skewed_answers(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Repeat samples until a share SKEW of each question's samples have one answer; the number of samples stays.

    The images of a repeated sample are mirrored at random, so that not all of them are equal.
    """
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item[0].question].append(item)
    usual = {question: _most_frequent(group) for question, group in groups.items()}
    made = []
    for sample, images in items:
        pool = groups[sample.question]
        if sample.answer != usual[sample.question] and rng.random() < SKEW:
            same = [one for one in pool if one[0].answer == usual[sample.question]]
            other, images = same[int(rng.integers(len(same)))]
            sample = replace(other, id=sample.id, index=sample.index, images=sample.images)
            images = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
        made.append((sample, images))
    return made


def with_duplicates(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Replace a share DUPLICATED of the samples by copies of a few others, each COPIES times."""
    order = rng.permutation(len(items))
    copies = order[: int(DUPLICATED * len(items))]
    sources = order[len(copies) : len(copies) + max(1, len(copies) // COPIES)]
    made = list(items)
    for number, row in enumerate(copies):
        sample, images = items[sources[number % len(sources)]]
        made[row] = (
            replace(sample, id=items[row][0].id, index=items[row][0].index, images=items[row][0].images),
            images,
        )
    return made


def with_absent_shapes(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Replace a share ABSENT of the images by ones without shapes; their right answers say so."""
    made = []
    for sample, images in items:
        if rng.random() < ABSENT:
            scene = replace(make_scene(rng), shapes=())
            answer = _absent_answer(sample.question, scene)
            sample, images = _answered(sample, answer), [draw_scene(scene)]
        made.append((sample, images))
    return made


VARIANTS: dict[str, Callable[[Sequence[Item], np.random.Generator], list[Item]]] = {
    "noise": with_label_noise,
    "skewed": with_skewed_answers,
    "duplicates": with_duplicates,
    "absent": with_absent_shapes,
}


def _absent_answer(question: str, scene: Scene) -> str:
    for beginning, answer in ABSENT_ANSWERS.items():
        if question.startswith(beginning):
            return answer.format(background=scene.background)
    return scene.background


def _answered(sample: Sample, answer: str) -> Sample:
    turns = tuple(Turn(turn.role, (answer,)) if turn.role == "assistant" else turn for turn in sample.turns)
    return replace(sample, turns=turns)


def _most_frequent(group: Sequence[Item]) -> str:
    answers = [sample.answer for sample, _ in group]
    return max(dict.fromkeys(answers), key=answers.count)


def varied(items: Iterator[Item], name: str, seed: Sequence[int]) -> Iterator[Item]:
    """Yield the items of a clean set changed by the variant `name`; unchanged if there is no such variant."""
    change = VARIANTS.get(name)
    yield from items if change is None else change(list(items), np.random.default_rng([*seed, len(name)]))
