"""Stores samples in a file, one JSON line each, so that a large set needs little memory: a sample is made on request.

The JSON is ASCII, so that any text is stored unchanged, also half a surrogate pair.
"""

from __future__ import annotations

import hashlib
import json
import operator
import tempfile
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np

from bye_core.errors import DataError
from bye_core.files import CHUNK, FileReader
from bye_core.records import Sample, Turn

AT_ONCE = 2**20  # bytes that are read at once when the samples are read in order
_ID, _INDEX = b'{"id": ', b', "index": '  # how a line begins
Content = tuple[tuple[Turn, ...], tuple[str, ...]]  # the turns and the images of a sample


def sample_line(sample: Sample) -> bytes:
    """Return the sample as one JSON line, without the line end."""
    return _head(sample.id, sample.index) + _content_line((sample.turns, sample.images))


def parse_sample(line: bytes) -> Sample:
    """Return the sample of a line. Raises: ValueError, TypeError, KeyError or AttributeError if it is damaged."""
    record = json.loads(line)
    return Sample(record["id"], record["index"], *_content(record))


def _head(id: str, index: int) -> bytes:
    return f'{{"id": {json.dumps(id)}, "index": {index}, '.encode("ascii")


def _content_line(content: Content) -> bytes:
    turns, images = content
    record = {"turns": [[turn.role, *turn.parts] for turn in turns], "images": images}
    return json.dumps(record).encode("ascii")[1:]


def _content(record: Mapping[str, Any]) -> Content:
    return tuple(Turn(role, tuple(parts)) for role, *parts in record["turns"]), tuple(record["images"])


class SamplesChanged(DataError):
    problem = "The list of samples cannot be read: {why}."
    remedy = "Start again. If the problem stays, check the disk."


class SampleFile(Sequence[Sample]):
    """Samples in a file; each request for a sample makes a new one. Raises: SamplesChanged if it cannot be read.

    spans    [N, 2] start and end of each sample's line, in bytes
    ids      the ids of all samples
    indices  [N] the position of each sample's record in the data set
    bare     whether the lines lack ids and indices
    """

    def __init__(
        self, file: FileReader, spans: np.ndarray, ids: tuple[str, ...], indices: np.ndarray, bare: bool = False
    ) -> None:
        self._file, self._spans, self._bare = file, spans, bare
        self.ids, self.indices = ids, indices

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        """Compare with another sequence of samples: a tuple may have the same samples as a file."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return SampleFile(self._file, self._spans[index], self.ids[index], self.indices[index], self._bare)
        start, end = self._spans[index].tolist()
        return self._sample(range(len(self))[index], self._read(start, end - start))

    def _read(self, start: int, length: int, short: bool = False) -> bytes:
        try:
            return self._file.read(start, length, short)
        except OSError as error:
            raise SamplesChanged(why=error.strerror) from error

    def at(self, positions: np.ndarray) -> SampleFile:
        """Return the samples at `positions`."""
        if len(positions) == len(self) and (positions == np.arange(len(self))).all():
            return self
        ids = tuple(self.ids[position] for position in positions.tolist())
        return SampleFile(self._file, self._spans[positions], ids, self.indices[positions], self._bare)

    def __iter__(self) -> Iterator[Sample]:
        return map(self._sample, range(len(self)), self._stored())

    def lines(self) -> Iterator[bytes]:
        """Yield every sample as its `sample_line`, without parsing it."""
        if not self._bare:
            yield from self._stored()
            return
        for id, index, line in zip(self.ids, self.indices.tolist(), self._stored(), strict=True):
            yield _head(id, index) + line

    def _stored(self) -> Iterator[bytes]:
        """Yield the lines of all samples, reading many at once."""
        held, begin = b"", 0
        for start, end in zip(*(self._spans[:, k].tolist() for k in (0, 1)), strict=True):
            if not begin <= start <= end <= begin + len(held):
                held, begin = self._read(start, max(AT_ONCE, end - start), short=True), start
            yield held[start - begin : end - begin]

    def _sample(self, position: int, line: bytes) -> Sample:
        if not self._bare:
            return parse_sample(line)
        content = _content(json.loads(b"{" + line))
        return Sample(self.ids[position], int(self.indices[position]), *content)


def open_listing(path: Path) -> tuple[SampleFile, str]:
    """Return (the samples of a file of `sample_line`s, its SHA-256). Makes no sample.

    Raises: OSError if it cannot be read; ValueError if a line does not begin as `sample_line` begins it.
    """
    file: Any = path.open("rb", buffering=0)
    reader = FileReader(file, unchanged=True)
    digest, begin, rest = hashlib.sha256(), 0, b""
    ends, ids, indices = array("q"), list[str](), array("q")
    while chunk := file.read(CHUNK):
        digest.update(chunk)
        chunk, start = rest + chunk, 0
        stops = (np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) + 1).tolist()
        for end in stops:
            id, index = _read_head(chunk, start)
            ids.append(id)
            indices.append(index)
            ends.append(begin + end)
            start = end
        rest, begin = chunk[start:], begin + start
    if rest:
        raise ValueError("the last line is cut off")
    lines = np.array([0, *ends], np.int64)
    spans = np.stack([lines[:-1], lines[1:] - 1], axis=1)
    return SampleFile(reader, spans, tuple(ids), np.array(indices, np.int64)), digest.hexdigest()


def _read_head(lines: bytes, start: int) -> tuple[str, int]:
    """Return the id and the index of the line at `start`. A quote inside an id is escaped, so it ends no id."""
    middle = lines.index(_INDEX, start)
    raw, after = lines[start + len(_ID) : middle], middle + len(_INDEX)
    id = json.loads(raw) if b"\\" in raw else raw[1:-1].decode("ascii")
    return id, int(lines[after : lines.index(b",", after)])


class ContentStore:
    """Collects the contents of records in order: in memory, and in a temporary file once they take more than `most`.

    The file has no name, so it disappears with the process. Raises: OSError if it cannot be written.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._contents: list[Content | None] = []
        self._file: BinaryIO | None = None
        self._spans = array("q")

    def append(self, content: Content | None, size: int) -> None:
        """Add the content of the next record, which takes `size` bytes of memory; None if it is malformed."""
        if self._file is not None:
            self._write(content)
            return
        self._contents.append(content)
        self._held += size
        if self._held > self._most:
            self._move_to_file()

    def _move_to_file(self) -> None:
        file: Any = tempfile.TemporaryFile(prefix="bye-samples-", buffering=AT_ONCE)  # noqa: SIM115 - stays open
        self._file = file
        for content in self._contents:
            self._write(content)
        self._contents = []

    def _write(self, content: Content | None) -> None:
        assert self._file is not None
        start = self._spans[-1] if self._spans else 0
        line = b"" if content is None else _content_line(content)
        self._file.write(line)
        self._spans.extend((start, start + len(line)))

    def samples(self, names: Sequence[str], positions: Sequence[int]) -> Sequence[Sample]:
        """Return the samples of the records at `positions`, in that order. `names`: the ids of all records."""
        if self._file is None:
            return tuple(
                Sample(names[position], position, *content)
                for position in positions
                if (content := self._contents[position])
            )
        self._file.flush()
        indices = np.array(positions, np.int64)
        spans = np.frombuffer(self._spans, np.int64).reshape(-1, 2)[indices]
        ids = tuple(names[position] for position in positions)
        return SampleFile(FileReader(self._file), spans, ids, indices, bare=True)


def ids_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the ids of all samples, without making the samples of a file."""
    return samples.ids if isinstance(samples, SampleFile) else tuple(sample.id for sample in samples)


def indices_of(samples: Sequence[Sample]) -> list[int]:
    """Return the index of each sample's record, without making the samples of a file."""
    return samples.indices.tolist() if isinstance(samples, SampleFile) else [sample.index for sample in samples]


def chosen(samples: Sequence[Sample], ids: Collection[str]) -> Sequence[Sample]:
    """Return the samples with these ids, in order, without making the samples of a file."""
    if isinstance(samples, SampleFile):
        return samples.at(np.flatnonzero([id in ids for id in samples.ids]))
    return tuple(sample for sample in samples if sample.id in ids)


def lines_of(samples: Sequence[Sample]) -> Iterable[bytes]:
    """Yield each sample as its `sample_line`."""
    return samples.lines() if isinstance(samples, SampleFile) else map(sample_line, samples)


class ById(Mapping[str, Sample]):
    """The samples by id. Holds only their positions."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._positions = {id: position for position, id in enumerate(ids_of(samples))}

    def __getitem__(self, id: str) -> Sample:
        return self._samples[self._positions[id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, id: object) -> bool:
        return id in self._positions
