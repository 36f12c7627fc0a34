"""Clicks and lassos on figures reach Python through one component that is always mounted (assets/bridge.js)."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def script(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def build_bridge() -> gr.HTML:
    """Listen with `bridge.click(handler)`; `evt.plot` is the figure's elem_id, `evt.points` its customdata."""
    return gr.HTML("", js_on_load=script("bridge.js"), elem_id="bridge", visible="hidden")
