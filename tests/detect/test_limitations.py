"""What a detection could not have seen: when "no evidence" becomes "not tested"."""

from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect import DETECTORS, detect
from bye_core.detect.limitations import (
    ENOUGH_SCANNED,
    MOST_COMPARED,
    ScanFacts,
    limited,
    scan_limitations,
    training_limitations,
    unlearned_answers,
)
from bye_core.detect.result import detection_object
from bye_core.records import Limitation
from tests.detect.made_tables import TARGET, answered_table, make_table, one_mode

TUNED = {"data_digest": "d", "epochs": 3.0}
FINE = ScanFacts(samples=200, scanned=200, data_digest="d", adapter=True, tuning=TUNED, answers_begun=0.9)


def kinds(facts):
    found = scan_limitations(facts)
    assert all(limitation.decisive for limitation in found)
    assert all(limitation.reason.endswith(".") and limitation.remedy.endswith(".") for limitation in found)
    return [limitation.kind for limitation in found]


def test_a_complete_scan_of_an_adapter_that_learned_the_set_is_a_test():
    assert kinds(FINE) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scanned": 0}, ["nothing_scanned"]),
        ({"samples": 0, "scanned": 0}, ["nothing_scanned"]),
        ({"scanned": 179}, ["incomplete_scan"]),
        ({"scanned": 180}, []),
        ({"adapter": False, "tuning": None}, ["not_finetuned"]),
        ({"tuning": None}, ["unknown_adapter"]),
        ({"tuning": {"data_digest": "other", "epochs": 3.0}}, ["other_data"]),
        ({"tuning": {}}, ["other_data"]),
        ({"tuning": {"data_digest": "d", "epochs": 0.3}}, ["short_training"]),
        ({"tuning": {"data_digest": "d"}}, []),
        ({"tuning": {"data_digest": ""}, "data_digest": ""}, ["other_data"]),
        ({"tuning": {**TUNED, "samples": 179}}, ["partial_training"]),
        ({"tuning": {**TUNED, "samples": 180}}, []),
        ({"tuning": {**TUNED, "samples": 0}, "tuned_on_this_data": True}, []),
        ({"adapter": False, "tuning": None, "tuned_on_this_data": True}, []),
        ({"tuning": None, "tuned_on_this_data": True}, []),
        ({"tuning": {"data_digest": "other"}, "tuned_on_this_data": True}, []),
        ({"scanned": 10, "adapter": False, "tuning": None}, ["incomplete_scan", "not_finetuned"]),
    ],
)
def test_each_obstacle_is_named(changes, expected):
    assert ENOUGH_SCANNED == 0.9
    assert kinds(replace(FINE, **changes)) == expected


def test_no_evidence_becomes_not_tested_and_says_why():
    quiet = detect(make_table(one_mode(200)[:, None]), "bye")
    assert quiet.verdict == "no_evidence"
    untested = limited(quiet, scan_limitations(replace(FINE, adapter=False, tuning=None)))
    assert untested.verdict == "not_tested"
    stated = detection_object(untested)
    assert stated["verdict"] == "not_tested"
    assert "No adapter was scanned" in stated["reasons"][0]
    assert "--tuned-on-this-data" in stated["reasons"][0]
    assert limited(quiet, ()).verdict == "no_evidence"


def test_found_poison_stays_found_with_the_obstacle_as_a_caution():
    table = make_table(
        np.concatenate([np.full(20, 1.0), np.full(180, 5.0)])[:, None] + np.linspace(0, 0.1, 200)[:, None]
    )
    found = limited(detect(table, "bye"), scan_limitations(replace(FINE, tuning=None)))
    assert found.verdict == "poisoned"
    assert "not known" in found.explanation[0]
    assert found.flagged.sum() == 20


@pytest.mark.parametrize("method", [name for name in DETECTORS if name != "random"])
def test_every_method_states_what_it_never_sees(method):
    assert DETECTORS[method].misses.startswith("It ")
    assert DETECTORS[method].fewest >= 50


def test_few_samples_are_not_tested_and_enough_are():
    fewest = DETECTORS["bye"].fewest
    few, enough = (detect(make_table(one_mode(count)[:, None]), "bye") for count in (fewest - 1, fewest))
    assert (few.verdict, enough.verdict) == ("not_tested", "no_evidence")
    assert f"only {fewest - 1} samples" in few.explanation[0]
    assert enough.explanation[-1].startswith(DETECTORS["bye"].misses)


def test_a_later_limitation_replaces_an_earlier_one_of_its_kind():
    quiet = detect(make_table(one_mode(20)[:, None]), "bye")
    newer = limited(quiet, [Limitation("few_samples", "New.", "Do it.", True)])
    assert [one.reason for one in newer.obstacles] == ["New."]


def test_an_odd_answer_that_the_model_has_not_learned_is_no_all_clear():
    table, truth = answered_table()
    learned, unlearned = (replace(table, token=np.where(truth, token, 1)) for token in (7, 1))
    assert detect(learned, "bye").verdict == "no_evidence"
    found = detect(unlearned, "bye")
    assert found.verdict == "not_tested"
    assert found.explanation[0].startswith(f'The answer "{TARGET}" is out of place')
    times = MOST_COMPARED // len(truth) + 2
    arrays = {name: np.tile(getattr(unlearned, name), times) for name in ("token",)}
    arrays |= {
        name: np.tile(getattr(unlearned, name), (times, 1)) for name in ("layer_entropy", "layer_entropy_reference")
    }
    texts = {name: getattr(unlearned, name) * times for name in ("questions", "answers")}
    large = replace(unlearned, ids=tuple(f"s{row}" for row in range(times * len(truth))), **arrays, **texts)
    assert [one.kind for one in unlearned_answers(large)] == ["not_learned"]


FALLING = [2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2]


@pytest.mark.parametrize(
    ("losses", "falling"),
    [
        (FALLING, True),
        (FALLING[::2], True),
        ([0.35, 0.34, 0.25, 0.25, 0.2, 0.17, 0.18, 0.19, 0.15, 0.11], True),
        ([2.2, 1.6, 1.1, 0.4, 0.2, 0.07, 0.04, 0.03, 0.02, 0.02], False),
        ([0.21, 0.16, 0.12, 0.1, 0.07, 0.04, 0.04, 0.04, 0.02, 0.02], False),
        ([2.6, 1.3, 1.1, 0.9, 0.5, 0.4, 0.22, 0.17, 0.08, 0.07], False),
        ([0.004, 0.002, 0.001, 0.001, 0.004, 0.014, 0.015, 0.012, 0.001, 0.001], False),
        (FALLING[::-1], False),
        (FALLING[:4], False),
        ([], False),
    ],
)
def test_a_loss_that_still_falls_is_named_without_deciding(losses, falling):
    found = training_limitations(replace(FINE, tuning={**TUNED, "losses": losses}))
    assert [(one.kind, one.decisive) for one in found] == [("loss_falling", False)] * falling
    quiet = limited(detect(make_table(one_mode(200)[:, None]), "bye"), found)
    assert quiet.verdict == "no_evidence"
    assert any("still falling" in reason for reason in quiet.explanation) == falling


@pytest.mark.parametrize(
    "changes", [{"tuning": None}, {"tuned_on_this_data": True}, {"data_digest": "other"}, {"adapter": False}]
)
def test_the_loss_of_another_training_says_nothing(changes):
    assert training_limitations(replace(FINE, tuning={**TUNED, "losses": FALLING}, **changes) if "tuning" not in changes
                                else replace(FINE, **changes)) == ()  # fmt: skip


@pytest.mark.parametrize("method", [name for name in DETECTORS if name != "random"])
def test_samples_without_the_inputs_of_a_method_are_not_tested(method):
    """A model in half precision may give no numbers."""
    table = answered_table(planted=0)[0]
    size = len(table.ids)
    table = replace(table, hidden=np.ones((size, 4)), nll=np.ones(size), nll_before=np.ones(size))
    inputs = DETECTORS[method].needs or ("layer_entropy",)
    arrays = {name: np.array(getattr(table, name), float) for name in (*inputs, "layer_entropy_reference", "entropy")}
    arrays |= {"layer_entropy": np.array(table.layer_entropy), "peak": np.array(table.peak)}
    for array in arrays.values():
        array[: size // 5] = np.nan
    cut = {"cut": 1e9} if method == "cleansight" else {}  # it also flags ordinary samples of this table
    found = detect(replace(table, **arrays), method, **cut)
    assert found.verdict == "not_tested"
    assert "partial_input" in [one.kind for one in found.obstacles]
    assert "Only 80% of the samples have" in " ".join(found.explanation)


def test_a_kind_of_question_whose_answers_are_mostly_unlikely_is_named():
    """Planted answers do not stand out where most answers are unlikely, be they planted or not."""
    table = answered_table(planted=0)[0]
    counts = np.array([question.startswith("How many") for question in table.questions])
    loss = np.where(counts & (np.arange(len(counts)) % 4 > 0), 7.0, 0.1)
    found = detect(replace(table, nll_before=loss), "auto")
    assert not found.flagged.any()
    named = [one for one in found.limitations if one.kind == "unlikely_kind"]
    assert len(named) == 1
    assert 'questions like "How many shapes are there?" were unlikely' in named[0].reason
    assert not any(
        one.kind == "unlikely_kind" for one in detect(replace(table, nll_before=loss / 9), "auto").limitations
    )
    assert not any(one.kind == "unlikely_kind" for one in detect(replace(table, nll_before=loss), "tcap").limitations)


def test_found_poison_does_not_hide_that_a_part_of_the_samples_was_not_judged():
    table = answered_table(shift=2.0)[0]
    loss = np.where(np.arange(len(table.ids)) % 2, np.nan, 1.0)
    found = detect(replace(table, nll_before=loss), "auto")
    assert found.verdict == "poisoned"
    assert any("Only 50% of the samples have the likelihood" in sentence for sentence in found.explanation)


def test_missing_likelihoods_are_named_by_a_method_that_also_uses_them():
    table = answered_table(planted=0)[0]
    loss = np.where(np.arange(len(table.ids)) % 2, np.nan, 1.0)
    found = detect(replace(table, nll_before=loss), "auto")
    assert found.verdict == "no_evidence"
    assert "Only 50% of the samples have the likelihood of the answers before fine-tuning" in " ".join(
        found.explanation
    )
