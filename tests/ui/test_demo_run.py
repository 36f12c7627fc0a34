"""Which run is open when somebody comes in, and the runs that are shipped."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bye_core import pipeline, runs
from bye_core.ui import demo_run
from bye_core.ui.adjust import truth_file
from bye_core.ui.adjust.comparison import detected_run
from bye_core.ui.demo_run import run_to_open
from bye_core.ui.header import actions, view
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, evidence, model_choice
from bye_core.ui.tabs.guard import job as guard_job
from bye_core.ui.workspace import workspace_of


def test_what_was_asked_for_then_what_was_kept_then_the_demo_then_the_newest(run_path, monkeypatch):
    place = workspace_of("")
    older = run_path.with_name("older")
    (older).mkdir()
    (older / "run.json").write_bytes((run_path / "run.json").read_bytes())
    os.utime(older, (1, 1))
    assert run_to_open(place, "older", "made") == "older"
    assert run_to_open(place, "gone", "made") == "made"
    assert run_to_open(place, "", None) == demo_run.NAME
    monkeypatch.setattr(demo_run, "has_demo", lambda: False)
    (place.runs / demo_run.NAME).rename(place.root / "away")
    assert run_to_open(place, "", "../made") == "made"


def test_a_damaged_copy_is_named_and_left_alone(home):
    place = workspace_of("")
    run_to_open(place, "")
    copy = place.runs / demo_run.NAME
    (copy / "run.json").unlink()
    before = sorted(path.name for path in copy.iterdir())
    with pytest.raises(demo_run.DamagedCopy, match=r"run\.json is missing"):
        run_to_open(place, "")
    assert sorted(path.name for path in copy.iterdir()) == before


def test_nothing_to_open(home, monkeypatch):
    monkeypatch.setattr(demo_run, "has_demo", lambda: False)
    assert run_to_open(workspace_of(""), "made") == ""


@pytest.fixture
def example(run_path, tmp_path, monkeypatch):
    """The run "made" and its data set as a shipped example that no workspace has a copy of yet."""
    shipped = demo_run.Example("real-photographs", "Real photographs", "photographs", tmp_path / "example")
    shutil.copytree(Path(runs.Run.open(run_path).settings.data).parent, shipped.data.parent)
    shutil.copytree(run_path, shipped.folder / "run")
    runs.edit_settings(shipped.folder / "run", data=str(shipped.data), model="assets/photographs/model")
    for module in (demo_run, view):
        monkeypatch.setattr(module, "EXAMPLES", (shipped,))
    monkeypatch.setitem(data_sets.SHIPPED, shipped.name, shipped.data)
    return shipped


def test_a_shipped_example_is_listed_and_opened_as_a_copy(example):
    place, session = workspace_of(""), Session(visitor="here", run="made")
    assert f"data-open-run='{example.name}'>Real photographs" in view.header(session)
    before = {path: path.stat().st_mtime_ns for path in example.folder.rglob("*")}
    opened, *_ = actions.clicked(session, SimpleNamespace(open=example.name))
    assert (opened.run, opened.data) == (example.name, example.name)
    assert place.run_path(example.name).is_dir()
    header = view.header(opened)
    assert "<bdi>Real photographs</bdi>" in header
    assert "photographs</small>" not in header, "listed among the runs now, and no longer among the examples"
    pipeline.decide(place.run_path(example.name), reject_flagged=True, reviewer="me")
    assert {path: path.stat().st_mtime_ns for path in example.folder.rglob("*")} == before
    demo_run.provide(place, example.name)
    assert runs.Run.open(place.run_path(example.name)).decisions(), "the copy is not replaced"


def test_what_needs_the_model_of_an_example_says_so(example):
    place = workspace_of("")
    demo_run.provide(place, example.name)
    run = runs.Run.open(place.run_path(example.name))
    for start in (lambda: evidence.start(place, run), lambda: guard_job.check_run(run)):
        with pytest.raises(model_choice.ModelNotHere, match="--model FOLDER"):
            start()
    assert model_choice.model_of_run(run.path) == ""
    assert not list(place.jobs.glob("*"))


def test_the_truth_of_an_example_can_be_shown(example, poisoned):
    session = replace(Session(visitor="here"), run=run_to_open(workspace_of(""), example.name))
    assert session.run == example.name
    truth = truth_file.shipped_truth(detected_run(session)[0])
    assert truth_file.check(truth) == poisoned


def test_a_set_of_a_visitor_never_has_the_name_of_an_example(example, workspace):
    assert data_sets.free_folder(workspace.data, example.name).name == f"{example.name}-2"


def test_the_shipped_example_is_whole(home):
    (shipped,) = demo_run.EXAMPLES
    place = workspace_of("")
    demo_run.provide(place, shipped.name)
    run = runs.Run.open(place.run_path(shipped.name))
    scores = pipeline.score_run(run.path, truth_file.shipped_truth(open_run(run.path)))
    assert (scores["tp"], scores["fp"], scores["fn"]) == (60, 0, 0)
    assert all((shipped.data.parent / image).is_file() for sample in run.samples() for image in sample.images)
