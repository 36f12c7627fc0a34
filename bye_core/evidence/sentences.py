"""Writes the facts of a dossier as sentences and table rows, for the command line, reports and the app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bye_core.answer_parts import Beginning
from bye_core.evidence.causal import OUTCOMES
from bye_core.evidence.exact_test import LEAST_P
from bye_core.text import clip, count

SHOWN = 80  # largest number of characters of a quoted answer
COMMON = 0.5  # smallest share of the flagged samples that makes a position common (ours)
OUTCOME_LABELS = {
    "flips": "is no longer the target, but only when the suspected part is removed",
    "content": "is no longer the target, but the pasted spot rarely causes it in other pictures",
    "any": "is no longer the target, but also when a control part is removed",
    "stays": "stays the target",
    "off": "was not the target before the change",
    "unknown": "could not be tested",
}


def sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the results of `pipeline.evidence`, with one sentence for each kind of evidence."""
    if not facts["flagged"]:
        yield "No sample is flagged, so there is nothing to explain."
        return
    yield place_sentence(facts)
    yield answer_sentence(facts)
    if facts.get("beginning"):
        yield Beginning(**facts["beginning"]).sentence
    yield from word_sentences(facts)
    yield cause_sentence(facts["causes"])


def place_sentence(facts: Mapping[str, Any]) -> str:
    common, layer = facts["consensus"], facts["layer"]
    if common is None or layer is None:
        return "The attention peaks are unknown: no attention rows can be read."
    row, column = common["peak"]["row"] + 1, common["peak"]["column"] + 1
    at = f"row {row}, column {column} of {common['rows']} x {common['columns']}"
    share = f"{common['agreement']:.0%} of the peak cells lie in or beside {at}"
    if common["agreement"] >= COMMON:
        return f"Flagged samples attend to the same position: {share}. {layer['reason']}"
    return f"Flagged samples attend to different positions: only {share} of the image. {layer['reason']}"


def answer_sentence(facts: Mapping[str, Any]) -> str:
    target = facts["target"]
    if target is None:
        first = facts["answers"][0] if facts["answers"] else None
        rest = f' The closest is "{clip(first["text"], SHOWN)}".' if first else ""
        return f"No answer is over-represented among flagged samples, given their questions.{rest}"
    verb = "end their answers with" if target["kind"] == "ending" else "answer"
    return f'Flagged samples {verb} "{clip(target["text"], SHOWN)}": {excess_words(target, facts["flagged"])}.'


def excess_words(found: Mapping[str, Any], flagged: int) -> str:
    """Return how many flagged samples have something, how many are expected by chance, and the p-value."""
    return (
        f"{found['flagged']:,} of {flagged:,} flagged samples ({found['expected']:,.1f} expected from their "
        f"questions), {found['total']:,} of all samples, {chance(found['p'])}"
    )


def chance(p: float) -> str:
    return f"p < {LEAST_P:.0e}" if p <= LEAST_P else f"p = {p:.2g}"


def word_sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    inserted = [one["word"] for one in facts["question_words"] if one["inserted"]]
    others = [one["word"] for one in facts["question_words"] if not one["inserted"]]
    if inserted:
        yield f"Their questions contain inserted words, perhaps a trigger: {quoted(inserted)}."
    if others:
        yield f"These words are over-represented in their questions, but not inserted: {quoted(others)}."
    if not facts["question_words"]:
        yield "No word is over-represented in their questions."


def quoted(words: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f'"{clip(word, 30)}"' for word in words[:most])
    return shown + (f" and {len(words) - most} more" if len(words) > most else "")


def cause_sentence(causes: Mapping[str, Any]) -> str:
    if not causes["checked"]:
        return "Not checked yet: the answer of the model when the suspected spot is covered."
    low, high = causes["flips_share_interval"]
    share = f"{causes['flips_share']:.1%} ({100 * low:.1f} to {100 * high:.1f})"
    return (
        f"For {causes['flips']:,} of {count(causes['checked'], 'checked sample')}, {share}, the answer is no longer "
        "the target when the suspected part is removed, but stays the target when an equally large part elsewhere is "
        "removed. A sample counts only if its spot, where it can be pasted, causes the target in at least half of the "
        "other images."
    )


def outcome_rows(causes: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return (outcome, number of samples) for each outcome that occurred."""
    return [(OUTCOME_LABELS[name], causes[name]) for name in OUTCOMES if causes[name]]


ANSWER_HEAD = ("answer", "part", "flagged", "expected", "in all", "chance")


def answer_rows(facts: Mapping[str, Any], most: int) -> list[tuple[str, ...]]:
    """Return table rows of up to `most` over-represented answers, with the columns of ANSWER_HEAD."""
    return [
        (clip(one["text"], SHOWN), "its end" if one["kind"] == "ending" else "the whole", *numbers(one))
        for one in facts["answers"][:most]
    ]


def numbers(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the table cells (flagged, expected, in all, chance)."""
    return f"{found['flagged']:,}", f"{found['expected']:,.1f}", f"{found['total']:,}", chance(found["p"])
