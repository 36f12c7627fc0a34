"""Finds the part of an answer that was unlikely before fine-tuning, such as a sentence that an attacker appends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from bye_core.records import ScanTable

UNLIKELY = 2.0  # nats a token: a part with a smaller mean loss is not unlikely (ours, as the setting `gap` of `auto`)
# A beginning is reported if it is shared by at least this many samples and this share of them (ours).
LEAST, SHARE = 2, 0.2
WORDS = 5  # words of the part that are quoted
PUNCTUATION = " \t\n.,;:!?-"


class Beginning(NamedTuple):
    """Where the unlikely parts of answers begin: `text` in `samples` of `total` answers, after a likely beginning."""

    text: str
    samples: int
    total: int

    @property
    def sentence(self) -> str:
        where = f"in {self.samples:,} of these {self.total:,} samples"
        return f'The unlikely part of the answer begins at "{self.text}" {where}, after a likely beginning.'


def answer_offset(text: str, start: int, answer: str) -> int | None:
    """Return the position in `text`, from `start` on, of the answer's first character; None if it is not there.

    Chat templates may remove the white space around an answer.
    """
    at = text.find(answer.strip(), start) if answer.strip() else -1
    return None if at < 0 else at - (len(answer) - len(answer.lstrip()))


def unlikely_part(losses: np.ndarray, spans: np.ndarray, length: int) -> tuple[int, int] | None:
    """Return the characters [start, end) of the part of an answer that is most unlikely; None if no part is.

    losses [T] nats; spans [T, 2] characters of the answer that each token covers; length of the answer. It is the run
    of tokens with the largest sum of losses above UNLIKELY. Tokens outside the answer do not count.
    """
    inside = (spans[:, 1] > 0) & (spans[:, 0] < length) & (spans[:, 0] < spans[:, 1])
    spans = np.clip(spans[inside], 0, length)
    totals = np.concatenate([[0.0], np.cumsum(losses[inside] - UNLIKELY)])
    rises = totals[1:] - np.minimum.accumulate(totals[:-1])
    if not len(rises) or rises.max() <= 0:
        return None
    last = int(rises.argmax())
    first = int(totals[: last + 1].argmin())
    return int(spans[first, 0]), int(spans[last, 1])


def part_of(table: ScanTable, row: int) -> tuple[int, int] | None:
    """Return the characters [start, end) of the unlikely part of a sample's answer; None if there is none."""
    if table.unlikely_start is None or table.unlikely_end is None or not table.answers:
        return None
    start, end = table.unlikely_start[row], table.unlikely_end[row]
    return (int(start), int(end)) if np.isfinite(start) and np.isfinite(end) else None


def late_beginning(table: ScanTable, row: int) -> str:
    """Return the first words of the unlikely part of a sample's answer, "" if the answer has no likely beginning."""
    part, answer = part_of(table, row), table.answers[row] if table.answers else ""
    if part is None or not answer[: part[0]].strip(PUNCTUATION):
        return ""
    return " ".join(answer[slice(*part)].strip(PUNCTUATION).split()[:WORDS])


def common_beginning(table: ScanTable, rows: Iterable[int]) -> Beginning | None:
    """Return where the unlikely parts of the answers of `rows` begin most often; None if they have no common start."""
    beginnings = [late_beginning(table, int(row)) for row in rows]
    ((text, count),) = Counter(filter(None, beginnings)).most_common(1) or [("", 0)]
    return Beginning(text, count, len(beginnings)) if count >= max(LEAST, SHARE * len(beginnings)) else None
