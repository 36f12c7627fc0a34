"""Serves the page: address, limits, style sheets and middleware."""

from __future__ import annotations

import os
import sys
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from bye_core.data.bounds import MEMORY_SETTING
from bye_core.figures import PAGE_STYLE
from bye_core.files import ASSETS
from bye_core.ui.shared.cleaning import start_cleaning
from bye_core.ui.tabs import TABS
from bye_core.ui.tabs.review.view import FIRST_SCREEN
from bye_core.ui.theme import THEME
from bye_core.ui.web.first_screen import FirstScreen
from bye_core.ui.web.page_sessions import UNREAD_PAGES, PendingMessages
from bye_core.ui.web.protected_app import ProtectedApp
from bye_core.ui.web.scripts import ScriptFiles
from bye_core.ui.web.static_files import ReadyScripts
from bye_core.ui.workspace import hosted

LARGEST_UPLOAD = {True: "100mb", False: "20gb"}  # on a public host, on one's own machine
WAITING = 256  # requests in the queue; later ones are refused. One client of a public host may have far fewer

DATA_MEMORY = "768"  # megabytes that one data set may need on a public host: the server then stays below 1.5 GB

# After each event, Gradio summarises up to 10,000 earlier ones, which takes 10 to 17 ms, for a page that is not served
# (needed_routes.py).
NO_SUMMARY = {"GRADIO_ANALYTICS_CACHE_FREQUENCY": str(sys.maxsize), "GRADIO_ANALYTICS_MAX_EVENTS": "1"}

SESSIONS = 500  # pages whose state is in memory, about 1 MB each (measured); the one unused longest is forgotten


def launch(
    page: gr.Blocks, host: str | None = None, port: int | None = None, browser: bool = False, **options: Any
) -> Any:
    """Serve the page. `options` are passed to Gradio's `launch`, whose result is returned."""
    if hosted():
        os.environ.setdefault(MEMORY_SETTING, DATA_MEMORY)  # jobs get it too
    for name, value in NO_SUMMARY.items():
        os.environ.setdefault(name, value)
    page.queue(max_size=WAITING)
    page._queue.pending_messages_per_session = PendingMessages(UNREAD_PAGES)
    start_cleaning()
    return page.launch(
        server_name=host,
        server_port=port,
        inbrowser=browser,
        theme=THEME,
        css=PAGE_STYLE,
        css_paths=[ASSETS / name for name in style_sheets()],
        allowed_paths=[],
        max_file_size=LARGEST_UPLOAD[hosted()],
        show_error=False,
        run_history=False,
        state_session_capacity=SESSIONS,
        ssr_mode=False,
        _app=ProtectedApp(host, middleware=middleware(page)),
        **options,
    )


def style_sheets() -> list[str]:
    return ["style.css", *(name for tab in TABS for name in tab.styles)]


def middleware(page: gr.Blocks) -> list[Middleware]:
    """Return the middleware of the app; the first one receives each request first."""
    return [
        Middleware(ReadyScripts),
        Middleware(ScriptFiles),
        Middleware(FirstScreen, page=page, screen=FIRST_SCREEN),
    ]
