"""The distribution of any number of values in memory that does not grow."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lib.evaluation.statistics.moments import Moments
from lib.geometry.sensors import FloatArray

FINE: Final = 1e-3
COARSE: Final = 1e-2
# A femtosecond in seconds is small enough, and a light year in millimetres would be large enough.
_SMALLEST, _LARGEST = 1e-15, 1e9


class Distribution:
    """Counts of values in bins that widen with the distance from zero, and exact moments.

    A value is known to ``accuracy`` of itself, wherever it lies between 1e-15 and 1e9 on either side of zero; smaller
    ones count as zero, larger ones as the largest. Two distributions of the same accuracy can be joined.

    Args:
        accuracy: Largest relative distance of a value from the middle of its bin.

    Source: bins as in C. Masson et al., "DDSketch", arXiv:1908.10693, section 2.1.
    """

    def __init__(self, accuracy: float = FINE) -> None:
        self.accuracy = accuracy
        self.moments = Moments()
        self.num_invalid = 0
        self._log_ratio = math.log((1.0 + accuracy) / (1.0 - accuracy))
        self._num_bins = math.ceil(math.log(_LARGEST / _SMALLEST) / self._log_ratio)
        # From the most negative values over zero in the middle to the largest.
        self._counts = np.zeros(2 * self._num_bins + 1, np.int64)

    def add(self, values: FloatArray) -> None:
        """Take in values of shape (N,); those that are not finite are counted apart."""
        values = np.asarray(values, dtype=np.float64)
        finite = values[np.isfinite(values)]
        self.num_invalid += len(values) - len(finite)
        self.moments = self.moments.joined(Moments.of(finite))
        self._counts += np.bincount(self._bins(finite), minlength=len(self._counts))

    def join(self, other: "Distribution") -> None:
        """Take in what another distribution has.

        Raises:
            ValueError: If it has other bins.
        """
        if other.accuracy != self.accuracy:
            raise ValueError(f"distributions of accuracy {self.accuracy} and {other.accuracy} cannot be joined")
        self.num_invalid += other.num_invalid
        self.moments = self.moments.joined(other.moments)
        self._counts += other._counts

    @property
    def num_values(self) -> int:
        """Finite values so far."""
        return self.moments.count

    def filled_bins(self) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return the middles of the bins that hold values, ascending, and how many; shape (K,) each."""
        filled = np.flatnonzero(self._counts)
        return self._middles(filled), self._counts[filled]

    def histogram(self, edges: FloatArray) -> FloatArray:
        """Return how many values lie between ascending edges, shape (K - 1,); bins that an edge cuts are shared out."""
        filled = np.flatnonzero(self._counts)
        middle = self._middles(filled)
        inner, outer = middle / (1.0 + self.accuracy), middle / (1.0 - self.accuracy)
        low, high = np.minimum(inner, outer), np.maximum(inner, outer)
        # The bin around zero has no width here: an edge lies on either side of it.
        width = np.where(high > low, high - low, _SMALLEST)
        below = np.clip((edges[:, None] - low) / width, 0.0, 1.0) @ self._counts[filled].astype(np.float64)
        return np.diff(below)

    def _bins(self, values: FloatArray) -> NDArray[np.int64]:
        size = np.clip(np.abs(values), _SMALLEST, _LARGEST)
        number = np.floor(np.log(size / _SMALLEST) / self._log_ratio).astype(np.int64)
        number = np.minimum(number, self._num_bins - 1) + 1
        sign = np.where(np.abs(values) < _SMALLEST, 0, np.sign(values)).astype(np.int64)
        return self._num_bins + sign * number

    def _middles(self, bins: NDArray[np.int64]) -> FloatArray:
        number = bins - self._num_bins
        low = _SMALLEST * np.exp((np.abs(number) - 1) * self._log_ratio)
        return np.sign(number) * low * (1.0 + self.accuracy)
