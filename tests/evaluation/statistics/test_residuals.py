"""Residuals must be in the units in which the field quotes them, with the sign of prediction minus truth."""

import numpy as np
import pytest

from lib.evaluation.statistics.residuals import task_residuals


def test_energy_is_relative_and_in_per_cent() -> None:
    (energy,) = task_residuals("energy", np.array([[0.0505], [0.0285]]), np.array([[0.05], [0.03]]))
    assert (energy.name, energy.unit) == ("energy", "%")
    np.testing.assert_allclose(energy.values, [1.0, -5.0])


def test_time_is_in_picoseconds() -> None:
    (time,) = task_residuals("timing", np.array([[1.06e-9], [-2e-9]]), np.array([[1.0e-9], [-1.9e-9]]))
    assert time.unit == "ps"
    np.testing.assert_allclose(time.values, [60.0, -100.0])


def test_position_is_in_millimetres_along_each_axis_and_in_space() -> None:
    true = np.array([[1.0, 2.0, 3.0]])
    residuals = task_residuals("uvwFI", true + np.array([0.1, -0.2, 0.2]), true)
    assert [found.name for found in residuals] == ["u", "v", "w", "distance"]
    np.testing.assert_allclose([found.values[0] for found in residuals], [1.0, -2.0, 2.0, 3.0])
    assert [found.is_distance for found in residuals] == [False, False, False, True]


def test_opening_angle_shrinks_the_azimuth_towards_the_beam() -> None:
    # At theta = 90 a step in phi is the opening angle, at theta = 30 half of it.
    true = np.array([[90.0, 10.0], [30.0, 10.0], [90.0, 10.0]])
    theta, phi, opening = task_residuals("angle", true + np.array([[0, 0.5], [0, 0.5], [-0.5, 0]]), true)
    np.testing.assert_allclose(theta.values, [0, 0, -0.5], atol=1e-12)
    np.testing.assert_allclose(phi.values, [0.5, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(opening.values, [0.5, 0.25, 0.5], rtol=1e-4)


def test_azimuths_on_both_sides_of_180_degrees_are_neighbours() -> None:
    _, phi, opening = task_residuals("angle", np.array([[90.0, -179.0]]), np.array([[90.0, 179.0]]))
    np.testing.assert_allclose([phi.values[0], opening.values[0]], [2.0, 2.0])


@pytest.mark.parametrize("task", ["energy", "timing", "uvwFI", "angle"])
def test_single_precision_does_not_blur_the_difference(task: str) -> None:
    width = {"uvwFI": 3, "angle": 2}.get(task, 1)
    true = np.random.default_rng(0).uniform(0.01, 0.06, (5, width)).astype(np.float32)
    for found in task_residuals(task, true, true):
        np.testing.assert_array_equal(found.values, 0.0)
        assert found.values.dtype == np.float64
