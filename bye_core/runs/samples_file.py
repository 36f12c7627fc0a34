"""The snapshot of the samples that a run was begun with: JSON lines, ASCII, so any text survives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from bye_core.records import Sample, Turn
from bye_core.runs.errors import DuplicateSamples


def dump_samples(samples: Sequence[Sample]) -> bytes:
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise DuplicateSamples(id=sample.id)
        seen.add(sample.id)
    return "".join(json.dumps(_record(sample)) + "\n" for sample in samples).encode("ascii")


def load_samples(data: bytes) -> tuple[Sample, ...]:
    return tuple(_sample(json.loads(line)) for line in data.splitlines())


def _record(sample: Sample) -> dict:
    turns = [[turn.role, *turn.parts] for turn in sample.turns]
    return {"id": sample.id, "index": sample.index, "turns": turns, "images": sample.images}


def _sample(record: dict) -> Sample:
    turns: Iterable[Turn] = (Turn(role, tuple(parts)) for role, *parts in record["turns"])
    return Sample(record["id"], record["index"], tuple(turns), tuple(record["images"]))
