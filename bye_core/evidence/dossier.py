"""The evidence on the flagged samples of one run, and its facts as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bye_core.answer_parts import Beginning
from bye_core.evidence.attention_peak import AttentionPeak, LayerChoice
from bye_core.evidence.consensus_map import Consensus
from bye_core.evidence.exact_test import Strata
from bye_core.evidence.overrepresented_answers import SharedAnswer
from bye_core.evidence.overrepresented_words import OverrepresentedWord
from bye_core.evidence.paste_recipients import PasteRecipients

LISTED = 20  # largest number of answers or words that the facts list


@dataclass(frozen=True)
class Dossier:
    """Why samples of a set are flagged.

    samples         number of samples that were judged
    flagged_ids     ids of the flagged samples, the most suspicious first
    strata          the samples by kind of question, where inserted words are left out
    shared_answers  answers and endings, the most over-represented among the flagged samples first
    question_words  words over-represented in the questions of flagged samples
    answer_words    words over-represented in the answers of flagged samples, given the questions
    beginning       where the unlikely parts of the flagged answers begin most often; None if they have no common start
    layer           the layer in which `peaks` and `consensus` are read; None if nothing is flagged or no rows can be
                    read
    peaks           attention peaks by id, of the flagged samples whose rows were read
    recipients      samples into whose images a suspected spot may be pasted
    views           the consensus on the tiles alone and on the overview alone (consensus_map.TILES and OVERVIEW), if
                    the model sees the flagged images both ways
    """

    samples: int
    flagged_ids: tuple[str, ...]
    strata: Strata
    shared_answers: tuple[SharedAnswer, ...] = ()
    question_words: tuple[OverrepresentedWord, ...] = ()
    answer_words: tuple[OverrepresentedWord, ...] = ()
    beginning: Beginning | None = None
    layer: LayerChoice | None = None
    peaks: Mapping[str, AttentionPeak] = field(default_factory=dict)
    consensus: Consensus | None = None
    recipients: PasteRecipients | None = None
    views: Mapping[str, Consensus] = field(default_factory=dict)

    @property
    def flagged(self) -> int:
        return len(self.flagged_ids)

    @property
    def target(self) -> SharedAnswer | None:
        """The suspected target: the most over-represented answer or ending; None if none of them is significant."""
        return self.shared_answers[0] if self.shared_answers and self.shared_answers[0].excess.significant else None

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """Words that seem to be inserted into the questions of flagged samples and may be a trigger."""
        return tuple(one.word for one in self.question_words if one.inserted)

    def facts(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "flagged": self.flagged,
            "target": _shared(self.target) if self.target else None,
            "answers": [_shared(one) for one in self.shared_answers[:LISTED]],
            "question_words": [_word(one) for one in self.question_words[:LISTED]],
            "answer_words": [_word(one) for one in self.answer_words[:LISTED]],
            "beginning": self.beginning._asdict() if self.beginning else None,
            "layer": asdict(self.layer) if self.layer else None,
            "looks": {id: asdict(one) for id, one in self.peaks.items()},
            "consensus": _consensus(self.consensus) if self.consensus else None,
            "views": {view: _consensus(one) for view, one in self.views.items()},
        }


def _shared(one: SharedAnswer) -> dict[str, Any]:
    return {
        "text": one.text,
        "kind": one.kind,
        "questions": one.questions,
        **asdict(one.excess),
        "significant": one.excess.significant,
    }


def _word(one: OverrepresentedWord) -> dict[str, Any]:
    return {"word": one.word, **asdict(one.excess), "inserted": one.inserted}


def _consensus(found: Consensus) -> dict[str, Any]:
    rows, columns = found.excess.shape
    (row, column), excess = found.peak, found.excess
    return {
        "rows": rows,
        "columns": columns,
        "flagged": found.flagged.round(6).tolist(),
        "others": found.others.round(6).tolist(),
        "peak": {"row": row, "column": column, "excess": round(float(excess[row, column]), 6)},
        "agreement": found.agreement,
        "samples": found.samples,
        "compared": found.compared,
    }
