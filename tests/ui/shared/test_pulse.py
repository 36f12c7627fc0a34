"""All tabs follow their jobs through one listener of the timer."""

from dataclasses import dataclass

import gradio as gr
import numpy as np
import pytest

from bye_core.ui import app
from bye_core.ui.session import Session, Watcher
from bye_core.ui.shared.events import Binder, Parts
from bye_core.ui.shared.page_value import PageValue, page_value
from bye_core.ui.shared.pulse import fronts, merged


def test_each_watcher_gets_its_own_values_and_only_changes_are_sent():
    calls = []

    def first(*values):
        calls.append(values)
        return {"session": "opened", "log": "line"}

    def second(*values):
        calls.append(values)
        return {"session": gr.skip(), "figure": np.zeros(2), "button": gr.update(visible=True)}

    watchers = [Watcher(first, ["a", "b"], []), Watcher(second, ["a"], [])]
    updates = merged(watchers, (1, 2, 3))
    assert calls == [(1, 2), (3,)]
    assert updates.keys() == {"session", "log", "figure", "button"}
    assert updates["session"] == "opened", "a later watcher that changes nothing takes nothing back"


def counting(page, meanwhile=None):
    """Return a watcher that adds one to its page value; `meanwhile` runs while it works."""
    with gr.Blocks():
        parts = Watching(gr.State(), page_value(0), gr.HTML())

    def tick(parts, count):
        if meanwhile:
            meanwhile()
        return {parts.watch: count + 1, parts.shown: count + 1}

    return Watcher(Binder(parts)(tick), [parts.watch], parts.all()), parts.shown


@dataclass(frozen=True)
class Watching(Parts):
    watch: gr.State
    shown: gr.HTML


def test_a_watcher_does_not_wait_and_gives_way_to_a_handler_that_was_faster():
    one, other = PageValue(0), PageValue(0)

    def click():
        with one.lock:
            one.value = 10

    (slow, shown), (quick, also_shown) = counting(one, click), counting(other)
    assert merged([slow, quick], (one, other)) == {also_shown: 1}
    assert (one.value, other.value) == (10, 1)
    (slow, shown) = counting(one)
    assert merged([slow], (one,)) == {shown: 11}
    assert one.value == 11


def test_a_watcher_that_raises_loses_nothing_of_the_others():
    page = PageValue(0)
    (first, _), broken = counting(page), Watcher(lambda: 1 / 0, [], [])
    with pytest.raises(ZeroDivisionError):
        merged([first, broken], (page,))
    assert page.value == 0, "the next tick shows it"


def test_the_page_says_which_tab_is_in_front():
    script = fronts([Watcher(dict, ["a", "b"], []), Watcher(dict, ["a", "here"], [], "data")])
    assert script.startswith("(...values) => {")
    assert "values[3] = (" in script
    assert 'data-tab-id="data"' in script
    assert "values[1]" not in script


@pytest.fixture(scope="module")
def page():
    return app.build("")


def listeners(page, event, id=None):
    found = [fn for fn in page.fns.values() if any(name == event and id in (None, of) for of, name in fn.targets)]
    return [fn for fn in found if fn.fn is not None]


def test_the_timer_has_two_listeners_however_many_tabs_there_are(page):
    assert len(listeners(page, "tick")) == 2, "the header, and all tabs together"


def test_a_change_of_the_session_sends_one_request_and_one_for_the_tab_in_front(page):
    """Each request keeps the page's thread busy: with one for each tab, Review stood still after decisions."""
    session = next(id for id, block in page.blocks.items() if getattr(block, "value", None) == Session())
    assert len(listeners(page, "change", session)) == 1
    for tab in ("layers", "explore", "detectors", "dossier", "export", "adjust"):
        assert len(listeners(page, f"session_{tab}")) == 1, tab
