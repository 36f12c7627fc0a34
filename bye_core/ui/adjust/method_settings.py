"""The settings of the detectors beside BYE, as Adjust shows them: numbers with a name and a word on what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from bye_core.detect import DETECTORS

# As many number fields as the method with the most settings needs.
SLOTS = 6


class Named(NamedTuple):
    name: str
    label: str
    info: str


WORDS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "auto": (
        ("false_alarm", "False-alarm rate", "how often chance may set an ordinary answer apart"),
        ("agreed", "The same, where surer", "for answers that text and model before call odd, and the model now gives"),
        ("learned", "Given from", "the share of its samples for which the model must give such an answer"),
        ("clear", "Clear distance", "log; where there are too few answers for a rate"),
        ("least", "Smallest share", "of the samples that may be planted"),
        ("most", "Largest share", "of the samples that may be planted"),
    ),
    "tcap": (
        ("heads", "Voting heads", "the most separated ones"),
        ("depth", "Layers", "the share of the last layers they are chosen from"),
        ("vote", "Vote from", "posterior of the minority group"),
        ("weight", "Minority up to", "weight of a mixture component"),
    ),
    "cleansight": (
        ("first", "First layer", "as a share of the depth"),
        ("last", "Last layer", "as a share of the depth"),
        ("cut", "Cut-off", "robust standard deviations"),
    ),
    "loss": (
        ("separation", "Separation needed", "as BYE's BSI"),
        ("share", "Share up to", "of the unlikely answers"),
    ),
    "spectral": (("share", "Share flagged", "always this many"),),
    "activation": (
        ("components", "Components", "of the states"),
        ("share", "Share up to", "of the smaller cluster"),
        ("silhouette", "Silhouette from", "how clear the clusters must be"),
    ),
    "random": (("share", "Share flagged", "always this many"), ("seed", "Seed", "")),
}


def settings_of(method: str) -> list[Named]:
    """The number settings of `method`; none of BYE's."""
    return [Named(*words) for words in WORDS.get(method, ())]


def typed(method: str, values: Mapping[str, float | None]) -> dict[str, Any] | None:
    """Numbers from the fields as the settings' own types; None while one is empty."""
    kinds = {field.name: type(field.default) for field in fields(DETECTORS[method].settings)}
    if any(value is None for value in values.values()):
        return None
    return {name: int(value) if kinds[name] is int and value == int(value) else value for name, value in values.items()}
