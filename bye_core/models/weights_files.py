"""Finds the safetensors files that hold a model's weights, and reads their headers, without any library."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bye_core.models import bounds
from bye_core.models.checked_files import check_nesting, checked, listed, read_settings
from bye_core.models.errors import BrokenModel
from bye_core.models.files import PICKLES
from bye_core.models.folder_errors import PickledFile, WeightsElsewhere

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Stored:
    """A tensor in a safetensors file."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def weights_names(folder: Path) -> list[str]:
    """Return the names of the files that hold a model's weights; none if the folder holds neither weights nor an index.

    Raises: PickledFile or WeightsElsewhere if the index names anything but safetensors files in the folder;
    UnsafeFile if one of the files is no regular file inside the folder.
    """
    names = _indexed(folder)
    if checked(folder, WEIGHTS) is not None:
        return [WEIGHTS]  # transformers prefers it to the index
    return names


def _indexed(folder: Path) -> list[str]:
    index = read_settings(folder, INDEX, bounds.INDEX_BYTES, bounds.INDEX_VALUES)
    if index is None:
        return []
    files = index.get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise BrokenModel(path=folder, reason=f"{INDEX} is damaged: it has no weight_map of tensors to file names.")
    names = sorted(set(files.values()))
    for name in names:
        facts = {"path": folder, "file": INDEX, "name": name}
        if Path(name).suffix.lower() in PICKLES:
            raise PickledFile(path=f"{folder}/{INDEX}", name=name)
        if Path(name).name != name or "\\" in name or "\0" in name or name in (".", ".."):
            raise WeightsElsewhere(**facts, reason="they lie in another folder.")
        if not name.endswith(".safetensors"):
            raise WeightsElsewhere(**facts, reason="they are no safetensors file.")
        if checked(folder, name) is None:
            raise BrokenModel(path=folder, reason=f"{INDEX} names {name}, which is missing.")
    return names


def check_pickles(folder: Path, stem: str) -> None:
    """Check that no pickled file has the name `stem`. Raises: PickledFile if one has.

    Libraries may read it in place of the safetensors file of the same name.
    """
    for name in listed(folder):
        if Path(name).stem == stem and Path(name).suffix.lower() in PICKLES:
            raise PickledFile(path=folder, name=name)


def headers(folder: Path, names: list[str]) -> dict[str, Stored]:
    """Return the tensors in safetensors files of a folder by name. Raises: BrokenModel if a header is damaged."""
    tensors: dict[str, Stored] = {}
    for name in names:
        tensors.update(header(folder, name))
    return tensors


def header(folder: Path, name: str) -> Mapping[str, Stored]:
    """Return the tensors of one safetensors file by name.

    The file begins with the length of its header in 8 bytes and the header, a JSON object. Whether its offsets fit the
    file is checked by the library when it opens the file.
    """
    real = checked(folder, name)
    damaged = f"{name} is damaged: "
    if real is None:
        raise BrokenModel(path=folder, reason=f"{name} is missing.")
    try:
        with real.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(bounds.HEADER_BYTES, real.stat().st_size - 8):
                raise BrokenModel(path=folder, reason=f"{damaged}its header has {length:,} bytes.")
            content = json.loads(file.read(length))
        check_nesting(folder, name, content, bounds.INDEX_VALUES)
        return {
            key: Stored(str(entry["dtype"]), tuple(_size(side) for side in entry["shape"]))
            for key, entry in content.items()
            if key != "__metadata__"
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BrokenModel(path=folder, reason=f"{damaged}{error}.") from error


def _size(side: object) -> int:
    if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side < 2**48:
        raise ValueError(f"a tensor has a side of {side}")
    return side
