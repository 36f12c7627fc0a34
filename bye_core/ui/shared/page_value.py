"""What the handlers of a tab know of one page, and how they replace it one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from threading import Lock
from typing import Any

import gradio as gr


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
    """Return a state for `events.Binder`.

    Its handlers get the value as an input, and replace it by returning {state: new}.
    """
    return gr.State(PageValue(value))


def page_values(inputs: tuple[Any, ...]) -> list[PageValue]:
    """Return the page values among the inputs of a listener."""
    return [value for value in inputs if isinstance(value, PageValue)]


def values_of(inputs: tuple[Any, ...]) -> list[Any]:
    """Return the inputs, page values replaced by what they hold."""
    return [value.value if isinstance(value, PageValue) else value for value in inputs]


@contextmanager
def locked(inputs: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Give the inputs to the `with` block; if there is a page value, once no other handler of the page has it."""
    with ExitStack() as locks:
        for page in page_values(inputs):
            locks.enter_context(page.lock)
        yield values_of(inputs)
