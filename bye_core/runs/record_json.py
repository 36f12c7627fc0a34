"""Converts the samples and the detection of a run to JSON and back.

The JSON is ASCII, so that any text is stored unchanged. Floats are exact; NaN and infinity are stored as text.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
)
from bye_core.runs.checksums import tail_of, unseal
from bye_core.runs.errors import DuplicateSamples
from bye_core.sample_file import ids_of, lines_of, parse_sample

PER_SAMPLE = ("ids", "scores", "flagged", "values")  # what a detection holds of every sample
AT_ONCE = 2**16  # samples that are converted to JSON at once

EARLIER = Limitation(
    "earlier_version",
    "An earlier version saved this detection and did not check whether the scan could show a back door.",
    "Run the detection again.",
    decisive=True,
)


def sample_lines(samples: Sequence[Sample]) -> Iterator[bytes]:
    """Yield one JSON line per sample. Raises: DuplicateSamples if two samples have the same id."""
    ids = ids_of(samples)
    if len(set(ids)) < len(ids):
        raise DuplicateSamples(id=next(id for id, number in Counter(ids).items() if number > 1))
    return (line + b"\n" for line in lines_of(samples))


def load_samples(data: bytes) -> tuple[Sample, ...]:
    return tuple(map(parse_sample, data.splitlines()))


def detection_parts(detection: Detection) -> Iterator[bytes]:
    """Yield the detection as one JSON object with its checksum, in parts."""
    checksum, begun = 0, b"{"
    for name, values in _detection_record(detection).items():
        for part in _list_parts(values) if name in PER_SAMPLE else [json.dumps(_json_value(values), indent=1)]:
            text = begun + (f'\n "{name}": '.encode("ascii") if begun else b"") + part.encode("ascii")
            checksum, begun = zlib.crc32(text, checksum), b""
            yield text
        begun = b","
    yield tail_of(checksum) + b"\n"


def _detection_record(detection: Detection) -> dict[str, Any]:
    record = {field.name: getattr(detection, field.name) for field in fields(detection)}
    record["settings"] = dict(detection.settings)
    record["layers"] = [asdict(report) for report in detection.layers]
    record["final"] = asdict(detection.final) if detection.final else None
    for name in ("limitations", "findings"):
        record[name] = [asdict(entry) for entry in record[name]]
    if detection.entropy_unit == NATS:
        del record["entropy_unit"]  # earlier versions do not know it
    return record


def _list_parts(values: Sequence[Any] | np.ndarray) -> Iterator[str]:
    """Yield a list as JSON text, in parts."""
    yield "["
    for start in range(0, len(values), AT_ONCE):
        part = values[start : start + AT_ONCE]
        plain = part.tolist() if isinstance(part, np.ndarray) and np.isfinite(part).all() else _json_value(part)
        yield (", " if start else "") + json.dumps(plain, allow_nan=False)[1:-1]
    yield "]"


def load_detection(data: bytes) -> Detection:
    """Read a saved detection. "no evidence" of an earlier version, which lacks limitations, becomes "not tested".

    Raises: ChecksumError, another ValueError, TypeError, KeyError or AttributeError if the detection is damaged.
    """
    record = json.loads(unseal(data).text)
    record["ids"], record["reasons"] = tuple(record["ids"]), tuple(record["reasons"])
    for name, dtype in (("scores", np.float64), ("flagged", np.bool_), ("values", np.float64)):
        record[name] = np.array(record[name], dtype)  # converts the text for NaN, too
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
