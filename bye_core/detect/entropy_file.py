"""Reads and writes BYE's entropy files.

Each line is one JSON object: {"question_id": id, "answer": text, "entropy": {"0": nats, ...}}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bye_core.detect.errors import BadScoreLine, NoScores
from bye_core.detect.settings import VARIANTS, require
from bye_core.files import write_atomic
from bye_core.records import ScanTable

# Prevents a hostile layer number from filling the memory; the deepest published decoders have about 130 layers.
MOST_LAYERS = 1024
LONGEST_LINE = 2**20  # bytes; 1,024 layers take 30,000 (ours)
# A table may have so many values without being full, and a larger one so many for each value in the file (ours).
FREE_VALUES, SPARSEST = 2**22, 4


def read_entropies(path: Path | str) -> ScanTable:
    """Read the file as a table. Ids become text. A layer that a line lacks or gives as null becomes NaN.

    The file does not say which variant of the entropy it holds, so both variants in the table have the same numbers.
    Raises: NoScores if the file cannot be read or is empty; BadScoreLine if a line is not valid.
    """
    path = Path(path)
    ids: dict[str, int] = {}  # id -> line number
    answers, entropies = [], []
    values = layers = 0
    for number, line in _lines(path):
        try:
            id, answer, entropy = _parse(line)
            if id in ids:
                raise ValueError(f"line {ids[id]} has the id {id!r} too")
        except (ValueError, OverflowError, RecursionError) as error:
            raise BadScoreLine(path=path, line=number, reason=error) from error
        ids[id] = number
        answers.append(answer)
        entropies.append(entropy)
        values, layers = values + len(entropy), max(layers, 1 + max(entropy, default=-1))
        if len(ids) * layers > max(FREE_VALUES, SPARSEST * values):
            reason = f"{len(ids):,} samples with {layers:,} layers hold only {values:,} entropies"
            raise NoScores(path=path, reason=reason)
    if not ids:
        raise NoScores(path=path, reason="it is empty")
    # [N, L]
    stacked = np.full((len(ids), layers), np.nan)
    for row, entropy in enumerate(entropies):
        stacked[row, list(entropy)] = list(entropy.values())
    return ScanTable(tuple(ids), stacked, stacked.copy(), answers=tuple(answers))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) for each line that is not blank. Raises: NoScores if the file cannot be read."""
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise BadScoreLine(path=path, line=number, reason=f"it has more than {LONGEST_LINE:,} bytes")
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, line
    except OSError as error:
        raise NoScores(path=path, reason=error.strerror) from error


def write_entropies(
    table: ScanTable, path: Path | str, answers: Sequence[str] | None = None, entropy: str = "reference"
) -> Path:
    """Write the layer entropies of the table; values that are not finite become null.

    entropy  "reference" (the authors' code) or "paper"
    answers  the model's answers; None: the answers of the table, or empty texts if it has none
    """
    require(entropy in VARIANTS, "entropy", entropy, f"one of: {', '.join(VARIANTS)}")
    path = Path(path)
    numbers = table.layer_entropy_reference if entropy == "reference" else table.layer_entropy
    answers = answers or table.answers or [""] * len(table.ids)
    lines = (
        json.dumps({"question_id": id, "answer": answer, "entropy": _by_layer(row)}) + "\n"
        for id, answer, row in zip(table.ids, answers, np.asarray(numbers, np.float64).tolist(), strict=True)
    )
    write_atomic(path, "".join(lines).encode("ascii"))
    return path


def _by_layer(row: list[float]) -> dict[str, float | None]:
    return {str(layer): value if math.isfinite(value) else None for layer, value in enumerate(row)}


def _parse(line: bytes) -> tuple[str, str, dict[int, float]]:
    record = json.loads(line.decode("utf-8"))
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    id, answer, entropy = record.get("question_id"), record.get("answer", ""), record.get("entropy")
    if isinstance(id, bool) or not isinstance(id, (str, int)):
        raise ValueError("question_id must be text or a whole number")
    if not isinstance(entropy, dict):
        raise ValueError("entropy must be an object of layer numbers and nats")
    return str(id), answer if isinstance(answer, str) else str(answer), dict(map(_layer, entropy.items()))


def _layer(item: tuple[str, Any]) -> tuple[int, float]:
    name, value = item
    if not (name.isascii() and name.isdecimal() and len(name) < 10 and int(name) < MOST_LAYERS):
        raise ValueError(f"{name[:20]!r} is not a layer number from 0 to {MOST_LAYERS - 1}")
    if value is None:
        return int(name), math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"the entropy of layer {name} is not a number")
    number = float(value)
    return int(name), number if math.isfinite(number) else math.nan
