"""Scores answers: clean performance (CP, CIDEr) on a test set and attack success rate (ASR) on its triggered copy.

Every measure comes with a confidence interval. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bye_core.errors import SettingError
from bye_core.evaluate.cider import cider, words
from bye_core.intervals import CONFIDENCE, as_facts, mean, proportion
from bye_core.question_kinds import question_labels
from bye_core.records import ModelAnswer
from bye_core.text import normalised

METRICS = ("auto", "exact", "cider")
# Longer reference answers are captions and are scored with CIDEr. The limit is ours: 99% of the answers in VQA have at
# most 3 words (Antol et al. 2015); the captions of COCO have at least 8 (Chen et al. 2015).
LONGEST_SHORT_ANSWER = 5

# Returns whether an answer to a triggered question meets the attacker's target: True or False, or None if this cannot
# be decided. bye_core.attacks.targets has one such rule for each kind of target.
Reached = Callable[[ModelAnswer], bool | None]


class UnknownMetric(SettingError):
    problem = "The metric {name!r} does not exist."
    remedy = "Choose one of: {choices}."


def check_metric(metric: str) -> None:
    """Check the name of a metric. Raises: UnknownMetric if it is not one of METRICS."""
    if metric not in METRICS:
        raise UnknownMetric(name=metric, choices=", ".join(METRICS))


def choose_metrics(answers: Sequence[ModelAnswer], types: Sequence[str], metric: str = "auto") -> list[str]:
    """Return the metric of each answer, "exact" or "cider"; `types` holds the kind of each answer's question.

    With "auto", a kind of question gets "cider" if the median length of its reference answers exceeds
    LONGEST_SHORT_ANSWER words, else "exact".
    """
    if metric != "auto":
        return [metric] * len(answers)
    lengths: dict[str, list[int]] = {}
    for answer, kind in zip(answers, types, strict=True):
        lengths.setdefault(kind, []).extend(len(words(text)) for text in answer.correct)
    captions = {kind for kind, own in lengths.items() if median(own) > LONGEST_SHORT_ANSWER}
    return ["cider" if kind in captions else "exact" for kind in types]


def exact_match(answer: ModelAnswer) -> bool:
    """Return whether the given answer equals a correct answer after both pass through `normalised`."""
    return normalised(answer.given) in map(normalised, answer.correct)


@dataclass(frozen=True)
class Evaluation:
    """The scored answers of one model to a test set.

    clean    [N] answers to the test set without a trigger
    types    [N] kind of each question
    metrics  [N] metric of each answer, "exact" or "cider"
    scores   [N] exact match, 0 or 1, or CIDEr, 0 to 10
    attacked answers to the triggered copies of all or some of the samples
    reached  by sample id, whether the attacked answer meets the attacker's target; None without an attack
    """

    clean: tuple[ModelAnswer, ...]
    types: tuple[str, ...]
    metrics: tuple[str, ...]
    scores: tuple[float, ...]
    attacked: tuple[ModelAnswer, ...] = ()
    reached: Mapping[str, bool | None] | None = None

    def facts(self) -> dict[str, Any]:
        """Return CP, CIDEr and ASR as JSON values, for all samples and, in `by_question`, for each kind of question.

        Each measure NAME comes with its confidence interval, NAME_interval, and its number of samples, NAME_samples.
        """
        groups: dict[str, list[int]] = {}
        for row, kind in enumerate(self.types):
            groups.setdefault(kind, []).append(row)
        ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
        table = {kind: {"samples": len(rows), **self._measures(rows)} for kind, rows in ordered}
        return {**self._measures(range(len(self.clean))), "confidence": CONFIDENCE, "by_question": table}

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON object per sample: question, correct answers, the model's answers, and the score."""
        attacked = {answer.id: answer for answer in self.attacked}
        rows = []
        for answer, kind, metric, score in zip(self.clean, self.types, self.metrics, self.scores, strict=True):
            row = {
                "id": answer.id,
                "question": answer.question,
                "type": kind,
                "expected": list(answer.correct),
                "given": answer.given,
                "metric": metric,
                "score": score,
            }
            if self.reached is not None and answer.id in attacked:
                row |= {"given_triggered": attacked[answer.id].given, "reached": self.reached[answer.id]}
            rows.append(row)
        return rows

    def _measures(self, rows: Iterable[int]) -> dict[str, Any]:
        rows = list(rows)
        exact = [bool(self.scores[row]) for row in rows if self.metrics[row] == "exact"]
        captions = [self.scores[row] for row in rows if self.metrics[row] == "cider"]
        facts = {**as_facts("cp", proportion(exact)), **as_facts("cider", mean(captions))}
        if self.reached is not None:
            hits = [hit for row in rows if (hit := self.reached.get(self.clean[row].id)) is not None]
            facts |= as_facts("asr", proportion(hits))
        return facts


def evaluate_answers(
    clean: Sequence[ModelAnswer],
    attacked: Sequence[ModelAnswer] = (),
    reached: Reached | None = None,
    metric: str = "auto",
) -> Evaluation:
    """Score the answers to a test set, and, if `reached` is given, the `attacked` answers to its triggered copy.

    Raises: UnknownMetric if `metric` is not one of METRICS.
    """
    check_metric(metric)
    types = question_labels([answer.question for answer in clean])
    metrics = choose_metrics(clean, types, metric)
    captions = [answer for answer, name in zip(clean, metrics, strict=True) if name == "cider"]
    caption_scores = iter(cider([one.given for one in captions], [one.correct for one in captions]) if captions else ())
    scores = [
        float(next(caption_scores)) if name == "cider" else float(exact_match(answer))
        for answer, name in zip(clean, metrics, strict=True)
    ]
    hits = {answer.id: reached(answer) for answer in attacked} if reached else None
    return Evaluation(tuple(clean), tuple(types), tuple(metrics), tuple(scores), tuple(attacked), hits)
