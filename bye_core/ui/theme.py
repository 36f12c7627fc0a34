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
)
