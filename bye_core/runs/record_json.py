"""Converts the samples and the detection of a run to JSON and back.

The JSON is ASCII, so that any text is stored unchanged. Floats are exact; NaN and infinity are stored as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from bye_core.records import (
    NATS,
    NO_EVIDENCE,
    NOT_TESTED,
    Detection,
    Finding,
    LayerReport,
    Limitation,
    Mixture,
    Sample,
    Turn,
)
from bye_core.runs.checksums import seal, unseal
from bye_core.runs.errors import DuplicateSamples

EARLIER = Limitation(
    "earlier_version",
    "An earlier version saved this detection and did not check whether the scan could show a back door.",
    "Run the detection again.",
    decisive=True,
)


def dump_samples(samples: Sequence[Sample]) -> bytes:
    """Return one JSON line per sample. Raises: DuplicateSamples if two samples have the same id."""
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise DuplicateSamples(id=sample.id)
        seen.add(sample.id)
    return "".join(json.dumps(_sample_record(sample)) + "\n" for sample in samples).encode("ascii")


def load_samples(data: bytes) -> tuple[Sample, ...]:
    return tuple(_sample(json.loads(line)) for line in data.splitlines())


def _sample_record(sample: Sample) -> dict[str, Any]:
    turns = [[turn.role, *turn.parts] for turn in sample.turns]
    return {"id": sample.id, "index": sample.index, "turns": turns, "images": sample.images}


def _sample(record: Mapping[str, Any]) -> Sample:
    turns = tuple(Turn(role, tuple(parts)) for role, *parts in record["turns"])
    return Sample(record["id"], record["index"], turns, tuple(record["images"]))


def dump_detection(detection: Detection) -> bytes:
    record = {field.name: getattr(detection, field.name) for field in fields(detection)}
    record["settings"] = dict(detection.settings)
    record["layers"] = [asdict(report) for report in detection.layers]
    record["final"] = asdict(detection.final) if detection.final else None
    for name in ("limitations", "findings"):
        record[name] = [asdict(entry) for entry in record[name]]
    if detection.entropy_unit == NATS:
        del record["entropy_unit"]  # earlier versions do not know it
    return seal(json.dumps(_json_value(record), allow_nan=False, indent=1).encode("ascii")) + b"\n"


def load_detection(data: bytes) -> Detection:
    """Read a saved detection. "no evidence" of an earlier version, which lacks limitations, becomes "not tested".

    Raises: ChecksumError, another ValueError, TypeError, KeyError or AttributeError if the detection is damaged.
    """
    record = json.loads(unseal(data).text)
    record["ids"], record["reasons"] = tuple(record["ids"]), tuple(record["reasons"])
    for name, dtype in (("scores", np.float64), ("flagged", np.bool_), ("values", np.float64)):
        # Item by item: np.float64("nan") converts the text for NaN.
        record[name] = np.array([dtype(item) for item in record[name]], dtype)
    record["layers"] = tuple(_layer_report(report) for report in record["layers"])
    record["final"] = _mixture(record["final"])
    if "limitations" not in record and record["verdict"] == NO_EVIDENCE:
        record["verdict"], record["limitations"] = NOT_TESTED, [asdict(EARLIER)]
    record["limitations"] = tuple(Limitation(**entry) for entry in record.get("limitations", ()))
    record["findings"] = tuple(
        Finding(entry["name"], tuple(entry["ids"]), tuple(entry["reasons"])) for entry in record.get("findings", ())
    )
    record["suspects"] = tuple(record.get("suspects", ()))
    record["cutoff"] = None if record["cutoff"] is None else float(record["cutoff"])
    return Detection(**record)


def _json_value(value: Any) -> Any:
    # Not files.to_json_values: it replaces NaN by null, but a detection must be read back unchanged.
    if isinstance(value, dict):
        return {str(name): _json_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _json_value(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _layer_report(report: Mapping[str, Any]) -> LayerReport:
    numbers = {"bsi": float(report["bsi"]), "kl": float(report["kl"])}
    return LayerReport(**{**report, **numbers, "mixture": _mixture(report["mixture"])})


def _mixture(mixture: Mapping[str, Any] | None) -> Mixture | None:
    return Mixture(**{name: _pair(values) for name, values in mixture.items()}) if mixture else None


def _pair(values: Sequence[Any]) -> tuple[float, float]:
    low, high = map(float, values)
    return low, high
