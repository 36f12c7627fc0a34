"""Connects the handlers of a tab to its components."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.session import Session
from bye_core.ui.shared.messages import alert, warn
from bye_core.ui.shared.page_value import PageValue, locked, page_values, values_of

Update = dict[Any, Any]  # component -> its new value or properties
Handler = Callable[..., Any]

QUIET = {"api_visibility": "private", "show_progress": "hidden"}
# Handlers that write the session run one at a time, so that no change is lost.
SESSION = {**QUIET, "concurrency_id": "session", "concurrency_limit": 1}


@dataclass(frozen=True)
class Parts:
    """The components that the handlers of one tab read and update. A tab adds its own as fields.

    A field may hold several components in a list or tuple.
    """

    session: gr.State

    def all(self) -> list[Any]:
        """Return every component, for the `outputs` of a listener."""
        values = [value if isinstance(value, list | tuple) else (value,) for value in vars(self).values()]
        return [part for group in values for part in group]

    def unchanged(self) -> Update:
        """Return an update that changes nothing. An empty dictionary would not do: Gradio treats it as a value."""
        return {self.session: gr.skip()}


class Binder:
    """Turns `handler(parts, *inputs)` into a listener for Gradio: `Binder(parts)(handler)`.

    If the handler raises a ByeError, the listener returns `on_error(error, *inputs)`. Without `on_error`, it shows the
    error for a few seconds and changes nothing else.
    Generators and handlers with a `gr.EventData` parameter work too.

    Of the handlers with a `page_value` among their inputs, one runs at a time in each page. Two kinds of handlers only
    read the value, and do not wait for others: those that are bound with `reads=True`, and generators.
    Raises: ValueError if the tab has several page values; the listener of a handler that may only read the value raises
    TypeError if the handler replaces it.
    """

    def __init__(self, parts: Parts, on_error: Callable[..., Update] | None = None) -> None:
        self.parts, self.on_error = parts, on_error
        self.states = {part for part in parts.all() if isinstance(getattr(part, "value", None), PageValue)}
        if len(self.states) > 1:
            raise ValueError("A tab has at most one page value.")

    def __call__(self, handler: Handler, reads: bool = False) -> Handler:
        @wraps(handler)
        def listener(*inputs: Any) -> Any:
            with locked(inputs) as values:
                try:
                    update = handler(self.parts, *values)
                except ByeError as error:
                    update = self._failed(error, *values)
                return self._store(update, inputs)

        @wraps(handler)
        def reader(*inputs: Any) -> Any:
            try:
                return self._only_read(handler(self.parts, *values_of(inputs)), handler)
            except ByeError as error:
                return self._failure(error, inputs)

        @wraps(handler)
        def stream(*inputs: Any) -> Iterator[Any]:
            try:
                for update in handler(self.parts, *values_of(inputs)):
                    yield self._only_read(update, handler)
            except ByeError as error:
                yield self._failure(error, inputs)

        chosen: Any = stream if inspect.isgeneratorfunction(handler) else reader if reads else listener
        # Gradio reads the parameters from the signature: the inputs, and a gr.EventData by its annotation.
        signature = inspect.signature(handler)
        chosen.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
        return chosen

    def _failed(self, error: ByeError, *inputs: Any) -> Update:
        if self.on_error:
            return self.on_error(error, *inputs)
        warn(error)
        return self.parts.unchanged()

    def _failure(self, error: ByeError, inputs: tuple[Any, ...]) -> Any:
        with locked(inputs) as values:
            return self._store(self._failed(error, *values), inputs)

    def _store(self, update: Any, inputs: tuple[Any, ...]) -> Any:
        """Take the new page value, if there is one, out of an update and store it."""
        for state in self.states & update.keys() if self.states else ():
            (page,) = page_values(inputs)
            page.value = update.pop(state)
            update = update or self.parts.unchanged()
        return update

    def _only_read(self, update: Any, handler: Handler) -> Any:
        if self.states and self.states & update.keys():
            raise TypeError(f"{handler.__name__} may only read the page's value.")
        return update


def alert_in(component: Any) -> Callable[..., Update]:
    """Return an `on_error` function (see Binder) that shows the error in `component`."""
    return lambda error, *_: {component: alert(error)}


def if_in_front(handler: Handler) -> Handler:
    """Wrap `handler` so that it runs only if the tab is in front. The last input says so (see bridge.in_front)."""

    def listener(parts: Parts, *inputs: Any) -> Any:
        return handler(parts, *inputs[:-1]) if inputs[-1] else parts.unchanged()

    return listener


def needs_visitor(handler: Handler) -> Handler:
    """Wrap `handler(parts, session, ...)` so that it does nothing while the visitor is unknown."""

    @wraps(handler)
    def listener(parts: Parts, session: Session, *inputs: Any) -> Any:
        return handler(parts, session, *inputs) if session.visitor else parts.unchanged()

    @wraps(handler)
    def stream(parts: Parts, session: Session, *inputs: Any) -> Iterator[Any]:
        yield from handler(parts, session, *inputs) if session.visitor else ()

    return stream if inspect.isgeneratorfunction(handler) else listener


def open_tab(name: str) -> Callable[[], gr.Tabs]:
    """Return a handler that shows the tab `name`. The listener's output must be `frame.tabs`."""
    return partial(gr.Tabs, selected=name)
