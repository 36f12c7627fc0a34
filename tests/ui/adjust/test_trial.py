"""What a trial would change: settings, flips, borderline samples, conflicts; hand-written detections."""

import numpy as np
import pytest

from bye_core.detect import ByeSettings
from bye_core.records import Decision, Detection, LayerReport, Mixture
from bye_core.ui.adjust.trial import Trial, borderline, conflicts, defaults, effect, flips, is_same, settled, trial_of


def detection(flagged, ids=None, values=None, cutoff=None, scores=None, settings=None):
    flagged = np.array(flagged, bool)
    return Detection(
        method="bye",
        settings=settings or {},
        verdict="poisoned" if flagged.any() else "no_evidence",
        ids=tuple(ids or [f"s{place}" for place in range(len(flagged))]),
        scores=np.array(scores, float) if scores is not None else flagged.astype(float),
        flagged=flagged,
        values=np.array(values, float) if values is not None else np.where(flagged, 1.0, 4.0),
        layers=(LayerReport(0, Mixture((1, 4), (0.1, 0.1), (0.5, 0.5)), 9.0, 1.0, True),),
        reasons=(),
        cutoff=cutoff,
    )


def decided(**choices):
    return {id: Decision(id, choice) for id, choice in choices.items()}


def test_a_trial_keeps_what_differs_from_the_defaults():
    trial = Trial("r").having(tau=3.0, cluster="gmm", bsi="paper", unknown=1)
    assert trial == Trial("r", "bye", (("tau", 3.0),))
    assert (trial["tau"], trial["cluster"], trial["unknown"]) == (3.0, "gmm", None)
    assert trial.having(tau=2.0) == Trial("r")


def test_lists_become_tuples_and_a_trial_can_be_hashed():
    trial = Trial("r").having(layers=[3, 5])
    assert trial["layers"] == (3, 5)
    assert hash(trial) == hash(Trial("r").having(layers=(3, 5)))


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"bsi": "paper", "entropy": "paper"}, {}),
        ({"bsi": "reference", "entropy": "reference"}, {"bsi": "reference"}),
        ({"bsi": "reference", "entropy": "paper"}, {"bsi": "reference", "entropy": "paper"}),
        ({"cutoff": 3.5, "layers": None}, {"cutoff": 3.5}),
    ],
)
def test_saved_settings_come_back_as_a_trial(settings, left):
    assert dict(trial_of("r", detection([True], settings=settings)).settings) == left


def test_without_a_detection_or_with_a_foreign_one_the_trial_is_the_papers_rule():
    assert trial_of("r", None) == Trial("r")
    foreign = detection([True])
    object.__setattr__(foreign, "method", "of another version")
    assert trial_of("r", foreign) == Trial("r")


def test_defaults_are_the_methods_own():
    assert defaults("bye")["tau"] == ByeSettings().tau
    assert defaults("no such method") == {}


def test_flips_name_who_changes_sides():
    found = flips(detection([1, 1, 0, 0]), detection([1, 0, 1, 0]))
    assert (found.added, found.removed, found.fresh) == (("s2",), ("s1",), 0)


def test_flips_count_samples_that_were_scored_since_and_ignore_those_that_went():
    before = detection([1, 0, 1], ids=["a", "b", "gone"])
    found = flips(before, detection([0, 1, 1], ids=["a", "new", "b"]))
    assert (found.added, found.removed, found.fresh) == (("b",), ("a",), 1)


def test_nothing_flips_against_no_detection():
    found = flips(None, detection([1, 0]))
    assert (found.added, found.removed, found.fresh) == ((), (), 2)


def test_borderline_lies_close_to_the_cut_measured_by_its_own_side():
    # Means 1 and 4.5 (flagged, not flagged), cut 4: a fifth of the way is 0.6 below and 0.1 above it.
    values = [0.0, 3.5, -0.5, 4.05, 4.4, 5.05]
    found = borderline(detection([1, 1, 1, 0, 0, 0], values=values, cutoff=4.0))
    assert found == ("s3", "s1")


def test_borderline_without_a_cut_is_where_the_score_is_unsure():
    found = borderline(detection([1, 1, 0, 0], scores=[0.99, 0.6, 0.45, 0.05], values=[1, 2, 3, 4]))
    assert found == ("s2", "s1")


def test_nothing_is_borderline_without_evidence():
    nothing = detection([0, 0], values=[np.nan, np.nan], scores=[0.5, 0.5])
    assert borderline(nothing) == ()
    # values that a fixed threshold leaves all on one side
    assert borderline(detection([0, 0, 0], values=[4.0, 4.1, 8.1], cutoff=4.0)) == ("s0", "s1")


def test_conflicts_are_where_hand_and_machine_disagree():
    found = conflicts(
        detection([1, 1, 0, 0]), decided(s0="accept", s1="reject", s2="reject", s3="accept", elsewhere="reject")
    )
    assert (found.accepted_flagged, found.rejected_unflagged) == (("s0",), ("s2",))
    assert found.ids == ("s0", "s2")


def test_effect_says_all_of_it_and_scores_only_with_a_truth():
    used, tried = detection([1, 0, 0], settings={"tau": 2.0}), detection([1, 1, 0], settings={"tau": 1.0})
    found = effect(used, tried, decided(s1="accept"))
    assert (found.total, found.flagged, found.saved, found.decided, found.scores) == (3, 2, False, 1, None)
    assert found.flips.added == ("s1",)
    assert found.conflicts.accepted_flagged == ("s1",)
    scored = effect(used, tried, {}, frozenset({"s0"})).scores
    assert (scored["precision"], scored["recall"]) == (0.5, 1.0)


def test_saving_the_same_again_changes_nothing_but_more_samples_do():
    used = detection([1, 0], settings={"tau": 2.0, "bsi": "paper", "entropy": "paper"})
    assert is_same(used, detection([1, 0], settings={}))
    assert not is_same(used, detection([1, 0], settings={"tau": 2.5}))
    assert not is_same(used, detection([1, 0, 0], settings={}))
    assert not is_same(None, used)
    assert settled("r", "bye", {"tau": 2.0}) == Trial("r")
