"""The Stop button of a job: it says so while the job is being stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr

from bye_core.runs import jobs
from bye_core.ui.shared.events import QUIET, Update

WORDS = {"scan": "Stopping at the next batch", "finetune": "Stopping at the next step"}  # by kind of job
_stopping: dict[Path, Future[None]] = {}  # by folder of the job
_changing = Lock()
_threads = ThreadPoolExecutor(thread_name_prefix="stop")  # a page that is closed meanwhile ends none of them


def stop_button(job: jobs.Job | None, state: str) -> gr.Button:
    """Return the button for a job in a state: hidden if it does not run, disabled if it is being stopped."""
    if job is None or state != jobs.RUNNING:
        return gr.Button("Stop", visible=False, interactive=True)
    if job.folder in _stopping:
        return gr.Button(WORDS.get(job.kind, "Stopping"), visible=True, interactive=False)
    return gr.Button("Stop", visible=True, interactive=True)


def stop_job(job: jobs.Job | None, button: gr.Button) -> Iterator[Update]:
    """Say on the Stop button that the job is being stopped, and stop it. `on_stop` shows the button again."""
    if job is not None:
        with _changing:  # a second click, or another page, waits for the same end
            stopped = _stopping.get(job.folder) or _threads.submit(_stop, job)
            _stopping[job.folder] = stopped
            words = stop_button(job, jobs.RUNNING)
        yield {button: words}
        stopped.result()


def _stop(job: jobs.Job) -> None:
    try:
        job.stop()
    finally:
        with _changing:
            _stopping.pop(job.folder, None)


def on_stop(
    button: gr.Button, stop: Callable[..., Any], stopped: Callable[..., Any], inputs: list[Any], outputs: list[Any]
) -> None:
    """Run the listener `stop` at a click, and then, also if it fails, `stopped`, which shows the button again."""
    stopping = button.click(stop, inputs, outputs, **QUIET)
    stopping.then(stopped, inputs, outputs, **QUIET)
    stopping.failure(stopped, inputs, outputs, **QUIET)
