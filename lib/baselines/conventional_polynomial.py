"""Polynomials fitted to data: how the conventional reconstruction corrects what its formulae leave."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.geometry.sensors import FloatArray

# Weighting by Tukey's function: a residual beyond this many scales, such as an event that leaked, counts nothing.
_CUTOFF = 4.0
_NUM_REWEIGHTINGS = 6
# A normal distribution cut at two standard deviations looks narrower by this.
_CORE_WIDENING = 1 / 0.8796


@dataclass(frozen=True)
class Polynomial:
    """A polynomial of several variables.

    Attributes:
        centre: Subtracted from the variables, shape (variables,).
        scale: Divides them then, shape (variables,).
        coefficients: Of the monomials of ``_monomials``, shape (monomials, outputs).
        degree: The highest one.
    """

    centre: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    degree: int

    def __call__(self, variables: FloatArray) -> FloatArray:
        """Return the values, shape (n, outputs), for variables of shape (n, variables)."""
        return _monomials(self._standard(variables), self.degree) @ self.coefficients

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the attributes as arrays by name."""
        return {
            "centre": self.centre,
            "scale": self.scale,
            "coefficients": self.coefficients,
            "degree": np.array(self.degree),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]], name: str) -> "Polynomial":
        """Return the polynomial kept under ``name.attribute``; raises ``KeyError`` if it is not there."""
        parts = (arrays[f"{name}.{attribute}"] for attribute in ("centre", "scale", "coefficients", "degree"))
        centre, scale, coefficients, degree = parts
        return Polynomial(centre, scale, coefficients, int(degree))

    def _standard(self, variables: FloatArray) -> FloatArray:
        # Far outside the sample of the fit a polynomial runs away: it is evaluated at the edge there.
        return np.clip((variables - self.centre) / self.scale, -4.0, 4.0)


def fit_polynomial(variables: FloatArray, values: FloatArray, degree: int, ridge: float = 1e-5) -> Polynomial:
    """Fit a polynomial, insensitive to outliers.

    Args:
        variables: Shape (n, variables).
        values: Shape (n, outputs); each output has its own weights.
        degree: Highest degree of the monomials.
        ridge: Penalty on the squared coefficients, in units of the spread of the values, as many events.
    """
    centre, scale = np.median(variables, axis=0), np.maximum(variables.std(axis=0), 1e-9)
    blank = Polynomial(centre, scale, np.zeros((0, 0)), degree)
    design = _monomials(blank._standard(variables), degree)
    columns = [_fit_robustly(design, column, ridge) for column in values.T]
    return Polynomial(centre, scale, np.stack(columns, axis=1), degree)


def _fit_robustly(design: FloatArray, values: FloatArray, ridge: float) -> FloatArray:
    """Return coefficients by iteratively reweighted least squares, shape (monomials,)."""
    weights = np.ones(len(values))
    penalty = ridge * len(values) * np.eye(design.shape[1])
    penalty[0, 0] = 0.0  # the constant is free
    coefficients: FloatArray = np.zeros(design.shape[1])
    for _ in range(_NUM_REWEIGHTINGS):
        weighted = design * weights[:, None]
        coefficients = np.linalg.solve(weighted.T @ design + penalty, weighted.T @ values)
        residual = values - design @ coefficients
        # The median itself would leave the centre where the leakage tail pulls it.
        spread = 1.4826 * np.median(np.abs(residual - np.median(residual)))
        share = residual / max(_CUTOFF * spread, 1e-12)
        weights = np.where(np.abs(share) < 1, (1 - share**2) ** 2, 0.0)
    coefficients[0] += _core_mean(values - design @ coefficients)
    return coefficients


def _core_mean(residual: FloatArray) -> float:
    """Return the mean of the residuals within two standard deviations of it, found by iteration."""
    low, mean, high = (float(value) for value in np.percentile(residual, [16, 50, 84]))
    half = high - low
    for _ in range(_NUM_REWEIGHTINGS):
        core = residual[np.abs(residual - mean) <= half]
        mean, half = float(core.mean()), _CORE_WIDENING * 2 * float(core.std())
    return mean


def _monomials(variables: FloatArray, degree: int) -> FloatArray:
    """Return all products of up to ``degree`` variables, the constant first, shape (n, monomials)."""
    columns: list[FloatArray] = [np.ones(len(variables))]
    for order in range(1, degree + 1):
        chosen = combinations_with_replacement(range(variables.shape[1]), order)
        columns += [np.prod(variables[:, list(factors)], axis=1) for factors in chosen]
    return np.stack(columns, axis=1)
