"""Explains the terms of the method: the Method tab lists them, and tooltips on other tabs repeat them. No gradio."""

from __future__ import annotations

from html import escape
from typing import NamedTuple


class Term(NamedTuple):
    """A term as pages write it, and its meaning in one or two sentences."""

    name: str
    meaning: str


TERMS = {
    "entropy": Term(
        "entropy",
        "How widely the attention of a sample is spread over the image: 0 if all of it is on one image token.",
    ),
    "nats": Term(
        "nats", "The unit of entropy with natural logarithms. Attention spread evenly over 576 tokens has 6.36 nats."
    ),
    "bsi": Term(
        "BSI",
        "Bimodal separation index: the distance between the two groups of samples in a layer, divided by their joint "
        "width. It has no unit.",
    ),
    "tau": Term("tau", "The smallest BSI of a sensitive layer: 2.0 in the paper. A larger tau uses fewer layers."),
    "sensitive": Term(
        "sensitive layer",
        "A layer that separates the samples into two groups: its BSI is at least tau. The paper's method uses the "
        "mean entropy of these layers.",
    ),
    "score": Term("score", "How suspicious a sample is, from 0 to 1. The method of the detection defines it."),
    "flagged": Term(
        "flagged", "The method judges the sample as suspicious. Review it before you remove it: a flag is no proof."
    ),
    "borderline": Term("borderline", "So close to the limit that a small change of the settings may change the flag."),
    "precision": Term("precision", "The share of the flagged samples that are poisoned, by the loaded truth file."),
    "recall": Term("recall", "The share of the poisoned samples that are flagged, by the loaded truth file."),
    "f1": Term("F1", "The harmonic mean of precision and recall: 1 if all poisoned samples and no others are flagged."),
    "auc": Term(
        "AUC",
        "How well the scores separate poisoned from clean samples: 1 if every poisoned sample has a higher score than "
        "every clean one, 0.5 for random scores.",
    ),
    "cp": Term(
        "CP", "Clean performance: the share of correct answers on unchanged test images. Cleaning should not lower it."
    ),
    "asr": Term(
        "ASR",
        "Attack success rate: the share of triggered test images with the attacker's answer. Cleaning should lower it "
        "to 0.",
    ),
}


def tooltip(key: str, text: str = "") -> str:
    """Return the HTML of a term with its meaning as a tooltip. `text` replaces the name of the term."""
    term = TERMS[key]
    meaning = escape(term.meaning, quote=True)
    return f'<abbr class="bye-term" tabindex="0" title="{meaning}">{escape(text or term.name)}</abbr>'
