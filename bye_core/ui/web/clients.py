"""Bounds what one client of a public host may ask for at a time: calls, waiting calls, open streams and uploads.

A client is an internet address. The bounds are those of bye_core.ui.shared.limits; they are off where these are None.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from cachetools import LRUCache
from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bye_core.ui.shared.limits import HOUR, MB, MINUTE, Limits, limits
from bye_core.ui.shared.space import measured_size
from bye_core.ui.web.file_inputs import MAY_USE, UPLOADS

KNOWN_CLIENTS = 10_000
BURST_SECONDS = 15.0  # a client may make the calls of so many seconds at once (ours)
UPLOAD_OVERHEAD = MB  # of the form around an uploaded file
LARGEST_REPLY = 1 << 14  # the reply to a call that joins the queue has about 50 bytes
STREAMS = re.compile(r"/gradio_api/(?:heartbeat/|queue/data|upload_progress|call/)")
CALLS = "/gradio_api/call/"
IPV6_NETWORK = 64  # bits: a home or an office has such a network, and may use any address in it
BUSY = "You make too many calls at a time. Wait a moment, or run the app on your own machine."
NOT_ENTERED = "Open the page before you upload."
NO_LENGTH = "The size of the upload is missing."
TOO_LARGE = "The upload is too large for this public demo."
FULL = "This public demo has no room for uploads now. Try again in an hour."


def client_of(scope: Scope) -> str:
    """Return the internet address that sends a request, or its network for IPv6.

    If the sender is in a private network, it may be a proxy. Then the last public address in X-Forwarded-For is the
    client: what stands before it may be invented.
    """
    sender = (scope.get("client") or ("",))[0]
    address = _address(sender)
    if address is None or not address.is_global:
        forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        public = (found for name in reversed(forwarded) if (found := _address(name.strip())) and found.is_global)
        address = next(public, address)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))
    return str(address or sender)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with suppress(ValueError):
        address = ipaddress.ip_address(text)
        return getattr(address, "ipv4_mapped", None) or address
    return None


@dataclass
class Client:
    """What one client does now and did lately.

    left, since  calls that it may still make at once, and when that was true (monotonic seconds)
    running      requests of it that are being answered, except streams
    events       ids of its calls in Gradio's queue
    streams      its open streams
    uploaded     (time, bytes) of its uploads
    sessions     when it first used each session of the last hour
    entered      whether a call of it was accepted
    """

    left: float
    since: float
    running: int = 0
    events: set[str] = field(default_factory=set)
    streams: int = 0
    uploaded: deque[tuple[float, int]] = field(default_factory=deque)
    sessions: dict[str, float] = field(default_factory=dict)
    entered: bool = False

    def may_call(self, a_minute: int | None, now: float) -> bool:
        if a_minute is None:
            return True
        rate = a_minute / MINUTE
        self.left, self.since = min(rate * BURST_SECONDS, self.left + (now - self.since) * rate), now
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def may_wait(self, most: int | None, is_waiting: Callable[[str], bool]) -> bool:
        self.events = {event for event in self.events if is_waiting(event)}
        return most is None or self.running + len(self.events) < most

    def may_use(self, session: str, bounds: Limits, unread: Callable[[str], int], now: float) -> bool:
        """Return whether it may use this session now, and note that it does.

        Gradio keeps about 0.7 MB for each session (measured), and results until they are fetched.
        """
        self.sessions = {name: since for name, since in self.sessions.items() if since > now - HOUR}
        if bounds.sessions is not None and session not in self.sessions and len(self.sessions) >= bounds.sessions:
            return False
        if bounds.unread is not None and sum(map(unread, self.sessions)) >= bounds.unread:
            return False
        self.sessions.setdefault(session, now)
        return True

    def upload_refusal(self, size: str, bounds: Limits, largest: int | None, now: float) -> tuple[int, str] | None:
        """Return (status, reason) if an upload with this Content-Length is refused; else count it and return None."""
        if bounds.uploads is None:
            return None
        if not self.entered:
            return 403, NOT_ENTERED
        if not size.isdigit():
            return 411, NO_LENGTH
        while self.uploaded and self.uploaded[0][0] < now - HOUR:
            self.uploaded.popleft()
        length = int(size[:20])
        if largest is not None and length > largest + UPLOAD_OVERHEAD:
            return 413, TOO_LARGE
        if sum(earlier for _, earlier in self.uploaded) + length > bounds.uploads:
            return 429, FULL
        room = bounds.upload_folder
        if room is not None and measured_size(Path(get_upload_folder())) + length > room:
            return 507, FULL
        self.uploaded.append((now, length))
        return None


class ClientLimits:
    """ASGI middleware that answers a client beyond its bounds with 429.

    is_waiting  whether the call with this event id waits or runs in Gradio's queue
    unread      returns the number of results of a session that nobody has fetched
    largest     returns the size of the largest upload that Gradio accepts, None for any
    """

    def __init__(
        self,
        app: ASGIApp,
        is_waiting: Callable[[str], bool],
        unread: Callable[[str], int],
        largest: Callable[[], int | None],
    ) -> None:
        self._app, self._is_waiting, self._unread, self._largest = app, is_waiting, unread, largest
        self._numbers = count()
        self._clients: LRUCache[str, Client] = LRUCache(KNOWN_CLIENTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bounds = limits()
        if scope["type"] != "http" or bounds.calls is None:
            return await self._app(scope, receive, send)
        now = time.monotonic()
        name = client_of(scope)
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = Client(bounds.calls / MINUTE * BURST_SECONDS, now)
        if scope["method"] == "POST":
            await self._answer_call(client, bounds, now, scope, receive, send)
        elif STREAMS.match(scope["path"]):
            await self._answer_stream(client, bounds, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_call(
        self, client: Client, bounds: Limits, now: float, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if not client.may_call(bounds.calls, now) or not client.may_wait(bounds.waiting, self._is_waiting):
            return await _refusal(429, BUSY)(scope, receive, send)
        if scope["path"].rstrip("/") == UPLOADS:
            size = Headers(scope=scope).get("content-length", "")
            if refused := client.upload_refusal(size, bounds, self._largest(), now):
                return await _refusal(*refused)(scope, receive, send)
        reply = bytearray()

        def may_use(session: str) -> bool:
            # A call of a program names no session: Gradio makes one for it.
            own = session or (f"call {next(self._numbers)}" if CALLS in scope["path"] else "")
            return not own or client.may_use(own, bounds, self._unread, now)

        async def send_and_read(message: Message) -> None:
            if message["type"] == "http.response.body" and len(reply) < LARGEST_REPLY:
                reply.extend(message.get("body", b""))
            await send(message)

        client.running += 1
        try:
            await self._app({**scope, MAY_USE: may_use}, receive, send_and_read)
        finally:
            client.running -= 1
            if event := _event_id(bytes(reply)):
                client.events.add(event)
                client.entered = True

    async def _answer_stream(self, client: Client, bounds: Limits, scope: Scope, receive: Receive, send: Send) -> None:
        if bounds.streams is not None and client.streams >= bounds.streams:
            return await _refusal(429, BUSY)(scope, receive, send)
        client.streams += 1
        try:
            await self._app(scope, receive, send)
        finally:
            client.streams -= 1


def _event_id(reply: bytes) -> str | None:
    if not reply.startswith(b'{"event_id"'):
        return None
    with suppress(ValueError):
        event = json.loads(reply).get("event_id")
        return event if isinstance(event, str) else None
    return None


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason}, status_code=status, headers={"retry-after": "5"})
