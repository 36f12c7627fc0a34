"""Says on pages why a data set was not tested, with buttons that lead to the remedy. No gradio.

A button names a tab in `data-tab`; or it holds a statement in `data-statement`, and in `data-of` the name of the run
that it is about. The header listens to both on the whole page.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from bye_core.detect import DETECTORS
from bye_core.detect.detector import INPUTS
from bye_core.detect.limitations import ScanFacts, scan_limitations
from bye_core.errors import ByeError
from bye_core.records import NOT_TESTED, Detection, Limitation, ScanTable
from bye_core.runs import Run
from bye_core.train.settings import training_facts
from bye_core.ui.shared.messages import without_options
from bye_core.ui.workspace import hosted

# The tab that mends each kind of limitation, and the words on the button that opens it. Without a tab, the button
# detects again.
MENDED_IN = {
    "not_finetuned": ("finetune", "Fine-tune on this set first"),
    "unknown_adapter": ("finetune", "Fine-tune on this set first"),
    "other_data": ("finetune", "Fine-tune on this set first"),
    "short_training": ("finetune", "Fine-tune longer"),
    "partial_training": ("finetune", "Fine-tune again"),
    "not_learned": ("finetune", "Fine-tune longer"),
    "incomplete_scan": ("scan", "Finish the scan"),
    "nothing_scanned": ("scan", "Scan again"),
    "missing_input": ("scan", "Scan again"),
    "partial_input": ("scan", "Scan again"),
    "few_samples": ("data", "Choose a larger set"),
    "earlier_version": ("", "Detect again"),
}
# Kinds that depend on what only the user may know: on which data set the model was fine-tuned.
UNKNOWN_TUNING = ("not_finetuned", "unknown_adapter", "other_data")
# Kinds that say nothing while a scan runs, because more samples follow.
UNFINISHED = ("incomplete_scan", "nothing_scanned", "few_samples")
# What a button does with the statement of the user: store it, withdraw it, or only detect again.
TUNED, WITHDRAWN, AGAIN = "yes", "no", "again"
OR_STATE = "or state: "  # before the button of the statement
STATEMENT = "The model was fine-tuned on this data set"
# How to get an input of a method (detect.detector.INPUTS) with the controls of the Scan tab.
SCAN_AGAIN = {
    "layer_entropy": "Scan again as a new run, with float32 as precision.",
    "mass": "Scan the data set with a model.",
    "hidden": "Scan again as a new run: an earlier version made this scan.",
    "nll_before": "Scan again as a new run, with an adapter and with “Read the answers too”; a fully fine-tuned model "
    "with the model before fine-tuning, which is in the settings.",
}
# What the result of a scan will be, said before it starts.
EXPECTED = {
    "not_finetuned": "A model that was not fine-tuned on this set shows no back door of it, and no adapter is chosen.",
    "unknown_adapter": "The adapter has no finetune.json, so it is not known whether it was trained on this data set.",
    "other_data": "The adapter was fine-tuned on another data set, so it shows no back door of this one.",
    "short_training": "The adapter was fine-tuned for less than one epoch, so it has not seen all samples.",
}


def explanation(detection: Detection) -> list[str]:
    """Return the sentences that explain the verdict, for a page."""
    return [words for reason in detection.explanation if (words := without_options(reason))]


def first_obstacle(detection: Detection | None) -> Limitation | None:
    """Return the first reason why the data set was not tested; None if it was tested, or if there is no detection."""
    return detection.obstacles[0] if detection is not None and detection.verdict == NOT_TESTED else None


def buttons(obstacle: Limitation, run: str) -> list[dict[str, str]]:
    """Return the buttons that mend an obstacle of the run named `run`.

    Each has a `label`, and either `tab`, or `statement` (such as TUNED) with the run in `of`.
    """
    tab, label = MENDED_IN.get(obstacle.kind, ("scan", "Open Scan"))
    if hosted() and tab == "finetune":
        label = "How to fine-tune"
    if not tab:
        return [{"label": label, "statement": AGAIN, "of": run}]
    found = [{"label": label, "tab": tab}]
    if obstacle.kind in UNKNOWN_TUNING:
        found.append({"label": STATEMENT, "statement": TUNED, "of": run})
    return found


def obstacle_html(detection: Detection | None, run: str) -> str:
    """Return the HTML of the first reason why the data set of `run` was not tested, with buttons; "" if it was."""
    obstacle = first_obstacle(detection)
    if obstacle is None:
        return ""
    return f"<p class='bye-obstacle'>{escape(obstacle.reason)} {button_html(buttons(obstacle, run))}</p>"


def button_html(found: Iterable[dict[str, str]]) -> str:
    """Return the HTML of buttons of `buttons`."""
    return " ".join(map(_button, found))


def _button(button: dict[str, str]) -> str:
    html = f"<button type='button' class='bye-link' {_attributes(button)}>{escape(button['label'])}</button>"
    return f"<span class='bye-or'>{OR_STATE}{html}</span>" if button.get("statement") == TUNED else html


def _attributes(button: dict[str, str]) -> str:
    return " ".join(f"data-{name}='{escape(value)}'" for name, value in button.items() if name != "label")


def stated_html(run: Run) -> str:
    """Return the HTML that says that the verdict rests on the user's statement; "" if the user stated nothing."""
    if not run.settings.tuned_on_this_data:
        return ""
    button = button_html([{"label": "withdraw", "statement": WITHDRAWN, "of": run.path.name}])
    return f"<span class='bye-fact bye-stated'><b>fine-tuned on it</b> as you stated {button}</span>"


def expected_obstacle(adapter: str, tuned: bool, digest: Any) -> str:
    """Return the kind of the limitation that a scan will have because of its model; "" for none.

    adapter  path or hub name of the adapter, "" for none
    tuned    whether the user states that the model was fine-tuned on the data set
    digest   function that returns the digest of the data set; called only if an adapter has a card
    """
    folder = Path(adapter)
    if adapter and not folder.is_dir():
        return ""  # on the hub: its card is known only after the download
    tuning = training_facts(folder) if adapter else None
    facts = ScanFacts(1, 1, digest() if tuning and not tuned else "", bool(adapter), tuning, tuned)
    found = scan_limitations(facts)
    return found[0].kind if found else ""


def expected_html(kind: str) -> str:
    """Return the HTML that says before a scan that it will end as "not tested", and what to do instead."""
    if not kind:
        return ""
    label = "How to fine-tune and scan" if hosted() else "Fine-tune and scan in one go"
    button = button_html([{"label": label, "tab": "clean"}])
    return (
        f"<div class='bye-expected'><p><b>This scan will end as “not tested”.</b> {escape(EXPECTED.get(kind, ''))}</p>"
        f"<p>{button}</p></div>"
    )


# The tab that provides what is missing, by the state of the open run (adjust.comparison.NotReady).
NEXT = {
    "closed": (("layers", "Open the demo"), ("scan", "Scan a data set")),
    "unscored": (("scan", "Open Scan"),),
    "undetected": (("layers", "Find suspicious samples"),),
}


def not_ready(error: ByeError) -> str:
    """Return the HTML that says why a tab is empty, with buttons that lead to the tab that provides what is missing."""
    choices = NEXT.get(str(error.facts.get("state", "")), ())
    buttons = button_html({"label": label, "tab": tab} for tab, label in choices)
    return f"<div class='bye-empty'><p>{escape(f'{error.problem} {error.remedy}')}</p><p>{buttons}</p></div>"


def inputs_used(method: str) -> str:
    """Return the sentences that say what a method reads, and what it never sees; "" if there is no such method."""
    detector = DETECTORS.get(method)
    if detector is None:
        return ""
    needs = " and ".join(INPUTS[name][0] for name in (detector.needs or ("layer_entropy",)))
    wants = "".join(f" It also uses {INPUTS[name][0]}, if the scan has read it." for name in detector.wants)
    return f"Needs {needs}.{wants} {detector.misses}".strip()


def lacking(table: ScanTable, method: str) -> str:
    """Return what the scan lacks for a method, and how to get it on the page; "" if the method can run."""
    detector = DETECTORS.get(method)
    if detector is None:
        return f"This version has no method {method}."
    name = next((name for name in detector.needs if getattr(table, name) is None), "")
    return f"This scan lacks {INPUTS[name][0]}. {SCAN_AGAIN[name]}" if name else ""
