"""Refuses calls from pages of other sites. The app's own pages and programs may call.

Gradio alone does not refuse such calls, except on localhost: it only controls which pages may read the response.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bye_core.ui.web.hosts import chosen_names

SAFE = ("GET", "HEAD")
DEFAULT_PORTS = {"http": 80, "https": 443}
REFUSAL = {"detail": "Pages of this site may not call the app. Open the app's own page, or call it from a program."}


def is_own(origin: str | None, host: str, more: tuple[str, ...] = ()) -> bool:
    """Return whether a request with this Origin header comes from a page of `host` or of a host in `more`.

    `host` is the Host header. Programs send no Origin and are allowed. Sandboxed frames and local files send "null" and
    are refused.
    """
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        sender = parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return False
    if parts.scheme not in DEFAULT_PORTS or not sender[0]:
        return False
    own = {_named(one, parts.scheme) for one in (host, *more)}
    return sender in own


def _named(host: str, scheme: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname, parts.port or DEFAULT_PORTS[scheme]
    except ValueError:
        return None, None


class OwnPagesOnly:
    """ASGI middleware that answers calls from other sites with 403."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        if scope["type"] == "http" and not allowed(scope):
            return await JSONResponse(REFUSAL, status_code=403)(scope, receive, send)
        return await self.app(scope, receive, send)


def allowed(scope: Scope) -> bool:
    if scope["method"] in SAFE:
        return True
    headers = Headers(scope=scope)
    return is_own(headers.get("origin"), headers.get("host", ""), chosen_names())
