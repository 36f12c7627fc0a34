"""Sends clicks and lassos on figures to Python, through one hidden component (assets/scripts/bridge.js)."""

from __future__ import annotations

import gradio as gr

from bye_core.ui.web.scripts import start_module

# Figures are drawn only for the tab in front, and only the browser knows which tab is in front.
_IN_FRONT = """(...values) => [...values.slice(0, -1),
  document.querySelector('#tabs [data-tab-id="{tab}"]')?.getAttribute('aria-selected') === 'true'{more}]"""

# For a component's `js_on_load`: a click on a button with `data-do` triggers "click" with the button's data.
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) trigger('click', { ...button.dataset });
});"""

# For a listener's `js`: saves the file of a download button, without a second click.
SAVE = """(file) => {
  if (!file || !file.url) return;
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.orig_name || '' });
  document.body.append(link);
  link.click();
  link.remove();
}"""


def in_front(tab: str, more: str = "") -> str:
    """Return a JavaScript function for a listener's `js`. It replaces the last input by whether `tab` is in front.

    `more` is a JavaScript condition that also makes the value true. The listener's last input is a hidden checkbox.
    """
    return _IN_FRONT.format(tab=tab, more=f" || {more}" if more else "")


def build_bridge() -> gr.HTML:
    """Build the component. Its click event has `plot` (the figure's elem_id) and `points` (each point's customdata)."""
    return gr.HTML("", js_on_load=start_module("bridge.js"), elem_id="bridge", visible="hidden")
