"""Valid records, and helpers to load them together with others."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from bye_core.data import load_dataset
from tests.data import sets

QUESTION, ANSWER = "What is it?", "cat"
GOOD = {"id": "good", "image": "images/0.png", "conversations": sets.talk("cat")}


def load(folder: Path, *records: Any, **options: Any) -> Any:
    sets.pictures(folder, 2)
    (folder / "data.json").write_text(json.dumps([GOOD, *records]))
    return load_dataset(folder, **options)


def faults_of(data: Any) -> list[tuple[str, str]]:
    """Return (id, kind) of every fault; a record with several faults occurs once for each of them."""
    return [(fault.id, kind) for fault in data.faults for kind in fault.kinds]


def read(folder: Path, *records: Any, **options: Any) -> Any:
    """Load records as JSON lines."""
    sets.pictures(folder, 3)
    (folder / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return load_dataset(folder / "data.jsonl", **options)


def say(question: Any = f"<image>\n{QUESTION}", answer: Any = ANSWER) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def user_parts(data: Any) -> list[tuple]:
    return [turn.parts for sample in data.samples for turn in sample.turns if turn.role == "user"]


def png64(seed: int = 0) -> str:
    return base64.b64encode(sets.png(sets.picture(seed, (40, 30)))).decode()
