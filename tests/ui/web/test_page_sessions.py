"""The memory of pages: no copies of their components' values, and a bounded number of closed pages."""

import gradio as gr
import pytest

from bye_core.ui.web.page_sessions import CLOSED, PageSessions, PendingMessages


@pytest.fixture(scope="module")
def blocks():
    with gr.Blocks(analytics_enabled=False) as page:
        page.words, page.kept = gr.Textbox("first"), gr.State([1])
    return page


@pytest.fixture
def sessions(blocks):
    sessions = PageSessions()
    sessions.set_blocks(blocks)
    return sessions


def test_a_session_keeps_states_and_changed_components_but_no_values(sessions, blocks):
    session, words, kept = sessions["a"], blocks.words._id, blocks.kept._id
    assert session[kept] == [1]
    session[kept] = [2]
    session[words] = gr.Textbox(label="changed", render=False)
    session._update_value_in_config(words, "a long text")
    session._update_config(words)
    assert (sessions["a"][kept], sessions["a"][words].label) == ([2], "changed")
    assert sessions["b"][kept] == [1]
    assert sessions["b"][words] is blocks.words
    assert list(session.components) == []


def test_closed_pages_are_forgotten_before_open_ones(sessions):
    names = [f"page {number}" for number in range(CLOSED + 5)]
    for name in ("open", *names):
        sessions[name]
    for name in names:
        sessions.session_data[name].is_closed = True
    sessions[names[0]]  # its connection came back
    assert len(sessions.session_data) == CLOSED + 1
    assert list(sessions.session_data) == ["open", *names[6:], names[0]]
    assert set(sessions.time_last_used) == set(sessions.session_data)


def test_answers_that_wait_are_removed_once_or_twice_and_bounded():
    waiting = PendingMessages(2)
    for name in "abc":
        waiting[name] = name
    assert list(waiting) == ["b", "c"]
    for _ in range(2):
        del waiting["b"]
    assert waiting.pop("b", None) is None
    assert waiting.pop("c") == "c"
