"""Maps the pixels that a vision tower sees back to the image: undoes padding, resizing and centre crop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.models.errors import UnknownGeometry

Box = tuple[float, float, float, float]


def edge(size: Any, name: str) -> Any:
    """Return entry `name` of an image processor's `size`: a mapping in some versions, an object in others."""
    return size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)


def image_option(processor: Any, name: str) -> Any:
    """Return an image option: the processor's own, which it passes on, else that of its image processor."""
    own = getattr(processor, "images_kwargs", None) or {}
    return own[name] if name in own else getattr(processor.image_processor, name, None)


def set_image_option(processor: Any, name: str, value: Any) -> None:
    """Set an image option where `image_option` reads it."""
    own = getattr(processor, "images_kwargs", None) or {}
    if name in own:
        processor.images_kwargs = {**own, name: value}
    else:
        setattr(processor.image_processor, name, value)


def padded_size(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) of an image after padding to a square, which some processors do before resizing."""
    if getattr(image_processor, "do_pad", False) and hasattr(image_processor, "pad_to_square"):
        return max(width, height), max(width, height)
    return width, height


def resized_size(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) after resizing, in whole pixels, rounded down as the processors do.

    Raises: UnknownGeometry if the processor resizes by another rule than a fixed size or a shortest edge.
    """
    size = image_processor.size
    if not image_processor.do_resize:
        return width, height
    short, exact_width, exact_height = (edge(size, name) for name in ("shortest_edge", "width", "height"))
    if short and not edge(size, "longest_edge"):
        scaled = int(short * max(width, height) / min(width, height))
        return (short, scaled) if width <= height else (scaled, short)
    if exact_width and exact_height:
        return exact_width, exact_height
    raise UnknownGeometry(size=size)


def crop_origin(image_processor: Any, width: int, height: int) -> tuple[int, int]:
    """Return (left, top) of the centre crop; negative if the image is smaller than the crop and gets padded."""
    if not image_processor.do_center_crop:
        return 0, 0
    crop = image_processor.crop_size
    spare = width - edge(crop, "width"), height - edge(crop, "height")
    if getattr(image_processor, "backend", "pil") == "torchvision":
        return int(spare[0] / 2), int(spare[1] / 2)
    return spare[0] // 2, spare[1] // 2


def seen_box(image_processor: Any, image: tuple[int, int], seen: tuple[int, int]) -> Box:
    """Return which part of the original image lies under the grid of image tokens.

    image  (width, height) of the original image
    seen   (width, height) of the grid in pixels of the processed image, from its top left corner
    Returns (left, top, right, bottom) as fractions of the original image; values outside 0..1 are padding.
    """
    padded = padded_size(image_processor, *image)
    resized = resized_size(image_processor, *padded)
    origin = crop_origin(image_processor, *resized)
    starts, stops = [], []
    for axis in (0, 1):
        offset = (padded[axis] - image[axis]) // 2
        scale = padded[axis] / resized[axis]
        starts.append((origin[axis] * scale - offset) / image[axis])
        stops.append(((origin[axis] + seen[axis]) * scale - offset) / image[axis])
    return starts[0], starts[1], stops[0], stops[1]
