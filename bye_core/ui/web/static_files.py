"""Serves Gradio's scripts and styles compressed, and answers HEAD / itself.

Gradio, Starlette and brotli-asgi compress each file again for every visitor, plotly alone in 0.1 s (measured, one
core). Here each file is compressed once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath

import brotli
import gradio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(gradio.__file__).parent / "templates/frontend/assets"
PREFIX = "/assets/"
KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
}  # not from the module mimetypes, whose table any package may change
QUALITY = 5  # quality, 0..11: compresses plotly (4.6 MB) in 0.1 s
# Every name contains a hash of the content.
HEADERS = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}


class ReadyScripts:
    """ASGI middleware that answers for files in FOLDER and for HEAD /, and passes other requests on.

    Browsers without brotli get the files from Gradio. HEAD / is answered here because Gradio would build the whole page
    for it, and Gradio's `launch` fails if the answer takes more than 3 seconds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _answer(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)


def _answer(scope: Scope) -> Response | None:
    if scope["method"] == "HEAD" and scope["path"] == "/":
        return Response(media_type="text/html")
    if scope["method"] != "GET":
        return None
    name = scope["path"].rpartition(PREFIX)[2] if PREFIX in scope["path"] else ""
    kind = KINDS.get(PurePosixPath(name).suffix)
    if kind is None or name != PurePosixPath(name).name:
        return None
    if b"br" not in dict(scope["headers"]).get(b"accept-encoding", b""):
        return None
    content = _compressed(name)
    return Response(content, media_type=kind, headers={**HEADERS, "content-encoding": "br"}) if content else None


@lru_cache(maxsize=512)
def _compressed(name: str) -> bytes | None:
    try:
        return brotli.compress((FOLDER / name).read_bytes(), brotli.MODE_TEXT, QUALITY)
    except OSError:
        return None
