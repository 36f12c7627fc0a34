"""Shows a cleaning, or a check of a data set, as HTML: its stages with their states, then its results."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bye_core import pipeline, runs
from bye_core.pipeline.cleaning_folder import CleaningOutline
from bye_core.records import NO_EVIDENCE, NOT_TESTED
from bye_core.runs import jobs
from bye_core.text import MEASURES, UNITS, measured, verdict_words
from bye_core.ui.shared import job_card
from bye_core.ui.shared.messages import note, without_options

STATES = {
    **job_card.STATES,
    "waiting": "waiting",
    "skipped": "not needed",
    "untested": "skipped",
}
# Title of each stage, and the kind of its button.
STAGES = {
    "finetune suspect": ("Fine-tune on everything", "log"),
    "scan": ("Scan the fine-tuned model's attention", "review"),
    "detect": ("Detect poisoned samples", "layers"),
    "export": ("Export the remaining samples", "files"),
    "finetune cleaned": ("Fine-tune on the remaining samples", "log"),
    "finetune random": ("Fine-tune on all but a random 20%", "log"),
    "evaluate base": ("Measure the base model", ""),
    "evaluate suspect": ("Measure the model tuned on everything", ""),
    "evaluate random": ("Measure the model tuned on a random 80%", ""),
    "evaluate cleaned": ("Measure the model tuned on the remaining samples", ""),
    "report": ("Write the report", "report"),
}
MEND = "Change the settings or the data set, then start a new cleaning."
OPENS = {"log": "show log", "review": "review its samples", "layers": "show its layers", "files": "show folder",
         "report": "show report"}  # fmt: skip
# stages that run only if poisoning is found
AFTER_POISON = ("export", "finetune cleaned", "evaluate cleaned")
UNDER_WAY = (jobs.RUNNING, jobs.STOPPED, jobs.FAILED, jobs.LOST)  # of a stage that began and is not finished


@dataclass(frozen=True)
class Stage:
    """One stage of a cleaning; `state` is a job's state, waiting, skipped (no poisoning) or untested."""

    name: str
    state: str


def plan() -> str:
    """Return the stages of any cleaning, for a page that shows none yet."""
    names = ("finetune suspect", "scan", "detect", "export", "finetune cleaned")
    labels = [STAGES[name][0] + (", if poisoning is found" if name in AFTER_POISON else "") for name in names]
    labels += ["Measure every model, if there is a test set", STAGES["report"][0]]
    items = "".join(f"<li class='bye-stage-waiting'><span class='bye-stage'>{label}</span></li>" for label in labels)
    return f"<h3>What a cleaning does</h3><ol class='bye-stages'>{items}</ol>"


def outline_of(arguments: list[str] | tuple[str, ...]) -> CleaningOutline:
    """Return the stages and folders of the cleaning with these arguments."""
    return CleaningOutline.from_arguments(arguments)


def stages(job: jobs.Job, state: str) -> tuple[Stage, ...]:
    """Return every stage of a cleaning with its state, which follows from its files and the job's progress."""
    outline = outline_of(job.arguments)
    finished, current = outline.finished(), job.progress().stage
    begun = current if state in UNDER_WAY and current != "report" else ""
    detection = runs.Run.open(outline.folder.run).detection() if "detect" in finished else None
    skipped = {NO_EVIDENCE: "skipped", NOT_TESTED: "untested"}.get(detection.verdict if detection else "", "")

    def state_of(name: str) -> str:
        if skipped and name in AFTER_POISON:
            return skipped
        if name == begun and (state == jobs.RUNNING or name not in finished):
            return state
        return jobs.DONE if name in finished else "waiting"

    return tuple(Stage(name, state_of(name)) for name in outline.stages())


def card(job: jobs.Job, state: str, opens: bool = True) -> str:
    """Return the stages with their states and buttons, the progress of the current one, the results and the failure.

    opens  whether finished stages have buttons that open their results
    """
    standing = job.progress()
    items = "".join(_item(stage, standing, opens) for stage in stages(job, state))
    words = "starting" if state == jobs.RUNNING and not standing.total else job_card.STATES[state]
    stages_list = f"<ol class='bye-stages'>{items}</ol>"
    return job_card.section(job.title, state, words, f"{stages_list}{_results(job)}{job_card.failure(job, state)}")


def _item(stage: Stage, standing: jobs.JobProgress, with_buttons: bool) -> str:
    label, opens = STAGES[stage.name]
    opens = opens if with_buttons else ""
    more = _progress(stage, label, standing) if stage.state in UNDER_WAY else ""
    if opens and (stage.state == jobs.DONE or (stage.state in UNDER_WAY and opens in ("log", "review"))):
        more += f"<button type='button' class='bye-link' data-open='{stage.name}'>{OPENS[opens]}</button>"
    return (
        f"<li class='bye-stage-{stage.state}'><span class='bye-stage'>{escape(label)}</span>"
        f"<span class='bye-stage-state'>{STATES[stage.state]}</span>{more}</li>"
    )


def _progress(stage: Stage, label: str, standing: jobs.JobProgress) -> str:
    unit = UNITS.get(stage.name.partition(" ")[0], "samples")
    pace = job_card.pace(standing, unit) if stage.state == jobs.RUNNING else []
    facts = [f"{standing.done:,} of {standing.total:,} {unit}", *pace]
    words = ", ".join(facts) if standing.total else "starting" if stage.state == jobs.RUNNING else ""
    return (
        f"<progress aria-label='{escape(label, quote=True)}' max='{max(standing.total, 1)}' value='{standing.done}'>"
        f"</progress><span class='bye-note'>{escape(words)}</span>"
    )


def _results(job: jobs.Job) -> str:
    """Return the verdict and the measures of every model, "" before the job is done."""
    result = job.result() or {}
    if not result:
        return ""
    words = verdict_words(result["verdict"], result["flagged"], result["samples"])
    words += f", {result['kept']:,} kept." if "kept" in result else "."
    models = result["models"]
    keys = [key for key in MEASURES if any(facts.get(key) is not None for facts in models.values())]
    rows = "".join(
        f"<tr><th scope='row'>{escape(pipeline.MODELS[name])}</th>"
        f"{''.join(f'<td class=bye-number>{escape(measured(facts, key))}</td>' for key in keys)}</tr>"
        for name, facts in models.items()
    )
    head = "".join(f"<th scope='col' class='bye-number'>{MEASURES[key][0]}</th>" for key in keys)
    table = f"<table class='bye-table'><thead><tr><th scope='col'>model</th>{head}</tr></thead>{rows}</table>"
    reasons = "".join(f"<li>{escape(without_options(reason))}</li>" for reason in result.get("not_tested", ()))
    why = f"<ul>{reasons}</ul>{note(MEND)}" if reasons else ""
    return f"<p>{escape(words)}</p>{why}" + (f"<div class='bye-scroll' tabindex='0'>{table}</div>" if rows else "")
