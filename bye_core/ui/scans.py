"""Scans of a workplace: what may be scanned with what, the command, the job, and what came of it. No gradio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from bye_core import pipeline, runs
from bye_core.data.hub import check_size
from bye_core.errors import ByeError, ModelError
from bye_core.pipeline.sets import NoSampleReady
from bye_core.runs import jobs
from bye_core.runs.lock import locked
from bye_core.ui import sets, shipped
from bye_core.ui.limits import MachineBusy, NotHere, TooLargeHere, TooManySamples, limits
from bye_core.ui.visitors import Workplace, hosted

AUTO = "auto"
DEMO_MODEL, DEMO_ADAPTERS = shipped.DEMO / "model", shipped.DEMO / "adapters"
SHIPPED, MINE = "demo", "own:"  # how the shipped model and adapters, and one's own adapters, are named on the page
RECENT = 20  # of the runs, those whose models are offered
# A visitor's job must not use what the host's own account may fetch.
NO_ACCOUNT = {"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}


class NoModelChosen(ModelError):
    problem = "No model is chosen."
    remedy = "Choose the model that is fine-tuned on this data set: a folder, or owner/name on the hub."


class NoSuchModel(ModelError):
    problem = "{name} is neither a folder with a model nor a name of the hub."
    remedy = "Give the folder that holds config.json and the weights, or owner/name."


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


def models(place: Workplace) -> list[tuple[str, str]]:
    """(label, value) of the models to choose from: the shipped one, and those of earlier scans on one's own machine."""
    found = [("the demo's model", SHIPPED)] if (DEMO_MODEL / "config.json").is_file() else []
    if not hosted():
        earlier = filter(None, (_model_of_run(place.runs / name) for name in place.run_names()[:RECENT]))
        found += [(model, model) for model in dict.fromkeys(earlier) if model != str(DEMO_MODEL)]
    return found


def _model_of_run(path: Path) -> str:
    try:
        return runs.Run.open(path).settings.model
    except ByeError:
        return ""


def adapters(place: Workplace) -> list[tuple[str, str]]:
    found = [("none", "")]
    for label, prefix, root in (("the demo's: ", f"{SHIPPED}:", DEMO_ADAPTERS), ("", MINE, place.adapters)):
        found += [(label + name, prefix + name) for name in _finished(root)]
    return found


def _finished(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/adapter_config.json"))


def model_of(value: str | None) -> str:
    """What `--model` takes. Raises NoModelChosen, NoSuchModel, NotHere."""
    value = (value or "").strip()
    if not value:
        raise NoModelChosen()
    if value == SHIPPED and DEMO_MODEL.is_dir():
        return str(DEMO_MODEL)
    return _typed(value)


def adapter_of(place: Workplace, value: str | None) -> str:
    """What `--adapter` takes, "" for none. Raises NoSuchModel, NotHere."""
    value = (value or "").strip()
    if not value:
        return ""
    for prefix, root in ((f"{SHIPPED}:", DEMO_ADAPTERS), (MINE, place.adapters)):
        name = value.removeprefix(prefix)
        if name != value and name in _finished(root):
            return str(root / name)
    return _typed(value)


def _typed(value: str) -> str:
    path = Path(value).expanduser()
    if hosted():
        if sets.HUB.fullmatch(value) and not Path(value.split("/")[0]).exists():
            return value
        raise NotHere(
            what="Naming a folder of the server", instead="Choose the demo's model, or owner/name of the hub."
        )
    if path.is_dir():
        return str(path.resolve())
    if sets.HUB.fullmatch(value):
        return value
    raise NoSuchModel(name=value)


def run_place(place: Workplace, form: Form, choice: sets.Choice) -> Path:
    """The folder of the run that a start would make now."""
    words = form.name or f"{choice.name.rpartition('/')[2].partition('.')[0]}-{_short(model_of(form.model))}"
    return sets.free_place(place.runs, words, place.jobs)


def arguments(place: Workplace, choice: sets.Choice, form: Form, run: Path) -> list[str]:
    """Of `python -m bye_core scan`; settings left on auto are left out."""
    found = ["--model", model_of(form.model)]
    if adapter := adapter_of(place, form.adapter):
        found += ["--adapter", adapter]
    found += ["--data", sets.path_of(place, choice)]
    found += pipeline.source_arguments(choice.format, choice.columns)
    for name in ("batch", "device", "dtype"):
        if (value := getattr(form, name)) != AUTO:
            found += [f"--{name}", value]
    # Without an adapter there is no model before fine-tuning to ask.
    if form.answers and adapter:
        found += ["--answers"]
    return [*found, "--run", str(run), "--detect"]


def start(place: Workplace, choice: sets.Choice, form: Form) -> jobs.Job:
    """Begin a scan in a process of its own. Raises a ByeError where something stands against it, before any work."""
    model, bounds = model_of(form.model), limits()
    dataset = sets.open_set(place, choice)
    if not dataset.samples:
        raise NoSampleReady(path=choice.name, size=dataset.size)
    if bounds.samples is not None and len(dataset.samples) > bounds.samples:
        raise TooManySamples(count=len(dataset.samples), most=bounds.samples)
    if hosted() and sets.is_remote(model):
        check_size(model, "model", bounds.model, TooLargeHere, anonymous=True)
    with _room_on_the_machine():
        run = run_place(place, form, choice)
        env = NO_ACCOUNT if hosted() else None
        job = jobs.start(
            place.jobs / run.name, "scan", arguments(place, choice, form, run), env, run.name, at_most=bounds.jobs
        )
    return job


def resume(place: Workplace, job: jobs.Job) -> None:
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


def scan_jobs(place: Workplace) -> tuple[jobs.Job, ...]:
    """Newest first."""
    return tuple(job for job in jobs.list_jobs(place.jobs) if job.kind == "scan")


def job_named(place: Workplace, id: str) -> jobs.Job | None:
    return next((job for job in scan_jobs(place) if job.id == id), None)


def current(place: Workplace) -> jobs.Job | None:
    """The scan to show: the newest that runs, else the newest."""
    found = scan_jobs(place)
    return next((job for job in found if job.state == jobs.RUNNING), found[0] if found else None)


def is_busy(place: Workplace) -> bool:
    return jobs.running(place.jobs) > 0


def _short(model: str) -> str:
    return PurePath(model).name
