"""The outer face on one grid: 45 cells along z by 72 along phi.

The coarse lattice (9 x 24) and the dense patch (5 x 6) have no common pitch, but both divide the same fine grid:
a coarse sensor covers 5 x 3 cells, a dense one 3 x 2. Charge is shared among the cells of a sensor, time is copied.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from lib.geometry.sensors import IndexArray, coarse_ids, dense_ids

FINE_SHAPE = (45, 72)
COARSE_CELL = (5, 3)
DENSE_CELL = (3, 2)
DENSE_Z, DENSE_PHI = slice(15, 30), slice(30, 42)


@dataclass(frozen=True)
class OuterGrid:
    """The fine grid of the outer face.

    Attributes:
        sensor_ids: Sensor that each cell belongs to, shape (45, 72): z ascending, phi descending.
        cells_per_sensor: Cells among which that sensor's charge is divided, 15 or 6, shape (45, 72).
        covered_ids: The 234 sensors of the face, ascending, shape (234,).
        owner: Position in ``covered_ids`` of each cell's sensor, shape (45, 72): the inverse of the gather.
    """

    sensor_ids: IndexArray
    cells_per_sensor: IndexArray
    covered_ids: IndexArray
    owner: IndexArray


def _spread(ids_by_phi: IndexArray, cell: tuple[int, int]) -> IndexArray:
    """Repeat each sensor of a (phi, z) map over its cells and turn the map to (z, phi)."""
    return np.repeat(np.repeat(ids_by_phi.T, cell[0], axis=0), cell[1], axis=1)


@cache
def outer_grid() -> OuterGrid:
    """Return the fine grid with the dense patch set into the coarse lattice."""
    sensor_ids = _spread(coarse_ids(), COARSE_CELL)
    sensor_ids[DENSE_Z, DENSE_PHI] = _spread(dense_ids(), DENSE_CELL)
    covered_ids, owner, counts = np.unique(sensor_ids, return_inverse=True, return_counts=True)
    owner = owner.reshape(FINE_SHAPE)
    return OuterGrid(sensor_ids, counts[owner], covered_ids, owner)
