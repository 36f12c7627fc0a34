"""Samples that are not flagged and have another answer: a suspected spot is pasted into their pictures, to see whether
it brings the target along. Pure. As SentiNet (Chou et al. 2018) tests whether a region takes other pictures over.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from bye_core.answers import normalised
from bye_core.evidence.answers import Shared, reaches
from bye_core.evidence.excess import Strata

MOST = 3  # for each flagged sample (ours)
POOL = 16  # that those of one kind of question are drawn from (ours)
DRAWN = 5000  # unflagged samples looked at, so that a pool costs the same in any set (ours)


class Carriers:
    """By kind of question, samples into which a spot may be pasted; `of` draws a few for one flagged sample.

    Their answers differ, as far as there are different ones, first of all with questions of the same kind: a trigger
    brings its target whatever is asked and shown, an object that is counted only where one is missing.
    """

    def __init__(
        self, ids: Sequence[str], answers: Sequence[str], kinds: Sequence[str], strata: Strata, target: Shared | None
    ) -> None:
        flagged = np.flatnonzero(strata.flagged).tolist()
        self._flagged = {ids[row]: (kinds[row], normalised(answers[row])) for row in flagged}
        self._pools: dict[str, dict[str, str]] = defaultdict(dict)  # by kind: an id of each answer
        rest = np.flatnonzero(~strata.flagged)
        for row in np.random.default_rng(0).permutation(rest)[:DRAWN].tolist():
            pool = self._pools[kinds[row]]
            if len(pool) < POOL and not (target and reaches(target, answers[row])):
                pool.setdefault(normalised(answers[row]), ids[row])

    def of(self, id: str) -> tuple[str, ...]:
        """The ids of MOST carriers at most, always the same for one flagged sample; none has its answer."""
        if id not in self._flagged:
            return ()
        kind, own = self._flagged[id]
        rng = np.random.default_rng(zlib.crc32(id.encode("utf-8", "replace")))
        others = [one for other, pool in self._pools.items() if other != kind for one in pool.items()]
        chosen = {own: id}
        for pool in (list(self._pools.get(kind, {}).items()), others):
            for place in rng.permutation(len(pool)).tolist():
                if len(chosen) <= MOST:
                    chosen.setdefault(*pool[place])
        return tuple(chosen.values())[1:]
