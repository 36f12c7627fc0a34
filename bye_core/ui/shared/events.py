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

    Gradio runs the handlers of a page side by side. If each returned a new value for a `gr.State`, a tick that began
    before a click and ended after it would undo what the click has changed: the page would follow an old job.
    """

    def __init__(self, value: Any) -> None:
        self.value, self.lock = value, Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> PageValue:  # Gradio makes a copy for each page
        return PageValue(deepcopy(self.value, memo))


def page_value(value: Any) -> gr.State:
    """Return a state whose value the handlers of `binder` get as an input, and replace by an update of the state.

    value  what the handlers get first
    """
    return gr.State(PageValue(value))


def binder(parts: Parts, on_error: Callable[..., Update] | None = None) -> Callable[[Handler], Handler]:
    """Return a function that turns `handler(parts, *inputs)` into a listener for Gradio.

    If the handler raises a ByeError, the listener returns `on_error(error, *inputs)`. Without `on_error`, it shows the
    error for a few seconds and changes nothing else.
    Generators and handlers with a `gr.EventData` parameter work too.

    Of the handlers with a `page_value` among their inputs, one runs at a time in each page. Generators do not wait, and
    cannot replace the value: chain a handler that does.
    """
    states = {part for part in parts.all() if isinstance(getattr(part, "value", None), PageValue)}

    def failed(error: ByeError, *inputs: Any) -> Update:
        if on_error:
            return on_error(error, *inputs)
        warn(error)
        return parts.unchanged()

    def keep(inputs: tuple[Any, ...], update: Any) -> Any:
        """Take the new page value, if there is one, out of an update and keep it."""
        pages = _page_values(inputs)
        if not pages:
            return update
        for state in states & update.keys():
            pages[0].value = update.pop(state)
        return update or parts.unchanged()

    def bind(handler: Handler) -> Handler:
        @wraps(handler)
        def listener(*inputs: Any) -> Any:
            with _alone(inputs) as values:
                try:
                    update = handler(parts, *values)
                except ByeError as error:
                    update = failed(error, *values)
                return keep(inputs, update)

        @wraps(handler)
        def stream(*inputs: Any) -> Iterator[Any]:
            try:
                for update in handler(parts, *_contents(inputs)):
                    if states and states & update.keys():
                        raise TypeError(f"{handler.__name__} is a generator and cannot replace the page's value.")
                    yield update
            except ByeError as error:
                with _alone(inputs) as values:
                    update = keep(inputs, failed(error, *values))
                yield update

        chosen: Any = stream if inspect.isgeneratorfunction(handler) else listener
        # Gradio reads the parameters from the signature: the inputs, and a gr.EventData by its annotation.
        signature = inspect.signature(handler)
        chosen.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
        return chosen

    return bind


def _page_values(inputs: tuple[Any, ...]) -> list[PageValue]:
    return [value for value in inputs if isinstance(value, PageValue)]


def _contents(inputs: tuple[Any, ...]) -> list[Any]:
    return [value.value if isinstance(value, PageValue) else value for value in inputs]


@contextmanager
def _alone(inputs: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Give the inputs to the `with` block; if there is a page value, once no other handler of the page has it."""
    with ExitStack() as locks:
        for page in _page_values(inputs):
            locks.enter_context(page.lock)
        yield _contents(inputs)


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
