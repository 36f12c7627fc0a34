"""Scans of a workspace: what may be scanned with what, the command, the job, and what came of it. No gradio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from bye_core import pipeline, runs
from bye_core.data.hub import check_repo_size
from bye_core.pipeline.check import NoSampleReady
from bye_core.runs import jobs
from bye_core.runs.lock import locked
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.limits import MachineBusy, TooLargeHere, TooManySamples, limits
from bye_core.ui.shared.model_choice import resolve_adapter, resolve_model
from bye_core.ui.workspace import Workspace, hosted

AUTO = "auto"
# A visitor's job must not use what the host's own account may fetch.
NO_ACCOUNT = {"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}


@dataclass(frozen=True)
class Form:
    """The fields of the Scan tab."""

    model: str = ""
    adapter: str = ""
    name: str = ""
    batch: str = AUTO
    device: str = AUTO
    dtype: str = AUTO
    answers: bool = True


def run_place(place: Workspace, form: Form, choice: data_sets.Choice) -> Path:
    """The folder of the run that a start would make now."""
    words = form.name or f"{choice.name.rpartition('/')[2].partition('.')[0]}-{_short(resolve_model(form.model))}"
    return data_sets.free_folder(place.runs, words, place.jobs)


def arguments(place: Workspace, choice: data_sets.Choice, form: Form, run: Path) -> list[str]:
    """Of `python -m bye_core scan`; settings left on auto are left out."""
    found = ["--model", resolve_model(form.model)]
    if adapter := resolve_adapter(place, form.adapter):
        found += ["--adapter", adapter]
    found += ["--data", data_sets.path_of(place, choice)]
    found += pipeline.source_arguments(choice.format, choice.columns)
    for name in ("batch", "device", "dtype"):
        if (value := getattr(form, name)) != AUTO:
            found += [f"--{name}", value]
    # Without an adapter there is no model before fine-tuning to ask.
    if form.answers and adapter:
        found += ["--answers"]
    return [*found, "--run", str(run), "--detect"]


def start(place: Workspace, choice: data_sets.Choice, form: Form) -> jobs.Job:
    """Begin a scan in a process of its own. Raises a ByeError where something stands against it, before any work."""
    model, bounds = resolve_model(form.model), limits()
    dataset = data_sets.open_set(place, choice)
    if not dataset.samples:
        raise NoSampleReady(path=choice.name, size=dataset.size)
    if bounds.samples is not None and len(dataset.samples) > bounds.samples:
        raise TooManySamples(count=len(dataset.samples), most=bounds.samples)
    if hosted() and data_sets.is_remote(model):
        check_repo_size(model, "model", bounds.model, TooLargeHere, anonymous=True)
    with _room_on_the_machine():
        run = run_place(place, form, choice)
        env = NO_ACCOUNT if hosted() else None
        job = jobs.start(
            place.jobs / run.name, "scan", arguments(place, choice, form, run), env, run.name, at_most=bounds.jobs
        )
    return job


def resume(place: Workspace, job: jobs.Job) -> None:
    with _room_on_the_machine():
        job.resume(NO_ACCOUNT if hosted() else None, at_most=limits().jobs)


@contextmanager
def _room_on_the_machine() -> Iterator[None]:
    """One start at a time where strangers share the machine, while there is room for one more."""
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


def scan_jobs(place: Workspace) -> tuple[jobs.Job, ...]:
    """Newest first."""
    return tuple(job for job in jobs.list_jobs(place.jobs) if job.kind == "scan")


def job_named(place: Workspace, id: str) -> jobs.Job | None:
    return next((job for job in scan_jobs(place) if job.id == id), None)


def current(place: Workspace) -> jobs.Job | None:
    """The scan to show: the newest that runs, else the newest."""
    found = scan_jobs(place)
    return next((job for job in found if job.state == jobs.RUNNING), found[0] if found else None)


def _short(model: str) -> str:
    return PurePath(model).name
