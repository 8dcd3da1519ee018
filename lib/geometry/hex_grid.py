"""Neighbours on the staggered top and bottom faces.

Rows hold 11, 12, 11, 12, 13 and 14 sensors centred on z = 0, so a row is shifted against the next by half a pitch,
but not always towards the same side: the parity rule of ordinary hexagonal grids is wrong here. Neighbours are
found from the distance along z instead.
"""

from functools import cache

import numpy as np

from lib.geometry.sensors import STAGGERED_ROWS, STAGGERED_Z_PITCH, FloatArray, IndexArray

NUM_STAGGERED = sum(STAGGERED_ROWS)

# (row step, z step in pitches): the sensor itself, then counter-clockwise from +z.
DIRECTIONS = ((0, 0.0), (0, 1.0), (1, 0.5), (1, -0.5), (0, -1.0), (-1, -0.5), (-1, 0.5))
NUM_DIRECTIONS = len(DIRECTIONS)


def staggered_layout() -> tuple[IndexArray, FloatArray]:
    """Return row number and z in cm of the 73 sensors of a staggered face, each of shape (73,)."""
    rows = np.repeat(np.arange(len(STAGGERED_ROWS)), STAGGERED_ROWS)
    z = np.concatenate([(np.arange(n) - 0.5 * (n - 1)) * STAGGERED_Z_PITCH for n in STAGGERED_ROWS])
    return rows, z


@cache
def neighbour_table() -> IndexArray:
    """Return the neighbour of each sensor in each direction.

    Returns:
        Indices within the face, shape (73, 7), in the order of ``DIRECTIONS``; the first column is the sensor
        itself and -1 says that there is no neighbour.
    """
    rows, z = staggered_layout()
    table = np.full((NUM_STAGGERED, NUM_DIRECTIONS), -1)
    for direction, (row_step, z_step) in enumerate(DIRECTIONS):
        same_row = rows[None, :] == rows[:, None] + row_step
        same_z = np.abs(z[None, :] - z[:, None] - z_step * STAGGERED_Z_PITCH) < 0.1
        sensor, neighbour = np.nonzero(same_row & same_z)
        table[sensor, direction] = neighbour
    table.setflags(write=False)
    return table


def directed_edges() -> IndexArray:
    """Return all (sensor, neighbour) pairs within a face, shape (366, 2)."""
    table = neighbour_table()
    sensor, direction = np.nonzero(table[:, 1:] >= 0)
    return np.stack([sensor, table[sensor, direction + 1]], axis=1)
