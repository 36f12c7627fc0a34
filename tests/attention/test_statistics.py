"""The statistics by hand, and the batched torch version against the numpy definition."""

import numpy as np
import pytest
import torch

from bye_core.attention.statistics import BatchStatistics
from bye_core.records import IMAGE, QUESTION, SYSTEM
from tests.attention.definitions import entropy, group_masses, reference_entropy, row_statistics, shares

LN2, LN3 = np.log(2), np.log(3)


def test_entropy_by_hand():
    attention = np.array([[0.1, 0.1, 0.1, 0.1], [0.3, 0, 0, 0], [0.2, 0.2, 0, 0]])
    np.testing.assert_allclose(entropy(attention), [2 * LN2, 0, LN2], atol=1e-12)


def test_reference_entropy_by_hand():
    eps = 1e-8
    np.testing.assert_allclose(reference_entropy(np.array([0.2, 0.2])), -np.log(0.5 + eps), rtol=1e-14)
    np.testing.assert_allclose(reference_entropy(np.array([0.4, 0.0])), -np.log(1 + eps), rtol=1e-6)
    p = np.full(576, 1 / 576)
    assert 0 < entropy(p) - reference_entropy(p) < 576 * 1.01 * eps


def test_nothing_visible_has_no_entropy():
    assert np.isnan(entropy(np.zeros((2, 3)))).all()
    assert np.isnan(shares(np.array([np.nan, 1.0]))).all()


def test_masses_by_hand():
    attention, groups = np.array([0.1, 0.2, 0.3, 0.4, 0.0]), np.array([SYSTEM, IMAGE, IMAGE, QUESTION, -1])
    np.testing.assert_allclose(group_masses(attention, groups), [0.1, 0.5, 0.4])


def test_head_mean_comes_before_renormalising():
    """Head 0 looks at image token 0 with 0.6, head 1 at token 1 with 0.2: the mean is 3 : 1, not 1 : 1."""
    attention = np.array([[[0.4, 0.6, 0.0], [0.8, 0.0, 0.2]]])  # [1, 2, 3]
    found = row_statistics(attention, np.array([SYSTEM, IMAGE, IMAGE]))
    np.testing.assert_allclose(found["entropy"], [[0, 0]], atol=1e-12)
    np.testing.assert_allclose(found["peak"], [[1, 1]])
    np.testing.assert_allclose(found["layer_entropy"], [2 * LN2 - 0.75 * LN3])
    np.testing.assert_allclose(found["rows"], [[0.3, 0.1]], atol=1e-3)
    assert found["rows"].dtype == np.float16
    np.testing.assert_allclose(found["mass"], [[[0.4, 0.6, 0], [0.8, 0.2, 0]]])


def random_batch(seed, layers=4, heads=3, keys=20):
    """Rows [L, B, H, K] that sum to 1, with 6, 9 and 1 image tokens, some heads and one layer blind."""
    rng = np.random.default_rng(seed)
    groups = np.full((3, keys), SYSTEM)
    for i, (start, count) in enumerate([(5, 6), (3, 9), (8, 1)]):
        groups[i, start : start + count] = IMAGE
        groups[i, start + count : start + count + 4] = QUESTION
        groups[i, :i] = -1
    rows = rng.dirichlet(np.full(keys, 0.2), (layers, 3, heads)) * (groups >= 0)[:, None]
    rows[1, 0, 2] *= groups[0] != IMAGE
    rows[2, 1] *= groups[1] != IMAGE
    return (rows / rows.sum(axis=-1, keepdims=True)).astype(np.float32), groups.astype(np.int8)


@pytest.mark.parametrize("seed", range(4))
def test_the_batched_version_is_the_definition(seed):
    rows, groups = random_batch(seed)
    statistics = BatchStatistics(groups, "cpu")
    for layer, values in enumerate(rows):
        statistics(layer, torch.from_numpy(values))
    for i, found in enumerate(statistics.finish(4)):
        wanted = row_statistics(rows[:, i].astype(np.float64), groups[i])
        assert set(found) == set(wanted)
        for name, values in wanted.items():
            assert found[name].shape == values.shape
            assert found[name].dtype == (np.float16 if name == "rows" else np.float32)
            np.testing.assert_allclose(found[name], values, atol=2e-5, rtol=1e-3, err_msg=name)


def test_blind_heads_and_layers_are_nan_not_zero():
    rows, groups = random_batch(0)
    statistics = BatchStatistics(groups, "cpu")
    for layer in (0, 1, 2):
        statistics(layer, torch.from_numpy(rows[layer]))
    first, second, _ = statistics.finish(4)
    assert np.isnan(first["entropy"][1]).tolist() == [False, False, True]
    assert first["mass"][1, 2, IMAGE] == 0
    assert np.isfinite(first["layer_entropy"][1])
    assert np.isnan(second["rows"][2]).all()
    assert np.isnan(second["layer_entropy"][2])
    assert all(np.isnan(values[3]).all() for values in first.values()), "layer 3 was never seen"


def test_bounds():
    rows, groups = random_batch(7)
    statistics = BatchStatistics(groups, "cpu")
    for layer, values in enumerate(rows):
        statistics(layer, torch.from_numpy(values))
    for found, count in zip(statistics.finish(4), (6, 9, 1), strict=True):
        for name in ("entropy", "layer_entropy"):
            values = found[name][np.isfinite(found[name])]
            assert (values >= 0).all()
            assert (values <= np.log(count) + 1e-5).all()
        assert np.nanmax(found["peak"]) <= 1 + 1e-6
