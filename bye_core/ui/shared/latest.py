"""Listeners that drop the results of a form's earlier requests."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from bye_core.ui.shared.events import Update

# Numbers the requests of a page in the order of what the user did.
_TURN = """(...values) => {
  window.byeTurn = (window.byeTurn || 0) + 1;
  return [...values.slice(0, -2), window.byeTurn, values.at(-1)];
}"""


@dataclass
class Latest:
    """The number of the newest request of a form that has begun. It is a state's value, and is changed in place."""

    number: int = 0


def on_latest(
    triggers: Sequence[Any], listener: Callable[..., Any], inputs: list[Any], outputs: list[Any], **options: Any
) -> Any:
    """Listen to several events of a form; drop the results of a request once a later event's request has begun.

    If two fields change at once, such as when a form is filled, Gradio's page sends two requests at the same time. The
    one with the older values may arrive last, even with trigger_mode="always_last", and its result would stay. The
    listener may be a generator. Return the dependency, as `gr.on` does.
    """
    turn, last = gr.Number(0, visible=False), gr.State(Latest())

    def latest(*values: Any) -> Update:
        *own, number, newest = values
        update = listener(*own) if _begins(number, newest) else {}
        return update if number == newest.number else {outputs[0]: gr.skip()}

    def latest_stream(*values: Any) -> Iterator[Update]:
        *own, number, newest = values
        for update in listener(*own) if _begins(number, newest) else ():
            if number != newest.number:
                return
            yield update

    chosen = latest_stream if inspect.isgeneratorfunction(listener) else latest
    options = {"trigger_mode": "always_last", **options}
    return gr.on(triggers, chosen, [*inputs, turn, last], outputs, js=_TURN, **options)


def _begins(number: int, newest: Latest) -> bool:
    """Return whether the request `number` is newer than all that have begun; it then counts as the newest."""
    if number <= newest.number:
        return False
    newest.number = number
    return True
