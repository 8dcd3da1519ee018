"""Square patches of MPPCs around a point of the inner face."""

import numpy as np

from lib.geometry.coordinates import xyz_to_uvw
from lib.geometry.sensors import INNER_PHI_PITCH, INNER_SHAPE, INNER_Z_PITCH, REFERENCE_RADIUS, FloatArray, IndexArray


def nearest_cell(position: FloatArray) -> tuple[IndexArray, IndexArray]:
    """Return row and column of the MPPC nearest to points in cm, shape (n,) each for points of shape (n, 3).

    Points beyond the edge of the lattice get its edge.
    """
    num_rows, num_columns = INNER_SHAPE
    u, v, _ = xyz_to_uvw(position).T
    row = np.rint(0.5 * (num_rows - 1) - v / (REFERENCE_RADIUS * INNER_PHI_PITCH)).astype(np.intp)
    column = np.rint(0.5 * (num_columns - 1) + u / INNER_Z_PITCH).astype(np.intp)
    return np.clip(row, 0, num_rows - 1), np.clip(column, 0, num_columns - 1)


def patch_ids(position: FloatArray, half_width: int) -> IndexArray:
    """Return the sensor ids of the square patch around each point.

    Args:
        position: Points in cm, shape (n, 3).
        half_width: Sensors to each side of the nearest one.

    Returns:
        Shape (n, (2 half_width + 1)^2). A patch at the edge is moved inwards, so that it never names a sensor twice.
    """
    num_rows, num_columns = INNER_SHAPE
    row, column = nearest_cell(position)
    row = np.clip(row, half_width, num_rows - 1 - half_width)
    column = np.clip(column, half_width, num_columns - 1 - half_width)
    steps = np.arange(-half_width, half_width + 1)
    ids = (row[:, None, None] + steps[:, None]) * num_columns + column[:, None, None] + steps
    return ids.reshape(len(row), len(steps) ** 2)
