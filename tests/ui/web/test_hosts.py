"""Under which names the app answers."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bye_core.ui.web.hosts import OwnHostOnly, is_allowed
from bye_core.ui.web.protected_app import listening_address


@pytest.fixture(autouse=True)
def names(monkeypatch):
    monkeypatch.setenv("SPACE_HOST", "me-bye.hf.space")
    monkeypatch.setenv("BYE_ALLOWED_HOSTS", "bye.example.org, lab:8080")
    monkeypatch.setattr("socket.gethostname", lambda: "Machine")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:7860", True),
        ("localhost.", True),
        ("127.0.0.1:7860", True),
        ("[::1]:7860", True),
        ("me-bye.hf.space", True),
        ("bye.example.org:443", True),
        ("lab", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("me-bye.hf.space.evil.example", False),
        ("evil.example@localhost", False),
        ("localhost@evil.example", False),
        ("10.0.0.7", False),
        ("machine", False),
        ("127.0.0.1.", True),
        ("0.0.0.0:7860", False),
        ("[::1", False),
        ("", False),
        (":7860", False),
    ],
)
def test_host_of_an_app_on_localhost(host, allowed):
    assert is_allowed(host, "127.0.0.1") is allowed


@pytest.mark.parametrize(
    ("host", "listening", "allowed"),
    [
        ("10.0.0.7:7860", "10.0.0.7", True),
        ("10.0.0.8:7860", "10.0.0.7", False),
        ("bye.lan:80", "bye.lan", True),
        ("[fe80::7]:7860", "fe80::7", True),
        ("[fe80::7]:7860", "[fe80::7]", True),
        ("10.0.0.7", "0.0.0.0", True),  # a browser asks no DNS for an address
        ("[fe80::7]", "::", True),
        ("machine:7860", "0.0.0.0", True),
        ("machine.local", "0.0.0.0", True),
        ("evil.example", "0.0.0.0", False),
    ],
)
def test_host_of_an_app_that_listens_elsewhere(host, listening, allowed):
    assert is_allowed(host, listening) is allowed


def test_the_address_is_the_one_that_gradio_takes(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert listening_address(None) == "0.0.0.0"
    assert listening_address("127.0.0.1") == "127.0.0.1"
    monkeypatch.delenv("GRADIO_SERVER_NAME")
    assert listening_address(None) == "127.0.0.1"


async def forwarded(scope, receive, send):
    headers = [name.decode() for name, _ in scope["headers"] if name.startswith(b"x-")]
    await PlainTextResponse(" ".join(headers))(scope, receive, send)


@pytest.mark.parametrize(
    ("headers", "passed"),
    [
        ({"x-forwarded-host": "me-bye.hf.space"}, "x-forwarded-host"),
        ({"x-forwarded-host": "evil.example"}, ""),
        ({"x-forwarded-host": "me-bye.hf.space, evil.example"}, ""),
        ({"x-gradio-server": "https://bye.example.org/sub"}, "x-gradio-server"),
        ({"x-gradio-server": "https://evil.example/"}, ""),
    ],
)
def test_no_foreign_name_is_passed_on(headers, passed):
    client = TestClient(OwnHostOnly(forwarded, "127.0.0.1"), base_url="http://127.0.0.1:7860")
    assert client.get("/", headers=headers).text == passed


def test_two_hosts_are_none():
    headers = [("host", "localhost"), ("host", "evil.example")]
    answer = TestClient(OwnHostOnly(forwarded, "127.0.0.1")).get("/", headers=headers)
    assert answer.status_code == 403


def test_websockets_are_closed():
    client = TestClient(OwnHostOnly(forwarded, "127.0.0.1"), base_url="http://127.0.0.1:7860")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/gradio_api/queue/join"):
        pass
