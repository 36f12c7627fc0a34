"""The open run with what is tried out beside what is in use; truth files kept for one run."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from bye_core import pipeline
from bye_core.pipeline import UnreadableTruth
from bye_core.records import Decision
from bye_core.runs import Run
from bye_core.ui.adjust import comparison
from bye_core.ui.adjust import truth_file as truths
from bye_core.ui.adjust.comparison import NotReady, compare, detected_run
from bye_core.ui.adjust.trial import Trial
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Session
from bye_core.ui.workspace import NoSuchRun
from tests.made_run import make_run

SESSION = Session(run="made")


def test_the_settings_in_use_need_no_detection_again(run_path, monkeypatch):
    monkeypatch.setattr("bye_core.ui.open_run.detect_scan", lambda *_, **__: pytest.fail("detected again"))
    t = compare(SESSION, Trial("made"))
    assert t.tried is t.used
    assert t.effect().saved


def test_a_trial_changes_nothing_on_disk_until_it_is_used(run_path, poisoned):
    trial = Trial("made").having(cutoff=100.0)
    t = compare(SESSION, trial)
    assert t.effect().flagged == 120
    assert len(t.effect().flips.added) == 120 - len(poisoned)
    assert set(Run.open(run_path).detection().flagged_ids) == poisoned
    assert comparison.use(SESSION, trial).revision == SESSION.revision + 1
    assert len(Run.open(run_path).detection().flagged_ids) == 120
    assert compare(SESSION, trial).effect().saved


def test_decisions_survive_and_their_conflicts_show(run_path, poisoned):
    kept, gone = sorted(poisoned)[0], next(id for id in open_run(run_path).table.ids if id not in poisoned)
    Run.open(run_path).decide([Decision(kept, "accept"), Decision(gone, "reject")])
    comparison.use(SESSION, Trial("made").having(tau=2.5))
    found = compare(SESSION, Trial("made")).effect().conflicts
    assert (found.accepted_flagged, found.rejected_unflagged) == ((kept,), (gone,))
    everything = compare(SESSION, Trial("made").having(cutoff=100.0)).effect().conflicts
    assert (everything.accepted_flagged, everything.rejected_unflagged) == ((kept,), ())
    assert Run.open(run_path).decisions().keys() == {kept, gone}


def test_a_trial_of_another_run_is_not_applied(run_path):
    t = compare(SESSION, Trial("another").having(cutoff=100.0))
    assert t.trial == Trial("made")


@pytest.mark.parametrize(
    ("run", "scanned", "state"), [("", 0, "closed"), ("new", 0, "unscored"), ("new", 5, "undetected")]
)
def test_what_is_missing_is_said(home, run, scanned, state):
    if run:
        made = make_run(home / "made", samples=12, scanned=scanned)
        (home / "runs").mkdir()
        made.rename(home / "runs" / "new")
    with pytest.raises(NotReady) as caught:
        compare(Session(run=run), Trial())
    assert caught.value.state == state
    assert caught.value.problem
    assert caught.value.remedy


def test_the_first_detection_is_by_the_default_method(home):
    made = make_run(home / "made", samples=40)
    (home / "runs").mkdir()
    made.rename(home / "runs" / "made")
    session = comparison.detect_first(SESSION)
    assert session.revision == 1
    assert compare(session, Trial("made", "auto")).effect().saved


@pytest.mark.parametrize("name", ["no-such-run", "../made", "made/..", "/etc"])
def test_no_name_leads_out_of_the_workspace(run_path, name):
    with pytest.raises(NoSuchRun):
        compare(Session(run=name), Trial(name))


def test_on_a_public_host_runs_and_truth_files_are_the_visitors_own(home, run_path, monkeypatch):
    monkeypatch.setenv("BYE_HOSTED", "1")
    mine, other = "a" * 32, "b" * 32
    place = home / "visitors" / mine / "runs"
    place.mkdir(parents=True)
    run_path.rename(place / "made")
    session = Session(visitor=mine, run="made")
    assert compare(session, Trial("made")).effect().saved
    for visitor in (other, "", "../" + mine):
        with pytest.raises(NoSuchRun):
            comparison.use(replace(session, visitor=visitor), Trial("made"))
    truth = truths.load(session, detected_run(session)[0], home / "made/data/truth.json")
    assert truths.loaded(replace(session, truth=truth))
    assert truths.loaded(Session(visitor=other, run="made", truth=truth)) is None


def test_the_most_separated_layer_and_the_heads(run_path):
    t = compare(SESSION, Trial("made"))
    assert t.best.bsi == max(report.bsi for report in t.tried.layers)
    assert t.heads().shape == (8, 4)
    assert t.truth is None


# --- truth files ------------------------------------------------------------------------------------------------


@pytest.fixture
def truth_file(home, run_path):
    return home / "made/data/truth.json"


def loaded(truth_file):
    return replace(SESSION, truth=truths.load(SESSION, detected_run(SESSION)[0], truth_file))


def test_a_loaded_truth_gives_scores_and_a_mask(truth_file, poisoned):
    t = compare(loaded(truth_file), Trial("made"))
    assert t.effect().scores["f1"] == 1.0
    assert {id for id, is_poisoned in zip(t.table.ids, t.truth, strict=True) if is_poisoned} == poisoned


def test_detection_is_the_same_with_and_without_a_truth(truth_file):
    trial = Trial("made").having(tau=1.0, cluster="kmeans")
    with_truth, without = compare(loaded(truth_file), trial).tried, compare(SESSION, trial).tried
    assert np.array_equal(with_truth.scores, without.scores)
    assert with_truth.flagged_ids == without.flagged_ids


def test_a_truth_is_of_one_run_only_and_can_be_forgotten(truth_file, copy_of):
    session = loaded(truth_file)
    assert truths.loaded(replace(session, run=copy_of)) is None
    truths.remove(session)
    assert truths.loaded(replace(session, truth="")) is None
    assert truth_file.exists()
    with pytest.raises(UnreadableTruth):
        truths.loaded(session)


@pytest.fixture
def copy_of(home, run_path):
    shutil.copytree(run_path, run_path.with_name("copy"))
    return "copy"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("[1, 2]", "list indices"),
        ('{"poisoned": "s1"}', "not a list"),
        ("[" * 200_000, "nested"),
    ],
)
def test_what_is_no_truth_file_is_refused_by_its_own_name(run_path, tmp_path, content, reason):
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(UnreadableTruth, match=reason) as caught:
        loaded(tmp_path / "mine.json")
    assert caught.value.problem.startswith("mine.json ")


def test_a_truth_of_another_set_is_refused(run_path, tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"poisoned": ["nobody", 17]}))
    with pytest.raises(truths.TruthOfAnother, match=r"None of the 2 ids in other\.json"):
        loaded(tmp_path / "other.json")


def test_a_truth_that_nothing_is_poisoned_is_one(run_path, tmp_path):
    (tmp_path / "clean.json").write_text('{"poisoned": []}')
    assert compare(loaded(tmp_path / "clean.json"), Trial("made")).effect().scores["precision"] == 0.0


def test_only_the_shipped_demo_has_a_shipped_truth(run_path):
    assert truths.shipped_truth(detected_run(SESSION)[0]) is None


def test_the_pipeline_sees_the_same_detection(run_path):
    comparison.use(SESSION, Trial("made").having(cluster="kmeans"))
    assert pipeline.last_detection(Run.open(run_path)).settings["cluster"] == "kmeans"
