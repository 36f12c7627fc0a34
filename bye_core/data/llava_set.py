"""Writes samples and decoded images as a new LLaVA data set.

The same encoder writes all images, so that the file format does not reveal the poisoned images.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from bye_core.data.formats.llava import Llava, llava_record
from bye_core.data.images import decode
from bye_core.errors import DataError, SettingError
from bye_core.records import Sample

ENCODINGS: dict[str, dict[str, Any]] = {
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "quality": 80, "method": 6},
}


class FolderInUse(SettingError):
    problem = "{out} already exists and is not empty."
    remedy = "Set another folder with --out, or empty this folder first."


class CannotWriteSet(DataError):
    problem = "{out} cannot be written: {why}."
    remedy = "Free disk space, make the folder writable, or name another folder."


class UnknownEncoding(SettingError):
    problem = "Images cannot be encoded as {name!r}."
    remedy = "Choose one of: {choices}."


def encode_image(image: Image.Image, encoding: str) -> bytes:
    """Return the content of an image file without metadata. Raises: UnknownEncoding if there is no such encoding."""
    if encoding not in ENCODINGS:
        raise UnknownEncoding(name=encoding, choices=", ".join(ENCODINGS))
    buffer = io.BytesIO()
    image.save(buffer, **ENCODINGS[encoding])
    return buffer.getvalue()


def encode_and_decode(image: Image.Image, encoding: str) -> Image.Image:
    """Return the RGB image after encoding and decoding, as a reader of the image file gets it.

    Raises: UnknownEncoding if there is no such encoding.
    """
    return decode(encode_image(image, encoding))


def write_llava_set(
    items: Iterable[tuple[Sample, list[Image.Image]]],
    out: Path,
    encoding: str = "jpeg",
    extra_files: dict[str, Any] | None = None,
) -> Iterator[Sample]:
    """Write `items` as `out`/data.json and `out`/images/; yield each sample after its images are written.

    An image file is named by a digest of its content: the name reveals nothing, and equal images are stored once.
    `extra_files` maps file names to JSON values; it is read after the last item. The folder appears only after it is
    complete. If a call is killed, the next call removes its unfinished folder.
    Raises: FolderInUse if `out` exists and is not empty; UnknownEncoding if there is no such encoding;
    CannotWriteSet if the disk is full or read-only.
    """
    try:
        yield from _write_llava_set(items, out, encoding, extra_files or {})
    except OSError as error:
        raise CannotWriteSet(out=out, why=error.strerror or error) from error


def _write_llava_set(
    items: Iterable[tuple[Sample, list[Image.Image]]], out: Path, encoding: str, extra_files: dict[str, Any]
) -> Iterator[Sample]:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderInUse(out=out)
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.parent / f".{out.name}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "images").mkdir(parents=True)
    records = []
    try:
        for sample, images in items:
            names = tuple(_write_image(image, encoding, unfinished) for image in images)
            records.append(llava_record(sample.id, sample.turns, names))
            yield sample
        for name, value in {Llava.file: records, **extra_files}.items():
            (unfinished / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if out.exists():
            out.rmdir()
        os.replace(unfinished, out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_image(image: Image.Image, encoding: str, folder: Path) -> str:
    """Write an image into `folder` and return its path there."""
    content = encode_image(image, encoding)
    name = f"images/{hashlib.sha256(content).hexdigest()[:16]}.{encoding.replace('jpeg', 'jpg')}"
    (folder / name).write_bytes(content)
    return name
