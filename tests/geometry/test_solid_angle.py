"""Solid angles against closed forms, limits and integration by drawing directions."""

import numpy as np
import pytest

from lib.geometry.solid_angle import disc_solid_angle, mppc_solid_angle, rectangle_solid_angle


def draw_directions(count: int) -> np.ndarray:
    """Directions uniform on the lower half sphere, as slopes x/h and y/h on a plane below."""
    rng = np.random.default_rng(1)
    cosine, azimuth = rng.random(count), 2 * np.pi * rng.random(count)
    tangent = np.sqrt(1 - cosine**2) / np.maximum(cosine, 1e-12)
    return tangent * np.stack([np.cos(azimuth), np.sin(azimuth)])


def test_a_cube_divides_the_sphere_into_six_faces() -> None:
    assert rectangle_solid_angle(*np.array([-1.0, 1, -1, 1, 1])) == pytest.approx(4 * np.pi / 6, rel=1e-12)


def test_a_huge_rectangle_is_half_the_sphere() -> None:
    assert rectangle_solid_angle(*np.array([-1e9, 1e9, -1e9, 1e9, 1])) == pytest.approx(2 * np.pi, rel=1e-8)


def test_a_rectangle_is_the_sum_of_its_halves() -> None:
    whole = rectangle_solid_angle(*np.array([-0.5, 2, 0.3, 1, 0.7]))
    left, right = (rectangle_solid_angle(*np.array([*side, 0.3, 1, 0.7])) for side in ((-0.5, 0.4), (0.4, 2)))
    assert left + right == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(("x", "y", "height"), [(0.0, 0.0, 0.5), (0.4, -0.7, 0.3), (2.0, 1.0, 1.0)])
def test_four_chips_agree_with_drawn_directions(x: float, y: float, height: float) -> None:
    slopes = np.abs(draw_directions(2_000_000) * height + np.array([[x], [y]]))
    inside = np.all((slopes > 0.025) & (slopes < 0.615), axis=0)
    expected = 2 * np.pi * inside.mean()
    error = 2 * np.pi * np.sqrt(inside.mean() / inside.size)
    assert mppc_solid_angle(*np.array([x, y, height])) == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize(("offset", "height"), [(0.0, 2.0), (1.0, 1.0), (2.25, 1.5), (4.0, 1.0), (0.5, 0.1)])
def test_a_disc_agrees_with_drawn_directions(offset: float, height: float) -> None:
    x, y = draw_directions(2_000_000) * height
    inside = (x - offset) ** 2 + y**2 < 2.25**2
    expected = 2 * np.pi * inside.mean()
    error = 2 * np.pi * np.sqrt(inside.mean() / inside.size)
    assert disc_solid_angle(*np.array([offset, height, 2.25])) == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("height", [0.1, 1.0, 30.0])
def test_on_its_axis_a_disc_has_a_closed_form(height: float) -> None:
    expected = 2 * np.pi * (1 - height / np.hypot(height, 2.25))
    assert disc_solid_angle(*np.array([0.0, height, 2.25])) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("offset", [2.24999, 2.25, 2.25001])
def test_a_disc_is_continuous_above_its_rim(offset: float) -> None:
    at_rim = disc_solid_angle(*np.array([2.25, 0.8, 2.25]))
    assert disc_solid_angle(*np.array([offset, 0.8, 2.25])) == pytest.approx(at_rim, rel=1e-4)


def test_far_away_only_area_and_inclination_matter() -> None:
    distance, cosine = 500.0, 0.6
    offset, height = distance * 0.8, distance * cosine
    for found, area in (
        (mppc_solid_angle(*np.array([offset, 0.0, height])), 4 * 0.59**2),
        (disc_solid_angle(*np.array([offset, height, 2.25])), np.pi * 2.25**2),
    ):
        assert found == pytest.approx(area * cosine / distance**2, rel=1e-3)


def test_solid_angles_broadcast() -> None:
    offsets, heights = np.linspace(0, 5, 4)[:, None], np.linspace(0.5, 3, 3)
    assert disc_solid_angle(offsets, heights, np.array(2.25)).shape == (4, 3)
    assert mppc_solid_angle(offsets, np.array(0.0), heights).shape == (4, 3)
