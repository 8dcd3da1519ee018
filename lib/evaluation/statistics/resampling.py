"""Statistical errors of numbers that have no formula for theirs."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lib.geometry.sensors import FloatArray

NUM_REPLICAS: Final = 100
_SEED: Final = 0


def resampled_errors(
    values: FloatArray,
    counts: NDArray[np.int64],
    statistics: Callable[[FloatArray, NDArray[np.int64]], FloatArray],
    *,
    num_replicas: int = NUM_REPLICAS,
) -> FloatArray:
    """Return the standard deviation of some statistics among resampled data; NaN for fewer than two values.

    Each replica lets every event occur a Poisson number of times, which for events that share a value is one draw for
    all of them: ten million events cost as much as their bins.

    Args:
        values: Ascending values, shape (N,).
        counts: How often each of them occurred, shape (N,).
        statistics: Returns K numbers of values and counts.
        num_replicas: The errors are known to 1 / sqrt(2 * num_replicas) of themselves.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 6; Poisson form e.g. in
        arXiv:1212.6326.
    """
    # A fixed seed: the same data have the same errors.
    rng = np.random.default_rng(_SEED)
    if counts.sum() < 2:
        return np.full_like(statistics(np.zeros(1), np.ones(1, np.int64)), np.nan)
    replicas = []
    for _ in range(num_replicas):
        drawn = rng.poisson(counts)
        if drawn.sum():
            replicas.append(statistics(values, drawn))
    return np.std(replicas, axis=0)
