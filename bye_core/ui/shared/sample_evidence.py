"""Explains one sample for Review: why it is flagged or not, and which sample to compare it with. No gradio."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bye_core.detect import PAPER
from bye_core.records import IMAGE, NATS, NOT_TESTED, POISONED, UNITS_OF_VALUES, Detection, Sample, ScanTable
from bye_core.runs.table import few_rows
from bye_core.text import verdict_words
from bye_core.ui.shared.obstacles import explanation
from bye_core.ui.shared.sample_queue import REJECTED, Columns

# Characters of one message on the page; a hostile record may hold 100,000 tokens.
LONGEST_TEXT = 4000
# Samples whose median stands for all, and questions that are compared. A page waits for both (ours).
MOST_COMPARED, MOST_QUESTIONS = 2_000, 2_000
NAMED_HEADS = 24  # a method may use all heads of a layer


class Fact(NamedTuple):
    """One value of a sample and its median over the unflagged samples, both as text with units."""

    label: str
    value: str
    typical: str


@dataclass(frozen=True)
class Evidence:
    """The sources of all facts about a sample: the run's table, its detection, and `columns`, which aligns the two."""

    table: ScanTable
    detection: Detection | None
    columns: Columns

    @cached_property
    def layers(self) -> list[int]:
        """The sensitive layers of the detection; if it has none, all layers with numbers."""
        sensitive = self.detection.sensitive_layers if self.detection else ()
        known = np.isfinite(self.table.layer_entropy).any(axis=0)
        return list(sensitive) or np.flatnonzero(known).tolist() or list(range(len(known)))

    @cached_property
    def entropy(self) -> np.ndarray:
        """[N] attention entropy in the unit of the detection: mean over `layers`."""
        return self.table.with_unit(self.unit).layer_entropies()[:, self.layers].mean(axis=1)

    @property
    def unit(self) -> str:
        return self.detection.entropy_unit if self.detection else NATS

    def mass(self, rows: np.ndarray) -> np.ndarray | None:
        """[n] share of the attention of `rows` that is on the image tokens: mean over `layers` and heads."""
        if self.table.mass is None:
            return None
        # The rows first: all masses of a large run are gigabytes on disk.
        return few_rows(self.table.mass, rows)[:, self.layers][..., IMAGE].mean(axis=(1, 2))

    def peak(self, rows: np.ndarray) -> np.ndarray | None:
        """[n] largest share of one image token in the attention on the image: mean over `layers` and heads."""
        return None if self.table.peak is None else few_rows(self.table.peak, rows)[:, self.layers].mean(axis=(1, 2))

    @cached_property
    def spread(self) -> np.ndarray:
        """Ordinary rows that stand for all of them: at most MOST_COMPARED, evenly spread over the file."""
        return spread(np.flatnonzero(self.ordinary), MOST_COMPARED)

    @cached_property
    def usual(self) -> Mapping[str, np.ndarray | None]:
        """The attention of the rows `spread`."""
        return {"mass": self.mass(self.spread), "peak": self.peak(self.spread)}

    @cached_property
    def middle(self) -> float:
        """The median `closeness` of the ordinary samples."""
        return float(np.median(self.closeness[self.ordinary & np.isfinite(self.closeness)]))

    @cached_property
    def closeness(self) -> np.ndarray:
        """[N] the value whose distance to the median measures how typical a sample is.

        It is the value that the detection clusters, or the mean entropy without a detection.
        """
        values = self.columns.values
        return values if np.isfinite(values).any() else self.entropy

    @cached_property
    def ordinary(self) -> np.ndarray:
        """[N] bool: whether the sample is not flagged."""
        return ~self.columns.flagged

    def words(self, rows: Sequence[int]) -> Mapping[int, frozenset[str]]:
        """Return the set of words of the questions of `rows`."""
        texts = self.columns.questions
        return {row: frozenset(texts[row][:LONGEST_TEXT].casefold().split()) for row in rows}

    def facts(self, row: int) -> list[Fact]:
        """Return the numbers behind the flag, most important first."""
        detection, values = self.detection, self.columns.values
        names = layer_names(self.layers, self.table.layer_entropy.shape[1])
        found = []
        if detection is not None and detection.method != PAPER and np.isfinite(values[row]):
            found.append(self._fact(f"Value clustered by {detection.method}", values, row, "{:.3f}"))
        found.append(self._fact(f"Entropy, {names}", self.entropy, row, "{:.2f} " + UNITS_OF_VALUES[self.unit]))
        own = np.array([row])
        for label, value, usual in (
            ("Attention on the image", self.mass(own), self.usual["mass"]),
            ("Largest share of one cell, mean of heads", self.peak(own), self.usual["peak"]),
        ):
            if value is not None and usual is not None:
                found.append(_fact(label, value[0], usual, "{:.1%}"))
        return found

    def _fact(self, label: str, column: np.ndarray, row: int, form: str) -> Fact:
        return _fact(label, column[row], column[self.spread], form)

    def summary(self, row: int) -> str:
        """Return one sentence with the result of the detection for this sample."""
        detection, columns = self.detection, self.columns
        if detection is None:
            return "No detection has run yet, so the list is in the order of the file. Run a detection in Layers."
        if not np.isfinite(columns.scores[row]):
            return "This sample was scanned after the last detection. Run the detection again in Layers."
        worth = "Worth a look: the evidence does not suffice to flag it. " if columns.suspects[row] else ""
        if detection.verdict != POISONED:
            opening = verdict_words(NOT_TESTED, 0, 0) if detection.verdict == NOT_TESTED else "Not flagged"
            return f"{worth}{opening}: {' '.join(explanation(detection))}"
        value, cut = columns.values[row], detection.cutoff
        flagged = bool(columns.flagged[row])
        word = "Flagged" if flagged else "Not flagged"
        if detection.method != PAPER or cut is None or not np.isfinite(value):
            why = f" {detection.reasons[0]}" if flagged and detection.method != PAPER and detection.reasons else ""
            return f"{worth}{word}: score {columns.scores[row]:.3f}.{why}"
        side = "below" if value < cut else "above"
        tail = (
            "its attention collapses onto few cells" if flagged else "its attention is spread like that of most samples"
        )
        return f"{word}: {tail}. Entropy {value:.2f} {UNITS_OF_VALUES[self.unit]}, {side} the cut-off {cut:.2f}."

    def typical(self, row: int, chosen: np.ndarray) -> tuple[int, bool] | None:
        """Return (row of a typical sample to compare with, whether it has the same question).

        The typical sample is neither flagged nor rejected. It has the same question, or the most similar question by
        shared words. Of these, it is the sample nearest to the median.
        Returns None if every other sample is flagged or rejected.
        """
        allowed = self.ordinary & (chosen != REJECTED) & np.isfinite(self.closeness)
        allowed[row] = False
        if not allowed.any():
            return None
        same = self.columns.same_question
        asked = same == same[row]
        if not (allowed & asked).any():
            among = spread(np.unique(same[allowed]), MOST_QUESTIONS).tolist()
            own = int(same[row])
            asked = same == nearest_question(self.words([own, *among]), own, among)
        rows = np.flatnonzero(allowed & asked)
        best = int(rows[np.abs(self.closeness[rows] - self.middle).argmin()])
        return best, bool(same[best] == same[row])


def _fact(label: str, value: float, column: np.ndarray, form: str) -> Fact:
    """Return a fact with the median of the finite values of `column`."""
    usual = column[np.isfinite(column)]
    shown = form.format(value) if np.isfinite(value) else "no number"
    return Fact(label, shown, form.format(np.median(usual)) if len(usual) else "")


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the rows, evenly spread."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def named_heads(detection: Detection | None) -> list[tuple[int, int]]:
    """Return the (layer, head) pairs that the method names in its reasons or as voters; at most NAMED_HEADS."""
    if detection is None:
        return []
    text = " ".join(detection.reasons)
    named = [(int(layer), int(head)) for layer, head in re.findall(r"layer (\d+) head (\d+)", text)]
    for report in detection.layers:
        voters = re.match(r"heads? ([\d, ]+) voted", report.note)
        named += [(report.layer, int(head)) for head in voters[1].split(",")] if voters else []
    return list(dict.fromkeys(named))[:NAMED_HEADS]


def nearest_question(words: Mapping[int, frozenset[str]], row: int, among: Sequence[int]) -> int:
    """Return the row in `among` whose question shares the most words with the question of `row` (Jaccard index)."""
    own = words[row]

    def shared(other: int) -> float:
        both = len(own & words[other])
        return both / max(len(own) + len(words[other]) - both, 1)

    return max(among, key=lambda other: (shared(other), -other))


def layer_names(layers: Sequence[int], count: int) -> str:
    """Return the layers as text: "layer 4", "layers 4-6, 9" or "mean of all layers"."""
    if len(layers) == count:
        return "mean of all layers"
    spans: list[list[int]] = []
    for layer in layers:
        if spans and layer == spans[-1][1] + 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    parts = [str(a) if a == b else f"{a}-{b}" for a, b in spans]
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(parts)}"


def short(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return the first `limit` characters of `text`, followed by the number of characters left out."""
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text) - limit:,} more characters)"


def conversation(sample: Sample) -> list[dict[str, Any]]:
    """Return all turns of the conversation, shortened; [] if it has only one question and one answer."""
    plain = [turn.role for turn in sample.turns] == ["user", "assistant"]
    return [] if plain else [{"role": turn.role, "text": short(turn.text)} for turn in sample.turns[:50]]
