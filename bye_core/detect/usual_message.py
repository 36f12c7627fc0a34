"""Recognises planted answers that are usual by their text, but come with unusual attention."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from bye_core.answer_parts import part_of
from bye_core.question_topics import WORD
from bye_core.records import ScanTable

# An attacker's message to a kind of question is the same for all images. At least this share of the members have it:
# if the model before fine-tuning is often wrong, a quarter of the members are honest samples (development sets of
# photographs). It is usual if at least this share of the ordinary samples of the kind have it, too (ours).
SAME, USUAL = 2 / 3, 0.05
# Fewer members say nothing, and fewer ordinary samples with the same message cannot be compared (ours).
LEAST_MEMBERS, LEAST_COMPARED = 2, 3


class UsualMessage(NamedTuple):
    """A usual message to each kind of question that most members of a group have.

    share  of the members that ask a kind of question with such a message
    auc    of the places of the members with the message against those of ordinary samples of the same kind with the
           same message: 1 if no such sample has the attention of a member, one half if they do not differ. Mean over
           the kinds of question, weighted by their members
    error  standard deviation of `auc` if members and ordinary samples did not differ
    having  [N] bool: samples with the message of most members of their kind of question, be it usual or not
    kinds   the kinds of question whose message is usual
    """

    share: float
    auc: float
    error: float
    having: np.ndarray
    kinds: tuple[int, ...] = ()


def usual_message(
    table: ScanTable, kinds: np.ndarray, members: np.ndarray, ordinary: np.ndarray, places: np.ndarray
) -> UsualMessage:
    """Compare the attention of members and of ordinary samples that have the same message. Source: ours.

    members, ordinary  [N] bool
    places             [N] place of each sample's attention, larger for members; NaN for samples that were not judged
    A message is a whole answer or, if the answers differ, the part that was unlikely before fine-tuning.
    """
    # Imported on use, because it takes a second.
    from sklearn.metrics import roc_auc_score

    having = np.zeros(len(members), bool)
    if not table.answers:
        return UsualMessage(0.0, 0.0, 0.0, having)
    areas, errors, sizes, usual = [], [], [], []
    ordinary = ordinary & np.isfinite(places)
    for kind in np.unique(kinds[members]):
        inside, others, asked = (np.flatnonzero((kinds == kind) & side) for side in (members, ordinary, True))
        whole = [plain(table.answers[row]) for row in inside]
        for messages in (whole, [_unlikely_part(table, int(row)) for row in inside]):
            ((message, count),) = Counter(messages).most_common(1)
            if not message or count < max(LEAST_MEMBERS, SAME * len(inside)):
                continue
            having[asked] = [_has(table.answers[row], message) for row in asked]
            same = others[having[others]]
            if len(same) >= max(LEAST_COMPARED, USUAL * len(others)):
                own = inside[[text == message for text in messages]]
                compared = np.concatenate([own, same])
                areas.append(roc_auc_score(members[compared], places[compared]))
                errors.append((len(compared) + 1) / (12 * len(own) * len(same)))  # variance of Mann and Whitney's U
                sizes.append(len(inside))
                usual.append(int(kind))
                break
    if not sizes:
        return UsualMessage(0.0, 0.0, 0.0, having)
    weights = np.array(sizes) / sum(sizes)
    error = float(np.sqrt(weights**2 @ errors))
    return UsualMessage(sum(sizes) / int(members.sum()), float(weights @ areas), error, having, tuple(usual))


def _unlikely_part(table: ScanTable, row: int) -> str:
    part = part_of(table, row)
    return "" if part is None else plain(table.answers[row][slice(*part)])


def _has(answer: str, message: str) -> bool:
    return f" {message} " in f" {plain(answer)} "


def plain(text: str) -> str:
    """Return the words of a text, without case and punctuation."""
    return " ".join(WORD.findall(text.casefold()))
