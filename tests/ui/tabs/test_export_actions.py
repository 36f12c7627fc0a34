"""What the Export tab answers, without a browser: what is typed into its fields stays."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr
import pytest

from bye_core import pipeline
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Session
from bye_core.ui.shared.exports import export_path, newest_export
from bye_core.ui.tabs.export import actions as export_actions
from bye_core.ui.tabs.export import view as export_tab


@pytest.fixture
def parts(run_path):
    with gr.Blocks():
        states = [gr.State(Session()), gr.State(""), gr.State(""), gr.State(0), gr.HTML(), gr.Column()]
        return export_actions.Parts(*states, *export_tab._lay_out())


def test_a_name_typed_meanwhile_is_not_overwritten(parts):
    session = Session(run="made")
    first = list(export_actions.enter(parts, session, "", "", "same", ""))[-1]
    assert first[parts.name] == "made"
    again = list(export_actions.enter(parts, session, "made", "mine", "same", ""))[-1]
    assert parts.name not in again
    assert "exports/mine" in again[parts.command]


def test_another_run_brings_its_own_name(parts):
    answer = list(export_actions.change_session(parts, Session(run="made"), "another", "mine", "same", ""))[-1]
    assert answer[parts.name] == "made"


def test_a_finished_export_is_offered_again_under_its_own_name(parts, run_path, workspace):
    pipeline.export_run(run_path, export_path(workspace, "cleaned-once"))
    answer = list(export_actions.enter(parts, Session(run="made"), "", "", "same", ""))[-1]
    assert answer[parts.name] == "cleaned-once"
    assert answer[parts.done].visible
    assert "exports/cleaned-once" in answer[parts.command]
    settings = replace(open_run(run_path).settings, created="another time")
    assert newest_export(workspace, settings) == "", "exports of other runs are not offered"


def test_a_run_that_the_page_shows_already_is_not_read_again(parts):
    (answer,) = export_actions.change_session(parts, Session(run="made"), "made", "mine", "same", "")
    assert set(answer) == {parts.shown}
