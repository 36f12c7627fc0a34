"""Gradio's theme for the app: one accent colour, and system fonts, so that no page loads from other servers."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
THEME = gr.themes.Default(
    primary_hue="violet",
    neutral_hue="slate",
    radius_size="sm",
    font=FONTS,
    font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
).set(
    # Contrast 5.7:1 on white; the theme's own 500 has 4.2:1. Dark pages use a lighter one (style.css).
    color_accent="*primary_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
    # The theme's own colours of these texts have a contrast below 4.5:1 (3.8:1 for the button that stops a job).
    body_text_color_subdued="*neutral_600",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    link_text_color_dark="*primary_300",
    link_text_color_hover_dark="*primary_200",
    link_text_color_active_dark="*primary_300",
    link_text_color_visited="*primary_700",
    link_text_color_visited_dark="*primary_300",
    button_cancel_background_fill=colors.red.c700,
    button_cancel_background_fill_hover=colors.red.c800,
)
