"""The detectors beside BYE on tables with planted poison: the exact flags, and what they need."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bye_core.detect import DETECTORS, detect, missing_inputs
from bye_core.detect.dawid_skene import dawid_skene
from bye_core.detect.errors import BadSetting, MissingInputs
from bye_core.detect.tcap import TcapSettings, minority_group, split_head
from bye_core.records import IMAGE, SYSTEM
from bye_core.runs.record_json import detection_parts, load_detection
from tests.detect.made_tables import full_table, make_table, one_mode, two_modes

COUNT, POISONED = 100, list(range(10))
OTHERS = [name for name in DETECTORS if name != "bye"]


def flagged(found):
    return np.flatnonzero(found.flagged).tolist()


def planted_states(count=COUNT, size=16):
    states = np.random.default_rng(0).normal(0, 1, (count, size))
    states[POISONED, 3] += 12
    return states.astype(np.float16)


def whole_table(**more):
    """A table that every detector can take."""
    facts = {"hidden": planted_states(), "nll": np.ones(COUNT), "nll_before": one_mode(COUNT, 2.0, 0.3)}
    return full_table(COUNT, **{**facts, **more})


@pytest.mark.parametrize("method", OTHERS)
def test_every_result_has_the_one_shape(method):
    table = whole_table()
    found = detect(table, method)
    assert found.method == method
    assert found.ids == table.ids
    assert found.flagged.shape == found.scores.shape == found.values.shape == (COUNT,)
    assert found.flagged.dtype == bool
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert [report.layer for report in found.layers] == [0, 1, 2, 3]
    assert found.verdict == ("poisoned" if found.flagged.any() else "no_evidence")
    assert found.reasons
    assert detect(table, method).scores.tolist() == found.scores.tolist(), "the same again"


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_samples(method, count):
    more = {"hidden": np.ones((count, 4), np.float16), "nll_before": np.ones(count)}
    found = detect(full_table(count, **more), method)
    assert found.flagged.shape == (count,)
    if method != "random":
        assert found.verdict == "not_tested"


@pytest.mark.parametrize("method", [name for name in OTHERS if DETECTORS[name].needs])
def test_a_table_without_the_inputs_is_refused_with_the_remedy(method):
    table = make_table(np.full((5, 2), 3.0))
    with pytest.raises(MissingInputs, match=f"{method}.*needs.*Scan again|{method}.*needs.*Give a run"):
        detect(table, method)
    assert missing_inputs(table, "bye") is missing_inputs(whole_table(), method) is None
    with pytest.raises(MissingInputs, match="--answers and --adapter"):
        detect(full_table(5, nll=np.ones(5)), "loss")


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("random", "share", 1.5), ("random", "seed", -1), ("spectral", "share", "no"), ("activation", "components", 0),
        ("activation", "silhouette", None), ("loss", "separation", -1), ("loss", "share", 2), ("cleansight", "cut", 0),
        ("cleansight", "first", 0.9), ("tcap", "heads", 0), ("tcap", "depth", 0), ("tcap", "vote", 2),
        ("tcap", "weight", 0.5), ("tcap", "epsilon", 0),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(method, name, value):
    with pytest.raises(BadSetting):
        detect(whole_table(), method, **{name: value})


def test_random_is_its_share_and_its_seed():
    found = detect(whole_table(), "random", share=0.3)
    assert len(flagged(found)) == 30
    assert found.scores[found.flagged].min() > found.scores[~found.flagged].max()
    assert flagged(detect(whole_table(), "random", share=0.3, seed=1)) != flagged(found)
    assert detect(whole_table(), "random", share=0).verdict == "no_evidence"


def test_spectral_takes_the_farthest_along_the_main_direction():
    found = detect(whole_table(), "spectral", share=0.1)
    assert flagged(found) == POISONED
    assert found.scores[POISONED].min() > 0.9


def test_activation_takes_the_smaller_clear_cluster():
    found = detect(whole_table(), "activation")
    assert flagged(found) == POISONED
    assert (found.values[POISONED] > 0.5).all()
    noise = np.random.default_rng(1).normal(0, 1, (COUNT, 16)).astype(np.float16)
    nothing = detect(whole_table(hidden=noise), "activation", silhouette=0.3)
    assert (nothing.verdict, flagged(nothing)) == ("no_evidence", [])
    halves = noise.copy()
    halves[::2, 0] += 12
    assert "35% at most" in detect(whole_table(hidden=halves), "activation").reasons[0]


def test_samples_without_a_state_are_not_judged():
    states = planted_states()
    states[0] = np.nan
    for method in ("spectral", "activation"):
        found = detect(whole_table(hidden=states), method, **({"share": 9 / 99} if method == "spectral" else {}))
        assert flagged(found) == POISONED[1:]
        assert np.isnan(found.values[0])
        assert found.reasons[-1].startswith("The run stores no hidden state for 1 sample")


def test_loss_takes_the_unlikely_minority():
    losses = np.roll(two_modes(90, 10, 1.0, 9.0, 0.3), 10)
    found = detect(whole_table(nll_before=losses), "loss")
    assert flagged(found) == POISONED
    assert 2 < found.cutoff < 8
    assert "separation" in found.reasons[0]
    assert detect(whole_table(), "loss").verdict == "no_evidence"
    assert detect(whole_table(nll_before=two_modes(40, 60, 1.0, 9.0, 0.3)), "loss").verdict == "no_evidence"


def test_cleansight_flags_departures_either_way():
    table = full_table(COUNT, layers=8)
    for row, factor in ((0, 4.0), (1, 0.25)):
        table.mass[row, 3:6, :, IMAGE] *= factor
    found = detect(table, "cleansight")
    assert found.flagged[0]
    assert found.sensitive_layers == (2, 3, 4, 5)
    assert found.scores[0] > 0.99
    table.mass[:] = table.mass[:1]
    assert detect(table, "cleansight").verdict == "no_evidence"


# --- TCAP ---------------------------------------------------------------------------------------------------------


def planted_mass(rows, heads, value, count=400):
    table = full_table(count, layers=4, heads=3)
    for layer, head in heads:
        table.mass[rows, layer, head, SYSTEM] = value
    return table


@pytest.mark.parametrize("value", [0.02, 0.9])
def test_tcap_flags_a_minority_on_either_side(value):
    table = planted_mass(slice(0, 40), [(2, 0), (3, 1), (3, 2)], value)
    found = detect(table, "tcap", heads=3)
    assert flagged(found) == list(range(40))
    assert found.sensitive_layers == (2, 3)
    assert found.layers[3].note == "heads 1, 2 voted"
    assert "layer 3 head 1" in found.reasons[0]


def test_tcap_looks_at_the_last_layers_only():
    table = planted_mass(slice(0, 40), [(0, 0), (1, 1)], 0.9)
    assert flagged(detect(table, "tcap", heads=2, depth=1.0)) == list(range(40))
    assert flagged(detect(table, "tcap", heads=2)) != list(range(40))


def test_the_minority_is_light_and_below_one_half():
    assert minority_group(np.array([0.9, 0.1]), 0.35).tolist() == [False, True]
    assert minority_group(np.array([0.4, 0.3, 0.2, 0.1]), 0.35).tolist() == [False, False, True, True]
    assert minority_group(np.array([0.5, 0.5]), 0.35).tolist() == [False, False]
    assert minority_group(np.array([1.0]), 0.35).tolist() == [False]


def test_separation_grows_as_the_groups_part():
    settings, scores = TcapSettings(), []
    for distance in (0.5, 1.0, 4.0):
        values = np.concatenate([one_mode(360, 0.0, 0.1), one_mode(40, distance, 0.1)])
        scores.append(split_head(values, (0, 0), settings).separation)
    assert scores == sorted(scores)
    assert scores[-1] == pytest.approx(1 / settings.epsilon, rel=0.01)


def test_dawid_skene_weighs_judges_by_their_quality():
    """Two good judges against three that vote at random: the good ones' votes are the truth."""
    rng = np.random.default_rng(0)
    truth = np.arange(400) < 80
    good = [truth ^ (rng.random(400) < 0.02) for _ in range(3)]
    poor = [rng.random(400) < 0.2 for _ in range(3)]
    found = dawid_skene(np.stack([*good, *poor], axis=1))
    majority = np.stack(good).sum(axis=0) >= 2
    np.testing.assert_array_equal(found.posterior > 0.5, majority)
    assert found.hit[:3].min() > 0.9
    assert found.false_alarm[:3].max() < 0.06
    assert np.abs(found.hit[3:] - found.false_alarm[3:]).max() < 0.15


@pytest.mark.parametrize("method", OTHERS)
def test_results_survive_the_run_folder(method):
    found = detect(whole_table(), method)
    again = load_detection(b"".join(detection_parts(found)))
    for field in dataclasses.fields(found):
        value, kept = getattr(found, field.name), getattr(again, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(kept, value)
        else:
            # As text: a layer without a mixture holds NaN, which equals nothing.
            assert str(kept) == str(value)
