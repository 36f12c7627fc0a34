"""The app's HTML: made once, not for every visitor, and with Review in it, so that its first sample is on the screen
while Gradio still loads.

Gradio's page begins to draw when some eighty scripts are there and hundreds of components are made. Review needs none
of them: it starts from the HTML (assets/scripts/review/page.js) and moves into Gradio's component once that is there.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from html import escape
from typing import Any

import brotli
import gradio as gr
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bye_core.figures import PAGE_STYLE
from bye_core.files import ASSETS
from bye_core.ui.web import scripts

COMPONENT = "review"  # elem_id
# The entry point, and all modules: a browser that hears of them at once need not find them import by import.
ENTRY = "review/main.js"
EARLY = "review/early.js"
MODULES = tuple(
    path.relative_to(scripts.FOLDER).as_posix() for path in sorted((scripts.FOLDER / "review").glob("*.js"))
)
STYLES = ("style.css", "review.css", "first.css")
# Gradio reads here which events the component has.
TAKES_OVER = "window.byeReview({ element, trigger, props, watch }); // triggers 'decided', 'opened', 'dossier'"

KEPT = 16  # versions of the HTML: it holds the address that it was asked for at
# What Gradio makes that address of.
ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")


def script(name: str) -> str:
    """Return the text of a script that stands in the page itself."""
    return (scripts.FOLDER / name).read_text(encoding="utf-8")


def in_script(value: Any) -> str:
    """JSON that no text in it can end early."""
    return json.dumps(value).replace("<", "\\u003c")


def head(page: gr.Blocks) -> str:
    """Gradio's theme, which else comes with the scripts, and the styles of what is shown first."""
    styles = "\n".join([PAGE_STYLE, *((ASSETS / name).read_text(encoding="utf-8") for name in STYLES)])
    preloads = "".join(
        f'<link rel="modulepreload" href="./{scripts.address(name)}">' for name in MODULES if name != EARLY
    )
    return f'<link rel="stylesheet" href="./theme.css?v={page.theme_hash}"><style>{styles}</style>{preloads}'


def body(page: gr.Blocks) -> str:
    """Review's page between a header and tabs that only hold the room."""
    component = next(block for block in page.blocks.values() if block.elem_id == COMPONENT)
    tabs = [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]
    names = "".join(
        f"<{tag}>{escape(name)}</{tag}>" for name, tag in zip(tabs, ["b", *["span"] * len(tabs)], strict=False)
    )
    facts = in_script({"component": component._id, **component.props})
    return (
        f'<div id="first" class="gradio-container"><main>'
        f'<div class="first-header"></div><div class="first-tabs" aria-hidden="true">{names}</div>'
        f'<div id="first-review">{(ASSETS / "review.html").read_text(encoding="utf-8")}</div></main></div>'
        f"<script>window.byeFirst = {facts};\n{script(EARLY)}</script>"
        f'<script type="module" async src="./{scripts.address(ENTRY)}"></script>'
    )


class FirstScreen:
    """Answers for the app's HTML; all else goes on to Gradio."""

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self._app, self._page = app, page
        self._kept: OrderedDict[tuple, bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        # A deep link is the only question that Gradio answers with other HTML.
        key = (scope["scheme"], scope.get("root_path"), *(headers.get(name) for name in ADDRESS))
        kept = None if b"deep_link" in scope["query_string"] else self._kept.get(key)
        if kept is None:
            answer = await self._ask(scope, receive)
            if answer.status_code != 200:
                return await answer(scope, receive, send)
            kept = brotli.compress(self._filled(answer.body), brotli.MODE_TEXT, 5)
            if b"deep_link" not in scope["query_string"]:
                self._keep(key, kept)
        takes = "br" in headers.get("accept-encoding", "")
        encoding = {"content-encoding": "br"} if takes else {}
        content = kept if takes else brotli.decompress(kept)
        more = {**encoding, "vary": "Accept-Encoding", "cache-control": "no-cache"}
        await Response(content, media_type="text/html", headers=more)(scope, receive, send)

    def _keep(self, key: tuple, content: bytes) -> None:
        self._kept[key] = content
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _ask(self, scope: Scope, receive: Receive) -> Response:
        """Gradio's own answer, not compressed."""
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        parts: list[bytes] = []
        start: Message = {}

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._app({**scope, "headers": plain}, receive, collect)
        answer = Response(b"".join(parts), start["status"])
        answer.raw_headers = start["headers"]
        return answer

    def _filled(self, html: bytes) -> bytes:
        html = html.replace(b"</head>", head(self._page).encode() + b"</head>", 1)
        before, opening, rest = html.partition(b"<body")
        tag, end, rest = rest.partition(b">")
        return before + opening + tag + end + body(self._page).encode() + rest
