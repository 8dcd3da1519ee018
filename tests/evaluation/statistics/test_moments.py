"""Moments of pieces are those of the whole."""

import numpy as np
import pytest

from lib.evaluation.statistics.moments import Moments


@pytest.mark.parametrize("cuts", [[500], [1, 2, 3], [0, 999], []])
def test_joined_moments_are_those_of_all_values(cuts: list[int]) -> None:
    values = np.random.default_rng(0).gamma(2.0, 3.0, 1000) + 1e4
    joined = Moments()
    for piece in np.split(values, cuts):
        joined = joined.joined(Moments.of(piece))
    assert joined.count == 1000
    # Sums of cubes lose some digits to rounding.
    assert joined.mean == pytest.approx(values.mean(), rel=1e-12)
    assert joined.rms == pytest.approx(values.std(), rel=1e-10)
    assert joined.skewness == pytest.approx(((values - values.mean()) ** 3).mean() / values.std() ** 3, rel=1e-8)


def test_a_gamma_distribution_has_its_skewness() -> None:
    values = np.random.default_rng(1).gamma(4.0, 1.0, 200_000)
    # 2 / sqrt(4), with an error of about 0.015.
    assert Moments.of(values).skewness == pytest.approx(1.0, abs=0.06)


def test_no_values_have_no_spread() -> None:
    assert np.isnan([Moments().rms, Moments().skewness, Moments.of(np.full(5, 3.0)).skewness]).all()
