"""All tabs follow their jobs through one listener of the timer."""

import gradio as gr
import numpy as np

from bye_core.ui import app
from bye_core.ui.session import Watcher
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


def test_the_page_says_which_tab_is_in_front():
    script = fronts([Watcher(dict, ["a", "b"], []), Watcher(dict, ["a", "here"], [], "data")])
    assert script.startswith("(...values) => {")
    assert "values[3] = (" in script
    assert 'data-tab-id="data"' in script
    assert "values[1]" not in script


def test_the_timer_has_two_listeners_however_many_tabs_there_are():
    page = app.build("")
    ticks = [handler for handler in page.fns.values() if any(event == "tick" for _, event in handler.targets)]
    assert len(ticks) == 2, "the header, and all tabs together"
