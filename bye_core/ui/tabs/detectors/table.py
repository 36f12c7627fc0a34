"""Shows the methods side by side as an HTML table, and the samples on which two of them disagree. No gradio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from bye_core.records import Detection
from bye_core.text import clip, count, verdict_words
from bye_core.ui.shared.glossary import TERMS, tooltip
from bye_core.ui.shared.obstacles import inputs_used
from bye_core.ui.tabs.detectors.entries import DEFAULTS, TRIED, USED, Entry, Overlap, overlap, scores

STATES = {USED: "in use", TRIED: "tried in Adjust", DEFAULTS: ""}
# The lists that a number opens, with their titles.
LISTS = {
    "both": "Flagged by {title} and by the method in use",
    "only_here": "Flagged by {title}, but not by the method in use",
    "only_used": "Flagged by the method in use, but not by {title}",
}
COMPARED = ("flagged by both", "only by this", "only by the one in use")  # titles of the columns of LISTS
MEASURES = ("precision", "recall", "f1")
SHOWN = 50  # samples of a list
ID, ANSWER = 40, 60  # characters


def methods_table(found: Sequence[Entry], used: Detection, poisoned: frozenset[str] | None) -> str:
    """Return the HTML table of the methods. Its buttons hold `data-do` and `data-key`, the key of an entry."""
    measures = MEASURES if poisoned is not None else ()
    titles = ["method", tooltip("flagged"), *COMPARED, *map(tooltip, measures), "actions"]
    head = "".join(f"<th scope='col'{_align(n)}>{title}</th>" for n, title in enumerate(titles))
    body = "".join(_row(entry, used, scores(entry, poisoned), len(titles) - 1) for entry in found)
    return (
        "<div class='bye-scroll' tabindex='0' role='region' aria-label='methods'>"
        f"<table class='bye-table bye-methods'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _align(column: int) -> str:
    return " class='bye-number'" if column else ""


def _row(entry: Entry, used: Detection, measured: Mapping[str, Any] | None, width: int) -> str:
    state = f" <span class='bye-tag'>{STATES[entry.kind]}</span>" if STATES[entry.kind] else ""
    about = f"<p class='bye-note'>{escape(inputs_used(entry.trial.method))}</p>"
    name = f"<th scope='row'>{escape(entry.title)}{state}{about}</th>"
    current = " aria-current='true'" if entry.kind == USED else ""
    if entry.lacks or entry.failure:
        words = escape(entry.lacks or entry.failure)
        button = " <button type='button' class='bye-link' data-tab='scan'>Open Scan</button>" if entry.lacks else ""
        return f"<tr{current}>{name}<td colspan='{width}' class='bye-lacks'>{words}{button}</td></tr>"
    if entry.detection is None:
        return f"<tr{current}>{name}<td colspan='{width - 1}' class='bye-lacks'>not run yet</td>{_actions(entry)}</tr>"
    cells = dict(zip(("flagged", *COMPARED), (_flagged(entry.detection), *_compared(entry, used)), strict=True))
    if measured is not None:
        cells |= {TERMS[key].name: _number(measured[key]) for key in MEASURES}
    # A narrow page shows the title of a column in front of each number.
    numbers = "".join(f"<td class='bye-number' data-title='{title}'>{cell}</td>" for title, cell in cells.items())
    return f"<tr{current} data-method='{entry.key}'>{name}{numbers}{_actions(entry)}</tr>"


def _flagged(detection: Detection) -> str:
    number = int(detection.flagged.sum())
    words = "" if number else f"<br><span class='bye-note'>{escape(verdict_words(detection.verdict, 0, 0))}</span>"
    return f"<b>{number:,}</b>{words}"


def _compared(entry: Entry, used: Detection) -> list[str]:
    """Return the numbers of common and of different flags. Each number above 0 is a button that lists the samples."""
    if entry.kind == USED or entry.detection is None:
        return ["", "", ""]
    lists = overlap(used, entry.detection)
    return [_list_button(entry, name, len(getattr(lists, name))) for name in LISTS]


def _list_button(entry: Entry, name: str, number: int) -> str:
    if not number:
        return "0"
    hint = escape(LISTS[name].format(title=entry.title), quote=True)
    return (
        f"<button type='button' data-do='{name}' data-key='{entry.key}' title='{hint}'>"
        f"{number:,}<span class='bye-unseen'> {hint}</span></button>"
    )


def _actions(entry: Entry) -> str:
    if entry.kind == USED:
        return "<td></td>"
    unseen = f"<span class='bye-unseen'> {escape(entry.title)}</span>"
    buttons = [f"<button type='button' data-do='try' data-key='{entry.key}'>Try{unseen}</button>"]
    if entry.detection is not None:
        buttons.append(f"<button type='button' data-do='use' data-key='{entry.key}'>Use{unseen}</button>")
    return f"<td class='bye-number'>{' '.join(buttons)}</td>"


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def listed(found: Sequence[Entry], used: Detection, key: str, name: str) -> tuple[Entry, tuple[str, ...]] | None:
    """Return the entry with `key` and the ids of its list `name`, one of LISTS; None if there is no such list."""
    entry = next((entry for entry in found if entry.key == key), None)
    if entry is None or entry.detection is None or name not in LISTS:
        return None
    lists: Overlap = overlap(used, entry.detection)
    return entry, getattr(lists, name)


def sample_list(entry: Entry, name: str, ids: Sequence[str], answers: Mapping[str, str]) -> str:
    """Return the HTML of a list of samples. `answers` holds the answers by id. Buttons open samples in Review."""
    items = "".join(_sample(id, answers.get(id, "")) for id in ids[:SHOWN])
    more = f"<p class='bye-note'>and {len(ids) - SHOWN:,} more</p>" if len(ids) > SHOWN else ""
    title = escape(LISTS[name].format(title=entry.title))
    return (
        f"<section class='bye-differ'><h3>{title}: {count(len(ids), 'sample')}</h3>"
        f"<p><button type='button' class='bye-link' data-do='review'>Open all {len(ids):,} in Review</button></p>"
        f"<ol class='bye-ids'>{items}</ol>{more}</section>"
    )


def _sample(id: str, answer: str) -> str:
    return (
        f"<li><button type='button' class='bye-link' data-do='sample' data-id='{escape(id, quote=True)}'>"
        f"<bdi>{escape(clip(id, ID))}</bdi></button> <span dir='auto'>{escape(clip(answer, ANSWER))}</span></li>"
    )
