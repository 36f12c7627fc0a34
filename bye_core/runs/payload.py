"""Encodes the attention rows of one sample as bytes (called a payload) and decodes them.

The format is safetensors; equal input gives equal bytes.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from bye_core.records import AttentionRows, Grid

STATISTICS = ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference")
# Absent in rows of earlier versions, and if the scan did not read them.
OPTIONAL = ("nll", "nll_before", "answer_tokens", "worst_before", "certain_before", "unlikely_start", "unlikely_end")
# The same, of arrays in float16.
OPTIONAL_ARRAYS = ("hidden", "entropy_before", "peak_before", "mass_before")
METADATA = "bye"
REQUIRED_VALUES = 5  # of a grid: image, rows, columns, start, box


def encode(rows: AttentionRows) -> bytes:
    """Return the payload: statistics per head and layer as float32, the rows and the hidden state as float16."""
    arrays = {name: np.ascontiguousarray(getattr(rows, name), np.float32) for name in STATISTICS}
    arrays["rows"] = np.ascontiguousarray(rows.rows, np.float16)
    for name in OPTIONAL_ARRAYS:
        if (value := getattr(rows, name)) is not None:
            arrays[name] = np.ascontiguousarray(value, np.float16)
    facts = {
        "id": rows.id,
        "grids": [_grid_values(grid) for grid in rows.grids],
        "token": int(rows.token),
        "token_text": rows.token_text,
        "probability": float(rows.probability),
        **{name: float(value) for name in OPTIONAL if (value := getattr(rows, name)) is not None},
    }
    # Only one metadata entry: safetensors writes several entries in an order that differs between processes.
    return save(arrays, metadata={METADATA: json.dumps(facts)})


def decode(payload: bytes) -> AttentionRows:
    facts = _facts(payload)
    # Runs of earlier versions hold the first five values only.
    grids = (
        Grid(image, rows, columns, start, tuple(box), *more)
        for image, rows, columns, start, box, *more in facts["grids"]
    )
    values: dict[str, Any] = {**load(payload), **facts, "grids": tuple(grids)}
    return AttentionRows(**values)


def _grid_values(grid: Grid) -> tuple[Any, ...]:
    """Return the values of a grid, without the last two if they are the defaults: earlier versions can read those."""
    values = astuple(grid)
    return values if any(values[REQUIRED_VALUES:]) else values[:REQUIRED_VALUES]


def payload_id(payload: bytes) -> str:
    return _facts(payload)["id"]


def _facts(payload: bytes) -> dict[str, Any]:
    header = json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])
    return json.loads(header["__metadata__"][METADATA])
