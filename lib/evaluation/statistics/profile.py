"""How residuals change along the truth: bias, core width and 68 % in bins of another quantity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.evaluation.statistics.distribution import COARSE, Distribution
from lib.evaluation.statistics.resolution import CoreFit, Quantile, core_sigma, quantile_68, weighted_quantiles
from lib.geometry.sensors import FloatArray

# Fewer events than this would make a bin's numbers jump.
MIN_EVENTS_PER_BIN: Final = 20


@dataclass(frozen=True, eq=False)
class Axis:
    """A true quantity along which residuals are looked at.

    Attributes:
        name: Short name.
        label: Name and unit.
        edges: Bounds of the bins, shape (k + 1,); events outside are in no bin.
    """

    name: str
    label: str
    edges: FloatArray


# Bins of the fiducial volume and of the calibration's energies; depths crowd at the entrance.
AXES: Final = (
    Axis("u", "true u (cm)", np.linspace(-24.0, 24.0, 13)),
    Axis("v", "true v (cm)", np.linspace(-68.0, 68.0, 13)),
    Axis("w", "true w (cm)", np.array([0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 41.3])),
    Axis("energy", "true energy (MeV)", np.array([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 70, 85, 100.0])),
    Axis("theta", "true theta (deg)", np.linspace(60.0, 120.0, 13)),
    Axis("phi", "true phi (deg)", np.linspace(-66.0, 66.0, 13)),
)


def axis_values(true: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the true values along every axis that is known, shape (N,) each.

    Args:
        true: Truth by task name, shape (N, width) each, in the units of the targets.
    """
    found: dict[str, FloatArray] = {}
    if "uvwFI" in true:
        found |= {name: true["uvwFI"][:, i] for i, name in enumerate("uvw")}
    if "energy" in true:
        found["energy"] = 1e3 * true["energy"][:, 0]
    if "angle" in true:
        found |= {"theta": true["angle"][:, 0], "phi": true["angle"][:, 1]}
    return found


@dataclass(frozen=True, eq=False)
class ProfileBin:
    """What is known of the residuals of one bin.

    Attributes:
        middle: Mean of the true values in it.
        median: Middle of the residuals.
        median_error: Its statistical error.
        quantile: 68th percentile of the absolute residuals.
        core: Gaussian of their core.
    """

    middle: float
    median: float
    median_error: float
    quantile: Quantile
    core: CoreFit


class Profile:
    """Distributions of residuals in the bins of an axis; memory does not grow with the events.

    Args:
        axis: Supplies the bins.
    """

    def __init__(self, axis: Axis) -> None:
        self.axis = axis
        num_bins = len(axis.edges) - 1
        self._residuals = [Distribution(COARSE) for _ in range(num_bins)]
        self._sums = np.zeros(num_bins)

    def add(self, residuals: FloatArray, truth: FloatArray) -> None:
        """Take in residuals and the true values beside them, shape (N,) each; what is not finite is left out."""
        keep = np.isfinite(residuals) & np.isfinite(truth)
        residuals, truth = residuals[keep], truth[keep].astype(np.float64)
        index = np.searchsorted(self.axis.edges, truth, side="right") - 1
        for number, distribution in enumerate(self._residuals):
            inside = index == number
            if inside.any():
                distribution.add(residuals[inside])
                self._sums[number] += truth[inside].sum()

    def join(self, other: "Profile") -> None:
        """Take in what another profile along the same axis has."""
        for mine, theirs in zip(self._residuals, other._residuals, strict=True):
            mine.join(theirs)
        self._sums += other._sums

    def bins(self) -> list[ProfileBin]:
        """Return the bins with at least 20 events."""
        pairs = zip(self._residuals, self._sums, strict=True)
        return [_describe(found, total) for found, total in pairs if found.num_values >= MIN_EVENTS_PER_BIN]


def _describe(found: Distribution, total: float) -> ProfileBin:
    values, counts = found.filled_bins()
    # One binomial standard deviation of the rank of the median, up and down.
    spread = 0.5 / np.sqrt(found.num_values)
    low, median, high = weighted_quantiles(values, counts, np.clip([0.5 - spread, 0.5, 0.5 + spread], 0.0, 1.0))
    return ProfileBin(
        middle=total / found.num_values,
        median=float(median),
        median_error=0.5 * float(high - low),
        quantile=quantile_68(values, counts),
        core=core_sigma(values, counts),
    )
