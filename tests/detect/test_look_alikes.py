"""`auto` where honest samples look like planted ones, or where one part of the poison looks like ordinary samples."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect import detect
from bye_core.detect.auto import examine
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.candidate_answers import Answers
from bye_core.question_kinds import Families, Kinds
from tests.detect.made_tables import KINDS, TARGET, answered_table, full_table, in_order
from tests.detect.test_predicted_answers import LIKELY, UNLIKELY, corrected, flipped, known_before

NONSENSE = (TARGET, "Visit evil site", "Zork plugh")


def with_losses(table, unlikely, **facts):
    """The table with likelihoods: `unlikely` [N] samples were unlikely before fine-tuning."""
    noise = np.random.default_rng(0).normal(0, 0.02, len(unlikely))
    facts = {"answer_tokens": np.ones(len(unlikely)), **facts}
    return replace(table, nll_before=np.where(unlikely, UNLIKELY, LIKELY) + noise, **facts)


def shuffled(table, seed=0):
    """The table with the attention of other samples."""
    order = np.random.default_rng(seed).permutation(len(table.ids))
    return replace(table, **{name: getattr(table, name)[order] for name in ("entropy", "peak", "mass")})


def answers_of(table, chosen, texts):
    """The table's answers; the samples `chosen` [N] have `texts` in turn. And first tokens that fit the answers."""
    new = iter(texts * len(chosen))
    answers = tuple(next(new) if own else answer for own, answer in zip(chosen, table.answers, strict=True))
    token = np.unique([answer.split()[0] for answer in answers], return_inverse=True)[1]
    return {"answers": answers, "token": token}


@pytest.mark.parametrize("likelihood", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_several_odd_answers_do_not_hide_each_other(count, likelihood):
    table, truth = answered_table(planted=20, shift=2.0)
    table = replace(table, **answers_of(table, truth, NONSENSE[:count]))
    if likelihood:
        table = with_losses(table, truth)
        table = known_before(table, table)  # the trigger is plain to see
    found = detect(table, "auto")
    np.testing.assert_array_equal(found.flagged, truth)
    assert [finding.name for finding in found.findings] == [f'The answer "{text}"' for text in NONSENSE[:count]]


@pytest.mark.parametrize("seed", range(3))
def test_an_answer_that_is_usual_to_one_kind_of_question_is_honest_there(seed):
    """The attacker answers "three" to everything; so do honest samples that ask for a number."""
    table, truth = answered_table(shift=2.0, seed=seed)
    facts = answers_of(table, truth, ("three",))
    honest = ~truth & np.array([answer == "three" for answer in facts["answers"]])
    assert honest.sum() > truth.sum() / 2
    found = detect(with_losses(replace(table, **facts), truth), "auto")
    np.testing.assert_array_equal(found.flagged, truth)
    # If the answer is likely everywhere, its text decides, as it does without likelihoods.
    likely = detect(with_losses(replace(table, **facts), np.zeros(len(truth), bool)), "auto")
    np.testing.assert_array_equal(likely.flagged, detect(replace(table, **facts), "auto").flagged)


def test_an_answer_without_a_likelihood_is_not_called_likely():
    table, truth = answered_table(shift=3.0)
    for losses in (np.where(truth, np.nan, LIKELY), np.full(len(truth), np.nan)):
        (odd,) = Answers(table.answers, Kinds(table.questions).numbers, losses).candidates(0.004, 0.45)
        assert (odd.text, odd.unlikely) == (TARGET, None)
        found = detect(replace(table, nll_before=losses), "auto")
        assert found.flagged[truth].all()


@pytest.mark.parametrize("few", [3, 4, 5])
def test_few_honest_samples_with_unusual_images_are_left_alone(few):
    """The model saw the difference from the start; there are too few samples, or just enough, to compare with that."""
    for seed in range(4):
        table, unusual = answered_table(planted=few, shift=3.0, kinds=tuple(KINDS)[:1], each=300, seed=seed)
        likely = np.flatnonzero(~unusual)[: max(0, 5 - few)]
        chosen = unusual.copy()
        chosen[likely] = True
        table = with_losses(replace(table, **answers_of(table, chosen, ("zero",))), unusual)
        assert not detect(known_before(table, table), "auto").flagged.any()


def test_the_distance_of_few_samples_is_no_evidence_by_itself():
    """Attention that does not depend on the answers: the mean of five samples is far from other means by chance."""
    settings, standing_out = AutoSettings(), 0
    for seed in range(6):
        table, _ = answered_table(planted=0, seed=seed)
        rng = np.random.default_rng(seed)
        chosen = np.zeros(len(table.ids), bool)
        for start in range(0, len(chosen), 120):
            chosen[start + rng.permutation(120)[:5]] = True
        table = shuffled(with_losses(replace(table, **answers_of(table, chosen, ("n/a",))), chosen), seed)
        known = known_before(table, shuffled(table, seed + 1))
        seen = examine(known, settings)
        standing_out += any(one.random or one.stands_out(len(seen.candidates), settings) for one in seen.comparisons)
        assert not seen.planted
    assert standing_out, "the case occurs"


def test_an_odd_answer_that_the_model_has_not_learned_is_not_planted():
    table, truth = answered_table(shift=2.0)
    tokens = np.random.default_rng(0).integers(0, 9, len(truth))
    assert not detect(replace(table, token=tokens), "auto").flagged.any()
    # Where other answers begin with the same word, the first token does not tell whether the answer is learned.
    answers = tuple(f"The {answer}" for answer in table.answers)
    same = replace(table, answers=answers, token=np.zeros(len(truth), int))
    np.testing.assert_array_equal(detect(same, "auto").flagged, truth)


@pytest.mark.parametrize("share", [0.2, 0.33])
def test_planted_samples_that_were_likely_before_do_not_count_as_ordinary(share):
    table, truth = flipped(each=200, planted=30)
    table = corrected(table, truth, 0)
    table = replace(table, answers=answers_of(table, truth, ("zork", "plugh", "xyzzy", "frotz"))["answers"])
    low = np.random.default_rng(0).permutation(np.flatnonzero(truth))[: int(share * truth.sum())]
    table.nll_before[low] = 0.3
    other = shuffled(table)
    dim = {name: 0.8 * getattr(other, name) + 0.2 * getattr(table, name) for name in ("entropy", "peak", "mass")}
    found = detect(known_before(table, replace(table, **dim)), "auto")
    assert found.flagged[truth].mean() >= 0.9
    assert not found.flagged[~truth].any()


def rare_question(words):
    """Honest samples whose questions have other words; the model saw their attention from the start."""
    table, rare = answered_table(planted=10, shift=2.0, kinds=tuple(KINDS)[:2])
    questions = tuple(words(text) if own else text for text, own in zip(table.questions, rare, strict=True))
    answers = answers_of(table, rare, ("eleven", "twelve", "thirteen", "fourteen"))
    table = with_losses(replace(table, questions=questions, **answers), rare)
    return known_before(table, table), rare


def test_a_word_in_place_of_another_is_no_trigger():
    table, _ = rare_question(lambda text: text.replace("shapes", "people"))
    found = detect(table, "auto")
    assert not found.flagged.any()
    assert not any('the word "people"' in reason for reason in found.explanation)


def test_a_word_more_may_be_the_trigger_or_the_reason_for_the_answer():
    table, rare = rare_question(lambda text: f"{text} Kindly!")
    found = detect(table, "auto")
    np.testing.assert_array_equal(found.flagged, rare)
    assert any('the word "kindly"' in reason and "honest" in reason for reason in found.explanation)


def usual_in_one_kind(size=400, seed=0):
    """Samples of one kind of question with one usual answer, unlikely before, and attention of their own.

    Behind this may be a trigger, another source of images where this answer is right, or images of a sort that the
    model misjudged before fine-tuning.
    """
    rng = np.random.default_rng(seed)
    group = np.concatenate([rng.random(size) < 0.1, np.zeros(size, bool)])
    questions = ("Is there a person in the picture?",) * size + ("What color is the car?",) * size
    answers = ["no" if own or rng.random() < 0.2 else "yes" for own in group[:size]]
    answers += rng.choice(["red", "blue", "green"], size).tolist()
    learned = np.unique(answers, return_inverse=True)[1]
    table = full_table(2 * size, seed=seed, questions=questions, answers=tuple(answers), token=learned)
    table.entropy[group, 2, 1] += 1.5
    table.entropy[group, 1, 0] -= 1.0
    return with_losses(table, group), group


@pytest.mark.parametrize("seed", range(3))
def test_a_usual_answer_to_one_kind_of_question_that_the_model_saw_from_the_start_is_only_worth_a_look(seed):
    table, group = usual_in_one_kind(seed=seed)
    planted = detect(known_before(table, shuffled(table)), "auto")
    assert planted.flagged[group].all()
    honest = detect(known_before(table, table), "auto")
    assert (honest.verdict, honest.flagged.any()) == ("no_evidence", False)
    assert set(honest.suspects) == {table.ids[row] for row in np.flatnonzero(group)}
    assert any(
        "4 times or more" in reason and "honest answers to unusual images" in reason for reason in honest.reasons
    )
    unknown = known_before(table, table)
    for name in ("entropy_before", "peak_before", "mass_before"):
        getattr(unknown, name)[group] = np.nan
    assert not detect(unknown, "auto").flagged.any(), "nothing to compare with"


def test_an_unusual_answer_to_a_second_kind_of_question_does_not_make_the_usual_one_planted():
    table, group = usual_in_one_kind()
    dark = np.zeros(len(group), bool)
    dark[400:408] = True
    table.entropy[dark, 2, 1] += 1.5
    table.entropy[dark, 1, 0] -= 1.0
    table = with_losses(replace(table, **answers_of(table, dark, ("too dark to tell",))), group | dark)
    assert not detect(known_before(table, table), "auto").flagged.any()


@pytest.mark.parametrize("share", [0.55, 0.72])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_kind_of_question_that_the_model_was_mostly_wrong_about_hides_no_planted_answers(share, seed):
    """Without a pattern in the images: these answers are not flagged, and the planted ones to other kinds are."""
    table, truth = flipped(each=200, seed=seed)
    asked = np.array(table.questions)
    kept = np.flatnonzero(~truth | (asked != asked[0]))
    table, truth, first = in_order(table, kept), truth[kept], asked[kept] == asked[0]
    wrong = first & (np.random.default_rng(seed).random(len(first)) < share)
    table = with_losses(table, truth | wrong)
    for before in (table, shuffled(table)):
        found = detect(known_before(replace(table, worst_before=table.nll_before), before), "auto")
        assert found.flagged[truth].mean() > 0.9
        assert (found.flagged & ~truth).sum() <= 2
        assert set(found.suspects).isdisjoint(found.flagged_ids)


@pytest.mark.parametrize("seed", range(3))
def test_images_of_a_sort_that_the_model_misjudged_in_most_cases_are_only_worth_a_look(seed):
    """In one kind of question, most right answers were unlikely before fine-tuning."""
    table, group = usual_in_one_kind(seed=seed)
    ordinary = np.flatnonzero(~group)
    kept = np.concatenate([np.flatnonzero(group), ordinary[ordinary < 400][:30], ordinary[ordinary >= 400]])
    table, group = in_order(table, kept), group[kept]
    table = replace(table, worst_before=table.nll_before)
    assert detect(known_before(table, shuffled(table)), "auto").flagged[group].mean() > 0.9, "planted answers are found"
    assert not detect(known_before(table, table), "auto").flagged.any()


def test_a_usual_answer_to_several_kinds_of_question_is_planted_and_what_the_model_saw_is_said():
    table, truth = flipped()
    seen, unseen = (detect(known_before(table, before), "auto") for before in (table, shuffled(table)))
    for found, expected in ((seen, True), (unseen, False)):
        assert found.flagged[truth].all()
        assert any("several kinds of question" in reason for reason in found.explanation)
        assert any("saw from the start" in reason for reason in found.explanation) == expected
        assert not any("These may be honest" in reason for reason in found.explanation), "poisoned, it says"


@pytest.mark.parametrize("spread", [False, True])
def test_where_questions_hardly_repeat_a_word_is_the_trigger_only_in_all_sorts_of_question(spread):
    """A word in one sort of question asks for that; the model saw the attention from the start."""
    table, rare = answered_table(planted=10, shift=2.0)
    members = np.flatnonzero(rare & (spread | (np.array(table.questions) == table.questions[0])))
    group = np.isin(np.arange(len(rare)), members)
    kept = np.flatnonzero(group | ~rare)
    table, group = in_order(table, kept), group[kept]
    questions = tuple(
        f"{text} {'beneath' if own else 'around'} item {row}"
        for row, (text, own) in enumerate(zip(table.questions, group, strict=True))
    )
    texts = tuple(f"thing{row}" for row in range(30))
    table = with_losses(replace(table, questions=questions, **answers_of(table, group, texts)), group)
    found = detect(known_before(table, table), "auto")
    assert found.flagged.any() == spread
    assert any('the word "beneath"' in reason for reason in found.explanation)


@pytest.mark.parametrize(("shift", "flagged"), [(0.6, False), (2.0, True)])
def test_an_odd_answer_that_the_model_saw_from_the_start_needs_a_clear_distance(shift, flagged):
    table, unusual = answered_table(each=100, planted=8, shift=shift)
    table = with_losses(replace(table, **answers_of(table, unusual, ("too blurry to tell",))), unusual)
    found = detect(known_before(table, table), "auto")
    assert found.flagged.any() == flagged
    assert any("from the start" in reason for reason in found.explanation) == flagged


@pytest.mark.parametrize("appended", [True, False])
def test_the_same_words_behind_different_answers_are_planted_even_if_the_trigger_is_plain_to_see(appended):
    table, truth = flipped()
    table = corrected(table, truth, 0)
    texts = [f"{answer}, said one" if appended else f"{answer} zork{n % 7}" for n, answer in enumerate(table.answers)]
    answers = tuple(text if own else answer for text, answer, own in zip(texts, table.answers, truth, strict=True))
    ends = np.array([len(answer) for answer in answers], float)
    starts = ends - np.where(appended, len("said one"), len("zork1"))
    parts = {"unlikely_start": np.where(truth, starts, np.nan), "unlikely_end": np.where(truth, ends, np.nan)}
    table = replace(table, answers=answers, **parts)
    found = detect(known_before(table, table), "auto")
    assert found.flagged[truth].all() == appended
    assert not found.flagged[~truth].any()
    said = [reason for reason in found.explanation if "different answers" in reason]
    assert bool(said) == appended
    assert all('"said one", follow' in reason and "inspect some" in reason for reason in said)


def test_one_character_of_a_script_without_spaces_is_no_word():
    usual = [f"{one}色的一个{other}" for one in "红蓝绿黄" for other in "圆方角星"] * 6
    texts, kinds = usual + ["是", "否"] * 30, np.array([0] * len(usual) + [1] * 60)
    texts[:8] = texts[96:104] = ["也"] * 8  # an honest answer to both kinds of question
    assert not [one for one in Answers(texts, kinds, None).candidates(0.004, 0.45) if not one.whole]
    planted = [f"{text}访问恶意网站" if n % 10 == 9 else text for n, text in enumerate(texts)]
    words = [one for one in Answers(planted, kinds, None).candidates(0.004, 0.45) if not one.whole]
    assert [int(one.members.sum()) for one in words] == [15], "a planted sentence is found once"


def test_unlikely_answers_that_nothing_predicts_are_not_worth_a_look():
    table, _ = answered_table(planted=0)
    for seed in range(3):
        unlikely = np.random.default_rng(seed).random(len(table.ids)) < 0.15
        found = detect(with_losses(shuffled(table, seed), unlikely), "auto")
        assert not found.flagged.any()
        assert len(found.suspects) <= 0.1 * unlikely.sum()


def test_the_share_of_confused_samples_is_not_known_for_few():
    from bye_core.detect.before_fine_tuning import clearer_by_fine_tuning

    table, truth = answered_table(planted=1)
    used = np.ones(len(truth), bool)
    kinds = np.zeros(len(truth), int)
    assert clearer_by_fine_tuning(table, kinds, truth, ~used, used, 0) is None, "the scan did not read it"
    known = known_before(table, table)
    assert math.isnan(clearer_by_fine_tuning(known, kinds, truth, ~used, used, 0))


@pytest.mark.parametrize("likelihood", [False, True])
def test_the_common_words_of_a_planted_answer_are_no_planted_words(likelihood):
    """The attacker's answer has a word of nearly all honest captions."""
    table, truth = answered_table(planted=20, shift=2.0)
    table = replace(table, **answers_of(table, truth, ("a zork",)))
    assert sum(answer.startswith("a ") for answer in table.answers) > 1.5 * truth.sum()
    found = detect(with_losses(table, truth) if likelihood else table, "auto")
    np.testing.assert_array_equal(found.flagged, truth)
    assert [finding.name for finding in found.findings] == ['The answer "a zork"']


def test_a_few_honest_sentences_do_not_make_short_answers_novel():
    """There are more different sentences than short answers, but few samples have them."""
    table, _ = answered_table(planted=0, kinds=list(KINDS)[:1], each=240)
    answers = list(table.answers)
    for number, row in enumerate(range(0, 240, 5)):
        answers[row] = f"there seem to be {number} shapes in it"
    candidates = Answers(answers, Kinds(table.questions).numbers).candidates(0.004, 0.45)
    assert candidates == []
    sentences = [f"there seem to be {number} shapes in it" for number in range(220)] + 20 * ["zork"]
    [odd] = Answers(sentences, np.zeros(240, int)).candidates(0.004, 0.45)
    assert odd.text == "zork"


@pytest.mark.parametrize("likelihood", [False, True])
@pytest.mark.parametrize("honest", [3, 30])
def test_a_kind_of_question_with_no_other_answer_is_left_alone(honest, likelihood):
    """The planted text is the right answer to one kind of question, which has no other answer to compare with."""
    table, truth = answered_table(planted=20, shift=2.0, each=160)
    rows = np.flatnonzero(~truth)[:honest]
    questions, answers = list(table.questions), list(table.answers)
    for row in rows:
        questions[row], answers[row] = "Which licence number belongs to that vehicle?", TARGET
    table = replace(table, questions=tuple(questions), answers=tuple(answers))
    found = detect(with_losses(table, truth) if likelihood else table, "auto")
    np.testing.assert_array_equal(found.flagged, truth)


@pytest.mark.parametrize("text", ["!!!", "✅", "🔥🔥🔥", "-", ""])
def test_a_planted_answer_may_have_no_words(text):
    table, truth = answered_table(planted=20, shift=2.0)
    answers = tuple(text if bad else answer for bad, answer in zip(truth, table.answers, strict=True))
    found = detect(replace(table, answers=answers, token=np.where(truth, 7, table.token)), "auto")
    np.testing.assert_array_equal(found.flagged, truth)


@pytest.mark.parametrize("seed", range(3))
def test_few_samples_of_each_of_many_kinds_are_far_by_chance(seed):
    """An honest answer to three images of each kind; the attention has nothing to do with it."""
    rng, kinds, each = np.random.default_rng(seed), 10, 60
    kind = np.arange(kinds * each) % kinds
    things = ["licence plates", "tall trees", "old boats", "wild birds", "red kites", "white sheep", "stone walls"]
    things += ["paper lamps", "green doors", "glass jars"]
    answers = [f"{things[k]} k{k}x{rng.integers(10**6)}" for k in kind]
    for row in np.concatenate([rng.permutation(np.flatnonzero(kind == k))[:3] for k in range(kinds)]):
        answers[row] = "unreadable"
    facts = {"questions": tuple(f"{things[k]} {things[k][::-1]}" for k in kind), "answers": tuple(answers)}
    token = np.where(np.array(answers) == "unreadable", 7, rng.integers(100, 600, len(answers)))
    table = full_table(len(kind), layers=16, heads=16, seed=seed, token=token, **facts)
    found = detect(table, "auto")
    assert not found.flagged.any()


def test_many_kinds_of_question_take_no_longer_than_many_samples():
    """Which kinds share words is worked out by matrices: 200 kinds took minutes when each pair was compared."""
    counts = [{f"w{(7 * kind + 3 * number) % 4000}": 1 + number % 5 for number in range(150)} for kind in range(200)]
    groups = Families(counts)
    for word in range(100):
        assert len(groups.of(frozenset([f"w{word}"]))) == 200


@pytest.mark.parametrize("ordinary", [18, 38])
def test_few_samples_in_most_kinds_and_many_in_one(ordinary):
    """There are fewer ordinary samples of one kind than planted ones, so as many random ones cannot be drawn."""
    table, truth = answered_table(planted=40, shift=2.0, each=ordinary + 40)
    kind = np.array([list(KINDS).index(question) for question in table.questions])
    rows = np.concatenate(
        [np.flatnonzero(~truth), *(np.flatnonzero(truth & (kind == k))[: (4, 40, 4)[k]] for k in range(3))]
    )
    some = in_order(table, np.sort(rows))
    found = detect(some, "auto", most=0.9)
    np.testing.assert_array_equal(found.flagged, truth[np.sort(rows)])
