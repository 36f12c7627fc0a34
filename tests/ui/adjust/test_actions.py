"""What the user does in Adjust while an earlier request still runs."""

import gradio as gr
import pytest

from bye_core.ui.adjust import actions, view
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Frame, Session
from bye_core.ui.shared.bridge import build_bridge

SESSION = Session(run="made")


@pytest.fixture
def parts(run_path, monkeypatch):
    built = []
    monkeypatch.setattr(view, "_listen", lambda parts, *_: built.append(parts))
    with gr.Blocks():
        session, trial = gr.State(Session()), gr.State(Trial())
        bridge = build_bridge([view.NAME], {"session": session})
        with gr.Tabs() as tabs:
            pass
        view.build(Frame(session, bridge, tabs, gr.Timer(active=False), trial, gr.State({})))
    return built[0]


@pytest.mark.parametrize("reset", [actions.discard, actions.uncut, actions.paper])
def test_a_slider_moved_before_a_reset_changes_nothing_after_it(parts, reset):
    """The page sends a movement of the slider only after the one before, so also after a click that followed it."""
    cut = actions.if_up_to_date(actions.cut)
    moved = cut(parts, SESSION, Trial("made"), {}, False, parts.form_set.value, 9.0)
    assert moved[parts.trial]["cutoff"] == 9.0
    after = reset(parts, SESSION, moved[parts.trial], moved[parts.sent], False)
    trial, sent = after[parts.trial], after[parts.sent]
    assert trial["cutoff"] is None
    late = cut(parts, SESSION, trial, sent, False, moved[parts.form_set], 9.0)
    assert set(late) == {parts.session}
    again = cut(parts, SESSION, trial, sent, False, after[parts.form_set], 9.0)
    assert again[parts.trial]["cutoff"] == 9.0
