"""Nearest sensors must be the nearest, of the wanted faces, and never the sensor itself."""

import numpy as np
import pytest

from lib.geometry.neighbours import nearest_sensors
from lib.geometry.sensors import nominal_sensors

TABLE = nominal_sensors()
SENSORS = np.array([0, 2000, 4091, 4092, 4186, 4300, 4400, 4500, 4596, 4700, 4742])


@pytest.mark.parametrize("same_face", [True, False])
def test_neighbours_are_those_at_the_smallest_distances(same_face: bool) -> None:
    neighbours = nearest_sensors(TABLE, 8, same_face=same_face)
    assert neighbours.shape == (4760, 8)
    distance = np.linalg.norm(TABLE.positions[SENSORS, None] - TABLE.positions, axis=-1)
    distance[np.arange(len(SENSORS)), SENSORS] = np.inf
    if same_face:
        distance[TABLE.face_codes[SENSORS, None] != TABLE.face_codes] = np.inf
    # Equal distances may come in either order; the distances themselves may not.
    found = np.take_along_axis(distance, neighbours[SENSORS], axis=1)
    np.testing.assert_allclose(found, np.sort(distance, axis=1)[:, :8])


def test_no_sensor_neighbours_itself_or_repeats_another() -> None:
    neighbours = nearest_sensors(TABLE, 72, same_face=True)
    assert (neighbours != np.arange(4760)[:, None]).all()
    assert (np.diff(np.sort(neighbours, axis=1), axis=1) > 0).all()
    np.testing.assert_array_equal(TABLE.face_codes[neighbours], np.broadcast_to(TABLE.face_codes[:, None], (4760, 72)))


def test_three_faces_meet_in_a_corner() -> None:
    # Sensor 4308 is the upstream face's innermost at the top: MPPCs, its own face and the top face surround it.
    across = nearest_sensors(TABLE, 8, same_face=False)
    assert set(TABLE.face_codes[across[4308]]) == {0, 2, 4}
