"""No file of a call is an address, whatever its spelling."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from bye_core.ui.web.file_inputs import FileInputs, check, names_address


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("http://169.254.169.254/latest", True),
        ("https://evil.example/x.png", True),
        ("HTTP://evil.example", True),
        ("\t http://evil.example", True),
        ("http:/evil.example", True),
        ("ftp://evil.example", True),
        ("file:///etc/passwd", True),
        ("data:text/plain,x", True),
        ("//evil.example/share", True),
        ("\\\\evil.example\\share", True),
        ("/tmp/gradio/ab/set.zip", False),
        ("/tmp/gradio/ab/a: b.zip", False),
        ("C:\\Temp\\gradio\\set.zip", False),
        ("set.zip", False),
        ("", False),
    ],
)
def test_path(path, refused):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    assert names_address({"data": [1, None, [{"files": [file]}]], "fn_index": 3}) is refused
    assert names_address(json.loads(json.dumps(file))) is refused


def test_the_pages_own_values_are_no_files():
    own = {"url": "http://127.0.0.1:7860/gradio_api/file=/tmp/x", "path": "/tmp/x"}
    assert not names_address({"data": [own, "https://huggingface.co/a/b", {"path": ["http://x"]}, {"path": None}]})


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda deeper: st.lists(deeper) | st.dictionaries(st.text(), deeper)
    )
)
def test_what_passes_is_what_was_checked(value):
    checked = check(json.dumps(value).encode())
    assert isinstance(checked, Response) or json.loads(checked.body) == value


@pytest.mark.parametrize(
    "body",
    [b"{", b"[" * 200_000, b'{"a": 1' + b"0" * 5000 + b"}", b"\xff\xfe", b"--x\r\ncontent-disposition: form-data"],
)
def test_unreadable_bodies_are_refused(body):
    assert check(body).status_code == 400


def test_a_hidden_second_key_is_not_passed_on():
    body = b'{"data": [{"path": "http://10.0.0.1", "path": "/tmp/x"}]}'
    assert b"10.0.0.1" not in check(body).body


async def echo(scope, receive, send):
    body = await Request(scope, receive).body()
    await Response(body, headers={"said": dict(scope["headers"]).get(b"content-length", b"").decode()})(
        scope, receive, send
    )


def test_the_app_reads_the_checked_body():
    client = TestClient(FileInputs(echo))
    answer = client.post("/gradio_api/queue/join", content=b'{ "data" : ["\\ud800", 1.5] }')
    assert answer.json() == {"data": ["\ud800", 1.5]}
    assert answer.headers["said"] == str(len(answer.content))
    assert client.post("/gradio_api/upload", content=b"\x00raw").content == b"\x00raw"


def test_large_calls_are_refused_on_a_public_host(monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    client, body = TestClient(FileInputs(echo)), json.dumps("x" * 1_000_001).encode()
    assert client.post("/gradio_api/queue/join", content=body).status_code == 413
    assert client.post("/gradio_api/queue/join", content=iter([body[:600_000], body[600_000:]])).status_code == 413
    monkeypatch.setenv("BYE_HOSTED", "0")
    assert client.post("/gradio_api/queue/join", content=body).status_code == 200
