"""The page: header, tabs, the bridge, and what happens when somebody comes in."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.figures import PAGE_STYLE
from bye_core.files import ASSETS
from bye_core.ui import api
from bye_core.ui.adjust import view as adjust_view
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.demo_run import run_to_open
from bye_core.ui.header import header
from bye_core.ui.session import STORAGE_KEY, Frame, Session
from bye_core.ui.shared.bridge import build_bridge
from bye_core.ui.shared.messages import warn
from bye_core.ui.shared.workspace_jobs import is_busy
from bye_core.ui.tabs import TABS
from bye_core.ui.theme import THEME
from bye_core.ui.web.first_screen import FirstScreen
from bye_core.ui.web.origins import OwnPagesOnly
from bye_core.ui.web.scripts import ScriptFiles
from bye_core.ui.web.static_files import ReadyScripts
from bye_core.ui.workspace import hosted, is_token, new_token, workspace_of

TITLE = "BYE - does this data set carry a back door?"
# Uploads above this are refused (SAFETY: bounded work); a public host takes far less.
LARGEST_UPLOAD = {True: "100mb", False: "20gb"}
PULSE_SECONDS = 1.5
LAST_BEATS = 2  # beats without a job at work until they end
# The header's buttons name the tab to go to.
TO_TAB = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-tab]');
  if (button) trigger('click', { tab: button.dataset.tab });
});"""
# Review opens its first sample by itself (assets/scripts/review/enter.js). Everything else keeps browser and server
# busy for a while: it begins when that sample is on the screen, or when Review is missing or slow.
AFTER_REVIEW = """(kept) => new Promise((go) => {
  const begin = () => go([kept]);
  if (!document.getElementById('review') || 'entered' in document.documentElement.dataset) begin();
  document.addEventListener('bye-entered', begin, { once: true });
  setTimeout(begin, 3000);
})"""
# What somebody chose before it is known who that is would be overwritten by `enter`: until then assets/style.css keeps
# the pointer from all tabs but Review.
KNOWN = "() => { document.documentElement.dataset.known = ''; }"
# Archives and uploads that Gradio keeps to serve: looked through and deleted after so many seconds; sooner on a public
# host.
DELETE_CACHE = {True: (600, 3600), False: (3600, 86400)}
WAITING = 64  # requests in the queue before newcomers are told to come back


def build(run: str = "") -> gr.Blocks:
    """The whole app; `run` is opened first, "" opens the shipped demo."""
    with gr.Blocks(title=TITLE, delete_cache=DELETE_CACHE[hosted()]) as page:
        stored = gr.BrowserState({}, storage_key=STORAGE_KEY, secret=secret())
        session = gr.State(Session())
        top = gr.HTML(elem_id="header", js_on_load=TO_TAB)
        bridge, pulse = build_bridge(), gr.Timer(PULSE_SECONDS, active=False)
        opened = gr.State({})
        # Nothing but tabs may be made inside Tabs: a State there is counted as one, and the bar shows wrong names.
        trial = gr.State(Trial())
        with gr.Tabs(elem_id="tabs") as tabs:
            frame = Frame(session, bridge, tabs, pulse, trial, opened, run)
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.name, elem_id=f"tab-{tab.name}") as component:
                    tab.build(frame, component)
        adjust_view.build(frame)
        quiet = {"api_visibility": "private", "show_progress": "hidden"}
        coming = page.load(lambda kept: enter(kept, run), stored, [stored, session, pulse], js=AFTER_REVIEW, **quiet)
        coming.then(None, js=KNOWN, **quiet)
        session.change(shown, session, top, **quiet)
        # The page takes as long for a listener as for what it is told: decisions reach only those that count them.
        session.change(kept_of, session, opened, **quiet)
        opened.change(dict, opened, stored, **quiet)
        idle = gr.State(0)
        pulse.tick(beat, [session, idle], [top, idle, pulse], **quiet)
        top.click(to_tab, None, tabs, **quiet)
        api.register()
        for handler in page.fns.values():
            # At each step of each handler Gradio's page looks for every component where progress was ever shown.
            if handler.show_progress == "hidden":
                handler.show_progress_on = [bridge]
    return page


def launch(
    page: gr.Blocks, host: str | None = None, port: int | None = None, browser: bool = False, **more: Any
) -> Any:
    """Serve the page; `more` goes to Gradio's launch."""
    page.queue(max_size=WAITING)
    middleware = [
        Middleware(OwnPagesOnly),
        Middleware(ReadyScripts),
        Middleware(ScriptFiles),
        Middleware(FirstScreen, page=page),
    ]
    return page.launch(
        server_name=host,
        server_port=port,
        inbrowser=browser,
        theme=THEME,
        css=PAGE_STYLE,
        css_paths=[ASSETS / name for name in ("style.css", *(style for tab in TABS for style in tab.styles))],
        allowed_paths=[],
        max_file_size=LARGEST_UPLOAD[hosted()],
        show_error=False,
        run_history=False,
        ssr_mode=False,
        app_kwargs={"middleware": middleware},
        **more,
    )


def secret() -> str:
    """Signs what browsers store. Kept at home, so that visitors are known again after a restart."""
    path = runs.home() / "secret"
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = new_token()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh)
        return fresh


def enter(kept: dict, run: str) -> tuple[dict, Session, gr.Timer]:
    """Who is it, and what was open: from the browser's own store; else the run asked for, else the demo. A job that was
    started before goes on being watched."""
    visitor = kept.get("visitor") if is_token(kept.get("visitor")) else new_token()
    place = workspace_of(visitor)
    name = run_to_open(place, run, kept.get("run"))
    data = kept.get("data") if isinstance(kept.get("data"), str) else ""
    session = Session(visitor=visitor, run=name, data=data)
    return kept_of(session), session, gr.Timer(active=is_busy(place))


def kept_of(session: Session) -> dict:
    """What the browser remembers."""
    return {"visitor": session.visitor, "run": session.run, "data": session.data}


def beat(session: Session, idle: int) -> tuple[str, int, gr.Timer]:
    """The header's numbers while jobs run. One beat comes after the end of the last job, so that every tab sees it."""
    idle = 0 if is_busy(workspace_of(session.visitor)) else idle + 1
    return shown(session), idle % LAST_BEATS, gr.Timer(active=idle < LAST_BEATS)


def to_tab(event: gr.EventData) -> gr.Tabs:
    return gr.Tabs(selected=event.tab)


def shown(session: Session) -> str:
    try:
        return header(session)
    except ByeError as error:
        warn(error)
        return header(replace(session, run=""))
