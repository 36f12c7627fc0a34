"""Samples before and after an attack as a page shows them. Foreign text is escaped. No gradio."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import SequenceMatcher
from html import escape

from PIL import Image

from bye_core.attacks.preview import Preview
from bye_core.errors import ByeError
from bye_core.ui.shared.images import encoded
from bye_core.ui.shared.messages import alert, clip

SIDE = 448  # pixels of the longer side: a third of the page on a dense screen
LONGEST_TEXT = 400
STAYS = 0.5  # share of words that two texts must have in common to be shown as one


def cards(found: Iterable[tuple[str, Preview | ByeError]]) -> str:
    items = "".join(_failed(id, one) if isinstance(one, ByeError) else _card(one) for id, one in found)
    return f"<ol class='bye-previews'>{items}</ol>" if items else ""


def changed_words(before: str, after: str) -> str:
    """Both texts in one, as HTML: what is gone struck out, what is new marked. Where little stays, all of both."""
    old, new = (clip(text, LONGEST_TEXT).split() for text in (before, after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    steps = matcher.get_opcodes() if matcher.ratio() >= STAYS else [("replace", 0, len(old), 0, len(new))]
    parts = []
    for kind, a, b, c, d in steps:
        gone, come = escape(" ".join(old[a:b])), escape(" ".join(new[c:d]))
        if kind == "equal":
            parts.append(come)
        else:
            parts += [f"<{tag}>{words}</{tag}>" for tag, words in (("del", gone), ("ins", come)) if words]
    return " ".join(parts)


def _card(seen: Preview) -> str:
    facts = []
    if seen.original is None:
        pictures = "<p class='bye-note'>This sample has no picture.</p>"
    else:
        quiet = math.isinf(seen.psnr)
        times = "" if seen.gain < 1.05 else f" × {seen.gain:.2g}"
        titles = ("original", "poisoned", "no difference" if quiet else f"difference{times}")
        shown = zip(titles, (seen.original, seen.triggered, seen.difference), strict=True)
        pictures = "".join(_figure(title, picture, seen.id) for title, picture in shown)
        facts.append("picture unchanged" if quiet else f"PSNR {seen.psnr:.1f} dB")
    if seen.boxes:
        facts.append("1 place" if len(seen.boxes) == 1 else f"{len(seen.boxes)} places")
    texts = (("question", seen.questions), ("answer", seen.answers))
    rows = "".join(f"<dt>{name}</dt><dd dir='auto'>{changed_words(*pair)}</dd>" for name, pair in texts)
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f"<li><p class='bye-id'><bdi>{escape(clip(seen.id, 60))}</bdi><span class='bye-job-facts'>{told}</span></p>"
        f"<div class='bye-three'>{pictures}</div><dl>{rows}</dl></li>"
    )


def _figure(title: str, picture: Image.Image, id: str) -> str:
    shown = encoded(picture.copy(), SIDE)
    alt = escape(clip(f"{title}, picture of sample {id}", 120), quote=True)
    return f"<figure><img src='{shown.src}' alt='{alt}'><figcaption>{escape(title)}</figcaption></figure>"


def _failed(id: str, error: ByeError) -> str:
    return f"<li><p class='bye-id'><bdi>{escape(clip(id, 60))}</bdi></p>{alert(error)}</li>"
