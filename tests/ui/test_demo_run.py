"""Which run is open when somebody comes in."""

import os

from bye_core.ui import demo_run
from bye_core.ui.demo_run import run_to_open
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


def test_nothing_to_open(home, monkeypatch):
    monkeypatch.setattr(demo_run, "has_demo", lambda: False)
    assert run_to_open(workspace_of(""), "made") == ""
