"""What the header does with runs: rename, delete, and compare two of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from html import escape

from bye_core.errors import RunError
from bye_core.runs import jobs
from bye_core.runs.settings import RunSettings
from bye_core.text import clip
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.session import Session
from bye_core.ui.shared.project import all_runs, key_of_run
from bye_core.ui.shared.run_facts import run_facts, set_title, short_name, title_of
from bye_core.ui.workspace import Workspace

SHOWN = 200  # the most samples that one list of the comparison opens in Review


class RunInUse(RunError):
    problem = "The job {job} is working on the run {name}."
    remedy = "Stop the job, or wait until it ends."


def rename_run(workspace: Workspace, session: Session, name: str, title: str) -> Session:
    """Give a run another title on pages. Its folder keeps its name. Raises: NoSuchRun if it does not exist here."""
    set_title(workspace.run_path(name), title)
    return replace(session, revision=session.revision + 1)


def delete_run(workspace: Workspace, session: Session, name: str) -> Session:
    """Delete a run with its decisions. If it was open, open the newest other run of the project, if there is one.

    Raises: NoSuchRun if it does not exist here; RunInUse if a job is working on it.
    """
    path = workspace.run_path(name)
    for job in jobs.list_jobs(workspace.jobs):
        if job.state == jobs.RUNNING and str(path) in (job.option("--run"), *job.arguments):
            raise RunInUse(job=job.id, name=name)
    removed = path.with_name(f".deleted-{name}")
    shutil.rmtree(removed, ignore_errors=True)
    path.rename(removed)  # in one step: no page sees half a run
    shutil.rmtree(removed, ignore_errors=True)
    changed = replace(session, revision=session.revision + 1)
    changed = replace(changed, closed="") if session.closed == name else changed
    if session.run != name:
        return changed
    own = (facts.name for facts in all_runs(workspace) if key_of_run(workspace, facts) == session.data)
    return replace(changed, run=next(own, ""), truth="", sample="", selection=())


def comparison_html(workspace: Workspace, session: Session, other: str) -> str:
    """Return the comparison of the open run with the run `other`. Raises: NoSuchRun if one does not exist here."""
    pair = [open_run(workspace.run_path(name)) for name in (session.run, other)]
    titles = [escape(clip(title_of(run.path), 40)) for run in pair]
    head = "".join(f"<th scope='col'><bdi>{title}</bdi></th>" for title in titles)
    rows = "".join(
        f"<tr><th scope='row'>{label}</th>{''.join(f'<td><bdi>{escape(cell)}</bdi></td>' for cell in cells)}</tr>"
        for label, cells in _rows(workspace, pair)
    )
    return (
        f"<section class='bye-compare' aria-label='Comparison of two runs'><h4>Compare runs"
        f"<button type='button' class='bye-link' data-dismiss='compare'>Close</button></h4>"
        f"<div class='bye-scroll' tabindex='0'><table class='bye-table'><thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{_overlap(pair, titles)}</section>"
    )


def _rows(workspace: Workspace, pair: list[OpenRun]) -> list[tuple[str, list[str]]]:
    facts = [run_facts(run.path) for run in pair]
    decided = [[one.choice for one in run.decisions().values()] for run in pair]
    return [
        ("Verdict", [one.verdict[0] for one in facts]),
        ("Data", [one.data_name for one in facts]),
        ("Model", [short_name(run.settings.model) for run in pair]),
        ("Adapter", [short_name(run.settings.adapter or "none") for run in pair]),
        ("Before fine-tuning", [before_fine_tuning(run.settings) for run in pair]),
        ("Method", [run.detection.method if run.detection else "none yet" for run in pair]),
        ("Samples", [f"{one.scored:,} of {one.total:,} scanned" for one in facts]),
        ("Flagged", [f"{one.flagged:,}" for one in facts]),
        ("Decided", [f"{own.count('reject'):,} rejected, {own.count('accept'):,} accepted" for own in decided]),
        ("Scanned (UTC)", [one.created[:16].replace("T", " ") for one in facts]),
    ]


def before_fine_tuning(settings: RunSettings) -> str:
    """Return which model the scan read as the one before fine-tuning."""
    if settings.before:
        return short_name(settings.before)
    return "the model without the adapter" if settings.knows_before else "unknown"


def _overlap(pair: list[OpenRun], titles: list[str]) -> str:
    """Return how far the two detections agree, with buttons that list the differences in Review."""
    if any(run.detection is None for run in pair):
        return "<p class='bye-note'>The flagged samples can be compared after a detection in both runs.</p>"
    lists = difference(pair[0], pair[1])
    words = {"both": "flagged in both", "first": f"only in {titles[0]}", "second": f"only in {titles[1]}"}
    parts = []
    for name, ids in lists.items():
        # Review lists samples of the open run, which is the first.
        opens = ids and any(id in pair[0].row_of for id in ids)
        show = (
            f" <button type='button' class='bye-link' data-differ='{name}' data-other='{escape(pair[1].path.name)}'>"
            "Show in Review</button>"
        )
        parts.append(f"<li><b>{len(ids):,}</b> {words[name]}{show if opens else ''}</li>")
    return f"<ul class='bye-rows'>{''.join(parts)}</ul>"


def difference(first: OpenRun, second: OpenRun) -> dict[str, tuple[str, ...]]:
    """Return the ids that both runs flag, that only the first flags, and that only the second flags."""
    own = first.detection.flagged_ids if first.detection else ()
    other = second.detection.flagged_ids if second.detection else ()
    return {
        "both": tuple(id for id in own if id in set(other)),
        "first": tuple(id for id in own if id not in set(other)),
        "second": tuple(id for id in other if id not in set(own)),
    }


def differing(workspace: Workspace, session: Session, other: str, name: str) -> tuple[str, ...]:
    """Return the samples of the open run in one list of `difference` with the run `other`; at most SHOWN."""
    first, second = (open_run(workspace.run_path(one)) for one in (session.run, other))
    ids = difference(first, second).get(name, ())
    return tuple(id for id in ids if id in first.row_of)[:SHOWN]
