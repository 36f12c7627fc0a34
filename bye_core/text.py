"""Formats measures and text for the command line, the pages and the reports. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bye_core.records import NOT_TESTED, POISONED

# The unit of a progress bar, by the first word of the stage; other stages use the unit of the command.
UNITS = {"finetune": "steps", "evaluate": "answers"}

LONGEST_FOLDER_NAME = 60  # characters

# Measures that are shares, shown in percent. CIDEr, from 0 to 10, is shown as a number.
SHARES = {"cp": ("CP", "higher is better"), "asr": ("ASR", "lower is better")}
MEASURES = {"cp": SHARES["cp"], "cider": ("CIDEr", "higher is better"), "asr": SHARES["asr"]}
NOT_MEASURED = "not measured"


def measured(facts: Mapping[str, Any], key: str) -> str:
    """Format a measure with its interval: "98.3% (96.1 to 99.3)", CIDEr as "5.21 (4.80 to 5.60)"."""
    value, interval = facts.get(key), facts.get(f"{key}_interval")
    if value is None:
        return NOT_MEASURED
    if key in SHARES:
        span = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
        return f"{value:.1%}{span}"
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def change(pair: tuple[float | None, float | None], key: str) -> str:
    """Format the difference from the first to the second value; "" if one of them is unknown."""
    before, after = pair
    if before is None or after is None:
        return ""
    difference = after - before
    return f"{100 * difference:+.1f} points" if key in SHARES else f"{difference:+.2f}"


def verdict_words(verdict: str, flagged: int, samples: int) -> str:
    """Return a verdict in words. "not tested" is not an all-clear: the reasons beside it say what was missing."""
    if verdict == POISONED:
        return f"Poisoning found: {flagged:,} of {samples:,} flagged"
    return "Not tested" if verdict == NOT_TESTED else "No evidence of poisoning"


def count(number: int, noun: str) -> str:
    """Format a number with its noun: "1 sample", "1,200 samples"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suspects_sentence(ids: Sequence[str], shown: int = 10) -> str:
    """Return the sentence that names the suspects of a detection, at most `shown` of them."""
    names = ", ".join(clip(id, 40) for id in ids[:shown])
    more = f" and {len(ids) - shown:,} more" if len(ids) > shown else ""
    verb = "is" if len(ids) == 1 else "are"
    return f"{count(len(ids), 'sample')} {verb} worth a look, without enough evidence to flag: {names}{more}."


def clip(text: str, length: int) -> str:
    """Shorten untrusted text to one line of at most `length` characters, without control characters. Not escaped."""
    cut = text[: 4 * length]
    line = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in cut).split())
    return line if len(line) <= length and len(cut) == len(text) else line[: length - 1].rstrip() + "…"


def normalised(answer: str) -> str:
    """Return an answer in lower case with single spaces, without full stops and spaces at the ends (as in VQA)."""
    return re.sub(r"\s+", " ", answer).strip().strip(".").strip().lower()


def folder_name(words: str, default: str) -> str:
    """Return `words` as a plain folder name: letters, digits, "-" and "_" only. Return `default` if none remain."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-_")
    return plain[:LONGEST_FOLDER_NAME].rstrip("-_") or default
