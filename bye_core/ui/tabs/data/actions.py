"""What the Data tab does when something is chosen, read another way, turned over or checked; see tabs/data.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from bye_core.data import FORMATS, DataSet
from bye_core.data.formats import MissingColumn, UnknownFormat
from bye_core.data.load import SeveralAnnotations, annotation_files, record_keys
from bye_core.errors import ByeError
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.messages import alert, note, warn
from bye_core.ui.tabs.data import cards, validation
from bye_core.ui.tabs.data.columns import NOTHING, guess, renamed, slots
from bye_core.ui.workspace import Workspace, workspace_of

AS_FOUND, TABLE = "as found", "vqa"
READINGS = [AS_FOUND, *FORMATS]
SHOW_SECONDS = 0.4  # between two looks at a check that runs
FIRST = (
    "Choose the data set that you want to examine before you fine-tune on it: a folder with its pictures and one "
    "annotation file. LLaVA, Qwen-VL, ShareGPT, chat, image folder and VQA tables are recognised."
)
OPENING = "One moment: the page is still opening. Try again in a second."
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The tab's components. `shown` is the key of the set on display, `trying` of one that needs an answer first."""

    session: gr.State
    shown: gr.State
    trying: gr.State
    page: gr.State
    notice: gr.HTML
    path: gr.Textbox
    load: gr.Button
    upload: gr.File
    listing: gr.HTML
    view: gr.Column
    summary: gr.HTML
    scan: gr.Button
    reading: gr.Accordion
    file: gr.Dropdown
    format: gr.Dropdown
    columns: tuple[gr.Dropdown, ...]
    again: gr.Button
    samples: gr.HTML
    before: gr.Button
    place: gr.HTML
    after: gr.Button
    fault_box: gr.Accordion
    faults: gr.HTML
    check: gr.Button
    stop: gr.Button

    def all(self) -> list[Any]:
        return [part for name, part in vars(self).items() if name != "columns"] + list(self.columns)


def restore(parts: Parts, session: Session, shown: str) -> Update:
    """Somebody came in, or another tab chose the set."""
    if not session.visitor or (session.data == shown and shown):
        return {parts.shown: shown}
    listing = {parts.listing: _listing(session)}
    if not session.data:
        return listing
    choice = data_sets.find(workspace_of(session.visitor), session.data)
    return {**listing, parts.shown: session.data, **attempt(parts, session, choice)}


def load(parts: Parts, session: Session, text: str) -> Update:
    return attempt(parts, session, data_sets.find(workspace_of(session.visitor), data_sets.key_of(text)))


def listed(parts: Parts, session: Session, opened: str, removed: str) -> Update:
    """A button in the list of sets."""
    place = workspace_of(session.visitor)
    known = {choice.key for choice in data_sets.recent(place)} | {data_sets.DEMO}
    if opened in known:
        return attempt(parts, session, data_sets.find(place, opened))
    if removed in known:
        data_sets.remove(place, removed)
        if removed == session.data:
            session = replace(session, data="")
            return _empty(parts, session)
    return {parts.listing: _listing(session)}


def upload(parts: Parts, session: Session, file: str | None) -> Iterator[Update]:
    """Unpack what was uploaded, then open it. The uploaded file itself is not kept."""
    if not file:
        return
    if not session.visitor:
        yield {parts.upload: None, parts.notice: note(OPENING)}
        return
    try:
        place, key, then = workspace_of(session.visitor), "", 0.0
        for step in data_sets.upload(place, Path(file), Path(file).name):
            key = step.facts.get("key", "")
            if time.monotonic() > then:
                then = time.monotonic() + SHOW_SECONDS
                yield {parts.notice: note(f"Unpacking: {step.done / max(1, step.total):.0%}")}
        yield {parts.upload: None, **attempt(parts, session, Choice(key))}
    except ByeError as error:
        yield {parts.upload: None, parts.notice: alert(error)}
    finally:
        with suppress(OSError):
            Path(file).unlink()


def attempt(parts: Parts, session: Session, choice: Choice) -> Update:
    """Open a set and show it; where it cannot be read without an answer, ask for that."""
    place = workspace_of(session.visitor)
    try:
        dataset = data_sets.open_set(place, choice)
    except (SeveralAnnotations, UnknownFormat, MissingColumn) as error:
        asked = {parts.notice: alert(error), parts.trying: choice.key, parts.listing: _listing(session)}
        return asked | _reading(parts, session, choice, open=True)
    except ByeError as error:
        return {parts.notice: alert(error), parts.listing: _listing(session)}
    state = validation.checked(dataset)
    ready = dataset.size - len(state.bad())
    choice = replace(choice, found=dataset.format, records=dataset.size, ready=ready)
    data_sets.remember(place, choice)
    session = replace(session, data=choice.key)
    return {
        parts.session: session,
        parts.shown: choice.key,
        parts.trying: choice.key,
        parts.notice: "",
        parts.listing: _listing(session),
        parts.view: gr.Column(visible=True),
        **_reading(parts, session, choice, open=False),
        **_page(parts, dataset, 0),
        **_state(parts, choice, dataset, state),
    }


def _reading(parts: Parts, session: Session, choice: Choice, open: bool) -> Update:
    """The fields for file, format and columns, as they stand for this set."""
    place = workspace_of(session.visitor)
    path = Path(data_sets.path_of(place, choice))
    folder = path.parent if choice.file else path
    names = annotation_files(folder) if folder.is_dir() else ()
    seen = _seen(place, choice)
    # What has no known shape is most likely a table.
    asked = choice.format or choice.found or (TABLE if seen else "")
    return {
        parts.reading: gr.Accordion(visible=True, open=open),
        parts.file: gr.Dropdown(choices=list(names), value=choice.file or None, visible=len(names) > 1),
        parts.format: gr.Dropdown(choices=READINGS, value=(asked if open else choice.format) or AS_FOUND),
        **_columns(parts, choice, seen, asked),
    }


def _seen(place: Workspace, choice: Choice) -> tuple[str, ...]:
    """The columns of the file; none while the file has to be chosen first."""
    try:
        return record_keys(data_sets.path_of(place, choice))
    except ByeError:
        return ()


def _columns(parts: Parts, choice: Choice, seen: tuple[str, ...], format: str) -> Update:
    hidden = {slot: gr.Dropdown(visible=False) for slot in parts.columns}
    if not seen or format not in FORMATS:
        return hidden
    picked = guess(format, seen, choice.columns)
    fields = {
        slot: gr.Dropdown(choices=[NOTHING, *seen], value=picked[name], label=f"Column: {name}", visible=True)
        for slot, name in zip(parts.columns, slots(format), strict=False)
    }
    return hidden | fields


def other_format(parts: Parts, session: Session, key: str, file: str | None, format: str) -> Update:
    place = workspace_of(session.visitor)
    choice = replace(data_sets.find(place, key), file=file or "", columns={})
    return _columns(parts, choice, _seen(place, choice), choice.found if format == AS_FOUND else format)


def read_again(parts: Parts, session: Session, key: str, file: str | None, format: str, *picked: str) -> Update:
    """With the file, format and columns that the user names."""
    choice = data_sets.find(workspace_of(session.visitor), key)
    form = "" if format == AS_FOUND else format
    shape = form or choice.found
    choice = replace(choice, file=file or "", format=form, columns=renamed(shape, picked) if shape else {})
    return attempt(parts, session, choice)


def turn(parts: Parts, session: Session, page: int) -> Update:
    dataset = data_sets.open_set(*_chosen(session))
    return _page(parts, dataset, min(max(0, page), cards.pages(dataset) - 1))


def check(parts: Parts, session: Session) -> Iterator[Update]:
    """Look into every picture; what is found shows while it is found."""
    try:
        place, choice = _chosen(session)
        dataset, then, last = data_sets.open_set(place, choice), 0.0, None
        yield {parts.check: gr.Button(interactive=False), parts.stop: gr.Button(visible=True)}
        for last in validation.look(
            dataset, data_sets.path_of(place, choice), choice.format or None, dict(choice.columns)
        ):
            if time.monotonic() > then:
                then = time.monotonic() + SHOW_SECONDS
                yield _state(parts, choice, dataset, last, busy=True)
        data_sets.remember(place, replace(choice, ready=dataset.size - len(last.bad())))
    except ByeError as error:
        warn(error)
    yield rest(parts, session)


def rest(parts: Parts, session: Session) -> Update:
    """How the check stands when none is at work."""
    place, choice = _chosen(session)
    dataset = data_sets.open_set(place, choice)
    return _state(parts, choice, dataset, validation.checked(dataset))


def _state(parts: Parts, choice: Choice, dataset: DataSet, state: validation.Checked, busy: bool = False) -> Update:
    label = "Look into every picture" if not state.complete else "Look again"
    if busy:
        label = f"{state.done:,} of {state.total:,} looked into"
    return {
        parts.summary: cards.summary(choice, dataset, state),
        parts.fault_box: gr.Accordion(label=cards.fault_title(state)),
        parts.faults: cards.fault_list(state),
        parts.check: gr.Button(label, interactive=not busy),
        parts.stop: gr.Button(visible=busy),
    }


def _page(parts: Parts, dataset: DataSet, page: int) -> Update:
    last = cards.pages(dataset) - 1
    return {
        parts.page: page,
        parts.samples: cards.cards(dataset, page),
        parts.place: f"<p class='bye-note'>page {page + 1:,} of {last + 1:,}</p>",
        parts.before: gr.Button(interactive=page > 0),
        parts.after: gr.Button(interactive=page < last),
    }


def _empty(parts: Parts, session: Session) -> Update:
    return {
        parts.session: session,
        parts.shown: "",
        parts.notice: note(FIRST),
        parts.listing: _listing(session),
        parts.view: gr.Column(visible=False),
        parts.reading: gr.Accordion(visible=False),
    }


def _listing(session: Session) -> str:
    return cards.list_of_sets(data_sets.recent(workspace_of(session.visitor)), data_sets.DEMO_FILE.is_file())


def _chosen(session: Session) -> tuple[Workspace, Choice]:
    place = workspace_of(session.visitor)
    return place, data_sets.find(place, session.data)
