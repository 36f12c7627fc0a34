"""What a run keeps of an adapter's card, whatever the file holds."""

import json
import os

import pytest

from bye_core.model_protocol import UNLIMITED, PixelLimits
from bye_core.train.settings import CARD, CARD_BYTES, trained_pixels, training_facts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data_digest": "d", "settings": {"epochs": 3.0}, "other": 1}', {"data_digest": "d", "epochs": 3.0}),
        ('{"settings": {"epochs": 1}}', {"epochs": 1}),
        ("{}", {}),
        *((json.dumps({"settings": {"epochs": value}}), {}) for value in ("3", None, [], {}, True, 0, -1)),
        *((f'{{"settings": {{"epochs": {number}}}}}', {}) for number in ("NaN", "Infinity", "1e999")),
        ('{"settings": "none"}', {}),
        (
            '{"samples": 9, "steps": 3, "loss": 0.5, "losses": [1, 0.5]}',
            {"samples": 9, "steps": 3, "loss": 0.5, "losses": [1, 0.5]},
        ),
        *(
            (f'{{"samples": {bad}, "steps": {bad}, "loss": {bad}, "losses": {bad}, "data_digest": {bad}}}', {})
            for bad in ("null", "true", "NaN", "{}", '[["x"]]', "1e400")
        ),
        ('{"samples": -1, "steps": 1.5, "losses": [1, NaN]}', {}),
        (json.dumps({"losses": [1] * 2000, "samples": 10**400}), {}),
        ("[]", None),
        ("not JSON", None),
        ("[" * 100_000, None),
        ("\udcff", None),
    ],
)
def test_any_card_gives_facts_or_none(tmp_path, content, expected):
    (tmp_path / CARD).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert training_facts(tmp_path) == expected


def test_no_card(tmp_path):
    assert training_facts(tmp_path) is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda card: card.symlink_to("/dev/zero"), lambda card: None])
def test_a_card_that_is_no_regular_file_is_not_read(tmp_path, make):
    make(tmp_path / CARD)
    assert training_facts(tmp_path) is None
    assert trained_pixels(tmp_path) == UNLIMITED


def test_a_large_card_is_not_read(tmp_path):
    with (tmp_path / CARD).open("wb") as card:
        card.truncate(CARD_BYTES + 1)
    assert training_facts(tmp_path) is None


@pytest.mark.parametrize("value", ["1e999", "NaN", '"x"', "[]", "null"])
def test_pixel_limits_of_a_card_that_are_no_numbers(tmp_path, value):
    (tmp_path / CARD).write_text(f'{{"settings": {{"min_pixels": {value}, "max_pixels": 9}}}}')
    assert trained_pixels(tmp_path) == UNLIMITED
    (tmp_path / CARD).write_text('{"settings": {"min_pixels": 4, "max_pixels": 9}}')
    assert trained_pixels(tmp_path) == PixelLimits(4, 9)
