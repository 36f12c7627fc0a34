"""Detectors: each turns a ScanTable into a Detection. A new one is a file with a rule, an entry here, and in
wording.CLUSTERED the name of its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from bye_core.detect.activation import ActivationSettings
from bye_core.detect.activation import activation as _activation
from bye_core.detect.auto import AutoSettings
from bye_core.detect.auto import auto as _auto
from bye_core.detect.bye import ByeSettings
from bye_core.detect.bye import bye as _bye
from bye_core.detect.cleansight import CleanSightSettings
from bye_core.detect.cleansight import cleansight as _cleansight
from bye_core.detect.entropy_file import read_entropies, write_entropies
from bye_core.detect.errors import MissingInputs, UnknownDetector, UnknownSetting
from bye_core.detect.loss import LossSettings
from bye_core.detect.loss import loss as _loss
from bye_core.detect.random import RandomSettings
from bye_core.detect.random import random as _random
from bye_core.detect.scores import score
from bye_core.detect.spectral import SpectralSettings
from bye_core.detect.spectral import spectral as _spectral
from bye_core.detect.tcap import TcapSettings
from bye_core.detect.tcap import tcap as _tcap
from bye_core.records import Detection, ScanTable

__all__ = [
    "DEFAULT",
    "DETECTORS",
    "PAPER",
    "ByeSettings",
    "Detector",
    "detect",
    "missing_inputs",
    "read_entropies",
    "score",
    "write_entropies",
]


class Detector(NamedTuple):
    """`settings` is a frozen dataclass; its fields are the settings that `detect` takes by name.

    `title` is for people; `needs` names what a ScanTable must hold besides the layers' entropies, `wants` what more
    makes it surer.
    """

    run: Callable[[ScanTable, Any], Detection]
    settings: type
    title: str
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()


# What is run where nobody names a method (ours), and the paper's rule.
DEFAULT, PAPER = "auto", "bye"

DETECTORS: dict[str, Detector] = {
    "bye": Detector(_bye, ByeSettings, "BYE: the paper's rule"),
    "auto": Detector(
        _auto,
        AutoSettings,
        "Auto: answers and attention",
        ("mass",),
        ("nll_before",),
    ),
    "tcap": Detector(_tcap, TcapSettings, "TCAP as described", ("mass",)),
    "cleansight": Detector(_cleansight, CleanSightSettings, "CleanSight, label-free", ("mass",)),
    "loss": Detector(_loss, LossSettings, "Loss before fine-tuning", ("nll_before",)),
    "spectral": Detector(_spectral, SpectralSettings, "Baseline: spectral signature", ("hidden",)),
    "activation": Detector(
        _activation,
        ActivationSettings,
        "Baseline: activation clusters",
        ("hidden",),
    ),
    "random": Detector(_random, RandomSettings, "Baseline: random"),
}

# What to do where a table lacks something, in words.
REMEDIES = {
    "mass": ("the attention of single heads", "Give a run instead of a file of entropies."),
    "hidden": ("the state behind the first token", "Scan again with this version, into a new run folder."),
    "nll_before": (
        "how likely the answers are before fine-tuning",
        "Scan again into a new run folder, with --answers and --adapter.",
    ),
}


def detect(table: ScanTable, method: str = DEFAULT, **settings: Any) -> Detection:
    """Run the detector `method`; what `settings` leaves out has the detector's default.

    Raises UnknownDetector, UnknownSetting, BadSetting, MissingInputs.
    """
    if method not in DETECTORS:
        raise UnknownDetector(method=method, choices=", ".join(DETECTORS))
    detector = DETECTORS[method]
    names = [field.name for field in fields(detector.settings)]
    for name in settings:
        if name not in names:
            raise UnknownSetting(method=method, name=name, choices=", ".join(names))
    chosen = detector.settings(**settings)
    if error := missing_inputs(table, method):
        raise error
    return detector.run(table, chosen)


def missing_inputs(table: ScanTable, method: str) -> MissingInputs | None:
    """Why `method` cannot run on this table, None where it can."""
    for name in DETECTORS[method].needs:
        if getattr(table, name) is None:
            what, advice = REMEDIES[name]
            return MissingInputs(method=method, what=what, advice=advice)
    return None
