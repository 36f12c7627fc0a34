"""Finds the image files that records name, under the data set's folder and nowhere else.

A path inside the folder is accepted in any spelling: relative, absolute, as a `file:` URL, with `.`, `..`, doubled
slashes, backslashes, percent codes, or in another Unicode normal form than the file's name. Nothing outside the folder
is ever touched, so a refusal does not reveal whether a file exists there.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bye_core.data.path_spellings import (
    HAS_DRIVES,
    MISSING,
    ImageOutsideDataset,
    MissingImage,
    Place,
    Spellings,
    normal_form,
)

LINK_OUTSIDE = "is reached through a link that leads outside the data set's folder"
BACK_OVER_LINK = "goes through a link and back again with '..', which programs understand differently"


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


class RootFolder:
    """Resolves image paths under one root. Caches the real paths of folders, because most images share a few."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._spellings = Spellings(self.root, os.path.abspath(root))
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

    def _find(self, path: str) -> tuple[str, Place, bool]:
        """Return (the real path of the file, where it is, whether `path` is a URL). Raises: as `resolve`."""
        is_url, places = self._spellings.places(path)
        why = MISSING
        for place in places:
            try:
                return self._follow(place, path), place, is_url
            except _NotAFile as error:
                why = why if why != MISSING else error.why
            except (OSError, ValueError):  # no such file, name too long, NUL in the name
                continue
        raise MissingImage(why if why != MISSING else self._other_case(places), path=path, root=self.root)

    def _follow(self, place: Place, path: str) -> str:
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
            for count in range(len(parts)):
                if parts[: count + 1] not in self._folders:
                    folder, _ = self._step(self._folders[parts[:count]], parts[count], path)
                    self._folders[parts[: count + 1]] = folder
        return self._folders[parts]

    def _step(self, folder: str, name: str, path: str) -> tuple[str, int]:
        """Return (real path, mode) of the entry `name` of `folder`. Follows links, but not out of the root."""
        if HAS_DRIVES and ":" in name:  # a drive or an alternate stream of a file
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

    def _other_case(self, places: list[Place]) -> str:
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


class _NotAFile(Exception):
    """Something else than a regular file has this path."""

    def __init__(self, why: str) -> None:
        self.why = why


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
    return names.get(_alike(name) if fold else normal_form(name))


@lru_cache(maxsize=64)
def _names(folder: str, changed: int, fold: bool) -> dict[str, str]:
    """Return {normal form: name} of the entries of `folder`; with `fold`, look-alike names have one normal form.

    The time of the last change is in the key of the cache, so a changed folder is listed again.
    """
    names = sorted(os.listdir(folder), reverse=True)
    return {_alike(name) if fold else normal_form(name): name for name in names}
