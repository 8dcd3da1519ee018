"""The mirror image of the detector is the detector."""

import numpy as np
import pytest

from lib.errors import GeometryError
from lib.geometry.mirror import Mirror, mirrored_sensors, nominal_mirror
from lib.geometry.sensors import FACE_NAMES, SensorTable, dense_ids, nominal_sensors

MIRRORS: tuple[Mirror, ...] = ("z", "phi")
SIGNS = {"z": np.array([1.0, 1.0, -1.0]), "phi": np.array([1.0, -1.0, 1.0])}
SWAPPED = {"z": {"us": "ds", "ds": "us"}, "phi": {"top": "bottom", "bottom": "top"}}


@pytest.mark.parametrize("mirror", MIRRORS)
def test_partners_stand_and_look_where_the_image_does(mirror: Mirror) -> None:
    table, partner = nominal_sensors(), nominal_mirror(mirror)
    np.testing.assert_allclose(table.positions[partner], table.positions * SIGNS[mirror], atol=1e-9)
    np.testing.assert_allclose(table.normals[partner], table.normals * SIGNS[mirror], atol=1e-9)


@pytest.mark.parametrize("mirror", MIRRORS)
def test_twice_mirrored_is_as_before_and_every_sensor_has_one_partner(mirror: Mirror) -> None:
    partner = nominal_mirror(mirror)
    np.testing.assert_array_equal(partner[partner], np.arange(4760))
    assert not np.array_equal(partner, np.arange(4760))


@pytest.mark.parametrize("mirror", MIRRORS)
def test_faces_swap_as_they_should(mirror: Mirror) -> None:
    codes = nominal_sensors().face_codes
    for code, face in enumerate(FACE_NAMES):
        assert {FACE_NAMES[one] for one in codes[nominal_mirror(mirror)[codes == code]]} == {
            SWAPPED[mirror].get(face, face)
        }


def test_the_dense_lattice_of_the_outer_face_stays_on_itself() -> None:
    np.testing.assert_array_equal(nominal_mirror("z")[dense_ids()], dense_ids()[:, ::-1])
    np.testing.assert_array_equal(nominal_mirror("phi")[dense_ids()], dense_ids()[::-1])


def test_reflections_commute() -> None:
    z, phi = nominal_mirror("z"), nominal_mirror("phi")
    np.testing.assert_array_equal(z[phi], phi[z])


def test_a_detector_that_is_not_symmetric_is_refused() -> None:
    table = nominal_sensors()
    moved = table.positions.copy()
    moved[100, 2] += 0.01
    with pytest.raises(GeometryError, match=r"has no partner under a reflection of z: .* Only the nominal detector"):
        mirrored_sensors(SensorTable(moved, table.normals, table.face_codes), "z")
