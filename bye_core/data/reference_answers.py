"""Several right answers to one question: listed in a record, or told by several records with the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bye_core.data.dataset import DataSet
from bye_core.records import Sample

# Where records list further right answers: as VQA's annotations do, as caption sets do.
KEYS = ("answers", "references", "captions")


def references(dataset: DataSet, samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """All right answers by sample id, a sample's own first. Samples with the same pictures and question, such as five
    captions of one photograph, are asked once: the first of them stands for all, and has the answers of all."""
    first: dict[tuple, str] = {}
    found: dict[str, list[str]] = {}
    for sample in samples:
        id = first.setdefault((sample.images, sample.question), sample.id)
        found.setdefault(id, []).extend([sample.answer, *listed(dataset.record(sample.index))])
    return {id: tuple(dict.fromkeys(answers)) for id, answers in found.items()}


def listed(record: Any) -> list[str]:
    """The texts under KEYS, plain or as VQA has them, {"answer": text}; whatever else stands there is passed over."""
    if not isinstance(record, Mapping):
        return []
    entries = [entry for key in KEYS if isinstance(record.get(key), list) for entry in record[key]]
    texts = [entry.get("answer") if isinstance(entry, Mapping) else entry for entry in entries]
    return [text for text in texts if isinstance(text, str) and text.strip()]
