"""The handlers of the Detectors tab: run the methods, show their flags side by side, and open lists in Review."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.adjust.comparison import Comparison, NotReady, compare, use
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Session
from bye_core.ui.shared import events
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.messages import note, warn
from bye_core.ui.shared.obstacles import not_ready
from bye_core.ui.tabs.detectors.entries import Entry, entries, is_small, run_pending
from bye_core.ui.tabs.detectors.table import LISTS, listed, methods_table, sample_list

INTRO = (
    "Every method judges the same scan. The numbers compare its flags with those of the method in use; select a number "
    "to list these samples. Try opens the method in Layers and changes nothing. Use saves its result for Review and "
    "Export."
)

# The list on the page: run, key of the entry, and name of the list.
ChosenList = tuple[str, str, str]
NO_LIST: ChosenList = ("", "", "")


@dataclass(frozen=True)
class Parts(events.Parts):
    trial: gr.State
    tabs: gr.Tabs
    chosen: gr.State
    notice: gr.HTML
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    table: gr.HTML
    samples: gr.HTML


def draw(parts: Parts, session: Session, trial: Trial, chosen: ChosenList) -> Update:
    """Show the table and the chosen list. Methods that have not run yet have no numbers."""
    compared = compare(session, trial)
    found = entries(compared)
    pending = sum(entry.is_pending for entry in found)
    return {
        parts.notice: note(INTRO),
        parts.start: gr.Button(f"Run all {pending} other methods", visible=pending > 0),
        parts.stop: gr.Button(visible=False),
        parts.status: "",
        parts.table: methods_table(found, compared.used, compared.poisoned),
        parts.samples: _samples(compared, found, chosen),
    }


def run_if_small(parts: Parts, session: Session, trial: Trial, chosen: ChosenList) -> Iterator[Update]:
    """If the scan is small, run the methods that have not run yet."""
    compared = compare(session, trial)
    if is_small(compared) and any(entry.is_pending for entry in entries(compared)):
        yield from run_all(parts, session, trial, chosen)
    else:
        yield parts.unchanged()


def run_all(parts: Parts, session: Session, trial: Trial, chosen: ChosenList) -> Iterator[Update]:
    """Run the methods that have not run yet, one after another. The table shows each result at once."""
    compared = compare(session, trial)
    total = sum(entry.is_pending for entry in entries(compared))
    for number, entry in enumerate(run_pending(compared), 1):
        yield {
            **draw(parts, session, trial, chosen),
            parts.start: gr.Button(visible=False),
            parts.stop: gr.Button(visible=True),
            parts.status: _progress(entry, number, total),
        }
    yield draw(parts, session, trial, chosen)


def _progress(entry: Entry, number: int, total: int) -> str:
    bar = f'<progress max="{total}" value="{number - 1}" aria-label="methods that have run"></progress>'
    return f'<p class="bye-running" role="status">{bar} Method {number} of {total} runs: {entry.title}</p>'


def show_failure(parts: Parts, error: ByeError) -> Update:
    """Say what is missing. For other errors, show a warning and change nothing."""
    if not isinstance(error, NotReady):
        warn(error)
        return parts.unchanged()
    return {
        parts.notice: not_ready(error), parts.start: gr.Button(visible=False),
        parts.stop: gr.Button(visible=False), parts.status: "", parts.table: "", parts.samples: "",
    }  # fmt: skip


def clicked(parts: Parts, session: Session, trial: Trial, chosen: ChosenList, event: gr.EventData) -> Update:
    """Handle a click in the table. The values of the event come from a browser, so they are checked."""
    do, key = str(getattr(event, "do", "")), str(getattr(event, "key", ""))
    compared = compare(session, trial)
    if do in LISTS:
        chosen = (session.run, key, do)
        return {parts.chosen: chosen, parts.samples: _samples(compared, entries(compared), chosen)}
    entry = next((entry for entry in entries(compared) if entry.key == key), None)
    if entry is None or do not in ("try", "use"):
        return parts.unchanged()
    if do == "try":
        return {parts.trial: entry.trial, parts.tabs: gr.Tabs(selected="layers")}
    saved = use(session, entry.trial)
    gr.Info(f"Saved. Review and Export now use {entry.title}.", duration=4)
    return {parts.session: saved, parts.trial: entry.trial, parts.chosen: NO_LIST, parts.samples: ""}


def open_samples(parts: Parts, session: Session, trial: Trial, chosen: ChosenList, event: gr.EventData) -> Update:
    """Open one sample of the list, or the whole list, in Review."""
    compared = compare(session, trial)
    id, in_review = str(getattr(event, "id", "")), gr.Tabs(selected="review")
    if getattr(event, "do", "") == "sample" and id in compared.opened.row_of:
        return {parts.session: replace(session, sample=id, selection=()), parts.tabs: in_review}
    run, key, name = chosen
    found = listed(entries(compared), compared.used, key, name) if run == session.run else None
    if getattr(event, "do", "") != "review" or found is None:
        return parts.unchanged()
    return {parts.session: replace(session, sample="", selection=found[1]), parts.tabs: in_review}


def _samples(compared: Comparison, found: list[Entry], chosen: ChosenList) -> str:
    run, key, name = chosen
    list_of = listed(found, compared.used, key, name) if run == compared.trial.run else None
    if list_of is None:
        return ""
    entry, ids = list_of
    return sample_list(entry, name, ids, dict(zip(compared.table.ids, compared.table.answers, strict=False)))
