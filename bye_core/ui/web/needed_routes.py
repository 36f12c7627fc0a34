"""Serves only the addresses that the page and programs use. Gradio has more: recordings, monitoring, proxies, editing.

tests/ui/web/test_routes.py reads Gradio's routes from the app itself: every one is listed here or refused.
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READ, CALL = frozenset({"GET"}), frozenset({"POST"})
READ_OR_ASK = READ | {"HEAD"}
API = "/gradio_api"
# Templates as in Starlette: {name} is one part of a path, {name:path} the rest of it.
NEEDED = {
    "/": READ_OR_ASK,
    "/config": READ,
    "/theme.css": READ,
    "/favicon.ico": READ,
    "/robots.txt": READ,
    "/manifest.json": READ,
    "/assets/{path:path}": READ,
    "/static/{path:path}": READ,
    "/bye/scripts/{path:path}": READ,
    f"{API}/theme.css": READ,
    f"{API}/info": READ,
    f"{API}/openapi.json": READ,
    f"{API}/startup-events": READ,
    f"{API}/heartbeat/{{session_hash}}": READ,
    f"{API}/queue/join": CALL,
    f"{API}/queue/data": READ,
    f"{API}/call/{{api_name}}": CALL,
    f"{API}/call/{{api_name}}/{{event_id}}": READ,
    f"{API}/component_server": CALL,
    f"{API}/call/v2/{{api_name}}": CALL,
    f"{API}/call/v2/{{api_name}}/{{event_id}}": READ,
    f"{API}/cancel": CALL,
    f"{API}/reset": CALL,
    f"{API}/upload": CALL,
    f"{API}/upload_progress": READ,
    f"{API}/file={{path_or_url:path}}": READ_OR_ASK,
}
REFUSAL = {"detail": "Not Found"}
_FOREIGN_FILE = re.compile(r"/file[=/]\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)


def pattern(template: str) -> re.Pattern[str]:
    """Return the regular expression for the paths of a template, with or without a slash at the end."""
    parts = re.split(r"(\{\w+(?::path)?\})", template)
    text = "".join(
        (".*" if part.endswith(":path}") else "[^/]+") if part.startswith("{") else re.escape(part) for part in parts
    )
    return re.compile(text if template == "/" else f"{text}/?", re.DOTALL)


_PATTERNS = [(pattern(template), methods) for template, methods in NEEDED.items()]


def is_needed(method: str, path: str) -> bool:
    """Return whether the app serves this request. `file=URL` is refused: Gradio would download the address."""
    if _FOREIGN_FILE.search(path):
        return False
    return any(method in methods and wanted.fullmatch(path) for wanted, methods in _PATTERNS)


class NeededRoutes:
    """ASGI middleware that answers requests for other addresses, and for saved states of a page, with 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        saved = b"deep_link" in scope.get("query_string", b"")  # no page of the app makes such links
        if scope["type"] == "http" and (saved or not is_needed(scope["method"], scope["path"])):
            return await JSONResponse(REFUSAL, status_code=404)(scope, receive, send)
        await self._app(scope, receive, send)
