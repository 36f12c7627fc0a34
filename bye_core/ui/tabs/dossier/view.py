"""Dossier: why the whole flagged set is flagged, and what the model says when the suspected spots are covered."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.bridge import in_front
from bye_core.ui.shared.messages import warn
from bye_core.ui.tabs.dossier import actions as page
from bye_core.ui.tabs.dossier.actions import Parts, Update, Watch

NAME = "dossier"
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.run. Starts and stops checks of the open run, as jobs of the workspace."""
    told = gr.HTML(elem_id="dossier-told", padding=False)
    about = gr.HTML(elem_id="dossier-about", padding=False)
    with gr.Row(elem_classes="bye-actions"):
        check = gr.Button(
            "Ask the model", variant="primary", scale=0, min_width=200, visible=False, elem_id="dossier-check"
        )
        stop = gr.Button("Stop", scale=0, min_width=120, visible=False, elem_id="dossier-stop")
    job = gr.HTML(elem_id="dossier-job", padding=False)
    here = gr.Checkbox(False, visible=False)
    parts = Parts(frame.session, gr.State(Watch()), frame.pulse, told, about, check, stop, job)
    outputs, known = parts.all(), [frame.session, parts.watch]

    def bound(function: Callable[..., Update]) -> Callable[..., Update]:
        """`function(parts, session, watch)`; failures become words and leave the page as it is."""

        def handler(session: Session, watch: Watch, seen: bool = True) -> Update:
            try:
                return function(parts, session, watch) if seen else {parts.watch: gr.skip()}
            except ByeError as error:
                warn(error)
                return {parts.watch: gr.skip()}

        return handler

    # Nobody looks, nothing is worked out: it is when the tab is opened.
    only = {"js": in_front(NAME), "trigger_mode": "always_last", **QUIET}
    tab.select(bound(page.look), known, outputs, **QUIET)
    frame.session.change(bound(page.look), [*known, here], outputs, **only)
    frame.pulse.tick(bound(page.look), [*known, here], outputs, **only)
    check.click(bound(page.start), known, outputs, **QUIET)
    stop.click(bound(page.stop), known, outputs, **QUIET)


TAB = Tab(NAME, "Dossier", build, styles=("dossier.css",))
