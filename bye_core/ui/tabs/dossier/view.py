"""Builds the Dossier tab: why samples are flagged, and how the model answers when suspected spots are covered."""

from __future__ import annotations

import gradio as gr

from bye_core.ui.session import Frame, Tab, Watcher
from bye_core.ui.shared.bridge import changed
from bye_core.ui.shared.events import QUIET, Binder, if_in_front
from bye_core.ui.shared.evidence import KIND
from bye_core.ui.shared.page_value import page_value
from bye_core.ui.shared.stop_button import on_stop
from bye_core.ui.tabs.dossier import actions as page
from bye_core.ui.tabs.dossier.actions import Parts, Watch

NAME = "dossier"


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.run, and starts and stops causal checks of the open run as jobs."""
    evidence = gr.HTML(elem_id="dossier-told", padding=False)
    about = gr.HTML(elem_id="dossier-about", padding=False)
    with gr.Row(elem_classes="bye-actions"):
        check = gr.Button(
            "Ask the model", variant="primary", scale=0, min_width=200, visible=False, elem_id="dossier-check"
        )
        stop = gr.Button("Stop", scale=0, min_width=120, visible=False, elem_id="dossier-stop")
    job = gr.HTML(elem_id="dossier-job", padding=False)
    here = gr.Checkbox(False, visible=False)
    parts = Parts(frame.session, page_value(Watch()), frame.pulse, evidence, about, check, stop, job)
    outputs, known, bound = parts.all(), [frame.session, parts.watch], Binder(parts)
    # The evidence is computed only if the tab is in front.
    tab.select(bound(page.look), known, outputs, **QUIET)
    changed(frame.bridge, "session", NAME)(bound(page.look), known, outputs, trigger_mode="always_last", **QUIET)
    frame.watchers.append(Watcher(bound(if_in_front(page.look)), [*known, here], outputs, NAME))
    check.click(bound(page.start), known, outputs, **QUIET)
    on_stop(stop, bound(page.stop), bound(page.stopped), known, outputs)


TAB = Tab(NAME, "Dossier", build, styles=("dossier.css",), jobs={KIND: "checking the causes in"})
