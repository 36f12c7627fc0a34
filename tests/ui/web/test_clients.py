"""What one client of a public host may do at a time."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.responses import JSONResponse

from bye_core.ui.shared.space import forget_sizes
from bye_core.ui.web import clients
from bye_core.ui.web.clients import ClientLimits, client_of
from bye_core.ui.web.file_inputs import MAY_USE

JOIN, UPLOAD, STREAM = "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/queue/data"


def scope_of(path=JOIN, method="POST", address="8.8.8.8", **headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": raw, "client": (address, 1)}


@pytest.mark.parametrize(
    ("sender", "forwarded", "client"),
    [
        ("8.8.8.8", "", "8.8.8.8"),
        ("8.8.8.8", "1.1.1.1", "8.8.8.8"),  # a client that is no proxy may write what it likes
        ("10.0.0.7", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.7", "9.9.9.9, 1.1.1.1, 10.2.2.2", "1.1.1.1"),
        ("10.0.0.7", "nonsense, 10.2.2.2", "10.0.0.7"),
        ("10.0.0.7", "", "10.0.0.7"),
        ("2606:4700::1111", "", "2606:4700::/64"),
        ("::ffff:8.8.8.8", "", "8.8.8.8"),
        ("testclient", "", "testclient"),
    ],
)
def test_the_client(sender, forwarded, client):
    assert client_of(scope_of(address=sender, x_forwarded_for=forwarded)) == client


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """asked(*scopes) -> the statuses of requests that are under way at the same time; `asked.waiting`: their calls."""
    monkeypatch.setenv("BYE_HOSTED", "1")
    monkeypatch.setattr(clients, "get_upload_folder", lambda: str(tmp_path))
    numbers, waiting = iter(range(10_000)), set()
    release = asyncio.Event

    async def app(scope, receive, send):
        event = f"event-{next(numbers)}"
        waiting.add(event)
        if scope["path"] != JOIN:
            await ask.gate.wait()
        if MAY_USE in scope and not scope[MAY_USE](scope.get("session", "")):
            return await JSONResponse({}, status_code=429)(scope, receive, send)
        await JSONResponse({"event_id": event})(scope, receive, send)

    unread = Counter()
    limited = ClientLimits(app, waiting.__contains__, unread.__getitem__, lambda: 100_000_000)

    async def one(scope):
        status = []

        async def send(message):
            status.append(message.get("status"))

        await limited(scope, None, send)
        return status[0]

    def ask(*scopes):
        async def all_at_once():
            ask.gate = release()
            tasks = [asyncio.create_task(one(scope)) for scope in scopes]
            await asyncio.sleep(0)
            ask.gate.set()
            return [await task for task in tasks]

        with ThreadPoolExecutor(1) as thread:  # browser tests leave a running loop in the main thread
            return thread.submit(asyncio.run, all_at_once()).result()

    ask.waiting, ask.unread = waiting, unread
    return ask


def test_ninety_joins_of_one_client_leave_room_for_others(asked):
    statuses = asked(*[scope_of() for _ in range(90)])
    assert statuses == [200] * 80 + [429] * 10
    assert asked(scope_of(address="1.1.1.1")) == [200]
    asked.waiting.clear()  # Gradio has answered them
    assert asked(scope_of()) == [200]


def test_calls_beyond_the_rate_wait(asked, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clients.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("BYE_LIMIT_CALLS", "240")  # 60 at once, then 4 a second
    monkeypatch.setenv("BYE_LIMIT_WAITING", "1000")
    assert asked(*[scope_of() for _ in range(62)]) == [200] * 60 + [429] * 2
    now[0] = 1.0
    assert asked(*[scope_of() for _ in range(5)]) == [200] * 4 + [429]


def test_open_streams_are_bounded(asked, monkeypatch):
    monkeypatch.setenv("BYE_LIMIT_STREAMS", "3")
    assert sorted(asked(*[scope_of(STREAM, "GET") for _ in range(4)])) == [200, 200, 200, 429]
    assert asked(scope_of("/assets/x.js", "GET")) == [200]


def test_uploads_need_a_visitor_a_size_and_room(asked, monkeypatch, tmp_path):
    mine = scope_of(UPLOAD, content_length="90000000")
    assert asked(mine) == [403]
    assert asked(scope_of()) == [200]
    assert asked(mine) == [200]
    assert asked(scope_of(UPLOAD)) == [411]
    assert asked(scope_of(UPLOAD, content_length="102000000")) == [413]
    assert asked(*[mine] * 5) == [200] * 4 + [429]  # 500 MB an hour
    assert asked(scope_of(UPLOAD, address="1.1.1.1", content_length="1")) == [403]
    monkeypatch.setenv("BYE_LIMIT_UPLOADS", "1000000000")
    monkeypatch.setenv("BYE_LIMIT_UPLOAD_FOLDER", "90000001")
    assert asked(mine) == [200]
    (tmp_path / "earlier").write_bytes(b"x")
    forget_sizes()
    assert asked(mine) == [507]


def test_sessions_and_results_that_nobody_fetches_are_bounded(asked, monkeypatch):
    monkeypatch.setenv("BYE_LIMIT_SESSIONS", "3")
    names = ["a", "b", "c", "d", "a"]
    assert asked(*[scope_of() | {"session": name} for name in names]) == [200, 200, 200, 429, 200]
    assert asked(scope_of("/gradio_api/call/detect")) == [429]  # each call of a program is a session of its own
    assert asked(scope_of("/gradio_api/cancel")) == [200]
    assert asked(*[scope_of("/gradio_api/call/detect", address="1.1.1.1")] * 4) == [200, 200, 200, 429]
    asked.unread |= {"a": 150, "b": 49}
    assert asked(scope_of() | {"session": "c"}) == [200]
    asked.unread["b"] = 50
    assert asked(scope_of() | {"session": "c"}) == [429]


def test_nothing_is_bounded_on_ones_own_machine(asked, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "0")
    assert asked(*[scope_of() for _ in range(500)], scope_of(UPLOAD)) == [200] * 501


def test_only_the_reply_of_the_queue_counts():
    assert clients._event_id(json.dumps({"event_id": "a"}).encode()) == "a"
    assert clients._event_id(b'{"event_id": 3}') is None
    assert clients._event_id(b'{"event_id"') is None
