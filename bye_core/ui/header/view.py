"""The top of the page: product, project, run, verdict, the steps with their states, notices and the running jobs."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from bye_core.runs import jobs
from bye_core.text import UNITS, clip, count
from bye_core.ui.demo_run import EXAMPLES
from bye_core.ui.header import steps as path_steps
from bye_core.ui.header.steps import Step
from bye_core.ui.open_run import OpenRun, open_run, verdict
from bye_core.ui.session import Session
from bye_core.ui.shared.data_sets import DEMO
from bye_core.ui.shared.job_card import pace, progress_bar
from bye_core.ui.shared.obstacles import obstacle_html, stated_html
from bye_core.ui.shared.project import Project, name_of, projects
from bye_core.ui.shared.run_facts import RunFacts, short_name, title_of
from bye_core.ui.tabs import TABS
from bye_core.ui.workspace import Workspace, hosted, workspace_of

PRODUCT = "Believe Your Eyes"
SHOWN_RUNS, SHOWN_PROJECTS = 12, 12
WORDS = {path_steps.DONE: "done", path_steps.RUNNING: "running", path_steps.NEXT: "next", path_steps.LATER: "later",
         path_steps.NOT_NEEDED: "not needed"}  # fmt: skip
NOTHING = '<span class="bye-verdict">No run is open.</span>'
WELCOME = f"{PRODUCT} finds training samples that would teach an image-and-text model a hidden back door."
NEXT = (
    "<b>Next:</b> in Review, see where the model looks (warm cells), reject <kbd>R</kbd> or accept <kbd>A</kbd> each "
    "sample, then export the rest."
)
NEXT_ON_A_PHONE = "<b>Next:</b> in Review, reject or accept each sample."


def header(session: Session) -> str:
    """Return the HTML of the project of a session. Raises: ByeError if its run cannot be read."""
    if not session.visitor:
        return _frame("", f"{_brand()}{NOTHING}{_help()}", "", "")
    workspace = workspace_of(session.visitor)
    opened = open_run(workspace.run_path(session.run)) if session.run else None
    steps = path_steps.steps_of(workspace, session, opened)
    words = _verdict(opened) + stated_html(opened.run) if opened else NOTHING
    bar = f"{_brand()}{_switcher(workspace, session, opened)}{words}{_help()}"
    notes = f"{_welcome(session, opened)}{_notices(workspace, session)}"
    notes += obstacle_html(opened.detection, session.run) if opened else ""
    return _frame(session.run, bar, _steps(steps), notes)


def _frame(run: str, bar: str, steps: str, notes: str) -> str:
    below = f"<div class='bye-notes'>{notes}</div>" if notes else ""
    return (
        f"<div class='bye-header' data-run='{escape(run, quote=True)}'><div class='bye-bar'>{bar}</div>"
        f"{steps}{below}</div>"
    )


def _brand() -> str:
    return f"<span class='bye-brand'><b>{PRODUCT}</b></span>"


def _help() -> str:
    return "<button type='button' class='bye-link bye-help' data-tab='method'>How it works</button>"


def _verdict(opened: OpenRun) -> str:
    words, kind = verdict(opened.detection)
    return f"<span class='bye-verdict bye-{kind}'>{escape(words)}</span>"


# --- steps ----------------------------------------------------------------------------------------------------------


def _steps(steps: Iterable[Step]) -> str:
    items = list(steps)
    here = next((step for step in items if step.state in (path_steps.RUNNING, path_steps.NEXT)), None)
    lines = "".join(_step(number, step, step is here) for number, step in enumerate(items, 1))
    short = f"Step {items.index(here) + 1} of {len(items)}" if here else "All steps done"
    return f"<nav class='bye-path' aria-label='Steps'><span class='bye-short'>{short}</span><ol>{lines}</ol></nav>"


def _step(number: int, step: Step, here: bool) -> str:
    facts = step.facts or WORDS[step.state]
    state = step.state.replace(" ", "-")
    part = " data-part='measure'" if step.name == "measure" else ""
    label = escape(f"Step {number}: {step.title}, {WORDS[step.state]}" + (f", {step.facts}" if step.facts else ""))
    return (
        f"<li class='bye-step-{state}'{' aria-current=step' if here else ''}>"
        f"<button type='button' data-tab='{step.tab}'{part} data-step='{step.name}' aria-label='{label}'>"
        f"<span>{step.title}</span><small>{escape(facts)}</small></button></li>"
    )


# --- switcher -------------------------------------------------------------------------------------------------------


def _switcher(workspace: Workspace, session: Session, opened: OpenRun | None) -> str:
    """Return the menu that names the project and its run, and opens, renames, deletes and compares runs."""
    name = escape(clip(name_of(session.data), 40)) if session.data else "none"
    title = escape(clip(title_of(opened.path), 40)) if opened else "none"
    every = projects(workspace)
    own = [project for project in every if project.key == session.data]
    others = [project for project in every if project.key != session.data]
    runs = "".join(_project(workspace, project, session.run) for project in own) or "<p>No run yet.</p>"
    rest = "".join(_project(workspace, project, session.run) for project in others[:SHOWN_PROJECTS])
    rest = (f"<h4>Other projects</h4>{rest}" if rest else "") + _examples(workspace)
    summary = (
        f"<summary><span>Project</span> <b><bdi>{name}</bdi></b> <span>Run</span> <b><bdi>{title}</bdi></b></summary>"
    )
    return (
        f"<details class='bye-switcher'>{summary}<div class='bye-menu'>{_facts(opened)}<h4>Runs of this project</h4>"
        f"{runs}{rest}</div></details>"
    )


def _examples(workspace: Workspace) -> str:
    """Return the list of shipped runs that the workspace has no copy of yet."""
    there = workspace.run_names()
    lines = "".join(
        f"<li><button type='button' class='bye-link' data-open-run='{example.name}'>{example.title}</button>"
        f"<small>{example.about}</small></li>"
        for example in EXAMPLES
        if example.is_shipped and example.name not in there
    )
    return f"<h4>Examples</h4><ul>{lines}</ul>" if lines else ""


def _facts(opened: OpenRun | None) -> str:
    if opened is None:
        return ""
    settings, counts = opened.settings, opened.run.counts()
    model = short_name(settings.model) + (f" + {short_name(settings.adapter)}" if settings.adapter else "")
    scanned = f"{counts.scored:,} of {count(counts.total, 'sample')}"
    facts = [("Data", short_name(settings.data)), ("Model", model), ("Scanned", scanned)]
    cells = "".join(f"<dt>{label}</dt><dd><bdi>{escape(value)}</bdi></dd>" for label, value in facts)
    return f"<dl class='bye-found'>{cells}</dl>"


def _project(workspace: Workspace, project: Project, opened: str) -> str:
    """Return the runs of a project; of a project without runs, a button that loads its data set."""
    if not project.runs:
        key, name = escape(project.key, quote=True), escape(clip(project.name, 40))
        return (
            f"<ul><li><button type='button' class='bye-link' data-project='{key}'><bdi>{name}</bdi></button>"
            "<small>no run yet</small></li></ul>"
        )
    lines = "".join(_run(workspace, run, run.name == opened, opened) for run in project.runs[:SHOWN_RUNS])
    more = len(project.runs) - SHOWN_RUNS
    rest = f"<li><small>and {more:,} older, listed in Scan</small></li>" if more > 0 else ""
    heading = (
        ""
        if any(run.name == opened for run in project.runs)
        else f"<h5><bdi>{escape(clip(project.name, 40))}</bdi></h5>"
    )
    return f"{heading}<ul>{lines}{rest}</ul>"


def _run(workspace: Workspace, run: RunFacts, current: bool, opened: str) -> str:
    name, title = escape(run.name, quote=True), escape(clip(title_of(workspace.runs / run.name), 40))
    words, kind = run.verdict
    link = f"<b><bdi>{title}</bdi></b>" if current else (
        f"<button type='button' class='bye-link' data-open-run='{name}'><bdi>{title}</bdi></button>")  # fmt: skip
    acts = [("rename", "Rename"), ("delete", "Delete"), *([("compare", "Compare")] if opened and not current else [])]
    buttons = "".join(
        f"<button type='button' class='bye-link' data-{act}='{name}' data-title='{title}' "
        f"aria-label='{label} {title}'>{label}</button>"
        for act, label in acts
    )
    return (
        f"<li{' aria-current=true' if current else ''}>{link}<small class='bye-{kind}'>{escape(words)}</small>"
        f"<span class='bye-acts'>{buttons}</span></li>"
    )


# --- notices --------------------------------------------------------------------------------------------------------


def _welcome(session: Session, opened: OpenRun | None) -> str:
    """Return the line for a first visit: what this is, that it is a demo, what was found, and what to press next."""
    if not (session.first and opened and session.data == DEMO and opened.detection is not None):
        return ""
    flagged, total = int(opened.detection.flagged.sum()), len(opened.detection.ids)
    words = (
        f"{WELCOME} <b>This is a demo:</b> it found {flagged:,} poisoned samples among {total:,}. "
        f"<span class='bye-wide-only'>{NEXT}</span><span class='bye-narrow-only'>{NEXT_ON_A_PHONE}</span>"
    )
    own = "Open my own set" if hosted() else "Check my own set"
    return (
        f"<p class='bye-welcome'>{words} <span class='bye-acts'>"
        f"<button type='button' class='bye-link' data-tab='data'>{own}</button>"
        "<button type='button' class='bye-link' data-tab='method'>How it works</button>"
        "<button type='button' class='bye-link' data-dismiss='welcome'>Hide this</button></span></p>"
    )


def _notices(workspace: Workspace, session: Session) -> str:
    """Return why the open run is not the one that the visitor may expect, with the way back."""
    lines = []
    if session.unknown:
        lines.append(
            f"The link names the run “{escape(clip(session.unknown, 60))}”. It does not exist here, or it belongs to "
            "another visitor. Another run is open instead."
        )
    if session.closed and session.closed in workspace.run_names():
        title = escape(clip(title_of(workspace.runs / session.closed), 40))
        now = escape(clip(name_of(session.data), 40))
        closed = escape(session.closed, quote=True)
        back = f"<button type='button' class='bye-link' data-open-run='{closed}'>Back to {title}</button>"
        lines.append(f"The project is now <b><bdi>{now}</bdi></b>. The run <bdi>{title}</bdi> was closed. {back}")
    return "".join(f"<p class='bye-notice' role='status'>{line}</p>" for line in lines)


# --- jobs -----------------------------------------------------------------------------------------------------------


def running_jobs(root: Path) -> str:
    """Return the HTML of the running jobs in the folder `root`; "" if none runs."""
    lines = [_line(job) for job in jobs.list_jobs(root) if job.state == jobs.RUNNING]
    return f"<div class='bye-jobs'>{''.join(lines)}</div>" if lines else ""


def _line(job: jobs.Job) -> str:
    standing = job.progress()
    share = f"{standing.done / standing.total:.0%}" if standing.total else "starting"
    unit = UNITS.get(standing.stage.partition(" ")[0], "samples")
    parts = ", ".join([share, *pace(standing, unit)])
    tab, verb = next(((tab.name, tab.jobs[job.kind]) for tab in TABS if job.kind in tab.jobs), ("", job.kind))
    if job.kind == "clean" and job.option("--until") == "detect":
        tab, verb = "data", "checking"
    button = f" <button type='button' class='bye-link' data-tab='{tab}'>Show</button>" if tab else ""
    return (
        f"<p>{progress_bar(standing, running=True)} "
        f"<span>{escape(verb)} <bdi>{escape(clip(job.title, 60))}</bdi>: {escape(parts)}</span>{button}</p>"
    )
