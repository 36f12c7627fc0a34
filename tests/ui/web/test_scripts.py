"""The app's own scripts: modules under an address that changes with their content, and nothing else."""

import mimetypes

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from bye_core.ui.web import scripts


async def gradio(scope, receive, send):
    await PlainTextResponse("passed on")(scope, receive, send)


@pytest.fixture
def client():
    return TestClient(scripts.ScriptFiles(gradio))


@pytest.fixture(autouse=True)
def other_types(monkeypatch):
    """Another package, or the registry of Windows, may give scripts another type."""
    monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")


@pytest.mark.parametrize("name", ["bridge.js", "adjust.js", "review/main.js", "review/page.js"])
def test_a_script_is_served_as_a_module_and_may_be_kept_forever(client, name):
    for prefix in ("/", "/behind/a/proxy/"):
        answer = client.get(prefix + scripts.address(name))
        assert answer.text == (scripts.FOLDER / name).read_text(encoding="utf-8")
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]


def test_large_scripts_come_compressed(client):
    answer = client.get("/" + scripts.address("review/review.js"), headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["nothing.js", "../style.css", "..%2fstyle.css", "%2e%2e/%2e%2e/pyproject.toml"])
def test_nothing_else_is_served(client, name):
    assert client.get(f"/{scripts.PREFIX}/{scripts.version()}/{name}").text == "passed on"


def test_everything_else_is_passed_on(client):
    here = f"/{scripts.PREFIX}"
    for path in ("/", "/config", f"{here}/old-version/review/main.js", f"{here}/{scripts.version()}/"):
        assert client.get(path).text == "passed on"


def test_a_page_behind_a_proxy_imports_from_its_own_address():
    code = scripts.start_module("bridge.js")
    assert "/\\/?$/" in code
    assert scripts.address("bridge.js") in code
