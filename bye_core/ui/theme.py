"""Gradio's look for the app: one accent colour, system fonts (nothing is fetched from elsewhere)."""

from __future__ import annotations

import gradio as gr

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
THEME = gr.themes.Default(
    primary_hue="violet",
    neutral_hue="slate",
    radius_size="sm",
    font=FONTS,
    font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
).set(
    # 5.7:1 on white; the 500 of the theme has 4.2:1. Lighter on dark pages: style.css.
    color_accent="*primary_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
)
