"""Coordinates must be each other's inverses and angles right at both ends of their range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.geometry.coordinates import (
    Fiducial,
    emission_angles,
    emission_vector,
    in_active_xenon,
    opening_angle,
    uvw_to_xyz,
    xyz_to_uvw,
)
from lib.geometry.sensors import NUM_MPPC, REFERENCE_RADIUS, nominal_sensors

_LENGTHS = st.floats(-60, 60)


@given(u=_LENGTHS, v=_LENGTHS, w=st.floats(-60, 60))
def test_uvw_and_xyz_are_inverses(u: float, v: float, w: float) -> None:
    uvw = np.array([u, v, w])
    np.testing.assert_allclose(xyz_to_uvw(uvw_to_xyz(uvw)), uvw, atol=1e-9)


@given(x=st.floats(-200, -1), y=st.floats(-200, 200), z=_LENGTHS)
def test_xyz_and_uvw_are_inverses(x: float, y: float, z: float) -> None:
    np.testing.assert_allclose(uvw_to_xyz(xyz_to_uvw(np.array([x, y, z]))), [x, y, z], atol=1e-9)


def test_depth_is_zero_on_the_mppc_surface_and_v_is_an_arc_upwards() -> None:
    uvw = xyz_to_uvw(nominal_sensors().positions[:NUM_MPPC]).reshape(93, 44, 3)
    np.testing.assert_allclose(uvw[..., 2], 0.0, atol=1e-12)
    np.testing.assert_allclose(np.diff(uvw[..., 1], axis=0), -1.5305, atol=1e-4)
    np.testing.assert_allclose(xyz_to_uvw(np.array([0.0, REFERENCE_RADIUS, 3.0])), [3, REFERENCE_RADIUS * np.pi / 2, 0])


@pytest.mark.parametrize(
    ("direction", "angles"),
    [
        ((-1, 0, 0), (90, 0)),
        ((0, 1, 0), (90, 90)),
        ((0, -1, 0), (90, -90)),
        ((-3, 0, 3), (45, 0)),
        ((-1, 1, 0), (90, 45)),
        ((-1, 0, -1), (135, 0)),
    ],
)
def test_emission_angles_start_at_the_beam_and_at_minus_x(direction: tuple[int, ...], angles: tuple[int, ...]) -> None:
    np.testing.assert_allclose(emission_angles(np.array(direction)), angles, atol=1e-9)


@given(theta=st.floats(0.1, 179.9), phi=st.floats(-179.9, 179.9))
def test_emission_angles_and_vectors_are_inverses(theta: float, phi: float) -> None:
    vector = emission_vector(np.array([theta, phi]))
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    np.testing.assert_allclose(emission_angles(vector), [theta, phi], atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-6, 0.3, 45.0, 90.0, 179.0, 180.0 - 1e-6, 180.0])
def test_opening_angle_keeps_its_digits_at_both_ends(angle: float) -> None:
    first = np.array([2.0, 0.0, 0.0])
    second = 5.0 * np.array([np.cos(np.radians(angle)), 0.0, np.sin(np.radians(angle))])
    assert opening_angle(first, second) == pytest.approx(angle, rel=1e-6, abs=1e-13)


def test_opening_angle_does_not_round_small_angles_of_single_precision_vectors() -> None:
    first = emission_vector(np.array([60.0, 20.0])).astype(np.float32)
    second = emission_vector(np.array([60.001, 20.0])).astype(np.float32)
    exact = opening_angle(first.astype(np.float64), second.astype(np.float64))
    assert opening_angle(first, second) == pytest.approx(exact, rel=1e-12)


def test_opening_angle_is_symmetric_and_broadcasts() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    np.testing.assert_allclose(opening_angle(first, second), opening_angle(second, first))
    assert opening_angle(first[:, None], second).shape == (7, 7)


def test_fiducial_volume_excludes_its_own_bounds() -> None:
    inside = np.array([[0, 0, 1], [23.8, -67.8, 0.1], [23.9, 0, 1], [0, 67.9, 1], [0, 0, 0], [0, 0, -1]])
    np.testing.assert_array_equal(Fiducial().contains(inside), [True, True, False, False, False, False])
    np.testing.assert_array_equal(
        Fiducial(u_max=1.0, w_min=5.0).contains(np.array([[0, 0, 6], [2, 0, 6]])), [True, False]
    )


def test_active_xenon_begins_behind_every_sensor() -> None:
    table = nominal_sensors()
    # A millimetre is far below the smallest step between a photocathode and the wall it stands in.
    inwards, outwards = table.positions + 1.5 * table.normals, table.positions - 1.5 * table.normals
    assert in_active_xenon(inwards).all()
    assert not in_active_xenon(outwards)[:NUM_MPPC].any()
    assert not in_active_xenon(outwards)[table.face_codes == 1].any()


def test_active_xenon_widens_with_the_radius() -> None:
    points = uvw_to_xyz(np.array([[0, 0, 1], [33.8, 0, 0.1], [34.5, 0, 0.1], [47, 0, 41], [0, 0, 42], [0, 72, 1]]))
    np.testing.assert_array_equal(in_active_xenon(points), [True, False, False, True, False, False])
