"""Image files whose structure would keep a decoder busy are refused before it sees them; genuine ones are not."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from bye_core.data.image_structure import costly_part
from bye_core.data.images import BrokenImage, decode, image_size

SECONDS = 2  # of CPU time; each of the hostile files takes a decoder more than that, or gigabytes


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, kind, **options)
    return file.getvalue()


JPEG, PNG, GIF = encoded("JPEG"), encoded("PNG"), encoded("GIF")
PROGRESSIVE = encoded("JPEG", progressive=True)
EXIF_ROTATED = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def tiff(entries: list[tuple[int, int, int, int]], body: bytes, big: bool = False) -> bytes:
    """A TIFF file with tags (number, type, count, offset), and bytes behind them."""
    packed = b"".join(struct.pack("<HHQQ" if big else "<HHII", *entry) for entry in entries)
    start = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, len(entries)) if big else b"II*\0\x08\0\0\0"
    return (start if big else start + struct.pack("<H", len(entries))) + packed + bytes(8) + body


def overlapping(big: bool = False) -> bytes:
    """1,000 tags that all name the same 200 kB."""
    return tiff([(1000 + number, 7, 200_000, 64) for number in range(1000)], bytes(250_000), big)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def in_jpeg(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
GIF_START = GIF.index(b",")
SMALL_OVERLAP = tiff([(1000 + number, 7, 60_000, 8) for number in range(5000)], b"")
HOSTILE = {
    "scans": PROGRESSIVE[:-2] + LAST_SCAN * 5000 + b"\xff\xd9",
    "segments": in_jpeg(b"\xff\xe5\0\2" * 500_000),
    "filling": in_jpeg(b"\xff" * 2_000_000),
    "blocks of EXIF": in_jpeg(segment(0xE1, b"Exif\0\0" + bytes(9)) * 5000),
    "EXIF tags of the same bytes": in_jpeg(segment(0xE1, (b"Exif\0\0" + SMALL_OVERLAP)[:65_000])),
    "tags of several pictures": in_jpeg(segment(0xE2, (b"MPF\0" + SMALL_OVERLAP)[:65_000])),
    "chunks": PNG[:33] + chunk(b"abCd") * 200_000 + PNG[33:],
    "comments": GIF[:GIF_START] + b"!\xfe\x01x\0" * 400_000 + GIF[GIF_START:],
    "a long comment": GIF[:GIF_START] + b"!\xfe" + (b"\xff" + b"x" * 255) * 20_000 + b"\0" + GIF[GIF_START:],
    "tags of the same bytes": overlapping(),
    "large tags of the same bytes": overlapping(big=True),
    "strips": tiff([(256, 4, 1, 8), (273, 4, 400_000, 64), (279, 4, 400_000, 64)], bytes(1_700_000)),
}  # fmt: skip
GENUINE = {
    "JPEG": JPEG, "progressive": PROGRESSIVE, "PNG": PNG, "GIF": GIF, "BMP": encoded("BMP"), "WEBP": encoded("WEBP"),
    "TIFF": encoded("TIFF"), "packed TIFF": encoded("TIFF", compression="tiff_lzw"),
    "BigTIFF": encoded("TIFF", big_tiff=True), "restarts": encoded("JPEG", restart_marker_blocks=1),
    "a profile": encoded("JPEG", icc_profile=bytes(900_000)), "rotated": encoded("JPEG", exif=EXIF_ROTATED),
    "a film behind it": JPEG + b"\xff\xda\0\4" * 9000, "a thumbnail": in_jpeg(segment(0xE1, b"Exif\0\0" + JPEG)),
    "several pictures": encoded("MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
    "a film": encoded("GIF", save_all=True, append_images=[Image.new("RGB", (64, 48), (n, 0, 0)) for n in range(30)]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_costly_files_are_refused_at_once(name: str) -> None:
    start = time.process_time()
    with pytest.raises(BrokenImage, match=r"it has more than|its tags"):
        decode(HOSTILE[name])
    assert image_size(HOSTILE[name]) == (0, 0)
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("name", GENUINE)
def test_genuine_files_are_decoded(name: str) -> None:
    assert costly_part(GENUINE[name]) == ""
    assert decode(GENUINE[name]).size == ((48, 64) if name == "rotated" else (64, 48))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_costly_exif_data_rotate_nothing(kind: str) -> None:
    rotated = encoded(kind, exif=EXIF_ROTATED)
    assert decode(rotated).size == (48, 64)
    costly = encoded(kind, exif=b"Exif\0\0" + overlapping())
    start = time.process_time()
    assert decode(costly).size == (64, 48)
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("data", [*GENUINE.values(), *HOSTILE.values()])
def test_cut_files_raise_nothing_else(data: bytes) -> None:
    for end in (0, 1, 2, 3, 7, 9, 12, 13, 14, 15, 17, 20, 30, 50, 100, 200):
        costly_part(data[:end])


def test_the_shipped_images_are_genuine() -> None:
    images = Path(__file__).parents[2] / "assets/demo/data/images"
    assert {costly_part(file.read_bytes()) for file in list(images.iterdir())[:100]} == {""}
