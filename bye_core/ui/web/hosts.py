"""Answers only requests that name this app as their host, so that no page elsewhere can reach it through DNS.

In DNS rebinding, a page of evil.example makes that name resolve to 127.0.0.1. Its requests then reach the app as calls
of its own page; only their Host header still says evil.example.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SETTING = "BYE_ALLOWED_HOSTS"
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})
# Gradio writes these headers into the addresses on its pages.
FORWARDED = (b"x-forwarded-host", b"x-gradio-server")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s/@\\?#\[\]:]+))(?::\d*)?")
REFUSAL = {
    "detail": f"The app does not answer under this host name. Its owner can allow the name with the variable {SETTING}."
}


def name_of(host: str) -> str:
    """Return the name in a Host header, without port and brackets, in lower case; "" if it is not valid."""
    found = _HOST.fullmatch(host.strip())
    return (found[1] or found[2]).lower().rstrip(".") if found else ""


def is_address(name: str) -> bool:
    """Return whether `name` is an IP address. A browser asks no DNS for it, so it cannot be rebound."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def chosen_names() -> tuple[str, ...]:
    """Return the host names in SPACE_HOST, which Hugging Face Spaces sets, and in BYE_ALLOWED_HOSTS (comma-separated).

    A name may have a port.
    """
    names = f"{os.environ.get('SPACE_HOST', '')},{os.environ.get(SETTING, '')}"
    return tuple(name.strip() for name in names.split(",") if name.strip())


def is_allowed(host: str, listening: str) -> bool:
    """Return whether the app answers requests with this Host header.

    `listening` is the address or name that the server was started with. If it listens on every address of the machine,
    it answers under every IP address and under the machine's own name.
    """
    name, own = name_of(host), listening.strip("[]").lower()
    if not name:
        return False
    if name in LOCAL or name == own or name in map(name_of, chosen_names()):
        return True
    return own in EVERY_ADDRESS and (is_address(name) or name in machine_names())


def machine_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset({name, f"{name}.local"})


class OwnHostOnly:
    """ASGI middleware that answers requests to other hosts with 403, and closes every websocket: the app has none.

    Removes forwarded host names that are not allowed, so that Gradio writes no foreign address into a page.
    """

    def __init__(self, app: ASGIApp, listening: str) -> None:
        self._app, self._listening = app, listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1 or not self._allows(hosts[0]):
            return await JSONResponse(REFUSAL, status_code=403)(scope, receive, send)
        headers = [entry for entry in scope["headers"] if entry[0] not in FORWARDED or self._allows_forwarded(entry[1])]
        await self._app({**scope, "headers": headers}, receive, send)

    def _allows(self, host: str) -> bool:
        return is_allowed(host, self._listening)

    def _allows_forwarded(self, value: bytes) -> bool:
        text = value.decode("latin-1").partition("://")
        names = (text[2] or text[0]).partition("/")[0].split(",")
        return all(self._allows(name.strip()) for name in names)
