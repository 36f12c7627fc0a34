"""Writes samples and decoded pictures as a new LLaVA set: every picture through one and the same encoder."""

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

from bye_core.data.formats.llava import llava_record
from bye_core.data.images import decode
from bye_core.errors import SettingError
from bye_core.records import Sample

ENCODINGS: dict[str, dict[str, Any]] = {
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "quality": 80, "method": 6},
}


class FolderInUse(SettingError):
    problem = "{out} already exists and is not empty."
    remedy = "Name another folder with --out, or empty this one first."


class UnknownEncoding(SettingError):
    problem = "Pictures cannot be encoded as {name!r}."
    remedy = "Choose one of: {choices}."


def encode_picture(picture: Image.Image, encoding: str) -> bytes:
    """RGB picture -> file content, without metadata. Raises UnknownEncoding."""
    if encoding not in ENCODINGS:
        raise UnknownEncoding(name=encoding, choices=", ".join(ENCODINGS))
    buffer = io.BytesIO()
    picture.save(buffer, **ENCODINGS[encoding])
    return buffer.getvalue()


def through_file(picture: Image.Image, encoding: str) -> Image.Image:
    """An RGB picture as a reader of its file has it. Raises UnknownEncoding."""
    return decode(encode_picture(picture, encoding))


def compose(
    items: Iterable[tuple[Sample, list[Image.Image]]],
    out: Path,
    encoding: str = "jpeg",
    extras: dict[str, Any] | None = None,
) -> Iterator[Sample]:
    """Write items as `out`/data.json and `out`/images/, yielding each sample once its pictures are written.

    Picture files are named by their content, so names tell nothing and equal pictures are stored once. `extras` maps
    further file names to JSON values; it is read when all items are through. The folder appears whole, by a rename,
    or not at all. Raises FolderInUse.
    """
    if out.exists() and any(out.iterdir()):
        raise FolderInUse(out=out)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.parent / f".{out.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    (part / "images").mkdir(parents=True)
    records = []
    try:
        for sample, pictures in items:
            names = []
            for picture in pictures:
                content = encode_picture(picture, encoding)
                name = f"images/{hashlib.sha256(content).hexdigest()[:16]}.{encoding.replace('jpeg', 'jpg')}"
                (part / name).write_bytes(content)
                names.append(name)
            records.append(llava_record(sample.id, sample.turns, tuple(names)))
            yield sample
        for name, value in {"data.json": records, **(extras or {})}.items():
            (part / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if out.exists():
            out.rmdir()
        os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
