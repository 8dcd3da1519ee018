"""Whether predicted errors are judged rightly."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lib.evaluation.drawing.calibration_figure import describe_calibration, draw_calibration
from lib.evaluation.statistics.calibration import Calibration


def calibrated(factor: float, count: int = 20_000, seed: int = 0) -> Calibration:
    """Residuals that are ``factor`` times as large as predicted, for errors that vary by eight."""
    rng = np.random.default_rng(seed)
    errors = 2.0 ** rng.uniform(-1.0, 2.0, count)
    found = Calibration("u")
    found.add(factor * errors * rng.normal(size=count), errors)
    return found


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_ratio_and_coverage_are_those_of_the_gaussian(factor: float) -> None:
    found = calibrated(factor).summary()
    assert abs(found.ratio.value - factor) < 4 * found.ratio.error
    within = {0.8: 0.7887, 1.0: 0.6827, 1.3: 0.5583}[factor]
    assert abs(found.coverage - within) < 4 * found.coverage_error
    assert abs(found.core.sigma - factor) < 4 * found.core.sigma_error
    assert found.rms == pytest.approx(factor, rel=0.03)


def test_each_bin_compares_events_of_like_errors() -> None:
    bins = calibrated(1.3).summary().bins
    assert len(bins) == 6
    for one in bins:
        # Within a bin errors differ by up to 1.41.
        assert one.observed.value / one.predicted == pytest.approx(1.3, rel=0.08)


def test_joined_calibrations_are_those_of_all_events() -> None:
    left, right = calibrated(1.0, seed=1), calibrated(1.2, seed=2)
    ratios = left.summary().ratio.value, right.summary().ratio.value
    left.join(right)
    assert left.summary().num_events == 40_000
    assert min(ratios) < left.summary().ratio.value < max(ratios)


def test_errors_that_are_none_are_left_out() -> None:
    found = Calibration("u")
    found.add(np.ones(4), np.array([0.0, -1.0, np.nan, 2.0]))
    assert found.summary().num_events == 1


def test_the_figure_says_ratio_and_coverage() -> None:
    summary = calibrated(1.0).summary()
    figure = draw_calibration("energy", [summary], "MeV")
    assert isinstance(figure, Figure)
    assert "predicted error (MeV)" in figure.axes[0].get_xlabel()
    assert "nominal 68.27 %" in describe_calibration(summary)
    figure.draw_without_rendering()
    empty = Calibration("u").summary()
    draw_calibration("energy", [empty], "MeV").draw_without_rendering()
