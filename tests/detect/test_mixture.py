"""The mixture and its indices, against closed formulas and numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from bye_core.detect import binned_mixture
from bye_core.detect import mixture as module
from bye_core.detect.mixture import bsi_paper, bsi_reference, crossing, fit, kl_low_high, modes
from bye_core.records import Mixture
from tests.detect.made_tables import one_mode, two_modes


def test_fit_finds_means_spreads_and_shares():
    found = fit(two_modes(30, 70, 1.0, 4.0, 0.1, 0.2))
    assert found.mixture.means == pytest.approx((1.0, 4.0), abs=1e-9)
    assert found.mixture.stds == pytest.approx((0.1, 0.2), abs=1e-4)
    assert found.mixture.weights == pytest.approx((0.3, 0.7), abs=1e-9)
    assert found.low.tolist() == [True] * 30 + [False] * 70
    assert found.note == ""


@pytest.mark.parametrize("seed", range(5))
def test_fit_is_scikit_learns_in_the_order_of_the_authors(seed):
    values = np.random.default_rng(seed).normal([1] * 20 + [3] * 80, 0.4)
    found, model = fit(values, in_order=True), GaussianMixture(n_components=2, random_state=0)
    labels = model.fit_predict(values.reshape(-1, 1))
    low = np.argmin(model.means_.ravel())
    assert found.low.tolist() == (labels == low).tolist()
    assert found.mixture.means[0] == pytest.approx(model.means_[low, 0], abs=1e-12)
    np.testing.assert_allclose(found.posterior, model.predict_proba(values.reshape(-1, 1))[:, low], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_fit_does_not_depend_on_the_order_of_the_samples(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(4, 0.3, 101)
    order = rng.permutation(101)
    found, moved = fit(values), fit(values[order])
    assert found.mixture == moved.mixture
    np.testing.assert_array_equal(found.low[order], moved.low)
    np.testing.assert_array_equal(found.posterior[order], moved.posterior)


def test_spread_never_falls_below_a_thousandth_of_a_nat():
    assert min(fit(np.array([1.0] * 5 + [2.0] * 5)).mixture.stds) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("values", "note"), [([], "0 samples"), ([3.0], "1 samples"), ([3.0] * 9, "all values are equal")]
)
def test_what_cannot_be_fitted_has_a_note(values, note):
    found = fit(np.array(values, float))
    assert found.mixture is None
    assert note in found.note
    assert not found.low.any()
    assert found.posterior.tolist() == [0.0] * len(values)


def test_wide_component_wins_on_both_far_sides():
    """Known of the rule: with unequal spreads the posterior does not fall with the value alone."""
    narrow_low = np.concatenate([one_mode(200, 2.0, 0.05), one_mode(200, 4.0, 1.0), [-3.0]])
    found = fit(narrow_low)
    assert not found.low[-1]
    assert found.low[:200].all()


def test_indices_by_hand():
    m = Mixture((1.0, 2.0), (0.3, 0.4), (0.5, 0.5))
    assert bsi_paper(m) == pytest.approx(1 / 0.5)
    assert bsi_reference(m) == pytest.approx(1 / 0.7)
    assert bsi_paper(Mixture((1.0, 1.0), (0.0, 0.0), (0.5, 0.5))) == 0
    assert bsi_paper(Mixture((1.0, 2.0), (0.0, 0.0), (0.5, 0.5))) == math.inf


@pytest.mark.parametrize(
    "m",
    [
        Mixture((1.0, 2.0), (0.3, 0.4), (0.5, 0.5)),
        Mixture((0.2, 4.8), (0.9, 0.5), (0.1, 0.9)),
        Mixture((2.0, 2.0), (1.0, 1.0), (0.5, 0.5)),
    ],
)
def test_kl_is_the_integral(m):
    low, high = norm(m.means[0], m.stds[0]), norm(m.means[1], m.stds[1])
    integral, _ = quad(lambda x: low.pdf(x) * (low.logpdf(x) - high.logpdf(x)), m.means[0] - 9, m.means[0] + 9)
    assert kl_low_high(m) == pytest.approx(integral, abs=1e-7)


def test_kl_by_hand():
    assert kl_low_high(Mixture((1.0, 3.0), (1.0, 2.0), (0.5, 0.5))) == pytest.approx(math.log(2) + 5 / 8 - 0.5)
    assert math.isnan(kl_low_high(Mixture((1.0, 3.0), (0.0, 2.0), (0.5, 0.5))))


def test_crossing_lies_where_both_are_equally_likely():
    assert crossing(Mixture((1.0, 3.0), (0.2, 0.2), (0.5, 0.5))) == pytest.approx(2.0)
    m = Mixture((1.0, 4.0), (0.3, 0.7), (0.2, 0.8))
    x = crossing(m)
    assert 0.2 * norm.pdf(x, 1.0, 0.3) == pytest.approx(0.8 * norm.pdf(x, 4.0, 0.7))
    assert 1.0 < x < 4.0
    assert crossing(Mixture((1.0, 1.1), (1.0, 1.0), (0.01, 0.99))) is None


@pytest.mark.parametrize("gap", [5e-324, 1e-200, 1e-9])
@pytest.mark.parametrize("stds", [(1e-3, 1e-3), (1e-3, 1.1e-3)])
@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.4, 0.6), (0.5 - 1e-16, 0.5)])
def test_means_that_hardly_differ_cross_between_them_or_nowhere(gap, stds, weights):
    found = crossing(Mixture((0.0, gap), stds, weights))
    assert found is None or 0 <= found <= gap


def test_close_means_of_like_modes_cross_half_way():
    assert crossing(Mixture((0.0, 1e-9), (1e-3, 1e-3), (0.5, 0.5))) == pytest.approx(5e-10)


def test_modes_are_the_fits_and_the_same_values_are_fitted_once(monkeypatch):
    values, calls = np.random.default_rng(7).normal([1] * 20 + [3] * 80, 0.4), []
    monkeypatch.setattr(module, "fit", lambda *arguments: calls.append(1) or fit(*arguments))
    for in_order in (False, True, False, True):
        assert modes(values.copy(), in_order) == (fit(values, in_order).mixture, fit(values, in_order).note)
    assert len(calls) == 2
    assert modes(values[:3]).mixture != modes(values[:4]).mixture


def test_modes_remember_a_bounded_number_of_fits(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    monkeypatch.setattr(module, "_known", {})
    for place in range(6):
        modes(np.array([0.0, 1.0, float(place) + 2]))
    assert len(module._known) == 3


def test_many_values_are_fitted_from_a_histogram_as_all_of_them(monkeypatch):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(4, 0.3, 18_000), rng.normal(2, 0.2, 2_000)])
    exact = fit(values)
    monkeypatch.setattr(binned_mixture, "BINNED_FROM", len(values))
    monkeypatch.setattr(binned_mixture, "AT_ONCE", 7_000)
    binned = fit(values)
    assert binned.mixture is not exact.mixture
    for name in ("means", "stds", "weights"):
        assert getattr(binned.mixture, name) == pytest.approx(getattr(exact.mixture, name), abs=1e-6)
    assert (binned.low == exact.low).all()
    assert np.abs(binned.posterior - exact.posterior).max() < 1e-4
    flipped = fit(-values)
    assert flipped.mixture.means == pytest.approx([-m for m in binned.mixture.means[::-1]], abs=1e-6)
