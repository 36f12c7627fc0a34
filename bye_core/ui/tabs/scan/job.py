"""Starts and resumes the scans of a workspace."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path, PurePath

from bye_core.data.hub import check_repo_size
from bye_core.pipeline.check import NoSampleReady
from bye_core.pipeline.scan import AdapterAndBefore
from bye_core.runs import jobs
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.limits import TooLargeHere, TooManySamples, limits
from bye_core.ui.shared.model_choice import resolve_adapter, resolve_model
from bye_core.ui.shared.obstacles import expected_obstacle
from bye_core.ui.shared.space import make_room
from bye_core.ui.shared.workspace_jobs import start_job
from bye_core.ui.workspace import Workspace, hosted

KIND = "scan"
AUTO = "auto"


@dataclass(frozen=True)
class Form:
    """The fields of the Scan tab.

    before  the model before full fine-tuning, "" for none
    tuned   states that the model was fine-tuned on the data set
    """

    model: str = ""
    adapter: str = ""
    name: str = ""
    batch: str = AUTO
    device: str = AUTO
    dtype: str = AUTO
    _: KW_ONLY  # values that are easily confused
    before: str = ""
    min_pixels: float | None = 0
    max_pixels: float | None = 0
    answers: bool = True
    tuned: bool = False


def run_folder(workspace: Workspace, form: Form, choice: data_sets.Choice) -> Path:
    """Return the folder that `start` would create now for the run."""
    words = form.name or f"{choice.stem}-{PurePath(resolve_model(form.model)).name}"
    return data_sets.free_folder(workspace.runs, words, workspace.jobs)


def arguments(workspace: Workspace, choice: data_sets.Choice, form: Form, run: Path) -> list[str]:
    """Return the arguments of `python -m bye_core scan`. Settings with the value "auto" are left out.

    Raises: NoModelChosen if no model is chosen; NoSuchModel if the model or adapter is neither a folder nor a hub name;
    NoSuchSet if the data set is gone; NotHere if a path is given on a public host; AdapterAndBefore if both are given.
    """
    options = ["--model", resolve_model(form.model)]
    if adapter := resolve_adapter(workspace, form.adapter):
        options += ["--adapter", adapter]
    if adapter and form.before:
        raise AdapterAndBefore()
    options += data_sets.source_arguments(workspace, choice)
    for name in ("batch", "device", "dtype"):
        if (value := getattr(form, name)) != AUTO:
            options += [f"--{name}", value]
    for name in ("min_pixels", "max_pixels"):
        if value := int(getattr(form, name) or 0):
            options += [f"--{name.replace('_', '-')}", str(value)]
    # The likelihoods are compared with those before fine-tuning.
    if form.answers and (adapter or form.before):
        options += ["--answers"]
    if form.answers and form.before:
        options += ["--before", resolve_model(form.before)]
    if form.tuned:
        options += ["--tuned-on-this-data"]
    return [*options, "--run", str(run), "--detect"]


def expected(workspace: Workspace, choice: data_sets.Choice, form: Form) -> str:
    """Return the kind of the limitation by which the scan will end as "not tested", as far as is known; "" for none."""
    adapter = resolve_adapter(workspace, form.adapter)
    return expected_obstacle(adapter, form.tuned, lambda: data_sets.open_set(workspace, choice).digest)


def start(workspace: Workspace, choice: data_sets.Choice, form: Form) -> jobs.Job:
    """Start a scan as a job. Raises: ByeError, before anything is written, if the scan cannot run."""
    model, bounds = resolve_model(form.model), limits()
    dataset = data_sets.open_set(workspace, choice)
    if not dataset.samples:
        raise NoSampleReady(path=choice.name, size=dataset.size)
    if bounds.samples is not None and len(dataset.samples) > bounds.samples:
        raise TooManySamples(count=len(dataset.samples), most=bounds.samples)
    if hosted():
        before = resolve_model(form.before) if form.before else ""
        for name in filter(data_sets.is_remote, (model, resolve_adapter(workspace, form.adapter), before)):
            size = check_repo_size(name, "model", bounds.model, TooLargeHere, anonymous=True)
            make_room(name, size)
    run = run_folder(workspace, form, choice)
    return start_job(workspace, run.name, KIND, arguments(workspace, choice, form, run))


def job_named(workspace: Workspace, id: str) -> jobs.Job | None:
    """Return the scan with this id, None if there is none."""
    return next((job for job in jobs.list_jobs(workspace.jobs, KIND) if job.id == id), None)
