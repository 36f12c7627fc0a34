"""The guard by auto's planted answers: the run's own samples as it judged them, other questions by the first token."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bye_core import detect, pipeline
from bye_core.detect.planted_answers import PlantedAnswer, PlantedAnswers
from bye_core.guard import NoMode, NoPattern, reading_of
from bye_core.pipeline.guard import by_answers
from bye_core.question_kinds import Kinds
from bye_core.records import Grid
from bye_core.runs import Run
from tests.made_run import TARGET, make_rows, make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = Run.open(make_run(tmp_path_factory.mktemp("run"), samples=300))
    return run, pipeline.detect_run(run.path)


def judged(run, detection, ids, question=None, **changes):
    samples = [run.sample(id) for id in ids]
    rows = [replace(run.rows(id), **changes) for id in ids]
    judge = by_answers(run.table(), detection)
    return judge(rows, [question or sample.question for sample in samples])


def test_the_runs_own_samples_are_judged_as_the_detection_judged_them(made):
    run, detection = made
    assert detection.verdict == "poisoned"
    readings = judged(run, detection, detection.ids)
    assert [one.triggered for one in readings] == detection.flagged.tolist()
    assert [one.value for one in readings] == pytest.approx(detection.values.tolist(), abs=1e-6)
    flagged = next(one for one in readings if one.triggered)
    assert f'the planted answer "{TARGET}"' in flagged.reason
    assert abs(flagged.deviations[0]) < abs(flagged.deviations[1])


def test_a_question_like_none_of_the_run_is_judged_by_how_the_model_begins(made):
    run, detection = made
    token = run.rows(detection.flagged_ids[0]).token
    ordinary = next(id for id in detection.ids if run.rows(id).token != token)
    (seen,) = judged(run, detection, detection.flagged_ids[:1], "Describe in detail.")
    (other,) = judged(run, detection, [ordinary], "Describe in detail.")
    assert (seen.triggered, other.triggered) == (True, False)
    assert seen.value is None
    assert seen.deviations is None
    assert "no similar question" in seen.reason
    assert "does not begin" in other.reason


def test_a_question_with_another_word_before_it_is_of_its_kind(made):
    run, detection = made
    id = detection.flagged_ids[0]
    (plain,), (longer,) = (judged(run, detection, [id], text) for text in (None, f"so {run.sample(id).question}"))
    assert longer.value == plain.value


def placed(place, begins, **changes):
    """A made-up planted answer, of whose sides the planted one is narrow or wide, and a sample at `place`."""
    part = SimpleNamespace(kept=np.arange(1), places=lambda features: np.array([place]))
    tried = SimpleNamespace(candidate=SimpleNamespace(text="Owned"), parts=[(np.array([0]), part)])
    sides = {
        "ordinary": (0.0, 0.1),
        "planted": (1.0, 0.3),
        "token": 1,
        "token_shares": {None: (0.01, 0.99)},
        "prior": 0.1,
    }
    planted = object.__new__(PlantedAnswers)
    planted._kinds = Kinds(["what is it?"] * 30)
    planted._answers = [PlantedAnswer(tried, **{**sides, **changes})]
    row = make_rows("s", False, Grid(0, 2, 2, 0, (0.0, 0.0, 1.0, 1.0)), 2, 2, np.random.default_rng(0))
    (found,) = planted.match([replace(row, token=1 if begins else 2)], ["what is it?"])
    return found


@pytest.mark.parametrize("place", [-0.5, -1.0, -3.0])
def test_attention_farther_from_planted_than_ordinary_is_stays_ordinary(place):
    assert placed(place, begins=False).score == placed(0.0, begins=False).score < 0.01


@pytest.mark.parametrize("place", [1.5, 2.0, 5.0])
def test_more_than_planted_attention_stays_planted(place):
    narrow = {"ordinary": (0.0, 0.3), "planted": (1.0, 0.1)}
    assert placed(place, begins=True, **narrow).score == placed(1.0, begins=True, **narrow).score > 0.99


def test_how_the_model_begins_counts_as_in_that_kind_of_question():
    usual = {0: (0.5, 0.98), None: (0.05, 0.98)}
    unclear = {"ordinary": (0.0, 0.5), "planted": (1.0, 0.5)}
    ordinary = placed(0.5, begins=True, token_shares={None: usual[None]}, **unclear).score
    assert placed(0.5, begins=True, token_shares=usual, **unclear).score < ordinary / 2


def test_where_neither_signal_speaks_nothing_is_said():
    found = reading_of("Owned", None, None, None, 0.4)
    assert (found.known, found.triggered) == (False, False)
    assert "No judgement is possible" in found.reason


def test_where_nothing_is_planted_nothing_is_judged(tmp_path):
    run = Run.open(make_run(tmp_path, samples=120, rate=0.0))
    detection = pipeline.detect_run(run.path)
    assert detection.verdict == "no_evidence"
    with pytest.raises(NoMode):
        by_answers(run.table(), detection)
    with pytest.raises(NoMode):
        pipeline.guard_detection(run)
    flagged = np.arange(len(detection.ids)) < 3
    with pytest.raises(NoPattern, match="Only the causal check"):
        by_answers(run.table(), replace(detection, flagged=flagged, verdict="poisoned"))


def test_the_guard_follows_the_last_detection_of_auto_or_of_the_papers_rule(tmp_path):
    run = Run.open(make_run(tmp_path, samples=300))
    for method, followed in (("bye", "bye"), ("auto", "auto"), ("tcap", "auto")):
        last = pipeline.detect_run(run.path, method)
        assert last.method == method
        assert pipeline.guard_detection(run).method == followed
        assert run.detection().method == method, "the run's own stands"
    assert detect.DEFAULT == "auto"
    assert all(detector.values for detector in detect.DETECTORS.values())
