"""One sample's attention rows as bytes and back: safetensors, equal input gives equal bytes."""

from __future__ import annotations

import json
from dataclasses import astuple

import numpy as np
from safetensors.numpy import load, save

from bye_core.records import AttentionRows, Grid

STATISTICS = ("entropy", "peak", "mass", "layer_entropy", "layer_entropy_reference")
# What rows may lack: those of earlier versions, or of a scan that was not asked for it.
OPTIONAL = ("nll", "nll_before")
METADATA = "bye"


def encode(rows: AttentionRows) -> bytes:
    """Numbers per head and layer as float32, the rows and the hidden state as float16 (SAFETY, Storage)."""
    arrays = {name: np.ascontiguousarray(getattr(rows, name), np.float32) for name in STATISTICS}
    arrays["rows"] = np.ascontiguousarray(rows.rows, np.float16)
    if rows.hidden is not None:
        arrays["hidden"] = np.ascontiguousarray(rows.hidden, np.float16)
    facts = {
        "id": rows.id,
        "grids": [astuple(grid) for grid in rows.grids],
        "token": int(rows.token),
        "token_text": rows.token_text,
        "probability": float(rows.probability),
        **{name: float(value) for name in OPTIONAL if (value := getattr(rows, name)) is not None},
    }
    # One entry only: safetensors writes several in an order that changes from process to process.
    return save(arrays, metadata={METADATA: json.dumps(facts)})


def decode(payload: bytes) -> AttentionRows:
    facts = _facts(payload)
    grids = tuple(Grid(*grid[:4], box=tuple(grid[4])) for grid in facts.pop("grids"))
    return AttentionRows(**load(payload), **facts, grids=grids)


def payload_id(payload: bytes) -> str:
    return _facts(payload)["id"]


def _facts(payload: bytes) -> dict:
    header = json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])
    return json.loads(header["__metadata__"][METADATA])
