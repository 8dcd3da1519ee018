"""Dead channels for trials: anywhere, or in clusters."""

from typing import Final

import numpy as np

from lib.errors import UserError
from lib.geometry.coordinates import BoolArray
from lib.geometry.faces import rectangular_face
from lib.geometry.sensors import NUM_SENSORS

CLUSTER_SIDE: Final = 3


def draw_sensors(rng: np.random.Generator, events: int, count: int) -> BoolArray:
    """Return ``count`` sensors of each event, drawn anew for each, shape (events, 4760)."""
    ranks = rng.random((events, NUM_SENSORS)).argsort(axis=1).argsort(axis=1)
    return ranks < count


def draw_clusters(rng: np.random.Generator, count: int) -> BoolArray:
    """Return ``count`` squares of 3 x 3 MPPCs that do not overlap, shape (4760,).

    Raises:
        UserError: If so many do not fit.
    """
    ids = rectangular_face("inner").sensor_ids
    rows, columns = (length // CLUSTER_SIDE for length in ids.shape)
    if count > rows * columns:
        raise UserError(f"{count} clusters of 3 x 3 do not fit on the inner face, which has room for {rows * columns}.")
    chosen = rng.choice(rows * columns, size=count, replace=False)
    dead = np.zeros(NUM_SENSORS, dtype=bool)
    for row, column in zip(*np.divmod(chosen, columns), strict=True):
        corner = CLUSTER_SIDE * row, CLUSTER_SIDE * column
        dead[ids[corner[0] : corner[0] + CLUSTER_SIDE, corner[1] : corner[1] + CLUSTER_SIDE]] = True
    return dead
