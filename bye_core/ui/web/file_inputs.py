"""Refuses calls in which a file is an address. Gradio would download it, from this machine's own network too."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bye_core.ui.shared.limits import limits

# A key of the scope: a function that returns whether the client may use a session.
MAY_USE = "bye.may_use_session"
REFUSAL = {"detail": "A file must be uploaded; the app opens no addresses."}
TOO_MANY = {"detail": "You have too many sessions, or results that you have not fetched. Wait, or fetch them."}
TOO_LARGE = {"detail": "The request is too large for this public demo."}
UNREADABLE = {"detail": "The request is not valid JSON."}
UPLOADS = "/gradio_api/upload"
_ADDRESS = re.compile(r"[\s\0-\x1f]*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}|[\s\0-\x1f]*[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[/\\]", re.IGNORECASE)


def names_address(value: Any) -> bool:
    """Return whether an object anywhere in the decoded JSON `value` has a "path" that is an address.

    Gradio downloads the "path" of a file object; it does not open the "url" of one.
    """
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            path = entry.get("path")
            if isinstance(path, str) and _ADDRESS.match(path) and not _DRIVE.match(path):
                return True
            waiting += entry.values()
        elif isinstance(entry, list):
            waiting += entry
    return False


class FileInputs:
    """ASGI middleware that reads the body of each call, except uploads, before Gradio does.

    On a public host, it also refuses bodies beyond `limits().request` bytes, and sessions beyond the client's bounds
    (bye_core.ui.web.clients).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].rstrip("/") == UPLOADS:
            return await self._app(scope, receive, send)
        most = limits().request
        declared = Headers(scope=scope).get("content-length", "")
        if most is not None and declared.isdigit() and int(declared) > most:
            return await JSONResponse(TOO_LARGE, status_code=413)(scope, receive, send)
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if most is not None and size > most:
                return await JSONResponse(TOO_LARGE, status_code=413)(scope, receive, send)
        checked = check(b"".join(parts))
        if isinstance(checked, JSONResponse):
            return await checked(scope, receive, send)
        if not scope.get(MAY_USE, _any)(checked.session):
            return await JSONResponse(TOO_MANY, status_code=429)(scope, receive, send)
        body = checked.body
        others = [entry for entry in scope["headers"] if entry[0] not in (b"content-length", b"transfer-encoding")]
        scope = {**scope, "headers": [*others, (b"content-length", str(len(body)).encode())]}
        given = False

        async def receive_checked() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_checked, send)


def _any(session: str) -> bool:
    return True


@dataclass(frozen=True)
class Checked:
    """A body that Gradio may read, and the session that it names, "" for none."""

    body: bytes
    session: str = ""


def check(body: bytes) -> Checked | JSONResponse:
    """Return the body that Gradio may read, or the answer that refuses it.

    The body is written anew from what was checked: another reader of JSON may choose differently between equal keys.
    """
    if not body.strip():
        return Checked(b"")
    try:
        value = json.loads(body)
        checked = json.dumps(value).encode("ascii")
    except (ValueError, RecursionError):
        # Gradio reads calls as JSON whatever their content type says; component_server also takes forms with files.
        return JSONResponse(UNREADABLE, status_code=400)
    if names_address(value):
        return JSONResponse(REFUSAL, status_code=400)
    session = value.get("session_hash") if isinstance(value, dict) else None
    return Checked(checked, session if isinstance(session, str) else "")
