"""What Adjust does and shows: each handler reads the open run and the trial, and answers with updates of its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import gradio as gr
import numpy as np

from bye_core.detect import DETECTORS, missing_inputs
from bye_core.figures import final_histogram
from bye_core.records import Detection, ScanTable
from bye_core.ui.adjust import method_settings, trying
from bye_core.ui.adjust.effect_card import LISTS, effect_card, listed
from bye_core.ui.adjust.trial import Trial, defaults, trial_of
from bye_core.ui.adjust.trying import NotReady, Trying
from bye_core.ui.session import Session
from bye_core.ui.shared.messages import note, warn
from bye_core.ui.shared.plots import Sent, fresh

STEPS = 400  # of the cut-off slider

Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    session: gr.State
    tabs: gr.Tabs
    trial: gr.State
    sent: gr.State
    in_front: gr.Checkbox
    hint: gr.HTML
    body: gr.Column
    actions: gr.Column
    effect: gr.HTML
    use: gr.Button
    back: gr.Button
    paper: gr.Button
    histogram: gr.Plot
    cut: gr.Slider
    uncut: gr.Button
    log: gr.Checkbox
    method: gr.Dropdown
    bsi: gr.Radio
    mode: gr.Radio
    tau: gr.Number
    layers: gr.Dropdown
    cluster: gr.Radio
    threshold: gr.Number
    slots: list[gr.Number]

    @property
    def form(self) -> list[Any]:
        return [self.bsi, self.mode, self.tau, self.layers, self.cluster, self.threshold]

    def all(self) -> list[Any]:
        return [part for part in vars(self).values() if part is not self.slots] + self.slots


# --- what the controls do ---------------------------------------------------------------------------------------


def refresh(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, front: bool) -> Update:
    """Another run, other decisions, another detection in use, or somebody looks again. An unsaved trial of the same run
    is kept."""
    if not front:
        return {parts.sent: gr.skip()}
    t = trying.look(session, trial)
    return shown(parts, t, sent, log, whole=t.trial != trial or not sent)


def redraw(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    return shown(parts, trying.look(session, trial), sent, log)


def cut(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, value: float) -> Update:
    """The slider stays as it is: an answer to an older place must not pull it back under the hand."""
    t = trying.look(session, trial)
    if "cutoff" not in defaults(t.trial.method) or value is None:
        return {parts.sent: gr.skip()}
    update = shown(parts, trying.look(session, t.trial.having(cutoff=float(value))), sent, log)
    return {part: value for part, value in update.items() if part is not parts.cut}


def uncut(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    return shown(parts, trying.look(session, _own(session, trial).having(cutoff=None)), sent, log)


def choose_method(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, method: str) -> Update:
    """A method that this scan lacks something for says so, and the one before stays."""
    t = trying.look(session, trial)
    if error := missing_inputs(t.table, method):
        warn(error)
        return {parts.method: t.trial.method, parts.sent: gr.skip()}
    return shown(parts, trying.look(session, Trial(session.run, method)), sent, log, whole=True)


def fill(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, *values: Any) -> Update:
    """The number fields of a method other than BYE; one that is half filled in is not tried out yet."""
    own = _own(session, trial)
    named = method_settings.settings_of(own.method)
    given = dict(zip((one.name for one in named), values[: len(named)], strict=True))
    changes = method_settings.typed(own.method, given)
    if not changes:
        return {parts.sent: gr.skip()}
    return shown(parts, trying.look(session, own.having(**changes)), sent, log)


def choose_mode(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, mode: str) -> Update:
    """By hand starts with the layers that took part until now."""
    t = trying.look(session, trial)
    layers = (t.tried.sensitive_layers or (t.best.layer,)) if mode == "hand" else None
    changed = t.trial.having(layers=layers, select=mode != "all")
    return shown(parts, trying.look(session, changed), sent, log, whole=True)


def change(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, *values: Any) -> Update:
    """A form half filled in, such as an emptied number, is not tried out yet."""
    bsi, mode, tau, layers, cluster, threshold = values
    if tau is None or threshold is None or (mode == "hand" and not layers):
        return {parts.sent: gr.skip()}
    entropy = None if bsi != _own(session, trial)["bsi"] else _own(session, trial)["entropy"]
    changed = _own(session, trial).having(
        bsi=bsi, tau=float(tau), cluster=cluster, threshold=float(threshold), entropy=entropy,
        layers=tuple(sorted(layers)) if mode == "hand" else None, select=mode != "all",
    )  # fmt: skip
    return shown(parts, trying.look(session, changed), sent, log)


def discard(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    """Back to the settings in use."""
    _, used = trying.opened(session)
    return shown(parts, trying.look(session, trial_of(session.run, used)), sent, log, whole=True)


def paper(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    return shown(parts, trying.look(session, Trial(session.run)), sent, log, whole=True)


def use(parts: Parts, session: Session, trial: Trial) -> Update:
    saved = trying.use(session, trial)
    gr.Info("In use from now on: Review, Export and the command line see this detection.", duration=4)
    return {parts.session: saved}


def open_list(parts: Parts, session: Session, trial: Trial, event: gr.EventData) -> Update:
    """One of the effect's lists, in Review."""
    name = getattr(event, "list", "")
    ids = listed(trying.look(session, trial).effect(), name) if name in LISTS else ()
    if not ids:
        return {parts.sent: gr.skip()}
    return {parts.session: replace(session, selection=ids, sample=""), parts.tabs: gr.Tabs(selected="review")}


def _own(session: Session, trial: Trial) -> Trial:
    """The trial of the open run."""
    return trial if trial.run == session.run else trying.look(session, trial).trial


# --- what is shown ----------------------------------------------------------------------------------------------


def not_ready(parts: Parts, error: NotReady) -> Update:
    words = note(f"{error.problem} {error.remedy}")
    return {
        parts.hint: gr.HTML(words, visible=True), parts.body: gr.Column(visible=False),
        parts.actions: gr.Column(visible=False), parts.effect: "", parts.trial: Trial(), parts.sent: {},
    }  # fmt: skip


def shown(parts: Parts, t: Trying, sent: Sent, log: bool, whole: bool = False) -> Update:
    """The effect of the trial; the `whole` form only where its fields were not what changed the trial."""
    effect = t.effect()
    plots, now = fresh({parts.histogram: final_histogram(t.tried, t.truth, log)}, sent)
    return {
        parts.hint: gr.HTML(visible=False),
        parts.body: gr.Column(visible=True),
        parts.actions: gr.Column(visible=True),
        parts.effect: effect_card(effect),
        parts.trial: t.trial,
        parts.sent: now,
        parts.use: gr.Button(interactive=not effect.saved),
        parts.back: gr.Button(interactive=not effect.saved),
        parts.paper: gr.Button(interactive=t.trial != Trial(t.trial.run)),
        parts.cut: _slider(t),
        parts.uncut: gr.Button(interactive=t.trial["cutoff"] is not None, visible="cutoff" in defaults(t.trial.method)),
        **plots,
        **_form(parts, t, whole),
    }


def _form(parts: Parts, t: Trying, whole: bool) -> Update:
    """Which fields there are; of the `whole` form also what they hold."""
    has, trial = defaults(t.trial.method), t.trial
    mode = "hand" if trial["layers"] is not None else "tau" if trial["select"] is not False else "all"
    visible = {
        parts.bsi: "bsi" in has,
        parts.mode: "layers" in has,
        parts.tau: "tau" in has and mode == "tau",
        parts.layers: "layers" in has and mode == "hand",
        parts.cluster: "cluster" in has,
        parts.threshold: "threshold" in has and trial["cluster"] == "threshold",
    }
    values: Update = {parts.method: trial.method} if whole else {}
    named = method_settings.settings_of(trial.method)
    if whole:
        values |= {
            parts.bsi: trial["bsi"], parts.mode: mode, parts.tau: trial["tau"], parts.cluster: trial["cluster"],
            parts.layers: list(trial["layers"] or ()), parts.threshold: trial["threshold"],
        }  # fmt: skip
    choices = [(layer_name(report.layer, report.bsi), report.layer) for report in t.reports]
    update = {part: {"visible": shown} for part, shown in visible.items()}
    update[parts.layers]["choices"] = choices
    if whole:
        update[parts.method] = {"choices": method_choices(t.table)}
        for slot, one in zip_longest(parts.slots, named):
            held = {"label": one.label, "info": one.info or None, "value": trial[one.name]} if one else {}
            update[slot] = {"visible": one is not None, **held}
    for part, value in values.items():
        if value is not None:
            update.setdefault(part, {})["value"] = value
    return {part: gr.update(**changes) for part, changes in update.items()}


def method_choices(table: ScanTable) -> list[tuple[str, str]]:
    """(label, name) of every method; one that this scan lacks something for says so."""
    return [
        (detector.title + (" (not with this scan)" if missing_inputs(table, name) else ""), name)
        for name, detector in DETECTORS.items()
    ]


def layer_name(layer: int, bsi: float) -> str:
    return f"layer {layer}" + ("" if math.isnan(bsi) else f" (BSI {bsi:.2f})")


def _slider(t: Trying) -> gr.Slider:
    """Over the clustered values; away where nothing was clustered or the method takes no cut-off."""
    values = t.tried.values[np.isfinite(t.tried.values)]
    if "cutoff" not in defaults(t.trial.method) or not len(values):
        return gr.Slider(visible=False)
    low, high, step = slider_range(values)
    return gr.Slider(
        minimum=low, maximum=high, step=step, value=round(min(max(_cut_of(t.tried), low), high), 4), visible=True
    )


def slider_range(values: np.ndarray) -> tuple[float, float, float]:
    """From, to and step of a slider over finite `values`: round numbers, about STEPS steps."""
    low, high = float(values.min()), float(values.max())
    step = 10.0 ** math.floor(math.log10(max((high - low) / STEPS, 1e-6)) + 0.5)
    digits = max(0, round(-math.log10(step)))
    return round(math.floor(low / step) * step, digits), round(math.ceil(high / step) * step, digits), step


def _cut_of(detection: Detection) -> float:
    """The cut-off; where two modes have none between them, half-way."""
    if detection.cutoff is not None:
        return detection.cutoff
    return sum(detection.final.means) / 2 if detection.final else float(np.nanmean(detection.values))
