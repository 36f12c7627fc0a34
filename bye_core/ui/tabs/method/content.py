"""The method on one screen: its words, and pictures made from the shipped demo's own run. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from bye_core import figures, runs
from bye_core.errors import ByeError
from bye_core.files import ASSETS
from bye_core.records import AttentionRows, Detection, Sample
from bye_core.ui import demo_run
from bye_core.ui.shared import images
from bye_core.ui.shared.messages import clip

PAPER = "https://arxiv.org/abs/2505.16916"
STEPS = (
    (
        "Fine-tune on everything",
        "Somebody hands in a data set. A few samples may carry a small mark in the picture and the attacker's answer. "
        "The model is fine-tuned on all of it, poison included: that makes it give the poison away.",
    ),
    (
        "See where it looks",
        "Each picture and question is shown to the tuned model. For the first word of the answer, every layer says how "
        "its attention is spread over the parts of the picture. Spread widely: high entropy. All on one spot: low.",
    ),
    (
        "Find the layers that split",
        "In most layers the entropies of all samples form one hill. Where they form two hills far apart (BSI of 2 or "
        "more), the layer tells two kinds of samples apart. Those layers are averaged.",
    ),
    (
        "Look, decide, tune again",
        "The samples on the low hill are flagged, not deleted. You look at them in Review, reject or keep them, export "
        "the rest and fine-tune once more on that.",
    ),
)
NUMBERS = (
    ("entropy", "how widely a sample's attention is spread over the image tokens, in nats: 0 is all on one token"),
    ("BSI", "distance of the two hills of a layer, over their joint width; a layer counts from tau = 2 on"),
    ("score", "how surely a sample belongs to the low hill: 0 to 1"),
    ("flagged", "score above the cut: worth a look, nothing more"),
    ("CP", "clean performance: share of right answers on untouched test pictures; should stay"),
    ("ASR", "attack success rate: share of triggered test pictures that draw the attacker's answer; should go to 0"),
)
LIMITS = (
    "The paper's rule looks for a mark in one spot. A trigger spread over the whole picture (a blend, a wave, a warp) "
    "or hidden in the question does not narrow attention, and goes unseen. Auto, which looks first, compares answers "
    "and all heads instead and finds many of these; it cannot find an answer that is ordinary in every way.",
    "Two hills are not proof. Layers also split by kind of question, or by picture size: then harmless samples are "
    "flagged. Compare with a typical sample of the same question before you reject.",
    "In some models, small ones most of all, a trigger widens attention instead. The low hill is then the harmless "
    "side. Check in Review that what is flagged has something in common.",
    "Nothing flagged does not mean nothing is there. Poison that the model has not learned leaves no trace, and very "
    "little of it may drown in the rest.",
    "It needs the model after fine-tuning on this very set. Attention of another model says nothing about it.",
)


@dataclass(frozen=True)
class Shown:
    """One sample of the demo with what one layer looks at."""

    sample: Sample
    rows: AttentionRows
    picture: images.Shown


@dataclass(frozen=True)
class Example:
    detection: Detection
    layer: int
    clean: Shown
    poisoned: Shown


def find_example() -> Example | None:
    """From the shipped run; None where there is none, or where nothing is flagged in it."""
    if not demo_run.has_demo():
        return None
    try:
        run = runs.Run.open(demo_run.DEMO / "run")
        detection = run.detection()
        # The run's table is not asked for: it would be kept beside the shipped run.
        pair = choose(detection, [run.sample(id).question for id in detection.ids]) if detection else None
        if pair is None:
            return None
        settings = replace(run.settings, data=str(ASSETS.parent / run.settings.data))
        shown = [_shown(run, settings, id) for id in pair]
        return Example(detection, sharpest(detection, *(one.rows for one in shown)), *shown)
    except ByeError:
        return None


def choose(detection: Detection, questions: Sequence[str]) -> tuple[str, str] | None:
    """(typical unflagged sample, most suspicious one) with the same question where possible; None without both.

    `questions` go with `detection.ids`.
    """
    flagged = np.flatnonzero(detection.flagged)
    rest = np.flatnonzero(~detection.flagged)
    if not len(flagged) or not len(rest):
        return None
    worst = int(flagged[np.argmax(detection.scores[flagged])])
    same = rest[[questions[row] == questions[worst] for row in rest]]
    rest = same if len(same) else rest
    values = detection.values[rest]
    typical = int(rest[np.argsort(values)[len(values) // 2]])
    return detection.ids[typical], detection.ids[worst]


def sharpest(detection: Detection, clean: AttentionRows, poisoned: AttentionRows) -> int:
    """Of the layers that decided, the one in which the two differ most."""
    layers = detection.sensitive_layers or range(len(clean.layer_entropy))
    return max(layers, key=lambda layer: float(clean.layer_entropy[layer] - poisoned.layer_entropy[layer]))


def _shown(run: runs.Run, settings: runs.RunSettings, id: str) -> Shown:
    sample = run.sample(id)
    return Shown(sample, run.rows(id), images.shown(settings, sample, 0))


def steps() -> str:
    items = "".join(f"<li><h4>{escape(title)}</h4><p>{escape(words)}</p></li>" for title, words in STEPS)
    return f"<ol class='bye-steps'>{items}</ol>"


def pair(example: Example) -> str:
    """The clean and the poisoned sample, each as it is and with the layer's attention over it."""
    tiles = "".join(
        _tile(shown, example.layer, title, kind)
        for shown, title, kind in (
            (example.clean, "an ordinary sample", "kept"),
            (example.poisoned, "the most suspicious one", "suspicious"),
        )
    )
    legend = f"<i style='background:{figures.scale_css()}'></i>"
    return (
        f"<div class='bye-pair'>{tiles}<p class='bye-legend bye-note'>attention of layer {example.layer}: "
        f"none {legend} its largest share</p></div>"
    )


def _tile(shown: Shown, layer: int, title: str, kind: str) -> str:
    rows, grid = shown.rows, shown.rows.grids[0]
    heat = figures.png_uri(figures.layer_strip(rows.rows, rows.grids)[layer][0])
    left, top, right, bottom = (100 * edge for edge in grid.box)
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    question, answer = (escape(clip(text, 120)) for text in (shown.sample.question, shown.sample.answer))
    entropy = f"{float(rows.layer_entropy[layer]):.2f} nats"
    ratio = f"aspect-ratio:{shown.picture.width}/{shown.picture.height}"
    return (
        f"<figure class='bye-tile bye-{kind}' style='--picture:url({shown.picture.src})'>"
        f"<div class='bye-two'><div role='img' aria-label='picture of {title}' style='{ratio}'></div>"
        f"<div role='img' aria-label='the same with attention over it' style='{ratio}'>"
        f"<img src='{heat}' alt='' style='{place}'></div></div>"
        f"<figcaption><b>{title}</b>: entropy {entropy}<br><span dir='auto'>{question}</span> "
        f"<b dir='auto'>{answer}</b></figcaption></figure>"
    )


def numbers() -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{escape(words)}</dd>" for name, words in NUMBERS)
    return f"<h3>What the numbers mean</h3><dl class='bye-terms'>{rows}</dl>"


def limits() -> str:
    items = "".join(f"<li>{escape(words)}</li>" for words in LIMITS)
    link = f"<a href='{PAPER}' target='_blank' rel='noopener noreferrer'>arXiv 2505.16916</a>"
    return (
        f"<h3>What it misses</h3><ul class='bye-limits'>{items}</ul>"
        f"<p class='bye-note'>The method is BYE, \"Believe Your Eyes\" (NeurIPS 2025): {link}. The rule shown "
        "here is the paper's, unaltered; where the authors' code differs, both can be chosen in Layers. New scans are "
        "first looked at by Auto, our own method; Adjust has both, and others.</p>"
    )
