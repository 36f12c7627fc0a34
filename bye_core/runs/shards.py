"""Reads and writes shards: append-only files of payloads. A frame (magic, checksum, length) precedes each payload.

A payload is one sample's encoded rows (see payload.py). The index stores the location of each payload. The
frames are sufficient to rebuild the index.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bye_core.files import appending, write_all

# A million samples take a few hundred files, and each file is small enough to copy (ours).
SHARD_BYTES = 256 * 2**20

MAGIC = b"BYE1"
FRAME = struct.Struct("<4sIQ")


class Location(NamedTuple):
    """The shard, offset and length of one payload, and its CRC-32 checksum."""

    shard: int
    offset: int
    length: int
    crc: int

    @property
    def end(self) -> int:
        return self.offset + self.length


def shard_path(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05d}.bin"


def shard_numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.bin") if path.stem.isdecimal())


def append(folder: Path, last: tuple[int, int], payloads: Sequence[bytes], shard_bytes: int) -> list[Location]:
    """Write the payloads after the position `last` (shard, end), sync them to disk and return their locations.

    If writing fails, the shard is restored to its previous length.
    """
    shard, end = last
    if end and end + sum(map(len, payloads)) + FRAME.size * len(payloads) > shard_bytes:
        shard, end = shard + 1, 0
    locations: list[Location] = []
    with appending(shard_path(folder, shard), end) as descriptor:
        for payload in payloads:
            crc = zlib.crc32(payload)
            write_all(descriptor, FRAME.pack(MAGIC, crc, len(payload)) + payload)
            start = (locations[-1].end if locations else end) + FRAME.size
            locations.append(Location(shard, start, len(payload), crc))
    return locations


def read(folder: Path, locations: Iterable[Location]) -> Iterator[tuple[Location, bytes | None]]:
    """Yield (location, payload) in the given order; the payload is None if missing, too short or damaged."""
    for shard, group in groupby(locations, key=lambda location: location.shard):
        path = shard_path(folder, shard)
        with path.open("rb") if path.exists() else nullcontext() as file:
            for location in group:
                yield location, _read_payload(file, location) if file else None


def _read_payload(file: BinaryIO, location: Location) -> bytes | None:
    if location.end > os.fstat(file.fileno()).st_size:
        return None
    file.seek(location.offset)
    payload = file.read(location.length)
    return payload if len(payload) == location.length and zlib.crc32(payload) == location.crc else None


def cut(folder: Path, ends: dict[int, int]) -> dict[int, int]:
    """Truncate every shard to its committed end (`ends`); return the sizes of the shards that are already shorter."""
    short = {shard: 0 for shard in ends if not shard_path(folder, shard).exists()}
    for shard in shard_numbers(folder):
        path, end = shard_path(folder, shard), ends.get(shard, 0)
        size = path.stat().st_size
        if size < end:
            short[shard] = size
        elif end == 0:
            path.unlink()
        elif size > end:
            os.truncate(path, end)
    return short


def walk(folder: Path) -> Iterator[tuple[Location, bytes]]:
    """Yield (location, payload) of every intact payload. Finds payloads by frame; ends a shard at a bad frame."""
    for shard in shard_numbers(folder):
        with shard_path(folder, shard).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while len(frame := file.read(FRAME.size)) == FRAME.size:
                magic, crc, length = FRAME.unpack(frame)
                location = Location(shard, file.tell(), length, crc)
                if magic != MAGIC or location.end > size:
                    break
                payload = file.read(length)
                if zlib.crc32(payload) == crc:
                    yield location, payload
