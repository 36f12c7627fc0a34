"""The guard on a run whose flagged answers have no text in common: only the attention can tell."""

from dataclasses import replace

import numpy as np

from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.planted_answers import PlantedAnswers
from bye_core.guard import reading_of
from bye_core.records import AttentionRows, Grid
from tests.detect.test_predicted_answers import flipped

WHOLE = (Grid(0, 2, 2, 0, (0.0, 0.0, 1.0, 1.0)),)


def row_of(table, number):
    own = {name: getattr(table, name)[number] for name in ("entropy", "peak", "mass")}
    layers = dict.fromkeys(("layer_entropy", "layer_entropy_reference"), table.layer_entropy[number])
    return AttentionRows(
        f"new {number}", **own, **layers, rows=np.ones((4, 4)), grids=WHOLE, token=1, token_text="", probability=1.0
    )


def test_new_samples_are_judged_by_their_attention():
    table, _ = flipped(seed=0)
    new, truth = flipped(seed=0, planted=12)
    planted = PlantedAnswers(table, AutoSettings())
    assert len(planted) == 1
    numbers = [*np.flatnonzero(truth)[:12], *np.flatnonzero(~truth)[:40]]
    shifted = replace(new, entropy=new.entropy + np.random.default_rng(1).normal(0, 0.01, new.entropy.shape))
    matches = planted.match([row_of(shifted, n) for n in numbers], [new.questions[n] for n in numbers])
    assert [match.score > 0.5 for match in matches] == [bool(truth[n]) for n in numbers]
    found = reading_of(*(getattr(matches[0], name) for name in ("answer", "begins", "place", "deviations", "score")))
    assert found.triggered
    assert "only the attention counts" in found.reason


def test_a_kind_of_question_that_the_run_lacks_gets_no_judgement():
    table, _ = flipped(seed=0)
    planted = PlantedAnswers(table, AutoSettings())
    (match,) = planted.match([row_of(table, 0)], ["Which animals live in the northern part of this country?"])
    found = reading_of(match.answer, match.begins, match.place, match.deviations, match.score)
    assert (found.known, found.triggered) == (False, False)
    assert "No judgement is possible" in found.reason
