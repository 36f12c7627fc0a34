"""Shows a trial in Adjust: its effect, its settings and the histogram with the cut-off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import gradio as gr
import numpy as np

from bye_core.detect import DETECTORS, value_label
from bye_core.errors import ByeError
from bye_core.figures import final_histogram
from bye_core.records import Detection, ScanTable
from bye_core.ui.adjust import method_settings
from bye_core.ui.adjust.comparison import Comparison, NotReady
from bye_core.ui.adjust.effect_card import effect_card, incomplete_card
from bye_core.ui.adjust.trial import Trial, defaults
from bye_core.ui.shared import events
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.messages import note, warn
from bye_core.ui.shared.obstacles import inputs_used, lacking
from bye_core.ui.shared.plots import Sent, fresh

STEPS = 400  # of the cut-off slider
TRIAL_SHOWN = "trial"  # the entry of `sent` that identifies the trial whose settings the form shows
FORM_SET, NEVER = "form", "0"  # the entry of `sent` that counts how often the server has set the fields of the form


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of Adjust. `sent` holds the digest of each figure on the page, by elem_id, TRIAL_SHOWN
    and FORM_SET.

    `form_set` is FORM_SET as the page knows it. `slots` are number fields for the settings of methods other than BYE.
    """

    tabs: gr.Tabs
    trial: gr.State
    sent: gr.State
    in_front: gr.Checkbox
    form_set: gr.Textbox
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
        """The fields of BYE's settings."""
        return [self.bsi, self.mode, self.tau, self.layers, self.cluster, self.threshold]


def show_failure(parts: Parts, error: ByeError) -> Update:
    if not isinstance(error, NotReady):
        warn(error)
        return parts.unchanged()
    words = note(f"{error.problem} {error.remedy}")
    return {
        parts.hint: gr.HTML(words, visible=True), parts.body: gr.Column(visible=False),
        parts.actions: gr.Column(visible=False), parts.effect: "", parts.trial: Trial(), parts.sent: {},
        parts.form_set: NEVER,
    }  # fmt: skip


def is_shown(trial: Trial, sent: Sent) -> bool:
    """Return whether the form shows the settings of `trial`. Another tab may have changed it."""
    return sent.get(TRIAL_SHOWN) == repr(trial)


def is_outdated(sent: Sent, form_set: str) -> bool:
    """Return whether the page read its fields before the server set them, such as for "Discard".

    The page sends what the user does to a field while an earlier request runs only after that request: a movement of
    the slider may arrive after a click on "Discard" that followed it.
    """
    return form_set != sent.get(FORM_SET, NEVER)


def show_incomplete(parts: Parts, field: str) -> Update:
    """Replace the effect while `field` is empty. The settings on the form cannot be used until it has a value."""
    return {
        parts.effect: incomplete_card(field),
        parts.use: gr.Button(interactive=False),
        parts.back: gr.Button(interactive=True),
    }


def show(
    parts: Parts, compared: Comparison, sent: Sent, log: bool, all_fields: bool = False, sets: bool = False
) -> Update:
    """Show the effect of a trial. With `all_fields`, also set the form fields to the trial's settings.

    `sets`: the user did something that replaces what was typed before, although not all fields are set.
    """
    form_set = str(int(sent.get(FORM_SET, NEVER)) + (all_fields or sets))
    effect, trial = compared.effect(), compared.trial
    label = value_label(compared.tried.method, compared.tried.entropy_unit)
    plots, now = fresh({parts.histogram: final_histogram(compared.tried, compared.truth, log, label)}, sent)
    return {
        parts.hint: gr.HTML(visible=False),
        parts.body: gr.Column(visible=True),
        parts.actions: gr.Column(visible=True),
        parts.effect: effect_card(effect),
        parts.trial: trial,
        parts.sent: {**now, TRIAL_SHOWN: repr(trial), FORM_SET: form_set},
        parts.form_set: form_set,
        parts.use: gr.Button(interactive=not effect.saved),
        parts.back: gr.Button(interactive=not effect.saved),
        parts.paper: gr.Button(interactive=trial != Trial(trial.run)),
        parts.cut: _slider(compared),
        parts.uncut: gr.Button(interactive=trial["cutoff"] is not None, visible="cutoff" in defaults(trial.method)),
        **plots,
        **_form(parts, compared, all_fields),
    }


def _form(parts: Parts, compared: Comparison, all_fields: bool) -> Update:
    """Return the updates that show the fields of the trial's method and, with `all_fields`, set their values."""
    trial, has = compared.trial, defaults(compared.trial.method)
    mode = "hand" if trial["layers"] is not None else "tau" if trial["select"] is not False else "all"
    fields: dict[Any, dict[str, Any]] = {
        parts.bsi: {"visible": "bsi" in has},
        parts.mode: {"visible": "layers" in has},
        parts.tau: {"visible": "tau" in has and mode == "tau"},
        parts.layers: {"visible": "layers" in has and mode == "hand"},
        parts.cluster: {"visible": "cluster" in has},
        parts.threshold: {"visible": "threshold" in has and trial["cluster"] == "threshold"},
    }
    fields[parts.layers]["choices"] = [(layer_name(one.layer, one.bsi), one.layer) for one in compared.reports]
    if all_fields:
        fields[parts.method] = {"choices": method_choices(compared.table), "info": inputs_used(trial.method)}
        values = {
            parts.method: trial.method, parts.bsi: trial["bsi"], parts.mode: mode, parts.tau: trial["tau"],
            parts.layers: list(trial["layers"] or ()), parts.cluster: trial["cluster"],
            parts.threshold: trial["threshold"],
        }  # fmt: skip
        for field, value in values.items():
            if value is not None:
                fields[field]["value"] = value
        for slot, setting in zip_longest(parts.slots, method_settings.settings_of(trial.method)):
            fields[slot] = {"visible": False}
            if setting:
                fields[slot] = {
                    "visible": True, "label": setting.label, "info": setting.info or None,
                    "value": trial[setting.name],
                }  # fmt: skip
    return {field: gr.update(**changes) for field, changes in fields.items()}


def method_choices(table: ScanTable) -> list[tuple[str, str]]:
    """Return (label, name) of every method. The label says if the scan lacks an input of the method."""
    return [
        (detector.title + (" (this scan lacks its input)" if lacking(table, name) else ""), name)
        for name, detector in DETECTORS.items()
    ]


def layer_name(layer: int, bsi: float) -> str:
    return f"layer {layer}" + ("" if math.isnan(bsi) else f" (BSI {bsi:.2f})")


def _slider(compared: Comparison) -> gr.Slider:
    """Return the cut-off slider. It is hidden if no clustered values exist or the method has no cut-off."""
    tried = compared.tried
    values = tried.values[np.isfinite(tried.values)]
    if "cutoff" not in defaults(compared.trial.method) or not len(values):
        return gr.Slider(visible=False)
    low, high, step = slider_range(values)
    value = round(min(max(_cutoff(tried), low), high), 4)
    return gr.Slider(
        minimum=low, maximum=high, step=step, value=value, visible=True, label=f"Cut-off [{compared.unit}]"
    )


def slider_range(values: np.ndarray) -> tuple[float, float, float]:
    """Return (minimum, maximum, step) of the slider for finite `values`: round numbers, about STEPS steps."""
    low, high = float(values.min()), float(values.max())
    step = 10.0 ** math.floor(math.log10(max((high - low) / STEPS, 1e-6)) + 0.5)
    digits = max(0, round(-math.log10(step)))
    return round(math.floor(low / step) * step, digits), round(math.ceil(high / step) * step, digits), step


def _cutoff(detection: Detection) -> float:
    """Return the cut-off of the detection; without one, a start value for the slider.

    The start value is the middle between the means of the two modes, or the mean of all values without modes.
    """
    if detection.cutoff is not None:
        return detection.cutoff
    return sum(detection.final.means) / 2 if detection.final else float(np.nanmean(detection.values))
