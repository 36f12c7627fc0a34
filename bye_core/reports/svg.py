"""Draws the app's figures as static SVG, for pages without scripts.

Plotly draws only in a browser, with 4.7 MB of script. This module draws the elements that bye_core.figures uses: bars
(grouped, stacked, overlaid, with whiskers), lines, markers, dashed lines across the plot, and annotations. A figure has
one pair of axes. Text and grid have the colours of the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

WIDTH, HEIGHT = 640, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 34, 46  # margins, pixels
LETTER = 6.6  # mean width of a letter of the legend, pixels
TICKS = 6
GAP = 0.1  # between bars, by default


@dataclass(frozen=True)
class Scale:
    """Maps data `low`..`high` to pixels `start`..`end`. `names` are the categories of a category axis."""

    low: float
    high: float
    start: float
    end: float
    names: tuple[str, ...] = ()

    def __call__(self, value: Any) -> float:
        number = self.names.index(value) if self.names else float(value)
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def unit(self) -> float:
        """The number of pixels per unit of data."""
        return abs(self.end - self.start) / (self.high - self.low)


def svg(figure: go.Figure, label: str) -> str:
    """Return `figure` as an <svg> element with a `label` for screen readers. If it is empty, return its message."""
    traces = [trace for trace in figure.data if trace.visible is not False and trace.x is not None and len(trace.x)]
    if not traces:
        message = " ".join(note.text.replace("<br>", " ") for note in figure.layout.annotations)
        return f"<p class='note'>{escape(message)}</p>"
    x, y = _scales(figure, traces)
    drawn = [*_grid(figure, x, y), *_traces(figure, traces, x, y), *_lines(figure, x, y), *_legend(traces)]
    named = f"role='img' aria-label='{escape(label, quote=True)}'"
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' {named}>{''.join(drawn)}</svg>"


def nice_ticks(low: float, high: float, count: int = TICKS) -> list[float]:
    """Return about `count` round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


# --- axes ------------------------------------------------------------------------------------------------------


def _scales(figure: go.Figure, traces: Sequence[Any]) -> tuple[Scale, Scale]:
    layout, right, foot = figure.layout, WIDTH - RIGHT, HEIGHT - BOTTOM
    names = tuple(dict.fromkeys(value for trace in traces for value in trace.x if isinstance(value, str)))
    if names:
        x = Scale(-0.5, len(names) - 0.5, LEFT, right, names)
    else:
        values = [float(value) for trace in traces for value in trace.x if value is not None]
        slot = 1 - (layout.bargap or GAP)
        edge = max((float(trace.width or slot) / 2 for trace in traces if trace.type == "bar"), default=0.0)
        x = Scale(*_range(layout.xaxis.range, min(values) - edge, max(values) + edge), LEFT, right)
    tops = [top for trace in traces for top in _tops(trace, layout.barmode == "stack", traces)]
    return x, Scale(*_range(layout.yaxis.range, 0.0, 1.06 * max([*tops, 1e-9])), foot, TOP)


def _tops(trace: Any, stacked: bool, traces: Sequence[Any]) -> Iterator[float]:
    if stacked and trace.type == "bar":
        bars = np.array([[value or 0 for value in one.y] for one in traces if one.type == "bar"], float)
        yield from bars.sum(axis=0)
        return
    yield from (float(value) for value in trace.y if value is not None and math.isfinite(value))


def _range(given: Sequence[float] | None, low: float, high: float) -> tuple[float, float]:
    low, high = (float(given[0]), float(given[1])) if given else (low, high)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _grid(figure: go.Figure, x: Scale, y: Scale) -> Iterator[str]:
    layout = figure.layout
    for value in layout.yaxis.tickvals or nice_ticks(y.low, y.high, 5):
        place = y(value)
        yield f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{place:.1f}' y2='{place:.1f}'/>"
        yield _text(LEFT - 6, place + 4, f"{value:g}", "end")
    for value in x.names or layout.xaxis.tickvals or nice_ticks(x.low, x.high):
        yield _text(x(value), HEIGHT - BOTTOM + 16, str(value) if x.names else f"{value:g}", "middle")
    yield f"<line class='axis' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y.start}' y2='{y.start}'/>"
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, layout.xaxis.title.text or "", "middle")
    title = escape(layout.yaxis.title.text or "")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f"<text transform='translate(13 {middle}) rotate(-90)' text-anchor='middle'>{title}</text>"


def _text(x: float, y: float, words: str, anchor: str, style: str = "") -> str:
    lines = str(words).split("<br>")
    spans = "".join(
        f"<tspan x='{x:.1f}' dy='{0 if not n else 13}'>{escape(line)}</tspan>" for n, line in enumerate(lines)
    )
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'{style}>{spans}</text>"


def _lines(figure: go.Figure, x: Scale, y: Scale) -> Iterator[str]:
    """Yield the SVG of the dashed lines across the plot, and of their annotations."""
    for shape in figure.layout.shapes:
        x0, x1 = (LEFT, WIDTH - RIGHT) if shape.xref == "paper" else (x(shape.x0), x(shape.x1))
        y0, y1 = (TOP, HEIGHT - BOTTOM) if shape.yref == "paper" else (y(shape.y0), y(shape.y1))
        yield (
            f"<line x1='{x0:.1f}' x2='{x1:.1f}' y1='{y0:.1f}' y2='{y1:.1f}' stroke='{shape.line.color}' "
            "stroke-width='1.5' stroke-dasharray='6 4'/>"
        )
    for note in figure.layout.annotations:
        place_x = WIDTH - RIGHT if note.xref == "paper" else x(note.x) + (note.xshift or 0)
        place_y = TOP + 12 if note.yref == "paper" else y(note.y) - 5
        anchor = {"right": "end", "left": "start"}.get(note.xanchor, "middle")
        yield _text(place_x, place_y, note.text, anchor)


def _legend(traces: Sequence[Any]) -> Iterator[str]:
    place = float(LEFT)
    for trace in traces:
        if trace.showlegend is False or not trace.name:
            continue
        color, name = escape(_color(trace), quote=True), escape(trace.name)
        yield f"<rect x='{place:.0f}' y='8' width='11' height='11' rx='2' fill='{color}'/>"
        yield f"<text x='{place + 16:.0f}' y='18'>{name}</text>"
        place += 34 + LETTER * len(trace.name)


def _color(trace: Any) -> str:
    return str(trace.marker.color if trace.type == "bar" or trace.mode == "markers" else trace.line.color)


# --- traces ----------------------------------------------------------------------------------------------------


def _traces(figure: go.Figure, traces: Sequence[Any], x: Scale, y: Scale) -> Iterator[str]:
    bars = [trace for trace in traces if trace.type == "bar"]
    slot = 1 - (figure.layout.bargap or GAP)
    grouped, stacked = (figure.layout.barmode == name for name in ("group", "stack"))
    floor: dict[Any, float] = {}
    for number, trace in enumerate(bars):
        width = (float(trace.width) if trace.width else slot) * x.unit
        shift = 0.0
        if grouped:
            width /= len(bars)
            shift = (number - (len(bars) - 1) / 2) * width
            width *= 0.92
        yield from _bars(trace, x, y, width, shift, floor if stacked else None)
    for trace in traces:
        if trace.type == "scatter" and "lines" in (trace.mode or ""):
            yield from _polylines(trace, x, y)
        if trace.type == "scatter" and "markers" in (trace.mode or ""):
            yield from _marks(trace, x, y)


def _bars(trace: Any, x: Scale, y: Scale, width: float, shift: float, floor: dict[Any, float] | None) -> Iterator[str]:
    style = f"fill='{escape(_color(trace), quote=True)}' fill-opacity='{trace.marker.opacity or 1:g}'"
    whiskers = iter(zip(trace.error_y.array or (), trace.error_y.arrayminus or (), strict=True))
    shown = trace.text if trace.textposition == "outside" else [None] * len(trace.x)
    for place, value, words in zip(trace.x, trace.y, shown, strict=True):
        middle = x(place) + shift
        if value is None:
            yield _text(middle, y.start - 4, words or "", "middle")
            continue
        below = floor.get(place, 0.0) if floor is not None else 0.0
        if floor is not None:
            floor[place] = below + value
        top, foot = y(min(below + value, y.high)), y(below)
        yield (
            f"<rect x='{middle - width / 2:.1f}' y='{top:.1f}' width='{width:.1f}' height='{foot - top:.1f}' {style}/>"
        )
        above, under = next(whiskers, (0, 0))
        if above or under:
            yield _whisker(middle, y(value + above), y(value - under))
        yield _text(middle, y(value + above) - 5, words, "middle") if words else ""


def _whisker(x: float, top: float, foot: float) -> str:
    ends = "".join(f"M{x - 4:.1f} {y:.1f}h8" for y in (top, foot))
    return f"<path class='whisker' d='M{x:.1f} {top:.1f}V{foot:.1f}{ends}'/>"


def _polylines(trace: Any, x: Scale, y: Scale) -> Iterator[str]:
    style = f"stroke='{escape(str(trace.line.color), quote=True)}' stroke-width='{trace.line.width or 2:g}'"
    dash = {"dot": "2 4", "dash": "6 4"}.get(trace.line.dash)
    style += f" stroke-dasharray='{dash}'" if dash else ""
    run: list[str] = []
    for place, value in [*zip(trace.x, trace.y, strict=True), (None, None)]:
        if place is not None and value is not None:
            run.append(f"{x(place):.1f},{y(value):.1f}")
            continue
        if len(run) > 1:
            yield f"<polyline fill='none' {style} opacity='{trace.opacity or 1:g}' points='{' '.join(run)}'/>"
        run = []


def _marks(trace: Any, x: Scale, y: Scale) -> Iterator[str]:
    color = escape(str(trace.marker.color), quote=True)
    for place, value in zip(trace.x, trace.y, strict=True):
        if value is None:
            continue
        centre, height = x(place), y(value)
        if str(trace.marker.symbol).startswith("triangle-down"):
            yield f"<path fill='{color}' d='M{centre - 5:.1f} {height - 4:.1f}h10l-5 8z'/>"
        elif str(trace.marker.symbol).startswith("x"):
            yield f"<path stroke='{color}' stroke-width='2' d='M{centre - 4:.1f} {height - 4:.1f}l8 8m0 -8l-8 8'/>"
        else:
            yield f"<circle fill='{color}' cx='{centre:.1f}' cy='{height:.1f}' r='3.5'/>"
