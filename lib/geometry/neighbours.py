"""Nearest sensors by distance in space, across faces or within one."""

import numpy as np
from scipy.spatial import cKDTree

from lib.geometry.sensors import IndexArray, SensorTable


def nearest_sensors(table: SensorTable, count: int, *, same_face: bool) -> IndexArray:
    """Return the nearest other sensors of every sensor.

    Args:
        table: The detector.
        count: How many neighbours each sensor gets; at most 72, the smallest face without the sensor itself.
        same_face: Whether neighbours must lie on the sensor's own face.

    Returns:
        Sensor ids by growing distance, shape (4760, count).
    """
    groups = [np.arange(len(table.positions))]
    if same_face:
        groups = [np.flatnonzero(table.face_codes == code) for code in np.unique(table.face_codes)]
    neighbours = np.empty((len(table.positions), count), dtype=np.int64)
    for ids in groups:
        positions = table.positions[ids]
        # The nearest of all is the sensor itself.
        _, nearest = cKDTree(positions).query(positions, k=range(2, count + 2))
        neighbours[ids] = ids[np.asarray(nearest)]
    return neighbours
