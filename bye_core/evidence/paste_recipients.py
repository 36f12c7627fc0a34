"""Chooses the unflagged samples into whose images a suspected spot is pasted.

If the model then gives the target for these images, the spot drives the answer (after SentiNet, Chou et al. 2018).
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import scipy

from bye_core.evidence.exact_test import ALPHA, Strata
from bye_core.evidence.overrepresented_answers import SharedAnswer, has_answer
from bye_core.text import normalised

MOST = 3  # number of recipients for each flagged sample (ours)

POOL = 16  # number of samples from which the recipients of one kind of question are drawn (ours)

DRAWN = 5000  # number of unflagged samples inspected, which limits the cost in large sets (ours)

# An answer is usual if clearly more than this share of unflagged samples have it for the same kind of question (ours).
# A smaller share may be poison that the detection missed.
USUAL = 0.05

_AT_TARGET = object()  # differs from every text


class PasteRecipients:
    """Samples into whose images a spot may be pasted, by kind of question; `draw` picks a few for a flagged sample.

    Recipients have different answers if possible, and samples of the same kind of question come first. If the answer is
    usual for its kind of question, only samples of other kinds are used. The reason: a part of an image with the right
    objects causes a usual answer, but a trigger causes its target for any question.

    one_kind  whether there is only one kind of question
    """

    def __init__(
        self,
        ids: Sequence[str],
        answers: Sequence[str],
        kinds: Sequence[str],
        strata: Strata,
        target: SharedAnswer | None,
    ) -> None:
        flagged = np.flatnonzero(strata.flagged).tolist()
        self._flagged = {ids[row]: (kinds[row], normalised(answers[row])) for row in flagged}
        self._pools: dict[str, dict[str, str]] = defaultdict(dict)  # kind -> answer -> id of a sample
        self._said: dict[str, Counter[object]] = defaultdict(Counter)  # kind -> answer -> number of samples with it
        rest = np.flatnonzero(~strata.flagged)
        for row in np.random.default_rng(0).permutation(rest)[:DRAWN].tolist():
            pool, said = self._pools[kinds[row]], normalised(answers[row])
            at_target = target is not None and has_answer(target, answers[row])
            self._said[kinds[row]][_AT_TARGET if at_target else said] += 1
            if len(pool) < POOL and not at_target:
                pool.setdefault(said, ids[row])
        self._target = target
        self.one_kind = len(set(kinds)) < 2

    def draw(self, id: str) -> tuple[str, ...]:
        """Return the ids of up to MOST recipients whose answers differ from the sample's answer.

        Every call returns the same ids.
        """
        if id not in self._flagged:
            return ()
        kind, own = self._flagged[id]
        rng = np.random.default_rng(zlib.crc32(id.encode("utf-8", "replace")))
        same = [] if self._usual(kind, own) else list(self._pools.get(kind, {}).items())
        others = [one for other, pool in self._pools.items() if other != kind for one in pool.items()]
        chosen = {own: id}
        for pool in (same, others):
            for place in rng.permutation(len(pool)).tolist():
                if len(chosen) <= MOST:
                    chosen.setdefault(*pool[place])
        return tuple(chosen.values())[1:]

    def _usual(self, kind: str, answer: str) -> bool:
        said = self._said[kind]
        name = _AT_TARGET if self._target and has_answer(self._target, answer) else answer
        return said[name] > 0 and scipy.stats.binomtest(said[name], said.total(), USUAL, "greater").pvalue < ALPHA
