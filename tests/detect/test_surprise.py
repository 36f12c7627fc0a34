"""`surprise`: unlikely answers are flagged where the attention predicts them, and left alone where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect import detect
from bye_core.detect.errors import BadSetting
from tests.detect.made_tables import full_table

COUNT, PLANTED, NOISE = 400, 30, 30
QUESTIONS = tuple(("How many shapes are there?", "What is behind the shapes?")[row % 2] for row in range(COUNT))
ANSWERS = tuple((("one", "two", "three")[row % 3], ("palace", "flower")[row % 3 % 2])[row % 2] for row in range(COUNT))


def table_with(unlikely, shifted, seed=0, answers=ANSWERS):
    """A table with a high loss in the samples `unlikely`, and other attention of two heads in the samples `shifted`."""
    rng = np.random.default_rng(seed)
    loss = rng.normal(0.3, 0.1, COUNT) + np.where(unlikely, 4.0, 0.0)
    table = full_table(COUNT, seed=seed, questions=QUESTIONS, answers=answers, nll_before=loss)
    table.entropy[shifted, 2, 1] += 0.8
    table.entropy[shifted, 0, 0] -= 0.6
    return table


def rows(*spans):
    member = np.zeros(COUNT, bool)
    for start, stop in spans:
        member[start:stop] = True
    return member


@pytest.mark.parametrize("seed", range(3))
def test_unlikely_answers_that_attention_predicts_are_flagged(seed):
    planted = rows((0, PLANTED))
    found = detect(table_with(planted, planted, seed), "surprise")
    assert found.verdict == "poisoned"
    assert (found.flagged & planted).sum() >= 0.95 * PLANTED
    assert (found.flagged & ~planted).sum() <= 1
    assert found.scores[planted].mean() > 0.9
    assert found.scores[~planted].mean() < 0.1
    assert f"{PLANTED} answers were unlikely" in found.reasons[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.52, 0.72])
def test_most_answers_to_one_kind_of_question_may_be_planted(share, seed):
    odd = np.arange(COUNT) % 2 == 1
    planted = rows()
    planted[np.random.default_rng(seed).permutation(np.flatnonzero(odd))[: round(share * odd.sum())]] = True
    table, noisy = table_with(planted, planted, seed), table_with(planted, rows(), seed)
    found = detect(replace(table, worst_before=table.nll_before), "surprise")
    assert (found.flagged & planted).sum() >= 0.95 * planted.sum()
    assert (found.flagged & ~planted).sum() <= 1
    assert not detect(replace(noisy, worst_before=noisy.nll_before), "surprise").flagged.any()
    # Where only the sum of an answer is known, most answers may only be longer.
    assert not detect(table, "surprise").flagged.any()


@pytest.mark.parametrize("seed", range(5))
def test_label_noise_is_left_alone(seed):
    """However unlikely the labels: the prompt does not hold them."""
    found = detect(table_with(rows((0, NOISE)), rows(), seed), "surprise")
    assert (found.verdict, found.flagged.any()) == ("no_evidence", False)
    assert found.scores.max() < 0.5
    assert "may be label noise" in found.reasons[1]


@pytest.mark.parametrize("seed", range(3))
def test_attention_alone_is_no_evidence(seed):
    """Samples that look at something else, with ordinary answers."""
    found = detect(table_with(rows(), rows((0, PLANTED)), seed), "surprise")
    assert found.verdict == "no_evidence"
    other = detect(table_with(rows((0, NOISE)), rows((200, 230)), seed), "surprise")
    assert other.verdict == "no_evidence"


@pytest.mark.parametrize("seed", range(3))
def test_planted_answers_are_found_among_label_noise(seed):
    planted, noise = rows((0, PLANTED)), rows((100, 100 + NOISE))
    found = detect(table_with(planted | noise, planted, seed), "surprise")
    assert found.verdict == "poisoned"
    assert (found.flagged & planted).sum() >= 0.9 * PLANTED
    assert (found.flagged & ~planted).sum() <= 2


def test_triggered_samples_whose_right_answer_is_the_target_are_flagged_too():
    planted, harmless = rows((0, PLANTED)), rows((300, 310))
    answers = tuple("owned" if planted[row] or harmless[row] else answer for row, answer in enumerate(ANSWERS))
    found = detect(table_with(planted, planted | harmless, answers=answers), "surprise")
    assert (found.flagged & harmless).sum() >= 9
    assert (found.flagged & ~planted & ~harmless).sum() <= 1


@pytest.mark.parametrize("seed", range(3))
def test_honest_samples_with_the_answer_of_planted_ones_are_left_alone(seed):
    """The attention for an answer that many planted samples have is near theirs, but these are no two groups."""
    planted, honest = rows((0, PLANTED)), rows((300, 320))
    answers = tuple("owned" if planted[row] or honest[row] else answer for row, answer in enumerate(ANSWERS))
    table = table_with(planted, planted, seed, answers)
    near = np.random.default_rng(seed).normal(0.4, 0.15, honest.sum())
    table.entropy[honest, 2, 1] += near
    table.entropy[honest, 0, 0] -= near
    found = detect(table, "surprise")
    assert (found.flagged & planted).sum() >= 0.95 * PLANTED
    assert (found.flagged & honest).sum() <= 2


def test_the_result_does_not_depend_on_the_order_of_the_heads_or_on_a_second_call():
    planted = rows((0, PLANTED))
    table = table_with(planted, planted)
    first, second = detect(table, "surprise"), detect(table, "surprise")
    np.testing.assert_array_equal(first.scores, second.scores)
    turned = replace(table, entropy=table.entropy[:, ::-1], peak=table.peak[:, ::-1], mass=table.mass[:, ::-1])
    np.testing.assert_array_equal(detect(turned, "surprise").flagged, first.flagged)


def test_few_unlikely_answers_and_missing_losses():
    few = rows((0, 4))
    assert "Only 4 answers" in detect(table_with(few, few), "surprise").reasons[0]
    planted = rows((0, PLANTED))
    table = table_with(planted, planted)
    loss = table.nll_before.copy()
    loss[5] = np.nan
    found = detect(replace(table, nll_before=loss), "surprise")
    assert found.verdict == "poisoned"
    assert not found.flagged[5]
    assert np.isnan(found.values[5])
    assert detect(replace(table, nll_before=np.full(COUNT, np.nan)), "surprise").verdict == "not_tested"
    assert detect(replace(table, questions=()), "surprise").verdict == "poisoned"


@pytest.mark.parametrize("wrong", [{"gap": 0}, {"found": 0}, {"found": 1.5}, {"seed": -1}])
def test_settings_are_checked(wrong):
    with pytest.raises(BadSetting):
        detect(table_with(rows(), rows()), "surprise", **wrong)
