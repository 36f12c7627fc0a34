"""Builds the page: header, tabs, Adjust, and the public endpoints."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import gradio as gr

from bye_core.ui import api, visitor
from bye_core.ui.adjust import view as adjust
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.header.actions import clicked
from bye_core.ui.session import STORAGE_KEY, Frame, Session, Watcher
from bye_core.ui.shared.bridge import build_bridge
from bye_core.ui.shared.events import QUIET, SESSION
from bye_core.ui.shared.pulse import listen_to_pulse, listen_to_session
from bye_core.ui.tabs import FIRST_TAB, TABS
from bye_core.ui.web.blocks_without_repeats import BlocksWithoutRepeats
from bye_core.ui.web.scripts import start_module
from bye_core.ui.workspace import hosted

TITLE = "BYE: find back-door poison in a data set"
PULSE_SECONDS = 1.5
# Modules that the stages load on first use. The app loads them at its start: its handlers run in threads, and threads
# that load the same modules at the same time may see them half loaded.
EARLY = (
    "scipy.ndimage", "scipy.stats", "sklearn.cluster", "sklearn.covariance", "sklearn.decomposition", "sklearn.metrics",
    "sklearn.mixture",
)  # fmt: skip
# Gradio deletes old archives and uploads: (seconds between checks, age in seconds) on a public host and elsewhere.
DELETE_CACHE = {True: (600, 3600), False: (3600, 86400)}
# Review shows its first sample without Gradio (assets/scripts/review/enter.js). The rest of the page loads slowly, so
# it waits for that sample, but at most 3 s.
# It also passes the run that the page's address names.
AFTER_REVIEW = """(stored) => new Promise((go) => {
  // The address with which the page was opened: Review may already have put another run into it.
  const [opened] = performance.getEntriesByType('navigation');
  const link = new URL(opened ? opened.name : location.href).searchParams.get('run') || '';
  const begin = () => go([{ ...stored, link }]);
  if (!document.getElementById('review') || 'entered' in document.documentElement.dataset) begin();
  document.addEventListener('bye-entered', begin, { once: true });
  setTimeout(begin, 3000);
})"""
# `visitor.enter` would overwrite earlier choices, so assets/style.css disables all tabs but Review until it has run.
KNOWN = "() => { document.documentElement.dataset.known = ''; }"


def build(run: str = "") -> gr.Blocks:
    """Build the page. It opens the run named `run` first, or the demo if `run` is ""."""
    for name in EARLY:
        import_module(name)
    with BlocksWithoutRepeats(title=TITLE, delete_cache=DELETE_CACHE[hosted()], analytics_enabled=False) as page:
        # Before all other handlers: Gradio would rename an endpoint if a private handler already had its name.
        api.register()
        stored = gr.BrowserState({}, storage_key=STORAGE_KEY, secret=visitor.secret())
        session = gr.State(Session())
        top = gr.HTML(elem_id="header", js_on_load=start_module("shell.js"))
        running, compared = gr.HTML(elem_id="running"), gr.HTML(elem_id="compared")
        # Outside of Tabs, because Gradio counts each component inside as a tab and would show wrong titles.
        opened, trial = gr.State({}), gr.State(Trial())
        drawn_again = [*(tab.name for tab in TABS), adjust.NAME]
        bridge = build_bridge(drawn_again, {"session": session, "trial": trial})
        pulse = gr.Timer(PULSE_SECONDS, active=False)
        with gr.Tabs(elem_id="tabs", selected=FIRST_TAB) as tabs:
            frame = Frame(session, bridge, tabs, pulse, trial, opened, run)
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.name, elem_id=f"tab-{tab.name}") as component:
                    if tab.off and hosted():
                        gr.HTML(tab.off, elem_id=f"{tab.name}-off")
                    else:
                        tab.build(frame, component)
        adjust.build(frame)
        listen_to_pulse(frame)
        _listen(page, frame, stored, Top(top, running, compared))
    for handler in page.fns.values():
        # Gradio's page checks every component of this list at each step of each handler.
        if handler.show_progress == "hidden":
            handler.show_progress_on = [bridge]
    return page


class Top(NamedTuple):
    """What lies above the tabs: the header, the running jobs, and the comparison of two runs."""

    header: gr.HTML
    running: gr.HTML
    compared: gr.HTML


def _listen(page: gr.Blocks, frame: Frame, stored: gr.BrowserState, top: Top) -> None:
    session, opened, pulse = frame.session, frame.opened, frame.pulse
    entered = page.load(
        lambda values: visitor.enter(values, frame.asked), stored, [stored, session, pulse], js=AFTER_REVIEW, **QUIET
    )
    entered.then(None, js=KNOWN, **QUIET)
    opened.change(visitor.show_running, session, top.running, **QUIET)
    shown = lambda session: {top.header: visitor.show_header(session), opened: visitor.to_store(session)}  # noqa: E731
    frame.followers.append(Watcher(shown, [session], [top.header, opened]))
    listen_to_session(frame)
    opened.change(dict, opened, stored, **QUIET)
    idle = gr.State(0)
    pulse.tick(visitor.beat, [session, idle], [top.header, top.running, idle, pulse], **QUIET)
    idle.change(visitor.wake, session, pulse, **QUIET)
    top.header.click(clicked, session, [session, frame.tabs, top.header, top.compared], **SESSION)
