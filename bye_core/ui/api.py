"""Public endpoints for programs: /scan, /detect and /export. The access rules are those of the page.

    from gradio_client import Client
    client = Client("http://127.0.0.1:7860")
    client.predict(run="demo", api_name="/detect")

Each endpoint returns what its command prints with `--json`. Run and export names are those of the page. On the user's
own machine, models and data may be paths. On a public host, they are names on the hub or "demo", and the visitor's
token selects the workspace. A call without a token returns a new token as `visitor`.
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
from bye_core.ui.shared.workspace_jobs import RESUMABLE, resume_job
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.scan import job as scan_job
from bye_core.ui.workspace import Workspace, hosted, is_token, new_token, workspace_of

POLL_SECONDS = 0.3
CONCURRENT = {"scan": 8, "detect": 2, "export": 2}  # concurrent calls; waiting for a scan needs no CPU time

_awaited: set[Path] = set()  # folders of the scans for which a call waits


class RunTaken(RunError):
    problem = "A run named {name} exists already, but this app did not start its scan."
    remedy = "Give another name for the run."


class JobEnded(RunError):
    problem = "The scan of {name} ended early: {why}"
    remedy = "{then}"


def register() -> None:
    """Add the endpoints; call it inside of `gr.Blocks`."""
    for function in (scan, detect, export):
        name = function.__name__
        gr.api(function, api_name=name, concurrency_limit=CONCURRENT[name])


def endpoint(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Wrap `function` so that it returns values for JSON and reports a ByeError to the caller as a Gradio error."""

    @wraps(function)
    async def answer(*values: Any) -> dict[str, Any]:
        try:
            return _public(to_json_values(await function(*values)))
        except ByeError as error:
            raise gr.Error(discreet(f"{error.problem} {error.remedy}"), print_exception=False) from None

    return answer


def _public(value: Any) -> Any:
    """Return `value`; on a public host, the paths of the server's folders are removed from it."""
    if isinstance(value, dict):
        return {_public(name): _public(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_public(entry) for entry in value]
    return discreet(value) if isinstance(value, str) else value


@endpoint
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
    tuned_on_this_data: bool = False,
    before: str = "",
) -> dict[str, Any]:
    """Read the attention of the first answer token for every sample of `data` into the run named `run`.

    With `answers` and an adapter, also read how likely the answers are before and after fine-tuning; for a fully
    fine-tuned model, `before` is the model before fine-tuning. The scan is a job: it continues when the caller
    disconnects, and another call with the same run resumes it. Without `wait`, the call returns at once; on a public
    host, also while another call waits for the same scan. `tuned_on_this_data` states that the model was fine-tuned on
    `data`; the run remembers it.
    Returns run, samples, scanned, failed, verdict, flagged; before the job has ended: run, state, done, total. The
    verdict is "poisoned", "no_evidence" or "not_tested"; /detect also returns the reasons.
    """
    workspace, mine = _workspace(visitor)
    batches = str(batch) if batch else scan_job.AUTO
    form = scan_job.Form(
        model, adapter, run, batches, device, dtype, answers=answers, before=before, tuned=tuned_on_this_data
    )
    job = await asyncio.to_thread(_scan_job, workspace, data, run, form)
    wait = wait and not (hosted() and job.folder in _awaited)
    if wait:
        _awaited.add(job.folder)
        try:
            while job.state == jobs.RUNNING:
                await asyncio.sleep(POLL_SECONDS)
        finally:
            _awaited.discard(job.folder)
    state, error = job.state, job.error()
    if error and wait:
        raise JobEnded(name=run, why=error.problem, then=error.remedy)
    result = job.result() or {"run": job.id, "state": state, "done": job.progress().done, "total": job.progress().total}
    return {**result, **({"run": job.id} if hosted() else {}), **mine}


def _scan_job(workspace: Workspace, data: str, run: str, form: scan_job.Form) -> jobs.Job:
    """Return the scan job of the run. Start or resume it if it is not running."""
    job = scan_job.job_named(workspace, run)
    if job is None:
        if run in {*workspace.run_names(), *data_sets.SHIPPED}:  # the app copies a shipped run on the first request
            raise RunTaken(name=run)
        known = {choice.key for choice in data_sets.recent(workspace)} | set(data_sets.SHIPPED)
        return scan_job.start(
            workspace, data_sets.find(workspace, data if data in known else data_sets.key_of(data)), form
        )
    if job.state in RESUMABLE:
        resume_job(job)
    return job


@endpoint
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
    tuned_on_this_data: bool = False,
) -> dict[str, Any]:
    """Find the poisoned samples of a scanned run and save the result in the run.

    method: "auto" by default; "bye" if one of BYE's settings is given. BYE's settings are bsi ("paper" or "reference"),
    tau, cluster ("gmm", "kmeans" or "threshold"), threshold in nats, layers (numbers chosen by hand), and select (False
    averages all layers). more: other settings of the method, by name. Settings that are not given keep their defaults.
    tuned_on_this_data states that the scanned model was fine-tuned on the data set; the run remembers it.
    Returns verdict, flagged, scores, layers, method, settings, reasons, findings (groups of flagged samples) and
    suspects (ids of samples that are worth a look). The verdict is "poisoned", "no_evidence" or "not_tested": the first
    reasons then say what was missing.
    """
    workspace, mine = _workspace(visitor)
    given = {"bsi": bsi, "tau": tau, "cluster": cluster, "threshold": threshold, "layers": layers}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, "")}
    if layers is not None:
        settings["layers"] = tuple(layers)
    if not select:
        settings["select"] = False
    method = method or default_method(own_options=bool(settings))
    settings |= more or {}
    path = _run_path(workspace, run)
    detection = await asyncio.to_thread(pipeline.detect_run, path, method, tuned_on_this_data, **settings)
    return {**detection_object(detection), **mine}


@endpoint
async def export(
    run: str, format: str = "same", name: str = "", archive: bool = False, visitor: str = ""
) -> dict[str, Any]:
    """Write the cleaned data set of a run as the export `name` (default: the run's name), as the page does.

    Returns the manifest. With `archive`, it also has `archive`: the path of a .zip on this server; fetch it with GET.
    """
    workspace, mine = _workspace(visitor)
    path, name = _run_path(workspace, run), name or run
    manifest = await asyncio.wrap_future(export_job.start(workspace, path, name, format))
    answer: dict[str, Any] = {**manifest, **mine}
    if archive:
        answer["archive"] = await asyncio.to_thread(_packed, workspace, name)
    return answer


def _packed(workspace: Workspace, name: str) -> str:
    *_, last = export_job.pack(workspace, name, Path(get_upload_folder()))
    return f"/gradio_api/file={quote(str(last.facts['path']))}"


def _run_path(workspace: Workspace, run: str) -> Path:
    """Return the folder of a run. Raises: NoSuchRun if the caller's workspace holds no run of that name."""
    demo_run.provide(workspace, run)
    return workspace.run_path(run)


def _workspace(visitor: str) -> tuple[Workspace, dict[str, str]]:
    """Return the caller's workspace, and {"visitor": token} with a new token if a call to a public host has none.

    Raises: NotHere if `visitor` is not a valid token on a public host.
    """
    if not hosted():
        return workspace_of(""), {}
    if not visitor:
        visitor = new_token()
        return workspace_of(visitor), {"visitor": visitor}
    if not is_token(visitor):
        raise NotHere(
            what="Calling the app with an invalid token",
            instead="Call without a token, and use the token in the response.",
        )
    return workspace_of(visitor), {}
