"""Keeps less of the visitors' pages in memory than Gradio does.

Gradio stores a copy of every component's configuration and newest value for each page, so that `/deep_link` can restore
them. This app has links of its own, and `NeededRoutes` refuses `/deep_link`. Gradio also remembers every closed page
until there are more pages than `state_session_capacity`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio.state_holder import SessionState, StateHolder
from gradio.utils import LRUCache

UNREAD_PAGES = 2000  # pages whose answers wait; as in Gradio
CLOSED = 50  # closed pages that are remembered, about 1 MB each (measured): the connection of a page may come back


class _NotKept(dict[int, Any]):
    """The configurations of components, each of which is forgotten at once."""

    def __missing__(self, key: int) -> dict[str, Any]:
        return {}

    def __setitem__(self, key: int, value: Any) -> None:
        pass


class PageSession(SessionState):
    """The values of a page's `gr.State`, and the components that differ from those of the app."""

    def __init__(self, blocks: Any) -> None:
        # Without blocks, SessionState makes no configurations.
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))
        self.config_values = _NotKept()


class PageSessions(StateHolder):
    """Makes a PageSession for each unknown id; of the closed pages, remembers the CLOSED ones that were used last."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = PageSession(self.blocks)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        """Make a session the one used last; forget the closed ones that were not used for the longest time."""
        super().update(session_id)
        with self.lock:
            closed = [id for id, session in list(self.session_data.items()) if session.is_closed]
            for id in closed[: max(0, len(closed) - CLOSED)]:
                del self.session_data[id]
                self.time_last_used.pop(id, None)


class PendingMessages(LRUCache[str, Any]):
    """Gradio's answers that wait for a page, by the page's session.

    Gradio removes them when a stream of the page is cut off. A page that opened two streams would cause an error.
    """

    def __delitem__(self, session_id: str) -> None:
        if session_id in self:
            super().__delitem__(session_id)
