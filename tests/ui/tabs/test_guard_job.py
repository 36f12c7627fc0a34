"""The Guard tab up to its job, and what it shows of the answer; no model is asked here."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline
from bye_core.guard import NoMode
from bye_core.runs import jobs
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.tabs.guard import answer_card
from bye_core.ui.tabs.guard import job as guard_job
from bye_core.ui.workspace import new_token, workspace_of
from tests.made_run import QUESTIONS


@pytest.fixture
def picture(tmp_path):
    Image.new("RGB", (48, 36), (200, 30, 40)).save(tmp_path / "one.png")
    return tmp_path / "one.png"


@pytest.fixture
def started(monkeypatch):
    """Jobs that would have been started."""
    found = []
    monkeypatch.setattr(jobs, "start", lambda folder, kind, given, *_, **__: found.append((folder, kind, given)))
    return found


def test_the_runs_commonest_questions_are_offered(run):
    assert set(guard_job.questions(run)) == set(QUESTIONS)


def test_a_picture_and_a_question_become_a_job(workspace, run, picture, started):
    guard_job.start(workspace, run, picture, "what?")
    ((folder, kind, given),) = started
    assert (folder.parent, kind) == (workspace.jobs, "guard")
    asked = workspace.root / "guard" / folder.name / "picture"
    assert given == ["--run", str(run.path), "--image", str(asked), "--question", "what?"]
    assert asked.read_bytes() == picture.read_bytes(), "as it was given: another encoding would be another picture"


def test_what_cannot_be_asked(workspace, run, picture, started, monkeypatch, tmp_path):
    with pytest.raises(guard_job.NoImage):
        guard_job.start(workspace, run, None, "what?")
    with pytest.raises(guard_job.NoQuestion):
        guard_job.start(workspace, run, picture, " ")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(Exception, match="cannot be decoded"):
        guard_job.start(workspace, run, tmp_path / "bad.png", "what?")
    with pytest.raises(guard_job.NoRunOpen):
        guard_job.check_run(None)
    pipeline.detect_run(run.path, "bye", tau=1e9)
    with pytest.raises(NoMode):
        guard_job.start(workspace, run, picture, "what?")
    monkeypatch.setenv("BYE_HOSTED", "1")
    with pytest.raises(NotHere):
        guard_job.start(workspace_of(new_token()), run, picture, "what?")
    assert not started


def test_the_answer_escaped_with_rows_and_place_in_the_histogram(workspace, run, picture, started):
    guard_job.start(workspace, run, picture, "what?")
    ((folder, _, given),) = started
    job = SimpleNamespace(id=folder.name, option=lambda flag: given[given.index(flag) + 1])
    layers = list(run.detection().sensitive_layers)
    grid = {"rows": 2, "columns": 3, "box": [0, 0, 1, 1], "values": [[1, 2, 3, 4, 5, 6]] * 8}
    facts = {
        "triggered": True, "score": 0.9, "first_token": "<b>", "probability": 0.5, "deviations": [0.1, -9.0],
        "reason": "because", "question": "<script>", "layers": layers, "value": -1.0,
        "attention": {"grids": [grid]},
    }  # fmt: skip
    card = answer_card.card(workspace, job, facts)
    assert "It looks triggered" in card
    assert "No judgement is possible" in answer_card.card(workspace, job, facts | {"triggered": False, "known": False})
    assert "<script>" not in card
    assert "<b>" not in card
    assert card.count("data:image/png") == len(layers) + 1
    figure = answer_card.histogram(workspace, job, facts)
    assert figure.layout.shapes[-1].x0 == -1.0
    assert figure.layout.xaxis.range[0] < -1.0 < np.nanmax(run.detection().values) < figure.layout.xaxis.range[1]
