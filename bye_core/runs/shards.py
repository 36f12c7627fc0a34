"""Append-only shard files of framed payloads: magic, checksum, length, payload.

The index knows where each payload lies; the frames alone are enough to build the index again.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bye_core.files import appending, write_all

# Large enough that a million samples are some hundred files, small enough to copy singly (our choice).
SHARD_BYTES = 256 * 2**20

MAGIC = b"BYE1"
FRAME = struct.Struct("<4sIQ")


class Place(NamedTuple):
    """Where one payload lies, and its CRC-32."""

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


def append(folder: Path, last: tuple[int, int], payloads: Sequence[bytes], shard_bytes: int) -> list[Place]:
    """Write the payloads behind `last` (shard, end) and sync them; on a failure the shard is as it was."""
    shard, end = last
    if end and end + sum(map(len, payloads)) + FRAME.size * len(payloads) > shard_bytes:
        shard, end = shard + 1, 0
    places: list[Place] = []
    with appending(shard_path(folder, shard), end) as descriptor:
        for payload in payloads:
            crc = zlib.crc32(payload)
            write_all(descriptor, FRAME.pack(MAGIC, crc, len(payload)) + payload)
            places.append(Place(shard, (places[-1].end if places else end) + FRAME.size, len(payload), crc))
    return places


def read(folder: Path, places: Sequence[Place]) -> Iterator[tuple[Place, bytes | None]]:
    """Each payload in the order asked for; None where it is missing, cut short or fails its checksum."""
    number, file = None, None
    try:
        for place in places:
            if place.shard != number:
                if file:
                    file.close()
                path = shard_path(folder, place.shard)
                number, file = place.shard, path.open("rb") if path.exists() else None
            yield place, _payload(file, place)
    finally:
        if file:
            file.close()


def _payload(file, place: Place) -> bytes | None:
    if file is None:
        return None
    file.seek(place.offset)
    payload = file.read(place.length)
    return payload if len(payload) == place.length and zlib.crc32(payload) == place.crc else None


def cut(folder: Path, ends: dict[int, int]) -> dict[int, int]:
    """Cut every shard to its committed end; return the sizes of those that are shorter than that."""
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


def walk(folder: Path) -> Iterator[tuple[Place, bytes]]:
    """Every sound payload, found by the frames alone; a shard ends at its first broken frame."""
    for shard in shard_numbers(folder):
        with shard_path(folder, shard).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while len(frame := file.read(FRAME.size)) == FRAME.size:
                magic, crc, length = FRAME.unpack(frame)
                place = Place(shard, file.tell(), length, crc)
                if magic != MAGIC or place.end > size:
                    break
                payload = file.read(length)
                if zlib.crc32(payload) == crc:
                    yield place, payload
