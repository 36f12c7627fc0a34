"""A home with one finished run in it: 120 drawn samples, 12 of them poisoned and found."""

import json

import pytest

from bye_core import pipeline
from bye_core.runs import Run
from bye_core.ui.workspace import workspace_of
from tests.made_run import make_run


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BYE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BYE_HOSTED", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run_path(home):
    """The folder of the run named "made"."""
    made = make_run(home / "made")
    pipeline.detect_run(made, "bye")
    (home / "runs").mkdir()
    return made.rename(home / "runs" / "made")


@pytest.fixture
def run(run_path):
    return Run.open(run_path)


@pytest.fixture
def workspace(run_path):
    """The workspace of one's own machine, with the run "made"."""
    return workspace_of("")


@pytest.fixture
def poisoned(run_path, home):
    return set(json.loads((home / "made/data/truth.json").read_text())["poisoned"])
