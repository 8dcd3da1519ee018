"""A profile must show a trend where there is one, share the events evenly and never have an empty bin."""

import numpy as np
import pytest

from lib.evaluation.profile import MAX_BINS, profile
from lib.evaluation.residuals import Residuals


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


def residuals(values: np.ndarray, truth: np.ndarray, *, is_distance: bool = False) -> Residuals:
    return Residuals("u", "mm", values, truth, "difference", "true u (cm)", is_distance)


def test_a_linear_bias_is_found_within_its_errors(rng: np.random.Generator) -> None:
    truth = rng.exponential(5.0, 12_000)
    found = profile(residuals(0.1 * truth + rng.normal(0, 0.5, 12_000), truth))
    # The last bin is long, and its median truth not where the median residual is.
    pull = (found.median - 0.1 * found.truth)[:-1] / found.median_error[:-1]
    assert np.abs(pull).max() < 4
    # One bin's error is known to some 15 %.
    assert found.median_error.mean() == pytest.approx(1.2533 * 0.5 / np.sqrt(1000), rel=0.15)


def test_the_band_holds_68_percent_of_a_gaussian(rng: np.random.Generator) -> None:
    found = profile(residuals(rng.normal(1.0, 2.0, 24_000), rng.uniform(0, 1, 24_000)))
    # Each end of a bin of 2000 events is known to 3.4 %.
    np.testing.assert_allclose(found.high - 1.0, 1.989, rtol=0.14)
    np.testing.assert_allclose(found.low - 1.0, -1.989, rtol=0.14)


def test_the_band_of_a_distance_starts_at_zero(rng: np.random.Generator) -> None:
    values = rng.uniform(0, 1, 12_000)
    found = profile(residuals(values, rng.uniform(0, 1, 12_000), is_distance=True))
    np.testing.assert_array_equal(found.low, 0.0)
    np.testing.assert_allclose(found.high, 0.68, atol=0.06)
    np.testing.assert_allclose(found.median, 0.5, atol=0.06)


def test_bins_hold_equal_numbers_of_events_and_the_whole_range(rng: np.random.Generator) -> None:
    truth = rng.exponential(5.0, 6000)
    edges = profile(residuals(np.zeros(6000), truth)).edges
    assert len(edges) == MAX_BINS + 1
    assert (edges[0], edges[-1]) == (truth.min(), truth.max())
    np.testing.assert_allclose(np.histogram(truth, edges)[0], 500, atol=2)


@pytest.mark.parametrize(
    "truth", [np.full(500, 52.83), np.repeat([1.0, 2.0], 250), np.repeat([1.0, 2.0, 9.0], [1, 498, 1])]
)
def test_repeated_true_values_leave_no_empty_bin(rng: np.random.Generator, truth: np.ndarray) -> None:
    found = profile(residuals(rng.normal(size=500), truth))
    assert len(found.edges) == len(found.median) + 1 >= 2
    assert np.isfinite([found.truth, found.low, found.median, found.median_error, found.high]).all()
    assert (np.diff(found.edges) > 0).all()


def test_few_events_share_few_bins() -> None:
    assert len(profile(residuals(np.zeros(45), np.arange(45.0))).median) == 2
    assert len(profile(residuals(np.zeros(1), np.ones(1))).median) == 1


def test_events_that_are_not_finite_are_left_out() -> None:
    values, truth = np.zeros(100), np.arange(100.0)
    values[3], truth[5] = np.nan, np.inf
    found = profile(residuals(values, truth))
    assert np.isfinite(found.edges).all()
    np.testing.assert_array_equal(found.median, 0.0)


@pytest.mark.parametrize("is_distance", [False, True])
def test_without_events_there_are_no_bins(is_distance: bool) -> None:
    found = profile(residuals(np.full(3, np.nan), np.zeros(3), is_distance=is_distance))
    assert len(found.median) == len(found.low) == len(found.high) == 0
