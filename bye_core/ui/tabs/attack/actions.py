"""What the Attack tab does: samples before and after, the command, the job that writes the set; see tabs/attack.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, job_card
from bye_core.ui.shared.messages import alert, discreet, note
from bye_core.ui.tabs.attack import job as attack_job
from bye_core.ui.tabs.attack import preview_card
from bye_core.ui.tabs.attack.job import Form, Source
from bye_core.ui.workspace import Workspace, workspace_of

NO_TRIGGER = "Choose a trigger: what it makes of samples is shown here."
NO_WORD = "Name the word to look for: samples whose answer holds it can be poisoned."
Update = dict[Any, Any]


@dataclass(frozen=True)
class Seen:
    """What the page shows by now: whose, of which set, which samples (`page`), of which job in which state."""

    visitor: str = ""
    data: str | None = None
    page: int = 0
    job: str = ""
    state: str = ""


@dataclass(frozen=True)
class Parts:
    """The tab's components; `fields` are the form's: those of planting.Form but its settings, in its order, then the
    settings in the order of planting.SETTINGS."""

    session: gr.State
    seen: gr.State
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

    def all(self) -> list[Any]:
        return [part for name, part in vars(self).items() if name != "fields"] + list(self.fields)

    def named(self) -> dict[str, Any]:
        """The fields by their names in planting.Form and planting.SETTINGS."""
        return dict(zip((*_NAMES, *attack_job.SETTINGS), self.fields, strict=True))


_NAMES = tuple(name for name in Form.__dataclass_fields__ if name != "settings")


def form_of(values: tuple[Any, ...]) -> Form:
    own = dict(zip((*_NAMES, *attack_job.SETTINGS), values, strict=True))
    settings = {name: own.pop(name) for name in attack_job.SETTINGS}
    texts = {name: value or "" for name, value in own.items() if name in ("text", "word", "name")}
    texts |= {name: own[name] or "" for name in ("only_answer", "only_question")}
    # A field that was emptied is a rate or seed of none.
    numbers = {"rate": own["rate"] if own["rate"] is not None else float("nan"), "seed": int(own["seed"] or 0)}
    return Form(**{**own, **texts, **numbers, "triggers": tuple(own["triggers"] or ()), "settings": settings})


# --- what is shown ---------------------------------------------------------------------------------------------


def arrive(parts: Parts, session: Session, seen: Seen, due: int) -> Update:
    """Somebody came in, or another set was chosen: `due` then grows, and `enter` follows. Samples wait until the tab is
    looked at for the first time."""
    stale = seen.data is not None and (seen.visitor, seen.data) != (session.visitor, session.data)
    return {parts.due: due + 1 if session.visitor and stale else gr.skip()}


def enter(parts: Parts, session: Session, seen: Seen, *values: Any) -> Update:
    """The tab was chosen: the set, samples of it, and the job at work."""
    if not session.visitor:
        return {parts.seen: gr.skip()}
    if (seen.visitor, seen.data) == (session.visitor, session.data):
        return watch(parts, session, seen)
    seen = replace(seen, visitor=session.visitor, data=session.data, page=0)
    return watch(parts, session, seen) | preview(parts, session, seen, *values)


def preview(parts: Parts, session: Session, seen: Seen, *values: Any) -> Update:
    """The form as it stands: which settings it has, the command, and some samples before and after."""
    form, place = form_of(values), workspace_of(session.visitor)
    fields = _fitting(parts, form)
    try:
        origin = attack_job.source(place, session.data)
    except ByeError as error:
        return fields | _nothing(parts, alert(error)) | {parts.data: "", parts.choose: gr.Button(visible=True)}
    update = fields | {parts.data: _data_line(origin), parts.choose: gr.Button(visible=False)}
    if not form.triggers or (form.kind == "swap" and not form.word.strip()):
        return update | _nothing(parts, note(NO_WORD if form.triggers else NO_TRIGGER))
    try:
        attack = attack_job.attack_of(form)
        dataset = attack_job.open_source(place, origin)
        ids = attack_job.chosen(dataset, form, attack)
    except ByeError as error:
        return update | _nothing(parts, alert(error))
    page = seen.page % attack_job.pages(ids)
    command = attack_job.arguments(form, attack, origin, attack_job.out_of(place, form, origin))
    update |= {
        parts.command: gr.Code(discreet(jobs.command_line(attack_job.KIND, command)), visible=True),
        parts.notice: "",
        parts.start: gr.Button(interactive=True),
        parts.count: note(_count(page, len(ids), len(dataset.samples))),
        parts.others: gr.Button(visible=attack_job.pages(ids) > 1),
        parts.cards: preview_card.cards(attack_job.previews(dataset, form, attack, ids, page)),
        parts.seen: replace(seen, page=page),
    }
    return update


def _count(page: int, chosen: int, total: int) -> str:
    if not chosen:
        return f"At this rate none of {total:,} samples is poisoned."
    first, last = page * attack_job.SHOWN + 1, min((page + 1) * attack_job.SHOWN, chosen)
    return f"{first:,} to {last:,} of the {chosen:,} samples that are poisoned, of {total:,}"


def _data_line(origin: Source) -> str:
    return data_sets.data_line(origin.name)


def _nothing(parts: Parts, words: str) -> Update:
    hidden = {part: gr.update(visible=False) for part in (parts.command, parts.others)}
    return hidden | {parts.count: "", parts.cards: "", parts.notice: words, parts.start: gr.Button(interactive=False)}


def _fitting(parts: Parts, form: Form) -> Update:
    """Only the settings of the chosen triggers are there, and the second word only for a swap."""
    named = parts.named()
    shown = {named[name]: gr.update(visible=name in form.own()) for name in attack_job.SETTINGS}
    swap = form.kind == "swap"
    return shown | {
        named["mix"]: gr.Checkbox(visible=len(form.triggers) > 1),
        named["word"]: gr.Textbox(visible=swap),
        named["text"]: gr.Textbox(label="by this word" if swap else "Its words"),
    }


def aim(parts: Parts, kind: str, text: str) -> Update:
    """Another kind of target brings its own words, where the field still holds those of the last kind."""
    usual = [words for _, words in attack_job.TARGET_WORDS.values()]
    return {parts.named()["text"]: attack_job.TARGET_WORDS[kind][1] if not text or text in usual else gr.skip()}


def others(parts: Parts, session: Session, seen: Seen, *values: Any) -> Update:
    return preview(parts, session, replace(seen, page=seen.page + 1), *values)


# --- the job ---------------------------------------------------------------------------------------------------


def start(parts: Parts, session: Session, seen: Seen, *values: Any) -> Update:
    place = workspace_of(session.visitor)
    job = attack_job.start(place, form_of(values), attack_job.source(place, session.data))
    seen = replace(seen, job=job.id, state="")
    return watch(parts, session, seen) | {parts.pulse: gr.Timer(active=True), parts.notice: ""}


def watch(parts: Parts, session: Session, seen: Seen) -> Update:
    """The job as it stands, with buttons that fit."""
    if not session.visitor:
        return {parts.seen: gr.skip()}
    place = workspace_of(session.visitor)
    job = attack_job.job_named(place, seen.job)
    if job is None:
        return {parts.job: "", parts.stop: gr.Button(visible=False), parts.open: gr.Button(visible=False)}
    state = job.state
    if (job.id, state) == (seen.job, seen.state) and state != jobs.RUNNING:
        return {parts.seen: seen}
    return {
        parts.job: _card(place, job, state),
        parts.stop: gr.Button(visible=state == jobs.RUNNING),
        parts.open: gr.Button(visible=state == jobs.DONE and (place.data / job.id).is_dir()),
        parts.seen: replace(seen, job=job.id, state=state),
    }


def _card(place: Workspace, job: jobs.Job, state: str) -> str:
    result = (job.result() or {}) if state == jobs.DONE else {}
    words = [f"{result['poisoned']:,} samples poisoned"] if "poisoned" in result else []
    if "psnr" in result:
        words.append(f"PSNR {result['psnr']:.1f} dB, {result['psnr_encoded']:.1f} dB in the files")
        words.append(f"{result['survives_encoding']:.0%} of the change survives the encoder")
    return job_card.card(place, job) + note("; ".join(words))


def stop(parts: Parts, session: Session, seen: Seen) -> Update:
    job = attack_job.job_named(workspace_of(session.visitor), seen.job)
    if job is not None:
        job.stop()
    return watch(parts, session, replace(seen, state=""))


def open_set(parts: Parts, session: Session, seen: Seen) -> Update:
    """The set that was written becomes the chosen one."""
    job = attack_job.job_named(workspace_of(session.visitor), seen.job)
    return {parts.session: replace(session, data=job.id)} if job is not None else {parts.seen: gr.skip()}
