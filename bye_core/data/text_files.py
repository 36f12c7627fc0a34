"""Reads text files in any Unicode encoding, plain or compressed with gzip, and writes parts of them in the same way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from bye_core.data.bounded_stream import BoundedReader, LimitExceeded
from bye_core.data.bounds import most_memory
from bye_core.data.faults import Refusal
from bye_core.files import StoredBytes

GZIP = b"\x1f\x8b"
FREE_BYTES = 64 * 2**20  # a file may expand to this size however small it is
LARGEST_RATIO = 30  # of expanded to packed size; annotation files shrink 5 to 20 times (ours)
MEMORY_RATIO = 4  # of needed memory to expanded size, at least: the bytes, the text and the records
STAYS_ON_DISK = 64 * 2**20  # bytes from which a file is read in parts (ours)
_CHUNK = 2**20
_BOM = "\ufeff"
_LONE = "surrogatepass"  # an encoding of 16 bits may hold half a character, which the file keeps
# How files begin that are no text, in the words of a message.
_OTHER_KINDS = (
    (b"PK\x03\x04", "it is a zip archive", "Unpack it and give the path of the folder."),
    (b"\xfd7zXZ\x00", "it is compressed with xz", "Unpack it with `unxz`."),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd", "Unpack it with `zstd -d`."),
    (b"BZh", "it is compressed with bzip2", "Unpack it with `bunzip2`."),
    (b"PAR1", "it is a parquet table", "Give the file the suffix .parquet."),
    (b"ARROW1", "it is an Arrow file", "Save the data set with `save_to_disk` or as parquet."),
    (b"%PDF", "it is a PDF document", "Export the records as JSON."),
    (b"SQLite format 3", "it is a SQLite database", "Export the records as JSON or CSV."),
    (b"\x80\x04\x95", "it is a Python pickle, which could run code", "Save the records as JSON."),
    (
        b"version https://git-lfs",
        "it is a Git LFS pointer: the file itself was not downloaded",
        "Run `git lfs pull` in the folder of the data set.",
    ),
)


class NotReadable(Refusal):
    problem = "{path} cannot be read: {why}."
    remedy = "Check that the file is complete and that its content fits its suffix."


class WrongContent(NotReadable):
    """The content is something else than expected; `do` says what helps."""

    remedy = "{do}"


@dataclass(frozen=True)
class TextFile:
    """The content of a text file.

    data      the text in UTF-8 without byte order mark. Bytes that are not UTF-8 are unchanged. The text of a large
              file stays on disk
    encoding  of the file
    bom       its byte order mark, b"" if it has none
    packed    whether it is compressed with gzip
    digest    SHA-256 of the unpacked file
    """

    data: bytes | StoredBytes
    encoding: str
    bom: bytes
    packed: bool
    digest: str

    def write(self, chunks: Iterable[bytes], target: Path) -> None:
        """Write parts of `data`, cut between characters, as a file in the same encoding."""
        with target.open("wb") as file:
            if not self.packed:
                self._write(chunks, file)
                return
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                self._write(chunks, packed)

    def _write(self, chunks: Iterable[bytes], file: io.BufferedIOBase) -> None:
        file.write(self.bom)
        for chunk in chunks:
            file.write(chunk if self.encoding == "utf-8" else chunk.decode("utf-8", _LONE).encode(self.encoding, _LONE))


def read_text_file(path: Path) -> TextFile:
    """Read a text file. Raises: NotReadable if it cannot be read, is no text, or expands to too many bytes."""
    try:
        if path.stat().st_size >= STAYS_ON_DISK and (large := _large_file(path)):
            return large
        raw = path.read_bytes()
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error
    packed = raw.startswith(GZIP)
    if packed:
        raw = _unpack(path, raw)
    reject_other_kinds(path, raw)
    digest = hashlib.sha256(raw).hexdigest()
    encoding = json.detect_encoding(raw)
    if encoding.startswith("utf-8"):
        bom = _BOM.encode() if raw.startswith(_BOM.encode()) else b""
        return TextFile(raw.removeprefix(bom), "utf-8", bom, packed, digest)
    return _recoded(path, raw, encoding, packed, digest)


def _large_file(path: Path) -> TextFile | None:
    """Return a large file whose text stays on disk; None if it must be unpacked or converted to UTF-8."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(GZIP):
        return None
    reject_other_kinds(path, head)
    if not json.detect_encoding(head).startswith("utf-8"):
        return None
    bom = _BOM.encode() if head.startswith(_BOM.encode()) else b""
    data, digest = StoredBytes(path, len(bom)), hashlib.sha256(bom)
    for part in data.parts():  # of the open file: another one may have taken its name
        digest.update(part)
    return TextFile(data, "utf-8", bom, False, digest.hexdigest())


def reject_other_kinds(path: Path, head: bytes) -> None:
    """Raise WrongContent if a file that begins with `head` is known to be no text."""
    for start, what, do in _OTHER_KINDS:
        if head.startswith(start):
            raise WrongContent(path=path, why=what, do=do)


def _recoded(path: Path, raw: bytes, encoding: str, packed: bool, digest: str) -> TextFile:
    """Return the content of a file in UTF-16 or UTF-32."""
    bits, marked = encoding[:6], encoding in ("utf-16", "utf-32")
    if marked:  # the byte order mark says the byte order
        encoding = next(name for name in (f"{bits}-le", f"{bits}-be") if raw.startswith(_BOM.encode(name)))
    bom = _BOM.encode(encoding) if marked else b""
    try:
        text = raw.removeprefix(bom).decode(encoding, _LONE)
    except UnicodeDecodeError as error:
        why = f"its text is {bits.upper()} and damaged at byte {error.start + len(bom):,}"
        raise WrongContent(path=path, why=why, do="Check that the file is complete, or save it as UTF-8.") from error
    return TextFile(text.encode("utf-8", _LONE), encoding, bom, packed, digest)


def _unpack(path: Path, raw: bytes) -> bytes:
    limit = min(most_memory() // MEMORY_RATIO, max(FREE_BYTES, LARGEST_RATIO * len(raw)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            reader, parts = BoundedReader(cast(IO[bytes], file), limit), []
            while part := reader.read(_CHUNK):
                parts.append(part)
    except LimitExceeded as error:
        why = f"it is compressed with gzip and would expand to more than {limit / 2**20:,.0f} MB"
        raise WrongContent(path=path, why=why, do="Unpack the file yourself if you trust it.") from error
    except (OSError, EOFError, zlib.error) as error:
        why = "it is compressed with gzip, and the compressed data is damaged or incomplete"
        raise WrongContent(path=path, why=why, do="Copy or download the file again.") from error
    return b"".join(parts)
