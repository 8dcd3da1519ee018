"""Dead channels from what lies around them: averages of neighbours, and the light of one point.

Every method takes raw readings and what is dead, and returns readings in which the dead channels are filled in; all
other sensors stay untouched. So does the inpainter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, TypeAlias

import numpy as np

from lib.baselines.conventional_sensors import inner_image, is_valid
from lib.baselines.position_fit import LIGHT_PATH, expected_photons, fit_points
from lib.data.branches import NO_VALUE
from lib.geometry.coordinates import BoolArray, uvw_to_xyz
from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import MPPC_CHIP_WIDTH, NUM_MPPC, PMT_RADIUS, FloatArray, IndexArray, nominal_sensors

DeadChannelMethod: TypeAlias = Literal["neighbours", "solid_angle", "light_fit"]

NUM_NEIGHBOURS: Final = 12
# Weighed solid angles that sum up to less say nothing about the light; the plain mean does.
_LEAST_SUM: Final = 1e-9
_FIT_RADIUS: Final = 8.0  # cm; beyond, one point does not describe the light on the inner face
_MAX_CHI_SQUARE: Final = 25.0


@dataclass(frozen=True)
class Restored:
    """Readings with the dead channels filled in.

    Attributes:
        npho: Photons, shape (n, 4760); 1e10 where there is still no value.
        time: Seconds, shape (n, 4760); 1e10 where there is still no value.
    """

    npho: FloatArray
    time: FloatArray


@dataclass(frozen=True)
class _Gaps:
    """The dead channels of n events and what was measured around them; k channels, m neighbours.

    Attributes:
        event: Of each dead channel, shape (k,).
        sensor: Id of each dead channel, shape (k,).
        neighbours: Ids, near ones first, shape (k, m).
        weight: Inverse squared distance, 0 where nothing was measured, shape (k, m).
        timed: Whether a neighbour has a time, shape (k, m).
    """

    event: IndexArray
    sensor: IndexArray
    neighbours: IndexArray
    weight: FloatArray
    timed: BoolArray


def restore_dead_channels(npho: FloatArray, time: FloatArray, dead: BoolArray, method: DeadChannelMethod) -> Restored:
    """Return the readings with the dead channels filled in.

    Args:
        npho: Photons, shape (n, 4760); what stands at dead channels has no influence.
        time: Seconds, shape (n, 4760).
        dead: True for the channels to restore, shape (n, 4760) or (4760,).
        method: neighbours: mean of the valid among the twelve nearest of the face, by inverse squared distance.
            solid_angle: each neighbour's photons over its solid angle from the light's centre, times the channel's own;
            the plain mean where solid angles are too small. light_fit: on the inner face the light of the point that
            fits best, elsewhere as solid_angle.

    Returns:
        Photons and times; a channel without valid neighbours counts as dark and has no time.
    """
    dead = np.broadcast_to(dead, npho.shape)
    npho = np.where(dead, NO_VALUE, npho).astype(np.float64)
    time = np.where(dead, NO_VALUE, time).astype(np.float64)
    gaps = _find_gaps(npho, time, dead)
    restored = _METHODS[method](npho, gaps)
    filled_npho, filled_time = npho.copy(), time.copy()
    filled_npho[gaps.event, gaps.sensor] = restored
    filled_time[gaps.event, gaps.sensor] = _mean_time(time, gaps)
    return Restored(filled_npho, filled_time)


def _find_gaps(npho: FloatArray, time: FloatArray, dead: BoolArray) -> _Gaps:
    event, sensor = np.nonzero(dead)
    neighbours = _nearest()[sensor]
    place = (event[:, None], neighbours)
    positions = nominal_sensors().positions
    squared = ((positions[neighbours] - positions[sensor][:, None]) ** 2).sum(axis=-1)
    valid = is_valid(npho[place])
    return _Gaps(event, sensor, neighbours, valid / squared, valid & is_valid(time[place]))


@cache
def _nearest() -> IndexArray:
    return nearest_sensors(nominal_sensors(), NUM_NEIGHBOURS, same_face=True)


def _around(values: FloatArray, gaps: _Gaps) -> FloatArray:
    """Return the readings of the neighbours, 0 where there is none, shape (k, m)."""
    around = values[gaps.event[:, None], gaps.neighbours]
    return np.where(is_valid(around), around, 0.0)


def _mean(values: FloatArray, weights: FloatArray, otherwise: float) -> FloatArray:
    total = weights.sum(axis=1)
    out = np.full(len(total), otherwise)
    return np.divide((values * weights).sum(axis=1), total, out=out, where=total > 0)


def _mean_time(time: FloatArray, gaps: _Gaps) -> FloatArray:
    return _mean(_around(time, gaps), gaps.weight * gaps.timed, NO_VALUE)


def _neighbour_mean(npho: FloatArray, gaps: _Gaps) -> FloatArray:
    return _mean(_around(npho, gaps), gaps.weight, 0.0)


def _solid_angle_mean(npho: FloatArray, gaps: _Gaps) -> FloatArray:
    """Return the light per solid angle of the neighbours times the channel's solid angle; photons, shape (k,)."""
    xyz = uvw_to_xyz(fit_points(inner_image(npho)).uvw)[gaps.event]
    own = _solid_angle(xyz, gaps.sensor)
    around = _solid_angle(xyz[:, None], gaps.neighbours)
    plain = _neighbour_mean(npho, gaps)
    total = (around * gaps.weight).sum(axis=1)
    light = np.divide(
        (_around(npho, gaps) * gaps.weight).sum(axis=1), total, out=plain.copy(), where=total > _LEAST_SUM
    )
    return np.where(total > _LEAST_SUM, light * own, plain)


def _solid_angle(xyz: FloatArray, sensor: IndexArray) -> FloatArray:
    """Return the solid angle of sensors seen from points, in the approximation of far ones, with absorption.

    Near the surface the distance is bounded by the sensor's own size, so that the angle stays below half the sphere.
    """
    table = nominal_sensors()
    way = xyz - table.positions[sensor]
    distance_squared = (way**2).sum(axis=-1)
    height = np.abs((way * table.normals[sensor]).sum(axis=-1))
    area = np.where(sensor < NUM_MPPC, 4 * MPPC_CHIP_WIDTH**2, np.pi * PMT_RADIUS**2)
    distance = np.sqrt(distance_squared + area / np.pi)
    return area * height / distance**3 * np.exp(-distance / LIGHT_PATH)


def _light_fit(npho: FloatArray, gaps: _Gaps) -> FloatArray:
    """Return the photons that the best point sends to dead MPPCs around it; elsewhere as ``_solid_angle_mean``."""
    fit = fit_points(inner_image(npho))
    restored = _solid_angle_mean(npho, gaps)
    xyz = uvw_to_xyz(fit.uvw)[gaps.event]
    distance = np.linalg.norm(xyz - nominal_sensors().positions[gaps.sensor], axis=1)
    good = (gaps.sensor < NUM_MPPC) & (distance < _FIT_RADIUS) & (fit.chi_square[gaps.event] < _MAX_CHI_SQUARE)
    chosen = np.flatnonzero(good)
    restored[chosen] = expected_photons(fit, gaps.event[chosen], gaps.sensor[chosen])
    return restored


_METHODS: Final[dict[DeadChannelMethod, Callable[[FloatArray, _Gaps], FloatArray]]] = {
    "neighbours": _neighbour_mean,
    "solid_angle": _solid_angle_mean,
    "light_fit": _light_fit,
}
