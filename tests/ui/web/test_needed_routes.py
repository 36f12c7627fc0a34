"""Which addresses are served. tests/e2e/test_strangers.py compares them with Gradio's own."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from bye_core.ui.web.needed_routes import NeededRoutes, is_needed


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/", True),
        ("HEAD", "/", True),
        ("POST", "/", False),
        ("OPTIONS", "/gradio_api/queue/join", False),
        ("POST", "/gradio_api/queue/join", True),
        ("POST", "/gradio_api/component_server/", True),
        ("GET", "/assets/index-1.js", True),
        ("GET", "/gradio_api/file=/tmp/gradio/ab/made.zip", True),
        ("GET", "/gradio_api/file=C:/Temp/gradio/made.zip", True),
        ("GET", "/gradio_api/file=https://evil.example/x", False),
        ("GET", "/gradio_api/file= HTTP://10.0.0.1/", False),
        ("GET", "/gradio_api/file=http:10.0.0.1/", False),
        ("GET", "/gradio_api/file/http://10.0.0.1/", False),
        ("GET", "/gradio_api/proxy=https://x.hf.space/file=x", False),
        ("POST", "/gradio_api/process_recording", False),
        ("POST", "/gradio_api/vibe-edit", False),
        ("POST", "/gradio_api/run/detect", False),
        ("GET", "/monitoring/summary", False),
        ("GET", "/gradio_api/../monitoring/summary", False),
        ("GET", "//monitoring/summary", False),
        ("GET", "/gradio_api/call/detect/1/2", False),
    ],
)
def test_route(method, path, needed):
    assert is_needed(method, path) is needed


def test_no_saved_state_is_opened():
    client = TestClient(NeededRoutes(PlainTextResponse("page")))
    assert client.get("/").status_code == 200
    assert client.get("/?deep_link=../../x").status_code == 404
    assert client.get("/config?a=1&deep_link=x").status_code == 404
