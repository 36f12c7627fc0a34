"""Opens images of data sets that may be hostile: only files under the data set's root, listed formats, limited size.

Truncated files are refused, as Pillow refuses them in trainers with its default settings.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image

from bye_core.data.faults import Refusal
from bye_core.data.file_kinds import SAVE_AGAIN, describe
from bye_core.data.path_spellings import MissingImage
from bye_core.data.paths import RootFolder

DECODERS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 64_000_000  # ours: 192 MB as RGB; Pillow itself only warns, at 89 megapixels
MAX_BYTES = 64 * 2**20  # ours: no photograph of 64 megapixels needs more
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
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - trainers use an image with unreadable EXIF data unchanged
        orientation = None
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _to_8_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Scale 16-bit or float grey values [height, width] to 0..255. Pillow's `convert` would clip values above 255."""
    if mode != "F":
        return np.round(values.astype(np.float64).clip(0, 65535) / 257).astype(np.uint8)
    if not np.isfinite(values).all():
        raise ValueError("its pixels are not finite numbers")
    low, high = float(values.min()), float(values.max())
    # Floats have no standard range: if all are in 0..1, they are multiplied by 255; otherwise min..max becomes 0..255.
    if low < 0 or high > 1:
        values = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.round(values * 255).astype(np.uint8)
