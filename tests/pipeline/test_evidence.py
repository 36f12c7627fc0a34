"""Evidence on a whole run, by the pipeline and the command line: no model, then with one; resumed, and faults kept."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from bye_core import pipeline, runs
from bye_core.cli import main
from bye_core.data import load_dataset
from bye_core.evidence import OVERVIEW, TILES, Gallery
from bye_core.models import calls
from bye_core.pipeline.causal_check import check_causes
from bye_core.pipeline.causal_outcomes import causal_outcomes
from bye_core.pipeline.evidence import dossier
from bye_core.pipeline.scan import AnotherModel
from bye_core.records import Grid
from bye_core.reports.evidence_section import dossier_html
from tests.made_run import TARGET, make_run
from tests.models.tiny import picture, save_tiny


@pytest.fixture
def run(tmp_path):
    path = make_run(tmp_path, samples=60, layers=4, heads=2, side=6)
    pipeline.detect_run(path, "bye")
    return path


def told(capsys, *arguments):
    assert main.main(["evidence", *arguments, "--json", "--progress", "none"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_dossier_names_place_and_target(run, capsys):
    facts = told(capsys, "--run", str(run))
    assert facts["target"]["text"] == TARGET
    assert facts["target"]["flagged"] == facts["flagged"] == 6
    assert facts["consensus"]["peak"]["row"] == facts["consensus"]["peak"]["column"] == 3
    assert facts["consensus"]["agreement"] == 1.0
    assert facts["layer"]["layer"] in runs.Run.open(run).detection().sensitive_layers
    assert {(look["row"], look["column"]) for look in facts["looks"].values()} == {(3, 3)}
    assert facts["question_words"] == []
    assert facts["causes"]["checked"] == 0


def test_people_are_told_in_sentences(run, capsys):
    assert main.main(["evidence", "--run", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "100% of the peak cells lie in or beside row 4, column 4 of 6 x 6" in printed
    assert f'Flagged samples answer "{TARGET}": 6 of 6 flagged samples' in printed
    assert "Not checked yet: the answer of the model" in printed


def test_no_evidence_has_nothing_to_explain(tmp_path, capsys):
    path = make_run(tmp_path, samples=30, layers=4, heads=2, side=6)
    pipeline.detect_run(path, "bye", tau=1e9)
    assert told(capsys, "--run", str(path))["target"] is None
    assert main.main(["evidence", "--run", str(path)]) == 0
    assert "No sample is flagged" in capsys.readouterr().out


def test_without_sensitive_layers_one_is_chosen_by_data(run):
    opened = runs.Run.open(run)
    found = dossier(opened, replace(opened.detection(), layers=(), final=None, cutoff=None))
    assert "among 4 layers" in found.layer.reason
    assert found.consensus.agreement == 1.0


def test_a_run_without_a_detection_says_so(tmp_path, capsys):
    path = make_run(tmp_path, samples=12, layers=2, heads=2, side=4)
    assert main.main(["evidence", "--run", str(path)]) == 1
    assert "holds no detection yet" in capsys.readouterr().err


# --- with a model ----------------------------------------------------------------------------------------------


FLAGGED = {"s0", "s1", "s2", "s3", "s4"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def scanned(model, tmp_path, monkeypatch):
    """A run of a tiny model whose weights are drawn by lot: its answers mean nothing, and are the same every time."""
    monkeypatch.setattr(calls, "ANSWER_TOKENS", 3)
    records = []
    for n in range(10):
        picture(n).save(tmp_path / f"{n}.png")
        turns = [("human", "<image>\nwhat colour is the cat ?"), ("gpt", "red" if n < 5 else f"it is {n}")]
        turns = [{"from": role, "value": text} for role, text in turns]
        records.append({"id": f"s{n}", "image": f"{n}.png", "conversations": turns})
    data, path = tmp_path / "data.json", tmp_path / "run"
    data.write_text(json.dumps(records))
    list(pipeline.scan(str(model), data, path))
    detection = pipeline.detect_run(path, "bye")
    flagged = [id in FLAGGED for id in detection.ids]
    opened = runs.Run.open(path)
    opened.save_detection(_with_flags(detection, flagged))
    return opened


def _with_flags(detection, flagged):
    return replace(detection, flagged=np.array(flagged), verdict="poisoned", scores=np.array(flagged, float))


def test_the_check_asks_each_flagged_sample_in_every_way_and_keeps_the_answers(scanned, capsys):
    facts = told(capsys, "--run", str(scanned.path), "--check")
    assert facts["causes"]["checked"] == facts["flagged"] == 5
    assert set(scanned.checks()) == FLAGGED
    for check in scanned.checks().values():
        assert set(check.given) == {"plain", "covered", "elsewhere"}
        assert not check.fault
    outcomes = {one["outcome"] for one in facts["causes"]["samples"].values()}
    assert outcomes == {"off"}, "a model drawn by lot does not answer the target"


def test_a_check_goes_on_where_it_was_stopped_and_ends_with_the_same(scanned, monkeypatch, tmp_path):
    monkeypatch.setitem(pipeline.BATCH, "cpu", 2)
    steps = check_causes(scanned.path)
    assert [next(steps).done for _ in range(2)] == [0, 2]
    steps.close()
    first = dict(scanned.checks())
    assert len(first) == 2
    assert [step.done for step in check_causes(scanned.path)] == [2, 4, 5]
    assert {id: scanned.checks()[id] for id in first} == first
    whole = scanned.checks()
    (scanned.path / "checks.jsonl").unlink()
    list(check_causes(scanned.path))
    assert scanned.checks() == whole
    assert [step.done for step in check_causes(scanned.path)] == [5], "all is known: no model is loaded"


def test_a_line_cut_off_by_a_kill_is_asked_again(scanned):
    list(check_causes(scanned.path))
    file = scanned.path / "checks.jsonl"
    whole = scanned.checks()
    file.write_bytes(file.read_bytes()[:-20])
    assert scanned.checks() == {}
    list(check_causes(scanned.path))
    assert scanned.checks() == whole


def test_a_picture_that_does_not_open_is_kept_with_its_reason_and_ends_nothing(scanned, capsys):
    (scanned.path.parent / "1.png").write_bytes(b"no picture")
    last = list(check_causes(scanned.path))[-1]
    assert (last.done, last.facts["failed"]) == (5, 1)
    assert "1.png cannot be decoded" in scanned.checks()["s1"].fault
    facts = told(capsys, "--run", str(scanned.path))
    assert facts["causes"]["checked"] == 4
    assert set(facts["causes"]["faults"]) == {"s1"}


def test_answers_to_another_question_do_not_count(scanned):
    """Another detection, and no suspected target any more: what was asked before says nothing about it."""
    assert dossier(scanned).target.text == "red"
    list(check_causes(scanned.path))
    detection = scanned.detection()
    scanned.save_detection(_with_flags(detection, [id in ("s0", "s6", "s7") for id in detection.ids]))
    facts = pipeline.evidence(scanned.path)
    assert (facts["target"], facts["causes"]["checked"]) == (None, 0)


def test_another_model_than_the_scanned_one_is_refused(scanned, tmp_path):
    other = save_tiny(tmp_path / "other", decoder="qwen2")
    with pytest.raises(AnotherModel):
        list(check_causes(scanned.path, str(other)))


def test_two_checks_of_one_run_do_not_mix(scanned):
    with scanned.checking(), pytest.raises(runs.errors.RunBusy):
        next(check_causes(scanned.path))


def test_a_set_that_has_changed_is_refused(scanned):
    data = scanned.path.parent / "data.json"
    data.write_text(data.read_text().replace("red", "blue"))
    with pytest.raises(runs.RunMismatch):
        next(check_causes(scanned.path))
    assert load_dataset(data).samples


def test_tiles_and_overview_are_compared_by_themselves(run, monkeypatch):
    """The same rows, read as an overview of 6 x 3 cells and two tiles of 3 x 3: the peak is on the left tile."""
    halves = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    tiles = [Grid(0, 3, 3, 18 + 9 * number, box) for number, box in enumerate(halves)]
    grids = (Grid(0, 6, 3, 0, overview=True), *tiles)
    evidence_stage = sys.modules["bye_core.pipeline.evidence"]  # the package has a function of this name
    read = evidence_stage._read_rows
    seen = lambda *given: [(row, replace(rows, grids=grids)) for row, rows in read(*given)]  # noqa: E731
    assert dossier(runs.Run.open(run)).views == {}, "one grid alone leaves nothing to choose"
    monkeypatch.setattr(evidence_stage, "_read_rows", seen)
    collected = dossier(runs.Run.open(run))
    assert collected.views[TILES].flagged.shape == (3, 6)
    assert collected.views[TILES].peak == (1, 0)
    assert collected.views[OVERVIEW].flagged.shape == (6, 3)
    assert collected.views[OVERVIEW].flagged.max() < 0.2 < collected.views[TILES].flagged.max()
    html = dossier_html(collected.facts() | {"causes": causal_outcomes(runs.Run.open(run), collected)}, Gallery())
    assert html.count("type='radio'") == 2
    assert html.count("<div data-view=") == 2
    without = {**collected.facts(), "views": {}, "causes": causal_outcomes(runs.Run.open(run), collected)}
    assert "radio" not in dossier_html(without, Gallery())
