"""Handlers become listeners: they get the parts of their tab, and failures become updates."""

import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from threading import Barrier
from typing import Any

import gradio as gr
import pytest
from gradio.helpers import special_args

from bye_core.errors import SettingError
from bye_core.ui.session import Session
from bye_core.ui.shared.events import Binder, Parts, alert_in, if_in_front, needs_visitor, open_tab
from bye_core.ui.shared.latest import Latest, on_latest
from bye_core.ui.shared.page_value import page_value


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
    assert Binder(parts)(lambda parts, a, b=2: {parts.notice: a + b})(1) == {parts.notice: 3}


def test_a_failure_is_shown_where_the_tab_wants_it(parts):
    words = Binder(parts, alert_in(parts.notice))(fail)("session", 1)[parts.notice]
    assert "This &lt;is&gt; wrong." in words
    assert Binder(parts, lambda error, *inputs: inputs)(fail)("session", 1) == ("session", 1)


def test_by_default_a_failure_changes_nothing(parts, monkeypatch):
    warned = []
    monkeypatch.setattr("bye_core.ui.shared.events.warn", warned.append)
    assert list(Binder(parts)(fail)(1)) == [parts.session]
    assert isinstance(warned[0], Wrong)


def test_a_stream_ends_with_its_failure(parts):
    def steps(parts, count):
        yield from range(count)
        raise Wrong()

    *before, last = Binder(parts, alert_in(parts.notice))(steps)(2)
    assert before == [0, 1]
    assert list(last) == [parts.notice]


@dataclass(frozen=True)
class Watching(Few):
    watch: gr.State


@pytest.fixture
def watching():
    with gr.Blocks():
        return Watching(gr.State(), (), gr.HTML(), page_value((0, 0)))


def together(*calls):
    """Run the calls at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [call.result() for call in [pool.submit(call) for call in calls]]


def test_handlers_of_a_page_that_run_at_the_same_time_undo_nothing(watching):
    page = watching.watch.value

    def tick(parts, watch):
        time.sleep(0.01)
        return {parts.watch: (watch[0] + 1, watch[1]), parts.notice: "tick"}

    def click(parts, watch):
        time.sleep(0.01)
        return {parts.watch: (watch[0], watch[1] + 1)}

    bound = Binder(watching)
    answers = together(*[partial(bound(tick), page)] * 5, *[partial(bound(click), page)] * 5)
    assert page.value == (5, 5)
    assert answers == [{watching.notice: "tick"}] * 5 + [watching.unchanged()] * 5


def test_pages_have_values_of_their_own_and_do_not_wait_for_each_other(watching):
    one, other = deepcopy(watching.watch.value), deepcopy(watching.watch.value)
    both = Barrier(2, timeout=60)

    def handler(parts, watch, own):
        both.wait()
        return {parts.watch: own}

    bound = Binder(watching)(handler)
    together(partial(bound, one, "a"), partial(bound, other, "b"))
    assert (one.value, other.value, watching.watch.value.value) == ("a", "b", (0, 0))


def test_a_handler_that_fails_lets_the_next_one_in_and_may_still_replace_the_value(watching):
    page = watching.watch.value
    bind = Binder(watching, lambda error, watch: {watching.watch: ("failed", watch), watching.notice: "!"})
    assert bind(fail)(page) == {watching.notice: "!"}
    assert page.value == ("failed", (0, 0))
    with pytest.raises(ZeroDivisionError):
        bind(lambda parts, watch: 1 / 0)(page)
    assert bind(lambda parts, watch: {parts.notice: watch})(page) == {watching.notice: ("failed", (0, 0))}


def test_handlers_that_only_read_do_not_wait_and_cannot_replace_the_value(watching):
    page = watching.watch.value

    def steps(parts, watch):
        yield {parts.notice: watch}
        yield {parts.watch: "new"}

    def words(parts, watch):
        return {parts.notice: watch}

    def wrong(parts, watch):
        return {parts.watch: "new"}

    bind = Binder(watching)
    stream = bind(steps)(page)
    with page.lock:
        assert next(stream) == {watching.notice: (0, 0)}
        assert bind(words, reads=True)(page) == {watching.notice: (0, 0)}
    with pytest.raises(TypeError, match="steps may only read"):
        next(stream)
    with pytest.raises(TypeError, match="wrong may only read"):
        bind(wrong, reads=True)(page)
    assert page.value == (0, 0)


@pytest.mark.parametrize("reads", [True, False])
def test_where_an_error_is_shown_the_value_may_be_replaced(watching, reads):
    page = watching.watch.value
    bind = Binder(watching, lambda error, watch: {watching.watch: "failed"})
    assert bind(fail, reads=reads)(page) == watching.unchanged()
    assert page.value == "failed"


def test_a_new_value_without_the_old_one_is_refused(watching):
    with pytest.raises(ValueError, match="unpack"):
        Binder(watching)(lambda parts: {parts.watch: 1})()


def test_a_tab_has_one_page_value():
    with gr.Blocks():
        two = Few(gr.State(), (page_value(1), page_value(2)), gr.HTML())
    with pytest.raises(ValueError, match="at most one page value"):
        Binder(two)


def test_a_stream_waits_for_the_visitor_too(parts):
    def steps(parts, session):
        yield {parts.notice: session.visitor}

    bound = Binder(parts)(needs_visitor(steps))
    assert list(bound(Session("token"))) == [{parts.notice: "token"}]
    assert list(bound(Session())) == []


def clicked(parts: Parts, session: Any, event: gr.EventData) -> Any:
    return session, event._data


def test_gradio_finds_the_event(parts):
    listener = Binder(parts)(clicked)
    inputs, _, place, _ = special_args(listener, ["a"], event_data=gr.EventData(None, {"plot": "p"}))
    assert place == 1
    assert listener(*inputs) == ("a", {"plot": "p"})


def test_only_in_front(parts):
    listener = Binder(parts)(if_in_front(lambda parts, value: {parts.notice: value}))
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
