"""The kinds of question of a data set, with the usual answer to each. Targets that look ordinary are made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bye_core.question_kinds import LEAST_SHARE, Kinds, words
from bye_core.question_topics import marks
from bye_core.records import Sample
from bye_core.text import normalised

REST = ""  # stands for all questions without a frequent kind


def usual_answer(samples: Sequence[Sample]) -> str:
    """Return the most frequent answer, in its most frequent spelling; "" without samples. The first one wins a tie."""
    counts = Counter(normalised(sample.answer) for sample in samples)
    if not counts:
        return ""
    most = counts.most_common(1)[0][0]
    return Counter(sample.answer for sample in samples if normalised(sample.answer) == most).most_common(1)[0][0]


def usual_answers(samples: Sequence[Sample]) -> tuple[tuple[str, str], ...]:
    """Return (question, usual answer) of every kind of question, the most frequent kind first.

    `question` is the most frequent question of the kind, and REST for all questions without a frequent kind. Of a
    topic, in which few questions repeat, it is one that asks for the same as most of them.
    """
    questions = [sample.question for sample in samples]
    # A kind with a smaller share has too few samples to have a usual answer.
    kinds = Kinds(questions, max(2.0, LEAST_SHARE * len(questions)))
    groups: dict[int, list[Sample]] = {}
    for number, sample in zip(kinds.numbers.tolist(), samples, strict=True):
        groups.setdefault(number, []).append(sample)
    ordered = sorted(groups.items(), key=lambda group: (group[0] == kinds.rest, -len(group[1])))
    return tuple(
        (_leader(own, number in kinds.by_topic) if number != kinds.rest else REST, usual_answer(own))
        for number, own in ordered
    )


def _leader(samples: Sequence[Sample], topic: bool) -> str:
    asked = Counter(sample.question for sample in samples)
    if topic:
        counts = Counter(frozenset(marks(sample.question)) for sample in samples)
        usual = counts.most_common(1)[0][0]
        asked = Counter({question: count for question, count in asked.items() if marks(question) == usual})
    return asked.most_common(1)[0][0]


class KindOf:
    """Finds the kind of a question among kinds that are given by one question each."""

    def __init__(self, leaders: Sequence[str]) -> None:
        self._kinds = Kinds([leader for leader in leaders if leader != REST], 1)
        self._leaders = {self._kinds.of(leader): leader for leader in leaders if leader != REST}
        # Without a kind for all other questions, each question belongs to the leader that asks for the most similar.
        self._asked = {} if REST in leaders else {leader: marks(leader) for leader in self._leaders.values()}

    def __call__(self, question: str) -> str:
        """Return the leader of the kind that `question` belongs to; REST if it belongs to none."""
        number = self._kinds.of(question)
        if number is not None:
            return self._leaders.get(number, REST)
        asked, own = marks(question), words(question)
        near = {leader: (len(wanted & asked), len(own & words(leader))) for leader, wanted in self._asked.items()}
        return max((leader for leader in near if near[leader][0]), key=near.__getitem__, default=REST)
