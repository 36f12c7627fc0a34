"""Extracts an uploaded zip or tar archive into a folder.

This module does not use the extraction of `zipfile` and `tarfile`, because they trust the sizes that an archive
announces. Here no file is written outside the folder or twice, and no link is created. The extracted bytes are counted,
so a small archive that would fill the disk is refused. The folder appears only after all files are extracted.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from bye_core.data.bounded_stream import BoundedReader, LimitExceeded, decompressed
from bye_core.data.faults import Refusal
from bye_core.data.folders import atomic_folder
from bye_core.records import Progress

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
CHUNK = 1 << 20
LONGEST_NAME = 255  # bytes of one part of a path; the limit of most file systems
DEEPEST = 32  # parts of a path
DIRECTORY_BYTES = 640  # of a zip's central directory, per allowed file: far more than any real entry needs
# Files that file managers add; no data set needs them.
_JUNK = re.compile(r"(?:.*/)?(?:__MACOSX(?:/.*)?|\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*)", re.DOTALL)
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_ENCRYPTED = 0x1
_END_RECORD, _ZIP64_END_RECORD = b"PK\x05\x06", b"PK\x06\x06"


@dataclass(frozen=True)
class Limits:
    """How far one archive may expand. `ratio` applies only above `free` bytes, because text compresses well."""

    files: int = 2_000_000
    bytes: int = 200 * 2**30
    ratio: float = 100.0  # ours: images hardly shrink, annotation files shrink 5 to 20 times
    free: int = 32 * 2**20

    def allowed_bytes(self, packed: int) -> int:
        """Return how many bytes an archive of `packed` bytes may expand to."""
        return int(min(self.bytes, max(self.free, self.ratio * packed)))


class NotAnArchive(Refusal):
    problem = "{name} is not an archive that can be opened: {why}."
    remedy = "Pack the data set's folder as .zip, .tar, .tar.gz or .tar.bz2, without a password, and upload that."


class UnsafeArchive(Refusal):
    problem = "{name} is refused: its entry {entry} {why}."
    remedy = "Pack the data set's folder again, with regular files and relative names only."


class ArchiveTooLarge(Refusal):
    problem = "{name} is refused: {why}."
    remedy = "Upload fewer samples or smaller images, or run the app on your own machine and name the folder there."


class CannotExtract(Refusal):
    problem = "{name} could not be extracted: {why}. Nothing was kept."
    remedy = "Free disk space or make the folder writable, then upload the archive again."


@dataclass(frozen=True)
class Entry:
    """A file in the archive.

    parts  the parts of its path, checked by `safe_parts`
    size   the size in bytes that the archive announces
    open   function that opens its content
    done   number of bytes of the archive that are read after this file
    """

    parts: tuple[str, ...]
    size: int
    open: Callable[[], IO[bytes]]
    done: int


def extract(archive: Path, out: Path, limits: Limits | None = None, name: str = "") -> Iterator[Progress]:
    """Extract `archive` into the new folder `out`. If it holds a single folder, that folder's content becomes `out`.

    `name` is the archive's name in messages. If an error occurs or the caller stops iterating, nothing remains on the
    disk.
    Raises: NotAnArchive if the file cannot be opened as an archive; UnsafeArchive if an entry has an unsafe path or is
    a link; ArchiveTooLarge if it expands beyond `limits`; CannotExtract if the disk fails.
    """
    limits, name = limits or Limits(), name or archive.name
    allowed = limits.allowed_bytes(archive.stat().st_size)
    try:
        with atomic_folder(out) as folder:
            for done, total in _extract_all(archive, folder, limits, allowed, name):
                yield Progress("unpack", done, total)
            unwrap_single_folder(folder)
    except LimitExceeded as error:
        raise _too_large(name, allowed, limits) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, struct.error) as error:
        raise NotAnArchive(name=name, why=str(error) or "it is damaged or incomplete") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile, for compression methods and passwords
        raise NotAnArchive(name=name, why=error) from error
    except OSError as error:
        # Decompressors report damage as an OSError without a number; with a number, the disk has failed.
        kind = CannotExtract if error.errno else NotAnArchive
        raise kind(name=name, why=error.strerror or error) from error


def _extract_all(archive: Path, folder: Path, limits: Limits, allowed: int, name: str) -> Iterator[tuple[int, int]]:
    """Write all files of the archive; yield (archive bytes read so far, size of the archive)."""
    seen: set[tuple[str, ...]] = set()
    written, packed = 0, archive.stat().st_size
    reader = _zip_entries if _is_zip(archive) else _tar_entries
    with closing(reader(archive, limits, allowed, name)) as entries:
        for entry in entries:
            if entry.parts in seen:
                raise UnsafeArchive(name=name, entry="/".join(entry.parts), why="occurs twice")
            seen.add(entry.parts)
            if len(seen) > limits.files:
                raise ArchiveTooLarge(name=name, why=f"it holds more than {limits.files:,} files")
            if written + entry.size > allowed:
                raise LimitExceeded
            with entry.open() as source:
                written += _write(source, folder, entry.parts, allowed - written, name)
            yield min(entry.done, packed), packed


def _is_zip(archive: Path) -> bool:
    """Return whether the file begins like a zip: `zipfile.is_zipfile` also accepts a tar that ends with a zip."""
    with archive.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", _END_RECORD)


def _write(source: IO[bytes], folder: Path, parts: tuple[str, ...], allowed: int, name: str) -> int:
    """Write one file and return its size. Counts the bytes that it reads and ignores the announced size."""
    path, size = folder.joinpath(*parts), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > allowed:
                    raise LimitExceeded
                file.write(chunk)
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeArchive(name=name, entry="/".join(parts), why="has the same path as another file") from error
    return size


def safe_parts(path: str, name: str) -> tuple[str, ...]:
    """Return the parts of an entry's path; an empty tuple for the folder itself and for junk files.

    Raises: UnsafeArchive if the path is absolute, leaves the folder, or is too long or too deep.
    """

    def refusal(why: str) -> UnsafeArchive:
        return UnsafeArchive(name=name, entry=path, why=why)

    if path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", path):
        raise refusal("has an absolute name")
    if "\\" in path or any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in path):
        raise refusal("has a backslash or an invalid character in its name")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise refusal("leads out of the folder")
    if len(parts) > DEEPEST or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise refusal("has a name that is too long")
    return () if _JUNK.fullmatch("/".join(parts)) else parts


def unwrap_single_folder(folder: Path) -> None:
    """While `folder` holds one folder and nothing else, replace that folder by its content."""
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        single = inside[0].rename(folder / ".lifted")  # its content may have the same name
        for item in list(single.iterdir()):
            item.rename(folder / item.name)
        single.rmdir()


def _zip_entries(archive: Path, limits: Limits, allowed: int, name: str) -> Generator[Entry, None, None]:
    if (size := central_directory_size(archive)) > limits.files * DIRECTORY_BYTES:
        raise ArchiveTooLarge(name=name, why=f"its list of files alone takes {size:,} bytes")
    done = 0
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            done += info.compress_size
            parts, kind = safe_parts(info.filename, name), stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeArchive(name=name, entry=info.filename, why="is a link or a device, not a file")
            if info.is_dir() or kind == stat.S_IFDIR or not parts:
                continue
            if info.flag_bits & _ENCRYPTED:
                raise NotAnArchive(name=name, why="it is locked with a password")
            if info.compress_type not in _COMPRESSIONS:
                raise NotAnArchive(name=name, why="its compression method is neither deflate nor bzip2")
            yield Entry(parts, info.file_size, partial(file.open, info), done)


def _tar_entries(archive: Path, limits: Limits, allowed: int, name: str) -> Generator[Entry, None, None]:
    # Headers and padding come in addition to the content of the files.
    bound = allowed + 4 * tarfile.BLOCKSIZE * (1 + min(limits.files, archive.stat().st_size))
    with archive.open("rb") as packed:
        stream = cast(IO[bytes], BoundedReader(decompressed(packed), bound))
        with tarfile.open(fileobj=stream, mode="r:") as file:
            for member in file:  # not next(): in Python 3.10 it fails on an archive without members
                file.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header in memory
                parts = safe_parts(member.name, name)
                if not (member.isdir() or member.isreg()) or member.issparse():
                    raise UnsafeArchive(name=name, entry=member.name, why="is a link or a device, not a file")
                if member.isreg() and parts:
                    content = cast(Callable[[], IO[bytes]], partial(file.extractfile, member))
                    yield Entry(parts, member.size, content, packed.tell())


def central_directory_size(archive: Path) -> int:
    """Return the announced size of a zip's central directory in bytes; 0 if unknown.

    `zipfile` reads the whole directory into memory at once.
    """
    size = archive.stat().st_size
    with archive.open("rb") as file:
        file.seek(max(0, size - (1 << 16) - 98))  # the longest comment, and both end records
        end = file.read()
    offset = end.rfind(_END_RECORD)
    if offset < 0 or len(end) < offset + 16:
        return 0
    announced = struct.unpack_from("<L", end, offset + 12)[0]
    zip64 = end.rfind(_ZIP64_END_RECORD, 0, offset)
    return max(announced % 0xFFFFFFFF, struct.unpack_from("<Q", end, zip64 + 40)[0] if zip64 >= 0 else 0)


def _too_large(name: str, allowed: int, limits: Limits) -> ArchiveTooLarge:
    size = f"{allowed / 2**20:,.0f} MB"
    if allowed == limits.bytes:
        return ArchiveTooLarge(name=name, why=f"it would expand to more than {size}, the limit here")
    why = f"it would expand to more than {size}, {limits.ratio:g} times its own size: it looks like a zip bomb"
    return ArchiveTooLarge(name=name, why=why)


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Return whether the suffix of the file name is that of a supported archive."""
    return os.fspath(path).lower().endswith(SUFFIXES)
