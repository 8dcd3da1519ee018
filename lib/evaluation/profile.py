"""How residuals change along the truth: median and 68 % in bins with equal numbers of events."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.evaluation.residuals import Residuals
from lib.geometry.sensors import FloatArray

MAX_BINS: Final = 12
# Fewer events than this would make a bin's median jump.
MIN_EVENTS_PER_BIN: Final = 20


@dataclass(frozen=True, eq=False)
class Profile:
    """Residuals in k bins of the truth.

    Attributes:
        edges: Bounds of the bins in the unit of the truth, shape (k + 1,).
        truth: Median of the true values in each bin, shape (k,).
        low: Lower end of the 68 %, shape (k,): the 16th percentile, or 0 for a distance.
        median: Middle of the residuals, shape (k,).
        median_error: Its statistical error, shape (k,).
        high: Upper end, shape (k,): the 84th percentile, or the 68th of a distance.
    """

    edges: FloatArray
    truth: FloatArray
    low: FloatArray
    median: FloatArray
    median_error: FloatArray
    high: FloatArray


def profile(residuals: Residuals) -> Profile:
    """Return the profile of the events whose residual and truth are finite; no bins without events."""
    keep = np.isfinite(residuals.values) & np.isfinite(residuals.truth)
    values, truth = residuals.values[keep], residuals.truth[keep]
    edges = _edges(truth)
    # The last bin includes its upper bound.
    index = np.clip(np.searchsorted(edges, truth, side="right") - 1, 0, max(len(edges) - 2, 0))
    bins = [values[index == number] for number in range(len(edges) - 1)]
    wanted = (0.0, 0.68) if residuals.is_distance else (0.16, 0.84)
    low, high = np.array([np.quantile(inside, wanted) for inside in bins]).reshape(-1, 2).T
    return Profile(
        edges=edges,
        truth=np.array([np.median(truth[index == number]) for number in range(len(edges) - 1)]),
        low=np.zeros_like(low) if residuals.is_distance else low,
        median=np.array([np.median(inside) for inside in bins]),
        median_error=np.array([_median_error(inside) for inside in bins]),
        high=high,
    )


def _edges(truth: FloatArray) -> FloatArray:
    if not len(truth):
        return np.empty(0)
    num_bins = int(np.clip(len(truth) // MIN_EVENTS_PER_BIN, 1, MAX_BINS))
    # Each edge is a true value, so that no bin is empty even where a value repeats.
    edges = np.unique(np.quantile(truth, np.linspace(0.0, 1.0, num_bins + 1), method="inverted_cdf"))
    return edges if len(edges) > 1 else edges[0] + np.array([-0.5, 0.5])


def _median_error(values: FloatArray) -> float:
    """Return the error of a median: half of what one binomial standard deviation of the rank spans."""
    spread = 0.5 / np.sqrt(len(values))
    low, high = np.quantile(values, np.clip([0.5 - spread, 0.5 + spread], 0.0, 1.0))
    return float(0.5 * (high - low))
