"""Cleanings of a workspace: from a raw model and a suspect set to a report, each one job; how far it is. No gradio."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from bye_core import pipeline, runs
from bye_core.cli.main import build_parser
from bye_core.cli.training import cleaning_of
from bye_core.errors import DataError
from bye_core.pipeline.cleaning import Cleaning
from bye_core.pipeline.cleaning_folder import CleaningOutline
from bye_core.runs import jobs
from bye_core.text import MEASURES, measured
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.shared import attack_form, data_sets, job_card
from bye_core.ui.shared.attack_form import PAPER_SIZE, TEST, attack_arguments
from bye_core.ui.shared.limits import limits
from bye_core.ui.shared.messages import clip
from bye_core.ui.shared.model_choice import SHIPPED, resolve_model
from bye_core.ui.shared.training_form import check_allowed, settings_from_form
from bye_core.ui.workspace import Workspace

KIND, FOLDER = "clean", "cleanings"
NO_TRIGGER = attack_form.NO_TRIGGER
STATES = {"done": "done", "running": "at work", "waiting": "waits", "skipped": "not needed"}
# What each stage does, and what of it can be opened.
WORDS = {
    "finetune suspect": ("Fine-tune on everything", "log"),
    "scan": ("Scan where the tuned model looks", "review"),
    "detect": ("Detect", "layers"),
    "export": ("Export what is left", "files"),
    "finetune cleaned": ("Fine-tune on what is left", "log"),
    "finetune random": ("Fine-tune on all but a random 20%", "log"),
    "evaluate base": ("Measure the base model", ""),
    "evaluate suspect": ("Measure the one tuned on everything", ""),
    "evaluate random": ("Measure the one tuned on a random 80%", ""),
    "evaluate cleaned": ("Measure the one tuned on what is left", ""),
    "report": ("Report", "report"),
}
OPENS = {"log": "log", "review": "review its samples", "layers": "see its layers", "files": "where it is",
         "report": "show it"}  # fmt: skip
# Only where poisoning is found.
AFTER_POISON = ("export", "finetune cleaned", "evaluate cleaned")
LOG_BYTES = 1 << 15


class NoSetChosen(DataError):
    problem = "No data set is chosen to be cleaned."
    remedy = "Choose one in Data first."


@dataclass(frozen=True)
class Form:
    """The fields of the Clean tab. `settings` are those of FinetuneSettings, by name."""

    model: str = ""
    test: str = ""
    trigger: str = NO_TRIGGER
    size: float = PAPER_SIZE
    target: str = attack_form.TARGET
    truth: str = ""
    random: bool = False
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One stage of a cleaning as it stands: `state` is one of STATES."""

    name: str
    state: str


def defaults(data: str) -> Form:
    """For the demo's set its own model, test set, trigger and the settings that its adapters were tuned with."""
    if data != data_sets.DEMO or not TEST.is_file():
        return Form(settings=dataclasses.asdict(FinetuneSettings()))
    from bye_core.demo.recipe import TARGET, TOUR, TRIGGER, TRIGGER_SIZE

    return Form(SHIPPED, str(TEST), TRIGGER, TRIGGER_SIZE, TARGET, settings=dataclasses.asdict(TOUR))


def folder_of(place: Workspace, data: str, form: Form) -> Path:
    """The folder that a start would make now; its run and its job have the same name."""
    stem = form.name.strip() or f"{data_sets.find(place, data).name.rpartition('/')[2].partition('.')[0]}-cleaning"
    return data_sets.free_folder(place.root / FOLDER, stem, place.jobs, place.runs)


def arguments(place: Workspace, data: str, form: Form) -> list[str]:
    """Of `python -m bye_core clean`; what is as the command line has it by itself is left out."""
    if not data:
        raise NoSetChosen()
    choice, out = data_sets.find(place, data), folder_of(place, data, form)
    found = ["--model", resolve_model(form.model), "--data", data_sets.path_of(place, choice)]
    found += pipeline.source_arguments(choice.format, choice.columns)
    found += ["--out", str(out), "--run", str(place.runs / out.name)]
    settings, usual = settings_from_form(form.settings), FinetuneSettings()
    for one in dataclasses.fields(FinetuneSettings):
        value, flag = getattr(settings, one.name), one.name.replace("_", "-")
        if value == getattr(usual, one.name):
            continue
        found += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", f"{value}"]
    if form.test.strip():
        own = form.test.strip() == str(TEST)
        test = str(TEST) if own else data_sets.path_of(place, data_sets.find(place, data_sets.key_of(form.test)))
        found += ["--test", test]
    found += attack_arguments(form.trigger, form.size or 0, form.target or attack_form.TARGET, form.truth)
    found += ["--baseline", "random"] if form.random else []
    wanted_of(found)
    return found


def wanted_of(given: list[str] | tuple[str, ...]) -> Cleaning:
    """What a command line asks for. Raises what makes no sense about it."""
    return cleaning_of(build_parser().parse_args([KIND, *given]))


def start(place: Workspace, data: str, form: Form) -> jobs.Job:
    """Begin a cleaning in a process of its own. Raises a ByeError where something stands against it."""
    check_allowed()
    given = arguments(place, data, form)
    name = Path(argument(given, "--out")).name
    return jobs.start(place.jobs / name, KIND, given, title=name, at_most=limits().jobs)


def resume(job: jobs.Job) -> None:
    check_allowed()
    job.resume(at_most=limits().jobs)


def cleanings(place: Workspace) -> tuple[jobs.Job, ...]:
    """Newest first."""
    return tuple(job for job in jobs.list_jobs(place.jobs) if job.kind == KIND)


def current(place: Workspace, id: str = "") -> jobs.Job | None:
    """The cleaning named, else the newest that runs, else the newest."""
    found = cleanings(place)
    named = next((job for job in found if job.id == id), None)
    return named or next((job for job in found if job.state == jobs.RUNNING), found[0] if found else None)


def argument(given: list[str] | tuple[str, ...], flag: str) -> str:
    return given[given.index(flag) + 1]


def out_of(job: jobs.Job) -> Path:
    return Path(argument(job.arguments, "--out"))


def standing(job: jobs.Job, state: str) -> tuple[Stage, ...]:
    """Every stage of a cleaning, done or not, by its files and what the job says."""
    outline = CleaningOutline.from_arguments(job.arguments)
    finished, at = outline.finished(), job.progress().stage
    clean = "detect" in finished and runs.Run.open(outline.folder.run).detection().verdict != "poisoned"
    found = []
    for name in outline.stages():
        if clean and name in AFTER_POISON:
            found.append(Stage(name, "skipped"))
        elif state == jobs.RUNNING and name == at and name != "report":
            found.append(Stage(name, "running"))
        else:
            found.append(Stage(name, "done" if name in finished else "waiting"))
    return tuple(found)


def log(job: jobs.Job, stage: str = "") -> str:
    """The end of what the training of that stage said; without a stage, of what the whole job said."""
    folder = {"finetune suspect": "suspect", "finetune cleaned": "cleaned", "finetune random": "random/adapter"}
    path = out_of(job) / folder[stage] / "log.txt" if stage in folder else None
    if path is None or not path.is_file():
        return job.log()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        return file.read().decode("utf-8", "replace")


def card(job: jobs.Job, state: str) -> str:
    """The stages as a list with their states, the one at work with its progress, and what can be opened."""
    now = job.progress()
    items = "".join(_item(stage, now) for stage in standing(job, state))
    words = job_card.STATES[state]
    if state == jobs.RUNNING and not now.total:
        words = "starting"
    return (
        f"<section class='bye-job'><h4><bdi>{escape(clip(job.title, 80))}</bdi>"
        f"<span class='bye-state bye-state-{state}'>{escape(words)}</span></h4><ol class='bye-stages'>{items}</ol>"
        f"{_figures(job)}</section>"
    )


def _item(stage: Stage, now: jobs.Standing) -> str:
    label, opens = WORDS[stage.name]
    more = ""
    if stage.state == "running":
        unit = job_card.UNITS.get(stage.name.partition(" ")[0], "samples")
        facts = [f"{now.done:,} of {now.total:,} {unit}", job_card.pace(now, unit)] if now.total else ["starting"]
        known = f"max='{max(now.total, 1)}' value='{now.done}'"
        bar = f"<progress aria-label='{escape(label, quote=True)}' {known}></progress>"
        more = f"{bar}<span class='bye-note'>{escape(', '.join(filter(None, facts)))}</span>"
    if opens and (stage.state == "done" or (stage.state == "running" and opens in ("log", "review"))):
        more += f"<button type='button' class='bye-link' data-open='{stage.name}'>{OPENS[opens]}</button>"
    return (
        f"<li class='bye-stage-{stage.state}'><span class='bye-stage'>{escape(label)}</span>"
        f"<span class='bye-stage-state'>{STATES[stage.state]}</span>{more}</li>"
    )


def _figures(job: jobs.Job) -> str:
    """What came of it, once it is done."""
    facts = job.result() or {}
    if not facts:
        return ""
    found = facts["verdict"] == "poisoned"
    words = f"{facts['flagged']:,} of {facts['samples']:,} samples flagged" if found else "No evidence of poisoning"
    words += f", {facts['kept']:,} kept." if "kept" in facts else "."
    keys = [key for key in MEASURES if any(own.get(key) is not None for own in facts["models"].values())]
    rows = "".join(
        f"<tr><th scope='row'>{escape(pipeline.MODELS[name])}</th>"
        f"{''.join(f'<td class=bye-number>{escape(measured(own, key))}</td>' for key in keys)}</tr>"
        for name, own in facts["models"].items()
    )
    head = "".join(f"<th scope='col' class='bye-number'>{MEASURES[key][0]}</th>" for key in keys)
    table = f"<table class='bye-table'><thead><tr><th scope='col'>model</th>{head}</tr></thead>{rows}</table>"
    return f"<p>{escape(words)}</p>" + (f"<div class='bye-scroll' tabindex='0'>{table}</div>" if rows else "")
