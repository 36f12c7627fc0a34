"""The handlers of the measurements in the Fine-tune tab: fill the fields, start, show the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from bye_core import figures, runs
from bye_core.runs import jobs
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Session
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.job_card import failure_alert
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.model_choice import finished_adapter_choices
from bye_core.ui.shared.plots import drawn
from bye_core.ui.tabs.finetune import evaluation, evaluation_table
from bye_core.ui.workspace import Workspace

NOTHING = "none"  # the key of the table if no model was measured
WAITING = (
    "Fine-tune on the remaining samples, then measure. Cleaning worked if the attack success rate (ASR) is near 0% and "
    "the clean performance (CP) is unchanged."
)


@dataclass(frozen=True)
class Watch:
    """What the page shows now: a text that identifies the table's content, and the adapters in the lists."""

    table: str = ""
    adapters: tuple[tuple[str, str], ...] | None = None


class OutcomeParts(NamedTuple):
    """The components of the measurements. The first seven are the fields, in the order of evaluation.from_form."""

    data: gr.Textbox
    trigger: gr.Dropdown
    size: gr.Number
    target: gr.Textbox
    truth: gr.Textbox
    everything: gr.Dropdown
    left: gr.Dropdown
    measure: gr.Button
    stop: gr.Button
    message: gr.HTML
    table: gr.HTML
    figure: gr.Plot

    @property
    def fields(self) -> tuple[Any, ...]:
        return self[:7]


def fill(parts: OutcomeParts, workspace: Workspace, run: runs.Run | None) -> Update:
    """Fill the fields with the defaults. The two adapters are the scanned adapter and the newest other adapter."""
    defaults = evaluation.defaults(run)
    return {
        parts.data: defaults.data,
        parts.trigger: defaults.trigger,
        parts.size: defaults.size,
        parts.target: defaults.target,
        **_adapters(parts, workspace, run, {"value": _scanned(run)}),
    }


def _adapters(parts: OutcomeParts, workspace: Workspace, run: runs.Run | None, everything: dict[str, str]) -> Update:
    """Offer all finished adapters. The newest adapter other than the scanned one is preselected as `left`."""
    choices = [("none", ""), *finished_adapter_choices(workspace, run)]
    newest = next((path for _, path in choices if path and path != _scanned(run)), "")
    return {
        parts.everything: gr.Dropdown(choices, **everything),
        parts.left: gr.Dropdown(choices, value=newest),
    }


def _scanned(run: runs.Run | None) -> str:
    return (run.settings.adapter if run else "") or ""


def refresh(
    parts: OutcomeParts, workspace: Workspace, session: Session, watch: Watch, filled: bool
) -> tuple[Update, Watch, bool]:
    """Show the measurements. If a measurement has ended, start the next one. If the form is filled, offer new adapters.

    Returns (update of the components, Watch of what the page then shows, whether a measurement runs or waits).
    Raises: NoSuchRun if the open run is gone; CannotStart if the next measurement cannot be started.
    """
    update: Update = {}
    own = tuple(finished_adapter_choices(workspace, None))
    if filled and watch.adapters not in (None, own):
        # A training has finished since: its adapter is the one after cleaning.
        update |= _adapters(parts, workspace, session_run(session), {})
    table, key, busy = _measurements(parts, workspace, watch)
    return update | table, Watch(key, own), busy


def _measurements(parts: OutcomeParts, workspace: Workspace, watch: Watch) -> tuple[Update, str, bool]:
    latest = evaluation.latest(workspace)
    if latest is None:
        empty = {parts.table: note(WAITING), parts.figure: gr.Plot(visible=False)}
        return (empty if watch.table != NOTHING else {}), NOTHING, False
    try:
        busy, message = evaluation.advance(workspace), ""
    except jobs.TooManyJobs as error:
        busy, message = True, alert(error)
    arms = evaluation.arms(workspace, latest)
    progress = [(arm.name, arm.state, arm.job.progress().done if arm.job and busy else 0) for arm in arms]
    key = f"{latest}{progress}{message}"
    if key == watch.table:
        return {}, key, busy
    facts = {arm.name: arm.facts for arm in arms}
    both = facts.get("everything") and facts.get("left")
    figure = drawn(figures.outcome_figure(facts["everything"], facts["left"])) if both else gr.Plot(visible=False)
    update: Update = {
        parts.table: evaluation_table.table(arms),
        parts.message: failure_alert(evaluation.failure(arms)) or message,
        parts.figure: figure,
        parts.measure: gr.Button(interactive=not busy),
        parts.stop: gr.Button("Stopping" if latest.stopped else "Stop", visible=busy, interactive=not latest.stopped),
    }
    return update, key, busy


def start(workspace: Workspace, model: str, values: tuple[Any, ...]) -> None:
    """Start the measurements that the fields describe."""
    evaluation.start(workspace, evaluation.from_form(workspace, model, values))
