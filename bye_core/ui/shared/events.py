"""Connects the handlers of a tab to its components."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial, wraps
from threading import Lock
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.session import Session
from bye_core.ui.shared.messages import alert, warn

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


class PageValue:
    """What the handlers of a tab know of one page: they read and replace it, one handler at a time.

    Gradio runs the handlers of a page side by side. If each returned a new value for a `gr.State`, a refresh that began
    before a click and ended after it would undo what the click has changed: the page would follow an old job.
    """

    def __init__(self, value: Any) -> None:
        self.value, self.lock = value, Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> PageValue:  # Gradio makes a copy for each page
        return PageValue(deepcopy(self.value, memo))

    def replace(self, old: Any, new: Any) -> bool:
        """Replace the value by `new` if it is still `old`; return whether it was."""
        with self.lock:
            if self.value is not old:
                return False
            self.value = new
            return True


def page_value(value: Any) -> gr.State:
    """Return a state for `binder`. Its handlers get the value as an input, and replace it by returning {state: new}."""
    return gr.State(PageValue(value))


def binder(parts: Parts, on_error: Callable[..., Update] | None = None) -> Callable[..., Handler]:
    """Return a function that turns `handler(parts, *inputs)` into a listener for Gradio.

    If the handler raises a ByeError, the listener returns `on_error(error, *inputs)`. Without `on_error`, it shows the
    error for a few seconds and changes nothing else.
    Generators and handlers with a `gr.EventData` parameter work too.

    Of the handlers with a `page_value` among their inputs, one runs at a time in each page. Two kinds of handlers only
    read the value, and do not wait for others: those that are bound with `reads=True`, and generators.
    """
    states = {part for part in parts.all() if isinstance(getattr(part, "value", None), PageValue)}
    if len(states) > 1:
        raise ValueError("A tab has at most one page value.")

    def failed(error: ByeError, *inputs: Any) -> Update:
        if on_error:
            return on_error(error, *inputs)
        warn(error)
        return parts.unchanged()

    def store_value(update: Any, inputs: tuple[Any, ...]) -> Any:
        """Take the new page value, if there is one, out of an update and store it."""
        for state in states & update.keys() if states else ():
            (page,) = _page_values(inputs)
            page.value = update.pop(state)
            update = update or parts.unchanged()
        return update

    def failure(error: ByeError, inputs: tuple[Any, ...]) -> Any:
        with _locked(inputs) as values:
            return store_value(failed(error, *values), inputs)

    def bind(handler: Handler, reads: bool = False) -> Handler:
        def only_read(update: Any) -> Any:
            if states and states & update.keys():
                raise TypeError(f"{handler.__name__} may only read the page's value.")
            return update

        @wraps(handler)
        def listener(*inputs: Any) -> Any:
            with _locked(inputs) as values:
                try:
                    update = handler(parts, *values)
                except ByeError as error:
                    update = failed(error, *values)
                return store_value(update, inputs)

        @wraps(handler)
        def reader(*inputs: Any) -> Any:
            try:
                return only_read(handler(parts, *_values(inputs)))
            except ByeError as error:
                return failure(error, inputs)

        @wraps(handler)
        def stream(*inputs: Any) -> Iterator[Any]:
            try:
                yield from map(only_read, handler(parts, *_values(inputs)))
            except ByeError as error:
                yield failure(error, inputs)

        chosen: Any = stream if inspect.isgeneratorfunction(handler) else reader if reads else listener
        # Gradio reads the parameters from the signature: the inputs, and a gr.EventData by its annotation.
        signature = inspect.signature(handler)
        chosen.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
        return chosen

    return bind


def _page_values(inputs: tuple[Any, ...]) -> list[PageValue]:
    return [value for value in inputs if isinstance(value, PageValue)]


def _values(inputs: tuple[Any, ...]) -> list[Any]:
    return [value.value if isinstance(value, PageValue) else value for value in inputs]


@contextmanager
def _locked(inputs: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Give the inputs to the `with` block; if there is a page value, once no other handler of the page has it."""
    with ExitStack() as locks:
        for page in _page_values(inputs):
            locks.enter_context(page.lock)
        yield _values(inputs)


def alert_in(component: Any) -> Callable[..., Update]:
    """Return an `on_error` function (see `binder`) that shows the error in `component`."""
    return lambda error, *_: {component: alert(error)}


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
