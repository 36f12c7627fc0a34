"""BYE's rule on tables made by hand: the exact layers, the exact flags."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.mixture import GaussianMixture

from bye_core.detect import DETECTORS, PAPER
from bye_core.detect import detect as detect_by
from bye_core.detect.errors import BadSetting, UnknownDetector, UnknownSetting
from tests.detect.made_tables import make_table, one_mode, poisoned_table, two_modes

POISONED = tuple(f"s{n}" for n in range(10))


def detect(table, method=PAPER, **settings):
    return detect_by(table, method, **settings)


def test_sensitive_layers_and_flags_are_exact():
    found = detect(poisoned_table())
    assert found.verdict == "poisoned"
    assert found.sensitive_layers == (1, 3)
    assert found.flagged_ids == POISONED
    np.testing.assert_allclose(found.values[:2], [(1.5 + 1.7) / 2, (1.7 + 1.9) / 2])
    assert found.final.means == pytest.approx((1.7, 4.0), abs=1e-6)
    assert found.layers[1].bsi == pytest.approx(2.4 / np.hypot(0.1, 0.1), rel=1e-3)
    assert found.settings["entropy"] == "paper"
    assert (found.scores[:10] > 0.99).all()
    assert (found.scores[10:] < 0.01).all()
    assert 1.8 < found.cutoff < 3.9


def literal_authors_rule(entropies: np.ndarray) -> set[int]:
    """The published rule, written out once more as plainly as can be."""
    chosen = []
    for layer in range(entropies.shape[1]):
        model = GaussianMixture(n_components=2, random_state=0).fit(entropies[:, [layer]])
        (a, b), (s, t) = model.means_.ravel(), np.sqrt(model.covariances_.ravel())
        if abs(a - b) > 2 * (s + t):
            chosen.append(layer)
    mean = entropies[:, chosen].mean(axis=1, keepdims=True)
    model = GaussianMixture(n_components=2, random_state=0).fit(mean)
    return set(np.flatnonzero(model.predict(mean) == model.means_.argmin()).tolist())


@pytest.mark.parametrize("seed", range(4))
def test_reference_variant_is_the_authors_rule(seed):
    rng = np.random.default_rng(seed)
    entropies = rng.normal(4.5, 0.3, (200, 6))
    entropies[rng.random(200) < 0.15, 2:5] -= 2.5
    found = detect(make_table(entropies), bsi="reference")
    assert set(np.flatnonzero(found.flagged).tolist()) == literal_authors_rule(entropies)


def test_variants_disagree_between_their_thresholds():
    """At distance 2.3 sqrt(2) s the paper's BSI is 2.3, the code's ratio 1.63: one takes the layer, one does not."""
    values = np.concatenate([one_mode(300, 4.0 - 2.3 * np.sqrt(2) * 0.2, 0.2), one_mode(700, 4.0, 0.2)])
    table = make_table(values[:, None])
    paper, reference = detect(table), detect(table, bsi="reference")
    assert paper.layers[0].bsi == pytest.approx(2.3, rel=0.03)
    assert reference.layers[0].bsi == pytest.approx(2.3 / np.sqrt(2), rel=0.03)
    assert (paper.verdict, paper.sensitive_layers) == ("poisoned", (0,))
    # The modes overlap a little: 1.6 standard deviations from the middle.
    assert paper.flagged[:300].mean() > 0.93
    assert paper.flagged[300:].mean() < 0.05
    assert reference.verdict == "no_evidence"
    assert (paper.settings["entropy"], reference.settings["entropy"]) == ("paper", "reference")


def test_entropy_follows_the_variant_unless_named():
    table = dataclasses.replace(poisoned_table(), layer_entropy_reference=poisoned_table(sensitive=()).layer_entropy)
    assert detect(table).verdict == "poisoned"
    assert detect(table, bsi="reference").verdict == "no_evidence"
    assert detect(table, bsi="reference", entropy="paper").verdict == "poisoned"


def test_low_cluster_is_flagged_even_as_the_majority_and_said_so():
    found = detect(make_table(two_modes(80, 20, 1.0, 4.0, 0.1)[:, None]))
    assert found.flagged.sum() == 80
    assert any("majority" in reason for reason in found.reasons)
    assert not any("majority" in reason for reason in detect(poisoned_table()).reasons)


def test_three_modes_are_still_split_in_two():
    values = np.concatenate([two_modes(20, 40, 1.0, 4.0, 0.05), two_modes(20, 20, 4.3, 4.6, 0.05)])
    found = detect(make_table(values[:, None]))
    assert np.flatnonzero(found.flagged).tolist() == list(range(20))


def test_no_layer_separates():
    found = detect(poisoned_table(sensitive=()))
    assert found.verdict == "no_evidence"
    assert found.flagged_ids == ()
    assert found.scores.tolist() == [0.0] * 100
    assert np.isnan(found.values).all()
    assert found.sensitive_layers == ()
    best = max(found.layers, key=lambda report: report.bsi)
    assert f"{best.bsi:.2f}, in layer {best.layer}; 2 is needed" in found.reasons[0]


def test_constant_and_invisible_layers_are_left_out_with_a_note():
    table = poisoned_table()
    table.layer_entropy[:, 0] = 4.2
    table.layer_entropy[:, 2] = np.nan
    found = detect(table)
    assert found.sensitive_layers == (1, 3)
    assert found.flagged_ids == POISONED
    assert found.layers[0].mixture is None
    assert found.layers[0].note == "all values are equal"
    assert "visible" in found.layers[2].note


def test_missing_values_take_the_layers_mean():
    table = poisoned_table(sensitive=(1,))
    known = table.layer_entropy[1:, 1].mean()
    table.layer_entropy[0, 1] = np.nan
    table.layer_entropy[50] = [np.nan, np.inf, np.nan, -np.inf, np.nan]
    found = detect(table)
    assert "2 missing values" in found.layers[1].note
    assert found.values[0] == pytest.approx(known, abs=0.05)
    assert any(reason.startswith("No layer holds a number for 1 sample;") for reason in found.reasons)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("cluster", ["gmm", "kmeans"])
def test_too_few_samples(count, cluster):
    found = detect(make_table(np.full((count, 3), 2.0)), cluster=cluster)
    assert found.verdict == "not_tested"
    assert found.flagged.shape == found.scores.shape == found.values.shape == (count,)
    assert found.reasons


def test_two_samples_apart_are_two_clusters():
    assert detect(make_table([[1.0], [4.0]])).flagged_ids == ("s0",)


def test_identical_samples():
    for more in ({}, {"select": False}, {"layers": [0]}, {"select": False, "cluster": "kmeans"}):
        found = detect(make_table(np.full((20, 2), 3.0)), **more)
        assert (found.verdict, found.flagged_ids) == ("not_tested", ())


def test_no_layers_at_all():
    assert detect(make_table(np.empty((5, 0)))).verdict == "not_tested"


def test_ablation_without_selection_averages_all_layers():
    found = detect(poisoned_table(), select=False)
    assert found.sensitive_layers == (0, 1, 2, 3, 4)
    np.testing.assert_allclose(found.values, poisoned_table().layer_entropy.mean(axis=1))
    assert found.flagged_ids == POISONED


def test_ablation_without_mixture_is_a_fixed_threshold():
    table = poisoned_table(sensitive=(1,))
    found = detect(table, cluster="threshold", threshold=4.0)
    assert np.flatnonzero(found.flagged).tolist() == np.flatnonzero(table.layer_entropy[:, 1] < 4.0).tolist()
    both = detect(table, cluster="threshold", select=False)
    assert both.flagged.all()
    assert both.cutoff == 4.5
    assert detect(make_table([[1.0]]), cluster="threshold", select=False).flagged_ids == ("s0",)


def test_kmeans_splits_at_the_middle_of_the_centres():
    found = detect(poisoned_table(sensitive=(1,)), cluster="kmeans")
    assert found.flagged_ids == POISONED
    assert found.cutoff == pytest.approx((1.6 + 4.0) / 2)
    assert (np.diff(found.scores[np.argsort(found.values)]) <= 0).all()


def test_layers_by_hand():
    found = detect(poisoned_table(), layers=[3, 1, 3])
    assert found.sensitive_layers == (1, 3)
    assert found.settings["layers"] == [1, 3]
    assert "chosen by hand" in found.layers[3].note
    with pytest.raises(BadSetting, match="0 to 4"):
        detect(poisoned_table(), layers=[5])


def test_cutoff_by_hand_overrides_the_cluster():
    table = poisoned_table(sensitive=(1,))
    found = detect(table, cutoff=1.55)
    assert np.flatnonzero(found.flagged).tolist() == np.flatnonzero(table.layer_entropy[:, 1] < 1.55).tolist()
    assert found.cutoff == 1.55
    assert found.final is not None
    nothing = detect(table, cutoff=0.1)
    assert nothing.verdict == "no_evidence"
    # What was measured stays visible, so that the cut can be moved back.
    assert np.isfinite(nothing.values).all()


@pytest.mark.parametrize("more", [{}, {"cluster": "kmeans"}, {"select": False}, {"cutoff": 3.0}])
def test_flags_follow_the_ids(more):
    table = poisoned_table()
    order = np.random.default_rng(1).permutation(100)
    moved = make_table(table.layer_entropy[order], [table.ids[n] for n in order])
    found, again = detect(table, **more), detect(moved, **more)
    assert found.layers == again.layers
    assert set(found.flagged_ids) == set(again.flagged_ids)
    np.testing.assert_array_equal(found.scores[order], again.scores)


def test_deterministic_and_arguments_untouched():
    table = poisoned_table()
    before = table.layer_entropy.copy()
    table.layer_entropy.setflags(write=False)
    found, again = detect(table), detect(table)
    assert found.scores.tobytes() == again.scores.tobytes()
    assert found.layers == again.layers
    np.testing.assert_array_equal(table.layer_entropy, before)


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("bsi", "papers", "paper, reference"),
        ("cluster", "em", "gmm, kmeans, threshold"),
        ("entropy", "nats", "paper, reference"),
        ("tau", -1, "a number from 0 up"),
        ("tau", float("nan"), "a number from 0 up"),
        ("tau", "2", "a number from 0 up"),
        ("threshold", float("inf"), "nats"),
        ("cutoff", "low", "nats"),
        ("select", "no", "true or false"),
        ("layers", [], "from 0 up"),
        ("layers", [-1], "from 0 up"),
        ("layers", [True], "from 0 up"),
        ("layers", 3, "from 0 up"),
    ],
)
def test_bad_settings_name_the_valid_choices(name, value, choices):
    with pytest.raises(BadSetting, match=choices):
        detect(poisoned_table(), **{name: value})


def test_layers_by_hand_contradict_no_selection():
    with pytest.raises(BadSetting, match="chooses the layers by hand"):
        detect(poisoned_table(), layers=[1], select=False)


def test_unknown_names():
    with pytest.raises(UnknownDetector, match="bye"):
        detect(poisoned_table(), "by")
    with pytest.raises(UnknownSetting, match=r"'taw'.*tau"):
        detect(poisoned_table(), taw=2)
    assert "bye" in DETECTORS


numbers = st.one_of(
    st.floats(0, 6), st.sampled_from([0.0, 1.0, 1.0 + 1e-12, 5e-324, 1e6, float("nan"), float("inf"), -float("inf")])
)


@settings(max_examples=60, deadline=None)
@given(
    entropies=st.tuples(st.integers(0, 12), st.integers(0, 3)).flatmap(
        lambda s: arrays(np.float64, s, elements=numbers)
    ),
    bsi=st.sampled_from(["paper", "reference"]),
    tau=st.sampled_from([0.0, 2.0]),
    cluster=st.sampled_from(["gmm", "kmeans", "threshold"]),
    select=st.booleans(),
)
def test_any_table_gives_a_detection(entropies, bsi, tau, cluster, select):
    found = detect(make_table(entropies), bsi=bsi, tau=tau, cluster=cluster, select=select)
    assert found.flagged.shape == found.scores.shape == found.values.shape == (len(entropies),)
    assert found.flagged.dtype == bool
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert (found.verdict == "poisoned") == found.flagged.any()
    assert (found.scores[found.flagged] >= 0.5 - 1e-9).all()
    assert (found.scores[~found.flagged] <= 0.5 + 1e-9).all()
    assert len(found.layers) == entropies.shape[1]
    assert found.reasons


def test_one_mode_of_many_samples_is_no_evidence():
    assert detect(make_table(one_mode(2000)[:, None])).verdict == "no_evidence"
