"""Labels and explanations of the number settings of all detectors but BYE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from bye_core.detect import DETECTORS

# Number fields on the page: as many as any method needs.
SLOTS = 6


class Setting(NamedTuple):
    name: str
    label: str
    info: str


WORDS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "auto": (
        ("false_alarm", "False-alarm rate", "share of ordinary answers that may stand out by chance"),
        (
            "agreed",
            "The same, with more evidence",
            "for answers unlikely by text and base model that the tuned model gives",
        ),
        ("learned", "Learned from", "share of its samples for which the model must give such an answer"),
        ("clear", "Clear distance", "log; used with too few answers for a rate"),
        ("least", "Smallest share", "of the samples that may be poisoned"),
        ("most", "Largest share", "of the samples that may be poisoned"),
    ),
    "tcap": (
        ("heads", "Voting heads", "number of most separated heads"),
        ("depth", "Layers", "share of the last layers to choose heads from"),
        ("vote", "Vote from", "posterior of the minority group"),
        ("weight", "Minority up to", "weight of a mixture component"),
    ),
    "cleansight": (
        ("first", "First layer", "as a share of the depth"),
        ("last", "Last layer", "as a share of the depth"),
        ("cut", "Cut-off", "robust standard deviations"),
    ),
    "loss": (
        ("separation", "Separation needed", "BSI, as in BYE"),
        ("share", "Share up to", "of the unlikely answers"),
    ),
    "spectral": (("share", "Share flagged", "exactly this share"),),
    "activation": (
        ("components", "Components", "of the hidden states"),
        ("share", "Share up to", "of the smaller cluster"),
        ("silhouette", "Silhouette from", "how well the clusters must separate"),
    ),
    "random": (("share", "Share flagged", "exactly this share"), ("seed", "Seed", "")),
}


def settings_of(method: str) -> list[Setting]:
    """Return the number settings of `method`; BYE has its own form."""
    return [Setting(*words) for words in WORDS.get(method, ())]


def typed(method: str, values: Mapping[str, float | None]) -> dict[str, Any] | None:
    """Convert field values to the types of the settings. Return None while a field is empty."""
    kinds = {field.name: type(field.default) for field in fields(DETECTORS[method].settings)}
    if any(value is None for value in values.values()):
        return None
    return {name: int(value) if kinds[name] is int and value == int(value) else value for name, value in values.items()}
