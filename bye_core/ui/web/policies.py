"""Adds the headers that tell browsers what the app's pages may load and who may embed or read them."""

from __future__ import annotations

import os

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio's page runs scripts in its HTML and builds functions from text (js_on_load). All requests of the page go to
# the app itself, so a hostile text in a data set could not send anything elsewhere even if it became HTML.
CONTENT = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {embedders}"
)
# Files of visitors run no script and load nothing, even if a browser shows one as a page.
FILES = "default-src 'none'; sandbox; frame-ancestors 'none'"
FILE_ADDRESS = "/gradio_api/file="
SPACE_EMBEDDERS = "'self' https://huggingface.co"  # Hugging Face shows a Space in a frame of its own page
FIXED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
SHARING = "access-control-"


def content_policy() -> str:
    """Return the Content-Security-Policy of the app's pages. Only a Space may be embedded, by Hugging Face."""
    return CONTENT.format(embedders=SPACE_EMBEDDERS if os.environ.get("SPACE_ID") else "'self'")


class Policies:
    """ASGI middleware that sets these headers on every response and removes all that share it with other sites.

    Gradio allows pages of every site to read the app's responses, unless the app runs on localhost. The app's own pages
    need no such permission.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        policy = FILES if scope["path"].startswith(FILE_ADDRESS) else content_policy()

        async def send_with_policies(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", [])]}
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.lower().startswith(SHARING)]:
                    del headers[name]
                headers.update({**FIXED, "content-security-policy": policy})
            await send(message)

        await self._app(scope, receive, send_with_policies)
