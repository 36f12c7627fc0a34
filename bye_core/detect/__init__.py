"""Detectors: each turns a ScanTable into a Detection. A new one is a file with a rule, and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

from bye_core.detect.bye import ByeSettings
from bye_core.detect.bye import bye as _bye
from bye_core.detect.entropy_file import read_entropies, write_entropies
from bye_core.detect.errors import UnknownDetector, UnknownSetting
from bye_core.detect.scoring import score
from bye_core.records import Detection, ScanTable

__all__ = ["DETECTORS", "ByeSettings", "Detector", "detect", "read_entropies", "score", "write_entropies"]


class Detector(NamedTuple):
    """`settings` is a frozen dataclass; its fields are the settings that `detect` takes by name."""

    run: Callable[[ScanTable, Any], Detection]
    settings: type


DETECTORS: dict[str, Detector] = {"bye": Detector(_bye, ByeSettings)}


def detect(table: ScanTable, method: str = "bye", **settings: Any) -> Detection:
    """Run the detector `method`; what `settings` leaves out has the detector's default."""
    if method not in DETECTORS:
        raise UnknownDetector(method=method, choices=", ".join(DETECTORS))
    detector = DETECTORS[method]
    names = [field.name for field in fields(detector.settings)]
    for name in settings:
        if name not in names:
            raise UnknownSetting(method=method, name=name, choices=", ".join(names))
    return detector.run(table, detector.settings(**settings))
