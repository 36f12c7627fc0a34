"""Serves the app's HTML with one tab included, so that its first sample is visible while Gradio still loads.

Gradio draws its page after some eighty scripts and hundreds of components. The first screen needs none of them: its
scripts start from the HTML, and move the screen into Gradio's component after Gradio has created it. The HTML is made
and compressed once for each address, not for every visitor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any

import brotli
import gradio as gr
from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bye_core.figures import PAGE_STYLE
from bye_core.files import ASSETS
from bye_core.ui.web import scripts

ANSWERS = "answers.js"  # mends Gradio's page; it must run before Gradio's scripts do
KEPT = 16  # number of cached pages; each contains the address under which it was requested
# Gradio makes the address in the page from these request headers.
ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")


@dataclass(frozen=True)
class Screen:
    """A tab's content that is shown before Gradio has loaded. It is made of files in assets/.

    component  elem_id of the Gradio component into which the content is moved
    html       the HTML file
    scripts    the folder of its modules in scripts/: main.js is the entry, early.js runs in the page itself
    styles     style sheets besides those of all pages
    """

    component: str
    html: str
    scripts: str
    styles: tuple[str, ...]

    @property
    def early(self) -> str:
        return f"{self.scripts}/early.js"

    @property
    def modules(self) -> list[str]:
        """All modules except main.js and early.js, and the address. The browser preloads them in parallel."""
        paths = sorted((scripts.FOLDER / self.scripts).glob("*.js"))
        names = ["address.js", *(path.relative_to(scripts.FOLDER).as_posix() for path in paths)]
        return [name for name in names if name != self.early]


def in_script(value: Any) -> str:
    """Return `value` as JSON in which "</script>" cannot occur, for use inside a <script> element."""
    return json.dumps(value).replace("<", "\\u003c")


def head(page: gr.Blocks, screen: Screen) -> str:
    """Return the <head> content: Gradio's theme, which its scripts would load late, and the styles of the screen."""
    names = ("style.css", *screen.styles, "first.css")
    styles = "\n".join([PAGE_STYLE, *((ASSETS / name).read_text(encoding="utf-8") for name in names)])
    preloads = "".join(f'<link rel="modulepreload" href="./{scripts.address(name)}">' for name in screen.modules)
    return f'<link rel="stylesheet" href="./theme.css?v={page.theme_hash}"><style>{styles}</style>{preloads}'


def body(page: gr.Blocks, screen: Screen) -> str:
    """Return the first screen between an empty header and a row of tab titles."""
    component = next(block for block in page.blocks.values() if block.elem_id == screen.component)
    tabs = "".join(
        f"<b>{escape(block.label)}</b>" if block.id == screen.component else f"<span>{escape(block.label)}</span>"
        for block in page.blocks.values()
        if isinstance(block, gr.Tab)
    )
    facts = in_script({"component": component._id, **component.props})
    early = "\n".join((scripts.FOLDER / name).read_text(encoding="utf-8") for name in (ANSWERS, screen.early))
    html = (ASSETS / screen.html).read_text(encoding="utf-8")
    return (
        f'<div id="first" class="gradio-container"><main>'
        f'<div class="first-header"></div><div class="first-tabs" aria-hidden="true">{tabs}</div>'
        f'<div id="first-{screen.component}">{html}</div></main></div>'
        f"<script>window.byeFirst = {facts};\n{early}</script>"
        f'<script type="module" async src="./{scripts.address(f"{screen.scripts}/main.js")}"></script>'
    )


class FirstScreen:
    """ASGI middleware that answers for the app's HTML and passes other requests on."""

    def __init__(self, app: ASGIApp, page: gr.Blocks, screen: Screen) -> None:
        self._app, self._page, self._screen = app, page, screen
        self._kept: LRUCache[tuple, bytes] = LRUCache(KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        key = (scope["scheme"], scope.get("root_path"), *(headers.get(name) for name in ADDRESS))
        # Only for a deep link does Gradio return other HTML; it ignores other queries.
        deep_link = b"deep_link" in scope["query_string"]
        compressed = None if deep_link else self._kept.get(key)
        if compressed is None:
            answer = await self._ask(scope, receive)
            if answer.status_code != 200:
                return await answer(scope, receive, send)
            compressed = brotli.compress(self._filled(answer.body), brotli.MODE_TEXT, 5)
            if not deep_link:
                self._kept[key] = compressed
        more = {"vary": "Accept-Encoding", "cache-control": "no-cache"}
        if "br" in headers.get("accept-encoding", ""):
            content, more["content-encoding"] = compressed, "br"
        else:
            content = brotli.decompress(compressed)
        await Response(content, media_type="text/html", headers=more)(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive) -> Response:
        """Return Gradio's own response to the request, uncompressed."""
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
        html = html.replace(b"</head>", head(self._page, self._screen).encode() + b"</head>", 1)
        before, opening, rest = html.partition(b"<body")
        tag, end, rest = rest.partition(b">")
        return before + opening + tag + end + body(self._page, self._screen).encode() + rest
