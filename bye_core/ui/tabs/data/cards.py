"""Shows a data set as HTML: counts, cards with images, faults by kind, and the list of recent sets."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape

from PIL import Image

from bye_core.data import DataSet
from bye_core.data.formats import format_title
from bye_core.data.images import decode
from bye_core.errors import ByeError
from bye_core.records import Fault, Sample
from bye_core.text import count
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.messages import clip, discreet, without_options
from bye_core.ui.tabs.data.validation import Checked

PAGE = 24  # number of cards on a page
THUMBNAIL = 320  # pixels of the longer side: a card's width on a dense screen
KEPT = 2000  # number of thumbnails kept in memory
SHOWN = {"question": 220, "answer": 160, "id": 60}  # characters
SHOWN_FAULTS = 30  # number of faults shown of each kind
_thumbnails = Cache(KEPT)
_decoders = ThreadPoolExecutor(2, thread_name_prefix="thumbnails")


def pages(dataset: DataSet) -> int:
    """Return the number of pages of cards, at least 1."""
    return max(1, -(-len(dataset.samples) // PAGE))


def summary(choice: Choice, dataset: DataSet, checked: Checked) -> str:
    """Return the HTML of the set's name, format, counts and notes."""
    unusable = len(checked.unusable())
    warnings = sum(1 for fault in checked.faults if not fault.fatal)
    facts = [
        ("records", f"{dataset.size:,}"),
        ("ready" if checked.complete else "ready so far", f"{dataset.size - unusable:,}"),
        ("refused", f"{unusable:,}"),
    ]
    if warnings:
        facts.append(("warnings", f"{warnings:,}"))
    form = escape(format_title(dataset.format))
    cells = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts)
    where = "" if choice.key == choice.name or choice.key == "demo" else discreet(choice.key)
    notes = "".join(f"<p class='bye-note'>{escape(clip(note, 300))}</p>" for note in _notes(dataset))
    return (
        f"<section class='bye-set'><h3><bdi>{escape(clip(choice.name, 80))}</bdi></h3>"
        f"<p class='bye-note'>Format: <b>{form}</b> <bdi>{escape(clip(where, 200))}</bdi></p>"
        f"<dl class='bye-counts'>{cells}</dl>{notes}</section>"
    )


def _notes(dataset: DataSet) -> list[str]:
    """Return what a user should know about the set. The options of the command line are fields of this page."""
    notes = [words for note in dataset.notes if (words := without_options(note))]
    if number := len(dataset.text_only):
        they, them = ("It is", "it") if number == 1 else ("They are", "them")
        notes.append(f"Without an image: {count(number, 'record')}. {they} not scanned; an export keeps {them}.")
    return notes


def cards(dataset: DataSet, page: int) -> str:
    """Return the HTML cards of one page of the usable samples. Pages count from 0."""
    samples = dataset.samples[page * PAGE : (page + 1) * PAGE]
    if not samples:
        return "<p class='bye-empty'>No record of this set can be used. The list of faults below gives the reasons.</p>"
    thumbnails = _decoders.map(partial(thumbnail, dataset), samples)
    items = (_card(sample, source) for sample, source in zip(samples, thumbnails, strict=True))
    return f"<ol class='bye-cards'>{''.join(items)}</ol>"


def _card(sample: Sample, source: str) -> str:
    id, question, answer = (
        escape(clip(text, SHOWN[name]))
        for name, text in (("id", sample.id), ("question", sample.question), ("answer", sample.answer))
    )
    image = f"<img src='{source}' alt='image of sample {id}'>" if source else "<span>cannot be opened</span>"
    more = []
    if len(sample.images) > 1:
        more.append(f"{len(sample.images)} images")
    if len(sample.turns) > 2 + (sample.turns[0].role == "system"):
        more.append(f"{len(sample.turns)} messages")
    count = f" <span class='bye-more'>{', '.join(more)}</span>" if more else ""
    return (
        f"<li class='bye-card'><div class='bye-thumb'>{image}</div>"
        f"<p class='bye-q' dir='auto'>{question}</p><p class='bye-a' dir='auto'>{answer}</p>"
        f"<p class='bye-id'><bdi>{id}</bdi>{count}</p></li>"
    )


def thumbnail(dataset: DataSet, sample: Sample) -> str:
    """Return the sample's first image as a data URI, "" if there is none or it does not open."""
    if not sample.images:
        return ""
    key = (str(dataset.root), dataset.digest, sample.id, sample.images[0])
    try:
        return _thumbnails.get(key, lambda: _small(decode(dataset.image_bytes(sample, 0), sample.images[0])))
    except ByeError:
        return ""


def _small(image: Image.Image) -> str:
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    content = io.BytesIO()
    image.save(content, "webp", quality=80, method=0)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def fault_title(checked: Checked) -> str:
    """Return the title of the list of faults."""
    if not checked.faults:
        return "Faults: none found" if checked.complete else "Faults: none found in the records"
    unusable = len(checked.unusable())
    return f"Faults: {count(unusable, 'record')} refused" if unusable else "Faults: warnings only"


def fault_list(checked: Checked, text_only: Sequence[Sample] = ()) -> str:
    """Return the HTML of all faults by kind, fatal faults first: problem, remedy, and what happens to the records.

    text_only  the records without an image, which an export keeps
    """
    if not checked.faults:
        if checked.complete:
            return "<p class='bye-good'>No fault found: every record and every image was checked.</p>"
        return "<p class='bye-note'>No fault in the records. Not all images are checked yet.</p>"
    kept = {sample.index for sample in text_only}
    kinds: dict[tuple[bool, str, bool], list[Fault]] = {}
    for fault in checked.faults:
        kinds.setdefault((not fault.fatal, fault.kind, fault.index in kept), []).append(fault)
    return "".join(
        _kind(faults, key[2]) for key, faults in sorted(kinds.items(), key=lambda item: (item[0][0], -len(item[1])))
    )


def _kind(faults: list[Fault], kept: bool) -> str:
    first, number = faults[0], len(faults)
    fate = "left out of scan and export" if first.fatal else "kept, with a warning"
    fate = "left out of the scan, kept by an export" if kept else fate
    mark = "bye-fatal" if first.fatal else "bye-look"
    remedies = {fault.remedy for fault in faults}
    remedy = f"<p>{escape(clip(discreet(first.remedy), 400))}</p>" if len(remedies) == 1 else ""
    lines = "".join(_line(fault, len(remedies) > 1) for fault in faults[:SHOWN_FAULTS])
    rest = f"<li class='bye-note'>and {number - SHOWN_FAULTS:,} more</li>" if number > SHOWN_FAULTS else ""
    return (
        f"<details class='bye-fault' {'open' if number <= 3 else ''}><summary><b>{number:,}</b> "
        f"{escape(_kind_words(first.kind))} <span class='{mark}'>{fate}</span></summary>"
        f"{remedy}<ul>{lines}{rest}</ul></details>"
    )


def _line(fault: Fault, with_remedy: bool) -> str:
    remedy = f" <i>{escape(clip(discreet(fault.remedy), 300))}</i>" if with_remedy else ""
    problem = escape(clip(discreet(fault.problem), 300))
    return f"<li>{problem}{remedy} <span class='bye-note'>(record {fault.index + 1:,})</span></li>"


def _kind_words(kind: str) -> str:
    """Return the name of a fault's class as words: "MissingImage" becomes "missing image"."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()


def list_of_sets(choices: Iterable[Choice], demo: bool) -> str:
    """Return the HTML list of the recently opened data sets and, with `demo`, the demo's data set.

    Each button holds the key of its data set in `data-open` or `data-remove`.
    """
    rows = "".join(_row(choice) for choice in choices if choice.key != "demo")
    if demo:
        rows += (
            "<li><button type='button' data-open='demo'>the demo's set</button>"
            "<span class='bye-note'>images of simple scenes, 10% poisoned</span></li>"
        )
    return f"<h4>Recent data sets</h4><ul class='bye-rows'>{rows}</ul>" if rows else ""


def _row(choice: Choice) -> str:
    key, name = escape(choice.key, quote=True), escape(clip(choice.name, 60))
    facts = f"{format_title(choice.found)}, {choice.ready:,} of {choice.records:,} ready"
    return (
        f"<li><button type='button' data-open='{key}'><bdi>{name}</bdi></button>"
        f"<span class='bye-note'>{escape(facts)}</span>"
        f"<button type='button' class='bye-small' data-remove='{key}' aria-label='Remove {name}'>remove</button></li>"
    )
