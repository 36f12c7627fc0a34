"""Whose pages may change something."""

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from bye_core.ui.web.origins import OwnPagesOnly, is_own
from bye_core.ui.workspace import hosted


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        (None, "app.example", True),  # a program
        ("https://app.example", "app.example", True),
        ("https://APP.example", "app.example:443", True),
        ("http://127.0.0.1:7860", "127.0.0.1:7860", True),
        ("http://[::1]:7860", "[::1]:7860", True),
        ("https://evil.example", "app.example", False),
        ("https://app.example.evil.example", "app.example", False),
        ("http://127.0.0.1:8000", "127.0.0.1:7860", False),
        ("null", "app.example", False),
        ("file://", "app.example", False),
        ("", "app.example", False),
        ("https://app.example:wrong", "app.example", False),
    ],
)
def test_origin(origin, host, own):
    assert is_own(origin, host) is own


def test_a_proxy_may_be_named():
    assert is_own("https://me-bye.hf.space", "10.0.0.1:7860", ("me-bye.hf.space",))


@pytest.mark.parametrize(("method", "passed"), [("GET", True), ("POST", False), ("PUT", False), ("DELETE", False)])
def test_only_what_changes_nothing_passes_from_elsewhere(method, passed, monkeypatch):
    monkeypatch.delenv("SPACE_HOST", raising=False)
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["method"])
        await Response()(scope, receive, send)

    # A page may send any other header that it likes.
    headers = {"host": "app.example", "origin": "https://evil.example", "x-forwarded-host": "evil.example"}
    answer = TestClient(OwnPagesOnly(app)).request(method, "/gradio_api/call/export", headers=headers)
    assert seen == ([method] if passed else [])
    assert answer.status_code == (200 if passed else 403)


@pytest.mark.parametrize(
    ("given", "space", "is_hosted"),
    [(None, None, False), ("1", None, True), (None, "me/bye", True), ("0", "me/bye", False), ("", "me/bye", False)],
)
def test_a_space_is_hosted_unless_it_says_otherwise(given, space, is_hosted, monkeypatch):
    for name, value in (("BYE_HOSTED", given), ("SPACE_ID", space)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert hosted() is is_hosted
