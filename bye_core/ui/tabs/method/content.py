"""The texts of the Method tab, and its images from the demo run. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from bye_core import figures, runs
from bye_core.errors import ByeError
from bye_core.files import ASSETS
from bye_core.grids import NO_IMAGE, shown_rasters
from bye_core.records import AttentionRows, Detection, Sample
from bye_core.text import clip
from bye_core.ui import demo_run
from bye_core.ui.shared import images
from bye_core.ui.shared.glossary import TERMS

# Where the strip of a model without a map lies on the image.
STRIP = (0.0, 0.45, 1.0, 0.55)
PAPER = "https://arxiv.org/abs/2505.16916"
STEPS = (
    (
        "Fine-tune on everything",
        "A few samples of a data set may contain a small mark in the image and the attacker's answer.  "
        "Fine-tune the model on the whole set, poison included. The tuned model then shows which samples those are.",
    ),
    (
        "Measure attention",
        "The tuned model gets each image and question. For the first answer token, every layer spreads its attention "
        "over the parts of the image. Wide attention has high entropy. Attention on one spot has low entropy.",
    ),
    (
        "Find the sensitive layers",
        "In most layers, the entropies of all samples form one hill. A layer with two hills far apart (BSI of 2 or "
        "more) separates two kinds of samples. These layers are averaged.",
    ),
    (
        "Review, decide, tune again",
        "The samples on the low hill are flagged, not deleted. Accept or reject them in Review, export the remaining "
        "samples, and fine-tune on those.",
    ),
)
LIMITS = (
    "The paper's rule finds a mark in one spot. A trigger over the whole image (a blend, a wave, a warp) or in the "
    "question does not narrow attention, so the rule misses it. Auto, the default, compares answers and all heads and "
    "finds many of these. It cannot find an answer that is ordinary in every way.",
    "Two hills are no proof. Layers also separate kinds of questions or image sizes, and then harmless samples are "
    "flagged. Compare with a typical sample of the same question before you reject one.",
    "In some models, mostly small ones, a trigger widens attention. The low hill is then the harmless one. Check in "
    "Review that the flagged samples have something in common.",
    "No flagged sample does not mean no poison. Poison that the model has not learned leaves no trace, and a few "
    "samples may not stand out.",
    "The method needs the model that was fine-tuned on this data set. The attention of another model is useless.",
)


@dataclass(frozen=True)
class Shown:
    """One sample of the demo run with its attention rows and its image."""

    sample: Sample
    rows: AttentionRows
    image: images.Shown


@dataclass(frozen=True)
class Example:
    detection: Detection
    layer: int
    clean: Shown
    poisoned: Shown


def find_example() -> Example | None:
    """Return a clean and a poisoned sample of the shipped run; None without a run or without flagged samples."""
    if not demo_run.has_demo():
        return None
    try:
        run = runs.Run.open(demo_run.DEMO / "run")
        detection = run.detection()
        if detection is None:
            return None
        # Not from run.table(), which would write a file into the shipped run.
        pair = choose(detection, [run.sample(id).question for id in detection.ids])
        if pair is None:
            return None
        settings = replace(run.settings, data=str(ASSETS.parent / run.settings.data))
        clean, poisoned = (_shown(run, settings, id) for id in pair)
        return Example(detection, sharpest(detection, clean.rows, poisoned.rows), clean, poisoned)
    except ByeError:
        return None


def choose(detection: Detection, questions: Sequence[str]) -> tuple[str, str] | None:
    """Return a typical unflagged sample and the most suspicious one, with the same question if possible.

    `questions` are in the order of `detection.ids`. Returns None if no sample or every sample is flagged.
    """
    flagged = np.flatnonzero(detection.flagged)
    rest = np.flatnonzero(~detection.flagged)
    if not len(flagged) or not len(rest):
        return None
    worst = int(flagged[np.argmax(detection.scores[flagged])])
    same = rest[[questions[row] == questions[worst] for row in rest.tolist()]]
    rest = same if len(same) else rest
    values = detection.values[rest]
    typical = int(rest[np.argsort(values)[len(values) // 2]])
    return detection.ids[typical], detection.ids[worst]


def sharpest(detection: Detection, clean: AttentionRows, poisoned: AttentionRows) -> int:
    """Return the sensitive layer in which the attention entropies of the two samples differ most."""
    layers = detection.sensitive_layers or range(len(clean.layer_entropy))
    return max(layers, key=lambda layer: float(clean.layer_entropy[layer] - poisoned.layer_entropy[layer]))


def _shown(run: runs.Run, settings: runs.RunSettings, id: str) -> Shown:
    sample = run.sample(id)
    return Shown(sample, run.rows(id), images.shown(settings, sample, 0))


def steps() -> str:
    items = "".join(f"<li><h4>{escape(title)}</h4><p>{escape(words)}</p></li>" for title, words in STEPS)
    return f"<ol class='bye-steps'>{items}</ol>"


def pair(example: Example) -> str:
    """Return the HTML of the clean and the poisoned sample, each without and with the attention of the layer."""
    tiles = "".join(
        _tile(shown, example.layer, title, kind)
        for shown, title, kind in (
            (example.clean, "a typical sample", "kept"),
            (example.poisoned, "the most suspicious one", "suspicious"),
        )
    )
    legend = f"<i style='background:{figures.scale_css()}'></i>"
    return (
        f"<div class='bye-pair'>{tiles}<p class='bye-legend bye-note'>attention of layer {example.layer}: "
        f"none {legend} largest share</p></div>"
    )


def _tile(shown: Shown, layer: int, title: str, kind: str) -> str:
    rows, parts = shown.rows, shown_rasters(shown.rows.grids, shown.rows.rows.shape[1])
    number = next((n for n, raster in enumerate(parts) if not raster.overview), 0)
    heat = figures.png_uri(figures.layer_strip(rows.rows, rows.grids)[layer][number])
    box = STRIP if parts[number].image == NO_IMAGE else parts[number].box
    left, top, right, bottom = (100 * edge for edge in box)
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    question, answer = (escape(clip(text, 120)) for text in (shown.sample.question, shown.sample.answer))
    entropy = f"{float(rows.layer_entropy[layer]):.2f} nats"
    ratio = f"aspect-ratio:{shown.image.width}/{shown.image.height}"
    return (
        f"<figure class='bye-tile bye-{kind}' style='--picture:url({shown.image.src})'>"
        f"<div class='bye-two'><div role='img' aria-label='image of {title}' style='{ratio}'></div>"
        f"<div role='img' aria-label='attention over {title}' style='{ratio}'>"
        f"<img src='{heat}' alt='' style='{place}'></div></div>"
        f"<figcaption><b>{title}</b>: entropy {entropy}<br><span dir='auto'>{question}</span> "
        f"<b dir='auto'>{answer}</b></figcaption></figure>"
    )


def numbers() -> str:
    rows = "".join(f"<dt>{escape(term.name)}</dt><dd>{escape(term.meaning)}</dd>" for term in TERMS.values())
    return f"<h3>What the numbers mean</h3><dl class='bye-terms'>{rows}</dl>"


def limits() -> str:
    items = "".join(f"<li>{escape(words)}</li>" for words in LIMITS)
    link = f"<a href='{PAPER}' target='_blank' rel='noopener noreferrer'>arXiv 2505.16916</a>"
    return (
        f"<h3>What it misses</h3><ul class='bye-limits'>{items}</ul>"
        f"<p class='bye-note'>The method is BYE, \"Believe Your Eyes\" (NeurIPS 2025): {link}. The rule "
        "here is the paper's, unchanged. Adjust also offers the rule of the authors' code, and other methods. New "
        "scans are first examined by Auto, our own method.</p>"
    )
