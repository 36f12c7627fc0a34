"""Gradio's theme for the app: one accent colour, and system fonts, so that no page loads from other servers."""

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
    # Contrast 5.7:1 on white; the theme's own 500 has 4.2:1. Dark pages use a lighter one (style.css).
    color_accent="*primary_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
)
