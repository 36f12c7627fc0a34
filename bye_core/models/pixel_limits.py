"""Limits how many pixels a processor resizes an image to, in the terms in which the processor bounds its size."""

from __future__ import annotations

import math
from typing import Any

from bye_core.model_protocol import PixelLimits
from bye_core.models import bounds
from bye_core.models.errors import BadPixelLimits, NoLeastPixels, NoPixelLimits
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import edge, image_option, set_image_option


def limit_pixels(family: Family, limits: PixelLimits) -> None:
    """Set how many pixels a resized image may have, by the first of these settings that the processor has.

    areas           a least and a largest area (Qwen-VL, GLM-4V); GLM-4V counts the pixels of an image for each frame
    canvases        the canvases of tiles to choose from (LLaVA-NeXT, LLaVA-OneVision)
    numbers         a least and a largest number of tiles, without the thumbnail (InternVL)
    longest edges   the longest edge of an image, in whole tiles if it is cut into such (Idefics3, SmolVLM, Pixtral)

    Raises: NoPixelLimits if the processor has none; NoLeastPixels for a longest edge; BadPixelLimits if the limits
    contradict each other, or allow no image.
    """
    if not limits:
        return
    own = family.processor.image_processor
    size, options = getattr(own, "size", None), _own_options(own)
    if "min_pixels" in options or family.frames:
        _limit_areas(own, limits, family.frames or 1)
    elif "image_grid_pinpoints" in options:
        _limit_canvases(family, limits)
    elif "max_patches" in options and image_option(family.processor, "crop_to_patches"):
        _limit_numbers(family.processor, limits, edge(size, "height") * edge(size, "width"))
    elif edge(size, "longest_edge") and not edge(size, "shortest_edge"):
        _limit_longest_edge(family.processor, limits, family.name)
    else:
        raise NoPixelLimits(family=family.name)


def _own_options(image_processor: Any) -> tuple[str, ...]:
    """Return the options that the class of an image processor adds to those of all image processors."""
    return tuple(getattr(getattr(image_processor, "valid_kwargs", None), "__annotations__", ()))


def _check(least: int, most: int) -> None:
    if not 0 < least <= most or least > bounds.LEAST_PIXELS or most > bounds.MOST_PIXELS:
        raise BadPixelLimits(least=least, most=most)


def _limit_areas(own: Any, limits: PixelLimits, frames: int) -> None:
    least = limits.min_pixels or edge(own.size, "shortest_edge") // frames
    most = limits.max_pixels or edge(own.size, "longest_edge") // frames
    _check(least, most)
    areas = {"shortest_edge": least * frames, "longest_edge": most * frames}
    own.size = type(own.size)(**{**dict(own.size), **areas})


def _limit_canvases(family: Family, limits: PixelLimits) -> None:
    """Keep the canvases between the limits; the model gets the same ones, see `Family.attach`."""
    own = family.processor.image_processor
    areas = [height * width for height, width in own.image_grid_pinpoints]
    least, most = limits.min_pixels or min(areas), limits.max_pixels or max(areas)
    _check(least, most)
    kept = [canvas for canvas, area in zip(own.image_grid_pinpoints, areas, strict=True) if least <= area <= most]
    if not kept:
        raise BadPixelLimits(least=least, most=most)
    own.image_grid_pinpoints = family.config.image_grid_pinpoints = kept


def _limit_numbers(processor: Any, limits: PixelLimits, tile: int) -> None:
    least = limits.min_pixels or image_option(processor, "min_patches") * tile
    most = limits.max_pixels or image_option(processor, "max_patches") * tile
    _check(least, most)
    fewest, largest = math.ceil(least / tile), most // tile
    if fewest > largest:
        raise BadPixelLimits(least=max(least, tile), most=most)
    set_image_option(processor, "min_patches", fewest)
    set_image_option(processor, "max_patches", largest)


def _limit_longest_edge(processor: Any, limits: PixelLimits, family: str) -> None:
    """Limit the longest edge, so that a square image has at most this many pixels.

    A processor without tiles only shrinks images, so its longest edge never grows.
    """
    own = processor.image_processor
    tile = edge(getattr(own, "max_image_size", None), "longest_edge") or 0
    if limits.min_pixels:
        raise NoLeastPixels(family=family)
    _check(tile**2 or 1, limits.max_pixels)
    longest = math.isqrt(limits.max_pixels)
    longest = longest // tile * tile if tile else min(longest, edge(own.size, "longest_edge"))
    own.size = type(own.size)(**{**dict(own.size), "longest_edge": longest})
