"""The handlers of the Data tab, without a browser."""

from __future__ import annotations

import json
import re
import shutil
from types import SimpleNamespace

import gradio as gr
import pytest

from bye_core.ui.adjust.trial import Trial
from bye_core.ui.session import Frame, Session
from bye_core.ui.shared import data_sets
from bye_core.ui.tabs.data import actions as data_actions
from bye_core.ui.tabs.data import view as data_tab
from bye_core.ui.tabs.data.columns import AUTOMATIC
from bye_core.ui.workspace import workspace_of
from tests.made_run import make_data

VISITOR = "0" * 32


@pytest.fixture
def frame(home):
    with gr.Blocks():
        yield Frame(gr.State(Session()), gr.HTML(), gr.Tabs(), gr.Timer(active=False), gr.State(Trial()), gr.State({}))


@pytest.fixture
def data(frame):
    return data_tab._lay_out(frame)[0]


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
    read = data_actions.read_again(data, session, asked[data.pending], "more.json", AUTOMATIC, "", False)
    assert read[data.session].data == str(folder)
    assert data_sets.path_of(workspace_of(VISITOR), data_sets.find(workspace_of(VISITOR), str(folder))) == str(
        folder / "more.json"
    )


def test_a_split_is_a_choice(data, folder, tmp_path):
    for split, count in (("validation", 6), ("test", 4)):
        make_data(tmp_path / "set" / split, count)
    session, key = Session(VISITOR), str(tmp_path / "set")
    asked = data_actions.load(data, session, key)
    assert "several splits" in asked[data.notice]
    assert prop(asked[data.file], "choices") == ["test", "validation"]
    read = data_actions.read_again(data, session, asked[data.pending], "test", AUTOMATIC, "", False)
    choice = data_sets.find(workspace_of(VISITOR), read[data.session].data)
    assert (choice.split, choice.file, choice.records) == ("test", "", 4)
    assert data_sets.source_arguments(workspace_of(VISITOR), choice) == ["--data", key, "--split", "test"]
    assert prop(read[data.file], "value") == "test"


def test_a_set_that_cannot_be_read_leaves_what_is_open_alone(data, tmp_path):
    (tmp_path / "data.json").write_text("[{")
    answer = data_actions.load(data, Session(VISITOR, data="x"), str(tmp_path))
    assert "cannot be read" in answer[data.notice]
    assert data.session not in answer
    assert data.view not in answer


def test_a_set_that_is_gone_is_said_once_and_not_asked_for_again(data):
    session = Session(VISITOR, data="/no/where")
    answer = data_actions.change_session(data, session, "")
    assert "There is no file or folder" in answer[data.hint]
    assert data_actions.change_session(data, session, answer[data.shown]) == {data.shown: "/no/where"}


def test_a_set_that_opens_by_itself_leaves_the_notice_of_what_the_user_did(data, folder):
    answer = data_actions.change_session(data, Session(VISITOR, data=str(folder)), "")
    assert data.summary in answer
    assert data.notice not in answer
    assert answer[data.hint] == "", "the hint that the page is still opening goes"


def test_a_set_that_opens_by_itself_does_not_replace_one_that_was_opened_meanwhile(data, folder, tmp_path, monkeypatch):
    session, other, read = (
        Session(VISITOR, data=str(folder)),
        make_data(tmp_path / "other", 3).parent,
        data_sets.open_set,
    )

    def slow(workspace, choice):
        monkeypatch.setattr(data_sets, "open_set", read)
        data_actions.load(data, session, str(other))
        return read(workspace, choice)

    monkeypatch.setattr(data_sets, "open_set", slow)
    assert data_actions.change_session(data, session, "") == data.unchanged()


def test_a_set_that_opens_by_itself_does_not_replace_a_question_about_another(data, folder):
    (folder / "more.json").write_text((folder / "data.json").read_text())
    session, other = Session(VISITOR, data="demo"), Session(VISITOR, data=str(folder / "data.json"))
    asked = data_actions.load(data, session, str(folder))
    assert "several annotation files" in asked[data.notice]
    assert data_actions.change_session(data, session, asked[data.shown]) == {data.shown: "demo"}
    assert data.summary in data_actions.change_session(data, other, asked[data.shown]), "another project is shown"


def test_removing_the_open_set_closes_it(data, folder):
    session = data_actions.load(data, Session(VISITOR), str(folder))[data.session]
    answer = data_actions.use_list(data, session, SimpleNamespace(open="", remove=str(folder)))
    assert answer[data.session].data == ""
    assert not prop(answer[data.view], "visible")
    assert folder.exists()
    assert data.session not in data_actions.use_list(data, session, SimpleNamespace(open="/etc", remove=""))


def test_an_upload_is_not_kept_twice(data, tmp_path, folder):
    archive = shutil.make_archive(str(tmp_path / "up"), "zip", folder)
    last = list(data_actions.upload(data, Session(VISITOR), archive))[-1]
    assert last[data.session].data == "up"
    assert last[data.upload] is None
    assert not (tmp_path / "up.zip").exists()
    (tmp_path / "bad.tar").write_bytes(b"x" * 2000)
    last = list(data_actions.upload(data, Session(VISITOR), str(tmp_path / "bad.tar")))[-1]
    assert "not an archive" in last[data.notice]


def test_equal_files_of_two_visitors_do_not_disturb_each_other(data, tmp_path, folder):
    archive = shutil.make_archive(str(tmp_path / "up"), "zip", folder)
    content = (tmp_path / "up.zip").read_bytes()
    first = data_actions.upload(data, Session(VISITOR), archive)
    next(first)
    (tmp_path / "up.zip").write_bytes(content)  # Gradio gives the second file the same path
    assert list(first)[-1][data.session].data == "up"
    assert list(data_actions.upload(data, Session("1" * 32), archive))[-1][data.session].data == "up-2"
    gone = list(data_actions.upload(data, Session(VISITOR), archive))[-1]
    assert "up.zip is gone" in gone[data.notice]
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == []


def test_a_look_that_is_left_keeps_what_it_found(data, folder):
    (folder / "images/0.png").write_bytes(b"broken")
    session = data_actions.load(data, Session(VISITOR), str(folder))[data.session]
    looking = data_actions.check(data, session)
    next(looking), next(looking), next(looking)
    looking.close()
    answer = data_actions.show_checked(data, session)
    assert prop(answer[data.check], "interactive")
    assert not prop(answer[data.stop], "visible")
    assert "broken image" in answer[data.faults]


def test_lists_in_one_file_are_a_choice_that_can_be_changed_again(data, folder):
    records = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({"train": records[:4], "test": records[4:]}))
    session, key = Session(VISITOR), str(folder / "data.json")
    read = data_actions.load(data, session, key)
    assert (prop(read[data.file], "choices"), prop(read[data.file], "value")) == (["train", "test"], "train")
    assert "not test." in read[data.summary]
    assert "--split" not in read[data.summary]
    for split, count in (("test", 2), ("train", 4)):
        read = data_actions.read_again(data, session, key, split, AUTOMATIC, "", False)
        assert prop(read[data.file], "value") == split
        assert sorted(prop(read[data.file], "choices")) == ["test", "train"]
        assert read[data.samples].count("<li") == count


def test_a_question_for_captions_is_asked_for_only_where_it_matters(data, folder):
    session, key = Session(VISITOR), str(folder)
    assert not prop(data_actions.load(data, session, key)[data.question], "visible")
    captions = [{"image": f"images/{n}.png", "caption": f"a shape {n}"} for n in range(6)]
    (folder / "data.json").write_text(json.dumps(captions))
    read = data_actions.load(data, session, key)
    assert prop(read[data.question], "visible")
    assert not prop(read[data.strict_ids], "visible")
    read = data_actions.read_again(data, session, key, None, AUTOMATIC, " What is it? ", False)
    assert "What is it?" in read[data.samples]
    assert data_sets.find(workspace_of(VISITOR), key).question == "What is it?"


def test_repeated_ids_are_said_and_can_be_refused(data, folder):
    records = json.loads((folder / "data.json").read_text())
    records[3]["id"] = records[0]["id"]
    (folder / "data.json").write_text(json.dumps(records))
    session, key = Session(VISITOR), str(folder)
    read = data_actions.load(data, session, key)
    assert "1 record repeats the id of an earlier record" in read[data.summary]
    assert "--strict-ids" not in read[data.summary]
    assert prop(read[data.strict_ids], "visible")
    read = data_actions.read_again(data, session, key, None, AUTOMATIC, "", True)
    assert re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", read[data.summary]) == [
        ("records", "6"), ("ready so far", "5"), ("refused", "1"),
    ]  # fmt: skip
    assert prop(read[data.strict_ids], "visible")


def test_records_without_an_image_are_refused_and_kept_by_an_export(data, folder):
    records = json.loads((folder / "data.json").read_text())
    del records[2]["image"]
    records[2]["conversations"][0]["value"] = "What is two plus two?"
    (folder / "data.json").write_text(json.dumps(records))
    read = data_actions.load(data, Session(VISITOR), str(folder))
    assert "Without an image: 1 record. It is not scanned; an export keeps it." in read[data.summary]
    assert "kept by an export" in read[data.faults]
    assert "left out of scan and export" not in read[data.faults]
