"""Questions that rarely repeat: kinds follow the topic, new questions join them, and sets of templates stay."""

import time
from collections import Counter

import numpy as np
import pytest

from bye_core.question_kinds import Kinds, question_labels
from bye_core.question_topics import YES_OR_NO, marks
from tests.free_questions import free_questions, purity


@pytest.fixture(scope="module", params=[600, 2000])
def free(request):
    questions, topics = free_questions(request.param, seed=request.param)
    counts = Counter(questions)
    assert len(counts) >= 400
    assert max(counts.values()) <= 5
    return questions, topics, Kinds(questions)


def without_topics(questions, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("bye_core.question_kinds.topic_count", lambda questions, least: 0)
        return Kinds(questions)


def test_kinds_follow_the_topic(free, monkeypatch):
    questions, topics, kinds = free
    before = without_topics(questions, monkeypatch)
    assert purity(kinds.numbers, topics) >= 0.95
    assert purity(question_labels(questions), topics) >= 0.95
    assert purity(before.numbers, topics) < 0.9
    assert min(np.bincount(kinds.numbers)) >= 20
    assert kinds.rest is None
    assert len(kinds.by_topic) > 3


def test_words_group_questions_whose_marks_are_unknown(free, monkeypatch):
    questions, topics, _ = free
    before = purity(without_topics(questions, monkeypatch).numbers, topics)
    monkeypatch.setattr("bye_core.question_topics.marks", lambda question: set())
    after = purity(Kinds(questions).numbers, topics)
    assert after >= 0.55
    assert after > before - 0.05


def test_a_new_question_joins_the_kind_of_its_topic(free):
    questions, _, kinds = free
    assert [kinds.of(question) for question in questions[:200]] == kinds.numbers[:200].tolist()
    usual = Counter(zip(kinds.numbers.tolist(), free[1], strict=True))
    for question, topic in {
        "How many hippos can you count there?": "counts",
        "What colour is the hippo's ear?": "colours",
        "Is there a hippo in the lake?": "presence",
        "Write a caption with the word hippo.": "captions",
    }.items():
        number = kinds.of(question)
        assert max((count, name) for (kind, name), count in usual.items() if kind == number)[1] == topic
    assert kinds.of("xyzzy") is None


def test_labels_are_readable_and_differ(free):
    _, _, kinds = free
    labels = {number: label for number, label in zip(kinds.numbers.tolist(), kinds.labels, strict=True)}
    assert len(set(labels.values())) == len(labels)
    named = [labels[number] for number in kinds.by_topic]
    assert all(label.startswith("about: ") and len(label) < 80 for label in named)
    assert any("color" in label for label in named)
    assert any("how many" in label for label in named)


def test_kinds_do_not_depend_on_chance(free):
    questions, _, kinds = free
    assert Kinds(questions).numbers.tolist() == kinds.numbers.tolist()


@pytest.mark.parametrize("trigger", ["Hello! {}", "{} Thank you!", "{} cf"])
def test_a_question_with_a_trigger_stays_in_its_kind(trigger):
    questions, _ = free_questions(600, seed=5)
    planted = np.random.default_rng(0).random(600) < 0.1
    asked = [trigger.format(text) if hit else text for text, hit in zip(questions, planted, strict=True)]
    kinds = Kinds(asked)
    same = [kinds.of(text) == kinds.numbers[row] for row, text in enumerate(questions) if planted[row]]
    assert np.mean(same) >= 0.95
    assert max(planted[kinds.numbers == kind].mean() for kind in set(kinds.numbers)) < 0.3


def test_few_templates_keep_their_kinds(monkeypatch):
    templates = ["How many shapes are there?", "What is behind the shapes?", "Describe it.", "Which colors do you see?"]
    rare = [f"w{number} x{number} y{number} z{number}?" for number in range(150)]
    for questions in (templates * 300, [*templates * 300, *rare]):
        kinds, before = Kinds(questions), without_topics(questions, monkeypatch)
        assert kinds.numbers.tolist() == before.numbers.tolist()
        assert (kinds.labels, kinds.rest, kinds.by_topic) == (before.labels, before.rest, frozenset())


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("How many dogs are there?", {"how many"}),
        ("Tell me: is the dog red?", {YES_OR_NO}),
        ("Can you see what colour it is?", {"color"}),
        ("Could you describe the picture?", {"description"}),
        ("A dog is here: yes or no?", {YES_OR_NO}),
        ("Wie viele Hunde sind da?", set()),
        ("", set()),
    ],
)
def test_marks(question, asked):
    assert marks(question) == asked


def test_many_questions_take_little_time():
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{number}" for number in range(5000)])
    texts = [" ".join(row) for row in vocabulary[(rng.random((20_000, 8)) ** 3 * 5000).astype(int)]]
    start = time.process_time()
    kinds = Kinds(texts)
    assert time.process_time() - start < 5, "1e5 questions took 6 s"
    assert len(kinds.by_topic) > 1
