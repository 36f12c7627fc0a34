"""Which of a table's columns is the question, which the answer: what is asked of the user, and a first guess. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bye_core.data.formats import FORMATS

SLOTS = max(len(form.columns) for form in FORMATS.values())
NOTHING = "(none)"
_USUAL = {
    "id": ("id", "uid", "sample_id", "key", "nr", "index"),
    "question_id": ("question_id", "qid"),
    "image": ("image", "file_name", "img", "picture", "image_path", "path", "file", "filename", "jpg", "png"),
    "images": ("images", "image", "image_paths", "pictures"),
    "question": ("question", "prompt", "query", "instruction", "input", "user", "text_input", "q"),
    "answer": ("answer", "response", "output", "label", "caption", "completion", "target", "assistant", "text", "a"),
    "messages": ("messages", "conversations", "conversation", "chat", "dialog", "turns"),
    "conversations": ("conversations", "conversation"),
    "system": ("system", "system_prompt"),
}


def slots(format: str) -> tuple[str, ...]:
    """What a format calls its columns."""
    return tuple(FORMATS[format].columns)


def guess(format: str, seen: Sequence[str], chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """For each of the format's columns the one of `seen` that it most likely is, or NOTHING."""
    lower, own = {column.lower(): column for column in reversed(seen)}, FORMATS[format].columns
    found = {}
    for name in own:
        names = ((chosen or {}).get(name, ""), own[name], *_USUAL.get(name, ()))
        match = next((lower[one.lower()] for one in names if one.lower() in lower), NOTHING)
        found[name] = match if match not in found.values() else NOTHING
    return found


def renamed(format: str, picked: Sequence[str]) -> dict[str, str]:
    """The `columns` of load_dataset: what differs from the format's own names."""
    own = FORMATS[format].columns
    pairs = zip(own, picked, strict=False)
    return {name: column for name, column in pairs if column and column != NOTHING and column != own[name]}
