"""Public endpoints for programs: /scan, /detect, /export, with the same rules of access as the page.

    from gradio_client import Client
    client = Client("http://127.0.0.1:7860")
    client.predict(run="demo", api_name="/detect")

Answers are what the command line prints with `--json`. Runs and exports are named as on the page. On one's own machine
models and data may be paths; on a public host they are names of the hub or "demo", and the visitor's token says whose
runs are meant: a call without one gets a new token with its answer, as `visitor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.utils import get_upload_folder

from bye_core import pipeline
from bye_core.detect import default_method
from bye_core.detect.result import detection_object
from bye_core.errors import ByeError, RunError
from bye_core.files import to_json_values
from bye_core.runs import jobs
from bye_core.ui import demo_run
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.shared.messages import discreet
from bye_core.ui.shared.workspace_jobs import RESUMABLE
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.scan import job as scan_job
from bye_core.ui.workspace import Workspace, hosted, is_token, new_token, workspace_of

LOOK_SECONDS = 0.3
AT_ONCE = {"scan": 8, "detect": 2, "export": 2}  # calls; those that wait for a scan cost nothing


class RunTaken(RunError):
    problem = "There is a run named {name} already, and no scan of it is known here."
    remedy = "Give another name."


class JobEnded(RunError):
    problem = "The scan of {name} ended before it was done: {why}"
    remedy = "{then}"


def register() -> None:
    """Inside of `gr.Blocks`."""
    for function in (scan, detect, export):
        name = function.__name__
        gr.api(function, api_name=name, concurrency_limit=AT_ONCE[name])


def answered(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The function's answer as JSON has it, its ByeError as an error that the caller sees."""

    @wraps(function)
    async def answer(*values: Any) -> dict[str, Any]:
        try:
            return _shown(to_json_values(await function(*values)))
        except ByeError as error:
            raise gr.Error(discreet(f"{error.problem} {error.remedy}"), print_exception=False) from None

    return answer


def _shown(value: Any) -> Any:
    """Without the server's folders on a public host."""
    if isinstance(value, dict):
        return {_shown(name): _shown(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_shown(entry) for entry in value]
    return discreet(value) if isinstance(value, str) else value


@answered
async def scan(
    model: str,
    data: str,
    run: str,
    adapter: str = "",
    batch: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    answers: bool = True,
    wait: bool = True,
    visitor: str = "",
) -> dict[str, Any]:
    """Read where the first answer token looks, for every sample of `data`, into the run named `run`; with `answers` and
    an adapter also how likely the answers are, before and after fine-tuning.

    The scan is a job: it goes on when the caller leaves, and another call of the same run goes on with it. With
    `wait` off the answer is the job's state at once. Answers run, samples, scanned, failed.
    """
    place, mine = _place(visitor)
    form = scan_job.Form(model, adapter, run, str(batch) if batch else scan_job.AUTO, device, dtype, answers)
    job = await asyncio.to_thread(_scan_job, place, data, run, form)
    while wait and job.state == jobs.RUNNING:
        await asyncio.sleep(LOOK_SECONDS)
    state, error = job.state, job.error()
    if error and wait:
        raise JobEnded(name=run, why=error.problem, then=error.remedy)
    result = job.result() or {"run": job.id, "state": state, "done": job.progress().done, "total": job.progress().total}
    return {**result, **({"run": job.id} if hosted() else {}), **mine}


def _scan_job(place: Workspace, data: str, run: str, form: scan_job.Form) -> jobs.Job:
    """The scan of that name: begun, resumed, or as it stands."""
    job = scan_job.job_named(place, run)
    if job is None:
        if run in place.run_names():
            raise RunTaken(name=run)
        known = {choice.key for choice in data_sets.recent(place)} | {data_sets.DEMO}
        return scan_job.start(place, data_sets.find(place, data if data in known else data_sets.key_of(data)), form)
    if job.state in RESUMABLE:
        scan_job.resume(job)
    return job


@answered
async def detect(
    run: str,
    method: str = "",
    bsi: str = "",
    tau: float | None = None,
    cluster: str = "",
    threshold: float | None = None,
    layers: list[int] | None = None,
    select: bool = True,
    visitor: str = "",
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Find the poisoned samples of a scanned run; the result is kept in the run, for the page too.

    method: auto where none is named, bye where one of its settings is: bsi: paper or reference; cluster: gmm, kmeans
    or threshold (in nats); layers by hand; select off averages all layers. more: settings by name, of the method named.
    What is left out is as the method has it. Answers verdict, flagged, scores, layers, method, settings, reasons.
    """
    place, mine = _place(visitor)
    given = {"bsi": bsi, "tau": tau, "cluster": cluster, "threshold": threshold, "layers": layers}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, "")}
    if layers is not None:
        settings["layers"] = tuple(layers)
    if not select:
        settings["select"] = False
    method = method or default_method(own_options=bool(settings))
    settings |= more or {}
    path = _run_path(place, run)
    return {**detection_object(await asyncio.to_thread(pipeline.detect_run, path, method, **settings)), **mine}


@answered
async def export(
    run: str, format: str = "same", name: str = "", archive: bool = False, visitor: str = ""
) -> dict[str, Any]:
    """Write the cleaned data set of a run as the export `name` (default: the run's name), as on the page.

    Answers the manifest. With `archive`, its `archive` is the path of a .zip on this server, to be fetched with GET.
    """
    place, mine = _place(visitor)
    path, name = _run_path(place, run), name or run
    manifest = await asyncio.wrap_future(export_job.start(place, path, name, format))
    found: dict[str, Any] = {**manifest, **mine}
    if archive:
        found["archive"] = await asyncio.to_thread(_packed, place, name)
    return found


def _packed(place: Workspace, name: str) -> str:
    *_, last = export_job.pack(place, name, Path(get_upload_folder()))
    return f"/gradio_api/file={quote(str(last.facts['path']))}"


def _run_path(place: Workspace, run: str) -> Path:
    """Raises NoSuchRun, also for a run that is another visitor's."""
    if run == demo_run.NAME and demo_run.has_demo():
        demo_run.open_demo(place)
    return place.run_path(run)


def _place(visitor: str) -> tuple[Workspace, dict[str, str]]:
    """The caller's workspace, and what to tell a newcomer to a public host."""
    if not hosted():
        return workspace_of(""), {}
    if not visitor:
        visitor = new_token()
        return workspace_of(visitor), {"visitor": visitor}
    if not is_token(visitor):
        raise NotHere(what="A visitor's token of that form", instead="Leave it out, and use the one in the answer.")
    return workspace_of(visitor), {}
