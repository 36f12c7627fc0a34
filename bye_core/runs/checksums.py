"""Adds checksums to JSON objects, verifies them, and repairs a single flipped bit.

The checksum is the last entry of the object: `{..., "crc32": "0123abcd"}`. Objects that earlier versions wrote have
none and are accepted unchanged.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

KEY = "crc32"
_TAIL = re.compile(rb', "crc32": "([0-9a-f]{8})"\}\s*\Z')
_TAIL_LENGTH = len(', "crc32": "01234567"}')
_ANY_TAIL = re.compile(rb'"crc32": "[0-9a-f]{8}"\}')
# Longer objects are not repaired: the chance that other damage looks like one flipped bit grows with the length.
LONGEST_REPAIR = 4 * 2**20


class ChecksumError(ValueError):
    """An object does not have its checksum."""

    def __init__(self) -> None:
        super().__init__("its checksum does not match")


class Opened(NamedTuple):
    """A verified object: its text without the checksum, whether it had one, and whether a flipped bit was repaired."""

    text: bytes
    sealed: bool
    repaired: bool


def seal(text: bytes) -> bytes:
    """Return a JSON object, not an empty one, with its checksum as last entry."""
    text = text.rstrip()
    return text[:-1].rstrip() + _tail(text)


def _tail(text: bytes) -> bytes:
    return tail_of(_checksum(text))


def tail_of(checksum: int) -> bytes:
    """Return the end of an object whose text before it has this CRC-32."""
    return b', "crc32": "%08x"}' % checksum


def _checksum(text: bytes) -> int:
    return zlib.crc32(text.rstrip()[:-1].rstrip())


def unseal(text: bytes) -> Opened:
    """Verify a JSON object and return it without its checksum; repair a single flipped bit.

    An object without checksum is returned unchanged. Raises: ChecksumError if the checksum does not match.
    """
    stripped = text.rstrip()
    body, tail = stripped[:-_TAIL_LENGTH], stripped[-_TAIL_LENGTH:]
    expected = _tail(body + b"}")
    if tail == expected:
        return Opened(body + b"}", True, False)
    if _distance(tail, expected) == 1:  # the bit was flipped in the checksum itself
        return Opened(body + b"}", True, True)
    match = _TAIL.search(stripped)
    if match is None:
        if KEY.encode() in tail:
            raise ChecksumError
        return Opened(text, False, False)
    repaired = _with_bit_restored(body, int(match[1], 16))
    if repaired is None:
        raise ChecksumError
    return Opened(repaired + b"}", True, True)


def split_lines(lines: list[bytes]) -> list[bytes]:
    """Return lines of sealed objects, after repairing flipped line ends.

    A flipped bit may join two lines, or break one into two.
    """
    parts: list[bytes] = []
    for line in lines:
        start = 0
        for match in _ANY_TAIL.finditer(line):
            if match.end() < len(line):
                parts.append(line[start : match.end()])
                start = match.end() + 1
        parts.append(line[start:])
    found: list[bytes] = []
    while parts:
        part = parts.pop(0)
        if parts and not _is_valid(part) and _is_valid(joined := part + b"\n" + parts[0]):
            part = joined
            del parts[0]
        found.append(part)
    return found


def _is_valid(line: bytes) -> bool:
    try:
        return unseal(line).sealed
    except ChecksumError:
        return False


def _distance(one: bytes, other: bytes) -> int:
    """Return in how many bits two texts of one length differ."""
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=False)) if len(one) == len(other) else -1


def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


_TABLE = _table()
_BY_TOP_BYTE = {value >> 24: index for index, value in enumerate(_TABLE)}
_ONE_BIT = {_TABLE[1 << bit]: 1 << bit for bit in range(8)}


def _with_bit_restored(body: bytes, checksum: int) -> bytes | None:
    """Return the text with this checksum that differs from `body` in one bit; None if there is none.

    A CRC is linear: the difference of two checksums depends on the flipped bits alone. This function steps the
    difference back over the text, byte by byte, until it is that of one bit.
    """
    if len(body) > LONGEST_REPAIR:
        return None
    difference = zlib.crc32(body) ^ checksum
    for position in range(len(body) - 1, -1, -1):
        if bit := _ONE_BIT.get(difference):
            return body[:position] + bytes([body[position] ^ bit]) + body[position + 1 :]
        index = _BY_TOP_BYTE[difference >> 24]
        difference = ((difference ^ _TABLE[index]) << 8) & 0xFFFFFFFF | index
    return None
