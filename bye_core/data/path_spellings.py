"""Says which files below the root of a data set a path may name, in all of its spellings, without using the disk."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from bye_core.data.faults import Refusal

_FILE_URL = re.compile(r"file:(?://(?P<host>[^/\\]*))?(?P<path>.*)\Z", re.IGNORECASE | re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://|(?:hf|embedded|https?|ftp|s3|gs):", re.IGNORECASE)
_DATA_URI = re.compile(r"data:", re.IGNORECASE)
_DRIVE = re.compile(r"[/\\]*[a-z]:", re.IGNORECASE)
# A path that can be read in one way only, so it needs no other spelling. No part of it begins with a dot.
_SIMPLE = re.compile(r"[^/\\%:\s.][^/\\%:\s]*(?:/[^/\\%:\s.][^/\\%:\s]*)*")
LONGEST_PATH = 3 * 4096  # characters: Linux opens at most 4096 bytes, and a URL may write a byte as three of them
HAS_DRIVES = os.name == "nt"  # whether this system has drives

OUTSIDE = "is outside the data set's folder"
NO_DRIVE = "is a path on a Windows drive, and this computer has no such drive"
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
class Place:
    """Where a spelling leads, judged without the disk: the parts of the path below the root."""

    parts: tuple[str, ...]
    crossed: tuple[tuple[str, ...], ...]
    portable: bool


class Spellings:
    """Judges without the disk where the spellings of a path lead below one root.

    root   the real path of the root
    given  the path by which the user named it
    """

    def __init__(self, root: str, given: str) -> None:
        self.root = root
        self._bases = tuple(dict.fromkeys((_absolute_parts(root), _absolute_parts(given))))

    def places(self, path: str) -> tuple[bool, list[Place]]:
        """Return (whether `path` is a file URL, the places that it may name, the most likely one first).

        Raises: ImageIsUrl if it is another URL; ImageOutsideDataset if a spelling leads outside the root; MissingImage
        if it is too long.
        """
        if len(path) <= LONGEST_PATH and _SIMPLE.fullmatch(path):
            return False, [Place(tuple(path.split("/")), (), True)]
        is_url, texts = self._texts(path)
        if len(path) > LONGEST_PATH:
            raise MissingImage(TOO_LONG, path=path, root=self.root)
        return is_url, list(dict.fromkeys(place for text in texts for place in self._places(text, path)))

    def _texts(self, path: str) -> tuple[bool, list[str]]:
        """Return (whether `path` is a file URL, the texts that it may stand for, the literal one first)."""
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

    def _places(self, text: str, path: str) -> Iterator[Place]:
        """Yield where `text` leads: read literally, then with backslashes as slashes.

        Raises: ImageOutsideDataset if one of them is outside the root. On Linux, too, a path must not leave the root
        when a backslash is read as on Windows: a data set may be checked on one system and used on another.
        """
        if _DRIVE.match(text) and not HAS_DRIVES:
            raise ImageOutsideDataset(NO_DRIVE, path=path, root=self.root)
        for spelling in dict.fromkeys((text, text.replace("\\", "/"))):
            yield self._place(spelling, path)

    def _place(self, text: str, path: str) -> Place:
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
                return Place(tuple(stack[len(base) :]), tuple(crossed), absolute is None and not climbed)
        raise ImageOutsideDataset(path=path, root=self.root)


def relative_path(name: str) -> str:
    """Return the path of a file below the root in a spelling that cannot be taken for a URL or a drive."""
    other = _DATA_URI.match(name) or _FILE_URL.match(name) or _URL.match(name) or _DRIVE.match(name)
    return f"./{name}" if other else name


def _absolute_parts(path: str) -> tuple[str, ...]:
    parts = path.replace(os.sep, "/").split("/")
    return tuple(part for part in parts if part not in ("", "."))


def _starts_with(parts: list[str], base: tuple[str, ...]) -> bool:
    return len(parts) >= len(base) and all(normal_form(a) == normal_form(b) for a, b in zip(parts, base, strict=False))


def normal_form(name: str) -> str:
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    return name.casefold() if HAS_DRIVES else name
