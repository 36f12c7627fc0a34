"""The questions and answers of the samples of a large run: each different text is held once, when it was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import SupportsIndex, overload

import numpy as np

from bye_core.sample_file import SampleFile


def first_rows(texts: Iterable[str]) -> np.ndarray:
    """Return [N] for each text the index of its first occurrence."""
    first: dict[str, int] = {}
    return np.fromiter((first.setdefault(text, row) for row, text in enumerate(texts)), np.int64)


def text_codes(samples: SampleFile) -> np.ndarray:
    """Return [N, 2] the first samples with the same question and with the same answer."""
    first: tuple[dict[bytes, int], dict[bytes, int]] = {}, {}
    codes = np.empty((len(samples), 2), np.int64)
    for row, sample in enumerate(samples):
        for column, text in enumerate((sample.question, sample.answer)):
            name = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            codes[row, column] = first[column].setdefault(name, row)
    return codes


class Texts(Sequence[str]):
    """The question or the answer of each sample of a file. Holds each different text once, when it was asked for.

    first_rows  [N] the first sample with the same text
    """

    def __init__(self, samples: SampleFile, name: str, first_rows: np.ndarray) -> None:
        self._samples, self._name, self.first_rows = samples, name, first_rows
        self._known: dict[int, str] = {}
        self._all = False

    def __len__(self) -> int:
        return len(self.first_rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[row] for row in range(len(self))[index])
        row = int(self.first_rows[index])
        if row not in self._known:
            self._known[row] = getattr(self._samples[row], self._name)
        return self._known[row]

    def __iter__(self) -> Iterator[str]:
        known = self.different()
        return (known[row] for row in self.first_rows.tolist())

    def different(self) -> Mapping[int, str]:
        """Return the different texts by the first row of each."""
        if not self._all:
            rows = np.flatnonzero(self.first_rows == np.arange(len(self)))
            texts = (getattr(sample, self._name) for sample in self._samples.at(rows))
            self._known = dict(zip(rows.tolist(), texts, strict=True))
            self._all = True
        return self._known

    def codes(self) -> np.ndarray:
        """Return [N] the number of each text in `different`."""
        rows = np.flatnonzero(self.first_rows == np.arange(len(self)))
        number = np.zeros(len(self), np.int32)
        number[rows] = np.arange(len(rows))
        return number[self.first_rows]


def numbered(texts: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return (the different texts in the order of their first samples, [N] the number of each sample's text)."""
    if isinstance(texts, Texts):
        return tuple(texts.different().values()), texts.codes()
    number: dict[str, int] = {}
    codes = np.fromiter((number.setdefault(text, len(number)) for text in texts), np.int32, len(texts))
    return tuple(number), codes
