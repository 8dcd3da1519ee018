"""Whether predicted errors are what the residuals show."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.evaluation.statistics.distribution import COARSE, Distribution
from lib.evaluation.statistics.resolution import CoreFit, Quantile, core_sigma, quantile_68
from lib.geometry.sensors import FloatArray

COVERED: Final = 0.6827
"""Share of the events whose residual should lie within the predicted error."""
# Bins of the predicted error that divide a factor of two into two.
_BINS_PER_OCTAVE: Final = 2
_MIN_EVENTS: Final = 50


@dataclass(frozen=True)
class CalibrationBin:
    """Events with like predicted errors.

    Attributes:
        predicted: Root mean square of their predicted errors.
        observed: 68th percentile of their absolute residuals, in the same unit.
    """

    predicted: float
    observed: Quantile


@dataclass(frozen=True, eq=False)
class CalibrationSummary:
    """How well errors are predicted for one component.

    Attributes:
        name: The component.
        num_events: Events with finite residual and positive error.
        ratio: 68.27th percentile of the absolute pulls: what errors would have to be multiplied with; its error.
        coverage: Share of the residuals within their predicted error.
        coverage_error: Its statistical error.
        core: Gaussian core of the pulls.
        rms: Root mean square of the pulls around their mean.
        bins: Observed against predicted errors.
    """

    name: str
    num_events: int
    ratio: Quantile
    coverage: float
    coverage_error: float
    core: CoreFit
    rms: float
    bins: tuple[CalibrationBin, ...]


class Calibration:
    """Pulls of one component, and its residuals in bins of the predicted error; memory does not grow.

    Args:
        name: The component.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.pulls = Distribution()
        self._covered = 0
        self._residuals: dict[int, Distribution] = {}
        self._squares: dict[int, float] = {}

    def add(self, residuals: FloatArray, errors: FloatArray) -> None:
        """Take in residuals and predicted errors in the same unit, shape (N,) each."""
        keep = np.isfinite(residuals) & np.isfinite(errors) & (errors > 0)
        residuals, errors = residuals[keep].astype(np.float64), errors[keep].astype(np.float64)
        pulls = residuals / errors
        self.pulls.add(pulls)
        self._covered += int(np.count_nonzero(np.abs(pulls) <= 1.0))
        index = np.floor(_BINS_PER_OCTAVE * np.log2(errors)).astype(np.int64)
        for number in np.unique(index).tolist():
            inside = index == number
            self._residuals.setdefault(number, Distribution(COARSE)).add(residuals[inside])
            self._squares[number] = self._squares.get(number, 0.0) + float((errors[inside] ** 2).sum())

    def join(self, other: "Calibration") -> None:
        """Take in what another one of the same component has."""
        self.pulls.join(other.pulls)
        self._covered += other._covered
        for number, found in other._residuals.items():
            self._residuals.setdefault(number, Distribution(COARSE)).join(found)
            self._squares[number] = self._squares.get(number, 0.0) + other._squares[number]

    def summary(self) -> CalibrationSummary:
        """Return ratio, coverage and pulls."""
        values, counts = self.pulls.filled_bins()
        total = max(self.pulls.num_values, 1)
        coverage = self._covered / total
        filled = sorted(number for number, found in self._residuals.items() if found.num_values >= _MIN_EVENTS)
        return CalibrationSummary(
            name=self.name,
            num_events=self.pulls.num_values,
            ratio=quantile_68(values, counts, share=COVERED),
            coverage=coverage,
            coverage_error=float(np.sqrt(coverage * (1.0 - coverage) / total)),
            core=core_sigma(values, counts),
            rms=self.pulls.moments.rms,
            bins=tuple(self._bin(number) for number in filled),
        )

    def _bin(self, number: int) -> CalibrationBin:
        found = self._residuals[number]
        predicted = float(np.sqrt(self._squares[number] / found.num_values))
        return CalibrationBin(predicted, quantile_68(*found.filled_bins(), share=COVERED))
