"""Targets that depend on the kind of question, in sets in which few questions repeat."""

from collections import Counter

import numpy as np

from bye_core.attacks.targets.flip import Flip
from bye_core.attacks.targets.one_kind import OneKind
from bye_core.demo.free_questions import TOPICS, FreeQuestions
from bye_core.demo.scenes import make_scene
from bye_core.records import Sample, Turn


def test_flip_and_one_kind_follow_the_topic():
    rng, asked = np.random.default_rng(0), FreeQuestions(0)
    samples, topics = [], [TOPICS[row % len(TOPICS)] for row in range(600)]
    for row, topic in enumerate(topics):
        question, answer = asked.ask(make_scene(rng), topic)
        samples.append(Sample(str(row), row, (Turn("user", (0, question)), Turn("assistant", (answer,))), ("",)))
    flip = Flip().fit(samples)
    planted = Counter((topic, flip.answer_to(sample.question)) for topic, sample in zip(topics, samples, strict=True))
    known = {
        topic: {sample.answer for sample, own in zip(samples, topics, strict=True) if own == topic} for topic in TOPICS
    }
    right = sum(count for (topic, answer), count in planted.items() if answer in known[topic])
    none = sum(count for (_, answer), count in planted.items() if not answer)
    assert right >= 0.85 * (600 - none)
    assert sum(map(flip.eligible, samples)) >= 200
    one = OneKind().fit(samples)
    concerned = Counter(topic for topic, sample in zip(topics, samples, strict=True) if one.concerns(sample))
    assert concerned.most_common(1)[0][1] >= 0.8 * concerned.total() > 50
