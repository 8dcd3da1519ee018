"""Time of the photon from the times of the sensors, corrected for the light's way and averaged by their errors."""

import numpy as np

from lib.baselines.conventional_sensors import is_valid
from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import FloatArray, nominal_sensors

# What a calibration would bring: mean efficiencies, resolution, walk, and the speed of the light.
MPPC_EFFICIENCY, PMT_EFFICIENCY = 0.08, 0.16
STATISTICS, CONSTANT, WALK = 12.0, 0.10, 1.5  # ns / sqrt(photoelectrons), ns, ns / sqrt(photoelectrons)
SLOWNESS = 1.80 / 29.9792458  # ns / cm
_MIN_PHOTOELECTRONS = 20.0
_MAX_DEVIATION, _NUM_REJECTIONS = 5.0, 2
_NS_PER_SECOND = 1e9


def mean_time(npho: FloatArray, time: FloatArray, uvw: FloatArray) -> FloatArray:
    """Return the weighted mean of the sensors' times less the light's flight from the point.

    Args:
        npho: Photons, shape (n, 4760).
        time: Seconds, shape (n, 4760).
        uvw: Where the light comes from, cm, shape (n, 3).

    Returns:
        ns, shape (n,); NaN for events without a sensor of enough light. Sensors five standard deviations off the
        mean, as those that another photon reached first, are left out.
    """
    table = nominal_sensors()
    efficiency = np.where(table.is_mppc, MPPC_EFFICIENCY, PMT_EFFICIENCY)
    measured = is_valid(npho) & is_valid(time)
    photoelectrons = np.where(measured, npho, 0.0) * efficiency
    measured &= photoelectrons > _MIN_PHOTOELECTRONS
    inverse_root = 1 / np.sqrt(np.maximum(photoelectrons, _MIN_PHOTOELECTRONS))
    way = np.linalg.norm(table.positions - uvw_to_xyz(uvw)[:, None], axis=2)
    start = np.where(measured, time, 0.0) * _NS_PER_SECOND - way * SLOWNESS - WALK * inverse_root
    variance = (STATISTICS * inverse_root) ** 2 + CONSTANT**2
    mean = _weighted_mean(start, measured / variance)
    for _ in range(_NUM_REJECTIONS):
        near = np.abs(start - mean[:, None]) < _MAX_DEVIATION * np.sqrt(variance)
        mean = _weighted_mean(start, measured * near / variance)
    return mean


def _weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mean of each row, NaN where all weights are 0, shape (n,)."""
    total = weights.sum(axis=1)
    return np.divide((weights * values).sum(axis=1), total, out=np.full(len(values), np.nan), where=total > 0)
