"""A loaded data set: its usable samples, the faults of the other records, and images on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from bye_core.data import images
from bye_core.data.faults import MalformedRecord, value_type
from bye_core.data.formats import FORMATS, Reader
from bye_core.data.formats.base import Layout, ParsedRecord
from bye_core.data.sources import Source
from bye_core.errors import DataError
from bye_core.records import Fault, Sample
from bye_core.sample_file import ById

# Keys under which records list further correct answers: "answers" in VQA annotations, the other keys in caption sets.
REFERENCE_KEYS = ("answers", "references", "captions", "sentences")


@dataclass(frozen=True, eq=False)
class DataSet:
    """The result of `load_dataset`.

    path     the annotation file, saved data set, or name on the Hugging Face Hub
    root     the folder that image paths are relative to; no file outside it is ever opened
    format   the name of its format
    samples  the usable records, in file order; those of a large set are in a file, and made when they are asked for
    faults   why the other records cannot be used: one fault for each
    text_only  the records without an image that have no other fault; `faults` has them too: they cannot be scanned
    size     number of all records, both usable and unusable
    digest   SHA-256 of the content and of the names of renamed columns
    source   reads and copies single records
    layout   the names of columns and roles
    notes    what a user should know about the whole set, such as splits that were not read
    info     the entry for this set in a dataset_info.json, if there is one
    index    the folder in which the set is stored once it was read (set_index); None if it is not
    """

    path: Path
    root: Path
    format: str
    samples: Sequence[Sample]
    faults: tuple[Fault, ...]
    size: int
    digest: str
    source: Source
    layout: Layout
    notes: tuple[str, ...] = ()
    text_only: Sequence[Sample] = ()
    info: Mapping[str, Any] | None = None
    index: Path | None = None

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        return ById(self.samples)

    def record(self, index: int) -> Any:
        """Return record `index` unchanged, or its text if it cannot be parsed. Raises:

        IndexError if there is no such record.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"record {index} of {self.size}")
        return self.source.record(index)

    def parsed_record(self, sample: Sample) -> ParsedRecord:
        """Return the sample's record as its format reads it: the id has its own type, embedded images are bytes.

        Raises: DataError if the record changed since it was loaded.
        """
        record = self.record(sample.index)
        if not isinstance(record, Mapping):
            raise MalformedRecord(what=f"it is {value_type(record)}, not an object")
        return Reader(FORMATS[self.format], self.layout).read(record)

    def image_bytes(self, sample: Sample, k: int) -> bytes:
        """Return the stored bytes of image `k`. Raises: DataError if it is not a file under the root or too large."""
        name = sample.images[k]
        if not name.startswith(images.EMBEDDED_PREFIX):
            return images.read_bytes(self.root, name)
        data = self.parsed_record(sample).images[k]
        if not isinstance(data, bytes):
            raise images.BrokenImage(path=name, why="the record no longer holds its data")
        images.check_size(data, name)
        return data

    def image_sizes(self, sample: Sample) -> list[tuple[int, int]]:
        """Return the (width, height) of the sample's images, from their headers; (0, 0) for one that cannot be read."""
        return [self._image_size(sample, k) for k in range(len(sample.images))]

    def pixels(self, sample: Sample) -> int:
        """Return how many pixels the sample's images have together, from their headers. Decodes no image.

        Counts 0 for an image that cannot be read. Use it with `images.group_by_pixels` before images are decoded.
        """
        return sum(width * height for width, height in self.image_sizes(sample))

    def _image_size(self, sample: Sample, k: int) -> tuple[int, int]:
        try:
            return images.image_size(self.image_bytes(sample, k))
        except DataError:
            return 0, 0

    def images(self, sample: Sample) -> list[Image.Image]:
        """Return the sample's images in RGB, rotated upright.

        Raises: DataError if an image cannot be decoded, or if the images have more than `images.MAX_BATCH_PIXELS`
        pixels together.
        """
        return images.decode_sample((name, self.image_bytes(sample, k)) for k, name in enumerate(sample.images))


def reference_answers(dataset: DataSet, samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """Return all correct answers by sample id; the sample's own answer comes first.

    If several samples have the same images and question, such as five captions of one photograph, the model is asked
    only once: the result has only the first of these samples, with the answers of all of them.
    """
    first: dict[tuple[Any, ...], str] = {}
    answers: dict[str, list[str]] = {}
    for sample in samples:
        id = first.setdefault((sample.images, sample.question), sample.id)
        further = dataset.parsed_record(sample).references
        answers.setdefault(id, []).extend([sample.answer, *further, *_listed_answers(dataset.record(sample.index))])
    return {id: tuple(dict.fromkeys(texts)) for id, texts in answers.items()}


def _listed_answers(record: Any) -> list[str]:
    """Return the answers under REFERENCE_KEYS, given as texts or as {"answer": text} (VQA); skip other values."""
    if not isinstance(record, Mapping):
        return []
    entries = [entry for key in REFERENCE_KEYS if isinstance(record.get(key), list) for entry in record[key]]
    texts = [entry.get("answer") if isinstance(entry, Mapping) else entry for entry in entries]
    return [text for text in texts if isinstance(text, str) and text.strip()]
