"""What counts as the same answer, wherever answers are compared. Pure."""

from __future__ import annotations

import re


def normalised(answer: str) -> str:
    """Lower case, single spaces, no full stop or blanks at the ends (VQA custom)."""
    return re.sub(r"\s+", " ", answer).strip().strip(".").strip().lower()
