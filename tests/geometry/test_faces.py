"""The faces must share out the sensors without gap or overlap, and be the right way up."""

import numpy as np
import pytest

from lib.geometry.faces import (
    face_sensor_ids,
    rectangular_face,
    staggered_face,
)
from lib.geometry.outer_grid import outer_grid
from lib.geometry.sensors import FACE_NAMES, NUM_SENSORS, nominal_sensors

POSITIONS = nominal_sensors().positions


def test_six_faces_cover_every_sensor_once() -> None:
    covered = [rectangular_face(name).sensor_ids.ravel() for name in ("inner", "us", "ds")]
    covered += [staggered_face(name).sensor_ids for name in ("top", "bottom")]
    covered.append(outer_grid().covered_ids)
    np.testing.assert_array_equal(np.sort(np.concatenate(covered)), np.arange(NUM_SENSORS))


def test_face_codes_and_face_maps_agree() -> None:
    for name in ("inner", "us", "ds"):
        ids = np.sort(rectangular_face(name).sensor_ids, axis=None)
        np.testing.assert_array_equal(face_sensor_ids(FACE_NAMES.index(name)), ids)
    for name in ("top", "bottom"):
        np.testing.assert_array_equal(face_sensor_ids(FACE_NAMES.index(name)), staggered_face(name).sensor_ids)
    np.testing.assert_array_equal(face_sensor_ids(FACE_NAMES.index("outer")), outer_grid().covered_ids)


def test_both_lattices_of_the_outer_face_cover_it() -> None:
    coarse, dense = rectangular_face("outer_coarse"), rectangular_face("outer_dense")
    union = np.union1d(coarse.sensor_ids, dense.sensor_ids)
    np.testing.assert_array_equal(union, face_sensor_ids(FACE_NAMES.index("outer")))
    assert np.intersect1d(coarse.sensor_ids, dense.sensor_ids).size == 12


@pytest.mark.parametrize(
    ("name", "shape"),
    [("inner", (93, 44)), ("us", (24, 6)), ("ds", (24, 6)), ("outer_coarse", (24, 9)), ("outer_dense", (6, 5))],
)
def test_rows_run_down_in_phi_and_columns_up_in_z_or_radius(name: str, shape: tuple[int, int]) -> None:
    face = rectangular_face(name)
    assert face.name == name
    assert face.shape == shape
    x, y, z = np.moveaxis(POSITIONS[face.sensor_ids], -1, 0)
    phi, radius = np.arctan2(y, -x), np.hypot(x, y)
    along_columns = np.diff(radius if name in {"us", "ds"} else z, axis=1)
    if name == "outer_coarse":
        # Twelve of its sensors have left their places for the dense patch; half of a row still shows the direction.
        assert np.median(along_columns) > 10
        assert np.median(np.diff(phi, axis=0)) < -0.09
        return
    assert (along_columns > 1.0).all()
    assert (np.diff(phi, axis=0) < -0.01).all()


@pytest.mark.parametrize("name", ["top", "bottom"])
def test_staggered_sensors_are_listed_by_radius_then_z(name: str) -> None:
    face = staggered_face(name)
    assert face.name == name
    radius = np.hypot(*POSITIONS[face.sensor_ids, :2].T).round(6)
    np.testing.assert_array_equal(np.lexsort((POSITIONS[face.sensor_ids, 2], radius)), np.arange(73))
