"""One project: a run decides its set, a set its run; the steps follow from what is on disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bye_core import pipeline
from bye_core.ui import demo_run, visitor
from bye_core.ui.header import steps
from bye_core.ui.header.runs import before_fine_tuning, comparison_html, delete_run, difference, rename_run
from bye_core.ui.header.view import header
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Session
from bye_core.ui.shared.exports import export_path
from bye_core.ui.shared.project import open_data_in, open_run_in, projects
from bye_core.ui.shared.run_facts import title_of
from bye_core.ui.workspace import NoSuchRun, new_token, workspace_of
from tests.made_run import make_data

VISITOR = "0" * 32


@pytest.fixture
def session(workspace):
    return open_run_in(workspace, Session(VISITOR), "made")


def test_an_open_run_decides_the_set_and_a_loaded_set_the_run(workspace, session, run, tmp_path):
    assert session.data == run.settings.data
    other = str(make_data(tmp_path / "other", 4))
    loaded = open_data_in(workspace, session, other)
    assert (loaded.data, loaded.run, loaded.closed) == (other, "", "made")
    assert "The run <bdi>made</bdi> was closed" in header(loaded)
    back = open_data_in(workspace, loaded, session.data)
    assert (back.data, back.run, back.closed) == (session.data, "made", "")
    assert open_data_in(workspace, session, session.data) is session
    assert [(project.key, len(project.runs)) for project in projects(workspace)] == [(session.data, 1)]


def test_a_run_of_others_opens_nothing(run_path, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    with pytest.raises(NoSuchRun):
        open_run_in(workspace_of(new_token()), Session(VISITOR), "made")


def test_a_link_to_an_unknown_run_is_said_and_a_known_one_opens(workspace, monkeypatch):
    monkeypatch.setattr(demo_run, "has_demo", lambda: False)
    _, lost, _ = visitor.enter({"link": "<b>nowhere</b>"}, "")
    assert (lost.run, lost.unknown, lost.first) == ("made", "<b>nowhere</b>", True)
    assert "&lt;b&gt;nowhere&lt;/b&gt;" in header(lost)
    _, found, _ = visitor.enter({"visitor": VISITOR, "link": "made"}, "other")
    assert (found.run, found.unknown, found.first) == ("made", "", False)
    _, unscanned, _ = visitor.enter({"visitor": VISITOR, "run": "", "data": "mine"}, "")
    assert (unscanned.run, unscanned.data) == ("", "mine")


def states(workspace, session):
    return {step.name: step.state for step in steps.steps_of(workspace, session, open_run(workspace.runs / "made"))}


def test_the_steps_follow_the_work(workspace, session, run_path):
    before = dict.fromkeys(("data", "finetune", "scan"), steps.DONE)
    later = dict.fromkeys(("review", "export", "retune", "measure"), steps.LATER)
    assert states(workspace, session) == before | later | {"review": steps.NEXT}
    pipeline.decide(run_path, reject_flagged=True)
    assert states(workspace, session) == before | later | {"review": steps.DONE, "export": steps.NEXT}
    pipeline.export_run(run_path, export_path(workspace, "cleaned"))
    after = states(workspace, session)
    assert (after["export"], after["retune"]) == (steps.DONE, steps.NEXT)
    assert "aria-label='Step 4: Review, done, 12 of 12 reviewed'" in header(session)


def test_nothing_flagged_needs_no_export(workspace, session, run_path):
    pipeline.detect_run(run_path, "bye", tau=1e9)
    found = states(workspace, session)
    assert found["review"] == steps.DONE
    assert {found[name] for name in ("export", "retune", "measure")} == {steps.NOT_NEEDED}


@pytest.mark.parametrize(
    ("adapter", "before", "shown"),
    [
        (None, None, "unknown"),
        ("a1", None, "the model without the adapter"),
        (None, "/somewhere/models/base", "models/base"),
    ],
)
def test_a_comparison_names_the_model_before_fine_tuning(run, adapter, before, shown):
    digest = "b2" if before else None
    settings = replace(run.settings, adapter_digest=adapter, before=before, before_digest=digest)
    assert before_fine_tuning(settings) == shown


def test_a_run_is_renamed_compared_and_deleted(workspace, session, run_path):
    rename_run(workspace, session, "made", " First \n run ")
    assert title_of(run_path) == "First run"
    opened = open_run(run_path)
    assert {name: len(ids) for name, ids in difference(opened, opened).items()} == {"both": 12, "first": 0, "second": 0}
    table = comparison_html(workspace, session, "made")
    assert "12</b> flagged in both" in table
    assert "<th scope='row'>Before fine-tuning</th><td><bdi>unknown</bdi></td><td><bdi>unknown</bdi></td>" in table
    rename_run(workspace, session, "made", "made")
    assert title_of(run_path) == "made"
    gone = delete_run(workspace, session, "made")
    assert (gone.run, gone.data) == ("", session.data)
    assert not run_path.exists()
