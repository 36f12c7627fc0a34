"""Serves the app's own JavaScript modules (assets/scripts) under an address that changes with their content."""

from __future__ import annotations

import hashlib
from functools import cache

from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bye_core.files import ASSETS

FOLDER = ASSETS / "scripts"
PREFIX = "bye/scripts"
FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
# Not from `mimetypes`, which depends on the system and on other packages. Browsers refuse modules of another type.
MODULE_TYPE = (b"content-type", b"text/javascript; charset=utf-8")


@cache
def names() -> frozenset[str]:
    """Return the names of all scripts. Only these files are served."""
    return frozenset(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js"))


@cache
def version() -> str:
    """Return a digest of all scripts. It is part of their address, so that browsers may cache them forever."""
    digest = hashlib.sha256()
    for name in sorted(names()):
        digest.update(name.encode() + b"\0" + (FOLDER / name).read_bytes())
    return digest.hexdigest()[:12]


def address(name: str) -> str:
    """Return the address of a script, relative to the app's page."""
    return f"{PREFIX}/{version()}/{name}"


def start_module(name: str) -> str:
    """Return JavaScript for a component's `js_on_load`: it calls `start({element, trigger})` of the module `name`.

    The modules watch the tabs. On a busy machine, Gradio adds the component first, so the call waits for the tabs.
    """
    page = "location.origin + location.pathname.replace(/\\/?$/, '/')"
    ready = "document.getElementById('tabs')"
    begin = f"const begin = () => {ready} ? start({{ element, trigger }}) : setTimeout(begin, 20);"
    return f"import(new URL('{address(name)}', {page})).then(({{ start }}) => {{ {begin} begin(); }});"


class ScriptFiles:
    """ASGI middleware that serves the app's own scripts and passes other requests on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = GZipMiddleware(StaticFiles(directory=FOLDER))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].rpartition(f"/{PREFIX}/")[2] if scope["type"] == "http" else ""
        digest, _, name = path.partition("/")
        if digest != version() or name not in names():
            return await self._app(scope, receive, send)

        async def send_cacheable(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                others = [header for header in message["headers"] if header[0] != MODULE_TYPE[0]]
                message = {**message, "headers": [*others, MODULE_TYPE, FOREVER]}
            await send(message)

        await self._files({**scope, "path": f"/{name}", "root_path": ""}, receive, send_cacheable)
