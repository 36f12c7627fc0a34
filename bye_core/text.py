"""How measured figures are told in words: on the command line, on the page and in reports alike. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What a bar counts, by the first word of the stage; else what the command says.
UNITS = {"finetune": "steps", "evaluate": "answers"}


# The shares; CIDEr, from 0 to 10, is only told in words.
SHARES = {"cp": ("CP", "higher is better"), "asr": ("ASR", "lower is better")}
MEASURES = {"cp": SHARES["cp"], "cider": ("CIDEr", "higher is better"), "asr": SHARES["asr"]}
NOT_MEASURED = "not measured"


def measured(facts: Mapping[str, Any], key: str) -> str:
    """A measure with its interval in words: "98.3% (96.1 to 99.3)", CIDEr as "5.21 (4.80 to 5.60)"."""
    value, interval = facts.get(key), facts.get(f"{key}_interval")
    if value is None:
        return NOT_MEASURED
    if key in SHARES:
        span = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
        return f"{value:.1%}{span}"
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def change(pair: tuple[float | None, float | None], key: str) -> str:
    """From the first to the second, "" where one of them is unknown."""
    if None in pair:
        return ""
    difference = pair[1] - pair[0]
    return f"{100 * difference:+.1f} points" if key in SHARES else f"{difference:+.2f}"


def count(number: int, noun: str) -> str:
    """ "1 sample", "1,200 samples"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clip(text: str, length: int) -> str:
    """Foreign text made fit to be shown: one line, bounded, without controls; not yet escaped."""
    cut = text[: 4 * length]
    line = " ".join("".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in cut).split())
    return line if len(line) <= length and len(cut) == len(text) else line[: length - 1].rstrip() + "…"


def normalised(answer: str) -> str:
    """Lower case, single spaces, no full stop or blanks at the ends (VQA custom)."""
    return re.sub(r"\s+", " ", answer).strip().strip(".").strip().lower()
