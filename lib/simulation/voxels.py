"""Deposits merged into cells: the sources of light."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.coordinates import xyz_to_uvw
from lib.geometry.sensors import (
    CONE_SLOPE,
    OUTER_RADIUS,
    PHI_SPAN,
    REFERENCE_RADIUS,
    WALL_HALF_LENGTH,
    FloatArray,
    IndexArray,
)
from lib.simulation.shower import Deposits

# Cells are narrower than the pitch of the MPPCs next to a sensor, and twice and four times as wide beyond these
# distances from the nearest face, where no sensor is near enough to tell.
_CELL = 0.6  # cm
_DOUBLE_DISTANCE, _QUADRUPLE_DISTANCE = 2.4, 7.2  # cm


def sum_by_index(index: IndexArray, values: FloatArray, count: int) -> FloatArray:
    """Return the sums of the values that share an index, shape (count,), in double precision."""
    return np.bincount(index, values, minlength=count).astype(np.float64, copy=False)


def distance_to_faces(uvw: FloatArray) -> FloatArray:
    """Return the distance in cm to the nearest face, to a few percent, shape (n,) for points of shape (n, 3)."""
    u, v, w = np.moveaxis(uvw, -1, 0)
    to_wall = WALL_HALF_LENGTH + w * CONE_SLOPE - np.abs(u)
    to_end = 0.5 * PHI_SPAN * REFERENCE_RADIUS - np.abs(v)
    return np.minimum(np.minimum(w, OUTER_RADIUS - REFERENCE_RADIUS - w), np.minimum(to_wall, to_end))


@dataclass(frozen=True)
class Sources:
    """Point-like sources of light, sorted by event.

    Attributes:
        position: Energy-weighted mean of what was merged, cm, shape (n, 3).
        energy: MeV, shape (n,).
        time: Energy-weighted mean, ns, shape (n,).
        bounds: The sources of event k are those from bounds[k] to bounds[k + 1], shape (events + 1,).
    """

    position: FloatArray
    energy: FloatArray
    time: FloatArray
    bounds: IndexArray

    @property
    def num_events(self) -> int:
        """Events that the sources belong to."""
        return len(self.bounds) - 1

    @property
    def event(self) -> IndexArray:
        """Event of each source, shape (n,)."""
        return np.repeat(np.arange(self.num_events), np.diff(self.bounds))

    def energy_per_event(self) -> FloatArray:
        """Return the deposited energy in MeV, shape (events,)."""
        return sum_by_index(self.event, self.energy, self.num_events)

    def centre(self) -> FloatArray:
        """Return the energy-weighted mean position of each event in cm, shape (events, 3)."""
        moments = [sum_by_index(self.event, self.energy * axis, self.num_events) for axis in self.position.T]
        return np.stack(moments, axis=1) / self.energy_per_event()[:, None]

    def pick(self, events: IndexArray) -> "Sources":
        """Return the sources of some events, which are numbered anew in the order given."""
        counts = np.diff(self.bounds)[events]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        chosen = np.arange(bounds[-1]) + np.repeat(self.bounds[events] - bounds[:-1], counts)
        return Sources(self.position[chosen], self.energy[chosen], self.time[chosen], bounds)


def merge_deposits(deposits: Deposits, num_events: int) -> Sources:
    """Merge the deposits of each event that share a cell of the (u, v, w) lattice.

    Args:
        deposits: In any order.
        num_events: Events that they belong to.
    """
    uvw = xyz_to_uvw(deposits.position.T)
    distance = distance_to_faces(uvw)
    level = (distance >= _DOUBLE_DISTANCE).astype(np.int64) + (distance >= _QUADRUPLE_DISTANCE)
    lattice = np.floor(uvw / (_CELL * 2.0**level)[:, None]).astype(np.int64) + 512
    key = (((deposits.event * 4 + level) * 1024 + lattice[:, 0]) * 1024 + lattice[:, 1]) * 1024 + lattice[:, 2]
    unique, owner = np.unique(key, return_inverse=True)
    energy = sum_by_index(owner, deposits.energy, len(unique))
    share = deposits.energy / energy[owner]
    position = np.stack([sum_by_index(owner, share * axis, len(unique)) for axis in deposits.position], axis=1)
    bounds = np.searchsorted(unique, np.arange(num_events + 1) << 32)
    return Sources(position, energy, sum_by_index(owner, share * deposits.time, len(unique)), bounds)
