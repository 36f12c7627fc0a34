"""Says in words what a file is that cannot be decoded as an image, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable

SAVE_AGAIN = "Save the image again as a complete JPEG, PNG, WEBP, GIF, BMP or TIFF file, or delete its record."
CONVERT = "Convert the image to JPEG or PNG and correct its record, or delete the record."
PULL = "Run `git lfs pull` in the folder of the data set; it replaces such files by the images."
DOWNLOAD = "Download the image again, or delete its record."

_HEAD = 4096  # bytes inspected at the start of a file
# Brands of the ISO base media file format (HEIF, AVIF and video files): the name that follows "ftyp".
_BRANDS = {
    b"avif": "an AVIF image", b"avis": "an AVIF image",
    b"heic": "a HEIC image", b"heix": "a HEIC image", b"heim": "a HEIC image", b"heis": "a HEIC image",
    b"hevc": "a HEIC image", b"hevx": "a HEIC image", b"mif1": "a HEIF image", b"msf1": "a HEIF image",
    b"crx ": "a camera's raw file", b"qt  ": "a video",
}  # fmt: skip
_HEADS = (
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"qoif", "a QOI image"),
    (b"DDS ", "a DDS texture"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x02", "a Python pickle"),
    (b"PAR1", "a parquet table"),
)
_NETPBM = re.compile(rb"P[1-7][\s#]")
_READ = (
    (b"\xff\xd8", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF")
)  # fmt: skip
_TRUNCATED = re.compile(r"truncated|incomplete|not enough|unexpected end|EOF|bytes not processed|broken data", re.I)
_PLAIN = re.compile(r"[\w ,.:%/-]{3,120}")  # messages of decoders that read as a sentence


def describe(data: bytes, error: Exception) -> tuple[str, str]:
    """Return (why these bytes cannot be decoded, the remedy). `error` is the decoder's.

    Equal bytes give equal texts: they hold no address of an object.
    """
    if not data.strip(b"\0"):
        return ("the file is empty" if not data else "the file holds nothing but zero bytes"), DOWNLOAD
    if other := other_kind(data):
        return other
    message, kind = str(error), image_kind(data)
    if _TRUNCATED.search(message):
        return (
            f"the {kind or 'image'} file is truncated, its end is missing",
            f"{DOWNLOAD[:-1]}; trainers refuse it too.",
        )
    if kind is None:
        return "it is not a file of a known kind of image", SAVE_AGAIN
    if message.startswith("cannot identify image file"):
        return f"the {kind} file is damaged or its end is missing", SAVE_AGAIN
    if "MAX_TEXT" in message:
        return f"the texts inside the {kind} file are larger than Pillow allows", SAVE_AGAIN
    return f"the {kind} file is damaged" + (f" ({message})" if _PLAIN.fullmatch(message) else ""), SAVE_AGAIN


def other_kind(data: bytes) -> tuple[str, str] | None:
    """Return (what the file is, the remedy) if it is something else than an image that is read; None if unknown."""
    head = data[:_HEAD]
    if head.startswith(b"version https://git-lfs."):
        return "it is a Git LFS pointer, a short text in place of the image", PULL
    for start, what in _HEADS:
        if head.startswith(start):
            return f"it is {what}, which is not read", CONVERT
    if head[4:8] == b"ftyp":
        what = _brand(head)
        return f"it is {what}, which is not read", CONVERT if "video" not in what else "Delete the record."
    if head.startswith(b"RIFF") and head[8:12] != b"WEBP":
        return "it is a sound or video file", "Delete the record, or name an image."
    if _NETPBM.match(head):
        return "it is a PNM image, which is not read", CONVERT
    kind = image_kind(head)
    return _text_kind(head) if kind in (None, "BMP") else None  # "BM" may begin a text


def image_kind(data: bytes) -> str | None:
    """Return the name of the image format that the file begins as, None if it is none of those that are read."""
    if data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b""):
        return "WEBP"
    return next((name for head, name in _READ if data.startswith(head)), None)


def _brand(head: bytes) -> str:
    """Return what a file of the ISO base media format is, by its brands: first the main one, then the compatible."""
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    names = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return next((name for name in names if name != "a HEIF image"), names[0] if names else "a video")


def _text_kind(head: bytes) -> tuple[str, str] | None:
    text = _decoded(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    tests: tuple[tuple[Callable[[str], object], str, str], ...] = (
        (lambda t: t.startswith(("<!doctype html", "<html", "<head", "<body")), "it is an HTML page", DOWNLOAD),
        (lambda t: re.match(r"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*|<!doctype svg[^>]*>\s*)*<(?:\w+:)?svg\b", t, re.S),
         "it is an SVG drawing, which is not read", CONVERT),
        (lambda t: "<html" in t[:1000], "it is an HTML page", DOWNLOAD),
        (lambda t: t.startswith("<"), "it is an XML text", DOWNLOAD),
        (lambda t: t.startswith(("{", "[")), "it is a JSON text", DOWNLOAD),
    )  # fmt: skip
    for test, what, remedy in tests:
        if test(start):
            return f"{what}" if "not read" in what else f"{what}, not an image", remedy
    return "it is a text, not an image", DOWNLOAD


def _decoded(head: bytes) -> str | None:
    """Return the start of a file as text, None if it is not text."""
    codec = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    cut = len(head) == _HEAD
    for end in range(4 if cut else 1):  # a character may be cut at the end
        try:
            text = head[: len(head) - end].decode(codec)
        except UnicodeDecodeError:
            continue
        return text if all(c.isprintable() or c.isspace() for c in text.lstrip("\ufeff")) else None
    text = head.decode("latin-1")  # an HTML page or a text in an old encoding
    return text if all(c.isprintable() or c.isspace() for c in text) and "<" in text[:100] else None
