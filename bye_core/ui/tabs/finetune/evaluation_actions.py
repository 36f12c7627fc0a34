"""What the Fine-tune tab does with measurements: CP and ASR before and after, side by side; see tabs/finetune.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from bye_core import figures, runs
from bye_core.runs import jobs
from bye_core.ui.session import Session
from bye_core.ui.shared.job_card import failure_alert
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.model_choice import finished_adapter_choices
from bye_core.ui.shared.plots import drawn
from bye_core.ui.tabs.finetune import evaluation, evaluation_table
from bye_core.ui.tabs.finetune.parts import Parts, Seen, Update
from bye_core.ui.workspace import Workspace, workspace_of

EVERYTHING, LEFT = 5, 6  # places among the fields of the test
NONE = "none"  # shown where nothing was measured
WAITING = (
    "Fine-tune on what is left, then measure: the back door should be gone (ASR near 0) and the answers as good as "
    "before (CP unchanged)."
)


def fill(parts: Parts, place: Workspace, run: runs.Run | None) -> Update:
    """The defaults of the fields; the adapters are those that the run was scanned with, and the newest other."""
    wanted, choices = evaluation.defaults(run), _choices(place, run)
    scanned = (run.settings.adapter if run else "") or ""
    fields = (wanted.data, wanted.trigger, wanted.size, wanted.target)
    return {
        **dict(zip(parts.test, fields, strict=False)),
        parts.test[EVERYTHING]: gr.Dropdown(choices, value=scanned),
        parts.test[LEFT]: gr.Dropdown(choices, value=_newest(choices, scanned)),
    }


def _choices(place: Workspace, run: runs.Run | None) -> list[tuple[str, str]]:
    return [("none", ""), *finished_adapter_choices(place, run)]


def _newest(choices: list[tuple[str, str]], scanned: str) -> str:
    return next((path for _, path in choices if path and path != scanned), "")


def watch(parts: Parts, place: Workspace, session: Session, seen: Seen) -> tuple[Update, Seen]:
    """The table of what is measured; begins the next arm where the one before has ended."""
    update: Update = {}
    own = tuple(finished_adapter_choices(place, None))
    if seen.filled is not None and own != (seen.adapters if seen.adapters is not None else own):
        # One was finished since: it is what was tuned on what is left.
        run = runs.Run.open(place.run_path(session.run)) if session.run else None
        choices = _choices(place, run)
        newest = _newest(choices, (run.settings.adapter if run else "") or "")
        update |= {parts.test[EVERYTHING]: gr.Dropdown(choices), parts.test[LEFT]: gr.Dropdown(choices, value=newest)}
    table, key = _measured(parts, place, seen)
    return update | table, replace(seen, measured=key, adapters=own)


def _measured(parts: Parts, place: Workspace, seen: Seen) -> tuple[Update, str]:
    wanted = evaluation.wanted_of(place)
    if wanted is None:
        empty = {parts.table: note(WAITING), parts.compared: gr.Plot(visible=False)}
        return (empty if seen.measured != NONE else {}), NONE
    try:
        busy, said = evaluation.advance(place), ""
    except jobs.TooManyJobs as error:
        busy, said = True, alert(error)
    beating = {parts.pulse: gr.Timer(active=True)} if busy else {}
    found = evaluation.arms(place, wanted)
    standing = [(arm.name, arm.state, arm.job.progress().done if arm.job and busy else 0) for arm in found]
    key = f"{wanted}{standing}{said}"
    if key == seen.measured:
        return beating, key
    facts = {arm.name: arm.facts for arm in found}
    both = facts.get("everything") and facts.get("left")
    compared = drawn(figures.outcome_figure(facts["everything"], facts["left"])) if both else gr.Plot(visible=False)
    update: Update = {
        parts.table: evaluation_table.table(found),
        parts.said: failure_alert(evaluation.failure(found)) or said,
        parts.compared: compared,
        parts.measure: gr.Button(interactive=not busy),
        parts.halt: gr.Button(visible=busy),
    }
    return update | beating, key


def measure(parts: Parts, session: Session, seen: Seen, model: str, *values: Any) -> Update:
    data, trigger, size, target, truth, everything, left = values
    place = workspace_of(session.visitor)
    wanted = evaluation.make(place, model, data or "", trigger, size, target or "", truth or "", (everything, left))
    evaluation.begin(place, wanted)
    return _told(parts, session, seen) | {parts.pulse: gr.Timer(active=True)}


def halt(parts: Parts, session: Session, seen: Seen) -> Update:
    evaluation.stop(workspace_of(session.visitor))
    return _told(parts, session, seen)


def _told(parts: Parts, session: Session, seen: Seen) -> Update:
    update, now = watch(parts, workspace_of(session.visitor), session, replace(seen, measured=""))
    return {**update, parts.seen: now}
