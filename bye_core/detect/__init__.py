"""Detectors: each takes a ScanTable and returns a Detection.

To add a detector, write a module that declares a `DETECTOR`, and add its name to MODULES.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

from bye_core.detect.bye import ByeSettings
from bye_core.detect.detector import Detector
from bye_core.detect.entropy_file import read_entropies, write_entropies
from bye_core.detect.entropy_unit import in_unit, with_unit
from bye_core.detect.errors import MissingInputs, UnknownDetector, UnknownSetting
from bye_core.detect.limitations import limited, table_limitations, unlearned_answers, unlikely_kinds
from bye_core.detect.scores import score
from bye_core.records import NATS, UNIT_NAMES, Detection, ScanTable

__all__ = [
    "DEFAULT",
    "DEFAULT_RULE",
    "DETECTORS",
    "PAPER",
    "ByeSettings",
    "Detector",
    "default_method",
    "detect",
    "missing_inputs",
    "read_entropies",
    "score",
    "value_label",
    "write_entropies",
]

# The registry: one module for each detector, in the order in which the methods are listed.
MODULES = (
    "bye",
    "auto",
    "tcap",
    "cleansight",
    "loss",
    "surprise",
    "spectral",
    "activation",
    "random",
)
_DETECTORS: tuple[Detector, ...] = tuple(import_module(f"{__name__}.{name}").DETECTOR for name in MODULES)
DETECTORS: dict[str, Detector] = {detector.name: detector for detector in _DETECTORS}

DEFAULT = "auto"  # ours
PAPER = "bye"  # the rule of the BYE paper
DEFAULT_RULE = f"{DEFAULT}; {PAPER} for a file of entropies, or if you give one of its own options"


def default_method(own_options: bool = False, entropy_file: bool = False) -> str:
    """Return the method that runs if the user names none; DEFAULT_RULE describes the same choice in words.

    own_options   whether the user set an option of BYE's rule
    entropy_file  whether the input is a file of layer entropies, which the other methods cannot use
    """
    return PAPER if own_options or entropy_file else DEFAULT


def detect(table: ScanTable, method: str = DEFAULT, /, **settings: Any) -> Detection:
    """Run the detector `method`. A setting that is not given has the detector's default.

    Raises: UnknownDetector if there is no such method; UnknownSetting if it has no such setting; BadSetting if a value
    is not allowed; MissingInputs if the table lacks an array that the method needs.
    """
    if method not in DETECTORS:
        raise UnknownDetector(method=method, choices=", ".join(DETECTORS))
    detector = DETECTORS[method]
    names = [field.name for field in fields(detector.settings)]
    for name in settings:
        if name not in names:
            raise UnknownSetting(method=method, name=name, choices=", ".join(names))
    checked = detector.settings(**settings)
    if error := detector.missing_inputs(table):
        raise error
    has_unit = "entropy_unit" in names
    table = in_unit(table, checked.entropy_unit) if has_unit else table
    detection = detector.run(table, checked)
    detection = with_unit(detection, table) if has_unit else detection
    unseen = () if detection.flagged.any() else (*unlearned_answers(table), *unlikely_kinds(table, detector))
    return limited(detection, (*table_limitations(table, detector), *unseen))


def missing_inputs(table: ScanTable, method: str) -> MissingInputs | None:
    """Return an error that says which inputs `method` lacks in this table; None if it can run."""
    return DETECTORS[method].missing_inputs(table)


def value_label(method: str, entropy_unit: str = NATS) -> str:
    """Return an axis title for the values of a detection by `method`, also if this version lacks the method.

    `entropy_unit` is that of the detection.
    """
    if method not in DETECTORS:
        return f"value clustered by {method}"
    detector = DETECTORS[method]
    unit = UNIT_NAMES[entropy_unit] if detector.unit == UNIT_NAMES[NATS] else detector.unit
    return detector.values + (f" [{unit}]" if unit else "")
