"""Finds the image files that records name, under the data set's folder and nowhere else.

A path inside the folder is accepted in any spelling: relative, absolute, as a `file:` URL, with `.`, `..`, doubled
slashes, backslashes, percent codes, or in another Unicode normal form than the file's name. Nothing outside the folder
is ever touched, so a refusal does not reveal whether a file exists there.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from bye_core.data.faults import Refusal

_FILE_URL = re.compile(r"file:(?://(?P<host>[^/\\]*))?(?P<path>.*)\Z", re.IGNORECASE | re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://|(?:hf|embedded|https?|ftp|s3|gs):", re.IGNORECASE)
_DATA_URI = re.compile(r"data:", re.IGNORECASE)
_DRIVE = re.compile(r"[/\\]*[a-z]:", re.IGNORECASE)
# A path that can be read in one way only, so it needs no other spelling. No part of it begins with a dot.
_SIMPLE = re.compile(r"[^/\\%:\s.][^/\\%:\s]*(?:/[^/\\%:\s.][^/\\%:\s]*)*")
LONGEST_PATH = (
    3 * 4096
)  # characters: Linux opens paths of 4096 bytes, which a URL writes as up to three characters each
_DRIVES = os.name == "nt"  # whether this system has drives

OUTSIDE = "is outside the data set's folder"
LINK_OUTSIDE = "is reached through a link that leads outside the data set's folder"
NO_DRIVE = "is a path on a Windows drive, and this computer has no such drive"
BACK_OVER_LINK = "goes through a link and back again with '..', which programs understand differently"
TOO_LONG = "has a path that is too long for a file"
MISSING = "is not in the data set's folder"


class ImageOutsideDataset(Refusal):
    problem = "The image {path} {why}."
    remedy = "Copy the image under {root} and write its path relative to that folder."

    def __init__(self, why: str = OUTSIDE, **facts: object) -> None:
        super().__init__(why=why, **facts)


class ImageIsUrl(ImageOutsideDataset):
    problem = "The image {path} {why}."
    remedy = "Save the image under {root} yourself and write its path relative to that folder."

    def __init__(self, why: str = "is a URL, not a file of the data set; nothing is downloaded", **facts: object):
        super().__init__(why=why, **facts)


class MissingImage(Refusal):
    problem = "The image {path} {why}."
    remedy = "Put the image at this path under {root}, or correct the record."

    def __init__(self, why: str = MISSING, **facts: object) -> None:
        super().__init__(why=why, **facts)


@dataclass(frozen=True)
class ImageFile:
    """An image file that a record names.

    file      its real path, without links
    name      its path relative to the root, with slashes and without "..", spelled as in the record
    crossed   folders, relative to the root, that the record's path enters and leaves again with ".."
    portable  whether the record's path is relative and stays below the root, so that it is also valid in a copy of
              the data set
    """

    file: Path
    name: str
    crossed: tuple[str, ...]
    portable: bool


@dataclass(frozen=True)
class _Place:
    """Where a spelling leads, judged without the disk: the parts of the path below the root."""

    parts: tuple[str, ...]
    crossed: tuple[tuple[str, ...], ...]
    portable: bool


class RootFolder:
    """Resolves image paths under one root. Caches the real paths of folders, because most images share a few."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._bases = tuple(dict.fromkeys((_absolute_parts(self.root), _absolute_parts(os.path.abspath(root)))))
        self._folders: dict[tuple[str, ...], str] = {(): self.root}

    def check(self, path: str) -> None:
        """Raise an error if there is no file `path`. Raises: as `resolve`."""
        self._find(path)

    def resolve(self, path: str) -> Path:
        """Return the real path of the file `path`.

        Raises: ImageIsUrl if it is a URL; ImageOutsideDataset if it is outside the root; MissingImage if there is no
        such file.
        """
        return self.locate(path).file

    def locate(self, path: str) -> ImageFile:
        """Return the file `path` and how it is named. Raises: as `resolve`."""
        file, place, is_url = self._find(path)
        crossed = tuple("/".join(parts) for parts in place.crossed)
        return ImageFile(Path(file), "/".join(place.parts), crossed, place.portable and not is_url)

    def _find(self, path: str) -> tuple[str, _Place, bool]:
        """Return (the real path of the file, where it is, whether `path` is a URL). Raises: as `resolve`."""
        if len(path) > LONGEST_PATH:
            raise MissingImage(TOO_LONG, path=path, root=self.root)
        if _SIMPLE.fullmatch(path):
            is_url, places = False, [_Place(tuple(path.split("/")), (), True)]
        else:
            is_url, places = self._all_places(path)
        why = MISSING
        for place in places:
            try:
                return self._follow(place, path), place, is_url
            except _NotAFile as error:
                why = why if why != MISSING else error.why
            except (OSError, ValueError):  # no such file, name too long, NUL in the name
                continue
        raise MissingImage(why if why != MISSING else self._other_case(places), path=path, root=self.root)

    def _all_places(self, path: str) -> tuple[bool, list[_Place]]:
        """Return (whether `path` is a file URL, the places that it may name, the most likely one first)."""
        is_url, spellings = self._spellings(path)
        places = list(dict.fromkeys(place for text in spellings for place in self._places(text, path)))
        return is_url, places

    def _spellings(self, path: str) -> tuple[bool, list[str]]:
        """Return (whether `path` is a file URL, the texts that it may stand for; the literal one comes first)."""
        if _DATA_URI.match(path):
            raise ImageIsUrl("is a data URI, not the path of a file", path=path, root=self.root)
        if match := _FILE_URL.match(path):
            host, rest = match["host"] or "", match["path"]
            # Two slashes instead of three are a common slip: then the first folder stands where the host belongs.
            rest = rest if host.lower() in ("", "localhost") else host + rest
            return True, [unquote(rest), rest]
        if _URL.match(path):
            raise ImageIsUrl(path=path, root=self.root)
        texts = [path]
        texts += [unquote(path)] if "%" in path else []
        return False, texts + [text.strip() for text in texts if text != text.strip()]

    def _places(self, text: str, path: str) -> Iterator[_Place]:
        """Yield where `text` leads: read literally, then with backslashes as slashes.

        Raises: ImageOutsideDataset if one of them is outside the root. On Linux, too, a path must not leave the root
        when a backslash is read as on Windows: a data set may be checked on one system and used on another.
        """
        if _DRIVE.match(text) and not _DRIVES:
            raise ImageOutsideDataset(NO_DRIVE, path=path, root=self.root)
        for spelling in dict.fromkeys((text, text.replace("\\", "/"))):
            yield self._place(spelling, path)

    def _place(self, text: str, path: str) -> _Place:
        absolute = _absolute_parts(text) if text.startswith("/") or _DRIVE.match(text) else None
        for base in self._bases:
            stack = [] if absolute is not None else list(base)
            crossed, climbed = [], False
            for part in absolute if absolute is not None else text.split("/"):
                if part in ("", "."):
                    continue
                if part != "..":
                    stack.append(part)
                    continue
                if _starts_with(stack, base) and len(stack) > len(base):
                    crossed.append(tuple(stack[len(base) :]))
                else:
                    climbed = True
                del stack[-1:]
            if _starts_with(stack, base):
                return _Place(tuple(stack[len(base) :]), tuple(crossed), absolute is None and not climbed)
        raise ImageOutsideDataset(path=path, root=self.root)

    def _follow(self, place: _Place, path: str) -> str:
        """Return the real path of the file at `place`.

        Raises: ImageOutsideDataset if a link leads outside; _NotAFile if it is no regular file; OSError if it does not
        exist.
        """
        for folder in place.crossed:
            if self._is_link(folder, path):
                raise ImageOutsideDataset(BACK_OVER_LINK, path=path, root=self.root)
        if not place.parts:
            raise _NotAFile("is a folder, not a file")
        file, mode = self._step(self._folder(place.parts[:-1], path), place.parts[-1], path)
        if stat.S_ISREG(mode):
            return file
        if stat.S_ISDIR(mode):
            raise _NotAFile("is a folder, not a file")
        raise _NotAFile("is a link that leads in a circle" if stat.S_ISLNK(mode) else "is not a regular file")

    def _folder(self, parts: tuple[str, ...], path: str) -> str:
        """Return the real path of a folder, which is inside the root."""
        if parts not in self._folders:
            known = next(count for count in range(len(parts) - 1, -1, -1) if parts[:count] in self._folders)
            for count in range(known, len(parts)):
                folder, _ = self._step(self._folders[parts[:count]], parts[count], path)
                self._folders[parts[: count + 1]] = folder
        return self._folders[parts]

    def _step(self, folder: str, name: str, path: str) -> tuple[str, int]:
        """Return (real path, mode) of the entry `name` of `folder`. Follows links, but not out of the root."""
        if _DRIVES and ":" in name:  # a drive or an alternate stream of a file
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        file = os.path.join(folder, name)
        try:
            mode = os.lstat(file).st_mode
        except FileNotFoundError:
            other = _same_name(folder, name)
            if other is None:
                raise
            file = os.path.join(folder, other)
            mode = os.lstat(file).st_mode
        if stat.S_ISLNK(mode):
            file = os.path.realpath(file)
            if file != self.root and not file.startswith(self.root.rstrip(os.sep) + os.sep):
                raise ImageOutsideDataset(LINK_OUTSIDE, path=path, root=self.root)
            mode = os.lstat(file).st_mode
        return file, mode

    def _is_link(self, parts: tuple[str, ...], path: str) -> bool:
        try:
            file = os.path.join(self._folder(parts[:-1], path), parts[-1])
            other = None if os.path.lexists(file) else _same_name(*os.path.split(file))
            return os.path.islink(os.path.join(os.path.dirname(file), other) if other else file)
        except (OSError, ValueError):
            return False  # there is no such folder

    def _other_case(self, places: list[_Place]) -> str:
        """Return why a file is missing: its name may look like another file's name."""
        for place in places:
            file, names = self.root, []
            for part in place.parts:
                name = _listed(file, part, fold=True)
                file = os.path.join(file, name or part)
                if name is None or os.path.islink(file):
                    break
                names.append(name)
            if place.parts and len(names) == len(place.parts) and os.path.isfile(file):
                return f"{MISSING}; {'/'.join(names)} differs from it only in case or in look-alike characters"
        return MISSING


def relative_path(name: str) -> str:
    """Return the path of a file below the root in a spelling that cannot be taken for a URL or a drive."""
    other = _DATA_URI.match(name) or _FILE_URL.match(name) or _URL.match(name) or _DRIVE.match(name)
    return f"./{name}" if other else name


class _NotAFile(Exception):
    """Something else than a regular file has this path."""

    def __init__(self, why: str) -> None:
        self.why = why


def _absolute_parts(path: str) -> tuple[str, ...]:
    parts = path.replace(os.sep, "/").split("/")
    return tuple(part for part in parts if part not in ("", "."))


def _starts_with(parts: list[str], base: tuple[str, ...]) -> bool:
    return len(parts) >= len(base) and all(_normal(a) == _normal(b) for a, b in zip(parts, base, strict=False))


def _normal(name: str) -> str:
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    return name.casefold() if _DRIVES else name


def _alike(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _same_name(folder: str, name: str) -> str | None:
    """Return the entry of `folder` whose name equals `name` up to the Unicode normal form; None if there is none."""
    return None if name.isascii() else _listed(folder, name)


def _listed(folder: str, name: str, fold: bool = False) -> str | None:
    try:
        names = _names(folder, os.stat(folder).st_mtime_ns, fold)
    except (OSError, ValueError):
        return None
    return names.get(_alike(name) if fold else _normal(name))


@lru_cache(maxsize=64)
def _names(folder: str, changed: int, fold: bool) -> dict[str, str]:
    """Return {normal form: name} of the entries of `folder`; with `fold`, look-alike names have one normal form.

    The time of the last change is in the key of the cache, so a changed folder is listed again.
    """
    names = sorted(os.listdir(folder), reverse=True)
    return {_alike(name) if fold else _normal(name): name for name in names}
