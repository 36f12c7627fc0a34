"""Draws records as plotly figures, and prepares heatmaps for the page. Imports neither gradio nor torch."""

from bye_core.figures.evaluation import outcome_bars, outcome_figure, outcome_rows
from bye_core.figures.heads import head_bsi, heads_figure
from bye_core.figures.heatmap import (
    layer_strip,
    mean_payload,
    overlay_payload,
    png_uri,
    scale_css,
    scale_stops,
    strip_uris,
)
from bye_core.figures.histogram import final_histogram, layer_histogram, marked_histogram
from bye_core.figures.layers import bsi_figure, entropy_figure
from bye_core.figures.loss import loss_figure
from bye_core.figures.modes import suspicious_side
from bye_core.figures.sample_map import Group, drawn_rows, map_figure
from bye_core.figures.scatter import Points, scatter_figure, score_points
from bye_core.figures.theme import PAGE_STYLE, as_json, empty_figure
from bye_core.grids import cell_at, cell_box

__all__ = [
    "PAGE_STYLE",
    "Group",
    "Points",
    "as_json",
    "bsi_figure",
    "cell_at",
    "cell_box",
    "drawn_rows",
    "empty_figure",
    "entropy_figure",
    "final_histogram",
    "head_bsi",
    "heads_figure",
    "layer_histogram",
    "layer_strip",
    "loss_figure",
    "map_figure",
    "marked_histogram",
    "mean_payload",
    "outcome_bars",
    "outcome_figure",
    "outcome_rows",
    "overlay_payload",
    "png_uri",
    "scale_css",
    "scale_stops",
    "scatter_figure",
    "score_points",
    "strip_uris",
    "suspicious_side",
]
