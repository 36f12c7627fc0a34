"""A Detection as standard JSON and back, every float exact (those that are not finite as text)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from bye_core.records import Detection, LayerReport, Mixture


def dump_detection(detection: Detection) -> bytes:
    record = {field.name: getattr(detection, field.name) for field in fields(detection)}
    record["settings"] = dict(detection.settings)
    record["layers"] = [asdict(report) for report in detection.layers]
    record["final"] = asdict(detection.final) if detection.final else None
    return (json.dumps(_plain(record), allow_nan=False, indent=1) + "\n").encode("ascii")


def load_detection(data: bytes) -> Detection:
    record = json.loads(data)
    record["ids"], record["reasons"] = tuple(record["ids"]), tuple(record["reasons"])
    for name, dtype in (("scores", np.float64), ("flagged", np.bool_), ("values", np.float64)):
        # dtype by hand: float("nan") reads the text that stands for what is not finite.
        record[name] = np.array([dtype(item) for item in record[name]], dtype)
    record["layers"] = tuple(_report(report) for report in record["layers"])
    record["final"] = _mixture(record["final"])
    record["cutoff"] = None if record["cutoff"] is None else float(record["cutoff"])
    return Detection(**record)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _report(report: dict) -> LayerReport:
    numbers = {"bsi": float(report["bsi"]), "kl": float(report["kl"])}
    return LayerReport(**{**report, **numbers, "mixture": _mixture(report["mixture"])})


def _mixture(mixture: dict | None) -> Mixture | None:
    return mixture and Mixture(**{name: tuple(map(float, pair)) for name, pair in mixture.items()})
