"""Writes the facts of a dossier as sentences and table rows, for the command line, reports and the app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bye_core.evidence.causal import OUTCOMES
from bye_core.evidence.exact_test import LEAST_P
from bye_core.text import clip, count

SHOWN = 80  # characters of an answer
COMMON = 0.5  # smallest share of the flagged for a common place (ours)
OUTCOME_LABELS = {
    "flips": "leaves the target, by what is suspected alone",
    "content": "leaves the target, but the spot brings it into few other pictures",
    "any": "leaves the target, but also by a control",
    "stays": "stays at the target",
    "off": "not at the target to begin with",
    "unknown": "could not be tried",
}


def sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the results of `pipeline.evidence`, one sentence for each kind of evidence."""
    if not facts["flagged"]:
        yield "Nothing is flagged: there is nothing to explain."
        return
    yield place_sentence(facts)
    yield answer_sentence(facts)
    yield from word_sentences(facts)
    yield cause_sentence(facts["causes"])


def place_sentence(facts: Mapping[str, Any]) -> str:
    common, layer = facts["consensus"], facts["layer"]
    if common is None or layer is None:
        return "Where they look cannot be said: no attention rows can be read."
    row, column = common["peak"]["row"] + 1, common["peak"]["column"] + 1
    at = f"row {row}, column {column} of {common['rows']} x {common['columns']}"
    share = f"{common['agreement']:.0%} of the peak cells lie in or beside {at}"
    if common["agreement"] >= COMMON:
        return f"They look at one place: {share}. {layer['reason']}"
    return f"They share no one place: {share} of the picture. {layer['reason']}"


def answer_sentence(facts: Mapping[str, Any]) -> str:
    target = facts["target"]
    if target is None:
        first = facts["answers"][0] if facts["answers"] else None
        rest = f' The nearest to it is "{clip(first["text"], SHOWN)}".' if first else ""
        return f"No answer is more frequent among the flagged than their questions explain.{rest}"
    verb = "end their answers with" if target["kind"] == "ending" else "answer"
    return f'They {verb} "{clip(target["text"], SHOWN)}": {excess_words(target, facts["flagged"])}.'


def excess_words(found: Mapping[str, Any], flagged: int) -> str:
    """Return how many flagged samples have something, how many are expected by chance, and the p-value."""
    return (
        f"{found['flagged']:,} of {flagged:,} flagged samples, where their questions explain {found['expected']:,.1f}; "
        f"{found['total']:,} of all; {chance(found['p'])}"
    )


def chance(p: float) -> str:
    return f"p < {LEAST_P:.0e}" if p <= LEAST_P else f"p = {p:.2g}"


def word_sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    inserted = [one["word"] for one in facts["question_words"] if one["inserted"]]
    others = [one["word"] for one in facts["question_words"] if not one["inserted"]]
    if inserted:
        yield f"Put into their questions, and perhaps a trigger: {quoted(inserted)}."
    if others:
        yield f"Their questions are of some kinds more than of others: {quoted(others)}."
    if not facts["question_words"]:
        yield "No word is odd in their questions."


def quoted(words: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f'"{clip(word, 30)}"' for word in words[:most])
    return shown + (f" and {len(words) - most} more" if len(words) > most else "")


def cause_sentence(causes: Mapping[str, Any]) -> str:
    if not causes["checked"]:
        return "Not checked with the model yet: what happens when the spot is covered."
    low, high = causes["flips_share_interval"]
    share = f"{causes['flips_share']:.1%} ({100 * low:.1f} to {100 * high:.1f})"
    return (
        f"Of {count(causes['checked'], 'sample')} asked again, {causes['flips']:,} leave the target when what is "
        f"suspected is taken away, and stay when as much else is; where a spot could be pasted into pictures of other "
        f"samples, it brings the target into at least half of them: {share}."
    )


def outcome_rows(causes: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return (outcome, count) of the outcomes that occurred."""
    return [(OUTCOME_LABELS[name], causes[name]) for name in OUTCOMES if causes[name]]


ANSWER_HEAD = ("answer", "part", "flagged", "expected", "in all", "chance")


def answer_rows(facts: Mapping[str, Any], most: int) -> list[tuple[str, ...]]:
    """Return table rows of the most over-represented answers, with the columns of ANSWER_HEAD."""
    return [
        (clip(one["text"], SHOWN), "its end" if one["kind"] == "ending" else "the whole", *numbers(one))
        for one in facts["answers"][:most]
    ]


def numbers(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells flagged, expected, in all, chance."""
    return f"{found['flagged']:,}", f"{found['expected']:,.1f}", f"{found['total']:,}", chance(found["p"])
