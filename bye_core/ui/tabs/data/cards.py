"""A data set as a page shows it: counts, cards with pictures, faults by kind. Foreign text is escaped. No gradio."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape

from PIL import Image

from bye_core.data import DataSet
from bye_core.data.formats import format_title
from bye_core.data.images import decode
from bye_core.errors import ByeError
from bye_core.records import Fault, Sample
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.messages import clip, discreet
from bye_core.ui.tabs.data.validation import Checked

PAGE = 24
THUMBNAIL = 320  # pixels of the longer side: a card's width on a dense screen
KEPT = 2000
SHOWN = {"question": 220, "answer": 160, "id": 60}  # characters
SHOWN_OF_A_KIND = 30
_thumbnails = Cache(KEPT)
_decoders = ThreadPoolExecutor(2, thread_name_prefix="thumbnails")


def pages(dataset: DataSet) -> int:
    return max(1, -(-len(dataset.samples) // PAGE))


def summary(choice: Choice, dataset: DataSet, checked: Checked) -> str:
    bad = checked.bad()
    look = sum(1 for fault in checked.faults if not fault.fatal)
    facts = [
        ("records", f"{dataset.size:,}"),
        ("ready" if checked.complete else "ready so far", f"{dataset.size - len(bad):,}"),
        ("with faults", f"{len(bad):,}"),
    ]
    if look:
        facts.append(("worth a look", f"{look:,}"))
    cells = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in facts)
    where = "" if choice.key == choice.name or choice.key == "demo" else discreet(choice.key)
    notes = "".join(f"<p class='bye-note'>{escape(clip(note, 300))}</p>" for note in dataset.notes)
    form = format_title(dataset.format)
    return (
        f"<section class='bye-set'><h3><bdi>{escape(clip(choice.name, 80))}</bdi></h3>"
        f"<p class='bye-note'>Format: <b>{escape(form)}</b> <bdi>{escape(clip(where, 200))}</bdi></p>"
        f"<dl class='bye-counts'>{cells}</dl>{notes}</section>"
    )


def cards(dataset: DataSet, page: int) -> str:
    """Page number `page` (from 0) of the usable samples."""
    samples = dataset.samples[page * PAGE : (page + 1) * PAGE]
    if not samples:
        return "<p class='bye-empty'>No record of this set can be used. The list of faults below says why.</p>"
    pictures = _pictures(dataset, samples)
    items = (_card(sample, picture) for sample, picture in zip(samples, pictures, strict=True))
    return f"<ol class='bye-cards'>{''.join(items)}</ol>"


def _card(sample: Sample, picture: str) -> str:
    id, question, answer = (
        escape(clip(text, SHOWN[name]))
        for name, text in (("id", sample.id), ("question", sample.question), ("answer", sample.answer))
    )
    seen = f"<img src='{picture}' alt='picture of sample {id}'>" if picture else "<span>cannot be opened</span>"
    more = []
    if len(sample.images) > 1:
        more.append(f"{len(sample.images)} pictures")
    if len(sample.turns) > 2 + (sample.turns[0].role == "system"):
        more.append(f"{len(sample.turns)} messages")
    count = f" <span class='bye-more'>{', '.join(more)}</span>" if more else ""
    return (
        f"<li class='bye-card'><div class='bye-thumb'>{seen}</div>"
        f"<p class='bye-q' dir='auto'>{question}</p><p class='bye-a' dir='auto'>{answer}</p>"
        f"<p class='bye-id'><bdi>{id}</bdi>{count}</p></li>"
    )


def _pictures(dataset: DataSet, samples: Sequence[Sample]) -> list[str]:
    """First pictures as data URIs, "" for those that do not open."""
    waiting = [_decoders.submit(thumbnail, dataset, sample) for sample in samples]
    return [one.result() for one in waiting]


def thumbnail(dataset: DataSet, sample: Sample) -> str:
    if not sample.images:
        return ""
    key = (str(dataset.root), dataset.digest, sample.id, sample.images[0])
    try:
        return _thumbnails.get(key, lambda: _small(decode(dataset.image_bytes(sample, 0), sample.images[0])))
    except ByeError:
        return ""


def _small(picture: Image.Image) -> str:
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    content = io.BytesIO()
    picture.save(content, "webp", quality=80, method=0)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def fault_title(checked: Checked) -> str:
    bad = len(checked.bad())
    if not checked.faults:
        return "Faults: none found" if checked.complete else "Faults: none found in the records"
    return f"Faults: {bad:,} {'record' if bad == 1 else 'records'} left out" if bad else "Faults: none fatal"


def fault_list(checked: Checked) -> str:
    """All faults by kind, the fatal ones first: what is wrong, what to do about it, what will happen."""
    if not checked.faults:
        if checked.complete:
            return "<p class='bye-good'>No fault found: every record and every picture was looked into.</p>"
        return "<p class='bye-note'>No fault in the records. The pictures have not all been looked into yet.</p>"
    kinds: dict[tuple[bool, str], list[Fault]] = {}
    for fault in checked.faults:
        kinds.setdefault((not fault.fatal, fault.kind), []).append(fault)
    return "".join(_kind(faults) for _, faults in sorted(kinds.items(), key=lambda item: (item[0][0], -len(item[1]))))


def _kind(faults: list[Fault]) -> str:
    first, count = faults[0], len(faults)
    fate = "left out of scan and export" if first.fatal else "kept, but worth a look"
    mark = "bye-fatal" if first.fatal else "bye-look"
    remedies = {fault.remedy for fault in faults}
    remedy = f"<p>{escape(clip(discreet(first.remedy), 400))}</p>" if len(remedies) == 1 else ""
    lines = "".join(_line(fault, len(remedies) > 1) for fault in faults[:SHOWN_OF_A_KIND])
    rest = f"<li class='bye-note'>and {count - SHOWN_OF_A_KIND:,} more</li>" if count > SHOWN_OF_A_KIND else ""
    return (
        f"<details class='bye-fault' {'open' if count <= 3 else ''}><summary><b>{count:,}</b> "
        f"{escape(words(first.kind))} <span class='{mark}'>{fate}</span></summary>"
        f"{remedy}<ul>{lines}{rest}</ul></details>"
    )


def _line(fault: Fault, with_remedy: bool) -> str:
    remedy = f" <i>{escape(clip(discreet(fault.remedy), 300))}</i>" if with_remedy else ""
    problem = escape(clip(discreet(fault.problem), 300))
    return f"<li>{problem}{remedy} <span class='bye-note'>(record {fault.index + 1:,})</span></li>"


def words(kind: str) -> str:
    """MissingImage -> missing image."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()


def list_of_sets(choices: Iterable[Choice], demo: bool) -> str:
    """The sets opened lately as buttons; a click carries the key."""
    rows = "".join(_row(choice) for choice in choices if choice.key != "demo")
    if demo:
        rows += (
            "<li><button type='button' data-open='demo'>the demo's set</button>"
            "<span class='bye-note'>pictures of simple scenes, one in ten poisoned</span></li>"
        )
    return f"<h4>At hand</h4><ul class='bye-rows'>{rows}</ul>" if rows else ""


def _row(choice: Choice) -> str:
    key, name = escape(choice.key, quote=True), escape(clip(choice.name, 60))
    facts = f"{format_title(choice.found)}, {choice.ready:,} of {choice.records:,} ready"
    return (
        f"<li><button type='button' data-open='{key}'><bdi>{name}</bdi></button>"
        f"<span class='bye-note'>{escape(facts)}</span>"
        f"<button type='button' class='bye-small' data-remove='{key}' aria-label='Remove {name}'>remove</button></li>"
    )
