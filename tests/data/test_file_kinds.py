"""A file that is not a readable image: the message says what it is, and what to do."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from bye_core.data.images import BrokenImage, decode
from tests.data.sets import picture, png


def iso(brand: bytes, *compatible: bytes) -> bytes:
    """The start of a file of the ISO base media format."""
    body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", len(body) + 4) + body + b"\0" * 64


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 999\n"
KINDS = {
    "empty": (b"", "the file is empty"),
    "zeros": (b"\0" * 500, "nothing but zero bytes"),
    "LFS": (POINTER, "Git LFS pointer"),
    "HTML": (b"\n<!DOCTYPE html>\n<title>404</title>", "an HTML page"),
    "HTML without doctype": (b"<html lang=de><body>" + "Größe".encode() * 2000, "an HTML page"),
    "HTML in an old encoding": ("<html><body>Größe".encode("latin-1"), "an HTML page"),
    "HTML after a comment": (b"<!-- cached --><html>", "an HTML page"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    "SVG after a header": (b"<?xml version='1.0'?>\n<!-- made by me -->\n<svg>", "an SVG drawing"),
    "SVG in UTF-16": ("<svg/>".encode("utf-16"), "an SVG drawing"),
    "XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML text"),
    "JSON": (b'{"error": "not found"}', "a JSON text"),
    "text": ("Diese Datei wurde entfernt – 图".encode(), "a text"),
    "text that begins like a BMP": (b"BMW builds cars.", "a text"),
    "HEIC": (iso(b"heic", b"mif1", b"heic"), "a HEIC image"),
    "HEIC under another main brand": (iso(b"mif1", b"mif1", b"heic"), "a HEIC image"),
    "HEIF": (iso(b"mif1"), "a HEIF image"),
    "AVIF": (iso(b"avif", b"avif", b"mif1", b"miaf"), "an AVIF image"),
    "video": (iso(b"isom", b"mp41"), "a video"),
    "WAV": (b"RIFF\0\0\0\0WAVEfmt ", "a sound or video file"),
    "JPEG XL": (b"\x00\x00\x00\x0cJXL \r\n\x87\n\0", "a JPEG XL image"),
    "bare JPEG XL": (b"\xff\x0a\x10\x20", "a JPEG XL image"),
    "JPEG 2000": (png(format="JPEG2000"), "a JPEG 2000 image"),
    "PNM": (png(format="PPM"), "a PNM image"),
    "icon": (png(format="ICO"), "an icon"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript document"),
    "zip": (b"PK\x03\x04\x14\0", "a zip archive"),
    "noise": (bytes(range(128, 256)), "not a file of a known kind of image"),
    "cut JPEG": (png(picture(size=(64, 64)), "JPEG")[:1500], "the JPEG file is truncated"),
    "cut PNG": (png(picture(size=(64, 64)))[:3000], "the PNG file is truncated"),
    "cut GIF": (png(picture(size=(64, 64)), "GIF")[:900], "the GIF file is truncated"),
    "cut head": (png()[:20], "the PNG file is truncated"),
    "damaged": (png().replace(b"IHDR", b"IHDX"), "the PNG file is damaged"),
}


@pytest.mark.parametrize("case", KINDS)
def test_what_a_file_is(case: str) -> None:
    data, what = KINDS[case]
    texts = []
    for _ in range(2):
        keep_addresses_different = np.zeros(10)
        with pytest.raises(BrokenImage) as caught:
            decode(data, "x.jpg")
        texts.append(str(caught.value))
        del keep_addresses_different
    assert what in texts[0]
    assert texts[0] == texts[1], "equal files give equal bytes"
    assert not re.search(r"0x[0-9a-f]|<_?io|object at|\bb'", texts[0])
    assert caught.value.kind == "BrokenImage"


def test_remedies_fit_the_kind() -> None:
    for case, remedy in {"LFS": "git lfs pull", "HEIC": "Convert", "HTML": "Download", "cut JPEG": "Download"}.items():
        with pytest.raises(BrokenImage) as caught:
            decode(KINDS[case][0], "x")
        assert remedy in caught.value.remedy
