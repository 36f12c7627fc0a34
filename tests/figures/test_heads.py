"""Single heads: the fast index against scikit-learn's mixture and against what is known from how a table is made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from bye_core.figures import head_bsi, heads_figure
from bye_core.figures.heads import TOLERANCE, Binned, otsu
from tests.figures.made_detection import trace


def made_entropy(samples=1000, layers=2, heads=3, seed=0):
    """Gaussian heads; in head (1, 2) a tenth of the samples lies 1.5 nats below."""
    rng = np.random.default_rng(seed)
    entropy = rng.normal(4.5, 0.2, (samples, layers, heads)).astype(np.float32)
    entropy[: samples // 10, 1, 2] -= 1.5
    return entropy


def sklearn_bsi(values):
    model = GaussianMixture(2, random_state=0, tol=TOLERANCE, max_iter=500).fit(values.astype(float).reshape(-1, 1))
    return abs(np.subtract(*model.means_.ravel())) / np.sqrt(model.covariances_.sum())


def test_only_the_head_with_two_modes_reaches_tau():
    found = head_bsi(made_entropy())
    assert found.shape == (2, 3)
    assert np.argwhere(found >= 2).tolist() == [[1, 2]]
    assert found[1, 2] == pytest.approx(1.5 / np.hypot(0.2, 0.2), rel=0.05)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_close_to_scikit_learns_mixture(rate):
    rng = np.random.default_rng(1)
    entropy = rng.normal(4.5, 0.25, (4000, 1, 6))
    entropy[: int(4000 * rate)] -= np.linspace(1.2, 3, 6)
    expected = [sklearn_bsi(entropy[:, 0, head]) for head in range(6)]
    np.testing.assert_allclose(head_bsi(entropy)[0], expected, rtol=0.03)


def test_a_mode_of_one_per_cent_is_found():
    entropy = made_entropy(4000)
    entropy[:40, 0, 0] -= 1.5
    assert head_bsi(entropy)[0, 0] > 2


def test_missing_values_are_left_out():
    entropy = made_entropy()
    longer = np.concatenate([entropy, np.full((50, 2, 3), np.nan, np.float32)])
    np.testing.assert_allclose(head_bsi(longer), head_bsi(entropy), rtol=1e-5)


def test_heads_that_say_nothing_are_nan():
    entropy = made_entropy()
    entropy[:, 0, 0] = np.nan
    entropy[:, 0, 1] = 3.0
    found = head_bsi(entropy)
    assert np.isnan(found[0, :2]).all()
    assert np.isfinite(found[0, 2])
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize("samples", [0, 1])
def test_too_few_samples_are_nan(samples):
    assert np.isnan(head_bsi(np.ones((samples, 2, 3)))).all()


@settings(deadline=None, max_examples=30)
@given(st.floats(-2, 2), st.floats(0.5, 3), st.integers(0, 1000))
def test_index_does_not_depend_on_place_scale_and_order(shift, scale, seed):
    entropy = made_entropy(200).astype(float)
    moved = np.random.default_rng(seed).permutation(entropy) * scale + shift
    np.testing.assert_allclose(head_bsi(moved)[1, 2], head_bsi(entropy)[1, 2], rtol=0.02)


def test_the_table_is_not_changed():
    entropy = made_entropy()
    entropy.setflags(write=False)
    head_bsi(entropy)


def test_otsu_cuts_between_the_modes():
    counts = np.array([[3.0, 4.0, 0.0, 0.0, 5.0, 6.0]])
    places = np.arange(6) / 6
    low = otsu(Binned(counts, counts * places, counts * places**2))
    assert low[0, [0, 1, 4, 5]].tolist() == [1, 1, 0, 0]


def test_cells_carry_layer_and_head():
    figure = heads_figure(np.array([[0.5, 1.0, np.nan], [0.1, 0.2, 7.5]]), sensitive=(1,))
    cells = trace(figure, "heads")
    assert cells.z == ([0.5, 1.0, None], [0.1, 0.2, 7.5])
    assert cells.customdata == ([[0, 0], [0, 1], [0, 2]], [[1, 0], [1, 1], [1, 2]])
    assert (cells.zmin, cells.zmax) == (0, 7.5)
    assert trace(figure, "sensitive layer").customdata == (1,)
    assert figure.layout.yaxis.range == (1.5, -0.5)  # layer 0 on top


def test_a_map_of_noise_stays_dark():
    assert trace(heads_figure(np.full((2, 2), 0.8)), "heads").zmax == 4


def test_without_heads_the_figure_says_so():
    assert "Scan with a model" in heads_figure(None).layout.annotations[0].text
