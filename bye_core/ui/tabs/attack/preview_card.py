"""Shows samples before and after an attack as HTML."""

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
LONGEST_TEXT = 400  # characters
SIMILAR = 0.5  # smallest share of common words with which two texts are shown as one


def cards(previews: Iterable[tuple[str, Preview | ByeError]]) -> str:
    """Return one card for each sample: its images, its texts, and how strong the change is."""
    items = "".join(_failed(id, item) if isinstance(item, ByeError) else _card(item) for id, item in previews)
    return f"<ol class='bye-previews'>{items}</ol>" if items else ""


def changed_words(before: str, after: str) -> str:
    """Return HTML of both texts as one text: removed words are struck out, new words are marked.

    Texts that share few words are shown one after the other instead.
    """
    old, new = (clip(text, LONGEST_TEXT).split() for text in (before, after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    steps = matcher.get_opcodes() if matcher.ratio() >= SIMILAR else [("replace", 0, len(old), 0, len(new))]
    parts = []
    for kind, a, b, c, d in steps:
        removed, added = escape(" ".join(old[a:b])), escape(" ".join(new[c:d]))
        if kind == "equal":
            parts.append(added)
        else:
            parts += [f"<{tag}>{words}</{tag}>" for tag, words in (("del", removed), ("ins", added)) if words]
    return " ".join(parts)


def _card(preview: Preview) -> str:
    facts = []
    if preview.original is None:
        images = "<p class='bye-note'>This sample has no image.</p>"
    else:
        unchanged = math.isinf(preview.psnr)
        times = "" if preview.gain < 1.05 else f" × {preview.gain:.2g}"
        titles = ("original", "poisoned", "no difference" if unchanged else f"difference{times}")
        shown = zip(titles, (preview.original, preview.triggered, preview.difference), strict=True)
        images = "".join(_figure(title, image, preview.id) for title, image in shown if image is not None)
        facts.append("image unchanged" if unchanged else f"PSNR {preview.psnr:.1f} dB")
    if preview.boxes:
        facts.append("1 position" if len(preview.boxes) == 1 else f"{len(preview.boxes)} positions")
    texts = (("question", preview.questions), ("answer", preview.answers))
    rows = "".join(f"<dt>{name}</dt><dd dir='auto'>{changed_words(*pair)}</dd>" for name, pair in texts)
    items = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f"<li><p class='bye-id'><bdi>{escape(clip(preview.id, 60))}</bdi><span class='bye-job-facts'>{items}</span></p>"
        f"<div class='bye-three'>{images}</div><dl>{rows}</dl></li>"
    )


def _figure(title: str, image: Image.Image, id: str) -> str:
    shown = encoded(image.copy(), SIDE)
    alt = escape(clip(f"{title}, image of sample {id}", 120), quote=True)
    return f"<figure><img src='{shown.src}' alt='{alt}'><figcaption>{escape(title)}</figcaption></figure>"


def _failed(id: str, error: ByeError) -> str:
    return f"<li><p class='bye-id'><bdi>{escape(clip(id, 60))}</bdi></p>{alert(error)}</li>"
