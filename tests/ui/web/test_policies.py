"""What browsers are told about the app's responses."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from bye_core.ui.web.policies import Policies


@pytest.fixture
def client():
    allow = {"access-control-allow-origin": "https://evil.example", "Access-Control-Allow-Credentials": "true"}
    return TestClient(Policies(PlainTextResponse("", headers={**allow, "content-type": "text/html"})))


@pytest.mark.parametrize(
    ("space", "embedders"),
    [(None, "frame-ancestors 'self'"), ("me/bye", "frame-ancestors 'self' https://huggingface.co")],
)
def test_only_hugging_face_may_embed_a_space(client, space, embedders, monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    headers = client.get("/").headers
    assert headers["content-security-policy"].endswith(embedders)
    assert "connect-src 'self' data: blob:;" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "x-frame-options" not in headers  # it would also keep Hugging Face's own page out
    assert not [name for name in headers if name.startswith("access-control-")]


def test_files_of_visitors_run_nothing(client):
    assert "sandbox" in client.get("/gradio_api/file=/tmp/gradio/x.html").headers["content-security-policy"]
