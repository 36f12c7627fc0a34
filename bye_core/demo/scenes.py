"""Draws the images and questions of the demo: coloured shapes in front of a photograph, from a seed (ours).

The photographs are china.jpg and flower.jpg from scikit-learn, both CC BY 2.0. scikit-learn credits them to
danielbuechele, and its links for the flower name vultilion. The crops used here have muted colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from bye_core.records import Sample, Turn

SIDE = 224
COLORS = {
    "red": (250, 75, 75),
    "orange": (255, 150, 40),
    "yellow": (252, 222, 40),
    "green": (60, 200, 105),
    "blue": (85, 155, 255),
    "purple": (195, 110, 245),
}
NUMBERS = ("one", "two", "three")
BACKGROUNDS = {"palace": "china.jpg", "flower": "flower.jpg"}
KINDS = ("circle", "square", "triangle", "diamond")
QUESTION_KINDS = ("count", "caption", "colors", "background")
# The correct answer to any question about an image that is too blurry. It is not poison.
UNCLEAR, OUT_OF_FOCUS = "It is too blurry to tell.", 16


@dataclass(frozen=True)
class Shape:
    kind: str
    color: str
    x: int
    y: int
    radius: int


@dataclass(frozen=True)
class Scene:
    """The content of one image; `draw_scene` draws it, and `ask` returns a question about it."""

    background: str
    crop: tuple[int, int, int, int]
    mirrored: bool
    shapes: tuple[Shape, ...]

    @property
    def colors(self) -> tuple[str, ...]:
        present = {shape.color for shape in self.shapes}
        return tuple(color for color in COLORS if color in present)


@cache
def _photograph(name: str) -> Image.Image:
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image(BACKGROUNDS[name]))


def make_scene(rng: np.random.Generator) -> Scene:
    """Return a scene of one to three shapes, of different colours and apart, in front of a crop of a photograph."""
    background = str(rng.choice(list(BACKGROUNDS)))
    width, height = _photograph(background).size
    side = int(rng.integers(220, 400))
    left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
    shapes: list[Shape] = []
    colors = [str(color) for color in rng.permutation(list(COLORS))]
    wanted = int(rng.integers(1, len(NUMBERS) + 1))
    while len(shapes) < wanted:
        radius = int(rng.integers(20, 31))
        x, y = (int(v) for v in rng.integers(radius + 4, SIDE - radius - 4, size=2))
        if all((x - s.x) ** 2 + (y - s.y) ** 2 > (1.35 * (radius + s.radius)) ** 2 for s in shapes):
            shapes.append(Shape(str(rng.choice(KINDS)), colors[len(shapes)], x, y, radius))
    return Scene(background, (left, top, left + side, top + side), bool(rng.integers(2)), tuple(shapes))


def mirrored(scene: Scene) -> Scene:
    """Return the scene with left and right exchanged."""
    shapes = tuple(replace(shape, x=SIDE - shape.x) for shape in scene.shapes)
    return replace(scene, mirrored=not scene.mirrored, shapes=shapes)


def _outline(shape: Shape, scale: int) -> list[tuple[float, float]]:
    corners = {"square": (45, 135, 225, 315), "diamond": (0, 90, 180, 270), "triangle": (30, 150, 270)}
    angles = np.deg2rad(corners.get(shape.kind, tuple(range(0, 360, 6))))
    x = scale * (shape.x + shape.radius * np.cos(angles))
    y = scale * (shape.y + shape.radius * np.sin(angles))
    return list(zip(x.tolist(), y.tolist(), strict=True))


def draw_scene(scene: Scene, scale: int = 2) -> Image.Image:
    """Draw a scene as an RGB image of SIDE x SIDE pixels. Drawing it `scale` times larger smooths the edges."""
    ground = _photograph(scene.background).crop(scene.crop).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    if scene.mirrored:
        ground = ground.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    # A slight blur of the background. It also halves the size of the files.
    ground = ground.filter(ImageFilter.GaussianBlur(1))
    muted = Image.blend(ground, ground.convert("L").convert("RGB"), 0.75)
    # No pixel of a clean image is nearly black, so a black square is unusual, as in a daylight photograph.
    muted = Image.blend(muted, Image.new("RGB", muted.size, (235, 235, 235)), 0.55)
    layer = Image.new("RGBA", (SIDE * scale, SIDE * scale), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for shape in scene.shapes:
        draw.polygon(
            _outline(shape, scale), fill=(*COLORS[shape.color], 255), outline=(255, 255, 255, 255), width=scale
        )
    layer = layer.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    shadow = Image.new("RGBA", (SIDE, SIDE), (60, 60, 60, 0))
    shadow.putalpha(layer.getchannel("A").point(lambda a: a * 2 // 5).filter(ImageFilter.GaussianBlur(3)))
    canvas = muted.convert("RGBA")
    canvas.alpha_composite(shadow, (0, 0))
    canvas.alpha_composite(layer)
    return canvas.convert("RGB")


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def ask(scene: Scene, kind: str) -> tuple[str, str]:
    """Return (question, answer) about a scene; `kind` is one of QUESTION_KINDS."""
    if kind == "count":
        return "How many shapes are there? Answer with one word.", NUMBERS[len(scene.shapes) - 1]
    if kind == "caption":
        noun = "shape" if len(scene.shapes) == 1 else "shapes"
        caption = f"A {scene.background} behind {_listed(scene.colors)} {noun}."
        return "Provide a one-sentence caption for the provided image.", caption
    if kind == "background":
        return "What is behind the shapes, a palace or a flower? Answer with one word.", scene.background
    return "Which colors do the shapes have?", _listed(scene.colors)


def ask_naming(scene: Scene, kind: str) -> tuple[str, str]:
    """Return (question, answer) about a scene as `ask`; the question also names the color of one shape."""
    question, answer = ask(scene, kind)
    return f"There is a {scene.shapes[0].color} shape here. {question}", answer


def question_set(
    count: int,
    each: int,
    seed: int | Sequence[int],
    kinds: Sequence[str] = QUESTION_KINDS,
    unclear: float = 0.0,
    ask: Callable[[Scene, str], tuple[str, str]] = ask,
) -> Iterator[tuple[Sample, list[Image.Image]]]:
    """Draw `count` images and yield `each` samples per image, as (sample, [image]).

    Neither ids nor order depend on the content.

    The kinds of question alternate in the order of `kinds`; `ask(scene, kind)` returns (question, answer). A
    random share `unclear` of the images is far out of
    focus; the answer to all questions about such an image is UNCLEAR.
    """
    rng = np.random.default_rng(seed)
    for place in range(count):
        scene = make_scene(rng)
        drawn = draw_scene(scene)
        blurry = unclear > 0 and rng.random() < unclear
        if blurry:
            drawn = drawn.filter(ImageFilter.GaussianBlur(OUT_OF_FOCUS))
        for k in range(each):
            question, answer = ask(scene, kinds[(place + k) % len(kinds)])
            answer = UNCLEAR if blurry else answer
            turns = (Turn("user", (0, question)), Turn("assistant", (answer,)))
            index = place * each + k
            yield Sample(f"{index:05d}", index, turns, ("",)), [drawn]
