"""The relative energy resolution as a function of the energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import nnls

from lib.evaluation.statistics.profile import ProfileBin
from lib.geometry.sensors import FloatArray

MIN_POINTS: Final = 4


@dataclass(frozen=True)
class EnergyFit:
    """sigma / E = a / sqrt(E) (+) b (+) c / E, added in squares, in per cent and E in GeV.

    Attributes:
        terms: a (stochastic), b (constant) and c (noise), none negative.
        errors: Their statistical errors; infinite for a term that the fit puts at zero.
        chi_square: Sum of the squared distances of the points in units of their errors.
        degrees: Points minus terms.
    """

    terms: tuple[float, float, float]
    errors: tuple[float, float, float]
    chi_square: float
    degrees: int

    def resolution(self, energy_gev: FloatArray) -> FloatArray:
        """Return sigma / E in per cent at energies of any shape."""
        return np.sqrt(_terms_of(np.asarray(energy_gev)) @ np.square(self.terms))


def fit_energy_resolution(bins: Sequence[ProfileBin]) -> EnergyFit | None:
    """Fit the core widths of a profile of the relative energy residual along the energy in MeV.

    The squares of the terms enter linearly, so that the fit has one minimum and no start values.

    Args:
        bins: Of a residual in per cent.

    Returns:
        None for fewer than four bins with a core.
    """
    usable = [one for one in bins if np.isfinite(one.core.sigma) and one.core.sigma > 0]
    if len(usable) < MIN_POINTS:
        return None
    energy = 1e-3 * np.array([one.middle for one in usable])
    sigma = np.array([one.core.sigma for one in usable])
    error = np.array([one.core.sigma_error for one in usable])
    weight = 1.0 / (2.0 * sigma * error)
    design = _terms_of(energy) * weight[:, None]
    squares, distance = nnls(design, sigma**2 * weight)
    free = squares > 0
    covariance = np.linalg.inv(design[:, free].T @ design[:, free])
    terms = np.sqrt(squares)
    errors = np.full(3, np.inf)
    errors[free] = np.sqrt(np.diag(covariance)) / (2.0 * terms[free])
    a, b, c = terms.tolist()
    da, db, dc = errors.tolist()
    return EnergyFit((a, b, c), (da, db, dc), float(distance**2), len(usable) - 3)


def _terms_of(energy_gev: FloatArray) -> FloatArray:
    """Return 1/E, 1 and 1/E^2, shape (N, 3)."""
    return np.stack([1.0 / energy_gev, np.ones_like(energy_gev), 1.0 / energy_gev**2], axis=-1)
