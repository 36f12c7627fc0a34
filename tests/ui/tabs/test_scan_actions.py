"""The handlers of the Scan tab, without a browser."""

from __future__ import annotations

import json
from types import SimpleNamespace

import gradio as gr
import pytest

from bye_core import pipeline
from bye_core.data import load_dataset
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.train.settings import CARD
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Frame, Session
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.tabs.scan import actions as scan_actions
from bye_core.ui.tabs.scan import view as scan_tab
from bye_core.ui.tabs.scan.actions import Watch
from bye_core.ui.workspace import new_token, workspace_of
from tests.made_run import make_data, make_run

VISITOR = "0" * 32


@pytest.fixture
def scan(home):
    with gr.Blocks():
        states = (gr.Timer(active=False), gr.State(Trial()), gr.State({}))
        yield scan_tab._lay_out(Frame(gr.State(Session()), gr.HTML(), gr.Tabs(), *states))


def prop(update, name):
    """A property that a handler sets on a component: Gradio hands either updates or bare components around."""
    return update[name] if isinstance(update, dict) else update.constructor_args.get(name)


@pytest.fixture
def ended(home):
    """A finished scan named "made", not examined yet; its job as a supervisor leaves it."""
    (home / "runs").mkdir(parents=True)
    make_run(home / "elsewhere").rename(home / "runs" / "made")
    folder = home / "jobs" / "made"
    folder.mkdir(parents=True)
    record = {"kind": "scan", "arguments": [], "title": "made", "created": "2026", "cwd": "/", "command": ""}
    (folder / "job.json").write_text(json.dumps({**record, "attempt": 1, "pid": 0, "born": "", "begins": 0}))
    step = {"time": 1.0, "stage": "scan", "done": 120, "total": 120, "facts": {"scored": 120, "failed": 0}}
    (folder / "progress.jsonl").write_text(f'{json.dumps(step)}\n{{"result": {{}}}}\n')
    (folder / "exit.json").write_text(json.dumps({"attempt": 1, "exit": 0, "asked": False}))
    return folder


def test_the_end_of_a_scan_opens_its_run_examined(scan, ended):
    answer = scan_actions.refresh(scan, Session(VISITOR, run="before"), Watch("made", "before", jobs.RUNNING))
    assert answer[scan.session].run == "made"
    assert "12 of 120 flagged" in answer[scan.preliminary]
    assert answer[scan.watch].state == jobs.DONE
    assert prop(answer[scan.results], "visible")
    assert not prop(answer[scan.stop], "visible")


def test_who_has_gone_to_another_run_is_left_there(scan, ended):
    answer = scan_actions.refresh(scan, Session(VISITOR, run="another"), Watch("made", "before", jobs.RUNNING))
    assert answer[scan.session].run == "another"
    assert answer[scan.session].revision == 1


def test_a_scan_found_ended_is_shown_and_opens_nothing(scan, ended, home):
    pipeline.detect_run(home / "runs" / "made")
    answer = scan_actions.refresh(scan, Session(VISITOR, run="before"), Watch())
    assert scan.session not in answer
    assert "made" in answer[scan.job]
    assert "Poisoning found: 12 of 120 flagged" in answer[scan.runs]


def test_a_failed_scan_says_why_and_can_be_tried_again(scan, ended):
    (ended / "progress.jsonl").write_text('{"error": {"kind": "X", "problem": "No <b>.", "remedy": "Do."}}\n')
    (ended / "exit.json").write_text(json.dumps({"attempt": 1, "exit": 1, "asked": False}))
    answer = scan_actions.refresh(scan, Session(VISITOR), Watch("made", "", jobs.RUNNING))
    assert "No &lt;b&gt;." in answer[scan.job]
    assert prop(answer[scan.resume], "visible")
    assert prop(answer[scan.resume], "value") == "Resume"
    assert not prop(answer[scan.results], "visible")


def test_the_form_is_made_anew_only_when_the_session_asks_for_it(scan, ended, home):
    pipeline.detect_run(home / "runs" / "made", "bye")
    values = ("", "", "", "auto", "auto", "auto", "", 0, 0, True, False)
    first = scan_actions.enter(scan, Session(VISITOR), Watch(), *values)
    assert scan.command in first
    again = scan_actions.enter(scan, Session(VISITOR, revision=9), first[scan.watch], *values)
    assert again == {scan.watch: first[scan.watch]}, "a decision in Review costs nothing here"


def test_a_model_typed_meanwhile_is_not_overwritten(scan, ended):
    values = ("my/model", "my/adapter", "", "auto", "auto", "auto", "", 0, 0, True, False)
    answer = scan_actions.enter(scan, Session(VISITOR), Watch(), *values)
    for field in scan.fields[:2]:
        assert "value" not in answer[field]._constructor_args[0]


def test_no_run_or_job_of_others_can_be_opened(scan, ended, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    session = Session(new_token())
    with pytest.raises(Exception, match="The run made does not exist"):
        scan_actions.choose_run(scan, session, Watch(), SimpleNamespace(run="made", job=""))
    assert scan_actions.refresh(scan, session, Watch("made"))[scan.job] == ""
    foreign = SimpleNamespace(run="", job="../../../jobs/made")
    assert scan_actions.choose_run(scan, session, Watch(), foreign)[scan.job] == ""


def test_a_start_that_fails_leaves_the_buttons_as_they_were(scan, tmp_path):
    folder = make_data(tmp_path / "mine", 6).parent
    session = Session(VISITOR, data=str(folder))
    data_sets.remember(workspace_of(VISITOR), Choice(str(folder)))
    with pytest.raises(ByeError) as error:
        scan_actions.start(scan, session, Watch(), "/no/model", "", "", "auto", "auto", "auto", "", 0, 0, True, False)
    answer = scan_actions.show_error(scan, error.value, session, Watch())
    assert "neither a folder with a model" in answer[scan.notice]
    assert not prop(answer[scan.stop], "visible")


def test_an_adapter_that_was_made_from_this_set_meanwhile_is_chosen(scan, home, tmp_path):
    folder = make_data(tmp_path / "mine", 6).parent
    session, workspace = Session(VISITOR, data=str(folder)), workspace_of(VISITOR)
    for name, digest in (("theirs", "0"), ("mine", load_dataset(folder).digest)):
        (workspace.adapters / name).mkdir(parents=True)
        (workspace.adapters / name / "adapter_config.json").write_text("{}")
        (workspace.adapters / name / CARD).write_text(json.dumps({"data_digest": digest}))
    values = ["demo", "", "", "auto", "auto", "auto", "", 0, 0, True, False]
    offered = scan_actions.offer_adapters(scan, session, Watch(), *values)[scan.fields[1]]
    assert prop(offered, "value") == "own:mine"
    assert len(prop(offered, "choices")) >= 3
    for chosen in ("own:theirs", ""):
        kept = scan_actions.offer_adapters(scan, session, Watch(), *values[:1], chosen, *values[2:10], chosen == "")
        assert "value" not in kept[scan.fields[1]]._constructor_args[0]


def test_the_statement_is_about_one_data_set(scan, home, tmp_path):
    values = ("demo", "", "", "auto", "auto", "auto", "", 0, 0, True, True)
    for name in ("one", "two"):
        make_data(tmp_path / name, 6)
    watch = Watch(filled_for=(VISITOR, str(tmp_path / "one"), ""))
    same = scan_actions.enter(scan, Session(VISITOR, data=str(tmp_path / "one"), run="r"), watch, *values)
    other = scan_actions.enter(scan, Session(VISITOR, data=str(tmp_path / "two")), watch, *values)
    assert (same[scan.fields[-1]], other[scan.fields[-1]]) == (True, False)
    assert "not tested" in other[scan.expected]
    assert same[scan.expected] == ""
