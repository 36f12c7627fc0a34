"""A valid record, and helpers to load it together with others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bye_core.data import load_dataset
from tests.data import sets

GOOD = {"id": "good", "image": "images/0.png", "conversations": sets.talk("cat")}


def load(folder: Path, *records: Any, **options: Any) -> Any:
    sets.pictures(folder, 2)
    (folder / "data.json").write_text(json.dumps([GOOD, *records]))
    return load_dataset(folder, **options)


def faults_of(data: Any) -> list[tuple[str, str]]:
    """Return (id, kind) of every fault; a record with several faults occurs once for each of them."""
    return [(fault.id, kind) for fault in data.faults for kind in fault.kinds]
