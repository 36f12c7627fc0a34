"""Stores what the model does with single samples (records.Inspection) in a run, one file a sample."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bye_core.files import write_atomic
from bye_core.records import Grid, Inspection
from bye_core.runs.errors import RunNotWritable

FOLDER = "inspections"
NO_ROWS = np.zeros((0, 0, 0), np.float16)


def _file(run: Path, id: str) -> Path:
    return run / FOLDER / f"{hashlib.sha256(id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.npz"


def save_inspection(run: Path, inspection: Inspection) -> None:
    """Write the inspection of one sample; replaces an earlier one. Raises: RunNotWritable if the folder is not."""
    meta = asdict(inspection) | {"rows": None, "grids": [asdict(grid) for grid in inspection.grids]}
    content = io.BytesIO()
    rows = NO_ROWS if inspection.rows is None else inspection.rows
    np.savez_compressed(content, rows=rows, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
    path = _file(run, inspection.id)
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, content.getvalue())
    except OSError as error:
        raise RunNotWritable(path=run, reason=error.strerror) from error


def load_inspection(run: Path, id: str) -> Inspection | None:
    """Return the inspection of a sample; None if there is none, or if its file is damaged: it is then made again."""
    try:
        with np.load(_file(run, id), allow_pickle=False) as file:
            rows, meta = file["rows"], json.loads(file["meta"].tobytes())
        return _inspection(rows, meta)
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _inspection(rows: np.ndarray, meta: dict[str, Any]) -> Inspection:
    grids = tuple(Grid(**{**grid, "box": tuple(grid["box"])}) for grid in meta["grids"])
    return Inspection(**{**meta, "rows": rows if rows.size else None, "grids": grids})
