"""The handlers of the Data tab: open, upload and remove data sets, choose how to read them, check every image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr
from cachetools import LRUCache

from bye_core.data import DataSet
from bye_core.data.formats import MissingColumn, UnknownFormat
from bye_core.data.location import SeveralAnnotations
from bye_core.data.sources import NoSuchSplit, SeveralSplits
from bye_core.errors import ByeError
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, events
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.events import Handler, Update
from bye_core.ui.shared.messages import alert, note, warn
from bye_core.ui.shared.project import open_data_in
from bye_core.ui.shared.steps import paced
from bye_core.ui.tabs.data import cards, validation
from bye_core.ui.tabs.data.columns import (
    AUTOMATIC,
    column_fields,
    reading_fields,
    renamed,
    splits_in_error,
    splits_of,
    with_part,
)
from bye_core.ui.workspace import Workspace, workspace_of

FIRST = (
    "Choose the data set to check before you fine-tune on it: a folder, an annotation file, or a name on the hub. Its "
    "format is detected: conversations (LLaVA, Qwen-VL, ShareGPT, chat), Alpaca, ms-swift, prompt and completion, "
    "image folder, VQA table, captions, Cauldron."
)
ASK = "Say below how to read this set, then press “Read with these settings”."
OPENING = "The page is still opening. Try again in a second."
_openings: LRUCache[str, int] = LRUCache(1000)  # by visitor: how many data sets were opened
_counting = Lock()


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab.

    `shown` is the key of the project's set once the page shows it, or asks about another one instead. `pending` is the
    key of a set whose format or columns the user must confirm before it is shown. `hint` is about the tab as a whole.
    `notice` answers what the user did here last: the project's set, which opens by itself, leaves it on the page.
    """

    shown: gr.State
    pending: gr.State
    page: gr.State
    hint: gr.HTML
    notice: gr.HTML
    path: gr.Textbox
    load: gr.Button
    upload: gr.File
    listing: gr.HTML
    view: gr.Column
    summary: gr.HTML
    tune: gr.Button
    scan: gr.Button
    reading: gr.Accordion
    file: gr.Dropdown
    format: gr.Dropdown
    question: gr.Textbox
    strict_ids: gr.Checkbox
    columns: tuple[gr.Dropdown, ...]
    again: gr.Button
    samples: gr.HTML
    before: gr.Button
    page_number: gr.HTML
    after: gr.Button
    fault_box: gr.Accordion
    faults: gr.HTML
    check: gr.Button
    stop: gr.Button


def for_visitors(handler: Handler) -> Handler:
    """Wrap `handler` so that it shows a hint, and does nothing else, while the session has no visitor."""

    @wraps(handler)
    def listener(parts: Parts, session: Session, *inputs: Any) -> Update:
        return handler(parts, session, *inputs) if session.visitor else {parts.hint: note(OPENING)}

    return listener


# --- which set -------------------------------------------------------------------------------------------------


def change_session(parts: Parts, session: Session, shown: str) -> Update:
    """Show the data set of the project, which the browser stored or another tab chose."""
    if session.data == shown and shown:
        return {parts.shown: shown}
    listing = {parts.listing: _listing(session)}
    if not session.data:
        return _empty(parts, session) if shown else listing
    choice, number = data_sets.find(workspace_of(session.visitor), session.data), _count_opening(session)
    update = {**listing, parts.shown: session.data, **_opened(parts, session, choice)}
    if _openings.get(session.visitor) != number:
        return parts.unchanged()  # another set was opened in the meantime
    update[parts.hint] = update.pop(parts.notice)
    return {part: value for part, value in update.items() if part is not parts.session}


def _count_opening(session: Session) -> int:
    """Return how many data sets this visitor has opened, with the one that opens now."""
    with _counting:
        _openings[session.visitor] = number = _openings.get(session.visitor, 0) + 1
        return number


def load(parts: Parts, session: Session, text: str) -> Update:
    return open_set(parts, session, data_sets.find(workspace_of(session.visitor), data_sets.key_of(text)))


def use_list(parts: Parts, session: Session, event: gr.EventData) -> Update:
    """Open or remove the data set that was clicked in the list."""
    workspace, opened, removed = workspace_of(session.visitor), event.open, event.remove
    known = {choice.key for choice in data_sets.recent(workspace)} | set(data_sets.SHIPPED)
    if opened in known:
        return open_set(parts, session, data_sets.find(workspace, opened))
    if removed in known:
        data_sets.remove(workspace, removed)
        if removed == session.data:
            return _empty(parts, open_data_in(workspace, session, ""))
    return {parts.listing: _listing(session)}


def upload(parts: Parts, session: Session, file: str | None) -> Iterator[Update]:
    """Unpack an uploaded file and open it. The file itself is deleted."""
    if not file:
        return
    if not session.visitor:
        yield {parts.upload: None, parts.hint: note(OPENING)}
        return
    try:
        with data_sets.taken(Path(file)) as own:
            key = ""
            for step in paced(data_sets.upload(workspace_of(session.visitor), own, Path(file).name)):
                key = step.facts.get("key", "")
                yield {parts.notice: note(f"Unpacking: {step.done / max(1, step.total):.0%}")}
        yield {parts.upload: None, **open_set(parts, session, Choice(key))}
    except ByeError as error:
        yield {parts.upload: None, parts.notice: alert(error)}


def open_set(parts: Parts, session: Session, choice: Choice) -> Update:
    """Open the set that the user chose, and show it. If its file, format or columns are unclear, ask for them."""
    update = _opened(parts, session, choice)
    if parts.pending in update:
        _count_opening(session)
    return update


def _opened(parts: Parts, session: Session, choice: Choice) -> Update:
    workspace = workspace_of(session.visitor)
    try:
        dataset = data_sets.open_set(workspace, choice)
    except (SeveralAnnotations, SeveralSplits, NoSuchSplit, UnknownFormat, MissingColumn) as error:
        choice = replace(choice, splits=splits_in_error(error))
        problem = {parts.notice: alert(error, ASK), parts.pending: choice.key, parts.listing: _listing(session)}
        problem[parts.shown] = session.data  # a project's set that opens by itself later does not replace the question
        return problem | reading_fields(parts, workspace, choice, error=error)
    except ByeError as error:
        return {parts.notice: alert(error), parts.listing: _listing(session)}
    state = validation.checked(dataset)
    ready = dataset.size - len(state.unusable())
    splits = splits_of(workspace, choice, dataset.notes)
    choice = replace(
        choice, found=dataset.format, records=dataset.size, ready=ready, splits=splits, digest=dataset.digest
    )
    data_sets.remember(workspace, choice)
    session = open_data_in(workspace, session, choice.key)
    return {
        parts.session: session,
        parts.shown: choice.key,
        parts.pending: choice.key,
        parts.hint: "",
        parts.notice: "",
        parts.listing: _listing(session),
        parts.view: gr.Column(visible=True),
        **reading_fields(parts, workspace, choice, dataset.notes),
        **_page(parts, dataset, 0),
        **_state(parts, choice, dataset, state),
    }


# --- how it is read --------------------------------------------------------------------------------------------


def choose_format(parts: Parts, session: Session, key: str, file: str | None, format: str) -> Update:
    workspace = workspace_of(session.visitor)
    choice = replace(with_part(workspace, data_sets.find(workspace, key), file or ""), columns={})
    format = choice.found if format == AUTOMATIC else format
    return column_fields(parts, workspace, choice, format)


def read_again(
    parts: Parts, session: Session, key: str, file: str | None, format: str, question: str, strict_ids: bool,
    *columns: str,
) -> Update:  # fmt: skip
    """Read the set with the chosen file or split, format, question, handling of ids, and columns."""
    workspace = workspace_of(session.visitor)
    choice = with_part(workspace, data_sets.find(workspace, key), file or "")
    chosen = "" if format == AUTOMATIC else format
    format = chosen or choice.found
    choice = replace(choice, format=chosen, columns=renamed(format, columns) if format else {})
    choice = replace(choice, question=(question or "").strip(), strict_ids=bool(strict_ids))
    return open_set(parts, session, choice)


# --- its samples and faults --------------------------------------------------------------------------------------


def previous_page(parts: Parts, session: Session, page: int) -> Update:
    return _turn(parts, session, page - 1)


def next_page(parts: Parts, session: Session, page: int) -> Update:
    return _turn(parts, session, page + 1)


def _turn(parts: Parts, session: Session, page: int) -> Update:
    dataset = data_sets.open_set(*_chosen(session))
    return _page(parts, dataset, min(max(0, page), cards.pages(dataset) - 1))


def check(parts: Parts, session: Session) -> Iterator[Update]:
    """Check every image, and show the faults as they are found."""
    try:
        workspace, choice = _chosen(session)
        dataset = data_sets.open_set(workspace, choice)
        yield {parts.check: gr.Button(interactive=False), parts.stop: gr.Button(visible=True)}
        path = data_sets.path_of(workspace, choice)
        state = validation.checked(dataset)
        for state in paced(validation.check(dataset, path, choice.reading)):
            yield _state(parts, choice, dataset, state, busy=True)
        data_sets.remember(workspace, replace(choice, ready=dataset.size - len(state.unusable())))
    except ByeError as error:
        warn(error)
    yield show_checked(parts, session)


def show_checked(parts: Parts, session: Session) -> Update:
    """Show the results of a check that ended or was stopped."""
    workspace, choice = _chosen(session)
    dataset = data_sets.open_set(workspace, choice)
    return _state(parts, choice, dataset, validation.checked(dataset))


def _state(parts: Parts, choice: Choice, dataset: DataSet, state: validation.Checked, busy: bool = False) -> Update:
    label = "Check again" if state.complete else "Check every image"
    if busy:
        label = f"{state.done:,} of {state.total:,} checked"
    return {
        parts.summary: cards.summary(choice, dataset, state),
        parts.fault_box: gr.Accordion(label=cards.fault_title(state)),
        parts.faults: cards.fault_list(state, dataset.text_only),
        parts.check: gr.Button(label, interactive=not busy),
        parts.stop: gr.Button(visible=busy),
    }


def _page(parts: Parts, dataset: DataSet, page: int) -> Update:
    last = cards.pages(dataset) - 1
    return {
        parts.page: page,
        parts.samples: cards.cards(dataset, page),
        parts.page_number: f"<p class='bye-note'>page {page + 1:,} of {last + 1:,}</p>",
        parts.before: gr.Button(interactive=page > 0),
        parts.after: gr.Button(interactive=page < last),
    }


def _empty(parts: Parts, session: Session) -> Update:
    return {
        parts.session: session,
        parts.shown: "",
        parts.hint: note(FIRST),
        parts.notice: "",
        parts.listing: _listing(session),
        parts.view: gr.Column(visible=False),
        parts.reading: gr.Accordion(visible=False),
    }


def _listing(session: Session) -> str:
    return cards.list_of_sets(data_sets.recent(workspace_of(session.visitor)), data_sets.DEMO_FILE.is_file())


def _chosen(session: Session) -> tuple[Workspace, Choice]:
    workspace = workspace_of(session.visitor)
    return workspace, data_sets.find(workspace, session.data)
