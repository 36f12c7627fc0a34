"""A zip or tar archive from anywhere -> a folder: own extraction, as an archive's names and sizes may be lies.

Nothing is written outside the folder, no link is made, no file is written twice, and what comes out is counted while
it comes: a small archive that would fill the disk is refused. The folder appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from bye_core.data.bounded_stream import Bounded, TooMuch, opened
from bye_core.data.faults import Refusal
from bye_core.data.folders import whole_folder
from bye_core.records import Progress

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
CHUNK = 1 << 20
LONGEST_PART = 255  # bytes, what most file systems take
DEEPEST = 32
LISTING_BYTES = 640  # of a zip's directory, for each file it may hold: far more than any real one needs
# What file managers leave behind; no data set needs it.
_JUNK = re.compile(r"(?:.*/)?(?:__MACOSX(?:/.*)?|\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*)", re.DOTALL)
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate", zipfile.ZIP_BZIP2: "bzip2"}
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Limits:
    """What one archive may become. `ratio` counts only where more than `free` bytes come out: text packs well."""

    files: int = 2_000_000
    bytes: int = 200 * 2**30
    ratio: float = 100.0  # ours: pictures hardly shrink, annotation files 5 to 20 times
    free: int = 32 * 2**20

    def allowance(self, packed: int) -> int:
        """How many bytes may come out of an archive of `packed` bytes."""
        return int(min(self.bytes, max(self.free, self.ratio * packed)))


class NotAnArchive(Refusal):
    problem = "{name} is no archive that can be opened: {why}."
    remedy = "Pack the data set's folder as .zip, .tar, .tar.gz or .tar.bz2, without a password, and upload that."


class UnsafeArchive(Refusal):
    problem = "{name} is refused: its entry {entry} {why}."
    remedy = "Pack the data set's folder anew, with plain files and relative names only."


class ArchiveTooLarge(Refusal):
    problem = "{name} is refused: {why}."
    remedy = "Upload fewer samples or smaller pictures, or run the app on your own machine and name the folder there."


class CannotExtract(Refusal):
    problem = "{name} could not be unpacked: {why}."
    remedy = "Free disk space or make the folder writable, then upload it again; nothing was kept."


@dataclass(frozen=True)
class Entry:
    """A file of the archive: its checked name as parts, its size as announced, how to open it, and how much of the
    archive has been read with it."""

    parts: tuple[str, ...]
    size: int
    open: Callable[[], IO[bytes]]
    done: int


def extract(archive: Path, out: Path, limits: Limits | None = None, name: str = "") -> Iterator[Progress]:
    """Unpack `archive` into the new folder `out`; a lone folder inside becomes `out` itself.

    `name` is what messages call the archive. A loop that is left early, or an error, leaves nothing behind.
    """
    limits, name = limits or Limits(), name or archive.name
    allowed = limits.allowance(archive.stat().st_size)
    try:
        with whole_folder(out) as folder:
            for done, total in _unpacked(archive, folder, limits, allowed, name):
                yield Progress("unpack", done, total)
            lift(folder)
    except TooMuch as error:
        raise _too_much(name, allowed, limits) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, struct.error) as error:
        raise NotAnArchive(name=name, why=str(error) or "it is damaged or not complete") from error
    except (NotImplementedError, RuntimeError) as error:  # zipfile's words for methods and passwords it lacks
        raise NotAnArchive(name=name, why=error) from error
    except OSError as error:
        # Decompressors report damage as an OSError without a number; with one it is the disk that failed.
        kind = CannotExtract if error.errno else NotAnArchive
        raise kind(name=name, why=error.strerror or error) from error


def _unpacked(archive: Path, folder: Path, limits: Limits, allowed: int, name: str) -> Iterator[tuple[int, int]]:
    """Writes all files of the archive; yields bytes read of bytes that the archive takes."""
    seen: set[tuple[str, ...]] = set()
    written, packed = 0, archive.stat().st_size
    reader = _zip_entries if _is_zip(archive) else _tar_entries
    with closing(reader(archive, limits, allowed, name)) as entries:
        for entry in entries:
            if entry.parts in seen:
                raise UnsafeArchive(name=name, entry="/".join(entry.parts), why="is there twice")
            seen.add(entry.parts)
            if len(seen) > limits.files:
                raise ArchiveTooLarge(name=name, why=f"it holds more than {limits.files:,} files")
            if written + entry.size > allowed:
                raise TooMuch
            with entry.open() as source:
                written += _write(source, folder, entry.parts, allowed - written, name)
            yield min(entry.done, packed), packed


def _is_zip(archive: Path) -> bool:
    """By its head: a tar may well end with a zip."""
    with archive.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _write(source: IO[bytes], folder: Path, parts: tuple[str, ...], allowed: int, name: str) -> int:
    """One file, by what really comes out of it; returns its bytes."""
    place, size = folder.joinpath(*parts), 0
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > allowed:
                    raise TooMuch
                file.write(chunk)
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeArchive(name=name, entry="/".join(parts), why="stands where another file is") from error
    return size


def safe_parts(path: str, name: str) -> tuple[str, ...]:
    """A name inside an archive as the parts of a relative path; () for what is not worth unpacking."""

    def refused(why: str) -> UnsafeArchive:
        return UnsafeArchive(name=name, entry=path, why=why)

    if path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", path):
        raise refused("has an absolute name")
    if "\\" in path or any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in path):
        raise refused("has a name with a backslash or a character that no file name should have")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise refused("leads out of the folder")
    if len(parts) > DEEPEST or any(len(part.encode()) > LONGEST_PART for part in parts):
        raise refused("has a name that is too long")
    return () if _JUNK.fullmatch("/".join(parts)) else parts


def lift(folder: Path) -> None:
    """While `folder` holds one folder and nothing else, that one's content takes its place."""
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        lone = inside[0].rename(folder / ".lifted")
        for item in list(lone.iterdir()):
            item.rename(folder / item.name)
        lone.rmdir()


def _zip_entries(archive: Path, limits: Limits, allowed: int, name: str) -> Iterator[Entry]:
    if (size := listing_size(archive)) > limits.files * LISTING_BYTES:
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
            if info.compress_type not in _METHODS:
                raise NotAnArchive(name=name, why="it is packed by a method other than deflate or bzip2")
            yield Entry(parts, info.file_size, partial(file.open, info), done)


def _tar_entries(archive: Path, limits: Limits, allowed: int, name: str) -> Iterator[Entry]:
    # Headers and padding come on top of what the files hold.
    bound = allowed + 4 * tarfile.BLOCKSIZE * (1 + min(limits.files, archive.stat().st_size))
    with archive.open("rb") as packed, tarfile.open(fileobj=Bounded(opened(packed), bound), mode="r:") as file:
        while (member := file.next()) is not None:
            file.members.clear()  # it would keep every header read
            parts = safe_parts(member.name, name)
            if not (member.isdir() or member.isreg()) or member.issparse():
                raise UnsafeArchive(name=name, entry=member.name, why="is a link or a device, not a file")
            if member.isreg() and parts:
                yield Entry(parts, member.size, partial(file.extractfile, member), packed.tell())


def listing_size(archive: Path) -> int:
    """Bytes of a zip's list of files as its end announces them; zipfile reads that many into memory at once."""
    size = archive.stat().st_size
    with archive.open("rb") as file:
        file.seek(max(0, size - (1 << 16) - 98))
        end = file.read()
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or len(end) < place + 16:
        return 0
    announced = struct.unpack_from("<L", end, place + 12)[0]
    wide = end.rfind(b"PK\x06\x06", 0, place)
    return max(announced % 0xFFFFFFFF, struct.unpack_from("<Q", end, wide + 40)[0] if wide >= 0 else 0)


def _too_much(name: str, allowed: int, limits: Limits) -> ArchiveTooLarge:
    size = f"{allowed / 2**20:,.0f} MB"
    if allowed == limits.bytes:
        return ArchiveTooLarge(name=name, why=f"more than {size} would come out of it, the limit here")
    why = f"more than {size} would come out of it, {limits.ratio:g} times its own size: it looks like a bomb"
    return ArchiveTooLarge(name=name, why=why)


def is_archive(path: str | os.PathLike[str]) -> bool:
    """By its name."""
    return os.fspath(path).lower().endswith(SUFFIXES)
