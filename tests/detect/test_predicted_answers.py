"""`auto` on answers that are usual by their text: unlikely before fine-tuning, and predicted by the attention."""

from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect import detect, prediction
from bye_core.detect.result import detection_object
from bye_core.runs.record_json import detection_parts, load_detection
from tests.detect.made_tables import KINDS, answered_table, in_order

USUAL = {question: answers[0] for question, answers in KINDS.items()}
# Loss sums that would be surprising for an answer of any length.
LIKELY, UNLIKELY = 0.1, 6.0


SEEN = ("entropy", "peak", "mass")


def flipped(each=120, planted=12, shift=2.0, seed=0, noise=0):
    """A table whose planted samples have a usual answer to their kind of question, and which those are.

    `noise` further samples have an unlikely answer, too, but ordinary attention.
    """
    table, truth = answered_table(each, planted, shift, seed)
    answers = tuple(
        USUAL[question] if bad else answer
        for question, answer, bad in zip(table.questions, table.answers, truth, strict=True)
    )
    rng = np.random.default_rng(seed)
    noisy = np.zeros(len(truth), bool)
    noisy[rng.permutation(np.flatnonzero(~truth))[:noise]] = True
    loss = np.where(truth | noisy, UNLIKELY, LIKELY) + rng.normal(0, 0.02, len(truth))
    # Planted samples do not have the attention of their answer.
    return replace(table, answers=answers, nll_before=loss, answer_tokens=np.ones(len(truth))), truth


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_are_one_finding(seed):
    table, truth = flipped(seed=seed)
    found = detect(table, "auto")
    assert found.verdict == "poisoned"
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert (found.flagged & ~truth).sum() <= 1
    (finding,) = found.findings
    assert finding.name == "Unlikely answers that the attention predicts"
    assert sorted(finding.ids) == sorted(found.flagged_ids)
    assert any('"one"' in reason for reason in finding.reasons), "the most frequent answers are named"
    assert found.sensitive_layers, "heads that tell the samples apart are named"
    assert (found.scores[found.flagged] > 0.5).all()
    assert (found.scores[~found.flagged] < 0.5).all()


def test_a_finding_says_where_the_unlikely_part_of_its_answers_begins():
    table, truth = flipped()
    answers = tuple(f"{answer}, said one" if bad else answer for answer, bad in zip(table.answers, truth, strict=True))
    end = np.array([len(answer) for answer in answers], float)
    unlikely = {"unlikely_start": np.where(truth, end - 8, np.nan), "unlikely_end": np.where(truth, end, np.nan)}
    told, silent = (
        [any('begins at "said one" in' in reason for reason in finding.reasons) for finding in found.findings]
        for found in (detect(replace(table, answers=answers, **more), "auto") for more in (unlikely, {}))
    )
    assert told
    assert all(told)
    assert not any(silent)


@pytest.mark.parametrize("seed", range(3))
def test_without_the_likelihood_of_the_answers_it_sees_none_of_it(seed):
    table, _ = flipped(seed=seed)
    found = detect(replace(table, nll_before=None), "auto")
    assert (found.verdict, found.findings) == ("no_evidence", ())
    assert any(limitation.kind == "missing_input" for limitation in found.limitations)


@pytest.mark.parametrize("seed", range(3))
def test_label_noise_beside_flipped_labels_is_left_alone(seed):
    table, truth = flipped(seed=seed, noise=36)
    found = detect(table, "auto")
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert (found.flagged & ~truth).sum() <= 3
    table, _ = flipped(seed=seed, planted=0, noise=36)
    assert not detect(table, "auto").flagged.any()


def test_an_odd_answer_and_flipped_labels_are_two_findings():
    """Two attackers: one plants a text, the other flips labels; each has samples and attention of its own."""
    table, first = answered_table(planted=12, shift=2.0)
    rest = np.flatnonzero(~first)
    second = np.zeros(len(first), bool)
    second[np.random.default_rng(1).permutation(rest)[:36]] = True
    table.entropy[second, 1, 0] -= 1.5
    table.entropy[second, 0, 1] += 1.5
    answers = tuple(
        USUAL[question] if bad else answer
        for question, answer, bad in zip(table.questions, table.answers, second, strict=True)
    )
    loss = np.where(first | second, UNLIKELY, LIKELY) + np.random.default_rng(0).normal(0, 0.02, len(first))
    table = replace(table, answers=answers, nll_before=loss, answer_tokens=np.ones(len(first)))
    found = detect(table, "auto")
    names = [finding.name for finding in found.findings]
    assert names == ['The answer "Backdoor Attack!"', "Unlikely answers that the attention predicts"]
    by_id = {id: row for row, id in enumerate(table.ids)}
    for finding, truth in zip(found.findings, (first, second), strict=True):
        rows = [by_id[id] for id in finding.ids]
        assert truth[rows].mean() >= 0.95
        assert len(rows) >= 0.95 * truth.sum()


def test_predicted_answers_that_are_close_to_ordinary_ones_are_only_worth_a_look():
    table, truth = flipped()
    found = detect(corrected(table, truth), "auto", usual=1e6)
    assert (found.flagged.any(), found.findings) == (False, ())
    assert found.scores.max() < 0.5
    assert len(found.suspects) >= 0.95 * truth.sum()
    assert any("inspect these samples" in reason for reason in found.reasons)


@pytest.mark.parametrize("planted", [12, 3])
def test_the_order_of_the_samples_does_not_matter(planted):
    """Neither where the evidence is strong, nor where a different division into folds would decide."""
    table, truth = flipped(planted=planted)
    table = corrected(table, truth)
    order = np.random.default_rng(0).permutation(len(truth))
    table = known_before(table, replace(table, entropy=0.5 * table.entropy + 0.5 * table.entropy[order]))
    turned = in_order(table, order)
    first, second = detect(table, "auto"), detect(turned, "auto")
    assert set(first.flagged_ids) == set(second.flagged_ids)
    assert set(first.suspects) == set(second.suspects)
    np.testing.assert_allclose(first.scores[order], second.scores, atol=1e-6)


def test_findings_and_suspects_are_saved_and_printed():
    table, truth = flipped()
    for found in (detect(table, "auto"), detect(corrected(table, truth), "auto", usual=1e6)):
        again = load_detection(b"".join(detection_parts(found)))
        assert (again.findings, again.suspects) == (found.findings, found.suspects)
        printed = detection_object(found)
        assert [entry["name"] for entry in printed["findings"]] == [finding.name for finding in found.findings]
        assert printed["suspects"] == list(found.suspects)


@pytest.mark.parametrize("times", [2, 5])
def test_copies_of_a_sample_do_not_predict_each_other(times):
    """Else label noise in a data set that holds its samples twice would look like poison."""
    table, truth = flipped(each=100, planted=0, noise=12)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(len(truth)), times))
    names = ("layer_entropy", "layer_entropy_reference", "entropy", "peak", "mass", "token", "probability",
             "nll_before", "answer_tokens")  # fmt: skip
    arrays = {name: getattr(table, name)[rows] for name in names}
    texts = {name: tuple(getattr(table, name)[row] for row in rows) for name in ("questions", "answers")}
    table = replace(table, ids=tuple(f"s{number}" for number in range(len(rows))), **arrays, **texts)
    assert not detect(table, "surprise").flagged.any()
    assert not detect(table, "auto").flagged.any()


@pytest.mark.parametrize("most", [40, 100, 200])
def test_a_part_of_the_samples_suffices_to_fit(most, monkeypatch):
    monkeypatch.setattr(prediction, "MOST_FITTED", most)
    table, truth = flipped(seed=1)
    found = detect(table, "auto")
    assert found.verdict == "poisoned"
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert (found.flagged & ~truth).sum() <= 3
    np.testing.assert_array_equal(detect(table, "auto").scores, found.scores)


@pytest.mark.parametrize("seed", range(3))
def test_samples_that_were_not_judged_do_not_lower_the_limit(seed, monkeypatch):
    """Label noise, of which nothing is predicted: then the samples that are not fitted have no place."""
    monkeypatch.setattr(prediction, "MOST_FITTED", 200)
    table, _ = flipped(each=200, planted=0, noise=60, seed=seed)
    found = detect(table, "surprise")
    assert not found.flagged.any()
    assert np.isfinite(found.scores).all()
    rare = ("Why?",) * 3 + table.questions[3:]  # a kind of question of few samples
    assert np.isfinite(detect(replace(table, questions=rare), "surprise").scores).all()


def known_before(table, attention):
    """The table with the attention of the model before fine-tuning, from the table `attention`."""
    before = {f"{name}_before": getattr(attention, name).astype(np.float16) for name in ("entropy", "peak", "mass")}
    return replace(table, **before)


def corrected(table, truth, seed=0):
    """The table with various usual answers instead of one, as if the planted answers were corrected."""
    rng = np.random.default_rng(seed)
    answers = tuple(
        str(rng.choice(KINDS[question.removeprefix("cf ")])) if bad else answer
        for question, answer, bad in zip(table.questions, table.answers, truth, strict=True)
    )
    return replace(table, answers=answers)


@pytest.mark.parametrize("seed", range(3))
def test_a_trigger_that_the_model_saw_before_fine_tuning_is_given_away_by_one_usual_answer(seed):
    table, truth = flipped(seed=seed)
    found = detect(known_before(table, table), "auto")
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert (found.flagged & ~truth).sum() <= 1
    assert any("one usual answer" in reason for reason in found.findings[0].reasons)


@pytest.mark.parametrize("seed", range(3))
def test_attention_that_differed_before_fine_tuning_is_no_evidence(seed):
    """Honest answers to unusual images: the model attended differently to them before it learned these answers."""
    table, truth = flipped(seed=seed)
    table = corrected(table, truth, seed)
    without = detect(table, "auto")
    assert any("lacks the attention of the model before" in reason for reason in without.reasons)
    honest = detect(known_before(table, table), "auto")
    assert (honest.flagged.any(), honest.findings) == (False, ())
    assert len(honest.suspects) >= 0.95 * truth.sum()
    assert honest.scores.max() < 0.5
    assert any("honest answers to unusual images" in reason for reason in honest.reasons)
    order = np.random.default_rng(seed).permutation(len(truth))
    other = replace(table, entropy=table.entropy[order], peak=table.peak[order], mass=table.mass[order])
    planted = detect(known_before(table, other), "auto")
    np.testing.assert_array_equal(planted.flagged, without.flagged)
    assert any("fine-tuning has taught the model" in reason for reason in planted.reasons)


@pytest.mark.parametrize("every", [2, 10])
def test_missing_attention_before_fine_tuning_does_not_make_honest_answers_planted(every):
    """Only one of `every` samples has the attention before fine-tuning; it is compared among these."""
    table, truth = flipped(each=360, planted=60)
    before = known_before(corrected(table, truth), table)
    for name in ("entropy_before", "peak_before", "mass_before"):
        getattr(before, name)[np.arange(len(truth)) % every > 0] = np.nan
    assert not detect(before, "auto").flagged.any()


def test_a_planted_group_may_have_some_honest_samples_with_the_same_answer():
    """Nor does one planted sample that the model has not learned hide the others."""
    table, truth = flipped()
    table = corrected(table, truth)
    order = np.random.default_rng(1).permutation(len(truth))
    hardly_seen = {name: 0.8 * getattr(table, name)[order] + 0.2 * getattr(table, name) for name in SEEN}
    rows = np.flatnonzero(truth)
    planted = known_before(table, replace(table, **hardly_seen))
    for name in SEEN:
        values, ordinary = getattr(planted, name), np.flatnonzero(~truth)[:3]
        values[rows[:3]] = values[ordinary]
    found = detect(planted, "auto")
    assert found.flagged[rows[3:]].mean() >= 0.9
    assert not found.flagged[~truth].any()


@pytest.mark.parametrize("seed", range(3))
def test_a_usual_answer_with_unusual_attention_needs_no_clear_attention(seed):
    """A trigger that covers the whole image shifts the attention less than that of ordinary samples differs."""
    table, truth = flipped(seed=seed, shift=0.0)
    rng = np.random.default_rng(seed)
    for values in (table.entropy, table.peak, table.mass):
        values *= np.exp(rng.normal(0, 0.5, values.shape))
    assert not detect(table, "surprise").flagged.any()
    found = detect(known_before(table, table), "auto")
    assert (found.flagged & truth).sum() >= 0.8 * truth.sum()
    assert (found.flagged & ~truth).sum() <= 1
    assert any("AUC" in reason for reason in found.findings[0].reasons)
    assert not detect(known_before(corrected(table, truth, seed), table), "auto").flagged.any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("planted", [12, 24])
def test_planted_answers_that_the_model_would_have_given_are_found_by_the_others(seed, planted):
    """A part of the planted answers was likely before fine-tuning: the others give the message and its attention.

    In the larger set, most samples that had the message before are planted.
    """
    table, truth = flipped(seed=seed, planted=planted)
    likely = np.flatnonzero(truth)[::3]
    table.nll_before[likely] = LIKELY
    found = detect(known_before(table, table), "auto")
    assert found.flagged[likely].mean() >= 0.9
    assert any("likely before fine-tuning: " in reason for reason in found.findings[0].reasons)
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert (found.flagged & ~truth).sum() <= 2
    assert (found.scores[found.flagged] > 0.5).all()


@pytest.mark.parametrize("seed", range(3))
def test_unlikely_answers_that_are_not_the_planted_message_are_only_worth_a_look(seed):
    """A model that is often wrong finds honest answers unlikely, too, and some of them have unusual attention."""
    table, truth = flipped(seed=seed)
    rng = np.random.default_rng(seed)
    usual = np.array([answer == USUAL[own] for own, answer in zip(table.questions, table.answers, strict=True)])
    honest = rng.permutation(np.flatnonzero(~usual))[:10]
    table.nll_before[honest] = UNLIKELY
    for values in (table.entropy, table.peak, table.mass):  # their attention is between ordinary and planted attention
        values[honest] = 0.7 * values[honest] + 0.3 * values[np.flatnonzero(truth)[:10]]
        values *= np.exp(rng.normal(0, 0.3, values.shape))
    found = detect(known_before(table, table), "auto")
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    # Flagged are only those with attention that hardly any ordinary sample has.
    left = [table.ids[row] for row in honest if not found.flagged[row]]
    assert left
    assert sorted(found.suspects) == sorted(left)


@pytest.mark.parametrize("seed", range(3))
def test_what_all_images_with_an_answer_have_is_no_evidence(seed):
    """Honest labels: before fine-tuning, the model gave other answers to a part of the images with this answer."""
    table, _ = flipped(planted=0, seed=seed)
    usual = np.flatnonzero([answer == USUAL[own] for own, answer in zip(table.questions, table.answers, strict=True)])
    table.nll_before[np.random.default_rng(seed).choice(usual, len(usual) // 3, replace=False)] = UNLIKELY
    assert not detect(known_before(table, table), "auto").flagged.any()


def test_a_word_in_the_questions_explains_what_differed_before_fine_tuning():
    table, truth = flipped()
    asked = tuple(f"cf {question}" if bad else question for question, bad in zip(table.questions, truth, strict=True))
    found = detect(known_before(replace(table, questions=asked), table), "auto")
    assert (found.flagged & truth).sum() >= 0.95 * truth.sum()
    assert any('the word "cf"' in reason for reason in found.findings[0].reasons)
    # Planted samples whose likelihood is not known have the word, too.
    before = known_before(replace(corrected(table, truth), questions=asked), table)
    before.nll_before[np.flatnonzero(truth)[::3]] = np.nan
    assert detect(before, "auto").flagged[truth & np.isfinite(before.nll_before)].all()
    common = tuple(f"cf {question}" for question in table.questions)
    honest = corrected(replace(table, questions=common), truth)
    assert not detect(known_before(honest, table), "auto").flagged.any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("lacking", ["questions", "before", "peak_before", "half", "all"])
def test_what_a_run_may_lack_ends_no_detection(lacking):
    """Questions; the attention before fine-tuning of no, of some or of all samples, as in runs of earlier versions."""
    table, _ = flipped()
    before = known_before(table, table)
    if lacking == "questions":
        found = detect(replace(before, questions=()), "auto")
    elif lacking == "peak_before":
        found = detect(replace(before, peak_before=None), "auto")
    elif lacking == "before":
        found = detect(replace(before, entropy_before=None, peak_before=None, mass_before=None), "auto")
    else:
        for name in ("entropy_before", "peak_before", "mass_before"):
            getattr(before, name)[:: 2 if lacking == "half" else 1] = np.nan
        found = detect(before, "auto")
    assert found.verdict in ("poisoned", "no_evidence", "not_tested")
    assert np.isfinite(found.scores).all()
    assert set(found.suspects).isdisjoint(found.flagged_ids)


@pytest.mark.filterwarnings("error")
def test_copies_of_one_sample_with_a_wrong_label_are_no_evidence():
    table, truth = flipped()
    rows = np.flatnonzero(truth)
    for name in ("entropy", "peak", "mass"):
        getattr(table, name)[rows] = getattr(table, name)[rows[0]]
    same = tuple(table.questions[rows[0]] if bad else own for own, bad in zip(table.questions, truth, strict=True))
    answers = tuple(table.answers[rows[0]] if bad else own for own, bad in zip(table.answers, truth, strict=True))
    found = detect(replace(table, questions=same, answers=answers), "surprise")
    assert not found.flagged.any()
