"""Finds image files whose structure keeps a decoder busy, although they have few pixels.

Decoders read every part of a file before its pixels: a few megabytes can hold a million scans of a JPEG, each as
costly as the image, comments of a GIF that are joined one by one, or tags of a TIFF that all name the same bytes.
"""

from __future__ import annotations

import re
import struct

# Ours. Genuine files: a dozen scans and 70 segments; IDAT chunks of at least 4 kB; one strip for each row of pixels.
SCANS, SEGMENTS, EXIF_SEGMENTS = 100, 10_000, 16
GIF_BLOCKS, PNG_CHUNKS, TIFF_VALUES = 10_000, 100_000, 300_000
OVERLAP, OVERLAP_BYTES = 4, 1 << 16  # tags of damaged EXIF data may overlap somewhat

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in the data of a scan, 00 and restarts follow other FF bytes
_START_OF_SCAN, _END, _EXIF, _MPF = 0xDA, 0xD9, b"Exif\0\0", b"MPF\0"
_TAG_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TEXTS = {1, 2, 6, 7}  # types of tags that are kept as bytes


def costly_part(data: bytes) -> str:
    """Return what makes an image file costly to decode, for a message; "" if nothing does or the format is another."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG"):
        return _png(data)
    if data.startswith(b"GIF8"):
        return _gif(data)
    if data[:2] in (b"II", b"MM"):
        return costly_tags(data)
    return ""


def _jpeg(data: bytes) -> str:
    scans, at, exif, others = 0, 2, [], []
    for _ in range(SEGMENTS):
        found = _MARKER.search(data, at) if scans else None
        at = found.start() if found else at
        if at + 4 > len(data) or (scans and not found) or data[at] != 0xFF or data[at + 1] == _END:
            break
        if data[at + 1] in (0xFF, 0xD8, 0x01):  # padding, and markers without a length
            at += 1 if data[at + 1] == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : end] if data[at + 1] in (0xE1, 0xE2) else b""
        exif += [content[6:]] * content.startswith(_EXIF)
        others += [content[4:]] * content.startswith(_MPF)
        scans += data[at + 1] == _START_OF_SCAN
        if scans > SCANS:
            return f"it has more than {SCANS} scans"
        at = max(end, at + 2)
    else:
        return f"it has more than {SEGMENTS:,} segments"
    if len(exif) > EXIF_SEGMENTS:
        return f"it has more than {EXIF_SEGMENTS} blocks of EXIF data"
    return next(filter(None, map(costly_tags, (b"".join(exif), *others))), "")


def _png(data: bytes) -> str:
    at = 8
    for _ in range(PNG_CHUNKS):
        if at + 8 > len(data):
            return ""
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return f"it has more than {PNG_CHUNKS:,} chunks"


def _gif(data: bytes) -> str:
    """Count the blocks before the first image."""
    if len(data) < 13:
        return ""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    inside = False
    for _ in range(GIF_BLOCKS):
        if at + 2 > len(data) or (not inside and data[at] != 0x21):  # the end, or the first image
            return ""
        if not inside:
            at, inside = at + 2, True
        else:
            inside = data[at] != 0
            at += 1 + data[at]
    return f"it has more than {GIF_BLOCKS:,} blocks before its first image"


def costly_tags(data: bytes) -> str:
    """Check the first directory of tags of a TIFF file, or of EXIF data."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    if not order or len(data) < 16:
        return ""
    big = struct.unpack(f"{order}H", data[2:4])[0] == 43
    entry, inline = struct.Struct(f"{order}{'HHQQ' if big else 'HHII'}"), 8 if big else 4
    (at,) = struct.unpack(f"{order}{'Q' if big else 'I'}", data[8:16] if big else data[4:8])
    head = struct.Struct(f"{order}{'Q' if big else 'H'}")
    if at + head.size > len(data):
        return ""
    (count,) = head.unpack_from(data, at)
    total = 0
    for number in range(min(count, (len(data) - at - head.size) // entry.size)):
        _, kind, values, offset = entry.unpack_from(data, at + head.size + number * entry.size)
        size = values * _TAG_SIZES.get(kind, 0)
        if size <= inline:
            continue
        total += max(0, min(size, len(data) - offset))
        if kind not in _TEXTS and values > TIFF_VALUES and offset + size <= len(data):
            return f"one of its tags has more than {TIFF_VALUES:,} values"
        if total > OVERLAP * len(data) + OVERLAP_BYTES:
            return "its tags name the same bytes many times"
    return ""
