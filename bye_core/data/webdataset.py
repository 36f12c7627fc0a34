"""Reads WebDataset shards: tar files in which the files of one sample follow each other and share their stem.

A sample has images (.jpg, .png, .webp ...) and texts (.json, .txt, .cls ...). Nothing is extracted to the disk: the
positions of the files in the archive are kept, and an image is read when it is needed. An export copies the bytes of
the kept files.
"""

from __future__ import annotations

import json
import re
import tarfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from bye_core.data.bounded_stream import BoundedReader, LimitExceeded
from bye_core.data.bounds import json_memory
from bye_core.data.formats.base import EMBEDDED_IMAGE
from bye_core.data.images import MAX_BYTES
from bye_core.data.json_errors import NotJson
from bye_core.data.json_text import decode
from bye_core.data.renaming import NO_RENAMINGS, Renaming
from bye_core.data.sources import Unreadable
from bye_core.data.text_files import GZIP, NotReadable, WrongContent
from bye_core.files import file_sha256

SUFFIX = ".tar"
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "img", "image")
TEXTS = ("txt", "text", "caption", "cls", "cls2", "label", "answer")
ANSWERS = ("answer", "caption", "text", "response", "output", "label")
LARGEST_TEXT = 16 * 2**20  # bytes of one .json or .txt
LARGEST_JSON = 64 * 2**20  # bytes of memory that the values of one .json may need
MOST_FILES = 10_000_000  # of one shard (ours: 160 MB of positions)
_END = bytes(2 * tarfile.BLOCKSIZE)
_JUNK = re.compile(r"(?:.*/)?(?:\._[^/]*|\.DS_Store|__MACOSX/.*)", re.DOTALL)
PACK = "Pack the shard again: regular files only, those of one sample one after the other, with one stem."


@dataclass(frozen=True)
class Member:
    """A file in the archive: what follows the first dot of its name, and its position in bytes.

    start, end    of the file with its headers and padding
    data, size    of its content
    """

    kind: str
    start: int
    data: int
    size: int
    end: int


def is_shard(path: Path) -> bool:
    """Return whether a file is a WebDataset shard."""
    try:
        return bool(len(TarSource(path)))
    except (NotReadable, OSError):
        return False


class TarSource:
    """One WebDataset shard."""

    renames = False

    def __init__(self, path: Path) -> None:
        self.notes: tuple[str, ...] = ()
        self.path, self.size = path, path.stat().st_size
        self._keys: list[str] = []
        self._stems: set[str] = set()
        self._kinds: list[str] = []
        self._kind_of: dict[str, int] = {}
        # Per file: index of its kind, start, start of the content, size, end.
        self._places = array("q")
        self._firsts = array("q", [0])  # [samples + 1]: the first file of each sample, then the number of files
        self._faults: dict[int, str] = {}
        self._last_kinds: set[str] = set()  # of the files of the last sample
        self._cut_off = False  # whether the last file is incomplete
        self._index()

    def __len__(self) -> int:
        return len(self._keys)

    def rows(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            for index in range(len(self._keys)):
                yield self._row(file, index, with_images=False)

    def record(self, index: int) -> Any:
        with self.path.open("rb") as file:
            row = self._row(file, index, with_images=True)
        return row.text if isinstance(row, Unreadable) else row

    def digest(self) -> str:
        return file_sha256(self.path)

    def write(
        self, indices: Sequence[int], folder: Path, renamings: Mapping[int, Renaming] = NO_RENAMINGS
    ) -> list[Path]:
        """Write a tar file with exactly the files of the samples `indices`, byte for byte."""
        target = folder / self.path.name
        with self.path.open("rb") as source, target.open("wb") as file:
            for index in indices:
                for member in self._members(index):
                    _copy(source, file, member.start, member.end)
            file.write(_END)
            file.write(bytes(-file.tell() % tarfile.RECORDSIZE))
        return [target]

    def _members(self, index: int) -> list[Member]:
        first, last = self._firsts[index], self._firsts[index + 1]
        rows = (self._places[5 * n : 5 * n + 5] for n in range(first, last))
        return [Member(self._kinds[row[0]], *row[1:]) for row in rows]

    def _row(self, file: IO[bytes], index: int, with_images: bool) -> Any:
        if index in self._faults:
            return Unreadable(self._faults[index], self._keys[index])
        record: dict[str, Any] = {"id": self._keys[index]}
        images: list[Any] = []
        texts: dict[str, str] = {}
        for member in self._members(index):
            last = member.kind.rpartition(".")[2]
            if last in IMAGES:
                images.append(_read(file, member, MAX_BYTES + 1) if with_images else EMBEDDED_IMAGE)
            elif last == "json" or last in TEXTS:
                content = _read(file, member, LARGEST_TEXT + 1)
                if member.size > LARGEST_TEXT:
                    return Unreadable(
                        f"its .{member.kind} is larger than {LARGEST_TEXT // 2**20} MB", self._keys[index]
                    )
                if last == "json" and json_memory(content) > LARGEST_JSON:
                    why = f"the values of its .{member.kind} need more than {LARGEST_JSON // 2**20} MB of memory"
                    return Unreadable(why, self._keys[index])
                text = content.decode("utf-8", "surrogateescape")
                if last != "json":
                    texts[last] = text
                    continue
                try:
                    value = decode(text.removeprefix("\ufeff"))
                except NotJson as error:
                    return Unreadable(f"its .{member.kind} is not JSON ({error})", self._keys[index])
                if isinstance(value, dict):
                    record |= value
                elif isinstance(value, list):
                    record["conversations"] = value
                else:
                    texts.setdefault("text", value if isinstance(value, str) else json.dumps(value))
        return _with_texts(record, images, texts)

    def _index(self) -> None:
        with self.path.open("rb") as packed:
            if packed.read(2) == GZIP:
                why = "it is a tar file compressed with gzip, whose images cannot be read one by one"
                raise WrongContent(path=self.path, why=why, do="Unpack it with `gunzip`.")
            packed.seek(0)
            size = self.path.stat().st_size
            # tarfile reads the headers only; no header leads it further than the end of the file.
            stream = cast(IO[bytes], BoundedReader(packed, size + 2 * tarfile.RECORDSIZE))
            try:
                with tarfile.open(fileobj=stream, mode="r:") as archive:
                    for info in archive:  # not next(): in Python 3.10 it fails on an archive without members
                        archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
                        self._add(info, size)
                    packed.seek(archive.offset)
                    end = packed.read(tarfile.BLOCKSIZE)
                    if end.strip(b"\0"):  # tarfile stops at a damaged header
                        raise self._damaged(f"its header at byte {archive.offset:,} is damaged")
                    if not end and self._places:
                        self.notes += (f"{self.path.name} has no end mark: samples at its end may be missing.",)
            except (LimitExceeded, tarfile.TarError, ValueError, OSError, EOFError, ArithmeticError) as error:
                if not self._cut_off:
                    why = "the file is damaged or its end is missing" if self._places else "it is not a tar file"
                    raise self._damaged(why) from error
        if not self._is_shard():
            why = "it is a tar file in which most files are no image with a text of the same stem"
            do = "If it holds a whole data set, unpack it and give the path of the folder."
            raise WrongContent(path=self.path, why=why, do=do)

    def _is_shard(self) -> bool:
        """Return whether most samples have an image and a text, or all have a text and some of them an image.

        A .json may hold or name the image; but a .json above a folder of texts holds no sample.
        """
        complete = described = texts = 0
        for index in range(len(self._keys)):
            kinds = {member.kind.rpartition(".")[2] for member in self._members(index)}
            complete += not kinds.isdisjoint(IMAGES) and not kinds.isdisjoint(("json", *TEXTS))
            described += "json" in kinds
            texts += not kinds.isdisjoint(("json", *TEXTS))
        size, folders = len(self._keys), {key.rpartition("/")[0] for key in self._keys}
        some = complete or (described and len(folders) == 1)
        return complete * 2 >= size or described == size or (texts == size and bool(some))

    def _damaged(self, why: str) -> WrongContent:
        return WrongContent(path=self.path, why=why, do="Download or pack the shard again.")

    def _add(self, info: tarfile.TarInfo, size: int) -> None:
        if info.isdir() or _JUNK.fullmatch(info.name):
            return
        folder, _, name = info.name.rpartition("/")
        stem, _, kind = name.partition(".")
        key, kind = f"{folder}/{stem}".lstrip("/") if folder else stem, kind.lower()
        if not self._keys or self._keys[-1] != key:
            if key in self._stems:  # an export without the samples between them would join the two
                self._faults[len(self._keys)] = "its stem occurs before, and its files are not next to each other"
            self._stems.add(key)
            self._keys.append(key)
            self._firsts.append(self._firsts[-1])
            self._last_kinds = set()
        index = len(self._keys) - 1
        end = info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if not info.isreg() or info.issparse():
            self._faults.setdefault(index, f"its .{kind} is a link or a device, not a file")
            end, info.size = info.offset_data, 0
        elif info.size < 0 or info.offset_data + info.size > size:
            self._faults.setdefault(index, f"its .{kind} is cut off: the end of the shard is missing")
            self._cut_off = True
        elif kind in self._last_kinds:
            self._faults.setdefault(index, f"its .{kind} occurs twice in the shard")
        self._last_kinds.add(kind)
        self._places.extend((self._kind(kind), info.offset, info.offset_data, info.size, min(end, size)))
        self._firsts[-1] += 1
        if self._firsts[-1] > MOST_FILES:
            raise WrongContent(path=self.path, why=f"it holds more than {MOST_FILES:,} files", do=PACK)

    def _kind(self, kind: str) -> int:
        if kind not in self._kind_of:
            self._kind_of[kind] = len(self._kinds)
            self._kinds.append(kind)
        return self._kind_of[kind]


def _with_texts(record: dict[str, Any], images: list[Any], texts: dict[str, str]) -> dict[str, Any]:
    """Return the record with its images, and with its texts under the keys that formats know."""
    for kind, text in texts.items():
        record.setdefault("text" if kind in ("txt", "caption", "cls", "cls2", "label") else kind, text)
    if images:
        if "images" in record:
            record["images"] = images
        else:
            record["image"] = images[0] if len(images) == 1 else images
    if isinstance(record.get("question"), str) and record.get("answer") is None:
        answer = next((record[key] for key in ANSWERS if record.get(key) is not None), None)
        record |= {"answer": answer} if answer is not None else {}
    return record


def _read(file: IO[bytes], member: Member, most: int) -> bytes:
    file.seek(member.data)
    return file.read(min(member.size, most))


def _copy(source: IO[bytes], target: IO[bytes], start: int, end: int) -> None:
    source.seek(start)
    while start < end and (part := source.read(min(1 << 20, end - start))):
        target.write(part)
        start += len(part)
