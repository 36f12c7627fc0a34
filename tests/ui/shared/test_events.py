"""Handlers become listeners: they get the parts of their tab, and failures become updates."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import pytest
from gradio.helpers import special_args

from bye_core.errors import SettingError
from bye_core.ui.shared.events import Latest, Parts, alert_in, binder, if_in_front, on_latest, open_tab


class Wrong(SettingError):
    problem = "This <is> wrong."
    remedy = "Do better."


@dataclass(frozen=True)
class Few(Parts):
    fields: tuple[Any, ...]
    notice: gr.HTML


@pytest.fixture
def parts():
    with gr.Blocks():
        return Few(gr.State(), (gr.Textbox(), gr.Number()), gr.HTML())


def fail(parts, *inputs):
    raise Wrong()


def test_all_parts_include_those_in_groups(parts):
    assert parts.all() == [parts.session, *parts.fields, parts.notice]


def test_a_listener_gets_parts_and_inputs(parts):
    assert binder(parts)(lambda parts, a, b=2: {parts.notice: a + b})(1) == {parts.notice: 3}


def test_a_failure_is_shown_where_the_tab_wants_it(parts):
    words = binder(parts, alert_in(parts.notice))(fail)("session", 1)[parts.notice]
    assert "This &lt;is&gt; wrong." in words
    assert binder(parts, lambda error, *inputs: inputs)(fail)("session", 1) == ("session", 1)


def test_by_default_a_failure_changes_nothing(parts, monkeypatch):
    warned = []
    monkeypatch.setattr("bye_core.ui.shared.events.warn", warned.append)
    assert list(binder(parts)(fail)(1)) == [parts.session]
    assert isinstance(warned[0], Wrong)


def test_a_stream_ends_with_its_failure(parts):
    def steps(parts, count):
        yield from range(count)
        raise Wrong()

    *before, last = binder(parts, alert_in(parts.notice))(steps)(2)
    assert before == [0, 1]
    assert list(last) == [parts.notice]


def clicked(parts: Parts, session: Any, event: gr.EventData) -> Any:
    return session, event._data


def test_gradio_finds_the_event(parts):
    listener = binder(parts)(clicked)
    inputs, _, place, _ = special_args(listener, ["a"], event_data=gr.EventData(None, {"plot": "p"}))
    assert place == 1
    assert listener(*inputs) == ("a", {"plot": "p"})


def test_only_in_front(parts):
    listener = binder(parts)(if_in_front(lambda parts, value: {parts.notice: value}))
    assert listener("x", True) == {parts.notice: "x"}
    assert list(listener("x", False)) == [parts.session]


def test_open_tab():
    assert open_tab("data")().selected == "data"


def test_a_request_that_an_earlier_event_sent_and_that_arrives_later_changes_nothing():
    with gr.Blocks() as page:
        field, shown = gr.Textbox(), gr.HTML()
        on_latest([field.change], lambda value: {shown: value}, [field], [shown])
    (handler,) = page.fns.values()
    newest = Latest()
    assert handler.fn("new", 2, newest) == {shown: "new"}
    assert handler.fn("old", 1, newest) == {shown: gr.skip()}
    assert handler.fn("newer", 3, newest) == {shown: "newer"}
    assert newest.number == 3
    assert "byeTurn" in handler.js
    assert isinstance(handler.inputs[-1].value, Latest)


def test_what_a_slow_request_yields_after_a_later_one_began_is_dropped():
    def steps(value):
        yield {shown: f"{value}, begun"}
        yield {shown: value}

    with gr.Blocks() as page:
        field, shown = gr.Textbox(), gr.HTML()
        on_latest([field.change], steps, [field], [shown])
    (handler,) = page.fns.values()
    newest = Latest()
    slow = handler.fn("slow", 1, newest)
    assert next(slow) == {shown: "slow, begun"}
    assert list(handler.fn("fast", 2, newest)) == [{shown: "fast, begun"}, {shown: "fast"}]
    assert list(slow) == []
    assert list(handler.fn("older still", 1, newest)) == []
