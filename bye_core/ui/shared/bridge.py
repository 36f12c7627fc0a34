"""Clicks and lassos on figures reach Python through one component that is always mounted (assets/scripts/bridge.js)."""

from __future__ import annotations

import gradio as gr

from bye_core.ui.web.scripts import start_module

# Figures are drawn only for the tab in front, and only the browser knows which that is.
_IN_FRONT = """(...values) => [...values.slice(0, -1),
  document.querySelector('#tabs [data-tab-id="{tab}"]')?.getAttribute('aria-selected') === 'true'{more}]"""


def in_front(tab: str, more: str = "") -> str:
    """Return the `js` that sets the last input, a hidden checkbox: whether `tab` is in front or `more` is true."""
    return _IN_FRONT.format(tab=tab, more=f" || {more}" if more else "")


def build_bridge() -> gr.HTML:
    """Build the component. Its click event has `plot`, the figure's elem_id, and `points`, their customdata."""
    return gr.HTML("", js_on_load=start_module("bridge.js"), elem_id="bridge", visible="hidden")
