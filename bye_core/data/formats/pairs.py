"""Reads records of questions and answers, with an optional history of earlier pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.data.faults import MalformedRecord, value_type
from bye_core.data.formats.base import ImageCell, Layout, ParsedRecord, is_missing
from bye_core.data.formats.cells import cell_text
from bye_core.data.formats.contents import ContentReader, place_images
from bye_core.data.formats.messages import with_system
from bye_core.records import Turn


def read_pairs(
    id: Any,
    pairs: list[tuple[str, str]],
    images: list[ImageCell],
    *,
    system: tuple[Mapping[str, Any], Layout] | None = None,
    references: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    inline: bool = False,
    images_first: bool = True,
) -> ParsedRecord:
    """Return the record of (question, answer) pairs. `system` is the record with the layout that names its prompt.

    For `inline` and `images_first` see `read_conversation`. Raises: Video if a question has the marker of a video.
    """
    reader = ContentReader(images, inline)
    turns: list[Turn] = []
    for question, answer in pairs:
        turns.append(Turn("user", reader.parts("user", question, "a question")))
        turns.append(Turn("assistant", (answer,) if answer else ()))
    if system is not None:
        turns = with_system(turns, *system)
    turns = place_images(turns, len(images), images_first)
    return ParsedRecord(id, tuple(turns), tuple(images), references, notes)


def read_history(history: Any) -> list[tuple[str, str]]:
    """Return the earlier (question, answer) pairs of a record. Raises: MalformedRecord if they are not pairs."""
    if is_missing(history):
        return []
    if not isinstance(history, list):
        raise MalformedRecord(what=f"its history is {value_type(history)}, not a list of pairs")
    pairs = []
    for entry in history:
        if isinstance(entry, Mapping):
            entry = [entry.get("query"), entry.get("response")]
        if not isinstance(entry, list) or len(entry) != 2:
            raise MalformedRecord(what="its history has an entry that is not a pair of a question and an answer")
        names = ("a question of its history", "an answer of its history")
        question, answer = (cell_text(text, name) for text, name in zip(entry, names, strict=True))
        pairs.append((question, answer))
    return pairs
