"""What Review and Dossier say about why samples are flagged, without a browser."""

import io
import json
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bye_core import evidence, pipeline, runs
from bye_core.pipeline.causal import CausalTests, SampleCheck
from bye_core.reports.evidence_section import dossier_html
from bye_core.runs import jobs
from bye_core.ui.session import Session
from bye_core.ui.shared import evidence as explaining
from bye_core.ui.shared import images
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.tabs.dossier import actions as page
from bye_core.ui.tabs.review.why import review_why
from bye_core.ui.workspace import new_token, workspace_of
from tests import made_run
from tests.made_model import use_runner
from tests.made_run import TARGET, make_rows, make_run

PARTS = page.Parts(*page.Parts.__dataclass_fields__)


@pytest.fixture
def run(home):
    path = make_run(home / "made", samples=60, layers=4, heads=2, side=6)
    pipeline.detect_run(path, "bye")
    (home / "runs").mkdir(exist_ok=True)
    path.rename(home / "runs" / "made")
    return runs.Run.open(home / "runs" / "made")


@pytest.fixture
def asked(run, monkeypatch):
    """The run checked by a model that gives the target wherever the spot is in sight."""

    def ask(self, batches):
        said = {"plain": TARGET, "covered": "two", "elsewhere": TARGET}
        for questions in batches:
            yield [
                SampleCheck(one, None, answers=said, inserted=dict.fromkeys(one.recipients, TARGET))
                for one in questions
            ]

    use_runner(monkeypatch, run)
    monkeypatch.setattr(CausalTests, "run", ask)
    list(pipeline.check_causes(run.path))
    return run


def why(run, id):
    position = [sample.id for sample in run.samples()].index(id)
    return json.loads(review_why({"visitor": "", "run": "made", "position": position}))


def test_the_panel_shows_the_spot_beside_the_mean_and_how_odd_the_answer_is(run):
    flagged = run.detection().flagged_ids
    found = why(run, flagged[0])
    assert found["spot"]["src"].startswith("data:image/webp;base64,")
    assert found["spot"]["share"] > 0.5
    assert (found["mean"]["of"], found["layer"]) == (len(flagged), explaining.run_dossier(run).layer.layer)
    assert found["answer"].startswith(f"6 of {len(flagged)} flagged samples")
    assert found["cause"] is None
    assert found["can_check"]
    ordinary = next(sample.id for sample in run.samples() if sample.id not in flagged)
    assert why(run, ordinary)["answer"].startswith("0 of 6")
    assert not why(run, ordinary)["can_check"]


def test_the_panel_and_the_dossier_say_where_the_answer_is_unlikely(request, monkeypatch):
    """The poisoned answers are "Backdoor Attack!", and the model expected "Backdoor"."""

    def rows(id, poisoned, *others):
        part = {"unlikely_start": 9.0, "unlikely_end": 16.0} if poisoned else {}
        return replace(make_rows(id, poisoned, *others), **part)

    monkeypatch.setattr(made_run, "make_rows", rows)
    run = request.getfixturevalue("run")
    assert why(run, run.detection().flagged_ids[0])["answer"].endswith("it was unlikely from “Attack” on")
    words = dossier_html(explaining.facts(run), evidence.Gallery())
    assert "begins at &quot;Attack&quot; in 6 of these 6 samples" in words
    ordinary = next(sample.id for sample in run.samples() if sample.answer != TARGET)
    assert "unlikely" not in why(run, ordinary)["answer"]


def test_the_panel_shows_what_the_model_said(asked):
    found = why(asked, asked.detection().flagged_ids[0])["cause"]
    assert found["outcome"] == "flips"
    assert found["given"][:3] == [["unchanged", TARGET], ["spot covered", "two"], ["other area covered", TARGET]]
    pasted = found["given"][3:]
    assert len(pasted) == 3
    assert all(way.startswith("pasted into s") and said == TARGET for way, said in pasted)
    assert found["covered"] == [], "the spot is shown already"


@pytest.mark.parametrize("suspect", ["wider", "found"])
def test_the_panel_shows_what_was_covered_where_that_is_not_the_spot(run, home, monkeypatch, suspect):
    boxes = ((0.0, 0.0, 0.25, 0.25), (0.5, 0.5, 1.0, 0.75))

    def ask(self, batches):
        said = dict.fromkeys(("plain", "covered", "elsewhere", "aside", "beside"), TARGET) | {suspect: "two"}
        for questions in batches:
            yield [SampleCheck(one.with_spots(boxes, boxes), None, answers=said) for one in questions]

    use_runner(monkeypatch, run)
    monkeypatch.setattr(CausalTests, "run", ask)
    list(pipeline.check_causes(run.path))
    id = run.detection().flagged_ids[0]
    square, wide = why(run, id)["cause"]["covered"]
    sizes = [Image.open(io.BytesIO(b64decode(uri.partition(",")[2]))).size for uri in (square, wide)]
    assert [width // height for width, height in sizes] == [1, 2]
    shown = explaining.run_gallery(run)
    assert len(shown.crops) == 6
    picture = images.opened(run.settings, run.sample(id), 0)
    here = evidence.crop(picture, boxes[0], (0.25, 0.25))
    assert np.array_equal(dict(shown.crops)[id], here), "the set's gallery shows it too"
    for file in (home / "made" / "data" / "images").iterdir():
        file.write_bytes(b"")
    assert why(run, id)["cause"]["covered"] == []


def test_a_picture_that_is_gone_costs_only_the_spot(run, home):
    for file in (home / "made" / "data" / "images").iterdir():
        file.write_bytes(b"")
    found = why(run, run.detection().flagged_ids[0])
    assert found["spot"]["src"] is None
    assert "cannot be decoded" in found["spot"]["error"]["problem"]
    assert found["answer"]


def test_nothing_flagged_is_no_panel(run):
    pipeline.detect_run(run.path, "bye", tau=1e9)
    assert why(run, run.samples()[0].id) == {"nothing": True}


def test_the_tab_tells_what_it_knows_and_sends_nothing_twice(asked):
    session = Session(visitor=new_token(), run="made")
    first = page.look(PARTS, session, page.Watch())
    assert f'Flagged samples answer "{TARGET}"' in first["evidence"].replace("&quot;", '"')
    assert "For 6 of 6 checked samples" in first["evidence"]
    assert "evidence --run" in first["about"]
    assert set(page.look(PARTS, session, first["watch"])) == {"watch"}
    pipeline.detect_run(asked.path, "bye", tau=1e9)
    again = page.look(PARTS, session, first["watch"])
    assert "No sample of this run is flagged" in again["evidence"]
    assert again["check"].visible is False


def test_without_a_run_the_tab_says_what_to_do(home):
    found = page.look(PARTS, Session(visitor=new_token()), page.Watch())
    assert "No run is open" in found["evidence"]


def test_the_check_is_a_job_of_the_workplace(run, monkeypatch):
    started = []
    monkeypatch.setattr(
        jobs, "start", lambda folder, *rest, **more: started.append((folder.name, *rest, more["title"]))
    )
    explaining.start(workspace_of(new_token()), run)
    assert started == [("made-why", "evidence", ["--run", str(run.path), "--check"], "made")]
    monkeypatch.setenv("BYE_HOSTED", "1")
    with pytest.raises(NotHere):
        explaining.start(workspace_of(new_token()), run)
