"""How well a photon could be measured at best: the Cramer-Rao bound of photon statistics, and containment."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lib.geometry.coordinates import uvw_to_xyz, xyz_to_uvw
from lib.geometry.sensors import FloatArray
from lib.simulation.config import TimingConfig
from lib.simulation.detector_state import DetectorState
from lib.simulation.light import LightModel
from lib.simulation.voxels import Sources

# Medians over events of 52.83 MeV in the default preset, macro/estimate_bounds.py: in mm, % and ps. That of the energy
# is photon statistics and containment together.
NOMINAL_BOUNDS: Final = {"u": 0.42, "v": 0.38, "w": 0.42, "energy": 0.83, "time": 46.0}

# Half the distance over which light is differentiated: small against the shower, large against rounding.
_STEP = 0.05  # cm


@dataclass(frozen=True)
class StatisticalBounds:
    """Smallest standard deviations that an unbiased estimate can have, for each of n events.

    Attributes:
        uvw: Of a rigid shift of the shower, the energy being fitted along, cm, shape (n, 3).
        log_energy: Of the logarithm of the light, the position being fitted along, shape (n,).
        time: ns, shape (n,).
    """

    uvw: FloatArray
    log_energy: FloatArray
    time: FloatArray


def statistical_bounds(
    sources: Sources, light: LightModel, detector: DetectorState, timing: TimingConfig
) -> StatisticalBounds:
    """Return the Cramer-Rao bounds for showers whose shape is known.

    The information of a sensor is that of a normal count with the variance of photon statistics, excess and electronic
    noise; errors of the calibration and fluctuations of the shower come on top in reality. Dead channels know nothing.

    Args:
        sources: Where light starts, n events.
        light: How it reaches the sensors.
        detector: The sensors.
        timing: How they measure time.
    """
    live = ~detector.dead
    mean = _photoelectrons(sources, light, detector)[:, live]
    variance = mean * detector.excess_noise[live] + detector.noise[live] ** 2
    slopes = []
    for axis in range(3):
        ahead = _photoelectrons(_shifted(sources, axis, _STEP), light, detector)
        behind = _photoelectrons(_shifted(sources, axis, -_STEP), light, detector)
        slopes.append((ahead - behind)[:, live] / (2 * _STEP))
    gradient = np.stack([*slopes, mean], axis=1)  # (n, 4, live sensors)
    information = (gradient / variance[:, None]) @ gradient.transpose(0, 2, 1)
    sigma = np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2))
    return StatisticalBounds(sigma[:, :3], sigma[:, 3], _time_bound(mean, timing))


def _photoelectrons(sources: Sources, light: LightModel, detector: DetectorState) -> FloatArray:
    return light.expected(sources).photons.astype(np.float64) * detector.efficiency


def _shifted(sources: Sources, axis: int, step: float) -> Sources:
    """Return the sources moved along u, v or w by ``step`` cm."""
    uvw = xyz_to_uvw(sources.position)
    uvw[:, axis] += step
    return replace(sources, position=uvw_to_xyz(uvw))


def _time_bound(photoelectrons: FloatArray, timing: TimingConfig) -> FloatArray:
    """Return the error of the weighted mean of all sensors that have a time, ns, shape (n,)."""
    variance = timing.statistics**2 / np.maximum(photoelectrons, 1e-9) + timing.constant**2
    weights = np.where(photoelectrons >= timing.min_photoelectrons, 1 / variance, 0.0)
    return 1 / np.sqrt(np.maximum(weights.sum(axis=1), 1e-30))
