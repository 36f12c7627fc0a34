"""Gradio's scripts come compressed, and only they do; that the app is there is said at once."""

import brotli
import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from bye_core.ui.web.static_files import FOLDER, ReadyScripts


async def gradio(scope, receive, send):
    await Response("passed on")(scope, receive, send)


@pytest.fixture
def client():
    return TestClient(ReadyScripts(gradio))


@pytest.fixture
def name():
    return next(path.name for path in sorted(FOLDER.glob("index-*.js")))


def test_a_script_is_what_gradio_ships(client, name):
    answer = client.get(f"/assets/{name}", headers={"accept-encoding": "gzip, br"})
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-encoding"] == "br"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert len(brotli.compress(answer.content)) < len(answer.content)


@pytest.mark.parametrize("path", ["/assets/none.js", "/assets/../index.html", "/assets/a/b.js", "/config", "/x.js"])
def test_all_else_is_gradios(client, path):
    assert client.get(path, headers={"accept-encoding": "br"}).text == "passed on"


def test_who_does_not_take_brotli_gets_it_from_gradio(client, name):
    assert client.get(f"/assets/{name}", headers={"accept-encoding": "gzip"}).text == "passed on"


def test_that_the_app_is_there_is_said_without_making_the_page(client):
    answer = client.head("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert client.get("/").text == client.post("/").text == "passed on"
    assert client.head("/config").headers["content-length"] == str(len("passed on"))
