"""A loaded data set: its usable samples, what is wrong with the others, and its pictures on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from bye_core.data import images
from bye_core.data.formats import FORMATS
from bye_core.data.formats.base import Layout, ParsedRecord
from bye_core.data.sources import Source
from bye_core.records import Fault, Sample


@dataclass(frozen=True, eq=False)
class DataSet:
    """What `load_dataset` returns.

    samples  the records that can be used, in file order; faults tell why the others cannot
    size     number of records in the file, usable or not
    root     the folder that all picture paths start from; nothing outside it is ever opened
    notes    what about the whole set a person should know (a split that was not read)
    info     the part of a dataset_info.json that describes the set, if there is one
    """

    path: Path
    root: Path
    format: str
    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...]
    size: int
    digest: str
    source: Source
    layout: Layout
    notes: tuple[str, ...] = ()
    info: Mapping[str, Any] | None = None

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        return MappingProxyType({sample.id: sample for sample in self.samples})

    def record(self, index: int) -> Any:
        """The record at `index` as it stands in the file; of a line that cannot be parsed, its text."""
        if not 0 <= index < self.size:
            raise IndexError(f"record {index} of {self.size}")
        return self.source.record(index)

    def draft(self, sample: Sample) -> ParsedRecord:
        """The sample's record as read by its format: with the id of its own type and the pictures inside tables."""
        return FORMATS[self.format].read(self.record(sample.index), self.layout)

    def image_bytes(self, sample: Sample, k: int) -> bytes:
        """Picture number `k` as stored. Raises a DataError if it is not a file under the root, or too large."""
        name = sample.images[k]
        if not name.startswith(images.EMBEDDED):
            return images.read_bytes(self.root, name)
        data = self.draft(sample).images[k]
        images.check_bytes(data, name)
        return data

    def images(self, sample: Sample) -> list[Image.Image]:
        """The sample's pictures, upright, RGB. Raises a DataError if one cannot be decoded."""
        return [images.decode(self.image_bytes(sample, k), name) for k, name in enumerate(sample.images)]
