"""Groups the files of a folder into splits and shards, and reads the shards of one split as one data set."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bye_core.data.renaming import NO_RENAMINGS, Renaming
from bye_core.data.sources import NoSuchSplit, SeveralSplits, Source, unread_note

# Names of splits, as in Hugging Face's folders and files.
SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
# "train-00000-of-00002" and "train-00000-of-00002-0123456789abcdef" are shards of "train" in any format.
_SHARD = re.compile(r"(?P<base>.*?)[-_.]?(?P<number>\d{3,})[-_]of[-_](?P<count>\d{3,})(?:[-_][0-9a-f]{6,})?", re.I)
# "data-000001" is a shard in these formats only; elsewhere, it may be a file about one picture.
_NUMBERED = re.compile(r"(?P<base>.*?)[-_.]?(?P<number>\d{3,})")
NUMBERED_SUFFIXES = (".parquet", ".tar", ".jsonl", ".ndjson")
_WORD = re.compile(r"[a-z]+")


@dataclass
class Group:
    """The files of one split.

    name     of the split, or of the file without its ending
    split    the usual name of the split; "" if the name does not say it
    files    its shards, in order
    missing  numbers of shards that are not there
    """

    name: str
    split: str
    files: list[Path] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def named(self) -> str:
        return self.split or self.name

    def notes(self) -> tuple[str, ...]:
        if not self.missing:
            return ()
        return (f"Shards of {self.name or 'the set'} are missing: {', '.join(self.missing[:10])}.",)


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case, without a final `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def stem_of(path: Path) -> str:
    return path.name[: len(path.name.lower().removesuffix(".gz")) - len(suffix_of(path))]


def split_of(name: str) -> str:
    """Return the usual name of the split that a file or folder name says: "" if it says none or several."""
    words = {SPLITS[word] for word in _WORD.findall(name.lower()) if word in SPLITS}
    return words.pop() if len(words) == 1 else ""


def group_files(files: Iterable[Path]) -> list[Group]:
    """Group files by split. The shards of one split are one group; other files are a group each."""
    groups: dict[tuple[str, str], Group] = {}
    counts: dict[tuple[str, str], set[int]] = {}
    for file in sorted(files):
        stem, suffix = stem_of(file), suffix_of(file)
        match = _SHARD.fullmatch(stem)
        if match is None and suffix in NUMBERED_SUFFIXES:
            match = _NUMBERED.fullmatch(stem)
        base = match["base"] if match else stem
        key = (base, suffix) if match else (file.name, "")
        group = groups.setdefault(key, Group(base, split_of(base)))
        group.files.append(file)
        if match and "count" in match.groupdict():
            counts.setdefault(key, set()).add(int(match["count"]))
    for key, numbers in counts.items():
        group = groups[key]
        there = {int(match["number"]) for file in group.files if (match := _SHARD.fullmatch(stem_of(file)))}
        total = max(numbers)
        if total <= 100_000:
            group.missing = [f"{number:05d}-of-{total:05d}" for number in range(total) if number not in there]
    return list(groups.values())


def choose_group(path: object, groups: Sequence[Group], split: str | None) -> tuple[Group, tuple[str, ...]] | None:
    """Return (the group to read, notes on it); None if it is unclear which of several groups to read.

    Raises: NoSuchSplit if `split` is none of them; SeveralSplits if all are splits, and none is for training.
    """
    names = [group.named for group in groups]
    if split is not None:
        wanted = [group for group in groups if split in (group.name, group.split, *(file.name for file in group.files))]
        if not wanted:
            raise NoSuchSplit(path=path, split=split, found=", ".join(names))
        if len(wanted) > 1:
            return None
        return wanted[0], wanted[0].notes()
    chosen = groups[0] if len(groups) == 1 else None
    if chosen is None:
        if not all(group.split for group in groups) or len(set(names)) < len(names):
            return None
        chosen = next((group for group in groups if group.split == "train"), None)
        if chosen is None:
            raise SeveralSplits(path=path, found=", ".join(names))
    others = [group.named for group in groups if group is not chosen]
    return chosen, (*((unread_note(chosen.named, others),) if others else ()), *chosen.notes())


def choose_name(path: object, names: Sequence[str], split: str | None) -> tuple[str, tuple[str, ...]]:
    """Return (the name of the split to read, a note on the others).

    Raises: NoSuchSplit if `split` is none of the names; SeveralSplits if it is unclear which split to read.
    """
    usual = {name: split_of(name) for name in names}
    if split is not None:
        chosen = split if split in names else next((name for name in names if usual[name] == split), None)
        if chosen is None:
            raise NoSuchSplit(path=path, split=split, found=", ".join(names))
        return chosen, ()
    training = [name for name in names if usual[name] == "train"]
    if "train" in names or len(training) == 1 or len(names) == 1:
        chosen = "train" if "train" in names else training[0] if training else names[0]
        others = [name for name in names if name != chosen]
        return chosen, ((unread_note(chosen, others),) if others else ())
    raise SeveralSplits(path=path, found=", ".join(names) or "no split")


class ShardedSource:
    """Several files of the same kind, read one after the other as one data set. An export writes as many files."""

    def __init__(self, path: Path, shards: Sequence[Source]) -> None:
        self.path, self._shards = path, shards
        self._starts = [0]  # [shards + 1]: the first record of each shard, then the number of all records

    @property
    def size(self) -> int:
        return sum(shard.size for shard in self._shards)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for shard in self._shards for note in shard.notes)

    def rows(self) -> Iterator[Any]:
        starts = [0]
        for shard in self._shards:
            count = 0
            for count, row in enumerate(shard.rows(), start=1):  # noqa: B007 - the count is used after the loop
                yield row
            starts.append(starts[-1] + count)
        self._starts = starts

    def record(self, index: int) -> Any:
        shard = bisect_right(self._starts, index) - 1
        return self._shards[shard].record(index - self._starts[shard])

    def digest(self) -> str:
        digests = "".join(shard.digest() for shard in self._shards)
        return hashlib.sha256(digests.encode("ascii")).hexdigest()

    @property
    def renames(self) -> bool:
        return all(shard.renames for shard in self._shards)

    def write(
        self, indices: Sequence[int], folder: Path, renamings: Mapping[int, Renaming] = NO_RENAMINGS
    ) -> list[Path]:
        written: list[Path] = []
        for shard, start, end in zip(self._shards, self._starts, self._starts[1:], strict=False):
            own = [index - start for index in indices[bisect_left(indices, start) : bisect_left(indices, end)]]
            renamed = {index: renamings[start + index] for index in own if start + index in renamings}
            written += shard.write(own, folder, renamed)
        return written
