"""Calls that change something are taken from the app's own pages and from programs, never from another site's page.

Gradio itself only decides who may read an answer; on a host that is not this machine it lets every site's page call.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# These change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")
DEFAULT_PORTS = {"http": 80, "https": 443}
REFUSAL = {"detail": "Not from here: open the app itself, or call it from a program."}
_FOREIGN_FILE = re.compile(r"/file[=/]\s*https?:", re.IGNORECASE)


def is_own(origin: str | None, host: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a request with this Origin comes from a page of `host` (its Host header) or of the hosts in `more`.

    Programs send no Origin. "null" is what a sandboxed frame or a local file sends, and is nobody's own.
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


def trusted() -> tuple[str, ...]:
    """What a proxy in front of the app is called, where it sends another Host: SPACE_HOST on Hugging Face Spaces, and
    BYE_HOSTS, separated by commas."""
    names = f"{os.environ.get('SPACE_HOST', '')},{os.environ.get('BYE_HOSTS', '')}"
    return tuple(name.strip() for name in names.split(",") if name.strip())


class OwnPagesOnly:
    """The ASGI middleware that refuses the others with 403, and fetches no foreign address for anybody: Gradio would
    pass on whatever address follows "file="."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        if scope["type"] == "http" and not allowed(scope):
            return await JSONResponse(REFUSAL, status_code=403)(scope, receive, send)
        return await self.app(scope, receive, send)


def allowed(scope: Scope) -> bool:
    if scope["method"] in SAFE:
        return _FOREIGN_FILE.search(scope.get("path", "")) is None
    headers = Headers(scope=scope)
    return is_own(headers.get("origin"), headers.get("host", ""), trusted())
