"""Controls how handlers with many updates send them to the page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.messages import alert

INTERVAL = 0.4  # seconds between two updates of a progress message
Step = TypeVar("Step")


def paced(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps, at most one per INTERVAL seconds; the last step is always yielded."""
    due, waiting = 0.0, []
    for step in steps:
        waiting = [step]
        if time.monotonic() > due:
            due = time.monotonic() + INTERVAL
            waiting = []
            yield step
    yield from waiting


def accumulated(updates: Iterable[Update]) -> Iterator[Update]:
    """Yield each update merged with all earlier updates. If several arrive at once, Gradio shows only the last."""
    total: Update = {}
    for update in updates:
        total = total | update
        yield total


def until_end(steps: Iterator[Update], last: Update, where: gr.HTML) -> Iterator[Update]:
    """Yield the accumulated `steps`, then `last`, also after an error, so that no button stays disabled.

    A ByeError is shown in the component `where`. Any other exception is raised after `last` was yielded.
    """
    total: Update = {}
    try:
        for total in accumulated(steps):
            yield total
    except ByeError as error:
        total = total | {where: alert(error)}
    except Exception:
        yield total | last
        raise
    yield total | last
