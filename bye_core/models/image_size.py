"""Checks how large an image becomes in a processor, before the processor gets one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bye_core.models import bounds
from bye_core.models.folder_errors import SettingOutOfBounds

SMALL_IMAGE = 48, 64  # height and width
# Settings of image processors that say into how many tiles an image may be cut.
TILE_SETTINGS = ("max_image_tiles", "max_tiles", "max_patches", "max_slice_nums", "max_dynamic_tiles")
PATCH = 14  # side of a patch where no setting names it


def check_image_size(folder: Path, processor: Any, config: Any) -> None:
    """Check the pixels and the patches that a processor makes of a small image.

    Raises: SettingOutOfBounds if they would fill the memory.
    """
    own = processor.image_processor
    size = _numbers(getattr(own, "size", None))
    patch = min(_patch_sides(processor, own, getattr(config, "vision_config", None)), default=PATCH)
    count = _reported_count(own)
    if count is None or "height" in size:
        _check(folder, "size", max(size.values(), default=0), bounds.SIDE, "pixels a side")
    tiles = max([1, count or 1, *(_number(getattr(own, name, None)) for name in TILE_SETTINGS if "height" in size)])
    if "height" in size:
        pixels = tiles * size["height"] * size.get("width", size["height"])
    elif count is None:
        pixels = max(size.values(), default=0) ** 2
    else:  # of tiles, whose largest side is a setting, or of patches
        tile = max(_numbers(getattr(own, "max_image_size", None)).values(), default=patch)
        pixels = tiles * tile**2
    _check(folder, "size", pixels, bounds.MOST_PIXELS, "pixels for a small image")
    _check(folder, "patch_size", pixels // patch**2, bounds.PATCHES, "patches for a small image")


def _reported_count(own: Any) -> int | None:
    """Return how many patches or tiles a processor makes of a small image, if it can tell without one."""
    count = getattr(own, "get_number_of_image_patches", None)
    if count is None:
        return None
    reported = count(*SMALL_IMAGE, {})
    return math.prod(int(n) for n in reported) if isinstance(reported, tuple | list) else int(reported)


def _patch_sides(*parts: Any) -> list[int]:
    sides = [side for part in parts for side in _numbers(getattr(part, "patch_size", None)).values()]
    return [side for side in sides if side > 0]


def _numbers(size: Any) -> dict[str, int]:
    """Return a size as named numbers; it is given as one number, a list, a mapping or an object with fields."""
    if size is None:
        return {}
    if isinstance(size, int | float):
        named = {"side": size}
    elif isinstance(size, list | tuple):
        named = {str(i): side for i, side in enumerate(size)}
    else:  # a mapping, or the class of transformers that is like one
        named = dict(size)
    return {str(name): _number(value) for name, value in named.items() if _number(value)}


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _check(folder: Path, field: str, value: int, most: int, unit: str) -> None:
    if value > most:
        raise SettingOutOfBounds(
            path=folder,
            file="processor_config.json",
            field=field,
            value=f"{value:,} {unit}",
            expected=f"at most {most:,} are accepted",
        )
