"""Resolutions with their statistical errors: width of the core, 68 % of all events, and bias.

All three belong together: the energy, for one, has a tail of leaked showers, and its 68 % is 1.4 times its core.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.evaluation.residuals import Residuals
from lib.geometry.sensors import FloatArray

# Half-width of the window of the core fit, in sigma.
CORE_WINDOW: Final = 2.0
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
class ResolutionSummary:
    """How well one quantity is known.

    Attributes:
        name: Quantity.
        unit: Unit of all numbers here.
        num_events: Events with a finite residual.
        num_invalid: Events whose residual is not finite; they are in none of the numbers.
        quantile: 68th percentile of the absolute residual.
        core: Gaussian of the core, whose mean is the bias; None for distances, which have none.
    """

    name: str
    unit: str
    num_events: int
    num_invalid: int
    quantile: Quantile
    core: CoreFit | None


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


def core_sigma(residuals: FloatArray) -> CoreFit:
    """Fit a Gaussian to the core of a distribution.

    The mean and standard deviation of the values within two sigma are corrected for what the cut takes away, and the
    window follows them until it rests. The fixed point is the maximum-likelihood fit of a cut Gaussian, and its
    errors are those of that fit.

    Args:
        residuals: Finite values, shape (N,).

    Raises:
        ValueError: If a value is not finite.

    Source: moments of the truncated normal distribution, e.g. Johnson, Kotz and Balakrishnan, "Continuous Univariate
        Distributions" (1994), section 13.10.
    """
    values = np.sort(np.asarray(residuals, dtype=np.float64))
    if not np.isfinite(values).all():
        raise ValueError(f"expected finite residuals, got {np.count_nonzero(~np.isfinite(values))} that are not")
    if len(values) < MIN_EVENTS:
        return CoreFit(np.nan, np.nan, np.nan, np.nan, len(values))
    mean, sigma, num_core = _resting_window(values)
    return CoreFit(
        sigma=sigma,
        sigma_error=sigma / float(np.sqrt(_CUT_VARIANCE_OF_SQUARE * num_core)),
        mean=mean,
        mean_error=sigma / float(np.sqrt(_CUT_VARIANCE * num_core)),
        num_core=num_core,
    )


def _resting_window(values: FloatArray) -> tuple[float, float, int]:
    """Return mean, sigma and number of sorted values of the window that its own contents confirm."""
    mean = float(np.median(values))
    # The middle half of a Gaussian lies within 0.6745 sigma, and tails do not reach it.
    sigma = float(np.median(np.abs(values - mean))) / 0.6745 or float(values.std())
    num_core = len(values)
    for _ in range(MAX_STEPS):
        first, last = np.searchsorted(values, [mean - CORE_WINDOW * sigma, mean + CORE_WINDOW * sigma])
        core = values[first:last]
        if sigma == 0 or len(core) < 2:
            break
        before = mean, sigma
        mean, sigma, num_core = float(core.mean()), float(core.std()) / _CUT_VARIANCE**0.5, len(core)
        if abs(mean - before[0]) + abs(sigma - before[1]) < 1e-6 * sigma:
            break
    return mean, sigma, num_core


def quantile_68(residuals: FloatArray) -> Quantile:
    """Return the 68th percentile of the absolute values, shape (N,), with the error that their order gives.

    The number of values below the true percentile is binomial; one standard deviation of it up and down leads to two
    values, and half of their distance is the error. NaN without values.

    Source: confidence intervals for quantiles from order statistics, e.g. David and Nagaraja, "Order Statistics"
        (2003), section 7.1.
    """
    values = np.sort(np.abs(residuals))
    if not len(values):
        return Quantile(float("nan"), float("nan"))
    share = 0.68
    spread = float(np.sqrt(share * (1.0 - share) / len(values)))
    low, middle, high = np.quantile(values, np.clip([share - spread, share, share + spread], 0.0, 1.0))
    return Quantile(float(middle), float(0.5 * (high - low)))
