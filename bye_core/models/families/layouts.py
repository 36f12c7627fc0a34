"""Lists the ways in which a processor may arrange the tokens of one image. Pure functions only.

`GenericFamily` measures which of these layouts is the right one; see `measured_layout.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bye_core.models.families.geometry import Box
from bye_core.records import Grid

# Largest number of tiles that processors cut an image into (ours).
MOST_TILES = 40
# A grid of square cells has the proportions of the image up to this factor: patches are cut or padded (ours).
PROPORTION = 1.4
# Image tokens before the first cell, such as a class token, and behind the last (ours).
MOST_EXTRA = 2

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Expansion:
    """What a processor made of one image.

    size    (width, height) of the image
    runs    numbers of image tokens between layout tokens
    patches (rows, columns) of patches that the processor reports; None if it reports none
    boxes   by name of a rule, the part of the image that the pixels seen by the vision tower show
    """

    size: tuple[int, int]
    runs: tuple[int, ...]
    patches: tuple[int, int] | None
    boxes: Mapping[str, Box]

    @property
    def tokens(self) -> int:
        return sum(self.runs)


Layouts = dict[tuple, list[Grid]]


def layouts(expansion: Expansion) -> Layouts:
    """Return the possible layouts: {rule: grids}, the simplest first. Grid.image is 0, tokens count from 0.

    A rule that was measured on one image holds for other images of the same proportions.
    """
    found: Layouts = {}
    for rule, rows, columns, start, stride in _single_grids(expansion):
        for name, box in expansion.boxes.items():
            found.setdefault((*rule, name), [Grid(0, rows, columns, start, box, row_stride=stride)])
    for rule, side, across, down, overview in _tilings(expansion):
        for name, box in _canvas_boxes(expansion.size, across, down).items():
            grids = _tiles(side, across, down, box, first=side * side * (overview == "first"))
            if overview:
                start = 0 if overview == "first" else side * side * across * down
                own = _canvas_boxes(expansion.size, 1, 1)[name]
                grids.append(Grid(0, side, side, start, own, overview=True))
            found.setdefault((*rule, name), grids)
    return found


def _single_grids(expansion: Expansion) -> Iterator[tuple[tuple, int, int, int, int]]:
    """Yield (rule, rows, columns, start, row_stride) of arrangements in one grid."""
    tokens, runs = expansion.tokens, expansion.runs
    if expansion.patches:
        rows, columns = expansion.patches
        merged = math.isqrt(rows * columns // tokens) if tokens else 0
        if merged and rows * columns == tokens * merged * merged:
            yield ("patches",), rows // merged, columns // merged, 0, 0
    if len(runs) > 1 and len(set(runs)) == 1:
        yield ("rows",), len(runs), runs[0], 0, 0
    side = math.isqrt(tokens)
    for extra in (0, 1):
        side = math.isqrt(tokens - extra)
        if side * side == tokens - extra:
            yield ("square", tokens, extra), side, side, extra, 0
    width, height = expansion.size
    for extra, row_end in itertools.product(range(MOST_EXTRA + 1), (0, 1)):
        for rows in range(1, tokens - extra + 1):
            columns, rest = divmod(tokens - extra, rows)
            columns -= row_end
            if rest or columns < 1 or not _similar(columns / rows, width / height):
                continue
            yield ("cells", tokens, extra, row_end, rows), rows, columns, min(extra, 1), row_end and columns + 1


def _similar(ratio: float, other: float) -> bool:
    return 1 / PROPORTION <= ratio / other <= PROPORTION


def _tilings(expansion: Expansion) -> Iterator[tuple[tuple, int, int, int, str]]:
    """Yield (rule, side of a tile in tokens, tiles across, tiles down, overview: "", "last" or "first")."""
    tokens, runs = expansion.tokens, expansion.runs
    numbers: Sequence[int] = range(2, MOST_TILES + 1)
    if len(runs) > 1:
        numbers = [len(runs)] if len(set(runs)) == 1 else []
    for number in numbers:
        side = math.isqrt(tokens // number)
        if side < 2 or side * side * number != tokens:
            continue
        for overview in ("last", "first", ""):
            own = number - bool(overview)
            for across in (across for across in range(1, own + 1) if own % across == 0):
                down = own // across
                yield ("tiles", side, across, down, overview), side, across, down, overview


def _canvas_boxes(size: tuple[int, int], across: int, down: int) -> dict[str, Box]:
    """Return where a canvas of across x down square tiles lies on the image: stretched, padded around or at the end."""
    width, height = size
    scale = max(width / across, height / down)  # pixels of the image in a side of a tile
    right, bottom = scale * across / width, scale * down / height
    left, top = (right - 1) / 2, (bottom - 1) / 2
    return {
        "stretched": WHOLE,
        "padded around": (-left, -top, right - left, bottom - top),
        "padded at the end": (0.0, 0.0, right, bottom),
    }


def _tiles(side: int, across: int, down: int, canvas: Box, first: int) -> list[Grid]:
    left, top, right, bottom = canvas
    wide, high = (right - left) / across, (bottom - top) / down
    boxes = [
        (left + column * wide, top + row * high, left + (column + 1) * wide, top + (row + 1) * high)
        for row in range(down)
        for column in range(across)
    ]
    return [Grid(0, side, side, first + n * side * side, box) for n, box in enumerate(boxes)]


def image_boxes(size: tuple[int, int], seen: Box | None) -> dict[str, Box]:
    """Return the parts of an image that the tower may see; `seen`: the one that the processor's rules give."""
    boxes = {} if seen is None else {"as the processor resizes and crops": seen}
    return {**boxes, **_canvas_boxes(size, 1, 1)}
