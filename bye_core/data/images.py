"""Opens images of data sets that may be hostile: only files under the data set's root, listed formats, limited size.

Truncated files are refused, as Pillow refuses them in trainers with its default settings.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bye_core.data.faults import Refusal
from bye_core.data.file_kinds import SAVE_AGAIN, describe
from bye_core.data.image_structure import costly_part, costly_tags
from bye_core.data.path_spellings import MissingImage
from bye_core.data.paths import RootFolder

DECODERS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 64_000_000  # ours: 192 MB as RGB; Pillow itself only warns, at 89 megapixels
MAX_BYTES = 64 * 2**20  # ours: no photograph of 64 megapixels needs more
# Ours: 384 MB as RGB in Pillow's memory; 8 photographs of 12 megapixels, or 12 of 8. A scan holds two batches at once.
MAX_BATCH_PIXELS = 96_000_000
MAX_PROFILE = 2**18  # characters of EXIF data in a text of a PNG file; twice as many as a block of 64 kB needs (ours)
STRIP_PIXELS = 2**20  # pixels converted at once
EMBEDDED_PREFIX = "embedded:"  # names of images embedded in a table begin with this; no path may

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BrokenImage(Refusal):
    problem = "The image {path} cannot be decoded: {why}."
    remedy = "{remedy}"

    def __init__(self, remedy: str = SAVE_AGAIN, **facts: object) -> None:
        super().__init__(remedy=remedy, **facts)


class HugeImage(Refusal):
    problem = "The image {path} is too large: {size}, the limit is {limit}."
    remedy = "Scale the image down; models reduce its size anyway."


class HugeSample(Refusal):
    problem = "The images of one sample have more than {limit:,} pixels together."
    remedy = "Scale the images down; models reduce their size anyway."


def read_bytes(root: Path, path: str, limit: int = MAX_BYTES) -> bytes:
    """Read the file `path` under `root`.

    Raises: HugeImage if it has more than `limit` bytes; MissingImage if it is not a regular file; BrokenImage if
    reading fails.
    """
    location = RootFolder(root).resolve(path)
    # The file may have been replaced since the check: a pipe must not block, and a link must not be followed.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(location, flags)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise MissingImage("is not a regular file", path=path, root=root)
            data = file.read(limit + 1)
    except OSError as error:
        raise BrokenImage(path=path, why=f"it cannot be read ({error.strerror or error})") from error
    check_size(data, path, limit)
    return data


def check_size(data: bytes, path: str, limit: int = MAX_BYTES) -> None:
    """Raise HugeImage if `data` has more than `limit` bytes."""
    if len(data) > limit:
        raise HugeImage(path=path, size=f"more than {limit} bytes", limit=f"{limit} bytes")


def decode(data: bytes, path: str = "(unnamed)", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode the first frame of an image file to RGB, rotated upright; transparent parts become white.

    Raises: HugeImage if it has more than `max_pixels` pixels or too many bytes; BrokenImage if it cannot be decoded.
    """
    check_size(data, path)
    if costly := costly_part(data):
        raise BrokenImage(path=path, why=costly)
    try:
        with Image.open(io.BytesIO(data), formats=DECODERS) as image:
            _check_pixels(image, path, max_pixels)  # reads the header only
            image.load()
            return _rgb(_upright(image))
    except HugeImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise HugeImage(path=path, size="a decompression bomb", limit=f"{max_pixels} pixels") from error
    except Exception as error:  # decoders raise anything on hostile bytes: struct.error, SyntaxError, KeyError ...
        why, remedy = describe(data, error)
        raise BrokenImage(path=path, why=why, remedy=remedy) from error


def decode_sample(stored: Iterable[tuple[str, bytes]]) -> list[Image.Image]:
    """Decode the images of one sample, given as (name, content of the file).

    Raises: HugeSample if they have more than MAX_BATCH_PIXELS pixels together; the errors of `decode`.
    """
    decoded, left = [], MAX_BATCH_PIXELS
    for name, data in stored:
        left -= pixel_count(data)
        if left < 0:
            raise HugeSample(limit=MAX_BATCH_PIXELS)
        decoded.append(decode(data, name))
    return decoded


def image_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) of an image file as its header says; (0, 0) if it cannot be read. Decodes no pixels."""
    if costly_part(data):
        return 0, 0
    try:
        with Image.open(io.BytesIO(data), formats=DECODERS) as image:
            return image.size
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile bytes; `decode` reports the reason
        return 0, 0


def pixel_count(data: bytes) -> int:
    """Return width x height of an image file, see `image_size`."""
    width, height = image_size(data)
    return width * height


def group_by_pixels(counts: Sequence[int], limit: int = MAX_BATCH_PIXELS) -> list[range]:
    """Split consecutive samples with these pixel counts into groups of at most `limit` pixels together.

    Returns the index ranges of the groups, in order. A sample with more pixels than `limit` is a group of its own.
    """
    groups: list[range] = []
    start = total = 0
    for index, count in enumerate(counts):
        if index > start and total + count > limit:
            groups.append(range(start, index))
            start, total = index, 0
        total += count
    return [*groups, range(start, len(counts))] if len(counts) > start else groups


def file_suffix(data: bytes) -> str:
    """Return the suffix that fits the content of an image file. The readers in this software ignore the suffix."""
    heads = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp"}
    heads |= {b"II": ".tiff", b"MM": ".tiff"}
    return next((end for head, end in heads.items() if data.startswith(head)), ".img")


def _check_pixels(image: Image.Image, path: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise HugeImage(path=path, size=f"{width} x {height} pixels", limit=f"{max_pixels} pixels")


def _upright(image: Image.Image) -> Image.Image:
    """Rotate the image as its EXIF data says. Call it after loading: Pillow rotates TIFF files and drops the tag.

    ImageOps.exif_transpose is not used, because it also rewrites the other tags and fails on damaged ones.
    """
    exif, text = image.info.get("exif", b""), image.info.get("Raw profile type exif", "")
    if len(text) > MAX_PROFILE or costly_tags(exif.removeprefix(b"Exif\0\0")):
        return image
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - trainers use an image with unreadable EXIF data unchanged
        orientation = None
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _in_strips(image, lambda strip: _grey(np.round(np.asarray(strip).clip(0, 65535) / 257)))
    if image.mode == "F":
        return _grey_of_floats(image)
    if image.has_transparency_data:
        return _in_strips(image, _over_white)
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert an image to RGB strip by strip: a conversion in several steps needs several times the memory."""
    result, rows = Image.new("RGB", image.size), max(1, STRIP_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(image.height, top + rows))
        result.paste(convert(image.crop(box)), box)
    return result


def _over_white(image: Image.Image) -> Image.Image:
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _grey_of_floats(image: Image.Image) -> Image.Image:
    """Scale float grey values to 0..255. Pillow's `convert` would clip values above 255."""
    values = np.asarray(image)  # [height, width]
    if not np.isfinite(values).all():
        raise ValueError("its pixels are not finite numbers")
    low, high = float(values.min()), float(values.max())

    def convert(strip: Image.Image) -> Image.Image:
        part = np.asarray(strip)
        # Floats have no standard range: if all are in 0..1, they are multiplied by 255; else min..max becomes 0..255.
        if low < 0 or high > 1:
            part = (part - low) / (high - low) if high > low else np.zeros_like(part)
        return _grey(np.round(part * 255))

    return _in_strips(image, convert)
