"""What a page gets from a generator: each update once, and nothing when the generator ends."""

import json

import gradio as gr
import httpx
import pytest

from bye_core.ui.web.blocks_without_repeats import BlocksWithoutRepeats

NOTHING = {"__type__": "update"}


def steps(count):
    for step in range(int(count)):
        yield {"words": f"step {step}", "more": gr.skip()}


def build(visibility):
    with BlocksWithoutRepeats(analytics_enabled=False) as page:
        number, words, more = gr.Number(), gr.Textbox(), gr.Textbox()

        def named(count):
            for update in steps(count):
                yield {words: update["words"], more: update["more"]}

        button = gr.Button()
        button.click(named, number, [words, more], api_visibility=visibility, api_name="steps")
        button.click(lambda count: f"{count:.0f}", number, words, api_visibility=visibility, api_name="plain")
    return page


@pytest.fixture(scope="module", params=["private", "public"])
def served(request):
    page = build(request.param)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, enable_monitoring=False)
    yield request.param, url
    page.close(verbose=False)


def messages(url, handler, value):
    """Return (message, values of the two outputs) of each message with values that a page gets from a handler."""
    request = {"data": [value], "fn_index": handler, "session_hash": f"page{handler}{value}", "event_data": None}
    joined = httpx.post(f"{url}gradio_api/queue/join", json=request, headers={"x-gradio-user": "app"}, timeout=60)
    joined.raise_for_status()
    found = []
    place = f"{url}gradio_api/queue/data"
    with httpx.stream("GET", place, params={"session_hash": request["session_hash"]}, timeout=60) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if "data" in message.get("output", {}):
                found.append((message["msg"], message["output"]["data"]))
            if message.get("msg") == "close_stream":
                break
    return found


def test_the_end_of_a_generator_repeats_nothing(served):
    visibility, url = served
    *before, (last, values) = messages(url, 0, 2)
    assert [name for name, _ in before] == ["process_generating"] * 2
    assert before[0][1] == ["step 0", NOTHING]
    assert last == "process_completed"
    assert values == ([NOTHING, NOTHING] if visibility == "private" else ["step 1", NOTHING])


def test_a_generator_without_updates_empties_nothing(served):
    _, url = served
    assert messages(url, 0, 0) == [("process_completed", [NOTHING, NOTHING])]


def test_other_handlers_are_as_in_gradio(served):
    _, url = served
    assert messages(url, 1, 3) == [("process_completed", ["3"])]
