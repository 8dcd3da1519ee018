"""The three terms of the energy resolution."""

import numpy as np
import pytest

from lib.evaluation.statistics.energy_fit import fit_energy_resolution
from lib.evaluation.statistics.profile import ProfileBin
from lib.evaluation.statistics.resolution import CoreFit, Quantile

ENERGIES = np.linspace(17.5, 57.5, 9)


def bins(a: float, b: float, c: float, *, noise: float = 0.0, seed: int = 0) -> list[ProfileBin]:
    gev = 1e-3 * ENERGIES
    sigma = np.sqrt(a**2 / gev + b**2 + c**2 / gev**2)
    error = np.full_like(sigma, max(noise, 1e-3)) * sigma
    sigma = sigma + error * np.random.default_rng(seed).normal(size=len(sigma)) * (noise > 0)
    cores = [CoreFit(s, e, 0.0, 0.0, 1000) for s, e in zip(sigma, error, strict=True)]
    return [ProfileBin(e, 0.0, 0.0, Quantile(0.0, 0.0), core) for e, core in zip(ENERGIES, cores, strict=True)]


@pytest.mark.parametrize("terms", [(0.3, 0.8, 0.02), (0.3, 0.0, 0.05), (0.0, 1.1, 0.0)])
def test_exact_points_give_back_their_terms(terms: tuple[float, float, float]) -> None:
    fit = fit_energy_resolution(bins(*terms))
    assert fit is not None
    assert fit.terms == pytest.approx(terms, abs=1e-5)
    assert fit.chi_square < 1e-9
    assert fit.degrees == 6
    np.testing.assert_allclose(
        fit.resolution(np.array([0.0525]))[0] ** 2, np.array(terms) ** 2 @ [1 / 0.0525, 1, 1 / 0.0525**2]
    )


def test_errors_are_those_that_repeated_fits_show() -> None:
    fits = [fit_energy_resolution(bins(0.2, 1.5, 0.06, noise=0.01, seed=seed)) for seed in range(200)]
    constant = np.array([fit.terms[1] for fit in fits])
    error = np.median([fit.errors[1] for fit in fits])
    # The middle half: terms at their bound of zero skew the rest.
    spread = np.subtract(*np.quantile(constant, [0.75, 0.25])) / 1.349
    assert spread == pytest.approx(error, rel=0.4)
    assert np.mean([fit.chi_square for fit in fits]) == pytest.approx(6.5, abs=1.0)


def test_few_points_have_no_fit() -> None:
    assert fit_energy_resolution(bins(0.3, 0.8, 0.02)[:3]) is None
