"""Shows why samples are flagged, in a report and in the app: sentences, maps, crops and tables.

CSS classes begin with "why-". Their rules are in `style` for reports and in assets/dossier.css for the app.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from bye_core.evidence import OVERVIEW, TILES, Gallery, sentences
from bye_core.figures import png_uri
from bye_core.reports.case import Case
from bye_core.text import clip

ANSWERS, WORDS = 8, 12  # rows of the tables


def why_section(case: Case) -> str:
    """Return the report's section on the evidence as HTML, "" if no sample is flagged."""
    if not case.evidence or not case.evidence["flagged"]:
        return ""
    return f"<section><h2>Why they are flagged</h2>{dossier_html(case.evidence, case.gallery)}</section>"


def dossier_html(facts: Mapping[str, Any], gallery: Gallery) -> str:
    """Return the evidence as HTML, without a heading. Escapes all texts from data and models."""
    items = "".join(f"<li dir='auto'>{escape(one)}</li>" for one in sentences.sentences(facts))
    parts = [f"<ul class='why-told'>{items}</ul>", _places(facts, gallery), _crops(gallery), _answers(facts)]
    return "".join([*parts, _words(facts), _causes(facts["causes"])])


# How the model sees an image that it gets both ways, in the order of the choice.
VIEWS = {TILES: "tiles", OVERVIEW: "overview"}


def _places(facts: Mapping[str, Any], gallery: Gallery) -> str:
    """Return the mean maps and the mean spots. If the model sees images both ways, the reader chooses the maps."""
    views = facts.get("views") or {}
    if views:
        maps = "".join(f"<div data-view='{view}'>{_maps(views[view], words)}</div>" for view, words in VIEWS.items())
        options = "".join(
            f"<label><input type='radio' name='why-view' value='{view}'{' checked' if view == TILES else ''}> {words}"
            "</label>"
            for view, words in VIEWS.items()
        )
        choice = f"<fieldset class='why-choice'><legend>Attention on</legend>{options}</fieldset>"
        shown = f"<div class='why-views'>{choice}{maps}</div>"
    else:
        shown = _maps(facts["consensus"]) if facts["consensus"] else ""
    means = {
        f"Mean of {gallery.cut} suspected spots": gallery.mean,
        "Mean of the same positions in other samples": gallery.others,
    }
    figures = [_figure(image_uri(one), words, "why-mean") for words, one in means.items() if one is not None]
    return shown + (f"<div class='why-places'>{''.join(figures)}</div>" if figures else "")


def _maps(common: Mapping[str, Any], view: str = "image") -> str:
    """Return the mean maps of flagged and of other samples, on one scale."""
    flagged, others = np.array(common["flagged"]), np.array(common["others"])
    top = max(float(flagged.max()), float(others.max()), 1e-9)
    figures = "".join(
        _figure(png_uri(values / top), f"Attention of {words}", "why-map")
        for values, words in ((flagged, "flagged samples"), (others, "other samples with the same questions"))
    )
    note = f"Brightest in both maps: {top:.1%} of the attention on the image, in a cell of the {view}."
    return f"<div class='why-places'>{figures}</div><p class='why-note'>{note}</p>"


def _crops(gallery: Gallery) -> str:
    items = "".join(
        f"<li><img src='{image_uri(one)}' alt='suspected spot of {escape(clip(id, 60), quote=True)}'>"
        f"<span><bdi>{escape(clip(id, 24))}</bdi></span></li>"
        for id, one in gallery.crops
    )
    head = "<h3>Suspected spots, side by side</h3>"
    missing = f"<p class='why-note'>{escape(gallery.missing)}</p>" if gallery.missing else ""
    return f"{head}<ol class='why-crops'>{items}</ol>{missing}" if items or missing else ""


def _answers(facts: Mapping[str, Any]) -> str:
    rows = sentences.answer_rows(facts, ANSWERS)
    note = "Expected: flagged samples with this answer if flags were random among samples with the same question."
    return _table("Answers that flagged samples have more often", sentences.ANSWER_HEAD, rows, note)


def _words(facts: Mapping[str, Any]) -> str:
    named = {word for one in facts["answers"] if one["significant"] for word in one["text"].casefold().split()}
    # Words of these answers and kinds of question are skipped: other tables show them already.
    inserted = [one for one in facts["question_words"] if one["inserted"]]
    left = [one for one in facts["answer_words"] if not any(one["word"] in word for word in named)]
    rows = [
        (one["word"], where, *sentences.numbers(one))
        for where, words in (("question", inserted), ("answer", left))
        for one in words[:WORDS]
    ]
    return _table("Over-represented words", ("word", "in the", *sentences.ANSWER_HEAD[2:]), rows)


def _causes(causes: Mapping[str, Any]) -> str:
    rows = [(label, f"{number:,}") for label, number in sentences.outcome_rows(causes)]
    if causes["faults"]:
        rows.append(("could not be checked", f"{len(causes['faults']):,}"))
    return _table("Answers of the model without the suspected spot or words", ("the answer", "samples"), rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    cells = "".join(
        f"<tr><th scope='row' dir='auto'>{escape(clip(first, 120))}</th>"
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    titles = "".join(f"<th scope='col'>{escape(one)}</th>" for one in head)
    words = f"<p class='why-note'>{escape(note)}</p>" if note else ""
    table = f"<table class='why-table'><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table>"
    return f"<h3>{escape(title)}</h3><div class='why-scroll'>{table}</div>{words}" if cells else ""


def _figure(uri: str, words: str, kind: str) -> str:
    seen = f"<img src='{uri}' alt='{escape(words, quote=True)}'>"
    return f"<figure class='{kind}'>{seen}<figcaption>{escape(words)}</figcaption></figure>"


def image_uri(image: Image.Image) -> str:
    """Return a small image as a lossless data URI, so that a trigger of a few pixels is unchanged."""
    content = io.BytesIO()
    image.save(content, "webp", lossless=True, method=3)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
