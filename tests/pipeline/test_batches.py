"""Batches of similar lengths: little padding, the same batches whatever was scanned before, groups within a limit."""

import random

import pytest

from bye_core.data import images
from bye_core.models.lengths import PromptLengths
from bye_core.pipeline.batches import WINDOW, cut, missing_batches, padding_share
from tests.models.tiny import sample, tiny_models


def spread(count, seed=0):
    """Lengths of prompts with 64 to 1,024 image tokens and short texts."""
    chance = random.Random(seed)
    return [chance.randint(64, 1024) + chance.randint(10, 60) for _ in range(count)]


@pytest.mark.parametrize("size", [8, 16, 32])
def test_at_most_a_tenth_of_the_positions_is_padding(size):
    lengths = spread(size * WINDOW)
    in_order = [range(start, start + size) for start in range(0, len(lengths), size)]
    assert padding_share(lengths, in_order) > 0.3
    assert padding_share(lengths, cut(lengths, size)) <= 0.1


def test_batches_hold_every_sample_once_in_order():
    lengths = spread(70)
    batches = cut(lengths, 16)
    assert sorted(index for batch in batches for index in batch) == list(range(70))
    assert all(batch == sorted(batch) for batch in batches)
    assert batches == sorted(batches)
    assert cut([5] * 40, 16) == [list(range(16)), list(range(16, 32)), list(range(32, 40))]
    assert cut([], 4) == []


SAMPLES = [sample(f"s{n}", "x" * (7919 * n % 400)) for n in range(WINDOW * 4 * 2 + 3)]
LENGTH = PromptLengths(processor=None)


def made(scored, read=lambda sample: [(10, 10)]):
    return list(missing_batches(SAMPLES, 4, scored, read, LENGTH))


def test_a_resumed_scan_makes_the_same_batches():
    every = made(())
    assert sum(len(batch.samples) for batch in every) == len(SAMPLES)
    for stop in (1, 7, WINDOW + 2):
        scored = {sample.id for batch in every[:stop] for sample in batch.samples}
        assert made(scored) == every[stop:]
    partly = {sample.id for sample in every[3].samples[:2]}
    assert made(partly) == every


def test_windows_without_missing_samples_are_not_opened():
    read = []
    made({one.id for one in SAMPLES[: WINDOW * 4]}, lambda one: read.append(one.id) or [(10, 10)])
    assert read == [one.id for one in SAMPLES[WINDOW * 4 :]]
    assert not made({one.id for one in SAMPLES})


def test_large_images_are_decoded_in_groups(monkeypatch):
    monkeypatch.setattr(images.group_by_pixels, "__defaults__", (250,))
    batch = next(missing_batches(SAMPLES, 4, (), lambda sample: [(10, 10)], LENGTH))
    assert [list(group) for group in batch.groups] == [[0, 1], [2, 3]]


def test_estimated_lengths():
    one = sample("a", "a question of 28 characters", images=1, system="be kind")
    assert PromptLengths(None)(one, []) == (27 + 7) // 4
    assert PromptLengths(None, answers=True)(one, []) == (27 + 7 + 10) // 4
    assert PromptLengths(None)(one, [(280, 280), (0, 0)]) == 8 + 100
    processor = tiny_models()["llava"].processor()
    assert PromptLengths(processor)(one, [(280, 280)]) == 8 + 25
