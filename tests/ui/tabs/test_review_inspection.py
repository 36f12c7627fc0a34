"""What Review says about the model's own answers and single heads, without a browser and without a model."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bye_core.records import Inspection
from bye_core.runs import jobs
from bye_core.runs.inspections import save_inspection
from bye_core.ui.shared.sample_evidence import NAMED_HEADS, named_heads
from bye_core.ui.tabs.review import inspection
from bye_core.ui.workspace import new_token

HERE = {"visitor": "", "run": "made"}


def ask(function, **more):
    return json.loads(function({**HERE, **more}))


@pytest.fixture
def started(monkeypatch):
    """The jobs that the page would start: (kind, arguments)."""
    found = []
    monkeypatch.setattr(
        inspection.workspace_jobs, "start_job", lambda _w, _n, kind, options, title: found.append((kind, options))
    )
    return found


def test_answers_and_maps_of_heads_are_there_after_the_model_was_asked(run, started):
    at = {"position": 3}
    before = ask(inspection.review_inspection, **at)
    assert before == {"answers": None, "running": False, "failure": None, "can_ask": True}
    numbers = ask(inspection.review_head, layer=2, head=1, **at)
    assert numbers["heat"] is None
    assert numbers["entropy"] == pytest.approx(run.table().entropy[3, 2, 1], abs=1e-5)
    assert ask(inspection.review_inspect, positions=[3, 4]) == {"asked": 2}
    assert started == [("inspect", ["--run", str(run.path), "--id=s00003", "--id=s00004"])]

    rows = np.zeros((8, 4, 144), np.float16)
    rows[2, 1, 17] = 0.25
    save_inspection(run.path, Inspection("s00003", "planted", "clean", rows, run.rows("s00003").grids))
    answers = ask(inspection.review_inspection, **at)["answers"]
    assert answers == {"answer": "planted", "before": "clean", "fault": "", "heads": True}
    heat = ask(inspection.review_head, layer=2, head=1, **at)["heat"]
    assert heat["layers"] == 1
    assert int(np.argmax(heat["grids"][0]["values"][0])) == 17
    for wrong in ({"layer": 8, "head": 0}, {"layer": 0, "head": 4}, {"layer": "2", "head": 1}):
        assert "error" in ask(inspection.review_head, **at, **wrong)


def test_strangers_and_public_hosts_ask_no_model(run, started, monkeypatch):
    assert ask(inspection.review_inspect, positions=[])["error"]["kind"] == "BadRequest"
    monkeypatch.setenv("BYE_HOSTED", "1")
    for function in inspection.INSPECTION_FUNCTIONS:
        more = {"visitor": new_token(), "position": 0, "positions": [0], "layer": 0, "head": 0}
        assert set(ask(function, **more)) == {"error"}
    assert started == []


def test_a_failed_job_says_why(run, monkeypatch):
    class Failed:
        state = jobs.FAILED

        def error(self):
            return jobs.Failure("AnotherModel", "The model has changed.", "Restore it.")

    monkeypatch.setattr(inspection, "_job", lambda *_: Failed())
    failure = ask(inspection.review_inspection, position=0)["failure"]
    assert failure == {"problem": "The model has changed.", "remedy": "Restore it."}


def test_the_heads_that_a_method_names_are_offered(run):
    detection = run.detection()
    assert named_heads(None) == named_heads(replace(detection, reasons=())) == []
    named = replace(
        detection,
        reasons=("layer 4 head 2, peak 6.1 spreads higher; layer 5 head 0 and 3 more",),
        layers=(
            replace(detection.layers[4], note="heads 2, 3 voted"),
            replace(detection.layers[6], note="head 1 voted"),
        ),
    )
    assert named_heads(named) == [(4, 2), (5, 0), (4, 3), (6, 1)]
    every = ", ".join(map(str, range(64)))
    assert (
        len(named_heads(replace(detection, layers=(replace(detection.layers[0], note=f"heads {every} voted"),))))
        == NAMED_HEADS
    )
