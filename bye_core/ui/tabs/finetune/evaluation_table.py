"""Shows measurements of several models as HTML tables: over all questions, and by kind of question."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bye_core.runs import jobs
from bye_core.text import MEASURES, change, measured
from bye_core.ui.shared.messages import clip
from bye_core.ui.tabs.finetune.evaluation import ARMS, Arm


def table(arms: tuple[Arm, ...]) -> str:
    """Return the HTML table: CP, CIDEr (for captions) and ASR of every model, and how cleaning changed them."""
    keys = [key for key in MEASURES if key != "cider" or any(arm.facts.get(key) is not None for arm in arms)]
    titles = [MEASURES[key][0] for key in keys]
    head = "".join(f"<th scope='col' class='bye-number'>{title}</th>" for title in (*titles, "questions"))
    rows = "".join(_row(arm, keys) for arm in arms)
    by_name = {arm.name: arm.facts for arm in arms}
    before, after = (by_name.get(name) for name in ("everything", "left"))
    changed = ""
    if before and after:
        cells = "".join(_cell(change((before.get(key), after.get(key)), key) or "-") for key in keys)
        changed = f"<tr class='bye-change'><th scope='row'>change by cleaning</th>{cells}<td></td></tr>"
    return (
        "<div class='bye-scroll' tabindex='0' role='region' aria-label='before and after'><table class='bye-table'>"
        f"<thead><tr><th scope='col'>model</th>{head}</tr></thead><tbody>{rows}{changed}</tbody></table></div>"
        f"{_by_question(arms, keys)}{_legend(arms)}"
    )


def _row(arm: Arm, keys: Sequence[str]) -> str:
    name = f"<th scope='row'>{ARMS[arm.name]}</th>"
    if not arm.facts:
        words = "waiting" if arm.job is None else _progress(arm.job) if arm.state == jobs.RUNNING else arm.state
        return f"<tr>{name}<td colspan='{len(keys) + 1}'>{escape(words)}</td></tr>"
    cells = [*(_cell(measured(arm.facts, key)) for key in keys), _cell(f"{arm.facts.get('samples', 0):,}")]
    return f"<tr>{name}{''.join(cells)}</tr>"


def _cell(words: str) -> str:
    """Return a table cell with the value, and its confidence interval in small print."""
    value, _, interval = words.partition(" (")
    span = f" <small>({escape(interval)}</small>" if interval else ""
    return f"<td class='bye-number'>{escape(value)}{span}</td>"


def _by_question(arms: tuple[Arm, ...], keys: Sequence[str]) -> str:
    """Return the measures by kind of question, as a collapsed section; "" if there is only one kind."""
    facts = {arm.name: arm.facts.get("by_question") or {} for arm in arms if arm.facts}
    types = list(dict.fromkeys(kind for groups in facts.values() for kind in groups))
    if len(types) < 2:
        return ""
    rows = []
    for kind in types:
        for name, groups in facts.items():
            group = groups.get(kind, {})
            cells = "".join(_cell("-" if group.get(key) is None else measured(group, key)) for key in keys)
            first = f"<th scope='rowgroup' rowspan='{len(facts)}' dir='auto'>{escape(clip(kind, 120))}</th>"
            rows.append(f"<tr>{first if name == next(iter(facts)) else ''}<td>{ARMS[name]}</td>{cells}</tr>")
    head = "".join(f"<th scope='col' class='bye-number'>{MEASURES[key][0]}</th>" for key in keys)
    return (
        "<details class='bye-by-question'><summary>By kind of question</summary><div class='bye-scroll' tabindex='0' "
        "role='region' aria-label='by kind of question'><table class='bye-table'><thead><tr><th scope='col'>question"
        f"</th><th scope='col'>model</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _legend(arms: tuple[Arm, ...]) -> str:
    confidence = next((arm.facts["confidence"] for arm in arms if "confidence" in arm.facts), None)
    return f"<p class='bye-note'>In parentheses: {confidence:.0%} confidence intervals.</p>" if confidence else ""


def _progress(job: jobs.Job) -> str:
    standing = job.progress()
    return f"measuring: {standing.done:,} of {standing.total:,}" if standing.total else "loading the model"
