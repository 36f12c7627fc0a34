"""The steps of a project with their states: from the data set to the measured model. The header shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bye_core.errors import ByeError
from bye_core.records import NOT_TESTED, POISONED
from bye_core.runs import jobs
from bye_core.train.settings import finished
from bye_core.ui.open_run import OpenRun
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.exports import export_names, export_path, find_export
from bye_core.ui.shared.model_choice import SUSPECT
from bye_core.ui.shared.obstacles import MENDED_IN, first_obstacle
from bye_core.ui.workspace import Workspace

DONE, RUNNING, NEXT, LATER, NOT_NEEDED = "done", "running", "next", "later", "not needed"


@dataclass(frozen=True)
class Step:
    """One step of a project.

    tab    the tab where it is done
    state  DONE, RUNNING, NEXT (the first that is neither), LATER, or NOT_NEEDED
    facts  a few words on it, such as "1,200 samples"
    """

    name: str
    title: str
    tab: str
    state: str = LATER
    facts: str = ""


STEPS = (
    Step("data", "Data", "data"),
    Step("finetune", "Fine-tune", "finetune"),
    Step("scan", "Scan", "scan"),
    Step("review", "Review", "review"),
    Step("export", "Export", "export"),
    Step("retune", "Re-tune", "finetune"),
    Step("measure", "Measure", "finetune"),
)
# The step of each kind of job; a cleaning names its stage in its progress.
KINDS = {"finetune": "finetune", "scan": "scan", "evaluate": "measure"}
STAGES = {"finetune suspect": "finetune", "scan": "scan", "detect": "scan", "export": "export",
          "finetune cleaned": "retune", "finetune random": "retune"}  # fmt: skip


def steps_of(workspace: Workspace, session: Session, opened: OpenRun | None) -> tuple[Step, ...]:
    """Return the steps of the session's project. `opened` is the open run, None for none."""
    found = jobs.list_jobs(workspace.jobs)
    data = _path(workspace, session.data)
    exports = _exports(workspace, opened)
    outputs = {str(export_path(workspace, name)) for name in exports}
    running = {step for job in found if (step := _running_step(job, data, outputs))}
    retuned = _retuned(found, outputs)
    facts = {
        "data": _data(workspace, session, opened),
        "finetune": _finetune(found, data, opened),
        "scan": _scan(opened),
        "review": _review(opened),
        "export": (DONE, f"{_kept(workspace, exports[0]):,} kept") if exports else (LATER, ""),
        "retune": (DONE, clipped(Path(retuned[0]).name)) if retuned else (LATER, ""),
        "measure": (DONE, "") if _measured(found, retuned) else (LATER, ""),
    }
    steps = [replace(step, state=facts[step.name][0], facts=facts[step.name][1]) for step in STEPS]
    if _clean(opened):
        after = ("export", "retune", "measure")
        steps = [replace(s, state=NOT_NEEDED) if s.name in after and s.state == LATER else s for s in steps]
    steps = [replace(step, state=RUNNING) if step.name in running else step for step in steps]
    return tuple(_with_next(steps))


def _with_next(steps: list[Step]) -> Iterator[Step]:
    """Yield the steps; the first open one is next, unless a step is running."""
    waiting = not any(step.state == RUNNING for step in steps)
    for step in steps:
        if waiting and step.state == LATER:
            step, waiting = replace(step, state=NEXT), False
        yield step


def clipped(words: str) -> str:
    return words if len(words) <= 22 else f"{words[:21]}…"


def _path(workspace: Workspace, key: str) -> str:
    try:
        return data_sets.path_of(workspace, data_sets.find(workspace, key)) if key else ""
    except ByeError:
        return ""


def _running_step(job: jobs.Job, data: str, outputs: set[str]) -> str:
    """Return the step that a job is working on; "" if it does not run, or works on another project."""
    if job.kind not in (*KINDS, "clean") or job.state != jobs.RUNNING:
        return ""
    source = job.option("--data")
    if job.kind == "clean":
        return STAGES.get(job.progress().stage, "finetune") if source == data else ""
    if job.kind == "finetune" and source in outputs:
        return "retune"
    return KINDS[job.kind] if source == data or job.kind == "evaluate" else ""


def _data(workspace: Workspace, session: Session, opened: OpenRun | None) -> tuple[str, str]:
    if opened is not None:
        return DONE, f"{opened.run.counts().total:,} samples"
    if not session.data:
        return LATER, ""
    choice = data_sets.find(workspace, session.data)
    return DONE, f"{choice.ready:,} samples" if choice.ready else ""


def _finetune(found: tuple[jobs.Job, ...], data: str, opened: OpenRun | None) -> tuple[str, str]:
    if opened is None:
        tuned = [adapter for job in found if (adapter := _adapter_of(job)) and job.option("--data") == data]
        tuned = [adapter for adapter in tuned if finished(Path(adapter))]
        return (DONE, _adapter_name(tuned[0])) if tuned else (LATER, "")
    obstacle = first_obstacle(opened.detection)
    if obstacle is not None and MENDED_IN.get(obstacle.kind, ("", ""))[0] == "finetune":
        return LATER, ""
    settings = opened.settings
    return DONE, "as you stated" if settings.tuned_on_this_data else _adapter_name(settings.adapter or "")


def _adapter_name(folder: str) -> str:
    """Return "adapter" and, in quotes, the name of its folder; if a check or cleaning tuned it, the name of that."""
    path = Path(folder)
    return f'adapter "{clipped(path.parent.name if path.name == SUSPECT else path.name)}"'


def _adapter_of(job: jobs.Job) -> str:
    """Return the folder of the adapter that a job tunes on its data set; "" for other jobs."""
    folder = job.option("--out")
    if job.kind == "clean" and folder:
        return str(Path(folder) / SUSPECT)
    return folder if job.kind == "finetune" else ""


def _scan(opened: OpenRun | None) -> tuple[str, str]:
    if opened is None:
        return LATER, ""
    counts = opened.run.counts()
    if counts.scored + counts.failed < counts.total:
        return LATER, f"{counts.scored:,} of {counts.total:,} samples"
    return (DONE, f"{counts.scored:,} samples") if opened.detection is not None else (LATER, "no detection yet")


def _review(opened: OpenRun | None) -> tuple[str, str]:
    detection = opened.detection if opened else None
    if opened is None or detection is None or detection.verdict == NOT_TESTED:
        return LATER, ""
    flagged, decided = detection.flagged_ids, opened.decisions()
    if not flagged:
        return DONE, "nothing flagged"
    done = sum(id in decided for id in flagged)
    return DONE if done == len(flagged) else LATER, f"{done:,} of {len(flagged):,} reviewed"


def _clean(opened: OpenRun | None) -> bool:
    """Return whether the open run found no evidence of poisoning, so that nothing needs to be removed."""
    detection = opened.detection if opened else None
    return detection is not None and detection.verdict not in (POISONED, NOT_TESTED)


def _exports(workspace: Workspace, opened: OpenRun | None) -> list[str]:
    """Return the names of the exports that were made from the open run, newest first."""
    created = opened.settings.created if opened else ""
    names = export_names(workspace) if created else ()
    return [name for name in names if _manifest(workspace, name).get("run", {}).get("created") == created]


def _manifest(workspace: Workspace, name: str) -> dict:
    export = find_export(workspace, name)
    return export.manifest if export else {}


def _kept(workspace: Workspace, name: str) -> int:
    return _manifest(workspace, name).get("counts", {}).get("kept", 0)


def _retuned(found: tuple[jobs.Job, ...], outputs: set[str]) -> list[str]:
    """Return the adapters that were tuned on the exports `outputs`, newest first."""
    tuned = [job.option("--out") for job in found if job.kind == "finetune" and job.option("--data") in outputs]
    return [folder for folder in tuned if folder and finished(Path(folder))]


def _measured(found: tuple[jobs.Job, ...], retuned: list[str]) -> bool:
    measured = {job.option("--adapter") for job in found if job.kind == "evaluate" and job.state == jobs.DONE}
    return any(adapter in measured for adapter in retuned)
