"""Asks how to read a data set: its annotation file, its format, and the meaning of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from bye_core.data.formats import FORMATS
from bye_core.data.load import record_keys
from bye_core.data.location import annotation_files, split_names
from bye_core.errors import ByeError
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.events import Update
from bye_core.ui.workspace import Workspace

if TYPE_CHECKING:
    from bye_core.ui.tabs.data.actions import Parts

SLOTS = max(len(form.columns) for form in FORMATS.values())
NOTHING = "(none)"
AUTOMATIC, TABLE = "automatic", "vqa"
FORMAT_CHOICES = [AUTOMATIC, *FORMATS]
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
    """Return the format's own names for its columns, such as "image" and "question"."""
    return tuple(FORMATS[format].columns)


def guess(format: str, seen: Sequence[str], chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return, for each column of the format, the file's column that most likely holds it, or NOTHING.

    `seen` are the file's columns; `chosen` are earlier choices of the user, which are preferred.
    """
    lower, own = {column.lower(): column for column in reversed(seen)}, FORMATS[format].columns
    guesses: dict[str, str] = {}
    for name in own:
        names = ((chosen or {}).get(name, ""), own[name], *_USUAL.get(name, ()))
        match = next((lower[one.lower()] for one in names if one.lower() in lower), NOTHING)
        guesses[name] = match if match not in guesses.values() else NOTHING
    return guesses


def renamed(format: str, picked: Sequence[str]) -> dict[str, str]:
    """Return the argument `columns` of load_dataset: the chosen columns that differ from the format's own names."""
    own = FORMATS[format].columns
    pairs = zip(own, picked, strict=False)
    return {name: column for name, column in pairs if column and column != NOTHING and column != own[name]}


def reading_fields(parts: Parts, workspace: Workspace, choice: Choice, ask: bool) -> Update:
    """Fill the fields for file, format and columns. With `ask`, open them so that the user can confirm a proposal."""
    path = Path(data_sets.path_of(workspace, choice))
    folder = path.parent if choice.file else path
    names = parts_of(folder)
    format = choice.format or choice.found
    if not format and _record_keys(workspace, choice):
        format = TABLE  # a file of no known format is most likely a table
    return {
        parts.reading: gr.Accordion(visible=True, open=ask),
        parts.file: gr.Dropdown(choices=list(names), value=choice.file or choice.split or None, visible=len(names) > 1),
        parts.format: gr.Dropdown(choices=FORMAT_CHOICES, value=(format if ask else choice.format) or AUTOMATIC),
        **column_fields(parts, workspace, choice, format),
    }


def parts_of(folder: Path) -> tuple[str, ...]:
    """Return the parts of a data set of which one is read: its splits, or several annotation files."""
    try:
        return (split_names(folder) or annotation_files(folder)) if folder.is_dir() else ()
    except OSError:  # a folder that cannot be listed
        return ()


def with_part(workspace: Workspace, choice: Choice, part: str) -> Choice:
    """Return the choice with the chosen annotation file, split or entry of dataset_info.json; "" chooses none."""
    folder = Path(data_sets.path_of(workspace, replace(choice, file="", split="")))
    is_file = part not in parts_of(folder) or (folder.is_dir() and part in annotation_files(folder))
    return replace(choice, file=part if is_file else "", split="" if is_file else part)


def column_fields(parts: Parts, workspace: Workspace, choice: Choice, format: str) -> Update:
    """Show one field for each column of the format, filled with a guess."""
    fields: Update = {slot: gr.Dropdown(visible=False) for slot in parts.columns}
    keys = _record_keys(workspace, choice)
    if not keys or format not in FORMATS:
        return fields
    guesses = guess(format, keys, choice.columns)
    for slot, name in zip(parts.columns, slots(format), strict=False):
        options = [NOTHING, *keys]
        fields[slot] = gr.Dropdown(choices=options, value=guesses[name], label=f"Column: {name}", visible=True)
    return fields


def _record_keys(workspace: Workspace, choice: Choice) -> tuple[str, ...]:
    """Return the columns of the file, () before the file is chosen."""
    try:
        return record_keys(data_sets.path_of(workspace, choice), choice.reading)
    except ByeError:
        return ()
