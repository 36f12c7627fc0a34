"""The handlers of the Attack tab: preview samples before and after the attack, and write the poisoned set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from bye_core.attacks import TARGETS
from bye_core.attacks.targets import TargetSetting
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, events, job_card
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.messages import alert, discreet, note
from bye_core.ui.shared.project import open_data_in
from bye_core.ui.shared.stop_button import stop_button, stop_job
from bye_core.ui.tabs.attack import job as attack_job
from bye_core.ui.tabs.attack import preview_card
from bye_core.ui.tabs.attack.job import Form
from bye_core.ui.workspace import Workspace, workspace_of

NO_TRIGGER = "Choose a trigger to preview it on samples."

OWN_FIELDS = tuple(name for name in Form.__dataclass_fields__ if name not in ("settings", "target"))
FIELD_NAMES = (*OWN_FIELDS, *attack_job.TARGET_SETTINGS, *attack_job.SETTINGS)


@dataclass(frozen=True)
class Watch:
    """What the page shows now, so that unchanged parts are not sent again.

    visitor, data  the visitor and the key of the data set
    page           the page of previewed samples, from 0
    job, state     the followed job and its last known state
    """

    visitor: str = ""
    data: str | None = None
    page: int = 0
    job: str = ""
    state: str = ""


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab.

    fields  the form: the fields of job.Form in OWN_FIELDS, then the settings of targets and those of triggers
    due     a counter that is raised when the preview must be drawn again
    """

    watch: gr.State
    due: gr.Number
    pulse: gr.Timer
    data: gr.HTML
    choose: gr.Button
    fields: tuple[Any, ...]
    command: gr.Code
    notice: gr.HTML
    start: gr.Button
    job: gr.HTML
    stop: gr.Button
    open: gr.Button
    count: gr.HTML
    others: gr.Button
    cards: gr.HTML

    def named(self) -> dict[str, Any]:
        """Return the fields by name."""
        return dict(zip(FIELD_NAMES, self.fields, strict=True))


def read_form(values: tuple[Any, ...]) -> Form:
    own = dict(zip(FIELD_NAMES, values, strict=True))
    settings = {name: own.pop(name) for name in attack_job.SETTINGS}
    target = {name: own.pop(name) or "" for name in attack_job.TARGET_SETTINGS}
    texts = {name: own[name] or "" for name in ("name", "only_answer", "only_question")}
    # An empty rate becomes NaN, which is refused later; an empty seed becomes 0; no count, or 0, means the rate.
    numbers = {"rate": own["rate"] if own["rate"] is not None else float("nan"), "seed": int(own["seed"] or 0)}
    numbers["count"] = int(own["count"]) if own["count"] else None
    lists = {"triggers": tuple(own["triggers"] or ()), "target": target, "settings": settings}
    return Form(**{**own, **texts, **numbers, **lists})


# --- what is shown ---------------------------------------------------------------------------------------------


def change_session(parts: Parts, session: Session, watch: Watch, due: int) -> Update:
    """Raise `due`, which calls `enter`, if visitor or data set changed after the tab was first opened."""
    stale = watch.data is not None and (watch.visitor, watch.data) != (session.visitor, session.data)
    return {parts.due: due + 1 if session.visitor and stale else gr.skip()}


@needs_visitor
def enter(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    """Show the chosen set, previews of its samples, and the followed job."""
    if (watch.visitor, watch.data) == (session.visitor, session.data):
        return refresh(parts, session, watch)
    watch = replace(watch, visitor=session.visitor, data=session.data, page=0)
    return refresh(parts, session, watch) | preview(parts, session, watch, *values)


def preview(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    """Show the settings of the chosen triggers, the command, and some samples before and after the attack."""
    form, workspace = read_form(values), workspace_of(session.visitor)
    fields = _visible_fields(parts, form)
    try:
        origin = attack_job.source(workspace, session.data)
    except ByeError as error:
        return fields | _no_preview(parts, alert(error)) | {parts.data: "", parts.choose: gr.Button(visible=True)}
    update = fields | {parts.data: data_sets.data_line(origin.name), parts.choose: gr.Button(visible=False)}
    if words := form.missing() if form.triggers else NO_TRIGGER:
        return update | _no_preview(parts, note(words))
    try:
        attack = attack_job.attack_of(form)
        dataset = attack_job.open_source(workspace, origin)
        fitted = attack.fit(dataset.samples)
        ids = attack_job.chosen_samples(dataset, form, fitted)
    except ByeError as error:
        return update | _no_preview(parts, alert(error))
    page = watch.page % attack_job.pages(ids)
    command = attack_job.arguments(form, attack, origin, attack_job.new_folder(workspace, form, origin))
    update |= {
        parts.command: gr.Code(discreet(jobs.command_line(attack_job.KIND, command)), visible=True),
        parts.notice: "",
        parts.start: gr.Button(interactive=True),
        parts.count: note(_count(page, len(ids), len(dataset.samples))),
        parts.others: gr.Button(visible=attack_job.pages(ids) > 1),
        parts.cards: preview_card.cards(attack_job.previews(dataset, form, fitted, ids, page)),
        parts.watch: replace(watch, page=page),
    }
    return update


def _count(page: int, chosen: int, total: int) -> str:
    if not chosen:
        return f"This setting poisons none of the {total:,} samples."
    first, last = page * attack_job.SHOWN + 1, min((page + 1) * attack_job.SHOWN, chosen)
    return f"{first:,} to {last:,} of the {chosen:,} samples to poison, out of {total:,}"


def _no_preview(parts: Parts, words: str) -> Update:
    hidden = {part: gr.update(visible=False) for part in (parts.command, parts.others)}
    return hidden | {parts.count: "", parts.cards: "", parts.notice: words, parts.start: gr.Button(interactive=False)}


def _visible_fields(parts: Parts, form: Form) -> Update:
    """Show only the settings of the chosen triggers and target."""
    named, rules = parts.named(), TARGETS[form.kind].settings()
    shown = {named[name]: gr.update(visible=name in form.trigger_settings()) for name in attack_job.SETTINGS}
    for name in attack_job.TARGET_SETTINGS:
        rule = rules.get(name)
        shown[named[name]] = (
            gr.Textbox(visible=False) if rule is None else gr.Textbox(visible=True, **field_words(rule))
        )
    return shown | {named["mix"]: gr.Checkbox(visible=len(form.triggers) > 1)}


def field_words(rule: TargetSetting) -> dict[str, Any]:
    """Return the label, the explanation and the height of the field of a target's setting."""
    return {"label": rule.label, "info": rule.help or None, "lines": rule.lines, "max_lines": max(2, rule.lines)}


def choose_target(parts: Parts, kind: str, *values: str) -> Update:
    """Fill in the example texts of the chosen kind of target, except in fields that the user has changed."""
    examples, update = TARGETS[kind].examples(), {}
    for name, value in zip(attack_job.TARGET_SETTINGS, values, strict=True):
        known = [other.examples()[name] for other in TARGETS.values() if name in other.settings()]
        changed = bool(value) and value not in known
        update[parts.named()[name]] = gr.skip() if changed or name not in examples else examples[name]
    return update


def next_samples(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    return preview(parts, session, replace(watch, page=watch.page + 1), *values)


# --- the job ---------------------------------------------------------------------------------------------------


def start(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    workspace = workspace_of(session.visitor)
    job = attack_job.start(workspace, read_form(values), attack_job.source(workspace, session.data))
    watch = replace(watch, job=job.id, state="")
    return refresh(parts, session, watch) | {parts.pulse: gr.Timer(active=True), parts.notice: ""}


@needs_visitor
def refresh(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the followed job with the buttons that apply."""
    workspace = workspace_of(session.visitor)
    job = _followed(workspace, watch)
    if job is None:
        return {parts.job: "", parts.stop: stop_button(None, ""), parts.open: gr.Button(visible=False)}
    state = job.state
    if (job.id, state) == (watch.job, watch.state) and state != jobs.RUNNING:
        return {parts.watch: watch}
    return {
        parts.job: _card(workspace, job, state),
        parts.stop: stop_button(job, state),
        parts.open: gr.Button(visible=state == jobs.DONE and (workspace.data / job.id).is_dir()),
        parts.watch: replace(watch, job=job.id, state=state),
    }


def _followed(workspace: Workspace, watch: Watch) -> jobs.Job | None:
    return jobs.current(workspace.jobs, attack_job.KIND, watch.job)


def _card(workspace: Workspace, job: jobs.Job, state: str) -> str:
    """Return the HTML of the job, and how much the trigger changed the written images."""
    result = (job.result() or {}) if state == jobs.DONE else {}
    words = [f"{result['poisoned']:,} samples poisoned"] if "poisoned" in result else []
    if "psnr" in result:
        words.append(f"PSNR {result['psnr']:.1f} dB, {result['psnr_encoded']:.1f} dB after encoding")
        words.append(f"{result['survives_encoding']:.0%} of the change survives the encoding")
    return job_card.card(workspace, job, "starting") + note("; ".join(words))


def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    yield from stop_job(_followed(workspace_of(session.visitor), watch), parts.stop)


def stopped(parts: Parts, session: Session, watch: Watch) -> Update:
    return refresh(parts, session, replace(watch, state=""))


def open_set(parts: Parts, session: Session, watch: Watch) -> Update:
    """Make the written set the chosen one."""
    job = _followed(workspace_of(session.visitor), watch)
    if job is None:
        return parts.unchanged()
    return {parts.session: open_data_in(workspace_of(session.visitor), session, job.id)}
