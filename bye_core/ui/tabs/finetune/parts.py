"""The components of the Fine-tune tab, and what one page shows in them; see tabs/finetune.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

Update = dict[Any, Any]


@dataclass(frozen=True)
class Seen:
    """What the page shows by now, so that nothing is sent twice.

    visitor     whose work it shows; filled: the run that the form was filled for
    awaited     the tab was chosen before it was known who the visitor is
    job, state, drawn   the training, its state, how many losses of it are drawn
    settled     its end was told twice: a look that began before the end may reach the page after it
    measured    what the table of before and after shows; adapters: what its lists offer
    """

    visitor: str = ""
    filled: str | None = None
    awaited: bool = False
    job: str = ""
    state: str = ""
    settled: bool = False
    drawn: int = -1
    measured: str = ""
    adapters: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class Parts:
    """`form` are model, data, path, name and the settings in tuning's order; `test` are the evaluation's fields: data,
    trigger, size, target, truth file, and the two adapters."""

    session: gr.State
    seen: gr.State
    pulse: gr.Timer
    form: tuple[Any, ...]
    recipe: gr.Dropdown
    command: gr.Code
    notice: gr.HTML
    start: gr.Button
    job: gr.Dropdown
    status: gr.HTML
    figure: gr.Plot
    stop: gr.Button
    again: gr.Button
    log: gr.Textbox
    test: tuple[Any, ...]
    measure: gr.Button
    halt: gr.Button
    said: gr.HTML
    table: gr.HTML
    compared: gr.Plot

    def all(self) -> list[Any]:
        own = [part for name, part in vars(self).items() if name not in ("form", "test")]
        return [*own, *self.form, *self.test]
