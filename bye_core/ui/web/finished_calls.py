"""Forgets the session that Gradio makes for each call of a program, once the call's result was fetched.

Gradio keeps each session until there are too many of them. Nobody can use that of a call again.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

# The id of such a session is that of the call. The ids that pages choose for their sessions look different.
RESULT = re.compile(r"/gradio_api/call/(?:v2/)?[^/]+/([0-9a-f]{32})/?")


class FinishedCalls:
    """ASGI middleware that calls `forget` with the id of each call whose result was fetched."""

    def __init__(self, app: ASGIApp, forget: Callable[[str], None]) -> None:
        self._app, self._forget = app, forget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = RESULT.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        try:
            await self._app(scope, receive, send)
        finally:
            if call:
                self._forget(call[1])
