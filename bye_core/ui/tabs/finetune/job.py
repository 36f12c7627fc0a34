"""Fine-tuning in a workspace: what may be trained on what, the command, the job, its losses. No gradio."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.errors import ByeError, DataError
from bye_core.pipeline import source_arguments
from bye_core.runs import jobs
from bye_core.train import checkpoints
from bye_core.train.settings import CARD, PRESETS, FinetuneSettings
from bye_core.ui.shared import data_sets, exports
from bye_core.ui.shared.exports import NotExported, find_export
from bye_core.ui.shared.limits import limits
from bye_core.ui.shared.model_choice import resolve_model
from bye_core.ui.shared.training_form import SETTINGS, check_allowed, settings_from_form
from bye_core.ui.workspace import Workspace

KIND = "finetune"
CLEANED, RAW, OTHER = "cleaned:", "raw", "other"
SCANNED_RECIPE, OWN_RECIPE = "scanned", "own"
LOG_LINES, LOG_BYTES = 200, 1 << 15


class NoDataChosen(DataError):
    problem = "No data set is chosen to fine-tune on."
    remedy = "Export the cleaned set first, or choose another folder."


class NotEnded(DataError):
    problem = "An adapter or a job named {name} is there already."
    remedy = "Give another name."


@dataclass(frozen=True)
class Form:
    """`data`: "raw", "cleaned:NAME" or "other" with the path in `path`; `name` of the adapter, "" for one by itself."""

    model: str = ""
    data: str = RAW
    path: str = ""
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def data_choices(place: Workspace, run: runs.Run | None) -> list[tuple[str, str]]:
    """(label, value) of what to train on: the exports, newest first, the run's own set, another folder."""
    found = []
    for name in exports.export_names(place):
        kept = find_export(place, name).manifest["counts"]["kept"]
        found.append((f"cleaned: export {name}, {kept:,} records", CLEANED + name))
    if run is not None:
        found.append((f"everything: the scanned set, {run.counts().total:,} samples", RAW))
    return [*found, ("another folder", OTHER)]


def default_data(place: Workspace, run: runs.Run | None) -> str:
    """What is left of the open run, if it was exported; else everything."""
    kept = exports.export_names(place)
    if run is None:
        return CLEANED + kept[0] if kept else OTHER
    return CLEANED + run.path.name if run.path.name in kept else RAW


def default_settings(run: runs.Run | None) -> FinetuneSettings:
    """As the scanned adapter was tuned, so that before and after differ in the data alone; else the paper's."""
    card = Path(run.settings.adapter) / CARD if run and run.settings.adapter else None
    try:
        recorded = json.loads(card.read_text(encoding="utf-8"))["settings"] if card else {}
        known = {name: recorded[name] for name in SETTINGS if name in recorded}
        return FinetuneSettings(**{**known, "device": "auto", "dtype": "auto"})
    except (OSError, ValueError, KeyError, TypeError, ByeError):
        return FinetuneSettings()


def recipes(run: runs.Run | None) -> list[tuple[str, str]]:
    """(label, value) of the settings that can be taken as a whole; OWN_RECIPE stands for none of them."""
    found = [("the paper's, for LLaVA-1.5", "paper"), ("the paper's, for InternVL2.5", "paper-internvl")]
    if default_settings(run) not in PRESETS.values():
        found.insert(0, ("that of the scanned adapter", SCANNED_RECIPE))
    return [*found, ("my own", OWN_RECIPE)]


def recipe(run: runs.Run | None, name: str) -> FinetuneSettings | None:
    """The settings of that name, None for one's own."""
    return default_settings(run) if name == SCANNED_RECIPE else PRESETS.get(name)


def recipe_of(run: runs.Run | None, settings: FinetuneSettings) -> str:
    """The name of the recipe that these settings are."""
    names = [name for _, name in recipes(run)]
    return next((name for name in names if recipe(run, name) == settings), OWN_RECIPE)


def data_of(place: Workspace, run: runs.Run | None, form: Form) -> str:
    """What `--data` takes. Raises NoDataChosen, NotExported."""
    if form.data.startswith(CLEANED):
        name = form.data.removeprefix(CLEANED)
        found = find_export(place, name)
        if found is None:
            raise NotExported(name=name)
        return str(found.path)
    if form.data == RAW and run is not None:
        return run.settings.data
    if not form.path.strip():
        raise NoDataChosen()
    return data_sets.path_of(place, data_sets.find(place, data_sets.key_of(form.path)))


def source_of(place: Workspace, run: runs.Run | None, form: Form) -> list[str]:
    """`--format` and `--columns` of what is trained on: as scanned, and as an export in the same format keeps them."""
    if form.data == RAW:
        columns = run.settings.more.get("columns") if run else None
        return source_arguments(run.settings.format, columns) if columns else []
    if not form.data.startswith(CLEANED):
        return []
    manifest = find_export(place, form.data.removeprefix(CLEANED)).manifest
    columns = manifest["run"].get("more", {}).get("columns")
    same = manifest["format"] == manifest["run"].get("format")
    return source_arguments(manifest["format"], columns) if columns and same else []


def out_of(place: Workspace, run: runs.Run | None, form: Form) -> Path:
    """The adapter's folder that a start would make now; the job has the same name."""
    if form.name.strip():
        words = form.name.strip()
        path = data_sets.free_folder(place.adapters, words, place.jobs)
        if path.name != words:
            raise NotEnded(name=words)
        return path
    which = "cleaned" if form.data.startswith(CLEANED) else "everything" if form.data == RAW else "other"
    base = form.data.removeprefix(CLEANED) if form.data.startswith(CLEANED) else run.path.name if run else "set"
    return data_sets.free_folder(place.adapters, f"{base}-{which}", place.jobs)


def arguments(place: Workspace, run: runs.Run | None, form: Form) -> list[str]:
    """Of `python -m bye_core finetune`; what is as the command line has it by itself is left out."""
    settings, usual = settings_from_form(form.settings), FinetuneSettings()
    found = ["--model", resolve_model(form.model), "--data", data_of(place, run, form)]
    found += [*source_of(place, run, form), "--out", str(out_of(place, run, form))]
    for name in SETTINGS:
        value, flag = getattr(settings, name), name.replace("_", "-")
        if value == getattr(usual, name):
            continue
        found += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", f"{value}"]
    return found


def start(place: Workspace, run: runs.Run | None, form: Form) -> jobs.Job:
    """Begin a fine-tuning in a process of its own. Raises a ByeError where something stands against it."""
    check_allowed()
    given = arguments(place, run, form)
    name = Path(given[given.index("--out") + 1]).name
    return jobs.start(place.jobs / name, KIND, given, title=name, at_most=limits().jobs)


def trainings(place: Workspace) -> tuple[jobs.Job, ...]:
    """Newest first."""
    return tuple(job for job in jobs.list_jobs(place.jobs) if job.kind == KIND)


def current(place: Workspace, id: str = "") -> jobs.Job | None:
    """The training named, else the newest that runs, else the newest."""
    found = trainings(place)
    named = next((job for job in found if job.id == id), None)
    return named or next((job for job in found if job.state == jobs.RUNNING), found[0] if found else None)


def restart(place: Workspace, id: str) -> None:
    """Start a training that has ended before it was done once more: from its last checkpoint, if it has one."""
    check_allowed()
    job = current(place, id)
    if job:
        job.resume(at_most=limits().jobs)


def log(job: jobs.Job) -> str:
    """The end of what the training and the command around it have said."""
    own = Path(argument(job, "--out")) / "log.txt"
    try:
        with own.open("rb") as file:
            file.seek(max(0, own.stat().st_size - LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        text = ""
    lines = [*text.splitlines(), *job.log(LOG_LINES).splitlines()]
    return "\n".join(line for line in lines[-LOG_LINES:] if line.strip())


def saved_step(job: jobs.Job) -> int:
    """The step from which an unfinished training would go on, 0 for the beginning."""
    root = checkpoints.root_of(Path(argument(job, "--out")))
    return max((checkpoints.step_of(path) for path in checkpoints.all_of(root) if checkpoints.marked(path)), default=0)


def preflight(job: jobs.Job) -> Mapping[str, Any]:
    """What the training found before its first step, {} until it has looked."""
    return next((step.facts for step in job.history().steps if step.facts.get("event") == "preflight"), {})


def losses(job: jobs.Job) -> list[dict[str, Any]]:
    """What `figures.loss_figure` draws."""
    return [dict(step.facts) for step in job.history().steps if "loss" in step.facts]


def argument(job: jobs.Job, flag: str) -> str:
    """What a job was given for `flag`, "" where it was not."""
    pairs: Sequence[str] = job.arguments
    return next((pairs[place + 1] for place, one in enumerate(pairs[:-1]) if one == flag), "")
