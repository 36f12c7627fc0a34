"""Asks how to read a data set: its annotation file or split, its format and columns, and what its records lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from bye_core.data.formats import FORMATS
from bye_core.data.listing import annotation_files, split_names
from bye_core.data.load import record_keys
from bye_core.data.sources import NoSuchSplit, SeveralSplits, splits_in_note
from bye_core.errors import ByeError
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.events import Update
from bye_core.ui.workspace import Workspace

if TYPE_CHECKING:
    from bye_core.ui.tabs.data.actions import Parts

SLOTS = max(len(form.columns) for form in FORMATS.values())
NOTHING = "(none)"
NO_SPLIT = "(no split)"  # a name that no split has
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


def reading_fields(
    parts: Parts, workspace: Workspace, choice: Choice, notes: Sequence[str] = (), error: ByeError | None = None
) -> Update:
    """Fill the fields that say how the set is read. With `error`, open them so that the user can confirm a proposal.

    `notes` are those of the opened set. A field that the set does not need is hidden: notes and errors name the options
    that matter for it.
    """
    path, ask = Path(data_sets.path_of(workspace, choice)), error is not None
    folder = path.parent if choice.file else path
    names = parts_of(folder) or choice.splits
    part = choice.file or choice.split or next((name for name in _noted(notes) if name in names), None)
    hints = " ".join([*notes, *((error.problem, error.remedy) if error else ())])
    format = choice.format or choice.found
    if not format and _record_keys(workspace, choice):
        format = TABLE  # a file of no known format is most likely a table
    return {
        parts.reading: gr.Accordion(visible=True, open=ask),
        parts.file: gr.Dropdown(choices=list(names), value=part, visible=len(names) > 1),
        parts.format: gr.Dropdown(choices=FORMAT_CHOICES, value=(format if ask else choice.format) or AUTOMATIC),
        parts.question: gr.Textbox(value=choice.question, visible="--question" in hints or bool(choice.question)),
        parts.strict_ids: gr.Checkbox(value=choice.strict_ids, visible="--strict-ids" in hints or choice.strict_ids),
        **column_fields(parts, workspace, choice, format),
    }


def splits_of(workspace: Workspace, choice: Choice, notes: Sequence[str]) -> tuple[str, ...]:
    """Return the splits of an opened set that is no folder, such as a file with several lists; () if it has none.

    `notes` of the set name the splits unless one of them was chosen. Then the error for a wrong one names them.
    """
    names = _noted(notes) or tuple(choice.splits)
    if names or not choice.split:
        return names
    try:
        data_sets.open_set(workspace, replace(choice, split=NO_SPLIT))
    except ByeError as error:
        return splits_in_error(error)
    return ()


def _noted(notes: Sequence[str]) -> tuple[str, ...]:
    """Return the splits that the notes of a set name, the one that was read first; () if they name none."""
    return next((names for note in notes if (names := splits_in_note(note))), ())


def splits_in_error(error: ByeError) -> tuple[str, ...]:
    """Return the splits that an error names, () if it is about something else."""
    return tuple(str(error.facts["found"]).split(", ")) if isinstance(error, SeveralSplits | NoSuchSplit) else ()


def parts_of(folder: Path) -> tuple[str, ...]:
    """Return the parts of a data set of which one is read: its splits, or several annotation files."""
    try:
        return (split_names(folder) or annotation_files(folder)) if folder.is_dir() else ()
    except OSError:  # a folder that cannot be listed
        return ()


def with_part(workspace: Workspace, choice: Choice, part: str) -> Choice:
    """Return the choice with the chosen annotation file, split or entry of dataset_info.json; "" chooses none."""
    folder = Path(data_sets.path_of(workspace, replace(choice, file="", split="")))
    is_file = folder.is_dir() and part in annotation_files(folder)
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
