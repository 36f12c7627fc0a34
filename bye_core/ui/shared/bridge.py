"""Sends clicks and lassos on figures to Python, through one hidden component (assets/scripts/bridge.js).

The component also tells the tab in front that the session or the trial has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from bye_core.ui.web.scripts import start_module

# Figures are drawn only for the tab in front, and only the browser knows which tab is in front.
_IN_FRONT = """(...values) => [...values.slice(0, -1),
  document.querySelector('#tabs [data-tab-id="{tab}"]')?.getAttribute('aria-selected') === 'true'{more}]"""

# For a listener of a state. The bridge's script may not be there yet: it then reads `byeMissed`.
_CHANGED = """() => {{
  if (window.byeChanged) window.byeChanged('{name}');
  else (window.byeMissed ||= []).push('{name}');
}}"""

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


def build_bridge(places: Iterable[str], states: dict[str, gr.State]) -> gr.HTML:
    """Build the component. Its click event has `plot` (the figure's elem_id) and `points` (each point's customdata).

    places: names of the tabs, and of other parts of the page, that draw again when one of `states` changes: see
    `changed`. Gradio's page goes through all its components for each request, so tabs behind must send none.
    """
    events = [_event(name, place) for place in places for name in states]
    # Gradio finds the events of the component in this text.
    script = f"{start_module('bridge.js')} // triggers {events}"
    bridge = gr.HTML("", js_on_load=script, elem_id="bridge", visible="hidden")
    for name, state in states.items():
        state.change(None, js=_CHANGED.format(name=name), show_progress="hidden", api_visibility="private")
    return bridge


def changed(bridge: gr.HTML, state: str, place: str) -> Any:
    """Return the event of the bridge "`state` has changed while the tab `place` is in front", for a listener."""
    return getattr(bridge, _event(state, place))


def _event(state: str, place: str) -> str:
    return f"{state}_{place}"
