"""Pictures from hostile data sets: found under the data set's folder only, decoded by explicit formats and limits."""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path

import numpy as np
from PIL import Image

from bye_core.data.faults import Refusal

DECODERS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 64_000_000  # our choice: 192 MB as RGB; Pillow itself only warns at 89 Mpx
MAX_BYTES = 64 * 2**20  # our choice: no photograph of 64 Mpx needs more
EMBEDDED = "embedded:"  # how the name of a picture begins that lies inside a table; no path may begin like that

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|(?:data|file|hf|embedded):", re.IGNORECASE)
# Absolute, with a drive, or with a part "..". What either system takes for such a path is refused on both: a set may
# be checked on one and used on the other.
_LEAVES = re.compile(r"[/\\]|[a-z]:|(?:.*[/\\])?\.\.(?:[/\\]|\Z)", re.IGNORECASE | re.DOTALL)
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


class ImageOutsideDataset(Refusal):
    problem = "{path} lies outside the data set's folder."
    remedy = "Copy the image under {root} and write its path relative to that folder."


class ImageIsUrl(ImageOutsideDataset):
    problem = "{path} is an address, not a file of the data set; nothing is downloaded."
    remedy = "Download the image under {root} yourself and write its path relative to that folder."


class MissingImage(Refusal):
    problem = "There is no file {path} in the data set's folder."
    remedy = "Put the image at {root}/{path}, or correct the record."


class BrokenImage(Refusal):
    problem = "{path} cannot be decoded: {why}."
    remedy = "Save it again as a complete JPEG, PNG, WEBP, GIF, BMP or TIFF file, or delete the record."


class HugeImage(Refusal):
    problem = "{path} is too large: {size}, the limit is {limit}."
    remedy = "Scale the picture down; models shrink it anyway."


class Folder:
    """Resolves picture paths under one root; remembers real folders, as most pictures share a few of them."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._real: dict[str, str] = {}

    def find(self, path: str) -> Path:
        """The real file behind `path`, or an ImageOutsideDataset or MissingImage."""
        if _URL.match(path):
            raise ImageIsUrl(path=path, root=self.root)
        if _LEAVES.match(path):
            raise ImageOutsideDataset(path=path, root=self.root)
        try:
            return self._follow(path)
        except (OSError, ValueError) as error:  # no such file, a name too long, a NUL in it, a loop of links
            raise MissingImage(path=path, root=self.root) from error

    def _follow(self, path: str) -> Path:
        folder, name = os.path.split(os.path.join(self.root, path))
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        place = os.path.join(self._real[folder], name)
        self._inside(place, path)  # before each look: what lies outside must not even be probed
        mode = os.lstat(place).st_mode
        if stat.S_ISLNK(mode):
            place = os.path.realpath(place)
            self._inside(place, path)
            mode = os.lstat(place).st_mode
        if not stat.S_ISREG(mode):
            raise MissingImage(path=path, root=self.root)
        return Path(place)

    def _inside(self, place: str, path: str) -> None:
        if not place.startswith(self.root.rstrip(os.sep) + os.sep):
            raise ImageOutsideDataset(path=path, root=self.root)


def read_bytes(root: Path, path: str, limit: int = MAX_BYTES) -> bytes:
    """The file `path` under `root`, at most `limit` bytes of it: more is a HugeImage."""
    place = Folder(root).find(path)
    # A pipe put there meanwhile must not block, a link put there meanwhile must not be followed.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(place, flags)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise MissingImage(path=path, root=root)
            data = file.read(limit + 1)
    except OSError as error:
        raise BrokenImage(path=path, why=error.strerror or error) from error
    check_bytes(data, path, limit)
    return data


def check_bytes(data: bytes, path: str, limit: int = MAX_BYTES) -> None:
    if len(data) > limit:
        raise HugeImage(path=path, size=f"more than {limit} bytes", limit=f"{limit} bytes")


def decode(data: bytes, path: str = "the picture", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Hostile bytes -> an upright RGB picture of their first frame; transparent parts turn white."""
    check_bytes(data, path)
    try:
        with Image.open(io.BytesIO(data), formats=DECODERS) as image:
            _check_size(image, path, max_pixels)  # from the header: nothing is decoded before
            image.load()
            return _rgb(_upright(image))
    except HugeImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise HugeImage(path=path, size="a decompression bomb", limit=f"{max_pixels} pixels") from error
    except Exception as error:  # decoders fail on hostile bytes in any way: struct.error, SyntaxError, KeyError ...
        raise BrokenImage(path=path, why=str(error) or type(error).__name__) from error


def suffix(data: bytes) -> str:
    """The file name's end that fits the bytes; no reader here relies on it."""
    heads = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp"}
    heads |= {b"II": ".tiff", b"MM": ".tiff"}
    return next((end for head, end in heads.items() if data.startswith(head)), ".img")


def _check_size(image: Image.Image, path: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise HugeImage(path=path, size=f"{width} x {height} pixels", limit=f"{max_pixels} pixels")


def _upright(image: Image.Image) -> Image.Image:
    """Applies the EXIF rotation. Asked after loading: Pillow turns TIFF files itself and then drops the tag."""
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - unreadable EXIF names no rotation, and trainers use such a picture as it is
        orientation = None
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_bytes_of(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _bytes_of(values: np.ndarray, mode: str) -> np.ndarray:
    """[height, width] 16-bit or float greys -> 0..255; `convert` would clip all that is above 255 to white."""
    if mode != "F":
        return np.round(values.astype(np.float64).clip(0, 65535) / 257).astype(np.uint8)
    if not np.isfinite(values).all():
        raise ValueError("its pixels are not finite numbers")
    low, high = float(values.min()), float(values.max())
    # Floats carry no agreed range: shares of one stay what they are, anything else is stretched from end to end.
    if low < 0 or high > 1:
        values = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.round(values * 255).astype(np.uint8)
