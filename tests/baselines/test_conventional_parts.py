"""The parts of the conventional reconstruction, each on what it can be checked by."""

import numpy as np
import pytest

from lib.baselines.conventional_polynomial import Polynomial, fit_polynomial
from lib.baselines.conventional_sensors import face_sums, fill_invalid, inner_image, is_valid
from lib.baselines.position_fit import fit_points
from lib.baselines.timing_mean import mean_time
from lib.data.branches import NO_VALUE
from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import nominal_sensors
from lib.simulation.config import XenonConfig
from lib.simulation.kernels import available_kernels
from lib.simulation.light import LightModel
from lib.simulation.voxels import Sources


def light_of_points(uvw: np.ndarray) -> np.ndarray:
    """Photons of 50 MeV at points, without any noise."""
    count = len(uvw)
    sources = Sources(uvw_to_xyz(uvw), np.full(count, 50.0), np.zeros(count), np.arange(count + 1))
    return LightModel(nominal_sensors(), XenonConfig(), available_kernels()).direct(sources)[0]


def test_a_point_source_is_found_where_it_is() -> None:
    uvw = np.array([[0.3, 0.2, 2.0], [-12.4, 33.1, 4.0], [20.0, -50.0, 1.2]])
    fit = fit_points(inner_image(light_of_points(uvw)))
    # The fit takes the four chips as one square, which moves the depth by some percent.
    np.testing.assert_allclose(fit.uvw[:, :2], uvw[:, :2], atol=0.02)
    np.testing.assert_allclose(fit.uvw[:, 2], uvw[:, 2], rtol=0.05)
    np.testing.assert_allclose(fit.photons, 50 * 46_000, rtol=0.05)


def test_a_dead_sensor_below_the_source_does_not_move_the_fit() -> None:
    uvw = np.array([[0.3, 0.2, 3.0]])
    npho = light_of_points(uvw)
    npho[0, npho[0, :4092].argmax()] = NO_VALUE
    np.testing.assert_allclose(fit_points(inner_image(npho)).uvw, uvw, atol=0.15)


def test_a_source_at_the_corner_of_the_face_is_found() -> None:
    uvw = np.array([[-32.0, 70.0, 2.0]])
    np.testing.assert_allclose(fit_points(inner_image(light_of_points(uvw))).uvw, uvw, atol=0.15)


def test_invalid_counts_become_the_mean_of_their_valid_neighbours() -> None:
    npho = np.full((2, 4760), 10.0, dtype=np.float32)
    npho[0, [100, 101]] = NO_VALUE
    npho[1, 4600] = np.nan
    filled = fill_invalid(npho)
    np.testing.assert_allclose(filled, 10.0)


def test_a_face_without_any_value_is_dark() -> None:
    npho = np.full((1, 4760), 10.0, dtype=np.float32)
    npho[0, nominal_sensors().face_codes == 4] = NO_VALUE
    sums = face_sums(npho)[0]
    assert sums[4] == 0
    np.testing.assert_allclose(sums[[0, 1, 2, 3, 5]], [40920, 2340, 1440, 1440, 730])


def test_values_beyond_the_sentinel_are_invalid() -> None:
    values = np.array([0.0, -3.0, 9.1e9, NO_VALUE, np.nan, np.inf, -1e10])
    np.testing.assert_array_equal(is_valid(values), [True, True, False, False, False, False, False])


def ideal_times(uvw: np.ndarray, npho: np.ndarray, start: float) -> np.ndarray:
    table = nominal_sensors()
    distance = np.linalg.norm(table.positions - uvw_to_xyz(uvw)[:, None], axis=2)
    photoelectrons = np.where(table.is_mppc, 0.08, 0.16) * npho
    return 1e-9 * (start + distance * 1.80 / 29.9792458 + 1.5 / np.sqrt(photoelectrons))


def test_ideal_times_give_the_start() -> None:
    uvw, npho = np.array([[1.0, 2.0, 5.0]]), np.full((1, 4760), 900.0)
    assert mean_time(npho, ideal_times(uvw, npho, 7.0), uvw)[0] == pytest.approx(7.0, abs=1e-6)


def test_a_few_early_sensors_are_left_out_of_the_mean() -> None:
    uvw, npho = np.array([[1.0, 2.0, 5.0]]), np.full((1, 4760), 900.0)
    time = ideal_times(uvw, npho, 7.0)
    time[0, :50] -= 40e-9
    time[0, 60:90] = NO_VALUE
    assert mean_time(npho, time, uvw)[0] == pytest.approx(7.0, abs=1e-3)


def test_events_without_bright_sensors_have_no_time() -> None:
    uvw, npho = np.array([[1.0, 2.0, 5.0]]), np.full((1, 4760), 50.0)
    assert np.isnan(mean_time(npho, np.zeros((1, 4760)), uvw)[0])


def test_a_polynomial_is_recovered_in_spite_of_outliers() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (4000, 2))
    exact = 3 + x[:, 0] - 2 * x[:, 0] * x[:, 1] + 0.5 * x[:, 1] ** 2
    values = exact + rng.normal(0, 0.01, 4000)
    values[::10] -= 5.0
    fitted = fit_polynomial(x, values[:, None], degree=2)
    # Ridge and noise leave a tenth of the noise.
    np.testing.assert_allclose(fitted(x)[:, 0], exact, atol=5e-3)


def test_a_polynomial_is_flat_far_outside_its_sample() -> None:
    x = np.random.default_rng(2).normal(0, 1, (1000, 1))
    fitted = fit_polynomial(x, x**2, degree=2)
    np.testing.assert_array_equal(fitted(np.array([[100.0]])), fitted(np.array([[1e6]])))


def test_a_polynomial_survives_as_arrays() -> None:
    x = np.random.default_rng(3).normal(0, 1, (500, 3))
    fitted = fit_polynomial(x, x[:, :2], degree=2)
    again = Polynomial.from_arrays({f"p.{name}": value for name, value in fitted.as_arrays().items()}, "p")
    np.testing.assert_array_equal(again(x), fitted(x))
