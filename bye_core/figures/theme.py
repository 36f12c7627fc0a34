"""The common look of all figures: colours, axes, hover labels, and what Gradio needs to show them.

Figures are transparent, because only the page knows whether it is light or dark. The colours of the data have a
contrast of at least 3:1 (WCAG's minimum for graphics) on both pages. PAGE_STYLE, a part of the page's style sheet, sets
the colours of text and grid. Without it, text is grey, with a contrast of 4.1:1 on white and 4.6:1 on #0b0f19.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

SUSPICIOUS = "#d55e00"  # warm: Okabe and Ito's vermilion, distinct from blue in every kind of colour vision
KEPT = "#2b83c6"  # cool
ACCENT = "#8b5cf6"  # choices: sensitive layers, tau, cut-off
NEUTRAL = "#787d87"  # everything else, and text without PAGE_STYLE
SCALE = "Inferno"  # perceptual: lightness rises evenly; one of plotly's built-in sequential scales

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
GRID = "rgba(120, 125, 135, 0.22)"
DARK_PLATE, LIGHT_TEXT = "#18181b", "#f4f4f5"  # hover labels: readable over any page

PAGE_STYLE = """
.js-plotly-plot :is(.xtick, .ytick, .infolayer) text, .js-plotly-plot .bartext-outside {
  fill: var(--body-text-color, currentColor) !important; fill-opacity: 1 !important;
}
.js-plotly-plot .hovertext text, .js-plotly-plot text { font-variant-numeric: tabular-nums; }
.js-plotly-plot .modebar-btn path { fill: var(--body-text-color-subdued, currentColor) !important; }
"""

TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": NEUTRAL},
        "margin": {"l": 8, "r": 12, "t": 34, "b": 8, "pad": 0},
        "hoverlabel": {
            "bgcolor": DARK_PLATE,
            "bordercolor": NEUTRAL,
            "font": {"family": FONT, "size": 12, "color": LIGHT_TEXT},
            "align": "right",
            "namelength": -1,
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "itemsizing": "constant",
            "traceorder": "normal",
            "font": {"size": 11},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": NEUTRAL, "activecolor": ACCENT},
        "dragmode": False,  # dragging a finger on the plot scrolls the page
        **{
            axis: {
                "automargin": True,
                "gridcolor": GRID,
                "linecolor": NEUTRAL,
                "zerolinecolor": GRID,
                "zerolinewidth": 1,
                "ticks": "",
                "title": {"standoff": 8, "font": {"size": 12}},
                "fixedrange": True,
                # Without SI prefixes: plotly would write 0.0008 as "800µ".
                "exponentformat": "none",
                "separatethousands": True,
            }
            for axis in ("xaxis", "yaxis")
        },
    }
)

CONFIG: dict[str, Any] = {"displaylogo": False, "displayModeBar": False, "responsive": True, "scrollZoom": False}
SELECT_CONFIG: dict[str, Any] = {
    **CONFIG,
    "displayModeBar": True,
    "modeBarButtons": [["lasso2d", "zoom2d", "pan2d", "resetScale2d"]],
}


def faded(color: str, opacity: float) -> str:
    """Return colour #rrggbb with `opacity` (0..1) as rgba(...). Use it to fill an area without fading its outline."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def make_figure(
    name: str, traces: Iterable[Any], x_title: str, y_title: str, height: int = 280, **layout: Any
) -> go.Figure:
    """Return a figure in the common look. `height` is in pixels; the figure is as wide as the page.

    `layout.meta["figure"]` and `uirevision` are set to `name`: zoom and hidden traces survive updates of the figure.
    """
    figure = go.Figure(list(traces))
    figure.update_layout(
        template=TEMPLATE, height=height, meta={"figure": name}, uirevision=name, xaxis_title_text=x_title,
        yaxis_title_text=y_title, **layout,
    )  # fmt: skip
    return figure


def empty_figure(name: str, message: str, height: int = 280) -> go.Figure:
    """Return a figure without data that shows `message`: why there is no data, and what to do."""
    figure = make_figure(name, (), "", "", height)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        name="message", text=message, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font_size=13
    )
    return figure


def mark_value(
    figure: go.Figure, value: float, text: str, axis: str = "x", color: str = ACCENT, leftwards: bool = False
) -> None:
    """Draw a dashed line across the plot at `value` of the "x" or "y" axis, with `text` at its end.

    `leftwards`: places the text of a line on the x axis to the left of the line.
    """
    line = {"name": text, "line": {"color": color, "width": 1.5, "dash": "dash"}}
    note = {"name": text, "text": text, "showarrow": False, "font": {"size": 12}}
    if axis == "x":
        figure.add_shape(type="line", x0=value, x1=value, yref="paper", y0=0, y1=1, **line)
        anchor, shift = ("right", -3) if leftwards else ("left", 3)
        figure.add_annotation(x=value, yref="paper", y=1, xanchor=anchor, yanchor="top", xshift=shift, **note)
    else:
        figure.add_shape(type="line", y0=value, y1=value, xref="paper", x0=0, x1=1, **line)
        figure.add_annotation(y=value, xref="paper", x=1, xanchor="right", yanchor="bottom", **note)


def layer_axis(count: int) -> dict[str, Any]:
    """Return the settings of an axis for `count` layers or heads: whole numbers, half a step of space on both sides."""
    step = next(step for step in (1, 2, 4, 5, 8, 10, 16, 20, 10**9) if count <= 12 * step)
    ticks = list(range(0, count, step))
    return {"range": [-0.6, count - 0.4], "tickvals": ticks, "zeroline": False, "showgrid": False}


def as_json(figure: go.Figure) -> str:
    """Return plotly's JSON including `config`, which Gradio's plot needs and `Figure.to_json` omits.

    Pass it to `gradio.components.plot.PlotData(type="plotly", plot=...)`. Only figures with a lasso get buttons.
    """
    lasso = figure.layout.dragmode == "lasso"
    return to_json_plotly({**figure.to_dict(), "config": SELECT_CONFIG if lasso else CONFIG})
