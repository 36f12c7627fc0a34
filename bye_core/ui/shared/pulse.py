"""One listener for what all tabs do at an event: each listener makes Gradio's page walk through all its components."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from bye_core.ui.session import Frame, Watcher
from bye_core.ui.shared.bridge import in_front
from bye_core.ui.shared.events import QUIET, Update
from bye_core.ui.shared.page_value import PageValue


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
    """Return the updates of all watchers that change something. `values`: those of all inputs, in order.

    Watchers do not wait for other handlers of the page. If such a handler replaces a page value meanwhile, the update
    of the watcher with the old value is dropped: the next event shows what is new. If a watcher raises, no value is
    replaced.
    """
    answers = []
    for watcher in watchers:
        own, values = values[: len(watcher.inputs)], values[len(watcher.inputs) :]
        answers.append(_Answer.of(watcher, own))
    updates: Update = {}
    for answer in answers:
        if answer.commit():
            updates |= {part: value for part, value in answer.update.items() if not _is_skip(value)}
    return updates


class _Answer(NamedTuple):
    """The update of a watcher, and its page value (if it has one) as it was before and is afterwards."""

    update: Update
    page: PageValue | None = None
    before: Any = None
    after: Any = None

    @classmethod
    def of(cls, watcher: Watcher, values: tuple[Any, ...]) -> _Answer:
        page = next((value for value in values if isinstance(value, PageValue)), None)
        if page is None:
            return cls(watcher.listener(*values))
        own = PageValue(before := page.value)
        update = watcher.listener(*(own if value is page else value for value in values))
        return cls(update, page, before, own.value)

    def commit(self) -> bool:
        """Replace the page value, unless another handler has; return whether the update is to be shown."""
        return self.page is None or self.page.replace(self.before, self.after)


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
