"""What the Data and Scan tabs answer, without a browser: what is asked for, who is led where, how buttons stand."""

from __future__ import annotations

import json
import shutil

import gradio as gr
import pytest

from bye_core import pipeline
from bye_core.runs import jobs
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Frame, Session
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.tabs.data import actions as data_actions
from bye_core.ui.tabs.data import view as data_tab
from bye_core.ui.tabs.scan import actions as scan_actions
from bye_core.ui.tabs.scan import view as scan_tab
from bye_core.ui.tabs.scan.actions import Watch
from bye_core.ui.workspace import new_token, workspace_of
from tests.made_run import make_data, make_run

VISITOR = "0" * 32


@pytest.fixture
def frame(home):
    with gr.Blocks():
        yield Frame(gr.State(Session()), gr.HTML(), gr.Tabs(), gr.Timer(active=False), gr.State(Trial()), gr.State({}))


@pytest.fixture
def data(frame):
    return data_tab._lay_out(frame.session)


@pytest.fixture
def scan(frame):
    return scan_tab._lay_out(frame)


def prop(update, name):
    """A property that a handler sets on a component: Gradio hands either updates or bare components around."""
    return update[name] if isinstance(update, dict) else update.constructor_args.get(name)


@pytest.fixture
def folder(tmp_path):
    return make_data(tmp_path / "mine", 6).parent


def test_several_annotation_files_are_a_choice(data, folder):
    (folder / "more.json").write_text((folder / "data.json").read_text())
    session = Session(VISITOR)
    asked = data_actions.load(data, session, str(folder))
    assert "several annotation files" in asked[data.notice]
    assert data.session not in asked, "nothing is chosen yet"
    assert prop(asked[data.file], "choices") == ["data.json", "more.json"]
    assert prop(asked[data.reading], "open")
    read = data_actions.read_again(data, session, asked[data.trying], "more.json", data_actions.AS_FOUND)
    assert read[data.session].data == str(folder)
    assert data_sets.path_of(workspace_of(VISITOR), data_sets.find(workspace_of(VISITOR), str(folder))) == str(
        folder / "more.json"
    )


def test_a_set_that_cannot_be_read_leaves_what_is_open_alone(data, tmp_path):
    (tmp_path / "data.json").write_text("[{")
    answer = data_actions.load(data, Session(VISITOR, data="x"), str(tmp_path))
    assert "cannot be read" in answer[data.notice]
    assert data.session not in answer
    assert data.view not in answer


def test_a_set_that_is_gone_is_said_once_and_not_asked_for_again(data):
    session = Session(VISITOR, data="/no/where")
    answer = data_actions.restore(data, session, "")
    assert "There is no file or folder" in answer[data.notice]
    assert data_actions.restore(data, session, answer[data.shown]) == {data.shown: "/no/where"}


def test_removing_the_open_set_closes_it(data, folder):
    session = data_actions.load(data, Session(VISITOR), str(folder))[data.session]
    answer = data_actions.listed(data, session, "", str(folder))
    assert answer[data.session].data == ""
    assert not prop(answer[data.view], "visible")
    assert folder.exists()
    assert data.session not in data_actions.listed(data, session, "/etc", "")


def test_an_upload_is_not_kept_twice(data, tmp_path, folder):
    archive = shutil.make_archive(str(tmp_path / "up"), "zip", folder)
    last = list(data_actions.upload(data, Session(VISITOR), archive))[-1]
    assert last[data.session].data == "up"
    assert last[data.upload] is None
    assert not (tmp_path / "up.zip").exists()
    (tmp_path / "bad.tar").write_bytes(b"x" * 2000)
    last = list(data_actions.upload(data, Session(VISITOR), str(tmp_path / "bad.tar")))[-1]
    assert "not an archive" in last[data.notice]


def test_a_look_that_is_left_keeps_what_it_found(data, folder):
    (folder / "images/0.png").write_bytes(b"broken")
    session = data_actions.load(data, Session(VISITOR), str(folder))[data.session]
    looking = data_actions.check(data, session)
    next(looking), next(looking), next(looking)
    looking.close()
    answer = data_actions.rest(data, session)
    assert prop(answer[data.check], "interactive")
    assert not prop(answer[data.stop], "visible")
    assert "broken image" in answer[data.faults]


# --- scan ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ended(home, frame):
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
    answer = scan_actions.look(scan, Session(VISITOR, run="before"), Watch("made", "before", jobs.RUNNING))
    assert answer[scan.session].run == "made"
    assert "12 of 120 samples flagged" in answer[scan.sofar]
    assert answer[scan.watch].state == jobs.DONE
    assert prop(answer[scan.results], "visible")
    assert not prop(answer[scan.stop], "visible")


def test_who_has_gone_to_another_run_is_left_there(scan, ended):
    answer = scan_actions.look(scan, Session(VISITOR, run="another"), Watch("made", "before", jobs.RUNNING))
    assert answer[scan.session].run == "another"
    assert answer[scan.session].revision == 1


def test_a_scan_found_ended_is_shown_and_opens_nothing(scan, ended, home):
    pipeline.detect_run(home / "runs" / "made")
    answer = scan_actions.look(scan, Session(VISITOR, run="before"), Watch())
    assert scan.session not in answer
    assert "made" in answer[scan.job]
    assert "poisoning found: 12 of 120 flagged" in answer[scan.runs]


def test_a_failed_scan_says_why_and_can_be_tried_again(scan, ended):
    (ended / "progress.jsonl").write_text('{"error": {"kind": "X", "problem": "No <b>.", "remedy": "Do."}}\n')
    (ended / "exit.json").write_text(json.dumps({"attempt": 1, "exit": 1, "asked": False}))
    answer = scan_actions.look(scan, Session(VISITOR), Watch("made", "", jobs.RUNNING))
    assert "No &lt;b&gt;." in answer[scan.job]
    assert prop(answer[scan.resume], "visible")
    assert prop(answer[scan.resume], "value") == "Try again"
    assert not prop(answer[scan.results], "visible")


def test_the_form_is_made_anew_only_when_the_session_asks_for_it(scan, ended, home):
    pipeline.detect_run(home / "runs" / "made", "bye")
    values = ("", "", "", "auto", "auto", "auto")
    first = scan_actions.refresh(scan, Session(VISITOR), Watch(), *values)
    assert scan.command in first
    again = scan_actions.refresh(scan, Session(VISITOR, revision=9), first[scan.watch], *values)
    assert again == {scan.watch: first[scan.watch]}, "a decision in Review costs nothing here"


def test_a_model_typed_meanwhile_is_not_overwritten(scan, ended):
    values = ("my/model", "my/adapter", "", "auto", "auto", "auto")
    answer = scan_actions.refresh(scan, Session(VISITOR), Watch(), *values)
    for field in scan.fields[:2]:
        assert "value" not in answer[field]._constructor_args[0]


def test_no_run_or_job_of_others_can_be_opened(scan, ended, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    session = Session(new_token())
    with pytest.raises(Exception, match="no run named made"):
        scan_actions.open_run(scan, session, "made")
    assert scan_actions.look(scan, session, Watch("made"))[scan.job] == ""
    assert scan_actions.show_job(scan, session, Watch(), "../../../jobs/made")[scan.job] == ""


def test_a_start_that_fails_leaves_the_buttons_as_they_were(scan, folder):
    session = Session(VISITOR, data=str(folder))
    data_sets.remember(workspace_of(VISITOR), Choice(str(folder)))
    with pytest.raises(scan_actions.ByeError) as error:
        scan_actions.start(scan, session, Watch(), "/no/model", "", "", "auto", "auto", "auto")
    answer = scan_actions.failed(scan, session, Watch(), error.value)
    assert "neither a folder with a model" in answer[scan.notice]
    assert not prop(answer[scan.stop], "visible")
