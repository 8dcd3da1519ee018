"""Resolutions must agree with closed forms within their own errors, and tails must not move the core."""

import numpy as np
import pytest

from lib.evaluation.statistics.residuals import Residuals
from lib.evaluation.statistics.resolution import CORE_WINDOW, MIN_EVENTS, CoreFit, core_sigma, quantile_68, summarize

# |x| < 0.99446 holds 68 % of a Gaussian.
GAUSSIAN_68 = 0.994458


def gaussian(num_events: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 2.0, num_events)


def fits(num_samples: int, num_events: int) -> list[CoreFit]:
    return [core_sigma(gaussian(num_events, seed=seed)) for seed in range(num_samples)]


@pytest.mark.parametrize("seed", range(5))
def test_the_core_of_a_gaussian_is_its_sigma_and_its_mean(seed: int) -> None:
    fit = core_sigma(gaussian(20_000, seed=seed))
    assert abs(fit.sigma - 2.0) < 3 * fit.sigma_error
    assert abs(fit.mean - 0.3) < 3 * fit.mean_error
    assert fit.num_core == pytest.approx(0.9545 * 20_000, rel=0.01)


def test_the_errors_of_the_core_are_those_that_repeated_samples_show() -> None:
    found = fits(300, 1000)
    sigma_pull = [(fit.sigma - 2.0) / fit.sigma_error for fit in found]
    mean_pull = [(fit.mean - 0.3) / fit.mean_error for fit in found]
    # The spread of 300 pulls is known to 4 %, their mean to 0.06.
    for pull in (sigma_pull, mean_pull):
        assert np.std(pull) == pytest.approx(1.0, abs=0.15)
        assert np.mean(pull) == pytest.approx(0.0, abs=0.25)


def test_the_errors_shrink_with_the_root_of_the_number_of_events() -> None:
    few, many = core_sigma(gaussian(2500)), core_sigma(gaussian(40_000))
    assert few.sigma_error / many.sigma_error == pytest.approx(4.0, rel=0.1)
    assert few.mean_error / many.mean_error == pytest.approx(4.0, rel=0.1)
    # Cutting at two sigma costs more than half of what the sample knows of sigma.
    assert many.sigma_error == pytest.approx(2.0 * 1.106 / np.sqrt(many.num_core), rel=0.02)


def test_a_tail_of_a_tenth_does_not_move_the_core() -> None:
    rng = np.random.default_rng(1)
    core, tail = rng.normal(0.0, 1.0, 18_000), -rng.uniform(4.0, 20.0, 2000)
    fit = core_sigma(np.concatenate([core, tail]))
    assert abs(fit.sigma - 1.0) < 3 * fit.sigma_error
    assert abs(fit.mean) < 3 * fit.mean_error
    assert np.concatenate([core, tail]).std() > 3


def test_a_wide_gaussian_of_a_tenth_widens_the_core_by_its_share_alone() -> None:
    rng = np.random.default_rng(2)
    fit = core_sigma(np.concatenate([rng.normal(0, 1, 90_000), rng.normal(0, 5, 10_000)]))
    # A third of the wide one lies within the window, 3 % of all, nearly flat: (4/3 - 0.774) / 0.8175 of it.
    assert fit.sigma == pytest.approx(1.0 + 0.0335 * (4 / 3 - 0.774) / 0.8175, abs=0.01)


def test_the_fit_rests_where_the_cut_gaussian_agrees_with_its_own_window() -> None:
    values = gaussian(5000)
    fit = core_sigma(values)
    inside = values[np.abs(values - fit.mean) < CORE_WINDOW * fit.sigma]
    assert len(inside) == fit.num_core
    assert inside.mean() == pytest.approx(fit.mean, abs=1e-4)
    assert inside.std() == pytest.approx(np.sqrt(0.7737413) * fit.sigma, rel=1e-4)


def test_the_fit_follows_shift_and_scale() -> None:
    values = gaussian(2000)
    fit, other = core_sigma(values), core_sigma(1e-3 * values + 50.0)
    assert other.sigma == pytest.approx(1e-3 * fit.sigma, rel=1e-6)
    assert other.mean == pytest.approx(1e-3 * fit.mean + 50.0, rel=1e-9)


def test_too_few_events_have_no_core() -> None:
    fit = core_sigma(gaussian(MIN_EVENTS - 1))
    assert np.isnan([fit.sigma, fit.sigma_error, fit.mean, fit.mean_error]).all()
    assert np.isfinite(core_sigma(gaussian(MIN_EVENTS)).sigma)


def test_equal_values_have_no_width() -> None:
    fit = core_sigma(np.full(100, 3.0))
    assert (fit.sigma, fit.mean, fit.sigma_error) == (0.0, 3.0, 0.0)


def test_mostly_equal_values_end_too() -> None:
    # More than half of the values coincide: the median distance is no scale.
    fit = core_sigma(np.concatenate([np.zeros(80), np.linspace(-1, 1, 20)]))
    assert np.isfinite([fit.sigma, fit.mean]).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected finite residuals, got 1 that are not"):
        core_sigma(np.append(gaussian(100), wrong))


def test_68_percent_of_a_gaussian() -> None:
    found = quantile_68(gaussian(20_000) - 0.3)
    assert abs(found.value - 2.0 * GAUSSIAN_68) < 3 * found.error


def test_the_error_of_the_68_percent_is_that_which_repeated_samples_show() -> None:
    found = [quantile_68(gaussian(1000, seed=seed) - 0.3) for seed in range(300)]
    pull = [(quantile.value - 2.0 * GAUSSIAN_68) / quantile.error for quantile in found]
    # The error is itself known to some 15 % only, from the few values between the two ranks.
    assert np.std(pull) == pytest.approx(1.0, abs=0.2)
    assert np.mean(pull) == pytest.approx(0.0, abs=0.25)


def test_68_percent_of_a_known_row_of_values() -> None:
    assert quantile_68(np.linspace(-1.0, 1.0, 20_001)).value == pytest.approx(0.68, abs=1e-4)
    assert np.isnan(quantile_68(np.empty(0)).value)


def residuals(values: np.ndarray, *, is_distance: bool = False) -> Residuals:
    return Residuals("u", "mm", values, "difference", is_distance)


def test_a_summary_counts_what_is_not_finite_apart() -> None:
    summary = summarize(residuals(np.append(gaussian(1000), [np.nan, np.inf])))
    assert (summary.name, summary.unit) == ("u", "mm")
    assert (summary.num_events, summary.num_invalid) == (1000, 2)
    assert summary.core == core_sigma(gaussian(1000))
    assert summary.quantile == quantile_68(gaussian(1000))


def test_a_distance_has_no_core() -> None:
    assert summarize(residuals(np.abs(gaussian(1000)), is_distance=True)).core is None
