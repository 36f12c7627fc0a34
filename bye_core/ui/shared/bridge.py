"""Clicks and lassos on figures reach Python through one component that is always mounted (assets/scripts/bridge.js)."""

from __future__ import annotations

import gradio as gr

from bye_core.ui.web.scripts import start_module

# Nothing is drawn for a page that nobody looks at, and only the browser knows: the last value says so.
_IN_FRONT = """(...values) => [...values.slice(0, -1),
  document.querySelector('#tabs [data-tab-id="{tab}"]')?.getAttribute('aria-selected') === 'true'{more}]"""


def in_front(tab: str, more: str = "") -> str:
    """`js` of a handler whose last input is a hidden checkbox: whether this tab is in front, or else `more` is true."""
    return _IN_FRONT.format(tab=tab, more=f" || {more}" if more else "")


def build_bridge() -> gr.HTML:
    """Listen with `bridge.click(handler)`; `evt.plot` is the figure's elem_id, `evt.points` its customdata."""
    return gr.HTML("", js_on_load=start_module("bridge.js"), elem_id="bridge", visible="hidden")
