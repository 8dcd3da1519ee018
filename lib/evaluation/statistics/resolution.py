"""Resolutions with their statistical errors: width of the core, 68 % of all events, and bias.

All three belong together: the energy, for one, has a tail of leaked showers, and its 68 % is 1.4 times its core.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lib.evaluation.statistics.distribution import Distribution
from lib.evaluation.statistics.resampling import resampled_errors
from lib.evaluation.statistics.residuals import Residuals
from lib.geometry.sensors import FloatArray

# Half-width of the window of the core fit, in sigma.
CORE_WINDOW: Final = 2.0
# Distance from the core, in sigma, at which tails begin.
TAIL_START: Final = 3.0
# Below this there is no distribution to fit.
MIN_EVENTS: Final = 10
# Each step halves the distance from the fixed point; a discrete sample may swing between two windows at the end.
MAX_STEPS: Final = 100

# A Gaussian cut at +-2 sigma: variance and variance of the square, in units of sigma^2 and sigma^4.
_DENSITY_AT_EDGE: Final = float(np.exp(-0.5 * CORE_WINDOW**2) / np.sqrt(2.0 * np.pi))
_SHARE_WITHIN: Final = 0.954499736
_EDGE_TERM: Final = 2.0 * CORE_WINDOW * _DENSITY_AT_EDGE / _SHARE_WITHIN
_CUT_VARIANCE: Final = 1.0 - _EDGE_TERM
_CUT_VARIANCE_OF_SQUARE: Final = 3.0 * _CUT_VARIANCE - CORE_WINDOW**2 * _EDGE_TERM - _CUT_VARIANCE**2


@dataclass(frozen=True)
class CoreFit:
    """A Gaussian fitted to the core of a distribution; everything but ``num_core`` is in the unit of the values.

    Attributes:
        sigma: Standard deviation; NaN for fewer than ten events.
        sigma_error: Its statistical error.
        mean: Centre of the core.
        mean_error: Its statistical error.
        num_core: Values within two sigma of the mean.
    """

    sigma: float
    sigma_error: float
    mean: float
    mean_error: float
    num_core: int


@dataclass(frozen=True)
class Quantile:
    """The 68th percentile of absolute values, and its statistical error."""

    value: float
    error: float


@dataclass(frozen=True)
class Shape:
    """What the core and the 68 % do not tell of a distribution, with statistical errors from resampling.

    Attributes:
        rms: Root of the mean squared distance from the mean, in the unit of the values.
        rms_error: Its statistical error.
        skewness: Mean cubed distance from the mean over the cube of the rms; negative for a longer lower tail.
        skewness_error: Its statistical error.
        tail_low: Share of the events more than three core sigma below the core.
        tail_high: Share of the events as far above.
    """

    rms: float
    rms_error: float
    skewness: float
    skewness_error: float
    tail_low: float
    tail_high: float


@dataclass(frozen=True)
class ResolutionSummary:
    """How well one quantity is known.

    Attributes:
        name: Quantity.
        unit: Unit of all numbers here.
        num_events: Events with a finite residual.
        num_invalid: Events whose residual is not finite; they are in none of the numbers.
        quantile: 68th percentile of the absolute residual.
        core: Gaussian of the core, whose mean is the bias; None for distances, which have none.
        shape: Rms, skewness and tails; None for distances and where it was not asked for.
    """

    name: str
    unit: str
    num_events: int
    num_invalid: int
    quantile: Quantile
    core: CoreFit | None
    shape: Shape | None = None


def summarize(residuals: Residuals) -> ResolutionSummary:
    """Return core, 68 % and bias of one quantity."""
    finite = residuals.values[np.isfinite(residuals.values)]
    return ResolutionSummary(
        name=residuals.name,
        unit=residuals.unit,
        num_events=len(finite),
        num_invalid=len(residuals.values) - len(finite),
        quantile=quantile_68(finite),
        core=None if residuals.is_distance else core_sigma(finite),
    )


def summarize_distribution(name: str, unit: str, found: Distribution, *, is_distance: bool) -> ResolutionSummary:
    """Return the same of a distribution, with its shape."""
    values, counts = found.filled_bins()
    core = None if is_distance else core_sigma(values, counts)
    return ResolutionSummary(
        name=name,
        unit=unit,
        num_events=found.num_values,
        num_invalid=found.num_invalid,
        quantile=quantile_68(values, counts),
        core=core,
        shape=None if core is None else _shape(found, core),
    )


def _shape(found: Distribution, core: CoreFit) -> Shape:
    values, counts = found.filled_bins()
    total = max(found.num_values, 1)
    rms_error, skewness_error = resampled_errors(values, counts, _rms_and_skewness)
    return Shape(
        rms=found.moments.rms,
        rms_error=rms_error,
        skewness=found.moments.skewness,
        skewness_error=skewness_error,
        tail_low=float(counts[values < core.mean - TAIL_START * core.sigma].sum()) / total,
        tail_high=float(counts[values > core.mean + TAIL_START * core.sigma].sum()) / total,
    )


def _rms_and_skewness(values: FloatArray, counts: NDArray[np.int64]) -> FloatArray:
    mean = np.average(values, weights=counts)
    variance, third = (np.average((values - mean) ** power, weights=counts) for power in (2, 3))
    return np.array([variance**0.5, third / variance**1.5 if variance > 0 else np.nan])


def core_sigma(residuals: FloatArray, counts: NDArray[np.int64] | None = None) -> CoreFit:
    """Fit a Gaussian to the core of a distribution.

    The mean and standard deviation of the values within two sigma are corrected for what the cut takes away, and the
    window follows them until it rests. The fixed point is the maximum-likelihood fit of a cut Gaussian, and its
    errors are those of that fit.

    Args:
        residuals: Finite values, shape (N,).
        counts: How often each of them occurs, shape (N,); once by default.

    Raises:
        ValueError: If a value is not finite.

    Source: moments of the truncated normal distribution, e.g. Johnson, Kotz and Balakrishnan, "Continuous Univariate
        Distributions" (1994), section 13.10.
    """
    values, weights = _sorted(residuals, counts)
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite residuals, got {np.count_nonzero(~np.isfinite(values))} that are not")
    if weights.sum() < MIN_EVENTS:
        return CoreFit(np.nan, np.nan, np.nan, np.nan, int(weights.sum()))
    mean, sigma, num_core = _resting_window(values, weights)
    return CoreFit(
        sigma=sigma,
        sigma_error=sigma / float(np.sqrt(_CUT_VARIANCE_OF_SQUARE * num_core)),
        mean=mean,
        mean_error=sigma / float(np.sqrt(_CUT_VARIANCE * num_core)),
        num_core=num_core,
    )


def _sorted(values: FloatArray, counts: NDArray[np.int64] | None) -> tuple[FloatArray, NDArray[np.int64]]:
    values = np.asarray(values, dtype=np.float64)
    if counts is None:
        return np.sort(values), np.ones(len(values), np.int64)
    order = np.argsort(values, kind="stable")
    return values[order], counts[order]


def _resting_window(values: FloatArray, counts: NDArray[np.int64]) -> tuple[float, float, int]:
    """Return mean, sigma and number of sorted values of the window that its own contents confirm."""
    mean = float(weighted_quantiles(values, counts, np.array([0.5]))[0])
    # The middle half of a Gaussian lies within 0.6745 sigma, and tails do not reach it.
    distance, occurrences = _sorted(np.abs(values - mean), counts)
    sigma = float(weighted_quantiles(distance, occurrences, np.array([0.5]))[0]) / 0.6745
    sigma = sigma or float(np.sqrt(np.average((values - np.average(values, weights=counts)) ** 2, weights=counts)))
    num_core = int(counts.sum())
    for _ in range(MAX_STEPS):
        first, last = np.searchsorted(values, [mean - CORE_WINDOW * sigma, mean + CORE_WINDOW * sigma])
        core, weights = values[first:last], counts[first:last]
        if sigma == 0 or weights.sum() < 2:
            break
        before = mean, sigma
        num_core = int(weights.sum())
        mean = float(np.average(core, weights=weights))
        sigma = float(np.sqrt(np.average((core - mean) ** 2, weights=weights))) / _CUT_VARIANCE**0.5
        if abs(mean - before[0]) + abs(sigma - before[1]) < 1e-6 * sigma:
            break
    return mean, sigma, num_core


def quantile_68(residuals: FloatArray, counts: NDArray[np.int64] | None = None, *, share: float = 0.68) -> Quantile:
    """Return the 68th percentile of the absolute values, shape (N,), with the error that their order gives.

    The number of values below the true percentile is binomial; one standard deviation of it up and down leads to two
    values, and half of their distance is the error. NaN without values.

    Args:
        residuals: Finite values, shape (N,).
        counts: How often each of them occurs, shape (N,); once by default.
        share: Another share than 68 %.

    Source: confidence intervals for quantiles from order statistics, e.g. David and Nagaraja, "Order Statistics"
        (2003), section 7.1.
    """
    values, weights = _sorted(np.abs(residuals), counts)
    if not len(values):
        return Quantile(float("nan"), float("nan"))
    spread = float(np.sqrt(share * (1.0 - share) / weights.sum()))
    wanted = np.clip([share - spread, share, share + spread], 0.0, 1.0)
    low, middle, high = weighted_quantiles(values, weights, wanted)
    return Quantile(float(middle), float(0.5 * (high - low)))


def weighted_quantiles(values: FloatArray, counts: NDArray[np.int64], shares: FloatArray) -> FloatArray:
    """Return the quantiles of ascending values that occur more than once, shape of ``shares``.

    Between two values the quantile is interpolated; for counts of one it is that of ``numpy.quantile``.
    """
    last = np.cumsum(counts) - 1
    first = last - counts + 1
    return np.interp(np.asarray(shares) * last[-1], 0.5 * (first + last), values)
