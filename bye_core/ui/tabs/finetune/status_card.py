"""Shows a fine-tuning as HTML: its progress, the check before its first step, and why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from bye_core.runs import jobs
from bye_core.train import wording
from bye_core.ui.shared import job_card
from bye_core.ui.shared.messages import clip
from bye_core.ui.tabs.finetune import job as finetune_job


def card(job: jobs.Job, state: str) -> str:
    """Return the HTML of a fine-tuning: state, progress, loss, adapter folder, error and preflight check."""
    standing, running = job.progress(), state == jobs.RUNNING
    words = job_card.STATES[state]
    if running and not standing.total:
        words = "loading the model, checking the data"
    facts = [f"step {standing.done:,} of {standing.total:,}"] if standing.total else []
    facts += job_card.pace(standing, "steps") if running else []
    if (loss := standing.facts.get("loss")) is not None:
        facts.append(f"loss {loss:.3f}")
    known = f"max='{standing.total}' value='{standing.done}'" if standing.total else "" if running else "value='0'"
    bar = f"<progress aria-label='progress of the training' {known}></progress>"
    parts = (bar, job_card.facts_line(facts), _output(job, state), job_card.failure_alert(job.error()), preflight(job))
    return job_card.section(job.title, state, words, "".join(parts))


def _output(job: jobs.Job, state: str) -> str:
    """Return the HTML with the adapter folder, or the step from which an ended training can resume."""
    if state == jobs.DONE:
        return f"<p class='bye-note'>Adapter folder: {escape(job.option('--out'))}</p>"
    if state != jobs.RUNNING and (step := finetune_job.saved_step(job)):
        return f"<p class='bye-note'>Saved at step {step:,}. Resume continues from there.</p>"
    return ""


def preflight(job: jobs.Job) -> str:
    """Return the results of the check before the first step: samples, lengths, memory, and samples left out."""
    facts = finetune_job.preflight(job)
    if not facts:
        return ""
    memory = facts["memory"]
    rows = {
        "Samples": f"{facts['samples']:,}",
        "Tokens": wording.tokens(facts["tokens"]),
        "Trained weights": f"{facts['trained_weights']:,}",
        "Memory": wording.memory(memory),
    }
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    notes = [wording.EXPERTS] if facts.get("frozen_experts") else []
    notes += [wording.TIGHT] if memory["total"] > memory["free"] else []
    said = "".join(f"<p class='bye-note'>{words}</p>" for words in notes)
    return f"<dl class='bye-found'>{cells}</dl>{said}{_left_out(facts)}"


def _left_out(facts: Mapping[str, Any]) -> str:
    count, faults = facts["left_out"], facts["faults"]
    if not count:
        return ""
    lines = [f"{fault['id']}: {fault['problem']} {fault['remedy']}" for fault in faults]
    if count > len(faults):
        lines.append(", ".join(f"{number:,} x {kind}" for kind, number in facts["reasons"].items()))
    items = "".join(f"<li>{escape(clip(line, 400))}</li>" for line in lines)
    return f"<details><summary>{count:,} left out, with reasons</summary><ul>{items}</ul></details>"
