"""Starts the fine-tunings of a workspace, offers their data and settings, and reads their progress."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.data.reading import ReadingOptions
from bye_core.errors import ByeError, DataError
from bye_core.runs import jobs
from bye_core.train import checkpoints
from bye_core.train.settings import CARD, PRESETS, FinetuneSettings, settings_arguments
from bye_core.ui.shared import data_sets, workspace_jobs
from bye_core.ui.shared.exports import Export, NotExported, export_names, find_export
from bye_core.ui.shared.model_choice import resolve_model
from bye_core.ui.shared.obstacles import first_obstacle
from bye_core.ui.shared.training_form import SETTINGS, check_allowed, settings_from_form
from bye_core.ui.workspace import Workspace

KIND = "finetune"
CLEANED, RAW, OTHER = "cleaned:", "raw", "other"  # values of the Data field
SCANNED_RECIPE, OWN_RECIPE = "scanned", "own"
LOG_LINES = 200


class NoDataChosen(DataError):
    problem = "No data set is chosen to fine-tune on."
    remedy = "Export the cleaned set first, or choose another folder."


class NameTaken(DataError):
    problem = "An adapter or job named {name} exists already."
    remedy = "Give another name."


@dataclass(frozen=True)
class Form:
    """The fields of the Fine-tune tab.

    data      "raw" for the project's set, "cleaned:NAME" for an export, "other" for the folder or file in `path`
    loaded    key of the project's set, which is used while no run is open
    name      name of the adapter, "" for an automatic name
    settings  values of FinetuneSettings, by name
    """

    model: str = ""
    data: str = RAW
    path: str = ""
    name: str = ""
    loaded: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def export(self) -> str:
        """The name of the chosen export, "" if no export is chosen."""
        return self.data.removeprefix(CLEANED) if self.data.startswith(CLEANED) else ""


def data_choices(workspace: Workspace, run: runs.Run | None, loaded: str = "") -> list[tuple[str, str]]:
    """Return (label, value) of the data to train on: the exports (newest first), the project's set, another folder."""
    choices = []
    for name in export_names(workspace):
        kept = _export(workspace, name).manifest["counts"]["kept"]
        choices.append((f"cleaned: export {name}, {kept:,} records", CLEANED + name))
    if run is not None:
        choices.append((f"everything: the scanned set, {run.counts().total:,} samples", RAW))
    elif loaded:
        choice = data_sets.find(workspace, loaded)
        choices.append((f"everything: {choice.name}, {choice.ready:,} samples", RAW))
    return [*choices, ("another folder", OTHER)]


def default_data(workspace: Workspace, run: runs.Run | None, loaded: str = "") -> str:
    """Return the preselected data: the open run's export, else the project's set; without both, the newest export.

    A run that was not tested has no cleaned set, so its scanned set is preselected.
    """
    names = export_names(workspace)
    if run is None:
        return RAW if loaded else CLEANED + names[0] if names else OTHER
    if first_obstacle(run.detection()):
        return RAW
    return CLEANED + run.path.name if run.path.name in names else RAW


def default_settings(run: runs.Run | None) -> FinetuneSettings:
    """Return the settings of the scanned adapter; if they are unknown, the settings of the paper.

    With equal settings, the models before and after cleaning differ only in their training data.
    """
    card = Path(run.settings.adapter) / CARD if run and run.settings.adapter else None
    try:
        recorded = json.loads(card.read_text(encoding="utf-8"))["settings"] if card else {}
        known = {name: recorded[name] for name in SETTINGS if name in recorded}
        return FinetuneSettings(**{**known, "device": "auto", "dtype": "auto"})
    except (OSError, ValueError, KeyError, TypeError, ByeError):
        return FinetuneSettings()


def recipe_choices(run: runs.Run | None) -> list[tuple[str, str]]:
    """Return (label, value) of the recipes (named settings). OWN_RECIPE means any other settings."""
    choices = [
        ("recipe of the paper for LLaVA-1.5", "paper"),
        ("recipe of the paper for InternVL2.5", "paper-internvl"),
    ]
    if default_settings(run) not in PRESETS.values():
        choices.insert(0, ("settings of the scanned adapter", SCANNED_RECIPE))
    return [*choices, ("other settings", OWN_RECIPE)]


def recipe(run: runs.Run | None, name: str) -> FinetuneSettings | None:
    """Return the settings of a recipe, None if `name` is OWN_RECIPE."""
    return default_settings(run) if name == SCANNED_RECIPE else PRESETS.get(name)


def recipe_of(run: runs.Run | None, settings: FinetuneSettings) -> str:
    """Return the name of the recipe with these settings, OWN_RECIPE if no recipe has them."""
    names = [name for _, name in recipe_choices(run)]
    return next((name for name in names if recipe(run, name) == settings), OWN_RECIPE)


def _export(workspace: Workspace, name: str) -> Export:
    export = find_export(workspace, name)
    if export is None:
        raise NotExported(name=name)
    return export


def _data_arguments(workspace: Workspace, run: runs.Run | None, form: Form) -> list[str]:
    """Return `--data`, with the reading options as the set was scanned, exported, or opened in Data.

    Raises: NoDataChosen if another folder is chosen but not named; NotExported if the chosen export is gone.
    """
    if form.export:
        export = _export(workspace, form.export)
        scanned = export.manifest["run"]
        same = export.manifest["format"] == scanned.get("format")
        reading = ReadingOptions.from_record(scanned.get("more", {})).exported()
        return ["--data", str(export.path), *(_arguments(reading, scanned["format"]) if same else [])]
    if form.data == RAW and run is not None:
        reading = ReadingOptions.from_record(run.settings.more)
        return ["--data", run.settings.data, *_arguments(reading, run.settings.format)]
    if form.data == RAW and form.loaded:
        return data_sets.source_arguments(workspace, data_sets.find(workspace, form.loaded))
    if not form.path.strip():
        raise NoDataChosen()
    choice = data_sets.find(workspace, data_sets.key_of(form.path))
    return data_sets.source_arguments(workspace, choice)


def _arguments(reading: ReadingOptions, format: str | None) -> list[str]:
    """Return the arguments for `reading`. Column names are valid for one format only, so they come with it."""
    return replace(reading, format=format if reading.columns else None).arguments()


def new_folder(workspace: Workspace, run: runs.Run | None, form: Form) -> Path:
    """Return the folder that `start` would create now for the adapter. The job gets the same name.

    Raises: NameTaken if an adapter or a job has the name in the form.
    """
    if name := form.name.strip():
        path = data_sets.free_folder(workspace.adapters, name, workspace.jobs)
        if path.name != name:
            raise NameTaken(name=name)
        return path
    loaded = data_sets.find(workspace, form.loaded).stem if form.loaded else "set"
    base = form.export or (run.path.name if run else loaded)
    suffix = "cleaned" if form.export else "everything" if form.data == RAW else "other"
    return data_sets.free_folder(workspace.adapters, f"{base}-{suffix}", workspace.jobs)


def arguments(workspace: Workspace, run: runs.Run | None, form: Form, out: Path | None = None) -> list[str]:
    """Return the arguments of `python -m bye_core finetune`; defaults are left out.

    Raises: ByeError if a field is not valid or names a missing file.
    """
    settings = settings_from_form(form.settings)
    options = ["--model", resolve_model(form.model), *_data_arguments(workspace, run, form)]
    return [*options, "--out", str(out or new_folder(workspace, run, form)), *settings_arguments(settings)]


def start(workspace: Workspace, run: runs.Run | None, form: Form) -> jobs.Job:
    """Start a fine-tuning as a job. Raises: ByeError, before anything is written, if it cannot run."""
    check_allowed()
    out = new_folder(workspace, run, form)
    return workspace_jobs.start_job(workspace, out.name, KIND, arguments(workspace, run, form, out))


def resume(workspace: Workspace, id: str) -> None:
    """Resume a fine-tuning that ended early, from its last checkpoint, or from the beginning without a checkpoint."""
    check_allowed()
    if job := jobs.current(workspace.jobs, KIND, id):
        workspace_jobs.resume_job(job)


def log(job: jobs.Job) -> str:
    """Return the last lines of two logs: of the training, and of the command that started it."""
    training = workspace_jobs.log_end(Path(job.option("--out")) / "log.txt")
    lines = [*training.splitlines(), *job.log(LOG_LINES).splitlines()]
    return "\n".join(line for line in lines[-LOG_LINES:] if line.strip())


def saved_step(job: jobs.Job) -> int:
    """Return the step of the last complete checkpoint, 0 if there is none."""
    root = checkpoints.folder_of(Path(job.option("--out")))
    return max(
        (checkpoints.step_of(path) for path in checkpoints.list_newest_first(root) if checkpoints.is_complete(path)),
        default=0,
    )


def preflight(job: jobs.Job) -> Mapping[str, Any]:
    """Return the results of the check before the first step, {} before that check is done."""
    return next((step.facts for step in job.history().steps if step.facts.get("event") == "preflight"), {})


def losses(job: jobs.Job) -> list[dict[str, Any]]:
    """Return the reported steps that have a loss, for `figures.loss_figure`."""
    return [dict(step.facts) for step in job.history().steps if "loss" in step.facts]
