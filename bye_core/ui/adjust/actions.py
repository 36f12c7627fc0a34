"""The handlers of the controls in Adjust.

Every handler reads the open run and the trial (the settings that are tried), and returns updates of components.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from bye_core.ui.adjust import comparison, method_settings
from bye_core.ui.adjust.comparison import compare, detected_run
from bye_core.ui.adjust.display import Parts, is_outdated, is_shown, show, show_incomplete
from bye_core.ui.adjust.effect_card import LISTS, listed
from bye_core.ui.adjust.trial import Trial, defaults, trial_of
from bye_core.ui.session import Session
from bye_core.ui.shared.events import Handler, Update
from bye_core.ui.shared.obstacles import lacking
from bye_core.ui.shared.plots import Sent


def if_up_to_date(handler: Handler) -> Handler:
    """Wrap a handler of fields: what the user typed before the server set the fields changes nothing."""

    def listener(
        parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, form_set: str, *values: Any
    ) -> Update:
        if is_outdated(sent, form_set):
            return parts.unchanged()
        return handler(parts, session, trial, sent, log, *values)

    return listener


def refresh(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, in_front: bool) -> Update:
    """Update the side bar after a change of run, decisions or saved detection. A trial of the same run is kept."""
    if not in_front:
        return parts.unchanged()
    compared = compare(session, trial)
    return show(parts, compared, sent, log, all_fields=compared.trial != trial or not is_shown(trial, sent))


def redraw(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    return show(parts, compare(session, trial), sent, log)


def cut(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, value: float) -> Update:
    """Try another cut-off. The slider is not updated, because a late update would move it while the user drags it."""
    own = _own(session, trial)
    if "cutoff" not in defaults(own.method) or value is None:
        return parts.unchanged()
    update = show(parts, compare(session, own.having(cutoff=float(value))), sent, log)
    return {part: value for part, value in update.items() if part is not parts.cut}


def uncut(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    return show(parts, compare(session, _own(session, trial).having(cutoff=None)), sent, log, sets=True)


def choose_method(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, method: str) -> Update:
    """Try another method. If the scan lacks an input of the method, show a warning instead."""
    compared = compare(session, trial)
    if lacks := lacking(compared.table, method):
        gr.Warning(lacks)
        return {parts.method: compared.trial.method}
    return show(parts, compare(session, Trial(session.run, method)), sent, log, all_fields=True)


def fill(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, *values: Any) -> Update:
    """Try the values of the number fields of a method other than BYE. While a field is empty, there is no effect."""
    own = _own(session, trial)
    settings = method_settings.settings_of(own.method)
    given = values[: len(settings)]
    if empty := [setting.label for setting, value in zip(settings, given, strict=True) if value is None]:
        return show_incomplete(parts, empty[0])
    changes = method_settings.typed(own.method, dict(zip([setting.name for setting in settings], given, strict=True)))
    if not changes:
        return parts.unchanged()
    return show(parts, compare(session, own.having(**changes)), sent, log)


def choose_mode(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, mode: str) -> Update:
    """Change how layers are chosen. "By hand" begins with the layers that the trial uses now."""
    compared = compare(session, trial)
    layers = (compared.tried.sensitive_layers or (compared.best.layer,)) if mode == "hand" else None
    changed = compared.trial.having(layers=layers, select=mode != "all")
    return show(parts, compare(session, changed), sent, log, all_fields=True)


def change(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool, *values: Any) -> Update:
    """Try the values of BYE's fields. While a field is empty, there is no effect to show."""
    bsi, mode, tau, layers, cluster, threshold = values
    for field, is_empty in (
        (parts.tau, tau is None and mode == "tau"),
        (parts.layers, mode == "hand" and not layers),
        (parts.threshold, threshold is None and cluster == "threshold"),
    ):
        if is_empty:
            return show_incomplete(parts, field.label)
    own = _own(session, trial)
    changed = own.having(
        bsi=bsi, tau=own["tau"] if tau is None else float(tau), cluster=cluster,
        threshold=own["threshold"] if threshold is None else float(threshold),
        entropy=None if bsi != own["bsi"] else own["entropy"],
        layers=tuple(sorted(layers)) if mode == "hand" else None, select=mode != "all",
    )  # fmt: skip
    return show(parts, compare(session, changed), sent, log)


def discard(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    """Replace the trial by the settings of the saved detection."""
    _, used = detected_run(session)
    return show(parts, compare(session, trial_of(session.run, used)), sent, log, all_fields=True)


def paper(parts: Parts, session: Session, trial: Trial, sent: Sent, log: bool) -> Update:
    return show(parts, compare(session, Trial(session.run)), sent, log, all_fields=True)


def use(parts: Parts, session: Session, trial: Trial) -> Update:
    saved = comparison.use(session, trial)
    gr.Info("Saved. Review, Export and the command line now use this detection.", duration=4)
    return {parts.session: saved}


def open_list(parts: Parts, session: Session, trial: Trial, event: gr.EventData) -> Update:
    """Open the clicked list of samples (such as the newly flagged ones) in Review."""
    name = getattr(event, "list", "")
    ids = listed(compare(session, trial).effect(), name) if name in LISTS else ()
    if not ids:
        return parts.unchanged()
    return {parts.session: replace(session, selection=ids, sample=""), parts.tabs: gr.Tabs(selected="review")}


def _own(session: Session, trial: Trial) -> Trial:
    """Return `trial` if it belongs to the open run, else the settings of the saved detection."""
    return trial if trial.run == session.run else compare(session, trial).trial
