"""One listener for what all tabs do at an event: each listener makes Gradio's page walk through all its components."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from bye_core.ui.session import Frame, Watcher
from bye_core.ui.shared.bridge import in_front
from bye_core.ui.shared.events import QUIET, Update


def listen_to_pulse(frame: Frame) -> None:
    """Run the watchers of all tabs at each tick. To be called after the tabs are built."""
    _listen(frame.pulse.tick, frame.watchers)


def listen_to_session(frame: Frame) -> None:
    """Run the followers after each change of the session. To be called after the tabs are built."""
    _listen(frame.session.change, frame.followers)


def _listen(event: Callable[..., Any], watchers: list[Watcher]) -> None:
    inputs = [component for watcher in watchers for component in watcher.inputs]
    outputs = list({id(part): part for watcher in watchers for part in watcher.outputs}.values())
    event(
        lambda *values: merged(watchers, values) or {outputs[0]: gr.skip()},
        inputs,
        outputs,
        js=fronts(watchers),
        trigger_mode="always_last",
        **QUIET,
    )


def merged(watchers: list[Watcher], values: tuple[Any, ...]) -> Update:
    """Return the updates of all watchers that change something. `values`: those of all inputs, in order."""
    updates: Update = {}
    for watcher in watchers:
        own, values = values[: len(watcher.inputs)], values[len(watcher.inputs) :]
        updates |= {part: value for part, value in watcher.listener(*own).items() if not _is_skip(value)}
    return updates


def _is_skip(value: Any) -> bool:
    return isinstance(value, dict) and value == gr.skip()


def fronts(watchers: list[Watcher]) -> str:
    """Return the JavaScript function that says of each watcher with `front` whether its tab is in front."""
    steps, position = [], 0
    for watcher in watchers:
        position += len(watcher.inputs)
        if watcher.front:
            steps.append(f"values[{position - 1}] = ({in_front(watcher.front)})(values[{position - 1}])[0];")
    return f"(...values) => {{ {' '.join(steps)} return values; }}"
