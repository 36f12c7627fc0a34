"""Starts and resumes the scans of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from bye_core import runs
from bye_core.data.hub import check_repo_size
from bye_core.pipeline.check import NoSampleReady
from bye_core.runs import jobs
from bye_core.runs.lock import locked
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.limits import MachineBusy, TooLargeHere, TooManySamples, limits
from bye_core.ui.shared.model_choice import resolve_adapter, resolve_model
from bye_core.ui.shared.obstacles import expected_obstacle
from bye_core.ui.workspace import Workspace, hosted

KIND = "scan"
AUTO = "auto"
# A visitor's job must not use the access token of the host's account.
NO_ACCOUNT = {"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}


@dataclass(frozen=True)
class Form:
    """The fields of the Scan tab. `tuned` states that the model was fine-tuned on the data set."""

    model: str = ""
    adapter: str = ""
    name: str = ""
    batch: str = AUTO
    device: str = AUTO
    dtype: str = AUTO
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
    NoSuchSet if the data set is gone; NotHere if a path is given on a public host.
    """
    options = ["--model", resolve_model(form.model)]
    if adapter := resolve_adapter(workspace, form.adapter):
        options += ["--adapter", adapter]
    options += data_sets.source_arguments(workspace, choice)
    for name in ("batch", "device", "dtype"):
        if (value := getattr(form, name)) != AUTO:
            options += [f"--{name}", value]
    for name in ("min_pixels", "max_pixels"):
        if value := int(getattr(form, name) or 0):
            options += [f"--{name.replace('_', '-')}", str(value)]
    # The likelihoods are compared with those before fine-tuning, which exist only with an adapter.
    if form.answers and adapter:
        options += ["--answers"]
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
    if hosted() and data_sets.is_remote(model):
        check_repo_size(model, "model", bounds.model, TooLargeHere, anonymous=True)
    with _free_machine():
        run = run_folder(workspace, form, choice)
        options = arguments(workspace, choice, form, run)
        return jobs.start(workspace.jobs / run.name, KIND, options, _environment(), run.name, at_most=bounds.jobs)


def resume(job: jobs.Job) -> None:
    """Resume a scan that ended early. Samples that are scanned already are not scanned again.

    Raises: MachineBusy if all visitors together run the most jobs allowed; TooManyJobs if this visitor does.
    """
    with _free_machine():
        job.resume(_environment(), at_most=limits().jobs)


def _environment() -> dict[str, str] | None:
    return NO_ACCOUNT if hosted() else None


@contextmanager
def _free_machine() -> Iterator[None]:
    """Hold the lock file of a public host while the `with` block starts a job. Elsewhere, do nothing.

    Raises: MachineBusy if all visitors together run the most jobs allowed.
    """
    most = limits().all_jobs
    if most is None:
        yield
        return
    runs.home().mkdir(parents=True, exist_ok=True)
    with locked(runs.home() / "machine.lock", wait=10.0):
        visitors = (runs.home() / "visitors").glob("*/jobs")
        if sum(map(jobs.running, visitors)) >= most:
            raise MachineBusy(most=most)
        yield


def job_named(workspace: Workspace, id: str) -> jobs.Job | None:
    """Return the scan with this id, None if there is none."""
    return next((job for job in jobs.list_jobs(workspace.jobs, KIND) if job.id == id), None)
