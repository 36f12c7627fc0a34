"""What the Fine-tune tab does: the command, start, watch and stop a training, measure before and after; see
tabs/finetune.py."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from bye_core import figures, runs
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.runs.jobs import command_line
from bye_core.ui import job_card, outcome, scans, tuning
from bye_core.ui.messages import alert, clip, note
from bye_core.ui.session import Session
from bye_core.ui.views import open_view
from bye_core.ui.visitors import Workplace, workplace

LOG_LINES = 200
NOTHING = (
    "Nothing was fine-tuned here yet. Start it on the left: the loss is drawn while it runs. It goes on when this page "
    "is closed, and is found again."
)
NOT_MEASURED = (
    "Fine-tune on what is left, then measure: the back door should be gone (ASR near 0) and the answers as good as "
    "before (CP unchanged)."
)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Seen:
    """What the page shows: of which run and visitor the form is, which training, how much of its curve, what state."""

    visitor: str = ""
    run: str = ""
    job: str = ""
    state: str = ""
    drawn: int = -1
    measured: str = ""
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """The tab's components; `form` are model, data, path, name and the settings in tuning's order; `test` are the
    evaluation's fields."""

    session: gr.State
    seen: gr.State
    pulse: gr.Timer
    form: tuple[Any, ...]
    command: gr.Code
    notice: gr.HTML
    start: gr.Button
    job: gr.Dropdown
    status: gr.HTML
    figure: gr.Plot
    stop: gr.Button
    again: gr.Button
    log: gr.Code
    test: tuple[Any, ...]
    measure: gr.Button
    halt: gr.Button
    said: gr.HTML
    table: gr.HTML
    compared: gr.Plot

    def all(self) -> list[Any]:
        own = [part for name, part in vars(self).items() if name not in ("form", "test")]
        return [*own, *self.form, *self.test]


def open_run(place: Workplace, session: Session) -> runs.Run | None:
    return open_view(place.run_path(session.run)).run if session.run else None


def form_of(values: tuple[Any, ...]) -> tuning.Form:
    model, data, path, name, *settings = values
    names = (*tuning.MAIN, *tuning.MORE)
    return tuning.Form(model or "", data or "", path or "", name or "", dict(zip(names, settings, strict=True)))


# --- what is shown ---------------------------------------------------------------------------------------------


def enter(parts: Parts, session: Session, seen: Seen, *_: Any) -> Update:
    """The tab was chosen: the form for the open run, exports and adapters that came since, the training at work."""
    place = workplace(session.visitor)
    run = open_run(place, session)
    anew = (session.visitor, session.run) != (seen.visitor, seen.run)
    seen = Seen(session.visitor, session.run, job=seen.job if not anew else "")
    choices, named = tuning.data_choices(place, run), _trainings(place, seen)
    update = {
        parts.form[0]: gr.Dropdown(scans.models(place)),
        parts.form[1]: gr.Dropdown(choices),
        **_adapters(parts, place, run, seen, anew),
        parts.job: named,
    }
    if anew:
        update |= _fill(parts, place, run, session)
    return {**update, **watch(parts, session, seen)}


def _fill(parts: Parts, place: Workplace, run: runs.Run | None, session: Session) -> Update:
    """Defaults of the form, for the run that is open now."""
    settings, measured = tuning.default_settings(run), outcome.wanted_of(place) or outcome.defaults(run)
    model = "" if run is None else run.settings.model
    data = tuning.default_data(place, session.run) if run else tuning.OTHER
    values = [scans.SHIPPED if model == str(scans.DEMO_MODEL) else model, data, "", ""]
    values += [getattr(settings, name) for name in (*tuning.MAIN, *tuning.MORE)]
    update: Update = dict(zip(parts.form, values, strict=True))
    update[parts.form[0]] = gr.Dropdown(scans.models(place), value=values[0])
    update[parts.form[1]] = gr.Dropdown(tuning.data_choices(place, run), value=data)
    update[parts.form[2]] = gr.Textbox("", visible=data == tuning.OTHER)
    fields = (measured.data, measured.trigger, measured.size, measured.target)
    update |= dict(zip(parts.test, fields, strict=False))
    form = tuning.Form(values[0], data, settings={})
    return {**update, **preview(parts, session, None, *values[:4], *values[4:]), parts.notice: _hint(form, run)}


def _hint(form: tuning.Form, run: runs.Run | None) -> str:
    if run is None:
        return note("No run is open. Open one, or name a data set of your own.")
    if form.data == tuning.RAW:
        return note("This run has not been exported yet: export it first to fine-tune on what is left.")
    return ""


def _adapters(parts: Parts, place: Workplace, run: runs.Run | None, seen: Seen, anew: bool) -> Update:
    """The two lists of adapters: the scanned one was tuned on everything, the newest of the others on what is left."""
    found = tuning.adapters(place, run)
    choices = [("none", ""), *found]
    scanned = (run.settings.adapter if run else "") or ""
    wanted = outcome.wanted_of(place)
    left = next((path for _, path in found if path != scanned), "")
    if wanted and anew and not run:
        scanned, left = wanted.everything, wanted.left
    return {
        parts.test[4]: gr.Dropdown(choices, **({"value": scanned} if anew else {})),
        parts.test[5]: gr.Dropdown(choices, value=left),
    }


def _trainings(place: Workplace, seen: Seen) -> gr.Dropdown:
    found = tuning.trainings(place)
    shown = tuning.current(place, seen.job)
    return gr.Dropdown([job.id for job in found], value=shown.id if shown else None, visible=len(found) > 1)


def preview(parts: Parts, session: Session, _: Any, *values: Any) -> Update:
    """The command as it would run now, or what is wrong with the form."""
    place = workplace(session.visitor)
    form = form_of(values)
    shown = {parts.form[2]: gr.Textbox(visible=form.data == tuning.OTHER)}
    try:
        command = command_line(tuning.KIND, tuning.arguments(place, open_run(place, session), form))
        return {**shown, parts.command: command, parts.notice: ""}
    except ByeError as error:
        return {**shown, parts.command: "", parts.notice: alert(error)}


def pick(parts: Parts, session: Session, seen: Seen, id: str | None) -> Update:
    return watch(parts, session, Seen(seen.visitor, seen.run, id or "", adapters=seen.adapters))


def watch(parts: Parts, session: Session, seen: Seen, *_: Any) -> Update:
    """How the training and the measurement stand now; what has not changed is not sent again."""
    if not session.visitor:
        return {parts.seen: gr.skip()}
    place = workplace(session.visitor)
    trained, now = _training(parts, place, seen)
    measured, key = _measured(parts, place, seen)
    update = {**trained, **measured}
    adapters = tuple(path for _, path in tuning.adapters(place, None))
    if adapters != seen.adapters:
        update |= _adapters(parts, place, open_run(place, session), seen, anew=False)
    now = Seen(session.visitor, seen.run, now.job, now.state, now.drawn, key, adapters)
    return update | {parts.seen: now} if now != seen or update else {parts.seen: gr.skip()}


def _training(parts: Parts, place: Workplace, seen: Seen) -> tuple[Update, Seen]:
    job = tuning.current(place, seen.job)
    if job is None:
        if seen.state == "none":
            return {}, seen
        empty = {
            parts.status: note(NOTHING), parts.figure: gr.Plot(visible=False), parts.log: gr.Code("", visible=False),
            parts.stop: gr.Button(visible=False), parts.again: gr.Button(visible=False),
        }  # fmt: skip
        return empty, Seen(state="none")
    state, running = job.state, job.state == jobs.RUNNING
    if not running and (job.id, state) == (seen.job, seen.state):
        return {}, seen
    losses = tuning.losses(job)
    update: Update = {
        parts.status: status(job, state),
        parts.stop: gr.Button("Stop", visible=running, interactive=True),
        parts.again: gr.Button(visible=state in (jobs.FAILED, jobs.STOPPED, jobs.LOST)),
        parts.log: gr.Code(job.log(LOG_LINES) or "(nothing yet)", visible=True),
        parts.job: _trainings(place, Seen(job=job.id)),
    }
    if (job.id, len(losses)) != (seen.job, seen.drawn):
        update[parts.figure] = gr.Plot(figures.loss_figure(losses), visible=True)
    return update, Seen(job=job.id, state=state, drawn=len(losses))


def status(job: jobs.Job, state: str) -> str:
    """What is trained on what, how far it is, and why it failed."""
    standing, running = job.progress(), state == jobs.RUNNING
    words = job_card.STATES[state]
    if running and not standing.total:
        words = "starting: the model is being loaded"
    facts = [f"step {standing.done:,} of {standing.total:,}"] if standing.total else []
    if running:
        facts += [part for part in job_card.pace(standing, "steps").split(", ") if part]
    if (loss := standing.facts.get("loss")) is not None:
        facts.append(f"loss {loss:.3f}")
    failed = _failure(job.error())
    where = f"<p class='bye-note'>adapter: {escape(tuning.argument(job, '--out'))}</p>" if state == jobs.DONE else ""
    cells = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    bar = f"<progress aria-label='progress of the training' max='{standing.total or 1}' value='{standing.done}'>"
    return (
        f"<section class='bye-job'><h4><bdi>{escape(job.title)}</bdi>"
        f"<span class='bye-state bye-state-{state}'>{escape(words)}</span></h4>{bar}</progress>"
        f"<p class='bye-job-facts'>{cells}</p>{where}{failed}</section>"
    )


def _failure(failure: jobs.Failure | None) -> str:
    if failure is None:
        return ""
    problem, remedy = escape(clip(failure.problem, 1500)), escape(clip(failure.remedy, 500))
    return f"<div class='bye-alert' role='alert'><strong>{problem}</strong> {remedy}</div>"


def _measured(parts: Parts, place: Workplace, seen: Seen) -> tuple[Update, str]:
    """The table of what is measured; begins the next arm when the one before has ended."""
    wanted = outcome.wanted_of(place)
    if wanted is None:
        empty = {parts.table: note(NOT_MEASURED), parts.compared: gr.Plot(visible=False)}
        return (empty if seen.measured != "none" else {}), "none"
    try:
        busy, said = outcome.advance(place), ""
    except jobs.TooManyJobs as error:
        busy, said = True, alert(error)
    found = outcome.arms(place, wanted)
    standing = [(arm.name, arm.state, arm.job.progress().done if arm.job and busy else 0) for arm in found]
    key = f"{wanted}{standing}"
    if key == seen.measured:
        return ({parts.pulse: gr.Timer(active=True)} if busy else {}), key
    said = _failure(outcome.failure(found)) or said
    facts = {arm.name: arm.facts for arm in found}
    pair = facts.get("everything") and facts.get("left")
    drawn = figures.outcome_figure(facts["everything"], facts["left"]) if pair else None
    update: Update = {
        parts.table: outcome.table(found),
        parts.said: said,
        parts.compared: gr.Plot(drawn, visible=True) if drawn else gr.Plot(visible=False),
        parts.measure: gr.Button(interactive=not busy),
        parts.halt: gr.Button(visible=busy),
    }
    return update | ({parts.pulse: gr.Timer(active=True)} if busy else {}), key


# --- what is done ----------------------------------------------------------------------------------------------


def start(parts: Parts, session: Session, seen: Seen, *values: Any) -> Update:
    place = workplace(session.visitor)
    job = tuning.start(place, open_run(place, session), form_of(values))
    shown = watch(parts, session, Seen(seen.visitor, seen.run, job.id, measured=seen.measured))
    return {**shown, parts.notice: "", parts.form[3]: "", parts.pulse: gr.Timer(active=True)}


def stop(parts: Parts, session: Session, seen: Seen, *_: Any) -> Update:
    job = tuning.current(workplace(session.visitor), seen.job)
    if job:
        job.stop()
    return watch(parts, session, seen)


def again(parts: Parts, session: Session, seen: Seen, *_: Any) -> Update:
    """Start the same training anew: nothing of an unfinished one is kept."""
    tuning.check_allowed()
    job = tuning.current(workplace(session.visitor), seen.job)
    if job:
        job.resume(at_most=tuning.limits().jobs)
    return {**watch(parts, session, seen), parts.pulse: gr.Timer(active=True)}


def measure(parts: Parts, session: Session, seen: Seen, model: str, *values: Any) -> Update:
    data, trigger, size, target, everything, left = values
    place = workplace(session.visitor)
    wanted = outcome.make(place, model, data or "", trigger, size, target or "", (everything, left))
    outcome.begin(place, wanted)
    return {**watch(parts, session, seen), parts.pulse: gr.Timer(active=True)}


def halt(parts: Parts, session: Session, seen: Seen, *_: Any) -> Update:
    outcome.stop(workplace(session.visitor))
    return watch(parts, session, seen)
