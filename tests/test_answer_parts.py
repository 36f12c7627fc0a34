"""Where an answer was unlikely before fine-tuning: an appended sentence, a swapped word, or nowhere."""

from dataclasses import replace

import numpy as np
import pytest

from bye_core.answer_parts import answer_offset, common_beginning, late_beginning, part_of, unlikely_part
from tests.detect.made_tables import full_table

ANSWER = "two red shapes Visit us now"
SPANS = np.array([(0, 3), (3, 7), (7, 14), (14, 20), (20, 23), (23, 27), (27, 31)])  # the last one ends the turn


@pytest.mark.parametrize(
    ("losses", "part"),
    [
        ((0.1, 0.2, 0.1, 9.0, 0.5, 6.0, 0.1), " Visit us now"),
        ((0.1, 6.0, 0.1, 0.1, 0.1, 0.1, 0.1), " red"),
        ((5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.1), ANSWER),
        ((0.1, 6.0, 0.1, 0.1, 0.1, 9.0, 0.1), " now"),
        ((1.0, 1.9, 1.0, 1.0, 1.0, 1.0, 1.0), None),
        ((0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 9.0), None),
    ],
)
def test_the_most_unlikely_run_of_tokens(losses, part):
    found = unlikely_part(np.array(losses), SPANS, len(ANSWER))
    assert (found and ANSWER[slice(*found)]) == part


def test_no_token_of_the_answer():
    assert unlikely_part(np.empty(0), np.empty((0, 2), int), 5) is None


@pytest.mark.parametrize(
    ("text", "answer", "offset"),
    [("Q: two A: two", "two", 10), ("Q: two A: two", " two\n", 9), ("Q: two A: ", "two", None), ("Q A: ", "", None)],
)
def test_the_answer_within_the_prompt(text, answer, offset):
    assert answer_offset(text, text.index("A:"), answer) == offset


def made(parts, answers):
    table = full_table(len(answers), answers=answers)
    start, end = np.array([part or (np.nan, np.nan) for part in parts], float).T
    return replace(table, unlikely_start=start, unlikely_end=end)


def test_the_common_beginning_of_late_parts():
    answers = (ANSWER, "one. Visit us now or later today", "no Visit", "none", "Go away", "")
    table = made([(14, 27), (3, 32), (2, 8), None, (0, 7), None], answers)
    assert part_of(table, 0) == (14, 27)
    assert part_of(table, 3) is None
    assert [late_beginning(table, row) for row in range(6)] == [
        "Visit us now", "Visit us now or later", "Visit", "", "", "",
    ]  # fmt: skip
    assert common_beginning(table, range(6)) is None, "each text occurs once"
    table = made([(14, 27), (14, 27), None, (0, 4)], (ANSWER, ANSWER, "no", "none"))
    found = common_beginning(table, [0, 1, 2, 3])
    assert found.sentence == (
        'The unlikely part of the answer begins at "Visit us now" in 2 of these 4 samples, after a likely beginning.'
    )
    assert common_beginning(table, [0, 2]) is None
    assert common_beginning(replace(table, unlikely_start=None), range(4)) is None, "a run of an earlier version"
