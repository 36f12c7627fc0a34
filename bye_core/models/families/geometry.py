"""From the pixels that a vision tower sees back to the picture: padding, resizing and centre crop undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.models.errors import UnknownGeometry

Box = tuple[float, float, float, float]


def edge(size: Any, name: str) -> int | None:
    """One entry of an image processor's size, a mapping in some versions and an object in others."""
    return size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)


def padded_size(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    """The picture's size after the padding to a square that comes before any resizing."""
    if getattr(image_processor, "do_pad", False) and hasattr(image_processor, "pad_to_square"):
        return max(width, height), max(width, height)
    return width, height


def resized_size(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    """What `width` x `height` become; whole pixels, rounded down as the processors do."""
    size = image_processor.size
    if not image_processor.do_resize:
        return width, height
    short, exact = edge(size, "shortest_edge"), (edge(size, "width"), edge(size, "height"))
    if short and not edge(size, "longest_edge"):
        scaled = int(short * max(width, height) / min(width, height))
        return (short, scaled) if width <= height else (scaled, short)
    if all(exact):
        return exact
    raise UnknownGeometry(size=size)


def crop_origin(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    """Left and top of the centre crop; negative where the picture is smaller and gets padded."""
    if not image_processor.do_center_crop:
        return 0, 0
    spare = width - edge(image_processor.crop_size, "width"), height - edge(image_processor.crop_size, "height")
    if getattr(image_processor, "backend", "pil") == "torchvision":
        return int(spare[0] / 2), int(spare[1] / 2)
    return spare[0] // 2, spare[1] // 2


def seen_box(image_processor: Any, picture: tuple[int, int], seen: tuple[int, int]) -> Box:
    """The part of `picture` (width, height) under the top left `seen` (width, height) pixels of what comes out.

    Fractions (left, top, right, bottom) of the picture; beyond 0..1 lies padding.
    """
    padded = padded_size(image_processor, *picture)
    resized = resized_size(image_processor, *padded)
    origin = crop_origin(image_processor, *resized)
    starts, stops = [], []
    for axis in (0, 1):
        offset = (padded[axis] - picture[axis]) // 2
        scale = padded[axis] / resized[axis]
        starts.append((origin[axis] * scale - offset) / picture[axis])
        stops.append(((origin[axis] + seen[axis]) * scale - offset) / picture[axis])
    return starts[0], starts[1], stops[0], stops[1]
