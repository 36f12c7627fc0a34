"""Planted answers in a kind of question in which the model before fine-tuning would have given all of them."""

from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect import detect
from tests.detect.made_tables import KINDS, in_order
from tests.detect.test_predicted_answers import LIKELY, flipped

BACKGROUND = list(KINDS)[1]


def likely_in_one_kind(seed, planted=12):
    """Flipped labels; those about the background were all likely before fine-tuning."""
    table, truth = flipped(seed=seed, planted=planted)
    asked = np.array([question == BACKGROUND for question in table.questions])
    table.nll_before[asked] = LIKELY
    return table, truth, truth & asked


@pytest.mark.parametrize("seed", range(3))
def test_their_attention_is_that_of_the_planted_answers_to_other_questions(seed):
    table, truth, likely = likely_in_one_kind(seed)
    found = detect(table, "auto")
    assert found.flagged[likely].mean() >= 0.9
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert not (found.flagged & ~truth).any()
    assert (found.scores[found.flagged] > 0.5).all()
    assert (found.scores[~found.flagged] < 0.5).all()
    [finding] = found.findings
    assert sorted(finding.ids) == sorted(found.flagged_ids)
    assert any('one answer to their kind of question ("palace")' in reason for reason in finding.reasons)
    assert np.isfinite(found.values[truth]).all(), "the places of all flagged samples are shown"
    order = np.random.default_rng(seed).permutation(len(truth))
    assert set(detect(in_order(table, order), "auto").flagged_ids) == set(found.flagged_ids)


@pytest.mark.parametrize("seed", range(3))
def test_different_answers_with_such_attention_are_left_alone(seed):
    table, truth, likely = likely_in_one_kind(seed)
    answers = list(table.answers)
    for row, answer in zip(np.flatnonzero(likely), 4 * ["palace", "flower", "river"], strict=True):
        answers[row] = answer
    found = detect(replace(table, answers=tuple(answers)), "auto")
    assert found.flagged[truth & ~likely].all()
    assert not found.flagged[likely].any()


@pytest.mark.parametrize("seed", range(3))
def test_a_kind_without_poison_is_left_alone(seed):
    """Its samples with the most frequent answer have ordinary attention."""
    table, truth, likely = likely_in_one_kind(seed)
    ordinary = np.flatnonzero(np.array([question == BACKGROUND for question in table.questions]) & ~truth)
    for values in (table.entropy, table.peak, table.mass):
        values[likely] = values[ordinary[: likely.sum()]]
    found = detect(table, "auto")
    assert found.flagged[truth & ~likely].all()
    assert not found.flagged[np.array(table.questions) == BACKGROUND].any()


@pytest.mark.parametrize("seed", range(3))
def test_without_a_finding_no_kind_is_searched(seed):
    table, truth, _ = likely_in_one_kind(seed)
    table.nll_before[:] = LIKELY
    assert not detect(table, "auto").flagged[truth].any()
