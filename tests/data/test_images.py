"""Hostile and unusual pictures: refused with a reason, or upright RGB with the right colours."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bye_core.data import DataSet, images, load_dataset
from bye_core.data.images import (
    BrokenImage,
    HugeImage,
    decode,
    file_suffix,
    group_by_pixels,
    pixel_count,
    read_bytes,
)
from bye_core.data.path_spellings import ImageOutsideDataset, MissingImage
from tests.data.sets import picture, png


def pixel(data: bytes, place: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    image = decode(data)
    assert image.mode == "RGB"
    return image.getpixel(place)


def header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(b"")),
            (b"IEND", b""),
        )
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats(format: str) -> None:
    data = png(Image.new("RGB", (8, 4), (200, 30, 30)), format)
    assert decode(data).size == (8, 4)
    assert np.allclose(pixel(data), (200, 30, 30), atol=12)
    assert file_suffix(data) == {"JPEG": ".jpg"}.get(format, f".{format.lower()}")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_truncated(format: str) -> None:
    data = png(picture(size=(64, 64)), format)
    with pytest.raises(BrokenImage):
        decode(data[: len(data) * 2 // 3], "x")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"<svg/>", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF", png(format="PPM"), png()[:20]]
)
def test_not_a_picture(data: bytes) -> None:
    with pytest.raises(BrokenImage):
        decode(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(8001, 8000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_seen_in_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(HugeImage):
        decode(header(*size))


def test_pixel_limit_is_a_setting() -> None:
    with pytest.raises(HugeImage, match="6 x 5 pixels, the limit is 29 pixels"):
        decode(png(), "x", max_pixels=29)
    assert decode(png(), "x", max_pixels=30).size == (6, 5)


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ([], []),
        ([0, 0], [[0, 1]]),
        ([100], [[0]]),
        ([4, 6, 1], [[0, 1], [2]]),
        ([11, 1, 11, 11], [[0], [1], [2], [3]]),
        ([3, 3, 3, 3, 3, 3, 3], [[0, 1, 2], [3, 4, 5], [6]]),
    ],
)
def test_batches_are_split_by_pixels(counts: list[int], groups: list[list[int]]) -> None:
    assert [list(group) for group in group_by_pixels(counts, limit=10)] == groups


def test_pixels_are_counted_from_the_header_alone() -> None:
    assert pixel_count(header(8000, 8000)) == 64_000_000
    assert pixel_count(png()) == 30
    assert pixel_count(b"not an image") == 0


def test_the_images_of_one_sample_have_a_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = one_sample(tmp_path, 3)
    assert dataset.pixels(dataset.samples[0]) == 90
    monkeypatch.setattr(images, "MAX_BATCH_PIXELS", 90)
    assert len(dataset.images(dataset.samples[0])) == 3
    monkeypatch.setattr(images, "MAX_BATCH_PIXELS", 89)
    with pytest.raises(images.HugeSample, match="more than 89 pixels together"):
        dataset.images(dataset.samples[0])


def one_sample(folder: Path, count: int) -> DataSet:
    names = [f"{k}.png" for k in range(count)]
    for name in names:
        (folder / name).write_bytes(png())
    talk = [{"from": "human", "value": "<image>" * count + "What?"}, {"from": "gpt", "value": "A cat."}]
    (folder / "data.json").write_text(json.dumps([{"id": "a", "image": names, "conversations": talk}]))
    return load_dataset(folder / "data.json")


def test_byte_limit(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    assert read_bytes(tmp_path, "a.png") == png()
    with pytest.raises(HugeImage):
        read_bytes(tmp_path, "a.png", limit=10)
    with pytest.raises(MissingImage):
        read_bytes(tmp_path, "b.png")
    with pytest.raises(ImageOutsideDataset):
        read_bytes(tmp_path / "sub", "../a.png")


def test_cmyk() -> None:
    data = png(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG")
    assert np.allclose(pixel(data), (255, 0, 0), atol=12)


def test_palette_and_transparent_palette() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert [pixel(png(image), (x, 0)) for x in (0, 1)] == [(255, 0, 0), (0, 0, 255)]
    assert [pixel(png(image, transparency=1), (x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("RGBA", (2, 2), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 255)), (255, 0, 0)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 51)), (255, 204, 204)),
        (Image.new("LA", (2, 2), (0, 0)), (255, 255, 255)),
        (Image.new("L", (2, 2), 7), (7, 7, 7)),
        (Image.new("1", (2, 2), 1), (255, 255, 255)),
    ],
)
def test_alpha_lies_over_white(image: Image.Image, colour: tuple[int, ...]) -> None:
    assert pixel(png(image)) == colour


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(format: str) -> None:
    values = np.array([[0, 257 * 128, 65535]], dtype=np.uint16)
    data = png(Image.fromarray(values), format)
    assert [pixel(data, (x, 0))[0] for x in range(3)] == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([[0.0, 0.5, 1.0]], [0, 128, 255]), ([[-10.0, 0.0, 10.0]], [0, 128, 255]), ([[9, 9, 9]], [0] * 3)],
)
def test_float_greys(values: list, expected: list[int]) -> None:
    data = png(Image.fromarray(np.array(values, dtype=np.float32)), "TIFF")
    assert [pixel(data, (x, 0))[0] for x in range(3)] == expected


def test_not_finite_greys() -> None:
    with pytest.raises(BrokenImage):
        decode(png(Image.fromarray(np.array([[np.nan, 1]], dtype=np.float32)), "TIFF"))


UPRIGHT = picture(5, (6, 4))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_exif_rotation_once(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(png(UPRIGHT, exif=exif))))
    data = png(UPRIGHT, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    assert np.array_equal(np.asarray(decode(data)), np.asarray(upright))


def test_unreadable_exif_turns_nothing() -> None:
    data = png(picture(size=(16, 8)), "JPEG", exif=b"Exif\x00\x00garbage that is no TIFF header")
    assert decode(data).size == (16, 8)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animated_gives_its_first_frame(format: str) -> None:
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    options = {"lossless": True} if format == "WEBP" else {}
    assert pixel(png(red, format, save_all=True, append_images=[blue], **options)) == (255, 0, 0)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells about damage it can live with
def test_random_damage_is_never_more_than_a_refusal() -> None:
    random = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        data = bytearray(png(picture(size=(20, 20)), format))
        for _ in range(60):
            damaged = bytearray(data)
            for place in random.integers(0, len(data), 4):
                damaged[place] = random.integers(256)
            try:
                assert decode(bytes(damaged)).mode == "RGB"
            except (BrokenImage, HugeImage):
                continue
