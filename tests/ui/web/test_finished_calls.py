"""A call of a program leaves no session behind; the sessions of pages stay."""

import json
from urllib.request import Request, urlopen

import gradio as gr
import pytest

from bye_core.ui import server
from bye_core.ui.web.finished_calls import RESULT
from bye_core.ui.web.protected_app import ProtectedApp
from tests.waiting import until


def double(number: int) -> int:
    if number < 0:
        raise gr.Error("negative")
    return 2 * number


@pytest.fixture(scope="module")
def served():
    with gr.Blocks(analytics_enabled=False) as page:
        gr.api(double, api_name="double")
    app, url, _ = page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, _app=ProtectedApp())
    yield app, url
    page.close(verbose=False)


def call(url, number):
    headers = {"content-type": "application/json"}
    ask = Request(f"{url}gradio_api/call/double", json.dumps({"data": [number]}).encode(), headers)
    with urlopen(ask, timeout=60) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{url}gradio_api/call/double/{event}", timeout=60) as answer:
        return event, answer.read().decode()


def test_a_finished_call_leaves_no_session(served):
    app, url = served
    kept = app.state_holder["a-page"]
    for number in (1, -1, 3):
        event, text = call(url, number)
        assert (f"data: [{2 * number}]" in text) == (number > 0)
        until(lambda event=event: event not in app.state_holder.session_data)  # after the last byte was sent
        assert event not in app.state_holder.time_last_used
    assert app.state_holder.session_data == {"a-page": kept}


def test_the_session_of_a_page_is_not_one_of_a_call(served):
    app, url = served
    app.state_holder["a-page"]
    with urlopen(f"{url}gradio_api/call/double/a-page", timeout=60):
        pass
    assert "a-page" in app.state_holder.session_data
    assert RESULT.fullmatch(f"/gradio_api/call/v2/detect/{'0' * 32}")
    assert not RESULT.fullmatch("/gradio_api/call/detect/abcdefghij")


def test_finished_calls_are_not_summarised_for_a_page_that_is_not_served(monkeypatch):
    for name in server.NO_SUMMARY:
        monkeypatch.delenv(name, raising=False)
    with gr.Blocks(analytics_enabled=False) as page:
        gr.api(double, api_name="double")
    _, url, _ = server.launch(page, prevent_thread_lock=True, quiet=True)
    for number in (1, 2, 3):
        call(url, number)
    assert page._queue.cached_event_analytics_summary == {"functions": {}}
    assert len(page._queue.event_analytics) <= 1
    page.close(verbose=False)
