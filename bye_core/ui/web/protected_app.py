"""Gradio's application behind the checks that every request passes first."""

from __future__ import annotations

import os
from typing import Any

from gradio.routes import App, ORJSONResponse
from starlette.types import ASGIApp

from bye_core.ui.web.clients import ClientLimits
from bye_core.ui.web.file_inputs import FileInputs
from bye_core.ui.web.finished_calls import FinishedCalls
from bye_core.ui.web.hosts import OwnHostOnly
from bye_core.ui.web.needed_routes import NeededRoutes
from bye_core.ui.web.origins import OwnPagesOnly
from bye_core.ui.web.page_sessions import PageSessions
from bye_core.ui.web.policies import Policies

LOOPBACK = "127.0.0.1"


def listening_address(host: str | None) -> str:
    """Return the address on which Gradio listens if it gets `host` as the server's name."""
    return host or os.environ.get("GRADIO_SERVER_NAME") or LOOPBACK


class ProtectedApp(App):
    """Gradio's application. Gradio puts its own CORS middleware before those of an app, so they cannot replace it."""

    def __init__(self, host: str | None = None, **options: Any) -> None:
        # Gradio sets this class itself only for an application that it creates.
        super().__init__(default_response_class=ORJSONResponse, **options)
        self.state_holder = PageSessions()
        self._listening = listening_address(host)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the app behind all checks. The first of them to see a request is written last."""
        app: ASGIApp = FileInputs(FinishedCalls(super().build_middleware_stack(), self._forget))
        app = ClientLimits(app, self._is_waiting, self._unread, self._largest_upload)
        app = OwnPagesOnly(app)
        app = NeededRoutes(app)
        app = OwnHostOnly(app, self._listening)
        return Policies(app)

    def _is_waiting(self, event: str) -> bool:
        """Return whether the call with this event id waits or runs in the queue. Gradio forgets ended calls."""
        return event in self.get_blocks()._queue.event_ids_to_events

    def _unread(self, session: str) -> int:
        """Return the number of results of a session that wait to be fetched."""
        results = self.get_blocks()._queue.pending_messages_per_session.get(session)
        return results.qsize() if results else 0

    def _forget(self, call: str) -> None:
        """Forget the session of a call. If the call still runs, because its client left, Gradio makes another one."""
        self.state_holder.time_last_used.pop(call, None)
        self.state_holder.session_data.pop(call, None)

    def _largest_upload(self) -> int | None:
        return self.get_blocks().max_file_size
