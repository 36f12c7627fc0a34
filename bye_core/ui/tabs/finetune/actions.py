"""What the Fine-tune tab does with trainings: the command, start, watch, stop; see tabs/finetune.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from bye_core import figures, runs
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.runs.jobs import command_line
from bye_core.train import wording
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Session
from bye_core.ui.shared import job_card
from bye_core.ui.shared.job_card import failure_alert
from bye_core.ui.shared.messages import alert, clip, note
from bye_core.ui.shared.model_choice import DEMO_MODEL, SHIPPED, model_choices
from bye_core.ui.shared.plots import drawn
from bye_core.ui.shared.training_form import SETTINGS, settings_from_form
from bye_core.ui.tabs.finetune import evaluation_actions
from bye_core.ui.tabs.finetune import job as finetune_job
from bye_core.ui.tabs.finetune.parts import Parts, Seen, Update
from bye_core.ui.workspace import Workspace, workspace_of

NONE = "none"  # the state where there is no training
NOTHING = (
    "Nothing was fine-tuned here yet. Start it from the form: the loss is drawn while it runs. It goes on when this "
    "page is closed, and is found again."
)


def form_of(values: tuple[Any, ...]) -> finetune_job.Form:
    model, data, path, name, *settings = values
    given = dict(zip(SETTINGS, settings, strict=True))
    return finetune_job.Form(model or "", data or "", path or "", name or "", given)


# --- what is shown ---------------------------------------------------------------------------------------------


def arrive(parts: Parts, session: Session, seen: Seen) -> Update:
    """Somebody came in: what was at work goes on. All else waits until the tab is looked at, if it is not already."""
    if not session.visitor or session.visitor == seen.visitor:
        return {parts.seen: gr.skip()}
    if seen.awaited:
        return enter(parts, session, seen)
    return watch(parts, session, seen)


def enter(parts: Parts, session: Session, seen: Seen) -> Update:
    """The tab was chosen: the form for the open run, exports and adapters that came since, the training at work."""
    if not session.visitor:  # the tab was chosen before the page knew who is there
        return {parts.seen: replace(seen, awaited=True)}
    place = workspace_of(session.visitor)
    run = session_run(session)
    if seen.filled == session.run and seen.visitor == session.visitor:
        update: Update = {parts.form[1]: gr.Dropdown(finetune_job.data_choices(place, run))}
    else:
        update = _fill(parts, place, run, session)
        seen = Seen(filled=session.run)
    return update | watch(parts, session, seen)


def _fill(parts: Parts, place: Workspace, run: runs.Run | None, session: Session) -> Update:
    """The defaults of the form for the run that is open now."""
    model = "" if run is None else run.settings.model
    model = SHIPPED if model == str(DEMO_MODEL) else model
    data, settings = finetune_job.default_data(place, run), finetune_job.default_settings(run)
    values = [model, data, "", "", *(getattr(settings, name) for name in SETTINGS)]
    update: Update = dict(zip(parts.form, values, strict=True)) | preview(parts, session, None, *values)
    chosen = finetune_job.recipe_of(run, settings)
    if data == finetune_job.RAW and run:
        update[parts.notice] = note("This run is not exported yet: export it first to fine-tune on what is left.")
    return update | {
        parts.form[0]: gr.Dropdown(model_choices(place), value=model),
        parts.form[1]: gr.Dropdown(finetune_job.data_choices(place, run), value=data),
        parts.recipe: gr.Dropdown(finetune_job.recipes(run), value=chosen),
        **evaluation_actions.fill(parts, place, run),
    }


def preview(parts: Parts, session: Session, _: Any, *values: Any) -> Update:
    """The command as it would run now, or what is wrong with the form."""
    place, form = workspace_of(session.visitor), form_of(values)
    shown: Update = {parts.form[2]: gr.Textbox(visible=form.data == finetune_job.OTHER)}
    try:
        run = session_run(session)
        given = finetune_job.arguments(place, run, form)
        shown[parts.recipe] = finetune_job.recipe_of(run, settings_from_form(form.settings))
        return {**shown, parts.command: command_line(finetune_job.KIND, given), parts.notice: ""}
    except ByeError as error:
        return {**shown, parts.command: "", parts.notice: alert(error)}


def take_recipe(parts: Parts, session: Session, _: Any, name: str) -> Update:
    """All settings of a recipe at once; the command follows the fields."""
    settings = finetune_job.recipe(session_run(session), name)
    if settings is None:
        return {}
    fields = parts.form[-len(SETTINGS) :]
    return {field: getattr(settings, name) for name, field in zip(SETTINGS, fields, strict=True)}


def pick(parts: Parts, session: Session, seen: Seen, id: str | None) -> Update:
    """Another training of the list."""
    return watch(parts, session, replace(seen, job=id or "", state="", drawn=-1))


def watch(parts: Parts, session: Session, seen: Seen) -> Update:
    """How training and measurement stand now; what has not changed is not sent again."""
    if not session.visitor:
        return {parts.seen: gr.skip()}
    place = workspace_of(session.visitor)
    update, now = _training(parts, place, seen)
    measured, now = evaluation_actions.watch(parts, place, session, now)
    now = replace(now, visitor=session.visitor)
    return {**update, **measured, parts.seen: now if now != seen else gr.skip()}


def _training(parts: Parts, place: Workspace, seen: Seen) -> tuple[Update, Seen]:
    job = finetune_job.current(place, seen.job)
    if job is None:
        if seen.state == NONE:
            return {}, seen
        hidden = (parts.figure, parts.log, parts.stop, parts.again, parts.job)
        empty: Update = {part: gr.update(visible=False) for part in hidden}
        return {**empty, parts.status: note(NOTHING)}, replace(seen, job="", state=NONE)
    state = job.state
    ended = state != jobs.RUNNING and (job.id, state) == (seen.job, seen.state)
    if ended and seen.settled:
        return {}, seen
    losses, all_jobs = finetune_job.losses(job), finetune_job.trainings(place)
    update: Update = {
        parts.status: status(job, state),
        parts.stop: gr.Button("Stop", visible=state == jobs.RUNNING, interactive=True),
        parts.again: gr.Button(
            "Go on" if finetune_job.saved_step(job) else "Start again",
            visible=state in (jobs.FAILED, jobs.STOPPED, jobs.LOST),
        ),
        parts.log: gr.Textbox(finetune_job.log(job) or "(nothing yet)", visible=True),
        parts.job: gr.Dropdown([one.id for one in all_jobs], value=job.id, visible=len(all_jobs) > 1),
    }
    if (job.id, len(losses)) != (seen.job, seen.drawn):
        update[parts.figure] = drawn(figures.loss_figure(losses))
    return update, replace(seen, job=job.id, state=state, settled=ended, drawn=len(losses))


def status(job: jobs.Job, state: str) -> str:
    """What is trained, how far it is, and why it failed."""
    standing, running = job.progress(), state == jobs.RUNNING
    state_words = job_card.STATES[state]
    if running and not standing.total:
        state_words = "starting: the model is being loaded, the data looked at"
    facts = [f"step {standing.done:,} of {standing.total:,}"] if standing.total else []
    if running:
        facts += [part for part in job_card.pace(standing, "steps").split(", ") if part]
    if (loss := standing.facts.get("loss")) is not None:
        facts.append(f"loss {loss:.3f}")
    where = (
        f"<p class='bye-note'>adapter: {escape(finetune_job.argument(job, '--out'))}</p>" if state == jobs.DONE else ""
    )
    if state not in (jobs.RUNNING, jobs.DONE) and (saved := finetune_job.saved_step(job)):
        where = f"<p class='bye-note'>Saved at step {saved:,}: it can be gone on with from there.</p>"
    cells = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    known = f"max='{standing.total}' value='{standing.done}'" if standing.total else "" if running else "value='0'"
    return (
        f"<section class='bye-job'><h4><bdi>{escape(job.title)}</bdi>"
        f"<span class='bye-state bye-state-{state}'>{escape(state_words)}</span></h4>"
        f"<progress aria-label='progress of the training' {known}></progress>"
        f"<p class='bye-job-facts'>{cells}</p>{where}{failure_alert(job.error())}{found_before(job)}</section>"
    )


def found_before(job: jobs.Job) -> str:
    """What the training found before its first step: samples, those left out and why, lengths, memory."""
    found = finetune_job.preflight(job)
    if not found:
        return ""
    lines = {"Samples": f"{found['samples']:,}", "Tokens": wording.tokens(found["tokens"])}
    lines |= {"Trained weights": f"{found['trained_weights']:,}", "Memory": wording.memory(found["memory"])}
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines.items())
    tight = f"<p class='bye-note'>{wording.TIGHT}</p>" if found["memory"]["total"] > found["memory"]["free"] else ""
    return f"<dl class='bye-found'>{cells}</dl>{tight}{_left_out(found)}"


def _left_out(found: Mapping[str, Any]) -> str:
    if not found["left_out"]:
        return ""
    told = [f"{fault['id']}: {fault['problem']} {fault['remedy']}" for fault in found["faults"]]
    told += [", ".join(f"{count:,} x {kind}" for kind, count in found["reasons"].items())] * (
        found["left_out"] > len(told)
    )
    lines = "".join(f"<li>{escape(clip(line, 400))}</li>" for line in told)
    return f"<details><summary>{found['left_out']:,} left out, and why</summary><ul>{lines}</ul></details>"


# --- what is done ----------------------------------------------------------------------------------------------


def start(parts: Parts, session: Session, seen: Seen, *values: Any) -> Update:
    place = workspace_of(session.visitor)
    job = finetune_job.start(place, session_run(session), form_of(values))
    # A name of one's own is taken now.
    values = (*values[:3], "", *values[4:])
    return {
        **preview(parts, session, None, *values),
        **watch(parts, session, replace(seen, job=job.id, state="", drawn=-1)),
        parts.form[3]: "",
        parts.pulse: gr.Timer(active=True),
    }


def stop(parts: Parts, session: Session, seen: Seen) -> Update:
    job = finetune_job.current(workspace_of(session.visitor), seen.job)
    if job:
        job.stop()
    return watch(parts, session, seen)


def again(parts: Parts, session: Session, seen: Seen) -> Update:
    """Start the same training once more: from its last checkpoint, if it has one."""
    finetune_job.restart(workspace_of(session.visitor), seen.job)
    return {**watch(parts, session, seen), parts.pulse: gr.Timer(active=True)}
